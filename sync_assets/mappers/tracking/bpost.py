"""bpost (shipping manager, XML): state codes with English words, exact times."""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words, patterns

WORDS = Words(
    codes={
        "T00": ParcelState.IN_TRANSIT,
        "L00": ParcelState.OUT_FOR_DELIVERY,
        "U01": ParcelState.DELIVERED,
    },
    # The words begin with a name of the state; what follows differs.
    patterns=patterns(
        (r"sorted(?: .*)?", ParcelState.IN_TRANSIT),
        (r"boundtoround(?: .*)?", ParcelState.OUT_FOR_DELIVERY),
        (r"distributednormally(?: .*)?", ParcelState.DELIVERED),
    ),
)


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """The one item asked for, or the exception."""
    items = root.everywhere("itemTracking")
    for item in items:
        yield Parcel(
            number_of(item.text("itemCode")),
            events=tuple(_event(one, zone) for one in item.many("stateInfo")),
        )
    if not items:
        for message in root.everywhere("message"):
            yield Parcel("", failure=Failure(message.text()))


def _event(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("stateDescription"),
        code=told.text("stateCode"),
        at=moment(told.text("time"), zone),
    )


CARRIER = Carrier("xml", parcels, WORDS)
