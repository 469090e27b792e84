"""Orders of which less is wanted, or nothing: who is told, what still leaves, how the books end."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from tests.shipping import ShippingWorld, shipping_world


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route to host", request=request)


def cancel(ship: ShippingWorld, ref: str) -> None:
    """Let the shop's owner cancel an order."""
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].set_status(order_id, "cancelled")


def effects(ship: ShippingWorld) -> list[int]:
    """How often the warehouse created, changed, cancelled and shipped anything."""
    return [ship.north.count(effect) for effect in ("create", "change", "cancel", "ship")]


def test_the_rest_of_a_part_shipment_is_refunded_and_everybody_closes_the_order(
    ship: ShippingWorld,
) -> None:
    ref = ship.place(lines={"TEA": 3, "MUG": 2})
    ship.run(2)
    ship.north.ship(f"{ref}:f1", {"TEA": 3, "MUG": 1})
    ship.run(2)
    assert ship.pickings(ref) == [("done", {"TEA": 3, "MUG": 1}), ("assigned", {"MUG": 1})]

    ship.refund(ref, {"MUG": 1})
    ship.all_run(3)
    assert ship.progress(ref)["MUG"] == {
        "ordered": 2,
        "cancelled": 1,
        "shipped": 1,
        "refunded": 1,
    }
    # Goods in hand cannot be called back: until the warehouse says that they stay, they may leave.
    assert ship.states(ref) == {f"{ref}:f1": "part_shipped"}
    assert ship.open_codes() == {f"{ref}:f1": {"warehouse.refused"}}
    assert ship.pickings(ref) == [("done", {"TEA": 3, "MUG": 1}), ("assigned", {"MUG": 1})]
    ship.north.short(f"{ref}:f1", "MUG", 1)
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.pickings(ref) == [("done", {"TEA": 3, "MUG": 1}), ("cancel", {"MUG": 1})]
    assert ship.writes()["delivery.change", "done"] == 1
    assert ship.status(ref) == "completed"
    assert ship.open_codes() == {}
    assert effects(ship) == [1, 0, 0, 1]
    assert len(ship.notes(ref)) == 1


def test_a_refund_before_picking_lowers_what_the_warehouse_was_asked_for(
    ship: ShippingWorld,
) -> None:
    ref = ship.place(lines={"TEA": 3, "MUG": 2})
    ship.run(2)
    ship.refund(ref, {"TEA": 1, "MUG": 2})
    ship.all_run(2)
    held = ship.north.orders.row(f"{ref}:f1")
    assert [(line["sku"], line["units"]) for line in held["lines"]] == [("TEA", 2)]
    assert held["version"] == 2
    assert effects(ship) == [1, 1, 0, 0]

    ship.north.ship(f"{ref}:f1")
    ship.all_run(3)
    assert ship.pickings(ref) == [("done", {"TEA": 2}), ("cancel", {"TEA": 1, "MUG": 2})]
    assert ship.status(ref) == "completed"
    assert effects(ship) == [1, 1, 0, 1]
    assert ship.open_codes() == {}


def test_an_order_cancelled_before_picking_is_taken_back_and_nothing_leaves(
    ship: ShippingWorld,
) -> None:
    ref = ship.place()
    ship.run(2)
    cancel(ship, ref)
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert ship.steps_of(f"{ref}:f1") == [
        *("planned", "released", "acknowledged", "cancel_requested", "cancelled"),
    ]
    assert ship.north.orders.row(f"{ref}:f1")["state"] == "cancelled"
    assert effects(ship) == [1, 0, 1, 0]
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["cancel"]
    assert ship.notes(ref) == []
    assert ship.open_codes() == {}


def test_an_order_cancelled_after_picking_ships_and_support_is_told(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.run(2)
    ship.north.pick(f"{ref}:f1")
    cancel(ship, ref)
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.open_codes() == {
        ref: {"shipment.after_the_end"},
        f"{ref}:f1": {"warehouse.refused"},
    }
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["sale"]

    ship.north.ship(f"{ref}:f1")
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.pickings(ref) == [("done", {"TEA": 2, "MUG": 1})]
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["sale"]
    assert ship.status(ref) == "cancelled"
    assert effects(ship) == [1, 0, 0, 1]
    assert ship.writes()["completion.create", "done"] == 0
    assert ship.open_codes()[ref] == {"shipment.after_the_end"}


def test_an_order_cancelled_while_unsent_is_never_sent(ship: ShippingWorld) -> None:
    us = {**ship.policy["stores"]["us"], "release_after_minutes": 30}
    ship.rules({"stores": {**ship.policy["stores"], "us": us}})
    ref = ship.place()
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "planned"}
    cancel(ship, ref)
    ship.all_run()
    ship.world.clock.forward(hours=1)
    ship.all_run(2)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert ship.steps_of(f"{ref}:f1") == ["planned", "cancelled"]
    assert effects(ship) == [0, 0, 0, 0]
    assert ship.writes() == {}
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["cancel"]


def test_a_cancellation_that_the_warehouse_never_answered_is_asked_again(
    ship: ShippingWorld,
) -> None:
    ref = ship.place()
    ship.run(2)
    cancel(ship, ref)
    ship.shop_run()
    ship.systems.transports = {**ship.systems.transports, "north": httpx.MockTransport(nobody)}
    ship.all_run(2)
    assert ship.states(ref) == {f"{ref}:f1": "cancel_requested"}
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["sale"]
    ship.systems.transports = {**ship.systems.transports, "north": ship.north.transport()}
    ship.world.clock.forward(minutes=30)
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert effects(ship) == [1, 0, 1, 0]
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["cancel"]


def test_a_full_refund_before_picking_is_taken_back_like_a_cancellation(
    ship: ShippingWorld,
) -> None:
    ref = ship.place()
    ship.run(2)
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].refund(order_id, amount=ship.order(ref)["total"])
    assert ship.status(ref) == "refunded"
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert effects(ship) == [1, 0, 1, 0]
    assert ship.progress(ref)["TEA"] == {"ordered": 2, "cancelled": 2}


def test_more_wanted_after_acceptance_is_not_shipped_behind_the_erps_back(
    ship: ShippingWorld,
) -> None:
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    store, order_id = ship.place_of(ref)
    (line,) = ship.order(ref)["line_items"]
    ship.world.shops[store].edit(order_id, line_items=[{"id": line["id"], "quantity": 4}])
    ship.all_run(2)
    assert "order.changed_after_acceptance" in ship.open_codes()[ref]
    assert ship.north.orders.row(f"{ref}:f1")["lines"][0]["units"] == 1
