"""A client of a stand-in shop and orders to be shipped, refunded and exchanged, for its tests."""

from typing import Any

from woocommerce_shop import THERE, Entry

from resources.http import Manners, client
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.systems.woocommerce import WooCommerce


def connected(shop: WooCommerceStandIn, per_page: int = 100) -> WooCommerce:
    """A client that calls once and never waits."""
    http = client(
        "us",
        shop.home,
        Manners(attempts=1),
        auth=("ck_test", "cs_test"),
        transport=shop.transport(),
        sleep=lambda _: None,
    )
    woo = WooCommerce(http, "us")
    woo.per_page = per_page
    return woo


def paid_order(shop: WooCommerceStandIn, **fields: Any) -> int:
    """Two units of ORD-A and one of ORD-B with shipping, 59.68 by card: 54.81 and 4.87 tax."""
    return shop.place(
        {
            "payment_method": "stripe",
            "billing": {"first_name": "Mira", "email": "mira@example.com", **THERE},
            "shipping": THERE,
            "line_items": [{"sku": "ORD-A", "quantity": 2}, {"sku": "ORD-B", "quantity": 1}],
            "shipping_lines": [{"method_id": "flat_rate", "total": "7.50"}],
            **fields,
        }
    )


def lines_of(shop: WooCommerceStandIn, order: int) -> list[Entry]:
    """Its product lines, then its shipping lines."""
    doc = shop.order_json(order)
    return [*doc["line_items"], *doc["shipping_lines"]]


def lost(operation: str, skip: int = 0) -> Fault:
    """The effect happens and the answer is lost, `skip` calls from now."""
    return Fault(Trouble.CUT_AFTER, operation, skip=skip)
