"""What is settled and old goes, every night: our tables, then Dagster's runs with their logs.

How our tables are purged is in `resources/store/purging.py`. Dagster's own `delete_run` takes a run
and its events but neither its check evaluations nor its step logs, and it would take the newest
materialization of an asset with the run that made it; so both are seen to here. Ticks are purged by
the retention in `dagster.yaml`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable as Evaluations,
)
from dagster._core.storage.event_log.schema import (
    SqlEventLogStorageTable as Events,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy import Engine, Select, delete, func, select

from resources.settings import Retention
from resources.store import audit, purging
from resources.store.engine import connected
from resources.store.purging import Purged
from resources.wiring import Systems
from sync_assets.outcomes import counted, told

#: A check that was asked and did not answer yet, or never.
PLANNED = AssetCheckExecutionRecordStatus.PLANNED.value
PURGE = "purge"
RUNS = "dagster.runs"
#: Runs deleted between two looks at the check evaluations, which have no index by run.
BATCH = 200
FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


@dataclass
class Totals:
    """What a purge took so far, by table."""

    rows: dict[str, int] = field(default_factory=dict)
    bytes: int = 0

    def add(self, taken: Purged) -> None:
        """Count a batch in."""
        self.rows[taken.table] = self.rows.get(taken.table, 0) + taken.rows
        self.bytes += taken.bytes

    @property
    def taken(self) -> dict[str, int]:
        """Rows by table, for those that lost any."""
        return {table: rows for table, rows in self.rows.items() if rows}


def purge_all(
    engine: Engine,
    instance: dg.DagsterInstance,
    retention: Retention,
    *,
    now: datetime,
    by: str,
    say: Callable[[str, int], None] = lambda table, rows: None,
) -> Totals:
    """Purge our tables and Dagster's runs; what went is audited, also when it is broken off."""
    totals = Totals()
    batches = chain(
        purging.purge(engine, retention, now), purge_runs(instance, retention.runs_days, now)
    )
    try:
        for batch in batches:
            totals.add(batch)
            say(batch.table, totals.rows[batch.table])
    finally:
        with connected(engine) as connection:
            rows, size = totals.taken, totals.bytes
            audit.record(connection, by, "store.purged", "retention", now, rows=rows, bytes=size)
    return totals


def count_all(
    engine: Engine, instance: dg.DagsterInstance, retention: Retention, now: datetime
) -> Totals:
    """Count what a purge would take, and touch nothing."""
    totals = Totals()
    for table in purging.countable(engine, retention, now):
        totals.add(table)
    totals.add(Purged(RUNS, len(old_runs(instance, retention.runs_days, now)), 0))
    return totals


def old_runs(instance: dg.DagsterInstance, days: int, now: datetime) -> list[str]:
    """Finished runs that nobody needs any more, the oldest first."""
    before = (now - timedelta(days=days)).astimezone(UTC)
    found = instance.get_run_ids(dg.RunsFilter(statuses=FINISHED, updated_before=before))
    needed = needed_runs(instance)
    return [run_id for run_id in reversed(found) if run_id not in needed]


def needed_runs(instance: dg.DagsterInstance) -> set[str]:
    """Runs that made the newest version, or judged the newest check, of an asset or partition.

    The UI, freshness and our own code read them; with its run, each would be gone.
    """
    kinds = (
        dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        dg.DagsterEventType.ASSET_OBSERVATION.value,
    )
    newest_events = (
        select(func.max(Events.c.id))
        .where(Events.c.dagster_event_type.in_(kinds))
        .group_by(Events.c.asset_key, Events.c.partition, Events.c.dagster_event_type)
    )
    of_check = (Evaluations.c.asset_key, Evaluations.c.check_name, Evaluations.c.partition)
    newest_asked = select(func.max(Evaluations.c.id)).group_by(*of_check)
    newest_judged = newest_asked.where(Evaluations.c.execution_status != PLANNED)
    queries: tuple[Select[str], ...] = (
        select(Events.c.run_id).where(Events.c.id.in_(newest_events)),
        select(Evaluations.c.run_id).where(Evaluations.c.id.in_(newest_asked)),
        select(Evaluations.c.run_id).where(Evaluations.c.id.in_(newest_judged)),
    )
    with _storage(instance).index_connection() as connection:
        return {run_id for query in queries for run_id in connection.execute(query).scalars()}


def purge_runs(instance: dg.DagsterInstance, days: int, now: datetime) -> Iterator[Purged]:
    """Delete old runs with their events, check evaluations and step logs, some at a time."""
    storage, found = _storage(instance), old_runs(instance, days, now)
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        with storage.index_connection() as connection:
            length = func.coalesce(func.sum(func.length(Events.c.event)), 0)
            size = connection.execute(select(length).where(Events.c.run_id.in_(batch))).scalar()
            connection.execute(delete(Evaluations).where(Evaluations.c.run_id.in_(batch)))
        for run_id in batch:
            # The run itself goes last: one that was broken off is found again by it.
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            storage.delete_events(run_id)
            instance.delete_run(run_id)
        yield Purged(RUNS, len(batch), int(size or 0))


def _storage(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"runs are purged in an SQL event log, not in {type(storage).__name__}")
    return storage


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Takes settled and old rows from every table that grows, and finished old runs.",
)
def purge_what_is_settled(
    context: dg.OpExecutionContext, systems: dg.ResourceParam[Systems]
) -> None:
    """Purge by the deployment's retention, and tell how much."""
    with told():
        totals = purge_all(
            systems.engine,
            context.instance,
            systems.settings.retention,
            now=systems.now(),
            by=f"schedule {PURGE}",
            say=lambda table, rows: context.log.debug(f"{table}: {rows} rows"),
        )
    rows = sum(totals.taken.values())
    context.add_output_metadata(counted(**totals.taken, total_rows=rows, total_bytes=totals.bytes))


def job() -> dg.JobDefinition:
    """The job of one op; it makes no asset."""

    @dg.job(
        name=PURGE,
        executor_def=dg.in_process_executor,
        description="Purge what is settled and older than the retention in the configuration.",
    )
    def purge() -> None:
        purge_what_is_settled()

    return purge


def build(*, is_on: bool) -> dg.ScheduleDefinition:
    """The nightly purge, in UTC, after the nightly comparison."""
    return dg.ScheduleDefinition(
        name="purge_every_night",
        job_name=PURGE,
        cron_schedule="40 4 * * *",
        execution_timezone="UTC",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED
        ),
        description="Takes what is settled and older than the retention in the configuration.",
    )
