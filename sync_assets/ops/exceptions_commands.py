"""`sync-assets exceptions`: what waits for a person, and what a person may do about it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape
from sqlalchemy import Connection

from resources.store import audit, exceptions, outbox
from resources.store.engine import connected
from resources.store.exceptions import NotPossible, Wanted
from resources.wiring import Systems, utc_now
from sync_assets.domain.exception_kinds import Proof, known, what_ends, why_unresolvable
from sync_assets.ops import progress, report, tracing
from sync_assets.ops.console import NO, answer, clearly, err, fail, out, table
from sync_assets.ops.shell import AsJson, By, Demo, deployment_of, store_of

NOBODY = "nobody"
MANY = 100

app = typer.Typer(
    no_args_is_help=True,
    help="What waits for a person: list, show, assign, release, retry, resolve.",
)

Id = Annotated[int, typer.Argument(help="Its id, from `exceptions list`.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]


@app.command("list")
def list_exceptions(
    owner: Annotated[
        str | None, typer.Option(help="Only this role: engineer, finance, operations, support.")
    ] = None,
    code: Annotated[str | None, typer.Option(help="Only this code.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only this order.")] = None,
    assigned: Annotated[
        str | None, typer.Option(help=f"Only what this person works on; {NOBODY!r} for the rest.")
    ] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is late.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = MANY,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List what is open, the oldest due first."""
    now = utc_now()
    person = "" if assigned == NOBODY else assigned
    wanted = Wanted(subject, code, owner, person, now if overdue else None)
    with clearly(), store_of(demo) as connection:
        rows = exceptions.open_ones(connection, wanted, limit=limit)
        count = exceptions.count_open(connection, wanted)
    rows = [{**row, "is_overdue": row["due_at"] < now} for row in rows]
    found = {"at": now, "open": count, "exceptions": rows}
    answer(found, as_json, _tell_list)


def _tell_list(found: dict[str, Any]) -> None:
    if not found["exceptions"]:
        out.print("Nothing is open.")
        return
    rows = [
        {
            **row,
            "age": _span(found["at"] - row["opened_at"]),
            "due": "overdue" if row["is_overdue"] else row["due_at"],
        }
        for row in found["exceptions"]
    ]
    columns = ["id", "subject_ref", "code", "message", "owner_role", "assigned_to", "amount"]
    table(f"{found['open']} open", rows, [*columns, "currency", "age", "due"])
    if found["open"] > len(rows):
        out.print(f"… and {found['open'] - len(rows)} more; see --limit and the filters.")


def _span(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


@app.command()
def show(exception_id: Id, demo: Demo = False, as_json: AsJson = False) -> None:
    """Show all about one exception: why, whose, how much, what happened, what ends it."""
    with clearly(), store_of(demo) as connection:
        row = exceptions.one(connection, exception_id)
        subject = row["subject_ref"]
        writes = exceptions.writes_behind(connection, subject)
        events = tracing.events_behind(connection, subject, utc_now())
    ends = (
        what_ends(
            row["code"],
            exception_id,
            can_release=row["can_release"],
            is_parked=_is_parked(writes),
        )
        if row["state"] == "open"
        else []
    )
    found = {
        "at": utc_now(),
        "exception": row,
        "ends": ends,
        "writes": writes,
        "events": events,
    }
    answer(found, as_json, _tell_one)


def _is_parked(writes: Sequence[dict[str, Any]]) -> bool:
    return any(write["state"] == "parked" for write in writes)


def _tell_one(found: dict[str, Any]) -> None:
    row = found["exception"]
    out.print(f"[bold]{row['id']}  {escape(row['code'])}[/bold]  {escape(row['subject_ref'])}")
    part = f" ({row['part']})" if row["part"] else ""
    out.print(escape(f"{row['message']}{part}"), soft_wrap=True)
    for name, value in _facts(row, found["at"]).items():
        out.print(f"  {name:<14}{escape(str(value))}", soft_wrap=True)
    for sentence in found["ends"]:
        out.print(f"→ {escape(sentence)}", soft_wrap=True)
    table("Writes not done", found["writes"])
    table("What happened", found["events"], ["at", "layer", "what", "run_id"])


def _facts(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What there is to say, in the order people ask for it."""
    late = ", overdue" if row["state"] == "open" and row["due_at"] < now else ""
    money = f"{report.plain(row['amount'])} {row['currency']}" if row["amount"] is not None else ""
    facts = {
        "state": row["state"],
        "owner": row["owner_role"],
        "assigned to": row["assigned_to"] or NOBODY,
        "age": f"{_span(now - row['opened_at'])}, since {row['opened_at']:%Y-%m-%d %H:%M} UTC",
        "due": f"{row['due_at']:%Y-%m-%d %H:%M} UTC{late}",
        "at stake": money,
        "sender's ref": row["sender_ref"],
        "holds back": "its order" if row["blocks"] else "nothing",
        "ended": _ended(row),
    }
    return {name: value for name, value in facts.items() if value}


def _ended(row: dict[str, Any]) -> str:
    if row["closed_at"] is None:
        return ""
    return f"{row['closed_at']:%Y-%m-%d %H:%M} UTC by {row['closed_by']}: {row['note']}"


@app.command()
def assign(
    exception_id: Id,
    to: Annotated[str, typer.Option("--to", help=f"Who works on it; {NOBODY!r} lets go.")],
    by: By,
    reason: Reason = "",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Even if somebody else works on it.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Say who works on an exception, so that nobody works on it twice."""
    person = to.strip()
    if not person:
        fail(f"--to needs a name, or {NOBODY!r}.")
    with clearly(), store_of(demo) as connection:
        subject = exceptions.assign(
            connection,
            exception_id,
            None if person == NOBODY else person,
            by=by,
            note=reason,
            now=utc_now(),
            take_over=take_over,
        )
    answer(
        {"assigned": exception_id, "to": person, "subject_ref": subject},
        as_json,
        lambda _: out.print(escape(f"{exception_id} ({subject}) is assigned to {person}.")),
    )


@app.command()
def release(
    exception_id: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why it may go on; kept in the audit.")],
    by: By,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Let an order go on in spite of one exception; holds for this version of the order."""
    with clearly(), store_of(demo) as connection:
        subject = exceptions.release(connection, exception_id, by=by, note=reason, now=utc_now())
    answer(
        {"released": exception_id, "subject_ref": subject},
        as_json,
        lambda _: out.print(f"{subject} goes on with the next run."),
    )


@app.command()
def resolve(
    exception_id: Id,
    reason: Annotated[str, typer.Option("--reason", help="What was mended; kept in the audit.")],
    by: By,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Close an exception whose cause was mended outside.

    Only where it comes to light if it was not: the next run opens it again, or the ERP is asked
    first. `exceptions show` tells what ends the others.
    """
    with clearly(), deployment_of(demo) as systems:
        subject = _resolved(systems, exception_id, by, reason)
    answer(
        {"resolved": exception_id, "subject_ref": subject},
        as_json,
        lambda _: out.print(f"{exception_id} ({subject}) is closed."),
    )


def _resolved(systems: Systems, exception_id: int, by: str, reason: str) -> str:
    from sync_assets.orders import proving

    with connected(systems.engine) as connection:
        row = _resolvable(connection, exception_id)
    kind, carried = known(row["code"]), None
    if kind and kind.proof == Proof.ERP_ASKED:
        carried = proving.ask(systems, row["code"], row["subject_ref"])
    with connected(systems.engine) as connection:
        _resolvable(connection, exception_id)  # the ERP took its time
        if carried:
            proving.settle(connection, carried, utc_now())
        return exceptions.resolve(connection, exception_id, by=by, note=reason, now=utc_now())


def _resolvable(connection: Connection, exception_id: int) -> dict[str, Any]:
    row = exceptions.held_open(connection, exception_id)
    writes = exceptions.writes_behind(connection, row["subject_ref"])
    why = why_unresolvable(row["code"], exception_id, is_parked=_is_parked(writes))
    if why:
        raise NotPossible(f"{row['code']} cannot be closed by hand: {why}.")
    return row


@app.command()
def retry(
    by: By,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|ORDER", help="An exception's id, or the order whose write is parked."
        ),
    ] = None,
    code: Annotated[
        str | None, typer.Option("--code", help="All parked writes behind this code at once.")
    ] = None,
    reason: Reason = "the cause was mended",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before many.")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Send parked writes again with the next run, after their cause was mended.

    Nothing is sent twice: what is there already is found and read back.
    """
    if (what is None) == (code is None):
        fail("Name one exception or order, or all of one kind with --code CODE.")
    if code is not None:
        _retry_many(code, by, reason, yes, demo, as_json)
        return
    with clearly(), store_of(demo) as connection:
        subject = _subject_of(connection, str(what))
        count = _retry(connection, subject, by, reason)
    if not count:
        fail(f"Nothing is parked for {subject!r}; see `sync-assets status`.", NO)
    answer(
        {"order_ref": subject, "waiting": count},
        as_json,
        lambda _: out.print(f"{subject} goes again with the next run."),
    )


def _subject_of(connection: Connection, what: str) -> str:
    """The order behind an exception's id; our keys have a colon, ids are digits."""
    if not (what.isascii() and what.isdigit()):
        return what
    row = exceptions.one(connection, int(what))
    writes = exceptions.writes_behind(connection, row["subject_ref"])
    if row["state"] == "open" and not _is_parked(writes):
        ends = what_ends(row["code"], row["id"], can_release=row["can_release"])
        raise NotPossible(f"No write is parked behind exception {what}. {' '.join(ends)}")
    return str(row["subject_ref"])


def _retry(connection: Connection, subject: str, by: str, reason: str) -> int:
    now = utc_now()
    parked = [w for w in exceptions.writes_behind(connection, subject) if w["state"] == "parked"]
    count = outbox.retry_parked(connection, None, subject, now)
    if count:
        audit.record(
            connection,
            by,
            "outbox.retried",
            subject,
            now,
            note=reason,
            before={"state": "parked", "errors": sorted({w["error_class"] for w in parked})},
            after={"state": "waiting"},
        )
    return count


def _retry_many(code: str, by: str, reason: str, yes: bool, demo: bool, as_json: bool) -> None:
    with clearly(), store_of(demo) as connection:
        subjects = exceptions.parked_behind(connection, code)
    if not subjects:
        fail(f"No write is parked behind {code!r}; see `sync-assets exceptions list`.", NO)
    if not yes:
        if as_json:
            fail(f"{len(subjects)} writes would go again; say --yes.")
        shown = ", ".join(subjects[:5]) + (", …" if len(subjects) > 5 else "")
        err.print(escape(f"{len(subjects)} parked writes behind {code}: {shown}"))
        if not typer.confirm("Send them again with the next run?", err=True):
            fail("Nothing was changed.", NO)
    with clearly(), store_of(demo) as connection, progress.bars(as_json) as bar:
        counts = [
            _retry(connection, subject, by, reason)
            for subject in bar.track(subjects, description="writes")
        ]
    answer(
        {"code": code, "orders": len(subjects), "waiting": sum(counts)},
        as_json,
        lambda value: out.print(f"{value['waiting']} writes go again with the next run."),
    )
