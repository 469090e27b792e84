"""How fast each SKU sells in each channel: units per day over the policy's days, from the orders.

Counted set-based, and only where the policy uses it. Numbers that rest on a changed demand are
marked to be worked out again.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from resources.wiring import Systems
from sync_assets import policies
from sync_assets.domain import demand


@dataclass(frozen=True)
class Measured:
    """What one measurement found."""

    is_used: bool = False
    #: Channel and SKU pairs that sold.
    rows: int = 0
    #: SKUs whose demand is another than before.
    changed: int = 0


def measure_demand(systems: Systems, connection: Connection) -> Measured:
    """Count what sold, make it all that `core.demand` holds, and mark the SKUs that differ."""
    policy, now = policies.in_force(systems, connection).policy, systems.now()
    if not demand.is_used(policy):
        return Measured()
    connection.execute(
        text(_SOLD),
        {
            "since": demand.since(policy, now),
            "now": now,
            "days": policy.demand_days,
            "channels": sorted(policy.channels),
        },
    )
    changed = connection.execute(text(_MARK), {"now": now}).rowcount
    connection.execute(text(_FORGET))
    connection.execute(text(_KEEP), {"now": now})
    rows = connection.execute(text("select count(*) from sold")).scalar_one()
    connection.exec_driver_sql("drop table sold")
    return Measured(True, int(rows), changed)


#: What a kit takes off the shelf is demand for its components too.
_SOLD = """
create temp table sold on commit drop as
with recursive lines as (
    select o.store as channel, l.sku, sum(l.quantity) as units
    from core.orders o join core.order_lines l on l.order_ref = o.order_ref
    where o.store = any(:channels) and o.state in ('paid', 'completed') and l.kind = 'product'
      and l.sku is not null and l.quantity > 0 and o.placed_at >= :since and o.placed_at < :now
    group by 1, 2
), kits as (
    select distinct sku, component_sku, component_units from core.product_components
    where sku is not null and component_sku is not null
), picked (channel, sku, units, depth) as (
    select channel, sku, units, 0 from lines
    union all
    select p.channel, k.component_sku, p.units * k.component_units, p.depth + 1
    from picked p join kits k on k.sku = p.sku where p.depth < 8
)
select channel, sku, round(sum(units) / :days, 6)::numeric(20, 6) as units_per_day
from picked group by 1, 2
"""

_MARK = """
insert into ops.stale as old (queue, key, since)
select distinct 'availability', coalesce(s.sku, d.sku), cast(:now as timestamptz)
from sold s full join core.demand d on d.channel = s.channel and d.sku = s.sku
where s.units_per_day is distinct from d.units_per_day order by 2
on conflict (queue, key) do update set since = old.since
"""

_FORGET = """
delete from core.demand d
where not exists (select from sold s where s.channel = d.channel and s.sku = d.sku)
"""

_KEEP = """
insert into core.demand as d (channel, sku, units_per_day, measured_at)
select channel, sku, units_per_day, :now from sold
on conflict (channel, sku) do update
set units_per_day = excluded.units_per_day, measured_at = excluded.measured_at
"""
