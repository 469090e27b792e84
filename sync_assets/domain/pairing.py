"""Which lines of a settlement belong to which payments where no key ties one to one: sums of
several, small differences, and amounts within a window of days. Pure and deterministic.

The search is bounded: at most `MOST_ITEMS` things of a group and `MOST_TRIES` combinations are
looked at, smaller combinations first, older things first; what is beyond stays open for a person.
An amount that more than `MOST_ALIKE` payments have within the window tells nothing. Exact pairs are
found in the database before.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations

MOST_ITEMS = 24
MOST_TRIES = 20_000
#: Combinations looked at for all lines and payments of one reference together.
MOST_TRIES_OF_FAMILY = 10 * MOST_TRIES
MOST_ALIKE = 200
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Item:
    """A line, a payment or an entry of a bank, as far as pairing is concerned."""

    ref: str
    #: What may only meet its like: kind, provider and currency.
    group: tuple[str, ...]
    amount: Decimal
    at: datetime
    #: Whatever names it: ids and numbers; two that share one belong together.
    keys: frozenset[str] = frozenset()
    #: Names of an order that stand in free text only.
    words: frozenset[str] = frozenset()
    #: It names an order, or is tied by an id we know: the amount alone proves nothing.
    is_named: bool = True
    #: It has an id of the payment; two different ids are two payments.
    has_id: bool = True


@dataclass(frozen=True)
class Pair:
    """Lines and payments that belong together, by which rule, and what is left between them."""

    actual: tuple[str, ...]
    expected: tuple[str, ...]
    rule: str
    reason: str
    difference: Decimal = NOTHING


@dataclass(frozen=True)
class Allowed:
    """How far apart two things may be."""

    tolerance: Mapping[str, Decimal]
    window: timedelta


def pair(actual: Sequence[Item], expected: Sequence[Item], allowed: Allowed) -> list[Pair]:
    """Propose pairs, the surest first; nothing is in two of them."""
    left, right = _in_order(actual), _in_order(expected)
    found: list[Pair] = []
    for rule in (_by_keys, _by_words, _by_amount):
        for one in rule(list(left.values()), list(right.values()), allowed):
            if _is_free(one, left, right):
                found.append(one)
                for ref in one.actual:
                    del left[ref]
                for ref in one.expected:
                    del right[ref]
    return found


def _in_order(items: Iterable[Item]) -> dict[str, Item]:
    return {one.ref: one for one in sorted(items, key=lambda one: (one.at, one.ref))}


def _is_free(one: Pair, left: Mapping[str, Item], right: Mapping[str, Item]) -> bool:
    return all(ref in left for ref in one.actual) and all(ref in right for ref in one.expected)


# ---------------------------------------------------------------- what shares a key


def _by_keys(actual: list[Item], expected: list[Item], allowed: Allowed) -> Iterator[Pair]:
    for lines, payments in _families(actual, expected, lambda one: one.keys):
        yield from _of_family(lines, payments, allowed, "sum")


def _by_words(actual: list[Item], expected: list[Item], allowed: Allowed) -> Iterator[Pair]:
    """What names an order in its text; where it has a key of its own, that one counted before."""
    for lines, payments in _families(actual, expected, lambda one: one.words or one.keys):
        if any(one.words for one in lines):  # else its keys were tried before
            yield from _of_family(lines, payments, allowed, "text")


def _families(
    actual: list[Item], expected: list[Item], names: Callable[[Item], frozenset[str]]
) -> Iterator[tuple[list[Item], list[Item]]]:
    """Things of one group that are tied by shared names, however many steps apart."""
    parent: dict[object, object] = {}

    def root(node: object) -> object:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    sides = [("actual", actual), ("expected", expected)]
    for side, items in sides:
        for one in items:
            for name in sorted(names(one) if side == "actual" else one.keys):
                parent[root((side, one.ref))] = root((one.group, name))
    families: dict[object, tuple[list[Item], list[Item]]] = defaultdict(lambda: ([], []))
    for place, (side, items) in enumerate(sides):
        for one in items:
            if (side, one.ref) in parent:
                families[root((side, one.ref))][place].append(one)
    yield from (family for family in families.values() if family[0] and family[1])


def _of_family(
    lines: list[Item], payments: list[Item], allowed: Allowed, rule: str
) -> Iterator[Pair]:
    """The whole family if it sums up, else single pairs, else parts of it that do."""
    slack = allowed.tolerance.get(lines[0].group[-1], NOTHING)
    whole = _pair(lines, payments, rule)
    if whole.difference == 0:
        yield whole
        return
    found = list(_parts(lines, payments, rule))
    yield from found
    taken = {ref for one in found for ref in (*one.actual, *one.expected)}
    rest = [one for one in lines if one.ref not in taken]
    others = [one for one in payments if one.ref not in taken]
    if rest and others:
        last = _pair(rest, others, "tolerance")
        if abs(last.difference) <= slack:
            yield last


def _parts(lines: list[Item], payments: list[Item], rule: str) -> Iterator[Pair]:
    """Equal amounts one to one; then one line as the sum of several payments, and the reverse."""
    twins: dict[Decimal, deque[Item]] = defaultdict(deque)
    for payment in payments:
        twins[payment.amount].append(payment)
    rest: list[Item] = []
    for line in lines:
        if twins[line.amount]:
            yield _pair([line], [twins[line.amount].popleft()], rule)
        else:
            rest.append(line)
    left = {one.ref for alike in twins.values() for one in alike}
    others = [one for one in payments if one.ref in left]
    budget = Budget(MOST_TRIES_OF_FAMILY)
    for line in list(rest):
        several = subset(others, line.amount, budget)
        if several:
            rest.remove(line)
            others = [one for one in others if one not in several]
            yield _pair([line], several, rule)
    for payment in others:
        several = subset(rest, payment.amount, budget)
        if several:
            rest = [one for one in rest if one not in several]
            yield _pair(several, [payment], rule)


@dataclass
class Budget:
    """How many combinations may still be looked at."""

    left: int = MOST_TRIES


def subset(items: Sequence[Item], wanted: Decimal, budget: Budget | None = None) -> list[Item]:
    """The fewest items that come to an amount, the oldest first; none where the search ends."""
    shared = budget or Budget()
    stop_at = max(shared.left - MOST_TRIES, 0)
    if shared.left == 0:
        return []
    looked_at = _of_use(items, wanted)[:MOST_ITEMS]
    for size in range(2, len(looked_at) + 1):
        for some in combinations(looked_at, size):
            if shared.left == stop_at:
                return []
            shared.left -= 1
            if sum((one.amount for one in some), NOTHING) == wanted:
                return list(some)
    return []


def _of_use(items: Sequence[Item], wanted: Decimal) -> list[Item]:
    """Without what is too large by itself; nothing where all of it together is too small."""
    sign = 1 if wanted >= 0 else -1
    if any(one.amount * sign < 0 for one in items):
        return list(items)
    small = [one for one in items if abs(one.amount) <= abs(wanted)]
    return small if abs(sum((one.amount for one in small), NOTHING)) >= abs(wanted) else []


def _pair(lines: Sequence[Item], payments: Sequence[Item], rule: str) -> Pair:
    actual = sum((one.amount for one in lines), NOTHING)
    expected = sum((one.amount for one in payments), NOTHING)
    currency = lines[0].group[-1]
    shape = f"{_count(lines, 'line')} for {_count(payments, 'payment')}"
    words = {
        "sum": "share a reference and come to the same",
        "text": "are named in the text and come to the same",
        "tolerance": "share a reference and differ by no more than the policy allows",
        "amount": "have the same amount within the window, and nothing else has",
    }
    said = f"{shape}: they {words[rule]} ({_plain(actual)} and {_plain(expected)} {currency})"
    if actual != expected:
        said += f", difference {_plain(actual - expected)}"
    return Pair(
        tuple(one.ref for one in lines),
        tuple(one.ref for one in payments),
        rule,
        said,
        actual - expected,
    )


def _plain(amount: Decimal) -> str:
    """Without the zeros that the database puts behind it."""
    return f"{amount.normalize():f}"


def _count(items: Sequence[Item], word: str) -> str:
    return f"{len(items)} {word}" + ("" if len(items) == 1 else "s")


# ---------------------------------------------------------------- what shares an amount only


def _by_amount(actual: list[Item], expected: list[Item], allowed: Allowed) -> Iterator[Pair]:
    """The only line and the only payment of an amount within the window; a line that names an order
    belongs to that one, seen or not."""
    nameless = [one for one in actual if not (one.is_named or one.keys)]
    shelves: dict[tuple[str, ...], Shelf] = defaultdict(Shelf)
    for one in expected:
        shelves[one.group].put(one)
    mine = {one.ref: shelves[one.group].near(one, allowed) for one in nameless}
    wanted_by: dict[str, int] = defaultdict(int)
    for found in mine.values():
        for one in found:
            wanted_by[one.ref] += 1
    for line in nameless:
        found, crowded = mine[line.ref], shelves[line.group].crowded
        if len(found) == 1 and wanted_by[found[0].ref] == 1 and found[0].amount not in crowded:
            yield _pair([line], found, "amount")


class Shelf:
    """Payments of one group by amount, each amount's in the order of time."""

    def __init__(self) -> None:
        """Begin empty."""
        self.by_amount: dict[Decimal, list[Item]] = defaultdict(list)
        #: Amounts of which a line saw more than it may look at: nobody gets one of them.
        self.crowded: set[Decimal] = set()
        self._amounts: list[Decimal] = []

    def put(self, one: Item) -> None:
        """Add a payment; they come in the order of time."""
        self.by_amount[one.amount].append(one)

    def near(self, line: Item, allowed: Allowed) -> list[Item]:
        """Payments of that very amount within the window; else those within the tolerance."""
        exact = self._within(line, line.amount, allowed.window)
        slack = allowed.tolerance.get(line.group[-1], NOTHING)
        if exact or not slack:
            return exact
        if len(self._amounts) != len(self.by_amount):
            self._amounts = sorted(self.by_amount)
        low = bisect_left(self._amounts, line.amount - slack)
        high = bisect_right(self._amounts, line.amount + slack)
        return [
            one
            for amount in self._amounts[low:high]
            for one in self._within(line, amount, allowed.window)
        ]

    def _within(self, line: Item, amount: Decimal, window: timedelta) -> list[Item]:
        alike = self.by_amount.get(amount, [])
        low = bisect_left(alike, line.at - window, key=lambda one: one.at)
        high = bisect_right(alike, line.at + window, key=lambda one: one.at)
        if high - low > MOST_ALIKE:
            self.crowded.add(amount)
            high = low + MOST_ALIKE
        return [one for one in alike[low:high] if not (one.has_id and line.has_id)]
