"""How much of an order may go back: the share of some units, to the cent, and what is left.

Shares of one line sum to the line whatever the order in which its units come back, because each is
the difference of two running totals. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sync_assets.domain.money import rounded

ZERO = Decimal()


@dataclass(frozen=True)
class Sold:
    """One line of an order, as far as money and units go."""

    line_ref: str
    kind: str  # product, shipping, fee
    sku: str | None
    quantity: Decimal
    net_amount: Decimal
    #: Tax by the shop's id of the rate.
    taxes: Mapping[str, Decimal] = field(default_factory=dict)
    shipped_units: int = 0


@dataclass(frozen=True)
class Share:
    """What of one order line goes back."""

    line_ref: str | None
    kind: str
    sku: str | None
    units: int
    net_amount: Decimal
    taxes: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def tax_amount(self) -> Decimal:
        """Its tax over all rates."""
        return sum(self.taxes.values(), ZERO)

    @property
    def amount(self) -> Decimal:
        """What the customer gets for it."""
        return self.net_amount + self.tax_amount


def share(line: Sold, before: int, units: int, digits: int) -> Share:
    """The share of `units` of a line of which `before` went back; the last takes the rest."""

    def of(total: Decimal) -> Decimal:
        return _until(line, total, before + units, digits) - _until(line, total, before, digits)

    taxes = {rate: part for rate, total in line.taxes.items() if (part := of(total))}
    return Share(line.line_ref, line.kind, line.sku, units, of(line.net_amount), taxes)


def _until(line: Sold, total: Decimal, units: int, digits: int) -> Decimal:
    """What the first `units` of a line come to."""
    if units >= line.quantity:
        return total
    return rounded(total * units / line.quantity, digits)


def whole(line: Sold) -> Share:
    """All of a line, as shipping goes back."""
    taxes = {rate: amount for rate, amount in line.taxes.items() if amount}
    return Share(line.line_ref, line.kind, line.sku, 0, line.net_amount, taxes)


def less_fee(one: Share, percent: Decimal, digits: int) -> Share:
    """A share with a part kept, of the goods and of their tax alike."""
    keeps = (100 - percent) / 100
    taxes = {rate: rounded(amount * keeps, digits) for rate, amount in one.taxes.items()}
    return replace(one, net_amount=rounded(one.net_amount * keeps, digits), taxes=taxes)


def total(parts: Iterable[Share]) -> Decimal:
    """What some shares come to."""
    return sum((one.amount for one in parts), ZERO)


def fitted(parts: Sequence[Share], left: Decimal, digits: int) -> list[Share]:
    """The shares, less what rounding puts them above what is left: a cent a figure at the most.

    A shop that rounds tax once per order charged less than its lines come to. More than that is no
    rounding, and stays to be refused.
    """
    over = total(parts) - left
    figures = sum(1 + len(one.taxes) for one in parts)
    if not parts or over <= 0 or over > figures * Decimal(1).scaleb(-digits):
        return list(parts)
    place = max(range(len(parts)), key=lambda at: parts[at].net_amount)
    fitting = replace(parts[place], net_amount=parts[place].net_amount - over)
    return [*parts[:place], fitting, *parts[place + 1 :]]


def left_of(paid: Decimal, refunds: Iterable[Decimal]) -> Decimal:
    """What may still go back of what was paid."""
    return paid - sum(refunds, ZERO)
