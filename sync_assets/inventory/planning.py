"""What each store's listings must show of our stock: the difference, put down before it is sent.

One set-based comparison of what a channel may sell with what its listings show; what agrees has no
row. The rules are in `domain/publishing.py`, sending is in `sending.py`. Nothing is sent here.

Until every order up to a listing's last change is counted, the shop may have sold what our number
still has: as far as its own fall is not explained by orders we know, the number is lowered, and an
increase that is not larger waits, with a reason, and is looked at again in every run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions, stale
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.orders import Problem
from sync_assets.domain.policy import Policy
from sync_assets.domain.publishing import untold
from sync_assets.inventory.guarding import hold_mass_drop
from sync_assets.policies import in_force
from sync_assets.trouble import exceptional

QUEUE = "stock_plan"
BY_PARENT = "stock.managed_by_parent"
#: The shop stamps whole seconds, cut off.
SECOND = timedelta(seconds=1)


@dataclass
class Planned:
    """What planning one store decided."""

    #: Rows by action: set, held, conflict.
    actions: dict[str, int] = field(default_factory=dict)
    #: Why rows are held or in conflict.
    reasons: dict[str, int] = field(default_factory=dict)
    #: Live listings with a SKU of which we keep no stock; known after a full run only.
    without_number: int | None = None

    def add(self, other: "Planned") -> None:
        """Count another store in."""
        for mine, theirs in ((self.actions, other.actions), (self.reasons, other.reasons)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        if other.without_number is not None:
            self.without_number = (self.without_number or 0) + other.without_number


def plan_stores(
    systems: Systems, stores: Sequence[str], run_id: str | None, *, only_stale: bool
) -> dict[str, Planned]:
    """Plan every store; what was marked to be planned again is done with then, for all of them."""
    done = {}
    with connected(systems.engine) as connection, one_at_a_time(connection, "plan stock"):
        taken = stale.take(connection, QUEUE)
        keys = None if not only_stale or stale.ALL in taken else taken
        policy = in_force(systems, connection).policy
        for store in stores:
            done[store] = _plan(connection, systems, store, policy, run_id, keys)
    return done


def plan_stock(
    systems: Systems, store: str, run_id: str | None, *, only_stale: bool = False
) -> Planned:
    """Plan one store; what is marked stays marked, because other stores have not seen it."""
    with connected(systems.engine) as connection, one_at_a_time(connection, "plan stock"):
        keys = list(stale.waiting(connection, QUEUE)) if only_stale else None
        keys = None if keys is not None and stale.ALL in keys else keys
        policy = in_force(systems, connection).policy
        return _plan(connection, systems, store, policy, run_id, keys)


def _plan(
    connection: Connection,
    systems: Systems,
    store: str,
    policy: Policy,
    run_id: str | None,
    keys: Sequence[str] | None,
) -> Planned:
    now, scope = systems.now(), None
    if keys is not None:
        scope = _scope(connection, store, keys)
        if not scope:
            return Planned()
    without = _compare(connection, systems, store, policy, scope, keys or ())
    hold_mass_drop(connection, systems, store, policy.guards, run_id)
    _put_down(connection, store, scope, now, run_id)
    _tell_conflicts(connection, systems, store, scope, run_id)
    found = _counts(connection)
    if scope is None:
        found.without_number = without
    connection.exec_driver_sql("drop table stage_plan")
    return found


def _scope(connection: Connection, store: str, keys: Iterable[str]) -> list[str]:
    """SKUs to look at in lower case: those marked, and those held for a reason that may be gone."""
    held = read_rows(
        connection,
        "select sku from plan.woocommerce__stock where system = :store and action = 'held'",
        store=store,
    )
    return sorted({key.lower() for key in keys} | {str(row["sku"]).lower() for row in held})


def _compare(
    connection: Connection,
    systems: Systems,
    store: str,
    policy: Policy,
    scope: Sequence[str] | None,
    keys: Sequence[str],
) -> int:
    """Put every listing that differs into the stage, with what is to be done about it.

    Answers how many of those looked at have a SKU of which we keep no stock.
    """
    erp = systems.settings.stores[store].erp
    values: dict[str, Any] = {"store": store, "folded": scope, "erp": erp, "second": SECOND}
    values["keys"] = list(keys)
    beyond = read_rows(
        connection,
        "select sku from core.availability where channel = :store and backorder_units > 0",
        store=store,
    )
    values["untold"] = untold(policy, store, [row["sku"] for row in beyond])
    narrow = {
        "listings": "" if scope is None else "and lower(l.sku) = any(:folded)",
        "numbers": "" if scope is None else f"and a.sku in ({_SPELT})",
    }
    # All of a store are sorted once, in memory; few are looked up, and most are in the cache.
    setting, value = ("work_mem", "32MB") if scope is None else ("random_page_cost", "1.1")
    connection.exec_driver_sql(f"set local {setting} = '{value}'")
    connection.execute(text(_COMPARE.format(**narrow, fallen=_FALLEN)), values)
    connection.exec_driver_sql(f"set local {setting} to default")
    without = connection.exec_driver_sql("delete from stage_plan where action = 'unknown'").rowcount
    if scope is None:
        connection.exec_driver_sql("analyze stage_plan")
    return without


#: An ERP's spelling of the SKUs a shop folds into one.
_SPELT = """
select unnest(cast(:keys as text[]))
union select sku from core.products where system = :erp and lower(sku) = any(:folded)
union select sku from core.listings where store = :store and lower(sku) = any(:folded)
"""

#: What shops show against what they may sell. Numbers at or below zero are one number; SKUs are
#: compared as the shop does, whatever their letter case, the very spelling before another. What has
#: no number stands in the stage as `unknown` until it is counted.
_COMPARE = """
create temp table stage_plan on commit drop as
with shown as (
    select l.product_id, l.parent_id, l.sku, lower(l.sku) as folded, l.kind, l.stock_management,
           l.stock_units, l.backorders, l.lead_days, l.changed_at,
           case when l.stock_management = 'no' then l.stock_status <> 'outofstock'
                else l.stock_units > 0 or l.backorders <> 'no' end as is_selling,
           count(*) over (partition by lower(l.sku)) > 1 as is_twin
    from core.listings l
    where l.store = :store and l.sku is not null and l.status <> 'trash'
      and l.kind in ('simple', 'variable', 'variation') {listings}
), numbers as (
    select a.sku, lower(a.sku) as folded, a.sellable_units as units, a.lead_days,
           case when a.backorder_units = 0 then 'no'
                when a.sku = any(:untold) then 'yes' else 'notify' end as backorders
    from core.availability_versions a
    where a.channel = :store and a.replaced_at is null {numbers}
), orders as materialized (
    select max(w.complete_until) as read_until,
           (select min(r.changed_at) from raw.woocommerce__orders r
            where r.source = :store and r.mapped_at is null) as unmapped_since,
           exists (select from ops.stale
                   where queue in ('reservation', 'availability') and key = '*') as is_all_open
    from ops.watermark w where w.source = :store and w.stream = 'orders'
), uncounted as materialized (
    select lower(o.sku) as folded from ops.stale s join core.order_lines o on o.order_ref = s.key
    where s.queue = 'reservation' and o.sku is not null
    union
    select lower(coalesce(c.sku, s.key)) from ops.stale s
    left join core.product_components c on c.component_sku = s.key
    where s.queue = 'availability'
    union
    select lower(s.key) from ops.stale s where s.queue = 'availability'
), paired as (
    select distinct on (s.product_id) s.*, n.units as wanted_units,
           n.backorders as wanted_backorders, n.lead_days as wanted_lead_days
    from shown s left join numbers n using (folded)
    order by s.product_id, n.sku = s.sku desc, n.sku
), judged as (
    select p.*, p.wanted_units is null as is_unknown,
        p.stock_management <> 'yes' or p.stock_units is null
        or not (p.stock_units = p.wanted_units or (p.stock_units <= 0 and p.wanted_units <= 0))
        or p.backorders <> p.wanted_backorders
        or p.lead_days is distinct from p.wanted_lead_days as is_different
    from paired p
)
select j.product_id, j.parent_id, j.sku, j.folded,
    case when j.is_unknown then 'unknown'
         when j.is_twin or j.stock_management = 'parent' then 'conflict'
         when w.must_wait then 'held' else 'set' end as action,
    case when j.is_twin then 'sku_doubled'
         when j.stock_management = 'parent' then 'managed_by_parent'
         when w.must_wait then 'orders_unread'
         when j.stock_management = 'no' then 'starts_managing' end as reason,
    t.units as wanted_units,
    case when j.stock_management = 'yes' then j.stock_units end as seen_units,
    j.wanted_backorders, j.wanted_lead_days,
    md5(concat_ws('/', t.units, j.wanted_backorders,
                  coalesce(j.wanted_lead_days::text, '-'))) as wanted_hash,
    k.is_counted,
    j.is_selling and t.units <= 0 and j.wanted_backorders = 'no' as is_drop
from judged j cross join orders o
cross join lateral (
    select coalesce(o.read_until >= j.changed_at + cast(:second as interval), false)
       and not coalesce(o.unmapped_since <= j.changed_at, false) as is_covered
) c
left join lateral (
    select r.outcome = 'set' and r.is_counted and r.written_units = r.read_back_units
       and r.read_back_units = j.stock_units and r.shop_changed_at = j.changed_at as is_ours
    from receipt.woocommerce__stock r
    where not j.is_unknown and not c.is_covered
      and r.system = :store and r.product_id = j.product_id
    order by r.id desc limit 1
) mine on true
cross join lateral (
    select (c.is_covered or coalesce(mine.is_ours, false)) and not o.is_all_open
       and j.folded not in (select folded from uncounted) as is_counted
) k
left join lateral ({fallen}) f on not k.is_counted and j.stock_management = 'yes'
    and not j.is_unknown
cross join lateral (
    select greatest(0, f.fallen_units - f.known_units) as units
) unseen
cross join lateral (
    select j.stock_management = 'yes' and j.wanted_units > j.stock_units and j.wanted_units > 0
       and not k.is_counted
       and (f.fallen_units is null or j.wanted_units - unseen.units <= j.stock_units
            or o.is_all_open or j.folded in (select folded from uncounted)) as must_wait
) w
cross join lateral (
    select case when w.must_wait or unseen.units is null then j.wanted_units
                else greatest(0, j.wanted_units - unseen.units) end as units
) t
where j.is_unknown and j.kind in ('simple', 'variation')
  or not j.is_unknown and (j.is_different or j.is_twin)
  and not (j.kind = 'variable' and j.stock_management = 'no')
  and not (j.stock_management = 'parent' and exists (
    select from core.listings p join core.availability_versions a
        on a.channel = p.store and a.sku = p.sku and a.replaced_at is null
    where p.store = :store and p.product_id = j.parent_id))
"""


#: How far the shop's number fell by itself since the last write that knew of every order, and what
#: of it the orders placed since explain (`domain/unseen.py`). No such write: nothing is known.
_FALLEN = """
    select sum(x.written_before - x.before_units) as fallen_units,
        coalesce((select sum(l.quantity) from core.order_lines l join core.orders s
                      on s.order_ref = l.order_ref
                  where lower(l.sku) = j.folded and s.store = :store
                    and s.placed_at > min(x.since)), 0) as known_units
    from (
        select r.before_units, lag(r.written_units) over (order by r.id) as written_before,
               r.answered_at as since
        from (
            select r.id, r.before_units, coalesce(r.written_units, r.wanted_units) as written_units,
                   r.answered_at
            from receipt.woocommerce__stock r
            where r.system = :store and r.product_id = j.product_id and r.outcome <> 'refused'
              and r.id >= (select max(a.id) from receipt.woocommerce__stock a
                           where a.system = :store and a.product_id = j.product_id
                             and a.is_counted and a.outcome in ('set', 'already'))
            union all
            select 9223372036854775807, j.stock_units, null, null
        ) r
    ) x having min(x.since) is not null
"""


def _put_down(
    connection: Connection,
    store: str,
    scope: Sequence[str] | None,
    now: datetime,
    run_id: str | None,
) -> None:
    """Make the stage all that the plan holds of what was looked at."""
    within = "" if scope is None else "and lower(p.sku) = any(:folded)"
    values = {"store": store, "folded": scope, "now": now, "run_id": run_id}
    connection.execute(text(_FORGET.format(within=within)), values)
    connection.execute(text(_KEEP), values)


_FORGET = """
delete from plan.woocommerce__stock p where p.system = :store {within}
  and not exists (select from stage_plan s where s.product_id = p.product_id)
"""
#: `planned_at` is when the difference was first seen: it tells how late a number is.
_KEEP = """
insert into plan.woocommerce__stock as p (system, product_id, parent_id, sku, action, reason,
    wanted_units, seen_units, wanted_backorders, wanted_lead_days, wanted_hash, is_counted,
    planned_at, run_id)
select :store, product_id, parent_id, sku, action, reason, wanted_units, seen_units,
    wanted_backorders, wanted_lead_days, wanted_hash, is_counted, :now, :run_id
from stage_plan
on conflict (system, product_id) do update
set parent_id = excluded.parent_id, sku = excluded.sku, action = excluded.action,
    reason = excluded.reason, wanted_units = excluded.wanted_units,
    seen_units = excluded.seen_units, wanted_backorders = excluded.wanted_backorders,
    wanted_lead_days = excluded.wanted_lead_days, wanted_hash = excluded.wanted_hash,
    is_counted = excluded.is_counted, run_id = excluded.run_id
where (p.sku, p.action, p.reason, p.wanted_hash, p.seen_units, p.parent_id, p.is_counted)
    is distinct from (excluded.sku, excluded.action, excluded.reason, excluded.wanted_hash,
        excluded.seen_units, excluded.parent_id, excluded.is_counted)
"""


def _tell_conflicts(
    connection: Connection,
    systems: Systems,
    store: str,
    scope: Sequence[str] | None,
    run_id: str | None,
) -> None:
    """Variations whose parent keeps their stock without a number of its own wait for a person.

    Twins of a SKU are told where listings are mapped.
    """
    rows = read_rows(
        connection,
        "select product_id, parent_id, sku from stage_plan where reason = 'managed_by_parent'",
    )
    found = [
        exceptional(
            Problem(BY_PARENT, "", _managed(row)),
            f"{store}:listing:{row['product_id']}",
            systems.settings.service_levels,
            sender_ref=str(row["product_id"]),
        )
        for row in rows
    ]
    open_ones = read_rows(connection, _OPEN_CONFLICTS, prefix=f"{store}:listing:", code=BY_PARENT)
    subjects = {str(row["subject_ref"]) for row in open_ones}
    if subjects and scope is not None:
        subjects &= _listings_of(connection, store, scope)
    exceptions.reconcile(
        connection,
        found,
        subjects=sorted(subjects | {one.subject_ref for one in found}),
        codes=[BY_PARENT],
        now=systems.now(),
        run_id=run_id,
    )


_OPEN_CONFLICTS = """
select subject_ref from ops.exception
where state = 'open' and code = :code and starts_with(subject_ref, :prefix)
"""


def _managed(row: Mapping[str, Any]) -> str:
    return (
        f"product {row['parent_id']} keeps the stock of its variations, and has no number of its "
        f"own; {row['sku']} cannot show its own"
    )


def _listings_of(connection: Connection, store: str, scope: Sequence[str]) -> set[str]:
    rows = read_rows(
        connection,
        "select product_id from core.listings where store = :store and lower(sku) = any(:folded)",
        store=store,
        folded=list(scope),
    )
    return {f"{store}:listing:{row['product_id']}" for row in rows}


def _counts(connection: Connection) -> Planned:
    rows = read_rows(
        connection, "select action, reason, count(*) as n from stage_plan group by 1, 2"
    )
    found = Planned()
    for row in rows:
        found.actions[row["action"]] = found.actions.get(row["action"], 0) + int(row["n"])
        if row["reason"]:
            found.reasons[row["reason"]] = int(row["n"])
    return found
