"""Jobs: the orders of all stores, from shop to ERP; a dry run of it; and history by day."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as JobSpec,
)

from resources.settings import Settings
from sync_assets.orders.assets import HOLDS, RAW_ORDERS_BY_DAY, core_key

ORDERS = "orders"
DRY_RUN = "orders_dry_run"
COMPARE = "orders_compare"
BACKFILL = "orders_backfill"
#: Whatever is independent runs one after the other: our own connections and the ERP's limits
#: are worth more than a second, and a run's process starts only once.
EXECUTOR = dg.in_process_executor


def build(settings: Settings) -> list[JobSpec]:
    """The jobs of a deployment."""
    kinds = settings.erp_kinds()
    compare = comparisons(kinds)
    live = dg.AssetSelection.groups("orders") - dg.AssetSelection.assets(RAW_ORDERS_BY_DAY)
    receipts = _prefixed("receipt", kinds)
    by_day, holds = dg.AssetSelection.assets(RAW_ORDERS_BY_DAY), dg.AssetSelection.assets(HOLDS)
    return [
        dg.define_asset_job(
            ORDERS,
            live - compare,
            executor_def=EXECUTOR,
            description="Read what changed, map, validate, plan and send.",
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
            BACKFILL,
            # Holds belong to the orders job: it has read the ERP's items, this one may come first.
            by_day.downstream() - holds - _prefixed("plan", kinds) - receipts - compare,
            executor_def=EXECUTOR,
            description="A store's orders of one day into the same tables; the orders job sends "
            "what of them is to be sent.",
        ),
    ]


def comparisons(kinds: Sequence[str]) -> dg.AssetSelection:
    """The checks that read whole systems again: too dear for every run."""
    return dg.AssetSelection.checks(
        dg.AssetCheckKey(core_key("orders"), "shop_and_core_agree"),
        *[
            dg.AssetCheckKey(
                dg.AssetKey(["receipt", kind, "sales_orders"]), f"core_and_{kind}_agree"
            )
            for kind in kinds
        ],
    )


def _prefixed(layer: str, kinds: Sequence[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*[dg.AssetKey([layer, kind, "sales_orders"]) for kind in kinds])
