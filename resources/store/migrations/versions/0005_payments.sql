-- What systems said of money, every version once.
create table raw.stripe__balance_transactions (like raw.woocommerce__orders including all);
create table raw.stripe__charges (like raw.woocommerce__orders including all);
create table raw.stripe__refunds (like raw.woocommerce__orders including all);
create table raw.stripe__disputes (like raw.woocommerce__orders including all);
create table raw.stripe__payouts (like raw.woocommerce__orders including all);
create table raw.paypal__transactions (like raw.woocommerce__orders including all);
create table raw.amazon__transactions (like raw.woocommerce__orders including all);
-- Signed notices that came in by webhooks.
create table raw.stripe__notices (like raw.woocommerce__orders including all);
create table raw.adyen__notices (like raw.woocommerce__orders including all);
-- Lines of report files, each as it stands there.
create table raw.stripe__report_lines (like raw.woocommerce__orders including all);
create table raw.paypal__report_lines (like raw.woocommerce__orders including all);
create table raw.adyen__report_lines (like raw.woocommerce__orders including all);
create table raw.amazon__report_lines (like raw.woocommerce__orders including all);
create table raw.files__report_lines (like raw.woocommerce__orders including all);
create table raw.bank__report_lines (like raw.woocommerce__orders including all);
-- Invoices that ERPs made of our orders.
create table raw.odoo__invoices (like raw.woocommerce__orders including all);
create table raw.tryton__invoices (like raw.woocommerce__orders including all);

-- Every report file that came, whatever became of it.
create table core.report_files (
    file_ref text primary key,
    provider text not null,
    file_name text not null,
    digest text not null,
    kind text,
    state text not null,
    reason text not null,
    line_count bigint not null,
    broken_count bigint not null,
    -- what the file says it holds, and what was counted
    control jsonb not null,
    counted jsonb not null,
    facts jsonb not null,
    read_at timestamptz not null,
    run_id text,
    constraint report_file_state_is_known check (state in ('read', 'refused', 'duplicate'))
);
create index report_files_by_provider on core.report_files (provider, read_at);

create table core.payment_events (
    event_ref text primary key,
    provider text not null,
    kind text not null,
    payment_id text,
    group_id text,
    movement_id text,
    order_reference text,
    amount numeric(20, 6),
    currency text,
    happened_at timestamptz not null,
    reason text not null,
    run_id text,
    constraint event_kind_is_known check (kind in ('authorised', 'captured', 'capture_failed',
        'voided', 'refunded', 'refund_failed', 'dispute_opened', 'chargeback',
        'chargeback_reversed', 'dispute_won', 'dispute_lost', 'payout_paid', 'payout_failed',
        'report_ready')),
    constraint event_amount_is_positive check (amount >= 0)
);
create index payment_events_by_payment on core.payment_events (provider, payment_id)
    where payment_id is not null;
create index payment_events_by_group on core.payment_events (provider, group_id)
    where group_id is not null;

-- The expected ledger.
create table core.payments (
    payment_ref text primary key,
    kind text not null,
    order_ref text,
    store text,
    provider text not null,
    amount numeric(20, 6) not null,
    currency text not null,
    payment_id text,
    group_id text,
    movement_id text,
    order_number text,
    expected_at timestamptz not null,
    source text not null,
    is_void boolean not null,
    run_id text,
    constraint payment_kind_is_known check (kind in ('capture', 'refund', 'refund_failed',
        'chargeback', 'chargeback_reversed')),
    constraint payment_source_is_known check (source in ('order', 'event', 'refund')),
    constraint payment_has_its_sign check (
        kind in ('capture', 'refund_failed', 'chargeback_reversed') and amount >= 0
        or kind in ('refund', 'chargeback') and amount <= 0)
);
create index payments_by_order on core.payments (order_ref);
create index payments_by_number on core.payments (order_number);
create index payments_by_id on core.payments (provider, payment_id) where payment_id is not null;
create index payments_by_group on core.payments (provider, group_id) where group_id is not null;
create index payments_by_movement on core.payments (provider, movement_id)
    where movement_id is not null;
create index payments_by_time on core.payments (provider, expected_at);

-- Exchange rates that journals are valued with: company currency for one unit of the other.
create table core.exchange_rates (
    currency text not null,
    company_currency text not null,
    on_day date not null,
    rate numeric(20, 10) not null,
    source text not null,
    run_id text,
    primary key (currency, company_currency, on_day),
    constraint rate_is_positive check (rate > 0)
);

-- Invoices of the ERP, for the trial of the day.
create table core.invoices (
    invoice_ref text primary key,
    system text not null,
    order_ref text,
    number text,
    state text not null,
    kind text not null,
    currency text not null,
    total_amount numeric(20, 6) not null,
    tax_amount numeric(20, 6) not null,
    invoiced_on date,
    run_id text,
    constraint invoice_state_is_known check (state in ('draft', 'posted', 'cancelled')),
    constraint invoice_kind_is_known check (kind in ('invoice', 'credit_memo'))
);
create index invoices_by_order on core.invoices (order_ref) where order_ref is not null;

-- Orders whose expected payments must be worked out again.
alter table ops.stale drop constraint queue_is_known;
alter table ops.stale add constraint queue_is_known check (queue in
    ('stock_reading', 'reservation', 'availability', 'stock_plan', 'fulfilment', 'fulfilment_plan',
        'after_sale', 'settlement', 'rebooking'));
create function ops.mark_settlement() returns trigger language plpgsql as $$
begin
    insert into ops.stale as held (queue, key, since)
    select 'settlement', n.order_ref, now()
    from (select distinct order_ref from new_rows where order_ref is not null) n order by 2
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create trigger new_orders_settle after insert on core.orders
    referencing new table as new_rows for each statement execute function ops.mark_settlement();
create trigger changed_orders_settle after update on core.orders
    referencing new table as new_rows for each statement execute function ops.mark_settlement();
create trigger new_refunds_settle after insert on core.refunds
    referencing new table as new_rows for each statement execute function ops.mark_settlement();
create trigger changed_refunds_settle after update on core.refunds
    referencing new table as new_rows for each statement execute function ops.mark_settlement();
-- What was known before this deployment watched money is worked out once.
insert into ops.stale (queue, key, since)
    select 'settlement', order_ref, now() from core.orders;

-- A provider's word of an order, without the number of the attempt that some put behind it.
create function core.reference_of(said text) returns text language sql immutable parallel safe as $$
    select nullif(regexp_replace(ltrim(btrim(said), '#'), '\.\d{1,2}$', ''), '')
$$;
create index payment_events_by_reference on core.payment_events (core.reference_of(order_reference))
    where order_reference is not null;

-- An event says something new of an order we hold: its expected payments are worked out again.
create function ops.mark_orders_of_events() returns trigger language plpgsql as $$
begin
    insert into ops.stale as held (queue, key, since)
    select 'settlement', found.order_ref, now() from (
        select o.order_ref from new_rows n join core.orders o on o.payment_ref = n.payment_id
        union select o.order_ref from new_rows n join core.orders o on o.payment_ref = n.group_id
        union select o.order_ref from new_rows n
            join core.orders o on o.order_number = core.reference_of(n.order_reference)
        union select o.order_ref from new_rows n
            join core.orders o on o.order_ref = core.reference_of(n.order_reference)) found
    order by 2
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create trigger new_events_settle after insert on core.payment_events
    referencing new table as new_rows for each statement execute function ops.mark_orders_of_events();
create trigger changed_events_settle after update on core.payment_events
    referencing new table as new_rows for each statement execute function ops.mark_orders_of_events();

-- Lines of a file that could not be read or mapped.
create table core.report_faults (
    file_ref text not null,
    found_by text not null,
    line_no bigint not null,
    reason text not null,
    primary key (file_ref, found_by, line_no),
    constraint finder_is_known check (found_by in ('reader', 'mapper'))
);

-- A payment that comes to another amount than it was booked with is booked anew.
create function ops.mark_rebooking() returns trigger language plpgsql as $$
begin
    insert into ops.stale as held (queue, key, since) values ('rebooking', new.payment_ref, now())
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create trigger changed_payments_rebook after update on core.payments for each row
    when (old.amount <> new.amount or old.currency <> new.currency)
    execute function ops.mark_rebooking();
create index void_payments on core.payments (payment_ref) where is_void;
