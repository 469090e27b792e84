"""Remittances of cash on delivery and other acquirers: from a CSV to lines and payouts that tie."""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.systems import remittance_reports
from resources.systems.report_files import RefusedFile, Report
from sync_assets.domain.orders import Rejected
from sync_assets.domain.payments import Found, Payouts, SettlementLines
from sync_assets.mappers import files_settlements

D = Decimal
HEAD = "transaction_id;order_reference;kind;occurred_at;currency;gross;fee;net;payout_id;paid_on\n"


def read(text: str, **how: Any) -> Report:
    plain = {"columns": {}, "ignored": (), "encoding": "utf-8"}
    return remittance_reports.read("r.csv", text.encode(), **{**plain, **how})


def mapped(report: Report) -> Found:
    found = Found()
    for line in report.lines:
        facts = {**report.facts, **line.facts}
        said = {"file": "r.csv", "line": line.number, "kind": report.kind, "facts": facts}
        found.add(files_settlements.report_line("cod", {**said, "row": line.row}))
    return found


def one(signs: str = "unsigned", **cells: str) -> Found:
    row = {"currency": "EUR", "gross": "10.00", "occurred_at": "2026-11-02", **cells}
    facts = {"zone": "UTC", "signs": signs}
    said = {"file": "r.csv", "line": 2, "kind": "remittance", "facts": facts, "row": row}
    return files_settlements.report_line("cod", said)


def money(found: Found) -> tuple[str, Decimal, Decimal, Decimal, Decimal]:
    (line,) = found.lines
    names = ("gross_amount", "fee_amount", "fee_tax_amount", "net_amount")
    gross, fee, tax, net = (line[name] for name in names)
    assert net == gross - fee - tax
    return line["kind"], gross, fee, tax, net


def rejected(signs: str = "unsigned", **cells: str) -> str:
    with pytest.raises(Rejected) as why:
        one(signs, **cells)
    (problem,) = why.value.problems
    assert problem.code == "thing.malformed"
    return f"{problem.part} {problem.message}"


# The file


def test_a_carriers_file_is_read_in_its_own_columns() -> None:
    report = read(
        "\ufeffNote,Amount,Parcel no,Ccy,Order\r\n"
        'x,"1.234,56",P1,EUR,1042\r\n\r\n"open,5,P2,EUR,1043\r\nx,7,P3,EUR,1044',
        columns={
            "transaction_id": "Parcel no",
            "gross": "Amount",
            "currency": "Ccy",
            "order_reference": "Order",
        },
        ignored=("Note",),
    )
    assert (report.kind, dict(report.facts)) == (
        "remittance",
        {"zone": "UTC", "signs": "unsigned"},
    )
    assert [(line.number, dict(line.row)) for line in report.lines] == [
        (
            2,
            {
                "gross": "1.234,56",
                "transaction_id": "P1",
                "currency": "EUR",
                "order_reference": "1042",
            },
        ),
        (5, {"gross": "7", "transaction_id": "P3", "currency": "EUR", "order_reference": "1044"}),
    ]
    assert [line.number for line in report.broken] == [4]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("currency;gross\nEUR;1\n", "it lacks the column order_reference or transaction_id"),
        ("order_reference;gross\n1;1\n", "it lacks the column currency"),
        ("order_reference;currency\n1;EUR\n", "it lacks the column gross"),
        ("order_reference;currency;gross;gross\n", "it has the column gross more than once"),
        ("order_reference;currency;gross;tip\n", "it has columns that we do not know: 'tip'"),
        ("\n\n", "it has no header row"),
    ],
)
def test_a_file_without_what_it_needs_is_refused(text: str, reason: str) -> None:
    with pytest.raises(RefusedFile, match=reason):
        read(text)


def test_a_negative_gross_anywhere_says_that_signs_are_written() -> None:
    head = "order_reference;currency;gross\n"
    assert read(f"{head}1;EUR;1\n2;EUR;-1\n").facts["signs"] == "signed"
    assert read(f"{head}1;EUR;1\n2;EUR;1,00-\n").facts["signs"] == "signed"


def test_lines_without_an_id_that_are_alike_are_numbered() -> None:
    head = "order_reference;currency;gross;occurred_at\n"
    report = read(head + "1;EUR;5;2026-11-02\n1;EUR;5;2026-11-02\n2;EUR;5;2026-11-02\n")
    assert [line["line_ref"] for line in mapped(report).lines] == [
        "cod:1:sale:2026-11-02T00:00:00+00:00:EUR:5",
        "cod:1:sale:2026-11-02T00:00:00+00:00:EUR:5:2",
        "cod:2:sale:2026-11-02T00:00:00+00:00:EUR:5",
    ]


# A whole remittance


COD = HEAD + (
    "T1;1042;sale;2026-11-01 10:00;EUR;100,00;2,50;97,50;PO-1;\n"
    "T2;1043;;2026-11-01T11:00:00+01:00;EUR;50,00;2,50;47,50;PO-1;\n"
    "T3;1042;refund;01.11.2026;EUR;20,00;0;20,00;PO-1;\n"
    "T4;;fee;20261102;EUR;5,00;;;PO-1;\n"
    "T5;;payout;2026-11-02;EUR;120,00;;120,00;PO-1;03.11.2026\n"
)


def test_a_whole_remittance_comes_to_nothing_with_its_payout() -> None:
    found = mapped(read(COD, zone="Europe/Berlin"))
    assert [(line["kind"], line["net_amount"]) for line in found.lines] == [
        ("sale", D("97.50")),
        ("sale", D("47.50")),
        ("refund", D("-20.00")),
        ("fee", D("-5.00")),
        ("payout", D("-120.00")),
    ]
    assert sum(line["net_amount"] for line in found.lines) == 0
    assert {line["payout_ref"] for line in found.lines} == {"cod:PO-1"}
    assert found.payouts == [
        {
            "payout_ref": "cod:PO-1",
            "provider": "cod",
            "payout_id": "PO-1",
            "kind": "payout",
            "currency": "EUR",
            "paid_amount": D("120.00"),
            "opening_amount": None,
            "closing_amount": None,
            "paid_on": date(2026, 11, 3),
            "state": "paid",
            "bank_reference": None,
        }
    ]
    assert [line["occurred_at"] for line in found.lines[:3]] == [
        datetime(2026, 11, 1, 9, tzinfo=UTC),
        datetime(2026, 11, 1, 10, tzinfo=UTC),
        datetime(2026, 10, 31, 23, tzinfo=UTC),
    ]


def test_a_line_has_all_columns_of_the_table() -> None:
    found = one(
        kind="Sale",
        transaction_id="T1",
        order_reference="1042",
        gross="100.00",
        fee="2.00",
        fee_tax="0.38",
        net="97.62",
        payout_id="PO-1",
        payment_id="PAY-1",
        method="cash",
        description="  parcel   1 ",
        occurred_at="2026-11-02T10:00:00Z",
    )
    assert found.lines == [
        {
            "line_ref": "cod:T1",
            "provider": "cod",
            "kind": "sale",
            "payout_ref": "cod:PO-1",
            "payment_id": "PAY-1",
            "group_id": None,
            "movement_id": "T1",
            "order_reference": "1042",
            "method": "cash",
            "currency": "EUR",
            "gross_amount": D("100.00"),
            "fee_amount": D("2.00"),
            "fee_tax_amount": D("0.38"),
            "net_amount": D("97.62"),
            "paid_amount": None,
            "paid_currency": None,
            "exchange_rate": None,
            "occurred_at": datetime(2026, 11, 2, 10, tzinfo=UTC),
            "description": "parcel 1",
            "fee_detail": None,
            "told_by": "file",
            "file_name": "r.csv",
            "file_line": 2,
        }
    ]
    assert set(found.lines[0]) == set(SettlementLines.to_schema().columns)
    assert set(one(kind="payout", payout_id="P").payouts[0]) == set(Payouts.to_schema().columns)


# Kinds and signs


@pytest.mark.parametrize(
    ("signs", "cells", "wanted"),
    [
        ("unsigned", {"kind": "refund"}, ("refund", "-10.00", "0", "-10.00")),
        ("unsigned", {"kind": "chargeback", "fee": "15"}, ("chargeback", "-10.00", "15", "-25.00")),
        ("unsigned", {"kind": "chargeback reversed"}, ("chargeback_reversed", "10", "0", "10")),
        ("unsigned", {"kind": "adjustment"}, ("adjustment", "10.00", "0", "10.00")),
        ("unsigned", {"kind": "refund", "fee": "1", "net": "9"}, ("refund", "-10", "-1", "-9")),
        ("unsigned", {"kind": "refund", "fee": "1", "net": "11"}, ("refund", "-10", "1", "-11")),
        ("unsigned", {"kind": "fee", "gross": "0", "fee": "3"}, ("fee", "-3", "0", "-3")),
        ("signed", {"gross": "-10.00"}, ("refund", "-10.00", "0", "-10.00")),
        ("signed", {"kind": "sale", "fee": "-1", "net": "9"}, ("sale", "10", "1", "9")),
        ("signed", {"kind": "sale", "fee": "-1", "net": "11"}, ("sale", "10", "-1", "11")),
        ("signed", {"kind": "adjustment", "gross": "-4"}, ("adjustment", "-4", "0", "-4")),
        ("signed", {"kind": "fee", "gross": "-4"}, ("fee", "-4", "0", "-4")),
        ("signed", {"kind": "fee", "gross": "4"}, ("fee", "4", "0", "4")),
        ("signed", {"kind": "fee", "gross": "0", "fee": "3", "net": "3"}, ("fee", "3", "0", "3")),
        (
            "signed",
            {"kind": "fee", "gross": "0", "fee": "3", "net": "-3"},
            ("fee", "-3", "0", "-3"),
        ),
    ],
)
def test_signs_are_ours_whichever_way_they_are_written(
    signs: str, cells: dict[str, str], wanted: tuple[str, ...]
) -> None:
    kind, gross, fee, _, net = money(one(signs, **cells))
    assert (kind, gross, fee, net) == (wanted[0], *map(D, wanted[1:]))


def test_a_fee_by_itself_keeps_the_tax_on_it() -> None:
    found = one(kind="fee", gross="0", fee="5.00", fee_tax="0.95", net="5.95")
    assert money(found) == ("fee", D("-5.00"), D(0), D("0.95"), D("-5.95"))


def test_an_unknown_word_stays_open_as_an_adjustment() -> None:
    (line,) = one(kind="Bonus  Run", description="for November").lines
    assert (line["kind"], line["gross_amount"]) == ("adjustment", D("10.00"))
    assert line["description"] == "unknown type bonus_run: for November"


def test_money_that_was_taken_from_our_bank_is_a_negative_payout() -> None:
    found = one("signed", kind="payout", gross="120.00", payout_id="P1")
    assert (found.lines[0]["net_amount"], found.payouts[0]["paid_amount"]) == (D(120), D(-120))


def test_a_payout_without_an_id_is_known_by_its_line_its_bank_reference_or_its_day() -> None:
    def ref(**cells: str) -> str:
        found = one(kind="payout", **cells)
        assert found.lines[0]["payout_ref"] == found.payouts[0]["payout_ref"]
        return str(found.payouts[0]["payout_ref"])

    assert ref(transaction_id="T9", bank_reference="B1") == "cod:T9"
    assert ref(bank_reference="B1", paid_on="2026-11-03") == "cod:B1"
    assert ref(paid_on="3.11.2026") == "cod:2026-11-03"
    assert rejected(kind="payout") == "payout_id is empty, and so is what could stand for it"


# What is rejected


@pytest.mark.parametrize(
    ("signs", "cells", "reason"),
    [
        (
            "unsigned",
            {"fee": "1.00", "fee_tax": "0.19", "net": "8.80"},
            "net is not gross less fees: gross 10.00, fee 1.00, fee tax 0.19, net 8.80",
        ),
        ("signed", {"kind": "refund"}, "gross of a refund is positive in a file with signs"),
        ("signed", {"kind": "sale", "gross": "-1"}, "gross of a sale is negative"),
        (
            "unsigned",
            {"fee": "-1"},
            "fee is negative, and no net says if it was taken or given back",
        ),
        (
            "unsigned",
            {"kind": "fee", "fee": "10"},
            "fee stands beside a gross, and no net says if it is the same",
        ),
        (
            "unsigned",
            {"kind": "payout", "fee": "1", "payout_id": "P"},
            "fee of a payout must be a line of its own, of the kind fee",
        ),
        ("unsigned", {"gross": ""}, "gross is not an amount"),
        ("unsigned", {"gross": "1.234"}, "gross '1.234' may mean thousands or thousandths"),
        ("unsigned", {"gross": "1,234"}, "gross '1,234' may mean thousands or thousandths"),
        ("unsigned", {"gross": "1,23,4"}, "gross is not an amount"),
        ("unsigned", {"gross": "ten"}, "gross is not an amount"),
        ("unsigned", {"gross": "1.234", "currency": "EU"}, "currency is not a currency code"),
        ("unsigned", {"occurred_at": "11/02/2026"}, "occurred_at is no time like"),
        ("unsigned", {"occurred_at": "31.02.2026"}, "occurred_at is no time like"),
        ("unsigned", {"occurred_at": ""}, "occurred_at is empty, and so is paid_on"),
        ("unsigned", {"kind": "payout", "payout_id": "P", "paid_on": "x"}, "paid_on is no day"),
    ],
)
def test_a_line_that_does_not_tie_or_may_be_read_in_two_ways_is_rejected(
    signs: str, cells: dict[str, str], reason: str
) -> None:
    assert rejected(signs, **cells).startswith(reason)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("1.234,56", "EUR", "1234.56"),
        ("1,234.56", "EUR", "1234.56"),
        ("1'234.5", "CHF", "1234.5"),
        ("1 234,50", "EUR", "1234.50"),
        ("1.234.567", "EUR", "1234567"),
        ("12,5", "EUR", "12.5"),
        ("1234.567", "EUR", "1234.567"),
        ("0.125", "EUR", "0.125"),
        ("1.234", "JPY", "1234"),
        ("1.234", "KWD", "1.234"),
    ],
)
def test_amounts_are_exact_whichever_mark_they_are_written_with(
    text: str, currency: str, amount: str
) -> None:
    assert money(one(gross=text, currency=currency))[1] == D(amount)


def test_the_day_of_payment_stands_for_a_missing_time() -> None:
    (line,) = one(occurred_at="", paid_on="2026/11/05").lines
    assert line["occurred_at"] == datetime(2026, 11, 5, tzinfo=UTC)


def test_a_reference_of_any_length_gives_a_key_of_a_bounded_one() -> None:
    long = one(order_reference="x" * 300).lines[0]["line_ref"]
    assert len(long) < 40
    assert long != one(order_reference="x" * 301).lines[0]["line_ref"]


# Whatever comes


CENTS = st.integers(0, 10**9).map(lambda cents: str(D(cents).scaleb(-2)))
WORDS = st.sampled_from(["sale", "refund", "chargeback", "fee", "adjustment", "", "odd", "payout"])


@given(WORDS, CENTS, CENTS, CENTS, st.booleans(), st.booleans())
def test_net_is_always_gross_less_fees(
    word: str, gross: str, fee: str, tax: str, signed: bool, negative: bool
) -> None:
    gross = f"-{gross}" if negative and signed else gross
    cells = {"kind": word, "gross": gross, "fee": fee, "fee_tax": tax, "payout_id": "P"}
    with suppress(Rejected):
        kind, *_, net = money(one("signed" if signed else "unsigned", **cells))
        assert not (kind in ("refund", "chargeback") and net > 0)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_words_make_the_mapper_fall(gross: str, when: str, kind: str, rest: str) -> None:
    with suppress(Rejected):
        one(gross=gross, occurred_at=when, kind=kind, fee=rest, order_reference=rest)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fall(content: bytes) -> None:
    for text in (content, HEAD.encode() + content):
        with suppress(RefusedFile):
            remittance_reports.read("r", text, columns={}, ignored=(), encoding="latin-1")
