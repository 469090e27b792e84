"""FedEx (Track API, JSON): results per number asked for, and scan events with two-letter codes.

FedEx uses numbers again after some months and then tells every history it has; the one with the
newest event is the parcel that is on its way.
"""

from collections.abc import Iterable
from datetime import datetime, tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.refusals import NO_EVENTS
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import EARLIEST, Moment, moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import IN_CUSTOMS, Words, coded

CODES = {
    # at, left or between places
    **coded(
        ParcelState.IN_TRANSIT,
        "AA AC AF AR AX DP EA ED EO FD IT IX LO OF OX PF PL PM SF SP TR",
    ),
    "OC": ParcelState.LABEL_CREATED,
    "IN": ParcelState.LABEL_CREATED,
    "EP": ParcelState.LABEL_CREATED,
    "AP": ParcelState.LABEL_CREATED,
    "PU": ParcelState.PICKED_UP,
    "PX": ParcelState.PICKED_UP,
    "DO": ParcelState.PICKED_UP,
    "CC": IN_CUSTOMS,
    "CP": IN_CUSTOMS,
    "AD": ParcelState.OUT_FOR_DELIVERY,
    "OD": ParcelState.OUT_FOR_DELIVERY,
    "DE": ParcelState.DELIVERY_FAILED,
    "HL": ParcelState.AVAILABLE_FOR_PICKUP,
    "HP": ParcelState.AVAILABLE_FOR_PICKUP,
    "DL": ParcelState.DELIVERED,
    "RS": ParcelState.RETURNING,
    "CA": ParcelState.CANCELLED,
    "CD": ParcelState.EXCEPTION,
    "DD": ParcelState.EXCEPTION,
    "DY": ParcelState.EXCEPTION,
    "SE": ParcelState.EXCEPTION,
}
WORDS = Words(codes=CODES)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each number asked for, or what FedEx says instead."""
    for error in root.many("errors"):
        yield Parcel("", failure=_failure(error))
    if root.one("output", "documents"):
        yield Parcel("", failure=Failure(ours=NO_EVENTS))
    for complete in root.many("output", "completeTrackResults"):
        asked = number_of(complete.text("trackingNumber"))
        histories = [_history(one, asked, zone) for one in complete.many("trackResults")]
        yield max(histories, key=_newest, default=Parcel(asked))


def _history(result: Node, asked: str, zone: tzinfo) -> Parcel:
    events = tuple(_event(scan, zone) for scan in result.many("scanEvents"))
    error = result.one("error")
    return Parcel(
        number_of(asked, result.text("trackingNumberInfo", "trackingNumber")),
        events=events,
        # A result with a history may carry an error about something else.
        failure=_failure(error) if error and not events else None,
        expected=_expected(result, zone),
        signed_by=result.text("deliveryDetails", "signedByName")
        or result.text("deliveryDetails", "receivedByName"),
    )


def _newest(history: Parcel) -> datetime:
    return max((event.at.at for event in history.events if event.at), default=EARLIEST)


def _event(scan: Node, zone: tzinfo) -> Event:
    where = scan.one("scanLocation")
    return Event(
        words=scan.text("eventDescription") or scan.text("derivedStatus"),
        code=scan.text("eventType") or scan.text("derivedStatusCode"),
        at=moment(scan.text("date"), zone),
        place=place_of(
            where.text("city"), where.text("stateOrProvinceCode"), where.text("countryCode")
        ),
    )


def _expected(result: Node, zone: tzinfo) -> Moment | None:
    ends = result.text("estimatedDeliveryTimeWindow", "window", "ends")
    named = (
        one.text("dateTime")
        for one in result.many("dateAndTimes")
        if one.text("type") == "ESTIMATED_DELIVERY"
    )
    return moment(ends or next(named, ""), zone)


def _failure(error: Node) -> Failure:
    return Failure(error.text("message"), error.text("code"))


CARRIER = Carrier("json", parcels, WORDS)
