"""The sums behind the reconciliation statement, read from the ledgers, and kept by month.

Everything is summed by the database in sets (`statement_sums.py`); what comes back is a few rows
per provider, store and currency. How they become a statement is `domain/statements.py`.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from resources.store.frames import copy_frame, read_rows, scalar
from resources.store.money_facts import settled_providers
from sync_assets.domain.money import DIGITS
from sync_assets.domain.orders import Row
from sync_assets.domain.policy import sku_pattern
from sync_assets.domain.settlement_policy import GiftCards
from sync_assets.domain.statements import Line, Statements, Sum, period, rows, statement
from sync_assets.settlements.statement_sums import STAGED, SUMS

GIFT_CARD_WORDS = GiftCards().fee_words


@dataclass(frozen=True)
class Asked:
    """Of which provider and time the sums are wanted; `until_at` is the first instant after."""

    provider: str
    period: str
    since_at: datetime
    until_at: datetime
    #: Captured or refunded, it is settled within so many days.
    settle_days: int = 0


class Key(NamedTuple):
    """Whose statement it is."""

    provider: str
    store: str
    period: str
    currency: str


# ---------------------------------------------------------------- what is there


def known_time(connection: Connection, provider: str) -> tuple[datetime, datetime] | None:
    """When the first and the last line of a provider were booked; None where there is none."""
    (row,) = read_rows(
        connection,
        "select min(occurred_at) as first_at, max(occurred_at) as last_at "
        "from core.settlement_lines where provider = :provider",
        provider=provider,
    )
    return (row["first_at"], row["last_at"]) if row["first_at"] else None


# ---------------------------------------------------------------- the statement


def statements(
    connection: Connection,
    asked: Sequence[Asked],
    gift_card_words: Sequence[str] = GIFT_CARD_WORDS,
) -> dict[Key, dict[Line, Sum]]:
    """The statement of every provider, store, period and currency that moved."""
    _stage(connection, asked, gift_card_words)
    found: dict[Key, dict[Line, Sum]] = defaultdict(dict)
    for row in read_rows(connection, SUMS):
        key = Key(row["provider"], row["store"], row["period"], row["currency"])
        found[key][Line(row["line"])] = _sum(row)
    return {key: statement(sums) for key, sums in found.items()}


def _sum(row: Row) -> Sum:
    return Sum(row["item_count"], row["amount"], row["open_count"], row["open_amount"])


def kept(
    connection: Connection, names: Sequence[str], months: Sequence[str]
) -> dict[Key, dict[Line, Sum]]:
    """The statements of whole months as last kept, by month."""
    found: dict[Key, dict[Line, Sum]] = defaultdict(dict)
    for row in read_rows(
        connection,
        "select * from core.reconciliations where provider = any(:names) and period = any(:months) "
        "order by provider, store, period, currency, line_no",
        names=list(names),
        months=list(months),
    ):
        key = Key(row["provider"], row["store"], row["period"], row["currency"])
        found[key][Line(row["line"])] = _sum(row)
    return {key: statement(sums) for key, sums in found.items()}


def kept_at(connection: Connection, months: Sequence[str]) -> Mapping[str, datetime]:
    """When each month was last worked out; what is missing never was."""
    found = read_rows(
        connection,
        "select period, min(worked_out_at) as at from core.reconciliations "
        "where period = any(:months) group by 1",
        months=list(months),
    )
    return {row["period"]: row["at"] for row in found}


def refresh(
    connection: Connection,
    zone_of: Callable[[str], str],
    months: Iterable[str],
    *,
    gift_card_words: Sequence[str] = GIFT_CARD_WORDS,
    run_id: str | None = None,
) -> int:
    """Work out whole months anew for all providers and keep them; answers how many rows.

    `zone_of` answers the time zone of the company a provider's account belongs to; `months` are
    written `2017-03`.
    """
    names = sorted(set(months))
    known = settled_providers(connection)
    asked = [
        Asked(provider, month, *period(month).bounds(zone_of(provider)))
        for month in names
        for provider in known
    ]
    connection.execute(
        text("delete from core.reconciliations where period = any(:months)"), {"months": names}
    )
    if not asked:
        return 0
    at = scalar(connection, "select now()")
    found: list[Row] = []
    for key, lines in statements(connection, asked, gift_card_words).items():
        found += rows({**key._asdict(), "worked_out_at": at}, lines)
    frame = Statements.validate(Statements.frame(found))
    return copy_frame(connection, "core.reconciliations", frame.assign(run_id=run_id))


# ---------------------------------------------------------------- what is open


def expected(connection: Connection, asked: Sequence[Asked], now: datetime) -> list[Row]:
    """Payments of the time that nothing settled, by kind, not due yet or overdue."""
    _stage_asked(connection, asked)
    return read_rows(connection, _EXPECTED, now=now)


_EXPECTED = """
select p.provider, coalesce(p.store, '') as store, p.currency, p.kind,
    p.expected_at + make_interval(days => a.settle_days) < :now as is_overdue,
    count(*) as item_count, sum(p.amount) as amount
from statement_asked a
join core.payments p on p.provider = a.provider
    and p.expected_at >= a.since_at and p.expected_at < a.until_at
left join core.match_items i on i.side = 'expected' and i.ref = p.payment_ref and i.is_live
where not p.is_void and i.match_id is null
group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
"""


def open_items(connection: Connection, asked: Sequence[Asked]) -> list[Row]:
    """What came up in the time and waits, by finding; of no provider under ""."""
    _stage_asked(connection, asked)
    return read_rows(connection, _OPEN_ITEMS)


_OPEN_ITEMS = """
select a.provider, coalesce(p.store, s.store, '') as store, o.currency, o.finding, o.is_waiting,
    count(*) as item_count, sum(o.amount) as amount, min(o.since) as oldest_at
from statement_asked a
join core.open_items o on coalesce(o.provider, '') = a.provider
    and o.since >= a.since_at and o.since < a.until_at
left join core.payments p on o.side = 'expected' and p.payment_ref = o.ref
left join core.orders s on s.order_ref = o.order_ref
group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
"""


# ---------------------------------------------------------------- staging


def _stage_asked(connection: Connection, asked: Sequence[Asked]) -> None:
    connection.exec_driver_sql("drop table if exists statement_asked")
    connection.exec_driver_sql(
        "create temp table statement_asked (provider text not null, period text not null, "
        "since_at timestamptz not null, until_at timestamptz not null, settle_days integer not null"
        ") on commit drop"
    )
    if asked:
        connection.execute(
            text(
                "insert into statement_asked "
                "values (:provider, :period, :since_at, :until_at, :settle_days)"
            ),
            [vars(one) for one in asked],
        )
    # The planner knows nothing of a new table, and would read all lines for a few days of them.
    connection.exec_driver_sql("analyze statement_asked")


def _stage(connection: Connection, asked: Sequence[Asked], words: Sequence[str]) -> None:
    """Put lines, their matches and the parts of their orders into temporary tables."""
    _stage_asked(connection, asked)
    for name in reversed(STAGED):
        connection.exec_driver_sql(f"drop table if exists {name}")
    values = {"gift_cards": _pattern(words), "digits": json.dumps(DIGITS)}
    with _room(connection):
        for name, query in STAGED.items():
            connection.execute(text(f"create temp table {name} on commit drop as {query}"), values)
            connection.exec_driver_sql(f"analyze {name}")


@contextmanager
def _room(connection: Connection) -> Iterator[None]:
    """Memory for joins of whole months: with the server's 4 MB they go over the disk."""
    before = scalar(connection, "select current_setting('work_mem')")
    connection.execute(_WORK_MEM, {"size": MEMORY})
    yield
    connection.execute(_WORK_MEM, {"size": before})


MEMORY = "64MB"
_WORK_MEM = text("select set_config('work_mem', :size, true)")


def _pattern(words: Sequence[str]) -> str:
    """One pattern for descriptions of fees by which a gift card pays; nothing fits no words."""
    return f"^({'|'.join(map(sku_pattern, words))})$" if words else "^(?!)$"
