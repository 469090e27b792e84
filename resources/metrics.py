"""The facts about how we stand as Prometheus text, for `sync-assets metrics` and the receiver.

Numbers only; the labels are names of systems, lanes, codes and roles, never keys of things.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from resources.store.facts import Facts, Rows

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("running", "draining", "paused", "circuit_open")


@dataclass(frozen=True)
class Promise:
    """One service level as numbers."""

    name: str
    unit: str
    state: str
    value: float | None
    threshold: float
    breached: int


def exposition(facts: Facts, promises: Sequence[Promise] = ()) -> bytes:
    """All facts as Prometheus text."""
    registry = CollectorRegistry()
    registry.register(_Told(facts, promises))
    return generate_latest(registry)


@dataclass(eq=False)
class _Told(Collector):
    """Facts read before, told once."""

    facts: Facts
    promises: Sequence[Promise]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Every family; those without a sample are left out."""
        found = [
            *_reading(self.facts),
            *_writing(self.facts),
            *_systems(self.facts),
            *_hearing(self.facts),
            *_people(self.facts),
            *_money(self.facts),
            *_promised(self.promises),
        ]
        return [one for one in found if one.samples]


def _family(
    name: str, told: str, labels: Sequence[str], rows: Iterable[Sequence[Any]]
) -> GaugeMetricFamily:
    """A family of gauges; each row ends with its value, and one of none is left out."""
    family = GaugeMetricFamily(f"sync_{name}", told, labels=labels)
    for *words, value in rows:
        if value is not None:
            family.add_metric([str(word) for word in words], float(value))
    return family


def _age(rows: Rows, at: datetime, moment: str, *labels: str) -> Iterator[list[Any]]:
    """Seconds since the oldest moment, by labels."""
    oldest: dict[tuple[Any, ...], datetime] = {}
    for row in rows:
        key = tuple(row[label] for label in labels)
        oldest[key] = min(oldest.get(key, row[moment]), row[moment])
    for key, since in sorted(oldest.items()):
        yield [*key, (at - since).total_seconds()]


def _reading(facts: Facts) -> Iterator[GaugeMetricFamily]:
    yield _family(
        "read_lag_seconds",
        "How far behind now each stream was read to its end",
        ["system", "stream"],
        _age(facts.streams, facts.at, "complete_until", "source", "stream"),
    )
    yield _family("unmapped_versions", "Versions read and not mapped yet", [], [[facts.unmapped]])
    taken = facts.accepted
    yield _family("orders_accepted_last_hour", "Orders that ERPs accepted", [], [[taken["orders"]]])
    yield _family(
        "order_acceptance_seconds",
        "From payment or placing to the ERP's acceptance, orders of the last hour",
        ["quantile"],
        [["0.5", taken["p50_seconds"]], ["0.95", taken["p95_seconds"]]],
    )


def _writing(facts: Facts) -> Iterator[GaugeMetricFamily]:
    rows, labels = facts.queues, ["system", "lane", "state"]
    for name, told in (
        ("writes", "Writes that are not done"),
        ("writes_retried", "Writes that are not done and were tried before"),
    ):
        column = name.removeprefix("writes_")
        yield _family(
            name, told, labels, ([*(row[one] for one in labels), row[column]] for row in rows)
        )
    yield _family(
        "oldest_write_seconds",
        "Age of the oldest write that is not done",
        labels,
        _age(rows, facts.at, "oldest_at", *labels),
    )


def _systems(facts: Facts) -> Iterator[GaugeMetricFamily]:
    for name, told in (
        ("calls", "Calls of the last 15 minutes"),
        ("errors", "Failed calls of the last 15 minutes"),
        ("throttled", "Calls turned away as too many, last 15 minutes"),
        ("seconds", "Seconds that the calls of the last 15 minutes took"),
    ):
        rows = ([row["system"], row[name]] for row in facts.calls)
        yield _family(f"calls_{name}" if name != "calls" else "calls", told, ["system"], rows)
    yield _family(
        "system_state",
        "1 for the state a system is in",
        ["system", "state"],
        (
            [row["system"], state, int(row["state"] == state)]
            for row in facts.systems
            for state in STATES
        ),
    )
    failures = ([row["system"], row["failures"]] for row in facts.systems)
    yield _family("failures_in_a_row", "What the breaker counts", ["system"], failures)
    yield _family("workers_alive", "Warm workers that are alive", [], [[facts.alive]])
    yield _family("runs_handed_over", "Runs that wait for a worker", [], [[facts.handovers]])


def _hearing(facts: Facts) -> Iterator[GaugeMetricFamily]:
    yield _by_store("inbox_waiting", "Deliveries not settled", facts.inbox, "waiting")
    yield _family(
        "oldest_delivery_seconds",
        "Age of the oldest delivery that is not settled",
        ["store"],
        _age(facts.inbox, facts.at, "oldest_at", "store"),
    )
    for name, told in (
        ("deliveries", "Deliveries of the last 15 minutes"),
        ("things", "Things that the deliveries of the last 15 minutes named"),
        ("replays", "Deliveries replayed in the last 15 minutes"),
    ):
        yield _by_store(f"delivered_{name}", told, facts.deliveries, name)
    yield _by_store(
        "duplicate_deliveries",
        "Deliveries of the last 15 minutes that named a thing again",
        [{**row, "again": row["deliveries"] - row["things"]} for row in facts.deliveries],
        "again",
    )
    heard = [row for row in facts.deliveries if row["delivered_at"]]
    yield _family(
        "since_delivery_seconds",
        "Since the last delivery, of those that delivered within a day",
        ["store"],
        _age(heard, facts.at, "delivered_at", "store"),
    )
    told = "Deliveries of the last day that could not be read"
    yield _by_store("quarantined_deliveries", told, facts.quarantined, "quarantined")


def _by_store(name: str, told: str, rows: Rows, column: str) -> GaugeMetricFamily:
    return _family(name, told, ["store"], ([row["store"], row[column]] for row in rows))


def _people(facts: Facts) -> Iterator[GaugeMetricFamily]:
    for column, told in (("open", "Open exceptions"), ("overdue", "Overdue exceptions")):
        counts: dict[tuple[str, str], int] = {}
        for row in facts.exceptions:
            key = (row["owner_role"], row["code"])
            counts[key] = counts.get(key, 0) + row[column]
        rows = ([*key, count] for key, count in counts.items())
        yield _family(f"exceptions_{column}", told, ["owner_role", "code"], rows)
    sums: dict[tuple[str, str], Any] = {}
    for row in facts.exceptions:
        if row["currency"]:
            key = (row["owner_role"], row["currency"])
            sums[key] = sums.get(key, 0) + row["amount"]
    rows = ([*key, amount] for key, amount in sums.items())
    yield _family("exceptions_amount", "Money at stake", ["owner_role", "currency"], rows)


def _money(facts: Facts) -> Iterator[GaugeMetricFamily]:
    """An item has one finding here; a thing with two is counted under both."""
    rows, counts = facts.money.open_items, dict[tuple[str, str], int]()
    for row in rows:
        key = (row["provider"], row["finding"])
        counts[key] = counts.get(key, 0) + row["items"]
    yield _family(
        "settlement_open_items",
        "Open things of settlements by what is wrong with them",
        ["provider", "finding"],
        ([*key, count] for key, count in counts.items()),
    )
    labels = ["provider", "finding", "currency"]
    yield _family(
        "settlement_open_amount",
        "The money they hold, whoever is to get it",
        labels,
        ([*(row[one] for one in labels), row["amount"]] for row in rows if row["currency"]),
    )
    yield _family(
        "settlement_unmatched_lines",
        "Settled lines that are open and matched with nothing",
        ["provider"],
        ([row["provider"], row["lines"]] for row in facts.money.unmatched),
    )
    yield _family(
        "settlement_unmatched_seconds",
        "Age of the oldest of these lines",
        ["provider"],
        _age(facts.money.unmatched, facts.at, "oldest_at", "provider"),
    )
    yield from _refunds(facts.money.refunds)


def _refunds(rows: Rows) -> Iterator[GaugeMetricFamily]:
    yield _family(
        "refunds_settled_last_day",
        "Refunds whose settlement was matched within a day",
        ["provider"],
        ([row["provider"], row["refunds"]] for row in rows),
    )
    yield _family(
        "refund_settlement_seconds",
        "From refund to its settled line, refunds of the last day",
        ["provider", "quantile"],
        (
            [row["provider"], quantile, row[column]]
            for row in rows
            for quantile, column in (("0.5", "p50_seconds"), ("0.95", "p95_seconds"))
        ),
    )


def _promised(promises: Sequence[Promise]) -> Iterator[GaugeMetricFamily]:
    """The level's unit is a label: minutes, hours, writes."""
    for name, told in (
        ("value", "The worst case of a service level"),
        ("threshold", "What was promised for it"),
        ("breached", "Things beyond what was promised"),
    ):
        rows = ([one.name, one.unit, getattr(one, name)] for one in promises)
        yield _family(f"service_level_{name}", told, ["level", "unit"], rows)
    states = (
        [one.name, state, int(one.state == state)]
        for one in promises
        for state in ("ok", "late", "breached")
    )
    yield _family("service_level_state", "1 for the state it is in", ["level", "state"], states)
