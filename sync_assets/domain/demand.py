"""When demand is measured, and over which days. What it does to a number is `availability.py`."""

from datetime import datetime, timedelta

from sync_assets.domain.dividing import pools
from sync_assets.domain.policy import Policy


def is_used(policy: Policy) -> bool:
    """Whether any number rests on demand: safety in days, or last pieces that are divided."""
    return _in_days(policy) or _is_divided(policy)


def _in_days(policy: Policy) -> bool:
    rules = [r for channel in policy.channels.values() for r in (channel, *channel.overrides)]
    return any(rule.safety is not None and rule.safety.days > 0 for rule in rules)


def _is_divided(policy: Policy) -> bool:
    return policy.divide_below_units != 0 and any(len(p.channels) > 1 for p in pools(policy))


def since(policy: Policy, now: datetime) -> datetime:
    """Orders placed from then on are counted."""
    return now - timedelta(days=policy.demand_days)
