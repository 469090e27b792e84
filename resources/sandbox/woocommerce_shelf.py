"""Where a WooCommerce stand-in keeps its orders and products: rendered once per version, found
by bisection.

What a thing says is decided elsewhere; here it is text with a few keys beside it.
"""

import zlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Generic, Protocol, Self, TypeVar

#: Statuses the default list leaves out.
HIDDEN = frozenset({"trash", "checkout-draft", "auto-draft"})
LAST_ID = 2**62

Key = tuple[str, int]
Bounds = tuple[str | None, str | None]


class Kept(Protocol):
    """One version of one thing."""

    @property
    def id(self) -> int:
        """The thing's id."""

    @property
    def status(self) -> str:
        """Its status; the hidden ones are kept apart."""

    @property
    def former(self) -> Self | None:
        """The version before this one."""

    def key(self, sort: str) -> Key:
        """Where it stands in a list sorted by `sort`."""

    def after(self, old: Self) -> Self:
        """This version with the one it takes the place of, which forgets its own."""


E = TypeVar("E", bound=Kept)


@dataclass(slots=True, frozen=True)
class Entry:
    """One version of one order; stamps are UTC without offset, as the store writes them."""

    id: int
    status: str
    created: str
    modified: str
    customer: int
    currency: str
    total: Decimal
    haystack: str
    packed: bytes
    former: "Entry | None" = None

    @property
    def text(self) -> str:
        """The order's JSON."""
        return unpacked(self.packed)

    def key(self, sort: str) -> Key:
        """Where the order stands in a list sorted by `sort`."""
        if sort == "date":
            return (self.created, self.id)
        return (self.modified, self.id) if sort == "modified" else ("", self.id)

    def after(self, old: "Entry") -> "Entry":
        """This version, with the one before it kept for stale reads."""
        return replace(self, former=replace(old, former=None))


def packed(text: str) -> bytes:
    """The text in a third of its room: a big demo holds 150,000 orders in memory."""
    return zlib.compress(text.encode(), 1)


def unpacked(room: bytes) -> str:
    """The text again."""
    return zlib.decompress(room).decode()


@dataclass(frozen=True)
class Asked(Generic[E]):
    """What any list asks for; `bounds` are exclusive, by "date" or "modified"."""

    statuses: frozenset[str] | None = None  # None: all but the hidden ones
    sort: str = "date"
    descending: bool = True
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    include: tuple[int, ...] | None = None
    per_page: int = 10
    skip: int = 0

    def narrowed(self) -> bool:
        """Whether anything but the bounds must be looked at thing by thing."""
        return self.statuses is not None or self.include is not None

    def takes(self, entry: E) -> bool:
        """Whether the thing belongs in the list."""
        if self.statuses is None:
            is_asked = entry.status not in HIDDEN
        else:
            is_asked = entry.status in self.statuses
        bounds = self.bounds.items()
        return is_asked and all(_within(entry.key(sort)[0], found) for sort, found in bounds)


@dataclass(frozen=True)
class Wanted(Asked[Entry]):
    """What a list of orders asks for."""

    customer: int | None = None
    search: str = ""

    def narrowed(self) -> bool:
        """Whether anything but the bounds must be looked at order by order."""
        return bool(self.search) or self.customer is not None or super().narrowed()

    def takes(self, entry: Entry) -> bool:
        """Whether the order belongs in the list."""
        if self.customer is not None and entry.customer != self.customer:
            return False
        return self.search.lower() in entry.haystack and super().takes(entry)


class Shelf(Generic[E]):
    """Things by id, with sorted keys for lists; the hidden ones stand apart."""

    SORTS = ("id", "date", "modified")

    def __init__(self) -> None:
        self.entries: dict[int, E] = {}
        self.newest: int | None = None  # whose change was the last
        self._keys: dict[bool, dict[str, list[Key]]] = {
            hidden: {sort: [] for sort in self.SORTS} for hidden in (False, True)
        }

    def put(self, entry: E) -> None:
        """Set the thing's newest version; the one before it stays for stale reads."""
        old = self.entries.get(entry.id)
        if old is not None:
            self._unlist(old)
            entry = entry.after(old)
        self.entries[entry.id] = entry
        self.newest = entry.id
        for sort, keys in self._keys[entry.status in HIDDEN].items():
            insort(keys, entry.key(sort))

    def drop(self, thing_id: int) -> None:
        """Forget the thing."""
        self._unlist(self.entries.pop(thing_id))

    def stale(self) -> "Shelf[E]":
        """The shelf before each thing's newest change, and before the newest thing."""
        before = Shelf[E]()
        for entry in self.entries.values():
            if entry.former is not None or entry.id != self.newest:
                before.put(entry.former or entry)
        return before

    def shown(self) -> Iterator[E]:
        """The things of the default list."""
        return (self.entries[thing_id] for _, thing_id in self._keys[False]["id"])

    def select(self, wanted: Asked[E]) -> tuple[int, list[E]]:
        """How many things there are, and those of the page."""
        if wanted.include is not None:
            found = [self.entries[i] for i in wanted.include if i in self.entries]
            return self._page(wanted, [entry for entry in found if wanted.takes(entry)])
        if not wanted.narrowed() and set(wanted.bounds) <= {wanted.sort}:
            return self._slice(wanted)
        column = next(iter(wanted.bounds), wanted.sort)
        groups = {status in HIDDEN for status in wanted.statuses or {"pending"}}
        candidates = [
            self.entries[thing_id]
            for hidden in groups
            for _, thing_id in self._range(hidden, column, wanted.bounds.get(column))
        ]
        return self._page(wanted, [entry for entry in candidates if wanted.takes(entry)])

    def _slice(self, wanted: Asked[E]) -> tuple[int, list[E]]:
        """The common case, a page out of a sorted list, without touching the rest of it."""
        sort = wanted.sort if wanted.sort in self.SORTS else "id"
        keys = self._keys[False][sort]
        start, stop = _span(keys, wanted.bounds.get(wanted.sort))
        total, first, count = stop - start, wanted.skip, wanted.per_page
        if wanted.descending:
            page = keys[max(start, stop - first - count) : max(start, stop - first)][::-1]
        else:
            page = keys[min(stop, start + first) : min(stop, start + first + count)]
        return total, [self.entries[thing_id] for _, thing_id in page]

    def _page(self, wanted: Asked[E], found: list[E]) -> tuple[int, list[E]]:
        if wanted.sort != "include" or wanted.include is None:
            sort = wanted.sort
            found = sorted(found, key=lambda entry: entry.key(sort), reverse=wanted.descending)
        return len(found), found[wanted.skip : wanted.skip + wanted.per_page]

    def _range(self, hidden: bool, sort: str, bounds: Bounds | None) -> list[Key]:
        keys = self._keys[hidden][sort if sort in self.SORTS else "id"]
        start, stop = _span(keys, bounds)
        return keys[start:stop]

    def _unlist(self, entry: E) -> None:
        for sort, keys in self._keys[entry.status in HIDDEN].items():
            del keys[bisect_left(keys, entry.key(sort))]


def _span(keys: list[Key], bounds: Bounds | None) -> tuple[int, int]:
    low, high = bounds or (None, None)
    start = 0 if low is None else bisect_right(keys, (low, LAST_ID))
    stop = len(keys) if high is None else bisect_left(keys, (high, -1))
    return start, max(start, stop)


def _within(stamp: str, bounds: Bounds) -> bool:
    low, high = bounds
    return (low is None or stamp > low) and (high is None or stamp < high)
