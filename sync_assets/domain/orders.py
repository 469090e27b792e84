"""Orders as we hold them: the canonical tables, our vocabulary of states, and when they tie.

No shop's or ERP's words are here (mappers translate), and no I/O.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pandas as pd
import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Money, Table

Row = dict[str, Any]


class OrderState(StrEnum):
    """Where the customer's order stands, whatever the shop calls it."""

    DRAFT = "draft"  # a basket, not an order yet
    PENDING_PAYMENT = "pending_payment"
    ON_HOLD = "on_hold"  # placed, money not seen yet (bank transfer, cheque)
    PAID = "paid"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    FAILED = "failed"
    TRASHED = "trashed"


class LineKind(StrEnum):
    """What an order line charges for."""

    PRODUCT = "product"
    SHIPPING = "shipping"
    FEE = "fee"


class Orders(Table):
    """One row per shop order, newest version; amounts in the order's currency."""

    order_ref: str = pa.Field(description="Our key: store and the shop's order id, `us:1042`")
    store: str = pa.Field(description="Our name of the store")
    order_id: str = pa.Field(description="The shop's id")
    order_number: str = pa.Field(description="The number the customer sees")
    state: str = pa.Field(isin=list(OrderState), description="Our state of the order")
    shop_status: str = pa.Field(description="The shop's own word for the state")
    currency: str = pa.Field(str_matches=r"^[A-Z]{3}$", description="ISO 4217 code")
    prices_include_tax: bool = pa.Field(description="Whether the shop's prices are gross")
    placed_at: Instant = pa.Field(description="When the customer placed it")
    paid_at: Instant = pa.Field(nullable=True, description="When the shop saw the money")
    changed_at: Instant = pa.Field(description="When the shop last changed it")
    customer_ref: str = pa.Field(nullable=True, description="Our key of the customer")
    payment_method: str = pa.Field(nullable=True, description="The shop's payment method id")
    payment_ref: str = pa.Field(nullable=True, description="The provider's transaction id")
    created_via: str = pa.Field(nullable=True, description="checkout, rest-api, admin …")
    customer_note: str = pa.Field(nullable=True, description="What the customer wrote")
    net_amount: Money = pa.Field(description="Product lines after discount, without tax")
    shipping_amount: Money = pa.Field(description="Shipping without tax")
    fee_amount: Money = pa.Field(description="Fees without tax, negative ones included")
    tax_amount: Money = pa.Field(description="All tax, as the shop charged it")
    discount_amount: Money = pa.Field(description="Discount given on products, without tax")
    rounding_amount: Money = pa.Field(
        description="Total less its rounded parts, where the shop rounds tax per order"
    )
    total_amount: Money = pa.Field(description="What the customer pays")
    refunded_amount: Money = pa.Field(ge=0, description="Refunded so far, tax included")
    raw_version: int = pa.Field(description="Version in raw.woocommerce__orders it came from")

    class Config(Table.Config):
        unique = ["order_ref"]


class OrderLines(Table):
    """One row per order line; products, shipping and fees alike."""

    line_ref: str = pa.Field(description="Our key: order, kind and the shop's line id")
    order_ref: str = pa.Field(description="The order")
    kind: str = pa.Field(isin=list(LineKind), description="Product, shipping or fee")
    position: int = pa.Field(ge=0, description="Place within the order, from 0")
    sku: str = pa.Field(nullable=True, description="Seller's article code, products only")
    product_id: str = pa.Field(nullable=True, description="The shop's product id")
    variation_id: str = pa.Field(nullable=True, description="The shop's variation id")
    description: str = pa.Field(description="Name at the time of sale")
    quantity: Money = pa.Field(metadata={"unit": "each"}, description="Units, as ordered")
    currency: str = pa.Field(str_matches=r"^[A-Z]{3}$", description="ISO 4217 code")
    subtotal_amount: Money = pa.Field(description="Whole line before discount, without tax")
    net_amount: Money = pa.Field(description="Whole line after discount, without tax")
    tax_amount: Money = pa.Field(description="Tax of the whole line")
    tax_class: str = pa.Field(nullable=True, description="The shop's tax class")

    class Config(Table.Config):
        unique = ["line_ref"]


class OrderTaxes(Table):
    """One row per order line and tax rate."""

    line_ref: str = pa.Field(description="The line")
    order_ref: str = pa.Field(description="The order")
    rate_id: str = pa.Field(description="The shop's id of the rate")
    rate_code: str = pa.Field(description="The shop's code of the rate; mapped per store")
    label: str = pa.Field(description="Name of the tax as the customer saw it")
    percent: Money = pa.Field(nullable=True, description="Rate in percent, if the shop said it")
    is_compound: bool = pa.Field(description="Whether it taxes other taxes too")
    currency: str = pa.Field(str_matches=r"^[A-Z]{3}$", description="ISO 4217 code")
    tax_amount: Money = pa.Field(description="Tax of this rate on this line")

    class Config(Table.Config):
        unique = ["line_ref", "rate_id"]


class OrderDiscounts(Table):
    """One row per order and coupon; already contained in the lines."""

    order_ref: str = pa.Field(description="The order")
    coupon_ref: str = pa.Field(description="Our key: order and the shop's coupon line id")
    code: str = pa.Field(description="What the customer typed")
    currency: str = pa.Field(str_matches=r"^[A-Z]{3}$", description="ISO 4217 code")
    discount_amount: Money = pa.Field(description="Discount without tax")
    discount_tax_amount: Money = pa.Field(description="Tax saved by it")

    class Config(Table.Config):
        unique = ["coupon_ref"]


class OrderRefunds(Table):
    """One row per refund attached to an order."""

    refund_ref: str = pa.Field(description="Our key: store and the shop's refund id")
    order_ref: str = pa.Field(description="The order")
    currency: str = pa.Field(str_matches=r"^[A-Z]{3}$", description="ISO 4217 code")
    refunded_amount: Money = pa.Field(ge=0, description="Refunded, tax included")
    reason: str = pa.Field(nullable=True, description="What the shop wrote")

    class Config(Table.Config):
        unique = ["refund_ref"]


class OrderAddresses(Table):
    """One row per order and role: where the bill and the parcel go. Personal data."""

    order_ref: str = pa.Field(description="The order")
    role: str = pa.Field(isin=["billing", "shipping"], description="billing or shipping")
    first_name: str = pa.Field(description="Given name")
    last_name: str = pa.Field(description="Family name")
    company: str = pa.Field(description="Company, often empty")
    street: str = pa.Field(description="First address line")
    street2: str = pa.Field(description="Second address line")
    city: str = pa.Field(description="City")
    region: str = pa.Field(description="State or province, the shop's code")
    postcode: str = pa.Field(description="Postal code")
    country: str = pa.Field(description="ISO 3166 alpha-2 code")
    email: str = pa.Field(description="E-mail, billing only")
    phone: str = pa.Field(description="Telephone")

    class Config(Table.Config):
        unique = ["order_ref", "role"]


class OrderNotes(Table):
    """One row per note on an order. Customer notes may hold personal data."""

    note_ref: str = pa.Field(description="Our key: order and the shop's note id")
    order_ref: str = pa.Field(description="The order")
    noted_at: Instant = pa.Field(description="When it was written")
    author: str = pa.Field(description="Who wrote it, as the shop says")
    is_for_customer: bool = pa.Field(description="Whether the customer was told")
    note: str = pa.Field(description="Its text")

    class Config(Table.Config):
        unique = ["note_ref"]


class Customers(Table):
    """One row per account, and one per guest e-mail address and store. Personal data."""

    customer_ref: str = pa.Field(description="`us:customer:5` or `us:guest:` and a digest")
    store: str = pa.Field(description="Our name of the store")
    is_guest: bool = pa.Field(description="Bought without an account")
    email: str = pa.Field(description="E-mail address, lower case")
    first_name: str = pa.Field(description="Given name")
    last_name: str = pa.Field(description="Family name")
    company: str = pa.Field(description="Company, often empty")
    phone: str = pa.Field(description="Telephone")
    country: str = pa.Field(description="ISO 3166 alpha-2 code of the billing address")
    changed_at: Instant = pa.Field(nullable=True, description="When the shop last changed it")

    class Config(Table.Config):
        unique = ["customer_ref"]


@dataclass(frozen=True)
class Problem:
    """One reason why a thing cannot go on."""

    code: str  # "order.total_untied"
    part: str  # "total", "line_items[2].sku"
    message: str  # a sentence for a person, without personal data


class Rejected(Exception):
    """A payload that does not become rows; it is set aside with its reasons."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.part}: {p.message}" for p in problems))
        self.problems = problems


def order_ref(store: str, order_id: str | int) -> str:
    """Our key of a shop's order."""
    return f"{store}:{order_id}"


def untied(
    order: Row, lines: list[Row], taxes: list[Row], refunds: list[Row], unit: Decimal
) -> list[Problem]:
    """Say which parts of an order do not add up; `unit` is the currency's smallest unit.

    The shop may round tax once per order, so the lines' tax may miss the order's by up to half a
    unit for each line and rate; `rounding_amount` takes what the total misses of its parts.
    """
    slack = unit * (len(lines) + len(taxes)) / 2
    problems = [
        problem
        for kind, field in (
            (LineKind.PRODUCT, "net_amount"),
            (LineKind.SHIPPING, "shipping_amount"),
            (LineKind.FEE, "fee_amount"),
        )
        if (problem := _part_untied(order, lines, kind, field))
    ]
    line_tax = sum((line["tax_amount"] for line in lines), Decimal())
    if abs(line_tax - order["tax_amount"]) > slack:
        problems.append(_off("tax", "line taxes", line_tax, order["tax_amount"]))
    problems += _taxes_untied(lines, taxes, unit)
    parts = sum(
        (order[f] for f in ("net_amount", "shipping_amount", "fee_amount", "tax_amount")),
        Decimal(),
    )
    if parts + order["rounding_amount"] != order["total_amount"]:
        problems.append(
            _off("total", "parts", parts + order["rounding_amount"], order["total_amount"])
        )
    if abs(order["rounding_amount"]) > slack:
        problems.append(_off("rounding", "rounding", order["rounding_amount"], slack))
    refunded = sum((refund["refunded_amount"] for refund in refunds), Decimal())
    if refunded != order["refunded_amount"]:
        problems.append(_off("refunds", "refunds", refunded, order["refunded_amount"]))
    if refunded > max(order["total_amount"], Decimal()):
        problems.append(_off("refunds", "refunds above total", refunded, order["total_amount"]))
    return problems


def _part_untied(order: Row, lines: list[Row], kind: LineKind, field: str) -> Problem | None:
    found = sum((line["net_amount"] for line in lines if line["kind"] == kind), Decimal())
    return None if found == order[field] else _off(kind, f"{kind} lines", found, order[field])


def _taxes_untied(lines: list[Row], taxes: list[Row], unit: Decimal) -> list[Problem]:
    """Compare per line: over the whole order, two lines' faults may cancel out."""
    told = {line["line_ref"]: line["tax_amount"] for line in lines}
    found: dict[str, list[Decimal]] = {ref: [] for ref in told}
    for tax in taxes:
        found.setdefault(tax["line_ref"], []).append(tax["tax_amount"])
    return [
        _off("taxes", f"taxes by rate of {ref}", sum(rates, Decimal()), told.get(ref, Decimal()))
        for ref, rates in found.items()
        if ref not in told or abs(sum(rates, Decimal()) - told[ref]) > unit * (1 + len(rates)) / 2
    ]


def _off(part: str, what: str, found: Decimal, told: Decimal) -> Problem:
    message = f"{what} come to {found}, the order says {told}"
    return Problem("order.total_untied", part, message)


CORE_TABLES: dict[str, type[Table]] = {
    "orders": Orders,
    "order_lines": OrderLines,
    "order_taxes": OrderTaxes,
    "order_discounts": OrderDiscounts,
    "order_refunds": OrderRefunds,
    "order_addresses": OrderAddresses,
}


def frame_of(table: type[Table], rows: list[Row]) -> pd.DataFrame:
    """Rows as a frame of the table's columns and exact types."""
    return table.frame(rows)
