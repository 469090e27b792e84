"""Stock within seconds: the shells that start a run the moment a number may have changed.

What is pending is read in `pending.py`; here are the rules, and the sensors round them.
"""

from datetime import timedelta

import dagster as dg

from resources.settings import Settings
from sensors import pending
from sensors.pending import Fact, Interval, Pending
from sensors.webhooks.arrivals import watching
from sync_assets.outcomes import URGENT

#: The queue of items whose stock is to be read again.
MOVED = "stock_reading"
#: The queues of what is worked out again with what is known.
WORKED_OUT = ("reservation", "availability", "stock_plan")


def arrived(seen: Pending) -> list[str]:
    """Why systems should be asked: products that deliveries name, items that moved."""
    if seen.is_running:
        return []  # it takes whatever is pending, and its end is heard
    found = [f"{n} product deliveries of {one}" for one, n in sorted(seen.product_hints.items())]
    moved = seen.stale.get(MOVED, 0)
    return [*found, *([f"{moved} items are to be read again"] if moved else [])]


def sold(seen: Pending) -> list[str]:
    """Why numbers should be worked out again, or sent, with what is known already."""
    if seen.is_running:
        return []
    found = [
        f"{n} keys of {queue} are stale"
        for queue, n in sorted(seen.stale.items())
        if queue in WORKED_OUT
    ]
    return found + [f"{n} numbers to {store}" for store, n in sorted(seen.stock_writes.items())]


def intervals(settings: Settings) -> list[Interval]:
    """How often each ERP is asked for what moved, and each store for changed products."""
    every = timedelta(seconds=settings.stock_poll_seconds)
    return [Interval(name, "stock_moves", every) for name in settings.erps] + [
        Interval(name, "products", every) for name in settings.stores
    ]


def build(
    settings: Settings, stock_job: str, sold_job: str, *, is_on: bool
) -> list[dg.SensorDefinition]:
    """The sensors of the stock jobs."""
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
            facts=[Fact.PRODUCT_HINTS, Fact.STALE],
            description="Starts a run when product deliveries wait, or items that moved are to be "
            "read again.",
        ),
        watching(
            "stock_sold",
            sold_job,
            sold,
            seconds=1,
            is_on=is_on,
            tags={URGENT: "true"},
            facts=[Fact.STALE, Fact.WRITES],
            description="Starts a run when numbers must be worked out again, or stock is to be "
            "written to a shop.",
        ),
        watching(
            "stock_deltas",
            stock_job,
            late,
            seconds=5,
            is_on=is_on,
            tags={URGENT: "true"},
            facts=[Fact.POLLS],
            description="Starts a run when an ERP was not asked for stock movements, or a store "
            "for changed products, within `stock_poll_seconds`.",
        ),
    ]
