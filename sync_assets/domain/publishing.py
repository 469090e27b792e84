"""What a shop is to show of our stock, and what may be written there: rules without any I/O.

The comparison of whole stores is one statement in `inventory/planning.py`; it follows `differs`.

Three rules decide everything here:

- A number at or below zero is "nothing there". What a shop counts below zero are pieces that it
  promised itself and gives back when an order is cancelled; lifting it to zero would then offer a
  piece that is not there. So such numbers are equal to one another, and none is written over
  another.
- With backorders on, a shop sells on below zero without any limit of its own. So the quantity stays
  what is there (`sellable`), and the limit is kept by taking backorders away when
  `backorder_units`, which already leaves out what was promised beyond stock, comes to nothing.
- A write is absolute and the last one wins, so it must not cover a sale we have not heard of. What
  the shop sold since we looked is taken off, and a number only rises when every order up to the
  shop's last change is counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sync_assets.domain.policy import Guards, Policy


@dataclass(frozen=True)
class Shown:
    """The stock of one listing, as wanted or as seen."""

    units: int | None
    backorders: str = "no"
    lead_days: int | None = None
    #: yes, no, or parent: who keeps its stock in the shop.
    management: str = "yes"


def same_number(one: int | None, other: int | None) -> bool:
    """Whether two quantities mean the same to a shop's customers and to its books."""
    if one is None or other is None:
        return one is other
    return one == other or (one <= 0 and other <= 0)


def differs(wanted: Shown, seen: Shown) -> bool:
    """Whether a listing must be written; lead days are known from what was read whole."""
    return (
        seen.management != "yes"
        or not same_number(wanted.units, seen.units)
        or (wanted.backorders, wanted.lead_days) != (seen.backorders, seen.lead_days)
    )


def untold(policy: Policy, channel: str, skus: Iterable[str]) -> list[str]:
    """SKUs the channel sells beyond the stock without telling its customers."""
    if channel not in policy.channels:
        return []
    own = policy.channels[channel]
    rules = (own, *own.overrides)
    if all(rule.backorder is None or rule.backorder.tells_customer for rule in rules):
        return []
    return [
        sku
        for sku in skus
        if (backorder := policy.rule(channel, sku).backorder) and not backorder.tells_customer
    ]


def is_mass_drop(dropping: int, positive: int, guards: Guards) -> bool:
    """Whether so many listings would go to nothing at once that a person is to look first."""
    return dropping >= guards.mass_drop_least and dropping >= guards.mass_drop_share * positive


@dataclass(frozen=True)
class Attempt:
    """What an earlier try was about to write, put down before it did."""

    target_units: int
    #: What the shop showed then, and its own time of its last change.
    before_units: int | None
    before_at: datetime
    sold_units: int


@dataclass(frozen=True)
class Decision:
    """What to write to one listing now."""

    units: int
    #: What the shop sold that our number does not know of.
    sold_units: int
    is_needed: bool


def decide(
    wanted: Shown, seen_units: int | None, now: Shown, now_at: datetime, earlier: Attempt | None
) -> Decision:
    """Compare what we want with what the shop shows this moment, and with what we saw and did.

    `seen_units` is what it showed when `wanted` was planned.
    """
    if wanted.units is None:
        raise ValueError("a number is wanted, none is given")
    sold = _sold_meanwhile(wanted, seen_units, now, now_at, earlier)
    units = wanted.units - sold
    if units <= 0:  # the shop's own count below zero is never lifted
        units = min(now.units or 0, 0) if now.management == "yes" else 0
    return Decision(units, sold, differs(replace(wanted, units=units), now))


def _sold_meanwhile(
    wanted: Shown, seen_units: int | None, now: Shown, now_at: datetime, earlier: Attempt | None
) -> int:
    """Units gone since we looked that no order we know accounts for, or none for certain.

    After a lost answer it is not known whether the number was written. Where the shop shows what we
    meant to write, it was; where nothing changed, it was not; anything else is read the careful
    way, as if the most had been there that can have been.
    """
    if now.management != "yes" or now.units is None:
        return 0
    if earlier is None:
        # Equal is equal however it came about: what was sold may be counted already.
        if seen_units is None or same_number(wanted.units, now.units):
            return 0
        return max(0, seen_units - now.units)
    is_untouched = (now.units, now_at) == (earlier.before_units, earlier.before_at)
    if is_untouched or now.units == earlier.target_units:
        return earlier.sold_units
    most = max(earlier.target_units, earlier.before_units or 0)
    return earlier.sold_units + max(0, most - now.units)
