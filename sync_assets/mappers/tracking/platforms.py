"""Five that hand parcels on to others and tell one flat list of events, each in JSON.

Asendia, Parcel.One, Sendle, Spring and Teleship; they differ in the names of their fields.
"""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.phrases import FREE_TEXT, SHARPER
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import epoch, moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import IN_CUSTOMS, Words, phrases

# ---------------------------------------------------------------- Asendia


def asendia(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one parcel asked for, or a problem document."""
    if root.one("trackingEvents") or root.one("trackingNumber"):
        yield Parcel(
            number_of(root.text("trackingNumber")),
            events=tuple(_asendia(one, zone) for one in root.many("trackingEvents")),
        )
    elif root.one("status"):
        said = root.text("detail") or root.text("title")
        yield Parcel("", failure=Failure(said, root.text("status")))


def _asendia(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("carrierEventDescription"),
        code=told.text("code"),
        at=moment(told.text("time"), zone),
        place=place_of(told.text("locationName"), told.text("locationCountry")),
    )


ASENDIA = Carrier(
    "json",
    asendia,
    Words(
        codes={
            "PU": ParcelState.PICKED_UP,
            "IT": ParcelState.IN_TRANSIT,
            "DL": ParcelState.DELIVERED,
        },
        phrases=SHARPER,
        patterns=FREE_TEXT,
    ),
)

# ---------------------------------------------------------------- Parcel.One


def parcelone(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one parcel asked for; its number is that of the carrier on the last mile."""
    for error in root.many("errors"):
        said = error.text("Message") or error.text("message")
        yield Parcel("", failure=Failure(said, error.text("ErrorNo")))
    results = root.one("results")
    if results.text("StatusCode") or results.many("Events"):
        yield Parcel(
            number_of(results.text("CarrierTrackingID")),
            events=tuple(_parcelone(one, zone) for one in results.many("Events")),
            signed_by=results.text("SignedBy"),
        )


def _parcelone(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("Description"),
        code=told.text("StatusCode"),
        at=moment(told.text("DateTime"), zone),
        place=told.text("Location"),
    )


PARCELONE = Carrier(
    "json",
    parcelone,
    Words(
        codes={
            "REGISTERED": ParcelState.LABEL_CREATED,
            "IN_TRANSIT": ParcelState.IN_TRANSIT,
            "ARRIVED": ParcelState.IN_TRANSIT,
            "OUT_FOR_DELIVERY": ParcelState.OUT_FOR_DELIVERY,
            "DELIVERED": ParcelState.DELIVERED,
        },
        phrases=SHARPER,
        vague=frozenset({"REGISTERED"}),  # said of parcels that were fetched, too
    ),
)

# ---------------------------------------------------------------- Sendle


def sendle(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one parcel asked for, whose number the answer does not repeat."""
    if error := root.text("error"):
        yield Parcel("", failure=Failure(root.text("error_description"), error))
    elif root.one("tracking_events") or root.one("state"):
        expected = root.text("scheduling", "estimated_delivery_date_maximum")
        yield Parcel(
            "",
            events=tuple(_sendle(one, zone) for one in root.many("tracking_events")),
            expected=moment(expected, zone),
        )


def _sendle(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("description"),
        code=told.text("event_type"),
        at=moment(told.text("scan_time"), zone),
        place=told.text("location"),
    )


SENDLE = Carrier(
    "json",
    sendle,
    Words(
        codes={
            "Pickup Attempted": ParcelState.EXCEPTION,  # we had it not ready, or nobody opened
            "Pickup": ParcelState.PICKED_UP,
            "Drop Off": ParcelState.PICKED_UP,
            "In Transit": ParcelState.IN_TRANSIT,
            "Out for Delivery": ParcelState.OUT_FOR_DELIVERY,
            "Delivery Attempted": ParcelState.DELIVERY_FAILED,
            "Card Left": ParcelState.DELIVERY_FAILED,
            "Delivered": ParcelState.DELIVERED,
            "Return to Sender": ParcelState.RETURNING,
        }
    ),
)

# ---------------------------------------------------------------- Spring


def spring(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one parcel asked for; an error comes inside an answer of status 200."""
    shipment = root.one("Shipment")
    if shipment:
        yield Parcel(
            number_of(shipment.text("TrackingNumber")),
            events=tuple(_spring(one, zone) for one in shipment.many("Events")),
        )
    elif root.text("ErrorLevel") not in ("", "0"):
        yield Parcel("", failure=Failure(root.text("Error")))


def _spring(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("Description"),
        code=told.text("Code"),
        at=epoch(told.text("Timestamp")) or moment(told.text("DateTime"), zone),
        place=place_of(told.text("City"), told.text("State"), told.text("Country")),
    )


SPRING = Carrier(
    "json",
    spring,
    Words(
        codes={"20": ParcelState.PICKED_UP, "100": ParcelState.DELIVERED},
        phrases=SHARPER,
        patterns=FREE_TEXT,
    ),
)

# ---------------------------------------------------------------- Teleship


def teleship(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one parcel asked for, or messages."""
    for message in root.many("messages"):
        yield Parcel("", failure=Failure(message.text("message"), message.text("code")))
    if root.one("events") or root.one("shipmentId"):
        yield Parcel(
            number_of(root.text("trackingNumber")),
            events=tuple(_teleship(one, zone) for one in root.many("events")),
            expected=moment(root.text("estimatedDelivery"), zone),
        )


def _teleship(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("description"),
        code=told.text("code"),
        at=moment(told.text("timestamp"), zone),
        place=told.text("location"),
    )


TELESHIP = Carrier(
    "json",
    teleship,
    Words(
        codes={
            "collected": ParcelState.PICKED_UP,
            "in_hub": ParcelState.IN_TRANSIT,
            "in_transit": ParcelState.IN_TRANSIT,
            "customs_cleared": IN_CUSTOMS,
            "out_for_delivery": ParcelState.OUT_FOR_DELIVERY,
            "delivered": ParcelState.DELIVERED,
        },
        phrases={
            **SHARPER,
            **phrases(
                (ParcelState.OUT_FOR_DELIVERY, ("With courier for delivery",)),
            ),
        },
        vague=frozenset({"in_transit"}),
    ),
)
