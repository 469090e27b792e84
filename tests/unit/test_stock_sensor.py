"""When a run of the stock starts: rules on what is pending, and how often systems are asked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sensors import pending
from sensors.pending import Pending
from sensors.stock import arrived, intervals, sold
from tests.worlds import deployment

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUIET = Pending(NOW)


@pytest.mark.parametrize(
    ("seen", "reasons"),
    [
        (QUIET, []),
        (
            replace(QUIET, product_hints={"us": 3, "uk": 1}),
            ["1 product deliveries of uk", "3 product deliveries of us"],
        ),
        (replace(QUIET, stale={"stock_reading": 4}), ["4 items are to be read again"]),
        (replace(QUIET, stale={"availability": 40}, stock_writes={"us": 2}), []),
        (replace(QUIET, product_hints={"us": 3}, is_running=True), []),
        (replace(QUIET, hints={"us": 1}, unmapped=2, due_writes={"odoo": 1}), []),
    ],
)
def test_systems_are_asked_for_products_that_are_named_and_for_what_moved(
    seen: Pending, reasons: list[str]
) -> None:
    assert arrived(seen) == reasons


@pytest.mark.parametrize(
    ("seen", "reasons"),
    [
        (QUIET, []),
        (replace(QUIET, stale={"availability": 40}), ["40 keys of availability are stale"]),
        (replace(QUIET, stock_writes={"us": 2}), ["2 numbers to us"]),
        (replace(QUIET, stale={"stock_reading": 4}, product_hints={"us": 3}), []),
        (replace(QUIET, stale={"availability": 40}, is_running=True), []),
    ],
)
def test_numbers_are_worked_out_for_what_is_stale_and_sent_when_due(
    seen: Pending, reasons: list[str]
) -> None:
    assert sold(seen) == reasons


def test_every_erp_and_store_is_asked_within_the_poll_interval() -> None:
    polls = intervals(deployment())
    assert {(one.source, one.stream, one.every) for one in polls} == {
        ("odoo", "stock_moves", timedelta(seconds=60)),
        ("us", "products", timedelta(seconds=60)),
        ("uk", "products", timedelta(seconds=60)),
    }
    asked = {(one.source, one.stream): NOW - timedelta(seconds=59) for one in polls}
    assert pending.late(replace(QUIET, asked_at=asked), polls) == []
    asked["odoo", "stock_moves"] = NOW - timedelta(seconds=60)
    assert pending.late(replace(QUIET, asked_at=asked), polls) == [
        "odoo was not asked for stock_moves since 2026-03-02 08:59:00 UTC"
    ]
