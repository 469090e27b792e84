create view mart.order_progress as
    select p.order_ref, o.store, o.order_number, p.line_ref, p.sku, p.ordered_units,
           p.cancelled_units, p.requested_units, p.shipped_units, p.delivered_units,
           p.returned_units, p.refunded_units,
           greatest(p.ordered_units - p.cancelled_units - p.shipped_units, 0) as open_units
    from core.order_line_progress p join core.orders o using (order_ref);

create view mart.fulfilments as
    select f.fulfilment_ref, f.order_ref, f.store, f.location, f.system, f.state, f.state_at,
           f.planned_at, f.release_at, f.ship_by_at, r.remote_id, r.remote_number,
           r.answered_at as acknowledged_at,
           (select sum(l.units) from core.fulfilment_lines l
            where l.fulfilment_ref = f.fulfilment_ref) as units
    from core.fulfilment_orders f
    left join receipt.fulfilment_orders r
        on r.key = f.fulfilment_ref and r.system = f.system and r.outcome = 'accepted';

create view mart.shipments as
    select s.shipment_ref, s.system, s.remote_number, s.location, s.state, s.shipped_at, s.carrier,
           l.order_ref, l.fulfilment_ref, l.line_ref, l.sku, l.units, l.is_cancelled, l.parcel_ref,
           p.tracking_number, p.state as parcel_state, p.state_at as parcel_state_at, p.delivered_at
    from core.shipments s
    join core.shipment_lines l using (shipment_ref)
    left join core.parcels p using (parcel_ref);

create view mart.tracking_events as
    select e.parcel_ref, e.tracking_number, e.carrier, e.state, e.is_known, e.code, e.words,
           e.happened_at, e.has_zone, e.place, e.told_by
    from core.tracking_events e;

create view mart.returns as
    select r.return_ref, r.order_ref, r.store, r.source, r.state, r.state_at, r.is_exchange,
           r.exchange_order_ref, r.location, r.tracking_number, r.requested_at, r.received_at,
           coalesce(sum(l.requested_units), 0) as requested_units,
           coalesce(sum(l.received_units), 0) as received_units,
           coalesce(sum(l.restock_units), 0) as restock_units,
           coalesce(sum(l.refurbish_units), 0) as refurbish_units,
           coalesce(sum(l.write_off_units), 0) as write_off_units
    from core.returns r left join core.return_lines l using (return_ref)
    group by r.return_ref;

create view mart.refunds as
    select m.refund_ref, m.order_ref, m.store, m.return_ref, m.source, m.method, m.state,
           m.state_at, m.currency, m.amount, m.net_amount, m.shipping_amount, m.fee_amount,
           m.tax_amount, m.unassigned_amount, m.refunded_at, m.provider_ref,
           c.system as erp, c.remote_number as credit_memo, c.amount as credited_amount,
           c.answered_at as credited_at
    from core.refunds m
    left join receipt.credit_memos c on c.key = m.refund_ref and c.outcome = 'accepted';

-- What we owe customers for goods that were announced or came back and are not paid for: per day,
-- store and currency, with what came in, what was paid and what is open at the end of the day.
create view mart.return_liability as
    with promised as (
        select r.return_ref, r.store, o.currency, (s.at at time zone 'UTC')::date as day,
               sum(l.requested_units * coalesce(
                   (ol.net_amount + ol.tax_amount) / nullif(ol.quantity, 0), 0)) as amount
        from core.returns r
        join core.orders o using (order_ref)
        join core.return_lines l using (return_ref)
        left join core.order_lines ol on ol.line_ref = l.line_ref
        join lateral (select min(at) as at from core.saga_steps s
            where s.subject_ref = r.return_ref and s.saga = 'return' and s.to_state = 'approved') s
            on s.at is not null
        group by 1, 2, 3, 4
    ), settled as (
        select p.return_ref, (s.at at time zone 'UTC')::date as day
        from promised p
        join lateral (select min(at) as at from core.saga_steps s
            where s.subject_ref = p.return_ref and s.saga = 'return'
              and s.to_state in ('closed', 'cancelled', 'expired')) s on s.at is not null
    ), moves as (
        select store, currency, day, amount as approved_amount, 0::numeric as settled_amount
        from promised
        union all
        select p.store, p.currency, s.day, 0, p.amount from promised p join settled s using (return_ref)
    ), days as (
        select store, currency, day, sum(approved_amount) as approved_amount,
               sum(settled_amount) as settled_amount
        from moves group by 1, 2, 3
    )
    select store, currency, day, approved_amount, settled_amount,
           sum(approved_amount - settled_amount) over (
               partition by store, currency order by day) as open_amount
    from days;

comment on view mart.order_progress is 'One row per order line that ships, and what it has come to; version 1';
comment on view mart.fulfilments is 'One row per order and request to a warehouse; version 1';
comment on view mart.shipments is 'One row per shipped line with its parcel; version 1';
comment on view mart.tracking_events is 'One row per thing a carrier said about a parcel; version 1';
comment on view mart.returns is 'One row per return of goods, with units by what became of them; version 1';
comment on view mart.refunds is 'One row per refund with its credit memo; version 1';
comment on view mart.return_liability is
    'What is owed for approved returns, per store, currency and UTC day; version 1';
