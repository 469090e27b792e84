"""Which place ships which units of an order. Pure: needs, places and their stock in, parts out.

One place for the whole order comes first, the fewest parts next; among equals the order of the
policy decides. No place is given more than it has, but for what is released on purpose although
nobody has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal
from itertools import combinations, islice

#: Sets of places that are tried before the best are simply taken one after another.
MOST_TRIED = 2000


@dataclass(frozen=True)
class Need:
    """Units of one order line that somebody shall ship."""

    line_ref: str
    sku: str
    units: int
    #: What is in one of it, if it is a kit: units by the component's SKU.
    parts: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def takes(self) -> dict[str, Decimal]:
        """What one of it takes from the shelf, by SKU in lower case."""
        parts = self.parts or {self.sku: Decimal(1)}
        return {sku.lower(): each for sku, each in parts.items() if each > 0}


@dataclass(frozen=True)
class Candidate:
    """A place that serves the address, in the policy's order, and what it has to give."""

    name: str
    #: Units on the shelf by SKU in lower case; None: it takes whatever it is sent.
    free: Mapping[str, Decimal | int] | None
    #: Lines it said it cannot ship: not asked again for those.
    turned_down: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Part:
    """What one place shall ship, and why it."""

    place: str
    units: Mapping[str, int]  # by line_ref
    reason: str


@dataclass(frozen=True)
class Allocation:
    """The parts of an order, and what nobody can ship now."""

    parts: Sequence[Part] = ()
    uncovered: Mapping[str, int] = field(default_factory=dict)  # by line_ref
    #: Why something is uncovered.
    reason: str = ""


def allocate(
    needs: Sequence[Need],
    candidates: Sequence[Candidate],
    *,
    may_split: bool,
    most_parts: int,
    releases_backorder: bool,
) -> Allocation:
    """Choose places for all that is needed; in which order it is told makes no difference."""
    needs = sorted((need for need in needs if need.units > 0), key=lambda need: need.line_ref)
    wanted = {need.line_ref: need.units for need in needs}
    if not wanted:
        return Allocation()
    if not candidates:
        return Allocation(uncovered=wanted, reason="no place ships to this address")
    most = most_parts if may_split else 1
    parts = _fewest(needs, candidates, most)
    if parts is None:
        parts = _largest(needs, candidates, most) if may_split else []
    left = _left(wanted, parts)
    if left and releases_backorder:
        parts, left = _released(parts, left, candidates, most)
    return Allocation(tuple(parts), left, "no place has enough" if left else "")


def _fewest(needs: Sequence[Need], candidates: Sequence[Candidate], most: int) -> list[Part] | None:
    """The first of the smallest sets of places that have all of it; None: there is none."""
    if any(_at_most(need, candidates) < need.units for need in needs):
        return None
    for count in range(1, min(most, len(candidates)) + 1):
        for places in islice(combinations(candidates, count), MOST_TRIED):
            reason = "has all of it" if count == 1 else "has part of it, and others the rest"
            parts, left = _shared(needs, places, reason)
            if not left:
                return parts
    return None


def _at_most(need: Need, candidates: Sequence[Candidate]) -> int:
    """What all places together could give to one need, if there were no other."""
    return sum(_given(place, [need]).get(need.line_ref, 0) for place in candidates)


def _shared(
    needs: Sequence[Need], places: Sequence[Candidate], reason: str
) -> tuple[list[Part], list[Need]]:
    """Parts when each place gives what it can, one after another, and what is left then."""
    parts, left = list[Part](), list(needs)
    for place in places:
        units = _given(place, left)
        if units:
            parts.append(Part(place.name, units, reason))
            left = _less(left, units)
    return parts, left


def _largest(needs: Sequence[Need], candidates: Sequence[Candidate], most: int) -> list[Part]:
    """The place that can ship most of what is left, again and again."""
    left, remaining, parts = list(needs), list(candidates), list[Part]()
    while left and remaining and len(parts) < most:
        gives = [(_given(place, left), place) for place in remaining]
        # max keeps the first among equals: the policy's order.
        units, place = max(gives, key=lambda one: sum(one[0].values()))
        if not units:
            break
        parts.append(Part(place.name, units, "has the most of what is left"))
        remaining.remove(place)
        left = _less(left, units)
    return parts


def _given(place: Candidate, needs: Sequence[Need]) -> dict[str, int]:
    """What a place can give to these needs; lines share what it has of a SKU or component."""
    able = [need for need in needs if need.line_ref not in place.turned_down]
    if place.free is None:
        return {need.line_ref: need.units for need in able}
    free = {sku: Decimal(units) for sku, units in place.free.items()}
    found: dict[str, int] = {}
    for need in able:
        units = min(need.units, _makes(need, free))
        if units > 0:
            found[need.line_ref] = units
            for sku, each in need.takes.items():
                free[sku] -= units * each
    return found


def _makes(need: Need, free: Mapping[str, Decimal]) -> int:
    """How many of it can be made of what is on the shelf: the scarcest component decides."""
    can = min((free.get(sku, Decimal()) / each for sku, each in need.takes.items()), default=0)
    return max(int(Decimal(can).to_integral_value(ROUND_FLOOR)), 0)


def _less(needs: Sequence[Need], given: Mapping[str, int]) -> list[Need]:
    rest = [replace(need, units=need.units - given.get(need.line_ref, 0)) for need in needs]
    return [need for need in rest if need.units > 0]


def _left(wanted: Mapping[str, int], parts: Sequence[Part]) -> dict[str, int]:
    given = {ref: sum(part.units.get(ref, 0) for part in parts) for ref in wanted}
    return {ref: units - given[ref] for ref, units in wanted.items() if units > given[ref]}


def _released(
    parts: Sequence[Part], left: Mapping[str, int], candidates: Sequence[Candidate], most: int
) -> tuple[list[Part], dict[str, int]]:
    """Give what nobody has to the first place that did not turn it down; it ships when it can.

    A place that takes all of it comes before one that takes some; there are no more parts for it.
    """
    still: dict[str, int] = {}
    by_place = {part.place: part for part in parts}
    able = sorted(candidates, key=lambda place: not place.turned_down.isdisjoint(left))
    for ref, units in left.items():
        place = next(
            (
                one.name
                for one in able
                if ref not in one.turned_down and (one.name in by_place or len(by_place) < most)
            ),
            None,
        )
        if place is None:
            still[ref] = units
            continue
        held = by_place[place].units if place in by_place else {}
        both = {**held, ref: held.get(ref, 0) + units}
        by_place[place] = Part(place, both, "released as a backorder: no place has enough")
    return list(by_place.values()), still
