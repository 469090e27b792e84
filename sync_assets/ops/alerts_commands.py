"""`sync-assets alerts`: what people were told of, and whether the channels work."""

from typing import Any

import typer
from rich.markup import escape

from resources.notify import duration
from resources.store import alerts
from resources.wiring import utc_now
from sensors import alarms
from sync_assets.ops.console import NO, answer, clearly, fail, out
from sync_assets.ops.screen import COLOURS
from sync_assets.ops.shell import AsJson, Demo, deployment_of, store_of

app = typer.Typer(
    invoke_without_command=True,
    help="What people were told of: list what is open, test the channels. Without a word: list.\n\n"
    "Alerts are found by the sensors `alarms` and `failures`, told once, again after "
    "notify.repeat_hours, and told when they are over.",
)


@app.callback()
def default(context: typer.Context, demo: Demo = False, as_json: AsJson = False) -> None:
    """Without a word: list."""
    if context.invoked_subcommand is None:
        list_alerts(demo, as_json)
    elif demo or as_json:
        fail(f"Put the options last: sync-assets alerts {context.invoked_subcommand} --json.")


@app.command("list")
def list_alerts(demo: Demo = False, as_json: AsJson = False) -> None:
    """List what is open, the gravest first, and who was told."""
    with clearly(), store_of(demo) as connection:
        rows = alerts.open_ones(connection)
    answer({"at": utc_now(), "open": len(rows), "alerts": rows}, as_json, _tell)


def _tell(value: dict[str, Any]) -> None:
    if not value["alerts"]:
        out.print("No alert is open. The sensors `alarms` and `failures` look for them.")
    for one in value["alerts"]:
        colour = COLOURS[one["severity"]]
        told = f"told to {one['told_to']}" if one["told_to"] else "told to nobody yet"
        missing = f"; not to {one['not_told_to']}" if one["told_to"] and one["not_told_to"] else ""
        since = duration(value["at"] - one["since_at"])
        out.print(f"[{colour}]✗ {escape(one['title'])}[/]  {escape(one['what'])}", soft_wrap=True)
        if one["things"]:
            count = f"{len(one['things'])} of {one['things_count']}"
            out.print(f"    {count}: {escape(', '.join(one['things']))}", soft_wrap=True)
        stake = f"; at stake: {one['at_stake']}" if one["at_stake"] else ""
        out.print(f"    [dim]for {since}; {told}{missing}{stake}[/dim]", soft_wrap=True)
        out.print(f"    [dim]→ {escape(one['next_step'])}[/dim]", soft_wrap=True)


@app.command("test")
def try_channels(demo: Demo = False, as_json: AsJson = False) -> None:
    """Send a test message through every configured channel and say which took it."""
    with clearly(), deployment_of(demo) as systems:
        found = [
            {"channel": one.channel, "ok": one.failed is None, "told": one.failed or "took it"}
            for one in alarms.notifier(systems).test()
        ]
    answer({"channels": found}, as_json, _tell_test)
    if not all(one["ok"] for one in found):
        raise typer.Exit(NO)


def _tell_test(value: dict[str, Any]) -> None:
    for one in value["channels"]:
        mark = "[green]✓[/green]" if one["ok"] else "[red]✗[/red]"
        out.print(f"{mark} {one['channel']}: {escape(one['told'])}", soft_wrap=True)
    if len(value["channels"]) == 1:
        out.print("  Only the log is told. Set notify.email or notify.slack_url in sync.toml.")
