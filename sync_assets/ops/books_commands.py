"""`sync-assets books`: months, entries with what they are made of, rates, and the trial balance."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from sqlalchemy import Connection

from resources.store.engine import connected
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.ops import report
from sync_assets.ops.console import NO, answer, clearly, out, table
from sync_assets.ops.settlements_open import readable
from sync_assets.ops.shell import AsJson, By, Demo, deployment_of, store_of
from sync_assets.settlements import books
from sync_assets.settlements import rates as rate_files
from sync_assets.settlements.things import Act, rules_of

app = typer.Typer(
    no_args_is_help=True,
    help="The books: close and reopen months, see and reverse entries, rates, trial balance.",
)
Note = Annotated[str, typer.Option("--note", help="Why; kept in the audit.")]
Company = Annotated[str, typer.Argument(help="The company, as the configuration names it.")]
Period = Annotated[str, typer.Argument(help="The month, as 2026-03.")]
OfCompany = Annotated[str | None, typer.Option("--company", help="Only this company.")]
OfPeriod = Annotated[str | None, typer.Option("--period", help="Only this month, as 2026-03.")]
MANY = 100
Found = dict[str, Any]


def _decide(
    by: str,
    note: str,
    demo: bool,
    as_json: bool,
    act: Callable[[Connection, Systems, Act], Found],
    tell: Callable[[Found], None],
) -> None:
    """One act in one transaction, and what is told of it."""
    with clearly(), deployment_of(demo) as systems:
        who = Act(by, note, systems.now())
        with connected(systems.engine) as connection:
            found = act(connection, systems, who)
    answer(found, as_json, tell)


def _done(sentence: str) -> None:
    out.print(f"[green]✓[/green] {escape(sentence)}")


def _plain(rows: list[Found]) -> list[Found]:
    return [readable(row) for row in rows]


# ---------------------------------------------------------------- months


@app.command()
def close(
    company: Company,
    period: Period,
    note: Note,
    by: By,
    in_spite: Annotated[
        bool, typer.Option("--in-spite", help="Although findings of it are open.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Close a month: nothing is booked in it any more."""

    def act(connection: Connection, systems: Systems, who: Act) -> Found:
        rules = rules_of(systems, connection)
        month = books.month_of(systems.settings, rules, company, period)
        left = books.close(connection, month, who, in_spite=in_spite)
        return {"company": company, "period": period, "is_closed": True, **left}

    _decide(by, note, demo, as_json, act, _tell_closed)


def _tell_closed(found: Found) -> None:
    _done(f"{found['period']} of {found['company']} is closed.")
    table("Open all the same", _plain(found["open"]))
    table(
        "In no entry; booked later, or held, as `late` in the policy says",
        _plain(found["unposted"]),
    )


@app.command()
def reopen(
    company: Company,
    period: Period,
    note: Note,
    by: By,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Open a closed month again."""

    def act(connection: Connection, systems: Systems, who: Act) -> Found:
        rules = rules_of(systems, connection)
        books.reopen(connection, books.month_of(systems.settings, rules, company, period), who)
        return {"company": company, "period": period, "is_closed": False}

    _decide(
        by,
        note,
        demo,
        as_json,
        act,
        lambda it: _done(
            f"{period} of {company} is open. What was held of it is booked by the next run of the "
            "job `settlements`."
        ),
    )


@app.command()
def periods(company: OfCompany = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """List months: open or closed, by whom and why, and how many entries each has."""
    with clearly(), store_of(demo) as connection:
        rows = books.periods(connection, company)
    answer({"periods": rows}, as_json, _tell_periods)


def _tell_periods(found: Found) -> None:
    if not found["periods"]:
        out.print("There are no entries, and no month was closed.")
    table("Months", found["periods"])


# ---------------------------------------------------------------- entries


@app.command()
def entries(
    period: OfPeriod = None,
    company: OfCompany = None,
    batch: Annotated[str | None, typer.Option(help="Only this payout, statement or day.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="receipts, revenue, refunds, settlement, bank or correction."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = MANY,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List entries, the newest first, with their number in the ERP."""
    values = {"period": period, "company": company, "batch": batch, "kind": kind, "limit": limit}
    with clearly(), store_of(demo) as connection:
        rows = read_rows(connection, _ENTRIES, **values)
    answer({"entries": rows}, as_json, _tell_entries)


_ENTRIES = """
select e.entry_ref, e.kind, e.company, e.posted_on, e.period, e.provider, e.store, e.batch_ref,
    l.debit_amount, e.company_currency, l.lines, e.reverses, v.entry_ref as reversed_by,
    r.outcome as erp_outcome, r.remote_number as erp_number
from core.journal_entries e
left join lateral (
    select count(*) as lines, sum(greatest(x.company_amount, 0)) as debit_amount
    from core.journal_lines x where x.entry_ref = e.entry_ref
) l on true
left join core.journal_entries v on v.reverses = e.entry_ref
left join receipt.journal_entries r on r.system = e.erp and r.key = e.entry_ref
where (cast(:period as text) is null or e.period = :period)
  and (cast(:company as text) is null or e.company = :company)
  and (cast(:batch as text) is null or e.batch_ref = :batch)
  and (cast(:kind as text) is null or e.kind = :kind)
order by e.posted_on desc, e.created_at desc, e.entry_ref limit :limit
"""


def _tell_entries(found: Found) -> None:
    if not found["entries"]:
        out.print("There are no such entries.")
        return
    names = ["entry_ref", "posted_on", "debit_amount", "company_currency", "lines", "erp_number"]
    table(f"{len(found['entries'])} entries", _plain(found["entries"]), [*names, "reversed_by"])


@app.command()
def entry(
    entry_ref: Annotated[str, typer.Argument(help="Our key of the entry.")],
    limit: Annotated[int, typer.Option(min=1, help="How many sources to show.")] = MANY,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show an entry: its lines, what each is made of with match and rule, its number in the ERP."""
    with clearly(), store_of(demo) as connection:
        rows = read_rows(connection, _ENTRY, ref=entry_ref)
        if not rows:
            raise NotPossible(
                f"There is no entry {entry_ref!r}; `sync-assets books entries` lists the newest."
            )
        found = {
            "entry": rows[0],
            "lines": read_rows(connection, _LINES, ref=entry_ref),
            "sources": read_rows(connection, _SOURCES, ref=entry_ref, limit=limit),
            "taken_back_by": read_rows(connection, _TAKEN_BACK, ref=entry_ref),
            "receipts": read_rows(connection, _RECEIPTS, ref=entry_ref, erp=rows[0]["erp"]),
        }
    answer(found, as_json, _tell_entry)


_ENTRY = """
select e.*, v.entry_ref as reversed_by,
    (select count(*) from core.journal_sources s where s.entry_ref = e.entry_ref) as source_count
from core.journal_entries e left join core.journal_entries v on v.reverses = e.entry_ref
where e.entry_ref = :ref
"""
_LINES = """
select line_no, account, account_kind, greatest(amount, 0) as debit_amount,
    greatest(-amount, 0) as credit_amount, currency, company_amount, tax_code, store, description,
    item_count
from core.journal_lines where entry_ref = :ref order by line_no
"""
_SOURCES = """
select s.line_no, s.source_kind, s.source_ref, s.purpose, s.amount, s.company_amount, s.is_live,
    s.match_id, m.rule, m.reason
from core.journal_sources s left join core.matches m using (match_id)
where s.entry_ref = :ref order by s.line_no, s.source_kind, s.source_ref limit :limit
"""
#: A correction of a part names its entry in its key.
_TAKEN_BACK = """
select entry_ref, posted_on, description from core.journal_entries
where kind = 'correction' and batch_ref = (select batch_ref from core.journal_entries
    where entry_ref = :ref) and starts_with(entry_ref, 'correction\\:' || :ref || '\\:')
order by created_at, entry_ref
"""
_RECEIPTS = """
select system, outcome, remote_id, remote_number, remote_state, answered_at
from receipt.journal_entries where key = :ref and system = :erp
"""


def _tell_entry(found: Found) -> None:
    row = found["entry"]
    out.print(f"[bold]{escape(row['entry_ref'])}[/bold]")
    for name, value in row.items():
        if value is not None and name not in {"entry_ref", "run_id"}:
            out.print(f"  {name.replace('_', ' '):<20}{escape(str(report.plain(value)))}")
    table("Lines", _plain(found["lines"]))
    sources = found["sources"]
    more = row["source_count"] - len(sources)
    table(f"Made of {row['source_count']}", _plain(sources))
    if more:
        out.print(f"… and {more} more; see --limit.")
    table("Taken back by", _plain(found["taken_back_by"]))
    if not found["receipts"]:
        out.print(f"{escape(row['erp'])} does not hold it yet.")
    table("In the ERP", found["receipts"])


@app.command()
def reverse(
    entry_ref: Annotated[str, typer.Argument(help="Our key of the entry.")],
    note: Note,
    by: By,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Take an entry back whole, by a counter entry; what it was made of is booked anew."""
    _decide(
        by,
        note,
        demo,
        as_json,
        lambda c, _, act: {"reversed": entry_ref, **books.reverse(c, entry_ref, act)},
        lambda it: _done(
            f"{it['entry_ref']} takes {entry_ref} back on {it['posted_on']}. Its "
            f"{it['sources']} sources are booked anew by the next run of the job `settlements`, "
            "which also writes both to the ERP."
        ),
    )


# ---------------------------------------------------------------- rates and sums


@app.command()
def rates(
    by: By = "",
    file: Annotated[
        Path | None, typer.Option(help="A CSV with the columns day, currency, rate.")
    ] = None,
    company_currency: Annotated[
        str | None, typer.Option(help="What one unit of the others is worth in.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why; kept in the audit.")] = "",
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Load exchange rates from a file; without one, list the newest of each currency."""
    if file is None:
        with clearly(), store_of(demo) as connection:
            rows = rate_files.newest(connection)
        answer({"rates": rows}, as_json, _tell_rates)
        return
    path = file

    def act(connection: Connection, _: Systems, who: Act) -> Found:
        if company_currency is None:
            raise NotPossible("Say what the rates are in, with --company-currency EUR.")
        found = rate_files.read(path.name, _content(path), company_currency)
        done = rate_files.load(connection, found, company_currency, path.name, who)
        return {"file": path.name, **vars(done)}

    _decide(
        by,
        note,
        demo,
        as_json,
        act,
        lambda it: _done(
            f"{it['file']}: {it['new']} new rates, {it['changed']} changed, {it['same']} known. "
            "What waits for one is booked by the next run of the job `settlements`; what is "
            "booked stays as it was."
        ),
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise NotPossible(f"{path} cannot be read: {fault.strerror}.") from fault


def _tell_rates(found: Found) -> None:
    if not found["rates"]:
        out.print("No exchange rate is known; `books rates --file FILE.csv` loads some.")
    rows = [{**row, "rate": f"{row['rate'].normalize():f}"} for row in found["rates"]]
    table("Newest rates", _plain(rows))


@app.command()
def trial(
    company: Annotated[str, typer.Option("--company", help="The company.")],
    period: OfPeriod = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Sum our entries by account in the company's currency; ends with 1 if they do not balance."""
    with clearly(), store_of(demo) as connection:
        if period is not None and not books.MONTH.fullmatch(period):
            raise NotPossible(f"{period!r} is no month; write it as 2026-03.")
        rows = read_rows(connection, _TRIAL, company=company, period=period)
        total = read_rows(connection, _TOTAL, company=company, period=period)[0]
    found = {"company": company, "period": period, "accounts": rows, "total": total}
    answer(found, as_json, _tell_trial)
    if total["balance"]:
        raise typer.Exit(NO)


_OF = """
from core.journal_lines l join core.journal_entries e using (entry_ref)
where e.company = :company and (cast(:period as text) is null or e.period = :period)
"""
_DEBIT_CREDIT = """
coalesce(sum(greatest(l.company_amount, 0)), 0) as debit,
    coalesce(sum(greatest(-l.company_amount, 0)), 0) as credit,
    coalesce(sum(l.company_amount), 0) as balance
"""
_TRIAL = f"""
select l.account, string_agg(distinct l.account_kind, ', ' order by l.account_kind) as kinds,
    {_DEBIT_CREDIT}, min(e.company_currency) as currency
{_OF} group by 1 order by 1
"""
_TOTAL = f"select {_DEBIT_CREDIT}, min(e.company_currency) as currency {_OF}"


def _tell_trial(found: Found) -> None:
    if not found["accounts"]:
        out.print("There are no such entries.")
        return
    total = {"account": "all", "kinds": "", **found["total"]}
    when = found["period"] or "until now"
    table(f"{found['company']}, {when}", _plain([*found["accounts"], total]))
    if found["total"]["balance"]:
        out.print("[red]✗[/red] The entries do not balance; tell engineering.")
