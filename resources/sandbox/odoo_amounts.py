"""What the Odoo stand-in makes of a price, a quantity and taxes: exact sums, rounded per line as
the server does with its default setting (round per line).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from resources.sandbox.odoo_orm import ZERO, rounded

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class TaxRule:
    """What the sums need to know of one tax, in percent."""

    percent: Decimal
    included: bool
    raises_next: bool  # include_base_amount: later taxes are taken on top of it
    is_raised: bool  # is_base_affected


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """Sums of one line in its currency."""

    subtotal: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        """What the customer pays for the line."""
        return self.subtotal + self.tax


def line_amounts(
    price: Decimal, quantity: Decimal, discount: Decimal, taxes: Sequence[TaxRule], unit: Decimal
) -> LineAmounts:
    """Sums of a line; `unit` is the smallest unit of the currency."""
    net = price if not discount else price * (1 - discount / HUNDRED)
    base = rounded(net * quantity, unit)
    if not taxes:
        return LineAmounts(base, ZERO)
    amounts = _tax_amounts(base, taxes, unit)
    within = sum((a for a, tax in zip(amounts, taxes, strict=True) if tax.included), ZERO)
    return LineAmounts(base - within, sum(amounts, ZERO))


def _tax_amounts(base: Decimal, taxes: Sequence[TaxRule], unit: Decimal) -> list[Decimal]:
    """Each tax's amount: the included ones from the last to the first, then the others."""
    batches = _batches(taxes)
    extra = [ZERO] * len(taxes)
    amounts: list[Decimal | None] = [None] * len(taxes)
    included = [i for i in reversed(range(len(taxes))) if taxes[i].included]
    added = [i for i in range(len(taxes)) if not taxes[i].included]
    for i in included + added:
        amount = rounded(_one(base + extra[i], i, taxes, batches[i]), unit)
        amounts[i] = amount
        for j, sign in _others(i, taxes, batches[i]):
            if amounts[j] is None:
                extra[j] += sign * amount
    return [amount or ZERO for amount in amounts]


def _one(base: Decimal, i: int, taxes: Sequence[TaxRule], batch: range) -> Decimal:
    tax = taxes[i]
    if not tax.included:
        return base * tax.percent / HUNDRED
    whole = HUNDRED + sum((taxes[j].percent for j in batch), ZERO)
    return base * tax.percent / whole


def _batches(taxes: Sequence[TaxRule]) -> list[range]:
    """Neighbouring taxes that share one base, by tax."""
    batches: list[range] = []
    first = 0
    for i in range(1, len(taxes) + 1):
        if i == len(taxes) or not _same_batch(taxes[i - 1], taxes[i]):
            batches += [range(first, i)] * (i - first)
            first = i
    return batches


def _same_batch(tax: TaxRule, after: TaxRule) -> bool:
    alike = tax.included == after.included and tax.raises_next == after.raises_next
    return alike and not (tax.raises_next and after.is_raised)


def _others(i: int, taxes: Sequence[TaxRule], batch: range) -> list[tuple[int, int]]:
    """Taxes outside the batch whose base this tax's amount changes, with the sign."""
    tax = taxes[i]
    later = range(batch.stop, len(taxes))
    if not tax.included:
        return [(j, 1) for j in later if tax.raises_next and taxes[j].is_raised]
    kept = [(j, -1) for j in later if not (tax.raises_next and taxes[j].is_raised)]
    return kept + [(j, -1) for j in range(batch.start)]
