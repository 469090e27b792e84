"""The money of an order in its trace: what is expected, which settled line paid it by which match,
the payout and the bank's entry behind that, where it is booked, and what is open.

Which orders are behind a reference of money is in `trace_money_finding.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.domain.findings import PREFIX
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.domain.waiting_facts import MoneyDue
from sync_assets.ops.report import plain
from sync_assets.ops.trace_events import Event, event
from sync_assets.ops.trace_things import MONEY, Row, Things, of
from sync_assets.policies import read_yaml
from sync_assets.settlements.policy import FILE


@dataclass
class Money:
    """The rows of some orders; every row names its `order_ref`."""

    #: One row per expected payment and line that settles it; a payment without one has one row.
    payments: list[Row] = field(default_factory=list)
    #: Entries of the bank, by payout.
    bank: dict[str, Row] = field(default_factory=dict)
    #: What is open, whoever owns it.
    open: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    #: What providers said of payments.
    said: list[Row] = field(default_factory=list)
    #: Days within which each provider settles.
    days: dict[str, int] = field(default_factory=dict)


def gather(connection: Connection, things: Things) -> Money:
    """Read the money of these orders, and let their payments and lines belong to them."""
    money = Money(read_rows(connection, _PAYMENTS, orders=things.order_refs))
    payouts = sorted({row["payout_ref"] for row in money.payments if row["payout_ref"]})
    money.bank = _banks(connection, payouts)
    for row in money.payments:
        row |= money.bank.get(row["payout_ref"], _NO_ENTRY)
        for name in ("payment_ref", "line_ref"):
            if row[name]:
                things.own(row[name], row["order_ref"], MONEY)
    money.open = _open(connection, things, money)
    money.said = _said(connection, money)
    money.entries = _entries(connection, things, money)
    money.days = _days(connection, money)
    return money


_PAYMENTS = """
select p.order_ref, p.payment_ref, p.kind, p.amount, p.currency, p.expected_at, p.provider,
    p.payment_id, p.group_id, p.movement_id, p.is_void, p.run_id, m.match_id, m.rule as match_rule,
    m.reason as match_reason, m.matched_at, m.matched_by, m.run_id as match_run_id, l.line_ref,
    l.kind as line_kind, l.gross_amount, l.fee_amount, l.fee_tax_amount, l.net_amount,
    l.currency as settled_currency, l.occurred_at as settled_at, l.payout_ref, l.run_id as
    line_run_id, o.state as payout_state, o.paid_on, o.paid_amount, o.bank_reference
from core.payments p
left join core.match_items i on i.side = 'expected' and i.ref = p.payment_ref and i.is_live
left join core.matches m on m.match_id = i.match_id
left join core.match_items s on s.match_id = i.match_id and s.side = 'settled'
left join core.settlement_lines l on l.line_ref = s.ref
left join core.payouts o on o.payout_ref = l.payout_ref
where p.order_ref = any(:orders)
order by p.expected_at, p.payment_ref, l.occurred_at, l.line_ref
"""

_BANK_COLUMNS = (
    *("bank_line_ref", "bank_account", "bank_amount", "bank_currency", "booked_on"),
    "bank_match_rule",
)
_NO_ENTRY: Row = dict.fromkeys(_BANK_COLUMNS)


def _banks(connection: Connection, payouts: list[str]) -> dict[str, Row]:
    """The entry of the bank that each payout is matched with; the last of several."""
    if not payouts:
        return {}
    rows = read_rows(connection, _BANK, payouts=payouts)
    return {row["payout_ref"]: {name: row[name] for name in _BANK_COLUMNS} for row in rows}


_BANK = """
select l.payout_ref, k.bank_line_ref, k.account as bank_account, k.amount as bank_amount,
    k.currency as bank_currency, k.booked_on, m.rule as bank_match_rule
from core.settlement_lines l
join core.match_items s on s.side = 'settled' and s.ref = l.line_ref and s.is_live
join core.matches m on m.match_id = s.match_id
join core.match_items b on b.match_id = s.match_id and b.side = 'bank'
join core.bank_lines k on k.bank_line_ref = b.ref
where l.payout_ref = any(:payouts) and l.kind in ('payout', 'payout_returned')
order by k.booked_on, k.bank_line_ref
"""


def _open(connection: Connection, things: Things, money: Money) -> list[Row]:
    """What is open of these orders, and of the payouts and entries that paid them."""
    owners: dict[str, set[str]] = {}
    for row in money.payments:
        for name in ("payment_ref", "line_ref", "payout_ref", "bank_line_ref"):
            if row[name]:
                owners.setdefault(row[name], set()).add(row["order_ref"])
    rows = read_rows(connection, _OPEN, orders=things.order_refs, refs=list(owners))
    found = []
    for row in rows:
        named = {row["order_ref"]} & set(things.order_refs)
        for order_ref in sorted(named):
            # A line that names the order and is matched with nothing is the order's all the same.
            things.own(row["ref"], order_ref, MONEY)
        found += [
            {**row, "order_ref": ref} for ref in sorted(named | owners.get(row["ref"], set()))
        ]
    return found


_OPEN = """
with o as materialized (
    select * from core.open_items where order_ref = any(:orders) or ref = any(:refs)
), e as (
    select distinct on (subject_ref, code) * from ops.exception
    where subject_ref = any(array(select ref from o)) and state = 'open'
    order by subject_ref, code, id
)
select o.side, o.ref, o.finding, o.detail, o.provider, o.order_ref, o.amount, o.currency, o.since,
    o.is_waiting, e.id as exception_id, e.owner_role, e.assigned_to, e.due_at
from o left join e on e.subject_ref = o.ref and e.code = o.finding
order by o.since, o.ref, o.finding
"""


def _said(connection: Connection, money: Money) -> list[Row]:
    """What providers said of these payments, each event once an order."""
    wanted = {
        (row["provider"], row[name], row["order_ref"])
        for row in money.payments
        for name in ("payment_id", "group_id")
        if row[name]
    }
    if not wanted:
        return []
    providers, ids, orders = (list(one) for one in zip(*sorted(wanted), strict=True))
    return read_rows(connection, _SAID, providers=providers, ids=ids, orders=orders)


_SAID = """
with w as (
    select * from unnest(cast(:providers as text[]), cast(:ids as text[]), cast(:orders as text[]))
        w (provider, id, order_ref)
)
select w.order_ref, e.* from w
    join core.payment_events e on e.provider = w.provider and e.payment_id = w.id
union
select w.order_ref, e.* from w
    join core.payment_events e on e.provider = w.provider and e.group_id = w.id
order by happened_at, event_ref
"""


def _entries(connection: Connection, things: Things, money: Money) -> list[Row]:
    """Journal entries that these orders' money is booked in, by the way it got there."""
    wanted = {("order", ref, ref) for ref in things.order_refs}
    for row in money.payments:
        ref = row["order_ref"]
        wanted.add(("payment", row["payment_ref"], ref))
        if row["line_ref"]:
            wanted.add(("line", row["line_ref"], ref))
        if row["match_id"]:
            wanted.add(("match", str(row["match_id"]), ref))
    kinds, refs, orders = (list(one) for one in zip(*sorted(wanted), strict=True))
    return read_rows(
        connection, _ENTRIES, kinds=kinds, refs=refs, orders=orders, all=things.order_refs
    )


#: Ours are few lines of maybe many, so what is booked of the order is told, not the entry's sum.
_ENTRIES = """
with w as (
    select * from unnest(cast(:kinds as text[]), cast(:refs as text[]), cast(:orders as text[]))
        w (source_kind, source_ref, order_ref)
    union
    select 'order_line', line_ref, order_ref from core.order_lines where order_ref = any(:all)
), booked as (
    select w.order_ref, s.entry_ref, string_agg(distinct s.purpose, ', ') as purpose,
        sum(greatest(s.company_amount, 0)) as debit_amount, bool_or(s.is_live) as is_live
    from w join core.journal_sources s
        on s.source_ref = w.source_ref and s.source_kind = w.source_kind
    group by 1, 2
)
select b.order_ref, b.entry_ref, e.kind, e.company, e.erp, e.posted_on, b.purpose,
    b.debit_amount, e.company_currency as currency, b.is_live, e.reverses, e.created_at, e.run_id,
    r.outcome, r.remote_number, r.answered_at
from booked b
join core.journal_entries e using (entry_ref)
left join receipt.journal_entries r on r.system = e.erp and r.key = e.entry_ref
order by e.created_at, e.entry_ref
"""


# ---------------------------------------------------------------- whom it waits for


def _days(connection: Connection, money: Money) -> dict[str, int]:
    """How long each provider may take, as the policy that was last in force says."""
    late = {row["provider"] for row in money.payments if row["match_id"] is None}
    if not late:
        return {}
    rows = read_rows(
        connection,
        "select body from core.policies where name = :name order by applied_at desc limit 1",
        name=FILE.name,
    )
    policy = _understood(str(rows[0]["body"])) if rows else FILE.implied
    return {name: policy.rule(name).settles_within_days for name in late}


@lru_cache(maxsize=4)
def _understood(body: str) -> SettlementPolicy:
    return SettlementPolicy.model_validate(read_yaml(body) or {})


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
