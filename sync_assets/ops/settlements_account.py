"""All that is known of one settled line, payment, payout, entry of the bank, order or match: what
it is, what it is matched with and was, what is wrong with it, and where it is booked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from sqlalchemy import Connection

from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from sync_assets.ops import report
from sync_assets.ops.console import out, table
from sync_assets.ops.settlements_open import readable

Found = dict[str, Any]
#: As many rows of one sort are shown; a payout may have a million lines.
MOST = 100
SOURCES = {"settled": "line", "expected": "payment", "bank": "bank"}


@dataclass(frozen=True)
class Subject:
    """What a reference names, and the things of the ledgers that it comes to."""

    kind: str
    ref: str
    row: Mapping[str, Any]
    things: Sequence[tuple[str, str]]


def find(connection: Connection, ref: str) -> Subject:
    """What a person means by a reference; digits are a match's id, or an order's number."""
    for kind, query in _BY_KEY.items():
        rows = read_rows(connection, query, ref=ref)
        if rows:
            return Subject(kind, ref, rows[0], _things(connection, kind, ref))
    if ref.isascii() and ref.isdigit() and len(ref) < 19:
        rows = read_rows(connection, "select * from core.matches where match_id = :id", id=int(ref))
        if rows:
            return Subject("match", ref, rows[0], _things(connection, "match", ref))
    orders = read_rows(connection, _BY_NUMBER, ref=ref)
    if len(orders) == 1:
        return find(connection, str(orders[0]["order_ref"]))
    if orders:
        keys = ", ".join(str(row["order_ref"]) for row in orders)
        raise NotPossible(f"{ref!r} names several orders: {keys}. Name one of them.")
    raise NotPossible(
        f"There is no line, payment, payout, entry of the bank, order or match {ref!r}; "
        "`sync-assets settlements list` shows what is open."
    )


_BY_KEY = {
    "line": "select * from core.settlement_lines where line_ref = :ref",
    "payment": "select * from core.payments where payment_ref = :ref",
    "payout": "select * from mart.payouts where payout_ref = :ref",
    "bank": "select * from core.bank_lines where bank_line_ref = :ref",
    "order": "select order_ref, store, order_number, state, placed_at, currency, total_amount, "
    "refunded_amount from core.orders where order_ref = :ref",
}
_BY_NUMBER = "select order_ref from core.orders where order_number = :ref order by 1 limit 5"
_THINGS = {
    "payout": "select 'settled' as side, line_ref as ref from core.settlement_lines "
    "where payout_ref = :ref and kind in ('payout', 'payout_returned')",
    "order": "select 'expected' as side, payment_ref as ref from core.payments "
    "where order_ref = :ref",
    "match": "select side, ref from core.match_items where match_id = cast(:ref as bigint)",
}


def _things(connection: Connection, kind: str, ref: str) -> list[tuple[str, str]]:
    side = {"line": "settled", "payment": "expected", "bank": "bank"}.get(kind)
    if side is not None:
        return [(side, ref)]
    rows = read_rows(connection, _THINGS[kind] + " order by 1, 2", ref=ref)
    return [(row["side"], row["ref"]) for row in rows]


# ---------------------------------------------------------------- all about it


def account(connection: Connection, subject: Subject) -> Found:
    """Everything known of a subject."""
    matches = _matches(connection, subject)
    things = sorted(
        {*subject.things, *((i["side"], i["ref"]) for m in matches for i in m["items"])}
    )
    refs = sorted({ref for _, ref in subject.things} | {subject.ref})
    orders = _orders(connection, subject, things)
    return {
        "kind": subject.kind,
        "ref": subject.ref,
        "it": dict(subject.row),
        "match": next((one for one in matches if one["ended_at"] is None), None),
        "matches": [one for one in matches if one["ended_at"] is None],
        "ended": [one for one in matches if one["ended_at"] is not None],
        "findings": read_rows(connection, _FINDINGS, refs=refs, orders=_only_order(subject)),
        "entries": _entries(connection, subject, matches),
        "lines": read_rows(connection, _SUMS, ref=subject.ref) if subject.kind == "payout" else [],
        "parts": read_rows(connection, _PARTS, ref=subject.ref) if subject.kind == "line" else [],
        "conflicts": read_rows(connection, _CONFLICTS, refs=refs),
        "requests": read_rows(connection, _REQUESTS, refs=refs),
        "payments": read_rows(connection, _PAYMENTS, orders=orders, most=MOST),
    }


def _only_order(subject: Subject) -> list[str]:
    return [subject.ref] if subject.kind == "order" else []


_FINDINGS = """
select finding, side, ref, detail, amount, currency, since, exception_id, owner_role, assigned_to,
    due_at
from mart.open_items where ref = any(:refs) or order_ref = any(:orders) order by finding, ref
"""
_SUMS = """
select kind, count(*) as lines, sum(gross_amount) as gross_amount, sum(fee_amount) as fee_amount,
    sum(fee_tax_amount) as fee_tax_amount, sum(net_amount) as net_amount, currency,
    count(*) filter (where is_open) as open_lines
from mart.settlement_lines where payout_ref = :ref group by kind, currency order by kind, currency
"""
_PARTS = """
select line_ref, gross_amount, fee_amount, fee_tax_amount, net_amount, currency, description
from core.settlement_lines where split_of = :ref order by line_ref
"""
_CONFLICTS = """
select line_ref, digest, said ->> 'net_amount' as net_amount, said ->> 'payout_ref' as payout_ref,
    told_by, file_name, file_line, found_at, settled_at, settled_by, note
from core.settlement_conflicts where line_ref = any(:refs) order by found_at, digest
"""
_REQUESTS = """
select request_id, act, ref, amount, currency, note, asked_at, asked_by, decided_at, decided_by,
    is_approved
from core.settlement_requests where ref = any(:refs) order by request_id
"""
_PAYMENTS = """
select p.payment_ref, p.kind, p.order_ref, p.provider, p.amount, p.currency, p.expected_at,
    p.is_void, i.match_id
from core.payments p
left join core.match_items i on i.side = 'expected' and i.ref = p.payment_ref and i.is_live
where p.order_ref = any(:orders) order by p.order_ref, p.expected_at, p.payment_ref limit :most
"""


def _orders(
    connection: Connection, subject: Subject, things: Sequence[tuple[str, str]]
) -> list[str]:
    """The orders it is of: those of what it is matched with, or that it names."""
    payments = [ref for side, ref in things if side == "expected"]
    rows = read_rows(
        connection,
        "select order_ref from core.payments where payment_ref = any(:payments) "
        "union select order_ref from core.open_items where ref = :ref",
        payments=payments,
        ref=subject.ref,
    )
    found = {str(row["order_ref"]) for row in rows if row["order_ref"] is not None}
    return sorted(found | set(_only_order(subject)))


#: Live ones by their index, ended ones by looking through.
_MATCH_IDS = """
select i.match_id from core.match_items i
    join unnest(cast(:sides as text[]), cast(:refs as text[])) as t (side, ref) using (side, ref)
    where i.is_live
union
select i.match_id from core.match_items i
    join unnest(cast(:sides as text[]), cast(:refs as text[])) as t (side, ref) using (side, ref)
    where not i.is_live
order by 1 limit :most
"""
_MATCHES = """
select match_id, provider, rule, reason, difference_amount, currency, account, matched_at,
    matched_by, ended_at, ended_by, end_reason
from core.matches where match_id = any(:ids) order by ended_at is not null, match_id
"""
_ITEMS = """
select i.match_id, i.side, i.ref, i.amount, i.currency,
    coalesce(l.kind, p.kind, 'entry') as kind,
    coalesce(l.occurred_at, p.expected_at, b.booked_on::timestamptz) as at,
    coalesce(p.order_ref, l.description, b.description) as words
from core.match_items i
left join core.settlement_lines l on i.side = 'settled' and l.line_ref = i.ref
left join core.payments p on i.side = 'expected' and p.payment_ref = i.ref
left join core.bank_lines b on i.side = 'bank' and b.bank_line_ref = i.ref
where i.match_id = any(:ids) order by i.match_id, i.side desc, i.ref
"""


def _matches(connection: Connection, subject: Subject) -> list[Found]:
    """Matches it is or was in, live ones first, each with both sides."""
    if subject.kind == "match":
        ids = [int(subject.ref)]
    else:
        sides, refs = [s for s, _ in subject.things], [r for _, r in subject.things]
        rows = read_rows(connection, _MATCH_IDS, sides=sides, refs=refs, most=MOST)
        ids = [row["match_id"] for row in rows]
    items: dict[int, list[Found]] = {}
    for row in read_rows(connection, _ITEMS, ids=ids):
        items.setdefault(row.pop("match_id"), []).append(row)
    return [
        {**row, "items": items.get(row["match_id"], [])}
        for row in read_rows(connection, _MATCHES, ids=ids)
    ]


_ENTRIES = """
select s.entry_ref, s.line_no, e.kind, e.posted_on, e.company, s.purpose, s.source_kind,
    s.source_ref, l.account, l.account_kind, s.amount, l.currency, s.company_amount, s.is_live,
    s.match_id, r.remote_number
from core.journal_sources s
join core.journal_entries e using (entry_ref)
join core.journal_lines l using (entry_ref, line_no)
left join receipt.journal_entries r on r.system = e.erp and r.key = e.entry_ref
where (s.source_kind, s.source_ref) in (
        select * from unnest(cast(:kinds as text[]), cast(:refs as text[])))
   or s.source_kind = 'match' and s.match_id = any(:ids)
   or :order <> '' and s.source_kind = 'order_line' and starts_with(s.source_ref, :order || '\\:')
order by e.created_at, s.entry_ref, s.line_no, s.source_ref limit :most
"""
_BATCH = """
select e.entry_ref, null as line_no, e.kind, e.posted_on, e.company, null as purpose,
    'batch' as source_kind, e.batch_ref as source_ref, null as account, null as account_kind,
    null as amount, e.company_currency as currency,
    (select sum(greatest(l.company_amount, 0)) from core.journal_lines l
        where l.entry_ref = e.entry_ref) as company_amount, true as is_live, null as match_id,
    r.remote_number
from core.journal_entries e
left join receipt.journal_entries r on r.system = e.erp and r.key = e.entry_ref
where e.batch_ref = :ref order by e.created_at, e.entry_ref limit :most
"""


def _entries(connection: Connection, subject: Subject, matches: Sequence[Found]) -> list[Found]:
    """Lines of entries that it is booked in, those that were taken back too."""
    if subject.kind == "payout":
        return read_rows(connection, _BATCH, ref=subject.ref, most=MOST)
    return read_rows(
        connection,
        _ENTRIES,
        kinds=[SOURCES[side] for side, _ in subject.things],
        refs=[ref for _, ref in subject.things],
        ids=[one["match_id"] for one in matches],
        order=subject.ref if subject.kind == "order" else "",
        most=MOST,
    )


# ---------------------------------------------------------------- for people

_HIDDEN = frozenset({"run_id"})


def tell(found: Found) -> None:
    """Print it, the thing itself first."""
    out.print(f"[bold]{found['kind']} {escape(found['ref'])}[/bold]")
    for name, value in found["it"].items():
        if value not in (None, "", False) and name not in _HIDDEN:
            out.print(f"  {name.replace('_', ' '):<20}{escape(_said(value))}")
    for one in found["matches"]:
        _tell_match("Matched", one)
    for one in found["ended"]:
        _tell_match("Was matched", one)
    if not found["matches"] and found["kind"] in ("line", "payment", "bank"):
        out.print("Not matched.")
    for title, name in _TABLES:
        table(title, [readable(one) for one in found[name]], _COLUMNS.get(name))


_TABLES = (
    ("Its lines", "lines"),
    ("Its parts", "parts"),
    ("Open", "findings"),
    ("Told otherwise", "conflicts"),
    ("Requests", "requests"),
    ("Booked in", "entries"),
    ("Payments of its order", "payments"),
)
#: Where there is more than fits on a page.
_COLUMNS = {
    "entries": (
        *("entry_ref", "posted_on", "source_ref", "account", "account_kind", "amount"),
        *("currency", "is_live", "remote_number"),
    ),
    "findings": ("finding", "ref", "detail", "amount", "currency", "owner_role", "assigned_to"),
}


def _tell_match(title: str, one: Found) -> None:
    out.print(
        f"[bold]{title}[/bold] in match {one['match_id']} by {escape(one['rule'])} "
        f"({escape(one['matched_by'])}, {one['matched_at']:%Y-%m-%d %H:%M} UTC): "
        f"{escape(one['reason'])}"
    )
    if one["difference_amount"] or one["account"]:
        said = f"{report.plain(one['difference_amount'])} {one['currency']}"
        out.print(f"  difference {said} to {escape(one['account'] or 'rounding')}")
    if one["ended_at"] is not None:
        out.print(
            f"  ended {one['ended_at']:%Y-%m-%d %H:%M} UTC by {escape(one['ended_by'])}: "
            f"{escape(one['end_reason'])}"
        )
    table("", [readable(item) for item in one["items"]])


def _said(value: Any) -> str:
    return str(report.plain(value))
