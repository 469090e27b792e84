"""Kits: what the scarcest component of each allows, for all kits of a channel at once. Kits of kits
are worked out from the inside; one that contains itself is an error with its name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow

from sync_assets.domain.channel_numbers import CODE, LimitedBy, Numbers
from sync_assets.domain.columns import MILLION, Bools, Ints, millionths, places, texts


class KitCycle(Exception):
    """A kit contains itself; `skus` are the kits that cannot be worked out."""

    def __init__(self, skus: list[str]) -> None:
        shown = ", ".join(skus[:5]) + (" …" if len(skus) > 5 else "")
        super().__init__(f"kits contain one another in a circle: {shown}")
        self.skus = skus


@dataclass(frozen=True)
class Kits:
    """One row per component, in order of kit and component; all by their place in `skus`."""

    kit: Ints
    component: Ints  # -1: nobody knows its SKU
    units: Ints  # millionths
    skus: pyarrow.Array
    is_kit: Bools

    @classmethod
    def of(cls, components: pd.DataFrame, skus: pyarrow.Array) -> "Kits":
        """Kits from rows of kit_sku, component_sku and component_units."""
        kit = places(texts(components["kit_sku"]), skus)
        component = places(texts(components["component_sku"]), skus)
        units = millionths(components["component_units"])
        order = np.lexsort((component, kit))
        order = order[(kit >= 0)[order]]
        is_kit = np.zeros(len(skus), dtype=np.bool_)
        is_kit[kit[order]] = True
        return cls(kit[order], component[order], units[order], skus, is_kit)

    def reckon(self, channels: list[Numbers], is_known: Bools) -> None:
        """Work out the kits of every channel, inner kits before those that contain them."""
        unknown = (self.component < 0) | ~(is_known | self.is_kit)[self.component]
        for rows in self._rounds():
            for one in channels:
                self._reckon(rows, one, unknown[rows])

    def _rounds(self) -> Iterator[Ints]:
        """Rows of the kits whose components are all worked out, round by round."""
        is_open = self.is_kit.copy()
        while is_open.any():
            waits = np.zeros(len(is_open), dtype=np.bool_)
            waits[self.kit[(self.component >= 0) & is_open[self.component]]] = True
            ready = is_open & ~waits
            if not ready.any():
                raise KitCycle(self.skus.take(np.flatnonzero(is_open)).to_pylist())
            yield np.flatnonzero(ready[self.kit])
            is_open &= ~ready

    def _reckon(self, rows: Ints, channel: Numbers, unknown: Bools) -> None:
        kit, component, units = self.kit[rows], self.component[rows], self.units[rows]
        there = np.where(unknown, 0, channel.sellable[component])
        allowed = np.where(there < channel.pause_units, 0, there * MILLION // units)
        promise = np.where(unknown, 0, channel.atp[component]) * MILLION // units
        # What nobody knows decides before what is scarce, the first by name among equals.
        order = np.lexsort((np.where(unknown, -1, allowed), kit))
        starts = np.flatnonzero(np.diff(kit, prepend=-1))
        first = order[starts]
        which = kit[starts]
        stock = allowed[first]
        channel.atp[which] = np.minimum.reduceat(promise, starts)
        channel.scarcest[which] = component[first]
        assembled = channel.rules.is_assembled[which] & (stock > 0)
        reasons = np.where(assembled, CODE[LimitedBy.ASSEMBLED], CODE[LimitedBy.COMPONENT])
        reasons = np.where(unknown[first], CODE[LimitedBy.COMPONENT_UNKNOWN], reasons)
        channel.limit(which, stock, stock, reasons)
