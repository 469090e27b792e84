"""Answers that come late, wrong, twice or never: whatever the wire does, the ERP is told once."""

from collections import Counter

import pytest

from resources.sandbox.faults import Fault, Trouble
from tests.faults import (
    assert_all_is_well,
    each_hour,
    order_calls,
    place_some,
    recover,
    run,
    small_batches,
    waits,
    write,
)
from tests.worlds import World

ERP_CALLS = (
    "common.authenticate",
    "res.company.search_read",
    "stock.warehouse.search_read",
    "sale.order.search_read",
    "sale.order.line.fields_get",
    "res.partner.load",
    "sale.order.load",
    "sale.order.line.load",
    "sale.order.action_confirm",
    "stock.move.search_read",
)
WIRE = {
    "the answer is lost": Fault(Trouble.CUT_AFTER),
    "it never arrives": Fault(Trouble.CUT_BEFORE),
    "it is delivered twice": Fault(Trouble.TWICE),
    "it is slow": Fault(Trouble.SLOW, seconds=30),
    "too many calls": Fault(Trouble.THROTTLE, seconds=7),
    "error 500": Fault(Trouble.ERROR, status=500),
    "error 502": Fault(Trouble.ERROR, status=502),
    "error 503": Fault(Trouble.ERROR, status=503),
    "error 504": Fault(Trouble.ERROR, status=504),
    "the answer is of yesterday": Fault(Trouble.STALE),
}


def hit(fault: Fault, operation: str, *, skip: int = 0, times: int = 1) -> Fault:
    """The fault on a certain call."""
    return Fault(fault.trouble, operation, times, skip, fault.status, fault.seconds)


@pytest.mark.parametrize("fault", WIRE.values(), ids=WIRE)
def test_a_fault_on_any_call_of_the_erp_leaves_one_whole_order(world: World, fault: Fault) -> None:
    for number in each_hour(world, len(ERP_CALLS)):
        world.erp.faults.plan(hit(fault, ERP_CALLS[number]))
        world.send()
        assert world.erp.faults.planned[-1].times == 0, ERP_CALLS[number]
    recover(world, most=1)
    assert_all_is_well(world)
    assert world.rows("select * from ops.exception where state = 'open'") == []


@pytest.mark.parametrize("trouble", [Trouble.CUT_AFTER, Trouble.STALE])
def test_a_fault_on_any_look_up_leaves_one_whole_order(world: World, trouble: Trouble) -> None:
    for skip in each_hour(world, 7):  # look-ups before, between and after the writes
        world.erp.faults.plan(Fault(trouble, "sale.order.search_read", skip=skip))
        world.send()
    recover(world, most=1)
    assert_all_is_well(world)
    assert world.rows("select * from ops.exception where state = 'open'") == []


@pytest.mark.parametrize("times", [2, 5, 40])
def test_a_replica_that_stays_behind_makes_nobody_wrong(world: World, times: int) -> None:
    place_some(world)
    world.erp.faults.plan(Fault(Trouble.STALE, "sale.order.search_read", times=times))
    run(world)
    world.erp.faults.clear()
    recover(world)
    assert_all_is_well(world)
    assert world.rows("select * from ops.exception where state = 'open'") == []


@pytest.mark.parametrize("fault", WIRE.values(), ids=WIRE)
def test_a_fault_on_any_reading_loses_no_order(world: World, fault: Fault) -> None:
    for skip in range(2):  # live orders, then those in the trash
        place_some(world)
        world.erp.faults.plan(hit(fault, "product.product.search_read"))
        for shop in world.shops.values():
            shop.faults.plan(hit(fault, "GET orders", skip=skip))
        run(world)
        struck = [one.faults.planned[-1].times for one in (world.erp, *world.shops.values())]
        assert struck == [0, 0, 0]
        recover(world, most=3)
    assert_all_is_well(world)
    assert world.rows("select * from ops.exception where state = 'open'") == []


def test_a_shop_that_does_not_answer_is_told_and_does_not_stop_the_other(world: World) -> None:
    us, uk = world.place("us"), world.place("uk")
    world.shops["us"].faults.plan(Fault(Trouble.CUT_BEFORE, times=8))
    run(world)
    assert set(world.in_erp()) == {f"uk:{uk}"}
    assert world.open_codes("us/orders") == {"system.unreadable"}
    world.shops["us"].faults.clear()
    recover(world)
    assert set(world.in_erp()) == {f"uk:{uk}", f"us:{us}"}
    assert world.open_codes("us/orders") == set()
    assert_all_is_well(world)


def test_a_busy_erp_is_given_the_time_it_asked_for(world: World) -> None:
    place_some(world)
    world.erp.faults.plan(Fault(Trouble.THROTTLE, "sale.order.load", times=2, seconds=7))
    with waits(world) as slept:
        run(world)
    assert slept == [7.0, 7.0]
    assert_all_is_well(world)


def test_an_erp_that_stays_busy_is_not_asked_again_before_its_time(world: World) -> None:
    ref = f"us:{world.place()}"
    world.erp.faults.plan(Fault(Trouble.THROTTLE, "sale.order.load", times=99, seconds=600))
    run(world)
    row = write(world, ref)
    assert row["error_class"] == "Throttled"
    assert 600 <= (row["due_at"] - row["updated_at"]).total_seconds() < 900
    tried = world.erp.calls["sale.order.load"]
    run(world)
    assert world.erp.calls["sale.order.load"] == tried
    world.erp.faults.clear()
    recover(world)
    assert_all_is_well(world)


def test_a_lost_answer_shows_as_unknown_until_it_is_looked_up(world: World) -> None:
    ref = f"us:{world.place()}"
    world.erp.faults.plan(Fault(Trouble.CUT_AFTER, "sale.order.load", times=3))
    world.erp.faults.plan(Fault(Trouble.CUT_AFTER, "sale.order.line.load", times=99))
    run(world)
    assert world.outbox() == {ref: "unknown"}
    assert write(world, ref)["error_class"] == "UnknownOutcome"
    assert [len(orders) for orders in world.in_erp().values()] == [1]
    world.erp.faults.clear()
    recover(world)
    assert world.outbox() == {ref: "done"}
    assert_all_is_well(world)


@pytest.mark.parametrize(
    "operation", ["res.partner.load", "sale.order.load", "sale.order.line.load"]
)
def test_after_a_lost_answer_the_order_is_looked_up_before_it_is_sent_again(
    world: World, operation: str
) -> None:
    world.place()
    world.erp.faults.plan(Fault(Trouble.CUT_AFTER, operation))
    with order_calls(world.erp) as calls:
        run(world)
    lost = calls.index(operation)
    assert calls[lost + 1] == "sale.order.search_read"
    assert_all_is_well(world)


def test_a_lost_answer_of_a_confirmation_is_not_asked_for_again(world: World) -> None:
    world.place()
    world.erp.faults.plan(Fault(Trouble.CUT_AFTER, "action_confirm"))
    run(world)
    assert world.erp.calls["sale.order.action_confirm"] == 1
    assert_all_is_well(world)


@pytest.mark.parametrize("races", [1, 2, 3, 5, 9])
def test_races_lost_inside_the_erp_are_run_again(world: World, races: int) -> None:
    place_some(world)
    world.erp.serialize_races(races)
    run(world)
    recover(world)
    assert_all_is_well(world)
    assert Counter(world.outbox().values()) == {"done": 3}


DOWN = {
    "nobody answers": Fault(Trouble.CUT_BEFORE, times=10_000),
    "a proxy says 503": Fault(Trouble.ERROR, times=10_000, status=503),
    "a page says it is being mended": Fault(Trouble.ERROR, times=10_000, status=200),
}


@pytest.mark.parametrize("how", DOWN)
def test_an_erp_that_is_down_for_hours_gets_every_order_once_it_is_back(
    world: World, how: str
) -> None:
    run(world)  # the items are known before it goes
    place_some(world)
    world.erp.faults.plan(DOWN[how])
    for _ in range(15):
        run(world)
        world.clock.forward(minutes=30)
    assert Counter(world.outbox().values()) == {"waiting": 3}
    assert world.rows("select * from ops.exception where subject_kind = 'order'") == []
    world.erp.faults.clear()
    recover(world, most=1)
    assert_all_is_well(world)


def test_an_erp_that_is_down_is_asked_for_one_batch_only(world: World) -> None:
    run(world)
    for _ in range(3):
        world.place("us")
    small_batches(world)
    world.clock.forward(seconds=2)
    world.read()
    world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, times=10_000))
    world.core()
    world.plan()
    before = sum(world.erp.calls.values())
    world.send()
    # Four tries, one to see if it is there, and then nobody asks it for a while.
    assert sum(world.erp.calls.values()) - before == 5
    world.erp.faults.clear()
    recover(world)
    assert_all_is_well(world)
