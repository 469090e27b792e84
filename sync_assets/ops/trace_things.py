"""What belongs to an order: its lines, requests, shipments, parcels, returns, refunds and ids.

One statement a noun, for all orders of a trace at once. Names, addresses and links that may hold a
postcode are not read at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.domain.tracking import parcel_ref

Row = dict[str, Any]
ORDERS, SHIPMENTS, RETURNS, MONEY = "orders", "shipments", "returns", "money"


@dataclass
class Things:
    """The rows of some orders; every row names its `order_ref`."""

    order_refs: list[str]
    orders: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    requests: list[Row] = field(default_factory=list)
    #: One row per line that left, with its shipment and its parcel.
    shipped: list[Row] = field(default_factory=list)
    returns: list[Row] = field(default_factory=list)
    #: Returns that these orders replace the goods of.
    replaced: list[Row] = field(default_factory=list)
    refunds: list[Row] = field(default_factory=list)
    references: list[Row] = field(default_factory=list)
    tracking: list[Row] = field(default_factory=list)
    #: Our key of a thing to the orders it belongs to, each with the noun it is told under.
    owners: dict[str, dict[str, str]] = field(default_factory=dict)

    def own(self, key: str, order_ref: str, noun: str) -> None:
        """Let a key belong to an order."""
        self.owners.setdefault(key, {})[order_ref] = noun

    def owned(self, rows: Iterable[Row], key: str) -> Iterator[tuple[Row, str, str]]:
        """Each row with every order its key belongs to, and the noun."""
        for row in rows:
            for order_ref, noun in self.owners.get(row[key], {}).items():
                yield row, order_ref, noun

    @property
    def keys(self) -> list[str]:
        """All our keys of things that belong to these orders."""
        return list(self.owners)


def gather(connection: Connection, order_refs: Sequence[str]) -> Things:
    """Read what belongs to these orders."""
    things = Things(list(order_refs))

    def read(query: str, **values: Any) -> list[Row]:
        return read_rows(connection, query, **values)

    of = {"orders": things.order_refs}
    things.orders = read(_ORDERS, **of)
    things.lines = read(_LINES, **of)
    things.requests = read(_REQUESTS, **of)
    things.shipped = read(_SHIPPED, **of)
    returns = read(_RETURNS, **of)
    things.returns = [row for row in returns if row["order_ref"] in order_refs]
    things.replaced = [row for row in returns if row["exchange_order_ref"] in order_refs]
    things.refunds = read(_REFUNDS, **of)
    _own_all(things)
    things.references = read(_REFERENCES, keys=things.keys)
    things.tracking = read(_TRACKING, parcels=_parcels(things))
    return things


def _own_all(things: Things) -> None:
    for ref in things.order_refs:
        things.own(ref, ref, ORDERS)
    for row in things.requests:
        things.own(row["fulfilment_ref"], row["order_ref"], SHIPMENTS)
    for row in things.shipped:
        shipment, order_ref = row["shipment_ref"], row["order_ref"]
        for key in (shipment, f"{shipment}/{order_ref}", row["parcel_ref"]):
            if key:
                things.own(key, order_ref, SHIPMENTS)
    for row in things.returns:
        things.own(row["return_ref"], row["order_ref"], RETURNS)
        if row["tracking_number"]:
            row["parcel_ref"] = parcel_ref(row["tracking_number"])
            things.own(row["parcel_ref"], row["order_ref"], RETURNS)
    for row in things.refunds:
        things.own(row["refund_ref"], row["order_ref"], MONEY)


def _parcels(things: Things) -> list[str]:
    rows = [*things.shipped, *things.returns]
    return sorted({row["parcel_ref"] for row in rows if row.get("parcel_ref")})


_ORDERS = """
select m.*, o.paid_at, o.payment_method
from mart.orders m join core.orders o using (order_ref)
where m.order_ref = any(:orders)
"""

_LINES = """
select l.order_ref, l.kind, l.sku, l.description, l.quantity, l.net_amount, l.tax_amount,
       p.ordered_units, p.cancelled_units, p.requested_units, p.shipped_units, p.delivered_units,
       p.returned_units, p.refunded_units
from core.order_lines l
left join core.order_line_progress p on p.order_ref = l.order_ref and p.line_ref = l.line_ref
where l.order_ref = any(:orders)
order by l.position, l.line_ref
"""

_REQUESTS = """
select f.order_ref, f.fulfilment_ref, f.system, f.location, f.state, f.state_at, f.release_at,
       f.ship_by_at, f.planned_at, f.reason, f.run_id, r.remote_id, r.remote_number,
       (select string_agg(l.units || ' × ' || l.sku, ', ' order by l.line_ref)
        from core.fulfilment_lines l where l.fulfilment_ref = f.fulfilment_ref) as goods
from core.fulfilment_orders f
left join receipt.fulfilment_orders r on r.system = f.system and r.key = f.fulfilment_ref
where f.order_ref = any(:orders)
order by f.planned_at, f.fulfilment_ref
"""

_SHIPPED = """
select l.order_ref, s.shipment_ref, s.system, s.remote_number, s.location, s.state, s.shipped_at,
       s.changed_at, coalesce(s.carrier, nullif(s.carrier_words, '')) as carrier, s.run_id,
       l.fulfilment_ref, l.sku, l.units, l.is_cancelled, l.parcel_ref, p.tracking_number,
       p.state as parcel_state, p.state_at as parcel_state_at, p.delivered_at, p.is_return,
       coalesce(p.carrier, nullif(p.carrier_words, '')) as parcel_carrier
from core.shipment_lines l
join core.shipments s on s.shipment_ref = l.shipment_ref
left join core.parcels p on p.parcel_ref = l.parcel_ref
where l.order_ref = any(:orders)
order by s.shipped_at, s.shipment_ref, l.line_no
"""

#: What a sender or a customer wrote as the reason is not told: it may be about anybody.
_RETURNS = """
select r.order_ref, r.return_ref, r.store, r.source, r.state, r.state_at, r.is_exchange,
       r.exchange_order_ref, r.location, r.tracking_number, r.sender_ref, r.requested_at,
       r.received_at, r.run_id, p.state as parcel_state, p.state_at as parcel_state_at,
       coalesce(p.carrier, nullif(p.carrier_words, '')) as parcel_carrier,
       coalesce((select jsonb_agg(jsonb_build_object('sku', l.sku,
            'requested_units', l.requested_units, 'received_units', l.received_units,
            'restock_units', l.restock_units, 'refurbish_units', l.refurbish_units,
            'write_off_units', l.write_off_units) order by l.line_no)
        from core.return_lines l where l.return_ref = r.return_ref), '[]') as lines
from core.returns r
left join core.parcels p on p.parcel_ref
    = 'parcel:' || regexp_replace(upper(r.tracking_number), '[^0-9A-Z]', '', 'g')
where r.order_ref = any(:orders) or r.exchange_order_ref = any(:orders)
order by r.requested_at, r.return_ref
"""

_REFUNDS = """
select m.order_ref, m.refund_ref, m.store, m.return_ref, m.source, m.method, m.state, m.state_at,
       m.currency, m.amount, m.provider_ref, m.shop_refund_id, m.refunded_at, m.run_id,
       (select string_agg(case when l.units > 0 then l.units || ' × ' else '' end
            || coalesce(l.sku, l.kind), ', ' order by l.line_no)
        from core.refund_lines l where l.refund_ref = m.refund_ref) as goods
from core.refunds m
where m.order_ref = any(:orders)
order by m.refunded_at, m.refund_ref
"""

_REFERENCES = """
select our_ref, system, remote_kind, remote_id, remote_number, first_seen_at
from core.ref where our_ref = any(:keys)
order by first_seen_at, system, remote_kind, remote_id
"""

_TRACKING = """
select parcel_ref, tracking_number, coalesce(carrier, told_by) as carrier, state, is_known, code,
       words, happened_at, has_zone, place, told_by, run_id
from core.tracking_events where parcel_ref = any(:parcels)
order by happened_at, event_ref
"""


def of(order_ref: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of one order, in their order."""
    return [row for row in rows if row["order_ref"] == order_ref]
