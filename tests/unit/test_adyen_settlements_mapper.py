"""Lines of Adyen's reports in our words: what was settled, what was paid out, and what happened."""

import json
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.systems import adyen_reports
from sync_assets.domain.orders import Rejected
from sync_assets.domain.payments import (
    LONGEST_TEXT,
    Found,
    PaymentEvents,
    Payouts,
    SettlementLines,
)
from sync_assets.mappers.adyen_notices import notice
from sync_assets.mappers.adyen_settlements import KINDS, ONCE, report_line

D = Decimal
SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SAMPLES = SHARED / "data" / "payments" / "provider-reports" / "adyen"

SALE = {
    "Merchant Account": "TestShop",
    "Psp Reference": "P1",
    "Merchant Reference": "1042.1",
    "Payment Method": "visa",
    "Creation Date": "2026-03-02 10:00:00",
    "TimeZone": "CET",
    "Type": "Settled",
    "Modification Reference": "M1",
    "Gross Currency": "EUR",
    "Gross Debit (GC)": "",
    "Gross Credit (GC)": "20.00",
    "Exchange Rate": "1",
    "Net Currency": "EUR",
    "Net Debit (NC)": "",
    "Net Credit (NC)": "19.40",
    "Commission (NC)": ".10",
    "Markup (NC)": "0.20",
    "Scheme Fees (NC)": "0.05",
    "Interchange (NC)": "0.25",
    "Modification Merchant Reference": "",
    "Batch Number": "7",
}
#: A line of the account: no payment, no gross, no fees.
ACCOUNT = SALE | {
    **dict.fromkeys(("Psp Reference", "Merchant Reference", "Payment Method"), ""),
    **dict.fromkeys(("Gross Credit (GC)", "Exchange Rate", "Net Credit (NC)"), ""),
    **dict.fromkeys(("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)"), ""),
}
PAYOUT = ACCOUNT | {
    "Type": "MerchantPayout",
    "Modification Reference": "TX0000000042XT batch 7, TestShop",
    "Net Debit (NC)": "19.40",
    "Creation Date": "2026-03-04 00:30:00",
}
BOOKED = {
    "Merchant Account": "TestShop",
    "Psp Reference": "P1",
    "Merchant Reference": "1042",
    "Booking Date": "2026-03-02 10:00:00",
    "TimeZone": "CET",
    "Record Type": "SentForSettle",
    "Modification Psp Reference": "M1",
    "Payment Currency": "EUR",
    "Authorised (PC)": "-10.00",
    "Captured (PC)": "10.00",
    "Original Amount": "10.00",
}


def line(row: dict[str, str], kind: str = "settlement_detail", **facts: str) -> Found:
    payload = {"file": "report.csv", "line": 2, "kind": kind, "facts": facts, "row": row}
    return report_line("adyen", payload)


def settled(row: dict[str, str], **change: str) -> dict[str, Any]:
    found = line(row | change)
    assert not found.events
    (one,) = found.lines
    assert one["net_amount"] == one["gross_amount"] - one["fee_amount"] - one["fee_tax_amount"]
    return one


def sample(stem: str) -> Found:
    file = SAMPLES / f"{stem}.csv"
    if not file.exists():
        pytest.skip("Adyen's reports are kept beside the project (../shared), and are not there")
    report, found = adyen_reports.read(file.name, file.read_bytes()), Found()
    for one in report.lines:
        found.add(
            report_line(
                "adyen",
                {
                    "file": file.name,
                    "line": one.number,
                    "kind": report.kind,
                    "facts": {**report.facts, **one.facts},
                    "row": one.row,
                },
            )
        )
    return found


# Real excerpts


@pytest.mark.parametrize(
    ("stem", "lines", "rest"),
    [
        ("donation", ["sale", "payout"], "0"),
        ("donation-ach", ["sale", "payout"], "0"),
        ("donation_reordered", ["sale", "payout"], "0"),
        ("ignore", ["sale", "payout"], "0"),
        # Cut short: these have the payout of a whole batch, and one or two of its lines ...
        ("chargeback", ["chargeback", "fee", "payout"], "-8.83"),
        ("refund", ["refund", "fee", "payout"], "-6.83"),
        # ... this one has a payout pasted from batch 2 ...
        ("donation-ideal", ["sale", "payout"], "4.67"),
        # ... and this one has no payout.
        ("chargeback_reversed", ["chargeback_reversed"], "51.89"),
    ],
)
def test_a_real_batch_that_is_whole_comes_to_nothing(
    stem: str, lines: list[str], rest: str
) -> None:
    found = sample(f"settlement_detail_report_{stem}")

    SettlementLines.validate(SettlementLines.frame(found.lines))
    Payouts.validate(Payouts.frame(found.payouts))
    assert [one["kind"] for one in found.lines] == lines
    assert len(found.payouts) == lines.count("payout")
    assert len({one["payout_ref"] for one in found.lines}) == 1
    assert sum(one["net_amount"] for one in found.lines) == D(rest)


def test_a_real_batch_in_another_order_of_columns_gives_the_same() -> None:
    names = {"file_name": "one name"}
    plain, other = (
        sample(f"settlement_detail_report_{stem}") for stem in ("donation", "donation_reordered")
    )

    assert [one | names for one in plain.lines] == [one | names for one in other.lines]
    assert plain.payouts == other.payouts


def test_a_real_chargeback_costs_its_amount_and_a_fee() -> None:
    chargeback = sample("settlement_detail_report_chargeback").lines[0]

    assert (chargeback["gross_amount"], chargeback["fee_amount"], chargeback["net_amount"]) == (
        *(D("-1.00"), D("2.00")),
        D("-3.00"),
    )


def test_a_real_payment_in_another_currency_keeps_what_the_customer_paid() -> None:
    sale = sample("settlement_detail_report_donation-ideal").lines[0]

    assert (sale["gross_amount"], sale["fee_amount"], sale["currency"]) == (
        *(D("5.70"), D("0.27")),
        "USD",
    )
    assert (sale["paid_amount"], sale["paid_currency"], sale["exchange_rate"]) == (
        *(D("5.35"), "EUR"),
        D("1.065657"),
    )


def test_real_rows_of_the_payments_accounting_report_are_events() -> None:
    told = {
        stem: [
            (one["event_ref"], one["amount"], one["currency"])
            for one in sample(f"payments_accounting_report_{stem}").events
        ]
        for stem in ("chargeback", "gravy_chargeback", "nyce")
    }

    assert told == {
        "chargeback": [("adyen:ASDF5ASDF4QWER3A:chargeback", D("2000"), "JPY")],
        "gravy_chargeback": [("adyen:ASDF5ASDF4QWER3A:chargeback", D("1.75"), "USD")],
        # Settled and Received say no more than these two.
        "nyce": [
            ("adyen:ASDF5ASDF4QWER3A:captured", D("10.40"), "USD"),
            ("adyen:DASD76ASD7ASD4AS:authorised", D("10.40"), "USD"),
        ],
    }


# Settlement detail report


def test_a_sale_is_one_line_with_all_its_parts() -> None:
    found = line(SALE)

    assert found == Found(
        lines=[
            {
                "line_ref": "adyen:M1:Settled",
                "provider": "adyen",
                "kind": "sale",
                "payout_ref": "adyen:TestShop:7:EUR",
                "payment_id": "P1",
                "group_id": "P1",
                "movement_id": "M1",
                "order_reference": "1042.1",
                "method": "visa",
                "currency": "EUR",
                "gross_amount": D("20.00"),
                "fee_amount": D("0.60"),
                "fee_tax_amount": D(0),
                "net_amount": D("19.40"),
                "paid_amount": None,
                "paid_currency": None,
                "exchange_rate": None,
                "occurred_at": datetime(2026, 3, 2, 9, tzinfo=UTC),
                "description": "Settled",
                "fee_detail": json.dumps(
                    {
                        "commission": "0.10",
                        "markup": "0.20",
                        "scheme_fees": "0.05",
                        "interchange": "0.25",
                    }
                ),
                "told_by": "file",
                "file_name": "report.csv",
                "file_line": 2,
            }
        ]
    )


def test_a_payout_is_a_line_and_a_payout_that_the_bank_can_be_asked_for() -> None:
    found = line(PAYOUT)

    (one,) = found.lines
    assert (one["kind"], one["net_amount"]) == ("payout", D("-19.40"))
    assert one["line_ref"] == "adyen:TestShop:7:EUR:MerchantPayout:TX0000000042XT"
    assert found.payouts == [
        {
            "payout_ref": "adyen:TestShop:7:EUR",
            "provider": "adyen",
            "payout_id": "TestShop:7:EUR",
            "kind": "payout",
            "currency": "EUR",
            "paid_amount": D("19.40"),
            "opening_amount": None,
            "closing_amount": None,
            "paid_on": date(2026, 3, 4),  # the day in the account's zone; in UTC it is the 3rd
            "state": "paid",
            "bank_reference": "TX0000000042XT",
        }
    ]


def test_a_payout_that_was_taken_from_the_bank_has_the_other_sign() -> None:
    found = line(PAYOUT | {"Net Debit (NC)": "", "Net Credit (NC)": "5.00"})

    assert found.lines[0]["net_amount"] == D("5.00")
    assert found.payouts[0]["paid_amount"] == D("-5.00")


def test_a_payout_without_a_batch_is_rejected() -> None:
    with pytest.raises(Rejected, match="Batch Number: is missing of a payout"):
        line(PAYOUT | {"Batch Number": ""})


def test_a_batch_is_paid_out_in_each_of_its_currencies_and_accounts() -> None:
    rows = [
        PAYOUT,
        PAYOUT | {"Net Currency": "GBP"},
        PAYOUT | {"Merchant Account": "Other"},
    ]

    assert [line(row).payouts[0]["payout_ref"] for row in rows] == [
        "adyen:TestShop:7:EUR",
        "adyen:TestShop:7:GBP",
        "adyen:Other:7:EUR",
    ]


@pytest.mark.parametrize(
    ("word", "side", "kind"),
    [
        ("Settled", "Credit", "sale"),
        ("Refunded", "Debit", "refund"),
        ("RefundedReversed", "Credit", "refund_failed"),
        ("Chargeback", "Debit", "chargeback"),
        ("SecondChargeback", "Debit", "chargeback"),
        ("ChargebackReversed", "Credit", "chargeback_reversed"),
        ("Fee", "Debit", "fee"),
        ("MiscCosts", "Debit", "fee"),
        ("PaymentCost", "Debit", "fee"),
        ("InvoiceDeduction", "Debit", "fee"),
        ("InvoiceDeduction", "Credit", "fee"),
        ("DepositCorrection", "Debit", "reserve_held"),
        ("DepositCorrection", "Credit", "reserve_released"),
        ("ReserveAdjustment", "Debit", "reserve_held"),
        ("ReserveAdjustment", "Credit", "reserve_released"),
        ("MerchantPayin", "Credit", "topup"),
        ("MatchedStatement", "Credit", "topup"),
        ("BankInstructionReturned", "Credit", "payout_returned"),
        ("Balancetransfer", "Debit", "adjustment"),
        ("ManualCorrected", "Credit", "adjustment"),
        ("InternalCompanyPayout", "Debit", "adjustment"),
        ("PaidOut", "Debit", "adjustment"),
    ],
)
def test_each_type_is_a_kind_and_its_side_a_sign(word: str, side: str, kind: str) -> None:
    one = settled(ACCOUNT, **{"Type": word, f"Net {side} (NC)": "3.00"})

    assert (one["kind"], one["net_amount"]) == (kind, D("3.00") if side == "Credit" else D("-3.00"))
    assert not one["description"].startswith("unknown")


def test_a_type_that_nobody_knows_stays_open_as_an_adjustment() -> None:
    one = settled(ACCOUNT, **{"Type": "Novelty", "Net Debit (NC)": "3.00"})

    assert (one["kind"], one["net_amount"]) == ("adjustment", D("-3.00"))
    assert one["description"] == "unknown type Novelty: M1"


def test_a_fee_by_itself_has_no_fee_whatever_column_it_stands_in() -> None:
    one = settled(ACCOUNT, **{"Type": "Fee", "Net Debit (NC)": "1.80", "Commission (NC)": "1.80"})

    assert (one["gross_amount"], one["fee_amount"]) == (D("-1.80"), D(0))
    assert one["fee_detail"] == '{"commission": "1.80"}'


def test_a_cost_of_a_payment_is_a_fee_that_names_it() -> None:
    debit = {"Net Credit (NC)": "", "Net Debit (NC)": "0.60"}

    one = settled(SALE, **debit | {"Type": "PaymentCost"})

    assert (one["kind"], one["gross_amount"], one["payment_id"]) == ("fee", D("-0.60"), "P1")


def test_fees_that_were_given_back_are_negative() -> None:
    one = settled(
        SALE,
        **{
            "Type": "Refunded",
            "Gross Credit (GC)": "",
            "Gross Debit (GC)": "20.00",
            "Net Credit (NC)": "",
            "Net Debit (NC)": "19.40",
            "Commission (NC)": "-0.60",
            "Markup (NC)": "",
            "Scheme Fees (NC)": "",
            "Interchange (NC)": "",
        },
    )

    assert (one["gross_amount"], one["fee_amount"], one["net_amount"]) == (
        *(D("-20.00"), D("-0.60")),
        D("-19.40"),
    )


def test_a_line_that_does_not_tie_is_rejected_with_its_sums() -> None:
    with pytest.raises(Rejected, match=r"does not tie: gross 20.00 - fees 0.60 is not 19.39"):
        line(SALE | {"Net Credit (NC)": "19.39"})


def test_parts_of_a_fee_finer_than_a_cent_are_left_to_adyens_rounding() -> None:
    one = settled(SALE, **{"Scheme Fees (NC)": "0.0472"})

    assert (one["fee_amount"], one["net_amount"]) == (D("0.60"), D("19.40"))
    assert json.loads(one["fee_detail"])["scheme_fees"] == "0.0472"


def test_the_customers_currency_keeps_its_sign_and_six_digits_of_the_rate() -> None:
    one = settled(
        SALE,
        **{
            "Type": "Chargeback",
            "Gross Currency": "JPY",
            "Gross Credit (GC)": "",
            "Gross Debit (GC)": "2000",
            "Exchange Rate": "0.006125494",
            "Net Credit (NC)": "",
            "Net Debit (NC)": "12.85",
        },
    )

    assert (one["gross_amount"], one["fee_amount"]) == (D("-12.25"), D("0.60"))
    assert (one["paid_amount"], one["paid_currency"], one["exchange_rate"]) == (
        *(D("-2000"), "JPY"),
        D("0.006125"),
    )


def test_a_newer_report_tells_when_it_was_booked() -> None:
    newer = {"Booking Date": "2026-03-03 08:00:00", "Booking Date TimeZone": "UTC"}

    assert settled(SALE, **newer)["occurred_at"] == datetime(2026, 3, 3, 8, tzinfo=UTC)
    assert settled(SALE, **newer | {"Booking Date": ""})["occurred_at"] == datetime(
        2026, 3, 2, 9, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("text", "word", "moment"),
    [
        ("2026-01-10 12:00:00", "PST", "2026-01-10T20:00Z"),
        ("2026-06-10 12:00:00", "PST", "2026-06-10T19:00Z"),  # the clock there, as in real files
        ("2026-06-10 12:00:00", "PDT", "2026-06-10T19:00Z"),
        ("2026-06-10 12:00:00", "CET", "2026-06-10T10:00Z"),
        ("2026-10-25 02:30:00", "CEST", "2026-10-25T00:30Z"),  # the hour that comes twice
        ("2026-10-25 02:30:00", "CET", "2026-10-25T01:30Z"),
        ("2026-06-10 12:00:00", "America/Sao_Paulo", "2026-06-10T15:00Z"),
        ("2026-06-10 12:00:00", "UTC", "2026-06-10T12:00Z"),
    ],
)
def test_times_are_the_clock_of_the_named_zone(text: str, word: str, moment: str) -> None:
    one = settled(SALE, **{"Creation Date": text, "TimeZone": word})

    assert one["occurred_at"] == datetime.fromisoformat(moment)


def test_the_same_line_in_another_file_has_the_same_key() -> None:
    fee = ACCOUNT | {
        "Type": "Fee",
        "Modification Reference": "Transaction Fees March 2026",
        "Net Debit (NC)": "1.80",
    }

    assert (
        settled(fee)["line_ref"]
        == settled(fee | {"Net Debit (NC)": "1.8", "Extra": "x"})["line_ref"]
    )
    assert settled(fee)["line_ref"] == (
        "adyen:TestShop:7:EUR:Fee:Transaction Fees March 2026:2026-03-02 10:00:00:-1.8"
    )


def test_different_lines_have_different_keys() -> None:
    fee = ACCOUNT | {"Type": "Fee", "Net Debit (NC)": "1.80"}
    rows = [
        SALE,
        SALE | {"Modification Reference": "M2"},
        SALE | {"Type": "RefundedReversed"},
        SALE | {"Type": "PaymentCost"},
        fee,
        fee | {"Batch Number": "8"},
        fee | {"Merchant Account": "Other"},
        fee | {"Net Debit (NC)": "1.90"},
        fee | {"Creation Date": "2026-03-02 10:00:01"},
        PAYOUT,
        PAYOUT | {"Modification Reference": "TX0000000043XT batch 7, TestShop"},
    ]
    refs = [line(row).lines[0]["line_ref"] for row in rows]
    refs += [line(fee, occurrence="2").lines[0]["line_ref"]]

    assert len(set(refs)) == len(rows) + 1


def test_a_payment_without_a_modification_is_named_by_itself() -> None:
    one = settled(SALE, **{"Modification Reference": ""})

    assert (one["line_ref"], one["movement_id"]) == ("adyen:P1:Settled", "P1")


def test_words_are_cut_and_can_be_stored() -> None:
    one = settled(ACCOUNT, **{"Net Debit (NC)": "1", "Modification Reference": "a\x00" * 600})

    assert len(one["description"]) == LONGEST_TEXT
    assert "\x00" not in one["description"] + one["line_ref"]


@pytest.mark.parametrize(
    ("column", "cell", "part"),
    [
        ("Net Credit (NC)", "", r"Net Credit \(NC\): is empty, and so is Net Debit"),
        ("Net Credit (NC)", "1,00", "is not a plain amount"),
        ("Net Credit (NC)", "1e3", "is not a plain amount"),
        ("Commission (NC)", "0.0000001", "at most six digits behind the point"),
        ("Net Currency", "", "Net Currency"),
        ("Type", "", "Type: is missing"),
        ("Creation Date", "02-03-2026 10:00", "Creation Date"),
        ("Creation Date", "2026-02-30 10:00:00", "Creation Date"),
        ("TimeZone", "XYZT", "TimeZone: is a zone that we do not know: 'XYZT'"),
        ("TimeZone", "", "TimeZone"),
        ("TimeZone", "../secret", "TimeZone"),
        ("Merchant Account", "", "Merchant Account: is missing"),
    ],
)
def test_a_line_that_cannot_be_read_is_rejected(column: str, cell: str, part: str) -> None:
    with pytest.raises(Rejected, match=part):
        line(SALE | {column: cell})


def test_another_kind_of_report_is_rejected() -> None:
    with pytest.raises(Rejected):
        line(SALE, kind="payout_report")


def test_what_has_one_line_for_each_modification_is_of_a_known_type() -> None:
    assert KINDS.keys() >= ONCE


CENTS = st.integers(-(10**8), 10**8).map(lambda cents: D(cents).scaleb(-2))


@given(CENTS, CENTS, CENTS, st.sampled_from(sorted(KINDS)), st.booleans())
def test_gross_less_fees_is_net_for_any_amounts(
    gross: Decimal, fee: Decimal, part: Decimal, word: str, is_foreign: bool
) -> None:
    net = gross - fee
    one = settled(
        SALE,
        **{
            "Type": word,
            "Gross Currency": "USD" if is_foreign else "EUR",
            "Gross Credit (GC)": f"{gross}" if gross > 0 else "",
            "Gross Debit (GC)": f"{-gross}" if gross < 0 else "",
            "Net Credit (NC)": f"{net}" if net >= 0 else "",
            "Net Debit (NC)": f"{-net}" if net < 0 else "",
            "Commission (NC)": f"{part}",
            "Markup (NC)": f"{fee - part}",
            "Scheme Fees (NC)": "",
            "Interchange (NC)": "",
        },
    )

    assert one["net_amount"] == net
    if one["kind"] != "fee":
        assert (one["gross_amount"], one["fee_amount"]) == (gross, fee)


@settings(deadline=None)  # a check of a frame takes its time
@given(st.dictionaries(st.sampled_from(sorted(SALE)), st.text(max_size=12), max_size=4))
def test_whatever_stands_in_a_line_it_is_read_or_rejected(change: dict[str, str]) -> None:
    try:
        found = line(SALE | change)
    except Rejected:
        return
    SettlementLines.validate(SettlementLines.frame(found.lines))


def test_any_whole_batch_comes_to_nothing_by_currency() -> None:
    rows = [SALE, SALE | {"Net Currency": "GBP", "Modification Reference": "M2"}]
    rows += [PAYOUT, PAYOUT | {"Net Currency": "GBP"}]
    sums: dict[str, Decimal] = defaultdict(Decimal)

    for row in rows:
        sums[line(row).lines[0]["payout_ref"]] += line(row).lines[0]["net_amount"]

    assert sums == {"adyen:TestShop:7:EUR": 0, "adyen:TestShop:7:GBP": 0}


# Payments accounting report


def told(**change: str) -> list[dict[str, Any]]:
    found = line(BOOKED | change, kind="payments_accounting")
    assert found == Found(events=found.events)
    PaymentEvents.validate(PaymentEvents.frame(found.events))
    return found.events


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("SentForSettle", "CAPTURE"),
        ("SentForRefund", "REFUND"),
        ("RefundFailed", "REFUND_FAILED"),
        ("RefundedReversed", "REFUNDED_REVERSED"),
        ("CaptureFailed", "CAPTURE_FAILED"),
        ("Cancelled", "CANCELLATION"),
        ("Chargeback", "CHARGEBACK"),
        ("SecondChargeback", "SECOND_CHARGEBACK"),
        ("ChargebackReversed", "CHARGEBACK_REVERSED"),
    ],
)
def test_a_row_and_a_notice_of_the_same_thing_are_the_same_event(word: str, code: str) -> None:
    said = {
        "eventCode": code,
        "success": "true",
        "pspReference": "M1",
        "originalReference": "P1",
        "merchantReference": "1042",
        "amount": {"value": 1000, "currency": "EUR"},
        "eventDate": "2026-03-02T10:00:00+01:00",
    }
    by_notice = notice("adyen", {"notificationItems": [{"NotificationRequestItem": said}]})

    assert told(**{"Record Type": word}) == by_notice.events


def test_an_authorisation_is_told_by_the_payments_own_reference() -> None:
    (one,) = told(
        **{
            "Record Type": "Authorised",
            "Modification Psp Reference": "",
            "Authorised (PC)": "12.50",
        }
    )

    assert (one["event_ref"], one["amount"], one["movement_id"]) == (
        *("adyen:P1:authorised", D("12.50")),
        None,
    )


def test_a_capture_in_part_is_told_by_what_was_captured() -> None:
    (one,) = told(**{"Captured (PC)": "4.00"})

    assert (one["amount"], one["currency"]) == (D("4.00"), "EUR")


@pytest.mark.parametrize("word", ["Received", "Refused", "Error", "Settled", "Refunded"])
def test_rows_that_tell_no_new_thing_give_nothing(word: str) -> None:
    assert told(**{"Record Type": word}) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"Record Type": "Novelty"}, "is a word that we do not know: 'Novelty'"),
        ({"Modification Psp Reference": ""}, "is missing of a SentForSettle"),
        ({"Psp Reference": ""}, "Psp Reference: is missing"),
        ({"Payment Currency": ""}, "Payment Currency"),
        ({"Captured (PC)": "", "Original Amount": ""}, "Original Amount: is missing"),
        ({"Booking Date": "yesterday"}, "Creation Date|Booking Date"),
    ],
)
def test_a_row_of_a_payment_that_cannot_be_read_is_rejected(
    change: dict[str, str], part: str
) -> None:
    with pytest.raises(Rejected, match=part):
        told(**change)
