"""When a run of the orders starts: the decision on stored facts, and the sensor around it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from sensors import deltas
from sensors.deltas import Facts, reasons
from sync_assets import jobs
from tests.worlds import World

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
QUIET = Facts(NOON, {"us": NOON, "uk": NOON}, due_writes=0, unmapped=0, running=0)


def ago(**step: float) -> datetime:
    return NOON - timedelta(**step)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (QUIET, []),
        (replace(QUIET, heard_at={}), []),
        (replace(QUIET, heard_at={"us": ago(seconds=29.9), "uk": NOON}), []),
        (
            replace(QUIET, heard_at={"us": ago(seconds=30), "uk": NOON}),
            ["us was not heard since 2026-03-02 11:59:30 UTC"],
        ),
        (
            replace(QUIET, heard_at={"us": None, "uk": ago(hours=1)}),
            ["uk was not heard since 2026-03-02 11:00:00 UTC", "us was never read"],
        ),
        (replace(QUIET, unmapped=3), ["3 versions are not mapped"]),
        (replace(QUIET, due_writes=2), ["2 writes are due"]),
        (
            replace(QUIET, heard_at={"us": None}, unmapped=1, due_writes=1),
            ["us was never read", "1 versions are not mapped", "1 writes are due"],
        ),
        (replace(QUIET, heard_at={"us": None}, unmapped=1, due_writes=1, running=1), []),
    ],
)
def test_a_run_starts_when_the_facts_give_a_reason(facts: Facts, expected: list[str]) -> None:
    assert reasons(facts) == expected


@pytest.mark.parametrize(
    ("last_run_at", "expected"),
    [
        (None, ["us was never read"]),
        (ago(seconds=30), ["us was never read"]),
        (ago(seconds=29), []),
    ],
)
def test_a_store_that_does_not_answer_is_not_asked_without_pause(
    last_run_at: datetime | None, expected: list[str]
) -> None:
    facts = replace(QUIET, heard_at={"us": None, "uk": NOON}, last_run_at=last_run_at)
    assert reasons(facts) == expected


def test_due_writes_do_not_wait_for_the_next_poll() -> None:
    facts = replace(QUIET, due_writes=1, unmapped=1, last_run_at=NOON)
    assert reasons(facts) == ["1 versions are not mapped", "1 writes are due"]


def test_how_often_stores_are_asked_can_be_chosen() -> None:
    facts = replace(QUIET, heard_at={"us": ago(minutes=4)})
    assert reasons(facts, timedelta(minutes=5)) == []
    assert reasons(facts, timedelta(minutes=4)) != []


def test_facts_come_from_the_tables(world: World) -> None:
    engine, stores = world.systems.engine, ["us", "uk"]
    assert deltas.facts(engine, stores, world.clock(), 0) == Facts(
        world.clock(), {"us": None, "uk": None}, 0, 0, 0
    )
    world.place()
    world.clock.forward(seconds=2)
    read_at = world.clock()
    world.read()
    found = deltas.facts(engine, stores, world.clock(), 0)
    assert (found.heard_at, found.unmapped) == ({"us": read_at, "uk": read_at}, 1)
    world.core()
    world.plan()
    assert deltas.facts(engine, stores, world.clock(), 0).unmapped == 0


def test_writes_count_when_they_are_due_and_their_lease_is_over(world: World) -> None:
    engine = world.systems.engine
    due = _writes(world)
    assert deltas.facts(engine, [], world.clock(), 0).due_writes == due == 4
    world.clock.forward(minutes=6)
    assert deltas.facts(engine, [], world.clock(), 0).due_writes == 5


@pytest.mark.parametrize("state", ["paused", "circuit_open"])
def test_writes_of_a_paused_system_give_no_reason_until_the_pause_ends(
    world: World, state: str
) -> None:
    engine = world.systems.engine
    _writes(world)
    world.execute(
        "insert into ops.system (system, state, until, changed_at, changed_by) "
        "values ('odoo', :state, :until, :now, 'test')",
        state=state,
        until=world.clock() + timedelta(minutes=1),
        now=world.clock(),
    )
    assert deltas.facts(engine, [], world.clock(), 0).due_writes == 0
    world.clock.forward(minutes=1)
    assert deltas.facts(engine, [], world.clock(), 0).due_writes == 4


def _writes(world: World) -> int:
    """Eight writes: four due now, one under way, one due later, one done, one parked."""
    now = world.clock()
    later, lease = now + timedelta(hours=1), now + timedelta(minutes=5)
    for number, (state, due, worker) in enumerate(
        [
            ("waiting", now, None),
            ("waiting", now - timedelta(days=1), None),
            ("unknown", now, None),
            ("leased", now, "dead"),
            ("leased", now, "alive"),
            ("waiting", later, None),
            ("done", now, None),
            ("parked", now, None),
        ]
    ):
        until = {"dead": now, "alive": lease}.get(worker or "")
        world.execute(
            "insert into ops.outbox (system, operation, thing_ref, business_key, wanted_hash, "
            "core_version, lane, state, due_at, leased_by, lease_until, error_class, "
            "correlation_id, created_at, updated_at) values ('odoo', 'sales_order.create', :ref, "
            ":ref, 'h', 1, 2, :state, :due, :worker, :until, 'x', 'c', :now, :now)",
            ref=f"us:{number}",
            state=state,
            due=due,
            worker=worker,
            until=until,
            now=now,
        )
    return 4


def test_the_sensor_asks_for_one_run_and_says_why(world: World) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        request = _tick(world, instance)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "2026-03-02T09:00:00+00:00"
    assert request.tags["sync/reason"] == "uk was never read"


def test_the_sensor_stays_quiet_when_everything_was_heard(world: World) -> None:
    world.run()
    world.clock.at -= timedelta(minutes=1)
    with dg.DagsterInstance.ephemeral() as instance:
        tick = _tick(world, instance)
    assert isinstance(tick, dg.SkipReason)
    assert tick.skip_message == "nothing to do, or a run is under way"


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED"])
def test_the_sensor_never_starts_a_second_run(world: World, status: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.create_run_for_job(_job(jobs.ORDERS), status=dg.DagsterRunStatus(status))
        assert isinstance(_tick(world, instance), dg.SkipReason)


def test_a_run_of_another_job_does_not_keep_the_orders_waiting(world: World) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.create_run_for_job(_job(jobs.COMPARE), status=dg.DagsterRunStatus.STARTED)
        assert isinstance(_tick(world, instance), dg.RunRequest)


def _job(name: str) -> dg.JobDefinition:
    @dg.job(name=name)
    def job() -> None: ...

    return job


def _tick(world: World, instance: dg.DagsterInstance) -> object:
    resources = {"systems": world.systems}
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        return deltas.build(jobs.ORDERS)(context)
