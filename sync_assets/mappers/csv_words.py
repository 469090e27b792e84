"""How warehouses write units and moments in their files, and what of it is beyond doubt."""

import re
from datetime import UTC, datetime, tzinfo

#: Three digits behind a point or comma may be a thousand somewhere; nobody guesses units.
UNITS = re.compile(r"([0-9]{1,9})(?:[.,]0{1,2})?")
MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII
)


def moment(text: str, zone: tzinfo) -> datetime | None:
    """A moment in UTC, one without an offset being meant in `zone`; None: it is no moment."""
    if not MOMENT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
