"""What no key ties one to one: read from the database, paired by `domain/pairing.py`, written back.

Only what is open is read, with the payments that may belong to it: those that share an id, a number
or a word of the text, and those of nearly the same amount about the same time.
"""

import re
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
_SAME = "p.provider = l.provider and p.kind = l.kind and p.currency = l.currency"
#: Key of a payment and the key of a line that ties them.
_TIES = (
    *(("payment_id", "payment_id"), ("payment_id", "group_id"), ("payment_id", "movement_id")),
    *(("group_id", "payment_id"), ("group_id", "group_id"), ("movement_id", "movement_id")),
    *(("order_number", "reference"), ("order_ref", "reference"), ("order_id", "reference")),
)
#: What two orders may have alike: every store counts from one.
_NUMBERS = ("order_number", "order_id")


def _tie(lines: str, how: str, theirs: str, ours: str) -> str:
    number = ours if theirs in _NUMBERS else "null"
    return (
        f"select l.ref, p.ref as payment_ref, '{how}' as how, {number} as number from {lines} "  # noqa: S608
        f"join open_payments p on {_SAME} and p.{theirs} = {ours}"
    )


#: Open payments that may belong to an open line by whatever names both; one query for each name,
#: because a join over one name or another is a loop over everything.
_NEAR = "create temp table near on commit drop as " + " union ".join(
    [
        *(_tie("open_lines l", "key", theirs, f"l.{ours}") for theirs, ours in _TIES),
        *(
            _tie("open_lines l join line_words w using (ref)", "word", name, "w.word")
            for name in ("order_number", "order_ref", "payment_id")
        ),
    ]
)
#: A number that two orders have decides nothing.
_DECISIVE = """
delete from near n using (
    select o.ref, o.number from near o join open_payments p on p.ref = o.payment_ref
    where o.number is not null group by 1, 2
    having min(p.order_ref) is distinct from max(p.order_ref)
) d where d.ref = n.ref and d.number = n.number
"""
#: Lines that name nothing, once for each spot of amount and time within their reach; found by
#: their spots, they are not held beside every payment there is.
_LINE_SPOTS = """
create temp table line_spots on commit drop as
select l.ref, l.provider, l.kind, l.currency, l.amount, l.at, s.slack, s.window,
    floor(l.amount / s.unit) + a.step as amount_spot,
    floor(extract(epoch from l.at) / s.span) + t.step as time_spot
from open_lines l join stage_slack s using (provider, currency)
cross join generate_series(-1, 1) a (step) cross join generate_series(-1, 1) t (step)
where l.reference is null and not exists (select from line_words w where w.ref = l.ref)
  and not exists (select from near n where n.ref = l.ref)
"""
_PAYMENT_SPOTS = """
create temp table payment_spots on commit drop as
select p.ref, p.provider, p.kind, p.currency, p.amount, p.at,
    floor(p.amount / s.unit) as amount_spot, floor(extract(epoch from p.at) / s.span) as time_spot
from open_payments p join stage_slack s using (provider, currency)
where not p.is_void
  and (p.provider, p.kind, p.currency) in (select provider, kind, currency from line_spots)
"""
_CLOSE = f"""{_SAME} and p.amount_spot = l.amount_spot and p.time_spot = l.time_spot
    and p.amount between l.amount - l.slack and l.amount + l.slack
    and p.at between l.at - l.window and l.at + l.window"""
#: They, and payments of nearly the same amount about the same time. Each is listed once, by itself:
#: many equal amounts would make as many pairs as their product.
_ALIKE = f"""
insert into near (ref, payment_ref, how)
select distinct l.ref, null, 'amount' from line_spots l
where exists (select from payment_spots p where {_CLOSE})
union all
select null, p.ref, 'amount' from payment_spots p
where exists (select from line_spots l where {_CLOSE})
"""  # noqa: S608
_PREPARED = (
    "drop table if exists line_words",
    _WORDS,
    "analyze line_words",
    "analyze open_lines",
    "analyze open_payments",
    "drop table if exists near",
    _NEAR,
    _DECISIVE,
    "drop table if exists line_spots",
    _LINE_SPOTS,
    "analyze line_spots",
    "drop table if exists payment_spots",
    _PAYMENT_SPOTS,
    "analyze payment_spots",
    _ALIKE,
    "create index on near (ref)",
    "create index on near (payment_ref)",
    "analyze near",
)


def pair_lines(
    connection: Connection, policy: SettlementPolicy, now: datetime, run_id: str | None
) -> dict[str, int]:
    """Match what shares a reference in any number, and what shares an amount only."""
    _stage_slack(connection, policy)
    for statement in _PREPARED:
        connection.execute(text(statement))
    lines = read_rows(connection, _LINES)
    payments = {row["ref"]: row for row in read_rows(connection, _PAYMENTS)}
    if not lines:
        return {}
    found: dict[str, int] = defaultdict(int)
    matches: list[NewMatch] = []
    apart = _set_apart(connection)
    for provider in sorted({row["provider"] for row in lines}):
        own = {row["ref"]: row for row in lines if row["provider"] == provider}
        there = [row for row in payments.values() if row["provider"] == provider]
        allowed = _allowed(policy.rule(provider))
        pairs = pair(_line_items(own.values()), _payment_items(there), allowed)
        for one in _together(pairs, apart):
            matches.append(_match_of(one, own, payments, provider))
            found[one.rule] += 1
    write_matches(connection, matches, now, run_id)
    _forget(connection, matches)
    return dict(found)


def _set_apart(connection: Connection) -> set[tuple[str, str]]:
    """What a person said does not belong together."""
    rows = read_rows(connection, "select ref, other_ref from set_apart where other_ref is not null")
    return {(row["ref"], row["other_ref"]) for row in rows}


def _together(pairs: Iterable[Pair], apart: set[tuple[str, str]]) -> list[Pair]:
    """Pairs of which a person has set nothing apart."""
    return [
        one
        for one in pairs
        if not apart or not apart & {(a, b) for a in one.actual for b in one.expected}
    ]


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
        '"window" interval, unit numeric, span numeric) on commit drop'
    )
    pairs = read_rows(connection, "select distinct provider, currency from open_lines")
    for row in pairs:
        rule = policy.rule(row["provider"])
        connection.execute(
            text(
                "insert into stage_slack values (:provider, :currency, :slack, :window, "
                "greatest(:slack, 0.01), greatest(extract(epoch from :window), 86400))"
            ),
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
        allowed = Allowed({}, timedelta(days=days + 1))
        pairs = _together(pair(actual, expected, allowed), _set_apart(connection))
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
    by_word: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in moved:
        for name in (row["bank_reference"], row["payout_id"], row["movement_id"]):
            if name and len(name) >= MIN_WORD:
                longest = max(sorted(_words(name)), key=len)
                by_word[longest].add((name.casefold(), row["ref"]))
    actual = [
        Item(
            row["ref"],
            (account, row["currency"]),
            row["amount"],
            _noon(row["booked_on"]),
            keys=_named_in(row["words"], by_word),
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


def _named_in(said: str, by_word: Mapping[str, set[tuple[str, str]]]) -> frozenset[str]:
    """Payouts whose name stands in a text, in one word or several."""
    whole = said.casefold()
    return frozenset(
        ref for word in _words(said) for name, ref in by_word.get(word, ()) if name in whole
    )


def bank_names(
    settings: Settings, policy: SettlementPolicy, providers: Sequence[str]
) -> tuple[str, ...]:
    """How banks write the names of providers; * is any characters."""
    return tuple(
        pattern
        for name in providers
        for pattern in policy.rule(name).bank_names or (f"*{settings.providers[name].kind}*",)
    )


_BETWEEN_WORDS = re.compile(r"[\s,;:/+=()\[\]]+")
#: Shorter words are in too many texts to name a payout.
MIN_WORD = 5


def _words(said: str) -> set[str]:
    """Words of a bank's text, without what banks put between and around them (`EREF+…`)."""
    return {word.strip(".") for word in _BETWEEN_WORDS.split(said.casefold())}


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
