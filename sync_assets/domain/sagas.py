"""Which steps are allowed in the three sagas: a request to a warehouse, a return, a refund.

The database has the same table (migration 0004) and lets no state move by anything but a step with
an actor, a reason and a cause. Pure; why a step is taken is decided by each subject.
"""

from collections.abc import Mapping
from enum import StrEnum

from sync_assets.domain.fulfilment import FulfilmentState as F
from sync_assets.domain.returns import RefundState as M
from sync_assets.domain.returns import ReturnState as R

#: Before the first step there is no state.
NOTHING = ""


class Saga(StrEnum):
    """What has states and steps."""

    FULFILMENT = "fulfilment"
    RETURN = "return"
    REFUND = "refund"


Rules = Mapping[str, frozenset[str]]


def _rules(table: Mapping[str, tuple[str, ...]]) -> Rules:
    return {str(state): frozenset(map(str, then)) for state, then in table.items()}


#: A warehouse may ship what we took back, and refuse what it took: the goods decide.
FULFILMENT = _rules(
    {
        NOTHING: (F.PLANNED,),
        F.PLANNED: (F.HELD, F.RELEASED, F.CANCELLED),
        F.HELD: (F.PLANNED, F.CANCELLED),
        F.RELEASED: (
            *(F.ACKNOWLEDGED, F.PART_SHIPPED, F.SHIPPED, F.SHORT),
            *(F.REFUSED, F.CANCEL_REQUESTED, F.CANCELLED),
        ),
        F.ACKNOWLEDGED: (
            *(F.PART_SHIPPED, F.SHIPPED, F.SHORT, F.REFUSED, F.CANCEL_REQUESTED, F.CANCELLED),
        ),
        F.PART_SHIPPED: (F.SHIPPED, F.SHORT, F.CANCEL_REQUESTED, F.ACKNOWLEDGED),
        F.CANCEL_REQUESTED: (*(F.CANCELLED, F.ACKNOWLEDGED, F.PART_SHIPPED, F.SHIPPED, F.SHORT),),
        F.REFUSED: (F.PLANNED, F.CANCELLED),
        F.SHORT: (F.PART_SHIPPED, F.SHIPPED, F.CANCEL_REQUESTED, F.ACKNOWLEDGED),
        # Sent by another process while it was called off here: it is called back.
        F.CANCELLED: (F.PART_SHIPPED, F.SHIPPED, F.SHORT, F.CANCEL_REQUESTED),
        # A shipment that turns out never to have left.
        F.SHIPPED: (F.PART_SHIPPED, F.SHORT, F.CANCEL_REQUESTED, F.ACKNOWLEDGED),
    }
)
RETURN = _rules(
    {
        NOTHING: (R.REQUESTED,),
        R.REQUESTED: (R.APPROVED, R.REJECTED, R.CANCELLED),
        R.APPROVED: (R.IN_TRANSIT, R.RECEIVED, R.REFUNDING, R.CANCELLED, R.EXPIRED),
        R.IN_TRANSIT: (R.RECEIVED, R.LOST, R.CANCELLED),
        R.RECEIVED: (R.INSPECTED,),
        R.INSPECTED: (R.REFUNDING, R.CLOSED),
        R.REFUNDING: (R.CLOSED, R.INSPECTED, R.APPROVED),
        # Goods that come after all are goods; a closed return may be inspected again.
        R.EXPIRED: (R.IN_TRANSIT, R.RECEIVED),
        R.CANCELLED: (R.IN_TRANSIT, R.RECEIVED),
        R.LOST: (R.RECEIVED, R.CLOSED),
        R.REJECTED: (R.RECEIVED,),
    }
)
REFUND = _rules(
    {
        NOTHING: (M.REQUESTED,),
        M.REQUESTED: (M.AWAITING_APPROVAL, M.APPROVED, M.REFUSED, M.WITHDRAWN),
        M.AWAITING_APPROVAL: (M.APPROVED, M.REFUSED, M.WITHDRAWN),
        M.APPROVED: (M.SUBMITTED, M.PENDING, M.CONFIRMED, M.FAILED, M.WITHDRAWN),
        M.SUBMITTED: (M.PENDING, M.CONFIRMED, M.FAILED, M.WITHDRAWN),
        M.PENDING: (M.CONFIRMED, M.FAILED, M.WITHDRAWN),
        M.CONFIRMED: (M.CREDITED, M.FAILED, M.WITHDRAWN),
        M.CREDITED: (M.CLOSED, M.FAILED, M.WITHDRAWN),
        # A provider may take its word back weeks later.
        M.CLOSED: (M.FAILED, M.WITHDRAWN),
        # Tried again, confirmed after all, given up with a person's word, or its credit taken back.
        M.FAILED: (M.APPROVED, M.CONFIRMED, M.WITHDRAWN, M.REVERSED),
        M.WITHDRAWN: (M.REVERSED,),
        M.REVERSED: (M.APPROVED,),
    }
)
RULES: Mapping[Saga, Rules] = {
    Saga.FULFILMENT: FULFILMENT,
    Saga.RETURN: RETURN,
    Saga.REFUND: REFUND,
}
#: Where a saga may rest with nobody waiting for anything.
CLOSED: Mapping[Saga, frozenset[str]] = {
    Saga.FULFILMENT: frozenset(map(str, (F.SHIPPED, F.SHORT, F.CANCELLED))),
    Saga.RETURN: frozenset(map(str, (R.CLOSED, R.REJECTED, R.CANCELLED, R.EXPIRED))),
    Saga.REFUND: frozenset(map(str, (M.CLOSED, M.REFUSED, M.REVERSED, M.WITHDRAWN))),
}


def may(saga: Saga, state: str, then: str) -> bool:
    """Whether a step is allowed."""
    return then in RULES[saga].get(state, frozenset())


def path(saga: Saga, state: str, goal: str) -> list[str]:
    """The states on the shortest way to `goal`, itself the last; none if it is there, or no way.

    What jumps ahead (a parcel that arrives before anybody asked for it) still takes every step. A
    way through a state in which the saga rests is taken only where there is no other.
    """
    through = frozenset(RULES[saga]) - CLOSED[saga]
    return _path(RULES[saga], through, state, goal) or _path(
        RULES[saga], frozenset(RULES[saga]), state, goal
    )


def _path(rules: Rules, through: frozenset[str], state: str, goal: str) -> list[str]:
    ways: list[list[str]] = [[state]]
    seen = {state}
    while ways:
        way = ways.pop(0)
        if way[-1] == goal:
            return way[1:]
        if len(way) > 1 and way[-1] not in through:
            continue
        for then in sorted(rules.get(way[-1], ())):
            if then not in seen:
                seen.add(then)
                ways.append([*way, then])
    return []
