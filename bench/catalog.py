"""First push and no-change push of a catalog from the stand-in ERP to a stand-in shop.

    python bench/catalog.py [--products 20000] [--json]

One process, the stand-ins behind it without a network, Postgres as configured. Ten per cent of the
products are variations, five per cent kits. A no-change push must send no write at all.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from resources import settings
from resources.sandbox import deployment
from resources.sandbox.odoo import OdooStandIn
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.store import postgres
from resources.store.engine import connected, engine_for
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.catalog import mapping, planning, reading, sending, sku_problems
from sync_assets.ops import host

STORE, WRITES = "us", ("POST", "PUT", "PATCH", "DELETE")
FAMILY = 5


def main() -> None:
    """Measure and tell."""
    wanted = _arguments()
    shop, erp = _shop(), _erp(wanted.products)
    said = settings.parse(
        {
            "stores": {
                STORE: deployment.store(
                    "https://us.test",
                    company="Acme US Inc",
                    warehouse="US1",
                    currency="USD",
                    taxes={},
                    lag_seconds=0,
                )
            },
            "erps": {"odoo": deployment.odoo("https://odoo.test")},
        }
    )
    transports = {STORE: shop.transport(), "odoo": erp.transport()}
    systems = Systems(said, engine_for(_database()), transports=transports)
    first, no_change = _Push(systems, shop), _Push(systems, shop)
    first.run()
    no_change.run()
    result = {
        "products": wanted.products,
        "listed": _count(systems, "select count(*) as n from core.listings"),
        "first_push_requests": first.requests,
        "first_push_writes": first.writes,
        "first_push_seconds": round(sum(first.seconds.values()), 1),
        "no_change_requests": no_change.requests,
        "no_change_writes": no_change.writes,
        "no_change_seconds": round(sum(no_change.seconds.values()), 1),
        "parked": _count(
            systems, "select count(*) as n from ops.outbox where state not in ('done', 'refused')"
        ),
        "first_seconds": {name: round(value, 1) for name, value in first.seconds.items()},
        "no_change_by_step": {name: round(value, 1) for name, value in no_change.seconds.items()},
        "peak_mib": round(_peak_mib()),
    }
    systems.engine.dispose()
    sys.stdout.write(json.dumps(result, indent=None if wanted.json else 2) + "\n")


class _Push:
    """One push from ERP to shop, measured."""

    def __init__(self, systems: Systems, shop: WooCommerceStandIn) -> None:
        self.systems, self.shop = systems, shop
        self.seconds: dict[str, float] = {}
        self.requests = self.writes = 0

    def run(self) -> None:
        """Read, map, judge, plan and send."""
        before = dict(self.shop.calls)
        run = self.systems
        self._timed("items", lambda: reading.items(run, "odoo", "bench"))
        self._timed("shop", self._read_shop)
        self._timed("core", lambda: mapping.items(run, "odoo", "bench"))
        self._timed("listings", lambda: mapping.listings(run, "bench"))
        self._timed("skus", lambda: sku_problems.judge(run, "bench"))
        self._timed("plan", lambda: planning.plan(run, STORE, "bench"))
        self._timed("receipt", lambda: sending.send(run, STORE, "bench"))
        made = {name: n - before.get(name, 0) for name, n in self.shop.calls.items()}
        self.requests = sum(made.values())
        self.writes = sum(n for name, n in made.items() if name.split()[0] in WRITES)

    def _read_shop(self) -> None:
        for stream in ("products", "variations"):
            reading.shop_things(self.systems, STORE, stream, "bench")

    def _timed(self, name: str, step: Callable[[], Any]) -> None:
        began = time.perf_counter()
        step()
        self.seconds[name] = time.perf_counter() - began


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


def _shop() -> WooCommerceStandIn:
    return WooCommerceStandIn(STORE, now=_now)


def _erp(number: int) -> OdooStandIn:
    erp = OdooStandIn(now=_now, companies=[("Acme US Inc", "USD")])
    erp.add_warehouse("Acme US Inc", "US1")
    families, kits = number // 10 // FAMILY, number // 20
    simple = number - families * FAMILY - kits
    stock = {"US1": Decimal(100)}
    erp.add_products((f"P-{n:06}", f"Product {n}", _price(n), stock) for n in range(simple))
    for n in range(families):
        variants = {f"F-{n:05}-{size}": {"Size": str(size)} for size in range(FAMILY)}
        erp.add_variants(f"Family {n}", _price(n), variants, dict.fromkeys(variants, stock))
    for n in range(kits):
        erp.add_kit(f"K-{n:05}", f"Kit {n}", _price(n), {"P-000000": 1, "P-000001": 2})
    return erp


def _price(number: int) -> Decimal:
    return Decimal(500 + number % 9500) / 100


def _count(systems: Systems, query: str) -> int:
    with connected(systems.engine) as connection:
        return int(read_rows(connection, query)[0]["n"])


def _database() -> postgres.Databases:
    found = postgres.find(settings.home())
    postgres.drop_database(found, f"{found.store.database}_bench")
    return host.databases("_bench")


def _now() -> datetime:
    return datetime.now(UTC)


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if os.uname().sysname == "Linux" else 1024 * 1024)


if __name__ == "__main__":
    main()
