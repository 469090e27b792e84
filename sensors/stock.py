"""Stock within seconds: the shells that start a run the moment a number may have changed.

What is pending is read in `pending.py`; here are the rules, and the sensors round them.
"""

from datetime import timedelta

import dagster as dg

from resources.settings import Settings
from sensors import pending
from sensors.pending import Interval, Pending
from sensors.webhooks.arrivals import watching
from sync_assets.outcomes import URGENT


def arrived(seen: Pending) -> list[str]:
    """Why a run of the stock should start for what came in, is stale, or is to be sent."""
    if seen.is_running:
        return []  # it takes whatever is pending, and its end is heard
    found = [f"{n} product deliveries of {one}" for one, n in sorted(seen.product_hints.items())]
    found += [f"{n} keys of {queue} are stale" for queue, n in sorted(seen.stale.items())]
    found += [f"{n} numbers to {store}" for store, n in sorted(seen.stock_writes.items())]
    return found


def intervals(settings: Settings) -> list[Interval]:
    """How often each ERP is asked for what moved, and each store for changed products."""
    every = timedelta(seconds=settings.stock_poll_seconds)
    return [Interval(name, "stock_moves", every) for name in settings.erps] + [
        Interval(name, "products", every) for name in settings.stores
    ]


def build(settings: Settings, stock_job: str, *, is_on: bool) -> list[dg.SensorDefinition]:
    """The sensors of the stock job."""
    polls = intervals(settings)

    def late(seen: Pending) -> list[str]:
        return pending.late(seen, polls)

    return [
        watching(
            "stock_arrivals",
            stock_job,
            arrived,
            seconds=1,
            is_on=is_on,
            tags={URGENT: "true"},
            description="Starts a run when product deliveries wait, numbers must be worked out "
            "again, or stock is to be written to a shop.",
        ),
        watching(
            "stock_deltas",
            stock_job,
            late,
            seconds=5,
            is_on=is_on,
            tags={URGENT: "true"},
            description="Starts a run when an ERP was not asked for stock movements, or a store "
            "for changed products, within `stock_poll_seconds`.",
        ),
    ]
