"""What the database tells people: status, the trace of one reference, exceptions, a summary."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store import outbox, refs
from resources.store.frames import read_rows, scalar

Found = dict[str, Any]


def status(connection: Connection, now: datetime, *, whole: bool = True) -> Found:
    """Per system and subject: how far we read, what waits, what failed.

    Counting all orders and writes looks at each; what asks every few seconds leaves that out.
    """
    streams = read_rows(
        connection,
        "select source, stream, complete_until, updated_at from ops.watermark order by 1, 2",
    )
    for stream in streams:
        stream["lag_seconds"] = int((now - stream["complete_until"]).total_seconds())
    return {
        "at": now,
        "streams": streams,
        "orders": _orders(connection) if whole else [],
        "unmapped": scalar(
            connection, "select count(*) from raw.woocommerce__orders where mapped_at is null"
        ),
        "outbox": outbox.depth(connection) if whole else [],
        "exceptions": read_rows(
            connection,
            "select code, owner_role, blocks, count(*) as open, min(opened_at) as oldest, "
            "count(*) filter (where due_at < :now) as overdue "
            "from ops.exception where state = 'open' group by 1, 2, 3 order by 4 desc, 1",
            now=now,
        ),
        "checks": read_rows(
            connection,
            "select table_name, passed, failures, checked_at from ops.verdict order by 1",
        ),
        "systems": read_rows(connection, "select * from ops.system order by system"),
    }


def _orders(connection: Connection) -> list[Found]:
    return read_rows(
        connection,
        "select store, pipeline_state, currency, count(*) as orders, "
        "sum(total_amount) as shop_total, sum(erp_total_amount) as erp_total "
        "from mart.orders group by 1, 2, 3 order by 1, 2, 3",
    )


def resolve(connection: Connection, reference: str) -> list[str]:
    """Our order keys behind any reference: ours, a number, a payment or an ERP document."""
    rows = read_rows(
        connection,
        "select order_ref from core.orders where order_ref = :r or order_number = :r "
        "or payment_ref = :r order by placed_at desc limit 20",
        r=reference,
    )
    found = [row["order_ref"] for row in rows]
    found += [row["our_ref"] for row in refs.find(connection, reference) if row["kind"] == "order"]
    if not found:
        rows = read_rows(
            connection,
            "select distinct subject_ref from ops.exception where subject_ref = :r",
            r=reference,
        )
        found = [row["subject_ref"] for row in rows]
    return list(dict.fromkeys(found))


def trace(connection: Connection, order_ref: str) -> Found:
    """Everything one order went through, from the shop's words to the ERP's answer."""
    store, _, order_id = order_ref.partition(":")
    order = read_rows(connection, "select * from mart.orders where order_ref = :r", r=order_ref)
    return {
        "order_ref": order_ref,
        "order": order[0] if order else None,
        "lines": read_rows(
            connection,
            "select kind, sku, description, quantity, net_amount, tax_amount "
            "from core.order_lines where order_ref = :r order by position, line_ref",
            r=order_ref,
        ),
        "references": read_rows(
            connection,
            "select system, remote_kind, remote_id, remote_number, first_seen_at "
            "from core.ref where our_ref = :r order by first_seen_at",
            r=order_ref,
        ),
        "events": sorted(_events(connection, store, order_id, order_ref), key=lambda e: e["at"]),
    }


def _events(connection: Connection, store: str, order_id: str, ref: str) -> list[Found]:
    raws = read_rows(
        connection,
        "select received_at as at, 'raw' as layer, 'version ' || version || ' via ' || via "
        "|| ', changed in the shop ' || to_char(changed_at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC' "
        "as what, run_id, correlation_id from raw.woocommerce__orders "
        "where source = :store and resource_id = :id",
        store=store,
        id=order_id,
    )
    changes = read_rows(
        connection,
        "select changed_at as at, 'core' as layer, field || ': ' || coalesce(before, 'nothing') "
        "|| ' → ' || coalesce(after, 'nothing') as what, run_id, null as correlation_id "
        "from core.order_changes where order_ref = :r",
        r=ref,
    )
    plans = read_rows(
        connection,
        "select planned_at as at, 'plan' as layer, action || ' in ' || system || ': ' || reason "
        "as what, run_id, null as correlation_id from plan.sales_orders where order_ref = :r",
        r=ref,
    )
    writes = read_rows(
        connection,
        "select created_at as at, 'outbox' as layer, operation || ' to ' || system || ': ' "
        "|| state || ', ' || attempts || ' attempts' || coalesce(', ' || error_text, '') as what, "
        "null as run_id, correlation_id from ops.outbox where thing_ref = :r",
        r=ref,
    )
    answers = read_rows(
        connection,
        "select answered_at as at, 'receipt' as layer, outcome || ' by ' || system || ' as ' "
        "|| coalesce(remote_number, remote_id::text, 'nothing') as what, run_id, correlation_id "
        "from receipt.sales_orders where order_ref = :r",
        r=ref,
    )
    found = read_rows(
        connection,
        "select opened_at as at, 'exception' as layer, code || ' (' || state || '): ' || message "
        "as what, run_id, null as correlation_id from ops.exception where subject_ref = :r",
        r=ref,
    )
    decided = read_rows(
        connection,
        "select at, 'audit' as layer, action || ' by ' || actor "
        "|| coalesce(': ' || (detail ->> 'note'), '') as what, null as run_id, "
        "null as correlation_id from ops.audit where subject_ref = :r",
        r=ref,
    )
    return [*raws, *changes, *plans, *writes, *answers, *found, *decided]


def sums(connection: Connection) -> list[Found]:
    """Orders and money per currency: all of core, what was accepted, and what the ERP says."""
    return read_rows(
        connection,
        "select currency, count(*) as core_orders, sum(total_amount) as core_total, "
        "count(*) filter (where pipeline_state = 'accepted') as accepted_orders, "
        "coalesce(sum(total_amount) filter (where pipeline_state = 'accepted'), 0) "
        "as accepted_total, "
        "coalesce(sum(erp_total_amount) filter (where pipeline_state = 'accepted'), 0) "
        "as erp_total from mart.orders group by 1 order by 1",
    )


def held_by_reason(connection: Connection) -> dict[str, int]:
    """Orders that wait, by reason; an order with two reasons counts under both."""
    rows = read_rows(
        connection,
        "select reason, count(distinct order_ref) as n from core.order_holds group by 1 order by 1",
    )
    return {row["reason"]: row["n"] for row in rows}


def plain(value: Any) -> Any:
    """A value as JSON holds it: money as text with its cents, times in ISO form."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Decimal):
        whole = value.normalize() + 0
        return f"{whole:.2f}" if whole == round(whole, 2) else f"{whole:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    return value
