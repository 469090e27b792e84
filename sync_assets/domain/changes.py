"""What changed between two versions of an order: the history behind "who changed my order".

Compares our rows only; what to do about a change is decided elsewhere.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pandas as pd
import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Table
from sync_assets.domain.orders import Row

#: Not the shop's time of change, which always moves, and nothing a person wrote.
ORDER_FIELDS = (
    "order_number",
    "state",
    "shop_status",
    "currency",
    "prices_include_tax",
    "placed_at",
    "paid_at",
    "customer_ref",
    "payment_method",
    "payment_ref",
    "net_amount",
    "shipping_amount",
    "fee_amount",
    "tax_amount",
    "discount_amount",
    "rounding_amount",
    "total_amount",
    "refunded_amount",
)
LINE_FIELDS = ("sku", "quantity", "subtotal_amount", "net_amount", "tax_amount")
ADDRESS_FIELDS = (
    *("first_name", "last_name", "company", "street", "street2", "city", "region"),
    *("postcode", "country", "email", "phone"),
)

Tables = Mapping[str, list[Row]]


class OrderChanges(Table):
    """One row per order version and field that differs from the version before."""

    order_ref: str = pa.Field(description="The order")
    raw_version: int = pa.Field(description="Version in raw.woocommerce__orders that brought it")
    changed_at: Instant = pa.Field(description="When the shop changed the order")
    field: str = pa.Field(description="`total_amount`, or `product:4471.quantity` for a line")
    before: str = pa.Field(nullable=True, description="What it was, as text; no addresses")
    after: str = pa.Field(nullable=True, description="What it became, as text; no addresses")

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["order_ref", "raw_version", "field"]


def order_changes(before: Tables | None, after: Tables) -> list[Row]:
    """Return what differs between an order's tables then and now; a first version changes none."""
    if before is None:
        return []
    now = after["orders"][0]
    pairs = [*_of_order(before["orders"][0], now), *_of_parts(before, after)]
    told = [(field, _text(old), _text(new)) for field, old, new in pairs]
    changed = [(field, old, new) for field, old, new in told if old != new]
    changed += [(field, None, None) for field in _of_addresses(before, after)]
    return [
        {
            "order_ref": now["order_ref"],
            "raw_version": now["raw_version"],
            "changed_at": now["changed_at"],
            "field": field,
            "before": old,
            "after": new,
        }
        for field, old, new in changed
    ]


def _of_order(before: Row, after: Row) -> Iterator[tuple[str, Any, Any]]:
    for field in ORDER_FIELDS:
        yield field, before.get(field), after.get(field)


def _of_parts(before: Tables, after: Tables) -> Iterator[tuple[str, Any, Any]]:
    """Lines and refunds that came, went or changed; who is absent has no values."""
    for table, key, fields in (
        ("order_lines", "line_ref", LINE_FIELDS),
        ("order_refunds", "refund_ref", ("refunded_amount",)),
    ):
        then = {row[key]: row for row in before.get(table, [])}
        now = {row[key]: row for row in after.get(table, [])}
        for ref in sorted(then.keys() | now.keys()):
            name = ":".join(ref.split(":")[-2:])
            for field in fields:
                old, new = then.get(ref, {}).get(field), now.get(ref, {}).get(field)
                yield f"{name}.{field}", old, new


def _of_addresses(before: Tables, after: Tables) -> Iterator[str]:
    """Names of address fields that changed; what they say is somebody's home."""
    then = {row["role"]: row for row in before.get("order_addresses", [])}
    now = {row["role"]: row for row in after.get("order_addresses", [])}
    for role in sorted(then.keys() | now.keys()):
        for field in ADDRESS_FIELDS:
            if then.get(role, {}).get(field, "") != now.get(role, {}).get(field, ""):
                yield f"{role}.{field}"


def _text(value: Any) -> str | None:
    """A value as text that is equal when the value is: 5.7 and 5.700000, any zone of one moment."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, Decimal):
        return f"{value.normalize() + 0:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
