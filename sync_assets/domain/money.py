"""Exact arithmetic of money: rounding, the digits of a currency, shares and unit prices that tie.

The only place where an amount is rounded. Decimals in, decimals out; a float has no business here.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

#: ISO 4217 currencies whose smallest unit is not a hundredth, by their digits.
_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DIGITS = {code: digits for digits, codes in _CODES.items() for code in codes.split()}

#: A quantity and the price of one unit.
Piece = tuple[Decimal, Decimal]


def rounded(amount: Decimal, digits: int) -> Decimal:
    """Round half away from zero, as shops, ERPs and tax offices do."""
    return amount.quantize(_step(digits), ROUND_HALF_UP)


def digits_of(currency: str) -> int:
    """Return how many digits stand behind the point of an ISO 4217 currency."""
    return DIGITS.get(currency, 2)


def shares(total: Decimal, weights: Sequence[Decimal], digits: int) -> list[Decimal]:
    """Split `total` by `weights` so that the shares sum to it exactly.

    Largest remainder, the earlier one on a tie; weights that are all zero count as equal.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError("a share cannot have a negative weight")
    units = _units(abs(total), digits)
    if not weights:
        if units:
            raise ValueError(f"nobody is there to take a share of {total}")
        return []
    parts = _apportioned(units, [Fraction(weight) for weight in weights])
    sign = -1 if total < 0 else 1
    return [_step(digits) * sign * part for part in parts]


def _apportioned(units: int, weights: list[Fraction]) -> list[int]:
    whole = sum(weights)
    if not whole:
        weights, whole = [Fraction(1)] * len(weights), Fraction(len(weights))
    exact = [units * weight / whole for weight in weights]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda place: parts[place] - exact[place])
    for place in by_remainder[: units - sum(parts)]:
        parts[place] += 1
    return parts


def priced(net: Decimal, quantity: Decimal, price_digits: int, digits: int) -> list[Piece]:
    """Return as few pieces (quantity, unit price) as possible that come to `net` exactly.

    A piece comes to `rounded(quantity * price, digits)`. Whole quantities stay whole and sum to
    `quantity`: 3 for 10.00 become 2 at 3.33 and 1 at 3.34. Where no price ties a fractional
    quantity, or the quantity is zero, the answer is one unit at `net`; the caller must then say
    the real quantity in words. A `net` finer than `digits` or `price_digits` has no answer and
    is a ValueError.
    """
    _units(net, digits)
    if not net:
        return [(quantity, Decimal())]
    price = _single_price(net, quantity, price_digits, digits)
    if price is not None:
        return [(quantity, price)]
    coarser = min(price_digits, digits)
    _units(net, coarser)
    if not quantity or quantity != quantity.to_integral_value():
        return [(Decimal(1), net)]
    return _two_pieces(net, quantity, coarser)


def _single_price(
    net: Decimal, quantity: Decimal, price_digits: int, digits: int
) -> Decimal | None:
    """The price that ties by itself; only the two next to the exact one can."""
    if not quantity:
        return None
    step = _step(price_digits)
    floor = Fraction(net) / Fraction(quantity) / Fraction(step) // 1
    for price in (step * floor, step * (floor + 1)):
        if rounded(quantity * price, digits) == net:
            return price
    return None


def _two_pieces(net: Decimal, quantity: Decimal, digits: int) -> list[Piece]:
    """Some units at one price and the rest a step above; exact, so nothing is rounded."""
    count, side = int(abs(quantity)), 1 if quantity > 0 else -1
    sign = side if net > 0 else -side
    low, above = divmod(_units(abs(net), digits), count)
    step = _step(digits) * sign
    return [
        (Decimal(side * (count - above)), step * low),
        (Decimal(side * above), step * (low + 1)),
    ]


def _units(amount: Decimal, digits: int) -> int:
    units = Fraction(amount) * 10**digits
    if units.denominator != 1:
        raise ValueError(f"{amount} has more than {digits} digits behind the point")
    return int(units)


def _step(digits: int) -> Decimal:
    return Decimal(1).scaleb(-digits)
