"""What is to be booked and is not yet, as items: each an amount on a kind of account, with the
thing it comes from. Queries only; `posting.py` makes entries of them.

Every query gives the columns of `ITEMS` and adds to zero per thing and currency.
"""

ITEMS = """
create temp table items (kind text, provider text, company text, store text, batch text,
    on_day date, source_kind text, source_ref text, match_id bigint, purpose text,
    account_kind text, finer text, tax_code text, amount numeric(20, 6), currency text,
    company_amount numeric(20, 6), words text) on commit drop
"""
COLUMNS = (
    "kind, provider, company, store, batch, on_day, source_kind, source_ref, match_id, purpose, "
    "account_kind, finer, tax_code, amount, currency, company_amount, words"
)

_NOT_POSTED = """
not exists (select from core.journal_sources s where s.source_kind = '{kind}'
    and s.source_ref = {ref} and s.purpose = '{purpose}' and s.is_live)
"""


def _open(kind: str, ref: str, purpose: str) -> str:
    return _NOT_POSTED.format(kind=kind, ref=ref, purpose=purpose)


_ROUNDING_OPEN = _open("order_line", "e.order_ref || '\\:rounding'", "revenue")
_DAY = "({at} at time zone b.timezone)::date"

#: What customers paid by a provider, and what went back to them: from now on the provider owes it.
RECEIPTS = f"""
select case p.kind when 'capture' then 'receipts' else 'refunds' end, p.provider, b.company,
    p.store, 'day:' || {_DAY.format(at="p.expected_at")}, {_DAY.format(at="p.expected_at")},
    'payment', p.payment_ref, null, 'receipt', t.account_kind, t.finer, null, t.amount, p.currency,
    null, t.words
from core.payments p join stage_books b using (provider)
cross join lateral (values
    ('clearing', p.provider, p.amount, 'paid by customers'),
    (case b.sales when 'erp' then 'receivable' else 'prepayments' end, p.store, -p.amount,
        case b.sales when 'erp' then 'customers' else 'paid in advance' end)
) t (account_kind, finer, amount, words)
where not p.is_void and p.amount <> 0 and p.order_ref is not null
  and (p.kind = 'capture' or b.sales = 'erp' and p.kind in ('refund', 'refund_failed'))
  and p.expected_at <= :now
  and {_open("payment", "p.payment_ref", "receipt")}
"""  # noqa: S608

#: Refunds where we book sales ourselves: they take back sales, shipping and tax.
REFUNDS = f"""
select 'refunds', p.provider, b.company, p.store, 'day:' || {_DAY.format(at="p.expected_at")},
    {_DAY.format(at="p.expected_at")}, 'payment', p.payment_ref, null, 'receipt',
    t.account_kind, t.finer, t.tax_code, sign(-p.amount) * t.amount, p.currency, null, t.words
from core.payments p join stage_books b using (provider)
join core.refunds m on m.refund_ref = regexp_replace(p.payment_ref, '\\:back$', '')
left join lateral (
    select case when count(distinct x.rate_code) = 1 then min(x.rate_code) end as code
    from core.order_taxes x where x.order_ref = p.order_ref and x.tax_amount <> 0
) one on true
cross join lateral (values
    ('clearing', p.provider, null, -m.amount, 'given back to customers'),
    ('refunds', p.store, null, m.net_amount + m.unassigned_amount, 'goods given back'),
    ('shipping', p.store, null, m.shipping_amount, 'shipping given back'),
    ('surcharges', p.store, null, m.fee_amount, 'surcharges given back'),
    ('tax', one.code, one.code, m.tax_amount, 'tax given back')
) t (account_kind, finer, tax_code, amount, words)
where b.sales = 'journal' and not p.is_void and p.kind in ('refund', 'refund_failed')
  and t.amount <> 0 and p.expected_at <= :now
  and {_open("payment", "p.payment_ref", "receipt")}
"""  # noqa: S608

#: What orders have earned where we book sales ourselves: line by line, as far as it has left (or
#: all of it at once, with the money); less what was booked before.
REVENUE = f"""
with earned as (
    select o.order_ref, o.store, o.currency, b.company, b.provider, b.discounts, b.timezone,
        b.revenue_on, o.rounding_amount, g.at, g.share_by_line
    from core.orders o
    join lateral (
        select p.provider, min(p.expected_at) as paid_at from core.payments p
        where p.order_ref = o.order_ref and p.kind = 'capture' and not p.is_void group by 1
        order by 2 limit 1
    ) c on true
    join stage_books b on b.provider = c.provider and b.sales = 'journal'
    cross join lateral (
        select case b.revenue_on when 'capture' then c.paid_at else (
                select max(s.shipped_at) from core.shipment_lines l
                join core.shipments s using (shipment_ref)
                where l.order_ref = o.order_ref and not l.is_cancelled) end as at,
            b.revenue_on = 'shipment' as share_by_line
    ) g
    where g.at is not null and g.at <= :now and o.state in ('paid', 'completed', 'refunded')
), parts as (
    select e.*, l.line_ref, l.kind as line_kind, l.sku, l.description,
        l.subtotal_amount, l.net_amount,
        case when not e.share_by_line or l.kind <> 'product' then 1
            when l.quantity = 0 then 1
            else least(coalesce(q.shipped_units, 0) / l.quantity, 1) end as share
    from earned e join core.order_lines l using (order_ref)
    left join core.order_line_progress q
        on q.order_ref = e.order_ref and q.line_ref = l.line_ref
), amounts as (
    select p.*, t.account_kind, t.finer, t.tax_code, t.words, t.amount
    from parts p cross join lateral (
        select case p.line_kind when 'shipping' then 'shipping' when 'fee' then
                case when p.net_amount < 0 and p.description ilike any(cast(:gift_words as text[]))
                    then 'gift_cards' else 'surcharges' end
            else case when p.sku ilike any(cast(:gift_skus as text[])) then 'gift_cards'
                else 'sales' end end as account_kind,
            p.store as finer, null::text as tax_code, p.line_kind as words,
            -case when p.discounts = 'gross' then p.subtotal_amount else p.net_amount end as amount
        union all
        select 'discounts', p.store, null, 'discounts', p.subtotal_amount - p.net_amount
        where p.discounts = 'gross'
        union all
        select 'tax', x.rate_code, x.rate_code, 'tax', -x.tax_amount
        from core.order_taxes x where x.line_ref = p.line_ref
    ) t where t.amount <> 0
), due as (
    select a.order_ref, a.store, a.company, a.provider, a.currency, a.timezone, a.at, a.line_ref,
        a.account_kind, a.finer, a.tax_code, a.words,
        round(a.amount * a.share, d.digits) - coalesce((
            select sum(s.amount) from core.journal_sources s
            join core.journal_lines j using (entry_ref, line_no)
            where s.source_kind = 'order_line' and s.source_ref = a.line_ref
              and s.purpose = 'revenue' and s.is_live and j.account_kind = a.account_kind
              and j.tax_code is not distinct from a.tax_code), 0) as amount
    from amounts a join stage_digits d using (currency)
), rounding as (
    select e.order_ref, e.store, e.company, e.provider, e.currency, e.timezone, e.at,
        e.order_ref || '\\:rounding' as line_ref, 'rounding' as account_kind, null as finer,
        null as tax_code, 'rounding' as words, -e.rounding_amount as amount
    from earned e where e.rounding_amount <> 0
      and {_ROUNDING_OPEN}
)
select 'revenue', b.provider, b.company, b.store, 'day:' || {_DAY.format(at="b.at")},
    {_DAY.format(at="b.at")}, 'order_line', b.line_ref, null, 'revenue', t.account_kind, t.finer,
    t.tax_code, t.amount, b.currency, null, t.words
from (select * from due where amount <> 0 union all select * from rounding) b
cross join lateral (values
    (b.account_kind, b.finer, b.tax_code, b.amount, b.words),
    ('prepayments', b.store, null, -b.amount, 'earned')
) t (account_kind, finer, tax_code, amount, words)
"""  # noqa: S608

#: Where a payment stands on the other side, it is that which is cleared, whatever the line is
#: called and wherever a difference goes; else a person's account counts, then the line's kind.
_COUNTER = """
case when m.account is null and l.kind in ('sale', 'refund', 'refund_failed') then 'clearing'
    when e.has_receipt then 'clearing' when e.is_there then 'chargebacks'
    else coalesce(m.account, case l.kind when 'sale' then 'clearing' when 'refund' then 'clearing'
    when 'refund_failed' then 'clearing' when 'chargeback' then 'chargebacks'
    when 'chargeback_reversed' then 'chargebacks' when 'fee' then 'fees'
    when 'reserve_held' then 'reserve' when 'reserve_released' then 'reserve'
    when 'conversion' then 'conversion' when 'tax_withheld' then 'tax_withheld'
    else 'adjustments' end) end
"""
_EXPECTED = """
left join lateral (
    select count(*) > 0 as is_there,
        coalesce(bool_or(p.kind in ('capture', 'refund', 'refund_failed')), false) as has_receipt
    from core.match_items x join core.payments p on p.payment_ref = x.ref
    where x.match_id = m.match_id and x.side = 'expected'
) e on m.account is not null or l.kind not in ('sale', 'refund', 'refund_failed')
"""
#: What providers settled and is matched: it moves from what they owe us to what they hold for us.
SETTLED = f"""
select 'settlement', l.provider, b.company, null, l.payout_ref,
    {_DAY.format(at="l.occurred_at")}, 'line', l.line_ref, m.match_id, 'settlement', t.account_kind,
    l.provider, null, t.amount, t.currency, null, t.words
from core.settlement_lines l join stage_books b using (provider)
join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
join core.matches m on m.match_id = i.match_id
{_EXPECTED}
cross join lateral (values
    ('balance', l.net_amount, l.currency, 'settled'),
    ('fees', l.fee_amount, l.currency, 'fees'),
    ('fee_tax', l.fee_tax_amount, l.currency, 'tax on fees'),
    ({_COUNTER}, -coalesce(l.paid_amount, l.gross_amount), coalesce(l.paid_currency, l.currency),
        replace(l.kind, '_', ' ')),
    ('conversion', l.paid_amount, l.paid_currency, 'converted'),
    ('conversion', -case when l.paid_currency is not null then l.gross_amount end, l.currency,
        'converted')
) t (account_kind, amount, currency, words)
where l.payout_ref is not null and not l.is_split and t.amount <> 0
  and l.kind not in ('payout', 'payout_returned', 'topup')
  and {_open("line", "l.line_ref", "settlement")}
"""  # noqa: S608

#: Money between a provider and a bank is on its way until the bank shows it.
PAID_OUT = f"""
select 'settlement', l.provider, b.company, null, coalesce(l.payout_ref, l.line_ref),
    coalesce(p.paid_on, {_DAY.format(at="l.occurred_at")}), 'line', l.line_ref, null, 'settlement',
    t.account_kind, l.provider, null, t.amount, l.currency, null, t.words
from core.settlement_lines l join stage_books b using (provider)
left join core.payouts p using (payout_ref)
cross join lateral (values
    ('balance', l.net_amount, 'paid out'), ('transit', -l.net_amount, 'on its way')
) t (account_kind, amount, words)
where l.kind in ('payout', 'payout_returned', 'topup') and not l.is_split and l.net_amount <> 0
  and {_open("line", "l.line_ref", "settlement")}
"""  # noqa: S608

BANK = f"""
select 'bank', m.provider, k.company, null, l.statement_ref, l.booked_on, 'bank', l.bank_line_ref,
    m.match_id, 'bank', t.account_kind, t.finer, null, t.amount, l.currency, null, t.words
from core.bank_lines l
join core.match_items i on i.side = 'bank' and i.ref = l.bank_line_ref and i.is_live
join core.matches m on m.match_id = i.match_id
join stage_accounts_of_banks k on k.account = l.account
cross join lateral (values
    ('bank', l.account, l.amount, 'received'),
    (case when exists (select from core.match_items s where s.match_id = m.match_id
            and s.side = 'settled') then 'transit' else coalesce(m.account, 'transit') end,
        m.provider, -l.amount, 'arrived')
) t (account_kind, finer, amount, words)
where l.amount <> 0 and {_open("bank", "l.bank_line_ref", "bank")}
"""  # noqa: S608

#: Small differences of matches, and what was expected and is given up.
DIFFERENCES = f"""
select 'settlement', m.provider, b.company, null, 'day:' || {_DAY.format(at="m.matched_at")},
    {_DAY.format(at="m.matched_at")}, 'match', m.match_id::text, m.match_id, 'settlement',
    t.account_kind, m.provider, null, t.amount, m.currency, null, t.words
from core.matches m join stage_books b using (provider)
cross join lateral (values
    (case when starts_with(m.rule, 'bank') then 'transit' when exists (
            select from core.match_items x join core.payments p on p.payment_ref = x.ref
            where x.match_id = m.match_id and x.side = 'expected'
              and p.kind in ('chargeback', 'chargeback_reversed')) then 'chargebacks'
        else 'clearing' end,
        m.difference_amount, 'difference'),
    (coalesce(m.account, 'rounding'), -m.difference_amount, 'difference')
) t (account_kind, amount, words)
where m.ended_at is null and m.difference_amount <> 0
  and exists (select from core.match_items i where i.match_id = m.match_id and i.side <> 'expected')
  and {_open("match", "m.match_id::text", "settlement")}
"""  # noqa: S608
GIVEN_UP = f"""
select 'settlement', m.provider, b.company, null, 'day:' || {_DAY.format(at="m.matched_at")},
    {_DAY.format(at="m.matched_at")}, 'match', m.match_id::text, m.match_id, 'settlement',
    t.account_kind, m.provider, null, t.amount, i.currency, null, t.words
from core.matches m join stage_books b using (provider)
join core.match_items i on i.match_id = m.match_id and i.side = 'expected'
join core.payments p on p.payment_ref = i.ref and p.order_ref is not null
    and p.kind in ('capture', 'refund', 'refund_failed')
cross join lateral (values
    ('clearing', -i.amount, 'given up'), (m.account, i.amount, 'given up')
) t (account_kind, amount, words)
where m.ended_at is null and m.account is not null
  and not exists (select from core.match_items x where x.match_id = m.match_id
    and x.side <> 'expected')
  and {_open("match", "m.match_id::text", "settlement")}
"""  # noqa: S608

QUERIES = (RECEIPTS, REFUNDS, REVENUE, SETTLED, PAID_OUT, BANK, DIFFERENCES, GIVEN_UP)

#: What was booked and does not hold any more: a match that ended, a payment that was not, or that
#: came to be another amount, a line that was split.
OVERTAKEN = """
create temp table overtaken on commit drop as
with gone as (
    select s.source_kind, s.source_ref, s.purpose from core.matches m
    join core.match_items i on i.match_id = m.match_id
    join core.journal_sources s on s.match_id = m.match_id and s.is_live
        and s.source_ref in (i.ref, m.match_id::text)
    where m.ended_at is not null
    union
    select s.source_kind, s.source_ref, s.purpose from core.payments p
    join core.journal_sources s on s.source_kind = 'payment' and s.source_ref = p.payment_ref
        and s.is_live
    where p.is_void
    union
    select s.source_kind, s.source_ref, s.purpose from ops.stale q
    join core.journal_sources s on s.source_kind = 'payment' and s.source_ref = q.key and s.is_live
    where q.queue = 'rebooking'
    union
    select s.source_kind, s.source_ref, s.purpose from core.settlement_lines l
    join core.journal_sources s on s.source_kind = 'line' and s.source_ref = l.line_ref
        and s.is_live
    where l.is_split
)
select distinct s.entry_ref, s.line_no, s.source_kind, s.source_ref, s.purpose
from gone g join core.journal_sources s using (source_kind, source_ref, purpose)
where s.is_live
"""
