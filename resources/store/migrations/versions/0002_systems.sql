-- What an account may spend, shared by every process: refilled by time, corrected by what the
-- system's own limit headers say. Below zero, urgent calls have taken what comes next.
create table ops.bucket (
    account text primary key,
    tokens numeric(20, 6) not null,
    filled_at timestamptz not null,
    blocked_until timestamptz,
    told_rate numeric(20, 6),
    updated_at timestamptz not null,
    constraint bucket_rate_is_positive check (told_rate > 0)
);

-- The circuit breaker's memory: failures in a row, how often it opened since it last closed, and
-- when a probe may go. While the state is circuit_open, `until` says the same as probe_at; while a
-- person's pause holds, `until` is the person's, and the breaker's memory stays beside it.
alter table ops.system add column failures integer not null default 0;
alter table ops.system add column openings integer not null default 0;
alter table ops.system add column opened_at timestamptz;
alter table ops.system add column probe_at timestamptz;
alter table ops.system add column probed_by text;
alter table ops.system add constraint open_circuit_has_a_probe
    check (num_nonnulls(opened_at, probe_at) in (0, 2));
alter table ops.system add constraint probe_is_of_an_open_circuit
    check (probed_by is null or opened_at is not null);

-- Whether a system must not be asked: a person paused it, or its next probe is not due.
create function ops.rests(wanted text, moment timestamptz) returns boolean
language sql stable as $$
    select exists (
        select from ops.system s
        where s.system = wanted
          and (s.state in ('paused', 'circuit_open') and (s.until is null or s.until > moment)
               or s.probe_at > moment))
$$;

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
