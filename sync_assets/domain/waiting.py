"""Whom an order waits for, and since when: decided from facts, by one rule per noun. Pure.

Blocking work of people comes first, then whatever is next on the order's way; what is waited for
under two names (a write, and the thing it writes) is told once. `WAITS` are the rules in the order
in which they are told.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.returns import RefundState, ReturnState
from sync_assets.domain.tracking import FINAL, ParcelState
from sync_assets.domain.waiting_facts import (
    Facts,
    GoodsBack,
    MoneyBack,
    OpenException,
    OpenWrite,
    Parcel,
    Request,
    Rest,
)


class On(StrEnum):
    """Who must move next."""

    PERSON = "person"
    US = "us"
    CUSTOMER = "customer"
    SYSTEM = "system"  # a store or an ERP
    WAREHOUSE = "warehouse"
    CARRIER = "carrier"
    PROVIDER = "provider"


@dataclass(frozen=True)
class Wait:
    """One thing that is waited for."""

    on: On
    #: Our name of the system, warehouse, carrier or provider; empty for people and ourselves.
    name: str
    #: What for, as it follows the name: " to acknowledge us:1042:f1", ": 3rd attempt".
    what: str
    since: datetime | None
    #: When it goes on, where that is known.
    due: datetime | None = None
    #: What was heard, and `since` is when; empty where `since` is when the waiting began.
    last_word: str = ""


# ---------------------------------------------------------------- where it stands, in one word

SET_ASIDE = "set_aside"


def state_of(facts: Facts) -> str:
    """Where an order stands: its way to the ERP, and after that what its goods have come to."""
    if facts.pipeline_state is None:
        return SET_ASIDE
    if facts.pipeline_state != "accepted" or not facts.lines:
        return facts.pipeline_state
    wanted = sum(line.ordered - line.cancelled for line in facts.lines)
    shipped = sum(line.shipped for line in facts.lines)
    if wanted <= 0 and not shipped:
        return "cancelled"
    if not shipped:
        return "released" if any(_is_with_warehouse(r) for r in facts.requests) else "accepted"
    if sum(line.returned for line in facts.lines) >= shipped:
        return "returned"
    if shipped < wanted:
        return "part_shipped"
    delivered = sum(line.delivered for line in facts.lines)
    return "delivered" if delivered >= shipped else "shipped"


def _is_with_warehouse(request: Request) -> bool:
    return request.state in (
        FulfilmentState.RELEASED,
        FulfilmentState.ACKNOWLEDGED,
        FulfilmentState.CANCEL_REQUESTED,
    )


# ---------------------------------------------------------------- the rules


def waits(facts: Facts, now: datetime) -> list[Wait]:
    """Everything an order waits for, the most pressing first."""
    return list(dict.fromkeys(wait for rule in WAITS for wait in rule(facts, now)))


def _blocking_people(facts: Facts, now: datetime) -> Iterator[Wait]:
    yield from (_person(one) for one in facts.exceptions if one.blocks)


def _other_people(facts: Facts, now: datetime) -> Iterator[Wait]:
    yield from (_person(one) for one in facts.exceptions if not one.blocks)


def _person(one: OpenException) -> Wait:
    what = f": exception {one.id} ({one.owner_role}), {one.code}"
    return Wait(On.PERSON, "", what, one.opened_at)


def _mapping(facts: Facts, now: datetime) -> Iterator[Wait]:
    if facts.unmapped_since is not None:
        yield Wait(On.US, "", " to map what the shop said", facts.unmapped_since)


def _payment(facts: Facts, now: datetime) -> Iterator[Wait]:
    if facts.pipeline_state == "awaiting_payment":
        yield Wait(On.CUSTOMER, "", " to pay", facts.placed_at)


def _writes(facts: Facts, now: datetime) -> Iterator[Wait]:
    resting = {rest.system: rest for rest in facts.rests if rest.until is None or rest.until > now}
    subjects = {one.subject_ref for one in facts.exceptions}
    for write in facts.writes:
        if write.state == "parked":
            if write.thing_ref not in subjects:
                what = f": {write.operation} to {write.system} is parked ({write.error_class})"
                yield Wait(On.PERSON, "", what, write.created_at)
        elif write.system in resting:
            yield _resting(resting[write.system])
        else:
            yield _under_way(write, now)


def _resting(rest: Rest) -> Wait:
    why = f" ({rest.reason})" if rest.reason else ""
    what = f", which is {_words(rest.state)}{why}"
    return Wait(On.SYSTEM, rest.system, what, rest.since)


def _under_way(write: OpenWrite, now: datetime) -> Wait:
    since, due = write.created_at, write.due_at
    if write.state == "leased":
        return Wait(On.SYSTEM, write.system, f" to answer {write.operation}", since)
    if write.state == "unknown":
        what = f": whether {write.operation} arrived is found out"
        return Wait(On.SYSTEM, write.system, what, since, due)
    if write.attempts:
        return Wait(
            On.SYSTEM, write.system, f": {_ordinal(write.attempts + 1)} attempt", since, due
        )
    return Wait(On.US, "", f" to send {write.operation} to {write.system}", since)


def _acceptance(facts: Facts, now: datetime) -> Iterator[Wait]:
    if facts.pipeline_state == "received":
        yield Wait(On.US, "", " to plan the order", facts.placed_at)


def _unasked(facts: Facts, now: datetime) -> Iterator[Wait]:
    """Units that no warehouse was asked for."""
    if facts.pipeline_state != "accepted":
        return
    units = sum(
        max(line.ordered - line.cancelled - max(line.requested, line.shipped), 0)
        for line in facts.lines
    )
    if units:
        yield Wait(On.US, "", f" to ask a warehouse for {units} units", facts.accepted_at)


#: What a warehouse is waited for, by where our request stands.
_OF_WAREHOUSE = {
    FulfilmentState.RELEASED: "acknowledge",
    FulfilmentState.ACKNOWLEDGED: "ship",
    FulfilmentState.PART_SHIPPED: "ship the rest of",
    FulfilmentState.CANCEL_REQUESTED: "cancel",
}


def _requests(facts: Facts, now: datetime) -> Iterator[Wait]:
    held_by = {one.subject_ref for one in facts.exceptions}
    for one in facts.requests:
        ref, state = one.fulfilment_ref, one.state
        if ref in facts.covered:
            continue
        if state in _OF_WAREHOUSE:
            what = f" to {_OF_WAREHOUSE[FulfilmentState(state)]} {ref}"
            yield Wait(On.WAREHOUSE, one.system, what, one.state_at)
        elif state == FulfilmentState.PLANNED:
            due = one.release_at if one.release_at > now else None
            yield Wait(On.US, "", f" to release {ref} to {one.system}", one.state_at, due)
        elif state == FulfilmentState.REFUSED or (
            state == FulfilmentState.HELD and facts.order_ref not in held_by
        ):
            yield Wait(On.PERSON, "", f": {ref} at {one.system} is {state}", one.state_at)


def _parcels(facts: Facts, now: datetime) -> Iterator[Wait]:
    for one in facts.parcels:
        if not one.is_return and one.state not in FINAL and one.parcel_ref not in facts.covered:
            yield _carrier(one)


def _carrier(one: Parcel) -> Wait:
    if one.state == ParcelState.UNKNOWN or one.state_at is None:
        what = f" to say a first word of {one.tracking_number}"
        return Wait(On.CARRIER, one.carrier, what, one.left_at)
    word = _words(one.state)
    return Wait(On.CARRIER, one.carrier, f" ({one.tracking_number})", one.state_at, last_word=word)


def _returns(facts: Facts, now: datetime) -> Iterator[Wait]:
    parcels = {one.parcel_ref: one for one in facts.parcels}
    for one in facts.returns:
        if one.return_ref in facts.covered:
            continue
        parcel = parcels.get(one.parcel_ref or "")
        if one.state == ReturnState.IN_TRANSIT and parcel and parcel.state not in FINAL:
            yield _carrier(parcel)
        elif one.state == ReturnState.REFUNDING:
            if not _is_paid_for(one, facts.refunds):
                yield Wait(On.US, "", f" to refund or close {one.return_ref}", one.state_at)
        elif one.state in _OF_RETURN:
            on, what = _OF_RETURN[ReturnState(one.state)]
            name = one.location if on == On.WAREHOUSE else ""
            yield Wait(on, name, what.format(one.return_ref), one.state_at)


def _is_paid_for(one: GoodsBack, refunds: Iterable[MoneyBack]) -> bool:
    """Whether a refund that is under way speaks for the return."""
    return any(m.return_ref == one.return_ref and m.state in _OF_REFUND for m in refunds)


_OF_RETURN = {
    ReturnState.REQUESTED: (On.PERSON, " to approve {}"),
    ReturnState.APPROVED: (On.CUSTOMER, " to send {}"),
    ReturnState.IN_TRANSIT: (On.WAREHOUSE, " to receive {}"),
    ReturnState.RECEIVED: (On.WAREHOUSE, " to inspect {}"),
    ReturnState.INSPECTED: (On.US, " to refund or close {}"),
    ReturnState.LOST: (On.PERSON, " to decide about {}, which is lost"),
}


def _refunds(facts: Facts, now: datetime) -> Iterator[Wait]:
    names = {On.SYSTEM: facts.store, On.PROVIDER: facts.provider}
    for one in facts.refunds:
        if one.refund_ref in facts.covered or one.state not in _OF_REFUND:
            continue
        on, what = _OF_REFUND[RefundState(one.state)]
        yield Wait(on, names.get(on, ""), what.format(one.refund_ref), one.state_at)


_OF_REFUND = {
    RefundState.REQUESTED: (On.US, " to judge refund {}"),
    RefundState.AWAITING_APPROVAL: (On.PERSON, " to approve refund {}"),
    RefundState.APPROVED: (On.US, " to ask for refund {}"),
    RefundState.SUBMITTED: (On.SYSTEM, " to make refund {}"),
    RefundState.PENDING: (On.PROVIDER, " to confirm refund {}"),
    RefundState.CONFIRMED: (On.US, " to credit refund {}"),
    RefundState.CREDITED: (On.US, " to close refund {}"),
    RefundState.FAILED: (On.PERSON, " to decide about refund {}, which failed"),
}


def _money(facts: Facts, now: datetime) -> Iterator[Wait]:
    """What a provider keeps; a refund that is still under way is told as that."""
    under_way = {one.refund_ref for one in facts.refunds if one.state in _OF_REFUND}
    for one in facts.money:
        if one.ref not in facts.covered | under_way:
            what = f" to {one.what} {one.ref}"
            yield Wait(On.PROVIDER, one.provider, what, one.since, one.due)


Rule = Callable[[Facts, datetime], Iterator[Wait]]
WAITS: tuple[Rule, ...] = (
    *(_blocking_people, _mapping, _payment, _writes, _acceptance),
    *(_unasked, _requests, _parcels, _returns, _refunds, _money, _other_people),
)


# ---------------------------------------------------------------- in words

_WHO = {On.PERSON: "a person", On.US: "our next run", On.CUSTOMER: "the customer"}


def sentence(wait: Wait, now: datetime) -> str:
    """A wait as people say it; times in UTC, the day only where it is another."""
    who = _WHO.get(wait.on) or (wait.name if wait.on == On.SYSTEM else f"{wait.on} {wait.name}")
    said = f"waits for {who.strip()}{wait.what}"
    if wait.due is not None:
        word = "until" if wait.on == On.PROVIDER else "at"
        return f"{said} {word if wait.due > now else 'due since'} {_clock(wait.due, now)}"
    if wait.since is None:
        return said
    if wait.last_word:
        return f"{said}: last word {wait.last_word} {_span(wait.since, now)} ago"
    return f"{said} since {_clock(wait.since, now)} ({_span(wait.since, now)})"


def at_rest(state: str) -> str:
    """What is said of an order that waits for nothing."""
    is_done = state in ("shipped", "delivered", "returned")
    return "nothing: complete" if is_done else f"nothing: {_words(state)}"


def _words(word: str) -> str:
    return word.replace("_", " ")


def _clock(moment: datetime, now: datetime) -> str:
    there, here = moment.astimezone(UTC), now.astimezone(UTC)
    return f"{there:%H:%M}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"


def _span(since: datetime, now: datetime) -> str:
    seconds = max(int((now - since).total_seconds()), 0)
    for least, size, unit in _SPANS:
        if seconds >= least:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


#: From how many seconds on a span is told in a unit: 90 min say more than 1 h.
_SPANS = ((172_800, 86_400, "days"), (7_200, 3_600, "h"), (60, 60, "min"))


def _ordinal(number: int) -> str:
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
