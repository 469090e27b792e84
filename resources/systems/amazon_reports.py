"""Amazon's settlement report as it stands there: the tab separated flat file, second version
(GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2). What a type or an amount means is for the mapper.

    settlement-id ... total-amount currency transaction-type order-id ... amount   names of columns
    12345678901   ... 26.38        EUR                                             its head
    12345678901                             Order            302-...      20.00    its rows

A settlement has one head, with its period, its total and its currency; its rows come after it and
leave those cells empty. Amazon promises neither an order of columns nor quotes; shops in Europe
write `95,00`, and some rows of the same file `95.00`.
https://developer-docs.amazon.com/sp-api/docs/report-type-values-settlement

Lines are kept as bytes and taken apart when they are asked for, so that a file of a million lines
costs its own size and little more.
"""

import codecs
import csv
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from resources.systems.csv_lines import UNSTORABLE
from resources.systems.report_files import BrokenLine, RefusedFile, Report, ReportLine

KIND = "settlement_v2"

#: What the head says of its settlement; the facts of every line of it.
HEAD = (
    *("settlement-id", "settlement-start-date", "settlement-end-date", "deposit-date"),
    *("total-amount", "currency"),
)
#: Without these nobody can say what a row means; one of `MOMENTS` is needed too.
REQUIRED = (
    *("settlement-id", "deposit-date", "total-amount", "currency", "transaction-type"),
    *("order-id", "amount-type", "amount-description", "amount"),
)
MOMENTS = ("posted-date-time", "posted-date")
KNOWN = frozenset(
    {
        *(*HEAD, *REQUIRED, *MOMENTS),
        *("merchant-order-id", "adjustment-id", "shipment-id", "marketplace-name"),
        *("fulfillment-id", "order-item-code", "merchant-order-item-id"),
        *("merchant-adjustment-item-id", "sku", "quantity-purchased", "promotion-id"),
    }
)
#: Columns of the version before, which Amazon gave up in March 2026.
FIRST_VERSION = frozenset({"price-type", "price-amount", "item-related-fee-amount"})
#: The report has 24; more than this is another file.
MOST_COLUMNS = 500
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BETWEEN = re.compile(r"[ _-]+")


class _Broken(ValueError):
    """A line that cannot be read, and why."""


class _Header:
    """The report's own names of its columns, each once; `spare` is what is tried after UTF-8."""

    def __init__(self, names: Sequence[str], spare: str) -> None:
        self.names, self.spare = names, spare
        self.places = {name: place for place, name in enumerate(names)}
        moment = next(name for name in MOMENTS if name in self.places)
        #: Editors cut empty cells off the end of a line; these may not be missing.
        self.least = 1 + max(self.places[name] for name in (*REQUIRED, moment))
        self.least_of_head = 1 + max(self.places.get(name, 0) for name in HEAD)

    def cells(self, line: bytes) -> list[str]:
        """The fields of a line; raises _Broken."""
        text = self._text(line)
        if UNSTORABLE.search(text):
            raise _Broken("holds a character that cannot be kept")
        cells, wanted = _cells(text, len(self.names)), len(self.names)
        if len(cells) > wanted and not any(cells[wanted:]):
            del cells[wanted:]
        if len(cells) != wanted:
            least = self.least_of_head if self.is_head(cells) else self.least
            if not least <= len(cells) < wanted and any(cells):
                raise _Broken(f"has {len(cells)} fields, the header has {wanted}")
            cells += [""] * (wanted - len(cells))
        return cells

    def is_head(self, cells: Sequence[str]) -> bool:
        """Whether a line is the head of a settlement: it has a total and no amount."""
        total, amount = self.places["total-amount"], self.places["amount"]
        return len(cells) > total and bool(cells[total]) and not "".join(cells[amount : amount + 1])

    def _text(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError:
            pass
        try:
            return line.decode(self.spare)
        except UnicodeDecodeError as fault:
            told = f"is neither UTF-8 nor {self.spare} at its byte {fault.start + 1}"
            raise _Broken(told) from fault


class _Lines(Sequence[ReportLine]):
    """The lines of one file that can be read."""

    def __init__(self, content: bytes, header: _Header) -> None:
        self.content, self.header = content, header
        self.starts, self.ends, self.numbers = array("Q"), array("Q"), array("Q")
        #: The place in `heads` of each line's settlement.
        self.settlements = array("L")
        self.heads: list[Mapping[str, str]] = []
        self._known: dict[str, int] = {}

    def add(self, number: int, start: int, end: int, cells: Sequence[str]) -> None:
        """Take a line in that was read once already; raises _Broken."""
        places = self.header.places
        settlement = cells[places["settlement-id"]]
        if not settlement:
            raise _Broken("names no settlement")
        if self.header.is_head(cells):
            if settlement in self._known:
                raise _Broken(f"is a second head of settlement {settlement[:40]}")
            self._known[settlement] = len(self.heads)
            self.heads.append({name: cells[places[name]] for name in HEAD if name in places})
        elif settlement not in self._known:
            raise _Broken(f"comes before a head of its settlement {settlement[:40]}")
        self.starts.append(start)
        self.ends.append(end)
        self.numbers.append(number)
        self.settlements.append(self._known[settlement])

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[ReportLine]:
        return map(self._line, range(len(self)))

    @overload
    def __getitem__(self, place: int) -> ReportLine: ...
    @overload
    def __getitem__(self, place: slice) -> list[ReportLine]: ...
    def __getitem__(self, place: int | slice) -> ReportLine | list[ReportLine]:
        places = range(len(self))[place]
        return self._line(places) if isinstance(places, int) else list(map(self._line, places))

    def _line(self, place: int) -> ReportLine:
        cells = self.header.cells(self.content[self.starts[place] : self.ends[place]])
        row = dict(zip(self.header.names, cells, strict=True))
        return ReportLine(self.numbers[place], row, self.heads[self.settlements[place]])


def read(name: str, content: bytes) -> Report:
    """Return each line of one or several settlements; raises RefusedFile.

    The facts of a line are what the head of its settlement says. Of a column that stands there
    twice the second is `<name> (2)`.
    """
    if content.startswith(b"PK\x03\x04"):
        raise RefusedFile(f"{name[-80:]!r} is a spreadsheet; drop the text file as Amazon made it")
    spans = _spans(content)
    head = next((span for span in spans if content[span[1] : span[2]].strip()), None)
    if head is None:
        raise RefusedFile("it has no header row")
    # Japan's reports are in its own character set, those of other countries in Western Europe's.
    spare = "cp932" if b"\tJPY\t" in content[:8192] else "cp1252"
    header = _header(content[head[1] : head[2]], spare)
    lines, broken = _Lines(content, header), list[BrokenLine]()
    for number, start, end in spans:
        try:
            cells = header.cells(content[start:end])
            if any(cells):
                lines.add(number, start, end, cells)
        except _Broken as why:
            broken.append(BrokenLine(number, str(why)))
    if not lines.heads:
        raise RefusedFile(
            "no line says what a settlement comes to (total-amount); the file is cut, or was edited"
        )
    facts = lines.heads[0] if len(lines.heads) == 1 else {}
    return Report(KIND, lines, broken, facts)


def _spans(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each line, also of empty ones."""
    start = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    number = 0
    for number, end in enumerate(_LINE_END.finditer(content), 1):
        yield number, start, end.start()
        start = end.end()
    if start < len(content):
        yield number + 1, start, len(content)


def _header(line: bytes, spare: str) -> _Header:
    text = line.decode(errors="replace")
    cells = _cells(text, 0)
    if len(cells) > MOST_COLUMNS:
        raise RefusedFile(f"its header row has {len(cells)} columns")
    names: list[str] = []
    for place, cell in enumerate(cells):
        plain = _BETWEEN.sub("-", cell.casefold())
        names.append(_once(plain if plain in KNOWN else cell or f"column {place + 1}", names))
    missing = [one for one in REQUIRED if one not in names]
    if not any(one in names for one in MOMENTS):
        missing.append(" or ".join(MOMENTS))
    if missing:
        raise RefusedFile(_lacks(text, names, missing), len(KNOWN.intersection(names)))
    return _Header(names, spare)


def _lacks(text: str, names: Sequence[str], missing: Sequence[str]) -> str:
    if FIRST_VERSION.intersection(names):
        return "it is the first version of the report; take the Flat File V2 settlement report"
    if "\t" not in text and "settlement" in text.casefold():
        return "its columns are not parted by tabs; drop the file as Amazon made it, not saved anew"
    return f"it lacks the column {' and '.join(missing)}"


def _once(name: str, names: Sequence[str]) -> str:
    count, found = 1, name
    while found in names:
        count += 1
        found = f"{name} ({count})"
    return found


def _cells(text: str, wanted: int) -> list[str]:
    """Fields of one line. Amazon quotes nothing, and an article's name may have quotes in it;
    programs that save the file anew quote what they like.
    """
    cells = [cell.strip() for cell in text.split("\t")]
    if '"' not in text:
        return cells
    if not wanted or len(cells) == wanted:
        return [_unquoted(cell) for cell in cells]
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter="\t", strict=True))]
    except (csv.Error, StopIteration) as fault:
        raise _Broken(
            "has quotes that are not closed, or stand in the middle of a field"
        ) from fault


def _unquoted(cell: str) -> str:
    if len(cell) < 2 or not (cell.startswith('"') and cell.endswith('"')):
        return cell
    return cell[1:-1].replace('""', '"').strip()
