"""`sync-assets settlements`: what is open of money, and what a person decides about it."""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape
from sqlalchemy import Connection

from resources.store.engine import connected
from resources.store.exceptions import NotPossible
from resources.wiring import Systems, utc_now
from sync_assets.ops import settlements_account, settlements_open
from sync_assets.ops.console import answer, clearly, out
from sync_assets.ops.shell import AsJson, By, Demo, deployment_of, store_of
from sync_assets.settlements import conflicts as telling
from sync_assets.settlements import deciding, dividing, giving_up
from sync_assets.settlements.things import Act, rules_of

app = typer.Typer(
    no_args_is_help=True,
    help="Settlements: list, show, match, unmatch, split, write off, assign what is open.",
)
Note = Annotated[str, typer.Option("--note", help="Why; kept in the audit.")]
Ref = Annotated[str, typer.Argument(help="Our key of a line, payment or entry of the bank.")]
Provider = Annotated[str | None, typer.Option(help="Only this account of a provider.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show.")]
MANY = 100
NEXT = "The next run of the job `settlements` goes on with it."

# ---------------------------------------------------------------- looking


@app.command("list")
def list_open(
    provider: Provider = None,
    finding: Annotated[str | None, typer.Option(help="Only this finding, as `unsettled`.")] = None,
    store: Annotated[str | None, typer.Option(help="Only orders of this store.")] = None,
    older_than: Annotated[
        int | None, typer.Option(min=0, metavar="DAYS", help="Only what came up before that.")
    ] = None,
    limit: Limit = MANY,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List what is open, the oldest first, with sums per currency."""
    wanted = settlements_open.Wanted(provider, finding, store, older_than)
    with clearly(), store_of(demo) as connection:
        found = settlements_open.open_items(connection, wanted, utc_now(), limit)
    answer(found, as_json, settlements_open.tell_list)


@app.command()
def show(
    ref: Annotated[
        str, typer.Argument(help="A line, payment, payout, bank entry, order or match.")
    ],
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show all about one thing: its matches, what is wrong with it, and where it is booked."""
    with clearly(), store_of(demo) as connection:
        subject = settlements_account.find(connection, ref)
        found = settlements_account.account(connection, subject)
    answer(found, as_json, settlements_account.tell)


@app.command()
def files(
    provider: Provider = None, limit: Limit = MANY, demo: Demo = False, as_json: AsJson = False
) -> None:
    """List report files, the newest first: what was read of each, and what could not be."""
    with clearly(), store_of(demo) as connection:
        rows = settlements_open.report_files(connection, provider, limit)
    answer({"files": rows}, as_json, settlements_open.tell_files)


@app.command()
def requests(
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List write-offs that wait for a second person."""
    with clearly(), store_of(demo) as connection:
        rows = giving_up.requests(connection, decided_too=every)
    answer({"requests": rows}, as_json, settlements_open.tell_requests)


@app.command()
def conflicts(provider: Provider = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """List lines that were told twice and otherwise, both tellings side by side."""
    with clearly(), store_of(demo) as connection:
        rows = telling.open_conflicts(connection, provider=provider)
    answer({"conflicts": rows}, as_json, settlements_open.tell_conflicts)


# ---------------------------------------------------------------- deciding


def _decide(
    by: str,
    note: str,
    demo: bool,
    as_json: bool,
    act: Callable[[Connection, Systems, Act], dict[str, Any]],
    say: Callable[[dict[str, Any]], str],
) -> None:
    """One act in one transaction, and what is told of it."""
    with clearly(), deployment_of(demo) as systems:
        who = Act(by, note, systems.now())
        with connected(systems.engine) as connection:
            found = act(connection, systems, who)
    answer(found, as_json, lambda it: out.print(f"[green]✓[/green] {escape(say(it))}"))


@app.command("match")
def match_by_hand(
    note: Note,
    by: By,
    line: Annotated[list[str] | None, typer.Option(help="A settled line; once or more.")] = None,
    payment: Annotated[
        list[str] | None, typer.Option(help="An expected payment; once or more.")
    ] = None,
    bank: Annotated[
        list[str] | None, typer.Option(help="An entry of the bank; once or more.")
    ] = None,
    difference_to: Annotated[
        str | None, typer.Option(help="The kind of account a difference goes to, as `fees`.")
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Match lines with payments, or payouts with entries of the bank."""
    wanted = deciding.Wanted(line or [], payment or [], bank or [], difference_to)
    _decide(
        by,
        note,
        demo,
        as_json,
        lambda c, s, act: {"match": deciding.match(c, rules_of(s, c), wanted, act)},
        lambda it: f"Match {it['match']}. {NEXT}",
    )


@app.command()
def unmatch(
    match_id: Annotated[int, typer.Argument(min=1, help="Its id, from `settlements show`.")],
    note: Note,
    by: By,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """End a match; what was booked of it is taken back by the next run."""
    _decide(
        by,
        note,
        demo,
        as_json,
        lambda c, _, act: {"match": match_id, "open": deciding.unmatch(c, match_id, act)},
        lambda it: (
            f"Match {match_id} is ended; open again: {', '.join(row['ref'] for row in it['open'])}."
            " What was booked of it is taken back by the next run of the job `settlements`."
        ),
    )


@app.command()
def split(
    line: Annotated[str, typer.Argument(help="Our key of the settled line.")],
    note: Note,
    by: By,
    part: Annotated[
        list[str] | None,
        typer.Option(help="Its gross amount and, behind =, its order: 60.00=1042. Twice or more."),
    ] = None,
    join: Annotated[bool, typer.Option("--join", help="Undo a split.")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Divide a line into parts that come to it exactly, or put it together again."""

    def act(connection: Connection, _: Systems, who: Act) -> dict[str, Any]:
        if join == bool(part):
            raise NotPossible("Name the parts with --part AMOUNT=ORDER, or say --join; not both.")
        if join:
            return {"line": line, "joined": dividing.join(connection, line, who)}
        parts = [_part(said) for said in part or []]
        return {"line": line, "parts": dividing.split(connection, line, parts, who)}

    def say(it: dict[str, Any]) -> str:
        if join:
            return f"{line} counts itself again; {', '.join(it['joined'])} are gone. {NEXT}"
        return f"{line} is split into {', '.join(it['parts'])}. {NEXT}"

    _decide(by, note, demo, as_json, act, say)


def _part(said: str) -> dividing.Part:
    amount, _, words = said.partition("=")
    return dividing.Part(_amount(amount), words.strip() or None)


def _amount(said: str) -> Decimal:
    if not re.fullmatch(r"-?[0-9]{1,14}(\.[0-9]{1,6})?", said.strip()):
        raise NotPossible(f"{said!r} is no amount; write it as 60.00.")
    return Decimal(said.strip())


@app.command("write-off")
def write_off(ref: Ref, note: Note, by: By, demo: Demo = False, as_json: AsJson = False) -> None:
    """Give a thing up: at once up to the policy's limit, above it another person must agree."""

    def act(connection: Connection, systems: Systems, who: Act) -> dict[str, Any]:
        given = giving_up.write_off(connection, rules_of(systems, connection), ref, who)
        return {"ref": ref, "match": given.match_id, "request": given.request_id}

    def say(it: dict[str, Any]) -> str:
        if it["match"] is not None:
            return f"{ref} is written off in match {it['match']}. {NEXT}"
        return (
            f"{ref} is above what one person may write off. Request {it['request']} waits: another "
            f"person says `sync-assets settlements approve {it['request']} --note …`."
        )

    _decide(by, note, demo, as_json, act, say)


Request = Annotated[int, typer.Argument(min=1, help="Its id, from `settlements requests`.")]


@app.command()
def approve(
    request: Request, note: Note, by: By, demo: Demo = False, as_json: AsJson = False
) -> None:
    """Agree to a write-off that another person asked for."""
    _decide(
        by,
        note,
        demo,
        as_json,
        lambda c, s, act: {
            "request": request,
            "match": giving_up.approve(c, rules_of(s, c), request, act),
        },
        lambda it: f"Written off in match {it['match']}. {NEXT}",
    )


@app.command()
def reject(
    request: Request, note: Note, by: By, demo: Demo = False, as_json: AsJson = False
) -> None:
    """Turn down a write-off that another person asked for; the thing stays open."""
    _decide(
        by,
        note,
        demo,
        as_json,
        lambda c, _, act: {"request": request, "ref": giving_up.reject(c, request, act)},
        lambda it: f"Request {request} is rejected; {it['ref']} stays open.",
    )


@app.command()
def assign(
    ref: Ref,
    account: Annotated[
        str, typer.Option(help="The kind of account it goes to, as `fees` or `adjustments`.")
    ],
    note: Note,
    by: By,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Give a line or bank entry that needs no counterpart to an account."""
    _decide(
        by,
        note,
        demo,
        as_json,
        lambda c, _, act: {"ref": ref, "match": deciding.assign(c, ref, account, act)},
        lambda it: f"{ref} goes to {account}, in match {it['match']}. {NEXT}",
    )


@app.command()
def owner(
    ref: Annotated[str, typer.Argument(help="What is open: as `settlements list` names it.")],
    to: Annotated[str, typer.Option("--to", help="Who works on it; 'nobody' lets go.")],
    note: Note,
    by: By,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Even if somebody else works on it.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Say who works on what is open of a thing, so that nobody works on it twice."""
    person = to.strip()

    def act(connection: Connection, _: Systems, who: Act) -> dict[str, Any]:
        if not person:
            raise NotPossible("--to needs a name, or 'nobody'.")
        name = None if person == "nobody" else person
        done = deciding.own(connection, ref, name, who, take_over=take_over)
        return {"ref": ref, "to": person, "exceptions": done}

    _decide(by, note, demo, as_json, act, lambda it: f"{ref} is assigned to {person}.")


class Telling(StrEnum):
    """Which of two tellings is right."""

    FIRST = "first"
    SECOND = "second"


@app.command()
def conflict(
    line: Annotated[str, typer.Argument(help="Our key of the line, from `conflicts`.")],
    keep: Annotated[Telling, typer.Option(help="Which telling is right.")],
    note: Note,
    by: By,
    digest: Annotated[
        str | None, typer.Option(help="Which one, where it was told otherwise several times.")
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Say which telling of a line is right."""

    def act(connection: Connection, _: Systems, who: Act) -> dict[str, Any]:
        if keep is Telling.FIRST:
            telling.keep_first(connection, line, who)
        else:
            telling.keep_second(connection, line, who, digest)
        return {"line": line, "kept": str(keep)}

    _decide(by, note, demo, as_json, act, lambda it: f"{line}: the {keep} telling stands. {NEXT}")
