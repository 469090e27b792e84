"""Whether we still hear from every store: how long ago each stream was read to its end."""

from datetime import timedelta

import dagster as dg

from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.orders.assets import RAW_ORDERS

LATE_AFTER = timedelta(minutes=15)


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
            connection, "select source, updated_at from ops.watermark where stream = 'orders'"
        )
    heard = {row["source"]: row["updated_at"] for row in rows}
    since = systems.now() - LATE_AFTER
    return sorted(s for s in systems.settings.stores if s not in heard or heard[s] < since)
