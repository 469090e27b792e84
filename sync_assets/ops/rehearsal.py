"""A whole deployment on stand-ins, as real processes on this machine: what the demo, the
benchmarks and the tests of killed processes run. Nothing here is used by a real deployment.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from resources import settings
from resources.sandbox import deployment
from resources.store import postgres
from resources.store.engine import engine_for
from sync_assets.ops import host, supervision

WEBHOOK_SECRET = "whsec-rehearsal"  # noqa: S105 - invented, for stores that do not exist


@dataclass
class Sandbox:
    """The stand-ins' process."""

    process: subprocess.Popen[bytes]
    said: dict[str, Any]

    @property
    def urls(self) -> dict[str, str]:
        """Base addresses by system name."""
        return dict(self.said["urls"])

    def sell(self) -> dict[str, Any]:
        """Place one more order; answers its store, id and text."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"sell\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))


@contextmanager
def sandbox(options: Sequence[str]) -> Iterator[Sandbox]:
    """The stand-ins in a process of their own; they end with us."""
    log = settings.home() / "logs" / "sandbox.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "resources.sandbox.process", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                process.wait(10)
                raise host.NotReady(f"The stand-ins did not start: {_last_line(log)}")
            yield Sandbox(process, json.loads(line))
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"see {log}"


@dataclass
class Rehearsal:
    """A running deployment and its stand-ins."""

    sandbox: Sandbox
    place: postgres.Databases
    plan: supervision.Plan
    supervisor: supervision.Supervisor
    engine: Engine
    postgres_folder: Path

    def part(self, name: str) -> supervision.Part:
        """One of its processes."""
        return next(part for part in self.plan.parts if part.name == name)

    def mind(self) -> None:
        """Start again what ended; the rehearsal itself minds nothing in the background."""
        self.supervisor.look()


@contextmanager
def rehearse(
    home: Path,
    *,
    orders: int,
    erp_seconds: float = 0.0,
    sandbox_options: Sequence[str] = (),
    store_options: dict[str, Any] | None = None,
    ui: bool = False,
    **options: Any,
) -> Iterator[Rehearsal]:
    """Run a deployment on stand-ins with empty databases under `home`."""
    with ExitStack() as stack:
        stack.enter_context(host.set_environment({"SYNC_HOME": str(home)}))
        found = stack.enter_context(
            sandbox(["--orders", str(orders), "--erp-seconds", str(erp_seconds), *sandbox_options])
        )
        receiver_port = host.free_port()
        data = deployment.deployment(
            found.urls,
            webhook_secrets=[WEBHOOK_SECRET],
            receiver={"port": receiver_port, "public_url": f"http://127.0.0.1:{receiver_port}"},
            store_options={"lag_seconds": 1, **(store_options or {})},
            **options,
        )
        config = home / "sync.toml"
        config.write_text(deployment.as_toml(data))
        stack.enter_context(host.set_environment({"SYNC_CONFIG": str(config)}))
        # A server of its own, whatever the environment names: it may be killed.
        folder = home / "postgres"
        own = postgres.embedded(folder)
        stack.callback(postgres.stop_embedded, folder)
        stack.enter_context(host.set_environment({"SYNC_DATABASE_URL": own.text(own.store)}))
        place = host.databases()
        stack.enter_context(host.set_environment(host.environment(place, config)))
        with host.instance(place, config):
            pass  # its tables, before several processes want to make them at once
        plan = supervision.plan(
            place,
            port=host.free_port(),
            code_port=host.free_port(),
            receiver_port=receiver_port,
            ui=ui,
        )
        engine = engine_for(place)
        stack.callback(engine.dispose)
        supervisor = supervision.Supervisor(
            plan.parts, lambda line: None, revive=lambda: postgres.revive_embedded(folder)
        )
        stack.callback(supervisor.end)
        yield Rehearsal(found, place, plan, supervisor, engine, folder)
