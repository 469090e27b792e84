"""Writing matches down: many pairs at once, and single ones with any number of items."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from resources.store.frames import copy_rows, read_rows

#: Pairs that a rule found: what is on the right may be missing, where nothing need be there.
PAIRS = """
drop table if exists pairs;
create temp table pairs (match_id bigint, left_ref text, right_ref text, provider text,
    amount numeric(20, 6), currency text, right_amount numeric(20, 6), right_currency text,
    reason text) on commit drop
"""

_NUMBER = "update pairs set match_id = nextval('core.matches_match_id_seq')"
_MATCHES = """
insert into core.matches (match_id, provider, rule, reason, difference_amount, currency, matched_at,
    matched_by, run_id)
select match_id, provider, :rule, reason, 0, currency, :now, 'pipeline', :run_id from pairs
"""
_ITEMS = """
insert into core.match_items (match_id, side, ref, amount, currency)
select match_id, :side, {ref}, {amount}, {currency} from pairs
"""


def write_pairs(
    connection: Connection,
    rule: str,
    left: str,
    right: str | None,
    now: datetime,
    run_id: str | None,
) -> int:
    """Keep every row of `pairs` as a match without a difference; answers how many."""
    count = connection.exec_driver_sql(_NUMBER).rowcount
    connection.execute(text(_MATCHES), {"rule": rule, "now": now, "run_id": run_id})
    own = {"amount": "amount", "currency": "currency"}
    connection.execute(text(_ITEMS.format(ref="left_ref", **own)), {"side": left})
    if right is not None:
        theirs = {name: f"coalesce(right_{name}, {name})" for name in own}
        connection.execute(text(_ITEMS.format(ref="right_ref", **theirs)), {"side": right})
    return int(count)


@dataclass(frozen=True)
class MatchItem:
    """One thing of a match, with how much of it."""

    side: str
    ref: str
    amount: Decimal
    currency: str


@dataclass(frozen=True)
class NewMatch:
    """A match to be kept."""

    rule: str
    reason: str
    items: Sequence[MatchItem]
    difference: Decimal
    currency: str
    provider: str | None = None
    account: str | None = None
    by: str = "pipeline"


def write_matches(
    connection: Connection, found: Sequence[NewMatch], now: datetime, run_id: str | None
) -> list[int]:
    """Keep matches with their items; answers their ids.

    Raises UniqueViolation where one of their things has a live match already.
    """
    if not found:
        return []
    numbers = read_rows(
        connection,
        "select nextval('core.matches_match_id_seq') as id from generate_series(1, :count)",
        count=len(found),
    )
    ids = [int(row["id"]) for row in numbers]
    copy_rows(
        connection,
        "core.matches",
        _MATCH_COLUMNS,
        (
            (
                *(number, one.provider, one.rule, one.reason, one.difference, one.currency),
                *(one.account, now, one.by, run_id),
            )
            for number, one in zip(ids, found, strict=True)
        ),
    )
    copy_rows(
        connection,
        "core.match_items",
        ("match_id", "side", "ref", "amount", "currency"),
        (
            (number, item.side, item.ref, item.amount, item.currency)
            for number, one in zip(ids, found, strict=True)
            for item in one.items
        ),
    )
    return ids


_MATCH_COLUMNS = (
    *("match_id", "provider", "rule", "reason", "difference_amount", "currency", "account"),
    *("matched_at", "matched_by", "run_id"),
)
