"""A small promotion, whole: the bench's scenario over minutes, and the faults it brought to light.

The large one is bench/surge.py.
"""

from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec

import pytest

from resources.sandbox import baskets
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.surge import Surge, at_checkout, scarce
from resources.store import outbox, postgres
from resources.store.engine import connected
from resources.systems.odoo import Odoo
from sensors import pending
from sync_assets.jobs import ORDERS_NOW
from sync_assets.ops.surge import START, Conditions, stock_alone
from sync_assets.ops.tally import play, share
from sync_assets.orders import planning
from tests.worlds import World

needs_package = pytest.mark.skipif(
    find_spec(baskets.PACKAGE) is None, reason="the demo's baskets are not installed"
)
SMALL = Surge(
    START,
    per_minute=2,
    hours=0.1,
    before=timedelta(minutes=1),
    after=timedelta(minutes=1),
    seed=7,
)
HARD = Conditions(
    calls_per_second=2.0,
    erp_per_minute=130,
    erp_concurrent=2,
    batch=5,
    maintenance=timedelta(minutes=2),
    drained_after=timedelta(seconds=20),
    slow_for=timedelta(minutes=2),
    catalogue=100,
    provider_senders=8,
    faults=0.08,
)
TINY = replace(SMALL, hours=0.04)
EASY = Conditions(
    calls_per_second=20,
    erp_per_minute=10_000,
    maintenance=timedelta(),
    slow_for=timedelta(),
    helpers=0,
    faults=0,
    has_traffic=False,
)


@needs_package
def test_a_surge_loses_nothing_doubles_nothing_and_hides_nothing(
    database: postgres.Databases,
) -> None:
    orders = list(baskets.orders(len(SMALL.moments()), 7))
    numbers = play(SMALL, orders, database, HARD).numbers
    assert (numbers["lost"], numbers["doubled"], numbers["oversold"]) == (0, 0, 0)
    assert numbers["unwanted"] == 0
    assert numbers["orders"] == len(orders)
    assert numbers["accepted"] + numbers["held"] == numbers["wanted"]
    assert (numbers["shipments_lost"], numbers["shipments_doubled"]) == (0, 0)
    assert numbers["shipments"] == numbers["accepted"]
    assert numbers["catalogue_writes"] == 100
    # What was to be in the way was in the way.
    assert numbers["refused_in_maintenance"] > 0
    assert numbers["breaker_openings"] > 0
    assert numbers["too_many_at_once"] > 0
    assert numbers["answers_lost"] > 0
    assert numbers["flagged"] > 0


@needs_package
def test_orders_that_nobody_tells_of_or_asks_for_count_as_lost(
    database: postgres.Databases,
) -> None:
    deaf = replace(EASY, lost=1.0, poll_seconds=100_000)
    orders = list(baskets.orders(len(TINY.moments()), 7))
    outcome = play(TINY, orders, database, deaf)
    numbers = outcome.numbers
    assert numbers["lost"] + numbers["accepted"] + numbers["held"] == numbers["wanted"]
    assert numbers["lost"] > numbers["wanted"] - 5
    assert outcome.wrong["lost"][0].endswith(": nothing is known")


@needs_package
def test_units_beyond_the_stock_that_nobody_is_told_of_count_as_oversold(
    database: postgres.Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Odoo, "unconfirmed_stock", lambda erp, ids: set())
    orders = list(baskets.orders(len(TINY.moments()), 7))
    numbers = play(TINY, orders, database, EASY).numbers
    assert numbers["flagged"] == 0
    assert numbers["oversold"] == numbers["short_units"] > 0


def test_stock_that_goes_alone_waits_for_nothing_but_its_call(
    database: postgres.Databases,
) -> None:
    waited = stock_alone(SMALL, database, HARD)
    assert len(waited) > 200
    assert share(waited, 0.95) <= 1.3  # a second until somebody looks, and the call


def test_a_surge_is_six_times_the_base_rate_and_the_same_every_time() -> None:
    surge = Surge(START, per_minute=10, hours=1, seed=3)
    moments = surge.moments()
    within = [at for at in moments if surge.begins_at <= at < surge.ends_at]
    assert len(within) == pytest.approx(3600, rel=0.05)
    assert len(moments) - len(within) == pytest.approx(150, rel=0.3)
    assert moments == sorted(moments) == surge.moments()
    assert moments != Surge(START, per_minute=10, hours=1, seed=4).moments()


@needs_package
def test_scarce_articles_have_a_third_of_what_is_asked_for() -> None:
    orders = at_checkout(list(baskets.orders(50)), [START] * 50)
    stock = scarce(orders, 2)
    assert len(stock) == 2
    for (sku, _), units in stock.items():
        asked = sum(line.quantity for o in orders for line in o.lines if line.sku == sku)
        assert units <= max(1, asked // 3)


def test_an_order_is_settled_only_when_its_stock_was_asked_for(world: World) -> None:
    world.erp.set_stock("TEA", "US1", 1)
    order = f"us:{world.place(lines={'TEA': 5})}"
    world.erp.faults.plan(Fault(Trouble.THROTTLE, "stock.move.search_read", seconds=60))
    world.run()
    assert world.outbox() == {order: "unknown"}
    assert not world.rows("select 1 from receipt.sales_orders")
    world.clock.forward(minutes=2)
    world.run()
    assert world.outbox() == {order: "done"}
    assert world.open_codes(order) == {"order.stock_unconfirmed"}
    assert len(world.in_erp()[order]) == 1


def test_a_backlog_that_waits_as_planned_is_not_planned_again(world: World) -> None:
    world.place()
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    planning.hold(world.systems, "run")
    assert planning.plan(world.systems, "odoo", "run", only_new=True).looked_at == 1
    world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, "sale.order", times=100))
    world.send()
    assert list(world.outbox().values()) == ["waiting"]
    assert planning.plan(world.systems, "odoo", "run", only_new=True).looked_at == 0
    assert planning.plan(world.systems, "odoo", "run").looked_at == 1


def test_an_order_changed_while_it_waits_is_planned_again(world: World) -> None:
    order = world.place()
    world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, "sale.order", times=100))
    world.run()
    world.shops["us"].set_status(order, "cancelled")
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    planned = planning.plan(world.systems, "odoo", "run", only_new=True)
    assert (planned.looked_at, planned.actions) == (1, {"cancel": 1})


def test_writes_to_systems_that_get_no_orders_start_no_run_of_orders(world: World) -> None:
    write = outbox.Intended("stock.put", "level", {}, "h", 1, outbox.LANES["stock"], "c")
    with connected(world.systems.engine) as connection:
        outbox.intend(connection, "us", [write], world.clock())
    assert pending.due(pending.look(world.systems, ORDERS_NOW)) == []
