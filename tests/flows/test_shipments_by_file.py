"""A warehouse that exchanges CSV files: asked by file, answered by file, and read once."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from resources.sandbox.warehouse_files import WarehouseFilesStandIn
from resources.store.engine import connected
from sync_assets.shipments.replanning import replan
from tests.shipping import STOCK, ShippingWorld, shipping_world

UPS = "1Z999AA10123456784"


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    ship = shipping_world(engine, tmp_path)
    root = tmp_path / "depot"
    shipping = {
        "orders_to": str(root / "orders"),
        "acknowledgements_from": str(root / "acknowledgements"),
        "shipments_from": str(root / "shipments"),
        "returns_from": str(root / "returns"),
    }
    ship.configure(warehouses={"depot": {"kind": "files", "shipping": shipping}})
    places = {
        **ship.policy["places"],
        "depot_east": {"system": "depot", "code": "EAST", "assumes_stock": True},
    }
    stores = {**ship.policy["stores"], "us": {"ship_from": ["depot_east"]}}
    ship.rules({"places": places, "stores": stores})
    return ship


@pytest.fixture
def depot(ship: ShippingWorld) -> WarehouseFilesStandIn:
    return WarehouseFilesStandIn(ship.home / "depot", now=ship.world.clock, places=STOCK)


def released(ship: ShippingWorld, **lines: int) -> str:
    """An order whose file lies in the depot's folder."""
    ref = ship.place(lines=lines or {"TEA": 2, "MUG": 1})
    ship.run()
    return ref


def acknowledged(ship: ShippingWorld, depot: WarehouseFilesStandIn, **lines: int) -> str:
    ref = released(ship, **lines)
    depot.take_in()
    ship.run()
    return ref


def lying(depot: WarehouseFilesStandIn, what: str, under: str = "") -> int:
    """How many files lie somewhere."""
    return len(list((depot.folder(what) / under).glob("*.csv")))


def test_a_request_is_a_file_and_its_answers_too(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    ref = released(ship)
    (path,) = depot.folder("orders").glob("*.csv")
    assert path.name.startswith(f"{ref.replace(':', '-')}-f1.v1.")
    assert ship.states(ref) == {f"{ref}:f1": "released"}
    assert len(depot.take_in()) == 1
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}

    depot.ship(f"{ref}:f1", parcels=[{"tracking_number": UPS, "carrier": "UPS"}])
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    (note,) = ship.notes(ref)
    assert UPS in note
    assert ship.pickings(ref) == [("done", {"TEA": 2, "MUG": 1})]
    assert ship.status(ref) == "completed"
    assert [lying(depot, what) for what in ("orders", "acknowledgements", "shipments")] == [0, 0, 0]
    assert [lying(depot, what, "done") for what in ("acknowledgements", "shipments")] == [1, 1]
    assert depot.house.count("create") == 1


def test_runs_write_no_second_file(ship: ShippingWorld, depot: WarehouseFilesStandIn) -> None:
    released(ship)
    ship.run(3)
    assert lying(depot, "orders") == 1
    assert ship.writes() == {("fulfilment.create", "done"): 1}


def damaged_day(
    ship: ShippingWorld, depot: WarehouseFilesStandIn, old: str, new: str
) -> tuple[str, str]:
    """Two shipments in a file, one told with a fault: its order and id, when the other went on."""
    good, bad = acknowledged(ship, depot, TEA=1), acknowledged(ship, depot, MUG=1)
    depot.house.ship(f"{good}:f1")
    name = depot.house.ship(f"{bad}:f1")
    depot.tell_whole_day()
    (path,) = depot.folder("shipments").glob("*.csv")
    path.write_text(path.read_text().replace(old, new))
    ship.run(3)
    assert (ship.status(good), ship.status(bad)) == ("completed", "processing")
    return bad, name


def test_a_line_that_is_none_is_set_aside_and_stays_a_persons_work(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    ref, name = damaged_day(ship, depot, ",MUG,1,", ",MUG")
    told = {"depot": {"warehouse_file.line_invalid"}}
    assert ship.open_codes() == told
    depot.correct(name)
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.open_codes() == told


def test_units_that_are_no_number_are_told_until_they_are_corrected(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    ref, name = damaged_day(ship, depot, ",MUG,1,", ",MUG,many,")
    assert ship.open_codes() == {f"depot:files__shipments:{name}": {"thing.malformed"}}
    depot.correct(name)
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.open_codes() == {}


def test_a_file_with_strange_columns_is_refused_whole(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    depot.drop("shipments", "who,what\r\nme,nothing\r\n")
    ship.run()
    assert ship.open_codes() == {"depot": {"warehouse_file.refused"}}
    assert lying(depot, "shipments", "refused") == 1
    ship.run()
    assert len(ship.world.rows("select * from ops.exception")) == 1


def test_the_same_file_twice_and_a_whole_day_told_again_change_nothing(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    ref = acknowledged(ship, depot)
    depot.ship(f"{ref}:f1")
    ship.run(3)
    for _ in range(2):
        depot.tell_whole_day()
        depot.send_again("shipments")
        ship.run()
    assert ship.progress(ref)["TEA"] == {"ordered": 2, "shipped": 2}
    assert len(ship.notes(ref)) == 1
    assert ship.pickings(ref) == [("done", {"TEA": 2, "MUG": 1})]
    assert lying(depot, "shipments") == 0
    assert ship.open_codes() == {}


def test_a_correction_changes_the_number_and_the_notice(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    ref = acknowledged(ship, depot)
    name = depot.ship(f"{ref}:f1")
    ship.run(3)
    depot.correct(name, tracking_number=UPS)
    ship.run(3)
    rows = ship.world.rows("select distinct parcel_ref from core.shipment_lines")
    assert rows == [{"parcel_ref": f"parcel:{UPS}"}]
    meta = {one["key"]: one["value"] for one in ship.order(ref)["meta_data"]}
    assert [row["tracking_number"] for row in meta["_tracking"]] == [UPS]
    assert len(ship.notes(ref)) == 1


def test_a_cancelled_order_is_taken_back_by_a_file_of_its_own(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    ref = acknowledged(ship, depot)
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].set_status(order_id, "cancelled")
    ship.all_run(2)
    assert lying(depot, "orders") == 1
    assert ship.states(ref) == {f"{ref}:f1": "cancel_requested"}
    ship.all_run()
    assert lying(depot, "orders") == 1
    depot.take_in()
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "cancelled"}
    assert depot.house.count("cancel") == 1
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["cancel"]
    assert ship.open_codes() == {}


def test_a_cancellation_the_depot_rejects_ships_and_is_told(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    ref = acknowledged(ship, depot)
    depot.house.pick(f"{ref}:f1")
    store, order_id = ship.place_of(ref)
    ship.world.shops[store].set_status(order_id, "cancelled")
    ship.all_run(2)
    depot.take_in()
    ship.all_run(2)
    assert "shipment.after_the_end" in ship.open_codes()[ref]
    assert (lying(depot, "orders"), lying(depot, "orders", "taken")) == (0, 2)
    depot.ship(f"{ref}:f1")
    ship.all_run(3)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.pickings(ref) == [("done", {"TEA": 2, "MUG": 1})]
    assert [order["state"] for order in ship.world.in_erp()[ref]] == ["sale"]


def test_what_the_depot_refuses_is_told_with_its_reason_and_sent_again_on_request(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    depot.house.refuse_sku("MUG", "mugs are banned")
    ref = acknowledged(ship, depot)
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "refused"}
    assert ship.open_codes()[f"{ref}:f1"] == {"fulfilment.refused"}
    (row,) = ship.world.rows("select message from ops.exception where code = 'fulfilment.refused'")
    assert "mugs are banned" in row["message"]

    depot.house.orders.refusals.clear()
    with connected(ship.systems.engine) as connection:
        replan(connection, f"{ref}:f1", by="ada", reason="lifted", now=ship.world.clock())
    ship.run()
    assert lying(depot, "orders") == 1
    depot.take_in()
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert depot.house.orders.row(f"{ref}:f1")["version"] == 2


def test_less_wanted_before_picking_is_a_newer_version_in_a_file(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    ref = acknowledged(ship, depot, TEA=3)
    ship.refund(ref, {"TEA": 1})
    ship.all_run(2)
    depot.take_in()
    ship.all_run(2)
    assert [line["units"] for line in depot.house.orders.row(f"{ref}:f1")["lines"]] == [2]
    assert depot.house.orders.row(f"{ref}:f1")["version"] == 2
    depot.ship(f"{ref}:f1")
    ship.all_run(3)
    assert ship.status(ref) == "completed"
    assert ship.pickings(ref) == [("done", {"TEA": 2}), ("cancel", {"TEA": 1})]


def test_a_folder_that_cannot_be_reached_waits_and_nothing_is_lost(
    ship: ShippingWorld, depot: WarehouseFilesStandIn
) -> None:
    folder = depot.folder("orders")
    away = folder.rename(folder.with_name("away"))
    ref = released(ship, TEA=1)
    assert ship.states(ref) == {f"{ref}:f1": "released"}
    away.rename(folder)
    ship.world.clock.forward(minutes=30)
    ship.run()
    assert lying(depot, "orders") == 1
    assert ship.open_codes() == {}
