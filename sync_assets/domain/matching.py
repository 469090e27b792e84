"""Which order line a shipped unit belongs to, from whatever its warehouse said. Pure.

A warehouse that keeps our line key names the line; others name a SKU. Units of a SKU go to the
lines of the order that carry it, in their order, as far as each still lacks; what is over goes to
the last one, so that nothing is lost and the excess shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING

from sync_assets.domain.fulfilling import SoldLine


@dataclass(frozen=True)
class Told:
    """Units of a SKU as a warehouse told them."""

    sku: str
    units: int
    line_key: str | None = None


@dataclass(frozen=True)
class Matched:
    """Units that belong to an order line; none: no line of the order carries the SKU."""

    line_ref: str | None
    sku: str
    units: int


def match(
    told: Sequence[Told], lines: Sequence[SoldLine], moved: Mapping[tuple[str, str], int]
) -> list[list[Matched]]:
    """The order lines of each told line; `moved` is what left before, by line and SKU, folded."""
    gone = dict(moved)
    return [_match(one, lines, gone) for one in told]


def _match(
    told: Told, lines: Sequence[SoldLine], gone: dict[tuple[str, str], int]
) -> list[Matched]:
    sku = told.sku.casefold()
    named = [line for line in lines if line.line_ref == told.line_key]
    able = named or [line for line in lines if _needs(line, sku) > 0]
    if not able:
        return [Matched(None, told.sku, told.units)]
    found, left = list[Matched](), told.units
    for line in able:
        lacks = _needs(line, sku) - gone.get((line.line_ref, sku), 0)
        units = left if line is able[-1] else min(left, max(lacks, 0))
        if units > 0 or (line is able[-1] and not found):
            found.append(Matched(line.line_ref, told.sku, units))
            gone[line.line_ref, sku] = gone.get((line.line_ref, sku), 0) + units
            left -= units
    return found


def _needs(line: SoldLine, sku: str) -> int:
    """How many pieces of a SKU a line takes in all: its own, or of a component of its kit."""
    if line.sku.casefold() == sku:
        return line.units
    each = next((n for part, n in line.parts.items() if part.casefold() == sku), None)
    return 0 if each is None else int((each * line.units).to_integral_value(ROUND_CEILING))
