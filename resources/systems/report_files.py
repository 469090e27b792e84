"""What every reader of reports gives back: the lines of one file as they stand there, in its own
columns, each with its number, and what the file says of itself.

What a column means is for a mapper. A reader raises `RefusedFile` where no line can be trusted; a
single line that cannot be read is in `broken` and costs no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from resources.systems.csv_lines import BrokenLine, RefusedFile

__all__ = ["BrokenLine", "RefusedFile", "Report", "ReportLine"]


@dataclass(frozen=True)
class ReportLine:
    """One line, its cells by the report's own names of the columns."""

    number: int
    row: Mapping[str, str]
    #: What the head above it says, where a file has several sections; else the file's facts hold.
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """One file."""

    #: Which of the provider's reports it is, for its mapper.
    kind: str
    lines: Sequence[ReportLine]
    broken: Sequence[BrokenLine] = ()
    #: What the file says of itself in a head: account, period, version.
    facts: Mapping[str, str] = field(default_factory=dict)
    #: What it says it holds: `count` lines, and sums as `gross:USD`, plain decimals.
    control: Mapping[str, str] = field(default_factory=dict)
