"""From the stock plan to the outbox: what is to be sent is on disk before anything is sent.

A stock write is a state to be reached, so the same row is used again and again; a waiting one takes
the newer number. The thing is `<store>:stock:<product id>`, which names its exceptions too. What
the plan no longer wants is taken back. Sending is in `sending.py`.
"""

from datetime import datetime

from sqlalchemy import Connection

from resources.store import exceptions, outbox
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows, scalar
from resources.wiring import Systems

#: What begins so is a stock write; `stock.set` is the only one.
OPERATIONS = "stock."
MANY = 1000
#: Codes of what sending finds; a write taken back ends them.
SENDING_CODES = ("stock.refused", "stock.listing_gone")


def promote(systems: Systems, store: str) -> int:
    """Put what was planned into the outbox; answers how many writes wait because of it."""
    now = systems.now()
    with (
        connected(systems.engine) as connection,
        one_at_a_time(connection, f"promote stock {store}"),
    ):
        _expect_many(connection, store)
        _take_back(connection, store, now)
        return outbox.intend_selected(
            connection, store, _PLANNED, now, store=store, lane_of_stock=outbox.LANES["stock"]
        )


def _expect_many(connection: Connection, store: str) -> None:
    """Let a whole store be joined at once: statistics of a young outbox promise a handful."""
    planned = (
        "select count(*) from plan.woocommerce__stock where system = :store and action = 'set'"
    )
    if scalar(connection, planned, store=store) > MANY:
        connection.exec_driver_sql("set local enable_nestloop = off")


def _take_back(connection: Connection, store: str, now: datetime) -> None:
    """End writes that nobody works on and the plan no longer wants, with what was said of them."""
    rows = read_rows(connection, _UNWANTED, store=store)
    if not rows:
        return
    outbox.take_back(connection, [row["id"] for row in rows], now)
    exceptions.reconcile(
        connection,
        [],
        subjects=[row["thing_ref"] for row in rows],
        codes=SENDING_CODES,
        now=now,
    )


_UNWANTED = """
select x.id, x.thing_ref from ops.outbox x
where x.system = :store and x.operation = 'stock.set' and x.state in ('waiting', 'parked')
  and not exists (
    select from plan.woocommerce__stock p
    where p.system = :store and p.action = 'set'
      and x.thing_ref = p.system || ':stock:' || p.product_id)
order by x.id for update of x skip locked
"""

#: What is under way stays as it is: its worker compares it with the plan before it writes.
_PLANNED = """
select 'stock.set' as operation, p.system || ':stock:' || p.product_id as thing_ref,
    'stock.set:' || p.system || ':stock:' || p.product_id as business_key,
    jsonb_build_object('sku', p.sku, 'product_id', p.product_id, 'parent_id', p.parent_id,
        'units', p.wanted_units, 'backorders', p.wanted_backorders,
        'lead_days', p.wanted_lead_days)::text as payload,
    p.wanted_hash, 0 as core_version, cast(:lane_of_stock as smallint) as lane,
    replace(gen_random_uuid()::text, '-', '') as correlation_id, true as recurs,
    p.product_id as place
from plan.woocommerce__stock p
left join ops.outbox x on x.system = :store
    and x.business_key = 'stock.set:' || p.system || ':stock:' || p.product_id
where p.system = :store and p.action = 'set'
  and (x.id is null or x.state not in ('waiting', 'leased', 'unknown', 'parked')
       or x.wanted_hash <> p.wanted_hash)
"""
