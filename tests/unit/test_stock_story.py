"""Random histories of a shop, an ERP and our readings of it: no piece is ever promised twice.

The ERP is modelled in numbers; what we know of it are readings that begin at one moment and arrive
at a later one, out of order or twice, and answers that arrive after the fact. The rules are the
product's own. Customers buy at most what their channel shows.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sync_assets.domain.explaining import Component, SkuFacts, StockAt, sellable
from sync_assets.domain.orders import OrderState
from sync_assets.domain.policy import Policy
from sync_assets.domain.reservations import OrderFacts, picked, reservation
from tests.effort import at_most
from tests.stock_facts import policy

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
GOODS, KIT = ("MUG", "TEA"), "SET"
COMPONENTS = {KIT: [("MUG", Decimal(1)), ("TEA", Decimal(2))]}
SHIPS_FROM = {"eu": "paris", "uk": "paris", "us": "lyon"}
#: Channels that sell from different places share out every piece; those that sell from the same
#: places may all see the same ones.
POLICIES = (
    policy(
        {
            "eu": {"locations": ["paris"]},
            "uk": {"locations": ["lyon", "paris"], "priority": 1},
            "us": {"locations": ["lyon"]},
        },
        places=("lyon", "paris"),
        divide_below_units=None,
    ),
    *(
        policy(
            {name: {"locations": ["lyon", "paris"]} for name in SHIPS_FROM},
            places=("lyon", "paris"),
            divide_below_units=below,
        )
        for below in (0, 8)
    ),
)


@dataclass
class Order:
    """An order as its shop and the ERP have it."""

    ref: str
    channel: str
    wanted: dict[str, int]
    state: OrderState
    placed_at: datetime
    changed_at: datetime
    held: dict[str, int] = field(default_factory=dict)  # by the ERP, not shipped
    document: dict[str, int] = field(default_factory=dict)
    answered_at: datetime | None = None

    @property
    def place(self) -> str:
        """Where it ships from."""
        return SHIPS_FROM[self.channel]


@dataclass(frozen=True)
class Reading:
    """What the ERP said of one location, true when the reading began."""

    place: str
    began_at: datetime
    levels: dict[str, StockAt]


ENDED = (OrderState.CANCELLED, OrderState.COMPLETED)


class StockStory(RuleBasedStateMachine):
    """A history, one event at a time."""

    policy: Policy

    @initialize(
        policy=st.sampled_from(POLICIES),
        units=st.lists(st.integers(0, 12), min_size=4, max_size=4),
    )
    def begin(self, policy: Policy, units: list[int]) -> None:
        """Stock is there, and was read."""
        self.now, self.policy = START, policy
        cells = [(sku, place) for sku in GOODS for place in ("lyon", "paris")]
        self.on_hand = dict(zip(cells, units, strict=True))
        self.quarantined = dict.fromkeys(cells, 0)
        self.orders: list[Order] = []
        self.under_way: list[Reading] = []
        self.known: dict[str, Reading] = {}
        for place in ("lyon", "paris"):
            self.arrives(self.reading(place))

    # ---------------------------------------------------------------- what we know

    def reading(self, place: str) -> Reading:
        """Begin a reading of a place."""
        levels = {
            sku: StockAt(
                self.on_hand[sku, place],
                sum(o.held.get(sku, 0) for o in self.orders if o.place == place),
                self.quarantined[sku, place],
            )
            for sku in GOODS
        }
        return Reading(place, self.now, levels)

    def arrives(self, found: Reading) -> None:
        """A reading older than what is known changes nothing."""
        held = self.known.get(found.place)
        if held is None or found.began_at > held.began_at:
            self.known[found.place] = found

    def open_units(self, order: Order) -> dict[str, int]:
        """What we reserve for an order, by our own rules."""
        facts = OrderFacts(
            order.ref,
            order.state,
            order.placed_at,
            order.changed_at,
            order.place,
            self.picked(order),
            order.document,
            order.answered_at,
            dict.fromkeys(GOODS, self.known[order.place].began_at),
        )
        rows = reservation(facts, self.policy.reserving, self.now)
        return {row["sku"]: row["open_units"] for row in rows}

    def picked(self, order: Order) -> dict[str, int]:
        """What an order takes from the shelf."""
        wanted = {sku: Decimal(units) for sku, units in order.wanted.items()}
        return picked(wanted, COMPONENTS)

    def facts(self, sku: str) -> SkuFacts:
        """What we know of a SKU."""
        if sku == KIT:
            return SkuFacts(
                KIT, components=[Component(self.facts(s), u) for s, u in COMPONENTS[KIT]]
            )
        reserved = dict.fromkeys(("lyon", "paris"), 0)
        for order in self.orders:
            reserved[order.place] += self.open_units(order).get(sku, 0)
        levels = {place: found.levels[sku] for place, found in self.known.items()}
        return SkuFacts(sku, levels, reserved)

    def shown(self, sku: str) -> dict[str, int]:
        """What each channel shows."""
        return sellable(self.facts(sku), self.policy)

    # ---------------------------------------------------------------- what is true

    def is_live(self, order: Order) -> bool:
        """Whether its customer is waiting for what the ERP has not taken yet."""
        unpaid = order.state == OrderState.PENDING_PAYMENT
        late = order.changed_at + timedelta(minutes=self.policy.reserving.pending_minutes)
        return order.state not in ENDED and not (unpaid and late <= self.now)

    def truly_free(self, sku: str) -> int:
        """Physically there and fit for sale, less what is promised to somebody."""
        there = sum(
            self.on_hand[sku, place] - self.quarantined[sku, place] for place in ("lyon", "paris")
        )
        promised = 0
        for order in self.orders:
            wanted = self.picked(order).get(sku, 0) if self.is_live(order) else 0
            gone = order.document.get(sku, 0) - order.held.get(sku, 0)
            promised += max(order.held.get(sku, 0), wanted - gone)
        return there - promised

    # ---------------------------------------------------------------- what happens

    @rule(
        channel=st.sampled_from(sorted(SHIPS_FROM)),
        sku=st.sampled_from([*GOODS, KIT]),
        units=st.integers(1, 6),
        is_paid=st.booleans(),
    )
    def buys(self, channel: str, sku: str, units: int, is_paid: bool) -> None:
        """A customer buys at most what is shown."""
        units = min(units, self.shown(sku)[channel])
        if units:
            state = OrderState.PAID if is_paid else OrderState.PENDING_PAYMENT
            ref = f"{channel}:{len(self.orders)}"
            self.orders.append(Order(ref, channel, {sku: units}, state, self.now, self.now))
        self.passes()

    def passes(self, seconds: int = 1) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    def pick(self, data: st.DataObject, orders: list[Order]) -> Order:
        """One of the orders."""
        nobody = Order("", "us", {}, OrderState.DRAFT, START, START)
        return data.draw(st.sampled_from(orders), label="order") if orders else nobody

    def living(self) -> list[Order]:
        """Orders that a shop may still change."""
        return [one for one in self.orders if self.is_live(one)]

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), more=st.integers(1, 3))
    def edits_upward(self, data: st.DataObject, more: int) -> None:
        """A clerk adds pieces, as many as the channel shows."""
        order = self.pick(data, self.living())
        for sku in order.wanted:
            order.wanted[sku] += min(more, self.shown(sku)[order.channel])
        order.changed_at = self.now
        self.passes()

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def edits_downward(self, data: st.DataObject) -> None:
        """A customer wants one less, or is refunded one."""
        order = self.pick(data, self.living())
        for sku, units in order.wanted.items():
            order.wanted[sku] = max(units - 1, 0)
        order.changed_at = self.now
        self.passes()

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def pays(self, data: st.DataObject) -> None:
        """The money comes in time."""
        order = self.pick(data, self.living())
        order.state, order.changed_at = OrderState.PAID, self.now
        self.passes()

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancels(self, data: st.DataObject) -> None:
        """The shop cancels, whatever the ERP has done so far."""
        order = self.pick(data, self.living())
        order.state, order.changed_at = OrderState.CANCELLED, self.now
        self.passes()

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), is_heard=st.booleans())
    def allocates(self, data: st.DataObject, is_heard: bool) -> None:
        """The ERP takes a paid order, or its edit; its answer may still be on its way."""
        paid = [
            one
            for one in self.orders
            if one.state == OrderState.PAID and one.document in ({}, one.held)
        ]
        order = self.pick(data, paid)
        order.document = self.picked(order)
        order.held = dict(order.document)
        order.answered_at = self.now if is_heard else None
        self.passes()

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def answers(self, data: st.DataObject) -> None:
        """The ERP's answer arrives."""
        order = self.pick(data, [o for o in self.orders if o.document and not o.answered_at])
        order.answered_at = self.now
        self.passes()

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancels_there(self, data: st.DataObject) -> None:
        """The ERP cancels what is cancelled in the shop and not shipped."""
        cancelled = [
            one
            for one in self.orders
            if one.state == OrderState.CANCELLED and one.answered_at and one.document == one.held
        ]
        order = self.pick(data, cancelled)
        order.held, order.document, order.answered_at = {}, {}, None
        self.passes()

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def ships(self, data: st.DataObject) -> None:
        """A parcel leaves: what is there of what the ERP holds, cancelled in the shop or not."""
        order = self.pick(data, [one for one in self.orders if any(one.held.values())])
        for sku, units in order.held.items():
            there = self.on_hand[sku, order.place] - self.quarantined[sku, order.place]
            gone = min(units, max(there, 0))
            self.on_hand[sku, order.place] -= gone
            order.held[sku] -= gone
        self.passes()

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def completes(self, data: st.DataObject) -> None:
        """The shop completes what was shipped whole."""
        whole = [
            one
            for one in self.living()
            if one.answered_at and not any(one.held.values()) and one.document == self.picked(one)
        ]
        order = self.pick(data, whole)
        order.state, order.changed_at = OrderState.COMPLETED, self.now
        self.passes()

    @rule(
        sku=st.sampled_from(GOODS),
        place=st.sampled_from(["lyon", "paris"]),
        units=st.integers(1, 5),
        is_fit=st.booleans(),
    )
    def receives(self, sku: str, place: str, units: int, is_fit: bool) -> None:
        """Goods arrive, or come back, fit for sale or not."""
        self.on_hand[sku, place] += units
        self.quarantined[sku, place] += 0 if is_fit else units
        self.passes()

    @rule(place=st.sampled_from(["lyon", "paris"]))
    def begins_reading(self, place: str) -> None:
        """A reading begins; it arrives later, or never."""
        self.under_way.append(self.reading(place))
        self.passes()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), is_repeated=st.booleans())
    def reading_arrives(self, data: st.DataObject, is_repeated: bool) -> None:
        """One of the readings arrives, in any order, perhaps again."""
        found = data.draw(st.sampled_from(self.under_way), label="reading")
        self.arrives(found)
        if not is_repeated:
            self.under_way.remove(found)
        self.passes()

    @rule(minutes=st.integers(10, 90))
    def time_passes(self, minutes: int) -> None:
        """Long enough for unpaid orders to expire."""
        self.passes(minutes * 60)

    # ---------------------------------------------------------------- what must hold

    @invariant()
    def no_piece_is_promised_twice(self) -> None:
        """What is promised is there, and so is what channels show beside it."""
        for sku in GOODS:
            free, shown = self.truly_free(sku), self.shown(sku).values()
            at_once = sum(shown) if self.policy.divide_below_units is None else max(shown)
            assert free >= 0, f"{sku}: {-free} promised that are not there"
            assert at_once <= free, f"{sku}: {at_once} shown, {free} free"

    @invariant()
    def kits_never_exceed_their_scarcest_component(self) -> None:
        """What a kit needs is shown for its components."""
        mugs, teas = self.shown("MUG"), self.shown("TEA")
        for channel, kits in self.shown(KIT).items():
            assert kits <= min(mugs[channel], teas[channel] // 2)

    def teardown(self) -> None:
        """Settle everything: then nothing is reserved, and what is free is for sale."""
        if not hasattr(self, "orders"):
            return
        for order in self.orders:
            if self.is_live(order):
                order.state, order.changed_at = OrderState.PAID, self.now
                order.document = order.document or self.picked(order)
            if order.document and order.answered_at is None:
                order.answered_at = self.now
            if order.state == OrderState.PAID:
                order.state = OrderState.COMPLETED
            order.held = {}
        self.passes()
        for place in ("lyon", "paris"):
            self.arrives(self.reading(place))
        left = [units for one in self.orders for units in self.open_units(one).values()]
        assert sum(left) == 0


TestStockStory = StockStory.TestCase
TestStockStory.settings = settings(
    max_examples=at_most(80, 200), stateful_step_count=40, deadline=None
)
