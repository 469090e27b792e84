"""Judging a comparison of a whole store: what is healed, what a person gets, what it is worth."""

from decimal import Decimal

from sync_assets.domain.drift import Difference, Kind, Treatment, judge
from sync_assets.domain.policy import Guards

GUARDS = Guards(heal_most=200, heal_share=Decimal("0.05"))


def different(number: int, wanted: int = 5, seen: int = 8) -> Difference:
    return Difference(Kind.DIFFERENT, number, f"S{number}", wanted, seen, Decimal("2.50"))


def test_few_differences_are_healed() -> None:
    found = judge([different(1), different(2)], 1000, GUARDS)
    assert [found.treatment(one) for one in found.differences] == [Treatment.HEALED] * 2
    assert (found.off_units, found.exposed_amount) == (6, Decimal("15.00"))


def test_more_than_the_share_or_the_most_are_a_persons() -> None:
    many = [different(n) for n in range(51)]
    assert judge(many, 1020, GUARDS).heals
    assert not judge(many, 1000, GUARDS).heals
    crowd = [different(n) for n in range(201)]
    assert not judge(crowd, 100_000, GUARDS).heals
    assert judge(crowd, 100_000, GUARDS, is_released=True).heals


def test_a_handful_in_a_small_store_is_always_healed_unless_nothing_may_be() -> None:
    assert judge([different(n) for n in range(10)], 20, GUARDS).heals
    assert not judge([different(n) for n in range(11)], 20, GUARDS).heals
    assert not judge([different(1)], 20, Guards(heal_most=0)).heals


def test_stock_without_a_number_of_ours_is_told_and_counts_for_nothing() -> None:
    extra = Difference(Kind.EXTRA, 7, "CUP", None, 9, Decimal(3))
    found = judge([extra], 3, Guards(heal_most=0))
    assert (found.wrong, found.heals, found.off_units) == (0, True, 0)
    assert found.treatment(extra) == Treatment.IGNORED


def test_pieces_below_zero_are_not_there_either_way() -> None:
    assert different(1, wanted=3, seen=-4).off_units == 3
    assert Difference(Kind.MISSING, 1, "S1", 4, None).off_units == 4
    assert Difference(Kind.MISSING, 1, "S1", 4, None).exposed_amount is None
