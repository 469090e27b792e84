"""Reading a payload we do not trust: typed values out, every fault noted, nothing raised half way.

What a payload means is said by the mapper that reads it. Messages name the part and the fault,
never the value, which may be somebody's name or address.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.money import rounded
from sync_assets.domain.orders import Problem, Rejected

ZERO = Decimal()
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
ABSENT = object()

#: Twelve digits before the point leave a sum of a hundred lines inside decimal(20, 6).
_AMOUNT = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?")
_MEASURE = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
#: Postgres stores no NUL, and half a surrogate pair has no UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Replace what the database cannot hold by U+FFFD; emoji and right-to-left text stay."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


class Faults:
    """The problems found in one payload so far."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.problems: list[Problem] = []

    def note(self, part: str, message: str, code: str | None = None) -> None:
        """Remember a problem of `part`."""
        self.problems.append(Problem(code or self.code, part, message))

    @property
    def malformed(self) -> bool:
        """Whether something could not be read, so that what was read proves nothing."""
        return any(problem.code == self.code for problem in self.problems)

    def settle(self) -> None:
        """Raise what was found, each problem once, if anything was."""
        if self.problems:
            raise Rejected(list(dict.fromkeys(self.problems)))


class Part:
    """One object of a payload; a value that cannot be read is noted and stands as a blank."""

    __slots__ = ("body", "faults", "path")

    def __init__(self, body: Mapping[str, Any], path: str, faults: Faults) -> None:
        self.body, self.path, self.faults = body, path, faults

    def fault(self, key: str, message: str) -> None:
        """Note a fault of the value under `key`."""
        self.faults.note(f"{self.path}.{key}" if self.path else key, message)

    def text(self, key: str) -> str:
        """Text that must be there; it may be empty."""
        value = self.body.get(key, ABSENT)
        if isinstance(value, str):
            return storable(value)
        self._unread(key, value, "text")
        return ""

    def word(self, key: str) -> str | None:
        """Text, or None where it is empty or null; the key must be there."""
        return None if self.body.get(key, ABSENT) is None else self.text(key) or None

    def blank(self, key: str) -> str:
        """Text, or an empty one where it is null; the key must be there."""
        return "" if self.body.get(key, ABSENT) is None else self.text(key)

    def optional(self, key: str) -> str:
        """Text of a key that older shops do not send."""
        return self.text(key) if self.body.get(key) is not None else ""

    def flag(self, key: str) -> bool:
        """True or false, nothing else."""
        value = self.body.get(key, ABSENT)
        if isinstance(value, bool):
            return value
        self._unread(key, value, "true or false")
        return False

    def id(self, key: str) -> str:
        """The shop's id of a thing, a positive whole number."""
        value = self.body.get(key, ABSENT)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63:
            return str(value)
        self._unread(key, value, "an id")
        return ""

    def id_or_none(self, key: str) -> str | None:
        """The shop's id of a thing, or None where it says 0 or null."""
        value = self.body.get(key, ABSENT)
        if value is None or (value == 0 and type(value) is int):
            return None
        return self.id(key)

    def amount(self, key: str) -> Decimal:
        """Exact money of at most six digits behind the point."""
        value = self.body.get(key, ABSENT)
        if type(value) is str and _AMOUNT.fullmatch(value):
            return Decimal(value)
        if type(value) in (int, Decimal) and _AMOUNT.fullmatch(str(value)):
            return Decimal(value)
        self._unread(key, value, "a plain amount")
        return ZERO

    def measure(self, key: str) -> Decimal:
        """A number the shop does not round, kept to six digits behind the point."""
        value = self.body.get(key, ABSENT)
        if type(value) in (str, int, Decimal) and _MEASURE.fullmatch(text := str(value)):
            number = Decimal(text)
            if abs(number) < 10**12:
                return rounded(number, 6) if _digits(number) > 6 else number
        self._unread(key, value, "a number")
        return ZERO

    def instant(self, key: str) -> datetime:
        """A moment; without an offset it is in UTC, as the `_gmt` dates are."""
        value = self.body.get(key, ABSENT)
        moment = _moment(value) if isinstance(value, str) else None
        if moment is None:
            self._unread(key, value, "a date and time")
        return moment or NEVER

    def instant_or_none(self, key: str) -> datetime | None:
        """A moment, or None where it is null; the key must be there."""
        return None if self.body.get(key, ABSENT) is None else self.instant(key)

    def part(self, key: str) -> "Part":
        """The object under `key`; an unreadable one is noted once, not once per field."""
        value = self.body.get(key, ABSENT)
        path = f"{self.path}.{key}" if self.path else key
        if isinstance(value, Mapping):
            return Part(value, path, self.faults)
        self._unread(key, value, "an object")
        return Part({}, path, Faults(self.faults.code))

    def parts(self, key: str) -> list["Part"]:
        """The objects of the list under `key`; items that are none are noted and left out."""
        value = self.body.get(key, ABSENT)
        if not isinstance(value, list):
            self._unread(key, value, "a list")
            return []
        path = f"{self.path}.{key}" if self.path else key
        found = []
        for place, item in enumerate(value):
            if isinstance(item, Mapping):
                found.append(Part(item, f"{path}[{place}]", self.faults))
            else:
                self.faults.note(f"{path}[{place}]", "is not an object")
        return found

    def _unread(self, key: str, value: object, wanted: str) -> None:
        self.fault(key, "is missing" if value is ABSENT else f"is not {wanted}")


def _moment(text: str) -> datetime | None:
    if not _INSTANT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _digits(number: Decimal) -> int:
    """Digits behind the point."""
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def smallest_unit(amount: Decimal) -> Decimal:
    """The currency's smallest unit by the digits an amount is written with.

    No currency has more than three; more means an answer with extra digits asked for.
    """
    digits = _digits(amount)
    return Decimal(1).scaleb(-digits) if digits <= 3 else Decimal("0.01")
