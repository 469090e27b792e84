"""Which orders are behind a reference: ours, a number, or any id another system gave.

First our keys that the reference leads to, then the orders those belong to; both by indexes only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.domain.tracking import folded, parcel_ref
from sync_assets.ops import trace_money_finding

#: More orders than these are not told at once.
MOST = 20
FORMS = (
    *("us:1042 (our key of an order)", "an order number", "a payment reference"),
    *("us:1042:f1 (a request to a warehouse)", "the warehouse's number or id of it"),
    *("a shipment's number or id", "a tracking number, of a return too"),
    *("us:1042:r1 (a return)", "the sender's reference of it", "an exchange order"),
    *("us:881 (a refund)", "the shop's or the provider's id of it"),
    "the ERP's number or id of an order, a delivery or a credit memo",
    *trace_money_finding.FORMS,
)
#: What may be known by another system's id or number only: its name for people, by which kinds.
RECEIPTS = {
    "fulfilment_orders": ("order", ("files", "http", "shipbob", "odoo", "tryton")),
    "deliveries": ("delivery", ("odoo", "tryton")),
    "credit_memos": ("credit memo", ("odoo", "tryton")),
    "credit_reversals": ("credit reversal", ("odoo", "tryton")),
    "restocks": ("restock", ("odoo", "tryton")),
    "journal_entries": ("journal entry", ("odoo", "tryton")),
    "refunds": ("refund", ("woocommerce",)),
    "exchanges": ("exchange order", ("woocommerce",)),
}


@dataclass(frozen=True)
class Found:
    """Orders behind a reference, the newest first, and how each was found."""

    orders: list[str] = field(default_factory=list)
    #: How many there are in all, whatever of them is told.
    count: int = 0
    #: Order to the forms in which the reference leads to it.
    forms: dict[str, list[str]] = field(default_factory=dict)
    #: What is known under the reference, and belongs to no order yet.
    nobodys: list[str] = field(default_factory=list)
    #: Payouts, bank entries and journal entries of that name, with the sums of their orders.
    batches: list[dict[str, Any]] = field(default_factory=list)


def find(connection: Connection, reference: str) -> Found:
    """The orders behind any reference; spaces around it, and a # before it, do not matter."""
    said = reference.strip().removeprefix("#")
    if not said:
        return Found()
    keys = {said: "our key"} | _keys(connection, said)
    placed, forms = _told(_orders(connection, keys), keys)
    known = set(placed)
    things = trace_money_finding.things(connection, said, list(keys))
    money = trace_money_finding.behind(connection, things, list(known), MOST)
    for ref, (told, placed_at) in money.orders.items():
        placed.setdefault(ref, placed_at)
        forms.setdefault(ref, told)
    orders = sorted(placed, key=lambda ref: (placed[ref] is None, _newest(placed[ref]), ref))
    count = len(orders) - len(money.orders.keys() - known) + money.more
    nobodys = [] if orders else [*_nobodys(connection, keys), *_of_no_order(things)]
    return Found(orders[:MOST], count, forms, nobodys, money.batches)


def _told(
    rows: Iterable[dict[str, Any]], keys: dict[str, str]
) -> tuple[dict[str, datetime | None], dict[str, list[str]]]:
    """When each order was placed, and the forms in which it was found."""
    placed: dict[str, datetime | None] = {}
    forms: dict[str, list[str]] = {}
    for row in rows:
        form = next((f for key, f in keys.items() if row["key"] in _parts(key)), "our key")
        placed[row["order_ref"]] = row["placed_at"]
        told = forms.setdefault(row["order_ref"], [])
        if form not in told:
            told.append(form)
    return placed, forms


def _newest(placed_at: datetime | None) -> float:
    return -placed_at.astimezone(UTC).timestamp() if placed_at else 0


def _of_no_order(things: Iterable[trace_money_finding.Thing]) -> list[str]:
    return sorted(f"{one.kind} {one.ref}" for one in things)


def orders_of(connection: Connection, key: str) -> list[str]:
    """The orders that one of our keys belongs to."""
    rows = _orders(connection, [key])
    found = list(dict.fromkeys(row["order_ref"] for row in rows))
    if found:
        return found
    things = trace_money_finding.things(connection, key, [key])
    return list(trace_money_finding.behind(connection, things, [], MOST).orders)


def _keys(connection: Connection, said: str) -> dict[str, str]:
    """Our keys of what somebody calls `said`, each with the form that comes first below."""
    parcel = parcel_ref(said) if folded(said) else None
    rows = read_rows(connection, _KEYS, said=said, parcel=parcel)
    return {row["key"]: row["form"] for row in reversed(rows)}


def _receipts() -> str:
    return " union all ".join(
        f"select key, system || ' {name}' as form from receipt.{kind}__{thing} "  # noqa: S608
        "where remote_id = :said or remote_number = :said"
        for thing, (name, kinds) in RECEIPTS.items()
        for kind in kinds
    )


_KEYS = f"""
select order_ref as key, 'order number' as form from core.orders where order_number = :said
union all
select order_ref, 'order id of the shop' from core.orders where order_id = :said
union all
select order_ref, 'payment reference' from core.orders where payment_ref = :said
union all
select order_ref, system || ' sales order' from receipt.odoo__sales_orders
where remote_number = :said
union all
select order_ref, system || ' sales order' from receipt.tryton__sales_orders
where remote_number = :said
union all
select our_ref, system || ' ' || replace(remote_kind, '_', ' ') from core.ref
where remote_id = :said or remote_number = :said
union all
{_receipts()}
union all
select shipment_ref, system || ' shipment' from core.shipments where remote_number = :said
union all
select shipment_ref, system || ' shipment' from core.shipments
where substr(shipment_ref, length(system) + 2) = :said
union all
select parcel_ref, 'tracking number' from core.parcels where parcel_ref = :parcel
union all
select return_ref, 'tracking number of a return' from core.returns
where 'parcel:' || regexp_replace(upper(tracking_number), '[^0-9A-Z]', '', 'g') = :parcel
union all
select return_ref, 'sender''s reference of a return' from core.returns
where sender_ref = :said or substr(sender_ref, strpos(sender_ref, ':') + 1) = :said
union all
select return_ref, 'exchange order' from core.returns where exchange_order_ref = :said
union all
select refund_ref, 'refund of the shop' from core.refunds where shop_refund_id = :said
union all
select refund_ref, 'refund of the provider' from core.refunds where provider_ref = :said
union all
select refund_ref, provider || ' refund' from core.refund_verdicts
where refund_id = :said and refund_ref is not null
"""  # noqa: S608


def _parts(key: str) -> tuple[str, ...]:
    """A delivery's key names its order: "north:5512/us:1042"."""
    shipment, _, order_ref = key.rpartition("/")
    return (key, order_ref) if shipment else (key,)


def _orders(connection: Connection, keys: Iterable[str]) -> list[dict[str, Any]]:
    wanted = list(dict.fromkeys(part for key in keys for part in _parts(key)))
    stores = [key.partition(":")[0] for key in wanted]
    ids = [key.partition(":")[2] for key in wanted]
    return read_rows(connection, _ORDERS, keys=wanted, stores=stores, ids=ids)


#: What was set aside is in no core table: its exception, or what the shop said of it, is.
_ORDERS = """
select f.order_ref, f.key, o.placed_at from (
    select order_ref, order_ref as key from core.orders where order_ref = any(:keys)
    union
    select order_ref, fulfilment_ref from core.fulfilment_orders where fulfilment_ref = any(:keys)
    union
    select order_ref, return_ref from core.returns where return_ref = any(:keys)
    union
    select order_ref, refund_ref from core.refunds where refund_ref = any(:keys)
    union
    select order_ref, shipment_ref from core.shipment_lines where shipment_ref = any(:keys)
    union
    select order_ref, parcel_ref from core.shipment_lines where parcel_ref = any(:keys)
    union
    select subject_ref, subject_ref from ops.exception
    where subject_kind = 'order' and subject_ref = any(:keys)
    union
    select r.source || ':' || r.resource_id, r.source || ':' || r.resource_id
    from unnest(cast(:stores as text[]), cast(:ids as text[])) w (source, resource_id)
    join raw.woocommerce__orders r using (source, resource_id)
) f
left join core.orders o using (order_ref)
where f.order_ref is not null
order by o.placed_at desc nulls last, f.order_ref
"""


def _nobodys(connection: Connection, keys: dict[str, str]) -> list[str]:
    rows = read_rows(connection, _NOBODYS, keys=list(keys))
    return [f"{row['noun']} {row['key']}" for row in rows]


_NOBODYS = """
select 'shipment' as noun, shipment_ref as key from core.shipments where shipment_ref = any(:keys)
union all
select 'parcel', parcel_ref from core.parcels where parcel_ref = any(:keys)
union all
select 'return', return_ref from core.returns where return_ref = any(:keys)
order by 1, 2
"""
