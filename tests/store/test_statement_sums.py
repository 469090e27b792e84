"""Sums behind the statement: what each fact becomes, and that all ties whatever the facts."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.domain.statements import (
    AFTER_SALES,
    BANK,
    PARTS_OF_SALES,
    Line,
    Sum,
    period,
    together,
    total,
)
from sync_assets.settlements import statement
from tests.settled_facts import MARCH, ZERO, Facts

Amounts = dict[str, str]


def asked(month: str = "2017-03", *providers: str) -> list[statement.Asked]:
    bounds = period(month).bounds("UTC")
    return [statement.Asked(name, month, *bounds) for name in providers or ("stripe_us",)]


def summed(
    connection: Connection, facts: Facts, month: str = "2017-03", currency: str = "USD"
) -> dict[Line, Sum]:
    """All stores of a month."""
    facts.store(connection)
    return whole(connection, month, currency)


def whole(connection: Connection, month: str = "2017-03", currency: str = "USD") -> dict[Line, Sum]:
    found = statement.statements(connection, asked(month))
    return together(lines for key, lines in found.items() if key.currency == currency)


def amounts(lines: dict[Line, Sum]) -> Amounts:
    """What is not nothing."""
    return {str(line): f"{one.amount:.2f}" for line, one in lines.items() if one.amount}


def parts(lines: dict[Line, Sum]) -> Amounts:
    return {name: said for name, said in amounts(lines).items() if name in PARTS_OF_SALES}


ORDER = {
    "gross": "100.00",
    "discount": "10.00",
    "shipping": "5.00",
    "fee": "2.00",
    "gift_card": "20.00",
    "tax": "7.70",
    "rounding": "0.01",
}


def test_a_sale_is_broken_down_by_its_order(connection: Connection) -> None:
    facts = Facts()
    order = facts.order("us:1", **ORDER)
    facts.match([facts.line("l:1", "84.71")], [facts.payment("p:1", "84.71", order=order)])
    assert parts(summed(connection, facts)) == {
        "gross_sales": "100.00",
        "discounts": "-10.00",
        "shipping": "5.00",
        "surcharges": "2.00",
        "tax": "7.70",
        "gift_cards": "-20.00",
        "rounding": "0.01",
    }


@pytest.mark.parametrize(
    ("words", "gift_cards", "surcharges"),
    [
        (("*GIFT card*",), "-20.00", "2.00"),
        (("voucher", "gift?card GC-1"), "-20.00", "2.00"),
        (("gift", "*(card)*", "rush"), None, "-18.00"),
        ((), None, "-18.00"),
    ],
)
def test_the_policys_words_tell_gift_cards_from_other_fees(
    connection: Connection, words: tuple[str, ...], gift_cards: str | None, surcharges: str
) -> None:
    facts = Facts()
    order = facts.order("us:1", **ORDER)
    facts.match([facts.line("l:1", "84.71")], [facts.payment("p:1", "84.71", order=order)])
    facts.store(connection)
    ((_, lines),) = statement.statements(connection, asked(), words).items()
    found = parts(lines)
    assert (found.get("gift_cards"), found["surcharges"]) == (gift_cards, surcharges)


def test_captures_of_an_order_in_two_months_come_to_the_order(connection: Connection) -> None:
    facts = Facts()
    order = facts.order("us:1", **ORDER)
    for number, said in enumerate(("28.23", "28.24", "28.24")):
        at = MARCH + timedelta(days=20 * number)
        paid = facts.payment(f"p:{number}", said, order=order, at=at)
        facts.match([facts.line(f"l:{number}", said, at=at)], [paid])
    both = [summed(connection, facts), whole(connection, "2017-04")]
    assert amounts(both[0])["captured"] == "28.23"
    assert amounts(both[1])["captured"] == "56.48"
    assert parts(together(both)) == {
        "gross_sales": "100.00",
        "discounts": "-10.00",
        "shipping": "5.00",
        "surcharges": "2.00",
        "tax": "7.70",
        "gift_cards": "-20.00",
        "rounding": "0.01",
    }


def test_what_settles_two_orders_at_once_has_the_parts_of_both(connection: Connection) -> None:
    facts = Facts()
    paid = []
    for number, gross in ((1, "10.00"), (2, "20.00")):
        order = facts.order(f"us:{number}", gross=gross, tax="1.00")
        paid.append(facts.payment(f"p:{number}", str(Decimal(gross) + 1), order=order))
    facts.match([facts.line("l:1", "32.00")], paid)
    assert parts(summed(connection, facts)) == {"gross_sales": "30.00", "tax": "2.00"}


def test_lines_that_settle_one_capture_divide_it(connection: Connection) -> None:
    facts = Facts()
    order = facts.order("us:1", gross="90.00", tax="10.00")
    lines = [facts.line("l:1", "33.33"), facts.line("l:2", "66.67", at=MARCH + timedelta(days=20))]
    facts.match(lines, [facts.payment("p:1", "100.00", order=order)])
    found = [parts(summed(connection, facts)), parts(whole(connection, "2017-04"))]
    assert found == [
        {"gross_sales": "30.00", "tax": "3.33"},
        {"gross_sales": "60.00", "tax": "6.67"},
    ]


def test_what_is_settled_short_is_a_difference_and_not_less_sold(connection: Connection) -> None:
    facts = Facts()
    order = facts.order("us:1", gross="100.00")
    facts.match([facts.line("l:1", "99.98")], [facts.payment("p:1", "100.00", order=order)])
    assert parts(summed(connection, facts)) == {"gross_sales": "100.00", "rounding": "-0.02"}


def test_a_sale_that_is_not_matched_is_open_and_belongs_to_no_store(connection: Connection) -> None:
    facts = Facts()
    facts.line("l:1", "12.00", fee="1.00")
    facts.order("us:1", gross="12.00")
    facts.match(["l:1"], [facts.payment("p:1", "12.00", order="us:1")], is_live=False)
    facts.store(connection)
    ((key, lines),) = statement.statements(connection, asked()).items()
    assert key.store == ""
    assert parts(lines) == {"sales_without_order": "12.00"}
    open_ones = {str(line): one.open_amount for line, one in lines.items() if one.open_count}
    assert open_ones == {
        "sales_without_order": Decimal("12.00"),
        "captured": Decimal("12.00"),
        "fees": Decimal("-1.00"),
        "net": Decimal("11.00"),
        "balance_change": Decimal("11.00"),
    }


def test_what_was_paid_in_another_currency_is_converted_and_not_mixed(
    connection: Connection,
) -> None:
    facts = Facts()
    order = facts.order("us:1", gross="90.00", tax="10.00", currency="EUR")
    paid = facts.payment("p:1", "100.00", order=order, currency="EUR")
    told = {"paid_amount": Decimal("100.00"), "paid_currency": "EUR"}
    facts.match([facts.line("l:1", "110.00", fee="3.00", **told)], [paid])
    assert amounts(summed(connection, facts, currency="EUR")) == {
        "gross_sales": "90.00",
        "tax": "10.00",
        "captured": "100.00",
        "conversion": "-100.00",
    }
    assert amounts(whole(connection)) == {
        "fees": "-3.00",
        "conversion": "110.00",
        "net": "107.00",
        "balance_change": "107.00",
    }


def test_an_order_in_another_currency_counts_though_the_provider_does_not_say_so(
    connection: Connection,
) -> None:
    facts = Facts()
    order = facts.order("us:1", gross="100.00", currency="EUR")
    paid = facts.payment("p:1", "100.00", order=order, currency="EUR")
    facts.match([facts.line("l:1", "110.00")], [paid])
    assert amounts(summed(connection, facts, currency="EUR")) == {
        "gross_sales": "100.00",
        "captured": "100.00",
        "conversion": "-100.00",
    }
    assert amounts(whole(connection))["conversion"] == "110.00"


def test_refunds_and_disputes_are_less_what_came_back(connection: Connection) -> None:
    facts = Facts()
    kinds = {
        "refund": "-30.00",
        "refund_failed": "10.00",
        "chargeback": "-50.00",
        "chargeback_reversed": "50.00",
        "reserve_held": "-9.00",
        "reserve_released": "4.00",
        "tax_withheld": "-1.00",
        "adjustment": "0.50",
        "topup": "100.00",
        "conversion": "-7.00",
    }
    for kind, gross in kinds.items():
        facts.line(f"l:{kind}", gross, kind=kind)
    facts.line("l:fee", "-5.00", kind="fee", fee_tax="0.95")
    found = summed(connection, facts)
    assert amounts(found) == {
        "refunds": "-20.00",
        "fees": "-5.00",
        "fee_tax": "-0.95",
        "reserves": "-5.00",
        "tax_withheld": "-1.00",
        "adjustments": "100.50",
        "conversion": "-7.00",
        "net": "61.55",
        "balance_change": "61.55",
    }
    assert found[Line.DISPUTES].count == 2


def test_a_line_that_was_split_counts_by_its_parts(connection: Connection) -> None:
    facts = Facts()
    facts.line("l:1", "30.00", is_split=True)
    facts.line("l:1a", "10.00", split_of="l:1")
    facts.line("l:1b", "20.00", split_of="l:1")
    for row in facts.tables["core.settlement_lines"]:
        row.setdefault("is_split", False)
    found = summed(connection, facts)
    assert (found[Line.CAPTURED].count, found[Line.CAPTURED].amount) == (2, Decimal("30.00"))


def test_two_payouts_in_one_bank_entry_leave_the_difference_once(connection: Connection) -> None:
    facts = Facts()
    payouts = [
        facts.line("l:1", "-10.00", kind="payout"),
        facts.line("l:2", "-20.00", kind="payout"),
    ]
    facts.match(payouts, bank=[facts.bank("b:1", "29.90")])
    failed = [
        facts.line("l:3", "-7.00", kind="payout"),
        facts.line("l:4", "7.00", kind="payout_returned"),
    ]
    facts.match(failed)
    found = summed(connection, facts)
    assert {line: f"{found[line].amount:.2f}" for line in BANK} == {
        Line.BANK_RECEIVED: "29.90",
        Line.BANK_IN_TRANSIT: "0.00",
        Line.BANK_OTHERWISE: "0.00",
    }
    assert found[Line.BANK_OTHERWISE].count == 2
    assert f"{found[Line.BANK_DIFFERENCE].amount:.2f}" == "0.10"


def test_a_month_is_kept_for_all_providers_and_worked_out_anew(connection: Connection) -> None:
    facts = Facts()
    facts.sold(1, "10.00")
    facts.line("paypal:1", "5.00", provider="paypal_uk", currency="GBP")
    facts.store(connection)
    zones = {"stripe_us": "America/New_York", "paypal_uk": "Europe/London"}
    done = statement.refresh(connection, zones.__getitem__, ["2017-03"], run_id="run")
    assert done == 2 * len(Line)
    kept = statement.kept(connection, list(zones), ["2017-03"])
    assert kept == statement.statements(connection, asked("2017-03", *zones))
    later = Facts(first_match=10)
    later.sold(2, "20.00")
    later.store(connection)
    statement.refresh(connection, zones.__getitem__, ["2017-03"], run_id="run")
    (row,) = read_rows(
        connection,
        "select amount, item_count, run_id from mart.reconciliation join core.reconciliations "
        "using (provider, store, period, currency, line, amount, item_count) "
        "where provider = 'stripe_us' and line = 'captured'",
    )
    assert (row["amount"], row["item_count"], row["run_id"]) == (Decimal("30.00"), 2, "run")


def test_a_month_in_which_nothing_moved_keeps_nothing(connection: Connection) -> None:
    assert statement.refresh(connection, lambda provider: "UTC", ["2017-03"]) == 0
    facts = Facts()
    facts.sold(1, "10.00")
    facts.store(connection)
    assert statement.refresh(connection, lambda provider: "UTC", ["2010-01"]) == 0


# Everything ties

cents = st.decimals("0", "500", places=2).map(str)
signed = st.decimals("-500", "500", places=2)
kinds = st.sampled_from(
    ["sale", "refund", "fee", "chargeback", "reserve_held", "adjustment", "conversion", "payout"]
)


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    """Orders captured whole and in parts, matched or not, and any other lines."""
    facts = Facts()
    for number in range(draw(st.integers(1, 4))):
        names = ("gross", "shipping", "fee", "tax", "rounding")
        currency = draw(st.sampled_from(["USD", "EUR"]))
        order = facts.order(
            f"us:{number}", currency=currency, **{name: draw(cents) for name in names}
        )
        for capture in range(draw(st.integers(1, 3))):
            _captured(draw, facts, order, f"{number}:{capture}", currency)
    for number in range(draw(st.integers(0, 5))):
        costs = {"fee": draw(signed), "fee_tax": draw(signed)}
        facts.line(f"x:{number}", draw(signed), kind=draw(kinds), at=draw(days), **costs)
    return facts


days = st.integers(0, 40).map(lambda number: MARCH + timedelta(days=number))


def _captured(draw: st.DrawFn, facts: Facts, order: str, name: str, currency: str) -> None:
    amount, at = draw(cents), draw(days)
    paid = facts.payment(f"p:{name}", amount, order=order, currency=currency, at=at)
    lines = []
    for part in range(draw(st.integers(1, 2))):
        other = draw(st.sampled_from([None, "GBP"]))
        told = {"paid_amount": draw(signed), "paid_currency": other} if other else {}
        line = facts.line(f"l:{name}:{part}", draw(signed), at=draw(days), fee=draw(signed), **told)
        lines.append(line)
    if draw(st.booleans()):
        facts.match(lines, [paid])


@given(facts=worlds())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_statement_ties_and_loses_no_line(connection: Connection, facts: Facts) -> None:
    with connection.begin_nested() as undone:
        facts.store(connection)
        balance: dict[str, Decimal] = defaultdict(Decimal)
        for month in ("2017-03", "2017-04"):
            for key, lines in statement.statements(connection, asked(month)).items():
                _ties(lines)
                balance[key.currency] += lines[Line.BALANCE_CHANGE].amount
        undone.rollback()
    told: dict[str, Decimal] = defaultdict(Decimal)
    for row in facts.tables["core.settlement_lines"]:
        told[row["currency"]] += row["net_amount"]
    assert {name: one for name, one in balance.items() if one} == {
        name: one for name, one in told.items() if one
    }


def _ties(lines: dict[Line, Sum]) -> None:
    amount = {line: one.amount for line, one in lines.items()}
    assert total(amount[line] for line in PARTS_OF_SALES) == amount[Line.CAPTURED]
    after = total(amount[line] for line in AFTER_SALES)
    assert amount[Line.CAPTURED] + after == amount[Line.NET]
    assert amount[Line.NET] + amount[Line.PAID_OUT] == amount[Line.BALANCE_CHANGE]
    assert amount[Line.UNEXPLAINED] == amount[Line.UNEXPLAINED_SALES] == ZERO
    assert total(amount[line] for line in BANK) == -amount[Line.PAID_OUT]
