"""Australia Post (JSON): no codes, free English words with places in them, exact times.

A number asked for may be an article or a consignment of several; each article is a parcel.
"""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.phrases import FREE_TEXT
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import IN_CUSTOMS, Words, patterns, phrases

WORDS = Words(
    phrases=phrases(
        (
            ParcelState.LABEL_CREATED,
            (
                "Shipping information received by Australia Post",
                "Shipping information approved by Australia Post",
            ),
        ),
        (
            ParcelState.PICKED_UP,
            (
                "Received by Australia Post",
                "Received item from Sender (Outbound)",
                "Received and ready for processing",
            ),
        ),
        (
            ParcelState.IN_TRANSIT,
            (
                "Processed by air carrier",
                "Arrived at facility",
                "Item processed at facility",
                "Despatch Parcels from Export Facility",
                "Processed at Export Facility",
            ),
        ),
        (
            IN_CUSTOMS,
            (
                "Cleared and awaiting international departure",
                "Arrived awaiting clearance (Inbound)",
                "Item cleared by Customs",
                "Item is in Customs",
            ),
        ),
        (ParcelState.OUT_FOR_DELIVERY, ("Onboard for delivery", "With driver for delivery")),
        (ParcelState.AVAILABLE_FOR_PICKUP, ("Awaiting collection",)),
        (ParcelState.DELIVERED, ("Delivered", "Delivered - Left in a safe place")),
    ),
    patterns=patterns(
        (r"in transit to next facility(?: in .+)?", ParcelState.IN_TRANSIT),
        (r"arrived in [a-z ]+", ParcelState.IN_TRANSIT),
        (r"awaiting collection at .+", ParcelState.AVAILABLE_FOR_PICKUP),
    )
    + FREE_TEXT,
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each article, or what Australia Post says of the number or the request."""
    for error in root.many("errors"):
        yield Parcel("", failure=_failure(error))
    for result in root.many("tracking_results"):
        asked = result.text("tracking_id")
        articles = [
            article
            for item in result.many("trackable_items")
            for article in (item.many("items") or [item])
        ]
        for article in articles:
            yield _article(article, asked, zone)
        if not articles:
            error = result.one("errors")
            yield Parcel(asked, failure=_failure(error) if error else None)


def _article(article: Node, asked: str, zone: tzinfo) -> Parcel:
    return Parcel(
        number_of(article.text("article_id"), asked),
        events=tuple(_event(one, zone) for one in article.many("events")),
    )


def _event(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("description"),
        at=moment(told.text("date"), zone),
        place=told.text("location"),
    )


def _failure(error: Node) -> Failure:
    return Failure(error.text("message") or error.text("name"), error.text("code"))


CARRIER = Carrier("json", parcels, WORDS)
