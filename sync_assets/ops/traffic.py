"""Other writes beside the orders of a simulation: stock levels and a whole catalogue for a shop's
account, shipments for a slow provider.

Real: the outbox with its lanes and leases, the gate with bucket and breaker, the http client. Not
real: who intends these writes, and the plain sender, which takes one due write after another; the
subjects' own pipelines are not part of this.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from random import Random

import httpx
from sqlalchemy import Connection, Engine

from resources import http
from resources.errors import NotAsked, RemoteError, Throttled, UnknownOutcome
from resources.http import in_lane
from resources.sandbox.timeline import Timeline
from resources.store import outbox
from resources.store.circuit import Rules
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.gate import StoreGate
from resources.store.outbox import LANES, Intended, Settled, Write
from resources.store.pace import Limit
from sync_assets.attempts import trouble_of
from sync_assets.domain.retries import RetryAt, next_try

SHOP, PROVIDER = "us", "tpl"
NAMES = {number: name for name, number in LANES.items()}
#: How often an idle sender looks up.
IDLE_SECONDS = 1.0
STOCK_SECONDS, SHIPMENT_SECONDS = 5.0, 20.0


@dataclass
class Traffic:
    """Intends writes, and sends them."""

    engine: Engine
    timeline: Timeline
    transports: dict[str, httpx.BaseTransport]
    limits: dict[str, Limit]
    seed: int = 0
    #: Shipments that were asked for, by the order's reference.
    asked: set[str] = field(default_factory=set)
    #: Writes put down and not ended yet, by system: a sender without any need not look.
    left: Counter[str] = field(default_factory=Counter)
    _numbers: Counter[str] = field(default_factory=Counter)

    def open(self, senders: dict[str, int]) -> None:
        """Let stock levels change, and some senders work for each system."""
        self.timeline.start("stock", self._change_stock)
        for system, many in senders.items():
            for number in range(many):
                name = f"{system}-{number}"
                self.timeline.start(name, partial(self._send, system, name))

    def push_catalogue(self, count: int) -> None:
        """Intend to write a whole catalogue at once."""
        with connected(self.engine) as connection:
            self._intend(connection, SHOP, "catalog", [f"item-{n}" for n in range(count)])

    def ship(self) -> None:
        """Ask the provider to ship what the ERP accepted, every few seconds."""
        while True:
            with connected(self.engine) as connection:
                rows = read_rows(
                    connection,
                    "select order_ref from receipt.sales_orders where outcome = 'accepted'",
                )
                new = sorted({row["order_ref"] for row in rows} - self.asked)
                self._intend(connection, PROVIDER, "shipment", new)
            self.asked |= set(new)
            self.timeline.sleep(SHIPMENT_SECONDS)

    def _change_stock(self) -> None:
        dice = Random(self.seed)  # noqa: S311
        while True:
            self.timeline.sleep(dice.expovariate(1 / STOCK_SECONDS))
            self._numbers["stock"] += 1
            with connected(self.engine) as connection:
                self._intend(connection, SHOP, "stock", [f"level-{self._numbers['stock']}"])

    def _intend(self, connection: Connection, system: str, lane: str, things: list[str]) -> None:
        writes = [
            Intended(f"{lane}.put", thing, {"thing": thing}, thing, 1, LANES[lane], thing)
            for thing in things
        ]
        self.left[system] += outbox.intend(connection, system, writes, self.timeline())

    def _send(self, system: str, worker: str) -> None:
        with self._client(system) as client:
            while True:
                write = self._next(system, worker) if self.left[system] > 0 else None
                if write is None:
                    self.timeline.sleep(IDLE_SECONDS)
                    continue
                settled = self._sent(client, write)
                with connected(self.engine) as connection:
                    outbox.settle(connection, [settled], worker=worker, now=self.timeline())
                self.left[system] -= settled.state in ("done", "parked")

    def _next(self, system: str, worker: str) -> Write | None:
        with connected(self.engine) as connection:
            found = outbox.lease(connection, system, worker=worker, now=self.timeline(), limit=1)
        return found[0] if found else None

    def _sent(self, client: httpx.Client, write: Write) -> Settled:
        """Send one write; what may have happened already is looked up first."""
        place = f"{NAMES[write.lane]}/{write.thing_ref}"
        try:
            with in_lane(NAMES[write.lane]):
                if not (write.begun and client.get(place).status_code == 200):
                    client.put(place, json=write.payload)
        except RemoteError as error:
            return self._failed(write, error)
        return Settled(write.id, "done")

    def _failed(self, write: Write, error: RemoteError) -> Settled:
        now, kind = self.timeline(), type(error).__name__
        asked = error.after_seconds if isinstance(error, Throttled) else None
        then = next_try(
            trouble_of(error),
            write.attempts,
            write.first_failed_at or now,
            now,
            write.lane,
            asked,
            write.business_key,
        )
        if not isinstance(then, RetryAt):
            return Settled(write.id, "parked", kind, str(error))
        is_open = write.begun or isinstance(error, UnknownOutcome)
        counts = not isinstance(error, NotAsked | Throttled)
        state = "unknown" if is_open else "waiting"
        return Settled(write.id, state, kind, str(error), then.moment, counts=counts)

    def _client(self, system: str) -> httpx.Client:
        gate = StoreGate(
            self.engine,
            system,
            self.limits[system],
            Rules(),
            now=self.timeline,
            sleep=self.timeline.sleep,
            patience_seconds=http.Manners().longest_wait_seconds,
        )
        return http.client(
            system,
            f"https://{system}.test",
            transport=self.transports[system],
            sleep=self.timeline.sleep,
            gate=gate,
        )


def waits(engine: Engine, system: str, lane: str, *, beside_catalogue: bool = False) -> list[float]:
    """Seconds from the intention to its end, of all writes of a lane that are done, sorted.

    `beside_catalogue` takes only those put down while catalogue writes were queued.
    """
    with connected(engine) as connection:
        rows = read_rows(
            connection,
            "with queued as (select min(created_at) as start, max(updated_at) as until "
            "from ops.outbox where system = :system and lane = :catalog) "
            "select extract(epoch from o.updated_at - o.created_at) as seconds "
            "from ops.outbox o, queued where o.system = :system and o.lane = :lane "
            "and o.state = 'done' and (not :beside "
            "or o.created_at between queued.start and queued.until) order by 1",
            system=system,
            lane=LANES[lane],
            catalog=LANES["catalog"],
            beside=beside_catalogue,
        )
    return [float(row["seconds"]) for row in rows]
