"""La Poste, Colissimo and Chronopost (Suivi v2, JSON): documented codes, French words.

Several numbers asked for come back as a list, each with its own return code.
"""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.phrases import FREE_TEXT
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import IN_CUSTOMS, Words

WORDS = Words(
    codes={
        "DR1": ParcelState.LABEL_CREATED,
        "PC1": ParcelState.PICKED_UP,
        "PC2": ParcelState.PICKED_UP,
        "ET1": ParcelState.IN_TRANSIT,
        "ET2": ParcelState.IN_TRANSIT,
        "ET3": ParcelState.IN_TRANSIT,
        "ET4": ParcelState.IN_TRANSIT,
        "EP1": ParcelState.IN_TRANSIT,
        "DO1": IN_CUSTOMS,
        "DO2": IN_CUSTOMS,
        "DO3": ParcelState.EXCEPTION,  # held there
        "PB1": ParcelState.EXCEPTION,
        "PB2": ParcelState.IN_TRANSIT,  # solved
        "MD2": ParcelState.OUT_FOR_DELIVERY,
        "ND1": ParcelState.DELIVERY_FAILED,
        "AG1": ParcelState.AVAILABLE_FOR_PICKUP,
        "RE1": ParcelState.RETURNING,
        "DI1": ParcelState.DELIVERED,
        "DI2": ParcelState.RETURNED,
    },
    patterns=FREE_TEXT,
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one shipment of this part of the answer, or what La Poste says instead."""
    shipment = root.one("shipment")
    if shipment:
        yield Parcel(
            number_of(shipment.text("idShip")),
            events=tuple(_event(one, zone) for one in shipment.many("event")),
            expected=moment(shipment.text("estimDate"), zone),
        )
    elif code := root.text("returnCode") or root.text("code"):
        said = root.text("returnMessage") or root.text("message")
        yield Parcel(number_of(root.text("idShip")), failure=Failure(said, code))


def _event(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("label"),
        code=told.text("code"),
        at=moment(told.text("date"), zone),
    )


CARRIER = Carrier("json", parcels, WORDS)
