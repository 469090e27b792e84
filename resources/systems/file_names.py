"""What the name of an exchanged file says of its time, and what we add so that none is shared."""

import re
from datetime import UTC, datetime, tzinfo

#: `stock_20261121T0600.csv`, `2026-11-21_06-00-15.csv`: a day, then hours and minutes.
NAME_TIME = re.compile(
    r"(?<!\d)(\d{4})-?(\d\d)-?(\d\d)[T_ -]?(\d\d)[:.-]?(\d\d)(?:[:.-]?(\d\d))?(Z?)(?!\d)"
)
#: What we add to a name so that no two files share one.
DIGEST_SUFFIX = re.compile(r"\.[0-9a-f]{16}(\.[a-z0-9]{1,5})$", re.IGNORECASE)
_ENDING = re.compile(r"\.[a-z0-9]{1,5}$", re.IGNORECASE)


def with_digest(name: str, digest: str) -> str:
    """The name under which a file of this content is kept."""
    bare = DIGEST_SUFFIX.sub(r"\1", name)
    ending = _ENDING.search(bare)
    return f"{_ENDING.sub('', bare)}.{digest[:16]}{ending[0] if ending else '.csv'}"


def true_at(name: str, modified_ns: int, zone: tzinfo) -> tuple[datetime, str]:
    """The time in the name ("name"), in `zone` unless it says Z, else when the file was written
    ("modified")."""
    told = NAME_TIME.search(DIGEST_SUFFIX.sub("", name))
    if told is not None:
        *parts, is_utc = told.groups()
        try:
            year, month, day, hour, minute, second = (int(part or 0) for part in parts)
            where = UTC if is_utc else zone
            moment = datetime(year, month, day, hour, minute, second, tzinfo=where)
            return moment.astimezone(UTC), "name"
        except (ValueError, OverflowError):  # digits that are no time
            pass
    return datetime.fromtimestamp(modified_ns / 1e9, UTC), "modified"
