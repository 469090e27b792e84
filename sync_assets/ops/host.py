"""The machine we run on: databases brought up to date, Dagster's processes, free ports."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import httpx
from sqlalchemy.engine import make_url

import sync_assets
from resources import settings
from resources.store import postgres
from resources.store.engine import engine_for, migrate


class NotReady(Exception):
    """Something this command needs is not there; the message says what to do."""


def databases(suffix: str = "") -> postgres.Databases:
    """Both databases, there and brought up to date; `suffix` names a separate pair."""
    found = postgres.find(settings.home())
    if suffix:
        name = f"{found.store.database}{suffix}"
        found = postgres.Databases(found.store.set(database=name))
    postgres.create_missing(found)
    engine = engine_for(found)
    try:
        migrate(engine)
    finally:
        engine.dispose()
    return found


def dagster_home() -> Path:
    """The folder of `dagster.yaml`: named, the current one, or the project's."""
    named = os.environ.get("DAGSTER_HOME")
    project = Path(sync_assets.__file__).parent.parent
    for folder in [Path(named)] if named else [Path.cwd(), project]:
        if (folder / "dagster.yaml").exists():
            return folder.resolve()
    raise NotReady(
        "There is no dagster.yaml here. Run this in the project's folder, or set DAGSTER_HOME to "
        "the folder that holds it."
    )


def environment(found: postgres.Databases, config: Path | None = None) -> dict[str, str]:
    """What Dagster's processes need to know, for this process and its children."""
    state = settings.home() / "dagster"
    for folder in (state / "artifacts", state / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    values = {
        "SYNC_DATABASE_URL": found.text(found.store),
        "SYNC_DAGSTER_URL": found.text(found.dagster),
        "SYNC_HOME": str(settings.home()),
        "SYNC_ARTIFACTS": str(state / "artifacts"),
        "SYNC_LOGS": str(state / "logs"),
        "DAGSTER_HOME": str(dagster_home()),
    }
    path = config or settings.config_path()
    if path.exists():
        values["SYNC_CONFIG"] = str(path.resolve())
    return values


@contextmanager
def set_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Hold these variables in this process."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def instance(found: postgres.Databases, config: Path | None = None) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance on our Postgres, its schema up to date."""
    with set_environment(environment(found, config)), dg.DagsterInstance.get() as one:
        one.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=10)
        yield one


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def child(
    command: list[str], values: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own that ends with us, its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **values},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children; kindly first."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def script(name: str) -> str:
    """A command of our own environment, whatever PATH says."""
    return str(Path(sys.executable).parent / name)


@contextmanager
def web(
    found: postgres.Databases,
    *,
    port: int,
    config: Path | None = None,
    daemon: bool = True,
    host: str = "127.0.0.1",
) -> Iterator[str]:
    """Dagster's web server, and the daemon for sensors and backfills; yields the address."""
    values, logs = environment(found, config), settings.home() / "logs"
    workspace = str(dagster_home() / "workspace.yaml")
    server = [script("dagster-webserver"), "-h", host, "-p", str(port), "-w", workspace]
    with child(server, values, logs / "webserver.log") as process:
        if not daemon:
            yield f"http://{host}:{port}"
            _still(process, logs / "webserver.log")
            return
        worker = [script("dagster-daemon"), "run", "-w", workspace]
        with child(worker, values, logs / "daemon.log"):
            yield f"http://{host}:{port}"


def _still(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        raise NotReady(f"The web server ended by itself; its words are in {log}.")


def wait_for(url: str, *, seconds: float = 60) -> bool:
    """Wait until somebody answers at `url`; whether it happened in time."""
    return wait_until(lambda: answers(url), seconds=seconds)


def wait_until(
    told: Callable[[], bool], *, seconds: float, meanwhile: Callable[[], None] = lambda: None
) -> bool:
    """Wait for something that happens in other processes; whether it did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if told():
            return True
        meanwhile()
        time.sleep(0.05)
    return False


def answers(url: str) -> bool:
    """Whether somebody answers there now, and not with a fault of his own."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


def forever() -> None:
    """Wait until somebody presses Ctrl-C or sends a stop."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def own_name() -> str:
    """How this command was called, so that what we suggest can be typed as it is."""
    called = Path(sys.argv[0])
    if called.name != "sync-assets" or not called.exists():
        return "sync-assets"
    on_path = shutil.which("sync-assets")
    if on_path and Path(on_path).resolve() == called.resolve():
        return "sync-assets"
    here = Path.cwd()
    return str(called.relative_to(here) if called.is_relative_to(here) else called)


def peak_mib() -> int:
    """The most memory this process ever held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024 if sys.platform != "darwin" else 1024 * 1024))


def shown(url: str) -> str:
    """A database URL without its password."""
    return make_url(url).render_as_string(hide_password=True)
