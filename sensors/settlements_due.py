"""Payments and settlements: the shell that starts a run when it is time to ask, or when journal
entries are due. What is pending is read in `pending.py`.
"""

from datetime import timedelta

import dagster as dg

from resources.settings import Settings
from sensors.after_sale import rule
from sensors.pending import Fact, Interval
from sensors.webhooks.arrivals import watching
from sync_assets.settlements.reading import FILES

WRITES = ("journal",)
#: Statements come once a day; a file is taken within minutes all the same.
BANK_POLL = timedelta(minutes=15)
FACTS = (Fact.WRITES, Fact.POLLS)


def polls(settings: Settings) -> list[Interval]:
    """How often each provider and bank is looked at."""
    asked = [
        Interval(name, FILES, timedelta(seconds=one.poll_seconds))
        for name, one in settings.providers.items()
    ]
    return asked + [Interval(name, FILES, BANK_POLL) for name in settings.banks]


def build(settings: Settings, job: str, *, is_on: bool) -> list[dg.SensorDefinition]:
    """The sensor of the settlements, where a deployment has providers."""
    if not settings.providers:
        return []
    return [
        watching(
            "settlements_due",
            job,
            rule((), WRITES, (), polls(settings)),
            seconds=5,
            is_on=is_on,
            facts=FACTS,
            description="Starts a run when a provider or bank was not looked at for its interval, "
            "or journal entries are due at an ERP.",
        )
    ]
