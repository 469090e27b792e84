"""Odoo's stock in our words: levels in whole pieces, moves that were done. Pure; 18 and 19."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any

from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.stock import MovementKind
from sync_assets.mappers.odoo import MOMENT

Payload = Mapping[str, Any]

#: Uses of a place: the two where goods are still ours, on a shelf or between two warehouses.
OURS = ("internal", "transit")
KNOWN = (*OURS, "supplier", "customer", "inventory", "production", "view")


def stock_level(payload: Payload) -> Row:
    """Return a level in whole pieces: part of one on hand does not count, part of one asked does.

    Odoo lets demand and what is set apart fall below zero for a moment; less than none is none.
    """
    try:
        return {
            "item_id": int(payload["id"]),
            "sku": payload["sku"] or None,
            "warehouse": str(payload["warehouse"]),
            "on_hand_units": _down(payload["on_hand"]),
            "allocated_units": max(0, _up(payload["allocated"])),
            "quarantined_units": max(0, _up(payload["quarantined"])),
            "incoming_units": max(0, _down(payload["incoming"])),
        }
    except (KeyError, TypeError, ValueError, InvalidOperation) as fault:
        raise _unreadable("stock level", fault) from fault


def stock_movement(payload: Payload, system: str) -> Row | None:
    """Return a move that was done and crossed a warehouse's door; None for any other."""
    try:
        if payload["state"] != "done" or not _crosses(payload):
            return None
        source, target = payload["from"], payload["to"]
        return {
            "movement_ref": f"{system}:{int(payload['id'])}",
            "system": system,
            "item_id": int(payload["item"]),
            "sku": payload["sku"] or None,
            "kind": _kind(payload).value,
            "from_warehouse": _warehouse(source),
            "to_warehouse": _warehouse(target),
            "units": _up(_done(payload)),
            "moved_at": datetime.strptime(payload["date"], MOMENT).replace(tzinfo=UTC),
            "origin": payload.get("origin") or payload.get("reference") or None,
        }
    except (KeyError, TypeError, ValueError, InvalidOperation) as fault:
        raise _unreadable("stock move", fault) from fault


def _crosses(payload: Payload) -> bool:
    """Whether stock of a warehouse changed: steps from shelf to shelf inside one do not count."""
    source, target = payload["from"], payload["to"]
    for place in (source, target):
        if place["usage"] not in KNOWN:
            text = f"Odoo calls a place {place['usage']!r}, a word we do not know"
            raise Rejected([Problem("thing.malformed", "place", text)])
    if source["usage"] in OURS and target["usage"] in OURS:
        return _warehouse(source) != _warehouse(target)
    return source["usage"] in OURS or target["usage"] in OURS


def _kind(payload: Payload) -> MovementKind:
    """Why it moved, by the places first: parcels may be made by hand."""
    source, target = payload["from"]["usage"], payload["to"]["usage"]
    if source in OURS and target in OURS:
        return MovementKind.TRANSFER
    if payload.get("scrapped") or payload.get("scrap_id"):
        return MovementKind.SCRAP
    if source in ("customer", "supplier"):
        return MovementKind.RETURN if source == "customer" else MovementKind.RECEIPT
    if target == "customer":
        at_counter = payload.get("over_the_counter")
        return MovementKind.STORE_SALE if at_counter else MovementKind.SHIPMENT
    # Counted, made, used up, or given back to a vendor: nobody bought it.
    return MovementKind.ADJUSTMENT


def _warehouse(place: Payload) -> str | None:
    return (place["warehouse"] or None) if place["usage"] in OURS else None


def _done(payload: Payload) -> Decimal:
    """What moved, in the item's own unit: a move may be written in dozens."""
    quantity, demand = _exact(payload["quantity"]), _exact(payload["product_uom_qty"])
    own = _exact(payload["product_qty"])
    return quantity * own / demand if demand and own else quantity


def _down(value: object) -> int:
    return int(_exact(value).to_integral_value(ROUND_FLOOR))


def _up(value: object) -> int:
    return int(_exact(value).to_integral_value(ROUND_CEILING))


def _exact(value: object) -> Decimal:
    """A number without the noise of binary sums: 4.999999999999999 is 5 and not 4 pieces."""
    return number(value).quantize(Decimal("0.000001"))


def number(value: object) -> Decimal:
    """Return an exact number; kept payloads hold it as text, `false` for a missing one is 0."""
    if not isinstance(value, int | Decimal | str):
        raise TypeError("a number must arrive as a decimal")
    exact = Decimal(value)
    if not exact.is_finite():
        raise ValueError("a number must be finite")
    return exact


def _unreadable(what: str, fault: Exception) -> Rejected:
    text = f"the {what} cannot be read ({type(fault).__name__})"
    return Rejected([Problem("thing.malformed", what, text)])
