"""Our claims on stock: they hold from the order on, and fall with the reading that shows it."""

from datetime import timedelta

import pytest

from resources.sandbox.faults import Fault, Trouble
from tests.stocked import Stock
from tests.worlds import World


@pytest.fixture
def stock(world: World) -> Stock:
    """Stock that was read, and orders that are taken."""
    world.read()
    world.core()
    stock = Stock(world)
    stock.run()
    return stock


def order(stock: Stock, **more: object) -> str:
    """Place an order for three TEA in the us store and take it in; answers its key."""
    number = stock.world.place("us", lines={"TEA": 3}, **more)
    take_in(stock)
    return f"us:{number}"


def take_in(stock: Stock) -> None:
    stock.world.clock.forward(seconds=2)
    stock.world.read()
    stock.world.core()
    stock.reserve()
    stock.compute()


def test_an_order_holds_its_pieces_before_any_erp_has_heard_of_it(stock: Stock) -> None:
    ref = order(stock)
    assert stock.reservations(ref) == {"TEA": ("open", 3)}
    assert stock.sellable("TEA") == {"uk": 1000, "us": 997}


def test_it_is_held_on_until_a_reading_newer_than_the_acceptance(stock: Stock) -> None:
    ref = order(stock)
    stock.world.plan()
    assert stock.world.send().accepted == 1
    stock.reserve()
    assert stock.reservations(ref) == {"TEA": ("open", 3)}
    stock.world.clock.forward(seconds=5)
    stock.read(only_moved=True)
    stock.core()
    stock.reserve()
    stock.compute()
    assert stock.levels("TEA")["us1"] == (1000, 3)
    assert stock.reservations(ref) == {"TEA": ("covered", 0)}
    assert stock.sellable("TEA") == {"uk": 1000, "us": 997}


def test_a_reading_older_than_the_acceptance_releases_nothing(stock: Stock) -> None:
    ref = order(stock)
    stock.read()  # began before the ERP took the order
    stock.world.clock.forward(seconds=5)
    stock.world.plan()
    stock.world.send()
    stock.core()
    stock.reserve()
    assert stock.reservations(ref) == {"TEA": ("open", 3)}


def test_a_whole_reading_that_changes_no_number_releases_it_too(stock: Stock) -> None:
    ref = order(stock)
    stock.world.plan()
    stock.world.send()
    stock.world.erp.ship(ref)
    stock.world.erp.receive("TEA", "US1", 3)  # what is there and what is promised are as before
    stock.run()
    assert len(stock.versions("TEA", "us1")) == 1
    assert stock.reservations(ref) == {"TEA": ("covered", 0)}


def test_an_order_cancelled_before_acceptance_releases_at_once(stock: Stock) -> None:
    ref = order(stock)
    stock.world.shops["us"].set_status(int(ref.split(":")[1]), "cancelled")
    take_in(stock)
    assert stock.reservations(ref) == {"TEA": ("released", 0)}
    assert stock.sellable("TEA")["us"] == 1000


def test_an_unpaid_order_holds_its_pieces_for_an_hour(stock: Stock) -> None:
    ref = order(stock, status="pending")
    assert stock.reservations(ref) == {"TEA": ("open", 3)}
    stock.world.clock.forward(minutes=61)
    stock.reserve()
    stock.compute()
    assert stock.reservations(ref) == {"TEA": ("expired", 0)}
    assert stock.sellable("TEA")["us"] == 1000


def test_an_order_placed_before_its_store_sends_any_holds_nothing(stock: Stock) -> None:
    settings = stock.world.systems.settings
    later = stock.world.clock() + timedelta(days=1)
    store = settings.stores["us"].model_copy(update={"send_orders_from": later})
    stock.world.systems.settings = settings.model_copy(
        update={"stores": {**settings.stores, "us": store}}
    )
    assert stock.reservations(order(stock)) == {}


def test_a_kit_holds_what_is_in_it(stock: Stock) -> None:
    stock.world.execute(
        "insert into core.product_components (system, item_id, sku, component_id, component_sku, "
        "component_units) "
        "values ('odoo', 900, 'SET', 1, 'TEA', 2), ('odoo', 900, 'SET', 2, 'MUG', 1)"
    )
    number = stock.world.place("us", lines={"SET": 3})
    take_in(stock)
    assert stock.reservations(f"us:{number}") == {"MUG": ("open", 3), "TEA": ("open", 6)}


def test_working_it_out_again_changes_nothing(stock: Stock) -> None:
    order(stock)
    again = stock.reserve(whole=True)
    assert (again.orders, again.new, again.changed) == (1, 0, 0)


def test_an_order_marked_by_a_run_that_died_is_worked_out_by_the_next(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stock.world.place("us", lines={"TEA": 3})
    stock.world.clock.forward(seconds=2)
    stock.world.read()
    stock.world.core()
    with monkeypatch.context() as patch:
        patch.setattr("resources.store.versions.keep_changed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stock.reserve()
    stock.reserve()
    assert stock.reservations(f"us:{number}") == {"TEA": ("open", 3)}


@pytest.mark.parametrize("trouble", [Trouble.CUT_AFTER, Trouble.CUT_BEFORE])
def test_an_order_cancelled_while_its_write_is_under_way_holds_on_until_the_erp_was_looked_at(
    stock: Stock, trouble: Trouble
) -> None:
    ref = order(stock)
    world = stock.world
    world.plan()
    world.erp.faults.plan(Fault(trouble, operation="sale.order.load", times=9))
    world.send()
    assert world.outbox()[ref] in ("unknown", "waiting")
    world.erp.faults.clear()
    world.shops["us"].set_status(int(ref.partition(":")[2]), "cancelled")
    take_in(stock)
    assert stock.reservations(ref) == {"TEA": ("open", 3)}  # the ERP may be about to ship it
    assert stock.sellable("TEA")["us"] == 997
    for _ in range(6):
        world.clock.forward(minutes=30)
        world.plan()
        world.send()
    stock.run()
    assert stock.reservations(ref) == {"TEA": ("released", 0)}
    assert stock.sellable("TEA")["us"] == 1000


def test_what_no_stock_is_kept_of_is_not_reserved_before_or_after_acceptance(stock: Stock) -> None:
    world = stock.world
    world.erp.add_product("WRAP", "Gift wrap", "2.00", kind="service")
    world.read()
    world.core()
    number = world.place("us", lines={"TEA": 3, "WRAP": 1})
    take_in(stock)
    ref = f"us:{number}"
    assert stock.reservations(ref) == {"TEA": ("open", 3)}
    world.plan()
    assert world.send().accepted == 1
    stock.reserve()
    assert stock.reservations(ref) == {"TEA": ("open", 3)}
    stock.run()
    assert stock.reservations(ref) == {"TEA": ("covered", 0)}
