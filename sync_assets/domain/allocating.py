"""Which place ships which units of an order. Pure: needs, places and their stock in, parts out.

One place for the whole order comes first, the fewest parts next; among equals the order of the
policy decides. No place is given more than it has, but for what is released on purpose although
nobody has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Need:
    """Units of one order line that somebody shall ship."""

    line_ref: str
    sku: str
    units: int


@dataclass(frozen=True)
class Candidate:
    """A place that serves the address, in the policy's order, and what it has to give."""

    name: str
    #: Units by SKU; None: it takes whatever it is sent.
    free: Mapping[str, int] | None
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
    """Choose places for all that is needed."""
    wanted = {need.line_ref: need.units for need in needs if need.units > 0}
    if not wanted:
        return Allocation()
    if not candidates:
        return Allocation(uncovered=wanted, reason="no place ships to this address")
    whole = next((c for c in candidates if _covers(c, needs)), None)
    if whole is not None:
        return Allocation((Part(whole.name, wanted, "has all of it"),))
    parts = _parts(needs, candidates, most_parts) if may_split else []
    left = _left(wanted, parts)
    if left and releases_backorder:
        parts, left = _released(parts, left, candidates)
    return Allocation(tuple(parts), left, "no place has enough" if left else "")


def _parts(needs: Sequence[Need], candidates: Sequence[Candidate], most: int) -> list[Part]:
    """The place that can ship most of what is left, again and again."""
    left = {need.line_ref: need for need in needs if need.units > 0}
    remaining, parts = list(candidates), list[Part]()
    while left and remaining and len(parts) < most:
        gives = [(_given(place, list(left.values())), place) for place in remaining]
        # max keeps the first among equals: the policy's order.
        units, place = max(gives, key=lambda one: sum(one[0].values()))
        if not units:
            break
        parts.append(Part(place.name, units, "has the most of what is left"))
        remaining.remove(place)
        left = {
            ref: Need(ref, need.sku, need.units - units.get(ref, 0))
            for ref, need in left.items()
            if need.units > units.get(ref, 0)
        }
    return parts


def _given(place: Candidate, needs: Sequence[Need]) -> dict[str, int]:
    """What a place can give to these needs; lines of one SKU share what it has."""
    free = None if place.free is None else dict(place.free)
    found: dict[str, int] = {}
    for need in needs:
        if need.line_ref in place.turned_down:
            continue
        units = need.units if free is None else min(need.units, max(free.get(need.sku, 0), 0))
        if units > 0:
            found[need.line_ref] = units
            if free is not None:
                free[need.sku] -= units
    return found


def _covers(place: Candidate, needs: Sequence[Need]) -> bool:
    given = _given(place, needs)
    return all(given.get(need.line_ref, 0) == need.units for need in needs if need.units > 0)


def _left(wanted: Mapping[str, int], parts: Sequence[Part]) -> dict[str, int]:
    given = {ref: sum(part.units.get(ref, 0) for part in parts) for ref in wanted}
    return {ref: units - given[ref] for ref, units in wanted.items() if units > given[ref]}


def _released(
    parts: list[Part], left: dict[str, int], candidates: Sequence[Candidate]
) -> tuple[list[Part], dict[str, int]]:
    """Give what nobody has to the first place that did not turn it down; it ships when it can."""
    still: dict[str, int] = {}
    by_place = {part.place: part for part in parts}
    for ref, units in left.items():
        place = next((c.name for c in candidates if ref not in c.turned_down), None)
        if place is None:
            still[ref] = units
            continue
        held = by_place[place].units if place in by_place else {}
        both = {**held, ref: held.get(ref, 0) + units}
        by_place[place] = Part(place, both, "released as a backorder: no place has enough")
    return list(by_place.values()), still
