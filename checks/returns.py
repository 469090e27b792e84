"""Whether returns and refunds agree with the ERP and with what was paid, and whether each of them
ends: in a closed state, or with somebody who has it.
"""

from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from sqlalchemy import Connection

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.returns.assets import core_key

MOST_KEYS = 20
#: A confirmed refund is credited by the next run; after this long something is in its way.
CREDITED_WITHIN = timedelta(hours=4)
BOOKED_WITHIN = timedelta(hours=4)
#: Rest in a state that waits for a system of ours only.
MOVED_WITHIN = timedelta(hours=24)
REFUNDS, RETURNS = core_key("refunds"), core_key("returns")
SystemsParam = dg.ResourceParam[Systems]


def build(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of returns and refunds."""
    return [
        confirmed_is_credited,
        credit_is_the_refund,
        goods_are_booked_once,
        never_above_paid,
        every_saga_is_owned,
    ]


@dg.asset_check(
    asset=REFUNDS,
    description="Every refund that is confirmed has a credit memo within hours.",
)
def confirmed_is_credited(systems: SystemsParam) -> dg.AssetCheckResult:
    """List confirmed refunds without a credit memo, and how long they wait."""
    with connected(systems.engine) as connection:
        rows = uncredited(connection)
    now = systems.now()
    late = [row for row in rows if now - row["state_at"] > CREDITED_WITHIN]
    oldest = max((now - row["state_at"] for row in rows), default=timedelta())
    return _verdict(
        late,
        [row["refund_ref"] for row in late],
        waiting=len(rows),
        oldest_hours=round(oldest.total_seconds() / 3600, 1),
        **_sums(late),
    )


def uncredited(connection: Connection) -> list[dict[str, Any]]:
    """Refunds that are confirmed, of orders an ERP holds, without a credit memo."""
    return read_rows(
        connection,
        """
        select m.refund_ref, m.state_at, m.amount, m.currency from core.refunds m
        where m.state = 'confirmed' and m.amount > 0
          and exists (select from receipt.sales_orders s
            where s.order_ref = m.order_ref and s.outcome = 'accepted')
          and not exists (select from receipt.credit_memos c
            where c.key = m.refund_ref and c.outcome = 'accepted')
        order by m.state_at, m.refund_ref
        """,
    )


@dg.asset_check(
    asset=REFUNDS,
    description="Every credit memo comes to its refund, to the cent.",
)
def credit_is_the_refund(systems: SystemsParam) -> dg.AssetCheckResult:
    """List credit memos of another amount than their refund, and refunds that failed and are
    still credited after hours."""
    with connected(systems.engine) as connection:
        rows = miscredited(connection, systems.now() - CREDITED_WITHIN)
    return _verdict(rows, [row["refund_ref"] for row in rows], **_sums(rows))


def miscredited(connection: Connection, moment: datetime) -> list[dict[str, Any]]:
    """Credit memos that are not what their refund is."""
    return read_rows(
        connection,
        """
        select m.refund_ref, c.amount - m.amount as amount, m.currency
        from core.refunds m
        join receipt.credit_memos c on c.key = m.refund_ref and c.outcome = 'accepted'
        left join receipt.credit_reversals v on v.key = m.refund_ref and v.outcome = 'accepted'
        where v.key is null and c.amount is distinct from m.amount
           or v.key is null and m.state in ('failed', 'withdrawn') and m.state_at < :moment
           or v.key is not null and m.state in ('credited', 'closed')
        order by m.refund_ref
        """,
        moment=moment,
    )


@dg.asset_check(
    asset=RETURNS,
    description="Goods that came back and have a fate are booked in the ERP once: as many units "
    "as arrived.",
)
def goods_are_booked_once(systems: SystemsParam) -> dg.AssetCheckResult:
    """List returns whose goods are not booked after hours, or booked otherwise than they came."""
    with connected(systems.engine) as connection:
        rows = misbooked(connection, systems.now() - BOOKED_WITHIN)
    units = sum(abs(int(row["off_units"])) for row in rows)
    return _verdict(rows, [row["return_ref"] for row in rows], off_units=units)


def misbooked(connection: Connection, moment: datetime) -> list[dict[str, Any]]:
    """Returns by which units are missing in the ERP, or more are there than came."""
    return read_rows(
        connection,
        """
        with came as (
            select r.return_ref, lower(l.sku) as sku, sum(l.received_units) as units
            from core.returns r join core.return_lines l using (return_ref)
            where r.state in ('inspected', 'refunding', 'closed') and l.line_ref is not null
              and r.state_at < :moment
              and exists (select from receipt.sales_orders s
                where s.order_ref = r.order_ref and s.outcome = 'accepted')
            group by 1, 2 having sum(l.received_units) > 0
        ), booked as (
            select b.return_ref, lower(b.sku) as sku, sum(b.units) as units
            from core.restocked b group by 1, 2
        )
        select coalesce(c.return_ref, b.return_ref) as return_ref,
            sum(abs(coalesce(b.units, 0) - coalesce(c.units, 0))) as off_units
        from came c full join booked b using (return_ref, sku)
        where coalesce(b.units, 0) <> coalesce(c.units, 0)
          and (c.return_ref is not null or exists (select from core.returns r
            where r.return_ref = b.return_ref and r.state_at < :moment))
        group by 1 order by 1
        """,
        moment=moment,
    )


@dg.asset_check(
    asset=REFUNDS,
    blocking=True,
    description="No order is refunded above what was paid for it.",
)
def never_above_paid(systems: SystemsParam) -> dg.AssetCheckResult:
    """List orders whose refunds come to more than their total."""
    with connected(systems.engine) as connection:
        rows = above_paid(connection)
    keys = [row["order_ref"] for row in rows]
    return _verdict(rows, keys, severity=dg.AssetCheckSeverity.ERROR, **_sums(rows))


def above_paid(connection: Connection) -> list[dict[str, Any]]:
    """Orders that were refunded too much, by how much."""
    return read_rows(
        connection,
        """
        select m.order_ref, o.currency, sum(m.amount) - o.total_amount as amount
        from core.refunds m join core.orders o using (order_ref)
        where m.method <> 'offset' and m.state in ('approved', 'submitted', 'pending', 'confirmed',
            'credited', 'closed')
        group by m.order_ref, o.currency, o.total_amount
        having sum(m.amount) > o.total_amount order by 1
        """,
    )


@dg.asset_check(
    asset=RETURNS,
    description="Every return and refund is in a closed state, waits for a time that will come, or "
    "has an open exception with an owner.",
)
def every_saga_is_owned(systems: SystemsParam) -> dg.AssetCheckResult:
    """List returns and refunds that rest in an open state and nobody has."""
    with connected(systems.engine) as connection:
        rows = unowned(connection, systems.now() - MOVED_WITHIN)
    return _verdict(rows, [row["ref"] for row in rows])


def unowned(connection: Connection, moment: datetime) -> list[dict[str, Any]]:
    """Sagas that stand still since before a moment, in a state that nothing will end.

    A return that is approved or under way has its time; a pending refund has the provider's.
    What belongs to an order is owned where the order is; a return whose refund is open waits for
    that, which is looked at by itself.
    """
    return read_rows(
        connection,
        """
        with standing as (
            select return_ref as ref, order_ref, state, state_at from core.returns
            where state not in ('closed', 'rejected', 'cancelled', 'expired', 'approved',
                'in_transit')
            union all
            select refund_ref, order_ref, state, state_at from core.refunds
            where state not in ('closed', 'refused', 'reversed', 'withdrawn', 'pending')
        )
        select s.ref, s.state from standing s
        where s.state_at < :moment
          and not exists (select from ops.exception e where e.subject_ref = s.ref
            and (e.state = 'open' or e.state = 'released'))
          and not exists (select from ops.exception e where e.subject_ref = s.order_ref
            and e.state = 'open')
          and not exists (select from core.refunds m where m.return_ref = s.ref
            and m.state not in ('closed', 'refused', 'reversed', 'withdrawn'))
          and not exists (select from ops.outbox x where x.thing_ref = s.ref
            and x.state in ('waiting', 'leased', 'unknown'))
        order by 1
        """,
        moment=moment,
    )


def _sums(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        found[row["currency"]] = found.get(row["currency"], 0) + abs(row["amount"])
    said = (f"{amount.normalize():f} {currency}" for currency, amount in sorted(found.items()))
    return {"sum": ", ".join(said)}


def _verdict(
    rows: list[dict[str, Any]],
    keys: list[str],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    **facts: Any,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not rows,
        severity=severity,
        metadata={"count": len(rows), "keys": ", ".join(keys[:MOST_KEYS]), **facts},
    )
