"""Stripe's itemised reports as files: every row read or named, whatever became of the file."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.systems import stripe_reports
from resources.systems.report_files import RefusedFile, Report

COLUMNS = (
    "balance_transaction_id,created,currency,gross,fee,net,reporting_category,source_id,description"
)
SALE = "txn_1,2026-01-30 10:11:12,usd,25,0.95,24.05,charge,ch_1,Order 1042"
FEE = "txn_2,2026-01-30 12:30:00,usd,-0.5,0,-0.5,fee,,Radar"


def content(*lines: str, header: str = COLUMNS, end: str = "\n") -> bytes:
    return end.join((header, *lines, "")).encode()


def read(said: bytes) -> Report:
    return stripe_reports.read("payouts.csv", said)


def numbers(report: Report) -> list[int]:
    return [line.number for line in report.lines]


def broken(report: Report) -> list[tuple[int, str]]:
    return [(one.number, one.reason) for one in report.broken]


def test_rows_are_kept_as_written_by_stripes_names_of_columns() -> None:
    report = read(content(SALE, FEE))

    assert report.kind == "balance_transactions"
    assert (numbers(report), report.broken, report.facts, report.control) == ([2, 3], [], {}, {})
    assert report.lines[0].row == {
        "balance_transaction_id": "txn_1",
        "created": "2026-01-30 10:11:12",
        "currency": "usd",
        "gross": "25",
        "fee": "0.95",
        "net": "24.05",
        "reporting_category": "charge",
        "source_id": "ch_1",
        "description": "Order 1042",
    }
    assert [line.row["fee"] for line in report.lines[-2:]] == ["0.95", "0"]


@pytest.mark.parametrize(
    "said",
    [
        b"\xef\xbb\xbf" + content(SALE, FEE),
        content(SALE, FEE, end="\r\n"),
        content(SALE, FEE, end="\r"),
        content(SALE, FEE).rstrip(b"\n"),
        content(SALE.replace(",", ";"), FEE.replace(",", ";"), header=COLUMNS.replace(",", ";")),
        content(SALE.replace(",", "\t"), FEE.replace(",", "\t"), header=COLUMNS.replace(",", "\t")),
        content(SALE, FEE, header=COLUMNS.upper()),
        content(SALE, FEE, header=COLUMNS.replace("gross", '"gross"').replace("net", " net ")),
    ],
    ids=["bom", "crlf", "cr", "no end", "semicolons", "tabs", "capitals", "quoted names"],
)
def test_the_same_rows_however_the_file_was_saved(said: bytes) -> None:
    assert [line.row for line in read(said).lines] == [
        line.row for line in read(content(SALE, FEE)).lines
    ]


def test_columns_may_stand_in_another_order_and_unknown_ones_are_kept() -> None:
    header = "net,fee,gross,Our Note,currency,created_utc,reporting_category,balance_transaction_id"
    report = read(content("24.05,0.95,25,x,usd,2026-01-30 10:11:12,charge,txn_1", header=header))

    (line,) = report.lines
    assert (line.row["net"], line.row["Our Note"], line.row["created_utc"]) == (
        "24.05",
        "x",
        "2026-01-30 10:11:12",
    )


def test_columns_that_hold_people_are_not_kept() -> None:
    more = (
        "customer_name,customer_email,customer_phone,customer_address_line1,shipping_address_city"
    )
    header = f"{COLUMNS},{more},customer_facing_amount"
    said = f"{SALE},Ada Field,ada@example.com,555-1234,12 Mill Lane,Albany,25"

    (line,) = read(content(said, header=header)).lines

    assert line.row["customer_facing_amount"] == "25"
    assert not {"Ada Field", "ada@example.com", "555-1234", "12 Mill Lane", "Albany"} & set(
        line.row.values()
    )


def test_a_text_with_commas_quotes_and_line_breaks_is_one_cell() -> None:
    said = SALE.replace("Order 1042", '"Order 1042, ""late""\nand more"')
    report = read(content(said, FEE))

    assert report.lines[0].row["description"] == 'Order 1042, "late"\nand more'
    assert numbers(report) == [2, 4]


def test_a_quote_left_open_costs_its_own_line_only() -> None:
    said = SALE.replace("Order", '"Order')
    rows = [FEE.replace("txn_2", f"txn_{n}") for n in range(3, 200)]
    report = read(content(said, *rows))

    assert broken(report) == [(2, "its quotes are not closed, or stand in the middle of a field")]
    assert len(report.lines) == 197


def test_a_line_that_cannot_be_read_is_named_and_costs_none_of_its_neighbours() -> None:
    short, wide = "txn_3,2026-01-30", f"{SALE},more"
    said = content(SALE, short, wide, FEE.replace("Radar", "R\x00"), FEE)
    said = said.replace(b"Order 1042\n", b"Order \xff\n", 1)
    report = read(said)

    assert broken(report) == [
        (2, "is not UTF-8 at byte 62"),
        (3, "has 2 fields, the header has 9"),
        (4, "has 10 fields, the header has 9"),
        (5, "holds a character that cannot be kept"),
    ]
    assert numbers(report) == [6]


def test_lines_that_say_nothing_are_passed_over() -> None:
    report = read(b"\n\n" + content("", SALE, ",,,,,,,,", COLUMNS, "  ", FEE))

    assert (numbers(report), report.broken) == ([5, 9], [])


def test_a_name_that_comes_twice_loses_nothing() -> None:
    header = f"{COLUMNS},note,note,,note (2)"

    (line,) = read(content(f"{SALE},a,b,c,d", header=header)).lines

    assert {name: line.row[name] for name in ("note", "note (3)", "column 12", "note (2)")} == {
        "note": "a",
        "note (3)": "b",
        "column 12": "c",
        "note (2)": "d",
    }


def test_two_amounts_under_one_name_have_to_agree() -> None:
    report = read(content(f"{SALE},25", f"{FEE},7", header=f"{COLUMNS},gross"))

    assert numbers(report) == [2]
    assert broken(report) == [(3, "has two different values of gross, which stands there twice")]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf\n \n", "it is empty"),
        (b"\xff\xfea\x00", "it is UTF-16"),
        (b"b\xe4lance,fee\n", "its header is not UTF-8 at byte 1"),
        (
            content(SALE, header=COLUMNS.replace("fee", "fees").replace("created", "made")),
            "it lacks the columns fee, created_utc or created; choose them where",
        ),
        (b"<html>\n", "it lacks the columns balance_transaction_id, reporting_category, currency"),
    ],
)
def test_a_file_of_which_no_line_can_be_trusted_is_refused(said: bytes, reason: str) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read(said)

    assert str(refusal.value).startswith(reason)


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from([b",", b'"', b"\n", b"\r", b"\xff", b"a", b";", b"\x00"])).map(
            lambda parts: content(SALE) + b"".join(parts) + content(FEE)
        ),
    )
)
def test_any_bytes_are_read_or_refused(said: bytes) -> None:
    try:
        report = read(said)
    except RefusedFile:
        return
    seen = [line.number for line in report.lines] + [one.number for one in report.broken]
    assert len(set(seen)) == len(seen)
    assert all(line.row["balance_transaction_id"] is not None for line in report.lines)


def test_rows_stay_bytes_until_they_are_looked_at() -> None:
    rows = [SALE.replace("txn_1", f"txn_{n}") for n in range(20_000)]
    said = content(*rows)
    tracemalloc.start()
    report = read(said)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (len(report.lines), report.lines[19_999].row["balance_transaction_id"]) == (
        20_000,
        "txn_19999",
    )
    # Three numbers a row; as mappings they would be fifteen times the file.
    assert peak < len(said)


@pytest.mark.parametrize(
    ("name", "lines", "columns"),
    [
        ("settlement_report.csv", 7, 27),
        ("settlement_report_with_customer_data.csv", 3, 27),
        ("payments_activity.csv", 2, 21),
    ],
)
def test_every_row_of_the_samples_is_read(
    recordings: Path, name: str, lines: int, columns: int
) -> None:
    file = recordings.parent / "data" / "payments" / "provider-reports" / "stripe" / name
    if not file.exists():
        pytest.skip("Stripe's sample reports are kept beside the project, and are not there")

    report = stripe_reports.read(name, file.read_bytes())

    assert (len(report.lines), report.broken) == (lines, [])
    assert {len(line.row) for line in report.lines} == {columns}
