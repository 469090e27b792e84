"""Adyen's report files as they stand there: settlement detail reports and payments accounting
reports, both in CSV. What a column or a type means is for the mapper.

Lines are kept as bytes and taken apart when they are asked for, so that a file of a million lines
costs its own size and little more.
"""

import codecs
import csv
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from resources.systems.csv_lines import UNSTORABLE
from resources.systems.report_files import BrokenLine, RefusedFile, Report, ReportLine

SETTLEMENT_DETAIL = "settlement_detail"
PAYMENTS_ACCOUNTING = "payments_accounting"

#: Columns without which a line says nothing, each with the names it has had. Older files have the
#: time a payment was made, newer ones may also have the time it was booked.
#: https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report
#: https://docs.adyen.com/reporting/invoice-reconciliation/payment-accounting-report
REQUIRED: Mapping[str, Sequence[tuple[str, ...]]] = {
    SETTLEMENT_DETAIL: (
        ("Merchant Account",),
        ("Psp Reference",),
        ("Merchant Reference",),
        ("Creation Date", "Booking Date"),
        ("TimeZone", "Booking Date TimeZone"),
        ("Type",),
        ("Modification Reference",),
        ("Gross Currency",),
        ("Gross Debit (GC)",),
        ("Gross Credit (GC)",),
        ("Net Currency",),
        ("Net Debit (NC)",),
        ("Net Credit (NC)",),
        ("Commission (NC)",),
        ("Markup (NC)",),
        ("Scheme Fees (NC)",),
        ("Interchange (NC)",),
        ("Batch Number",),
    ),
    PAYMENTS_ACCOUNTING: (
        ("Merchant Account",),
        ("Psp Reference",),
        ("Merchant Reference",),
        ("Booking Date", "Creation Date"),
        ("TimeZone", "Booking Date TimeZone"),
        ("Record Type",),
        ("Modification Psp Reference",),
        ("Payment Currency",),
        ("Original Amount",),
    ),
}
#: Lines of the account itself have no reference; two that agree in these are told apart by count.
ALIKE = (
    "Merchant Account",
    "Batch Number",
    "Type",
    "Modification Reference",
    "Creation Date",
    "Booking Date",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
)
_CANONICAL = {
    name.casefold(): name for required in REQUIRED.values() for names in required for name in names
}
#: Adyen's longest reports have some eighty.
MOST_COLUMNS = 500
_LINE_END = re.compile(rb"\r\n|\n|\r")


class _Broken(ValueError):
    """A line that cannot be read, and why."""


@dataclass(frozen=True)
class _Header:
    """The report's own names of its columns, each once."""

    kind: str
    names: Sequence[str]
    #: Places of a column that stands there twice and counts for us.
    twins: Sequence[tuple[int, int]]

    def cells(self, line: bytes) -> list[str]:
        """The fields of a line; raises _Broken."""
        text = _text(line)
        if UNSTORABLE.search(text):
            raise _Broken("holds a character that cannot be kept")
        cells = [cell.strip() for cell in _cells(text)]
        if len(cells) != len(self.names):
            raise _Broken(f"has {len(cells)} fields, the header has {len(self.names)}")
        for first, second in self.twins:
            if cells[first] != cells[second]:
                raise _Broken(f"says {self.names[first]} twice, and differently")
        return cells


class _Lines(Sequence[ReportLine]):
    """The lines of one file that can be read."""

    def __init__(self, content: bytes, header: _Header) -> None:
        self.content, self.header = content, header
        self.starts, self.ends, self.numbers = array("Q"), array("Q"), array("Q")
        #: What sets a line apart from an earlier one that is the same, by its place.
        self.facts: dict[int, Mapping[str, str]] = {}

    def add(self, number: int, start: int, end: int, occurrence: int) -> None:
        """Take a line in that was read once already."""
        if occurrence > 1:
            self.facts[len(self.numbers)] = {"occurrence": str(occurrence)}
        self.starts.append(start)
        self.ends.append(end)
        self.numbers.append(number)

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
        return ReportLine(self.numbers[place], row, self.facts.get(place, {}))


def read(name: str, content: bytes) -> Report:
    """Return each line below the header; raises RefusedFile where it is none of these reports.

    Of a column that stands there twice the second is `<name> (2)`. A line of the account that
    repeats an earlier one of the file in every part has the fact `occurrence`, from 2.
    """
    if content.startswith(b"PK\x03\x04"):
        raise RefusedFile(f"{name[-80:]!r} is a spreadsheet; let Adyen make the report as CSV")
    spans = _spans(content)
    head = next((span for span in spans if content[span[1] : span[2]].strip()), None)
    if head is None:
        raise RefusedFile("it has no header row")
    header = _header(content[head[1] : head[2]])
    lines, broken = _Lines(content, header), list[BrokenLine]()
    alike = [header.names.index(one) for one in ALIKE if one in header.names]
    psp, seen = header.names.index("Psp Reference"), dict[tuple[str, ...], int]()
    for number, start, end in spans:
        try:
            cells = header.cells(content[start:end]) if content[start:end].strip() else []
        except _Broken as why:
            broken.append(BrokenLine(number, str(why)))
            continue
        if not any(cells):
            continue
        occurrence = 1
        if not cells[psp]:
            key = tuple(cells[place] for place in alike)
            occurrence = seen[key] = seen.get(key, 0) + 1
        lines.add(number, start, end, occurrence)
    return Report(header.kind, lines, broken)


def _spans(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each line, also of empty ones."""
    start = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    number = 0
    for number, end in enumerate(_LINE_END.finditer(content), 1):
        yield number, start, end.start()
        start = end.end()
    if start < len(content):
        yield number + 1, start, len(content)


def _header(line: bytes) -> _Header:
    try:
        cells = [cell.strip() for cell in _cells(_text(line))]
    except _Broken as why:
        raise RefusedFile(f"its header row {why}") from why
    if len(cells) > MOST_COLUMNS:
        raise RefusedFile(f"its header row has {len(cells)} columns")
    names: list[str] = []
    twins: list[tuple[int, int]] = []
    for place, cell in enumerate(cells):
        name = _CANONICAL.get(cell.casefold(), cell) or f"column {place + 1}"
        if name in names and name.casefold() in _CANONICAL:
            twins.append((names.index(name), place))
        names.append(_once(name, names))
    kind = PAYMENTS_ACCOUNTING if "Record Type" in names else SETTLEMENT_DETAIL
    missing = [one for one in REQUIRED[kind] if not any(name in names for name in one)]
    if missing:
        lacks = ", ".join(" or ".join(one) for one in missing)
        known = len(REQUIRED[kind]) - len(missing)
        report = kind.replace("_", " ")
        raise RefusedFile(f"as a {report} report it lacks the column {lacks}"[:500], known)
    return _Header(kind, names, twins)


def _once(name: str, names: Sequence[str]) -> str:
    count, found = 1, name
    while found in names:
        count += 1
        found = f"{name} ({count})"
    return found


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as fault:
        raise _Broken(f"is not UTF-8 at its byte {fault.start + 1}") from fault


def _cells(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as fault:
        raise _Broken(
            "has quotes that are not closed, or stand in the middle of a field"
        ) from fault
