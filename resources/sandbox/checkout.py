"""A `ShopOrder` at the checkout of a store: its amounts without tax, their tax, and the words in
which the stand-in shop takes an order and a refund.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_DOWN, Decimal
from typing import Any

from resources.sandbox.people import Person
from resources.sandbox.shop_order import (
    CENT,
    Charge,
    Line,
    Refund,
    ShopOrder,
    Store,
    TaxRate,
    cents,
)

Doc = dict[str, Any]

#: How orders of each store are paid; it is also what their refunds go back by.
PAID = {"us": ("stripe", "Card"), "uk": ("paypal", "PayPal"), "eu": ("adyen", "Card")}
#: How an order is paid that is not paid yet.
UNPAID = {"on-hold": ("bacs", "Bank transfer"), "pending": ("", ""), "failed": ("", "")}


@dataclass(frozen=True, slots=True)
class Amount:
    """Money as a shop shows it: without tax, and its tax."""

    net: Decimal = Decimal()
    tax: Decimal = Decimal()

    @property
    def gross(self) -> Decimal:
        """What the customer pays."""
        return self.net + self.tax

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.net + other.net, self.tax + other.tax)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.net - other.net, self.tax - other.tax)


class Checkout:
    """Writes orders in the words of one store; `rates` are the shop's tax rate ids by code."""

    def __init__(self, store: Store, rates: Mapping[str, int]) -> None:
        self.store, self.rates = store, rates
        self._spelling: dict[str, str] = {}

    def amount(self, shown: Decimal, tax: TaxRate) -> Amount:
        """Tell net and tax of an amount as the store shows its prices."""
        if not self.store.prices_include_tax:
            return Amount(shown, cents(shown * tax.factor))
        # The tax's halves round down where prices are gross, so that both come to the price.
        inside = shown - shown / (1 + tax.factor)
        rounded = inside.quantize(CENT, ROUND_HALF_DOWN)
        return Amount(shown - rounded, rounded)

    def total(self, order: ShopOrder) -> Decimal:
        """What the customer pays, tax rounded line by line."""
        shown = [line.total for line in order.lines]
        shown += [charge.amount for charge in (*order.shipping, *order.fees)]
        return sum((self.amount(amount, order.tax).gross for amount in shown), Decimal())

    def sku(self, line: Line) -> str | None:
        """The line's SKU as the shop spelled it first: it takes `85a` and `85A` for one."""
        return self._spelling.setdefault(line.sku.lower(), line.sku) if line.sku else None

    def order(self, order: ShopOrder, customer: int) -> Doc:
        """Write the order for `place`; its tax is said line by line."""
        billing, paid = address(order.person), PAID[self.store.name]
        method, title = UNPAID.get(order.status, paid)
        return {
            "status": order.status,
            "currency": order.currency,
            "placed_at": order.placed_at,
            "customer_id": customer,
            "billing": billing,
            "shipping": billing,
            "payment_method": method,
            "payment_method_title": title,
            "transaction_id": order.source.replace(":", "-") if method == paid[0] else "",
            "line_items": [self._line(line, order.tax) for line in order.lines],
            "shipping_lines": [
                {"method_title": charge.name, **self._charge(charge, order.tax)}
                for charge in order.shipping
            ],
            "fee_lines": [
                {"name": charge.name, **self._charge(charge, order.tax)} for charge in order.fees
            ],
            "coupon_lines": self._coupons(order),
        }

    def refund(self, refund: Refund, tax: TaxRate, line_ids: list[int]) -> tuple[Decimal, Doc]:
        """Tell the money given back, and write it for `refund`.

        A charge is given back as money without a line.
        """
        parts = [(part, self.amount(part.amount, tax)) for part in refund.parts]
        lines = [
            {
                "id": line_ids[part.line],
                "quantity": part.quantity,
                "refund_total": amount.net,
                "refund_tax": [{"id": self.rates[tax.code], "refund_total": amount.tax}],
            }
            for part, amount in parts
            if part.line is not None
        ]
        total = sum((amount.gross for _, amount in parts), Decimal())
        told = {"amount": total, "reason": refund.reason, "at": refund.refunded_at, "lines": lines}
        return total, told

    def _line(self, line: Line, tax: TaxRate) -> Doc:
        before, after = self.amount(line.subtotal, tax), self.amount(line.total, tax)
        return {
            "sku": self.sku(line),
            "name": line.name,
            "quantity": line.quantity,
            "subtotal": before.net,
            "total": after.net,
            "taxes": [{"id": self.rates[tax.code], "total": after.tax, "subtotal": before.tax}],
        }

    def _charge(self, charge: Charge, tax: TaxRate) -> Doc:
        amount = self.amount(charge.amount, tax)
        return {"total": amount.net, "taxes": [{"id": self.rates[tax.code], "total": amount.tax}]}

    def _coupons(self, order: ShopOrder) -> list[Doc]:
        """Coupons without tax; the last takes what rounding leaves of the lines' discount."""
        if not order.coupons:
            return []
        parts = [self.amount(coupon.discount, order.tax) for coupon in order.coupons[:-1]]
        parts.append(self._discount(order) - sum(parts, Amount()))
        return [
            {
                "code": coupon.code,
                "discount": part.net,
                "discount_tax": part.tax,
                "discount_type": "fixed_cart",
                "nominal_amount": coupon.discount,
            }
            for coupon, part in zip(order.coupons, parts, strict=True)
        ]

    def _discount(self, order: ShopOrder) -> Amount:
        tax = order.tax
        given = (
            self.amount(line.subtotal, tax) - self.amount(line.total, tax) for line in order.lines
        )
        return sum(given, Amount())


def address(person: Person) -> Doc:
    """Write a person's address as the shop has it."""
    return {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "company": person.company,
        "address_1": person.street,
        "address_2": person.street2,
        "city": person.city,
        "state": person.region,
        "postcode": person.postcode,
        "country": person.country,
        "email": person.email,
        "phone": person.phone,
    }
