"""What we put into a warehouse's folder: one CSV file for each request to ship, or to ship it no
more. The name holds our key and a digest of the content, so the same request is the same file.
"""

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COLUMNS = (
    *("action", "key", "version", "store", "order_number", "warehouse"),
    *("placed_at", "ship_by_at"),
    *("name", "company", "street", "street2", "city", "region", "postcode", "country"),
    *("email", "phone", "shipping_method", "carrier", "service", "note"),
    *("line_key", "sku", "description", "units", "unit_amount", "currency"),
)
SHIP, CANCEL = "ship", "cancel"

_PLAIN = re.compile(r"[A-Za-z0-9_]")
_NAME = re.compile(r"(?P<stem>[A-Za-z0-9_+-]+)\.(?:v(?P<version>\d+)|cancel)\.[0-9a-f]{16}\.csv")
_LINE_BREAKS = re.compile(r"[\r\n]+")


class Unwritable(ValueError):
    """A request that the warehouse's way of writing has no letters for; names the column."""


@dataclass(frozen=True)
class OrderFile:
    """One file of ours, ready to be written."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Style:
    """How the warehouse wants our files."""

    #: Our names of columns to theirs.
    columns: Mapping[str, str]
    encoding: str = "utf-8"
    delimiter: str = ","

    def asks(self, key: str, version: int, rows: Sequence[Mapping[str, str]]) -> OrderFile:
        """The file that asks for a request; raises Unwritable."""
        shared = {"action": SHIP, "key": key, "version": str(version)}
        return self._file(f"{stem(key)}.v{version}", [{**row, **shared} for row in rows])

    def takes_back(self, key: str) -> OrderFile:
        """The file that takes a request back, whatever its version."""
        return self._file(f"{stem(key)}.cancel", [{"action": CANCEL, "key": key}])

    def _file(self, name: str, rows: Sequence[Mapping[str, str]]) -> OrderFile:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\r\n")
        writer.writerow([self.columns.get(name, name) for name in COLUMNS])
        for row in rows:
            writer.writerow([self._cell(name, row.get(name, "")) for name in COLUMNS])
        content = text.getvalue().encode(self.encoding)
        digest = hashlib.sha256(content).hexdigest()
        return OrderFile(f"{name}.{digest[:16]}.csv", content)

    def _cell(self, name: str, text: str) -> str:
        """A field without line breaks: their reader may go line by line, as ours does."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError as fault:
            text = f"{name} has letters that {self.encoding} does not have"
            raise Unwritable(text) from fault
        return _LINE_BREAKS.sub(" ", text)


def stem(key: str) -> str:
    """Our key as the beginning of a file name, on any file system; other keys give other stems."""
    return "".join(_letter(letter) for letter in key)


def _letter(letter: str) -> str:
    if _PLAIN.fullmatch(letter):
        return letter
    if letter == ":":
        return "-"
    return "".join(f"+{byte:02x}" for byte in letter.encode())


def named(name: str) -> tuple[str, int | None] | None:
    """Stem and version of a file of ours, no version for one that takes back; None: not ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return found["stem"], int(found["version"]) if found["version"] else None
