"""From raw shipments to core: which units of which order left, in which parcels.

A warehouse may name our request, our order, its number, or nothing we know. What cannot be matched
is kept with its words and an exception, and is matched when the order is known.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions, refs
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows, replace
from resources.wiring import Systems
from sync_assets.domain.carriers import carrier_code, guess_carrier, tracking_url
from sync_assets.domain.matching import Matched, Told, match
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.shipments import (
    Parcels,
    SeenLine,
    SeenShipment,
    ShipmentLines,
    Shipments,
    shipment_ref,
)
from sync_assets.domain.tracking import ParcelState, parcel_ref
from sync_assets.mappers.logistics import SHIPMENT_MAPPERS
from sync_assets.mapping import Mapped, chunks, parsed, write
from sync_assets.shipments import facts as known
from sync_assets.shipments import policy as policies
from sync_assets.shipments.facts import OrderFacts
from sync_assets.shipments.policy import Rules
from sync_assets.trouble import exceptional

ORDER_UNKNOWN, LINE_UNKNOWN = "shipment.order_unknown", "shipment.line_unknown"
CODES = (ORDER_UNKNOWN, LINE_UNKNOWN)
MALFORMED = "thing.malformed"
#: Shipments of unknown orders that are tried again by a run.
MOST_AGAIN = 500


@dataclass
class _Told:
    """One raw version as a shipment."""

    version: dict[str, Any]
    seen: SeenShipment
    #: Order of each line, once known, and the one its head names.
    orders: list[str | None] = field(default_factory=list)
    order: str | None = None

    @property
    def ref(self) -> str:
        """Our key."""
        return shipment_ref(self.version["source"], self.seen.remote_id)


def shipments(systems: Systems, kind: str, run_id: str | None) -> Mapped:
    """Bring core shipments up to the raw ones of one kind of system."""
    total, table = Mapped(), f"{kind}__shipments"
    again_unknown(systems, table)
    for connection, versions in chunks(systems, table):
        with one_at_a_time(connection, "map shipments"):
            found: list[exceptions.Exceptional] = []
            told = list(_told(systems, kind, table, versions, found))
            _keep(systems, connection, told, found, run_id)
            total.mapped += len(told)
            total.set_aside += len(found)
            subjects = [f"{v['source']}:{table}:{v['resource_id']}" for v in versions]
            exceptions.reconcile(
                connection,
                [one for one in found if one.code == MALFORMED],
                subjects=subjects,
                codes=[MALFORMED],
                now=systems.now(),
            )
    return total


def again_unknown(systems: Systems, table: str) -> None:
    """Let shipments be mapped again whose order was not known: it may be by now."""
    with connected(systems.engine) as connection:
        connection.execute(
            text(
                f"""
                update raw.{table} r set mapped_at = null from (
                    select distinct s.raw_version, s.system from core.shipments s
                    join core.shipment_lines l using (shipment_ref)
                    join ops.exception e on e.subject_ref = s.shipment_ref and e.state = 'open'
                        and e.code = any(:codes)
                    where l.line_ref is null limit :most
                ) s
                where r.version = s.raw_version and r.source = s.system
                """  # noqa: S608
            ),
            {"codes": list(CODES), "most": MOST_AGAIN},
        )


def _told(
    systems: Systems,
    kind: str,
    table: str,
    versions: Sequence[dict[str, Any]],
    found: list[exceptions.Exceptional],
) -> Iterable[_Told]:
    """Versions as shipments; what we posted ourselves is none, nor is what an ERP only plans."""
    read: Callable[[Mapping[str, Any]], SeenShipment] = SHIPMENT_MAPPERS[kind].shipment
    for version in versions:
        try:
            body = parsed(version["payload"])
            if body.get("ours"):
                continue
            seen = read(body)
        except Rejected as refusal:
            found += [
                exceptional(
                    Problem(MALFORMED, one.part, one.message),
                    f"{version['source']}:{table}:{version['resource_id']}",
                    systems.settings.service_levels,
                    sender_ref=version["resource_id"],
                    version=version["version"],
                )
                for one in refusal.problems
            ]
            continue
        if kind in ("odoo", "tryton") and seen.state == "packed":
            continue
        yield _Told(version, seen)


def _keep(
    systems: Systems,
    connection: Connection,
    told: Sequence[_Told],
    found: list[exceptions.Exceptional],
    run_id: str | None,
) -> None:
    if not told:
        return
    rules = policies.in_force(systems, connection)
    _find_orders(connection, told)
    keys = sorted({ref for one in told for ref in (one.order, *one.orders) if ref})
    orders = {one.ref: one for one in known.load(connection, systems.settings, keys)}
    problems: list[exceptions.Exceptional] = []
    heads, lines, parcels = list[Row](), list[Row](), list[Row]()
    for one in told:
        heads.append(_head(one, rules))
        mine, troubles = _lines(one, orders)
        lines += mine
        parcels += _parcels(one)
        problems += [_exceptional(systems, one, problem) for problem in troubles]
    refs_ = [one.ref for one in told]
    write(connection, Shipments, "core.shipments", heads, run_id)
    _keep_parcels(connection, parcels, run_id)
    frame = ShipmentLines.validate(ShipmentLines.frame(lines)).assign(run_id=run_id)
    replace(connection, "core.shipment_lines", frame, by="shipment_ref", keys=refs_)
    exceptions.reconcile(
        connection, problems, subjects=refs_, codes=CODES, now=systems.now(), run_id=run_id
    )
    found += problems
    refs.remember(connection, _refs(told), systems.now())


def _find_orders(connection: Connection, told: Sequence[_Told]) -> None:
    """The order of each line, by whatever reference stands on it or on the shipment."""
    words = {
        said
        for one in told
        for said in (one.seen.reference, *(line.reference for line in one.seen.lines))
        if said
    }
    orders = orders_of(connection, sorted(words))
    for one in told:
        one.order = orders.get(one.seen.reference or "")
        one.orders = [orders.get(line.reference or "", one.order) for line in one.seen.lines]


def orders_of(connection: Connection, words: Sequence[str]) -> dict[str, str]:
    """The orders behind references; one that two orders carry leads to neither."""
    rows = read_rows(
        connection,
        """
        select w.word, array_agg(distinct k.order_ref) as keys
        from unnest(cast(:words as text[])) as w (word)
        cross join lateral (
            select f.order_ref, 1 as rank from core.fulfilment_orders f
                where f.fulfilment_ref = w.word
            union all select o.order_ref, 1 from core.orders o where o.order_ref = w.word
            union all select r.order_ref, 1 from core.returns r where r.return_ref = w.word
                and r.order_ref is not null
            union all select o.order_ref, 2 from core.orders o where o.order_number = w.word
            union all select c.our_ref, 2 from core.ref c
                where c.kind = 'order' and c.remote_number = w.word
        ) k
        group by 1
        """,
        words=list(words),
    )
    return {row["word"]: row["keys"][0] for row in rows if len(row["keys"]) == 1}


def _head(one: _Told, rules: Rules) -> Row:
    seen, system = one.seen, one.version["source"]
    words = next((p.carrier_words for p in seen.parcels if p.carrier_words), "")
    numbers = [p.tracking_number for p in seen.parcels if p.tracking_number]
    return {
        "shipment_ref": one.ref,
        "system": system,
        "remote_number": seen.number,
        "location": rules.name_of(system, seen.warehouse),
        "state": seen.state,
        "shipped_at": seen.shipped_at,
        "carrier": _carrier(words, numbers[0] if numbers else None),
        "carrier_words": words,
        "told_reference": seen.reference,
        "changed_at": seen.changed_at,
        "raw_version": one.version["version"],
    }


def _carrier(words: str, number: str | None) -> str | None:
    """Our code of a carrier: by its name, else by a number that proves it."""
    return (carrier_code(words) if words else None) or (guess_carrier(number) if number else None)


def _lines(one: _Told, orders: Mapping[str, OrderFacts]) -> tuple[list[Row], list[Problem]]:
    """Lines with the order lines they belong to, and what nothing was found for."""
    rows, problems = list[Row](), list[Problem]()
    told = [(line, False) for line in one.seen.lines]
    places = list(one.orders)
    for sku, units in one.seen.cancelled.items():
        told.append((SeenLine(sku, units), True))
        places.append(one.order or _with(sku, one, orders))
    for order_ref in dict.fromkeys(places):
        mine = [place for place, ref in enumerate(places) if ref == order_ref]
        facts = orders.get(order_ref or "")
        asked = [Told(told[n][0].sku, told[n][0].units, told[n][0].line_key) for n in mine]
        matched = _matched(one, facts, asked)
        for n, parts in zip(mine, matched, strict=True):
            for part in parts:
                rows.append(_line(one, facts, told[n], part))
        problems += _troubles(one, facts, [part for parts in matched for part in parts])
    return [{**row, "line_no": n} for n, row in enumerate(rows)], problems


def _with(sku: str, one: _Told, orders: Mapping[str, OrderFacts]) -> str | None:
    """The first order of a shared shipment that has an article; else the first of all."""
    mine = [ref for ref in dict.fromkeys(one.orders) if ref is not None and ref in orders]
    able = [ref for ref in mine if match([Told(sku, 1)], orders[ref].lines, {})[0][0].line_ref]
    return next((ref for ref in [*able, *mine]), None)


def _matched(one: _Told, facts: OrderFacts | None, asked: Sequence[Told]) -> list[list[Matched]]:
    if facts is None:
        return [[Matched(None, line.sku, line.units)] for line in asked]
    gone: dict[tuple[str, str], int] = {}
    for move in facts.moves:
        if move.shipment_ref != one.ref and not move.is_cancelled:
            key = (move.line_ref, move.sku.casefold())
            gone[key] = gone.get(key, 0) + move.units
    return match(asked, facts.lines, gone)


def _line(one: _Told, facts: OrderFacts | None, told: tuple[SeenLine, bool], part: Matched) -> Row:
    line, is_cancelled = told
    return {
        "shipment_ref": one.ref,
        "order_ref": facts.ref if facts else None,
        "fulfilment_ref": _request_of(one, facts, line.reference, part.line_ref),
        "line_ref": part.line_ref,
        "sku": part.sku,
        "units": part.units,
        "is_cancelled": is_cancelled,
        "parcel_ref": None if is_cancelled else _parcel_of(one, line.parcel),
    }


def _request_of(
    one: _Told, facts: OrderFacts | None, reference: str | None, line_ref: str | None
) -> str | None:
    """The request a line answers: the one it names, else the first of this system that has it."""
    if facts is None:
        return None
    for said in (reference, one.seen.reference):
        if said in facts.standing:
            return said
    system = one.version["source"]
    mine = [r for r in facts.requests if facts.standing[r.ref]["system"] == system]
    able = [r for r in mine if line_ref in r.units]
    return next((request.ref for request in [*able, *mine]), None)


def _parcel_of(one: _Told, place: int | None) -> str | None:
    parcels = one.seen.parcels
    if place is None:
        place = 0 if len(parcels) == 1 else None
    if place is None or not 0 <= place < len(parcels):
        return None
    return _parcel_key(one, place)


def _parcel_key(one: _Told, place: int) -> str:
    """By its number; one without a number is its shipment's."""
    number = one.seen.parcels[place].tracking_number
    return parcel_ref(number) if number else f"{one.ref}:p{place + 1}"


def _parcels(one: _Told) -> list[Row]:
    return [
        {
            "parcel_ref": _parcel_key(one, place),
            "tracking_number": parcel.tracking_number,
            "carrier": (code := _carrier(parcel.carrier_words, parcel.tracking_number)),
            "carrier_words": parcel.carrier_words,
            "tracking_url": parcel.tracking_url
            or (
                tracking_url(code, parcel.tracking_number)
                if code and parcel.tracking_number
                else None
            ),
            "weight_g": parcel.weight_g,
            "state": str(ParcelState.UNKNOWN),
            "state_at": None,
            "delivered_at": None,
            "is_return": False,
        }
        for place, parcel in enumerate(one.seen.parcels)
    ]


def _keep_parcels(connection: Connection, rows: Sequence[Row], run_id: str | None) -> None:
    """Keep what warehouses say of parcels; where one is, carriers said before or will say."""
    unique = {row["parcel_ref"]: row for row in rows}
    if not unique:
        return
    frame = Parcels.validate(Parcels.frame(list(unique.values())))
    values = [{**row, "run_id": run_id} for row in unique.values()]
    assert len(frame) == len(values)
    connection.execute(text(_PARCEL), values)


_PARCEL = """
insert into core.parcels as held (parcel_ref, tracking_number, carrier, carrier_words, tracking_url,
    weight_g, state, state_at, delivered_at, is_return, run_id)
values (:parcel_ref, :tracking_number, :carrier, :carrier_words, :tracking_url, :weight_g, :state,
    :state_at, :delivered_at, :is_return, :run_id)
on conflict (parcel_ref) do update
set tracking_number = coalesce(excluded.tracking_number, held.tracking_number),
    carrier = coalesce(excluded.carrier, held.carrier),
    carrier_words = coalesce(nullif(excluded.carrier_words, ''), held.carrier_words),
    tracking_url = coalesce(excluded.tracking_url, held.tracking_url),
    weight_g = coalesce(excluded.weight_g, held.weight_g), run_id = excluded.run_id
"""


def _troubles(one: _Told, facts: OrderFacts | None, parts: Sequence[Matched]) -> Iterable[Problem]:
    if facts is None:
        named = one.seen.reference or "nothing"
        said = f"shipment {one.seen.number or one.seen.remote_id} names {named!r}: no such order"
        yield Problem(ORDER_UNKNOWN, "reference", said)
        return
    for part in parts:
        if part.line_ref is None:
            said = f"{part.units} units of {part.sku!r} are on no line of {facts.ref}"
            yield Problem(LINE_UNKNOWN, part.sku, said)


def _exceptional(systems: Systems, one: _Told, problem: Problem) -> exceptions.Exceptional:
    return exceptional(
        problem,
        one.ref,
        systems.settings.service_levels,
        sender_ref=one.seen.number or one.seen.remote_id,
        version=one.version["version"],
    )


def _refs(told: Sequence[_Told]) -> list[refs.Ref]:
    """Ids a trace may start from."""
    return [
        refs.Ref(
            one.ref,
            "shipment",
            one.version["source"],
            "shipment",
            one.seen.remote_id,
            one.seen.number,
        )
        for one in told
    ]
