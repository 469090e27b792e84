"""From the rows of an order to the facts by which `domain/waiting.py` says whom it waits for."""

from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.domain.tracking import ParcelState
from sync_assets.domain.waiting_facts import (
    Facts,
    GoodsBack,
    MoneyBack,
    MoneyDue,
    OpenException,
    OpenWrite,
    Parcel,
    Request,
    Rest,
    Units,
)
from sync_assets.ops.trace_things import Row, Things, of

_UNITS = ("ordered", "cancelled", "requested", "shipped", "delivered", "returned")


def resting(connection: Connection) -> tuple[Rest, ...]:
    """Systems nobody may ask now."""
    rows = read_rows(
        connection,
        "select system, state, reason, changed_at, until from ops.system where state <> 'running'",
    )
    return tuple(
        Rest(row["system"], row["state"], row["reason"], row["changed_at"], row["until"])
        for row in rows
    )


def facts_of(
    order_ref: str,
    things: Things,
    *,
    versions: list[Row],
    writes: list[Row],
    exceptions: list[Row],
    rests: tuple[Rest, ...],
    money: tuple[MoneyDue, ...] = (),
) -> Facts:
    """What is known of one order, as far as it decides whom the order waits for."""
    mine = {key for key, owners in things.owners.items() if order_ref in owners}
    order = next(iter(of(order_ref, things.orders)), Row())
    unmapped = [
        row["at"]
        for row in of(order_ref, versions)
        if row["noun"] == "order" and row["mapped_at"] is None
    ]
    return Facts(
        order_ref=order_ref,
        store=order.get("store") or order_ref.partition(":")[0],
        pipeline_state=order.get("pipeline_state"),
        placed_at=order.get("paid_at") or order.get("placed_at"),
        accepted_at=order.get("accepted_at"),
        provider=order.get("payment_method") or "",
        unmapped_since=min(unmapped, default=None),
        exceptions=tuple(_exception(row) for row in exceptions if _is_open(row, mine)),
        writes=tuple(_write(row) for row in writes if _is_open_write(row, mine)),
        rests=rests,
        requests=tuple(_request(row) for row in of(order_ref, things.requests)),
        parcels=tuple(_parcels(order_ref, things)),
        returns=tuple(_return(row) for row in of(order_ref, things.returns)),
        refunds=tuple(_refund(row) for row in of(order_ref, things.refunds)),
        money=money,
        lines=tuple(
            Units(*(int(row[f"{name}_units"]) for name in _UNITS))
            for row in of(order_ref, things.lines)
            if row["ordered_units"] is not None
        ),
    )


def _is_open(row: Row, mine: set[str]) -> bool:
    return row["state"] == "open" and row["subject_ref"] in mine


def _exception(row: Row) -> OpenException:
    return OpenException(
        id=row["id"],
        code=row["code"],
        subject_ref=row["subject_ref"],
        owner_role=row["owner_role"],
        blocks=row["blocks"],
        opened_at=row["opened_at"],
    )


def _is_open_write(row: Row, mine: set[str]) -> bool:
    return row["state"] not in ("done", "refused") and row["thing_ref"] in mine


def _write(row: Row) -> OpenWrite:
    return OpenWrite(
        system=row["system"],
        operation=row["operation"],
        thing_ref=row["thing_ref"],
        state=row["state"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        error_class=row["error_class"],
    )


def _request(row: Row) -> Request:
    return Request(
        row["fulfilment_ref"], row["system"], row["state"], row["state_at"], row["release_at"]
    )


def _parcels(order_ref: str, things: Things) -> list[Parcel]:
    """Parcels that left, and those that returns come in, each once."""
    found = {
        row["parcel_ref"]: _parcel(row, left_at=row["shipped_at"], is_return=row["is_return"])
        for row in of(order_ref, things.shipped)
        if row["parcel_ref"] and row["state"] == "shipped"
    }
    for row in of(order_ref, things.returns):
        if row["parcel_state"]:
            found[row["parcel_ref"]] = _parcel(row, left_at=row["requested_at"], is_return=True)
    return list(found.values())


def _parcel(row: Row, **more: Any) -> Parcel:
    return Parcel(
        parcel_ref=row["parcel_ref"],
        tracking_number=row["tracking_number"] or row["parcel_ref"],
        carrier=row["parcel_carrier"] or "",
        state=row["parcel_state"] or ParcelState.UNKNOWN,
        state_at=row["parcel_state_at"],
        **more,
    )


def _return(row: Row) -> GoodsBack:
    return GoodsBack(
        row["return_ref"],
        row["state"],
        row["state_at"],
        row["location"] or "",
        row.get("parcel_ref"),
    )


def _refund(row: Row) -> MoneyBack:
    return MoneyBack(row["refund_ref"], row["state"], row["state_at"], row["return_ref"])
