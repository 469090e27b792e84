create view mart.products as
    select p.sku, p.system as erp, p.item_id, p.kind, p.name, p.family_name, p.item_group,
           p.is_active, p.is_for_sale, p.is_stocked, p.tax_class, p.weight_g, p.barcode, p.changed_at
    from core.products p;

create view mart.listings as
    select l.store, l.product_id, l.parent_id, l.sku, l.kind, l.name, l.status, l.regular_amount,
           l.sale_amount, l.sale_from, l.sale_until, l.stock_management, l.stock_units, l.backorders,
           l.stock_status, l.changed_at
    from core.listings l;

create view mart.availability as
    select a.channel, a.sku, a.atp_units, a.safety_units, a.sellable_units, a.backorder_units,
           a.lead_days, a.limited_by, a.scarcest_sku, a.policy_hash, a.computed_at,
           p.written_units as published_units, p.answered_at as published_at
    from core.availability a
    left join lateral (
        select r.written_units, r.answered_at from core.listings l
        join lateral (
            select * from receipt.woocommerce__stock r
            where r.system = l.store and r.product_id = l.product_id order by r.id desc limit 1
        ) r on true
        where l.store = a.channel and lower(l.sku) = lower(a.sku)
        order by l.product_id limit 1
    ) p on true;

create view mart.stock_history as
    select sku, location, source, on_hand_units, allocated_units, quarantined_units, incoming_units,
           on_hand_units - allocated_units - quarantined_units as free_units,
           true_at, known_at as valid_from, replaced_at as valid_until
    from core.stock_level_versions;

create view mart.availability_history as
    select channel, sku, atp_units, safety_units, sellable_units, backorder_units, lead_days,
           limited_by, scarcest_sku, policy_hash, computed_at as valid_from,
           replaced_at as valid_until
    from core.availability_versions;

create view mart.stock_drift as
    select store, compared_at, compared, missing, extra, different, off_units, exposed_amount,
           currency, healed, raised
    from core.stock_comparisons;

comment on view mart.products is 'One row per ERP and item; version 1';
comment on view mart.listings is 'One row per store and product or variation it shows; version 1';
comment on view mart.availability is
    'One row per channel and SKU: what it may sell now, why, and what was last published; version 1';
comment on view mart.stock_history is
    'Every stock level we ever knew; as of T: valid_from <= T and (valid_until is null or valid_until > T); version 1';
comment on view mart.availability_history is
    'Every number we ever worked out for a channel; same reading as of a moment; version 1';
comment on view mart.stock_drift is 'One row per store and comparison of its stock with ours; version 1';
