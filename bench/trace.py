"""Milliseconds from any reference to the whole life of its orders, in a store of a million orders.

    python bench/trace.py [--orders 1000000] [--traces 400] [--json]

The store is built by one statement a table (`trace_store.sql`) in a Postgres of its own that is
thrown away: as fast as it goes, so nothing is flushed to disk, indexes are made at the end, and
triggers and foreign keys do not fire (`session_replication_role = replica`); saga steps therefore
stand beside states that they did not move, but the rows are those the rules would have made. Then
it is analyzed, and references of every kind, drawn by a fixed seed, are traced by the function the
command uses.

`p95_ms` is a trace as the command makes it, with a new connection each, whose caches are empty;
`warm_p95_ms` is the same on one connection. Starting Python is in neither, and the pages of the
store are in the operating system's memory, as far as it has any.
"""

import argparse
import hashlib
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from resources.store import postgres
from resources.store.engine import connected, engine_for, migrate
from sync_assets.ops import tracing

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SCHEMAS = ("raw", "core", "plan", "receipt", "ops")
SERVER = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "maintenance_work_mem": "512MB",
}


def main() -> None:
    """Fill, measure and tell."""
    wanted = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="sync-pg-"))
    try:
        place = postgres.embedded(folder / "pg")
        postgres.create_missing(place)
        result = _measured(place, wanted.orders, wanted.traces)
        result["disk_gib"] = round(_size(folder) / 2**30, 2)
    finally:
        postgres.stop_embedded(folder / "pg")
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(json.dumps(result, indent=None if wanted.json else 2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--traces", type=int, default=400)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


def _measured(place: postgres.Databases, orders: int, traces: int) -> dict[str, Any]:
    began = time.perf_counter()
    fill(place, orders)
    fill_seconds = time.perf_counter() - began
    references = list(_references(Random(20261101), orders, traces))
    with _one_connection(place) as trace:
        warm = [_timed(trace, reference) for _, reference in references]
    cold = [_timed(_fresh(place), reference) for _, reference in references]
    return {
        "orders": orders,
        **_told("", [one["ms"] for one in cold]),
        **_told("warm_", [one["ms"] for one in warm]),
        "by_kind": _by_kind([kind for kind, _ in references], cold),
        "fill_seconds": round(fill_seconds, 1),
    }


# The store


def fill(place: postgres.Databases, orders: int) -> None:
    """Build the store: tables without indexes by two connections, then the indexes."""
    engine = engine_for(place)
    migrate(engine)
    engine.dispose()
    with _server(place) as connection:
        for name, value in SERVER.items():
            connection.execute(f"alter system set {name} = '{value}'")
        connection.execute("select pg_reload_conf()")
        indexes = _taken_off(connection)
    first, *others = _statements(orders)
    _together(place, [first])
    _together(place, others)
    _together(place, indexes)
    _together(place, ["drop table public.bench_orders", "analyze"])


def _statements(orders: int) -> list[str]:
    written = Path(__file__).with_name("trace_store.sql").read_text()
    return [one for one in written.replace("{orders}", str(orders)).split(";\n") if one.strip()]


def _taken_off(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop every index no constraint needs; answers the statements that make them again."""
    indexes = connection.execute(
        "select i.schemaname, i.indexname, i.indexdef from pg_indexes i "
        "where i.schemaname = any(%s) and not exists (select from pg_constraint k "
        "where k.conindid = format('%%I.%%I', i.schemaname, i.indexname)::regclass) order by 1, 2",
        [list(SCHEMAS)],
    ).fetchall()
    for schema, name, _ in indexes:
        connection.execute(sql.SQL("drop index {}").format(sql.Identifier(schema, name)))
    return [definition for _, _, definition in indexes]


def _together(place: postgres.Databases, statements: Sequence[str]) -> None:
    def run(statement: str) -> None:
        with _server(place) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(statement)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(run, statements))


def _server(place: postgres.Databases) -> psycopg.Connection[Any]:
    return psycopg.connect(place.text(place.store), autocommit=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# What is traced


def _references(random: Random, orders: int, traces: int) -> Iterator[tuple[str, str]]:
    """Kinds in turn, each with an order that has such a reference."""
    for place in range(traces):
        name, (every, rest, reference) = list(KINDS.items())[place % len(KINDS)]
        number = random.randrange(orders // every) * every + rest
        yield name, reference(max(number, 1))


def _ref(n: int) -> str:
    return f"{('us', 'uk', 'de')[n % 3]}:{1000 + n // 3}"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _place(n: int) -> str:
    return "north" if n % 4 < 3 else "south"


#: Kind of reference to which orders have one (every so many, from this one on) and what it is. An
#: order number is that of three orders.
KINDS: dict[str, tuple[int, int, Callable[[int], str]]] = {
    "order_key": (1, 0, _ref),
    "order_number": (1, 0, lambda n: str(1000 + n // 3)),
    "payment": (1, 0, lambda n: f"pi_{_md5(f'p{n}')}"),
    "erp_number": (10, 0, lambda n: f"S{n:07}"),
    "erp_id": (1, 0, str),
    "request_key": (10, 4, lambda n: f"{_ref(n)}:f1"),
    "warehouse_number": (10, 3, lambda n: f"WO-{n}"),
    "shipment_key": (10, 3, lambda n: f"{_place(n)}:{7_000_000 + n}"),
    "shipment_id": (10, 2, lambda n: str(7_000_000 + n)),
    "shipment_number": (10, 1, lambda n: f"SHP/{n}"),
    "tracking_number": (10, 0, lambda n: f"1z {n:016}".replace("00", "0 0")),
    "erp_delivery": (10, 1, lambda n: f"WH/OUT/{n}"),
    "return_key": (20, 1, lambda n: f"{_ref(n)}:r1"),
    "return_tracking": (20, 1, lambda n: f"1ZR{n:015}"),
    "senders_return": (20, 1, lambda n: f"RMA-{n}"),
    "exchange_order": (100, 1, lambda n: f"{_ref(n).partition(':')[0]}:{1000 + n // 3 + 1}"),
    "refund_key": (20, 1, lambda n: f"{_ref(n).partition(':')[0]}:{5_000_000 + n}"),
    "shop_refund": (50, 2, lambda n: str(5_000_000 + n)),
    "provider_refund": (20, 1, lambda n: f"re_{_md5(f'r{n}')}"),
    "credit_memo": (20, 1, lambda n: f"RINV/2026/{n}"),
    "unknown": (1, 0, lambda n: f"nothing-{n}"),
}


# The measurement


def _fresh(place: postgres.Databases) -> Callable[[str], dict[str, Any]]:
    """A trace as the command makes it: by an engine and a connection of its own."""

    def trace(reference: str) -> dict[str, Any]:
        engine = engine_for(place)
        try:
            with connected(engine) as connection:
                return tracing.trace(connection, reference, NOW)
        finally:
            engine.dispose()

    return trace


@contextmanager
def _one_connection(place: postgres.Databases) -> Iterator[Callable[[str], dict[str, Any]]]:
    engine = engine_for(place)
    with connected(engine) as connection:
        yield lambda reference: _traced(connection, reference)
    engine.dispose()


def _traced(connection: Connection, reference: str) -> dict[str, Any]:
    return tracing.trace(connection, reference, NOW)


def _timed(trace: Callable[[str], dict[str, Any]], reference: str) -> dict[str, Any]:
    began = time.perf_counter()
    found = trace(reference)
    ms = (time.perf_counter() - began) * 1000
    events = sum(len(one["events"]) for one in found["found"])
    if bool(found["found"]) == reference.startswith("nothing-"):
        raise SystemExit(f"{reference} was not traced as it should be: {len(found['found'])} found")
    return {"ms": ms, "orders": len(found["found"]), "events": events}


def _told(prefix: str, values: Sequence[float]) -> dict[str, float]:
    return {f"{prefix}p{share}_ms": _percentile(values, share) for share in (50, 95, 99)}


def _percentile(values: Sequence[float], share: int) -> float:
    ordered = sorted(values)
    return round(ordered[max(math.ceil(len(ordered) * share / 100) - 1, 0)], 1)


def _by_kind(kinds: Sequence[str], traces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, one in zip(kinds, traces, strict=True):
        found.setdefault(kind, []).append(one)
    return {
        kind: {
            "traces": len(some),
            "orders": round(sum(one["orders"] for one in some) / len(some), 1),
            "events": round(sum(one["events"] for one in some) / len(some), 1),
            **_told("", [one["ms"] for one in some]),
        }
        for kind, some in found.items()
    }


if __name__ == "__main__":
    main()
