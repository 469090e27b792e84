"""`sync-assets explain` and `sync-assets policy`: where a number comes from, and what a policy
would change. Nothing is changed by either.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from resources.store.engine import connected
from resources.wiring import utc_now
from sync_assets import policies
from sync_assets.domain.policy import PolicyError
from sync_assets.ops import stock_account, stock_preview
from sync_assets.ops.console import NO, answer, clearly, fail, out, table
from sync_assets.ops.shell import AsJson, Demo, deployment_of

app = typer.Typer()
policy_app = typer.Typer(
    no_args_is_help=True, help="How stock is shared out: check the policy file, show what holds."
)
app.add_typer(policy_app, name="policy")


@app.command()
def explain(
    sku: Annotated[str, typer.Argument(help="The article code.")],
    channel: Annotated[str | None, typer.Option("--channel", help="Only this channel.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="As of then (ISO, UTC if it names no zone).")
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Say how the number that a channel may sell came about, now or at a moment in the past.

    Works it out again from what was known then, and ends with 1 when that is not the number kept.
    """
    moment = _moment(at)
    with clearly(), deployment_of(demo) as systems, connected(systems.engine) as connection:
        found = stock_account.account(connection, sku, moment, channel)
        near = [] if found else stock_account.near(connection, sku)
    if not found:
        _fail_unknown(sku, channel, at, near)
    answer({"sku": sku, "at": moment, "channels": found}, as_json, _tell)
    if any(not one["agrees"] and not one["is_waiting"] for one in found):
        raise typer.Exit(NO)


def _moment(said: str | None) -> datetime:
    if said is None:
        return utc_now()
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        fail(f"--at needs a time as 2026-03-02T09:30, not {said!r}.")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _fail_unknown(sku: str, channel: str | None, at: str | None, near: list[str]) -> None:
    where = f" in channel {channel!r}" if channel else ""
    when = f" at {at}" if at else ""
    if sku in near:
        fail(f"{sku!r} has no number{where}{when}; it has stock, or had one at another time.", NO)
    nearest = f" Nearest: {', '.join(near)}." if near else ""
    fail(f"No number is known of {sku!r}{where}{when}.{nearest}", NO)


def _tell(found: dict[str, Any]) -> None:
    for one in found["channels"]:
        number = one["number"]
        out.print(
            f"[bold]{escape(found['sku'])} in {escape(one['channel'])}: "
            f"{number['sellable_units']}[/bold]  decided by {number['limited_by']}; worked out "
            f"{number['computed_at']:%Y-%m-%d %H:%M:%S} UTC, policy {number['policy_hash'][:8]}"
        )
        for step in one["steps"]:
            out.print(f"  {escape(step)}")
        for sentence in _agreement(one), _published(one), _shown(one):
            out.print(f"  {sentence}")


def _agreement(one: dict[str, Any]) -> str:
    number, again = one["number"], one["worked_out"]
    if one["agrees"]:
        return "[green]✓[/green] worked out again: the same"
    if again is None:
        return f"[red]✗ it cannot be worked out again: {escape(one['trouble'])}[/red]"
    differing = ", ".join(
        f"{name.removesuffix('_units')} {number[name]} kept, {again[name]} now"
        for name in stock_account.AMOUNTS
        if again[name] != number[name]
    )
    if one["is_waiting"]:
        return f"[yellow]… newer facts came, and the next run works it out: {differing}[/yellow]"
    past = "" if number["replaced_at"] is None else " (by the kits and the demand of today)"
    return f"[red]✗ THE NUMBER KEPT IS ANOTHER: {differing}[/red]{past}"


def _published(one: dict[str, Any]) -> str:
    sent = one["published"]
    if sent is None:
        return "never published"
    when = f"{sent['answered_at']:%Y-%m-%d %H:%M:%S} UTC"
    if sent["outcome"] == "refused":
        return f"[red]last write refused by the shop[/red] at {when}: {sent['wanted_units']} wanted"
    back = "" if sent["read_back_units"] is None else f", read back as {sent['read_back_units']}"
    return f"last published {when}: {sent['written_units']}{back} ({sent['outcome']})"


def _shown(one: dict[str, Any]) -> str:
    shop = one["shop"]
    if shop is None:
        return "the shop lists no such SKU"
    units = "no number" if shop["stock_units"] is None else shop["stock_units"]
    when = f"{shop['changed_at']:%Y-%m-%d %H:%M:%S} UTC"
    return f"the shop showed {units}, {shop['stock_status']}, as of {when}"


@policy_app.command("check")
def check(
    file: Annotated[
        Path | None, typer.Argument(help="The file. Default: the one of the configuration.")
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Check a policy file, and say which numbers it would change; nothing is applied."""
    with clearly(), deployment_of(demo) as systems:
        path = file or policies.path_of(systems.settings)
        try:
            found = policies.from_file(systems.settings, path)
        except PolicyError as fault:
            fail(f"{fault}.", NO)
        if found is None:
            fail(f"There is no {path}; without one each store sells its own warehouse.", NO)
        with connected(systems.engine) as connection:
            changes = stock_preview.changes(connection, found.policy)
        told = {
            "file": str(path),
            "policy_hash": found.policy_hash,
            "notes": policies.notes(found.policy, systems.settings),
            **changes,
        }
    answer(told, as_json, _tell_check)


def _tell_check(told: dict[str, Any]) -> None:
    out.print(f"[green]✓[/green] {escape(told['file'])} can be used.")
    _tell_notes(told["notes"])
    if not told["channels"]:
        out.print("It changes no number.")
    table("What it would change", told["channels"])
    table("The largest changes", told["largest"])


def _tell_notes(notes: list[str]) -> None:
    for note in notes:
        out.print(f"[yellow]![/yellow] {escape(note)}")


@policy_app.command("show")
def show(demo: Demo = False, as_json: AsJson = False) -> None:
    """Show the policy in force, word for word, and what may be a slip in it."""
    with (
        clearly(),
        deployment_of(demo) as systems,
        connected(systems.engine) as connection,
    ):
        found = policies.in_force(systems, connection)
        told = {
            "policy_hash": found.policy_hash,
            "fault": found.fault,
            "notes": policies.notes(found.policy, systems.settings),
            "body": found.body,
        }
    answer(told, as_json, _tell_policy)
    if found.fault:
        raise typer.Exit(NO)


def _tell_policy(told: dict[str, Any]) -> None:
    if told["fault"]:
        out.print(
            f"[red]✗[/red] {escape(told['fault'])}; the last good policy stays in force, below."
        )
    _tell_notes(told["notes"])
    out.print(f"[dim]# policy {told['policy_hash'][:8]}[/dim]")
    out.print(escape(told["body"].rstrip()))
