-- The reconciliation statement, kept by month; worked out anew whenever something of the month moved.
create table core.reconciliations (
    provider text not null,
    -- empty: of no store, as payouts, monthly fees and what is not matched
    store text not null,
    period text not null,
    currency text not null,
    -- a line of domain/statements.py, and its place
    line text not null,
    line_no bigint not null,
    item_count bigint not null,
    amount numeric(20, 6) not null,
    open_count bigint not null,
    open_amount numeric(20, 6) not null,
    worked_out_at timestamptz not null,
    run_id text,
    primary key (provider, store, period, currency, line),
    constraint reconciliation_is_of_a_month check (period ~ '^\d{4}-(0[1-9]|1[0-2])$')
);
create index reconciliations_by_period on core.reconciliations (period);

-- Stable faces of payments, settlements and journals.
create view mart.settlement_lines as
    select l.line_ref, l.provider, l.kind, e.store, e.order_ref, l.payout_ref, l.payment_id,
           l.movement_id, l.order_reference, l.method, l.currency, l.gross_amount, l.fee_amount,
           l.fee_tax_amount, l.net_amount, l.paid_amount, l.paid_currency, l.exchange_rate,
           l.occurred_at, l.description, l.told_by, l.file_name, l.file_line, l.split_of,
           i.match_id is null as is_open, i.match_id, m.rule as match_rule, m.reason as match_reason
    from core.settlement_lines l
    left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
    left join core.matches m on m.match_id = i.match_id
    left join lateral (
        select case when min(p.store) = max(p.store) then min(p.store) end as store,
               case when min(p.order_ref) = max(p.order_ref) then min(p.order_ref) end as order_ref
        from core.match_items x join core.payments p on p.payment_ref = x.ref
        where x.match_id = i.match_id and x.side = 'expected'
    ) e on true
    where not l.is_split;

create view mart.payouts as
    select p.payout_ref, p.provider, p.payout_id, p.kind, p.currency, p.paid_amount,
           p.opening_amount, p.closing_amount, p.paid_on, p.state, p.bank_reference,
           l.line_count, l.net_amount, l.open_count,
           case when p.kind = 'payout' or p.opening_amount is not null and p.closing_amount is not null
               then coalesce(p.opening_amount, 0) + l.net_amount - coalesce(p.closing_amount, 0)
               end as unbalanced_amount,
           b.received_amount, b.received_on
    from core.payouts p
    left join lateral (
        select count(*) as line_count, coalesce(sum(l.net_amount), 0) as net_amount,
               count(*) filter (where i.match_id is null) as open_count
        from core.settlement_lines l
        left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
        where l.payout_ref = p.payout_ref and not l.is_split
    ) l on true
    left join lateral (
        select sum(k.amount) as received_amount, max(k.booked_on) as received_on
        from core.bank_lines k
        join core.match_items y on y.side = 'bank' and y.ref = k.bank_line_ref and y.is_live
        where y.match_id in (
            select x.match_id from core.settlement_lines q
            join core.match_items x on x.side = 'settled' and x.ref = q.line_ref and x.is_live
            where q.payout_ref = p.payout_ref and q.kind in ('payout', 'payout_returned'))
    ) b on true;

create view mart.matches as
    select m.match_id, m.provider, m.rule, m.reason, m.difference_amount, m.currency, m.account,
           m.matched_at, m.matched_by, m.ended_at, m.ended_by, m.end_reason,
           m.ended_at is null as is_live,
           i.expected_count, i.expected_amount, i.settled_count, i.settled_amount, i.bank_count,
           i.bank_amount
    from core.matches m
    left join lateral (
        select count(*) filter (where i.side = 'expected') as expected_count,
               coalesce(sum(i.amount) filter (where i.side = 'expected'), 0) as expected_amount,
               count(*) filter (where i.side = 'settled') as settled_count,
               coalesce(sum(i.amount) filter (where i.side = 'settled'), 0) as settled_amount,
               count(*) filter (where i.side = 'bank') as bank_count,
               coalesce(sum(i.amount) filter (where i.side = 'bank'), 0) as bank_amount
        from core.match_items i where i.match_id = m.match_id
    ) i on true;

create view mart.open_items as
    select o.side, o.ref, o.finding, o.detail, o.provider, o.order_ref, o.amount, o.currency, o.since,
           o.is_waiting, o.found_at, e.exception_id, e.owner_role, e.assigned_to, e.opened_at, e.due_at
    from core.open_items o
    left join lateral (
        select e.id as exception_id, e.owner_role, e.assigned_to, e.opened_at, e.due_at
        from ops.exception e
        where e.state = 'open' and e.code = o.finding and e.subject_ref = o.ref
        order by e.id limit 1
    ) e on true;

create view mart.journal as
    select e.entry_ref, l.line_no, e.kind, e.company, e.erp, e.journal, e.posted_on, e.period,
           e.provider, coalesce(l.store, e.store) as store, e.batch_ref, l.account, l.account_kind,
           greatest(l.amount, 0) as debit_amount, greatest(-l.amount, 0) as credit_amount,
           l.currency, l.company_amount, e.company_currency, l.tax_code, l.description,
           l.item_count, e.reverses, r.entry_ref as reversed_by
    from core.journal_entries e
    join core.journal_lines l using (entry_ref)
    left join core.journal_entries r on r.reverses = e.entry_ref;

create view mart.journal_drill_back as
    select s.entry_ref, s.line_no, s.purpose, s.source_kind, s.source_ref, s.amount,
           s.company_amount, s.is_live, m.match_id, m.rule as match_rule, m.reason as match_reason,
           i.side as item_side, i.ref as item_ref, i.amount as item_amount,
           i.currency as item_currency,
           coalesce(p.order_ref, case when s.source_kind = 'order' then s.source_ref end)
               as order_ref
    from core.journal_sources s
    left join core.matches m on m.match_id = case
        when s.source_kind = 'match' and s.source_ref ~ '^\d{1,18}$' then s.source_ref::bigint end
    left join core.match_items i on i.match_id = m.match_id
    left join core.payments p on p.payment_ref = case
        when s.source_kind = 'payment' then s.source_ref when i.side = 'expected' then i.ref end;

create view mart.reconciliation as
    select provider, store, period, currency, line, line_no, item_count, amount, open_count,
           open_amount, worked_out_at
    from core.reconciliations;

comment on view mart.settlement_lines is
    'One row per settled line with its store and its match, or open; version 1';
comment on view mart.payouts is
    'One row per payout or statement with the sum of its lines and what reached the bank; version 1';
comment on view mart.matches is 'One row per match, ended ones too, with its sums by side; version 1';
comment on view mart.open_items is
    'One row per open thing and finding, with who owns it and until when; version 1';
comment on view mart.journal is 'One row per line of a journal entry; version 1';
comment on view mart.journal_drill_back is
    'One row per journal line, what it was posted from, and each item of the match behind; version 1';
comment on view mart.reconciliation is
    'One row per provider, store, month, currency and line of the statement; version 1';

-- The trial of the day: what was sold is what the ERP invoiced and what is open, by reason; what was
-- invoiced above the order is told beside.
create view mart.trial_of_day as
    with invoiced as (
        select order_ref, sum(total_amount) as amount from core.invoices
        where state = 'posted' and kind = 'invoice' and order_ref is not null group by 1
    )
    select o.store, (o.placed_at at time zone 'UTC')::date as day, o.currency, count(*) as orders,
           sum(o.total_amount) as sold_amount,
           sum(coalesce(v.amount, 0)) as invoiced_amount,
           coalesce(sum(greatest(o.total_amount - coalesce(v.amount, 0), 0))
               filter (where r.order_ref is null), 0) as open_not_in_erp_amount,
           coalesce(sum(greatest(o.total_amount - coalesce(v.amount, 0), 0))
               filter (where r.order_ref is not null), 0) as open_not_invoiced_amount,
           sum(greatest(coalesce(v.amount, 0) - o.total_amount, 0)) as invoiced_above_amount
    from core.orders o
    left join invoiced v using (order_ref)
    left join receipt.sales_orders r on r.order_ref = o.order_ref and r.outcome = 'accepted'
    where o.state in ('paid', 'completed', 'refunded')
    group by 1, 2, 3;
comment on view mart.trial_of_day is
    'What was sold against the ERP''s invoices, per store, UTC day and currency; version 1';
