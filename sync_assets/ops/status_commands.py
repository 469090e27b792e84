"""`sync-assets status` and `metrics`: how everything stands, for people and for programs."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from resources import settings
from resources.metrics import exposition
from resources.settings import Settings, SettingsError
from resources.store.engine import connected, engine_for
from resources.store.postgres import DatabaseUnavailable
from resources.wiring import utc_now
from sync_assets.ops import host
from sync_assets.ops.console import answer, clearly, fail, out, page
from sync_assets.ops.overview import overview, promise
from sync_assets.ops.screen import screen
from sync_assets.ops.shell import AsJson, Demo, databases
from sync_assets.service_levels import standing

app = typer.Typer()
EVERY_SECONDS = 2.0


@app.command()
def status(
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again every 2 seconds; Ctrl-C ends it.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show how everything stands on one screen, what is wrong first and what to do about it.

    For each system how far it was read, what waits to be sent, failed calls of the last 15 minutes
    and who paused it; then service levels, deliveries, open exceptions, money and orders.
    """
    if watch and as_json:
        fail("--watch is for people; leave out --json, or ask again for each answer.")
    with clearly():
        config, trouble = configuration(demo)
        engine = engine_for(databases(demo))
        try:
            if watch:
                keep_showing(engine, config, trouble)
            else:
                answer(_found(engine, config, trouble), as_json, _tell)
        finally:
            engine.dispose()


@app.command()
def metrics(demo: Demo = False) -> None:
    """Print the same facts as Prometheus text, for a collector that reads files or runs commands.

    The receiver serves its own metrics over HTTP.
    """
    with clearly():
        config, _ = configuration(demo)
        engine = engine_for(databases(demo))
        try:
            with connected(engine) as connection:
                now = standing(connection, config, utc_now())
        finally:
            engine.dispose()
    typer.echo(exposition(now.found, [promise(one) for one in now.levels]), nl=False)


def configuration(demo: bool) -> tuple[Settings, str | None]:
    """The configuration in force; with a fault in it, the defaults and the fault.

    Who looks because something is wrong must not be turned away by the configuration.
    """
    from sync_assets.ops import demo as show

    path, secrets = (show.config_path(), show.SECRETS) if demo else (None, {})
    if path is not None and not path.exists():
        return Settings(), None
    with host.set_environment(secrets):
        try:
            return settings.load(path), None
        except SettingsError as fault:
            return Settings(), str(fault)


def _found(
    engine: Engine, config: Settings, trouble: str | None, *, whole: bool = True
) -> dict[str, Any]:
    with connected(engine) as connection:
        found = overview(connection, config, utc_now(), whole=whole)
    return {**found, "configuration": trouble}


def _tell(found: dict[str, Any]) -> None:
    page().print(_shown(found))


def _shown(found: dict[str, Any]) -> RenderableType:
    if not found["configuration"]:
        return screen(found)
    fault = f"✗ {found['configuration']}\n    → service levels are judged by the defaults"
    return Group(Text(fault, style="bold red"), screen(found))


def keep_showing(
    engine: Engine,
    config: Settings,
    trouble: str | None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Show the screen again and again until somebody presses Ctrl-C."""
    with suppress(KeyboardInterrupt), Live(console=out, auto_refresh=False) as live:
        while True:
            live.update(_now(engine, config, trouble), refresh=True)
            pause(EVERY_SECONDS)


def _now(engine: Engine, config: Settings, trouble: str | None) -> RenderableType:
    try:
        found = _found(engine, config, trouble, whole=False)
    except (DatabaseUnavailable, OperationalError) as fault:
        return Text(f"✗ {str(fault).splitlines()[0]}", style="bold red")
    seen = f"{found['at']:%H:%M:%S} UTC, again every {EVERY_SECONDS:.0f} s; Ctrl-C ends it"
    return Group(_shown(found), Text(seen, style="dim"))
