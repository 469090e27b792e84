"""GLS (Track and Trace v1, JSON): event codes of two parts, and a state of the whole parcel.

`requested` is the number we know; `unitno` leaves off its check digit. One reference may stand for
several parcels, and then only `unitno` tells them apart.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words, phrases

STATES = {
    "PREADVICE": ParcelState.LABEL_CREATED,
    "PLANNEDPICKUP": ParcelState.LABEL_CREATED,
    "INTRANSIT": ParcelState.IN_TRANSIT,
    "INWAREHOUSE": ParcelState.IN_TRANSIT,
    "INDELIVERY": ParcelState.OUT_FOR_DELIVERY,
    "NOTDELIVERED": ParcelState.DELIVERY_FAILED,
    "DELIVEREDPS": ParcelState.AVAILABLE_FOR_PICKUP,  # in a parcel shop
    "DELIVERED": ParcelState.DELIVERED,
    "CANCELED": ParcelState.CANCELLED,
    "CANCELLED": ParcelState.CANCELLED,
}
EVENTS = {
    "INTIAL.PREADVICE": ParcelState.LABEL_CREATED,
    "INTIAL.E48_DATA": ParcelState.LABEL_CREATED,  # stands ready to be fetched
    "INTIAL.NORMAL": ParcelState.PICKED_UP,
    "INBOUD.NORMAL": ParcelState.IN_TRANSIT,
    "OUTBOD.NORMAL": ParcelState.IN_TRANSIT,
    "OUTDEL.NORMAL": ParcelState.OUT_FOR_DELIVERY,
    "DELIVD.PARCELSHOP": ParcelState.AVAILABLE_FOR_PICKUP,
    "DELIVD.NORMAL": ParcelState.DELIVERED,
}
WORDS = Words(
    codes={**STATES, **EVENTS},
    phrases=phrases(
        (ParcelState.LABEL_CREATED, ("The parcel data was entered into the GLS IT system.",)),
        (ParcelState.PICKED_UP, ("The parcel was handed over to GLS.",)),
        (
            ParcelState.IN_TRANSIT,
            (
                "The parcel has reached the parcel center.",
                "The parcel has left the parcel center.",
            ),
        ),
        (
            ParcelState.OUT_FOR_DELIVERY,
            (
                "The parcel is expected to be delivered during the day.",
                "The parcel is in delivery.",
            ),
        ),
        (ParcelState.DELIVERED, ("The parcel has been delivered.",)),
    ),
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each parcel, with or without a history."""
    for error in root.many("errors"):
        said = error.text("errorMessage") or error.text("message")
        yield Parcel("", failure=Failure(said, error.text("errorCode") or error.text("code")))
    told = root.many("parcels")
    asked = Counter(parcel.text("requested") for parcel in told)
    for parcel in told:
        numbers = parcel.text("requested"), parcel.text("unitno")
        is_shared = asked[numbers[0]] > 1
        yield _parcel(parcel, number_of(*(reversed(numbers) if is_shared else numbers)), zone)


def _parcel(parcel: Node, number: str, zone: tzinfo) -> Parcel:
    code = parcel.text("errorCode")
    state = parcel.text("status")
    return Parcel(
        number,
        events=tuple(_event(one, zone) for one in parcel.many("events")),
        failure=Failure(parcel.text("errorMessage"), code) if code else None,
        standing=Event(state, moment(parcel.text("statusDateTime"), zone), state),
    )


def _event(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("description"),
        code=told.text("code"),
        at=moment(told.text("eventDateTime"), zone),
        place=place_of(told.text("city"), told.text("country")),
    )


CARRIER = Carrier("json", parcels, WORDS)
