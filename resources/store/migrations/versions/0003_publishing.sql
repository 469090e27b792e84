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
    -- Every order up to the listing's last change is in our number: it may be raised.
    is_counted boolean not null default false,
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
    is_counted boolean not null default false,
    attempts integer not null,
    answered_at timestamptz not null,
    -- The shop's own time of its newest change then: a later one is not ours.
    shop_changed_at timestamptz,
    correlation_id text,
    run_id text,
    constraint receipt_outcome_is_known check (outcome in ('set', 'already', 'adjusted', 'refused'))
);
create index newest_stock_receipt on receipt.woocommerce__stock (system, product_id, id desc);
create index stock_receipts_by_time on receipt.woocommerce__stock using brin (answered_at);

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

-- A shop that shows our own write again, or another description, changes no number.
create function ops.mark_changed_listings_stale() returns trigger language plpgsql as $$
begin
    if current_setting('sync.is_echo', true) = 'yes' then
        return null;  -- the step that wrote the number to the shop compared it itself
    end if;
    insert into ops.stale as held (queue, key, since)
    select distinct 'stock_plan', k.sku, now()
    from new_rows n join old_rows o using (store, product_id)
    cross join lateral (values (n.sku), (o.sku)) k (sku)
    where k.sku is not null
      and (n.sku, n.kind, n.status = 'trash', n.stock_management, n.stock_units, n.backorders,
           n.lead_days)
          is distinct from (o.sku, o.kind, o.status = 'trash', o.stock_management, o.stock_units,
           o.backorders, o.lead_days)
    order by 2 on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create trigger changed_listings_are_compared after update on core.listings
    referencing old table as old_rows new table as new_rows
    for each statement execute function ops.mark_changed_listings_stale();
