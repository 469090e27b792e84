"""Jobs of the small world as real Dagster runs, recorded on an instance that is gone afterwards."""

from typing import Any

import dagster as dg

from checks import schemas
from sync_assets.definitions import build_defs
from sync_assets.orders.assets import core_key
from tests.worlds import World

CHECKS_ONLY = "checks_only"


class Runs:
    """Runs jobs here and now; a failing step is told, not raised."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        selection = dg.AssetSelection.checks(
            *[
                dg.AssetCheckKey(core_key(name), f"{name}_keep_their_schema")
                for name in schemas.tables(world.systems.settings)
            ]
        )
        extra = dg.Definitions(jobs=[dg.define_asset_job(CHECKS_ONLY, selection)])
        self.defs = dg.Definitions.merge(build_defs(world.systems.settings, world.systems), extra)
        self.instance = instance

    def __call__(
        self, job: str, *assets: dg.AssetKey, partition: str | None = None
    ) -> dg.ExecuteInProcessResult:
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            asset_selection=list(assets) or None,
            partition_key=partition,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def schema_checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        """Every schema check on the whole tables, by table."""
        found = self(CHECKS_ONLY).get_asset_check_evaluations()
        return {check.asset_key.path[-1]: check for check in found}


def shown(told: Any) -> dict[str, Any]:
    """Metadata as plain values."""
    return {name: value.value for name, value in told.metadata.items()}


def failures(result: dg.ExecuteInProcessResult) -> dict[str, dg.Failure]:
    """What each failed step said, and what it says about trying again."""
    found = {}
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data.user_failure_data
            assert data is not None, event.step_failure_data.error
            found[str(event.step_key)] = dg.Failure(data.description, data.metadata)
    return found
