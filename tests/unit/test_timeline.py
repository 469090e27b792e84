"""Simulated time: one runs at a time, in the order of their moments, and the same every time."""

from datetime import UTC, datetime, timedelta

import pytest

from resources.sandbox.timeline import Timeline

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def told(timeline: Timeline, said: list[str], name: str, pauses: list[float]) -> None:
    for pause in pauses:
        timeline.sleep(pause)
        said.append(f"{name} at {(timeline() - START).total_seconds():g}")


def test_workers_go_on_in_the_order_of_their_moments() -> None:
    said: list[str] = []
    with Timeline(START) as timeline:
        timeline.start("a", lambda: told(timeline, said, "a", [3, 3]))
        timeline.start("b", lambda: told(timeline, said, "b", [1, 1, 3]), after=1)
        timeline.run(START + timedelta(seconds=60))
    assert said == ["b at 2", "a at 3", "b at 3", "a at 6", "b at 6"]


def test_nothing_happens_after_the_moment_it_is_run_until() -> None:
    said: list[str] = []
    with Timeline(START) as timeline:
        timeline.start("a", lambda: told(timeline, said, "a", [5, 5]))
        timeline.run(START + timedelta(seconds=7))
        assert said == ["a at 5"]
        assert timeline() == START + timedelta(seconds=7)
        timeline.run(START + timedelta(seconds=10))
        assert said == ["a at 5", "a at 10"]


def test_who_is_no_worker_moves_the_clock() -> None:
    timeline = Timeline(START)
    timeline.sleep(1.5)
    assert timeline() == START + timedelta(seconds=1.5)


def test_what_a_worker_raises_is_raised_where_time_passes() -> None:
    def fail() -> None:
        raise ValueError("not like this")

    with Timeline(START) as timeline:
        timeline.start("a", fail)
        with pytest.raises(ValueError, match="not like this"):
            timeline.run(START + timedelta(seconds=1))


def test_a_closed_timeline_ends_who_sleeps_and_lets_them_clean_up() -> None:
    said: list[str] = []

    def work() -> None:
        try:
            timeline.sleep(10)
            said.append("woke up")
        finally:
            said.append("cleaned up")

    with Timeline(START) as timeline:
        timeline.start("a", work)
        timeline.start("never begun", lambda: said.append("begun"), after=60)
        timeline.run(START + timedelta(seconds=1))
    assert said == ["cleaned up"]
