"""The demo's last part: the ERP's warehouses ship, customers are told, refunds are credited."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import httpx

from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets import jobs
from sync_assets.ops import runs

#: Orders that leave while one looks on; each is told to its shop in a handful of calls.
MOST_SHIPPED = 150


def carry(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    systems: Systems,
    urls: dict[str, str],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Follow deliveries of the ERP to the shops, and the shops' refunds into the ERP's books."""
    say("Looking which deliveries the ERP has planned")
    # What one run asks, the next one finds answered.
    ran = [runs.execute(defs, jobs.SHIPMENTS, instance) for _ in range(2)]
    shipped = _ship(systems, urls)
    if shipped:
        say(f"{shipped} orders leave the ERP's warehouses: shops and customers are told")
        ran += [runs.execute(defs, jobs.SHIPMENTS, instance) for _ in range(2)]
    say("Carrying the shops' refunds into the ERP as credit memos")
    ran += [runs.execute(defs, jobs.RETURNS, instance) for _ in range(3)]
    return ran


def _ship(systems: Systems, urls: dict[str, str]) -> int:
    """Let people at the stand-in's warehouses ship; a real ERP has none we could ask."""
    if "odoo" not in urls:
        return 0
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            "select f.order_ref from core.fulfilment_orders f join core.orders o using (order_ref) "
            "where f.state = 'acknowledged' and o.refunded_amount = 0 "
            # Scattered over the stores, and the same ones every time.
            "order by md5(f.fulfilment_ref) limit :most",
            most=MOST_SHIPPED,
        )
    base, _, name = urls["odoo"].rpartition("/")
    with httpx.Client(base_url=base, trust_env=False, timeout=60) as client:
        for number, row in enumerate(rows):
            args = {"order_key": row["order_ref"], "tracking": f"DEMO{number:08d}"}
            said = client.post(f"/_control/{name}", json={"call": "ship", "args": args})
            said.raise_for_status()
    return len(rows)


def counted(systems: Systems) -> list[dict[str, Any]]:
    """By store and currency: what left and was told, and money given back against what the books
    hold.
    """
    with connected(systems.engine) as connection:
        return read_rows(connection, _COUNTS)


_COUNTS = """
select o.store, o.currency,
    count(*) filter (where f.state in ('acknowledged', 'part_shipped', 'shipped')) as planned_there,
    count(*) filter (where f.state = 'shipped') as shipped,
    count(*) filter (where exists (select from receipt.notices n
        where n.order_ref = o.order_ref and n.outcome = 'accepted')) as customers_told,
    count(*) filter (where exists (select from receipt.completions c
        where c.key = o.order_ref and c.outcome = 'accepted')) as completed,
    (select count(*) from core.refunds r where r.store = o.store and r.currency = o.currency
        and exists (select from receipt.sales_orders s
            where s.order_ref = r.order_ref and s.outcome = 'accepted')) as refunds,
    (select coalesce(sum(r.amount), 0) from core.refunds r
        where r.store = o.store and r.currency = o.currency
        and exists (select from receipt.sales_orders s
            where s.order_ref = r.order_ref and s.outcome = 'accepted')) as refunded_total,
    (select coalesce(sum(c.amount), 0) from receipt.credit_memos c
        join core.refunds r on r.refund_ref = c.key
        where r.store = o.store and r.currency = o.currency and c.outcome = 'accepted')
        as credited_total
from core.orders o join core.fulfilment_orders f using (order_ref)
group by 1, 2 order by 1, 2
"""
