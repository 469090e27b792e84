"""How money stands, provider by provider: the part of `status` that finance looks at."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.settings import Settings
from resources.store import money_facts as stored
from resources.store.facts import Facts

Found = dict[str, Any]


def money(connection: Connection, facts: Facts, settings: Settings, *, whole: bool) -> Found:
    """Each provider and bank that is configured or has something open, and what the ERPs lack.

    Counting matched lines and entries looks at each; what asks every few seconds leaves that out.
    """
    read = _last_read(connection, facts)
    outside = _by(stored.payouts_not_in_bank(connection))
    matched = (
        {row["provider"]: row["lines"] for row in stored.lines_matched(connection)}
        if (whole)
        else {}
    )
    open_items = _by(facts.money.open_items)
    unmatched = _by(facts.money.unmatched)
    known = dict.fromkeys(
        [*settings.providers, *settings.banks, *filter(None, open_items), *matched]
    )
    return {
        "providers": [
            {
                "provider": name,
                "read_at": read.get(name),
                "lines_matched": matched.get(name, 0) if whole else None,
                "lines_open": sum(row["lines"] for row in unmatched[name]),
                "items_open": sum(row["items"] for row in open_items[name]),
                "oldest_at": min((row["oldest_at"] for row in open_items[name]), default=None),
                "amounts": _sums(open_items[name]),
                **_outside(name, outside, settings),
            }
            for name in known
        ],
        "entries_waiting": stored.entries_waiting(connection) if whole else [],
    }


def _by(rows: stored.Rows) -> dict[str, stored.Rows]:
    groups: dict[str, stored.Rows] = defaultdict(list)
    for row in rows:
        groups[row["provider"]].append(row)
    return groups


def _last_read(connection: Connection, facts: Facts) -> dict[str, datetime]:
    """When a provider last said anything, by its API or by a file."""
    told = [(row["source"], row["updated_at"]) for row in facts.streams]
    told += [(row["provider"], row["read_at"]) for row in stored.files_read(connection)]
    latest: dict[str, datetime] = {}
    for name, at in told:
        latest[name] = max(at, latest.get(name, at))
    return latest


def _outside(name: str, rows: dict[str, stored.Rows], settings: Settings) -> Found:
    """Payouts that are on their way; of one whose bank we do not read nothing is known."""
    provider = settings.providers.get(name)
    if provider is None or provider.bank is None:
        return {"payouts_not_in_bank": None, "not_in_bank": {}}
    return {
        "payouts_not_in_bank": sum(row["payouts"] for row in rows[name]),
        "not_in_bank": _sums(rows[name]),
    }


def _sums(rows: stored.Rows) -> dict[str, Decimal]:
    """Sums by currency; what is about no money (a file) has none."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["currency"]:
            sums[row["currency"]] += row["amount"]
    return dict(sorted(sums.items()))
