"""Orders the ERP's own warehouse ships: its deliveries are read, nothing is posted back to it."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from resources.sandbox import odoo_transfers
from tests.effort import at_most
from tests.shipping import ShippingWorld, shipping_world


@pytest.fixture(params=at_most([19], [18, 19]))
def ship(
    request: pytest.FixtureRequest,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path, version=request.param)


def place(ship: ShippingWorld, **lines: int) -> str:
    return ship.place("uk", lines=lines)


def test_a_planned_delivery_is_the_acknowledgement_and_its_end_the_shipment(
    ship: ShippingWorld,
) -> None:
    ref = place(ship, TEA=2, MUG=1)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    (number,) = [one["name"] for one in ship.world.erp.pickings_of(ref)]
    (receipt,) = ship.world.rows("select remote_number from receipt.odoo__fulfilment_orders")
    assert receipt["remote_number"] == number
    assert ship.notes(ref) == []

    assert ship.world.erp.ship(ref, tracking="1Z999AA10123456784") == 3
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    (note,) = ship.notes(ref)
    assert "1Z999AA10123456784" in note
    assert ship.status(ref) == "completed"
    assert ship.writes() == {
        ("fulfilment.create", "done"): 1,
        ("notice.create", "done"): 1,
        ("completion.create", "done"): 1,
    }
    assert ship.pickings(ref) == [("done", {"TEA": 2, "MUG": 1})]
    assert ship.north.count("create") == 0


def test_a_part_the_erp_ships_is_told_and_the_order_ends_with_its_backorder(
    ship: ShippingWorld,
) -> None:
    ref = place(ship, TEA=3)
    ship.run(2)
    ship.world.erp.ship(ref, {"TEA": 1})
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "part_shipped"}
    assert ship.status(ref) == "processing"
    assert len(ship.notes(ref)) == 1
    ship.world.erp.ship(ref)
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert len(ship.notes(ref)) == 2
    assert ship.status(ref) == "completed"
    assert ship.writes()["delivery.create", "done"] == 0


def test_what_we_posted_ourselves_is_no_shipment_of_the_erps(ship: ShippingWorld) -> None:
    ref = ship.place("us", lines={"TEA": 2})
    ship.run(2)
    ship.north.ship(f"{ref}:f1")
    ship.run(4)
    assert ship.pickings(ref) == [("done", {"TEA": 2})]
    rows = ship.world.rows(
        "select system, sum(units) as units from core.shipments "
        "join core.shipment_lines using (shipment_ref) group by 1"
    )
    assert [(row["system"], row["units"]) for row in rows] == [("north", 2)]
    assert ship.progress(ref) == {"TEA": {"ordered": 2, "shipped": 2}}
    assert ship.open_codes() == {}


def test_a_full_refund_before_shipping_closes_the_open_delivery(ship: ShippingWorld) -> None:
    ref = place(ship, TEA=2)
    ship.run(2)
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].refund(order_id, amount=ship.order(ref)["total"])
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert ship.pickings(ref) == [("cancel", {"TEA": 2})]
    assert ship.notes(ref) == []
    assert ship.status(ref) == "refunded"
    assert ship.open_codes() == {}


def test_a_part_refunded_before_shipping_is_a_persons_work_in_the_erp(
    ship: ShippingWorld,
) -> None:
    ref = place(ship, TEA=2, MUG=1)
    ship.run(2)
    ship.refund(ref, {"MUG": 1})
    ship.all_run(2)
    assert ship.open_codes() == {ref: {"fulfilment.change_at_erp"}}
    assert ship.pickings(ref) == [("assigned", {"TEA": 2, "MUG": 1})]
    ship.world.erp.ship(ref, {"TEA": 2})
    ship.all_run(3)
    assert ship.status(ref) == "completed"
    assert ship.open_codes() == {}


def test_an_order_cancelled_in_the_shop_is_cancelled_in_the_erp_with_its_delivery(
    ship: ShippingWorld,
) -> None:
    ref = place(ship, TEA=2)
    ship.run(2)
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].set_status(order_id, "cancelled")
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert ship.pickings(ref) == [("cancel", {"TEA": 2})]
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["cancel"]
    assert ship.open_codes() == {}


def test_a_delivery_cancelled_in_the_erp_is_told_and_nobody_else_ships_it(
    ship: ShippingWorld,
) -> None:
    ref = place(ship, TEA=2)
    ship.run(2)
    (picking,) = ship.world.erp.tables.find(
        "stock.picking", "name", ship.world.erp.pickings_of(ref)[0]["name"]
    )
    with ship.world.erp.writing():
        odoo_transfers.cancel(ship.world.erp.db, [picking], {})
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "refused"}
    assert ship.open_codes() == {ref: {"fulfilment.no_stock"}, f"{ref}:f1": {"fulfilment.refused"}}
    assert ship.north.count("create") == 0
