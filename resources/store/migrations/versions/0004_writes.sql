-- What is to be written after the sale, and what was answered: one shape for every thing.
create function ops.add_written(kinds text[], thing text) returns void language plpgsql as $$
declare
    kind text;
    plans text := '';
    receipts text := '';
begin
    foreach kind in array kinds loop
        execute format($table$
            create table plan.%1$I (
                system text not null,
                key text not null,
                order_ref text,
                action text not null,
                reason text not null,
                wanted jsonb,
                wanted_hash text not null,
                core_version bigint not null,
                amount numeric(20, 6),
                currency text,
                planned_at timestamptz not null,
                run_id text,
                primary key (system, key),
                constraint plan_action_is_known check (
                    action in ('create', 'change', 'cancel', 'none', 'held', 'conflict'))
            );
            create index on plan.%1$I (order_ref);
            create table receipt.%1$I (
                system text not null,
                key text not null,
                order_ref text,
                outcome text not null,
                remote_id text,
                remote_number text,
                remote_state text,
                amount numeric(20, 6),
                currency text,
                wanted_hash text not null,
                core_version bigint not null,
                attempts integer not null,
                answered_at timestamptz not null,
                payload jsonb,
                correlation_id text,
                run_id text,
                primary key (system, key),
                constraint receipt_outcome_is_known check (
                    outcome in ('accepted', 'cancelled', 'refused'))
            );
            create index on receipt.%1$I (order_ref);
            create index on receipt.%1$I (key);
        $table$, kind || '__' || thing);
        plans := plans || case plans when '' then '' else ' union all ' end
            || format('select %L as kind, p.* from plan.%I p', kind, kind || '__' || thing);
        receipts := receipts || case receipts when '' then '' else ' union all ' end
            || format('select %L as kind, r.* from receipt.%I r', kind, kind || '__' || thing);
    end loop;
    execute format('create view plan.%I as %s', thing, plans);
    execute format('create view receipt.%I as %s', thing, receipts);
end $$;
select ops.add_written('{files,http,shipbob,odoo,tryton}', 'fulfilment_orders');
select ops.add_written('{odoo,tryton}', 'deliveries');
select ops.add_written('{odoo,tryton}', 'credit_memos');
-- Credit memos that were taken back, because their refund failed afterwards.
select ops.add_written('{odoo,tryton}', 'credit_reversals');
select ops.add_written('{odoo,tryton}', 'restocks');
select ops.add_written('{woocommerce}', 'notices');
select ops.add_written('{woocommerce}', 'completions');
select ops.add_written('{woocommerce}', 'refunds');
select ops.add_written('{woocommerce}', 'exchanges');
drop function ops.add_written(text[], text);

-- What must be looked at again, order by order: `fulfilment` (what it has come to, who is to ship
-- it), `fulfilment_plan` (what systems must be told of it) and `after_sale` (its returns and refunds),
-- marked by whatever changes what they rest on.
alter table ops.stale drop constraint queue_is_known;
alter table ops.stale add constraint queue_is_known check (queue in
    ('stock_reading', 'reservation', 'availability', 'stock_plan', 'fulfilment', 'fulfilment_plan',
        'after_sale'));

create function ops.mark_after_order() returns trigger language plpgsql as $$
begin
    insert into ops.stale as held (queue, key, since)
    select q.queue, n.order_ref, now()
    from (select distinct order_ref from new_rows where order_ref is not null) n
    cross join (values ('fulfilment'), ('after_sale')) q (queue)
    where q.queue = tg_argv[0] or tg_argv[0] = 'both'
    order by 1, 2
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create trigger new_receipts_go_on after insert on receipt.odoo__sales_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_receipts_go_on after update on receipt.odoo__sales_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_receipts_go_on after insert on receipt.tryton__sales_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_receipts_go_on after update on receipt.tryton__sales_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_orders_go_on after insert on core.orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_orders_go_on after update on core.orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_fulfilment_orders_go_on after insert on core.fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_fulfilment_orders_go_on after update on core.fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_shipment_lines_go_on after insert on core.shipment_lines
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_shipment_lines_go_on after update on core.shipment_lines
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger gone_shipment_lines_go_on after delete on core.shipment_lines
    referencing old table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_returns_go_on after insert on core.returns
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_returns_go_on after update on core.returns
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_refunds_go_on after insert on core.refunds
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_refunds_go_on after update on core.refunds
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_answers_go_on after insert on receipt.files__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger changed_answers_go_on after update on receipt.files__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger new_answers_go_on after insert on receipt.http__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger changed_answers_go_on after update on receipt.http__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger new_answers_go_on after insert on receipt.shipbob__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger changed_answers_go_on after update on receipt.shipbob__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger new_answers_go_on after insert on receipt.odoo__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger changed_answers_go_on after update on receipt.odoo__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger new_answers_go_on after insert on receipt.tryton__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger changed_answers_go_on after update on receipt.tryton__fulfilment_orders
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger new_answers_go_on after insert on receipt.odoo__deliveries
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_answers_go_on after update on receipt.odoo__deliveries
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_answers_go_on after insert on receipt.odoo__credit_memos
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger changed_answers_go_on after update on receipt.odoo__credit_memos
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger new_answers_go_on after insert on receipt.odoo__credit_reversals
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger changed_answers_go_on after update on receipt.odoo__credit_reversals
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger new_answers_go_on after insert on receipt.odoo__restocks
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger changed_answers_go_on after update on receipt.odoo__restocks
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger new_answers_go_on after insert on receipt.tryton__deliveries
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger changed_answers_go_on after update on receipt.tryton__deliveries
    referencing new table as new_rows for each statement execute function ops.mark_after_order('both');
create trigger new_answers_go_on after insert on receipt.tryton__credit_memos
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger changed_answers_go_on after update on receipt.tryton__credit_memos
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger new_answers_go_on after insert on receipt.tryton__credit_reversals
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger changed_answers_go_on after update on receipt.tryton__credit_reversals
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger new_answers_go_on after insert on receipt.tryton__restocks
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger changed_answers_go_on after update on receipt.tryton__restocks
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger new_answers_go_on after insert on receipt.woocommerce__notices
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger changed_answers_go_on after update on receipt.woocommerce__notices
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger new_answers_go_on after insert on receipt.woocommerce__completions
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger changed_answers_go_on after update on receipt.woocommerce__completions
    referencing new table as new_rows for each statement execute function ops.mark_after_order('fulfilment');
create trigger new_answers_go_on after insert on receipt.woocommerce__refunds
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger changed_answers_go_on after update on receipt.woocommerce__refunds
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger new_answers_go_on after insert on receipt.woocommerce__exchanges
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');
create trigger changed_answers_go_on after update on receipt.woocommerce__exchanges
    referencing new table as new_rows for each statement execute function ops.mark_after_order('after_sale');

-- A hold that begins or ends, and a parcel that comes to another state, concern their orders.
create function ops.mark_after_exception() returns trigger language plpgsql as $$
begin
    insert into ops.stale as held (queue, key, since)
    select 'fulfilment', k.key, now() from (
        select coalesce(
            (select f.order_ref from core.fulfilment_orders f where f.fulfilment_ref = new.subject_ref),
            (select r.order_ref from core.returns r where r.return_ref = new.subject_ref),
            (select m.order_ref from core.refunds m where m.refund_ref = new.subject_ref),
            new.subject_ref) as key) k
    where exists (select from core.orders o where o.order_ref = k.key)
    on conflict (queue, key) do update set since = held.since;
    insert into ops.stale as held (queue, key, since)
    select 'after_sale', k.key, now() from (
        select coalesce(
            (select r.order_ref from core.returns r where r.return_ref = new.subject_ref),
            (select m.order_ref from core.refunds m where m.refund_ref = new.subject_ref)) as key) k
    where k.key is not null
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create trigger ended_exceptions_go_on after update of state on ops.exception
    for each row when (old.state <> new.state) execute function ops.mark_after_exception();

create function ops.mark_after_parcel() returns trigger language plpgsql as $$
begin
    insert into ops.stale as held (queue, key, since)
    select q.queue, l.order_ref, now()
    from (select distinct order_ref from core.shipment_lines
        where parcel_ref = new.parcel_ref and order_ref is not null) l
    cross join (values ('fulfilment'), ('after_sale')) q (queue)
    order by 1, 2
    on conflict (queue, key) do update set since = held.since;
    insert into ops.stale as held (queue, key, since)
    select distinct 'after_sale', r.order_ref, now() from core.returns r
    where r.order_ref is not null
      and 'parcel:' || regexp_replace(upper(r.tracking_number), '[^0-9A-Z]', '', 'g') = new.parcel_ref
    order by 2
    on conflict (queue, key) do update set since = held.since;
    return null;
end $$;
create trigger moved_parcels_go_on after update of state on core.parcels
    for each row when (old.state <> new.state) execute function ops.mark_after_parcel();

-- Where orders were accepted before, shipments and refunds begin here: what was shipped and credited
-- by other means until now is not done a second time. A new deployment has no beginning.
insert into ops.watermark (source, stream, complete_until, updated_at)
select 'after_sale', 'start', now(), now() where exists (select from core.orders);

-- An order that ended in its shop waits for its warehouse before the ERP hears of it.
alter table plan.odoo__sales_orders drop constraint plan_action_is_known;
alter table plan.odoo__sales_orders add constraint plan_action_is_known
    check (action in ('create', 'change', 'cancel', 'wait', 'none', 'conflict'));
alter table plan.tryton__sales_orders drop constraint plan_action_is_known;
alter table plan.tryton__sales_orders add constraint plan_action_is_known
    check (action in ('create', 'change', 'cancel', 'wait', 'none', 'conflict'));
