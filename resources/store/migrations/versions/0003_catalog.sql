-- What shops show, as they said it; variations stand apart because the shop lists them apart.
create table raw.woocommerce__products (like raw.woocommerce__orders including all);
create table raw.woocommerce__variations (like raw.woocommerce__orders including all);
-- Paths of categories by their ids: products name their categories only by their own names.
create table raw.woocommerce__categories (like raw.woocommerce__orders including all);

create table core.products (
    system text not null,
    item_id bigint not null,
    sku text,
    family_ref text,
    family_name text,
    kind text not null,
    name text not null,
    description text not null,
    is_active boolean not null,
    is_for_sale boolean not null,
    is_stocked boolean not null,
    is_virtual boolean not null,
    tax_class text not null,
    weight_g numeric(20, 6),
    barcode text,
    item_group text not null,
    categories jsonb not null,
    attributes jsonb not null,
    images jsonb not null,
    changed_at timestamptz not null,
    raw_version bigint not null,
    run_id text,
    primary key (system, item_id),
    constraint product_kind_is_known check (kind in ('simple', 'variation', 'kit', 'service')),
    constraint variation_has_a_family check (kind <> 'variation' or family_ref is not null)
);
create index products_by_sku on core.products (system, sku);
create index products_by_folded_sku on core.products (system, lower(sku));
create index products_by_family on core.products (family_ref) where family_ref is not null;
create index products_by_group on core.products (system, item_group);

create table core.prices (
    price_ref text primary key,
    system text not null,
    item_id bigint not null,
    sku text,
    price_list text not null,
    currency text,
    kind text not null,
    minimum_units numeric(20, 6) not null,
    amount numeric(20, 6) not null,
    valid_from timestamptz,
    valid_until timestamptz,
    run_id text,
    constraint price_kind_is_known check (kind in ('regular', 'sale')),
    constraint price_has_a_span check (valid_until is null or valid_from is null
        or valid_until > valid_from)
);
create index prices_of_item on core.prices (system, item_id);

create table core.product_components (
    system text not null,
    item_id bigint not null,
    sku text,
    component_id bigint not null,
    component_sku text,
    component_units numeric(20, 6) not null,
    run_id text,
    primary key (system, item_id, component_id),
    constraint component_counts check (component_units > 0)
);
create index components_by_sku on core.product_components (component_sku);

-- What limits how many kits there are: a service in it, or what no stock is kept of, does not.
create view core.kit_components as
    select distinct c.system, c.sku, c.component_sku, c.component_units
    from core.product_components c
    where c.sku is not null and not exists (
        select from core.products p where p.system = c.system and p.item_id = c.component_id
            and not p.is_stocked);

create table core.listings (
    store text not null,
    product_id bigint not null,
    parent_id bigint,
    sku text,
    kind text not null,
    name text not null,
    status text not null,
    description text not null,
    regular_amount numeric(20, 6),
    sale_amount numeric(20, 6),
    sale_from timestamptz,
    sale_until timestamptz,
    tax_status text not null,
    tax_class text not null,
    is_virtual boolean not null,
    weight text not null,
    barcode text not null,
    categories jsonb not null,
    attributes jsonb not null,
    images jsonb not null,
    stock_management text not null,
    stock_units bigint,
    backorders text not null,
    stock_status text not null,
    lead_days bigint,
    changed_at timestamptz not null,
    raw_version bigint not null,
    run_id text,
    primary key (store, product_id),
    constraint listing_management_is_known check (stock_management in ('yes', 'no', 'parent'))
);
create index listings_by_sku on core.listings (store, lower(sku));
create index listings_of_parent on core.listings (store, parent_id) where parent_id is not null;

-- Where a field of a listing is not what its owner says (the report per channel).
create table core.listing_mismatches (
    store text not null,
    product_id bigint not null,
    key text not null,
    field text not null,
    wanted text,
    seen text,
    owner text not null,
    -- put_back: we write ours again; raised: a person decides; accepted: the shop owns it.
    treatment text not null,
    since timestamptz not null,
    run_id text,
    primary key (store, product_id, field),
    constraint treatment_is_known check (treatment in ('to_write', 'put_back', 'raised', 'accepted'))
);

create table plan.woocommerce__products (
    system text not null,
    key text not null,
    sku text,
    action text not null,
    reason text,
    product_id bigint,
    parent_key text,
    item_group text not null,
    wanted jsonb,
    changed_fields text[] not null default '{}',
    wanted_hash text not null,
    core_version bigint not null,
    planned_at timestamptz not null,
    run_id text,
    primary key (system, key),
    constraint plan_action_is_known check (
        action in ('create', 'change', 'archive', 'none', 'conflict'))
);
create index product_plans_by_group on plan.woocommerce__products (system, item_group);

create table receipt.woocommerce__products (
    system text not null,
    key text not null,
    sku text,
    outcome text not null,
    product_id bigint,
    parent_id bigint,
    -- What we last wrote, field by field: what differs from it later was changed over there.
    written jsonb not null default '{}',
    wanted_hash text not null,
    attempts integer not null,
    answered_at timestamptz not null,
    shop_changed_at timestamptz,
    correlation_id text,
    run_id text,
    primary key (system, key),
    constraint receipt_outcome_is_known check (
        outcome in ('created', 'changed', 'adopted', 'archived', 'refused'))
);
create index product_receipts_by_id on receipt.woocommerce__products (system, product_id);
