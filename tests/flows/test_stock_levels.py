"""From what ERPs and warehouses say of stock to one current level, and every level before it."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.errors import TryAgain
from resources.settings import FilesWarehouse
from resources.store import raw
from resources.store.engine import connected
from sync_assets.inventory import levels, reading, stock_files
from tests.stocked import Stock
from tests.worlds import World


@pytest.fixture
def stock(world: World) -> Stock:
    return Stock(world)


def test_a_whole_reading_tells_every_item_at_every_location_of_the_policy(stock: Stock) -> None:
    stock.run()
    assert stock.levels("TEA") == {"uk1": (1000, 0), "us1": (1000, 0)}
    assert stock.levels("SHIPPING") == {}


def test_a_second_reading_of_the_same_keeps_nothing_but_the_moment(stock: Stock) -> None:
    stock.run()
    began = stock.world.clock() + timedelta(seconds=2)
    stock.run()
    assert len(stock.versions("TEA", "us1")) == 1
    assert len(stock.world.rows("select * from raw.odoo__stock_levels")) == 6
    (row,) = stock.world.rows(
        "select true_at from core.stock_levels where sku = 'TEA' and location = 'us1'"
    )
    assert row["true_at"] == began


def test_a_changed_number_is_a_new_version_from_the_moment_the_old_one_ends(stock: Stock) -> None:
    stock.run()
    stock.world.erp.adjust("TEA", "US1", -10)
    stock.run()
    old, new = stock.versions("TEA", "us1")
    assert (old["on_hand_units"], new["on_hand_units"]) == (1000, 990)
    assert old["replaced_at"] == new["known_at"]
    assert new["replaced_at"] is None


def test_an_urgent_run_reads_only_what_moved(stock: Stock) -> None:
    stock.run()
    stock.world.erp.adjust("TEA", "US1", -10)
    stock.world.clock.forward(seconds=5)
    reading.stock_moves(stock.world.systems, "odoo", "run")
    waiting = stock.world.rows("select key from ops.stale where queue = 'stock_reading'")
    tea = stock.world.erp.item("TEA")
    assert [row["key"] for row in waiting] == [f"odoo:{tea}"]
    read = reading.stock_levels(stock.world.systems, "odoo", "run", only_moved=True)
    assert (read.seen, read.new) == (2, 1)
    assert stock.core().changed == 1
    assert stock.levels("TEA") == {"uk1": (1000, 0), "us1": (990, 0)}


def test_what_moved_is_read_once_and_not_again_in_the_next_run(stock: Stock) -> None:
    stock.run()
    stock.world.erp.adjust("TEA", "US1", -10)
    stock.run(only_moved=True)
    assert reading.stock_levels(stock.world.systems, "odoo", "run", only_moved=True).seen == 0


def test_what_was_never_read_whole_is_read_whole_even_in_a_hurry(stock: Stock) -> None:
    stock.run(only_moved=True)
    assert stock.levels("POT") == {"uk1": (1000, 0), "us1": (1000, 0)}


def test_the_moment_of_a_level_read_again_moves_on_though_its_number_does_not(
    stock: Stock,
) -> None:
    stock.run()
    stock.world.erp.receive("TEA", "UK1", 5)
    stock.world.clock.forward(seconds=10)
    now = stock.world.clock()
    stock.read(only_moved=True)
    stock.core()
    assert [row["true_at"] for row in stock.versions("TEA", "us1")] == [now]
    assert stock.levels("TEA")["uk1"] == (1005, 0)


def test_a_reading_that_comes_late_changes_nothing(stock: Stock) -> None:
    stock.run()
    world = stock.world
    stock.world.erp.adjust("TEA", "US1", -10)
    item, none = world.erp.item("TEA"), dict.fromkeys(("allocated", "quarantined", "incoming"), 0)
    told = {"id": item, "sku": "TEA", "warehouse": "US1", "on_hand": 7, **none}
    late = raw.Said(f"{item}@US1", world.clock() - timedelta(hours=1), json.dumps(told))
    with connected(world.systems.engine) as connection:
        # As the newest that is kept: the one it is older than was purged meanwhile.
        connection.exec_driver_sql("delete from raw.odoo__stock_levels")
        raw.append(
            connection, "odoo__stock_levels", [late], raw.Reading("odoo", "delta", late.changed_at)
        )
    assert stock.core().late == 1
    assert stock.levels("TEA")["us1"] == (1000, 0)


def test_a_run_that_dies_between_reading_and_mapping_lets_no_moment_count(stock: Stock) -> None:
    stock.run()
    read_at = "select min(read_at) as at from core.stock_readings"
    before = stock.world.rows(read_at)
    stock.world.erp.adjust("TEA", "US1", -10)
    stock.world.clock.forward(minutes=5)
    stock.read()
    assert stock.world.rows(read_at) == before
    stock.core()
    assert stock.world.rows(read_at) == [{"at": stock.world.clock()}]


def test_a_reading_that_breaks_off_makes_nothing_disappear(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock.run()
    world = stock.world

    class Away:
        """An ERP that answers nothing and then not at all."""

        def stock_levels(self, *_: Any) -> Any:
            yield []
            raise TryAgain("odoo", "away")

    class Open:
        def __enter__(self) -> Away:
            return Away()

        def __exit__(self, *_: Any) -> None:
            return None

    monkeypatch.setattr(world.systems, "erp", lambda name: Open())
    with pytest.raises(TryAgain):
        reading.stock_levels(world.systems, "odoo", "run")
    stock.core()
    assert stock.levels("TEA")["us1"] == (1000, 0)


def test_what_a_whole_reading_no_longer_shows_goes_to_nothing_and_may_come_back(
    stock: Stock,
) -> None:
    stock.run()
    erp, world = stock.world.erp, stock.world
    item = erp.item("TEA")
    with_all = world.systems.erp

    class Without:
        """The ERP without one item."""

        def __init__(self) -> None:
            self.door = with_all("odoo")

        def __enter__(self) -> Any:
            client = self.door.__enter__()
            levels_of = client.stock_levels

            def stock_levels(codes: Any, items: Any = None) -> Any:
                for page in levels_of(codes, items):
                    yield [level for level in page if level["id"] != item]

            client.stock_levels = stock_levels
            return client

        def __exit__(self, *fault: Any) -> None:
            self.door.__exit__(*fault)

    world.clock.forward(minutes=1)
    world.systems.erp = lambda name: Without()  # type: ignore[method-assign,assignment]
    reading.stock_levels(world.systems, "odoo", "run")
    assert stock.core().gone == 2
    assert stock.levels("TEA") == {"uk1": (0, 0), "us1": (0, 0)}
    world.systems.erp = with_all  # type: ignore[method-assign]
    stock.run()
    assert stock.levels("TEA") == {"uk1": (1000, 0), "us1": (1000, 0)}


def test_a_sku_two_items_have_is_nobodys_until_one_of_them_is_archived(stock: Stock) -> None:
    world = stock.world
    item = world.erp.item("TEA")
    world.execute(
        "insert into core.product_refs (system, item_id, sku, name, is_active, changed_at) "
        "values ('odoo', :a, 'TEA', 'Tea', true, now()), ('odoo', 99, 'TEA', 'Twin', true, now()) "
        "on conflict do nothing",
        a=item,
    )
    stock.read()
    assert stock.core().doubled == 2
    assert stock.levels("TEA") == {}
    world.execute("update core.product_refs set is_active = false where item_id = 99")
    assert levels.map_levels(world.systems, "odoo", "run", again=True).new == 2
    assert stock.levels("TEA") == {"uk1": (1000, 0), "us1": (1000, 0)}


def test_a_movement_is_told_once(stock: Stock) -> None:
    stock.run()
    stock.world.erp.receive("TEA", "US1", 12)
    stock.run()
    stock.run()
    rows = stock.world.rows("select kind, sku, to_warehouse, units from core.stock_movements")
    assert rows == [{"kind": "receipt", "sku": "TEA", "to_warehouse": "US1", "units": 12}]


# Files of a warehouse


@pytest.fixture
def dallas(world: World, tmp_path: Path) -> Path:
    """A warehouse that drops files, as a location of the policy."""
    inbox = tmp_path / "dallas"
    inbox.mkdir()
    policy = tmp_path / "availability.yaml"
    policy.write_text(
        "locations:\n  dallas: {source: dallas_3pl, code: dallas_3pl}\n"
        "  us1: {source: odoo, code: US1}\n"
        "channels:\n  us: {locations: [us1, dallas]}\n  uk: {locations: [us1]}\n"
    )
    settings = world.systems.settings
    world.systems.settings = settings.model_copy(
        update={
            "warehouses": {"dallas_3pl": FilesWarehouse(inbox=inbox)},
            "policies": settings.policies.model_copy(update={"availability": policy}),
        }
    )
    return inbox


def take(world: World) -> levels.Levels:
    stock_files.stock_levels(world.systems, "dallas_3pl", "run")
    return levels.map_levels(world.systems, "files", "run")


def test_a_file_becomes_levels_and_goes_away(world: World, dallas: Path) -> None:
    (dallas / "stock_20260302T0800.csv").write_text("sku,on_hand,allocated\nTEA,12,2\nMUG,5,0\n")
    assert take(world).new == 2
    assert Stock(world).levels("TEA") == {"dallas": (12, 2)}
    assert not list(dallas.glob("*.csv"))
    assert len(list((dallas / "done").glob("*.csv"))) == 1


def test_an_older_file_that_comes_late_does_not_overwrite_a_newer_one(
    world: World, dallas: Path
) -> None:
    (dallas / "stock_20260302T0800.csv").write_text("sku,on_hand\nTEA,12\n")
    take(world)
    (dallas / "stock_20260302T0700.csv").write_text("sku,on_hand\nTEA,99\n")
    take(world)
    assert Stock(world).levels("TEA") == {"dallas": (12, 0)}


def test_a_broken_line_is_told_with_its_place_and_costs_no_other(
    world: World, dallas: Path
) -> None:
    (dallas / "stock_20260302T0800.csv").write_text("sku,on_hand\nTEA,some\nMUG,5\n")
    take(world)
    assert Stock(world).levels("MUG") == {"dallas": (5, 0)}
    assert world.open_codes("dallas_3pl") == {"stock.line_invalid"}
    (row,) = world.rows("select * from ops.exception where code = 'stock.line_invalid'")
    assert row["part"] == "stock_20260302T0800.csv:2"
    assert "some" not in row["message"]
    (dallas / "stock_20260302T0900.csv").write_text("sku,on_hand\nTEA,4\n")
    take(world)
    assert world.open_codes("dallas_3pl") == set()


def test_a_file_that_cannot_be_read_is_refused_whole(world: World, dallas: Path) -> None:
    (dallas / "stock_20260302T0800.csv").write_text("what,is,this\n1,2,3\n")
    assert take(world).mapped == 0
    assert world.open_codes("dallas_3pl") == {"stock.file_refused"}
    assert len(list((dallas / "refused").glob("*.csv"))) == 1


def test_a_file_read_again_after_a_crash_changes_nothing(
    world: World, dallas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dallas / "stock_20260302T0800.csv").write_text("sku,on_hand\nTEA,12\n")
    with monkeypatch.context() as patch:
        patch.setattr("resources.systems.stock_files.StockFiles.acknowledge", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stock_files.stock_levels(world.systems, "dallas_3pl", "run")
    assert take(world).new == 1
    assert len(world.rows("select * from raw.files__stock_levels")) == 1


def test_a_place_the_policy_does_not_name_is_told_once(world: World, dallas: Path) -> None:
    (dallas / "stock_20260302T0800.csv").write_text(
        "sku,location,on_hand\nTEA,austin,12\nMUG,austin,3\n"
    )
    found = take(world)
    assert (found.unplaced, found.new) == (2, 0)
    assert world.open_codes("dallas_3pl:austin") == {"stock.location_unknown"}
    assert replace(found, mapped=0) == levels.Levels(unplaced=2)
