"""What each channel may sell of each SKU, for all SKUs at once: available to promise, then division
of the last pieces, safety, share, cap, kits, backorder. Pure and vectorised; the same number in
words, one SKU at a time, is `reckoning.py`.

A channel sells what is free in its open locations: on hand less allocated, quarantined and
reserved. A deficit stays a deficit, and lowers what its other locations offer.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow

from sync_assets.domain import columns
from sync_assets.domain.channel_numbers import CODE, WORDS, LimitedBy, Numbers
from sync_assets.domain.channel_rules import (
    NO_CAP,
    NO_DAYS,
    THOUSAND,
    UNLIMITED_UNITS,
    RuleArrays,
    rule_arrays,
)
from sync_assets.domain.columns import MILLION, TEXT, Bools, Ints, places, texts, whole
from sync_assets.domain.dividing import divide, pools
from sync_assets.domain.kits import KitCycle, Kits
from sync_assets.domain.policy import Channel, Policy

__all__ = ["UNLIMITED_UNITS", "Inputs", "KitCycle", "LimitedBy", "availability"]

#: A weight above this says nothing more; it keeps pieces times weight within 64 bits.
MOST_WEIGHT = 10**9


@dataclass(frozen=True)
class Inputs:
    """The facts behind the numbers; frames may hold more SKUs than are asked for.

    They must hold the components of every kit that is asked for, and theirs.
    """

    levels: pd.DataFrame  # sku, location, on_hand_units, allocated_units, quarantined_units
    reservations: pd.DataFrame  # sku, location, open_units
    components: pd.DataFrame  # kit_sku, component_sku, component_units
    demand: pd.DataFrame  # channel, sku, units_per_day
    policy: Policy
    #: None: all that appear.
    skus: list[str] | None = None


def availability(inputs: Inputs) -> pd.DataFrame:
    """One row per channel and SKU: the columns of `stock.Availability` but policy and time."""
    skus = _skus(inputs)
    free, is_known = _free(inputs, skus)
    numbers = _numbers(inputs, skus, free, is_known)
    Kits.of(inputs.components, skus).reckon(list(numbers.values()), is_known)
    asked = np.arange(len(skus), dtype=np.int64)
    if inputs.skus is not None:
        asked = np.unique(places(pyarrow.array(inputs.skus, TEXT), skus))
    frames = [_frame(name, numbers[name], skus, asked) for name in sorted(numbers)]
    return pd.concat(frames, ignore_index=True) if frames else _frame_of_none(skus)


def _skus(inputs: Inputs) -> pyarrow.Array:
    """Every SKU that plays a part, in order; all arrays below follow it."""
    kits = inputs.components
    return columns.distinct(
        texts(inputs.levels["sku"]),
        texts(inputs.reservations["sku"]),
        texts(kits["kit_sku"]),
        texts(kits["component_sku"]),
        pyarrow.array(inputs.skus or [], TEXT),
    )


def _free(inputs: Inputs, skus: pyarrow.Array) -> tuple[dict[str, Ints], Bools]:
    """Free pieces per location, signed; and which SKUs any source has told."""
    names = sorted(inputs.policy.locations)
    table = np.zeros((len(skus), len(names)), dtype=np.int64)
    levels, held = inputs.levels, inputs.reservations
    there = whole(levels["on_hand_units"]) - whole(levels["allocated_units"])
    rows = places(texts(levels["sku"]), skus)
    is_known = np.zeros(len(skus), dtype=np.bool_)
    is_known[rows] = True
    locations = pyarrow.array(names, TEXT)
    where = places(texts(levels["location"]), locations)
    _add(table, rows, where, there - whole(levels["quarantined_units"]))
    where = places(texts(held["location"]), locations)
    _add(table, places(texts(held["sku"]), skus), where, -whole(held["open_units"]))
    return {name: table[:, place].copy() for place, name in enumerate(names)}, is_known


def _add(table: Ints, rows: Ints, cells: Ints, units: Ints) -> None:
    """Add units to their cells; a location that the policy does not name has none."""
    inside = (rows >= 0) & (cells >= 0)
    np.add.at(table.reshape(-1), (rows * table.shape[1] + cells)[inside], units[inside])


def _numbers(
    inputs: Inputs, skus: pyarrow.Array, free: dict[str, Ints], is_known: Bools
) -> dict[str, Numbers]:
    """Every channel's numbers of what is no kit; kits are reckoned from them."""
    policy, every = inputs.policy, np.arange(len(skus), dtype=np.int64)
    rules = {name: rule_arrays(one, skus) for name, one in policy.channels.items()}
    demand = _demand(inputs, skus)
    parts = _parts(policy, free, rules, demand)
    reasons = np.where(is_known, CODE[LimitedBy.STOCK], CODE[LimitedBy.NONE])
    found = {}
    for name, channel in policy.channels.items():
        is_open = policy.open_locations(name)
        atp = _sum(free, is_open, len(skus))
        found[name] = one = Numbers.fresh(
            rules[name],
            atp,
            _safety(rules[name], demand[name]),
            pause_units=channel.kits_pause_below_units,
            is_closed=not is_open,
        )
        stock = np.maximum(atp, 0)
        one.limit(every, stock, np.minimum(stock, parts.get(name, stock)), reasons)
    return found


def _parts(
    policy: Policy,
    free: dict[str, Ints],
    rules: dict[str, RuleArrays],
    demand: dict[str, Ints],
) -> dict[str, Ints]:
    """Each channel's part of the pieces that are divided; without end where none are."""
    if policy.divide_below_units == 0:
        return {}
    weights = {
        name: np.where(one < 0, -1, np.minimum(one // THOUSAND, MOST_WEIGHT))
        for name, one in demand.items()
    }
    found: dict[str, Ints] = {}
    for pool in pools(policy):
        if len(pool.channels) < 2:
            continue
        count = len(weights[pool.channels[0]])
        units, is_divided = divide(
            pool,
            {group: _sum(free, group.locations, count) for group in pool.groups},
            weights,
            {name: rules[name].share for name in pool.channels},
            {name: ~rules[name].is_withheld for name in pool.channels},
            policy.divide_below_units,
        )
        found |= {name: np.where(is_divided, part, NO_CAP) for name, part in units.items()}
    return found


def _sum(free: dict[str, Ints], locations: list[str] | tuple[str, ...], count: int) -> Ints:
    return sum((free[name] for name in locations), np.zeros(count, dtype=np.int64))


def _demand(inputs: Inputs, skus: pyarrow.Array) -> dict[str, Ints]:
    """Millionths of a piece per day, per channel; -1 where nothing is known."""
    names, told = sorted(inputs.policy.channels), inputs.demand
    table = np.full((len(names), len(skus)), -1, dtype=np.int64)
    rows = places(texts(told["channel"]), pyarrow.array(names, TEXT))
    cells = places(texts(told["sku"]), skus)
    inside = (rows >= 0) & (cells >= 0)
    table[rows[inside], cells[inside]] = columns.millionths(told["units_per_day"])[inside]
    return {name: table[place] for place, name in enumerate(names)}


def _safety(rules: RuleArrays, demand: Ints) -> Ints:
    """The larger of the pieces and the days of demand, the latter rounded up."""
    days = rules.safety_days * np.maximum(demand, 0)
    return np.maximum(rules.safety_units, -(-days // (MILLION * THOUSAND)))


def _frame_of_none(skus: pyarrow.Array) -> pd.DataFrame:
    """The rows of a policy without channels."""
    none = np.zeros(0, dtype=np.int64)
    rules = rule_arrays(Channel(locations=("none",)), skus.slice(0, 0))
    numbers = Numbers.fresh(rules, none, none, pause_units=0, is_closed=True)
    return _frame("none", numbers, skus, none)


def _frame(channel: str, numbers: Numbers, skus: pyarrow.Array, asked: Ints) -> pd.DataFrame:
    beyond, lead, scarcest = numbers.beyond(), numbers.rules.lead_days, numbers.scarcest[asked]
    words = pyarrow.array([str(word) for word in WORDS], TEXT)
    return pd.DataFrame(
        {
            "channel": columns.text_series(pyarrow.repeat(channel, len(asked))),
            "sku": columns.text_series(skus.take(asked)),
            "atp_units": numbers.atp[asked],
            "safety_units": numbers.safety[asked],
            "sellable_units": numbers.sellable[asked],
            "backorder_units": beyond[asked],
            "lead_days": pd.arrays.IntegerArray(lead[asked], lead[asked] == NO_DAYS),
            "limited_by": columns.text_series(words.take(numbers.reasons(beyond)[asked])),
            "scarcest_sku": columns.text_series(
                skus.take(pyarrow.array(scarcest, mask=scarcest < 0))
            ),
        }
    )
