"""Parcels of sales orders in an Odoo database: deliveries and returns read with their moves, each
composed into one payload; which of them carry a mark of ours. What moves them is beside this file.

A composed parcel, numbers as exact text:
    id, name, state, kind (outgoing, incoming, internal), origin, date_done, write_date, carrier,
    tracking, company, made_by (ids), warehouse (its code), warehouse_id, from, to (ids of places),
    to_customer, from_customer, backorder_of, return_of (ids), return_of_name,
    mark (ours, with its part), ours (our key), order {id, name, reference},
    lines [{id, item, sku, contents [{product, per_unit}]}]  the order lines it serves,
    moves [{id, product, sku, state, demand, quantity, picked, line, from, to, returns}].

Our mark stands at the end of `origin`, which can be searched. A backorder is born with a copy of
it; the copy does not count: it is the mark of the parcel whose rest the backorder is.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from resources.errors import Missing, Refused
from resources.pages import Broken, Raw
from resources.systems.odoo_catalog import PAGE, window
from resources.systems.odoo_kits import ARCHIVED_TOO, ITEM, Kits, bom_of, many2one
from resources.systems.odoo_rpc import Session, batches
from resources.systems.roles import Payload

PICKING, MOVE, LINE, BOM_LINE = "stock.picking", "stock.move", "sale.order.line", "mrp.bom.line"
OPEN = ("waiting", "confirmed", "partially_available", "assigned")
PICKING_FIELDS = [
    "name",
    "state",
    "origin",
    "date_done",
    "write_date",
    "sale_id",
    "company_id",
    "picking_type_id",
    "location_id",
    "location_dest_id",
    "create_uid",
    "backorder_id",
    "return_id",
    "carrier_id",
    "carrier_tracking_ref",
]
MOVE_FIELDS = [
    "picking_id",
    "product_id",
    "state",
    "product_uom_qty",
    "quantity",
    "picked",
    "sale_line_id",
    "location_id",
    "location_dest_id",
    "origin_returned_move_id",
]


class Parcels:
    """Parcels with their moves, through one session; `module` names us in the mark."""

    def __init__(self, session: Session, kits: Kits, module: str) -> None:
        self.session, self.kits, self.module = session, kits, module

    def changed_since(
        self, domain: list[Any], moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of parcels changed since `moment` less `overlap`, oldest change first.

        Ids are taken in one snapshot, so a parcel that changes meanwhile is not skipped.
        """
        since = [*domain, ["write_date", ">=", window(moment, overlap)]]
        changed = self.session.rows(PICKING, since, ["write_date"], order="write_date, id")
        for batch in batches((row["id"] for row in changed), PAGE):
            found = {parcel["id"]: parcel for parcel in self.where([["id", "in", batch]])}
            yield [raw(found[id_]) for id_ in batch if id_ in found]

    def of_orders(self, orders: Sequence[int]) -> list[Payload]:
        """All parcels of sales orders, also steps inside the warehouse and what came back."""
        found: list[Payload] = []
        for batch in batches(dict.fromkeys(orders), PAGE):
            domain = ["|", ["sale_id", "in", batch], ["return_id.sale_id", "in", batch]]
            found += self.where(domain)
        return found

    def where(self, domain: list[Any]) -> list[Payload]:
        """Composed parcels in the order of their ids."""
        known = self.session.field_names(PICKING)
        fields = [name for name in PICKING_FIELDS if name in known]
        rows = self.session.rows(PICKING, domain, fields, order="id")
        return self._composed(rows) if rows else []

    def _composed(self, rows: list[Payload]) -> list[Payload]:
        moves = self._moves([row["id"] for row in rows])
        above = self._above(rows)
        orders = self._orders(rows, above)
        kinds = self._kinds({many2one(row["picking_type_id"]) for row in rows})
        usage = self._usages(rows)
        lines = self._lines(moves)
        return [self._parcel(row, moves, above, orders, kinds, usage, lines) for row in rows]

    def _parcel(
        self,
        row: Payload,
        moves: Mapping[int, list[Payload]],
        above: Mapping[int, Payload],
        orders: Mapping[int, Payload],
        kinds: Mapping[int, Payload],
        usage: Mapping[int, str],
        lines: Mapping[int, Payload],
    ) -> Payload:
        mine = moves.get(row["id"], [])
        served = dict.fromkeys(move["line"] for move in mine if move["line"] in lines)
        mark = self.mark_of(row["origin"])
        rest_of = above.get(many2one(row["backorder_id"]), {})
        if mark is not None and mark == self.mark_of(rest_of.get("origin")):
            mark = None
        return {
            "id": row["id"],
            "name": row["name"],
            "state": row["state"],
            "origin": row["origin"] or None,
            "date_done": row["date_done"] or None,
            "write_date": row["write_date"],
            "carrier": row["carrier_id"][1] if row.get("carrier_id") else None,
            "tracking": row.get("carrier_tracking_ref") or None,
            "company": many2one(row["company_id"]),
            "made_by": many2one(row["create_uid"]),
            **kinds[many2one(row["picking_type_id"])],
            "from": many2one(row["location_id"]),
            "to": many2one(row["location_dest_id"]),
            "from_customer": usage.get(many2one(row["location_id"])) == "customer",
            "to_customer": usage.get(many2one(row["location_dest_id"])) == "customer",
            "backorder_of": many2one(row["backorder_id"]) or None,
            "return_of": many2one(row["return_id"]) or None,
            "return_of_name": row["return_id"][1] if row["return_id"] else None,
            "mark": mark,
            "ours": None if mark is None else mark.partition("#")[0],
            "order": orders.get(_order_id(row, above)),
            "lines": [lines[id_] for id_ in served],
            "moves": mine,
        }

    # What belongs to a parcel

    def _moves(self, pickings: list[int]) -> dict[int, list[Payload]]:
        domain = [["picking_id", "in", pickings]]
        rows = self.session.rows(MOVE, domain, MOVE_FIELDS, order="id")
        skus = self._skus({many2one(row["product_id"]) for row in rows})
        found: dict[int, list[Payload]] = defaultdict(list)
        for row in rows:
            product = many2one(row["product_id"])
            found[many2one(row["picking_id"])].append(
                {
                    "id": row["id"],
                    "product": product,
                    "sku": skus.get(product),
                    "state": row["state"],
                    "demand": Decimal(row["product_uom_qty"]),
                    "quantity": Decimal(row["quantity"]),
                    "picked": row["picked"],
                    "line": many2one(row["sale_line_id"]) or None,
                    "from": many2one(row["location_id"]),
                    "to": many2one(row["location_dest_id"]),
                    "returns": many2one(row["origin_returned_move_id"]) or None,
                }
            )
        return found

    def _skus(self, items: Collection[int]) -> dict[int, Any]:
        if not items:
            return {}
        domain, options = [["id", "in", sorted(items)]], {"order": "id", "context": ARCHIVED_TOO}
        rows = self.session.rows(ITEM, domain, ["default_code"], **options)
        return {row["id"]: row["default_code"] or None for row in rows}

    def _above(self, rows: list[Payload]) -> dict[int, Payload]:
        """The parcels whose rest, or whose goods coming back, these are."""
        ids = {many2one(row[name]) for row in rows for name in ("backorder_id", "return_id")} - {0}
        if not ids:
            return {}
        domain, fields = [["id", "in", sorted(ids)]], ["origin", "sale_id"]
        return {row["id"]: row for row in self.session.rows(PICKING, domain, fields, order="id")}

    def _orders(self, rows: list[Payload], above: Mapping[int, Payload]) -> dict[int, Payload]:
        ids = sorted({_order_id(row, above) for row in rows} - {0})
        if not ids:
            return {}
        found = self.session.rows("sale.order", [["id", "in", ids]], ["name", "client_order_ref"])
        return {
            row["id"]: {
                "id": row["id"],
                "name": row["name"],
                "reference": row["client_order_ref"] or None,
            }
            for row in found
        }

    def _kinds(self, types: Collection[int]) -> dict[int, Payload]:
        """What a kind of parcel is for, and the warehouse it belongs to."""
        domain, options = [["id", "in", sorted(types)]], {"order": "id", "context": ARCHIVED_TOO}
        rows = self.session.rows("stock.picking.type", domain, ["code", "warehouse_id"], **options)
        codes = {row["id"]: row["code"] for row in self._warehouses()}
        return {
            row["id"]: {
                "kind": row["code"],
                "warehouse_id": many2one(row["warehouse_id"]) or None,
                "warehouse": codes.get(many2one(row["warehouse_id"])),
            }
            for row in rows
        }

    def _usages(self, rows: list[Payload]) -> dict[int, str]:
        ids = {many2one(row[way]) for row in rows for way in ("location_id", "location_dest_id")}
        domain, options = [["id", "in", sorted(ids)]], {"order": "id", "context": ARCHIVED_TOO}
        places = self.session.rows("stock.location", domain, ["usage"], **options)
        return {place["id"]: place["usage"] for place in places}

    def _lines(self, moves: Mapping[int, list[Payload]]) -> dict[int, Payload]:
        """The order lines moves serve, with what leaves the shelf for one unit of each."""
        every = [move for batch in moves.values() for move in batch if move["line"]]
        if not every:
            return {}
        domain = [["id", "in", sorted({move["line"] for move in every})]]
        rows = self.session.rows(LINE, domain, ["product_id"], order="id")
        items = {row["id"]: many2one(row["product_id"]) for row in rows}
        moved: dict[int, set[int]] = defaultdict(set)
        for move in every:
            moved[move["line"]].add(move["product"])
        kits = {item for line, item in items.items() if moved[line] - {item}}
        bills = self._bills(kits) if kits else {}
        skus = self._skus(set(items.values()))
        return {
            line: {
                "id": line,
                "item": item,
                "sku": skus.get(item),
                "contents": [
                    {"product": product, "per_unit": bills.get(item, {}).get(product, Decimal(1))}
                    for product in sorted(bills[item] if item in bills else moved[line])
                ],
            }
            for line, item in items.items()
        }

    def _bills(self, kits: Collection[int]) -> dict[int, dict[int, Decimal]]:
        """Pieces of each component in one kit, kits inside a kit opened up."""
        if not kits or not self.kits.known():
            return {}
        domain, options = [["id", "in", sorted(kits)]], {"order": "id", "context": ARCHIVED_TOO}
        rows = self.session.rows(ITEM, domain, ["product_tmpl_id"], **options)
        template = {row["id"]: many2one(row["product_tmpl_id"]) for row in rows}
        boms = self.kits.boms(set(template.values()))
        if boms is None:
            text = "the user may not read what a kit is made of"
            raise Refused(self.session.system, text, code="kit_unreadable")
        chosen = {item: bom for item in template if (bom := bom_of(boms, item, template[item]))}
        if not chosen:
            return {}
        parts = self._parts({bom["id"] for bom in chosen.values()})
        inside = self._bills({product for lines in parts.values() for product, _ in lines})
        bills: dict[int, dict[int, Decimal]] = {}
        for item, bom in chosen.items():
            bill = bills.setdefault(item, defaultdict(Decimal))
            for product, units in parts.get(bom["id"], ()):
                for leaf, more in inside.get(product, {product: Decimal(1)}).items():
                    bill[leaf] += units * more / Decimal(bom["product_qty"])
        return bills

    def _parts(self, boms: Collection[int]) -> dict[int, list[tuple[int, Decimal]]]:
        domain, fields = [["bom_id", "in", sorted(boms)]], ["bom_id", "product_id", "product_qty"]
        found: dict[int, list[tuple[int, Decimal]]] = defaultdict(list)
        for row in self.session.rows(BOM_LINE, domain, fields, order="id"):
            part = (many2one(row["product_id"]), Decimal(row["product_qty"]))
            found[many2one(row["bom_id"])].append(part)
        return found

    # Warehouses

    def _warehouses(self) -> list[Payload]:
        options = {"order": "id", "context": ARCHIVED_TOO}
        fields = ["code", "company_id", "lot_stock_id"]
        return self.session.rows("stock.warehouse", [], fields, **options)

    def warehouse(self, code: str) -> Payload:
        """The only warehouse called `CODE` or `Company/CODE`."""
        found = [
            row
            for row in self._warehouses()
            if code in (row["code"], f"{row['company_id'][1]}/{row['code']}")
        ]
        if not found:
            raise Missing(self.session.system, f"there is no warehouse {code!r}")
        if len(found) > 1:
            text = f"several companies have a warehouse {code!r}; name it Company/{code}"
            raise Refused(self.session.system, text)
        return found[0]

    # Our mark

    def mark_of(self, origin: Any) -> str | None:
        """Our mark in an origin, a copy of it included."""
        _, sign, mark = str(origin or "").rpartition(self._sign)
        return mark if sign else None

    def marked(self, origin: Any, mark: str) -> str:
        """The origin with our mark in place of an older one."""
        text = str(origin or "")
        return (text.rpartition(self._sign)[0] if self._sign in text else text) + self._sign + mark

    @property
    def _sign(self) -> str:
        return f" | {self.module}:"


def raw(parcel: Payload) -> Raw | Broken:
    """A composed parcel as one thing a system said."""
    text = json.dumps(parcel, default=str, ensure_ascii=False)
    moment = datetime.strptime(parcel["write_date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return Raw(str(parcel["id"]), text, json.loads(text), moment)


def _order_id(row: Payload, above: Mapping[int, Payload]) -> int:
    """The order of a parcel; a return may know it only through what it brings back."""
    came_from = above.get(many2one(row["return_id"]), {})
    return many2one(row["sale_id"]) or many2one(came_from.get("sale_id"))
