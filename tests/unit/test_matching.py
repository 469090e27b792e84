"""Which order line a shipped unit belongs to: named, or found by its SKU; nothing is lost."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.domain.fulfilling import SoldLine
from sync_assets.domain.matching import Matched, Told, match

TEA, MORE_TEA = SoldLine("us:1:11", "TEA", 2), SoldLine("us:1:13", "Tea", 3)
MUG = SoldLine("us:1:12", "MUG", 1)
SET = SoldLine("us:1:14", "SET", 2, {"MUG": Decimal(1), "TEA": Decimal("1.5")})


def of(found: Sequence[Matched]) -> list[tuple[str | None, int]]:
    return [(one.line_ref, one.units) for one in found]


def test_a_line_that_is_named_gets_its_units_whatever_they_are_called() -> None:
    [found] = match([Told("tea-200g", 2, "us:1:11")], [TEA, MUG], {})
    assert found == [Matched("us:1:11", "tea-200g", 2)]


def test_a_name_that_no_line_has_falls_back_to_the_sku() -> None:
    assert of(match([Told("mug", 1, "us:2:99")], [TEA, MUG], {})[0]) == [("us:1:12", 1)]


def test_units_go_to_the_lines_of_their_sku_as_far_as_each_still_lacks() -> None:
    assert of(match([Told("TEA", 4)], [TEA, MUG, MORE_TEA], {})[0]) == [
        ("us:1:11", 2),
        ("us:1:13", 2),
    ]
    gone = {("us:1:11", "tea"): 2}
    assert of(match([Told("TEA", 3)], [TEA, MORE_TEA], gone)[0]) == [("us:1:13", 3)]


def test_what_was_told_before_in_the_same_shipment_counts() -> None:
    first, second = match([Told("TEA", 1), Told("TEA", 2)], [TEA, MORE_TEA], {})
    assert of(first) == [("us:1:11", 1)]
    assert of(second) == [("us:1:11", 1), ("us:1:13", 1)]


def test_what_is_over_goes_to_the_last_line_so_that_it_shows() -> None:
    assert of(match([Told("TEA", 7)], [TEA, MORE_TEA], {})[0]) == [("us:1:11", 2), ("us:1:13", 5)]
    assert of(match([Told("TEA", 1)], [TEA], {("us:1:11", "tea"): 2})[0]) == [("us:1:11", 1)]


def test_a_component_belongs_to_its_kit_once_the_line_of_its_own_has_all() -> None:
    assert of(match([Told("MUG", 3)], [MUG, SET], {})[0]) == [("us:1:12", 1), ("us:1:14", 2)]
    assert of(match([Told("TEA", 4)], [SET, TEA], {})[0]) == [("us:1:14", 3), ("us:1:11", 1)]


def test_a_sku_that_no_line_carries_is_kept_without_one() -> None:
    assert match([Told("POT", 2)], [TEA, MUG], {}) == [[Matched(None, "POT", 2)]]
    assert match([Told("POT", 2)], [], {}) == [[Matched(None, "POT", 2)]]


def test_what_was_known_before_is_not_changed() -> None:
    gone = {("us:1:11", "tea"): 1}
    match([Told("TEA", 1)], [TEA], gone)
    assert gone == {("us:1:11", "tea"): 1}


TOLD = st.lists(
    st.builds(
        Told,
        st.sampled_from(["TEA", "tea", "MUG", "SET", "POT"]),
        st.integers(0, 6),
        st.sampled_from([None, None, "us:1:11", "us:1:12", "elsewhere"]),
    ),
    max_size=5,
)
LINES = st.lists(st.sampled_from([TEA, MUG, MORE_TEA, SET]), unique_by=lambda line: line.line_ref)
GONE = st.dictionaries(
    st.tuples(st.sampled_from(["us:1:11", "us:1:13"]), st.just("tea")), st.integers(0, 4)
)


@settings(deadline=None)
@given(told=TOLD, lines=LINES, gone=GONE)
def test_no_unit_is_lost_or_made(
    told: list[Told], lines: list[SoldLine], gone: dict[tuple[str, str], int]
) -> None:
    found = match(told, lines, gone)
    assert len(found) == len(told)
    for said, parts in zip(told, found, strict=True):
        assert parts
        assert sum(part.units for part in parts) == said.units
        assert {part.sku for part in parts} == {said.sku}
        refs = [part.line_ref for part in parts]
        assert len(refs) == len(set(refs))


@settings(deadline=None)
@given(told=TOLD, lines=LINES)
def test_no_line_gets_more_than_it_takes_while_another_lacks(
    told: list[Told], lines: list[SoldLine]
) -> None:
    unnamed = [Told(one.sku, one.units) for one in told]
    for sku in ("tea", "mug", "set"):
        takes = {line.line_ref: _takes(line, sku) for line in lines if _takes(line, sku)}
        got = dict.fromkeys(takes, 0)
        for parts in match(unnamed, lines, {}):
            for part in parts:
                if part.line_ref and part.sku.casefold() == sku:
                    got[part.line_ref] += part.units
        over = sum(max(got[ref] - units, 0) for ref, units in takes.items())
        lack = sum(max(units - got[ref], 0) for ref, units in takes.items())
        assert not (over and lack)


def _takes(line: SoldLine, sku: str) -> int:
    if line.sku.casefold() == sku:
        return line.units
    each = {part.casefold(): n for part, n in line.parts.items()}.get(sku, Decimal())
    return -int(-each * line.units // 1)
