-- Alerts told to people: one row per trouble, so that it is told once, repeated rarely, and ended.
create table ops.alert (
    key text primary key,
    -- who looks for it: what that watch no longer finds has ended
    scope text not null,
    title text not null,
    severity text not null,
    what text not null,
    next_step text not null,
    things text[] not null default '{}',
    things_count bigint not null default 0,
    -- sums by currency, in words
    at_stake text not null default '',
    -- since when the trouble is there, and since when we know
    since_at timestamptz not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    seen_count bigint not null default 1,
    ended_at timestamptz,
    constraint alert_severity_is_known check (severity in ('info', 'warning', 'critical')),
    constraint alert_names_few_things check (cardinality(things) <= 20),
    constraint alert_ends_after_it_began check (ended_at is null or ended_at >= first_at)
);
create index alert_open on ops.alert (scope) where ended_at is null;

-- Which channel was told of which alert: one that failed is due again, the others are not. Whoever
-- tells claims first, so that two processes tell once.
create table ops.alert_told (
    key text not null references ops.alert on delete cascade,
    channel text not null,
    claimed_until timestamptz,
    told_at timestamptz,
    told_severity text,
    told_count bigint not null default 0,
    end_told_at timestamptz,
    primary key (key, channel),
    constraint telling_has_a_severity check ((told_at is null) = (told_severity is null)),
    constraint an_end_is_told_after_the_trouble check (end_told_at is null or told_at is not null)
);

-- What was set aside is rare and asked for every minute.
create index inbox_quarantined on ops.inbox (settled_at) where state = 'quarantined';

-- How long the orders of the last hour took, asked for every minute.
create index odoo_receipts_by_time on receipt.odoo__sales_orders (answered_at);
create index tryton_receipts_by_time on receipt.tryton__sales_orders (answered_at);
