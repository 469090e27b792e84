"""Adyen's report files, read as they stand: held against real excerpts, and against bad copies."""

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.systems import adyen_reports
from resources.systems.adyen_reports import PAYMENTS_ACCOUNTING, SETTLEMENT_DETAIL
from resources.systems.report_files import BrokenLine, RefusedFile, Report

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SAMPLES = SHARED / "data" / "payments" / "provider-reports" / "adyen"

HEADER = (
    "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,"
    "Creation Date,TimeZone,Type,Modification Reference,Gross Currency,Gross Debit (GC),"
    "Gross Credit (GC),Exchange Rate,Net Currency,Net Debit (NC),Net Credit (NC),Commission (NC),"
    "Markup (NC),Scheme Fees (NC),Interchange (NC),Payment Method Variant,"
    "Modification Merchant Reference,Batch Number"
)
SALE = (
    "Co,Shop,P1,1042,visa,2026-03-02 10:00:00,CET,Settled,M1,EUR,,20.00,1,EUR,,19.50,0.50,,,,"
    "visadebit,,7"
)
FEE = "Co,Shop,,,,2026-03-03 01:00:00,CET,MiscCosts,Terminals,EUR,,,,EUR,3.00,,,,,,,,7"


def read(text: str) -> Report:
    return adyen_reports.read("settlement.csv", text.encode())


def test_every_excerpt_is_read_completely() -> None:
    if not SAMPLES.exists():
        pytest.skip("Adyen's reports are kept beside the project (../shared), and are not there")

    found = {}
    for file in sorted(SAMPLES.glob("*.csv")):
        report = adyen_reports.read(file.name, file.read_bytes())
        found[file.stem] = (report.kind, len(report.lines), len(report.broken))

    assert found == {
        "payments_accounting_report_chargeback": (PAYMENTS_ACCOUNTING, 1, 0),
        "payments_accounting_report_gravy_chargeback": (PAYMENTS_ACCOUNTING, 1, 0),
        "payments_accounting_report_nyce": (PAYMENTS_ACCOUNTING, 4, 0),
        "settlement_detail_report_chargeback": (SETTLEMENT_DETAIL, 3, 0),
        "settlement_detail_report_chargeback_reversed": (SETTLEMENT_DETAIL, 1, 0),
        "settlement_detail_report_donation": (SETTLEMENT_DETAIL, 2, 0),
        "settlement_detail_report_donation-ach": (SETTLEMENT_DETAIL, 2, 0),
        "settlement_detail_report_donation-ideal": (SETTLEMENT_DETAIL, 2, 0),
        "settlement_detail_report_donation_reordered": (SETTLEMENT_DETAIL, 2, 0),
        "settlement_detail_report_ignore": (SETTLEMENT_DETAIL, 2, 0),
        "settlement_detail_report_refund": (SETTLEMENT_DETAIL, 3, 0),
    }


def test_an_excerpt_with_a_column_twice_keeps_both() -> None:
    file = SAMPLES / "payments_accounting_report_gravy_chargeback.csv"
    if not file.exists():
        pytest.skip("Adyen's reports are kept beside the project (../shared), and are not there")

    (line,) = adyen_reports.read(file.name, file.read_bytes()).lines

    assert line.row["Settlement Currency"] == line.row["Settlement Currency (2)"] == "USD"
    assert (line.row["Payable (SC)"], line.row["Payable Batch"]) == ("-9.74", "1131")


def test_cells_are_kept_as_written_under_the_reports_own_names() -> None:
    (line,) = read(f"{HEADER}\n{SALE}").lines

    assert line.number == 2
    assert list(line.row) == HEADER.split(",")
    assert list(line.row.values()) == SALE.split(",")


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADER}\n{SALE}\n",
        f"{HEADER}\r\n{SALE}\r\n",
        f"{HEADER}\r{SALE}",
        f"{HEADER}\n{SALE}",
        f"{HEADER.upper()}\n{SALE}\n",
        HEADER.replace(",", '","').join('""') + "\n" + SALE.replace(",", '","').join('""'),
        f"{HEADER}\n{SALE}\n\n{',' * 22}\n",
    ],
)
def test_the_same_report_in_another_writing_is_the_same(text: str) -> None:
    (line,) = read(text).lines

    assert (line.number, line.row["Psp Reference"], line.row["Net Credit (NC)"]) == (
        *(2, "P1"),
        "19.50",
    )


def test_empty_lines_are_counted_and_left_out() -> None:
    assert [one.number for one in read(f"\n{HEADER}\n\n{SALE}\n \n{FEE}\n").lines] == [4, 6]


def test_columns_may_stand_in_another_order_and_unknown_ones_are_kept() -> None:
    names = ["Metadata", *reversed(HEADER.split(","))]
    values = ['"{""a"": ""1,2""}"', *reversed(SALE.split(","))]

    (line,) = read(",".join(names) + "\n" + ",".join(values)).lines

    assert line.row["Metadata"] == '{"a": "1,2"}'
    assert (line.row["Type"], line.row["Batch Number"]) == ("Settled", "7")


def test_a_newer_report_may_have_the_time_of_booking_alone() -> None:
    newer = HEADER.replace("Creation Date,TimeZone", "Booking Date,Booking Date TimeZone")

    (line,) = read(f"{newer}\n{SALE}").lines

    assert line.row["Booking Date"] == "2026-03-02 10:00:00"


def test_an_optional_column_may_be_missing() -> None:
    names, values = HEADER.split(","), SALE.split(",")
    for name in ("Exchange Rate", "Payment Method Variant", "Company Account"):
        del values[names.index(name)]
        names.remove(name)

    (line,) = read(",".join(names) + "\n" + ",".join(values)).lines

    assert "Exchange Rate" not in line.row


@pytest.mark.parametrize("column", ["Psp Reference", "Net Debit (NC)", "Batch Number", "TimeZone"])
def test_a_file_that_lacks_a_column_is_refused_by_its_name(column: str) -> None:
    with pytest.raises(RefusedFile, match=column.replace("(", r"\(").replace(")", r"\)")):
        read(HEADER.replace(f",{column}", ",Other") + "\n" + SALE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no header row"),
        (b"\xef\xbb\xbf\r\n", "no header row"),
        (b"PK\x03\x04 and more", "spreadsheet; let Adyen make the report as CSV"),
        (b"\xff\xfeP\x00s\x00p\x00", "header row is not UTF-8"),
        (b"<html>Sign in</html>", "it lacks the column Merchant Account"),
        (b"," * 600, "601 columns"),
        (b"Record Type,Psp Reference", "as a payments accounting report it lacks the column"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(RefusedFile, match=reason):
        adyen_reports.read("report.csv", content)


def test_a_line_that_cannot_be_read_costs_no_other() -> None:
    short = SALE.rsplit(",", 1)[0]
    lines = [SALE, short, SALE.replace("1042", '"1042'), SALE.replace("1042", "10\x0042"), FEE]
    content = "\n".join([HEADER, *lines]).encode() + b"\n" + SALE.encode().replace(b"1042", b"\xff")

    report = adyen_reports.read("report.csv", content)

    assert [one.number for one in report.lines] == [2, 6]
    assert report.broken == [
        BrokenLine(3, "has 22 fields, the header has 23"),
        BrokenLine(4, "has quotes that are not closed, or stand in the middle of a field"),
        BrokenLine(5, "holds a character that cannot be kept"),
        BrokenLine(7, "is not UTF-8 at its byte 12"),
    ]


def test_a_line_that_says_one_of_our_columns_twice_and_differently_is_broken() -> None:
    text = f"{HEADER},Net Credit (NC)\n{SALE},19.50\n{SALE},19.60\n"

    report = read(text)

    assert [one.row["Net Credit (NC) (2)"] for one in report.lines] == ["19.50"]
    assert report.broken == [BrokenLine(3, "says Net Credit (NC) twice, and differently")]


def test_lines_of_the_account_that_are_alike_are_told_apart_by_count() -> None:
    other = FEE.replace("3.00", "4.00")

    lines = read("\n".join([HEADER, FEE, other, FEE, SALE, SALE, FEE])).lines

    assert [dict(one.facts) for one in lines] == [
        *({}, {}, {"occurrence": "2"}),
        *({}, {}, {"occurrence": "3"}),
    ]


def test_lines_can_be_taken_by_place_and_again() -> None:
    lines = read("\n".join([HEADER, SALE, FEE, FEE])).lines

    assert (len(lines), lines[-1].number, lines[-1].facts) == (3, 4, {"occurrence": "2"})
    assert [one.number for one in lines[1:]] == [3, 4]
    assert [one.number for one in lines] == [one.number for one in lines] == [2, 3, 4]
    with pytest.raises(IndexError):
        lines[3]


def test_a_large_file_costs_little_more_than_itself() -> None:
    content = (HEADER + "\n" + f"{SALE}\n" * 10_000).encode()
    tracemalloc.start()

    report = adyen_reports.read("large.csv", content)
    count = sum(1 for _ in report.lines)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 10_000
    assert peak < len(content)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    for given_ in (content, HEADER.encode() + b"\n" + content):
        try:
            report = adyen_reports.read("any.csv", given_)
        except RefusedFile:
            continue
        assert all(len(one.row) == 23 for one in report.lines)


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])), max_size=6))
def test_what_was_written_is_what_is_read(references: list[str]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER.split(","), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({"Type": "Settled", "Merchant Reference": one} for one in references)

    report = read(text.getvalue())

    assert [one.row["Merchant Reference"] for one in report.lines] == [
        one.strip() for one in references
    ]
    assert not report.broken
