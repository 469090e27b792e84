-- What each order line has come to: worked out from orders, refunds, requests and shipments.
create table core.order_line_progress (
    order_ref text not null,
    line_ref text not null,
    sku text not null,
    ordered_units bigint not null,
    -- Refunded or cancelled before they left: nobody shall ship them.
    cancelled_units bigint not null,
    requested_units bigint not null,
    shipped_units bigint not null,
    delivered_units bigint not null,
    returned_units bigint not null,
    refunded_units bigint not null,
    run_id text,
    primary key (order_ref, line_ref),
    constraint progress_counts check (
        ordered_units >= 0 and cancelled_units >= 0 and requested_units >= 0
        and shipped_units >= 0 and delivered_units >= 0 and returned_units >= 0
        and refunded_units >= 0)
);

create table core.fulfilment_orders (
    fulfilment_ref text primary key,
    order_ref text not null,
    store text not null,
    location text not null,
    system text not null,
    state text not null default '',
    state_at timestamptz,
    ship_by_at timestamptz,
    release_at timestamptz not null,
    planned_at timestamptz not null,
    reason text not null,
    core_version bigint not null,
    run_id text,
    constraint fulfilment_state_is_known check (state in ('', 'planned', 'held', 'released',
        'acknowledged', 'part_shipped', 'shipped', 'short', 'cancel_requested', 'cancelled', 'refused'))
);
create index fulfilments_of_order on core.fulfilment_orders (order_ref);
create index open_fulfilments on core.fulfilment_orders (system, state)
    where state not in ('shipped', 'short', 'cancelled');
create trigger fulfilment_begins before insert on core.fulfilment_orders
    for each row execute function core.refuse_ready_made();
create trigger fulfilment_state_moves_by_steps before update on core.fulfilment_orders
    for each row execute function core.refuse_moved_state();
create constraint trigger fulfilment_has_begun after insert on core.fulfilment_orders
    deferrable initially deferred
    for each row execute function core.refuse_stateless('fulfilment_ref');

create table core.fulfilment_lines (
    fulfilment_ref text not null references core.fulfilment_orders on delete cascade,
    line_ref text not null,
    order_ref text not null,
    sku text not null,
    units bigint not null,
    run_id text,
    primary key (fulfilment_ref, line_ref),
    constraint fulfilment_line_counts check (units >= 0)
);
create index fulfilment_lines_of_order on core.fulfilment_lines (order_ref);
create index fulfilment_lines_by_sku on core.fulfilment_lines (sku);

create table core.shipments (
    shipment_ref text primary key,
    system text not null,
    remote_number text,
    location text,
    state text not null,
    shipped_at timestamptz,
    carrier text,
    carrier_words text not null,
    told_reference text,
    changed_at timestamptz not null,
    raw_version bigint not null,
    run_id text,
    constraint shipment_state_is_known check (state in ('packed', 'shipped', 'cancelled')),
    constraint shipped_is_dated check (state <> 'shipped' or shipped_at is not null)
);
create index shipments_by_number on core.shipments (remote_number) where remote_number is not null;

create table core.parcels (
    parcel_ref text primary key,
    tracking_number text,
    carrier text,
    carrier_words text not null,
    tracking_url text,
    weight_g numeric(20, 6),
    state text not null,
    state_at timestamptz,
    delivered_at timestamptz,
    is_return boolean not null,
    run_id text,
    constraint parcel_state_is_known check (state in ('unknown', 'label_created', 'picked_up',
        'in_transit', 'out_for_delivery', 'delivery_failed', 'available_for_pickup', 'delivered',
        'returning', 'returned', 'lost', 'cancelled', 'exception'))
);
create index parcels_by_number on core.parcels (tracking_number) where tracking_number is not null;
create index parcels_under_way on core.parcels (state)
    where state not in ('delivered', 'returned', 'cancelled');

create table core.shipment_lines (
    shipment_ref text not null references core.shipments on delete cascade,
    line_no bigint not null,
    order_ref text,
    fulfilment_ref text,
    line_ref text,
    sku text not null,
    units bigint not null,
    is_cancelled boolean not null,
    parcel_ref text,
    run_id text,
    primary key (shipment_ref, line_no),
    constraint shipment_line_counts check (units >= 0)
);
create index shipment_lines_of_order on core.shipment_lines (order_ref) where order_ref is not null;
create index shipment_lines_of_nobody on core.shipment_lines (shipment_ref) where order_ref is null;
create index shipment_lines_of_parcel on core.shipment_lines (parcel_ref) where parcel_ref is not null;

create table core.tracking_events (
    event_ref text primary key,
    parcel_ref text not null,
    carrier text,
    tracking_number text not null,
    state text not null,
    is_known boolean not null,
    code text,
    words text not null,
    happened_at timestamptz not null,
    has_zone boolean not null,
    place text,
    told_by text not null,
    raw_version bigint,
    run_id text,
    constraint unknown_word_has_no_state check (is_known or state = 'unknown')
);
create index events_of_parcel on core.tracking_events (parcel_ref, happened_at);
create index events_nobody_understands on core.tracking_events (carrier, code) where not is_known;

-- What systems said.
create table raw.files__acknowledgements (like raw.woocommerce__orders including all);
create table raw.files__shipments (like raw.woocommerce__orders including all);
create table raw.http__shipments (like raw.woocommerce__orders including all);
create table raw.shipbob__shipments (like raw.woocommerce__orders including all);
create table raw.odoo__shipments (like raw.woocommerce__orders including all);
create table raw.tryton__shipments (like raw.woocommerce__orders including all);
create table raw.easypost__trackers (like raw.woocommerce__orders including all);
-- Answers of carriers that were handed to us: `source` is the carrier, the payload {"text": "…"}.
create table raw.carriers__trackings (like raw.woocommerce__orders including all);
