"""Publishing stock as assets: plan, receipt, drift, shortfalls. Shells; the steps are beside."""

from typing import Any

import dagster as dg

from resources.errors import RemoteError
from resources.settings import Settings
from resources.wiring import Systems
from sync_assets import lineage, verdicts
from sync_assets.domain.drift import Kind
from sync_assets.inventory import drift, hints, planning, sending, shortfalls
from sync_assets.inventory.settling import Sent
from sync_assets.outcomes import counted, is_urgent, read_result, told
from sync_assets.reading import Tally, each_source

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "inventory"
ENGINEERS, OPERATIONS = "team:integration", "team:operations"

HINTED = dg.AssetKey(["raw", "woocommerce", "products_hinted"])
PLAN = dg.AssetKey(["plan", "woocommerce", "stock"])
RECEIPT = dg.AssetKey(["receipt", "woocommerce", "stock"])
DRIFT = dg.AssetKey(["core", "stock_drift"])
SHORTFALLS = dg.AssetKey(["core", "stock_shortfalls"])
AVAILABILITY = dg.AssetKey(["core", "availability"])
RESERVATIONS = dg.AssetKey(["core", "reservations"])
LISTINGS = dg.AssetKey(["core", "listings"])
#: Tables a plan is made from; it refuses to go on when the last check of one failed.
PLANNED_FROM = ["core.availability", "core.listings"]


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """The publishing assets for the stores a deployment has."""
    return [products_hinted, plan_stock, receipt_stock, stock_shortfalls, stock_drift(settings)]


def stores_of(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition a store."""
    return dg.StaticPartitionsDefinition(sorted(settings.stores))


@dg.asset(
    key=HINTED,
    group_name=GROUP,
    kinds={"woocommerce", "postgres"},
    owners=[ENGINEERS],
    description="Products and variations that deliveries name, read again into the same tables as "
    "raw/woocommerce/products and raw/woocommerce/variations. What shows only our own last write "
    "is counted as an echo.",
    metadata={"dagster/column_schema": lineage.raw_schema(set())},
)
def products_hinted(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Follow what deliveries say of products, in every store."""
    echoes = 0

    def read(store: str) -> Tally:
        nonlocal echoes
        done = hints.follow(systems, store, context.run.run_id)
        echoes += done.echoes
        return done.tally

    with told():
        result = read_result(
            each_source(systems, systems.settings.stores, "listings", read),
            systems.settings.stores,
        )
    return dg.MaterializeResult(metadata={**(result.metadata or {}), "echoes": echoes})


@dg.asset(
    key=PLAN,
    deps=[AVAILABILITY, LISTINGS],
    group_name=GROUP,
    kinds={"woocommerce", "postgres"},
    owners=[OPERATIONS, ENGINEERS],
    description="Where a listing shows another number than its channel may sell: set, held with a "
    "reason, or a conflict for a person. What agrees has no row. Nothing is sent; stopping here is "
    "a dry run.",
    metadata={"dagster/table_name": "plan.woocommerce__stock"},
)
def plan_stock(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Compare every store's listings with what the store may sell."""
    with told():
        try:
            verdicts.require_passed(systems, PLANNED_FROM)
        except verdicts.ChecksFailed as failed:
            raise dg.Failure(description=str(failed), allow_retries=False) from failed
        stores = list(systems.settings.stores)
        done = planning.plan_stores(
            systems, stores, context.run.run_id, only_stale=is_urgent(context)
        )
    total = planning.Planned()
    for one in done.values():
        total.add(one)
    return dg.MaterializeResult(
        metadata=counted(
            rows=sum(total.actions.values()),
            actions=total.actions,
            reasons=total.reasons,
            without_number=total.without_number,
        )
    )


@dg.asset(
    key=RECEIPT,
    deps=[PLAN],
    group_name=GROUP,
    kinds={"woocommerce", "postgres"},
    owners=[OPERATIONS, ENGINEERS],
    description="What each store answered, one row a number: what it showed before, what was "
    "written, what it showed after, what it had sold meanwhile. Reads before it writes; a number "
    "that is there already is not written again.",
    metadata={"dagster/table_name": "receipt.woocommerce__stock"},
)
def receipt_stock(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Send what is due to every store; one that does not answer does not stop the others."""
    total, fault = Sent(), None
    with told():
        for store in systems.settings.stores:
            try:
                done = sending.send_stock(systems, store, context.run.run_id, context.log.info)
            except RemoteError as error:
                fault = fault or error
                continue
            total.add(done)
        if fault:
            raise fault
    return dg.MaterializeResult(metadata=_sent(total))


def _sent(total: Sent) -> dict[str, Any]:
    return counted(
        outcomes=total.outcomes,
        sold_again=total.sold_again or None,
        withdrawn=total.withdrawn,
        parked=total.parked,
        later=total.later,
        faults=total.faults,
    )


@dg.asset(
    key=SHORTFALLS,
    deps=[RESERVATIONS, AVAILABILITY],
    group_name=GROUP,
    kinds={"postgres"},
    owners=[OPERATIONS],
    description="SKUs of which more is promised at a location than is there, with the newest "
    "orders it touches. One row a shortfall, ended when there is enough again.",
    metadata={"dagster/table_name": "core.stock_shortfalls"},
)
def stock_shortfalls(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Look for what is promised and not there."""
    with told():
        done = shortfalls.find(systems, context.run.run_id)
    return dg.MaterializeResult(
        metadata=counted(rows=done.open, opened=done.opened, ended=done.ended, units=done.units)
    )


def stock_drift(settings: Settings) -> dg.AssetsDefinition:
    """Build the comparison over the deployment's stores."""

    @dg.asset(
        key=DRIFT,
        partitions_def=stores_of(settings),
        deps=[AVAILABILITY, LISTINGS],
        group_name=GROUP,
        kinds={"woocommerce", "postgres"},
        owners=[OPERATIONS, ENGINEERS],
        description="A whole store read from the shop and compared with what we worked out: "
        "compared, missing, extra, different, pieces and money. Put right by itself up to the "
        "policy's cap; beyond it an exception for the store.",
        metadata={"dagster/table_name": "core.stock_drift"},
    )
    def drift_of_store(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        store = context.partition_key
        with told():
            found = drift.compare(systems, store, context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(found.differences),
                "compared": found.compared,
                **{kind.value: found.count(kind) for kind in Kind},
                "off_units": found.off_units,
                "exposed": f"{found.exposed_amount} {drift.currency_of(systems, store)}",
                "healed": found.wrong if found.heals else 0,
                "keys": ", ".join(str(one.sku) for one in found.differences[:20]),
            }
        )

    return drift_of_store
