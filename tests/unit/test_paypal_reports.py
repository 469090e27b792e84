"""PayPal's report files, line by line: every sample, and files as they go wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.systems import paypal_reports
from resources.systems.report_files import BrokenLine, RefusedFile, Report

SAMPLES = (
    Path(__file__).resolve().parents[2].parent / "shared/data/payments/provider-reports/paypal"
)
HEADER = (
    '"CH","Transaction ID","Invoice ID","Transaction Event Code","Transaction Completion Date",'
    'Transaction Debit or Credit,"Gross Transaction Amount","Gross Transaction Currency",'
    '"Fee Debit or Credit","Fee Amount"'
)
ROW = '"SB",A1,1042,"T0006",2026/01/06 00:00:30 -0800,"CR",5200,"AUD","DR",225'
#: Rows and kind of every sample.
READ = {
    "sar_classic_subscr_cancel.csv": ("sar", 1),
    "sar_classic_subscr_signup.csv": ("sar", 1),
    "stl.csv": ("stl", 5),
    "stl_chargeback_with_fee.csv": ("stl", 2),
    "stl_currency_convert.csv": ("stl", 3),
    "stl_dr_payment.csv": ("stl", 2),
    "trr_dr_payment.csv": ("trr", 1),
    "trr_express_checkout_donation.csv": ("trr", 1),
    "trr_express_checkout_donation_denied.csv": ("trr", 1),
    "trr_express_checkout_recurring_donation.csv": ("trr", 1),
    "trr_express_checkout_recurring_refund.csv": ("trr", 1),
    "trr_express_checkout_refund.csv": ("trr", 1),
    "trr_express_with_non_data_rows.csv": ("trr", 1),
    "trr_give_lively.csv": ("trr", 1),
    "trr_giving_fund.csv": ("trr", 1),
    "trr_grant.csv": ("trr", 1),
    "trr_gravy_donation.csv": ("trr", 1),
    "trr_void.csv": ("trr", 2),
}


def read(*lines: str, name: str = "STL-20260106.01.011.CSV") -> Report:
    return paypal_reports.read(name, "\n".join(lines).encode())


def sample(name: str) -> Report:
    if not SAMPLES.exists():
        pytest.skip("PayPal's sample reports are not beside the project (../shared)")
    return paypal_reports.read(name, (SAMPLES / name).read_bytes())


def test_every_sample_is_known() -> None:
    if not SAMPLES.exists():
        pytest.skip("PayPal's sample reports are not beside the project (../shared)")
    assert {file.name for file in SAMPLES.glob("*.csv")} == set(READ)


@pytest.mark.parametrize("name", READ)
def test_every_sample_is_read_completely(name: str) -> None:
    report = sample(name)

    assert (report.kind, len(report.lines)) == READ[name]
    assert report.broken == ()


def test_heads_and_footers_of_a_sample_say_what_it_holds() -> None:
    report = sample("stl.csv")

    assert report.control == {"gross:GBP": "7.00", "gross:AUD": "57.35"}
    assert report.lines[0].number == 3
    assert report.lines[4].row["Bank Reference ID"] == "1047428557493"
    assert report.lines[0].facts == {
        "from": "2026/01/06 00:00:00 -0800",
        "until": "2026/01/06 23:59:59 -0800",
        "account": "EZ782AXEUJUW8",
        "beginning:GBP": "5.47",
        "ending:GBP": "55.30",
        "beginning:AUD": "9.00",
        "ending:AUD": "60.00",
    }


def test_a_cut_sample_claims_more_rows_than_it_has() -> None:
    report = sample("trr_express_with_non_data_rows.csv")

    assert (report.control, len(report.lines)) == ({"count": "20039"}, 1)
    assert report.facts == {
        "made": "2026/01/07 02:05:05 -0800",
        "window": "A",
        "account": "EZ782AXEUJUW8",
        "version": "008",
        "file": "01",
    }


def test_a_row_has_its_cells_as_written_by_the_reports_own_names() -> None:
    (line,) = read(HEADER, ROW).lines

    assert (line.number, dict(line.row)) == (
        2,
        {
            "Transaction ID": "A1",
            "Invoice ID": "1042",
            "Transaction Event Code": "T0006",
            "Transaction Completion Date": "2026/01/06 00:00:30 -0800",
            "Transaction Debit or Credit": "CR",
            "Gross Transaction Amount": "5200",
            "Gross Transaction Currency": "AUD",
            "Fee Debit or Credit": "DR",
            "Fee Amount": "225",
        },
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + f"{HEADER}\r\n\r\n{ROW}\r\n".encode(),
        f"{HEADER}\n\n   \n{ROW}".encode(),
        f"{HEADER}\n{ROW}\n".encode("utf-16"),
        f"{HEADER}\n{ROW}\n".replace(",", "\t").encode(),
        f"{HEADER}\n{ROW},,\n".encode(),
        f"{HEADER.replace('Debit or Credit', ' debit or  CREDIT ')}\n{ROW}".encode(),
    ],
    ids=["bom_crlf", "blanks_no_end", "utf16", "tabs", "empty_cells_too_many", "spacing"],
)
def test_files_are_read_however_they_are_written(content: bytes) -> None:
    (line,) = paypal_reports.read("STL-1.csv", content).lines

    assert line.row["Transaction ID"] == "A1"
    assert line.row["Transaction Debit or Credit"] == "CR"


def test_columns_may_change_places_be_new_or_come_twice() -> None:
    header, row = HEADER.split(","), ROW.split(",")
    turned = [header[0], *header[:0:-1], "Colour", "Colour"]
    values = [row[0], *row[:0:-1], "red", "blue"]

    (line,) = read(",".join(turned), ",".join(values)).lines

    assert (line.row["Transaction ID"], line.row["Fee Amount"]) == ("A1", "225")
    assert (line.row["Colour"], line.row["Colour (2)"]) == ("red", "blue")


def test_each_section_has_its_own_head_columns_and_balances() -> None:
    report = read(
        '"RH",2026/01/07 02:05:05 -0800,"A","ROOT",011,',
        '"SH",2026/01/06 00:00:00 -0800,2026/01/06 23:59:59 -0800,"ONE",""',
        HEADER,
        ROW,
        '"SF","AUD",5200,0,0,225,"CR",100,"DR",4875',
        '"SC",1',
        '"SH",2026/01/06 00:00:00 -0800,2026/01/06 23:59:59 -0800,"TWO",""',
        HEADER,
        ROW.replace("A1", "B2"),
        ROW.replace("A1", "C3").replace('"CR"', '"DR"'),
        '"SF","AUD",5200,5200,0,450,"CR",100,"CR",0',
        '"SC",2',
        '"RF","AUD",10400,5200,0,675,"CR",200,"DR",4875',
        '"RC",3',
        '"FF",3',
    )

    assert [line.row["Transaction ID"] for line in report.lines] == ["A1", "B2", "C3"]
    assert [line.facts["account"] for line in report.lines] == ["ONE", "TWO", "TWO"]
    assert report.lines[0].facts["ending:AUD"] == "-48.75"
    assert report.control == {"count": "3", "gross:AUD": "52.00"}
    assert report.broken == ()


def test_without_the_later_footers_the_sections_are_added_up() -> None:
    report = read(HEADER, ROW, '"SF","AUD",5200,0', '"SF","AUD",100,50', '"SC",1', '"SC",2')

    assert report.control == {"count": "3", "gross:AUD": "52.50"}


def test_a_line_that_cannot_be_read_costs_no_other() -> None:
    report = read(
        ROW,
        HEADER,
        ROW.replace("1042", '"10"42'),
        ROW.rpartition(",")[0],
        f"{ROW},more",
        "SBX,A1",
        "Total,12",
        ROW.replace("1042", "\x00"),
        '"SF","AUD",much',
        '"SC",',
        ROW,
    )

    assert [line.number for line in report.lines] == [11]
    assert report.broken == (
        BrokenLine(1, "stands before the line CH that names its columns"),
        BrokenLine(3, "its quotes are not closed, or stand in the middle of a field"),
        BrokenLine(4, "has 8 fields behind SB, its columns are 9"),
        BrokenLine(5, "has 10 fields behind SB, its columns are 9"),
        BrokenLine(6, "begins with no record type of PayPal's"),
        BrokenLine(7, "begins with no record type of PayPal's"),
        BrokenLine(8, "holds a character that cannot be kept"),
        BrokenLine(9, "has no sums of credits and debits behind its currency"),
        BrokenLine(10, "says neither a currency nor a number of rows"),
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it has no line CH that names its columns"),
        (ROW.encode(), "it has no line CH that names its columns"),
        (b"\xff", "byte 0 is not UTF-8"),
        (
            HEADER.replace("Fee Amount", "Fee").replace("Transaction ID", "ID").encode(),
            "it lacks the column Transaction ID and Fee Amount",
        ),
        (f"{HEADER},Fee Amount".encode(), "it has the column Fee Amount more than once"),
        (
            b'"CH","Transaction ID',
            "its line CH cannot be read: its quotes are not closed, or stand in the middle of a "
            "field",
        ),
    ],
)
def test_a_file_whose_columns_cannot_be_trusted_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(RefusedFile) as refusal:
        paypal_reports.read("STL-1.csv", content)

    assert str(refusal.value) == reason


@pytest.mark.parametrize(
    ("name", "extra", "kind"),
    [
        ("TRR-20260106.CSV", ",Transactional Status", "trr"),
        ("drop/stl-20260106.CSV", ",Transactional Status", "stl"),
        ("export.csv", ",Transactional Status", "trr"),
        ("export.csv", "", "stl"),
    ],
)
def test_a_report_is_known_by_its_name_or_else_by_its_columns(
    name: str, extra: str, kind: str
) -> None:
    assert read(HEADER + extra, name=name).kind == kind


def test_a_transaction_report_without_status_is_refused() -> None:
    with pytest.raises(RefusedFile, match="it lacks the column Transactional Status"):
        read(HEADER, name="TRR-20260106.CSV")


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_do_more_than_refuse_the_file(content: bytes, has_header: bool) -> None:
    start = f"{HEADER}\n".encode() if has_header else b""
    try:
        report = paypal_reports.read("STL-1.csv", start + content)
    except RefusedFile:
        return
    assert all(len(line.row) >= 9 for line in report.lines)


@given(st.lists(st.sampled_from(["SB", "SF", "SC", "RH", "SH", "FF", "?"]), max_size=20))
def test_every_line_is_a_row_a_head_a_footer_or_broken(records: list[str]) -> None:
    text = {"SB": ROW, "SF": '"SF","AUD",5200,0', "SC": '"SC",1', "FF": '"FF",1', "?": "?"}
    report = read(HEADER, *(text.get(one, f'"{one}",2026') for one in records))

    assert len(report.lines) == records.count("SB")
    assert len(report.broken) == records.count("?")
    assert [line.row["Transaction ID"] for line in report.lines[:]] == ["A1"] * len(report.lines)
