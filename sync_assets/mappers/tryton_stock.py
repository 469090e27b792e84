"""Tryton's stock in our words: levels of a product in a warehouse, and moves that are done. Pure.

Quantities there are in the product's unit of measure and may be parts of one; ours are whole
pieces, and never more than there are.
"""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sync_assets.domain.orders import Row
from sync_assets.domain.stock import MovementKind
from sync_assets.mappers.payload import Faults, Part

Payload = Mapping[str, Any]

STATES = ("staging", "draft", "assigned", "done", "cancelled")
#: Kind of a move by the types of the places it joins; None is not our stock.
KIND_OF: Mapping[tuple[str, str], MovementKind] = {
    ("supplier", "storage"): MovementKind.RECEIPT,
    ("storage", "supplier"): MovementKind.RETURN,
    ("storage", "customer"): MovementKind.SHIPMENT,
    ("customer", "storage"): MovementKind.RETURN,
    ("storage", "lost_found"): MovementKind.ADJUSTMENT,
    ("lost_found", "storage"): MovementKind.ADJUSTMENT,
    ("storage", "storage"): MovementKind.TRANSFER,
    ("storage", "production"): MovementKind.TRANSFER,
    ("production", "storage"): MovementKind.TRANSFER,
    ("storage", "rental"): MovementKind.TRANSFER,
    ("rental", "storage"): MovementKind.TRANSFER,
    ("storage", "drop"): MovementKind.TRANSFER,
    ("drop", "storage"): MovementKind.TRANSFER,
}
OUTSIDE = ("supplier", "customer", "lost_found", "production", "rental", "drop")
#: How the origin of a sale over the counter starts.
COUNTER = "sale.point."


def stock_level(payload: Payload) -> Row:
    """Return what a warehouse holds of a product; part of a piece on hand does not count."""
    faults = Faults("stock.malformed")
    level = Part(payload, "", faults)
    row = {
        "item_id": int(level.id("id") or 0),
        "sku": level.word("sku"),
        "warehouse": level.text("warehouse"),
        "on_hand_units": math.floor(level.measure("on_hand")),
        "allocated_units": _at_least_nothing(math.ceil(level.measure("allocated"))),
        "quarantined_units": _at_least_nothing(math.ceil(level.measure("quarantined"))),
        "incoming_units": _at_least_nothing(math.floor(level.measure("incoming"))),
    }
    faults.settle()
    return row


def _at_least_nothing(units: int) -> int:
    """A place may be booked below zero; less than nothing is not kept from sale there."""
    return max(units, 0)


def stock_movement(payload: Payload, system: str) -> Row | None:
    """Return a move that is done and crosses a warehouse's door; None for any other."""
    faults = Faults("stock.malformed")
    move = Part(payload, "", faults)
    state = move.text("state")
    if state not in STATES:
        move.fault("state", "is a word we do not know")
    start, end = move.part("from_place"), move.part("to_place")
    kind = _kind(move, start, end) if state == "done" else None
    if kind is None:
        faults.settle()
        return None
    row = {
        "movement_ref": f"{system}:{move.id('id')}",
        "system": system,
        "item_id": int(move.id("product") or 0),
        "sku": move.part("product.").word("code"),
        "kind": kind.value,
        "from_warehouse": start.word("warehouse"),
        "to_warehouse": end.word("warehouse"),
        "units": _units(move.measure("internal_quantity"), start),
        "moved_at": _moved_at(move),
        "origin": move.word("shipment") or move.word("origin"),
    }
    faults.settle()
    return row


def _kind(move: Part, start: Part, end: Part) -> MovementKind | None:
    pair = start.text("type"), end.text("type")
    if pair[0] in OUTSIDE and pair[1] in OUTSIDE:
        return None
    if pair == ("storage", "storage") and start.word("warehouse") == end.word("warehouse"):
        return None  # from shelf to shelf
    kind = KIND_OF.get(pair)
    if kind is None:
        move.fault("to_place", "is of a type that we do not know")
    if kind is MovementKind.SHIPMENT and (move.word("origin") or "").startswith(COUNTER):
        return MovementKind.STORE_SALE
    if pair[1] == "lost_found" and end.body.get("is_waste"):
        return MovementKind.SCRAP
    return kind


def _units(quantity: Decimal, start: Part) -> int:
    """Whole pieces: what leaves us counts whole, part of a piece that comes in does not."""
    whole = math.ceil(quantity) if start.body.get("type") == "storage" else math.floor(quantity)
    return _at_least_nothing(whole)


def _moved_at(move: Part) -> datetime:
    """When it was last touched, but not after the day it took effect: later changes are book work.

    Only the day of the effect is kept there, in the company's time zone.
    """
    touched = move.instant("last_modified_at")
    text = move.optional("effective_date")
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        move.fault("effective_date", "is not a day")
        day = None
    if day is None:
        return touched
    return min(touched, datetime.combine(day + timedelta(days=1), time(), UTC))
