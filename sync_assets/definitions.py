"""The code location: every asset, check, job and sensor over one deployment's systems."""

from collections.abc import Iterator

import dagster as dg

from checks import agreement, freshness, leftovers, schemas, service_levels, stock_agreement
from checks import returns as return_checks
from checks import settlements as settlement_checks
from checks import shipments as shipment_checks
from checks import stock as stock_levels
from resources.settings import Settings, load
from resources.store import presence
from resources.wiring import Systems, open_systems
from sensors import (
    after_sale,
    alarms,
    catalog_groups,
    deliveries,
    deltas,
    nightly,
    purges,
    settlements_due,
    stock,
)
from sensors.webhooks import arrivals
from sync_assets import jobs
from sync_assets.catalog import assets as catalog
from sync_assets.inventory import assets as inventory
from sync_assets.inventory import publishing_assets as publishing
from sync_assets.orders import assets as orders
from sync_assets.returns import assets as returns
from sync_assets.settlements import assets as settlements
from sync_assets.shipments import assets as shipments

#: Every event is stored on the instance; a terminal needs what a person would read.
TERSE = dg.colored_console_logger.configured(
    lambda config: config, config_schema={"log_level": dg.Field(str, default_value="INFO")}
)


def build_defs(settings: Settings, systems: Systems | None = None) -> dg.Definitions:
    """All definitions; without `systems`, each run opens the configured ones and closes them."""

    kept: list[Systems] = []

    @dg.resource(description="Stores, ERPs, our database and the clock")
    def opened(context: dg.InitResourceContext) -> Iterator[Systems]:
        if context.run is None:
            # A sensor looks every second and is not at work: one engine serves its process.
            if not kept:
                kept.append(systems or open_systems(settings))
            yield kept[0]
            return
        own = systems or open_systems(settings)
        try:
            with presence.held(own.engine, context.run.job_name, own.now()):
                yield own
        finally:
            if systems is None:
                own.engine.dispose()

    own_jobs, purge = jobs.build(settings), purges.job()
    return dg.Definitions(
        assets=freshness.stated(
            [
                *catalog.build(settings),
                *inventory.build(settings),
                *publishing.build(settings),
                *orders.build(settings),
                *shipments.build(settings),
                *(returns.build(settings) if settings.stores else []),
                *(settlements.build(settings) if settings.providers else []),
            ],
            settings,
        ),
        asset_checks=[
            *schemas.build(settings),
            *agreement.build(settings),
            freshness.every_store_was_heard,
            leftovers.nothing_is_overdue,
            service_levels.build(),
            *stock_levels.build(settings),
            *stock_agreement.build(),
            *shipment_checks.build(settings),
            *(return_checks.build(settings) if settings.stores else []),
            *(settlement_checks.build(settings) if settings.providers else []),
        ],
        jobs=[*own_jobs, purge],
        loggers={"console": TERSE},
        sensors=[
            *arrivals.build(jobs.ORDERS_NOW, is_on=settings.automation),
            *deltas.build(settings, jobs.ORDERS_NOW, jobs.MASTER_DATA, is_on=settings.automation),
            *stock.build(settings, jobs.STOCK_NOW, jobs.STOCK_SOLD, is_on=settings.automation),
            *after_sale.build(
                settings, jobs.SHIPMENTS_NOW, jobs.RETURNS_NOW, is_on=settings.automation
            ),
            *settlements_due.build(settings, jobs.SETTLEMENTS, is_on=settings.automation),
            catalog_groups.build(is_on=settings.automation),
            deliveries.build(is_on=settings.automation),
            *alarms.build(
                settings,
                [job.name for job in own_jobs] + [purge.name],
                jobs.comparison_keys(settings.erp_kinds()),
            ),
        ],
        schedules=[
            *nightly.build(settings, is_on=settings.automation),
            purges.build(is_on=settings.automation),
        ],
        resources={"systems": opened},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The deployment that `SYNC_CONFIG` describes."""
    return build_defs(load())
