"""What lines have come to and where requests stand: examples, every fact there can be, and what
must hold for whatever was told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.domain import fulfilling
from sync_assets.domain.allocating import Need
from sync_assets.domain.fulfilling import (
    LIVE,
    UNSENT,
    Moved,
    Progress,
    Request,
    SoldLine,
    Standing,
    cuts,
    needs,
    next_state,
    progress,
    units_as_sold,
    units_of,
    units_spoilt,
)
from sync_assets.domain.fulfilment import FulfilmentState as F
from sync_assets.domain.sagas import CLOSED, Saga, path

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SET = SoldLine("us:1:12", "SET", 2, {"MUG": Decimal(1), "TEA": Decimal(2)})
TEA = SoldLine("us:1:11", "TEA", 5)
F1, F2 = "us:1:f1", "us:1:f2"


def left(units: int, *, line: SoldLine = TEA, sku: str = "", ref: str = F1, **more: Any) -> Moved:
    return Moved(line.line_ref, sku or line.sku, units, f"north:S{ref[-1]}", ref, **more)


def asked(ref: str, units: int, state: F = F.ACKNOWLEDGED, line: SoldLine = TEA) -> Request:
    return Request(ref, "east", state, {line.line_ref: units})


def come_to(
    lines: Sequence[SoldLine] = (TEA,),
    moves: Sequence[Moved] = (),
    requests: Sequence[Request] = (),
    *,
    refunded: int = 0,
    returned: int = 0,
    is_ended: bool = False,
) -> Progress:
    first = lines[0].line_ref
    found = progress(
        lines, moves, {first: refunded}, {first: returned}, requests, is_ended=is_ended
    )
    return found[0]


# ---------------------------------------------------------------- what lines have come to


def test_what_is_asked_for_and_has_not_left_is_requested() -> None:
    found = come_to(moves=[left(2)], requests=[asked(F1, 3)])
    assert (found.ordered, found.shipped, found.requested, found.open) == (5, 2, 1, 3)


@pytest.mark.parametrize("state", sorted(frozenset(F) - LIVE))
def test_what_a_request_that_is_over_asked_for_is_not_requested(state: F) -> None:
    assert come_to(requests=[asked(F1, 3, state)]).requested == 0


def test_units_refunded_come_off_what_has_not_left() -> None:
    assert come_to(refunded=2).open == 3
    assert come_to(moves=[left(4)], refunded=2).cancelled == 1
    assert come_to(moves=[left(5)], refunded=2).cancelled == 0


def test_nothing_more_of_an_order_that_ended_is_open() -> None:
    found = come_to(moves=[left(2)], is_ended=True)
    assert (found.cancelled, found.open) == (3, 0)


def test_more_left_than_was_ordered_leaves_nothing_open() -> None:
    found = come_to(moves=[left(7)])
    assert (found.shipped, found.cancelled, found.open) == (7, 0, 0)


def test_what_will_not_be_shipped_has_not_left_and_what_the_customer_has_is_delivered() -> None:
    moves = [left(2, is_delivered=True), left(1), left(2, is_cancelled=True)]
    found = come_to(moves=moves, returned=1)
    assert (found.shipped, found.delivered, found.returned, found.open) == (3, 2, 1, 2)


def test_only_what_nobody_was_asked_for_is_needed_with_what_is_in_it() -> None:
    found = progress([TEA, SET], [left(1)], {}, {}, [asked(F1, 3)], is_ended=False)
    assert needs(found, [TEA, SET]) == [
        Need(TEA.line_ref, "TEA", 2),
        Need(SET.line_ref, "SET", 2, SET.parts),
    ]
    assert needs([come_to(requests=[asked(F1, 5)])], [TEA]) == []


@settings(deadline=None)
@given(
    units=st.integers(1, 9),
    shipped=st.integers(0, 12),
    refunded=st.integers(0, 12),
    wanted=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(F)), max_size=3),
    is_ended=st.booleans(),
)
def test_units_are_open_left_or_called_off_and_cuts_leave_what_is_wanted(
    units: int, shipped: int, refunded: int, wanted: list[tuple[int, F]], is_ended: bool
) -> None:
    line = replace(TEA, units=units)
    moves = [left(shipped, line=line)] if shipped else []
    requests = [asked(f"us:1:f{n + 1}", u, s, line) for n, (u, s) in enumerate(wanted)]
    gone = fulfilling.shipped_by_request([line], moves)

    def found(now: Sequence[Request]) -> Progress:
        return come_to([line], moves, now, refunded=refunded, is_ended=is_ended)

    before = found(requests)
    assert before.open + before.cancelled + min(shipped, units) == units
    made = cuts([before], requests, gone)
    after = [
        replace(
            one, units={line.line_ref: made.get((one.ref, line.line_ref), one.units[line.line_ref])}
        )
        for one in requests
    ]
    assert found(after).requested == min(before.requested, before.open)
    assert all(units >= 0 for units in made.values())
    lessened = {ref for ref, _ in made}
    assert lessened <= {one.ref for one in requests if one.state in {*LIVE, F.REFUSED}}


# ---------------------------------------------------------------- cuts


def cut(requests: Sequence[Request], wanted: int, shipped: dict[str, int] | None = None) -> Any:
    by_request = {(ref, TEA.line_ref): n for ref, n in (shipped or {}).items()}
    total = sum(one.live_units(by_request, TEA.line_ref) for one in requests)
    line = Progress(TEA.line_ref, "TEA", wanted, 0, total, 0, 0, 0, 0)
    return {ref: n for (ref, _), n in cuts([line], requests, by_request).items()}


def test_what_nobody_over_there_knows_of_is_cut_first_then_the_newest() -> None:
    planned, known = asked(F1, 2, F.PLANNED), asked(F2, 3)
    assert cut([planned, known], 3) == {F1: 0}
    assert cut([planned, known], 1) == {F1: 0, F2: 1}
    assert cut([asked(F1, 2), asked(F2, 3)], 4) == {F2: 2}


def test_the_tenth_request_is_newer_than_the_ninth() -> None:
    assert cut([asked("us:1:f9", 2), asked("us:1:f10", 2)], 3) == {"us:1:f10": 1}


def test_what_has_left_stays_asked_for() -> None:
    assert cut([asked(F1, 5, F.PART_SHIPPED)], 0, {F1: 2}) == {F1: 2}


def test_what_was_refused_is_wanted_until_it_left_elsewhere() -> None:
    refused, other = asked(F1, 5, F.REFUSED), asked(F2, 5)
    assert cut([refused, other], 5) == {}
    done = Progress(TEA.line_ref, "TEA", 5, 0, 0, 5, 0, 0, 0)
    assert cuts([done], [refused], {}) == {(F1, TEA.line_ref): 0}


def test_nothing_is_cut_of_what_is_wanted() -> None:
    assert cut([asked(F1, 2), asked(F2, 3)], 5) == {}


# ---------------------------------------------------------------- kits


@pytest.mark.parametrize(
    ("moved", "whole", "spoilt"),
    [
        ([("MUG", 2), ("tea", 4)], 2, 2),
        ([("MUG", 2), ("TEA", 3)], 1, 2),
        ([("MUG", 2)], 0, 2),
        ([("TEA", 1)], 0, 1),
        ([("SET", 1), ("Mug", 1), ("TEA", 1), ("TEA", 1)], 2, 2),
        ([], 0, 0),
    ],
)
def test_a_kit_is_whole_or_not_there_and_a_missing_component_spoils_it(
    moved: list[tuple[str, int]], whole: int, spoilt: int
) -> None:
    assert (units_as_sold(SET, moved), units_spoilt(SET, moved)) == (whole, spoilt)


def test_components_in_two_shipments_make_one_kit() -> None:
    moves = [left(2, line=SET, sku="MUG"), left(4, line=SET, sku="TEA", ref=F2)]
    assert fulfilling.shipped_by_line([SET], moves) == {SET.line_ref: 2}
    assert fulfilling.shipped_by_request([SET], moves) == {
        (F1, SET.line_ref): 0,
        (F2, SET.line_ref): 0,
    }


def test_turned_down_components_are_counted_in_kits() -> None:
    no = [left(n, line=SET, sku=sku, is_cancelled=True) for sku, n in (("MUG", 1), ("TEA", 3))]
    assert fulfilling.turned_down_by_request([SET, TEA], no) == {(F1, SET.line_ref): 2}


# ---------------------------------------------------------------- units of a request


def counted(
    request: Request, shipped: dict[str, int], down: dict[str, int] | None = None
) -> tuple[int, int, int, int]:
    return units_of(
        request,
        {(request.ref, ref): n for ref, n in shipped.items()},
        {(request.ref, ref): n for ref, n in (down or {}).items()},
    )


def test_too_many_of_one_line_make_up_for_none_of_another() -> None:
    both = Request(F1, "east", F.ACKNOWLEDGED, {"a": 2, "b": 1})
    assert counted(both, {"a": 3}) == (3, 2, 0, 0)
    assert counted(both, {"a": 3, "b": 1}) == (3, 4, 0, 0)
    assert counted(both, {"a": 2}, {"b": 5}) == (3, 2, 1, 0)


def test_what_was_asked_for_and_is_not_wanted_may_still_leave() -> None:
    one = Request(F1, "east", F.PART_SHIPPED, {"a": 1}, asked={"a": 3, "b": 1})
    assert counted(one, {"a": 1}) == (1, 1, 0, 3)
    assert counted(one, {"a": 1}, {"a": 2, "b": 1}) == (1, 1, 0, 0)
    assert counted(replace(one, units={"a": 3}), {"a": 1}) == (3, 1, 0, 1)
    assert counted(replace(one, asked=None), {"a": 1}) == (1, 1, 0, 0)


# ---------------------------------------------------------------- where a request stands


def standing(state: F = F.ACKNOWLEDGED, **more: Any) -> Standing:
    facts: dict[str, Any] = {"wanted": 3, "shipped": 0, "turned_down": 0, "release_at": NOW}
    return Standing(state, **{**facts, **more})


def then(state: F = F.ACKNOWLEDGED, **more: Any) -> F | None:
    found = next_state(standing(state, **more), NOW)
    return found[0] if found else None


def test_a_planned_request_is_released_when_its_time_has_come() -> None:
    assert then(F.PLANNED, release_at=NOW + timedelta(minutes=1)) is None
    assert then(F.PLANNED) == F.RELEASED
    assert then(F.PLANNED, is_held=True) == F.HELD
    assert then(F.HELD, is_held=True) is None
    assert then(F.HELD) == F.PLANNED
    assert then(F.HELD, wanted=0, is_held=True) == F.CANCELLED


@pytest.mark.parametrize(
    ("remote", "state"),
    [
        (None, None),
        ("waiting", None),
        ("acknowledged", F.ACKNOWLEDGED),
        ("picking", F.ACKNOWLEDGED),
        ("on_hold", F.ACKNOWLEDGED),
        ("shipped", F.ACKNOWLEDGED),
        ("cancelled", F.REFUSED),
        ("refused", F.REFUSED),
    ],
)
def test_a_released_request_stands_where_its_warehouse_says(
    remote: str | None, state: F | None
) -> None:
    assert then(F.RELEASED, outcome="accepted", remote_state=remote) == state
    assert then(F.RELEASED, remote_state=remote) is None


def test_goods_that_left_say_more_than_any_answer() -> None:
    said: dict[str, Any] = {"outcome": "accepted", "remote_state": "refused"}
    assert then(F.RELEASED, shipped=1, **said) == F.PART_SHIPPED
    assert then(F.RELEASED, shipped=3, **said) == F.SHIPPED
    assert then(F.CANCELLED, shipped=3, wanted=0, outcome="cancelled") == F.SHIPPED


def test_what_will_not_be_shipped_ends_a_request() -> None:
    assert then(turned_down=3) == F.REFUSED
    assert then(F.PART_SHIPPED, shipped=1, turned_down=1) is None
    assert then(F.PART_SHIPPED, shipped=1, turned_down=2) == F.SHORT
    assert then(F.SHORT, shipped=3, turned_down=0) == F.SHIPPED


def test_what_is_not_wanted_is_called_back_unless_nobody_was_asked() -> None:
    assert then(F.RELEASED, wanted=0) == F.CANCELLED
    assert then(F.RELEASED, wanted=0, is_begun=True) == F.CANCEL_REQUESTED
    assert then(wanted=0, outcome="accepted", remote_state="picking") == F.CANCEL_REQUESTED
    called = {"state": F.CANCEL_REQUESTED, "wanted": 0, "outcome": "accepted", "is_begun": True}
    assert then(**called) is None
    assert then(**called | {"outcome": "cancelled"}) == F.CANCELLED
    assert then(**called, remote_state="cancelled") == F.CANCELLED
    assert then(**called, is_cancel_refused=True) == F.ACKNOWLEDGED
    assert then(F.REFUSED, wanted=0) == F.CANCELLED


def test_what_a_warehouse_said_no_to_is_refused_unless_it_has_it() -> None:
    no: dict[str, Any] = {"refusal": "we do not stock POT", "is_begun": True}
    found = next_state(standing(F.RELEASED, **no), NOW)
    assert found == (F.REFUSED, "the warehouse refused it: we do not stock POT")
    assert then(F.RELEASED, **no, outcome="accepted", remote_state="acknowledged") == F.ACKNOWLEDGED
    assert then(F.RELEASED, **no, shipped=3) == F.SHIPPED


def test_the_rest_of_what_left_in_part_is_called_back_when_nobody_wants_it() -> None:
    part: dict[str, Any] = {"wanted": 1, "shipped": 1, "unwanted": 2, "outcome": "accepted"}
    assert then(F.PART_SHIPPED, **part) == F.CANCEL_REQUESTED
    assert then(F.CANCEL_REQUESTED, **part) is None
    assert then(F.CANCEL_REQUESTED, **part | {"outcome": "cancelled"}) == F.SHORT
    assert then(F.SHORT, **part | {"outcome": "cancelled"}) is None
    assert then(F.CANCEL_REQUESTED, **part, is_cancel_refused=True) == F.PART_SHIPPED
    assert then(F.PART_SHIPPED, **part, is_cancel_refused=True) is None
    assert then(F.PART_SHIPPED, **part, remote_state="shipped") == F.SHIPPED


def test_goods_that_turn_out_not_to_have_left_are_with_their_warehouse_again() -> None:
    for state in (F.PART_SHIPPED, F.SHIPPED, F.SHORT):
        assert then(state, outcome="accepted", remote_state="picking") == F.ACKNOWLEDGED
    assert then(F.SHIPPED, shipped=1) == F.PART_SHIPPED


def test_what_was_sent_while_it_was_called_off_is_called_back() -> None:
    sent: dict[str, Any] = {"wanted": 0, "outcome": "accepted", "is_begun": True}
    assert then(F.CANCELLED, **sent, remote_state="acknowledged") == F.CANCEL_REQUESTED
    assert then(F.CANCELLED, **sent, remote_state="cancelled") is None
    assert then(F.CANCELLED, wanted=0, outcome="cancelled") is None


REMOTE = (None, "waiting", "acknowledged", "part_shipped", "shipped")


def every_standing() -> Iterator[Standing]:
    """Each state with each fact, as far as facts can differ in what follows from them."""
    flags = ((False, True),) * 3
    for state, remote, outcome in product(
        F, (*REMOTE, "cancelled", "refused"), (None, "accepted", "cancelled", "refused")
    ):
        for units, late, unwanted, (held, begun, refused) in product(
            product((0, 1, 3), (0, 1, 3), (0, 2, 3)), (0, 1), (0, 2), product(*flags)
        ):
            wanted, shipped, down = units
            yield Standing(
                state,
                wanted,
                shipped,
                min(down, max(wanted - shipped, 0)),
                NOW + timedelta(hours=late),
                held,
                outcome,
                remote,
                begun,
                refused,
                unwanted,
            )


def test_every_step_there_can_be_has_a_way_and_leads_to_rest() -> None:
    """Whatever is known, what follows can be reached, and stays until something changes."""
    ways: dict[tuple[F, F], list[str]] = {}
    restless: set[tuple[F, ...]] = set()
    for one in every_standing():
        went, now = [one.state], one
        while (found := next_state(now, NOW)) is not None:
            assert found[1], one
            if (now.state, found[0]) not in ways:
                ways[now.state, found[0]] = path(Saga.FULFILMENT, now.state, found[0])
            went.append(found[0])
            now = replace(now, state=found[0])
            if len(went) > 4:
                restless.add(tuple(went))
                break
    assert not restless
    assert [pair for pair, way in ways.items() if not way] == []
    assert ways[F.PLANNED, F.SHIPPED] == ["released", "shipped"]
    assert ways[F.HELD, F.SHIPPED] == ["planned", "released", "shipped"]
    assert {then for _, then in ways} == frozenset(F)


def test_only_what_is_not_wanted_left_or_will_not_be_shipped_is_closed() -> None:
    closed = CLOSED[Saga.FULFILMENT]
    for one in every_standing():
        found = next_state(one, NOW)
        if found is None or found[0] not in closed or one.state in closed:
            continue
        is_done = one.shipped + one.turned_down >= one.wanted or one.outcome == "cancelled"
        assert is_done, one


def test_nothing_is_sent_before_its_time_or_while_it_is_held() -> None:
    for one in every_standing():
        found = next_state(one, NOW)
        if one.state in UNSENT and found is not None and found[0] == F.RELEASED:
            assert one.release_at <= NOW
            assert not one.is_held
            assert one.wanted > 0
