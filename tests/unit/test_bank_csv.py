"""Bank statements as CSV, in the manners of several banks."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.settings import BankAccount
from resources.systems.bank_reports import read_csv
from resources.systems.report_files import RefusedFile, Report


def rows(report: Report) -> list[dict[str, str]]:
    return [dict(line.row) for line in report.lines if line.row["kind"] == "line"]


def account(**change: object) -> BankAccount:
    said = {"kind": "csv", "inbox": "in", "currency": "EUR", "company": "eu", **change}
    return BankAccount.model_validate(said)


GERMAN = account(
    encoding="cp1252",
    decimal_comma=True,
    day_format="%d.%m.%Y",
    columns={
        "booked_on": "Buchungstag",
        "valued_on": "Wertstellung",
        "amount": "Betrag",
        "counterparty": "Auftraggeber",
        "description": "Verwendungszweck",
        "balance": "Saldo",
        "currency": "Währung",
    },
    ignored_columns=("Kategorie",),
)
GERMAN_TEXT = "\r\n".join(
    (
        "Kategorie;Währung;Saldo;Betrag;Buchungstag;Wertstellung;Auftraggeber;Verwendungszweck",
        "x;EUR;1.150,50;-50,00;03.11.2026;04.11.2026;Bank;Entgelt",
        'x;EUR;1.200,50;1.234,56;02.11.2026;;Stripe;"po_1; ""A"""',
        "",
        "x;eur;-34,06;10,00-;02.11.2026;;;Gebühr",
    )
)


def csv(text: str, **change: object) -> Report:
    return read_csv("b.csv", text.encode(), account(**change))


def test_an_export_with_the_newest_first_is_read_by_its_configuration() -> None:
    report = read_csv("b.csv", GERMAN_TEXT.encode("utf-8-sig"), GERMAN)
    fee, payout, charge = rows(report)
    assert (report.kind, report.broken) == ("csv", [])
    assert (fee["amount"], fee["booked_on"], fee["valued_on"]) == (
        "-50.00",
        "2026-11-03",
        "2026-11-04",
    )
    assert (payout["amount"], payout["counterparty"]) == ("1234.56", "Stripe")
    assert payout["description"] == 'po_1; "A"'
    assert "valued_on" not in payout
    assert (charge["amount"], charge["currency"]) == ("-10.00", "EUR")
    assert [line.number for line in report.lines] == [2, 3, 5, 6, 7]
    heads = [dict(line.facts) for line in report.lines if line.row["kind"] == "statement"]
    assert [(one["statement_id"], one["opening"], one["closing"]) for one in heads] == [
        ("2026-11-02", "-24.06", "1200.50"),
        ("2026-11-03", "1200.50", "1150.50"),
    ]
    assert rows(read_csv("b.csv", GERMAN_TEXT.encode("cp1252"), GERMAN)) == rows(report)


def test_debit_and_credit_columns_make_one_amount() -> None:
    report = csv(
        "booked_on,debit,credit\n2026-11-02,5.00,\n2026-11-02,-6.00,0.00\n2026-11-02,,7.00\n"
        "2026-11-02,1.00,1.00\n2026-11-02,,\n"
    )
    assert [row["amount"] for row in rows(report)] == ["-5.00", "-6.00", "7.00"]
    assert [(one.number, one.reason) for one in report.broken] == [
        (5, "has a debit and a credit"),
        (6, "has no amount"),
    ]


def test_a_day_is_a_statement_whose_balances_take_rows_without_one_along() -> None:
    report = csv(
        "booked_on,amount,balance\n2026-11-02,5.00,\n2026-11-02,6.00,111.00\n2026-11-02,1.00,\n"
    )
    assert report.lines[0].facts["opening"] == "100.00"
    assert report.lines[0].facts["closing"] == "112.00"
    without = csv("booked_on,amount\n2026-11-02,5.00\n")
    assert "opening" not in without.lines[0].facts


def test_overlapping_exports_tell_the_same_rows_by_the_same_keys() -> None:
    head = "booked_on,amount,description,bank_reference\n"
    monday = ["2026-11-02,-1.00,fee,\n", "2026-11-02,-1.00,fee,\n", "2026-11-02,9.00,po_1,REF\n"]
    tuesday = ["2026-11-03,-1.00,fee,\n", "2026-11-03,9,po_1,REF\n", "2026-11-03,1.00,po_1,REF\n"]
    early = [row["key"] for row in rows(csv(head + "".join(monday)))]
    late = [row["key"] for row in rows(csv(head + "".join(monday + tuesday)))]
    assert late[:3] == early
    assert len(set(late)) == 6
    assert early[1] == f"{early[0]}:2"
    assert late[2:] == [
        "2026-11-02:9:REF",
        late[3],
        "2026-11-03:9:REF",
        "2026-11-03:1:REF",
    ]
    turned = [row["key"] for row in rows(csv(head + "".join((monday + tuesday)[::-1])))]
    assert sorted(turned) == sorted(late)


@pytest.mark.parametrize(
    ("text", "comma", "amount"),
    [
        ("1,234.56", False, "1234.56"),
        ("1,234,567", False, "1234567"),
        ("1,234", False, "1234"),
        ("1234.5", False, "1234.5"),
        ("0.125", False, "0.125"),
        ("+7.00", False, "7.00"),
        ("\u22127.00", False, "-7.00"),
        ("1.234,56", True, "1234.56"),
        ("1 234,56", True, "1234.56"),
        ("1'234'567,89", True, "1234567.89"),
        ("12,00-", True, "-12.00"),
    ],
)
def test_thousands_are_read_where_nothing_else_can_be_meant(
    text: str, comma: bool, amount: str
) -> None:
    report = csv(f'booked_on;amount\n2026-11-02;"{text}"\n', decimal_comma=comma)
    assert [row["amount"] for row in rows(report)] == [amount]


@pytest.mark.parametrize(
    ("text", "comma", "currency"),
    [
        ("1.234", False, "EUR"),
        ("1,234", True, "EUR"),
        ("-1.234", False, "EUR"),
        ("1,234", False, "KWD"),
        ("1.234", True, "KWD"),
    ],
)
def test_an_amount_with_two_readings_is_left_to_a_person(
    text: str, comma: bool, currency: str
) -> None:
    report = csv(f'booked_on;amount\n2026-11-02;"{text}"\n', decimal_comma=comma, currency=currency)
    assert rows(report) == []
    assert [(one.number, one.reason) for one in report.broken] == [
        (2, f"its amount {text!r} may mean thousands or thousandths")
    ]


@pytest.mark.parametrize("text", ["12,34", "1,23,456", "1.2.3", "12.", ".5", "EUR 5", "1e5", "٣"])
def test_what_is_no_amount_by_the_configuration_is_broken(text: str) -> None:
    (fault,) = csv(f'booked_on;amount\n2026-11-02;"{text}"\n').broken
    assert fault.reason == "its amount is no amount with '.' before the cents"


def test_three_digits_are_an_amount_where_the_currency_has_three() -> None:
    report = csv("booked_on;amount\n2026-11-02;1.234\n", currency="KWD")
    assert rows(report)[0]["amount"] == "1.234"


def test_rows_that_cannot_be_read_are_named_one_by_one() -> None:
    report = csv(
        "booked_on;amount;currency\n;1.00;EUR\n02.11.2026;1.00;EUR\n2026-11-02;1.00;USD\n"
        '2026-11-02;"1.00;EUR\n2026-11-02;1.00;\n'
    )
    assert [(one.number, one.reason) for one in report.broken] == [
        (2, "has no booking day: it is not booked yet, or is no entry"),
        (3, "its booked_on is no day written as %Y-%m-%d"),
        (4, "is not in EUR, the currency of the account"),
        (5, "its quotes are not closed, or stand in the middle of a field"),
    ]
    assert [row["currency"] for row in rows(report)] == ["EUR"]


def test_an_export_without_amounts_or_with_unknown_columns_is_refused() -> None:
    for text, reason in (
        ("booked_on;credit\n2026-11-02;1.00\n", "it lacks the column amount, or both debit"),
        ("amount\n1.00\n", "it lacks the column booked_on"),
        ("booked_on;amount;Notiz\n", "it has columns that we do not know: 'notiz'"),
        ("booked_on;amount;amount\n", "it has the column amount more than once"),
        ("", "it has no header row"),
    ):
        with pytest.raises(RefusedFile, match=reason):
            csv(text)
    assert csv("booked_on;amount\n").lines == []


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_make_the_csv_reader_fall(content: bytes, comma: bool) -> None:
    how = account(decimal_comma=comma)
    report = read_csv("b.csv", b"booked_on;amount\n2026-11-02;1\n", how)
    assert len(report.lines) == 2
    for text in (content, b"booked_on;amount;balance\n2026-11-02;" + content):
        with suppress(RefusedFile):
            read_csv("b.csv", text, how)


def test_ten_times_the_rows_take_about_ten_times_as_long() -> None:
    def seconds(count: int) -> float:
        text = "booked_on;amount;description\n" + "".join(
            f"2026-11-{1 + place % 28:02d};{place}.00;same\n" for place in range(count)
        )
        began = time.process_time()
        read_csv("b.csv", text.encode(), account())
        return time.process_time() - began

    seconds(100)
    assert seconds(20_000) < 30 * seconds(2_000)
