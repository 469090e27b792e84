"""When a run starts: rules on facts, the facts from the tables, and the sensors around them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from resources.settings import Settings
from resources.store import handover, inbox, presence
from resources.store.engine import connected
from sensors import deltas, pending
from sensors.pending import Interval, Pending, arrived, due, late
from sensors.webhooks import arrivals
from sync_assets import jobs
from tests.worlds import World, deployment

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
QUIET = Pending(NOON)
HALF = timedelta(seconds=30)
US, UK = Interval("us", "orders", HALF), Interval("uk", "orders", HALF)


def ago(**step: float) -> datetime:
    return NOON - timedelta(**step)


# ---------------------------------------------------------------- the rules


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (QUIET, []),
        (replace(QUIET, hints={"us": 3, "uk": 1}), ["1 deliveries of uk", "3 deliveries of us"]),
        (replace(QUIET, unmapped=3), ["3 versions are not mapped"]),
        (replace(QUIET, due_writes={"odoo": 2}), []),
        (replace(QUIET, hints={"us": 1}, unmapped=1, is_running=True), []),
    ],
)
def test_what_came_in_starts_a_run_unless_one_is_at_work(
    seen: Pending, expected: list[str]
) -> None:
    assert arrived(seen) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (QUIET, []),
        (
            replace(QUIET, due_writes={"odoo": 2, "books": 1}),
            ["1 writes to books", "2 writes to odoo"],
        ),
        (replace(QUIET, hints={"us": 1}), []),
        (replace(QUIET, due_writes={"odoo": 2}, is_running=True), []),
    ],
)
def test_due_writes_start_a_run_unless_one_is_at_work(seen: Pending, expected: list[str]) -> None:
    assert due(seen) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (replace(QUIET, asked_at={("us", "orders"): NOON, ("uk", "orders"): NOON}), []),
        (
            replace(QUIET, asked_at={("us", "orders"): ago(seconds=30), ("uk", "orders"): NOON}),
            ["us was not asked for orders since 2026-03-02 11:59:30 UTC"],
        ),
        (
            replace(QUIET, asked_at={("us", "items"): NOON, ("uk", "orders"): ago(seconds=29.9)}),
            ["us was never asked for orders"],
        ),
        (replace(QUIET, resting=frozenset({"us", "uk"})), []),
        (replace(QUIET, is_running=True), []),
    ],
)
def test_a_store_is_asked_again_after_its_interval(seen: Pending, expected: list[str]) -> None:
    assert late(seen, [US, UK]) == expected


@pytest.mark.parametrize(
    ("last_run_at", "count"), [(None, 1), (ago(seconds=30), 1), (ago(seconds=29), 0)]
)
def test_a_store_that_does_not_answer_is_not_asked_without_pause(
    last_run_at: datetime | None, count: int
) -> None:
    seen = replace(QUIET, last_run_at=last_run_at)
    assert len(late(seen, [US])) == count


@pytest.mark.parametrize(
    ("asked_at", "begun_at", "expected"),
    [
        (None, None, False),
        (ago(seconds=1), None, True),
        (ago(seconds=1), ago(seconds=2), True),
        (ago(seconds=2), ago(seconds=1), False),
        (ago(seconds=20), ago(seconds=21), False),
        (ago(seconds=19), ago(seconds=21), True),
    ],
)
def test_a_run_that_was_asked_for_is_waited_for_but_not_for_ever(
    asked_at: datetime | None, begun_at: datetime | None, expected: bool
) -> None:
    assert pending.is_beginning(asked_at, begun_at, NOON) is expected


def test_intervals_come_from_the_configuration() -> None:
    settings = deployment()
    assert pending.polls(settings) == [US, UK]
    quarter = timedelta(minutes=15)
    assert pending.master_data(settings) == [
        Interval("us", "customers", quarter),
        Interval("uk", "customers", quarter),
        Interval("odoo", "items", quarter),
    ]
    assert pending.polls(Settings()) == []


# ---------------------------------------------------------------- the facts


def hint(world: World, store: str = "us", **more: Any) -> list[int]:
    given: dict[str, Any] = {"source": "woocommerce", "store": store, "topic": "order.updated"}
    given |= {"resource_id": "7", "body": b"{}", "correlation_id": "c"}
    given |= {"received_at": world.clock()}
    with connected(world.systems.engine) as connection:
        return inbox.append(connection, [inbox.Delivery(**{**given, **more})])


def look(world: World) -> Pending:
    return pending.look(world.systems, jobs.ORDERS_NOW)


def test_an_empty_database_has_nothing_pending(world: World) -> None:
    assert look(world) == Pending(world.clock())


def test_deliveries_count_by_store_when_they_are_due(world: World) -> None:
    hint(world)
    hint(world)
    hint(world, "uk", due_at=world.clock() + timedelta(minutes=1))
    hint(world, "closed")
    hint(world, source="stripe")
    assert look(world).hints == {"us": 2}
    world.clock.forward(minutes=1)
    assert look(world).hints == {"us": 2, "uk": 1}


def test_a_leased_delivery_counts_again_when_its_lease_is_over(world: World) -> None:
    hint(world)
    with connected(world.systems.engine) as connection:
        inbox.lease(connection, source="woocommerce", store="us", worker="w", now=world.clock())
    assert look(world).hints == {}
    world.clock.forward(minutes=5)
    assert look(world).hints == {"us": 1}


def pause(world: World, system: str, minutes: int) -> None:
    world.execute(
        "insert into ops.system (system, state, until, changed_at, changed_by) "
        "values (:system, 'paused', :until, :now, 'ada')",
        system=system,
        until=world.clock() + timedelta(minutes=minutes),
        now=world.clock(),
    )


def test_a_paused_store_and_a_paused_erp_give_no_reason_until_the_pause_ends(world: World) -> None:
    hint(world)
    world.place()
    world.run()
    world.execute("update ops.outbox set state = 'waiting'")
    pause(world, "us", 10)
    pause(world, "odoo", 10)
    seen = look(world)
    assert (seen.hints, seen.due_writes, seen.resting) == ({}, {}, {"us", "odoo"})
    world.clock.forward(minutes=10)
    seen = look(world)
    assert (seen.hints, seen.due_writes, seen.resting) == ({"us": 1}, {"odoo": 1}, set())


def test_versions_and_readings_are_facts(world: World) -> None:
    world.place()
    world.clock.forward(seconds=2)
    world.read()
    seen = look(world)
    assert seen.unmapped == 1
    assert seen.asked_at[("us", "orders")] == world.clock()
    assert seen.asked_at[("odoo", "items")] == world.clock()


def test_who_is_at_work_is_seen_until_he_ends(world: World) -> None:
    with presence.held(world.systems.engine, jobs.ORDERS_NOW, world.clock()):
        assert look(world).is_running
        assert not pending.look(world.systems, jobs.MASTER_DATA).is_running
    assert not look(world).is_running
    assert look(world).last_run_at == world.clock()


# ---------------------------------------------------------------- the shells


def tick(world: World, name: str) -> object:
    found = [
        *arrivals.build(jobs.ORDERS_NOW, is_on=True),
        *deltas.build(world.systems.settings, jobs.ORDERS_NOW, jobs.MASTER_DATA, is_on=True),
    ]
    sensor = next(one for one in found if one.name == name)
    with dg.build_sensor_context(resources={"systems": world.systems}) as context:
        return sensor(context)


def test_an_arrival_asks_for_one_run_and_says_why(world: World) -> None:
    hint(world)
    asked = tick(world, "arrivals")
    assert isinstance(asked, dg.RunRequest)
    assert asked.tags["sync/reason"] == "1 deliveries of us"
    assert isinstance(tick(world, "arrivals"), dg.SkipReason)  # it is about to begin
    assert isinstance(tick(world, "deltas"), dg.SkipReason)
    world.clock.forward(seconds=20)
    assert isinstance(tick(world, "arrivals"), dg.RunRequest)  # it never began


def test_a_warm_worker_that_does_not_begin_is_not_waited_for_long(world: World) -> None:
    hint(world)
    tick(world, "arrivals")
    world.clock.forward(seconds=5)
    assert look(world).is_running
    with connected(world.systems.engine) as connection:
        handover.beat(connection, "w1", None, world.clock())
    assert not look(world).is_running


def test_each_sensor_skips_when_there_is_nothing_to_do(world: World) -> None:
    world.run()
    world.clock.forward(seconds=-60)
    for store in world.shops:
        world.execute(
            "insert into ops.watermark values (:s, 'customers', :now, :now)",
            s=store,
            now=world.clock(),
        )
    for name in ("arrivals", "due_writes", "deltas", "master_data_due"):
        assert isinstance(tick(world, name), dg.SkipReason), name


def test_master_data_is_asked_for_by_its_own_job(world: World) -> None:
    world.run()
    world.clock.forward(minutes=15)
    asked = tick(world, "master_data_due")
    assert isinstance(asked, dg.RunRequest)
    assert "items" in asked.tags["sync/reason"] or "customers" in asked.tags["sync/reason"]
    assert isinstance(tick(world, "deltas"), dg.RunRequest)
