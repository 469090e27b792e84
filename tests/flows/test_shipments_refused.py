"""Warehouses that refuse, run short, cancel by themselves or stay silent: who ships then, and who
is told.
"""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from resources.store.alerts import Alert
from resources.store.engine import connected
from resources.store.exceptions import NotPossible
from sensors import alarms
from sync_assets import service_levels
from sync_assets.shipments.replanning import replan
from tests.shipping import ShippingWorld, shipping_world


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def only_east(ship: ShippingWorld) -> None:
    us = {**ship.policy["stores"]["us"], "ship_from": ["east"]}
    ship.rules({"stores": {**ship.policy["stores"], "us": us}})


def refuse_east(ship: ShippingWorld) -> None:
    ship.north.refuse(lambda body: body["warehouse"] == "EAST", "east is being counted")


def again(ship: ShippingWorld, ref: str) -> str:
    """Let a person ask once more."""
    with connected(ship.systems.engine) as connection:
        return replan(connection, ref, by="ada", reason="mended", now=ship.world.clock())


def places(ship: ShippingWorld, ref: str) -> dict[str, tuple[str, int]]:
    """Place and units of each request that the warehouse holds."""
    return {
        key: (
            ship.north.orders.row(key)["warehouse"],
            sum(line["units"] for line in ship.north.orders.row(key)["lines"]),
        )
        for key in ship.north.orders.ids
        if key.startswith(ref)
    }


def test_what_one_place_refuses_another_takes(ship: ShippingWorld) -> None:
    refuse_east(ship)
    ref = ship.place()
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "refused", f"{ref}:f2": "released"}
    assert ship.open_codes() == {f"{ref}:f1": {"fulfilment.refused"}}
    ship.run()
    ship.north.ship(f"{ref}:f2")
    ship.run(3)
    assert places(ship, ref) == {f"{ref}:f2": ("WEST", 3)}
    assert ship.states(ref) == {f"{ref}:f1": "cancelled", f"{ref}:f2": "shipped"}
    assert ship.status(ref) == "completed"
    assert ship.open_codes() == {}
    assert ship.north.count("create") == 1


def test_what_every_place_refuses_waits_for_a_person_who_lets_it_go_on(ship: ShippingWorld) -> None:
    ship.north.refuse_sku("MUG", "mugs are banned")
    ref = ship.place()
    ship.run(4)
    assert ship.states(ref) == {f"{ref}:f1": "refused", f"{ref}:f2": "refused"}
    assert ship.open_codes() == {
        ref: {"fulfilment.no_stock"},
        f"{ref}:f1": {"fulfilment.refused"},
        f"{ref}:f2": {"fulfilment.refused"},
    }
    (told,) = ship.world.rows(
        "select message from ops.exception where subject_ref = :r and state = 'open'", r=f"{ref}:f1"
    )
    assert "mugs are banned" in told["message"]

    ship.north.orders.refusals.clear()
    assert again(ship, f"{ref}:f1") == "is planned again and goes out with the next run"
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged", f"{ref}:f2": "refused"}
    assert places(ship, ref) == {f"{ref}:f1": ("EAST", 3)}
    assert f"{ref}:f1" not in ship.open_codes()


def test_only_a_refused_request_can_be_asked_again(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.run(2)
    with pytest.raises(NotPossible, match="is acknowledged; only a refused one"):
        again(ship, f"{ref}:f1")
    with pytest.raises(NotPossible, match="There is no request 'us:0:f1'"):
        again(ship, "us:0:f1")


def test_the_rest_of_a_short_request_is_asked_of_the_other_place(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 5})
    ship.run(2)
    ship.north.ship(f"{ref}:f1", {"TEA": 3})
    ship.north.short(f"{ref}:f1", "TEA", 2)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "short", f"{ref}:f2": "acknowledged"}
    assert places(ship, ref)[f"{ref}:f2"] == ("WEST", 2)

    ship.north.ship(f"{ref}:f2", {"TEA": 1})
    ship.north.short(f"{ref}:f2", "TEA", 1)
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "short", f"{ref}:f2": "short"}
    assert ship.open_codes() == {ref: {"fulfilment.no_stock"}}
    assert ship.progress(ref) == {"TEA": {"ordered": 5, "shipped": 4}}
    assert ship.north.count("create") == 2
    assert ship.status(ref) == "processing"

    ship.refund(ref, {"TEA": 1})
    ship.all_run(3)
    assert ship.status(ref) == "completed"
    assert ship.open_codes() == {}


def test_a_place_that_has_nothing_of_it_is_not_asked_again(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 2})
    ship.run(2)
    ship.north.short(f"{ref}:f1", "TEA", 2)
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "refused", f"{ref}:f2": "acknowledged"}
    assert places(ship, ref)[f"{ref}:f2"] == ("WEST", 2)
    assert ship.open_codes() == {f"{ref}:f1": {"fulfilment.refused"}}


def test_a_request_the_warehouse_cancels_itself_is_asked_for_under_another_key(
    ship: ShippingWorld,
) -> None:
    only_east(ship)
    ref = ship.place()
    ship.run(2)
    ship.north.orders.move(f"{ref}:f1", "cancelled", "fire in hall 3")
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "refused"}
    assert ship.open_codes() == {f"{ref}:f1": {"fulfilment.refused"}, ref: {"fulfilment.no_stock"}}
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["sale"]

    assert again(ship, f"{ref}:f1").startswith("was cancelled there and stays so")
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled", f"{ref}:f2": "acknowledged"}
    assert places(ship, ref)[f"{ref}:f2"] == ("EAST", 3)
    assert ship.open_codes() == {}


def test_a_request_the_warehouse_refuses_later_can_be_sent_again_as_a_newer_version(
    ship: ShippingWorld,
) -> None:
    only_east(ship)
    ref = ship.place()
    ship.run(2)
    ship.north.orders.move(f"{ref}:f1", "refused", "no label for this country")
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "refused"}
    again(ship, f"{ref}:f1")
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.north.orders.row(f"{ref}:f1")["version"] == 2
    assert ship.north.count("create") == 1
    assert ship.open_codes() == {}


def test_a_request_on_hold_is_told_until_the_warehouse_goes_on(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.run(2)
    ship.north.hold(f"{ref}:f1", "address is odd")
    ship.run(2)
    assert ship.open_codes() == {f"{ref}:f1": {"fulfilment.on_hold"}}
    ship.north.pick(f"{ref}:f1")
    ship.run(2)
    assert ship.open_codes() == {}
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}


def test_a_warehouse_on_hold_that_then_ships_leaves_nobody_waiting(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.run(2)
    ship.north.hold(f"{ref}:f1", "address is odd")
    ship.run()
    ship.north.ship(f"{ref}:f1")
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.open_codes() == {}


def test_a_silent_warehouse_breaches_the_service_level_with_its_orders(
    ship: ShippingWorld,
) -> None:
    ship.north.go_silent()
    ref = ship.place()
    ship.run(2)
    ship.world.clock.forward(minutes=10)
    assert breached(ship) == []
    ship.world.clock.forward(minutes=10)
    assert breached(ship) == [(f"{ref}:f1", "north")]
    alert = next(
        one for one in alarms.found_in(ship.systems) if one.key == "silent_warehouse:north"
    )
    assert alert.title == "Warehouse north does not acknowledge what it is asked to ship"
    assert (alert.things, alert.at_stake) == ((ref,), "34.11 USD")
    assert ship.states(ref) == {f"{ref}:f1": "released"}

    ship.north.speak()
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert breached(ship) == []
    assert ship.north.count("create") == 1


def test_an_order_that_does_not_leave_in_time_is_told(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.run(2)
    ship.world.clock.forward(hours=23)
    assert "shipment_confirmation" not in alerts(ship)
    ship.world.clock.forward(hours=2)
    alert = alerts(ship)["shipment_confirmation"]
    assert (alert.things, alert.next_step) == (
        *((f"{ref}:f1",), "sync-assets fulfilments list --late"),
    )
    ship.north.ship(f"{ref}:f1")
    ship.run(2)
    assert "shipment_confirmation" not in alerts(ship)


def alerts(ship: ShippingWorld) -> dict[str, Alert]:
    """What people are told now."""
    return {one.key: one for one in alarms.found_in(ship.systems)}


def breached(ship: ShippingWorld) -> list[tuple[str, str]]:
    """Requests that were not acknowledged in time, with their warehouse."""
    with connected(ship.systems.engine) as connection:
        now = ship.world.clock()
        found = service_levels.standing(connection, ship.systems.settings, now)
    (level,) = [one for one in found.levels if one.name == "release_acknowledgement"]
    return [(case.key, case.note) for case in level.breached]
