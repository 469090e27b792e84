"""The whole deployment as real processes, each killed with -9 while orders come in: nothing is
lost, nothing happens twice, and everything goes on by itself.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.store.engine import connected
from resources.store.frames import read_rows, scalar
from resources.store.postgres import DatabaseUnavailable
from sync_assets.ops import host
from sync_assets.ops.rehearsal import Rehearsal, rehearse
from tests.effort import at_most

UP_SECONDS, THROUGH_SECONDS = 180, 180
#: What is killed at the same moment; one after the other takes its time.
ROUNDS = at_most(
    (("receiver", "worker"), ("code-server", "daemon"), ("postgres",)),
    (("receiver",), ("worker",), ("code-server",), ("daemon",), ("postgres",)),
)


@pytest.fixture
def stage() -> Iterator[Rehearsal]:
    # Not pytest's own folders: a socket's path must stay under 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sync-kill-"))
    try:
        with rehearse(
            folder,
            orders=20,
            sandbox_options=["--deliver", "0.3"],
            store_options={"poll_seconds": 5},
        ) as one:
            yield one
            for part in one.plan.parts:  # to end in good order takes them half a minute
                if part.pid is not None:
                    os.killpg(part.pid, signal.SIGKILL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rows(stage: Rehearsal, query: str) -> list[dict[str, Any]]:
    with connected(stage.engine) as connection:
        return read_rows(connection, query)


def accepted(stage: Rehearsal) -> set[str]:
    """Orders the ERP has given a receipt for; none while the database is away."""
    try:
        query = "select order_ref from receipt.sales_orders where outcome = 'accepted'"
        return {row["order_ref"] for row in rows(stage, query)}
    except DatabaseUnavailable:
        return set()


def sell(stage: Rehearsal, count: int) -> set[str]:
    sold = [stage.sandbox.sell() for _ in range(count)]
    return {f"{one['store']}:{one['id']}" for one in sold}


def goes_through(stage: Rehearsal, orders: set[str]) -> bool:
    return host.wait_until(
        lambda: orders <= accepted(stage), seconds=THROUGH_SECONDS, meanwhile=stage.mind
    )


def in_erp(stage: Rehearsal) -> int:
    door = f"{stage.sandbox.urls['odoo'].rsplit('/', 1)[0]}/_control/odoo"
    answer = httpx.post(door, json={"call": "order_count", "args": {}}, trust_env=False)
    return int(answer.raise_for_status().json()["result"])


def kill(stage: Rehearsal, name: str) -> None:
    """Kill a part and whatever it started, without a word."""
    if name == "postgres":
        pid = int((stage.postgres_folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        return
    pid = stage.part(name).pid
    assert pid is not None, f"{name} does not run"
    os.killpg(pid, signal.SIGKILL)


def has_webhooks(stage: Rehearsal) -> bool:
    with connected(stage.engine) as connection:
        return bool(scalar(connection, "select count(*) >= 9 from ops.webhook"))


def test_any_process_may_be_killed_at_any_time_and_nothing_is_lost_or_doubled(
    stage: Rehearsal,
) -> None:
    first = sell(stage, 3)
    assert host.wait_until(
        lambda: first <= accepted(stage) and has_webhooks(stage),
        seconds=UP_SECONDS,
        meanwhile=stage.mind,
    )
    sold = set(first)
    for names in ROUNDS:
        before = sell(stage, 2)
        stage.mind()
        for name in names:
            kill(stage, name)
        during = sell(stage, 2)
        assert goes_through(stage, before | during), names
        sold |= before | during
    every = accepted(stage)
    assert sold <= every
    assert in_erp(stage) == len(every)
    (core,) = rows(stage, "select count(*) as n, count(distinct order_ref) as d from core.orders")
    assert core["n"] == core["d"] >= len(every)
    (inbox,) = rows(stage, "select count(*) as n from ops.inbox where signature = 'valid'")
    assert inbox["n"] > 0  # some of it came by webhook
