"""The subject catalog as assets: what ERPs sell and what shops show of it. Shells only; the steps
are beside. What is planned and sent is in `publishing_assets.py`.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from resources.settings import Settings
from resources.wiring import Systems
from sync_assets import lineage
from sync_assets.catalog import mapping, publishing_assets, reading, sku_problems
from sync_assets.domain.catalog import Listings
from sync_assets.hints import is_due
from sync_assets.mapping import Mapped
from sync_assets.outcomes import counted, is_urgent, read_result, told
from sync_assets.reading import each_source

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "catalog"
ENGINEERS, OPERATIONS = "team:integration", "team:operations"
RAW_PRODUCTS = dg.AssetKey(["raw", "woocommerce", "products"])
RAW_VARIATIONS = dg.AssetKey(["raw", "woocommerce", "variations"])
LISTINGS = dg.AssetKey(["core", "listings"])
#: What deliveries name, read by the stock's reader into the same raw tables.
PRODUCTS_HINTED = dg.AssetKey(["raw", "woocommerce", "products_hinted"])
SKU_PROBLEMS = dg.AssetKey(["core", "sku_problems"])
#: A run with this tag reads every product of every shop, as the nightly comparison does.
WHOLE = "sync/whole"


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of the subject for the systems a deployment has."""
    kinds = settings.erp_kinds()
    return [
        *[raw_items(kind) for kind in kinds],
        raw_shop("products", RAW_PRODUCTS),
        raw_shop("variations", RAW_VARIATIONS),
        core_catalog(kinds),
        core_listings,
        core_sku_problems,
        *publishing_assets.build(settings),
    ]


def raw_items(kind: str) -> dg.AssetsDefinition:
    """Build the asset of one kind of ERP's items."""

    @dg.asset(
        key=["raw", kind, "items"],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[ENGINEERS],
        description=f"Every sellable item of {kind}, archived ones too, with prices, components "
        "and attributes; a new version where one differs from what we hold. Urgent runs ask for "
        "what changed, the others read all.",
    )
    def items(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        erps = systems.settings.erps_of(kind)
        with told():
            return read_result(
                each_source(
                    systems,
                    erps,
                    "items",
                    lambda erp: reading.items(
                        systems, erp, context.run.run_id, only_changed=is_urgent(context)
                    ),
                ),
                erps,
            )

    return items


def raw_shop(stream: str, key: dg.AssetKey) -> dg.AssetsDefinition:
    """Build the asset of what the shops show: products, or the variations below them."""

    @dg.asset(
        key=key,
        group_name=GROUP,
        kinds={"woocommerce", "postgres"},
        owners=[ENGINEERS],
        description=f"Every version of every shop's {stream}, as the shop sent it. All of them "
        "the first time and in runs tagged sync/whole, else what changed since, with an overlap.",
    )
    def shop_things(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        stores, is_whole = list(systems.settings.stores), WHOLE in context.run.tags
        if is_urgent(context):  # many a minute: what deliveries name comes by another way
            seconds = systems.settings.stock_poll_seconds
            stores = [one for one in stores if is_due(systems, one, stream, seconds)]
        with told():
            return read_result(
                each_source(
                    systems,
                    stores,
                    stream,
                    lambda store: reading.shop_things(
                        systems, store, stream, context.run.run_id, whole=is_whole
                    ),
                ),
                stores,
            )

    return shop_things


def core_catalog(kinds: Sequence[str]) -> dg.AssetsDefinition:
    """Build the assets of what every ERP sells; all tables of an item change in one transaction."""

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                dg.AssetKey(["core", name]),
                deps=[dg.AssetKey(["raw", kind, "items"]) for kind in kinds],
                group_name=GROUP,
                kinds={"pandas", "pandera", "postgres"},
                owners=[OPERATIONS, ENGINEERS],
                description=table.__doc__,
                skippable=True,
                metadata={
                    "dagster/column_schema": lineage.column_schema(table),
                    "dagster/table_name": f"core.{name}",
                },
            )
            for name, table in mapping.CORE_TABLES.items()
        ],
        name="core_catalog",
        can_subset=True,
    )
    def catalog(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        total = Mapped()
        with told():
            for kind in kinds:
                done = mapping.items(systems, kind, context.run.run_id)
                total.mapped += done.mapped
                total.set_aside += done.set_aside
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(
                asset_key=key,
                metadata=counted(mapped=total.mapped, set_aside=total.set_aside),
            )

    return catalog


@dg.asset(
    key=LISTINGS,
    deps=[RAW_PRODUCTS, RAW_VARIATIONS, PRODUCTS_HINTED],
    group_name=GROUP,
    kinds={"pandas", "pandera", "postgres"},
    owners=[OPERATIONS, ENGINEERS],
    description=Listings.__doc__,
    metadata={
        "dagster/column_schema": lineage.column_schema(Listings),
        "dagster/table_name": "core.listings",
    },
)
def core_listings(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Map the products and variations that changed; what is gone from a shop leaves."""
    with told():
        done = mapping.listings(systems, context.run.run_id)
    return dg.MaterializeResult(metadata=counted(mapped=done.mapped, set_aside=done.set_aside))


@dg.asset(
    key=SKU_PROBLEMS,
    deps=[LISTINGS, dg.AssetKey(["core", "products"])],
    group_name=GROUP,
    kinds={"postgres"},
    owners=[OPERATIONS],
    description="SKUs that do not meet: missing, doubled, or unknown to the ERP, with the nearest "
    "candidates. Exceptions of operations; each ends by itself when its cause is gone.",
    metadata={"dagster/table_name": "ops.exception"},
)
def core_sku_problems(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Judge the SKUs of every ERP and shop."""
    with told():
        found = sku_problems.judge(systems, context.run.run_id)
    return dg.MaterializeResult(metadata=counted(rows=sum(found.values()), found=found))
