"""Service levels: what was promised, and whether it is kept, judged from facts.

Pure: facts, promises and the moment in, levels out. A level is one entry of `LEVELS`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

MOST_KEYS = 20
#: When so much of a promise is used up, it is kept late.
LATE_SHARE = 0.8
#: What is silent: our reading, rather than the deliveries.
READING = "reading"


class State(StrEnum):
    """How a promise stands."""

    OK = "ok"
    LATE = "late"
    BREACHED = "breached"


@dataclass(frozen=True)
class Promises:
    """What the business was promised."""

    order_acceptance_minutes: float = 15
    exception_hours: float = 24
    exception_hours_by_role: Mapping[str, float] = field(default_factory=dict)
    silent_after_minutes: float = 60
    backlog: float = 1000
    stock_freshness_minutes: float = 5
    shipment_confirmation_hours: float = 24


# ---------------------------------------------------------------- facts


@dataclass(frozen=True)
class WaitingOrder:
    """An order that is to be sent and that no ERP has accepted."""

    order_ref: str
    since_at: datetime
    amount: Decimal | None = None
    currency: str | None = None
    #: It has an exception: it waits for a person, not for us.
    is_held: bool = False


@dataclass(frozen=True)
class OpenException:
    """An exception nobody has ended."""

    subject_ref: str
    owner_role: str
    opened_at: datetime
    due_at: datetime
    amount: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Source:
    """A system we read from, or that delivers to us, or both."""

    name: str
    #: Read up to; none when it was never read to its end.
    read_until: datetime | None = None
    #: Not of senders that only deliver, nor of a store that a person paused.
    is_read: bool = True
    #: The last delivery of the last day.
    delivered_at: datetime | None = None
    delivers: bool = False
    #: Changes a delta had to bring while no delivery came.
    brought_by_delta: int = 0
    #: When it delivered at this hour of the day before; "" when it did not.
    heard_then: str = ""


@dataclass(frozen=True)
class Queue:
    """Writes that wait for one system."""

    system: str
    writes: int
    oldest_at: datetime
    is_paused: bool = False


@dataclass(frozen=True)
class LateStock:
    """The oldest thing of one kind that keeps a published number from being the newest."""

    #: What waits: keys of a queue, or numbers to a store.
    key: str
    since_at: datetime
    waiting: int = 1
    is_paused: bool = False


@dataclass(frozen=True)
class OpenRequest:
    """A request to a warehouse that it has not shipped yet."""

    fulfilment_ref: str
    order_ref: str
    system: str
    released_at: datetime
    #: When the warehouse said that it has it; none: it has not.
    acknowledged_at: datetime | None = None
    #: Within which it must have said so.
    acknowledge_minutes: float = 60
    ship_by_at: datetime | None = None
    amount: Decimal | None = None
    currency: str | None = None
    is_paused: bool = False


@dataclass(frozen=True)
class Facts:
    """What levels are judged from."""

    at: datetime
    orders: Sequence[WaitingOrder] = ()
    exceptions: Sequence[OpenException] = ()
    sources: Sequence[Source] = ()
    queues: Sequence[Queue] = ()
    stock: Sequence[LateStock] = ()
    requests: Sequence[OpenRequest] = ()


# ---------------------------------------------------------------- judgement


@dataclass(frozen=True)
class Case:
    """One thing measured against the promise; a value of none is worse than any."""

    key: str
    value: float | None
    limit: float
    since_at: datetime
    amount: Decimal | None = None
    currency: str | None = None
    #: What else a person should know of it.
    note: str = ""
    #: The owner of an exception; "" elsewhere.
    role: str = ""

    @property
    def share(self) -> float:
        """How much of the promise is used up."""
        return float("inf") if self.value is None else self.value / self.limit

    @property
    def is_breached(self) -> bool:
        """Whether the promise is broken."""
        return self.share > 1


@dataclass(frozen=True)
class Level:
    """How one promise stands; `worst` holds the cases nearest to breach or beyond it."""

    name: str
    unit: str
    state: State
    value: float | None
    threshold: float
    total: int
    breached: tuple[Case, ...]
    worst: tuple[Case, ...]
    sentence: str


@dataclass(frozen=True)
class ServiceLevel:
    """One promise: what it is called, what is measured, in which unit, against what."""

    name: str
    unit: str
    description: str
    threshold: Callable[[Promises], float]
    cases: Callable[[Facts, Promises], Iterable[Case]]
    #: "No order waits", "Orders waiting: 3", "Orders waiting: 2 of 3 for longer than promised".
    nothing: str
    things: str
    broken: str
    aside: Callable[[Facts], str] = lambda facts: ""


def judged(facts: Facts, promises: Promises) -> list[Level]:
    """Judge every level."""
    return [judge(one, facts, promises) for one in LEVELS]


def judge(level: ServiceLevel, facts: Facts, promises: Promises) -> Level:
    """Judge one level."""
    cases = sorted(level.cases(facts, promises), key=lambda one: (-one.share, one.since_at))
    breached = tuple(one for one in cases if one.is_breached)
    top = cases[0] if cases else None
    return Level(
        level.name,
        level.unit,
        _state(top.share if top else 0),
        top.value if top else 0,
        top.limit if top else level.threshold(promises),
        len(cases),
        breached,
        tuple(cases[:MOST_KEYS]),
        _sentence(level, cases, len(breached)) + level.aside(facts),
    )


def _state(share: float) -> State:
    if share > 1:
        return State.BREACHED
    return State.LATE if share > LATE_SHARE else State.OK


def _sentence(level: ServiceLevel, cases: Sequence[Case], breached: int) -> str:
    if not cases:
        return f"{level.nothing}."
    many, top = f"{len(cases):,}", cases[0]
    count = f"{breached:,} of {many} {level.broken}" if breached else many
    said = "never" if top.value is None else f"{number(top.value)} of {number(top.limit)}"
    unit = "" if top.value is None else f" {level.unit}"
    note = f" ({top.note})" if top.note else ""
    return f"{level.things}: {count}; the first is {top.key} with {said}{unit}{note}."


def number(value: float) -> str:
    """A measure without digits that say nothing."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def at_stake(cases: Iterable[Case]) -> str:
    """Sums by currency, in words; one thing counts once."""
    sums: dict[str, Decimal] = {}
    for one in {case.key: case for case in cases}.values():
        if one.amount is not None and one.currency:
            sums[one.currency] = sums.get(one.currency, Decimal()) + one.amount
    return ", ".join(f"{sum_:,.2f} {name}" for name, sum_ in sorted(sums.items()) if sum_)


# ---------------------------------------------------------------- the levels


def _minutes(span: timedelta) -> float:
    return max(0.0, span.total_seconds() / 60)


def _orders(facts: Facts, promises: Promises) -> Iterable[Case]:
    """Orders that wait for us; what waits for a person has a level of its own."""
    limit = promises.order_acceptance_minutes
    for one in facts.orders:
        if not one.is_held:
            waited = _minutes(facts.at - one.since_at)
            yield Case(one.order_ref, waited, limit, one.since_at, one.amount, one.currency)


def _held(facts: Facts) -> str:
    held = sum(one.is_held for one in facts.orders)
    return f" Waiting for a person, with a reason: {held:,}." if held else ""


def _exceptions(facts: Facts, promises: Promises) -> Iterable[Case]:
    for one in facts.exceptions:
        role = one.owner_role
        yield Case(
            one.subject_ref,
            _minutes(facts.at - one.opened_at) / 60,
            promises.exception_hours_by_role.get(role, promises.exception_hours),
            one.opened_at,
            one.amount,
            one.currency,
            note=f"for {role}",
            role=role,
        )


def _silence(facts: Facts, promises: Promises) -> Iterable[Case]:
    """Readings that stopped, and webhooks that do not come although there is something to tell."""
    limit = promises.silent_after_minutes
    for one in facts.sources:
        if one.is_read:
            since = one.read_until
            value = _minutes(facts.at - since) if since else None
            yield Case(one.name, value, limit, since or facts.at, note=READING)
        if one.delivers and (why := _missing(one)):
            since = one.delivered_at
            # None within a day is told as a day: older deliveries are not looked for.
            value = _minutes(facts.at - since) if since else 24 * 60.0
            yield Case(f"{one.name} webhooks", value, limit, since or facts.at, note=why)


def _missing(source: Source) -> str:
    """Why deliveries should have come; "" when there may have been nothing to deliver."""
    if source.brought_by_delta:
        return f"it loses webhooks; changes that came by delta alone: {source.brought_by_delta:,}"
    return f"it delivered at this hour {source.heard_then}" if source.heard_then else ""


def _queues(facts: Facts, promises: Promises) -> Iterable[Case]:
    for one in facts.queues:
        note = "paused" if one.is_paused else ""
        yield Case(one.system, one.writes, promises.backlog, one.oldest_at, note=note)


def _stock(facts: Facts, promises: Promises) -> Iterable[Case]:
    """What is to be worked out again or written to a shop; held numbers wait for a person."""
    for one in facts.stock:
        waited = _minutes(facts.at - one.since_at)
        note = "paused" if one.is_paused else f"{one.waiting:,} waiting"
        yield Case(one.key, waited, promises.stock_freshness_minutes, one.since_at, note=note)


def _unacknowledged(facts: Facts, promises: Promises) -> Iterable[Case]:
    """Requests a warehouse has not said a word about; its name stands in the note."""
    for one in facts.requests:
        if one.acknowledged_at is None:
            yield Case(
                one.fulfilment_ref,
                _minutes(facts.at - one.released_at),
                one.acknowledge_minutes,
                one.released_at,
                one.amount,
                one.currency,
                note=one.system,
            )


def _unshipped(facts: Facts, promises: Promises) -> Iterable[Case]:
    """Requests that have not left, against what the policy promised for each."""
    for one in facts.requests:
        promised = one.ship_by_at - one.released_at if one.ship_by_at else None
        hours = promises.shipment_confirmation_hours
        if promised is not None:
            hours = max(_minutes(promised) / 60, 1 / 60)
        yield Case(
            one.fulfilment_ref,
            _minutes(facts.at - one.released_at) / 60,
            hours,
            one.released_at,
            one.amount,
            one.currency,
            note=one.system,
        )


ORDER_ACCEPTANCE = ServiceLevel(
    "order_acceptance",
    "minutes",
    "Every order that is to be sent was accepted by its ERP in time, counted from its payment, or "
    "from its placing where none is known. Orders with an exception wait for a person and are "
    "counted apart.",
    lambda promises: promises.order_acceptance_minutes,
    _orders,
    "No order waits for its ERP",
    "Orders waiting for their ERP",
    "for longer than promised",
    _held,
)
EXCEPTION_AGE = ServiceLevel(
    "exception_age",
    "hours",
    "No exception is open for longer than its owner's role may take.",
    lambda promises: promises.exception_hours,
    _exceptions,
    "No exception is open",
    "Open exceptions",
    "for longer than their owners may take",
)
SOURCE_SILENCE = ServiceLevel(
    "source_silence",
    "minutes",
    "Every store was read to its end lately, and no sender of webhooks is silent that should not "
    "be: a shop whose changes come by delta alone, or one that delivered at this hour of the days "
    "before.",
    lambda promises: promises.silent_after_minutes,
    _silence,
    "No source is configured",
    "Sources watched",
    "silent",
)
BACKLOG = ServiceLevel(
    "backlog",
    "writes",
    "No more writes wait for one system than were promised.",
    lambda promises: promises.backlog,
    _queues,
    "No write waits",
    "Systems with writes to take",
    "with more than promised",
)
STOCK_FRESHNESS = ServiceLevel(
    "stock_freshness",
    "minutes",
    "A change of stock or of an order is worked out and written to the shops in time, counted from "
    "when it was noticed. Numbers that are held wait for a person, and parked ones too.",
    lambda promises: promises.stock_freshness_minutes,
    _stock,
    "No number is late",
    "Queues of stock with something waiting",
    "for longer than promised",
)
RELEASE_ACKNOWLEDGEMENT = ServiceLevel(
    "release_acknowledgement",
    "minutes",
    "Every warehouse says within its time that it has what it was asked to ship, counted from the "
    "release.",
    lambda promises: 60.0,
    _unacknowledged,
    "No warehouse is asked for something it has not acknowledged",
    "Releases not acknowledged",
    "for longer than the warehouse may take",
)
SHIPMENT_CONFIRMATION = ServiceLevel(
    "shipment_confirmation",
    "hours",
    "Every order leaves by the time its fulfilment policy promises, counted from the release.",
    lambda promises: promises.shipment_confirmation_hours,
    _unshipped,
    "No order waits to be shipped",
    "Requests waiting to be shipped",
    "for longer than promised",
)
LEVELS = (
    ORDER_ACCEPTANCE,
    STOCK_FRESHNESS,
    RELEASE_ACKNOWLEDGEMENT,
    SHIPMENT_CONFIRMATION,
    SOURCE_SILENCE,
    BACKLOG,
    EXCEPTION_AGE,
)
