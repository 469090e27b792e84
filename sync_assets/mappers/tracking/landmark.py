"""Landmark Global (XML): numbered events; times American with a 12-hour clock, or ISO, zoneless.

Both kinds of time occur in answers of the same service. `TrackingNumber` is the number of who
delivers, which is what the customer is told.
"""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import IN_CUSTOMS, Words, coded, phrases

CODES = {
    **coded(ParcelState.LABEL_CREATED, "50 60 75 80 100"),
    "125": IN_CUSTOMS,
    "200": ParcelState.IN_TRANSIT,
    "225": ParcelState.IN_TRANSIT,
    "250": IN_CUSTOMS,
    "275": ParcelState.IN_TRANSIT,
    "300": ParcelState.OUT_FOR_DELIVERY,
    "400": ParcelState.DELIVERY_FAILED,
    "500": ParcelState.DELIVERED,
    "900": ParcelState.DELIVERY_FAILED,
}
WORDS = Words(
    codes=CODES,
    phrases=phrases(
        (ParcelState.LABEL_CREATED, ("Shipment Data Uploaded", "Shipment Processed")),
        (IN_CUSTOMS, ("Customs Cleared", "Customs Clearance in Progress")),
        (ParcelState.IN_TRANSIT, ("Item in transit with carrier", "US in Transit")),
        (ParcelState.OUT_FOR_DELIVERY, ("Item out for delivery",)),
        (ParcelState.DELIVERY_FAILED, ("Attempted delivery", "Delivery failed")),
        (ParcelState.DELIVERED, ("Item successfully delivered",)),
    ),
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each package, or what Landmark says instead."""
    for error in root.many("Errors", "Error"):
        failure = Failure(error.text("ErrorMessage"), error.text("ErrorCode"))
        yield Parcel("", failure=failure)
    for package in root.many("Result", "Packages", "Package"):
        yield Parcel(
            number_of(package.text("TrackingNumber"), package.text("LandmarkTrackingNumber")),
            events=tuple(_event(one, zone) for one in package.many("Events", "Event")),
        )


def _event(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("Status"),
        code=told.text("EventCode"),
        at=moment(told.text("DateTime"), zone),
        place=told.text("Location"),
    )


CARRIER = Carrier("xml", parcels, WORDS)
