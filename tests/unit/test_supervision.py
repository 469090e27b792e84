"""Keeping parts alive: started again after a pause that grows, ended together."""

import sys
from pathlib import Path

from sync_assets.ops.supervision import Part, Supervisor, write_workspace

ENDS = [sys.executable, "-c", "raise SystemExit(3)"]
STAYS = [sys.executable, "-c", "import signal; signal.pause()"]


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def part(folder: Path, command: list[str], name: str = "worker") -> Part:
    return Part(name, command, {}, folder / f"{name}.log")


def ended(one: Part, now: float) -> str | None:
    assert one.process is not None
    one.process.wait(20)
    return one.mind(now)


def test_a_part_that_ends_is_started_again_later_each_time(tmp_path: Path) -> None:
    one = part(tmp_path, ENDS)
    pauses = []
    now = 0.0
    for _ in range(9):
        assert one.mind(now) is None
        told = ended(one, now)
        assert told is not None
        pauses.append(one.start_at - now)
        assert one.mind(one.start_at - 0.01) is None
        assert one.process is None
        now = one.start_at
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert told == f"worker ended with code 3; starts again in 60 s ({tmp_path / 'worker.log'})"


def test_a_part_that_lived_long_starts_again_at_once(tmp_path: Path) -> None:
    one = part(tmp_path, ENDS)
    one.ended = 7
    one.mind(0.0)
    ended(one, 30.0)
    assert one.start_at == 30.5


def test_ending_ends_every_part(tmp_path: Path) -> None:
    parts = [part(tmp_path, STAYS, "a"), part(tmp_path, STAYS, "b")]
    said: list[str] = []
    rounds = iter(range(3))

    def pause(seconds: float) -> None:
        if next(rounds) == 2:
            supervisor.stop()

    supervisor = Supervisor(parts, said.append, Clock(), pause)
    supervisor.run()
    assert [one.pid for one in parts] == [None, None]
    assert [one.process and one.process.returncode for one in parts] == [-15, -15]
    assert said == []


def test_that_everything_is_up_is_told_once() -> None:
    clock, said, answers = Clock(), list[str](), iter([False, True, True])
    supervisor = Supervisor([], said.append, clock, is_up=lambda: next(answers))
    for _ in range(5):
        clock.now += 1
        supervisor.look()
    assert said == ["Everything is up. Ctrl-C ends it."]


def test_a_database_that_died_is_started_again_and_told() -> None:
    clock, said = Clock(), list[str]()
    died = iter([True, False, False])
    supervisor = Supervisor([], said.append, clock, revive=lambda: next(died))
    for _ in range(2):
        clock.now += 1
        supervisor.look()
    assert said == ["the database had ended; it is up again"]


def test_the_workspace_names_one_code_server(tmp_path: Path) -> None:
    path = tmp_path / "run" / "workspace.yaml"
    write_workspace(path, 4321)
    assert "port: 4321" in path.read_text()
    assert "location_name: sync_assets" in path.read_text()
