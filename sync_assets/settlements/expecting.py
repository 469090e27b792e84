"""What we expect providers to settle: captures, refunds, chargebacks of the orders that changed.

The expected ledger follows shop and provider and is never made from a settlement, with two
exceptions, both only where the line names a payment we know. A chargeback is announced by nobody,
so the line that takes the money tells of it. And a refund that a person made and the shop only
wrote down may have gone by any way: that it went by the provider is told by the line that has its
order and its amount.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from resources.settings import Settings
from resources.store import stale
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import stage_keys
from resources.wiring import Systems

QUEUE = "settlement"
CHUNK = 20_000
LOCK = "expect payments"


def expect(systems: Systems, run_id: str | None) -> dict[str, int]:
    """Work out the payments of every order that changed; answers how many rows changed."""
    total = {"orders": 0, "payments": 0}
    while True:
        with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
            keys = stale.take(connection, QUEUE, CHUNK)
            if not keys:
                return total
            stage_keys(connection, "stage_orders", keys)
            stage_routes(connection, systems.settings)
            for statement in _STAGED:
                connection.exec_driver_sql(statement)
            for query in (_CAPTURES, _REFUNDS, _DISPUTES):
                total["payments"] += _merge(connection, query, run_id)
            total["payments"] += _void(connection)
            total["orders"] += len(keys)


def expect_what_lines_tell(systems: Systems, run_id: str | None) -> int:
    """Expect what settlement lines tell of chargebacks, their reversals, and refunds by hand."""
    with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
        queries = (_TOLD_CHARGEBACKS, _TOLD_REVERSALS, _TOLD_REFUNDS)
        return sum(_merge(connection, query, run_id) for query in queries)


def failed_refunds_come_back(systems: Systems, run_id: str | None) -> int:
    """Expect the money of refunds that failed after it had left; whatever was settled did move.

    One that went through after all brings nothing back.
    """
    with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
        changed = sum(connection.exec_driver_sql(one).rowcount for one in (_MOVED, _NOT_BACK))
        return changed + _merge(connection, _FAILED_AFTER, run_id)


# ---------------------------------------------------------------- by which account


def routes(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """(store, payment method, provider); the method * stands for all that are not named."""
    for name, provider in settings.providers.items():
        for store in settings.paid_by(name):
            for method in provider.payment_methods:
                yield store, method, name


def stage_routes(connection: Connection, settings: Settings) -> None:
    """Put the routes into a temporary table; of two providers for a method the first one counts."""
    connection.exec_driver_sql("drop table if exists stage_routes")
    connection.exec_driver_sql(
        "create temp table stage_routes (store text, method text, provider text, "
        "primary key (store, method)) on commit drop"
    )
    found = list(routes(settings))
    if found:
        connection.execute(
            text("insert into stage_routes values (:s, :m, :p) on conflict do nothing"),
            [{"s": store, "m": method, "p": provider} for store, method, provider in found],
        )


# ---------------------------------------------------------------- the statements

_STAGED = (
    "drop table if exists stage_paid",
    """
    create temp table stage_paid on commit drop as
    select o.order_ref, o.store, o.order_number, o.currency, o.total_amount, o.state,
        o.payment_ref, coalesce(o.paid_at, o.placed_at) as paid_at,
        o.state in ('paid', 'completed', 'refunded') or o.paid_at is not null as is_paid,
        coalesce(named.provider, other.provider) as provider
    from core.orders o join stage_orders k on k.key = o.order_ref
    left join stage_routes named on named.store = o.store and named.method = o.payment_method
    left join stage_routes other on other.store = o.store and other.method = '*'
        and o.payment_method <> ''
    where coalesce(named.provider, other.provider) is not null
    """,
    "analyze stage_paid",
    "drop table if exists stage_told",
    """
    create temp table stage_told on commit drop as
    select distinct on (e.event_ref) p.order_ref, p.store, p.order_number, e.*
    from (
        select s.order_ref, e.event_ref from stage_paid s
        join core.payment_events e on e.provider = s.provider and e.payment_id = s.payment_ref
        union all
        select s.order_ref, e.event_ref from stage_paid s
        join core.payment_events e on e.provider = s.provider and e.group_id = s.payment_ref
        union all
        select s.order_ref, e.event_ref from stage_paid s
        join core.payment_events e on core.reference_of(e.order_reference) = s.order_number
        where e.provider = s.provider and e.order_reference is not null
          and (s.payment_ref is null or e.payment_id is null)
        union all
        select s.order_ref, e.event_ref from stage_paid s
        join core.payment_events e on core.reference_of(e.order_reference) = s.order_ref
        where e.provider = s.provider and e.order_reference is not null
          and (s.payment_ref is null or e.payment_id is null)
    ) found
    join core.payment_events e using (event_ref)
    join stage_paid p using (order_ref)
    order by e.event_ref, p.order_ref
    """,
    "analyze stage_told",
)

_COLUMNS = (
    *("payment_ref", "kind", "order_ref", "store", "provider", "amount", "currency", "payment_id"),
    *("group_id", "movement_id", "order_number", "expected_at", "source", "is_void"),
)


def _merge(connection: Connection, query: str, run_id: str | None) -> int:
    """Put what a query expects into the ledger; what is matched keeps its amount."""
    names = ", ".join(_COLUMNS)
    changed = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])
    old = ", ".join(f"held.{name}" for name in _COLUMNS[1:])
    new = ", ".join(f"excluded.{name}" for name in _COLUMNS[1:])
    done = connection.execute(
        text(
            f"""
            insert into core.payments as held ({names}, run_id)
            select {names}, cast(:run_id as text) from ({query}) wanted
            on conflict (payment_ref) do update set {changed}, run_id = excluded.run_id
            where ({old}) is distinct from ({new})
              and (held.amount = excluded.amount and held.currency = excluded.currency
                or not exists (select from core.match_items i where i.side = 'expected'
                    and i.ref = held.payment_ref and i.is_live))
            """  # noqa: S608
        ),
        {"run_id": run_id},
    )
    return int(done.rowcount)


#: One row for an order that is captured at once; one per capture where the provider tells of parts.
#: A row that is matched already stays what it is.
_CAPTURES = """
with told as (
    select order_ref, count(*) as captures, sum(amount) as amount, min(payment_id) as payment_id,
        min(group_id) as group_id, min(movement_id) as movement_id, min(happened_at) as happened_at,
        min(currency) as currency
    from stage_told where kind = 'captured' group by 1
), in_parts as (
    select p.order_ref from stage_paid p join told t using (order_ref)
    where (t.captures > 1 or t.amount <> p.total_amount or t.currency <> p.currency)
      and not exists (select from core.match_items i where i.side = 'expected' and i.is_live
        and i.ref = p.order_ref || '\\:capture')
)
select p.order_ref || '\\:capture' as payment_ref, 'capture' as kind, p.order_ref, p.store,
    p.provider, p.total_amount as amount, p.currency,
    coalesce(t.payment_id, p.payment_ref) as payment_id,
    coalesce(t.group_id, p.payment_ref) as group_id, t.movement_id, p.order_number,
    coalesce(t.happened_at, p.paid_at) as expected_at, 'order' as source, false as is_void
from stage_paid p left join told t using (order_ref)
where p.total_amount > 0 and (p.is_paid or t.order_ref is not null)
  and p.order_ref not in (select order_ref from in_parts)
union all
select p.order_ref || ':capture:' || coalesce(e.movement_id, e.event_ref), 'capture', p.order_ref,
    p.store, p.provider, e.amount, e.currency, e.payment_id, coalesce(e.group_id, p.payment_ref),
    e.movement_id, p.order_number, e.happened_at, 'event', false
from stage_told e join stage_paid p using (order_ref) join in_parts using (order_ref)
where e.kind = 'captured' and e.amount > 0
"""

_REFUNDS = """
select m.refund_ref as payment_ref, 'refund' as kind, m.order_ref, m.store, p.provider,
    -m.amount as amount, m.currency, p.payment_ref as payment_id, p.payment_ref as group_id,
    m.provider_ref as movement_id, p.order_number, m.refunded_at as expected_at,
    'refund' as source, m.state in ('failed', 'refused', 'withdrawn', 'reversed')
        and not exists (select from core.match_items i where i.side = 'expected' and i.is_live
            and i.ref = m.refund_ref) as is_void
from core.refunds m join stage_paid p using (order_ref)
where m.method = 'gateway' and m.amount > 0
  and (m.state in ('submitted', 'pending', 'confirmed', 'credited', 'closed')
    or m.state in ('failed', 'withdrawn', 'reversed')
       and exists (select from core.payments x where x.payment_ref = m.refund_ref))
"""

_DISPUTES = """
select e.provider || ':' || coalesce(e.movement_id, e.event_ref) || ':' || e.kind as payment_ref,
    e.kind, p.order_ref, p.store, p.provider,
    case when e.kind = 'chargeback' then -e.amount else e.amount end as amount, e.currency,
    coalesce(e.payment_id, p.payment_ref) as payment_id, coalesce(e.group_id, p.payment_ref)
        as group_id, e.movement_id, p.order_number, e.happened_at as expected_at, 'event' as source,
    false as is_void
from stage_told e join stage_paid p using (order_ref)
where e.kind in ('chargeback', 'chargeback_reversed') and e.amount > 0
"""


def _void(connection: Connection) -> int:
    """Expect nothing of what is not wanted any more and was never matched."""
    return int(connection.exec_driver_sql(_VOID).rowcount)


#: Orders that were given up before they were paid, and captures that turned out to be parts.
_VOID = """
update core.payments held set is_void = true
from stage_paid p
where held.order_ref = p.order_ref and held.kind = 'capture' and not held.is_void
  and (not p.is_paid and held.source = 'order'
        and not exists (select from stage_told e where e.order_ref = p.order_ref
            and e.kind = 'captured')
    or held.payment_ref = p.order_ref || ':capture' and exists (
        select from core.payments part where part.order_ref = p.order_ref
          and part.payment_ref <> held.payment_ref and part.kind = 'capture' and not part.is_void))
  and not exists (select from core.match_items i where i.side = 'expected' and i.is_live
    and i.ref = held.payment_ref)
"""

#: Lines of disputes that no event told of, by the capture they take back; of several lines of one
#: dispute the first one counts.
_CAPTURE_OF_LINE = """
    select p.* from core.payments p
    where p.provider = l.provider and p.kind = 'capture' and (
        p.payment_id = l.payment_id or p.group_id = l.payment_id or p.group_id = l.group_id
        or p.payment_id = l.group_id
        or l.payment_id is null and p.order_number = core.reference_of(l.order_reference))
    order by p.is_void, p.expected_at, p.payment_ref limit 1
"""
_LINES_OF_DISPUTES = f"""
select distinct on (l.provider, coalesce(l.movement_id, l.line_ref))
    l.provider || ':' || coalesce(l.movement_id, l.line_ref) || ':' || l.kind as payment_ref,
    l.kind, c.order_ref, c.store, l.provider, coalesce(l.paid_amount, l.gross_amount) as amount,
    coalesce(l.paid_currency, l.currency) as currency, c.payment_id, c.group_id, l.movement_id,
    c.order_number, l.occurred_at as expected_at, 'event' as source, false as is_void
from core.settlement_lines l
join lateral ({_CAPTURE_OF_LINE}) c on true
where l.kind = '{{kind}}' and not l.is_split
  and not exists (select from core.match_items i where i.side = 'settled' and i.is_live
    and i.ref = l.line_ref)
  and not exists (select from core.payments d where d.kind = l.kind and d.provider = l.provider
    and (d.movement_id = l.movement_id
      or d.order_ref = c.order_ref and d.movement_id is distinct from l.movement_id))
  {{more}}
order by l.provider, coalesce(l.movement_id, l.line_ref), l.occurred_at, l.line_ref
"""  # noqa: S608
_TOLD_CHARGEBACKS = _LINES_OF_DISPUTES.format(
    kind="chargeback",
    more="and -coalesce(l.paid_amount, l.gross_amount) between 0 and (select sum(x.amount) "
    "from core.payments x where x.order_ref = c.order_ref and x.kind = 'capture' "
    "and not x.is_void)",
)
_TOLD_REVERSALS = _LINES_OF_DISPUTES.format(
    kind="chargeback_reversed",
    more="and exists (select from core.payments t where t.order_ref = c.order_ref "
    "and t.kind = 'chargeback' and -t.amount = coalesce(l.paid_amount, l.gross_amount))",
)

#: Refunds by hand and the lines that pay them, one to one: several of one order and amount in the
#: order in which they were made. A refund by the gateway that is still awaited comes first.
_TOLD_REFUNDS = f"""
with written as (
    select m.refund_ref, m.order_ref, m.amount, m.currency, row_number() over (
        partition by m.order_ref, m.amount, m.currency
        order by m.refunded_at, m.refund_ref) as place
    from core.refunds m
    where m.method = 'manual' and m.amount > 0
      and m.state in ('submitted', 'pending', 'confirmed', 'credited', 'closed')
      and not exists (select from core.payments p where p.payment_ref = m.refund_ref)
), told as (
    select c.order_ref, c.store, c.payment_id, c.group_id, c.order_number, l.provider,
        l.movement_id, l.occurred_at, -coalesce(l.paid_amount, l.gross_amount) as amount,
        coalesce(l.paid_currency, l.currency) as currency, l.line_ref
    from core.settlement_lines l
    join lateral ({_CAPTURE_OF_LINE}) c on true
    where exists (select from written) and l.kind = 'refund' and not l.is_split
      and c.order_ref in (select order_ref from written)
      and not exists (select from core.match_items i where i.side = 'settled' and i.is_live
        and i.ref = l.line_ref)
      and not exists (select from core.payments d where d.kind = 'refund'
        and d.order_ref = c.order_ref and not d.is_void
        and (d.movement_id = l.movement_id
          or d.amount = coalesce(l.paid_amount, l.gross_amount) and not exists (
            select from core.match_items i where i.side = 'expected' and i.is_live
              and i.ref = d.payment_ref)))
), lines as (
    select *, row_number() over (
        partition by order_ref, amount, currency order by occurred_at, line_ref) as place
    from told
)
select w.refund_ref as payment_ref, 'refund' as kind, w.order_ref, t.store, t.provider,
    -w.amount as amount, w.currency, t.payment_id, t.group_id, t.movement_id, t.order_number,
    t.occurred_at as expected_at, 'refund' as source, false as is_void
from written w join lines t using (order_ref, amount, currency, place)
"""  # noqa: S608

#: Given up as we knew it, and settled all the same.
_MOVED = """
update core.payments p set is_void = false
where p.is_void and exists (select from core.match_items i where i.side = 'expected' and i.is_live
    and i.ref = p.payment_ref)
"""
_NOT_BACK = """
update core.payments p set is_void = true
from core.refunds m
where p.kind = 'refund_failed' and not p.is_void and p.payment_ref = m.refund_ref || ':back'
  and m.state not in ('failed', 'withdrawn', 'reversed')
  and not exists (select from core.match_items i where i.side = 'expected' and i.is_live
    and i.ref = p.payment_ref)
"""
_FAILED_AFTER = """
select p.payment_ref || '\\:back' as payment_ref, 'refund_failed' as kind, p.order_ref, p.store,
    p.provider, -p.amount as amount, p.currency, p.payment_id, p.group_id, p.movement_id,
    p.order_number, coalesce(m.state_at, p.expected_at) as expected_at, 'refund' as source,
    false as is_void
from core.payments p join core.refunds m on m.refund_ref = p.payment_ref
where p.kind = 'refund' and m.state in ('failed', 'withdrawn', 'reversed')
  and exists (select from core.match_items i where i.side = 'expected' and i.is_live
    and i.ref = p.payment_ref)
"""
