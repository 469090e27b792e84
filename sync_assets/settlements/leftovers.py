"""What no key ties one to one: read from the database, paired by `domain/pairing.py`, written back.

Only what is open is read, with the payments that may belong to it: those that share an id, a number
or a word of the text, and those of nearly the same amount about the same time.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.settings import Settings
from resources.store.frames import read_rows
from sync_assets.domain.pairing import Allowed, Item, Pair, pair
from sync_assets.domain.settlement_policy import ProviderRule, SettlementPolicy, is_like
from sync_assets.settlements.writing_matches import MatchItem, NewMatch, write_matches

Row = dict[str, Any]

# ---------------------------------------------------------------- lines and payments

#: Words of a text that may be an order's number: letters and digits, a digit among them.
_WORDS = """
create temp table line_words on commit drop as
select distinct l.ref, core.reference_of(w.found[1]) as word
from open_lines l,
    regexp_matches(l.description, '[A-Za-z0-9][A-Za-z0-9_:.-]*[0-9][A-Za-z0-9_-]*', 'g')
        as w (found)
"""
#: Open payments that may belong to an open line, by whatever names both.
_NEAR = """
create temp table near on commit drop as
select l.ref, p.ref as payment_ref, 'key' as how from open_lines l
join open_payments p on p.provider = l.provider and p.kind = l.kind and p.currency = l.currency
    and p.payment_id = l.payment_id
union select l.ref, p.ref, 'key' from open_lines l
join open_payments p on p.provider = l.provider and p.kind = l.kind and p.currency = l.currency
    and p.group_id = l.payment_id
union select l.ref, p.ref, 'key' from open_lines l
join open_payments p on p.provider = l.provider and p.kind = l.kind and p.currency = l.currency
    and p.group_id = l.group_id
union select l.ref, p.ref, 'key' from open_lines l
join open_payments p on p.provider = l.provider and p.kind = l.kind and p.currency = l.currency
    and p.order_number = l.reference
union select l.ref, p.ref, 'key' from open_lines l
join open_payments p on p.provider = l.provider and p.kind = l.kind and p.currency = l.currency
    and p.order_ref = l.reference
union select l.ref, p.ref, 'word' from open_lines l join line_words w using (ref)
join open_payments p on p.provider = l.provider and p.kind = l.kind and p.currency = l.currency
    and (p.order_number = w.word or p.order_ref = w.word or p.payment_id = w.word)
union select l.ref, p.ref, 'amount' from open_lines l join stage_slack s using (provider, currency)
join open_payments p on p.provider = l.provider and p.kind = l.kind and p.currency = l.currency
    and p.amount between l.amount - s.slack and l.amount + s.slack
    and p.at between l.at - s.window and l.at + s.window
where l.reference is null and not p.is_void
"""


def pair_lines(
    connection: Connection, policy: SettlementPolicy, now: datetime, run_id: str | None
) -> dict[str, int]:
    """Match what shares a reference in any number, and what shares an amount only."""
    _stage_slack(connection, policy)
    for name, statement in (("line_words", _WORDS), ("near", _NEAR)):
        connection.exec_driver_sql(f"drop table if exists {name}")
        connection.execute(text(statement))
    lines = read_rows(connection, _LINES)
    payments = {row["ref"]: row for row in read_rows(connection, _PAYMENTS)}
    if not lines:
        return {}
    found: dict[str, int] = defaultdict(int)
    matches: list[NewMatch] = []
    for provider in sorted({row["provider"] for row in lines}):
        own = {row["ref"]: row for row in lines if row["provider"] == provider}
        there = [row for row in payments.values() if row["provider"] == provider]
        allowed = _allowed(policy.rule(provider))
        for one in pair(_line_items(own.values()), _payment_items(there), allowed):
            matches.append(_match_of(one, own, payments, provider))
            found[one.rule] += 1
    write_matches(connection, matches, now, run_id)
    _forget(connection, matches)
    return dict(found)


_LINES = """
select l.*, (select array_agg(n.payment_ref) from near n where n.ref = l.ref and n.how = 'key')
    as tied, (select array_agg(n.payment_ref) from near n where n.ref = l.ref and n.how = 'word')
    as named, exists (select from line_words w where w.ref = l.ref) as has_words
from open_lines l where exists (select from near n where n.ref = l.ref) order by l.at, l.ref
"""
_PAYMENTS = """
select p.* from open_payments p where exists (select from near n where n.payment_ref = p.ref)
order by p.at, p.ref
"""


def _stage_slack(connection: Connection, policy: SettlementPolicy) -> None:
    """How far apart amounts and moments may be, by provider and currency of what is open."""
    connection.exec_driver_sql("drop table if exists stage_slack")
    connection.exec_driver_sql(
        "create temp table stage_slack (provider text, currency text, slack numeric, "
        '"window" interval) on commit drop'
    )
    pairs = read_rows(connection, "select distinct provider, currency from open_lines")
    for row in pairs:
        rule = policy.rule(row["provider"])
        connection.execute(
            text("insert into stage_slack values (:provider, :currency, :slack, :window)"),
            {
                **row,
                "slack": rule.tolerance.get(row["currency"], Decimal(0)),
                "window": timedelta(days=rule.window_days),
            },
        )


def _allowed(rule: ProviderRule) -> Allowed:
    return Allowed(rule.tolerance, timedelta(days=rule.window_days))


def _group(row: Row) -> tuple[str, ...]:
    return row["kind"], row["currency"]


def _line_items(rows: Iterable[Row]) -> list[Item]:
    return [
        Item(
            row["ref"],
            _group(row),
            row["amount"],
            row["at"],
            keys=frozenset(row["tied"] or ()),
            words=frozenset(row["named"] or ()),
            is_named=bool(row["reference"] or row["tied"] or row["has_words"]),
            has_id=row["payment_id"] is not None,
        )
        for row in rows
    ]


def _payment_items(rows: Iterable[Row]) -> list[Item]:
    """A payment is tied by its own key: the database said which lines name it."""
    return [
        Item(
            row["ref"],
            _group(row),
            row["amount"],
            row["at"],
            keys=frozenset({row["ref"]}),
            has_id=row["payment_id"] is not None,
        )
        for row in rows
    ]


def _match_of(
    one: Pair, lines: Mapping[str, Row], payments: Mapping[str, Row], provider: str
) -> NewMatch:
    items = [_item("settled", lines[ref]) for ref in one.actual]
    items += [_item("expected", payments[ref]) for ref in one.expected]
    return NewMatch(
        one.rule, one.reason, items, one.difference, items[0].currency, provider=provider
    )


def _forget(connection: Connection, matches: Sequence[NewMatch]) -> None:
    """What is matched is open no more."""
    for table, side in (("open_lines", "settled"), ("open_payments", "expected")):
        refs = [item.ref for one in matches for item in one.items if item.side == side]
        connection.execute(
            text(f"delete from {table} where ref = any(:refs)"),  # noqa: S608
            {"refs": refs},
        )


def _item(side: str, row: Row) -> MatchItem:
    return MatchItem(side, row["ref"], row["amount"], row["currency"])


# ---------------------------------------------------------------- payouts and the bank

_MOVED = """
select l.line_ref as ref, l.provider, -l.net_amount as amount, l.currency, l.occurred_at as at,
    l.movement_id, p.bank_reference, p.payout_id, p.paid_on, l.kind
from core.settlement_lines l left join core.payouts p using (payout_ref)
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where i.ref is null and not l.is_split and l.kind in ('payout', 'payout_returned', 'topup')
  and l.provider = any(:providers)
order by l.occurred_at, l.line_ref
"""
_BANK = """
select b.bank_line_ref as ref, b.amount, b.currency, b.booked_on,
    concat_ws(' ', b.description, b.end_to_end_id, b.bank_reference) as words, b.counterparty
from core.bank_lines b
left join core.match_items i on i.side = 'bank' and i.ref = b.bank_line_ref and i.is_live
where i.ref is null and b.account = :account order by b.booked_on, b.bank_line_ref
"""


def pair_bank(
    connection: Connection,
    settings: Settings,
    policy: SettlementPolicy,
    now: datetime,
    run_id: str | None,
) -> dict[str, int]:
    """Match what was paid out with what reached each bank account."""
    found: dict[str, int] = defaultdict(int)
    for account in settings.banks:
        names = [name for name, one in settings.providers.items() if one.bank == account]
        moved = read_rows(connection, _MOVED, providers=names)
        entries = read_rows(connection, _BANK, account=account)
        if not moved or not entries:
            continue
        days = max(policy.rule(name).bank_within_days for name in names)
        patterns = bank_names(settings, policy, names)
        actual, expected = _bank_items(moved, entries, account, patterns)
        pairs = pair(actual, expected, Allowed({}, timedelta(days=days + 1)))
        write_matches(connection, [_of_bank(one, moved, entries) for one in pairs], now, run_id)
        for one in pairs:
            found[one.rule] += 1
    return dict(found)


def _bank_items(
    moved: Sequence[Row], entries: Sequence[Row], account: str, patterns: tuple[str, ...]
) -> tuple[list[Item], list[Item]]:
    """Entries of the bank as actual, payouts as expected; the bank's text names the payout.

    By its amount alone an entry is only matched if it names a provider.
    """
    by_word: dict[str, set[str]] = defaultdict(set)
    for row in moved:
        for word in (row["bank_reference"], row["payout_id"], row["movement_id"]):
            if word and len(word) >= MIN_WORD:
                by_word[word.casefold()].add(row["ref"])
    actual = [
        Item(
            row["ref"],
            (account, row["currency"]),
            row["amount"],
            _noon(row["booked_on"]),
            keys=frozenset(ref for word in _words(row["words"]) for ref in by_word.get(word, ())),
            is_named=not is_like(patterns, f"{row['counterparty'] or ''} {row['words']}"),
            has_id=False,
        )
        for row in entries
    ]
    expected = [
        Item(
            row["ref"],
            (account, row["currency"]),
            row["amount"],
            _noon(row["paid_on"]) if row["paid_on"] else row["at"],
            keys=frozenset({row["ref"]}),
            has_id=False,
        )
        for row in moved
    ]
    return actual, expected


def bank_names(
    settings: Settings, policy: SettlementPolicy, providers: Sequence[str]
) -> tuple[str, ...]:
    """How banks write the names of providers; * is any characters."""
    return tuple(
        pattern
        for name in providers
        for pattern in policy.rule(name).bank_names or (f"*{settings.providers[name].kind}*",)
    )


#: Shorter words are in too many texts to name a payout.
MIN_WORD = 5


def _words(said: str) -> set[str]:
    """Words of a bank's text, whole and without what banks put around them."""
    bare = said.casefold().replace(",", " ").replace(";", " ").replace("/", " ")
    return {word.strip(".:()[]") for word in bare.split()}


def _noon(day: Any) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00+00:00")


def _of_bank(one: Pair, moved: Sequence[Row], entries: Sequence[Row]) -> NewMatch:
    payouts = {row["ref"]: row for row in moved}
    lines = {row["ref"]: row for row in entries}
    items = [_item("bank", lines[ref]) for ref in one.actual]
    items += [_item("settled", payouts[ref]) for ref in one.expected]
    provider = payouts[one.expected[0]]["provider"]
    said = one.reason.replace("payment", "payout").replace("line", "entry of the bank", 1)
    return NewMatch(
        f"bank_{one.rule}", said, items, one.difference, items[0].currency, provider=provider
    )
