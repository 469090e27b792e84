"""Orders that leave several places in several parcels: each told once, completed with the last."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.shipping import POLICY, ShippingWorld, shipping_world

UPS, OTHER = "1Z999AA10123456784", "1Z999AA10123456793"


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def asks_for_stock(ship: ShippingWorld, **rule: object) -> None:
    """Let the places be asked for their stock before they are given anything."""
    places = {
        name: {**place, "assumes_stock": name == "uk_own"}
        for name, place in POLICY["places"].items()
    }
    us = {**POLICY["stores"]["us"], **rule}
    ship.rules({"places": places, "stores": {**POLICY["stores"], "us": us}})


def asked(ship: ShippingWorld, ref: str) -> dict[str, tuple[str, str, int]]:
    """What each place was asked for: place, SKU and units by request."""
    rows = ship.world.rows(
        "select f.fulfilment_ref, f.location, l.sku, l.units from core.fulfilment_orders f "
        "join core.fulfilment_lines l using (fulfilment_ref) where f.order_ref = :r order by 1, 3",
        r=ref,
    )
    return {row["fulfilment_ref"]: (row["location"], row["sku"], row["units"]) for row in rows}


def parcel(number: str, **lines: int) -> dict[str, object]:
    return {"tracking_number": number, "carrier": "UPS", **({"lines": lines} if lines else {})}


def test_two_places_and_three_parcels_are_told_apart_and_completed_with_the_last(
    ship: ShippingWorld,
) -> None:
    asks_for_stock(ship)
    ship.stock("east", {"TEA": 5, "MUG": 0})
    ship.stock("west", {"TEA": 0, "MUG": 9})
    ref = ship.place(lines={"TEA": 4, "MUG": 3})
    ship.run(2)
    east, west = f"{ref}:f1", f"{ref}:f2"
    assert asked(ship, ref) == {east: ("east", "TEA", 4), west: ("west", "MUG", 3)}
    assert ship.states(ref) == {east: "acknowledged", west: "acknowledged"}

    ship.north.ship(east, {"TEA": 3}, [parcel(UPS, TEA=2), parcel(OTHER, TEA=1)])
    ship.run(2)
    assert ship.states(ref) == {east: "part_shipped", west: "acknowledged"}
    assert ship.progress(ref) == {
        "TEA": {"ordered": 4, "requested": 1, "shipped": 3},
        "MUG": {"ordered": 3, "requested": 3},
    }
    assert ship.pickings(ref) == [("done", {"TEA": 3}), ("assigned", {"TEA": 1, "MUG": 3})]
    assert len(ship.notes(ref)) == 1
    assert ship.status(ref) == "processing"

    ship.north.ship(west, parcels=[parcel("1Z999AA10123456800")])
    ship.run(2)
    assert ship.states(ref) == {east: "part_shipped", west: "shipped"}
    assert ship.status(ref) == "processing"

    ship.north.ship(east, parcels=[parcel("1Z999AA10123456819")])
    ship.run(2)
    assert ship.states(ref) == {east: "shipped", west: "shipped"}
    assert ship.pickings(ref) == [
        ("done", {"TEA": 3}),
        ("done", {"MUG": 3}),
        ("done", {"TEA": 1}),
    ]
    first, second, third = ship.notes(ref)
    assert (UPS in first, OTHER in first) == (True, True)
    assert ("1Z999AA10123456800" in second, "1Z999AA10123456819" in third) == (True, True)
    assert ship.status(ref) == "completed"
    assert ship.writes() == {
        ("fulfilment.create", "done"): 2,
        ("delivery.create", "done"): 3,
        ("notice.create", "done"): 3,
        ("completion.create", "done"): 1,
    }
    assert [ship.north.count(effect) for effect in ("create", "change", "cancel")] == [2, 0, 0]


def test_more_runs_after_the_end_do_nothing(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.run(2)
    ship.north.ship(f"{ref}:f1")
    ship.run(3)
    assert ship.status(ref) == "completed"
    told = (ship.writes(), ship.notes(ref), ship.pickings(ref), ship.steps_of(f"{ref}:f1"))
    ship.all_run(2)
    assert (ship.writes(), ship.notes(ref), ship.pickings(ref), ship.steps_of(f"{ref}:f1")) == told
    assert ship.steps_of(f"{ref}:f1") == ["planned", "released", "acknowledged", "shipped"]


def test_a_store_that_never_splits_waits_for_one_place_that_has_it_all(
    ship: ShippingWorld,
) -> None:
    asks_for_stock(ship, split="never", backorder="wait")
    ship.stock("east", {"TEA": 5, "MUG": 0})
    ship.stock("west", {"TEA": 0, "MUG": 9})
    ref = ship.place(lines={"TEA": 4, "MUG": 3})
    ship.run(2)
    assert asked(ship, ref) == {}
    assert ship.open_codes()[ref] == {"fulfilment.no_stock"}
    assert ship.north.count("create") == 0

    ship.stock("west", {"TEA": 4, "MUG": 9})
    ship.run(2)
    assert {one[0] for one in asked(ship, ref).values()} == {"west"}
    assert ship.open_codes() == {}


def test_the_next_order_finds_what_the_one_before_was_promised_gone(ship: ShippingWorld) -> None:
    asks_for_stock(ship, backorder="wait")
    ship.stock("east", {"TEA": 3})
    ship.stock("west", {"TEA": 2})
    first = ship.world.place(lines={"TEA": 3})
    second = ship.world.place(lines={"TEA": 3})
    ship.world.run()
    ship.run()
    assert asked(ship, f"us:{first}") == {f"us:{first}:f1": ("east", "TEA", 3)}
    assert asked(ship, f"us:{second}") == {f"us:{second}:f1": ("west", "TEA", 2)}
    assert ship.open_codes()[f"us:{second}"] == {"fulfilment.no_stock"}


def test_a_closed_place_is_asked_for_nothing(ship: ShippingWorld) -> None:
    places = {**POLICY["places"], "east": {**POLICY["places"]["east"], "is_closed": True}}
    ship.rules({"places": places})
    ref = ship.place()
    ship.run()
    assert {one[0] for one in asked(ship, ref).values()} == {"west"}


def test_an_address_nobody_serves_is_told_and_shipped_once_somebody_does(
    ship: ShippingWorld,
) -> None:
    places = {name: {**one, "countries": ["CA"]} for name, one in POLICY["places"].items()}
    ship.rules({"places": places})
    ref = ship.place()
    ship.run(2)
    assert asked(ship, ref) == {}
    assert ship.open_codes()[ref] == {"fulfilment.no_place"}
    ship.rules({"places": POLICY["places"]})
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "released"}
    assert ship.open_codes() == {}


def test_what_is_not_paid_or_not_in_the_erp_is_given_to_nobody(ship: ShippingWorld) -> None:
    unpaid = ship.place(status="on-hold")
    odd = ship.place(lines={"NOWHERE": 1})
    ship.run(2)
    assert (ship.states(unpaid), ship.states(odd)) == ({}, {})
    assert ship.north.count("create") == 0
