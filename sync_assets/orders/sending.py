"""Telling the ERP, once: the step behind the receipt assets.

Every batch looks the orders up by our key first, so a lost answer, a killed worker and a repeated
run all end in the same place: what is there is confirmed and read back, what is not is created.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import ModuleType

from resources.errors import (
    NotAsked,
    Remedy,
    RemoteError,
    SignInAgain,
    Throttled,
    UnknownOutcome,
)
from resources.http import correlated, in_lane
from resources.store import exceptions, outbox
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.outbox import Settled, Write
from resources.systems.roles import Erp, Payload, References
from resources.wiring import Systems
from sync_assets.domain import planning
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.planning import Route
from sync_assets.domain.retries import RetryAt
from sync_assets.domain.sales import SalesOrder, SeenOrder
from sync_assets.leasing import take, why_not_now, worker_name
from sync_assets.mappers import ERP_MAPPERS
from sync_assets.orders.planning import routes
from sync_assets.orders.promotion import promote
from sync_assets.orders.settling import Outcome, Sent, Settler, open_state
from sync_assets.trouble import exceptional

#: What this subject writes; others write to the same ERP.
OPERATIONS = "sales_order."


def send(
    systems: Systems,
    kind: str,
    erp: str,
    run_id: str | None,
    say: Callable[[str], None] = lambda line: None,
) -> Sent:
    """Send what is due to one ERP, batch by batch, until nothing is due."""
    total, worker = Sent(), worker_name(run_id)
    promote(systems, kind, erp)
    if (rest := why_not_now(systems, erp)) is not None:
        total.faults[erp] = str(rest)
        return total
    with systems.erp(erp) as client:
        sender = Sender(systems, kind, erp, client, run_id, worker)
        limit = systems.settings.erps[erp].batch
        while not sender.is_away and (batch := take(systems, erp, worker, limit, OPERATIONS)):
            started = time.perf_counter()
            try:
                sender.batch(batch, total)
            except SignInAgain as error:
                sender.give_back(batch, error)
                raise
            say(f"{erp}: {len(batch)} writes in {time.perf_counter() - started:.1f} s")
    return total


def _lane(writes: Sequence[Write]) -> str:
    """The lane of a batch's calls: the most urgent one in it."""
    first = min(write.lane for write in writes)
    return next(name for name, number in outbox.LANES.items() if number == first)


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
        #: The ERP answers nobody, or asked for time: there is no use in going on.
        self.is_away = False
        self.settler = Settler(
            self.kind,
            self.erp,
            self.run_id,
            self.worker,
            self.systems.settings.service_levels,
            timedelta(hours=self.systems.settings.erps[self.erp].retry_hours),
        )
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
            with correlated(writes[0].correlation_id), in_lane(_lane(writes)):
                self._attempt(outcomes)
        except SignInAgain as error:
            self._give_back(outcomes.values(), error)
            raise
        except RemoteError as error:
            total.faults[self.erp if isinstance(error, NotAsked) else error.remedy] = str(error)
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
            now = self.systems.now()
            self.settler.settle(connection, list(outcomes.values()), short, total, now)

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
            self.is_away = isinstance(error, Throttled | NotAsked) or not self._is_there()
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
        kind, said = type(error).__name__, str(error)
        with connected(self.systems.engine) as connection:
            returned = [
                Settled(
                    o.write.id, open_state(o), kind, said, self._due(o, error, now), counts=False
                )
                for o in outcomes
            ]
            return outbox.settle(connection, returned, worker=self.worker, now=now)

    def _due(self, outcome: Outcome, error: RemoteError, now: datetime) -> datetime | None:
        """When a write that is not to blame is due again; one that nobody tried to send still is.

        The state of the system keeps it until the pause is over or the next probe may go.
        """
        if isinstance(error, NotAsked):
            return None
        return self.settler.unjudged_until(outcome.write, error, now)

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
            unseen = UnknownOutcome(self.erp, "the rounding line is not seen yet")
            then = self.settler.next_try(outcome.write, unseen, self.systems.now())
            if off and isinstance(then, RetryAt):
                outcome.error = unseen
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
            total.faults["stock"] = str(error)
            if error.remedy in (Remedy.RETRY, Remedy.FIND_OUT):
                # Settled now, nobody would ask again; the next try finds them accepted.
                for outcome in fresh.values():
                    outcome.state, outcome.error = "waiting", error
                return []
            short = set(fresh)  # whom nobody may ask, nobody confirmed either
        problem = Problem(
            "order.stock_unconfirmed", "stock", "accepted, but not all units could be reserved"
        )
        return [
            exceptional(
                problem,
                fresh[remote_id].write.thing_ref,
                self.systems.settings.service_levels,
                version=fresh[remote_id].write.core_version,
                sender_ref=str((fresh[remote_id].write.payload or {}).get("number", "")),
            )
            for remote_id in short
        ]
