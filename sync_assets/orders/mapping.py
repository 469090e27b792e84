"""From raw versions to core rows: the steps behind the core assets.

Works on what is not mapped yet, in chunks of one transaction each. A payload that does not become
valid rows is set aside with its reasons and its neighbours go on.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pandera.errors
from sqlalchemy import Connection

from resources.store import exceptions
from resources.store.frames import Unstorable, all_or_nothing, read_rows, replace, upsert
from resources.wiring import Systems
from sync_assets.domain.changes import OrderChanges, order_changes
from sync_assets.domain.exception_kinds import MAPPING_CODES, VANISHED
from sync_assets.domain.orders import (
    CORE_TABLES,
    Customers,
    OrderNotes,
    Problem,
    Rejected,
    Row,
    order_ref,
)
from sync_assets.mappers import woocommerce
from sync_assets.mapping import Mapped, chunks, map_simple, parsed, write
from sync_assets.orders import gone
from sync_assets.trouble import exceptional

CHILDREN = [name for name in CORE_TABLES if name != "orders"]


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
            write(connection, Customers, "core.customers", people, run_id)
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


def customers(systems: Systems, run_id: str | None) -> Mapped:
    """Bring core.customers up to the newest accounts."""
    return map_simple(
        systems,
        "woocommerce__customers",
        Customers,
        "core.customers",
        lambda store, _, body: woocommerce.customer(store, body),
        run_id,
    )


def notes(systems: Systems, run_id: str | None) -> Mapped:
    """Bring core.order_notes up to the newest notes."""
    return map_simple(
        systems,
        "woocommerce__order_notes",
        OrderNotes,
        "core.order_notes",
        lambda store, key, body: woocommerce.note(store, key.split(":")[0], body),
        run_id,
    )
