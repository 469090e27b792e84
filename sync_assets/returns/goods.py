"""Goods that warehouses and ERPs tell of: which return they belong to, what became of each unit.

A document of theirs that belongs to no return we know opens one: the goods are there, whatever was
said before.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from resources.settings import Settings
from resources.store import exceptions, raw, refs, sagas
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.after_sale import ReturnLine
from sync_assets.domain.arriving import merged, told_lines
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.returns import ReturnState, SeenReturn, Source
from sync_assets.mappers.logistics import SHIPMENT_MAPPERS
from sync_assets.mapping import Mapped, chunks, parsed
from sync_assets.reading import Tally, keep_stream
from sync_assets.returns import opening
from sync_assets.returns.opening import Told
from sync_assets.trouble import exceptional

STREAM = "returns"
#: How far back is read again: what was saved late with an earlier time.
OVERLAP = timedelta(minutes=10)
LATE = "return.late_units"
#: Where a return stands whose goods may still be told of.
OPEN = ("requested", "approved", "in_transit", "lost", "expired", "cancelled", "rejected")
DONE = frozenset({ReturnState.INSPECTED, ReturnState.REFUNDING, ReturnState.CLOSED})


# ---------------------------------------------------------------- reading


def sources(settings: Settings) -> dict[str, str]:
    """Systems that are asked for goods that came back, and their kinds; files come alone."""
    found = {name: one.kind for name, one in settings.erps.items()}
    asked = {name: one.kind for name, one in settings.warehouses.items() if one.kind != "files"}
    return {**found, **{name: str(kind) for name, kind in asked.items()}}


def read(systems: Systems, name: str, run_id: str | None) -> Tally:
    """Read what changed of a system's returns since it was read last, with an overlap."""
    kind = sources(systems.settings)[name]
    began = systems.now()
    with connected(systems.engine) as connection:
        since = raw.complete_until(connection, name, STREAM)
    moment = since or systems.settings.backfill_from
    reading = raw.Reading(name, "delta", began, run_id)
    client = systems.erp(name) if name in systems.settings.erps else systems.warehouse(name)
    with client as system:
        pages = system.returns_changed_since(moment, OVERLAP)
        return keep_stream(systems, STREAM, pages, reading, began, table=f"{kind}__returns")


# ---------------------------------------------------------------- mapping


def map_goods(systems: Systems, kind: str, run_id: str | None) -> Mapped:
    """Take over what systems of a kind told of goods that came back."""
    table, total = f"{kind}__returns", Mapped()
    with connected(systems.engine) as connection:
        opening.forget_unplaced(connection, table)
    mapper = SHIPMENT_MAPPERS[kind]
    is_ours = getattr(mapper, "is_ours", lambda payload: False)
    for connection, versions in chunks(systems, table):
        found = []
        for version in versions:
            try:
                body = parsed(version["payload"])
                if is_ours(body):
                    continue  # our own posting, which tells nothing new
                _take(connection, systems, version, mapper.goods_back(body), kind, run_id)
                total.mapped += 1
            except Rejected as refusal:
                total.set_aside += 1
                found += [_malformed(systems, table, version, one) for one in refusal.problems]
        subjects = [f"{v['source']}:{table}:{v['resource_id']}" for v in versions]
        exceptions.reconcile(
            connection, found, subjects=subjects, codes=["thing.malformed"], now=systems.now()
        )
    return total


def _malformed(
    systems: Systems, table: str, version: Row, problem: Problem
) -> exceptions.Exceptional:
    return exceptional(
        Problem("thing.malformed", problem.part, problem.message),
        f"{version['source']}:{table}:{version['resource_id']}",
        systems.settings.service_levels,
        sender_ref=version["resource_id"],
        version=version["version"],
    )


def _take(
    connection: Connection,
    systems: Systems,
    version: Row,
    seen: SeenReturn,
    kind: str,
    run_id: str | None,
) -> None:
    system = version["source"]
    told = _told(version, seen)
    order = _order(connection, system, seen)
    held = _bound(connection, system, seen) or _named(connection, seen, order)
    if held is None:
        if seen.state == "cancelled":
            return
        ref = opening.begin(connection, systems, told, order, run_id)
        held = opening.one(connection, ref) or {}
    elif held["order_ref"] is None and order is not None:
        opening.place(connection, systems, held, told, order)
    _bind(connection, systems, held["return_ref"], system, seen)
    opening.learn(connection, held, seen.tracking_number, seen.received_at)
    if seen.state == "cancelled":
        _cancel(connection, systems, held, told, run_id)
    else:
        _arrive(connection, systems, held, told, kind, run_id)
    opening.look_again(connection, systems, held["order_ref"] or order)


def _told(version: Row, seen: SeenReturn) -> Told:
    return Told(
        source=Source.WAREHOUSE,
        sender_ref=f"{version['source']}:{version['resource_id']}",
        actor=f"warehouse:{version['source']}",
        cause=f"return {seen.number or seen.remote_id}, version {version['version']}",
        requested_at=seen.received_at or seen.changed_at,
        lines=told_lines([seen]),
        reason=seen.reason,
        tracking_number=seen.tracking_number,
        location=seen.warehouse or version["source"],
        reference=seen.reference,
    )


def _order(connection: Connection, system: str, seen: SeenReturn) -> str | None:
    """The order a document names: itself, a request to ship of it, its return, or its shipment."""
    if not seen.reference:
        return None
    rows = read_rows(connection, _ORDER_OF, ref=seen.reference, system=system)
    if rows:
        return str(rows[0]["order_ref"]) if len(rows) == 1 else None
    return opening.find_order(connection, seen.reference)


_ORDER_OF = """
select order_ref from core.fulfilment_orders where fulfilment_ref = :ref
union
select order_ref from core.returns where return_ref = :ref and order_ref is not null
union
select l.order_ref from core.shipments s join core.shipment_lines l using (shipment_ref)
where s.system = :system and (s.remote_number = :ref or s.shipment_ref = :system || ':' || :ref)
  and l.order_ref is not null
"""


def _bound(connection: Connection, system: str, seen: SeenReturn) -> Row | None:
    """The return this very document was found to belong to before."""
    rows = read_rows(
        connection,
        "select r.* from core.ref f join core.returns r on r.return_ref = f.our_ref "
        "where f.system = :system and f.remote_kind = 'return' and f.remote_id = :id",
        system=system,
        id=seen.remote_id,
    )
    return next(iter(rows), None)


def _named(connection: Connection, seen: SeenReturn, order: str | None) -> Row | None:
    """The return it names or whose parcel it is; else the order's that waits for such goods."""
    rows = read_rows(
        connection,
        _NAMED,
        ref=seen.reference,
        number=opening.folded(seen.tracking_number),
        order=order,
        skus=[line.sku.casefold() for line in seen.lines],
        open=list(OPEN),
    )
    return next(iter(rows), None)


_NAMED = """
select r.*, case
        when r.return_ref = :ref then 1
        when :number <> '' and regexp_replace(upper(coalesce(r.tracking_number, '')),
            '[^0-9A-Z]', '', 'g') = :number then 2
        else 3 end as place
from core.returns r
where r.return_ref = :ref
   or :number <> '' and regexp_replace(upper(coalesce(r.tracking_number, '')),
        '[^0-9A-Z]', '', 'g') = :number and r.state <> 'closed'
   or r.order_ref = :order and (r.state = any(:open) or r.state = 'received' and not exists (
            select from core.return_lines g where g.return_ref = r.return_ref
              and g.restock_units + g.refurbish_units + g.write_off_units > 0))
      and r.state not in ('expired', 'cancelled', 'rejected')
      and not exists (select from core.ref f where f.our_ref = r.return_ref
            and f.remote_kind = 'return')
      and exists (select from core.return_lines l where l.return_ref = r.return_ref
            and lower(l.sku) = any(:skus))
order by place, r.requested_at, r.return_ref limit 1
"""


def _bind(
    connection: Connection, systems: Systems, ref: str, system: str, seen: SeenReturn
) -> None:
    one = refs.Ref(ref, "return", system, "return", seen.remote_id, seen.number)
    refs.remember(connection, [one], systems.now())


def _cancel(
    connection: Connection, systems: Systems, held: Row, told: Told, run_id: str | None
) -> None:
    """End a return of a system's own that it cancelled before anything came."""
    is_its_own = held["sender_ref"] == told.sender_ref
    if is_its_own and held["state"] in ("requested", "approved", "in_transit"):
        step = sagas.Step(
            "return",
            held["return_ref"],
            held["state"],
            ReturnState.CANCELLED,
            told.actor,
            "it was cancelled there",
            told.cause,
        )
        sagas.take(connection, [step], systems.now(), run_id)


def _arrive(
    connection: Connection,
    systems: Systems,
    held: Row,
    told: Told,
    kind: str,
    run_id: str | None,
) -> None:
    """Put the units a system told of into the return, whole each time, so that twice is once."""
    ref = held["return_ref"]
    documents = _documents(connection, ref, kind)
    before = opening.lines_of(connection, ref)
    is_its_own = held["sender_ref"] == told.sender_ref
    after = merged(() if is_its_own else before, told_lines(documents), before)
    late: list[exceptions.Exceptional] = []
    if held["state"] in DONE:
        if _units(after) != _units(before):
            said = "it told of other units after its return was inspected"
            levels = systems.settings.service_levels
            late = [exceptional(Problem(LATE, "", said), ref, levels, sender_ref=told.sender_ref)]
    elif after != before:
        opening.keep_lines(connection, ref, after, run_id)
    exceptions.reconcile(connection, late, subjects=[ref], codes=[LATE], now=systems.now())


def _units(lines: Sequence[ReturnLine]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        sku = line.sku.casefold()
        found[sku] = found.get(sku, 0) + line.received_units
    return found


def _documents(connection: Connection, ref: str, kind: str) -> list[SeenReturn]:
    """All documents of a return, newest versions, of the system that told of it first.

    A warehouse and an ERP may tell of the same goods; one of them counts.
    """
    table = f"{kind}__returns"
    rows = read_rows(
        connection,
        f"""
        select w.payload::text as payload from core.ref f cross join lateral (
            select w.payload from raw.{table} w
            where w.source = f.system and w.resource_id = f.remote_id
            order by w.changed_at desc, w.version desc limit 1
        ) w
        where f.our_ref = :ref and f.remote_kind = 'return' and f.system = (
            select system from core.ref where our_ref = :ref and remote_kind = 'return'
            order by first_seen_at, remote_id limit 1)
        order by f.remote_id
        """,  # noqa: S608
        ref=ref,
    )
    mapper: Any = SHIPMENT_MAPPERS[kind]
    seen = [mapper.goods_back(parsed(row["payload"])) for row in rows]
    return [one for one in seen if one.state != "cancelled"]
