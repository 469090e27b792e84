"""Reading a system and keeping what it said: the steps every subject's raw assets share.

A stream's watermark moves in the transaction that stores what was read, so a run that dies
anywhere repeats a page at most. One system that does not answer never stops the others.
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
from resources.store.systems import end_drain
from resources.systems.woocommerce import Broken, Raw
from resources.wiring import Systems
from sync_assets.domain.orders import Problem
from sync_assets.trouble import exceptional

Page = list[Raw | Broken]
#: Master data and scans let orders go first where calls are scarce; stock goes before orders.
LANE_OF = {
    **dict.fromkeys(
        ("customers", "items", "products", "variations", "orders_scan", "customers_scan"), "catalog"
    ),
    **dict.fromkeys(("stock_levels", "stock_moves", "listings"), "stock"),
}


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


def resume_at(systems: Systems, store: str, stream: str) -> datetime:
    overlap = timedelta(seconds=systems.settings.stores[store].overlap_seconds)
    with connected(systems.engine) as connection:
        moment = raw.complete_until(connection, store, stream)
    return moment - overlap if moment else systems.settings.backfill_from


def keep_stream(
    systems: Systems,
    stream: str,
    pages: Iterator[Page],
    reading: raw.Reading,
    until: datetime,
    *,
    table: str = "woocommerce__orders",
) -> Tally:
    """Store pages in the order of change, the watermark with each."""
    total = Tally()
    for page in pages:
        with connected(systems.engine) as connection:
            levels = systems.settings.service_levels
            total.add(keep(connection, table, page, reading, levels))
            reached = max(
                (thing.changed_at for thing in page if isinstance(thing, Raw)), default=None
            )
            if reached:  # a stamp from the future must not skip what comes until then
                moment = min(reached, until)
                raw.move_watermark(connection, reading.source, stream, moment, reading.received_at)
    with connected(systems.engine) as connection:
        raw.move_watermark(connection, reading.source, stream, until, reading.received_at)
    return total


def was_read(systems: Systems, source: str, stream: str, at: datetime) -> None:
    """Remember when a list without changes was read whole."""
    with connected(systems.engine) as connection:
        raw.move_watermark(connection, source, stream, at, systems.now())


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
