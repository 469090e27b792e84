"""Asking once more for what a warehouse refused, when somebody has seen to the cause."""

from datetime import datetime

from sqlalchemy import Connection, text

from resources.store import audit, exceptions, sagas, stale
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.sagas import Saga
from sync_assets.shipments.fulfilling import ON_HOLD, QUEUE, REFUSED


def replan(connection: Connection, ref: str, *, by: str, reason: str, now: datetime) -> str:
    """Let a refused request be asked for again; answers what will happen, in a few words.

    A key that was cancelled over there is used up: the units are asked for under another one.
    """
    row = _known(connection, ref)
    if row["state"] != FulfilmentState.REFUSED:
        raise NotPossible(f"{ref} is {row['state']}; only a refused one can be planned again.")
    is_used_up = row["remote_state"] == "cancelled"
    then = FulfilmentState.CANCELLED if is_used_up else FulfilmentState.PLANNED
    if row["kind"] is not None and not is_used_up:
        _forget_answer(connection, row["kind"], ref)
    step = sagas.Step(Saga.FULFILMENT, ref, row["state"], then, by, reason, "command replan")
    sagas.take(connection, [step], now)
    exceptions.reconcile(connection, [], subjects=[ref], codes=[REFUSED, ON_HOLD], now=now)
    audit.record(connection, by, "fulfilment.replanned", ref, now, note=reason)
    stale.mark(connection, QUEUE, [row["order_ref"]], now)
    if is_used_up:
        return "was cancelled there and stays so; its units are asked for under another key"
    return "is planned again and goes out with the next run"


def _known(connection: Connection, ref: str) -> dict[str, str]:
    rows = read_rows(
        connection,
        "select f.order_ref, f.state, r.kind, r.remote_state from core.fulfilment_orders f "
        "left join receipt.fulfilment_orders r on r.system = f.system and r.key = f.fulfilment_ref "
        "where f.fulfilment_ref = :ref for update of f",
        ref=ref,
    )
    if not rows:
        raise NotPossible(
            f"There is no request {ref!r}; `sync-assets fulfilments list` shows them."
        )
    return rows[0]


def _forget_answer(connection: Connection, kind: str, ref: str) -> None:
    """Let the refusal be no answer any more, and the next request count as a newer version."""
    connection.execute(
        text(
            f"update receipt.{kind}__fulfilment_orders set outcome = 'refused', "  # noqa: S608
            "remote_state = null where key = :ref"
        ),
        {"ref": ref},
    )
    connection.execute(
        text(f"update plan.{kind}__fulfilment_orders set wanted_hash = '' where key = :ref"),  # noqa: S608
        {"ref": ref},
    )
