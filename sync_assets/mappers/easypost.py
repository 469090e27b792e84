"""EasyPost's trackers in our words: each scan an event, its status and detail in our vocabulary.

Pure. A word that is in no table is kept as an event that decides nothing, and is flagged.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sync_assets.domain import carriers
from sync_assets.domain.tracking import ParcelState, SeenEvent, SeenTracking
from sync_assets.mappers.payload import Faults, Part

#: EasyPost's statuses but two: `unknown` is its word for what it did not understand itself, and
#: `error` tells of its own trouble; neither says where a parcel is.
STATES = {
    "pre_transit": ParcelState.LABEL_CREATED,
    "in_transit": ParcelState.IN_TRANSIT,
    "out_for_delivery": ParcelState.OUT_FOR_DELIVERY,
    "available_for_pickup": ParcelState.AVAILABLE_FOR_PICKUP,
    "delivered": ParcelState.DELIVERED,
    "return_to_sender": ParcelState.RETURNING,
    "failure": ParcelState.EXCEPTION,
    "cancelled": ParcelState.CANCELLED,
    "canceled": ParcelState.CANCELLED,
}
#: Details that say more than the status they come with.
DETAILS = {
    ("pre_transit", "received_at_origin_facility"): ParcelState.PICKED_UP,
    ("in_transit", "received_at_origin_facility"): ParcelState.PICKED_UP,
    ("in_transit", "arrived_at_pickup_location"): ParcelState.AVAILABLE_FOR_PICKUP,
    ("in_transit", "out_for_delivery"): ParcelState.OUT_FOR_DELIVERY,
    ("in_transit", "delivery_exception"): ParcelState.DELIVERY_FAILED,
    ("in_transit", "transit_exception"): ParcelState.EXCEPTION,
    ("in_transit", "address_correction"): ParcelState.EXCEPTION,
    ("in_transit", "awaiting_information"): ParcelState.EXCEPTION,
    ("in_transit", "damaged"): ParcelState.EXCEPTION,
    ("in_transit", "held"): ParcelState.EXCEPTION,
    ("in_transit", "refused"): ParcelState.EXCEPTION,
    ("in_transit", "lost"): ParcelState.LOST,
    ("in_transit", "return"): ParcelState.RETURNING,
    ("out_for_delivery", "delivery_exception"): ParcelState.DELIVERY_FAILED,
    ("failure", "delivery_exception"): ParcelState.DELIVERY_FAILED,
    ("failure", "lost"): ParcelState.LOST,
    ("failure", "return"): ParcelState.RETURNING,
    ("return_to_sender", "arrived_at_destination"): ParcelState.RETURNED,
}

#: EasyPost's names of carriers by our codes: those to ask with, and those words alone do not tell.
CARRIERS = {
    "UPS": "ups",
    "UPSDAP": "ups",
    "USPS": "usps",
    "FedEx": "fedex",
    "DHLExpress": "dhl_express",
    "DhlEcs": "dhl_ecommerce",
    "DHLPaket": "dhl_parcel_de",
    "RoyalMail": "royalmail",
    "ParcelForce": "parcelforce",
    "Evri": "evri",
    "Hermes": "hermes",
    "DPD": "dpd",
    "DPDUK": "dpd",
    "GLS": "gls",
    "CanadaPost": "canadapost",
    "AustraliaPost": "australiapost",
    "Purolator": "purolator",
    "OnTrac": "ontrac",
    "Asendia": "asendia",
    "Sendle": "sendle",
    "Yodel": "yodel",
    "TNTExpress": "tnt",
    "Chronopost": "chronopost",
    "PostNL": "postnl",
    "Bpost": "bpost",
    "LaPoste": "laposte",
    "Landmark": "landmark",
    "AmazonShipping": "amazon",
    "DeutschePost": "deutschepost",
}
#: Of two names the first is the one to ask with.
_NAME_OF = {code: name for name, code in reversed(CARRIERS.items())}
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^0-9A-Za-z]+")
_OFFSET = re.compile(r"(?:Z|[+-]\d\d:\d\d)$")
_PLACE = ("city", "state", "zip", "country")


def tracking(payload: Mapping[str, Any]) -> SeenTracking:
    """Return what a tracker says of its parcel; raises Rejected."""
    faults = Faults("tracking.malformed")
    whole = Part(payload, "", faults)
    number, carrier = _told(whole, "tracking_code"), _told(whole, "carrier")
    told = payload.get("tracking_details")
    found = SeenTracking(
        tracking_number=number,
        carrier=carrier_code(carrier),
        events=tuple(map(_event, whole.parts("tracking_details"))) if told is not None else (),
        expected_at=_maybe(whole, "est_delivery_date"),
        signed_by=whole.optional("signed_by") or None,
    )
    faults.settle()
    return found


def _told(part: Part, key: str) -> str:
    """Text that must be there and say something."""
    text = part.text(key)
    if isinstance(part.body.get(key), str) and not text.strip():
        part.fault(key, "is empty")
    return text


def _event(detail: Part) -> SeenEvent:
    status = detail.optional("status")
    state, is_known = state_of(status, detail.optional("status_detail"))
    place = _place(detail)
    words = detail.optional("message") or detail.optional("description") or status
    said = detail.body.get("datetime")
    return SeenEvent(
        state=state,
        is_known=is_known,
        words=words,
        code=detail.optional("carrier_code") or None,
        happened_at=detail.instant("datetime"),
        # Where EasyPost does not know the place, it writes the carrier's local time as UTC.
        has_zone=place is not None and isinstance(said, str) and bool(_OFFSET.search(said)),
        place=place,
    )


def state_of(status: str, detail: str) -> tuple[ParcelState, bool]:
    """Return our state of a status and its detail, and whether the status is in our table."""
    if status not in STATES:
        return ParcelState.UNKNOWN, False
    return DETAILS.get((status, detail), STATES[status]), True


def _place(detail: Part) -> str | None:
    if detail.body.get("tracking_location") is None:
        return None
    location = detail.part("tracking_location")
    return ", ".join(text for name in _PLACE if (text := location.optional(name))) or None


def _maybe(part: Part, key: str) -> datetime | None:
    return part.instant(key) if part.body.get(key) is not None else None


def carrier_code(name: str) -> str:
    """Return our code of a carrier; one we do not know keeps its name, written our way."""
    if name in CARRIERS:
        return CARRIERS[name]
    words = [word for word in _WORDS.split(name) if word]
    return carriers.carrier_code(" ".join(words)) or "_".join(words).lower()


def carrier_name(code: str | None) -> str | None:
    """Return EasyPost's name for our code of a carrier; None leaves it to EasyPost to find out."""
    return _NAME_OF.get(code or "")


def hinted(body: Mapping[str, Any]) -> str | None:
    """The id of the tracker an event tells of; None: nothing to read again."""
    description, result = body.get("description"), body.get("result")
    if not isinstance(description, str) or not description.startswith("tracker."):
        return None
    named = result.get("id") if isinstance(result, Mapping) else None
    return named if isinstance(named, str) and named.isprintable() and named else None
