"""Which place ships what: examples, and what must hold for whatever orders and places there are."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.domain.allocating import Allocation, Candidate, Need, allocate

SKUS = ("MUG", "TEA", "POT")
TEA, MUG = Need("us:1:11", "TEA", 3), Need("us:1:12", "MUG", 1)
SET = {"MUG": Decimal(1), "TEA": Decimal(2)}


def chosen(
    needs: Sequence[Need],
    places: Sequence[Candidate],
    *,
    split: bool = True,
    most: int = 3,
    release: bool = False,
) -> Allocation:
    return allocate(needs, places, may_split=split, most_parts=most, releases_backorder=release)


def place(name: str, free: Mapping[str, int] | None, *no: str) -> Candidate:
    known = None if free is None else {sku.lower(): units for sku, units in free.items()}
    return Candidate(name, known, frozenset(no))


def parts(made: Allocation) -> dict[str, dict[str, int]]:
    return {part.place: dict(part.units) for part in made.parts}


# ---------------------------------------------------------------- examples


def test_the_first_place_that_has_all_of_it_ships_the_order_whole() -> None:
    places = [place("east", {"TEA": 3}), place("west", {"TEA": 9, "MUG": 9}), place("far", None)]
    made = chosen([TEA, MUG], places)
    assert parts(made) == {"west": {"us:1:11": 3, "us:1:12": 1}}
    assert made.parts[0].reason == "has all of it"


def test_a_place_that_nobody_knows_the_stock_of_takes_what_it_is_sent() -> None:
    assert parts(chosen([TEA], [place("east", None), place("west", {"TEA": 9})])) == {
        "east": {"us:1:11": 3}
    }


def test_two_places_are_chosen_where_three_would_be_asked_by_size_alone() -> None:
    needs = [
        Need(str(n), sku, units)
        for n, (sku, units) in enumerate(zip("ABCD", (3, 3, 2, 2), strict=True))
    ]
    places = [
        place("big", {"A": 3, "B": 2, "C": 0}),  # has the most of all, and makes it three parts
        place("left", {"A": 2, "B": 0, "C": 2}),
        place("even", {"A": 3, "C": 2}),
        place("odd", {"B": 3, "D": 2}),
    ]
    assert parts(chosen(needs, places)) == {"even": {"0": 3, "2": 2}, "odd": {"1": 3, "3": 2}}


def test_among_sets_of_as_many_places_the_order_of_the_policy_decides() -> None:
    east, west, far = place("east", {"TEA": 2}), place("west", {"TEA": 2}), place("far", {"TEA": 2})
    assert parts(chosen([TEA], [east, west, far])) == {
        "east": {"us:1:11": 2},
        "west": {"us:1:11": 1},
    }
    assert parts(chosen([TEA], [far, west, east])) == {
        "far": {"us:1:11": 2},
        "west": {"us:1:11": 1},
    }


def test_what_nobody_has_waits_and_the_rest_goes() -> None:
    made = chosen([TEA, MUG], [place("east", {"MUG": 1}), place("west", {"TEA": 2})])
    assert parts(made) == {"west": {"us:1:11": 2}, "east": {"us:1:12": 1}}
    assert (made.uncovered, made.reason) == ({"us:1:11": 1}, "no place has enough")


def test_an_order_that_must_not_be_split_waits_whole() -> None:
    places = [place("east", {"TEA": 3}), place("west", {"MUG": 1})]
    made = chosen([TEA, MUG], places, split=False)
    assert (parts(made), made.uncovered) == ({}, {"us:1:11": 3, "us:1:12": 1})


def test_an_order_that_must_not_be_split_is_released_to_one_place() -> None:
    places = [place("east", {"TEA": 3}, "us:1:12"), place("west", {})]
    made = chosen([TEA, MUG], places, split=False, release=True)
    assert parts(made) == {"west": {"us:1:11": 3, "us:1:12": 1}}
    assert made.parts[0].reason == "released as a backorder: no place has enough"


def test_no_more_parts_than_allowed_also_for_what_is_released() -> None:
    places = [place(name, {"TEA": 1}) for name in ("east", "west", "far")]
    made = chosen([TEA], places, most=2)
    assert parts(made) == {"east": {"us:1:11": 1}, "west": {"us:1:11": 1}}
    assert made.uncovered == {"us:1:11": 1}
    made = chosen([TEA], places, most=2, release=True)
    assert (parts(made), made.uncovered) == ({"east": {"us:1:11": 2}, "west": {"us:1:11": 1}}, {})


def test_a_place_is_not_asked_again_for_what_it_turned_down() -> None:
    places = [place("east", {"TEA": 9, "MUG": 9}, "us:1:11"), place("west", {"TEA": 9, "MUG": 9})]
    assert parts(chosen([TEA], places)) == {"west": {"us:1:11": 3}}
    assert parts(chosen([MUG], places)) == {"east": {"us:1:12": 1}}


def test_what_every_place_turned_down_is_not_even_released() -> None:
    made = chosen([TEA], [place("east", {"TEA": 9}, "us:1:11")], release=True)
    assert (parts(made), made.uncovered) == ({}, {"us:1:11": 3})


def test_lines_of_one_sku_share_what_is_there_however_it_is_spelled() -> None:
    needs = [Need("a", "Tea", 2), Need("b", "TEA", 2)]
    made = chosen(needs, [place("east", {"TEA": 3})])
    assert (parts(made), made.uncovered) == ({"east": {"a": 2, "b": 1}}, {"b": 1})


def test_of_a_kit_there_are_as_many_as_its_scarcest_component_allows() -> None:
    made = chosen([Need("a", "SET", 3, SET)], [place("east", {"MUG": 9, "TEA": 5, "SET": 9})])
    assert (parts(made), made.uncovered) == ({"east": {"a": 2}}, {"a": 1})


def test_a_kit_and_its_component_do_not_get_the_same_piece() -> None:
    needs = [Need("a", "SET", 1, SET), Need("b", "MUG", 1)]
    made = chosen(needs, [place("east", {"MUG": 1, "TEA": 2})])
    assert (parts(made), made.uncovered) == ({"east": {"a": 1}}, {"b": 1})


def test_nobody_ships_to_this_address() -> None:
    made = chosen([TEA], [], release=True)
    assert (made.parts, made.uncovered) == ((), {"us:1:11": 3})
    assert made.reason == "no place ships to this address"


def test_nothing_needed_is_nothing_asked() -> None:
    assert chosen([Need("a", "TEA", 0)], []) == Allocation()


# ---------------------------------------------------------------- whatever there is

NEEDS = st.lists(
    st.tuples(st.sampled_from([*SKUS, "SET"]), st.integers(0, 5)), min_size=1, max_size=4
).map(
    lambda all_: [
        Need(f"line{n}", sku, units, SET if sku == "SET" else {})
        for n, (sku, units) in enumerate(all_)
    ]
)
PLACES = st.lists(
    st.tuples(
        st.none() | st.dictionaries(st.sampled_from(SKUS), st.integers(-1, 6)),
        st.frozensets(st.sampled_from([f"line{n}" for n in range(4)]), max_size=2),
    ),
    max_size=4,
).map(lambda all_: [place(f"p{n}", free, *no) for n, (free, no) in enumerate(all_)])
POLICY = {"split": st.booleans(), "most": st.integers(1, 4), "release": st.booleans()}


@settings(deadline=None)
@given(needs=NEEDS, places=PLACES, **POLICY)
def test_units_given_and_units_waiting_are_the_units_needed(
    needs: list[Need], places: list[Candidate], split: bool, most: int, release: bool
) -> None:
    made = chosen(needs, places, split=split, most=most, release=release)
    for need in needs:
        given_ = [part.units.get(need.line_ref, 0) for part in made.parts]
        assert sum(given_) + made.uncovered.get(need.line_ref, 0) == need.units
    assert all(units > 0 for part in made.parts for units in part.units.values())
    assert bool(made.uncovered) == bool(made.reason)


@settings(deadline=None)
@given(needs=NEEDS, places=PLACES, split=POLICY["split"], most=POLICY["most"])
def test_no_place_gives_more_than_it_has(
    needs: list[Need], places: list[Candidate], split: bool, most: int
) -> None:
    by_ref, by_name = {need.line_ref: need for need in needs}, {one.name: one for one in places}
    for part in chosen(needs, places, split=split, most=most).parts:
        taken: dict[str, Decimal] = {}
        for ref, units in part.units.items():
            for sku, each in by_ref[ref].takes.items():
                taken[sku] = taken.get(sku, Decimal()) + units * each
        free = by_name[part.place].free
        assert free is None or all(units <= free.get(sku, 0) for sku, units in taken.items())


@settings(deadline=None)
@given(needs=NEEDS, places=PLACES, **POLICY)
def test_a_place_is_asked_once_and_never_for_what_it_turned_down(
    needs: list[Need], places: list[Candidate], split: bool, most: int, release: bool
) -> None:
    made = chosen(needs, places, split=split, most=most, release=release)
    names = [part.place for part in made.parts]
    assert len(names) == len(set(names)) <= (most if split else 1)
    for part in made.parts:
        no = next(one for one in places if one.name == part.place).turned_down
        assert no.isdisjoint(part.units)


@settings(deadline=None)
@given(needs=NEEDS, places=PLACES, most=POLICY["most"])
def test_no_smaller_set_of_places_has_all_of_it(
    needs: list[Need], places: list[Candidate], most: int
) -> None:
    made = chosen(needs, places, most=most)
    for count in range(1, len(made.parts)):
        for fewer in combinations(places, count):
            alone = chosen(needs, fewer, most=most)
            assert alone.uncovered, f"{fewer} are fewer than {made.parts}"


@settings(deadline=None)
@given(needs=NEEDS, places=PLACES)
def test_the_first_place_in_the_policy_that_has_all_of_it_is_the_only_one(
    needs: list[Need], places: list[Candidate]
) -> None:
    able = [one.name for one in places if not chosen(needs, [one]).uncovered]
    made = chosen(needs, places)
    if able and any(need.units for need in needs):
        assert [part.place for part in made.parts] == able[:1]


@settings(deadline=None)
@given(data=st.data(), needs=NEEDS, places=PLACES, **POLICY)
def test_the_order_in_which_lines_are_told_makes_no_difference(
    data: st.DataObject,
    needs: list[Need],
    places: list[Candidate],
    split: bool,
    most: int,
    release: bool,
) -> None:
    shuffled = data.draw(st.permutations(needs))
    made = chosen(needs, places, split=split, most=most, release=release)
    assert chosen(shuffled, places, split=split, most=most, release=release) == made
