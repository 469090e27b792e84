"""Orders a ShipBob account ships: asked once, followed by poll and webhook, changed as far as it
goes.
"""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.shipbob import ShipBobStandIn
from sync_assets.shipments import reading
from tests.shipping import ShippingWorld, shipping_world

UPS = "1Z999AA10123456784"


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


@pytest.fixture
def bob(ship: ShippingWorld) -> ShipBobStandIn:
    """A ShipBob account that ships the US store's orders."""
    bob = ShipBobStandIn(now=ship.world.clock)
    account = {
        "kind": "shipbob",
        "url": "https://bob.test",
        "token": bob.token,
        "channel_id": bob.channel_id,
        "poll_seconds": 1,
    }
    hook = {"scheme": "shipbob", "secrets": [bob.webhook_secret]}
    ship.configure(warehouses={"bob": account}, webhooks={"bob": hook})
    ship.connect(bob=bob)
    places = {**ship.policy["places"], "bobs": {"system": "bob", "assumes_stock": True}}
    ship.rules(
        {"places": places, "stores": {**ship.policy["stores"], "us": {"ship_from": ["bobs"]}}}
    )
    return bob


def taken(ship: ShippingWorld, **lines: int) -> str:
    """An order the account has taken."""
    ref = ship.place(lines=lines or {"TEA": 2, "MUG": 1})
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    return ref


def test_an_order_is_taken_shipped_in_two_boxes_and_told(
    ship: ShippingWorld, bob: ShipBobStandIn
) -> None:
    ref = taken(ship)
    told = bob.order_json(f"{ref}:f1")
    assert (told["order_number"], told["shipping_method"]) == (ref.partition(":")[2], "Standard")
    assert [(one["reference_id"], one["quantity"]) for one in told["products"]] == [
        ("TEA", 2),
        ("MUG", 1),
    ]
    bob.ship(f"{ref}:f1", {"TEA": 2}, [{"tracking_number": UPS, "carrier": "UPS"}])
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "part_shipped"}
    assert ship.status(ref) == "processing"
    bob.ship(f"{ref}:f1")
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.pickings(ref) == [("done", {"TEA": 2}), ("done", {"MUG": 1})]
    first, second = ship.notes(ref)
    assert (UPS in first, UPS in second) == (True, False)
    assert ship.status(ref) == "completed"
    assert bob.count() == 1
    told_before = (ship.writes(), bob.calls["POST /order"])
    ship.all_run(2)
    assert (ship.writes(), bob.calls["POST /order"]) == told_before


def test_a_webhook_of_an_order_reads_its_shipments_again(
    ship: ShippingWorld, bob: ShipBobStandIn
) -> None:
    ref, other = taken(ship, TEA=1), taken(ship, MUG=1)
    account = ship.systems.settings.warehouses["bob"].model_copy(update={"poll_seconds": 86_400})
    warehouses = {**ship.systems.settings.warehouses, "bob": account}
    ship.systems.settings = ship.systems.settings.model_copy(update={"warehouses": warehouses})
    (shipment,) = bob.ship(f"{ref}:f1")
    bob.ship(f"{other}:f1")
    ship.deliver("bob", *bob.webhook("order.shipment.shipped", shipment))
    tally = reading.shipments(ship.systems, "bob", "run", only_due=True)
    assert tally.seen == 1
    ship.core()
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.states(other) == {f"{other}:f1": "acknowledged"}
    assert ship.heard() == [("order.shipment.shipped", "settled", "read")]


def test_a_cancelled_order_is_taken_back(ship: ShippingWorld, bob: ShipBobStandIn) -> None:
    ref = taken(ship)
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].set_status(order_id, "cancelled")
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert bob.order_json(f"{ref}:f1")["status"] == "Cancelled"
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["cancel"]
    assert ship.open_codes() == {}


def test_a_picked_order_is_not_taken_back_and_ships(
    ship: ShippingWorld, bob: ShipBobStandIn
) -> None:
    ref = taken(ship)
    bob.pick(f"{ref}:f1")
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].set_status(order_id, "cancelled")
    ship.all_run(3)
    assert ship.open_codes() == {
        ref: {"shipment.after_the_end"},
        f"{ref}:f1": {"warehouse.refused"},
    }
    bob.ship(f"{ref}:f1")
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.pickings(ref) == [("done", {"TEA": 2, "MUG": 1})]


def test_less_and_another_address_are_changed_in_place(
    ship: ShippingWorld, bob: ShipBobStandIn
) -> None:
    ref = taken(ship, TEA=3)
    store, order_id = ship.place_of(ref)
    house = {"first_name": "Ada", "last_name": "Byron", "address_1": "9 New Road"}
    place = {"city": "Elsewhere", "state": "CA", "postcode": "90009", "country": "US"}
    ship.world.shops[store].edit(order_id, shipping={**house, **place})
    ship.refund(ref, {"TEA": 1})
    ship.all_run(2)
    (shipment,) = bob.order_json(f"{ref}:f1")["shipments"]
    assert shipment["recipient"]["address"]["address1"] == "9 New Road"
    bob.ship(f"{ref}:f1")
    ship.all_run(3)
    assert ship.progress(ref) == {
        "TEA": {"ordered": 3, "cancelled": 1, "shipped": 2, "refunded": 1}
    }
    assert ship.status(ref) == "completed"
    assert ship.open_codes() == {ref: {"order.changed_after_acceptance"}}
    assert bob.count() == 1


def test_an_order_a_person_cancels_there_is_told_and_asked_for_elsewhere(
    ship: ShippingWorld, bob: ShipBobStandIn
) -> None:
    stores = {**ship.policy["stores"], "us": {"ship_from": ["bobs", "west"]}}
    ship.rules({"stores": stores})
    ref = taken(ship)
    bob.cancel(f"{ref}:f1")
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "refused", f"{ref}:f2": "acknowledged"}
    assert ship.open_codes() == {f"{ref}:f1": {"fulfilment.refused"}}
    assert ship.north.orders.row(f"{ref}:f2")["warehouse"] == "WEST"
    ship.north.ship(f"{ref}:f2")
    ship.run(3)
    assert ship.status(ref) == "completed"
    assert ship.open_codes() == {}


def test_an_order_that_is_kept_back_there_is_told_until_it_goes_on(
    ship: ShippingWorld, bob: ShipBobStandIn
) -> None:
    ref = taken(ship)
    bob.hold(f"{ref}:f1", "InvalidAddress", "no such street")
    ship.run(2)
    assert ship.open_codes() == {f"{ref}:f1": {"fulfilment.on_hold"}}
    (row,) = ship.world.rows("select message from ops.exception where state = 'open'")
    assert "no such street" in row["message"]
    bob.release(f"{ref}:f1")
    ship.run(2)
    assert ship.open_codes() == {}


@pytest.mark.parametrize("trouble", [Trouble.CUT_AFTER, Trouble.CUT_BEFORE, Trouble.TWICE])
def test_a_lost_or_doubled_answer_makes_no_second_order(
    ship: ShippingWorld, bob: ShipBobStandIn, trouble: Trouble
) -> None:
    bob.faults.plan(Fault(trouble, "POST /order", times=1))
    ref = ship.place(lines={"TEA": 1})
    ship.run()
    ship.world.clock.forward(minutes=10)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert bob.count(f"{ref}:f1") == 1


def test_too_many_calls_are_waited_for(ship: ShippingWorld, bob: ShipBobStandIn) -> None:
    bob.faults.plan(Fault(Trouble.THROTTLE, "POST /order", times=30, seconds=30))
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    bob.faults.clear()
    ship.world.clock.forward(minutes=10)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.open_codes() == {}


def test_an_address_it_has_no_words_for_is_told_and_keeps_no_other_order(
    ship: ShippingWorld, bob: ShipBobStandIn
) -> None:
    nowhere = {"first_name": "Ada", "last_name": "Byron", "address_1": "1 Road", "country": "US"}
    odd = ship.place(lines={"TEA": 1}, shipping={**nowhere, "city": ""})
    good = ship.place(lines={"MUG": 1})
    ship.run(3)
    assert ship.states(good) == {f"{good}:f1": "acknowledged"}
    assert ship.states(odd) == {f"{odd}:f1": "released"}
    assert ship.open_codes() == {f"{odd}:f1": {"warehouse.malformed"}}
    assert bob.count() == 1
