"""Deltas: ask each store what changed, and send what is due.

The decision is a function of stored facts; the sensor is a shell around it. There is no cursor
that could skip: a run that dies leaves its rows, and the next tick sees them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from sqlalchemy import Engine

from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems

POLL_EVERY = timedelta(seconds=30)


@dataclass(frozen=True)
class Facts:
    """What the database says about work to do."""

    now: datetime
    heard_at: dict[str, datetime | None]
    due_writes: int
    unmapped: int
    running: int
    last_run_at: datetime | None = None


def reasons(facts: Facts, poll_every: timedelta = POLL_EVERY) -> list[str]:
    """Why a run of the subject should start now; empty means it should not."""
    if facts.running:
        return []  # one run per subject at a time: it takes whatever is pending
    found = [_unheard(store, facts.heard_at[store]) for store in _stale(facts, poll_every)]
    if facts.unmapped:
        found.append(f"{facts.unmapped} versions are not mapped")
    if facts.due_writes:
        found.append(f"{facts.due_writes} writes are due")
    return found


def _stale(facts: Facts, poll_every: timedelta) -> list[str]:
    """Stores to ask again; one that does not answer is asked no more often than the others."""
    if facts.last_run_at is not None and facts.now - facts.last_run_at < poll_every:
        return []
    return sorted(
        store
        for store, heard in facts.heard_at.items()
        if heard is None or facts.now - heard >= poll_every
    )


def _unheard(store: str, heard: datetime | None) -> str:
    if heard is None:
        return f"{store} was never read"
    return f"{store} was not heard since {heard:%Y-%m-%d %H:%M:%S} UTC"


def facts(
    engine: Engine,
    stores: Sequence[str],
    now: datetime,
    running: int,
    last_run_at: datetime | None = None,
) -> Facts:
    """Read what there is to do."""
    with connected(engine) as connection:
        heard = read_rows(
            connection, "select source, updated_at from ops.watermark where stream = 'orders'"
        )
        counts = read_rows(
            connection,
            "select (select count(*) from ops.outbox where due_at <= :now and (state in "
            "('waiting', 'unknown') or state = 'leased' and lease_until <= :now) and not exists ("
            "select from ops.system s where s.system = outbox.system and s.state in "
            "('paused', 'circuit_open') and (s.until is null or s.until > :now))) as due, "
            "(select count(*) from raw.woocommerce__orders where mapped_at is null) as unmapped",
            now=now,
        )[0]
    seen = {row["source"]: row["updated_at"] for row in heard}
    return Facts(
        now,
        {store: seen.get(store) for store in stores},
        int(counts["due"]),
        int(counts["unmapped"]),
        running,
        last_run_at,
    )


def build(job_name: str) -> dg.SensorDefinition:
    """The sensor that starts the orders job when there is something to do."""

    @dg.sensor(
        name="orders_due",
        job_name=job_name,
        minimum_interval_seconds=5,
        description="Starts the orders job when a store was not asked for 30 seconds, when "
        "versions wait to be mapped or writes are due; never two runs at once.",
    )
    def orders_due(
        context: dg.SensorEvaluationContext, systems: dg.ResourceParam[Systems]
    ) -> dg.SkipReason | dg.RunRequest:
        now = systems.now()
        stores, running = list(systems.settings.stores), _running(context, job_name)
        last_run_at = _last_run_at(context, job_name)
        found = reasons(facts(systems.engine, stores, now, running, last_run_at))
        if not found:
            return dg.SkipReason("nothing to do, or a run is under way")
        context.log.info("; ".join(found))
        return dg.RunRequest(run_key=now.isoformat(), tags={"sync/reason": found[0][:200]})

    return orders_due


def _running(context: dg.SensorEvaluationContext, job_name: str) -> int:
    under_way = dg.RunsFilter(
        job_name=job_name,
        statuses=[
            dg.DagsterRunStatus.QUEUED,
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ],
    )
    return len(context.instance.get_run_ids(under_way, limit=1))


def _last_run_at(context: dg.SensorEvaluationContext, job_name: str) -> datetime | None:
    """When the newest run was asked for."""
    records = context.instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=1)
    return records[0].create_timestamp.astimezone(UTC) if records else None
