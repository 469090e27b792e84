"""The routes of fulfillments of a WooCommerce stand-in; without the feature there are none.

From the vendor's REST API documentation and not from a recording.
"""

from collections.abc import Callable, Mapping

import httpx

from resources.sandbox.woocommerce_call import Call, response
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_store import WooCommerceStore


def _list(shop: WooCommerceStore, call: Call) -> httpx.Response:
    _check(shop, call)
    return response(200, shop.fulfilments.of(call.ids[0]))


def _create(shop: WooCommerceStore, call: Call) -> httpx.Response:
    _check(shop, call)
    return response(201, shop.fulfilments.create(call.ids[0], call.body(), shop.now()))


def _get(shop: WooCommerceStore, call: Call) -> httpx.Response:
    _check(shop, call)
    return response(200, shop.fulfilments.known(*call.ids))


def _change(shop: WooCommerceStore, call: Call) -> httpx.Response:
    _check(shop, call)
    order_id, one_id = call.ids
    return response(200, shop.fulfilments.change(order_id, one_id, call.body(), shop.now()))


def _delete(shop: WooCommerceStore, call: Call) -> httpx.Response:
    _check(shop, call)
    order_id, one_id = call.ids
    shop.fulfilments.delete(order_id, one_id, shop.now())
    return response(200, {"message": "Fulfillment deleted successfully."})


def _check(shop: WooCommerceStore, call: Call) -> None:
    """The feature first: without it the store does not know the route at all."""
    if not shop.fulfilments.is_on:
        message = "No route was found matching the URL and request method."
        raise Declined(404, "rest_no_route", message)
    if call.ids[0] not in shop.shelf.entries:
        raise Declined(404, "woocommerce_rest_order_invalid_id", "Invalid order ID.")


FULFILMENT_ACTIONS: Mapping[tuple[str, str], Callable[[WooCommerceStore, Call], httpx.Response]] = {
    ("GET", "orders/{id}/fulfillments"): _list,
    ("POST", "orders/{id}/fulfillments"): _create,
    ("GET", "orders/{id}/fulfillments/{id}"): _get,
    ("PUT", "orders/{id}/fulfillments/{id}"): _change,
    ("DELETE", "orders/{id}/fulfillments/{id}"): _delete,
}
