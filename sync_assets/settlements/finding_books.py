"""What is wrong with what we expected, and with the ERP's invoices. Queries only; each gives side,
ref, finding, detail, provider, order_ref, amount, currency and since.
"""

#: Captured or refunded, and not settled in time; not where an open line already tells of it. What
#: is older than a provider's first report is expected in none; where it sent none, everything is.
UNSETTLED = """
select 'expected', p.ref, 'settlement.' || case when p.kind in ('refund', 'refund_failed')
    then 'refund_unsettled' else 'unsettled' end,
    p.kind || ' of ' || p.at::date || ', to be settled within ' || r.days || ' days', p.provider,
    p.order_ref, p.amount, p.currency, p.at
from open_payments p join stage_providers r using (provider)
where not p.is_void and p.amount <> 0 and p.at + make_interval(days => r.days) < :now
  and p.at >= coalesce(r.first_at - make_interval(days => r.days), '-infinity')
  and not exists (select from families f join open_lines l using (ref)
    where f.payment_ref = p.ref and l.kind = p.kind)
"""

#: What captures come to beside their order.
_CAPTURED = """
select o.order_ref, o.store, o.state, o.total_amount, o.refunded_amount, o.currency, o.changed_at,
    min(p.provider) as provider,
    sum(p.amount) filter (where p.kind = 'capture') as captured,
    sum(p.amount) as kept, bool_or(p.source = 'event') as told, min(p.payment_ref) filter (
        where p.kind = 'capture') as payment_ref
from core.payments p join core.orders o using (order_ref)
where not p.is_void and p.expected_at > :since and p.currency = o.currency
group by o.order_ref
"""

CAPTURES = f"""
select 'order', order_ref, 'settlement.' || case
    when state in ('cancelled', 'failed', 'trashed') then 'cancelled_captured'
    when least(captured, kept) > total_amount then 'over_captured'
    else 'part_captured' end,
    'order of ' || trim_scale(total_amount) || ', captured ' || trim_scale(captured)
        || ', kept ' || trim_scale(kept),
    provider, order_ref, case when state in ('cancelled', 'failed', 'trashed') then kept
        else least(captured, greatest(kept, total_amount)) - total_amount end, currency, changed_at
from ({_CAPTURED}) c
where state in ('cancelled', 'failed', 'trashed') and kept > 0 and exists (
        select from core.match_items i join core.payments p on p.payment_ref = i.ref
        where i.side = 'expected' and i.is_live and p.order_ref = c.order_ref
          and p.kind = 'capture')
   or state not in ('cancelled', 'failed', 'trashed')
      and least(captured, kept) > total_amount
   or state = 'completed' and captured < total_amount
"""  # noqa: S608

#: Orders whose ERP tells its invoices: posted ones come to what was sold, two days after
#: the order is completed; until then a part may be invoiced.
INVOICES = """
with invoiced as (
    select order_ref, sum(total_amount) as total, count(*) as invoices, min(system) as system
    from core.invoices where state = 'posted' and kind = 'invoice' and order_ref is not null
    group by 1
)
select 'order', o.order_ref, 'settlement.' || case
    when v.order_ref is null then 'invoice_missing'
    when v.invoices > 1 and v.total >= 2 * o.total_amount then 'invoice_doubled'
    else 'invoice_differs' end,
    'sold for ' || trim_scale(o.total_amount) || ', invoiced '
        || trim_scale(coalesce(v.total, 0)), null, o.order_ref,
    coalesce(v.total, 0) - o.total_amount, o.currency, o.changed_at
from core.orders o join stage_erps e using (store)
left join invoiced v using (order_ref)
where o.placed_at > :since and o.total_amount > 0
  and (v.total > o.total_amount
    or coalesce(v.total, 0) < o.total_amount and o.state = 'completed'
       and o.changed_at < :now - interval '2 days')
"""

#: Files that could not be read, or not whole, or that hold something else than they say. A later
#: file of the same name that is whole ends it.
FILES = """
select 'file', f.file_ref, 'settlement.' || t.finding, f.file_name || ': ' || t.detail, f.provider,
    null, 0, '', f.read_at
from core.report_files f
left join lateral (
    select count(*) as lines, string_agg('line ' || x.line_no || ': ' || x.reason, '; '
        order by x.line_no) filter (where x.place <= 10) as reasons
    from (select r.*, row_number() over (order by r.line_no) as place
        from core.report_faults r where r.file_ref = f.file_ref) x
) b on true
cross join lateral (values
    ('file_refused', f.state = 'refused', f.reason),
    ('line_broken', f.state = 'read' and b.lines > 0, b.reasons),
    ('control_differs', f.state = 'read' and f.control ->> 'count' <> f.counted ->> 'count',
        'it says it holds ' || (f.control ->> 'count') || ' lines, and holds '
            || (f.counted ->> 'count'))
) t (finding, holds, detail)
where t.holds and not exists (select from core.report_files n where n.provider = f.provider
    and n.file_name = f.file_name and n.read_at > f.read_at and n.state = 'read'
    and n.broken_count = 0)
"""
