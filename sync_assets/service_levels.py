"""How we stand: facts read from the store and judged by the rules, for checks, alarms and people.

Shells only: the queries are in `resources.store.facts`, the rules in `domain.service_levels`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from resources.settings import Settings
from resources.store import facts as stored
from sync_assets.domain.service_levels import (
    Facts,
    LateStock,
    Level,
    OpenException,
    OpenRequest,
    Promises,
    Queue,
    Source,
    WaitingOrder,
    judged,
)

#: When a sender should have been heard, if it keeps hours.
SAME_HOUR = {"yesterday": timedelta(days=1), "a week ago": timedelta(days=7)}
#: Writes that a system has still to take; parked ones wait for a person.
WAITING_STATES = ("waiting", "leased", "unknown")
#: Minutes within which an ERP has planned the delivery of an order it accepted.
ERP_ACKNOWLEDGES_WITHIN = 60.0


@dataclass(frozen=True)
class Standing:
    """Facts, and what they mean."""

    found: stored.Facts
    facts: Facts
    levels: list[Level]
    parked: stored.Rows


def standing(connection: Connection, settings: Settings, now: datetime) -> Standing:
    """Read how we stand and judge it."""
    found = stored.read(connection, now)
    facts = Facts(
        now,
        orders=_orders(connection, settings),
        exceptions=_exceptions(connection),
        sources=_sources(connection, settings, found),
        queues=_queues(found),
        stock=_stock(connection, settings, found),
        requests=_requests(connection, settings, found),
    )
    levels = judged(facts, promises(settings))
    return Standing(found, facts, levels, stored.parked_writes(connection))


def promises(settings: Settings) -> Promises:
    """What the configuration promises."""
    given = settings.service_levels
    return Promises(**{one.name: getattr(given, one.name) for one in fields(Promises)})


def _orders(connection: Connection, settings: Settings) -> list[WaitingOrder]:
    rows = stored.waiting_orders(
        connection,
        {name: list(store.send_states) for name, store in settings.stores.items()},
        {
            name: store.send_orders_from
            for name, store in settings.stores.items()
            if store.send_orders_from is not None
        },
    )
    return [WaitingOrder(**row) for row in rows]


def _exceptions(connection: Connection) -> list[OpenException]:
    names = [one.name for one in fields(OpenException)]
    rows = stored.open_exceptions(connection)
    return [OpenException(**{name: row[name] for name in names}) for row in rows]


def _sources(connection: Connection, settings: Settings, found: stored.Facts) -> list[Source]:
    """Stores are read and may deliver; other endpoints only deliver."""
    window = timedelta(minutes=settings.service_levels.silent_after_minutes)
    brought = stored.brought_by_delta(connection, found.at - window)
    read = {row["source"]: row for row in found.streams if row["stream"] == "orders"}
    delivered = {row["store"]: row["delivered_at"] for row in found.deliveries}
    paused = {row["system"] for row in found.systems if is_paused(row, found.at)}
    stores = [
        Source(
            name,
            # A reading leaves out the last seconds, in which orders are still being built.
            read[name]["complete_until"] + timedelta(seconds=store.lag_seconds)
            if name in read
            else None,
            is_read=name not in paused,
            delivered_at=delivered.get(name),
            delivers=bool(store.webhook_secrets),
            brought_by_delta=_since(brought.get(name, 0), delivered.get(name), found.at - window),
        )
        for name, store in settings.stores.items()
    ]
    then = _heard_then(connection, settings, found.at, window)
    others = [
        Source(
            name,
            is_read=False,
            delivers=True,
            delivered_at=delivered.get(name),
            heard_then=then.get(name, ""),
        )
        for name in settings.webhooks
    ]
    return [*stores, *others]


def _since(brought: int, delivered_at: datetime | None, moment: datetime) -> int:
    """Changes brought by deltas say something only while no delivery came."""
    return 0 if delivered_at is not None and delivered_at > moment else brought


def _heard_then(
    connection: Connection, settings: Settings, now: datetime, window: timedelta
) -> Mapping[str, str]:
    """Which senders delivered at this hour of the days before, and when."""
    if not settings.webhooks:
        return {}
    return {
        name: word
        for word, back in reversed(SAME_HOUR.items())
        for name in stored.delivered_between(connection, now - back - window, now - back)
    }


def is_paused(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether a person's pause of a system holds now; one whose time is over does not."""
    return row["state"] == "paused" and (row["until"] is None or row["until"] > now)


def _queues(found: stored.Facts) -> list[Queue]:
    paused = {row["system"] for row in found.systems if is_paused(row, found.at)}
    queues: dict[str, Queue] = {}
    for row in found.queues:
        if row["state"] in WAITING_STATES:
            name = row["system"]
            before = queues.get(name, Queue(name, 0, row["oldest_at"]))
            queues[name] = Queue(
                name,
                before.writes + row["writes"],
                min(before.oldest_at, row["oldest_at"]),
                name in paused,
            )
    return list(queues.values())


def _stock(connection: Connection, settings: Settings, found: stored.Facts) -> list[LateStock]:
    """The oldest key of each queue, and the oldest number each store was not sent."""
    paused = {row["system"] for row in found.systems if is_paused(row, found.at)}
    return [
        LateStock(row["key"], row["since_at"], int(row["waiting"]), row["system"] in paused)
        for row in stored.late_stock(connection, list(settings.stores))
    ]


def _requests(connection: Connection, settings: Settings, found: stored.Facts) -> list[OpenRequest]:
    """What warehouses were asked to ship and have not; an ERP's own answers by itself."""
    paused = {row["system"] for row in found.systems if is_paused(row, found.at)}
    within = {name: one.acknowledge_minutes for name, one in settings.warehouses.items()}
    return [
        OpenRequest(
            **row,
            acknowledge_minutes=within.get(row["system"], ERP_ACKNOWLEDGES_WITHIN),
            is_paused=row["system"] in paused,
        )
        for row in stored.open_requests(connection)
    ]
