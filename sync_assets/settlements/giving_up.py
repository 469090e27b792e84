"""Money that is given up: at once up to a limit, above it only with a second person's word.

Limits are in the policy, by currency; a currency that it does not name has the limit 0. What was
asked for waits in core.settlement_requests.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows, scalar
from sync_assets.domain.settlement_policy import SettlementPolicy, WriteOff
from sync_assets.settlements.deciding import WRITE_OFF, alone
from sync_assets.settlements.things import (
    EXPECTED,
    Act,
    Thing,
    deciding,
    find,
    money,
    must_be_open,
    record,
)


@dataclass(frozen=True)
class Given:
    """What became of a wish to write something off: a match, or a request for another person."""

    match_id: int | None = None
    request_id: int | None = None


def write_off(connection: Connection, rules: SettlementPolicy, ref: str, act: Act) -> Given:
    """Give a thing up if one person may; else ask another."""
    with deciding(connection):
        thing = _open(connection, ref)
        _must_be_allowed(rules.write_off, thing)
        _nobody_asked(connection, thing)
        if abs(thing.amount) <= rules.write_off.limit.get(thing.currency, Decimal()):
            return Given(match_id=alone(connection, thing, WRITE_OFF, WRITE_OFF, act))
        return Given(request_id=_ask(connection, thing, act))


def _open(connection: Connection, ref: str) -> Thing:
    thing = find(connection, ref)
    must_be_open(thing)
    if thing.side == EXPECTED and thing.row["is_void"]:
        raise NotPossible(f"{ref} was taken back before it moved; nothing is expected of it.")
    if not thing.amount:
        raise NotPossible(f"{ref} is about no money; there is nothing to write off.")
    return thing


def _must_be_allowed(limits: WriteOff, thing: Thing) -> None:
    most = limits.most.get(thing.currency)
    if most is not None and abs(thing.amount) > most:
        raise NotPossible(
            f"{money(abs(thing.amount), thing.currency)} are more than the "
            f"{money(most, thing.currency)} that may be written off from here, with two persons "
            "too. Book it in the ERP, or have `write_off.most` of the policy changed."
        )


def _nobody_asked(connection: Connection, thing: Thing) -> None:
    rows = read_rows(
        connection,
        "select request_id, asked_by from core.settlement_requests "
        "where side = :side and ref = :ref and decided_at is null",
        side=thing.side,
        ref=thing.ref,
    )
    if rows:
        number, by = rows[0]["request_id"], rows[0]["asked_by"]
        raise NotPossible(
            f"{by} asked for that already: request {number}. Another person decides it with "
            f"`sync-assets settlements approve {number}` or `reject {number}`."
        )


def _ask(connection: Connection, thing: Thing, act: Act) -> int:
    number = scalar(
        connection,
        _ASKED,
        act=WRITE_OFF,
        side=thing.side,
        ref=thing.ref,
        amount=thing.amount,
        currency=thing.currency,
        account=WRITE_OFF,
        note=act.note,
        now=act.now,
        by=act.by,
    )
    record(
        connection,
        act,
        "write_off_asked",
        thing.ref,
        before={"request": None},
        after={"request": number, "amount": thing.amount, "currency": thing.currency},
    )
    return int(number)


_ASKED = """
insert into core.settlement_requests (act, side, ref, amount, currency, account, note, asked_at,
    asked_by)
values (:act, :side, :ref, :amount, :currency, :account, :note, :now, :by)
returning request_id
"""

# ---------------------------------------------------------------- the second person


def approve(connection: Connection, rules: SettlementPolicy, request_id: int, act: Act) -> int:
    """Let a write-off that another person asked for go; answers the match's id."""
    with deciding(connection):
        request = _waiting(connection, request_id, act)
        thing = _open(connection, request["ref"])
        if (thing.side, thing.amount, thing.currency) != (
            request["side"],
            request["amount"],
            request["currency"],
        ):
            raise NotPossible(
                f"{thing.ref} is {thing.said} now and was "
                f"{money(request['amount'], request['currency'])} when it was asked for. Reject "
                "the request and ask anew."
            )
        _must_be_allowed(rules.write_off, thing)
        _decide(connection, request, act, is_approved=True)
        said = f"{request['note']} (asked by {request['asked_by']}); {act.note}"
        return alone(connection, thing, WRITE_OFF, WRITE_OFF, Act(act.by, said, act.now))


def reject(connection: Connection, request_id: int, act: Act) -> str:
    """Turn a request down; answers what it was about, which stays open."""
    request = _waiting(connection, request_id, act)
    _decide(connection, request, act, is_approved=False)
    return str(request["ref"])


def _waiting(connection: Connection, request_id: int, act: Act) -> dict[str, Any]:
    rows = read_rows(
        connection,
        "select * from core.settlement_requests where request_id = :id for update",
        id=request_id,
    )
    if not rows:
        raise NotPossible(
            f"There is no request {request_id}; `sync-assets settlements requests` lists those "
            "that wait."
        )
    row = rows[0]
    if row["decided_at"] is not None:
        word = "approved" if row["is_approved"] else "rejected"
        raise NotPossible(
            f"Request {request_id} was {word} by {row['decided_by']} at "
            f"{row['decided_at']:%Y-%m-%d %H:%M} UTC."
        )
    if _is_same(row["asked_by"], act.by):
        raise NotPossible(
            f"{row['asked_by']} asked for request {request_id}; another person must decide it."
        )
    return row


def _is_same(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are typed."""
    return one.strip().casefold() == other.strip().casefold()


def _decide(
    connection: Connection, request: dict[str, Any], act: Act, *, is_approved: bool
) -> None:
    connection.execute(
        text(
            "update core.settlement_requests set decided_at = :now, decided_by = :by, "
            "is_approved = :yes where request_id = :id"
        ),
        {"now": act.now, "by": act.by, "yes": is_approved, "id": request["request_id"]},
    )
    record(
        connection,
        act,
        f"write_off_{'approved' if is_approved else 'rejected'}",
        request["ref"],
        before={"request": request["request_id"], "asked_by": request["asked_by"]},
        after={"is_approved": is_approved, "amount": request["amount"]},
    )


def requests(connection: Connection, *, decided_too: bool = False) -> list[dict[str, Any]]:
    """What waits for a second person, the oldest first; or all that was ever asked for."""
    return read_rows(
        connection,
        "select * from core.settlement_requests where :all or decided_at is null "
        "order by decided_at is not null, request_id",
        all=decided_too,
    )
