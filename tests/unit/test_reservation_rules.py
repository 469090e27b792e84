"""When an order holds stock, and when it stops to: on literals, by a clock that is given."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain.kits import KitCycle
from sync_assets.domain.orders import OrderState
from sync_assets.domain.policy import Reserving
from sync_assets.domain.reservations import OrderFacts, expires_at, picked, reservation

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOW = NOON + timedelta(hours=2)
PAID = OrderFacts("us:7", OrderState.PAID, NOON, NOON, "reno", {"TEA": 3})
ACCEPTED = replace(PAID, accepted={"TEA": 3}, accepted_at=NOON + 5 * MINUTE)


def row(facts: OrderFacts, now: datetime = NOW, **reserving: Any) -> dict[str, Any]:
    """The one reservation of an order."""
    (found,) = reservation(facts, Reserving(**reserving), now)
    return found


def said(facts: OrderFacts, now: datetime = NOW) -> tuple[int, str]:
    """How much is open, and how it stands."""
    found = row(facts, now)
    assert (found["ended_at"] is None) == (found["state"] == "open")
    return found["open_units"], found["state"]


def read(facts: OrderFacts, minutes: float) -> OrderFacts:
    """A stock reading began so many minutes after noon."""
    return replace(facts, true_at={"TEA": NOON + timedelta(minutes=minutes)})


def test_a_paid_order_holds_what_it_wants_from_the_moment_it_was_placed() -> None:
    assert row(PAID) == {
        "order_ref": "us:7",
        "sku": "TEA",
        "location": "reno",
        "promised_units": 3,
        "allocated_units": 0,
        "open_units": 3,
        "state": "open",
        "reserved_at": NOON,
        "allocated_at": None,
        "expires_at": None,
        "ended_at": None,
    }


def test_it_falls_only_when_a_reading_newer_than_the_allocation_has_arrived() -> None:
    assert said(ACCEPTED) == (3, "open")
    assert said(read(ACCEPTED, 4)) == (3, "open")
    assert said(read(ACCEPTED, 5)) == (3, "open")
    assert said(read(ACCEPTED, 5.01)) == (0, "covered")
    assert row(read(ACCEPTED, 6))["ended_at"] == NOON + 6 * MINUTE


def test_a_later_reading_does_not_make_the_end_look_new() -> None:
    ended = replace(read(ACCEPTED, 60), ended={"TEA": NOON + 6 * MINUTE})
    assert row(ended) == row(read(ACCEPTED, 6))


def test_a_document_under_way_holds_until_it_is_known_what_became_of_it() -> None:
    under_way = replace(PAID, accepted={"TEA": 3}, true_at={"TEA": NOW})
    assert said(under_way) == (3, "open")
    assert said(replace(under_way, state=OrderState.CANCELLED)) == (3, "open")


def test_what_an_edit_adds_after_acceptance_stays_open() -> None:
    more = replace(ACCEPTED, promised={"TEA": 5})
    assert said(more) == (5, "open")
    assert said(read(more, 6)) == (2, "open")


def test_what_an_edit_takes_away_is_held_until_a_reading_shows_it() -> None:
    less = replace(ACCEPTED, promised={"TEA": 1})
    assert said(less) == (3, "open")
    assert said(read(less, 6)) == (0, "covered")


def test_a_line_that_was_swapped_holds_both_until_a_reading_comes() -> None:
    swapped = replace(ACCEPTED, promised={"MUG": 1})
    assert [(r["sku"], r["open_units"]) for r in reservation(swapped, Reserving(), NOW)] == [
        ("MUG", 1),
        ("TEA", 3),
    ]


@pytest.mark.parametrize("state", ["cancelled", "failed", "trashed", "refunded", "draft"])
def test_an_ended_order_releases_at_once_what_the_erp_never_held(state: str) -> None:
    ended = replace(PAID, state=OrderState(state), changed_at=NOON + MINUTE)
    assert said(ended) == (0, "released")
    assert row(ended)["ended_at"] == NOON + MINUTE


def test_an_ended_order_that_the_erp_holds_waits_for_the_reading_that_shows_it() -> None:
    cancelled = replace(ACCEPTED, state=OrderState.CANCELLED)
    assert said(cancelled) == (3, "open")
    assert said(read(cancelled, 6)) == (0, "released")


def test_an_order_without_anything_left_is_released() -> None:
    assert said(replace(PAID, promised={"TEA": 0})) == (0, "released")


@pytest.mark.parametrize(
    ("state", "ends"),
    [("pending_payment", timedelta(minutes=60)), ("on_hold", timedelta(hours=168))],
)
def test_an_unpaid_order_expires_counted_from_its_last_change(state: str, ends: timedelta) -> None:
    unpaid = replace(PAID, state=OrderState(state), changed_at=NOON + MINUTE)
    moment = NOON + MINUTE + ends
    assert expires_at(unpaid, Reserving()) == moment
    assert said(unpaid, moment - MINUTE) == (3, "open")
    assert said(unpaid, moment) == (0, "expired")
    assert row(unpaid, moment + MINUTE)["ended_at"] == moment


def test_payment_after_it_expired_holds_again() -> None:
    late = NOON + timedelta(hours=3)
    unpaid = replace(PAID, state=OrderState.PENDING_PAYMENT)
    assert said(unpaid, late) == (0, "expired")
    assert said(replace(unpaid, state=OrderState.PAID, changed_at=late), late) == (3, "open")


def test_states_that_the_policy_leaves_out_hold_nothing() -> None:
    unpaid = replace(PAID, state=OrderState.PENDING_PAYMENT)
    assert row(unpaid, NOON, states=("paid", "completed"))["state"] == "released"


def test_a_completed_order_ends_at_nothing_once_a_reading_covers_it() -> None:
    done = replace(ACCEPTED, state=OrderState.COMPLETED, promised={"TEA": 5})
    assert said(done) == (5, "open")
    assert said(read(done, 6)) == (0, "covered")


def test_a_completed_order_the_erp_never_saw_still_holds() -> None:
    assert said(replace(PAID, state=OrderState.COMPLETED)) == (3, "open")


def test_kits_are_picked_as_their_components_in_whole_pieces() -> None:
    kits = {
        "SET": [("TEA", Decimal(2)), ("RIBBON", Decimal("0.3"))],
        "BOX": [("SET", Decimal(2)), ("MUG", Decimal(1))],
    }
    wanted = {"BOX": Decimal(1), "SET": Decimal(1), "TEA": Decimal(1), "MUG": Decimal(0)}
    assert picked(wanted, kits) == {"MUG": 1, "RIBBON": 1, "TEA": 7}
    assert picked({"BOX": Decimal(-1)}, kits) == {}


def test_kits_in_a_circle_are_an_error() -> None:
    with pytest.raises(KitCycle, match="in a circle: A, B"):
        picked({"A": Decimal(1)}, {"A": [("B", Decimal(1))], "B": [("A", Decimal(1))]})
