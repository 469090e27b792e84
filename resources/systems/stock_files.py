"""Stock of a warehouse that drops it as CSV files into a directory: which files are new, what
stands in them line by line, and where a file goes once it is dealt with.

A writer renames a file to `.csv` when it is complete; `.part` and `.tmp` are its business. What a
number means is for the mapper of the same name; remembering digests is for the caller: a crash
before `acknowledge` has the file read again.
"""

import csv
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from pathlib import Path

from resources.errors import TryAgain

Payload = dict[str, str]

#: Our names of the columns; a warehouse that calls them otherwise is configured.
COLUMNS = (
    *("sku", "location", "on_hand", "allocated", "quarantined", "incoming"),
    "counted_at",
)
REQUIRED = ("sku", "on_hand")
DELIMITERS = (",", ";", "\t")
LINE_END = re.compile(r"\r\n|\n|\r")
#: What no database column can hold, and no stock file needs.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: `stock_20261121T0600.csv`, `2026-11-21_06-00-15.csv`: a day, then hours and minutes.
NAME_TIME = re.compile(
    r"(?<!\d)(\d{4})-?(\d\d)-?(\d\d)[T_ -]?(\d\d)[:.-]?(\d\d)(?:[:.-]?(\d\d))?(Z?)(?!\d)"
)
#: What we add to a name so that no two files share one.
DIGEST_SUFFIX = re.compile(r"\.[0-9a-f]{16}\.csv$")
HELD = ".taken"
LARGEST_BYTES = 256 * 1024 * 1024


class Outcome(StrEnum):
    """What became of a file, and the folder it goes to."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True)
class StockLine:
    """One line that has the shape of the header, in our names of columns."""

    number: int
    payload: Payload


@dataclass(frozen=True)
class BrokenLine:
    """One line that cannot be read; its neighbours are not touched by it."""

    number: int
    reason: str


@dataclass(frozen=True)
class StockFile:
    """One complete file: its lines, or why all of it is refused."""

    name: str
    digest: str
    #: When the numbers are true, for lines that do not say it themselves, and how we know.
    true_at: datetime
    true_at_from: str  # "name" or "modified"
    lines: Sequence[StockLine] = ()
    broken: Sequence[BrokenLine] = ()
    refusal: str | None = None
    #: Another file of the same content, waiting before it or done earlier.
    duplicate_of: str | None = None


@dataclass
class StockFiles:
    """The inbox of one warehouse; `done/` and `refused/` are folders inside of it."""

    inbox: Path
    system: str
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    #: Where the clock hangs that wrote the times without an offset.
    zone: tzinfo = UTC
    #: Columns of theirs that we leave alone; any other unknown one refuses the file.
    ignored: Collection[str] = ()
    largest_bytes: int = LARGEST_BYTES
    _read: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.columns) - set(COLUMNS))
        if unknown:
            raise ValueError(f"{self.system}: columns has {unknown[0]!r}; known: {COLUMNS}")

    def stock_files(self) -> Iterator[StockFile]:
        """Yield every complete file that waits, oldest first."""
        first_of: dict[str, str] = {}
        away: list[str] = []
        for path in self._waiting():
            try:
                found = self._file(path)
            except FileNotFoundError:  # somebody else dealt with it, or the writer took it back
                continue
            except OSError as fault:
                away.append(fault.strerror or "unknown")
                continue
            earlier = first_of.setdefault(found.digest, found.name)
            copy = earlier if earlier != found.name else self._kept(found.digest)
            self._read[found.name] = found.digest
            yield replace(found, duplicate_of=copy)
        if away:
            raise TryAgain(self.system, f"{len(away)} files cannot be read: {away[0]}")

    def acknowledge(self, name: str, outcome: Outcome, reason: str = "") -> None:
        """Move a file out of the inbox; call it only after what it said was committed.

        A file that meanwhile has other content under the same name is left to be read.
        """
        digest = self._read.get(name)
        if digest is None:
            raise ValueError(f"{self.system}: {name!r} was not read before")
        held = self.inbox / f".{name}{HELD}"
        try:
            (self.inbox / name).rename(held)
        except FileNotFoundError:
            return  # moved by a run before us
        if _digest_of(held) != digest:
            self._give_back(held)
            return
        folder = self.inbox / outcome.value
        folder.mkdir(exist_ok=True)
        kept = _with_digest(name, digest)
        if reason:
            (folder / f"{kept}.reason.txt").write_text(reason + "\n", encoding="utf-8")
        held.replace(folder / kept)

    def _give_back(self, held: Path) -> None:
        """Return a file to the inbox under a name that no writer uses, so none is overwritten."""
        name = held.name.removeprefix(".").removesuffix(HELD)
        held.replace(self.inbox / _with_digest(name, _digest_of(held)))

    def _waiting(self) -> list[Path]:
        """Complete files, the one written first at the head."""
        try:
            for held in self.inbox.glob(f".*{HELD}"):  # a run died while it moved them
                self._give_back(held)
            # Nothing that only looks like a file: reading a pipe would wait for ever.
            found = [
                (path.stat().st_mtime_ns, path.name, path)
                for path in self.inbox.iterdir()
                if path.suffix.lower() == ".csv" and path.name[0] != "." and path.is_file()
            ]
        except OSError as fault:  # a folder that cannot be read is not an empty one
            raise TryAgain(self.system, f"its inbox cannot be read: {fault.strerror}") from fault
        return [path for _, _, path in sorted(found)]

    def _kept(self, digest: str) -> str | None:
        """The name under which the same content was done before."""
        folder = self.inbox / Outcome.DONE.value
        return next((path.name for path in folder.glob(f"*.{digest[:16]}.csv")), None)

    # Reading one file

    def _file(self, path: Path) -> StockFile:
        stat = path.stat()
        moment, source = self._moment(path.name, stat.st_mtime_ns)
        if stat.st_size > self.largest_bytes:
            digest = _digest_of(path)
            refusal = f"it is larger than {self.largest_bytes} bytes"
            return StockFile(path.name, digest, moment, source, refusal=refusal)
        content = path.read_bytes()
        found = StockFile(path.name, _digest(content), moment, source)
        try:
            lines, broken = self._lines(self._text(content))
        except RefusedFile as why:
            return replace(found, refusal=str(why))
        return replace(found, lines=lines, broken=broken)

    def _moment(self, name: str, modified_ns: int) -> tuple[datetime, str]:
        """The time in the name, else when the file was last written."""
        told = NAME_TIME.search(DIGEST_SUFFIX.sub("", name))
        if told is not None:
            *parts, is_utc = told.groups()
            zone = UTC if is_utc else self.zone
            try:
                year, month, day, hour, minute, second = (int(part or 0) for part in parts)
                moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
                return moment.astimezone(UTC), "name"
            except (ValueError, OverflowError):  # digits that are no time
                pass
        return datetime.fromtimestamp(modified_ns / 1e9, UTC), "modified"

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

    def _lines(self, text: str) -> tuple[list[StockLine], list[BrokenLine]]:
        rows = LINE_END.split(text)
        start = next((place for place, row in enumerate(rows) if row.strip()), None)
        if start is None:
            raise RefusedFile("it has no header row")
        delimiter, header = self._header(rows[start])
        lines: list[StockLine] = []
        broken: list[BrokenLine] = []
        for number, row in enumerate(rows[start + 1 :], start=start + 2):
            if not row.strip():
                continue
            try:
                lines.append(StockLine(number, _payload(row, delimiter, header)))
            except BrokenRow as why:
                broken.append(BrokenLine(number, str(why)))
        return lines, broken

    def _header(self, row: str) -> tuple[str, list[str | None]]:
        """The delimiter that shows most of the columns we know, and our name of each column."""
        ours = {self.columns.get(name, name).strip().casefold(): name for name in COLUMNS}
        best: tuple[int, str, list[str]] = (-1, "", [])
        for delimiter in DELIMITERS:
            try:
                cells = [cell.strip().casefold() for cell in _cells(row, delimiter)]
            except BrokenRow:
                continue
            known = sum(cell in ours for cell in cells)
            if known > best[0]:
                best = (known, delimiter, cells)
        self._check_header(best[2], ours)
        return best[1], [ours.get(cell) for cell in best[2]]

    def _check_header(self, cells: Sequence[str], ours: Mapping[str, str]) -> None:
        if not any(cell in ours for cell in cells):
            raise RefusedFile("it has no header row that names its columns")
        ignored = {name.strip().casefold() for name in self.ignored}
        unknown = [place for place, c in enumerate(cells, 1) if c not in ours and c not in ignored]
        if unknown:
            named = ", ".join(repr(cells[place - 1][:40]) for place in unknown[:5])
            raise RefusedFile(f"it has columns that we do not know: {named}")
        twice = sorted({ours[cell] for cell in cells if cell in ours and cells.count(cell) > 1})
        if twice:
            raise RefusedFile(f"it has the column {twice[0]} more than once")
        missing = [name for name in REQUIRED if name not in {ours.get(cell) for cell in cells}]
        if missing:
            raise RefusedFile(f"it lacks the column {' and '.join(missing)}")


class RefusedFile(ValueError):
    """A file of which no line can be trusted."""


class BrokenRow(ValueError):
    """A line that has not the shape of the header."""


def _payload(row: str, delimiter: str, header: Sequence[str | None]) -> Payload:
    if UNSTORABLE.search(row):
        raise BrokenRow("holds a character that cannot be kept")
    cells = _cells(row, delimiter)
    if len(cells) != len(header):
        raise BrokenRow(f"has {len(cells)} fields, the header has {len(header)}")
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name}


def _cells(row: str, delimiter: str) -> list[str]:
    """Fields of one line; taken line by line, an open quote cannot swallow the lines after it."""
    if '"' not in row:
        return row.split(delimiter)
    try:
        return next(csv.reader([row], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as fault:
        raise BrokenRow("its quotes are not closed, or stand in the middle of a field") from fault


def _with_digest(name: str, digest: str) -> str:
    return f"{DIGEST_SUFFIX.sub('', name).removesuffix('.csv')}.{digest[:16]}.csv"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
