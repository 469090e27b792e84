"""Retention as a whole: Dagster's runs, the nightly job, the command, and core after a purge."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Evaluations
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import func, select
from typer.testing import CliRunner

from resources.sandbox import deployment
from resources.settings import Retention
from resources.store import audit, postgres, purging, raw
from resources.store.engine import connected, engine_for
from sensors import purges
from sync_assets.ops import demo as show
from sync_assets.ops import host
from sync_assets.ops.cli import app
from tests.worlds import World, small_world

#: Dagster stamps runs with the real clock: seen from here all are old, from there none is.
LONG_AFTER, LONG_BEFORE = (datetime(year, 1, 1, tzinfo=UTC) for year in (2100, 2000))
DAY = timedelta(days=1)
PARTS = dg.StaticPartitionsDefinition(["x", "y"])


@dg.asset
def plain() -> None:
    """Made again and again."""


@dg.asset(partitions_def=PARTS)
def parted() -> None:
    """Made partition by partition."""


#: Whether the check answers.
ANSWERS = [True]


@dg.asset_check(asset=plain)
def holds() -> dg.AssetCheckResult:
    """Asked with every run."""
    if not ANSWERS[0]:
        raise ValueError("no answer")
    return dg.AssetCheckResult(passed=True)


@dg.op
def break_down() -> None:
    """Fail."""
    raise ValueError("broken")


@dg.job
def breaks() -> None:
    """A run that fails."""
    break_down()


DEFS = dg.Definitions(
    assets=[plain, parted],
    asset_checks=[holds],
    jobs=[
        breaks,
        dg.define_asset_job("both", dg.AssetSelection.assets(plain)),
        dg.define_asset_job("one", dg.AssetSelection.assets(plain).without_checks()),
        dg.define_asset_job("ask", dg.AssetSelection.checks_for_assets(plain)),
        dg.define_asset_job("part", dg.AssetSelection.assets(parted)),
    ],
)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory."""
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def execute(instance: dg.DagsterInstance, job: str, partition: str | None = None) -> str:
    result = DEFS.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=partition,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    return result.run_id


def purge(instance: dg.DagsterInstance, now: datetime = LONG_AFTER) -> int:
    return sum(taken.rows for taken in purges.purge_runs(instance, 30, now))


def evaluations(instance: dg.DagsterInstance) -> int:
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        return int(connection.execute(select(func.count()).select_from(Evaluations)).scalar())


def facts(instance: dg.DagsterInstance) -> tuple[Any, ...]:
    """What the UI and our own code read of assets and checks."""
    newest = instance.get_latest_materialization_event(dg.AssetKey("plain"))
    assert newest is not None
    record = instance.fetch_materializations(dg.AssetKey("plain"), limit=1).records[0]
    checks = instance.event_log_storage.get_latest_asset_check_execution_by_key([holds.check_key])
    return (
        newest.run_id,
        record.storage_id,
        sorted(instance.get_materialized_partitions(dg.AssetKey("parted"))),
        sorted(key.to_user_string() for key in instance.all_asset_keys()),
        checks[holds.check_key].run_id,
        checks[holds.check_key].status,
        instance.get_run_by_id(newest.run_id) is not None,
    )


# Dagster's runs


def test_old_runs_go_but_for_the_newest_of_each_asset_partition_and_check(
    instance: dg.DagsterInstance,
) -> None:
    gone = [execute(instance, "both"), execute(instance, "breaks"), execute(instance, "ask")]
    gone.append(execute(instance, "part", "x"))
    kept = [execute(instance, "part", "y"), execute(instance, "part", "x")]
    gone.append(execute(instance, "one"))
    kept += [execute(instance, "ask"), execute(instance, "one")]
    before = facts(instance)
    assert evaluations(instance) == 3
    assert purge(instance, LONG_BEFORE) == 0
    assert purges.old_runs(instance, 30, LONG_AFTER) == gone
    assert purge(instance) == len(gone)
    assert set(instance.get_run_ids()) == set(kept)
    assert facts(instance) == before
    assert [len(instance.all_logs(run_id)) for run_id in gone] == [0] * len(gone)
    assert evaluations(instance) == 1
    assert purge(instance) == 0


def test_a_check_that_was_asked_and_never_answered_hides_no_older_answer(
    instance: dg.DagsterInstance,
) -> None:
    answered = execute(instance, "ask")
    with patch(f"{__name__}.ANSWERS", [False]):
        asked = execute(instance, "ask")
    assert purge(instance) == 0
    assert set(instance.get_run_ids()) == {answered, asked}


#: A queued run cannot be made without a code server; it is as unfinished as the others.
UNFINISHED = [*(set(dg.DagsterRunStatus) - {*purges.FINISHED, dg.DagsterRunStatus.QUEUED})]


@pytest.mark.parametrize("status", sorted(UNFINISHED, key=lambda s: s.value), ids=lambda s: s.value)
def test_a_run_that_has_not_ended_is_never_deleted(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    run_id = str(uuid4())
    instance.add_run(dg.DagsterRun("orders", run_id=run_id, status=status))
    assert purge(instance) == 0
    assert instance.get_run_ids() == [run_id]


def test_a_purge_killed_between_events_and_run_is_finished_by_the_next(
    instance: dg.DagsterInstance,
) -> None:
    runs = [execute(instance, "breaks") for _ in range(3)]

    class Killed(BaseException):
        """The process is gone."""

    with patch.object(instance, "delete_run", side_effect=Killed), pytest.raises(Killed):
        purge(instance)
    assert set(instance.get_run_ids()) == set(runs)
    assert purge(instance) == 3
    assert instance.get_run_ids() == []


def test_dagster_alone_would_lose_the_newest_materialization(instance: dg.DagsterInstance) -> None:
    """Why runs are kept: should a version of Dagster keep it, this tells us."""
    run_id = execute(instance, "part", "x")
    instance.delete_run(run_id)
    assert instance.get_materialized_partitions(dg.AssetKey("parted")) == set()
    execute(instance, "both")
    instance.delete_run(instance.get_run_ids()[0])
    assert evaluations(instance) == 1


# The nightly job


def test_the_nightly_job_tells_and_audits_what_it_took(
    world: World, instance: dg.DagsterInstance
) -> None:
    for days in (100, 10):
        world.execute(
            "insert into ops.calls (system, minute) values ('odoo', :at)",
            at=world.clock() - days * DAY,
        )
    defs = dg.Definitions(
        jobs=[purges.job()],
        schedules=[purges.build(is_on=True)],
        resources={"systems": world.systems},
    )
    result = defs.resolve_job_def(purges.PURGE).execute_in_process(instance=instance)
    (told,) = [e for e in result.all_events if e.event_type_value == "STEP_OUTPUT"]
    shown = {name: value.value for name, value in told.step_output_data.metadata.items()}
    assert (shown["ops.calls"], shown["total_rows"]) == (1, 1)
    (entry,) = world.rows("select * from ops.audit")
    assert (entry["actor"], entry["action"]) == ("schedule purge", "store.purged")
    assert entry["detail"] == {"rows": {"ops.calls": 1}, "bytes": shown["total_bytes"]}


def test_the_schedule_is_off_until_automation_is_on() -> None:
    found = [purges.build(is_on=is_on) for is_on in (True, False)]
    assert [one.default_status.value for one in found] == ["RUNNING", "STOPPED"]
    assert {(one.cron_schedule, one.execution_timezone) for one in found} == {("40 4 * * *", "UTC")}


def test_what_a_purge_took_is_audited_when_it_is_interrupted(
    world: World, instance: dg.DagsterInstance
) -> None:
    world.execute(
        "insert into ops.calls (system, minute) values ('odoo', :at)", at=world.clock() - 99 * DAY
    )

    def interrupt(table: str, rows: int) -> None:
        if table == "ops.calls":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purges.purge_all(
            world.systems.engine,
            instance,
            Retention(),
            now=world.clock(),
            by="ada",
            say=interrupt,
        )
    (entry,) = world.rows("select actor, detail from ops.audit")
    assert (entry["actor"], entry["detail"]["rows"]) == ("ada", {"ops.calls": 1})


# The command, on Postgres as deployed


@contextmanager
def deployed(
    database: postgres.Databases, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """A deployment without stores on a real Postgres, Dagster's storage beside ours."""
    config = folder / "sync.toml"
    config.write_text("[retention]\ncalls_days = 5\n")
    for name, value in {
        "SYNC_HOME": str(folder),
        "SYNC_DATABASE_URL": database.text(database.store),
        "SYNC_CONFIG": str(config),
        "DAGSTER_HOME": str(Path(__file__).parents[2]),
    }.items():
        monkeypatch.setenv(name, value)
    place = host.databases()
    try:
        with host.instance(place) as instance:
            yield instance
    finally:
        postgres.drop_database(place, str(place.dagster.database))


def said(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_the_command_counts_first_and_then_takes_what_it_counted(
    database: postgres.Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deployed(database, tmp_path, monkeypatch) as instance:
        engine = engine_for(database)
        old, newest = execute(instance, "both"), execute(instance, "both")
        log = Path(
            instance.compute_log_manager.get_captured_local_path([old, "compute_logs", "s"], "out")
        )  # type: ignore[attr-defined]
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("said")
        with connected(engine) as connection:
            connection.exec_driver_sql(
                "insert into ops.calls (system, minute) "
                "select 'odoo', now() - n * interval '1 day' from generate_series(0, 9) n"
            )
        counted = said("purge", "--dry-run")
        assert counted["dry_run"] is True
        assert (counted["rows"], counted["bytes"]) == (5, None)
        assert counted["kept_days"]["calls_days"] == 5
        assert (counted["tables"]["ops.calls"], counted["tables"]["dagster.runs"]) == (5, 0)
        assert said("purge", "--by", "ada")["tables"]["ops.calls"] == 5
        with monkeypatch.context() as later:
            later.setattr("sync_assets.ops.purge_commands.utc_now", lambda: LONG_AFTER)
            found = said("purge", "--older-than", "3", "--by", "ada")
        assert (found["tables"]["ops.calls"], found["tables"]["dagster.runs"]) == (5, 1)
        assert instance.get_run_ids() == [newest]
        assert not log.parent.parent.exists()
        with connected(engine) as connection:
            assert audit.broken(connection) == []
            rows = connection.exec_driver_sql("select actor from ops.audit").all()
        assert [row.actor for row in rows] == ["ada", "ada"]
        engine.dispose()


def test_the_demos_data_is_purged_without_the_demos_secrets_at_hand(
    database: postgres.Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = postgres.Databases(database.store.set(database=f"{database.store.database}_demo"))
    postgres.create_database(demo, str(demo.store.database))
    with deployed(demo, tmp_path, monkeypatch):
        monkeypatch.setenv("SYNC_DATABASE_URL", database.text(database.store))
        file = show.config_path()
        file.parent.mkdir(parents=True)
        urls = dict.fromkeys(("us", "uk", "eu", "odoo"), "http://127.0.0.1:9")
        keys = ("env:DEMO_SHOP_KEY", "env:DEMO_SHOP_SECRET")
        file.write_text(deployment.as_toml(deployment.deployment(urls, keys=keys)))
        found = said("purge", "--demo", "--dry-run")
    assert (found["rows"], found["kept_days"]["calls_days"]) == (0, 14)
    postgres.drop_database(demo, str(demo.store.database))


# Core after a purge

CORE = ("orders", "order_lines", "order_taxes", "order_addresses", "order_changes", "customers")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["place", "note", "cancelled", "completed", "nothing"]),
        st.integers(0, 3),
        st.integers(1, 200),
    ),
    min_size=2,
    max_size=6,
)


def contents(world: World) -> dict[str, list[dict[str, Any]]]:
    """All of core, without what names the run."""
    return {
        table: [
            {name: value for name, value in row.items() if name != "run_id"}
            for row in world.rows(f"select * from core.{table} order by 1, 2, 3, 4")
        ]
        for table in CORE
    }


def change(world: World, what: str, which: int) -> None:
    """Let the shop or its customers do something."""
    known = sorted(world.shops["us"].shelf.entries)
    if what == "place" or not known:
        world.place()
        return
    order_id = known[which % len(known)]
    if what == "note":
        world.shops["us"].edit(order_id, customer_note=f"Ring at {world.clock():%H:%M on %d %B}.")
    elif what != "nothing":
        world.shops["us"].set_status(order_id, what)


@contextmanager
def fresh_world(server: postgres.Databases) -> Iterator[World]:
    name = f"test_{uuid4().hex[:8]}"
    postgres.create_database(server, name, template=str(server.store.database))
    engine = engine_for(postgres.Databases(server.store.set(database=name)))
    try:
        yield small_world(engine)
    finally:
        engine.dispose()
        postgres.drop_database(server, name)


@examples(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(history=STEPS, keep=st.integers(1, 400), batch=st.sampled_from([1, 2, 5_000]))
def test_mapping_everything_again_after_a_purge_gives_the_same_core_and_no_write(
    server: postgres.Databases, history: list[tuple[str, int, int]], keep: int, batch: int
) -> None:
    with fresh_world(server) as world:
        world.place()
        for what, which, days in history:
            world.run()
            change(world, what, which)
            world.clock.forward(days=days)
        world.run_until_quiet()
        world.clock.forward(days=30)
        before, newest = contents(world), world.rows(_NEWEST)
        calls = world.erp.calls["sale.order.load"]
        retention = purging.older_than(Retention(), keep)
        for _ in purging.purge(world.systems.engine, retention, world.clock(), batch):
            pass
        assert contents(world) == before
        assert world.rows(_NEWEST) == newest
        assert world.rows(_LOST) == []
        with connected(world.systems.engine) as connection:
            raw.forget_mapping(connection, "woocommerce__orders")
        world.run()
        assert contents(world) == before
        assert world.erp.calls["sale.order.load"] == calls
        assert world.rows("select id from ops.outbox where state not in ('done', 'refused')") == []


_NEWEST = """
select distinct on (source, resource_id) source, resource_id, version, content_hash
from raw.woocommerce__orders order by source, resource_id, changed_at desc, version desc
"""
#: Versions that core names and raw does not hold any more.
_LOST = """
select p.order_ref from (
    select order_ref, raw_version from core.orders
    union select order_ref, raw_version from core.order_changes
    union select order_ref, core_version from receipt.sales_orders) p
where not exists (select from raw.woocommerce__orders r where r.version = p.raw_version)
"""
