"""A small world for tests: two shops, an ERP, our database and a clock that moves when told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from resources import settings
from resources.sandbox import deployment as sandbox
from resources.sandbox.odoo import OdooStandIn
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.sandbox.woocommerce_shelf import packed
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.catalog import mapping as item_mapping
from sync_assets.catalog import reading as item_reading
from sync_assets.orders import mapping, planning, reading, sending, settling

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
#: name: currency, time zone, company, warehouse, rate code, percent, ERP tax, gross prices
STORES: dict[str, tuple[str, str, str, str, str, str, str, bool]] = {
    "us": (
        "USD",
        "America/New_York",
        "Acme US Inc",
        "US1",
        "US-CA-SALES-1",
        "7.25",
        "US Sales Tax 7.25%",
        False,
    ),
    "uk": (
        "GBP",
        "Europe/London",
        "Acme UK Ltd",
        "UK1",
        "GB-VAT-1",
        "20",
        "UK VAT 20%",
        True,
    ),
}
SKUS = {"TEA": "9.90", "MUG": "12.00", "POT": "31.50"}
BILLING = {
    "first_name": "Ada",
    "last_name": "Byron",
    "company": "",
    "address_1": "1 Test Street",
    "address_2": "",
    "city": "Testville",
    "state": "CA",
    "postcode": "90001",
    "country": "US",
    "email": "ada@example.com",
    "phone": "",
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **step: float) -> None:
        """Let time pass."""
        self.at += timedelta(**step)


def spoil(engine: Engine, statement: str) -> int:
    """Change what triggers guard, as somebody with every right could; answers how many rows."""
    with connected(engine) as connection:
        connection.exec_driver_sql("set local session_replication_role = replica")
        return connection.exec_driver_sql(statement).rowcount


@dataclass
class World:
    """Everything one test needs, with its steps as plain calls."""

    systems: Systems
    clock: Clock
    shops: dict[str, WooCommerceStandIn]
    erp: OdooStandIn
    rates: dict[str, int] = field(default_factory=dict)

    def place(
        self, store: str = "us", *, lines: Mapping[str, int] | None = None, **more: Any
    ) -> int:
        """Place one paid order of some units by SKU."""
        basket = lines or {"TEA": 2, "MUG": 1}
        order = {
            "line_items": [
                {
                    "sku": sku,
                    "name": sku.title(),
                    "quantity": units,
                    "subtotal": Decimal(SKUS.get(sku, "5.00")) * units,
                    "total": Decimal(SKUS.get(sku, "5.00")) * units,
                }
                for sku, units in basket.items()
            ],
            "billing": BILLING,
            "status": "processing",
            "placed_at": self.clock(),
            **more,
        }
        return self.shops[store].place(order)

    def shown(self, store: str, order_id: int) -> str:
        """The very text a shop shows for an order."""
        return self.shops[store].shelf.entries[order_id].text

    def show(self, store: str, order_id: int, text: str) -> None:
        """Let a shop show other text for an order; what it knows of the order stays."""
        shelf = self.shops[store].shelf
        shelf.put(replace(shelf.entries[order_id], packed=packed(text)))

    def read(self) -> None:
        """Read items and orders."""
        for erp in self.systems.settings.erps:
            item_reading.items(self.systems, erp, "run")
        for store in self.shops:
            reading.changed_orders(self.systems, store, "run")

    def core(self) -> None:
        """Map what was read."""
        item_mapping.items(self.systems, "odoo", "run")
        mapping.orders(self.systems, "run")

    def plan(self) -> None:
        """Validate and plan."""
        planning.hold(self.systems, "run")
        planning.plan(self.systems, "odoo", "run")

    def send(self) -> settling.Sent:
        """Send what is due."""
        return sending.send(self.systems, "odoo", "odoo", "run")

    @property
    def steps(self) -> list[Callable[[], Any]]:
        """The steps of one run, in order."""
        return [self.read, self.core, self.plan, self.send]

    def run(self) -> None:
        """Do one whole run; a minute later the next one is due."""
        self.clock.forward(seconds=2)  # what changed this very second is read the next time
        for step in self.steps:
            step()
        self.clock.forward(minutes=1)

    def run_until_quiet(self, most: int = 12) -> None:
        """Run, with time passing, until nothing waits to be sent."""
        for _ in range(most):
            self.run()
            if not self.rows("select id from ops.outbox where state not in ('done', 'refused')"):
                return
            self.clock.forward(minutes=10)

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of our database."""
        with connected(self.systems.engine) as connection:
            return read_rows(connection, query, **values)

    def execute(self, statement: str, **values: Any) -> int:
        """Change our database by hand; answers how many rows."""
        with connected(self.systems.engine) as connection:
            return connection.execute(text(statement), values).rowcount

    def outbox(self) -> dict[str, str]:
        """State of every write by thing."""
        return {row["thing_ref"]: row["state"] for row in self.rows("select * from ops.outbox")}

    def open_codes(self, subject: str) -> set[str]:
        """Codes of the open exceptions of one subject."""
        query = "select code from ops.exception where state = 'open' and subject_ref = :s"
        return {row["code"] for row in self.rows(query, s=subject)}

    def in_erp(self) -> dict[str, list[dict[str, Any]]]:
        """The ERP's orders by our key, as the ERP itself sees them."""
        return self.erp.orders_by_ref()


def deployment() -> settings.Settings:
    """The configuration of the small world."""
    stores = {
        name: sandbox.store(
            f"https://{name}.test",
            company=company,
            warehouse=warehouse,
            currency=currency,
            taxes={code: tax},
            lag_seconds=0,
        )
        for name, (currency, _, company, warehouse, code, _, tax, _) in STORES.items()
    }
    erp = sandbox.odoo("https://odoo.test", batch=10)
    return settings.parse(
        {"stores": stores, "erps": {"odoo": erp}, "backfill_from": "2026-01-01T00:00:00+00:00"}
    )


def small_world(engine: Engine, version: int = 18) -> World:
    """Two shops and an ERP that knows what they sell."""
    clock = Clock()
    shops, rates = {}, {}
    erp = OdooStandIn(
        version=version,
        now=clock,
        companies=[(company, currency) for currency, _, company, *_ in STORES.values()],
    )
    for name, (currency, zone, company, warehouse, code, percent, tax, gross) in STORES.items():
        shops[name] = WooCommerceStandIn(
            name, currency=currency, timezone=zone, now=clock, prices_include_tax=gross
        )
        rates[name] = shops[name].tax_rate(code, Decimal(percent), "Tax")
        erp.add_warehouse(company, warehouse)
        erp.add_tax(company, tax, Decimal(percent), price_include=gross)
    stock = {"US1": Decimal(1000), "UK1": Decimal(1000)}
    for sku, price in SKUS.items():
        erp.add_product(sku, sku.title(), Decimal(price), stock)
    for code in ("SHIPPING", "FEE", "ROUNDING"):
        erp.add_product(code, code.title(), Decimal(), None)
    transports = {name: one.transport() for name, one in {**shops, "odoo": erp}.items()}
    systems = Systems(
        deployment(), engine, now=clock, transports=transports, sleep=lambda seconds: None
    )
    return World(systems, clock, shops, erp, rates)
