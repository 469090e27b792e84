-- When the trouble with a write began: how long to go on trying is counted from here.
alter table ops.outbox add column first_failed_at timestamptz;
