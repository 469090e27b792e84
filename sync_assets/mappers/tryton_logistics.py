"""Our deliveries and goods that came back in Tryton's words, and its shipments in ours. Pure.

What a composed shipment holds is said in `resources/systems/tryton_shipments.py`. Tryton keeps no
key of our order lines, so lines are told apart by SKU only; it knows the day something left, which
we take for noon of that day in UTC.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from sync_assets.domain.fulfilment import Delivery, SeenDelivery, SeenFulfilment
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.returns import Restock, SeenRestock, SeenReturn, SeenReturnLine
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment
from sync_assets.mappers.payload import Faults, Part

Payload = Mapping[str, Any]

SHIPMENT_STATE = {
    "draft": "packed",
    "waiting": "packed",
    "assigned": "packed",
    "picked": "packed",
    "packed": "packed",
    "shipped": "shipped",
    "done": "shipped",
    "cancelled": "cancelled",
}
#: How far a warehouse is with a shipment that has not left.
PROGRESS = {
    "draft": "waiting",
    "waiting": "acknowledged",
    "assigned": "acknowledged",
    "picked": "picking",
    "packed": "picking",
}
RETURN_STATE = {
    "draft": "requested",
    "received": "received",
    "done": "inspected",
    "cancelled": "cancelled",
}
WRITE_OFF = "/write_off"


# Ours in Tryton's words


def delivery(document: Delivery) -> dict[str, Any]:
    """Return what `put_deliveries` needs to post what left of one order."""
    return {
        "key": document.key,
        "order_ref": document.order_ref,
        "order": document.order_id,
        "warehouse": document.warehouse,
        "shipped_on": document.shipped_at.astimezone(UTC).date().isoformat(),
        "tracking_numbers": list(dict.fromkeys(document.tracking_numbers)),
        "lines": [{"sku": line.sku, "units": line.units} for line in document.lines],
        "is_last": document.is_last,
    }


def restock(document: Restock) -> dict[str, Any]:
    """Return what `put_restocks` needs to book goods that came back of one order."""
    return {
        "key": document.key,
        "order_ref": document.order_ref,
        "order": document.order_id,
        "warehouse": document.warehouse,
        "received_on": document.received_on.isoformat(),
        "lines": [
            {
                "sku": line.sku,
                "restock": line.restock_units,
                "refurbish": line.refurbish_units,
                "write_off": line.write_off_units,
            }
            for line in document.lines
        ],
    }


# What Tryton holds of ours


def seen_delivery(payload: Payload) -> SeenDelivery:
    """Return what Tryton holds of a delivery of ours; units by SKU, only those that have left."""
    shipments = payload["shipments"]
    wanted: Counter[str] = Counter()
    for line in payload["lines"]:
        wanted[line["sku"]] += line["units"]
    left: Counter[str] = Counter()
    for one in shipments:
        if one["state"] == "done":
            left.update(one["units"])
    return SeenDelivery(
        key=payload["key"],
        remote_id=int(shipments[0]["id"]),
        number=shipments[0]["number"] or None,
        state=_delivery_state(payload, is_whole=+left == +wanted),
        units=dict(+left),
        payload=dict(payload),
    )


def _delivery_state(payload: Payload, *, is_whole: bool) -> str:
    if all(one["state"] == "cancelled" for one in payload["shipments"]):
        return "cancelled"
    return "done" if is_whole and payload["is_settled"] else "begun"


def seen_restock(payload: Payload) -> SeenRestock:
    """Return what Tryton holds of goods that came back, whoever booked them.

    A receipt of somebody else that is not counted as ours yet is begun: `put_restocks` adopts it.
    """
    first = payload["receipts"][0]
    state = "done" if payload["is_complete"] else "begun"
    return SeenRestock(
        key=payload["key"],
        remote_id=int(first["id"]),
        number=first["number"] or None,
        state="cancelled" if payload["is_cancelled"] else state,
        units=dict(payload["taken_back"]),
        payload=dict(payload),
    )


# What Tryton's own warehouse did


def is_ours(payload: Payload) -> bool:
    """Whether a shipment or return is a posting of ours, so that it tells nothing new."""
    return bool(payload["ours"])


def shipment(payload: Payload) -> SeenShipment:
    """Return a delivery; what was cancelled and will not be replaced is told apart."""
    faults = Faults("thing.malformed")
    whole = Part(payload, "", faults)
    state = _state(whole, SHIPMENT_STATE)
    numbers = _texts(whole, "tracking_numbers")
    changed_at = whole.instant("changed_at")
    moves = whole.parts("moves")
    given_up = [part for part in moves if part.body.get("exception") == "ignored"]
    kept = [part for part in moves if part not in given_up and _is_part_of(part, state)]
    references = _references(whole)
    cancelled: Counter[str] = Counter()
    for part in given_up:
        cancelled[_sku(part)] += _units(part)
    found = SeenShipment(
        remote_id=whole.id("id"),
        number=whole.word("number"),
        state=state,
        changed_at=changed_at,
        shipped_at=_moment(whole, changed_at) if state == "shipped" else None,
        reference=next(iter(references.values())) if len(references) == 1 else None,
        warehouse=whole.blank("warehouse"),
        lines=tuple(_line(part, references, is_alone=len(numbers) == 1) for part in kept),
        parcels=tuple(SeenParcel(one, whole.optional("carrier")) for one in numbers),
        cancelled=dict(cancelled),
    )
    faults.settle()
    return found


def _is_part_of(move: Part, state: str) -> bool:
    """A move called off on its own is no part of a shipment that goes on."""
    return state == "cancelled" or move.body.get("state") != "cancelled"


def _line(part: Part, references: Mapping[int, str], *, is_alone: bool) -> SeenLine:
    order = part.body.get("order")
    return SeenLine(
        sku=_sku(part),
        units=_units(part),
        reference=references.get(order) if isinstance(order, int) else None,
        parcel=0 if is_alone else None,
    )


def goods_back(payload: Payload) -> SeenReturn:
    """Return goods that come back; the place they lie in says what becomes of them."""
    faults = Faults("thing.malformed")
    whole = Part(payload, "", faults)
    state = _state(whole, RETURN_STATE)
    references = _references(whole)
    told = whole.optional("reference")
    changed_at = whole.instant("changed_at")
    is_there = state in ("received", "inspected")
    only = next(iter(references.values())) if len(references) == 1 else None
    found = SeenReturn(
        remote_id=whole.id("id"),
        number=whole.word("number"),
        state=state,
        changed_at=changed_at,
        received_at=_moment(whole, changed_at) if is_there else None,
        reference=whole.word("ours") or only or told or None,
        warehouse=whole.blank("warehouse"),
        lines=tuple(
            _returned(part, is_lost=told.endswith(WRITE_OFF)) for part in whole.parts("moves")
        ),
    )
    faults.settle()
    return found


def _returned(part: Part, *, is_lost: bool) -> SeenReturnLine:
    units = _units(part)
    became: Counter[str] = Counter()
    is_received = part.body.get("state") == "done"
    for place in part.parts("places"):
        if is_received and place.body.get("state") == "done":
            became["write_off" if is_lost else _becomes(place)] += _units(place)
    return SeenReturnLine(
        sku=_sku(part),
        requested_units=units,
        received_units=units if is_received else 0,
        restock_units=became["restock"],
        refurbish_units=became["refurbish"],
        write_off_units=became["write_off"],
    )


def _becomes(place: Part) -> str:
    if place.flag("is_waste") or place.text("type") == "lost_found":
        return "write_off"
    return "refurbish" if place.flag("is_apart") else "restock"


def seen(payload: Iterable[Payload]) -> SeenFulfilment:
    """Return what Tryton's warehouse makes of one order, from all its deliveries."""
    shipments = list(payload)
    if not shipments:
        raise Rejected([Problem("thing.malformed", "shipments", "the order has no delivery")])
    told = [shipment(one) for one in shipments]
    units: Counter[str] = Counter()
    for one in told:
        if one.state != "cancelled":
            for line in one.lines:
                units[line.sku] += line.units
    first = told[0]
    return SeenFulfilment(
        key=first.reference or "",
        remote_id=first.remote_id,
        number=first.number,
        state=_fulfilment_state(shipments),
        units=dict(units),
        payload={"shipments": [dict(one) for one in shipments]},
    )


def _fulfilment_state(shipments: Iterable[Payload]) -> str:
    """Where all deliveries together stand; a cancelled rest leaves the others as they are."""
    words = {one["state"] for one in shipments}
    shipped = {word for word in words if SHIPMENT_STATE[word] == "shipped"}
    ahead = {PROGRESS[word] for word in words if word in PROGRESS}
    if shipped:
        return "part_shipped" if ahead else "shipped"
    return next(
        (word for word in ("picking", "acknowledged", "waiting") if word in ahead), "cancelled"
    )


# Reading a shipment


def _state(part: Part, table: Mapping[str, str]) -> str:
    word = part.text("state")
    if word not in table:
        part.fault("state", f"is {word[:40]!r}, a word we do not know")
    return table.get(word, "")


def _references(whole: Part) -> dict[int, str]:
    """Our order_ref, else the number Tryton gave the order, by the id of its sale."""
    found: dict[int, str] = {}
    for order in whole.parts("orders"):
        named = order.word("key") or order.word("reference") or order.word("number")
        if named:
            found[int(order.id("id") or 0)] = named
    return found


def _sku(part: Part) -> str:
    sku = part.word("sku") or ""
    if not sku:
        part.fault("sku", "is missing: the product has no code")
    return sku


def _units(part: Part) -> int:
    units = part.measure("units")
    if units < 0 or units != units.to_integral_value():
        part.fault("units", "is no whole number of units")
    return int(units)


def _texts(part: Part, key: str) -> list[str]:
    found = part.body.get(key)
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return found
    part.fault(key, "is not a list of texts")
    return []


def _moment(part: Part, changed_at: datetime) -> datetime:
    """Noon of the effective day, the same day nearly everywhere; never after the last change."""
    text = part.word("effective_date")
    try:
        noon = datetime.combine(date.fromisoformat(text), time(12), UTC) if text else changed_at
    except ValueError:
        part.fault("effective_date", "is not a day")
        return changed_at
    return min(noon, changed_at)
