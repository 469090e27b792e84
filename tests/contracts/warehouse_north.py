"""A warehouse over HTTP for tests: the stand-in, our client of it, and a request to ship."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

import sync_assets.mappers.warehouse_http as mapper
from resources.http import Manners, client
from resources.pages import Broken, Raw
from resources.sandbox.warehouse import WarehouseStandIn
from resources.systems.warehouse_http import WarehouseHttp
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenShipment

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY, OTHER = "us:1042:f1", "us:1043:f1"
OVERLAP = timedelta(minutes=5)


class Clock:
    """A clock that moves one minute for each look at it."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


def standin(**how: Any) -> WarehouseStandIn:
    return WarehouseStandIn(now=Clock(), **how)


def connected(
    there: WarehouseStandIn | httpx.MockTransport, token: str = "token", attempts: int = 1
) -> WarehouseHttp:
    http = client(
        "north",
        "https://3pl.test/api",
        Manners(attempts=attempts),
        headers={"Authorization": f"Bearer {token}"},
        transport=under_api(there) if isinstance(there, WarehouseStandIn) else there,
        sleep=lambda _: None,
    )
    return WarehouseHttp(http, "north")


def under_api(there: WarehouseStandIn) -> httpx.MockTransport:
    """The stand-in as it stands below a path of its server."""

    def handle(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.removeprefix(b"/api")
        url = request.url.copy_with(raw_path=path)
        return there.handle(
            httpx.Request(request.method, url, headers=request.headers, content=request.content)
        )

    return httpx.MockTransport(handle)


def says(content: Any, status: int = 200) -> WarehouseHttp:
    """A warehouse with one answer to everything."""
    body = content if isinstance(content, str | bytes) else json.dumps(content)
    return connected(httpx.MockTransport(lambda _: httpx.Response(status, content=body)))


def asked_for(key: str = KEY, version: int = 1, **changes: Any) -> dict[str, Any]:
    """The payload of a request for two of SKU-1 and one of SKU-2."""
    order = key.rpartition(":")[0]
    lines = [(f"{order}:product:1", "SKU-1", 2), (f"{order}:product:2", "SKU-2", 1)]
    document = FulfilmentOrder(
        **{
            "key": key,
            "order_ref": order,
            "store": "us",
            "order_number": order.rpartition(":")[2],
            "warehouse": "EAST",
            "placed_at": NOON,
            "currency": "USD",
            "ship_to": Address(name="Ada", street="1 Demo Way", city="Chicago", country="US"),
            "lines": tuple(
                FulfilmentLine(key=k, sku=s, description=s, units=n, unit_amount=Decimal("11.00"))
                for k, s, n in lines
            ),
        }
        | changes
    )
    return mapper.fulfilment_order(document, version)


def held(north: WarehouseHttp, key: str = KEY) -> tuple[str, dict[str, int] | None]:
    """State and units of what the warehouse holds."""
    seen = mapper.seen(north.fulfilments([key])[key])
    return seen.state, None if seen.units is None else dict(seen.units)


def changes(north: WarehouseHttp, since: datetime = NOON) -> list[SeenShipment]:
    pages = north.shipments_changed_since(since, OVERLAP)
    return [mapper.shipment(one.body) for page in pages for one in page if isinstance(one, Raw)]


def ids(pages: Iterable[list[Raw | Broken]]) -> list[list[str | None]]:
    return [[one.resource_id for one in page] for page in pages]
