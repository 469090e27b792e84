"""What a customer ordered, before any shop took it: plain records that the loaders of real baskets
make and `world` places, and the three invented stores they are placed in.

Amounts are as the store shows its prices: without tax in `us`, with tax in `uk` and `eu`.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from resources.sandbox.people import Person

CENT = Decimal("0.01")


class Defect(StrEnum):
    """What was planted in an order so that a hold shows."""

    UNKNOWN_SKU = "unknown_sku"  # the ERP has no such item
    NO_SKU = "no_sku"  # the shop's product is gone or never had one
    UNMAPPED_TAX = "unmapped_tax"  # a tax rate nobody mapped
    UNSUPPORTED_CURRENCY = "unsupported_currency"


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A tax rate of a shop: its code, its percent and the name customers see."""

    code: str
    percent: Decimal
    label: str

    @property
    def factor(self) -> Decimal:
        """The rate as a part of one."""
        return self.percent / 100


@dataclass(frozen=True, slots=True)
class Store:
    """One invented store and the books it belongs to."""

    name: str
    currency: str
    timezone: str
    country: str
    region: str
    prices_include_tax: bool
    tax: TaxRate
    stray_tax: TaxRate  # charged on planted orders, mapped by nobody
    company: str
    warehouse: str
    erp_tax: str


STORES = {
    store.name: store
    for store in (
        Store(
            "us",
            "USD",
            "America/New_York",
            "US",
            "CA",
            prices_include_tax=False,
            tax=TaxRate("US-CA-SALES-1", Decimal("7.25"), "Sales tax"),
            stray_tax=TaxRate("US-CA-DISTRICT-1", Decimal("9.5"), "District tax"),
            company="Acme US Inc",
            warehouse="US1",
            erp_tax="US Sales Tax 7.25%",
        ),
        Store(
            "uk",
            "GBP",
            "Europe/London",
            "GB",
            "",
            prices_include_tax=True,
            tax=TaxRate("GB-VAT-1", Decimal("20"), "VAT"),
            stray_tax=TaxRate("GB-REDUCED-1", Decimal("5"), "Reduced VAT"),
            company="Acme UK Ltd",
            warehouse="UK1",
            erp_tax="UK VAT 20%",
        ),
        Store(
            "eu",
            "EUR",
            "Europe/Berlin",
            "DE",
            "",
            prices_include_tax=True,
            tax=TaxRate("DE-VAT-1", Decimal("19"), "MwSt."),
            stray_tax=TaxRate("DE-REDUCED-1", Decimal("7"), "MwSt. ermäßigt"),
            company="Acme Europe GmbH",
            warehouse="EU1",
            erp_tax="DE VAT 19%",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Line:
    """One product line; `subtotal` before discount, `total` after, both for the whole line."""

    sku: str | None
    name: str
    quantity: int
    subtotal: Decimal
    total: Decimal
    planted: Defect | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """Shipping or a fee; a negative fee is a discount the shop gave as one."""

    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Coupon:
    """What a coupon took off the lines, already contained in their totals."""

    code: str
    discount: Decimal


@dataclass(frozen=True, slots=True)
class RefundPart:
    """What is given back of one line, or of a charge where `line` is None."""

    line: int | None
    quantity: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund of an order."""

    refunded_at: datetime
    reason: str
    parts: tuple[RefundPart, ...]


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """One order to be placed; `source` names the record it was made from."""

    source: str
    store: str
    placed_at: datetime
    customer: int | None  # None is a guest
    person: Person
    currency: str
    tax: TaxRate
    status: str  # the shop's word
    lines: tuple[Line, ...]
    shipping: tuple[Charge, ...] = ()
    fees: tuple[Charge, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    refunds: tuple[Refund, ...] = ()
    defects: tuple[Defect, ...] = ()  # one entry per planted place

    @property
    def goods(self) -> Decimal:
        """Product lines after discount, as the store shows prices."""
        return sum((line.total for line in self.lines), Decimal())

    @property
    def charged(self) -> Decimal:
        """Lines, shipping and fees, as the store shows prices."""
        extras = (charge.amount for charge in (*self.shipping, *self.fees))
        return sum(extras, self.goods)


def cents(amount: Decimal) -> Decimal:
    """Round to whole cents, half away from zero as people do."""
    return amount.quantize(CENT, ROUND_HALF_UP)
