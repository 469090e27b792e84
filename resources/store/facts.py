"""Facts about how we stand: lags, queues, calls, deliveries, exceptions, workers, as stored.

Reading only. What they mean, and whether it is good enough, is decided elsewhere. They are
asked every few seconds, so each query is bounded by an index or a window; only that of waiting
orders compares all orders with all receipts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from resources.store import money_facts
from resources.store.frames import read_rows
from resources.store.outbox import LANES

Rows = list[dict[str, Any]]

#: A warm worker says every few seconds that it lives.
ALIVE = timedelta(seconds=15)
RECENT = timedelta(minutes=15)
DELIVERIES = timedelta(hours=24)
#: Waiting orders and open exceptions are looked at one by one up to here; more are counted.
MOST = 10_000
#: The newest versions among which those a delta brought are looked for.
NEWEST_VERSIONS = 10_000
LANE_NAMES = {number: name for name, number in LANES.items()}


@dataclass(frozen=True)
class Facts:
    """How we stand at one moment; every part is rows of plain values."""

    at: datetime
    #: source, stream, complete_until, updated_at
    streams: Rows
    #: system, lane, state, writes, retried, oldest_at, next_due_at
    queues: Rows
    #: system, state, reason, until, changed_at, failures, opened_at, probe_at
    systems: Rows
    #: system, calls, errors, throttled, seconds; of the last 15 minutes
    calls: Rows
    #: store, waiting, oldest_at
    inbox: Rows
    #: store, deliveries, things, replays; of the last 15 minutes; delivered_at of the last day
    deliveries: Rows
    #: store, quarantined, oldest_at; of the last day
    quarantined: Rows
    #: owner_role, code, currency, open, overdue, oldest_at, amount, overdue_amount
    exceptions: Rows
    #: worker, beat_at, run_id, alive
    workers: Rows
    #: runs that wait for a worker
    handovers: int
    #: versions that are not mapped
    unmapped: int
    #: accepted orders of the last hour, and how long half and nearly all of them took
    accepted: dict[str, Any]
    money: money_facts.MoneyFacts

    @property
    def alive(self) -> int:
        """Warm workers that are alive."""
        return sum(bool(row["alive"]) for row in self.workers)


def read(connection: Connection, now: datetime) -> Facts:
    """Read all facts at one moment."""
    ask = {"now": now}
    return Facts(
        now,
        streams=read_rows(connection, _STREAMS),
        queues=queues(connection),
        systems=read_rows(connection, "select * from ops.system order by system"),
        calls=read_rows(connection, _CALLS, since=now - RECENT),
        inbox=read_rows(connection, _INBOX),
        deliveries=read_rows(connection, _DELIVERIES, day=now - DELIVERIES, recent=now - RECENT),
        quarantined=read_rows(connection, _QUARANTINED, since=now - DELIVERIES),
        exceptions=read_rows(connection, _EXCEPTIONS, **ask),
        workers=read_rows(connection, _WORKERS, since=now - ALIVE),
        handovers=_count(connection, "ops.handover where taken_at is null"),
        unmapped=_count(connection, "raw.woocommerce__orders where mapped_at is null"),
        accepted=read_rows(connection, _ACCEPTED, since=now - timedelta(hours=1))[0],
        money=money_facts.read(connection, now),
    )


def _count(connection: Connection, what: str) -> int:
    return int(read_rows(connection, f"select count(*) as n from {what}")[0]["n"])  # noqa: S608


_STREAMS = """
select source, stream, complete_until, updated_at from ops.watermark order by source, stream
"""
_CALLS = """
select system, sum(calls)::bigint as calls, sum(errors)::bigint as errors,
    sum(throttled)::bigint as throttled, sum(seconds) as seconds
from ops.calls where minute >= :since group by system order by system
"""
_INBOX = """
select coalesce(nullif(store, ''), source) as store, count(*) as waiting,
    min(received_at) as oldest_at
from ops.inbox where state in ('waiting', 'leased') group by 1 order by 1
"""
#: What came from outside carries a verdict on its signature; what we put there ourselves does not.
_DELIVERIES = """
select coalesce(nullif(store, ''), source) as store,
    count(*) filter (where received_at > :recent and replay_of is null) as deliveries,
    count(distinct (topic, resource_id))
        filter (where received_at > :recent and replay_of is null) as things,
    count(*) filter (where received_at > :recent and replay_of is not null) as replays,
    max(received_at) filter (where replay_of is null) as delivered_at
from ops.inbox where received_at > :day and signature in ('valid', 'unsigned')
group by 1 order by 1
"""
_QUARANTINED = """
select coalesce(nullif(store, ''), source) as store, count(*) as quarantined,
    min(settled_at) as oldest_at
from ops.inbox where state = 'quarantined' and settled_at > :since group by 1 order by 1
"""
_EXCEPTIONS = """
select owner_role, code, coalesce(currency, '') as currency, count(*) as open,
    count(*) filter (where due_at < :now) as overdue, min(opened_at) as oldest_at,
    coalesce(sum(amount), 0) as amount,
    coalesce(sum(amount) filter (where due_at < :now), 0) as overdue_amount
from ops.exception where state = 'open' group by 1, 2, 3 order by 1, 2, 3
"""
_WORKERS = """
select worker, beat_at, run_id, beat_at >= :since as alive from ops.worker order by worker
"""
_ACCEPTED = """
select count(*) as orders,
    percentile_cont(0.5) within group (order by seconds) as p50_seconds,
    percentile_cont(0.95) within group (order by seconds) as p95_seconds
from (
    select extract(epoch from r.answered_at - coalesce(o.paid_at, o.placed_at))::float8 as seconds
    from receipt.sales_orders r join core.orders o using (order_ref)
    where r.outcome = 'accepted' and r.answered_at > :since
) taken
"""


def queues(connection: Connection) -> Rows:
    """Writes that are not done, by system, lane and state; the urgent lane first."""
    rows = read_rows(
        connection,
        "select system, lane, state, count(*) as writes, "
        "count(*) filter (where attempts > 1) as retried, min(created_at) as oldest_at, "
        "min(due_at) as next_due_at from ops.outbox "
        "where state in ('waiting', 'leased', 'unknown', 'parked') "
        "group by 1, 2, 3 order by 1, 2, 3",
    )
    return [{**row, "lane": LANE_NAMES.get(row["lane"], str(row["lane"]))} for row in rows]


def delivered_between(connection: Connection, after: datetime, until: datetime) -> set[str]:
    """Senders that delivered something in a stretch of time."""
    rows = read_rows(
        connection,
        "select distinct coalesce(nullif(store, ''), source) as store from ops.inbox "
        "where received_at > :after and received_at <= :until "
        "and signature in ('valid', 'unsigned') and replay_of is null",
        after=after,
        until=until,
    )
    return {row["store"] for row in rows}


def brought_by_delta(connection: Connection, since: datetime) -> dict[str, int]:
    """Orders that changed since then and that a delta had to bring, by store."""
    rows = read_rows(
        connection,
        """
        select source, count(distinct resource_id) as n from (
            select source, resource_id, via, received_at from raw.woocommerce__orders
            order by version desc limit :newest
        ) newest
        where via in ('delta', 'trash') and received_at > :since group by source
        """,
        newest=NEWEST_VERSIONS,
        since=since,
    )
    return {row["source"]: int(row["n"]) for row in rows}


def open_exceptions(connection: Connection) -> Rows:
    """Open exceptions one by one, the oldest first, with their owner, age and money."""
    return read_rows(
        connection,
        "select subject_ref, code, owner_role, opened_at, due_at, amount, currency "
        "from ops.exception where state = 'open' order by opened_at, id limit :most",
        most=MOST,
    )


def parked_writes(connection: Connection) -> Rows:
    """Parked writes by system: how many, since when, and the oldest keys."""
    return read_rows(
        connection,
        """
        select system, count(*) as parked, min(updated_at) as oldest_at,
            (array_agg(thing_ref order by updated_at, id))[1:20] as things
        from ops.outbox where state = 'parked' group by 1 order by 1
        """,
    )


def waiting_orders(
    connection: Connection, states: Mapping[str, list[str]], since: Mapping[str, datetime]
) -> Rows:
    """Orders to be sent that no ERP has accepted, the oldest first; `is_held` has a reason.

    `states` and `since` say, by store, which orders are sent. What was read and is not mapped yet
    waits too. One that is to be cancelled, or was accepted or refused, does not.
    """
    return read_rows(
        connection,
        _WAITING,
        stores=list(states),
        words=[",".join(words) for words in states.values()],
        since=[since.get(store) for store in states],
        most=MOST,
    )


_WAITING = """
with routes as (
    select * from unnest(cast(:stores as text[]), cast(:words as text[]),
        cast(:since as timestamptz[])) as r (store, states, since_at)
), unanswered as materialized (  -- first the few, then what each of them is
    select o.* from core.orders o
    where not exists (select from receipt.odoo__sales_orders r where r.order_ref = o.order_ref)
      and not exists (select from receipt.tryton__sales_orders r where r.order_ref = o.order_ref)
), wanted as (
    select o.order_ref, coalesce(o.paid_at, o.placed_at) as since_at, o.total_amount as amount,
        o.currency
    from unanswered o join routes on routes.store = o.store
    where o.state = any(string_to_array(routes.states, ','))
      and o.placed_at >= coalesce(routes.since_at, '-infinity')
    union all
    select r.source || ':' || r.resource_id, min(r.received_at), null, null
    from raw.woocommerce__orders r
    where r.mapped_at is null and r.source = any(cast(:stores as text[]))
      and not exists (
        select from core.orders o where o.order_ref = r.source || ':' || r.resource_id)
    group by r.source, r.resource_id
)
select w.*, exists (
    select from ops.exception e where e.subject_ref = w.order_ref and e.state = 'open'
      and e.blocks
) or exists (
    select from ops.outbox x where x.thing_ref = w.order_ref and x.state = 'parked'
) as is_held
from wanted w order by w.since_at, w.order_ref limit :most
"""


def late_stock(connection: Connection, stores: list[str]) -> Rows:
    """What keeps published numbers from being the newest, by queue and by store."""
    return read_rows(connection, _LATE_STOCK, stores=stores)


#: The clock of marks is the database's; `planned_at` is when a difference was first seen.
_LATE_STOCK = """
select queue as key, null as system, min(since) as since_at, count(*) as waiting
from ops.stale
where queue in ('stock_reading', 'reservation', 'availability', 'stock_plan') group by 1
union all
select 'stock of ' || p.system, p.system, min(p.planned_at), count(*)
from plan.woocommerce__stock p
where p.action = 'set' and p.system = any(:stores)
  and not exists (
    select from ops.outbox x where x.system = p.system and x.state in ('parked', 'refused')
      and x.error_class is distinct from 'withdrawn'
      and x.thing_ref = p.system || ':stock:' || p.product_id)
group by 2
order by 1
"""


def open_requests(connection: Connection) -> Rows:
    """Requests that were released and have not left whole, the oldest first."""
    return read_rows(
        connection,
        """
        select f.fulfilment_ref, f.order_ref, f.system, f.ship_by_at, o.total_amount as amount,
            o.currency, released.at as released_at, acknowledged.at as acknowledged_at
        from core.fulfilment_orders f
        join core.orders o using (order_ref)
        join lateral (
            select min(s.at) as at from core.saga_steps s
            where s.subject_ref = f.fulfilment_ref and s.to_state = 'released'
        ) released on released.at is not null
        left join lateral (
            select min(s.at) as at from core.saga_steps s
            where s.subject_ref = f.fulfilment_ref
              and s.to_state in ('acknowledged', 'part_shipped', 'shipped')
        ) acknowledged on true
        where f.state in ('released', 'acknowledged', 'part_shipped')
        order by released.at, f.fulfilment_ref
        """,
    )
