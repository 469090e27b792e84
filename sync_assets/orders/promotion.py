"""From plan to outbox: what is to be sent is on disk before anything is sent.

A plan is a table and may change; what it no longer wants is taken back here, unless it may have
had an effect already.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from resources.store import exceptions, outbox
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.exception_kinds import SENDING_CODES

#: Documents held in memory at once.
CHUNK = 500


def promote(systems: Systems, kind: str, erp: str) -> int:
    """Put what was planned into the outbox; answers how many writes wait because of it."""
    now = systems.now()
    with (
        connected(systems.engine) as connection,
        one_at_a_time(connection, f"promote {erp}"),
    ):
        taken = _take_back(connection, kind, erp, now)
        count, after = 0, ""
        while True:
            query = _PLANNED.format(kind=kind)
            planned = read_rows(connection, query, erp=erp, taken=taken, after=after, limit=CHUNK)
            if not planned:
                return count
            count += outbox.intend(connection, erp, [_intended(row) for row in planned], now)
            after = planned[-1]["order_ref"]


def _take_back(connection: Connection, kind: str, erp: str, now: datetime) -> list[str]:
    """End writes that the plan no longer wants; answers whose."""
    rows = read_rows(connection, _UNWANTED.format(kind=kind), erp=erp, now=now)
    if not rows:
        return []
    outbox.take_back(connection, [row["id"] for row in rows], now)
    things = [row["thing_ref"] for row in rows]
    exceptions.reconcile(
        connection,
        [],
        subjects=things,
        codes=exceptions.open_codes(connection, things, SENDING_CODES),
        now=now,
    )
    return things


#: What had no effect is simply withdrawn. What may have had one is, once the order has ended,
#: followed by a cancel, which looks first; otherwise it goes on as if it were accepted already.
_UNWANTED = """
select x.id, x.thing_ref
from ops.outbox x join plan.{kind}__sales_orders p
    on p.system = x.system and p.order_ref = x.thing_ref
where x.system = :erp and x.operation in ('sales_order.create', 'sales_order.cancel')
  and x.operation <> 'sales_order.' || p.action
  and (x.state = 'waiting'
       or x.state = 'parked' and 'sales_order.cancel' in (x.operation, 'sales_order.' || p.action)
       or p.action = 'cancel' and (x.state = 'unknown'
            or x.state = 'leased' and x.lease_until <= :now))
order by x.id for update of x
"""

#: Creates and cancels not under way or done.
_PLANNED = """
select p.order_ref, p.action, p.wanted, p.wanted_hash, p.core_version
from plan.{kind}__sales_orders p
left join receipt.{kind}__sales_orders r using (system, order_ref)
left join ops.outbox x on x.system = p.system and x.thing_ref = p.order_ref
    and x.business_key = 'sales_order.' || p.action || ':' || p.order_ref
    and x.state in ('waiting', 'leased', 'unknown', 'parked') and x.wanted_hash = p.wanted_hash
where p.system = :erp and x.id is null and p.order_ref > :after
  and (p.action = 'create' and r.order_ref is null
       or p.action = 'cancel' and (r.outcome = 'accepted'
            or r.order_ref is null and p.order_ref = any(:taken)))
order by p.order_ref limit :limit
"""


def _intended(row: dict[str, Any]) -> outbox.Intended:
    cancel = row["action"] == "cancel"
    return outbox.Intended(
        operation=f"sales_order.{row['action']}",
        thing_ref=row["order_ref"],
        payload=row["wanted"],
        wanted_hash=row["wanted_hash"],
        core_version=row["core_version"],
        lane=outbox.LANES["cancel" if cancel else "order"],
        correlation_id=uuid.uuid4().hex,
    )
