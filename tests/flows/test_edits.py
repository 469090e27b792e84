"""Orders edited in the shop: before they are sent the plan follows, after the ERP accepted them a
person decides; what changes nothing there disturbs nobody.
"""

from decimal import Decimal
from typing import Any

from resources.sandbox.faults import Fault, Trouble
from tests.faults import run
from tests.worlds import BILLING, World

D = Decimal


def line_id(world: World, order_id: int, place: int = 0) -> int:
    return int(world.shops["us"].order_json(order_id)["line_items"][place]["id"])


def changes(world: World, order_id: int) -> dict[str, tuple[str | None, str | None]]:
    rows = world.rows("select * from core.order_changes where order_ref = :r", r=f"us:{order_id}")
    return {row["field"]: (row["before"], row["after"]) for row in rows}


def in_erp(world: World, order_id: int) -> dict[str, Any]:
    (order,) = world.in_erp()[f"us:{order_id}"]
    return order


def until_planned(world: World) -> None:
    world.clock.forward(seconds=2)
    for step in (world.read, world.core, world.plan):
        step()
    world.clock.forward(minutes=1)


def add_a_pot(world: World, order_id: int) -> None:
    world.shops["us"].add_product("POT", "Pot", "31.50")
    world.shops["us"].edit(order_id, line_items=[{"sku": "POT", "quantity": 1}])


def writes(world: World) -> int:
    return sum(count for name, count in world.erp.calls.items() if "load" in name)


# Before the order is sent


def test_a_line_edited_before_sending_is_sent_as_edited(world: World) -> None:
    order_id = world.place(lines={"TEA": 2, "MUG": 1})
    until_planned(world)
    (before,) = world.rows("select wanted_hash, amount from plan.sales_orders")
    line = {"id": line_id(world, order_id), "quantity": 3, "total": "29.70", "subtotal": "29.70"}
    world.shops["us"].edit(order_id, line_items=[line])
    until_planned(world)
    (after,) = world.rows("select wanted_hash, amount, action from plan.sales_orders")
    assert (before["amount"], after["amount"]) == (D("34.11"), D("44.72"))
    assert after["wanted_hash"] != before["wanted_hash"]

    world.send()
    order = in_erp(world, order_id)
    assert D(str(order["amount_total"])) == D("44.72")
    assert [line["quantity"] for line in order["lines"]] == [D(3), D(1)]
    assert world.open_codes(f"us:{order_id}") == set()


def test_an_address_edited_before_sending_is_sent_as_edited(world: World) -> None:
    order_id = world.place()
    until_planned(world)
    world.shops["us"].edit(order_id, billing={"city": "Newtown"})
    world.run()
    partners = world.erp.tables.rows["res.partner"].values()
    assert {row["city"] for row in partners if row.get("city")} == {"Newtown"}
    assert world.open_codes(f"us:{order_id}") == set()


def test_an_edit_reaches_a_write_that_waits_for_its_system(world: World) -> None:
    run(world)  # a paused ERP does not tell its items either
    order_id = world.place(lines={"TEA": 1})
    hold = (
        "insert into ops.system (system, state, changed_at, changed_by) "
        "values ('odoo', :state, now(), 'olga') "
        "on conflict (system) do update set state = excluded.state"
    )
    world.execute(hold, state="paused")
    run(world)
    assert world.outbox() == {f"us:{order_id}": "waiting"}
    assert world.in_erp() == {}

    add_a_pot(world, order_id)
    run(world)
    world.execute(hold, state="running")
    run(world)
    assert [line["sku"] for line in in_erp(world, order_id)["lines"]] == ["TEA", "POT"]
    assert len(world.rows("select id from ops.outbox")) == 1
    assert world.open_codes(f"us:{order_id}") == set()


def test_an_edit_reaches_a_write_that_an_unreachable_erp_keeps_waiting(world: World) -> None:
    order_id = world.place(lines={"TEA": 1})
    world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, "sale.order", times=100))
    world.run()
    world.erp.faults.clear()
    add_a_pot(world, order_id)
    world.run_until_quiet()
    assert [line["sku"] for line in in_erp(world, order_id)["lines"]] == ["TEA", "POT"]
    assert world.open_codes(f"us:{order_id}") == set()


def test_an_order_cancelled_before_sending_is_not_sent(world: World) -> None:
    order_id = world.place()
    until_planned(world)
    world.shops["us"].set_status(order_id, "cancelled")
    world.run()
    assert world.in_erp() == {}
    assert world.rows("select action, reason from plan.sales_orders") == [
        {"action": "none", "reason": "cancelled is not sent"}
    ]


def test_a_trashed_order_is_not_sent_and_one_taken_out_again_is(world: World) -> None:
    order_id = world.place()
    until_planned(world)
    world.shops["us"].trash(order_id)
    world.run()
    assert world.in_erp() == {}
    assert world.rows("select state from core.orders") == [{"state": "trashed"}]
    world.shops["us"].restore(order_id)
    world.run()
    assert in_erp(world, order_id)["state"] == "sale"


def test_a_paid_order_is_sent_and_one_that_waits_for_money_is_not(world: World) -> None:
    order_id = world.place(status="on-hold")
    world.run()
    assert world.in_erp() == {}
    world.shops["us"].set_status(order_id, "processing")
    world.run()
    assert in_erp(world, order_id)["state"] == "sale"


# After the ERP accepted it


def test_an_edit_after_acceptance_is_a_conflict_with_its_diff_and_the_erp_keeps_its_order(
    world: World,
) -> None:
    order_id = world.place(lines={"TEA": 2, "MUG": 1})
    world.run()
    before, sent = in_erp(world, order_id), writes(world)
    line = {"id": line_id(world, order_id), "quantity": 3, "total": "29.70", "subtotal": "29.70"}
    world.shops["us"].edit(order_id, line_items=[line])
    world.run()
    assert in_erp(world, order_id) == before
    assert writes(world) == sent
    key = f"product:{line['id']}"
    assert changes(world, order_id) == {
        "net_amount": ("31.8", "41.7"),
        "tax_amount": ("2.31", "3.02"),
        "total_amount": ("34.11", "44.72"),
        f"{key}.quantity": ("2", "3"),
        f"{key}.subtotal_amount": ("19.8", "29.7"),
        f"{key}.net_amount": ("19.8", "29.7"),
        f"{key}.tax_amount": ("1.44", "2.15"),
    }
    (row,) = world.rows("select * from ops.exception")
    assert (row["code"], row["owner_role"]) == ("order.changed_after_acceptance", "operations")
    assert (row["state"], row["amount"], row["sender_ref"]) == ("open", D("44.72"), str(order_id))


def test_an_address_edited_after_acceptance_is_a_conflict_that_names_fields_and_no_home(
    world: World,
) -> None:
    order_id = world.place()
    world.run()
    partners = {key: dict(row) for key, row in world.erp.tables.rows["res.partner"].items()}
    world.shops["us"].edit(order_id, billing={"address_1": "2 Other Road", "phone": "555"})
    world.run()
    assert world.open_codes(f"us:{order_id}") == {"order.changed_after_acceptance"}
    assert changes(world, order_id) == {
        "billing.street": (None, None),
        "billing.phone": (None, None),
    }
    assert world.erp.tables.rows["res.partner"] == partners


def test_an_edit_taken_back_ends_its_conflict(world: World) -> None:
    order_id = world.place()
    world.run()
    world.shops["us"].edit(order_id, billing={"city": "Newtown"})
    world.run()
    assert world.open_codes(f"us:{order_id}") == {"order.changed_after_acceptance"}
    world.shops["us"].edit(order_id, billing={"city": BILLING["city"]})
    world.run()
    assert world.open_codes(f"us:{order_id}") == set()
    assert world.rows("select count(*) as versions from raw.woocommerce__orders") == [
        {"versions": 3}
    ]


def test_an_accepted_order_edited_into_what_the_erp_cannot_hold_is_a_conflict(
    world: World,
) -> None:
    order_id = world.place()
    world.run()
    before = in_erp(world, order_id)
    world.shops["us"].edit(order_id, line_items=[{"sku": "COFFEE", "name": "C", "quantity": 1}])
    world.run()
    assert in_erp(world, order_id) == before
    assert world.open_codes(f"us:{order_id}") != set()


def test_a_status_that_moves_on_is_no_conflict(world: World) -> None:
    order_id = world.place()
    world.run()
    sent = writes(world)
    world.shops["us"].set_status(order_id, "completed")
    world.run()
    assert world.open_codes(f"us:{order_id}") == set()
    assert writes(world) == sent
    assert changes(world, order_id) == {
        "state": ("paid", "completed"),
        "shop_status": ("processing", "completed"),
    }
    (row,) = world.rows(
        "select r.core_version = o.raw_version as is_settled from receipt.sales_orders r "
        "join core.orders o using (order_ref)"
    )
    assert row["is_settled"]


def test_a_note_or_a_touch_without_a_change_is_no_conflict(world: World) -> None:
    order_id = world.place()
    world.run()
    world.shops["us"].edit(order_id, customer_note="ring twice")
    world.run()
    world.shops["us"].edit(order_id)
    world.run()
    assert world.open_codes(f"us:{order_id}") == set()
    assert changes(world, order_id) == {}


def test_a_part_refunded_after_acceptance_is_recorded_and_no_conflict(world: World) -> None:
    order_id = world.place()
    world.run()
    sent = writes(world)
    refund = world.shops["us"].refund(order_id, "10.00", "broken cup")
    world.run()
    assert world.open_codes(f"us:{order_id}") == set()
    assert writes(world) == sent
    assert world.rows("select refunded_amount, total_amount, state from core.orders") == [
        {"refunded_amount": D("10.00"), "total_amount": D("34.11"), "state": "paid"}
    ]
    assert world.rows("select refund_ref, refunded_amount, reason from core.order_refunds") == [
        {"refund_ref": f"us:refund:{refund}", "refunded_amount": D(10), "reason": "broken cup"}
    ]


def test_an_order_refunded_whole_after_acceptance_is_no_conflict_and_not_cancelled(
    world: World,
) -> None:
    order_id = world.place()
    world.run()
    world.shops["us"].refund(order_id, "34.11")
    world.run()
    assert world.rows("select state, refunded_amount from core.orders") == [
        {"state": "refunded", "refunded_amount": D("34.11")}
    ]
    assert in_erp(world, order_id)["state"] == "sale"
    assert world.open_codes(f"us:{order_id}") == set()


def test_a_deleted_refund_is_taken_back_when_the_order_is_read_again(world: World) -> None:
    order_id = world.place()
    refund = world.shops["us"].refund(order_id, "10.00")
    world.run()
    world.shops["us"].delete_refund(order_id, refund)
    world.run()
    assert world.rows("select refunded_amount from core.orders") == [{"refunded_amount": D(0)}]
    assert world.rows("select * from core.order_refunds") == []


def test_an_order_cancelled_after_acceptance_is_cancelled_there_once(world: World) -> None:
    order_id = world.place()
    world.run()
    world.shops["us"].set_status(order_id, "cancelled")
    world.run()
    world.run()
    assert in_erp(world, order_id)["state"] == "cancel"
    assert world.rows("select outcome from receipt.sales_orders") == [{"outcome": "cancelled"}]
    assert world.rows("select count(*) as writes from ops.outbox") == [{"writes": 2}]


def test_an_order_trashed_after_acceptance_is_cancelled_there(world: World) -> None:
    order_id = world.place()
    world.run()
    world.shops["us"].trash(order_id)
    world.run()
    assert in_erp(world, order_id)["state"] == "cancel"


def test_an_order_revived_after_the_erp_cancelled_it_waits_for_a_person(world: World) -> None:
    order_id = world.place()
    world.run()
    world.shops["us"].set_status(order_id, "cancelled")
    world.run()
    world.shops["us"].set_status(order_id, "processing")
    world.run()
    assert in_erp(world, order_id)["state"] == "cancel"
    (row,) = world.rows("select code, message from ops.exception where state = 'open'")
    assert row["code"] == "order.changed_after_acceptance"
    assert row["message"].startswith("cancelled in the ERP, alive in the shop")
