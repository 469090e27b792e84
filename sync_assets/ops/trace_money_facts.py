"""The money of orders as our tables hold it: payments and the lines that settle them, payouts and
the bank's entries behind them, what is booked, and what is open.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.ops.trace_things import MONEY, Row, Things
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
