"""Waiting for a word of the database: NOTIFY as a thing to wait for.

A word lost with its connection costs nothing but time: whoever waits looks by itself now and then.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import psycopg

from resources.store.postgres import Databases

WORK, RUNS = "sync_work", "sync_runs"
#: After a lost connection; also how soon a closed bell notices.
AGAIN_SECONDS = 1.0


class Bell:
    """Rings when somebody notifies a channel; listens in a thread of its own, and reconnects."""

    def __init__(self, place: Databases, channel: str) -> None:
        self.url, self.channel = place.text(place.store), channel
        self._rung, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name=f"bell {channel}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join(2 * AGAIN_SECONDS)

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Wait for a ring, at most `seconds` or until `until` holds; whether it rang."""
        waited = 0.0
        while waited < seconds and not until():
            step = min(0.25, seconds - waited)
            if self._rung.wait(step):
                self._rung.clear()
                return True
            waited += step
        return False

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except psycopg.OperationalError:
                self._closed.wait(AGAIN_SECONDS)

    def _follow(self) -> None:
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(f"listen {self.channel}")
            self.ring()  # something may have been said before we listened
            while not self._closed.is_set():
                for _ in connection.notifies(timeout=AGAIN_SECONDS, stop_after=1):
                    self.ring()
