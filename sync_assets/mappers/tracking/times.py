"""Carriers' ways of writing a time, into UTC: offsets, 12-hour clocks, split, compact, days only.

A time that cannot be is None; whether that costs the event is not decided here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Literal

#: Parcels were not tracked before, and a default date of a database is not an event.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_WIDEST_OFFSET = timedelta(hours=14)
_DAYS = {
    "iso": r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})",
    "compact": r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)",
    "german": r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
    "american": r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})",
}
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?"
    r"|(?P<hour2>\d\d)(?P<minute2>\d\d)(?P<second2>\d\d)?"
)
_REST = (
    rf"(?:[T ]\s*(?:{_CLOCK})(?:\s*(?P<half>[AP])\.?M\.?)?)?"
    r"\s*(?P<zone>Z|(?:UTC|GMT)?\s*(?P<sign>[+-])(?P<zh>\d\d):?(?P<zm>\d\d)?|UTC|GMT)?"
)
_FORMS = [re.compile(day + _REST, re.ASCII | re.IGNORECASE) for day in _DAYS.values()]


@dataclass(frozen=True)
class Moment:
    """A time in UTC, and whether the carrier itself said in which zone it was."""

    at: datetime
    has_zone: bool


def moment(text: str, zone: tzinfo) -> Moment | None:
    """Read a time; one without an offset is in `zone`, a day without a clock begins at midnight."""
    found = next((m for form in _FORMS if (m := form.fullmatch(text.strip()))), None)
    if found is None:
        return None
    try:
        told = _told_zone(found)
        day = (int(found[part]) for part in ("year", "month", "day"))
        local = datetime.combine(date(*day), _clock(found), tzinfo=told or zone)
        at = local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return Moment(at, told is not None) if at >= EARLIEST else None


def joined(day: str, clock: str, zone: tzinfo, offset: str = "") -> Moment | None:
    """Read a time whose day and clock (and offset) stand apart; the day alone is enough."""
    return moment(f"{day} {clock}{offset}".strip() if clock else day, zone)


def epoch(seconds: str) -> Moment | None:
    """Read seconds since 1970, which are in UTC by definition."""
    if not re.fullmatch(r"[0-9]{9,11}", seconds):
        return None
    return Moment(datetime.fromtimestamp(int(seconds), UTC), True)


def named_zone(name: str, hours: Mapping[str, float]) -> str:
    """The offset of a zone's abbreviation as the carrier's country uses it, or nothing."""
    if name.upper() not in hours:
        return ""
    minutes = round(hours[name.upper()] * 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _clock(found: re.Match[str]) -> time:
    part: Literal["", "2"] = "" if found["hour"] else "2"
    hour = int(found["hour" + part] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no hour of a 12-hour clock")
        hour = hour % 12 + (12 if found["half"].upper() == "P" else 0)
    return time(hour, int(found["minute" + part] or 0), int(found["second" + part] or 0))


def _told_zone(found: re.Match[str]) -> tzinfo | None:
    if not found["zone"]:
        return None
    if not found["sign"]:
        return UTC
    hours, minutes = int(found["zh"]), int(found["zm"] or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or offset > _WIDEST_OFFSET:
        raise ValueError("no offset")
    return timezone(-offset if found["sign"] == "-" else offset)
