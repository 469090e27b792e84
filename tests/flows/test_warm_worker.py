"""Urgent runs in a warm worker: handed over or started otherwise, executed once, ended as told."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

from resources.store import handover
from resources.store.engine import connected
from resources.wiring import utc_now
from sensors.launcher import WarmRunLauncher
from sync_assets import jobs
from sync_assets.definitions import build_defs
from sync_assets.ops.worker import CodeChanged, Worker
from sync_assets.outcomes import URGENT
from tests.worlds import World

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


@pytest.fixture
def repository(world: World) -> dg.RepositoryDefinition:
    return build_defs(world.systems.settings, world.systems).get_repository_def()


@pytest.fixture
def worker(
    world: World, instance: dg.DagsterInstance, repository: dg.RepositoryDefinition
) -> Worker:
    return Worker(instance, repository, world.systems.engine)


@pytest.fixture
def launcher(world: World) -> WarmRunLauncher:
    one = WarmRunLauncher()
    one._engine = world.systems.engine
    one.offer_stands = timedelta(0)
    return one


def asked(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, name: str = jobs.ORDERS_NOW
) -> dg.DagsterRun:
    job = repository.get_job(name)
    return instance.create_run_for_job(job, run_config=QUIET, tags=dict(job.tags))


def offer(world: World, run: dg.DagsterRun, snapshot: str | None = None) -> None:
    with connected(world.systems.engine) as connection:
        wanted = snapshot or run.job_snapshot_id or ""
        handover.ask(connection, run.run_id, run.job_name, wanted, utc_now())


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


# ---------------------------------------------------------------- the worker


def test_a_run_handed_over_is_executed_and_recorded_as_any_other(
    world: World, worker: Worker, instance: dg.DagsterInstance, repository: Any
) -> None:
    world.run()
    order = f"us:{world.place()}"
    world.clock.forward(seconds=40)
    run = asked(instance, repository)
    offer(world, run)
    assert worker.one() is True
    assert status(instance, run) == dg.DagsterRunStatus.SUCCESS
    assert world.outbox() == {order: "done"}
    (receipt,) = world.rows("select run_id from receipt.sales_orders")
    assert receipt["run_id"] == run.run_id
    made = instance.get_latest_materialization_event(
        dg.AssetKey(["receipt", "odoo", "sales_orders"])
    )
    assert made is not None
    assert made.run_id == run.run_id
    (row,) = world.rows("select taken_by, ended_at is not null as ended from ops.handover")
    assert row == {"taken_by": worker.name, "ended": True}
    assert worker.one() is False


def test_a_run_that_fails_leaves_the_worker_ready_for_the_next(
    world: World, worker: Worker, instance: dg.DagsterInstance, repository: Any
) -> None:
    world.run()
    world.place()
    world.clock.forward(seconds=40)
    secret, world.erp.api_key = world.erp.api_key, "changed"
    failing = asked(instance, repository)
    offer(world, failing)
    worker.one()
    assert status(instance, failing) == dg.DagsterRunStatus.FAILURE
    world.erp.api_key = secret
    world.clock.forward(minutes=2)
    second = asked(instance, repository)
    offer(world, second)
    worker.one()
    assert status(instance, second) == dg.DagsterRunStatus.SUCCESS
    assert world.erp.order_count() == 1


def test_only_urgent_jobs_are_known_and_older_code_runs_nothing(
    world: World, worker: Worker, instance: dg.DagsterInstance, repository: Any
) -> None:
    assert set(worker.known) == {
        *(jobs.ORDERS_NOW, jobs.STOCK_NOW, jobs.STOCK_SOLD, jobs.SHIPMENTS_NOW, jobs.RETURNS_NOW),
    }
    run = asked(instance, repository)
    offer(world, run, snapshot="another")
    with pytest.raises(CodeChanged):
        worker.one()
    assert status(instance, run) == dg.DagsterRunStatus.NOT_STARTED


def test_a_run_that_was_ended_meanwhile_is_not_started(
    world: World, worker: Worker, instance: dg.DagsterInstance, repository: Any
) -> None:
    run = asked(instance, repository)
    offer(world, run)
    instance.report_run_canceled(run)
    assert worker.one() is True
    assert status(instance, run) == dg.DagsterRunStatus.CANCELED
    assert world.shops["us"].calls.total() == 0


# ---------------------------------------------------------------- the launcher


def test_without_a_worker_nothing_is_offered(
    world: World, launcher: WarmRunLauncher, instance: dg.DagsterInstance, repository: Any
) -> None:
    assert launcher._is_handed_over(asked(instance, repository)) is False
    assert world.rows("select run_id from ops.handover") == []


def test_what_no_worker_takes_is_taken_back(
    world: World,
    worker: Worker,
    launcher: WarmRunLauncher,
    instance: dg.DagsterInstance,
    repository: Any,
) -> None:
    worker.beat()
    assert launcher._is_handed_over(asked(instance, repository)) is False
    assert world.rows("select run_id from ops.handover") == []
    assert worker.one() is False


def test_what_a_worker_takes_is_not_started_a_second_time(
    world: World,
    worker: Worker,
    launcher: WarmRunLauncher,
    instance: dg.DagsterInstance,
    repository: Any,
) -> None:
    worker.beat()
    launcher.offer_stands = timedelta(seconds=30)
    over = threading.Event()

    def work() -> None:
        while not over.is_set() and not worker.one():
            pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert launcher._is_handed_over(asked(instance, repository)) is True
    finally:
        thread.join(60)
        over.set()
    (row,) = world.rows("select taken_by from ops.handover")
    assert row["taken_by"] == worker.name


def test_a_run_whose_worker_died_is_told_as_failed(
    world: World,
    worker: Worker,
    launcher: WarmRunLauncher,
    instance: dg.DagsterInstance,
    repository: Any,
) -> None:
    run = asked(instance, repository)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    offer(world, run)
    with connected(world.systems.engine) as connection:
        handover.take(connection, worker.name, worker.known, utc_now())
    worker.beat()
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    worker.leave()
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED


def test_the_project_runs_on_this_launcher(repository: dg.RepositoryDefinition) -> None:
    assert repository.get_job(jobs.ORDERS_NOW).tags[URGENT] == "true"
    assert URGENT not in repository.get_job(jobs.ORDERS).tags
