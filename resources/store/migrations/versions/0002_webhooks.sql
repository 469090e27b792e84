-- The webhooks we have in shops, as last seen, and what was done about their health.
create table ops.webhook (
    store text not null,
    topic text not null,
    webhook_id text not null,
    status text not null,
    delivery_url text not null,
    checked_at timestamptz not null,
    mended_at timestamptz,
    mended_count integer not null default 0,
    primary key (store, topic)
);
