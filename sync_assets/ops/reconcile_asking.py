"""What a person asks of `sync-assets reconcile`, and what the ledgers answer."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from resources.store.money_facts import settled_providers
from resources.wiring import Systems
from sync_assets.domain.orders import Row
from sync_assets.domain.settlement_policy import NO_FILE, SettlementPolicy
from sync_assets.domain.statements import (
    Line,
    NoPeriod,
    Period,
    Reconciliation,
    Sum,
    period,
    together,
)
from sync_assets.ops.console import fail
from sync_assets.settlements import policy as policies
from sync_assets.settlements import statement
from sync_assets.settlements.steps import zone_of

UTC, NO_PROVIDER = "UTC", ""


@dataclass(frozen=True)
class Asked:
    """What a person wants to see, and whose calendar holds."""

    period: Period
    providers: Mapping[str, str]
    store: str | None
    policy: SettlementPolicy
    #: No provider and no store was named.
    is_all: bool

    @property
    def times(self) -> list[statement.Asked]:
        """The same as instants, by provider."""
        return [
            statement.Asked(
                name,
                self.period.name,
                *self.period.bounds(zone),
                settle_days=self.policy.rule(name).settles_within_days,
            )
            for name, zone in self.providers.items()
        ]

    @property
    def items_too(self) -> list[statement.Asked]:
        """With what belongs to no provider, as a gap in the bank's statements."""
        if not self.is_all:
            return self.times
        bounds = self.period.bounds(UTC)
        return [*self.times, statement.Asked(NO_PROVIDER, self.period.name, *bounds)]


def asked_for(
    systems: Systems, connection: Connection, words: str, provider: str | None, store: str | None
) -> Asked:
    try:
        wanted = period(words)
    except NoPeriod as fault:
        fail(str(fault))
    known = sorted({*systems.settings.providers, *settled_providers(connection)})
    if provider is not None and provider not in known:
        fail(f"There is no provider {provider!r}; providers: {', '.join(known) or 'none'}.")
    stores = sorted(systems.settings.stores)
    if store is not None and store not in stores:
        fail(f"There is no store {store!r}; stores: {', '.join(stores) or 'none'}.")
    policy = policies.in_force(systems, connection) or NO_FILE
    names = known if provider is None else [provider]
    zones = {name: zone_of(systems.settings, policy, name) for name in names}
    return Asked(wanted, zones, store, policy, provider is None and store is None)


def nothing_of(connection: Connection, asked: Asked) -> str:
    """Why there is nothing to show, and for when there would be."""
    known = []
    for name, zone in asked.providers.items():
        if times := statement.known_time(connection, name):
            first, last = (f"{at.astimezone(ZoneInfo(zone)):%Y-%m}" for at in times)
            known.append(f"{name} {first} to {last}")
    where = f" in store {asked.store}" if asked.store else ""
    there = f"known is: {', '.join(known)}" if known else "no settlement was read yet"
    return f"Nothing was settled or expected in {asked.period.name}{where}; {there}."


# ---------------------------------------------------------------- what is found


def found_of(
    connection: Connection, asked: Asked, now: datetime, *, kept: bool
) -> list[Reconciliation]:
    lines = _lines(connection, asked, kept=kept)
    waiting = _by_account(statement.expected(connection, asked.times, now), asked.store)
    items = _with_currency(
        _by_account(statement.open_items(connection, asked.items_too), asked.store), lines
    )
    return [
        Reconciliation(
            provider,
            asked.period,
            currency,
            asked.providers.get(provider, UTC),
            lines.get((provider, currency), {}),
            waiting.get((provider, currency), ()),
            items.get((provider, currency), ()),
            asked.store,
        )
        for provider, currency in sorted({*lines, *waiting, *items})
    ]


Account = tuple[str, str]


def _lines(
    connection: Connection, asked: Asked, *, kept: bool
) -> dict[Account, dict[str, dict[Line, Sum]]]:
    """Statements by provider, currency and store."""
    if kept:
        found = statement.kept(connection, list(asked.providers), _kept_months(connection, asked))
    else:
        words = asked.policy.gift_cards.fee_words
        found = statement.statements(connection, asked.times, words)
    by_account: dict[Account, dict[str, list[dict[Line, Sum]]]] = defaultdict(dict)
    for key, lines in found.items():
        if asked.store in (None, key.store):
            stores = by_account[key.provider, key.currency]
            stores.setdefault(key.store, []).append(lines)
    return {
        account: {store: together(months) for store, months in sorted(stores.items())}
        for account, stores in by_account.items()
    }


def _kept_months(connection: Connection, asked: Asked) -> list[str]:
    months = asked.period.months
    if months is None:
        fail(f"{asked.period.name} is not made of whole months; leave out --kept.")
    missing = sorted(set(months) - set(statement.kept_at(connection, months)))
    if missing:
        fail(f"{', '.join(missing)} was never kept; leave out --kept.")
    return months


def kept_at_of(connection: Connection, asked: Asked) -> datetime:
    """How old the oldest month is."""
    return min(statement.kept_at(connection, asked.period.months or []).values())


def _with_currency(
    items: dict[Account, list[Row]], lines: Mapping[Account, Any]
) -> dict[Account, list[Row]]:
    """What is about no amount, as a file that cannot be read, stands with the first currency."""
    found: dict[Account, list[Row]] = defaultdict(list)
    for (provider, currency), rows in items.items():
        known = sorted(other for name, other in {*lines, *items} if name == provider and other)
        found[provider, currency or next(iter(known), "")] += rows
    return found


def _by_account(rows: Sequence[Row], store: str | None) -> dict[Account, list[Row]]:
    found: dict[Account, list[Row]] = defaultdict(list)
    for row in rows:
        if store in (None, row["store"]):
            found[row["provider"], row["currency"]].append(row)
    return found
