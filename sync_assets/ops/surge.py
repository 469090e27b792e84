"""A promotion on the simulated deployment: the systems, what goes wrong with them, and the day.

An ERP that takes few calls at once and a minute, with a maintenance window in the middle of the
surge and slow answers after it; webhooks lost, doubled, late and out of order; a slow provider of
shipments; a whole catalogue pushed to a shop meanwhile. What came of it is counted in `tally`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from resources.sandbox import world
from resources.sandbox.faults import Faults, StandIn, Trouble
from resources.sandbox.gateway import Gateway, Span
from resources.sandbox.notebook import Notebook
from resources.sandbox.odoo import OdooStandIn
from resources.sandbox.shop_order import ShopOrder
from resources.sandbox.surge import Surge, at_checkout, scarce
from resources.sandbox.timeline import Timeline
from resources.sandbox.woocommerce_webhooks import Mishaps
from resources.store import postgres, systems
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.pace import Limit
from resources.wiring import limit_of
from sync_assets.ops.simulation import ERP, Simulation, described
from sync_assets.ops.traffic import PROVIDER, SHOP, Traffic, waits

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
METER_SECONDS = 30.0
#: After the last order: until every poll has seen it, and until nobody waits any longer.
TAIL, PATIENCE = timedelta(minutes=3), timedelta(hours=4)
#: Articles with a third of the stock that is asked for; of all others there is plenty.
SCARCE, PLENTY = 12, 100_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Conditions:
    """What the systems and the network put in the way."""

    erp_seconds: float = 0.25
    erp_concurrent: int = 5
    erp_per_minute: int = 60
    #: What we allow ourselves, a little under the ERP's limit.
    calls_per_second: float = 0.95
    burst: int = 10
    batch: int = 25
    maintenance: timedelta = timedelta(minutes=10)
    #: A person sees that the ERP is back and says so; nobody does where it is None.
    drained_after: timedelta | None = timedelta(minutes=1)
    #: Once it is open again it is slow, and several senders work on what waits.
    slow_seconds: float = 6.0
    slow_for: timedelta = timedelta(minutes=5)
    helpers: int = 6
    shop_seconds: float = 0.3
    shop_calls_per_second: float = 4.0
    provider_seconds: float = 8.0
    provider_senders: int = 6
    catalogue: int = 5000
    #: Shares of the deliveries; of as many checkouts as `lost` says, no delivery gets through.
    lost: float = 0.02
    doubled: float = 0.05
    reordered: float = 0.1
    delayed: float = 0.05
    #: Share of calls to the ERP and the provider that fail, or whose answer is lost.
    faults: float = 0.02
    poll_seconds: int = 60
    has_webhooks: bool = True
    #: Whether stock, catalogue and shipments are written too.
    has_traffic: bool = True


@dataclass(frozen=True)
class Depth:
    """What waited at a moment."""

    at: datetime
    inbox: int
    outbox: int
    #: How often in a row the ERP's circuit opened.
    openings: int


class Retries(logging.Handler):
    """Counts the calls that were repeated, from what the client says of them."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        self.count += 1


@contextmanager
def counting() -> Iterator[Retries]:
    """Count repeated calls, and keep the log quiet about what is meant to happen."""
    handler = Retries()
    loggers = [logging.getLogger(n) for n in ("sync_assets.http", "sync_assets.gate", "httpx")]
    before = [(one, one.propagate) for one in loggers]
    loggers[0].addHandler(handler)
    for one in loggers:
        one.propagate = False
    try:
        yield handler
    finally:
        loggers[0].removeHandler(handler)
        for one, propagates in before:
            one.propagate = propagates


class Stage:
    """The systems of one surge, and the day they have."""

    def __init__(
        self,
        surge: Surge,
        baskets: Sequence[ShopOrder],
        place: postgres.Databases,
        given: Conditions,
        timeline: Timeline,
    ) -> None:
        self.surge, self.given, self.timeline = surge, given, timeline
        self.orders = at_checkout(baskets, surge.moments())
        middle = surge.begins_at + timedelta(hours=surge.hours) / 2
        self.maintenance: Span = (middle, middle + given.maintenance)
        self.world = world.build(self.orders, timeline, are_placed=False, stock=PLENTY)
        self.erp, self.erp_gateway = self._erp()
        self.simulation = Simulation(
            place,
            timeline,
            self.world,
            {ERP: self.erp_gateway, **{n: self._door(s) for n, s in self.world.shops.items()}},
            described(erp=self._manners(), stores=self._shop_manners()),
            untold=given.lost,
            seed=surge.seed,
            has_webhooks=given.has_webhooks,
        )
        self.engine = self.simulation.systems.engine
        self.shop, self.provider = Notebook(), Notebook()
        self.traffic = self._traffic()
        self.depths: list[Depth] = []

    def close(self) -> None:
        """End everybody, then let the database go."""
        self.timeline.close()
        self.simulation.close()

    # The systems

    def _manners(self) -> dict[str, float]:
        given = self.given
        rate = {"calls_per_second": given.calls_per_second, "burst": given.burst}
        return {**rate, "batch": given.batch}

    def _shop_manners(self) -> dict[str, float]:
        given = self.given
        rate = {"calls_per_second": given.shop_calls_per_second, "burst": 8}
        return {**rate, "poll_seconds": given.poll_seconds}

    def _erp(self) -> tuple[OdooStandIn, Gateway]:
        given, erp, opens = self.given, self.world.erp, self.maintenance[1]
        assert erp is not None
        kinds = (Trouble.ERROR, Trouble.CUT_BEFORE, Trouble.CUT_AFTER, Trouble.SLOW)
        erp.faults = Faults(rates=dict.fromkeys(kinds, given.faults / 4), seed=self.surge.seed)
        erp.sleep = self.timeline.sleep
        for (sku, warehouse), units in scarce(self.orders, SCARCE).items():
            erp.set_stock(sku, warehouse, units)
        gateway = Gateway(
            erp,
            self.timeline,
            self.timeline.sleep,
            seconds=given.erp_seconds,
            concurrent=given.erp_concurrent,
            per_minute=given.erp_per_minute,
            closed=[self.maintenance],
            slow=[((opens, opens + given.slow_for), given.slow_seconds)],
        )
        return erp, gateway

    def _door(self, standin: StandIn, seconds: float | None = None) -> Gateway:
        seconds = self.given.shop_seconds if seconds is None else seconds
        return Gateway(standin, self.timeline, self.timeline.sleep, seconds=seconds)

    def _traffic(self) -> Traffic:
        given = self.given
        self.provider.faults = Faults(rates={Trouble.CUT_AFTER: given.faults}, seed=self.surge.seed)
        return Traffic(
            self.engine,
            self.timeline,
            {
                SHOP: self._door(self.shop).transport(),
                PROVIDER: self._door(self.provider, given.provider_seconds).transport(),
            },
            {
                SHOP: limit_of(self.simulation.config, SHOP),
                PROVIDER: Limit(PROVIDER, Decimal(1), 2),
            },
            seed=self.surge.seed,
        )

    # The day

    def play(self, say: Say) -> None:
        """Let the day pass until nothing waits any more."""
        surge, given = self.surge, self.given
        for number, shop in enumerate(self.world.shops.values()):
            shop.webhooks.mishaps = Mishaps(
                lost=given.lost,
                doubled=given.doubled,
                reordered=given.reordered,
                delayed=given.delayed,
                seed=surge.seed + number,
            )
        self.simulation.prepare()
        self.timeline.at = surge.start
        self.simulation.open(self.orders)
        self.timeline.start("meter", lambda: self._measure(say))
        if given.has_traffic:
            self._open_traffic()
        self._open_aftermath()
        end = surge.quiet_at + TAIL
        self.timeline.run(end)
        while not self._is_done() and self.timeline() < end + PATIENCE:
            self.timeline.run(self.timeline() + timedelta(seconds=METER_SECONDS))

    def _open_traffic(self) -> None:
        self.traffic.open({SHOP: 2, PROVIDER: self.given.provider_senders})
        self.timeline.start("shipping", self.traffic.ship)
        after = self._until(self.surge.begins_at + timedelta(hours=self.surge.hours) / 12)
        count = self.given.catalogue
        self.timeline.start("catalogue", lambda: self.traffic.push_catalogue(count), after=after)

    def _open_aftermath(self) -> None:
        """Who comes to help when the ERP is open again."""
        given, opens = self.given, self._until(self.maintenance[1])
        if given.drained_after is not None:
            after = opens + given.drained_after.total_seconds()
            self.timeline.start("operator", self._drain, after=after)
        for number in range(given.helpers):
            seconds = 2 * given.slow_for.total_seconds()
            self.simulation.help(f"helper-{number}", seconds, after=opens)

    def _until(self, moment: datetime) -> float:
        return (moment - self.surge.start).total_seconds()

    def _drain(self) -> None:
        """Let what waited for the ERP go, as `sync-assets drain` does."""
        with connected(self.engine) as connection:
            systems.drain(connection, ERP, by="operator", now=self.timeline())

    def _measure(self, say: Say) -> None:
        while True:
            with connected(self.engine) as connection:
                row = read_rows(connection, _DEPTHS, erp=ERP)[0]
            at = self.timeline()
            self.depths.append(Depth(at, row["inbox"], row["outbox"], row["openings"]))
            if len(self.depths) % 20 == 0:
                say(
                    f"{at:%H:%M} simulated: {len(self.simulation.placed)} of {len(self.orders)} "
                    f"orders placed, {row['inbox']} deliveries and {row['outbox']} writes wait"
                )
            self.timeline.sleep(METER_SECONDS)

    def _is_done(self) -> bool:
        """Whether nothing waits; a stock level changed this minute is no backlog."""
        since = self.timeline() - timedelta(seconds=METER_SECONDS)
        with connected(self.engine) as connection:
            return not read_rows(connection, _LEFT, since=since)


def stock_alone(surge: Surge, place: postgres.Databases, given: Conditions) -> list[float]:
    """What stock writes wait, in seconds, where nothing else goes to the shop's account."""
    quiet = replace(surge, per_minute=0.0)
    with counting(), Timeline(surge.start) as timeline:
        stage = Stage(quiet, [], place, given, timeline)
        try:
            stage.traffic.open({SHOP: 2})
            timeline.run(surge.start + timedelta(minutes=30))
            return waits(stage.engine, SHOP, "stock")
        finally:
            stage.close()


_DEPTHS = """
select (select count(*) from ops.inbox where state in ('waiting', 'leased')) as inbox,
    (select count(*) from ops.outbox
     where system = :erp and state in ('waiting', 'leased', 'unknown')) as outbox,
    coalesce((select openings from ops.system where system = :erp), 0) as openings
"""
_LEFT = """
select 1 from ops.inbox where state in ('waiting', 'leased')
union all select 1 from ops.outbox where state in ('waiting', 'leased', 'unknown')
    and created_at < :since
union all select 1 from raw.woocommerce__orders where mapped_at is null
limit 1
"""
