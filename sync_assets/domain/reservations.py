"""When a customer's order holds stock that no stock reading shows yet, and when it stops to.

An order holds its pieces from the moment it was placed. The ERP's allocation takes over, but we see
it only in a stock reading; so ours falls when a reading newer than the acceptance has arrived, and
not before. Both times are of our clock: `true_at` is when the reading began, `accepted_at` when the
ERP's answer was in our hands. A reading that began later must show the allocation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from sync_assets.domain.kits import KitCycle
from sync_assets.domain.orders import OrderState, Row
from sync_assets.domain.policy import Reserving
from sync_assets.domain.stock import ReservationState

#: Kits in kits in kits: deeper than this is a circle.
DEEPEST = 20


@dataclass(frozen=True)
class OrderFacts:
    """One order, as far as stock is concerned; units by the SKU that is picked (`picked`)."""

    order_ref: str
    state: OrderState
    placed_at: datetime
    changed_at: datetime
    #: Where the order's store ships from.
    location: str
    #: What the order wants now, refunded units taken off.
    promised: Mapping[str, int]
    #: What the document asks for that the ERP holds, or may hold: its write is under way, or its
    #: answer was lost.
    accepted: Mapping[str, int] = field(default_factory=dict)
    #: Our clock when the ERP's answer came; None: it has not, and no reading covers anything.
    accepted_at: datetime | None = None
    #: By SKU: our clock when the newest reading of its stock at `location` began.
    true_at: Mapping[str, datetime] = field(default_factory=dict)
    #: By SKU: when a reservation that does not count any more ended; it stays so.
    ended: Mapping[str, datetime] = field(default_factory=dict)


def reservation(facts: OrderFacts, reserving: Reserving, now: datetime) -> list[Row]:
    """The reservations of one order: a row for each SKU it wants, or the ERP holds for it."""
    skus = sorted({*facts.promised, *facts.accepted})
    return [_row(facts, sku, reserving, now) for sku in skus]


def expires_at(facts: OrderFacts, reserving: Reserving) -> datetime | None:
    """When an unpaid order stops to hold stock: counted, as the shop does, from its last change."""
    if facts.accepted_at is not None:
        return None
    if facts.state == OrderState.PENDING_PAYMENT:
        return facts.changed_at + timedelta(minutes=reserving.pending_minutes)
    if facts.state == OrderState.ON_HOLD:
        return facts.changed_at + timedelta(hours=reserving.on_hold_hours)
    return None


def _row(facts: OrderFacts, sku: str, reserving: Reserving, now: datetime) -> Row:
    promised, accepted = facts.promised.get(sku, 0), facts.accepted.get(sku, 0)
    expires = expires_at(facts, reserving)
    units = _open_units(facts, sku, reserving, now)
    state = ReservationState.OPEN if units else _ended_as(facts, sku, reserving, now)
    return {
        "order_ref": facts.order_ref,
        "sku": sku,
        "location": facts.location,
        "promised_units": promised,
        "allocated_units": accepted,
        "open_units": units,
        "state": str(state),
        "reserved_at": facts.placed_at,
        "allocated_at": facts.accepted_at,
        "expires_at": expires,
        "ended_at": None if units else _ended_at(facts, sku, state, expires),
    }


def _open_units(facts: OrderFacts, sku: str, reserving: Reserving, now: datetime) -> int:
    wanted = facts.promised.get(sku, 0)
    expires = expires_at(facts, reserving)
    if facts.state not in reserving.states or (expires is not None and expires <= now):
        wanted = 0
    accepted = facts.accepted.get(sku, 0)
    if not is_covered(facts, sku):
        # The ERP may ship what it accepted, whatever the shop says since: until a reading shows
        # what became of it, it is not for sale.
        return max(wanted, accepted)
    if facts.state == OrderState.COMPLETED:
        return 0
    return max(wanted - accepted, 0)


def is_covered(facts: OrderFacts, sku: str) -> bool:
    """Whether a stock reading newer than the ERP's allocation has arrived."""
    seen = facts.true_at.get(sku)
    return facts.accepted_at is not None and seen is not None and seen > facts.accepted_at


def _ended_as(facts: OrderFacts, sku: str, reserving: Reserving, now: datetime) -> ReservationState:
    expires = expires_at(facts, reserving)
    if facts.state not in reserving.states:
        return ReservationState.RELEASED
    if expires is not None and expires <= now:
        return ReservationState.EXPIRED
    return ReservationState.COVERED if is_covered(facts, sku) else ReservationState.RELEASED


def _ended_at(
    facts: OrderFacts, sku: str, state: ReservationState, expires: datetime | None
) -> datetime:
    """When it ended first: later readings tell the same and must not make it look new."""
    if sku in facts.ended:
        return facts.ended[sku]
    if state == ReservationState.EXPIRED and expires is not None:
        return expires
    if state == ReservationState.COVERED:
        return facts.true_at[sku]
    return facts.changed_at


def picked(
    units: Mapping[str, Decimal], components: Mapping[str, Sequence[tuple[str, Decimal]]]
) -> dict[str, int]:
    """What is taken from the shelf for these units: kits become their components, whole pieces."""
    found: dict[str, Decimal] = {}
    for sku, count in units.items():
        for inner, each in _inside(sku, Decimal(1), components, ()):
            found[inner] = found.get(inner, Decimal()) + count * each
    return {
        sku: int(count.to_integral_value(ROUND_CEILING))
        for sku, count in sorted(found.items())
        if count > 0
    }


def _inside(
    sku: str,
    units: Decimal,
    components: Mapping[str, Sequence[tuple[str, Decimal]]],
    above: tuple[str, ...],
) -> Iterable[tuple[str, Decimal]]:
    if sku in above or len(above) > DEEPEST:
        raise KitCycle([*above])
    parts = components.get(sku, ())
    if not parts:
        yield sku, units
    for inner, each in parts:
        yield from _inside(inner, units * each, components, (*above, sku))
