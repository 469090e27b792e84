"""Runs started from the command line: real Dagster runs, recorded on the instance."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from resources import settings
from resources.store.engine import engine_for
from resources.store.postgres import Databases
from resources.wiring import Systems
from sync_assets import jobs
from sync_assets.definitions import build_defs
from sync_assets.orders.assets import RAW_ORDERS_BY_DAY


@contextmanager
def opened(place: Databases) -> Iterator[tuple[dg.Definitions, Systems]]:
    """The deployment's definitions on one engine."""
    config = settings.load()
    if not config.stores:
        raise settings.SettingsError(
            f"No store is configured in {settings.config_path()}; see docs/operating.md, or try "
            "`sync-assets demo`."
        )
    systems = Systems(config, engine_for(place))
    try:
        yield build_defs(config, systems), systems
    finally:
        systems.engine.dispose()


def execute(
    defs: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    partition_key: str | None = None,
) -> dict[str, Any]:
    """Run one job here and now; a failing step is told, not raised."""
    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=partition_key,
        raise_on_error=False,
        # The instance keeps every event; what a person must know is told from the result.
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    return {
        "job": job,
        "run_id": result.run_id,
        "success": result.success,
        "failed_steps": [e.step_key for e in result.all_events if e.is_step_failure],
        "why": [why for e in result.all_events if e.is_step_failure and (why := _why(e))],
        "failed_checks": _failed_checks(result),
    }


def _failed_checks(result: dg.ExecuteInProcessResult) -> list[str]:
    return [
        f"{check.asset_key.to_user_string()}: {check.check_name}"
        for check in result.get_asset_check_evaluations()
        if not check.passed
    ]


def _why(event: dg.DagsterEvent) -> str | None:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else None


def backfill_day(
    defs: dg.Definitions, instance: dg.DagsterInstance, store: str, day: str
) -> dict[str, Any]:
    """Run one partition of the backfill."""
    key = dg.MultiPartitionKey({"store": store, "day": day})
    found = execute(defs, jobs.BACKFILL, instance, key)
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(RAW_ORDERS_BY_DAY, asset_partitions=[str(key)]), limit=1
    ).records
    told = records[0].asset_materialization if records else None
    seen = told.metadata.get("dagster/row_count") if told else None
    return {**found, "store": store, "day": day, "orders": seen.value if seen else 0}
