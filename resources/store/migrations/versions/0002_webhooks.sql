-- The webhooks we have in shops, as last seen, and what was done about their health. No secret is
-- kept: a short salted digest tells whether the shop signs with the secret we would give it today.
create table ops.webhook (
    store text not null,
    topic text not null,
    webhook_id text,
    status text not null,
    delivery_url text not null,
    secret_digest text,
    reason text not null,
    checked_at timestamptz not null,
    healthy_at timestamptz,
    mended_at timestamptz,
    mended_count integer not null default 0,
    primary key (store, topic),
    constraint webhook_status_is_known check (status in ('active', 'paused', 'disabled', 'missing')),
    constraint webhook_missing_has_no_id check ((status = 'missing') = (webhook_id is null))
);

-- What neither webhooks nor deltas tell is found by comparing ids: things never seen, and orders
-- that are gone, of which the shop's own answer is kept.
alter table raw.woocommerce__orders drop constraint raw_via_is_known;
alter table raw.woocommerce__orders add constraint raw_via_is_known
    check (via in ('delta', 'backfill', 'webhook', 'read_back', 'trash', 'scan', 'gone'));
alter table raw.woocommerce__customers drop constraint raw_via_is_known;
alter table raw.woocommerce__customers add constraint raw_via_is_known
    check (via in ('delta', 'backfill', 'webhook', 'read_back', 'trash', 'scan'));
