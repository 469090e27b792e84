"""Whether goods, books and shops agree about what left: nothing asked for or shipped beyond what
was ordered, everything that left posted and shown, parcels that move.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import dagster as dg

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.shipments.assets import core_key, receipt_key

MOST_KEYS = 20
#: What left is posted and shown within this time.
TOLD_WITHIN = timedelta(hours=1)
#: A parcel of which nobody says anything for so long is lost, or its carrier silent.
SILENT_AFTER = timedelta(days=7)


def build(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of shipments."""
    if not settings.stores:
        return []
    return [
        nothing_beyond_the_order,
        every_shipment_has_its_order,
        *[everything_is_posted(kind) for kind in settings.erp_kinds()],
        customers_were_told,
        parcels_move,
    ]


@dg.asset_check(
    asset=core_key("order_line_progress"),
    description="No line has more units shipped, or asked for and shipped, than were ordered.",
)
def nothing_beyond_the_order(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Look for lines of which too much left, or somebody was asked twice."""
    rows = _rows(
        systems,
        """
        select line_ref as key, greatest(shipped_units - ordered_units, 0) as shipped_beyond,
            greatest(requested_units + shipped_units - ordered_units, 0) as asked_beyond
        from core.order_line_progress
        where shipped_units > ordered_units or requested_units + shipped_units > ordered_units
        order by 1
        """,
    )
    return _verdict(rows, units_beyond=sum(int(row["asked_beyond"]) for row in rows))


@dg.asset_check(
    asset=core_key("shipment_lines"),
    description="Every unit that left belongs to an order line.",
)
def every_shipment_has_its_order(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Look for units nobody ordered."""
    rows = _rows(
        systems,
        "select shipment_ref as key, sum(units) as units from core.shipment_lines l "
        "join core.shipments s using (shipment_ref) "
        "where l.line_ref is null and s.state = 'shipped' group by 1 order by 1",
    )
    return _verdict(rows, units=sum(int(row["units"]) for row in rows))


def everything_is_posted(kind: str) -> dg.AssetChecksDefinition:
    """Build the check that one kind of ERP knows of what left elsewhere."""

    @dg.asset_check(
        asset=receipt_key(kind, "deliveries"),
        name=f"{kind}_knows_what_left",
        description="What left a warehouse that is not the ERP's own was posted there within an "
        "hour.",
    )
    def posted(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
        rows = _rows(
            systems,
            "select p.key from plan.deliveries p where p.kind = :kind "
            "and p.action in ('create', 'change') and p.planned_at < :since order by 1",
            kind=kind,
            since=systems.now() - TOLD_WITHIN,
        )
        return _verdict(rows)

    return posted


@dg.asset_check(
    asset=receipt_key("woocommerce", "notices"),
    description="Customers were shown within an hour what left for them.",
)
def customers_were_told(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Look for notices that are late."""
    rows = _rows(
        systems,
        "select key from plan.notices where action in ('create', 'change') "
        "and system = any(:stores) and planned_at < :since order by 1",
        stores=systems.settings.publishing("shipments"),
        since=systems.now() - TOLD_WITHIN,
    )
    return _verdict(rows)


@dg.asset_check(
    asset=core_key("parcels"),
    description="Of every tracked parcel under way something was said within a week.",
)
def parcels_move(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Look for parcels nobody says anything of."""
    rows = _rows(
        systems,
        "select tracking_number as key from core.parcels "
        "where state not in ('unknown', 'delivered', 'returned', 'cancelled', 'lost') "
        "and state_at < :since order by state_at, 1",
        since=systems.now() - SILENT_AFTER,
    )
    return _verdict(rows)


def _rows(systems: Systems, query: str, **values: Any) -> list[dict[str, Any]]:
    with connected(systems.engine) as connection:
        return read_rows(connection, query, **values)


def _verdict(rows: list[dict[str, Any]], **counts: int) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"count": len(rows), **counts, "keys": _keys(row["key"] for row in rows)},
    )


def _keys(keys: Iterable[str]) -> str:
    return ", ".join(list(keys)[:MOST_KEYS])
