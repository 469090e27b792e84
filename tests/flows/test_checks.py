"""Checks: they pass on good data, fail on bad data by name, and stop what comes after."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from checks import agreement, freshness, leftovers, schemas
from sync_assets import jobs
from tests.runs import Runs, failures, shown
from tests.worlds import World

PLAN = dg.AssetKey(["plan", "odoo", "sales_orders"])


@pytest.fixture
def runs(world: World) -> Iterator[Runs]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(world, instance)


# ---------------------------------------------------------------- schemas


def rich_order(world: World) -> int:
    """An order with a coupon, a partial refund and shipping."""
    order_id = world.place(
        lines={"TEA": 2},
        coupon_lines=[{"code": "spring", "discount": "1.00"}],
        shipping_lines=[{"method_title": "Parcel", "total": "4.50"}],
    )
    world.shops["us"].refund(order_id, Decimal("2.00"), "broken")
    return order_id


BREAKAGES = {
    "orders": ("state = 'nonsense'", "state"),
    "order_lines": ("kind = 'gift'", "kind"),
    "order_taxes": ("currency = 'usd'", "currency"),
    "order_discounts": ("currency = 'DOLLAR'", "currency"),
    "order_refunds": ("refunded_amount = -1", "refunded_amount"),
    "order_addresses": ("role = 'pick up'", "role"),
}


def test_every_schema_check_passes_on_good_rows_and_fails_on_a_broken_one(
    world: World, runs: Runs
) -> None:
    ref = f"us:{rich_order(world)}"
    world.run()
    good = runs.schema_checks()
    assert set(good) == set(schemas.TABLES)
    assert all(check.passed for check in good.values())
    assert shown(good["order_discounts"])["rows"] == 1

    for name, (change, _) in BREAKAGES.items():
        first = f"ctid = (select min(ctid) from core.{name})"
        assert world.execute(f"update core.{name} set {change} where {first}") == 1
    bad = runs.schema_checks()

    assert {name for name, check in bad.items() if not check.passed} == set(BREAKAGES)
    for name, (_, column) in BREAKAGES.items():
        told = shown(bad[name])
        assert (told["faults"], told["columns"]) == (1, column)
    assert shown(bad["orders"])["keys"] == ref
    assert shown(bad["order_addresses"])["keys"] == f"{ref}/pick up"
    assert shown(bad["order_refunds"])["keys"].startswith("us:")


def test_a_failed_check_tells_twenty_keys_at_most_and_no_row(world: World, runs: Runs) -> None:
    ids = [world.place() for _ in range(25)]
    world.run()
    world.execute("update core.orders set currency = 'dollars', customer_note = 'call me'")
    told = shown(runs.schema_checks()["orders"])
    assert (told["rows"], told["faults"]) == (25, 25)
    assert told["keys"].split(", ") == sorted(f"us:{n}" for n in ids)[:20]
    assert not {"Ada", "ada@example.com", "call me"} & set(str(told).split(", "))


def test_a_plan_refuses_to_start_from_a_table_whose_last_check_failed(
    world: World, runs: Runs
) -> None:
    bad, good = world.place(), world.place()
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    broken = "update core.orders set state = :state where order_ref = :ref"
    world.execute(broken, state="nonsense", ref=f"us:{bad}")
    assert not runs.schema_checks()["orders"].passed

    refused = runs(jobs.ORDERS, PLAN)
    assert not refused.success
    assert failures(refused)["plan__odoo__sales_orders"].description == (
        "The last check failed for core.orders (1 rows); mend the rows or the rule, run the "
        "check again, then plan."
    )
    assert world.rows("select * from plan.sales_orders") == []

    world.execute(broken, state="paid", ref=f"us:{bad}")
    assert not runs(jobs.ORDERS, PLAN).success  # nobody has looked again yet
    assert runs.schema_checks()["orders"].passed
    assert runs(jobs.ORDERS, PLAN).success
    planned = world.rows("select order_ref, action from plan.sales_orders order by 1")
    assert planned == [
        {"order_ref": f"us:{bad}", "action": "create"},
        {"order_ref": f"us:{good}", "action": "create"},
    ]


def test_good_rows_of_a_later_run_do_not_clear_a_bad_one(world: World, runs: Runs) -> None:
    bad = world.place()
    world.clock.forward(seconds=2)
    assert runs(jobs.DRY_RUN).success
    world.execute("update core.orders set state = 'nonsense' where order_ref = :r", r=f"us:{bad}")
    assert not runs.schema_checks()["orders"].passed

    world.clock.forward(minutes=1)
    world.place()
    world.clock.forward(seconds=2)
    result = runs(jobs.ORDERS)

    assert not result.success
    failed = [c for c in result.get_asset_check_evaluations() if not c.passed]
    assert [(c.check_name, shown(c)["keys"]) for c in failed] == [
        ("orders_keep_their_schema", f"us:{bad}")
    ]
    assert world.rows("select count(*) as n from core.orders") == [{"n": 2}]
    assert world.erp.order_count() == 0


def looked_at(result: dg.ExecuteInProcessResult) -> int:
    """How many addresses a run's check looked at."""
    (check,) = [
        one
        for one in result.get_asset_check_evaluations()
        if one.check_name == "order_addresses_keep_their_schema"
    ]
    return int(shown(check)["rows"])


def test_a_run_looks_at_its_own_rows_and_once_a_day_at_all(world: World, runs: Runs) -> None:
    first = world.place()
    world.clock.forward(seconds=2)
    of_one = looked_at(runs(jobs.DRY_RUN))  # never looked at before
    world.place()
    world.clock.forward(seconds=2)
    assert looked_at(runs(jobs.DRY_RUN)) == of_one > 0
    world.clock.forward(hours=1)
    broken = "update core.order_addresses set role = 'pick up' where order_ref = :ref"
    world.execute(broken, ref=f"us:{first}")
    idle = runs(jobs.DRY_RUN)
    assert (idle.success, looked_at(idle)) == (True, 0)

    world.clock.forward(days=1)
    hurried = runs(jobs.ORDERS_NOW)
    assert (hurried.success, looked_at(hurried)) == (True, 0)
    daily = runs(jobs.DRY_RUN)
    assert (daily.success, looked_at(daily)) == (False, 2 * of_one)
    assert looked_at(runs(jobs.ORDERS_NOW)) == 2 * of_one  # until it is mended, nobody looks away


# ---------------------------------------------------------------- shop and core


@pytest.fixture
def synced(world: World) -> World:
    """Three orders of one store and one of another, all accepted."""
    for _ in range(3):
        world.place()
    world.place("uk")
    world.run()
    assert world.erp.order_count() == 4
    return world


def refs(world: World, store: str = "us") -> list[str]:
    query = "select order_ref from core.orders where store = :store order by 1"
    return [row["order_ref"] for row in world.rows(query, store=store)]


def shop_check(world: World) -> dict[str, Any]:
    answer = agreement.shop_and_core(systems=world.systems)
    assert isinstance(answer, dg.AssetCheckResult)
    return {"passed": answer.passed, **shown(answer)}


def erp_check(world: World) -> dict[str, Any]:
    answer = agreement.core_and_erp("odoo")(systems=world.systems)
    assert isinstance(answer, dg.AssetCheckResult)
    return {"passed": answer.passed, **shown(answer)}


AGREED = {
    "passed": True,
    "compared": 4,
    "under_way": 0,
    "missing": 0,
    "extra": 0,
    "doubled": 0,
    "different": 0,
    "unequal_sums": 0,
}


def test_all_sides_agree_after_a_run(synced: World) -> None:
    assert shop_check(synced) == AGREED
    assert erp_check(synced) == AGREED


def test_an_order_missing_in_core_is_named_and_the_sums_differ(synced: World) -> None:
    lost, *_ = refs(synced)
    synced.execute("delete from core.orders where order_ref = :ref", ref=lost)
    found = shop_check(synced)
    assert (found["passed"], found["missing"], found["missing_keys"]) == (False, 1, lost)
    assert (found["extra"], found["unequal_sums"]) == (0, 1)
    assert found["sums"] == {"us USD 2026-03-02": "102.33 against 68.22"}


def test_an_order_no_shop_knows_is_extra(synced: World) -> None:
    gone = refs(synced)[0]
    synced.shops["us"].delete(int(gone.split(":")[1]))
    found = shop_check(synced)
    assert (found["passed"], found["extra_keys"], found["missing"]) == (False, gone, 0)


def test_a_trashed_order_is_no_difference(synced: World) -> None:
    synced.shops["us"].trash(int(refs(synced)[0].split(":")[1]))
    synced.run()
    assert shop_check(synced) == {**AGREED, "compared": 3}


def test_another_total_in_core_is_named(synced: World) -> None:
    wrong = refs(synced)[1]
    synced.execute(
        "update core.orders set total_amount = total_amount + 1, net_amount = net_amount + 1 "
        "where order_ref = :ref",
        ref=wrong,
    )
    found = shop_check(synced)
    assert (found["passed"], found["different_keys"], found["unequal_sums"]) == (False, wrong, 1)


def test_an_order_moved_to_another_day_shows_in_the_sums_alone(synced: World) -> None:
    synced.execute(
        "update core.orders set placed_at = placed_at + interval '1 day' where order_ref = :ref",
        ref=refs(synced, "uk")[0],
    )
    found = shop_check(synced)
    assert (found["passed"], found["missing"], found["different"]) == (False, 0, 0)
    assert found["sums"] == {
        "uk GBP 2026-03-02": "38.16 against 0",
        "uk GBP 2026-03-03": "0 against 38.16",
    }


def test_an_order_set_aside_with_a_reason_is_accounted_for(synced: World) -> None:
    synced.place("us", status="pre-ordered")
    synced.run()
    (aside,) = synced.rows("select subject_ref, code from ops.exception where state = 'open'")
    assert aside["code"] == "order.unknown_state"
    assert aside["subject_ref"] not in refs(synced)
    assert shop_check(synced) == AGREED


def test_an_order_changed_since_the_last_reading_is_under_way_and_not_a_difference(
    synced: World,
) -> None:
    synced.shops["us"].edit(int(refs(synced)[0].split(":")[1]), customer_note="changed")
    synced.place("us")
    found = shop_check(synced)
    assert found == {**AGREED, "compared": 3, "under_way": 2}
    synced.run()
    assert shop_check(synced) == {**AGREED, "compared": 5}


def test_a_store_that_was_never_read_misses_everything(world: World) -> None:
    ref = f"us:{world.place()}"
    found = shop_check(world)
    assert (found["passed"], found["missing_keys"], found["under_way"]) == (False, ref, 0)


def test_a_store_that_does_not_answer_is_told_and_the_others_are_compared(synced: World) -> None:
    synced.shops["us"].key = "another"
    found = shop_check(synced)
    assert (found["passed"], found["compared"], found["missing"]) == (False, 1, 0)
    assert found["unreadable"].startswith("woocommerce:us: the shop does not accept the key")


def test_no_more_than_twenty_keys_are_told(world: World) -> None:
    ids = [world.place() for _ in range(23)]
    found = shop_check(world)
    assert found["missing"] == 23
    assert found["missing_keys"].split(", ") == sorted(f"us:{n}" for n in ids)[:20]


# ---------------------------------------------------------------- core and ERP


def in_erp(world: World, ref: str) -> dict[str, Any]:
    (order,) = world.in_erp()[ref]
    return order


def test_an_order_deleted_in_the_erp_is_missing(synced: World) -> None:
    ref = refs(synced)[0]
    synced.erp.tables.delete("sale.order", in_erp(synced, ref)["id"])
    found = erp_check(synced)
    assert (found["passed"], found["missing_keys"], found["compared"]) == (False, ref, 3)
    assert found["sums"] == {"odoo USD 2026-03-02": "102.33 against 68.22"}


def test_an_order_cancelled_in_the_erp_by_hand_is_missing(synced: World) -> None:
    ref = refs(synced)[0]
    with synced.erp.writing():
        synced.erp.tables.change("sale.order", in_erp(synced, ref)["id"], {"state": "cancel"})
    assert erp_check(synced)["missing_keys"] == ref


def test_an_order_taken_back_to_draft_in_the_erp_is_different(synced: World) -> None:
    ref = refs(synced)[0]
    with synced.erp.writing():
        synced.erp.tables.change("sale.order", in_erp(synced, ref)["id"], {"state": "draft"})
    found = erp_check(synced)
    assert (found["passed"], found["different_keys"]) == (False, ref)


def test_a_twin_in_the_erp_is_doubled(synced: World) -> None:
    ref = refs(synced)[0]
    row = synced.erp.tables.rows["sale.order"][in_erp(synced, ref)["id"]]
    with synced.erp.writing():
        synced.erp.tables.insert("sale.order", dict(row))
    found = erp_check(synced)
    assert (found["passed"], found["doubled"], found["doubled_keys"]) == (False, 1, ref)


def test_a_total_edited_in_the_erp_is_different(synced: World) -> None:
    ref = refs(synced)[0]
    line = in_erp(synced, ref)["lines"][0]["id"]
    with synced.erp.writing():
        synced.erp.db.write("sale.order.line", [line], {"price_unit": "1.00"}, {})
        synced.erp.sales.settle()
    found = erp_check(synced)
    assert (found["passed"], found["different_keys"], found["unequal_sums"]) == (False, ref, 1)


def test_an_order_that_should_not_be_in_the_erp_is_extra(world: World) -> None:
    ref = f"us:{world.place(status='pending')}"
    other = f"us:{world.place()}"
    world.run()
    row = world.erp.tables.rows["sale.order"][in_erp(world, other)["id"]]
    with world.erp.writing():
        world.erp.tables.insert("sale.order", {**row, "client_order_ref": ref})
    found = erp_check(world)
    assert (found["passed"], found["extra_keys"], found["compared"]) == (False, ref, 1)


def test_an_order_cancelled_on_both_sides_agrees_and_one_revived_there_is_extra(
    synced: World,
) -> None:
    ref = refs(synced)[0]
    synced.shops["us"].set_status(int(ref.split(":")[1]), "cancelled")
    synced.run_until_quiet()
    assert in_erp(synced, ref)["state"] == "cancel"
    assert erp_check(synced) == {**AGREED, "compared": 3}
    with synced.erp.writing():
        synced.erp.tables.change("sale.order", in_erp(synced, ref)["id"], {"state": "sale"})
    assert erp_check(synced)["extra_keys"] == ref


def test_a_held_order_is_no_difference(synced: World) -> None:
    held = f"us:{synced.place(lines={'NOPE': 1})}"
    synced.run()
    assert synced.open_codes(held) == {"order.sku_unknown"}
    assert erp_check(synced) == AGREED


def test_a_write_under_way_is_counted_and_not_a_difference(synced: World) -> None:
    synced.erp.refuse("no credit")
    ref = f"us:{synced.place()}"
    synced.run()
    assert synced.outbox()[ref] == "parked"
    assert erp_check(synced) == {**AGREED, "under_way": 1}


def test_an_order_edited_after_acceptance_is_an_exception_and_not_a_second_alarm(
    synced: World,
) -> None:
    ref = refs(synced)[0]
    order_id = int(ref.split(":")[1])
    line = synced.shops["us"].order_json(order_id)["line_items"][0]["id"]
    more = {"id": line, "quantity": 3, "subtotal": "29.70", "total": "29.70"}
    synced.shops["us"].edit(order_id, line_items=[more])
    synced.run()
    assert synced.rows("select total_amount from core.orders where order_ref = :r", r=ref) != [
        {"total_amount": Decimal("34.11")}
    ]
    assert synced.open_codes(ref) == {"order.changed_after_acceptance"}
    assert erp_check(synced) == AGREED
    assert shop_check(synced) == AGREED


# ---------------------------------------------------------------- refunds, freshness, leftovers


def test_a_refund_above_the_order_is_named(synced: World) -> None:
    ref = refs(synced)[0]
    good = agreement.refunds_within_orders(systems=synced.systems)
    assert isinstance(good, dg.AssetCheckResult)
    assert good.passed
    synced.execute(
        "insert into core.order_refunds (refund_ref, order_ref, currency, refunded_amount) "
        "values ('us:refund:1', :ref, 'USD', 34.12)",
        ref=ref,
    )
    bad = agreement.refunds_within_orders(systems=synced.systems)
    assert isinstance(bad, dg.AssetCheckResult)
    assert (bad.passed, shown(bad)) == (False, {"orders": 1, "keys": ref})


def test_a_store_is_late_when_it_was_not_read_to_the_end_for_fifteen_minutes(world: World) -> None:
    assert freshness.late_stores(world.systems) == ["uk", "us"]
    world.run()
    world.clock.forward(minutes=14)
    assert freshness.late_stores(world.systems) == []
    world.clock.forward(seconds=1)
    answer = freshness.every_store_was_heard(systems=world.systems)
    assert isinstance(answer, dg.AssetCheckResult)
    assert (answer.passed, answer.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert shown(answer) == {"stores": 2, "late": "uk, us"}


def test_a_reading_that_broke_off_does_not_count_as_heard(world: World) -> None:
    world.run()
    world.clock.forward(hours=1)
    world.execute("update ops.watermark set updated_at = :now", now=world.clock())
    assert freshness.late_stores(world.systems) == ["uk", "us"]


def test_overdue_exceptions_and_parked_writes_are_listed(world: World) -> None:
    world.erp.refuse("no credit")
    parked, held = f"us:{world.place()}", f"us:{world.place(lines={'NOPE': 1})}"
    world.run()
    world.clock.forward(hours=23)
    first = leftovers.nothing_is_overdue(systems=world.systems)
    assert isinstance(first, dg.AssetCheckResult)
    assert (first.passed, first.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert shown(first) == {
        "overdue": 0,
        "overdue_keys": "",
        "parked": 1,
        "parked_keys": parked,
    }
    world.clock.forward(hours=1)
    second = leftovers.nothing_is_overdue(systems=world.systems)
    assert isinstance(second, dg.AssetCheckResult)
    assert shown(second)["overdue_keys"] == f"{parked}, {held}"


def test_nothing_left_over_passes(synced: World) -> None:
    answer = leftovers.nothing_is_overdue(systems=synced.systems)
    assert isinstance(answer, dg.AssetCheckResult)
    assert answer.passed
