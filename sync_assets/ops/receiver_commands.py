"""`sync-assets receiver`: take webhooks in. The receiver itself knows nothing of Dagster."""

import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import httpx
import typer
from rich.markup import escape

from resources import settings
from resources.settings import Settings
from resources.store import postgres
from resources.store.postgres import Databases, DatabaseUnavailable
from resources.wiring import environment
from sensors.webhooks import serving
from sensors.webhooks.metrics import SHARED
from sensors.webhooks.signatures import sender_of
from sync_assets.ops import host
from sync_assets.ops.console import clearly, err, fail, out
from sync_assets.ops.shell import databases

app = typer.Typer()


@app.command()
def receiver(
    host_name: Annotated[
        str | None, typer.Option("--host", help="Address to listen on. Default: `receiver.host`.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Default: `receiver.port`."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=1,
            max=64,
            help="Processes. One takes thousands of deliveries a second; rate limits count in "
            "each process, metrics add up over all.",
        ),
    ] = 1,
) -> None:
    """Take webhooks in: check who sent them, keep them on disk, answer. Ctrl-C ends it.

    Every store with `webhook_secrets` and every entry of `webhooks` in the configuration has an
    endpoint /webhooks/<scheme>/<name>. A delivery is answered 200 once it is on disk; while the
    database is away it is answered 503 and the receiver recovers by itself. Dagster is not needed
    for this.

    Beside the endpoints: /health, /ready, /metrics (Prometheus) and /openapi.json.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    with clearly():
        config = settings.load()
        where = (host_name or config.receiver.host, port or config.receiver.port)
        for name, endpoint in config.endpoints().items():
            sender_of(name, endpoint)  # a secret that cannot be one is told here, and once
        place = _place()
        _say_what_is_missing(config)
        _see_that_it_is_free(*where)
        # The server ends itself with the signal it got; so that what is ours is tidied up too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with (
            host.set_environment(_values(place)),
            _shared(workers),
            _announced(config, f"http://{_spelled(where[0])}:{where[1]}"),
        ):
            serving.serve(*where, workers)


def _place() -> Databases:
    """The deployment's databases; a server that is away now may come later."""
    try:
        return databases(False)
    except DatabaseUnavailable as fault:
        if "SYNC_DATABASE_URL" not in os.environ:
            raise
        told = f"{escape(str(fault))} Until then deliveries are answered 503."
        err.print(f"[yellow]![/yellow] {told}", soft_wrap=True)
        return postgres.find(settings.home())


def _say_what_is_missing(config: Settings) -> None:
    silent = sorted(set(config.stores) - set(config.endpoints()))
    if not config.endpoints():
        err.print(
            "[yellow]![/yellow] No sender is configured, so nothing will be taken. "
            + escape(
                'Give a store `webhook_secrets = ["env:NAME"]`, or add a [webhooks.<name>] section '
                f"to {settings.config_path()}."
            ),
            soft_wrap=True,
        )
    elif silent:
        err.print(
            f"[yellow]![/yellow] No webhook_secrets, so no endpoint: {', '.join(silent)}.",
            soft_wrap=True,
        )


def _see_that_it_is_free(host_name: str, port: int) -> None:
    """Say in one clear sentence where we cannot listen."""
    family = socket.AF_INET6 if ":" in host_name else socket.AF_INET
    try:
        socket.create_server((host_name, port), family=family).close()
    except OSError as fault:
        why = os.strerror(fault.errno) if fault.errno and fault.errno > 0 else str(fault)
        fail(
            f"Cannot listen on {_spelled(host_name)}:{port} ({why}). Choose another with --host "
            "and --port, or end whoever holds it."
        )


def _values(place: Databases) -> dict[str, str]:
    values = environment(place)
    path = settings.config_path()
    if path.exists():
        values["SYNC_CONFIG"] = str(path.resolve())
    return values


@contextmanager
def _shared(workers: int) -> Iterator[None]:
    """Where several processes put their numbers, so that any of them tells the sum."""
    if workers == 1:
        yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="sync-metrics-") as folder,
        host.set_environment({SHARED: folder}),
    ):
        yield


@contextmanager
def _announced(config: Settings, url: str) -> Iterator[None]:
    """Tell where to find us as soon as somebody does."""
    done = threading.Event()
    teller = threading.Thread(target=_announce, args=(config, url, done), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _announce(config: Settings, url: str, done: threading.Event) -> None:
    """Print the endpoints once somebody answers."""
    while not done.wait(0.1):
        try:
            is_ready = httpx.get(f"{url}/ready", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            continue
        public = config.receiver.public_url or url
        for name, endpoint in config.endpoints().items():
            out.print(f"{public}/webhooks/{endpoint.scheme}/{name}", soft_wrap=True)
        told = "(/health /ready /metrics /openapi.json; Ctrl-C ends it)"
        out.print(f"Receiving at {url}   {told}", soft_wrap=True)
        if not is_ready:
            err.print("[yellow]![/yellow] The database does not answer; deliveries get 503.")
        return


def _spelled(host_name: str) -> str:
    """An address as a URL wants it; one that means every interface is reached at home."""
    if host_name in ("0.0.0.0", "::"):  # noqa: S104
        return "127.0.0.1" if host_name == "0.0.0.0" else "[::1]"  # noqa: S104
    return f"[{host_name}]" if ":" in host_name else host_name
