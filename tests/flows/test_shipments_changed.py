"""Requests that are held, wait for their time, or are wanted otherwise before and after picking."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from resources.sandbox.faults import Fault, Trouble
from resources.store import exceptions
from resources.store.engine import connected
from sync_assets.domain.orders import Problem
from sync_assets.shipments import policy
from sync_assets.trouble import exceptional
from tests.shipping import ShippingWorld, shipping_world


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def us_rule(ship: ShippingWorld, **change: object) -> None:
    us = {**ship.policy["stores"]["us"], **change}
    ship.rules({"stores": {**ship.policy["stores"], "us": us}})


def move_house(ship: ShippingWorld, ref: str) -> None:
    """Let the customer move before the parcel does."""
    store, order_id = ship.place_of(ref)
    address = {
        "first_name": "Ada",
        "last_name": "Byron",
        "address_1": "9 New Road",
        "city": "Elsewhere",
        "state": "CA",
        "postcode": "90009",
        "country": "US",
    }
    ship.world.shops[store].edit(order_id, shipping=address)


def hold(ship: ShippingWorld, subject: str, code: str) -> None:
    with connected(ship.systems.engine) as connection:
        problem = Problem(code, "", "held by a test")
        found = exceptional(problem, subject, ship.systems.settings.service_levels)
        exceptions.open_all(connection, [found], now=ship.world.clock())


def let_go(ship: ShippingWorld, subject: str, code: str) -> None:
    with connected(ship.systems.engine) as connection:
        exceptions.reconcile(
            connection, [], subjects=[subject], codes=[code], now=ship.world.clock()
        )


def street(ship: ShippingWorld, ref: str) -> str:
    return str(ship.north.orders.bodies[f"{ref}:f1"]["ship_to"]["street"])


def test_a_new_order_is_given_out_only_after_its_delay(ship: ShippingWorld) -> None:
    us_rule(ship, release_after_minutes=30)
    ref = ship.place()
    ship.world.clock.forward(minutes=25)
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "planned"}
    assert ship.north.count("create") == 0
    ship.world.clock.forward(minutes=5)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.north.count("create") == 1


def test_an_exception_that_blocks_the_order_keeps_its_request_back(ship: ShippingWorld) -> None:
    us_rule(ship, release_after_minutes=30)
    ref = ship.place()
    ship.run()
    hold(ship, ref, "order.address_missing")
    ship.world.clock.forward(hours=1)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "held"}
    assert ship.north.count("create") == 0
    let_go(ship, ref, "order.address_missing")
    ship.run(2)
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.steps_of(f"{ref}:f1") == [
        *("planned", "held", "planned", "released", "acknowledged"),
    ]


def test_a_hold_of_one_request_lets_others_of_the_order_go(ship: ShippingWorld) -> None:
    us_rule(ship, release_after_minutes=30)
    first, second = ship.place(), ship.place()
    ship.run()
    hold(ship, f"{first}:f1", "fulfilment.held")
    ship.world.clock.forward(hours=1)
    ship.run(2)
    assert (ship.states(first), ship.states(second)) == (
        {f"{first}:f1": "held"},
        {f"{second}:f1": "acknowledged"},
    )


def test_an_address_changed_before_picking_is_sent_as_a_higher_version(
    ship: ShippingWorld,
) -> None:
    ref = ship.place()
    ship.run(2)
    assert street(ship, ref) == "1 Test Street"
    move_house(ship, ref)
    ship.all_run(2)
    assert street(ship, ref) == "9 New Road"
    assert ship.north.orders.row(f"{ref}:f1")["version"] == 2
    assert [ship.north.count(effect) for effect in ("create", "change")] == [1, 1]
    ship.all_run(2)
    assert ship.north.count("change") == 1


def test_an_address_changed_after_picking_is_refused_and_told(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.run(2)
    ship.north.pick(f"{ref}:f1")
    move_house(ship, ref)
    ship.all_run(2)
    assert street(ship, ref) == "1 Test Street"
    assert ship.north.count("change") == 0
    assert ship.open_codes()[f"{ref}:f1"] == {"warehouse.change_refused"}
    ship.north.ship(f"{ref}:f1")
    ship.all_run(3)
    assert ship.status(ref) == "completed"
    assert f"{ref}:f1" not in ship.open_codes()


def test_an_address_changed_while_the_answer_was_lost_arrives(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.north.faults.plan(Fault(Trouble.CUT_AFTER, "PUT fulfilment-orders", times=4))
    ship.run()
    assert ship.north.count("create") == 1
    ship.north.faults.clear()
    move_house(ship, ref)
    ship.shop_run()
    ship.world.clock.forward(minutes=10)
    ship.run(4)
    assert street(ship, ref) == "9 New Road"
    assert ship.north.count("create") == 1
    assert ship.open_codes().get(f"{ref}:f1") is None


def test_the_carrier_of_the_policy_and_the_customers_words_go_with_the_request(
    ship: ShippingWorld,
) -> None:
    choice = {"methods": ["Express*"], "carrier": "UPS", "service": "Next Day"}
    us_rule(ship, carriers=[choice])
    ref = ship.place(
        shipping_lines=[{"method_title": "Express 24", "method_id": "flat_rate", "total": "0.00"}],
        customer_note="ring twice",
    )
    ship.run(2)
    body = ship.north.orders.bodies[f"{ref}:f1"]
    assert (body["carrier"], body["service"], body["shipping_method"], body["note"]) == (
        *("UPS", "Next Day", "Express 24", "ring twice"),
    )
    assert [(x["sku"], x["units"], x["unit_amount"]) for x in body["lines"]] == [
        ("TEA", 2, "9.90"),
        ("MUG", 1, "12.00"),
    ]


def test_a_policy_with_a_mistake_leaves_the_last_good_one_in_force(ship: ShippingWorld) -> None:
    ship.run()
    good = ship.policy["stores"]["us"]["ship_from"]
    us_rule(ship, ship_from=["north_pole"])
    ref = ship.place()
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.north.orders.row(f"{ref}:f1")["warehouse"] == "EAST"
    assert list(ship.open_codes().values()) == [{"policy.invalid"}]
    us_rule(ship, ship_from=good)
    ship.run()
    assert ship.open_codes() == {}


def test_a_policy_that_never_was_good_has_nobody_ship_instead_of_the_erp(
    ship: ShippingWorld,
) -> None:
    good = ship.policy["stores"]["us"]["ship_from"]
    us_rule(ship, ship_from=["north_pole"])
    ref = ship.place()
    ship.run(2)
    assert ship.states(ref) == {}
    assert ship.open_codes() == {
        ref: {"fulfilment.no_place"},
        "policy/fulfilment": {"policy.invalid"},
    }
    us_rule(ship, ship_from=good)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.north.count("create") == 1
    assert ship.open_codes() == {}


def test_without_a_policy_the_erp_ships_and_no_warehouse_is_asked(ship: ShippingWorld) -> None:
    (ship.home / "policies" / "fulfilment.yaml").unlink()
    with connected(ship.systems.engine) as connection:
        rules = policy.in_force(ship.systems, connection)
    assert {name: (site.system, site.code) for name, site in rules.sites.items()} == {
        "us1": ("odoo", "US1"),
        "uk1": ("odoo", "UK1"),
    }
    ref = ship.place()
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.north.count("create") == 0
