"""Shipments, returns and refunds within seconds: the shells that start a run when there is
something to do. What is pending is read in `pending.py`; here are the rules, and their sensors.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

import dagster as dg

from resources.settings import Settings
from sensors import pending
from sensors.pending import PROVIDERS, Fact, Interval, Pending
from sensors.webhooks.arrivals import watching
from sync_assets.outcomes import URGENT
from sync_assets.shipments.things import WAREHOUSE_KINDS, ships

#: Queues, first words of operations and kinds of deliveries of each subject.
SHIPMENT_QUEUES = ("fulfilment", "fulfilment_plan")
SHIPMENT_WRITES = ("fulfilment", "delivery", "notice", "completion")
SHIPMENT_HINTS = ("order", "shipment", "fulfilment_order", "tracker", "tracking")
RETURN_QUEUES = ("after_sale",)
RETURN_WRITES = ("credit_memo", "credit_reversal", "restock", "refund", "exchange")
RETURN_HINTS = ("return", "returns", *PROVIDERS)
#: Files and ERPs tell nobody that there is something new.
ERP_POLL = timedelta(seconds=60)
FACTS = (Fact.ELSEWHERE, Fact.WRITES, Fact.STALE, Fact.POLLS)


def rule(
    queues: Sequence[str],
    writes: Sequence[str],
    hints: Sequence[str],
    polls: list[Interval],
) -> Callable[[Pending], list[str]]:
    """Why a run of a subject should start."""

    def reasons(seen: Pending) -> list[str]:
        if seen.is_running:
            return []  # it takes whatever is pending, and its end is heard
        found = [f"{kind}: {seen.elsewhere[kind]}" for kind in hints if kind in seen.elsewhere]
        found += [f"{seen.stale[q]} orders of {q} wait" for q in queues if seen.stale.get(q)]
        found += [
            f"{count} writes about a {word} to {system}"
            for word in writes
            for system, count in sorted(seen.writes.get(word, {}).items())
        ]
        return found + pending.late(seen, polls)

    return reasons


def shipment_polls(settings: Settings) -> list[Interval]:
    """How often those that ship, and those that track, are asked for what changed."""
    asked = [Interval(erp, "shipments", ERP_POLL) for erp in settings.erps]
    for name, one in settings.warehouses.items():
        if ships(one) and one.kind in WAREHOUSE_KINDS:
            stream = "files" if one.kind == "files" else "shipments"
            asked.append(Interval(name, stream, timedelta(seconds=one.poll_seconds)))
    return asked + [
        Interval(name, "trackers", timedelta(seconds=one.poll_seconds))
        for name, one in settings.carriers.items()
    ]


def return_polls(settings: Settings) -> list[Interval]:
    """How often those that take goods back are asked."""
    asked = [Interval(erp, "returns", ERP_POLL) for erp in settings.erps]
    return asked + [
        Interval(name, "returns", timedelta(seconds=one.poll_seconds))
        for name, one in settings.warehouses.items()
        if one.kind in ("http", "shipbob")
    ]


def build(
    settings: Settings, shipments_job: str, returns_job: str, *, is_on: bool
) -> list[dg.SensorDefinition]:
    """The sensors of both subjects."""
    if not settings.stores:
        return []
    shipments = rule(SHIPMENT_QUEUES, SHIPMENT_WRITES, SHIPMENT_HINTS, shipment_polls(settings))
    returns = rule(RETURN_QUEUES, RETURN_WRITES, RETURN_HINTS, return_polls(settings))
    return [
        watching(
            "shipments_due",
            shipments_job,
            shipments,
            seconds=2,
            is_on=is_on,
            tags={URGENT: "true"},
            facts=FACTS,
            description="Starts a run when orders may be released, warehouses or carriers told of "
            "something, writes about shipments are due, or it is time to ask.",
        ),
        watching(
            "returns_due",
            returns_job,
            returns,
            seconds=2,
            is_on=is_on,
            tags={URGENT: "true"},
            facts=FACTS,
            description="Starts a run when returns or refunds go on, a provider or warehouse told "
            "of one, writes about them are due, or it is time to ask.",
        ),
    ]
