"""Several workers at once on one database: every order goes to the ERP once, and nobody waits."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Barrier
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError

from resources.store import postgres
from resources.store.engine import engine_for
from resources.wiring import Systems
from sync_assets.orders import mapping, planning, settling
from tests.faults import assert_all_is_well, place_some, recover, run, steps
from tests.worlds import World

PATIENCE = 60.0


@pytest.fixture
def workers(world: World, database: postgres.Databases) -> Iterator[list[World]]:
    """Three worlds with connections of their own to the same systems and database."""
    with ExitStack() as stack:
        made = []
        for _ in range(3):
            engine = engine_for(database)
            stack.callback(engine.dispose)
            made.append(replace(world, systems=replace(world.systems, engine=engine)))
        yield made


def together(workers: list[World], do: Callable[[World], Any]) -> list[Any]:
    """Let all workers do the same at the same moment."""
    start = Barrier(len(workers))

    def one(worker: World) -> Any:
        start.wait(PATIENCE)
        return do(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        futures = [pool.submit(one, worker) for worker in workers]
        return [future.result(PATIENCE) for future in futures]


def test_several_senders_share_the_work_and_double_nothing(
    world: World, workers: list[World]
) -> None:
    for _ in range(8):
        place_some(world)
    world.clock.forward(seconds=2)
    for step in steps(world)[:4]:
        step()
    sent: list[settling.Sent] = together(workers, lambda worker: worker.send())
    assert sum(one.accepted for one in sent) == 24
    assert_all_is_well(world)


def test_whole_runs_at_once_double_nothing(world: World, workers: list[World]) -> None:
    for _ in range(4):
        place_some(world)
        world.clock.forward(seconds=2)
        together(workers, lambda worker: [step() for step in steps(worker)])
        world.clock.forward(minutes=1)
    recover(world)
    assert_all_is_well(world)


def test_mappings_at_once_map_every_version_once(world: World, workers: list[World]) -> None:
    for _ in range(4):
        place_some(world)
    world.clock.forward(seconds=2)
    world.read()
    mapped = together(workers, lambda worker: mapping.orders(worker.systems, "run").mapped)
    assert sum(mapped) == 12
    recover(world)
    assert_all_is_well(world)


def test_plans_and_holds_at_once_agree(world: World, workers: list[World]) -> None:
    placed = place_some(world)
    ref = f"us:{world.place(lines={'UNKNOWN': 1})}"
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    together(workers, lambda worker: worker.plan())
    rows = world.rows("select order_ref from plan.sales_orders order by 1")
    assert [row["order_ref"] for row in rows] == sorted(placed)
    assert world.open_codes(ref) == {"order.sku_unknown"}
    assert len(world.rows("select * from ops.exception")) == 1


def test_changes_while_others_send_end_where_the_shop_ended(
    world: World, workers: list[World]
) -> None:
    orders = [world.place() for _ in range(6)]
    run(world)
    for order_id in orders[:3]:
        world.shops["us"].set_status(order_id, "cancelled")
    for _ in range(3):
        place_some(world)
    world.clock.forward(seconds=2)
    together(workers, lambda worker: [step() for step in steps(worker)])
    recover(world)
    assert_all_is_well(world)


def test_a_worker_whose_lease_ran_out_overwrites_nothing(
    world: World, workers: list[World]
) -> None:
    """It hangs after loading the heads; another one finishes, and it goes on afterwards."""
    refs = place_some(world)
    world.clock.forward(seconds=2)
    for step in steps(world)[:4]:
        step()
    slow, quick, _ = workers
    meanwhile: list[settling.Sent] = []

    def hang(done: str) -> None:
        if done == "sale.order.load" and not meanwhile:
            meanwhile.append(settling.Sent())
            world.clock.forward(minutes=6)
            meanwhile.append(quick.send())
            world.erp.refuse("credit limit", step="confirm")

    world.erp.after_effect = hang
    late = slow.send()
    assert (meanwhile[1].accepted, late.accepted, late.parked) == (3, 0, 0)
    assert world.outbox() == dict.fromkeys(refs, "done")
    assert world.rows("select * from ops.exception") == []
    assert_all_is_well(world)


def test_no_order_is_read_for_a_plan_while_a_mapping_changes_it(
    world: World, database: postgres.Databases
) -> None:
    """Head and lines are read by several statements; both must be of one version."""
    order_id = world.place()
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    line = world.shops["us"].order_json(order_id)["line_items"][0]["id"]
    world.shops["us"].edit(order_id, line_items=[{"id": line, "quantity": 5, "total": "49.50"}])
    world.clock.forward(seconds=2)
    world.read()
    impatient = create_engine(
        database.sqlalchemy, connect_args={"options": "-c timezone=UTC -c lock_timeout=100ms"}
    )
    other: Systems = replace(world.systems, engine=impatient)
    held_off: list[bool] = []

    def interfere(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("select o.* from core.orders") or "core.order_lines" in statement:
            with pytest.raises(DBAPIError) as caught:
                mapping.orders(other, "other")
            held_off.append(isinstance(caught.value.orig, psycopg.errors.LockNotAvailable))

    event.listen(world.systems.engine, "after_cursor_execute", interfere)
    planning.plan(world.systems, "odoo", "run")
    event.remove(world.systems.engine, "after_cursor_execute", interfere)
    impatient.dispose()
    assert held_off == [True, True]
    recover(world)
    assert_all_is_well(world)


def test_an_order_spoilt_between_validation_and_plan_is_held(world: World) -> None:
    order_id = world.place()
    ref = f"us:{order_id}"
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    planning.hold(world.systems, "run")
    world.shops["us"].edit(order_id, billing={"country": ""})
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    planning.plan(world.systems, "odoo", "run")
    world.send()
    assert world.in_erp() == {}
    assert world.open_codes(ref) == {"order.address_missing"}
    world.shops["us"].edit(order_id, billing={"country": "US"})
    recover(world)
    assert_all_is_well(world)
