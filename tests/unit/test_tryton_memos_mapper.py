"""Credit memos in Tryton's words and back: literals in, literals out."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import CreditMemo, MemoLine
from sync_assets.mappers import tryton_memos as mapper

D = Decimal
REFS = {
    "company": {"Acme": 1},
    "currency": {"EUR": 46, "JPY": 47},
    "tax": {"VAT": 8, "Acme/VAT": 9, "Other/VAT": 10},
}


def line(units: str = "2", net: str = "20.00", **how: Any) -> MemoLine:
    said = {"key": "us:1:a", "kind": "product", "item": "A-1", "item_id": 5, "tax_amount": D()}
    said |= {"description": "Thing", "taxes": ("VAT",)}
    return MemoLine(units=D(units), net_amount=D(net), **{**said, **how})


def memo(*lines: MemoLine, **how: Any) -> CreditMemo:
    said: dict[str, Any] = {
        "key": "us:881",
        "order_ref": "us:1",
        "order_id": 960,
        "party": "us:customer:5",
        "store": "us",
        "company": "Acme",
        "currency": "EUR",
        "issued_on": date(2026, 11, 24),
        "lines": lines or (line(),),
        "total_amount": D("23.80"),
    }
    return CreditMemo(**{**said, **how})


def pieces(*lines: MemoLine, **how: Any) -> list[tuple[Decimal, Decimal]]:
    payload = mapper.credit_memo(memo(*lines, **how), REFS)
    return [(row["quantity"], row["unit_price"]) for row in payload["lines"]]


def faults(document: CreditMemo) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as caught:
        mapper.credit_memo(document, REFS)
    return [(one.code, one.part) for one in caught.value.problems]


def test_a_memo_takes_units_back_under_our_key_on_the_day_of_the_refund() -> None:
    assert mapper.credit_memo(memo(reason="broken"), REFS) == {
        "key": "us:881",
        "order": 960,
        "company": 1,
        "currency": 46,
        "invoice_date": "2026-11-24",
        "accounting_date": "2026-11-24",
        "description": "broken",
        "lines": [
            {
                "product": 5,
                "description": "Thing",
                "quantity": D(-2),
                "unit_price": D("10.00"),
                "taxes": [9],
            }
        ],
    }


@pytest.mark.parametrize(
    ("units", "net", "found"),
    [
        ("3", "10.00", [(D(-3), D("3.3333"))]),
        ("2", "10.01", [(D(-2), D("5.0050"))]),
        ("0", "5.00", [(D(-1), D("5.00"))]),
        ("1.5", "5.00", [(D(-1), D("5.00"))]),
        ("2", "-4.00", [(D(-2), D("-2.00"))]),
    ],
)
def test_quantities_and_prices_come_to_the_line_exactly(
    units: str, net: str, found: list[tuple[Decimal, Decimal]]
) -> None:
    assert pieces(line(units, net)) == found
    total = sum((quantity * price for quantity, price in found), D()).quantize(D("0.01"))
    assert -total == D(net)


def test_half_a_cent_in_the_balance_is_split_so_that_nothing_is_rounded() -> None:
    """150 at 0.0667 are 10.005: 10.01 with us, 10.00 there."""
    assert pieces(line("150", "10.01")) == [(D(-49), D("0.06")), (D(-101), D("0.07"))]


def test_a_currency_without_cents_takes_whole_amounts_only() -> None:
    assert pieces(line("1", "500"), currency="JPY") == [(D(-1), D(500))]
    assert faults(memo(line("1", "0.5"), currency="JPY")) == [("erp.amount_too_fine", "us:1:a")]


def test_every_name_nobody_knows_is_told_at_once() -> None:
    document = memo(line(taxes=("GST", "GST")), company="Other", currency="XXX")
    assert faults(document) == [
        ("erp.company_unknown", "company"),
        ("erp.currency_unknown", "currency"),
        ("erp.tax_unknown", "tax"),
    ]


def test_a_rounding_line_adds_to_what_is_credited_and_bears_no_tax() -> None:
    assert mapper.rounding_line(memo(), D("0.01"), 7) == {
        "product": 7,
        "description": "Rounding",
        "quantity": D(-1),
        "unit_price": D("0.01"),
        "taxes": [],
    }


def shown(**changes: Any) -> dict[str, Any]:
    return {
        "key": "us:881",
        "id": 937,
        "number": "21",
        "state": "posted",
        "total_amount": D("-12.00"),
        "tax_amount": D("-2.00"),
        "invoice_date": "2026-11-29",
        "accounting_date": "2026-11-24",
        "move.": {"id": 3, "number": "12", "date": "2026-11-24"},
        "lines": [4, 5],
        "taken_back_by": [],
        **changes,
    }


def test_a_posted_memo_is_seen_with_its_number_day_and_entry() -> None:
    found = mapper.seen_memo(shown())
    assert (found.key, found.remote_id, found.number) == ("us:881", 937, "21")
    assert (found.total_amount, found.tax_amount) == (D("12.00"), D("2.00"))
    assert (found.booked_on, found.journal, found.lines) == (date(2026, 11, 24), "12", 2)
    assert found.state == "posted"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"state": "draft"}, "draft"),
        ({"state": "validated"}, "draft"),
        ({"state": "paid"}, "posted"),
        ({"state": "cancelled"}, "cancelled"),
        ({"taken_back_by": [{"id": 940}]}, "reversed"),
        ({"state": "draft", "taken_back_by": [{"id": 940}]}, "draft"),
    ],
)
def test_the_state_of_a_memo_in_our_words(changes: dict[str, Any], state: str) -> None:
    assert mapper.seen_memo(shown(**changes)).state == state


def test_a_draft_stands_in_no_books_yet() -> None:
    found = mapper.seen_memo(shown(**{"state": "draft", "number": None, "move.": None}))
    assert (found.number, found.booked_on, found.journal) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": "open"}, "erp.unknown_state"),
        ({"total_amount": -12.0}, "erp.malformed"),
        ({"tax_amount": None}, "erp.malformed"),
    ],
)
def test_an_unknown_word_or_an_inexact_amount_is_loud(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as caught:
        mapper.seen_memo(shown(**changes))
    assert [one.code for one in caught.value.problems] == [code]
