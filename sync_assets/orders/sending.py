"""Telling the ERP, once: the step behind the receipt assets.

Every batch looks the orders up by our key first, so a lost answer, a killed worker and a repeated
run all end in the same place: what is there is confirmed and read back, what is not is created.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, text

from resources.errors import Remedy, RemoteError, SignInAgain, UnknownOutcome
from resources.http import correlated
from resources.store import exceptions, outbox, refs
from resources.store.engine import connected
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
SENDING_CODES = ["erp.refused", "erp.amount_differs", "erp.order_doubled", "erp.given_up"]


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


def promote(systems: Systems, kind: str, erp: str) -> int:
    """Put what was planned into the outbox; answers how many writes wait because of it."""
    now = systems.now()
    with connected(systems.engine) as connection:
        planned = read_rows(connection, _PLANNED.format(kind=kind), erp=erp)
        cancelled = [row["order_ref"] for row in planned if row["action"] == "none"]
        outbox.withdraw(connection, erp, cancelled, now)
        return outbox.intend(
            connection, erp, [_intended(r) for r in planned if r["action"] != "none"], now
        )


#: Creates and cancels not under way or done; and sends of orders that are no longer wanted.
_PLANNED = """
select p.order_ref, p.action, p.wanted, p.wanted_hash, p.core_version
from plan.{kind}__sales_orders p
left join receipt.{kind}__sales_orders r using (system, order_ref)
left join ops.outbox x on x.system = p.system and x.thing_ref = p.order_ref
    and x.business_key = 'sales_order.' || p.action || ':' || p.order_ref
    and x.state in ('waiting', 'leased', 'unknown', 'parked') and x.wanted_hash = p.wanted_hash
where p.system = :erp and x.id is null
  and (p.action = 'create' and r.order_ref is null
       or p.action = 'cancel' and r.outcome = 'accepted'
       or p.action = 'none' and r.order_ref is null and exists (
            select from ops.outbox o where o.system = p.system and o.thing_ref = p.order_ref
              and o.state in ('waiting', 'parked')))
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
        while True:
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
            except SignInAgain:
                sender.give_back(batch)
                raise
            say(f"{erp}: {len(batch)} writes in {time.perf_counter() - started:.1f} s")


@contextmanager
def _set_aside(outcome: Outcome) -> Iterator[None]:
    """Keep what a mapper rejects with its order; the others go on."""
    try:
        yield
    except Rejected as refusal:
        outcome.problem = refusal.problems[0]


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
        self._references: References | None = None

    @property
    def references(self) -> References:
        """The ERP's master data by name, read once a run."""
        if self._references is None:
            self._references = self.client.references()
        return self._references

    def batch(self, writes: Sequence[Write], total: Sent) -> None:
        """Send one batch and settle every write of it."""
        outcomes = {write.thing_ref: Outcome(write) for write in writes}
        try:
            with correlated(writes[0].correlation_id):
                self._attempt(outcomes)
        except SignInAgain:
            raise
        except RemoteError as error:
            total.faults[error.remedy] = str(error)
            if len(writes) > 1 and error.remedy != Remedy.RETRY:
                # One of them spoils the call: find it, so that its neighbours go on.
                middle = len(writes) // 2
                self.batch(writes[:middle], total)
                self.batch(writes[middle:], total)
                return
            for outcome in outcomes.values():
                if outcome.state == "waiting" and outcome.problem is None:
                    outcome.error = error
        short = self._without_stock([o for o in outcomes.values() if o.state == "done"], total)
        with connected(self.systems.engine) as connection:
            self._settle(connection, list(outcomes.values()), short, total)

    def give_back(self, writes: Sequence[Write]) -> None:
        """Return writes untouched: the key is wrong, not the orders."""
        due = self.systems.now()
        with connected(self.systems.engine) as connection:
            outbox.settle(
                connection,
                [Settled(write.id, "waiting", "SignInAgain", due_at=due) for write in writes],
                worker=self.worker,
                now=due,
            )

    def _attempt(self, outcomes: dict[str, Outcome]) -> None:
        held = self._look_up(list(outcomes))
        creates = [o for o in outcomes.values() if o.write.operation == "sales_order.create"]
        cancels = [o for o in outcomes.values() if o.write.operation == "sales_order.cancel"]
        self._cancel(cancels, held)
        # A draft may be half made: an answer was lost between its head and its lines.
        begun = {key for key, order in held.items() if order.state == "draft"}
        whole = held.keys() - begun
        self._create([o for o in creates if o.write.thing_ref not in whole])
        fresh = [o.write.thing_ref for o in creates if o.problem is None and o.error is None]
        self._finish(creates, self._look_up(fresh))

    def _look_up(self, keys: list[str]) -> dict[str, SeenOrder]:
        found = self.client.orders(keys) if keys else {}
        return {key: self.mapper.seen(payload) for key, payload in found.items()}

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
            if outcome.problem is None and order.state != "confirmed":
                ready.append(outcome)
            elif outcome.problem is None:
                outcome.state = "done"
        refusals = self.client.confirm([o.seen.remote_id for o in ready if o.seen]) if ready else {}
        after = self._look_up([o.write.thing_ref for o in ready])
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
        route = self.routes[document.store]
        if order.state == "draft" and abs(off) <= planning.tolerance(route, len(document.lines)):
            order = self._with_rounding(outcome, document, order, off)
            off = rounded(document.total_amount - order.total_amount, digits)
            outcome.seen = order
        if not off:
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
        return self._look_up([outcome.write.thing_ref])[outcome.write.thing_ref]

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
        for outcome in outcomes:
            outcome.seen = held.get(outcome.write.thing_ref)
        alive = [o for o in outcomes if o.seen is not None and o.seen.state != "cancelled"]
        ids = [o.seen.remote_id for o in alive if o.seen is not None]
        refusals = self.client.cancel(ids) if ids else {}
        after = self._look_up([o.write.thing_ref for o in alive])
        for outcome in outcomes:
            outcome.seen = after.get(outcome.write.thing_ref, outcome.seen)
            if outcome.seen is not None and outcome.seen.remote_id in refusals:
                outcome.error = refusals[outcome.seen.remote_id]
            elif outcome.seen is None or outcome.seen.state == "cancelled":
                outcome.state = "done"

    def _settle(
        self,
        connection: Connection,
        outcomes: list[Outcome],
        short: list[exceptions.Exceptional],
        total: Sent,
    ) -> None:
        now = self.systems.now()
        settled = [self._settled(outcome, now, total) for outcome in outcomes]
        outbox.settle(connection, settled, worker=self.worker, now=now)
        done = [outcome for outcome in outcomes if outcome.state == "done"]
        self._receipts(connection, done, now)
        found = [self._exceptional(o) for o in outcomes if o.state == "parked"] + short
        exceptions.reconcile(
            connection,
            found,
            subjects=[
                outcome.write.thing_ref for outcome in outcomes if outcome.state != "waiting"
            ],
            codes=[*SENDING_CODES, "order.stock_unconfirmed"],
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
        if outcome.problem is not None:
            return self._parked(outcome, outcome.problem.code, outcome.problem.message, total)
        if error is None:
            error = UnknownOutcome(self.erp, "the order was sent but is not there yet")
            outcome.error = error
        if error.remedy == Remedy.GIVE_TO_PERSON or write.attempts >= GIVE_UP_AFTER:
            return self._parked(outcome, type(error).__name__, str(error), total)
        total.later += 1
        state = "unknown" if error.remedy == Remedy.FIND_OUT else "waiting"
        pause = timedelta() if write.attempts < QUICK_TRIES else LATER * 2 ** min(write.attempts, 6)
        return Settled(write.id, state, type(error).__name__, str(error), now + pause)

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
