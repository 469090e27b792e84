"""UPS (Track API, JSON): an activity has a type of one letter or two and finer codes beside it.

The type says where the parcel is; the three-digit status code sharpens "in transit", "exception"
and "delivered" (to an access point). Times are the place's own, unless the GMT fields are there.
"""

from collections.abc import Iterable
from datetime import UTC, tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import Moment, joined
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import IN_CUSTOMS, Words, coded, phrases

TYPES = {
    "M": ParcelState.LABEL_CREATED,
    "MV": ParcelState.CANCELLED,
    "P": ParcelState.PICKED_UP,
    "I": ParcelState.IN_TRANSIT,
    "W": ParcelState.IN_TRANSIT,
    "O": ParcelState.OUT_FOR_DELIVERY,
    "D": ParcelState.DELIVERED,
    "DD": ParcelState.IN_TRANSIT,  # freight, at a freight station
    "DO": ParcelState.IN_TRANSIT,
    "X": ParcelState.EXCEPTION,
    "RS": ParcelState.RETURNED,
}
FINER = {
    **coded(ParcelState.OUT_FOR_DELIVERY, "006 021"),
    **coded(IN_CUSTOMS, "012 014"),
    **coded(ParcelState.AVAILABLE_FOR_PICKUP, "017 040"),
    **coded(ParcelState.DELIVERY_FAILED, "022 023 024 060 061"),
    **coded(ParcelState.RETURNING, "033 035 036 037"),
    "034": ParcelState.RETURNED,
    "059": ParcelState.EXCEPTION,  # damaged
}
#: Only of these types is the finer code asked; a delivery is sharpened by one code alone.
SHARPER = {
    f"{kind}:{code}": state for kind in ("I", "X", "RS") for code, state in FINER.items()
} | {"D:040": ParcelState.AVAILABLE_FOR_PICKUP}
WORDS = Words(
    codes={**TYPES, **SHARPER},
    phrases=phrases(
        (ParcelState.OUT_FOR_DELIVERY, ("Out for Delivery", "Out for Delivery Today")),
        (
            ParcelState.AVAILABLE_FOR_PICKUP,
            (
                "Delivered to UPS Access Point",
                "Held for Pickup",
                "Your package is at the UPS Access Point and is available for pickup",
            ),
        ),
        (
            ParcelState.DELIVERY_FAILED,
            (
                "The receiver was not available for delivery. We'll try again the next business"
                " day.",
            ),
        ),
        (ParcelState.RETURNING, ("Returning to Sender", "Return to Sender")),
        (
            IN_CUSTOMS,
            (
                "Your package was released by the customs agency.",
                "Your package has cleared customs and is on the way",
                "Import Scan",
                "Export Scan",
            ),
        ),
    ),
    vague=frozenset({"I", "X", "RS"}),
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each package of each shipment, or what UPS says instead."""
    for error in root.many("response", "errors"):
        yield Parcel("", failure=Failure(error.text("message"), error.text("code")))
    for shipment in root.many("trackResponse", "shipment"):
        asked = number_of(shipment.text("inquiryNumber"))
        packages = shipment.many("package")
        for package in packages:
            yield _package(package, asked, zone)
        if not packages:
            warning = shipment.one("warnings")
            failure = Failure(warning.text("message"), warning.text("code")) if warning else None
            yield Parcel(asked, failure=failure)


def _package(package: Node, asked: str, zone: tzinfo) -> Parcel:
    window = package.one("deliveryTime")
    expected = next(
        (one.text("date") for one in package.many("deliveryDate") if one.text("type") != "DEL"), ""
    )
    return Parcel(
        number_of(package.text("trackingNumber"), asked),
        events=tuple(_activity(one, zone) for one in package.many("activity")),
        expected=joined(expected, window.text("endTime"), zone),
        signed_by=_signature(package.text("deliveryInformation", "receivedBy")),
    )


def _activity(activity: Node, zone: tzinfo) -> Event:
    status = activity.one("status")
    kind, finer = status.text("type"), status.text("statusCode")
    address = activity.one("location", "address")
    return Event(
        words=status.text("description"),
        code="/".join(part for part in (kind, status.text("code")) if part),
        keys=(f"{kind}:{finer}", kind),
        at=_when(activity, zone),
        place=place_of(
            address.text("city"),
            address.text("stateProvince"),
            address.text("countryCode") or address.text("country"),
        ),
    )


def _when(activity: Node, zone: tzinfo) -> Moment | None:
    day, clock = activity.text("gmtDate"), activity.text("gmtTime")
    if day and clock:
        return joined(day, clock, UTC, "Z")
    return joined(activity.text("date"), activity.text("time"), zone, activity.text("gmtOffset"))


def _signature(name: str) -> str:
    return name if any(c.isalpha() for c in name) else ""


CARRIER = Carrier("json", parcels, WORDS)
