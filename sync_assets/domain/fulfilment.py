"""What a warehouse is asked to ship, and what an ERP is told was shipped: documents in our words.

Plans store them as JSON, mappers turn them into a system's payloads, and what a system shows comes
back as `Seen…` to be compared. Units are whole pieces.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sync_assets.domain.sales import Address, Document


class FulfilmentState(StrEnum):
    """Where an order's request to one warehouse stands."""

    PLANNED = "planned"  # allocated, not sent
    HELD = "held"  # a person or a rule keeps it back
    RELEASED = "released"  # to be sent, or sent and not answered
    ACKNOWLEDGED = "acknowledged"  # the warehouse has it
    PART_SHIPPED = "part_shipped"
    SHIPPED = "shipped"
    SHORT = "short"  # part was shipped, and the rest will not be
    CANCEL_REQUESTED = "cancel_requested"  # the warehouse may have picked it already
    CANCELLED = "cancelled"
    REFUSED = "refused"  # the warehouse will not ship it; a person decides


class FulfilmentLine(Document):
    """Units of one order line that a warehouse shall ship."""

    key: str  # our line_ref
    sku: str
    description: str
    units: int
    #: What one piece cost without tax, for customs and insurance.
    unit_amount: Decimal


class FulfilmentOrder(Document):
    """What one warehouse shall ship of one order."""

    key: str  # our fulfilment_ref, "us:1042:f1"
    order_ref: str
    store: str
    order_number: str
    #: The warehouse's own code of the place; empty where a system has one place only.
    warehouse: str
    placed_at: datetime
    ship_by_at: datetime | None = None
    currency: str
    ship_to: Address
    #: The customer's choice, in the shop's words.
    shipping_method: str = ""
    #: Carrier and service by policy, in the warehouse's words; empty leaves it to the warehouse.
    carrier: str = ""
    service: str = ""
    note: str = ""
    lines: tuple[FulfilmentLine, ...]


@dataclass(frozen=True)
class SeenFulfilment:
    """What a warehouse holds under our key."""

    key: str
    remote_id: str
    number: str | None
    #: waiting (asked for, not taken in yet), acknowledged, picking, on_hold, part_shipped, shipped,
    #: cancelled, refused
    state: str
    #: Units by SKU it means to ship, where it says so: a change that did not arrive shows here.
    units: Mapping[str, int] | None = None
    reason: str = ""  # why it is on hold or refused, in its words
    payload: Mapping[str, object] = field(default_factory=dict)


# ---------------------------------------------------------------- told to the ERP


class DeliveryLine(Document):
    """Units of one order line that left."""

    key: str  # our line_ref
    sku: str
    units: int


class Delivery(Document):
    """One order's part of one shipment, to be posted in the ERP."""

    key: str  # shipment_ref and order, "north:5512/us:1042"
    order_ref: str
    #: The ERP's id of its sales order.
    order_id: int
    #: The ERP's code of the warehouse the goods left; empty: the order's own.
    warehouse: str = ""
    shipped_at: datetime
    carrier: str = ""
    tracking_numbers: tuple[str, ...] = ()
    lines: tuple[DeliveryLine, ...]
    #: Nothing more of the order will be shipped: what is still open there is to be cancelled.
    is_last: bool = False


@dataclass(frozen=True)
class SeenDelivery:
    """What the ERP holds of a delivery of ours."""

    key: str
    remote_id: int
    number: str | None
    state: str  # begun (marked, not moved), done, cancelled
    #: Units by our line_ref, as far as the ERP shows which line it was; else by SKU.
    units: Mapping[str, int]
    payload: Mapping[str, object] = field(default_factory=dict)


# ---------------------------------------------------------------- told to the shop


class NoticeLine(Document):
    """Units of one order line in a parcel."""

    line_id: int  # the shop's id of the line
    units: int


class ShippingNotice(Document):
    """One order's part of one shipment, to be shown to the customer."""

    key: str  # as of the delivery
    order_ref: str = ""
    order_id: int  # the shop's id of the order
    shipped_at: datetime
    carrier: str = ""  # our code of it; empty when nobody said
    carrier_name: str = ""  # for people
    tracking_numbers: tuple[str, ...] = ()
    tracking_urls: tuple[str, ...] = ()
    lines: tuple[NoticeLine, ...]


@dataclass(frozen=True)
class SeenNotice:
    """What the shop shows of a notice of ours."""

    key: str
    remote_id: str
    way: str  # fulfilment, note
    tracking_numbers: tuple[str, ...] = ()
