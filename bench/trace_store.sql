-- The store that bench/trace.py measures in: one statement a table, from the orders' numbers alone.
-- {orders} is replaced by how many there are. What does not lead from one order to another has one
-- value for all; of payloads there is as much as keeps the pages as full as in a real store.

-- 50 % were asked of a warehouse, 40 % left, 30 % arrived, 5 % came back, 7 % were refunded. Writes
-- are kept for half of the time, as the retention of 180 days has it.
create unlogged table public.bench_orders as
select n, s.store, (1000 + n / 3)::text as id, s.store || ':' || (1000 + n / 3) as ref,
       case when n % 10 < 7 then 'odoo' else 'tryton' end as erp,
       case when n % 4 < 3 then 'north' else 'south' end as place,
       n % 10 < 5 as is_asked, n % 10 < 4 as is_shipped, n % 10 < 3 as is_delivered,
       n % 20 = 1 as is_returned, n % 20 = 1 or n % 50 = 2 as is_refunded,
       case when n % 4 < 3 then 'north:' else 'south:' end || (7000000 + n) as shipment,
       '1Z' || lpad(n::text, 16, '0') as tracking,
       left(md5(s.store || n), 16) as hash, left(md5(n::text), 16) as correlation,
       n > {orders} / 2 as is_kept,
       timestamptz '2026-11-01 00:00+00' - ({orders} - n) * interval '30 seconds' as at
from generate_series(1, {orders}) n
cross join lateral (select (array['us', 'uk', 'de'])[1 + n % 3] as store) s;

insert into raw.woocommerce__orders (source, resource_id, changed_at, content_hash, payload, via,
    received_at, run_id, correlation_id, mapped_at)
select store, id, at + v * interval '1 hour', decode(md5(ref || v), 'hex'),
       json_build_object('id', n, 'number', id, 'filler', repeat(md5(n::text), 2)),
       case v when 0 then 'webhook' else 'delta' end, at + v * interval '1 hour' + interval '5 s',
       'run-' || n / 100, correlation, at + v * interval '1 hour' + interval '9 s'
from public.bench_orders cross join generate_series(0, 1) v where v = 0 or n % 4 = 0;

insert into core.orders (order_ref, store, order_id, order_number, state, shop_status, currency,
    prices_include_tax, placed_at, paid_at, changed_at, customer_ref, payment_method, payment_ref,
    net_amount, shipping_amount, fee_amount, tax_amount, discount_amount, rounding_amount,
    total_amount, refunded_amount, raw_version, run_id)
select ref, store, id, id, 'paid', 'processing', 'USD', false, at, at, at, store || ':c' || n,
       'stripe', 'pi_' || md5('p' || n), 31.80, 5, 0, 2.31, 0, 0, 39.11, 0, n, 'run-' || n / 100
from public.bench_orders;

insert into core.order_lines (line_ref, order_ref, kind, position, sku, product_id, description,
    quantity, currency, subtotal_amount, net_amount, tax_amount, run_id)
select ref || ':product:' || l, ref, 'product', l, 'SKU-' || (n * 7 + l) % 20000, '17',
       'An article of the assortment', l, 'USD', 15.90, 15.90, 1.15, 'run-' || n / 100
from public.bench_orders cross join generate_series(1, 2) l;

insert into core.order_line_progress (order_ref, line_ref, sku, ordered_units, cancelled_units,
    requested_units, shipped_units, delivered_units, returned_units, refunded_units)
select ref, ref || ':product:' || l, 'SKU-' || (n * 7 + l) % 20000, l, 0, is_asked::int * l,
       is_shipped::int * l, is_delivered::int * l, is_returned::int * l, is_refunded::int * l
from public.bench_orders cross join generate_series(1, 2) l where is_asked;

insert into core.order_changes (order_ref, raw_version, changed_at, field, before, after, run_id)
select ref, {orders} + n, at + interval '1 hour', 'state', 'pending_payment', 'paid', 'run-1'
from public.bench_orders where n % 4 = 0;

insert into plan.odoo__sales_orders (system, order_ref, action, reason, wanted_hash, core_version,
    amount, currency, planned_at, run_id)
select erp, ref, 'create', 'paid, and not there yet', hash, n, 39.11, 'USD',
       at + interval '10 s', 'run-' || n / 100
from public.bench_orders where erp = 'odoo';

insert into plan.tryton__sales_orders (system, order_ref, action, reason, wanted_hash, core_version,
    amount, currency, planned_at, run_id)
select erp, ref, 'create', 'paid, and not there yet', hash, n, 39.11, 'USD',
       at + interval '10 s', 'run-' || n / 100
from public.bench_orders where erp = 'tryton';

insert into receipt.odoo__sales_orders (system, order_ref, outcome, remote_id, remote_number,
    remote_state, total_amount, currency, wanted_hash, core_version, attempts, answered_at,
    correlation_id, run_id)
select erp, ref, 'accepted', n, 'S' || lpad(n::text, 7, '0'), 'sale', 39.11, 'USD', hash, n, 1,
       at + interval '12 s', correlation, 'run-' || n / 100
from public.bench_orders where erp = 'odoo';

insert into receipt.tryton__sales_orders (system, order_ref, outcome, remote_id, remote_number,
    remote_state, total_amount, currency, wanted_hash, core_version, attempts, answered_at,
    correlation_id, run_id)
select erp, ref, 'accepted', n, 'T' || n, 'processing', 39.11, 'USD', hash, n, 1,
       at + interval '12 s', correlation, 'run-' || n / 100
from public.bench_orders where erp = 'tryton';

insert into core.ref (our_ref, kind, system, remote_kind, remote_id, remote_number, first_seen_at)
select ref, 'order', erp, 'sales_order', n::text,
       case erp when 'odoo' then 'S' || lpad(n::text, 7, '0') else 'T' || n end, at
from public.bench_orders
union all
select ref || ':f1', 'fulfilment', place, 'order', 'w' || n, 'WO-' || n, at
from public.bench_orders where is_asked;

insert into ops.outbox (system, operation, thing_ref, business_key, wanted_hash, core_version, lane,
    state, attempts, due_at, correlation_id, created_at, updated_at)
select erp, 'sales_order.create', ref, 'sales_order.create:' || ref, hash, n, 2, 'done', 1,
       at, correlation, at, at
from public.bench_orders where is_kept
union all
select place, 'fulfilment.create', ref || ':f1', 'fulfilment.create:' || ref || ':f1', hash, n,
       3, 'done', 1, at, correlation, at, at
from public.bench_orders where is_asked and is_kept
union all
select w.system, w.operation, shipment || '/' || ref, w.operation || ':' || shipment || '/' || ref,
       hash, n, 3, 'done', 1, at, correlation, at, at
from public.bench_orders
cross join lateral (values (erp, 'delivery.create'), (store, 'notice.create')) w (system, operation)
where is_shipped and is_kept;

insert into core.fulfilment_orders (fulfilment_ref, order_ref, store, location, system, state,
    state_at, release_at, planned_at, reason, core_version, run_id)
select ref || ':f1', ref, store, place, place,
       case when is_shipped then 'shipped' else 'acknowledged' end, at + interval '2 hours',
       at + interval '15 min', at + interval '1 min', 'the nearest that has all of it', n, 'run-1'
from public.bench_orders where is_asked;

insert into core.fulfilment_lines (fulfilment_ref, line_ref, order_ref, sku, units)
select ref || ':f1', ref || ':product:' || l, ref, 'SKU-' || (n * 7 + l) % 20000, l
from public.bench_orders cross join generate_series(1, 2) l where is_asked;

insert into plan.http__fulfilment_orders (system, key, order_ref, action, reason, wanted_hash,
    core_version, planned_at, run_id)
select place, ref || ':f1', ref, 'create', 'released', hash, n, at + interval '15 min', 'run-1'
from public.bench_orders where is_asked and place = 'north';

insert into plan.files__fulfilment_orders (system, key, order_ref, action, reason, wanted_hash,
    core_version, planned_at, run_id)
select place, ref || ':f1', ref, 'create', 'released', hash, n, at + interval '15 min', 'run-1'
from public.bench_orders where is_asked and place = 'south';

insert into receipt.http__fulfilment_orders (system, key, order_ref, outcome, remote_id,
    remote_number, remote_state, wanted_hash, core_version, attempts, answered_at, payload, run_id)
select place, ref || ':f1', ref, 'accepted', 'w' || n, 'WO-' || n, 'acknowledged', hash, n, 1,
       at + interval '16 min', '{}', 'run-1'
from public.bench_orders where is_asked and place = 'north';

insert into receipt.files__fulfilment_orders (system, key, order_ref, outcome, remote_id,
    remote_number, remote_state, wanted_hash, core_version, attempts, answered_at, payload, run_id)
select place, ref || ':f1', ref, 'accepted', 'w' || n, 'WO-' || n, 'acknowledged', hash, n, 1,
       at + interval '16 min', '{}', 'run-1'
from public.bench_orders where is_asked and place = 'south';

insert into core.shipments (shipment_ref, system, remote_number, location, state, shipped_at,
    carrier, carrier_words, told_reference, changed_at, raw_version, run_id)
select shipment, place, 'SHP/' || n, place, 'shipped', at + interval '2 hours', 'ups', 'UPS',
       ref || ':f1', at + interval '2 hours', n, 'run-1'
from public.bench_orders where is_shipped;

insert into core.shipment_lines (shipment_ref, line_no, order_ref, fulfilment_ref, line_ref, sku,
    units, is_cancelled, parcel_ref, run_id)
select shipment, l - 1, ref, ref || ':f1', ref || ':product:' || l, 'SKU-' || (n * 7 + l) % 20000,
       l, false, 'parcel:' || tracking, 'run-1'
from public.bench_orders cross join generate_series(1, 2) l where is_shipped;

insert into core.parcels (parcel_ref, tracking_number, carrier, carrier_words, state, state_at,
    delivered_at, is_return, run_id)
select 'parcel:' || tracking, tracking, 'ups', 'UPS',
       case when is_delivered then 'delivered' else 'in_transit' end, at + interval '2 days',
       case when is_delivered then at + interval '2 days' end, false, 'run-1'
from public.bench_orders where is_shipped;

insert into core.tracking_events (event_ref, parcel_ref, carrier, tracking_number, state, is_known,
    code, words, happened_at, has_zone, place, told_by, run_id)
select md5(n || '/' || e), 'parcel:' || tracking, 'ups', tracking,
       (array['label_created', 'picked_up', 'in_transit', 'delivered'])[e], true,
       (array['M', 'P', 'I', 'D'])[e],
       (array['Label created', 'Picked up', 'Departed from facility', 'Delivered'])[e],
       at + e * interval '12 hours', true, 'Springfield, IL', 'easypost', 'run-1'
from public.bench_orders cross join generate_series(1, 4) e
where is_shipped and (e < 4 or is_delivered);

insert into raw.http__shipments (source, resource_id, changed_at, content_hash, payload, via,
    received_at, run_id, mapped_at)
select place, (7000000 + n)::text, at, decode(md5(shipment), 'hex'),
       json_build_object('id', n, 'filler', repeat(md5(n::text), 5)), 'delta', at, 'run-1', at
from public.bench_orders where is_shipped and place = 'north';

insert into plan.odoo__deliveries (system, key, order_ref, action, reason, wanted_hash,
    core_version, planned_at, run_id)
select erp, shipment || '/' || ref, ref, 'create', 'it left', hash, n, at, 'run-1'
from public.bench_orders where is_shipped;

insert into receipt.odoo__deliveries (system, key, order_ref, outcome, remote_id, remote_number,
    remote_state, wanted_hash, core_version, attempts, answered_at, payload, run_id)
select erp, shipment || '/' || ref, ref, 'accepted', (3000000 + n)::text, 'WH/OUT/' || n, 'done',
       hash, n, 1, at + interval '3 hours', jsonb_build_object('journal', 'STJ/2026/' || n),
       'run-1'
from public.bench_orders where is_shipped;

-- A notice does not name its order: only its key leads there.
insert into receipt.woocommerce__notices (system, key, outcome, remote_id, wanted_hash,
    core_version, attempts, answered_at, payload, run_id)
select store, shipment || '/' || ref, 'accepted', (9000000 + n)::text, hash, n, 1,
       at + interval '3 hours', '{}', 'run-1'
from public.bench_orders where is_shipped;

insert into core.returns (return_ref, order_ref, store, source, state, state_at, reason,
    is_exchange, exchange_order_ref, location, tracking_number, sender_ref, requested_at,
    received_at, run_id)
select ref || ':r1', ref, store, 'request', 'closed', at + interval '9 days', 'too small',
       n % 100 = 1, case when n % 100 = 1 then store || ':' || (1000 + n / 3 + 1) end, place,
       '1ZR' || lpad(n::text, 15, '0'), 'desk:RMA-' || n, at + interval '5 days',
       at + interval '8 days', 'run-1'
from public.bench_orders where is_returned;

insert into core.return_lines (return_ref, line_no, line_ref, sku, requested_units, received_units,
    restock_units, refurbish_units, write_off_units)
select ref || ':r1', l - 1, ref || ':product:' || l, 'SKU-' || (n * 7 + l) % 20000, l, l, l, 0, 0
from public.bench_orders cross join generate_series(1, 2) l where is_returned;

insert into core.restocked (return_ref, sku, system, units, booked_by, booked_at, remote_id)
select ref || ':r1', 'SKU-' || (n * 7 + 1) % 20000, erp, 1, 'pipeline', at + interval '9 days', n
from public.bench_orders where is_returned;

insert into core.refunds (refund_ref, order_ref, store, return_ref, source, method, state, state_at,
    currency, amount, net_amount, shipping_amount, fee_amount, tax_amount, unassigned_amount,
    reason, provider_ref, shop_refund_id, refunded_at, run_id)
select store || ':' || (5000000 + n), ref, store, case when is_returned then ref || ':r1' end,
       'shop_refund', 'gateway', 'closed', at + interval '10 days', 'USD', 10, 9, 0, 0, 1, 0, null,
       're_' || md5('r' || n), (5000000 + n)::text, at + interval '9 days', 'run-1'
from public.bench_orders where is_refunded;

insert into core.refund_lines (refund_ref, line_no, line_ref, kind, sku, units, net_amount,
    tax_amount, taxes)
select store || ':' || (5000000 + n), 0, ref || ':product:1', 'product',
       'SKU-' || (n * 7 + 1) % 20000, 1, 9, 1, '{}'
from public.bench_orders where is_refunded;

insert into core.refund_verdicts (provider, refund_id, state, happened_at, reason, refund_ref)
select 'stripe', 're_' || md5('r' || n), 'confirmed', at + interval '10 days', '',
       store || ':' || (5000000 + n)
from public.bench_orders where is_refunded;

insert into receipt.odoo__credit_memos (system, key, order_ref, outcome, remote_id, remote_number,
    remote_state, amount, currency, wanted_hash, core_version, attempts, answered_at, payload,
    run_id)
select erp, store || ':' || (5000000 + n), ref, 'accepted', (6000000 + n)::text,
       'RINV/2026/' || n, 'posted', 10, 'USD', hash, n, 1, at + interval '10 days',
       jsonb_build_object('journal', 'MISC/2026/' || n), 'run-1'
from public.bench_orders where is_refunded;

insert into core.saga_steps (saga, subject_ref, from_state, to_state, actor, reason, cause, at,
    run_id)
select 'fulfilment', ref || ':f1',
       (array['', 'planned', 'released', 'acknowledged'])[s],
       (array['planned', 'released', 'acknowledged', 'shipped'])[s], 'pipeline',
       'the rules say so', 'plan', at + s * interval '10 min', 'run-1'
from public.bench_orders cross join generate_series(1, 4) s
where is_asked and (s < 4 or is_shipped)
union all
select 'return', ref || ':r1',
       (array['', 'requested', 'approved', 'in_transit', 'received', 'inspected', 'refunding'])[s],
       (array['requested', 'approved', 'in_transit', 'received', 'inspected', 'refunding',
           'closed'])[s],
       'pipeline', 'the rules say so', 'event', at + s * interval '1 day', 'run-1'
from public.bench_orders cross join generate_series(1, 7) s where is_returned
union all
select 'refund', store || ':' || (5000000 + n),
       (array['', 'requested', 'approved', 'submitted', 'confirmed', 'credited'])[s],
       (array['requested', 'approved', 'submitted', 'confirmed', 'credited', 'closed'])[s],
       'shop:' || store, 'the shop made it', 'raw version', at + s * interval '1 hour', 'run-1'
from public.bench_orders cross join generate_series(1, 6) s where is_refunded;

insert into ops.exception (code, subject_kind, subject_ref, message, owner_role, blocks,
    can_release, state, opened_at, due_at)
select 'order.changed_after_acceptance', 'order', ref, 'it was edited in the shop', 'operations',
       false, false, 'open', at, at + interval '1 day'
from public.bench_orders where n % 100 = 99;

insert into ops.audit (id, at, actor, action, subject_ref, detail, previous_hash, hash)
overriding system value
select n, at, 'ann', 'exception.assigned', ref, '{"note": "looking"}', '\x00', '\x00'
from public.bench_orders where n % 100 = 99;
