"""A channel's rules, resolved for many SKUs at once into arrays. What they mean for a number is in
`availability.py`; the same for one SKU in plain words is `policy.Policy.rule`.

Shares and days are held in millionths and thousandths, so that every sum is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow
import pyarrow.compute as pc

from sync_assets.domain.columns import MILLION, Bools, Ints
from sync_assets.domain.policy import Channel, Rule, sku_pattern

THOUSAND = 1_000
#: Stands for "no limit"; far above any stock, far below what a shop's field holds.
UNLIMITED_UNITS = 1_000_000
#: Larger than any number of pieces, small enough to be multiplied.
NO_CAP = 10**12
NO_DAYS = -1


@dataclass(frozen=True)
class RuleArrays:
    """One value per SKU, in the order of the SKUs asked for."""

    safety_units: Ints
    safety_days: Ints  # thousandths
    share: Ints  # millionths
    cap_units: Ints
    #: What may be promised beyond the stock; 0 where nothing may.
    beyond_units: Ints
    lead_days: Ints
    is_assembled: Bools
    is_withheld: Bools

    def at(self, places: Ints) -> "RuleArrays":
        """The same rules of some of the SKUs."""
        return RuleArrays(**{name: values[places] for name, values in vars(self).items()})


def rule_arrays(channel: Channel, skus: pyarrow.Array) -> RuleArrays:
    """Resolve a channel's rules and overrides for these SKUs; a later override wins."""
    count = len(skus)
    rules = [said(channel)]
    #: Per field, which of the rules decides; a rule is silent about what it leaves out.
    deciding = {name: np.zeros(count, dtype=np.int64) for name in Rule.model_fields}
    for override in channel.overrides:
        rules.append(said(override))
        hit = _matching(override.skus, skus)
        for name in Rule.model_fields:
            if getattr(override, name) is not None:
                deciding[name][hit] = len(rules) - 1
    return _arrays(rules, deciding)


def said(rule: Rule) -> Rule:
    """Only the rule part of a channel or an override."""
    return Rule(**{name: getattr(rule, name) for name in Rule.model_fields})


def _matching(patterns: tuple[str, ...], skus: pyarrow.Array) -> Bools:
    literal = [one for one in patterns if not {"*", "?"} & set(one)]
    hit = pc.is_in(skus, value_set=pyarrow.array(literal, skus.type))
    for one in set(patterns) - set(literal):
        whole = f"(?s)^{sku_pattern(one)}\\z"
        hit = pc.or_(hit, pc.match_substring_regex(skus, whole))
    return np.asarray(hit.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _arrays(rules: list[Rule], deciding: dict[str, Ints]) -> RuleArrays:
    def per_sku(name: str, value: Callable[[Rule], int]) -> Ints:
        return np.asarray([value(one) for one in rules], dtype=np.int64)[deciding[name]]

    assembled = per_sku("is_assembled", lambda r: bool(r.is_assembled)).astype(np.bool_)
    allowed = per_sku("backorder", lambda r: bool(r.backorder and r.backorder.is_allowed))
    is_beyond = assembled | allowed.astype(np.bool_)
    return RuleArrays(
        safety_units=per_sku("safety", lambda r: r.safety.units if r.safety else 0),
        safety_days=per_sku(
            "safety", lambda r: _scaled(r.safety.days, THOUSAND) if r.safety else 0
        ),
        share=per_sku("share", lambda r: MILLION if r.share is None else _scaled(r.share, MILLION)),
        cap_units=per_sku("cap_units", lambda r: NO_CAP if r.cap_units is None else r.cap_units),
        beyond_units=per_sku("backorder", _limit) * is_beyond,
        lead_days=np.where(is_beyond, per_sku("backorder", _lead_days), NO_DAYS),
        is_assembled=assembled,
        is_withheld=per_sku("is_withheld", lambda r: bool(r.is_withheld)).astype(np.bool_),
    )


def _safety_days(rule: Rule) -> int:
    return _scaled(rule.safety.days, THOUSAND) if rule.safety else 0


def _lead_days(rule: Rule) -> int:
    told = rule.backorder.lead_days if rule.backorder else None
    return NO_DAYS if told is None else told


def _limit(rule: Rule) -> int:
    if rule.backorder is None or rule.backorder.limit_units is None:
        return UNLIMITED_UNITS
    return rule.backorder.limit_units


def _scaled(number: Decimal, by: int) -> int:
    return int(number * by)
