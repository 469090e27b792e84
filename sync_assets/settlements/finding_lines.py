"""What is wrong with lines of settlements: why they are open, and what is doubtful about those that
are matched. Queries only; each gives side, ref, finding, detail, provider, order_ref, amount,
currency and since.
"""

#: Payments that share any name with an open line, whoever should settle them, matched or not.
FAMILIES = """
create temp table families on commit drop as
select l.ref, p.payment_ref from open_lines l join core.payments p on p.payment_id = l.payment_id
union select l.ref, p.payment_ref from open_lines l
    join core.payments p on p.group_id = l.payment_id
union select l.ref, p.payment_ref from open_lines l
    join core.payments p on p.group_id = l.group_id
union select l.ref, p.payment_ref from open_lines l
    join core.payments p on p.payment_id = l.group_id
union select l.ref, p.payment_ref from open_lines l
    join core.payments p on p.movement_id = l.movement_id and p.provider = l.provider
union select l.ref, p.payment_ref from open_lines l
    join core.payments p on p.order_number = l.reference and p.currency = l.currency
union select l.ref, p.payment_ref from open_lines l
    join core.payments p on p.order_ref = l.reference
union select l.ref, p.payment_ref from open_lines l cross join stage_stores s
    join core.payments p on p.order_ref = s.store || '\\:' || l.reference
        and p.currency = l.currency
union select l.ref, o.payment_ref from open_lines l
    join core.payments p on p.payment_id = l.payment_id
    join core.payments o on o.order_ref = p.order_ref
"""

_FACTS = """
create temp table line_facts on commit drop as
select l.*, f.order_ref, f.known, f.of_provider, f.captured, f.refunded, f.charged_back,
    f.alike, f.alike_open, f.alike_amount, f.in_currency, f.twins,
    f.twin_of_movement, f.open_of_movement,
    coalesce(l.reference, l.payment_id, l.group_id, l.movement_id) is not null
        or l.description ~ '[0-9]{3}' as names_something
from open_lines l
left join lateral (
    select min(p.order_ref) filter (where p.provider = l.provider) as order_ref,
        count(*) as known,
        count(*) filter (where p.provider = l.provider) as of_provider,
        coalesce(sum(p.amount) filter (where p.kind = 'capture' and not p.is_void
            and p.provider = l.provider), 0) as captured,
        coalesce(-sum(p.amount) filter (where p.kind = 'refund' and m.ref is not null), 0)
            as refunded,
        count(*) filter (where p.kind = 'chargeback') as charged_back,
        count(*) filter (where p.kind = l.kind and p.provider = l.provider and not p.is_void)
            as alike,
        count(*) filter (where p.kind = l.kind and p.provider = l.provider and not p.is_void
            and m.ref is null) as alike_open,
        sum(p.amount) filter (where p.kind = l.kind and p.provider = l.provider
            and m.ref is null and not p.is_void and p.currency = l.currency) as alike_amount,
        count(*) filter (where p.kind = l.kind and p.currency = l.currency
            and p.provider = l.provider) as in_currency,
        count(*) filter (where p.kind = l.kind and m.ref is not null
            and p.amount = l.amount) as twins,
        count(*) filter (where p.kind = l.kind and m.ref is not null
            and p.movement_id = l.movement_id) as twin_of_movement,
        count(*) filter (where p.kind = l.kind and m.ref is null and not p.is_void
            and p.movement_id = l.movement_id) as open_of_movement
    from families k join core.payments p using (payment_ref)
    left join core.match_items m on m.side = 'expected' and m.ref = p.payment_ref and m.is_live
    where k.ref = l.ref
) f on true
"""
#: What a person says is another's is not of the line.
_OTHERS = """
delete from families f using set_apart x where x.ref = f.ref and x.other_ref = f.payment_ref
"""
PREPARED = ("drop table if exists families", FAMILIES, _OTHERS, "analyze families",
            "drop table if exists line_facts", _FACTS)  # fmt: skip

#: The first that holds is the reason; what is surest stands first.
OPEN_LINES = """
select 'settled' as side, ref, 'settlement.' || case kind
    when 'capture' then case
        when amount < 0 then 'wrong_sign'
        when known = 0 then case when names_something then 'order_unknown' else 'no_reference' end
        when of_provider = 0 then 'wrong_provider'
        when in_currency = 0 then 'currency_differs'
        when alike_open = 0 then 'doubled'
        when amount < alike_amount then 'amount_short'
        else 'amount_over' end
    when 'refund' then case
        when amount > 0 then 'wrong_sign'
        when known = 0 then 'refund_unknown'
        when of_provider = 0 then 'wrong_provider'
        when twin_of_movement > 0 or twins > 0 and alike_open = 0 then 'refund_doubled'
        when in_currency = 0 and alike > 0 then 'currency_differs'
        when open_of_movement > 0 then 'refund_differs'
        when refunded - amount > captured then 'refund_over'
        when alike_open > 0 then 'refund_differs'
        else 'refund_unknown' end
    when 'refund_failed' then case
        when amount < 0 then 'wrong_sign'
        when twins > 0 then 'doubled'
        else 'refund_returned' end
    when 'chargeback' then case
        when amount > 0 then 'wrong_sign'
        when known = 0 then 'chargeback_unknown'
        when of_provider = 0 then 'wrong_provider'
        when charged_back > 0 then 'chargeback_doubled'
        else 'chargeback_over' end
    else case
        when amount < 0 then 'wrong_sign'
        when charged_back = 0 then 'reversal_unknown'
        when twins > 0 then 'doubled'
        else 'reversal_differs' end
    end as finding,
    concat_ws('; ', 'settled ' || trim_scale(amount) || ' ' || currency,
        'expected ' || trim_scale(alike_amount) || ' ' || currency,
        'captured ' || nullif(trim_scale(captured), 0), 'names ' || coalesce(reference, payment_id,
        group_id)) as detail,
    provider, order_ref, amount, currency, at as since
from line_facts
"""

#: Lines that need no payment and are open all the same.
OPEN_OTHERS = """
select 'settled', l.line_ref, 'settlement.' || case l.kind
    when 'fee' then case when l.description ilike any(r.agreed_fees) then 'fee_doubled'
        else 'fee_unknown' end
    when 'tax_withheld' then 'tax_withheld'
    when 'reserve_released' then 'reserve_over_released'
    when 'conversion' then 'conversion_unpaired'
    else case when l.description like 'unknown type %' then 'type_unknown' else 'adjustment' end
    end, left(l.description, 200), l.provider, null, l.net_amount, l.currency, l.occurred_at
from core.settlement_lines l
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
left join stage_rules r on r.provider = l.provider
where i.ref is null and not l.is_split
  and l.kind in ('fee', 'tax_withheld', 'reserve_held', 'reserve_released', 'conversion',
    'adjustment')
"""

RESERVES = """
select 'settled', x.line_ref, 'settlement.reserve_overdue',
    'held since ' || x.occurred_at::date || ', to be released within ' || r.reserve_days || ' days',
    x.provider, null, x.gross_amount, x.currency, x.occurred_at
from reserves x join stage_rules r using (provider)
where x.kind = 'reserve_held' and not x.is_released
  and x.occurred_at + make_interval(days => r.reserve_days) < :now
"""

#: Matched, and yet: settled before the order was there.
BEFORE_ORDER = """
select 'settled', l.line_ref, 'settlement.before_order',
    'settled ' || l.occurred_at::date || ', the order was placed ' || o.placed_at::date, l.provider,
    o.order_ref, l.gross_amount, l.currency, l.occurred_at
from core.settlement_lines l
join core.match_items s on s.side = 'settled' and s.ref = l.line_ref and s.is_live
join core.match_items e on e.match_id = s.match_id and e.side = 'expected'
join core.payments p on p.payment_ref = e.ref
join core.orders o on o.order_ref = p.order_ref
where l.kind = 'sale' and l.occurred_at > :since
  and l.occurred_at < o.placed_at - interval '1 day'
"""

CHARGED_BACK_AND_REFUNDED = """
select 'settled', s.ref, 'settlement.chargeback_refunded',
    'captured ' || trim_scale(t.captured) || ', given back ' || trim_scale(t.given), p.provider,
    p.order_ref, p.amount, p.currency, p.expected_at
from core.payments p
join core.match_items e on e.side = 'expected' and e.ref = p.payment_ref and e.is_live
join core.match_items s on s.match_id = e.match_id and s.side = 'settled'
join lateral (
    select sum(x.amount) filter (where x.kind = 'capture') as captured,
        -sum(x.amount) filter (where x.kind <> 'capture') as given
    from core.payments x where x.order_ref = p.order_ref and not x.is_void
) t on t.given > t.captured
where p.kind = 'chargeback'
"""

#: What the contract says of a line's fee: the first rule that fits its kind, method and day.
FEES = """
with asked as (
    select l.line_ref, l.provider, l.kind, l.currency, l.gross_amount, l.fee_amount,
        l.fee_tax_amount, l.occurred_at, f.percent, f.fixed, f.tax_percent, f.is_returned,
        f.percent is not null as has_rule
    from core.settlement_lines l
    join (select distinct provider, currency, digits from stage_fees) c using (provider, currency)
    left join lateral (
        select * from stage_fees f where f.provider = l.provider and f.currency = l.currency
          and f.kind = l.kind and l.occurred_at::date between f.since and f.until
          and coalesce(l.method, '') ilike f.method
        order by f.place limit 1
    ) f on true
    where l.kind in ('sale', 'refund', 'refund_failed', 'chargeback', 'chargeback_reversed')
      and l.occurred_at > :since and not l.is_split and l.split_of is null
), told as (
    select a.*, c.digits, coalesce(case when is_returned then -1 else 1 end
        * round(abs(gross_amount) * percent / 100 + fixed, c.digits), 0) as fee,
        coalesce(round(fee_amount * tax_percent / 100, c.digits), 0) as tax, r.fee_tolerance
    from asked a join stage_rules r using (provider)
    join (select distinct currency, digits from stage_fees) c using (currency)
)
select 'settled', line_ref, 'settlement.' || case
    when abs(fee_amount - fee) <= fee_tolerance then 'fee_tax_differs'
    when kind in ('refund', 'refund_failed') then 'fee_on_refund'
    when kind <> 'sale' then 'dispute_fee_differs'
    when fee_amount > fee then 'fee_over' else 'fee_under' end,
    case when abs(fee_amount - fee) <= fee_tolerance
        then 'tax on the fee ' || trim_scale(fee_tax_amount) || ', by the contract '
            || trim_scale(tax)
        else 'fee ' || trim_scale(fee_amount) || ', by the contract ' || trim_scale(fee) end
        || case when has_rule then '' else ' (no rule fits)' end,
    provider, null, case when abs(fee_amount - fee) <= fee_tolerance then tax - fee_tax_amount
        else fee - fee_amount end, currency, occurred_at
from told
where abs(fee_amount - fee) > fee_tolerance or abs(fee_tax_amount - tax) > fee_tolerance
"""

#: Conversions far from the rate of the day.
RATES = """
with changed as (
    select a.line_ref, a.provider, a.occurred_at, a.net_amount, a.currency,
        b.net_amount / -a.net_amount as rate, b.currency as into_currency
    from core.matches m
    join core.match_items x on x.match_id = m.match_id
    join core.settlement_lines a on a.line_ref = x.ref and a.net_amount < 0
    join core.match_items y on y.match_id = m.match_id and y.ref <> x.ref
    join core.settlement_lines b on b.line_ref = y.ref
    where m.rule = 'conversion' and m.ended_at is null
    union all
    select l.line_ref, l.provider, l.occurred_at, l.paid_amount, l.paid_currency,
        l.gross_amount / nullif(l.paid_amount, 0), l.currency
    from core.settlement_lines l
    where l.paid_currency is not null and l.occurred_at > :since and not l.is_split
)
select 'settled', c.line_ref, 'settlement.conversion_rate',
    'converted at ' || round(c.rate, 6) || ', the rate of the day is ' || trim_scale(d.rate),
    c.provider, null, c.net_amount, c.currency, c.occurred_at
from changed c join stage_rules r using (provider)
join lateral (
    select x.rate from core.exchange_rates x where x.currency = c.currency
      and x.company_currency = c.into_currency and x.on_day <= c.occurred_at::date
    order by x.on_day desc limit 1
) d on true
where abs(c.rate / d.rate - 1) * 100 > r.rate_tolerance
"""

CONFLICTS = """
select 'settled', c.line_ref, 'settlement.' || case
    when l.payout_ref is distinct from c.said ->> 'payout_ref'
        and l.net_amount = (c.said ->> 'net_amount')::numeric then 'in_two_payouts'
    else 'conflict' end,
    concat_ws(', ', 'told again', c.file_name, 'line ' || nullif(c.file_line, 0)) || ': '
        || (c.said ->> 'net_amount') || ' in ' || coalesce(c.said ->> 'payout_ref', 'no payout'),
    l.provider, null, (c.said ->> 'net_amount')::numeric, l.currency, c.found_at
from core.settlement_conflicts c join core.settlement_lines l using (line_ref)
where c.settled_at is null
"""
