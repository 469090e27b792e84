"""Reservations: our orders' claims on stock that no reading shows yet, worked out order by order.

When one holds and falls is in `domain/reservations.py`; here are the facts it is decided from. An
order is taken when it, its receipt or a reading of its stock changed, and when its time ran out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

import pyarrow
from sqlalchemy import Connection

from resources.store import stale, versions
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets import policies
from sync_assets.domain.kits import KitCycle
from sync_assets.domain.orders import OrderState, Row
from sync_assets.domain.policy import Policy
from sync_assets.domain.reservations import OrderFacts, picked, reservation

QUEUE = "reservation"
CHUNK = 500
#: Paid for or not, these hold stock although no ERP hears of them yet.
UNPAID = (OrderState.PENDING_PAYMENT, OrderState.ON_HOLD)
RESERVATIONS = versions.Versioned(
    "core.reservation_versions",
    key=("order_ref", "sku"),
    compared=(
        *("location", "promised_units", "allocated_units", "open_units", "state"),
        *("reserved_at", "allocated_at", "expires_at", "ended_at"),
    ),
    carried=("core_version",),
)
#: ERP → kit → its components and how many of each.
Kits = Mapping[str, Mapping[str, Sequence[tuple[str, Decimal]]]]


@dataclass
class Reserved:
    """What one step did."""

    orders: int = 0
    new: int = 0
    changed: int = 0
    by_state: dict[str, int] = field(default_factory=dict)
    #: The store ships from a warehouse that is no location of the policy.
    unplaced: int = 0

    def count(self, rows: Iterable[Row]) -> None:
        """Count reservations by state."""
        for row in rows:
            self.by_state[row["state"]] = self.by_state.get(row["state"], 0) + 1


def reserve(systems: Systems, run_id: str | None, *, whole: bool = False) -> Reserved:
    """Work out the reservations of the orders that were marked, or whose time ran out.

    `whole`: of all that hold stock, too.
    """
    total = Reserved()
    with connected(systems.engine) as connection:
        _mark_due(connection, systems.now(), whole=whole)
    while True:
        with (
            connected(systems.engine) as connection,
            one_at_a_time(connection, "reservations"),
            # An order is read in several statements: no mapping may commit between two of them.
            one_at_a_time(connection, "map woocommerce__orders"),
        ):
            keys = stale.take(connection, QUEUE, CHUNK)
            if not keys:
                return total
            _work_out(systems, connection, keys, run_id, total)


def _mark_due(connection: Connection, now: datetime, *, whole: bool) -> None:
    """Mark the orders whose unpaid time is over; all that hold stock where everything is wanted."""
    rows = read_rows(
        connection,
        "select distinct order_ref from core.reservation_versions "
        "where replaced_at is null and state = 'open' and (:whole or expires_at <= :now)",
        whole=whole,
        now=now,
    )
    stale.mark(connection, QUEUE, [row["order_ref"] for row in rows], now)


def _work_out(
    systems: Systems,
    connection: Connection,
    keys: list[str],
    run_id: str | None,
    total: Reserved,
) -> None:
    policy, now = policies.in_force(systems, connection).policy, systems.now()
    facts = _facts(systems, connection, policy, keys, total)
    rows: list[Row] = []
    for one, core_version in facts:
        found = reservation(one, policy.reserving, now)
        rows += [{**row, "core_version": core_version} for row in found]
    versions.stage(connection, RESERVATIONS, "stage_reservations", _frame(rows))
    kept = versions.keep_changed(connection, RESERVATIONS, "stage_reservations", now, run_id)
    total.orders += len(facts)
    total.new += kept.new
    total.changed += kept.changed
    total.count(rows)


def _frame(rows: Sequence[Row]) -> pyarrow.Table:
    text, units, moment = pyarrow.string(), pyarrow.int64(), pyarrow.timestamp("us", "UTC")
    kinds = dict.fromkeys(RESERVATIONS.columns, text)
    kinds |= {name: units for name in kinds if name.endswith(("_units", "_version"))}
    kinds |= {name: moment for name in kinds if name.endswith("_at")}
    return pyarrow.table(
        {name: pyarrow.array([row[name] for row in rows], kind) for name, kind in kinds.items()}
    )


def _facts(
    systems: Systems,
    connection: Connection,
    policy: Policy,
    keys: list[str],
    total: Reserved,
) -> list[tuple[OrderFacts, int]]:
    """What is known of these orders; orders nobody has heard of any more are left out."""
    orders = read_rows(
        connection,
        "select order_ref, store, state, placed_at, changed_at, raw_version from core.orders "
        "where order_ref = any(:keys) order by order_ref",
        keys=keys,
    )
    held = _held(connection, keys)
    sold = _sold(connection, systems, keys)
    accepted = _accepted(connection, keys)
    kits, stocked = _kits(connection, systems), _stocked(connection, accepted.values())
    found: list[tuple[OrderFacts, int]] = []
    for order in orders:
        ref, location = order["order_ref"], location_of(systems, policy, order["store"])
        if location is None:
            total.unplaced += 1
        mine, place = held.get(ref, {}), location or _last_place(held.get(ref, {}))
        if place is None:
            continue
        is_wanted = location is not None and _is_wanted(systems, order)
        erp = systems.settings.stores[order["store"]].erp if is_wanted else ""
        promised = _picked(sold.get(ref, {}), kits, erp) if is_wanted else {}
        units, answered_at = _units_accepted(accepted.get(ref), kits, mine, stocked)
        found.append(
            (
                OrderFacts(
                    order_ref=ref,
                    state=OrderState(order["state"]),
                    placed_at=order["placed_at"],
                    changed_at=order["changed_at"],
                    location=place,
                    promised={**dict.fromkeys(mine, 0), **promised},
                    accepted=units,
                    accepted_at=answered_at,
                    ended={sku: r["ended_at"] for sku, r in mine.items() if r["ended_at"]},
                ),
                order["raw_version"],
            )
        )
    return _with_readings(connection, found)


def location_of(systems: Systems, policy: Policy, store: str) -> str | None:
    """Where a store's orders are shipped from, by our name; None where the policy names no such."""
    found = systems.settings.stores.get(store)
    if found is None:
        return None
    for name, one in policy.locations.items():
        if (one.source, one.code) == (found.erp, found.warehouse):
            return name
    return None


def _last_place(held: Mapping[str, Row]) -> str | None:
    return next((str(row["location"]) for row in held.values()), None)


def _is_wanted(systems: Systems, order: Row) -> bool:
    """Whether the order is one its store sends to the ERP, or will once it is paid."""
    store = systems.settings.stores[order["store"]]
    if store.send_orders_from is not None and order["placed_at"] < store.send_orders_from:
        return False
    return order["state"] in (*store.send_states, *UNPAID)


def _held(connection: Connection, keys: list[str]) -> dict[str, dict[str, Row]]:
    """The current reservations by order and SKU."""
    rows = read_rows(
        connection,
        "select order_ref, sku, location, allocated_units, ended_at from core.reservation_versions "
        "where order_ref = any(:keys) and replaced_at is null",
        keys=keys,
    )
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["order_ref"], {})[row["sku"]] = row
    return found


def _sold(
    connection: Connection, systems: Systems, keys: list[str]
) -> dict[str, dict[str, Decimal]]:
    """Units by order and SKU, as the store's ERP writes it; not of what no stock is kept."""
    stores = systems.settings.stores
    rows = read_rows(
        connection,
        """
        select l.order_ref, coalesce(p.sku, l.sku) as sku, sum(l.quantity) as units
        from core.order_lines l join core.orders o using (order_ref)
        left join unnest(cast(:stores as text[]), cast(:erps as text[])) as s (store, erp)
            on s.store = o.store
        left join lateral (
            select p.sku from core.product_refs p
            where p.system = s.erp and lower(p.sku) = lower(l.sku)
            order by p.is_active desc, p.sku = l.sku desc, p.item_id limit 1
        ) p on true
        where l.order_ref = any(:keys) and l.kind = 'product' and l.sku is not null
          and not exists (select from core.products q where q.system = s.erp
              and q.sku = coalesce(p.sku, l.sku) and not q.is_stocked and q.kind <> 'kit')
        group by 1, 2
        """,
        keys=keys,
        stores=list(stores),
        erps=[store.erp for store in stores.values()],
    )
    found: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        found.setdefault(row["order_ref"], {})[row["sku"]] = row["units"]
    return found


def _accepted(connection: Connection, keys: list[str]) -> dict[str, Row]:
    """What an ERP accepted, or may have: the document, or none where it is not kept any more.

    A write that was begun and has no end may have left its order there; it has no moment yet.
    """
    rows = read_rows(
        connection,
        """
        select r.order_ref, r.system, r.answered_at, coalesce(
            (select p.wanted from plan.sales_orders p where p.order_ref = r.order_ref
                and p.system = r.system and p.wanted_hash = r.wanted_hash limit 1),
            (select x.payload from ops.outbox x where x.thing_ref = r.order_ref
                and x.system = r.system and x.wanted_hash = r.wanted_hash
                and x.operation = 'sales_order.create' order by x.id desc limit 1)
        ) as document
        from receipt.sales_orders r where r.order_ref = any(:keys) and r.outcome = 'accepted'
        union all
        select c.thing_ref, c.system, null, c.payload
        from ops.outbox c
        where c.thing_ref = any(:keys) and c.operation = 'sales_order.create'
          and not exists (select from receipt.sales_orders r where r.order_ref = c.thing_ref)
          and exists (select from ops.outbox x where x.system = c.system
              and x.thing_ref = c.thing_ref
              and x.state in ('waiting', 'leased', 'unknown', 'parked')
              and (x.operation = 'sales_order.cancel' or x.attempts > 0))
        """,
        keys=keys,
    )
    return {row["order_ref"]: row for row in rows}


def _stocked(connection: Connection, accepted: Iterable[Row]) -> set[str]:
    """The items of these documents that stock is kept of, or that are kits."""
    items = {
        (row["system"], line["item"])
        for row in accepted
        for line in (row["document"] or {}).get("lines", ())
        if line["kind"] == "product"
    }
    pairs = sorted(items)
    rows = read_rows(
        connection,
        "select w.sku from unnest(cast(:systems as text[]), cast(:skus as text[])) "
        "as w (system, sku) where not exists (select from core.products q "
        "where q.system = w.system and q.sku = w.sku and not q.is_stocked and q.kind <> 'kit')",
        systems=[system for system, _ in pairs],
        skus=[sku for _, sku in pairs],
    )
    return {str(row["sku"]) for row in rows}


def _units_accepted(
    accepted: Row | None, kits: Kits, held: Mapping[str, Row], stocked: Collection[str]
) -> tuple[dict[str, int], datetime | None]:
    """What is picked for the accepted document; where it is not kept, what was noted before."""
    if accepted is None:
        return {}, None
    document = accepted["document"]
    if not document:
        noted = {sku: int(row["allocated_units"]) for sku, row in held.items()}
        return noted, accepted["answered_at"]
    units: dict[str, Decimal] = {}
    for line in document["lines"]:
        if line["kind"] == "product" and line["item"] in stocked:
            units[line["item"]] = units.get(line["item"], Decimal()) + Decimal(line["quantity"])
    return _picked(units, kits, accepted["system"]), accepted["answered_at"]


def _kits(connection: Connection, systems: Systems) -> Kits:
    """Components by ERP and kit."""
    rows = read_rows(
        connection,
        "select system, sku, component_sku, component_units from core.kit_components "
        "where system = any(:erps) and component_sku is not null "
        "order by system, sku, component_sku",
        erps=sorted(systems.settings.erps),
    )
    found: dict[str, dict[str, list[tuple[str, Decimal]]]] = {}
    for row in rows:
        part = (row["component_sku"], row["component_units"])
        found.setdefault(row["system"], {}).setdefault(row["sku"], []).append(part)
    return found


def _picked(units: Mapping[str, Decimal], kits: Kits, erp: str) -> dict[str, int]:
    """Kits become what is in them; one that contains itself is held as it is."""
    try:
        return picked(units, kits.get(erp, {}))
    except KitCycle:
        return {sku: int(n.to_integral_value(ROUND_CEILING)) for sku, n in units.items() if n > 0}


def _with_readings(
    connection: Connection, facts: list[tuple[OrderFacts, int]]
) -> list[tuple[OrderFacts, int]]:
    """The facts with the moment of the newest reading of each SKU where the order ships from."""
    wanted = {(sku, one.location) for one, _ in facts for sku in {*one.promised, *one.accepted}}
    pairs = sorted(wanted)
    rows = read_rows(
        connection,
        "select l.sku, l.location, l.true_at from core.stock_levels l "
        "join unnest(cast(:skus as text[]), cast(:places as text[])) as w (sku, location) "
        "using (sku, location)",
        skus=[sku for sku, _ in pairs],
        places=[place for _, place in pairs],
    )
    seen: dict[str, dict[str, datetime]] = {}
    for row in rows:
        seen.setdefault(row["location"], {})[row["sku"]] = row["true_at"]
    return [(replace(one, true_at=seen.get(one.location, {})), version) for one, version in facts]
