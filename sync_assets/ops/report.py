"""What the database tells people: status, sums, what is held, and values as programs read them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store import outbox
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
