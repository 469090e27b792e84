"""Whether we still hear from every store: how long ago each stream was read to its end, and how
long an asset may go without a new materialization.
"""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.orders.assets import RAW_ORDERS, core_key

LATE_AFTER = timedelta(minutes=15)
#: Dagster looks at windows of a minute or more.
SHORTEST = timedelta(minutes=1)


def stated(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """The same assets, those an order passes with a freshness policy: late, then broken."""
    promised = timedelta(minutes=settings.service_levels.order_acceptance_minutes)
    warn = max(promised / 2, SHORTEST)
    policy = dg.FreshnessPolicy.time_window(
        fail_window=max(promised, 2 * SHORTEST, warn + SHORTEST), warn_window=warn
    )
    on_the_way = {RAW_ORDERS, core_key("orders"), *_receipts(settings)}

    def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.key not in on_the_way:
            return spec
        return spec.replace_attributes(freshness_policy=policy)

    return list(dg.map_asset_specs(with_policy, assets))


def _receipts(settings: Settings) -> set[dg.AssetKey]:
    return {dg.AssetKey(["receipt", kind, "sales_orders"]) for kind in settings.erp_kinds()}


@dg.asset_check(
    asset=RAW_ORDERS,
    name="every_store_was_heard",
    description="Each store's orders were read to the end within the last fifteen minutes.",
)
def every_store_was_heard(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Compare each store's watermark with the clock."""
    late = late_stores(systems)
    return dg.AssetCheckResult(
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"stores": len(systems.settings.stores), "late": ", ".join(late)},
    )


def late_stores(systems: Systems) -> list[str]:
    """Stores whose orders were never read to the end, or too long ago."""
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection, "select source, complete_until from ops.watermark where stream = 'orders'"
        )
    read_until = {row["source"]: row["complete_until"] for row in rows}
    since = systems.now() - LATE_AFTER
    return sorted(
        name
        for name, store in systems.settings.stores.items()
        if name not in read_until
        # A reading leaves out the last seconds, in which orders are still being built.
        or read_until[name] + timedelta(seconds=store.lag_seconds) < since
    )
