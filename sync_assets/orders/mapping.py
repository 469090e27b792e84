"""From raw versions to core rows: the steps behind the core assets.

Works on what is not mapped yet, in chunks of one transaction each. A payload that does not become
valid rows is set aside with its reasons and its neighbours go on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd
import pandera.errors
from sqlalchemy import Connection

from resources.store import exceptions, raw
from resources.store.engine import connected, one_at_a_time
from resources.store.exceptions import Exceptional
from resources.store.frames import Unstorable, all_or_nothing, read_rows, replace, upsert
from resources.wiring import Systems
from sync_assets.domain.changes import OrderChanges, order_changes
from sync_assets.domain.exception_kinds import MAPPING_CODES, VANISHED
from sync_assets.domain.frames import Table
from sync_assets.domain.items import ProductRefs
from sync_assets.domain.orders import (
    CORE_TABLES,
    Customers,
    OrderNotes,
    Problem,
    Rejected,
    Row,
    order_ref,
)
from sync_assets.mappers import ERP_MAPPERS, woocommerce
from sync_assets.orders import gone
from sync_assets.orders.trouble import exceptional

CHUNK = 500
CHILDREN = [name for name in CORE_TABLES if name != "orders"]


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


def orders(systems: Systems, run_id: str | None) -> Mapped:
    """Bring the core order tables up to the newest raw versions."""
    total = Mapped()
    for connection, versions in chunks(systems, "woocommerce__orders"):
        accepted: dict[str, dict[str, list[Row]]] = {}
        rejected: dict[str, list[Problem]] = {}
        guests: dict[str, Row] = {}
        for version in versions:
            ref = order_ref(version["source"], version["resource_id"])
            try:
                accepted[ref], guest = core_rows(connection, version)
                if guest:
                    guests[ref] = guest
            except Rejected as refusal:
                rejected[ref] = refusal.problems
        total.changes += _keep(connection, accepted, rejected, guests, run_id)
        gone.end_unreadable(connection, versions, accepted, rejected, run_id)
        _tell(connection, systems, versions, rejected, run_id)
        total.mapped += len(accepted)
        total.set_aside += len(rejected)
    return total


def core_rows(
    connection: Connection, version: dict[str, Any]
) -> tuple[dict[str, list[Row]], Row | None]:
    """The rows of every core table that a version of an order makes, and its guest."""
    body = parsed(gone.last_said(connection, version))
    rows = woocommerce.order(version["source"], body, version["version"])
    if version["via"] == gone.VIA:
        rows["orders"][0] |= gone.DELETED
    return rows, woocommerce.guest(version["source"], body)


def parsed(text: str) -> Mapping[str, Any]:
    """A stored payload with its money exact."""
    try:
        body = json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as fault:
        raise Rejected([Problem("order.malformed", "body", f"not JSON: {fault}")]) from fault
    if not isinstance(body, dict):
        raise Rejected([Problem("order.malformed", "body", "the payload is no object")])
    return body


def _keep(
    connection: Connection,
    accepted: dict[str, dict[str, list[Row]]],
    rejected: dict[str, list[Problem]],
    guests: Mapping[str, Row],
    run_id: str | None,
) -> int:
    """Write orders; one that fails a schema or the database moves to `rejected`."""
    frames = valid_frames(accepted, rejected)
    people = _newest_guests(connection, [guests[ref] for ref in accepted if ref in guests])
    try:
        with all_or_nothing(connection):
            _write(connection, Customers, "core.customers", people, run_id)
            return _write_orders(connection, accepted, frames, run_id)
    except Unstorable as refusal:
        if len(accepted) == 1:
            (ref, _) = accepted.popitem()
            message = f"the database cannot hold it: {refusal}"
            rejected[ref] = [Problem("order.invalid", "orders", message)]
            return 0
    refs, changes = list(accepted), 0
    for part in (refs[: len(refs) // 2], refs[len(refs) // 2 :]):
        half = {ref: accepted.pop(ref) for ref in part}
        changes += _keep(connection, half, rejected, guests, run_id)
        accepted |= half
    return changes


def _newest_guests(connection: Connection, guests: list[Row]) -> list[Row]:
    """One row a guest: what the latest change of any of their orders says, mapped when it may."""
    newest = {row["customer_ref"]: row for row in sorted(guests, key=lambda row: row["changed_at"])}
    query = "select customer_ref, changed_at from core.customers where customer_ref = any(:keys)"
    for held in read_rows(connection, query, keys=list(newest)):
        if held["changed_at"] > newest[held["customer_ref"]]["changed_at"]:
            del newest[held["customer_ref"]]
    return list(newest.values())


def valid_frames(
    accepted: dict[str, dict[str, list[Row]]], rejected: dict[str, list[Problem]]
) -> dict[str, pd.DataFrame]:
    """Frames that pass their schemas; an order that fails in any of them moves to `rejected`."""
    for _ in range(2):  # the second pass proves that what is left is valid
        frames = {name: _frame(name, accepted) for name in CORE_TABLES}
        faults = [fault for name, frame in frames.items() for fault in _faults(name, frame)]
        if not faults:
            return frames
        for ref, problem in faults:
            accepted.pop(ref, None)
            rejected.setdefault(ref, []).append(problem)
    raise AssertionError("rows without faults of their own failed their schema")


def _frame(name: str, accepted: Mapping[str, dict[str, list[Row]]]) -> pd.DataFrame:
    rows = [row for tables in accepted.values() for row in tables[name]]
    return CORE_TABLES[name].frame(rows)


def _faults(name: str, frame: pd.DataFrame) -> Iterator[tuple[str, Problem]]:
    try:
        CORE_TABLES[name].validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        for case in errors.failure_cases.to_dict("records"):
            if pd.isna(case["index"]):
                raise
            ref = str(frame["order_ref"].iloc[int(case["index"])])
            part = f"{name}.{case['column']}"
            yield ref, Problem("order.invalid", part, f"fails the check {case['check']}")


def _write_orders(
    connection: Connection,
    accepted: Mapping[str, dict[str, list[Row]]],
    frames: dict[str, pd.DataFrame],
    run_id: str | None,
) -> int:
    keys = list(accepted)
    before = core_now(connection, keys)
    changes = [
        change
        for ref, tables in accepted.items()
        if ref in before
        for change in order_changes(before[ref], tables)
    ]
    upsert(connection, "core.orders", frames["orders"].assign(run_id=run_id), ["order_ref"])
    for name in CHILDREN:
        frame = frames[name].assign(run_id=run_id)
        replace(connection, f"core.{name}", frame, by="order_ref", keys=keys)
    key = ["order_ref", "raw_version", "field"]
    frame = OrderChanges.frame(changes).assign(run_id=run_id)
    upsert(connection, "core.order_changes", frame, key)
    return len(changes)


def core_now(connection: Connection, keys: list[str]) -> dict[str, dict[str, list[Row]]]:
    """What core holds now for the orders that are there already."""
    held: dict[str, dict[str, list[Row]]] = {}
    for row in read_rows(connection, "select * from core.orders where order_ref = any(:k)", k=keys):
        held[row["order_ref"]] = {name: [] for name in CORE_TABLES} | {"orders": [row]}
    if held:
        for name in ("order_lines", "order_refunds", "order_addresses"):
            query = f"select * from core.{name} where order_ref = any(:k)"  # noqa: S608
            for row in read_rows(connection, query, k=list(held)):
                held[row["order_ref"]][name].append(row)
    return held


def _write(
    connection: Connection, table: type[Table], name: str, rows: list[Row], run_id: str | None
) -> None:
    frame = table.validate(table.frame(rows)).assign(run_id=run_id)
    upsert(connection, name, frame, table.key())


def _tell(
    connection: Connection,
    systems: Systems,
    versions: list[dict[str, Any]],
    rejected: Mapping[str, list[Problem]],
    run_id: str | None,
) -> None:
    refs_of = {order_ref(v["source"], v["resource_id"]): v for v in versions}
    found = [
        exceptional(
            problem,
            ref,
            systems.settings.service_levels,
            version=refs_of[ref]["version"],
            sender_ref=refs_of[ref]["resource_id"],
        )
        for ref, problems in rejected.items()
        for problem in problems
    ]
    found += gone.vanished(connection, systems, refs_of)
    exceptions.reconcile(
        connection,
        found,
        subjects=list(refs_of),
        codes=[*MAPPING_CODES, VANISHED],
        now=systems.now(),
        run_id=run_id,
    )


def _map_simple(
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
        _write(connection, table, core_table, rows, run_id)
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


def customers(systems: Systems, run_id: str | None) -> Mapped:
    """Bring core.customers up to the newest accounts."""
    return _map_simple(
        systems,
        "woocommerce__customers",
        Customers,
        "core.customers",
        lambda store, _, body: woocommerce.customer(store, body),
        run_id,
    )


def notes(systems: Systems, run_id: str | None) -> Mapped:
    """Bring core.order_notes up to the newest notes."""
    return _map_simple(
        systems,
        "woocommerce__order_notes",
        OrderNotes,
        "core.order_notes",
        lambda store, key, body: woocommerce.note(store, key.split(":")[0], body),
        run_id,
    )


def items(systems: Systems, kind: str, run_id: str | None) -> Mapped:
    """Bring core.product_refs up to the newest items of one kind of ERP."""
    mapper = ERP_MAPPERS[kind]

    def row(system: str, _: str, body: Mapping[str, Any]) -> Row:
        return {"system": system, **mapper.item(dict(body))}

    return _map_simple(systems, f"{kind}__items", ProductRefs, "core.product_refs", row, run_id)
