"""Promised more than there is: the step behind `core/stock_shortfalls`.

Per SKU and location, what the source has allocated and what we have reserved since, against what is
there and sound. A SKU that is sold beyond its stock on purpose is short only when its limit is used
up. Each shortfall names the newest orders it touches; it ends when there is enough again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.orders import Problem, Row
from sync_assets.trouble import exceptional

SHORTFALL = "stock.shortfall"
#: Orders named in one shortfall.
MOST_ORDERS = 20


@dataclass
class Short:
    """What one look for shortfalls found."""

    open: int = 0
    opened: int = 0
    ended: int = 0
    units: int = 0


def find(systems: Systems, run_id: str | None) -> Short:
    """Make the open shortfalls those there are now."""
    now = systems.now()
    with connected(systems.engine) as connection, one_at_a_time(connection, "shortfalls"):
        found = read_rows(connection, _SHORT, most=MOST_ORDERS)
        keys = {(row["sku"], row["location"]) for row in found}
        before = read_rows(
            connection, "select sku, location from core.stock_shortfalls where ended_at is null"
        )
        open_before = {(row["sku"], row["location"]) for row in before}
        _end(connection, sorted(open_before - keys), now)
        if found:
            connection.execute(text(_KEEP), [{**row, "now": now, "run": run_id} for row in found])
        _tell(connection, systems, found, open_before, run_id)
    return Short(
        len(keys),
        len(keys - open_before),
        len(open_before - keys),
        sum(int(row["short_units"]) for row in found),
    )


#: Allocated orders are named too: the unit may be missing for any of those promised last.
_SHORT = """
with reserved as (
    select sku, location, sum(open_units) as units from core.reservation_versions
    where replaced_at is null and state = 'open' group by 1, 2
), held as (
    select coalesce(l.sku, r.sku) as sku, coalesce(l.location, r.location) as location,
           coalesce(l.allocated_units, 0) + coalesce(r.units, 0) as promised_units,
           coalesce(l.on_hand_units - l.quarantined_units, 0) as available_units
    from (select * from core.stock_level_versions where replaced_at is null) l
    full join reserved r on r.sku = l.sku and r.location = l.location
)
select h.sku, h.location, h.promised_units::bigint, h.available_units::bigint,
    (h.promised_units - h.available_units)::bigint as short_units,
    coalesce(o.refs, '{}') as order_refs
from held h
left join lateral (
    select array_agg(n.order_ref order by n.reserved_at desc, n.order_ref desc) as refs from (
        select v.order_ref, v.reserved_at from core.reservation_versions v
        join core.orders c on c.order_ref = v.order_ref
            and (v.state = 'open' or c.state in ('pending_payment', 'on_hold', 'paid'))
        where v.sku = h.sku and v.location = h.location and v.replaced_at is null
          and v.state in ('open', 'covered')
        order by v.reserved_at desc, v.order_ref desc limit :most) n
) o on true
where h.promised_units > 0 and h.promised_units > h.available_units
  -- A SKU that is in no ERP's items holds its order already (order.sku_unknown).
  and (exists (select from core.product_refs p where p.sku = h.sku)
       or not exists (select from core.product_refs))
  and not exists (
    select from core.availability_versions a
    where a.sku = h.sku and a.replaced_at is null and a.backorder_units > 0)
order by 1, 2
"""

_KEEP = """
insert into core.stock_shortfalls as s (sku, location, promised_units, available_units, short_units,
    order_refs, found_at, run_id)
values (:sku, :location, :promised_units, :available_units, :short_units, :order_refs, :now, :run)
on conflict (sku, location) where ended_at is null do update
set promised_units = excluded.promised_units, available_units = excluded.available_units,
    short_units = excluded.short_units, order_refs = excluded.order_refs
"""


def _end(connection: Connection, ended: Sequence[tuple[str, str]], now: Any) -> None:
    connection.execute(
        text(
            "update core.stock_shortfalls s set ended_at = :now "
            "from unnest(cast(:skus as text[]), cast(:places as text[])) as e (sku, location) "
            "where s.sku = e.sku and s.location = e.location and s.ended_at is null"
        ),
        {"now": now, "skus": [sku for sku, _ in ended], "places": [place for _, place in ended]},
    )


def _tell(
    connection: Connection,
    systems: Systems,
    found: Sequence[Row],
    open_before: set[tuple[str, str]],
    run_id: str | None,
) -> None:
    """An exception a shortfall, with the money of the orders it touches."""
    worth = _worth(connection, found)
    raised = [
        exceptional(
            Problem(SHORTFALL, "", _said(row)),
            _subject(row["sku"], row["location"]),
            systems.settings.service_levels,
            sender_ref=row["sku"],
            amount=worth.get((row["sku"], row["location"]), (None, None))[0],
            currency=worth.get((row["sku"], row["location"]), (None, None))[1],
        )
        for row in found
    ]
    subjects = {one.subject_ref for one in raised}
    subjects |= {_subject(sku, location) for sku, location in open_before}
    exceptions.reconcile(
        connection,
        raised,
        subjects=sorted(subjects),
        codes=[SHORTFALL],
        now=systems.now(),
        run_id=run_id,
    )


def _subject(sku: str, location: str) -> str:
    return f"stock:{location}:{sku}"


def _said(row: Row) -> str:
    orders = ", ".join(row["order_refs"])
    touched = f"; the newest orders it touches: {orders}" if orders else "; no order of ours"
    return (
        f"{row['promised_units']} promised and {row['available_units']} there, "
        f"{row['short_units']} short{touched}"
    )


def _worth(
    connection: Connection, found: Sequence[Row]
) -> dict[tuple[str, str], tuple[Decimal | None, str | None]]:
    """What the short SKU's lines in those orders come to; sums of two currencies are none."""
    lines = read_rows(
        connection,
        "select f.sku, f.location, l.currency, sum(l.net_amount) as amount "
        "from unnest(cast(:skus as text[]), cast(:places as text[]), cast(:refs as text[])) "
        "as f (sku, location, order_ref) "
        "join core.order_lines l on l.order_ref = f.order_ref and lower(l.sku) = lower(f.sku) "
        "group by 1, 2, 3",
        skus=[row["sku"] for row in found for _ in row["order_refs"]],
        places=[row["location"] for row in found for _ in row["order_refs"]],
        refs=[ref for row in found for ref in row["order_refs"]],
    )
    sums: dict[tuple[str, str], list[Row]] = {}
    for line in lines:
        sums.setdefault((line["sku"], line["location"]), []).append(line)
    return {
        key: (each[0]["amount"], each[0]["currency"])
        for key, each in sums.items()
        if len(each) == 1
    }
