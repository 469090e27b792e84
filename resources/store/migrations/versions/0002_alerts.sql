-- Alerts told to people: one row per trouble, so that it is told once, repeated rarely, and ended.
create table ops.alert (
    key text primary key,
    title text not null,
    severity text not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    told_at timestamptz,
    told_count integer not null default 0,
    seen_count integer not null default 1,
    ended_at timestamptz,
    constraint alert_severity_is_known check (severity in ('info', 'warning', 'critical'))
);
