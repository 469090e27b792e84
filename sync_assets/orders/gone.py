"""What core makes of an order that is gone from its shop for good: it ends, and a person is told
where an ERP has accepted it.

How it comes to light is in `scanning.py`.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from resources.store.exceptions import Exceptional
from resources.store.frames import read_rows, scalar
from resources.wiring import Systems
from sync_assets.domain.exception_kinds import VANISHED
from sync_assets.domain.orders import OrderState, Problem, order_ref
from sync_assets.trouble import exceptional

#: How a version reached us that says an order is gone: its payload is the shop's refusal.
VIA = "gone"
#: An order that the shop deleted for good ends as one in the trash does; its own word tells which.
DELETED = {"state": OrderState.TRASHED.value, "shop_status": "deleted"}


def last_said(connection: Connection, version: dict[str, Any]) -> str:
    """What the shop said of an order; of one that is gone, what it said last, "" for nothing."""
    if version["via"] != VIA:
        return str(version["payload"])
    said = scalar(
        connection,
        "select payload::text from raw.woocommerce__orders where source = :source "
        "and resource_id = :id and via <> :gone order by changed_at desc, version desc limit 1",
        source=version["source"],
        id=version["resource_id"],
        gone=VIA,
    )
    return str(said or "")


def end_unreadable(
    connection: Connection,
    versions: list[dict[str, Any]],
    accepted: Mapping[str, Any],
    rejected: dict[str, list[Problem]],
    run_id: str | None,
) -> None:
    """End orders that are gone and whose last version says nothing we can read, as core has them.

    That they could not be read no longer matters: nobody will send a better version.
    """
    for version in versions:
        ref = order_ref(version["source"], version["resource_id"])
        if version["via"] == VIA and ref not in accepted:
            rejected.pop(ref, None)
            values = {**DELETED, "ref": ref, "version": version["version"], "run": run_id}
            connection.execute(text(_END), values)


_END = """
with was as (
    select order_ref, state, changed_at from core.orders where order_ref = :ref for update
), told as (
    insert into core.order_changes
        (order_ref, raw_version, changed_at, field, before, after, run_id)
    select order_ref, :version, changed_at, 'state', state, :state, :run from was
    where state <> :state
    on conflict do nothing
)
update core.orders o set state = :state, shop_status = :shop_status, raw_version = :version,
    run_id = :run
from was where o.order_ref = was.order_ref
"""


def vanished(
    connection: Connection, systems: Systems, refs_of: Mapping[str, dict[str, Any]]
) -> list[Exceptional]:
    """Orders that are gone from their shop although an ERP has accepted them."""
    message = "the shop deleted it for good after the ERP accepted it; it is cancelled there"
    rows = read_rows(
        connection,
        "select o.order_ref, o.total_amount, o.currency from core.orders o "
        "join receipt.sales_orders r on r.order_ref = o.order_ref and r.outcome = 'accepted' "
        "where o.order_ref = any(:refs)",
        refs=[ref for ref, version in refs_of.items() if version["via"] == VIA],
    )
    return [
        exceptional(
            Problem(VANISHED, "order", message),
            row["order_ref"],
            systems.settings.service_levels,
            sender_ref=refs_of[row["order_ref"]]["resource_id"],
            version=refs_of[row["order_ref"]]["version"],
            amount=row["total_amount"],
            currency=row["currency"],
        )
        for row in rows
    ]
