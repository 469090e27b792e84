"""Shares of an order's money: exact to the cent, whatever the order in which units come back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.refund_limits import (
    Share,
    Sold,
    fitted,
    left_of,
    less_fee,
    share,
    total,
    whole,
)

D = Decimal


def sold(net: str, units: str = "3", **taxes: str) -> Sold:
    by_rate = {rate[1:]: D(amount) for rate, amount in taxes.items()}
    return Sold("us:1:product:1", "product", "TEA", D(units), D(net), by_rate)


def test_three_units_of_ten_come_to_ten() -> None:
    parts = [share(sold("10.00", r1="0.73"), gone, 1, 2) for gone in range(3)]
    assert [part.net_amount for part in parts] == [D("3.33"), D("3.34"), D("3.33")]
    assert total(parts) == D("10.73")


@given(
    cents=st.integers(0, 10**7),
    tax=st.integers(0, 10**6),
    cuts=st.lists(st.integers(1, 5), min_size=1, max_size=8),
)
def test_shares_sum_to_the_line_however_it_is_cut(cents: int, tax: int, cuts: list[int]) -> None:
    line = sold(str(D(cents) / 100), str(sum(cuts)), r1=str(D(tax) / 100))
    gone, parts = 0, []
    for units in cuts:
        parts.append(share(line, gone, units, 2))
        gone += units
    assert sum(part.net_amount for part in parts) == D(cents) / 100
    assert sum(part.tax_amount for part in parts) == D(tax) / 100
    assert all(part.net_amount >= 0 and part.tax_amount >= 0 for part in parts)


def test_a_currency_without_cents_has_none() -> None:
    assert share(sold("1000"), 0, 1, 0).net_amount == D(333)


def test_part_of_a_fractional_quantity_is_its_part() -> None:
    assert share(sold("9.00", "1.5"), 0, 1, 2).net_amount == D("6.00")
    assert share(sold("9.00", "1.5"), 1, 1, 2).net_amount == D("3.00")


def test_a_fee_is_kept_of_goods_and_tax_alike() -> None:
    part = less_fee(share(sold("10.00", r1="0.73"), 0, 3, 2), D(15), 2)
    assert (part.net_amount, part.taxes) == (D("8.50"), {"1": D("0.62")})


def test_shipping_goes_back_whole() -> None:
    line = Sold("us:1:shipping:2", "shipping", None, D(1), D("8.00"), {"1": D("0.58"), "2": D(0)})
    assert whole(line) == Share("us:1:shipping:2", "shipping", None, 0, D("8.00"), {"1": D("0.58")})


def test_a_cent_of_rounding_is_taken_off_and_more_is_not() -> None:
    parts = [share(sold("10.00", r1="0.73"), 0, 3, 2)]
    assert total(fitted(parts, D("10.72"), 2)) == D("10.72")
    assert total(fitted(parts, D("10.60"), 2)) == D("10.73")
    assert fitted([], D(0), 2) == []


@pytest.mark.parametrize(("given_back", "left"), [([], "30"), (["10", "12.5"], "7.5")])
def test_what_is_left_is_what_was_paid_less_what_went_back(
    given_back: list[str], left: str
) -> None:
    assert left_of(D(30), map(D, given_back)) == D(left)
