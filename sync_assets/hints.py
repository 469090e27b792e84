"""Following hints: deliveries name things, the things are read again from the shop in batches.

A delivery's body is never trusted: it may be stale, merged, late or repeated. What was read and the
end of its deliveries are one transaction, so a run that dies leaves them to the next one. Which
kinds of things a subject follows, and where they are kept, is said by the subjects.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from resources.errors import RemoteError
from resources.store import inbox, raw
from resources.store.engine import connected
from resources.store.frames import scalar
from resources.store.inbox import Kinds
from resources.systems.woocommerce import Broken, Raw, WooCommerce
from resources.wiring import Systems
from sync_assets.reading import Tally, keep

SOURCE = "woocommerce"
#: Products have a reader of their own, so that no order waits behind them, nor they behind orders.
PRODUCTS = Kinds(("product",), True)
ALL_BUT_PRODUCTS = Kinds(("product",), False)
#: Deliveries taken at once; their things are read in pages of a hundred.
TAKEN = 1000
BATCH = 100
Found = list[Raw | Broken]


class Thing(NamedTuple):
    """One kind of thing that deliveries name: how it is asked for, and where it is kept."""

    ask: Callable[[Iterable[str]], Found]
    table: Callable[[Raw | Broken], str]
    #: Told the ids that the shop does not show, before their deliveries are settled.
    absent: Callable[[list[str]], None] = lambda keys: None


def is_due(systems: Systems, source: str, stream: str, seconds: float) -> bool:
    """Whether a system was not asked for a list within its interval."""
    with connected(systems.engine) as connection:
        asked_at = scalar(
            connection,
            "select updated_at from ops.watermark where source = :source and stream = :stream",
            source=source,
            stream=stream,
        )
    return asked_at is None or systems.now() - asked_at >= timedelta(seconds=seconds)


def follow(
    systems: Systems,
    store: str,
    run_id: str | None,
    kinds: Kinds,
    things: Callable[[WooCommerce, raw.Reading], Mapping[str, Thing]],
) -> Tally:
    """Read again what a store's deliveries of these kinds name, until none is due."""
    worker, total = f"{run_id or 'local'}/{uuid.uuid4().hex[:8]}", Tally()
    with systems.shop(store) as shop:
        while True:
            now = systems.now()
            with connected(systems.engine) as connection:
                hints = inbox.lease(
                    connection,
                    source=SOURCE,
                    store=store,
                    worker=worker,
                    now=now,
                    limit=TAKEN,
                    kinds=kinds,
                )
            if not hints:
                return total
            reader = _Reader(systems, raw.Reading(store, "webhook", now, run_id), worker, now)
            try:
                total.add(reader.read(things(shop, reader.reading), hints))
            except RemoteError:
                reader.give_back([one for ids in hints.values() for one in ids])
                raise


class _Reader:
    """One batch of hints of one worker."""

    def __init__(self, systems: Systems, reading: raw.Reading, worker: str, now: datetime) -> None:
        self.systems, self.reading, self.worker, self.now = systems, reading, worker, now

    def read(
        self, things: Mapping[str, Thing], hints: Mapping[tuple[str, str], list[int]]
    ) -> Tally:
        """Read the things of each kind; settle what names nothing we keep."""
        useful: dict[str, dict[str, list[int]]] = {kind: {} for kind in things}
        other: list[int] = []
        for (kind, key), ids in hints.items():
            if kind in things and _is_id(key):
                useful[kind][key] = ids
            else:
                other += ids
        self._settle(other, "names nothing we follow")
        total = Tally()
        for kind, named in useful.items():
            for batch in _batches(named):
                total.add(self._batch(things[kind], batch))
        return total

    def _batch(self, thing: Thing, named: dict[str, list[int]]) -> Tally:
        found = thing.ask(named)
        there = {one.resource_id for one in found}
        absent = [key for key in named if key not in there]
        if absent:
            thing.absent(absent)
        by_table: dict[str, Found] = {}
        for one in found:
            by_table.setdefault(thing.table(one), []).append(one)
        total, levels = Tally(), self.systems.settings.service_levels
        with connected(self.systems.engine) as connection:
            for table, page in by_table.items():
                total.add(keep(connection, table, page, self.reading, levels))
            for key, ids in named.items():
                self._end(connection, ids, "read" if key in there else "gone")
        return total

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
