"""`sync-assets pause`, `resume` and `drain`: what they change, what they say, what they refuse."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from resources.store import postgres
from resources.store.backlog import Backlog, History, drain_seconds
from sync_assets.ops import systems_commands
from tests.desk import desk, said
from tests.worlds import World


@pytest.fixture
def office(world: World, database: postgres.Databases, tmp_path: Path) -> Iterator[World]:
    """A deployment of the small world; each command runs on its database."""
    with desk(world, database, tmp_path):
        yield world
    postgres.drop_database(database, f"{database.store.database}_dagster")


def state(world: World) -> dict[str, Any]:
    (row,) = world.rows("select state, reason, until, changed_by from ops.system")
    return row


def paused_with(world: World, orders: int) -> str:
    """Pause the ERP and let planned orders wait in the outbox; answers what was said."""
    for _ in range(orders):
        world.place()
    world.clock.forward(seconds=2)
    for step in world.steps[:3]:
        step()
    told = said("pause", "odoo", "--reason", "upgrade", "--by", "olga")
    assert told.code == 0
    world.send()
    return told.out


def test_pausing_says_what_waits_and_resuming_what_is_due(office: World) -> None:
    assert paused_with(office, 2) == (
        "odoo is paused until `sync-assets resume odoo`. 0 writes and deliveries are due and wait."
        "\n"
    )
    assert state(office) == {
        "state": "paused",
        "reason": "upgrade",
        "until": None,
        "changed_by": "olga",
    }
    assert office.in_erp() == {}
    told = said("resume", "odoo")
    assert told.out == "odoo is running again; 2 writes and deliveries are due.\n"
    assert said("resume", "odoo", "--json").json == {
        "system": "odoo",
        "state": "running",
        "changed": False,
        "due": 2,
    }
    audited = office.rows("select actor, action, detail from ops.audit order by id")
    assert [(row["actor"], row["action"]) for row in audited] == [
        ("olga", "system.paused"),
        ("tester", "system.resumed"),
    ]
    assert audited[0]["detail"] == {"reason": "upgrade", "until": None}


def test_a_pause_may_have_an_end(office: World) -> None:
    before = datetime.now(UTC)
    told = said("pause", "us", "--reason", "sale", "--for", "1h30m", "--json").json
    end = datetime.fromisoformat(told["until"])
    assert timedelta(minutes=90) <= end - before <= timedelta(minutes=91)
    assert state(office)["until"] == end
    said("pause", "us", "--reason", "sale", "--until", "2099-03-02T18:00+02:00")
    assert state(office)["until"] == datetime(2099, 3, 2, 16, tzinfo=UTC)


MISTAKES = [
    (["pause", "sap", "--reason", "x"], "There is no system 'sap'. Configured: us, uk, odoo."),
    (["resume", "sap"], "There is no system 'sap'. Configured: us, uk, odoo."),
    (["drain", "sap"], "There is no system 'sap'. Configured: us, uk, odoo."),
    (
        ["pause", "us", "--reason", "x", "--until", "tomorrow"],
        "--until needs a moment like 2026-03-02T18:00Z, not 'tomorrow'.",
    ),
    (
        ["pause", "us", "--reason", "x", "--until", "2099-03-02T18:00"],
        "--until 2099-03-02T18:00 has no zone; write 2099-03-02T18:00Z for UTC, or an offset "
        "like +02:00.",
    ),
    (
        ["pause", "us", "--reason", "x", "--for", "2 hours"],
        "--for needs a length like 30m, 2h, 1h30m or 1d, not '2 hours'.",
    ),
    (
        ["pause", "us", "--reason", "x", "--for", "1h2h"],
        "--for needs a length like 30m, 2h, 1h30m or 1d, not '1h2h'.",
    ),
    (
        ["pause", "us", "--reason", "x", "--for", "0m"],
        "--for needs a length like 30m, 2h, 1h30m or 1d, not '0m'.",
    ),
    (
        ["pause", "us", "--reason", "x", "--for", "1h", "--until", "2099-03-02T18:00Z"],
        "Give --until or --for, not both.",
    ),
    (
        ["pause", "us", "--reason", " "],
        "--reason is empty; say why, so that others know what they are waiting for.",
    ),
]


def test_a_mistake_is_one_sentence_and_changes_nothing(office: World) -> None:
    for words, sentence in MISTAKES:
        told = said(*words)
        assert (told.code, told.sentence()) == (2, sentence)
    assert office.rows("select * from ops.system") == []
    assert office.rows("select * from ops.audit") == []


def test_a_pause_in_the_past_is_refused(office: World) -> None:
    told = said("pause", "us", "--reason", "x", "--until", "2020-01-01T00:00Z")
    assert told.sentence().startswith("--until 2020-01-01T00:00Z is over; it is ")
    assert office.rows("select * from ops.system") == []


def test_draining_tells_the_backlog_by_lane_and_how_long_it_takes(office: World) -> None:
    paused_with(office, 3)
    told = said("drain", "odoo", "--json").json
    assert told["writes_by_lane"] == {"order": 3}
    assert (told["state"], told["due"], told["calls_per_second"]) == ("draining", 3, None)
    assert (told["seconds"], told["is_guess"]) == (pytest.approx(0.6, abs=0.6), True)
    shown = said("drain", "odoo").out
    assert "Due for odoo" in shown
    assert "odoo is draining: no limit of calls, about " in shown
    assert office.send().accepted == 3
    assert state(office)["state"] == "running"


def test_draining_nothing_is_running(office: World) -> None:
    said("pause", "odoo", "--reason", "upgrade")
    assert said("drain", "odoo").out == "Nothing is due for odoo; it is running.\n"
    assert state(office)["state"] == "running"
    assert said("drain", "odoo", "--wait").out.endswith("Nothing is due for odoo any more.\n")


def test_waiting_for_a_drain_ends_when_the_backlog_is_gone(
    office: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused_with(office, 2)
    monkeypatch.setattr(systems_commands.time, "sleep", lambda seconds: office.send())
    told = said("drain", "odoo", "--wait", "--json").json
    assert (told["state"], told["drained"]) == ("running", 2)
    assert len(office.in_erp()) == 2


def test_waiting_for_a_drain_ends_when_somebody_pauses_again(
    office: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused_with(office, 2)

    def pause(seconds: float) -> None:
        said("pause", "odoo", "--reason", "once more", "--by", "igor")

    monkeypatch.setattr(systems_commands.time, "sleep", pause)
    told = said("drain", "odoo", "--wait")
    assert told.code == 1
    assert told.sentence() == "odoo is paused again by igor; not all is sent."
    assert office.in_erp() == {}


def test_a_drain_that_does_not_move_says_once_who_sends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    left = iter([5] * 130 + [2, 0])
    slept: list[float] = []
    with Progress(disable=True) as bar:
        task = bar.add_task("to odoo", total=5)
        systems_commands.follow(lambda: next(left), bar, task, slept.append)
        assert bar.tasks[task].completed == 5
    assert len(slept) == 131
    assert capsys.readouterr().err.count("Nothing moves. Is the daemon running?") == 1


@pytest.mark.parametrize(
    ("backlog", "history", "rate", "seconds"),
    [
        (Backlog({"order": 600}), History(), None, 120.0),
        (Backlog({"order": 600}), History(), 2, 300.0),
        (Backlog({"order": 600}), History(calls=1000, seconds=100.0, writes=500), None, 120.0),
        (Backlog({"order": 600}), History(calls=1000, seconds=100.0, writes=500), 4, 300.0),
        (Backlog({}, deliveries=250), History(), 1, 3.0),
        (Backlog({}), History(), 1, 0.0),
    ],
)
def test_the_estimate_follows_history_and_limit(
    backlog: Backlog, history: History, rate: int | None, seconds: float
) -> None:
    assert drain_seconds(backlog, history, Decimal(rate) if rate else None) == seconds
