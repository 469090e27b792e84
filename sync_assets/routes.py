"""Where a store's documents go in the ERP, as its configuration says."""

from resources.settings import Store
from sync_assets.domain.planning import Route


def route_of(name: str, store: Store) -> Route:
    """The route a store's configuration describes."""
    return Route(
        store=name,
        erp=store.erp,
        company=store.company,
        warehouse=store.warehouse,
        currencies=store.currencies,
        taxes=store.taxes,
        price_list=store.price_list,
        web_shop=store.web_shop,
        send_states=store.send_states,
        send_from=store.send_orders_from,
        shipping_item=store.shipping_item,
        fee_item=store.fee_item,
        rounding_item=store.rounding_item,
        rounding_tolerance=store.rounding_tolerance,
        rounding_per_line=store.rounding_per_line,
    )
