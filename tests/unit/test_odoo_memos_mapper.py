"""Credit memos between our words and Odoo's."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.money import rounded
from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import CreditMemo, MemoLine
from sync_assets.mappers import odoo_memos as mapper

D = Decimal
REFS = {
    "company": {"Acme": 1},
    "currency": {"USD": 2, "KWD": 5},
    "tax": {"15%": 31, "Other/15%": 32, "gross": 33},
    "gross_tax": {"gross": 33},
}


def line(net: str, tax: str = "0", units: str = "1", *taxes: str, **more: Any) -> MemoLine:
    values: dict[str, Any] = {"key": "us:1:product:1", "kind": "product", "item": "MUG"}
    values |= {"item_id": 57, "description": "Mug", "taxes": taxes}
    amounts = {"units": D(units), "net_amount": D(net), "tax_amount": D(tax)}
    return MemoLine(**{**values, **amounts, **more})


def memo(*lines: MemoLine, **more: Any) -> CreditMemo:
    values: dict[str, Any] = {
        "key": "us:881",
        "order_ref": "us:1",
        "order_id": 7,
        "party": "us:customer:5",
        "store": "us",
        "company": "Acme",
        "currency": "USD",
        "issued_on": date(2026, 11, 18),
        "lines": lines,
        "total_amount": D(0),
    }
    return CreditMemo(**values | more)


def test_a_memo_becomes_a_head_and_lines() -> None:
    document = memo(line("19.98", "3.00", "2", "15%"), reason="too <small>")
    assert mapper.credit_memo(document, REFS) == {
        "key": "us:881",
        "order": 7,
        "company": 1,
        "head": {
            "id": "cm_us_3a881",
            "ref": "us:881",
            "currency_id/.id": "2",
            "invoice_date": "2026-11-18",
            "narration": "too &lt;small&gt;",
        },
        "lines": [
            {
                "product_id": 57,
                "name": "Mug",
                "quantity": "2",
                "price_unit": "9.99",
                "tax_ids": [31],
                "sequence": 10,
                "is_sold": False,
            }
        ],
    }


def test_a_line_without_tax_says_so() -> None:
    [row] = mapper.credit_memo(memo(line("4.90")), REFS)["lines"]
    assert row["tax_ids"] == []


def test_a_tax_contained_in_the_price_gets_the_gross() -> None:
    [row] = mapper.credit_memo(memo(line("8.32", "1.67", "1", "gross")), REFS)["lines"]
    assert row["price_unit"] == "9.99"


def test_money_without_units_is_one_unit() -> None:
    [row] = mapper.credit_memo(memo(line("2.50", units="0", kind="amount")), REFS)["lines"]
    assert (row["quantity"], row["price_unit"]) == ("1", "2.50")


def test_only_units_of_an_order_line_are_given_back_as_sold() -> None:
    lines = (line("1.00", order_line="l"), line("1.00", units="0", order_line="l"), line("1.00"))
    rows = mapper.credit_memo(memo(*lines), REFS)["lines"]
    assert [row["is_sold"] for row in rows] == [True, False, False]


def test_dinars_keep_their_three_digits() -> None:
    document = memo(line("1.234"), currency="KWD")
    assert mapper.credit_memo(document, REFS)["lines"][0]["price_unit"] == "1.234"


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        (memo(line("1.00"), company="Nobody"), ["erp.company_unknown"]),
        (memo(line("1.00"), currency="EUR"), ["erp.currency_unknown"]),
        (memo(line("1.00", "0", "1", "7%"), line("1.00", "0", "1", "7%")), ["erp.tax_unknown"]),
        (memo(line("1.00", "0", "1", "gross", "15%")), ["erp.taxes_mixed"]),
        (memo(line("1.001")), ["erp.amount_too_fine"]),
        (
            memo(line("1.001"), company="Nobody", currency="EUR"),
            ["erp.company_unknown", "erp.currency_unknown", "erp.amount_too_fine"],
        ),
    ],
)
def test_every_reason_is_told_at_once(document: CreditMemo, codes: list[str]) -> None:
    with pytest.raises(Rejected) as caught:
        mapper.credit_memo(document, REFS)
    assert [problem.code for problem in caught.value.problems] == codes


@given(cents=st.integers(-(10**7), 10**7), units=st.integers(0, 500))
def test_the_lines_always_come_to_the_amount(cents: int, units: int) -> None:
    net = D(cents).scaleb(-2)
    rows = mapper.credit_memo(memo(line(str(net), units=str(units))), REFS)["lines"]
    totals = [rounded(D(row["quantity"]) * D(row["price_unit"]), 2) for row in rows]
    assert sum(totals, D(0)) == net


def test_the_rounding_line_is_untaxed_and_last() -> None:
    document = memo(line("1.00"), line("2.00"))
    assert mapper.rounding_line(document, D("-0.01"), 90) == {
        "product_id": 90,
        "name": "Rounding",
        "quantity": "1",
        "price_unit": "-0.01",
        "tax_ids": [],
        "sequence": 30,
        "is_sold": False,
    }


def note(**more: Any) -> dict[str, Any]:
    values = {
        "id": 33,
        "name": "RINV/2026/00007",
        "state": "posted",
        "ref": "us:881",
        "date": "2026-01-31",
        "amount_tax": D("6.6"),
        "amount_total": D("55.5"),
        "currency_id": [2, "USD"],
        "invoice_line_ids": [1, 2],
        "reversals": [],
    }
    return {**values, **more}


def test_a_posted_note_tells_its_number_and_the_day_in_the_books() -> None:
    seen = mapper.seen_memo(note())
    assert (seen.key, seen.remote_id, seen.number) == ("us:881", 33, "RINV/2026/00007")
    assert (seen.state, seen.booked_on, seen.journal) == (
        "posted",
        date(2026, 1, 31),
        "RINV/2026/00007",
    )
    assert (str(seen.total_amount), str(seen.tax_amount), seen.lines) == ("55.50", "6.60", 2)


def test_a_draft_has_neither_number_nor_day() -> None:
    seen = mapper.seen_memo(note(state="draft", name=False))
    assert (seen.state, seen.number, seen.booked_on, seen.journal) == ("draft", None, None, None)


def test_a_note_is_reversed_only_by_an_entry_that_is_posted() -> None:
    assert mapper.seen_memo(note(reversals=[{"state": "draft"}])).state == "posted"
    assert mapper.seen_memo(note(reversals=[{"state": "posted"}])).state == "reversed"
    assert mapper.seen_memo(note(state="cancel")).state == "cancelled"


def test_an_unknown_word_is_loud() -> None:
    with pytest.raises(Rejected, match="'frozen'"):
        mapper.seen_memo(note(state="frozen"))
