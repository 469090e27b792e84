"""How long a write is tried: as its window says, less where it is urgent; then a person has it."""

from datetime import timedelta
from typing import Any

import pytest

from resources.sandbox.faults import Fault, Trouble
from resources.store import outbox
from resources.store.engine import connected
from sync_assets.orders import sending
from tests.faults import assert_all_is_well, recover, run, steps, write
from tests.worlds import World

#: Every write of this order is answered with an error; pings and look-ups are not.
BROKEN = Fault(Trouble.ERROR, "sale.order.load", times=10_000, status=500)
CONFIRM = Fault(Trouble.ERROR, "action_confirm", times=10_000, status=500)
CANCEL = Fault(Trouble.ERROR, "action_cancel", times=10_000, status=500)


def give_window(world: World, hours: float) -> None:
    """Let the ERP's account have another window."""
    settings = world.systems.settings
    erp = settings.erps["odoo"].model_copy(update={"retry_hours": hours})
    world.systems.settings = settings.model_copy(update={"erps": {"odoo": erp}})


def try_until_parked(world: World, ref: str, operation: str = "create") -> timedelta:
    """Send whenever it is due; answers how long after its first failure it was given up."""
    for _ in range(200):
        row = write(world, ref, operation)
        if row["state"] == "parked":
            return world.clock() - row["first_failed_at"]
        world.clock.at = max(world.clock(), row["due_at"])
        world.send()
    raise AssertionError("never given up")


def exception(world: World, ref: str) -> dict[str, Any]:
    (row,) = world.rows("select * from ops.exception where subject_ref = :ref", ref=ref)
    return row


@pytest.mark.parametrize("hours", [2, 24])
def test_a_write_is_tried_for_the_accounts_window_and_no_longer(world: World, hours: int) -> None:
    give_window(world, hours)
    ref = f"us:{world.place()}"
    world.erp.faults.plan(BROKEN)
    run(world)
    lasted = try_until_parked(world, ref)
    assert timedelta(hours=hours) <= lasted <= timedelta(hours=hours, minutes=35)
    assert world.open_codes(ref) == {"erp.given_up"}
    calls = world.erp.calls["sale.order.load"]
    world.clock.forward(days=3)
    world.send()
    assert world.erp.calls["sale.order.load"] == calls


def test_who_gets_a_given_up_write_reads_how_often_and_when_it_was_tried(world: World) -> None:
    give_window(world, 1)
    ref = f"us:{world.place()}"
    world.erp.faults.plan(BROKEN)
    run(world)
    try_until_parked(world, ref)
    row, told = write(world, ref), exception(world, ref)
    first, last = row["first_failed_at"], world.clock()
    assert told["owner_role"] == "engineer"
    assert told["message"].endswith(
        f" (tried {row['attempts']} times, first {first:%Y-%m-%d %H:%M}, "
        f"last {last:%Y-%m-%d %H:%M} UTC)"
    )


def test_a_refusal_goes_to_a_person_at_the_first_try(world: World) -> None:
    ref = f"us:{world.place()}"
    world.erp.refuse("credit limit", lambda order: True)
    run(world)
    row, told = write(world, ref), exception(world, ref)
    assert (row["state"], row["attempts"]) == ("parked", 1)
    assert (told["code"], told["owner_role"]) == ("erp.refused", "operations")
    assert told["message"].endswith("(tried once, 2026-03-02 09:00 UTC)")


def test_a_cancellation_reaches_a_person_within_hours(world: World) -> None:
    order_id = world.place()
    ref = f"us:{order_id}"
    run(world)
    world.shops["us"].set_status(order_id, "cancelled")
    world.erp.faults.plan(CANCEL)
    run(world)
    lasted = try_until_parked(world, ref, "cancel")
    assert timedelta(hours=2) <= lasted <= timedelta(hours=2, minutes=10)
    world.erp.faults.clear()


def test_an_outage_does_not_use_up_the_window(world: World) -> None:
    """Down for three days: no order is to blame, and one failure more parks nothing."""
    ref = f"us:{world.place()}"
    world.erp.faults.plan(Fault(Trouble.ERROR, "sale.order.load", times=4, status=500))
    run(world)
    first = write(world, ref)
    assert (first["attempts"], first["state"]) != (0, "done")
    world.erp.faults.clear()
    world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, times=10_000))
    for _ in range(6):
        world.clock.forward(hours=12)
        world.send()
    assert write(world, ref)["attempts"] == first["attempts"]
    world.erp.faults.clear()
    world.erp.faults.plan(Fault(Trouble.ERROR, "sale.order.load", times=4, status=500))
    world.clock.forward(hours=1)
    world.send()
    assert world.rows("select * from ops.exception where subject_ref = :ref", ref=ref) == []
    world.erp.faults.clear()
    recover(world)
    assert_all_is_well(world)


def test_a_retry_by_hand_gives_a_whole_window_again(world: World) -> None:
    give_window(world, 1)
    ref = f"us:{world.place()}"
    world.erp.faults.plan(BROKEN)
    run(world)
    try_until_parked(world, ref)
    world.clock.forward(days=1)
    with connected(world.systems.engine) as connection:
        outbox.retry_parked(connection, "odoo", ref, world.clock())
    row = write(world, ref)
    assert (row["attempts"], row["first_failed_at"]) == (1, None)
    world.send()
    assert write(world, ref)["state"] != "parked"
    lasted = try_until_parked(world, ref)
    assert timedelta(hours=1) <= lasted <= timedelta(hours=1, minutes=35)
    world.erp.faults.clear()
    with connected(world.systems.engine) as connection:
        outbox.retry_parked(connection, "odoo", ref, world.clock())
    recover(world, most=1)
    assert_all_is_well(world)


def test_an_order_edited_in_the_shop_gets_a_window_of_its_own(world: World) -> None:
    order_id = world.place()
    ref = f"us:{order_id}"
    world.erp.refuse("no such street", lambda order: True)
    run(world)
    assert write(world, ref)["first_failed_at"] == world.clock() - timedelta(minutes=1)
    world.shops["us"].edit(order_id, billing={"address_1": "2 Test Street"})
    world.clock.forward(seconds=2)
    for step in steps(world)[:4]:
        step()
    sending.promote(world.systems, "odoo", "odoo")
    row = write(world, ref)
    assert (row["state"], row["attempts"], row["first_failed_at"]) == ("waiting", 1, None)


def test_a_lost_answer_is_looked_up_at_once_in_the_same_run(world: World) -> None:
    ref = f"us:{world.place()}"
    world.erp.faults.plan(Fault(Trouble.CUT_AFTER, "sale.order.load"))
    run(world)
    assert write(world, ref)["state"] == "done"
    assert_all_is_well(world)


def test_an_outcome_that_stays_unknown_is_looked_up_within_the_window(world: World) -> None:
    ref = f"us:{world.place()}"
    world.erp.faults.plan(CONFIRM)
    run(world)
    assert write(world, ref)["state"] == "unknown"
    lasted = try_until_parked(world, ref)
    assert timedelta(hours=24) <= lasted <= timedelta(hours=24, minutes=35)
    assert world.erp.order_count() == 1
    world.erp.faults.clear()
    with connected(world.systems.engine) as connection:
        outbox.retry_parked(connection, "odoo", ref, world.clock())
    recover(world, most=1)
    assert_all_is_well(world)
    assert world.rows("select * from ops.exception where state = 'open'") == []


def test_writes_that_failed_together_are_due_apart(world: World) -> None:
    run(world)  # the items are known before it goes
    for _ in range(10):
        world.place()
    world.clock.forward(seconds=2)
    for step in steps(world)[:4]:
        step()
    world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, times=10_000))
    world.send()
    due = [row["due_at"] - world.clock() for row in world.rows("select due_at from ops.outbox")]
    assert len(set(due)) == 10
    assert timedelta(seconds=60) <= min(due)
    assert max(due) < timedelta(seconds=90)
    world.erp.faults.clear()
    recover(world, most=1)
    assert_all_is_well(world)
