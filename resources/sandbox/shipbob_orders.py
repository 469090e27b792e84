"""The orders of a ShipBob stand-in: what is taken in, how a warehouse's people move it on, and what
can be changed or called off meanwhile. How it is told over HTTP is in `shipbob_answers.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

Doc = dict[str, Any]

#: Details of a status with ShipBob's ids of them.
PICKED, PACKED, LABELED = (100, "Picked"), (101, "Packed"), (102, "Labeled")
WAITING_FOR_CARRIER, DELIVERED = (200, "Processing"), (203, "Delivered")
HOLDS = {"PaymentDeclined": 400, "InvalidAddress": 401, "MissingTarriffInformation": 404}
EXCEPTIONS = {"InactiveSku": 302, "OutOfStock": 303, "UnknownSku": 304}
TRACKING_PAGE = "https://track.example/"


class Declined(Exception):
    """What is asked for is not done; carries ShipBob's answer."""

    def __init__(self, status: int, body: Any = "") -> None:
        super().__init__(status, body)
        self.status, self.body = status, body


def invalid(name: str, text: str, status: int = 400) -> Declined:
    """A refusal that names a field."""
    return Declined(status, {name: [text]})


@dataclass
class Shipment:
    """What is packed as one box."""

    id: int
    order_id: int
    reference: str
    units: dict[str, int]
    recipient: Doc
    created_at: datetime
    updated_at: datetime
    status: str = "Processing"
    #: Id, name and what is said of it.
    details: tuple[tuple[int, str, str], ...] = ()
    carrier: str | None = None
    service: str | None = None
    tracking_number: str | None = None
    weight_oz: int = 0
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    tracked_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Nobody has its goods in hand, and it was not cancelled."""
        in_hand = {name for _, name, _ in self.details} & {"Picked", "Packed", "Labeled"}
        return self.status in ("Processing", "OnHold", "Exception", "ImportReview") and not in_hand

    @property
    def is_alive(self) -> bool:
        """Whether it was or may be shipped."""
        return self.status != "Cancelled"


@dataclass
class Order:
    """A request to ship, and the shipments it became."""

    id: int
    channel_id: int
    body: Doc
    created_at: datetime
    shipments: list[Shipment] = field(default_factory=list)
    #: When something was changed that no shipment tells.
    touched_at: datetime | None = None

    @property
    def status(self) -> str:
        """What its shipments make of it."""
        said = {one.status for one in self.shipments if one.is_alive}
        if not said:
            return "Cancelled"
        if "Completed" in said:
            return "Fulfilled" if said == {"Completed"} else "PartiallyFulfilled"
        return next((one for one in ("Exception", "ImportReview") if one in said), "Processing")

    @property
    def updated_at(self) -> datetime:
        """When it or any of its shipments changed last."""
        return max(self.touched_at or self.created_at, *(s.updated_at for s in self.shipments))


class Orders:
    """The orders of one account."""

    def __init__(self, now: Callable[[], datetime], location: int) -> None:
        self.now, self.location = now, location
        self.by_id: dict[int, Order] = {}
        self._by_reference: dict[str, int] = {}
        self._of_shipment: dict[int, int] = {}
        self._orders, self._shipments, self._labels = count(100001), count(200001), count(1)

    def add(self, body: Doc, channel_id: int) -> Order:
        """Take an order in; its reference is taken once for ever."""
        reference = body["reference_id"]
        if reference in self._by_reference:
            raise invalid("ReferenceId", "An order with this reference id exists already.", 422)
        order = Order(next(self._orders), channel_id, body, self.now())
        units: dict[str, int] = {}
        for product in body["products"]:
            name = product.get("reference_id") or str(product["id"])
            units[name] = units.get(name, 0) + product["quantity"]
        order.shipments.append(self._shipment(order, units, body["recipient"]))
        self.by_id[order.id], self._by_reference[reference] = order, order.id
        return order

    def _shipment(self, order: Order, units: dict[str, int], recipient: Doc) -> Shipment:
        now, number = self.now(), next(self._shipments)
        self._of_shipment[number] = order.id
        return Shipment(number, order.id, order.body["reference_id"], units, recipient, now, now)

    def of(self, reference: str) -> Order:
        """The order under one of our keys."""
        return self.by_id[self._by_reference[reference]]

    def holding(self, shipment_id: int) -> Order:
        """The order a shipment belongs to."""
        if shipment_id not in self._of_shipment:
            raise Declined(404)
        return self.by_id[self._of_shipment[shipment_id]]

    def shipment(self, number: int) -> Shipment:
        """One shipment."""
        for one in self.holding(number).shipments:
            if one.id == number:
                return one
        raise Declined(404)

    # What the warehouse's people do

    def pick(self, reference: str) -> None:
        """Take the goods of what is open off their shelves."""
        for shipment in self._open(reference):
            self._say(shipment, "Processing", PICKED, "Picking Completed")

    def hold(self, reference: str, reason: str, says: str, status: str) -> None:
        """Keep back what is open; `reason` is the name of a detail."""
        for shipment in self._open(reference):
            number = (HOLDS | EXCEPTIONS).get(reason, 499)
            self._say(shipment, status, (number, reason), says or reason)

    def release(self, reference: str) -> None:
        """Go on with what was kept back."""
        for shipment in self._open(reference):
            self._say(shipment, "Processing", None)

    def ship(
        self, reference: str, parcels: Sequence[Mapping[str, Any]], at: datetime | None
    ) -> list[int]:
        """Send boxes; one with `lines` that leaves something behind is split off the shipment."""
        sent = []
        for parcel in parcels:
            source = self._unsent(reference, parcel.get("lines"))
            shipment = self._split(source, parcel.get("lines"))
            shipment.carrier = parcel.get("carrier", "USPS")
            shipment.service = parcel.get("service", "Priority Mail")
            shipment.weight_oz = parcel.get("weight_oz", 12)
            fresh = f"94001000000000{next(self._labels):08d}"
            shipment.tracking_number = parcel.get("tracking_number", fresh)
            shipment.shipped_at = shipment.tracked_at = at or self.now()
            self._say(shipment, "Completed", WAITING_FOR_CARRIER, "Waiting For Carrier Pickup")
            sent.append(shipment.id)
        return sent

    def deliver(self, shipment_id: int, at: datetime | None) -> None:
        """The carrier says the customer has it."""
        shipment = self.shipment(shipment_id)
        shipment.delivered_at = shipment.tracked_at = at or self.now()
        self._say(shipment, "Completed", DELIVERED, "Shipment Delivered")

    def _open(self, reference: str) -> list[Shipment]:
        return [one for one in self.of(reference).shipments if one.is_open]

    def _unsent(self, reference: str, lines: Mapping[str, int] | None) -> Shipment:
        for one in self.of(reference).shipments:
            holds = all(one.units.get(sku, 0) >= units for sku, units in (lines or {}).items())
            if one.is_alive and one.status != "Completed" and holds:
                return one
        raise ValueError(f"no shipment of {reference} is left that holds these units")

    def _split(self, source: Shipment, lines: Mapping[str, int] | None) -> Shipment:
        left = {sku: n - (lines or source.units).get(sku, 0) for sku, n in source.units.items()}
        left = {sku: units for sku, units in left.items() if units}
        if not left:
            return source
        order = self.by_id[source.order_id]
        part = self._shipment(order, dict(lines or {}), source.recipient)
        source.units, source.updated_at = left, self.now()
        order.shipments.append(part)
        return part

    def _say(
        self, shipment: Shipment, status: str, detail: tuple[int, str] | None, says: str = ""
    ) -> None:
        shipment.status, shipment.updated_at = status, self.now()
        shipment.details = ((*detail, says),) if detail else ()

    # What can be asked of it later

    def cancel(self, order: Order) -> dict[int, str | None]:
        """Call off what is open; answers why not, by shipment."""
        if order.status in ("Cancelled", "Fulfilled"):
            raise invalid("Order", f"The order is {order.status} and cannot be cancelled.", 422)
        told: dict[int, str | None] = {}
        for shipment in order.shipments:
            if shipment.is_open:
                self._say(shipment, "Cancelled", None)
                told[shipment.id] = None
            elif shipment.is_alive:
                told[shipment.id] = "The shipment is picked already."
        return told

    def move(self, shipment: Shipment, body: Doc) -> str | None:
        """Send it elsewhere; answers why not."""
        if not shipment.is_open:
            return "The shipment can no longer be changed."
        shipment.recipient = {
            "name": body.get("recipient_name") or shipment.recipient["name"],
            "email": body.get("email"),
            "phone_number": body.get("phone_number"),
            "address": {
                "address1": body["street_address1"],
                "address2": body.get("street_address2"),
                "company_name": body.get("company_name"),
                "city": body["city"],
                "state": body.get("state"),
                "zip_code": body.get("zip_code"),
                "country": body.get("country_code") or shipment.recipient["address"]["country"],
            },
        }
        shipment.updated_at = self.now()
        return None

    def set_units(self, shipment: Shipment, units: dict[str, int]) -> str | None:
        """Ship other numbers of the same articles; answers why not."""
        if not shipment.is_open:
            return "The shipment can no longer be changed."
        if set(units) != set(shipment.units) or min(units.values()) < 1:
            return "The list of line items is not complete."
        shipment.units, shipment.updated_at = units, self.now()
        return None
