"""PayPal's report files of the SFTP server, read line by line: settlement (STL), transaction detail
(TRR) and subscription agreement (SAR). What a code means is for a mapper.

Each line begins with its record type: RH report head, FH file head, SH section head (period and
account), CH column names, SB a row, SF and RF footers of section and report, SC, RC and FF counts.
Files may lack every head and footer; without CH no cell has a name, and the file is refused.

    SF/RF of a settlement report: currency, gross credits, gross debits, fee credits, fee debits,
    then CR/DR and amount of the beginning and of the ending balance; more follows that we leave.
    SF/RF of the others: the number of rows.

Amounts are in hundredths of every currency, yen too: "100,00 yen and $100.00 USD are both
represented as 10000" (developer.paypal.com/docs/reports/sftp-reports/settlement-report).
"""

import csv
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import overload

from resources.systems.csv_lines import LINE_END, UNSTORABLE, BrokenLine, BrokenRow, RefusedFile
from resources.systems.report_files import Report, ReportLine

MONEY_COLUMNS = (
    "Transaction ID",
    "Transaction Event Code",
    "Transaction Completion Date",
    "Transaction Debit or Credit",
    "Gross Transaction Amount",
    "Gross Transaction Currency",
    "Fee Debit or Credit",
    "Fee Amount",
)
STATUS = "Transactional Status"
#: What no row can be understood without, by kind of report.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "stl": MONEY_COLUMNS,
    "trr": (*MONEY_COLUMNS, STATUS),
    "sar": ("Subscription ID", "Subscription Action Type"),
}
#: Names that a mapper asks for; they are found however a file spaces or capitalises them.
KNOWN = {
    name.casefold(): name
    for name in (
        *REQUIRED["trr"],
        *REQUIRED["sar"],
        "Invoice ID",
        "PayPal Reference ID",
        "PayPal Reference ID Type",
        "Transaction Initiation Date",
        "Fee Currency",
        "Custom Field",
        "Bank Reference ID",
    )
}
RECORDS = frozenset({"RH", "FH", "SH", "CH", "SB", "SF", "SC", "RF", "RC", "FF"})
#: How many rows there are: the file's own word first, then the report's, then its sections'.
COUNTS = ("FF", "RC", "SC", "RF", "SF")
_RECORD = re.compile(r'"?([A-Z]{2})"?(?=[,\t]|$)')
_CURRENCY = re.compile(r"[A-Z]{3}")
_UNITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_BLANKS = re.compile(r"\s+")


def read(name: str, content: bytes) -> Report:
    """Return the rows of one file, each in its own columns; raises RefusedFile."""
    text = _text(content)
    reading = _Reading(name, text)
    for number, (start, end) in enumerate(_spans(text), start=1):
        reading.take(number, start, end)
    return reading.report()


@dataclass(frozen=True)
class _Columns:
    """One CH line: its delimiter, and the name of each cell behind the record type."""

    delimiter: str
    names: tuple[str, ...]

    def row(self, line: str) -> dict[str, str]:
        cells = _cells(line, self.delimiter)[1:]
        if len(cells) < len(self.names) or any(cells[len(self.names) :]):
            raise BrokenRow(f"has {len(cells)} fields behind SB, its columns are {len(self.names)}")
        return dict(zip(self.names, cells, strict=False))


@dataclass
class _Section:
    """What one line of column names and the heads before it say of the rows below."""

    columns: _Columns
    facts: dict[str, str]


@dataclass
class _Reading:
    """How far one file is read: where its rows stand, and what its heads and footers say."""

    name: str
    text: str
    kind: str = ""
    sections: list[_Section] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)
    broken: list[BrokenLine] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    #: Gross credits less debits in hundredths, by record type and currency.
    gross: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = _Rows(self.text, self.sections)

    def take(self, number: int, start: int, end: int) -> None:
        """Read one line, or note why it cannot be read."""
        line = self.text[start:end]
        if not line.strip():
            return
        begins = _RECORD.match(line)
        record = begins[1] if begins else ""
        try:
            if record not in RECORDS:
                raise BrokenRow("begins with no record type of PayPal's")
            if UNSTORABLE.search(line):
                raise BrokenRow("holds a character that cannot be kept")
            if record == "CH":
                self._name_columns(line)
            elif record == "SB":
                self._row(line)
                self.rows.add(number, start, end)
            else:
                self._say(record, _cells(line, _delimiter(line)))
        except BrokenRow as why:
            self.broken.append(BrokenLine(number, str(why)))

    def report(self) -> Report:
        """Return what was read; raises RefusedFile where no columns were named."""
        if not self.sections:
            raise RefusedFile("it has no line CH that names its columns")
        return Report(self.kind, self.rows, tuple(self.broken), self.facts, self._control())

    def _name_columns(self, line: str) -> None:
        delimiter = _delimiter(line)
        try:
            said = [_named(cell) for cell in _cells(line, delimiter)[1:]]
        except BrokenRow as fault:
            raise RefusedFile(f"its line CH cannot be read: {fault}") from fault
        kind = _kind(self.name, said)
        _trust(kind, said)
        self.kind = self.kind or kind
        self.sections.append(_Section(_Columns(delimiter, _unique(said)), dict(self.head)))

    def _row(self, line: str) -> None:
        if not self.sections:
            raise BrokenRow("stands before the line CH that names its columns")
        self.sections[-1].columns.row(line)

    def _say(self, record: str, cells: Sequence[str]) -> None:
        """Take in what a head or footer says."""
        said = [cell.strip() for cell in cells[1:]]
        match record:
            case "SH":
                self.head = _filled(("from", "until", "account"), said)
            case "RH":
                self.facts |= _filled(("made", "window", "account", "version"), said)
            case "FH":
                self.facts |= _filled(("file",), said)
            case _ if said and _CURRENCY.fullmatch(said[0]):
                self._sums(record, said)
            case _ if said and _UNITS.fullmatch(said[0]):
                self.counts[record] = self.counts.get(record, 0) + int(said[0])
            case _:
                raise BrokenRow("says neither a currency nor a number of rows")

    def _sums(self, record: str, said: Sequence[str]) -> None:
        if len(said) < 3 or not all(map(_UNITS.fullmatch, said[1:3])):
            raise BrokenRow("has no sums of credits and debits behind its currency")
        currency, sums = said[0], self.gross.setdefault(record, {})
        sums[currency] = sums.get(currency, 0) + int(said[1]) - int(said[2])
        if record == "SF" and self.sections:
            balances = zip(("beginning", "ending"), (5, 7), strict=True)
            self.sections[-1].facts |= {
                f"{name}:{currency}": balance
                for name, place in balances
                if (balance := _signed(said[place : place + 2])) is not None
            }

    def _control(self) -> dict[str, str]:
        sums = self.gross.get("RF") or self.gross.get("SF") or {}
        control = {f"gross:{currency}": _plain(units) for currency, units in sums.items()}
        counted = next((self.counts[one] for one in COUNTS if one in self.counts), None)
        return control if counted is None else {"count": str(counted), **control}


class _Rows(Sequence[ReportLine]):
    """The rows of a file, cut out of its text when they are asked for.

    A report has up to a million rows of up to 55 cells; as dicts they would fill gigabytes.
    """

    def __init__(self, text: str, sections: Sequence[_Section]) -> None:
        self._text, self._sections = text, sections
        self._numbers, self._starts, self._ends = array("Q"), array("Q"), array("Q")
        self._of_section = array("L")

    def add(self, number: int, start: int, end: int) -> None:
        """Remember where a row of the newest section stands."""
        self._numbers.append(number)
        self._starts.append(start)
        self._ends.append(end)
        self._of_section.append(len(self._sections) - 1)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> ReportLine: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ReportLine]: ...
    def __getitem__(self, place: int | slice) -> ReportLine | Sequence[ReportLine]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        section = self._sections[self._of_section[place]]
        row = section.columns.row(self._text[self._starts[place] : self._ends[place]])
        return ReportLine(self._numbers[place], row, section.facts)


def _text(content: bytes) -> str:
    """Files of before 2010 are UTF-16; it is known by its mark."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as fault:
        raise RefusedFile(f"byte {fault.start} is not {encoding.upper()}") from fault


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each line starts and ends."""
    start = 0
    for found in LINE_END.finditer(text):
        yield start, found.start()
        start = found.end()
    yield start, len(text)


def _delimiter(line: str) -> str:
    """PayPal writes commas, or tabs where the account asks for them."""
    return "\t" if line.lstrip('"')[2:].lstrip('"')[:1] == "\t" else ","


def _cells(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as fault:
        raise BrokenRow("its quotes are not closed, or stand in the middle of a field") from fault


def _named(cell: str) -> str:
    said = _BLANKS.sub(" ", cell).strip()
    return KNOWN.get(said.casefold(), said)


def _kind(name: str, columns: Sequence[str]) -> str:
    """PayPal's names begin with the report's; a settlement may have the columns of the other."""
    if "Subscription Action Type" in columns:
        return "sar"
    start = re.split(r"[\\/]", name)[-1][:3].lower()
    if start in ("stl", "trr"):
        return start
    return "trr" if STATUS in columns else "stl"


def _trust(kind: str, columns: Sequence[str]) -> None:
    known = sum(column in KNOWN.values() for column in columns)
    missing = [name for name in REQUIRED[kind] if name not in columns]
    if missing:
        raise RefusedFile(f"it lacks the column {' and '.join(missing)}", known)
    twice = [name for name in REQUIRED[kind] if columns.count(name) > 1]
    if twice:
        raise RefusedFile(f"it has the column {twice[0]} more than once", known)


def _unique(columns: Sequence[str]) -> tuple[str, ...]:
    """A name that comes again gets its number, so that no cell is lost."""
    seen: dict[str, int] = {}
    found = []
    for column in columns:
        seen[column] = seen.get(column, 0) + 1
        found.append(column if seen[column] == 1 else f"{column} ({seen[column]})")
    return tuple(found)


def _filled(names: Sequence[str], said: Sequence[str]) -> dict[str, str]:
    return {name: cell for name, cell in zip(names, said, strict=False) if cell}


def _signed(said: Sequence[str]) -> str | None:
    """A balance as a plain decimal, from CR or DR and its hundredths."""
    if len(said) < 2 or said[0] not in ("CR", "DR") or not _UNITS.fullmatch(said[1]):
        return None
    return _plain(int(said[1]) if said[0] == "CR" else -int(said[1]))


def _plain(units: int) -> str:
    return f"{Decimal(units).scaleb(-2):f}"
