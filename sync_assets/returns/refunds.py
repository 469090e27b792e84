"""Refunds of the shops: read where an order tells of one we do not have, mapped, and noticed
when a shop does not show one any more.

No list, stamp or webhook of a shop tells of its refunds: orders do, with an id and an amount.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from resources.pages import Broken, Raw
from resources.store import exceptions, raw, sagas, stale
from resources.store.engine import connected
from resources.store.frames import Unstorable, all_or_nothing, read_rows
from resources.wiring import Systems
from sync_assets.domain.orders import Problem, Rejected, Row, order_ref
from sync_assets.domain.returns import RefundState
from sync_assets.domain.sagas import Saga, path
from sync_assets.mappers import woocommerce_refunds
from sync_assets.mapping import chunks, parsed
from sync_assets.reading import Tally, keep
from sync_assets.returns.settling import QUEUE
from sync_assets.trouble import exceptional

TABLE = "woocommerce__refunds"
GONE = "gone"
#: Since when refunds are ours, in a deployment that had orders before (migration 0004).
START = ("after_sale", "start")
#: Orders asked about at once, a call each.
BATCH = 50


# ---------------------------------------------------------------- reading


def read(systems: Systems, store: str, run_id: str | None) -> Tally:
    """Ask a store for the refunds of the orders that tell of other ones than we have."""
    total, after = Tally(), ""
    while True:
        with connected(systems.engine) as connection:
            rows = read_rows(connection, _UNREAD, store=store, after=after, limit=BATCH)
        if not rows:
            return total
        after = rows[-1]["order_id"]
        with systems.shop(store) as shop:
            found = shop.refunds_of([row["order_id"] for row in rows])
        total.add(_keep(systems, store, found, run_id))


#: Orders that list a refund of which we have no version, or list one no more that we have.
_UNREAD = """
select o.order_id from (
    select f.order_ref from core.order_refunds f join core.orders o using (order_ref)
    where o.store = :store and not exists (
        select from raw.woocommerce__refunds w where w.source = :store
          and w.resource_id = o.order_id || ':' || split_part(f.refund_ref, ':', 3))
    union
    select m.order_ref from core.refunds m
    where m.store = :store and m.shop_refund_id is not null
      and m.state not in ('withdrawn', 'reversed')
      and not exists (select from core.order_refunds f
        where f.refund_ref = m.store || ':refund:' || m.shop_refund_id)
) u join core.orders o using (order_ref)
where o.state <> 'trashed' and o.order_id > :after
order by o.order_id limit :limit
"""


def _keep(
    systems: Systems, store: str, found: Mapping[str, list[Raw | Broken]], run_id: str | None
) -> Tally:
    now, total = systems.now(), Tally()
    reading = raw.Reading(store, "delta", now, run_id)
    levels = systems.settings.service_levels
    with connected(systems.engine) as connection:
        for page in found.values():
            total.add(keep(connection, TABLE, page, reading, levels))
        there = [one.resource_id for page in found.values() for one in page if one.resource_id]
        said = [
            raw.Said(row["resource_id"], now, row["payload"])
            for row in read_rows(
                connection, _GONE, store=store, orders=list(found), there=there, gone=GONE
            )
        ]
        total.new += raw.append(connection, TABLE, said, raw.Reading(store, GONE, now, run_id))
    return total


#: Versions of refunds that the shop does not list any more, neither alone nor with their order.
_GONE = """
select n.resource_id, json_build_object('id', split_part(n.resource_id, ':', 2)::bigint,
    'is_gone', true)::text as payload
from (
    select distinct on (resource_id) resource_id, via from raw.woocommerce__refunds
    where source = :store and split_part(resource_id, ':', 1) = any(:orders)
    order by resource_id, changed_at desc, version desc
) n
where n.via <> :gone and n.resource_id <> all(:there)
  and not exists (select from core.order_refunds f
    where f.refund_ref = :store || ':refund:' || split_part(n.resource_id, ':', 2))
"""


# ---------------------------------------------------------------- mapping


@dataclass
class Mapped:
    """What one mapping step did."""

    mapped: int = 0
    matched: int = 0
    gone: int = 0
    set_aside: int = 0


def map_refunds(systems: Systems, run_id: str | None) -> Mapped:
    """Bring core.refunds up to the newest versions; one of ours that comes back is matched."""
    total = Mapped()
    for connection, versions in chunks(systems, TABLE):
        found, touched = [], set[str]()
        currencies = _currencies(connection, versions)
        for version in versions:
            order = order_ref(version["source"], version["resource_id"].partition(":")[0])
            touched.add(order)
            if version["via"] == GONE:
                total.gone += 1
                continue
            try:
                _map(connection, systems, version, order, currencies.get(order), run_id, total)
            except Rejected as refusal:
                total.set_aside += 1
                found += [_malformed(systems, version, one) for one in refusal.problems]
        exceptions.reconcile(
            connection,
            found,
            subjects=[_subject(version) for version in versions],
            codes=["thing.malformed"],
            now=systems.now(),
            run_id=run_id,
        )
        stale.mark(connection, QUEUE, touched, systems.now())
    return total


def _currencies(connection: Connection, versions: Sequence[Row]) -> dict[str, str]:
    keys = [order_ref(v["source"], v["resource_id"].partition(":")[0]) for v in versions]
    query = "select order_ref, currency from core.orders where order_ref = any(:keys)"
    return {row["order_ref"]: row["currency"] for row in read_rows(connection, query, keys=keys)}


def _subject(version: Row) -> str:
    return f"{version['source']}:{TABLE}:{version['resource_id']}"


def _malformed(systems: Systems, version: Row, problem: Problem) -> exceptions.Exceptional:
    return exceptional(
        Problem("thing.malformed", problem.part, problem.message),
        _subject(version),
        systems.settings.service_levels,
        sender_ref=version["resource_id"],
        version=version["version"],
    )


def _map(
    connection: Connection,
    systems: Systems,
    version: Row,
    order: str,
    currency: str | None,
    run_id: str | None,
    total: Mapped,
) -> None:
    if currency is None:
        raise Rejected([Problem("thing.malformed", "order", "its order is not known")])
    row, lines = woocommerce_refunds.refund(
        parsed(version["payload"]), version["source"], order, version["resource_id"], currency
    )
    if _match(connection, row):
        total.matched += 1
        return
    try:
        with all_or_nothing(connection):
            total.mapped += _write(connection, systems, row, lines, version, run_id)
    except Unstorable as refusal:
        raise Rejected([Problem("thing.malformed", "refund", str(refusal))]) from refusal


def _match(connection: Connection, row: Row) -> bool:
    """Let a refund of ours know the shop's id of it; whether it is one of ours."""
    if row["own_key"] is None:
        return False
    held = read_rows(
        connection,
        "select refund_ref, shop_refund_id from core.refunds "
        "where refund_ref = :ref and order_ref = :order",
        ref=row["own_key"],
        order=row["order_ref"],
    )
    if held and held[0]["shop_refund_id"] is None:
        connection.execute(
            text("update core.refunds set shop_refund_id = :id where refund_ref = :ref"),
            {"id": row["shop_refund_id"], "ref": row["own_key"]},
        )
        return True
    return bool(held) and held[0]["shop_refund_id"] == row["shop_refund_id"]


def _write(
    connection: Connection,
    systems: Systems,
    row: Row,
    lines: list[Row],
    version: Row,
    run_id: str | None,
) -> int:
    """Add a refund of the shop's with its first step; one that is there is left as it was made.

    One that was made before refunds came here is closed at once: nobody credits it a second time.
    """
    start = raw.complete_until(connection, *START)
    is_history = start is not None and row["refunded_at"] < start
    values = {**row, "raw_version": version["version"], "run_id": run_id, "method": row["method"]}
    values |= {"is_history": is_history}
    added = connection.execute(text(_REFUND), values).rowcount
    if not added:
        return 0
    rows = [_line(line, run_id) for line in lines]
    if rows:
        connection.execute(text(_LINE), rows)
    steps = list(_steps(row, version, is_history=is_history))
    sagas.take(connection, steps, systems.now(), run_id)
    return 1


def _steps(row: Row, version: Row, *, is_history: bool) -> Iterator[sagas.Step]:
    """The steps a refund begins with."""
    said, state = "the shop shows it", ""
    goals = [str(RefundState.REQUESTED)]
    if is_history:
        said = "made before refunds came here; its books were made by other means"
        goals += path(Saga.REFUND, RefundState.REQUESTED, RefundState.CLOSED)
    for then in goals:
        cause, actor = f"{TABLE} version {version['version']}", f"shop:{row['store']}"
        yield sagas.Step(Saga.REFUND, row["refund_ref"], state, then, actor, said, cause)
        state = then


_REFUND = """
insert into core.refunds (refund_ref, order_ref, store, source, method, currency, amount,
    net_amount, shipping_amount, fee_amount, tax_amount, unassigned_amount, reason, shop_refund_id,
    refunded_at, is_history, raw_version, run_id)
values (:refund_ref, :order_ref, :store, :source, :method, :currency, :amount, :net_amount,
    :shipping_amount, :fee_amount, :tax_amount, :unassigned_amount, :reason, :shop_refund_id,
    :refunded_at, :is_history, :raw_version, :run_id)
on conflict (refund_ref) do nothing
"""
_LINE = """
insert into core.refund_lines (refund_ref, line_no, line_ref, kind, sku, units, net_amount,
    tax_amount, taxes, run_id)
values (:refund_ref, :line_no, :line_ref, :kind, :sku, :units, :net_amount, :tax_amount,
    cast(:taxes as jsonb), :run_id)
"""


def _line(line: Row, run_id: str | None) -> dict[str, Any]:
    taxes = json.dumps({rate: str(amount) for rate, amount in line["taxes"].items()})
    return {**line, "taxes": taxes, "run_id": run_id}
