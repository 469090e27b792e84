"""Purolator (SOAP): five kinds of scan, free words, day and compact clock apart, local times."""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.phrases import FREE_TEXT
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of
from sync_assets.mappers.tracking.times import joined
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words, phrases

WORDS = Words(
    codes={
        "ProofOfPickUp": ParcelState.PICKED_UP,
        "OnDelivery": ParcelState.OUT_FOR_DELIVERY,
        "Undeliverable": ParcelState.DELIVERY_FAILED,
        "Delivery": ParcelState.DELIVERED,
    },
    # The kind "Other" says nothing, so its words are asked.
    phrases=phrases(
        (ParcelState.LABEL_CREATED, ("Shipment created", "Shipper created a label")),
        (ParcelState.PICKED_UP, ("Picked up by Purolator", "Picked up by Purolator at")),
        (
            ParcelState.IN_TRANSIT,
            (
                "New Tracking Number Assigned -",  # relabelled in a sorting centre
                "Arrived at sort facility",
                "Departed sort facility",
                "Arrived at Purolator facility",
            ),
        ),
        (ParcelState.OUT_FOR_DELIVERY, ("On vehicle for delivery",)),
    ),
    patterns=FREE_TEXT,
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each PIN, or what Purolator says instead."""
    for part in root.everywhere("ResponseInformation"):
        for error in part.many("Errors", "Error"):
            yield Parcel("", failure=_failure(error))
    for fault in root.everywhere("Fault"):
        yield Parcel("", failure=Failure(fault.text("faultstring")))
    for pin in root.everywhere("TrackingInformation"):
        yield Parcel(
            number_of(pin.text("PIN", "Value")),
            events=tuple(_event(one, zone) for one in pin.many("Scans", "Scan")),
        )


def _failure(error: Node) -> Failure:
    return Failure(error.text("Description"), f"Purolator {error.text('Code')}")


def _event(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("Description"),
        code=told.text("ScanType"),
        at=joined(told.text("ScanDate"), told.text("ScanTime"), zone),
        place=told.text("Depot", "Name"),
    )


CARRIER = Carrier("xml", parcels, WORDS)
