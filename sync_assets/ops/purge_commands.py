"""`sync-assets purge`: what is settled and older than the retention goes; first, how much it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from resources import settings
from resources.store import purging
from resources.store.engine import engine_for
from resources.wiring import utc_now
from sensors import purges
from sync_assets.ops import demo as show
from sync_assets.ops import host
from sync_assets.ops.console import answer, clearly, err, out, table
from sync_assets.ops.shell import AsJson, By, Demo, databases

app = typer.Typer()


@app.command()
def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would go; nothing is deleted.")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(
            "--older-than",
            min=1,
            help="Days to keep of everything, instead of what the configuration's retention "
            "says for each table.",
        ),
    ] = None,
    by: By = "operator",
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Delete what is settled and older than the retention: safe at any time, beside everything.

    Takes settled deliveries, ended writes, superseded versions of what systems said, counts of
    calls, ended alerts, and finished Dagster runs with their logs. Open work, exceptions, the
    audit, orders and receipts are never deleted. Ctrl-C ends it after the batch it is at.
    """
    file, secrets = (show.config_path(), show.SECRETS) if demo else (None, {})
    with clearly(), host.set_environment(secrets):
        config = settings.load(file)
        retention, now = purging.older_than(config.retention, days), utc_now()
        place = databases(demo)
        engine = engine_for(place)
        try:
            with host.instance(place) as instance, _line(as_json) as say:
                totals = (
                    purges.count_all(engine, instance, retention, now)
                    if dry_run
                    else purges.purge_all(engine, instance, retention, now=now, by=by, say=say)
                )
        finally:
            engine.dispose()
    found = {
        "dry_run": dry_run,
        "kept_days": retention.model_dump(),
        "tables": totals.rows,
        "rows": sum(totals.rows.values()),
        "bytes": None if dry_run else totals.bytes,
    }
    answer(found, as_json, _tell)


@contextmanager
def _line(quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """A line that says how far it is, for people only."""
    if quiet:
        yield lambda table, rows: None
        return
    with err.status("Looking for what is settled and old") as line:
        yield lambda table, rows: line.update(f"{table}: {rows:,} rows")


def _tell(found: dict[str, Any]) -> None:
    rows = [{"table": name, "rows": count} for name, count in found["tables"].items() if count]
    if not rows:
        out.print("Nothing is old enough to go.")
        return
    table("Would go" if found["dry_run"] else "Gone", rows)
    if found["dry_run"]:
        out.print(f"{found['rows']:,} rows would go. Nothing was deleted.")
        return
    out.print(
        f"{found['rows']:,} rows, about {decimal(found['bytes'])}. Postgres uses the room again."
    )
