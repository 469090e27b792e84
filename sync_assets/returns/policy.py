"""The returns policy in force, and how each store is treated by it and by its configuration.

What may stand in the file is in `domain/returns_policy.py`.
"""

from resources.settings import Settings, Store
from sync_assets.domain.planning import Route
from sync_assets.domain.policy import PolicyError
from sync_assets.domain.returns_policy import NO_FILE, ReturnsPolicy
from sync_assets.policy_files import PolicyFile


def _must_fit(policy: ReturnsPolicy, settings: Settings) -> None:
    unknown = sorted(set(policy.stores) - set(settings.stores))
    if unknown:
        known = ", ".join(sorted(settings.stores)) or "none"
        raise PolicyError(f"stores.{unknown[0]} is no store of the configuration; known: {known}")


FILE: PolicyFile[ReturnsPolicy] = PolicyFile(
    "returns", ReturnsPolicy, lambda settings: NO_FILE, _must_fit
)


def route_of(name: str, store: Store) -> Route:
    """What of a store's configuration decides about its credit memos."""
    return Route(
        store=name,
        erp=store.erp,
        company=store.company,
        warehouse=store.warehouse,
        currencies=store.currencies,
        taxes=store.taxes,
        web_shop=store.web_shop,
        send_states=store.send_states,
        send_from=store.send_orders_from,
        shipping_item=store.shipping_item,
        fee_item=store.fee_item,
        rounding_item=store.rounding_item,
        rounding_tolerance=store.rounding_tolerance,
        rounding_per_line=store.rounding_per_line,
    )
