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
