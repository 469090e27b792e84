-- Runs handed to a warm worker: asked for, taken by one of them, or taken back by the launcher.
create table ops.handover (
    run_id text primary key,
    job text not null,
    -- the job as the asker knows it: a worker with older code must not take it
    snapshot_id text not null,
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

-- When a run of a job was last asked for, and when one last was at work: whoever decides whether
-- another is needed asks nobody else.
create table ops.job (
    job text primary key,
    asked_at timestamptz,
    begun_at timestamptz
);
