"""Last pieces divided among the channels that share them, so that no two can sell the same one.

Locations that the same channels sell from are one group; groups that are tied by a channel are one
pool. Within a pool no more is handed out than is free there, deficits taken off. What a pool lacks
does not lower a channel that sells from nowhere in it.
"""

from dataclasses import dataclass

import numpy as np

from sync_assets.domain.columns import MILLION, Bools, Ints
from sync_assets.domain.policy import Policy


@dataclass(frozen=True)
class Group:
    """Open locations, and the channels that sell from all of them, first served first."""

    channels: tuple[str, ...]
    locations: tuple[str, ...]


@dataclass(frozen=True)
class Pool:
    """Groups of locations tied together by the channels that sell from them."""

    groups: tuple[Group, ...]
    channels: tuple[str, ...]


def pools(policy: Policy) -> list[Pool]:
    """The pools of a policy; closed locations and those nobody sells from are in none."""
    tied: list[list[Group]] = []
    for group in _groups(policy):
        near = [one for one in tied if any(set(g.channels) & set(group.channels) for g in one)]
        tied = [one for one in tied if one not in near]
        tied.append([*(g for one in near for g in one), group])
    return [_pool(policy, one) for one in tied]


def _pool(policy: Policy, groups: list[Group]) -> Pool:
    channels = {name for group in groups for name in group.channels}
    in_order = sorted(groups, key=lambda group: group.locations)
    return Pool(tuple(in_order), _in_order(policy, channels))


def _groups(policy: Policy) -> list[Group]:
    found: dict[tuple[str, ...], list[str]] = {}
    for name, location in sorted(policy.locations.items()):
        sellers = {one for one, channel in policy.channels.items() if name in channel.locations}
        if sellers and not location.is_closed:
            found.setdefault(_in_order(policy, sellers), []).append(name)
    return [Group(channels, tuple(names)) for channels, names in found.items()]


def interchangeable(policy: Policy) -> dict[str, list[str]]:
    """Locations that make no difference to any number, by the one that stands for them.

    The same channels sell from them; those nobody sells from, or that are closed, are one group.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(policy.locations):
        sellers = (one for one in policy.channels if name in policy.open_locations(one))
        found.setdefault(tuple(sellers), []).append(name)
    return {names[0]: names for names in found.values()}


def _in_order(policy: Policy, channels: set[str]) -> tuple[str, ...]:
    return tuple(sorted(channels, key=lambda name: (policy.channels[name].priority, name)))


def divide(
    pool: Pool,
    free: dict[Group, Ints],
    weights: dict[str, Ints],
    shares: dict[str, Ints],
    may_sell: dict[str, Bools],
    below_units: int | None,
) -> tuple[dict[str, Ints], Bools]:
    """Each channel's part of the pool's free pieces, and where they are few enough to be divided.

    A weight below 0 is an unknown demand.
    """
    sizes = next(iter(free.values())).shape
    sold = {g: np.any([may_sell[c] for c in g.channels], axis=0) for g in pool.groups}
    total = sum((free[g] * sold[g] for g in pool.groups), np.zeros(sizes, dtype=np.int64))
    several = np.sum([may_sell[c] for c in pool.channels], axis=0) > 1
    few = np.ones(sizes, dtype=np.bool_) if below_units is None else total < below_units
    units = {c: np.zeros(sizes, dtype=np.int64) for c in pool.channels}
    for group in pool.groups:
        allotted = _allotted(group, np.maximum(free[group], 0), weights, shares, may_sell)
        for channel, pieces in allotted.items():
            units[channel] += pieces
    for group in pool.groups:
        _take_back(units, group.channels, np.maximum(-free[group], 0) * sold[group])
    _take_back(units, pool.channels, sum(units.values()) - np.maximum(total, 0))
    return units, few & several


def _allotted(
    group: Group,
    pieces: Ints,
    weights: dict[str, Ints],
    shares: dict[str, Ints],
    may_sell: dict[str, Bools],
) -> dict[str, Ints]:
    """Each channel's part by demand, at most its share; what is left to the first in order."""
    parts = _weights(group, weights, may_sell)
    whole = np.maximum(sum(parts.values()), 1)
    most = {c: pieces * shares[c] // MILLION * may_sell[c] for c in group.channels}
    found = {c: np.minimum(pieces * parts[c] // whole, most[c]) for c in group.channels}
    rest = pieces - sum(found.values())
    for channel in group.channels:
        more = np.minimum(rest, most[channel] - found[channel])
        found[channel] = found[channel] + more
        rest = rest - more
    return found


def _weights(group: Group, weights: dict[str, Ints], may_sell: dict[str, Bools]) -> dict[str, Ints]:
    """Demand as weight; where it is unknown, the mean of what is known, else all are equal."""
    known = {c: may_sell[c] & (weights[c] >= 0) for c in group.channels}
    count = np.sum(list(known.values()), axis=0)
    total = np.sum([np.where(known[c], weights[c], 0) for c in group.channels], axis=0)
    mean = np.where(total > 0, total // np.maximum(count, 1), 1)
    return {
        c: np.where(known[c] & (total > 0), weights[c], mean) * may_sell[c] for c in group.channels
    }


def _take_back(units: dict[str, Ints], channels: tuple[str, ...], pieces: Ints) -> None:
    """Take pieces back, first from those who are served last."""
    rest = np.maximum(pieces, 0)
    for channel in reversed(channels):
        less = np.minimum(units[channel], rest)
        units[channel] = units[channel] - less
        rest = rest - less
