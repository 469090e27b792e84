"""What each channel may sell, kept up to date: of what changed, or of everything."""

from pathlib import Path

import pytest

from checks.stock import READ_WITHIN, above_promise, not_read_since
from resources.store import stale
from resources.store.engine import connected
from tests.stocked import Stock
from tests.worlds import World


@pytest.fixture
def stock(world: World) -> Stock:
    """Stock that was read and worked out once."""
    stock = Stock(world)
    stock.run()
    return stock


def policy(stock: Stock, folder: Path, channel: str) -> None:
    """Put a policy in force in which both stores sell from us1."""
    path = folder / "availability.yaml"
    path.write_text(
        "locations:\n  us1: {source: odoo, code: US1}\n  uk1: {source: odoo, code: UK1}\n"
        f"channels:\n  us: {{locations: [us1]{channel}}}\n  uk: {{locations: [us1, uk1]}}\n"
    )
    settings = stock.world.systems.settings
    policies = settings.policies.model_copy(update={"availability": path})
    stock.world.systems.settings = settings.model_copy(update={"policies": policies})


def kit(stock: Stock, sku: str, **parts: int) -> None:
    for number, (part, units) in enumerate(parts.items()):
        stock.world.execute(
            "insert into core.product_components (system, item_id, sku, component_id, "
            "component_sku, component_units) "
            "values ('odoo', hashtext(:sku), :sku, :number, :part, :units)",
            sku=sku,
            number=number,
            part=part,
            units=units,
        )


def test_only_what_changed_is_worked_out_and_only_what_differs_is_written(stock: Stock) -> None:
    stock.world.erp.adjust("TEA", "US1", -10)
    stock.world.clock.forward(seconds=2)
    stock.read(only_moved=True)
    stock.core()
    done = stock.compute()
    assert (done.computed, done.new, done.changed, done.is_whole) == (2, 0, 1, False)
    assert stock.sellable("TEA") == {"uk": 1000, "us": 990}


def test_nothing_marked_is_nothing_to_do(stock: Stock) -> None:
    assert stock.compute().computed == 0


def test_everything_worked_out_again_writes_nothing(stock: Stock) -> None:
    done = stock.compute(whole=True)
    assert (done.computed, done.new, done.changed, done.ended) == (6, 0, 0, 0)


def test_a_kit_follows_its_scarcest_component(stock: Stock) -> None:
    kit(stock, "SET", TEA=2, MUG=1)
    stock.compute()
    assert stock.sellable("SET") == {"uk": 500, "us": 500}
    stock.world.erp.adjust("MUG", "US1", -993)
    stock.run(only_moved=True)
    assert stock.sellable("SET") == {"uk": 500, "us": 7}
    (row,) = stock.world.rows(
        "select limited_by, scarcest_sku from core.availability "
        "where sku = 'SET' and channel = 'us'"
    )
    assert row == {"limited_by": "component", "scarcest_sku": "MUG"}


def test_a_kit_in_a_kit_follows_too(stock: Stock) -> None:
    kit(stock, "SET", TEA=2)
    kit(stock, "BOX", SET=5)
    stock.run()
    stock.world.erp.adjust("TEA", "US1", -960)
    stock.run(only_moved=True)
    assert stock.sellable("BOX") == {"uk": 100, "us": 4}


def test_kits_that_contain_one_another_sell_nothing_and_stop_nobody(stock: Stock) -> None:
    kit(stock, "SET", TEA=1, BOX=1)
    kit(stock, "BOX", SET=1)
    stock.world.erp.adjust("TEA", "US1", -960)
    stock.run()
    assert stock.sellable("SET") == {"uk": 0, "us": 0}
    assert stock.sellable("TEA") == {"uk": 1000, "us": 40}
    assert stock.world.open_codes("sku:SET") == {"stock.kit_circle"}
    stock.world.execute("delete from core.product_components where sku = 'BOX'")
    stock.run()
    assert stock.world.open_codes("sku:SET") == set()


def test_another_policy_is_applied_by_the_next_run_without_a_mark(
    stock: Stock, tmp_path: Path
) -> None:
    policy(stock, tmp_path, ", cap_units: 25")
    done = stock.compute()
    assert done.is_whole
    assert stock.sellable("TEA") == {"uk": 2000, "us": 25}
    hashes = stock.world.rows("select distinct policy_hash from core.availability")
    assert len(hashes) == 1
    assert stock.compute().computed == 0


def test_the_numbers_of_a_channel_that_is_no_more_end(stock: Stock, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(
        "locations:\n  us1: {source: odoo, code: US1}\nchannels:\n  us: {locations: [us1]}\n"
    )
    settings = stock.world.systems.settings
    policies = settings.policies.model_copy(update={"availability": path})
    stock.world.systems.settings = settings.model_copy(update={"policies": policies})
    assert stock.compute().ended == 3
    assert stock.sellable("TEA") == {"us": 1000}


def test_what_was_sellable_at_a_moment_can_be_asked_later(stock: Stock) -> None:
    before = stock.world.clock()
    stock.world.erp.adjust("TEA", "US1", -960)
    stock.run()
    query = (
        "select sellable_units from mart.availability_history where sku = 'TEA' and channel = 'us' "
        "and valid_from <= :at and (valid_until is null or valid_until > :at)"
    )
    assert stock.world.rows(query, at=before) == [{"sellable_units": 1000}]
    assert stock.world.rows(query, at=stock.world.clock()) == [{"sellable_units": 40}]


def test_a_run_that_dies_leaves_its_marks(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(stock.world.systems.engine) as connection:
        stale.mark(connection, "availability", ["TEA"], stock.world.clock())
    with monkeypatch.context() as patch:
        patch.setattr("resources.store.versions.keep_changed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stock.compute()
    assert stock.compute().computed == 2


def test_what_changed_marks_its_listings_to_be_planned(stock: Stock) -> None:
    stock.world.execute("delete from ops.stale")
    stock.world.erp.adjust("TEA", "US1", -960)
    stock.run(only_moved=True)
    rows = stock.world.rows("select key from ops.stale where queue = 'stock_plan'")
    assert rows == [{"key": "TEA"}]


def test_the_check_names_a_number_above_what_can_be_promised(stock: Stock) -> None:
    with connected(stock.world.systems.engine) as connection:
        assert above_promise(connection) == []
        connection.exec_driver_sql(
            "update core.availability_versions set atp_units = 5 "
            "where sku = 'TEA' and channel = 'us' and replaced_at is null"
        )
        assert above_promise(connection) == [{"channel": "us", "sku": "TEA"}]


def test_the_check_names_a_location_whose_last_whole_reading_is_old(stock: Stock) -> None:
    now = stock.world.clock()
    with connected(stock.world.systems.engine) as connection:
        assert not_read_since(connection, now - READ_WITHIN) == []
        late = not_read_since(connection, now)
    assert [row["location"] for row in late] == ["uk1", "us1"]


def test_a_service_in_a_kit_does_not_limit_it(stock: Stock) -> None:
    kit(stock, "SET", TEA=2, WRAP=1)
    stock.world.execute(
        "insert into core.products (system, item_id, sku, kind, name, description, is_active, "
        "is_for_sale, is_stocked, is_virtual, tax_class, item_group, categories, attributes, "
        "images, changed_at, raw_version) select 'odoo', component_id, 'WRAP', 'service', 'Wrap', "
        "'', true, true, false, true, '', '', '[]', '{}', '[]', now(), 1 "
        "from core.product_components where component_sku = 'WRAP'"
    )
    stock.compute(whole=True)
    assert stock.sellable("SET") == {"uk": 500, "us": 500}
