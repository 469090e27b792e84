"""Stock of a warehouse that drops it as CSV files into a directory: which files are new, what
stands in them line by line, and where a file goes once it is dealt with.

A writer renames a file to `.csv` when it is complete; `.part` and `.tmp` are its business. What a
number means is for the mapper of the same name; remembering digests is for the caller: a crash
before `acknowledge` has the file read again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from resources.systems.csv_lines import (
    LINE_END,
    BrokenLine,
    Form,
    Line,
    RefusedFile,
    check_columns,
)
from resources.systems.file_inbox import LARGEST_BYTES, Dropped, FileInbox, Outcome
from resources.systems.file_names import true_at
from resources.systems.folders import LocalFolder

__all__ = ["LINE_END", "BrokenLine", "Outcome", "StockFile", "StockFiles", "StockLine"]

StockLine = Line

#: Our names of the columns; a warehouse that calls them otherwise is configured.
COLUMNS = (
    *("sku", "location", "on_hand", "allocated", "quarantined", "incoming"),
    "counted_at",
)
REQUIRED = ("sku", "on_hand")


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

    def __post_init__(self) -> None:
        check_columns(self.system, self.columns, COLUMNS)
        self._form = Form(COLUMNS, REQUIRED, self.columns, self.ignored, self.encoding)
        self._files = FileInbox(LocalFolder(self.inbox), self.system, self.largest_bytes)

    def stock_files(self) -> Iterator[StockFile]:
        """Yield every complete file that waits, oldest first."""
        for file in self._files.dropped():
            yield self._read(file)

    def acknowledge(self, name: str, outcome: Outcome, reason: str = "") -> None:
        """Move a file out of the inbox; call it only after what it said was committed.

        A file that meanwhile has other content under the same name is left to be read.
        """
        self._files.acknowledge(name, outcome, reason)

    def _read(self, file: Dropped) -> StockFile:
        moment, source = true_at(file.name, file.modified_ns, self.zone)
        found = StockFile(file.name, file.digest, moment, source, duplicate_of=file.duplicate_of)
        if file.content is None:
            return replace(found, refusal=f"it is larger than {self.largest_bytes} bytes")
        try:
            lines, broken = self._form.read(file.content)
        except RefusedFile as why:
            return replace(found, refusal=str(why))
        return replace(found, lines=lines, broken=broken)
