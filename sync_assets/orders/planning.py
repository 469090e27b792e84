"""What each ERP must be told: the steps behind holds and plans.

Validation opens and closes holds; planning compares what we want with what we have seen and puts
the difference down. Nothing is sent here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.settings import Settings
from resources.store import exceptions, outbox
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import copy_rows, read_rows
from resources.wiring import Systems
from sync_assets.domain import planning
from sync_assets.domain.exception_kinds import VALIDATION_CODES, kind_of
from sync_assets.domain.orders import Problem, Row
from sync_assets.domain.planning import Action, Items, Route, Seen, ShopOrder
from sync_assets.domain.sales import SalesOrder
from sync_assets.routes import route_of
from sync_assets.trouble import exceptional

CHUNK = 500


@dataclass
class Planned:
    """What one planning step decided."""

    looked_at: int = 0
    held: int = 0
    actions: dict[str, int] = field(default_factory=dict)

    def count(self, action: str) -> None:
        """Count one decision."""
        self.actions[action] = self.actions.get(action, 0) + 1


def routes(settings: Settings) -> dict[str, Route]:
    """Routes by store."""
    return {name: route_of(name, store) for name, store in settings.stores.items()}


#: Orders whose next step is not decided: to be sent and not accepted yet, or changed since, or
#: planned or waiting although nothing is to be sent any more.
_OPEN_ORDERS = """
select o.* from core.orders o
left join receipt.sales_orders r on r.order_ref = o.order_ref
where o.order_ref > :after
  and (cast(:stores as text[]) is null or o.store = any(:stores))
  and (r.core_version < o.raw_version
    or r.order_ref is null and (
        coalesce(jsonb_exists(cast(:states as jsonb) -> o.store, o.state), true)
            and o.placed_at >= coalesce(
                (cast(:since as jsonb) ->> o.store)::timestamptz, '-infinity')
        or exists (select from ops.outbox x where x.thing_ref = o.order_ref
            and x.state in ('waiting', 'leased', 'unknown', 'parked'))
        or exists (select from ops.exception e where e.subject_ref = o.order_ref
            and e.state = 'open' and e.blocks)
        or exists (select from plan.sales_orders p where p.order_ref = o.order_ref
            and p.action = 'create')))
  and not (:only_new and exists (select from ops.exception e where e.subject_ref = o.order_ref
            and e.state = 'open' and e.blocks and e.version = o.raw_version))
  and not (:only_new and exists (select from plan.sales_orders p join ops.outbox x
            on x.system = p.system and x.thing_ref = p.order_ref
                and x.wanted_hash = p.wanted_hash
            where p.order_ref = o.order_ref and p.action = 'create'
                and p.core_version = o.raw_version and x.core_version = o.raw_version
                and x.operation = 'sales_order.create'
                and x.state in ('waiting', 'leased', 'unknown', 'parked')))
order by o.order_ref limit :limit
"""


def open_orders(
    connection: Connection,
    known: Mapping[str, Route],
    *,
    stores: Sequence[str] | None = None,
    after: str = "",
    only_new: bool = False,
) -> list[ShopOrder]:
    """The next chunk of orders that are not settled with their ERP, with all their parts.

    `only_new` leaves out those whose very version is held already, or waits to be sent as it was
    planned: nothing about them has changed, or a reading of master data judges them again. Without
    this every run would plan the whole backlog of an ERP that is away.
    """
    orders = read_rows(
        connection,
        _OPEN_ORDERS,
        after=after,
        only_new=only_new,
        stores=list(stores) if stores is not None else None,
        states=json.dumps({name: route.send_states for name, route in known.items()}),
        since=json.dumps(
            {n: r.send_from.isoformat() for n, r in known.items() if r.send_from is not None}
        ),
        limit=CHUNK,
    )
    return with_parts(connection, orders)


def with_parts(connection: Connection, orders: list[Row]) -> list[ShopOrder]:
    """Orders together with their lines, taxes and addresses."""
    keys = [order["order_ref"] for order in orders]
    lines = _grouped(connection, "order_lines", keys, "order_ref, position, line_ref")
    taxes = _grouped(connection, "order_taxes", keys, "line_ref, rate_id")
    addresses = _grouped(connection, "order_addresses", keys, "role")
    return [
        ShopOrder(
            order,
            lines.get(order["order_ref"], []),
            taxes.get(order["order_ref"], []),
            {row["role"]: row for row in addresses.get(order["order_ref"], [])},
        )
        for order in orders
    ]


def _grouped(
    connection: Connection, table: str, keys: list[str], order: str
) -> dict[str, list[Row]]:
    query = f"select * from core.{table} where order_ref = any(:keys) order by {order}"  # noqa: S608
    groups: dict[str, list[Row]] = {}
    for row in read_rows(connection, query, keys=keys):
        groups.setdefault(row["order_ref"], []).append(row)
    return groups


def items_for(connection: Connection, shops: Sequence[ShopOrder], route: Route) -> Items:
    """The items of one ERP that these orders could need."""
    codes = {
        code for shop in shops for line in shop.lines if (code := planning.item_code(line, route))
    }
    rows = read_rows(
        connection,
        "select sku, item_id, is_active from core.product_refs "
        "where system = :system and lower(sku) = any(:codes)",
        system=route.erp,
        codes=sorted({code.lower() for code in codes}),
    )
    return Items(rows)


def walk(
    systems: Systems, stores: Sequence[str] | None, *, only_new: bool = False
) -> Iterator[tuple[Connection, list[ShopOrder]]]:
    """Yield all open orders in chunks, each in its own transaction.

    An order is read in several statements: no mapping may commit between two of them, and no
    other plan be made from an older reading meanwhile.
    """
    known, after = routes(systems.settings), ""
    while True:
        with (
            connected(systems.engine) as connection,
            one_at_a_time(connection, "map woocommerce__orders"),
        ):
            shops = open_orders(connection, known, stores=stores, after=after, only_new=only_new)
            if not shops:
                return
            after = shops[-1].ref
            yield connection, shops


def hold(systems: Systems, run_id: str | None, *, only_new: bool = False) -> Planned:
    """Validate every open order; open holds for what is wrong, close those whose cause is gone."""
    total = Planned()
    for connection, shops in walk(systems, None, only_new=only_new):
        _hold_chunk(systems, connection, shops, run_id, total)
    return total


def _hold_chunk(
    systems: Systems,
    connection: Connection,
    shops: list[ShopOrder],
    run_id: str | None,
    total: Planned,
) -> None:
    known, found = routes(systems.settings), []
    for store, group in _by_store(shops).items():
        route = known.get(store)
        items = items_for(connection, group, route) if route else Items([])
        for shop in group:
            problems = planning.problems(shop, route, items) if _is_sent(shop, route) else []
            total.looked_at += 1
            total.held += any(kind_of(p.code).blocks for p in problems)
            found += [_exceptional(systems, shop, problem) for problem in problems]
    exceptions.reconcile(
        connection,
        found,
        subjects=[shop.ref for shop in shops],
        codes=VALIDATION_CODES,
        now=systems.now(),
        run_id=run_id,
    )


def _is_sent(shop: ShopOrder, route: Route | None) -> bool:
    """Whether the order is meant for the ERP at all; the others need no validation."""
    return route is None or shop.order["state"] in route.send_states


def _by_store(shops: Sequence[ShopOrder]) -> dict[str, list[ShopOrder]]:
    groups: dict[str, list[ShopOrder]] = {}
    for shop in shops:
        groups.setdefault(shop.order["store"], []).append(shop)
    return groups


def _exceptional(systems: Systems, shop: ShopOrder, problem: Problem) -> exceptions.Exceptional:
    order = shop.order
    return exceptional(
        problem,
        shop.ref,
        systems.settings.service_levels,
        version=order["raw_version"],
        sender_ref=order["order_number"],
        amount=order["total_amount"],
        currency=order["currency"],
    )


def plan(systems: Systems, kind: str, run_id: str | None, *, only_new: bool = False) -> Planned:
    """Put down, for every open order of this kind of ERP, what must happen there."""
    total = Planned()
    for erp in systems.settings.erps_of(kind):
        stores = list(systems.settings.stores_of(erp))
        for connection, shops in walk(systems, stores, only_new=only_new):
            # Orders may have changed since they were judged: what is planned is judged here.
            _hold_chunk(systems, connection, shops, run_id, Planned())
            _plan_chunk(systems, connection, kind, erp, shops, run_id, total)
    return total


def _plan_chunk(
    systems: Systems,
    connection: Connection,
    kind: str,
    erp: str,
    shops: list[ShopOrder],
    run_id: str | None,
    total: Planned,
) -> None:
    known, now = routes(systems.settings), systems.now()
    held = _held(connection, [shop.ref for shop in shops])
    seen = _seen(connection, kind, erp, shops)
    rows, conflicts = [], []
    for store, group in _by_store(shops).items():
        items = items_for(connection, group, known[store])
        for shop in group:
            total.looked_at += 1
            if shop.ref in held:
                total.held += 1
                continue
            row = decision(shop, known[store], items, seen.get(shop.ref, Seen()))
            total.count(row["action"])
            rows.append({**row, "system": erp, "planned_at": now, "run_id": run_id})
            if row["action"] == Action.CONFLICT:
                conflicts.append(_conflict(systems, shop, row))
    _unplan(connection, kind, erp, sorted(held), now)
    _write_plans(connection, kind, rows)
    settle_unchanged(connection, kind, erp)
    exceptions.reconcile(
        connection,
        conflicts,
        subjects=[shop.ref for shop in shops],
        codes=["order.changed_after_acceptance"],
        now=now,
        run_id=run_id,
    )


def decision(shop: ShopOrder, route: Route, items: Items, seen: Seen) -> dict[str, Any]:
    """One row of the plan."""
    order = shop.order
    document = None
    if order["state"] in route.send_states or seen.outcome == "accepted":
        document = _document(shop, route, items)
    wanted = planning.wanted_hash(document) if document else None
    action, reason = planning.next_action(order, route, seen, wanted)
    return {
        "order_ref": shop.ref,
        "action": action.value,
        "reason": reason,
        "wanted": document.model_dump_json() if document and action != Action.NONE else None,
        "wanted_hash": wanted or "",
        "core_version": order["raw_version"],
        "amount": order["total_amount"],
        "currency": order["currency"],
    }


def _document(shop: ShopOrder, route: Route, items: Items) -> SalesOrder | None:
    """The document; none where an accepted order was edited into something the ERP cannot hold."""
    if any(
        kind_of(p.code).blocks and not kind_of(p.code).can_release
        for p in planning.problems(shop, route, items)
    ):
        return None
    return planning.sales_order(shop, route, items)


def _held(connection: Connection, keys: list[str]) -> set[str]:
    rows = read_rows(
        connection,
        "select distinct order_ref from core.order_holds where order_ref = any(:k)",
        k=keys,
    )
    return {row["order_ref"] for row in rows}


def _seen(
    connection: Connection, kind: str, erp: str, shops: list[ShopOrder]
) -> Mapping[str, Seen]:
    """What the ERP holds, by receipt; of an ended order also what it may hold of a begun write."""
    keys = [shop.ref for shop in shops]
    ended = [shop.ref for shop in shops if shop.order["state"] in planning.ENDED]
    begun = dict.fromkeys(outbox.begun(connection, erp, ended), Seen("accepted"))
    goods = {row["order_ref"]: row for row in read_rows(connection, _GOODS, erp=erp, keys=ended)}
    rows = read_rows(
        connection,
        f"select order_ref, outcome, wanted_hash from receipt.{kind}__sales_orders "  # noqa: S608
        "where system = :erp and order_ref = any(:k)",
        erp=erp,
        k=keys,
    )
    seen = begun | {row["order_ref"]: Seen(row["outcome"], row["wanted_hash"]) for row in rows}
    return {ref: replace(one, **_goods(goods, ref)) for ref, one in seen.items()}


def _goods(goods: Mapping[str, Mapping[str, Any]], ref: str) -> dict[str, bool]:
    """What is known of an order's goods."""
    row = goods.get(ref, {})
    return {"has_left": bool(row.get("has_left")), "may_leave": bool(row.get("may_leave"))}


#: What of ended orders has left, or may still leave a warehouse that is not the ERP's own.
_GOODS = """
select k.key as order_ref,
    exists (select from core.order_line_progress p
        where p.order_ref = k.key and p.shipped_units > 0) as has_left,
    exists (select from core.fulfilment_orders f where f.order_ref = k.key and f.system <> :erp
        and f.state in ('released', 'acknowledged', 'part_shipped', 'cancel_requested'))
        as may_leave
from unnest(cast(:keys as text[])) as k (key)
"""


def _unplan(connection: Connection, kind: str, erp: str, keys: list[str], now: datetime) -> None:
    """Take back what was planned for orders that are held now."""
    connection.execute(
        text(
            f"delete from plan.{kind}__sales_orders "  # noqa: S608
            "where system = :erp and order_ref = any(:keys)"
        ),
        {"erp": erp, "keys": keys},
    )
    outbox.withdraw(connection, erp, keys, now)


_PLAN_COLUMNS = (
    "system",
    "order_ref",
    "action",
    "reason",
    "wanted",
    "wanted_hash",
    "core_version",
    "amount",
    "currency",
    "planned_at",
    "run_id",
)


def _write_plans(connection: Connection, kind: str, rows: list[dict[str, Any]]) -> None:
    table = f"plan.{kind}__sales_orders"
    connection.exec_driver_sql(
        f"create temp table if not exists stage_plan (like {table}) on commit drop"
    )
    connection.exec_driver_sql("truncate stage_plan")
    copy_rows(
        connection,
        "stage_plan",
        _PLAN_COLUMNS,
        ([row[column] for column in _PLAN_COLUMNS] for row in rows),
    )
    names = ", ".join(_PLAN_COLUMNS)
    changed = ", ".join(f"{c} = excluded.{c}" for c in _PLAN_COLUMNS[2:])
    connection.exec_driver_sql(
        f"insert into {table} ({names}) select {names} from stage_plan "  # noqa: S608
        f"on conflict (system, order_ref) do update set {changed}"
    )


def settle_unchanged(connection: Connection, kind: str, erp: str) -> None:
    """A newer version that wants nothing else of the ERP is settled with it."""
    connection.exec_driver_sql(
        f"update receipt.{kind}__sales_orders r set core_version = p.core_version "  # noqa: S608
        f"from plan.{kind}__sales_orders p where p.system = r.system "
        "and p.order_ref = r.order_ref and p.action = 'none' and r.system = %s "
        "and r.core_version < p.core_version",
        (erp,),
    )


def _conflict(systems: Systems, shop: ShopOrder, row: dict[str, Any]) -> exceptions.Exceptional:
    problem = Problem(
        "order.changed_after_acceptance",
        "order",
        f"{row['reason']}; `sync-assets trace {shop.ref}` shows what changed",
    )
    return _exceptional(systems, shop, problem)
