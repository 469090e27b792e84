"""Whether what was promised is kept: one check per service level, on the asset it speaks of.

The facts and the judgement are in `sync_assets.service_levels`; here they become check results.
"""

from collections.abc import Iterator

import dagster as dg

from resources.store.engine import connected
from resources.wiring import Systems
from sync_assets.domain import service_levels as rules
from sync_assets.inventory.publishing_assets import RECEIPT
from sync_assets.orders.assets import HOLDS, RAW_ORDERS, core_key
from sync_assets.service_levels import standing
from sync_assets.shipments.assets import core_key as shipping_key

FULFILMENTS = shipping_key("fulfilment_orders")
#: Level → check and asset.
CHECKS = {
    rules.ORDER_ACCEPTANCE: ("orders_are_accepted_in_time", core_key("orders")),
    rules.SOURCE_SILENCE: ("no_source_is_silent", RAW_ORDERS),
    rules.BACKLOG: ("no_backlog_piles_up", HOLDS),
    rules.STOCK_FRESHNESS: ("stock_is_published_in_time", RECEIPT),
    rules.RELEASE_ACKNOWLEDGEMENT: ("releases_are_acknowledged_in_time", FULFILMENTS),
    rules.SHIPMENT_CONFIRMATION: ("orders_leave_in_time", FULFILMENTS),
    rules.EXCEPTION_AGE: ("exceptions_are_handled_in_time", HOLDS),
}


NAMES = {name: level.name for level, (name, _) in CHECKS.items()}


def build() -> dg.AssetChecksDefinition:
    """One check per service level, all from one reading of the facts."""

    @dg.multi_asset_check(
        name="service_levels",
        specs=[
            dg.AssetCheckSpec(name, asset=asset, description=level.description)
            for level, (name, asset) in CHECKS.items()
        ],
        can_subset=True,
    )
    def service_levels(
        context: dg.AssetCheckExecutionContext, systems: dg.ResourceParam[Systems]
    ) -> Iterator[dg.AssetCheckResult]:
        with connected(systems.engine) as connection:
            levels = standing(connection, systems.settings, systems.now()).levels
        judged = {one.name: one for one in levels}
        for key in sorted(context.selected_asset_check_keys):
            yield result(key, judged[NAMES[key.name]])

    return service_levels


def result(key: dg.AssetCheckKey, level: rules.Level) -> dg.AssetCheckResult:
    """A level as a check's result: counts, sums and at most twenty keys."""
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=level.state != rules.State.BREACHED,
        severity=dg.AssetCheckSeverity.WARN,
        description=level.sentence,
        metadata={
            "state": level.state.value,
            "measured": level.total,
            "breached": len(level.breached),
            "breached_keys": ", ".join(one.key for one in level.breached[: rules.MOST_KEYS]),
            "at_stake": rules.at_stake(level.breached),
            "unit": level.unit,
            "threshold": level.threshold,
            **({} if level.value is None else {"value": round(level.value, 1)}),
        },
    )
