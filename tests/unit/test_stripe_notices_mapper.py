"""Stripe's mapper of a payment's life: objects of the API and notices as events of one key each."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain.orders import Rejected
from sync_assets.mappers import stripe_settlements as mapper
from tests.stripe_objects import (
    AT,
    MORNING,
    US,
    Doc,
    charge,
    dispute,
    moved,
    notice,
    payout,
    refund,
)

D = Decimal


def events(thing: str, payload: Doc) -> list[tuple[str, str, Decimal, datetime]]:
    found = mapper.OBJECTS[thing](US, payload)
    return [
        (row["event_ref"], row["kind"], row["amount"], row["happened_at"]) for row in found.events
    ]


def problem(read: Any, *payload: Any) -> tuple[str, str, str]:
    with pytest.raises(Rejected) as refusal:
        read(US, *payload)
    (one,) = refusal.value.problems
    return one.code, one.part, one.message


# Events of the API


def test_an_authorisation_is_an_event_and_a_capture_another() -> None:
    open_ = charge(captured=False, amount_captured=0)
    part = charge(amount_captured=1500, balance_transaction={"id": "txn_1", "created": AT + 3600})

    assert events("charges", open_) == [
        ("stripe_us:ch_1:authorised", "authorised", D("25.00"), MORNING)
    ]
    assert events("charges", part)[1] == (
        "stripe_us:ch_1:captured",
        "captured",
        D("15.00"),
        MORNING.replace(hour=11),
    )


def test_a_charge_that_was_let_go_failed_or_waits() -> None:
    let_go = charge(captured=False, refunded=True)
    failed = charge(status="failed", captured=False, failure_code="card_declined")

    assert [kind for _, kind, _, _ in events("charges", let_go)] == ["authorised", "voided"]
    assert [kind for _, kind, _, _ in events("charges", failed)] == ["capture_failed"]
    assert mapper.OBJECTS["charges"](US, failed).events[0]["reason"] == "card_declined"
    assert events("charges", charge(status="pending")) == []


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, ["refunded"]),
        ({"status": None}, ["refunded"]),
        ({"status": "pending"}, []),
        ({"status": "requires_action"}, []),
        ({"status": "failed"}, ["refunded", "refund_failed"]),
        ({"status": "failed", "balance_transaction": None}, ["refund_failed"]),
        ({"status": "canceled", "balance_transaction": None}, ["refund_failed"]),
        ({"reason": "expired_uncaptured_charge"}, ["voided"]),
        (
            {"balance_transaction": {"reporting_category": "partial_capture_reversal"}},
            [],
        ),
    ],
)
def test_a_refund_in_every_state(change: Doc, kinds: list[str]) -> None:
    assert [kind for _, kind, _, _ in events("refunds", refund(**change))] == kinds


def test_a_failed_refund_says_when_and_why() -> None:
    back = {"id": "txn_3", "created": AT + 7200}
    said = refund(
        status="failed", failure_reason="lost_or_stolen_card", failure_balance_transaction=back
    )
    row = mapper.OBJECTS["refunds"](US, said).events[1]

    assert (row["reason"], row["happened_at"]) == ("lost_or_stolen_card", MORNING.replace(hour=12))
    assert [row[name] for name in ("payment_id", "group_id", "movement_id")] == [
        *("ch_1", "pi_1", "re_1"),
    ]


def test_a_dispute_tells_its_life_and_its_money() -> None:
    won = dispute(moved(2500, AT + 7200), moved(-2500, AT + 3600), status="won")

    assert events("disputes", won) == [
        ("stripe_us:dp_1:dispute_opened", "dispute_opened", D("25.00"), MORNING),
        ("stripe_us:dp_1:chargeback", "chargeback", D("25.00"), MORNING.replace(hour=11)),
        (
            "stripe_us:dp_1:chargeback_reversed",
            "chargeback_reversed",
            D("25.00"),
            MORNING.replace(hour=12),
        ),
        ("stripe_us:dp_1:dispute_won", "dispute_won", D("25.00"), MORNING.replace(hour=12)),
    ]


def test_money_taken_a_second_time_is_another_event() -> None:
    said = dispute(moved(-2500), moved(2500, AT + 1), moved(-2500, AT + 2), status="lost")

    assert [ref for ref, *_ in events("disputes", said)][1:] == [
        "stripe_us:dp_1:chargeback",
        "stripe_us:dp_1:chargeback_reversed",
        "stripe_us:dp_1:chargeback:2",
        "stripe_us:dp_1:dispute_lost",
    ]


def test_a_dispute_is_told_in_what_the_customer_paid() -> None:
    said = dispute(moved(-2710), moved(-900, AT + 1, "eur"), currency="eur")

    assert [amount for *_, amount, _ in events("disputes", said)] == [
        *(D("25.00"), D("25.00"), D("9.00")),
    ]


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        ("warning_needs_response", []), ("under_review", []), ("charge_refunded", []),
        ("prevented", []), ("warning_closed", ["dispute_won"]), ("won", ["dispute_won"]),
        ("lost", ["dispute_lost"]),
    ],
)  # fmt: skip
def test_how_a_dispute_ends(status: str, ends: list[str]) -> None:
    kinds = [kind for _, kind, _, _ in events("disputes", dispute(status=status))]

    assert kinds == ["dispute_opened", *ends]


@pytest.mark.parametrize(
    ("status", "state", "kinds"),
    [
        ("pending", "in_transit", []),
        ("in_transit", "in_transit", []),
        ("paid", "paid", ["payout_paid"]),
        ("failed", "failed", ["payout_failed"]),
        ("canceled", "failed", ["payout_failed"]),
    ],
)
def test_a_payout_in_every_state(status: str, state: str, kinds: list[str]) -> None:
    found = mapper.OBJECTS["payouts"](US, payout(status=status))

    assert [row["state"] for row in found.payouts] == [state]
    assert [row["kind"] for row in found.events] == kinds
    assert found.lines == []


def test_a_payout_is_what_the_bank_is_to_show() -> None:
    traced = payout(trace_id={"status": "supported", "value": "TR123"}, statement_descriptor="SHOP")
    (row,) = mapper.OBJECTS["payouts"](US, traced).payouts

    assert row == {
        "payout_ref": "stripe_us:po_1",
        "provider": "stripe_us",
        "payout_id": "po_1",
        "kind": "payout",
        "currency": "USD",
        "paid_amount": D("1100.50"),
        "opening_amount": None,
        "closing_amount": None,
        "paid_on": date(2026, 3, 2),
        "state": "in_transit",
        "bank_reference": "TR123",
    }


def test_a_payout_by_hand_is_a_statement_and_a_negative_one_takes_from_the_bank() -> None:
    said = payout(automatic=False, amount=-2000, status="paid", statement_descriptor="SHOP")
    found = mapper.OBJECTS["payouts"](US, said)

    (row,) = found.payouts
    assert (row["kind"], row["paid_amount"], row["bank_reference"]) == (
        "statement",
        D("-20.00"),
        "SHOP",
    )
    assert found.events[0]["amount"] == D("20.00")


@pytest.mark.parametrize(
    ("thing", "payload"),
    [
        ("charges", charge(status="lost")),
        ("refunds", refund(status={"a": 1})),
        ("refunds", refund(status="lost")),
        ("payouts", payout(status=["paid"])),
    ],
)
def test_an_unknown_state_is_loud(thing: str, payload: Doc) -> None:
    assert problem(mapper.OBJECTS[thing], payload) == (
        "thing.malformed",
        "status",
        "is a word we do not know",
    )


# Notices


@pytest.mark.parametrize(
    ("thing", "kind", "payload", "refs"),
    [
        ("charges", "charge.succeeded", charge(captured=False), ["ch_1:authorised"]),
        ("charges", "charge.captured", charge(), ["ch_1:authorised", "ch_1:captured"]),
        ("charges", "charge.expired", charge(captured=False, refunded=True),
         ["ch_1:authorised", "ch_1:voided"]),
        ("charges", "charge.failed", charge(status="failed"), ["ch_1:capture_failed"]),
        ("refunds", "refund.created", refund(), ["re_1:refunded"]),
        ("refunds", "refund.failed", refund(status="failed"),
         ["re_1:refunded", "re_1:refund_failed"]),
        ("refunds", "charge.refund.updated", refund(), ["re_1:refunded"]),
        ("disputes", "charge.dispute.created", dispute(), ["dp_1:dispute_opened"]),
        ("disputes", "charge.dispute.funds_withdrawn", dispute(moved(-2500)),
         ["dp_1:dispute_opened", "dp_1:chargeback"]),
        ("disputes", "charge.dispute.funds_reinstated", dispute(moved(-2500), moved(2500, AT + 1)),
         ["dp_1:dispute_opened", "dp_1:chargeback", "dp_1:chargeback_reversed"]),
        ("disputes", "charge.dispute.closed", dispute(status="lost"),
         ["dp_1:dispute_opened", "dp_1:dispute_lost"]),
        ("payouts", "payout.paid", payout(status="paid"), ["po_1:payout_paid"]),
        ("payouts", "payout.failed", payout(status="failed"), ["po_1:payout_failed"]),
    ],
)  # fmt: skip
def test_a_notice_and_the_api_have_one_key_for_one_fact(
    thing: str, kind: str, payload: Doc, refs: list[str]
) -> None:
    told = mapper.notice(US, notice(kind, payload))
    read = mapper.OBJECTS[thing](US, payload)

    assert [row["event_ref"] for row in told.events] == [f"stripe_us:{ref}" for ref in refs]
    assert [row["event_ref"] for row in read.events] == [row["event_ref"] for row in told.events]
    assert told.payouts == told.lines == []


def test_a_notice_knows_when_what_it_tells_of_happened() -> None:
    found = mapper.notice(US, notice("charge.captured", charge()))

    assert [row["happened_at"].minute for row in found.events] == [0, 1]


def test_a_refunded_charge_tells_of_the_refunds_it_lists() -> None:
    listed = {"data": [refund(charge=None, payment_intent=None)]}
    found = mapper.notice(US, notice("charge.refunded", charge(refunds=listed)))

    assert [row["event_ref"] for row in found.events] == [
        "stripe_us:ch_1:authorised",
        "stripe_us:ch_1:captured",
        "stripe_us:re_1:refunded",
    ]
    assert [row["happened_at"] for row in found.events] == [MORNING] * 3
    assert (found.events[2]["payment_id"], found.events[2]["group_id"]) == ("ch_1", "pi_1")


@pytest.mark.parametrize(
    ("kind", "change", "ref", "amount"),
    [
        ("payment_intent.amount_capturable_updated",
         {"status": "requires_capture", "amount_capturable": 2500}, "ch_1:authorised", "25.00"),
        ("payment_intent.succeeded",
         {"status": "succeeded", "amount_received": 1500}, "ch_1:captured", "15.00"),
        ("payment_intent.canceled", {"status": "canceled"}, "ch_1:voided", None),
    ],
)  # fmt: skip
def test_a_payment_intent_speaks_of_its_charge(
    kind: str, change: Doc, ref: str, amount: str | None
) -> None:
    intent = {
        "id": "pi_1", "created": AT, "currency": "usd", "latest_charge": "ch_1",
        "metadata": {"external_identifier": "24315.1"}, **change,
    }  # fmt: skip
    (row,) = mapper.notice(US, notice(kind, intent)).events

    assert row["event_ref"] == f"stripe_us:{ref}"
    assert row["amount"] == (D(amount) if amount else None)
    assert [row[name] for name in ("payment_id", "group_id", "movement_id")] == [
        *("ch_1", "pi_1", None),
    ]
    assert (row["order_reference"], row["happened_at"].minute) == ("24315.1", 1)


def test_an_intent_that_was_never_authorised_is_no_event() -> None:
    intent = {"id": "pi_1", "created": AT, "currency": "usd", "status": "canceled"}

    assert mapper.notice(US, notice("payment_intent.canceled", intent)).events == []


def test_notices_that_say_nothing_of_money_are_empty_and_broken_ones_refused() -> None:
    assert mapper.notice(US, notice("customer.created", {"id": "cus_1"})).events == []
    assert mapper.notice(US, {"type": ["charge.captured"]}).events == []
    assert problem(mapper.notice, {"type": "charge.captured", "created": AT})[1] == "data"
    assert problem(mapper.notice, notice("charge.captured", {"id": "ch_1"}))[1] == "created"


def test_which_meta_data_names_the_order_can_be_said() -> None:
    said = charge(metadata={"order_id": "", "external_identifier": "24315.1", "cart": "C7"})

    usual = mapper.OBJECTS["charges"](US, said)
    assert {row["order_reference"] for row in usual.events} == {"24315.1"}
    by_cart = mapper.notice(US, notice("charge.captured", said), order_keys=("cart",))
    assert {row["order_reference"] for row in by_cart.events} == {"C7"}
