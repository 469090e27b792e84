"""The demo's stand-ins as a process of their own: `python -m resources.sandbox.process`.

Builds the world, serves it on loopback, says so in one JSON line, and ends when whoever started it
closes its input. `--watch` places a further order every few seconds.
"""

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx

from resources.sandbox import baskets, online_retail, world
from resources.sandbox.serve import serve
from resources.sandbox.shop_order import ShopOrder


def main() -> None:
    """Serve a world until our input ends."""
    wanted = _arguments()
    orders, report = _orders(wanted)
    first = list(islice(orders, wanted.orders)) if wanted.orders else list(orders)
    built = world.build(first, lambda: datetime.now(UTC), erp=wanted.erp or None)
    with serve(built.standins()) as urls:
        _say(
            {
                "urls": urls,
                "expect": built.expect(),
                "file": _told(report) if report else None,
                "items": []
                if wanted.erp
                else [(sku, item.name, item.price) for sku, item in built.items.items()],
            }
        )
        ended = threading.Event()
        if wanted.watch:
            sell = partial(_sell, built, first, urls, wanted.watch, ended)
            threading.Thread(target=sell, daemon=True).start()
        sys.stdin.read()
        ended.set()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--orders-file", type=Path)
    parser.add_argument("--erp", default="odoo", help="empty: a real ERP is used")
    parser.add_argument("--watch", type=float, default=0, help="seconds between further orders")
    return parser.parse_args()


def _orders(wanted: argparse.Namespace) -> tuple[Iterator[ShopOrder], online_retail.Report | None]:
    if wanted.orders_file is None:
        return baskets.orders(wanted.orders), None
    return online_retail.orders(wanted.orders_file)


def _told(report: online_retail.Report) -> dict[str, Any]:
    """What became of the rows of a file."""
    return {
        "rows": report.rows_read,
        "orders": report.orders,
        "refunds": report.refunds,
        "set_aside": len(report.set_aside),
        "decisions": {decision.value: n for decision, n in report.counts.items() if n},
    }


def _sell(
    built: world.World,
    known: list[ShopOrder],
    urls: dict[str, str],
    pause: float,
    ended: threading.Event,
) -> None:
    """Sell known baskets again, one every `pause` seconds, through the door others use too."""
    for again in cycle(known):
        if ended.wait(pause):
            return
        order = replace(again, placed_at=datetime.now(UTC), status="processing", refunds=())
        base, _, name = urls[order.store].rpartition("/")
        wish = {"call": "place", "args": {"order": built.checkouts[name].order(order, 0)}}
        body = json.dumps(wish, default=str)
        httpx.post(f"{base}/_control/{name}", content=body, trust_env=False)


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
