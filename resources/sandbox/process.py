"""The demo's stand-ins as a process of their own: `python -m resources.sandbox.process`.

Builds the world, serves it on loopback, says so in one JSON line, and ends when whoever started it
closes its input. A line `sell` on the input places a further order and answers it in one JSON line;
`--watch` places one every few seconds.
"""

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
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
from resources.sandbox.woocommerce_webhooks import pumping


def main() -> None:
    """Serve a world until our input ends."""
    wanted = _arguments()
    orders, report = _orders(wanted)
    first = list(islice(orders, wanted.orders)) if wanted.orders else list(orders)
    built = world.build(first, lambda: datetime.now(UTC), erp=wanted.erp or None)
    delays = {"odoo": wanted.erp_seconds} if wanted.erp_seconds else {}
    with serve(built.standins(), delays=delays) as urls, ExitStack() as stack:
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
        if wanted.deliver:
            stack.enter_context(pumping(built.shops.values(), wanted.deliver))
        ended, selling = threading.Event(), cycle([o for o in first if not o.defects] or first)
        if wanted.watch:
            sell = partial(_sell_on, built, selling, urls, wanted.watch, ended)
            threading.Thread(target=sell, daemon=True).start()
        for line in sys.stdin:
            if line.strip() == "sell":
                _say(_sell(built, next(selling), urls))
        ended.set()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--orders-file", type=Path)
    parser.add_argument("--erp", default="odoo", help="empty: a real ERP is used")
    parser.add_argument("--watch", type=float, default=0, help="seconds between further orders")
    parser.add_argument("--deliver", type=float, default=0, help="seconds between webhook rounds")
    parser.add_argument("--erp-seconds", type=float, default=0, help="what an ERP answer takes")
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


def _sell_on(
    built: world.World,
    selling: Iterator[ShopOrder],
    urls: dict[str, str],
    pause: float,
    ended: threading.Event,
) -> None:
    """Sell known baskets again, one every `pause` seconds."""
    while not ended.wait(pause):
        _sell(built, next(selling), urls)


def _sell(built: world.World, again: ShopOrder, urls: dict[str, str]) -> dict[str, Any]:
    """Sell a known basket once more, through the door others use too; answers what the shop has."""
    order = replace(again, placed_at=datetime.now(UTC), status="processing", refunds=())
    base, _, name = urls[order.store].rpartition("/")
    said = built.checkouts[name].order(order, 0)
    order_id = _called(f"{base}/_control/{name}", "place", {"order": said})
    text = built.shops[name].shelf.entries[order_id].text
    return {"store": name, "id": order_id, "text": text}


def _called(door: str, call: str, args: dict[str, Any]) -> Any:
    body = json.dumps({"call": call, "args": args}, default=str)
    return httpx.post(door, content=body, trust_env=False).raise_for_status().json()["result"]


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
