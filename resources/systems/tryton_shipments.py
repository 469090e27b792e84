"""Tryton's deliveries and returns as they are told to us: which changed, and each one whole.

A document is composed from a shipment, its moves and the sales behind them, because a child that
changes does not touch its parent there:

    {"id", "number", "state", "reference", "warehouse", "effective_date", "changed_at",
     "carrier", "tracking_numbers": ["PF0001234567"],
     "ours": our key of it if we posted it, else null,
     "orders": [{"id", "key": our order_ref or null, "number", "reference"}],
     "moves": [{"id", "sku", "units", "state", "order": id of the sale, "line": id of its line,
                "line_no": the sequence of that line,
                "exception": "", "ignored" (will not be replaced) or "recreated",
                "places": [{"units", "state", "type", "code", "is_apart", "is_waste"}]}]}

`places` say where goods that came back lie; a delivery has none.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from resources.pages import Broken, Raw
from resources.systems.tryton_rpc import Payload, Session, batches

PAGE, SCAN_PAGE = 100, 1000
COMMON_FIELDS = (
    *("number", "state", "reference", "effective_date", "warehouse.code", "last_modified_at"),
)
MOVE_FIELDS = (
    *("product.code", "quantity", "state", "shipment", "origin", "sale", "sale_exception_state"),
    *("from_location.type", "to_location.type", "to_location.code"),
    *("to_location.waste_warehouses", "last_modified_at"),
)
SALE_FIELDS = ("number", "reference", "web_id", "web_shop.name", "origin")
#: What a delivery has only where a module for parcels is active.
PARCEL_FIELDS = ("shipping_reference", "packages", "carrier")
#: Between the tracking numbers of one delivery in its one field for them.
SEPARATOR = ", "
#: Our order_ref by the name of the web shop and the web id of a sale; None: no order of ours.
OrderKey = Callable[[str, str], str | None]
#: "us:1042:r1/write_off" is one of the receipts of our return "us:1042:r1".
RECEIPT = re.compile(r"(?P<key>[^\s\[\]]+?)(?:/(?:restock|refurbish|write_off))?")

#: "RMA-7 us:1042:r1[17x1]": somebody else's receipt, of which one unit of product 17 is ours.
CLAIM = re.compile(r"(?P<key>\S+)\[(?P<units>[0-9]+x[0-9]+(?:,[0-9]+x[0-9]+)*)\]")


@dataclass(frozen=True)
class Kind:
    """A kind of shipment: its model, and the end of its moves that is the customer's."""

    model: str
    customers: str


OUT = Kind("stock.shipment.out", "to_location.")
BACK = Kind("stock.shipment.out.return", "from_location.")


class Shipments:
    """Deliveries and returns with what belongs to them, through one session."""

    def __init__(self, rpc: Session, order_key: OrderKey, quarantine: Collection[str]) -> None:
        self.rpc, self.order_key = rpc, order_key
        self.quarantine = frozenset(quarantine)
        self._parcel_fields: tuple[str, ...] | None = None

    def changed_since(
        self, kind: Kind, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of shipments of which anything changed, oldest change first.

        The overlap must be longer than the longest transaction there, whose start is the time.
        """
        touched = self._touched(kind, moment - overlap)
        for batch in batches(sorted(touched, key=lambda number: (touched[number], number)), PAGE):
            found = self.whole(kind, batch)
            yield [found[number] for number in batch if number in found]

    def of_orders(self, orders: Sequence[int]) -> list[Raw | Broken]:
        """The deliveries of these sales, whole, in any state."""
        if not orders:
            return []
        domain = [["sale", "in", list(orders)], ["shipment", "like", f"{OUT.model},%"]]
        rows = self.rpc.search("stock.move", domain, ("shipment",))
        ids = sorted({id_of(row["shipment"]) for row in rows})
        return [raw for batch in batches(ids, PAGE) for raw in self.whole(OUT, batch).values()]

    # Which changed

    def _touched(self, kind: Kind, since: datetime) -> dict[int, str]:
        """When each shipment last changed: itself, a move, or the line it is for."""
        recent = ["last_modified_at", ">=", since]
        found = {
            row["id"]: row["last_modified_at"]
            for row in self._scan(kind.model, [recent], ("last_modified_at",))
        }
        # That a cancelled move needs no replacement is written on the line of the sale only.
        settled = [["state", "=", "cancelled"], [f"origin.{recent[0]}", *recent[1:], "sale.line"]]
        domain = [["OR", recent, settled], ["shipment", "like", f"{kind.model},%"]]
        fields = ("shipment", "state", "origin", "last_modified_at", "origin.last_modified_at")
        for row in self._scan("stock.move", domain, fields):
            number = id_of(row["shipment"])
            changes = [found.get(number, ""), row["last_modified_at"]]
            if _is_settled(row):
                changes.append(row["origin."]["last_modified_at"])
            found[number] = max(changes)
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

    # Each one whole

    def whole(self, kind: Kind, ids: Sequence[int]) -> dict[int, Raw | Broken]:
        """These shipments as they are now, by id; what is not there is left out."""
        rows = self.rpc.search(kind.model, [["id", "in", list(ids)]], self._fields(kind))
        moves = self._moves(kind, [row["id"] for row in rows])
        orders = self._orders([move for found in moves.values() for move in found])
        lines = self._lines([move for found in moves.values() for move in found])
        parcels = self._parcels(rows)
        return {
            row["id"]: _raw(
                {
                    **self._told(row, moves.get(row["id"], []), orders, lines),
                    "tracking_numbers": parcels.get(row["id"], []),
                }
            )
            for row in rows
        }

    def _fields(self, kind: Kind) -> tuple[str, ...]:
        if kind is not OUT:
            return COMMON_FIELDS
        names = {"carrier": "carrier.rec_name"}
        return (*COMMON_FIELDS, *(names.get(name, name) for name in self.parcel_fields()))

    def parcel_fields(self) -> tuple[str, ...]:
        """Those of the fields for parcels that deliveries have there."""
        if self._parcel_fields is None:
            known = self.rpc.read(f"model.{OUT.model}.fields_get", list(PARCEL_FIELDS))
            self._parcel_fields = tuple(name for name in PARCEL_FIELDS if name in known)
        return self._parcel_fields

    def _moves(self, kind: Kind, ids: Sequence[int]) -> dict[int, list[Payload]]:
        """Moves over the customer's border by shipment, each with those that put it away."""
        names = [f"{kind.model},{number}" for number in ids]
        rows = self.rpc.search("stock.move", [["shipment", "in", names]], MOVE_FIELDS)
        within: dict[str, list[Payload]] = defaultdict(list)
        found: dict[int, list[Payload]] = defaultdict(list)
        for row in rows:
            if row[kind.customers]["type"] == "customer":
                found[id_of(row["shipment"])].append(row)
            elif kind is BACK and row["origin"]:
                within[row["origin"]].append(row)
        for row in rows:
            put_away = within.get(f"stock.move,{row['id']}") or [row]
            row["places"] = [self._place(one) for one in put_away] if kind is BACK else []
        return found

    def _place(self, move: Payload) -> Payload:
        place = move["to_location."]
        return {
            "units": _whole(move["quantity"]),
            "state": move["state"],
            "type": place["type"],
            "code": place["code"],
            "is_apart": place["code"] in self.quarantine,
            "is_waste": bool(place["waste_warehouses"]),
        }

    def _orders(self, moves: Sequence[Payload]) -> dict[int, Payload]:
        """The sale of the customer's order behind each move, by the move's id.

        A return that is a sale of its own names the order it takes back; one of ours names the
        move by which the goods left.
        """
        sale_of = {move["id"]: move["sale"] for move in moves if move["sale"]}
        left = {
            move["id"]: id_of(move["origin"])
            for move in moves
            if not move["sale"] and str(move["origin"]).startswith("stock.move,")
        }
        gone = self._by_id("stock.move", set(left.values()), ("sale",))
        for number, origin in left.items():
            if origin in gone and gone[origin]["sale"]:
                sale_of[number] = gone[origin]["sale"]
        sales = self._by_id("sale.sale", set(sale_of.values()), SALE_FIELDS)
        above = {n: id_of(row["origin"]) for n, row in sales.items() if _is_return(row)}
        sales |= self._by_id("sale.sale", set(above.values()), SALE_FIELDS)
        return {
            number: sales[above.get(sale, sale)]
            for number, sale in sale_of.items()
            if above.get(sale, sale) in sales
        }

    def _by_id(self, model: str, ids: set[int], fields: Sequence[str]) -> dict[int, Payload]:
        rows = self.rpc.search(model, [["id", "in", sorted(ids)]], fields) if ids else []
        return {row["id"]: row for row in rows}

    def _lines(self, moves: Sequence[Payload]) -> dict[int, Payload]:
        ids = {id_of(move["origin"]) for move in moves if _is_of_line(move)}
        return self._by_id("sale.line", ids, ("sequence", "last_modified_at"))

    def _parcels(self, rows: Sequence[Payload]) -> dict[int, list[str]]:
        """Tracking numbers by delivery: of its packages, and its own."""
        of_package = {one: row["id"] for row in rows for one in row.get("packages") or ()}
        found: dict[int, list[str]] = defaultdict(list)
        packages = self._by_id("stock.package", set(of_package), ("shipping_reference",))
        for number, package in packages.items():
            found[of_package[number]].append(package["shipping_reference"])
        for row in rows:
            found[row["id"]] += (row.get("shipping_reference") or "").split(SEPARATOR)
        return {n: list(dict.fromkeys(text for text in told if text)) for n, told in found.items()}

    def _told(
        self,
        row: Payload,
        moves: Sequence[Payload],
        orders: Mapping[int, Payload],
        lines: Mapping[int, Payload],
    ) -> Payload:
        behind = {orders[m["id"]]["id"]: orders[m["id"]] for m in moves if m["id"] in orders}
        named = [self._order(sale) for sale in behind.values()]
        changes = [row["last_modified_at"], *(move["last_modified_at"] for move in moves)]
        changes += [
            lines[id_of(move["origin"])]["last_modified_at"] for move in moves if _is_settled(move)
        ]
        return {
            "id": row["id"],
            "number": row["number"],
            "state": row["state"],
            "reference": row["reference"],
            "warehouse": (row["warehouse."] or {}).get("code"),
            "effective_date": row["effective_date"],
            "changed_at": max(changes),
            "carrier": (row.get("carrier.") or {}).get("rec_name"),
            "ours": ours(row["reference"], [order["key"] for order in named if order["key"]]),
            "orders": named,
            "moves": [_move(move, orders.get(move["id"]), lines) for move in moves],
        }

    def _order(self, sale: Payload) -> Payload:
        shop = (sale["web_shop."] or {}).get("name")
        key = self.order_key(shop, sale["web_id"]) if shop and sale["web_id"] else None
        return {
            "id": sale["id"],
            "key": key,
            "number": sale["number"],
            "reference": sale["reference"],
        }


def ours(reference: str | None, orders: Sequence[str]) -> str | None:
    """Our key if a reference is one: "north:5512/us:1042" left, "us:1042:r1" came back."""
    told = reference or ""
    for order in orders:
        if told.endswith(f"/{order}"):
            return told
        found = RECEIPT.fullmatch(told) or CLAIM.search(told)
        if found and found["key"].startswith(f"{order}:"):
            return found["key"]
    return None


def id_of(reference: str) -> int:
    """The id in a reference to a record of any model, "stock.move,19"."""
    return int(reference.partition(",")[2])


def _is_return(sale: Payload) -> bool:
    return str(sale["origin"]).startswith("sale.sale,")


def _is_of_line(move: Payload) -> bool:
    return str(move["origin"]).startswith("sale.line,")


def _is_settled(move: Payload) -> bool:
    """Whether its line says what became of it."""
    return move["state"] == "cancelled" and _is_of_line(move)


def _move(move: Payload, sale: Payload | None, lines: Mapping[int, Payload]) -> Payload:
    line = id_of(move["origin"]) if _is_of_line(move) else 0
    return {
        "id": move["id"],
        "sku": move["product."]["code"],
        "units": _whole(move["quantity"]),
        "state": move["state"],
        "order": sale["id"] if sale else None,
        "line": line or None,
        "line_no": lines[line]["sequence"] if line in lines else None,
        "exception": move["sale_exception_state"] or "",
        "places": move["places"],
    }


def _whole(quantity: Decimal) -> int | Decimal:
    """A quantity as an integer where it is one."""
    whole = int(quantity)
    return whole if whole == quantity else quantity


def _raw(told: Payload) -> Raw:
    text = json.dumps(told, default=str, ensure_ascii=False)
    body = json.loads(text, parse_float=Decimal)
    changed_at = datetime.fromisoformat(told["changed_at"]).astimezone(UTC)
    return Raw(str(told["id"]), text, body, changed_at)
