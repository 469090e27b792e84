"""What a person means by a reference: a settled line, an expected payment or an entry of the bank,
held until the act is done, with how much of it a match would hold.

What is decided about it is in `deciding.py`, `giving_up.py`, `dividing.py` and `conflicts.py`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store import audit
from resources.store.engine import one_at_a_time
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.payments import NEED_BANK
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements import policy
from sync_assets.settlements.steps import LOCK

SETTLED, EXPECTED, BANK = "settled", "expected", "bank"
SIDES = {SETTLED: "settled line", EXPECTED: "expected payment", BANK: "entry of the bank"}


@dataclass(frozen=True)
class Act:
    """Who decides, why, and when."""

    by: str
    note: str
    now: datetime

    def __post_init__(self) -> None:
        if not self.by.strip():
            raise NotPossible("Say who decides, with --by.")
        if not self.note.strip():
            raise NotPossible("Say why, with --note.")


@dataclass(frozen=True)
class Thing:
    """One thing of one ledger; `amount` is what a match would hold of it, signed."""

    side: str
    ref: str
    kind: str
    amount: Decimal
    currency: str
    provider: str | None
    match_id: int | None
    row: Mapping[str, Any]

    @property
    def is_payout(self) -> bool:
        """Whether its counterpart is in the bank."""
        return self.side == SETTLED and self.kind in NEED_BANK

    @property
    def said(self) -> str:
        """How much, in words."""
        return money(self.amount, self.currency)


def money(amount: Decimal, currency: str) -> str:
    """An amount with its currency, in words."""
    whole = amount.normalize() + 0
    cents = f"{whole:.2f}" if whole == round(whole, 2) else f"{whole:f}"
    return f"{cents} {currency}"


_LIVE = """
(select i.match_id from core.match_items i
    where i.side = '{side}' and i.ref = t.{key} and i.is_live) as live_match_id
"""
_HELD = "select t.*, {live} from core.{table} t where t.{key} = :ref for update of t"
_TABLES = {
    SETTLED: ("settlement_lines", "line_ref"),
    EXPECTED: ("payments", "payment_ref"),
    BANK: ("bank_lines", "bank_line_ref"),
}


def find(connection: Connection, ref: str, *sides: str) -> Thing:
    """The thing of a key, on the first of these sides (or any) that has it."""
    for side in sides or tuple(SIDES):
        table, key = _TABLES[side]
        live = _LIVE.format(side=side, key=key)
        rows = read_rows(connection, _HELD.format(live=live, table=table, key=key), ref=ref)
        if rows:
            return _thing(side, ref, rows[0])
    wanted = " or ".join(SIDES[side] for side in sides or tuple(SIDES))
    raise NotPossible(
        f"There is no {wanted} {ref!r}; `sync-assets settlements list` shows what is open."
    )


def _thing(side: str, ref: str, row: Mapping[str, Any]) -> Thing:
    """What a match holds is what the matching step would have put there."""
    amount, currency, kind = row.get("amount"), row["currency"], row.get("kind", "entry")
    if side == SETTLED and kind in NEED_BANK:
        amount = -row["net_amount"]
    elif side == SETTLED:
        is_paid = row["paid_amount"] is not None
        amount = row["paid_amount"] if is_paid else row["gross_amount"]
        currency = row["paid_currency"] if is_paid else currency
    assert amount is not None
    return Thing(side, ref, kind, amount, currency, row.get("provider"), row["live_match_id"], row)


def must_be_open(thing: Thing) -> None:
    """Raise NotPossible for what is matched, or counts no more."""
    if thing.match_id is not None:
        raise NotPossible(
            f"{thing.ref} is in match {thing.match_id} already. End that first: "
            f"`sync-assets settlements unmatch {thing.match_id} --note …`."
        )
    if thing.row.get("is_split"):
        raise NotPossible(
            f"{thing.ref} was split and counts no more; its parts stand for it: "
            f"{thing.ref}#1 and on. `sync-assets settlements show {thing.ref}` names them."
        )


@contextmanager
def deciding(connection: Connection) -> Iterator[None]:
    """Nobody matches meanwhile: neither a run nor another person."""
    with one_at_a_time(connection, LOCK):
        yield


def rules_of(systems: Systems, connection: Connection) -> SettlementPolicy:
    """The policy in force; without one nobody decides about money."""
    found = policy.in_force(systems, connection)
    if found is None:
        raise NotPossible(
            "The settlements policy cannot be used and no good one is known: "
            "`sync-assets exceptions list --code policy.invalid` says what to mend."
        )
    return found


def record(connection: Connection, act: Act, action: str, subject: str, **told: Any) -> None:
    """Write down who decided what, and why."""
    audit.record(
        connection, act.by, f"settlement.{action}", subject, act.now, note=act.note, **told
    )
