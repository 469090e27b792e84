"""An answer as a tree that is read the same way whether the carrier wrote JSON or XML.

Nothing here raises once the text is read: what is absent, or of another kind than expected, reads
as blank. XML comes through the standard library (defusedxml is no dependency of ours), which would
expand entities; a text that declares a document type or an entity is therefore refused unread.
"""

import json
from typing import Any, Literal, NoReturn
from xml.etree.ElementTree import Element, ParseError, fromstring

from sync_assets.mappers.payload import storable

Wire = Literal["json", "xml"]

#: No sample is over 25 kB; a proof of delivery with its picture stays under 1 MB.
LARGEST = 5_000_000
_BOMBS = ("<!DOCTYPE", "<!ENTITY")


class Unreadable(ValueError):
    """The text is no answer in the carrier's format; the message says why."""


class Node:
    """One part of an answer: an object, an element or a plain value; false where it is absent."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return self._value is not None

    def many(self, *path: str) -> list["Node"]:
        """Everything under a path; lists are gone through, so that one and many read alike."""
        found = [self]
        for key in path:
            found = [Node(value) for node in found for value in node._under(key)]
        return found

    def one(self, *path: str) -> "Node":
        """The first thing under a path."""
        return next(iter(self.many(*path)), ABSENT)

    def text(self, *path: str) -> str:
        """The plain text of the first thing under a path, blanks collapsed; empty if none."""
        value = self.one(*path)._value if path else self._value
        if isinstance(value, Element):
            value = value.text
        if isinstance(value, bool):
            return "true" if value else "false"
        return " ".join(storable(value).split()) if isinstance(value, str) else ""

    def everywhere(self, name: str) -> list["Node"]:
        """Elements of a name at any depth, the node itself among them; XML only."""
        if not isinstance(self._value, Element):
            return []
        return [Node(element) for element in self._value.iter() if _local(element.tag) == name]

    def _under(self, key: str) -> list[Any]:
        value = self._value
        if isinstance(value, Element):
            found: list[Any] = [child for child in value if _local(child.tag) == key]
            return found or ([value.attrib[key]] if key in value.attrib else [])
        inner = value.get(key) if isinstance(value, dict) else None
        items = inner if isinstance(inner, list) else [inner]
        return [item for item in items if item is not None]


ABSENT = Node(None)


def parsed(text: str, wire: Wire) -> list[Node]:
    """Read a text; several where the carrier answers with a list. Raises `Unreadable`."""
    if len(text) > LARGEST or len(text.encode("utf-8", "replace")) > LARGEST:
        raise Unreadable("is larger than 5 MB")
    return _json(text) if wire == "json" else [_xml(text)]


def _json(text: str) -> list[Node]:
    try:
        # Numbers stay as written: tracking numbers have leading zeros and too many digits.
        body = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unreadable("is not JSON") from None
    return [Node(item) for item in (body if isinstance(body, list) else [body])]


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def _xml(text: str) -> Node:
    if any(bomb in text for bomb in _BOMBS):
        raise Unreadable("declares a document type or an entity")
    try:
        return Node(fromstring(text))  # noqa: S314  (see the module's docstring)
    except (ParseError, ValueError, RecursionError):
        raise Unreadable("is not XML") from None


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]
