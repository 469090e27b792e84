"""What one channel may sell, while it is worked out: from the stock that is there to the number
shown, and what decided it.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sync_assets.domain.channel_rules import NO_CAP, RuleArrays
from sync_assets.domain.columns import MILLION, Bools, Ints

__all__ = ["CODE", "NO_CAP", "WORDS", "LimitedBy", "Numbers"]


class LimitedBy(StrEnum):
    """What decided a channel's number."""

    STOCK = "stock"  # all there is, is shown
    SAFETY = "safety"
    SHARE = "share"
    CAP = "cap"
    DIVIDED = "divided"  # other channels have the rest of the last pieces
    COMPONENT = "component"
    COMPONENT_UNKNOWN = "component_unknown"
    CLOSED = "closed"  # none of the channel's locations is open
    WITHHELD = "withheld"
    BACKORDER = "backorder"  # nothing there; sold beyond the stock
    ASSEMBLED = "assembled"
    NONE = "none"  # no source has ever told stock of it


WORDS = list(LimitedBy)
CODE = {word: place for place, word in enumerate(WORDS)}
#: With these nothing is promised, not even beyond the stock.
NEVER = [CODE[one] for one in (LimitedBy.WITHHELD, LimitedBy.CLOSED, LimitedBy.COMPONENT_UNKNOWN)]
#: These say only that there is no more; if more is sold all the same, that is the news.
PLAIN = [CODE[one] for one in (LimitedBy.STOCK, LimitedBy.NONE, LimitedBy.COMPONENT)]


@dataclass
class Numbers:
    """One channel's numbers, one per SKU."""

    rules: RuleArrays
    atp: Ints
    safety: Ints
    sellable: Ints
    limited_by: Ints
    #: The place of the component that decided; -1: none did.
    scarcest: Ints
    pause_units: int
    is_closed: bool

    @classmethod
    def fresh(cls, rules: RuleArrays, atp: Ints, safety: Ints, **facts: int) -> "Numbers":
        """Numbers of which only what is there is known yet."""
        zero = np.zeros(len(atp), dtype=np.int64)
        return cls(
            rules,
            atp,
            safety,
            sellable=zero,
            limited_by=zero.copy(),
            scarcest=zero - 1,
            pause_units=facts["pause_units"],
            is_closed=bool(facts["is_closed"]),
        )

    def limit(self, places: Ints, stock: Ints, part: Ints, reasons: Ints) -> None:
        """Apply safety, share and cap to the channel's part of the stock; note what decided."""
        rules, safety = self.rules.at(places), self.safety[places]
        left = np.maximum(part - safety, 0)
        shared = np.maximum(stock - safety, 0) * rules.share // MILLION
        found = np.minimum(np.minimum(left, shared), rules.cap_units)
        for decides, word in (
            (part < stock, LimitedBy.DIVIDED),
            (left < part, LimitedBy.SAFETY),
            (shared < left, LimitedBy.SHARE),
            (rules.cap_units < np.minimum(left, shared), LimitedBy.CAP),
            (rules.is_withheld, LimitedBy.WITHHELD),
            (np.bool_(self.is_closed), LimitedBy.CLOSED),
        ):
            reasons = np.where(decides, CODE[word], reasons)
        self.sellable[places] = found * (~rules.is_withheld & (not self.is_closed))
        self.limited_by[places] = reasons

    def beyond(self) -> Ints:
        """What may be promised beyond the stock, less what already is."""
        never: Bools = np.isin(self.limited_by, NEVER)
        return np.maximum(self.rules.beyond_units + np.minimum(self.atp, 0), 0) * ~never

    def reasons(self, beyond: Ints) -> Ints:
        """What decided each number in the end."""
        instead = np.where(
            self.rules.is_assembled, CODE[LimitedBy.ASSEMBLED], CODE[LimitedBy.BACKORDER]
        )
        is_beyond = np.isin(self.limited_by, PLAIN) & (self.sellable == 0) & (beyond > 0)
        return np.where(is_beyond, instead, self.limited_by)
