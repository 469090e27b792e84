"""The inbox: one row per delivery, kept until it is settled; a hint, never the truth.

Duplicates are kept as deliveries and coalesced when they are leased. A lease that ran out is
seen again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct, pack
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import Connection, text

from resources.store.frames import read_rows, scalar


@dataclass(frozen=True)
class Delivery:
    """One delivery as received."""

    source: str
    store: str
    topic: str
    resource_id: str | None
    body: bytes
    correlation_id: str
    received_at: datetime
    due_at: datetime | None = None
    signature: str = "not_needed"
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Why it is set aside at once; without a fault it waits to be followed.
    fault: str | None = None


def append(connection: Connection, deliveries: Sequence[Delivery]) -> list[int]:
    """Keep deliveries; answer their ids in the same order."""
    return [
        int(connection.execute(text(_APPEND), _values(delivery)).scalar_one())
        for delivery in deliveries
    ]


_APPEND = """
insert into ops.inbox (source, store, topic, resource_id, body, headers, signature, received_at,
    due_at, correlation_id, state, settled_at, outcome)
values (:source, :store, :topic, :resource_id, :body, cast(:headers as jsonb), :signature,
    :received_at, :due_at, :correlation_id, :state, :settled_at, :fault)
returning id
"""


def _values(delivery: Delivery) -> dict[str, Any]:
    return {
        **vars(delivery),
        "headers": json.dumps(dict(delivery.headers)),
        "due_at": delivery.due_at or delivery.received_at,
        "state": "quarantined" if delivery.fault else "waiting",
        "settled_at": delivery.received_at if delivery.fault else None,
    }


#: For whoever keeps many at once and needs no ids; takes what `packed` gives.
COPY = (
    "copy ops.inbox (source, store, topic, resource_id, body, headers, signature, received_at, "
    "due_at, correlation_id, state, settled_at, outcome) from stdin (format binary)"
)
_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_FIELDS, _NULL = pack("!h", 13), pack("!i", -1)
_LENGTH = Struct("!i")
#: Two instants with their lengths: microseconds since the epoch of Postgres.
_INSTANTS, _EPOCH, _TICK = Struct("!iqiq"), datetime(2000, 1, 1, tzinfo=UTC), timedelta(0, 0, 1)


def packed(deliveries: Iterable[Delivery]) -> bytes:
    """Deliveries as Postgres' binary COPY wants them; half the cost of one parameter each."""
    parts = [_HEAD]
    for delivery in deliveries:
        parts += _row(delivery)
    parts.append(_TAIL)
    return b"".join(parts)


def _row(delivery: Delivery) -> tuple[bytes, ...]:
    headers, resource = to_json(delivery.headers), delivery.resource_id
    received = (delivery.received_at - _EPOCH) // _TICK
    due = (delivery.due_at - _EPOCH) // _TICK if delivery.due_at else received
    return (
        _origin(delivery.source, delivery.store, delivery.topic),
        _NULL if resource is None else _text(resource),
        _LENGTH.pack(len(delivery.body)),
        delivery.body,
        _LENGTH.pack(len(headers) + 1),
        b"\x01",  # the version of a jsonb's form
        headers,
        _word(delivery.signature),
        _INSTANTS.pack(8, received, 8, due),
        _text(delivery.correlation_id),
        _waiting() if delivery.fault is None else _set_aside(delivery.fault, received),
    )


@lru_cache(maxsize=4096)
def _origin(source: str, store: str, topic: str) -> bytes:
    """How a row begins; the same words come again and again."""
    return _FIELDS + _text(source) + _text(store) + _text(topic)


@lru_cache(maxsize=64)
def _word(value: str) -> bytes:
    return _text(value)


@lru_cache(maxsize=1)
def _waiting() -> bytes:
    return _text("waiting") + _NULL + _NULL


def _set_aside(fault: str, received: int) -> bytes:
    return _text("quarantined") + pack("!iq", 8, received) + _text(fault)


def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH.pack(len(data)) + data


#: What may be taken: it is due, and no living worker holds it.
_FREE = "due_at <= :now and (state = 'waiting' or state = 'leased' and lease_until <= :now)"
#: The kind of thing is the first word of the topic.
_OF = "(cast(:kinds as text[]) is null or (split_part(topic, '.', 1) = any(:kinds)) = :are_wanted)"


class Kinds(NamedTuple):
    """Which kinds of things a reader follows: these, or all but these."""

    names: tuple[str, ...]
    are_wanted: bool = True


def _asked(kinds: Kinds | None) -> dict[str, Any]:
    names, are_wanted = kinds or (None, True)
    return {"kinds": list(names) if names is not None else None, "are_wanted": are_wanted}


def due(
    connection: Connection,
    source: str,
    stores: Sequence[str],
    now: datetime,
    kinds: Kinds | None = None,
) -> dict[str, int]:
    """Count by store what `lease` would take now; stores with nothing are left out."""
    rows = read_rows(
        connection,
        "select store, n from (select store, count(*) as n from ops.inbox "  # noqa: S608
        f"where source = :source and store = any(:stores) and {_FREE} and {_OF} group by 1) free "
        "where not ops.rests(store, :now)",
        source=source,
        stores=list(stores),
        now=now,
        **_asked(kinds),
    )
    return {row["store"]: int(row["n"]) for row in rows}


def due_elsewhere(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """Count what may be taken now of senders that are no shops: by source, store and kind."""
    return read_rows(
        connection,
        "select source, store, kind, n from (select source, store, "  # noqa: S608
        f"split_part(topic, '.', 1) as kind, count(*) as n from ops.inbox where {_FREE} "
        "and source <> 'woocommerce' group by 1, 2, 3) free where not ops.rests(store, :now)",
        now=now,
    )


def lease(
    connection: Connection,
    *,
    source: str,
    store: str,
    worker: str,
    now: datetime,
    hold: timedelta = timedelta(minutes=5),
    limit: int = 1000,
    kinds: Kinds | None = None,
) -> dict[tuple[str, str], list[int]]:
    """Take due deliveries; answer their ids by kind of thing and resource id ("" for none).

    The kind is the first word of the topic. Nothing is taken while the store rests.
    """
    rows = read_rows(
        connection,
        f"""
        update ops.inbox i
        set state = 'leased', leased_by = :worker, lease_until = :until, attempts = attempts + 1
        where i.id in (
            select id from ops.inbox
            where source = :source and store = :store and {_FREE} and {_OF}
              and not ops.rests(:store, :now)
            order by due_at, id limit :limit for update skip locked)
        returning i.id, split_part(i.topic, '.', 1) as kind,
            coalesce(i.resource_id, '') as resource_id
        """,  # noqa: S608
        source=source,
        store=store,
        worker=worker,
        now=now,
        until=now + hold,
        limit=limit,
        **_asked(kinds),
    )
    hints: dict[tuple[str, str], list[int]] = {}
    for row in sorted(rows, key=lambda row: int(row["id"])):
        hints.setdefault((row["kind"], row["resource_id"]), []).append(int(row["id"]))
    return hints


def bodies(connection: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Id, topic, thing, body and moment of deliveries, the first received first."""
    return read_rows(
        connection,
        "select id, source, store, topic, resource_id, body, received_at, correlation_id "
        "from ops.inbox where id = any(:ids) order by id",
        ids=list(ids),
    )


def give_back(connection: Connection, ids: Sequence[int], *, worker: str, now: datetime) -> int:
    """Let deliveries wait again that could not be followed; the longer, the more often they failed.

    Answers how many were still this worker's.
    """
    done = connection.execute(
        text(
            """
            update ops.inbox set state = 'waiting', leased_by = null, lease_until = null,
                due_at = :now + least(power(2, least(attempts, 9)), 300) * interval '1 second'
            where id = any(:ids) and state = 'leased' and leased_by = :worker
            """
        ),
        {"ids": list(ids), "worker": worker, "now": now},
    )
    return int(done.rowcount)


def settle(
    connection: Connection,
    ids: Sequence[int],
    *,
    worker: str,
    now: datetime,
    outcome: str,
) -> int:
    """End deliveries this worker holds; answer how many were still its own."""
    done = connection.execute(
        text(
            """
            update ops.inbox set state = 'settled', settled_at = :now, outcome = :outcome,
                leased_by = null, lease_until = null
            where id = any(:ids) and state = 'leased' and leased_by = :worker
            """
        ),
        {"ids": list(ids), "worker": worker, "now": now, "outcome": outcome},
    )
    return int(done.rowcount)


def quarantine(connection: Connection, ids: Sequence[int], *, now: datetime, outcome: str) -> None:
    """Set deliveries aside that cannot be read; they stay, with the reason."""
    connection.execute(
        text(
            """
            update ops.inbox set state = 'quarantined', settled_at = :now, outcome = :outcome,
                leased_by = null, lease_until = null
            where id = any(:ids)
            """
        ),
        {"ids": list(ids), "now": now, "outcome": outcome},
    )


@dataclass(frozen=True)
class Window:
    """Deliveries received from `start` on and before `end`; None is any store or topic."""

    source: str
    start: datetime
    end: datetime
    store: str | None = None
    #: A whole topic (`order.updated`) or its first word (`order`).
    topic: str | None = None


_IN_WINDOW = """i.source = :source and i.received_at >= :start and i.received_at < :end
  and (cast(:store as text) is null or i.store = :store)
  and (cast(:topic as text) is null or i.topic = :topic or starts_with(i.topic, :topic || '.'))
"""


def ended_in(connection: Connection, window: Window) -> list[dict[str, Any]]:
    """The things that ended deliveries of a window named, once each, with the newest delivery."""
    return read_rows(
        connection,
        f"""
        select i.store, split_part(i.topic, '.', 1) as kind, i.resource_id,
            (array_agg(i.topic order by i.id desc))[1] as topic, max(i.id) as newest,
            count(*) as deliveries
        from ops.inbox i where {_IN_WINDOW} and i.state in ('settled', 'quarantined')
        group by 1, 2, 3 order by 1, 2, 5
        """,  # noqa: S608
        **vars(window),
    )


def under_way_in(connection: Connection, window: Window) -> int:
    """How many deliveries of a window are still to be followed."""
    open_ones = f"from ops.inbox i where {_IN_WINDOW} and i.state in ('waiting', 'leased')"
    return int(scalar(connection, f"select count(*) {open_ones}", **vars(window)))


def kept_since(connection: Connection, source: str, store: str | None) -> datetime | None:
    """When the oldest delivery that is kept was received."""
    moment = scalar(
        connection,
        "select min(received_at) from ops.inbox "
        "where source = :source and (cast(:store as text) is null or store = :store)",
        source=source,
        store=store,
    )
    return moment if isinstance(moment, datetime) else None


def deliver_again(
    connection: Connection, source: str, things: Sequence[Mapping[str, Any]], now: datetime
) -> list[int]:
    """Append a hint for each thing (store, topic, resource_id, replay_of); answer the new ids.

    A hint needs no body: what it names is read again, and what was said then is past.
    """
    rows = read_rows(
        connection,
        """
        insert into ops.inbox (source, store, topic, resource_id, body, signature, received_at,
            due_at, correlation_id, replay_of)
        select :source, t.store, t.topic, t.resource_id, '', 'not_needed', :now, :now,
            replace(gen_random_uuid()::text, '-', ''), t.replay_of
        from jsonb_to_recordset(cast(:things as jsonb))
            as t (store text, topic text, resource_id text, replay_of bigint)
        order by t.replay_of
        returning id
        """,
        source=source,
        things=json.dumps(list(things)),
        now=now,
    )
    return [int(row["id"]) for row in rows]
