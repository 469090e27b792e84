"""The settlements as runs of Dagster: what a run of the job reads, judges and posts, what its
checks answer, and a provider's day read again.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine

from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.stripe import StripeStandIn
from resources.settings import StripeProvider
from sync_assets import jobs
from sync_assets.settlements import assets as settlements
from tests.flows.test_definitions import MONEY_CHECKS
from tests.runs import Runs, shown
from tests.settling import Money, settled_world
from tests.settling_files import (
    bank_camt,
    cod_file,
    stripe_charge,
    stripe_file,
    stripe_payout,
)
from tests.worlds import spoil

WHOLE = "2026-03-04|stripe_us"
TABLES = [table for step in settlements.STEPS.values() for table in step]
CHECKS = {*MONEY_CHECKS, *(f"{table}_keep_their_schema" for table in TABLES)}


@pytest.fixture
def one(engine: Engine, tmp_path: Path) -> Money:
    return settled_world(engine, tmp_path)


@pytest.fixture
def runs(one: Money) -> Iterator[Runs]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(one.world, instance)


def paid_out(one: Money, net: str = "96.80") -> None:
    """An order of 100.00, settled less 3.20, and paid out; `net` is what the payout says."""
    one.order(1, "100.00", payment="pi_1")
    lines = (stripe_charge(1, "100.00", "3.20", payout="po_1"), stripe_payout("po_1", net))
    one.drop("stripe_us", "itemised.csv", stripe_file(*lines))
    one.drop("main_usd", "day.xml", bank_camt(1, "0.00", (net, "STRIPE PAYOUT po_1")))
    one.world.clock.forward(hours=1)


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def told(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, object]:
    """What a run showed of an asset."""
    (found,) = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(key)
    ]
    return shown(found)


# ---------------------------------------------------------------- the job


def test_a_run_reads_matches_books_and_every_check_agrees(one: Money, runs: Runs) -> None:
    paid_out(one)
    result = runs(jobs.SETTLEMENTS)
    assert result.success
    assert verdicts(result) == dict.fromkeys(CHECKS, True)
    assert told(result, "raw", "stripe", "report_lines")["new_versions"] == 2
    by_rule = told(result, "core", "matches")["by_rule"]
    assert isinstance(by_rule, dict)
    assert {rule: n for rule, n in by_rule.items() if n} == {"exact": 1, "bank_amount": 1}
    assert told(result, "core", "journal_entries")["entries"] == 3
    assert told(result, "receipt", "odoo", "journal_entries")["accepted"] == 3
    assert one.open() == {}
    assert one.balances() == {
        "1000": "96.80 USD",
        "1100": "-100.00 USD",
        "6200": "3.20 USD",
    }
    assert one.in_erp().keys() == one.books().keys()


def test_a_second_run_writes_nothing_and_posts_nothing_twice(one: Money, runs: Runs) -> None:
    paid_out(one)
    assert runs(jobs.SETTLEMENTS).success
    before = one.counts(), one.in_erp()
    one.world.clock.forward(hours=1)
    again = runs(jobs.SETTLEMENTS)
    assert again.success
    assert verdicts(again) == dict.fromkeys(CHECKS, True)
    assert (one.counts(), one.in_erp()) == before


def test_a_payout_that_is_not_its_lines_fails_its_check_and_stops_nothing(
    one: Money, runs: Runs
) -> None:
    paid_out(one, net="95.80")
    result = runs(jobs.SETTLEMENTS)
    assert result.success
    asked = {check.check_name: check for check in result.get_asset_check_evaluations()}
    check = asked.pop("payout_is_the_sum_of_its_lines")
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert shown(check) == {"count": 1, "sum": "1 USD", "keys": "stripe_us:po_1"}
    assert all(other.passed for other in asked.values())
    assert one.balances()["1210"] == "1.00 USD"  # booked as told: the provider still holds it
    assert one.told() == {("stripe_us:po_1", "payout_unbalanced")}


def test_a_file_that_cannot_be_read_does_not_keep_the_others(one: Money, runs: Runs) -> None:
    one.drop("stripe_us", "broken.csv", "no,such\ncolumns,here\n")
    paid_out(one)
    result = runs(jobs.SETTLEMENTS)
    assert result.success
    folder = one.folder / "stripe_us"
    assert [path.name[:6] for path in (folder / "refused").glob("*.csv")] == ["broken"]
    assert [path.name[:8] for path in (folder / "done").glob("*.csv")] == ["itemised"]
    assert [code for _, code in one.told()] == ["file_refused"]
    assert one.balances()["1000"] == "96.80 USD"


#: What a hand, a migration or another writer may do to a row; constraints refuse more than this.
BREAKAGES = {
    "settlement_lines": "currency = 'dollars'",
    "payouts": "currency = 'usd'",
    "bank_lines": "currency = ''",
    "bank_statements": "number = -1",
    "payments": "currency = 'US'",
    "matches": "rule = 'By Ear'",
    "journal_entries": "company_currency = 'dollars'",
    "journal_lines": "account = ''",
    "reconciliations": "currency = 'dollars'",
}


def test_a_row_of_money_that_is_not_what_it_says_is_named(one: Money, runs: Runs) -> None:
    paid_out(one)
    assert runs(jobs.SETTLEMENTS).success
    good = runs.schema_checks()
    assert all(check.passed for check in good.values())
    rows = {table: shown(good[table])["rows"] for table in TABLES}
    assert rows["settlement_lines"] == rows["matches"] == 2
    assert rows["journal_entries"] == 3
    assert rows["journal_lines"] == one.counts()["core.journal_lines"]
    assert rows["reconciliations"] > 0

    for table, change in BREAKAGES.items():
        first = f"ctid = (select min(ctid) from core.{table})"
        assert spoil(one.systems.engine, f"update core.{table} set {change} where {first}") == 1
    bad = runs.schema_checks()
    assert {name for name, check in bad.items() if not check.passed} == set(BREAKAGES)
    for table, change in BREAKAGES.items():
        told = shown(bad[table])
        assert (told["faults"], told["columns"]) == (1, change.partition(" ")[0]), table


# ---------------------------------------------------------------- a provider that is asked


@pytest.fixture
def stripe(one: Money) -> StripeStandIn:
    """An account that is asked over its API; a sale of 100.00 was paid out for 4 March."""
    account = StripeStandIn(now=one.world.clock, key="sk_test")
    account.charge(10_000, fee=320)
    account.settle_payout(account.pay_out(arrives=date(2026, 3, 4)))
    settings, systems = one.systems.settings, one.systems
    asked = settings.providers["stripe_us"].model_copy(update={"asks": True})
    assert isinstance(asked, StripeProvider)
    providers = {**settings.providers, "stripe_us": asked}
    systems.settings = settings.model_copy(update={"providers": providers})
    systems.transports = {**systems.transports, "stripe_us": account.transport()}
    one.world.clock.forward(hours=1)
    return account


def test_a_day_of_payouts_is_read_again_whole_and_added_up(
    one: Money, stripe: StripeStandIn, runs: Runs
) -> None:
    result = runs(jobs.PAYOUTS, partition=WHOLE)
    assert result.success
    found = told(result, "core", "payouts_by_day")
    assert (found["payouts"], found["lines"], found["new"]) == (1, 2, 3)
    assert (found["paid"], found["not_the_sum_of_their_lines"]) == ("96.8 USD", "")
    rows = one.world.rows("select paid_on, paid_amount, state from core.payouts")
    assert rows == [{"paid_on": date(2026, 3, 4), "paid_amount": Decimal("96.8"), "state": "paid"}]
    assert one.matches() == []  # that is for the job of all settlements
    again = told(runs(jobs.PAYOUTS, partition=WHOLE), "core", "payouts_by_day")
    assert (again["payouts"], again["lines"], again["new"]) == (1, 2, 0)


def test_another_day_or_a_provider_that_only_sends_files_gives_nothing(
    one: Money, stripe: StripeStandIn, runs: Runs
) -> None:
    for partition in ("2026-03-05|stripe_us", "2026-03-04|cod_eu"):
        result = runs(jobs.PAYOUTS, partition=partition)
        assert result.success
        assert told(result, "core", "payouts_by_day")["payouts"] == 0


def test_a_provider_that_is_away_is_told_and_the_others_are_settled(
    one: Money, stripe: StripeStandIn, runs: Runs
) -> None:
    stripe.faults.plan(Fault(Trouble.CUT_BEFORE, times=999))
    one.order(2, "40.00", store="eu", method="cod")
    one.drop("cod_eu", "remittance.csv", cod_file("T1,2,sale,40.00,2.00,0,38.00,R1,2026-03-02,R1"))
    result = runs(jobs.SETTLEMENTS)
    assert result.success
    assert told(result, "raw", "stripe", "charges")["failed"]
    assert one.world.open_codes("stripe_us/payments") == {"system.unreadable"}
    assert one.matches() == [("reference", "cod_eu:T1", "eu:2:capture")]
