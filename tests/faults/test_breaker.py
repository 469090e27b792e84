"""A system that is away is left alone, one probe asks for all, and everything goes on after."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, Semaphore
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from resources.errors import CircuitOpen, RemoteError, TryAgain
from resources.sandbox.faults import Fault, Trouble
from resources.store import postgres, systems
from resources.store.engine import connected, engine_for
from tests.faults import assert_all_is_well, place_some, recover, run
from tests.worlds import World


def state(world: World, system: str) -> dict[str, Any]:
    (row,) = world.rows("select * from ops.system where system = :s", s=system)
    return row


def down(world: World, system: str) -> None:
    """Let a system answer nobody."""
    world.systems.transports = {
        **world.systems.transports,
        system: httpx.MockTransport(_nobody),
    }


def _nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


def ping(world: World, system: str = "us") -> RemoteError | None:
    """Ask a shop for a sign of life."""
    with world.systems.shop(system) as shop:
        try:
            shop.ping()
        except RemoteError as error:
            return error
    return None


def open_circuit(world: World, system: str = "us") -> None:
    """Let a shop fail until nobody asks it any more; it is well again afterwards."""
    intact = world.systems.transports
    down(world, system)
    assert isinstance(ping(world, system), TryAgain)
    assert isinstance(ping(world, system), TryAgain)
    world.systems.transports = intact


def test_an_open_circuit_fails_at_once_and_touches_no_network(world: World) -> None:
    open_circuit(world)
    assert state(world, "us")["failures"] == 5
    error = ping(world)
    assert isinstance(error, CircuitOpen)
    assert str(error) == (
        "us: 5 calls in a row failed, the last: cannot reach GET us.test (ConnectError); "
        "the next call goes at 2026-03-02 09:00:30 UTC"
    )
    assert sum(world.shops["us"].calls.values()) == 0
    assert ping(world, "uk") is None


def test_the_first_call_after_the_pause_is_the_probe_and_closes_the_circuit(world: World) -> None:
    open_circuit(world)
    world.clock.forward(seconds=30)
    assert ping(world) is None
    row = state(world, "us")
    assert (row["state"], row["failures"], row["opened_at"]) == ("running", 0, None)


def test_a_probe_that_fails_is_the_only_call_and_doubles_the_pause(world: World) -> None:
    open_circuit(world)
    down(world, "us")
    world.clock.forward(seconds=30)
    ping(world)
    row = state(world, "us")
    assert (row["failures"], row["openings"]) == (6, 2)
    assert (row["until"] - world.clock()).total_seconds() == 60


def test_one_call_alone_opens_nothing_however_often_it_is_tried(world: World) -> None:
    config = world.systems.settings
    us = config.stores["us"].model_copy(update={"breaker_failures": 1})
    world.systems.settings = config.model_copy(update={"stores": {**config.stores, "us": us}})
    intact = world.systems.transports
    down(world, "us")
    ping(world)
    world.systems.transports = intact
    assert state(world, "us")["state"] == "running"
    assert ping(world) is None
    assert state(world, "us")["failures"] == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_system_that_says_no_is_there(world: World, status: int) -> None:
    world.systems.transports = {
        **world.systems.transports,
        "us": httpx.MockTransport(lambda request: httpx.Response(status, json={})),
    }
    for _ in range(8):
        assert ping(world) is not None
        world.clock.forward(seconds=2)
    assert world.rows("select * from ops.system") == []


def test_an_erp_that_goes_away_gets_its_orders_when_it_is_back(world: World) -> None:
    run(world)
    place_some(world)
    world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, times=10_000))
    run(world)
    run(world)
    assert state(world, "odoo")["state"] == "circuit_open"
    waiting = world.rows("select state, attempts from ops.outbox")
    assert {row["state"] for row in waiting} == {"waiting"}
    assert {row["attempts"] for row in waiting} == {0}
    sent = world.send()
    assert "calls in a row failed" in sent.faults["odoo"]
    world.erp.faults.clear()
    recover(world)
    assert state(world, "odoo")["state"] == "running"
    assert_all_is_well(world)


def test_an_erp_that_goes_away_after_an_effect_doubles_nothing(world: World) -> None:
    run(world)
    place_some(world)
    world.erp.faults.plan(
        Fault(Trouble.CUT_AFTER, "sale.order.load", times=1),
        Fault(Trouble.CUT_BEFORE, times=200),
    )
    for _ in range(4):
        run(world)
    world.erp.faults.clear()
    recover(world)
    assert_all_is_well(world)


def test_one_shop_that_is_away_keeps_nobody_else_waiting(world: World) -> None:
    us, uk = world.place("us"), world.place("uk")
    intact = world.systems.transports
    down(world, "us")
    run(world)
    run(world)
    assert state(world, "us")["state"] == "circuit_open"
    assert set(world.in_erp()) == {f"uk:{uk}"}
    assert world.open_codes("us/orders") == {"system.unreadable"}
    world.systems.transports = intact
    recover(world)
    assert set(world.in_erp()) == {f"us:{us}", f"uk:{uk}"}
    assert world.open_codes("us/orders") == set()


def test_a_pause_outlasts_a_circuit_that_opens_meanwhile(world: World) -> None:
    with world.systems.shop("us") as shop:
        shop.ping()
        with connected(world.systems.engine) as connection:
            systems.pause(connection, "us", by="olga", reason="move", until=None, now=world.clock())
        # This client learns of the pause within a second; until then its calls go on.
        world.shops["us"].faults.plan(Fault(Trouble.CUT_BEFORE, times=8))
        for _ in range(2):
            with pytest.raises(TryAgain):
                shop.ping()
    row = state(world, "us")
    assert (row["state"], row["reason"]) == ("paused", "move")


@pytest.fixture
def engines(database: postgres.Databases) -> Iterator[list[Engine]]:
    made = [engine_for(database) for _ in range(4)]
    yield made
    for engine in made:
        engine.dispose()


def test_of_all_processes_one_asks_a_system_that_was_away(
    world: World, engines: list[Engine]
) -> None:
    open_circuit(world)
    world.clock.forward(seconds=30)
    start, turned_away = Barrier(len(engines)), Semaphore(0)

    def slow(request: httpx.Request) -> httpx.Response:
        """Answer the first call when all the others were turned away."""
        if not world.shops["us"].calls:
            assert all(turned_away.acquire(timeout=30) for _ in engines[1:])
        return world.shops["us"].handle(request)

    transports = {**world.systems.transports, "us": httpx.MockTransport(slow)}

    def one(engine: Engine) -> RemoteError | None:
        mine = replace(world, systems=replace(world.systems, engine=engine, transports=transports))
        start.wait(30)
        error = ping(mine)
        if error is not None:
            turned_away.release()
        return error

    with ThreadPoolExecutor(len(engines)) as pool:
        answers = list(pool.map(one, engines))
    assert sorted(type(answer).__name__ for answer in answers) == [
        "CircuitOpen",
        "CircuitOpen",
        "CircuitOpen",
        "NoneType",
    ]
    assert world.shops["us"].calls["GET orders"] == 1
    assert state(world, "us")["state"] == "running"
