"""Who ships what, and where each request stands: the step behind core/fulfilment_orders.

Works on orders that were marked because something they rest on changed, in chunks of one
transaction each. What follows from the facts is decided in `domain/`; here it is written down.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.errors import Missing, Refused
from resources.store import exceptions, frames, raw, sagas, stale
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain import fulfilling
from sync_assets.domain.allocating import Allocation, Candidate, Need, Part, allocate
from sync_assets.domain.fulfilling import UNSENT, Progress, Standing
from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.fulfilment_policy import StoreRule
from sync_assets.domain.orders import OrderState, Problem, Row
from sync_assets.domain.progress import OrderLineProgress
from sync_assets.domain.sagas import NOTHING, Saga, path
from sync_assets.shipments import facts as known
from sync_assets.shipments import policy as policies
from sync_assets.shipments.facts import OrderFacts
from sync_assets.shipments.policy import Rules, Site
from sync_assets.trouble import exceptional

QUEUE, PLAN_QUEUE = "fulfilment", "fulfilment_plan"
CHUNK = 200
#: Orders that wait for stock are looked at again by every run, the oldest first.
MOST_WAITING = 500
REFUSED, ON_HOLD = "fulfilment.refused", "fulfilment.on_hold"
NO_PLACE, NO_STOCK = "fulfilment.no_place", "fulfilment.no_stock"
CODES = (
    NO_PLACE,
    NO_STOCK,
    "shipment.more_than_ordered",
    "shipment.after_the_end",
)
#: Since when shipments are ours, in a deployment that had orders before (migration 0004).
START = ("after_sale", "start")
#: Requests that came to nothing: no part of an order.
NO_PART = (FulfilmentState.CANCELLED, FulfilmentState.REFUSED)
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
            _Chunk(systems, connection, run_id, total).work_out(keys)
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
    total: Fulfilled

    def work_out(self, keys: Sequence[str]) -> None:
        """Bring progress, requests, steps and exceptions of these orders up to the facts."""
        orders = known.load(self.connection, self.systems.settings, keys)
        self.rules: Rules = policies.in_force(self.systems, self.connection)
        self.addresses = known.addresses(self.connection, [one.ref for one in orders])
        self.free = self._free(orders)
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

    def _free(self, orders: Sequence[OrderFacts]) -> dict[str, dict[str, int] | None]:
        """What places have that are asked for their stock first."""
        skus = {sku for one in orders for line in one.lines for sku in (line.sku, *line.parts)}
        names = [name for name, site in self.rules.sites.items() if not site.place.assumes_stock]
        return known.free_units(self.connection, sorted(skus), names) if names and skus else {}

    def _order(self, one: OrderFacts) -> tuple[list[Progress], list[Problem]]:
        by_request = fulfilling.shipped_by_request(one.lines, one.moves)
        lines = self._progress(one)
        cuts = fulfilling.cuts(lines, one.requests, by_request)
        if cuts:
            self._cut(one, cuts)
            lines = self._progress(one)
        # First, because what one place will not ship another is asked for in the same breath.
        self._take_steps(one, by_request)
        lines = self._progress(one)
        problems = _beyond(one, lines, by_request)
        if one.is_accepted and one.order["state"] in SHIPPABLE and self._has_begun(one):
            problems += self._ask(one, lines)
            self._take_steps(one, by_request)
            lines = self._progress(one)
        return lines, problems

    def _has_begun(self, one: OrderFacts) -> bool:
        """Whether its store's orders are ours to ship: older ones were shipped by other means."""
        rule = self.rules.store(one.order["store"])
        if rule is not None and rule.orders_from is not None:
            return bool(one.order["placed_at"] >= rule.orders_from)
        accepted_at = one.receipt["answered_at"] if one.receipt else None
        return self.start is None or (accepted_at is not None and accepted_at >= self.start)

    def _progress(self, one: OrderFacts) -> list[Progress]:
        return fulfilling.progress(
            one.lines, one.moves, one.refunded, one.returned, one.requests, is_ended=one.is_ended
        )

    # Asking places

    def _ask(self, one: OrderFacts, lines: Sequence[Progress]) -> list[Problem]:
        """Ask places for what nobody was asked for; answers why something is left."""
        rule = self.rules.store(one.order["store"])
        needs = fulfilling.needs(lines, one.lines)
        if not needs:
            return []
        if rule is None:
            said = f"the fulfilment policy says nothing of store {one.order['store']}"
            return [Problem(NO_PLACE, "store", said)]
        # At the last part that is allowed, what is left waits for a place that has all of it.
        rest = rule.most_parts - sum(request.state not in NO_PART for request in one.requests)
        made = allocate(
            needs,
            self._candidates(one, rule, needs),
            may_split=rule.split == "when_needed" and rest > 0,
            most_parts=rest,
            releases_backorder=rule.backorder == "release",
        )
        for part in made.parts:
            self._request(one, rule, part)
        return self._left(one, made)

    def _left(self, one: OrderFacts, made: Allocation) -> list[Problem]:
        if not made.uncovered:
            return []
        self.total.waiting += 1
        units = sum(made.uncovered.values())
        is_place = made.reason.startswith("no place ships")
        code = NO_PLACE if is_place else NO_STOCK
        return [Problem(code, "lines", f"{units} units wait: {made.reason}")]

    def _candidates(
        self, one: OrderFacts, rule: StoreRule, needs: Sequence[Need]
    ) -> list[Candidate]:
        """The places that serve the address, stores after warehouses, in the policy's order."""
        address = self.addresses.get(one.ref, {})
        sites = [self.rules.sites[name] for name in rule.ship_from]
        able = [
            site
            for site in sites
            if not site.place.is_closed
            and site.place.serves(address.get("country", ""), address.get("region", ""))
        ]
        able.sort(key=lambda site: site.place.kind == "store")
        return [self._candidate(one, site, needs) for site in able]

    def _candidate(self, one: OrderFacts, site: Site, needs: Sequence[Need]) -> Candidate:
        free = None if site.place.assumes_stock else self.free.get(site.name)
        # One that was cancelled says nothing: a person may have seen to its cause since.
        refs = {
            request.ref
            for request in one.requests
            if request.location == site.name and request.state != FulfilmentState.CANCELLED
        }
        said_no = {m.line_ref for m in one.moves if m.is_cancelled and m.fulfilment_ref in refs}
        said_no |= {
            line
            for request in one.requests
            if request.ref in refs and request.state == FulfilmentState.REFUSED
            for line in request.units
        }
        units = None if free is None else self._units_for(one, site, free, needs)
        return Candidate(site.name, units, frozenset(said_no))

    def _units_for(
        self, one: OrderFacts, site: Site, free: Mapping[str, int], needs: Sequence[Need]
    ) -> dict[str, Decimal]:
        """Units on its shelf by SKU.

        What the ERP promised at its own place is, as far as this order goes, promised to it.
        """
        store = self.systems.settings.stores[one.order["store"]]
        is_own = (site.system, site.code) == (store.erp, store.warehouse)
        found = {sku: Decimal(units) for sku, units in free.items()}
        for need in needs if is_own and one.is_accepted else ():
            for sku, each in need.takes.items():
                found[sku] = found.get(sku, Decimal()) + need.units * each
        return found

    def _request(self, one: OrderFacts, rule: StoreRule, part: Part) -> None:
        """Write down what a place shall ship; it is planned, and released when its time comes."""
        now, site = self.systems.now(), self.rules.sites[part.place]
        ref = f"{one.ref}:f{len(one.requests) + 1}"
        placed = one.order["paid_at"] or one.order["placed_at"]
        row: dict[str, Any] = {
            "fulfilment_ref": ref,
            "order_ref": one.ref,
            "store": one.order["store"],
            "location": site.name,
            "system": site.system,
            "release_at": placed + timedelta(minutes=rule.release_after_minutes),
            "ship_by_at": now + timedelta(hours=float(rule.ship_within_hours)),
            "planned_at": now,
            "reason": part.reason,
            "core_version": one.order["raw_version"],
            "run_id": self.run_id,
        }
        self.connection.execute(text(_REQUEST), row)
        skus = {line.line_ref: line.sku for line in one.lines}
        lines = [
            {"ref": ref, "line": line, "order": one.ref, "sku": skus[line], "units": units}
            for line, units in part.units.items()
        ]
        self.connection.execute(text(_REQUEST_LINE), [{**x, "run": self.run_id} for x in lines])
        self._step(ref, NOTHING, FulfilmentState.PLANNED, f"{site.name} {part.reason}", _cause(one))
        one.requests.append(
            fulfilling.Request(ref, site.name, FulfilmentState.PLANNED, dict(part.units))
        )
        one.standing[ref] = {**row, "outcome": None, "remote_state": None, "is_begun": False}
        self.total.requests += 1
        self._less(one, site, part)

    def _less(self, one: OrderFacts, site: Site, part: Part) -> None:
        """The next order of this chunk finds less there."""
        free = self.free.get(site.name)
        if free is None:
            return
        by_ref = {line.line_ref: line for line in one.lines}
        for ref, units in part.units.items():
            line = by_ref[ref]
            for sku, each in (line.parts or {line.sku: Decimal(1)}).items():
                free[sku.lower()] = free.get(sku.lower(), 0) - int(units * each)

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
                self._walk(request.ref, request.state, *found, _cause(one, row))
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
            self._step(ref, state, then, reason, cause)
            state = FulfilmentState(then)

    def _step(self, ref: str, state: str, then: str, reason: str, cause: str) -> None:
        step = sagas.Step(Saga.FULFILMENT, ref, state, then, "pipeline", reason, cause)
        sagas.take(self.connection, [step], self.systems.now(), self.run_id)
        self.total.steps[then] = self.total.steps.get(then, 0) + 1

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
    over = (FulfilmentState.SHIPPED, FulfilmentState.SHORT, FulfilmentState.CANCELLED)
    return [request.ref for request in one.requests if is_over or request.state in over]


def _is_cancel_refused(row: Mapping[str, Any]) -> bool:
    """Whether the warehouse said that it is too late to take it back."""
    is_parked = row.get("write_state") == "parked"
    is_cancel = str(row.get("operation")).endswith(".cancel")
    return (is_parked and is_cancel) or row.get("remote_state") == "cancel_refused"


def _cause(one: OrderFacts, row: Mapping[str, Any] | None = None) -> str:
    """What a step follows from: the newest answer or shipment, else the version of the order."""
    if row is not None:
        gone = [move for move in one.moves if move.fulfilment_ref == row["fulfilment_ref"]]
        if gone:
            return f"shipment {gone[-1].shipment_ref}"
        if row.get("answered_at"):
            return f"answer of {row['system']} at {row['answered_at']:%Y-%m-%d %H:%M:%S} UTC"
    return f"order version {one.order['raw_version']}"


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


_REQUEST = """
insert into core.fulfilment_orders (fulfilment_ref, order_ref, store, location, system, ship_by_at,
    release_at, planned_at, reason, core_version, run_id)
values (:fulfilment_ref, :order_ref, :store, :location, :system, :ship_by_at, :release_at,
    :planned_at, :reason, :core_version, :run_id)
"""
_REQUEST_LINE = """
insert into core.fulfilment_lines (fulfilment_ref, line_ref, order_ref, sku, units, run_id)
values (:ref, :line, :order, :sku, :units, :run)
"""
