"""Whether what is promised is there, and whether shops show what we worked out.

Both look at what the steps have put down already; reading whole shops again is `core/stock_drift`.
A finding is named by key, at most twenty of them.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import dagster as dg

from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.inventory.publishing_assets import AVAILABILITY, RECEIPT

MOST_KEYS = 20


def build() -> list[dg.AssetChecksDefinition]:
    """The checks of published stock."""
    return [promised_is_there, shops_show_it]


@dg.asset_check(
    asset=AVAILABILITY,
    name="nobody_is_promised_what_is_not_there",
    description="No SKU has more promised at a location than is there and sound, unless it is sold "
    "beyond its stock on purpose.",
)
def promised_is_there(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """List open shortfalls."""
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            "select sku, location, short_units, cardinality(order_refs) as orders "
            "from core.stock_shortfalls where ended_at is null order by short_units desc, sku",
        )
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "short": len(rows),
            "short_units": sum(int(row["short_units"]) for row in rows),
            "orders_named": sum(int(row["orders"]) for row in rows),
            "short_keys": _keys(f"{row['sku']} in {row['location']}" for row in rows),
        },
    )


@dg.asset_check(
    asset=RECEIPT,
    name="shops_show_what_we_worked_out",
    description="No listing differs from our number for longer than stock may take, none is held "
    "or in conflict, and the last comparison of every store left nothing to a person.",
)
def shops_show_it(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Count what is planned and not reached, and what comparisons raised."""
    minutes = systems.settings.service_levels.stock_freshness_minutes
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            _OPEN,
            stores=systems.settings.publishing("stock"),
            late=systems.now() - timedelta(minutes=minutes),
        )
        raised = read_rows(
            connection,
            "select distinct on (store) store, raised from core.stock_comparisons "
            "order by store, compared_at desc",
        )
    found: dict[str, list[str]] = {"late": [], "held": [], "conflict": []}
    for row in rows:
        found[row["what"]].append(f"{row['system']}:{row['sku']}")
    wrong = {row["store"]: int(row["raised"]) for row in raised if row["raised"]}
    return dg.AssetCheckResult(
        passed=not any(found.values()) and not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**_counts(found), "raised": sum(wrong.values()), "raised_in": _keys(wrong)},
    )


def _counts(found: dict[str, list[str]]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for what, keys in found.items():
        shown[what] = len(keys)
        if keys:
            shown[f"{what}_keys"] = _keys(keys)
    return shown


def _keys(keys: Iterable[str]) -> str:
    return ", ".join(list(keys)[:MOST_KEYS])


_OPEN = """
select case action when 'set' then 'late' else action end as what, system, sku
from plan.woocommerce__stock
where system = any(:stores) and (action <> 'set' or planned_at < :late)
order by system, sku
"""
