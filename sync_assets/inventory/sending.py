"""Telling the shop its numbers, by compare-and-set: the step behind the receipt assets.

Every batch reads first what the shop shows. What is there already needs no write; what the shop
sold since we looked is taken off. What is about to be written is put down before it is, so that a
lost answer or a killed worker is followed by a look, and by a number that covers no sale.
Numbers come from the newest plan, never from when the write was leased.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from resources.errors import (
    ContractBroken,
    Missing,
    NotAsked,
    Refused,
    RemoteError,
    SignInAgain,
    UnknownOutcome,
)
from resources.http import correlated, in_lane
from resources.store import outbox
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.outbox import Settled, Write
from resources.systems.woocommerce import WooCommerce
from resources.wiring import Systems
from sync_assets import attempts
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.publishing import Attempt, Shown, decide
from sync_assets.inventory.promoting import OPERATIONS, promote
from sync_assets.inventory.settling import GONE, REFUSED, Outcome, Sent, Settler
from sync_assets.leasing import take, why_not_now, worker_name
from sync_assets.mappers import woocommerce_products as mapper

#: What the shop takes at once.
BATCH = 100
#: After trouble with a whole batch the next ones are smaller, to find the one that spoils it.
SHRINK = 10


def send_stock(
    systems: Systems,
    store: str,
    run_id: str | None,
    say: Callable[[str], None] = lambda line: None,
) -> Sent:
    """Send what is due to one store, batch by batch, until nothing is due."""
    total, worker = Sent(), worker_name(run_id)
    if store not in systems.settings.publishing("stock"):
        return total
    promote(systems, store)
    if (rest := why_not_now(systems, store)) is not None:
        total.faults[store] = str(rest)
        return total
    with systems.shop(store) as shop, in_lane("stock"):
        sender = Sender(systems, store, shop, run_id, worker)
        while not sender.is_away and (batch := sender.lease()):
            started = time.perf_counter()
            sender.batch(batch, total)
            say(f"{store}: {len(batch)} numbers in {time.perf_counter() - started:.1f} s")
    return total


@dataclass
class Sender:
    """Sends batches of leased stock writes to one store."""

    systems: Systems
    store: str
    shop: WooCommerce
    run_id: str | None
    worker: str
    size: int = BATCH

    def __post_init__(self) -> None:
        #: The shop answers nobody, or asked for time: there is no use in going on.
        self.is_away = False
        self.settler = Settler(
            self.store,
            self.run_id,
            self.worker,
            self.systems.settings.service_levels,
            timedelta(hours=self.systems.settings.stores[self.store].retry_hours),
        )

    def lease(self) -> list[Write]:
        """Take the next batch; other kinds of writes to the shop are other workers'."""
        return take(self.systems, self.store, self.worker, self.size, OPERATIONS)

    def batch(self, writes: Sequence[Write], total: Sent) -> None:
        """Send one batch and settle every write of it."""
        outcomes = self._planned(writes)
        try:
            with correlated(writes[0].correlation_id):
                self._attempt([o for o in outcomes if o.state == "waiting"])
            self.size = min(BATCH, self.size * SHRINK)
        except SignInAgain as error:
            self._give_back(outcomes, error)
            raise
        except RemoteError as error:
            name = self.store if isinstance(error, NotAsked) else error.remedy.value
            total.faults[name] = str(error)
            if not self._is_of_one(error, outcomes):
                total.later += self._give_back(outcomes, error)
                return
        with connected(self.systems.engine) as connection:
            self.settler.settle(connection, outcomes, total, self.systems.now())

    def _is_of_one(self, error: RemoteError, outcomes: Iterable[Outcome]) -> bool:
        """Whether the writes are judged by this error; the shop itself may be to blame."""
        open_ones = [o for o in outcomes if o.state == "waiting" and o.problem is None]
        if not isinstance(error, UnknownOutcome | Refused | ContractBroken):
            self.is_away = True
            return False
        self.size = max(1, len(open_ones) // SHRINK)
        if isinstance(error, Refused | ContractBroken) and len(open_ones) > 1:
            return False  # one of them spoils the call; smaller batches find it
        for outcome in open_ones:
            outcome.error = error
        return True

    def _give_back(self, outcomes: Iterable[Outcome], error: RemoteError) -> int:
        """Return writes unjudged: the key, the shop or a neighbour is at fault."""
        now = self.systems.now()
        returned = [
            Settled(
                o.write.id,
                "unknown" if o.begun else "waiting",
                type(error).__name__,
                str(error),
                self._due(o.write, error, now),
                counts=False,
            )
            for o in outcomes
        ]
        with connected(self.systems.engine) as connection:
            return outbox.settle(connection, returned, worker=self.worker, now=now)

    def _due(self, write: Write, error: RemoteError, now: datetime) -> datetime | None:
        """When a write that is not to blame is due again; the state of the shop may say later."""
        if not self.is_away or isinstance(error, NotAsked):
            return None
        window = self.settler.window
        return attempts.unjudged_until(write, error, now, window)

    def _planned(self, writes: Sequence[Write]) -> list[Outcome]:
        """Each write with what is planned for it now; what nobody wants any more is withdrawn."""
        outcomes = [Outcome(write, None, begun=_earlier(write) is not None) for write in writes]
        with connected(self.systems.engine) as connection:
            rows = read_rows(
                connection, _PLAN, store=self.store, ids=[o.product_id for o in outcomes]
            )
        plans = {int(row["product_id"]): row for row in rows}
        for outcome in outcomes:
            outcome.plan = plans.get(outcome.product_id)
            if outcome.plan is None:
                outcome.state = "withdrawn"
        return outcomes

    def _attempt(self, outcomes: list[Outcome]) -> None:
        """Look, decide, put down what is to be written, write, read the answers."""
        self._look(outcomes)
        due = [o for o in outcomes if o.state == "waiting" and o.problem is None]
        for outcome in due:
            self._decide(outcome)
        due = [o for o in due if o.state == "waiting"]
        if not due:
            return
        self._put_down(due)
        answers = self.shop.put_products([_write(outcome) for outcome in due])
        for outcome in due:
            self._answered(outcome, answers.get(outcome.write.thing_ref))

    def _look(self, outcomes: list[Outcome]) -> None:
        """Read what the shop shows now; what is not there, nobody can write to."""
        asked = [(o.product_id, (o.plan or {}).get("parent_id")) for o in outcomes]
        found = self.shop.stock_of(asked) if asked else {}
        for outcome in outcomes:
            payload = found.get(outcome.product_id)
            if payload is None:
                outcome.problem = Problem(GONE, "", "the shop shows it no longer")
                continue
            outcome.before = _read(outcome, payload)

    def _decide(self, outcome: Outcome) -> None:
        """Compare; what is there already is done, what its parent took over is not ours to set."""
        plan, before = outcome.plan or {}, outcome.before or {}
        if before["stock_management"] == "parent":
            outcome.state = "withdrawn"
            return
        wanted = Shown(plan["wanted_units"], plan["wanted_backorders"], plan["wanted_lead_days"])
        # The light reading leaves notes out; they are as the listing was read whole.
        now = Shown(
            before["stock_units"],
            before["backorders"],
            plan["lead_days"],
            before["stock_management"],
        )
        earlier = _earlier(outcome.write)
        outcome.decision = decide(wanted, plan["seen_units"], now, before["changed_at"], earlier)
        if not outcome.decision.is_needed:
            outcome.state = "done"

    def _put_down(self, due: Sequence[Outcome]) -> None:
        """Note what is about to be written: whoever comes after us must know it."""
        rows = [
            {"id": o.write.id, "worker": self.worker, "attempt": json.dumps(_attempt(o))}
            for o in due
        ]
        with connected(self.systems.engine) as connection:
            connection.execute(text(_NOTE), rows)
        for outcome in due:
            outcome.begun = True

    def _answered(self, outcome: Outcome, answer: Row | RemoteError | None) -> None:
        if isinstance(answer, Missing):
            outcome.problem = Problem(GONE, "", "the shop shows it no longer")
        elif isinstance(answer, UnknownOutcome):
            outcome.error = answer
        elif isinstance(answer, RemoteError):
            outcome.problem = Problem(REFUSED, "", str(answer))
        elif answer is None:
            outcome.error = ContractBroken(self.store, "the batch left out an answer")
        else:
            outcome.after = _read(outcome, answer)
            if outcome.problem is None:
                outcome.state = "done"


def _read(outcome: Outcome, payload: Row) -> Row | None:
    """What a payload says of stock; what nobody can read is that write's own problem."""
    try:
        return mapper.stock_seen(payload)
    except Rejected as refusal:
        said = "; ".join(f"{one.part} {one.message}" for one in refusal.problems)
        outcome.problem = Problem(REFUSED, "", f"the shop's answer cannot be read: {said}")
        return None


def _write(outcome: Outcome) -> dict[str, Any]:
    plan, decision = outcome.plan or {}, outcome.decision
    assert decision is not None
    return {
        "key": outcome.write.thing_ref,
        "id": outcome.product_id,
        "parent": plan["parent_id"],
        "fields": mapper.stock_fields(
            decision.units, plan["wanted_backorders"], plan["wanted_lead_days"]
        ),
    }


def _attempt(outcome: Outcome) -> dict[str, Any]:
    decision, before = outcome.decision, outcome.before
    assert decision is not None
    assert before is not None
    return {
        "target_units": decision.units,
        "before_units": before["stock_units"],
        "before_at": before["changed_at"].isoformat(),
        "sold_units": decision.sold_units,
    }


def _earlier(write: Write) -> Attempt | None:
    """What an earlier attempt was about to write, if one came so far."""
    noted = (write.payload or {}).get("attempt")
    if noted is None:
        return None
    return Attempt(
        target_units=int(noted["target_units"]),
        before_units=None if noted["before_units"] is None else int(noted["before_units"]),
        before_at=datetime.fromisoformat(noted["before_at"]),
        sold_units=int(noted["sold_units"]),
    )


_PLAN = """
select p.product_id, p.parent_id, p.sku, p.wanted_units, p.seen_units, p.wanted_backorders,
    p.wanted_lead_days, p.wanted_hash, p.is_counted, l.lead_days
from plan.woocommerce__stock p
left join core.listings l on l.store = p.system and l.product_id = p.product_id
where p.system = :store and p.product_id = any(:ids) and p.action = 'set'
"""
_NOTE = """
update ops.outbox
set payload = coalesce(payload, '{}') || jsonb_build_object('attempt', cast(:attempt as jsonb))
where id = :id and state = 'leased' and leased_by = :worker
"""
