"""Batches of products and of variations: a hundred at most, each item for itself, nothing checked.

What becomes of one item is in `woocommerce_products.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx

from resources.sandbox.woocommerce_article import Article
from resources.sandbox.woocommerce_call import Call, response
from resources.sandbox.woocommerce_product_answers import changeable, deletable, variation
from resources.sandbox.woocommerce_query import picked
from resources.sandbox.woocommerce_refusals import Declined, split_list
from resources.sandbox.woocommerce_store import WooCommerceStore
from resources.sandbox.woocommerce_till import Doc

MOST = 100
LISTS = ("create", "update", "delete")

Find = Callable[[Any], Article]


def _products(shop: WooCommerceStore, call: Call) -> httpx.Response:
    products = shop.products
    return _batch(
        shop,
        call,
        products.create,
        lambda wanted: changeable(shop, wanted),
        lambda wanted: deletable(shop, wanted),
    )


def _variations(shop: WooCommerceStore, call: Call) -> httpx.Response:
    products, parent_id = shop.products, call.ids[0]

    def find(wanted: Any) -> Article:
        return variation(shop, parent_id, wanted)

    return _batch(shop, call, lambda item: products.create_variation(parent_id, item), find, find)


def _batch(
    shop: WooCommerceStore,
    call: Call,
    create: Callable[[Doc], Article],
    find: Find,
    find_to_delete: Find,
) -> httpx.Response:
    """Do what can be done and say at each place what could not; the status is always 200."""
    body = call.body()
    lists = {name: body[name] for name in LISTS if isinstance(body.get(name), list) and body[name]}
    if sum(map(len, lists.values())) > MOST:
        message = f"Unable to accept more than {MOST} items for this request."
        raise Declined(413, "woocommerce_rest_request_entity_too_large", message)
    products, done = shop.products, dict[str, list[Doc]]()

    def update(item: Doc) -> Doc:
        return products.answered(products.change(find(item.get("id")).id, item))

    def delete(wanted: Any) -> Doc:
        one = find_to_delete(int(wanted))
        shown = products.answered(one)
        products.delete(one.id)
        return shown

    for name, items in lists.items():
        if name == "create":
            done[name] = _each(items, lambda item: products.answered(create(item)), lambda _: 0)
        elif name == "update":
            done[name] = _each(items, update, lambda item: item.get("id"))
        else:
            done[name] = _each(items, delete, lambda wanted: wanted)
    return response(200, _filtered(done, call.query.get("_fields")) or [])


def _each(
    items: Iterable[Any], act: Callable[[Any], Doc], named: Callable[[Any], Any]
) -> list[Doc]:
    """Act on each item; one that is refused has its refusal at its place."""
    found = []
    for item in items:
        try:
            found.append(act(item))
        except Declined as refusal:
            found.append({"id": named(item), "error": refusal.body})
    return found


def _filtered(done: Mapping[str, list[Doc]], fields: str | None) -> Doc:
    """The fields asked for, looked for at the top alone: what is in the lists has no names."""
    if not fields:
        return dict(done)
    names = split_list(fields)
    emptied: Doc = {name: [] for name in done if f"{name}." in fields}
    return emptied | picked(dict(done), ",".join(name for name in names if "." not in name) or "-")


BATCH_ACTIONS: Mapping[tuple[str, str], Callable[[WooCommerceStore, Call], httpx.Response]] = {
    ("POST", "products/batch"): _products,
    ("POST", "products/{id}/variations/batch"): _variations,
}
