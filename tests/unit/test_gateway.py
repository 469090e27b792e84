"""What stands in front of a stand-in: its time, its limits, its closed hours."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from resources.sandbox.gateway import Gateway
from resources.sandbox.notebook import Notebook
from resources.sandbox.timeline import Timeline

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def ask(gateway: Gateway, key: str = "1") -> httpx.Response:
    return gateway.handle(httpx.Request("PUT", f"https://tpl.test/stock/{key}"))


def behind(timeline: Timeline, **more: object) -> tuple[Gateway, Notebook]:
    notebook = Notebook()
    given = {"seconds": 2.0, **more}
    return Gateway(notebook, timeline, timeline.sleep, **given), notebook  # type: ignore[arg-type]


def test_an_answer_takes_its_time() -> None:
    timeline = Timeline(START)
    gateway, notebook = behind(timeline)
    assert ask(gateway).status_code == 200
    assert timeline() == START + timedelta(seconds=2)
    assert notebook.count("stock") == 1


def test_more_calls_at_once_than_allowed_are_turned_away_unheard() -> None:
    said: list[int] = []
    with Timeline(START) as timeline:
        gateway, notebook = behind(timeline, concurrent=2)
        for number in range(3):
            work = lambda n=number: said.append(ask(gateway, str(n)).status_code)  # noqa: E731
            timeline.start(f"caller {number}", work)
        timeline.run(START + timedelta(seconds=5))
    assert sorted(said) == [200, 200, 429]
    assert notebook.count("stock") == 2
    assert (gateway.seen["crowded"], gateway.most_under_way) == (1, 2)


def test_a_minute_has_so_many_calls_and_the_rest_is_told_when_to_come() -> None:
    timeline = Timeline(START)
    gateway, notebook = behind(timeline, per_minute=2)
    answers = [ask(gateway, str(number)) for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "56"
    timeline.sleep(56)
    assert ask(gateway, "4").status_code == 200
    assert notebook.count("stock") == 3


def test_a_closed_system_is_not_reached_and_hears_nothing() -> None:
    timeline = Timeline(START)
    gateway, notebook = behind(timeline, closed=[(START, START + timedelta(minutes=1))])
    with pytest.raises(httpx.ConnectError, match="closed"):
        ask(gateway)
    assert notebook.count("stock") == 0
    timeline.sleep(60)
    assert ask(gateway).status_code == 200


def test_a_slow_hour_takes_longer() -> None:
    timeline = Timeline(START)
    gateway, _ = behind(timeline, slow=[((START, START + timedelta(seconds=5)), 6.0)])
    ask(gateway)
    assert timeline() == START + timedelta(seconds=6)
    ask(gateway)
    assert timeline() == START + timedelta(seconds=8)


def test_a_notebook_counts_what_is_said_again() -> None:
    timeline = Timeline(START)
    gateway, notebook = behind(timeline)
    for key in ("1", "1", "2"):
        ask(gateway, key)
    assert (notebook.count("stock"), notebook.doubled()) == (2, 1)
