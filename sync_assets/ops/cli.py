"""The command line `sync-assets`. Each command is a shell: it asks, prints and ends with a code."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from resources import settings
from resources.store import audit, raw
from resources.store.engine import connected, engine_for, head, revision
from resources.store.postgres import DatabaseUnavailable
from resources.wiring import Systems, utc_now
from sync_assets.ops import (
    alerts_commands,
    books_commands,
    catalog_commands,
    drift_commands,
    exceptions_commands,
    fulfilment_commands,
    host,
    progress,
    purge_commands,
    receiver_commands,
    reconcile_commands,
    replay_commands,
    returns_commands,
    services_commands,
    settlements_commands,
    status_commands,
    stock_commands,
    systems_commands,
    trace_commands,
    webhooks_commands,
)
from sync_assets.ops.console import NO, answer, clearly, err, fail, out, table
from sync_assets.ops.shell import AsJson, Demo, databases, store_of

app = typer.Typer(
    name="sync-assets",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Keep WooCommerce stores and ERPs in step, and prove it.\n\n"
    "Start with `sync-assets demo`: real baskets flow from three stand-in stores into an ERP. "
    "For your own systems write sync.toml (see docs/operating.md), then `sync-assets doctor`.",
)
app.add_typer(exceptions_commands.app, name="exceptions")
app.add_typer(alerts_commands.app, name="alerts")
app.add_typer(settlements_commands.app, name="settlements")
app.add_typer(books_commands.app, name="books")
app.add_typer(catalog_commands.app, name="catalog")
app.add_typer(fulfilment_commands.app, name="fulfilments")
app.add_typer(returns_commands.app, name="returns")
app.add_typer(fulfilment_commands.parcels_app, name="parcels")
app.add_typer(status_commands.app)
app.add_typer(stock_commands.app)
app.add_typer(drift_commands.app)
app.add_typer(purge_commands.app)
app.add_typer(receiver_commands.app)
app.add_typer(reconcile_commands.app)
app.add_typer(replay_commands.app)
app.add_typer(services_commands.app)
app.add_typer(systems_commands.app)
app.add_typer(trace_commands.app)
app.add_typer(webhooks_commands.app)


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def demo(
    orders: Annotated[
        int | None,
        typer.Option("--orders", min=1, help="How many orders. Default 2,500; 40 with Tryton."),
    ] = None,
    orders_file: Annotated[
        Path | None,
        typer.Option(
            "--orders-file",
            exists=True,
            dir_okay=False,
            help="An Online Retail file (.parquet, .csv or .csv.gz) instead of the baskets.",
        ),
    ] = None,
    erp: Annotated[
        str, typer.Option("--erp", help="odoo (a stand-in) or tryton (a real server).")
    ] = "odoo",
    ui: Annotated[bool, typer.Option(help="Start the Dagster UI.")] = True,
    port: Annotated[int | None, typer.Option(help="Port of the UI; default: a free one.")] = None,
    stay: Annotated[
        bool | None,
        typer.Option(help="Keep everything running at the end. Default: in a terminal."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep running and place an order every few seconds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load real baskets as orders of three stores and carry them into an ERP.

    Starts Postgres, three stand-in stores, the ERP and the Dagster UI, runs the pipeline, compares
    all sides and prints a summary: orders seen, accepted, held with reasons, doubled, missing, and
    sums per currency. Ends with code 1 when an order is lost or doubled or the sums differ.
    """
    from sync_assets.ops import demo as show

    if erp not in ("odoo", "tryton"):
        fail(f"--erp is odoo or tryton, not {erp!r}.")
    with clearly():
        summary = show.run(
            show.Wanted(
                orders=orders or (40 if erp == "tryton" else 2500),
                orders_given=orders is not None,
                orders_file=orders_file,
                erp=erp,
                ui=ui and not as_json,
                port=port,
                stay=out.is_terminal if stay is None else stay,
                watch=watch,
                quiet=as_json,
            )
        )
    answer(summary, as_json, show.tell)
    if not show.in_step(summary):
        raise typer.Exit(NO)


@app.command()
def doctor(
    create: Annotated[
        bool, typer.Option("--create", help="Create missing databases and bring them up to date.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the configuration, both databases, every store, ERP, provider and bank; a line each."""
    found: list[dict[str, Any]] = []
    with clearly():
        config = settings.load()
        path = settings.config_path()
        told = f"{path}: {len(config.stores)} stores, {len(config.erps)} ERPs"
        found.append(_finding("configuration", None if path.exists() else f"no {path} here", told))
        try:
            place = databases(False) if create else _existing()
        except DatabaseUnavailable as fault:
            found.append(_finding("database", str(fault), ""))
        else:
            engine = engine_for(place)
            at = revision(engine)
            late = None if at == head() else f"at revision {at}, not {head()}: run with --create"
            found.append(_finding("database", late, host.shown(place.text(place.store))))
            found += _systems(Systems(config, engine, is_gated=late is None))
            engine.dispose()
    answer({"healthy": all(f["ok"] for f in found), "findings": found}, as_json, _tell_doctor)
    if not all(f["ok"] for f in found):
        raise typer.Exit(NO)


def _existing() -> Any:
    from resources.store import postgres

    place = postgres.find(settings.home())
    engine = engine_for(place)
    try:
        with connected(engine):
            return place
    finally:
        engine.dispose()


def _finding(what: str, trouble: str | None, told: str) -> dict[str, Any]:
    return {"what": what, "ok": trouble is None, "told": trouble or told}


def _systems(systems: Systems) -> list[dict[str, Any]]:
    from sync_assets.settlements.reading import is_asked

    config = systems.settings
    called: list[tuple[str, Any]] = [
        *((f"store {name}", systems.shop(name)) for name in config.stores),
        *((f"erp {name}", systems.erp(name)) for name in config.erps),
        *(
            (f"provider {name}", systems.provider(name))
            for name, one in config.providers.items()
            if is_asked(one)
        ),
    ]
    found = [_pinged(what, opened) for what, opened in called]
    return [*found, *_inboxes(config)]


def _pinged(what: str, opened: Any) -> dict[str, Any]:
    from resources.errors import RemoteError

    try:
        with opened as client:
            return _finding(what, None, str(client.ping()))
    except RemoteError as fault:
        return _finding(what, str(fault), "")


def _inboxes(config: settings.Settings) -> list[dict[str, Any]]:
    """Folders that providers and banks drop files into."""
    named = [
        *((f"files of provider {name}", one.inbox) for name, one in config.providers.items()),
        *((f"files of bank {name}", one.inbox) for name, one in config.banks.items()),
    ]
    return [
        _finding(what, None if path.is_dir() else f"there is no folder {path}", str(path))
        for what, path in named
        if path is not None
    ]


def _tell_doctor(value: dict[str, Any]) -> None:
    for finding in value["findings"]:
        mark = "[green]✓[/green]" if finding["ok"] else "[red]✗[/red]"
        out.print(f"{mark} {finding['what']}: ", finding["told"], sep="", markup=True)


@app.command()
def run(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Stop after the plan; nothing is sent.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare all sides afterwards.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the orders job once, here, as a Dagster run that the UI shows."""
    from sync_assets import jobs
    from sync_assets.ops import runs

    with clearly():
        place = databases(False)
        names = [jobs.DRY_RUN if dry_run else jobs.ORDERS, *([jobs.COMPARE] if compare else [])]
        with (
            host.instance(place) as instance,
            runs.opened(place) as (defs, systems),
            progress.of_run(systems.engine, as_json),
        ):
            found = [runs.execute(defs, name, instance) for name in names]
    answer({"runs": found}, as_json, _tell_runs)
    _tell_failures(found)
    differing = [check for one in found[1:] for check in one["failed_checks"]]
    if differing:
        fail(f"The systems do not agree: {', '.join(differing)}; the run shows the keys.", NO)


def _tell_runs(value: dict[str, Any]) -> None:
    shown = ["job", "run_id", "success", "failed_steps", "failed_checks"]
    table("Runs", value["runs"], shown)


def _tell_failures(found: list[dict[str, Any]]) -> None:
    """Say why on stderr, and end with 1 when a run did not succeed."""
    for why in dict.fromkeys(why for one in found for why in one["why"]):
        err.print(f"[red]✗[/red] {escape(why)}", soft_wrap=True)
    if not all(one["success"] for one in found):
        raise typer.Exit(NO)


@app.command()
def backfill(
    store: Annotated[
        list[str] | None, typer.Option("--store", help="A store; repeat for more. Default: all.")
    ] = None,
    since: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD (UTC).")] = "",
    until: Annotated[
        str, typer.Option("--to", help="Last day, YYYY-MM-DD. Default: the first.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Read the orders that stores took on given days again, one Dagster run per store and day."""
    from sync_assets.ops import runs

    first, last = _day(since, "--from"), _day(until or since, "--to")
    if last < first:
        fail("--to is before --from.")
    with clearly():
        place = databases(False)
        with host.instance(place) as instance, runs.opened(place) as (defs, systems):
            config = systems.settings
            names = store or sorted(config.stores)
            unknown = sorted(set(names) - set(config.stores))
            if unknown or not names:
                known = ", ".join(sorted(config.stores)) or "none; see docs/operating.md"
                fail(f"Unknown store {', '.join(unknown)}. Configured: {known}.")
            if first.date() < config.backfill_from.date():
                day = config.backfill_from.date()
                fail(f"Partitions begin on {day}; set backfill_from in the configuration.")
            if last.date() > utc_now().date():
                fail(f"Partitions end today, in UTC; {last:%Y-%m-%d} is not over yet.")
            days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
            keys = [(name, f"{day:%Y-%m-%d}") for name in names for day in days]
            with progress.bars(as_json) as bar:
                found = [
                    runs.backfill_day(defs, instance, name, day)
                    for name, day in bar.track(keys, description="days")
                ]
    failed = [one for one in found if not one["success"]]
    summary = {"days": len(found), "failed": len(failed), "runs": found}
    answer(summary, as_json, _tell_backfill)
    _tell_failures(found)


def _tell_backfill(value: dict[str, Any]) -> None:
    failed = [one for one in value["runs"] if not one["success"]]
    table("Days that failed", failed, ["store", "day", "run_id", "failed_steps"])
    seen = sum(one["orders"] for one in value["runs"])
    out.print(f"{value['days']} store days read, {seen} orders, {value['failed']} days failed.")


def _day(text: str, option: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        fail(f"{option} needs a day as YYYY-MM-DD, not {text!r}.")


@app.command()
def remap(
    store: Annotated[
        str | None, typer.Option("--store", help="Only this store. Default: all.")
    ] = None,
    by: Annotated[str, typer.Option("--by", envvar="USER", help="Who decides.")] = "operator",
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Map every stored order version again with the next run, after a mapper was mended.

    The shop is not asked again: what it said is kept. Nothing is sent twice.
    """
    with clearly(), store_of(demo) as connection:
        count = raw.forget_mapping(connection, "woocommerce__orders", store)
        audit.record(connection, by, "orders.remap", store or "all", utc_now(), versions=count)
    answer(
        {"versions": count, "store": store},
        as_json,
        lambda _: out.print(f"{count} versions are mapped again with the next run."),
    )


@app.command()
def ui(
    port: Annotated[int | None, typer.Option(help="Port; default: a free one.")] = None,
    demo: Demo = False,
) -> None:
    """Start the Dagster UI and its daemon on this deployment's databases; Ctrl-C ends both.

    With --demo, what the last demo did can be looked at; its stores are gone, so a rerun finds
    nobody. `sync-assets demo --stay` keeps them.
    """
    from sync_assets.ops import demo as show

    config, secrets = (show.config_path(), show.SECRETS) if demo else (None, {})
    with clearly(), host.set_environment(secrets):
        place = databases(demo)
        with host.web(place, port=port or host.free_port(), config=config) as url:
            host.wait_for(f"{url}/server_info")
            out.print(f"Dagster UI: {url}   (Ctrl-C ends it)")
            host.forever()


@app.command()
def env() -> None:
    """Print what Dagster's own commands need: eval "$(sync-assets env)"."""
    import shlex

    with clearly():
        for name, value in host.environment(databases(False)).items():
            typer.echo(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
