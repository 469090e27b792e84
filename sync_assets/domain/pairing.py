"""Which lines of a settlement belong to which payments where no key ties one to one: sums of
several, small differences, and amounts within a window of days. Pure and deterministic.

The search is bounded: at most `MOST_ITEMS` things of a group and `MOST_TRIES` combinations are
looked at, smaller combinations first, older things first; what is beyond stays open for a person.
Exact pairs are found in the database before.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations

MOST_ITEMS = 24
MOST_TRIES = 20_000
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
    rest, others = list(lines), list(payments)
    for line in lines:
        twin = next((one for one in others if one.amount == line.amount), None)
        if twin is not None:
            rest.remove(line)
            others.remove(twin)
            yield _pair([line], [twin], rule)
    for line in list(rest):
        several = subset(others, line.amount)
        if several:
            rest.remove(line)
            others = [one for one in others if one not in several]
            yield _pair([line], several, rule)
    for payment in list(others):
        several = subset(rest, payment.amount)
        if several:
            rest = [one for one in rest if one not in several]
            yield _pair(several, [payment], rule)


def subset(items: Sequence[Item], wanted: Decimal) -> list[Item]:
    """The fewest items that come to an amount, the oldest first; none where the search ends."""
    looked_at, tries = list(items)[:MOST_ITEMS], 0
    for size in range(2, len(looked_at) + 1):
        for some in combinations(looked_at, size):
            tries += 1
            if tries > MOST_TRIES:
                return []
            if sum((one.amount for one in some), NOTHING) == wanted:
                return list(some)
    return []


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
    said = f"{shape}: they {words[rule]} ({actual} and {expected} {currency})"
    if actual != expected:
        said += f", difference {actual - expected}"
    return Pair(
        tuple(one.ref for one in lines),
        tuple(one.ref for one in payments),
        rule,
        said,
        actual - expected,
    )


def _count(items: Sequence[Item], word: str) -> str:
    return f"{len(items)} {word}" + ("" if len(items) == 1 else "s")


# ---------------------------------------------------------------- what shares an amount only


def _by_amount(actual: list[Item], expected: list[Item], allowed: Allowed) -> Iterator[Pair]:
    """The only line and the only payment of an amount within the window; a line that names an order
    belongs to that one, seen or not."""
    nameless = [one for one in actual if not (one.is_named or one.keys)]
    by_group: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for one in expected:
        by_group[one.group].append(one)
    mine = {one.ref: _near(one, by_group.get(one.group, []), allowed) for one in nameless}
    wanted_by: dict[str, int] = defaultdict(int)
    for found in mine.values():
        for one in found:
            wanted_by[one.ref] += 1
    for line in nameless:
        found = mine[line.ref]
        if len(found) == 1 and wanted_by[found[0].ref] == 1:
            yield _pair([line], found, "amount")


def _near(line: Item, payments: list[Item], allowed: Allowed) -> list[Item]:
    """Payments of that very amount within the window; else those within the tolerance."""
    slack = allowed.tolerance.get(line.group[-1], NOTHING)
    close = [
        one
        for one in payments
        if abs(one.at - line.at) <= allowed.window
        and abs(one.amount - line.amount) <= slack
        and not (one.has_id and line.has_id)
    ]
    return [one for one in close if one.amount == line.amount] or close
