"""What the receiver counts, in Prometheus' words. Labels are names of the configuration only."""

import os
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

SHARED = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The counters of one receiver, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("source", "store")
        self.received = Counter(
            "sync_webhooks_received",
            "Requests to webhook endpoints by what became of them.",
            (*labels, "outcome"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "sync_webhooks_seconds",
            "From the request's head to the commit, of deliveries that were kept.",
            labels,
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "sync_webhooks_batch_rows",
            "Deliveries that shared one commit.",
            buckets=ROWS,
            registry=self.registry,
        )
        self.commit = Histogram(
            "sync_webhooks_commit_seconds",
            "What one commit took.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queue = Gauge(
            "sync_webhooks_queue_rows",
            "Deliveries that wait for their commit.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.failed = Counter(
            "sync_webhooks_commits_failed",
            "Commits the database did not make.",
            registry=self.registry,
        )

    def watch_queue(self, rows: Callable[[], int]) -> None:
        """Ask for the queue when it is read; several processes tell it at every commit instead."""
        if SHARED not in os.environ:
            self.queue.set_function(rows)

    def text(self) -> bytes:
        """Everything counted, of all processes where several serve."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


MEDIA_TYPE = CONTENT_TYPE_LATEST
