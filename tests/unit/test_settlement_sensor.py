"""When a run of the settlements starts: who is looked at how often, and which writes are due."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resources import settings
from resources.settings import Settings
from sensors import after_sale, settlements_due
from sensors.pending import Fact, Interval, Pending
from sync_assets import jobs
from tests.worlds import deployment

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUIET = Pending(NOW)


def config(**more: Any) -> Settings:
    said = settings.Settings.model_validate(
        {
            "providers": {
                "card": {"kind": "stripe", "key": "k", "payment_methods": ["card"]},
                "local": {"kind": "adyen", "payment_methods": ["ideal"], "poll_seconds": 60},
                "cod": {"kind": "files", "payment_methods": ["cod"], "poll_seconds": 3600},
            },
            "banks": {"main": {"inbox": "in", "currency": "USD", "company": "Acme US Inc"}},
            **more,
        }
    )
    return deployment().model_copy(update={"providers": said.providers, "banks": said.banks})


def reasons(seen: Pending) -> list[str]:
    polls = settlements_due.polls(config())
    return after_sale.rule((), settlements_due.WRITES, (), polls)(seen)


def looked_at(**since: datetime) -> Pending:
    """Everybody was looked at just now, but those that are named."""
    asked = {(one.source, one.stream): NOW for one in settlements_due.polls(config())}
    asked |= {(name, "report_lines"): at for name, at in since.items()}
    return replace(QUIET, asked_at=asked)


def test_providers_are_looked_at_as_often_as_said_and_banks_every_quarter_of_an_hour() -> None:
    assert settlements_due.polls(config()) == [
        Interval("card", "report_lines", timedelta(minutes=15)),
        Interval("local", "report_lines", timedelta(minutes=1)),
        Interval("cod", "report_lines", timedelta(hours=1)),
        Interval("main", "report_lines", timedelta(minutes=15)),
    ]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (looked_at(), []),
        (
            looked_at(local=NOW - timedelta(seconds=60)),
            ["local was not asked for report_lines since 2026-03-02 08:59:00 UTC"],
        ),
        (looked_at(cod=NOW - timedelta(minutes=59)), []),
        (
            looked_at(main=NOW - timedelta(minutes=15), card=NOW - timedelta(minutes=15)),
            [
                "card was not asked for report_lines since 2026-03-02 08:45:00 UTC",
                "main was not asked for report_lines since 2026-03-02 08:45:00 UTC",
            ],
        ),
        (
            replace(looked_at(), writes={"journal": {"odoo": 3}, "delivery": {"odoo": 2}}),
            ["3 writes about a journal to odoo"],
        ),
        (replace(looked_at(), elsewhere={"stripe": "1 of pay"}, stale={"settlement": 4}), []),
    ],
)
def test_a_run_starts_when_somebody_is_due_or_an_entry_is(
    seen: Pending, expected: list[str]
) -> None:
    assert reasons(seen) == expected


def test_who_was_never_looked_at_is_due_at_once() -> None:
    assert reasons(QUIET) == [
        f"{name} was never asked for report_lines" for name in ("card", "local", "cod", "main")
    ]


def test_a_provider_that_is_away_or_paused_does_not_start_one_run_after_the_other() -> None:
    late = looked_at(local=NOW - timedelta(hours=3))
    assert reasons(replace(late, last_run_at=NOW - timedelta(seconds=59))) == []
    assert len(reasons(replace(late, last_run_at=NOW - timedelta(seconds=60)))) == 1
    assert reasons(replace(late, resting=frozenset({"local"}))) == []


def test_nothing_starts_while_a_run_is_at_work() -> None:
    assert reasons(replace(QUIET, writes={"journal": {"odoo": 3}}, is_running=True)) == []


def test_only_a_deployment_with_providers_has_the_sensor() -> None:
    without = config(providers={})
    assert settlements_due.build(without, jobs.SETTLEMENTS, is_on=True) == []
    (one,) = settlements_due.build(config(), jobs.SETTLEMENTS, is_on=False)
    assert (one.name, one.job_name) == ("settlements_due", "settlements")
    assert one.default_status.value == "STOPPED"


def test_it_reads_only_what_its_rule_asks_about() -> None:
    assert settlements_due.FACTS == (Fact.WRITES, Fact.POLLS)
