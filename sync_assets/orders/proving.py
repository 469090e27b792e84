"""Whether the ERP shows what a person says was mended there; asked before an exception is closed.

Only for what no step looks at again by itself. Nothing is written to the ERP.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.store.engine import connected
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Rejected
from sync_assets.domain.sales import SeenOrder
from sync_assets.mappers import ERP_MAPPERS


@dataclass(frozen=True)
class Carried:
    """An edit of the shop that a person carried into the ERP, as seen there."""

    kind: str
    system: str
    order_ref: str
    core_version: int
    wanted_hash: str
    seen: SeenOrder


def ask(systems: Systems, code: str, order_ref: str) -> Carried | None:
    """Ask the ERP whether the cause is gone; raises `NotPossible` where it is not."""
    if code == "order.stock_unconfirmed":
        _ask_for_stock(systems, order_ref)
        return None
    return _ask_for_edit(systems, order_ref)


def _ask_for_stock(systems: Systems, order_ref: str) -> None:
    with connected(systems.engine) as connection:
        receipts = read_rows(
            connection,
            "select system, remote_id from receipt.sales_orders "
            "where order_ref = :ref and outcome = 'accepted' and remote_id is not null",
            ref=order_ref,
        )
    for receipt in receipts:
        with systems.erp(receipt["system"]) as client:
            short = client.unconfirmed_stock([receipt["remote_id"]])
        if short:
            raise NotPossible(
                f"{receipt['system']} still has not reserved all units of {order_ref}. Give it the "
                "stock, or cancel the order in the shop."
            )


def _ask_for_edit(systems: Systems, order_ref: str) -> Carried | None:
    with connected(systems.engine) as connection:
        found = read_rows(
            connection,
            "select p.erp_kind, p.system, p.wanted is null as is_unmade, p.wanted_hash, "
            "p.core_version, p.amount, p.currency, r.outcome from plan.sales_orders p "
            "join receipt.sales_orders r using (system, order_ref) "
            "where p.order_ref = :ref and p.action = 'conflict'",
            ref=order_ref,
        )
    if not found:  # decided otherwise meanwhile; the next run closes it
        return None
    (plan,) = found
    erp = plan["system"]
    if plan["outcome"] == "cancelled":
        raise NotPossible(
            f"{erp} cancelled {order_ref}, and the shop still wants it. Cancel it in the shop; the "
            "next run then closes the exception."
        )
    if plan["is_unmade"]:
        raise NotPossible(
            f"{order_ref} was edited into something {erp} cannot hold; correct the order in the "
            f"shop. `sync-assets trace {order_ref}` shows what changed."
        )
    seen = _seen(systems, plan, order_ref)
    return Carried(
        plan["erp_kind"], erp, order_ref, plan["core_version"], plan["wanted_hash"], seen
    )


def _seen(systems: Systems, plan: dict[str, Any], order_ref: str) -> SeenOrder:
    """The ERP's order, confirmed and worth what the shop says."""
    erp = plan["system"]
    with systems.erp(erp) as client:
        payload = client.orders([order_ref]).get(order_ref)
    if payload is None:
        raise NotPossible(f"{erp} does not hold {order_ref} any more.")
    try:
        seen: SeenOrder = ERP_MAPPERS[plan["erp_kind"]].seen(payload)
    except Rejected as refusal:
        raise NotPossible(
            f"{erp} shows {order_ref} as we cannot read it: {refusal.problems[0].message}."
        ) from refusal
    if seen.state != "confirmed":
        raise NotPossible(f"{erp} shows {order_ref} as {seen.state}; confirm it there first.")
    digits = digits_of(plan["currency"])
    ours, theirs = rounded(plan["amount"], digits), rounded(seen.total_amount, digits)
    if ours != theirs:
        raise NotPossible(
            f"The shop's {order_ref} is worth {ours} {plan['currency']}, {erp} still shows "
            f"{theirs}. Carry the edit into {erp} first."
        )
    return seen


def settle(connection: Connection, carried: Carried, now: datetime) -> None:
    """Write down that the ERP holds the newest version, so that no plan finds a difference."""
    values = {
        "system": carried.system,
        "ref": carried.order_ref,
        "version": carried.core_version,
        "hash": carried.wanted_hash,
        "total": carried.seen.total_amount,
        "payload": json.dumps(carried.seen.payload, default=str),
        "now": now,
    }
    planned = connection.execute(
        text(
            f"update plan.{carried.kind}__sales_orders set action = 'none', wanted = null, "  # noqa: S608
            "reason = 'carried into the ERP by hand' where system = :system "
            "and order_ref = :ref and core_version = :version and action = 'conflict'"
        ),
        values,
    )
    if not planned.rowcount:
        raise NotPossible(f"{carried.order_ref} was planned anew meanwhile; look at it again.")
    connection.execute(
        text(
            f"update receipt.{carried.kind}__sales_orders set core_version = :version, "  # noqa: S608
            "wanted_hash = :hash, total_amount = :total, payload = cast(:payload as jsonb), "
            "answered_at = :now where system = :system and order_ref = :ref"
        ),
        values,
    )
