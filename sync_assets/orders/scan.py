"""The scan as an asset: shops' ids held against ours, for what nobody tells."""

import dagster as dg

from resources.wiring import Systems
from sync_assets.orders import scanning
from sync_assets.outcomes import counted, told

KEY = dg.AssetKey(["raw", "woocommerce", "orders_scanned"])


@dg.asset(
    key=KEY,
    group_name="orders",
    kinds={"woocommerce", "postgres"},
    owners=["team:integration"],
    description="The same tables as raw/woocommerce/orders and customers, filled with what neither "
    "webhooks nor deltas tell: ids we never saw, and orders deleted for good. A run of the orders "
    "follows by itself.",
)
def orders_scanned(
    context: dg.AssetExecutionContext, systems: dg.ResourceParam[Systems]
) -> dg.MaterializeResult[None]:
    """Compare the ids of the last sixty days, and read what is missing here."""
    with told():
        found = scanning.scan_all(systems, context.run.run_id)
    return dg.MaterializeResult(
        metadata=counted(
            rows=found.seen,
            listed=found.listed,
            new_versions=found.new,
            gone=found.gone,
            withheld=found.withheld,
            unchecked=found.unchecked,
            failed=found.failed,
        )
    )
