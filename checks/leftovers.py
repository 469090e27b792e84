"""What was given up or waits for a person: listed here, so that permanent is never silent."""

import dagster as dg

from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.orders.assets import HOLDS

MOST_KEYS = 20


@dg.asset_check(
    asset=HOLDS,
    name="nothing_is_overdue",
    description="No exception is past its due time and no write is parked.",
)
def nothing_is_overdue(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """List overdue exceptions and parked writes by key."""
    with connected(systems.engine) as connection:
        overdue = read_rows(
            connection,
            "select distinct subject_ref from ops.exception "
            "where state = 'open' and due_at < :now order by 1",
            now=systems.now(),
        )
        parked = read_rows(
            connection, "select thing_ref from ops.outbox where state = 'parked' order by 1"
        )
    late = [row["subject_ref"] for row in overdue]
    stuck = [row["thing_ref"] for row in parked]
    return dg.AssetCheckResult(
        passed=not late and not stuck,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "overdue": len(late),
            "overdue_keys": ", ".join(late[:MOST_KEYS]),
            "parked": len(stuck),
            "parked_keys": ", ".join(stuck[:MOST_KEYS]),
        },
    )
