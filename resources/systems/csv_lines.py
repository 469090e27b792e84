"""CSV as other people write it: whose column is which, and each line for itself.

A file is taken apart line by line, so that an open quote cannot swallow the lines after it; a field
with a line break inside is a broken line. What a column means is for a mapper.
"""

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

Payload = dict[str, str]

DELIMITERS = (",", ";", "\t")
LINE_END = re.compile(r"\r\n|\n|\r")
#: What no database column can hold, and no such file needs.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Line:
    """One line that has the shape of the header, in our names of columns."""

    number: int
    payload: Payload


@dataclass(frozen=True)
class BrokenLine:
    """One line that cannot be read; its neighbours are not touched by it."""

    number: int
    reason: str


class RefusedFile(ValueError):
    """A file of which no line can be trusted; `known` is how many of its columns we know."""

    def __init__(self, reason: str, known: int = 0) -> None:
        super().__init__(reason)
        self.known = known


class BrokenRow(ValueError):
    """A line that has not the shape of the header."""


@dataclass(frozen=True)
class Form:
    """The columns of one kind of file, and how somebody writes them."""

    known: Sequence[str]
    required: Sequence[str]
    #: Our names to theirs; what is left out has our name.
    columns: Mapping[str, str] = field(default_factory=dict)
    #: Columns of theirs that we leave alone; any other unknown one refuses the file.
    ignored: Collection[str] = ()
    encoding: str = "utf-8"

    def read(self, content: bytes) -> tuple[list[Line], list[BrokenLine]]:
        """Return each line below the header, read or with its reason; raises RefusedFile."""
        rows = LINE_END.split(self._text(content))
        start = next((place for place, row in enumerate(rows) if row.strip()), None)
        if start is None:
            raise RefusedFile("it has no header row")
        delimiter, header = self._header(rows[start])
        lines: list[Line] = []
        broken: list[BrokenLine] = []
        for number, row in enumerate(rows[start + 1 :], start=start + 2):
            if not row.strip():
                continue
            try:
                lines.append(Line(number, _payload(row, delimiter, header)))
            except BrokenRow as why:
                broken.append(BrokenLine(number, str(why)))
        return lines, broken

    def _text(self, content: bytes) -> str:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as fault:
            if self.encoding == "utf-8":
                raise RefusedFile(f"byte {fault.start} is not UTF-8") from fault
        try:
            return content.decode(self.encoding)
        except UnicodeDecodeError as fault:
            raise RefusedFile(f"byte {fault.start} is not {self.encoding}") from fault

    def _header(self, row: str) -> tuple[str, list[str | None]]:
        """The delimiter that shows most of the columns we know, and our name of each column."""
        ours = {self.columns.get(name, name).strip().casefold(): name for name in self.known}
        best: tuple[int, str, list[str]] = (-1, "", [])
        for delimiter in DELIMITERS:
            try:
                cells = [cell.strip().casefold() for cell in _cells(row, delimiter)]
            except BrokenRow:
                continue
            known = sum(cell in ours for cell in cells)
            if known > best[0]:
                best = (known, delimiter, cells)
        fault = self._fault(best[2], ours)
        if fault:
            raise RefusedFile(fault, best[0])
        return best[1], [ours.get(cell) for cell in best[2]]

    def _fault(self, cells: Sequence[str], ours: Mapping[str, str]) -> str | None:
        """Why a header cannot be trusted."""
        if not any(cell in ours for cell in cells):
            return "it has no header row that names its columns"
        ignored = {name.strip().casefold() for name in self.ignored}
        unknown = [place for place, c in enumerate(cells, 1) if c not in ours and c not in ignored]
        if unknown:
            named = ", ".join(repr(cells[place - 1][:40]) for place in unknown[:5])
            return f"it has columns that we do not know: {named}"
        twice = sorted({ours[cell] for cell in cells if cell in ours and cells.count(cell) > 1})
        if twice:
            return f"it has the column {twice[0]} more than once"
        missing = [name for name in self.required if name not in {ours.get(cell) for cell in cells}]
        return f"it lacks the column {' and '.join(missing)}" if missing else None


def check_columns(system: str, columns: Mapping[str, str], known: Sequence[str]) -> None:
    """Raise ValueError where the configuration renames a column that nobody has."""
    unknown = sorted(set(columns) - set(known))
    if unknown:
        raise ValueError(f"{system}: columns has {unknown[0]!r}; known: {tuple(known)}")


def _payload(row: str, delimiter: str, header: Sequence[str | None]) -> Payload:
    if UNSTORABLE.search(row):
        raise BrokenRow("holds a character that cannot be kept")
    cells = _cells(row, delimiter)
    if len(cells) != len(header):
        raise BrokenRow(f"has {len(cells)} fields, the header has {len(header)}")
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name}


def _cells(row: str, delimiter: str) -> list[str]:
    """Fields of one line."""
    if '"' not in row:
        return row.split(delimiter)
    try:
        return next(csv.reader([row], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as fault:
        raise BrokenRow("its quotes are not closed, or stand in the middle of a field") from fault
