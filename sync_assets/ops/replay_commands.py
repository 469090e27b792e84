"""`sync-assets replay`: deliveries of a window once more, after a look at what would change."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.inbox import Window
from resources.wiring import Systems
from sync_assets.hints import SOURCE
from sync_assets.ops import progress
from sync_assets.ops.console import NO, answer, clearly, err, fail, out, table
from sync_assets.ops.shell import AsJson, By, Demo, deployment_of
from sync_assets.orders import replaying
from sync_assets.orders.foreseeing import Foreseen
from sync_assets.orders.replaying import Found

MOST = 5000
#: Rows a person reads; --json has all of them.
SHOWN = 50

app = typer.Typer()


@app.command()
def replay(
    by: By,
    since: Annotated[
        str, typer.Option("--from", help="Received from this moment on; UTC unless it says so.")
    ],
    until: Annotated[
        str | None, typer.Option("--to", help="Received before this moment. Default: now.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="Who delivered them; woocommerce is what we replay.")
    ] = SOURCE,
    store: Annotated[str | None, typer.Option("--store", help="Only this store.")] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", help="Only this topic: order, or order.updated.")
    ] = None,
    most: Annotated[
        int, typer.Option("--most", min=1, help="Refuse windows that name more things.")
    ] = MOST,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change and stop.")
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; kept in the audit. Needed unless --dry-run.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask after the preview.")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Process the webhook deliveries of a time window again, each thing once.

    A delivery is a hint: what it names is read again from the shop, so nothing old is applied over
    something newer. First the things are read and the changes shown that core and the ERP would
    get; until you agree, nothing is written. Then the next run does the rest.

    Example: sync-assets replay --from 2026-03-02T09:00 --to 2026-03-02T12:00 --dry-run
    """
    start = _moment(since, "--from")
    end = _moment(until, "--to") if until else datetime.now(UTC)
    if end <= start:
        fail("--to is not after --from.")
    if not dry_run and not reason.strip():
        fail("Say why with --reason, or look first with --dry-run.")
    if not dry_run and not yes and as_json:
        fail("With --json nobody can be asked: look first with --dry-run, then say --yes.")
    window = Window(source, start, end, store, topic)
    with clearly(), deployment_of(demo) as systems:
        _check(window, systems.settings)
        with connected(systems.engine) as connection:
            found = replaying.find(connection, systems.settings, window)
        _refuse_too_many(found, most)
        foreseen = _foreseen(systems, found, as_json)
        told = _told(window, found, foreseen)
        if not as_json:
            _tell(told)
        if not found.things:
            _nothing(told, as_json)
        if not dry_run:
            _ask(len(found.things), yes)
            told["replayed"] = replaying.replay(systems, window, found.things, by=by, reason=reason)
    answer(told, as_json, _tell_end)


def _moment(said: str, option: str) -> datetime:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        fail(
            f"{option} needs a moment as 2026-03-02T09:00, in UTC unless it says so, not {said!r}."
        )
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check(window: Window, settings: Settings) -> None:
    if window.source != SOURCE:
        fail(
            f"Deliveries of {window.source!r} cannot be replayed; only those of "
            f"{SOURCE!r} name things that can be read again."
        )
    if window.store is not None and window.store not in settings.stores:
        known = ", ".join(sorted(settings.stores)) or "none; see docs/operating.md"
        fail(f"Unknown store {window.store}. Configured: {known}.")


def _refuse_too_many(found: Found, most: int) -> None:
    if len(found.things) > most:
        fail(
            f"The window names {_things(len(found.things))}, more than {most:,}. Narrow --from and "
            "--to, --store or --topic, or raise --most. Nothing was read or changed."
        )


def _foreseen(systems: Systems, found: Found, as_json: bool) -> list[Foreseen]:
    with progress.bars(as_json) as bar:
        task = bar.add_task("read from the shops", total=len(found.things))
        return replaying.preview(
            systems, found.things, lambda count: bar.update(task, advance=count)
        )


def _told(window: Window, found: Found, foreseen: Sequence[Foreseen]) -> dict[str, Any]:
    return {
        "from": window.start,
        "to": window.end,
        "deliveries": found.deliveries,
        "things": len(found.things),
        "under_way": found.under_way,
        "left_out": found.left_out,
        "not_kept_before": found.kept_since if _is_cut(window, found) else None,
        "standings": dict(sorted(Counter(one.standing for one in foreseen).items())),
        "actions": dict(sorted(Counter(one.action for one in foreseen if one.action).items())),
        "preview": [asdict(one) for one in foreseen],
        "replayed": 0,
    }


def _is_cut(window: Window, found: Found) -> bool:
    """Whether the window begins before the oldest delivery we keep."""
    return found.kept_since is not None and window.start < found.kept_since


def _nothing(told: dict[str, Any], as_json: bool) -> NoReturn:
    if as_json:
        answer(told, True, lambda _: None)
        raise typer.Exit(NO)
    fail("No delivery of that window can be replayed; nothing was changed.", NO)


def _ask(count: int, yes: bool) -> None:
    """Go on only when somebody says so."""
    if yes:
        return
    try:
        agreed = typer.confirm(f"Let the next run read {_things(count)} again?", err=True)
    except typer.Abort:
        fail("Nobody agreed, and nothing was changed; --yes goes on without asking.", NO)
    if not agreed:
        fail("Nothing was changed.", NO)


def _tell(told: dict[str, Any]) -> None:
    rows = [
        {
            "what": one["ref"],
            "field": change["field"],
            "before": _value(change, "before"),
            "after": _value(change, "after"),
        }
        for one in told["preview"]
        for change in one["changes"]
    ]
    _cut_table("What core would get", rows)
    acting = [
        {"what": one["ref"], "now": one["standing"], "plan": one["action"], "why": one["reason"]}
        for one in told["preview"]
        if one["action"] not in (None, "none") or one["standing"] in ("new", "gone", "older")
    ]
    _cut_table("What the plan would do", acting)
    table("Not replayed", told["left_out"])
    standings = ", ".join(f"{count} {name}" for name, count in told["standings"].items())
    out.print(
        f"{_many(told['deliveries'], 'delivery', 'deliveries')} of {_things(told['things'])}"
        + (f": {standings.replace('_', ' ')}." if standings else ".")
    )
    if told["under_way"]:
        out.print(f"Waiting or under way, and followed anyway: {told['under_way']}.")
    _tell_cut(told)


def _tell_cut(told: dict[str, Any]) -> None:
    kept = told["not_kept_before"]
    if kept is None:
        return
    err.print(
        escape(
            f"Nothing received before {kept:%Y-%m-%d %H:%M} UTC is kept any more, or nothing came: "
            f"what changed from {told['from']:%Y-%m-%d %H:%M} until then is not replayed. "
            "`sync-assets backfill` reads whole days again."
        ),
        soft_wrap=True,
    )


def _value(change: dict[str, Any], side: str) -> str:
    """What stood there; a person's data is only said to have changed."""
    if change["before"] is None and change["after"] is None:
        return "changed" if side == "after" else ""
    return "nothing" if change[side] is None else str(change[side])


def _cut_table(title: str, rows: list[dict[str, Any]]) -> None:
    table(title, rows[:SHOWN])
    if len(rows) > SHOWN:
        out.print(f"… and {len(rows) - SHOWN} more; --json shows all.")


def _tell_end(told: dict[str, Any]) -> None:
    count = told["replayed"]
    out.print(f"The next run reads {_things(count)} again." if count else "Nothing changed.")


def _things(count: int) -> str:
    return _many(count, "thing", "things")


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
