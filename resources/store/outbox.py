"""The outbox: one row per intended write, and the rules by which it is sent once.

    waiting ──lease──> leased ──┬─> done      the effect is there
       ^                        ├─> unknown   it may have had an effect: look up before all else
       └──── try again ─────────┼─> parked    a person must act; later writes of the thing wait
                                └─> refused   given up or withdrawn; nothing waits behind it

A lease that ran out means its worker died: the row is taken again, and because every worker looks
the thing up before it creates, an effect that already happened is found.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.store.frames import read_rows

LANES = {"cancel": 0, "stock": 1, "order": 2, "shipment": 3, "catalog": 4}


@dataclass(frozen=True)
class Write:
    """One leased write."""

    id: int
    system: str
    operation: str
    thing_ref: str
    business_key: str
    payload: dict[str, Any] | None
    wanted_hash: str
    core_version: int
    attempts: int
    correlation_id: str
    #: An earlier attempt may have had an effect: its answer was lost, or its worker died.
    begun: bool = False
    lane: int = LANES["order"]
    #: When the trouble with it began; nothing if no attempt told anything bad about it yet.
    first_failed_at: datetime | None = None


@dataclass(frozen=True)
class Intended:
    """A write we mean to make."""

    operation: str
    thing_ref: str
    payload: dict[str, Any] | None
    wanted_hash: str
    core_version: int
    lane: int
    correlation_id: str
    #: A state to be reached, as a stock level is, not an event: wanted again after it was done.
    recurs: bool = False

    @property
    def business_key(self) -> str:
        """The same intention always has the same key."""
        return f"{self.operation}:{self.thing_ref}"


def intend(connection: Connection, system: str, writes: Sequence[Intended], now: datetime) -> int:
    """Put writes down before they are sent; the same intention twice is one row.

    A write that was parked, refused or is still waiting takes the newer payload and waits again;
    one that is under way stays as it is, and one that is done too unless it recurs. A parked one
    may have left something there, so it never counts as untried again. Answers how many rows wait
    because of it.
    """
    columns = {
        "operations": [write.operation for write in writes],
        "things": [write.thing_ref for write in writes],
        "keys": [write.business_key for write in writes],
        "payloads": [None if w.payload is None else json.dumps(w.payload) for w in writes],
        "hashes": [write.wanted_hash for write in writes],
        "versions": [write.core_version for write in writes],
        "lanes": [write.lane for write in writes],
        "correlations": [write.correlation_id for write in writes],
        "recurs": [write.recurs for write in writes],
    }
    return intend_selected(connection, system, _WANTED, now, **columns)


def intend_selected(
    connection: Connection, system: str, selection: str, now: datetime, **values: Any
) -> int:
    """Put down what a query selects, in the columns of `Intended`, its key and a `place`."""
    query = f"with wanted as ({selection}) {_PUT_DOWN}"
    return int(connection.execute(text(query), {"system": system, "now": now, **values}).rowcount)


#: One statement whatever the number; of two intentions for one thing the first counts, the other
#: is intended again when that one is done.
_PUT_DOWN = """
insert into ops.outbox (system, operation, thing_ref, business_key, payload, wanted_hash,
    core_version, lane, due_at, correlation_id, created_at, updated_at, recurs)
select :system, w.operation, w.thing_ref, w.business_key, cast(w.payload as jsonb), w.wanted_hash,
    w.core_version, w.lane, :now, w.correlation_id, :now, :now, w.recurs
from wanted w
where not exists (
    select from ops.outbox o where o.system = :system and o.thing_ref = w.thing_ref
      and o.business_key <> w.business_key
      and o.state in ('waiting', 'leased', 'unknown', 'parked'))
order by w.place
on conflict on constraint one_write_per_business_key do update
set payload = excluded.payload, wanted_hash = excluded.wanted_hash,
    core_version = excluded.core_version, state = 'waiting', due_at = excluded.due_at,
    attempts = case outbox.state when 'parked' then 1 else 0 end, first_failed_at = null,
    error_class = null, error_text = null, updated_at = excluded.updated_at,
    correlation_id = case outbox.state
        when 'done' then excluded.correlation_id else outbox.correlation_id end
where (outbox.state in ('parked', 'refused', 'waiting')
       and outbox.wanted_hash <> excluded.wanted_hash)
   or (outbox.state = 'refused' and outbox.error_class = 'withdrawn')
   or (outbox.state = 'done' and excluded.recurs)
"""
_WANTED = """
    select distinct on (w.thing_ref) w.* from unnest(
        cast(:operations as text[]), cast(:things as text[]), cast(:keys as text[]),
        cast(:payloads as text[]), cast(:hashes as text[]), cast(:versions as bigint[]),
        cast(:lanes as smallint[]), cast(:correlations as text[]), cast(:recurs as boolean[])
    ) with ordinality as w(operation, thing_ref, business_key, payload, wanted_hash, core_version,
        lane, correlation_id, recurs, place)
    order by w.thing_ref, w.place
"""


def withdraw(connection: Connection, system: str, things: Sequence[str], now: datetime) -> int:
    """Take back writes that certainly had no effect yet; answer how many."""
    done = connection.execute(
        text(
            _WITHDRAW + "where system = :system and thing_ref = any(:things) and state = 'waiting'"
        ),
        {"system": system, "things": list(things), "now": now},
    )
    return int(done.rowcount)


def take_back(connection: Connection, ids: Sequence[int], now: datetime) -> int:
    """End writes that nobody works on, whatever they did; the caller sees to what they left."""
    done = connection.execute(text(_WITHDRAW + "where id = any(:ids)"), {"ids": ids, "now": now})
    return int(done.rowcount)


_WITHDRAW = """
update ops.outbox set state = 'refused', error_class = 'withdrawn',
    error_text = 'no longer wanted', updated_at = :now, leased_by = null, lease_until = null
"""


def retry_parked(connection: Connection, system: str | None, thing_ref: str, now: datetime) -> int:
    """Let parked writes of a thing wait again, after a person mended the cause."""
    done = connection.execute(
        text(
            """
            update ops.outbox set state = 'waiting', attempts = least(attempts, 1), due_at = :now,
                first_failed_at = null, error_class = null, error_text = null, updated_at = :now
            where (cast(:system as text) is null or system = :system)
              and thing_ref = :thing and state = 'parked'
            """
        ),
        {"system": system, "thing": thing_ref, "now": now},
    )
    return int(done.rowcount)


#: What may be taken: it is due, and no living worker holds it.
_FREE = (
    "due_at <= :now and (state in ('waiting', 'unknown') "
    "or state = 'leased' and lease_until <= :now)"
)


#: Only operations that begin so; none given, all.
_CALLED = "(cast(:operations as text) is null or starts_with(operation, :operations))"


def due(
    connection: Connection, systems: Sequence[str], now: datetime, operations: str | None = None
) -> dict[str, int]:
    """Count by system what `lease` would take now; systems with nothing are left out."""
    rows = read_rows(
        connection,
        "select system, n from (select system, count(*) as n from ops.outbox "  # noqa: S608
        f"where system = any(:systems) and {_FREE} and {_CALLED} group by 1) free "
        "where not ops.rests(system, :now)",
        systems=list(systems),
        now=now,
        operations=operations,
    )
    return {row["system"]: int(row["n"]) for row in rows}


def due_by_operation(connection: Connection, now: datetime) -> dict[str, dict[str, int]]:
    """Count what may be taken now, by the first word of the operation and by system."""
    rows = read_rows(
        connection,
        "select operation, system, n from (select split_part(operation, '.', 1) as operation, "  # noqa: S608
        f"system, count(*) as n from ops.outbox where {_FREE} group by 1, 2) free "
        "where not ops.rests(system, :now)",
        now=now,
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["operation"], {})[row["system"]] = int(row["n"])
    return found


def lease(
    connection: Connection,
    system: str,
    *,
    worker: str,
    now: datetime,
    limit: int,
    hold: timedelta = timedelta(minutes=5),
    operations: str | None = None,
) -> list[Write]:
    """Take due writes, the urgent lane first; nothing while the system must not be asked.

    `operations` is what their operations begin with; workers of one system then share it by kind.
    """
    rows = read_rows(
        connection,
        f"""
        with due as (
            select id, state from ops.outbox
            where system = :system and {_FREE} and {_CALLED} and not ops.rests(:system, :now)
            order by lane, due_at, id limit :limit for update skip locked)
        update ops.outbox o
        set state = 'leased', leased_by = :worker, lease_until = :until, attempts = attempts + 1,
            updated_at = :now
        from due where o.id = due.id
        returning o.*, due.state <> 'waiting' as begun
        """,  # noqa: S608
        system=system,
        worker=worker,
        now=now,
        until=now + hold,
        limit=limit,
        operations=operations,
    )
    names = Write.__dataclass_fields__
    rows.sort(key=lambda row: (row["lane"], row["due_at"], row["id"]))
    return [Write(**{name: row[name] for name in names}) for row in rows]


@dataclass(frozen=True)
class Settled:
    """How one leased write ended."""

    id: int
    state: str
    error_class: str | None = None
    error_text: str | None = None
    due_at: datetime | None = None
    #: Whether the attempt tells something about the write; not when the system was away.
    counts: bool = True


def held(connection: Connection, ids: Sequence[int], *, worker: str) -> set[int]:
    """Those of these writes that `worker` still holds; nobody takes them until it commits."""
    rows = read_rows(
        connection,
        "select id from ops.outbox where id = any(:ids) and state = 'leased' "
        "and leased_by = :worker order by id for update",
        ids=list(ids),
        worker=worker,
    )
    return {int(row["id"]) for row in rows}


def settle(
    connection: Connection, settled: Sequence[Settled], *, worker: str, now: datetime
) -> int:
    """Record how writes ended; answer how many this worker still held."""
    columns = {
        "ids": [one.id for one in settled],
        "states": [one.state for one in settled],
        "classes": [one.error_class for one in settled],
        "texts": [one.error_text for one in settled],
        "dues": [one.due_at for one in settled],
        "counts": [one.counts for one in settled],
    }
    done = connection.execute(text(_SETTLE), {"worker": worker, "now": now, **columns})
    return int(done.rowcount)


_SETTLE = """
update ops.outbox o set state = s.state, error_class = s.error_class, error_text = s.error_text,
    due_at = coalesce(s.due_at, o.due_at), updated_at = :now,
    attempts = o.attempts - case when s.counts then 0 else 1 end,
    first_failed_at = case when s.counts and s.state in ('waiting', 'unknown', 'parked')
        then coalesce(o.first_failed_at, :now) else o.first_failed_at end,
    leased_by = null, lease_until = null
from unnest(cast(:ids as bigint[]), cast(:states as text[]), cast(:classes as text[]),
    cast(:texts as text[]), cast(:dues as timestamptz[]), cast(:counts as boolean[]))
    as s(id, state, error_class, error_text, due_at, counts)
where o.id = s.id and o.state = 'leased' and o.leased_by = :worker
"""


def begun(connection: Connection, system: str, things: Sequence[str]) -> list[str]:
    """Those of the things that an open write may have left something of, without an end."""
    rows = read_rows(
        connection,
        "select distinct thing_ref from ops.outbox where system = :system "
        "and thing_ref = any(:things) and state in ('waiting', 'leased', 'unknown', 'parked') "
        "and (attempts > 0 or operation like '%.cancel')",
        system=system,
        things=list(things),
    )
    return [str(row["thing_ref"]) for row in rows]


def depth(connection: Connection) -> list[dict[str, Any]]:
    """Writes per system and state, with the oldest and the next due time."""
    return read_rows(
        connection,
        "select system, state, count(*) as writes, min(created_at) as oldest, "
        "min(due_at) as next_due from ops.outbox where state <> 'done' group by 1, 2 order by 1, 2",
    )
