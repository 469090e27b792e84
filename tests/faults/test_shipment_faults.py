"""Shipping under faults: whatever is lost, doubled or killed, each thing happens once there."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine

from resources.sandbox.faults import Fault, Trouble
from tests.effort import at_most
from tests.faults import killed_at_request, killed_at_statement
from tests.shipping import ShippingWorld, shipping_world

#: Every call of a story that changes something, by who is called.
WRITES = {
    "north": ("PUT fulfilment-orders/{key}",),
    "odoo": (
        "stock.picking.write",
        "stock.move.write",
        "stock.picking.button_validate",
        "stock.backorder.confirmation.process",
    ),
    "us": ("POST orders/{id}/notes", "PUT orders/{id}"),
    "track": ("POST /v2/trackers",),
}


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def stand_ins(ship: ShippingWorld) -> dict[str, object]:
    return {
        "north": ship.north,
        "odoo": ship.world.erp,
        "us": ship.world.shops["us"],
        "track": ship.track,
    }


def ordered(ship: ShippingWorld) -> str:
    return ship.place(lines={"TEA": 3, "MUG": 1})


def leaves(ship: ShippingWorld, ref: str, lines: dict[str, int] | None = None) -> None:
    """Let the warehouse ship what it has, if it has the request; it is asked before otherwise."""
    ship.north.ship(f"{ref}:f1", lines)


def settle(ship: ShippingWorld, runs: int = 4) -> None:
    """Let leases and waits run out."""
    for _ in range(runs):
        ship.world.clock.forward(minutes=6)
        ship.run()


def assert_once(ship: ShippingWorld, ref: str) -> None:
    """Asked once, shipped twice, posted, told and tracked once each, completed, nothing open."""
    key = f"{ref}:f1"
    assert [ship.north.count(what, key) for what in ("create", "change", "cancel", "ship")] == [
        *(1, 0, 0, 2)
    ]
    assert ship.pickings(ref) == [("done", {"TEA": 2}), ("done", {"TEA": 1, "MUG": 1})]
    assert len(ship.notes(ref)) == 2
    assert ship.status(ref) == "completed"
    assert ship.states(ref) == {key: "shipped"}
    numbers = [
        row["tracking_number"]
        for row in ship.world.rows(
            "select distinct p.tracking_number from core.parcels p "
            "join core.shipment_lines l using (parcel_ref) where l.order_ref = :r",
            r=ref,
        )
    ]
    assert [ship.track.count(number) for number in numbers] == [1, 1]
    assert ship.open_codes() == {}
    open_ = {state for _, state in ship.writes()} - {"done"}
    assert open_ == set()


@contextmanager
def everywhere(ship: ShippingWorld, trouble: Trouble, *but: str) -> Iterator[None]:
    """Let a fault strike the first time each write is called."""
    for name, operations in WRITES.items():
        faults = [Fault(trouble, one) for one in operations if one not in but]
        stand_ins(ship)[name].faults.plan(*faults)  # type: ignore[attr-defined]
    yield


@pytest.mark.parametrize(
    ("trouble", "but"),
    [
        (Trouble.CUT_AFTER, ()),
        (Trouble.CUT_BEFORE, ()),
        (Trouble.ERROR, ()),
        (Trouble.THROTTLE, ()),
        # A note has no key of its own there: who is told twice by the wire has two.
        (Trouble.TWICE, ("POST orders/{id}/notes",)),
    ],
)
def test_a_fault_on_the_first_call_of_every_write_leaves_one_of_each(
    ship: ShippingWorld, trouble: Trouble, but: tuple[str, ...]
) -> None:
    ref = ordered(ship)
    with everywhere(ship, trouble, *but):
        ship.run()
        settle(ship, 2)
        leaves(ship, ref, {"TEA": 2})
        ship.run()
        settle(ship, 3)
        leaves(ship, ref)
        settle(ship)
    assert_once(ship, ref)


#: Stories are dear: each shard of them takes every eighth request, or every fourth.
SHARDS = at_most(8, 4)


@pytest.mark.parametrize("first", at_most((1, 5), (1, 2, 3, 4)))
def test_runs_killed_after_any_request_are_finished_by_later_ones(
    ship: ShippingWorld, first: int
) -> None:
    killed_again_and_again(ship, first, before=False)


def test_runs_killed_before_a_request_are_finished_by_later_ones(ship: ShippingWorld) -> None:
    killed_again_and_again(ship, 2, before=True)


def killed_again_and_again(ship: ShippingWorld, first: int, *, before: bool) -> None:
    """Kill the three telling runs of one order at a request each; for every order a later one."""
    for at in count(first, SHARDS):
        ref, fell = ordered(ship), False
        for act, runs in ((None, 1), ({"TEA": 2}, 1), ({"TEA": 1, "MUG": 1}, 3)):
            if act is not None:
                leaves(ship, ref, act)
            with killed_at_request(ship.world, at, before=before) as axe:
                ship.run()
            fell = fell or axe.count >= at
            settle(ship, runs)
        assert_once(ship, ref)
        if not fell:
            break
    assert at > 50


def test_a_run_killed_after_any_statement_is_finished_by_later_ones(ship: ShippingWorld) -> None:
    at, fell = 5, True
    while fell:
        ref, fell = ordered(ship), False
        for act, runs in ((None, 1), ({"TEA": 2}, 1), ({"TEA": 1, "MUG": 1}, 3)):
            if act is not None:
                leaves(ship, ref, act)
            with killed_at_statement(ship.systems.engine, at) as axe:
                ship.run()
            fell = fell or axe.count >= at
            settle(ship, runs)
        assert_once(ship, ref)
        at += 37  # not every one of hundreds: a prime stride meets every kind of them
    assert at > 150


def test_a_lost_answer_of_a_cancellation_takes_back_once(ship: ShippingWorld) -> None:
    ref = ordered(ship)
    ship.run(2)
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].set_status(order_id, "cancelled")
    ship.north.faults.plan(Fault(Trouble.CUT_AFTER, "cancel"))
    ship.all_run(2)
    settle(ship, 2)
    ship.all_run(2)
    assert ship.north.count("cancel") == 1
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["cancel"]
    assert ship.open_codes() == {}


def test_a_warehouse_that_is_down_for_hours_gets_every_request_once_it_is_back(
    ship: ShippingWorld,
) -> None:
    refs = [ordered(ship) for _ in range(3)]
    ship.north.faults.plan(Fault(Trouble.ERROR, times=10_000, status=503))
    for _ in range(5):
        ship.run()
        ship.world.clock.forward(minutes=30)
    assert [ship.states(ref)[f"{ref}:f1"] for ref in refs] == ["released"] * 3
    assert ship.open_codes() == {"north/shipments": {"system.unreadable"}}
    ship.north.faults.clear()
    settle(ship, 3)
    assert [ship.north.count("create", f"{ref}:f1") for ref in refs] == [1, 1, 1]
    assert [ship.states(ref)[f"{ref}:f1"] for ref in refs] == ["acknowledged"] * 3
    assert ship.open_codes() == {}


def test_a_key_the_warehouse_does_not_take_any_more_stops_only_its_own(
    ship: ShippingWorld,
) -> None:
    ours, uk = ordered(ship), ship.place("uk", lines={"POT": 1})
    ship.run(2)
    ship.north.ship(f"{ours}:f1")
    ship.world.erp.ship(uk)
    ship.north.token = "another"
    ship.run(3)
    assert ship.status(uk) == "completed"
    assert ship.states(ours) == {f"{ours}:f1": "acknowledged"}
    ship.north.token = "token"
    settle(ship, 3)
    assert ship.status(ours) == "completed"


def test_an_erp_that_is_away_delays_the_books_and_not_the_customer(ship: ShippingWorld) -> None:
    ref = ordered(ship)
    ship.run(2)
    ship.north.ship(f"{ref}:f1")
    ship.world.erp.faults.plan(Fault(Trouble.ERROR, times=10_000, status=503))
    ship.run(3)
    assert (len(ship.notes(ref)), ship.status(ref)) == (1, "completed")
    ship.world.erp.faults.clear()
    settle(ship, 3)
    assert ship.pickings(ref) == [("done", {"TEA": 3, "MUG": 1})]
