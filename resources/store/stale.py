"""What must be worked out again: keys in queues, marked by the transaction that changed what they
rest on, taken away by the one that worked them out. A run that dies leaves them.

Marks and takers meet in the rows: a mark of a key that stands already still locks its row, so a
taker that cannot see the change yet leaves the key alone (`skip locked`). To mark in several
queues, follow the order of the triggers (migration 0003): stock_reading, reservation, availability,
stock_plan, then that of the keys; otherwise two could wait for one another.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, text

from resources.store.frames import read_rows, scalar

#: Stands for every key there is: one row instead of a hundred thousand.
ALL = "*"


def mark(
    connection: Connection, queue: str, keys: Iterable[str], now: datetime, *, renew: bool = False
) -> None:
    """Mark keys; one that waits keeps its age, unless `renew` says that it is wanted once more."""
    connection.execute(
        text(
            """
            insert into ops.stale as old (queue, key, since)
            select :queue, key, :now from unnest(cast(:keys as text[])) as wanted (key) order by 2
            on conflict (queue, key) do update
            set since = case when :renew then greatest(old.since, excluded.since) else old.since end
            """
        ),
        {"queue": queue, "keys": sorted(set(keys)), "now": now, "renew": renew},
    )


def take(connection: Connection, queue: str, limit: int | None = None) -> list[str]:
    """Take the oldest keys away, for this transaction to work out; `ALL` may be one of them.

    Keys that an open transaction marks, or that another taker holds, are left for the next time.
    """
    rows = connection.execute(
        text(
            """
            with taken as (
                select key from ops.stale where queue = :queue
                order by since, key limit :limit for update skip locked)
            delete from ops.stale s using taken
            where s.queue = :queue and s.key = taken.key returning s.key
            """
        ),
        {"queue": queue, "limit": limit},
    )
    return sorted(row.key for row in rows)


def waiting(connection: Connection, queue: str, limit: int | None = None) -> dict[str, datetime]:
    """The oldest keys and when they were marked, left where they are."""
    rows = read_rows(
        connection,
        "select key, since from ops.stale where queue = :queue order by since, key limit :limit",
        queue=queue,
        limit=limit,
    )
    return {row["key"]: row["since"] for row in rows}


def count(connection: Connection, queue: str) -> int:
    """How many keys wait."""
    query = "select count(*) from ops.stale where queue = :queue"
    return int(scalar(connection, query, queue=queue))


def settle(connection: Connection, queue: str, done: Mapping[str, datetime]) -> int:
    """Take away what was `waiting` and is worked out now; what was marked anew since then stays."""
    return connection.execute(
        text(
            """
            delete from ops.stale s
            using unnest(cast(:keys as text[]), cast(:moments as timestamptz[])) as d (key, since)
            where s.queue = :queue and s.key = d.key and s.since = d.since
            """
        ),
        {"queue": queue, "keys": list(done), "moments": list(done.values())},
    ).rowcount
