"""What a store shows against what we worked out: judging a whole comparison, without any I/O.

A difference that is on its way is no drift: a number planned or being sent, or a sale whose order
is not counted yet. What is left is put right by itself up to a cap; beyond it something larger is
wrong, and writing a thousand numbers would hide it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sync_assets.domain.policy import Guards

#: A share of a handful says nothing: so many differences may always be healed.
ALWAYS = 10


class Kind(StrEnum):
    """How a listing disagrees."""

    #: We hold a listing with a number that the shop does not show.
    MISSING = "missing"
    #: The shop counts stock of something that we have no number for; it is told, not touched.
    EXTRA = "extra"
    DIFFERENT = "different"


class Treatment(StrEnum):
    """What becomes of a difference."""

    HEALED = "healed"
    RAISED = "raised"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Difference:
    """One listing that disagrees."""

    kind: Kind
    product_id: int
    sku: str | None
    wanted_units: int | None
    seen_units: int | None
    #: What one piece costs in the shop; nothing where it has no price.
    price: Decimal | None = None

    @property
    def off_units(self) -> int:
        """How many pieces the two differ by; what is below zero is not there either way."""
        if self.kind == Kind.EXTRA:
            return 0
        return abs(max(self.wanted_units or 0, 0) - max(self.seen_units or 0, 0))

    @property
    def exposed_amount(self) -> Decimal | None:
        """What the pieces are worth."""
        return None if self.price is None else self.price * self.off_units


@dataclass(frozen=True)
class Verdict:
    """What is done about the differences of one store."""

    differences: Sequence[Difference]
    compared: int
    most: int
    is_released: bool = False

    def count(self, kind: Kind) -> int:
        """How many differences of a kind there are."""
        return sum(one.kind == kind for one in self.differences)

    @property
    def wrong(self) -> int:
        """How many listings are to be put right."""
        return self.count(Kind.MISSING) + self.count(Kind.DIFFERENT)

    @property
    def heals(self) -> bool:
        """Whether they are put right without asking."""
        return self.is_released or self.wrong <= self.most

    def treatment(self, one: Difference) -> Treatment:
        """What becomes of one difference."""
        if one.kind == Kind.EXTRA:
            return Treatment.IGNORED
        return Treatment.HEALED if self.heals else Treatment.RAISED

    @property
    def off_units(self) -> int:
        """Pieces shown wrongly in all."""
        return sum(one.off_units for one in self.differences)

    @property
    def exposed_amount(self) -> Decimal:
        """What those pieces are worth in all, as far as prices are known."""
        return sum((one.exposed_amount or Decimal() for one in self.differences), Decimal())


def judge(
    differences: Sequence[Difference], compared: int, guards: Guards, *, is_released: bool = False
) -> Verdict:
    """Decide whether the differences of a store are healed or raised."""
    share = int(guards.heal_share * compared)
    most = min(guards.heal_most, max(ALWAYS, share))
    return Verdict(tuple(differences), compared, most, is_released)
