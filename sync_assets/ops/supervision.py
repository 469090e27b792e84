"""Everything a deployment runs, as children of one process that starts again what ended.

On one machine `sync-assets up` is enough; under systemd or in containers each part is started by
its own command instead. Every part may be killed at any time: what it held is seen again.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from resources import settings
from resources.store import handover, postgres
from resources.store.engine import connected, engine_for
from resources.wiring import utc_now
from sync_assets import jobs
from sync_assets.ops import host

#: A part that ended is started again after this long, doubled each time up to a minute.
AGAIN_SECONDS = 0.5
LONGEST_SECONDS = 60.0
#: A part that lived this long has recovered.
RECOVERED_SECONDS = 30.0
REVIVE_SECONDS = 1.0


@dataclass
class Part:
    """One process to be kept alive."""

    name: str
    command: list[str]
    values: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    ended: int = 0

    @property
    def pid(self) -> int | None:
        """Its process id while it is alive."""
        return self.process.pid if self.process and self.process.poll() is None else None

    def mind(self, now: float) -> str | None:
        """Start it when it is time; answer a sentence when something changed."""
        if self.process is not None and self.process.poll() is not None:
            return self._ended(self.process.returncode, now)
        if self.process is None and now >= self.start_at:
            self._start(now)
        return None

    def _ended(self, code: int, now: float) -> str:
        lived, self.process = now - self.started_at, None
        self.ended = 1 if lived >= RECOVERED_SECONDS else self.ended + 1
        pause = min(AGAIN_SECONDS * 2 ** (self.ended - 1), LONGEST_SECONDS)
        self.start_at = now + pause
        return f"{self.name} ended with code {code}; starts again in {pause:g} s ({self.log})"

    def _start(self, now: float) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.values},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at = now


@dataclass
class Supervisor:
    """Keeps parts alive until told to end."""

    parts: list[Part]
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    #: The embedded database, where there is one: whether it had to be started again.
    revive: Callable[[], bool] = lambda: False
    #: Asked now and then until it holds, then told once.
    is_up: Callable[[], bool] = lambda: False
    over: bool = field(default=False, init=False)
    told_up: bool = field(default=False, init=False)
    revived_at: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Mind all parts until `stop`; then end them, the last first."""
        try:
            while not self.over:
                self.look()
                self.pause(0.2)
        finally:
            self.end()

    def look(self) -> None:
        """Start what is to be started, and say what ended."""
        if self.clock() - self.revived_at >= REVIVE_SECONDS:
            self.revived_at = self.clock()
            if self.revive():
                self.say("the database had ended; it is up again")
            if not self.told_up and self.is_up():
                self.told_up = True
                self.say("Everything is up. Ctrl-C ends it.")
        for part in self.parts:
            told = part.mind(self.clock())
            if told:
                self.say(told)

    def end(self) -> None:
        """End all parts, the last first."""
        for part in reversed(self.parts):
            if part.process is not None:
                host.stop(part.process)

    def stop(self) -> None:
        """Let `run` end."""
        self.over = True


def write_workspace(path: Path, port: int) -> None:
    """A workspace that names the one code server all parts share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "load_from:\n"
        "  - grpc_server:\n"
        "      host: 127.0.0.1\n"
        f"      port: {port}\n"
        "      location_name: sync_assets\n"
    )


@dataclass(frozen=True)
class Plan:
    """What `up` starts, and where it can be reached."""

    parts: list[Part]
    url: str | None
    receiver: str | None


def plan(
    place: postgres.Databases,
    *,
    port: int,
    code_port: int,
    receiver_port: int | None,
    workers: int = 1,
    ui: bool = True,
) -> Plan:
    """The parts of a deployment: code server, worker, daemon, receiver, UI."""
    values = {**host.environment(place), "SYNC_AUTOMATION": "on"}
    logs = settings.home() / "logs"
    workspace = settings.home() / "run" / f"workspace-{code_port}.yaml"
    write_workspace(workspace, code_port)
    mine = [sys.executable, "-m", "sync_assets.ops.cli"]

    def part(name: str, *command: str) -> Part:
        return Part(name, list(command), values, logs / f"{name}.log")

    only = [word for job in (jobs.STOCK_SOLD, jobs.STOCK_NOW) for word in ("--only", job)]
    parts = [
        part(
            "code-server",
            *(host.script("dagster"), "api", "grpc", "-m", "sync_assets.definitions"),
            *("--host", "127.0.0.1", "--port", str(code_port), "--location-name", "sync_assets"),
        ),
        *[
            part(f"worker-{n}" if workers > 1 else "worker", *mine, "worker")
            for n in range(1, workers + 1)
        ],
        # A stock run never waits behind orders: this one takes nothing else.
        part("stock-worker", *mine, "worker", *only),
        part("daemon", *mine, "daemon", "--workspace", str(workspace)),
    ]
    if receiver_port is not None:
        parts.append(part("receiver", *mine, "receiver", "--port", str(receiver_port)))
    if ui:
        parts.append(
            part(
                "webserver",
                *(host.script("dagster-webserver"), "-h", "127.0.0.1", "-p", str(port)),
                *("-w", str(workspace)),
            )
        )
    return Plan(
        parts,
        f"http://127.0.0.1:{port}" if ui else None,
        f"http://127.0.0.1:{receiver_port}" if receiver_port is not None else None,
    )


def reviver() -> Callable[[], bool]:
    """What starts the embedded database again; nothing for a server somebody else minds."""
    if "SYNC_DATABASE_URL" in os.environ:
        return lambda: False
    folder = settings.home() / "postgres"
    return lambda: postgres.revive_embedded(folder)


def prober(place: postgres.Databases, found: Plan) -> Callable[[], bool]:
    """What says whether a worker is there, and receiver and UI answer."""
    urls = [f"{found.receiver}/ready"] if found.receiver else []
    urls += [f"{found.url}/server_info"] if found.url else []

    def is_up() -> bool:
        engine = engine_for(place, pool_size=1)
        try:
            with connected(engine) as connection:
                there = handover.somebody_is_there(connection, utc_now())
        except postgres.DatabaseUnavailable:
            return False
        finally:
            engine.dispose()
        return there and all(host.answers(url) for url in urls)

    return is_up


def until_told(supervisor: Supervisor) -> None:
    """Run until Ctrl-C or a stop signal."""
    signal.signal(signal.SIGTERM, lambda *_: supervisor.stop())
    signal.signal(signal.SIGINT, lambda *_: supervisor.stop())
    supervisor.run()
