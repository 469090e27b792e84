"""The statement: its lines, its totals, what does not add up, and the periods it is asked for."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.statements import (
    AFTER_SALES,
    BANK,
    PARTS_OF_SALES,
    WORDS,
    Line,
    NoPeriod,
    Period,
    Reconciliation,
    Statements,
    Sum,
    is_open,
    period,
    rows,
    statement,
    together,
    total,
    written,
)

cents = st.decimals(-10_000_000, 10_000_000, places=2)
counts = st.integers(0, 1000)
sums = st.builds(Sum, counts, cents, counts, cents)


def money(said: str) -> Sum:
    return Sum(1, Decimal(said))


@st.composite
def consistent(draw: st.DrawFn) -> dict[Line, Sum]:
    """Parts drawn freely, and controls that agree with them."""
    found = {line: draw(sums) for line in (*PARTS_OF_SALES, *AFTER_SALES, *BANK)}
    captured = total(found[line].amount for line in PARTS_OF_SALES)
    net = captured + total(found[line].amount for line in AFTER_SALES)
    paid = -total(found[line].amount for line in BANK)
    found[Line.CAPTURED] = Sum(1, captured)
    found[Line.PAID_OUT] = Sum(1, paid)
    found[Line.BALANCE_CHANGE] = Sum(2, net + paid)
    return found


@given(consistent())
def test_parts_come_to_captured_and_captured_to_net_and_net_to_the_balance(
    found: dict[Line, Sum],
) -> None:
    lines = statement(found)
    amount = {line: one.amount for line, one in lines.items()}
    assert total(amount[line] for line in PARTS_OF_SALES) == amount[Line.CAPTURED]
    after = total(amount[line] for line in AFTER_SALES)
    assert amount[Line.CAPTURED] + after == amount[Line.NET]
    assert amount[Line.NET] + amount[Line.PAID_OUT] == amount[Line.BALANCE_CHANGE]
    assert amount[Line.UNEXPLAINED_SALES] == amount[Line.UNEXPLAINED] == 0
    assert amount[Line.BANK_DIFFERENCE] == 0


@given(consistent(), st.sampled_from([*PARTS_OF_SALES, *AFTER_SALES]), cents)
def test_whatever_is_lost_or_counted_twice_shows_to_the_cent(
    found: dict[Line, Sum], line: Line, off: Decimal
) -> None:
    lines = statement({**found, line: found[line] + Sum(0, off)})
    where = Line.UNEXPLAINED_SALES if line in PARTS_OF_SALES else Line.UNEXPLAINED
    assert lines[where].amount == -off
    assert is_open(lines) == (bool(off) or any(one.open_count for one in lines.values()))


@given(consistent(), consistent())
def test_two_stores_together_are_the_sum_of_both(
    one: dict[Line, Sum], other: dict[Line, Sum]
) -> None:
    first, second = statement(one), statement(other)
    whole = together([first, second])
    for line in Line:
        assert whole[line].amount == first[line].amount + second[line].amount
        assert whole[line].count == first[line].count + second[line].count


def test_a_bank_that_received_less_leaves_a_difference() -> None:
    lines = statement(
        {
            Line.PAID_OUT: money("-100.00"),
            Line.BALANCE_CHANGE: money("-100.00"),
            Line.BANK_RECEIVED: money("99.50"),
        }
    )
    assert lines[Line.BANK_DIFFERENCE].amount == Decimal("0.50")
    assert not is_open(lines)


def test_rows_stand_in_the_order_of_the_statement_and_fit_their_table() -> None:
    key = {
        "provider": "stripe_us",
        "store": "",
        "period": "2017-03",
        "currency": "USD",
        "worked_out_at": datetime(2017, 4, 1, tzinfo=UTC),
    }
    found = rows(key, statement({}))
    frame = Statements.validate(Statements.frame(found))
    assert list(frame["line"]) == list(Line)
    assert list(frame["line_no"]) == list(range(len(Line)))
    assert set(WORDS) == set(Line)


def test_rare_lines_are_shown_only_where_there_is_something() -> None:
    march = period("2017-03")
    plain = Reconciliation("stripe_us", march, "USD", "UTC", {"us": statement({})})
    assert Line.SURCHARGES not in plain.shown
    assert Line.FEES in plain.shown
    assert not plain.is_open
    rush = statement({Line.SURCHARGES: money("5.00"), Line.CAPTURED: money("5.00")})
    assert Line.SURCHARGES in Reconciliation("p", march, "USD", "UTC", {"us": rush}).shown


# Periods


@pytest.mark.parametrize(
    ("words", "first", "last", "months"),
    [
        ("2017-03", date(2017, 3, 1), date(2017, 3, 31), ["2017-03"]),
        ("2016-02", date(2016, 2, 1), date(2016, 2, 29), ["2016-02"]),
        ("2017-q4", date(2017, 10, 1), date(2017, 12, 31), ["2017-10", "2017-11", "2017-12"]),
        ("2017-03-15..2017-03-15", date(2017, 3, 15), date(2017, 3, 15), None),
        ("2016-12-01..2017-01-31", date(2016, 12, 1), date(2017, 1, 31), ["2016-12", "2017-01"]),
    ],
)
def test_a_period_is_a_month_a_quarter_or_days(
    words: str, first: date, last: date, months: list[str] | None
) -> None:
    found = period(words)
    assert (found.first_on, found.last_on, found.months) == (first, last, months)


def test_a_year_has_twelve_months() -> None:
    found = period("2017")
    assert (found.first_on, found.last_on) == (date(2017, 1, 1), date(2017, 12, 31))
    assert found.months == [f"2017-{month:02}" for month in range(1, 13)]


@pytest.mark.parametrize(
    "words",
    [
        *("", "march", "2017-13", "2017-Q5", "2017-02-30..2017-03-01", "2017-03-02..2017-03-01"),
        *("9999", "0000", "2017-3", "17-03", "2017-03-01", "2017-03-01..9999-12-31"),
    ],
)
def test_other_words_are_no_period_and_say_what_is(words: str) -> None:
    with pytest.raises(NoPeriod):
        period(words)


def test_days_are_those_of_the_companys_zone() -> None:
    start, end = period("2017-03").bounds("America/New_York")
    assert start == datetime(2017, 3, 1, 5, tzinfo=UTC)
    assert end == datetime(2017, 4, 1, 4, tzinfo=UTC)


@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)), st.sampled_from(["UTC", "Asia/Tokyo"]))
def test_days_side_by_side_leave_no_gap(day: date, zone: str) -> None:
    both = Period("", day, day).bounds(zone), Period("", day, date.max.replace(9000)).bounds(zone)
    assert both[0][0] == both[1][0]
    assert both[0][0] < both[0][1] < both[1][1]


# Amounts


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        ("1234.500000", "USD", "1,234.50"),
        ("-1234567.8", "EUR", "-1,234,567.80"),
        ("100.000000", "JPY", "100"),
        ("0.125", "USD", "0.125"),
        ("1E+3", "USD", "1,000.00"),
        ("-0.00", "USD", "0.00"),
        ("1.5", "KWD", "1.500"),
    ],
)
def test_an_amount_is_written_with_the_digits_of_its_currency(
    amount: str, currency: str, said: str
) -> None:
    assert written(Decimal(amount), currency, ",") == said
    assert Decimal(written(Decimal(amount), currency)) == Decimal(amount)
