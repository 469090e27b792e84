"""What the commands share: their common options, and the database they work on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy import Connection

from resources import settings
from resources.store.engine import connected, engine_for
from resources.store.postgres import Databases
from resources.wiring import Systems
from sync_assets.ops import host

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Demo = Annotated[
    bool, typer.Option("--demo", help="Use the demo's database instead of the deployment's.")
]
By = Annotated[str, typer.Option("--by", envvar="USER", help="Who decides; kept in the audit.")]


def databases(demo: bool) -> Databases:
    """Both databases of the deployment, or of the demo."""
    return host.databases("_demo" if demo else "")


@contextmanager
def store_of(demo: bool) -> Iterator[Connection]:
    """A transaction on our database, its schema up to date."""
    engine = engine_for(databases(demo))
    try:
        with connected(engine) as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def deployment_of(demo: bool) -> Iterator[Systems]:
    """The systems of the deployment, or of a demo that is kept running, on its database."""
    from sync_assets.ops import demo as shown

    # Policies are looked for beside the configuration, so it stays in force for the whole command.
    path = shown.config_path()
    values = dict(shown.SECRETS) if demo else {}
    if demo and path.exists():
        values["SYNC_CONFIG"] = str(path)
    with host.set_environment(values):
        systems = Systems(settings.load(path if demo else None), engine_for(databases(demo)))
        try:
            yield systems
        finally:
            systems.engine.dispose()
