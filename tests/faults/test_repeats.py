"""Doing it again, in another order or too late changes nothing."""

from datetime import timedelta
from typing import Any

import pytest

from resources.pages import Broken, Raw
from resources.store import raw
from resources.store.engine import connected
from sync_assets import reading
from tests.faults import assert_all_is_well, place_some, recover, run, steps
from tests.worlds import World

CORE = ("orders", "order_lines", "order_taxes", "order_addresses", "order_changes", "customers")


def contents(world: World) -> dict[str, list[dict[str, Any]]]:
    """All of core, without what names the run."""
    return {
        table: [
            {name: value for name, value in row.items() if name != "run_id"}
            for row in world.rows(f"select * from core.{table} order by 1, 2, 3, 4")
        ]
        for table in CORE
    }


def pages(world: World, store: str) -> list[list[Raw | Broken]]:
    """What the shop answers now, one order a page."""
    with world.systems.shop(store) as shop:
        since, until = world.clock() - timedelta(days=1), world.clock()
        return [[thing] for page in shop.orders_changed_since(since, until) for thing in page]


def keep(world: World, store: str, page: list[Raw | Broken]) -> int:
    """Take a page in, however it came to us; answers how many versions were new."""
    told = raw.Reading(store, "webhook", world.clock(), "late")
    with connected(world.systems.engine) as connection:
        levels = world.systems.settings.service_levels
        return reading.keep(connection, "woocommerce__orders", page, told, levels).new


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("times", [2, 3])
def test_any_step_may_be_done_again(world: World, place: int, times: int) -> None:
    place_some(world)
    world.clock.forward(seconds=2)
    for number, step in enumerate(steps(world)):
        for _ in range(times if number == place else 1):
            step()
    assert world.erp.calls["sale.order.action_confirm"] == 1
    assert_all_is_well(world)


def test_a_whole_run_again_calls_no_write_and_changes_no_row(world: World) -> None:
    place_some(world)
    run(world)
    before, calls = contents(world), world.erp.calls.copy()
    for _ in range(3):
        run(world)
    assert contents(world) == before
    reads = ("search_read", "fields_get")
    written = {name for name in world.erp.calls - calls if not name.endswith(reads)}
    assert written <= {"common.authenticate"}
    assert_all_is_well(world)


def test_mapping_everything_again_gives_the_same_rows_and_no_write(world: World) -> None:
    placed = place_some(world)
    run(world)
    world.shops["us"].edit(int(placed[0].split(":")[1]), customer_note="Please ring twice.")
    run(world)
    before, sent = contents(world), world.erp.calls["sale.order.load"]
    with connected(world.systems.engine) as connection:
        assert raw.forget_mapping(connection, "woocommerce__orders") == 4
        assert raw.forget_mapping(connection, "woocommerce__orders", "us") == 0
    run(world)
    assert contents(world) == before
    assert world.erp.calls["sale.order.load"] == sent
    assert_all_is_well(world)


def test_mapping_one_store_again_leaves_the_other_alone(world: World) -> None:
    place_some(world)
    run(world)
    with connected(world.systems.engine) as connection:
        assert raw.forget_mapping(connection, "woocommerce__orders", "uk") == 1


def test_an_older_version_that_arrives_late_changes_nothing(world: World) -> None:
    order_id = world.place()
    world.clock.forward(seconds=2)
    (old,) = pages(world, "us")
    world.shops["us"].edit(order_id, customer_note="Please ring twice.")
    run(world)
    before = contents(world)
    assert keep(world, "us", old) == 1
    run(world)
    assert contents(world) == before
    assert before["orders"][0]["customer_note"] == "Please ring twice."
    assert keep(world, "us", old) == 0
    assert_all_is_well(world)


def test_a_cancellation_is_not_undone_by_an_older_version(world: World) -> None:
    order_id = world.place()
    world.clock.forward(seconds=2)
    (old,) = pages(world, "us")
    world.shops["us"].set_status(order_id, "cancelled")
    run(world)
    keep(world, "us", old)
    recover(world)
    assert world.in_erp() == {}
    assert_all_is_well(world)


def test_pages_in_any_order_give_the_same_rows(world: World) -> None:
    placed = [place_some(world), place_some(world)]
    world.clock.forward(seconds=2)
    early = pages(world, "us")
    world.shops["us"].edit(int(placed[0][0].split(":")[1]), customer_note="Ring.")
    world.clock.forward(seconds=2)
    late = pages(world, "us")
    for page in [*reversed(late), *reversed(early), *late]:
        keep(world, "us", page)
        world.core()
    notes = {row["order_ref"]: row["customer_note"] for row in contents(world)["orders"]}
    assert notes == {ref: "Ring." if ref == placed[0][0] else None for ref in notes}
    assert len(notes) == 4
    recover(world)
    assert_all_is_well(world)


def test_the_version_we_hold_is_not_kept_again(world: World) -> None:
    order_id = world.place()
    run(world)
    assert world.erp.order_count() == 1
    world.clock.forward(seconds=2)
    with world.systems.shop("us") as shop:
        (current,) = shop.orders_by_id([order_id])
    assert keep(world, "us", [current]) == 0
    assert_all_is_well(world)
