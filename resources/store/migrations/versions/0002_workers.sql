-- Runs handed to a warm worker: asked for, taken by one of them, or taken back by the launcher.
create table ops.handover (
    run_id text primary key,
    asked_at timestamptz not null,
    taken_at timestamptz,
    taken_by text,
    ended_at timestamptz,
    constraint handover_taken_is_signed check (num_nonnulls(taken_at, taken_by) in (0, 2)),
    constraint handover_ends_after_it_is_taken check (ended_at is null or taken_at is not null)
);
create index handover_asked on ops.handover (asked_at) where taken_at is null;

-- Warm workers that are alive: each says so every few seconds.
create table ops.worker (
    worker text primary key,
    started_at timestamptz not null,
    beat_at timestamptz not null,
    run_id text
);
