"""Facts about money: what is open, what reached no bank, what no ERP has, how fast refunds settle.

Reading only, as `facts.py`. What is asked every few seconds looks at what is open and at the newest
matches; what looks at every line and entry is asked for by name.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows

Rows = list[dict[str, Any]]

#: Refunds that settled within this are measured.
SETTLED = timedelta(days=1)
#: The newest matches among which those of refunds are looked for.
NEWEST_MATCHES = 10_000


@dataclass(frozen=True)
class MoneyFacts:
    """How money stands; every part is rows of plain values."""

    #: provider, finding, currency, items, amount (without signs), oldest_at
    open_items: Rows
    #: provider, lines, oldest_at; settled lines that are open and matched with nothing
    unmatched: Rows
    #: provider, refunds, p50_seconds, p95_seconds; settled and matched within the last day
    refunds: Rows


def settled_providers(connection: Connection) -> list[str]:
    """Every provider with a settled line; steps through the index, not through the lines."""
    return [row["provider"] for row in read_rows(connection, _PROVIDERS)]


_PROVIDERS = """
with recursive found as (
    (select provider from core.settlement_lines order by provider limit 1)
    union all
    select (select l.provider from core.settlement_lines l where l.provider > f.provider
        order by l.provider limit 1)
    from found f where f.provider is not null
)
select provider from found where provider is not null order by provider
"""


def read(connection: Connection, now: datetime) -> MoneyFacts:
    """Read what is asked every few seconds."""
    return MoneyFacts(
        open_items=read_rows(connection, _OPEN),
        unmatched=read_rows(connection, _UNMATCHED),
        refunds=read_rows(connection, _REFUNDS, since=now - SETTLED, newest=NEWEST_MATCHES),
    )


_OPEN = """
select coalesce(provider, '') as provider, finding, currency, count(*) as items,
    sum(abs(amount)) as amount, min(since) as oldest_at
from core.open_items group by 1, 2, 3 order by 1, 2, 3
"""
_UNMATCHED = """
select coalesce(o.provider, '') as provider, count(distinct o.ref) as lines,
    min(o.since) as oldest_at
from core.open_items o
left join core.match_items i on i.side = 'settled' and i.ref = o.ref and i.is_live
where o.side = 'settled' and i.ref is null group by 1 order by 1
"""
#: From the moment money was given back to its line in a settlement, whenever that was told.
_REFUNDS = """
with newest as materialized (
    select match_id, matched_at, ended_at from core.matches order by match_id desc limit :newest
)
select provider, count(*) as refunds,
    percentile_cont(0.5) within group (order by seconds) as p50_seconds,
    percentile_cont(0.95) within group (order by seconds) as p95_seconds
from (
    select p.provider,
        extract(epoch from max(l.occurred_at) - min(p.expected_at))\\:\\:float8 as seconds
    from newest n
    join core.match_items e on e.match_id = n.match_id and e.side = 'expected'
    join core.payments p on p.payment_ref = e.ref and p.kind = 'refund'
    join core.match_items s on s.match_id = n.match_id and s.side = 'settled'
    join core.settlement_lines l on l.line_ref = s.ref
    where n.matched_at > :since and n.ended_at is null
    group by p.provider, p.payment_ref
) settled group by provider order by provider
"""


def files_read(connection: Connection) -> Rows:
    """When each provider's and bank's newest report file was read: provider, read_at."""
    return read_rows(
        connection,
        "select provider, max(read_at) as read_at from core.report_files "
        "where state <> 'refused' group by 1 order by 1",
    )


def payouts_not_in_bank(connection: Connection) -> Rows:
    """Payouts that met no entry of a bank: provider, currency, payouts, amount, oldest_at."""
    return read_rows(
        connection,
        """
        select l.provider, l.currency, count(*) as payouts, -sum(l.net_amount) as amount,
            min(l.occurred_at) as oldest_at
        from core.settlement_lines l
        left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
        where l.kind = 'payout' and not l.is_split and i.ref is null
        group by 1, 2 order by 1, 2
        """,
    )


def lines_matched(connection: Connection) -> Rows:
    """Lines that are matched, by provider; looks at each."""
    return read_rows(
        connection,
        "select l.provider, count(*) as lines from core.match_items i "
        "join core.settlement_lines l on l.line_ref = i.ref "
        "where i.side = 'settled' and i.is_live group by 1 order by 1",
    )


def entries_waiting(connection: Connection) -> Rows:
    """Journal entries no ERP has answered: erp, entries, oldest_at; looks at each."""
    return read_rows(
        connection,
        """
        select e.erp, count(*) as entries, min(e.created_at) as oldest_at
        from core.journal_entries e
        left join receipt.journal_entries r on r.system = e.erp and r.key = e.entry_ref
        where r.key is null group by 1 order by 1
        """,
    )
