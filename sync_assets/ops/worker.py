"""The warm worker: a process that has everything imported and runs what is handed to it, at once.

One run at a time, in line, recorded on the instance as any other. What it cannot run as the asker
defines it, it leaves to a fresh process; then it ends, so that whoever minds it starts new code.
"""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._utils import send_interrupt
from dagster._utils.interrupts import capture_interrupts
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from resources import settings
from resources.store import handover
from resources.store.engine import connected, engine_for
from resources.store.listening import RUNS, WORK, Bell
from resources.store.postgres import Databases, DatabaseUnavailable
from resources.wiring import Systems, utc_now
from sync_assets.definitions import build_defs
from sync_assets.outcomes import URGENT

log = logging.getLogger("sync_assets.worker")
BEAT_SECONDS = 4.0
#: How often to look without having been called.
LOOK_SECONDS = 5.0


class CodeChanged(Exception):
    """Runs are offered that this process would run from older code."""


class Worker:
    """Takes runs and executes them, one after the other."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        repository: dg.RepositoryDefinition,
        engine: Engine,
        only: Collection[str] = (),
    ) -> None:
        self.instance, self.repository, self.engine = instance, repository, engine
        self.name = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:6]}"
        self.run_id: str | None = None
        urgent = [job for job in repository.get_all_jobs() if job.tags.get(URGENT)]
        self.known = {
            job.name: job.get_job_snapshot_id() for job in urgent if not only or job.name in only
        }

    def work(self, bell: Bell, until: Callable[[], bool]) -> None:
        """Run what is offered until told to end."""
        while not until():
            while self.one():
                pass
            bell.wait(LOOK_SECONDS, until)

    def one(self) -> bool:
        """Take one run and execute it; whether there was one."""
        with connected(self.engine) as connection:
            if handover.offered_otherwise(connection, self.known):
                raise CodeChanged
            self.run_id = handover.take(connection, self.name, self.known, utc_now())
            handover.beat(connection, self.name, self.run_id, utc_now())
        if self.run_id is None:
            return False
        try:
            self._execute(self.run_id)
        finally:
            self._end(self.run_id)
        return True

    def _execute(self, run_id: str) -> None:
        run = self.instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        job = self.repository.get_maybe_subset_job_def(
            run.job_name,
            op_selection=run.resolved_op_selection,
            asset_selection=run.asset_selection,
            asset_check_selection=run.asset_check_selection,
        )
        # An interrupt reaches the run between its steps only, never our own bookkeeping.
        with capture_interrupts():
            # The events are stored as they happen; a failing run is told by its own last event.
            for _ in execute_run_iterator(InMemoryJob(job), run, self.instance):
                pass

    def _end(self, run_id: str) -> None:
        self.run_id = None
        with connected(self.engine) as connection:
            handover.end(connection, run_id, utc_now())
            handover.beat(connection, self.name, None, utc_now())
            ring_if_pending(connection, utc_now())

    def beat(self) -> None:
        """Say that we are alive, and what we run; end the run when somebody asked for it."""
        run_id = self.run_id
        with connected(self.engine) as connection:
            handover.beat(connection, self.name, run_id, utc_now())
        run = self.instance.get_run_by_id(run_id) if run_id else None
        if run and run.status == dg.DagsterRunStatus.CANCELING and run_id == self.run_id:
            send_interrupt()

    def leave(self) -> None:
        """Take ourselves off the list."""
        with connected(self.engine) as connection:
            handover.leave(connection, self.name)


def ring_if_pending(connection: Connection, now: datetime) -> None:
    """Wake whoever decides when something came while the run was at work: it was left alone."""
    connection.execute(
        text(
            "select pg_notify(:channel, 'run ended') where exists (select from ops.inbox "
            "where state = 'waiting' and due_at <= :now) or exists (select from ops.outbox "
            "where state in ('waiting', 'unknown') and due_at <= :now) "
            "or exists (select from ops.stale)"
        ),
        {"channel": WORK, "now": now},
    )


@contextmanager
def beating(worker: Worker) -> Iterator[None]:
    """Beat in a thread of its own while the block runs."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(BEAT_SECONDS):
            try:
                worker.beat()
            except (DatabaseUnavailable, OperationalError) as fault:
                log.warning("no beat: %s", type(fault).__name__)

    worker.beat()
    thread = threading.Thread(target=go_on, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(BEAT_SECONDS)


def serve(
    place: Databases,
    instance: dg.DagsterInstance,
    until: Callable[[], bool],
    ready: Callable[[Worker], None] = lambda worker: None,
    only: Collection[str] = (),
) -> None:
    """Be a warm worker of the deployment until told to end, for all urgent jobs or `only` some."""
    config = settings.load()
    engine = engine_for(place)
    try:
        systems = Systems(config, engine)
        repository = build_defs(config, systems).get_repository_def()
        worker = Worker(instance, repository, engine, only)
        with Bell(place, RUNS) as bell, beating(worker):
            ready(worker)
            worker.work(bell, until)
        worker.leave()
    finally:
        engine.dispose()
