"""What a person decides about what belongs to what: matching by hand, ending a match, giving a
thing to an account, and who works on it.

All of it is kept in the audit; what cannot be done is said with what would do. Booking and the rest
of the matching are for the next run of the job `settlements`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from sync_assets.domain.findings import PREFIX
from sync_assets.domain.settlement_policy import ACCOUNT_KINDS, SettlementPolicy
from sync_assets.settlements.things import (
    BANK,
    EXPECTED,
    SETTLED,
    Act,
    Thing,
    deciding,
    find,
    money,
    must_be_open,
    record,
)
from sync_assets.settlements.writing_matches import MatchItem, NewMatch, write_matches

WRITE_OFF = "write_off"
#: Accounts that the ledgers themselves move: booking to one by hand would hide what is open.
OWN_ACCOUNTS = frozenset({"balance", "bank", "clearing", "transit"})


@dataclass(frozen=True)
class Wanted:
    """What a person says belongs together, and where a difference goes."""

    lines: Sequence[str] = ()
    payments: Sequence[str] = ()
    bank: Sequence[str] = ()
    #: A kind of account.
    difference_to: str | None = None


def match(connection: Connection, rules: SettlementPolicy, wanted: Wanted, act: Act) -> int:
    """Match what a person says belongs together; answers the match's id."""
    with deciding(connection):
        things = _named(connection, wanted)
        for one in things:
            must_be_open(one)
        _must_meet(things)
        provider, currency = _one_provider(things), _one_currency(things)
        difference = actual_less_expected(things)
        _must_take_back(things, difference)
        account = _account_of(rules, difference, currency, wanted.difference_to)
        said = f"matched by {act.by}: {act.note}"
        if account is not None:
            said += f"; {money(difference, currency)} to {account}"
        return _write(connection, "person", said, things, difference, provider, account, act)


def _named(connection: Connection, wanted: Wanted) -> list[Thing]:
    named = ((SETTLED, wanted.lines), (EXPECTED, wanted.payments), (BANK, wanted.bank))
    for _, refs in named:
        twice = sorted({ref for ref in refs if list(refs).count(ref) > 1})
        if twice:
            raise NotPossible(f"{twice[0]} is named twice; name each thing once.")
    # Always in the same order: two people who name the same things do not wait for one another.
    found = [find(connection, ref, side) for side, refs in named for ref in sorted(refs)]
    if len(found) < 2:
        raise NotPossible(
            "A match needs two things: name lines with --line and payments with --payment, or "
            "payouts with --line and entries with --bank. One alone goes to an account with "
            "`sync-assets settlements assign`, or is given up with `write-off`."
        )
    return found


def _must_meet(things: Sequence[Thing]) -> None:
    """A payout meets the bank, any other line meets payments."""
    payouts = [one for one in things if one.is_payout]
    lines = [one for one in things if one.side == SETTLED and not one.is_payout]
    if payouts and (lines or any(one.side == EXPECTED for one in things)):
        raise NotPossible(
            f"{payouts[0].ref} is a {payouts[0].kind.replace('_', ' ')} and is matched with entries"
            " of the bank only; match the rest by itself."
        )
    entries = [one for one in things if one.side == BANK]
    if entries and any(one.side == EXPECTED or one in lines for one in things):
        raise NotPossible(
            f"{entries[0].ref} is an entry of the bank and is matched with payouts only. What "
            "reached the bank past any payout goes to an account with "
            "`sync-assets settlements assign`."
        )


def _one_provider(things: Sequence[Thing]) -> str | None:
    names = sorted({one.provider for one in things if one.provider is not None})
    if len(names) > 1:
        raise NotPossible(
            f"These are of several accounts ({', '.join(names)}); what belongs together is of one."
        )
    return names[0] if names else None


def _one_currency(things: Sequence[Thing]) -> str:
    found = sorted({one.currency for one in things})
    if len(found) > 1:
        raise NotPossible(
            f"These are in several currencies ({', '.join(found)}); match those of one currency, "
            "and give the rest to `conversion` with `sync-assets settlements assign`."
        )
    return found[0]


def actual_less_expected(things: Sequence[Thing]) -> Decimal:
    """What a match differs by: settled less expected, the bank less payouts; alone, all of it."""
    is_of_bank = any(one.side == BANK or one.is_payout for one in things)
    actual = BANK if is_of_bank else SETTLED
    return sum((one.amount if one.side == actual else -one.amount for one in things), Decimal())


def _must_take_back(things: Sequence[Thing], difference: Decimal) -> None:
    """Things of one side belong together if they take each other back, on one account."""
    sides = {(one.side, one.is_payout) for one in things}
    if len(sides) > 1:
        return
    if difference:
        raise NotPossible(
            f"These are all of one side and come to {money(abs(difference), things[0].currency)}. "
            "Name what they belong to, or give each to an account with "
            "`sync-assets settlements assign`."
        )
    if len({one.kind.startswith("chargeback") for one in things}) > 1:
        raise NotPossible(
            "A chargeback and what it is of are on accounts of their own; they do not take each "
            "other back. Match each with what it belongs to."
        )


def _account_of(
    rules: SettlementPolicy, difference: Decimal, currency: str, said: str | None
) -> str | None:
    if not difference:
        if said is not None:
            raise NotPossible("There is no difference; leave --difference-to away.")
        return None
    if said is None:
        raise NotPossible(
            f"These differ by {money(difference, currency)} (actual less expected). Say which "
            "account it goes to, with --difference-to: rounding, fees, write_off, …."
        )
    check_account(said)
    limit = rules.write_off.limit.get(currency, Decimal())
    if said == WRITE_OFF and abs(difference) > limit:
        raise NotPossible(
            f"{money(abs(difference), currency)} are more than the {money(limit, currency)} that "
            "one person may write off. Match what belongs together without the rest, and ask for "
            "the rest with `sync-assets settlements write-off`."
        )
    return said


def check_account(kind: str) -> None:
    """Raise NotPossible for what is no kind of account that a person may name."""
    if kind in ACCOUNT_KINDS and kind not in OWN_ACCOUNTS:
        return
    known = ", ".join(one for one in ACCOUNT_KINDS if one not in OWN_ACCOUNTS)
    why = "is moved by the ledgers alone" if kind in OWN_ACCOUNTS else "is no kind of account"
    raise NotPossible(f"{kind!r} {why}; name one of: {known}.")


def _write(
    connection: Connection,
    rule: str,
    reason: str,
    things: Sequence[Thing],
    difference: Decimal,
    provider: str | None,
    account: str | None,
    act: Act,
) -> int:
    """Keep the match; those of payouts and the bank are told by their rule."""
    is_of_bank = any(one.side == BANK or one.is_payout for one in things)
    items = [MatchItem(one.side, one.ref, one.amount, one.currency) for one in things]
    new = NewMatch(
        f"bank_{rule}" if is_of_bank else rule,
        reason,
        items,
        difference,
        things[0].currency,
        provider=provider,
        account=account,
        by=act.by,
    )
    (match_id,) = write_matches(connection, [new], act.now, None)
    for one in things:
        record(
            connection,
            act,
            "matched",
            one.ref,
            before={"match": None},
            after={
                "match": match_id,
                "rule": new.rule,
                "with": [item.ref for item in items if item.ref != one.ref],
                "difference": difference,
                "account": account,
            },
        )
    return match_id


# ---------------------------------------------------------------- one thing by itself


def assign(connection: Connection, ref: str, account: str, act: Act) -> int:
    """Give a line or an entry of the bank that needs no counterpart to an account."""
    if account == WRITE_OFF:
        raise NotPossible(
            "What is given up has limits of its own: `sync-assets settlements write-off "
            f"{ref} --note …`."
        )
    check_account(account)
    with deciding(connection):
        thing = find(connection, ref)
        if thing.side == EXPECTED:
            raise NotPossible(
                f"{ref} is expected and not settled. Match it with a line with `sync-assets "
                "settlements match`, or give it up with `write-off`."
            )
        must_be_open(thing)
        return alone(connection, thing, "assigned", account, act)


def alone(connection: Connection, thing: Thing, rule: str, account: str, act: Act) -> int:
    """Match one thing with nothing, on an account.

    The account takes the thing's own counter-booking; of a payout it takes what is on its way.
    """
    difference = -thing.amount if thing.is_payout else Decimal()
    said = f"{thing.said} to {account}, by {act.by}: {act.note}"
    return _write(connection, rule, said, [thing], difference, thing.provider, account, act)


# ---------------------------------------------------------------- taking back


def unmatch(connection: Connection, match_id: int, act: Act) -> list[dict[str, Any]]:
    """End a match; answers what is open again, each with its side, ref and amount."""
    with deciding(connection):
        rows = read_rows(
            connection, "select * from core.matches where match_id = :id for update", id=match_id
        )
        if not rows:
            raise NotPossible(
                f"There is no match {match_id}; `sync-assets settlements show REF` tells which "
                "match a thing is in."
            )
        row = rows[0]
        if row["ended_at"] is not None:
            raise NotPossible(
                f"Match {match_id} was ended by {row['ended_by']} at "
                f"{row['ended_at']:%Y-%m-%d %H:%M} UTC: {row['end_reason']}."
            )
        items = read_rows(connection, _ITEMS, id=match_id)
        connection.execute(
            text(
                "update core.matches set ended_at = :now, ended_by = :by, end_reason = :note "
                "where match_id = :id"
            ),
            {"now": act.now, "by": act.by, "note": act.note, "id": match_id},
        )
        for item in items:
            _record_ended(connection, row, item, act)
    return items


_ITEMS = """
select side, ref, amount, currency from core.match_items where match_id = :id order by side, ref
"""


def _record_ended(
    connection: Connection, row: Mapping[str, Any], item: Mapping[str, Any], act: Act
) -> None:
    before = {"match": row["match_id"], "rule": row["rule"], "reason": row["reason"]}
    record(connection, act, "unmatched", item["ref"], before=before, after={"match": None})


# ---------------------------------------------------------------- who works on it


def own(
    connection: Connection, ref: str, to: str | None, act: Act, *, take_over: bool = False
) -> list[int]:
    """Say who works on what is open of a thing, None for nobody; answers the exceptions."""
    rows = read_rows(connection, _EXCEPTIONS, ref=ref, prefix=PREFIX)
    if not rows:
        raise NotPossible(
            f"Nothing is open about {ref!r}; `sync-assets settlements list` shows what is."
        )
    others = [row["id"] for row in rows if row["assigned_to"] != to]
    if not others:
        raise NotPossible(f"{ref} is assigned to {to or 'nobody'} already.")
    for number in others:
        exceptions.assign(
            connection, number, to, by=act.by, now=act.now, note=act.note, take_over=take_over
        )
    return others


_EXCEPTIONS = """
select id, assigned_to from ops.exception
where state = 'open' and subject_ref = :ref and starts_with(code, :prefix) order by id for update
"""
