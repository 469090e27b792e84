"""What a carrier's file hands over, and what becomes of it: parcels told, parcels refused.

A carrier's file finds the parts of an answer; times, words and what counts as an event are settled
in one place for all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo

from sync_assets.domain.orders import Problem
from sync_assets.domain.tracking import SeenTracking
from sync_assets.mappers.tracking.times import Moment
from sync_assets.mappers.tracking.tree import Node, Wire
from sync_assets.mappers.tracking.words import Words


@dataclass(frozen=True)
class Event:
    """One thing told of a parcel; without a readable time it is left out and said so."""

    words: str
    at: Moment | None
    code: str = ""
    place: str = ""
    #: What the table is asked for before the code, where the carrier spreads it over fields.
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """What the carrier says instead of events: its own code, and a sentence or two."""

    said: str = ""
    code: str = ""
    #: Our code, where the place of the answer already says it.
    ours: str = ""


@dataclass(frozen=True)
class Parcel:
    """One parcel of an answer, as far as the carrier's file understood it."""

    number: str
    events: tuple[Event, ...] = ()
    failure: Failure | None = None
    #: The parcel's state beside its history: an event only if it is newer than that.
    standing: Event | None = None
    expected: Moment | None = None
    signed_by: str = ""


@dataclass(frozen=True)
class Carrier:
    """How one carrier's answers are read."""

    wire: Wire
    parcels: Callable[[Node, tzinfo], Iterable[Parcel]]
    words: Words


@dataclass(frozen=True)
class Refused:
    """A parcel that has no tracking in this answer, and why."""

    tracking_number: str
    problem: Problem


@dataclass(frozen=True)
class Answer:
    """One answer of a carrier: parcels told of, parcels it told nothing of, events left out."""

    trackings: tuple[SeenTracking, ...]
    refused: tuple[Refused, ...] = ()
    #: Single events with an impossible time; their neighbours stand.
    left_out: tuple[Refused, ...] = ()


_LONGEST_NUMBER = 60


def number_of(*told: str) -> str:
    """The first text that can be a tracking number: it has a digit, a placeholder has none."""
    short = (text for text in told if len(text) <= _LONGEST_NUMBER)
    return next((text for text in short if any(c.isdigit() for c in text)), "")


def place_of(*parts: str) -> str:
    """A place from its parts, without the empty ones and those said twice."""
    return ", ".join(dict.fromkeys(part for part in parts if part))
