"""`sync-assets pause`, `resume`, `drain`: what a person decides about an outside system."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID
from sqlalchemy import Engine

from resources import settings
from resources.store import backlog, pace, systems
from resources.store.backlog import Backlog
from resources.store.engine import connected, engine_for
from resources.wiring import limit_of, utc_now
from sync_assets.ops import host, progress
from sync_assets.ops.console import NO, answer, clearly, err, fail, out, table
from sync_assets.ops.shell import AsJson, By, Demo, databases, store_of

app = typer.Typer()

System = Annotated[str, typer.Argument(help="A store or ERP of the configuration, by its name.")]
UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
LOOK_EVERY_SECONDS = 1.0
#: After so long without a change, a person is told who does the sending.
STILL_SECONDS = 60.0


@app.command()
def pause(
    system: System,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown to everybody, and audited.")],
    by: By,
    until: Annotated[
        str | None, typer.Option("--until", help="A moment with its zone: 2026-03-02T18:00Z.")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="How long: 30m, 2h, 1h30m, 1d.")
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Ask a system nothing until it is resumed, as during its maintenance.

    Nothing is lost meanwhile: webhooks are accepted and kept, orders are planned, and what is to
    be sent waits in the outbox. Without --until or --for the pause lasts until
    `sync-assets resume`. Pausing again changes reason and end.
    """
    now = utc_now()
    end = _end(until, lasting, now)
    if not reason.strip():
        fail("--reason is empty; say why, so that others know what they are waiting for.")
    with clearly():
        _known(system, demo)
        with store_of(demo) as connection:
            systems.pause(connection, system, by=by, reason=reason, until=end, now=now)
            waiting = backlog.of(connection, system, now)
    answer(
        {"system": system, "state": "paused", "reason": reason, "until": end, "due": waiting.due},
        as_json,
        lambda _: out.print(
            f"{system} is paused until "
            + (f"{end:%Y-%m-%d %H:%M} UTC." if end else f"`sync-assets resume {system}`.")
            + f" {waiting.due} writes and deliveries are due and wait."
        ),
    )


@app.command()
def resume(system: System, by: By, demo: Demo = False, as_json: AsJson = False) -> None:
    """Let a system be asked again, now; ends a pause, and forgets what its breaker remembers.

    If a lot has piled up, `sync-assets drain` does the same and says how long it takes.
    """
    now = utc_now()
    with clearly():
        _known(system, demo)
        with store_of(demo) as connection:
            changed = systems.resume(connection, system, by=by, now=now)
            waiting = backlog.of(connection, system, now)
    told = "is running again" if changed else "was running already"
    answer(
        {"system": system, "state": "running", "changed": changed, "due": waiting.due},
        as_json,
        lambda _: out.print(f"{system} {told}; {waiting.due} writes and deliveries are due."),
    )


@app.command()
def drain(
    system: System,
    by: By,
    wait: Annotated[bool, typer.Option("--wait", help="Follow until nothing is due.")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Let the backlog of a paused system go, urgent lanes first, at the pace of its limit.

    The sensors of the running daemon do the sending; without one, `sync-assets run` sends once.
    The system counts as running again by itself when nothing is due any more.
    """
    now = utc_now()
    with clearly():
        config = _known(system, demo)
        engine = engine_for(databases(demo))
        try:
            with connected(engine) as connection:
                systems.drain(connection, system, by=by, now=now)
                waiting = backlog.of(connection, system, now)
                found = systems.standing(connection, system, limit_of(config, system).account)
                past = backlog.history(connection, system, now)
            rate = pace.rate_that_holds(limit_of(config, system), found.told_rate)
            told = {
                "system": system,
                "state": found.state,
                **asdict(waiting),
                "due": waiting.due,
                "calls_per_second": rate,
                "seconds": round(backlog.drain_seconds(waiting, past, rate), 1),
                "is_guess": not (past.calls and past.writes),
            }
            if not (wait and as_json):
                answer(told, as_json, _tell_drain)
            if wait:
                _follow(engine, system, waiting, as_json)
                answer(
                    {**told, "state": "running", "drained": waiting.due},
                    as_json,
                    lambda _: out.print(f"Nothing is due for {system} any more."),
                )
        finally:
            engine.dispose()


def _tell_drain(told: dict[str, Any]) -> None:
    lanes = [{"lane": lane, "writes": n} for lane, n in told["writes_by_lane"].items()]
    table(f"Due for {told['system']}", lanes)
    if told["deliveries"]:
        out.print(f"{told['deliveries']} deliveries wait to be followed.")
    if not told["due"]:
        out.print(f"Nothing is due for {told['system']}; it is running.")
        return
    rate = told["calls_per_second"]
    limit = f"at most {float(rate):g} calls per second" if rate else "no limit of calls"
    guess = ", a guess without any history" if told["is_guess"] else ""
    out.print(f"{told['system']} is draining: {limit}, about {_span(told['seconds'])}{guess}.")


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


class _PausedAgain(Exception):
    """Somebody paused the system while it drained; the message says who."""


def _follow(engine: Engine, system: str, waiting: Backlog, quiet: bool) -> None:
    """Show how the backlog shrinks until nothing is due; ends when somebody pauses it again."""

    def left() -> int:
        now = utc_now()
        with connected(engine) as connection:
            found = systems.standing(connection, system)
            if systems.is_paused(found, now):
                raise _PausedAgain(found.changed_by)
            due = backlog.of(connection, system, now).due
            if not due:
                systems.end_drain(connection, system, now)
            return due

    try:
        with progress.bars(quiet) as bar:
            follow(left, bar, bar.add_task(f"  to {system}", total=waiting.due), time.sleep)
    except _PausedAgain as by:
        fail(f"{system} is paused again by {by}; not all is sent.", NO)


def follow(
    left: Callable[[], int], bar: Progress, task: TaskID, sleep: Callable[[float], None]
) -> None:
    """Look until `left` is nothing; say once who does the sending when nothing moves."""
    before, still, said = left(), 0.0, False
    while before:
        sleep(LOOK_EVERY_SECONDS)
        now = left()
        still = 0.0 if now != before else still + LOOK_EVERY_SECONDS
        if still >= STILL_SECONDS and not said:
            err.print("Nothing moves. Is the daemon running? `sync-assets run` sends once.")
            said = True
        total = max(bar.tasks[task].total or 0, now)
        bar.update(task, completed=total - now, total=total)
        before = now


def _known(system: str, demo: bool) -> settings.Settings:
    """The configuration, if it names the system."""
    with _configured(demo) as config:
        names = [*config.stores, *config.erps]
    if system not in names:
        known = ", ".join(names) or "none; see docs/operating.md"
        fail(f"There is no system {system!r}. Configured: {known}.")
    return config


@contextmanager
def _configured(demo: bool) -> Iterator[settings.Settings]:
    if not demo:
        yield settings.load()
        return
    from sync_assets.ops import demo as show

    if not show.config_path().exists():
        fail("There was no demo here yet; `sync-assets demo` makes one.")
    with host.set_environment(show.SECRETS):
        yield settings.load(show.config_path())


def _end(until: str | None, lasting: str | None, now: datetime) -> datetime | None:
    """When a pause ends; None for one that a person ends."""
    if until is not None and lasting is not None:
        fail("Give --until or --for, not both.")
    if lasting is not None:
        return now + _length(lasting)
    if until is None:
        return None
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        fail(f"--until needs a moment like 2026-03-02T18:00Z, not {until!r}.")
    if moment.tzinfo is None:
        fail(f"--until {until} has no zone; write {until}Z for UTC, or an offset like +02:00.")
    if moment <= now:
        fail(f"--until {until} is over; it is {now:%Y-%m-%dT%H:%MZ} now.")
    return moment.astimezone(UTC)


def _length(lasting: str) -> timedelta:
    parts = re.findall(r"(\d{1,6})([dhms])", lasting)
    length = timedelta(**{UNITS[unit]: int(number) for number, unit in parts})
    whole = "".join(number + unit for number, unit in parts) == lasting
    if not whole or not length or len({unit for _, unit in parts}) < len(parts):
        fail(f"--for needs a length like 30m, 2h, 1h30m or 1d, not {lasting!r}.")
    return length
