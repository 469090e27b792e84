"""The product and variation routes of a WooCommerce stand-in, in the recorded words.

How products are kept is in `woocommerce_products.py`; batches are in
`woocommerce_product_batches.py`.
"""

import json
from collections.abc import Callable, Mapping, Sequence

import httpx

from resources.sandbox.woocommerce_article import Article
from resources.sandbox.woocommerce_call import Call, response
from resources.sandbox.woocommerce_product_query import (
    WantedProducts,
    checked_product_body,
    checked_product_list,
    selected,
    wanted_products,
)
from resources.sandbox.woocommerce_query import API, TRUE, counted, picked
from resources.sandbox.woocommerce_refusals import Declined, split_list
from resources.sandbox.woocommerce_store import WooCommerceStore
from resources.sandbox.woocommerce_till import Doc

UNKNOWN = "woocommerce_rest_product_invalid_id"
UNKNOWN_VARIATION = "woocommerce_rest_product_variation_invalid_id"
WRONG_DOOR = (
    "To manipulate product variations you should use the "
    "/products/&lt;product_id&gt;/variations/&lt;id&gt; endpoint."
)

# Products


def _list(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """Products; a SKU finds variations as well, and nothing else does."""
    checked_product_list(call.query)
    wanted, products = wanted_products(call.query, shop.zone), shop.products
    if wanted.skus is not None:
        found = [one for sku in wanted.skus for one in products.with_sku(sku)]
        total, rows = selected(wanted, found)
    elif wanted.part_of_sku:
        both = [*products.goods.entries.values(), *products.variations.entries.values()]
        total, rows = selected(wanted, both)
    else:
        total, rows = products.goods.select(wanted)
    return _page(shop, call, total, rows)


def _get(shop: WooCommerceStore, call: Call) -> httpx.Response:
    return _one(shop, call, shop.products.known(call.ids[0]))


def _create(shop: WooCommerceStore, call: Call) -> httpx.Response:
    body = call.body()
    checked_product_body(body)
    made = shop.products.create(body)
    return _written(shop, call, made, 201, f"products/{made.id}")


def _change(shop: WooCommerceStore, call: Call) -> httpx.Response:
    body = call.body()
    checked_product_body(body)
    one = changeable(shop, call.ids[0])
    return _written(shop, call, shop.products.change(one.id, body))


def _delete(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """Trash or delete; the answer shows the product as it was."""
    return _removed(shop, call, deletable(shop, call.ids[0]), "product")


def changeable(shop: WooCommerceStore, product_id: object) -> Article:
    """Return the product to change, or refuse; variations have a door of their own."""
    one = shop.products.found(product_id) if isinstance(product_id, int) else None
    if one is None:
        raise Declined(400, UNKNOWN, "Invalid ID.")
    return _no_variation(one)


def deletable(shop: WooCommerceStore, product_id: int) -> Article:
    """Return the product to delete, or refuse."""
    return _no_variation(shop.products.known(product_id))


def _no_variation(one: Article) -> Article:
    if one.parent:
        raise Declined(404, "woocommerce_rest_invalid_product_id", WRONG_DOOR)
    return one


# Variations


def _list_variations(shop: WooCommerceStore, call: Call) -> httpx.Response:
    checked_product_list(call.query)
    if call.ids[0] not in shop.products.goods.entries:
        raise Declined(404, UNKNOWN, "Invalid ID.")
    wanted = wanted_products(call.query, shop.zone)
    total, rows = selected(wanted, shop.products.children(call.ids[0]))
    return _page(shop, call, total, rows)


def _list_all_variations(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """Variations of all products; their links forget where they belong."""
    checked_product_list(call.query)
    wanted = wanted_products(call.query, shop.zone)
    total, rows = _all_variations(shop, wanted)
    docs, fields, now = [], call.query.get("_fields"), shop.products.stamp()
    for row in rows:
        doc = json.loads(row.text(now)) | {"_links": _loose_links(shop.home, row.id)}
        docs.append(picked(doc, fields))
    return response(200, docs, _counts(shop, call, total, len(rows)))


def _all_variations(
    shop: WooCommerceStore, wanted: WantedProducts
) -> tuple[int, Sequence[Article]]:
    if wanted.skus is None:
        return shop.products.variations.select(wanted)
    found = [one for sku in wanted.skus for one in shop.products.with_sku(sku) if one.parent]
    return selected(wanted, found)


def _get_variation(shop: WooCommerceStore, call: Call) -> httpx.Response:
    return _one(shop, call, variation(shop, *call.ids))


def _create_variation(shop: WooCommerceStore, call: Call) -> httpx.Response:
    body = call.body()
    checked_product_body(body, is_variation=True)
    made = shop.products.create_variation(call.ids[0], body)
    # The store forgets to fill in the parent's id in this one header.
    where = rf"products/(?P<product_id>[\d]+)/variations/{made.id}"
    return _written(shop, call, made, 201, where)


def _change_variation(shop: WooCommerceStore, call: Call) -> httpx.Response:
    body = call.body()
    checked_product_body(body, is_variation=True)
    one = variation(shop, *call.ids)
    return _written(shop, call, shop.products.change(one.id, body))


def _delete_variation(shop: WooCommerceStore, call: Call) -> httpx.Response:
    return _removed(shop, call, variation(shop, *call.ids), "product_variation")


def variation(shop: WooCommerceStore, parent_id: int, variation_id: object) -> Article:
    """Return a variation of that very product, or refuse."""
    entries = shop.products.variations.entries
    one = entries.get(variation_id) if isinstance(variation_id, int) else None
    if one is None or one.parent != parent_id:
        raise Declined(404, UNKNOWN_VARIATION, "Invalid ID.")
    return one


# What they have in common


def _one(shop: WooCommerceStore, call: Call, one: Article) -> httpx.Response:
    if call.query.get("context") == "edit":
        return _written(shop, call, one)
    text, fields = shop.products.text(one), call.query.get("_fields")
    return response(200, picked(json.loads(text), fields, alone=True) if fields else text)


def _written(
    shop: WooCommerceStore, call: Call, one: Article, status: int = 200, made: str = ""
) -> httpx.Response:
    """The answer to a write, which shows texts as they were given."""
    shown = picked(shop.products.answered(one), call.query.get("_fields"), alone=True)
    return response(status, shown, {"Location": f"{shop.home}{API}/{made}"} if made else {})


def _removed(shop: WooCommerceStore, call: Call, one: Article, kind: str) -> httpx.Response:
    shown = _written(shop, call, one)
    if call.query.get("force", "").lower() in TRUE:
        shop.products.delete(one.id)
    elif one.status == "trash":
        message = f"The {kind} has already been deleted."
        raise Declined(410, "woocommerce_rest_already_trashed", message)
    else:
        shop.products.trash(one.id)
    return shown


def _page(
    shop: WooCommerceStore, call: Call, total: int, rows: Sequence[Article]
) -> httpx.Response:
    headers, fields = _counts(shop, call, total, len(rows)), call.query.get("_fields")
    now = shop.products.stamp()
    if call.query.get("context") == "edit":
        docs = [picked(shop.products.answered(row), fields) for row in rows]
        return response(200, docs, headers)
    texts = [row.text(now) for row in rows]
    if not fields:
        return response(200, f"[{','.join(texts)}]", headers)
    return response(200, [picked(json.loads(text), fields) for text in texts], headers)


def _counts(shop: WooCommerceStore, call: Call, total: int, rows: int) -> dict[str, str]:
    """Totals and links; lists among the parameters are repeated item by item."""
    repeated: dict[str, str] = {}
    for name, value in call.query.items():
        if name in ("include_status", "include", "exclude"):
            repeated |= {f"{name}[{n}]": word for n, word in enumerate(split_list(value))}
        else:
            repeated[name] = value
    return counted(shop.home, call.path, repeated, total, rows)


def _loose_links(home: str, variation_id: int) -> Doc:
    base = f"{home}{API}"
    return {
        "self": [{"href": f"{base}/variations/{variation_id}"}],
        "collection": [{"href": f"{base}/variations"}],
        "up": [{"href": f"{base}/products/0"}],
    }


PRODUCT_ACTIONS: Mapping[tuple[str, str], Callable[[WooCommerceStore, Call], httpx.Response]] = {
    ("GET", "products"): _list,
    ("POST", "products"): _create,
    ("GET", "products/{id}"): _get,
    ("PUT", "products/{id}"): _change,
    ("DELETE", "products/{id}"): _delete,
    ("GET", "products/{id}/variations"): _list_variations,
    ("POST", "products/{id}/variations"): _create_variation,
    ("GET", "products/{id}/variations/{id}"): _get_variation,
    ("PUT", "products/{id}/variations/{id}"): _change_variation,
    ("DELETE", "products/{id}/variations/{id}"): _delete_variation,
    ("GET", "variations"): _list_all_variations,
}
