-- Who works on an exception; nobody is a valid answer.
alter table ops.exception add column assigned_to text;
alter table ops.exception add column assigned_at timestamptz;
alter table ops.exception add constraint exception_assignment_is_dated
    check (num_nonnulls(assigned_to, assigned_at) in (0, 2));

-- What is overdue, and what is due next.
create index open_exceptions_by_due on ops.exception (due_at, id) where state = 'open';
