"""What all tests share: a real Postgres, a database copied from a template, and a small world.

The server is the one `SYNC_DATABASE_URL` names, or an embedded one in a folder of its own.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from resources.store import postgres
from resources.store.engine import engine_for, migrate
from tests.worlds import World, small_world


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Databases]:
    """A Postgres server, with a migrated template database on it."""
    named = os.environ.get("SYNC_DATABASE_URL")
    # Not pytest's own folders: a socket's path must stay under 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sync-pg-", dir=_memory()))
    # No database lives long enough to be vacuumed.
    found = postgres.named(named) if named else postgres.disposable(folder, autovacuum="off")
    template = postgres.Databases(found.store.set(database=f"template_{uuid4().hex[:8]}"))
    postgres.create_database(template, str(template.store.database))
    engine = engine_for(template)
    migrate(engine)
    engine.dispose()
    yield template
    postgres.drop_database(template, str(template.store.database))
    if not named:
        postgres.stop_embedded(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """A file system in memory with room enough: there a database is copied forty times as fast."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > 2 * 2**30 else None


@pytest.fixture
def database(server: postgres.Databases) -> Iterator[postgres.Databases]:
    """A fresh database with the newest schema."""
    name = f"test_{uuid4().hex[:8]}"
    postgres.create_database(server, name, template=str(server.store.database))
    yield postgres.Databases(server.store.set(database=name))
    postgres.drop_database(server, name)


@pytest.fixture
def engine(database: postgres.Databases) -> Iterator[Engine]:
    """An engine on the fresh database."""
    one = engine_for(database)
    yield one
    one.dispose()


@pytest.fixture
def world(engine: Engine) -> World:
    """Two stand-in shops, a stand-in ERP, our database and a clock that stands still."""
    return small_world(engine)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Recordings of real servers, beside the project; skips where they are not."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "contracts"
    if not folder.exists():
        pytest.skip("the recordings are kept beside the project (../shared), and are not there")
    return folder
