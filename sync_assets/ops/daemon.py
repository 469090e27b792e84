"""Dagster's daemon with ears: sensors look when the database says there is work, not every 5 s.

All else is Dagster's own daemon: ticks, runs, schedules, backfills, monitoring. The sensor loop
waits on an event between two rounds; here that event is also set by a NOTIFY.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.workspace.load_target import WorkspaceFileTarget, WorkspaceLoadTarget
from dagster._daemon.controller import (
    DagsterDaemonController,
    create_daemons_from_instance,
    daemon_controller_from_instance,
)
from dagster._daemon.daemon import DagsterDaemon, SensorDaemon

from resources.store.listening import WORK, Bell
from resources.store.postgres import Databases

#: A sensor looks at most once a second; called earlier, it would not look until the next round.
LEAST_SECONDS = 1.02


class Woken(threading.Event):
    """An event whose wait ends when the bell rings, as soon as sensors look again."""

    def __init__(
        self,
        over: threading.Event,
        bell: Bell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.over, self.bell, self.clock = over, bell, clock
        self.looked_at, self.again = clock(), False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a ring or the time, and through the rest of a second; whether it is the end.

        A sensor that was still looking when the bell rang did not look again: so one more round.
        """
        seconds = 5.0 if timeout is None else timeout
        rang = self.bell.wait(
            min(seconds, LEAST_SECONDS) if self.again else seconds, self.over.is_set
        )
        self.again = rang
        if rang:
            self.over.wait(max(0.0, self.looked_at + LEAST_SECONDS - self.clock()))
        self.looked_at = self.clock()
        return self.over.is_set()

    def is_set(self) -> bool:
        """Whether it is the end."""
        return self.over.is_set()


class WokenSensorDaemon(SensorDaemon):
    """Dagster's sensor daemon, woken by the bell."""

    def __init__(self, settings: Any, bell: Bell) -> None:
        super().__init__(settings)
        self.bell = bell

    def core_loop(self, workspace_process_context: Any, shutdown_event: Any) -> Any:
        """Evaluate sensors until the end, as soon as there is something to see."""
        woken = Woken(shutdown_event, self.bell)
        yield from super().core_loop(workspace_process_context, woken)


def daemons(instance: dg.DagsterInstance, bell: Bell) -> Sequence[DagsterDaemon[Any]]:
    """The daemons the instance needs, the sensor daemon woken by the bell."""
    return [
        WokenSensorDaemon(instance.get_sensor_settings(), bell)
        if isinstance(one, SensorDaemon)
        else one
        for one in create_daemons_from_instance(instance)
    ]


@contextmanager
def running(
    place: Databases, instance: dg.DagsterInstance, workspace: Path
) -> Iterator[DagsterDaemonController]:
    """The daemon's threads; the caller minds them with `check_daemon_loop`."""
    target: WorkspaceLoadTarget = WorkspaceFileTarget([str(workspace)])
    with (
        Bell(place, WORK) as bell,
        daemon_controller_from_instance(
            instance,
            workspace_load_target=target,
            gen_daemons=lambda one: daemons(one, bell),
            code_server_log_level="warning",
        ) as controller,
    ):
        yield controller
