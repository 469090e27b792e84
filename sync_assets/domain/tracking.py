"""One vocabulary for every carrier: where a parcel is, and how events make it so. Pure."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ParcelState(StrEnum):
    """Where a parcel is, whatever its carrier calls it."""

    UNKNOWN = "unknown"  # nobody said anything yet
    LABEL_CREATED = "label_created"  # announced, not in the carrier's hands
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERY_FAILED = "delivery_failed"  # tried, and will be tried again
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    DELIVERED = "delivered"
    RETURNING = "returning"
    RETURNED = "returned"
    LOST = "lost"
    CANCELLED = "cancelled"
    EXCEPTION = "exception"  # held, damaged, in customs …: somebody must look


#: Nothing that follows takes a parcel out of these, but for those in `REOPENED_BY`.
FINAL = frozenset(
    {ParcelState.DELIVERED, ParcelState.RETURNED, ParcelState.LOST, ParcelState.CANCELLED}
)


@dataclass(frozen=True)
class SeenEvent:
    """One thing a carrier said."""

    state: ParcelState
    #: Whether the carrier's word is in our table; an unknown one is kept and flagged.
    is_known: bool
    words: str
    code: str | None
    happened_at: datetime  # UTC
    has_zone: bool  # whether the carrier said in which time zone
    place: str | None = None


@dataclass(frozen=True)
class SeenTracking:
    """What one answer of a carrier says of one parcel; events in any order, as they came."""

    tracking_number: str
    carrier: str  # our code: "ups", "usps", "dhl_express" …
    events: tuple[SeenEvent, ...]
    expected_at: datetime | None = None
    signed_by: str | None = None


def folded(tracking_number: str) -> str:
    """A tracking number as it is compared: letters and digits, upper case."""
    return re.sub(r"[^0-9A-Z]", "", tracking_number.upper())


def parcel_ref(tracking_number: str) -> str:
    """Our key of the parcel that carries a tracking number."""
    return f"parcel:{folded(tracking_number)}"


def event_ref(parcel: str, event: SeenEvent) -> str:
    """The same event told twice, or by two systems in the same words, has one key."""
    said = "\x1f".join((parcel, event.happened_at.isoformat(), event.code or "", event.words))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def newest(events: Iterable[SeenEvent]) -> SeenEvent | None:
    """The event that says where the parcel is now; events may come late and in any order.

    Later wins. At the same moment the state further along wins; what nobody understood never does.
    A final state is left only for what can really follow it.
    """
    told = sorted((e for e in events if e.is_known), key=lambda e: (e.happened_at, _RANK[e.state]))
    current: SeenEvent | None = None
    for event in told:
        if current is None or _may_follow(current.state, event.state):
            current = event
    return current


def _may_follow(now: ParcelState, then: ParcelState) -> bool:
    return now not in FINAL or then == now or then in REOPENED_BY.get(now, frozenset())


#: A delivered parcel may be sent back, a lost one found; a label that was voided may be used.
REOPENED_BY: dict[ParcelState, frozenset[ParcelState]] = {
    ParcelState.DELIVERED: frozenset({ParcelState.RETURNING, ParcelState.RETURNED}),
    ParcelState.LOST: frozenset(ParcelState) - {ParcelState.UNKNOWN, ParcelState.LABEL_CREATED},
    ParcelState.CANCELLED: frozenset(ParcelState) - {ParcelState.UNKNOWN},
    ParcelState.RETURNED: frozenset(),
}
_RANK = {state: place for place, state in enumerate(ParcelState)}
