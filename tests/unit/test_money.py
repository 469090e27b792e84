"""Money: what is rounded, split or priced still comes to the same amount."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync_assets.domain.money import digits_of, priced, rounded, shares

D = Decimal
DIGITS = st.sampled_from([0, 2, 3])


@st.composite
def nets(draw: st.DrawFn, digits: st.SearchStrategy[int] = DIGITS) -> tuple[Decimal, int]:
    places = draw(digits)
    return D(draw(st.integers(-(10**10), 10**10))).scaleb(-places), places


def total_of(pieces: list[tuple[Decimal, Decimal]], digits: int) -> Decimal:
    return sum((rounded(quantity * price, digits) for quantity, price in pieces), D())


@pytest.mark.parametrize(
    ("amount", "digits", "expected"),
    [
        ("2.345", 2, "2.35"),
        ("-2.345", 2, "-2.35"),
        ("2.3449", 2, "2.34"),
        ("0.5", 0, "1"),
        ("1.0005", 3, "1.001"),
        ("7", 2, "7.00"),
    ],
)
def test_halves_are_rounded_away_from_zero(amount: str, digits: int, expected: str) -> None:
    assert str(rounded(D(amount), digits)) == expected


@given(st.decimals(-(10**9), 10**9, places=6), DIGITS)
def test_rounding_moves_an_amount_by_half_a_unit_at_most_and_only_once(
    amount: Decimal, digits: int
) -> None:
    once = rounded(amount, digits)
    assert abs(once - amount) * 2 <= D(1).scaleb(-digits)
    assert rounded(once, digits) == once
    assert rounded(-amount, digits) == -once


@pytest.mark.parametrize(
    ("currency", "digits"),
    [
        ("USD", 2),
        ("EUR", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("CLP", 0),
        ("VND", 0),
        ("KWD", 3),
        ("BHD", 3),
        ("OMR", 3),
        ("JOD", 3),
        ("TND", 3),
        ("IQD", 3),
        ("LYD", 3),
    ],
)
def test_a_currency_has_its_own_number_of_digits(currency: str, digits: int) -> None:
    assert digits_of(currency) == digits


def test_the_odd_cent_goes_to_the_largest_remainder_and_on_a_tie_to_the_first() -> None:
    assert shares(D("10.00"), [D(1), D(1), D(1)], 2) == [D("3.34"), D("3.33"), D("3.33")]
    assert shares(D("1.00"), [D("0.1"), D("0.2"), D("0.4")], 2) == [
        D("0.14"),
        D("0.29"),
        D("0.57"),
    ]


def test_a_negative_total_is_shared_like_a_positive_one() -> None:
    assert shares(D("-10.00"), [D(1), D(1), D(1)], 2) == [D("-3.34"), D("-3.33"), D("-3.33")]


def test_weights_that_are_all_zero_share_equally() -> None:
    assert shares(D("1.00"), [D(0), D(0)], 2) == [D("0.50"), D("0.50")]


def test_a_share_of_nothing_among_nobody_is_empty_and_of_something_is_an_error() -> None:
    assert shares(D(0), [], 2) == []
    with pytest.raises(ValueError, match="nobody"):
        shares(D(1), [], 2)


@pytest.mark.parametrize(("total", "weights"), [("1.005", ["1"]), ("1", ["2", "-1"])])
def test_a_total_finer_than_the_currency_or_a_negative_weight_is_an_error(
    total: str, weights: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"digits|negative"):
        shares(D(total), [D(weight) for weight in weights], 2)


@given(nets(), st.lists(st.decimals(0, 10**6, places=4), min_size=1, max_size=30))
def test_shares_sum_exactly_and_miss_their_due_by_less_than_a_unit(
    net: tuple[Decimal, int], weights: list[Decimal]
) -> None:
    total, digits = net
    parts = shares(total, weights, digits)
    assert sum(parts, D()) == total
    whole = sum(weights) or D(len(weights))
    for part, weight in zip(parts, weights if any(weights) else [D(1)] * len(weights), strict=True):
        assert abs(part * whole - total * weight) < D(1).scaleb(-digits) * whole
        assert not part or (part > 0) == (total > 0)


def test_three_for_ten_are_two_cheap_ones_and_a_dear_one() -> None:
    assert priced(D("10.00"), D(3), 2, 2) == [(D(2), D("3.33")), (D(1), D("3.34"))]


@pytest.mark.parametrize(
    ("net", "quantity", "price_digits", "digits", "pieces"),
    [
        ("44.00", "2", 2, 2, [("2", "22.00")]),
        ("10.00", "3", 4, 2, [("3", "3.3333")]),
        ("10", "3", 2, 0, [("3", "3.33")]),  # 9.99 yen are 10
        ("-10.00", "3", 2, 2, [("2", "-3.33"), ("1", "-3.34")]),
        ("-10.00", "-3", 2, 2, [("-2", "3.33"), ("-1", "3.34")]),
        ("10.00", "-3", 2, 2, [("-2", "-3.33"), ("-1", "-3.34")]),
        ("0.01", "3", 2, 2, [("2", "0"), ("1", "0.01")]),
        ("-2.50", "1", 2, 2, [("1", "-2.50")]),
        ("3.00", "1.5", 2, 2, [("1.5", "2.00")]),
        ("0.00", "7", 2, 2, [("7", "0")]),
        ("0.00", "0", 2, 2, [("0", "0")]),
        ("1.001", "3", 3, 3, [("1", "0.333"), ("2", "0.334")]),
    ],
)
def test_pieces_are_few_and_exact(
    net: str, quantity: str, price_digits: int, digits: int, pieces: list[tuple[str, str]]
) -> None:
    expected = [(D(count), D(price)) for count, price in pieces]
    assert priced(D(net), D(quantity), price_digits, digits) == expected


@pytest.mark.parametrize(("net", "quantity"), [("1000.01", "250.5"), ("5.00", "0")])
def test_a_quantity_that_no_price_ties_becomes_one_unit_at_the_whole_amount(
    net: str, quantity: str
) -> None:
    assert priced(D(net), D(quantity), 2, 2) == [(D(1), D(net))]


@pytest.mark.parametrize(
    ("net", "price_digits", "digits"), [("1.005", 4, 2), ("1.001", 2, 3), ("0.5", 2, 0)]
)
def test_an_amount_finer_than_currency_or_prices_has_no_pieces(
    net: str, price_digits: int, digits: int
) -> None:
    with pytest.raises(ValueError, match="digits behind the point"):
        priced(D(net), D(1), price_digits, digits)


@given(nets(), st.integers(-2000, 2000).filter(bool), st.integers(0, 3))
@example((D("10.00"), 2), 4, 1)
def test_whole_quantities_stay_whole_and_every_piece_adds_up(
    net: tuple[Decimal, int], count: int, finer: int
) -> None:
    amount, digits = net
    pieces = priced(amount, D(count), digits + finer, digits)
    assert total_of(pieces, digits) == amount
    assert len(pieces) in (1, 2)
    assert sum(quantity for quantity, _ in pieces) == count
    assert all(quantity == quantity.to_integral_value() and quantity for quantity, _ in pieces)
    assert all(price == rounded(price, digits + finer) for _, price in pieces)


@given(nets(), st.integers(-60, 60).filter(bool))
def test_two_pieces_are_used_only_where_no_single_price_ties(
    net: tuple[Decimal, int], count: int
) -> None:
    amount, digits = net
    pieces = priced(amount, D(count), digits, digits)
    assert (len(pieces) == 1) == (amount.scaleb(digits) % count == 0)


@given(nets(), st.decimals(-500, 500, places=3))
def test_any_quantity_adds_up_and_only_a_fractional_or_zero_one_is_given_up(
    net: tuple[Decimal, int], quantity: Decimal
) -> None:
    amount, digits = net
    pieces = priced(amount, quantity, max(digits, 2), digits)
    assert total_of(pieces, digits) == amount
    if sum(count for count, _ in pieces) != quantity:
        assert pieces == [(D(1), amount)]
        assert not quantity or quantity != quantity.to_integral_value()


@given(nets(st.just(3)), st.integers(1, 200))
def test_prices_coarser_than_the_currency_tie_or_are_an_error(
    net: tuple[Decimal, int], count: int
) -> None:
    try:
        pieces = priced(net[0], D(count), 2, 3)
    except ValueError:
        assert net[0] != rounded(net[0], 2)
    else:
        assert total_of(pieces, 3) == net[0]
