"""What there is to do, and whether a run should start for it: facts from tables, rules on facts.

The sensors beside are shells round these rules. There is no cursor that could skip: a run that dies
leaves its rows, and the next look sees them again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from resources.settings import Settings
from resources.store import handover, inbox, outbox, presence
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.hints import ALL_BUT_PRODUCTS, PRODUCTS, SOURCE

#: Payment providers: all their deliveries are about money, whatever they call them.
PROVIDERS = ("stripe", "adyen", "paypal")
#: A run that was asked for and has not begun by then never will; one too many does no harm. A
#: process of its own imports for seconds, a warm worker begins at once.
BEGINS_WITHIN = timedelta(seconds=20)
WARM_BEGINS_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Pending:
    """What the database says about work to do, now."""

    now: datetime
    #: Due deliveries by store, of stores that do not rest.
    hints: Mapping[str, int] = field(default_factory=dict)
    unmapped: int = 0
    due_writes: Mapping[str, int] = field(default_factory=dict)
    #: Due deliveries about products, by store; keys to be worked out again, by queue; due stock
    #: writes, by store.
    product_hints: Mapping[str, int] = field(default_factory=dict)
    stale: Mapping[str, int] = field(default_factory=dict)
    stock_writes: Mapping[str, int] = field(default_factory=dict)
    #: Due writes of everything, by the first word of their operation, and by system.
    writes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: Due deliveries of senders that are no shops, in words by kind: `shipment` → `3 of north`.
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    #: When each list was last asked for: (source, stream).
    asked_at: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    #: Systems that are paused, or away.
    resting: frozenset[str] = frozenset()
    is_running: bool = False
    last_run_at: datetime | None = None


@dataclass(frozen=True)
class Interval:
    """A list of a system, and how often it is to be asked for."""

    source: str
    stream: str
    every: timedelta


def arrived(pending: Pending) -> list[str]:
    """Why a run should start for what came in."""
    if pending.is_running:
        return []  # it takes whatever is pending, and its end is heard
    found = [f"{count} deliveries of {store}" for store, count in sorted(pending.hints.items())]
    if pending.unmapped:
        found.append(f"{pending.unmapped} versions are not mapped")
    return found


def due(pending: Pending) -> list[str]:
    """Why a run should start for what is to be sent."""
    if pending.is_running:
        return []
    return [f"{count} writes to {erp}" for erp, count in sorted(pending.due_writes.items())]


def late(pending: Pending, intervals: list[Interval]) -> list[str]:
    """Why a run should start to ask for changes.

    A system that does not answer is asked no more often than the others: the last run counts.
    """
    if pending.is_running:
        return []
    return [
        _unheard(one, pending.asked_at.get((one.source, one.stream)))
        for one in intervals
        if one.source not in pending.resting and _is_late(one, pending)
    ]


def _is_late(one: Interval, pending: Pending) -> bool:
    asked = [pending.asked_at.get((one.source, one.stream)), pending.last_run_at]
    newest = max((moment for moment in asked if moment), default=None)
    return newest is None or pending.now - newest >= one.every


def _unheard(one: Interval, asked_at: datetime | None) -> str:
    if asked_at is None:
        return f"{one.source} was never asked for {one.stream}"
    return f"{one.source} was not asked for {one.stream} since {asked_at:%Y-%m-%d %H:%M:%S} UTC"


def polls(settings: Settings) -> list[Interval]:
    """How often each store is asked for changed orders."""
    return [
        Interval(name, "orders", timedelta(seconds=store.poll_seconds))
        for name, store in settings.stores.items()
    ]


def master_data(settings: Settings) -> list[Interval]:
    """How often lists without changes are read whole."""
    every = timedelta(minutes=settings.master_data_minutes)
    return [Interval(name, "customers", every) for name in settings.stores] + [
        Interval(name, "items", every) for name in settings.erps
    ]


class Fact(StrEnum):
    """What a rule asks about; what it does not ask about is not read."""

    HINTS = "hints"
    PRODUCT_HINTS = "product_hints"
    ELSEWHERE = "elsewhere"
    WRITES = "writes"
    STALE = "stale"
    POLLS = "polls"


#: Everything there is to ask about.
ALL_FACTS = tuple(Fact)


def look(systems: Systems, job: str, facts: Collection[Fact] = ALL_FACTS) -> Pending:
    """Read what is pending, and whether a run of `job` is at work or about to begin.

    While one is, nothing else is read: it takes whatever is pending.
    """
    now = systems.now()
    with connected(systems.engine) as connection:
        asked_at, begun_at = presence.last(connection, job)
        is_warm = handover.somebody_is_there(connection, now)
        within = WARM_BEGINS_WITHIN if is_warm else BEGINS_WITHIN
        is_running = presence.at_work(connection, job) > 0 or is_beginning(
            asked_at, begun_at, now, within
        )
        seen = Pending(now, is_running=is_running, last_run_at=begun_at)
        return seen if is_running else replace(seen, **_read(systems, connection, now, facts))


def _read(
    systems: Systems, connection: Connection, now: datetime, facts: Collection[Fact]
) -> dict[str, Any]:
    """The facts that are asked for, as fields of `Pending`."""
    config, found = systems.settings, dict[str, Any]()
    stores = list(config.stores)
    if Fact.HINTS in facts:
        found["hints"] = inbox.due(connection, SOURCE, stores, now, ALL_BUT_PRODUCTS)
        found["unmapped"] = _unmapped(connection)
    if Fact.PRODUCT_HINTS in facts:
        found["product_hints"] = inbox.due(connection, SOURCE, stores, now, PRODUCTS)
    if Fact.ELSEWHERE in facts:
        found["elsewhere"] = _elsewhere(connection, now)
    if Fact.WRITES in facts:
        writes = outbox.due_by_operation(connection, now)
        found["writes"] = writes
        found["due_writes"] = _to(writes.get("sales_order", {}), config.erps)
        found["stock_writes"] = _to(writes.get("stock", {}), config.publishing("stock"))
    if Fact.STALE in facts:
        found["stale"] = _stale(connection, now)
    if Fact.POLLS in facts:
        found["asked_at"] = _asked_at(connection)
        found["resting"] = _resting(connection, now)
    return found


def _to(writes: Mapping[str, int], systems: Collection[str]) -> dict[str, int]:
    """Writes to systems of the configuration; nobody sends to one that left it."""
    return {name: count for name, count in writes.items() if name in systems}


def _elsewhere(connection: Connection, now: datetime) -> dict[str, str]:
    """What senders other than shops delivered, by kind."""
    found: dict[str, list[str]] = {}
    for row in inbox.due_elsewhere(connection, now):
        kind = row["source"] if row["source"] in PROVIDERS else row["kind"]
        found.setdefault(kind, []).append(f"{row['n']} of {row['store']}")
    return {kind: ", ".join(words) for kind, words in found.items()}


def is_beginning(
    asked_at: datetime | None,
    begun_at: datetime | None,
    now: datetime,
    within: timedelta = BEGINS_WITHIN,
) -> bool:
    """Whether a run that was asked for is still to begin.

    Dagster's own word is not asked for: a killed run stays `started` there until somebody looks.
    """
    if asked_at is None or (begun_at is not None and begun_at >= asked_at):
        return False
    return now - asked_at < within


def ask(systems: Systems, job: str, now: datetime) -> None:
    """Record that a run of `job` is asked for."""
    with connected(systems.engine) as connection:
        presence.asked(connection, job, now)


def _unmapped(connection: Connection) -> int:
    rows = read_rows(
        connection, "select count(*) as n from raw.woocommerce__orders where mapped_at is null"
    )
    return int(rows[0]["n"])


def _stale(connection: Connection, now: datetime) -> dict[str, int]:
    """Keys by queue; what an ERP must be asked for does not count while the ERP rests."""
    rows = read_rows(
        connection,
        "select queue, count(*) as n from ops.stale where queue <> 'stock_reading' "
        "or not ops.rests(split_part(key, ':', 1), :now) group by 1",
        now=now,
    )
    return {row["queue"]: int(row["n"]) for row in rows}


def _asked_at(connection: Connection) -> dict[tuple[str, str], datetime]:
    rows = read_rows(connection, "select source, stream, updated_at from ops.watermark")
    return {(row["source"], row["stream"]): row["updated_at"] for row in rows}


def _resting(connection: Connection, now: datetime) -> frozenset[str]:
    rows = read_rows(
        connection, "select system from ops.system where ops.rests(system, :now)", now=now
    )
    return frozenset(row["system"] for row in rows)
