"""Service levels: which promise is kept, late or broken, and the sentence that says so."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sync_assets.domain.service_levels import (
    BACKLOG,
    EXCEPTION_AGE,
    LEVELS,
    ORDER_ACCEPTANCE,
    RELEASE_ACKNOWLEDGEMENT,
    SHIPMENT_CONFIRMATION,
    SOURCE_SILENCE,
    STOCK_FRESHNESS,
    Case,
    Facts,
    LateStock,
    Level,
    OpenException,
    OpenRequest,
    Promises,
    Queue,
    ServiceLevel,
    Source,
    State,
    WaitingOrder,
    at_stake,
    judge,
    judged,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def order(number: int, minutes: float, *, is_held: bool = False) -> WaitingOrder:
    return WaitingOrder(f"us:{number}", ago(minutes=minutes), Decimal("34.11"), "USD", is_held)


def level(which: ServiceLevel, promises: Promises | None = None, **facts: object) -> Level:
    return judge(which, Facts(NOW, **facts), promises or Promises())  # type: ignore[arg-type]


# ---------------------------------------------------------------- order acceptance


def test_without_waiting_orders_the_promise_is_kept() -> None:
    found = level(ORDER_ACCEPTANCE)
    assert (found.state, found.value, found.threshold) == (State.OK, 0, 15)
    assert found.sentence == "No order waits for its ERP."
    assert found.worst == found.breached == ()


@pytest.mark.parametrize(
    ("minutes", "state"),
    [(0, "ok"), (12, "ok"), (12.1, "late"), (15, "late"), (15.1, "breached"), (900, "breached")],
)
def test_a_promise_is_late_from_four_fifths_on_and_broken_beyond_it(
    minutes: float, state: str
) -> None:
    assert level(ORDER_ACCEPTANCE, orders=[order(7, minutes)]).state == state


def test_the_oldest_order_is_named_and_the_late_ones_are_counted() -> None:
    found = level(ORDER_ACCEPTANCE, orders=[order(1, 3), order(2, 42), order(3, 20)])
    assert found.sentence == (
        "Orders waiting for their ERP: 2 of 3 for longer than promised; the first is us:2 with 42 "
        "of 15 minutes."
    )
    assert [one.key for one in found.worst] == ["us:2", "us:3", "us:1"]
    assert [one.key for one in found.breached] == ["us:2", "us:3"]
    assert at_stake(found.breached) == "68.22 USD"


def test_an_order_that_waits_for_a_person_is_counted_apart_and_breaks_nothing() -> None:
    found = level(ORDER_ACCEPTANCE, orders=[order(1, 3), order(2, 9000, is_held=True)])
    assert (found.state, found.total) == (State.OK, 1)
    assert found.sentence == (
        "Orders waiting for their ERP: 1; the first is us:1 with 3 of 15 minutes. Waiting for a "
        "person, with a reason: 1."
    )


def test_no_more_than_twenty_keys_are_named_and_all_are_counted() -> None:
    found = level(ORDER_ACCEPTANCE, orders=[order(n, 100 + n) for n in range(50)])
    assert [one.key for one in found.worst] == [f"us:{n}" for n in range(49, 29, -1)]
    assert len(found.breached) == 50
    assert found.sentence.startswith("Orders waiting for their ERP: 50 of 50 for")


def test_an_order_from_the_future_waits_no_time() -> None:
    assert level(ORDER_ACCEPTANCE, orders=[order(1, -5)]).value == 0


# ---------------------------------------------------------------- exceptions


def exception(key: str, role: str, hours: float) -> OpenException:
    return OpenException(key, role, ago(hours=hours), ago(hours=hours - 24), Decimal(10), "EUR")


def test_each_role_has_its_own_time() -> None:
    promises = Promises(exception_hours=24, exception_hours_by_role={"finance": 72})
    found = level(
        EXCEPTION_AGE,
        promises,
        exceptions=[exception("us:1", "finance", 60), exception("us:2", "support", 25)],
    )
    assert [(one.key, one.limit) for one in found.breached] == [("us:2", 24)]
    assert found.sentence == (
        "Open exceptions: 1 of 2 for longer than their owners may take; the first is us:2 with 25 "
        "of 24 hours (for support)."
    )


def test_what_is_nearest_to_its_own_limit_comes_first() -> None:
    promises = Promises(exception_hours=24, exception_hours_by_role={"finance": 100})
    found = level(
        EXCEPTION_AGE,
        promises,
        exceptions=[exception("us:1", "finance", 60), exception("us:2", "support", 23)],
    )
    assert [one.key for one in found.worst] == ["us:2", "us:1"]
    assert (found.state, found.threshold) == (State.LATE, 24)


# ---------------------------------------------------------------- sources


def test_a_store_that_was_not_read_for_too_long_is_silent() -> None:
    found = level(
        SOURCE_SILENCE, sources=[Source("uk", ago(minutes=5)), Source("us", ago(hours=2))]
    )
    assert [(one.key, one.value) for one in found.breached] == [("us", 120)]
    assert found.sentence == (
        "Sources watched: 1 of 2 silent; the first is us with 120 of 60 minutes (reading)."
    )


def test_a_store_that_was_never_read_is_worse_than_any() -> None:
    found = level(SOURCE_SILENCE, sources=[Source("us", ago(days=9)), Source("uk")])
    assert (found.state, found.value) == (State.BREACHED, None)
    assert found.sentence == "Sources watched: 2 of 2 silent; the first is uk with never (reading)."


def test_a_shop_whose_changes_come_by_delta_alone_loses_webhooks() -> None:
    store = Source(
        "us", ago(minutes=1), delivered_at=ago(hours=3), delivers=True, brought_by_delta=4
    )
    found = level(SOURCE_SILENCE, sources=[store])
    assert found.state == State.BREACHED
    assert found.sentence == (
        "Sources watched: 1 of 2 silent; the first is us webhooks with 180 of 60 minutes (it loses "
        "webhooks; changes that came by delta alone: 4)."
    )


def test_a_shop_that_has_nothing_to_tell_is_quiet_and_not_silent() -> None:
    store = Source("us", ago(minutes=1), delivered_at=ago(hours=9), delivers=True)
    assert level(SOURCE_SILENCE, sources=[store]).state == State.OK


def test_a_shop_without_webhooks_loses_none() -> None:
    store = Source("us", ago(minutes=1), brought_by_delta=400)
    assert level(SOURCE_SILENCE, sources=[store]).state == State.OK


def test_webhooks_that_did_not_come_within_a_day_are_told_as_a_day() -> None:
    store = Source("us", ago(minutes=1), delivers=True, brought_by_delta=1)
    (case,) = level(SOURCE_SILENCE, sources=[store]).breached
    assert (case.value, case.since_at) == (1440, NOW)


@pytest.mark.parametrize(("then", "state"), [("", "ok"), ("yesterday", "breached")])
def test_a_sender_that_cannot_be_read_is_silent_when_it_delivered_at_this_hour_before(
    then: str, state: str
) -> None:
    sender = Source(
        "stripe", is_read=False, delivers=True, delivered_at=ago(minutes=75), heard_then=then
    )
    assert level(SOURCE_SILENCE, sources=[sender]).state == state


# ---------------------------------------------------------------- backlog


def test_a_backlog_is_judged_for_each_system() -> None:
    found = level(
        BACKLOG,
        queues=[Queue("odoo", 1200, ago(minutes=35)), Queue("tryton", 900, ago(minutes=1))],
    )
    assert [one.key for one in found.breached] == ["odoo"]
    assert found.sentence == (
        "Systems with writes to take: 1 of 2 with more than promised; the first is odoo with 1,200 "
        "of 1,000 writes."
    )


def test_a_backlog_of_a_paused_system_says_so() -> None:
    found = level(BACKLOG, queues=[Queue("odoo", 1200, ago(minutes=35), is_paused=True)])
    assert found.sentence.endswith("with 1,200 of 1,000 writes (paused).")


# ---------------------------------------------------------------- stock freshness


def test_stock_is_as_late_as_the_oldest_thing_that_waits() -> None:
    stock = [
        LateStock("availability", ago(minutes=3), 40),
        LateStock("stock of us", ago(minutes=6), 2),
    ]
    found = level(STOCK_FRESHNESS, stock=stock)
    assert (found.state, found.value, [one.key for one in found.breached]) == (
        "breached",
        6,
        ["stock of us"],
    )
    assert found.sentence == (
        "Queues of stock with something waiting: 1 of 2 for longer than promised; the first is "
        "stock of us with 6 of 5 minutes (2 waiting)."
    )


def test_numbers_of_a_paused_store_say_so() -> None:
    stock = [LateStock("stock of us", ago(minutes=6), 2, is_paused=True)]
    assert "(paused)" in level(STOCK_FRESHNESS, stock=stock).sentence


# ---------------------------------------------------------------- all


def request(number: int, minutes: float, **more: object) -> OpenRequest:
    """A request that was released so long ago."""
    ref, at = f"us:{number}", ago(minutes=minutes)
    return OpenRequest(f"{ref}:f1", ref, "north", at, **more)  # type: ignore[arg-type]


def test_each_warehouse_has_its_own_time_to_acknowledge() -> None:
    found = level(
        RELEASE_ACKNOWLEDGEMENT,
        requests=[
            request(1, 20, acknowledge_minutes=15),
            request(2, 20, acknowledge_minutes=60),
            request(3, 90, acknowledge_minutes=15, acknowledged_at=ago(minutes=80)),
        ],
    )
    assert (found.state, found.total) == ("breached", 2)
    assert [(one.key, one.note) for one in found.breached] == [("us:1:f1", "north")]
    assert level(RELEASE_ACKNOWLEDGEMENT).sentence == (
        "No warehouse is asked for something it has not acknowledged."
    )


def test_a_request_is_late_by_what_its_policy_promised_else_by_the_configuration() -> None:
    found = level(
        SHIPMENT_CONFIRMATION,
        Promises(shipment_confirmation_hours=24),
        requests=[
            request(1, 5 * 60, ship_by_at=ago(minutes=60)),
            request(2, 5 * 60, ship_by_at=ago(minutes=-60)),
            request(3, 25 * 60),
            request(4, 23 * 60),
        ],
    )
    assert found.state == "breached"
    assert [(one.key, one.limit) for one in found.breached] == [("us:1:f1", 4), ("us:3:f1", 24)]
    assert found.total == 4


def test_a_request_promised_before_it_was_released_is_late_at_once() -> None:
    found = level(SHIPMENT_CONFIRMATION, requests=[request(1, 10, ship_by_at=ago(minutes=30))])
    assert [one.key for one in found.breached] == ["us:1:f1"]


def test_every_level_is_judged_and_kept_where_nothing_ever_happened() -> None:
    found = judged(Facts(NOW), Promises())
    assert [(one.name, one.state) for one in found] == [(one.name, "ok") for one in LEVELS]
    assert {one.name for one in found} == {
        "order_acceptance",
        "source_silence",
        "stock_freshness",
        "release_acknowledgement",
        "shipment_confirmation",
        "backlog",
        "exception_age",
    }


def test_money_at_stake_stands_by_currency_and_counts_a_thing_once() -> None:
    cases = [
        Case("us:1", 1, 1, NOW, Decimal("1204.5"), "USD"),
        Case("us:1", 1, 1, NOW, Decimal("1204.5"), "USD"),
        Case("uk:1", 1, 1, NOW, Decimal("0.333"), "GBP"),
        Case("uk:2", 1, 1, NOW, None, None),
    ]
    assert at_stake(cases) == "0.33 GBP, 1,204.50 USD"
    assert at_stake([]) == ""
