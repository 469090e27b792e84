"""What a person decides about a return or a refund: each a step or a fact, with who and why.

All of it is kept in the audit. What cannot be done is said with what would do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.store import audit, sagas, stale
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.after_sale import Case, ReturnLine
from sync_assets.domain.returns import Disposition, RefundState, ReturnState
from sync_assets.domain.sagas import Saga, may
from sync_assets.returns import cases, opening
from sync_assets.returns.policy import in_force
from sync_assets.returns.settling import QUEUE

FATES = {
    Disposition.RESTOCK: "restock_units",
    Disposition.REFURBISH: "refurbish_units",
    Disposition.WRITE_OFF: "write_off_units",
}
#: On the way to being received: goods are goods, whatever was said before.
TO_RECEIVED: Mapping[str, tuple[str, ...]] = {
    "requested": ("approved", "received"),
    **dict.fromkeys(
        ("approved", "in_transit", "lost", "expired", "cancelled", "rejected"), ("received",)
    ),
}


@dataclass(frozen=True)
class Act:
    """Who decides, why, and when."""

    by: str
    reason: str
    now: datetime


@dataclass(frozen=True)
class Subject:
    """A return or a refund as a person means it."""

    saga: Saga
    ref: str
    order_ref: str | None
    row: Mapping[str, Any]

    @property
    def state(self) -> str:
        """Where it stands."""
        return str(self.row["state"])


def find(connection: Connection, ref: str) -> Subject:
    """The return or refund of a key, or the return of a sender's reference."""
    rows = read_rows(connection, _RETURN, ref=ref)
    if len(rows) == 1:
        row = rows[0]
        return Subject(Saga.RETURN, row["return_ref"], row["order_ref"], row)
    if rows:
        keys = ", ".join(row["return_ref"] for row in rows)
        raise NotPossible(f"{ref!r} names several returns: {keys}. Name one of them.")
    refunds = read_rows(
        connection, "select * from core.refunds where refund_ref = :ref for update", ref=ref
    )
    if refunds:
        row = refunds[0]
        return Subject(Saga.REFUND, row["refund_ref"], row["order_ref"], row)
    raise NotPossible(
        f"There is no return or refund {ref!r}; `sync-assets returns list` shows the open ones."
    )


_RETURN = """
select * from core.returns
where return_ref = :ref or sender_ref = :ref or split_part(sender_ref, ':', 2) = :ref
order by return_ref limit 5 for update
"""


def _step(connection: Connection, subject: Subject, to: str, act: Act) -> None:
    """One step by a person; the rules of the saga hold for them too."""
    if not may(subject.saga, subject.state, to):
        raise NotPossible(
            f"{subject.ref} is {subject.state}; from there it cannot be {to.replace('_', ' ')}."
        )
    step = sagas.Step(
        str(subject.saga), subject.ref, subject.state, to, act.by, act.reason, "command"
    )
    sagas.take(connection, [step], act.now)


def _record(connection: Connection, subject: Subject, action: str, act: Act, **told: Any) -> None:
    name = f"{subject.saga}.{action}"
    audit.record(
        connection,
        act.by,
        name,
        subject.ref,
        act.now,
        reason=act.reason,
        before=subject.state,
        **told,
    )
    if subject.order_ref is not None:
        stale.mark(connection, QUEUE, [subject.order_ref], act.now)


def _needs_order(subject: Subject) -> None:
    if subject.order_ref is None:
        raise NotPossible(
            f"Nobody knows the order of {subject.ref} yet; it is looked for in every run."
        )


def approve(
    connection: Connection, systems: Systems, ref: str, act: Act, *, as_refund: bool = False
) -> str:
    """Agree to a return, or to a refund; answers where it stands then."""
    subject = find(connection, ref)
    if subject.saga == Saga.REFUND:
        return _approve_refund(connection, systems, subject, act)
    _needs_order(subject)
    if as_refund:
        _instead_of_goods(connection, subject)
    elif subject.state != ReturnState.REQUESTED:
        raise NotPossible(
            f"{subject.ref} is {subject.state}, and was agreed to before. Its money is decided "
            f"by its refund: `sync-assets returns show {subject.ref}` names it."
        )
    if subject.state == ReturnState.REQUESTED:
        _step(connection, subject, ReturnState.APPROVED, act)
    _record(connection, subject, "approved", act, as_refund=as_refund)
    return _state(connection, subject)


def _instead_of_goods(connection: Connection, subject: Subject) -> None:
    """Money for an exchange whose new order cannot be made, or nobody agreed to."""
    if not subject.row["is_exchange"]:
        raise NotPossible(f"{subject.ref} is no exchange; its money goes back anyhow.")
    if subject.row["exchange_order_ref"]:
        made = subject.row["exchange_order_ref"]
        raise NotPossible(f"The goods of {subject.ref} are replaced by {made} already.")
    connection.execute(
        text("update core.returns set is_exchange = false where return_ref = :ref"),
        {"ref": subject.ref},
    )


def _approve_refund(connection: Connection, systems: Systems, subject: Subject, act: Act) -> str:
    """Let a refund go, or say that one that failed was paid by other means."""
    if subject.state == RefundState.FAILED:
        _step(connection, subject, RefundState.CONFIRMED, act)
    elif subject.state == RefundState.AWAITING_APPROVAL:
        left = _case(connection, systems, subject).left(but=subject.ref)
        if subject.row["method"] != "offset" and subject.row["amount"] > left:
            raise NotPossible(
                f"{subject.row['amount'].normalize():f} {subject.row['currency']} are more than "
                f"the {left.normalize():f} that is left of {subject.order_ref}. Reject it with "
                f"`sync-assets returns reject {subject.ref} --reason …`."
            )
        _step(connection, subject, RefundState.APPROVED, act)
    else:
        raise NotPossible(f"{subject.ref} is {subject.state}; nobody waits for an approval.")
    _record(connection, subject, "approved", act, amount=subject.row["amount"])
    return _state(connection, subject)


def _case(connection: Connection, systems: Systems, subject: Subject) -> Case:
    policy = in_force(systems, connection)
    return cases.load(connection, systems, policy, [str(subject.order_ref)])[0]


def reject(connection: Connection, ref: str, act: Act) -> str:
    """Turn a return or a refund down."""
    subject = find(connection, ref)
    to = ReturnState.REJECTED if subject.saga == Saga.RETURN else RefundState.REFUSED
    _step(connection, subject, to, act)
    _record(connection, subject, "rejected", act)
    return _state(connection, subject)


def cancel(connection: Connection, ref: str, act: Act) -> str:
    """End what is not wanted any more: a return that was not sent, a refund that was not made."""
    subject = find(connection, ref)
    if subject.saga == Saga.RETURN:
        is_lost = subject.state == ReturnState.LOST
        _step(connection, subject, ReturnState.CLOSED if is_lost else ReturnState.CANCELLED, act)
    else:
        if subject.row["shop_refund_id"] is not None:
            raise NotPossible(
                f"The shop made {subject.ref}; delete its refund {subject.row['shop_refund_id']} "
                "there, and it is taken back by itself."
            )
        if subject.state == RefundState.SUBMITTED and _may_be_made(connection, subject.ref):
            raise NotPossible(
                f"The shop may be making {subject.ref} right now; wait for its answer."
            )
        _step(connection, subject, RefundState.WITHDRAWN, act)
    _record(connection, subject, "cancelled", act)
    return _state(connection, subject)


def _may_be_made(connection: Connection, ref: str) -> bool:
    rows = read_rows(
        connection,
        "select id from ops.outbox where thing_ref = :ref and operation like 'refund.%' "
        "and state in ('leased', 'unknown')",
        ref=ref,
    )
    return bool(rows)


def receive(
    connection: Connection, ref: str, act: Act, units: Sequence[tuple[str, int]] = ()
) -> str:
    """Write down goods that are there: these units by SKU, or all that were announced."""
    subject = _goods(connection, ref)
    lines = list(opening.lines_of(connection, subject.ref))
    here = dict(units) or {line.sku: 0 for line in lines}
    if not units:
        lines = [replace(line, received_units=line.requested_units) for line in lines]
    else:
        lines = _counted(lines, here, subject)
    opening.keep_lines(connection, subject.ref, lines, None)
    for to in TO_RECEIVED.get(subject.state, ()):
        current = find(connection, subject.ref)
        actor = act if to == ReturnState.RECEIVED else replace(act, by=f"goods:{subject.ref}")
        _step(connection, current, to, actor)
    connection.execute(
        text(
            "update core.returns set received_at = coalesce(received_at, :now) "
            "where return_ref = :ref"
        ),
        {"now": act.now, "ref": subject.ref},
    )
    _record(connection, subject, "received", act, units=here if units else "all")
    return _state(connection, subject)


def _goods(connection: Connection, ref: str) -> Subject:
    subject = find(connection, ref)
    if subject.saga != Saga.RETURN:
        raise NotPossible(f"{subject.ref} is a refund; goods belong to a return.")
    if subject.state not in (*TO_RECEIVED, ReturnState.RECEIVED):
        raise NotPossible(f"{subject.ref} is {subject.state}; its goods were settled before.")
    return subject


def _counted(
    lines: list[ReturnLine], here: Mapping[str, int], subject: Subject
) -> list[ReturnLine]:
    """The lines with the units that are there; what was not announced is a line of its own."""
    left = {sku.casefold(): (sku, count) for sku, count in here.items()}
    found: list[ReturnLine] = []
    for line in lines:
        sku, count = left.get(line.sku.casefold(), (line.sku, 0))
        units = min(count, line.requested_units)
        left[line.sku.casefold()] = (sku, count - units)
        found.append(ReturnLine(len(found), line.line_ref, line.sku, line.requested_units, units))
    for sku, count in left.values():
        if count > 0:
            found.append(ReturnLine(len(found), None, sku, 0, count))
    return found


def inspect(
    connection: Connection,
    ref: str,
    act: Act,
    disposition: Disposition,
    units: Sequence[tuple[str, int]] = (),
) -> str:
    """Say what becomes of units that are there: of these by SKU, or of all that are left."""
    subject = find(connection, ref)
    if subject.saga != Saga.RETURN or subject.state != ReturnState.RECEIVED:
        raise NotPossible(
            f"{subject.ref} is {subject.state}; goods are inspected once they are received."
        )
    lines = opening.lines_of(connection, subject.ref)
    wanted = {sku.casefold(): count for sku, count in units}
    found = []
    for line in lines:
        open_units = line.open_units
        take = min(wanted.get(line.sku.casefold(), 0), open_units) if units else open_units
        if units:
            wanted[line.sku.casefold()] = wanted.get(line.sku.casefold(), 0) - take
        fate = {FATES[disposition]: take}
        found.append(line.plus(ReturnLine(0, None, line.sku, 0, **fate)))
    over = {sku: count for sku, count in wanted.items() if count > 0}
    if over:
        sku, count = next(iter(over.items()))
        raise NotPossible(f"{count} units of {sku} are more than wait to be inspected.")
    opening.keep_lines(connection, subject.ref, found, None)
    if not any(line.open_units for line in found):
        _step(connection, subject, ReturnState.INSPECTED, act)
    told = dict(units) if units else "all"
    _record(connection, subject, "inspected", act, disposition=str(disposition), units=told)
    return _state(connection, subject)


def _state(connection: Connection, subject: Subject) -> str:
    return find(connection, subject.ref).state
