-- A delivery may be a replay of an older one; which one is kept for the trail.
alter table ops.inbox add column replay_of bigint;

-- For replays and purges by time; a block range index costs an insert next to nothing.
create index inbox_received on ops.inbox using brin (received_at);

-- Bodies are kept some days and read rarely: compressing each would cost more than the room saved.
alter table ops.inbox set (toast_tuple_target = 8160);

-- Whoever waits for work hears of it at the commit: one word a statement, however many rows.
create function ops.announce() returns trigger language plpgsql as $$
begin
    perform pg_notify('sync_work', tg_argv[0]);
    return null;
end $$;
create trigger inbox_is_announced after insert on ops.inbox
    for each statement execute function ops.announce('inbox');
