"""Asking places to ship what nobody was asked for, and writing down what they are asked.

Which place is chosen is decided in `domain/allocating.py`; here are the places as they stand, and
the rows and steps of a chunk, written at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.settings import Settings
from resources.store import sagas
from resources.wiring import Systems
from sync_assets.domain import fulfilling
from sync_assets.domain.allocating import Allocation, Candidate, Need, Part, allocate
from sync_assets.domain.fulfilling import Progress
from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.fulfilment_policy import StoreRule
from sync_assets.domain.orders import Problem, Row
from sync_assets.domain.sagas import NOTHING, Saga
from sync_assets.shipments import facts as known
from sync_assets.shipments.facts import OrderFacts
from sync_assets.shipments.policy import Rules, Site

NO_PLACE, NO_STOCK = "fulfilment.no_place", "fulfilment.no_stock"
#: Requests that came to nothing: no part of an order.
NO_PART = (FulfilmentState.CANCELLED, FulfilmentState.REFUSED)


@dataclass
class Written:
    """What a chunk of orders makes: requests with their lines, and steps in their order."""

    run_id: str | None
    requests: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    steps: list[sagas.Step] = field(default_factory=list)

    def request(self, row: Row, lines: Sequence[Row]) -> None:
        """Remember a request to be written."""
        self.requests.append(row)
        self.lines += lines

    def step(self, ref: str, state: str, then: str, reason: str, cause: str) -> None:
        """Remember a step to be taken."""
        step = sagas.Step(Saga.FULFILMENT, ref, state, then, "pipeline", reason, cause)
        self.steps.append(step)

    def keep(self, connection: Connection, now: datetime) -> None:
        """Write all of it: rows first, then the steps that move them."""
        if self.requests:
            connection.execute(text(_REQUEST), self.requests)
            connection.execute(text(_REQUEST_LINE), self.lines)
        sagas.take(connection, self.steps, now, self.run_id)


def asking_for(
    systems: Systems,
    connection: Connection,
    rules: Rules,
    orders: Sequence[OrderFacts],
    written: Written,
) -> "Asking":
    """The places as they stand for these orders."""
    skus = {sku for one in orders for line in one.lines for sku in (line.sku, *line.parts)}
    names = [name for name, site in rules.sites.items() if not site.place.assumes_stock]
    free = known.free_units(connection, sorted(skus), names) if names and skus else {}
    addresses = known.addresses(connection, [one.ref for one in orders])
    return Asking(systems.settings, rules, addresses, free, systems.now(), written)


@dataclass
class Asking:
    """Chooses places for what is left of orders, one order after the other."""

    settings: Settings
    rules: Rules
    addresses: Mapping[str, Row]
    #: Units on the shelf by place and SKU; what is asked of a place is taken off at once.
    free: dict[str, dict[str, int] | None]
    now: datetime
    written: Written

    def ask(self, one: OrderFacts, lines: Sequence[Progress]) -> list[Problem]:
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
        store = self.settings.stores[one.order["store"]]
        is_own = (site.system, site.code) == (store.erp, store.warehouse)
        found = {sku: Decimal(units) for sku, units in free.items()}
        for need in needs if is_own and one.is_accepted else ():
            for sku, each in need.takes.items():
                found[sku] = found.get(sku, Decimal()) + need.units * each
        return found

    def _request(self, one: OrderFacts, rule: StoreRule, part: Part) -> None:
        """Write down what a place shall ship; it is planned, and released when its time comes."""
        now, site = self.now, self.rules.sites[part.place]
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
            "run_id": self.written.run_id,
        }
        skus = {line.line_ref: line.sku for line in one.lines}
        lines = [
            {
                "ref": ref,
                "line": line,
                "order": one.ref,
                "sku": skus[line],
                "units": units,
                "run": self.written.run_id,
            }
            for line, units in part.units.items()
        ]
        self.written.request(row, lines)
        why = f"{site.name} {part.reason}"
        self.written.step(ref, NOTHING, FulfilmentState.PLANNED, why, cause_of(one))
        one.requests.append(
            fulfilling.Request(ref, site.name, FulfilmentState.PLANNED, dict(part.units))
        )
        one.standing[ref] = {**row, "outcome": None, "remote_state": None, "is_begun": False}
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


def cause_of(one: OrderFacts, row: Mapping[str, Any] | None = None) -> str:
    """What a step follows from: the newest answer or shipment, else the version of the order."""
    if row is not None:
        gone = [move for move in one.moves if move.fulfilment_ref == row["fulfilment_ref"]]
        if gone:
            return f"shipment {gone[-1].shipment_ref}"
        if row.get("answered_at"):
            return f"answer of {row['system']} at {row['answered_at']:%Y-%m-%d %H:%M:%S} UTC"
    return f"order version {one.order['raw_version']}"


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
