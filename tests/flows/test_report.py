"""What the database tells people: status, sums, and plain values."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from resources.store.engine import connected
from sync_assets.ops import report
from tests.worlds import START, World


def status(world: World) -> dict[str, Any]:
    with connected(world.systems.engine) as connection:
        return report.status(connection, world.clock())


def test_an_empty_database_has_nothing_to_tell(world: World) -> None:
    found = status(world)
    assert found.pop("at") == START
    assert found.pop("unmapped") == 0
    assert all(part == [] for part in found.values())


def test_status_tells_how_far_each_stream_was_read(world: World) -> None:
    world.run()
    world.clock.forward(seconds=30)
    streams = status(world)["streams"]
    assert [(one["source"], one["stream"]) for one in streams] == [
        ("odoo", "items"),
        ("uk", "orders"),
        ("uk", "orders_trashed"),
        ("us", "orders"),
        ("us", "orders_trashed"),
    ]
    assert {one["lag_seconds"] for one in streams} == {90}


def test_status_counts_orders_and_money_by_their_place_in_the_pipeline(world: World) -> None:
    world.place()
    world.place()
    world.place(status="on-hold")
    world.place(lines={"NOPE": 2})
    world.place("uk", status="cancelled")
    world.run()
    rows = status(world)["orders"]
    shown = {
        (r["store"], r["pipeline_state"]): (r["orders"], r["shop_total"], r["erp_total"])
        for r in rows
    }
    assert shown == {
        ("us", "accepted"): (2, Decimal("68.22"), Decimal("68.22")),
        ("us", "awaiting_payment"): (1, Decimal("34.11"), None),
        ("us", "held"): (1, Decimal("10.73"), None),
        ("uk", "not_wanted"): (1, Decimal("38.16"), None),
    }


def test_status_tells_what_waits_and_for_whom(world: World) -> None:
    world.erp.refuse("no credit")
    world.place()
    world.place(lines={"NOPE": 1})
    world.run()
    world.clock.forward(hours=25)
    found = status(world)
    assert [(one["system"], one["state"], one["writes"]) for one in found["outbox"]] == [
        ("odoo", "parked", 1)
    ]
    assert {
        (one["code"], one["owner_role"], one["open"], one["overdue"]) for one in found["exceptions"]
    } == {("erp.refused", "operations", 1, 1), ("order.sku_unknown", "operations", 1, 1)}


def test_what_is_read_and_not_mapped_is_counted(world: World) -> None:
    world.place()
    world.clock.forward(seconds=2)
    world.read()
    assert status(world)["unmapped"] == 1
    world.core()
    assert status(world)["unmapped"] == 0


def test_sums_stand_per_currency_and_only_for_what_was_accepted(world: World) -> None:
    world.place()
    world.place(lines={"NOPE": 1})
    world.place("uk")
    world.run()
    with connected(world.systems.engine) as connection:
        rows = report.sums(connection)
        held = report.held_by_reason(connection)
    assert rows == [
        {
            "currency": "GBP",
            "core_orders": 1,
            "core_total": Decimal("38.16"),
            "accepted_orders": 1,
            "accepted_total": Decimal("38.16"),
            "erp_total": Decimal("38.16"),
        },
        {
            "currency": "USD",
            "core_orders": 2,
            "core_total": Decimal("39.47"),
            "accepted_orders": 1,
            "accepted_total": Decimal("34.11"),
            "erp_total": Decimal("34.11"),
        },
    ]
    assert held == {"order.sku_unknown": 1}


def test_an_order_with_two_reasons_counts_under_both_and_once_per_reason(world: World) -> None:
    world.place(lines={"NOPE": 1, "NADA": 1}, billing={"first_name": "A"})
    world.run()
    with connected(world.systems.engine) as connection:
        found = report.held_by_reason(connection)
    assert found == {"order.address_missing": 1, "order.sku_unknown": 1}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("34.110000"), "34.11"),
        (Decimal("1E+3"), "1000.00"),
        (Decimal("0.000000"), "0.00"),
        (Decimal("-0.5"), "-0.50"),
        (Decimal("1.005000"), "1.005"),
        (datetime(2026, 3, 2, 9, tzinfo=UTC), "2026-03-02T09:00:00+00:00"),
        ({"a": [Decimal("1"), None, True]}, {"a": ["1.00", None, True]}),
        ((1, "x"), [1, "x"]),
    ],
)
def test_values_for_programs_are_exact_and_plain(value: object, expected: object) -> None:
    assert report.plain(value) == expected
