"""Amazon's settlement reports are read line by line, whatever program saved them."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.systems import amazon_reports
from resources.systems.report_files import BrokenLine, RefusedFile, Report

NAMES = (
    *("settlement-id", "settlement-start-date", "settlement-end-date", "deposit-date"),
    *("total-amount", "currency", "transaction-type", "order-id", "merchant-order-id"),
    *("adjustment-id", "shipment-id", "marketplace-name", "amount-type", "amount-description"),
    *("amount", "fulfillment-id", "posted-date", "posted-date-time", "order-item-code"),
    *("merchant-order-item-id", "merchant-adjustment-item-id", "sku", "quantity-purchased"),
    "promotion-id",
)
HEADER = "\t".join(NAMES)


def line(**cells: str) -> str:
    said = {"settlement-id": "1800", **{name.replace("_", "-"): cells[name] for name in cells}}
    return "\t".join(said.get(name, "") for name in NAMES)


HEAD = line(
    settlement_start_date="2026-03-01 07:00:00 UTC",
    settlement_end_date="2026-03-15 07:00:00 UTC",
    deposit_date="2026-03-17 07:00:00 UTC",
    total_amount="17.00",
    currency="USD",
)
SALE = line(
    transaction_type="Order",
    order_id="111-1",
    shipment_id="S1",
    amount_type="ItemPrice",
    amount_description="Principal",
    amount="20.00",
    posted_date="2026-03-02",
    posted_date_time="2026-03-02 10:00:00 UTC",
    sku="MUG",
    quantity_purchased="1",
)
FEE = SALE.replace("ItemPrice\tPrincipal\t20.00", "ItemFees\tCommission\t-3.00")


def read(text: str) -> Report:
    return amazon_reports.read("settlement.txt", text.encode())


def test_a_settlement_is_its_head_and_its_rows() -> None:
    report = read("\n".join([HEADER, HEAD, SALE, FEE]))

    assert (report.kind, len(report.lines), report.broken) == ("settlement_v2", 3, [])
    assert [one.number for one in report.lines] == [2, 3, 4]
    assert report.facts == {
        "settlement-id": "1800",
        "settlement-start-date": "2026-03-01 07:00:00 UTC",
        "settlement-end-date": "2026-03-15 07:00:00 UTC",
        "deposit-date": "2026-03-17 07:00:00 UTC",
        "total-amount": "17.00",
        "currency": "USD",
    }
    assert all(one.facts == report.facts for one in report.lines)
    assert list(report.lines[1].row) == list(NAMES)
    assert list(report.lines[1].row.values()) == SALE.split("\t")


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADER}\n{HEAD}\n{SALE}\n",
        f"{HEADER}\r\n{HEAD}\r\n{SALE}\r\n",
        f"{HEADER}\r{HEAD}\r{SALE}",
        f"{HEADER.upper()}\n{HEAD}\n{SALE}\n",
        f"{HEADER.replace('-', '_')}\n{HEAD}\n{SALE}\n",
        f"{HEADER}\n{HEAD.rstrip()}\n{SALE.rstrip()}\n",
        f"{HEADER}\n{HEAD}\n{SALE}\t\t\n",
        f"{HEADER}\n{HEAD}\n{SALE}\n\n{chr(9) * 23}\n",
        "\n".join('"' + one.replace("\t", '"\t"') + '"' for one in (HEADER, HEAD, SALE)),
    ],
)
def test_the_same_report_in_another_writing_is_the_same(text: str) -> None:
    report = read(text)

    assert report.broken == []
    assert [one.number for one in report.lines] == [2, 3]
    assert dict(report.lines[1].row) == dict(zip(NAMES, SALE.split("\t"), strict=True))


def test_columns_may_stand_in_another_order_and_unknown_ones_are_kept() -> None:
    text = "\n".join(
        "\t".join([new, *reversed(one.split("\t"))])
        for new, one in (("Release Date", HEADER), ("", HEAD), ("2026-03-09", SALE))
    )

    _, sale = read(text).lines

    assert sale.row["Release Date"] == "2026-03-09"
    assert (sale.row["order-id"], sale.row["amount"]) == ("111-1", "20.00")


def test_a_column_that_stands_there_twice_is_kept_twice() -> None:
    report = read(f"{HEADER}\tsku\n{HEAD}\t\n{SALE}\tMUG-2")

    assert [report.lines[1].row[name] for name in ("sku", "sku (2)")] == ["MUG", "MUG-2"]


def test_optional_columns_may_be_missing() -> None:
    gone = ("merchant-order-id", "promotion-id", "posted-date", "settlement-start-date")
    text = "\n".join(
        "\t".join(
            cell for name, cell in zip(NAMES, one.split("\t"), strict=True) if name not in gone
        )
        for one in (HEADER, HEAD, SALE)
    )

    _, sale = read(text).lines

    assert "promotion-id" not in sale.row
    assert "settlement-start-date" not in sale.facts


@pytest.mark.parametrize(
    "column", ["settlement-id", "total-amount", "currency", "amount-description", "deposit-date"]
)
def test_a_file_that_lacks_a_column_is_refused_by_its_name(column: str) -> None:
    with pytest.raises(RefusedFile, match=f"lacks the column {column}"):
        read(f"{HEADER.replace(column, 'x')}\n{HEAD}\n{SALE}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no header row"),
        (b"\xef\xbb\xbf\r\n", "no header row"),
        (b"PK\x03\x04 and more", "is a spreadsheet"),
        (HEADER.encode("utf-16"), "lacks the column settlement-id"),
        (b"<html>Sign in</html>", "lacks the column settlement-id"),
        (HEADER.replace("\t", ",").encode(), "not parted by tabs"),
        (HEADER.replace("amount-type", "price-type").encode(), "first version"),
        (HEADER.replace("posted-date", "x").encode(), "posted-date-time or posted-date"),
        (b"\t" * 600, "no header row"),
        (b"a\t" * 600, "601 columns"),
        (f"{HEADER}\n{SALE}".encode(), "no line says what a settlement comes to"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(RefusedFile, match=reason):
        amazon_reports.read("report.txt", content)


def test_a_line_that_cannot_be_read_costs_no_other() -> None:
    bad = [
        SALE.rsplit("\t", 8)[0],
        SALE + "\tmore",
        SALE.replace("MUG", "MU\x00G"),
        SALE.replace("MUG\t", '"MUG'),
        line(order_id="111-2", amount="1.00").replace("1800", "1801"),
        SALE.replace("1800", ""),
        HEAD,
    ]

    report = read("\n".join([HEADER, HEAD, *bad, SALE]))

    assert [one.number for one in report.lines] == [2, 10]
    assert report.broken == [
        BrokenLine(3, "has 16 fields, the header has 24"),
        BrokenLine(4, "has 25 fields, the header has 24"),
        BrokenLine(5, "holds a character that cannot be kept"),
        BrokenLine(6, "has quotes that are not closed, or stand in the middle of a field"),
        BrokenLine(7, "comes before a head of its settlement 1801"),
        BrokenLine(8, "names no settlement"),
        BrokenLine(9, "is a second head of settlement 1800"),
    ]


def test_several_settlements_in_one_file_have_their_own_facts() -> None:
    other = [one.replace("1800", "1801").replace("USD", "CAD") for one in (HEAD, SALE)]

    report = read("\n".join([HEADER, HEAD, SALE, *other]))

    assert report.facts == {}
    assert [one.facts["currency"] for one in report.lines] == ["USD", "USD", "CAD", "CAD"]


@pytest.mark.parametrize(
    ("currency", "encoding", "words"),
    [("EUR", "cp1252", "Tüte"), ("JPY", "cp932", "ポイント"), ("EUR", "utf-8", "Tüte ポ")],
)
def test_words_are_read_in_their_countrys_character_set(
    currency: str, encoding: str, words: str
) -> None:
    text = "\n".join([HEADER, HEAD.replace("USD", currency), SALE.replace("MUG", words)])

    report = amazon_reports.read("report.txt", text.encode(encoding))

    assert report.lines[1].row["sku"] == words


def test_quotes_inside_an_articles_name_are_part_of_it() -> None:
    report = read("\n".join([HEADER, HEAD, SALE.replace("MUG", 'TV 50" black')]))

    assert report.lines[1].row["sku"] == 'TV 50" black'


def test_lines_can_be_taken_by_place_and_again() -> None:
    lines = read("\n".join([HEADER, HEAD, SALE, FEE])).lines

    assert (len(lines), lines[-1].number) == (3, 4)
    assert [one.number for one in lines[1:]] == [3, 4]
    assert [one.number for one in lines] == [one.number for one in lines] == [2, 3, 4]
    with pytest.raises(IndexError):
        lines[3]


def test_a_large_file_costs_little_more_than_itself() -> None:
    content = "\n".join([HEADER, HEAD, *[SALE] * 30_000]).encode()
    tracemalloc.start()

    report = amazon_reports.read("large.txt", content)
    count = sum(1 for _ in report.lines)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 30_001
    assert peak < len(content)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    start = f"{HEADER}\n{HEAD}\n".encode()
    for given_ in (content, start + content):
        try:
            report = amazon_reports.read("any.txt", given_)
        except RefusedFile:
            continue
        assert all(len(one.row) == 24 and one.facts for one in report.lines)


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])), max_size=6))
def test_what_was_written_is_what_is_read(skus: list[str]) -> None:
    rows = [SALE.replace("MUG", sku.replace('"', "")) for sku in skus]

    report = read("\n".join([HEADER, HEAD, *rows]))

    assert [one.row["sku"] for one in report.lines][1:] == [
        sku.replace('"', "").strip() for sku in skus
    ]
