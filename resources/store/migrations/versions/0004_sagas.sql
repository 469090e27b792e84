-- Three sagas: a request to a warehouse, a return of goods, a refund of money. A state moves by a
-- step and by nothing else; a step that is not in the table of rules cannot be written down.
create table core.saga_rules (
    saga text not null,
    from_state text not null,
    to_state text not null,
    primary key (saga, from_state, to_state)
);
insert into core.saga_rules (saga, from_state, to_state) values
    ('fulfilment', '', 'planned'),
    ('fulfilment', 'planned', 'cancelled'),
    ('fulfilment', 'planned', 'held'),
    ('fulfilment', 'planned', 'released'),
    ('fulfilment', 'held', 'cancelled'),
    ('fulfilment', 'held', 'planned'),
    ('fulfilment', 'released', 'acknowledged'),
    ('fulfilment', 'released', 'cancel_requested'),
    ('fulfilment', 'released', 'cancelled'),
    ('fulfilment', 'released', 'part_shipped'),
    ('fulfilment', 'released', 'refused'),
    ('fulfilment', 'released', 'shipped'),
    ('fulfilment', 'released', 'short'),
    ('fulfilment', 'acknowledged', 'cancel_requested'),
    ('fulfilment', 'acknowledged', 'cancelled'),
    ('fulfilment', 'acknowledged', 'part_shipped'),
    ('fulfilment', 'acknowledged', 'refused'),
    ('fulfilment', 'acknowledged', 'shipped'),
    ('fulfilment', 'acknowledged', 'short'),
    ('fulfilment', 'part_shipped', 'acknowledged'),
    ('fulfilment', 'part_shipped', 'cancel_requested'),
    ('fulfilment', 'part_shipped', 'shipped'),
    ('fulfilment', 'part_shipped', 'short'),
    ('fulfilment', 'cancel_requested', 'acknowledged'),
    ('fulfilment', 'cancel_requested', 'cancelled'),
    ('fulfilment', 'cancel_requested', 'part_shipped'),
    ('fulfilment', 'cancel_requested', 'shipped'),
    ('fulfilment', 'cancel_requested', 'short'),
    ('fulfilment', 'refused', 'cancelled'),
    ('fulfilment', 'refused', 'planned'),
    ('fulfilment', 'short', 'acknowledged'),
    ('fulfilment', 'short', 'cancel_requested'),
    ('fulfilment', 'short', 'part_shipped'),
    ('fulfilment', 'short', 'shipped'),
    ('fulfilment', 'cancelled', 'cancel_requested'),
    ('fulfilment', 'cancelled', 'part_shipped'),
    ('fulfilment', 'cancelled', 'shipped'),
    ('fulfilment', 'cancelled', 'short'),
    ('fulfilment', 'shipped', 'acknowledged'),
    ('fulfilment', 'shipped', 'cancel_requested'),
    ('fulfilment', 'shipped', 'part_shipped'),
    ('fulfilment', 'shipped', 'short'),
    ('return', '', 'requested'),
    ('return', 'requested', 'approved'),
    ('return', 'requested', 'cancelled'),
    ('return', 'requested', 'rejected'),
    ('return', 'approved', 'cancelled'),
    ('return', 'approved', 'expired'),
    ('return', 'approved', 'in_transit'),
    ('return', 'approved', 'received'),
    ('return', 'approved', 'refunding'),
    ('return', 'in_transit', 'cancelled'),
    ('return', 'in_transit', 'lost'),
    ('return', 'in_transit', 'received'),
    ('return', 'received', 'inspected'),
    ('return', 'inspected', 'closed'),
    ('return', 'inspected', 'refunding'),
    ('return', 'refunding', 'approved'),
    ('return', 'refunding', 'closed'),
    ('return', 'refunding', 'inspected'),
    ('return', 'expired', 'in_transit'),
    ('return', 'expired', 'received'),
    ('return', 'cancelled', 'in_transit'),
    ('return', 'cancelled', 'received'),
    ('return', 'lost', 'closed'),
    ('return', 'lost', 'received'),
    ('return', 'rejected', 'received'),
    ('refund', '', 'requested'),
    ('refund', 'requested', 'approved'),
    ('refund', 'requested', 'awaiting_approval'),
    ('refund', 'requested', 'refused'),
    ('refund', 'requested', 'withdrawn'),
    ('refund', 'awaiting_approval', 'approved'),
    ('refund', 'awaiting_approval', 'refused'),
    ('refund', 'awaiting_approval', 'withdrawn'),
    ('refund', 'approved', 'confirmed'),
    ('refund', 'approved', 'failed'),
    ('refund', 'approved', 'pending'),
    ('refund', 'approved', 'submitted'),
    ('refund', 'approved', 'withdrawn'),
    ('refund', 'submitted', 'confirmed'),
    ('refund', 'submitted', 'failed'),
    ('refund', 'submitted', 'pending'),
    ('refund', 'submitted', 'withdrawn'),
    ('refund', 'pending', 'confirmed'),
    ('refund', 'pending', 'failed'),
    ('refund', 'pending', 'withdrawn'),
    ('refund', 'confirmed', 'credited'),
    ('refund', 'confirmed', 'failed'),
    ('refund', 'confirmed', 'withdrawn'),
    ('refund', 'credited', 'closed'),
    ('refund', 'credited', 'failed'),
    ('refund', 'credited', 'withdrawn'),
    ('refund', 'closed', 'failed'),
    ('refund', 'closed', 'withdrawn'),
    ('refund', 'failed', 'approved'),
    ('refund', 'failed', 'confirmed'),
    ('refund', 'failed', 'reversed'),
    ('refund', 'failed', 'withdrawn'),
    ('refund', 'withdrawn', 'reversed'),
    ('refund', 'reversed', 'approved');

create table core.saga_steps (
    id bigint generated always as identity primary key,
    saga text not null,
    subject_ref text not null,
    from_state text not null,
    to_state text not null,
    -- who: pipeline, shop:us, warehouse:north, carrier:ups, provider:stripe, or a person
    actor text not null,
    -- why, in words for people
    reason text not null,
    -- what it follows from: a raw version, a receipt, an event, an exception, a command
    cause text not null,
    at timestamptz not null,
    run_id text,
    constraint step_is_allowed foreign key (saga, from_state, to_state)
        references core.saga_rules (saga, from_state, to_state),
    constraint step_is_signed check (actor <> '' and reason <> '' and cause <> '')
);
create index steps_of_subject on core.saga_steps (subject_ref, id);

create function core.take_step() returns trigger language plpgsql as $$
declare
    moved integer;
begin
    case new.saga
    when 'fulfilment' then
        update core.fulfilment_orders set state = new.to_state, state_at = new.at
        where fulfilment_ref = new.subject_ref and state = new.from_state;
    when 'return' then
        update core.returns set state = new.to_state, state_at = new.at
        where return_ref = new.subject_ref and state = new.from_state;
    else
        update core.refunds set state = new.to_state, state_at = new.at
        where refund_ref = new.subject_ref and state = new.from_state;
    end case;
    get diagnostics moved = row_count;
    if moved <> 1 then
        raise exception 'no % is % at %', new.saga, new.subject_ref, new.from_state
            using errcode = 'check_violation', constraint = 'step_begins_where_it_stands';
    end if;
    return null;
end $$;
create trigger step_moves_the_state after insert on core.saga_steps
    for each row execute function core.take_step();

-- An update by anything but a step is not inside another trigger.
create function core.refuse_moved_state() returns trigger language plpgsql as $$
begin
    if new.state is distinct from old.state and pg_trigger_depth() < 2 then
        raise exception 'a state moves by core.saga_steps only'
            using errcode = 'check_violation', constraint = 'state_moves_by_steps';
    end if;
    return new;
end $$;

-- A row is made without a state, and must have taken its first step when its transaction ends.
create function core.refuse_ready_made() returns trigger language plpgsql as $$
begin
    if new.state <> '' then
        raise exception 'a saga begins without a state'
            using errcode = 'check_violation', constraint = 'state_moves_by_steps';
    end if;
    return new;
end $$;
create function core.refuse_stateless() returns trigger language plpgsql as $$
declare
    held text;
begin
    execute format('select state from core.%I where %I = $1', tg_table_name, tg_argv[0])
        into held using to_jsonb(new) ->> tg_argv[0];
    if held = '' then
        raise exception '% has taken no step', to_jsonb(new) ->> tg_argv[0]
            using errcode = 'check_violation', constraint = 'saga_has_begun';
    end if;
    return null;
end $$;

create function core.refuse_step_change() returns trigger language plpgsql as $$
begin
    raise exception 'core.saga_steps is append-only';
end $$;
create trigger steps_are_append_only before update or delete on core.saga_steps
    for each row execute function core.refuse_step_change();
create trigger steps_are_not_emptied before truncate on core.saga_steps
    for each statement execute function core.refuse_step_change();
