"""`sync-assets up`, and the parts it starts: `worker` and `daemon`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from resources import settings
from sync_assets.ops import host, supervision
from sync_assets.ops.console import clearly, err, out
from sync_assets.ops.shell import databases

app = typer.Typer()


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    workers: Annotated[int, typer.Option(min=1, help="Warm workers for urgent runs.")] = 1,
    ui: Annotated[bool, typer.Option(help="Start the Dagster UI.")] = True,
) -> None:
    """Run this deployment: receiver, sensors, warm worker and UI; Ctrl-C ends all of it.

    Webhooks start a run within a second; shops are also asked for what their webhooks lost. A part
    that ends is started again. Sensors and schedules are on unless you turned one off in the UI.
    """
    with clearly():
        config = settings.load()
        if not config.stores:
            raise settings.SettingsError(
                f"No store is configured in {settings.config_path()}; see docs/operating.md, or "
                "try `sync-assets demo`."
            )
        place = databases(False)
        receiver = config.receiver.port if config.endpoints() else None
        code_port = host.free_port()
        found = supervision.plan(
            place,
            port=port,
            code_port=code_port,
            receiver_port=receiver,
            workers=workers,
            ui=ui,
        )
        if receiver is None:
            err.print(
                "  No store has `webhook_secrets`: no receiver is started, stores are asked every "
                "poll interval."
            )
        out.print(
            f"Starting {', '.join(part.name for part in found.parts)}; logs in "
            f"{settings.home() / 'logs'}"
        )
        for what, where in (("Dagster UI", found.url), ("Receiver", found.receiver)):
            if where:
                out.print(f"  {what}: {where}")
        supervision.until_told(
            supervision.Supervisor(
                found.parts,
                lambda line: err.print(f"  {line}"),
                revive=supervision.reviver(),
                is_up=supervision.prober(place, found),
            )
        )


@app.command()
def worker(
    only: Annotated[
        list[str] | None, typer.Option(help="A job to run, and no other; may be repeated.")
    ] = None,
) -> None:
    """Run urgent runs at once in a process that has everything imported; Ctrl-C ends it.

    Runs are handed over by the launcher in dagster.yaml; without a worker they start in processes
    of their own, some seconds later.
    """
    from sync_assets.ops.worker import CodeChanged, Worker, serve

    ending: list[int] = []

    def ready(one: Worker) -> None:
        out.print(f"Ready for {', '.join(sorted(one.known)) or 'nothing: no ERP is configured'}.")

    with clearly():
        place = databases(False)
        with host.instance(place) as instance:
            signal.signal(signal.SIGTERM, lambda number, _: ending.append(number))
            try:
                serve(place, instance, lambda: bool(ending), ready, only or ())
            except CodeChanged:
                out.print("The code or the configuration changed: this worker ends for a new one.")
                raise typer.Exit(75) from None


@app.command()
def daemon(
    workspace: Annotated[
        Path | None, typer.Option(help="A workspace file. Default: the project's.")
    ] = None,
) -> None:
    """Run Dagster's daemon, its sensors woken by the database the moment there is work."""
    from dagster._utils.interrupts import capture_interrupts, setup_interrupt_handlers

    from sync_assets.ops.daemon import running

    setup_interrupt_handlers()
    with clearly():
        place = databases(False)
        file = workspace or host.dagster_home() / "workspace.yaml"
        with (
            host.instance(place) as instance,
            capture_interrupts(),
            running(place, instance, file) as controller,
        ):
            controller.check_daemon_loop()
