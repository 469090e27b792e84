"""The code location: every asset, check, job and sensor over one deployment's systems."""

from collections.abc import Iterator

import dagster as dg

from checks import agreement, freshness, leftovers, schemas
from resources.settings import Settings, load
from resources.wiring import Systems, open_systems
from sensors import deltas, nightly
from sync_assets import jobs
from sync_assets.orders import assets


def build_defs(settings: Settings, systems: Systems | None = None) -> dg.Definitions:
    """All definitions; without `systems`, each run opens the configured ones and closes them."""

    @dg.resource(description="Stores, ERPs, our database and the clock")
    def opened(_: dg.InitResourceContext) -> Iterator[Systems]:
        own = open_systems(settings)
        try:
            yield own
        finally:
            own.engine.dispose()

    return dg.Definitions(
        assets=assets.build(settings),
        asset_checks=[
            *schemas.build(),
            *agreement.build(settings),
            freshness.every_store_was_heard,
            leftovers.nothing_is_overdue,
        ],
        jobs=jobs.build(settings),
        sensors=[deltas.build(jobs.ORDERS)],
        schedules=[nightly.build(jobs.COMPARE)],
        resources={"systems": systems if systems is not None else opened},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The deployment that `SYNC_CONFIG` describes."""
    return build_defs(load())
