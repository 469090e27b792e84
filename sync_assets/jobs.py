"""Jobs: orders from shop to ERP, the catalog and the stock from the ERP to every shop.

Each subject has a job for what is due now and one for the whole, and what is dear has its own:
comparisons, scans, history by day, pushes by store and item group.
"""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as JobSpec,
)

from resources.settings import Settings
from sync_assets.catalog import assets as catalog
from sync_assets.catalog import publishing_assets as listings
from sync_assets.inventory import assets as inventory
from sync_assets.inventory import publishing_assets as publishing
from sync_assets.orders import scan
from sync_assets.orders.assets import (
    CORE_ORDER_TABLES,
    HOLDS,
    RAW_ORDERS,
    RAW_ORDERS_BY_DAY,
    core_key,
)
from sync_assets.outcomes import URGENT
from sync_assets.returns import assets as returns
from sync_assets.settlements import assets as settlements
from sync_assets.shipments import assets as shipments

ORDERS = "orders"
ORDERS_NOW = "orders_now"
MASTER_DATA = "master_data"
DRY_RUN = "orders_dry_run"
COMPARE = "orders_compare"
SCAN = "orders_scan"
BACKFILL = "orders_backfill"
CATALOG = "catalog"
CATALOG_PUSH = "catalog_push"
STOCK = "stock"
STOCK_NOW = "stock_now"
STOCK_SOLD = "stock_sold"
STOCK_COMPARE = "stock_compare"
SHIPMENTS = "shipments"
SHIPMENTS_NOW = "shipments_now"
RETURNS = "returns"
RETURNS_NOW = "returns_now"
SETTLEMENTS = "settlements"
PAYOUTS = "settlements_payout_day"
#: How soon orders are accepted says nothing about history that was just read.
ACCEPTANCE = dg.AssetCheckKey(core_key("orders"), "orders_are_accepted_in_time")
#: Whatever is independent runs one after the other: our own connections and the ERP's limits
#: are worth more than a second, and a run's process starts only once.
EXECUTOR = dg.in_process_executor


def build(settings: Settings) -> list[JobSpec]:
    """The jobs of a deployment."""
    kinds = settings.erp_kinds()
    compare = comparisons(kinds)
    by_day, holds = dg.AssetSelection.assets(RAW_ORDERS_BY_DAY), dg.AssetSelection.assets(HOLDS)
    live = (dg.AssetSelection.groups("orders") | items(kinds)) - dg.AssetSelection.assets(
        RAW_ORDERS_BY_DAY, scan.KEY
    )
    receipts = _prefixed("receipt", kinds)
    return [
        dg.define_asset_job(
            ORDERS,
            live - compare,
            executor_def=EXECUTOR,
            description="Read what changed, map, validate, plan and send.",
        ),
        dg.define_asset_job(
            ORDERS_NOW,
            urgent(kinds),
            executor_def=EXECUTOR,
            tags={URGENT: "true"},
            description="What deliveries name and what is due, from shop to ERP, within seconds; "
            "master data is left to its own job.",
        ),
        dg.define_asset_job(
            MASTER_DATA,
            # What urgent runs leave out is checked here, the service levels among it.
            (live - compare - urgent(kinds)) | holds,
            executor_def=EXECUTOR,
            description="Customer accounts, order notes and the ERPs' items; then every held order "
            "is judged again, and the service levels are looked at.",
        ),
        dg.define_asset_job(
            DRY_RUN,
            live - compare - receipts,
            executor_def=EXECUTOR,
            description="The same without sending: look at the plan tables afterwards.",
        ),
        dg.define_asset_job(
            COMPARE,
            compare,
            executor_def=EXECUTOR,
            description="Ask shops and ERPs for what they hold and compare all sides.",
        ),
        dg.define_asset_job(
            SCAN,
            dg.AssetSelection.assets(scan.KEY),
            executor_def=EXECUTOR,
            description="What nobody tells: orders deleted for good, and ids we never saw. A run "
            "of the orders follows by itself.",
        ),
        dg.define_asset_job(
            BACKFILL,
            # Holds belong to the orders job: it has read the ERP's items, this one may come first.
            (by_day.downstream() & dg.AssetSelection.groups("orders"))
            - (holds | _prefixed("plan", kinds) | receipts | compare)
            - dg.AssetSelection.checks(ACCEPTANCE),
            executor_def=EXECUTOR,
            description="A store's orders of one day into the same tables; the orders job sends "
            "what of them is to be sent.",
        ),
        *_catalog_jobs(kinds),
        *_stock_jobs(settings),
        *(_after_sale_jobs() if settings.stores else []),
        *(_settlement_jobs() if settings.providers else []),
    ]


def _catalog_jobs(kinds: Sequence[str]) -> list[JobSpec]:
    by_group = dg.AssetSelection.assets(listings.PLAN_BY_GROUP, listings.RECEIPT_BY_GROUP)
    return [
        dg.define_asset_job(
            CATALOG,
            dg.AssetSelection.groups(catalog.GROUP) - by_group,
            executor_def=EXECUTOR,
            description="Read the ERPs' items and what the shops show, plan the difference and "
            "send it. Tagged sync/whole, the shops are read from end to end.",
        ),
        dg.define_asset_job(
            CATALOG_PUSH,
            by_group,
            executor_def=EXECUTOR,
            description="Plan and send the products of a store and item group anew: for batch "
            "pushes and backfills.",
        ),
    ]


def _stock_jobs(settings: Settings) -> list[JobSpec]:
    shown = dg.AssetSelection.assets(catalog.RAW_PRODUCTS, catalog.RAW_VARIATIONS, catalog.LISTINGS)
    drift = dg.AssetSelection.assets(publishing.DRIFT)
    live = (dg.AssetSelection.groups(inventory.GROUP) | shown) - drift
    sold = dg.AssetSelection.assets(
        publishing.RESERVATIONS, publishing.AVAILABILITY, publishing.PLAN, publishing.RECEIPT
    )
    jobs = [
        dg.define_asset_job(
            STOCK,
            live,
            executor_def=EXECUTOR,
            description="Read every level, work out what every channel may sell, and write what "
            "shops show otherwise.",
        ),
        dg.define_asset_job(
            STOCK_NOW,
            live.without_checks(),
            executor_def=EXECUTOR,
            tags={URGENT: "true"},
            description="What moved, what was sold and what shops tell of their products, to the "
            "numbers of all channels, within seconds.",
        ),
        dg.define_asset_job(
            STOCK_SOLD,
            sold.without_checks(),
            executor_def=EXECUTOR,
            tags={URGENT: "true"},
            description="What was sold in one channel, and whatever else is marked to be worked "
            "out again, to the numbers of the others: nobody is asked for anything first.",
        ),
    ]
    if settings.stores:
        jobs.append(
            dg.define_asset_job(
                STOCK_COMPARE,
                drift,
                executor_def=EXECUTOR,
                description="Read a store's whole stock from the shop and compare it with ours.",
            )
        )
    return jobs


def _after_sale_jobs() -> list[JobSpec]:
    shipped = dg.AssetSelection.groups(shipments.GROUP)
    back = dg.AssetSelection.groups(returns.GROUP)
    return [
        dg.define_asset_job(
            SHIPMENTS,
            shipped,
            executor_def=EXECUTOR,
            description="Read what left and where parcels are, give orders to warehouses, and tell "
            "shops and ERPs what was shipped.",
        ),
        dg.define_asset_job(
            SHIPMENTS_NOW,
            shipped.without_checks(),
            executor_def=EXECUTOR,
            tags={URGENT: "true"},
            description="The same for what is new and due, within seconds.",
        ),
        dg.define_asset_job(
            RETURNS,
            back,
            executor_def=EXECUTOR,
            description="Read refunds, returns and what providers say of them, take every saga a "
            "step on, and tell shops and ERPs.",
        ),
        dg.define_asset_job(
            RETURNS_NOW,
            back.without_checks(),
            executor_def=EXECUTOR,
            tags={URGENT: "true"},
            description="The same for what is new and due, within seconds.",
        ),
    ]


def _settlement_jobs() -> list[JobSpec]:
    by_day = dg.AssetSelection.assets(settlements.BY_DAY)
    return [
        dg.define_asset_job(
            SETTLEMENTS,
            dg.AssetSelection.groups(settlements.GROUP) - by_day,
            executor_def=EXECUTOR,
            description="Read what providers, banks and ERPs tell of money, match it with what was "
            "sold and given back, say why the rest is open, and post the journals.",
        ),
        dg.define_asset_job(
            PAYOUTS,
            by_day,
            executor_def=EXECUTOR,
            description="A provider's payouts of one day, read again whole: for backfills and for "
            "a day that is in question.",
        ),
    ]


def items(kinds: Sequence[str]) -> dg.AssetSelection:
    """Which of an ERP's things stands behind a SKU: what an order is validated with."""
    raw = [dg.AssetKey(["raw", kind, "items"]) for kind in kinds]
    return dg.AssetSelection.assets(*raw, core_key("product_refs"))


def urgent(kinds: Sequence[str]) -> dg.AssetSelection:
    """What an order passes on its way from the shop to the ERP, and what a plan asks of it."""
    tables = [core_key(name) for name in CORE_ORDER_TABLES]
    passed = dg.AssetSelection.assets(RAW_ORDERS, HOLDS, *tables)
    sent = _prefixed("plan", kinds) | _prefixed("receipt", kinds)
    schemas = [dg.AssetCheckKey(key, f"{key.path[-1]}_keep_their_schema") for key in tables]
    return (passed | sent).without_checks() | dg.AssetSelection.checks(*schemas)


def comparisons(kinds: Sequence[str]) -> dg.AssetSelection:
    """The checks that read whole systems again: too dear for every run."""
    return dg.AssetSelection.checks(*comparison_keys(kinds))


def comparison_keys(kinds: Sequence[str]) -> list[dg.AssetCheckKey]:
    """Keys of the checks that compare whole systems."""
    return [
        dg.AssetCheckKey(core_key("orders"), "shop_and_core_agree"),
        *[
            dg.AssetCheckKey(
                dg.AssetKey(["receipt", kind, "sales_orders"]), f"core_and_{kind}_agree"
            )
            for kind in kinds
        ],
    ]


def _prefixed(layer: str, kinds: Sequence[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*[dg.AssetKey([layer, kind, "sales_orders"]) for kind in kinds])
