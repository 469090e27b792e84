-- Any reference leads to its order, and an order to all that happened to it, by an index each.
create index refs_by_remote_id on core.ref (remote_id);
create index writes_of_thing on ops.outbox (thing_ref);
create index audit_of_subject on ops.audit (subject_ref);
create index odoo_receipts_of_order on receipt.odoo__sales_orders (order_ref);
create index tryton_receipts_of_order on receipt.tryton__sales_orders (order_ref);
create index odoo_receipts_by_number on receipt.odoo__sales_orders (remote_number);
create index tryton_receipts_by_number on receipt.tryton__sales_orders (remote_number);

-- What people have in hand: numbers and ids that shops, warehouses, customers and providers gave.
create index orders_by_id on core.orders (order_id);
create index shipments_by_remote_id on core.shipments (substr(shipment_ref, length(system) + 2));
create index returns_by_sender on core.returns (sender_ref) where sender_ref is not null;
-- A sender's reference is kept behind its name: "desk:RMA-5".
create index returns_by_senders_id on core.returns (substr(sender_ref, strpos(sender_ref, ':') + 1))
    where sender_ref is not null;
create index returns_by_exchange on core.returns (exchange_order_ref)
    where exchange_order_ref is not null;
-- As parcels are compared, however somebody wrote the number.
create index returns_by_parcel on core.returns
    (('parcel:' || regexp_replace(upper(tracking_number), '[^0-9A-Z]', '', 'g')))
    where tracking_number is not null;
create index refunds_by_shop_id on core.refunds (shop_refund_id) where shop_refund_id is not null;
create index verdicts_by_id on core.refund_verdicts (refund_id);
create index verdicts_of_refund on core.refund_verdicts (refund_ref) where refund_ref is not null;

-- Not everything that is written is in the identity map, but every receipt has its id and number.
create function ops.index_receipts(tables text[]) returns void language plpgsql as $$
declare
    name text;
begin
    foreach name in array tables loop
        execute format('create index on receipt.%I (remote_id) where remote_id is not null', name);
        execute format('create index on receipt.%I (remote_number) where remote_number is not null', name);
    end loop;
end $$;
select ops.index_receipts('{files__fulfilment_orders,http__fulfilment_orders,
    shipbob__fulfilment_orders,odoo__fulfilment_orders,tryton__fulfilment_orders,odoo__deliveries,
    tryton__deliveries,odoo__credit_memos,tryton__credit_memos,odoo__credit_reversals,
    tryton__credit_reversals,odoo__restocks,tryton__restocks,woocommerce__refunds,
    woocommerce__exchanges}');
drop function ops.index_receipts(text[]);
