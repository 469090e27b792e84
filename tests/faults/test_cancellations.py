"""Orders that end, or come back to life, at any moment of their way into the ERP."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from resources.errors import SignInAgain
from resources.sandbox.faults import Fault, Trouble
from resources.store import outbox
from resources.store.engine import connected
from tests.effort import at_most
from tests.faults import (
    assert_all_is_well,
    gone_after,
    killed_after,
    place_some,
    recover,
    run,
    small_batches,
    steps,
    write,
)
from tests.worlds import World, small_world

DOWN = Fault(Trouble.CUT_BEFORE, times=10_000)


@pytest.fixture(params=at_most([19], [18, 19]), ids="Odoo {}".format)
def either(request: pytest.FixtureRequest, engine: Engine) -> World:
    """The small world with either version of the ERP."""
    return small_world(engine, version=request.param)


def place(world: World) -> tuple[int, str]:
    """One order of the American store and our key of it."""
    order_id = world.place()
    return order_id, f"us:{order_id}"


def cancel(world: World, order_id: int) -> None:
    """Cancel in the shop."""
    world.shops["us"].set_status(order_id, "cancelled")


def up_to_plan(world: World) -> None:
    """Read, map and plan, without sending."""
    world.clock.forward(seconds=2)
    for step in steps(world)[:4]:
        step()


def states(world: World, ref: str) -> list[str]:
    """States of the orders the ERP holds for a key."""
    return [order["state"] for order in world.in_erp().get(ref, [])]


def parcels(world: World) -> list[str]:
    """States of all parcels of the ERP."""
    return [row["state"] for row in world.erp.tables.rows["stock.picking"].values()]


def test_an_order_cancelled_before_it_is_sent_is_never_created(world: World) -> None:
    order_id, _ = place(world)
    up_to_plan(world)
    assert world.rows("select action from plan.sales_orders") == [{"action": "create"}]
    cancel(world, order_id)
    recover(world)
    assert world.erp.calls["sale.order.load"] == 0
    assert world.in_erp() == {}
    assert world.outbox() == {}
    assert_all_is_well(world)


def test_an_order_cancelled_while_the_erp_is_down_is_never_created(world: World) -> None:
    run(world)
    order_id, ref = place(world)
    world.erp.faults.plan(DOWN)
    run(world)
    assert world.outbox() == {ref: "waiting"}
    cancel(world, order_id)
    run(world)
    world.erp.faults.clear()
    recover(world)
    assert world.erp.calls["sale.order.load"] == 0
    assert world.outbox() == {ref: "refused"}
    assert_all_is_well(world)


def test_an_order_put_on_hold_while_the_erp_is_down_is_sent_when_it_is_released(
    world: World,
) -> None:
    run(world)
    order_id, ref = place(world)
    world.erp.faults.plan(DOWN)
    run(world)
    world.shops["us"].set_status(order_id, "on-hold")
    run(world)
    world.erp.faults.clear()
    recover(world)
    assert world.in_erp() == {}
    world.shops["us"].set_status(order_id, "processing")
    recover(world)
    assert states(world, ref) == ["sale"]
    assert_all_is_well(world)


@pytest.mark.parametrize(
    "operation", ["sale.order.load", "sale.order.line.load", "sale.order.action_confirm"]
)
def test_an_order_cancelled_while_its_end_is_unknown_does_not_stay_alive(
    world: World, operation: str
) -> None:
    run(world)
    order_id, ref = place(world)
    with gone_after(world.erp, operation):
        run(world)
    assert world.outbox() == {ref: "unknown"}
    cancel(world, order_id)
    recover(world)
    assert states(world, ref) == ["cancel"]
    assert_all_is_well(world)


@pytest.mark.parametrize("status", ["cancelled", "on-hold"])
def test_an_order_taken_back_after_its_worker_died_over_nothing_is_not_created(
    world: World, status: str
) -> None:
    order_id, ref = place(world)
    with killed_after(world.erp, "res.partner.load"):
        run(world)
    assert world.outbox() == {ref: "leased"}
    world.shops["us"].set_status(order_id, status)
    recover(world)
    assert world.in_erp() == {}
    assert_all_is_well(world)
    world.shops["us"].set_status(order_id, "processing")
    recover(world)
    assert states(world, ref) == ["sale"]
    assert_all_is_well(world)


def test_an_order_cancelled_while_others_are_being_sent_is_not_created(world: World) -> None:
    small_batches(world)
    _, (second, ref) = place(world), place(world)

    def change(done: str) -> None:
        if done == "sale.order.action_confirm":
            world.erp.after_effect = lambda done: None
            cancel(world, second)
            up_to_plan(world)

    up_to_plan(world)
    world.erp.after_effect = change
    world.send()
    assert (world.erp.order_count(), states(world, ref)) == (1, [])
    recover(world)
    assert states(world, ref) == []
    assert_all_is_well(world)


@pytest.mark.parametrize("operation", ["sale.order.load", "sale.order.action_confirm"])
def test_an_order_cancelled_after_its_worker_died_does_not_stay_alive(
    world: World, operation: str
) -> None:
    order_id, ref = place(world)
    with killed_after(world.erp, operation):
        run(world)
    cancel(world, order_id)
    recover(world)
    assert states(world, ref) == ["cancel"]
    assert_all_is_well(world)


def test_an_order_cancelled_after_acceptance_is_cancelled_with_its_parcel(either: World) -> None:
    order_id, ref = place(either)
    run(either)
    assert (states(either, ref), parcels(either)) == (["sale"], ["assigned"])
    cancel(either, order_id)
    recover(either)
    assert (states(either, ref), parcels(either)) == (["cancel"], ["cancel"])
    assert either.erp.calls["sale.order.action_cancel"] == 1
    assert either.rows("select outcome from receipt.sales_orders") == [{"outcome": "cancelled"}]
    assert_all_is_well(either)


def test_a_trashed_order_is_cancelled_in_the_erp(world: World) -> None:
    order_id, ref = place(world)
    run(world)
    world.shops["us"].trash(order_id)
    recover(world)
    assert states(world, ref) == ["cancel"]
    assert_all_is_well(world)


@pytest.mark.parametrize("skip", range(4))
@pytest.mark.parametrize("trouble", [Trouble.CUT_AFTER, Trouble.STALE, Trouble.TWICE])
def test_whatever_happens_to_a_cancellation_it_is_done_once(
    world: World, trouble: Trouble, skip: int
) -> None:
    order_id, ref = place(world)
    run(world)
    cancel(world, order_id)
    operation = "sale.order.action_cancel" if skip == 3 else "sale.order.search_read"
    world.erp.faults.plan(Fault(trouble, operation, skip=skip % 3))
    run(world)
    recover(world)
    assert states(world, ref) == ["cancel"]
    assert write(world, ref, "cancel")["state"] == "done"
    assert world.rows("select * from ops.exception where state = 'open'") == []
    assert_all_is_well(world)


def test_a_cancellation_taken_back_before_it_is_sent_leaves_the_order_alone(world: World) -> None:
    order_id, ref = place(world)
    run(world)
    cancel(world, order_id)
    world.erp.faults.plan(DOWN)
    run(world)
    assert write(world, ref, "cancel")["state"] == "waiting"
    world.shops["us"].set_status(order_id, "processing")
    run(world)
    world.erp.faults.clear()
    recover(world)
    assert world.erp.calls["sale.order.action_cancel"] == 0
    assert states(world, ref) == ["sale"]
    assert_all_is_well(world)


def test_an_order_cancelled_and_revived_before_it_is_sent_is_created_once(world: World) -> None:
    order_id, ref = place(world)
    up_to_plan(world)
    cancel(world, order_id)
    up_to_plan(world)
    world.shops["us"].set_status(order_id, "processing")
    recover(world)
    assert states(world, ref) == ["sale"]
    assert world.erp.calls["sale.order.load"] == 1
    assert_all_is_well(world)


def test_an_order_revived_after_a_cancellation_found_nothing_is_created(world: World) -> None:
    order_id, ref = place(world)
    world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, "sale.order.load", times=10_000))
    run(world)
    cancel(world, order_id)
    recover(world)
    assert world.rows("select * from receipt.sales_orders") == []
    world.erp.faults.clear()
    for status in ("processing", "cancelled", "processing"):
        world.shops["us"].set_status(order_id, status)
        up_to_plan(world)
    recover(world)
    assert states(world, ref) == ["sale"]
    assert_all_is_well(world)


def test_an_order_that_comes_back_after_its_cancellation_waits_for_a_person(world: World) -> None:
    order_id, ref = place(world)
    run(world)
    cancel(world, order_id)
    recover(world)
    world.shops["us"].set_status(order_id, "processing")
    recover(world)
    assert states(world, ref) == ["cancel"]
    assert world.open_codes(ref) == {"order.changed_after_acceptance"}


@pytest.mark.parametrize("step", ["create", "confirm"])
def test_a_refused_order_that_is_cancelled_leaves_nothing_behind(world: World, step: Any) -> None:
    order_id, ref = place(world)
    world.erp.refuse("credit limit", step=step)
    run(world)
    assert world.outbox() == {ref: "parked"}
    cancel(world, order_id)
    recover(world)
    assert [state for state in states(world, ref) if state != "cancel"] == []
    assert world.open_codes(ref) == set()
    assert_all_is_well(world)


def test_a_cancelled_order_does_not_overtake_itself_when_it_is_retried(world: World) -> None:
    order_id, ref = place(world)
    world.erp.refuse("credit limit", step="confirm")
    run(world)
    world.erp.accept()
    with connected(world.systems.engine) as connection:
        outbox.retry_parked(connection, "odoo", ref, world.clock())
    cancel(world, order_id)
    recover(world)
    assert states(world, ref) == ["cancel"]
    assert_all_is_well(world)


def test_a_cancellation_the_erp_refuses_is_parked_and_the_others_go_on(world: World) -> None:
    (first, ref), (second, other) = place(world), place(world)
    run(world)
    cancel(world, first)
    cancel(world, second)
    plain = world.erp.sales.cancel

    def delivered(ids: Any, context: Any) -> Any:
        from resources.sandbox import odoo_errors

        if any(world.erp.tables.rows["sale.order"][id_]["client_order_ref"] == ref for id_ in ids):
            raise odoo_errors.user_error("You cannot cancel a delivered order.")
        return plain(ids, context)

    world.erp.sales.cancel = delivered  # type: ignore[method-assign]
    recover(world)
    assert (states(world, ref), states(world, other)) == (["sale"], ["cancel"])
    assert write(world, ref, "cancel")["state"] == "parked"
    assert world.open_codes(ref) == {"erp.refused"}
    world.shops["us"].set_status(first, "processing")
    recover(world)
    assert world.open_codes(ref) == set()
    assert_all_is_well(world)


def test_a_wrong_key_is_told_and_costs_nothing(world: World) -> None:
    run(world)
    refs = place_some(world)
    world.erp.api_key = "another"
    up_to_plan(world)
    for _ in range(15):
        with pytest.raises(SignInAgain, match="user 'sync' is not accepted by database 'erp'"):
            world.send()
        world.clock.forward(minutes=1)
    assert world.outbox() == dict.fromkeys(refs, "waiting")
    assert {write(world, ref)["attempts"] for ref in refs} == {0}
    assert world.rows("select * from ops.exception where subject_kind = 'order'") == []
    world.erp.api_key = "key"
    recover(world, most=1)
    assert_all_is_well(world)


def test_a_key_revoked_in_the_middle_of_a_run_leaves_one_whole_order(world: World) -> None:
    refs = place_some(world)

    def revoke(done: str) -> None:
        if done == "sale.order.load":
            world.erp.api_key = "another"

    world.erp.after_effect = revoke
    up_to_plan(world)
    with pytest.raises(SignInAgain):
        world.send()
    world.erp.after_effect = lambda done: None
    assert world.outbox() == dict.fromkeys(refs, "unknown")
    world.erp.api_key = "key"
    recover(world, most=1)
    assert_all_is_well(world)


def test_a_wrong_key_of_one_store_does_not_stop_the_other(world: World) -> None:
    us, uk = world.place("us"), world.place("uk")
    world.shops["us"].secret = "another"
    run(world)
    assert set(world.in_erp()) == {f"uk:{uk}"}
    assert world.open_codes("us/orders") == {"system.unreadable"}
    world.shops["us"].secret = "cs_test"
    recover(world)
    assert set(world.in_erp()) == {f"uk:{uk}", f"us:{us}"}
    assert world.erp.totals_by_currency()["USD"] == Decimal("34.11")
    assert_all_is_well(world)
