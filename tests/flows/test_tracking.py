"""What carriers say of parcels: pushed, polled or handed on, in any order, in one vocabulary."""

import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from resources.sandbox.faults import Fault, Trouble
from sync_assets.shipments import reading
from tests.carrier_answers import only, sample
from tests.shipping import SECRET, ShippingWorld, shipping_world

UPS = "1Z999AA10123456784"
PARCEL = f"parcel:{UPS}"


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def shipped(ship: ShippingWorld, units: int = 2) -> str:
    """An order that left in one parcel, which the tracking account follows."""
    ref = ship.place(lines={"TEA": units})
    ship.run(2)
    ship.north.ship(f"{ref}:f1", parcels=[{"tracking_number": UPS, "carrier": "UPS"}])
    ship.run(2)
    assert ship.track.count(UPS) == 1
    return ref


def parcel(ship: ShippingWorld) -> dict[str, Any]:
    (row,) = ship.world.rows("select * from core.parcels where parcel_ref = :p", p=PARCEL)
    return row


def events(ship: ShippingWorld) -> list[tuple[str, bool]]:
    """State of every event, and whether its word is known, the earliest first."""
    rows = ship.world.rows("select state, is_known from core.tracking_events order by happened_at")
    return [(row["state"], row["is_known"]) for row in rows]


def pushed(ship: ShippingWorld) -> None:
    ship.deliver("track", *ship.track.webhook(UPS))


def silence(ship: ShippingWorld) -> None:
    """Let nothing be polled: only what is pushed is known."""
    config = ship.systems.settings
    account = config.carriers["track"].model_copy(update={"poll_seconds": 86_400})
    ship.systems.settings = config.model_copy(update={"carriers": {"track": account}})


def answer(ship: ShippingWorld, carrier: str, number: str, text: str) -> None:
    """Let somebody who is signed hand on a carrier's own answer."""
    body = json.dumps({"id": number, "answer": text}).encode()
    signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    ship.deliver("north", {"X-Topic": f"tracking.{carrier}", "X-Signature": signature}, body)


def test_a_parcel_is_tracked_once_and_followed_to_the_door(ship: ShippingWorld) -> None:
    ref = shipped(ship)
    ship.track.announce(UPS)
    ship.run()
    assert parcel(ship)["state"] == "label_created"
    ship.track.move(UPS, "in_transit", "departed_facility", "Departed")
    ship.run()
    assert parcel(ship)["state"] == "in_transit"
    delivered_at = ship.world.clock()
    ship.track.deliver(UPS)
    ship.run(2)
    row = parcel(ship)
    assert (row["state"], row["delivered_at"]) == ("delivered", delivered_at)
    assert ship.progress(ref) == {"TEA": {"ordered": 2, "shipped": 2, "delivered": 2}}
    assert ship.track.count() == 1
    assert ship.track.calls["POST /v2/trackers"] == 1


def test_a_webhook_of_the_account_is_read_again_and_settled(ship: ShippingWorld) -> None:
    shipped(ship)
    silence(ship)
    ship.track.move(UPS, "in_transit", "arrived_at_facility", "Arrived")
    pushed(ship)
    pushed(ship)
    ship.run()
    assert parcel(ship)["state"] == "in_transit"
    assert ship.heard() == [("tracker.updated", "settled", "read")] * 2
    assert ship.track.calls["GET /v2/trackers/{id}"] == 1


def test_events_may_come_late_twice_and_in_any_order(ship: ShippingWorld) -> None:
    ref = shipped(ship)
    now = ship.world.clock()
    ship.track.deliver(UPS, at=now + timedelta(hours=5))
    ship.run()
    ship.track.move(UPS, "out_for_delivery", "out_for_delivery", "Out", now + timedelta(hours=2))
    ship.track.move(UPS, "in_transit", "departed_facility", "Departed", now + timedelta(hours=1))
    pushed(ship)
    pushed(ship)
    ship.run(2)
    assert parcel(ship)["state"] == "delivered"
    assert parcel(ship)["delivered_at"] == now + timedelta(hours=5)
    assert events(ship) == [
        ("in_transit", True),
        ("out_for_delivery", True),
        ("delivered", True),
    ]
    assert ship.progress(ref)["TEA"]["delivered"] == 2


def test_tracking_may_come_before_its_shipment(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    with ship.systems.carrier("track") as account:
        account.track([(UPS, "UPS")])
    ship.track.move(UPS, "in_transit", "departed_facility", "Departed")
    ship.run()
    assert parcel(ship)["state"] == "in_transit"
    ship.north.ship(f"{ref}:f1", parcels=[{"tracking_number": f"{UPS[:9]} {UPS[9:]}"}])
    ship.run(2)
    assert parcel(ship)["state"] == "in_transit"
    (line,) = ship.world.rows(
        "select order_ref from core.shipment_lines where parcel_ref = :p", p=PARCEL
    )
    assert line["order_ref"] == ref
    ship.track.deliver(UPS)
    ship.run(2)
    assert ship.progress(ref) == {"TEA": {"ordered": 1, "shipped": 1, "delivered": 1}}


def test_a_lost_parcel_is_told_to_support_with_its_orders_until_it_is_found(
    ship: ShippingWorld,
) -> None:
    ref = shipped(ship)
    ship.track.lose(UPS)
    ship.run()
    assert ship.open_codes() == {PARCEL: {"parcel.lost"}}
    (row,) = ship.world.rows("select owner_role, message from ops.exception where state = 'open'")
    assert row["owner_role"] == "support"
    assert (ref in row["message"], UPS in row["message"]) == (True, True)
    ship.world.clock.forward(hours=1)
    ship.track.move(UPS, "in_transit", "departed_facility", "Found")
    ship.run()
    assert ship.open_codes() == {}
    assert parcel(ship)["state"] == "in_transit"


def test_a_parcel_that_comes_back_was_not_delivered_for_good(ship: ShippingWorld) -> None:
    ref = shipped(ship)
    ship.track.send_back(UPS)
    ship.run(2)
    assert parcel(ship)["state"] == "returning"
    assert parcel(ship)["delivered_at"] is None
    assert ship.progress(ref)["TEA"]["shipped"] == 2


def test_a_carriers_own_answer_is_kept_as_it_is_and_understood(ship: ShippingWorld) -> None:
    text = sample("ups", "TrackingResponseJSON")
    tracking = only("ups", "TrackingResponseJSON")
    answer(ship, "ups", tracking.tracking_number, text)
    ship.run(2)
    assert ship.heard() == [("tracking.ups", "settled", "read")]
    (kept,) = ship.world.rows("select source, resource_id, payload from raw.carriers__trackings")
    assert (kept["source"], kept["resource_id"]) == ("ups", tracking.tracking_number)
    assert kept["payload"] == {"text": text}
    found = ship.world.rows("select distinct carrier, told_by from core.tracking_events")
    assert found == [{"carrier": "ups", "told_by": "ups"}]
    assert len(events(ship)) == len(tracking.events)


def test_an_answer_nobody_can_read_is_set_aside(ship: ShippingWorld) -> None:
    answer(ship, "ups", UPS, "<html>busy</html>")
    ship.run()
    assert ship.open_codes() == {f"ups:carriers__trackings:{UPS}": {"tracking.unreadable"}}
    assert events(ship) == []


def test_an_unknown_word_is_kept_and_told_and_changes_no_state(ship: ShippingWorld) -> None:
    shipped(ship)
    ship.track.move(UPS, "in_transit", "departed_facility", "Departed")
    ship.run()
    ship.world.clock.forward(hours=1)
    ship.track.move(UPS, "beamed_up", "teleported", "Beamed up")
    ship.run()
    assert parcel(ship)["state"] == "in_transit"
    assert events(ship) == [("in_transit", True), ("unknown", False)]
    assert ship.open_codes() == {"carrier/ups": {"tracking.word_unknown"}}


def test_an_account_that_is_away_keeps_no_order_waiting(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 2})
    ship.track.faults.plan(Fault(Trouble.ERROR, times=10_000, status=503))
    ship.run(2)
    ship.north.ship(f"{ref}:f1", parcels=[{"tracking_number": UPS, "carrier": "UPS"}])
    ship.run(3)
    assert ship.status(ref) == "completed"
    assert ship.open_codes() == {"track/trackers": {"system.unreadable"}}
    ship.track.faults.clear()
    ship.world.clock.forward(minutes=10)
    ship.run()
    assert ship.track.count(UPS) == 1
    assert ship.open_codes() == {}


def test_the_warehouses_webhooks_read_again_only_what_they_name(ship: ShippingWorld) -> None:
    config = ship.systems.settings
    north = config.warehouses["north"].model_copy(update={"poll_seconds": 86_400})
    ship.systems.settings = config.model_copy(update={"warehouses": {"north": north}})
    ref, other = ship.place(lines={"TEA": 1}), ship.place(lines={"MUG": 1})
    ship.run(2)
    name = ship.north.ship(f"{ref}:f1")
    ship.north.ship(f"{other}:f1")
    for _ in range(2):
        ship.deliver("north", *ship.north.webhook("shipment.created", name, SECRET))
    ship.deliver("north", *ship.north.webhook("fulfilment_order.updated", f"{ref}:f1", SECRET))
    asked = ship.north.calls["GET shipments"]
    tally = reading.shipments(ship.systems, "north", "run", only_due=True)
    assert (tally.seen, ship.north.calls["GET shipments"] - asked) == (1, 1)
    ship.core()
    assert (ship.states(ref), ship.states(other)) == (
        {f"{ref}:f1": "shipped"},
        {f"{other}:f1": "acknowledged"},
    )
    assert ship.heard() == [
        ("shipment.created", "settled", "read"),
        ("shipment.created", "settled", "read"),
        ("fulfilment_order.updated", "settled", "names nothing we follow"),
    ]


def test_a_delivery_waits_while_the_warehouse_is_away(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    name = ship.north.ship(f"{ref}:f1")
    ship.deliver("north", *ship.north.webhook("shipment.created", name, SECRET))
    ship.north.faults.plan(Fault(Trouble.ERROR, "GET shipments", times=10_000, status=503))
    ship.read()
    assert ship.heard() == [("shipment.created", "waiting", None)]
    ship.north.faults.clear()
    ship.world.clock.forward(minutes=5)
    ship.run()
    assert ship.heard() == [("shipment.created", "settled", "read")]
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
