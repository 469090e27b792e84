"""Writes and changes the JSON of a WooCommerce order: dates, statuses, addresses, meta data.

Its lines and totals are rung up by the till; keeping and finding orders is the store's.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from resources.sandbox.woocommerce_catalog import links
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_tax import exact
from resources.sandbox.woocommerce_till import (
    SYMBOLS,
    VERSION,
    Doc,
    Given,
    Till,
    address,
    order_key,
)

PAID = frozenset({"processing", "completed"})
UNPAID = frozenset({"pending", "failed", "checkout-draft"})
EDITABLE = frozenset({"pending", "on-hold", "auto-draft"})
#: Fields a change sets as they are; the others are computed, merged or read-only.
PLAIN = ("payment_method", "payment_method_title", "transaction_id", "customer_note", "currency")
TOTALS = (
    *("discount_total", "discount_tax", "shipping_total", "shipping_tax", "cart_tax", "total"),
    "total_tax",
)


class Clerk:
    """Writes the orders of one store."""

    def __init__(self, store: str, home: str, currency: str, till: Till) -> None:
        self.store, self.home, self.currency, self.till = store, home, currency, till

    def new(self, order_id: int, given: Given, at: datetime) -> Doc:
        """Write a new order from a cart."""
        doc = self._blank(order_id, given, at)
        for name in ("billing", "shipping"):
            doc[name] |= {k: v for k, v in given.get(name, {}).items() if k in doc[name]}
        self.till.ring_up(doc, given, self._destination(doc))
        self.enter(doc, str(given.get("status", "pending")), at)
        if "paid_at" in given:
            doc |= self.till.dates("date_paid", moment(given["paid_at"]))
        return self.derived(doc)

    def enter(self, doc: Doc, status: str, when: datetime) -> None:
        """Move the order to a status; being paid and completed leave their dates."""
        arrives = doc["status"] != status
        doc["status"] = status
        if status in PAID and doc["date_paid"] is None:
            doc |= self.till.dates("date_paid", when)
        if status == "completed" and arrives:
            doc |= self.till.dates("date_completed", when)

    def change(self, doc: Doc, changes: Given, when: datetime) -> None:
        """Change a written order as a PUT does; what is read-only is left alone in silence."""
        for name in PLAIN:
            if name in changes:
                doc[name] = changes[name]
        for name in ("billing", "shipping"):
            doc[name] |= {k: v for k, v in changes.get(name, {}).items() if k in doc[name]}
        if "customer_id" in changes:
            doc["customer_id"] = int(changes["customer_id"])
        self.till.merge_meta(doc, changes.get("meta_data", ()))
        if "line_items" in changes:
            self._change_lines(doc, changes["line_items"])
        if "status" in changes:
            self.enter(doc, changes["status"], when)
        if changes.get("set_paid") and doc["status"] in UNPAID:
            self.enter(doc, "processing", when)

    def bump(self, doc: Doc, when: datetime) -> None:
        """Stamp the order as changed."""
        doc |= self.till.dates("date_modified", when)

    def derived(self, doc: Doc) -> Doc:
        """Write what follows from the rest of the order."""
        status, is_owed = doc["status"], exact(doc["total"]) > 0
        key = f"pay_for_order=true&key={doc['order_key']}"
        doc["payment_url"] = f"{self.home}/checkout/order-pay/{doc['id']}/?{key}"
        doc["is_editable"] = status in EDITABLE
        doc["needs_payment"] = status in UNPAID and is_owed
        doc["needs_processing"] = any(line["product_id"] for line in doc["line_items"])
        doc["currency_symbol"] = SYMBOLS.get(doc["currency"], doc["currency"])
        doc["_links"] = self._links(doc)
        return doc

    def half(self, doc: Doc) -> Doc:
        """What a reader sees of an order that is still being written."""
        nothing = self.till.rounding.text(Decimal())
        unpaid = self.till.dates("date_paid", None) | self.till.dates("date_completed", None)
        empty: Doc = {"shipping_lines": [], "fee_lines": [], "coupon_lines": [], "tax_lines": []}
        totals = dict.fromkeys(TOTALS, nothing)
        return self.derived({**doc, **totals, **unpaid, **empty, "status": "pending"})

    def _blank(self, order_id: int, given: Given, at: datetime) -> Doc:
        via, dates = given.get("created_via", "rest-api"), self.till.dates
        created, changed = dates("date_created", at), dates("date_modified", at)
        cart = hashlib.sha256(f"cart:{self.store}:{order_id}".encode()).hexdigest()[:32]
        return {
            "id": order_id,
            "parent_id": 0,
            "status": "",
            "currency": given.get("currency", self.currency),
            "version": VERSION,
            "prices_include_tax": self.till.rounding.gross,
            "date_created": created["date_created"],
            "date_modified": changed["date_modified"],
            **dict.fromkeys(TOTALS),
            "customer_id": int(given.get("customer_id", 0)),
            "order_key": order_key(self.store, order_id),
            "billing": address(None, email=True),
            "shipping": address(None, email=False),
            "payment_method": given.get("payment_method", ""),
            "payment_method_title": given.get("payment_method_title", ""),
            "transaction_id": given.get("transaction_id", ""),
            "customer_ip_address": given.get("customer_ip_address", ""),
            "customer_user_agent": given.get("customer_user_agent", ""),
            "created_via": via,
            "customer_note": given.get("customer_note", ""),
            "date_completed": None,
            "date_paid": None,
            "cart_hash": "" if via == "rest-api" else cart,
            "number": str(order_id),
            "meta_data": self.till.metas(given.get("meta_data", ())),
            **{name: [] for name in LISTS},
            **dict.fromkeys(("payment_url", *FLAGS)),
            "date_created_gmt": created["date_created_gmt"],
            "date_modified_gmt": changed["date_modified_gmt"],
            "date_completed_gmt": None,
            "date_paid_gmt": None,
        }

    def _destination(self, doc: Doc) -> tuple[str, str]:
        """Country and state that are taxed; the shop's own while the order has no address."""
        for name in ("shipping", "billing"):
            if doc[name]["country"]:
                return doc[name]["country"], doc[name]["state"]
        return self.till.base

    def _change_lines(self, doc: Doc, given: Iterable[Given]) -> None:
        lines = {line["id"]: line for line in doc["line_items"]}
        rates = [r for r in self.till.rates.values() if r.applies(*self._destination(doc))]
        for change in given:
            if "id" not in change:
                self.till.goods(doc, change, rates)
            elif int(change["id"]) not in lines:
                message = "Order item ID provided is not associated with order."
                raise Declined(400, "woocommerce_rest_invalid_item_id", message)
            elif int(change.get("quantity", 1)) == 0:
                doc["line_items"].remove(lines[int(change["id"])])
            else:
                self.till.reprice(lines[int(change["id"])], change)
        self.till.total(doc, self.till.charges(doc))

    def _links(self, doc: Doc) -> Doc:
        path = f"orders/{doc['id']}"
        base = f"{self.home}/wp-json/wc/v3"
        templates = {"embeddable": True, "href": f"{base}/{path}/actions/email_templates"}
        found = links(self.home, path, "orders") | {"email_templates": [templates]}
        if doc["customer_id"]:
            found["customer"] = [{"href": f"{base}/customers/{doc['customer_id']}"}]
        return found


LISTS = ("line_items", "tax_lines", "shipping_lines", "fee_lines", "coupon_lines", "refunds")
FLAGS = ("is_editable", "needs_payment", "needs_processing")


def refund_rows(refunds: Iterable[Doc]) -> list[Doc]:
    """The order's short list of its refunds: newest second first, amounts negative."""
    rows = sorted(refunds, key=lambda refund: int(refund["id"]))
    rows.sort(key=lambda refund: str(refund["date_created_gmt"]), reverse=True)
    return [
        {
            "id": refund["id"],
            "reason": refund["reason"],
            "total": f"-{refund['amount']}",
            "total_tax": _minus(refund),
        }
        for refund in rows
    ]


def refund_sum(lines: Iterable[Given]) -> Decimal:
    """What some refund lines come to, with their tax."""
    total = Decimal()
    for line in lines:
        taxes = (exact(tax.get("refund_total")) for tax in line.get("refund_tax", ()))
        total += exact(line.get("refund_total")) + sum(taxes, Decimal())
    return total


def moment(value: datetime | str | None) -> datetime | None:
    """An aware moment from a caller, who may be on the other side of JSON."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if found is not None and found.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return found.astimezone(UTC) if found else None


def _minus(refund: Doc) -> str:
    kinds = ("line_items", "shipping_lines", "fee_lines")
    taxes = [exact(line["total_tax"]) for kind in kinds for line in refund[kind]]
    places = exact(refund["amount"]).as_tuple().exponent
    zero = Decimal(0).scaleb(int(places))
    return str(sum(taxes, zero))
