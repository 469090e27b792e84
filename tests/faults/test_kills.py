"""A process may die around any request and between any two steps; later runs finish its work."""

from itertools import count

import pytest

from tests.effort import at_most
from tests.faults import (
    assert_all_is_well,
    each_hour,
    killed_after,
    killed_at_request,
    open_writes,
    place_some,
    recover,
    run,
    steps,
    write,
)
from tests.worlds import World


def test_a_run_killed_after_any_request_is_finished_by_later_ones(world: World) -> None:
    for at in count(1, at_most(2, 1)):
        place_some(world)
        with killed_at_request(world, at) as axe:
            run(world)
        if axe.count < at:
            break
        recover(world, most=3)
        assert open_writes(world) == {}, at
    assert at > 25  # a whole run with parties, heads, lines, rounding, confirmation, stock
    assert_all_is_well(world)


def test_sending_killed_before_any_request_is_finished_by_later_runs(world: World) -> None:
    fell = []
    for number in each_hour(world, 32):
        with killed_at_request(world, number + 1, before=True) as axe:
            world.send()
        fell.append(axe.count > number)
    assert fell.index(False) > 20  # the last ones need fewer requests, so every one was hit
    assert_all_is_well(world)


def test_two_deaths_in_a_row_change_nothing(world: World) -> None:
    for number in each_hour(world, 12):
        for at in (10 + number, 22 - number):
            with killed_at_request(world, at):
                world.send()
            world.clock.forward(minutes=6)
    assert_all_is_well(world)


@pytest.mark.parametrize("done", range(6))
def test_a_run_that_ends_between_two_steps_is_taken_up_again(world: World, done: int) -> None:
    place_some(world)
    world.clock.forward(seconds=2)
    for step in steps(world)[:done]:
        step()
    recover(world, most=2)
    assert_all_is_well(world)


def test_a_half_made_draft_is_completed_and_not_parked(world: World) -> None:
    ref = f"us:{world.place()}"
    with killed_after(world.erp, "sale.order.load"):
        run(world)
    (draft,) = world.in_erp()[ref]
    assert (draft["state"], draft["lines"]) == ("draft", [])
    recover(world, most=2)
    (order,) = world.in_erp()[ref]
    assert (order["id"], order["state"], len(order["lines"])) == (draft["id"], "sale", 2)
    assert write(world, ref)["state"] == "done"
    assert world.rows("select * from ops.exception") == []
    assert_all_is_well(world)
