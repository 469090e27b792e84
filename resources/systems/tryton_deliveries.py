"""Posting in Tryton what a warehouse says has left, in part or whole; each delivery once.

A delivery is known by our key in the `reference` of its shipment. Marking a shipment and lowering
it to what left is one call, so a marked one holds exactly what is ours, and a call broken off
anywhere is finished by the next one. What is left over becomes a new shipment there by itself.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from resources.errors import ContractBroken, Missing, Refused, RemoteError
from resources.systems.tryton_buttons import press
from resources.systems.tryton_fulfilment import Fulfilment
from resources.systems.tryton_rpc import KEY_BATCH, Payload, Session, batches
from resources.systems.tryton_shipments import OUT, SEPARATOR, Shipments, id_of

#: Asked before it packs: there is no carrier in the books, but the parcel has left.
AGREED = (".no_carrier",)
#: While it is in one of these, how much it will ship can be changed.
CHANGEABLE = ("draft", "waiting", "assigned")
OPEN = (*CHANGEABLE, "picked", "packed")
#: Cancelling the rest may leave a new rest behind where a worker there is late.
ROUNDS = 3
FIELDS = (
    *("number", "state", "reference", "warehouse", "warehouse.code", "_timestamp"),
    *("warehouse_storage", "warehouse_output"),
)


@dataclass(frozen=True)
class Parcelled:
    """A shipment with its moves to the customer; units are by SKU."""

    row: Payload
    moves: tuple[Payload, ...]

    @property
    def id(self) -> int:
        """Its id."""
        return int(self.row["id"])

    @property
    def state(self) -> str:
        """Where it stands, in Tryton's words."""
        return str(self.row["state"])

    @property
    def units(self) -> Counter[str]:
        """What it ships, or means to ship."""
        found: Counter[str] = Counter()
        for move in self.moves:
            if move["state"] != "cancelled" or self.state == "cancelled":
                found[move["product."]["code"]] += int(move["quantity"])
        return found


#: Shipments, and how many units of each SKU each is to carry.
Shares = list[tuple[Parcelled, Counter[str]]]


class Deliveries:
    """Shipments of sales, through one session."""

    def __init__(
        self,
        rpc: Session,
        shipments: Shipments,
        fulfilment: Fulfilment,
        today: Callable[[], date] | None = None,
    ) -> None:
        self.rpc, self.shipments, self.fulfilment = rpc, shipments, fulfilment
        self._today = today or self._their_today

    # What is there

    def known(self, deliveries: Sequence[Payload]) -> dict[str, Payload]:
        """What carries our keys, with its moves and whether the order's rest is settled."""
        found: dict[str, Payload] = {}
        for batch in batches(deliveries, KEY_BATCH):
            marked = self._marked([one["key"] for one in batch])
            for delivery in batch:
                mine = marked.get(delivery["key"])
                if mine:
                    found[delivery["key"]] = self._told(delivery, mine)
        return found

    def _told(self, delivery: Payload, mine: Sequence[Parcelled]) -> Payload:
        settled = not delivery["is_last"] or self._is_settled(delivery)
        return {
            "key": delivery["key"],
            "lines": delivery["lines"],
            "is_settled": settled,
            "shipments": [
                {
                    "id": one.id,
                    "number": one.row["number"],
                    "state": one.state,
                    "units": dict(one.units),
                }
                for one in mine
            ],
        }

    def _marked(self, keys: Sequence[str]) -> dict[str, list[Parcelled]]:
        rows = self.rpc.search(OUT.model, [["reference", "in", list(keys)]], FIELDS)
        found: dict[str, list[Parcelled]] = defaultdict(list)
        for one in self._with_moves(rows):
            found[one.row["reference"]].append(one)
        return found

    def _of_order(self, order: int) -> list[Parcelled]:
        rows = self.rpc.search("sale.sale", [["id", "=", order]], ("shipments",))
        if not rows:
            raise Missing(self.rpc.system, f"there is no order {order}")
        ids = rows[0]["shipments"]
        found = self.rpc.search(OUT.model, [["id", "in", ids]], FIELDS) if ids else []
        return self._with_moves(found)

    def _with_moves(self, rows: Sequence[Payload]) -> list[Parcelled]:
        names = [f"{OUT.model},{row['id']}" for row in rows]
        domain = [["shipment", "in", names], ["to_location.type", "=", "customer"]]
        fields = ("shipment", "product.code", "quantity", "state")
        moves: dict[int, list[Payload]] = defaultdict(list)
        for move in self.rpc.search("stock.move", domain, fields) if names else []:
            moves[id_of(move["shipment"])].append(move)
        return [Parcelled(row, tuple(moves[row["id"]])) for row in rows]

    # Posting

    def put(self, deliveries: Sequence[Payload]) -> dict[str, RemoteError]:
        """Post each; answers the refusals only."""
        refusals: dict[str, RemoteError] = {}
        for delivery in deliveries:
            try:
                self._post(delivery)
            except (Refused, ContractBroken) as fault:
                refusals[delivery["key"]] = fault
        return refusals

    def _post(self, delivery: Payload) -> None:
        marked = self._marked([delivery["key"]])[delivery["key"]]
        mine = [one for one in marked if one.state != "cancelled"]
        if len(mine) < len(marked) and self._under_way(mine) != wanted(delivery):
            raise self._no(delivery, "was cancelled", "cancelled")
        ready = [one.id for one in mine if one.state not in CHANGEABLE]
        for one, units in self._shares(delivery, mine):
            self._prepare(one, units, delivery)
            ready.append(one.id)
        for number in ready:
            self._bring_out(number, delivery)
        if delivery["is_last"]:
            self._settle(delivery)

    def _shares(self, delivery: Payload, mine: Sequence[Parcelled]) -> Shares:
        try:
            return self._shared_out(delivery, mine)
        except Refused:
            # Where a worker makes the shipment of the rest, it may not have come to it yet.
            with suppress(Refused):
                press(self.rpc, "sale.sale", "process", [delivery["order"]])
            return self._shared_out(delivery, mine)

    def _under_way(self, mine: Sequence[Parcelled]) -> Counter[str]:
        """Units of shipments that cannot be lowered any more."""
        fixed = [one.units for one in mine if one.state not in CHANGEABLE]
        return sum(fixed, Counter[str]())

    def _shared_out(self, delivery: Payload, mine: Sequence[Parcelled]) -> Shares:
        """Which shipments take the units that are not under way yet, and how many each.

        All of it is found before anything is touched: half a delivery helps nobody.
        """
        left = wanted(delivery)
        left.subtract(self._under_way(mine))
        if not +left and not -left:
            return []
        found: Shares = []
        skipped = Counter[str]()
        for one in self._candidates(delivery):
            part = one.units & left
            if not part:
                continue
            if one.state not in CHANGEABLE and part != one.units:
                skipped += part
                continue
            found.append((one, part))
            left.subtract(part)
        if +left or -left:
            picked = any(skipped[sku] for sku in +left) or bool(-left)
            raise self._too_many(delivery, left, picked)
        return found

    def _candidates(self, delivery: Payload) -> list[Parcelled]:
        """Open shipments of the order: our own first, then those of the place it left."""
        key, place = delivery["key"], delivery["warehouse"]
        found = [
            one
            for one in self._of_order(delivery["order"])
            if (one.row["reference"] == key and one.state in CHANGEABLE)
            or (one.state in OPEN and not self._is_of_another(one, delivery))
        ]

        def rank(one: Parcelled) -> tuple[bool, bool, bool, int]:
            elsewhere = bool(place) and one.row["warehouse."]["code"] != place
            is_mine = one.row["reference"] == key
            return not is_mine, elsewhere, one.state not in CHANGEABLE, one.id

        return sorted(found, key=rank)

    def _is_of_another(self, one: Parcelled, delivery: Payload) -> bool:
        """Whether a shipment carries a key of ours, this delivery's or another's of the order."""
        told = str(one.row["reference"] or "")
        return told.endswith(f"/{delivery['order_ref']}") and told != rest_of(delivery)

    # One shipment

    def _prepare(self, one: Parcelled, units: Counter[str], delivery: Payload) -> None:
        """Mark a shipment as ours and lower it to `units`, in one call."""
        place = delivery["warehouse"]
        if place and one.row["warehouse."]["code"] != place:
            one = self._relocated(one, delivery)
        values: dict[str, Any] = {"reference": delivery["key"], **self._facts(delivery)}
        at = one.row["_timestamp"]
        if one.state in CHANGEABLE:
            press(self.rpc, OUT.model, "wait", [one.id])
            moves, at = self._stocked(one)
            values["moves"] = [["write", [n], {"quantity": q}] for n, q in lowered(moves, units)]
        self._write(one.id, values, at)

    def _stocked(self, one: Parcelled) -> tuple[list[Payload], str]:
        """Moves that say how much is picked, and the moment they are as we read them."""
        rows = self.rpc.search(OUT.model, [["id", "=", one.id]], ("_timestamp",))
        domain = [["shipment", "=", f"{OUT.model},{one.id}"], ["state", "!=", "cancelled"]]
        fields = ("product.code", "quantity", "from_location", "to_location")
        moves = self.rpc.search("stock.move", domain, fields)
        if one.row["warehouse_storage"] != one.row["warehouse_output"]:
            moves = [move for move in moves if move["to_location"] == one.row["warehouse_output"]]
        return moves, rows[0]["_timestamp"]

    def _write(self, number: int, values: Payload, at: str) -> None:
        """Write, unless somebody changed the shipment since `at`."""
        stamp = {f"{OUT.model},{number}": at}
        self.rpc.write(f"model.{OUT.model}.write", [number], values, _timestamp=stamp)

    def _facts(self, delivery: Payload) -> Payload:
        """The day it left, which cannot be later than today there, and its tracking numbers."""
        day = min(date.fromisoformat(delivery["shipped_on"]), self._today())
        facts: dict[str, Any] = {"effective_date": day}
        if delivery["tracking_numbers"] and "shipping_reference" in self.shipments.parcel_fields():
            facts["shipping_reference"] = SEPARATOR.join(delivery["tracking_numbers"])
        return facts

    def _relocated(self, one: Parcelled, delivery: Payload) -> Parcelled:
        """Let a shipment leave from the place the goods left; only a draft can be moved."""
        theirs, place = one.row["warehouse."]["code"], delivery["warehouse"]
        domain = [["type", "=", "warehouse"], ["code", "=", place]]
        fields = ("storage_location", "picking_location", "output_location")
        found = self.rpc.search("stock.location", domain, fields)
        if len(found) != 1:
            raise Missing(self.rpc.system, f"there is no single warehouse {place!r}")
        to = found[0]
        try:
            if one.state == "assigned":
                press(self.rpc, OUT.model, "wait", [one.id])
            if one.state != "draft":
                press(self.rpc, OUT.model, "draft", [one.id])
            rooms = {
                "warehouse": to["id"],
                "warehouse_storage": to["picking_location"] or to["storage_location"],
                "warehouse_output": to["output_location"],
            }
            leaving = {"from_location": to["output_location"]}
            ids = [move["id"] for move in one.moves]
            values = {"reference": delivery["key"], **rooms, "moves": [["write", ids, leaving]]}
            self.rpc.write(f"model.{OUT.model}.write", [one.id], values)
        except Refused as fault:
            words = f"is to leave {theirs!r}, and left {place!r}: {fault.message}"
            raise self._no(delivery, words, "other_warehouse") from fault
        return Parcelled({**one.row, **rooms, "state": "draft"}, one.moves)

    def _bring_out(self, number: int, delivery: Payload) -> None:
        """Press what is still to be pressed until it is done."""
        (row,) = self.rpc.search(OUT.model, [["id", "=", number]], FIELDS)
        has_two_rooms = row["warehouse_storage"] != row["warehouse_output"]
        if row["state"] == "waiting":
            row["state"] = self._assigned(number, delivery)
        steps = {
            "assigned": ("pick", "picked") if has_two_rooms else ("pack", "packed"),
            "picked": ("pack", "packed"),
            "packed": ("do", "done"),
            "shipped": ("do", "done"),
        }
        while row["state"] in steps:
            button, row["state"] = steps[row["state"]]
            press(self.rpc, OUT.model, button, [number], AGREED)

    def _assigned(self, number: int, delivery: Payload) -> str:
        """Assign what is there, and what is short in the books only: the goods have left."""
        press(self.rpc, OUT.model, "assign_try", [number])
        (row,) = self.rpc.search(OUT.model, [["id", "=", number]], ("state",))
        if row["state"] == "waiting":
            try:
                press(self.rpc, OUT.model, "assign_force", [number])
            except Refused as fault:
                words = f"has left, but is not in stock there: {fault.message}"
                raise self._no(delivery, words, "not_in_stock") from fault
        return "assigned"

    # What will never be shipped

    def _settle(self, delivery: Payload) -> None:
        """Cancel what is still open, and tell the sale not to wait for it."""
        order, mark = delivery["order"], {"reference": rest_of(delivery)}
        for _ in range(ROUNDS):
            for one in self._rest(delivery):
                # Marked as ours: that the rest is not shipped is no news when we read it again.
                self.rpc.write(f"model.{OUT.model}.write", [one.id], mark)
                press(self.rpc, OUT.model, "cancel", [one.id])
            if self._shipment_state(order) == "exception":
                # The same wizard that calls an order off.
                self.fulfilment._ignore(order, "shipment", "moves")
            if self._is_settled(delivery):
                return
            press(self.rpc, "sale.sale", "process", [order])
        raise self._no(delivery, "was the last, but the order waits for more", "rest_open")

    def _rest(self, delivery: Payload) -> list[Parcelled]:
        return [
            one
            for one in self._of_order(delivery["order"])
            if one.state in OPEN and not self._is_of_another(one, delivery)
        ]

    def _is_settled(self, delivery: Payload) -> bool:
        """Whether the sale waits for nothing but deliveries of ours that are under way."""
        open_ones = [one for one in self._of_order(delivery["order"]) if one.state in OPEN]
        if any(not self._is_of_another(one, delivery) for one in open_ones):
            return False
        state = self._shipment_state(delivery["order"])
        return state in ("sent", "none") or (bool(open_ones) and state != "exception")

    def _shipment_state(self, order: int) -> str:
        rows = self.rpc.search("sale.sale", [["id", "=", order]], ("shipment_state",))
        return str(rows[0]["shipment_state"])

    def _their_today(self) -> date:
        return date.fromisoformat(self.rpc.read("model.ir.date.today"))

    # Refusals

    def _too_many(self, delivery: Payload, left: Counter[str], picked: bool) -> Refused:
        if picked:
            words = "is picked there with other units than have left"
            return self._no(delivery, words, "picked_otherwise")
        more = ", ".join(f"{count} of {sku}" for sku, count in sorted((+left).items()))
        return self._no(delivery, f"is more than the order has open: {more}", "over_delivered")

    def _no(self, delivery: Payload, words: str, code: str) -> Refused:
        return Refused(self.rpc.system, f"delivery {delivery['key']} {words}", code=code)


def wanted(delivery: Payload) -> Counter[str]:
    """The units of a delivery by SKU."""
    found: Counter[str] = Counter()
    for line in delivery["lines"]:
        found[line["sku"]] += line["units"]
    return found


def rest_of(delivery: Payload) -> str:
    """The reference of what is left of an order and will not be shipped."""
    return f"rest/{delivery['order_ref']}"


def lowered(moves: Sequence[Mapping[str, Any]], units: Counter[str]) -> list[tuple[int, int]]:
    """How many each move is to carry so that they carry `units`, the earlier ones first."""
    left = Counter(units)
    found: list[tuple[int, int]] = []
    for move in moves:
        sku = move["product."]["code"]
        part = min(int(move["quantity"]), left[sku])
        left[sku] -= part
        found.append((move["id"], part))
    return found
