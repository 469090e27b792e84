"""Pause, buffer, drain: while a system rests everything is kept, and nothing is sent to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from resources.errors import Paused, Throttled
from resources.settings import Settings
from resources.store import backlog, systems
from resources.store.engine import connected
from resources.wiring import limit_of
from sync_assets.orders import reading
from sync_assets.reading import Tally, each_source
from tests.faults import assert_all_is_well, run
from tests.worlds import START, World, deployment


def pause(world: World, system: str = "odoo", **length: float) -> None:
    until = world.clock() + timedelta(**length) if length else None
    with connected(world.systems.engine) as connection:
        systems.pause(
            connection, system, by="olga", reason="upgrade", until=until, now=world.clock()
        )


def resume(world: World, system: str = "odoo") -> None:
    with connected(world.systems.engine) as connection:
        systems.resume(connection, system, by="olga", now=world.clock())


def read_orders(world: World) -> Tally:
    return each_source(
        world.systems,
        world.shops,
        "orders",
        lambda store: reading.changed_orders(world.systems, store, "run"),
    )


def changed(world: World, system: str, **values: Any) -> None:
    """Give one system other settings."""
    config = world.systems.settings
    kind = "stores" if system in config.stores else "erps"
    group = getattr(config, kind)
    one = group[system].model_copy(update=values)
    world.systems.settings = config.model_copy(update={kind: {**group, system: one}})


# An ERP


def test_a_paused_erp_is_sent_nothing_and_everything_is_kept(world: World) -> None:
    run(world)
    order_id = world.place()
    pause(world)
    called = sum(world.erp.calls.values())
    run(world)
    sent = world.send()
    assert sum(world.erp.calls.values()) == called
    (write,) = world.rows("select state, attempts, due_at, error_class from ops.outbox")
    assert (write["state"], write["attempts"], write["error_class"]) == ("waiting", 0, None)
    assert sent.faults == {"odoo": "odoo: paused by olga (upgrade) until `sync-assets resume odoo`"}
    assert (sent.accepted, sent.parked, sent.later) == (0, 0, 0)

    resume(world)
    run(world)
    assert set(world.in_erp()) == {f"us:{order_id}"}
    assert_all_is_well(world)


def test_a_pause_that_is_over_needs_nobody(world: World) -> None:
    run(world)
    world.place()
    pause(world, minutes=10)
    run(world)
    assert world.in_erp() == {}
    world.clock.forward(minutes=10)
    run(world)
    assert_all_is_well(world)
    (row,) = world.rows("select state, until, changed_by from ops.system where system = 'odoo'")
    assert row == {"state": "running", "until": None, "changed_by": "pipeline"}


def test_a_pause_in_the_middle_of_a_batch_leaves_its_writes_as_they_were(world: World) -> None:
    run(world)
    refs = [f"us:{world.place()}" for _ in range(2)]
    world.clock.forward(seconds=2)
    for step in world.steps[:3]:
        step()

    def pause_now(operation: str) -> None:
        if operation == "res.company.search_read":  # the look-up before anything is made
            world.erp.after_effect = lambda done: None
            world.clock.forward(seconds=2)
            pause(world)

    world.erp.after_effect = pause_now
    sent = world.send()
    assert world.in_erp() == {}
    assert list(sent.faults) == ["odoo"]
    assert sent.later == 2
    rows = world.rows("select thing_ref, state, attempts from ops.outbox order by thing_ref")
    assert [tuple(row.values()) for row in rows] == [(ref, "waiting", 0) for ref in sorted(refs)]

    resume(world)
    run(world)
    assert_all_is_well(world)


def test_draining_sends_what_waited_and_ends_by_itself(world: World) -> None:
    run(world)
    for _ in range(3):
        world.place()
    pause(world)
    run(world)
    with connected(world.systems.engine) as connection:
        assert systems.drain(connection, "odoo", by="olga", now=world.clock())
        assert backlog.of(connection, "odoo", world.clock()).writes_by_lane == {"order": 3}
    assert world.send().accepted == 3
    with connected(world.systems.engine) as connection:
        assert systems.standing(connection, "odoo").state == "running"
        assert backlog.of(connection, "odoo", world.clock()).due == 0
    assert_all_is_well(world)


# A shop


def test_a_paused_shop_is_skipped_without_an_exception_and_is_told(world: World) -> None:
    us, uk = world.place("us"), world.place("uk")
    pause(world, "us", hours=1)
    world.clock.forward(seconds=2)
    tally = read_orders(world)
    assert tally.paused == {"us": "us: paused by olga (upgrade) until 2026-03-02 10:00 UTC"}
    assert (tally.failed, tally.seen) == ({}, 1)
    assert sum(world.shops["us"].calls.values()) == 0
    assert world.rows("select code from ops.exception") == []

    resume(world, "us")
    run(world)
    assert set(world.in_erp()) == {f"us:{us}", f"uk:{uk}"}
    assert_all_is_well(world)


def test_a_pause_leaves_the_exception_of_an_earlier_fault_open(world: World) -> None:
    changed(world, "us", attempts=1)
    world.systems.transports = {
        **world.systems.transports,
        "us": httpx.MockTransport(lambda request: httpx.Response(500)),
    }
    read_orders(world)
    assert world.open_codes("us/orders") == {"system.unreadable"}
    pause(world, "us")
    read_orders(world)
    assert world.open_codes("us/orders") == {"system.unreadable"}


def test_every_call_to_a_paused_shop_is_refused_at_once(world: World) -> None:
    pause(world, "us")
    with world.systems.shop("us") as shop, pytest.raises(Paused, match="paused by olga"):
        shop.ping()
    assert sum(world.shops["us"].calls.values()) == 0


# The limit of an account


def test_too_many_calls_blocks_the_account_for_every_client(world: World) -> None:
    slow = httpx.MockTransport(lambda request: httpx.Response(429, headers={"Retry-After": "600"}))
    intact = world.systems.transports
    world.systems.transports = {**intact, "us": slow}
    with world.systems.shop("us") as shop, pytest.raises(Throttled):
        shop.ping()
    world.systems.transports = intact
    with world.systems.shop("us") as shop, pytest.raises(Throttled) as caught:
        shop.ping()
    assert caught.value.after_seconds == 600.0
    assert sum(world.shops["us"].calls.values()) == 0
    world.clock.forward(seconds=600)
    with world.systems.shop("us") as shop:
        shop.ping()


def test_an_account_that_says_nothing_is_left_is_waited_for(world: World) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        answer = world.shops["us"].handle(request)
        answer.headers.update({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"})
        return answer

    slept = sleeping(world)
    world.systems.transports = {**world.systems.transports, "us": httpx.MockTransport(answer)}
    with world.systems.shop("us") as shop:
        shop.ping()  # two calls
    assert slept == [12.0]


def test_calls_of_all_clients_share_the_limit(world: World) -> None:
    changed(world, "us", calls_per_second=2, burst=2)
    slept = sleeping(world)
    for _ in range(2):
        with world.systems.shop("us") as shop:
            shop.ping()
    assert sum(world.shops["us"].calls.values()) == 4
    assert slept == [0.5, 0.5]


def test_a_rate_the_system_tells_is_kept_to(world: World) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        answer = world.shops["us"].handle(request)
        answer.headers["x-amzn-RateLimit-Limit"] = "0.5"
        return answer

    slept = sleeping(world)
    world.systems.transports = {**world.systems.transports, "us": httpx.MockTransport(answer)}
    for _ in range(2):
        with world.systems.shop("us") as shop:
            shop.ping()
    assert slept == [2.0, 2.0, 2.0]


def sleeping(world: World) -> list[float]:
    """Let sleeping move the clock; answers what was slept."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        world.clock.forward(seconds=seconds)

    world.systems.sleep = sleep
    return slept


def test_names_of_one_real_account_share_its_lowest_limit() -> None:
    config = deployment()
    us = config.stores["us"]
    again = us.model_copy(update={"url": f"{us.url}/", "calls_per_second": 3.0, "burst": 4})
    config = Settings.model_construct(
        **{**vars(config), "stores": {**config.stores, "us_old": again}}
    )
    first, second = limit_of(config, "us"), limit_of(config, "us_old")
    assert first == second
    assert (first.account, first.per_second, first.burst) == ("us", Decimal("3.0"), 1)
    assert limit_of(config, "uk").per_second is None


# What it costs, and what is counted


def test_calls_errors_and_refusals_are_counted_by_the_minute(world: World) -> None:
    answers = iter([httpx.Response(500), httpx.Response(429), httpx.Response(401)])
    changed(world, "us", attempts=1)
    world.systems.transports = {
        **world.systems.transports,
        "us": httpx.MockTransport(lambda request: next(answers)),
    }
    for _ in range(3):
        with world.systems.shop("us") as shop, pytest.raises(Exception, match=r"us: "):
            shop.ping()
        world.clock.forward(seconds=2)
    rows = world.rows("select system, minute, calls, errors, throttled from ops.calls")
    assert [tuple(row.values()) for row in rows] == [("us", START, 3, 1, 1)]


def test_without_a_limit_a_call_costs_no_statement(world: World) -> None:
    with world.systems.shop("us") as shop:
        shop.ping()
        with statements(world) as found:
            for _ in range(20):
                shop.ping()
    assert found == []


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """What is asked of our database inside."""
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(world.systems.engine, "before_cursor_execute", note)
    yield found
    event.remove(world.systems.engine, "before_cursor_execute", note)
