"""Returns somebody told of, put down: whose order it is, which return it is, and which units.

Told by a request or by a system that has the goods; what follows is decided when the order is
looked at next.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions, sagas, stale
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.after_sale import ReturnLine
from sync_assets.domain.orders import Problem, Row
from sync_assets.domain.returns import ReturnState, Source
from sync_assets.returns.settling import QUEUE
from sync_assets.trouble import exceptional

UNKNOWN = "return.order_unknown"


@dataclass(frozen=True)
class Told:
    """A return as somebody told of it."""

    source: Source
    sender_ref: str
    actor: str
    cause: str
    requested_at: datetime
    lines: tuple[ReturnLine, ...]
    reason: str = ""
    is_exchange: bool = False
    tracking_number: str | None = None
    location: str | None = None
    #: What it names its order by, for people.
    reference: str | None = None


def find_order(
    connection: Connection, reference: str | None, store: str | None = None
) -> str | None:
    """The one order of a reference: our key, the number people see, or the shop's id."""
    if not reference:
        return None
    rows = read_rows(connection, _ORDER, reference=reference.removeprefix("#"), store=store)
    exact = [row["order_ref"] for row in rows if row["order_ref"] == reference]
    found = exact or [row["order_ref"] for row in rows]
    return found[0] if len(found) == 1 else None


_ORDER = """
select order_ref from core.orders
where (order_ref = :reference or order_number = :reference or order_id = :reference)
  and (cast(:store as text) is null or store = :store)
order by order_ref limit 3
"""


def of_sender(connection: Connection, sender_ref: str) -> Row | None:
    """The return that a sender told of by its own reference before."""
    query = "select * from core.returns where sender_ref = :ref order by return_ref limit 1"
    return next(iter(read_rows(connection, query, ref=sender_ref)), None)


def one(connection: Connection, return_ref: str) -> Row | None:
    """A return by our key."""
    query = "select * from core.returns where return_ref = :ref"
    return next(iter(read_rows(connection, query, ref=return_ref)), None)


def lines_of(connection: Connection, return_ref: str) -> tuple[ReturnLine, ...]:
    """The lines of a return."""
    rows = read_rows(
        connection,
        "select * from core.return_lines where return_ref = :ref order by line_no",
        ref=return_ref,
    )
    return tuple(
        ReturnLine(**{name: row[name] for name in ReturnLine.__dataclass_fields__}) for row in rows
    )


def begin(
    connection: Connection, systems: Systems, told: Told, order: str | None, run_id: str | None
) -> str:
    """Put a new return down with its first step; answers our key of it."""
    ref = _next_ref(connection, order) if order else f"return:{told.sender_ref}"
    values: dict[str, Any] = {
        **{name: getattr(told, name) for name in _TOLD},
        "source": str(told.source),
        "return_ref": ref,
        "order_ref": order,
        "store": store_of(order),
        "run_id": run_id,
    }
    connection.execute(text(_RETURN), values)
    keep_lines(connection, ref, told.lines, run_id)
    step = sagas.Step(
        "return",
        ref,
        "",
        ReturnState.REQUESTED,
        told.actor,
        told.reason or "it was told of",
        told.cause,
    )
    sagas.take(connection, [step], systems.now(), run_id)
    tell_unknown(connection, systems, ref, told, is_known=order is not None)
    return ref


_TOLD = (*("reason", "is_exchange", "tracking_number", "location", "sender_ref", "requested_at"),)
_RETURN = """
insert into core.returns (return_ref, order_ref, store, source, reason, is_exchange,
    tracking_number, location, sender_ref, requested_at, run_id)
values (:return_ref, :order_ref, :store, :source, :reason, :is_exchange, :tracking_number,
    :location, :sender_ref, :requested_at, :run_id)
"""


def store_of(order: str | None) -> str | None:
    """The store of an order's key."""
    return order.partition(":")[0] if order else None


def _next_ref(connection: Connection, order: str) -> str:
    held = read_rows(
        connection, "select return_ref from core.returns where order_ref = :order", order=order
    )
    head = f"{order}:r"
    numbers = [row["return_ref"].removeprefix(head) for row in held]
    return f"{head}{max((int(n) for n in numbers if n.isdecimal()), default=0) + 1}"


def keep_lines(
    connection: Connection, ref: str, lines: Sequence[ReturnLine], run_id: str | None
) -> None:
    """Make these all the lines of a return."""
    connection.execute(text("delete from core.return_lines where return_ref = :ref"), {"ref": ref})
    rows = [
        {**vars(replace(line, line_no=number)), "return_ref": ref, "run_id": run_id}
        for number, line in enumerate(lines)
    ]
    if rows:
        connection.execute(text(_LINE), rows)


_LINE = """
insert into core.return_lines (return_ref, line_no, line_ref, sku, requested_units, received_units,
    restock_units, refurbish_units, write_off_units, run_id)
values (:return_ref, :line_no, :line_ref, :sku, :requested_units, :received_units,
    :restock_units, :refurbish_units, :write_off_units, :run_id)
"""


def place(connection: Connection, systems: Systems, held: Row, told: Told, order: str) -> None:
    """Give a return of an unknown order its order, now that it is known."""
    connection.execute(
        text("update core.returns set order_ref = :order, store = :store where return_ref = :ref"),
        {"order": order, "store": store_of(order), "ref": held["return_ref"]},
    )
    tell_unknown(connection, systems, held["return_ref"], told, is_known=True)


def tell_unknown(
    connection: Connection, systems: Systems, ref: str, told: Told, *, is_known: bool
) -> None:
    """Open or close the exception of a return whose order nobody knows."""
    named = f"{told.reference!r}" if told.reference else "no order"
    said = f"it names {named}, which is no order we have"
    levels = systems.settings.service_levels
    found = exceptional(Problem(UNKNOWN, "", said), ref, levels, sender_ref=told.sender_ref)
    exceptions.reconcile(
        connection,
        [] if is_known else [found],
        subjects=[ref],
        codes=[UNKNOWN],
        now=systems.now(),
    )


def learn(
    connection: Connection, held: Row, tracking_number: str | None, received_at: datetime | None
) -> None:
    """Add what was not known of a return before."""
    is_new = (tracking_number and not held["tracking_number"]) or (
        received_at and not held["received_at"]
    )
    if is_new:
        connection.execute(
            text(
                "update core.returns set tracking_number = coalesce(tracking_number, :number), "
                "received_at = coalesce(received_at, :at) where return_ref = :ref"
            ),
            {"number": tracking_number, "at": received_at, "ref": held["return_ref"]},
        )


def look_again(connection: Connection, systems: Systems, order: str | None) -> None:
    """Let an order be looked at; its lines tell nobody when they change."""
    if order:
        stale.mark(connection, QUEUE, [order], systems.now())


def forget_unplaced(connection: Connection, table: str) -> int:
    """Let what told of returns without an order be mapped again: the order may be known now."""
    query = f"""
        update raw.{table} w set mapped_at = null from core.returns r
        where r.order_ref is null and r.sender_ref = w.source || ':' || w.resource_id
          and w.mapped_at is not null and w.version = (
            select n.version from raw.{table} n
            where n.source = w.source and n.resource_id = w.resource_id
            order by n.changed_at desc, n.version desc limit 1)
    """  # noqa: S608
    return int(connection.execute(text(query)).rowcount)


def folded(number: str | None) -> str:
    """A tracking number as parcels are keyed by it."""
    return re.sub("[^0-9A-Z]", "", (number or "").upper())


def skus_of(connection: Connection, order: str) -> Mapping[str, str]:
    """SKUs of an order's lines by line_ref."""
    query = (
        "select line_ref, sku from core.order_lines where order_ref = :order and sku is not null"
    )
    return {row["line_ref"]: row["sku"] for row in read_rows(connection, query, order=order)}
