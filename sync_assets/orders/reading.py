"""What the shops say of orders and customers, kept as said: the steps behind the raw assets.

How a stream is read and what becomes of what cannot be is in `sync_assets/reading.py`.
"""

from datetime import datetime, timedelta

from resources.store import raw
from resources.store.engine import connected
from resources.store.frames import scalar
from resources.wiring import Systems
from sync_assets.reading import Tally, keep_stream, kept, resume_at, was_read

#: What was received at a moment is in the table by then.
COMMITTED_WITHIN = timedelta(minutes=10)


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
            since = resume_at(systems, store, stream)
            reading = raw.Reading(store, via, now, run_id)
            total.add(keep_stream(systems, stream, read(since, until), reading, until))
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
    was_read(systems, store, "customers", reading.received_at)
    return total


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
    was_read(systems, store, "order_notes", reading.received_at)
    return total
