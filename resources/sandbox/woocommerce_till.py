"""Rings up orders for a WooCommerce stand-in: lines, taxes, totals and the JSON of an order.

Amounts go in exact and come out as the store writes them. Statuses and stores of orders are not
here.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from resources.sandbox.woocommerce_tax import Rate, Rounding, Tax, computed, exact, net, told

Doc = dict[str, Any]
Given = Mapping[str, Any]

VERSION = "11.0.1"
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "$", "AUD": "$", "INR": "₹"}
ADDRESS = (
    *("first_name", "last_name", "company", "address_1", "address_2", "city", "state"),
    *("postcode", "country", "email", "phone"),
)
ALLOW = ["GET", "POST", "PUT", "PATCH", "DELETE"]
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Charge:
    """What one line adds to its order, exact."""

    kind: str  # line_items, shipping_lines, fee_lines
    total: Decimal
    subtotal: Decimal
    taxes: tuple[Tax, ...]


class Till:
    """Writes the lines and totals of one store's orders."""

    def __init__(
        self,
        zone: ZoneInfo,
        rounding: Rounding,
        rates: Mapping[int, Rate],
        base: tuple[str, str],
        product_of: Callable[[Given], Doc | None],
    ) -> None:
        self.base = base
        self.zone, self.rounding, self.rates = zone, rounding, rates
        self.product_of = product_of
        self._items = self._metas = 0

    def ring_up(self, order: Doc, given: Given, there: tuple[str, str]) -> None:
        """Write all lines and totals of a new order going to a country and state."""
        rates = [rate for rate in self.rates.values() if rate.applies(*there)]
        charges = [self.goods(order, line, rates) for line in given.get("line_items", ())]
        charges += [self.shipping(order, line, rates) for line in given.get("shipping_lines", ())]
        charges += [self.fee(order, line, rates) for line in given.get("fee_lines", ())]
        self.total(order, charges)
        coupons = list(given.get("coupon_lines", ()))
        order["coupon_lines"] = [self._coupon(order, line, len(coupons)) for line in coupons]

    def goods(self, order: Doc, given: Given, rates: Sequence[Rate]) -> Charge:
        """Append a product line."""
        product, quantity = self.product_of(given), int(given.get("quantity", 1))
        subtotal = self._subtotal(given, product, quantity)
        total = exact(given["total"]) if "total" in given else subtotal
        taxes = self._taxes(given, rates, total, subtotal)
        line = self._known(given, product) | {"quantity": quantity}
        line |= self._priced(total, subtotal, taxes) | {"price": unit_price(total, quantity)}
        line["meta_data"] = self.metas(given.get("meta_data", ()), shown=True)
        if product and "meta_data" not in given:
            chosen = product.get("attributes", ())
            line["meta_data"] = [self._chosen(one["name"], one) for one in chosen]
        order["line_items"].append({name: line[name] for name in GOODS})
        return Charge("line_items", total, subtotal, tuple(taxes))

    def shipping(self, order: Doc, given: Given, rates: Sequence[Rate]) -> Charge:
        """Append a shipping line."""
        charge = self._extra("shipping_lines", given, rates)
        order["shipping_lines"].append(
            {
                "id": self._item(),
                "method_title": given.get("method_title", "Shipping"),
                "method_id": given.get("method_id", ""),
                "instance_id": given.get("instance_id", ""),
                **self._charged(charge),
                "tax_status": given.get("tax_status", "taxable"),
                "meta_data": self.metas(given.get("meta_data", ()), shown=True),
            }
        )
        return charge

    def fee(self, order: Doc, given: Given, rates: Sequence[Rate]) -> Charge:
        """Append a fee line; a negative one acts as a discount and is taxed as well."""
        charge = self._extra("fee_lines", given, rates)
        order["fee_lines"].append(
            {
                "id": self._item(),
                "name": given.get("name", "Fee"),
                "tax_class": given.get("tax_class", ""),
                "tax_status": given.get("tax_status", "taxable"),
                "amount": "",
                **self._charged(charge),
                "meta_data": self.metas(given.get("meta_data", ()), shown=True),
            }
        )
        return charge

    def total(self, order: Doc, charges: Sequence[Charge]) -> None:
        """Write the order's totals and tax lines from its charges."""
        money, tax_money = self.rounding.money, self.rounding.tax_money
        goods = [charge for charge in charges if charge.kind == "line_items"]
        cart = self._by_rate(charge for charge in charges if charge.kind != "shipping_lines")
        carriage = self._by_rate(charge for charge in charges if charge.kind == "shipping_lines")
        before = sum((charge.subtotal - charge.total for charge in goods), Decimal())
        saved = sum((t.subtotal - t.total for c in goods for t in c.taxes), Decimal())
        cart_tax = sum((tax_money(tax) for tax in cart.values()), Decimal())
        shipping_tax = sum((tax_money(tax) for tax in carriage.values()), Decimal())
        shipping = sum((c.total for c in charges if c.kind == "shipping_lines"), Decimal())
        net_total = sum((charge.total for charge in charges), Decimal())
        amounts = {
            "discount_total": money(before),
            "discount_tax": money(saved),
            "shipping_total": money(shipping),
            "shipping_tax": shipping_tax,
            "cart_tax": cart_tax,
            "total": money(net_total + cart_tax + shipping_tax),
            "total_tax": cart_tax + shipping_tax,
        }
        order.update({name: self.rounding.text(amount) for name, amount in amounts.items()})
        order["tax_lines"] = [
            self.tax_line(order, rate_id, cart, carriage)
            for rate_id in dict.fromkeys([*cart, *carriage])
        ]

    def charges(self, order: Doc) -> list[Charge]:
        """The charges of a written order, as exact as its text."""
        return [
            Charge(
                kind,
                exact(line["total"]),
                exact(line.get("subtotal", line["total"])),
                tuple(told(line["taxes"], self.rates, Decimal(), Decimal())),
            )
            for kind in ("line_items", "shipping_lines", "fee_lines")
            for line in order[kind]
        ]

    def reprice(self, line: Doc, given: Given) -> None:
        """Change a written product line; a new quantity alone leaves its money as it was."""
        line["quantity"] = int(given.get("quantity", line["quantity"]))
        total = exact(given.get("total", line["total"]))
        subtotal = exact(given.get("subtotal", line["subtotal"]))
        if "total" in given or "subtotal" in given or "taxes" in given:
            rates = [self.rates[tax["id"]] for tax in line["taxes"]]
            line |= self._priced(total, subtotal, self._taxes(given, rates, total, subtotal))
        line["price"] = unit_price(total, line["quantity"])

    def metas(self, given: Iterable[Given], shown: bool = False) -> list[Doc]:
        """Meta data with ids; on lines with the words shown to people."""
        return [self.meta(one["key"], one["value"], shown) for one in given]

    def meta(self, key: str, value: Any, shown: bool = False) -> Doc:
        """One meta entry with its id."""
        self._metas += 1
        meta = {"id": self._metas, "key": key, "value": value}
        return meta | {"display_key": key, "display_value": value} if shown else meta

    def merge_meta(self, doc: Doc, given: Iterable[Given]) -> None:
        """Merge meta data by key; a null value with a key deletes, without one it does nothing."""
        for change in given:
            key, value = change.get("key"), change.get("value")
            found = [m for m in doc["meta_data"] if key in (None, m["key"])]
            if "id" in change:
                found = [m for m in found if m["id"] == change["id"]]
            if value is None:
                gone = found if key else []
                doc["meta_data"] = [m for m in doc["meta_data"] if m not in gone]
            elif found:
                found[0]["value"] = value
            elif key:
                doc["meta_data"].append(self.meta(str(key), value))

    def dates(self, name: str, moment: datetime | None) -> Doc:
        """Both forms of a date: site time and UTC, to the second, without offset."""
        if moment is None:
            return {name: None, f"{name}_gmt": None}
        return {name: written(moment, self.zone), f"{name}_gmt": written(moment, UTC)}

    def refund_line(self, line: Doc, given: Given) -> Doc:
        """A written order line turned into a line of a refund: everything negative."""
        quantity, amount = int(given.get("quantity", 0)), exact(given.get("refund_total"))
        taxes = [
            Tax(int(tax["id"]), exact(tax["refund_total"]), exact(tax["refund_total"]))
            for tax in given.get("refund_tax", ())
        ]
        minus = [Tax(tax.rate_id, -tax.total, -tax.subtotal) for tax in taxes]
        refunded = line | {"id": self._item(), "quantity": -quantity}
        refunded |= self._priced(-amount, -amount, minus)
        refunded["price"] = unit_price(amount, quantity)
        refunded["meta_data"] = [self.meta("_refunded_item_id", str(line["id"]), shown=True)]
        return refunded

    def refund_charge(self, line: Doc, given: Given) -> Doc:
        """A written shipping or fee line turned into a line of a refund: money only."""
        taxes = tuple(
            Tax(int(tax["id"]), -exact(tax["refund_total"]), Decimal())
            for tax in given.get("refund_tax", ())
        )
        charge = Charge("", -exact(given.get("refund_total")), Decimal(), taxes)
        meta = self.meta("_refunded_item_id", str(line["id"]), shown=True)
        return line | {"id": self._item(), **self._charged(charge), "meta_data": [meta]}

    def _subtotal(self, given: Given, product: Doc | None, quantity: int) -> Decimal:
        """The line's price; gross ones lose the tax of the shop's own place, wherever they go."""
        if "subtotal" in given:
            return exact(given["subtotal"])
        if product is None:
            return exact(given.get("total"))
        price = exact(product["price"]) * quantity
        own = [rate for rate in self.rates.values() if rate.applies(*self.base)]
        return net(price, own) if self.rounding.gross else price

    def _taxes(
        self, given: Given, rates: Sequence[Rate], total: Decimal, subtotal: Decimal
    ) -> list[Tax]:
        if "taxes" in given:
            return told(given["taxes"], self.rates, total, subtotal)
        if given.get("tax_status", "taxable") == "none":
            return []
        return computed(rates, total, subtotal)

    def _extra(self, kind: str, given: Given, rates: Sequence[Rate]) -> Charge:
        total = exact(given.get("total"))
        return Charge(kind, total, total, tuple(self._taxes(given, rates, total, total)))

    def _known(self, given: Given, product: Doc | None) -> Doc:
        """What the line says about its product; of an unknown one only blanks."""
        found = product or {"name": "", "id": 0, "sku": None, "global_unique_id": None}
        if found.get("parent_id"):
            ids = {"product_id": found["parent_id"], "variation_id": found["id"]}
            given = {"parent_name": found["parent_name"], **given, **ids}
        is_variation = bool(given.get("variation_id"))
        return {
            "id": self._item(),
            "name": given.get("name", found["name"]),
            "product_id": int(given.get("product_id", 0)) if is_variation else found["id"],
            "variation_id": int(given.get("variation_id", 0)) if is_variation else 0,
            "tax_class": given.get("tax_class", ""),
            "sku": found["sku"],
            "global_unique_id": found["global_unique_id"],
            "image": {"id": 0 if is_variation or product is None else "", "src": ""},
            "parent_name": given.get("parent_name") if is_variation else None,
        }

    def _priced(self, total: Decimal, subtotal: Decimal, taxes: Sequence[Tax]) -> Doc:
        text, tax_text = self.rounding.text, self._tax_text
        return {
            "subtotal": text(subtotal),
            "subtotal_tax": tax_text(self._sum(tax.subtotal for tax in taxes)),
            "total": text(total),
            "total_tax": tax_text(self._sum(tax.total for tax in taxes)),
            "taxes": [
                {"id": t.rate_id, "total": tax_text(t.total), "subtotal": tax_text(t.subtotal)}
                for t in taxes
            ],
        }

    def _chosen(self, name: str, attribute: Doc) -> Doc:
        """What a buyer chose among the variations, as meta data of the line."""
        meta = self.meta(attribute["slug"], attribute["option"], shown=True)
        return meta | {"display_key": name}

    def _charged(self, charge: Charge) -> Doc:
        """Money of a shipping or fee line, which have no amount before discount."""
        taxes = [
            {"id": tax.rate_id, "total": self._tax_text(tax.total), "subtotal": ""}
            for tax in charge.taxes
        ]
        tax = self._sum(tax.total for tax in charge.taxes)
        total = self.rounding.text(charge.total)
        return {"total": total, "total_tax": self._tax_text(tax), "taxes": taxes}

    def _tax_text(self, amount: Decimal) -> str:
        return str(self.rounding.tax_money(amount))

    def tax_line(
        self,
        order: Given,
        rate_id: int,
        cart: Mapping[int, Decimal],
        carriage: Mapping[int, Decimal],
    ) -> Doc:
        """The order's tax of one rate; an order that is written again keeps the line's id."""
        rate = self.rates[rate_id]
        written_ids = {line["rate_id"]: line["id"] for line in order["tax_lines"]}
        return {
            "id": written_ids.get(rate_id) or self._item(),
            "rate_code": rate.code,
            "rate_id": rate.id,
            "label": rate.label,
            "compound": rate.compound,
            "tax_total": self._tax_text(cart.get(rate_id, Decimal())),
            "shipping_tax_total": self._tax_text(carriage.get(rate_id, Decimal())),
            "rate_percent": json_number(rate.percent),
            "meta_data": [],
        }

    def _coupon(self, order: Doc, given: Given, coupons: int) -> Doc:
        """A coupon line; a single coupon gave the whole discount of the order."""
        whole = order if coupons == 1 else {}
        discount = exact(given.get("discount", whole.get("discount_total")))
        tax = exact(given.get("discount_tax", whole.get("discount_tax")))
        kind, worth = given.get("discount_type", "percent"), exact(given.get("nominal_amount"))
        code, number = str(given["code"]).lower(), json_number(worth)
        word = "null" if kind == "fixed_cart" else f'"{kind}"'
        item = self._item()
        info = f'[{item},"{code}",{word},{number}]'
        return {
            "id": item,
            "code": code,
            "discount": unpadded(discount),
            "discount_tax": unpadded(tax),
            "meta_data": [self.meta("coupon_info", info, shown=True)],
            "discount_type": kind,
            "nominal_amount": number,
            "free_shipping": bool(given.get("free_shipping", False)),
        }

    def _sum(self, taxes: Iterable[Decimal]) -> Decimal:
        return sum((self.rounding.tax(tax) for tax in taxes), Decimal())

    def _by_rate(self, charges: Iterable[Charge]) -> dict[int, Decimal]:
        """Tax of some charges per rate."""
        taxes: dict[int, Decimal] = {}
        for tax in (tax for charge in charges for tax in charge.taxes):
            taxes[tax.rate_id] = taxes.get(tax.rate_id, Decimal()) + self.rounding.tax(tax.total)
        return taxes

    def _item(self) -> int:
        self._items += 1
        return self._items


GOODS = (
    *("id", "name", "product_id", "variation_id", "quantity", "tax_class", "subtotal"),
    *("subtotal_tax", "total", "total_tax", "taxes", "meta_data", "sku", "global_unique_id"),
    *("price", "image", "parent_name"),
)


def unit_price(total: Decimal, quantity: int) -> int | float:
    """The line's price as the store sends it: the one place where it divides binary floats."""
    price = float(total) / quantity if quantity else 0.0
    return int(price) if price.is_integer() else price


def json_number(amount: Decimal) -> int | float:
    """The amount as a JSON number, whole ones without a point."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def unpadded(amount: Decimal) -> str:
    """The amount as coupon lines show it: "5.7", "6"."""
    return format(amount.normalize(), "f") if amount else "0"


def address(given: Given | None, *, email: bool) -> Doc:
    """An address with all its fields; only billing has an e-mail."""
    fields = [name for name in ADDRESS if email or name != "email"]
    return {name: (given or {}).get(name, "") for name in fields}


def written(moment: datetime, zone: Any) -> str:
    """The moment in a zone's time, to the second and without offset."""
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")


def order_key(store: str, order_id: int) -> str:
    """The order's public key, the same in every run."""
    digest = hashlib.sha256(f"{store}:{order_id}".encode()).digest()
    return "wc_order_" + "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:13])
