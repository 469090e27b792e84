"""Stripe's mapper: balance transactions and rows of reports as lines and payouts."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.systems import stripe_reports
from sync_assets.domain.orders import Rejected
from sync_assets.domain.payments import PaymentEvents, Payouts, SettlementLines
from sync_assets.mappers import stripe_settlements as mapper
from sync_assets.mappers.refund_verdicts import stripe as verdicts
from sync_assets.mappers.stripe_notices import digits
from tests.stripe_objects import (
    MORNING,
    US,
    Doc,
    charge,
    dispute,
    moved,
    notice,
    payout,
    refund,
    transaction,
)

D = Decimal


def line(**change: Any) -> Doc:
    found = mapper.OBJECTS["balance_transactions"](US, transaction(**change))
    assert found.events == found.payouts == []
    (row,) = found.lines
    return row


def plain(amount: int, type_: str, category: str | None, **change: Any) -> Doc:
    """A line without a fee, of these words."""
    words = {"type": type_, "reporting_category": category}
    return line(
        **{"amount": amount, "fee": 0, "fee_details": [], "source": None, **words, **change}
    )


def report_row(**change: str) -> Doc:
    cells = {
        "balance_transaction_id": "txn_1",
        "created": "2026-03-02 10:00:00",
        "currency": "usd",
        "gross": "25.00",
        "fee": "0.95",
        "net": "24.05",
        "reporting_category": "charge",
        "source_id": "ch_1",
        "charge_id": "ch_1",
        "payment_intent_id": "pi_1",
        "payment_method_type": "card",
        "card_brand": "Visa",
        "description": "Order 1042",
        "automatic_payout_id": "po_1",
        "automatic_payout_effective_at": "2026-03-04 00:00:00",
        "payment_metadata[order_id]": "1042",
        "customer_facing_amount": "25.00",
        "customer_facing_currency": "usd",
    } | change
    told = {name.replace("__", "[") + ("]" if "__" in name else ""): v for name, v in cells.items()}
    return {
        "file": "march.csv",
        "line": 2,
        "kind": "balance_transactions",
        "facts": {},
        "row": told,
    }


def problem(read: Any, *payload: Any) -> tuple[str, str, str]:
    with pytest.raises(Rejected) as refusal:
        read(US, *payload)
    (one,) = refusal.value.problems
    return one.code, one.part, one.message


# Lines of the API


def test_a_sale_is_a_line_with_its_payment_order_and_fee() -> None:
    assert line(_payout="po_1") == {
        "line_ref": "stripe_us:txn_1",
        "provider": "stripe_us",
        "kind": "sale",
        "payout_ref": "stripe_us:po_1",
        "payment_id": "ch_1",
        "group_id": "pi_1",
        "movement_id": None,
        "order_reference": "1042",
        "method": "visa",
        "currency": "USD",
        "gross_amount": D("25.00"),
        "fee_amount": D("0.95"),
        "fee_tax_amount": D("0"),
        "net_amount": D("24.05"),
        "paid_amount": None,
        "paid_currency": None,
        "exchange_rate": None,
        "occurred_at": MORNING,
        "description": "Order 1042",
        "fee_detail": '{"stripe_fee": "0.95"}',
        "told_by": "api",
        "file_name": None,
        "file_line": 0,
    }


def test_a_report_row_is_the_same_line_as_its_transaction() -> None:
    (told,) = mapper.report_line(US, report_row()).lines

    differs = {"told_by": "file", "file_name": "march.csv", "file_line": 2, "fee_detail": None}
    assert told == line(_payout="po_1") | differs


def test_every_row_has_exactly_the_columns_of_its_table() -> None:
    paid = mapper.OBJECTS["payouts"](US, payout(status="paid"))
    (row,) = mapper.report_line(
        US, report_row(reporting_category="payout", gross="-9", fee="0", net="-9")
    ).payouts

    assert set(line()) == set(mapper.report_line(US, report_row()).lines[0])
    assert set(line()) == set(SettlementLines.columns())
    assert set(paid.events[0]) == set(PaymentEvents.columns())
    assert set(paid.payouts[0]) == set(row) == set(Payouts.columns())


def test_tax_on_a_fee_stands_apart() -> None:
    parts = [
        {"type": "stripe_fee", "amount": 80, "currency": "usd"},
        {"type": "application_fee", "amount": 10, "currency": "usd"},
        {"type": "tax", "amount": 19, "currency": "usd"},
    ]
    row = line(fee=109, fee_details=parts)

    assert (row["fee_amount"], row["fee_tax_amount"], row["net_amount"]) == (
        D("0.90"),
        D("0.19"),
        D("23.91"),
    )
    assert json.loads(row["fee_detail"]) == {
        "application_fee": "0.10",
        "stripe_fee": "0.80",
        "tax": "0.19",
    }


@pytest.mark.parametrize(
    ("type_", "category", "amount", "kind"),
    [
        ("charge", "charge", 100, "sale"),
        ("payment", "charge", 100, "sale"),
        ("payment", None, 100, "sale"),
        ("refund", "partial_capture_reversal", -100, "sale"),
        ("payment_failure_refund", "charge_failure", -100, "sale"),
        ("refund", "refund", -100, "refund"),
        ("payment_refund", None, -100, "refund"),
        ("payment_refund", None, 100, "refund_failed"),
        ("adjustment", "refund_failure", 100, "refund_failed"),
        ("refund_failure", "refund_failure", 100, "refund_failed"),
        ("adjustment", "dispute", -100, "chargeback"),
        ("adjustment", "dispute_reversal", 100, "chargeback_reversed"),
        ("stripe_fee", "fee", -100, "fee"),
        ("stripe_fee", "network_cost", -100, "fee"),
        ("tax_fee", "tax", -100, "fee"),
        ("stripe_fx_fee", None, -100, "fee"),
        ("reserved_funds", "risk_reserved_funds", -100, "reserve_held"),
        ("reserved_funds", "risk_reserved_funds", 100, "reserve_released"),
        ("reserve_transaction", "connect_reserved_funds", -100, "reserve_held"),
        ("reserve_hold", "a_new_word", -100, "reserve_held"),
        ("reserve_release", None, 100, "reserve_released"),
        ("payout", "payout", -100, "payout"),
        ("payout_failure", "payout_reversal", 100, "payout_returned"),
        ("payout_cancel", None, 100, "payout_returned"),
        ("topup", "topup", 100, "topup"),
        ("transfer", "transfer", -100, "adjustment"),
        ("adjustment", "other_adjustment", -100, "adjustment"),
    ],
)
def test_types_and_categories_have_one_kind_each(
    type_: str, category: str | None, amount: int, kind: str
) -> None:
    row = plain(amount, type_, category)

    assert (row["kind"], row["net_amount"]) == (kind, D(amount) / 100)
    assert row["description"] == "Order 1042"


@pytest.mark.parametrize(
    ("type_", "category", "words"),
    [
        ("adjustment", None, "unknown type adjustment: Order 1042"),
        ("adjustment", "climate", "unknown type climate: Order 1042"),
        ("obligation_outbound", "obligation", "unknown type obligation: Order 1042"),
        ("", None, "unknown type without a name: Order 1042"),
    ],
)
def test_an_unknown_word_is_an_adjustment_that_says_so(
    type_: str, category: str | None, words: str
) -> None:
    row = plain(-7, type_, category)

    assert (row["kind"], row["description"], row["net_amount"]) == ("adjustment", words, D("-0.07"))


def test_money_of_another_balance_is_not_taken_for_what_is_paid_out() -> None:
    mirrored = transaction(balance_type="risk_reserved")
    row = line(balance_type="issuing")

    assert mapper.OBJECTS["balance_transactions"](US, mirrored).lines == []
    assert row["kind"] == "adjustment"
    assert row["description"].startswith("unknown type charge of the balance issuing: ")


def test_a_refund_or_dispute_names_itself_and_its_payment() -> None:
    back = line(
        amount=-1000, fee=0, fee_details=[], type="refund", reporting_category="refund",
        source=refund(),
    )  # fmt: skip
    taken = line(
        amount=-2500, fee=1500, fee_details=[], type="adjustment", reporting_category="dispute",
        source=dispute(),
    )  # fmt: skip

    named = ("payment_id", "group_id", "movement_id")
    assert [back[name] for name in named] == ["ch_1", "pi_1", "re_1"]
    assert [taken[name] for name in named] == ["ch_1", "pi_1", "dp_1"]
    assert (taken["fee_amount"], taken["net_amount"]) == (D("15.00"), D("-40.00"))


def test_a_source_that_is_an_id_only_is_still_known() -> None:
    assert (line(source="py_1")["payment_id"], line(source="re_1")["movement_id"]) == (
        "py_1",
        "re_1",
    )


def test_a_payouts_own_line_belongs_to_it_however_it_was_read() -> None:
    said = {"type": "payout", "reporting_category": "payout", "amount": -110050}
    row = line(**said, fee=0, fee_details=[], source=payout())

    assert (row["payout_ref"], row["movement_id"], row["net_amount"]) == (
        "stripe_us:po_1",
        "po_1",
        D("-1100.50"),
    )


@pytest.mark.parametrize(
    ("amount", "captured", "gross", "paid"),
    [(5000, 5000, 5417, "50.00"), (5000, 3000, 3250, "30.00"), (5000, 3000, -2167, "-30.00")],
)
def test_a_converted_line_tells_what_the_customer_paid(
    amount: int, captured: int, gross: int, paid: str
) -> None:
    source = charge(currency="eur", amount=amount, amount_captured=captured)
    row = line(amount=gross, source=source, exchange_rate=D("1.08341234567"))

    assert (row["paid_amount"], row["paid_currency"]) == (D(paid), "EUR")
    assert row["exchange_rate"] == D("1.083412")


def test_without_its_source_a_conversion_has_a_rate_only() -> None:
    row = line(exchange_rate=D("1.5"), source="ch_1")

    assert (row["paid_amount"], row["paid_currency"], row["exchange_rate"]) == (
        None,
        None,
        D("1.5"),
    )


@pytest.mark.parametrize(
    ("currency", "amount", "whole"),
    [
        ("usd", 1000, "10.00"), ("jpy", 1000, "1000"), ("krw", 1000, "1000"),
        ("kwd", 1000, "1.000"), ("bhd", 1, "0.001"), ("mga", 1000, "1000"),
        ("isk", 1000, "10.00"), ("huf", 1000, "10.00"), ("twd", 1000, "10.00"),
    ],
)  # fmt: skip
def test_smallest_units_are_by_stripes_own_list(currency: str, amount: int, whole: str) -> None:
    row = line(currency=currency, amount=amount, fee=0, fee_details=[], source=None)

    assert row["gross_amount"] == D(whole)


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD", "ISK", "UGX", "MGA", "CLP", "XOF"])
def test_refunds_are_counted_as_the_verdicts_on_them_are(currency: str) -> None:
    (seen,) = verdicts(notice("refund.updated", refund(currency=currency.lower(), amount=1000)))

    assert seen.amount == D(1000).scaleb(-digits(currency))


def test_a_line_that_does_not_come_out_is_refused_with_its_sums() -> None:
    read = mapper.OBJECTS["balance_transactions"]
    parts = [{"type": "stripe_fee", "amount": 90, "currency": "usd"}]

    assert problem(read, transaction(net=2400)) == (
        "thing.malformed",
        "net",
        "is 24.00, but gross 25.00 - fee 0.95 is 24.05",
    )
    assert problem(read, transaction(fee_details=parts)) == (
        "thing.malformed",
        "fee_details",
        "come to 0.90, but fee is 0.95",
    )


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"amount": 25.0}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 10**14}, "amount"),
        ({"currency": "us"}, "currency"),
        ({"currency": None}, "currency"),
        ({"created": "2026-03-02"}, "created"),
        ({"id": None}, "id"),
        ({"fee_details": {}}, "fee_details"),
        ({"fee_details": ["tax"]}, "fee_details[0]"),
        ({"exchange_rate": 1.5}, "exchange_rate"),
        ({"exchange_rate": D(0)}, "exchange_rate"),
        ({"exchange_rate": D("1E+30")}, "exchange_rate"),
        ({"exchange_rate": D("NaN")}, "exchange_rate"),
    ],
)
def test_what_cannot_be_read_exactly_is_refused(change: Doc, part: str) -> None:
    said = {"net": 2405, **transaction(), **change}

    assert problem(mapper.OBJECTS["balance_transactions"], said)[1] == part


def test_texts_are_cut_cleaned_and_hold_no_address() -> None:
    row = line(description="Order 1042 ada@example.com \x00" + "x" * 600)

    assert row["description"].startswith("Order 1042 … \ufffdx")
    assert len(row["description"]) == 500
    assert "Ada" not in str(row)


@given(
    st.integers(-(10**9), 10**9),
    st.integers(-(10**6), 10**6),
    st.sampled_from(["usd", "jpy", "kwd"]),
)
def test_net_is_always_gross_less_fee_and_tax(gross: int, fee: int, currency: str) -> None:
    parts = [
        {"type": "tax", "amount": fee // 5, "currency": currency},
        {"type": "stripe_fee", "amount": fee - fee // 5, "currency": currency},
    ]
    row = line(amount=gross, fee=fee, fee_details=parts, currency=currency)

    assert row["net_amount"] == row["gross_amount"] - row["fee_amount"] - row["fee_tax_amount"]
    assert row["net_amount"] == D(gross - fee).scaleb(-digits(currency.upper()))


# Report rows


def payout_row(**change: str) -> Doc:
    none = dict.fromkeys(
        ("charge_id", "payment_intent_id", "payment_method_type", "card_brand",
         "customer_facing_amount", "customer_facing_currency", "payment_metadata__order_id"), "",
    )  # fmt: skip
    cells = {"gross": "-24.05", "fee": "0", "net": "-24.05", "source_id": "po_1"}
    named = {"balance_transaction_id": "txn_9", "reporting_category": "payout"}
    return report_row(**{**none, **cells, **named, **change})


def test_a_payout_row_is_a_payout_and_a_line_and_all_lines_come_to_nothing() -> None:
    sale = mapper.report_line(US, report_row())
    paid = mapper.report_line(US, payout_row(trace_id="TR123"))

    (row,), (own,) = paid.payouts, paid.lines
    assert (row["payout_ref"], row["kind"], row["state"]) == ("stripe_us:po_1", "payout", "paid")
    assert (row["paid_amount"], row["paid_on"], row["bank_reference"]) == (
        D("24.05"),
        date(2026, 3, 4),
        "TR123",
    )
    assert (own["kind"], own["payout_ref"], own["movement_id"]) == (
        "payout",
        "stripe_us:po_1",
        "po_1",
    )
    assert own["net_amount"] + sale.lines[0]["net_amount"] == 0


def test_a_payout_by_hand_or_from_our_bank() -> None:
    by_hand = mapper.report_line(US, payout_row(automatic_payout_id="")).payouts[0]
    taken = mapper.report_line(US, payout_row(gross="24.05", net="24.05"))
    instant = mapper.report_line(US, payout_row(gross="-100", fee="1", net="-101")).payouts[0]

    assert (by_hand["payout_id"], by_hand["kind"]) == ("po_1", "statement")
    assert (taken.payouts[0]["paid_amount"], taken.lines[0]["net_amount"]) == (
        D("-24.05"),
        D("24.05"),
    )
    assert instant["paid_amount"] == D("100")


def test_a_row_of_another_category() -> None:
    fee = {"gross": "-0.5", "fee": "0", "net": "-0.5", "source_id": "", "charge_id": ""}
    (cost,) = mapper.report_line(US, report_row(**fee, reporting_category="network_cost")).lines
    (odd,) = mapper.report_line(US, report_row(reporting_category="magic")).lines

    assert (cost["kind"], cost["gross_amount"], cost["fee_amount"]) == ("fee", D("-0.5"), D(0))
    assert (odd["kind"], odd["description"]) == ("adjustment", "unknown type magic: Order 1042")


def test_a_row_in_another_currency_than_the_customers() -> None:
    told = {"customer_facing_amount": "-30", "customer_facing_currency": "eur"}
    (row,) = mapper.report_line(US, report_row(**told)).lines

    assert (row["paid_amount"], row["paid_currency"], row["exchange_rate"]) == (
        D("-30"),
        "EUR",
        None,
    )


def test_decimal_commas_and_utc_columns_are_read() -> None:
    told = {"gross": "25,00", "fee": "0,95", "net": "24,05", "created_utc": "2026-03-02 09:00:00"}
    (row,) = mapper.report_line(US, report_row(**told)).lines

    assert (row["gross_amount"], row["net_amount"]) == (D("25.00"), D("24.05"))
    assert row["occurred_at"] == datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "part", "message"),
    [
        ({"net": "24.00"}, "net", "is 24.00, but gross 25.00 - fee 0.95 is 24.05"),
        ({"gross": "25.005"}, "gross", "has more digits than USD has"),
        ({"currency": "jpy"}, "gross", ""),
        ({"gross": "1,234.50"}, "gross", "is not a plain amount"),
        ({"gross": ""}, "gross", "is not a plain amount"),
        ({"gross": "NaN"}, "gross", "is not a plain amount"),
        ({"currency": ""}, "currency", "is not a currency code of three letters"),
        ({"balance_transaction_id": ""}, "balance_transaction_id", "is empty"),
        ({"created": "30.01.2026"}, "created", "is not a date and time"),
        ({"customer_facing_currency": "dollars"}, "customer_facing_currency",
         "is not a currency code of three letters"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_refused(change: Doc, part: str, message: str) -> None:
    if change == {"currency": "jpy"}:  # 25.00 yen are 25 yen; 0.95 are none
        part, message = "fee", "has more digits than JPY has"

    assert problem(mapper.report_line, report_row(**change)) == ("thing.malformed", part, message)


@given(st.dictionaries(st.sampled_from(sorted(report_row()["row"])), st.text(max_size=20)))
def test_any_cells_are_read_or_refused(cells: dict[str, str]) -> None:
    payload = report_row()
    payload["row"].update(cells)
    with suppress(Rejected):
        (row,) = mapper.report_line(US, payload).lines
        assert row["net_amount"] == row["gross_amount"] - row["fee_amount"]


ODD = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just(D("1E+40"))),
    *(st.just([]), st.just([3]), st.just([{"amount": 1}]), st.just({}), st.just({"id": 7})),
    st.just({"data": [{}], "value": [], "type": {}, "created": "x"}),
)


@pytest.mark.parametrize(
    ("thing", "whole"),
    [
        ("balance_transactions", transaction(exchange_rate=D("1.1"))),
        ("charges", charge()),
        ("refunds", refund(status="failed")),
        ("disputes", dispute(moved(-2500), status="won")),
        ("payouts", payout(status="failed")),
    ],
)
@given(data=st.data())
def test_any_members_are_read_or_refused(thing: str, whole: Doc, data: st.DataObject) -> None:
    odd = data.draw(st.dictionaries(st.sampled_from(sorted(whole)), ODD, max_size=3))
    payload = whole | odd
    with suppress(Rejected):
        mapper.OBJECTS[thing](US, payload)


# Samples


@pytest.fixture(scope="module")
def samples(recordings: Path) -> Path:
    folder = recordings.parent / "data" / "payments"
    if not folder.exists():
        pytest.skip("Stripe's samples are kept beside the project, and are not there")
    return folder


def mapped(samples: Path, name: str) -> tuple[list[Doc], dict[int, str]]:
    """The lines of a sample report, and why others are refused."""
    content = (samples / "provider-reports" / "stripe" / name).read_bytes()
    report = stripe_reports.read(name, content)
    lines, refused = list[Doc](), dict[int, str]()
    for one in report.lines:
        payload = {"file": name, "line": one.number, "kind": report.kind, "row": one.row}
        try:
            lines += mapper.report_line(US, payload).lines
        except Rejected as refusal:
            refused[one.number] = str(refusal)
    return lines, refused


def test_a_payouts_sample_is_read_but_for_its_payout_row_that_contradicts_itself(
    samples: Path,
) -> None:
    lines, refused = mapped(samples, "settlement_report.csv")

    assert [row["kind"] for row in lines] == [
        *("sale", "refund", "sale", "fee", "fee", "chargeback_reversed"),
    ]
    # Its net is what the other rows of its payout come to; its gross is not, and both have the
    # sign of money taken from our bank.
    assert refused == {8: "net: is 23.05, but gross 24 - fee 0 is 24"}
    of_payout = [row for row in lines if row["payout_ref"] == "stripe_us:po_test123"]
    assert sum(row["net_amount"] for row in of_payout) == D("23.05")
    # A currency in small letters, a dispute's newer prefix, and no payout yet.
    last = lines[-1]
    assert (last["currency"], last["movement_id"], last["payout_ref"]) == ("USD", "du_1Tc2b", None)


def test_a_sample_with_customers_is_read_and_holds_none_of_them(samples: Path) -> None:
    lines, refused = mapped(samples, "settlement_report_with_customer_data.csv")

    assert ([row["kind"] for row in lines], refused) == (["sale", "sale", "fee"], {})
    assert [row["order_reference"] for row in lines] == ["24315.1", "24316.1", None]
    # Without a payout row there is nothing to balance with.
    assert sum(row["net_amount"] for row in lines) == D("33.55")
    assert "Simpson" not in str(lines)
    assert "@" not in str(lines)


def test_a_sample_of_activity_is_read_with_its_dispute_fee(samples: Path) -> None:
    lines, refused = mapped(samples, "payments_activity.csv")

    assert refused == {}
    assert [
        (row["kind"], row["gross_amount"], row["fee_amount"], row["net_amount"]) for row in lines
    ] == [
        ("sale", D("30.00"), D("1.20"), D("28.80")),
        ("chargeback", D("-30.00"), D("15.00"), D("-45.00")),
    ]
    assert [row["payout_ref"] for row in lines] == ["stripe_us:po_abc", "stripe_us:po_def"]


def test_the_vendors_own_objects_are_read(samples: Path) -> None:
    said = json.loads((samples / "stripe" / "fixtures3.json").read_text(), parse_float=Decimal)
    things = said["resources"]

    def kinds(thing: str) -> list[str]:
        found = mapper.OBJECTS[thing](US, things[thing[:-1]])
        return [row["kind"] for row in found.events + found.lines + found.payouts]

    assert {thing: kinds(thing) for thing in mapper.OBJECTS} == {
        "balance_transactions": ["sale"],
        "charges": ["authorised"],
        "refunds": ["refunded"],
        "disputes": ["dispute_opened"],
        "payouts": ["payout"],
    }
    assert mapper.notice(US, things["event"]).events == []
