"""Journals out of what is matched: balanced per currency and in the company's, by line or summed up
per payout and month, each line leading back to what it is made of.

Entries are never changed. What turns out not to hold is taken back by a counter entry, and what it
leaves is booked anew. What has no account, no rate or no open period is held, and told.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.settings import Settings
from resources.store import exceptions
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows, scalar
from resources.wiring import Systems
from sync_assets.domain.findings import FINDINGS
from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Problem
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements import policy as policies
from sync_assets.settlements import posting_items as wanted
from sync_assets.settlements.counter_entries import correct
from sync_assets.settlements.like import like
from sync_assets.settlements.staging import again, stage
from sync_assets.settlements.valuing import HAS_FOREIGN, value
from sync_assets.trouble import exceptional

LOCK = "post journals"
#: Memory of one statement's sorts and joins: these run one at a time and over everything.
ROOM = "set local work_mem = '256MB'"


@dataclass
class Posted:
    """What one posting step made."""

    entries: int = 0
    lines: int = 0
    items: int = 0
    corrections: int = 0
    #: Items that wait, by the reason.
    held: dict[str, int] = field(default_factory=dict)


def post(systems: Systems, run_id: str | None) -> Posted:
    """Book whatever is to be booked; without books in the policy nothing is."""
    with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
        rules = policies.in_force(systems, connection)
        if rules is None or not rules.companies:
            return Posted()
        now = systems.now()
        connection.exec_driver_sql(ROOM)
        _stage_books(connection, systems.settings, rules)
        _stage_digits(connection)
        total = Posted(corrections=correct(connection, now, run_id))
        _collect(connection, rules, now)
        value(connection)
        _stage_accounts(connection, rules)
        _place(connection)
        total.held = _hold(connection, systems, now, run_id)
        _write(connection, now, run_id, total)
    return total


# ---------------------------------------------------------------- what the queries ask


def _stage_books(connection: Connection, settings: Settings, rules: SettlementPolicy) -> None:
    """Which company, ERP and manner each provider and bank account is booked in."""
    stage(
        connection,
        "stage_books (provider text primary key, company text, erp text, company_currency text, "
        "timezone text, sales text, revenue_on text, discounts text, detail text, late text)",
        [
            {"provider": name, **_books_of(settings, rules, *of)}
            for name in settings.providers
            if (of := company_of(settings, name)) is not None and of[0] in rules.companies
        ],
    )
    stage(
        connection,
        "stage_accounts_of_banks (account text primary key, company text)",
        [
            {"account": name, "company": one.company}
            for name, one in settings.banks.items()
            if one.company in rules.companies
        ],
    )
    stage(
        connection,
        "stage_companies (company text primary key, erp text, company_currency text, detail text, "
        "late text)",
        [
            {
                "company": name,
                "erp": erp_of(settings, name),
                "company_currency": books.currency,
                "detail": books.detail,
                "late": books.late,
            }
            for name, books in rules.companies.items()
            if erp_of(settings, name) is not None
        ],
    )


def company_of(settings: Settings, provider: str) -> tuple[str, str] | None:
    """The company an account of a provider belongs to, and its ERP."""
    for store in settings.paid_by(provider).values():
        return store.company, store.erp
    return None


def erp_of(settings: Settings, company: str) -> str | None:
    """The ERP that keeps a company's books."""
    return next((one.erp for one in settings.stores.values() if one.company == company), None)


def _books_of(
    settings: Settings, rules: SettlementPolicy, company: str, erp: str
) -> dict[str, Any]:
    books = rules.companies[company]
    return {
        "company": company,
        "erp": erp,
        "company_currency": books.currency,
        "timezone": books.timezone,
        "sales": books.sales,
        "revenue_on": books.revenue_on,
        "discounts": books.discounts,
        "detail": books.detail,
        "late": books.late,
    }


def _stage_digits(connection: Connection) -> None:
    """How finely each currency is written, wherever one may come up."""
    rows = read_rows(
        connection,
        "select company_currency as currency from stage_companies "
        "union select distinct currency from core.exchange_rates "
        "union select distinct currency from core.payouts "
        "union select distinct currency from core.bank_statements "
        "union select currency from (select currency from core.payments limit 0) p",
    )
    known = {row["currency"] for row in rows} | {"USD", "EUR", "GBP", "JPY", "CHF"}
    stage(
        connection,
        "stage_digits (currency text primary key, digits integer)",
        [{"currency": one, "digits": digits_of(one)} for one in sorted(known)],
    )


def _collect(connection: Connection, rules: SettlementPolicy, now: datetime) -> None:
    connection.exec_driver_sql("drop table if exists items")
    connection.exec_driver_sql(wanted.ITEMS)
    values = {
        "now": now,
        "gift_words": [like(one) for one in rules.gift_cards.fee_words],
        "gift_skus": [like(one) for one in rules.gift_cards.skus],
    }
    for query in wanted.QUERIES:
        connection.execute(
            text(f"insert into items ({wanted.COLUMNS}) {query}"),
            values,
        )
    connection.exec_driver_sql("analyze items")


# ---------------------------------------------------------------- where it goes


def _stage_accounts(connection: Connection, rules: SettlementPolicy) -> None:
    """The account of every kind that came up, by company."""
    found = read_rows(
        connection,
        "select distinct company, account_kind, finer from items "
        "union select company, 'fx', null from stage_companies",
    )
    rows = []
    for row in found:
        books = rules.companies[row["company"]]
        code = books.account(row["account_kind"], row["finer"])
        if code is not None:
            rows.append({**row, "finer": row["finer"] or "", "account": code})
    stage(
        connection,
        "stage_accounts (company text, account_kind text, finer text, account text, "
        "primary key (company, account_kind, finer))",
        rows,
    )
    kinds = ("receipts", "revenue", "refunds", "settlement", "bank", "correction")
    stage(
        connection,
        "stage_journals (company text, kind text, journal text, primary key (company, kind))",
        [
            {"company": company, "kind": kind, "journal": books.journal(kind)}
            for company, books in rules.companies.items()
            for kind in kinds
        ],
    )


#: What is booked together has these alike; no sort of all items is needed to number them.
_KEY = "company, kind, payer, shop, batch, period, single"
_KEYED = """
create temp table keyed on commit drop as
select i.kind, i.company, coalesce(i.provider, '') as payer, i.batch, i.on_day, i.source_kind,
    i.source_ref, i.match_id, i.purpose, i.account_kind, i.finer, i.amount, i.currency,
    i.company_amount, i.words, a.account, coalesce(i.tax_code, '') as tax,
    coalesce(i.store, '') as of_store, to_char(i.on_day, 'YYYY-MM') as period,
    case c.detail when 'line' then i.source_kind || ':' || i.source_ref else '' end as single,
    case when i.kind in ('receipts', 'refunds', 'revenue') then coalesce(i.store, '') else '' end
        as shop
from items i join stage_companies c using (company)
left join stage_accounts a on a.company = i.company and a.account_kind = i.account_kind
    and a.finer = coalesce(i.finer, '')
"""
#: Entries and their days. A closed month's things go to the next open month's first day, or wait;
#: where no account is named for an item, or no rate is known, the whole entry waits.
_ENTRIES = f"""
create temp table entries on commit drop as
select row_number() over (order by {", ".join(f'{one} collate "C"' for one in _KEY.split(", "))})
        as number, {_KEY}, nullif(payer, '') as provider, nullif(shop, '') as store,
    max(on_day) as wanted_on, max(on_day) as on_day, count(*) as items, null::text as entry_ref,
    case when bool_or(account is null) then 'no_account'
        when bool_or(company_amount is null) then 'no_rate' end as held,
    coalesce(min(company || ' ' || account_kind || coalesce('.' || finer, ''))
            filter (where account is null),
        min(company || ' ' || currency || ' ' || on_day) filter (where company_amount is null))
        as held_because
from keyed group by {_KEY}
"""  # noqa: S608
_PLACED = f"""
create temp table placed on commit drop as
select e.number, k.source_kind, k.source_ref, k.purpose, k.match_id, k.account, k.account_kind,
    k.currency, k.tax, k.of_store, k.words, k.amount, k.company_amount
from keyed k join entries e using ({_KEY})
"""  # noqa: S608
_CLOSED = """
update entries e set on_day = n.first_day,
    held = case when n.late = 'hold' then 'period_closed' end,
    held_because = case when n.late = 'hold' then n.company || ' ' || n.period end
from (
    select x.number, x.company, c.late, to_char(x.wanted_on, 'YYYY-MM') as period, (
        select min(m.day)::date from generate_series(0, 240) s (n),
            lateral (select date_trunc('month', x.wanted_on) + make_interval(months => s.n)
                as day) m
        where not exists (select from core.periods p where p.company = x.company and p.is_closed
            and p.period = to_char(m.day, 'YYYY-MM'))) as first_day
    from entries x join stage_companies c using (company)
    join core.periods l on l.company = x.company and l.is_closed
        and l.period = to_char(x.wanted_on, 'YYYY-MM')
) n
where n.number = e.number and e.held is null
"""
#: A batch that is booked in several goes numbers its entries.
_NAMED = """
update entries e set entry_ref = n.stem || ':' || (n.place + coalesce(b.entries, 0))
from (
    select number, concat_ws(':', kind, company, provider, store, batch, to_char(on_day, 'YYYY-MM'))
        as stem, row_number() over (partition by kind, company, provider, store, batch,
            to_char(on_day, 'YYYY-MM') order by number) as place
    from entries where held is null
) n
left join lateral (
    select count(*) as entries from core.journal_entries j
    join entries x on x.number = n.number
    where j.batch_ref = x.batch and j.kind = x.kind and j.company = x.company
      and j.provider is not distinct from x.provider and j.store is not distinct from x.store
      and j.period = to_char(x.on_day, 'YYYY-MM')
) b on true
where e.number = n.number
"""


def _place(connection: Connection) -> None:
    for name, statement in (("keyed", _KEYED), ("entries", _ENTRIES), ("placed", _PLACED)):
        again(connection, name, statement)
    connection.exec_driver_sql("create unique index on entries (number)")
    has_foreign = scalar(connection, HAS_FOREIGN)
    for statement in (_CLOSED, *([_NO_FX] if has_foreign else []), _NAMED):
        connection.exec_driver_sql(statement)


def _hold(
    connection: Connection, systems: Systems, now: datetime, run_id: str | None
) -> dict[str, int]:
    """Tell what cannot be booked: once for each account, rate or period that is missing."""
    rows = read_rows(connection, _HELD)
    levels = systems.settings.service_levels
    found = [
        exceptional(
            Problem(
                f"settlement.{row['held']}",
                "",
                f"{row['held_because']}: {row['items']} items in {row['entries']} entries "
                f"{FINDINGS['settlement.' + row['held']].says}",
            ),
            f"books:{row['held_because']}",
            levels,
        )
        for row in rows
    ]
    codes = [f"settlement.{one}" for one in ("no_account", "no_rate", "period_closed")]
    before = read_rows(
        connection,
        "select distinct subject_ref from ops.exception where state = 'open' "
        "and code = any(:codes)",
        codes=codes,
    )
    subjects = {row["subject_ref"] for row in before} | {one.subject_ref for one in found}
    exceptions.reconcile(
        connection, found, subjects=sorted(subjects), codes=codes, now=now, run_id=run_id
    )
    held: dict[str, int] = {}
    for row in rows:
        held[row["held"]] = held.get(row["held"], 0) + int(row["items"])
    return held


_HELD = """
select held, held_because, count(*) as entries, sum(items) as items from (
    select held, held_because, items from entries where held is not null
    union all
    select 'period_closed', c.company || ' ' || to_char(c.wanted_on, 'YYYY-MM'), (select count(*)
        from overtaken o where o.entry_ref = c.entry_ref)
    from counters c where c.on_day is null
) h group by 1, 2 order by 1, 2
"""

# ---------------------------------------------------------------- writing

_INSERT_ENTRIES = """
insert into core.journal_entries (entry_ref, kind, company, erp, journal, posted_on, period,
    company_currency, provider, store, batch_ref, description, created_at, run_id)
select e.entry_ref, e.kind, e.company, c.erp, j.journal, e.on_day, to_char(e.on_day, 'YYYY-MM'),
    c.company_currency, e.provider, e.store, e.batch,
    concat_ws(' ', initcap(e.kind), e.provider, e.store, e.batch), :now, cast(:run_id as text)
from entries e join stage_companies c using (company) join stage_journals j using (company, kind)
where e.held is null
"""
_LINES = """
create temp table made_lines on commit drop as
select e.entry_ref, e.company, s.*, row_number() over (partition by s.number
    order by account_kind collate "C", account collate "C", currency collate "C",
        tax collate "C", of_store collate "C", words collate "C")::integer as line_no
from (
    select number, account, account_kind, currency, tax, of_store, words, sum(amount) as amount,
        sum(company_amount) as company_amount, count(*) as items
    from placed group by 1, 2, 3, 4, 5, 6, 7
) s join entries e using (number) where e.held is null
"""
#: The rest in the company's currency is gain or loss of exchange: a line of no amount in the
#: currency that brought it.
_INSERT_LINES = """
insert into core.journal_lines (entry_ref, line_no, account, account_kind, amount, currency,
    company_amount, tax_code, store, description, item_count)
select entry_ref, line_no, account, account_kind, amount, currency, company_amount,
    nullif(tax, ''), nullif(of_store, ''), words, items
from made_lines
union all
select s.entry_ref, max(s.line_no) + row_number() over (partition by s.entry_ref
    order by s.currency)::integer + 1000, f.account, 'fx', 0, s.currency, -sum(s.company_amount),
    null, null, 'exchange gain or loss', 0
from made_lines s join stage_accounts f on f.company = s.company and f.account_kind = 'fx'
    and f.finer = ''
group by s.entry_ref, f.account, s.currency having sum(s.company_amount) <> 0
"""
_NO_FX = """
update entries e set held = 'no_account', held_because = e.company || ' fx'
where e.held is null and not exists (select from stage_accounts a where a.company = e.company
    and a.account_kind = 'fx')
  and e.number in (
    select number from placed group by number, currency having sum(company_amount) <> 0)
"""
_INSERT_SOURCES = """
insert into core.journal_sources (entry_ref, line_no, source_kind, source_ref, purpose, match_id,
    amount, company_amount)
select m.entry_ref, m.line_no, p.source_kind, p.source_ref, p.purpose, p.match_id, p.amount,
    p.company_amount
from placed p join made_lines m using (number, account, account_kind, currency, tax, of_store,
    words)
"""


def _write(connection: Connection, now: datetime, run_id: str | None, total: Posted) -> None:
    values = {"now": now, "run_id": run_id}
    total.entries = connection.execute(text(_INSERT_ENTRIES), values).rowcount
    if not total.entries:
        return
    again(connection, "made_lines", _LINES)
    total.lines = connection.exec_driver_sql(_INSERT_LINES).rowcount
    total.items = connection.exec_driver_sql(_INSERT_SOURCES).rowcount
