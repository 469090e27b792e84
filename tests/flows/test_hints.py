"""Following hints: what deliveries name is read again from the shop, once, and settled with it."""

from datetime import timedelta
from typing import Any

import pytest

from resources.errors import RemoteError
from resources.sandbox.faults import Fault, Trouble
from resources.store import inbox
from resources.store.engine import connected
from sync_assets.orders import hints
from tests.worlds import World


def deliver(world: World, resource: object, topic: str = "order.updated", **more: Any) -> int:
    given: dict[str, Any] = {"source": "woocommerce", "store": "us", "topic": topic}
    given |= {"resource_id": str(resource), "body": b"{}", "correlation_id": "c"}
    given |= {"received_at": world.clock()}
    with connected(world.systems.engine) as connection:
        return inbox.append(connection, [inbox.Delivery(**{**given, **more})])[0]


def follow(world: World, store: str = "us") -> Any:
    return hints.follow(world.systems, store, "run")


def told(world: World) -> list[tuple[str, str | None]]:
    rows = world.rows("select state, outcome from ops.inbox order by id")
    return [(row["state"], row["outcome"]) for row in rows]


def versions(world: World) -> list[tuple[str, str]]:
    rows = world.rows("select resource_id, via from raw.woocommerce__orders order by version")
    return [(row["resource_id"], row["via"]) for row in rows]


def test_an_order_is_read_once_however_often_it_is_named(world: World) -> None:
    order = world.place()
    for topic in ("order.created", "order.updated", "order.updated"):
        deliver(world, order, topic)
    tally = follow(world)
    assert (tally.seen, tally.new) == (1, 1)
    assert versions(world) == [(str(order), "webhook")]
    assert told(world) == [("settled", "read")] * 3
    assert world.shops["us"].calls["GET orders"] == 1


def test_a_body_is_never_believed(world: World) -> None:
    order = world.place()
    deliver(world, order, body=b'{"id":1,"total":"0.01","status":"cancelled"}')
    follow(world)
    (row,) = world.rows("select payload ->> 'total' as total from raw.woocommerce__orders")
    assert row["total"] == world.shops["us"].order_json(order)["total"]


def test_a_hundred_orders_are_one_call(world: World) -> None:
    orders = [world.place() for _ in range(101)]
    for order in orders:
        deliver(world, order)
    assert follow(world).new == 101
    assert world.shops["us"].calls["GET orders"] == 2


def test_following_again_reads_nothing(world: World) -> None:
    deliver(world, world.place())
    follow(world)
    calls = world.shops["us"].calls.total()
    assert follow(world).seen == 0
    assert world.shops["us"].calls.total() == calls


def test_a_late_hint_never_brings_an_older_version_back(world: World) -> None:
    order = world.place()
    deliver(world, order, "order.created")
    follow(world)
    world.clock.forward(seconds=5)
    world.shops["us"].set_status(order, "completed")
    deliver(world, order)
    follow(world)
    world.core()
    deliver(world, order, "order.created", body=b'{"status":"processing"}')
    world.shops["us"].faults.plan(Fault(Trouble.STALE, "GET orders"))
    follow(world)
    world.core()
    (row,) = world.rows("select state from core.orders")
    assert row["state"] == "completed"
    assert len(versions(world)) == 2


def test_what_names_nothing_we_follow_is_settled_and_says_so(world: World) -> None:
    deliver(world, "7", "coupon.updated")
    deliver(world, "", "order.updated")
    deliver(world, "7; drop table", "order.updated")
    deliver(world, None, "action.woocommerce_x", resource_id=None)
    assert follow(world).seen == 0
    assert told(world) == [("settled", "names nothing we follow")] * 4
    assert world.shops["us"].calls.total() == 0


def test_an_order_that_is_gone_is_settled_as_gone(world: World) -> None:
    order = world.place()
    world.shops["us"].delete(order)
    deliver(world, order)
    follow(world)
    assert told(world) == [("settled", "gone")]


def test_customers_are_followed_as_well(world: World) -> None:
    person = world.shops["us"].add_customer("ada@example.com")
    deliver(world, person, "customer.updated")
    assert follow(world).new == 1
    (row,) = world.rows("select resource_id, via from raw.woocommerce__customers")
    assert row == {"resource_id": str(person), "via": "webhook"}


def test_a_shop_that_does_not_answer_keeps_its_hints_waiting(world: World) -> None:
    order = world.place()
    deliver(world, order)
    world.shops["us"].faults.plan(Fault(Trouble.ERROR, "GET orders", times=99))
    with pytest.raises(RemoteError):
        follow(world)
    (row,) = world.rows("select state, attempts, due_at from ops.inbox")
    assert (row["state"], row["attempts"]) == ("waiting", 1)
    assert row["due_at"] == world.clock() + timedelta(seconds=2)
    assert versions(world) == []
    world.shops["us"].faults.clear()
    world.clock.forward(minutes=2)
    assert follow(world).new == 1


def test_a_killed_reader_leaves_its_hints_to_the_next(world: World) -> None:
    order = world.place()
    deliver(world, order)

    def killed(operation: str) -> None:
        raise KeyboardInterrupt

    world.shops["us"].after_effect = killed
    with pytest.raises(KeyboardInterrupt):
        follow(world)
    world.shops["us"].after_effect = lambda operation: None
    assert follow(world).seen == 0  # the lease still stands
    world.clock.forward(minutes=5)
    assert follow(world).new == 1
    assert told(world) == [("settled", "read")]


def test_a_store_follows_its_own_hints_only(world: World) -> None:
    order = world.place("uk")
    deliver(world, order, store="uk")
    assert follow(world, "us").seen == 0
    assert follow(world, "uk").new == 1


def test_an_urgent_run_asks_a_store_for_changes_only_when_it_is_time(world: World) -> None:
    def arrived(only_due: bool) -> int:
        before = world.shops["us"].calls.total()
        hints.arrived(world.systems, "us", "run", only_due=only_due)
        return world.shops["us"].calls.total() - before

    assert arrived(only_due=True) == 2  # never asked: live orders and the trash
    assert arrived(only_due=True) == 0
    world.clock.forward(seconds=29)
    assert arrived(only_due=True) == 0
    world.clock.forward(seconds=1)
    assert arrived(only_due=True) == 2
    assert arrived(only_due=False) == 2


def test_an_order_lost_by_webhooks_comes_with_the_next_question(world: World) -> None:
    hints.arrived(world.systems, "us", "run", only_due=True)
    order = world.place()
    world.clock.forward(seconds=31)
    hints.arrived(world.systems, "us", "run", only_due=True)
    assert versions(world) == [(str(order), "delta")]
