"""A WooCommerce store that answers REST calls as the recorded one did: version 11.0.1, orders in
their own tables.

Here are keys, limits and faults; routes are in `woocommerce_answers.py`, the shop itself in
`woocommerce_store.py`, its products in `woocommerce_products.py`, deliveries in
`woocommerce_webhooks.py`, refunds and their gateways in `woocommerce_refunds.py`, the fulfillments
it has when they are switched on in `woocommerce_fulfilments.py`. Not imitated: coupons given
through the API, batches of orders, other decimals by `dp`, search by article name, attributes that
products share, sales counts, prices and related products in HTML.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime

import httpx

from resources.sandbox.faults import Faults, StandIn
from resources.sandbox.woocommerce_answers import ACTIONS, Answers
from resources.sandbox.woocommerce_call import Call, credentials, headless, no_rights, response
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_store import WooCommerceStore
from resources.sandbox.woocommerce_tax import Rounding

PRIVATE = "no-cache, must-revalidate, max-age=0, no-store, private"
COLLECTION, THING = "GET, POST", "GET, POST, PUT, PATCH, DELETE"


class WooCommerceStandIn(Answers, StandIn):
    """One store behind HTTP; `store` names it, its home address is https://<store>.example."""

    name = "woocommerce"
    controls = frozenset(
        {
            *("place", "finish", "edit", "set_status", "refund", "delete_refund", "trash"),
            *("restore", "delete", "add_note", "add_customer", "add_product", "tax_rate"),
            *("edit_customer", "queued", "checkout", "fill_cart", "add_variable", "set_stock"),
            *("overwrite_stock", "stock_of", "edit_product", "trash_product", "restore_product"),
            *("delete_product", "product_json", "products_with", "count_products"),
            *("add_category", "rename_category", "admit_twins", "run_scheduler"),
            *("order_json", "count", "totals_by_currency", "fail_refunds", "plan_crash"),
            *("refunds_of", "notes_of", "fulfilments_of", "switch_fulfilments"),
        }
    )

    def __init__(
        self,
        store: str,
        *,
        currency: str = "USD",
        timezone: str = "America/New_York",
        now: Callable[[], datetime],
        key: str = "ck_test",
        secret: str = "cs_test",  # noqa: S107 - invented, for a store that does not exist
        prices_include_tax: bool = False,
        decimals: int = 2,
        faults: Faults | None = None,
        round_at_subtotal: bool = False,
        base: tuple[str, str] = ("US", "NY"),
        first_id: int = 1001,
        calls_per_second: int | None = None,
        needs_tls: bool = False,
        read_only: bool = False,
    ) -> None:
        StandIn.__init__(self, faults)
        WooCommerceStore.__init__(
            self,
            store,
            currency=currency,
            timezone=timezone,
            now=now,
            rounding=Rounding(decimals, round_at_subtotal, prices_include_tax),
            base=base,
            first_id=first_id,
        )
        self.key, self.secret, self.read_only, self.needs_tls = key, secret, read_only, needs_tls
        self.calls_per_second = calls_per_second
        self._recent: deque[datetime] = deque()

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `GET orders` or `PUT orders/{id}`."""
        return Call(request).name

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what is asked and answer it, or say no in WordPress's words."""
        if self._is_over_limit():
            return self.throttled(1)
        try:
            answer = self._answer(Call(request))
        except Declined as refusal:
            answer = response(refusal.status, refusal.body)
        answer.headers.setdefault("Link", f'<{self.home}/wp-json/>; rel="https://api.w.org/"')
        return headless(answer) if request.method == "HEAD" else answer

    def stale(self, request: httpx.Request) -> httpx.Response:
        """Answer a read of orders and products from each one's former version."""
        if request.method not in ("GET", "HEAD"):
            return self.answer(request)
        orders, products = self.shelf, self.products
        goods, variations = products.goods, products.variations
        self.shelf = orders.stale()
        products.goods, products.variations = goods.stale(), variations.stale()
        try:
            return self.answer(request)
        finally:
            self.shelf, products.goods, products.variations = orders, goods, variations

    def _answer(self, call: Call) -> httpx.Response:
        action = ACTIONS.get((call.method, call.route))
        if action is None:
            message = "No route was found matching the URL and request method."
            raise Declined(404, "rest_no_route", message)
        if call.route != "index":
            self._sign_in(call)
        answer = action(self, call)
        answer.headers["Allow"] = THING if call.route.endswith("{id}") else COLLECTION
        if call.route != "index":
            answer.headers["Cache-Control"] = PRIVATE
        return answer

    def _sign_in(self, call: Call) -> None:
        """Check key and secret; an unknown key is treated as none at all."""
        key, secret = credentials(call)
        if key != self.key or (self.needs_tls and call.request.url.scheme != "https"):
            raise no_rights(call)
        code = "woocommerce_rest_authentication_error"
        if secret != self.secret:
            raise Declined(401, code, "Consumer secret is invalid.")
        if self.read_only and call.method != "GET":
            raise Declined(401, code, "The API key provided does not have write permissions.")

    def _is_over_limit(self) -> bool:
        """The limit of a host in front of the store; the store itself has none."""
        if self.calls_per_second is None:
            return False
        now = self.now()
        while self._recent and (now - self._recent[0]).total_seconds() >= 1:
            self._recent.popleft()
        if len(self._recent) >= self.calls_per_second:
            return True
        self._recent.append(now)
        return False
