"""A promotion: when orders come, and which: real baskets at a base rate, a multiple of it for some
hours, then the base rate again. Moments are random from a seed, as customers are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from resources.sandbox.shop_order import STORES, ShopOrder


@dataclass(frozen=True)
class Surge:
    """The shape of a promotion."""

    start: datetime
    per_minute: float = 3.0
    factor: float = 6.0
    hours: float = 2.0
    before: timedelta = timedelta(minutes=5)
    after: timedelta = timedelta(minutes=10)
    seed: int = 0

    @property
    def begins_at(self) -> datetime:
        """When the surge begins."""
        return self.start + self.before

    @property
    def ends_at(self) -> datetime:
        """When the surge ends."""
        return self.begins_at + timedelta(hours=self.hours)

    @property
    def quiet_at(self) -> datetime:
        """When the last order comes."""
        return self.ends_at + self.after

    def moments(self) -> list[datetime]:
        """When orders come, in order."""
        dice = Random(self.seed)  # noqa: S311
        spans = [
            (self.start, self.begins_at, self.per_minute),
            (self.begins_at, self.ends_at, self.per_minute * self.factor),
            (self.ends_at, self.quiet_at, self.per_minute),
        ]
        found: list[datetime] = []
        for start, end, per_minute in spans:
            at = start
            while per_minute > 0:
                at += timedelta(seconds=dice.expovariate(per_minute / 60))
                if at >= end:
                    break
                found.append(at)
        return found


def at_checkout(orders: Sequence[ShopOrder], moments: Sequence[datetime]) -> list[ShopOrder]:
    """Orders as they are at the checkout at these moments: by guests, nothing given back yet."""
    return [
        replace(order, placed_at=moment, customer=None, refunds=())
        for order, moment in zip(orders, moments, strict=True)
    ]


def scarce(orders: Sequence[ShopOrder], count: int) -> dict[tuple[str, str], int]:
    """The articles most in demand, by SKU and warehouse, with a third of the units asked for."""
    wanted: Counter[tuple[str, str]] = Counter()
    for order in orders:
        for line in order.lines:
            if line.sku is not None and line.planted is None:
                wanted[line.sku, STORES[order.store].warehouse] += line.quantity
    return {key: max(1, units // 3) for key, units in wanted.most_common(count)}
