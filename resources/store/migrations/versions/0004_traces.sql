-- Any reference leads to its order, and an order to all that happened to it, by an index each.
create index refs_by_remote_id on core.ref (remote_id);
create index writes_of_thing on ops.outbox (thing_ref);
create index audit_of_subject on ops.audit (subject_ref);
create index odoo_receipts_of_order on receipt.odoo__sales_orders (order_ref);
create index tryton_receipts_of_order on receipt.tryton__sales_orders (order_ref);
create index odoo_receipts_by_number on receipt.odoo__sales_orders (remote_number);
create index tryton_receipts_by_number on receipt.tryton__sales_orders (remote_number);
create index changes_of_order on core.order_changes (order_ref);
