"""WooCommerce's words into ours: orders with all their parts, customers, guests and notes.

Reads stored payloads only; asks nothing and writes nothing. A payload that is not wholly
understood becomes no rows, but `Rejected` with every reason found.
"""

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sync_assets.domain.orders import LineKind, OrderState, Rejected, Row, order_ref, untied
from sync_assets.mappers.payload import ZERO, Faults, Part, smallest_unit

STATE_OF = {
    "pending": OrderState.PENDING_PAYMENT,
    "on-hold": OrderState.ON_HOLD,
    "processing": OrderState.PAID,
    "completed": OrderState.COMPLETED,
    "cancelled": OrderState.CANCELLED,
    "refunded": OrderState.REFUNDED,
    "failed": OrderState.FAILED,
    "checkout-draft": OrderState.DRAFT,
    "auto-draft": OrderState.DRAFT,
    "draft": OrderState.DRAFT,
    "trash": OrderState.TRASHED,
}

ADDRESS_FIELDS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "company": "company",
    "street": "address_1",
    "street2": "address_2",
    "city": "city",
    "region": "state",
    "postcode": "postcode",
    "country": "country",
}

_CURRENCY = re.compile("[A-Z]{3}")
_PLAIN_WORD = re.compile("[a-z0-9_-]{1,40}")


def order(store: str, body: Mapping[str, Any], raw_version: int) -> dict[str, list[Row]]:
    """Map one order to the rows of every core table; raises `Rejected` with all problems."""
    faults = Faults("order.malformed")
    shop = _whole(body, faults)
    ref = order_ref(store, shop.id("id"))
    currency = _currency(shop)
    rates = _rates(shop)
    lines, taxes = _lines(shop, ref, currency, rates)
    refunds = _refunds(shop, store, ref, currency)
    head = _head(shop, store, ref, currency, lines, refunds) | {"raw_version": raw_version}
    rows = {
        "orders": [head],
        "order_lines": lines,
        "order_taxes": taxes,
        "order_discounts": _discounts(shop, ref, currency),
        "order_refunds": refunds,
        "order_addresses": _addresses(shop, ref),
    }
    if not faults.malformed:
        unit = smallest_unit(head["total_amount"])
        faults.problems += untied(head, lines, taxes, refunds, unit)
    faults.settle()
    return rows


def customer(store: str, body: Mapping[str, Any]) -> Row:
    """Map one account; raises `Rejected`."""
    faults = Faults("customer.malformed")
    account = _whole(body, faults)
    billing = account.part("billing")
    row = {
        "customer_ref": f"{store}:customer:{account.id('id')}",
        "store": store,
        "is_guest": False,
        "email": _email(account.blank("email")),
        "first_name": account.blank("first_name"),
        "last_name": account.blank("last_name"),
        "company": billing.blank("company"),
        "phone": billing.optional("phone"),
        "country": billing.blank("country"),
        "changed_at": account.instant_or_none("date_modified_gmt"),
    }
    faults.settle()
    return row


def guest(store: str, body: Mapping[str, Any]) -> Row | None:
    """Map the buyer of an order without account, or None where it has one; raises `Rejected`."""
    faults = Faults("customer.malformed")
    shop = _whole(body, faults)
    ref = _customer_ref(shop, store)
    billing = shop.part("billing")
    row = {
        "customer_ref": ref,
        "store": store,
        "is_guest": True,
        "email": _email(billing.optional("email")),
        "first_name": billing.blank("first_name"),
        "last_name": billing.blank("last_name"),
        "company": billing.blank("company"),
        "phone": billing.optional("phone"),
        "country": billing.blank("country"),
        "changed_at": shop.instant("date_modified_gmt"),
    }
    faults.settle()
    return None if shop.body["customer_id"] else row


def customer_ref(store: str, body: Mapping[str, Any]) -> str:
    """Return our key of an order's buyer; raises `Rejected`."""
    faults = Faults("customer.malformed")
    ref = _customer_ref(_whole(body, faults), store)
    faults.settle()
    return ref


def note(store: str, order_id: str | int, body: Mapping[str, Any]) -> Row:
    """Map one note on an order; raises `Rejected`."""
    faults = Faults("note.malformed")
    said = _whole(body, faults)
    ref = order_ref(store, order_id)
    row = {
        "note_ref": f"{ref}:note:{said.id('id')}",
        "order_ref": ref,
        "noted_at": said.instant("date_created_gmt"),
        "author": said.optional("author"),
        "is_for_customer": said.flag("customer_note"),
        "note": said.text("note"),
    }
    faults.settle()
    return row


def _whole(body: object, faults: Faults) -> Part:
    if not isinstance(body, Mapping):
        faults.note("payload", "is not an object")
        raise Rejected(faults.problems)
    return Part(body, "", faults)


def _head(
    shop: Part, store: str, ref: str, currency: str, lines: list[Row], refunds: list[Row]
) -> Row:
    status = shop.text("status")
    net, shipping, fee = (_net(lines, kind) for kind in LineKind)
    tax, total = shop.amount("total_tax"), shop.amount("total")
    return {
        "order_ref": ref,
        "store": store,
        "order_id": shop.id("id"),
        "order_number": _number(shop),
        "state": _state(shop, status),
        "shop_status": status,
        "currency": currency,
        "prices_include_tax": shop.flag("prices_include_tax"),
        "placed_at": shop.instant("date_created_gmt"),
        "paid_at": shop.instant_or_none("date_paid_gmt"),
        "changed_at": shop.instant("date_modified_gmt"),
        "customer_ref": _customer_ref(shop, store),
        "payment_method": shop.word("payment_method"),
        "payment_ref": shop.word("transaction_id"),
        "created_via": shop.word("created_via"),
        "customer_note": shop.word("customer_note"),
        "net_amount": net,
        "shipping_amount": shipping,
        "fee_amount": fee,
        "tax_amount": tax,
        "discount_amount": shop.amount("discount_total"),
        "rounding_amount": total - (net + shipping + fee + tax),
        "total_amount": total,
        "refunded_amount": sum((row["refunded_amount"] for row in refunds), ZERO),
    }


def _net(lines: list[Row], kind: LineKind) -> Decimal:
    return sum((line["net_amount"] for line in lines if line["kind"] == kind), ZERO)


def _number(shop: Part) -> str:
    """The number people see; plugins may send it as a number."""
    if type(shop.body.get("number")) is int:
        return shop.id("number")
    number = shop.text("number")
    if "number" in shop.body and not number:
        shop.fault("number", "is empty")
    return number


def _state(shop: Part, status: str) -> str | None:
    if status in STATE_OF:
        return STATE_OF[status]
    if isinstance(shop.body.get("status"), str):
        word = f" ({status})" if _PLAIN_WORD.fullmatch(status) else ""
        shop.faults.note("status", f"is a word we do not know{word}", "order.unknown_state")
    return None


def _currency(shop: Part) -> str:
    code = shop.text("currency")
    if isinstance(shop.body.get("currency"), str) and not _CURRENCY.fullmatch(code):
        shop.fault("currency", "is not a currency code of three capitals")
    return code


def _customer_ref(shop: Part, store: str) -> str:
    account = shop.id_or_none("customer_id")
    if account is not None:
        return f"{store}:customer:{account}"
    email = _email(shop.part("billing").optional("email"))
    if not email:
        return f"{store}:guest:order:{shop.id('id')}"
    return f"{store}:guest:{hashlib.sha256(email.encode()).hexdigest()[:16]}"


def _email(text: str) -> str:
    return text.strip().lower()


def _rates(shop: Part) -> dict[str, Row]:
    """The order's tax rates by the shop's id of the rate."""
    lines = shop.parts("tax_lines")
    rates = {
        line.id("rate_id"): {
            "rate_code": line.text("rate_code"),
            "label": line.text("label"),
            "percent": line.measure("rate_percent") if _has(line, "rate_percent") else None,
            "is_compound": line.flag("compound"),
        }
        for line in lines
    }
    if len(rates) < len(lines) and not shop.faults.malformed:
        shop.fault("tax_lines", "name the same rate twice")
    return rates


def _has(part: Part, key: str) -> bool:
    return part.body.get(key) is not None


def _lines(
    shop: Part, ref: str, currency: str, rates: dict[str, Row]
) -> tuple[list[Row], list[Row]]:
    """All lines in the shop's order, products first, and their taxes."""
    rows: list[Row] = []
    taxes: list[Row] = []
    for key, read in (
        ("line_items", _product_line),
        ("shipping_lines", _shipping_line),
        ("fee_lines", _fee_line),
    ):
        before = len(rows)
        for line in shop.parts(key):
            row = read(line, ref)
            row |= {"order_ref": ref, "position": len(rows), "currency": currency}
            rows.append(row)
            taxes += _taxes(line, row, rates)
        _unique(shop, key, [row["line_ref"] for row in rows[before:]])
    return rows, taxes


def _product_line(line: Part, ref: str) -> Row:
    return {
        "line_ref": f"{ref}:product:{line.id('id')}",
        "kind": LineKind.PRODUCT,
        "sku": line.word("sku"),
        "product_id": line.id_or_none("product_id"),
        "variation_id": line.id_or_none("variation_id"),
        "description": line.blank("name"),
        # Never `price`: it is a rounded or a binary number, and the line is what was charged.
        "quantity": line.amount("quantity"),
        "subtotal_amount": line.amount("subtotal"),
        "net_amount": line.amount("total"),
        "tax_amount": line.amount("total_tax"),
        "tax_class": line.blank("tax_class"),
    }


def _shipping_line(line: Part, ref: str) -> Row:
    return _charge(line, ref, LineKind.SHIPPING, "method_title") | {"tax_class": None}


def _fee_line(line: Part, ref: str) -> Row:
    return _charge(line, ref, LineKind.FEE, "name") | {"tax_class": line.blank("tax_class")}


def _charge(line: Part, ref: str, kind: LineKind, name: str) -> Row:
    """Shipping and fees: one unit, never discounted."""
    net = line.amount("total")
    return {
        "line_ref": f"{ref}:{kind}:{line.id('id')}",
        "kind": kind,
        "sku": None,
        "product_id": None,
        "variation_id": None,
        "description": line.blank(name),
        "quantity": Decimal(1),
        "subtotal_amount": net,
        "net_amount": net,
        "tax_amount": line.amount("total_tax"),
    }


def _taxes(line: Part, row: Row, rates: dict[str, Row]) -> list[Row]:
    """One row per rate that says something about the line.

    The shop lists a rate with total "" where it does not apply, and keeps rates that the order's
    tax lines no longer know; those without an amount say nothing and are left out. A rate of the
    order that came to 0.00 is kept.
    """
    found: list[Row] = []
    for tax in line.parts("taxes"):
        says = _has(tax, "total") and tax.body["total"] != ""
        amount = tax.amount("total") if says or "total" not in tax.body else ZERO
        if not amount and not (says or _discounted_away(tax)):
            continue
        rate_id = tax.id("id")
        if rate_id not in rates:
            if amount and rate_id:
                tax.fault("id", "names a rate that is not among the order's tax_lines")
            continue
        found.append(
            {
                "line_ref": row["line_ref"],
                "order_ref": row["order_ref"],
                "rate_id": rate_id,
                "currency": row["currency"],
                "tax_amount": amount,
                **rates[rate_id],
            }
        )
    _unique(line, "taxes", [tax["rate_id"] for tax in found])
    return found


def _discounted_away(tax: Part) -> bool:
    """Whether the rate applied before the discount."""
    before = tax.body.get("subtotal")
    return before not in (None, "") and bool(tax.amount("subtotal"))


def _discounts(shop: Part, ref: str, currency: str) -> list[Row]:
    rows: list[Row] = [
        {
            "order_ref": ref,
            "coupon_ref": f"{ref}:coupon:{line.id('id')}",
            "code": line.blank("code"),
            "currency": currency,
            # The one amount the shop sends as stored, whatever its number of digits.
            "discount_amount": line.measure("discount"),
            "discount_tax_amount": line.measure("discount_tax"),
        }
        for line in shop.parts("coupon_lines")
    ]
    _unique(shop, "coupon_lines", [row["coupon_ref"] for row in rows])
    return rows


def _refunds(shop: Part, store: str, ref: str, currency: str) -> list[Row]:
    rows: list[Row] = [
        {
            "refund_ref": f"{store}:refund:{refund.id('id')}",
            "order_ref": ref,
            "currency": currency,
            "refunded_amount": _given_back(refund),
            "reason": refund.word("reason"),
        }
        for refund in shop.parts("refunds")
    ]
    _unique(shop, "refunds", [row["refund_ref"] for row in rows])
    return rows


def _given_back(refund: Part) -> Decimal:
    """The amount as a positive one; the order lists refunds as negative totals."""
    total = refund.amount("total")
    if total > 0:
        refund.fault("total", "is positive, where the shop lists refunds as negative")
    return abs(total)


def _addresses(shop: Part, ref: str) -> list[Row]:
    """Billing and shipping; one that is blank altogether says nothing and is left out."""
    rows = []
    for role in ("billing", "shipping"):
        part = shop.part(role)
        said = {ours: part.blank(theirs) for ours, theirs in ADDRESS_FIELDS.items()}
        # Shipping has no e-mail, and a telephone only since WooCommerce 5.6.
        said |= {"email": part.optional("email"), "phone": part.optional("phone")}
        if any(said.values()):
            rows.append({"order_ref": ref, "role": role, **said})
    return rows


def _unique(part: Part, key: str, refs: list[str]) -> None:
    if len(set(refs)) < len(refs) and not part.faults.malformed:
        part.fault(key, "name the same id twice")
