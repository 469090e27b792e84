"""A stand-in shop set up like the recorded one, and ways to put recorded requests to it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.sandbox.woocommerce import WooCommerceStandIn

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
RECORDED_HOME = "https://127.0.0.1:8443"
API = "/wp-json/wc/v3"
NOON = datetime(2026, 11, 20, 18, 20, 42, tzinfo=UTC)
THERE = {"country": "US", "state": "NY"}

Entry = dict[str, Any]


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def at(self, stamp: str) -> None:
        self.now = datetime.fromisoformat(stamp.removesuffix("Z")).replace(tzinfo=UTC)

    def tick(self, seconds: float = 1) -> None:
        self.now += timedelta(seconds=seconds)


def recorded(name: str) -> list[Entry]:
    path = SHARED / "contracts" / "woocommerce" / "transcripts" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"the recording {name} is not beside the project")
    entries: list[Entry] = json.loads(path.read_text(), parse_float=Decimal)
    return entries


def calls(name: str) -> list[Entry]:
    return [entry for entry in recorded(name) if entry.get("request")]


def store(clock: Clock | None = None, **options: Any) -> WooCommerceStandIn:
    """A shop with the recorded one's taxes and its two probe products."""
    shop = WooCommerceStandIn("us", now=clock or Clock(), **options)
    shop.tax_rate("US-NY-NY TAX-1", "8.875", "NY Tax", country="US", state="NY")
    shop.tax_rate("US-CA-CA TAX-1", "7.25", "CA Tax", country="US", state="CA")
    shop.add_product("ORD-A", "Probe ORD-A", "19.99")
    shop.add_product("ORD-B", "Probe ORD-B", "7.33")
    return shop


def client(shop: WooCommerceStandIn, **options: Any) -> httpx.Client:
    options = {"auth": ("ck_test", "cs_test"), "base_url": shop.home, **options}
    return httpx.Client(transport=shop.transport(), **options)


def get(shop: WooCommerceStandIn, path: str, **params: Any) -> httpx.Response:
    return client(shop).get(f"{API}/{path}", params=params)


def basket(**fields: Any) -> Entry:
    line = {"sku": "ORD-A", "name": "Probe ORD-A", "quantity": 2, "subtotal": "39.98"}
    return {"line_items": [line], "shipping": THERE, **fields}


def listed(shop: WooCommerceStandIn, **params: Any) -> list[int]:
    return [row["id"] for row in get(shop, "orders", per_page=100, **params).json()]


def replay(shop: WooCommerceStandIn, entry: Entry, swap: Mapping[int, int]) -> httpx.Response:
    """Send a recorded request with its ids replaced by ours."""
    asked = entry["request"]
    path, body = asked["path"], json.dumps(asked["body"], default=float)
    text = asked["body"] if isinstance(asked["body"], str) else body
    for old, new in swap.items():
        path, text = path.replace(str(old), str(new)), text.replace(str(old), str(new))
    headers = {k: v for k, v in asked["headers"].items() if k != "Authorization"}
    has_body = asked["body"] is not None
    params = {name: str(value) for name, value in asked["query"].items()}
    return client(shop).request(
        asked["method"],
        path,
        params=params,
        headers=headers,
        content=text if has_body else None,
    )
