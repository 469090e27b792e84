"""A deployment on stand-ins in simulated time: hours of trade in a minute, in one process.

Real: the shops' deliveries, the receiver's application, the inbox, the rules by which a run starts,
the steps of a run, the outbox, bucket and breaker, Postgres. Simulated: time, the network, and
Dagster, whose sensor and launcher are stood for by `_watch` and `_run`: the same rules, one run at
a time, the same steps in the same order. Nothing here is used by a real deployment.
"""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
from sqlalchemy import create_engine

from resources import settings
from resources.errors import RemoteError
from resources.sandbox import deployment
from resources.sandbox.gateway import Gateway
from resources.sandbox.shop_order import STORES, ShopOrder
from resources.sandbox.timeline import Timeline
from resources.sandbox.world import World
from resources.store import postgres, presence
from resources.wiring import Systems
from sensors import deliveries, pending
from sensors.webhooks import receiver
from sensors.webhooks.intake import Intake
from sync_assets.catalog import mapping as item_mapping
from sync_assets.catalog import reading as item_reading
from sync_assets.jobs import ORDERS_NOW
from sync_assets.orders import hints, mapping, planning, sending
from sync_assets.reading import each_source

ERP, KIND = "odoo", "odoo"
WEBHOOK_SECRET = "whsec-simulation"  # noqa: S105 - invented, for stores that do not exist
RECEIVER_URL = "https://hooks.test"
#: From a run being asked for to its first step, in a warm worker.
START_SECONDS = 0.5
#: How often the shops' queues are worked off, and how often somebody looks without being woken.
DELIVER_SECONDS, LOOK_SECONDS = 2.0, 5.0
HEALTH_SECONDS = 300.0
#: No transaction of ours may wait for another one that sleeps: such a wait would never end here.
#: And nobody is killed, so that a commit need not wait for the disk.
DATABASE = "-c timezone=UTC -c lock_timeout=20s -c synchronous_commit=off"


class Hooks:
    """The receiver's application, called without a network."""

    def __init__(self, config: settings.Settings, place: postgres.Databases, now: Timeline) -> None:
        self.runner = asyncio.Runner()
        self.intake = Intake(place.text(place.store))
        self.runner.run(self.intake.start())
        app = receiver.build(config, self.intake, now)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app))

    def post(self, request: httpx.Request) -> httpx.Response:
        """Deliver, and answer what the receiver says when it is on disk."""
        return self.runner.run(self.client.send(request))

    def close(self) -> None:
        """Finish what was taken in."""
        self.runner.run(self.intake.stop())
        self.runner.close()


@dataclass
class Simulation:
    """One deployment, its systems and its clock."""

    place: postgres.Databases
    timeline: Timeline
    world: World
    gateways: Mapping[str, Gateway]
    config: settings.Settings
    #: Part of the checkouts of which no delivery at all gets through.
    untold: float = 0.0
    seed: int = 0
    has_webhooks: bool = True
    #: Orders by `store:id`, in the order they were placed.
    placed: dict[str, ShopOrder] = field(default_factory=dict)
    runs: int = 0
    failed_runs: int = 0
    _silent: set[str] = field(default_factory=set)
    _is_woken: bool = True

    def __post_init__(self) -> None:
        self.systems = Systems(
            self.config,
            create_engine(self.place.sqlalchemy, pool_size=20, connect_args={"options": DATABASE}),
            now=self.timeline,
            transports={name: gateway.transport() for name, gateway in self.gateways.items()},
            sleep=self.timeline.sleep,
        )
        self.dice = random.Random(self.seed)  # noqa: S311
        self.hooks = Hooks(self.config, self.place, self.timeline)

    def close(self) -> None:
        """Let the database go."""
        self.hooks.close()
        self.systems.engine.dispose()

    def prepare(self) -> None:
        """What was done before the day: the ERP's items are known, the webhooks set up."""
        item_reading.items(self.systems, ERP, "before")
        item_mapping.items(self.systems, KIND, "before")
        for store in self.world.shops if self.has_webhooks else ():
            deliveries.mend(self.systems, store)

    def open(self, orders: Sequence[ShopOrder]) -> None:
        """Let customers, shops and our own processes begin."""
        self.timeline.start("customers", lambda: self._sell(orders))
        self.timeline.start("daemon", self._watch)
        if self.has_webhooks:
            self.timeline.start("deliveries", self._deliver)
            self.timeline.start("health", self._mend, after=HEALTH_SECONDS)

    def help(self, name: str, until_seconds: float, after: float) -> None:
        """Let a further sender work on the ERP's writes for a while."""

        def work() -> None:
            end = self.timeline() + timedelta(seconds=until_seconds)
            while self.timeline() < end:
                sending.send(self.systems, KIND, ERP, name)
                self.timeline.sleep(LOOK_SECONDS)

        self.timeline.start(name, work, after=after)

    def _sell(self, orders: Sequence[ShopOrder]) -> None:
        """Place each order at its moment."""
        for order in orders:
            self.timeline.sleep((order.placed_at - self.timeline()).total_seconds())
            said = self.world.checkouts[order.store].order(order, 0)
            ref = f"{order.store}:{self.world.shops[order.store].place(said)}"
            self.placed[ref] = order
            if self.dice.random() < self.untold:
                self._silent.add(ref)

    def _deliver(self) -> None:
        """Let the shops say what they have to say."""
        while True:
            for store, shop in self.world.shops.items():
                if shop.queued():
                    shop.deliver(partial(self._carry, store))
            self.timeline.sleep(DELIVER_SECONDS)

    def _carry(self, store: str, request: httpx.Request) -> httpx.Response:
        """Bring a delivery to the receiver; the silent ones end at a proxy that says 200."""
        if request.headers["Content-Type"] == "application/json":
            ref = f"{store}:{json.loads(request.content)['id']}"
            if ref in self._silent:
                return httpx.Response(200)
        answer = self.hooks.post(request)
        self._is_woken = True
        return answer

    def _mend(self) -> None:
        """Look after the webhooks, as their sensor does."""
        while True:
            for store in self.world.shops:
                deliveries.mend(self.systems, store)
            self.timeline.sleep(HEALTH_SECONDS)

    def _watch(self) -> None:
        """Start a run where the sensors' rules find a reason; woken, or every few seconds."""
        waited, polls = LOOK_SECONDS, pending.polls(self.config)
        while True:
            if self._is_woken or waited >= LOOK_SECONDS:
                self._is_woken, waited = False, 0.0
                seen = pending.look(self.systems, ORDERS_NOW)
                if pending.arrived(seen) or pending.due(seen) or pending.late(seen, polls):
                    pending.ask(self.systems, ORDERS_NOW, seen.now)
                    self.timeline.start("run", self._run, after=START_SECONDS)
            self.timeline.sleep(1.0)
            waited += 1.0

    def _run(self) -> None:
        """Do what the job `orders_now` does."""
        self.runs += 1
        with presence.held(self.systems.engine, ORDERS_NOW, self.timeline()):
            try:
                self._steps(f"run-{self.runs}")
            except RemoteError:
                self.failed_runs += 1
        self._is_woken = True

    def _steps(self, run_id: str) -> None:
        systems = self.systems
        each_source(
            systems,
            self.config.stores,
            "orders",
            lambda store: hints.arrived(systems, store, run_id, only_due=True),
        )
        mapping.orders(systems, run_id)
        planning.hold(systems, run_id, only_new=True)
        planning.plan(systems, KIND, run_id, only_new=True)
        sending.send(systems, KIND, ERP, run_id)


def described(
    *,
    erp: Mapping[str, Any],
    stores: Mapping[str, Any],
) -> settings.Settings:
    """The configuration of the simulated deployment; further options of the ERP and the stores."""
    return settings.parse(
        deployment.deployment(
            {name: f"https://{name}.test" for name in STORES},
            erp=deployment.odoo("https://odoo.test", **erp),
            erp_name=ERP,
            webhook_secrets=[WEBHOOK_SECRET],
            receiver={"public_url": RECEIVER_URL},
            store_options=dict(stores),
        )
    )
