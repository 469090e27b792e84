-- Only what differs: a listing that shows the right number has no row.
create table plan.woocommerce__stock (
    system text not null,
    product_id bigint not null,
    parent_id bigint,
    sku text not null,
    action text not null,
    reason text,
    wanted_units bigint not null,
    seen_units bigint,
    wanted_backorders text not null,
    wanted_lead_days bigint,
    wanted_hash text not null,
    planned_at timestamptz not null,
    run_id text,
    primary key (system, product_id),
    constraint plan_action_is_known check (action in ('set', 'held', 'conflict')),
    constraint backorders_are_known check (wanted_backorders in ('no', 'notify', 'yes'))
);

-- One row per answer; what was published when is evidence and stays.
create table receipt.woocommerce__stock (
    id bigint generated always as identity primary key,
    system text not null,
    product_id bigint not null,
    sku text not null,
    outcome text not null,
    wanted_units bigint not null,
    -- What the shop showed just before and just after; what it sold meanwhile is taken off.
    before_units bigint,
    sold_meanwhile_units bigint not null default 0,
    written_units bigint,
    read_back_units bigint,
    attempts integer not null,
    answered_at timestamptz not null,
    correlation_id text,
    run_id text,
    constraint receipt_outcome_is_known check (outcome in ('set', 'already', 'adjusted', 'refused'))
);
create index newest_stock_receipt on receipt.woocommerce__stock (system, product_id, id desc);

create table core.stock_drift (
    store text not null,
    compared_at timestamptz not null,
    product_id bigint,
    sku text,
    kind text not null,
    wanted_units bigint,
    seen_units bigint,
    off_units bigint not null,
    exposed_amount numeric(20, 6),
    currency text,
    treatment text not null,
    run_id text,
    constraint drift_kind_is_known check (kind in ('missing', 'extra', 'different')),
    constraint treatment_is_known check (treatment in ('healed', 'raised', 'ignored'))
);
create index drift_of_store on core.stock_drift (store, compared_at);

create table core.stock_comparisons (
    store text not null,
    compared_at timestamptz not null,
    compared integer not null,
    missing integer not null,
    extra integer not null,
    different integer not null,
    off_units bigint not null,
    exposed_amount numeric(20, 6),
    currency text,
    healed integer not null,
    raised integer not null,
    run_id text,
    primary key (store, compared_at)
);

-- A stock level or a price is a state to be reached: its write is wanted again after it was done.
alter table ops.outbox add column recurs boolean not null default false;
