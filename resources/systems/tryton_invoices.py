"""Invoices to customers in Tryton, credit memos too, with the orders they are for.

A document is composed from an invoice, the lines its lines come from and the sales behind them:

    {"id", "number", "state", "reference", "invoice_date", "accounting_date", "untaxed_amount",
     "tax_amount", "total_amount", "currency", "company", "changed_at",
     "journal": number of its entry in the books, "booked_on": the day of that,
     "orders": [{"id", "key": our order_ref or null, "number", "reference"}]}

A line of a credit memo names the line it takes back as its origin, so its sale is found through it.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from resources.pages import Broken, Raw
from resources.systems.tryton_rpc import Payload, Session, batches

INVOICE, LINE, SOLD, SALE = "account.invoice", "account.invoice.line", "sale.line", "sale.sale"
PAGE, SCAN_PAGE = 100, 1000
#: A counter entry takes back a memo that took back an invoice.
DEEPEST = 4
KEPT = (
    *("id", "number", "state", "reference", "invoice_date", "accounting_date"),
    *("untaxed_amount", "tax_amount", "total_amount"),
)
FIELDS = (*KEPT[1:], "currency.code", "company.rec_name", "move.number", "move.date")
SALE_FIELDS = ("number", "reference", "web_id", "web_shop.name", "origin")
#: Our order_ref by the name of the web shop and the web id of a sale; None: no order of ours.
OrderKey = Callable[[str, str], str | None]


class Invoices:
    """Documents to customers, through one session."""

    def __init__(self, rpc: Session, order_key: OrderKey) -> None:
        self.rpc, self.order_key = rpc, order_key

    def changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Raw | Broken]]:
        """Yield pages of documents of which anything changed, oldest change first.

        The overlap must be longer than the longest transaction there, whose start is the time.
        """
        touched = self._touched(moment - overlap)
        for batch in batches(sorted(touched, key=lambda number: (touched[number], number)), PAGE):
            found = self._whole(batch, touched)
            yield [found[number] for number in batch if number in found]

    def _touched(self, since: datetime) -> dict[int, str]:
        """When each document last changed: itself, or a line, which does not touch it there."""
        recent = ["last_modified_at", ">=", since]
        rows = self._scan(INVOICE, [["type", "=", "out"], recent], ("last_modified_at",))
        found = {row["id"]: row["last_modified_at"] for row in rows}
        domain = [["invoice.type", "=", "out"], recent]
        for row in self._scan(LINE, domain, ("invoice", "last_modified_at")):
            number = row["invoice"]
            found[number] = max(found.get(number, ""), row["last_modified_at"])
        return found

    def _scan(self, model: str, domain: list[Any], fields: Sequence[str]) -> Iterator[Payload]:
        after = 0
        while True:
            query = [["id", ">", after], *domain]
            page = self.rpc.search(model, query, fields, limit=SCAN_PAGE)
            yield from page
            if len(page) < SCAN_PAGE:
                return
            after = page[-1]["id"]

    def _whole(self, ids: Sequence[int], touched: Mapping[int, str]) -> dict[int, Raw | Broken]:
        rows = self.rpc.search(INVOICE, [["id", "in", list(ids)]], FIELDS)
        sales = self._sales(ids)
        orders = self._orders({sale for found in sales.values() for sale in found})
        return {
            row["id"]: _raw(
                {
                    **{name: row[name] for name in KEPT},
                    "currency": row["currency."]["code"],
                    "company": row["company."]["rec_name"],
                    "journal": (row["move."] or {}).get("number"),
                    "booked_on": (row["move."] or {}).get("date"),
                    "changed_at": touched[row["id"]],
                    "orders": [orders[s] for s in sorted(sales[row["id"]]) if s in orders],
                }
            )
            for row in rows
        }

    def _sales(self, invoices: Sequence[int]) -> dict[int, set[int]]:
        """The sales behind the lines of each invoice."""
        rows = self.rpc.search(LINE, [["invoice", "in", list(invoices)]], ("invoice", "origin"))
        left = [(row["invoice"], row["origin"]) for row in rows if row["origin"]]
        sold: dict[int, set[int]] = defaultdict(set)
        for _ in range(DEEPEST):
            for invoice, origin in left:
                if origin.startswith(f"{SOLD},"):
                    sold[invoice].add(_id_of(origin))
            back = [(number, _id_of(o)) for number, o in left if o.startswith(f"{LINE},")]
            origins = self._by_id(LINE, {line for _, line in back}, ("origin",))
            left = [(number, o) for number, line in back if (o := _origin(origins.get(line)))]
        sale = self._by_id(SOLD, {line for lines in sold.values() for line in lines}, ("sale",))
        found: dict[int, set[int]] = defaultdict(set)
        for invoice, lines in sold.items():
            found[invoice] = {sale[line]["sale"] for line in lines if line in sale}
        return found

    def _orders(self, ids: set[int]) -> dict[int, Payload]:
        """Orders by sale; a return that is a sale of its own names the order it takes back."""
        sales = self._by_id(SALE, ids, SALE_FIELDS)
        above = {
            number: _id_of(row["origin"])
            for number, row in sales.items()
            if str(row["origin"]).startswith(f"{SALE},")
        }
        sales |= self._by_id(SALE, set(above.values()), SALE_FIELDS)
        return {
            number: self._order(sales[above.get(number, number)])
            for number in ids
            if above.get(number, number) in sales
        }

    def _order(self, sale: Payload) -> Payload:
        shop = (sale["web_shop."] or {}).get("name")
        key = self.order_key(shop, sale["web_id"]) if shop and sale["web_id"] else None
        told = {name: sale[name] for name in ("id", "number", "reference")}
        return {**told, "key": key}

    def _by_id(self, model: str, ids: set[int], fields: Sequence[str]) -> dict[int, Payload]:
        rows = self.rpc.search(model, [["id", "in", sorted(ids)]], fields) if ids else []
        return {row["id"]: row for row in rows}


def _origin(line: Payload | None) -> str | None:
    return line["origin"] if line else None


def _id_of(reference: str) -> int:
    return int(reference.partition(",")[2])


def _raw(told: Payload) -> Raw:
    text = json.dumps(told, default=str, ensure_ascii=False)
    body = json.loads(text, parse_float=Decimal)
    changed_at = datetime.fromisoformat(told["changed_at"]).astimezone(UTC)
    return Raw(str(told["id"]), text, body, changed_at)
