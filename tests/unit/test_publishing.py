"""What a shop is to show, and what may be written over what it shows."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sync_assets.domain.policy import Guards, Policy, parse
from sync_assets.domain.publishing import (
    Attempt,
    Decision,
    Shown,
    decide,
    differs,
    is_mass_drop,
    same_number,
    untold,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)


def decided(wanted: int, seen: int | None, now: int, earlier: Attempt | None = None) -> Decision:
    """What is written to a listing that takes no backorders."""
    return decide(Shown(wanted), seen, Shown(now), LATER, earlier)


@pytest.mark.parametrize(
    ("wanted", "seen", "now", "written", "sold"),
    [
        (7, 10, 10, 7, 0),
        (15, 10, 10, 15, 0),
        (15, 10, 8, 13, 2),  # two were sold that nobody told us of
        (3, 10, 5, 0, 5),  # never below nothing
        (7, 10, 12, 7, 0),  # what came back is in our number or is not ours to sell
    ],
)
def test_what_was_sold_since_we_looked_is_taken_off(
    wanted: int, seen: int, now: int, written: int, sold: int
) -> None:
    assert decided(wanted, seen, now) == Decision(written, sold, is_needed=True)


def test_what_is_there_already_is_not_written() -> None:
    assert decided(8, 10, 8) == Decision(8, 0, is_needed=False)


def test_a_count_below_zero_is_left_where_it_is() -> None:
    assert decided(0, 3, -2) == Decision(-2, 0, is_needed=False)
    beyond = decide(Shown(0, "notify"), 3, Shown(-2, "no"), LATER, None)
    assert beyond == Decision(-2, 0, is_needed=True)


def test_what_kept_no_stock_has_sold_nothing_of_it() -> None:
    found = decide(Shown(4), None, Shown(None, management="no"), LATER, None)
    assert found == Decision(4, 0, is_needed=True)


def attempt(target: int, before: int, sold: int = 0) -> Attempt:
    return Attempt(target, before, NOW, sold)


@pytest.mark.parametrize(
    ("earlier", "now", "at", "expected"),
    [
        # Nothing changed: it was not written.
        (attempt(14, 9, 1), 9, NOW, Decision(14, 1, is_needed=True)),
        # It shows what was to be written: it was.
        (attempt(14, 9, 1), 14, LATER, Decision(14, 1, is_needed=False)),
        # Written, and two sold since.
        (attempt(14, 9, 1), 12, LATER, Decision(12, 3, is_needed=False)),
        # Written and much sold, or not written and one sold: the lower number is safe.
        (attempt(14, 9, 1), 8, LATER, Decision(8, 7, is_needed=False)),
    ],
)
def test_after_a_lost_answer_no_number_covers_a_sale(
    earlier: Attempt, now: int, at: datetime, expected: Decision
) -> None:
    assert decide(Shown(15), 10, Shown(now), at, earlier) == expected


@given(
    seen=st.integers(0, 30),
    wanted=st.integers(0, 30),
    sold_before=st.integers(0, 8),
    is_written=st.booleans(),
    sold_after=st.integers(0, 8),
)
def test_whatever_is_lost_in_between_a_raised_number_leaves_room_for_every_unseen_sale(
    seen: int, wanted: int, sold_before: int, is_written: bool, sold_after: int
) -> None:
    """Two tries, the answer of the first lost; orders are counted only afterwards."""
    before = seen - sold_before
    first = decide(Shown(wanted), seen, Shown(before), NOW, None)
    assume(first.is_needed)
    now = (first.units if is_written else before) - sold_after
    # The one reading that cannot be told apart: exactly what was meant to be written.
    assume(now != first.units or is_written)
    at = LATER if is_written or sold_after else NOW
    noted = Attempt(first.units, before, NOW, first.sold_units)
    second = decide(Shown(wanted), seen, Shown(now), at, noted)
    if second.units > now:
        assert second.units <= max(0, wanted - sold_before - sold_after)


@given(one=st.integers(-5, 5), other=st.integers(-5, 5))
def test_numbers_at_or_below_zero_are_one_number(one: int, other: int) -> None:
    assert same_number(one, other) == (max(one, 0) == max(other, 0))
    assert differs(Shown(one), Shown(other)) != same_number(one, other)


def test_anything_a_customer_would_notice_is_a_difference() -> None:
    seen = Shown(5, "no", None)
    assert not differs(Shown(5), seen)
    assert differs(Shown(5, "notify"), seen)
    assert differs(Shown(5, "no", 9), seen)
    assert differs(Shown(5), Shown(None, management="no"))


def test_a_drop_is_a_mass_drop_from_the_policys_share_and_least_on() -> None:
    guards = Guards(mass_drop_share=Decimal("0.3"), mass_drop_least=50)
    assert [is_mass_drop(n, 100, guards) for n in (49, 50)] == [False, True]
    assert [is_mass_drop(n, 1000, guards) for n in (299, 300)] == [False, True]


def policy(**channel: Any) -> Policy:
    return parse(
        {
            "locations": {"here": {"source": "odoo", "code": "WH"}},
            "channels": {"us": {"locations": ["here"], **channel}},
        }
    )


def test_customers_are_told_of_backorders_unless_the_policy_says_no() -> None:
    silent = {"backorder": {"is_allowed": True, "tells_customer": False}}
    assert untold(policy(), "us", ["TEA"]) == []
    assert untold(policy(**silent), "us", ["TEA"]) == ["TEA"]
    some = policy(overrides=[{"skus": ["T*"], **silent}])
    assert untold(some, "us", ["TEA", "MUG"]) == ["TEA"]
    assert untold(some, "uk", ["TEA"]) == []
