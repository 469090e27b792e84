"""Seconds from the receiver's 2xx to the receipt committed, at light load, on one machine.

    python bench/latency.py [--events 40] [--gap 4] [--dev] [--stock] [--json]

Stand-in stores and an ERP that takes 20 ms an answer, Postgres, and the product as `sync-assets up`
runs it: receiver, daemon, code server, warm worker. `--dev` runs Dagster's own daemon and launches
each run in a process of its own, as `dagster dev` does. The parts: `detect` from the 2xx to the run
being asked for, `start` to its first step, `work` to the receipt being committed.

`--stock` takes the time until a sale in one shop has lowered the number that another shop shows:
all three stores sell from all three warehouses then.
"""

import argparse
import base64
import hashlib
import hmac
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from resources.sandbox.shop_order import STORES
from resources.store.engine import connected
from resources.store.frames import read_rows, scalar
from sync_assets.ops import host
from sync_assets.ops.rehearsal import WEBHOOK_SECRET, Rehearsal, rehearse

READY_SECONDS, ARRIVES_SECONDS = 180, 120


def main() -> None:
    """Measure and tell."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its processes must not stay behind
    with (
        tempfile.TemporaryDirectory(prefix="sync-latency-") as folder,
        rehearse(
            _with_policy(Path(folder), wanted.stock),
            orders=400 if wanted.stock else 60,
            erp_seconds=0.02,
        ) as stage,
    ):
        if wanted.dev:
            _as_dagster_dev(stage)
        _say("Starting; the first orders are carried over")
        _settle(stage)
        if wanted.stock:
            _settle_stock(stage)
        result = _measure_stock(stage, wanted) if wanted.stock else _measure(stage, wanted)
    if wanted.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--gap", type=float, default=4.0, help="seconds between events, on average")
    parser.add_argument("--dev", action="store_true", help="plain daemon, a process per run")
    parser.add_argument("--stock", action="store_true", help="a sale here until a number there")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _as_dagster_dev(stage: Rehearsal) -> None:
    """No warm worker, and Dagster's own daemon."""
    stage.plan.parts[:] = [part for part in stage.plan.parts if part.name != "worker"]
    workspace = stage.part("daemon").command[-1]
    stage.part("daemon").command[:] = [host.script("dagster-daemon"), "run", "-w", workspace]


def _settle(stage: Rehearsal) -> None:
    """Wait until every part works and the orders that were there have gone through."""
    url = f"{stage.plan.receiver}/ready"
    if not host.wait_until(
        lambda: (
            host.answers(url)
            and _count(stage, "select count(*) from receipt.sales_orders") > 0
            and _count(stage, _OPEN) == 0
        ),
        seconds=READY_SECONDS,
        meanwhile=stage.mind,
    ):
        raise SystemExit("The deployment did not come up; its logs are in the home folder.")


_OPEN = "select count(*) from ops.outbox where state not in ('done', 'refused', 'parked')"


def _count(stage: Rehearsal, query: str) -> int:
    with connected(stage.engine) as connection:
        return int(scalar(connection, query))


def _measure(stage: Rehearsal, wanted: argparse.Namespace) -> dict[str, Any]:
    dice = random.Random(7)
    events = []
    for number in range(wanted.events):
        events.append(_one(stage))
        _say(f"{number + 1}/{wanted.events}: {events[-1]['seconds']:.2f} s")
        time.sleep(dice.uniform(0.5, 1.5) * wanted.gap)
    with host.instance(stage.place) as instance:
        parts = [_parts(instance, event) for event in events if event["run_id"]]
    seconds = sorted(event["seconds"] for event in events if event["run_id"])
    return {
        "events": len(events),
        "mode": "plain daemon, a process per run" if wanted.dev else "up",
        "p50_seconds": _share(seconds, 0.50),
        "p95_seconds": _share(seconds, 0.95),
        "most_seconds": round(seconds[-1], 2),
        "lost": len(events) - len(seconds),
        "doubled": _doubled(stage),
        "parts_p50_seconds": _medians(parts),
    }


def _with_policy(home: Path, is_shared: bool) -> Path:
    """Let every store sell from every warehouse; the file is JSON, which is YAML too."""
    if is_shared:
        places = {one.warehouse.lower(): one.warehouse for one in STORES.values()}
        policy = {
            "version": 1,
            "locations": {name: {"source": "odoo", "code": code} for name, code in places.items()},
            "channels": {name: {"locations": sorted(places)} for name in STORES},
        }
        path = home / "policies" / "availability.yaml"
        path.parent.mkdir()
        path.write_text(json.dumps(policy))
    return home


def _settle_stock(stage: Rehearsal) -> None:
    """Wait until every shop shows what it may sell."""
    first = "select count(*) from receipt.woocommerce__stock"
    left = (
        "select (select count(*) from plan.woocommerce__stock) + (select count(*) from ops.stale)"
    )
    if not host.wait_until(
        lambda: _count(stage, first) > 0 and _count(stage, left) == 0 and _count(stage, _OPEN) == 0,
        seconds=2 * READY_SECONDS,
        meanwhile=stage.mind,
    ):
        raise SystemExit("The shops' numbers did not settle; the logs are in the home folder.")


def _measure_stock(stage: Rehearsal, wanted: argparse.Namespace) -> dict[str, Any]:
    dice, events, tried = random.Random(7), list[dict[str, Any]](), 0
    while len(events) < wanted.events and tried < 20 * wanted.events:
        tried += 1
        event = _one_number(stage)
        if event is None:
            continue
        events.append(event)
        _say(f"{len(events)}/{wanted.events}: {event['seconds']:.2f} s")
        time.sleep(dice.uniform(0.5, 1.5) * wanted.gap)
    with host.instance(stage.place) as instance:
        parts = [_parts(instance, event) for event in events if event["run_id"]]
    seconds = sorted(event["seconds"] for event in events if event["run_id"])
    return {
        "events": len(events),
        "what": "a sale in one shop until the number in another",
        "p50_seconds": _share(seconds, 0.50),
        "p95_seconds": _share(seconds, 0.95),
        "most_seconds": round(seconds[-1], 2),
        "lost": len(events) - len(seconds),
        "parts_p50_seconds": _medians(parts),
    }


def _medians(parts: list[dict[str, float]]) -> dict[str, float]:
    return {
        name: round(statistics.median(part[name] for part in parts), 2)
        for name in ("detect", "start", "work")
    }


def _one_number(stage: Rehearsal) -> dict[str, Any] | None:
    """Sell, tell, and wait for a number of another shop; nothing where no other shop sells it."""
    sold = stage.sandbox.sell()
    skus = [line["sku"] for line in json.loads(sold["text"])["line_items"] if line["sku"]]
    with connected(stage.engine) as connection:
        others = read_rows(
            connection,
            "select sku, store from core.listings where sku = any(:skus) and store <> :store "
            "and stock_management = 'yes'",
            skus=skus,
            store=sold["store"],
        )
        newest = scalar(connection, "select coalesce(max(id), 0) from receipt.woocommerce__stock")
    _tell(stage, sold)
    answered, at = time.monotonic(), datetime.now(UTC)
    if not others:
        return None
    row: dict[str, Any] = {}

    def is_there() -> bool:
        with connected(stage.engine) as connection:
            rows = read_rows(
                connection,
                "select run_id from receipt.woocommerce__stock where id > :newest "
                "and system <> :store and sku = any(:skus) and outcome = 'set' limit 1",
                newest=newest,
                store=sold["store"],
                skus=skus,
            )
        row.update(rows[0] if rows else {})
        return bool(rows)

    _polled(is_there, stage.mind)
    return {"at": at, "seconds": time.monotonic() - answered, "run_id": row.get("run_id")}


def _share(seconds: list[float], share: float) -> float:
    """The value below which a share of them lies."""
    return round(seconds[min(len(seconds) - 1, int(len(seconds) * share))], 2)


def _one(stage: Rehearsal) -> dict[str, Any]:
    """Sell one order, tell the receiver, and wait for the receipt."""
    sold = stage.sandbox.sell()
    _tell(stage, sold)
    answered, at = time.monotonic(), datetime.now(UTC)
    row: dict[str, Any] = {}

    def is_there() -> bool:
        with connected(stage.engine) as connection:
            rows = read_rows(
                connection,
                "select run_id from receipt.sales_orders where order_ref = :ref",
                ref=f"{sold['store']}:{sold['id']}",
            )
        row.update(rows[0] if rows else {})
        return bool(rows)

    _polled(is_there, stage.mind)
    return {"at": at, "seconds": time.monotonic() - answered, "run_id": row.get("run_id")}


def _tell(stage: Rehearsal, sold: dict[str, Any]) -> None:
    """Say it as the shop's webhook does; returns with the receiver's answer."""
    body = sold["text"].encode()
    digest = hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).digest()
    answer = httpx.post(
        f"{stage.plan.receiver}/webhooks/woocommerce/{sold['store']}",
        content=body,
        headers={
            "Content-Type": "application/json",
            "X-WC-Webhook-Topic": "order.created",
            "X-WC-Webhook-Resource": "order",
            "X-WC-Webhook-Event": "created",
            "X-WC-Webhook-Signature": base64.b64encode(digest).decode(),
            "X-WC-Webhook-ID": "1",
            "X-WC-Webhook-Delivery-ID": hashlib.md5(body).hexdigest(),
        },
        trust_env=False,
    )
    answer.raise_for_status()


def _polled(told: Callable[[], bool], meanwhile: Callable[[], None]) -> bool:
    return host.wait_until(told, seconds=ARRIVES_SECONDS, meanwhile=meanwhile)


def _parts(instance: dg.DagsterInstance, event: dict[str, Any]) -> dict[str, float]:
    record = instance.get_run_record_by_id(event["run_id"])
    assert record is not None
    asked = record.create_timestamp.timestamp()
    began = record.start_time or asked
    received = event["at"].timestamp()
    return {
        "detect": asked - received,
        "start": began - asked,
        "work": received + event["seconds"] - began,
    }


def _doubled(stage: Rehearsal) -> int:
    """Orders the ERP holds beyond those it gave receipts for."""
    door = f"{stage.sandbox.urls['odoo'].rsplit('/', 1)[0]}/_control/odoo"
    answer = httpx.post(door, json={"call": "order_count", "args": {}}, trust_env=False)
    accepted = "select count(*) from receipt.sales_orders where outcome = 'accepted'"
    return int(answer.raise_for_status().json()["result"]) - _count(stage, accepted)


if __name__ == "__main__":
    main()
