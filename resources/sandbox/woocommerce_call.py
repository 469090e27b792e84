"""One REST call to a WooCommerce stand-in, taken apart as WordPress does, and the form of answers.

What a call does is not here.
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import httpx

from resources.sandbox.woocommerce_query import API
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_till import Doc

LIST_SUFFIX = re.compile(r"\[\d*\]$")
JSON = "application/json; charset=UTF-8"
#: What the store says to someone without rights, by method and whether one thing is asked for.
NO_RIGHTS = {
    ("GET", False): ("view", "Sorry, you cannot list resources."),
    ("GET", True): ("view", "Sorry, you cannot view this resource."),
    ("POST", False): ("create", "Sorry, you are not allowed to create resources."),
    ("PUT", True): ("edit", "Sorry, you are not allowed to edit this resource."),
    ("DELETE", True): ("delete", "Sorry, you are not allowed to delete this resource."),
}


class Call:
    """One request, taken apart: method as the store understands it, parameters, body, ids."""

    def __init__(self, request: httpx.Request) -> None:
        self.request = request
        self.path = request.url.path.rstrip("/")
        self.query = _query(request)
        self.method, self.route = self._method(), ""
        self.ids: tuple[int, ...] = ()
        for name, pattern in ROUTES.items():
            found = pattern.fullmatch(self.path)
            if found:
                self.route = name
                self.ids = tuple(map(int, found.groups()))
        if self.method == "POST" and self.route.endswith("{id}"):
            self.method = "PUT"

    @property
    def name(self) -> str:
        """The operation, as in `GET orders/{id}`."""
        return f"{self.method} {self.route or self.path}"

    def body(self) -> Doc:
        """The fields sent; WordPress reads JSON and forms, and overlooks anything else."""
        kind = self.request.headers.get("Content-Type", "")
        text = self.request.content
        if "json" not in kind:
            return dict(parse_qsl(text.decode())) if "form" in kind else {}
        try:
            found = json.loads(text or b"{}", parse_float=Decimal)
        except ValueError as fault:
            detail = {"json_error_code": 4, "json_error_message": "Syntax error"}
            data = {"status": 400, **detail}
            raise Declined(400, "rest_invalid_json", "Invalid JSON body passed.", data) from fault
        return found if isinstance(found, dict) else {}

    def _method(self) -> str:
        method = self.request.method
        if method == "POST":
            method = self.query.get("_method", method).upper()
        return {"PATCH": "PUT", "HEAD": "GET"}.get(method, method)


ROUTES = {
    name: re.compile(re.escape(f"{API}/{name}").replace(r"\{id\}", r"(\d+)"))
    for name in (
        *("orders", "orders/{id}", "orders/{id}/notes", "orders/{id}/notes/{id}"),
        *("orders/{id}/refunds", "orders/{id}/refunds/{id}", "customers", "customers/{id}"),
        *("orders/{id}/fulfillments", "orders/{id}/fulfillments/{id}"),
        *("products", "products/{id}", "products/batch", "products/{id}/variations"),
        *("products/{id}/variations/{id}", "products/{id}/variations/batch", "variations"),
        *("products/categories", "products/categories/{id}", "products/tags"),
        *("products/tags/{id}", "taxes/classes", "webhooks", "webhooks/{id}"),
    )
} | {"index": re.compile("/wp-json")}


def _query(request: httpx.Request) -> dict[str, str]:
    """The parameters; lists come as `status[]=` or `status[0]=` as well as with commas."""
    query: dict[str, str] = {}
    for name, value in request.url.params.multi_items():
        plain = LIST_SUFFIX.sub("", name)
        is_more = plain != name and plain in query
        query[plain] = f"{query[plain]},{value}" if is_more else value
    return query


def credentials(call: Call) -> tuple[str, str]:
    """Key and secret, from Basic auth or the query."""
    scheme, _, coded = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return call.query.get("consumer_key", ""), call.query.get("consumer_secret", "")
    try:
        key, _, secret = b64decode(coded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return key, secret


def no_rights(call: Call) -> Declined:
    """What the store says to someone whose key it does not know."""
    word, message = NO_RIGHTS[call.method, call.route.endswith("{id}")]
    return Declined(401, f"woocommerce_rest_cannot_{word}", message)


def response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """An answer with a body that is JSON text already, or still to be written."""
    text = body if isinstance(body, str) else rendered(body)
    return httpx.Response(status, headers={"Content-Type": JSON, **(headers or {})}, text=text)


def headless(answer: httpx.Response) -> httpx.Response:
    """The same answer without its body, as HEAD wants it."""
    kept = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
    return httpx.Response(answer.status_code, headers=kept)


def rendered(value: Any) -> str:
    """JSON as PHP writes it: no blanks, slashes and letters beyond ASCII escaped."""
    return json.dumps(value, separators=(",", ":"), default=float).replace("/", "\\/")
