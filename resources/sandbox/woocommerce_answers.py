"""What a WooCommerce stand-in answers on each route, in the recorded words.

Keys, limits and faults are in `woocommerce.py`; what happens to orders is in the store.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx

from resources.sandbox.woocommerce_call import Call, response
from resources.sandbox.woocommerce_fulfilment_answers import FULFILMENT_ACTIONS
from resources.sandbox.woocommerce_product_answers import PRODUCT_ACTIONS
from resources.sandbox.woocommerce_product_batches import BATCH_ACTIONS
from resources.sandbox.woocommerce_query import API, TRUE, counted, ids, paging, picked, wanted
from resources.sandbox.woocommerce_refund_answers import REFUND_ACTIONS
from resources.sandbox.woocommerce_refusals import (
    CRASHED,
    CUSTOMER_SORTS,
    Declined,
    checked_list,
    checked_order_body,
    checked_order_list,
)
from resources.sandbox.woocommerce_store import WooCommerceStore
from resources.sandbox.woocommerce_term_answers import TERM_ACTIONS
from resources.sandbox.woocommerce_till import Doc
from resources.sandbox.woocommerce_webhook_answers import WEBHOOK_ACTIONS

READ_ONLY = ("id", "number", "date_created", "date_created_gmt", "total", "placed_at", "paid_at")


class Answers(WooCommerceStore):
    """The shop with a method for each route."""

    # Orders

    def _list_orders(self, call: Call) -> httpx.Response:
        checked_order_list(call.query)
        total, rows = self.shelf.select(wanted(call.query, self.zone))
        headers = counted(self.home, call.path, call.query, total, len(rows), of_orders=True)
        fields = call.query.get("_fields")
        if not fields:
            return response(200, "[" + ",".join(row.text for row in rows) + "]", headers)
        return response(200, [picked(json.loads(row.text), fields) for row in rows], headers)

    def _get_order(self, call: Call) -> httpx.Response:
        return self._shown(call.ids[0], call)

    def _create_order(self, call: Call) -> httpx.Response:
        body = call.body()
        checked_order_body(body)
        given = {name: value for name, value in body.items() if name not in READ_ONLY}
        self._refuse_lines(given.get("line_items", ()))
        customer = int(given.get("customer_id", 0))
        if customer and customer not in self.customers:
            code = "woocommerce_rest_invalid_customer_id"
            raise Declined(400, code, "Customer ID is invalid.")
        if given.get("coupon_lines"):
            self._refuse_coupon(given)
        if given.pop("set_paid", False) and given.get("status", "pending") == "pending":
            given["status"] = "processing"
        order_id = self.take({**given, "created_via": "rest-api"}, self.now())
        return self._shown(order_id, call, 201, f"orders/{order_id}")

    def _change_order(self, call: Call) -> httpx.Response:
        body = call.body()
        checked_order_body(body)
        if call.ids[0] not in self.shelf.entries:
            code = "woocommerce_rest_shop_order_invalid_id"
            raise Declined(400, code, "ID is invalid.")
        new = [line for line in body.get("line_items", ()) if "id" not in line]
        self._refuse_lines(new)
        self.edit(call.ids[0], **body)
        return self._shown(call.ids[0], call)

    def _delete_order(self, call: Call) -> httpx.Response:
        """Trash or delete; the answer shows the order as it was."""
        order_id, shown = call.ids[0], self._shown(call.ids[0], call)
        if call.query.get("force", "").lower() in TRUE:
            self.delete(order_id)
        elif self.entry(order_id).status == "trash":
            message = "The shop_order has already been deleted."
            raise Declined(410, "woocommerce_rest_already_trashed", message)
        else:
            self.trash(order_id)
        return shown

    def _shown(
        self, order_id: int, call: Call, status: int = 200, made: str | None = None
    ) -> httpx.Response:
        fields, text = call.query.get("_fields"), self.entry(order_id).text
        body = picked(json.loads(text), fields, alone=True) if fields else text
        return response(status, body, self._location(made))

    def _refuse_lines(self, lines: Sequence[Mapping[str, Any]]) -> None:
        for line in lines:
            if not any(line.get(name) for name in ("product_id", "variation_id", "sku")):
                code = "woocommerce_rest_required_product_reference"
                raise Declined(400, code, "Product ID or SKU is required.")
            if int(line.get("quantity", 1)) == 0:
                raise Declined(500, "internal_server_error", CRASHED)

    def _refuse_coupon(self, given: Doc) -> None:
        """The shop knows no coupons; its refusal leaves a draft order behind."""
        code = str(given["coupon_lines"][0].get("code", "")).lower()
        draft = {**given, "coupon_lines": [], "status": "checkout-draft"}
        left = self.take({**draft, "created_via": "rest-api"}, self.now())
        message = f"Coupon &quot;{code}&quot; cannot be applied because it does not exist."
        data = {"status": 400, "new_draft_order_id": left}
        raise Declined(400, "woocommerce_rest_invalid_coupon", message, data)

    # Notes

    def _list_notes(self, call: Call) -> httpx.Response:
        self._known(call, "woocommerce_rest_order_invalid_id")
        kind = call.query.get("type", "any")
        told = {"customer": [True], "internal": [False]}.get(kind, [True, False])
        notes = self.notes.get(call.ids[0], ())
        found = [note for note in reversed(notes) if note["customer_note"] in told]
        return response(200, [picked(note, call.query.get("_fields")) for note in found])

    def _create_note(self, call: Call) -> httpx.Response:
        body = call.body()
        if "note" not in body:
            data = {"status": 400, "params": ["note"]}
            message = "Missing parameter(s): note"
            raise Declined(400, "rest_missing_callback_param", message, data)
        self._known(call, "woocommerce_rest_order_invalid_id")
        author = "admin" if body.get("added_by_user") else "WooCommerce"
        customer = bool(body.get("customer_note"))
        note_id = self.add_note(call.ids[0], str(body["note"]), customer, author)
        made = f"orders/{call.ids[0]}/notes/{note_id}"
        return response(201, self.notes[call.ids[0]][-1], self._location(made))

    def _get_note(self, call: Call) -> httpx.Response:
        order_id, note_id = call.ids
        found = [note for note in self.notes.get(order_id, ()) if note["id"] == note_id]
        if not found:
            raise Declined(404, "woocommerce_rest_invalid_id", "Invalid resource ID.")
        return response(200, picked(found[0], call.query.get("_fields"), alone=True))

    def _known(self, call: Call, code: str) -> None:
        if call.ids[0] not in self.shelf.entries:
            raise Declined(404, code, "Invalid order ID.")

    # Customers, the site

    def _list_customers(self, call: Call) -> httpx.Response:
        """Accounts; they have no delta, so `modified_after` is one unknown parameter more."""
        checked_list(without_dates(call.query), CUSTOMER_SORTS)
        found = list(self.customers.values())
        if "email" in call.query:
            found = [one for one in found if one["email"].lower() == call.query["email"].lower()]
        if call.query.get("include"):
            found = [one for one in found if one["id"] in ids(call.query["include"])]
        if call.query.get("orderby", "name") == "name":
            found.sort(key=lambda one: str(one["username"]))
        if call.query.get("order") == "desc":
            found.reverse()
        return self._paged(call, found)

    def _get_customer(self, call: Call) -> httpx.Response:
        found = self.customers.get(call.ids[0])
        if found is None:
            raise Declined(404, "wc_user_invalid_id", "Invalid user ID.")
        return response(200, picked(found, call.query.get("_fields"), alone=True))

    def _index(self, call: Call) -> httpx.Response:
        """Who the site is, open to everyone; the only place that tells its time zone."""
        offset = self.now().astimezone(self.zone).utcoffset()
        hours = Decimal(int(offset.total_seconds())) / 3600 if offset else Decimal()
        site: Doc = {
            "name": f"{self.store} store",
            "description": "",
            "url": self.home,
            "home": self.home,
            "gmt_offset": int(hours) if hours == int(hours) else float(hours),
            "timezone_string": self.zone.key,
            "namespaces": ["oembed/1.0", "wc/v3", "wc/v2", "wc/v1", "wc/store/v1", "wp/v2"],
            "authentication": {},
            "routes": {},
        }
        return response(200, picked(site, call.query.get("_fields")))

    def _paged(self, call: Call, found: list[Doc]) -> httpx.Response:
        per_page, page = paging(call.query)
        rows = found[(page - 1) * per_page : page * per_page]
        headers = counted(self.home, call.path, call.query, len(found), len(rows))
        return response(200, [picked(row, call.query.get("_fields")) for row in rows], headers)

    def _location(self, made: str | None) -> dict[str, str]:
        return {"Location": f"{self.home}{API}/{made}"} if made else {}


Action = Callable[[Answers, Call], httpx.Response]
ACTIONS: Mapping[tuple[str, str], Action] = {
    ("GET", "index"): Answers._index,
    ("GET", "orders"): Answers._list_orders,
    ("POST", "orders"): Answers._create_order,
    ("GET", "orders/{id}"): Answers._get_order,
    ("PUT", "orders/{id}"): Answers._change_order,
    ("DELETE", "orders/{id}"): Answers._delete_order,
    ("GET", "orders/{id}/notes"): Answers._list_notes,
    ("POST", "orders/{id}/notes"): Answers._create_note,
    ("GET", "orders/{id}/notes/{id}"): Answers._get_note,
    ("GET", "customers"): Answers._list_customers,
    ("GET", "customers/{id}"): Answers._get_customer,
    **REFUND_ACTIONS,
    **FULFILMENT_ACTIONS,
    **PRODUCT_ACTIONS,
    **BATCH_ACTIONS,
    **TERM_ACTIONS,
    **WEBHOOK_ACTIONS,
}


def without_dates(query: Mapping[str, str]) -> dict[str, str]:
    """The parameters a list of customers knows."""
    dates = ("after", "before", "modified_after", "modified_before")
    return {name: value for name, value in query.items() if name not in dates}
