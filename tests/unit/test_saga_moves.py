"""The three sagas: what may follow what, and that none of them ends where nobody looks."""

from enum import StrEnum

import pytest

from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.returns import RefundState, ReturnState
from sync_assets.domain.sagas import CLOSED, NOTHING, RULES, Saga, may, path

STATES: dict[Saga, type[StrEnum]] = {
    Saga.FULFILMENT: FulfilmentState,
    Saga.RETURN: ReturnState,
    Saga.REFUND: RefundState,
}
EVERY = [(saga, str(state)) for saga, states in STATES.items() for state in states]


@pytest.mark.parametrize("saga", Saga)
def test_the_rules_speak_of_the_states_there_are(saga: Saga) -> None:
    states = {str(state) for state in STATES[saga]}
    named = {then for after in RULES[saga].values() for then in after}
    assert set(RULES[saga]) - {NOTHING} <= states
    assert named == states
    assert CLOSED[saga] <= states


@pytest.mark.parametrize(("saga", "state"), EVERY)
def test_every_state_can_be_reached_from_nothing(saga: Saga, state: str) -> None:
    way = path(saga, NOTHING, state)
    assert way[-1] == state


@pytest.mark.parametrize(("saga", "state"), EVERY)
def test_from_every_state_a_closed_one_can_be_reached(saga: Saga, state: str) -> None:
    assert state in CLOSED[saga] or any(path(saga, state, goal) for goal in CLOSED[saga])


@pytest.mark.parametrize(("saga", "state"), EVERY)
def test_no_step_leads_where_it_began_or_to_nothing(saga: Saga, state: str) -> None:
    assert not may(saga, state, state)
    assert not may(saga, state, NOTHING)


@pytest.mark.parametrize("saga", Saga)
def test_a_saga_begins_with_one_step(saga: Saga) -> None:
    assert len(RULES[saga][NOTHING]) == 1


@pytest.mark.parametrize(("saga", "state"), [(Saga.FULFILMENT, ""), *EVERY])
def test_every_way_is_made_of_allowed_steps(saga: Saga, state: str) -> None:
    for goal in STATES[saga]:
        here = state
        for then in path(saga, state, goal):
            assert may(saga, here, then)
            here = then
        assert here in (state, goal)


def test_a_way_is_the_shortest_and_does_not_rest_in_between() -> None:
    assert path(Saga.FULFILMENT, "", "acknowledged") == ["planned", "released", "acknowledged"]
    # Not by `cancelled`, though that would be as short, or shorter.
    assert path(Saga.FULFILMENT, "planned", "shipped") == ["released", "shipped"]
    assert path(Saga.FULFILMENT, "held", "short") == ["planned", "released", "short"]
    assert path(Saga.RETURN, "requested", "received") == ["approved", "received"]


def test_a_way_through_a_state_of_rest_is_taken_where_there_is_no_other() -> None:
    assert path(Saga.REFUND, "withdrawn", "approved") == ["reversed", "approved"]


def test_there_is_no_way_to_where_one_is_or_where_none_leads() -> None:
    assert path(Saga.FULFILMENT, "shipped", "shipped") == []
    assert path(Saga.RETURN, "closed", "requested") == []
    assert path(Saga.FULFILMENT, "nowhere", "shipped") == []


@pytest.mark.parametrize(
    ("saga", "state", "then", "is_allowed"),
    [
        (Saga.FULFILMENT, "planned", "released", True),
        (Saga.FULFILMENT, "planned", "shipped", False),
        (Saga.FULFILMENT, "cancelled", "shipped", True),
        (Saga.FULFILMENT, "cancelled", "released", False),
        (Saga.RETURN, "closed", "inspected", False),
        (Saga.REFUND, "requested", "confirmed", False),
        (Saga.REFUND, "failed", "approved", True),
    ],
)
def test_what_may_follow_what(saga: Saga, state: str, then: str, is_allowed: bool) -> None:
    assert may(saga, state, then) is is_allowed
