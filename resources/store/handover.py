"""Runs handed to warm workers: asked for, taken by one, or taken back by whoever asked.

One row a run: who takes it and who takes it back meet in one update, so a run is started once.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from resources.store.frames import read_rows, scalar
from resources.store.listening import RUNS

#: A worker that said nothing for this long is dead.
DEAD_AFTER = timedelta(seconds=15)


def ask(connection: Connection, run_id: str, job: str, snapshot: str, now: datetime) -> None:
    """Offer a run to whoever is free and has the same definition of its job."""
    connection.execute(
        text(
            "insert into ops.handover (run_id, job, snapshot_id, asked_at) "
            "values (:run, :job, :snapshot, :now)"
        ),
        {"run": run_id, "job": job, "snapshot": snapshot, "now": now},
    )
    connection.execute(text("select pg_notify(:channel, :run)"), {"channel": RUNS, "run": run_id})


def take(
    connection: Connection, worker: str, known: Mapping[str, str], now: datetime
) -> str | None:
    """Take the oldest offered run whose job is `known` under the same snapshot."""
    run_id = scalar(
        connection,
        """
        update ops.handover h set taken_at = :now, taken_by = :worker
        where h.run_id = (
            select run_id from ops.handover
            where taken_at is null and snapshot_id = any(:snapshots)
            order by asked_at limit 1 for update skip locked)
        returning run_id
        """,
        worker=worker,
        now=now,
        snapshots=list(known.values()),
    )
    return str(run_id) if run_id else None


def offered_otherwise(connection: Connection, known: Mapping[str, str]) -> bool:
    """Whether a job we know is offered in a form we do not: this worker's code is not current."""
    rows = read_rows(connection, "select job, snapshot_id from ops.handover where taken_at is null")
    return any(row["job"] in known and known[row["job"]] != row["snapshot_id"] for row in rows)


def was_taken(connection: Connection, run_id: str) -> bool:
    """Whether a worker has the run."""
    return bool(
        scalar(
            connection,
            "select exists (select from ops.handover where run_id = :run and taken_at is not null)",
            run=run_id,
        )
    )


def take_back(connection: Connection, run_id: str) -> bool:
    """Withdraw the offer; whether nobody had taken it, so that it is ours to start elsewhere."""
    done = connection.execute(
        text("delete from ops.handover where run_id = :run and taken_at is null"), {"run": run_id}
    )
    return int(done.rowcount) == 1


def end(connection: Connection, run_id: str, now: datetime) -> None:
    """Record that the worker is through with the run, however it ended."""
    connection.execute(
        text("update ops.handover set ended_at = :now where run_id = :run"),
        {"run": run_id, "now": now},
    )


def beat(connection: Connection, worker: str, run_id: str | None, now: datetime) -> None:
    """Say that a worker is alive, and what it runs."""
    connection.execute(
        text(
            "insert into ops.worker (worker, started_at, beat_at, run_id) "
            "values (:worker, :now, :now, :run) "
            "on conflict (worker) do update set beat_at = :now, run_id = :run"
        ),
        {"worker": worker, "run": run_id, "now": now},
    )


def leave(connection: Connection, worker: str) -> None:
    """Take a worker that ends off the list."""
    connection.execute(text("delete from ops.worker where worker = :worker"), {"worker": worker})


def somebody_is_there(connection: Connection, now: datetime) -> bool:
    """Whether any worker is alive."""
    return bool(
        scalar(
            connection,
            "select exists (select from ops.worker where beat_at > :since)",
            since=now - DEAD_AFTER,
        )
    )


def is_lost(connection: Connection, run_id: str, now: datetime) -> bool:
    """Whether the worker that took the run died with it."""
    return bool(
        scalar(
            connection,
            """
            select exists (
                select from ops.handover h
                left join ops.worker w on w.worker = h.taken_by and w.beat_at > :since
                where h.run_id = :run and h.taken_at is not null and h.ended_at is null
                  and w.worker is null)
            """,
            run=run_id,
            since=now - DEAD_AFTER,
        )
    )
