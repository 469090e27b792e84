"""Connections to our database, and its schema brought up to date.

Import does nothing: engines are made by whoever owns them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from resources.store.postgres import Databases, DatabaseUnavailable, sentence

MIGRATIONS = Path(__file__).parent / "migrations"
#: Any number, the same in every process: two must not migrate at once.
MIGRATION_LOCK = 7_205_511


def engine_for(databases: Databases, *, pool_size: int = 5) -> Engine:
    """An engine on our database, in UTC."""
    return create_engine(
        databases.sqlalchemy,
        pool_size=pool_size,
        pool_pre_ping=True,
        connect_args={"options": "-c timezone=UTC", "connect_timeout": 10},
    )


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A transaction; a database out of reach ends in one clear sentence."""
    try:
        connection = engine.connect()
    except OperationalError as fault:
        raise DatabaseUnavailable(sentence(fault.orig or fault, engine.url)) from fault
    with connection, connection.begin():
        yield connection


def migrate(engine: Engine) -> str:
    """Bring the schema to the newest revision and answer its name."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with connected(engine) as connection:
        connection.execute(text("select pg_advisory_xact_lock(:n)"), {"n": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return head()


def head() -> str:
    """The newest revision this code knows."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return str(ScriptDirectory.from_config(config).get_current_head())


def revision(engine: Engine) -> str | None:
    """The revision the database is at."""
    with connected(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def one_at_a_time(connection: Connection, name: str) -> Iterator[None]:
    """Hold the lock `name` until the transaction ends."""
    connection.execute(text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": name})
    yield
