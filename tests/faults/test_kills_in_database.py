"""A process may die after any statement: what it began is rolled back, a later run ends right."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from sync_assets.orders import mapping
from tests.faults import (
    assert_all_is_well,
    killed_at_statement,
    place_some,
    recover,
    steps,
)
from tests.worlds import World


def test_reading_killed_at_any_statement_loses_no_order(world: World) -> None:
    read_items, read_orders, *_ = steps(world)
    for at in count(1):
        place_some(world)
        world.clock.forward(seconds=2)
        with killed_at_statement(world.systems.engine, at) as axe:
            read_items()
            read_orders()
        if axe.count < at:
            break
    assert at > 10
    recover(world, most=3)
    assert_all_is_well(world)


def mapped(world: World) -> tuple[int, int]:
    """Orders in core, and raw versions marked as mapped."""
    query = (
        "select (select count(*) from core.orders) as orders, "
        "(select count(*) from raw.woocommerce__orders where mapped_at is not null) as mapped"
    )
    (row,) = world.rows(query)
    return row["orders"], row["mapped"]


def test_mapping_killed_at_any_statement_leaves_nothing_half_done(world: World) -> None:
    orders = len(place_some(world))
    world.clock.forward(seconds=2)
    for step in steps(world)[:2]:
        step()
    for at in count(1):
        with killed_at_statement(world.systems.engine, at) as axe:
            mapping.orders(world.systems, "run")
        if axe.count < at:
            break
        assert mapped(world) in {(0, 0), (orders, orders)}
    assert at > 15
    recover(world, most=2)
    assert_all_is_well(world)


def test_planning_killed_at_any_statement_leaves_nothing_half_done(world: World) -> None:
    orders = len(place_some(world))
    world.clock.forward(seconds=2)
    for step in steps(world)[:3]:
        step()
    for at in count(1):
        with killed_at_statement(world.systems.engine, at) as axe:
            world.plan()
        if axe.count < at:
            break
        assert len(world.rows("select order_ref from plan.sales_orders")) in {0, orders}
    assert at > 12
    recover(world, most=2)
    assert_all_is_well(world)


def test_sending_killed_at_any_statement_tells_the_erp_once(world: World) -> None:
    for at in count(1):
        place_some(world)
        world.clock.forward(seconds=2)
        for step in steps(world)[:4]:
            step()
        with killed_at_statement(world.systems.engine, at) as axe:
            world.send()
        if axe.count < at:
            break
        settled = world.rows(
            "select count(*) as n from ops.outbox x where (x.state = 'done') <> exists "
            "(select from receipt.sales_orders r where r.order_ref = x.thing_ref)"
        )
        assert settled == [{"n": 0}], at
        recover(world, most=3)
    assert at > 12
    assert_all_is_well(world)


@pytest.mark.parametrize("step", ["core", "plan"])
def test_a_death_that_is_still_being_looked_at_holds_nobody_up(world: World, step: str) -> None:
    """The transaction ends with the step, not when the last reference to its error goes."""
    place_some(world)
    world.clock.forward(seconds=2)
    for one in steps(world)[:2]:
        one()
    do: Callable[[], Any] = getattr(world, step)
    if step == "plan":
        world.core()
    kept = _death(world, do)
    held = world.rows(
        "select count(*) as n from pg_stat_activity where datname = current_database() "
        "and state like 'idle in transaction%' and pid <> pg_backend_pid()"
    )
    assert held == [{"n": 0}], kept
    recover(world, most=2)
    assert_all_is_well(world)


def _death(world: World, do: Callable[[], Any]) -> BaseException:
    """Let a step fail in the middle of its first transaction, and keep the error alive."""

    def moment() -> Any:
        raise RuntimeError("the clock has stopped")

    clock, world.systems.now = world.systems.now, moment
    try:
        with pytest.raises(RuntimeError, match="stopped") as caught:
            do()
        return caught.value
    finally:
        world.systems.now = clock
