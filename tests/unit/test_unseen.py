"""A number we write is never higher than what a shop could still sell, whatever it did unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.unseen import target_units, unseen_units


def test_a_sale_we_know_of_is_not_counted_as_unseen() -> None:
    assert unseen_units(2, known_sold_units=2, is_counted=False) == 0


def test_a_fall_nobody_explains_may_be_a_sale_on_its_way() -> None:
    assert unseen_units(5, known_sold_units=2, is_counted=False) == 3


def test_a_shop_whose_orders_are_all_counted_hides_nothing() -> None:
    assert unseen_units(5, known_sold_units=0, is_counted=True) == 0


def test_a_shop_that_never_got_a_number_hides_nothing_we_could_bound() -> None:
    assert unseen_units(None, 0, is_counted=False) == 0


def test_a_number_set_higher_over_there_is_no_sale() -> None:
    assert unseen_units(-2, known_sold_units=0, is_counted=False) == 0


@pytest.mark.parametrize(
    ("wanted", "unseen", "target"),
    [
        (10, 0, 10),
        (8, 3, 5),  # the rise from 5 to 8 may be a sale on its way: the number stays
        (105, 5, 100),  # a receipt is shown at once, but for what may be sold
        (4, 3, 1),
        (1, 3, 0),
    ],
)
def test_a_number_rises_only_over_what_is_known(wanted: int, unseen: int, target: int) -> None:
    assert target_units(wanted, unseen) == target


UNITS = st.integers(0, 50)


@given(there=UNITS, elsewhere=UNITS, known=UNITS, hidden=UNITS)
def test_what_is_written_is_exactly_what_is_left_however_little_we_know(
    there: int, elsewhere: int, known: int, hidden: int
) -> None:
    """We wrote all there was; the shop sold, part of it unknown to us; others sold elsewhere."""
    known = min(known, there)
    hidden = min(hidden, there - known)
    elsewhere = min(elsewhere, there - known - hidden)
    wanted = there - known - elsewhere  # worked out from the sales we know of
    unseen = unseen_units(known + hidden, known, is_counted=False)
    assert target_units(wanted, unseen) == there - known - hidden - elsewhere
