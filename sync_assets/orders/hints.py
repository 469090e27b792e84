"""What deliveries name of the subject orders: orders and customers, read again from the shop.

How hints are followed is in `sync_assets/hints.py`; products have a reader of their own.
"""

from collections.abc import Mapping

from resources.store import raw
from resources.systems.woocommerce import WooCommerce
from resources.wiring import Systems
from sync_assets import hints
from sync_assets.hints import ALL_BUT_PRODUCTS, Thing
from sync_assets.orders import scanning
from sync_assets.orders.reading import changed_orders
from sync_assets.reading import Tally


def arrived(systems: Systems, store: str, run_id: str | None, *, only_due: bool) -> Tally:
    """Follow a store's hints, then ask it what else changed; `only_due`: if it is time to ask."""
    total = follow(systems, store, run_id)
    if not only_due or is_due(systems, store):
        total.add(changed_orders(systems, store, run_id))
    return total


def is_due(systems: Systems, store: str) -> bool:
    """Whether the store was not asked for changes within its poll interval."""
    return hints.is_due(systems, store, "orders", systems.settings.stores[store].poll_seconds)


def follow(systems: Systems, store: str, run_id: str | None) -> Tally:
    """Read again what a store's deliveries name, until none is due; products are left."""

    def things(shop: WooCommerce, reading: raw.Reading) -> Mapping[str, Thing]:
        def absent(keys: list[str]) -> None:
            scanning.keep_gone(systems, shop, store, keys, reading.run_id)

        return {
            "order": Thing(shop.orders_by_id, lambda _: "woocommerce__orders", absent),
            "customer": Thing(shop.customers_by_id, lambda _: "woocommerce__customers"),
        }

    return hints.follow(systems, store, run_id, ALL_BUT_PRODUCTS, things)
