"""What warehouses say of requests they have: taken in, on hold, refused, cancelled.

Those with an API are asked again about what is open, ERPs only where a delivery was cancelled;
those that answer by file are believed when their file comes. Either brings the receipt up to date,
and marks the order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.fulfilment import SeenFulfilment
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.hints import is_due
from sync_assets.mappers.logistics import SHIPMENT_MAPPERS
from sync_assets.mapping import Mapped, chunks, parsed
from sync_assets.reading import was_read
from sync_assets.shipments.fulfilling import ON_HOLD, REFUSED
from sync_assets.shipments.hands import by_reference
from sync_assets.shipments.things import ERP_KINDS
from sync_assets.trouble import exceptional

OPEN = ("released", "acknowledged", "part_shipped", "cancel_requested")
STREAM, BATCH, MOST = "fulfilments", 100, 1000
UNREADABLE = "thing.malformed"


@dataclass
class Heard:
    """What one step heard."""

    asked: int = 0
    changed: int = 0


def look_again(systems: Systems, kind: str, system: str) -> Heard:
    """Ask a warehouse about its open requests, as often as it may be asked for changes."""
    total = Heard()
    if kind in ERP_KINDS:
        return _look_again_in_erp(systems, kind, system)
    if kind == "files":
        return total
    every = systems.settings.warehouses[system].poll_seconds
    with connected(systems.engine) as connection:
        rows = read_rows(connection, _OPEN, system=system, states=list(OPEN), most=MOST)
    fresh = any(row["remote_state"] in (None, "waiting") for row in rows)
    if not rows or not (fresh or is_due(systems, system, STREAM, every)):
        return total
    began = systems.now()
    with systems.warehouse(system) as client:
        keys = [row["fulfilment_ref"] for row in rows]
        for batch in (keys[n : n + BATCH] for n in range(0, len(keys), BATCH)):
            held = client.fulfilments(batch)
            told = {key: _seen(kind, payload) for key, payload in held.items()}
            with connected(systems.engine) as connection:
                seen = {key: one for key, one in told.items() if one is not None}
                total.changed += _hear(systems, connection, kind, system, seen)
            total.asked += len(batch)
    was_read(systems, system, STREAM, began)
    return total


_OPEN = """
select f.fulfilment_ref, r.remote_state from core.fulfilment_orders f
join receipt.fulfilment_orders r on r.system = f.system and r.key = f.fulfilment_ref
where f.system = :system and f.state = any(:states) and r.outcome = 'accepted'
order by (r.remote_state is null or r.remote_state = 'waiting') desc, f.state_at, f.fulfilment_ref
limit :most
"""


def _look_again_in_erp(systems: Systems, kind: str, erp: str) -> Heard:
    """Look at all deliveries of the orders of which one was cancelled: is any of them left?"""
    total = Heard()
    with connected(systems.engine) as connection:
        rows = read_rows(connection, _CALLED_OFF, system=erp, states=list(OPEN), most=MOST)
    for batch in (rows[n : n + BATCH] for n in range(0, len(rows), BATCH)):
        with systems.erp(erp) as client:
            said = client.shipments_of([int(row["remote_id"]) for row in batch])
        parcels = by_reference(kind, said)
        told = {
            row["fulfilment_ref"]: seen
            for row in batch
            if (bodies := parcels.get(row["order_ref"])) and (seen := _seen(kind, bodies))
        }
        with connected(systems.engine) as connection:
            total.changed += _hear(systems, connection, kind, erp, told)
        total.asked += len(batch)
    return total


_CALLED_OFF = """
select f.fulfilment_ref, f.order_ref, o.remote_id from core.fulfilment_orders f
join receipt.fulfilment_orders r on r.system = f.system and r.key = f.fulfilment_ref
join receipt.sales_orders o on o.system = f.system and o.order_ref = f.order_ref
where f.system = :system and f.state = any(:states) and r.outcome = 'accepted'
  and exists (select from core.shipment_lines l join core.shipments s using (shipment_ref)
    where l.order_ref = f.order_ref and s.system = f.system and s.state = 'cancelled')
order by f.state_at, f.fulfilment_ref limit :most
"""


def _seen(kind: str, payload: Any) -> SeenFulfilment | None:
    """What can be read; a word nobody knows is told where the request was written."""
    try:
        seen: SeenFulfilment = SHIPMENT_MAPPERS[kind].seen(payload)
    except Rejected:
        return None
    return seen


def from_files(systems: Systems, run_id: str | None) -> Mapped:
    """Believe the acknowledgements that came as files."""
    total = Mapped()
    for connection, versions in chunks(systems, "files__acknowledgements"):
        found: list[exceptions.Exceptional] = []
        by_system: dict[str, dict[str, SeenFulfilment]] = {}
        for version in versions:
            try:
                seen = SHIPMENT_MAPPERS["files"].seen(parsed(version["payload"]))
                by_system.setdefault(version["source"], {})[seen.key] = seen
            except Rejected as refusal:
                found += [_malformed(systems, version, one) for one in refusal.problems]
        for system, told in by_system.items():
            total.changes += _hear(systems, connection, "files", system, told)
        subjects = [f"{v['source']}:files__acknowledgements:{v['resource_id']}" for v in versions]
        exceptions.reconcile(
            connection, found, subjects=subjects, codes=[UNREADABLE], now=systems.now()
        )
        total.mapped += len(versions) - len(found)
        total.set_aside += len(found)
    return total


def _malformed(
    systems: Systems, version: Mapping[str, Any], problem: Problem
) -> exceptions.Exceptional:
    return exceptional(
        Problem(UNREADABLE, problem.part, problem.message),
        f"{version['source']}:files__acknowledgements:{version['resource_id']}",
        systems.settings.service_levels,
        sender_ref=version["resource_id"],
        version=version["version"],
    )


def _hear(
    systems: Systems,
    connection: Connection,
    kind: str,
    system: str,
    told: Mapping[str, SeenFulfilment],
) -> int:
    """Bring receipts up to what was said; what is refused or on hold is told."""
    if not told:
        return 0
    rows = [
        {
            "system": system,
            "key": key,
            "state": one.state,
            "remote_id": one.remote_id or None,
            "number": one.number,
            "now": systems.now(),
        }
        for key, one in told.items()
    ]
    changed = [connection.execute(text(_HEARD.format(kind=kind)), row).rowcount for row in rows]
    exceptions.reconcile(
        connection,
        list(_troubles(systems, system, told)),
        subjects=list(told),
        codes=[REFUSED, ON_HOLD],
        now=systems.now(),
    )
    return sum(changed)


#: What is in hand after its taking back was asked for is not taken back.
_HEARD = """
update receipt.{kind}__fulfilment_orders r set remote_state = h.state,
    remote_id = coalesce(:remote_id, remote_id), remote_number = coalesce(:number, remote_number),
    answered_at = :now
from (select case when remote_state in ('cancel_asked', 'cancel_refused')
                   and :state in ('picking', 'part_shipped', 'shipped')
             then 'cancel_refused' else cast(:state as text) end as state
      from receipt.{kind}__fulfilment_orders where system = :system and key = :key) h
where system = :system and key = :key
  and (remote_state, remote_id, remote_number) is distinct from (h.state,
      coalesce(cast(:remote_id as text), remote_id), coalesce(cast(:number as text), remote_number))
"""


def _troubles(
    systems: Systems, system: str, told: Mapping[str, SeenFulfilment]
) -> Iterable[exceptions.Exceptional]:
    for key, one in told.items():
        if one.state not in ("refused", "on_hold", "cancelled"):
            continue
        if one.state == "cancelled" and not one.reason:
            continue
        code = ON_HOLD if one.state == "on_hold" else REFUSED
        said = f"{system} says {key} is {one.state}: {one.reason or 'no reason given'}"
        yield exceptional(
            Problem(code, "", said),
            key,
            systems.settings.service_levels,
            sender_ref=one.number or one.remote_id,
        )
