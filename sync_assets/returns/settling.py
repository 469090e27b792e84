"""Both sagas brought up to what is known: orders that something happened to, looked at again.

The rules decide (`domain/telling.py`); here orders are taken from the queue in chunks, each in a
transaction of its own, and what follows is written down with its steps and exceptions.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions, sagas, stale
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain import telling
from sync_assets.domain.after_sale import Case, Refund, Return, Trouble
from sync_assets.domain.exception_kinds import AFTER_SALE_CODES
from sync_assets.domain.orders import Problem
from sync_assets.domain.returns import ReturnState
from sync_assets.domain.returns_policy import ReturnsPolicy
from sync_assets.domain.sagas import Saga
from sync_assets.returns import cases
from sync_assets.returns.policy import in_force
from sync_assets.trouble import exceptional

QUEUE, LOCK = "after_sale", "after sale"
CHUNK = 200
#: A chunk marks its orders again while steps follow from steps; more rounds are a mistake.
MOST_ROUNDS = 10_000


@dataclass
class Settled:
    """What one round over the queue did."""

    looked_at: int = 0
    returns: int = 0
    refunds: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    troubles: int = 0


def settle(systems: Systems, run_id: str | None) -> Settled:
    """Look at every order that something happened to, until nothing follows any more."""
    total = Settled()
    with connected(systems.engine) as connection:
        policy = in_force(systems, connection)
        _mark_due(connection, systems, policy)
    for _ in range(MOST_ROUNDS):
        with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
            keys = stale.take(connection, QUEUE, CHUNK)
            if not keys:
                return total
            _chunk(connection, systems, policy, keys, run_id, total)
    raise AssertionError("the queue of orders after the sale never comes to rest")


def _mark_due(connection: Connection, systems: Systems, policy: ReturnsPolicy) -> None:
    """Mark orders whose time has come: what was not sent, did not arrive, was not confirmed."""
    days = {
        store: {
            "expires": policy.rule(store).expires_days,
            "lost": policy.rule(store).lost_after_days,
            "verdict": policy.rule(store).verdict_days,
        }
        for store in systems.settings.stores
    }
    rows = read_rows(connection, _DUE, days=json.dumps(days), now=systems.now())
    stale.mark(connection, QUEUE, [row["order_ref"] for row in rows], systems.now())


_DUE = """
select r.order_ref from core.returns r
where r.order_ref is not null and r.state in ('approved', 'in_transit')
  and r.state_at < :now - make_interval(days => (cast(:days as jsonb) -> r.store ->> case r.state
        when 'approved' then 'expires' else 'lost' end)::int)
union
select m.order_ref from core.refunds m
where m.state = 'pending'
  and m.state_at < :now - make_interval(
        days => (cast(:days as jsonb) -> m.store ->> 'verdict')::int)
  and not exists (select from ops.exception e where e.subject_ref = m.refund_ref
        and e.code = 'refund.unconfirmed')
"""


def _chunk(
    connection: Connection,
    systems: Systems,
    policy: ReturnsPolicy,
    keys: Sequence[str],
    run_id: str | None,
    total: Settled,
) -> None:
    found = cases.load(connection, systems, policy, keys)
    troubles: list[tuple[Case, Trouble]] = []
    for case in found:
        troubles += [(case, one) for one in telling.settle(case)]
    keep(connection, systems, found, run_id)
    subjects = [ref for case in found for ref in (*case.returns, *case.refunds)]
    exceptions.reconcile(
        connection,
        [_exceptional(systems, case, one) for case, one in troubles],
        subjects=subjects,
        codes=AFTER_SALE_CODES,
        now=systems.now(),
        run_id=run_id,
    )
    total.looked_at += len(keys)
    total.troubles += len(troubles)
    for case in found:
        total.returns += len(case.new_returns)
        total.refunds += len(case.new_refunds)
        for move in case.moves:
            total.steps[move.to_state] = total.steps.get(move.to_state, 0) + 1


def _exceptional(systems: Systems, case: Case, one: Trouble) -> exceptions.Exceptional:
    refund, back = case.refunds.get(one.ref), case.returns.get(one.ref)
    sender = refund.shop_id if refund else back.sender_ref if back else None
    return exceptional(
        Problem(one.code, one.part, one.message),
        one.ref,
        systems.settings.service_levels,
        amount=one.amount,
        currency=case.currency if one.amount is not None else None,
        sender_ref=sender,
    )


# ---------------------------------------------------------------- written down


def keep(
    connection: Connection, systems: Systems, found: Sequence[Case], run_id: str | None
) -> None:
    """Write down what the rules decided: rows first, then every step, then what changed."""
    _run(connection, _NEW_RETURN, [_return_row(*one, run_id) for one in _new_returns(found)])
    refunds = [(case, case.refunds[ref]) for case in found for ref in case.new_refunds]
    _run(connection, _NEW_REFUND, [_refund_row(case, one, run_id) for case, one in refunds])
    _run(connection, _NEW_REFUND_LINE, [row for _, one in refunds for row in _parts(one, run_id)])
    keep_lines(connection, [case.returns[ref] for case in found for ref in _touched(case)], run_id)
    sagas.take(connection, list(_steps(found)), systems.now(), run_id)
    _run(connection, _LINK, [_link_row(case, ref) for case in found for ref in sorted(case.linked)])
    _run(connection, _RECEIVED, [{"ref": ref, "now": systems.now()} for ref in _arrived(found)])
    keys = [case.order_ref for case in found]
    connection.execute(text(_EXCHANGED), {"keys": keys})
    connection.execute(text(_RESTOCKED), {"keys": keys})


def _run(connection: Connection, statement: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(text(statement), rows)


def _new_returns(found: Sequence[Case]) -> Iterator[tuple[Case, Return]]:
    for case in found:
        for ref in case.new_returns:
            yield case, case.returns[ref]


def _touched(case: Case) -> list[str]:
    return sorted({*case.new_returns, *case.changed_lines})


def _steps(found: Sequence[Case]) -> Iterator[sagas.Step]:
    for case in found:
        for move in case.moves:
            values = {**vars(move), "saga": str(move.saga), "subject_ref": move.ref}
            del values["ref"]
            yield sagas.Step(**{name: str(value) for name, value in values.items()})


def _arrived(found: Sequence[Case]) -> list[str]:
    return [
        move.ref
        for case in found
        for move in case.moves
        if move.saga == Saga.RETURN and move.to_state == ReturnState.RECEIVED
    ]


def _return_row(case: Case, one: Return, run_id: str | None) -> dict[str, Any]:
    return {
        "return_ref": one.ref,
        "order_ref": case.order_ref,
        "store": case.store,
        "source": str(one.source),
        "reason": one.reason,
        "is_exchange": one.is_exchange,
        "location": one.location,
        "tracking_number": one.tracking_number,
        "sender_ref": one.sender_ref,
        "requested_at": one.requested_at,
        "run_id": run_id,
    }


_NEW_RETURN = """
insert into core.returns (return_ref, order_ref, store, source, reason, is_exchange, location,
    tracking_number, sender_ref, requested_at, run_id)
values (:return_ref, :order_ref, :store, :source, :reason, :is_exchange, :location,
    :tracking_number, :sender_ref, :requested_at, :run_id)
"""


def keep_lines(connection: Connection, found: Sequence[Return], run_id: str | None) -> None:
    """Make these all the lines of the returns."""
    refs = [one.ref for one in found]
    if not refs:
        return
    connection.execute(
        text("delete from core.return_lines where return_ref = any(:refs)"), {"refs": refs}
    )
    rows = [
        {**vars(line), "return_ref": one.ref, "run_id": run_id}
        for one in found
        for line in one.lines
    ]
    _run(connection, _LINE, rows)


_LINE = """
insert into core.return_lines (return_ref, line_no, line_ref, sku, requested_units, received_units,
    restock_units, refurbish_units, write_off_units, run_id)
values (:return_ref, :line_no, :line_ref, :sku, :requested_units, :received_units,
    :restock_units, :refurbish_units, :write_off_units, :run_id)
"""


def _refund_row(case: Case, one: Refund, run_id: str | None) -> dict[str, Any]:
    net = {
        kind: sum(part.net_amount for part in one.parts if part.kind == kind)
        for kind in ("product", "shipping", "fee")
    }
    return {
        "refund_ref": one.ref,
        "order_ref": case.order_ref,
        "store": case.store,
        "return_ref": one.return_ref,
        "source": str(one.source),
        "method": one.method,
        "currency": case.currency,
        "amount": one.amount,
        "net": net["product"],
        "shipping": net["shipping"],
        "fee": net["fee"],
        "tax": sum(part.tax_amount for part in one.parts),
        "unassigned": one.unassigned,
        "reason": one.reason,
        "made_at": one.made_at,
        "run_id": run_id,
    }


_NEW_REFUND = """
insert into core.refunds (refund_ref, order_ref, store, return_ref, source, method, currency,
    amount, net_amount, shipping_amount, fee_amount, tax_amount, unassigned_amount, reason,
    refunded_at, run_id)
values (:refund_ref, :order_ref, :store, :return_ref, :source, :method, :currency, :amount, :net,
    :shipping, :fee, :tax, :unassigned, :reason, :made_at, :run_id)
"""


def _parts(one: Refund, run_id: str | None) -> Iterator[dict[str, Any]]:
    for number, part in enumerate(one.parts):
        yield {
            "refund_ref": one.ref,
            "line_no": number,
            "line_ref": part.line_ref,
            "kind": part.kind,
            "sku": part.sku,
            "units": part.units,
            "net": part.net_amount,
            "tax": part.tax_amount,
            "taxes": json.dumps({rate: str(amount) for rate, amount in part.taxes.items()}),
            "run_id": run_id,
        }


_NEW_REFUND_LINE = """
insert into core.refund_lines (refund_ref, line_no, line_ref, kind, sku, units, net_amount,
    tax_amount, taxes, run_id)
values (:refund_ref, :line_no, :line_ref, :kind, :sku, :units, :net, :tax,
    cast(:taxes as jsonb), :run_id)
"""


def _link_row(case: Case, ref: str) -> dict[str, Any]:
    return {"ref": ref, "return_ref": case.refunds[ref].return_ref}


_LINK = "update core.refunds set return_ref = :return_ref where refund_ref = :ref"
_RECEIVED = """
update core.returns set received_at = :now where return_ref = :ref and received_at is null
"""
_EXCHANGED = """
update core.returns r set exchange_order_ref = x.system || ':' || x.remote_id
from receipt.exchanges x
where x.key = r.return_ref and x.outcome = 'accepted' and r.exchange_order_ref is null
  and r.order_ref = any(:keys)
"""
#: What is booked back: once, whoever did it; the receipt says who.
_RESTOCKED = """
insert into core.restocked (return_ref, sku, system, units, booked_by, booked_at, remote_id)
select b.key, u.sku, b.system, (u.said ->> 'units')::bigint, u.said ->> 'by', b.answered_at,
    b.remote_id
from receipt.restocks b, jsonb_each(b.payload -> 'booked') as u (sku, said)
where b.outcome = 'accepted' and b.order_ref = any(:keys)
on conflict (return_ref, sku) do nothing
"""
