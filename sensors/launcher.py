"""The run launcher: urgent runs go to a warm worker, all others to a process of their own.

A fresh process imports for seconds what a warm worker has in memory. Where no worker is alive, or
none takes the run in time, the run starts as any other; the instance records it the same way.
"""

import logging
import time
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster import DefaultRunLauncher
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from resources import settings
from resources.store import handover, postgres
from resources.store.engine import connected, engine_for
from resources.store.postgres import DatabaseUnavailable
from resources.wiring import utc_now
from sync_assets.outcomes import URGENT

log = logging.getLogger("sync_assets.launcher")

#: How long an offer stands while a worker is alive; it may be about to end another run.
OFFER_STANDS = timedelta(seconds=2)
LOOK_AGAIN_SECONDS = 0.02


class WarmRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, with warm workers in front of it."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._engine: Engine | None = None
        self.offer_stands = OFFER_STANDS

    @property
    def engine(self) -> Engine:
        """Our database, connected to when first needed."""
        if self._engine is None:
            self._engine = engine_for(postgres.find(settings.home()))
        return self._engine

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand the run over, or start it in a process of its own."""
        run = context.dagster_run
        if run.tags.get(URGENT) and self._is_handed_over(run):
            return
        super().launch_run(context)

    def _is_handed_over(self, run: dg.DagsterRun) -> bool:
        try:
            with connected(self.engine) as connection:
                if not handover.somebody_is_there(connection, utc_now()):
                    return False
                handover.ask(
                    connection, run.run_id, run.job_name, run.job_snapshot_id or "", utc_now()
                )
        except (DatabaseUnavailable, OperationalError) as fault:
            log.warning("no warm worker for run %s: %s", run.run_id, type(fault).__name__)
            return False
        # From here on a worker may have it: a fault must not start the run a second time.
        return self._is_taken(run.run_id)

    def _is_taken(self, run_id: str) -> bool:
        until = time.monotonic() + self.offer_stands.total_seconds()
        while time.monotonic() < until:
            with connected(self.engine) as connection:
                if handover.was_taken(connection, run_id):
                    return True
            time.sleep(LOOK_AGAIN_SECONDS)
        with connected(self.engine) as connection:
            return not handover.take_back(connection, run_id)

    def terminate(self, run_id: str) -> bool:
        """Ask for the end of a run; a warm worker watches for the request."""
        with connected(self.engine) as connection:
            is_warm = handover.was_taken(connection, run_id)
        if not is_warm:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether a dead worker's run is told from a slow one; it is."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Say whether the worker that took the run died with it."""
        with connected(self.engine) as connection:
            if handover.is_lost(connection, run.run_id, utc_now()):
                return CheckRunHealthResult(WorkerStatus.FAILED, "its warm worker is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)
