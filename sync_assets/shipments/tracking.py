"""What carriers say of parcels, as events in one vocabulary, and where each parcel is.

Events come late, twice and in any order; a parcel's state is always worked out from all of them. A
word nobody entered is kept and flagged. Tracking may come before its shipment: the parcel is kept,
and its shipment finds it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from resources.store import exceptions
from resources.store.frames import read_rows, upsert
from resources.wiring import Systems
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.shipments import TrackingEvents
from sync_assets.domain.tracking import (
    ParcelState,
    SeenEvent,
    SeenTracking,
    event_ref,
    newest,
    parcel_ref,
)
from sync_assets.mappers import easypost
from sync_assets.mappers.tracking import answer
from sync_assets.mapping import Mapped, chunks, parsed
from sync_assets.trouble import exceptional

WORD_UNKNOWN, TROUBLED, LOST = "tracking.word_unknown", "parcel.troubled", "parcel.lost"
UNREADABLE = "tracking.unreadable"
#: Where the clocks hang of carriers that write times without a zone.
ZONES: Mapping[str, tzinfo] = {
    "dhl_parcel_de": ZoneInfo("Europe/Berlin"),
    "dhl_poland": ZoneInfo("Europe/Warsaw"),
    "parcelone": ZoneInfo("Europe/Berlin"),
    "purolator": ZoneInfo("America/Toronto"),
}
#: Unknown words told of one carrier; the rest are counted.
MOST_WORDS = 20


@dataclass
class Tracked:
    """What one step did."""

    mapped: Mapped = field(default_factory=Mapped)
    events: int = 0
    unknown_words: int = 0
    parcels: int = 0


def from_easypost(systems: Systems, run_id: str | None) -> Tracked:
    """Map trackers; the newest version of each says all that is known of its parcel."""

    def read(version: Mapping[str, Any]) -> tuple[list[SeenTracking], list[Problem]]:
        return [easypost.tracking(parsed(version["payload"]))], []

    return _map(systems, "easypost__trackers", read, run_id)


def from_carriers(systems: Systems, run_id: str | None) -> Tracked:
    """Map carriers' own answers; `source` is the carrier's code."""

    def read(version: Mapping[str, Any]) -> tuple[list[SeenTracking], list[Problem]]:
        body = parsed(version["payload"])
        carrier, zone = str(version["source"]), ZONES.get(str(version["source"]), UTC)
        # Some answers never name their parcel: whoever hands them on names it.
        asked = str(version["resource_id"])
        said = answer(carrier, str(body.get("text", "")), zone=zone, asked=asked)
        left_out = [
            Problem(one.problem.code, one.tracking_number, one.problem.message)
            for one in (*said.refused, *said.left_out)
        ]
        return list(said.trackings), left_out

    return _map(systems, "carriers__trackings", read, run_id)


def _map(
    systems: Systems,
    table: str,
    read: Callable[[Mapping[str, Any]], tuple[list[SeenTracking], list[Problem]]],
    run_id: str | None,
) -> Tracked:
    total = Tracked()
    for connection, versions in chunks(systems, table):
        told: list[tuple[Mapping[str, Any], SeenTracking]] = []
        found: list[exceptions.Exceptional] = []
        for version in versions:
            try:
                said, left_out = read(version)
            except Rejected as refusal:
                said, left_out = [], refusal.problems
            told += [(version, one) for one in said]
            found += [_unreadable(systems, table, version, one) for one in left_out]
        keep(systems, connection, told, run_id, total)
        subjects = [f"{v['source']}:{table}:{v['resource_id']}" for v in versions]
        exceptions.reconcile(
            connection, found, subjects=subjects, codes=[UNREADABLE], now=systems.now()
        )
        total.mapped.mapped += len(versions) - len(found)
        total.mapped.set_aside += len(found)
    return total


def _unreadable(
    systems: Systems, table: str, version: Mapping[str, Any], problem: Problem
) -> exceptions.Exceptional:
    return exceptional(
        Problem(UNREADABLE, problem.part, f"{problem.code}: {problem.message}"),
        f"{version['source']}:{table}:{version['resource_id']}",
        systems.settings.service_levels,
        sender_ref=version["resource_id"],
        version=version["version"],
    )


def keep(
    systems: Systems,
    connection: Connection,
    told: Sequence[tuple[Mapping[str, Any], SeenTracking]],
    run_id: str | None,
    total: Tracked,
) -> None:
    """Keep events and bring the parcels they are about up to them."""
    rows = [row for version, one in told for row in _events(version, one)]
    unique = {row["event_ref"]: row for row in rows}
    if unique:
        frame = TrackingEvents.frame(list(unique.values()))
        frame = TrackingEvents.validate(frame).assign(run_id=run_id)
        upsert(connection, "core.tracking_events", frame, TrackingEvents.key())
    keys = sorted({parcel_ref(one.tracking_number) for _, one in told})
    _make_parcels(connection, told, run_id)
    restate(systems, connection, keys, run_id)
    total.events += len(unique)
    total.parcels += len(keys)
    total.unknown_words += sum(not row["is_known"] for row in unique.values())
    _tell_words(systems, connection, sorted({one.carrier for _, one in told}))


def _events(version: Mapping[str, Any], one: SeenTracking) -> Iterable[Row]:
    parcel = parcel_ref(one.tracking_number)
    for event in one.events:
        yield {
            "event_ref": event_ref(parcel, event),
            "parcel_ref": parcel,
            "carrier": one.carrier,
            "tracking_number": one.tracking_number,
            "state": str(event.state),
            "is_known": event.is_known,
            "code": event.code,
            "words": event.words,
            "happened_at": event.happened_at,
            "has_zone": event.has_zone,
            "place": event.place,
            "told_by": str(version["source"]),
            "raw_version": version["version"],
        }


def _make_parcels(
    connection: Connection,
    told: Sequence[tuple[Mapping[str, Any], SeenTracking]],
    run_id: str | None,
) -> None:
    """Parcels nobody told us of yet; one we know learns its carrier."""
    rows = {
        parcel_ref(one.tracking_number): {
            "ref": parcel_ref(one.tracking_number),
            "number": one.tracking_number,
            "carrier": one.carrier,
            "run": run_id,
        }
        for _, one in told
    }
    if rows:
        connection.execute(
            text(
                """
                insert into core.parcels as held (parcel_ref, tracking_number, carrier,
                    carrier_words, state, is_return, run_id)
                values (:ref, :number, :carrier, '', 'unknown', false, :run)
                on conflict (parcel_ref) do update
                set carrier = coalesce(held.carrier, excluded.carrier)
                """
            ),
            list(rows.values()),
        )


def restate(
    systems: Systems, connection: Connection, keys: Sequence[str], run_id: str | None
) -> None:
    """Say where parcels are, from all that was ever said of them."""
    rows = read_rows(
        connection,
        "select * from core.tracking_events where parcel_ref = any(:keys) "
        "order by parcel_ref, happened_at, event_ref",
        keys=list(keys),
    )
    by_parcel: dict[str, list[SeenEvent]] = {}
    for row in rows:
        names = SeenEvent.__dataclass_fields__
        values = {name: row[name] for name in names} | {"state": ParcelState(row["state"])}
        by_parcel.setdefault(row["parcel_ref"], []).append(SeenEvent(**values))
    states = [_state(ref, events, run_id) for ref, events in by_parcel.items()]
    if states:
        connection.execute(text(_STATE), states)
    _tell_parcels(systems, connection, list(by_parcel))


def _state(ref: str, events: Sequence[SeenEvent], run_id: str | None) -> Row:
    now = newest(events)
    delivered = [e.happened_at for e in events if e.is_known and e.state == ParcelState.DELIVERED]
    return {
        "ref": ref,
        "state": str(now.state if now else ParcelState.UNKNOWN),
        "state_at": now.happened_at if now else None,
        "delivered_at": min(delivered, default=None),
        "run": run_id,
    }


_STATE = """
update core.parcels set state = :state, state_at = :state_at, delivered_at = :delivered_at,
    run_id = :run
where parcel_ref = :ref and (state, state_at, delivered_at)
    is distinct from (:state, cast(:state_at as timestamptz), cast(:delivered_at as timestamptz))
"""


def _tell_parcels(systems: Systems, connection: Connection, keys: Sequence[str]) -> None:
    """Parcels somebody must look at, with the orders in them."""
    rows = read_rows(
        connection,
        """
        select p.parcel_ref, p.state, p.state_at, p.carrier, p.tracking_number,
            (select string_agg(distinct l.order_ref, ', ' order by l.order_ref)
             from core.shipment_lines l where l.parcel_ref = p.parcel_ref) as orders
        from core.parcels p where p.parcel_ref = any(:keys)
        """,
        keys=list(keys),
    )
    found = [
        exceptional(
            Problem(
                LOST if row["state"] == ParcelState.LOST else TROUBLED,
                "",
                f"{row['carrier'] or 'the carrier'} says {row['state']} of "
                f"{row['tracking_number']}, with {row['orders'] or 'no order we know'}",
            ),
            row["parcel_ref"],
            systems.settings.service_levels,
            sender_ref=row["tracking_number"],
        )
        for row in rows
        if row["state"] in (ParcelState.LOST, ParcelState.EXCEPTION)
    ]
    exceptions.reconcile(
        connection, found, subjects=list(keys), codes=[LOST, TROUBLED], now=systems.now()
    )


def _tell_words(systems: Systems, connection: Connection, carriers: Sequence[str]) -> None:
    """Words of these carriers that are in no table of ours, each once."""
    rows = read_rows(
        connection,
        """
        select carrier, coalesce(code, '') as code, words, count(*) as events
        from core.tracking_events where not is_known and carrier = any(:carriers)
        group by 1, 2, 3 order by 4 desc, 1, 2, 3
        """,
        carriers=list(carriers),
    )
    told: dict[str, int] = {}
    found = []
    for row in rows:
        told[row["carrier"]] = told.get(row["carrier"], 0) + 1
        if told[row["carrier"]] <= MOST_WORDS:
            named = f"{row['code']} {row['words']!r}".strip()
            said = f"{row['carrier']} says {named} of {row['events']} events; no state of ours"
            part = f"{row['code']}:{row['words']}"[:200]
            found.append(
                exceptional(
                    Problem(WORD_UNKNOWN, part, said),
                    f"carrier/{row['carrier']}",
                    systems.settings.service_levels,
                )
            )
    subjects = [f"carrier/{carrier}" for carrier in carriers]
    exceptions.reconcile(
        connection, found, subjects=subjects, codes=[WORD_UNKNOWN], now=systems.now()
    )
