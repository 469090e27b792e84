"""The money of an order in its trace: what is expected, which settled line paid it by which match,
the payout and the bank's entry behind that, where it is booked, and what is open.

The rows are read in `trace_money_facts.py`; which orders are behind a reference of money is in
`trace_money_finding.py`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sync_assets.domain.findings import PREFIX
from sync_assets.domain.waiting_facts import MoneyDue
from sync_assets.ops.report import plain
from sync_assets.ops.trace_events import Event, event
from sync_assets.ops.trace_money_facts import Money
from sync_assets.ops.trace_things import MONEY, Row, of

# ---------------------------------------------------------------- whom it waits for


def due_of(order_ref: str, money: Money) -> tuple[MoneyDue, ...]:
    """Money of one order that has not come, as far as nobody is asked about it."""
    rows = of(order_ref, money.payments)
    asked = {row["provider"] for row in of(order_ref, money.open) if row["side"] == "settled"}
    found = {}
    for row in rows:
        if row["is_void"] or not row["amount"]:
            continue
        ref, provider, since = row["payment_ref"], row["provider"], row["expected_at"]
        if row["match_id"] is None and provider not in asked:
            until = since + timedelta(days=money.days[provider])
            found[ref] = MoneyDue(ref, provider, "settle", since, until)
        elif row["line_ref"] and row["payout_ref"] is None:
            found[row["line_ref"]] = MoneyDue(
                row["line_ref"], provider, "pay out", row["settled_at"]
            )
        elif row["payout_state"] == "in_transit":
            payout = row["payout_ref"]
            due = _midnight(row["paid_on"])
            found[payout] = MoneyDue(payout, provider, "pay out", row["settled_at"], due)
    return tuple(found.values())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


# ---------------------------------------------------------------- what happened


def events(money: Money) -> Iterator[Event]:
    """What was expected, said, settled, matched, paid and booked."""
    for row in _once(money.payments, "payment_ref"):
        what = f"{row['kind']} {row['payment_ref']}: {_sum(row)} is expected from {row['provider']}"
        void = ", and was taken back before it moved" if row["is_void"] else ""
        yield _event(row, row["expected_at"], "core", row["provider"], what + void, row["run_id"])
    for row in money.said:
        yield _event(row, row["happened_at"], "raw", row["provider"], _word(row), row["run_id"])
    for row in _once(money.payments, "line_ref"):
        yield _event(
            row, row["settled_at"], "core", row["provider"], _line(row), row["line_run_id"]
        )
    for row in _once(money.payments, "match_id"):
        what = f"match {row['match_id']} by {row['match_rule']}: {row['match_reason']}"
        by = None if row["match_rule"] is None else row["matched_by"]
        yield _event(row, row["matched_at"], "match", by, what, row["match_run_id"])
    yield from _bank_events(money)
    for row in money.entries:
        yield _event(row, row["created_at"], "books", row["erp"], _booking(row), row["run_id"])


def _once(rows: Iterable[Row], name: str) -> Iterator[Row]:
    """The first row of each thing and order, as far as there is one."""
    seen = set()
    for row in rows:
        key = (row["order_ref"], row[name])
        if row[name] is not None and key not in seen:
            seen.add(key)
            yield row


def _event(
    row: Row, at: datetime, layer: str, system: str | None, what: str, run_id: str | None
) -> Event:
    return event(row["order_ref"], at, MONEY, layer, system, what, {"run_id": run_id})


def _sum(row: Row, amount: str = "amount", currency: str = "currency") -> str:
    return f"{plain(row[amount])} {row[currency]}"


def _word(row: Row) -> str:
    """An event of a provider in our words, then in its own."""
    thing = row["movement_id"] or row["payment_id"] or row["group_id"]
    amount = f" {_sum(row)}" if row["amount"] is not None else ""
    why = f": {row['reason']}" if row["reason"] else ""
    return f"{row['kind'].replace('_', ' ')} {thing}{amount}{why}"


def _line(row: Row) -> str:
    """A settled line: what came, what it cost, and with which payout."""
    fee = row["fee_amount"] + row["fee_tax_amount"]
    less = f" less {plain(fee)} of fees" if fee else ""
    payout = f"in payout {row['payout_ref']}" if row["payout_ref"] else "in no payout yet"
    return (
        f"{row['line_kind'].replace('_', ' ')} {row['line_ref']} settles "
        f"{plain(row['gross_amount'])} {row['settled_currency']}{less}, {payout}"
    )


def _bank_events(money: Money) -> Iterator[Event]:
    """What reached the bank; a bank tells the day only, which comes after what it pays."""
    latest: dict[tuple[str, str], Row] = {}
    for row in money.payments:
        key = (row["order_ref"], row["payout_ref"])
        if row["bank_line_ref"] and (
            key not in latest or row["settled_at"] > latest[key]["settled_at"]
        ):
            latest[key] = row
    for row in latest.values():
        what = (
            f"payout {row['payout_ref']} reached the bank on {row['booked_on']} as "
            f"{_sum(row, 'bank_amount', 'bank_currency')}, {row['bank_line_ref']}, "
            f"by {row['bank_match_rule']}"
        )
        at = max(_midnight(row["booked_on"]), row["settled_at"])
        yield _event(row, at, "bank", row["bank_account"], what, None)


def _booking(row: Row) -> str:
    """An entry, which part of the order it holds, and what the ERP calls it."""
    number = row["remote_number"] or ("refused" if row["outcome"] == "refused" else "not there yet")
    back = f", takes {row['reverses']} back" if row["reverses"] else ""
    return (
        f"{row['kind']} entry {row['entry_ref']} of {row['posted_on']}: {row['purpose']} "
        f"{_sum(row, 'debit_amount')}{back}; in {row['erp']}: {number}"
    )


# ---------------------------------------------------------------- as the trace tells it


def told(order_ref: str, money: Money) -> dict[str, list[Row]]:
    """The money of one order: payments with their lines, entries, and what is open."""
    return {
        "payments": _without(of(order_ref, money.payments), _INNER),
        "entries": _without(of(order_ref, money.entries), _INNER),
        "open": [
            {**row, "finding": row["finding"].removeprefix(PREFIX)}
            for row in _without(of(order_ref, money.open), _INNER)
        ],
    }


_INNER = frozenset({"order_ref", "run_id", "match_run_id", "line_run_id"})


def _without(rows: Iterable[Row], names: frozenset[str]) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


#: Columns of the tables for people.
TABLES: dict[str, tuple[str, ...]] = {
    "payments": (
        *("kind", "amount", "currency", "expected_at", "provider", "match_rule", "line_ref"),
        *("fee_amount", "net_amount", "settled_currency", "payout_ref", "booked_on"),
    ),
    "entries": ("entry_ref", "posted_on", "purpose", "debit_amount", "currency", "remote_number"),
    "open": ("finding", "ref", "detail", "amount", "currency", "owner_role", "assigned_to"),
}


def batch_rows(batch: dict[str, Any]) -> list[Row]:
    """The orders of a payout or an entry, for people."""
    names = ("order_ref", "payments", "amount", "currency", "placed_at")
    return [{name: row[name] for name in names} for row in batch["listed"]]


def batch_title(batch: dict[str, Any]) -> str:
    """What a payout or an entry comes to."""
    sums = [
        f"{plain(row['amount'])} {row['currency']} in {row['payments']} payments"
        for row in batch["sums"]
    ]
    orders = "1 order" if batch["orders"] == 1 else f"{batch['orders']} orders"
    parts = [*_paid(batch["payout"]), ", ".join([orders, *sums])]
    if batch["more"]:
        parts.append(f"the newest {len(batch['listed'])}, {batch['more']} more")
    return f"{_NAMES[batch['kind']]} {batch['ref']}: {'; '.join(parts)}"


def _paid(payout: Row | None) -> Iterator[str]:
    if payout is None:
        return
    yield f"{_sum(payout, 'paid_amount')} {payout['state'].replace('_', ' ')} {payout['paid_on']}"
    yield f"{payout['line_count']} lines, {payout['open_count']} open"
    in_bank = payout["received_on"]
    yield f"in the bank on {in_bank}" if in_bank else "not matched with the bank"


_NAMES = {"payout": "Payout", "bank": "Bank entry", "entry": "Journal entry"}
