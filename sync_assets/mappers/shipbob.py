"""Requests to ship in ShipBob's words, and its orders and shipments in ours. Pure.

A shipment comes as the object the client composes: the shipment as sent and, beside it, what its
order says (`resources/systems/shipbob.py`). Its statuses are tables; an unknown one is rejected.
Returns are in `shipbob_returns.py`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.fulfilment import FulfilmentOrder, SeenFulfilment
from sync_assets.domain.money import rounded
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment
from sync_assets.mappers.payload import Faults, Part
from sync_assets.mappers.shipbob_reading import (
    count_of,
    latest_of,
    parts_of,
    pieces_of,
    place_of,
    sku_of,
    word_of,
)
from sync_assets.mappers.shipbob_returns import goods_back

__all__ = ["fulfilment_order", "goods_back", "hinted", "hinted_kind", "seen", "shipment"]

Payload = dict[str, Any]

GRAMS_PER_OUNCE = Decimal("28.349523125")

#: What an order as a whole says; what its shipments say may be nearer to the truth.
ORDER_STATES = {
    "ImportReview": "waiting",
    "Processing": "acknowledged",
    "Exception": "on_hold",
    "PartiallyFulfilled": "part_shipped",
    "Fulfilled": "shipped",
    "Cancelled": "cancelled",
}
#: What a shipment says: our state of the shipment, and how its order stands while it says so.
SHIPMENT_STATES = {
    "None": ("packed", "acknowledged"),
    "ImportReview": ("packed", "waiting"),
    "Processing": ("packed", "acknowledged"),
    "Exception": ("packed", "on_hold"),
    "OnHold": ("packed", "on_hold"),
    "LabeledCreated": ("packed", "picking"),
    "Completed": ("shipped", "shipped"),
    "Cancelled": ("cancelled", "cancelled"),
    # Swept out of the queue: closed there without being shipped.
    "CleanSweeped": ("cancelled", "cancelled"),
}
#: States of an order that its shipments cannot tell better.
SETTLED = frozenset({"waiting", "part_shipped", "shipped", "cancelled"})
#: Details of a shipment in process that say somebody has its goods in hand.
IN_HAND = frozenset({"Picked", "Packed", "Labeled"})

SHIPMENT_DATES = ("created_date", "last_update_at", "last_tracking_update_at")

#: What webhooks tell of, by the beginning of their topic; the longest that fits counts.
TOLD_OF = {"order.shipment.": "shipment", "order.": "order", "return.": "return"}


# What it shall ship


def fulfilment_order(document: FulfilmentOrder, *, shipping_method: str) -> Payload:
    """Return the order to create; `shipping_method` is for those whose policy names no service.

    Lines of one article are one product there. When it must leave cannot be said.
    """
    faults = Faults("fulfilment.malformed")
    body: Payload = {
        "reference_id": document.key,
        "order_number": document.order_number,
        "type": "DTC",
        "shipping_method": document.service or shipping_method,
        "purchase_date": document.placed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "recipient": _recipient(document.ship_to, faults),
        "products": _products(document),
    }
    if document.warehouse:
        body["location_id"] = _location(document.warehouse, faults)
    if document.note:
        body["tags"] = [{"name": "note", "value": document.note}]
    if not body["products"]:
        faults.note("lines", "are none")
    faults.settle()
    return body


def _recipient(address: Address, faults: Faults) -> Payload:
    name = address.name.strip() or address.company.strip()
    must = {"name": name, "street": address.street, "city": address.city}
    for part, text in {**must, "country": address.country}.items():
        if not text.strip():
            faults.note(f"ship_to.{part}", "is empty, and ShipBob ships to no such address")
    return {
        "name": name,
        "email": address.email.strip() or None,
        "phone_number": address.phone.strip() or None,
        "address": {
            "address1": address.street.strip(),
            "address2": address.street2.strip() or None,
            "company_name": address.company.strip() or None,
            "city": address.city.strip(),
            "state": address.region.strip() or None,
            "zip_code": address.postcode.strip() or None,
            "country": address.country.strip(),
        },
    }


def _products(document: FulfilmentOrder) -> list[Payload]:
    """One product for each article, at the mean price of its lines."""
    units, value, names = Counter[str](), dict[str, Decimal](), dict[str, str]()
    for line in document.lines:
        units[line.sku] += line.units
        value[line.sku] = value.get(line.sku, Decimal()) + line.units * line.unit_amount
        names.setdefault(line.sku, line.description or line.sku)
    return [
        {
            "reference_id": sku,
            "name": names[sku],
            "quantity": count,
            "unit_price": rounded(value[sku] / count, 4),
        }
        for sku, count in units.items()
        if count
    ]


def _location(code: str, faults: Faults) -> int:
    if code.isascii() and code.isdecimal():
        return int(code)
    faults.note("warehouse", "is no number, as ShipBob's ids of fulfilment centers are")
    return 0


# What it says of requests


def seen(payload: Mapping[str, Any]) -> SeenFulfilment:
    """Return how an order stands; raises Rejected."""
    faults = Faults("fulfilment.malformed")
    order = Part(payload, "", faults)
    state = word_of(order, ORDER_STATES)
    shipments = parts_of(order, "shipments")
    found = SeenFulfilment(
        key=order.text("reference_id"),
        remote_id=order.id("id"),
        number=order.optional("order_number") or None,
        state=_nearer(ORDER_STATES.get(state, ""), shipments),
        units=_meant(order, shipments),
        reason="; ".join(dict.fromkeys(_reasons(shipments))),
        payload=payload,
    )
    faults.settle()
    return found


def _nearer(state: str, shipments: list[Part]) -> str:
    """The state of an order by its shipments, where it is not settled by itself."""
    if state in SETTLED:
        return state
    told = {SHIPMENT_STATES.get(word_of(one, SHIPMENT_STATES), ("", ""))[1] for one in shipments}
    told -= {"cancelled"}
    if "shipped" in told:
        return "shipped" if told == {"shipped"} else "part_shipped"
    if "on_hold" in told or state == "on_hold":
        return "on_hold"
    in_hand = any(one.optional("name") in IN_HAND for s in shipments for one in _details(s))
    return "picking" if in_hand or "picking" in told else state


def _reasons(shipments: list[Part]) -> Iterator[str]:
    """What is said of shipments that wait for somebody."""
    for shipment in shipments:
        if shipment.body.get("status") in ("OnHold", "Exception"):
            for one in _details(shipment):
                yield one.optional("description") or one.optional("name")


def _details(shipment: Part) -> list[Part]:
    return parts_of(shipment, "status_details")


def _meant(order: Part, shipments: list[Part]) -> dict[str, int]:
    """Units by article: of the shipments where they tell them, else what was ordered."""
    alive = [one for one in shipments if _state_of(one) != "cancelled"]
    counted = Counter[str]()
    for shipment in alive:
        for product in parts_of(shipment, "products"):
            units = pieces_of(product)
            if units is None:
                return _ordered(order)
            counted[sku_of(product)] += units
    return dict(counted) if alive else _ordered(order)


def _ordered(order: Part) -> dict[str, int]:
    counted = Counter[str]()
    for product in parts_of(order, "products"):
        counted[sku_of(product)] += count_of(product, "quantity")
    return dict(counted)


# What it says of shipments


def shipment(payload: Mapping[str, Any]) -> SeenShipment:
    """Return one shipment of an order; raises Rejected.

    `packed` is whatever has not left, from the moment ShipBob means to ship it.
    """
    faults = Faults("shipment.malformed")
    whole = Part(payload, "", faults)
    order, told = whole.part("order"), whole.part("shipment")
    status = word_of(told, SHIPMENT_STATES)
    state = SHIPMENT_STATES.get(status, ("packed", ""))[0]
    changed_at = latest_of(told, SHIPMENT_DATES)
    parcels = _parcels(told)
    lines = tuple(_shipped(whole, order, told, bool(parcels)))
    is_cancelled = state == "cancelled"
    found = SeenShipment(
        remote_id=told.id("id"),
        number=told.id("id"),
        state=state,
        changed_at=changed_at,
        shipped_at=_left(told) or changed_at if state == "shipped" else None,
        reference=order.optional("reference_id") or order.optional("order_number") or None,
        warehouse=place_of(told, "location"),
        lines=() if is_cancelled else lines,
        parcels=() if is_cancelled else parcels,
        cancelled=_summed(lines) if is_cancelled else {},
    )
    faults.settle()
    return found


def _shipped(whole: Part, order: Part, told: Part, has_parcel: bool) -> Iterator[SeenLine]:
    for product in parts_of(told, "products"):
        units = pieces_of(product)
        if units is None:
            units = _bundles(whole, order, product)
        if units:
            yield SeenLine(sku_of(product), units, parcel=0 if has_parcel else None)


def _bundles(whole: Part, order: Part, product: Part) -> int:
    """Units of a bundle: those ordered, if all of the order is in this shipment."""
    if whole.body.get("shipments") != 1:
        product.fault("inventory_items", "are of a bundle in a split order: nobody tells how many")
        return 0
    return _ordered(order).get(sku_of(product), 0)


def _parcels(told: Part) -> tuple[SeenParcel, ...]:
    """The one parcel a shipment is, once there is a label."""
    if told.body.get("tracking") is None:
        return ()
    tracking = told.part("tracking")
    number = tracking.optional("tracking_number").strip() or None
    carrier = tracking.optional("carrier")
    if not number and not carrier:
        return ()
    return (
        SeenParcel(number, carrier, tracking.optional("tracking_url") or None, _weight_g(told)),
    )


def _weight_g(told: Part) -> Decimal | None:
    """The weight; nothing weighed is said as 0."""
    if told.body.get("measurements") is None:
        return None
    measures = told.part("measurements")
    if measures.body.get("total_weight_oz") is None:
        return None
    ounces = measures.measure("total_weight_oz")
    return rounded(ounces * GRAMS_PER_OUNCE, 2) if ounces > 0 else None


def _left(told: Part) -> datetime | None:
    """When it left: by the carrier's papers, else when it was packed and labelled."""
    if told.body.get("tracking") is not None:
        tracking = told.part("tracking")
        if tracking.body.get("shipping_date") is not None:
            return tracking.instant("shipping_date")
    if told.body.get("actual_fulfillment_date") is not None:
        return told.instant("actual_fulfillment_date")
    return None


def _state_of(told: Part) -> str:
    return SHIPMENT_STATES.get(str(told.body.get("status")), ("", ""))[0]


def _summed(lines: tuple[SeenLine, ...]) -> dict[str, int]:
    counted = Counter[str]()
    for line in lines:
        counted[line.sku] += line.units
    return dict(counted)


# Webhooks


def hinted_kind(topic: str) -> str | None:
    """What a webhook tells of: shipment, order or return; None: nothing of ours."""
    return next((kind for begin, kind in TOLD_OF.items() if topic.startswith(begin)), None)


def hinted(topic: str, body: Mapping[str, Any]) -> str | None:
    """The id a webhook names, to be read again by; None: nothing of ours.

    One that tells of a whole order names it as `order:100001`, which stands for its shipments.
    """
    kind, value = hinted_kind(topic), body.get("id")
    if kind is None or isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    if not (text.isascii() and text.isdecimal() and int(text)):
        return None
    return f"order:{text}" if kind == "order" else text
