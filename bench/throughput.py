"""Orders per second through raw → core and plan → receipt, and the memory it takes.

    python bench/throughput.py [--orders 2500] [--profile] [--json]

One process, the stand-ins behind it without a network, Postgres as configured. Times are for
comparison within one machine.
"""

import argparse
import cProfile
import json
import os
import pstats
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from resources import settings
from resources.sandbox import baskets, deployment, world
from resources.sandbox.shop_order import STORES
from resources.store import postgres
from resources.store.engine import engine_for
from resources.wiring import Systems
from sync_assets.catalog import mapping as item_mapping
from sync_assets.catalog import reading as item_reading
from sync_assets.ops import host
from sync_assets.orders import mapping, planning, reading, sending


def main() -> None:
    """Measure and tell."""
    wanted = _arguments()
    place = _database()
    built = world.build(islice(baskets.orders(wanted.orders), wanted.orders), _now)
    transports = {name: one.transport() for name, one in built.standins().items()}
    urls = {name: f"http://{name}.test" for name in transports}
    said = settings.parse(deployment.deployment(urls, store_options={"lag_seconds": 0}))
    systems = Systems(said, engine_for(place), transports=transports)
    before = _peak_mib()
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("raw", lambda: [reading.changed_orders(systems, store, "bench") for store in STORES]),
        ("core", lambda: mapping.orders(systems, "bench")),
        ("items", lambda: item_reading.items(systems, "odoo", "bench")),
        ("item_refs", lambda: item_mapping.items(systems, "odoo", "bench")),
        ("holds", lambda: planning.hold(systems, "bench")),
        ("plan", lambda: planning.plan(systems, "odoo", "bench")),
        ("receipt", lambda: sending.send(systems, "odoo", "odoo", "bench")),
    ]
    seconds = {}
    for name, step in steps:
        seconds[name] = _timed(step, wanted.profile, name)
    in_core, sent = seconds["raw"] + seconds["core"], seconds["plan"] + seconds["receipt"]
    erp = built.erp
    assert erp is not None
    result = {
        "orders": wanted.orders,
        "erp_orders": erp.order_count(),
        "raw_to_core_per_second": round(wanted.orders / in_core, 1),
        "plan_to_receipt_per_second": round(erp.order_count() / sent, 1),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "peak_mib": round(_peak_mib()),
        "peak_mib_before": round(before),
    }
    systems.engine.dispose()
    sys.stdout.write(json.dumps(result, indent=None if wanted.json else 2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=2500)
    parser.add_argument("--profile", action="store_true", help="where the time goes, per step")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


def _database() -> postgres.Databases:
    found = postgres.find(settings.home())
    name = f"{found.store.database}_bench"
    postgres.drop_database(found, name)
    return host.databases("_bench")


def _now() -> datetime:
    return datetime.now(UTC)


def _timed(step: Callable[[], Any], profile: bool, name: str) -> float:
    profiler = cProfile.Profile() if profile else None
    began = time.perf_counter()
    if profiler:
        profiler.enable()
    step()
    if profiler:
        profiler.disable()
        sys.stderr.write(f"--- {name}\n")
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("cumulative").print_stats(18)
    return time.perf_counter() - began


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if os.uname().sysname == "Linux" else 1024 * 1024)


if __name__ == "__main__":
    main()
