"""A real Tryton server for the demo and tests: installed into a folder of its own, its database
made once and copied for each run, started on a free loopback port and always stopped again.

We talk to it over the network only. What is in its database is said in `tryton_seed.py`.
"""

import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from resources import http, settings
from resources.store import postgres
from resources.systems.tryton_rpc import Session
from sync_assets.ops import tryton_seed

REQUIREMENTS = Path(__file__).resolve().parents[2] / "deploy" / "tryton-requirements.txt"
TEMPLATE = "tryton_template_"
#: One preparation at a time on one Postgres; any number that nobody else there uses.
PREPARING = 0x7472_7974
START_SECONDS, STOP_SECONDS = 60.0, 10.0
#: `say` is called with one line for each long phase.
Say = Callable[[str], None]


class TrytonFailed(RuntimeError):
    """Tryton could not be installed, prepared or started; the message ends with its own words."""


@dataclass(frozen=True)
class PgPlace:
    """A Postgres server on which we may create databases; `host` may be a socket directory."""

    host: str
    port: int = 5432
    user: str = "postgres"
    password: str = field(default="", repr=False)

    @classmethod
    def at(cls, url: str) -> "PgPlace":
        """The server of a `postgresql://` URL, whatever database the URL names."""
        parts = conninfo_to_dict(url)
        return cls(
            str(parts.get("host") or "localhost"),
            int(parts.get("port") or 5432),
            str(parts.get("user") or "postgres"),
            str(parts.get("password") or ""),
        )

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Open a connection that commits each statement."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password or None,
            dbname=database,
            autocommit=True,
        )

    def uri(self) -> str:
        """The address as Tryton wants it, without a database."""
        user, password, host = (
            quote(part, safe="") for part in (self.user, self.password, self.host)
        )
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@{host}:{self.port}/"


@dataclass(frozen=True)
class TrytonServer:
    """A running server: where it is, and who may sign in."""

    url: str
    database: str
    login: str
    password: str = field(repr=False)
    admin_password: str = field(repr=False)

    def seed_items(self, items: Iterable[tuple[str, str, Decimal]]) -> None:
        """Create products by (SKU, name, list price) in batches; known SKUs are left alone."""
        with self._admin() as admin:
            tryton_seed.create_items(admin, items)

    def seed_stock(self, quantity: int) -> None:
        """Count every product as `quantity` units on hand, in each of our warehouses."""
        with self._admin() as admin:
            tryton_seed.create_stock(admin, quantity)

    @contextmanager
    def _admin(self) -> Iterator[Session]:
        with _signed(self.url, self.database, "admin", self.admin_password) as session:
            yield session


def prepare(cache: Path, place: PgPlace, say: Say) -> None:
    """Install Tryton into `cache` and make its template database on `place`, where missing."""
    cache.mkdir(parents=True, exist_ok=True)
    with place.connect() as db:
        db.execute("select pg_advisory_lock(%s)", [PREPARING])
        _install(cache, say)
        name = template(cache)
        if name not in _databases(db):
            _build(cache, place, db, name, say)


def is_prepared(cache: Path, place: PgPlace) -> bool:
    """Whether `running` can start without installing or seeding anything."""
    if not is_installed(cache) or not (cache / "secrets.json").exists():
        return False
    with place.connect() as db:
        return template(cache) in _databases(db)


def template(cache: Path) -> str:
    """Name the template database that belongs to these requirements, data and passwords."""
    seed = Path(tryton_seed.__file__).read_bytes()
    parts = (REQUIREMENTS.read_bytes(), seed, json.dumps(_secrets(cache)).encode())
    return TEMPLATE + hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


@contextmanager
def running(
    cache: Path, place: PgPlace, say: Say, database: str | None = None
) -> Iterator[TrytonServer]:
    """Run a server on a copy of the template; one not named is dropped again at the end.

    A `database` that is there already is used as it is.
    """
    prepare(cache, place, say)
    name = database or f"tryton_{secrets.token_hex(4)}"
    with place.connect() as db:
        if name not in _databases(db):
            _copy(db, template(cache), name)
    try:
        with _serving(cache, place, name, say) as url:
            passwords = _secrets(cache)
            yield TrytonServer(url, name, tryton_seed.LOGIN, passwords["sync"], passwords["admin"])
    finally:
        if database is None:
            with place.connect() as db:
                _drop(db, name)


# Installing


def _install(cache: Path, say: Say) -> None:
    if is_installed(cache):
        return
    started = time.monotonic()
    say("installing Tryton")
    venv = cache / "venv"
    _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    _run([*pip, "--disable-pip-version-check", "-r", str(REQUIREMENTS)])
    _marker(cache).write_bytes(REQUIREMENTS.read_bytes())
    say(f"installed Tryton in {time.monotonic() - started:.0f} s")


def _marker(cache: Path) -> Path:
    return cache / "venv" / "installed.txt"


def is_installed(cache: Path) -> bool:
    """Whether these requirements are in `cache`; half an installation does not count."""
    marker = _marker(cache)  # written last
    return marker.exists() and marker.read_bytes() == REQUIREMENTS.read_bytes()


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stderr or done.stdout)[-2000:]
        raise TrytonFailed(f"{Path(command[0]).name} failed with {done.returncode}: {words}")


def _secrets(cache: Path) -> dict[str, str]:
    """The passwords of this cache, invented once and readable by nobody else."""
    path = cache / "secrets.json"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        found: dict[str, str] = json.loads(path.read_text())
        return found
    with os.fdopen(handle, "w") as file:
        made = {name: secrets.token_urlsafe(18) for name in ("admin", "sync")}
        json.dump(made, file)
    return made


# The template database


def _build(cache: Path, place: PgPlace, db: psycopg.Connection, name: str, say: Say) -> None:
    """Make the template under another name first, so that half a template is never used."""
    started = time.monotonic()
    draft = f"{name}_draft"
    _drop(db, draft)
    db.execute(sql.SQL("create database {} template template0").format(sql.Identifier(draft)))
    say("activating Tryton's modules (about half a minute)")
    _activate(cache, place, draft)
    say(f"activated Tryton's modules in {time.monotonic() - started:.0f} s")
    passwords = _secrets(cache)
    with (
        _serving(cache, place, draft, say) as url,
        _signed(url, draft, "admin", passwords["admin"]) as admin,
    ):
        tryton_seed.seed(admin, passwords["sync"], datetime.now(UTC).date())
    _disconnect(db, draft)
    renaming = sql.SQL("alter database {} rename to {}")
    db.execute(renaming.format(sql.Identifier(draft), sql.Identifier(name)))
    say(f"made Tryton's template database in {time.monotonic() - started:.0f} s")


def _activate(cache: Path, place: PgPlace, database: str) -> None:
    password = cache / "admin-password"
    password.touch(mode=0o600)
    password.write_text(_secrets(cache)["admin"])
    command = [str(cache / "venv" / "bin" / "trytond-admin"), "-d", database]
    command += ["--activate-dependencies", "--email", "admin@example.com"]
    command += ["-u", *tryton_seed.MODULES]
    try:
        _run(command, {**_environment(place), "TRYTONPASSFILE": str(password)})
    finally:
        password.unlink()


def _databases(db: psycopg.Connection) -> set[str]:
    return {row[0] for row in db.execute("select datname from pg_database")}


def _copy(db: psycopg.Connection, source: str, name: str) -> None:
    copying = sql.SQL("create database {} template {}")
    db.execute(copying.format(sql.Identifier(name), sql.Identifier(source)))


def _drop(db: psycopg.Connection, name: str) -> None:
    dropping = sql.SQL("drop database if exists {} with (force)")
    db.execute(dropping.format(sql.Identifier(name)))


def _disconnect(db: psycopg.Connection, name: str) -> None:
    """A server that was just stopped may still be seen as connected."""
    db.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])


# Serving


@contextmanager
def _serving(cache: Path, place: PgPlace, database: str, say: Say) -> Iterator[str]:
    started = time.monotonic()
    port = _free_port()
    config = cache / f"{database}.conf"
    config.write_text(f"[web]\nlisten = 127.0.0.1:{port}\n")
    log = cache / "tryton.log"
    # The database is named: without that every login fails with a bare KeyError.
    command = [str(cache / "venv" / "bin" / "trytond"), "-c", str(config), "-d", database]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=_environment(place),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _await(url, process, log)
        say(f"Tryton answers at {url} after {time.monotonic() - started:.1f} s")
        yield url
    finally:
        _stop(process)
        config.unlink(missing_ok=True)


def _environment(place: PgPlace) -> dict[str, str]:
    """The address of Postgres, which may hold a password, goes by the environment, not by file."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**keep, "TRYTOND_DATABASE_URI": place.uri()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    body = {"id": 1, "method": "common.server.version", "params": []}
    with httpx.Client(trust_env=False, headers={"Accept-Encoding": "gzip"}) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx.TransportError):  # not listening yet
                if client.post(f"{url}/rpc/", json=body).status_code == 200:
                    return
            time.sleep(0.1)
    words = log.read_text(errors="replace")[-2000:]
    raise TrytonFailed(f"the server did not answer within {START_SECONDS:.0f} s: {words}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _signed(url: str, database: str, login: str, password: str) -> Iterator[Session]:
    # Counting thousands of products in one call takes longer than a call of the product may.
    manners = http.Manners(read_seconds=600.0)
    with http.client("tryton", url, manners) as client:
        yield Session(client, database, login, password, "tryton")


def main() -> None:
    """Prepare the server that the demo and the live tests use: `python -m …tryton_server`."""
    found = postgres.find(settings.home())
    place = PgPlace.at(found.text(found.store))
    prepare(settings.home() / "tryton", place, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
