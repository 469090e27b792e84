"""Who is at work: a shared advisory lock, held as long as the process lives; and who was asked.

Nothing has to be cleaned up after a killed process: its connection ends, and its locks with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from resources.store.frames import scalar

#: Any number, the same in every process: keeps these locks apart from all others.
NAMESPACE = 7_205_512


def asked(connection: Connection, name: str, now: datetime) -> None:
    """Record that somebody was asked to be at work under `name`."""
    connection.execute(
        text(
            "insert into ops.job (job, asked_at) values (:name, :now) "
            "on conflict (job) do update set asked_at = :now"
        ),
        {"name": name, "now": now},
    )


def last(connection: Connection, name: str) -> tuple[datetime | None, datetime | None]:
    """When somebody was last asked, and when somebody last began."""
    row = connection.execute(
        text("select asked_at, begun_at from ops.job where job = :name"), {"name": name}
    ).one_or_none()
    return (row.asked_at, row.begun_at) if row else (None, None)


@contextmanager
def held(engine: Engine, name: str, now: datetime) -> Iterator[None]:
    """Be seen to be at work under `name`, from `now` until the block ends."""
    values = {"space": NAMESPACE, "name": name, "now": now}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("select pg_advisory_lock_shared(:space, hashtext(:name))"), values)
        connection.execute(
            text(
                "insert into ops.job (job, begun_at) values (:name, :now) "
                "on conflict (job) do update set begun_at = :now"
            ),
            values,
        )
        try:
            yield
        finally:
            # A connection that is gone has let go of its lock by itself.
            with suppress(DBAPIError):
                connection.execute(
                    text("select pg_advisory_unlock_shared(:space, hashtext(:name))"), values
                )


def at_work(connection: Connection, name: str) -> int:
    """How many processes are at work under `name`."""
    return int(
        scalar(
            connection,
            "select count(distinct pid) from pg_locks "
            "where locktype = 'advisory' and granted and objsubid = 2 and classid = :space "
            "and objid = (hashtext(:name)::bigint & 4294967295)::oid "
            "and database = (select oid from pg_database where datname = current_database())",
            space=NAMESPACE,
            name=name,
        )
    )
