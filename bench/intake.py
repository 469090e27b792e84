"""Events per second the receiver puts on disk, against a server that stores nothing and pgbench.

    python bench/intake.py [--events 20000] [--rounds 5] [--clients 64] [--json]

The same load, in turns: (ours) the receiver on a database of its own, every accepted event looked
up on disk afterwards; (a) the bare server: the same receiver with everything but the storing, and
beside it (`empty_app`) uvicorn alone, which reads the body and answers 202; (b) pgbench
inserting one row of the same size per commit, with as many clients, into a table like the inbox
but without the announcing trigger. Ratios are medians over the rounds. The load comes from a
process of its own; its bodies are made from a seed. pgbench is taken from PATH (Debian:
postgresql-contrib); without it that ratio is null.
"""

import argparse
import asyncio
import base64
import hmac
import json
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httptools
import httpx
import psycopg
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from resources import settings
from resources.store import postgres
from resources.store.engine import engine_for, migrate
from resources.store.inbox import Delivery
from sensors.webhooks import receiver, serving
from sensors.webhooks.intake import Intake
from sensors.webhooks.metrics import Metrics

SECRET = "bench"
PATH = "/webhooks/woocommerce/bench"
WORDS = ("amber", "birch", "copper", "dusk", "ember", "fable", "grove", "hazel", "indigo", "linen")
ROUND_IDS = 10_000_000


def main() -> None:
    """Measure and tell."""
    wanted = _arguments()
    if wanted.serve:
        _serve(wanted.serve, wanted.port, wanted.database)
    elif wanted.load:
        uvloop.run(_load(wanted))
    else:
        _compare(wanted)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000, help="events of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=64, help="connections at once")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--serve", choices=["ours", "unstored", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--round", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--database", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


# The servers.


def _serve(which: str, port: int, database: str) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=1024) as door:
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = (
            serving.config(_ours(database, which == "ours"))
            if which != "bare"
            else serving.config(_bare, http=HttpToolsProtocol, lifespan="off")
        )
        uvicorn.Server(config).run([door])


class _Forgetful(Intake):
    """An intake that says yes and keeps nothing: what all but the storing costs."""

    def keep(self, deliveries: Sequence[Delivery]) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


def _ours(database: str, is_kept: bool) -> Any:
    config = settings.parse(
        {
            "webhooks": {
                "bench": {"scheme": "woocommerce", "secrets": [SECRET], "events_per_second": 1e9}
            }
        }
    )
    metrics = Metrics()
    company = config.receiver.commit_milliseconds / 1000
    kind = Intake if is_kept else _Forgetful
    intake = kind(database, company_seconds=company, told=receiver.told_to(metrics))
    return receiver.build(config, intake, metrics=metrics)


async def _bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and say 202."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


# The load.


def body(dice: random.Random, number: int) -> bytes:
    """An order of about 2.5 kB, as a shop would send it."""

    def words(count: int) -> str:
        return " ".join(dice.choices(WORDS, k=count))

    def address() -> dict[str, str]:
        names = ("first_name", "last_name", "company", "address_1", "city", "email", "phone")
        return {name: words(2) for name in names}

    lines = [
        {
            "id": dice.randrange(10**6),
            "name": words(3),
            "sku": f"SKU-{dice.randrange(10**5)}",
            "quantity": dice.randrange(1, 9),
            "total": f"{dice.randrange(10**5) / 100:.2f}",
            "taxes": [{"id": 1, "total": f"{dice.randrange(10**4) / 100:.2f}"}],
            "meta_data": [{"id": dice.randrange(10**6), "key": words(1), "value": words(4)}],
        }
        for _ in range(6)
    ]
    order = {
        "id": number,
        "status": "processing",
        "currency": "USD",
        "date_modified_gmt": "2026-03-02T09:00:00",
        "billing": address(),
        "shipping": address(),
        "customer_note": words(20),
        "line_items": lines,
    }
    return json.dumps(order, separators=(",", ":")).replace("/", "\\/").encode()


def request(dice: random.Random, number: int) -> bytes:
    """One signed delivery as it goes over the wire."""
    content = body(dice, number)
    signature = base64.b64encode(hmac.digest(SECRET.encode(), content, "sha256")).decode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "User-Agent: WooCommerce/11.0.1 Hookshot (WordPress/7.0.4)\r\nAccept: */*\r\n"
        "Content-Type: application/json\r\nX-WC-Webhook-Source: https://shop.test/\r\n"
        "X-WC-Webhook-Topic: order.updated\r\nX-WC-Webhook-Resource: order\r\n"
        f"X-WC-Webhook-Event: updated\r\nX-WC-Webhook-Signature: {signature}\r\n"
        f"X-WC-Webhook-ID: 1\r\nX-WC-Webhook-Delivery-ID: {number:032x}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Client(asyncio.Protocol):
    """One connection that asks, waits for the answer, and asks again; reads it as HTTP."""

    def __init__(self, work: Iterator[tuple[int, bytes]], tally: "Tally") -> None:
        self.work, self.tally = work, tally
        self.number, self.asked_at = 0, 0.0
        self.headers: dict[bytes, bytes] = {}
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def ask(self) -> None:
        """Send the next event, if one is left."""
        found = next(self.work, None)
        if found is None:
            self.transport.close()
            return
        self.number, text = found
        self.asked_at = time.perf_counter()
        self.transport.write(text)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the answer."""
        self.headers[name.lower()] = value

    def on_message_complete(self) -> None:
        """Count the answer and go on."""
        self.tally.seconds.append(time.perf_counter() - self.asked_at)
        if 200 <= self.parser.get_status_code() < 300:
            known = self.headers.get(b"x-correlation-id", b"").decode()
            self.tally.accepted.append((self.number, known))
        self.headers = {}
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.ended()


class Tally:
    """What the clients saw."""

    def __init__(self, clients: int) -> None:
        #: Number of the event and the correlation id it was given.
        self.accepted: list[tuple[int, str]] = []
        self.seconds: list[float] = []
        self.open, self.done = clients, asyncio.Event()

    def ended(self) -> None:
        """One client has nothing left to ask."""
        self.open -= 1
        if not self.open:
            self.done.set()


async def _load(wanted: argparse.Namespace) -> None:
    dice, first = random.Random(wanted.round), wanted.round * ROUND_IDS + 1
    events = [(n, request(dice, n)) for n in range(first, first + wanted.events)]
    loop, work, tally = asyncio.get_running_loop(), iter(events), Tally(wanted.clients)
    clients = [
        (await loop.create_connection(lambda: Client(work, tally), "127.0.0.1", wanted.port))[1]
        for _ in range(wanted.clients)
    ]
    began = time.perf_counter()
    for client in clients:
        client.ask()
    await tally.done.wait()
    took = time.perf_counter() - began
    cuts = statistics.quantiles(tally.seconds, n=100)
    told = {
        "seconds": took,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
        "accepted": tally.accepted,
    }
    wanted.load.write_text(json.dumps(told))


# The comparison.


def _compare(wanted: argparse.Namespace) -> None:
    with _database() as place:
        url = place.text(place.store)
        sample = request(random.Random(0), 1)
        with psycopg.connect(url, autocommit=True) as connection:
            # LIKE takes columns, keys and indexes, but neither triggers nor storage settings.
            connection.execute("create table bench_inbox (like ops.inbox including all)")
            connection.execute("alter table bench_inbox set (toast_tuple_target = 8160)")
            with (
                _server("ours", url) as ours,
                _server("unstored", url) as unstored,
                _server("bare", url) as bare,
            ):
                servers = {"ours": ours, "bare": bare, "unstored": unstored}
                rounds = [
                    _round(number, wanted, url, connection, servers, sample)
                    for number in range(1, wanted.rounds + 1)
                ]
    _tell(wanted, rounds)


@contextmanager
def _database() -> Iterator[postgres.Databases]:
    """A database of its own on the deployment's server, or on an embedded one in a new folder."""
    with tempfile.TemporaryDirectory(prefix="sync-intake-") as folder:
        found = postgres.find(Path(folder))
        place = postgres.Databases(found.store.set(database=f"{found.store.database}_intake"))
        postgres.drop_database(place, str(place.store.database))
        postgres.create_database(place, str(place.store.database))
        engine = engine_for(place)
        migrate(engine)
        engine.dispose()
        try:
            yield place
        finally:
            postgres.drop_database(place, str(place.store.database))
            if (Path(folder) / "postgres").exists():
                postgres.stop_embedded(Path(folder) / "postgres")


@contextmanager
def _server(which: str, url: str) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, __file__, "--serve", which, "--port", str(port), "--database", url]
    process = subprocess.Popen(command)
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _round(
    number: int,
    wanted: argparse.Namespace,
    url: str,
    connection: psycopg.Connection,
    runs: dict[str, int],
    sample: bytes,
) -> dict[str, Any]:
    """One turn of each; their order changes, so that none profits from its place."""
    connection.execute("truncate ops.inbox, bench_inbox")
    connection.execute("checkpoint")
    order = list(runs) if number % 2 else list(reversed(runs))
    found = {which: _run_load(number, wanted, runs[which]) for which in order}
    stored = "select resource_id::bigint, correlation_id from ops.inbox"
    on_disk = set(connection.execute(stored).fetchall())
    accepted = [tuple(one) for one in found["ours"]["accepted"]]
    per_second = {which: len(one["accepted"]) / one["seconds"] for which, one in found.items()}
    result = {
        "events": len(accepted),
        "lost": len(set(accepted) - on_disk),
        "events_per_second": per_second["ours"],
        "bare_per_second": per_second["bare"],
        "unstored_per_second": per_second["unstored"],
        "pgbench_per_second": _pgbench(wanted, url, sample),
        **{key: found["ours"][key] for key in ("p50_ms", "p99_ms")},
        "bare_p50_ms": found["bare"]["p50_ms"],
    }
    if not wanted.json:
        print({key: round(value, 2) for key, value in result.items() if value is not None})
    return result


def _run_load(number: int, wanted: argparse.Namespace, port: int) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as told:
        command = [sys.executable, __file__, "--load", told.name, "--port", str(port)]
        command += ["--round", str(number), "--events", str(wanted.events)]
        command += ["--clients", str(wanted.clients)]
        subprocess.run(command, check=True)
        found: dict[str, Any] = json.loads(Path(told.name).read_text())
        return found


def _pgbench(wanted: argparse.Namespace, url: str, sample: bytes) -> float | None:
    """Rows per second, one commit each."""
    if shutil.which("pgbench") is None:
        return None
    head, _, content = sample.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    kept = {a: b for a, _, b in (line.partition(": ") for line in lines) if a.startswith("X-WC")}
    statement = (
        "insert into bench_inbox (source, store, topic, resource_id, body, headers, signature, "
        "received_at, due_at, correlation_id) values ('woocommerce', 'bench', 'order.updated', "
        f"'10000001', '\\x{content.hex()}', '{json.dumps(kept)}', 'valid', now(), now(), "
        "'0123456789abcdef0123456789abcdef');\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        # A colon would be taken for a variable of pgbench's where a word follows it.
        script.write(re.sub(r":(?=[A-Za-z_])", ": ", statement))
        script.flush()
        command = ["pgbench", "--no-vacuum", "--protocol", "prepared", "--file", script.name]
        command += ["--client", str(wanted.clients), "--jobs", "2"]
        command += ["--transactions", str(max(1, wanted.events // wanted.clients)), url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"tps = ([0-9.]+)", said)
    assert found, said
    return float(found[1])


def _tell(wanted: argparse.Namespace, rounds: list[dict[str, Any]]) -> None:
    def median(name: str) -> float:
        return statistics.median(one[name] for one in rounds)

    def ratio(name: str) -> float | None:
        if any(one[name] is None for one in rounds):
            return None
        found = statistics.median(one["events_per_second"] / one[name] for one in rounds)
        return round(found, 3)

    pgbench = ratio("pgbench_per_second")
    result = {
        "events": sum(one["events"] for one in rounds),
        "events_per_second": round(median("events_per_second")),
        "p50_ms": round(median("p50_ms"), 2),
        "p99_ms": round(median("p99_ms"), 2),
        "ratio_empty_app": ratio("bare_per_second"),
        "ratio_bare_server": ratio("unstored_per_second"),
        "ratio_pgbench": pgbench,
        "lost": sum(one["lost"] for one in rounds),
        "empty_app_per_second": round(median("bare_per_second")),
        "bare_server_per_second": round(median("unstored_per_second")),
        "empty_app_p50_ms": round(median("bare_p50_ms"), 2),
        "pgbench_per_second": None if pgbench is None else round(median("pgbench_per_second")),
        "clients": wanted.clients,
        "rounds": wanted.rounds,
    }
    if pgbench is None:
        print(
            "pgbench is not on PATH, so there is nothing to compare with: install it "
            "(Debian, Ubuntu: postgresql-contrib).",
            file=sys.stderr,
        )
    print(json.dumps(result, indent=None if wanted.json else 2))


if __name__ == "__main__":
    main()
