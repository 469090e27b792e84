"""Where Postgres is: an address that can be used, or one sentence that says what is wrong."""

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from resources.store import postgres
from resources.store.engine import connected, engine_for
from resources.store.postgres import Databases, DatabaseUnavailable, named

SECRET = "pa%2Fss-word"


def test_both_databases_are_on_one_server_with_their_own_drivers() -> None:
    found = named("postgresql+asyncpg://olga:pa%2Fss@db.test:5433/sync?sslmode=require")
    assert found.text(found.store) == "postgresql://olga:pa%2Fss@db.test:5433/sync?sslmode=require"
    assert found.sqlalchemy.drivername == "postgresql+psycopg"
    assert found.dagster.drivername == "postgresql+psycopg2"
    assert (found.sqlalchemy.database, found.dagster.database) == ("sync", "sync_dagster")
    assert found.dagster.password == "pa/ss"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            f"mysql://olga:{SECRET}@db.test/sync",
            "SYNC_DATABASE_URL must be a postgresql:// URL, not mysql://",
        ),
        (
            f"postgres://olga:{SECRET}@db.test/sync",
            "SYNC_DATABASE_URL must be a postgresql:// URL, not postgres://",
        ),
        (
            f"postgresql://olga:{SECRET}@db.test",
            "SYNC_DATABASE_URL names no database; end it with one, as in "
            "postgresql://user@host/sync",
        ),
        (
            f"postgresql://olga:{SECRET}@db.test:port/sync",
            "SYNC_DATABASE_URL is no address of a database; it looks like "
            "postgresql://user@host:5432/sync",
        ),
        (
            f"db.test sync olga {SECRET}",
            "SYNC_DATABASE_URL is no address of a database; it looks like "
            "postgresql://user@host:5432/sync",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(DatabaseUnavailable) as refused:
        named(url)
    assert str(refused.value) == sentence
    assert SECRET not in str(refused.value.__cause__)


def test_the_named_server_is_used_where_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://olga@db.test/books")
    assert postgres.find(tmp_path).store.database == "books"
    assert list(tmp_path.iterdir()) == []


# Out of reach


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def refusing() -> Iterator[int]:
    """The port of a server that asks for a password and accepts none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        worker = threading.Thread(target=_refuse, args=(server,))
        worker.start()
        yield server.getsockname()[1]
        server.close()
        worker.join(5)


def _refuse(server: socket.socket) -> None:
    """Speak as much of Postgres' protocol as a refusal takes, once."""
    line, _ = server.accept()
    with line:
        line.settimeout(5)
        while _message(line)[:4] != struct.pack("!i", 196608):  # asks for encryption first
            line.sendall(b"N")
        line.sendall(b"R" + struct.pack("!ii", 8, 3))  # a password, please
        line.recv(1)
        _message(line)
        said = b'SFATAL\0C28P01\0Mpassword authentication failed for user "olga"\0\0'
        line.sendall(b"E" + struct.pack("!i", len(said) + 4) + said)


def _message(line: socket.socket) -> bytes:
    (size,) = struct.unpack("!i", line.recv(4))
    return line.recv(size - 4)


def one_sentence(refused: DatabaseUnavailable) -> str:
    """What a person reads; the password is neither in it nor in what caused it."""
    told = str(refused)
    assert "\n" not in told
    assert "pa/ss-word" not in f"{told}{refused.__cause__}"
    assert SECRET not in f"{told}{refused.__cause__}"
    return told


def at(port: int) -> Databases:
    return named(f"postgresql://olga:{SECRET}@127.0.0.1:{port}/sync")


def test_a_server_out_of_reach_is_told_in_a_sentence_without_the_password() -> None:
    port = free_port()
    with pytest.raises(DatabaseUnavailable) as refused:
        postgres.create_missing(at(port))
    told = one_sentence(refused.value)
    assert told.startswith(f"Postgres at 127.0.0.1:{port} cannot be reached (")
    assert "SYNC_DATABASE_URL" in told


def test_an_engine_out_of_reach_tells_the_same() -> None:
    port, engine = free_port(), None
    engine = engine_for(at(port))
    with pytest.raises(DatabaseUnavailable) as refused, connected(engine):
        pass
    engine.dispose()
    told = one_sentence(refused.value)
    assert told.startswith(f"Postgres at 127.0.0.1:{port} cannot be reached (")


def test_a_wrong_password_is_told_in_a_sentence_without_it(refusing: int) -> None:
    with pytest.raises(DatabaseUnavailable) as refused:
        postgres.create_missing(at(refusing))
    assert one_sentence(refused.value) == (
        f"Postgres at 127.0.0.1:{refusing} refuses user 'olga': wrong password or user."
    )


def test_an_engine_with_a_wrong_password_tells_the_same(refusing: int) -> None:
    engine = engine_for(at(refusing))
    with pytest.raises(DatabaseUnavailable) as refused, connected(engine):
        pass
    engine.dispose()
    assert one_sentence(refused.value) == (
        f"Postgres at 127.0.0.1:{refusing} refuses user 'olga': wrong password or user."
    )


def test_an_option_postgres_does_not_know_is_told_in_a_sentence() -> None:
    with pytest.raises(DatabaseUnavailable) as refused:
        postgres.create_missing(named(f"postgresql://olga:{SECRET}@127.0.0.1:1/sync?colour=red"))
    assert "colour" in one_sentence(refused.value)


def test_a_database_that_is_not_there_is_named(server: Databases) -> None:
    missing = Databases(server.store.set(database="nowhere"))
    engine = engine_for(missing)
    with pytest.raises(DatabaseUnavailable, match="has no database 'nowhere'"), connected(engine):
        pass
    engine.dispose()


# Making databases


@pytest.fixture
def fresh(server: Databases) -> Iterator[Databases]:
    """A name nobody uses yet on the server."""
    found = Databases(server.store.set(database=f"made_{uuid4().hex[:8]}"))
    yield found
    for url in (found.store, found.dagster):
        postgres.drop_database(server, str(url.database))


def test_what_is_missing_is_made_once(fresh: Databases) -> None:
    name = str(fresh.store.database)
    assert postgres.create_missing(fresh) == [name, f"{name}_dagster"]
    assert postgres.create_missing(fresh) == []


def test_only_what_is_missing_is_made(fresh: Databases) -> None:
    name = str(fresh.store.database)
    assert postgres.create_database(fresh, name)
    assert postgres.create_missing(fresh) == [f"{name}_dagster"]


def test_of_two_that_make_a_database_at_once_one_makes_it(fresh: Databases) -> None:
    name, made = str(fresh.store.database), []

    def make() -> None:
        made.append(postgres.create_database(fresh, name))

    workers = [threading.Thread(target=make) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(made) == [False, False, False, True]


def test_a_name_is_a_name_whatever_is_in_it(server: Databases) -> None:
    name = 'odd"; drop database postgres; --'
    assert postgres.create_database(server, name)
    engine = engine_for(Databases(server.store.set(database=name)))
    with connected(engine) as connection:
        assert connection.execute(text("select current_database()")).scalar_one() == name
    engine.dispose()
    postgres.drop_database(server, name)
    assert postgres.create_database(server, name)
    postgres.drop_database(server, name)


def test_dropping_what_is_not_there_is_no_fault(server: Databases) -> None:
    postgres.drop_database(server, "nowhere")
