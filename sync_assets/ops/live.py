"""The demo that keeps going: shops sell and send webhooks, the deployment runs as `up` runs it, and
each order is told with the seconds it took.
"""

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

from resources.store import postgres
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.ops import host, supervision
from sync_assets.ops.console import out

LOOK_SECONDS = 0.2


def follow(
    systems: Systems,
    place: postgres.Databases,
    *,
    port: int | None,
    ui: bool,
    say: Callable[[str], None],
) -> None:
    """Run the deployment and tell every order that arrives in the ERP, until Ctrl-C."""
    plan = supervision.plan(
        place,
        port=port or host.free_port(),
        code_port=host.free_port(),
        receiver_port=systems.settings.receiver.port,
        ui=ui,
    )
    supervisor = supervision.Supervisor(
        plan.parts, say, revive=supervision.reviver(), is_up=supervision.prober(place, plan)
    )
    names = ", ".join(part.name for part in plan.parts)
    out.print(f"Starting {names}: about twenty seconds. Ctrl-C ends everything.")
    for what, where in (("Dagster UI", plan.url), ("Receiver", plan.receiver)):
        if where:
            out.print(f"  {what}: {where}")
    since = datetime.now(UTC)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            supervisor.look()
            since = _tell(systems, since)
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        out.print("Ending.")
    finally:
        supervisor.end()


def _tell(systems: Systems, since: datetime) -> datetime:
    """Print what the ERP accepted after `since`; answers up to when."""
    try:
        with connected(systems.engine) as connection:
            rows = read_rows(connection, _ARRIVED, since=since)
    except postgres.DatabaseUnavailable:
        return since
    for row in rows:
        took = (row["answered_at"] - row["first_at"]).total_seconds()
        how = "webhook" if row["via"] == "webhook" else "asked for"
        out.print(
            f"{row['answered_at']:%H:%M:%S}  {row['order_ref']} is {row['remote_number']} in "
            f"{row['system']}, {took:.1f} s after we heard of it ({how})"
        )
    return rows[-1]["answered_at"] if rows else since


#: When we first heard of an order: the delivery that named it, or the reading that found it.
_ARRIVED = """
select r.order_ref, r.system, r.remote_number, r.answered_at, v.via, coalesce((
    select min(i.received_at) from ops.inbox i
    where i.store = split_part(r.order_ref, ':', 1) and i.topic like 'order.%'
      and i.resource_id = split_part(r.order_ref, ':', 2)), v.received_at) as first_at
from receipt.sales_orders r
cross join lateral (
    select via, received_at from raw.woocommerce__orders w
    where w.source = split_part(r.order_ref, ':', 1)
      and w.resource_id = split_part(r.order_ref, ':', 2)
    order by version limit 1) v
where r.answered_at > :since and r.outcome = 'accepted'
order by r.answered_at, r.order_ref
"""
