"""How a stock write ended, written down: its state, the receipt, the listing, the exceptions.

One transaction a batch, and only for writes whose lease is still ours. What the shop showed last is
what the next plan compares with, so our own write comes back as nothing new.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.errors import RemoteError, UnknownOutcome
from resources.settings import ServiceLevels
from resources.store import exceptions, outbox, stale
from resources.store.outbox import Settled, Write
from sync_assets import attempts
from sync_assets.domain.orders import Problem, Row
from sync_assets.domain.publishing import Decision
from sync_assets.domain.retries import RetryAt, history
from sync_assets.inventory.planning import QUEUE
from sync_assets.inventory.promoting import SENDING_CODES
from sync_assets.trouble import exceptional

REFUSED, GONE = SENDING_CODES


@dataclass
class Sent:
    """What one sending step achieved."""

    #: Numbers by outcome: set, already, adjusted.
    outcomes: dict[str, int] = field(default_factory=dict)
    #: The shop showed another number right after the write: it sold meanwhile.
    sold_again: int = 0
    withdrawn: int = 0
    parked: int = 0
    later: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Sent") -> None:
        """Count another store in."""
        for word, count in other.outcomes.items():
            self.outcomes[word] = self.outcomes.get(word, 0) + count
        self.sold_again += other.sold_again
        self.withdrawn += other.withdrawn
        self.parked += other.parked
        self.later += other.later
        self.faults.update(other.faults)


@dataclass
class Outcome:
    """One write, what is planned for its listing now, and how far this attempt came."""

    write: Write
    #: The newest plan row of the listing; nothing if there is no longer any.
    plan: Row | None
    state: str = "waiting"
    #: What the shop showed before, as `stock_seen` has it, and what it showed after.
    before: Row | None = None
    after: Row | None = None
    decision: Decision | None = None
    error: RemoteError | None = None
    problem: Problem | None = None
    #: Something of it may be in the shop, as far as this attempt has seen.
    begun: bool = False

    @property
    def product_id(self) -> int:
        """The shop's id of the listing."""
        return int(self.write.thing_ref.rpartition(":")[2])

    @property
    def open_state(self) -> str:
        """The state of a write that must be tried again."""
        return "unknown" if self.begun else "waiting"

    @property
    def shown(self) -> Row | None:
        """What the shop showed last."""
        return self.after or self.before

    @property
    def word(self) -> str:
        """The outcome as the receipt has it."""
        if self.state != "done" or self.decision is None:
            return "refused"
        if self.decision.sold_units:
            return "adjusted"
        return "already" if self.after is None else "set"

    @property
    def needs_another_look(self) -> bool:
        """Whether the shop may show another number than the one that was wanted."""
        return self.is_sold_again or self.state == "withdrawn" or self.word == "adjusted"

    @property
    def is_sold_again(self) -> bool:
        """Whether the shop shows another number than was written a moment ago."""
        return bool(
            self.after and self.decision and self.after["stock_units"] != self.decision.units
        )


@dataclass(frozen=True)
class Settler:
    """Writes down how the stock writes of one worker to one store ended."""

    store: str
    run_id: str | None
    worker: str
    levels: ServiceLevels
    #: How long a write that fails for passing reasons is tried.
    window: timedelta

    def settle(
        self, connection: Connection, outcomes: Sequence[Outcome], total: Sent, now: datetime
    ) -> None:
        """Settle a batch."""
        # A lease that ran out is another worker's: what it found is not for us to overwrite.
        ours = outbox.held(connection, [o.write.id for o in outcomes], worker=self.worker)
        outcomes = [outcome for outcome in outcomes if outcome.write.id in ours]
        settled = [self._settled(outcome, now, total) for outcome in outcomes]
        outbox.settle(connection, settled, worker=self.worker, now=now)
        self._receipts(connection, [o for o in outcomes if o.state in ("done", "parked")], now)
        self._listings(connection, outcomes)
        self._planned(connection, [o for o in outcomes if o.state == "done"])
        again = [o for o in outcomes if o.needs_another_look]
        stale.mark(connection, QUEUE, (_sku(o) for o in again), now)
        total.sold_again += sum(o.is_sold_again for o in outcomes)
        self._exceptions(connection, outcomes, now)

    def _settled(self, outcome: Outcome, now: datetime, total: Sent) -> Settled:
        write, error = outcome.write, outcome.error
        if outcome.state == "done":
            total.outcomes[outcome.word] = total.outcomes.get(outcome.word, 0) + 1
            return Settled(write.id, "done")
        if outcome.state == "withdrawn":
            total.withdrawn += 1
            return Settled(write.id, "refused", "withdrawn", "no longer wanted")
        if outcome.problem is not None:
            return self._parked(outcome, outcome.problem.code, outcome.problem.message, total)
        error = error or UnknownOutcome(self.store, "it was not tried")
        then = attempts.next_try(write, error, now, self.window)
        if not isinstance(then, RetryAt):
            outcome.problem = Problem(REFUSED, "", str(error))
            return self._parked(outcome, type(error).__name__, str(error), total)
        total.later += 1
        return Settled(write.id, outcome.open_state, type(error).__name__, str(error), then.moment)

    def _parked(self, outcome: Outcome, kind: str, message: str, total: Sent) -> Settled:
        outcome.state = "parked"
        total.parked += 1
        return Settled(outcome.write.id, "parked", kind, message)

    def _receipts(self, connection: Connection, ended: Iterable[Outcome], now: datetime) -> None:
        rows = [
            {
                "system": self.store,
                "product_id": o.product_id,
                "sku": _sku(o),
                "outcome": o.word,
                "wanted_units": (o.plan or {}).get("wanted_units", 0),
                "before_units": (o.before or {}).get("stock_units"),
                "sold_meanwhile_units": o.decision.sold_units if o.decision else 0,
                "written_units": o.decision.units if o.after and o.decision else None,
                "read_back_units": (o.shown or {}).get("stock_units"),
                "is_counted": bool((o.plan or {}).get("is_counted")),
                "attempts": o.write.attempts,
                "answered_at": now,
                "shop_changed_at": (o.shown or {}).get("changed_at"),
                "correlation_id": o.write.correlation_id,
                "run_id": self.run_id,
            }
            for o in ended
        ]
        if rows:
            names = ", ".join(rows[0])
            values = ", ".join(f":{name}" for name in rows[0])
            connection.execute(
                text(f"insert into receipt.woocommerce__stock ({names}) values ({values})"),  # noqa: S608
                rows,
            )

    def _listings(self, connection: Connection, outcomes: Iterable[Outcome]) -> None:
        """Take over what the shop showed last, whether or not it is what we wrote.

        A difference is marked by the settling itself, so the listings' trigger stays silent.
        """
        rows = [_listing(self.store, o) for o in outcomes if o.shown is not None]
        if rows:
            connection.execute(text("select set_config('sync.is_echo', 'yes', true)"))
            connection.execute(text(_SEEN), rows)
            connection.execute(text("select set_config('sync.is_echo', 'no', true)"))

    def _planned(self, connection: Connection, done: Sequence[Outcome]) -> None:
        """What was reached is planned no longer, unless something else is planned since."""
        rows = [
            {"store": self.store, "id": o.product_id, "hash": (o.plan or {}).get("wanted_hash")}
            for o in done
        ]
        if rows:
            connection.execute(text(_REACHED), rows)

    def _exceptions(
        self, connection: Connection, outcomes: Sequence[Outcome], now: datetime
    ) -> None:
        found = [
            exceptional(
                self._told(outcome, outcome.problem, now),
                outcome.write.thing_ref,
                self.levels,
                sender_ref=str(outcome.product_id),
            )
            for outcome in outcomes
            if outcome.state == "parked" and outcome.problem
        ]
        subjects = [o.write.thing_ref for o in outcomes if o.state != "waiting"]
        exceptions.reconcile(
            connection,
            found,
            subjects=subjects,
            codes=SENDING_CODES,
            now=now,
            run_id=self.run_id,
        )

    def _told(self, outcome: Outcome, problem: Problem, now: datetime) -> Problem:
        write = outcome.write
        tried = history(write.attempts, write.first_failed_at or now, now)
        return Problem(problem.code, problem.part, f"{_sku(outcome)}: {problem.message} ({tried})")


def _sku(outcome: Outcome) -> str:
    said = outcome.plan or outcome.write.payload or {}
    return str(said.get("sku", ""))


def _listing(store: str, outcome: Outcome) -> dict[str, Any]:
    """What of a listing a reading of its stock tells; lead days only the answer to a write does."""
    shown = outcome.shown or {}
    return {
        "store": store,
        "id": outcome.product_id,
        "management": shown["stock_management"],
        "units": shown["stock_units"],
        "backorders": shown["backorders"],
        "status": shown["stock_status"],
        "is_whole": outcome.after is not None,
        "lead_days": shown["lead_days"],
        "changed_at": shown["changed_at"],
    }


#: A reading made after ours may have come first.
_SEEN = """
update core.listings set stock_management = :management, stock_units = :units,
    backorders = :backorders, stock_status = :status, changed_at = :changed_at,
    lead_days = case when :is_whole then cast(:lead_days as bigint) else lead_days end
where store = :store and product_id = :id and changed_at <= :changed_at
"""
_REACHED = """
delete from plan.woocommerce__stock
where system = :store and product_id = :id and wanted_hash = :hash
"""
