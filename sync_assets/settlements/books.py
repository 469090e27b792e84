"""What a person does to the books: closing and opening months, and taking an entry back whole.

Entries are never changed; a counter entry takes back what still stands of one, and what it leaves
is booked anew by the next run of the job `settlements`. Exchange rates are in `rates.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from resources.settings import Settings
from resources.store import audit
from resources.store.engine import one_at_a_time
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows, scalar
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements.posting import LOCK, company_of
from sync_assets.settlements.things import Act

Found = dict[str, Any]
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def record(connection: Connection, act: Act, action: str, subject: str, **told: Any) -> None:
    """Write down who did what to the books, and why."""
    audit.record(connection, act.by, f"books.{action}", subject, act.now, note=act.note, **told)


# ---------------------------------------------------------------- months


@dataclass(frozen=True)
class Month:
    """One month of one company: its days, and its providers and banks."""

    company: str
    period: str
    first_day: date
    next_day: date
    zone: str
    providers: tuple[str, ...]
    banks: tuple[str, ...]
    stores: tuple[str, ...]

    @property
    def values(self) -> dict[str, Any]:
        """What the queries ask for; moments are those of the company's own days."""
        zone = ZoneInfo(self.zone)
        start, end = (
            datetime(day.year, day.month, day.day, tzinfo=zone)
            for day in (self.first_day, self.next_day)
        )
        return {
            "start": start.astimezone(UTC),
            "end": end.astimezone(UTC),
            "first_day": self.first_day,
            "next_day": self.next_day,
            "providers": list(self.providers),
            "banks": list(self.banks),
            "stores": list(self.stores),
        }


def month_of(settings: Settings, rules: SettlementPolicy, company: str, period: str) -> Month:
    """A month of a company of the configuration."""
    companies = {one.company for one in settings.stores.values()}
    companies |= {one.company for one in settings.banks.values()}
    if company not in companies:
        known = ", ".join(sorted(companies)) or "none"
        raise NotPossible(f"{company!r} is no company of the configuration; known: {known}.")
    if not MONTH.fullmatch(period):
        raise NotPossible(f"{period!r} is no month; write it as 2026-03.")
    year, month = (int(part) for part in period.split("-"))
    if not 0 < year < 9999:
        raise NotPossible(f"{period!r} is no month of any books.")
    books = rules.companies.get(company)
    return Month(
        company,
        period,
        date(year, month, 1),
        date(year + month // 12, month % 12 + 1, 1),
        books.timezone if books else "UTC",
        tuple(
            name
            for name in settings.providers
            if (of := company_of(settings, name)) is not None and of[0] == company
        ),
        tuple(name for name, one in settings.banks.items() if one.company == company),
        tuple(name for name, one in settings.stores.items() if one.company == company),
    )


def close(connection: Connection, month: Month, act: Act, *, in_spite: bool = False) -> Found:
    """Close a month: nothing is booked in it any more; answers what was left open and unposted."""
    with one_at_a_time(connection, LOCK):
        if month.first_day > act.now.date():
            raise NotPossible(
                f"{month.period} has not begun; a month that is to come is not closed."
            )
        if is_closed(connection, month.company, month.period):
            raise NotPossible(f"{month.period} of {month.company} is closed already.")
        left = {"open": open_findings(connection, month), "unposted": unposted(connection, month)}
        if left["open"] and not in_spite:
            names = ", ".join(
                f"{row['items']} {row['finding']} ({row['currency'] or 'no money'})"
                for row in left["open"]
            )
            raise NotPossible(
                f"{month.period} of {month.company} has open findings: {names}. "
                "`sync-assets settlements list` names each; close it all the same with "
                "--in-spite, and say why."
            )
        _keep(connection, month, act, is_closed=True)
        record(
            connection,
            act,
            "closed",
            f"{month.company} {month.period}",
            before={"is_closed": False},
            after={"is_closed": True, "open": left["open"], "unposted": left["unposted"]},
        )
    return left


def reopen(connection: Connection, month: Month, act: Act) -> None:
    """Open a closed month again."""
    with one_at_a_time(connection, LOCK):
        if not is_closed(connection, month.company, month.period):
            raise NotPossible(f"{month.period} of {month.company} is not closed.")
        _keep(connection, month, act, is_closed=False)
        record(
            connection,
            act,
            "reopened",
            f"{month.company} {month.period}",
            before={"is_closed": True},
            after={"is_closed": False},
        )


def is_closed(connection: Connection, company: str, period: str) -> bool:
    """Whether a month takes no entry."""
    query = (
        "select exists (select from core.periods where company = :company and period = :period "
        "and is_closed)"
    )
    return bool(scalar(connection, query, company=company, period=period))


def _keep(connection: Connection, month: Month, act: Act, *, is_closed: bool) -> None:
    connection.execute(
        text(
            """
            insert into core.periods (company, period, is_closed, changed_at, changed_by, note)
            values (:company, :period, :is_closed, :now, :by, :note)
            on conflict (company, period) do update set is_closed = excluded.is_closed,
                changed_at = excluded.changed_at, changed_by = excluded.changed_by,
                note = excluded.note
            """
        ),
        {
            "company": month.company,
            "period": month.period,
            "is_closed": is_closed,
            "now": act.now,
            "by": act.by,
            "note": act.note,
        },
    )


#: What came up in the month with the company's providers, banks or orders.
_FINDINGS = """
select o.finding, o.currency, count(*) as items, sum(o.amount) as amount
from core.open_items o
left join core.bank_lines b on o.side = 'bank' and b.bank_line_ref = o.ref
left join core.bank_statements s on o.side = 'statement' and s.statement_ref = o.ref
where not o.is_waiting and o.since >= :start and o.since < :end
  and (o.provider = any(:providers) or coalesce(b.account, s.account) = any(:banks)
    or o.provider is null and o.order_ref is not null
        and split_part(o.order_ref, ':', 1) = any(:stores))
group by 1, 2 order by 1, 2
"""


def open_findings(connection: Connection, month: Month) -> list[Found]:
    """What of a month waits for a person, by finding and currency."""
    return read_rows(connection, _FINDINGS, **month.values)


_UNBOOKED = """
not exists (select from core.journal_sources s where s.source_kind = '{kind}'
    and s.source_ref = {ref} and s.is_live)
"""
_UNPOSTED = f"""
select 'payments' as what, p.currency, count(*) as items, sum(p.amount) as amount
from core.payments p
where p.provider = any(:providers) and p.expected_at >= :start and p.expected_at < :end
  and not p.is_void and p.amount <> 0 and p.order_ref is not null
  and p.kind in ('capture', 'refund', 'refund_failed')
  and {_UNBOOKED.format(kind="payment", ref="p.payment_ref")}
group by p.currency
union all
select case when l.kind in ('payout', 'payout_returned', 'topup') then 'payouts'
    when i.ref is null then 'settled lines without a match'
    when l.payout_ref is null then 'settled lines without a payout'
    else 'settled lines' end, l.currency, count(*), sum(l.net_amount)
from core.settlement_lines l
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where l.provider = any(:providers) and l.occurred_at >= :start and l.occurred_at < :end
  and not l.is_split and l.net_amount <> 0
  and {_UNBOOKED.format(kind="line", ref="l.line_ref")}
group by 1, 2
union all
select 'entries of the bank', b.currency, count(*), sum(b.amount)
from core.bank_lines b
join core.match_items i on i.side = 'bank' and i.ref = b.bank_line_ref and i.is_live
where b.account = any(:banks) and b.booked_on >= :first_day and b.booked_on < :next_day
  and b.amount <> 0 and {_UNBOOKED.format(kind="bank", ref="b.bank_line_ref")}
group by b.currency
order by 1, 2
"""  # noqa: S608


def unposted(connection: Connection, month: Month) -> list[Found]:
    """Money of a month that is in no entry: how many things of each sort, and how much."""
    return read_rows(connection, _UNPOSTED, **month.values)


def periods(connection: Connection, company: str | None = None) -> list[Found]:
    """Months that have entries, or that somebody closed or opened; the newest first."""
    return read_rows(connection, _PERIODS, company=company)


_PERIODS = """
select company, period, coalesce(p.is_closed, false) as is_closed,
    coalesce(e.entries, 0) as entries, p.changed_at, p.changed_by, p.note
from core.periods p
full join (select company, period, count(*) as entries from core.journal_entries group by 1, 2) e
    using (company, period)
where cast(:company as text) is null or company = :company
order by company, period desc
"""

# ---------------------------------------------------------------- taking an entry back


def reverse(connection: Connection, entry_ref: str, act: Act) -> Found:
    """Take back what stands of an entry; answers the counter entry's key, day and period."""
    with one_at_a_time(connection, LOCK):
        entry = _reversible(connection, entry_ref)
        on = _open_day(connection, entry["company"], max(act.now.date(), entry["posted_on"]))
        counter = f"correction:{entry_ref}:{entry['corrections'] + 1}"
        values = {"ref": entry_ref, "counter": counter, "on": on, "now": act.now}
        connection.execute(text(_COUNTER_ENTRY), values)
        connection.execute(text(_COUNTER_LINES), {**values, "fx": _fx_account(connection, entry)})
        connection.execute(text(_COUNTER_SOURCES), values)
        freed = connection.execute(text(_ENDED), values).rowcount
        record(
            connection,
            act,
            "reversed",
            entry_ref,
            before={"is_reversed": False, "sources": freed},
            after={"counter": counter, "posted_on": on, "sources": 0},
        )
    return {"entry_ref": counter, "posted_on": on, "period": f"{on:%Y-%m}", "sources": freed}


_ENTRY = """
select e.*, (select r.entry_ref from core.journal_entries r where r.reverses = e.entry_ref)
        as reversed_by,
    (select count(*) from core.journal_entries x where x.kind = 'correction'
        and x.batch_ref = e.batch_ref) as corrections,
    (select count(*) from core.journal_sources s where s.entry_ref = e.entry_ref and s.is_live)
        as live_sources,
    exists (select from core.journal_sources s where s.entry_ref = e.entry_ref) as has_sources
from core.journal_entries e where e.entry_ref = :ref
"""


def _reversible(connection: Connection, entry_ref: str) -> Found:
    rows = read_rows(connection, _ENTRY, ref=entry_ref)
    if not rows:
        raise NotPossible(
            f"There is no entry {entry_ref!r}; `sync-assets books entries` lists the newest."
        )
    entry = rows[0]
    company, period = entry["company"], entry["period"]
    if entry["reversed_by"] is not None:
        raise NotPossible(f"{entry_ref} was taken back already, by {entry['reversed_by']}.")
    if entry["kind"] == "correction":
        raise NotPossible(
            f"{entry_ref} takes another entry back itself; what that one was made of is booked "
            "anew by the next run."
        )
    if entry["has_sources"] and not entry["live_sources"]:
        raise NotPossible(
            f"Nothing of {entry_ref} stands any more; `sync-assets books entry {entry_ref}` names "
            "the entries that took it back."
        )
    if is_closed(connection, company, period):
        raise NotPossible(
            f"{period} of {company} is closed. Open it first: `sync-assets books reopen "
            f"'{company}' {period} --note …`."
        )
    return entry


def _open_day(connection: Connection, company: str, wanted: date) -> date:
    """The wanted day, or the first of the next month that is open."""
    closed = {
        row["period"]
        for row in read_rows(
            connection,
            "select period from core.periods where company = :company and is_closed",
            company=company,
        )
    }
    day = wanted
    while f"{day:%Y-%m}" in closed:
        day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return day


def _fx_account(connection: Connection, entry: Mapping[str, Any]) -> str | None:
    """Where a rest of exchange goes that an earlier correction left: the account it went to."""
    found = scalar(
        connection,
        "select min(l.account) from core.journal_lines l join core.journal_entries e "
        "using (entry_ref) where e.company = :company and l.account_kind = 'fx'",
        company=entry["company"],
    )
    return None if found is None else str(found)


_COUNTER_ENTRY = """
insert into core.journal_entries (entry_ref, kind, company, erp, journal, posted_on, period,
    company_currency, provider, store, batch_ref, description, reverses, created_at)
select :counter, 'correction', e.company, e.erp, e.journal, :on,
    to_char(cast(:on as date), 'YYYY-MM'), e.company_currency, e.provider, e.store, e.batch_ref,
    'Takes back ' || e.entry_ref, e.entry_ref, :now
from core.journal_entries e where e.entry_ref = :ref
"""
#: All lines the other way round, less what was taken back before; what that leaves over in the
#: company's currency is exchange, as it was there.
_COUNTER_LINES = """
insert into core.journal_lines (entry_ref, line_no, account, account_kind, amount, currency,
    company_amount, tax_code, store, description, item_count)
with back as (
    select l.line_no, l.account, l.account_kind, l.currency, l.tax_code, l.store, l.description,
        -l.amount + coalesce(d.amount, 0) as amount,
        -l.company_amount + coalesce(d.company_amount, 0) as company_amount,
        l.item_count - coalesce(d.items, 0) as items
    from core.journal_lines l
    left join (
        select s.line_no, sum(s.amount) as amount, sum(s.company_amount) as company_amount,
            count(*) as items
        from core.journal_sources s where s.entry_ref = :ref and not s.is_live group by 1
    ) d using (line_no)
    where l.entry_ref = :ref
)
select :counter, line_no, account, account_kind, amount, currency, company_amount, tax_code, store,
    description, items
from back where amount <> 0 or company_amount <> 0
union all
select :counter, (select max(line_no) from back) + row_number() over (order by currency)::integer,
    cast(:fx as text), 'fx', 0, currency, -sum(company_amount), null, null,
    'exchange gain or loss', 0
from back group by currency having sum(company_amount) <> 0
"""
_COUNTER_SOURCES = """
insert into core.journal_sources (entry_ref, line_no, source_kind, source_ref, purpose, match_id,
    amount, company_amount, is_live)
select :counter, s.line_no, s.source_kind, s.source_ref, s.purpose, s.match_id, -s.amount,
    -s.company_amount, false
from core.journal_sources s
join core.journal_lines l on l.entry_ref = :counter and l.line_no = s.line_no
where s.entry_ref = :ref and s.is_live
"""
_ENDED = """
update core.journal_sources set is_live = false where entry_ref = :ref and is_live
"""
