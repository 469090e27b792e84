"""Progress of long work, read from the tables while it goes on, for people only."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from resources.store.engine import connected
from resources.store.frames import scalar
from resources.store.postgres import DatabaseUnavailable
from sync_assets.ops.console import err

EVERY_SECONDS = 0.5

STAGES = {
    "read from the shops": "select count(*) from raw.woocommerce__orders",
    "mapped and checked": "select count(*) from core.orders",
    "accepted by the ERP": "select count(*) from receipt.sales_orders",
}
WAITING = {
    "versions to map": "select count(*) from raw.woocommerce__orders where mapped_at is null",
    "writes to send": "select count(*) from ops.outbox where state in "
    "('waiting', 'leased', 'unknown')",
}


@contextmanager
def of_demo(engine: Engine, expected: int, quiet: bool) -> Iterator[None]:
    """Bars of how many of the `expected` orders came how far."""
    if quiet:
        yield
        return
    with bars() as bar:
        tasks = {name: bar.add_task(f"  {name}", total=expected) for name in STAGES}

        def show(counts: Mapping[str, int]) -> None:
            for name, count in counts.items():
                bar.update(tasks[name], completed=count)

        with _watching(engine, STAGES, show):
            yield


@contextmanager
def of_run(engine: Engine, quiet: bool) -> Iterator[None]:
    """A line that says what a run still has before it."""
    if quiet:
        yield
        return
    with err.status("Asking the shops what changed") as line:

        def show(counts: Mapping[str, int]) -> None:
            waiting = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            line.update(waiting or "Asking the shops what changed")

        with _watching(engine, WAITING, show):
            yield


def bars(quiet: bool = False) -> Progress:
    """Progress bars on stderr; none where a program reads along."""
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=quiet,
    )


@contextmanager
def _watching(
    engine: Engine, queries: Mapping[str, str], show: Callable[[Mapping[str, int]], None]
) -> Iterator[None]:
    done = threading.Event()

    def look() -> None:
        with connected(engine) as connection:
            show({name: int(scalar(connection, query)) for name, query in queries.items()})

    def keep_looking() -> None:
        while not done.wait(EVERY_SECONDS):
            try:
                look()
            except (SQLAlchemyError, DatabaseUnavailable):
                return  # the run itself tells what is wrong

    watcher = threading.Thread(target=keep_looking, daemon=True)
    watcher.start()
    try:
        yield
        look()
    finally:
        done.set()
        watcher.join()
