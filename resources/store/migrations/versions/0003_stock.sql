create table raw.odoo__stock_levels (like raw.woocommerce__orders including all);
create table raw.tryton__stock_levels (like raw.woocommerce__orders including all);
create table raw.files__stock_levels (like raw.woocommerce__orders including all);
create table raw.odoo__stock_moves (like raw.woocommerce__orders including all);
create table raw.tryton__stock_moves (like raw.woocommerce__orders including all);

create table core.stock_movements (
    movement_ref text primary key,
    system text not null,
    item_id bigint not null,
    sku text,
    kind text not null,
    from_warehouse text,
    to_warehouse text,
    units bigint not null,
    moved_at timestamptz not null,
    origin text,
    run_id text,
    constraint movement_kind_is_known check (kind in
        ('receipt', 'shipment', 'return', 'transfer', 'adjustment', 'store_sale', 'scrap')),
    constraint movement_counts check (units >= 0)
);
create index movements_by_sku on core.stock_movements (sku, moved_at);

-- Every level we ever knew, so that any number can be explained later. Current: replaced_at is null.
create table core.stock_level_versions (
    sku text not null,
    location text not null,
    source text not null,
    on_hand_units bigint not null,
    allocated_units bigint not null,
    quarantined_units bigint not null,
    incoming_units bigint not null,
    true_at timestamptz not null,
    -- The item it was told of; none where the source counts by SKU.
    item_id bigint,
    known_at timestamptz not null,
    replaced_at timestamptz,
    run_id text,
    constraint one_level_at_a_time unique nulls not distinct (sku, location, replaced_at),
    constraint level_counts check (
        allocated_units >= 0 and quarantined_units >= 0 and incoming_units >= 0)
-- Every reading moves the moment of most rows on: with room beside them no index is touched.
) with (fillfactor = 90);

create index levels_of_item on core.stock_level_versions (item_id)
    where replaced_at is null and item_id is not null;

-- A whole warehouse was read: its levels are true at least for this moment, changed or not. A
-- reading counts only once all that it said is in the levels.
create table core.stock_readings (
    source text not null,
    location text not null,
    seen_at timestamptz not null,
    read_at timestamptz,
    primary key (source, location),
    constraint levels_follow_readings check (read_at <= seen_at)
);

create view core.stock_levels as
    select v.sku, v.location, v.source, v.on_hand_units, v.allocated_units, v.quarantined_units,
           v.incoming_units, greatest(v.true_at, r.read_at) as true_at, v.run_id
    from core.stock_level_versions v
    left join core.stock_readings r on r.source = v.source and r.location = v.location
    where v.replaced_at is null;

create table core.reservation_versions (
    order_ref text not null,
    sku text not null,
    location text not null,
    promised_units bigint not null,
    allocated_units bigint not null,
    open_units bigint not null,
    state text not null,
    reserved_at timestamptz not null,
    allocated_at timestamptz,
    expires_at timestamptz,
    ended_at timestamptz,
    core_version bigint not null,
    known_at timestamptz not null,
    replaced_at timestamptz,
    run_id text,
    constraint one_reservation_at_a_time unique nulls not distinct (order_ref, sku, replaced_at),
    constraint reservation_state_is_known check (
        state in ('open', 'covered', 'released', 'expired')),
    constraint only_open_ones_count check (
        promised_units >= 0 and allocated_units >= 0 and open_units >= 0
        and (state = 'open' or open_units = 0)),
    constraint reservation_end_is_dated check ((state = 'open') = (ended_at is null))
);
create index open_reservations on core.reservation_versions (sku)
    where replaced_at is null and state = 'open';

create view core.reservations as
    select order_ref, sku, location, promised_units, allocated_units, open_units, state,
           reserved_at, allocated_at, expires_at, ended_at, run_id
    from core.reservation_versions where replaced_at is null;

-- How fast a SKU sells in a channel, for safety stock in days.
create table core.demand (
    channel text not null,
    sku text not null,
    units_per_day numeric(20, 6) not null,
    measured_at timestamptz not null,
    primary key (channel, sku)
);

-- Every version of a policy file that was ever in force, word for word.
create table core.policies (
    name text not null,
    policy_hash text not null,
    body text not null,
    applied_at timestamptz not null,
    primary key (name, policy_hash)
);

create table core.availability_versions (
    channel text not null,
    sku text not null,
    atp_units bigint not null,
    safety_units bigint not null,
    sellable_units bigint not null,
    backorder_units bigint not null,
    lead_days bigint,
    limited_by text not null,
    scarcest_sku text,
    policy_hash text not null,
    computed_at timestamptz not null,
    replaced_at timestamptz,
    run_id text,
    constraint one_number_at_a_time unique nulls not distinct (channel, sku, replaced_at),
    constraint nothing_below_zero_is_sold check (sellable_units >= 0 and backorder_units >= 0)
);

create index numbers_beyond_stock on core.availability_versions (channel)
    where replaced_at is null and backorder_units > 0;

create view core.availability as
    select channel, sku, atp_units, safety_units, sellable_units, backorder_units, lead_days,
           limited_by, scarcest_sku, policy_hash, computed_at, run_id
    from core.availability_versions where replaced_at is null;

-- What must be worked out again, written in the transaction that changed what it rests on:
-- stock_reading (of an item, `<erp>:<id>`), reservation (of an order), availability (of a SKU),
-- stock_plan (of a SKU); the key * means all. The step that works it out takes the rows away in its
-- own transaction, so a run that dies leaves them. A mark locks the row even where it stands
-- already: a taker that cannot see the change yet then leaves it. Marks in several queues follow
-- the order given here, so that no two transactions wait for one another.
create table ops.stale (
    queue text not null,
    key text not null,
    since timestamptz not null,
    primary key (queue, key),
    constraint queue_is_known check (
        queue in ('stock_reading', 'reservation', 'availability', 'stock_plan'))
);
create index oldest_stale on ops.stale (queue, since);

create function ops.mark_orders_stale() returns trigger language plpgsql as $$
begin
    insert into ops.stale as held (queue, key, since)
    select distinct 'reservation', n.order_ref, now() from new_rows n order by 2
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create function ops.mark_availability_stale() returns trigger language plpgsql as $$
begin
    if (select count(*) from (select from new_rows limit 20001) many) > 20000 then
        insert into ops.stale as held (queue, key, since) values ('availability', '*', now())
        on conflict (queue, key) do update set since = held.since;
        return null;
    end if;
    insert into ops.stale as held (queue, key, since)
    select distinct 'availability', n.sku, now() from new_rows n where n.sku is not null order by 2
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create function ops.mark_plans_stale() returns trigger language plpgsql as $$
begin
    if (select count(*) from (select from new_rows limit 20001) many) > 20000 then
        insert into ops.stale as held (queue, key, since) values ('stock_plan', '*', now())
        on conflict (queue, key) do update set since = held.since;
        return null;
    end if;
    insert into ops.stale as held (queue, key, since)
    select distinct 'stock_plan', n.sku, now() from new_rows n where n.sku is not null order by 2
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;

create trigger new_orders_reserve after insert on core.orders
    referencing new table as new_rows for each statement execute function ops.mark_orders_stale();
create trigger changed_orders_reserve after update on core.orders
    referencing new table as new_rows for each statement execute function ops.mark_orders_stale();
create trigger new_receipts_allocate after insert on receipt.odoo__sales_orders
    referencing new table as new_rows for each statement execute function ops.mark_orders_stale();
create trigger changed_receipts_allocate after update on receipt.odoo__sales_orders
    referencing new table as new_rows for each statement execute function ops.mark_orders_stale();
create trigger new_receipts_allocate after insert on receipt.tryton__sales_orders
    referencing new table as new_rows for each statement execute function ops.mark_orders_stale();
create trigger changed_receipts_allocate after update on receipt.tryton__sales_orders
    referencing new table as new_rows for each statement execute function ops.mark_orders_stale();
-- A write that ends without a receipt left nothing there: what it may have taken is free again.
create function ops.mark_order_of_write_stale() returns trigger language plpgsql as $$
begin
    insert into ops.stale as held (queue, key, since)
    values ('reservation', new.thing_ref, now())
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create trigger ended_writes_allocate after update on ops.outbox
    for each row when (old.state <> new.state and new.state = 'refused'
        and starts_with(new.operation, 'sales_order.'))
    execute function ops.mark_order_of_write_stale();

create trigger new_levels_count after insert on core.stock_level_versions
    referencing new table as new_rows
    for each statement execute function ops.mark_availability_stale();
create trigger new_reservations_count after insert on core.reservation_versions
    referencing new table as new_rows
    for each statement execute function ops.mark_availability_stale();
create trigger new_kits_count after insert on core.product_components
    referencing new table as new_rows
    for each statement execute function ops.mark_availability_stale();
create trigger dissolved_kits_count after delete on core.product_components
    referencing old table as new_rows
    for each statement execute function ops.mark_availability_stale();
create trigger new_numbers_are_published after insert on core.availability_versions
    referencing new table as new_rows for each statement execute function ops.mark_plans_stale();
create trigger new_listings_are_compared after insert on core.listings
    referencing new table as new_rows for each statement execute function ops.mark_plans_stale();

-- Orders that were there before.
insert into ops.stale (queue, key, since) select 'reservation', order_ref, now() from core.orders;

-- Whoever decides what runs is woken by a mark that is new.
create function ops.announce_new() returns trigger language plpgsql as $$
begin
    if exists (select from new_rows) then
        perform pg_notify('sync_work', tg_argv[0]);
    end if;
    return null;
end $$;
create trigger stale_is_announced after insert on ops.stale
    referencing new table as new_rows
    for each statement execute function ops.announce_new('stale');

create table core.stock_shortfalls (
    sku text not null,
    location text not null,
    promised_units bigint not null,
    available_units bigint not null,
    short_units bigint not null,
    order_refs text[] not null,
    found_at timestamptz not null,
    ended_at timestamptz,
    run_id text,
    constraint shortfall_is_short check (short_units > 0)
);
create unique index one_open_shortfall on core.stock_shortfalls (sku, location)
    where ended_at is null;
