"""Counter entries: what was booked and does not hold is taken back, and in no other way."""

from datetime import datetime

from sqlalchemy import Connection, text

from resources.store import stale
from sync_assets.settlements import posting_items as wanted

REBOOKING = "rebooking"
_COUNTER = """
create temp table counters on commit drop as
select 'correction:' || o.entry_ref || ':' || (1 + (select count(*) from core.journal_entries x
        where x.kind = 'correction' and x.batch_ref = e.batch_ref)) as counter_ref,
    o.entry_ref, e.company, e.erp, e.journal, e.company_currency, e.provider, e.store, e.batch_ref,
    greatest(cast(:now as date), e.posted_on) as wanted_on,
    greatest(cast(:now as date), e.posted_on) as on_day
from (select distinct entry_ref from overtaken) o join core.journal_entries e using (entry_ref)
"""
_COUNTER_CLOSED = """
update counters e set on_day = case when c.late <> 'hold' then (
    select min(m.day)::date from generate_series(0, 240) s (n),
        lateral (select date_trunc('month', e.wanted_on) + make_interval(months => s.n) as day) m
    where not exists (select from core.periods p where p.company = e.company and p.is_closed
        and p.period = to_char(m.day, 'YYYY-MM'))) end
from stage_companies c
where c.company = e.company and exists (select from core.periods p where p.company = e.company
    and p.is_closed and p.period = to_char(e.wanted_on, 'YYYY-MM'))
"""
_COUNTER_ENTRIES = """
insert into core.journal_entries (entry_ref, kind, company, erp, journal, posted_on, period,
    company_currency, provider, store, batch_ref, description, reverses, created_at, run_id)
select c.counter_ref, 'correction', c.company, c.erp, c.journal, c.on_day,
    to_char(c.on_day, 'YYYY-MM'), c.company_currency, c.provider, c.store, c.batch_ref,
    'Takes back part of ' || c.entry_ref, null, :now, cast(:run_id as text)
from counters c where c.on_day is not null
"""
_COUNTER_LINES = """
insert into core.journal_lines (entry_ref, line_no, account, account_kind, amount, currency,
    company_amount, tax_code, store, description, item_count)
with back as (
    select c.counter_ref, l.line_no, l.account, l.account_kind, l.currency, l.tax_code, l.store,
        l.description, -sum(s.amount) as amount, -sum(s.company_amount) as company_amount,
        count(*) as items
    from overtaken o join counters c using (entry_ref)
    join core.journal_sources s using (entry_ref, line_no, source_kind, source_ref, purpose)
    join core.journal_lines l using (entry_ref, line_no)
    where c.on_day is not null group by 1, 2, 3, 4, 5, 6, 7, 8
), rest as (
    select b.counter_ref, b.currency, sum(b.company_amount) as off from back b
    group by 1, 2 having sum(b.company_amount) <> 0
)
select counter_ref, line_no, account, account_kind, amount, currency, company_amount, tax_code,
    store, description, items from back
union all
select r.counter_ref, 10000 + row_number() over (partition by r.counter_ref order by r.currency)
    ::integer, a.account, 'fx', 0, r.currency, -r.off, null, null, 'exchange gain or loss', 0
from rest r join counters c using (counter_ref)
join (select company, min(account) as account from (
    select e.company, l.account from core.journal_lines l join core.journal_entries e
        using (entry_ref) where l.account_kind = 'fx') f group by 1) a on a.company = c.company
"""
_ENDED = """
update core.journal_sources s set is_live = false
from overtaken o join counters c using (entry_ref)
where c.on_day is not null and s.entry_ref = o.entry_ref and s.line_no = o.line_no
  and s.source_kind = o.source_kind and s.source_ref = o.source_ref and s.purpose = o.purpose
"""
_COUNTER_SOURCES = """
insert into core.journal_sources (entry_ref, line_no, source_kind, source_ref, purpose, match_id,
    amount, company_amount, is_live)
select c.counter_ref, s.line_no, s.source_kind, s.source_ref, s.purpose, s.match_id, -s.amount,
    -s.company_amount, false
from overtaken o join counters c using (entry_ref)
join core.journal_sources s using (entry_ref, line_no, source_kind, source_ref, purpose)
where c.on_day is not null
"""


def correct(connection: Connection, now: datetime, run_id: str | None) -> int:
    """Take back what was booked and does not hold, by counter entries; answers how many."""
    for name in ("overtaken", "counters"):
        connection.exec_driver_sql(f"drop table if exists {name}")
    connection.exec_driver_sql(wanted.OVERTAKEN)
    values = {"now": now, "run_id": run_id}
    connection.execute(text(_COUNTER), values)
    connection.exec_driver_sql(_COUNTER_CLOSED)
    made = connection.execute(text(_COUNTER_ENTRIES), values).rowcount
    if made:
        connection.exec_driver_sql(_COUNTER_LINES)
        connection.exec_driver_sql(_COUNTER_SOURCES)
        connection.exec_driver_sql(_ENDED)
    stale.take(connection, REBOOKING)
    return int(made)
