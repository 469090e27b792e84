-- What an account may spend, shared by every process: refilled by time, corrected by what the
-- system's own limit headers say.
create table ops.bucket (
    account text primary key,
    tokens numeric(20, 6) not null,
    filled_at timestamptz not null,
    blocked_until timestamptz,
    updated_at timestamptz not null
);

-- The circuit breaker's memory: failures in a row, and when a probe may go.
alter table ops.system add column failures integer not null default 0;
alter table ops.system add column opened_at timestamptz;
alter table ops.system add column probe_at timestamptz;
alter table ops.system add column probed_by text;

-- Calls per system and minute, for error rates.
create table ops.calls (
    system text not null,
    minute timestamptz not null,
    calls bigint not null default 0,
    errors bigint not null default 0,
    throttled bigint not null default 0,
    seconds numeric(20, 6) not null default 0,
    primary key (system, minute)
);
