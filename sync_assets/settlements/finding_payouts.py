"""What is wrong with payouts, statements of balances, and the bank. Queries only; each gives side,
ref, finding, detail, provider, order_ref, amount, currency and since.
"""

UNBALANCED = """
with summed as (
    select p.payout_ref, p.provider, p.currency, p.paid_amount, p.paid_on,
        coalesce(p.opening_amount, 0) - coalesce(p.closing_amount, 0) as brought,
        coalesce(sum(l.net_amount) filter (where l.kind <> 'payout'), 0) as net,
        count(l.line_ref) filter (where l.kind <> 'payout') as lines
    from core.payouts p
    left join core.settlement_lines l on l.payout_ref = p.payout_ref and not l.is_split
    where p.paid_on > cast(:since as date)
      and (p.kind = 'payout' or p.opening_amount is not null and p.closing_amount is not null)
    group by p.payout_ref
)
select 'payout', payout_ref, 'settlement.' || case when lines = 0 then 'payout_without_lines'
    else 'payout_unbalanced' end,
    lines || ' lines come to ' || trim_scale(net + brought) || ', paid out '
        || trim_scale(paid_amount),
    provider, null, net + brought - paid_amount, currency, paid_on::timestamptz
from summed where net + brought <> paid_amount
"""

#: A text's words, without what banks put between and around them, as `leftovers.py` splits them.
_WORDS = r"""
select btrim(t.word, '.') as word
from regexp_split_to_table({said}, '[\s,;\:/+=()\[\]]+') t (word)
"""
#: Everything a bank's text may name of a payout, with the longest word of it to look for.
_NAMES = f"""
create temp table payout_names on commit drop as
select distinct l.line_ref, p.payout_ref, l.provider, l.net_amount, l.currency, p.paid_on, n.name,
    i.ref is not null as is_matched, w.word
from core.settlement_lines l join core.payouts p using (payout_ref)
cross join lateral (values (lower(p.bank_reference)), (lower(p.payout_id)),
    (lower(l.movement_id))) n (name)
cross join lateral (
    select x.word from ({_WORDS.format(said="n.name")}) x order by length(x.word) desc, 1 limit 1) w
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where l.kind = 'payout' and not l.is_split and length(n.name) >= 5 and p.paid_on > :since
"""  # noqa: S608
_ENTRIES = """
create temp table open_entries on commit drop as
select b.bank_line_ref as ref, b.account, b.amount, b.currency, b.booked_on, b.is_reversal,
    lower(concat_ws(' ', b.counterparty, b.description, b.end_to_end_id, b.bank_reference)) as words
from core.bank_lines b
left join core.match_items i on i.side = 'bank' and i.ref = b.bank_line_ref and i.is_live
where i.ref is null and b.booked_on > :since
"""
_ENTRY_WORDS = f"""
create temp table entry_words on commit drop as
select distinct e.ref, w.word from open_entries e
cross join lateral ({_WORDS.format(said="e.words")}) w where w.word <> ''
"""  # noqa: S608
#: By words first: every entry of the bank beside every payout would be their product.
_TOLD = """
create temp table entry_names on commit drop as
select distinct on (e.ref) e.ref, e.account, e.amount, e.currency, e.booked_on, e.is_reversal,
    n.line_ref, n.payout_ref, n.provider, n.net_amount, n.is_matched, k.bank
from open_entries e join entry_words w using (ref)
join payout_names n on n.word = w.word and strpos(e.words, n.name) > 0
join stage_banks k on k.provider = n.provider
order by e.ref, n.is_matched, n.line_ref
"""
PREPARED = tuple(
    part
    for name, query in (
        ("payout_names", _NAMES),
        ("open_entries", _ENTRIES),
        ("entry_words", _ENTRY_WORDS),
        ("entry_names", _TOLD),
    )
    for part in (f"drop table if exists {name}", query, f"analyze {name}")
)

#: Entries of the bank that name a payout and are not it.
ENTRIES = """
select 'bank', ref, 'settlement.' || case
    when is_reversal or amount < 0 and net_amount < 0 then 'payout_failed'
    when is_matched then 'bank_doubled'
    when account <> bank then 'bank_wrong_account'
    else 'payout_bank_differs' end,
    'names payout ' || payout_ref || ' of ' || trim_scale(-net_amount), provider, null, amount,
    currency, booked_on::timestamptz
from entry_names
"""

#: Entries that name a provider and no payout.
UNEXPECTED = """
select 'bank', e.ref, 'settlement.bank_unexpected', 'from a provider, for no payout we know',
    min(k.provider), null, min(e.amount), min(e.currency), min(e.booked_on)::timestamptz
from open_entries e join stage_banks k on e.words ilike any(k.patterns)
where not exists (select from entry_names n where n.ref = e.ref)
group by e.ref
"""

#: Payouts the bank should show by now; not those an entry names with another amount.
MISSING = """
select 'settled', l.line_ref, 'settlement.' || case l.kind when 'topup' then 'topup_not_in_bank'
    else 'payout_not_in_bank' end,
    'on its way since ' || coalesce(p.paid_on, l.occurred_at::date), l.provider, null,
    l.net_amount, l.currency, coalesce(p.paid_on::timestamptz, l.occurred_at)
from core.settlement_lines l join stage_banks k using (provider)
join stage_rules r using (provider)
left join core.payouts p using (payout_ref)
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where l.kind in ('payout', 'topup', 'payout_returned') and i.ref is null and not l.is_split
  and l.net_amount <> 0
  and coalesce(p.paid_on::timestamptz, l.occurred_at)
      + make_interval(days => r.bank_within_days) < :now
  and not exists (select from entry_names n where n.line_ref = l.line_ref)
"""

FAILED = """
select 'payout', p.payout_ref, 'settlement.payout_failed', 'the provider says that it failed',
    p.provider, null, p.paid_amount, p.currency, p.paid_on::timestamptz
from core.payouts p where p.state = 'failed' and p.paid_on > cast(:since as date)
"""

#: A statement that does not come from its opening to its closing balance.
BANK_UNBALANCED = """
select 'statement', s.statement_ref, 'settlement.bank_unbalanced',
    'opens with ' || trim_scale(s.opening_amount) || ', its entries come to '
        || trim_scale(coalesce(sum(b.amount), 0)) || ', closes with '
        || trim_scale(s.closing_amount),
    null, null, s.closing_amount - s.opening_amount - coalesce(sum(b.amount), 0), s.currency,
    s.until_on::timestamptz
from core.bank_statements s left join core.bank_lines b using (statement_ref)
where s.opening_amount is not null and s.closing_amount is not null
group by s.statement_ref
having s.opening_amount + coalesce(sum(b.amount), 0) <> s.closing_amount
"""

BANK_GAP = """
select 'statement', statement_ref, 'settlement.bank_gap', concat_ws('; ',
    case when number > 0 and before > 0 and number <> before + 1
        then 'number ' || number || ' follows ' || before end,
    case when opening_amount <> closed_with
        then 'opens with ' || trim_scale(opening_amount) || ', the one before closed with '
            || trim_scale(closed_with) end), null, null,
    coalesce(opening_amount - closed_with, 0), currency, from_on::timestamptz
from (
    select s.*, lag(number) over w as before, lag(closing_amount) over w as closed_with,
        lag(until_on) over w as ended_on
    from core.bank_statements s window w as (partition by account, currency
        order by from_on, number, statement_ref)
) s
where number > 0 and before > 0 and number > before + 1
  and extract(year from from_on) = extract(year from ended_on)
  or opening_amount <> closed_with and (number = 0 or before = 0 or number = before + 1
    or extract(year from from_on) <> extract(year from ended_on))
"""

BALANCE_GAP = """
select 'payout', payout_ref, 'settlement.balance_gap', 'opens with ' || trim_scale(opening_amount)
    || ', the one before closed with ' || trim_scale(closed_with), provider, null,
    opening_amount - closed_with, currency, paid_on::timestamptz
from (
    select p.*, lag(closing_amount) over (partition by provider, currency order by paid_on,
        payout_ref) as closed_with
    from core.payouts p where kind = 'statement'
) p where opening_amount <> closed_with
"""
