"""What warehouses tell of what left, matched to order lines: shared parcels, strange references,
too many units.
"""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.shipping import ShippingWorld, shipping_world

UPS = "1Z999AA10123456784"


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def told(ship: ShippingWorld, reference: str | None, sku: str, units: int, **more: Any) -> str:
    """Let the warehouse tell of a shipment we never asked for; answers its id."""
    now = ship.north.book.said(ship.world.clock())
    line = {"sku": sku, "units": units, "line_key": None, "reference": None, "parcel": 0}
    parcel = {"tracking_number": UPS, "carrier": "UPS", "tracking_url": None, "weight_g": None}
    return ship.north.book.new(
        "shipment",
        {
            "number": "LS-900",
            "state": "shipped",
            "warehouse": "EAST",
            "shipped_at": now,
            "reference": reference,
            "parcels": [parcel],
            "lines": [line],
            "cancelled": [],
            **more,
        },
    )


def lines(ship: ShippingWorld) -> list[tuple[str | None, str, int, str | None]]:
    """Order, SKU, units and parcel of every line that was told."""
    rows = ship.world.rows(
        "select order_ref, sku, units, parcel_ref from core.shipment_lines "
        "order by shipment_ref, line_no"
    )
    return [(r["order_ref"], r["sku"], r["units"], r["parcel_ref"]) for r in rows]


def test_several_orders_in_one_parcel_are_each_told_of_their_own(ship: ShippingWorld) -> None:
    first, second = ship.place(lines={"TEA": 2}), ship.place(lines={"TEA": 1, "MUG": 1})
    ship.run(2)
    ship.north.ship(
        [f"{first}:f1", f"{second}:f1"], parcels=[{"tracking_number": UPS, "carrier": "UPS"}]
    )
    ship.run(3)
    parcel = f"parcel:{UPS}"
    assert lines(ship) == [
        (first, "TEA", 2, parcel),
        (second, "TEA", 1, parcel),
        (second, "MUG", 1, parcel),
    ]
    for ref, left in ((first, {"TEA": 2}), (second, {"TEA": 1, "MUG": 1})):
        assert ship.pickings(ref) == [("done", left)]
        (note,) = ship.notes(ref)
        assert UPS in note
        assert ship.status(ref) == "completed"
    assert len(ship.world.rows("select * from core.parcels")) == 1
    assert ship.track.count(UPS) == 1


def test_what_is_short_of_a_shared_shipment_belongs_to_the_order_that_has_it(
    ship: ShippingWorld,
) -> None:
    first, second = ship.place(lines={"TEA": 2}), ship.place(lines={"TEA": 1, "MUG": 3})
    ship.run(2)
    ship.north.short(f"{second}:f1", "MUG", 3)
    ship.north.ship([f"{first}:f1", f"{second}:f1"])
    ship.run(3)
    assert ship.states(first) == {f"{first}:f1": "shipped"}
    assert ship.states(second) == {f"{second}:f1": "short", f"{second}:f2": "acknowledged"}
    assert ship.progress(second) == {
        "TEA": {"ordered": 1, "shipped": 1},
        "MUG": {"ordered": 3, "requested": 3},
    }
    assert ship.open_codes() == {}


def test_several_parcels_of_one_line_are_one_notice_with_every_number(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 5})
    ship.run(2)
    numbers = [f"1Z999AA1012345{n}" for n in (6784, 6793, 6800)]
    ship.north.ship(
        f"{ref}:f1",
        parcels=[
            {"tracking_number": number, "carrier": "UPS", "lines": {"TEA": units}}
            for number, units in zip(numbers, (2, 2, 1), strict=True)
        ],
    )
    ship.run(3)
    assert [row[1:] for row in lines(ship)] == [
        ("TEA", units, f"parcel:{number}") for number, units in zip(numbers, (2, 2, 1), strict=True)
    ]
    (note,) = ship.notes(ref)
    assert all(number in note for number in numbers)
    assert ship.progress(ref) == {"TEA": {"ordered": 5, "shipped": 5}}
    assert ship.writes()["delivery.create", "done"] == 1
    assert [ship.track.count(number) for number in numbers] == [1, 1, 1]


def test_a_shipment_of_an_unknown_order_waits_for_it_and_is_told_when_it_comes(
    ship: ShippingWorld,
) -> None:
    order_id = ship.world.place(lines={"TEA": 2})
    ref = f"us:{order_id}"
    name = told(ship, str(ship.order(ref)["number"]), "TEA", 2)
    ship.run()
    subject = f"north:{name}"
    assert ship.open_codes() == {subject: {"shipment.order_unknown"}}
    (row,) = ship.world.rows("select sender_ref, owner_role from ops.exception")
    assert (row["sender_ref"], row["owner_role"]) == ("LS-900", "support")
    assert lines(ship) == [(None, "TEA", 2, f"parcel:{UPS}")]

    ship.shop_run()
    ship.run(3)
    assert lines(ship) == [(ref, "TEA", 2, f"parcel:{UPS}")]
    assert ship.open_codes() == {}
    assert ship.pickings(ref) == [("done", {"TEA": 2})]
    assert ship.status(ref) == "completed"
    assert ship.states(ref) == {}
    assert ship.north.count("create") == 0


def test_an_article_that_is_not_on_the_order_is_told_and_the_rest_goes_on(
    ship: ShippingWorld,
) -> None:
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    ship.north.ship(f"{ref}:f1")
    name = told(ship, f"{ref}:f1", "POT", 2)
    ship.run(3)
    assert ship.open_codes() == {f"north:{name}": {"shipment.line_unknown"}}
    assert ship.progress(ref) == {"TEA": {"ordered": 1, "shipped": 1}}
    assert ship.pickings(ref) == [("done", {"TEA": 1})]
    assert len(ship.notes(ref)) == 1
    assert ship.status(ref) == "completed"

    ship.north.book.change("shipment", name, state="cancelled", shipped_at=None, lines=[])
    ship.run(2)
    assert ship.open_codes() == {}


def test_more_shipped_than_ordered_is_told_and_shown_and_not_posted_beyond_the_order(
    ship: ShippingWorld,
) -> None:
    ref = ship.place(lines={"TEA": 2})
    ship.run(2)
    ship.north.ship(f"{ref}:f1")
    ship.run(2)
    told(ship, f"{ref}:f1", "TEA", 1)
    ship.run(3)
    assert ship.progress(ref) == {"TEA": {"ordered": 2, "shipped": 3}}
    assert "shipment.more_than_ordered" in ship.open_codes()[ref]
    assert ship.pickings(ref) == [("done", {"TEA": 2})]
    assert ship.writes()["delivery.create", "parked"] == 1
    assert len(ship.notes(ref)) == 2


def test_a_shipment_that_did_not_leave_after_all_is_taken_back(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 2})
    ship.run(2)
    name = ship.north.ship(f"{ref}:f1")
    ship.read()
    ship.core()
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    ship.north.book.change("shipment", name, state="cancelled", shipped_at=None)
    ship.north.orders.move(f"{ref}:f1", "acknowledged")
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.progress(ref) == {"TEA": {"ordered": 2, "requested": 2}}
    assert ship.notes(ref) == []
    assert ship.pickings(ref) == [("assigned", {"TEA": 2})]


def test_a_packed_shipment_is_told_to_nobody_before_it_leaves(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 2})
    ship.run(2)
    name = told(ship, f"{ref}:f1", "TEA", 2, state="packed", shipped_at=None)
    ship.run(2)
    assert ship.progress(ref) == {"TEA": {"ordered": 2, "requested": 2}}
    assert ship.notes(ref) == []
    now = ship.north.book.said(ship.world.clock())
    ship.north.book.change("shipment", name, state="shipped", shipped_at=now)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert len(ship.notes(ref)) == 1


def test_a_number_two_orders_carry_leads_to_neither(ship: ShippingWorld) -> None:
    number = ship.place("us").partition(":")[2]
    while ship.place("uk").partition(":")[2] != number:
        pass
    name = told(ship, number, "TEA", 1)
    ship.run()
    assert ship.open_codes() == {f"north:{name}": {"shipment.order_unknown"}}


def test_a_shipment_nobody_can_read_is_set_aside_and_its_neighbours_go_on(
    ship: ShippingWorld,
) -> None:
    ref = ship.place(lines={"TEA": 2})
    ship.run(2)
    name = told(ship, f"{ref}:f1", "TEA", -1)
    ship.north.ship(f"{ref}:f1")
    ship.run(3)
    subject = f"north:http__shipments:{name}"
    assert ship.open_codes() == {subject: {"thing.malformed"}}
    assert ship.status(ref) == "completed"
