"""Lines of files that could not be read or mapped, each with its reason: worked out anew by whoever
found them, so that a mended reader or mapper ends them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Fault:
    """One line of a file and why it cannot be read."""

    line: int
    reason: str


def keep_faults(connection: Connection, ref: str, found_by: str, faults: Sequence[Fault]) -> None:
    """Make these all that a reader found wrong with a file."""
    connection.execute(
        text("delete from core.report_faults where file_ref = :ref and found_by = :by"),
        {"ref": ref, "by": found_by},
    )
    add_faults(connection, ref, found_by, faults)


def add_faults(connection: Connection, ref: str, found_by: str, faults: Iterable[Fault]) -> None:
    """Add what is wrong with some lines."""
    rows = [
        {"ref": ref, "by": found_by, "line": one.line, "reason": one.reason[:500]} for one in faults
    ]
    if rows:
        connection.execute(text(_ADDED), rows)


def forget_faults(connection: Connection, ref: str, lines: Sequence[int]) -> None:
    """Lines that are mapped now."""
    connection.execute(
        text(
            "delete from core.report_faults where file_ref = :ref and found_by = 'mapper' "
            "and line_no = any(:lines)"
        ),
        {"ref": ref, "lines": list(lines)},
    )


_ADDED = """
insert into core.report_faults (file_ref, found_by, line_no, reason)
values (:ref, :by, :line, :reason)
on conflict (file_ref, found_by, line_no) do update set reason = excluded.reason
"""
