"""Orders after the sale as the rules see them, read from our tables in a few statements a chunk."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.settings import Settings
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.after_sale import (
    Case,
    Parcel,
    Refund,
    Return,
    ReturnLine,
    Verdict,
    last_word,
)
from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Row
from sync_assets.domain.planning import Route
from sync_assets.domain.refund_limits import Share, Sold
from sync_assets.domain.returns import Source
from sync_assets.domain.returns_policy import ReturnsPolicy
from sync_assets.domain.tracking import ParcelState
from sync_assets.routes import route_of

Grouped = dict[str, list[Row]]


def load(
    connection: Connection, systems: Systems, policy: ReturnsPolicy, keys: Sequence[str]
) -> list[Case]:
    """The cases of these orders; unknown orders are left out."""
    orders = read_rows(connection, _ORDERS, keys=list(keys))
    known = [row["order_ref"] for row in orders]
    if not known:
        return []
    lines = _grouped(connection, _LINES, known)
    returns = _returns(connection, known)
    refunds = _refunds(connection, known)
    parcels = _grouped(connection, _PARCELS, known)
    return [
        _case(
            systems,
            policy,
            row,
            lines.get(row["order_ref"], []),
            parcels.get(row["order_ref"], []),
            returns.get(row["order_ref"], []),
            refunds.get(row["order_ref"], []),
        )
        for row in orders
    ]


def _grouped(connection: Connection, query: str, keys: list[str], by: str = "order_ref") -> Grouped:
    found: Grouped = {}
    for row in read_rows(connection, query, keys=keys):
        found.setdefault(row[by], []).append(row)
    return found


_ORDERS = """
select o.*, s.outcome as erp_outcome,
    (select max(h.shipped_at) from core.shipments h join core.shipment_lines l using (shipment_ref)
        where l.order_ref = o.order_ref and h.state = 'shipped') as shipped_at,
    (select max(p.delivered_at) from core.parcels p join core.shipment_lines l using (parcel_ref)
        where l.order_ref = o.order_ref and not p.is_return) as delivered_at
from core.orders o
left join receipt.sales_orders s on s.order_ref = o.order_ref
where o.order_ref = any(:keys) order by o.order_ref
"""
_LINES = """
select l.order_ref, l.line_ref, l.kind, l.sku, l.quantity, l.net_amount,
    coalesce(p.shipped_units, 0) as shipped_units,
    (select jsonb_object_agg(t.rate_id, t.tax_amount::text) from core.order_taxes t
        where t.line_ref = l.line_ref) as taxes
from core.order_lines l
left join core.order_line_progress p using (order_ref, line_ref)
where l.order_ref = any(:keys) order by l.order_ref, l.position, l.line_ref
"""
#: Parcels to the customer that turned round, with the units that lie in them.
_PARCELS = """
select l.order_ref, p.parcel_ref, p.state, p.carrier, p.tracking_number,
    jsonb_object_agg(l.line_ref, l.units) as units
from (
    select order_ref, parcel_ref, line_ref, sum(units) as units from core.shipment_lines
    where order_ref = any(:keys) and line_ref is not null and parcel_ref is not null
    group by 1, 2, 3
) l join core.parcels p using (parcel_ref)
where not p.is_return and p.state in ('returning', 'returned')
group by 1, 2, 3, 4, 5 order by 1, 2
"""


def _returns(connection: Connection, keys: list[str]) -> Grouped:
    found = _grouped(connection, _RETURNS, keys)
    refs = [row["return_ref"] for rows in found.values() for row in rows]
    lines = _grouped(connection, _RETURN_LINES, refs, by="return_ref")
    for rows in found.values():
        for row in rows:
            row["lines"] = lines.get(row["return_ref"], [])
    return found


_RETURNS = """
select r.*, p.state as parcel, p.carrier, x.amount as exchange_amount, x.remote_id as exchange_id,
    b.key is not null as is_booked, t.system as told_by,
    (select s.actor from core.saga_steps s where s.subject_ref = r.return_ref
        and s.saga = 'return' and s.to_state = 'approved' order by s.id desc limit 1) as agreed_by,
    exists (select from core.saga_steps s where s.subject_ref = r.return_ref and s.saga = 'return'
        and s.to_state in ('rejected', 'cancelled', 'expired')) as was_ended
from core.returns r
left join core.parcels p on p.parcel_ref =
    'parcel:' || regexp_replace(upper(r.tracking_number), '[^0-9A-Z]', '', 'g')
left join lateral (select amount, remote_id from receipt.exchanges x
    where x.key = r.return_ref and x.outcome = 'accepted' limit 1) x on true
left join lateral (select key from receipt.restocks b
    where b.key = r.return_ref and b.outcome = 'accepted' limit 1) b on true
left join lateral (select system from core.ref f
    where f.our_ref = r.return_ref and f.kind = 'return' and f.remote_kind = 'return'
    order by f.first_seen_at limit 1) t on true
where r.order_ref = any(:keys) order by r.order_ref, r.return_ref
"""
_RETURN_LINES = """
select * from core.return_lines where return_ref = any(:keys) order by return_ref, line_no
"""


def _refunds(connection: Connection, keys: list[str]) -> Grouped:
    found = _grouped(connection, _REFUNDS, keys)
    refs = [row["refund_ref"] for rows in found.values() for row in rows]
    lines = _grouped(connection, _REFUND_LINES, refs, by="refund_ref")
    verdicts = _grouped(connection, _VERDICTS, refs, by="refund_ref")
    for rows in found.values():
        for row in rows:
            row["lines"] = lines.get(row["refund_ref"], [])
            row["verdicts"] = verdicts.get(row["refund_ref"], [])
    return found


_REFUNDS = """
select r.*, coalesce(g.via = 'gone', false) as is_gone, w.key is not null as is_made,
    c.key is not null as is_credited, v.key is not null as is_reversed,
    (select s.actor from core.saga_steps s where s.subject_ref = r.refund_ref
        and s.saga = 'refund' order by s.id desc limit 1) as moved_by
from core.refunds r
join core.orders o using (order_ref)
left join lateral (select via from raw.woocommerce__refunds w
    where w.source = r.store and w.resource_id = o.order_id || ':' || r.shop_refund_id
    order by w.changed_at desc, w.version desc limit 1) g on r.shop_refund_id is not null
left join lateral (select key from receipt.refunds x
    where x.key = r.refund_ref and x.outcome = 'accepted' limit 1) w on true
left join lateral (select key from receipt.credit_memos x
    where x.key = r.refund_ref and x.outcome = 'accepted' limit 1) c on true
left join lateral (select key from receipt.credit_reversals x
    where x.key = r.refund_ref and x.outcome = 'accepted' limit 1) v on true
where r.order_ref = any(:keys) order by r.order_ref, r.refund_ref
"""
_REFUND_LINES = """
select * from core.refund_lines where refund_ref = any(:keys) order by refund_ref, line_no
"""
_VERDICTS = """
select refund_ref, state, provider, happened_at, reason from core.refund_verdicts
where refund_ref = any(:keys) order by refund_ref, happened_at
"""


# ---------------------------------------------------------------- rows as the rules see them


def _case(
    systems: Systems,
    policy: ReturnsPolicy,
    order: Row,
    lines: list[Row],
    parcels: list[Row],
    returns: list[Row],
    refunds: list[Row],
) -> Case:
    store = systems.settings.stores.get(order["store"])
    in_erp = standing(systems.settings, order)
    return Case(
        order_ref=order["order_ref"],
        store=order["store"],
        currency=order["currency"],
        digits=digits_of(order["currency"]),
        order_state=order["state"],
        paid=order["total_amount"],
        lines=tuple(map(_sold, lines)),
        rule=policy.rule(order["store"]),
        now=systems.now(),
        needs_provider=store is not None
        and order["payment_method"] in store.refunds_confirmed_by_provider,
        publishes=store is not None and "refunds" in store.publishes,
        in_erp=in_erp,
        shipped_at=order["shipped_at"],
        delivered_at=order["delivered_at"],
        parcels=tuple(map(_parcel, parcels)),
        returns={row["return_ref"]: _return(row, in_erp) for row in returns},
        refunds={row["refund_ref"]: refund_of(row) for row in refunds},
    )


def standing(settings: Settings, order: Row) -> str:
    """Whether an ERP holds the order, may still come to hold it, or never will."""
    if order["erp_outcome"] == "accepted":
        return "accepted"
    store = settings.stores.get(order["store"])
    if store is None or order["erp_outcome"] == "cancelled":
        return "never"
    return "awaited" if _is_sent(route_of(order["store"], store), order) else "never"


def _is_sent(route: Route, order: Row) -> bool:
    since = route.send_from
    is_new = since is None or order["placed_at"] >= since
    return is_new and order["state"] in route.send_states


def _sold(row: Row) -> Sold:
    return Sold(
        line_ref=row["line_ref"],
        kind=row["kind"],
        sku=row["sku"],
        quantity=row["quantity"],
        net_amount=row["net_amount"],
        taxes=_amounts(row["taxes"]),
        shipped_units=int(row["shipped_units"]),
    )


def _amounts(said: Mapping[str, Any] | None) -> dict[str, Decimal]:
    return {rate: Decimal(str(amount)) for rate, amount in (said or {}).items()}


def _parcel(row: Row) -> Parcel:
    units = {ref: int(count) for ref, count in row["units"].items()}
    state = ParcelState(row["state"])
    return Parcel(row["parcel_ref"], state, row["carrier"], row["tracking_number"], units)


def _return(row: Row, in_erp: str) -> Return:
    lines = tuple(
        ReturnLine(**{name: line[name] for name in ReturnLine.__dataclass_fields__})
        for line in row["lines"]
    )
    has_goods = any(line.line_ref and line.received_units for line in lines)
    return Return(
        ref=row["return_ref"],
        source=Source(row["source"]),
        lines=lines,
        requested_at=row["requested_at"],
        state=row["state"],
        state_at=row["state_at"],
        reason=row["reason"],
        is_exchange=row["is_exchange"],
        tracking_number=row["tracking_number"],
        sender_ref=row["sender_ref"],
        location=row["location"],
        received_at=row["received_at"],
        told_by=_told_by(row),
        carrier=row["carrier"] or "unknown",
        agreed_by=row["agreed_by"],
        was_ended=row["was_ended"],
        parcel=ParcelState(row["parcel"]) if row["parcel"] else None,
        exchange_amount=row["exchange_amount"],
        exchange_ref=f"{row['store']}:{row['exchange_id']}" if row["exchange_id"] else None,
        is_booked=row["is_booked"] or in_erp == "never" or not has_goods,
    )


def _told_by(row: Row) -> str:
    """Who told of the goods: the system that has them, the carrier, the shop, or nobody."""
    if row["told_by"]:
        return f"warehouse:{row['told_by']}"
    if row["source"] == Source.PARCEL:
        return f"carrier:{row['carrier'] or 'unknown'}"
    if row["source"] in (Source.SHOP_REFUND, Source.CANCELLATION):
        return f"shop:{row['store']}"
    return "pipeline"


def refund_of(row: Row) -> Refund:
    """One refund with what became of it outside."""
    memo = "reversed" if row["is_reversed"] else "held" if row["is_credited"] else ""
    return Refund(
        ref=row["refund_ref"],
        source=Source(row["source"]),
        method=row["method"],
        amount=row["amount"],
        parts=tuple(map(_share, row["lines"])),
        made_at=row["refunded_at"],
        is_ours=is_ours(row),
        is_history=row["is_history"],
        state=row["state"],
        state_at=row["state_at"],
        moved_by=row["moved_by"] or "pipeline",
        return_ref=row["return_ref"],
        reason=row["reason"] or "",
        shop_id=row["shop_refund_id"],
        is_gone=row["is_gone"],
        is_made=row["is_made"],
        verdict=last_word(
            Verdict(one["state"], one["provider"], one["happened_at"], one["reason"])
            for one in row["verdicts"]
        ),
        memo=memo,
    )


def is_ours(row: Row) -> bool:
    """Whether we made a refund: its key is made of its order's, the shop's of its own id."""
    return str(row["refund_ref"]).startswith(f"{row['order_ref']}:m")


def _share(line: Row) -> Share:
    return Share(
        line_ref=line["line_ref"],
        kind=line["kind"],
        sku=line["sku"],
        units=int(line["units"]),
        net_amount=line["net_amount"],
        taxes=_amounts(line["taxes"]),
    )
