"""How a write ended, written down: its state, the receipt, the references, the exceptions.

One transaction a batch, and only for writes whose lease is still ours.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, text

from resources.errors import (
    RemoteError,
    UnknownOutcome,
)
from resources.settings import ServiceLevels
from resources.store import exceptions, outbox, refs
from resources.store.outbox import Settled, Write
from sync_assets import attempts
from sync_assets.domain import retries
from sync_assets.domain.exception_kinds import SENDING_CODES
from sync_assets.domain.orders import Problem
from sync_assets.domain.retries import GiveUp, RetryAt
from sync_assets.domain.sales import SeenOrder
from sync_assets.trouble import exceptional


@dataclass
class Sent:
    """What one sending step achieved."""

    accepted: int = 0
    cancelled: int = 0
    parked: int = 0
    later: int = 0
    faults: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """How one write ended, as far as this attempt knows."""

    write: Write
    state: str = "waiting"
    seen: SeenOrder | None = None
    error: RemoteError | None = None
    problem: Problem | None = None
    #: Something of it may be in the ERP, as far as this attempt has seen.
    begun: bool = False


def open_state(outcome: Outcome) -> str:
    """The state of a write that must be tried again."""
    return "unknown" if outcome.begun else "waiting"


@dataclass(frozen=True)
class Settler:
    """Writes down how the writes of one worker to one ERP ended."""

    kind: str
    erp: str
    run_id: str | None
    worker: str
    levels: ServiceLevels
    #: How long a write that fails for passing reasons is tried.
    window: timedelta = retries.WINDOW

    def next_try(self, write: Write, error: RemoteError, now: datetime) -> RetryAt | GiveUp:
        """When a write that failed is tried again, or why it is not."""
        return attempts.next_try(write, error, now, self.window)

    def unjudged_until(self, write: Write, error: RemoteError, now: datetime) -> datetime:
        """When a write is due again that is not to blame: nobody answers, or not to us."""
        return attempts.unjudged_until(write, error, now, self.window)

    def settle(
        self,
        connection: Connection,
        outcomes: list[Outcome],
        short: list[exceptions.Exceptional],
        total: Sent,
        now: datetime,
    ) -> None:
        """Settle a batch; `short` are orders accepted without stock, counted into `total`."""
        # A lease that ran out is another worker's: what it found is not for us to overwrite.
        ours = outbox.held(connection, [o.write.id for o in outcomes], worker=self.worker)
        outcomes = [outcome for outcome in outcomes if outcome.write.id in ours]
        settled = [self._settled(outcome, now, total) for outcome in outcomes]
        outbox.settle(connection, settled, worker=self.worker, now=now)
        self._receipts(connection, [o for o in outcomes if o.state == "done"], now)
        self._mark_gone(connection, [o.write for o in outcomes if o.state == "gone"], now)
        subjects = [o.write.thing_ref for o in outcomes if o.state != "waiting"]
        found = [self._exceptional(o, now) for o in outcomes if o.state == "parked"] + short
        exceptions.reconcile(
            connection,
            found,
            subjects=subjects,
            codes=[
                *exceptions.open_codes(connection, subjects, SENDING_CODES),
                "order.stock_unconfirmed",
            ],
            now=now,
            run_id=self.run_id,
        )

    def _settled(self, outcome: Outcome, now: datetime, total: Sent) -> Settled:
        write, error = outcome.write, outcome.error
        if outcome.state == "done":
            create = write.operation == "sales_order.create"
            total.accepted, total.cancelled = (
                total.accepted + create,
                total.cancelled + (not create),
            )
            return Settled(write.id, "done")
        if outcome.state == "gone":
            return Settled(write.id, "refused", "withdrawn", "not wanted, and not there")
        if outcome.problem is not None:
            return self._parked(outcome, outcome.problem.code, outcome.problem.message, total)
        if error is None:
            error = UnknownOutcome(self.erp, "the order is not there yet")
            outcome.error = error
        then = self.next_try(write, error, now)
        if isinstance(then, GiveUp):
            return self._parked(outcome, type(error).__name__, str(error), total)
        total.later += 1
        state = "unknown" if isinstance(error, UnknownOutcome) else open_state(outcome)
        return Settled(write.id, state, type(error).__name__, str(error), then.moment)

    def _parked(self, outcome: Outcome, kind: str, message: str, total: Sent) -> Settled:
        outcome.state = "parked"
        total.parked += 1
        return Settled(outcome.write.id, "parked", kind, message)

    def _exceptional(self, outcome: Outcome, now: datetime) -> exceptions.Exceptional:
        write, error = outcome.write, outcome.error
        code = attempts.code_of(error)
        problem = outcome.problem or Problem(code, write.operation, str(error))
        tried = retries.history(write.attempts, write.first_failed_at or now, now)
        payload = write.payload or {}
        return exceptional(
            Problem(problem.code, problem.part, f"{problem.message} ({tried})"),
            write.thing_ref,
            self.levels,
            amount=Decimal(str(payload["total_amount"])) if "total_amount" in payload else None,
            currency=payload.get("currency"),
            sender_ref=payload.get("number"),
            version=write.core_version,
        )

    def _receipts(self, connection: Connection, done: list[Outcome], now: datetime) -> None:
        rows = [
            {
                "system": self.erp,
                "order_ref": o.write.thing_ref,
                "outcome": "cancelled" if o.write.operation.endswith("cancel") else "accepted",
                "remote_id": o.seen.remote_id if o.seen else None,
                "remote_number": o.seen.number if o.seen else None,
                "remote_state": o.seen.state if o.seen else None,
                "total_amount": o.seen.total_amount if o.seen else None,
                "currency": (o.write.payload or {}).get("currency", ""),
                "wanted_hash": o.write.wanted_hash,
                "core_version": o.write.core_version,
                "attempts": o.write.attempts,
                "answered_at": now,
                "payload": json.dumps(o.seen.payload, default=str) if o.seen else None,
                "correlation_id": o.write.correlation_id,
                "run_id": self.run_id,
            }
            for o in done
        ]
        if rows:
            connection.execute(text(_RECEIPT.format(kind=self.kind)), rows)
        refs.remember(connection, [r for o in done for r in self._refs(o)], now)

    def _mark_gone(self, connection: Connection, writes: list[Write], now: datetime) -> None:
        """What was accepted once and is not there any more is as good as cancelled."""
        connection.execute(
            text(
                f"update receipt.{self.kind}__sales_orders "  # noqa: S608
                "set outcome = 'cancelled', remote_state = null, answered_at = :now "
                "where system = :erp and order_ref = any(:keys)"
            ),
            {"erp": self.erp, "keys": [write.thing_ref for write in writes], "now": now},
        )

    def _refs(self, outcome: Outcome) -> list[refs.Ref]:
        if outcome.seen is None:
            return []
        return [
            refs.Ref(
                outcome.write.thing_ref,
                "order",
                self.erp,
                "sales_order",
                str(outcome.seen.remote_id),
                outcome.seen.number,
            )
        ]


_RECEIPT = """
insert into receipt.{kind}__sales_orders (system, order_ref, outcome, remote_id, remote_number,
    remote_state, total_amount, currency, wanted_hash, core_version, attempts, answered_at,
    payload, correlation_id, run_id)
values (:system, :order_ref, :outcome, :remote_id, :remote_number, :remote_state, :total_amount,
    :currency, :wanted_hash, :core_version, :attempts, :answered_at, cast(:payload as jsonb),
    :correlation_id, :run_id)
on conflict (system, order_ref) do update
set outcome = excluded.outcome,
    remote_id = coalesce(excluded.remote_id, {kind}__sales_orders.remote_id),
    remote_number = coalesce(excluded.remote_number, {kind}__sales_orders.remote_number),
    remote_state = excluded.remote_state,
    total_amount = coalesce(excluded.total_amount, {kind}__sales_orders.total_amount),
    wanted_hash = excluded.wanted_hash, core_version = excluded.core_version,
    attempts = excluded.attempts, answered_at = excluded.answered_at, payload = excluded.payload,
    correlation_id = excluded.correlation_id, run_id = excluded.run_id
"""
