"""Oversold units and lost sales: 15-minute polling of a bare stock number against this pipeline.

    python bench/oversell.py [--baskets 20000] [--articles 400] [--json]

The same demand is replayed twice, in virtual time, on three channels and three warehouses: real
grocery baskets in their order and their rhythm, squeezed so that the sample's day is an hour
(`--squeeze`), because it is a sample of few households; the surge is the same demand six times
faster. Stock is tight: half of the demand is there at the start, the rest arrives in five receipts.

- `polling`: every 15 minutes all orders so far are booked, and every channel gets the stock that is
  free in its warehouses. That is the better kind of polling: orders and stock are never apart.
- `pipeline`: an order is known to us after the measured latency, the numbers are worked out by the
  product's own rules (`domain/explaining.py`, `domain/unseen.py`) and reach each shop after the
  measured latency of a stock write, which reads first, then writes.

A customer buys a line if the channel shows enough, else the line is lost (`lost_sales`, units;
`avoidable` of them were there). A unit is oversold if no warehouse of its channel has it when it is
sold. `--known` and `--published` are seconds, the median and the 95th percentile; together they are
somewhat slower than what `bench/latency.py --stock` measures (2.5 and 3.5).
"""

import argparse
import heapq
import json
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

from resources.sandbox import baskets
from sync_assets.domain.explaining import SkuFacts, StockAt, sellable
from sync_assets.domain.policy import Policy, parse
from sync_assets.domain.unseen import target_units, unseen_units

CHANNELS = {"uk": ("north", "south"), "us": ("north", "south", "east"), "eu": ("south", "east")}
WAREHOUSES = {"north": 0.5, "south": 0.3, "east": 0.2}
RECEIPTS, AT_THE_START = 5, 0.5
#: A store is asked for its orders every 30 s, for those that are 30 s old.
POLL_SECONDS, COUNTED_SECONDS = 900.0, 60.0
SURGE = 6


@dataclass(frozen=True, slots=True)
class Sale:
    """One basket that a customer wants to buy."""

    at: float
    channel: str
    lines: tuple[tuple[str, int], ...]


@dataclass
class Result:
    """What came of a replay, in units."""

    wanted: int = 0
    sold: int = 0
    oversold: int = 0
    oversold_orders: int = 0
    lost_sales: int = 0
    avoidable: int = 0
    writes: int = 0

    def told(self) -> dict[str, Any]:
        """The result as plain values."""
        share = self.oversold / self.sold if self.sold else 0.0
        return {**vars(self), "oversold_share": round(share, 6)}


@dataclass
class Truth:
    """What is physically there and promised to nobody, and what each channel shows."""

    free: dict[tuple[str, str], int]
    shown: dict[tuple[str, str], int] = field(default_factory=dict)
    result: Result = field(default_factory=Result)

    def available(self, channel: str, sku: str) -> int:
        """Free units in a channel's warehouses."""
        return sum(max(0, self.free[sku, place]) for place in CHANNELS[channel])

    def sell(self, sale: Sale) -> list[tuple[str, str, int]]:
        """Let a customer buy what the channel shows; answers what was taken from where."""
        taken: list[tuple[str, str, int]] = []
        over = 0
        for sku, units in sale.lines:
            self.result.wanted += units
            if self.shown[sale.channel, sku] < units:
                self.result.lost_sales += units
                if self.available(sale.channel, sku) >= units:
                    self.result.avoidable += units
                continue
            self.shown[sale.channel, sku] -= units
            self.result.sold += units
            pieces, missing = self._allocate(sale.channel, sku, units)
            taken += pieces
            over += missing
        self.result.oversold += over
        self.result.oversold_orders += bool(over)
        return taken

    def _allocate(
        self, channel: str, sku: str, units: int
    ) -> tuple[list[tuple[str, str, int]], int]:
        """Take units from the fullest warehouses; what is missing is owed by the fullest one."""
        places = sorted(CHANNELS[channel], key=lambda place: (-self.free[sku, place], place))
        pieces, left = [], units
        for place in places:
            part = min(left, max(0, self.free[sku, place]))
            if part:
                self.free[sku, place] -= part
                pieces.append((sku, place, part))
                left -= part
        if left:
            self.free[sku, places[0]] -= left
            pieces.append((sku, places[0], left))
        return pieces, left


class Agenda:
    """What happens when; things of one moment in the order they were put down."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, Any]] = []
        self._ticket = count()

    def put(self, at: float, what: str, about: Any) -> None:
        """Put something down."""
        heapq.heappush(self._heap, (at, next(self._ticket), what, about))

    def __iter__(self) -> Iterator[tuple[float, str, Any]]:
        while self._heap:
            at, _, what, about = heapq.heappop(self._heap)
            yield at, what, about


def polled(
    sales: Sequence[Sale], stock: dict[tuple[str, str], int], receipts: "Receipts"
) -> Result:
    """Replay with a number that is fetched every 15 minutes."""
    truth, agenda = Truth(dict(stock)), Agenda()
    skus = sorted({sku for sku, _ in stock})
    end = sales[-1].at
    for tick in range(math.ceil(end / POLL_SECONDS) + 1):
        agenda.put(tick * POLL_SECONDS, "poll", None)
    for at, goods in receipts:
        agenda.put(at, "receipt", goods)
    for sale in sales:
        agenda.put(sale.at, "sale", sale)
    for _, what, about in agenda:
        if what == "poll":
            for channel in CHANNELS:
                for sku in skus:
                    truth.shown[channel, sku] = truth.available(channel, sku)
            truth.result.writes += len(skus) * len(CHANNELS)
        elif what == "receipt":
            _receive(truth.free, about)
        else:
            truth.sell(about)
    return truth.result


Receipts = list[tuple[float, dict[tuple[str, str], int]]]


def _receive(free: dict[tuple[str, str], int], goods: dict[tuple[str, str], int]) -> None:
    for key, units in goods.items():
        free[key] += units


class Pipeline:
    """Replay with this pipeline: what it knows lags behind what is true by what was measured."""

    def __init__(
        self,
        stock: dict[tuple[str, str], int],
        policy: Policy,
        known: "Latency",
        published: "Latency",
        rates: dict[str, dict[str, Decimal]],
    ) -> None:
        self.truth, self.policy, self.rates = Truth(dict(stock)), policy, rates
        self.known_free = dict(stock)
        self.known, self.published = known, published
        self.agenda = Agenda()
        #: What we last saw and last wrote of a channel's number, how far it fell between our
        #: writes since the last one that knew of every order, and when it last moved.
        self.seen: dict[tuple[str, str], int] = {}
        self.written: dict[tuple[str, str], int] = {}
        self.fallen: Counter[tuple[str, str]] = Counter()
        self.moved_at: dict[tuple[str, str], float] = defaultdict(lambda: -math.inf)
        self.sold_since: Counter[tuple[str, str]] = Counter()
        self.is_open: set[tuple[str, str]] = set()

    def run(self, sales: Sequence[Sale], receipts: "Receipts") -> Result:
        """Replay to the end."""
        for sku in sorted({sku for sku, _ in self.known_free}):
            for channel, units in self._wanted(sku).items():
                key = (channel, sku)
                self.truth.shown[key] = self.seen[key] = self.written[key] = units
        for at, goods in receipts:
            self.agenda.put(at, "receipt", goods)
        for sale in sales:
            self.agenda.put(sale.at, "sale", sale)
        steps = {
            "sale": self._sale,
            "order": self._order,
            "receipt": self._receipt,
            "reading": self._reading,
            "land": self._land,
            "look": lambda at, key: self._plan(at, key[1]),
        }
        for at, what, about in self.agenda:
            steps[what](at, about)
        return self.truth.result

    def _sale(self, at: float, sale: Sale) -> None:
        taken = self.truth.sell(sale)
        for sku, _ in sale.lines:
            self.moved_at[sale.channel, sku] = at
        if taken:
            self.agenda.put(at + self.known.draw(), "order", (at, sale.channel, taken))

    def _order(self, at: float, order: tuple[float, str, list[tuple[str, str, int]]]) -> None:
        _, channel, taken = order
        for sku, place, units in taken:
            self.known_free[sku, place] -= units
            self.sold_since[channel, sku] += units
        for sku in dict.fromkeys(sku for sku, _, _ in taken):
            # The shop tells of the product with the order; it is read again with it.
            self.seen[channel, sku] = self.truth.shown[channel, sku]
            self._plan(at, sku)

    def _receipt(self, at: float, goods: dict[tuple[str, str], int]) -> None:
        _receive(self.truth.free, goods)
        self.agenda.put(at + self.known.draw(), "reading", goods)

    def _reading(self, at: float, goods: dict[tuple[str, str], int]) -> None:
        _receive(self.known_free, goods)
        for sku in dict.fromkeys(sku for sku, _ in goods):
            self._plan(at, sku)

    def _plan(self, at: float, sku: str) -> None:
        for channel, wanted in self._wanted(sku).items():
            key = (channel, sku)
            if key in self.is_open or wanted == self.seen[key]:
                continue
            if self._target(at, key, wanted) == self.seen[key]:
                self.agenda.put(at + COUNTED_SECONDS, "look", key)
                continue
            self.is_open.add(key)
            self.agenda.put(at + self.published.draw(), "land", key)

    def _land(self, at: float, key: tuple[str, str]) -> None:
        """Compare and set: read, decide by what is known now, write what differs, keep it."""
        self.is_open.discard(key)
        self.seen[key] = self.truth.shown[key]
        wanted = self._wanted(key[1])[key[0]]
        target = self._target(at, key, wanted)
        if target != self.seen[key]:
            self.fallen[key] += self.written[key] - self.seen[key]
            if self._is_counted(at, key):
                self.fallen[key] = self.sold_since[key] = 0
            self.truth.shown[key] = self.seen[key] = self.written[key] = target
            self.truth.result.writes += 1
        if target != wanted:
            self.agenda.put(at + COUNTED_SECONDS, "look", key)

    def _target(self, at: float, key: tuple[str, str], wanted: int) -> int:
        fallen = self.fallen[key] + self.written[key] - self.seen[key]
        unseen = unseen_units(fallen, self.sold_since[key], self._is_counted(at, key))
        return target_units(wanted, unseen)

    def _is_counted(self, at: float, key: tuple[str, str]) -> bool:
        """Whether the orders were read past the listing's last change."""
        return at - self.moved_at[key] >= COUNTED_SECONDS

    def _wanted(self, sku: str) -> dict[str, int]:
        levels = {place: StockAt(self.known_free[sku, place]) for place in WAREHOUSES}
        return sellable(SkuFacts(sku, levels, demand=self.rates[sku]), self.policy)


class Latency:
    """Seconds drawn from a log-normal distribution with a given median and 95th percentile."""

    def __init__(self, told: str, dice: Random) -> None:
        median, high = (float(one) for one in told.split(","))
        self.mean, self.spread, self.dice = math.log(median), math.log(high / median) / 1.645, dice

    def draw(self) -> float:
        """The next one."""
        return self.dice.lognormvariate(self.mean, self.spread)


def demand(wanted: argparse.Namespace) -> list[Sale]:
    """Real baskets of the articles sold most, in time order, in seconds from the first one."""
    every, units = [], Counter[str]()
    for order in baskets.orders(wanted.baskets):
        lines = Counter[str]()
        for line in order.lines:
            if line.sku and line.planted is None:
                lines[line.sku] += int(line.quantity)
        every.append((order.placed_at, order.store, lines))
        units.update(lines)
    kept = {sku for sku, _ in units.most_common(wanted.articles)}
    start = every[0][0]
    sales = [
        Sale(
            (placed_at - start).total_seconds() / wanted.squeeze,
            store,
            tuple(sorted((sku, n) for sku, n in lines.items() if sku in kept)),
        )
        for placed_at, store, lines in every
    ]
    return sorted((sale for sale in sales if sale.lines), key=lambda sale: sale.at)


def supply(sales: Sequence[Sale]) -> tuple[dict[tuple[str, str], int], Receipts]:
    """Stock at the start and receipts over the time, in whole units by article and warehouse."""
    whole, end = Counter[str](), sales[-1].at
    for sale in sales:
        whole.update(dict(sale.lines))
    stock = {
        (sku, place): int(units * AT_THE_START * part)
        for sku, units in whole.items()
        for place, part in WAREHOUSES.items()
    }
    share = (1 - AT_THE_START) / RECEIPTS
    goods = {
        (sku, place): int(units * share * part)
        for sku, units in whole.items()
        for place, part in WAREHOUSES.items()
    }
    return stock, [(end * (n + 1) / (RECEIPTS + 1), goods) for n in range(RECEIPTS)]


def _rates(sales: Sequence[Sale]) -> dict[str, dict[str, Decimal]]:
    """Units a day by article and channel: what the product measures from past orders."""
    units: dict[str, Counter[str]] = defaultdict(Counter)
    for sale in sales:
        for sku, n in sale.lines:
            units[sku][sale.channel] += n
    days = Decimal(str(sales[-1].at)) / 86_400
    return {
        sku: {channel: Decimal(found[channel]) / days for channel in CHANNELS}
        for sku, found in units.items()
    }


def faster(sales: Sequence[Sale]) -> list[Sale]:
    """The same demand, six times as fast."""
    return [Sale(sale.at / SURGE, sale.channel, sale.lines) for sale in sales]


def policy(divide_below: int) -> Policy:
    """Three channels with overlapping warehouses; the last pieces are divided among them."""
    return parse(
        {
            "locations": {name: {"source": "odoo", "code": name.upper()} for name in WAREHOUSES},
            "channels": {
                name: {"locations": list(places), "priority": number}
                for number, (name, places) in enumerate(CHANNELS.items())
            },
            "divide_below_units": divide_below,
        }
    )


def replayed(sales: list[Sale], wanted: argparse.Namespace, known: str) -> dict[str, Any]:
    """Both ways of the same demand."""
    stock, receipts = supply(sales)
    dice = Random(wanted.seed)
    pipeline = Pipeline(
        stock,
        policy(wanted.divide_below),
        Latency(known, dice),
        Latency(wanted.published, dice),
        _rates(sales),
    )
    return {
        "polling": polled(sales, stock, receipts).told(),
        "pipeline": pipeline.run(sales, receipts).told(),
    }


def main() -> None:
    """Replay and tell."""
    wanted = _arguments()
    started = time.perf_counter()
    sales = demand(wanted)
    sys.stderr.write(f"{len(sales)} baskets read; replaying\n")
    normal = replayed(sales, wanted, wanted.known)
    surge = replayed(faster(sales), wanted, wanted.known_in_surge)
    share = surge["pipeline"]["oversold_share"]
    result = {
        **normal,
        "surge": {**surge, "within_policy": share <= wanted.allowed_share},
        "baskets": len(sales),
        "articles": wanted.articles,
        "allowed_share": wanted.allowed_share,
        "seconds": round(time.perf_counter() - started, 1),
    }
    sys.stdout.write(json.dumps(result, indent=None if wanted.json else 2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--baskets", type=int, default=20_000)
    parser.add_argument("--articles", type=int, default=400, help="those sold most")
    parser.add_argument("--squeeze", type=float, default=24, help="how much faster than the sample")
    parser.add_argument("--known", default="1.5,2.5", help="seconds until an order is known")
    parser.add_argument("--known-in-surge", default="2.5,10", help="the same in the surge")
    parser.add_argument("--published", default="1.5,2.5", help="seconds of a stock write")
    parser.add_argument("--divide-below", type=int, default=10, help="units; the policy's own")
    parser.add_argument("--allowed-share", type=float, default=0.001, help="oversold, of the sold")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
