"""Deltas: ask each system what changed since, to catch what its webhooks lost."""

import dagster as dg

from resources.settings import Settings
from sensors import pending
from sensors.pending import Fact, Pending
from sensors.webhooks.arrivals import watching


def build(
    settings: Settings, orders_job: str, master_data_job: str, *, is_on: bool
) -> list[dg.SensorDefinition]:
    """The sensors that ask for changed orders, and for lists without changes."""
    polls, lists = pending.polls(settings), pending.master_data(settings)

    def orders(seen: Pending) -> list[str]:
        return pending.late(seen, polls)

    def master_data(seen: Pending) -> list[str]:
        return pending.late(seen, lists)

    return [
        watching(
            "deltas",
            orders_job,
            orders,
            seconds=5,
            is_on=is_on,
            facts=[Fact.POLLS],
            description="Starts a run when a store was not asked for changed orders within its "
            "poll interval.",
        ),
        watching(
            "master_data_due",
            master_data_job,
            master_data,
            seconds=60,
            is_on=is_on,
            facts=[Fact.POLLS],
            description="Starts a reading of customer accounts and the ERPs' items when it is "
            "time: neither offers its changes.",
        ),
    ]
