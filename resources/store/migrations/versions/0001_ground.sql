create schema raw;
create schema core;
create schema plan;
create schema receipt;
create schema mart;
create schema ops;

-- ---------------------------------------------------------------- raw: what systems said

-- One row per version of a thing, byte-faithful (json keeps the text, jsonb would not).
create table raw.woocommerce__orders (
    version bigint generated always as identity primary key,
    source text not null,
    resource_id text not null,
    changed_at timestamptz not null,
    content_hash bytea not null,
    payload json not null,
    via text not null,
    received_at timestamptz not null,
    run_id text,
    correlation_id text,
    mapped_at timestamptz,
    constraint raw_via_is_known check (via in ('delta', 'backfill', 'webhook', 'read_back', 'trash'))
);
create index newest_order_version
    on raw.woocommerce__orders (source, resource_id, changed_at desc, version desc);
create index unmapped_orders on raw.woocommerce__orders (source, resource_id) where mapped_at is null;

create table raw.woocommerce__customers (like raw.woocommerce__orders including all);
create table raw.woocommerce__order_notes (like raw.woocommerce__orders including all);
create table raw.odoo__items (like raw.woocommerce__orders including all);
create table raw.tryton__items (like raw.woocommerce__orders including all);

-- ---------------------------------------------------------------- core: ours, typed

create table core.orders (
    order_ref text primary key,
    store text not null,
    order_id text not null,
    order_number text not null,
    state text not null,
    shop_status text not null,
    currency text not null,
    prices_include_tax boolean not null,
    placed_at timestamptz not null,
    paid_at timestamptz,
    changed_at timestamptz not null,
    customer_ref text,
    payment_method text,
    payment_ref text,
    created_via text,
    customer_note text,
    net_amount numeric(20, 6) not null,
    shipping_amount numeric(20, 6) not null,
    fee_amount numeric(20, 6) not null,
    tax_amount numeric(20, 6) not null,
    discount_amount numeric(20, 6) not null,
    rounding_amount numeric(20, 6) not null,
    total_amount numeric(20, 6) not null,
    refunded_amount numeric(20, 6) not null,
    raw_version bigint not null,
    run_id text,
    constraint order_ties check (
        net_amount + shipping_amount + fee_amount + tax_amount + rounding_amount = total_amount
    )
);
create index orders_by_day on core.orders (store, placed_at);
create index orders_by_number on core.orders (order_number);
create index orders_by_payment on core.orders (payment_ref) where payment_ref is not null;

create table core.order_lines (
    line_ref text primary key,
    order_ref text not null references core.orders on delete cascade,
    kind text not null,
    position integer not null,
    sku text,
    product_id text,
    variation_id text,
    description text not null,
    quantity numeric(20, 6) not null,
    currency text not null,
    subtotal_amount numeric(20, 6) not null,
    net_amount numeric(20, 6) not null,
    tax_amount numeric(20, 6) not null,
    tax_class text,
    run_id text
);
create index lines_of_order on core.order_lines (order_ref);
create index lines_by_sku on core.order_lines (sku) where sku is not null;

create table core.order_taxes (
    line_ref text not null,
    order_ref text not null references core.orders on delete cascade,
    rate_id text not null,
    rate_code text not null,
    label text not null,
    percent numeric(20, 6),
    is_compound boolean not null,
    currency text not null,
    tax_amount numeric(20, 6) not null,
    run_id text,
    primary key (line_ref, rate_id)
);
create index taxes_of_order on core.order_taxes (order_ref);

create table core.order_discounts (
    order_ref text not null references core.orders on delete cascade,
    coupon_ref text primary key,
    code text not null,
    currency text not null,
    discount_amount numeric(20, 6) not null,
    discount_tax_amount numeric(20, 6) not null,
    run_id text
);
create index discounts_of_order on core.order_discounts (order_ref);

create table core.order_refunds (
    refund_ref text primary key,
    order_ref text not null references core.orders on delete cascade,
    currency text not null,
    refunded_amount numeric(20, 6) not null,
    reason text,
    run_id text
);
create index refunds_of_order on core.order_refunds (order_ref);

create table core.order_addresses (
    order_ref text not null references core.orders on delete cascade,
    role text not null,
    first_name text not null,
    last_name text not null,
    company text not null,
    street text not null,
    street2 text not null,
    city text not null,
    region text not null,
    postcode text not null,
    country text not null,
    email text not null,
    phone text not null,
    run_id text,
    primary key (order_ref, role)
);

create table core.order_notes (
    note_ref text primary key,
    order_ref text not null,
    noted_at timestamptz not null,
    author text not null,
    is_for_customer boolean not null,
    note text not null,
    run_id text
);
create index notes_of_order on core.order_notes (order_ref);

create table core.order_changes (
    order_ref text not null,
    raw_version bigint not null,
    changed_at timestamptz not null,
    field text not null,
    before text,
    after text,
    run_id text,
    primary key (order_ref, raw_version, field)
);

create table core.customers (
    customer_ref text primary key,
    store text not null,
    is_guest boolean not null,
    email text not null,
    first_name text not null,
    last_name text not null,
    company text not null,
    phone text not null,
    country text not null,
    changed_at timestamptz,
    run_id text
);
create index customers_by_email on core.customers (email);

create table core.product_refs (
    system text not null,
    item_id bigint not null,
    sku text,
    name text not null,
    is_active boolean not null,
    changed_at timestamptz not null,
    run_id text,
    primary key (system, item_id)
);
create index items_by_sku on core.product_refs (system, sku);
create index items_by_folded_sku on core.product_refs (system, lower(sku));

-- Our key and each system's ids, so that a trace can start from any reference.
create table core.ref (
    our_ref text not null,
    kind text not null,
    system text not null,
    remote_kind text not null,
    remote_id text not null,
    remote_number text,
    first_seen_at timestamptz not null,
    primary key (system, remote_kind, remote_id)
);
create index refs_of_ours on core.ref (our_ref);
create index refs_by_number on core.ref (remote_number) where remote_number is not null;

-- ---------------------------------------------------------------- plan and receipt

create table plan.odoo__sales_orders (
    system text not null,
    order_ref text not null,
    action text not null,
    reason text,
    wanted jsonb,
    wanted_hash text not null,
    core_version bigint not null,
    amount numeric(20, 6) not null,
    currency text not null,
    planned_at timestamptz not null,
    run_id text,
    primary key (system, order_ref),
    constraint plan_action_is_known check (action in ('create', 'change', 'cancel', 'none', 'conflict'))
);
create index plan_of_order on plan.odoo__sales_orders (order_ref);
create table plan.tryton__sales_orders (like plan.odoo__sales_orders including all);

create table receipt.odoo__sales_orders (
    system text not null,
    order_ref text not null,
    outcome text not null,
    remote_id bigint,
    remote_number text,
    remote_state text,
    total_amount numeric(20, 6),
    currency text not null,
    wanted_hash text not null,
    core_version bigint not null,
    attempts integer not null,
    answered_at timestamptz not null,
    payload jsonb,
    correlation_id text,
    run_id text,
    primary key (system, order_ref),
    constraint receipt_outcome_is_known check (outcome in ('accepted', 'cancelled', 'refused'))
);
create table receipt.tryton__sales_orders (like receipt.odoo__sales_orders including all);

-- ---------------------------------------------------------------- ops: how we keep our promises

create table ops.inbox (
    id bigint generated always as identity primary key,
    source text not null,
    store text not null,
    topic text not null,
    resource_id text,
    body bytea not null,
    headers jsonb not null default '{}',
    signature text not null,
    received_at timestamptz not null,
    due_at timestamptz not null,
    correlation_id text not null,
    state text not null default 'waiting',
    attempts integer not null default 0,
    leased_by text,
    lease_until timestamptz,
    settled_at timestamptz,
    outcome text,
    constraint inbox_state_is_known check (state in ('waiting', 'leased', 'settled', 'quarantined')),
    constraint inbox_signature_is_known check (signature in ('valid', 'unsigned', 'not_needed')),
    constraint inbox_lease_is_whole check (
        num_nonnulls(lease_until, leased_by) = case state when 'leased' then 2 else 0 end
    ),
    constraint inbox_settled_is_dated check ((state in ('settled', 'quarantined')) = (settled_at is not null))
);
create index inbox_due on ops.inbox (source, store, due_at) where state in ('waiting', 'leased');

create table ops.outbox (
    id bigint generated always as identity primary key,
    system text not null,
    operation text not null,
    thing_ref text not null,
    business_key text not null,
    payload jsonb,
    wanted_hash text not null,
    core_version bigint not null,
    lane smallint not null,
    state text not null default 'waiting',
    attempts integer not null default 0,
    due_at timestamptz not null,
    leased_by text,
    lease_until timestamptz,
    error_class text,
    error_text text,
    correlation_id text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint outbox_state_is_known check (
        state in ('waiting', 'leased', 'unknown', 'done', 'refused', 'parked')
    ),
    constraint outbox_lease_is_whole check (
        num_nonnulls(lease_until, leased_by) = case state when 'leased' then 2 else 0 end
    ),
    constraint outbox_trouble_is_named check (
        state not in ('unknown', 'refused', 'parked') or error_class is not null
    ),
    constraint one_write_per_business_key unique (system, business_key)
);
create unique index one_open_write_per_thing on ops.outbox (system, thing_ref)
    where state in ('waiting', 'leased', 'unknown', 'parked');
create index outbox_due on ops.outbox (system, lane, due_at)
    where state in ('waiting', 'leased', 'unknown');

create table ops.exception (
    id bigint generated always as identity primary key,
    code text not null,
    subject_kind text not null,
    subject_ref text not null,
    part text not null default '',
    message text not null,
    owner_role text not null,
    blocks boolean not null,
    can_release boolean not null,
    amount numeric(20, 6),
    currency text,
    sender_ref text,
    version bigint,
    state text not null default 'open',
    opened_at timestamptz not null,
    due_at timestamptz not null,
    closed_at timestamptz,
    closed_by text,
    note text,
    run_id text,
    constraint exception_state_is_known check (state in ('open', 'released', 'closed')),
    constraint exception_end_is_signed check (
        num_nonnulls(closed_at, closed_by) = case state when 'open' then 0 else 2 end
    ),
    constraint only_releasable_is_released check (state <> 'released' or can_release)
);
create unique index one_open_exception_per_part on ops.exception (subject_ref, code, part)
    where state = 'open';
create index exceptions_of_subject on ops.exception (subject_ref);

create table ops.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject_ref text not null,
    detail jsonb not null default '{}',
    previous_hash bytea not null,
    hash bytea not null
);

-- Each entry seals the one before it; the lock makes the chain one line.
create function ops.seal_audit() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtext('ops.audit'));
    select coalesce((select a.hash from ops.audit a order by a.id desc limit 1), '\x00')
        into new.previous_hash;
    -- identity values are drawn before the lock: take the place in line now
    new.id := coalesce((select max(a.id) from ops.audit a), 0) + 1;
    new.hash := sha256(new.previous_hash || convert_to(concat_ws('|', new.id,
        extract(epoch from new.at), new.actor, new.action, new.subject_ref, new.detail::text), 'UTF8'));
    return new;
end $$;
create trigger audit_is_sealed before insert on ops.audit
    for each row execute function ops.seal_audit();

create function ops.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'ops.audit is append-only';
end $$;
create trigger audit_is_append_only before update or delete on ops.audit
    for each row execute function ops.refuse_change();
create trigger audit_is_not_emptied before truncate on ops.audit
    for each statement execute function ops.refuse_change();

create view ops.audit_broken as
    select a.id from ops.audit a
    left join ops.audit p on p.id = a.id - 1
    where a.previous_hash is distinct from coalesce(p.hash, '\x00'::bytea)
       or a.hash is distinct from sha256(a.previous_hash || convert_to(concat_ws('|', a.id,
            extract(epoch from a.at), a.actor, a.action, a.subject_ref, a.detail::text), 'UTF8'));

create table ops.system (
    system text primary key,
    state text not null default 'running',
    reason text,
    until timestamptz,
    changed_at timestamptz not null,
    changed_by text not null,
    constraint system_state_is_known check (state in ('running', 'paused', 'draining', 'circuit_open'))
);

-- How far a stream was read to the end; moves in the transaction that stores what was read.
create table ops.watermark (
    source text not null,
    stream text not null,
    complete_until timestamptz not null,
    updated_at timestamptz not null,
    primary key (source, stream)
);

-- The last answer of a blocking check, so that a run without the check asks too.
create table ops.verdict (
    table_name text primary key,
    passed boolean not null,
    failures integer not null,
    checked_at timestamptz not null,
    run_id text
);

-- ---------------------------------------------------------------- mart: the stable face

create view core.order_holds as
    select e.subject_ref as order_ref, e.code as reason, e.part, e.message, e.owner_role,
           e.can_release, e.amount, e.currency, e.opened_at, e.due_at, e.id as exception_id
    from ops.exception e
    where e.subject_kind = 'order' and e.blocks and e.state = 'open';

create view receipt.sales_orders as
    select 'odoo' as erp_kind, r.* from receipt.odoo__sales_orders r
    union all
    select 'tryton', r.* from receipt.tryton__sales_orders r;

create view plan.sales_orders as
    select 'odoo' as erp_kind, p.* from plan.odoo__sales_orders p
    union all
    select 'tryton', p.* from plan.tryton__sales_orders p;

create view mart.orders as
    select o.order_ref, o.store, o.order_number, o.placed_at, o.changed_at, o.currency,
           o.state as shop_state,
           case
               when r.outcome = 'cancelled' then 'cancelled'
               when r.outcome = 'accepted' then 'accepted'
               when h.order_ref is not null then 'held'
               when x.state is not null then 'sending_' || x.state
               when o.state in ('cancelled', 'failed', 'trashed', 'draft') then 'not_wanted'
               when o.state in ('pending_payment', 'on_hold') then 'awaiting_payment'
               else 'received'
           end as pipeline_state,
           h.reasons as hold_reasons,
           o.net_amount, o.shipping_amount, o.fee_amount, o.tax_amount, o.discount_amount,
           o.total_amount, o.refunded_amount,
           r.system as erp, r.remote_id as erp_order_id, r.remote_number as erp_order_number,
           r.total_amount as erp_total_amount, r.answered_at as accepted_at
    from core.orders o
    left join receipt.sales_orders r on r.order_ref = o.order_ref
    left join lateral (
        select h.order_ref, string_agg(distinct h.reason, ', ' order by h.reason) as reasons
        from core.order_holds h where h.order_ref = o.order_ref group by h.order_ref
    ) h on true
    left join lateral (
        select x.state from ops.outbox x where x.thing_ref = o.order_ref
        and x.state in ('waiting', 'leased', 'unknown', 'parked') limit 1
    ) x on true;

create view mart.order_lines as
    select l.line_ref, l.order_ref, o.store, o.placed_at, l.kind, l.position, l.sku, l.description,
           l.quantity, l.currency, l.subtotal_amount, l.net_amount, l.tax_amount
    from core.order_lines l join core.orders o using (order_ref);

create view mart.order_sums as
    select m.store, m.currency, (m.placed_at at time zone 'UTC')::date as placed_on, m.pipeline_state,
           count(*) as orders, sum(m.total_amount) as shop_total, sum(m.erp_total_amount) as erp_total
    from mart.orders m
    group by 1, 2, 3, 4;

comment on view mart.orders is 'One row per shop order with its place in the pipeline and what the ERP holds; version 1';
comment on view mart.order_lines is 'One row per order line; version 1';
comment on view mart.order_sums is 'Orders and sums per store, currency, UTC day and pipeline state; version 1';
