"""Pages of things as a system sent them: a JSON list cut into its items, each with its exact text.

One item that is no thing costs none of its neighbours, and neither does a page that breaks off.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

NO_DATE = datetime.min.replace(tzinfo=UTC)

_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal)
_BLANKS = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Raw:
    """One thing as a system said it: `text` is its JSON object cut out of the page."""

    resource_id: str
    text: str
    body: dict[str, Any]
    changed_at: datetime


@dataclass(frozen=True)
class Broken:
    """One item of a page that cannot be kept as a thing; its neighbours can."""

    store: str
    resource_id: str | None
    text: str
    reason: str


def things(
    store: str, content: bytes, dates: tuple[str, ...]
) -> tuple[list[Raw | Broken], str | None]:
    """Return the items that are whole, and why reading stopped before the end, if it did."""
    found: list[Raw | Broken] = []
    try:
        text, reason = content.decode(), None
    except UnicodeDecodeError as fault:
        text, reason = content[: fault.start].decode(), "is not UTF-8"
    try:
        for cut, value in _elements(text.removeprefix("\ufeff")):
            found.append(thing(store, cut, value, dates))
    except (ValueError, ArithmeticError, RecursionError) as fault:
        return found, reason or f"is broken: {fault}"
    return found, reason


def _elements(text: str) -> Iterator[tuple[str, Any]]:
    """Yield each element of a JSON list with its exact text."""
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError("it is not a JSON list")
    at = _skip(text, at + 1)
    ends = text[at : at + 1] == "]"
    while not ends:
        value, end = _DECODER.raw_decode(text, at)
        yield text[at:end], value
        at = _skip(text, end)
        ends = text[at : at + 1] == "]"
        if not ends:
            if text[at : at + 1] != ",":
                raise ValueError("it ends in the middle")
            at = _skip(text, at + 1)
    if _skip(text, at + 1) < len(text):
        raise ValueError("something follows the list")


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def thing(store: str, text: str, value: object, dates: tuple[str, ...]) -> Raw | Broken:
    """Return one item; `dates` is empty where only its id was asked for."""
    if not isinstance(value, dict):
        return Broken(store, None, text, "the item is not an object")
    key = value.get("id")
    if type(key) is not int or key < 1:
        return Broken(store, None, text, "the item has no id")
    changed_at = _changed_at(value, dates) if dates else NO_DATE
    if changed_at is None:
        return Broken(store, str(key), text, f"the item has no readable {dates[0]}")
    return Raw(str(key), text, value, changed_at)


def _changed_at(body: Mapping[str, Any], dates: tuple[str, ...]) -> datetime | None:
    """The first of the dates that can be read; GMT dates come without an offset."""
    for name in dates:
        try:
            moment = datetime.fromisoformat(body[name])
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return None


def moment_of(said: object) -> datetime | None:
    """A moment an answer tells, in UTC; some come without an offset."""
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
        if moment is None:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
