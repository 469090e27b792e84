"""Goods that come back to ShipBob, in our words. Pure; an unknown status or action is rejected."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sync_assets.domain.returns import SeenReturn, SeenReturnLine
from sync_assets.mappers.payload import Faults, Part
from sync_assets.mappers.shipbob_reading import (
    count_of,
    latest_of,
    parts_of,
    place_of,
    sku_of,
    word_of,
)

RETURN_STATES = {
    "AwaitingArrival": "requested",
    "Arrived": "received",
    "Processing": "received",
    "Completed": "inspected",
    "Cancelled": "cancelled",
}
DISPOSITIONS = {
    "Restock": "restock_units",
    "Quarantine": "refurbish_units",
    "Dispose": "write_off_units",
}
RETURN_DATES = (
    *("insert_date", "awaiting_arrival_date", "arrived_date", "processing_date"),
    *("completed_date", "cancelled_date"),
)


def goods_back(payload: Mapping[str, Any]) -> SeenReturn:
    """Return goods that come back, with what became of each unit; raises Rejected."""
    faults = Faults("return.malformed")
    told = Part(payload, "", faults)
    state = RETURN_STATES.get(word_of(told, RETURN_STATES), "")
    arrived = [told.instant(n) for n in ("arrived_date", "processing_date") if told.body.get(n)]
    found = SeenReturn(
        remote_id=told.id("id"),
        number=told.id("id"),
        state=state,
        changed_at=latest_of(told, RETURN_DATES),
        received_at=_received_at(told, state, arrived),
        reference=_reference(told),
        warehouse=place_of(told, "fulfillment_center"),
        lines=tuple(_returned(one) for one in parts_of(told, "inventory")),
        tracking_number=told.optional("tracking_number") or None,
        reason=told.optional("return_type"),
    )
    faults.settle()
    return found


def _received_at(told: Part, state: str, arrived: list[datetime]) -> datetime | None:
    if arrived:
        return min(arrived)
    if state == "inspected" and told.body.get("completed_date"):
        return told.instant("completed_date")
    return None


def _reference(told: Part) -> str | None:
    """Our own reference, else the order it names, else the shipment it was."""
    for name in ("reference_id", "store_order_id"):
        if text := told.optional(name):
            return text
    return (
        told.id_or_none("original_shipment_id") if told.body.get("original_shipment_id") else None
    )


def _returned(item: Part) -> SeenReturnLine:
    """What was counted: nothing has arrived, for ShipBob, before something became of it."""
    units = dict.fromkeys(DISPOSITIONS.values(), 0)
    for action in parts_of(item, "action_taken"):
        word = action.optional("action")
        if word not in DISPOSITIONS:
            action.fault("action", f"{word[:40]!r} is no action we know")
            continue
        units[DISPOSITIONS[word]] += count_of(action, "quantity_processed")
    return SeenReturnLine(
        sku=sku_of(item),
        requested_units=count_of(item, "quantity"),
        received_units=sum(units.values()),
        restock_units=units["restock_units"],
        refurbish_units=units["refurbish_units"],
        write_off_units=units["write_off_units"],
    )
