"""The tax rates of a WooCommerce stand-in and the tax of one order line.

Which lines there are, and how they add up, is the till's business (`woocommerce_till.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

HUNDRED = Decimal(100)


@dataclass(frozen=True)
class Rate:
    """One tax rate; without country and state it applies everywhere."""

    id: int
    code: str
    percent: Decimal
    label: str
    compound: bool = False
    country: str = ""
    state: str = ""

    def applies(self, country: str, state: str) -> bool:
        """Whether goods going there are taxed by it."""
        return self.country in ("", country) and self.state in ("", state)


@dataclass(frozen=True)
class Tax:
    """Tax of one rate on one line, exact: after and before discount."""

    rate_id: int
    total: Decimal
    subtotal: Decimal


@dataclass(frozen=True)
class Rounding:
    """How the shop writes amounts, and where it rounds tax."""

    decimals: int = 2
    at_subtotal: bool = False
    gross: bool = False

    def money(self, amount: Decimal) -> Decimal:
        """The amount with the shop's decimals; the shop rounds halves up."""
        return amount.quantize(Decimal(1).scaleb(-self.decimals), ROUND_HALF_UP)

    def text(self, amount: Decimal) -> str:
        """The amount as the store writes it."""
        return str(self.money(amount))

    def tax(self, amount: Decimal) -> Decimal:
        """Tax of one line as it is added up: rounded, unless the shop rounds at the subtotal."""
        return amount if self.at_subtotal else self.tax_money(amount)

    def tax_money(self, amount: Decimal) -> Decimal:
        """Tax with the shop's decimals; shops with gross prices round halves down."""
        half = ROUND_HALF_DOWN if self.gross else ROUND_HALF_UP
        return amount.quantize(Decimal(1).scaleb(-self.decimals), half)


def exact(amount: Any) -> Decimal:
    """An amount from a caller or a document; blank is nothing."""
    return Decimal(str(amount)) if amount not in (None, "") else Decimal()


def computed(rates: Sequence[Rate], total: Decimal, subtotal: Decimal) -> list[Tax]:
    """Tax the line by each rate, unrounded; compound rates tax the others too."""
    return [
        Tax(rate.id, _share(rate, rates, total), _share(rate, rates, subtotal)) for rate in rates
    ]


def told(
    given: Iterable[Mapping[str, Any]],
    rates: Mapping[int, Rate],
    total: Decimal,
    subtotal: Decimal,
) -> list[Tax]:
    """Take the caller's tax; tax before discount follows from the rate where he leaves it out."""
    taxes = []
    for tax in given:
        rate_id, after = int(tax["id"]), exact(tax["total"])
        before = after
        if tax.get("subtotal") not in (None, ""):
            before = exact(tax["subtotal"])
        elif subtotal != total:
            before = subtotal * rates[rate_id].percent / HUNDRED
        taxes.append(Tax(rate_id, after, before))
    return taxes


def net(gross: Decimal, rates: Sequence[Rate]) -> Decimal:
    """What is left of a gross price without its tax, to the six decimals the shop stores."""
    percent = sum((rate.percent for rate in rates), Decimal())
    return (gross * HUNDRED / (HUNDRED + percent)).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def _share(rate: Rate, rates: Sequence[Rate], amount: Decimal) -> Decimal:
    if rate.compound:
        amount += sum((_share(r, rates, amount) for r in rates if not r.compound), Decimal())
    return amount * rate.percent / HUNDRED
