"""Canada Post (XML): event identifiers; day, clock and the zone's Canadian abbreviation apart."""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.phrases import FREE_TEXT
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import joined, moment, named_zone
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words, coded, phrases

ZONES = {
    "NST": -3.5,
    "NDT": -2.5,
    "AST": -4,
    "ADT": -3,
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
}
CODES = {
    **coded(ParcelState.LABEL_CREATED, "3000 3001 3002"),
    "2300": ParcelState.PICKED_UP,
    **coded(ParcelState.IN_TRANSIT, "0100 0170"),
    "0173": ParcelState.EXCEPTION,  # wrong address
    "0174": ParcelState.OUT_FOR_DELIVERY,
    "0500": ParcelState.OUT_FOR_DELIVERY,
    "1701": ParcelState.AVAILABLE_FOR_PICKUP,
    **coded(ParcelState.DELIVERED, "1496 1497 1498 1499"),
    "20": ParcelState.DELIVERED,  # the signature is there
}
WORDS = Words(
    codes=CODES,
    phrases=phrases(
        (
            ParcelState.LABEL_CREATED,
            (
                "Electronic information submitted by shipper",
                "Shipment details received; item not yet received by Canada Post",
            ),
        ),
        (ParcelState.IN_TRANSIT, ("Item processed", "Item processed at postal facility")),
        (ParcelState.OUT_FOR_DELIVERY, ("Item out for delivery",)),
        (
            ParcelState.DELIVERY_FAILED,
            ("Attempted delivery. Notice card left indicating where item can be picked up.",),
        ),
        (
            ParcelState.AVAILABLE_FOR_PICKUP,
            (
                "Item available for pickup at Post Office",
                "Notice card left indicating where and when to pick up item",
            ),
        ),
        (
            ParcelState.DELIVERED,
            (
                "Item successfully delivered",
                "Item successfully delivered to community mailbox or parcel locker.",
                "Signature image recorded for Online viewing",
            ),
        ),
    ),
    patterns=FREE_TEXT,
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each PIN, or what Canada Post says instead."""
    for messages in root.everywhere("messages"):
        for message in messages.many("message"):
            failure = Failure(message.text("description"), message.text("code"))
            yield Parcel("", failure=failure)
    for pin in root.everywhere("tracking-detail"):
        told = pin.many("significant-events", "occurrence")
        expected = pin.text("changed-expected-date") or pin.text("expected-delivery-date")
        yield Parcel(
            number_of(pin.text("pin")),
            events=tuple(_event(one, zone) for one in told),
            expected=moment(expected, zone),
            signed_by=next((name for one in told if (name := one.text("signatory-name"))), ""),
        )


def _event(told: Node, zone: tzinfo) -> Event:
    offset = named_zone(told.text("event-time-zone"), ZONES)
    return Event(
        words=told.text("event-description"),
        code=told.text("event-identifier"),
        at=joined(told.text("event-date"), told.text("event-time"), zone, offset),
        place=place_of(told.text("event-site"), told.text("event-province")),
    )


CARRIER = Carrier("xml", parcels, WORDS)
