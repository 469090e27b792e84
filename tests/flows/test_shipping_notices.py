"""What customers are shown of a shipment: by the shop's own fulfilments or by note, once, and kept
right.
"""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from resources.sandbox.faults import Fault, Trouble
from tests.shipping import ShippingWorld, shipping_world

UPS, RIGHT = "1Z999AA10123456784", "1Z999AA10123456793"


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def shipped(ship: ShippingWorld) -> tuple[str, str]:
    """An order that left in one parcel, told to nobody yet; answers it and its shipment."""
    ref = ship.place(lines={"TEA": 2})
    ship.run(2)
    name = ship.north.ship(f"{ref}:f1", parcels=[{"tracking_number": UPS, "carrier": "UPS"}])
    return ref, name


def correct(ship: ShippingWorld, name: str) -> None:
    """Let the warehouse tell another tracking number."""
    (parcel,) = ship.north.book.rows["shipment"][name]["parcels"]
    ship.north.book.change("shipment", name, parcels=[{**parcel, "tracking_number": RIGHT}])


def tracked(ship: ShippingWorld, ref: str) -> list[str]:
    """The tracking numbers in the order's meta data."""
    meta: dict[str, Any] = {one["key"]: one["value"] for one in ship.order(ref)["meta_data"]}
    return [row["tracking_number"] for row in meta.get("_tracking", [])]


def fulfilments(ship: ShippingWorld, ref: str) -> list[dict[str, Any]]:
    """The shop's own fulfilments of an order, their meta data by key."""
    store, order_id = ship.place_of(ref)
    found = ship.world.shops[store].fulfilments_of(order_id)
    return [{one["key"]: one["value"] for one in row["meta_data"]} for row in found]


def test_a_shop_without_fulfilments_is_given_a_note_and_the_number(ship: ShippingWorld) -> None:
    ref, _ = shipped(ship)
    ship.run(2)
    (note,) = ship.notes(ref)
    assert note.startswith("Shipped on 2026-03-02 with UPS.\nTracking number: " + UPS)
    assert tracked(ship, ref) == [UPS]
    (row,) = ship.world.rows("select remote_state, outcome from receipt.notices")
    assert row == {"remote_state": "note", "outcome": "accepted"}


def test_a_shop_with_fulfilments_is_given_one_and_no_note(ship: ShippingWorld) -> None:
    ship.world.shops["us"].switch_fulfilments(True)
    ref, _ = shipped(ship)
    ship.run(3)
    (one,) = fulfilments(ship, ref)
    (line,) = ship.order(ref)["line_items"]
    assert one["_items"] == [{"item_id": line["id"], "qty": 2}]
    assert (one["_tracking_number"], one["_shipment_provider"]) == (UPS, "ups")
    assert ship.notes(ref) == []
    assert len(ship.world.shops["us"].fulfilments.told) == 1
    assert ship.status(ref) == "completed"


@pytest.mark.parametrize("has_fulfilments", [False, True])
def test_a_corrected_number_changes_the_notice_and_makes_no_second_one(
    ship: ShippingWorld, has_fulfilments: bool
) -> None:
    ship.world.shops["us"].switch_fulfilments(has_fulfilments)
    ref, name = shipped(ship)
    ship.run(3)
    correct(ship, name)
    ship.run(3)
    if has_fulfilments:
        (one,) = fulfilments(ship, ref)
        assert one["_tracking_number"] == RIGHT
        assert ship.notes(ref) == []
    else:
        assert len(ship.notes(ref)) == 1
        assert tracked(ship, ref) == [RIGHT]
    assert ship.writes()["notice.change", "done"] == 1
    assert ship.pickings(ref) == [("done", {"TEA": 2})]
    assert ship.writes()["delivery.create", "done"] == 1


def test_the_feature_switched_on_later_gives_no_second_notice(ship: ShippingWorld) -> None:
    ref, name = shipped(ship)
    ship.run(3)
    ship.world.shops["us"].switch_fulfilments(True)
    correct(ship, name)
    ship.run(3)
    assert len(ship.notes(ref)) == 1
    assert fulfilments(ship, ref) == []
    assert tracked(ship, ref) == [RIGHT]


@pytest.mark.parametrize(
    "operation",
    ["POST orders/{id}/notes", "PUT orders/{id}", "POST orders/{id}/fulfillments"],
)
def test_a_lost_answer_of_the_shop_makes_no_second_notice(
    ship: ShippingWorld, operation: str
) -> None:
    has_fulfilments = operation.endswith("fulfillments")
    ship.world.shops["us"].switch_fulfilments(has_fulfilments)
    ref, _ = shipped(ship)
    ship.world.shops["us"].faults.plan(Fault(Trouble.CUT_AFTER, operation))
    ship.run()
    assert ship.world.shops["us"].faults.planned[-1].times == 0
    ship.world.clock.forward(minutes=10)
    ship.run(3)
    counts = (len(ship.notes(ref)), len(fulfilments(ship, ref)))
    assert counts == ((0, 1) if has_fulfilments else (1, 0))
    assert ship.status(ref) == "completed"


def test_an_order_is_completed_only_after_its_customer_was_told(ship: ShippingWorld) -> None:
    ref, _ = shipped(ship)
    ship.world.shops["us"].faults.plan(Fault(Trouble.ERROR, "notes", times=1000, status=500))
    ship.run(3)
    assert (ship.notes(ref), ship.status(ref)) == ([], "processing")
    ship.world.shops["us"].faults.clear()
    ship.world.clock.forward(minutes=30)
    ship.run(3)
    assert (len(ship.notes(ref)), ship.status(ref)) == (1, "completed")


def test_a_store_that_is_not_written_to_is_planned_only(ship: ShippingWorld) -> None:
    config = ship.systems.settings
    us = config.stores["us"].model_copy(update={"publishes": ("products", "stock")})
    ship.systems.settings = config.model_copy(update={"stores": {**config.stores, "us": us}})
    ref, _ = shipped(ship)
    ship.run(3)
    assert (ship.notes(ref), ship.status(ref)) == ([], "processing")
    (row,) = ship.world.rows("select action from plan.notices")
    assert row["action"] == "create"
    assert ship.pickings(ref) == [("done", {"TEA": 2})]


def test_a_store_whose_policy_completes_nothing_is_told_and_left_open(
    ship: ShippingWorld,
) -> None:
    us = {**ship.policy["stores"]["us"], "completes_orders": False}
    ship.rules({"stores": {**ship.policy["stores"], "us": us}})
    ref, _ = shipped(ship)
    ship.run(3)
    assert (len(ship.notes(ref)), ship.status(ref)) == (1, "processing")


def test_an_order_its_owner_put_on_hold_meanwhile_is_not_completed(ship: ShippingWorld) -> None:
    ref, _ = shipped(ship)
    ship.run()
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].set_status(order_id, "on-hold")
    ship.run(3)
    assert ship.status(ref) == "on-hold"
    assert ship.open_codes()[ref] == {"shop.refused"}
