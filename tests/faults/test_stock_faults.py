"""Publishing stock under faults: the number is right in the end, and no sale is written over."""

from contextlib import suppress

import pytest

from resources.errors import RemoteError
from resources.sandbox.faults import Fault, Trouble
from resources.store import systems
from resources.store.engine import connected
from sync_assets.inventory import promoting, sending
from sync_assets.inventory.settling import Sent
from tests import published
from tests.faults import killed_after, killed_at_request, killed_at_statement
from tests.published import number, open_shops, plan, receipts
from tests.worlds import World

BATCH = "POST products/batch"


@pytest.fixture
def shops(world: World) -> World:
    """Both shops show ten pieces of each SKU; three numbers are to be published in the first."""
    open_shops(world)
    for sku, units in (("TEA", 4), ("MUG", 15), ("POT", 0)):
        number(world, sku, units)
    plan(world)
    return world


def send(world: World) -> None:
    """One run that takes what comes."""
    with suppress(RemoteError):
        sending.send_stock(world.systems, "us", "run")


def recover(world: World) -> None:
    """Let leases and waits run out, then plan and send until nothing is due."""
    for _ in range(4):
        world.clock.forward(minutes=6)
        plan(world)
        send(world)


def shown(world: World) -> dict[str, int | None]:
    """What the first shop shows."""
    return {sku: world.shops["us"].stock_of(sku) for sku in ("MUG", "POT", "TEA")}


def assert_published(world: World) -> None:
    """Every number is there, evidence is kept, and nothing is open."""
    assert shown(world) == {"MUG": 15, "POT": 0, "TEA": 4}
    assert published.planned(world) == {}
    assert set(world.outbox().values()) == {"done"}
    assert {row[0] for row in receipts(world)} == {"MUG", "POT", "TEA"}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", [1, 2])
def test_killed_around_each_request_the_numbers_are_right_in_the_end(
    shops: World, at: int, before: bool
) -> None:
    with killed_at_request(shops, at, before=before) as axe:
        send(shops)
    assert axe.count == at
    recover(shops)
    assert_published(shops)
    assert len(receipts(shops)) == 3
    assert shops.shops["us"].calls[BATCH] <= 2


def test_killed_at_each_statement_the_numbers_are_right_in_the_end(shops: World) -> None:
    at, fell = 0, True
    while fell:
        at += 1
        units = at % 7  # another number each time
        number(shops, "TEA", units)
        with killed_at_statement(shops.systems.engine, at) as axe:
            plan(shops)
            send(shops)
        fell = axe.count >= at
        recover(shops)
        assert shops.shops["us"].stock_of("TEA") == units, at
        assert published.planned(shops) == {}
        published.count_orders(shops)
    assert at > 20


def test_a_lost_answer_is_looked_up_and_not_written_again(shops: World) -> None:
    shops.shops["us"].faults.plan(Fault(Trouble.CUT_AFTER, BATCH))
    send(shops)
    recover(shops)
    assert_published(shops)
    assert shops.shops["us"].calls[BATCH] == 1


def test_a_write_that_never_arrived_is_written_after_a_look(shops: World) -> None:
    shops.shops["us"].faults.plan(Fault(Trouble.CUT_BEFORE, BATCH))
    send(shops)
    recover(shops)
    assert_published(shops)
    assert [row[3] for row in receipts(shops)] == [0, 0, 0]


def test_a_sale_while_the_answer_was_lost_is_not_written_over(shops: World) -> None:
    with killed_after(shops.shops["us"], BATCH):
        send(shops)
    shops.clock.forward(seconds=1)
    shops.place("us", lines={"MUG": 2})
    assert shops.shops["us"].stock_of("MUG") == 13
    recover(shops)
    assert shops.shops["us"].stock_of("MUG") == 13
    assert published.planned(shops) == {"MUG": ("held", "orders_unread", 15, 13)}
    number(shops, "MUG", 13)
    published.count_orders(shops)
    recover(shops)
    assert published.planned(shops) == {}
    assert shown(shops) == {"MUG": 13, "POT": 0, "TEA": 4}


def test_a_sale_between_look_and_write_is_seen_in_the_answer_to_come(shops: World) -> None:
    with published.sells_when(shops, "us", "GET products", "TEA", 1):
        send(shops)
    # The shop has no way to refuse it: the write is absolute. The order brings the number down.
    assert shops.shops["us"].stock_of("TEA") == 4
    number(shops, "TEA", 3)
    recover(shops)
    assert shops.shops["us"].stock_of("TEA") == 3


def test_a_shop_that_asks_for_time_gets_it_and_no_write_is_judged(shops: World) -> None:
    shops.shops["us"].faults.plan(Fault(Trouble.THROTTLE, BATCH, times=20))
    send(shops)
    assert set(shops.outbox().values()) == {"unknown"}
    (attempts,) = {row["attempts"] for row in shops.rows("select attempts from ops.outbox")}
    assert attempts == 0
    shops.shops["us"].faults.clear()
    recover(shops)
    assert_published(shops)


def test_two_workers_share_the_work_and_write_each_number_once(shops: World) -> None:
    promoting.promote(shops.systems, "us")
    with shops.systems.shop("us") as shop:
        first = sending.Sender(shops.systems, "us", shop, "one", "one", size=2)
        second = sending.Sender(shops.systems, "us", shop, "two", "two", size=2)
        mine, theirs = first.lease(), second.lease()
        assert len({write.thing_ref for write in (*mine, *theirs)}) == 3
        first.batch(mine, Sent())
        second.batch(theirs, Sent())
    assert_published(shops)
    assert len(receipts(shops)) == 3


def test_a_worker_whose_lease_ran_out_overwrites_nothing_of_the_next(shops: World) -> None:
    promoting.promote(shops.systems, "us")
    with shops.systems.shop("us") as shop:
        slow = sending.Sender(shops.systems, "us", shop, "slow", "slow")
        writes = slow.lease()
        shops.clock.forward(minutes=6)
        send(shops)
        before = receipts(shops)
        slow.batch(writes, Sent())
    assert receipts(shops) == before
    recover(shops)
    assert_published(shops)


def test_one_number_the_shop_chokes_on_holds_nobody_elses_back(shops: World) -> None:
    (tea,) = shops.shops["us"].products_with("TEA")
    shops.shops["us"].trash_product(tea)
    send(shops)
    assert (shops.shops["us"].stock_of("MUG"), shops.shops["us"].stock_of("POT")) == (15, 0)
    assert shops.open_codes(f"us:stock:{tea}") == {"stock.listing_gone"}


def test_a_paused_shop_is_not_asked(shops: World) -> None:
    with connected(shops.systems.engine) as connection:
        now, why = shops.clock(), "stocktaking"
        systems.pause(connection, "us", by="ada", reason=why, until=None, now=now)
    calls = sum(shops.shops["us"].calls.values())
    send(shops)
    assert sum(shops.shops["us"].calls.values()) == calls
