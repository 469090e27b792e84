"""`sync-assets reconcile`: from gross sales to what reached the bank, per provider and period."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table as Shown

from resources.store.engine import connected
from sync_assets.domain.findings import FINDINGS
from sync_assets.domain.orders import Row
from sync_assets.domain.statements import (
    NO_STORE,
    RESIDUALS,
    WORDS,
    Line,
    Reconciliation,
    Sum,
    store_words,
    written,
)
from sync_assets.ops.console import NO, answer, clearly, fail, out, page
from sync_assets.ops.reconcile_asking import asked_for, found_of, kept_at_of, nothing_of
from sync_assets.ops.shell import AsJson, Demo, deployment_of

app = typer.Typer()
COLUMNS = (
    *("provider", "store", "period", "currency", "line", "label", "item_count", "amount"),
    *("open_count", "open_amount"),
)


@app.command("reconcile")
def reconcile(
    words: Annotated[
        str,
        typer.Option("--period", help="2017-03, 2017-Q1, 2017 or 2017-03-01..2017-03-15."),
    ],
    provider: Annotated[str | None, typer.Option(help="Only this provider's account.")] = None,
    store: Annotated[str | None, typer.Option(help="Only what belongs to this store.")] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", dir_okay=False, help="Write the lines here as CSV.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", dir_okay=False, help="Write a page to print here.")
    ] = None,
    kept: Annotated[
        bool, typer.Option("--kept", help="Sum the months as last kept: faster, maybe behind.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 if anything is open or unexplained.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show what was sold, taken off, settled and paid out in a period, and what of it is open.

    One statement per provider and currency. Every total is summed from the provider's own lines, so
    what does not add up shows as unexplained.
    """
    with clearly(), deployment_of(demo) as systems, connected(systems.engine) as connection:
        asked = asked_for(systems, connection, words, provider, store)
        found = found_of(connection, asked, systems.now(), kept=kept)
        kept_at = kept_at_of(connection, asked) if kept else None
        if not found:
            fail(nothing_of(connection, asked), NO)
    _write(csv_file, html_file, found, systems.now())
    told = {
        "period": asked.period.name,
        "from": asked.period.first_on.isoformat(),
        "until": asked.period.last_on.isoformat(),
        "at": systems.now(),
        "kept_at": kept_at,
        "statements": [_plain(one) for one in found],
    }
    answer(told, as_json, lambda _: _tell(found, kept_at))
    if strict and any(one.is_open or one.residual for one in found):
        raise typer.Exit(NO)


# ---------------------------------------------------------------- for programs and files


def _plain(one: Reconciliation) -> dict[str, Any]:
    return {
        "provider": one.provider or None,
        "currency": one.currency or None,
        "timezone": one.timezone,
        "store": one.only_store,
        "is_open": one.is_open,
        "unexplained": one.residual,
        "lines": _plain_lines(one.whole),
        "stores": {store: _plain_lines(lines) for store, lines in one.stores.items()},
        "expected": [_without_account(row) for row in one.expected],
        "open_items": [_without_account(row) for row in one.open_items],
    }


def _plain_lines(lines: Mapping[Line, Sum]) -> list[dict[str, Any]]:
    return [
        {
            "line": str(line),
            "label": WORDS[line].label,
            "item_count": one.count,
            "amount": one.amount,
            "open_count": one.open_count,
            "open_amount": one.open_amount,
        }
        for line, one in lines.items()
    ]


def _without_account(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in ("provider", "currency")}


def _write(
    csv_file: Path | None,
    html_file: Path | None,
    found: Sequence[Reconciliation],
    now: datetime,
) -> None:
    try:
        if csv_file:
            with csv_file.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([COLUMNS, *csv_rows(found)])
        if html_file:
            from sync_assets.ops import reconcile_page  # draws: dear to import

            html_file.write_text(reconcile_page.page(found, now), encoding="utf-8")
    except OSError as fault:
        fail(f"{fault.filename} cannot be written: {fault.strerror}.")


def csv_rows(found: Sequence[Reconciliation]) -> list[list[str]]:
    """One row per provider, store, currency and line; all stores together are not among them."""
    return [
        [
            *(one.provider, store, one.period.name, one.currency, str(line), WORDS[line].label),
            *(str(lines[line].count), written(lines[line].amount, one.currency)),
            *(str(lines[line].open_count), written(lines[line].open_amount, one.currency)),
        ]
        for one in found
        for store, lines in one.stores.items()
        for line in Line
    ]


# ---------------------------------------------------------------- for people


def _tell(found: Sequence[Reconciliation], kept_at: datetime | None) -> None:
    for place, one in enumerate(found):
        if place:
            out.print()
        if one.stores:
            page().print(_statement(one))
        else:
            out.print(f"[bold]{_title(one)}[/bold]  Nothing was settled.")
        if len([name for name in one.stores if name != NO_STORE]) > 1:
            page().print(_by_store(one))
        _tell_open(one)
    if kept_at:
        out.print(f"As kept at {kept_at:%Y-%m-%d %H:%M} UTC; without --kept it is worked out anew.")


def _title(one: Reconciliation) -> str:
    days = f"{one.period.first_on} to {one.period.last_on}"
    store = f", store {one.only_store}" if one.only_store else ""
    return escape(
        f"{one.provider or 'Of no provider'}{store}  {one.period.name} ({days}, {one.timezone})"
    )


def _statement(one: Reconciliation) -> Shown:
    shown = _table(_title(one), "", "count", one.currency, "open", f"open {one.currency}")
    for line, found in one.shown.items():
        words = WORDS[line]
        if line == Line.BANK_RECEIVED:
            shown.add_section()
        shown.add_row(
            f"= {words.label}" if words.is_total else f"  {words.label}",
            f"{found.count:,}",
            _money(found.amount, one.currency),
            f"{found.open_count:,}" if found.open_count else "",
            _money(found.open_amount, one.currency) if found.open_count else "",
            style=_style(line),
            end_section=words.is_total,
        )
    return shown


def _style(line: Line) -> str:
    if line in RESIDUALS:
        return "bold red"
    return "bold" if WORDS[line].is_total else ""


def _by_store(one: Reconciliation) -> Shown:
    names = sorted(one.stores, key=lambda name: (name == NO_STORE, name))
    shown = _table("By store", "", *map(store_words, names), "together")
    for line in one.shown:
        amounts = [one.stores[name][line].amount for name in names]
        shown.add_row(
            WORDS[line].label,
            *(_money(amount, one.currency) for amount in (*amounts, one.whole[line].amount)),
            style=_style(line),
            end_section=WORDS[line].is_total,
        )
    return shown


def _tell_open(one: Reconciliation) -> None:
    if not one.expected and not one.open_items:
        out.print("Nothing expected is unsettled, and nothing waits.")
        return
    if one.expected:
        shown = _table("Expected and not settled", "", "count", one.currency)
        for (kind, is_overdue), rows in grouped(one.expected, "kind", "is_overdue").items():
            words = f"{kind.replace('_', ' ')}, {'overdue' if is_overdue else 'not due yet'}"
            shown.add_row(words, *_added(rows, one.currency))
        page().print(shown)
    if one.open_items:
        shown = _table("Waits", "finding", "", "count", one.currency)
        for (code, is_waiting), rows in grouped(one.open_items, "finding", "is_waiting").items():
            says = FINDINGS[code].says if code in FINDINGS else ""
            shown.add_row(
                escape(code),
                escape(f"{says} (will come)" if is_waiting else says),
                *_added(rows, one.currency),
            )
        page().print(shown)


def grouped(rows: Sequence[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows of all stores by what they have in common, in their order."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in names)].append(row)
    return found


def _added(rows: Sequence[Row], currency: str) -> tuple[str, str]:
    amount = sum((row["amount"] for row in rows), Decimal(0))
    return f"{sum(row['item_count'] for row in rows):,}", _money(amount, currency)


def _money(amount: Decimal, currency: str) -> str:
    return written(amount, currency, ",")


def _table(title: str, *columns: str) -> Shown:
    shown = Shown(title=title, title_justify="left", title_style="bold", header_style="bold")
    words = 2 if title == "Waits" else 1
    for place, name in enumerate(columns):
        shown.add_column(name, justify="left" if place < words else "right", no_wrap=place > 0)
    return shown
