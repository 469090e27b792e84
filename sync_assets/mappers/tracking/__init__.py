"""Raw tracking answers of every carrier we know into our one vocabulary.

`answer` tells all: the parcels told of, those refused, the single events left out. `trackings` is
for who wants the good ones. No I/O; nothing but `Rejected` is raised, whatever the text is.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.tracking import SeenEvent, SeenTracking
from sync_assets.mappers.tracking import (
    australiapost,
    bpost,
    canadapost,
    dhl_express,
    dhl_parcel_de,
    dhl_poland,
    dhl_universal,
    fedex,
    gls,
    hermes,
    landmark,
    laposte,
    platforms,
    purolator,
    ups,
    usps,
)
from sync_assets.mappers.tracking.refusals import MALFORMED, NO_EVENTS, malformed, problem_of
from sync_assets.mappers.tracking.shape import Answer, Carrier, Event, Failure, Parcel, Refused
from sync_assets.mappers.tracking.times import EARLIEST, Moment
from sync_assets.mappers.tracking.tree import Unreadable, parsed

__all__ = ["CARRIERS", "Answer", "Refused", "answer", "trackings"]

CARRIERS: Mapping[str, Carrier] = {
    "asendia": platforms.ASENDIA,
    "australiapost": australiapost.CARRIER,
    "bpost": bpost.CARRIER,
    "canadapost": canadapost.CARRIER,
    "dhl_express": dhl_express.CARRIER,
    "dhl_parcel_de": dhl_parcel_de.CARRIER,
    "dhl_poland": dhl_poland.CARRIER,
    "dhl_universal": dhl_universal.CARRIER,
    "fedex": fedex.CARRIER,
    "gls": gls.CARRIER,
    "hermes": hermes.CARRIER,
    "landmark": landmark.CARRIER,
    "laposte": laposte.CARRIER,
    "mydhl": dhl_express.MYDHL,
    "parcelone": platforms.PARCELONE,
    "purolator": purolator.CARRIER,
    "sendle": platforms.SENDLE,
    "spring": platforms.SPRING,
    "teleship": platforms.TELESHIP,
    "ups": ups.CARRIER,
    "usps": usps.CARRIER,
    "usps_international": usps.CARRIER,
}

#: Clocks go wrong a little; a time in an unsaid zone may be up to 14 hours off.
_AHEAD = {True: timedelta(hours=1), False: timedelta(hours=14)}
_LONGEST = 500
_EMPTY = Failure(ours=NO_EVENTS)


def trackings(
    carrier: str,
    text: str,
    *,
    zone: tzinfo = UTC,
    now: datetime | None = None,
    asked: str = "",
) -> list[SeenTracking]:
    """What an answer tells, one for each parcel; raises `Rejected` where that is nothing."""
    return list(answer(carrier, text, zone=zone, now=now, asked=asked).trackings)


def answer(
    carrier: str,
    text: str,
    *,
    zone: tzinfo = UTC,
    now: datetime | None = None,
    asked: str = "",
) -> Answer:
    """Read a carrier's answer; raises `Rejected`, with one problem, where it tells of no parcel.

    `zone` is for times written without one, `now` refuses events of the future, and `asked` is the
    number we asked for: some carriers do not repeat it.
    """
    told, refused, left_out = [], [], []
    for parcel in _parcels(carrier, text, zone):
        number = parcel.number or asked
        events, faults = _events(CARRIERS[carrier], parcel, now)
        if events:
            told.append(_tracking(carrier, number, parcel, events))
            left_out += [Refused(number, Problem(MALFORMED, carrier, fault)) for fault in faults]
        else:
            refused.append(Refused(number, _reason(carrier, parcel, faults)))
    if not told:
        raise Rejected([refused[0].problem if refused else malformed(carrier, "names no parcel")])
    return Answer(tuple(told), tuple(refused), tuple(left_out))


def _parcels(carrier: str, text: str, zone: tzinfo) -> list[Parcel]:
    if carrier not in CARRIERS:
        raise Rejected([malformed(carrier, "is of a carrier nobody here reads")])
    known = CARRIERS[carrier]
    try:
        return [parcel for root in parsed(text, known.wire) for parcel in known.parcels(root, zone)]
    except Unreadable as unreadable:
        raise Rejected([malformed(carrier, str(unreadable))]) from None


def _tracking(
    carrier: str, number: str, parcel: Parcel, events: tuple[SeenEvent, ...]
) -> SeenTracking:
    expected = parcel.expected.at if parcel.expected else None
    return SeenTracking(number, carrier, events, expected, parcel.signed_by[:_LONGEST] or None)


def _reason(carrier: str, parcel: Parcel, faults: list[str]) -> Problem:
    if faults and parcel.failure is None:
        return malformed(carrier, f"has no event with a time: {faults[0]}")
    return problem_of(carrier, parcel.failure or _EMPTY)


def _events(
    carrier: Carrier, parcel: Parcel, now: datetime | None
) -> tuple[tuple[SeenEvent, ...], list[str]]:
    """A parcel's events, each told once, and what is wrong with those left out."""
    seen: dict[tuple[datetime, str, str], SeenEvent] = {}
    faults = []
    for place, event in enumerate(_told(parcel)):
        if (fault := _fault(event.at, now)) or event.at is None:
            faults.append(f"event {place + 1} {fault}")
        else:
            key = (event.at.at, event.code, event.words)
            if key not in seen or not seen[key].place:
                seen[key] = _seen(carrier, event, event.at)
    return tuple(seen.values()), faults


def _told(parcel: Parcel) -> tuple[Event, ...]:
    standing = parcel.standing
    if standing is None or standing.at is None:
        return parcel.events
    timed = [(event.at.at, event.code, event.words) for event in parcel.events if event.at]
    at, code, words = max(timed, default=(EARLIEST, "", ""))
    # The state is mostly the newest event again, sometimes with its time written otherwise.
    is_news = standing.at.at > at and (code, words) != (standing.code, standing.words)
    return (*parcel.events, standing) if is_news else parcel.events


def _fault(at: Moment | None, now: datetime | None) -> str:
    if at is None:
        return "has no time that can be"
    return "lies in the future" if now and at.at > now + _AHEAD[at.has_zone] else ""


def _seen(carrier: Carrier, event: Event, at: Moment) -> SeenEvent:
    words, code = event.words[:_LONGEST], event.code[:_LONGEST]
    state, is_known = carrier.words.state((*event.keys, code), words)
    return SeenEvent(
        state=state,
        is_known=is_known,
        words=words,
        code=code or None,
        happened_at=at.at,
        has_zone=at.has_zone,
        place=event.place[:_LONGEST] or None,
    )
