"""USPS (Tracking API v3, JSON), domestic and international alike: event codes, GMT beside local.

`GMTTimestamp` is exact to the second where `eventTimestamp` is cut to the minute, so it counts.
"""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words, coded, phrases

CODES = {
    **coded(ParcelState.LABEL_CREATED, "GX MA TM"),
    **coded(ParcelState.PICKED_UP, "03 80 PA OA"),
    **coded(ParcelState.IN_TRANSIT, "06 07 08 10 15 41 42 81 82 A1 EF NT PC SF T1 TL"),
    "OF": ParcelState.OUT_FOR_DELIVERY,
    **coded(ParcelState.DELIVERY_FAILED, "02 30 51 52 53 54 55 56 71"),
    **coded(ParcelState.AVAILABLE_FOR_PICKUP, "14 16"),
    **coded(ParcelState.DELIVERED, "01 17"),
    **coded(ParcelState.RETURNING, "09 21 22 23 24 25 26 27 28 29 31"),
    **coded(ParcelState.EXCEPTION, "04 05 11 44 DX"),
}
WORDS = Words(
    codes=CODES,
    phrases=phrases(
        (
            ParcelState.LABEL_CREATED,
            (
                "Shipping Label Created, USPS Awaiting Item",
                "Pre-Shipment Info Sent to USPS, USPS Awaiting Item",
            ),
        ),
        (ParcelState.PICKED_UP, ("USPS in possession of item", "USPS picked up item")),
        (
            ParcelState.IN_TRANSIT,
            (
                "In Transit to Next Facility",
                "Arrived at USPS Regional Facility",
                "Departed USPS Regional Facility",
                "Arrived at Post Office",
                "Departed Post Office",
            ),
        ),
        (ParcelState.OUT_FOR_DELIVERY, ("Out for Delivery",)),
        (
            ParcelState.DELIVERED,
            (
                "Delivered",
                "Delivered, Parcel Locker",
                "Delivered, In/At Mailbox",
                "Delivered, Front Door/Porch",
                "Delivered, Left with Individual",
                "Delivered, PO Box",
            ),
        ),
    ),
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one parcel asked for, or what USPS says instead."""
    error = root.one("error")
    if error.one("message") or error.one("code"):
        yield Parcel("", failure=Failure(error.text("message"), error.text("code")))
    elif error:
        yield Parcel("", failure=Failure(root.text("error_description"), error.text()))
    elif root.one("trackingNumber") or root.one("trackingEvents"):
        yield Parcel(
            number_of(root.text("trackingNumber")),
            events=tuple(_event(told, zone) for told in root.many("trackingEvents")),
            expected=moment(root.text("expectedDeliveryTimeStamp"), zone),
        )


def _event(told: Node, zone: tzinfo) -> Event:
    local = told.text("eventTimestamp") + told.text("GMTOffset")
    return Event(
        words=told.text("eventType"),
        code=told.text("eventCode"),
        at=moment(told.text("GMTTimestamp") or local, zone),
        place=place_of(told.text("eventCity"), told.text("eventState"), told.text("eventCountry")),
    )


CARRIER = Carrier("json", parcels, WORDS)
