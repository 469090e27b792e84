"""The routes of refunds of a WooCommerce stand-in; what they do is in `woocommerce_refunds.py`."""

from collections.abc import Callable, Mapping

import httpx

from resources.sandbox.woocommerce_call import Call, response
from resources.sandbox.woocommerce_query import API, counted, ids, paging, picked
from resources.sandbox.woocommerce_refusals import PRODUCT_SORTS, Declined, checked_list
from resources.sandbox.woocommerce_stock import is_yes
from resources.sandbox.woocommerce_store import WooCommerceStore
from resources.sandbox.woocommerce_till import Doc


def _list(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """Refunds of an order, newest first; of an order that is gone there are none."""
    checked_list(call.query, PRODUCT_SORTS)
    found = shop.refunds_of(call.ids[0])
    if call.query.get("include"):
        found = [one for one in found if one["id"] in ids(call.query["include"])]
    if call.query.get("order", "desc") == "desc":
        found.reverse()
    per_page, page = paging(call.query)
    rows = found[(page - 1) * per_page : page * per_page]
    headers = counted(shop.home, call.path, call.query, len(found), len(rows))
    return response(200, [picked(row, call.query.get("_fields")) for row in rows], headers)


def _create(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """The meta data is written when all else is done, so a crash before leaves a refund without."""
    order_id, body = call.ids[0], call.body()
    if order_id not in shop.shelf.entries:
        raise Declined(404, "woocommerce_rest_invalid_order_id", "Invalid order ID.")
    refund_id = shop.refund(
        order_id,
        body.get("amount"),
        str(body.get("reason", "")),
        body.get("line_items", ()),
        restock=is_yes(body.get("api_restock", True)),
        by_gateway=is_yes(body.get("api_refund", True)),
    )
    shop.crash("refund")
    refund = _known(shop, order_id, refund_id)
    shop.till.merge_meta(refund, body.get("meta_data", ()))
    # The store forgets to fill in the order's id in this one header.
    made = rf"orders/(?P<order_id>[\d]+)/refunds/{refund_id}"
    return response(201, refund, {"Location": f"{shop.home}{API}/{made}"})


def _get(shop: WooCommerceStore, call: Call) -> httpx.Response:
    refund = _known(shop, *call.ids)
    return response(200, picked(refund, call.query.get("_fields"), alone=True))


def _delete(shop: WooCommerceStore, call: Call) -> httpx.Response:
    refund = _known(shop, *call.ids)
    shop.delete_refund(*call.ids)
    return response(200, refund)


def _known(shop: WooCommerceStore, order_id: int, refund_id: int) -> Doc:
    for refund in shop.refunds_of(order_id):
        if refund["id"] == refund_id:
            return refund
    raise Declined(404, "woocommerce_rest_shop_order_refund_invalid_id", "Invalid ID.")


REFUND_ACTIONS: Mapping[tuple[str, str], Callable[[WooCommerceStore, Call], httpx.Response]] = {
    ("GET", "orders/{id}/refunds"): _list,
    ("POST", "orders/{id}/refunds"): _create,
    ("GET", "orders/{id}/refunds/{id}"): _get,
    ("DELETE", "orders/{id}/refunds/{id}"): _delete,
}
