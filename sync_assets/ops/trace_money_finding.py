"""Which orders are behind a reference of money: a provider's id of a payment, refund or dispute, a
settled line, a payout, an entry of a bank, a journal entry.

First the things of the ledgers that carry the reference, then the orders those are of: one payment
is of one order, a payout or an entry of as many as it likes, so these are counted and summed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows

FORMS = (
    "a provider's id of a payment, refund or dispute",
    "stripe_us:txn_1 (a settled line) or the provider's id of it",
    "stripe_us:po_1 (a payout) or the provider's id of it",
    "a bank's reference",
    "a journal entry or the ERP's number of it",
)
#: Things of many orders are told with the sums of all of them, these first.
BATCHES = ("payout", "bank", "entry")


@dataclass(frozen=True)
class Thing:
    """A thing of the ledgers that carries the reference."""

    kind: str
    ref: str
    form: str


@dataclass(frozen=True)
class Behind:
    """The orders of some things of money."""

    #: Order to the forms in which it was found and when it was placed; the newest few.
    orders: dict[str, tuple[list[str], datetime | None]] = field(default_factory=dict)
    #: How many orders there are beside those that were known before.
    more: int = 0
    #: Payouts, bank entries and journal entries with counts, sums and their newest orders.
    batches: list[dict[str, Any]] = field(default_factory=list)


def things(connection: Connection, said: str, keys: Sequence[str]) -> list[Thing]:
    """What of the ledgers is called `said`, or has one of our `keys`."""
    rows = read_rows(connection, _THINGS, said=said, keys=list(keys))
    found = {(row["kind"], row["ref"]): Thing(**row) for row in reversed(rows)}
    return list(found.values())


#: Ids are looked up by provider: each is found from the one before, by the index and not by looking
#: at every row.
_PROVIDERS = """
{name} (provider) as (
    select min(provider) from {table} where provider > ''
    union all
    select (select min(x.provider) from {table} x where x.provider > w.provider)
    from {name} w where w.provider is not null
)"""
_MINE = "array(select provider from names)"
_THINGS = f"""
with recursive {_PROVIDERS.format(name="expecting", table="core.payments")},
{_PROVIDERS.format(name="settling", table="core.settlement_lines")},
names as (
    select provider from expecting where provider is not null
    union select provider from settling where provider is not null
), wanted as (
    select unnest(cast(:keys as text[])) as key
    union select provider || '\\:' || :said from names
)
select 'payment' as kind, payment_ref as ref, 'our key' as form
from core.payments where payment_ref = any(:keys)
union all
select 'payment', payment_ref, provider || ' payment' from core.payments
where provider = any({_MINE}) and payment_id = :said
union all
select 'payment', payment_ref, provider || ' payment' from core.payments
where provider = any({_MINE}) and group_id = :said
union all
select 'payment', payment_ref, provider || ' ' || replace(kind, '_', ' ') from core.payments
where provider = any({_MINE}) and movement_id = :said
union all
select case when l.is_out then 'payout' else 'line' end, l.ref,
    l.provider || case when l.is_out then ' payout' else ' line' end
from (
    select x.provider, x.is_out, case when x.is_out then x.payout_ref else x.line_ref end as ref
    from (
        select l.*, l.payout_ref is not null and l.kind in ('payout', 'payout_returned') as is_out
        from core.settlement_lines l where l.line_ref = any(array(select key from wanted))
        union all
        select l.*, l.payout_ref is not null and l.kind in ('payout', 'payout_returned')
        from core.settlement_lines l where l.provider = any({_MINE}) and l.payment_id = :said
        union all
        select l.*, l.payout_ref is not null and l.kind in ('payout', 'payout_returned')
        from core.settlement_lines l where l.provider = any({_MINE}) and l.movement_id = :said
    ) x
) l
union all
select 'payout', payout_ref, provider || ' payout' from core.payouts
where payout_ref = any(array(select key from wanted)) or bank_reference = :said
union all
select 'bank', bank_line_ref, account || ' bank entry' from core.bank_lines
where bank_line_ref = any(:keys) or bank_reference = :said or end_to_end_id = :said
union all
select 'entry', entry_ref, erp || ' journal entry' from core.journal_entries
where entry_ref = any(:keys)
"""  # noqa: S608


def behind(
    connection: Connection, found: Sequence[Thing], known: Sequence[str], most: int
) -> Behind:
    """The orders of these things, the newest first and at most so many, and all of them counted."""
    if not found:
        return Behind()
    forms = {(one.kind, one.ref): one.form for one in found}
    rows = read_rows(
        connection,
        _MEMBERS,
        kinds=[one.kind for one in found],
        refs=[one.ref for one in found],
        known=list(known),
        most=most,
    )
    orders: dict[str, tuple[list[str], datetime | None]] = {}
    for row in rows:
        if row["what"] == "order":
            told, _ = orders.setdefault(row["order_ref"], ([], row["placed_at"]))
            form = forms[row["kind"], row["ref"]]
            if form not in told:
                told.append(form)
    more = sum(row["orders"] for row in rows if row["what"] == "all")
    return Behind(orders, more, _batches(found, rows, _payouts(connection, found)))


def _payouts(connection: Connection, found: Sequence[Thing]) -> dict[str, dict[str, Any]]:
    refs = [one.ref for one in found if one.kind == "payout"]
    if not refs:
        return {}
    rows = read_rows(connection, _PAYOUTS, refs=refs)
    return {row["payout_ref"]: row for row in rows}


_PAYOUTS = """
select payout_ref, state, paid_on, paid_amount, currency, line_count, net_amount, open_count,
    received_amount, received_on
from mart.payouts where payout_ref = any(:refs)
"""


def _batches(
    found: Sequence[Thing],
    rows: Sequence[dict[str, Any]],
    payouts: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """Each payout, bank entry and journal entry with the orders in it."""
    told = []
    for one in sorted(found, key=lambda one: (one.kind, one.ref)):
        mine = [row for row in rows if (row["kind"], row["ref"]) == (one.kind, one.ref)]
        orders = sum(row["orders"] for row in mine if row["what"] == "batch")
        listed = [row for row in mine if row["what"] == "order"]
        if one.kind in BATCHES and orders:
            told.append(
                {
                    "kind": one.kind,
                    "ref": one.ref,
                    "payout": payouts.get(one.ref),
                    "orders": orders,
                    "sums": [
                        {name: row[name] for name in ("currency", "payments", "amount")}
                        for row in mine
                        if row["what"] == "sum"
                    ],
                    "listed": [{name: row[name] for name in _OF_ORDER} for row in listed],
                    "more": orders - len(listed),
                }
            )
    return told


_OF_ORDER = ("order_ref", "placed_at", "payments", "amount", "currency")

#: An entry is made of sources, a bank entry pays payouts, a payout has lines, a line meets
#: payments, and these are of orders. A line nobody could match may all the same name its order.
#: `offset 0` has each row looked up by itself: nobody can guess how many there are, and a guess of
#: many would read whole tables for the few of one payment.
_MEMBERS = """
with t as materialized (
    select kind, ref from unnest(cast(:kinds as text[]), cast(:refs as text[])) t (kind, ref)
), sources as materialized (
    select distinct t.kind, t.ref, s.source_kind, s.source_ref
    from t join core.journal_sources s on s.entry_ref = t.ref where t.kind = 'entry'
), booked as (
    select kind, ref, ref as bank_line_ref from t where kind = 'bank'
    union select kind, ref, source_ref from sources where source_kind = 'bank'
), paid_out as (
    select kind, ref, ref as payout_ref from t where kind = 'payout'
    union
    select b.kind, b.ref, l.payout_ref from booked b
    cross join lateral (
        select l.payout_ref from core.match_items k
        join core.match_items s on s.match_id = k.match_id and s.side = 'settled'
        join core.settlement_lines l on l.line_ref = s.ref and l.payout_ref is not null
        where k.side = 'bank' and k.ref = b.bank_line_ref and k.is_live offset 0
    ) l
), lines as materialized (
    select kind, ref, ref as line_ref from t where kind = 'line'
    union select t.kind, t.ref, l.line_ref from t
        join core.settlement_lines l on l.split_of = t.ref where t.kind = 'line'
    union select o.kind, o.ref, l.line_ref from paid_out o cross join lateral (
        select line_ref from core.settlement_lines where payout_ref = o.payout_ref offset 0) l
    union select kind, ref, source_ref from sources where source_kind = 'line'
), matched as (
    select x.kind, x.ref, i.match_id from lines x cross join lateral (
        select match_id from core.match_items
        where side = 'settled' and ref = x.line_ref and is_live offset 0) i
    union select kind, ref, source_ref\\:\\:bigint from sources
        where source_kind = 'match' and source_ref ~ '^\\d{1,18}$'
), paid as (
    select kind, ref, ref as payment_ref from t where kind = 'payment'
    union select m.kind, m.ref, i.ref from matched m cross join lateral (
        select ref from core.match_items
        where match_id = m.match_id and side = 'expected' offset 0) i
    union select kind, ref, source_ref from sources where source_kind = 'payment'
), members as (
    select x.kind, x.ref, p.order_ref, p.amount, p.currency from paid x cross join lateral (
        select order_ref, amount, currency from core.payments
        where payment_ref = x.payment_ref offset 0) p
    union all
    select x.kind, x.ref, o.order_ref, null, null from lines x cross join lateral (
        select order_ref from core.open_items
        where ref = x.line_ref and side = 'settled' offset 0) o
    union all
    select s.kind, s.ref, l.order_ref, null, null from sources s cross join lateral (
        select order_ref from core.order_lines where line_ref = s.source_ref offset 0) l
    where s.source_kind = 'order_line'
), mine as materialized (
    select m.*, o.placed_at from members m left join lateral (
        select placed_at from core.orders where order_ref = m.order_ref offset 0) o on true
    where m.order_ref is not null
), listed as (
    select kind, ref, order_ref, placed_at, count(amount) as payments,
        case when min(currency) = max(currency) then sum(amount) end as amount,
        case when min(currency) = max(currency) then min(currency) end as currency,
        row_number() over (
            partition by kind, ref order by placed_at desc nulls last, order_ref) as place
    from mine group by kind, ref, order_ref, placed_at
)
select 'order' as what, kind, ref, order_ref, placed_at, 1 as orders, payments, amount, currency,
    place
from listed where place <= :most
union all
select 'sum', kind, ref, null, null, 0, count(*), sum(amount), currency, 0
from mine where currency is not null group by kind, ref, currency
union all
select 'batch', kind, ref, null, null, count(distinct order_ref), 0, 0, null, 0
from mine group by kind, ref
union all
select 'all', null, null, null, null, count(distinct order_ref), 0, 0, null, 0
from mine where order_ref <> all(cast(:known as text[]))
order by what, kind, ref, place, currency
"""
