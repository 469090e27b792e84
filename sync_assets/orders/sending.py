"""Telling the ERP, once: the step behind the receipt assets.

Every batch looks the orders up by our key first, so a lost answer, a killed worker and a repeated
run all end in the same place: what is there is confirmed and read back, what is not is created.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, text

from resources.errors import Remedy, RemoteError, SignInAgain, Throttled, UnknownOutcome
from resources.http import correlated
from resources.store import exceptions, outbox, refs
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.store.outbox import Settled, Write
from resources.systems.roles import Erp, Payload, References
from resources.wiring import Systems
from sync_assets.domain import planning
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.planning import Route
from sync_assets.domain.sales import SalesOrder, SeenOrder
from sync_assets.mappers import ERP_MAPPERS
from sync_assets.orders.mapping import exceptional
from sync_assets.orders.planning import routes

#: Unknown and passing faults are tried again at once this often within a run, then later.
QUICK_TRIES = 3
GIVE_UP_AFTER = 12
LATER = timedelta(minutes=1)
#: What begins so is found, and ended again, by sending alone.
SENDING_CODES = "erp."


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


def promote(systems: Systems, kind: str, erp: str) -> int:
    """Put what was planned into the outbox; answers how many writes wait because of it."""
    now = systems.now()
    with (
        connected(systems.engine) as connection,
        one_at_a_time(connection, f"promote {erp}"),
    ):
        taken = _take_back(connection, kind, erp, now)
        planned = read_rows(connection, _PLANNED.format(kind=kind), erp=erp, taken=taken)
        return outbox.intend(connection, erp, [_intended(row) for row in planned], now)


def _take_back(connection: Connection, kind: str, erp: str, now: datetime) -> list[str]:
    """End writes that the plan no longer wants; answers whose."""
    rows = read_rows(connection, _UNWANTED.format(kind=kind), erp=erp, now=now)
    if not rows:
        return []
    outbox.take_back(connection, [row["id"] for row in rows], now)
    things = [row["thing_ref"] for row in rows]
    exceptions.reconcile(
        connection,
        [],
        subjects=things,
        codes=exceptions.open_codes(connection, things, SENDING_CODES),
        now=now,
    )
    return things


#: What had no effect is simply withdrawn. What may have had one is, once the order has ended,
#: followed by a cancel, which looks first; otherwise it goes on as if it were accepted already.
_UNWANTED = """
select x.id, x.thing_ref
from ops.outbox x join plan.{kind}__sales_orders p
    on p.system = x.system and p.order_ref = x.thing_ref
where x.system = :erp and x.operation in ('sales_order.create', 'sales_order.cancel')
  and x.operation <> 'sales_order.' || p.action
  and (x.state = 'waiting'
       or x.state = 'parked' and 'sales_order.cancel' in (x.operation, 'sales_order.' || p.action)
       or p.action = 'cancel' and (x.state = 'unknown'
            or x.state = 'leased' and x.lease_until <= :now))
order by x.id for update of x
"""

#: Creates and cancels not under way or done.
_PLANNED = """
select p.order_ref, p.action, p.wanted, p.wanted_hash, p.core_version
from plan.{kind}__sales_orders p
left join receipt.{kind}__sales_orders r using (system, order_ref)
left join ops.outbox x on x.system = p.system and x.thing_ref = p.order_ref
    and x.business_key = 'sales_order.' || p.action || ':' || p.order_ref
    and x.state in ('waiting', 'leased', 'unknown', 'parked') and x.wanted_hash = p.wanted_hash
where p.system = :erp and x.id is null
  and (p.action = 'create' and r.order_ref is null
       or p.action = 'cancel' and (r.outcome = 'accepted'
            or r.order_ref is null and p.order_ref = any(:taken)))
order by p.order_ref
"""


def _intended(row: dict[str, Any]) -> outbox.Intended:
    cancel = row["action"] == "cancel"
    return outbox.Intended(
        operation=f"sales_order.{row['action']}",
        thing_ref=row["order_ref"],
        payload=row["wanted"],
        wanted_hash=row["wanted_hash"],
        core_version=row["core_version"],
        lane=outbox.LANES["cancel" if cancel else "order"],
        correlation_id=uuid.uuid4().hex,
    )


def send(
    systems: Systems,
    kind: str,
    erp: str,
    run_id: str | None,
    say: Callable[[str], None] = lambda line: None,
) -> Sent:
    """Send what is due to one ERP, batch by batch, until nothing is due."""
    total, worker = Sent(), f"{run_id or 'local'}/{uuid.uuid4().hex[:8]}"
    promote(systems, kind, erp)
    with systems.erp(erp) as client:
        sender = Sender(systems, kind, erp, client, run_id, worker)
        while not sender.is_away:
            started = time.perf_counter()
            with connected(systems.engine) as connection:
                batch = outbox.lease(
                    connection,
                    erp,
                    worker=worker,
                    now=systems.now(),
                    limit=systems.settings.erps[erp].batch,
                )
            if not batch:
                return total
            try:
                sender.batch(batch, total)
            except SignInAgain as error:
                sender.give_back(batch, error)
                raise
            say(f"{erp}: {len(batch)} writes in {time.perf_counter() - started:.1f} s")
    return total


@contextmanager
def _set_aside(outcome: Outcome) -> Iterator[None]:
    """Keep what a mapper rejects with its order; the others go on."""
    try:
        yield
    except Rejected as refusal:
        outcome.problem = refusal.problems[0]


def _open_state(outcome: Outcome) -> str:
    """The state of a write that must be tried again."""
    return "unknown" if outcome.begun else "waiting"


def _pause(error: RemoteError, least: timedelta) -> timedelta:
    """How long to wait: at least as long as the system asked for."""
    asked = error.after_seconds if isinstance(error, Throttled) else None
    return max(least, timedelta(seconds=asked or 0))


@dataclass
class Sender:
    """Sends batches of leased writes to one ERP."""

    systems: Systems
    kind: str
    erp: str
    client: Erp
    run_id: str | None
    worker: str

    def __post_init__(self) -> None:
        self.mapper: ModuleType = ERP_MAPPERS[self.kind]
        self.routes: dict[str, Route] = routes(self.systems.settings)
        #: The ERP answers nobody, or asked for time: there is no use in going on.
        self.is_away = False
        self._references: References | None = None

    @property
    def references(self) -> References:
        """The ERP's master data by name, read once a run."""
        if self._references is None:
            self._references = self.client.references()
        return self._references

    def batch(self, writes: Sequence[Write], total: Sent) -> None:
        """Send one batch and settle every write of it."""
        outcomes = {write.thing_ref: Outcome(write, begun=write.begun) for write in writes}
        try:
            with correlated(writes[0].correlation_id):
                self._attempt(outcomes)
        except SignInAgain as error:
            self._give_back(outcomes.values(), error)
            raise
        except RemoteError as error:
            total.faults[error.remedy] = str(error)
            if self._must_wait(error):
                total.later += self._give_back(outcomes.values(), error)
                return
            if len(writes) > 1:
                self._halves(list(outcomes.values()), error, total)
                return
            for outcome in outcomes.values():
                if outcome.state == "waiting" and outcome.problem is None:
                    outcome.error = error
        short = self._without_stock([o for o in outcomes.values() if o.state == "done"], total)
        with connected(self.systems.engine) as connection:
            self._settle(connection, list(outcomes.values()), short, total)

    def _halves(self, outcomes: list[Outcome], error: RemoteError, total: Sent) -> None:
        """Send in two parts: one write spoils the call, and its neighbours are to go on."""
        middle = len(outcomes) // 2
        for half in (outcomes[:middle], outcomes[middle:]):
            if self.is_away:
                total.later += self._give_back(half, error)
            else:
                self.batch([replace(o.write, begun=o.begun) for o in half], total)

    def _must_wait(self, error: RemoteError) -> bool:
        """Whether the ERP is busy, away or not itself; if not, these orders are at fault."""
        if error.remedy != Remedy.FIND_OUT and not self.is_away:
            self.is_away = isinstance(error, Throttled) or not self._is_there()
        return self.is_away

    def _is_there(self) -> bool:
        try:
            self.client.ping()
        except RemoteError:
            return False
        return True

    def _give_back(self, outcomes: Iterable[Outcome], error: RemoteError) -> int:
        """Return writes unjudged: the key or the system is at fault, not the orders."""
        now = self.systems.now()
        due = now if isinstance(error, SignInAgain) else now + _pause(error, LATER)
        kind, said = type(error).__name__, str(error)
        with connected(self.systems.engine) as connection:
            returned = [
                Settled(o.write.id, _open_state(o), kind, said, due, counts=False) for o in outcomes
            ]
            return outbox.settle(connection, returned, worker=self.worker, now=now)

    def give_back(self, writes: Sequence[Write], error: RemoteError) -> None:
        """Return what is left of a batch that was broken off."""
        self._give_back([Outcome(write, begun=write.begun) for write in writes], error)

    def _attempt(self, outcomes: dict[str, Outcome]) -> None:
        held = self._look_up(outcomes.values())
        for key, outcome in outcomes.items():
            outcome.begun = key in held
        sound = [outcome for outcome in outcomes.values() if outcome.problem is None]
        creates = [o for o in sound if o.write.operation == "sales_order.create"]
        cancels = [o for o in sound if o.write.operation == "sales_order.cancel"]
        self._cancel(cancels, held)
        # A draft may be half made: an answer was lost between its head and its lines.
        begun = {key for key, order in held.items() if order.state == "draft"}
        whole = held.keys() - begun
        self._drop_unwanted([o for o in creates if o.write.thing_ref not in held])
        creates = [o for o in creates if o.state == "waiting"]
        self._create([o for o in creates if o.write.thing_ref not in whole])
        fresh = [o for o in creates if o.problem is None and o.error is None]
        self._finish(creates, self._look_up(fresh))

    def _drop_unwanted(self, absent: list[Outcome]) -> None:
        """Make no order that the shop took back since; a plan is newer than a leased write."""
        with connected(self.systems.engine) as connection:
            rows = read_rows(
                connection,
                f"select order_ref from plan.{self.kind}__sales_orders "  # noqa: S608
                "where system = :erp and order_ref = any(:keys) and action = 'create'",
                erp=self.erp,
                keys=[o.write.thing_ref for o in absent],
            )
        wanted = {row["order_ref"] for row in rows}
        for outcome in absent:
            if outcome.write.thing_ref not in wanted:
                outcome.state = "gone"

    def _look_up(self, outcomes: Iterable[Outcome]) -> dict[str, SeenOrder]:
        """What the ERP holds of these orders; what nobody can read is that order's own problem."""
        wanted = {outcome.write.thing_ref: outcome for outcome in outcomes}
        found = self.client.orders(list(wanted)) if wanted else {}
        seen = {}
        for key, payload in found.items():
            with _set_aside(wanted[key]):
                seen[key] = self.mapper.seen(payload)
        return seen

    def _create(self, outcomes: list[Outcome]) -> None:
        """Make drafts of orders that are not there, and complete those half made."""
        documents = {
            o.write.thing_ref: SalesOrder.model_validate(o.write.payload) for o in outcomes
        }
        parties = self._parties(outcomes, documents)
        payloads = []
        for outcome in outcomes:
            if outcome.error is None and outcome.problem is None:
                document = documents[outcome.write.thing_ref]
                with _set_aside(outcome):
                    payloads.append(self.mapper.order(document, self.references, parties))
        if payloads:
            for outcome in outcomes:
                outcome.begun = True
            self._note(outcomes, self.client.put_orders(payloads))

    def _parties(self, outcomes: list[Outcome], documents: dict[str, SalesOrder]) -> dict[str, int]:
        """Customers and addresses first; an order whose customer is refused waits with it."""
        wanted: dict[str, Payload] = {}
        for outcome in outcomes:
            with _set_aside(outcome):
                document = documents[outcome.write.thing_ref]
                for payload in self.mapper.parties(document, self.references):
                    wanted[payload["key"]] = payload
        answers = self.client.put_parties(list(wanted.values())) if wanted else {}
        for outcome in outcomes:
            document = documents[outcome.write.thing_ref]
            for key in (document.party.key, document.ship_to.key):
                answer = answers.get(key)
                if isinstance(answer, RemoteError):
                    outcome.error = answer
        return {key: found for key, found in answers.items() if isinstance(found, int)}

    def _note(self, outcomes: list[Outcome], answers: dict[str, int | RemoteError]) -> None:
        for outcome in outcomes:
            answer = answers.get(outcome.write.thing_ref)
            if isinstance(answer, RemoteError):
                outcome.error = answer

    def _finish(self, outcomes: list[Outcome], seen: dict[str, SeenOrder]) -> None:
        """Compare drafts with what we want, confirm those that agree, and read them back."""
        ready = []
        for outcome in outcomes:
            order = seen.get(outcome.write.thing_ref)
            if order is None or outcome.error or outcome.problem:
                continue
            outcome.seen = order
            outcome.problem = self._doubled(order) or self._settle_amount(outcome, order)
            if outcome.problem or outcome.error:
                continue
            if order.state != "confirmed":
                ready.append(outcome)
            else:
                outcome.state = "done"
        refusals = self.client.confirm([o.seen.remote_id for o in ready if o.seen]) if ready else {}
        after = self._look_up(ready)
        for outcome in ready:
            self._confirmed(outcome, after.get(outcome.write.thing_ref), refusals)

    def _confirmed(
        self, outcome: Outcome, after: SeenOrder | None, refusals: dict[int, RemoteError]
    ) -> None:
        outcome.seen = after or outcome.seen
        if after is not None and after.state == "confirmed":
            outcome.state = "done"
        elif outcome.seen is not None:
            outcome.error = refusals.get(outcome.seen.remote_id) or UnknownOutcome(
                self.erp, f"confirming {outcome.write.thing_ref} left it {outcome.seen.state}"
            )

    def _doubled(self, order: SeenOrder) -> Problem | None:
        twins = order.payload.get("twins")
        if not twins:
            return None
        return Problem("erp.order_doubled", "order", f"{self.erp} holds it more than once: {twins}")

    def _settle_amount(self, outcome: Outcome, order: SeenOrder) -> Problem | None:
        """Add a rounding line for a difference of cents; anything more waits for finance."""
        document = SalesOrder.model_validate(outcome.write.payload)
        digits = digits_of(document.currency)
        off = rounded(document.total_amount - order.total_amount, digits)
        if not off:
            return None
        if order.state == "draft" and order.lines < len(document.lines):
            outcome.error = UnknownOutcome(self.erp, "the draft does not show all its lines yet")
            return None
        route = self.routes[document.store]
        if order.state == "draft" and abs(off) <= planning.tolerance(route, len(document.lines)):
            order = self._with_rounding(outcome, document, order, off)
            off = rounded(document.total_amount - order.total_amount, digits)
            if off and outcome.write.attempts < GIVE_UP_AFTER:
                outcome.error = UnknownOutcome(self.erp, "the rounding line is not seen yet")
        outcome.seen = order
        if not off or outcome.error:
            return None
        return Problem(
            "erp.amount_differs",
            "total",
            f"the shop says {document.total_amount}, {self.erp} computes {order.total_amount} "
            f"{document.currency}",
        )

    def _with_rounding(
        self, outcome: Outcome, document: SalesOrder, order: SeenOrder, off: Decimal
    ) -> SeenOrder:
        item = self._rounding_item(document)
        if item is None:
            return order
        line = self.mapper.rounding_line(document, off, item)
        self.client.add_line(order.remote_id, line)
        return self._look_up([outcome]).get(outcome.write.thing_ref, order)

    def _rounding_item(self, document: SalesOrder) -> int | None:
        code = self.routes[document.store].rounding_item
        with connected(self.systems.engine) as connection:
            rows = read_rows(
                connection,
                "select item_id from core.product_refs "
                "where system = :erp and sku = :sku and is_active",
                erp=self.erp,
                sku=code,
            )
        return int(rows[0]["item_id"]) if len(rows) == 1 else None

    def _cancel(self, outcomes: list[Outcome], held: dict[str, SeenOrder]) -> None:
        """Cancel what is there; that there is nothing must have been seen twice."""
        for outcome in outcomes:
            outcome.seen = held.get(outcome.write.thing_ref)
        alive = [o for o in outcomes if o.seen is not None and o.seen.state != "cancelled"]
        ids = [o.seen.remote_id for o in alive if o.seen is not None]
        refusals = self.client.cancel(ids) if ids else {}
        after = self._look_up(alive)
        for outcome in outcomes:
            outcome.seen = after.get(outcome.write.thing_ref, outcome.seen)
            if outcome.seen is None:
                outcome.state = "gone" if outcome.write.attempts > 1 else "waiting"
            elif outcome.seen.state == "cancelled":
                outcome.state = "done"
            else:
                outcome.error = refusals.get(outcome.seen.remote_id)

    def _settle(
        self,
        connection: Connection,
        outcomes: list[Outcome],
        short: list[exceptions.Exceptional],
        total: Sent,
    ) -> None:
        now = self.systems.now()
        # A lease that ran out is another worker's: what it found is not for us to overwrite.
        ours = outbox.held(connection, [o.write.id for o in outcomes], worker=self.worker)
        outcomes = [outcome for outcome in outcomes if outcome.write.id in ours]
        settled = [self._settled(outcome, now, total) for outcome in outcomes]
        outbox.settle(connection, settled, worker=self.worker, now=now)
        self._receipts(connection, [o for o in outcomes if o.state == "done"], now)
        self._mark_gone(connection, [o.write for o in outcomes if o.state == "gone"], now)
        subjects = [o.write.thing_ref for o in outcomes if o.state != "waiting"]
        found = [self._exceptional(o) for o in outcomes if o.state == "parked"] + short
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
        if error.remedy == Remedy.GIVE_TO_PERSON or write.attempts >= GIVE_UP_AFTER:
            return self._parked(outcome, type(error).__name__, str(error), total)
        total.later += 1
        state = "unknown" if error.remedy == Remedy.FIND_OUT else _open_state(outcome)
        pause = timedelta() if write.attempts < QUICK_TRIES else LATER * 2 ** min(write.attempts, 6)
        due = now + _pause(error, pause)
        return Settled(write.id, state, type(error).__name__, str(error), due)

    def _parked(self, outcome: Outcome, kind: str, message: str, total: Sent) -> Settled:
        outcome.state = "parked"
        total.parked += 1
        return Settled(outcome.write.id, "parked", kind, message)

    def _exceptional(self, outcome: Outcome) -> exceptions.Exceptional:
        write, error = outcome.write, outcome.error
        given_up = error is not None and error.remedy != Remedy.GIVE_TO_PERSON
        problem = outcome.problem or Problem(
            "erp.given_up" if given_up else "erp.refused", write.operation, str(error)
        )
        payload = write.payload or {}
        return exceptions.Exceptional(
            problem.code,
            write.thing_ref,
            problem.message,
            "finance" if problem.code == "erp.amount_differs" else "operations",
            part=problem.part,
            blocks=False,  # the parked write itself holds back what comes after it
            amount=Decimal(str(payload["total_amount"])) if "total_amount" in payload else None,
            currency=payload.get("currency"),
            sender_ref=payload.get("number"),
            version=write.core_version,
        )

    def _without_stock(self, done: list[Outcome], total: Sent) -> list[exceptions.Exceptional]:
        """Orders the ERP accepted without having the stock (R051)."""
        fresh = {
            o.seen.remote_id: o
            for o in done
            if o.seen and o.write.operation == "sales_order.create"
        }
        try:
            short = self.client.unconfirmed_stock(list(fresh)) if fresh else set()
        except RemoteError as error:
            # The orders are accepted all the same; the next drift check asks again.
            total.faults["stock"] = str(error)
            short = set()
        problem = Problem(
            "order.stock_unconfirmed", "stock", "accepted, but not all units could be reserved"
        )
        return [
            exceptional(
                problem,
                fresh[remote_id].write.thing_ref,
                version=fresh[remote_id].write.core_version,
                sender=str((fresh[remote_id].write.payload or {}).get("number", "")),
            )
            for remote_id in short
        ]

    def _receipts(self, connection: Connection, done: list[Outcome], now: datetime) -> None:
        import json

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
