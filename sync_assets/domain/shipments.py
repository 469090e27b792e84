"""What left a warehouse, as we hold it: the canonical tables, and what every mapper hands over.

A shipment is what one warehouse sent at one time; its lines may belong to several orders, and its
goods lie in parcels. What became of a parcel is told by carriers (`tracking.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import pandas as pd
import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Money, Table
from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.tracking import ParcelState

UNITS = {"unit": "each"}
#: A shipment's own state; parcels have theirs.
SHIPMENT_STATES = ("packed", "shipped", "cancelled")


class FulfilmentOrders(Table):
    """One row per order and request to a warehouse to ship part or all of it."""

    fulfilment_ref: str = pa.Field(description="Our key: order and a running number, `us:1042:f1`")
    order_ref: str = pa.Field(description="The order")
    store: str = pa.Field(description="Our name of the store")
    location: str = pa.Field(description="Our name of the place it ships from")
    system: str = pa.Field(description="The system that is told")
    state: str = pa.Field(isin=list(FulfilmentState), description="Where the request stands")
    state_at: Instant = pa.Field(description="Since when")
    ship_by_at: Instant = pa.Field(nullable=True, description="Promised to leave by then")
    release_at: Instant = pa.Field(description="Not sent before: customers change their mind")
    planned_at: Instant = pa.Field(description="When the place was chosen")
    reason: str = pa.Field(description="Why this place, in a few words")
    core_version: int = pa.Field(description="Version of the order it was made from")

    class Config(Table.Config):
        unique = ["fulfilment_ref"]


class FulfilmentLines(Table):
    """One row per request to a warehouse and order line."""

    fulfilment_ref: str = pa.Field(description="The request")
    line_ref: str = pa.Field(description="The order line")
    order_ref: str = pa.Field(description="The order")
    sku: str = pa.Field(description="Seller's article code")
    units: int = pa.Field(ge=0, metadata=UNITS, description="Units it shall ship")

    class Config(Table.Config):
        unique = ["fulfilment_ref", "line_ref"]


class Shipments(Table):
    """One row per shipment a warehouse or ERP told of."""

    shipment_ref: str = pa.Field(description="Our key: system and its id, `north:5512`")
    system: str = pa.Field(description="Who told it")
    remote_number: str = pa.Field(nullable=True, description="The number people see there")
    location: str = pa.Field(nullable=True, description="Our name of the place it left")
    state: str = pa.Field(isin=SHIPMENT_STATES, description="packed, shipped or cancelled")
    shipped_at: Instant = pa.Field(nullable=True, description="When it left")
    carrier: str = pa.Field(nullable=True, description="Our code of the carrier")
    carrier_words: str = pa.Field(description="What the warehouse called the carrier")
    told_reference: str = pa.Field(nullable=True, description="The order or request it names")
    changed_at: Instant = pa.Field(description="When it last changed there")
    raw_version: int = pa.Field(description="Version in the raw table it came from")

    class Config(Table.Config):
        unique = ["shipment_ref"]


class ShipmentLines(Table):
    """One row per shipment and line: which units of which order went in which parcel."""

    shipment_ref: str = pa.Field(description="The shipment")
    line_no: int = pa.Field(ge=0, description="Place within the shipment, from 0")
    order_ref: str = pa.Field(nullable=True, description="The order; nothing while nobody knows")
    fulfilment_ref: str = pa.Field(nullable=True, description="The request it answers")
    line_ref: str = pa.Field(nullable=True, description="The order line")
    sku: str = pa.Field(description="Seller's article code, as the warehouse said it")
    units: int = pa.Field(ge=0, metadata=UNITS, description="Units that left")
    is_cancelled: bool = pa.Field(description="The warehouse says it will not ship these units")
    parcel_ref: str = pa.Field(nullable=True, description="The parcel they lie in")

    class Config(Table.Config):
        unique = ["shipment_ref", "line_no"]


class Parcels(Table):
    """One row per parcel: what is known of it from the warehouse and from the carrier."""

    parcel_ref: str = pa.Field(description="Our key: `parcel:` and the tracking number, folded")
    tracking_number: str = pa.Field(nullable=True, description="As the warehouse wrote it")
    carrier: str = pa.Field(nullable=True, description="Our code of the carrier")
    carrier_words: str = pa.Field(description="What the sender called the carrier")
    tracking_url: str = pa.Field(nullable=True, description="Where the customer can look")
    weight_g: Money = pa.Field(nullable=True, metadata={"unit": "g"}, description="Weight")
    state: str = pa.Field(isin=list(ParcelState), description="Where it is, in our words")
    state_at: Instant = pa.Field(nullable=True, description="When it came there")
    delivered_at: Instant = pa.Field(nullable=True, description="When the customer had it")
    is_return: bool = pa.Field(description="On its way back to us")

    class Config(Table.Config):
        unique = ["parcel_ref"]


class TrackingEvents(Table):
    """One row per thing a carrier said about a parcel."""

    event_ref: str = pa.Field(description="Digest of parcel, time and the carrier's own words")
    parcel_ref: str = pa.Field(description="The parcel")
    carrier: str = pa.Field(nullable=True, description="Our code of the carrier")
    tracking_number: str = pa.Field(description="As the carrier wrote it")
    state: str = pa.Field(isin=list(ParcelState), description="In our words")
    is_known: bool = pa.Field(description="Whether the carrier's word is in our table")
    code: str = pa.Field(nullable=True, description="The carrier's own code")
    words: str = pa.Field(description="The carrier's own words")
    happened_at: Instant = pa.Field(description="When")
    has_zone: bool = pa.Field(description="Whether the carrier said in which time zone")
    place: str = pa.Field(nullable=True, description="Where, as the carrier said it")
    told_by: str = pa.Field(description="System we have it from")
    raw_version: pd.Int64Dtype = pa.Field(nullable=True, description="Version it came from")

    class Config(Table.Config):
        unique = ["event_ref"]


# ---------------------------------------------------------------- what mappers hand over


@dataclass(frozen=True)
class SeenParcel:
    """A parcel as a warehouse told of it."""

    tracking_number: str | None
    carrier_words: str = ""
    tracking_url: str | None = None
    weight_g: Decimal | None = None


@dataclass(frozen=True)
class SeenLine:
    """Units in a shipment; what names the order line is whatever the system knows of it."""

    sku: str
    units: int
    #: Our line_ref, if the system keeps it.
    line_key: str | None = None
    #: Our fulfilment_ref or order_ref, or the order number, if this line has one of its own.
    reference: str | None = None
    #: Place of its parcel in the shipment's list; none: the only one, or unknown.
    parcel: int | None = None


@dataclass(frozen=True)
class SeenShipment:
    """A shipment as a system told of it, in our words."""

    remote_id: str
    number: str | None
    state: str  # packed, shipped, cancelled
    changed_at: datetime
    shipped_at: datetime | None
    #: Our fulfilment_ref or order_ref, or whatever order number it names.
    reference: str | None
    #: The system's own code of the place it left.
    warehouse: str
    lines: tuple[SeenLine, ...]
    parcels: tuple[SeenParcel, ...] = ()
    #: Units by SKU that it says it will not ship any more.
    cancelled: Mapping[str, int] = field(default_factory=dict)


def shipment_ref(system: str, remote_id: str | int) -> str:
    """Our key of a shipment."""
    return f"{system}:{remote_id}"
