"""Simulated time for several workers at once: hours of waiting in seconds, the same every time.

A worker is ordinary blocking code that is given this clock and this `sleep`. Exactly one runs at a
time; where it sleeps, the next in time goes on, and the clock moves to its moment. Threads, because
the code under simulation blocks: simulators of the usual kind want generators.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from types import TracebackType

Work = Callable[[], None]


class Over(BaseException):
    """The timeline was closed; whoever still sleeps ends here."""


class _Worker:
    """A thread that runs only while it holds its baton."""

    def __init__(self, thread: threading.Thread) -> None:
        self.thread, self.baton = thread, threading.Semaphore(0)


class Timeline:
    """A clock, and those who wait for it."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._waiting: list[tuple[datetime, int, _Worker]] = []
        self._numbers, self._mine = count(), threading.local()
        self._turn = threading.Semaphore(0)
        self._fault: BaseException | None = None
        self._is_over = False

    def __enter__(self) -> "Timeline":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let time pass for the caller; who is no worker simply moves the clock."""
        worker: _Worker | None = getattr(self._mine, "worker", None)
        if worker is None:
            self.at += timedelta(seconds=seconds)
            return
        self._plan(worker, seconds)
        self._turn.release()
        worker.baton.acquire()
        if self._is_over:
            raise Over

    def start(self, name: str, work: Work, after: float = 0.0) -> None:
        """Let a worker begin `after` some seconds."""
        worker = _Worker(threading.Thread(name=name, daemon=True))
        worker.thread.run = lambda: self._work(worker, work)  # type: ignore[method-assign]
        self._plan(worker, after)

    def run(self, until: datetime) -> None:
        """Let time pass until a moment; what a worker raises is raised here."""
        while self._waiting and self._waiting[0][0] <= until:
            at, _, worker = heappop(self._waiting)
            self.at = max(self.at, at)
            self._go(worker)
            if self._fault is not None:
                raise self._fault
        self.at = max(self.at, until)

    def close(self) -> None:
        """End every worker where it sleeps."""
        self._is_over = True
        while self._waiting:
            worker = heappop(self._waiting)[2]
            if worker.thread.ident is not None:
                self._go(worker)
                worker.thread.join()

    def _plan(self, worker: _Worker, seconds: float) -> None:
        moment = self.at + timedelta(seconds=max(0.0, seconds))
        heappush(self._waiting, (moment, next(self._numbers), worker))

    def _go(self, worker: _Worker) -> None:
        """Hand the baton over, and wait until it comes back."""
        if worker.thread.ident is None:
            worker.thread.start()
        else:
            worker.baton.release()
        self._turn.acquire()

    def _work(self, worker: _Worker, work: Work) -> None:
        self._mine.worker = worker
        try:
            work()
        except Over:
            pass
        except BaseException as fault:  # it is raised where the timeline is run
            self._fault = fault
        finally:
            self._turn.release()
