"""What warehouses, ERPs and shops must be told about shipments: the step behind the plans.

Compares what is wanted with what was answered, for the orders that were worked out anew; nothing is
sent here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store import exceptions, stale
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain import fulfilling
from sync_assets.domain.carriers import carrier_name, tracking_url
from sync_assets.domain.fulfilment import (
    Delivery,
    DeliveryLine,
    FulfilmentLine,
    FulfilmentOrder,
    FulfilmentState,
    NoticeLine,
    ShippingNotice,
)
from sync_assets.domain.orders import OrderState, Problem, Row
from sync_assets.domain.planning import wanted_hash
from sync_assets.domain.sales import Address
from sync_assets.intents import Planned, Thing, keep_plan
from sync_assets.shipments import facts as known
from sync_assets.shipments import policy as policies
from sync_assets.shipments.facts import OrderFacts
from sync_assets.shipments.fulfilling import CHUNK, PLAN_QUEUE
from sync_assets.shipments.policy import Rules
from sync_assets.shipments.things import (
    COMPLETIONS,
    ERP_KINDS,
    NOTICES,
    deliveries,
    fulfilment_orders,
)
from sync_assets.trouble import exceptional

F = FulfilmentState
CHANGE_AT_ERP = "fulfilment.change_at_erp"
#: An ERP's own warehouse is told by its order alone.
IS_TOLD = frozenset({F.RELEASED, F.ACKNOWLEDGED, F.PART_SHIPPED})
CENT = Decimal("0.000001")


@dataclass
class Plans:
    """What one planning step decided: rows by thing and action."""

    orders: int = 0
    actions: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, thing: Thing, actions: Mapping[str, int]) -> None:
        """Count the rows of one thing."""
        held = self.actions.setdefault(thing.table, {})
        for action, count in actions.items():
            held[action] = held.get(action, 0) + count


def plan(systems: Systems, run_id: str | None, *, whole: bool = False) -> Plans:
    """Plan what every system must be told of the orders that were worked out anew.

    `whole`: of every order that has been given to anybody.
    """
    total = Plans()
    with connected(systems.engine) as connection:
        if whole:
            rows = read_rows(
                connection,
                "select order_ref from core.fulfilment_orders "
                "union select order_ref from core.shipment_lines where order_ref is not null",
            )
            stale.mark(connection, PLAN_QUEUE, [r["order_ref"] for r in rows], systems.now())
    while True:
        with (
            connected(systems.engine) as connection,
            one_at_a_time(connection, PLAN_QUEUE),
            one_at_a_time(connection, "map woocommerce__orders"),
        ):
            keys = stale.take(connection, PLAN_QUEUE, CHUNK)
            if not keys:
                return total
            _Chunk(systems, connection, run_id, total).plan(keys)


@dataclass
class _Chunk:
    """The plans of some orders in one transaction."""

    systems: Systems
    connection: Connection
    run_id: str | None
    total: Plans

    def plan(self, keys: Sequence[str]) -> None:
        """Put down what is to be told of these orders."""
        orders = known.load(self.connection, self.systems.settings, keys)
        refs = [one.ref for one in orders]
        self.rules: Rules = policies.in_force(self.systems, self.connection)
        self.addresses = known.addresses(self.connection, refs)
        self.methods = known.shipping_methods(self.connection, refs)
        self.amounts = known.amounts(self.connection, refs)
        self.shipments = _shipments(self.connection, refs)
        self.receipts = _receipts(self.connection, refs)
        self.versions = _versions(self.connection, refs)
        rows: dict[tuple[Thing, str], list[Planned]] = {}
        problems: list[exceptions.Exceptional] = []
        for one in orders:
            for thing, system, row in self._of_order(one, problems):
                rows.setdefault((thing, system), []).append(row)
            self.total.orders += 1
        now = self.systems.now()
        for (thing, system), planned in rows.items():
            counts = keep_plan(self.connection, thing, system, planned, now, self.run_id)
            self.total.count(thing, counts)
        exceptions.reconcile(
            self.connection, problems, subjects=refs, codes=[CHANGE_AT_ERP], now=now
        )

    def _of_order(
        self, one: OrderFacts, problems: list[exceptions.Exceptional]
    ) -> Iterable[tuple[Thing, str, Planned]]:
        for request in one.requests:
            site = self.rules.sites.get(request.location)
            system = one.standing[request.ref]["system"]
            kind = site.kind if site else policies.kind_of_system(self.systems.settings, system)
            if kind is not None:
                row = self._fulfilment(one, request, kind)
                yield fulfilment_orders(kind), system, row
                why = self._why_told(one, request, row, kind)
                if why is not None:
                    problems.append(self._told_conflict(one, row, why))
        if one.order["store"] in self.systems.settings.stores:
            notices = list(self._notices(one))
            yield from self._deliveries(one)
            for row in notices:
                yield NOTICES, one.order["store"], row
            yield COMPLETIONS, one.order["store"], self._completion(one, notices)

    # Requests to warehouses

    def _fulfilment(self, one: OrderFacts, request: fulfilling.Request, kind: str) -> Planned:
        row = one.standing[request.ref]
        document = self._request(one, request)
        wanted = wanted_hash(document)
        action, reason = self._action(request, row, kind, wanted)
        return Planned(
            key=request.ref,
            order_ref=one.ref,
            action=action,
            reason=reason,
            wanted=document.model_dump_json() if action != "none" else None,
            wanted_hash=wanted,
            core_version=self._version(request.ref, wanted),
            amount=sum((line.unit_amount * line.units for line in document.lines), Decimal()),
            currency=one.order["currency"],
        )

    def _version(self, ref: str, wanted: str) -> int:
        """Its running number, raised when it is wanted otherwise: the higher one counts there."""
        held = self.versions.get(ref)
        return 1 if held is None else held[0] + (held[1] != wanted)

    def _action(
        self, request: fulfilling.Request, row: Row, kind: str, wanted: str
    ) -> tuple[str, str]:
        state, is_accepted = request.state, row.get("outcome") == "accepted"
        if state in fulfilling.UNSENT:
            return "held", f"it is {state}"
        if state == F.CANCEL_REQUESTED:
            return "cancel", "nothing of it is wanted any more"
        if state not in IS_TOLD:
            return "none", f"it is {state}"
        if not is_accepted:
            return "create", "not there yet"
        if not any(request.units.values()):
            return "cancel", "nothing of it is wanted any more, and it ships all the same"
        if row["answered_hash"] == wanted:
            return "none", "the warehouse has it so"
        if kind in ERP_KINDS:
            return "conflict", "changed after the ERP planned it"
        return "change", "wanted otherwise than the warehouse has it"

    def _request(self, one: OrderFacts, request: fulfilling.Request) -> FulfilmentOrder:
        """The document: what this place shall ship, and whereto."""
        site = self.rules.sites.get(request.location)
        rule, order = self.rules.store(one.order["store"]), one.order
        method = self.methods.get(one.ref, "")
        choice = rule.carrier_for(method) if rule else None
        lines = {line.line_ref: line for line in one.lines}
        return FulfilmentOrder(
            key=request.ref,
            order_ref=one.ref,
            store=order["store"],
            order_number=order["order_number"],
            warehouse=site.code if site else "",
            placed_at=order["placed_at"],
            ship_by_at=one.standing[request.ref]["ship_by_at"],
            currency=order["currency"],
            ship_to=_address(self.addresses.get(one.ref, {})),
            shipping_method=method,
            carrier=choice.carrier if choice else "",
            service=choice.service if choice else "",
            note=order["customer_note"] or "",
            lines=tuple(
                FulfilmentLine(
                    key=ref,
                    sku=lines[ref].sku,
                    description=self.amounts[ref]["description"],
                    units=units,
                    unit_amount=_per_unit(self.amounts[ref]),
                )
                for ref, units in sorted(request.units.items())
                if units > 0 and ref in lines and ref in self.amounts
            ),
        )

    def _why_told(
        self, one: OrderFacts, request: fulfilling.Request, row: Planned, kind: str
    ) -> str | None:
        """Why a person must change a delivery the ERP planned by itself; None: it may leave so."""
        if row.action == "conflict":
            return row.reason
        if kind not in ERP_KINDS or request.state not in IS_TOLD or one.is_ended:
            return None
        units = sum(line.cancelled for line in one.progress() if line.line_ref in request.units)
        return f"{units} units of it were given back in money before they left" if units else None

    def _told_conflict(self, one: OrderFacts, row: Planned, why: str) -> exceptions.Exceptional:
        said = (
            f"{row.key} is at the ERP's own warehouse, and {why}; lower or change its delivery "
            "there"
        )
        return exceptional(
            Problem(CHANGE_AT_ERP, row.key, said),
            one.ref,
            self.systems.settings.service_levels,
            sender_ref=one.order["order_number"],
            version=one.order["raw_version"],
            amount=row.amount,
            currency=row.currency,
        )

    # What left, told to the ERP and to the shop

    def _parts(self, one: OrderFacts) -> Iterable[tuple[Row, dict[str, int]]]:
        """Shipments with the units of this order that became whole by them, by line.

        A kit may leave in several shipments; it is told with the last of its components.
        """
        moves, before = list[fulfilling.Moved](), dict[str, int]()
        for shipment in self.shipments.get(one.ref, []):
            moves += [m for m in one.moves if m.shipment_ref == shipment["shipment_ref"]]
            whole = fulfilling.shipped_by_line(one.lines, moves)
            units = {
                ref: count - before.get(ref, 0)
                for ref, count in whole.items()
                if count > before.get(ref, 0)
            }
            before = whole
            if units:
                yield shipment, units

    def _deliveries(self, one: OrderFacts) -> Iterable[tuple[Thing, str, Planned]]:
        """Posted in the ERP: what left a place that is not its own."""
        if not one.is_accepted or one.receipt is None:
            return
        erp, kind = one.receipt["system"], one.receipt["erp_kind"]
        parts = [part for part in self._parts(one) if part[0]["system"] != erp]
        ended = self._is_over(one)
        for place, (shipment, units) in enumerate(parts):
            site = self.rules.sites.get(shipment["location"] or "")
            skus = {line.line_ref: line.sku for line in one.lines}
            document = Delivery(
                key=f"{shipment['shipment_ref']}/{one.ref}",
                order_ref=one.ref,
                order_id=int(one.receipt["remote_id"]),
                warehouse=site.place.erp_warehouse if site else "",
                shipped_at=shipment["shipped_at"],
                carrier=carrier_name(shipment["carrier"]) if shipment["carrier"] else "",
                tracking_numbers=tuple(shipment["numbers"]),
                lines=tuple(
                    DeliveryLine(key=ref, sku=skus[ref], units=count)
                    for ref, count in sorted(units.items())
                ),
                is_last=ended and place == len(parts) - 1,
            )
            # Posted once; told again only that nothing more will come.
            told = self._told(one, erp, document, "deliveries", repeats=document.is_last)
            yield deliveries(kind), erp, told

    def _is_over(self, one: OrderFacts) -> bool:
        """Whether nothing more can leave, although not all that was ordered did.

        What is called back may leave all the same, until its warehouse says otherwise.
        """
        if any(request.state in fulfilling.LIVE for request in one.requests):
            return False
        lines = one.progress()
        return all(line.open == 0 for line in lines) and any(line.cancelled for line in lines)

    def _notices(self, one: OrderFacts) -> Iterable[Planned]:
        """Shown to the customer: every shipment, with its parcels."""
        for shipment, units in self._parts(one):
            numbers = tuple(shipment["numbers"])
            carrier = shipment["carrier"] or ""
            document = ShippingNotice(
                key=f"{shipment['shipment_ref']}/{one.ref}",
                order_ref=one.ref,
                order_id=int(one.order["order_id"]),
                shipped_at=shipment["shipped_at"],
                carrier=carrier,
                carrier_name=carrier_name(carrier) if carrier else shipment["carrier_words"],
                tracking_numbers=numbers,
                tracking_urls=tuple(_urls(shipment, carrier)),
                lines=tuple(
                    NoticeLine(line_id=_line_id(ref), units=count)
                    for ref, count in sorted(units.items())
                ),
            )
            yield self._told(one, one.order["store"], document, "notices", repeats=True)

    def _told(
        self,
        one: OrderFacts,
        system: str,
        document: Delivery | ShippingNotice,
        thing: str,
        *,
        repeats: bool,
    ) -> Planned:
        """A row for something that happened: told once, and again where it may change."""
        wanted, held = wanted_hash(document), self.receipts.get((thing, system, document.key))
        if held is None:
            action, reason = "create", "not told yet"
        elif held != wanted and repeats:
            action, reason = "change", "told otherwise since"
        else:
            action, reason = "none", "told"
        return Planned(
            document.key,
            one.ref,
            action,
            reason,
            document.model_dump_json() if action != "none" else None,
            wanted,
            one.order["raw_version"],
        )

    def _completion(self, one: OrderFacts, notices: Sequence[Planned]) -> Planned:
        """The order is done in the shop when every line is, and every customer was told."""
        action, reason = self._is_complete(one, notices)
        wanted = {"order_ref": one.ref, "order_id": int(one.order["order_id"])}
        return Planned(
            one.ref,
            one.ref,
            action,
            reason,
            json.dumps(wanted) if action == "create" else None,
            "completed",
            one.order["raw_version"],
        )

    def _is_complete(self, one: OrderFacts, notices: Sequence[Planned]) -> tuple[str, str]:
        rule = self.rules.store(one.order["store"])
        if rule is None or not rule.completes_orders:
            return "none", "the policy does not complete orders"
        if one.order["state"] != OrderState.PAID:
            return "none", f"the order is {one.order['state']}"
        lines = one.progress()
        if not any(line.shipped for line in lines):
            return "none", "nothing has left"
        if any(line.open for line in lines):
            return "none", f"{sum(line.open for line in lines)} units have not left"
        if any(row.action != "none" for row in notices):
            return "held", "the customer is to be told of every parcel first"
        return "create", "everything has left"


def _shipments(connection: Connection, keys: Sequence[str]) -> dict[str, list[Row]]:
    """Shipments of each order that left, with their parcels' numbers."""
    rows = read_rows(
        connection,
        """
        select l.order_ref, s.shipment_ref, s.system, s.location, s.shipped_at, s.carrier,
            s.carrier_words, s.remote_number,
            coalesce(array_agg(distinct p.tracking_number order by p.tracking_number)
                filter (where p.tracking_number is not null), '{}') as numbers,
            coalesce(jsonb_object_agg(p.tracking_number, p.tracking_url)
                filter (where p.tracking_url is not null), '{}') as urls
        from core.shipment_lines l
        join core.shipments s using (shipment_ref)
        left join core.parcels p using (parcel_ref)
        where l.order_ref = any(:keys) and s.state = 'shipped'
        group by 1, s.shipment_ref order by 1, s.shipped_at, s.shipment_ref
        """,
        keys=list(keys),
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["order_ref"], []).append(row)
    return found


def _receipts(connection: Connection, keys: Sequence[str]) -> dict[tuple[str, str, str], str]:
    """What was told already: the hash of each, by thing, system and key."""
    rows = read_rows(
        connection,
        "select 'deliveries' as thing, system, key, wanted_hash from receipt.deliveries "
        "where order_ref = any(:keys) and outcome = 'accepted' union all "
        "select 'notices', system, key, wanted_hash from receipt.notices "
        "where order_ref = any(:keys) and outcome = 'accepted'",
        keys=list(keys),
    )
    return {(row["thing"], row["system"], row["key"]): row["wanted_hash"] for row in rows}


def _versions(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Number and hash of each request as it was planned last."""
    rows = read_rows(
        connection,
        "select key, core_version, wanted_hash from plan.fulfilment_orders "
        "where order_ref = any(:keys)",
        keys=list(keys),
    )
    return {row["key"]: (int(row["core_version"]), row["wanted_hash"]) for row in rows}


def _urls(shipment: Row, carrier: str) -> Iterable[str]:
    """Where the customer can look: the warehouse's word first, then the carrier's own page."""
    for number in shipment["numbers"]:
        url = shipment["urls"].get(number) or (tracking_url(carrier, number) if carrier else None)
        if url:
            yield url


def _line_id(line_ref: str) -> int:
    """The shop's id of a line: the last part of our key."""
    return int(line_ref.rpartition(":")[2])


def _address(row: Mapping[str, Any]) -> Address:
    name = f"{row.get('first_name', '')} {row.get('last_name', '')}".strip()
    return Address(
        name=name or row.get("company", "") or "",
        **{field: row.get(field, "") for field in Address.model_fields if field != "name"},
    )


def _per_unit(line: Row) -> Decimal:
    exact = Decimal(line["net_amount"]) / (line["quantity"] or 1)
    return exact.quantize(CENT, ROUND_HALF_UP).normalize() + Decimal("0.00")
