"""Where a WooCommerce stand-in keeps its orders: rendered once per version, found by bisection.

What an order says is decided elsewhere; here it is text with a few keys beside it.
"""

import zlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

#: Statuses the default list leaves out.
HIDDEN = frozenset({"trash", "checkout-draft", "auto-draft"})
LAST_ID = 2**62

Key = tuple[str, int]
Bounds = tuple[str | None, str | None]


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
        return zlib.decompress(self.packed).decode()

    def key(self, sort: str) -> Key:
        """Where the order stands in a list sorted by `sort`."""
        if sort == "date":
            return (self.created, self.id)
        return (self.modified, self.id) if sort == "modified" else ("", self.id)


def packed(text: str) -> bytes:
    """The text in a third of its room: a big demo holds 150,000 orders in memory."""
    return zlib.compress(text.encode(), 1)


@dataclass(frozen=True)
class Wanted:
    """What a list asks for; `bounds` are exclusive, by "date" or "modified"."""

    statuses: frozenset[str] | None = None  # None: all but the hidden ones
    sort: str = "date"
    descending: bool = True
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    include: tuple[int, ...] | None = None
    customer: int | None = None
    search: str = ""
    per_page: int = 10
    skip: int = 0

    def narrowed(self) -> bool:
        """Whether anything but the bounds must be looked at order by order."""
        picked = (self.statuses, self.include, self.customer)
        return bool(self.search) or any(part is not None for part in picked)

    def takes(self, entry: Entry) -> bool:
        """Whether the order belongs in the list."""
        if self.statuses is not None and entry.status not in self.statuses:
            return False
        if self.statuses is None and entry.status in HIDDEN:
            return False
        if self.customer is not None and entry.customer != self.customer:
            return False
        if self.search.lower() not in entry.haystack:
            return False
        return all(_within(entry.key(sort)[0], found) for sort, found in self.bounds.items())


class Shelf:
    """Orders by id, with sorted keys for lists; the hidden ones stand apart."""

    SORTS = ("id", "date", "modified")

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.newest: int | None = None  # whose change was the last
        self._keys: dict[bool, dict[str, list[Key]]] = {
            hidden: {sort: [] for sort in self.SORTS} for hidden in (False, True)
        }

    def put(self, entry: Entry) -> None:
        """Set the order's newest version; the one before it stays for stale reads."""
        old = self.entries.get(entry.id)
        if old is not None:
            self._unlist(old)
            entry = replace(entry, former=replace(old, former=None))
        self.entries[entry.id] = entry
        self.newest = entry.id
        for sort, keys in self._keys[entry.status in HIDDEN].items():
            insort(keys, entry.key(sort))

    def drop(self, order_id: int) -> None:
        """Forget the order."""
        self._unlist(self.entries.pop(order_id))

    def stale(self) -> "Shelf":
        """The shelf before each order's newest change, and before the newest order."""
        before = Shelf()
        for entry in self.entries.values():
            if entry.former is not None or entry.id != self.newest:
                before.put(entry.former or entry)
        return before

    def shown(self) -> Iterator[Entry]:
        """The orders of the default list."""
        return (self.entries[order_id] for _, order_id in self._keys[False]["id"])

    def select(self, wanted: Wanted) -> tuple[int, list[Entry]]:
        """How many orders there are, and those of the page."""
        if wanted.include is not None:
            found = [self.entries[i] for i in wanted.include if i in self.entries]
            return self._page(wanted, [entry for entry in found if wanted.takes(entry)])
        if not wanted.narrowed() and set(wanted.bounds) <= {wanted.sort}:
            return self._slice(wanted)
        column = next(iter(wanted.bounds), wanted.sort)
        groups = {status in HIDDEN for status in wanted.statuses or {"pending"}}
        candidates = [
            self.entries[order_id]
            for hidden in groups
            for _, order_id in self._range(hidden, column, wanted.bounds.get(column))
        ]
        return self._page(wanted, [entry for entry in candidates if wanted.takes(entry)])

    def _slice(self, wanted: Wanted) -> tuple[int, list[Entry]]:
        """The common case, a page out of a sorted list, without touching the rest of it."""
        sort = wanted.sort if wanted.sort in self.SORTS else "id"
        keys = self._keys[False][sort]
        start, stop = _span(keys, wanted.bounds.get(wanted.sort))
        total, first, count = stop - start, wanted.skip, wanted.per_page
        if wanted.descending:
            page = keys[max(start, stop - first - count) : max(start, stop - first)][::-1]
        else:
            page = keys[min(stop, start + first) : min(stop, start + first + count)]
        return total, [self.entries[order_id] for _, order_id in page]

    def _page(self, wanted: Wanted, found: list[Entry]) -> tuple[int, list[Entry]]:
        if wanted.sort != "include" or wanted.include is None:
            sort = wanted.sort
            found = sorted(found, key=lambda entry: entry.key(sort), reverse=wanted.descending)
        return len(found), found[wanted.skip : wanted.skip + wanted.per_page]

    def _range(self, hidden: bool, sort: str, bounds: Bounds | None) -> list[Key]:
        keys = self._keys[hidden][sort if sort in self.SORTS else "id"]
        start, stop = _span(keys, bounds)
        return keys[start:stop]

    def _unlist(self, entry: Entry) -> None:
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
