"""A real Tryton server with goods on its shelves, a wire that can break, and short ways to look
into it; for the tests beside, which skip where no server is prepared.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

import sync_assets.mappers.tryton as mapper
import sync_assets.mappers.tryton_logistics as logistics
from resources import http, settings
from resources.store import postgres
from resources.systems.tryton import Tryton
from sync_assets.domain.fulfilment import Delivery, DeliveryLine
from sync_assets.domain.sales import Address, Party, SalesLine, SalesOrder
from sync_assets.ops import tryton_seed, tryton_server
from sync_assets.ops.tryton_server import PgPlace, TrytonServer

D = Decimal
HOW = "`make test-tryton` or `sync-assets demo --erp tryton` prepares it"
PLACES = {"us": "US1", "uk": "UK1", "eu": "EU1"}
TAX = "DE VAT 19%"
APART = "EU1-QUA"
STOCK = 1000


class Killed(Exception):
    """The process died after a call, before it could read the answer."""


class Wire(httpx.BaseTransport):
    """The real network; after a given number of calls that change something it kills us."""

    def __init__(self) -> None:
        self.inner = httpx.HTTPTransport(trust_env=False)
        self.left: int | None = None
        self.methods: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        response.read()
        if not request.extensions["safe"]:
            self.methods.append(json.loads(request.content)["method"])
            if self.left is not None:
                self.left -= 1
                if self.left == 0:
                    self.left = None
                    raise Killed(self.methods[-1])
        return response

    def close(self) -> None:
        self.inner.close()


@dataclass
class House:
    """One server, our client of it, and what is on its shelves."""

    server: TrytonServer
    erp: Tryton
    wire: Wire
    items: dict[str, int]
    made: int = 0

    def order(self, store: str = "eu", **lines: tuple[int, str]) -> tuple[str, int]:
        """Confirm an order of units and net amounts by SKU ("SKU_1" is "SKU-1")."""
        self.made += 1
        document = self._document(f"{store}:{self.made}", store, lines or {"SKU_1": (3, "30.00")})
        refs = self.erp.references()
        ids = self.erp.put_parties(mapper.parties(document, refs))
        parties = {key: found for key, found in ids.items() if isinstance(found, int)}
        found = self.erp.put_orders([mapper.order(document, refs, parties)])[document.key]
        assert isinstance(found, int)
        assert self.erp.confirm([found]) == {}
        return document.key, found

    def _document(self, key: str, store: str, lines: dict[str, tuple[int, str]]) -> SalesOrder:
        home = Address(name="Zoë Beispiel", street="Musterweg 1", city="Ort", country="DE")
        party = Party(key=f"{store}:customer:5", address=home)
        return SalesOrder(
            key=key,
            store=store,
            order_id=key.partition(":")[2],
            number=key.partition(":")[2],
            placed_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
            currency=tryton_seed.WEB_SHOPS[store],
            company=tryton_seed.COMPANY,
            warehouse=PLACES[store],
            web_shop=store,
            party=party,
            ship_to=party,
            lines=tuple(
                self._line(key, name.replace("_", "-"), *what) for name, what in lines.items()
            ),
            total_amount=D(),
        )

    def _line(self, key: str, sku: str, units: int, net: str) -> SalesLine:
        return SalesLine(
            key=f"{key}:{sku}",
            kind="product",
            item=sku,
            item_id=self.items[sku],
            description=f"Thing {sku}",
            quantity=D(units),
            net_amount=D(net),
            tax_amount=D(),
            taxes=(TAX,),
        )

    def left(self, key: str, order: int, shipment: str, **how: Any) -> dict[str, Any]:
        """A delivery of ours in Tryton's words; `units` by SKU, and whatever else it is to say."""
        units = how.pop("units", {"SKU-1": 3})
        lines = tuple(DeliveryLine(key=f"{key}:{s}", sku=s, units=n) for s, n in units.items())
        said = {"shipped_at": datetime.now(UTC), "lines": lines, **how}
        document = Delivery(key=f"{shipment}/{key}", order_ref=key, order_id=order, **said)
        return logistics.delivery(document)

    def shipped(self, key: str, order: int, **units: int) -> None:
        """Post all of an order as one delivery that has left."""
        told = {sku.replace("_", "-"): count for sku, count in units.items()} or {"SKU-1": 3}
        assert self.erp.put_deliveries([self.left(key, order, "north:0", units=told)]) == {}

    def shipments(self, order: int) -> list[tuple[str | None, str, dict[str, int]]]:
        """Reference, state and units of each delivery of an order."""
        found = []
        for raw in self.erp.shipments_of([order]):
            units: Counter[str] = Counter()
            for move in raw.body["moves"]:  # type: ignore[union-attr]
                units[move["sku"]] += move["units"]
            body = raw.body  # type: ignore[union-attr]
            found.append((body["reference"], body["state"], dict(units)))
        return found

    def on_hand(self, sku: str, warehouse: str = "EU1") -> Decimal:
        """What is there of an item, places kept apart included."""
        (page,) = self.erp.stock_levels([warehouse], [self.items[sku]])
        return D(page[0]["on_hand"])

    def apart(self, sku: str) -> Decimal:
        """What is kept apart of an item."""
        (page,) = self.erp.stock_levels(["EU1"], [self.items[sku]])
        return D(page[0]["quarantined"])

    def sale(self, order: int) -> dict[str, Any]:
        """States of a sale, and what stands behind it."""
        fields = ("state", "shipment_state", "invoice_state", "invoices", "shipment_returns")
        return self.erp.rpc.search("sale.sale", [["id", "=", order]], fields)[0]

    def killed_after(self, writes: int) -> None:
        """Let the process die after this many more calls that change something."""
        self.wire.left = writes


@contextmanager
def running_house() -> Iterator[House]:
    """A server of its own with three items in stock and a place to keep goods apart."""
    cache = settings.home() / "tryton"
    if not tryton_server.is_installed(cache):
        pytest.skip(f"no Tryton is installed; {HOW}")
    databases = postgres.find(settings.home())
    place = PgPlace.at(databases.text(databases.store))
    if not tryton_server.is_prepared(cache, place):
        pytest.skip(f"Tryton's template database is missing; {HOW}")
    with tryton_server.running(cache, place, lambda line: None) as server:
        server.seed_items([(f"SKU-{n}", f"Thing {n}", D("10.00")) for n in range(1, 4)])
        server.seed_stock(STOCK)
        _add_place(server)
        wire = Wire()
        with http.client("tryton", server.url, transport=wire) as client:
            yield House(server, _signed_in(server, client), wire, _items(server, client))


def _add_place(server: TrytonServer) -> None:
    with server._admin() as admin:
        (house,) = admin.search("stock.location", [["code", "=", "EU1"]], ("code",))
        place = {"name": "Kept apart", "code": APART, "type": "storage", "parent": house["id"]}
        admin.write("model.stock.location.create", [place])


def _signed_in(server: TrytonServer, client: httpx.Client) -> Tryton:
    where = (server.database, server.login, server.password)
    return Tryton(client, *where, quarantine_places=(APART,))


def _items(server: TrytonServer, client: httpx.Client) -> dict[str, int]:
    rows = [mapper.item(row) for page in _signed_in(server, client).items() for row in page]
    return {row["sku"]: row["item_id"] for row in rows}
