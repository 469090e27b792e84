"""Whether what we may sell follows from what there is: nothing above what can be promised, and
every location read whole not long ago.
"""

from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from sqlalchemy import Connection

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.inventory.assets import core_key

MOST_KEYS = 20
#: A whole reading is made every night, and may be late by a few hours.
READ_WITHIN = timedelta(hours=30)


def build(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of levels and numbers."""
    return [nothing_above_promise, read_lately]


@dg.asset_check(
    asset=core_key("availability"),
    description="No channel may sell more than can be promised in its locations; what it may sell "
    "beyond that is a number of its own.",
)
def nothing_above_promise(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Compare every channel's number with what can be promised."""
    with connected(systems.engine) as connection:
        rows = above_promise(connection)
    return _verdict(rows, [f"{row['channel']}/{row['sku']}" for row in rows])


def above_promise(connection: Connection) -> list[dict[str, Any]]:
    """Numbers above what can be promised."""
    return read_rows(
        connection,
        "select channel, sku from core.availability "
        "where sellable_units > greatest(atp_units, 0) order by channel, sku",
    )


@dg.asset_check(
    asset=core_key("stock_levels"),
    description="Every location was read whole within a day, and what was read is in the levels.",
)
def read_lately(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Look for locations whose last whole reading is old, or is not mapped."""
    with connected(systems.engine) as connection:
        rows = not_read_since(connection, systems.now() - READ_WITHIN)
    return _verdict(rows, [f"{row['source']}/{row['location']}" for row in rows])


def not_read_since(connection: Connection, moment: datetime) -> list[dict[str, Any]]:
    """Locations whose levels are of no whole reading since."""
    return read_rows(
        connection,
        "select source, location from core.stock_readings "
        "where read_at is null or read_at < :moment order by source, location",
        moment=moment,
    )


def _verdict(rows: list[dict[str, Any]], keys: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"count": len(rows), "keys": ", ".join(keys[:MOST_KEYS])},
    )
