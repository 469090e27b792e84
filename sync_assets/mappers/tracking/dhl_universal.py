"""DHL's unified tracking (JSON): five coarse codes over every DHL company, and their own words.

The `description` may be no more than the name of who signed, so `status` is taken as the words.
"""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.phrases import SHARPER
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words

WORDS = Words(
    codes={
        "pre-transit": ParcelState.LABEL_CREATED,
        "transit": ParcelState.IN_TRANSIT,
        "delivered": ParcelState.DELIVERED,
        "failure": ParcelState.EXCEPTION,
    },
    phrases=SHARPER,
    vague=frozenset({"transit", "failure"}),
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each shipment found, or what DHL says instead."""
    if root.one("detail") or root.one("title"):
        said = root.text("detail") or root.text("title")
        yield Parcel("", failure=Failure(said, root.text("status")))
    for shipment in root.many("shipments"):
        signed = shipment.one("details", "proofOfDelivery", "signed")
        yield Parcel(
            number_of(shipment.text("id")),
            events=tuple(_event(one, zone) for one in shipment.many("events")),
            standing=_event(shipment.one("status"), zone),
            expected=moment(shipment.text("estimatedTimeOfDelivery"), zone),
            signed_by=signed.text("name"),
        )


def _event(told: Node, zone: tzinfo) -> Event:
    address = told.one("location", "address")
    return Event(
        words=told.text("status") or told.text("description"),
        code=told.text("statusCode"),
        at=moment(told.text("timestamp"), zone),
        place=place_of(address.text("addressLocality"), address.text("countryCode")),
    )


CARRIER = Carrier("json", parcels, WORDS)
