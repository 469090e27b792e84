"""Failed runs and comparisons: what people are told of them, on Dagster's own Postgres storage."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from resources.store import postgres
from resources.store.alerts import Alert
from sensors import failures
from sensors.failures import FailedCheck, FailedStep
from tests.worlds import START


def failed(job: str = "orders", step: str = "send", **more: Any) -> FailedStep:
    return FailedStep(job, step, "0f3a9c11-2222", START, **more)


def test_a_failed_step_says_where_why_and_what_next() -> None:
    (one,) = failures.alerts([failed(system="odoo", remedy="sign_in")], [])
    assert (one.key, one.severity) == ("run:orders:send", "critical")
    assert one.title == "Job orders failed"
    assert one.what == "Step send failed at odoo in run 0f3a9c11-2222."
    assert one.next_step == (
        "Check the key, user and password of this system, then run again. UI: Runs > 0f3a9c11"
    )


@pytest.mark.parametrize(
    ("remedy", "severity"),
    [
        ("retry", "warning"),
        ("find_out", "warning"),
        ("give_to_person", "critical"),
        ("", "critical"),
    ],
)
def test_what_passes_by_itself_is_no_emergency(remedy: str, severity: str) -> None:
    (one,) = failures.alerts([failed(remedy=remedy)], [])
    assert one.severity == severity


def test_a_run_that_died_without_a_step_is_told_as_that() -> None:
    (one,) = failures.alerts([failed(step="")], [])
    assert one.what == "The run itself failed in run 0f3a9c11-2222."
    assert one.next_step == "See what it says. UI: Runs > 0f3a9c11"


def test_days_of_a_backfill_that_fail_alike_are_one_alert() -> None:
    days = [failed("orders_backfill", "read", partition=f"2026-03-0{n}|us") for n in (2, 1)]
    (one,) = failures.alerts(days, [])
    assert (one.things, one.things_count) == (("2026-03-01|us", "2026-03-02|us"), 2)


def test_a_difference_is_told_by_its_counts_and_keys() -> None:
    check = FailedCheck(
        "core_and_odoo_agree",
        "receipt/odoo/sales_orders",
        START,
        "r",
        (("missing", 2), ("doubled", 1)),
        ("us:1", "us:2", "us:3"),
    )
    (one,) = failures.alerts([], [check])
    assert one.title == "core and odoo agree: no"
    assert one.what == "The newest comparison found a difference: 2 missing, 1 doubled."
    assert one.things == ("us:1", "us:2", "us:3")
    assert one.next_step == (
        "UI: Assets > receipt/odoo/sales_orders > Checks > core_and_odoo_agree"
    )


CHECK = dg.AssetCheckKey(dg.AssetKey(["core", "things"]), "sides_agree")


class Switch:
    """A job with a step that fails, and a comparison that disagrees, when told to."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.fails, self.differs = instance, False, False
        days = dg.StaticPartitionsDefinition(["mon", "tue"])

        @dg.asset(key=CHECK.asset_key)
        def things() -> None:
            if self.fails:
                raise dg.Failure(
                    "odoo: Ada Byron has no credit",
                    metadata={"system": "odoo", "remedy": "give_to_person"},
                )

        @dg.asset_check(asset=CHECK.asset_key, name=CHECK.name)
        def sides_agree() -> dg.AssetCheckResult:
            keys = {"missing": 1, "missing_keys": "us:7"} if self.differs else {}
            return dg.AssetCheckResult(
                passed=not self.differs, metadata={"compared": 9, "under_way": 2, **keys}
            )

        @dg.asset(partitions_def=days)
        def by_day() -> None:
            if self.fails:
                raise ZeroDivisionError

        self.defs = dg.Definitions(
            [things, by_day],
            asset_checks=[sides_agree],
            jobs=[
                dg.define_asset_job("job", dg.AssetSelection.assets(CHECK.asset_key)),
                dg.define_asset_job("days", dg.AssetSelection.assets(by_day)),
            ],
        )

    def run(self, job: str = "job", day: str | None = None) -> str:
        done = self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=day,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        return done.run_id

    def alerts(self) -> dict[str, Alert]:
        steps = failures.failed_runs(self.instance, ["job", "days", "never_ran"])
        told = failures.alerts(steps, failures.failed_checks(self.instance, [CHECK]))
        return {one.key: one for one in told}


@pytest.fixture
def switch(database: postgres.Databases) -> Iterator[Switch]:
    """On Dagster's own Postgres storage, as in a deployment."""
    postgres.create_missing(database)
    url = database.text(database.dagster)
    with dg.instance_for_test(overrides={"storage": {"postgres": {"postgres_url": url}}}) as one:
        yield Switch(one)
    postgres.drop_database(database, str(database.dagster.database))


def test_a_failed_job_is_told_until_it_succeeds_again(switch: Switch) -> None:
    switch.run()
    assert switch.alerts() == {}
    switch.fails = True
    run_id = switch.run()
    told = switch.alerts()
    assert set(told) == {"run:job:core__things"}
    one = told["run:job:core__things"]
    assert one.what == f"Step core__things failed at odoo in run {run_id}."
    assert "Byron" not in str(told)
    assert datetime.now(UTC) - one.since_at < timedelta(minutes=5)
    switch.fails = False
    switch.run()
    assert switch.alerts() == {}


def test_a_failed_day_is_told_until_that_day_succeeds(switch: Switch) -> None:
    switch.fails = True
    switch.run("days", "mon")
    switch.run("days", "tue")
    assert switch.alerts()["run:days:by_day"].things == ("mon", "tue")
    switch.fails = False
    switch.run("days", "tue")
    assert switch.alerts()["run:days:by_day"].things == ("mon",)
    switch.run("days", "mon")
    assert switch.alerts() == {}


def test_a_comparison_that_disagrees_is_told_until_it_agrees(switch: Switch) -> None:
    switch.differs = True
    switch.run()
    told = switch.alerts()
    assert set(told) == {"check:core/things:sides_agree"}
    one = told["check:core/things:sides_agree"]
    assert one.what == "The newest comparison found a difference: 1 missing."
    assert (one.things, one.things_count) == (("us:7",), 1)
    switch.differs = False
    switch.run()
    assert switch.alerts() == {}
