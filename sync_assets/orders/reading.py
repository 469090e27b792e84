"""What the shops and ERPs say, kept as said: the steps behind the raw assets.

A stream's watermark moves in the transaction that stores what was read, so a run that dies
anywhere repeats a page at most. One store that does not answer never stops the others.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from resources.errors import Paused, RemoteError
from resources.http import correlated, in_lane
from resources.settings import ServiceLevels
from resources.store import exceptions, inbox, raw
from resources.store.engine import connected
from resources.store.frames import scalar
from resources.store.systems import end_drain
from resources.systems.woocommerce import Broken, Raw
from resources.wiring import Systems
from sync_assets.domain.frames import DISTANT_PAST
from sync_assets.domain.orders import Problem
from sync_assets.orders.trouble import exceptional

Page = list[Raw | Broken]
#: What was received at a moment is in the table by then.
COMMITTED_WITHIN = timedelta(minutes=10)
#: Master data and scans let orders go first where calls are scarce.
LANE_OF = dict.fromkeys(("customers", "items", "orders_scan", "customers_scan"), "catalog")


@dataclass
class Tally:
    """What one reading step saw."""

    seen: int = 0
    new: int = 0
    broken: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    #: Sources nobody may ask now, because a person said so; nothing is wrong with them.
    paused: dict[str, str] = field(default_factory=dict)
    faults: list[RemoteError] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        self.seen += other.seen
        self.new += other.new
        self.broken += other.broken


def each_source(
    systems: Systems, names: Iterable[str], stream: str, read: Callable[[str], Tally]
) -> Tally:
    """Read every source; one that fails is an exception with an owner, the others go on."""
    total = Tally()
    for name in names:
        try:
            with correlated(uuid.uuid4().hex), in_lane(LANE_OF.get(stream, "order")):
                total.add(read(name))
            fault = None
        except Paused as pause:
            total.paused[name] = str(pause)
            continue
        except RemoteError as error:
            fault = error
            total.failed[name] = str(error)
            total.faults.append(error)
        _tell(systems, name, stream, fault)
    return total


def _tell(systems: Systems, name: str, stream: str, fault: RemoteError | None) -> None:
    code, subject = "system.unreadable", f"{name}/{stream}"
    levels = systems.settings.service_levels
    found = [exceptional(Problem(code, "", str(fault)), subject, levels)] if fault else []
    with connected(systems.engine) as connection:
        exceptions.reconcile(connection, found, subjects=[subject], codes=[code], now=systems.now())
        if fault is None:
            end_drain(connection, name, systems.now())


def changed_orders(systems: Systems, store: str, run_id: str | None) -> Tally:
    """Keep every order of a store that changed since the last reading, trashed ones too."""
    now, settings = systems.now(), systems.settings
    until = now - timedelta(seconds=settings.stores[store].lag_seconds)
    total = Tally()
    with systems.shop(store) as shop:
        for stream, read, via in (
            ("orders", shop.orders_changed_since, "delta"),
            ("orders_trashed", shop.orders_trashed_since, "trash"),
        ):
            since = _resume_at(systems, store, stream)
            reading = raw.Reading(store, via, now, run_id)
            total.add(_keep_stream(systems, stream, read(since, until), reading, until))
    return total


def _resume_at(systems: Systems, store: str, stream: str) -> datetime:
    overlap = timedelta(seconds=systems.settings.stores[store].overlap_seconds)
    with connected(systems.engine) as connection:
        moment = raw.complete_until(connection, store, stream)
    return moment - overlap if moment else systems.settings.backfill_from


def _keep_stream(
    systems: Systems,
    stream: str,
    pages: Iterator[Page],
    reading: raw.Reading,
    until: datetime,
) -> Tally:
    """Store pages in the order of change, the watermark with each."""
    total = Tally()
    for page in pages:
        with connected(systems.engine) as connection:
            levels = systems.settings.service_levels
            total.add(keep(connection, "woocommerce__orders", page, reading, levels))
            reached = max(
                (thing.changed_at for thing in page if isinstance(thing, Raw)), default=None
            )
            if reached:  # a stamp from the future must not skip what comes until then
                moment = min(reached, until)
                raw.move_watermark(connection, reading.source, stream, moment, reading.received_at)
    with connected(systems.engine) as connection:
        raw.move_watermark(connection, reading.source, stream, until, reading.received_at)
    return total


def orders_of_day(
    systems: Systems, store: str, start: datetime, end: datetime, run_id: str | None
) -> Tally:
    """Keep every order a store took between two moments; the delta's watermark stays."""
    reading = raw.Reading(store, "backfill", systems.now(), run_id)
    total = Tally()
    with systems.shop(store) as shop:
        for page in shop.orders_placed_between(start, end):
            total.add(kept(systems, "woocommerce__orders", page, reading))
    return total


def customers(systems: Systems, store: str, run_id: str | None) -> Tally:
    """Keep every customer account; the shop offers no delta for them."""
    reading = raw.Reading(store, "delta", systems.now(), run_id)
    total = Tally()
    with systems.shop(store) as shop:
        for page in shop.customers():
            total.add(kept(systems, "woocommerce__customers", page, reading))
    _was_read(systems, store, "customers", reading.received_at)
    return total


def _was_read(systems: Systems, source: str, stream: str, at: datetime) -> None:
    """Remember when a list without changes was read whole."""
    with connected(systems.engine) as connection:
        raw.move_watermark(connection, source, stream, at, systems.now())


def notes_of_changed(systems: Systems, store: str, run_id: str | None) -> Tally:
    """Keep the notes of orders that came since notes were last read; one call an order."""
    reading = raw.Reading(store, "delta", systems.now(), run_id)
    with connected(systems.engine) as connection:
        ids = scalar(
            connection,
            "select array_agg(distinct resource_id) from raw.woocommerce__orders "
            "where source = :store and received_at > coalesce("
            "cast(:since as timestamptz) - cast(:slack as interval), '-infinity')",
            store=store,
            since=raw.complete_until(connection, store, "order_notes"),
            slack=COMMITTED_WITHIN,
        )
    total = Tally()
    with systems.shop(store) as shop:
        for order_id in ids or []:
            page = list(shop.order_notes(order_id))
            total.add(kept(systems, "woocommerce__order_notes", page, reading))
    _was_read(systems, store, "order_notes", reading.received_at)
    return total


def items(systems: Systems, erp: str, run_id: str | None) -> Tally:
    """Keep every sellable item of an ERP that we do not hold in its newest form."""
    import json

    kind = systems.settings.erps[erp].kind
    reading = raw.Reading(erp, "delta", systems.now(), run_id)
    total = Tally()
    with systems.erp(erp) as client:
        for page in client.items():
            said = [
                raw.Said(str(item["id"]), DISTANT_PAST, json.dumps(item, default=str))
                for item in page
            ]
            with connected(systems.engine) as connection:
                new = raw.append(connection, f"{kind}__items", said, reading)
            total.add(Tally(seen=len(page), new=new))
    _was_read(systems, erp, "items", reading.received_at)
    return total


def kept(systems: Systems, table: str, page: Page, reading: raw.Reading) -> Tally:
    """Store one page in a transaction of its own."""
    with connected(systems.engine) as connection:
        return keep(connection, table, page, reading, systems.settings.service_levels)


def keep(
    connection: Connection,
    table: str,
    page: Page,
    reading: raw.Reading,
    levels: ServiceLevels,
) -> Tally:
    """Store one page; what is no object of its kind goes to the inbox as quarantined."""
    whole = [thing for thing in page if isinstance(thing, Raw)]
    broken = [thing for thing in page if isinstance(thing, Broken)]
    said = [raw.Said(thing.resource_id, thing.changed_at, thing.text) for thing in whole]
    new, refused = raw.append_storable(connection, table, said, reading)
    broken += [Broken(reading.source, one.resource_id, one.text, reason) for one, reason in refused]
    for thing in broken:
        quarantine(connection, table, thing, reading, levels)
    return Tally(seen=len(page), new=new, broken=len(broken))


def quarantine(
    connection: Connection,
    table: str,
    thing: Broken,
    reading: raw.Reading,
    levels: ServiceLevels,
) -> None:
    """Set one unreadable thing aside, body and reason, once however often it is read."""
    found = _unreadable(table, thing, reading, levels)
    if not exceptions.open_all(connection, [found], now=reading.received_at, run_id=reading.run_id):
        return
    delivery = inbox.Delivery(
        source=reading.source,
        store=reading.source,
        topic=table,
        resource_id=thing.resource_id,
        body=thing.text.encode(errors="surrogatepass"),
        correlation_id=reading.correlation_id or uuid.uuid4().hex,
        received_at=reading.received_at,
    )
    ids = inbox.append(connection, [delivery])
    inbox.quarantine(connection, ids, now=reading.received_at, outcome=thing.reason)


def _unreadable(
    table: str, thing: Broken, reading: raw.Reading, levels: ServiceLevels
) -> exceptions.Exceptional:
    """A mended version closes it by itself; a thing without an id has none, a person ends it."""
    is_order = table == "woocommerce__orders"
    named = thing.resource_id or "unknown"
    digest = raw.Said("", reading.received_at, thing.text or thing.reason).content_hash.hex()[:12]
    return exceptional(
        Problem("order.malformed" if is_order else "thing.malformed", digest, thing.reason),
        f"{reading.source}:{named}" if is_order else f"{reading.source}:{table}:{named}",
        levels,
        sender_ref=thing.resource_id,
        can_release=thing.resource_id is None,
    )
