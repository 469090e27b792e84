"""PayPal's settlements in our words: every row of the samples, every code, and webhooks."""

import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.systems import paypal_reports
from sync_assets.domain.orders import Rejected
from sync_assets.domain.payments import Found, PaymentEvents, Payouts, SettlementLines
from sync_assets.mappers import paypal_codes, paypal_settlements

D = Decimal
SAMPLES = (
    Path(__file__).resolve().parents[2].parent / "shared/data/payments/provider-reports/paypal"
)
ROW = {
    "Transaction ID": "5678",
    "Invoice ID": "2444.1",
    "PayPal Reference ID": "4H844",
    "PayPal Reference ID Type": "TXN",
    "Transaction Event Code": "T0006",
    "Transaction Initiation Date": "2026/01/06 22:59:30 -0800",
    "Transaction Completion Date": "2026/01/06 23:00:30 -0800",
    "Transaction Debit or Credit": "CR",
    "Gross Transaction Amount": "5200",
    "Gross Transaction Currency": "AUD",
    "Fee Debit or Credit": "DR",
    "Fee Amount": "225",
    "Fee Currency": "AUD",
    "Custom Field": "",
    "Bank Reference ID": "",
}
#: Short names of cells for tests.
CELLS = {
    "id": "Transaction ID",
    "code": "Transaction Event Code",
    "side": "Transaction Debit or Credit",
    "gross": "Gross Transaction Amount",
    "currency": "Gross Transaction Currency",
    "fee_side": "Fee Debit or Credit",
    "fee": "Fee Amount",
    "fee_currency": "Fee Currency",
    "invoice": "Invoice ID",
    "custom": "Custom Field",
    "reference": "PayPal Reference ID",
    "reference_type": "PayPal Reference ID Type",
    "bank": "Bank Reference ID",
    "completed": "Transaction Completion Date",
    "status": "Transactional Status",
}
NO_FEE = {"fee_side": "", "fee": "", "fee_currency": ""}


def told(kind: str = "stl", facts: dict[str, str] | None = None, **cells: str) -> Found:
    row = {**ROW, **{CELLS[name]: said for name, said in cells.items()}}
    payload = {"file": "STL-1.csv", "line": 4, "kind": kind, "facts": facts or {}, "row": row}
    return paypal_settlements.report_line("paypal_eu", payload)


def line(**cells: str) -> dict[str, Any]:
    (found,) = told(**cells).lines
    return found


def fault(**cells: str) -> str:
    with pytest.raises(Rejected) as refusal:
        told(**cells)
    return str(refusal.value)


def sample(name: str) -> Found:
    if not SAMPLES.exists():
        pytest.skip("PayPal's sample reports are not beside the project (../shared)")
    report = paypal_reports.read(name, (SAMPLES / name).read_bytes())
    found = Found()
    for one in report.lines:
        facts = {**report.facts, **one.facts}
        payload = {"file": name, "line": one.number, "kind": report.kind, "facts": facts}
        found.add(paypal_settlements.report_line("pp", {**payload, "row": one.row}))
    return found


def amounts(found: Found) -> list[tuple[str, str, Decimal, Decimal, Decimal]]:
    return [
        (o["kind"], o["currency"], o["gross_amount"], o["fee_amount"], o["net_amount"])
        for o in found.lines
    ]


# The samples


def test_the_rows_of_all_samples_become_these_lines_and_events() -> None:
    if not SAMPLES.exists():
        pytest.skip("PayPal's sample reports are not beside the project (../shared)")
    found = Found()
    for file in sorted(SAMPLES.glob("*.csv")):
        found.add(sample(file.name))

    assert Counter(one["kind"] for one in found.lines) == {
        "sale": 12,
        "refund": 3,
        "conversion": 2,
        "adjustment": 3,
        "payout": 1,
        "chargeback": 1,
        "fee": 1,
    }
    assert [(one["kind"], one["movement_id"]) for one in found.events] == [
        ("chargeback", "5K823"),
        ("capture_failed", "1V551844CE5526421"),
        ("voided", "5AJ5"),
    ]
    assert not [one for one in found.lines if one["description"].startswith("unknown")]
    # As the tables want them, column for column.
    assert set(found.lines[0]) == set(SettlementLines.columns())
    assert set(found.payouts[0]) == set(Payouts.columns())
    assert set(found.events[0]) == set(PaymentEvents.columns())
    for one in found.lines:
        SettlementLines.validate(SettlementLines.frame([one]))
    Payouts.validate(Payouts.frame(found.payouts[:1]))
    PaymentEvents.validate(PaymentEvents.frame(found.events))


def test_a_days_statement_of_two_currencies() -> None:
    found = sample("stl.csv")

    assert amounts(found) == [
        ("sale", "AUD", D("52.00"), D("2.25"), D("49.75")),
        ("sale", "AUD", D("5.35"), D("0.75"), D("4.60")),
        ("sale", "GBP", D("8.34"), D("0.87"), D("7.47")),
        ("refund", "GBP", D("-1.34"), D("-0.47"), D("-0.87")),
        ("payout", "GBP", D("-1.00"), D("0"), D("-1.00")),
    ]
    assert {one["payout_ref"] for one in found.lines} == {"pp:20260106:AUD", "pp:20260106:GBP"}
    assert found.lines[4]["description"] == (
        "T0400 withdrawal to bank, debit; bank reference 1047428557493"
    )
    assert found.payouts[4] == {
        "payout_ref": "pp:20260106:GBP",
        "provider": "pp",
        "payout_id": "20260106:GBP",
        "kind": "statement",
        "currency": "GBP",
        "paid_amount": D(0),
        "opening_amount": D("5.47"),
        "closing_amount": D("55.30"),
        "paid_on": date(2026, 1, 6),
        "state": "paid",
        "bank_reference": "1047428557493",
    }


def test_the_samples_footers_do_not_tie_to_their_rows() -> None:
    """They were cut and changed by hand: 5.47 + 5.60 in pounds is not 55.30."""
    found = sample("stl.csv")
    net = sum((o["net_amount"] for o in found.lines if o["currency"] == "GBP"), D(0))

    assert net == D("5.60")
    assert found.payouts[4]["opening_amount"] + net != found.payouts[4]["closing_amount"]


def test_a_payment_that_is_converted_leaves_nothing_in_its_currency() -> None:
    found = sample("stl_currency_convert.csv")

    assert amounts(found) == [
        ("sale", "BRL", D("22.00"), D("3.60"), D("18.40")),
        ("conversion", "BRL", D("-18.40"), D("0"), D("-18.40")),
        ("conversion", "USD", D("3.27"), D("0"), D("3.27")),
    ]
    assert [one["group_id"] for one in found.lines] == ["2N092", "1DV3", "1DV3"]
    assert sum(one["net_amount"] for one in found.lines[:2]) == 0


def test_a_chargeback_and_its_fee_are_two_lines() -> None:
    found = sample("stl_chargeback_with_fee.csv")

    assert amounts(found) == [
        ("chargeback", "USD", D("-3.00"), D("0"), D("-3.00")),
        ("fee", "USD", D("-20.00"), D("0"), D("-20.00")),
    ]
    taken, fee = found.lines
    assert (taken["payment_id"], taken["movement_id"]) == ("59M83", "5K823")
    assert (fee["payment_id"], fee["group_id"]) == (None, "5K823")
    assert (found.events[0]["event_ref"], found.events[0]["amount"]) == (
        "pp:5K823:chargeback",
        D("3.00"),
    )


def test_a_transaction_report_tells_the_line_of_a_settlement_report() -> None:
    stl, trr = told("stl").lines[0], told("trr", status="S").lines[0]

    assert stl == trr
    # The sample's settlement row has a status where its custom field is; all else agrees.
    one, other = sample("stl_dr_payment.csv").lines[1], sample("trr_dr_payment.csv").lines[0]
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {"order_reference", "file_name", "file_line"}


def test_yen_are_counted_in_hundredths() -> None:
    (found,) = sample("trr_express_checkout_donation.csv").lines

    assert (found["gross_amount"], found["fee_amount"]) == (D("150.00"), D("43.00"))
    yen = {"currency": "JPY", "fee_currency": "JPY"}
    assert fault(**yen, gross="15050", fee="0").startswith("Gross Transaction Amount: has parts of")


# Rows


def test_a_payment_says_all_that_is_known_of_it() -> None:
    assert line(custom="order key wc_1") == {
        "line_ref": "paypal_eu:5678",
        "provider": "paypal_eu",
        "kind": "sale",
        "payout_ref": "paypal_eu:20260106:AUD",
        "payment_id": "5678",
        "group_id": "4H844",
        "movement_id": "5678",
        "order_reference": "2444.1",
        "method": "paypal",
        "currency": "AUD",
        "gross_amount": D("52.00"),
        "fee_amount": D("2.25"),
        "fee_tax_amount": D(0),
        "net_amount": D("49.75"),
        "paid_amount": None,
        "paid_currency": None,
        "exchange_rate": None,
        "occurred_at": datetime(2026, 1, 7, 7, 0, 30, tzinfo=UTC),
        "description": "T0006 payment, credit; custom order key wc_1",
        "fee_detail": None,
        "told_by": "file",
        "file_name": "STL-1.csv",
        "file_line": 4,
    }


@pytest.mark.parametrize(
    ("code", "credit", "debit"),
    [
        ("T0013", "sale", "adjustment"),
        ("T0020", "sale", "adjustment"),
        ("T0114", "fee", "fee"),
        ("T0200", "conversion", "conversion"),
        ("T0300", "topup", "topup"),
        ("T0401", "payout_returned", "payout"),
        ("T1101", "payout_returned", "payout_returned"),
        ("T1106", "chargeback_reversed", "chargeback"),
        ("T1107", "adjustment", "refund"),
        ("T1108", "fee", "fee"),
        ("T1110", "reserve_released", "reserve_held"),
        ("T1111", "reserve_released", "reserve_held"),
        ("T1202", "chargeback_reversed", "chargeback"),
        ("T1500", "reserve_released", "reserve_held"),
        ("T1900", "adjustment", "adjustment"),
        ("T2104", "reserve_released", "reserve_held"),
        ("T9900", "adjustment", "adjustment"),
    ],
)
def test_a_code_means_this_as_credit_and_as_debit(code: str, credit: str, debit: str) -> None:
    assert line(code=code, **NO_FEE)["kind"] == credit
    owed = line(code=code, side="DR", **NO_FEE)
    assert (owed["kind"], owed["net_amount"]) == (debit, D("-52.00"))
    assert not owed["description"].startswith("unknown")


@pytest.mark.parametrize("code", ["T7700", "T1199", "T2150", "X1", "T00066"])
def test_an_unknown_code_stays_open_for_a_person(code: str) -> None:
    found = line(code=code, invoice="", custom="1042")

    assert (found["kind"], found["net_amount"]) == ("adjustment", D("49.75"))
    assert found["description"] == f"unknown type {code}: credit"
    assert found["order_reference"] == "1042"


def test_a_refund_names_its_payment_and_gives_the_fee_back() -> None:
    found = line(code="T1107", side="DR", fee_side="CR", id="R1")

    assert (found["payment_id"], found["group_id"], found["movement_id"]) == ("4H844", None, "R1")
    assert (found["gross_amount"], found["fee_amount"]) == (D("-52.00"), D("-2.25"))


@pytest.mark.parametrize(
    ("reference_type", "group"), [("TXN", "4H844"), ("ODR", "4H844"), ("SUB", None), ("", None)]
)
def test_an_agreement_is_not_what_captures_of_one_order_share(
    reference_type: str, group: str | None
) -> None:
    assert line(reference_type=reference_type)["group_id"] == group


def test_an_address_in_the_custom_field_is_not_kept() -> None:
    found = line(invoice="", custom="ada@example.com")

    assert found["order_reference"] is None
    assert found["description"] == "T0006 payment, credit"


def test_balances_are_those_of_the_day_that_the_head_names() -> None:
    facts = {"from": "2026/01/06 00:00:00 -0800", "beginning:AUD": "-1.00", "ending:AUD": "48.75"}
    (own,) = told(facts=facts).payouts
    (other,) = told(facts=facts, completed="2026/01/05 23:00:00 -0800").payouts

    assert (own["opening_amount"], own["closing_amount"]) == (D("-1.00"), D("48.75"))
    assert (other["opening_amount"], other["closing_amount"]) == (None, None)
    assert other["paid_on"] == date(2026, 1, 5)


@pytest.mark.parametrize("code", ["T0006", "T1107", "T0400", "T7700"])
def test_what_is_pending_moves_nothing(code: str) -> None:
    assert told("trr", status="P", code=code) == Found()


def test_a_denied_payment_has_failed_and_anything_else_denied_is_nothing() -> None:
    (failed,) = told("trr", status="D", **NO_FEE).events

    assert (failed["kind"], failed["payment_id"], failed["amount"]) == (
        "capture_failed",
        "5678",
        D("52.00"),
    )
    assert told("trr", status="D", code="T1107", side="DR") == Found()


def test_what_was_reversed_later_did_move_and_so_does_its_way_back() -> None:
    paid = told("trr", status="V").lines
    back = told("trr", status="S", code="T1107", side="DR", fee_side="CR", id="R1").lines

    assert paid[0]["net_amount"] + back[0]["net_amount"] == 0


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("T1300", "S", "authorised"),
        ("T1300", "P", "authorised"),
        ("T1301", "S", "authorised"),
        ("T1302", "V", "voided"),
        ("T1302", "S", "voided"),
        ("T1300", "V", "voided"),
    ],
)
def test_an_authorisation_is_an_event_and_no_money(code: str, status: str, kind: str) -> None:
    found = told("trr", code=code, status=status, **NO_FEE)

    assert (found.lines, found.payouts) == ([], [])
    assert found.events[0]["event_ref"] == f"paypal_eu:5678:{kind}"
    assert (found.events[0]["group_id"], found.events[0]["payment_id"]) == ("5678", None)


def test_agreements_and_what_is_only_displayed_say_nothing_of_money() -> None:
    assert told("sar") == Found()
    assert told(code="T9800") == Found()
    assert told("trr", code="T1300", status="D") == Found()


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"gross": "52.00"}, "Gross Transaction Amount: is not a whole number of hundredths"),
        ({"gross": ""}, "Gross Transaction Amount: is missing"),
        ({"side": "C"}, "Transaction Debit or Credit: is neither CR nor DR"),
        ({"fee_side": ""}, "Fee Debit or Credit: is missing"),
        (
            {"fee_currency": "USD"},
            "Fee Currency: is in USD, its transaction in AUD; book it by hand",
        ),
        ({"currency": "A$"}, "currency: is not a currency code of three capitals"),
        ({"id": ""}, "Transaction ID: is missing"),
        ({"id": "two words"}, "Transaction ID: is no id"),
        ({"code": ""}, "Transaction Event Code: is missing"),
        (
            {"completed": "2026-01-06 23:00:30"},
            "Transaction Completion Date: is not a date and time with an offset",
        ),
        (
            {"completed": "2026/02/30 23:00:30 -0800"},
            "Transaction Completion Date: is not a date and time with an offset",
        ),
        ({"status": "X"}, "status: is 'X', a word we do not know"),
    ],
)
def test_a_row_that_cannot_be_read_says_which_cell(cells: dict[str, str], reason: str) -> None:
    assert fault(**cells) == reason


def test_a_transaction_report_must_say_the_status() -> None:
    assert fault(kind="trr", status="") == "Transactional Status: is missing"


@given(
    gross=st.integers(0, 10**14 - 1),
    fee=st.integers(0, 10**14 - 1),
    sides=st.tuples(st.sampled_from(["CR", "DR"]), st.sampled_from(["CR", "DR"])),
    code=st.sampled_from([*paypal_codes.CODES, *(f"T{g}00" for g in paypal_codes.GROUPS), "T7700"]),
)
def test_net_is_what_both_columns_move_the_balance_by(
    gross: int, fee: int, sides: tuple[str, str], code: str
) -> None:
    signs = [1 if side == "CR" else -1 for side in sides]
    found = line(gross=str(gross), fee=str(fee), side=sides[0], fee_side=sides[1], code=code)

    assert found["net_amount"] * 100 == signs[0] * gross + signs[1] * fee
    assert found["net_amount"] == found["gross_amount"] - found["fee_amount"]


# The transaction search


def searched(**change: Any) -> Found:
    info = {
        "transaction_id": "5678",
        "paypal_reference_id": "4H844",
        "paypal_reference_id_type": "TXN",
        "transaction_event_code": "T0006",
        "transaction_initiation_date": "2026-01-07T06:59:30+0000",
        "transaction_updated_date": "2026-01-07T07:00:30+0000",
        "transaction_amount": {"currency_code": "AUD", "value": "52.00"},
        "fee_amount": {"currency_code": "AUD", "value": "-2.25"},
        "transaction_status": "S",
        "invoice_id": "2444.1",
        **change,
    }
    payload = {"transaction_info": info, "payer_info": {"email_address": "ada@example.com"}}
    return paypal_settlements.OBJECTS["transactions"]("paypal_eu", payload)


def test_the_search_tells_the_line_of_the_file_but_by_days_in_utc() -> None:
    (by_api,), by_file = searched().lines, line()

    differing = {name for name in by_api if by_api[name] != by_file[name]}
    assert differing == {"payout_ref", "told_by", "file_name", "file_line"}
    assert by_api["payout_ref"] == "paypal_eu:20260107:AUD"


def test_the_search_leaves_a_fee_out_where_there_is_none() -> None:
    found = searched(
        fee_amount=None,
        transaction_event_code="T0400",
        transaction_amount={"currency_code": "JPY", "value": "-78"},
    )

    assert amounts(found) == [("payout", "JPY", D(-78), D(0), D(-78))]


def test_what_was_reversed_later_is_dated_by_its_beginning() -> None:
    (found,) = searched(
        transaction_status="V", transaction_updated_date="2026-02-01T00:00:00Z"
    ).lines

    assert found["occurred_at"] == datetime(2026, 1, 7, 6, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"transaction_amount": None},
        {"transaction_amount": {"currency_code": "AUD", "value": 52.0}},
        {"transaction_amount": {"currency_code": "AUD", "value": "5e3"}},
        {"fee_amount": {"currency_code": "USD", "value": "-2.25"}},
        {"transaction_status": None},
        {"transaction_updated_date": "2026-01-07T07:00:30"},
        {"transaction_id": 5678},
    ],
)
def test_a_transaction_that_cannot_be_read_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        searched(**change)


# Webhooks


def body(event_type: str, **resource: Any) -> dict[str, Any]:
    said = {
        "id": "42311647XV020574X",
        "amount": {"currency_code": "USD", "value": "10.99"},
        "invoice_id": "WC-1042",
        "custom_id": "1042",
        "create_time": "2026-01-06T10:00:00Z",
        "update_time": "2026-01-06T10:00:05Z",
        **resource,
    }
    return {"id": "WH-1", "event_type": event_type, "resource_type": "x", "resource": said}


def test_a_captured_payment_names_its_order_twice() -> None:
    related = {"related_ids": {"order_id": "5O190127TN364715T"}}
    payload = body("PAYMENT.CAPTURE.COMPLETED", supplementary_data=related)

    assert paypal_settlements.notice("paypal_eu", payload).events == [
        {
            "event_ref": "paypal_eu:42311647XV020574X:captured",
            "provider": "paypal_eu",
            "kind": "captured",
            "payment_id": "42311647XV020574X",
            "group_id": "5O190127TN364715T",
            "movement_id": "42311647XV020574X",
            "order_reference": "WC-1042",
            "amount": D("10.99"),
            "currency": "USD",
            "happened_at": datetime(2026, 1, 6, 10, 0, 5, tzinfo=UTC),
            "reason": "",
        }
    ]


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("PAYMENT.CAPTURE.REFUNDED", "refunded"),
        ("PAYMENT.CAPTURE.REVERSED", "chargeback"),
        ("PAYMENT.REFUND.FAILED", "refund_failed"),
    ],
)
def test_money_that_goes_back_names_the_capture_it_belongs_to(event_type: str, kind: str) -> None:
    links = [
        {"rel": "self", "href": "https://api.paypal.com/v2/payments/refunds/1R"},
        {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/2GG279541U471931P"},
    ]
    (found,) = paypal_settlements.notice("p", body(event_type, id="1R", links=links)).events

    assert (found["kind"], found["event_ref"]) == (kind, f"p:1R:{kind}")
    assert (found["payment_id"], found["movement_id"]) == ("2GG279541U471931P", "1R")


def test_a_reversal_has_one_key_in_its_notice_and_in_the_report() -> None:
    (noticed,) = paypal_settlements.notice(
        "paypal_eu", body("PAYMENT.CAPTURE.REVERSED", id="5678")
    ).events
    (reported,) = told(code="T1106", side="DR", **NO_FEE).events

    assert noticed["event_ref"] == reported["event_ref"] == "paypal_eu:5678:chargeback"


def test_a_denied_capture_has_failed_with_a_reason() -> None:
    details = {"reason": "BUYER_COMPLAINT"}
    payload = body("PAYMENT.CAPTURE.DENIED", status_details=details, invoice_id=None)
    (found,) = paypal_settlements.notice("p", payload).events

    assert (found["kind"], found["reason"], found["order_reference"]) == (
        "capture_failed",
        "BUYER_COMPLAINT",
        "1042",
    )


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("RESOLVED_BUYER_FAVOUR", "dispute_lost"),
        ("ACCEPTED", "dispute_lost"),
        ("RESOLVED_SELLER_FAVOUR", "dispute_won"),
        ("RESOLVED_WITH_PAYOUT", "dispute_won"),
        ("CANCELED_BY_BUYER", "dispute_won"),
    ],
)
def test_a_dispute_is_opened_and_resolved(outcome: str, kind: str) -> None:
    dispute = {
        "dispute_id": "PP-D-27803",
        "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "dispute_amount": {"currency_code": "USD", "value": "96.00"},
        "disputed_transactions": [{"seller_transaction_id": "00D10444LD479031K", "custom": "1042"}],
        "dispute_outcome": {"outcome_code": outcome},
    }
    (opened,) = paypal_settlements.notice("p", body("CUSTOMER.DISPUTE.CREATED", **dispute)).events
    (closed,) = paypal_settlements.notice("p", body("CUSTOMER.DISPUTE.RESOLVED", **dispute)).events

    assert (opened["kind"], closed["kind"]) == ("dispute_opened", kind)
    assert opened["movement_id"] == closed["movement_id"] == "PP-D-27803"
    assert (opened["payment_id"], opened["order_reference"]) == ("00D10444LD479031K", "1042")
    assert (opened["amount"], opened["reason"]) == (
        D("96.00"),
        "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
    )


def test_other_notices_say_nothing_and_unreadable_ones_are_rejected() -> None:
    assert paypal_settlements.notice("p", body("PAYMENT.CAPTURE.PENDING")) == Found()
    assert paypal_settlements.notice("p", body("CUSTOMER.DISPUTE.UPDATED")) == Found()
    for payload in (
        body("PAYMENT.CAPTURE.COMPLETED", id=None),
        body("PAYMENT.CAPTURE.COMPLETED", amount={"value": "1.00"}),
        {"event_type": "PAYMENT.CAPTURE.COMPLETED"},
        body("CUSTOMER.DISPUTE.RESOLVED", dispute_outcome={"outcome_code": "NONE"}),
    ):
        with pytest.raises(Rejected):
            paypal_settlements.notice("p", payload)


def test_paypals_own_example_of_a_notice(recordings: Path) -> None:
    folder = recordings.parent / "data" / "payments" / "paypal"
    if not folder.exists():
        pytest.skip("PayPal's examples are not beside the project (../shared)")
    with gzip.open(folder / "rest-api-examples.jsonl.gz", "rt") as lines:
        examples = [json.loads(one) for one in lines]
    (example,) = (one["body"] for one in examples if one["name"] == "verify_webhook_signature")

    (found,) = paypal_settlements.notice("p", example["webhook_event"]).events

    assert (found["kind"], found["amount"], found["currency"]) == ("authorised", D("7.47"), "USD")
    assert found["event_ref"] == "p:2DC87612EK520411B:authorised"
    assert found["group_id"] == "2DC87612EK520411B"
    assert found["happened_at"] == datetime(2013, 6, 25, 21, 39, 17, tzinfo=UTC)
