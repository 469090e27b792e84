"""Writing things to a system, each exactly once: from the outbox to receipts, for every thing that
has one shape.

A subject says what it wants (rows of a plan, `intents.py`) and how a batch is sent (a `Hand`);
leasing, looking again, trying again, parking and writing down is here.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import Connection, text

from resources.errors import (
    NotAsked,
    Remedy,
    RemoteError,
    SignInAgain,
    Throttled,
    UnknownOutcome,
)
from resources.http import correlated, in_lane
from resources.store import exceptions, outbox, refs
from resources.store.engine import connected
from resources.store.outbox import Settled, Write
from resources.wiring import Systems
from sync_assets import attempts
from sync_assets.domain import retries
from sync_assets.domain.orders import Problem
from sync_assets.domain.retries import GiveUp, RetryAt
from sync_assets.intents import Thing, promote
from sync_assets.leasing import take, why_not_now, worker_name
from sync_assets.trouble import exceptional


@dataclass(frozen=True)
class Answer:
    """What the system shows of a thing that is written."""

    remote_id: str | None = None
    number: str | None = None
    state: str | None = None
    amount: Decimal | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    #: Further ids of it there: (kind, id, number).
    refs: tuple[tuple[str, str, str | None], ...] = ()


@dataclass
class Outcome:
    """How one write ended, as far as this attempt knows."""

    write: Write
    #: waiting, done, gone (not wanted any more, and not there)
    state: str = "waiting"
    answer: Answer | None = None
    error: RemoteError | None = None
    problem: Problem | None = None
    #: Something of it may be there, as far as this attempt has seen.
    begun: bool = False
    #: The system was asked, and answers later: what is held there stands until then.
    is_asked: bool = False

    @property
    def key(self) -> str:
        """Our key of the thing."""
        return self.write.thing_ref

    @property
    def action(self) -> str:
        """create, change or cancel."""
        return self.write.operation.rpartition(".")[2]

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do about it."""
        return self.state == "waiting" and self.error is None and self.problem is None


@dataclass
class Sent:
    """What one sending step achieved."""

    accepted: int = 0
    cancelled: int = 0
    parked: int = 0
    later: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Sent") -> None:
        """Count another step in."""
        self.accepted += other.accepted
        self.cancelled += other.cancelled
        self.parked += other.parked
        self.later += other.later
        self.faults.update(other.faults)


class Hand(Protocol):
    """How a subject sends a batch of one thing to one system."""

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Bring about what the writes want, looking first; mark each with how it ended.

        A RemoteError raised here is of the whole call.
        """

    def is_there(self) -> bool:
        """Whether the system answers at all."""


@dataclass(frozen=True)
class Manners:
    """How one system wants to be written to."""

    batch: int
    retry_hours: float


def send(
    systems: Systems,
    thing: Thing,
    system: str,
    manners: Manners,
    hand: Hand,
    run_id: str | None,
    say: Callable[[str], None] = lambda line: None,
) -> Sent:
    """Send what is planned and due of a thing to one system, batch by batch."""
    total = Sent()
    promote(systems, thing, system)
    if (rest := why_not_now(systems, system)) is not None:
        total.faults[system] = str(rest)
        return total
    sender = Sender(systems, thing, system, manners, hand, run_id, worker_name(run_id))
    while not sender.is_away and (
        batch := take(systems, system, sender.worker, manners.batch, thing.prefix)
    ):
        started = time.perf_counter()
        try:
            sender.batch(batch, total)
        except SignInAgain as error:
            sender.give_back([Outcome(one, begun=one.begun) for one in batch], error)
            raise
        say(f"{system}: {len(batch)} {thing.name} in {time.perf_counter() - started:.1f} s")
    return total


def each(names: Sequence[str], act: Callable[[str], Sent]) -> Sent:
    """Act on every system; one that fails keeps none of the others waiting.

    Raises the first RemoteError when all had their turn.
    """
    total, fault = Sent(), None
    for name in names:
        try:
            total.add(act(name))
        except RemoteError as error:
            fault = fault or error
    if fault is not None:
        raise fault
    return total


@dataclass
class Sender:
    """Sends batches of leased writes of one thing to one system."""

    systems: Systems
    thing: Thing
    system: str
    manners: Manners
    hand: Hand
    run_id: str | None
    worker: str
    #: The system answers nobody, or asked for time: there is no use in going on.
    is_away: bool = False

    @property
    def window(self) -> timedelta:
        """How long a write that fails for passing reasons is tried."""
        return timedelta(hours=self.manners.retry_hours)

    def batch(self, writes: Sequence[Write], total: Sent) -> None:
        """Send one batch and settle every write of it."""
        outcomes = {write.thing_ref: Outcome(write, begun=write.begun) for write in writes}
        try:
            with correlated(writes[0].correlation_id), in_lane(self.thing.lane):
                self.hand.attempt(outcomes)
        except SignInAgain:
            raise
        except RemoteError as error:
            total.faults[self.system if isinstance(error, NotAsked) else error.remedy] = str(error)
            if self._must_wait(error):
                total.later += self.give_back(list(outcomes.values()), error)
                return
            if len(writes) > 1:
                self._halves(list(outcomes.values()), error, total)
                return
            for outcome in outcomes.values():
                if outcome.is_open:
                    outcome.error = error
        with connected(self.systems.engine) as connection:
            self._settle(connection, list(outcomes.values()), total)

    def _halves(self, outcomes: list[Outcome], error: RemoteError, total: Sent) -> None:
        """Send in two parts: one write spoils the call, and its neighbours are to go on."""
        middle = len(outcomes) // 2
        for half in (outcomes[:middle], outcomes[middle:]):
            if self.is_away:
                total.later += self.give_back(half, error)
            else:
                self.batch([replace(one.write, begun=one.begun) for one in half], total)

    def _must_wait(self, error: RemoteError) -> bool:
        """Whether the system is busy or away; if not, these writes are at fault."""
        if error.remedy != Remedy.FIND_OUT and not self.is_away:
            self.is_away = isinstance(error, Throttled | NotAsked) or not self.hand.is_there()
        return self.is_away

    def give_back(self, outcomes: Sequence[Outcome], error: RemoteError) -> int:
        """Return writes unjudged: the key or the system is at fault, not they."""
        now, kind = self.systems.now(), type(error).__name__
        returned = [
            Settled(one.write.id, _open_state(one), kind, str(error), due, counts=False)
            for one in outcomes
            for due in [
                None
                if isinstance(error, NotAsked)
                else attempts.unjudged_until(one.write, error, now, self.window)
            ]
        ]
        with connected(self.systems.engine) as connection:
            return outbox.settle(connection, returned, worker=self.worker, now=now)

    # Writing down how they ended: one transaction a batch, and only what is still ours

    def _settle(self, connection: Connection, outcomes: list[Outcome], total: Sent) -> None:
        now = self.systems.now()
        ours = outbox.held(connection, [one.write.id for one in outcomes], worker=self.worker)
        outcomes = [one for one in outcomes if one.write.id in ours]
        settled = [self._settled(one, now, total) for one in outcomes]
        outbox.settle(connection, settled, worker=self.worker, now=now)
        self._receipts(connection, [one for one in outcomes if one.state == "done"], now)
        subjects = [one.key for one in outcomes if one.state != "waiting"]
        exceptions.reconcile(
            connection,
            [self._exceptional(one, now) for one in outcomes if one.state == "parked"],
            subjects=subjects,
            codes=exceptions.open_codes(connection, subjects, f"{self.thing.code}."),
            now=now,
            run_id=self.run_id,
        )

    def _settled(self, outcome: Outcome, now: datetime, total: Sent) -> Settled:
        write = outcome.write
        if outcome.state == "done":
            is_cancel = outcome.action == "cancel"
            total.cancelled += is_cancel
            total.accepted += not is_cancel
            return Settled(write.id, "done")
        if outcome.state == "gone":
            return Settled(write.id, "refused", "withdrawn", "not wanted, and not there")
        if outcome.problem is not None:
            return self._parked(outcome, outcome.problem.code, outcome.problem.message, total)
        if outcome.error is None:
            outcome.error = UnknownOutcome(self.system, f"{outcome.key} is not there yet")
        then = attempts.next_try(write, outcome.error, now, self.window)
        kind, said = type(outcome.error).__name__, str(outcome.error)
        if isinstance(then, GiveUp):
            return self._parked(outcome, kind, said, total)
        assert isinstance(then, RetryAt)
        total.later += 1
        is_unknown = isinstance(outcome.error, UnknownOutcome)
        state = "unknown" if is_unknown else _open_state(outcome)
        return Settled(write.id, state, kind, said, then.moment)

    def _parked(self, outcome: Outcome, kind: str, message: str, total: Sent) -> Settled:
        outcome.state = "parked"
        total.parked += 1
        return Settled(outcome.write.id, "parked", kind, message)

    def _exceptional(self, outcome: Outcome, now: datetime) -> exceptions.Exceptional:
        write, error = outcome.write, outcome.error
        code = attempts.code_of(error).replace("erp.", f"{self.thing.code}.", 1)
        problem = outcome.problem or Problem(code, write.operation, str(error))
        tried = retries.history(write.attempts, write.first_failed_at or now, now)
        payload, levels = write.payload or {}, self.systems.settings.service_levels
        found = exceptional(
            Problem(problem.code, problem.part, f"{problem.message} ({tried})"),
            write.thing_ref,
            levels,
            amount=_amount_of(payload),
            currency=payload.get("currency"),
            sender_ref=payload.get("order_ref"),
            version=write.core_version,
        )
        return replace(found, subject_kind=self.thing.subject_kind)

    def _receipts(self, connection: Connection, done: list[Outcome], now: datetime) -> None:
        rows = [receipt_row(self.system, one, now, self.run_id) for one in done]
        if rows:
            connection.execute(text(_RECEIPT.format(table=self.thing.table)), rows)
        if self.thing.ref_kind is not None:
            found = [ref for one in done for ref in self._refs(one, self.thing.ref_kind)]
            refs.remember(connection, found, now)

    def _refs(self, outcome: Outcome, kind: str) -> list[refs.Ref]:
        answer = outcome.answer
        if answer is None:
            return []
        more = [(kind, answer.remote_id, answer.number)] if answer.remote_id else []
        return [
            refs.Ref(outcome.key, kind, self.system, remote_kind, str(remote_id), number)
            for remote_kind, remote_id, number in [*more, *answer.refs]
        ]


def receipt_row(system: str, outcome: Outcome, now: datetime, run_id: str | None) -> dict[str, Any]:
    """The receipt of a write that is done."""
    write, answer, payload = outcome.write, outcome.answer, outcome.write.payload or {}
    return {
        "system": system,
        "key": write.thing_ref,
        "order_ref": payload.get("order_ref"),
        "outcome": "cancelled"
        if outcome.action == "cancel" and not outcome.is_asked
        else "accepted",
        "remote_id": answer.remote_id if answer else None,
        "remote_number": answer.number if answer else None,
        "remote_state": answer.state if answer else None,
        "amount": answer.amount if answer else None,
        "currency": payload.get("currency"),
        "wanted_hash": write.wanted_hash,
        "core_version": write.core_version,
        "attempts": write.attempts,
        "answered_at": now,
        "payload": json.dumps(dict(answer.payload), default=str) if answer else None,
        "correlation_id": write.correlation_id,
        "run_id": run_id,
    }


_RECEIPT = """
insert into receipt.{table} as held (system, key, order_ref, outcome, remote_id, remote_number,
    remote_state, amount, currency, wanted_hash, core_version, attempts, answered_at, payload,
    correlation_id, run_id)
values (:system, :key, :order_ref, :outcome, :remote_id, :remote_number, :remote_state, :amount,
    :currency, :wanted_hash, :core_version, :attempts, :answered_at, cast(:payload as jsonb),
    :correlation_id, :run_id)
on conflict (system, key) do update
set order_ref = coalesce(excluded.order_ref, held.order_ref), outcome = excluded.outcome,
    remote_id = coalesce(excluded.remote_id, held.remote_id),
    remote_number = coalesce(excluded.remote_number, held.remote_number),
    remote_state = excluded.remote_state, amount = coalesce(excluded.amount, held.amount),
    currency = coalesce(excluded.currency, held.currency), wanted_hash = excluded.wanted_hash,
    core_version = excluded.core_version, attempts = excluded.attempts,
    answered_at = excluded.answered_at, payload = coalesce(excluded.payload, held.payload),
    correlation_id = excluded.correlation_id, run_id = excluded.run_id
"""


def _open_state(outcome: Outcome) -> str:
    """The state of a write that must be tried again."""
    return "unknown" if outcome.begun else "waiting"


def _amount_of(payload: Mapping[str, Any]) -> Decimal | None:
    """The money a document is about, if it is about money."""
    for name in ("total_amount", "amount"):
        if payload.get(name) is not None:
            return Decimal(str(payload[name]))
    return None
