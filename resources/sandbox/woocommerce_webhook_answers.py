"""The webhook routes of a WooCommerce stand-in, in the recorded words.

When something is delivered, and how, is in `woocommerce_webhooks.py`.
"""

import re
import secrets
from collections.abc import Callable, Mapping

import httpx

from resources.sandbox.woocommerce_call import Call, response
from resources.sandbox.woocommerce_catalog import links
from resources.sandbox.woocommerce_query import API, TRUE, counted, ids, paging, picked
from resources.sandbox.woocommerce_refusals import Complaints, Declined, checked_list
from resources.sandbox.woocommerce_store import WooCommerceStore
from resources.sandbox.woocommerce_till import Doc
from resources.sandbox.woocommerce_webhooks import Hook

STATUSES = ("active", "paused", "disabled")
SORTS = ("date", "id", "title")
CHANGEABLE = ("name", "status", "topic", "delivery_url", "secret")
WEB_ADDRESS = re.compile(r"^https?://[^/\s]+")
#: What fires each topic inside the store; a pair of thing and event that is not here is refused.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "coupon.created": ("woocommerce_process_shop_coupon_meta", "woocommerce_new_coupon"),
    "coupon.updated": ("woocommerce_process_shop_coupon_meta", "woocommerce_update_coupon"),
    "coupon.deleted": ("wp_trash_post",),
    "coupon.restored": ("untrashed_post",),
    "customer.created": ("user_register", "woocommerce_created_customer"),
    "customer.updated": ("profile_update", "woocommerce_update_customer"),
    "customer.deleted": ("delete_user",),
    "order.created": ("woocommerce_new_order",),
    "order.updated": ("woocommerce_update_order", "woocommerce_order_refunded"),
    "order.deleted": ("wp_trash_post", "woocommerce_trash_order"),
    "order.restored": ("untrashed_post", "woocommerce_untrash_order"),
    "product.created": ("woocommerce_process_product_meta", "woocommerce_new_product"),
    "product.updated": ("woocommerce_process_product_meta", "woocommerce_update_product"),
    "product.deleted": ("wp_trash_post",),
    "product.restored": ("untrashed_post",),
    "product.published": ("publish_product",),
}


def _list(shop: WooCommerceStore, call: Call) -> httpx.Response:
    """All webhooks, the newest second first."""
    checked_list(call.query, SORTS)
    found = list(shop.webhooks.hooks.values())
    if call.query.get("status", "all") != "all":
        found = [hook for hook in found if hook.status == call.query["status"]]
    if call.query.get("include"):
        found = [hook for hook in found if hook.id in ids(call.query["include"])]
    found.sort(key=lambda hook: hook.id)
    is_descending = call.query.get("order", "desc") == "desc"
    if call.query.get("orderby", "date") == "date":
        found.sort(key=lambda hook: hook.created.replace(microsecond=0), reverse=is_descending)
    elif is_descending:
        found.reverse()
    per_page, page = paging(call.query)
    rows = found[(page - 1) * per_page : page * per_page]
    headers = counted(shop.home, call.path, call.query, len(found), len(rows))
    fields = call.query.get("_fields")
    return response(200, [picked(_shown(shop, hook), fields) for hook in rows], headers)


def _get(shop: WooCommerceStore, call: Call) -> httpx.Response:
    fields = call.query.get("_fields")
    return response(200, picked(_shown(shop, _known(shop, call, 404)), fields, alone=True))


def _create(shop: WooCommerceStore, call: Call) -> httpx.Response:
    body = call.body()
    missing = [name for name in ("topic", "delivery_url") if name not in body]
    if missing:
        data = {"status": 400, "params": missing}
        message = f"Missing parameter(s): {', '.join(missing)}"
        raise Declined(400, "rest_missing_callback_param", message, data)
    _check(body)
    name = f"Webhook created on {shop.now():%b %d, %Y @ %I:%M %p}"
    hook = shop.webhooks.add(
        str(body["topic"]),
        str(body["delivery_url"]),
        str(body.get("secret") or secrets.token_urlsafe(36)),
        str(body.get("name") or name),
        str(body.get("status", "active")),
    )
    where = {"Location": f"{shop.home}{API}/webhooks/{hook.id}"}
    return response(201, _shown(shop, hook), where)


def _change(shop: WooCommerceStore, call: Call) -> httpx.Response:
    hook, body = _known(shop, call, 400), call.body()
    _check(body)
    given = {name: str(body[name]) for name in CHANGEABLE if body.get(name)}
    shop.webhooks.change(hook, **given)
    return response(200, _shown(shop, hook))


def _delete(shop: WooCommerceStore, call: Call) -> httpx.Response:
    hook = _known(shop, call, 404)
    if call.query.get("force", "").lower() not in TRUE:
        message = "Webhooks do not support trashing."
        raise Declined(501, "woocommerce_rest_trash_not_supported", message)
    shop.webhooks.remove(hook)
    return response(200, _shown(shop, hook))


def _known(shop: WooCommerceStore, call: Call, status: int) -> Hook:
    hook = shop.webhooks.hooks.get(call.ids[0])
    if hook is None:
        message = "Invalid ID." if status == 404 else "ID is invalid."
        raise Declined(status, "woocommerce_rest_shop_webhook_invalid_id", message)
    return hook


def _check(body: Doc) -> None:
    """Refuse what a webhook cannot be; topic before address, as the store does."""
    if "status" in body and body["status"] not in STATUSES:
        complaints = Complaints()
        complaints.not_one_of("status", STATUSES)
        complaints.raise_any()
    if "topic" in body and not is_topic(str(body["topic"])):
        message = "Webhook topic is required and must be valid."
        raise Declined(400, "woocommerce_rest_shop_webhook_invalid_topic", message)
    if "delivery_url" in body and not WEB_ADDRESS.match(str(body["delivery_url"])):
        message = "Webhook delivery URL must be a valid URL starting with http:// or https://."
        raise Declined(400, "woocommerce_rest_shop_webhook_invalid_delivery_url", message)


def is_topic(topic: str) -> bool:
    """Whether the store has something that fires it; any action of its own may be named."""
    kind, _, event = topic.partition(".")
    return topic in TOPICS or (kind == "action" and bool(event))


def _shown(shop: WooCommerceStore, hook: Hook) -> Doc:
    """A webhook as REST shows it: without its secret and its count of failures."""
    dates = shop.till.dates
    return {
        "id": hook.id,
        "name": hook.name,
        "status": hook.status,
        "topic": hook.topic,
        "resource": hook.resource,
        "event": hook.event,
        "hooks": list(TOPICS.get(hook.topic, (hook.event,))),
        "delivery_url": hook.delivery_url,
        **dates("date_created", hook.created),
        **dates("date_modified", hook.modified),
        "_links": links(shop.home, f"webhooks/{hook.id}", "webhooks"),
    }


WEBHOOK_ACTIONS: Mapping[tuple[str, str], Callable[[WooCommerceStore, Call], httpx.Response]] = {
    ("GET", "webhooks"): _list,
    ("POST", "webhooks"): _create,
    ("GET", "webhooks/{id}"): _get,
    ("PUT", "webhooks/{id}"): _change,
    ("DELETE", "webhooks/{id}"): _delete,
}
