"""What left of an order and what came back of it, as Tryton's stock has it: one book per order.

A receipt is ours by its `reference`: "us:1042:r1" to the shelf, "us:1042:r1/refurbish" and
"us:1042:r1/write_off" elsewhere. One that somebody else booked can be counted as ours in part:
"RMA-7 us:1042:r1[17x1]" says that one unit of product 17 in it belongs to our return.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.errors import Missing
from resources.systems.tryton_rpc import Payload, Session
from resources.systems.tryton_shipments import BACK, CLAIM, OUT, id_of

#: What becomes of units, in the order in which units booked by others are taken for ours.
DISPOSITIONS = ("restock", "refurbish", "write_off")
RECEIPT_FIELDS = ("number", "state", "reference", "_timestamp")
MOVE_FIELDS = (
    *("product", "product.code", "quantity", "unit", "unit_price", "currency", "company"),
    *("state", "shipment", "origin", "sale", "to_location", "from_location.type"),
)
#: Units by the id of the product.
Units = Counter[int]


@dataclass(frozen=True)
class Receipt:
    """A return shipment with its moves from the customer."""

    row: Payload
    moves: tuple[Payload, ...]

    @property
    def id(self) -> int:
        """Its id."""
        return int(self.row["id"])

    @property
    def reference(self) -> str:
        """What stands in its reference; nothing: empty."""
        return self.row["reference"] or ""

    @property
    def units(self) -> Units:
        """What comes in by it, or came."""
        return _sum(move for move in self.moves if move["state"] != "cancelled")

    @property
    def received(self) -> Units:
        """What came in by it."""
        return _sum(move for move in self.moves if move["state"] == "done")

    @property
    def claims(self) -> dict[str, Units]:
        """Units of it that we count as ours, by our key."""
        return {
            found["key"]: Counter(
                {int(n): int(q) for n, q in (part.split("x") for part in found["units"].split(","))}
            )
            for found in CLAIM.finditer(self.reference)
        }

    def claiming(self, key: str, more: Units) -> str:
        """Its reference with units more that belong to a return of ours."""
        units = self.claims.get(key, Counter()) + more
        note = f"{key}[{','.join(f'{number}x{count}' for number, count in sorted(units.items()))}]"
        told = [word for word in self.reference.split(" ") if not word.startswith(f"{key}[")]
        return " ".join([*(word for word in told if word), note])


@dataclass(frozen=True)
class Book:
    """Moves by which goods of an order left, and all receipts of goods that came back."""

    left: tuple[Payload, ...]
    receipts: tuple[Receipt, ...]
    order_ref: str

    @property
    def products(self) -> dict[str, int]:
        """Products that left, by SKU."""
        return {move["product."]["code"]: move["product"] for move in self.left}

    @property
    def taken_back(self) -> Units:
        """Units that are back, whoever booked them."""
        return sum((one.received for one in self.receipts), Counter[int]())

    def own(self, key: str) -> dict[str, list[Receipt]]:
        """Receipts of our own for a return, by what becomes of the units."""
        names = {reference_of(key, kind): kind for kind in DISPOSITIONS}
        found: dict[str, list[Receipt]] = defaultdict(list)
        for one in self.receipts:
            if one.reference in names:
                found[names[one.reference]].append(one)
        return found

    def unclaimed(self) -> Iterator[tuple[Receipt, Units]]:
        """Receipts of others, with the units of them that are no return of ours yet."""
        for one in self.receipts:
            is_ours = one.reference.startswith(f"{self.order_ref}:") and not one.claims
            free = one.received
            for taken in one.claims.values():
                free = free - taken
            if free and not is_ours:
                yield one, free

    def claimed(self, key: str) -> Units:
        """Units that others booked and that we count as this return's."""
        return sum((one.claims.get(key, Counter()) for one in self.receipts), Counter[int]())

    def gone_by(self, product: int, units: int, planned: int) -> list[tuple[Payload, int]]:
        """The moves by which the next units to come back have left; fewer than asked if need be.

        Skipped are those behind the receipts that are there, and `planned` ones.
        """
        skip = planned + sum(one.units[product] for one in self.receipts)
        found: list[tuple[Payload, int]] = []
        for move in self.left:
            if move["product"] == product:
                there = int(move["quantity"])
                part = max(0, min(there - skip, units))
                skip = max(0, skip - there)
                units -= part
                found += [(move, part)] if part else []
        return found


def reference_of(key: str, kind: str) -> str:
    """The reference of our receipt for units that become `kind`."""
    return key if kind == DISPOSITIONS[0] else f"{key}/{kind}"


def _sum(moves: Iterator[Mapping[str, Any]]) -> Units:
    found: Units = Counter()
    for move in moves:
        found[move["product"]] += int(move["quantity"])
    return found


def read(rpc: Session, order: int, order_ref: str) -> Book:
    """The book of one order; a return made as a sale of its own names the order as its origin."""
    domain = ["OR", ["id", "=", order], ["origin", "=", f"sale.sale,{order}"]]
    sales = [row["id"] for row in rpc.search("sale.sale", domain, ("state",))]
    if order not in sales:
        raise Missing(rpc.system, f"there is no order {order}")
    moves = rpc.search("stock.move", [["sale", "in", sales]], MOVE_FIELDS)
    left = [move for move in moves if _has_left(move, order)]
    names = [f"stock.move,{move['id']}" for move in left]
    if names:
        moves += rpc.search("stock.move", [["origin", "in", names]], MOVE_FIELDS)
    return Book(tuple(left), tuple(_receipts(rpc, moves)), order_ref)


def _has_left(move: Payload, order: int) -> bool:
    is_outward = str(move["shipment"]).startswith(f"{OUT.model},")
    return bool(move["sale"] == order and is_outward and move["state"] == "done")


def _receipts(rpc: Session, moves: Sequence[Payload]) -> Iterator[Receipt]:
    back: dict[int, list[Payload]] = defaultdict(list)
    for move in moves:
        is_receipt = str(move["shipment"]).startswith(f"{BACK.model},")
        if is_receipt and move["from_location."]["type"] == "customer":
            back[id_of(move["shipment"])].append(move)
    rows = rpc.search(BACK.model, [["id", "in", sorted(back)]], RECEIPT_FIELDS) if back else []
    for row in rows:
        yield Receipt(row, tuple(back[row["id"]]))
