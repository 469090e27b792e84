"""How one number came about, step by step, in words that a person can follow with a pencil.

The reckoning itself is `reckoning.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sync_assets.domain.channel_numbers import LimitedBy
from sync_assets.domain.channel_rules import UNLIMITED_UNITS
from sync_assets.domain.policy import Policy
from sync_assets.domain.reckoning import (
    Component,
    Number,
    SkuFacts,
    StockAt,
    reckon,
    sellable,
    shared_units,
)

__all__ = ["Component", "Explanation", "SkuFacts", "StockAt", "explain", "sellable"]


@dataclass(frozen=True)
class Explanation:
    """A number as it is kept, and the sentences that lead to it."""

    channel: str
    sku: str
    atp_units: int
    safety_units: int
    sellable_units: int
    backorder_units: int
    lead_days: int | None
    limited_by: str
    scarcest_sku: str | None
    steps: tuple[str, ...]


def explain(facts: SkuFacts, channel: str, policy: Policy) -> Explanation:
    """Work out one number and say how."""
    number = reckon(facts, policy)[channel]
    return Explanation(
        channel,
        facts.sku,
        number.atp_units,
        number.safety_units,
        number.sellable_units,
        number.backorder_units,
        number.lead_days,
        str(number.limited_by),
        number.scarcest_sku,
        tuple(_steps(facts, number, policy)),
    )


def _steps(facts: SkuFacts, number: Number, policy: Policy) -> Iterator[str]:
    if number.is_closed:
        yield "none of the channel's locations is open: nothing may be sold"
        return
    yield from _kit_steps(number) if facts.components else _stock_steps(facts, number, policy)
    stock = min((kits for *_, kits in number.components), default=max(number.atp_units, 0))
    left = stock
    if number.part_units is not None and number.part_units < stock:
        left = number.part_units
        yield f"few are left and channels share them: {left} of them are this channel's part"
    if number.safety_units:
        left = max(left - number.safety_units, 0)
        yield f"safety keeps back {number.safety_units}: {left}"
    yield from _limit_steps(number, stock, left)
    yield from _last_steps(number)


def _stock_steps(facts: SkuFacts, number: Number, policy: Policy) -> Iterator[str]:
    for place in policy.channels[number.channel].locations:
        if policy.locations[place].is_closed:
            yield f"{place}: closed, does not count"
        elif place not in facts.levels and not facts.reserved.get(place):
            yield f"{place}: no stock known"
        else:
            yield f"{place}: {_level_words(facts, place)} = {facts.free(place)}"
    less = ": more is promised than there is" if number.atp_units < 0 else ""
    yield f"available to promise: {number.atp_units}{less}"


def _level_words(facts: SkuFacts, place: str) -> str:
    level = facts.levels.get(place, StockAt(0))
    words = [f"{level.on_hand_units} on hand", f"{level.allocated_units} allocated"]
    if level.quarantined_units:
        words.append(f"{level.quarantined_units} quarantined")
    return " - ".join([*words, f"{facts.reserved.get(place, 0)} reserved"])


def _kit_steps(number: Number) -> Iterator[str]:
    for sku, units, there, kits in number.components:
        name = sku or "a component without SKU"
        yield f"{name}: {there} for this channel, {_plain(units)} in each kit: enough for {kits}"
    if number.limited_by == LimitedBy.COMPONENT_UNKNOWN:
        yield f"no stock is known of {number.scarcest_sku or 'a component without SKU'}: no kits"
    else:
        yield f"the scarcest component is {number.scarcest_sku}"


def _limit_steps(number: Number, stock: int, left: int) -> Iterator[str]:
    rule, base = number.rule, max(stock - number.safety_units, 0)
    if rule.share is not None:
        part = shared_units(number, stock)
        left = min(left, part)
        yield f"share {_plain(rule.share * 100)} % of {base} = {part}"
    if rule.cap_units is not None and rule.cap_units < left:
        yield f"the channel sees {rule.cap_units} at most"


def _last_steps(number: Number) -> Iterator[str]:
    if number.rule.is_withheld:
        yield "withheld: not for this channel"
        return
    yield f"may be sold: {number.sellable_units}"
    if number.backorder_units:
        many = number.backorder_units >= UNLIMITED_UNITS
        beyond = "without limit" if many else f"{number.backorder_units} more"
        days = "" if number.lead_days is None else f", {number.lead_days} days until they ship"
        yield f"beyond the stock: {beyond}{days}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
