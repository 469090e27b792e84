"""JSON objects and lists cut into their parts, each with its exact text; no meaning is given.

Raises ValueError, ArithmeticError or RecursionError for what is no JSON of the kind asked for.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal)
_BLANKS = re.compile(r"[ \t\r\n]*")

#: The exact text of a part, and its value.
Cut = tuple[str, Any]


def members(text: str) -> dict[str, Cut]:
    """Return each member of a JSON object; of a name that comes twice the last one counts."""
    found: dict[str, Cut] = {}
    at = _expect(text, 0, "{", "it is no JSON object")
    ends = text[at : at + 1] == "}"
    while not ends:
        name, at = _DECODER.raw_decode(text, at)
        if not isinstance(name, str):
            raise ValueError("a name is no text")
        at = _expect(text, at, ":", "a name has no value")
        value, end = _DECODER.raw_decode(text, at)
        found[name] = text[at:end], value
        at, ends = _after(text, end, "}")
    _nothing_follows(text, at)
    return found


def elements(text: str) -> Iterator[Cut]:
    """Yield each element of a JSON list."""
    at = _expect(text, 0, "[", "it is no JSON list")
    ends = text[at : at + 1] == "]"
    while not ends:
        value, end = _DECODER.raw_decode(text, at)
        yield text[at:end], value
        at, ends = _after(text, end, "]")
    _nothing_follows(text, at)


def _after(text: str, at: int, end: str) -> tuple[int, bool]:
    """The place of the next part, or of the end and that it is the end."""
    at = _skip(text, at)
    if text[at : at + 1] == end:
        return at, True
    return _expect(text, at, ",", "it ends in the middle"), False


def _expect(text: str, at: int, mark: str, why: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(why)
    return _skip(text, at + 1)


def _nothing_follows(text: str, at: int) -> None:
    if _skip(text, at + 1) < len(text):
        raise ValueError("something follows it")


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at
