"""Alerts as rows: told once by each channel, again when it matters, ended, and by one process."""

import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from resources.notify import ChannelFailed, Message, Notifier, Told
from resources.settings import Notify
from resources.store import alerts
from resources.store.alerts import Alert, Severity
from resources.store.engine import connected
from resources.store.frames import read_rows
from tests.worlds import START, Clock

BACKLOG = Alert(
    "backlog:odoo",
    "standing",
    "Writes pile up for odoo",
    Severity.WARNING,
    "Writes waiting: 1,200, more than 1,000.",
    "sync-assets status",
    START - timedelta(minutes=35),
)
WORKER = replace(BACKLOG, key="worker", title="No warm worker is alive")
FAILED_RUN = replace(BACKLOG, key="run:orders:x", scope="runs", title="Job orders failed")


@dataclass
class Ear:
    """A channel that remembers what it heard, and fails when told to."""

    name: str = "ear"
    heard: list[Message] = field(default_factory=list)
    fault: Exception | None = None

    def send(self, message: Message) -> None:
        if self.fault is not None:
            raise self.fault
        self.heard.append(message)

    @property
    def titles(self) -> list[str]:
        return [one.title for one in self.heard]


@dataclass
class Desk:
    """A notifier with its ears and its clock."""

    engine: Engine
    clock: Clock
    ears: list[Ear]

    def tell(self, *found: Alert, scope: str = "standing") -> list[Told]:
        notifier = Notifier(Notify(repeat_hours=4), self.engine, self.clock, self.ears)
        return notifier.tell(found, scope)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with connected(self.engine) as connection:
            return read_rows(connection, query)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def desk(engine: Engine, ear: Ear) -> Desk:
    return Desk(engine, Clock(), [ear])


# ---------------------------------------------------------------- once


def test_a_trouble_is_told_once_however_often_it_is_found(desk: Desk, ear: Ear) -> None:
    assert desk.tell(BACKLOG) == [Told("ear", 1)]
    for _ in range(3):
        desk.clock.forward(minutes=1)
        assert desk.tell(BACKLOG) == []
    assert ear.titles == ["Writes pile up for odoo"]
    assert desk.rows("select seen_count, first_at, last_at, ended_at from ops.alert") == [
        {
            "seen_count": 4,
            "first_at": START,
            "last_at": START + timedelta(minutes=3),
            "ended_at": None,
        }
    ]


def test_it_is_told_again_only_after_the_configured_hours(desk: Desk, ear: Ear) -> None:
    desk.tell(BACKLOG)
    desk.clock.forward(hours=3, minutes=59)
    assert desk.tell(BACKLOG) == []
    desk.clock.forward(minutes=1)
    assert desk.tell(BACKLOG) == [Told("ear", 1)]
    assert len(ear.heard) == 2


def test_a_graver_trouble_is_told_at_once_and_a_lesser_one_is_not(desk: Desk, ear: Ear) -> None:
    desk.tell(BACKLOG)
    desk.clock.forward(minutes=1)
    desk.tell(replace(BACKLOG, severity=Severity.CRITICAL))
    desk.clock.forward(minutes=1)
    desk.tell(BACKLOG)
    desk.clock.forward(minutes=1)
    desk.tell(replace(BACKLOG, severity=Severity.CRITICAL))
    assert [one.severity.value for one in ear.heard] == ["warning", "critical"]


def test_many_found_at_once_are_one_message_the_gravest_first(desk: Desk, ear: Ear) -> None:
    desk.tell(BACKLOG, replace(WORKER, severity=Severity.CRITICAL))
    (message,) = ear.heard
    assert message.title == "1 critical, 1 warning"
    assert message.text.startswith("No warm worker is alive\n")


def test_a_message_shows_what_was_found_last(desk: Desk, ear: Ear) -> None:
    desk.tell(BACKLOG)
    desk.clock.forward(hours=5)
    desk.tell(replace(BACKLOG, what="Writes waiting: 9.", things=("us:1",), things_count=9))
    assert ear.heard[1].text == (
        "Writes waiting: 9.\n"
        "Since: 2026-03-02 08:25 UTC, 5 h ago\n"
        "Which (1 of 9): us:1\n"
        "Next: sync-assets status"
    )


# ---------------------------------------------------------------- over


def test_what_is_gone_for_a_while_has_ended_and_the_end_is_told_once(desk: Desk, ear: Ear) -> None:
    desk.tell(BACKLOG)
    desk.clock.forward(minutes=4)
    assert desk.tell() == []
    desk.clock.forward(minutes=1)
    desk.tell()
    desk.clock.forward(hours=9)
    desk.tell()
    assert ear.titles == ["Writes pile up for odoo", "Over: Writes pile up for odoo"]
    assert ear.heard[1].text == "It was there from 2026-03-02 09:00 to 2026-03-02 09:05 UTC."


def test_what_comes_and_goes_within_minutes_is_one_trouble(desk: Desk, ear: Ear) -> None:
    for found in ([BACKLOG], [], [BACKLOG], [], [BACKLOG]):
        desk.tell(*found)
        desk.clock.forward(minutes=2)
    assert ear.titles == ["Writes pile up for odoo"]


def test_a_trouble_that_is_back_is_a_new_one(desk: Desk, ear: Ear) -> None:
    desk.tell(BACKLOG)
    desk.clock.forward(minutes=6)
    desk.tell()
    desk.clock.forward(minutes=1)
    desk.tell(BACKLOG)
    assert len(ear.titles) == 3
    assert desk.rows("select first_at, seen_count, ended_at from ops.alert") == [
        {"first_at": START + timedelta(minutes=7), "seen_count": 1, "ended_at": None}
    ]


def test_one_watch_does_not_end_what_another_found(desk: Desk, ear: Ear) -> None:
    desk.tell(FAILED_RUN, scope="runs")
    desk.clock.forward(hours=1)
    desk.tell(scope="standing")
    assert ear.titles == ["Job orders failed"]
    desk.tell(scope="runs")
    assert ear.titles[1:] == ["Over: Job orders failed"]


def test_the_end_of_what_nobody_was_told_of_is_not_told(desk: Desk, ear: Ear) -> None:
    ear.fault = ChannelFailed("away")
    desk.tell(BACKLOG)
    ear.fault = None
    desk.clock.forward(minutes=6)
    assert desk.tell() == []
    assert ear.heard == []


# ---------------------------------------------------------------- channels that fail


def test_a_channel_that_fails_is_tried_again_and_the_other_is_told_once(desk: Desk) -> None:
    good, bad = desk.ears[0], Ear("bad", fault=ChannelFailed("the webhook answered 500"))
    desk.ears.insert(0, bad)
    assert desk.tell(BACKLOG) == [
        Told("bad", 1, "the webhook answered 500"),
        Told("ear", 1),
    ]
    assert desk.rows("select channel, told_at from ops.alert_told order by 1") == [
        {"channel": "bad", "told_at": None},
        {"channel": "ear", "told_at": START},
    ]
    bad.fault = None
    assert desk.tell(BACKLOG) == [Told("bad", 1)]
    assert (len(good.heard), len(bad.heard)) == (1, 1)


def test_a_channel_with_a_fault_of_ours_does_not_stop_the_others(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.ears.insert(0, Ear("bad", fault=ZeroDivisionError("s3cr3t")))
    told = desk.tell(BACKLOG)
    assert told[0].failed == "failed unexpectedly (ZeroDivisionError)"
    assert desk.ears[1].titles == ["Writes pile up for odoo"]
    assert "s3cr3t" not in caplog.text


def test_a_test_message_reaches_every_channel_and_is_no_alert(desk: Desk) -> None:
    desk.ears.append(Ear("bad", fault=ChannelFailed("away")))
    found = Notifier(Notify(), desk.engine, desk.clock, desk.ears).test()
    assert found == [Told("ear"), Told("bad", 0, "away")]
    assert desk.ears[0].titles == ["This is a test"]
    assert desk.rows("select * from ops.alert") == []


# ---------------------------------------------------------------- two processes


def test_what_one_process_is_telling_no_other_tells(desk: Desk) -> None:
    with connected(desk.engine) as connection:
        alerts.see(connection, [BACKLOG], START)
        first = alerts.claim(connection, "ear", START, repeat=timedelta(hours=4))
    with connected(desk.engine) as connection:
        second = alerts.claim(connection, "ear", START, repeat=timedelta(hours=4))
    assert ([one.alert.key for one in first], second) == (["backlog:odoo"], [])


def test_what_a_killed_process_was_telling_is_told_by_the_next(desk: Desk, ear: Ear) -> None:
    with connected(desk.engine) as connection:
        alerts.see(connection, [BACKLOG], START)
        alerts.claim(connection, "ear", START, repeat=timedelta(hours=4))
    desk.clock.forward(minutes=4)
    assert desk.tell(BACKLOG) == []
    desk.clock.forward(minutes=1)
    assert desk.tell(BACKLOG) == [Told("ear", 1)]
    assert len(ear.heard) == 1


def test_processes_that_tell_at_once_tell_once(desk: Desk, ear: Ear) -> None:
    many, gate = 4, threading.Barrier(4)
    found = [replace(BACKLOG, key=f"k{n}") for n in range(20)]

    def tell() -> None:
        gate.wait()
        desk.tell(*found)

    threads = [threading.Thread(target=tell) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ear.titles == ["20 warning"]
    assert desk.rows("select sum(told_count)::int as n from ops.alert_told") == [{"n": 20}]


# ---------------------------------------------------------------- rows


def test_open_alerts_are_listed_with_who_knows(desk: Desk) -> None:
    desk.ears.append(Ear("bad", fault=ChannelFailed("away")))
    desk.tell(BACKLOG, replace(WORKER, severity=Severity.CRITICAL))
    with connected(desk.engine) as connection:
        rows = alerts.open_ones(connection)
    assert [(one["key"], one["told_to"], one["not_told_to"]) for one in rows] == [
        ("worker", "ear", "bad"),
        ("backlog:odoo", "ear", "bad"),
    ]


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("update ops.alert set severity = 'loud'", "alert_severity_is_known"),
        ("update ops.alert set ended_at = first_at - interval '1s'", "alert_ends_after_it_began"),
        (
            "update ops.alert set things = array_fill('x'::text, array[21])",
            "alert_names_few_things",
        ),
        ("update ops.alert_told set told_severity = null", "telling_has_a_severity"),
    ],
)
def test_the_database_keeps_the_rules(desk: Desk, statement: str, rule: str) -> None:
    desk.tell(BACKLOG)
    with pytest.raises(Exception, match=rule), connected(desk.engine) as connection:
        connection.execute(text(statement))


def test_a_flood_of_things_is_kept_as_twenty(desk: Desk) -> None:
    desk.tell(replace(BACKLOG, things=tuple(f"us:{n}" for n in range(99)), things_count=99))
    assert desk.rows("select cardinality(things) as n, things_count from ops.alert") == [
        {"n": 20, "things_count": 99}
    ]
