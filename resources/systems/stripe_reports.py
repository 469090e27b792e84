"""Stripe's itemised reports as files: payout reconciliation, and activity of the balance.

Each row of them is one balance transaction, in the same columns, so that one reader serves all;
they differ in which rows they hold, and in columns somebody chose. What a row means is for a
mapper. Columns that hold people's names, addresses and telephone numbers are left out here, so that
they are kept nowhere.

Columns: https://docs.stripe.com/reports/report-types/payout-reconciliation
"""

import csv
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from resources.systems.report_files import BrokenLine, RefusedFile, Report, ReportLine

KIND = "balance_transactions"
#: Without these nobody can say what moved; one of the columns of `MOMENTS` is needed too.
REQUIRED = (
    *("balance_transaction_id", "reporting_category", "currency"),
    *("gross", "fee", "net"),
)
MOMENTS = ("created_utc", "created")
#: Columns the mapper knows; written otherwise in capitals, they are still these.
KNOWN = (
    *REQUIRED,
    *MOMENTS,
    *("source_id", "charge_id", "payment_intent_id", "automatic_payout_id", "trace_id"),
    *("automatic_payout_effective_at", "automatic_payout_effective_at_utc", "description"),
    *("payment_method_type", "card_brand", "customer_facing_amount", "customer_facing_currency"),
)
DELIMITERS = (",", ";", "\t")
#: A text with line breaks goes over so many lines at most; one more is an open quote.
LONGEST_CELL = 40

_PERSONAL = re.compile(
    r"(?:customer|shipping|billing)_(?:name|email|phone|address.*)|card_(?:name|address.*)"
    r"|(?:receipt|customer)_email|statement_name",
    re.IGNORECASE,
)
_LINE_END = re.compile(rb"\r\n|\n|\r")
_WIDE = (b"\xff\xfe", b"\xfe\xff")


class _BrokenRow(ValueError):
    """Why a line cannot be read."""


def read(name: str, content: bytes) -> Report:
    """Return every row, read or with its reason; raises RefusedFile.

    The rows stay bytes until they are looked at: a million of them as mappings would be gigabytes.
    """
    if content.startswith(_WIDE):
        raise RefusedFile("it is UTF-16; save it as CSV in UTF-8, or send it as Stripe made it")
    start = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    spans = _spans(content, start)
    first = next(((number, at, end) for number, at, end in spans if content[at:end].strip()), None)
    if first is None:
        raise RefusedFile("it is empty; send a report with a header row")
    header = _Header(_decoded(content[first[1] : first[2]]))
    lines, broken = _sorted_out(content, header, spans)
    return Report(kind=KIND, lines=lines, broken=broken)


def _spans(content: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Number, first byte and end of every line."""
    number = 1
    for end in _LINE_END.finditer(content, at):
        yield number, at, end.start()
        number, at = number + 1, end.end()
    if at < len(content):
        yield number, at, len(content)


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as fault:
        raise RefusedFile(
            f"its header is not UTF-8 at byte {fault.start}; send it as Stripe made it"
        ) from fault


class _Header:
    """The columns of a file, and how a row is taken apart by them."""

    def __init__(self, text: str) -> None:
        best: tuple[int, str, list[str]] = (-1, ",", [])
        for delimiter in DELIMITERS:
            try:
                cells = [_name(cell) for cell in _cells(text, delimiter)]
            except _BrokenRow:
                continue
            known = sum(cell in KNOWN for cell in cells)
            if known > best[0]:
                best = (known, delimiter, cells)
        _, self.delimiter, self.columns = best
        self.nothing = f'{self.delimiter}" \t\r\n'
        self._check(best[0])
        self.names = _unique(self.columns)
        #: Places of columns that come twice, for those we read: which of two amounts would count?
        self.twins = [
            [place for place, one in enumerate(self.columns) if one == column]
            for column, count in Counter(self.columns).items()
            if count > 1 and column in KNOWN
        ]
        self.kept = [
            (place, name)
            for place, name in enumerate(self.names)
            if not _PERSONAL.fullmatch(self.columns[place])
        ]

    def _check(self, known: int) -> None:
        missing = [name for name in REQUIRED if name not in self.columns]
        if not any(name in self.columns for name in MOMENTS):
            missing.append(" or ".join(MOMENTS))
        if missing:
            raise RefusedFile(
                f"it lacks the columns {', '.join(missing)}; "
                "choose them where the report is made, or send the itemised report",
                known,
            )

    def cells(self, line: bytes) -> list[str] | None:
        """The cells of one row; None where it says nothing."""
        try:
            text = line.decode()
        except UnicodeDecodeError as fault:
            raise _BrokenRow(f"is not UTF-8 at byte {fault.start}") from fault
        if "\x00" in text:
            raise _BrokenRow("holds a character that cannot be kept")
        cells = _cells(text, self.delimiter)
        if not text.strip(self.nothing) or self._is_header(cells):
            return None
        if len(cells) != len(self.columns):
            raise _BrokenRow(f"has {len(cells)} fields, the header has {len(self.columns)}")
        for places in self.twins:
            if len({cells[place].strip() for place in places}) > 1:
                column = self.columns[places[0]]
                raise _BrokenRow(f"has two different values of {column}, which stands there twice")
        return cells

    def _is_header(self, cells: list[str]) -> bool:
        """Whether a row names the columns again, as where files were put together."""
        is_like = _name(cells[0]) == self.columns[0]
        return is_like and [_name(cell) for cell in cells] == self.columns

    def row(self, line: bytes) -> Mapping[str, str]:
        """One row that was read before, by the names of its columns."""
        cells = self.cells(line) or []
        return {name: cells[place].strip() for place, name in self.kept}


class _Lines(Sequence[ReportLine]):
    """The rows of a file, each taken apart when it is asked for."""

    def __init__(self, content: bytes, header: _Header) -> None:
        self.content, self.header = content, header
        self.numbers, self.starts, self.ends = array("Q"), array("Q"), array("Q")

    def add(self, number: int, start: int, end: int) -> None:
        """Remember where a row stands that can be read."""
        self.numbers.append(number)
        self.starts.append(start)
        self.ends.append(end)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> ReportLine: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ReportLine]: ...
    def __getitem__(self, place: int | slice) -> ReportLine | Sequence[ReportLine]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        line = self.content[self.starts[place] : self.ends[place]]
        return ReportLine(self.numbers[place], self.header.row(line))


def _sorted_out(
    content: bytes, header: _Header, spans: Iterator[tuple[int, int, int]]
) -> tuple[_Lines, list[BrokenLine]]:
    """Rows that can be read, and those that cannot; a quote left open costs its own line only."""
    lines, broken = _Lines(content, header), list[BrokenLine]()
    waiting: list[tuple[int, int, int]] = []
    while True:
        span = waiting.pop(0) if waiting else next(spans, None)
        if span is None:
            return lines, broken
        number, start, end = span
        if content.count(b'"', start, end) % 2:
            end = _closed(content, start, end, spans, waiting, header)
        try:
            if header.cells(content[start:end]) is not None:
                lines.add(number, start, end)
        except _BrokenRow as why:
            broken.append(BrokenLine(number, str(why)))


def _closed(
    content: bytes,
    start: int,
    end: int,
    spans: Iterator[tuple[int, int, int]],
    waiting: list[tuple[int, int, int]],
    header: _Header,
) -> int:
    """The end of a row whose cell goes over several lines; its own end where it does not."""
    while len(waiting) < LONGEST_CELL and (more := next(spans, None)) is not None:
        waiting.append(more)
    quotes = content.count(b'"', start, end)
    for place, (_, at, until) in enumerate(waiting):
        quotes += content.count(b'"', at, until)
        if quotes % 2:
            continue
        try:
            header.cells(content[start:until])
        except _BrokenRow:
            return end
        del waiting[: place + 1]
        return until
    return end


def _cells(row: str, delimiter: str) -> list[str]:
    if '"' not in row:
        return row.split(delimiter)
    try:
        found = list(csv.reader(row.splitlines(keepends=True), delimiter=delimiter, strict=True))
    except csv.Error as fault:
        raise _BrokenRow("its quotes are not closed, or stand in the middle of a field") from fault
    if len(found) != 1:
        raise _BrokenRow("has a line break outside of quotes")
    return found[0]


def _name(cell: str) -> str:
    """A column's name as it stands there; those we know as Stripe writes them."""
    name = cell.strip()
    return name.lower() if name.lower() in KNOWN else name


def _unique(columns: Sequence[str]) -> list[str]:
    """A name for each place: the second `note` is `note (2)`, one without a name `column 7`."""
    seen, taken, found = Counter[str](), set(columns), list[str]()
    for place, column in enumerate(columns, start=1):
        name = column or f"column {place}"
        seen[name] += 1
        while seen[name] > 1 and f"{name} ({seen[name]})" in taken:
            seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
