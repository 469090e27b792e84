create table core.returns (
    return_ref text primary key,
    order_ref text,
    store text,
    source text not null,
    state text not null default '',
    state_at timestamptz,
    reason text not null,
    is_exchange boolean not null,
    exchange_order_ref text,
    location text,
    tracking_number text,
    sender_ref text,
    requested_at timestamptz not null,
    received_at timestamptz,
    run_id text,
    constraint return_source_is_known check (source in ('shop_refund', 'request', 'parcel',
        'store_dropoff', 'warehouse', 'cancellation')),
    constraint return_state_is_known check (state in ('', 'requested', 'approved', 'rejected',
        'in_transit', 'received', 'inspected', 'refunding', 'closed', 'cancelled', 'expired', 'lost'))
);
create index returns_of_order on core.returns (order_ref) where order_ref is not null;
create index returns_by_tracking on core.returns (tracking_number) where tracking_number is not null;
create index open_returns on core.returns (state)
    where state not in ('closed', 'rejected', 'cancelled', 'expired');
-- The same request, told twice by its sender, is one return.
create unique index one_return_per_request on core.returns (source, sender_ref)
    where sender_ref is not null;
create trigger return_begins before insert on core.returns
    for each row execute function core.refuse_ready_made();
create trigger return_state_moves_by_steps before update on core.returns
    for each row execute function core.refuse_moved_state();
create constraint trigger return_has_begun after insert on core.returns
    deferrable initially deferred
    for each row execute function core.refuse_stateless('return_ref');

create table core.return_lines (
    return_ref text not null references core.returns on delete cascade,
    line_no bigint not null,
    line_ref text,
    sku text not null,
    requested_units bigint not null,
    received_units bigint not null,
    restock_units bigint not null,
    refurbish_units bigint not null,
    write_off_units bigint not null,
    run_id text,
    primary key (return_ref, line_no),
    constraint return_line_counts check (requested_units >= 0 and received_units >= 0
        and restock_units >= 0 and refurbish_units >= 0 and write_off_units >= 0),
    constraint no_unit_has_two_fates check (
        restock_units + refurbish_units + write_off_units <= received_units)
);

create table core.refunds (
    refund_ref text primary key,
    order_ref text not null,
    store text not null,
    return_ref text,
    source text not null,
    method text not null,
    state text not null default '',
    state_at timestamptz,
    currency text not null,
    amount numeric(20, 6) not null,
    net_amount numeric(20, 6) not null,
    shipping_amount numeric(20, 6) not null,
    fee_amount numeric(20, 6) not null,
    tax_amount numeric(20, 6) not null,
    unassigned_amount numeric(20, 6) not null,
    reason text,
    provider_ref text,
    shop_refund_id text,
    refunded_at timestamptz not null,
    -- made before refunds came to this deployment: its books were made by other means
    is_history boolean not null default false,
    raw_version bigint,
    run_id text,
    constraint refund_source_is_known check (source in ('shop_refund', 'request', 'parcel',
        'store_dropoff', 'warehouse', 'cancellation')),
    constraint refund_method_is_known check (method in ('gateway', 'manual', 'offset')),
    constraint refund_state_is_known check (state in ('', 'requested', 'awaiting_approval',
        'approved', 'refused', 'submitted', 'pending', 'confirmed', 'failed', 'credited', 'closed',
        'reversed', 'withdrawn')),
    constraint refund_ties check (amount >= 0
        and net_amount + shipping_amount + fee_amount + tax_amount + unassigned_amount = amount)
);
create index refunds_by_order on core.refunds (order_ref);
create index refunds_by_return on core.refunds (return_ref) where return_ref is not null;
create index refunds_by_provider on core.refunds (provider_ref) where provider_ref is not null;
create index open_refunds on core.refunds (state)
    where state not in ('closed', 'refused', 'reversed', 'withdrawn');
create unique index one_refund_of_the_shops on core.refunds (store, shop_refund_id)
    where shop_refund_id is not null;
create trigger refund_begins before insert on core.refunds
    for each row execute function core.refuse_ready_made();
create trigger refund_state_moves_by_steps before update on core.refunds
    for each row execute function core.refuse_moved_state();
create constraint trigger refund_has_begun after insert on core.refunds
    deferrable initially deferred
    for each row execute function core.refuse_stateless('refund_ref');

-- Never more than was paid, whoever asks: refunds that were turned down, failed or taken back do not
-- count. Looked at when a refund comes to a state in which it counts.
create function core.refuse_over_refund() returns trigger language plpgsql as $$
declare
    paid numeric;
    given numeric;
begin
    select total_amount into paid from core.orders where order_ref = new.order_ref;
    select coalesce(sum(amount), 0) into given from core.refunds
    where order_ref = new.order_ref and state in ('approved', 'submitted', 'pending', 'confirmed',
        'credited', 'closed') and method <> 'offset';
    if paid is not null and given > paid then
        raise exception 'refunds of % come to more than was paid', new.order_ref
            using errcode = 'check_violation', constraint = 'never_more_than_was_paid';
    end if;
    return null;
end $$;
create trigger never_more_than_was_paid after update of state on core.refunds
    for each row when (new.state in ('approved', 'submitted', 'pending', 'confirmed', 'credited',
        'closed')) execute function core.refuse_over_refund();

create table core.refund_lines (
    refund_ref text not null references core.refunds on delete cascade,
    line_no bigint not null,
    line_ref text,
    kind text not null,
    sku text,
    units bigint not null,
    net_amount numeric(20, 6) not null,
    tax_amount numeric(20, 6) not null,
    taxes jsonb not null,
    run_id text,
    primary key (refund_ref, line_no),
    constraint refund_line_kind_is_known check (kind in ('product', 'shipping', 'fee')),
    constraint refund_line_counts check (units >= 0)
);

-- Units that the ERP booked back, by return and SKU: once, whoever did it.
create table core.restocked (
    return_ref text not null,
    sku text not null,
    system text not null,
    units bigint not null,
    -- who booked it: us, or somebody else in the ERP
    booked_by text not null,
    booked_at timestamptz not null,
    remote_id text,
    primary key (return_ref, sku),
    constraint restocked_counts check (units > 0),
    constraint booker_is_known check (booked_by in ('pipeline', 'somebody'))
);

-- What payment providers said of refunds: signed words, kept as received.
create table core.refund_verdicts (
    provider text not null,
    refund_id text not null,
    state text not null,
    happened_at timestamptz not null,
    payment_id text,
    reference text,
    amount numeric(20, 6),
    currency text,
    reason text not null,
    refund_ref text,
    inbox_id bigint,
    primary key (provider, refund_id, state, happened_at),
    constraint verdict_is_known check (state in ('pending', 'confirmed', 'failed'))
);
create index verdicts_without_a_refund on core.refund_verdicts (provider) where refund_ref is null;

create table raw.woocommerce__refunds (like raw.woocommerce__orders including all);
create table raw.files__returns (like raw.woocommerce__orders including all);
create table raw.http__returns (like raw.woocommerce__orders including all);
create table raw.shipbob__returns (like raw.woocommerce__orders including all);
create table raw.odoo__returns (like raw.woocommerce__orders including all);
create table raw.tryton__returns (like raw.woocommerce__orders including all);
-- Requests to send something back, as their sender said them.
create table raw.requests__returns (like raw.woocommerce__orders including all);
