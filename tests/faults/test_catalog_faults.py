"""Products sent in spite of everything: killed anywhere, answers lost, two workers, a busy shop."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest

from resources.sandbox.faults import Fault, Trouble
from tests.catalogs import Catalog, catalog_of
from tests.worlds import World

SKUS = ("TEA", "MUG", "POT", "SH-S", "SH-M")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def catalog(world: World) -> Catalog:
    world.erp.add_variants("Shirt", Decimal(20), {"SH-S": {"Size": "S"}, "SH-M": {"Size": "M"}})
    return catalog_of(world)


def killed_at(world: World, number: int, *, after: bool) -> World:
    """The world, with a process that dies at its so-manieth call of the shop."""
    calls = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            raise Killed
        answered = world.shops["us"].handle(request)
        if calls == number:
            raise Killed
        return answered

    transports = {**world.systems.transports, "us": httpx.MockTransport(answer)}
    return replace(world, systems=replace(world.systems, transports=transports))


def sent_to_the_end(catalog: Catalog) -> None:
    """Run, with time passing, until the shop has what it is to have; then once more."""
    for _ in range(4):
        catalog.run()
        catalog.world.clock.forward(minutes=20)
    before = catalog.writes()
    planned, _ = catalog.run()
    assert (set(planned.actions), catalog.writes()) == ({"none"}, before)


def each_once(catalog: Catalog) -> None:
    """Every product is there, one of each, with its price."""
    shop = catalog.world.shops["us"]
    assert {sku: len(shop.products_with(sku)) for sku in SKUS} == dict.fromkeys(SKUS, 1)
    assert catalog.shown("TEA")["regular_price"] == "9.90"
    assert catalog.shown("SH-M")["parent_id"] == catalog.shown("SH-S")["parent_id"]
    assert set(catalog.world.outbox().values()) <= {"done", "refused"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [3, 5, 7, 8, 9, 10, 12, 14])
def test_a_push_that_is_killed_at_any_call_makes_every_product_once(
    catalog: Catalog, number: int, after: bool
) -> None:
    dying = replace(catalog, world=killed_at(catalog.world, number, after=after))
    try:
        dying.run()
    except Killed:
        catalog.world.clock.forward(minutes=10)
    sent_to_the_end(catalog)
    each_once(catalog)


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("trouble", [Trouble.CUT_AFTER, Trouble.CUT_BEFORE, Trouble.TWICE])
def test_lost_and_repeated_batches_make_every_product_once(
    catalog: Catalog, trouble: Trouble, skip: int
) -> None:
    catalog.world.shops["us"].faults.plan(Fault(trouble, "batch", skip=skip))
    sent_to_the_end(catalog)
    each_once(catalog)


def test_a_busy_shop_is_asked_again_later(catalog: Catalog) -> None:
    catalog.world.shops["us"].faults.plan(Fault(Trouble.THROTTLE, "batch", times=9))
    sent_to_the_end(catalog)
    each_once(catalog)


def test_two_workers_make_every_product_once(catalog: Catalog) -> None:
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    catalog.world.clock.forward(seconds=2)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: catalog.send(), range(2))
    assert first.created + second.created == 6
    each_once(catalog)


def test_twins_that_two_writers_made_at_the_same_time_are_told(catalog: Catalog) -> None:
    shop = catalog.world.shops["us"]
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    shop.admit_twins()

    def answer(request: httpx.Request) -> httpx.Response:
        """Somebody else makes the same SKU between our look and our write."""
        if request.url.path.endswith("products/batch") and not shop.products_with("TEA"):
            shop.add_product("TEA", "Their tea", "1.00")
        return shop.handle(request)

    transports = {**catalog.world.systems.transports, "us": httpx.MockTransport(answer)}
    systems = replace(catalog.world.systems, transports=transports)
    racing = replace(catalog, world=replace(catalog.world, systems=systems))
    sent = racing.send()
    assert (sent.twins, len(shop.products_with("TEA"))) == (1, 2)
    assert catalog.judge()["listing.sku_doubled"] == 1
    catalog.plan()
    assert catalog.plans()["TEA"] == "conflict"
