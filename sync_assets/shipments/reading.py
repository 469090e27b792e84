"""What ERPs, warehouses and carriers say of goods under way, kept as said.

A delivery of a webhook names a shipment or tracker, which is read again; what webhooks lose, the
question for changes brings. What was read and the end of its deliveries are one transaction.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from resources.errors import RemoteError
from resources.pages import Broken, Raw
from resources.store import inbox, raw, refs
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.inbox import Kinds
from resources.systems.roles import Warehouse
from resources.wiring import Systems
from sync_assets.hints import is_due
from sync_assets.mappers import easypost
from sync_assets.mappers.logistics import hinted
from sync_assets.reading import Page, Tally, keep, was_read
from sync_assets.shipments.fulfilling import START

SHIPMENTS, TRACKERS, CARRIERS = "shipments", "trackers", "carriers__trackings"
#: An ERP dates a change with the start of its transaction: the longest one must fit in.
OVERLAP = timedelta(minutes=5)
TAKEN, BATCH = 500, 100
#: Returns have a reader of their own.
RETURNS = ("return", "returns")
#: Carriers' answers too, whoever hands them on.
OTHERS = (*RETURNS, "tracking")
#: Senders of our own contracts; carriers' answers come so too.
GENERIC = "hmac"


def shipments(
    systems: Systems, system: str, run_id: str | None, *, only_due: bool = False
) -> Tally:
    """Follow what a system's webhooks name, then ask it what else changed."""
    total = Tally()
    if system in systems.settings.erps:
        total.add(_changed_in_erp(systems, system, run_id))
        return total
    warehouse = systems.settings.warehouses[system]
    if warehouse.kind == "files":
        return total  # files are read by `files.py`
    with systems.warehouse(system) as client:
        total.add(_follow(systems, client, system, warehouse.kind, run_id))
        if not only_due or is_due(systems, system, SHIPMENTS, warehouse.poll_seconds):
            began = systems.now()
            pages = client.shipments_changed_since(_since(systems, system), OVERLAP)
            table = f"{warehouse.kind}__{SHIPMENTS}"
            total.add(_kept(systems, table, pages, raw.Reading(system, "delta", began, run_id)))
            was_read(systems, system, SHIPMENTS, began)
    return total


def _changed_in_erp(systems: Systems, erp: str, run_id: str | None) -> Tally:
    began, table = systems.now(), f"{systems.settings.erps[erp].kind}__{SHIPMENTS}"
    with systems.erp(erp) as client:
        pages = client.shipments_changed_since(_since(systems, erp), OVERLAP)
        total = _kept(systems, table, pages, raw.Reading(erp, "delta", began, run_id))
    was_read(systems, erp, SHIPMENTS, began)
    return total


def _since(systems: Systems, system: str) -> datetime:
    with connected(systems.engine) as connection:
        return (
            raw.complete_until(connection, system, SHIPMENTS)
            or raw.complete_until(connection, *START)
            or systems.settings.backfill_from
        )


def _kept(
    systems: Systems, table: str, pages: Iterable[list[Raw | Broken]], reading: raw.Reading
) -> Tally:
    total = Tally()
    for page in pages:
        with connected(systems.engine) as connection:
            total.add(keep(connection, table, page, reading, systems.settings.service_levels))
    return total


# ---------------------------------------------------------------- deliveries of webhooks


@contextmanager
def taken(
    systems: Systems, source: str, store: str, kinds: Kinds, run_id: str | None
) -> Iterator[tuple[list[dict[str, Any]], Callable[[Connection, Sequence[int], str], None]]]:
    """Lease a batch of deliveries for what is done inside; what is left unsettled waits again."""
    worker = f"{run_id or 'local'}/{uuid.uuid4().hex[:8]}"
    with connected(systems.engine) as connection:
        hints = inbox.lease(
            connection,
            source=source,
            store=store,
            worker=worker,
            now=systems.now(),
            limit=TAKEN,
            kinds=kinds,
        )
        ids = [one for found in hints.values() for one in found]
        rows = inbox.bodies(connection, ids)

    def settle(connection: Connection, done: Sequence[int], outcome: str) -> None:
        inbox.settle(connection, done, worker=worker, now=systems.now(), outcome=outcome)

    try:
        yield rows, settle
    except RemoteError:
        with connected(systems.engine) as connection:
            inbox.give_back(connection, ids, worker=worker, now=systems.now())
        raise


def _follow(
    systems: Systems, client: Warehouse, system: str, kind: str, run_id: str | None
) -> Tally:
    """Read again the shipments that deliveries name, until none is due."""
    source = kind if kind == "shipbob" else GENERIC
    total = Tally()
    while True:
        with taken(systems, source, system, Kinds(OTHERS, False), run_id) as (rows, settle):
            if not rows:
                return total
            named = _named(kind, rows)
            reading = raw.Reading(system, "webhook", systems.now(), run_id)
            wanted = sorted({key for key in named.values() if key})
            for batch in (wanted[n : n + BATCH] for n in range(0, len(wanted), BATCH)):
                page = client.shipments_by_id(batch)
                mine = [id_ for id_, key in named.items() if key in set(batch)]
                with connected(systems.engine) as connection:
                    levels = systems.settings.service_levels
                    total.add(keep(connection, f"{kind}__{SHIPMENTS}", page, reading, levels))
                    settle(connection, mine, "read")
            with connected(systems.engine) as connection:
                others = [id_ for id_, key in named.items() if not key]
                settle(connection, others, "names nothing we follow")


def _named(kind: str, rows: Sequence[Mapping[str, Any]]) -> dict[int, str | None]:
    """The shipment that each delivery names, if it names one."""
    found: dict[int, str | None] = {}
    for row in rows:
        body = _json(row["body"])
        named = hinted(kind, row["topic"], body) if body else ("shipment", row["resource_id"])
        found[row["id"]] = named[1] if named and named[0] == "shipment" else None
    return found


def _json(body: bytes) -> dict[str, Any]:
    """A body that was checked when it came; a replayed delivery has none."""
    try:
        value = json.loads(bytes(body) or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


# ---------------------------------------------------------------- carriers


def trackers(
    systems: Systems, carrier: str, run_id: str | None, *, only_due: bool = False
) -> Tally:
    """Follow what an account's webhooks name, track what is under way, ask what else changed."""
    total, account = Tally(), systems.settings.carriers[carrier]
    with systems.carrier(carrier) as client:
        total.add(_follow_trackers(systems, client, carrier, run_id))
        total.add(_track_new(systems, client, carrier, run_id))
        if not only_due or is_due(systems, carrier, TRACKERS, account.poll_seconds):
            began = systems.now()
            with connected(systems.engine) as connection:
                since = raw.complete_until(connection, carrier, TRACKERS)
            pages = client.trackers_changed_since(since or systems.settings.backfill_from, OVERLAP)
            reading = raw.Reading(carrier, "delta", began, run_id)
            total.add(_kept(systems, f"easypost__{TRACKERS}", pages, reading))
            was_read(systems, carrier, TRACKERS, began)
    return total


def _follow_trackers(systems: Systems, client: Any, carrier: str, run_id: str | None) -> Tally:
    total = Tally()
    while True:
        with taken(systems, "easypost", carrier, Kinds(RETURNS, False), run_id) as (rows, settle):
            if not rows:
                return total
            named = {
                row["id"]: easypost.hinted(body)
                if (body := _json(row["body"]))
                else row["resource_id"]
                for row in rows
            }
            page = client.trackers_by_id(sorted({key for key in named.values() if key}))
            reading = raw.Reading(carrier, "webhook", systems.now(), run_id)
            with connected(systems.engine) as connection:
                levels = systems.settings.service_levels
                total.add(keep(connection, f"easypost__{TRACKERS}", page, reading, levels))
                settle(connection, list(named), "read")


def _track_new(systems: Systems, client: Any, carrier: str, run_id: str | None) -> Tally:
    """Have parcels tracked that left and that no tracker is known of; the account tells on."""
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            """
            select p.parcel_ref, p.tracking_number, p.carrier from core.parcels p
            where p.state in ('unknown', 'label_created') and p.tracking_number is not null
              and not exists (select from core.ref r
                where r.our_ref = p.parcel_ref and r.kind = 'parcel')
              and exists (select from core.shipment_lines l where l.parcel_ref = p.parcel_ref)
            order by p.parcel_ref limit :most
            """,
            most=TAKEN,
        )
    total = Tally()
    for batch in (rows[n : n + BATCH] for n in range(0, len(rows), BATCH)):
        total.add(_track(systems, client, carrier, batch, run_id))
    return total


def _track(
    systems: Systems,
    client: Any,
    carrier: str,
    rows: Sequence[Mapping[str, Any]],
    run_id: str | None,
) -> Tally:
    answers = client.track(
        [(row["tracking_number"], easypost.carrier_name(row["carrier"])) for row in rows]
    )
    page: Page = [one for one in answers.values() if isinstance(one, Raw)]
    by_number = {row["tracking_number"]: row["parcel_ref"] for row in rows}
    reading = raw.Reading(carrier, "read_back", systems.now(), run_id)
    with connected(systems.engine) as connection:
        levels = systems.settings.service_levels
        total = keep(connection, f"easypost__{TRACKERS}", page, reading, levels)
        found = [
            refs.Ref(by_number[number], "parcel", carrier, "tracker", one.resource_id, number)
            for number, one in answers.items()
            if isinstance(one, Raw) and number in by_number
        ]
        refs.remember(connection, found, systems.now())
    return total


def carriers_answers(systems: Systems, run_id: str | None) -> Tally:
    """Keep carriers' own answers that were pushed to us: topic `tracking.<carrier>`, JSON
    `{"id": …, "answer": "the answer as text"}`.
    """
    total = Tally()
    for name, endpoint in systems.settings.webhooks.items():
        if endpoint.scheme != GENERIC:
            continue
        while True:
            kinds = Kinds(("tracking",), True)
            with taken(systems, GENERIC, name, kinds, run_id) as (rows, settle):
                if not rows:
                    break
                with connected(systems.engine) as connection:
                    for row in rows:
                        total.add(_answer(systems, connection, row, run_id))
                    settle(connection, [row["id"] for row in rows], "read")
    return total


def _answer(
    systems: Systems, connection: Connection, row: Mapping[str, Any], run_id: str | None
) -> Tally:
    body, carrier = _json(row["body"]), str(row["topic"]).partition(".")[2]
    named, answer = row["resource_id"] or f"inbox-{row['id']}", body.get("answer")
    reading = raw.Reading(carrier, "webhook", row["received_at"], run_id, row["correlation_id"])
    levels = systems.settings.service_levels
    if not isinstance(answer, str) or not carrier:
        broken = Broken(carrier or "unknown", named, str(body)[:1000], "has no text in `answer`")
        return keep(connection, f"{CARRIERS}", [broken], reading, levels)
    return keep_answer(connection, carrier, named, answer, reading, systems)


def keep_answer(
    connection: Connection,
    carrier: str,
    named: str,
    answer: str,
    reading: raw.Reading,
    systems: Systems,
) -> Tally:
    """Keep one answer of a carrier as it is."""
    text = json.dumps({"text": answer}, ensure_ascii=False)
    thing = Raw(named, text, {"text": answer}, reading.received_at)
    return keep(connection, CARRIERS, [thing], reading, systems.settings.service_levels)
