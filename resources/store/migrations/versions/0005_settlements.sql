-- The actual ledger: what providers settled, and what reached the bank.
create table core.settlement_lines (
    line_ref text primary key,
    provider text not null,
    kind text not null,
    payout_ref text,
    payment_id text,
    group_id text,
    movement_id text,
    order_reference text,
    method text,
    currency text not null,
    gross_amount numeric(20, 6) not null,
    fee_amount numeric(20, 6) not null,
    fee_tax_amount numeric(20, 6) not null,
    net_amount numeric(20, 6) not null,
    paid_amount numeric(20, 6),
    paid_currency text,
    exchange_rate numeric(20, 6),
    occurred_at timestamptz not null,
    description text not null,
    fee_detail text,
    told_by text not null,
    file_name text,
    file_line bigint not null,
    -- a person divided it: its parts stand for it, and it counts no more
    is_split boolean not null default false,
    split_of text references core.settlement_lines (line_ref),
    run_id text,
    constraint settled_kind_is_known check (kind in ('sale', 'refund', 'refund_failed',
        'chargeback', 'chargeback_reversed', 'fee', 'reserve_held', 'reserve_released',
        'conversion', 'tax_withheld', 'adjustment', 'topup', 'payout', 'payout_returned')),
    constraint settlement_line_ties check (
        net_amount = gross_amount - fee_amount - fee_tax_amount),
    constraint paid_amount_has_its_currency check ((paid_amount is null) = (paid_currency is null)),
    constraint told_by_is_known check (told_by in ('api', 'file', 'event', 'person'))
);
create index settlement_lines_by_payout on core.settlement_lines (payout_ref)
    where payout_ref is not null;
create index settlement_lines_by_payment on core.settlement_lines (provider, payment_id)
    where payment_id is not null;
create index settlement_lines_by_movement on core.settlement_lines (provider, movement_id)
    where movement_id is not null;
create index settlement_lines_by_reference on core.settlement_lines (order_reference)
    where order_reference is not null;
create index split_lines on core.settlement_lines (line_ref) where is_split;
create index parts_of_lines on core.settlement_lines (split_of) where split_of is not null;
create index settlement_lines_of_kinds on core.settlement_lines (kind, provider)
    where kind not in ('sale', 'refund');
create index settlement_lines_by_time on core.settlement_lines (provider, occurred_at);

-- Told again and otherwise: the first stays, the second waits for a person.
create table core.settlement_conflicts (
    line_ref text not null,
    digest text not null,
    said jsonb not null,
    told_by text not null,
    file_name text,
    file_line bigint not null,
    found_at timestamptz not null,
    settled_at timestamptz,
    settled_by text,
    note text,
    run_id text,
    primary key (line_ref, digest)
);

create table core.payouts (
    payout_ref text primary key,
    provider text not null,
    payout_id text not null,
    kind text not null,
    currency text not null,
    paid_amount numeric(20, 6) not null,
    opening_amount numeric(20, 6),
    closing_amount numeric(20, 6),
    paid_on date not null,
    state text not null,
    bank_reference text,
    run_id text,
    constraint payout_kind_is_known check (kind in ('payout', 'statement')),
    constraint payout_state_is_known check (state in ('in_transit', 'paid', 'failed'))
);
create index payouts_by_day on core.payouts (provider, paid_on);

create table core.bank_lines (
    bank_line_ref text primary key,
    account text not null,
    statement_ref text not null,
    booked_on date not null,
    valued_on date,
    amount numeric(20, 6) not null,
    currency text not null,
    bank_reference text,
    end_to_end_id text,
    counterparty text,
    description text not null,
    is_reversal boolean not null,
    file_name text not null,
    file_line bigint not null,
    run_id text
);
create index bank_lines_by_amount on core.bank_lines (account, currency, amount, booked_on);

create table core.bank_statements (
    statement_ref text primary key,
    account text not null,
    number bigint not null,
    currency text not null,
    opening_amount numeric(20, 6),
    closing_amount numeric(20, 6),
    from_on date not null,
    until_on date not null,
    run_id text
);
create index bank_statements_by_day on core.bank_statements (account, from_on);

-- A split loses no cent and makes none.
create function core.refuse_untied_split() returns trigger language plpgsql as $$
declare
    whole core.settlement_lines;
    parts record;
begin
    select * into whole from core.settlement_lines where line_ref = coalesce(new.split_of, new.line_ref);
    if not whole.is_split then
        if exists (select from core.settlement_lines where split_of = whole.line_ref) then
            raise exception '% has parts and counts itself', whole.line_ref
                using errcode = 'check_violation', constraint = 'split_ties';
        end if;
        return null;
    end if;
    select sum(gross_amount) as gross, sum(fee_amount) as fee, sum(fee_tax_amount) as tax
    into parts from core.settlement_lines where split_of = whole.line_ref;
    if (parts.gross, parts.fee, parts.tax) is distinct from
       (whole.gross_amount, whole.fee_amount, whole.fee_tax_amount) then
        raise exception 'the parts of % do not come to it', whole.line_ref
            using errcode = 'check_violation', constraint = 'split_ties';
    end if;
    return null;
end $$;
create constraint trigger split_ties after insert or update on core.settlement_lines
    deferrable initially deferred for each row
    when (new.is_split or new.split_of is not null)
    execute function core.refuse_untied_split();

-- What people have in hand of money: from a bank's reference to its orders, and from an order to the
-- entry that paid it out and to what is open of it.
create index payouts_by_bank_reference on core.payouts (bank_reference)
    where bank_reference is not null;
create index bank_lines_by_reference on core.bank_lines (bank_reference)
    where bank_reference is not null;
create index bank_lines_by_end_to_end on core.bank_lines (end_to_end_id)
    where end_to_end_id is not null;
create index lines_of_payouts on core.settlement_lines (payout_ref)
    where kind in ('payout', 'payout_returned');
