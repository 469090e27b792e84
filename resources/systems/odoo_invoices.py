"""Invoices and credit notes to customers of an Odoo database, with the orders they are for.

A composed document, numbers as exact text:
    the fields of `FIELDS`, and orders [{id, name, reference, company}]: those whose lines its lines
    are tied to; where none is, those its origin names, or those of the document it takes back.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.pages import Broken, Raw
from resources.systems.odoo_catalog import PAGE, window
from resources.systems.odoo_kits import many2one
from resources.systems.odoo_rpc import Session, batches
from resources.systems.roles import Payload

INVOICE, LINE, ORDER = "account.move", "account.move.line", "sale.order"
KINDS = ["out_invoice", "out_refund"]
FIELDS = [
    "name",
    "state",
    "move_type",
    "ref",
    "invoice_origin",
    "invoice_date",
    "date",
    "amount_untaxed",
    "amount_tax",
    "amount_total",
    "currency_id",
    "company_id",
    "reversed_entry_id",
    "payment_state",
    "write_date",
]


class Invoices:
    """Documents to customers, through one session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Raw | Broken]]:
        """Yield pages of documents changed since `moment` less `overlap`, oldest change first.

        Ids are taken in one snapshot, so a document that changes meanwhile is not skipped.
        """
        domain = [["move_type", "in", KINDS], ["write_date", ">=", window(moment, overlap)]]
        changed = self.session.rows(INVOICE, domain, ["write_date"], order="write_date, id")
        for batch in batches((row["id"] for row in changed), PAGE):
            rows = self.session.rows(INVOICE, [["id", "in", batch]], FIELDS, order="id")
            orders = self._orders(rows)
            found = {row["id"]: _raw({**row, "orders": orders[row["id"]]}) for row in rows}
            yield [found[id_] for id_ in batch if id_ in found]

    def _orders(self, rows: Sequence[Payload]) -> dict[int, list[Payload]]:
        """The orders of each document, by its id."""
        taken_back = {row["id"]: many2one(row["reversed_entry_id"]) for row in rows}
        ids = {row["id"] for row in rows} | set(taken_back.values()) - {0}
        tied = self._tied(ids)
        by_id = self._read([["id", "in", sorted({o for found in tied.values() for o in found})]])
        named = self._named([row for row in rows if not tied[row["id"]]])
        found: dict[int, list[Payload]] = {}
        for row in rows:
            own, first = tied[row["id"]], tied[taken_back[row["id"]]]
            mine = [by_id[order] for order in sorted(own or first) if order in by_id]
            found[row["id"]] = mine if own else named.get(row["id"]) or mine
        return found

    def _tied(self, invoices: Collection[int]) -> dict[int, set[int]]:
        """Orders by document, through the lines both are tied by."""
        domain = [["move_id", "in", sorted(invoices)], ["sale_line_ids", "!=", False]]
        lines = self.session.rows(LINE, domain, ["move_id", "sale_line_ids"], order="id")
        sold = sorted({id_ for line in lines for id_ in line["sale_line_ids"]})
        domain = [["id", "in", sold]]
        rows = (
            self.session.rows("sale.order.line", domain, ["order_id"], order="id") if sold else []
        )
        order = {row["id"]: many2one(row["order_id"]) for row in rows}
        found: dict[int, set[int]] = defaultdict(set)
        for line in lines:
            told = {order[id_] for id_ in line["sale_line_ids"] if id_ in order}
            found[many2one(line["move_id"])] |= told
        return found

    def _named(self, rows: Sequence[Payload]) -> dict[int, list[Payload]]:
        """Orders that documents name as their origin; several companies may use one name."""
        names = {row["id"]: _origins(row) for row in rows}
        wanted = sorted({name for told in names.values() for name in told})
        orders = self._read([["name", "in", wanted]]).values()
        by_name = {(order["company"], order["name"]): order for order in orders}
        return {
            row["id"]: [
                by_name[key]
                for name in names[row["id"]]
                if (key := (many2one(row["company_id"]), name)) in by_name
            ]
            for row in rows
        }

    def _read(self, domain: list[Any]) -> dict[int, Payload]:
        if not domain[0][2]:
            return {}
        fields = ["name", "client_order_ref", "company_id"]
        return {
            row["id"]: {
                "id": row["id"],
                "name": row["name"],
                "reference": row["client_order_ref"] or None,
                "company": many2one(row["company_id"]),
            }
            for row in self.session.rows(ORDER, domain, fields, order="id")
        }


def _origins(row: Payload) -> list[str]:
    """Names in an origin; Odoo joins those of several orders."""
    return [name for name in str(row["invoice_origin"] or "").split(", ") if name]


def _raw(invoice: Payload) -> Raw | Broken:
    """A composed document as one thing a system said."""
    text = json.dumps(invoice, default=str, ensure_ascii=False)
    moment = datetime.strptime(invoice["write_date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return Raw(str(invoice["id"]), text, json.loads(text), moment)
