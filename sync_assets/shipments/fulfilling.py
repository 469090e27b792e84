"""Who ships what, and where each request stands: the step behind core/fulfilment_orders.

Works on orders that were marked because something they rest on changed, in chunks of one
transaction each. What follows from the facts is decided in `domain/`; here it is written down.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, text

from resources.errors import Missing, Refused
from resources.store import exceptions, frames, raw, stale
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain import fulfilling
from sync_assets.domain.fulfilling import UNSENT, Progress, Standing
from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.orders import OrderState, Problem, Row
from sync_assets.domain.progress import OrderLineProgress
from sync_assets.domain.sagas import CLOSED, Saga, path
from sync_assets.shipments import facts as known
from sync_assets.shipments import policy as policies
from sync_assets.shipments.asking import NO_PLACE, NO_STOCK, Written, asking_for, cause_of
from sync_assets.shipments.facts import OrderFacts
from sync_assets.shipments.policy import Rules
from sync_assets.trouble import exceptional

QUEUE, PLAN_QUEUE = "fulfilment", "fulfilment_plan"
CHUNK = 200
#: Orders that wait for stock are looked at again by every run, the oldest first.
MOST_WAITING = 500
REFUSED, ON_HOLD = "fulfilment.refused", "fulfilment.on_hold"
CODES = (
    NO_PLACE,
    NO_STOCK,
    "shipment.more_than_ordered",
    "shipment.after_the_end",
)
#: Since when shipments are ours, in a deployment that had orders before (migration 0004).
START = ("after_sale", "start")
#: Names of errors by which a warehouse says no.
REFUSALS = (Refused.__name__, Missing.__name__)
#: Only what is paid is given to a warehouse; what comes completed was shipped by somebody else.
SHIPPABLE = (OrderState.PAID,)


@dataclass
class Fulfilled:
    """What one step did."""

    orders: int = 0
    requests: int = 0
    waiting: int = 0
    steps: dict[str, int] = field(default_factory=dict)


def fulfil(systems: Systems, run_id: str | None, *, whole: bool = False) -> Fulfilled:
    """Work out what marked orders have come to, and ask places for what is left.

    `whole`: of every order with an open request, too.
    """
    total = Fulfilled()
    with connected(systems.engine) as connection:
        # Also where no order moves: a mistake in the file is told when it is made.
        rules = policies.in_force(systems, connection)
        _mark_due(connection, systems, whole=whole)
    while True:
        with (
            connected(systems.engine) as connection,
            one_at_a_time(connection, QUEUE),
            # An order is read in several statements: no mapping may commit between two of them.
            one_at_a_time(connection, "map woocommerce__orders"),
        ):
            keys = stale.take(connection, QUEUE, CHUNK)
            if not keys:
                return total
            _Chunk(systems, connection, run_id, rules, total).work_out(keys)
            # The requests just changed marked their orders: that is known already.
            _unmark(connection, keys)
            stale.mark(connection, PLAN_QUEUE, keys, systems.now())


def _unmark(connection: Connection, keys: Sequence[str]) -> None:
    """Take away marks that this transaction itself made; others are not to be seen yet."""
    connection.execute(
        text("delete from ops.stale where queue = :queue and key = any(:keys) and since = now()"),
        {"queue": QUEUE, "keys": list(keys)},
    )


def _mark_due(connection: Connection, systems: Systems, *, whole: bool) -> None:
    """Mark orders whose requests may go now or were refused, and those that wait for stock."""
    rows = read_rows(
        connection,
        """
        select distinct order_ref as key from core.fulfilment_orders
        where state = 'planned' and release_at <= :now
           or :whole and state not in ('shipped', 'short', 'cancelled')
        union
        select f.order_ref from core.fulfilment_orders f join ops.outbox x
            on x.system = f.system and x.thing_ref = f.fulfilment_ref and x.state = 'parked'
        where f.state = 'released' and x.operation = 'fulfilment.create'
              and x.error_class = any(:refusals)
           or f.state = 'cancel_requested' and x.operation = 'fulfilment.cancel'
        union
        (select subject_ref from ops.exception where state = 'open' and code = any(:waits)
         order by opened_at limit :most)
        """,
        now=systems.now(),
        whole=whole,
        waits=[NO_STOCK, NO_PLACE],
        refusals=list(REFUSALS),
        most=MOST_WAITING,
    )
    stale.mark(connection, QUEUE, [row["key"] for row in rows], systems.now())


@dataclass
class _Chunk:
    """Some orders in one transaction."""

    systems: Systems
    connection: Connection
    run_id: str | None
    rules: Rules
    total: Fulfilled

    def work_out(self, keys: Sequence[str]) -> None:
        """Bring progress, requests, steps and exceptions of these orders up to the facts."""
        orders = known.load(self.connection, self.systems.settings, keys)
        self.written = Written(self.run_id)
        self.asking = asking_for(self.systems, self.connection, self.rules, orders, self.written)
        self.start = raw.complete_until(self.connection, *START)
        lines: list[Row] = []
        found: list[exceptions.Exceptional] = []
        ended: list[str] = []
        for one in orders:
            done = self._order(one)
            ended += _ended(one, done[0])
            lines += [_progress_row(one.ref, line) for line in done[0]]
            found += [self._exceptional(one, problem) for problem in done[1]]
            self.total.orders += 1
        self._write()
        frame = OrderLineProgress.validate(OrderLineProgress.frame(lines)).assign(
            run_id=self.run_id
        )
        frames.replace(
            self.connection, "core.order_line_progress", frame, by="order_ref", keys=keys
        )
        exceptions.reconcile(
            self.connection,
            found,
            subjects=list(keys),
            codes=CODES,
            now=self.systems.now(),
            run_id=self.run_id,
        )
        exceptions.reconcile(
            self.connection,
            [],
            subjects=ended,
            codes=[REFUSED, ON_HOLD],
            now=self.systems.now(),
            run_id=self.run_id,
        )

    def _write(self) -> None:
        """Write down what was asked for, and the steps that follow, all of a chunk at once."""
        made = self.written
        made.keep(self.connection, self.systems.now())
        self.total.requests += len(made.requests)
        for step in made.steps:
            state = str(step.to_state)
            self.total.steps[state] = self.total.steps.get(state, 0) + 1

    def _order(self, one: OrderFacts) -> tuple[list[Progress], list[Problem]]:
        by_request = fulfilling.shipped_by_request(one.lines, one.moves)
        lines = one.progress()
        cuts = fulfilling.cuts(lines, one.requests, by_request)
        if cuts:
            self._cut(one, cuts)
            lines = one.progress()
        # First, because what one place will not ship another is asked for in the same breath.
        self._take_steps(one, by_request)
        lines = one.progress()
        problems = _beyond(one, lines, by_request)
        if one.is_accepted and one.order["state"] in SHIPPABLE and self._has_begun(one):
            found = self.asking.ask(one, lines)
            self.total.waiting += bool(found)
            problems += found
            self._take_steps(one, by_request)
            lines = one.progress()
        return lines, problems

    def _has_begun(self, one: OrderFacts) -> bool:
        """Whether its store's orders are ours to ship: older ones were shipped by other means."""
        rule = self.rules.store(one.order["store"])
        if rule is not None and rule.orders_from is not None:
            return bool(one.order["placed_at"] >= rule.orders_from)
        accepted_at = one.receipt["answered_at"] if one.receipt else None
        return self.start is None or (accepted_at is not None and accepted_at >= self.start)

    def _cut(self, one: OrderFacts, cuts: Mapping[tuple[str, str], int]) -> None:
        """Lower what is asked for to what is still wanted."""
        self.connection.execute(
            text(
                "update core.fulfilment_lines set units = :units, run_id = :run "
                "where fulfilment_ref = :ref and line_ref = :line"
            ),
            [
                {"ref": ref, "line": line, "units": units, "run": self.run_id}
                for (ref, line), units in cuts.items()
            ],
        )
        one.requests = [
            replace(
                request,
                units={line: cuts.get((request.ref, line), n) for line, n in request.units.items()},
            )
            for request in one.requests
        ]

    # Where requests stand

    def _take_steps(self, one: OrderFacts, shipped: Mapping[tuple[str, str], int]) -> None:
        turned_down = fulfilling.turned_down_by_request(one.lines, one.moves)
        for place, request in enumerate(one.requests):
            row = one.standing[request.ref]
            wanted, gone, down, unwanted = fulfilling.units_of(request, shipped, turned_down)
            standing = Standing(
                state=request.state,
                wanted=wanted,
                shipped=gone,
                turned_down=down,
                release_at=row["release_at"],
                is_held=one.is_held or request.ref in one.held_requests,
                outcome=row.get("outcome"),
                remote_state=row.get("remote_state"),
                is_begun=bool(row.get("is_begun")),
                is_cancel_refused=_is_cancel_refused(row),
                unwanted=unwanted,
                refusal=_refusal(row),
            )
            found = fulfilling.next_state(standing, self.systems.now())
            if found is not None:
                self._walk(request.ref, request.state, *found, cause_of(one, row))
                if found[0] == FulfilmentState.REFUSED:
                    self._tell_refused(row, found[1])
                one.requests[place] = replace(request, state=found[0])

    def _tell_refused(self, row: Row, reason: str) -> None:
        """Tell that a place will not ship, where nobody did in the warehouse's own words."""
        ref, now = row["fulfilment_ref"], self.systems.now()
        if exceptions.open_codes(self.connection, [ref], REFUSED):
            return
        levels = self.systems.settings.service_levels
        said = Problem(REFUSED, "", f"{ref} is refused: {reason}")
        found = exceptional(said, ref, levels, sender_ref=row["order_ref"])
        exceptions.open_all(self.connection, [found], now=now, run_id=self.run_id)

    def _walk(
        self, ref: str, state: FulfilmentState, goal: FulfilmentState, reason: str, cause: str
    ) -> None:
        """Take every step to where it stands: goods may leave before anybody was asked."""
        for then in path(Saga.FULFILMENT, state, goal):
            self.written.step(ref, state, then, reason, cause)
            state = FulfilmentState(then)

    def _exceptional(self, one: OrderFacts, problem: Problem) -> exceptions.Exceptional:
        return exceptional(
            problem,
            one.ref,
            self.systems.settings.service_levels,
            sender_ref=one.order["order_number"],
            version=one.order["raw_version"],
            amount=one.order["total_amount"],
            currency=one.order["currency"],
        )


def _refusal(row: Mapping[str, Any]) -> str:
    """In which words the warehouse said no to a request it was to be given."""
    is_create = str(row.get("operation")).endswith(".create")
    is_refused = row.get("write_state") == "parked" and row.get("error_class") in REFUSALS
    return str(row.get("error_text")) if is_create and is_refused else ""


def _ended(one: OrderFacts, lines: Sequence[Progress]) -> list[str]:
    """Requests nobody needs to see to any more: they are over, or all of the order is."""
    is_over = not any(line.open for line in lines)
    over = CLOSED[Saga.FULFILMENT]
    return [request.ref for request in one.requests if is_over or request.state in over]


def _is_cancel_refused(row: Mapping[str, Any]) -> bool:
    """Whether the warehouse said that it is too late to take it back."""
    is_parked = row.get("write_state") == "parked"
    is_cancel = str(row.get("operation")).endswith(".cancel")
    return (is_parked and is_cancel) or row.get("remote_state") == "cancel_refused"


def _beyond(
    one: OrderFacts, lines: Sequence[Progress], by_request: Mapping[tuple[str, str], int]
) -> list[Problem]:
    """More left than was ordered, or something after the order had ended."""
    found = [
        Problem(
            "shipment.more_than_ordered",
            line.line_ref,
            f"{line.shipped} units of {line.sku} left, {line.ordered} were ordered",
        )
        for line in lines
        if line.shipped > line.ordered
    ]
    away = {line.line_ref for line in lines if line.shipped > line.returned}
    said = {
        request.ref: "shipped" if _left_late(request, away, by_request) else "picked"
        for request in one.requests
        if _left_late(request, away, by_request) or _ships_in_spite(one, request)
    }
    if one.is_ended and said:
        what = ", ".join(f"{word} {ref}" for ref, word in sorted(said.items()))
        text = f"the order is {one.order['state']}, and the warehouse has {what}"
        found.append(Problem("shipment.after_the_end", "order", text))
    return found


def _left_late(
    request: fulfilling.Request, away: Set[str], by_request: Mapping[tuple[str, str], int]
) -> bool:
    """Whether units left that were taken back before, and have not come back."""
    return any(
        by_request.get((request.ref, line), 0) > units
        for line, units in request.units.items()
        if line in away
    )


def _ships_in_spite(one: OrderFacts, request: fulfilling.Request) -> bool:
    row = one.standing[request.ref]
    return request.state not in UNSENT and _is_cancel_refused(row)


def _progress_row(order_ref: str, line: Progress) -> Row:
    return {
        "order_ref": order_ref,
        "line_ref": line.line_ref,
        "sku": line.sku,
        **{
            f"{name}_units": getattr(line, name)
            for name in (
                *("ordered", "cancelled", "requested", "shipped", "delivered"),
                *("returned", "refunded"),
            )
        },
    }
