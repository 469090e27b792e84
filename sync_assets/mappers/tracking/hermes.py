"""Hermes in Germany (shipment info, JSON): codes of four digits, English words, exact times."""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.phrases import FREE_TEXT, SHARPER
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import joined, moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words

WORDS = Words(
    codes={
        "0000": ParcelState.LABEL_CREATED,
        "2000": ParcelState.IN_TRANSIT,
        "3000": ParcelState.OUT_FOR_DELIVERY,
        "3500": ParcelState.DELIVERED,
    },
    phrases=SHARPER,
    patterns=FREE_TEXT,
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each shipment, or what Hermes says of it."""
    for shipment in root.many("shipmentinfo"):
        result, forecast = shipment.one("result"), shipment.one("deliveryForecast")
        failure = Failure(result.text("message"), result.text("code")) if result else None
        yield Parcel(
            number_of(shipment.text("shipmentID")),
            events=tuple(_event(one, zone) for one in shipment.many("status")),
            failure=failure,
            expected=joined(forecast.text("date"), forecast.text("timeSlot", "to"), zone),
        )


def _event(told: Node, zone: tzinfo) -> Event:
    where = told.one("scanningUnit")
    return Event(
        words=told.text("description"),
        code=told.text("code"),
        at=moment(told.text("timestamp"), zone),
        place=place_of(where.text("city"), where.text("countryCode")),
    )


CARRIER = Carrier("json", parcels, WORDS)
