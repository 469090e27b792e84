"""One SKU's numbers in plain Python: a second reckoning, beside the one of `availability.py`.

It shares no sums with that one; that both agree is a property test. The words are `explaining.py`;
the simulation, which asks for one SKU at a time, works with the numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache

from sync_assets.domain.channel_numbers import LimitedBy
from sync_assets.domain.channel_rules import UNLIMITED_UNITS
from sync_assets.domain.kits import KitCycle
from sync_assets.domain.policy import Policy, Rule

ONE = Decimal(1)


@dataclass(frozen=True)
class StockAt:
    """What a source told of one location."""

    on_hand_units: int
    allocated_units: int = 0
    quarantined_units: int = 0


@dataclass(frozen=True)
class Component:
    """A part of a kit; None: the ERP names no SKU for it."""

    facts: "SkuFacts | None"
    units: Decimal = ONE


@dataclass(frozen=True)
class SkuFacts:
    """All that is known of one SKU's stock."""

    sku: str
    levels: Mapping[str, StockAt] = field(default_factory=dict)
    reserved: Mapping[str, int] = field(default_factory=dict)
    #: Units per day by channel; missing where it is not known.
    demand: Mapping[str, Decimal] = field(default_factory=dict)
    components: Sequence[Component] = ()

    def free(self, location: str) -> int:
        """What nobody has a claim on; below 0 where more is promised than there is."""
        level = self.levels.get(location)
        there = 0
        if level is not None:
            there = level.on_hand_units - level.allocated_units - level.quarantined_units
        return there - self.reserved.get(location, 0)


@dataclass
class Number:
    """One channel's number and every amount on the way to it."""

    channel: str
    sku: str
    rule: Rule
    is_closed: bool
    atp_units: int = 0
    #: What divides the last pieces gave the channel; None: nothing was divided.
    part_units: int | None = None
    safety_units: int = 0
    sellable_units: int = 0
    backorder_units: int = 0
    lead_days: int | None = None
    limited_by: LimitedBy = LimitedBy.STOCK
    scarcest_sku: str | None = None
    #: What each component allows, of a kit: SKU, units in a kit, pieces there, kits of it.
    components: list[tuple[str, Decimal, int, int]] = field(default_factory=list)


def sellable(facts: SkuFacts, policy: Policy) -> dict[str, int]:
    """What each channel may sell of one SKU."""
    return {name: number.sellable_units for name, number in reckon(facts, policy).items()}


def reckon(facts: SkuFacts, policy: Policy, above: tuple[str, ...] = ()) -> dict[str, Number]:
    """Every channel's number of one SKU."""
    if facts.sku in above:
        raise KitCycle([*above])
    known = [c.facts for c in facts.components if c.facts is not None]
    inner = {one.sku: reckon(one, policy, (*above, facts.sku)) for one in known}
    parts = {} if facts.components else divided(facts, policy)
    return {
        name: _kit(facts, name, policy, {sku: found[name] for sku, found in inner.items()})
        if facts.components
        else _single(facts, name, policy, parts.get(name))
        for name in policy.channels
    }


@lru_cache(maxsize=65536)
def _rule(policy: Policy, channel: str, sku: str) -> Rule:
    return policy.rule(channel, sku)


def _fresh(facts: SkuFacts, channel: str, policy: Policy) -> Number:
    rule = _rule(policy, channel, facts.sku)
    number = Number(channel, facts.sku, rule, not policy.open_locations(channel))
    number.safety_units = _safety(rule, facts.demand.get(channel))
    return number


def _safety(rule: Rule, per_day: Decimal | None) -> int:
    if rule.safety is None:
        return 0
    days = (rule.safety.days * (per_day or 0)).to_integral_value(ROUND_CEILING)
    return max(rule.safety.units, int(days))


def _single(facts: SkuFacts, channel: str, policy: Policy, part: int | None) -> Number:
    number = _fresh(facts, channel, policy)
    number.atp_units = sum(facts.free(place) for place in policy.open_locations(channel))
    number.part_units = part
    number.limited_by = LimitedBy.STOCK if facts.levels else LimitedBy.NONE
    stock = max(number.atp_units, 0)
    return _finished(number, stock, stock if part is None else min(part, stock))


def _kit(facts: SkuFacts, channel: str, policy: Policy, inner: dict[str, Number]) -> Number:
    number = _fresh(facts, channel, policy)
    number.components = [_allowed(one, inner, channel, policy) for one in facts.components]
    unknown = [not _is_known(one) for one in facts.components]
    promises = [
        0 if one.facts is None or is_unknown else _floor(inner[one.facts.sku].atp_units / one.units)
        for one, is_unknown in zip(facts.components, unknown, strict=True)
    ]
    number.atp_units = min(promises)
    worst = min(
        zip(unknown, number.components, strict=True),
        key=lambda pair: (not pair[0], pair[1][3], pair[1][0]),
    )
    number.scarcest_sku = worst[1][0] or None
    stock = worst[1][3]
    number.limited_by = LimitedBy.COMPONENT
    if any(unknown):
        number.limited_by = LimitedBy.COMPONENT_UNKNOWN
    elif number.rule.is_assembled and stock:
        number.limited_by = LimitedBy.ASSEMBLED
    return _finished(number, stock, stock)


def _is_known(component: Component) -> bool:
    facts = component.facts
    return facts is not None and bool(facts.levels or facts.components)


def _allowed(
    component: Component, inner: dict[str, Number], channel: str, policy: Policy
) -> tuple[str, Decimal, int, int]:
    if component.facts is None or not _is_known(component):
        return (component.facts.sku if component.facts else "", component.units, 0, 0)
    sku = component.facts.sku
    there = inner[sku].sellable_units
    is_paused = there < policy.channels[channel].kits_pause_below_units
    return sku, component.units, there, 0 if is_paused else _floor(there / component.units)


def _finished(number: Number, stock: int, part: int) -> Number:
    """Apply safety, share and cap; then what may be sold beyond."""
    rule, found = number.rule, part
    if part < stock:
        number.limited_by = LimitedBy.DIVIDED
    if number.safety_units and found:
        found, number.limited_by = max(found - number.safety_units, 0), LimitedBy.SAFETY
    shared = shared_units(number, stock)
    if shared < found:
        found, number.limited_by = shared, LimitedBy.SHARE
    if rule.cap_units is not None and rule.cap_units < found:
        found, number.limited_by = rule.cap_units, LimitedBy.CAP
    if rule.is_withheld:
        found, number.limited_by = 0, LimitedBy.WITHHELD
    if number.is_closed:
        found, number.limited_by = 0, LimitedBy.CLOSED
    number.sellable_units = found
    _sell_beyond(number)
    return number


def shared_units(number: Number, stock: int) -> int:
    """What the channel's share leaves of the stock after safety."""
    left = max(stock - number.safety_units, 0)
    return left if number.rule.share is None else _floor(number.rule.share * left)


NEVER = (LimitedBy.WITHHELD, LimitedBy.CLOSED, LimitedBy.COMPONENT_UNKNOWN)


def _sell_beyond(number: Number) -> None:
    rule, back = number.rule, number.rule.backorder
    if not (rule.is_assembled or (back and back.is_allowed)):
        return
    number.lead_days = back.lead_days if back else None
    if number.limited_by in NEVER:
        return
    limit = back.limit_units if back and back.limit_units is not None else UNLIMITED_UNITS
    number.backorder_units = max(limit + min(number.atp_units, 0), 0)
    silent = (LimitedBy.STOCK, LimitedBy.NONE, LimitedBy.COMPONENT)
    if number.backorder_units and not number.sellable_units and number.limited_by in silent:
        number.limited_by = LimitedBy.ASSEMBLED if rule.is_assembled else LimitedBy.BACKORDER


def _floor(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_FLOOR))


# ------------------------------------------------------------ the last pieces, divided


@dataclass(frozen=True)
class _Map:
    """Which channels share which open locations, worked out once per policy."""

    #: Sets of tied channels, in order of priority.
    pools: tuple[tuple[str, ...], ...]
    #: By the channels that share them: their locations.
    shelves: Mapping[tuple[str, ...], tuple[str, ...]]


@lru_cache(maxsize=16)
def _map(policy: Policy) -> _Map:
    order = sorted(policy.channels, key=lambda name: (policy.channels[name].priority, name))
    opened = {name: set(policy.open_locations(name)) for name in order}
    shelves: dict[tuple[str, ...], list[str]] = {}
    for place in sorted(policy.locations):
        if sellers := tuple(name for name in order if place in opened[name]):
            shelves.setdefault(sellers, []).append(place)
    found: list[tuple[str, ...]] = []
    left = [name for name in order if opened[name]]
    while left:
        tied = {left[0]}
        while more := {n for shelf in shelves if tied & set(shelf) for n in shelf} - tied:
            tied |= more
        found.append(tuple(name for name in order if name in tied))
        left = [name for name in left if name not in tied]
    return _Map(tuple(found), {key: tuple(places) for key, places in shelves.items()})


def divided(facts: SkuFacts, policy: Policy) -> dict[str, int]:
    """Each channel's part of the last pieces; nothing for those whose pieces are not divided."""
    below = policy.divide_below_units
    if below == 0:
        return {}
    plan = _map(policy)
    found: dict[str, int] = {}
    for pool in plan.pools:
        sellers = [n for n in pool if not _rule(policy, n, facts.sku).is_withheld]
        if len(sellers) < 2:
            continue
        shelves = [
            ([name for name in key if name in sellers], sum(map(facts.free, places)))
            for key, places in plan.shelves.items()
            if set(key) & set(sellers)
        ]
        total = sum(free for _, free in shelves)
        if below is None or total < below:
            found |= _handed_out(facts, policy, sellers, shelves, total)
    return found


def _handed_out(
    facts: SkuFacts,
    policy: Policy,
    sellers: list[str],
    shelves: list[tuple[list[str], int]],
    total: int,
) -> dict[str, int]:
    has = dict.fromkeys(sellers, 0)
    for names, free in shelves:
        if free > 0:
            for name, units in _by_demand(facts, policy, names, free).items():
                has[name] += units
    for names, free in shelves:
        _give_back(has, names, -free)
    _give_back(has, sellers, sum(has.values()) - max(total, 0))
    return has


def _by_demand(facts: SkuFacts, policy: Policy, names: list[str], pieces: int) -> dict[str, int]:
    weights = _weights(facts, names)
    whole = sum(weights.values())
    shares = {name: _rule(policy, name, facts.sku).share for name in names}
    most = {n: pieces if (s := shares[n]) is None else _floor(s * pieces) for n in names}
    has = {name: min(pieces * weights[name] // whole, most[name]) for name in names}
    for name in names:
        has[name] = min(most[name], has[name] + pieces - sum(has.values()))
    return has


def _weights(facts: SkuFacts, names: list[str]) -> dict[str, int]:
    """Thousandths of a piece a day; unknown ones count as the mean of the known."""
    known = {
        name: min(_floor(facts.demand[name] * 1000), 10**9)
        for name in names
        if name in facts.demand
    }
    total = sum(known.values())
    if not total:
        return dict.fromkeys(names, 1)
    return {name: known.get(name, total // len(known)) for name in names}


def _give_back(has: dict[str, int], names: list[str], pieces: int) -> None:
    for name in reversed(names):
        less = min(has[name], max(pieces, 0))
        has[name] -= less
        pieces -= less
