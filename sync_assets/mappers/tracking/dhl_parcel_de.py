"""DHL Paket in Germany (XML of `data` elements told apart by their name): German local times.

The standard event code decides; a parcel on its way back tells the same codes with a flag beside.
"""

from collections.abc import Iterable
from datetime import tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.phrases import FREE_TEXT, SHARPER
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of, place_of
from sync_assets.mappers.tracking.times import moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import Words

BACK, BACK_AT_SENDER = "back", "back at sender"
CODES = {
    "VA": ParcelState.LABEL_CREATED,
    "ES": ParcelState.PICKED_UP,  # handed in
    "AE": ParcelState.PICKED_UP,  # fetched
    "AA": ParcelState.IN_TRANSIT,  # parcel centre of origin
    "EE": ParcelState.IN_TRANSIT,  # parcel centre of destination
    "PO": ParcelState.OUT_FOR_DELIVERY,
    "ZN": ParcelState.DELIVERY_FAILED,
    "ZU": ParcelState.DELIVERED,
    BACK: ParcelState.RETURNING,
    BACK_AT_SENDER: ParcelState.RETURNED,
    # ICE, the international event code, where the standard one is missing
    "SHRCU": ParcelState.PICKED_UP,
    "PCKDU": ParcelState.PICKED_UP,
    "LDTMV": ParcelState.IN_TRANSIT,
    "ULFMV": ParcelState.IN_TRANSIT,
    "SRTED": ParcelState.IN_TRANSIT,
    "DLVRD": ParcelState.DELIVERED,
}
WORDS = Words(codes=CODES, phrases=SHARPER, patterns=FREE_TEXT, vague=frozenset({"SRTED"}))


def parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each piece, or what DHL says instead."""
    pieces = _named(root, "piece-shipment")
    for piece in pieces:
        yield _piece(piece, zone)
    if not pieces and root.text("error"):
        yield Parcel("", failure=Failure(root.text("error"), f"DHL {root.text('code')}"))


def _piece(piece: Node, zone: tzinfo) -> Parcel:
    told = _named(piece, "piece-event")
    is_error = piece.text("error-status") not in ("", "0")
    failure = Failure(piece.text("piece-status-desc") or piece.text("status")) if is_error else None
    return Parcel(
        number_of(piece.text("piece-code"), piece.text("searched-piece-code")),
        events=tuple(_event(one, "event-timestamp", "event-status", zone) for one in told),
        failure=None if told else failure,
        standing=None if is_error else _event(piece, "status-timestamp", "status", zone),
        signed_by=piece.text("recipient-name") if piece.text("delivery-event-flag") == "1" else "",
    )


def _event(told: Node, when: str, words: str, zone: tzinfo) -> Event:
    code, ice = told.text("standard-event-code"), told.text("ice")
    is_back = told.text("ruecksendung") == "true"
    back = BACK_AT_SENDER if code == "ZU" else BACK
    return Event(
        words=told.text(words),
        code=code or ice,
        keys=(back,) if is_back else (code, ice),
        at=moment(told.text(when), zone),
        place=place_of(told.text("event-location"), told.text("event-country")),
    )


def _named(node: Node, name: str) -> list[Node]:
    return [one for one in node.everywhere("data") if one.text("name") == name]


CARRIER = Carrier("xml", parcels, WORDS)
