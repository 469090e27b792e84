-- Periods of a company: a closed one takes no entry.
create table core.periods (
    company text not null,
    period text not null,
    is_closed boolean not null,
    changed_at timestamptz not null,
    changed_by text not null,
    note text not null,
    primary key (company, period),
    constraint period_is_a_month check (period ~ '^\d{4}-(0[1-9]|1[0-2])$')
);

create table core.journal_entries (
    entry_ref text primary key,
    -- receipts (what providers took for us), revenue, refunds, settlement, bank, correction
    kind text not null,
    company text not null,
    erp text not null,
    journal text not null,
    posted_on date not null,
    period text not null,
    company_currency text not null,
    provider text,
    store text,
    -- the batch: a payout or statement, or the day of what is no batch
    batch_ref text not null,
    description text not null,
    -- the entry this one takes back, by a counter entry and in no other way
    reverses text references core.journal_entries (entry_ref),
    created_at timestamptz not null,
    run_id text,
    constraint entry_kind_is_known check (kind in ('receipts', 'revenue', 'refunds', 'settlement',
        'bank', 'correction')),
    constraint entry_is_in_its_period check (period = to_char(posted_on, 'YYYY-MM'))
);
create index entries_by_batch on core.journal_entries (batch_ref);
create index entries_by_period on core.journal_entries (company, period);
create unique index reversed_once on core.journal_entries (reverses) where reverses is not null;

create table core.journal_lines (
    entry_ref text not null references core.journal_entries,
    line_no integer not null,
    -- the ERP's account code, and the kind of account it was found by
    account text not null,
    account_kind text not null,
    -- debit is positive
    amount numeric(20, 6) not null,
    currency text not null,
    company_amount numeric(20, 6) not null,
    tax_code text,
    store text,
    description text not null,
    item_count bigint not null,
    primary key (entry_ref, line_no)
);

-- From a journal line back to what it is made of: the drill-back, and what keeps a thing from being
-- posted twice.
create table core.journal_sources (
    entry_ref text not null,
    line_no integer not null,
    -- payment, line (of a settlement), order_line, bank (entry), match (its difference)
    source_kind text not null,
    source_ref text not null,
    -- what of it is posted: receipt, revenue, refund, settlement, bank
    purpose text not null,
    match_id bigint,
    amount numeric(20, 6) not null,
    company_amount numeric(20, 6) not null,
    -- false once a counter entry took it back
    is_live boolean not null default true
    -- no keys: a check of the journals adds lines and sources up, and a million rows come at once
);
create index sources_by_ref on core.journal_sources (source_ref);
create index sources_by_line on core.journal_sources (entry_ref, line_no);

create function core.refuse_unbalanced() returns trigger language plpgsql as $$
declare
    fault record;
begin
    select entry_ref, currency into fault from core.journal_lines
    where entry_ref in (select entry_ref from new_rows)
    group by entry_ref, currency having sum(amount) <> 0 limit 1;
    if found then
        raise exception 'entry % does not balance in %', fault.entry_ref, fault.currency
            using errcode = 'check_violation', constraint = 'entry_balances';
    end if;
    select entry_ref into fault from core.journal_lines
    where entry_ref in (select entry_ref from new_rows)
    group by entry_ref having sum(company_amount) <> 0 limit 1;
    if found then
        raise exception 'entry % does not balance in company currency', fault.entry_ref
            using errcode = 'check_violation', constraint = 'entry_balances';
    end if;
    return null;
end $$;
-- All lines of an entry come in one statement.
create trigger entry_balances after insert on core.journal_lines
    referencing new table as new_rows for each statement execute function core.refuse_unbalanced();

create function core.refuse_closed_period() returns trigger language plpgsql as $$
declare
    fault record;
begin
    select n.entry_ref, n.company, n.period into fault
    from new_rows n join core.periods p using (company, period) where p.is_closed limit 1;
    if found then
        raise exception 'period % of % is closed', fault.period, fault.company
            using errcode = 'check_violation', constraint = 'period_is_open';
    end if;
    return null;
end $$;
create trigger period_is_open after insert on core.journal_entries
    referencing new table as new_rows for each statement execute function core.refuse_closed_period();

create function core.refuse_changed_journal() returns trigger language plpgsql as $$
begin
    raise exception 'a journal is not changed; a counter entry takes it back'
        using errcode = 'check_violation', constraint = 'journal_is_kept';
end $$;
create trigger entries_are_kept before update or delete on core.journal_entries
    for each row execute function core.refuse_changed_journal();
create trigger lines_are_kept before update or delete on core.journal_lines
    for each row execute function core.refuse_changed_journal();
create trigger sources_are_kept before delete on core.journal_sources
    for each row execute function core.refuse_changed_journal();

create table plan.odoo__journal_entries (like plan.odoo__credit_memos including all);
create table plan.tryton__journal_entries (like plan.tryton__credit_memos including all);
create table receipt.odoo__journal_entries (like receipt.odoo__credit_memos including all);
create table receipt.tryton__journal_entries (like receipt.tryton__credit_memos including all);
create view receipt.journal_entries as
    select * from receipt.odoo__journal_entries union all
    select * from receipt.tryton__journal_entries;
