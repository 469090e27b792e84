"""Our deliveries and goods that came back in Odoo's words, and Odoo's parcels in ours. Pure.

What a composed parcel holds is said in `resources/systems/odoo_parcels.py`; numbers in it are text.
Odoo's order lines keep no key of ours that we may read, so lines are told apart by SKU only.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sync_assets.domain.fulfilment import Delivery, SeenDelivery, SeenFulfilment
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.returns import Restock, SeenRestock, SeenReturn, SeenReturnLine
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment
from sync_assets.mappers.odoo import MOMENT
from sync_assets.mappers.odoo_stock import number

Payload = Mapping[str, Any]

SHIPMENT_STATE = {
    "draft": "packed",
    "waiting": "packed",
    "confirmed": "packed",
    "assigned": "packed",
    "done": "shipped",
    "cancel": "cancelled",
}
RETURN_STATE = {
    "draft": "requested",
    "waiting": "requested",
    "confirmed": "requested",
    "assigned": "requested",
    "done": "received",
    "cancel": "cancelled",
}


# Ours in Odoo's words


def delivery(document: Delivery) -> dict[str, Any]:
    """Return what `put_deliveries` needs to post what left of one order."""
    return {
        "key": document.key,
        "order": document.order_id,
        "warehouse": document.warehouse,
        "tracking": ",".join(dict.fromkeys(document.tracking_numbers)),
        "units": _counted((line.sku, line.units) for line in document.lines),
        "last": document.is_last,
    }


def restock(document: Restock) -> dict[str, Any]:
    """Return what `put_restocks` needs to book goods that came back of one order."""
    lines = document.lines
    return {
        "key": document.key,
        "order": document.order_id,
        "warehouse": document.warehouse,
        "restock": _counted((line.sku, line.restock_units) for line in lines),
        "refurbish": _counted((line.sku, line.refurbish_units) for line in lines),
        "write_off": _counted((line.sku, line.write_off_units) for line in lines),
    }


def _counted(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for sku, units in pairs:
        found[sku] += units
    return {sku: units for sku, units in found.items() if units}


# What Odoo holds of ours


def seen_delivery(payload: Payload) -> SeenDelivery:
    """Return what Odoo holds of a delivery of ours; units are by SKU."""
    return SeenDelivery(
        key=payload["key"],
        remote_id=int(payload["id"]),
        number=payload["name"] or None,
        state=payload["state"],
        units=dict(payload["units"]),
        payload=dict(payload),
    )


def seen_restock(payload: Payload) -> SeenRestock:
    """Return what Odoo holds of goods that came back, whoever booked them."""
    return SeenRestock(
        key=payload["key"],
        remote_id=int(payload["id"]),
        number=payload["name"] or None,
        state=payload["state"],
        units=dict(payload["units"]),
        payload=dict(payload),
    )


# What Odoo's own warehouse did


def is_ours(payload: Payload) -> bool:
    """Whether a parcel is a posting of ours, so that it tells nothing new."""
    return bool(payload["ours"])


def shipment(payload: Payload) -> SeenShipment:
    """Return a parcel to a customer; units of a kit are whole kits."""
    try:
        state = _state(SHIPMENT_STATE, payload)
        numbers = _tracking(payload)
        lines = tuple(_shipped_lines(payload, state, is_alone=len(numbers) == 1))
        return SeenShipment(
            remote_id=str(payload["id"]),
            number=payload["name"] or None,
            state=state,
            changed_at=_moment(payload["write_date"]),
            shipped_at=_moment(payload["date_done"]) if state == "shipped" else None,
            reference=_reference(payload),
            warehouse=payload["warehouse"] or "",
            lines=lines,
            parcels=tuple(SeenParcel(one, payload["carrier"] or "") for one in numbers),
            cancelled=_counted((line.sku, line.units) for line in lines if state == "cancelled"),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as fault:
        raise _unreadable("parcel", fault) from fault


def _shipped_lines(payload: Payload, state: str, *, is_alone: bool) -> Iterator[SeenLine]:
    of = "quantity" if state == "shipped" else "demand"
    place = 0 if is_alone else None
    for sku, units in _units(payload, of, state == "cancelled"):
        yield SeenLine(sku=sku, units=units, parcel=place)


def goods_back(payload: Payload) -> SeenReturn:
    """Return a parcel from a customer; what is done was taken to where it points."""
    try:
        state = _state(RETURN_STATE, payload)
        is_done = state == "received"
        units = _units(payload, "quantity" if is_done else "demand", state == "cancelled")
        return SeenReturn(
            remote_id=str(payload["id"]),
            number=payload["name"] or None,
            state=state,
            changed_at=_moment(payload["write_date"]),
            received_at=_moment(payload["date_done"]) if is_done else None,
            reference=payload["ours"] or _reference(payload) or payload["return_of_name"],
            warehouse=payload["warehouse"] or "",
            lines=tuple(
                SeenReturnLine(sku=sku, requested_units=count, received_units=count * is_done)
                for sku, count in units
            ),
            tracking_number=next(iter(_tracking(payload)), None),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as fault:
        raise _unreadable("return", fault) from fault


def seen(payload: Iterable[Payload]) -> SeenFulfilment:
    """Return what Odoo's warehouse makes of one order, from all its parcels to the customer."""
    parcels = list(payload)
    if not parcels:
        raise Rejected([Problem("thing.malformed", "parcels", "the order has no parcel")])
    try:
        states = {_state(SHIPMENT_STATE, parcel) for parcel in parcels}
        first = parcels[0]
        return SeenFulfilment(
            key=_reference(first) or "",
            remote_id=str(first["id"]),
            number=first["name"] or None,
            state=_fulfilment_state(states),
            units=_total(parcels),
            payload={"parcels": [dict(parcel) for parcel in parcels]},
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as fault:
        raise _unreadable("parcel", fault) from fault


def _fulfilment_state(states: set[str]) -> str:
    """Where all parcels together stand; a cancelled rest leaves the others as they are."""
    if "shipped" in states:
        return "part_shipped" if "packed" in states else "shipped"
    return "acknowledged" if "packed" in states else "cancelled"


def _total(parcels: Iterable[Payload]) -> dict[str, int]:
    """Units by SKU that left or are still meant to leave."""
    total: Counter[str] = Counter()
    for parcel in parcels:
        if parcel["state"] != "cancel":
            of = "quantity" if parcel["state"] == "done" else "demand"
            for sku, units in _units(parcel, of, with_cancelled=False):
                total[sku] += units
    return dict(total)


# Reading a parcel


def _units(payload: Payload, of: str, with_cancelled: bool) -> list[tuple[str, int]]:
    """Whole units by SKU, lines of the order first, then what nobody ordered."""
    moved: dict[tuple[int | None, int], Decimal] = defaultdict(Decimal)
    skus: dict[int, str] = {}
    for move in payload["moves"]:
        if with_cancelled or move["state"] != "cancel":
            moved[move["line"], move["product"]] += number(move[of])
            skus[move["product"]] = _sku(move)
    found: list[tuple[str, int]] = []
    for line in payload["lines"]:
        parts = [(part["product"], number(part["per_unit"])) for part in line["contents"]]
        units = min(int(moved.get((line["id"], item), 0) // per_unit) for item, per_unit in parts)
        found.append((_sku(line), units))
    loose = [(item, amount) for (line_id, item), amount in moved.items() if line_id is None]
    found += [(skus[item], int(amount)) for item, amount in loose]
    return [(sku, units) for sku, units in found if units > 0]


def _sku(part: Payload) -> str:
    if not part["sku"]:
        text = "an item of the parcel has no article code"
        raise Rejected([Problem("thing.malformed", "sku", text)])
    return str(part["sku"])


def _state(table: Mapping[str, str], payload: Payload) -> str:
    word = payload["state"]
    if word not in table:
        text = f"Odoo calls the parcel {word!r}, a word we do not know"
        raise Rejected([Problem("thing.malformed", "state", text)])
    return table[word]


def _reference(payload: Payload) -> str | None:
    """Our order_ref, else the number Odoo gave the order."""
    order = payload["order"] or {}
    return order.get("reference") or order.get("name") or None


def _tracking(payload: Payload) -> list[str]:
    """Tracking numbers; people part them by comma or semicolon."""
    text = (payload["tracking"] or "").replace(";", ",")
    return list(dict.fromkeys(filter(None, (one.strip() for one in text.split(",")))))


def _moment(text: str) -> datetime:
    return datetime.strptime(text, MOMENT).replace(tzinfo=UTC)


def _unreadable(what: str, fault: Exception) -> Rejected:
    text = f"the {what} cannot be read ({type(fault).__name__})"
    return Rejected([Problem("thing.malformed", what, text)])
