"""Following hints: deliveries name things, the things are read again from the shop in batches.

A delivery's body is never trusted: it may be stale, merged, late or repeated. What was read and the
end of its deliveries are one transaction, so a run that dies leaves them to the next one.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection

from resources.errors import RemoteError
from resources.store import inbox, raw
from resources.store.engine import connected
from resources.store.frames import scalar
from resources.systems.woocommerce import Broken, Raw, WooCommerce
from resources.wiring import Systems
from sync_assets.orders import scanning
from sync_assets.orders.reading import changed_orders
from sync_assets.reading import Tally, keep

SOURCE = "woocommerce"
#: Deliveries taken at once; their things are read in pages of a hundred.
TAKEN = 1000
BATCH = 100
Ask = Callable[[Iterable[str]], list[Raw | Broken]]


def arrived(systems: Systems, store: str, run_id: str | None, *, only_due: bool) -> Tally:
    """Follow a store's hints, then ask it what else changed; `only_due`: if it is time to ask."""
    total = follow(systems, store, run_id)
    if not only_due or is_due(systems, store):
        total.add(changed_orders(systems, store, run_id))
    return total


def is_due(systems: Systems, store: str) -> bool:
    """Whether the store was not asked for changes within its poll interval."""
    with connected(systems.engine) as connection:
        asked_at = scalar(
            connection,
            "select updated_at from ops.watermark where source = :store and stream = 'orders'",
            store=store,
        )
    pause = timedelta(seconds=systems.settings.stores[store].poll_seconds)
    return asked_at is None or systems.now() - asked_at >= pause


def follow(systems: Systems, store: str, run_id: str | None) -> Tally:
    """Read again what a store's deliveries name, until none is due."""
    worker, total = f"{run_id or 'local'}/{uuid.uuid4().hex[:8]}", Tally()
    with systems.shop(store) as shop:
        while True:
            now = systems.now()
            with connected(systems.engine) as connection:
                hints = inbox.lease(
                    connection, source=SOURCE, store=store, worker=worker, now=now, limit=TAKEN
                )
            if not hints:
                return total
            reader = _Reader(systems, store, run_id, worker, now)
            try:
                total.add(reader.read(shop, hints))
            except RemoteError:
                reader.give_back([one for ids in hints.values() for one in ids])
                raise


class _Reader:
    """One batch of hints of one worker."""

    def __init__(
        self, systems: Systems, store: str, run_id: str | None, worker: str, now: datetime
    ) -> None:
        self.systems, self.worker, self.now = systems, worker, now
        self.reading = raw.Reading(store, "webhook", now, run_id)

    def read(self, shop: WooCommerce, hints: dict[tuple[str, str], list[int]]) -> Tally:
        """Read the things of each kind; settle what names nothing we keep."""
        asks: dict[str, tuple[str, Ask]] = {
            "order": ("woocommerce__orders", shop.orders_by_id),
            "customer": ("woocommerce__customers", shop.customers_by_id),
        }
        useful: dict[str, dict[str, list[int]]] = {kind: {} for kind in asks}
        other: list[int] = []
        for (kind, key), ids in hints.items():
            if kind in asks and _is_id(key):
                useful[kind][key] = ids
            else:
                other += ids
        self._settle(other, "names nothing we follow")
        total = Tally()
        for kind, named in useful.items():
            for batch in _batches(named):
                total.add(self._batch(shop, *asks[kind], batch))
        return total

    def _batch(self, shop: WooCommerce, table: str, ask: Ask, named: dict[str, list[int]]) -> Tally:
        found = ask(named)
        there = {one.resource_id for one in found}
        absent = [key for key in named if key not in there]
        if absent and table == "woocommerce__orders":
            scanning.keep_gone(self.systems, shop, self.reading.source, absent, self.reading.run_id)
        with connected(self.systems.engine) as connection:
            levels = self.systems.settings.service_levels
            tally = keep(connection, table, found, self.reading, levels)
            for key, ids in named.items():
                self._end(connection, ids, "read" if key in there else "gone")
        return tally

    def _end(self, connection: Connection, ids: list[int], outcome: str) -> None:
        inbox.settle(connection, ids, worker=self.worker, now=self.now, outcome=outcome)

    def _settle(self, ids: list[int], outcome: str) -> None:
        if ids:
            with connected(self.systems.engine) as connection:
                self._end(connection, ids, outcome)

    def give_back(self, ids: list[int]) -> None:
        """Let what was not read wait; what was read already is settled and stays so."""
        with connected(self.systems.engine) as connection:
            inbox.give_back(connection, ids, worker=self.worker, now=self.systems.now())


def _is_id(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 19


def _batches(named: dict[str, list[int]]) -> Iterator[dict[str, list[int]]]:
    keys = list(named)
    for start in range(0, len(keys), BATCH):
        yield {key: named[key] for key in keys[start : start + BATCH]}
