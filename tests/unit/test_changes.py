"""A new version of an order is told apart from the one before, field by field."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from sync_assets.domain.changes import OrderChanges, order_changes

CHANGED_AT = datetime(2026, 3, 1, 10, tzinfo=UTC)


def tables(lines: list[dict[str, Any]] | None = None, **said: Any) -> dict[str, Any]:
    head = {
        "order_ref": "us:7",
        "raw_version": 3,
        "changed_at": CHANGED_AT,
        "state": "pending_payment",
        "total_amount": Decimal("20.00"),
        "paid_at": None,
        "prices_include_tax": False,
        "customer_note": "ring twice",
    }
    return {"orders": [head | said], "order_lines": lines or [], "order_refunds": []}


def line(key: int, **said: Any) -> dict[str, Any]:
    return {"line_ref": f"us:7:product:{key}", "sku": "MUG", "quantity": Decimal(2)} | said


def told(before: Any, after: Any) -> list[tuple[str, str | None, str | None]]:
    return [(row["field"], row["before"], row["after"]) for row in order_changes(before, after)]


def test_a_changed_field_is_one_row_of_the_new_version() -> None:
    changes = order_changes(tables(raw_version=2), tables(state="paid"))

    assert changes == [
        {
            "order_ref": "us:7",
            "raw_version": 3,
            "changed_at": CHANGED_AT,
            "field": "state",
            "before": "pending_payment",
            "after": "paid",
        }
    ]


def test_a_first_version_changes_nothing() -> None:
    assert order_changes(None, tables()) == []


def test_the_same_values_written_otherwise_are_no_change() -> None:
    east = timezone(timedelta(hours=1))
    before = tables(total_amount=Decimal("20.000000"), paid_at=CHANGED_AT.astimezone(east))

    assert order_changes(before, tables(paid_at=CHANGED_AT)) == []


def test_a_shops_touch_without_a_change_leaves_no_trace() -> None:
    later = CHANGED_AT + timedelta(minutes=1)

    assert order_changes(tables(), tables(changed_at=later, raw_version=4)) == []


def test_what_a_person_wrote_is_not_repeated() -> None:
    assert order_changes(tables(), tables(customer_note="ring once")) == []


def test_amounts_and_moments_are_told_as_text() -> None:
    after = tables(total_amount=Decimal("1200.50"), paid_at=CHANGED_AT, prices_include_tax=True)

    assert told(tables(), after) == [
        ("prices_include_tax", "no", "yes"),
        ("paid_at", None, "2026-03-01T10:00:00+00:00"),
        ("total_amount", "20", "1200.5"),
    ]


def test_lines_that_came_went_or_changed_are_told_by_their_key() -> None:
    before = tables([line(1), line(2)])
    after = tables([line(1, quantity=Decimal("3.000000")), line(10)])

    assert told(before, after) == [
        ("product:1.quantity", "2", "3"),
        ("product:10.sku", None, "MUG"),
        ("product:10.quantity", None, "2"),
        ("product:2.sku", "MUG", None),
        ("product:2.quantity", "2", None),
    ]


def test_a_refund_is_a_change() -> None:
    after = tables()
    after["order_refunds"] = [{"refund_ref": "us:refund:9", "refunded_amount": Decimal("5.00")}]

    assert told(tables(), after) == [("refund:9.refunded_amount", None, "5")]


def test_changes_fit_their_table() -> None:
    changes = order_changes(tables([line(1)]), tables([line(2)], state="paid"))

    assert len(OrderChanges.validate(OrderChanges.frame(changes))) == 5
