"""The routes of categories, tags and tax classes of a WooCommerce stand-in.

The recordings hold only their lists; creating and changing them follows the program.
"""

from collections import Counter
from collections.abc import Callable, Mapping

import httpx

from resources.sandbox.woocommerce_call import Call, response
from resources.sandbox.woocommerce_query import API, TRUE, counted, ids, paging, picked
from resources.sandbox.woocommerce_refusals import Declined, checked_list
from resources.sandbox.woocommerce_store import WooCommerceStore
from resources.sandbox.woocommerce_terms import Terms
from resources.sandbox.woocommerce_till import Doc

SORTS = ("id", "include", "name", "slug", "term_group", "description", "count")


def _list(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """Names in their alphabet, or as asked."""
    checked_list(call.query, SORTS)
    terms, query = _terms(shop, call), call.query
    counts = _counts(shop) if terms.kind == "categories" else Counter[int]()
    found = [terms.json(term_id, counts[term_id]) for term_id in terms.kept]
    if "parent" in query:
        found = [one for one in found if one.get("parent", 0) == int(query["parent"])]
    if query.get("slug"):
        found = [one for one in found if one["slug"] == query["slug"]]
    if query.get("search"):
        found = [one for one in found if query["search"].lower() in one["name"].lower()]
    if query.get("include"):
        found = [one for one in found if one["id"] in ids(query["include"])]
    found.sort(key=_sorted_by(query.get("orderby", "name")), reverse=query.get("order") == "desc")
    per_page, page = paging(query)
    rows = found[(page - 1) * per_page : page * per_page]
    headers = counted(shop.home, call.path, query, len(found), len(rows))
    return response(200, [picked(row, query.get("_fields")) for row in rows], headers)


def _get(shop: WooCommerceStore, call: Call) -> httpx.Response:
    return _answer(shop, call, _known(shop, call))


def _create(shop: WooCommerceStore, call: Call) -> httpx.Response:
    body, terms = call.body(), _terms(shop, call)
    if not body.get("name"):
        data = {"status": 400, "params": ["name"]}
        message = "Missing parameter(s): name"
        raise Declined(400, "rest_missing_callback_param", message, data)
    parent = int(body.get("parent") or 0)
    if parent and parent not in terms.kept:
        raise Declined(400, "woocommerce_rest_term_invalid", "Parent resource does not exist.")
    words = str(body.get("slug", "")), str(body.get("description", ""))
    made = terms.add(str(body["name"]), parent, *words)
    where = {"Location": f"{shop.home}{API}/products/{terms.kind}/{made}"}
    return _answer(shop, call, made, 201, where)


def _change(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """Change a name; the products that carry it show it and are not bumped."""
    term_id = _known(shop, call)
    _terms(shop, call).change(term_id, call.body())
    _reprint(shop, call, term_id)
    return _answer(shop, call, term_id)


def _delete(shop: WooCommerceStore, call: Call) -> httpx.Response:
    term_id = _known(shop, call)
    if call.query.get("force", "").lower() not in TRUE:
        message = "Resource does not support trashing."
        raise Declined(501, "woocommerce_rest_trash_not_supported", message)
    shown = _answer(shop, call, term_id)
    _terms(shop, call).drop(term_id)
    _reprint(shop, call, term_id)
    return shown


def _tax_classes(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """The shop's tax classes; this list is never paged."""
    base = f"{shop.home}{API}/taxes/classes"
    links = {"collection": [{"href": base}]}
    named = shop.products.clerk.tax_classes.items()
    rows = [{"slug": slug, "name": name, "_links": links} for slug, name in named]
    return response(200, [picked(row, call.query.get("_fields")) for row in rows])


def _terms(shop: WooCommerceStore, call: Call) -> Terms:
    return shop.terms["tags" if call.route.startswith("products/tags") else "categories"]


def _known(shop: WooCommerceStore, call: Call) -> int:
    if call.ids[0] not in _terms(shop, call).kept:
        raise Declined(404, "woocommerce_rest_term_invalid", "Resource does not exist.")
    return call.ids[0]


def _reprint(shop: WooCommerceStore, call: Call, term_id: int) -> None:
    kind = "tag_id" if _terms(shop, call).kind == "tags" else "category_id"
    shop.products.reprint(**{kind: term_id})


def _answer(
    shop: WooCommerceStore,
    call: Call,
    term_id: int,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    terms = _terms(shop, call)
    count = _counts(shop)[term_id] if terms.kind == "categories" else 0
    shown = picked(terms.json(term_id, count), call.query.get("_fields"), alone=True)
    return response(status, shown, headers)


def _counts(shop: WooCommerceStore) -> Counter[int]:
    """How many published products carry each category."""
    published = (one for one in shop.products.goods.shown() if one.status == "publish")
    return Counter(category for one in published for category in one.categories)


def _sorted_by(sort: str) -> Callable[[Doc], tuple[str, int]]:
    if sort == "id":
        return lambda one: ("", int(one["id"]))
    if sort == "count":
        return lambda one: (f"{one['count']:09}", int(one["id"]))
    return lambda one: (str(one["slug" if sort == "slug" else "name"]).lower(), int(one["id"]))


TERM_ACTIONS: Mapping[tuple[str, str], Callable[[WooCommerceStore, Call], httpx.Response]] = {
    ("GET", "taxes/classes"): _tax_classes,
    **{
        key: action
        for kind in ("categories", "tags")
        for key, action in {
            ("GET", f"products/{kind}"): _list,
            ("POST", f"products/{kind}"): _create,
            ("GET", f"products/{kind}/{{id}}"): _get,
            ("PUT", f"products/{kind}/{{id}}"): _change,
            ("DELETE", f"products/{kind}/{{id}}"): _delete,
        }.items()
    },
}
