"""DHL Parcel Polska (DHL24, SOAP): Polish status codes, Polish local times without a zone."""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words

WORDS = Words(
    codes={
        "EDWP": ParcelState.LABEL_CREATED,
        "SP": ParcelState.PICKED_UP,
        "LP": ParcelState.IN_TRANSIT,
        "LK": ParcelState.OUT_FOR_DELIVERY,
        "AWI": ParcelState.DELIVERY_FAILED,
        "DOR": ParcelState.DELIVERED,
    }
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one shipment asked for, or the fault."""
    for fault in root.everywhere("Fault"):
        code = fault.text("faultcode")
        yield Parcel("", failure=Failure(fault.text("faultstring"), f"DHL24 {code}"))
    for shipment in root.everywhere("getTrackAndTraceInfoResult"):
        signed_by = shipment.text("receivedBy")
        yield Parcel(
            number_of(shipment.text("shipmentId")),
            events=tuple(_event(one, zone) for one in shipment.many("events", "item")),
            # The documented sample is filled with the word itself.
            signed_by="" if signed_by == "string" else signed_by,
        )


def _event(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("description"),
        code=told.text("status"),
        at=moment(told.text("timestamp"), zone),
        place=told.text("terminal"),
    )


CARRIER = Carrier("xml", parcels, WORDS)
