"""The queries behind the reconciliation statement: settlement lines, broken down and summed.

Three rules:
- Settled sales are broken down by the order they are matched to. Of an order captured in parts each
  capture has its share, rounded so that all captures together come to the order.
- What a customer paid in another currency stands in that currency and leaves it again as a
  conversion, so no sum mixes currencies.
- Totals are summed from the settlement lines alone, so the statement proves the breaking down.

They read `statement_asked` (provider, period, since_at, until_at), and one another in order.
"""

#: Parts of an order, all of which come to its total less its rounding.
PARTS = ("gross_sales", "discounts", "shipping", "surcharges", "tax", "gift_cards")


def _share(whole: str, since: str, until: str, of: str) -> str:
    """What of `whole` lies between two amounts of `of`; shares side by side lose no cent."""
    ends = [f"round({whole} * {end} / {of}, o.digits)" for end in (until, since)]
    return " - ".join(ends)


_LINES = """
select a.provider, a.period, l.line_ref, l.kind, l.currency, l.gross_amount, l.fee_amount,
    l.fee_tax_amount, l.net_amount, i.match_id,
    coalesce(l.paid_amount, l.gross_amount) as own_amount,
    coalesce(l.paid_currency, l.currency) as own_currency
from statement_asked a
join core.settlement_lines l on l.provider = a.provider
    and l.occurred_at >= a.since_at and l.occurred_at < a.until_at
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where not l.is_split
"""

_ITEMS = """
select i.match_id, i.side, i.ref, i.amount, i.currency
from (select distinct match_id from statement_lines) m
join core.match_items i on i.match_id = m.match_id and i.is_live
"""

#: What is expected of each match: the store where it is one, and its captures.
_MATCHES = """
select i.match_id, case when min(coalesce(p.store, '')) = max(coalesce(p.store, ''))
        then min(coalesce(p.store, '')) else '' end as store,
    min(p.currency) <> max(p.currency) as is_mixed,
    coalesce(sum(p.amount) filter (where p.kind = 'capture'), 0) as captured_amount
from statement_items i join core.payments p on i.side = 'expected' and p.payment_ref = i.ref
group by 1
"""

_ORDERS = """
with wanted as (
    select distinct p.order_ref
    from statement_items i join core.payments p on i.side = 'expected' and p.payment_ref = i.ref
    where p.kind = 'capture' and p.order_ref is not null
), lines as (
    select l.order_ref,
        coalesce(sum(l.subtotal_amount) filter (where l.kind = 'product'), 0) as gross_sales,
        coalesce(sum(l.net_amount) filter (where l.kind = 'fee' and l.net_amount < 0
            and l.description ~* :gift_cards), 0) as gift_cards
    from wanted join core.order_lines l using (order_ref) group by 1
)
select o.order_ref, o.currency, o.total_amount,
    coalesce(cast(cast(:digits as jsonb) ->> o.currency as integer), 2) as digits,
    coalesce(l.gross_sales, 0) as gross_sales,
    o.net_amount - coalesce(l.gross_sales, 0) as discounts, o.shipping_amount as shipping,
    o.fee_amount - coalesce(l.gift_cards, 0) as surcharges, o.tax_amount as tax,
    coalesce(l.gift_cards, 0) as gift_cards
from wanted join core.orders o using (order_ref) left join lines l using (order_ref)
where o.total_amount > 0
"""

#: From where to where of its order's total each capture goes. All captures of the order are looked
#: at, those of other periods too: a share never depends on the period asked for.
_CAPTURES = """
select p.payment_ref, p.order_ref,
    least(sum(p.amount) over w - p.amount, o.total_amount) as from_amount,
    least(sum(p.amount) over w, o.total_amount) as to_amount
from statement_orders o join core.payments p using (order_ref)
where p.kind = 'capture' and p.currency = o.currency
  and (not p.is_void or exists (select from core.match_items x
    where x.side = 'expected' and x.ref = p.payment_ref and x.is_live))
window w as (partition by p.order_ref order by p.expected_at, p.payment_ref)
"""

_ORDER_SHARES = ", ".join(
    f"sum({_share(f'o.{part}', 'c.from_amount', 'c.to_amount', 'o.total_amount')}) as {part}"
    for part in PARTS
)
_PARTS = f"""
select i.match_id, min(o.currency) as currency, min(o.digits) as digits, {_ORDER_SHARES}
from statement_items i
join statement_captures c on i.side = 'expected' and c.payment_ref = i.ref
join statement_orders o using (order_ref)
join statement_matches m on m.match_id = i.match_id and not m.is_mixed
group by i.match_id
"""  # noqa: S608

#: Several sales of one match divide it by what each settled, those of other periods too.
_SHARES = """
select l.line_ref, sum(l.gross_amount) over w - l.gross_amount as from_amount,
    sum(l.gross_amount) over w as to_amount,
    sum(l.gross_amount) over (partition by l.match_id) as whole_amount
from (
    select i.match_id, l.line_ref, l.gross_amount
    from statement_items i join core.settlement_lines l
        on i.side = 'settled' and l.line_ref = i.ref and l.kind = 'sale'
    where i.match_id in (select x.match_id from statement_items x where x.side = 'settled'
        group by 1 having count(*) > 1)
) l window w as (partition by l.match_id order by l.line_ref)
"""


def _of_line(whole: str) -> str:
    return _share(whole, "o.from_amount", "o.to_amount", "o.whole_amount")


#: Each line with its store, the currency the customer paid in, and what of its order is in it.
_SOLD = f"""
with divided as (
    select l.*, coalesce(m.store, '') as store, m.captured_amount, p.currency as order_currency,
        p.digits, {", ".join(f"p.{part}" for part in PARTS)},
        case when s.line_ref is null then 0 else s.from_amount end as from_amount,
        case when s.line_ref is null then 1 else s.to_amount end as to_amount,
        case when p.match_id is null then null when s.line_ref is null then 1
            else nullif(s.whole_amount, 0) end as whole_amount
    from statement_lines l
    left join statement_matches m using (match_id)
    left join statement_parts p on l.kind = 'sale' and p.match_id = l.match_id
    left join statement_shares s using (line_ref)
)
select o.provider, o.period, o.store, o.kind, o.currency, o.gross_amount, o.fee_amount,
    o.fee_tax_amount, o.net_amount, o.match_id is null as is_open,
    o.whole_amount is not null as is_known,
    case when o.whole_amount is null or o.order_currency = o.own_currency then o.own_amount
        when o.order_currency = o.currency then o.gross_amount
        else {_of_line("o.captured_amount")} end as own_amount,
    case when o.whole_amount is not null then o.order_currency else o.own_currency end
        as own_currency,
    {", ".join(f"coalesce({_of_line(f'o.{part}')}, 0) as {part}" for part in PARTS)}
from divided o
"""  # noqa: S608

#: By name of the temporary table, in the order in which they need one another.
STAGED = {
    "statement_lines": _LINES,
    "statement_items": _ITEMS,
    "statement_matches": _MATCHES,
    "statement_orders": _ORDERS,
    "statement_captures": _CAPTURES,
    "statement_parts": _PARTS,
    "statement_shares": _SHARES,
    "statement_sold": _SOLD,
}

# ---------------------------------------------------------------- from lines to sums

_CUSTOMERS = "'sale', 'refund', 'refund_failed', 'chargeback', 'chargeback_reversed'"
_COUNTED = {
    **{part: part for part in PARTS},
    "rounding": f"own_amount - ({' + '.join(PARTS)})",
    "fee": "fee_amount",
    "fee_tax": "fee_tax_amount",
}
_COUNTS = ",\n        ".join(
    f"sum({what}) as {name}, count(*) filter (where {what} <> 0) as {name}_count"
    for name, what in _COUNTED.items()
)
_SALE_PARTS = ",\n    ".join(
    f"(g.kind = 'sale' and g.is_known, g.own_currency, '{part}', "
    f"{'g.n' if part == 'gross_sales' else f'g.{part}_count'}, g.{part})"
    for part in (*PARTS, "rounding")
)

#: Lines are summed by what they have in common before they are turned into lines of the statement:
#: a million of them are gone through once.
_MOVED = f"""
with grouped as (
    select provider, period, store, kind, currency, own_currency, is_known, is_open,
        count(*) as n, sum(gross_amount) as gross, sum(own_amount) as own, sum(net_amount) as net,
        {_COUNTS}
    from statement_sold group by 1, 2, 3, 4, 5, 6, 7, 8
)
select g.provider, g.store, g.period, v.currency, v.line, v.n, v.amount, g.is_open
from grouped g cross join lateral (values
    {_SALE_PARTS},
    (g.kind = 'sale' and not g.is_known, g.own_currency, 'sales_without_order', g.n, g.own),
    (g.kind = 'sale', g.own_currency, 'captured', g.n, g.own),
    (g.kind in ('refund', 'refund_failed'), g.own_currency, 'refunds', g.n, g.own),
    (g.kind in ('chargeback', 'chargeback_reversed'), g.own_currency, 'disputes', g.n, g.own),
    (g.kind in ({_CUSTOMERS}) and g.own_currency <> g.currency, g.own_currency, 'conversion',
        g.n, -g.own),
    (g.kind in ({_CUSTOMERS}) and g.own_currency <> g.currency, g.currency, 'conversion',
        g.n, g.gross),
    (g.kind = 'fee', g.currency, 'fees', g.n, g.gross - g.fee),
    (g.kind <> 'fee', g.currency, 'fees', g.fee_count, -g.fee),
    (true, g.currency, 'fee_tax', g.fee_tax_count, -g.fee_tax),
    (g.kind in ('reserve_held', 'reserve_released'), g.currency, 'reserves', g.n, g.gross),
    (g.kind = 'tax_withheld', g.currency, 'tax_withheld', g.n, g.gross),
    (g.kind in ('adjustment', 'topup'), g.currency, 'adjustments', g.n, g.gross),
    (g.kind = 'conversion', g.currency, 'conversion', g.n, g.gross),
    (g.kind in ('payout', 'payout_returned'), g.currency, 'paid_out', g.n, g.gross),
    (true, g.currency, 'balance_change', g.n, g.net)
) as v (is_one, currency, line, n, amount)
where v.is_one and (v.n > 0 or v.amount <> 0)
"""  # noqa: S608

#: Where each payout went. What a match differs by stands with its first payout; a bank account in
#: another currency proves that it came, and not how much.
_BANK = """
with payouts as (
    select l.provider, l.period, l.currency, l.line_ref, l.gross_amount, l.match_id
    from statement_lines l where l.kind in ('payout', 'payout_returned')
), banked as (
    select i.match_id, sum(i.amount) filter (where i.side = 'bank') as bank_amount,
        min(i.currency) filter (where i.side = 'bank') as bank_currency,
        min(i.ref) filter (where i.side = 'settled') as first_ref,
        sum(l.gross_amount) as settled_amount, min(i.currency) = max(i.currency) as is_same
    from statement_items i
    left join core.settlement_lines l on i.side = 'settled' and l.line_ref = i.ref
    where i.match_id in (select match_id from payouts)
    group by 1
)
select p.provider, '', p.period, p.currency,
    case when p.match_id is null then 'bank_in_transit'
        when b.bank_amount is null then 'bank_otherwise' else 'bank_received' end,
    cast(1 as bigint),
    -p.gross_amount + case when b.first_ref = p.line_ref and b.is_same
        and b.bank_currency = p.currency then b.bank_amount + b.settled_amount else 0 end,
    p.match_id is null
from payouts p left join banked b using (match_id)
"""

SUMS = f"""
select provider, store, period, currency, line, cast(sum(n) as bigint) as item_count,
    sum(amount) as amount, cast(coalesce(sum(n) filter (where is_open), 0) as bigint) as open_count,
    coalesce(sum(amount) filter (where is_open), 0) as open_amount
from (({_MOVED}) union all ({_BANK})) as moved (provider, store, period, currency, line, n, amount,
    is_open)
group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
"""  # noqa: S608
