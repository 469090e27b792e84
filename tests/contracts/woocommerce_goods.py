"""A small hand-written shop of products for tests of the client: it answers lists, batches and the
trash as WooCommerce was recorded to, and lets things go wrong between two requests.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from resources.http import Manners, client
from resources.systems.woocommerce import WooCommerce

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
API = "/wp-json/wc/v3/"
NO_ROUTE = {"code": "rest_no_route", "message": "No route.", "data": {"status": 404}}
INVALID = {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID."}
ELSEWHERE = {"code": "woocommerce_rest_invalid_product_id", "message": "Use the variations."}

Row = dict[str, Any]
Answer = tuple[int, Any]


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def gmt(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


@dataclass
class Goods:
    """Products and variations by id. `lists_variations` is false for shops before 10.3."""

    rows: dict[int, Row] = field(default_factory=dict)
    lists_variations: bool = True
    between: dict[int, Callable[[], None]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    #: What a batch says instead of what it did.
    instead: Callable[[Any], httpx.Response] | None = None

    def put(self, key: int, second: int = 0, **said: Any) -> Row:
        """Create or change a product; with `parent_id` it is a variation, and bumps its parent."""
        parent = said.get("parent_id") or self.rows.get(key, {}).get("parent_id") or 0
        kind = "variation" if parent else "simple"
        blank = {"id": key, "sku": "", "status": "publish", "type": kind, "parent_id": 0}
        stamp = {"date_modified_gmt": gmt(at(second))}
        self.rows[key] = blank | self.rows.get(key, {}) | said | stamp
        if parent in self.rows:
            self.rows[parent] |= stamp
        return self.rows[key]

    def paths(self, *methods: str) -> list[str]:
        """Where the shop was asked, by method."""
        return [path for method, path, _, _ in self.asked if method in methods]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, params = request.url.path.removeprefix(API), dict(request.url.params)
        body = json.loads(request.content, parse_float=Decimal) if request.content else None
        self.asked.append((request.method, path, params, body))
        answer = self._answer(request.method, path.split("/"), params, body)
        self.between.pop(len(self.asked), lambda: None)()
        return answer

    def _answer(
        self, method: str, parts: list[str], asked: dict[str, str], body: Any
    ) -> httpx.Response:
        if parts[-1] == "batch":
            parent = int(parts[1]) if len(parts) == 4 else 0
            said = self._batch(body, parent)
            return self.instead(said) if self.instead else httpx.Response(200, json=said)
        if parts[-1].isdecimal():
            status, one = self._one(method, int(parts[-1]), below=len(parts) == 4)
            return httpx.Response(status, json=one)
        if parts == ["variations"] and not self.lists_variations:
            return httpx.Response(404, json=NO_ROUTE)
        parent = int(parts[1]) if len(parts) == 3 else None
        return self._list(parts[-1], parent, asked)

    def _list(self, kind: str, parent: int | None, asked: dict[str, str]) -> httpx.Response:
        found = [row for row in self.rows.values() if _is_wanted(row, kind, parent, asked)]
        found.sort(key=_order(asked))
        size, page = int(asked["per_page"]), int(asked.get("page", 1))
        cut = found[(page - 1) * size : page * size]
        if fields := asked.get("_fields"):
            cut = [{k: row[k] for k in fields.split(",") if k in row} for row in cut]
        return httpx.Response(200, json=cut, headers={"X-WP-Total": str(len(found))})

    def _one(self, method: str, key: int, *, below: bool) -> Answer:
        row = self.rows.get(key)
        if row is None:
            return 404, INVALID
        if method == "DELETE":
            if row["parent_id"] and not below:
                return 404, ELSEWHERE
            if row["status"] == "trash":
                return 410, {"code": "woocommerce_rest_already_trashed", "message": "Gone."}
            row["status"] = "trash"
        return 200, row

    def _batch(self, body: Row, parent: int) -> Row:
        return {
            "create": [self._create(item, parent) for item in body.get("create", [])],
            "update": [self._update(item, parent) for item in body.get("update", [])],
        }

    def _create(self, item: Row, parent: int) -> Row:
        owner = self._owner(item["sku"])
        if owner and owner["status"] == "trash":
            code = "woocommerce_rest_product_not_created"
            return _error(0, code, 400)
        if owner:
            return _error(0, "product_invalid_sku", 400, resource_id=owner["id"])
        return self.put(max(self.rows, default=100) + 1, **item, parent_id=parent)

    def _update(self, item: Row, parent: int) -> Row:
        row = self.rows.get(item["id"])
        if row is None:
            return _error(item["id"], "woocommerce_rest_product_invalid_id", 400)
        if row["parent_id"] != parent:
            return _error(item["id"], "woocommerce_rest_invalid_product_id", 404)
        return self.put(item["id"], **{k: v for k, v in item.items() if k != "id"})

    def _owner(self, sku: str) -> Row | None:
        same = [row for row in self.rows.values() if row["sku"].lower() == sku.lower()]
        return same[0] if same else None


def _error(key: int, code: str, status: int, **data: Any) -> Row:
    return {
        "id": key,
        "error": {"code": code, "message": "No.", "data": {"status": status} | data},
    }


def _is_wanted(row: Row, kind: str, parent: int | None, asked: dict[str, str]) -> bool:
    is_variation = bool(row["parent_id"])
    if "sku" in asked:
        if row["sku"].lower() not in asked["sku"].lower().split(","):
            return False
    elif is_variation != (kind == "variations") or parent not in (None, row["parent_id"]):
        return False
    if (row["status"] == "trash") != (asked.get("status") == "trash"):
        return False
    if "include" in asked and str(row["id"]) not in asked["include"].split(","):
        return False
    if asked.get("type", row["type"]) != row["type"]:
        return False
    lower, upper = asked.get("modified_after", ""), asked.get("modified_before", "9")
    return bool(lower < row["date_modified_gmt"] < upper)


def _order(asked: dict[str, str]) -> Callable[[Row], Any]:
    if asked.get("orderby") == "modified":
        return lambda row: (row["date_modified_gmt"], row["id"])
    return lambda row: row["id"]


def connected(shop: Callable[[httpx.Request], httpx.Response], per_page: int = 3) -> WooCommerce:
    """A client of the shop that reads small pages."""
    http = client(
        "us",
        "https://shop.test",
        Manners(attempts=1),
        auth=("ck", "cs"),
        transport=httpx.MockTransport(shop),
        sleep=lambda _: None,
    )
    woo = WooCommerce(http, "us")
    woo.per_page = per_page
    return woo
