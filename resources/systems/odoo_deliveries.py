"""Deliveries of an Odoo database: what left is read, and what others shipped is posted, once.

A posting is looked for by our mark first; each step looks at what is there, so that a call broken
off half way is finished by the next one. When goods left is not told to Odoo: it dates a parcel by
the moment it is validated. The carrier is not set either: some would order a label of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from resources.errors import ContractBroken, Missing, Refused, RemoteError, UnknownOutcome
from resources.pages import Broken, Raw
from resources.systems.odoo_kits import many2one
from resources.systems.odoo_parcels import MOVE, OPEN, PICKING, Parcels, raw
from resources.systems.odoo_transfers import carry
from resources.systems.odoo_units import by_sku, done_by_sku, less, moves_for, shares_of, units_of
from resources.systems.roles import Payload

OUTGOING: list[Any] = [
    ["sale_id", "!=", False],
    ["picking_type_code", "=", "outgoing"],
    ["location_dest_id.usage", "=", "customer"],
]
#: A parcel is done in each round; more would mean that Odoo answers yes and does nothing.
ROUNDS = 25
Stage = list[Payload]
#: A parcel and what it shall give, in units by order line.
Given = tuple[Payload, dict[int, int]]


class Deliveries:
    """Outgoing parcels of sales orders, through one session."""

    def __init__(self, parcels: Parcels) -> None:
        self.parcels, self.session = parcels, parcels.session

    def changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Raw | Broken]]:
        """Yield pages of parcels to customers that changed, oldest change first."""
        return self.parcels.changed_since(OUTGOING, moment, overlap)

    def of_orders(self, orders: Sequence[int]) -> list[Raw | Broken]:
        """The parcels to customers of these orders, in any state."""
        return [raw(parcel) for parcel in self.parcels.of_orders(orders) if _is_out(parcel)]

    def held(self, deliveries: Sequence[Payload]) -> dict[str, Payload]:
        """What is there of deliveries, by key: done as soon as all of it was moved."""
        every = self.parcels.of_orders([delivery["order"] for delivery in deliveries])
        found: dict[str, Payload] = {}
        for delivery in deliveries:
            parcels = _of(every, delivery["order"])
            marked = _marked(parcels, delivery["key"])
            # One that only calls the rest off leaves no parcel of its own.
            if marked or (parcels and not delivery["units"]):
                found[delivery["key"]] = self._told(delivery, parcels, marked)
        return found

    def _told(self, delivery: Payload, parcels: Stage, marked: Stage) -> Payload:
        is_left = bool(_left(delivery, parcels)) or (delivery["last"] and bool(_open(parcels)))
        is_cancelled = bool(marked) and all(parcel["state"] == "cancel" for parcel in marked)
        first = (marked or parcels)[0]
        return {
            "key": delivery["key"],
            "id": first["id"],
            "name": first["name"],
            "state": "cancelled" if is_cancelled else "begun" if is_left else "done",
            "units": done_by_sku(marked),
            "parcels": [parcel["name"] for parcel in marked],
        }

    def put(self, deliveries: Sequence[Payload]) -> dict[str, RemoteError]:
        """Post what left and is not posted yet; answers the refusals only."""
        refused: dict[str, RemoteError] = {}
        for delivery in {one["key"]: one for one in deliveries}.values():
            try:
                self._post(delivery)
            except (Refused, ContractBroken) as fault:
                refused[delivery["key"]] = fault
        return refused

    def _post(self, delivery: Payload) -> None:
        for _ in range(ROUNDS):
            parcels = self.parcels.of_orders([delivery["order"]])
            left = _left(delivery, parcels)
            if not left:
                return self._settle(delivery, parcels)
            self._step(delivery, parcels, left)
        text = "the ERP answered yes to every step but the goods have not moved"
        raise UnknownOutcome(self.session.system, text, code="unmoved")

    def _step(self, delivery: Payload, parcels: Stage, left: Mapping[str, int]) -> None:
        """Carry out one parcel: the last that still lacks goods gets them first."""
        shelf = self._other_shelf(delivery, parcels)
        stages = _stages(parcels)
        if shelf is not None:
            stages = [sorted(stages[0], key=lambda parcel: parcel["from"] != shelf)]
        self._check_enough(delivery, parcels, stages, left)
        parcel, units = _next(stages, left) or _any(stages, left)
        self._carry(delivery, parcels, parcel, units, shelf)

    def _check_enough(
        self, delivery: Payload, parcels: Stage, stages: list[Stage], left: Mapping[str, int]
    ) -> None:
        """All or nothing: what cannot be posted in full is not begun."""
        if not parcels:
            self._check_order(delivery["order"])
        # Of parcels that wait for an earlier step the goods are counted once, at the end.
        waits = any(move["state"] == "waiting" for p in stages[0] for move in p["moves"])
        open_: dict[str, int] = {}
        for parcel in stages[0] if waits else [p for stage in stages for p in stage]:
            for sku, units in by_sku(parcel, units_of(parcel, "demand", OPEN)).items():
                open_[sku] = open_.get(sku, 0) + units
        short = less(left, open_)
        if short:
            what = ", ".join(f"{units} of {sku}" for sku, units in sorted(short.items()))
            raise self._over(f"more left than is open in order {delivery['order']}: {what}")

    def _check_order(self, order: int) -> None:
        rows = self.session.rows("sale.order", [["id", "=", order]], ["state"])
        if not rows:
            raise Missing(self.session.system, f"order {order} is not there")
        if rows[0]["state"] not in ("sale", "done"):
            text = f"order {order} is {rows[0]['state']!r}, nothing of it can leave"
            raise Refused(self.session.system, text, code="not_confirmed")

    def _over(self, text: str) -> Refused:
        return Refused(self.session.system, text, code="over_delivered")

    def _carry(
        self,
        delivery: Payload,
        parcels: Stage,
        parcel: Payload,
        units: Mapping[int, int],
        shelf: int | None,
    ) -> None:
        open_ = {move["id"]: move["demand"] for move in parcel["moves"] if move["state"] in OPEN}
        pieces = moves_for(parcel, units, open_)
        if _is_out(parcel):
            self._mark(delivery, parcels, parcel)
            away = [move["id"] for move in parcel["moves"] if move["from"] != shelf]
            if shelf is not None and (ids := [id_ for id_ in away if id_ in pieces]):
                self._relocate(ids, shelf)
        carry(self.session, parcel, pieces)

    def _mark(self, delivery: Payload, parcels: Stage, parcel: Payload) -> None:
        """Say whose posting it is; the rest of one of ours needs a mark that is no copy."""
        earlier = [one for one in _marked(parcels, delivery["key"]) if one["state"] == "done"]
        mark = f"{delivery['key']}#{len(earlier) + 1}" if earlier else delivery["key"]
        values = {"origin": self.parcels.marked(parcel["origin"], mark)}
        if delivery["tracking"]:
            values["carrier_tracking_ref"] = delivery["tracking"]
        self.session.write(PICKING, "write", [[parcel["id"]], values])

    # Goods that left another warehouse than the order's

    def _other_shelf(self, delivery: Payload, parcels: Stage) -> int | None:
        """The shelf of the warehouse the goods left, where it is not the parcels' own."""
        if not delivery["warehouse"]:
            return None
        named = self.parcels.warehouse(delivery["warehouse"])
        if all(p["warehouse_id"] == named["id"] for p in _open(parcels)):
            return None
        return many2one(named["lot_stock_id"])

    def _relocate(self, moves: list[int], place: int) -> None:
        """Let moves take from another place; what they hold of the old one is freed first."""
        self.session.write(MOVE, "write", [moves, {"quantity": 0}])
        self.session.write(MOVE, "write", [moves, {"location_id": place}])

    def _settle(self, delivery: Payload, parcels: Stage) -> None:
        """Once all is moved: put the rest back to its own shelf, or call it off."""
        rest = _open(parcels)
        if delivery["last"]:
            if rest:
                ids = [parcel["id"] for parcel in rest]
                self.session.write(PICKING, "action_cancel", [ids])
            return
        ours = {parcel["id"] for parcel in _marked(parcels, delivery["key"])}
        for parcel in rest if delivery["warehouse"] else ():
            moves = [m["id"] for m in parcel["moves"] if m["from"] != parcel["from"]]
            if parcel["backorder_of"] in ours and moves:
                self._relocate(moves, parcel["from"])
                self.session.write(PICKING, "action_assign", [[parcel["id"]]])


def _of(parcels: Stage, order: int) -> Stage:
    return [parcel for parcel in parcels if parcel["order"] and parcel["order"]["id"] == order]


def _is_out(parcel: Payload) -> bool:
    return bool(parcel["kind"] == "outgoing" and parcel["to_customer"])


def _marked(parcels: Stage, key: str) -> Stage:
    return [parcel for parcel in parcels if parcel["ours"] == key and _is_out(parcel)]


def _open(parcels: Stage) -> Stage:
    """What of an order may still leave, steps inside the warehouse included."""
    alive = [parcel for parcel in parcels if parcel["state"] in (*OPEN, "draft")]
    return [p for p in alive if not p["return_of"] and (_is_out(p) or p["kind"] == "internal")]


def _left(delivery: Payload, parcels: Stage) -> dict[str, int]:
    """Units by SKU that our parcels have not moved yet."""
    return less(delivery["units"], done_by_sku(_marked(parcels, delivery["key"])))


def _stages(parcels: Stage) -> list[Stage]:
    """Open parcels by step, those to the customer first, then whatever leads up to them."""
    open_ = _open(parcels)
    stages = [[parcel for parcel in open_ if _is_out(parcel)]]
    inside = [parcel for parcel in open_ if not _is_out(parcel)]
    while inside:
        sources = {parcel["from"] for parcel in inside}
        last = [parcel for parcel in inside if parcel["to"] not in sources] or inside
        stages.append(last)
        inside = [parcel for parcel in inside if parcel not in last]
    return stages


def _next(stages: list[Stage], left: Mapping[str, int]) -> Given | None:
    """The parcel to carry out next: nearest to the customer, once all it shall give is there."""
    for place, stage in enumerate(stages):
        is_first = place + 1 == len(stages)
        given, short = _given(stage, left, "demand" if is_first else "quantity"), left
        for parcel, units in given:
            short = less(short, by_sku(parcel, units))
        if given and (is_first or not short):
            return given[0]
        left = short
    return None


def _any(stages: list[Stage], left: Mapping[str, int]) -> Given:
    """A parcel that can give something, whatever Odoo has reserved: the goods have left."""
    return next(given for stage in stages for given in _given(stage, left, "demand"))


def _given(stage: Stage, wanted: Mapping[str, int], of: str) -> list[Given]:
    """Which parcels of a step give which units, oldest first."""
    left, given = dict(wanted), []
    for parcel in stage:
        units = shares_of(parcel, left, units_of(parcel, of, OPEN))
        if units:
            given.append((parcel, units))
            left = less(left, by_sku(parcel, units))
    return given
