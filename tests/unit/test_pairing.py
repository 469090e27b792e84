"""What belongs together without an exact key: sums, differences, words and amounts alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain import pairing
from sync_assets.domain.pairing import Allowed, Budget, Item, Pair, pair, subset

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SALE = ("capture", "EUR")
STRICT = Allowed({}, timedelta(days=4))
KIND = Allowed({"EUR": Decimal("0.02"), "JPY": Decimal(1)}, timedelta(days=4))


def line(ref: str, amount: str, *names: str, day: int = 0, **more: object) -> Item:
    """A settled line that carries these keys."""
    facts = {"is_named": bool(names or more.get("words")), "has_id": bool(names), **more}
    at = NOON + timedelta(days=day)
    return Item(ref, SALE, Decimal(amount), at, frozenset(names), **facts)  # type: ignore[arg-type]


def payment(ref: str, amount: str, *, day: int = 0, has_id: bool = False) -> Item:
    """A payment, known by its own key."""
    at = NOON + timedelta(days=day)
    return Item(ref, SALE, Decimal(amount), at, frozenset({ref}), has_id=has_id)


def tied(found: Sequence[Pair]) -> list[tuple[str, str, str, str]]:
    """Rule, lines, payments and difference of each pair, as text."""
    return [
        (one.rule, " ".join(one.actual), " ".join(one.expected), str(one.difference))
        for one in found
    ]


# ---------------------------------------------------------------- sums


def test_two_lines_come_to_one_payment() -> None:
    lines = [line("l1", "6.00", "p1"), line("l2", "4.00", "p1")]
    assert tied(pair(lines, [payment("p1", "10.00")], STRICT)) == [("sum", "l1 l2", "p1", "0.00")]


def test_one_line_comes_to_two_payments() -> None:
    payments = [payment("p1", "6.00"), payment("p2", "4.00")]
    found = pair([line("l1", "10.00", "p1", "p2")], payments, STRICT)
    assert tied(found) == [("sum", "l1", "p1 p2", "0.00")]
    assert found[0].reason == (
        "1 line for 2 payments: they share a reference and come to the same (10 and 10 EUR)"
    )


def test_of_a_family_that_does_not_sum_up_the_part_that_does_is_taken() -> None:
    payments = [payment("p1", "6.00"), payment("p2", "4.00"), payment("p3", "9.00", day=1)]
    found = pair([line("l1", "10.00", "p1", "p2", "p3")], payments, STRICT)
    assert tied(found) == [("sum", "l1", "p1 p2", "0.00")]


def test_equal_halves_are_tied_in_the_order_of_time_and_the_third_stays_open() -> None:
    lines = [line(f"l{n}", "5.00", "p1", "p2", day=n) for n in (1, 2, 3)]
    found = pair(lines, [payment("p2", "5.00", day=1), payment("p1", "5.00")], STRICT)
    assert tied(found) == [("sum", "l1", "p1", "0.00"), ("sum", "l2", "p2", "0.00")]


def test_what_names_nothing_of_one_another_is_not_summed() -> None:
    lines = [line("l1", "6.00", "p1"), line("l2", "4.00", "p2")]
    assert pair(lines, [payment("p3", "10.00")], STRICT) == []


def test_kinds_and_currencies_do_not_meet() -> None:
    other = Item("p1", ("refund", "EUR"), Decimal(10), NOON, frozenset({"p1"}))
    dollars = Item("p1", ("capture", "USD"), Decimal(10), NOON, frozenset({"p1"}))
    assert pair([line("l1", "10", "p1")], [other], STRICT) == []
    assert pair([line("l1", "10", "p1")], [dollars], STRICT) == []


# ---------------------------------------------------------------- differences


@pytest.mark.parametrize(
    ("settled", "found"),
    [
        ("9.98", [("tolerance", "l1", "p1", "-0.02")]),
        ("10.02", [("tolerance", "l1", "p1", "0.02")]),
        ("9.97", []),
        ("10.03", []),
    ],
)
def test_a_difference_within_the_tolerance_is_kept_with_the_pair(
    settled: str, found: list[tuple[str, str, str, str]]
) -> None:
    assert tied(pair([line("l1", settled, "p1")], [payment("p1", "10.00")], KIND)) == found


def test_a_currency_without_a_tolerance_allows_no_difference() -> None:
    assert pair([line("l1", "9.99", "p1")], [payment("p1", "10.00")], STRICT) == []


# ---------------------------------------------------------------- words


def test_a_key_counts_before_a_word() -> None:
    lines = [line("l1", "10.00", words=frozenset({"p1"})), line("l2", "10.00", "p1", day=1)]
    assert tied(pair(lines, [payment("p1", "10.00")], STRICT)) == [("sum", "l2", "p1", "0.00")]


def test_a_word_ties_where_no_key_does() -> None:
    found = pair([line("l1", "10.00", words=frozenset({"p1"}))], [payment("p1", "10.00")], STRICT)
    assert tied(found) == [("text", "l1", "p1", "0.00")]


# ---------------------------------------------------------------- amounts alone


def test_the_only_payment_of_an_amount_in_the_window_is_tied() -> None:
    payments = [payment("p1", "10.00"), payment("p2", "10.00", day=-9), payment("p3", "11.00")]
    found = pair([line("l1", "10.00", day=4)], payments, STRICT)
    assert tied(found) == [("amount", "l1", "p1", "0.00")]


@pytest.mark.parametrize(
    "payments",
    [
        [payment("p1", "10.00"), payment("p2", "10.00")],
        [payment("p1", "10.00", day=5)],
        [payment("p1", "10.01")],
    ],
    ids=["two of them", "outside the window", "another amount"],
)
def test_an_amount_that_proves_nothing_ties_nothing(payments: list[Item]) -> None:
    assert pair([line("l1", "10.00")], payments, STRICT) == []


def test_two_lines_that_want_the_same_payment_both_stay_open() -> None:
    lines = [line("l1", "10.00"), line("l2", "10.00", day=1)]
    assert pair(lines, [payment("p1", "10.00")], STRICT) == []


def test_a_line_that_names_another_order_is_not_tied_by_its_amount() -> None:
    assert pair([line("l1", "10.00", is_named=True)], [payment("p1", "10.00")], STRICT) == []


def test_two_ids_are_two_payments() -> None:
    lines = [line("l1", "10.00", has_id=True)]
    assert pair(lines, [payment("p1", "10.00", has_id=True)], STRICT) == []
    assert len(pair(lines, [payment("p1", "10.00", has_id=False)], STRICT)) == 1


def test_the_very_amount_counts_before_a_close_one() -> None:
    payments = [payment("p1", "10.00"), payment("p2", "10.01")]
    assert tied(pair([line("l1", "10.00")], payments, KIND)) == [("amount", "l1", "p1", "0.00")]
    assert tied(pair([line("l1", "10.02")], payments[1:], KIND)) == [("amount", "l1", "p2", "0.01")]
    assert pair([line("l1", "10.02")], payments, KIND) == []


def test_an_amount_that_very_many_payments_have_ties_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pairing, "MOST_ALIKE", 3)
    payments = [payment(f"p{n}", "10.00", has_id=n > 0) for n in range(5)]
    assert pair([line("l1", "10.00", has_id=True)], payments, STRICT) == []
    assert len(pair([line("l1", "10.00", has_id=True)], payments[:3], STRICT)) == 1


# ---------------------------------------------------------------- whatever comes

REFS = [f"p{n}" for n in range(6)]
AMOUNTS = st.integers(1, 12).map(lambda cents: Decimal(cents) / 100)
SIDES_OF_TIME = st.integers(0, 9).map(lambda day: NOON + timedelta(days=day))
GROUPS = st.sampled_from([("capture", "EUR"), ("capture", "JPY"), ("refund", "USD")])
NAMES = st.frozensets(st.sampled_from(REFS), max_size=3)
LINES = st.lists(
    st.builds(
        Item,
        ref=st.uuids().map(str),
        group=GROUPS,
        amount=AMOUNTS,
        at=SIDES_OF_TIME,
        keys=NAMES,
        words=NAMES,
        is_named=st.booleans(),
        has_id=st.booleans(),
    ),
    max_size=7,
    unique_by=lambda one: one.ref,
)
PAYMENTS = st.lists(
    st.builds(
        lambda ref, group, amount, at, has_id: Item(
            ref, group, amount, at, frozenset({ref}), has_id=has_id
        ),
        st.sampled_from(REFS),
        GROUPS,
        AMOUNTS,
        SIDES_OF_TIME,
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda one: one.ref,
)
ALLOWED = st.builds(
    Allowed,
    st.sampled_from([{}, {"EUR": Decimal("0.02")}, {"EUR": Decimal("0.05"), "JPY": Decimal(1)}]),
    st.sampled_from([timedelta(0), timedelta(days=2), timedelta(days=30)]),
)


@given(LINES, PAYMENTS, ALLOWED)
def test_nothing_is_in_two_pairs_and_every_pair_ties(
    lines: list[Item], payments: list[Item], allowed: Allowed
) -> None:
    held = {one.ref: one for one in (*lines, *payments)}
    found = pair(lines, payments, allowed)
    refs = [ref for one in found for ref in (*one.actual, *one.expected)]
    assert len(refs) == len(set(refs))
    for one in found:
        sides = [sum(held[ref].amount for ref in refs) for refs in (one.actual, one.expected)]
        (group,) = {held[ref].group for ref in (*one.actual, *one.expected)}
        assert one.difference == sides[0] - sides[1]
        assert abs(one.difference) <= allowed.tolerance.get(group[-1], Decimal(0))
        assert one.difference == 0 or one.rule in ("tolerance", "amount")


@given(LINES, PAYMENTS, ALLOWED, st.randoms(use_true_random=False))
def test_the_order_in_which_things_come_changes_nothing(
    lines: list[Item], payments: list[Item], allowed: Allowed, chance: object
) -> None:
    first = pair(lines, payments, allowed)
    chance.shuffle(lines)  # type: ignore[attr-defined]
    chance.shuffle(payments)  # type: ignore[attr-defined]
    assert pair(lines, payments, allowed) == first


# ---------------------------------------------------------------- subsets


def brute(items: Sequence[Item], wanted: Decimal) -> bool:
    """Whether two or more of the items come to an amount."""
    return any(
        sum(one.amount for one in some) == wanted
        for size in range(2, len(items) + 1)
        for some in combinations(items, size)
    )


SIGNED = st.one_of(
    st.lists(st.integers(0, 30), max_size=9),
    st.lists(st.integers(-30, 0), max_size=9),
    st.lists(st.integers(-30, 30), max_size=9),
)


@given(SIGNED, st.integers(-60, 60))
def test_a_subset_is_found_where_there_is_one_and_nowhere_else(
    amounts: list[int], wanted: int
) -> None:
    items = [line(f"l{place}", str(amount)) for place, amount in enumerate(amounts)]
    found = subset(items, Decimal(wanted))
    assert bool(found) == brute(items, Decimal(wanted))
    if found:
        assert sum(one.amount for one in found) == wanted
        assert not brute_of_size_below(items, Decimal(wanted), len(found))


def brute_of_size_below(items: Sequence[Item], wanted: Decimal, size: int) -> bool:
    """Whether fewer items do as well."""
    return any(
        sum(one.amount for one in some) == wanted
        for fewer in range(2, size)
        for some in combinations(items, fewer)
    )


def test_what_is_too_large_by_itself_takes_no_place_in_the_search() -> None:
    large = [line(f"x{n}", "100") for n in range(pairing.MOST_ITEMS)]
    small = [line("a", "4"), line("b", "6")]
    assert [one.ref for one in subset([*large, *small], Decimal(10))] == ["a", "b"]


def test_a_search_without_an_end_is_ended() -> None:
    items = [line(f"l{n}", "2") for n in range(400)]
    budget = Budget(10**9)
    assert subset(items, Decimal(31), budget) == []
    assert 10**9 - budget.left == pairing.MOST_TRIES


def test_a_search_that_could_not_succeed_is_not_begun() -> None:
    budget = Budget()
    assert subset([line("l1", "2"), line("l2", "3")], Decimal(6), budget) == []
    assert budget.left == pairing.MOST_TRIES


def test_a_family_of_many_equal_amounts_is_searched_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand lines of one reference that come to none of its payments, however taken."""
    tries = 0

    def counted(items: Sequence[Item], size: int) -> object:
        nonlocal tries
        for some in combinations(items, size):
            tries += 1
            yield some

    monkeypatch.setattr(pairing, "combinations", counted)
    names = [f"p{n}" for n in range(50)]
    lines = [line(f"l{n}", "31", *names) for n in range(1000)]
    assert pair(lines, [payment(name, "2") for name in names], STRICT) == []
    assert tries <= pairing.MOST_TRIES_OF_FAMILY + 1000


def test_a_thousand_equal_pairs_of_one_reference_are_tied_without_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pairing, "MOST_TRIES_OF_FAMILY", 0)
    names = [f"p{n:04}" for n in range(1000)]
    lines = [line(f"l{n:04}", "5", *names) for n in range(1001)]
    found = pair(lines, [payment(name, "5") for name in names], STRICT)
    assert [(one.actual, one.expected) for one in found] == [
        ((f"l{n:04}",), (f"p{n:04}",)) for n in range(1000)
    ]
