"""From raw versions to core rows: the steps every subject's core assets share.

Works on what is not mapped yet, in chunks of one transaction each. A payload that does not become
valid rows is set aside with its reasons and its neighbours go on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store import exceptions, raw
from resources.store.engine import connected, one_at_a_time
from resources.store.exceptions import Exceptional
from resources.store.frames import upsert
from resources.wiring import Systems
from sync_assets.domain.frames import Table
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.trouble import exceptional

CHUNK = 500


@dataclass
class Mapped:
    """What one mapping step did."""

    mapped: int = 0
    set_aside: int = 0
    changes: int = 0


def chunks(systems: Systems, table: str) -> Iterator[tuple[Connection, list[dict[str, Any]]]]:
    """Yield pending raw versions, each chunk in a transaction that also marks them mapped."""
    while True:
        with (
            connected(systems.engine) as connection,
            one_at_a_time(connection, f"map {table}"),
        ):
            versions = raw.unmapped(connection, table, CHUNK)
            if not versions:
                return
            yield connection, versions
            raw.mark_mapped(connection, table, versions, systems.now())


def parsed(text: str) -> Mapping[str, Any]:
    """A stored payload with its money exact."""
    try:
        body = json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as fault:
        raise Rejected([Problem("order.malformed", "body", f"not JSON: {fault}")]) from fault
    if not isinstance(body, dict):
        raise Rejected([Problem("order.malformed", "body", "the payload is no object")])
    return body


def map_simple(
    systems: Systems,
    raw_table: str,
    table: type[Table],
    core_table: str,
    make: Callable[[str, str, Mapping[str, Any]], Row],
    run_id: str | None,
) -> Mapped:
    """Map things that stand for themselves; a thing that does not map is set aside."""
    total = Mapped()
    for connection, versions in chunks(systems, raw_table):
        rows, found = [], []
        for version in versions:
            try:
                body = parsed(version["payload"])
                rows.append(make(version["source"], version["resource_id"], body))
            except Rejected as refusal:
                found += [
                    _malformed(systems, raw_table, version, problem) for problem in refusal.problems
                ]
        write(connection, table, core_table, rows, run_id)
        subjects = [f"{v['source']}:{raw_table}:{v['resource_id']}" for v in versions]
        exceptions.reconcile(
            connection, found, subjects=subjects, codes=["thing.malformed"], now=systems.now()
        )
        total.mapped += len(rows)
        total.set_aside += len(found)
    return total


def _malformed(
    systems: Systems, raw_table: str, version: dict[str, Any], problem: Problem
) -> Exceptional:
    return exceptional(
        Problem("thing.malformed", problem.part, problem.message),
        f"{version['source']}:{raw_table}:{version['resource_id']}",
        systems.settings.service_levels,
        sender_ref=version["resource_id"],
        version=version["version"],
    )


def write(
    connection: Connection, table: type[Table], name: str, rows: list[Row], run_id: str | None
) -> None:
    frame = table.validate(table.frame(rows)).assign(run_id=run_id)
    upsert(connection, name, frame, table.key())
