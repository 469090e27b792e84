"""What neither webhooks nor deltas tell: orders deleted for good, and ids we never saw.

Lists are compared by id. A list that moves while it is read shows too little, so nothing is
believed gone before the shop said so of its very id; and many at once are not believed at all
before a person did, because a shop restored from a backup looks just so.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from resources.store import exceptions, raw
from resources.store.engine import connected
from resources.store.frames import read_rows, scalar
from resources.systems.woocommerce import Broken, Raw, WooCommerce
from resources.wiring import Systems
from sync_assets.domain.exception_kinds import MAPPING_CODES
from sync_assets.domain.frames import DISTANT_PAST
from sync_assets.domain.orders import OrderState, Problem
from sync_assets.domain.planning import ENDED
from sync_assets.orders import gone
from sync_assets.reading import Tally, each_source, kept
from sync_assets.trouble import exceptional

ORDERS, CUSTOMERS = "woocommerce__orders", "woocommerce__customers"
#: How far back orders are looked after; older ones are long shipped and paid.
DAYS = 60
BATCH = 100
#: Each order not listed costs calls of its own; the others have their turn with the next scan.
MOST_CHECKED = 1000
#: So many live orders, or this share of those we hold, may vanish at once and be believed.
MOST_GONE, GONE_SHARE = 20, 0.05
MASS = "store.orders_vanished"


@dataclass
class Scan(Tally):
    """What one scan found; `seen` and `new` count what was read because its id was unknown."""

    listed: int = 0
    gone: int = 0
    #: Gone as the shop says, and not believed before a person releases the exception.
    withheld: int = 0
    unchecked: int = 0

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        super().add(other)
        if isinstance(other, Scan):
            self.listed += other.listed
            self.gone += other.gone
            self.withheld += other.withheld
            self.unchecked += other.unchecked


@dataclass(frozen=True)
class Held:
    """What we hold of a store's orders from an id on."""

    floor: int
    #: Live orders of the window, and those set aside, by id; the state of the latter is None.
    states: Mapping[int, str | None]
    #: Without those that were gone: shown again, they are as good as new.
    known: frozenset[int]
    #: The newest version of all when we looked; what is newer was read meanwhile.
    version: int


def scan_all(systems: Systems, run_id: str | None, *, days: int | None = DAYS) -> Scan:
    """Scan orders and accounts of every store; one that does not answer stops no other."""
    total = Scan()

    def counted(scan: Callable[..., Scan], **more: Any) -> Callable[[str], Scan]:
        def one(store: str) -> Scan:
            found = scan(systems, store, run_id, **more)
            total.add(found)
            return found

        return one

    for stream, scan in (
        ("orders_scan", counted(scan_orders, days=days)),
        ("customers_scan", counted(scan_customers)),
    ):
        tally = each_source(systems, systems.settings.stores, stream, scan)
        total.failed |= tally.failed
        total.paused |= tally.paused
        total.faults += tally.faults
    return total


def scan_orders(
    systems: Systems, store: str, run_id: str | None, *, days: int | None = DAYS
) -> Scan:
    """Keep orders whose ids we never saw, and end those that are gone for good; None days is ever.

    Before a store was read for the first time there is nothing to compare.
    """
    started = systems.now()
    with connected(systems.engine) as connection:
        if raw.complete_until(connection, store, "orders") is None:
            return Scan()
        since = started - timedelta(days=days) if days is not None else DISTANT_PAST
        held = _held(connection, store, since)
    with systems.shop(store) as shop:
        listed = shop.order_ids(held.floor) | shop.order_ids(held.floor, trashed=True)
        absent = sorted(held.states.keys() - listed)
        total = Scan(listed=len(listed), unchecked=max(0, len(absent) - MOST_CHECKED))
        absent = absent[:MOST_CHECKED]
        reading = raw.Reading(store, "scan", started, run_id)
        unknown = [*sorted(listed - held.known), *absent]
        there = _look_up(systems, shop, unknown, reading, total)
        said = _answers(shop, [one for one in absent if one not in there])
    with connected(systems.engine) as connection:
        withheld = set(_withheld(connection, systems, store, said, held, run_id))
        believed = {one: answer for one, answer in said.items() if one not in withheld}
        total.gone = _believe(connection, systems, store, believed, held, run_id)
        total.withheld = len(withheld)
    return total


def _look_up(
    systems: Systems, shop: WooCommerce, ids: Sequence[int], reading: raw.Reading, total: Scan
) -> set[int]:
    """Keep the orders that exist, and answer their ids; one being built is left to the delta."""
    lag = timedelta(seconds=systems.settings.stores[reading.source].lag_seconds)
    there: set[int] = set()
    for batch in _batches(ids):
        page = shop.orders_by_id(batch)
        there |= {int(one.resource_id) for one in page if one.resource_id}
        whole = [one for one in page if _is_settled(one, reading.received_at - lag)]
        total.add(kept(systems, ORDERS, whole, reading))
    return there


def _is_settled(one: Raw | Broken, until: datetime) -> bool:
    return isinstance(one, Broken) or one.changed_at <= until


def scan_customers(systems: Systems, store: str, run_id: str | None, *, holes: bool = True) -> Scan:
    """Keep accounts whose ids we never saw: above the greatest known, and in the `holes` below.

    Accounts tell no time of change; edits come with webhooks and the full reading.
    """
    with connected(systems.engine) as connection:
        known = _ids(connection, CUSTOMERS, store, 1)
    down_to = 1 if holes else max(known, default=0) + 1
    reading = raw.Reading(store, "scan", systems.now(), run_id)
    with systems.shop(store) as shop:
        listed = shop.customer_ids(down_to)
        total = Scan(listed=len(listed))
        for batch in _batches(sorted(listed - known)):
            total.add(kept(systems, CUSTOMERS, shop.customers_by_id(batch), reading))
    return total


def keep_gone(
    systems: Systems, shop: WooCommerce, store: str, ids: Iterable[str], run_id: str | None
) -> int:
    """Ask again for orders that a reading by id did not find, and end those that are gone.

    For hints that name an order nobody finds; answers how many of ours ended. Many at once are
    left to the scan.
    """
    wanted = [int(one) for one in ids]
    with connected(systems.engine) as connection:
        held = _held(connection, store, DISTANT_PAST, only=wanted)
    said = _answers(shop, [one for one in wanted if one in held.states])
    if len(said) > MOST_GONE:
        return 0
    with connected(systems.engine) as connection:
        return _believe(connection, systems, store, said, held, run_id)


def _held(
    connection: Connection, store: str, since: datetime, only: Sequence[int] | None = None
) -> Held:
    rows = read_rows(
        connection,
        """
        select order_id, state from core.orders
        where store = :store and placed_at >= :since
          and (cast(:only as text[]) is null or order_id = any(:only))
        union all
        select distinct split_part(subject_ref, ':', 2), null from ops.exception
        where state = 'open' and code = any(:codes) and starts_with(subject_ref, :store || ':')
          and not exists (select from core.orders o where o.order_ref = subject_ref)
          and (cast(:only as text[]) is null or split_part(subject_ref, ':', 2) = any(:only))
        """,
        store=store,
        since=since,
        codes=MAPPING_CODES,
        only=[str(one) for one in only] if only is not None else None,
    )
    every = {int(row["order_id"]): row["state"] for row in rows if row["order_id"].isdecimal()}
    placed = [one for one, state in every.items() if state is not None]
    states = {one: state for one, state in every.items() if state != OrderState.TRASHED}
    floor = min(placed) if placed else _greatest(connection, store) + 1
    known = frozenset[int]()
    if only is None:
        known = _ids(connection, ORDERS, store, floor) - _ended(connection, store)
    version = scalar(connection, "select coalesce(max(version), 0) from raw.woocommerce__orders")
    return Held(floor, states, known, int(version))


def _ended(connection: Connection, store: str) -> set[int]:
    rows = read_rows(
        connection,
        "select order_id::bigint as id from core.orders "
        "where store = :store and shop_status = :deleted",
        store=store,
        deleted=gone.DELETED["shop_status"],
    )
    return {int(row["id"]) for row in rows}


def _greatest(connection: Connection, store: str) -> int:
    query = "select max(resource_id::bigint) from raw.woocommerce__orders where source = :store"
    return int(scalar(connection, query, store=store) or 0)


def _ids(connection: Connection, table: str, store: str, floor: int) -> frozenset[int]:
    """Ids of all things of which we hold a version."""
    rows = read_rows(
        connection,
        f"select distinct resource_id::bigint as id from raw.{table} "  # noqa: S608
        "where source = :store and resource_id::bigint >= :floor",
        store=store,
        floor=floor,
    )
    return frozenset(int(row["id"]) for row in rows)


def _answers(shop: WooCommerce, lost: Sequence[int]) -> dict[int, str]:
    """What the shop says of each order that is gone."""
    return {one: answer for one in lost if (answer := shop.why_gone(one)) is not None}


def _is_live(state: str | None) -> bool:
    """Whether an order would be cancelled in the ERP if it were gone."""
    return state is not None and state not in {*ENDED, OrderState.DRAFT}


def is_mass(vanished: int, alive: int) -> bool:
    """Whether more live orders vanished at once than anybody deletes by hand."""
    return vanished > max(MOST_GONE, int(alive * GONE_SHARE))


def _withheld(
    connection: Connection,
    systems: Systems,
    store: str,
    said: Iterable[int],
    held: Held,
    run_id: str | None,
) -> Sequence[int]:
    """Those not to be believed yet; a person who releases the exception vouches for just these."""
    subject = f"{store}/orders"
    weighty = sorted(one for one in said if _is_live(held.states[one]))
    alive = sum(map(_is_live, held.states.values()))
    part = hashlib.sha256(",".join(map(str, weighty)).encode()).hexdigest()[:12]
    is_vouched = scalar(
        connection,
        "select exists (select from ops.exception where state = 'released' and code = :code "
        "and subject_ref = :subject and part = :part)",
        code=MASS,
        subject=subject,
        part=part,
    )
    waits = weighty if is_mass(len(weighty), alive) and not is_vouched else []
    message = (
        f"{len(waits)} of {alive} live orders are gone from the shop at once, from id "
        f"{min(waits, default=0)} to {max(waits, default=0)}; was it restored from a backup? "
        "Nothing is cancelled before this is released"
    )
    found = (
        [exceptional(Problem(MASS, part, message), subject, systems.settings.service_levels)]
        if waits
        else []
    )
    exceptions.reconcile(
        connection, found, subjects=[subject], codes=[MASS], now=systems.now(), run_id=run_id
    )
    return waits


def _believe(
    connection: Connection,
    systems: Systems,
    store: str,
    said: Mapping[int, str],
    held: Held,
    run_id: str | None,
) -> int:
    """Keep each answer as its order's newest version; not where it was read again meanwhile.

    It takes the time of the last change, so that the order counts as alive again if the shop
    shows it once more, be it unchanged from a backup.
    """
    newest = {row["resource_id"]: row for row in _newest(connection, store, said)}
    reading, things = raw.Reading(store, gone.VIA, systems.now(), run_id), []
    for one, answer in said.items():
        row = newest.get(str(one), {"changed_at": DISTANT_PAST, "version": 0, "via": ""})
        if row["via"] != gone.VIA and row["version"] <= held.version:
            things.append(raw.Said(str(one), row["changed_at"], answer))
    return raw.append(connection, ORDERS, things, reading)


def _newest(connection: Connection, store: str, ids: Iterable[int]) -> list[dict[str, Any]]:
    return read_rows(
        connection,
        "select distinct on (resource_id) resource_id, changed_at, version, via "
        "from raw.woocommerce__orders where source = :store and resource_id = any(:ids) "
        "order by resource_id, changed_at desc, version desc",
        store=store,
        ids=[str(one) for one in ids],
    )


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
