"""Booking in Tryton's stock what came back of an order: each unit once, whoever booked it.

What becomes of units decides where they are received: on the shelf, in a place kept apart, or in
the input, from where an internal shipment writes them off. A receipt names as origin the move by
which the goods left, so it belongs to the order; the wizard for returns there would make a sale
with a credit note of its own as well.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from resources.errors import ContractBroken, Missing, Refused, RemoteError
from resources.systems import tryton_receipts
from resources.systems.tryton_buttons import press
from resources.systems.tryton_receipts import DISPOSITIONS, Book, Receipt, Units, reference_of
from resources.systems.tryton_rpc import Payload, Session
from resources.systems.tryton_shipments import BACK, OUT, id_of

INTERNAL = "stock.shipment.internal"
ROOM_FIELDS = (
    *("code", "input_location", "storage_location", "lost_found_location", "waste_locations"),
)


class Restocks:
    """Receipts of goods that came back, through one session."""

    def __init__(
        self, rpc: Session, quarantine: Collection[str], today: Callable[[], date] | None = None
    ) -> None:
        self.rpc, self.quarantine = rpc, sorted(quarantine)
        self._today = today or self._their_today

    # What is there

    def known(self, restocks: Sequence[Payload]) -> dict[str, Payload]:
        """What is booked of each, by us or by others; what nobody began is absent."""
        found: dict[str, Payload] = {}
        for restock in restocks:
            with suppress(Missing):
                told = self._told(restock)
                found |= {restock["key"]: told} if told else {}
        return found

    def _told(self, restock: Payload) -> Payload | None:
        key = restock["key"]
        book = self._book(restock)
        own = book.own(key)
        wanted = units_wanted(restock, book.products)
        receipts = [one for kind in DISPOSITIONS for one in own.get(kind, ())]
        others = [one for one in book.receipts if key in one.claims]
        asked = sum(wanted.values(), Counter[int]())
        free = [one for one, units in book.unclaimed() if units & asked and one not in others]
        if not (receipts or others or free):
            return None
        missing = units_missing(wanted, own, book.claimed(key))
        sku_of = {product: sku for sku, product in book.products.items()}
        return {
            "key": key,
            "receipts": [_shown(one) for one in (*receipts, *others, *free)],
            "is_cancelled": bool(receipts) and all(_is_cancelled(one) for one in receipts),
            "is_complete": not missing and self._is_at_its_end(key, own),
            "taken_back": {sku_of[n]: units for n, units in book.taken_back.items() if n in sku_of},
        }

    def _is_at_its_end(self, key: str, own: Mapping[str, Sequence[Receipt]]) -> bool:
        receipts = [one for found in own.values() for one in found]
        if any(one.row["state"] != "done" for one in receipts):
            return False
        lost = sum((one.units for one in own.get("write_off", ())), Counter[int]())
        return not lost or not lost - self._written_off(key, only_done=True)

    def _book(self, restock: Payload) -> Book:
        return tryton_receipts.read(self.rpc, restock["order"], restock["order_ref"])

    # Booking

    def put(self, restocks: Sequence[Payload]) -> dict[str, RemoteError]:
        """Book each; answers the refusals only."""
        refusals: dict[str, RemoteError] = {}
        for restock in restocks:
            try:
                self._post(restock)
            except (Refused, ContractBroken) as fault:
                refusals[restock["key"]] = fault
        return refusals

    def _post(self, restock: Payload) -> None:
        key = restock["key"]
        book = self._book(restock)
        own = book.own(key)
        if any(_is_cancelled(one) for found in own.values() for one in found):
            raise self._no(restock, "was cancelled", "cancelled")
        wanted = units_wanted(restock, book.products)
        self._see_that_it_left(restock, book)
        missing = units_missing(wanted, own, book.claimed(key))
        if missing:
            claimed = self._claim(restock, book, sum(missing.values(), Counter[int]()))
            missing = units_missing(wanted, own, book.claimed(key) + claimed)
        self._receive(restock, book, missing)
        self._bring_in(restock)

    def _see_that_it_left(self, restock: Payload, book: Book) -> None:
        for line in restock["lines"]:
            if line["sku"] not in book.products and any(line[kind] for kind in DISPOSITIONS):
                words = f"names {line['sku']!r}, which never left for this order"
                raise self._no(restock, words, "not_shipped")

    def _claim(self, restock: Payload, book: Book, wanted: Units) -> Units:
        """Count as ours what somebody else has booked already; nothing is moved for that."""
        claimed: Units = Counter()
        for one, free in book.unclaimed():
            part = free & (wanted - claimed)
            if part:
                note = {"reference": one.claiming(restock["key"], part)}
                stamp = {f"{BACK.model},{one.id}": one.row["_timestamp"]}
                self.rpc.write(f"model.{BACK.model}.write", [one.id], note, _timestamp=stamp)
                claimed += part
        return claimed

    def _receive(self, restock: Payload, book: Book, missing: Mapping[str, Units]) -> None:
        """Make a receipt for each thing that becomes of units; all places are found first."""
        if not missing:
            return
        rooms = self._rooms(restock, book)
        places = {kind: self._place(kind, rooms, restock) for kind in missing}
        values = []
        planned: Units = Counter()
        for kind, units in missing.items():
            gone = [
                part for n, count in units.items() for part in book.gone_by(n, count, planned[n])
            ]
            if sum(count for _, count in gone) < sum(units.values()):
                words = "is more than has left and is not back yet"
                raise self._no(restock, words, "over_returned")
            planned += units
            values.append(self._receipt(restock, rooms, places[kind], kind, gone))
        self.rpc.write(f"model.{BACK.model}.create", values)

    def _receipt(
        self,
        restock: Payload,
        rooms: Payload,
        place: int,
        kind: str,
        gone: Sequence[tuple[Payload, int]],
    ) -> Payload:
        return {
            "company": gone[0][0]["company"],
            "customer": self._customer(gone[0][0]),
            "warehouse": rooms["id"],
            # One place for both: what came in lies at once where it belongs.
            "warehouse_input": place,
            "warehouse_storage": place,
            "reference": reference_of(restock["key"], kind),
            "effective_date": self._day(restock),
            "incoming_moves": [["create", [_incoming(move, n, place) for move, n in gone]]],
        }

    def _customer(self, move: Payload) -> int:
        fields = ("customer",)
        (row,) = self.rpc.search(OUT.model, [["id", "=", id_of(move["shipment"])]], fields)
        return int(row["customer"])

    def _day(self, restock: Payload) -> date:
        return min(date.fromisoformat(restock["received_on"]), self._today())

    # Places

    def _rooms(self, restock: Payload, book: Book) -> Payload:
        """The warehouse they came to; where none is named, the one they had left."""
        domain: list[Any] = [["type", "=", "warehouse"], ["code", "=", restock["warehouse"]]]
        if not restock["warehouse"]:
            skus = {line["sku"] for line in restock["lines"]}
            move = next(one for one in book.left if one["product."]["code"] in skus)
            shipment = [["id", "=", id_of(move["shipment"])]]
            (row,) = self.rpc.search(OUT.model, shipment, ("warehouse",))
            domain = [["id", "=", row["warehouse"]]]
        found = self.rpc.search("stock.location", domain, ROOM_FIELDS)
        if len(found) != 1:
            raise Missing(self.rpc.system, f"there is no single warehouse {restock['warehouse']!r}")
        return found[0]

    def _place(self, kind: str, rooms: Payload, restock: Payload) -> int:
        if kind == "refurbish":
            domain = [
                ["code", "in", self.quarantine],
                ["parent", "child_of", [rooms["id"]], "parent"],
            ]
            found = self.rpc.search("stock.location", domain, ("code",)) if self.quarantine else []
            if not found:
                words = f"is to be kept apart, and {rooms['code']!r} has no place for that"
                raise self._no(restock, words, "no_quarantine_place")
            return int(found[0]["id"])
        if kind == "write_off":
            self._place_of_loss(rooms, restock)
        return int(rooms["storage_location" if kind == "restock" else "input_location"])

    def _place_of_loss(self, rooms: Payload, restock: Payload) -> int:
        places = [*rooms["waste_locations"], rooms["lost_found_location"]]
        if places[0] is None:
            words = f"is to be written off, and {rooms['code']!r} has no place for losses"
            raise self._no(restock, words, "no_write_off_place")
        return int(places[0])

    # Moving

    def _bring_in(self, restock: Payload) -> None:
        book = self._book(restock)
        own = book.own(restock["key"])
        for one in (one for found in own.values() for one in found):
            if one.row["state"] == "draft":
                press(self.rpc, BACK.model, "receive", [one.id])
            if one.row["state"] == "received":
                press(self.rpc, BACK.model, "do", [one.id])
        if "write_off" in own:
            self._write_off(restock, book, own["write_off"])

    def _write_off(self, restock: Payload, book: Book, receipts: Sequence[Receipt]) -> None:
        """Take what is of no more use out of the stock, by a shipment within the house."""
        units = sum((one.units for one in receipts), Counter[int]())
        left = units - self._written_off(restock["key"], only_done=False)
        if left:
            self._make_loss(restock, book, receipts[0], left)
        for row in self._losses(restock["key"]):
            self._bring_away(row, restock)

    def _make_loss(self, restock: Payload, book: Book, receipt: Receipt, units: Units) -> None:
        start = receipt.moves[0]["to_location"]
        end = self._place_of_loss(self._rooms(restock, book), restock)
        way = {"from_location": start, "to_location": end, "company": receipt.moves[0]["company"]}
        unit_of = {move["product"]: move["unit"] for move in receipt.moves}
        moves = [
            {**way, "product": product, "unit": unit_of[product], "quantity": count}
            for product, count in units.items()
        ]
        day = self._day(restock)
        values = {
            **way,
            "reference": reference_of(restock["key"], "write_off"),
            "effective_date": day,
            "effective_start_date": day,
            "moves": [["create", moves]],
        }
        self.rpc.write(f"model.{INTERNAL}.create", [values])

    def _bring_away(self, row: Payload, restock: Payload) -> None:
        ids = [row["id"]]
        if row["state"] == "cancelled":
            raise self._no(restock, "was written off, and that was cancelled", "cancelled")
        if row["state"] == "draft":
            press(self.rpc, INTERNAL, "wait", ids)
        if row["state"] in ("draft", "waiting"):
            press(self.rpc, INTERNAL, "assign_try", ids)
        if row["state"] != "done":
            press(self.rpc, INTERNAL, "do", ids)

    def _losses(self, key: str) -> list[Payload]:
        domain = [["reference", "=", reference_of(key, "write_off")]]
        return self.rpc.search(INTERNAL, domain, ("state",))

    def _written_off(self, key: str, *, only_done: bool) -> Units:
        states = ("done",) if only_done else ("draft", "waiting", "assigned", "done")
        names = [f"{INTERNAL},{row['id']}" for row in self._losses(key) if row["state"] in states]
        found: Units = Counter()
        domain = [["shipment", "in", names]]
        for move in self.rpc.search("stock.move", domain, ("product", "quantity")) if names else []:
            found[move["product"]] += int(move["quantity"])
        return found

    def _their_today(self) -> date:
        return date.fromisoformat(self.rpc.read("model.ir.date.today"))

    def _no(self, restock: Payload, words: str, code: str) -> Refused:
        return Refused(self.rpc.system, f"return {restock['key']} {words}", code=code)


def units_wanted(restock: Payload, products: Mapping[str, int]) -> dict[str, Units]:
    """Units of the products that left, by what is to become of them."""
    wanted: dict[str, Units] = {kind: Counter() for kind in DISPOSITIONS}
    for line in restock["lines"]:
        for kind in DISPOSITIONS:
            if line["sku"] in products and line[kind]:
                wanted[kind][products[line["sku"]]] += line[kind]
    return wanted


def units_missing(
    wanted: Mapping[str, Units], own: Mapping[str, Sequence[Receipt]], claimed: Units
) -> dict[str, Units]:
    """Units that neither a receipt of ours nor a claimed one of others holds."""
    missing: dict[str, Units] = {}
    for kind in DISPOSITIONS:
        need = wanted[kind] - sum((one.units for one in own.get(kind, ())), Counter[int]())
        taken = need & claimed
        claimed = claimed - taken
        if need - taken:
            missing[kind] = need - taken
    return missing


def _incoming(move: Payload, units: int, place: int) -> Payload:
    same = ("product", "unit", "unit_price", "currency", "company")
    return {
        **{name: move[name] for name in same},
        "quantity": units,
        "from_location": move["to_location"],
        "to_location": place,
        "origin": f"stock.move,{move['id']}",
    }


def _is_cancelled(one: Receipt) -> bool:
    return bool(one.row["state"] == "cancelled")


def _shown(one: Receipt) -> Payload:
    return {name: one.row[name] for name in ("id", "number", "state", "reference")}
