"""Requests to send something back: deliveries of senders we know, in our own contract, once each.

A request is named by its sender's own reference: told twice it is one return. One that cannot be
read is set aside with its reason and that reference.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from resources.store import exceptions, inbox, raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.inbox import Kinds
from resources.wiring import Systems
from sync_assets.domain.after_sale import ReturnLine
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.returns import Source
from sync_assets.leasing import worker_name
from sync_assets.mappers import return_requests
from sync_assets.mappers.return_requests import ReturnRequest
from sync_assets.mapping import Mapped, chunks, parsed
from sync_assets.reading import Tally
from sync_assets.returns import opening
from sync_assets.returns.opening import Told
from sync_assets.trouble import exceptional

TABLE = "requests__returns"
SCHEME, TOPIC = "hmac", "return.requested"
TAKEN = 500
#: Requests a person types in are kept as if a sender of this name had sent them.
DESK = "desk"
Body = Mapping[str, Any]


@dataclass
class Deliveries:
    """Deliveries of one endpoint that this worker holds."""

    connection: Connection
    endpoint: str
    worker: str
    now: datetime
    rows: list[Row]

    def settle(self, row: Row, outcome: str) -> None:
        """End one as read."""
        inbox.settle(
            self.connection, [row["id"]], worker=self.worker, now=self.now, outcome=outcome
        )


def each_batch(
    systems: Systems,
    source: str,
    endpoint: str,
    kinds: Kinds,
    run_id: str | None,
    work: Callable[[Deliveries], None],
) -> None:
    """Take an endpoint's deliveries of these kinds, a batch and a transaction at a time.

    Their bodies are what was signed, so here they are the truth and not a hint.
    """
    worker = worker_name(run_id)
    while True:
        now = systems.now()
        with connected(systems.engine) as connection:
            hints = inbox.lease(
                connection,
                source=source,
                store=endpoint,
                worker=worker,
                now=now,
                limit=TAKEN,
                kinds=kinds,
            )
            ids = [one for found in hints.values() for one in found]
            if not ids:
                return
            rows = read_rows(connection, _BODIES, ids=ids)
            work(Deliveries(connection, endpoint, worker, now, rows))


_BODIES = """
select id, topic, body, signature, received_at, correlation_id from ops.inbox
where id = any(:ids) order by id
"""


def read(systems: Systems, endpoint: str, run_id: str | None) -> Tally:
    """Keep what an endpoint's senders asked for."""
    total = Tally()
    each_batch(
        systems,
        SCHEME,
        endpoint,
        Kinds(("return",)),
        run_id,
        lambda batch: _keep(systems, batch, run_id, total),
    )
    return total


def _keep(systems: Systems, batch: Deliveries, run_id: str | None, total: Tally) -> None:
    for row in batch.rows:
        total.seen += 1
        if row["topic"] != TOPIC or row["signature"] != "valid":
            batch.settle(row, "names nothing we follow")
            continue
        said = bytes(row["body"]).decode(errors="replace")
        body: Body = {}
        try:
            body = parsed(said)
            wanted = return_requests.request(body)
        except Rejected as refusal:
            total.broken += 1
            _set_aside(systems, batch, row, body, refusal.problems)
            continue
        one = raw.Said(wanted.reference, row["received_at"], said)
        reading = raw.Reading(batch.endpoint, "webhook", batch.now, run_id, row["correlation_id"])
        new, refused = raw.append_storable(batch.connection, TABLE, [one], reading)
        if refused:
            total.broken += 1
            problem = Problem("thing.malformed", "body", refused[0][1])
            _set_aside(systems, batch, row, body, [problem])
            continue
        total.new += new
        batch.settle(row, "read")


def _set_aside(
    systems: Systems, batch: Deliveries, row: Row, body: Body, problems: list[Problem]
) -> None:
    """Keep a bad request where it is, with its reasons, and tell whose it was."""
    reference = return_requests.reference_of(body)
    reasons = "; ".join(f"{one.part}: {one.message}" for one in problems)
    found = exceptional(
        Problem("thing.malformed", problems[0].part, f"delivery {row['id']}: {reasons}"),
        f"{batch.endpoint}:{TABLE}:{reference or row['id']}",
        systems.settings.service_levels,
        sender_ref=reference,
        can_release=True,
    )
    exceptions.open_all(batch.connection, [found], now=batch.now)
    inbox.quarantine(batch.connection, [row["id"]], now=batch.now, outcome=reasons[:2000])


# ---------------------------------------------------------------- mapping


def map_requests(systems: Systems, run_id: str | None) -> Mapped:
    """Open a return for every request that has none."""
    total = Mapped()
    with connected(systems.engine) as connection:
        opening.forget_unplaced(connection, TABLE)
    for connection, versions in chunks(systems, TABLE):
        subjects = [f"{one['source']}:{TABLE}:{one['resource_id']}" for one in versions]
        for version in versions:
            accept(connection, systems, version, run_id)
            total.mapped += 1
        # A request that can be read ends the trouble with the one before.
        exceptions.reconcile(
            connection, [], subjects=subjects, codes=["thing.malformed"], now=systems.now()
        )
    return total


def accept(connection: Connection, systems: Systems, version: Row, run_id: str | None) -> str:
    """Open the return of a request, or add to it what it did not say before; answers its key."""
    wanted = return_requests.request(parsed(version["payload"]))
    told = _told(connection, version, wanted)
    order = opening.find_order(connection, wanted.order, wanted.store)
    held = opening.of_sender(connection, told.sender_ref)
    if held is None:
        if order is not None:
            told = _with_lines(connection, told, wanted, order)
        return opening.begin(connection, systems, told, order, run_id)
    ref = str(held["return_ref"])
    if held["order_ref"] is None and order is not None:
        placed = _with_lines(connection, told, wanted, order)
        opening.keep_lines(connection, ref, placed.lines, run_id)
        opening.place(connection, systems, held, told, order)
    opening.learn(connection, held, wanted.tracking_number, None)
    opening.look_again(connection, systems, held["order_ref"] or order)
    return ref


def _told(connection: Connection, version: Row, wanted: ReturnRequest) -> Told:
    lines = tuple(
        _line(number, None, one.sku or f"line {one.line_id}", one.units, wanted)
        for number, one in enumerate(wanted.lines)
    )
    return Told(
        source=wanted.source,
        sender_ref=f"{version['source']}:{wanted.reference}",
        actor=f"sender:{version['source']}",
        cause=f"{TABLE} version {version['version']}",
        requested_at=wanted.requested_at or version["changed_at"],
        lines=lines,
        reason=wanted.reason,
        is_exchange=wanted.is_exchange,
        tracking_number=wanted.tracking_number,
        location=wanted.location,
        reference=wanted.order,
    )


def _line(
    number: int, line_ref: str | None, sku: str, units: int, wanted: ReturnRequest
) -> ReturnLine:
    """Announced units; what is handed in at a store is there at once."""
    here = units if wanted.source == Source.STORE_DROPOFF else 0
    return ReturnLine(number, line_ref, sku, units, here)


def _with_lines(connection: Connection, told: Told, wanted: ReturnRequest, order: str) -> Told:
    """The request with the lines of its order that it names by the shop's id."""
    skus = opening.skus_of(connection, order)
    lines = []
    for number, one in enumerate(wanted.lines):
        ref = f"{order}:product:{one.line_id}" if one.line_id else None
        known = ref if ref in skus else None
        sku = skus[known] if known else one.sku or f"line {one.line_id}"
        lines.append(_line(number, known, sku, one.units, wanted))
    return Told(**{**vars(told), "lines": tuple(lines)})


def replacement_of(connection: Connection, sender_ref: str | None) -> ReturnRequest | None:
    """The request behind a return, as it was said; None where nobody asked."""
    source, _, reference = (sender_ref or "").partition(":")
    rows = read_rows(
        connection,
        f"select payload::text as payload from raw.{TABLE} "  # noqa: S608
        "where source = :source and resource_id = :id order by changed_at, version limit 1",
        source=source,
        id=reference,
    )
    return return_requests.request(parsed(rows[0]["payload"])) if rows else None


def put(connection: Connection, systems: Systems, wanted: ReturnRequest, run_id: str | None) -> str:
    """Keep a request a person typed in, and open its return; answers its key."""
    said = json.dumps(return_requests.body_of(wanted))
    now = systems.now()
    one = raw.Said(wanted.reference, now, said)
    raw.append(connection, TABLE, [one], raw.Reading(DESK, "webhook", now, run_id))
    version = read_rows(
        connection,
        f"select version, source, resource_id, changed_at, payload::text as payload "  # noqa: S608
        f"from raw.{TABLE} where source = :source and resource_id = :id "
        "order by changed_at desc, version desc limit 1",
        source=DESK,
        id=wanted.reference,
    )[0]
    ref = accept(connection, systems, version, run_id)
    raw.mark_mapped(connection, TABLE, [version], now)
    return ref
