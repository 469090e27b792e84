"""Pages of our own warehouse contract: `{"items": […], "next": …}` cut into exact texts.

One item that is no thing costs none of its neighbours, and neither does a page that breaks off.
What an item means is for the mapper.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from resources.pages import Broken, Raw

_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal)
_BLANKS = re.compile(r"[ \t\r\n]*")
LONGEST_ID = 120


@dataclass(frozen=True)
class Page:
    """What could be read of one page, where the next one starts, and what broke it off."""

    items: list[Raw | Broken]
    next: str | None
    fault: str | None = None


def page(system: str, content: bytes) -> Page:
    """Return the items that are whole, and why reading stopped before the end, if it did."""
    found: list[Raw | Broken] = []
    rest: dict[str, Any] = {}
    try:
        for name, cut, value in _members(content.decode()):
            if name == "items":
                found.append(item(system, cut, value))
            else:
                rest[name] = value
    except (ValueError, ArithmeticError, RecursionError) as fault:
        return Page(found, None, f"is broken: {fault}")
    following = rest.get("next")
    if following is not None and not (isinstance(following, str) and following):
        return Page(found, None, "names a next page that is no text")
    return Page(found, following)


def item(system: str, text: str, value: object) -> Raw | Broken:
    """Return one thing with its id and the time it changed, which must have an offset."""
    if not isinstance(value, dict):
        return Broken(system, None, text, "the item is not an object")
    key = value.get("id")
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_ID or not key.isprintable():
        return Broken(system, None, text, "the item has no id")
    changed_at = _moment(value.get("changed_at"))
    if changed_at is None:
        return Broken(system, key, text, "the item has no changed_at with an offset")
    return Raw(key, text, value, changed_at)


def _moment(said: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _members(text: str) -> Iterator[tuple[str, str, Any]]:
    """Yield each member of an object, those of the list `items` one by one, with exact texts."""
    at = _expect(text, 0, "{", "it is not a JSON object")
    has_items = False
    while text[at : at + 1] != "}":
        name, at = _DECODER.raw_decode(text, at)
        at = _expect(text, _skip(text, at), ":", "a name has no value")
        if name == "items":
            has_items, at = True, _expect(text, at, "[", "its items are no list")
            while text[at : at + 1] != "]":
                value, end = _DECODER.raw_decode(text, at)
                yield "items", text[at:end], value
                at = _after(text, end, "]")
            at += 1
        else:
            value, end = _DECODER.raw_decode(text, at)
            yield str(name), text[at:end], value
            at = end
        at = _after(text, at, "}")
    if _skip(text, at + 1) < len(text):
        raise ValueError("something follows the object")
    if not has_items:
        raise ValueError("it has no items")


def _after(text: str, at: int, end: str) -> int:
    """The place behind a comma, or of the end."""
    at = _skip(text, at)
    return at if text[at : at + 1] == end else _expect(text, at, ",", "it ends in the middle")


def _expect(text: str, at: int, mark: str, why: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(why)
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at
