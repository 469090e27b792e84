"""The shop behind a WooCommerce stand-in: its orders, refunds, notes, customers and products.

This is the Python door for tests and the demo; requests and answers are in `woocommerce.py`.
"""

import copy
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from resources.sandbox import woocommerce_catalog as catalog
from resources.sandbox.woocommerce_assortment import Assortment, terms_of
from resources.sandbox.woocommerce_call import rendered
from resources.sandbox.woocommerce_fulfilments import Fulfilments
from resources.sandbox.woocommerce_images import Images
from resources.sandbox.woocommerce_listing import ProductClerk
from resources.sandbox.woocommerce_orders import Clerk, moment, refund_rows
from resources.sandbox.woocommerce_products import Products
from resources.sandbox.woocommerce_refunds import Refunds
from resources.sandbox.woocommerce_refusals import CRASHED, Declined
from resources.sandbox.woocommerce_sales import Moved, Sales
from resources.sandbox.woocommerce_shelf import Entry, Shelf, packed
from resources.sandbox.woocommerce_tax import Rate, Rounding, exact
from resources.sandbox.woocommerce_till import Doc, Given, Till
from resources.sandbox.woocommerce_webhooks import Post, Webhooks

LABELS = {
    "pending": "Pending payment",
    "processing": "Processing",
    "on-hold": "On hold",
    "completed": "Completed",
    "cancelled": "Cancelled",
    "refunded": "Refunded",
    "failed": "Failed",
    "checkout-draft": "Draft",
}
FROM_CHECKOUT = ("updated", "created")


class WooCommerceStore(Assortment, Refunds):
    """The state of one store, and what its customers and its owner do to it."""

    def __init__(
        self,
        store: str,
        *,
        currency: str,
        timezone: str,
        now: Callable[[], datetime],
        rounding: Rounding,
        base: tuple[str, str],
        first_id: int,
    ) -> None:
        self.store, self.currency, self.now = store, currency, now
        self.zone, self.home = ZoneInfo(timezone), f"https://{store}.example"
        self.rounding, self.shelf = rounding, Shelf[Entry]()
        self.rates: dict[int, Rate] = {}
        self.customers: dict[int, Doc] = {}
        self.notes: dict[int, list[Doc]] = {}
        self.refunds: dict[int, list[Doc]] = {}
        self.fulfilments = Fulfilments()
        self._crashes: Counter[str] = Counter()
        self._unfinished: dict[int, Doc] = {}
        self._before_trash: dict[int, str] = {}
        #: Orders, refunds and products share their ids, so orders have gaps.
        self._last_id, self._last_customer, self._last_note = first_id - 1, 1, 0
        self.till = Till(
            self.zone, rounding, self.rates, base, lambda line: self.products.for_line(line)
        )
        self.clerk = Clerk(store, self.home, currency, self.till)
        self.webhooks = Webhooks(self.home, lambda: self.now(), self.told_of)
        self.terms = terms_of(self.home)
        images = Images(self.home, self.till, self._next_id)
        writer = ProductClerk(self.home, self.zone, self.till, images, self.terms)
        self.products = Products(writer, lambda: self.now(), self._next_id, self.webhooks.tell)
        self.sales = Sales(self.products, self.till)

    # What customers do

    def place(self, order: Given, half_built: bool = False) -> int:
        """Check out an order; half built, it is seen pending and worth 0.00 until `finish`."""
        at = moment(order.get("placed_at")) or self.now()
        for line in order.get("line_items", ()):
            self._stocked(line)
        given = {"status": "processing", "created_via": "checkout", **order}
        return self.take(given, at, half_built=half_built)

    def fill_cart(self, order: Given) -> None:
        """Put lines into a basket, or refuse what is not there; nothing is set aside by that."""
        self.sales.refuse_short(order)

    def checkout(self, order: Given) -> int:
        """Fill a basket and place it at once; two who filled theirs before may both buy the last.

        `place` is the door without a look at the stock, as REST is.
        """
        self.fill_cart(order)
        return self.place(order)

    def take(self, given: Given, at: datetime, *, half_built: bool = False) -> int:
        """Write a new order and keep it; one born refunded has a refund as well."""
        order_id = self._next_id()
        doc = self.clerk.new(order_id, self._with_email(given), at)
        moved = Moved() if half_built else self.sales.entered(doc)
        if half_built:
            self._unfinished[order_id] = doc
        self._keep(self.clerk.half(doc) if half_built else doc)
        if doc["status"] == "refunded" and not half_built:
            self._refund_rest(order_id, at)
        # A checkout saves its order before it makes it known; REST does it the other way round.
        events = ("created", "updated") if doc["created_via"] == "rest-api" else FROM_CHECKOUT
        for event in events:
            self.webhooks.tell(f"order.{event}", order_id)
        self.webhooks.tell(f"action.woocommerce_order_status_{doc['status']}", order_id)
        self._write_moves(order_id, moved, at)
        return order_id

    def finish(self, order_id: int) -> None:
        """Let a half-built order become whole; its `date_modified` does not move."""
        doc = self._unfinished.pop(order_id)
        moved = self.sales.entered(doc)
        self._keep(doc)
        self.webhooks.tell("order.updated", order_id)
        self._write_moves(order_id, moved, self.now())

    def add_customer(
        self, email: str, first_name: str = "", last_name: str = "", **given: Any
    ) -> int:
        """Open an account, with `billing` and `shipping` addresses as the API has them."""
        self._last_customer += 1
        names = (first_name, last_name)
        self.customers[self._last_customer] = catalog.customer(
            self.home, self._last_customer, self._born(), email, names, given
        )
        for event in ("created", "updated"):
            self.webhooks.tell(f"customer.{event}", self._last_customer)
        return self._last_customer

    def edit_customer(self, customer_id: int, **changes: Any) -> None:
        """Change the names or the e-mail of an account; it is bumped even by nothing at all."""
        dates = self.till.dates("date_modified", self.now())
        self.customers[customer_id] = {**self.customers[customer_id], **changes, **dates}
        self.webhooks.tell("customer.updated", customer_id)

    # What the owner does

    def tax_rate(
        self,
        code: str,
        percent: Any,
        label: str,
        compound: bool = False,
        country: str = "",
        state: str = "",
    ) -> int:
        """Set up a tax rate, everywhere or for one country or state, and return its id."""
        rate_id = len(self.rates) + 1
        self.rates[rate_id] = Rate(rate_id, code, exact(percent), label, compound, country, state)
        return rate_id

    def edit(self, order_id: int, **changes: Any) -> None:
        """Change an order as a PUT does: it is bumped even by nothing at all.

        What takes it out of the trash is told to nobody.
        """
        doc, when = self.order_json(order_id), self.now()
        before, lines = doc["status"], copy.deepcopy(doc["line_items"])
        self.clerk.change(doc, changes, when)
        edits = self.sales.edited(doc, lines, changes)
        moved = self.sales.entered(doc)
        self.clerk.bump(doc, when)
        self._keep(doc)
        self._moved(order_id, before, doc["status"], when)
        if before != "trash":
            self.webhooks.tell("order.updated", order_id)
        for stock in (edits, moved):
            self._write_moves(order_id, stock, when)

    def set_status(self, order_id: int, status: str) -> None:
        """Move an order to another status."""
        self.edit(order_id, status=status)

    def trash(self, order_id: int) -> None:
        """Put an order into the trash, where only status=trash finds it."""
        doc = self.order_json(order_id)
        self._before_trash[order_id] = doc["status"]
        doc["status"] = "trash"
        self.clerk.bump(doc, self.now())
        self._keep(doc)
        self.webhooks.tell("order.deleted", order_id)

    def restore(self, order_id: int) -> None:
        """Take an order out of the trash, back to its former status."""
        doc = self.order_json(order_id)
        doc["status"] = self._before_trash.pop(order_id)
        self.clerk.bump(doc, self.now())
        self._keep(doc)
        self.webhooks.tell("order.restored", order_id)

    def delete(self, order_id: int) -> None:
        """Delete an order for good, with its refunds and notes; no list or webhook tells."""
        self.entry(order_id)
        self.shelf.drop(order_id)
        self.sales.forget(order_id)
        kept = (self.refunds, self.notes, self.fulfilments.kept, self._unfinished)
        for part in (*kept, self._before_trash):
            part.pop(order_id, None)

    def add_note(
        self, order_id: int, text: str, customer: bool = False, author: str = "WooCommerce"
    ) -> int:
        """Write a note on an order; this does not bump it."""
        self.entry(order_id)
        return self._write_note(order_id, text, self.now(), customer=customer, author=author)

    def switch_fulfilments(self, on: bool = True) -> None:
        """Switch the store's own fulfillments on or off; off, their routes are not there."""
        self.fulfilments.is_on = on

    def plan_crash(self, after: str, times: int = 1) -> None:
        """Let the program die in the middle of a write, when its effect is there already."""
        self._crashes[after] += times

    def crash(self, after: str) -> None:
        """Die here if it was planned."""
        if self._crashes[after] > 0:
            self._crashes[after] -= 1
            raise Declined(500, "internal_server_error", CRASHED)

    # What one can ask

    def notes_of(self, order_id: int) -> list[Doc]:
        """The notes of an order, oldest first."""
        return list(self.notes.get(order_id, ()))

    def fulfilments_of(self, order_id: int) -> list[Doc]:
        """The fulfillments of an order that are not deleted."""
        return self.fulfilments.of(order_id)

    def entry(self, order_id: int) -> Entry:
        """The order's newest version."""
        found = self.shelf.entries.get(order_id)
        if found is None:
            raise Declined(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        return found

    def order_json(self, order_id: int) -> Doc:
        """The order as the store shows it."""
        found: Doc = json.loads(self.entry(order_id).text)
        return found

    def count(self, status: str | None = None) -> int:
        """How many orders the default list has, or how many stand in one status."""
        if status is None:
            return sum(1 for _ in self.shelf.shown())
        return sum(entry.status == status for entry in self.shelf.entries.values())

    def totals_by_currency(self) -> dict[str, Decimal]:
        """Sum of the totals of the default list, refunds not taken off."""
        totals: dict[str, Decimal] = {}
        for entry in self.shelf.shown():
            totals[entry.currency] = totals.get(entry.currency, Decimal()) + entry.total
        return totals

    def told_of(self, resource: str, thing_id: int) -> str:
        """The text of a thing as REST shows it, for a delivery; raises the store's refusal."""
        if resource == "order":
            return self.entry(thing_id).text
        if resource == "product":
            return self.products.text(self.products.known(thing_id))
        if resource == "customer" and thing_id in self.customers:
            return rendered(self.customers[thing_id])
        kind = "wc_user" if resource == "customer" else f"woocommerce_rest_{resource}"
        raise Declined(404, f"{kind}_invalid_id", "Invalid ID.")

    def deliver(self, post: Post, most: int | None = None) -> int:
        """Send the deliveries that are due; answer how many calls were made."""
        return self.webhooks.deliver(post, most)

    def queued(self) -> list[tuple[str, int]]:
        """What waits to be delivered, as topic and thing."""
        return self.webhooks.queued()

    # How it is kept

    def _keep(self, doc: Doc) -> None:
        """Render the order once and put it where lists find it."""
        doc["refunds"] = refund_rows(self.refunds.get(doc["id"], ()))
        self.clerk.derived(doc)
        self.shelf.put(
            Entry(
                id=doc["id"],
                status=doc["status"],
                created=doc["date_created_gmt"],
                modified=doc["date_modified_gmt"],
                customer=doc["customer_id"],
                currency=doc["currency"],
                total=exact(doc["total"]),
                haystack=_haystack(doc),
                packed=packed(rendered(doc)),
            )
        )

    def _moved(self, order_id: int, before: str, after: str, when: datetime) -> None:
        """Do what a status change brings along: a note, and a refund of what is left."""
        if before == after:
            return
        names = LABELS.get(before, before), LABELS.get(after, after)
        text = f"Order status changed from {names[0]} to {names[1]}."
        self._write_note(order_id, text, when)
        self.webhooks.tell(f"action.woocommerce_order_status_{after}", order_id)
        if after == "refunded":
            self._refund_rest(order_id, when)

    def _write_moves(self, order_id: int, moved: Moved, when: datetime) -> None:
        """Note what an order did to stock, and tell of the products."""
        for text in moved.notes:
            self._write_note(order_id, text, when)
        for product_id in moved.products:
            self.webhooks.tell("product.updated", product_id)

    def _write_note(
        self,
        order_id: int,
        text: str,
        when: datetime,
        *,
        customer: bool = False,
        author: str = "WooCommerce",
    ) -> int:
        self._last_note += 1
        told = {"author": author, "customer_note": customer}
        dates = self.till.dates("date_created", when)
        found = catalog.note(self.home, order_id, self._last_note, dates, text, told)
        self.notes.setdefault(order_id, []).append(found)
        return self._last_note

    def _stocked(self, line: Given) -> None:
        """Offer what a checkout sells, where nobody has set it up before."""
        sku = line.get("sku")
        if sku and not self.products.with_sku(sku):
            worth = exact(line.get("subtotal", line.get("total")))
            if self.rounding.gross:  # a line is net, the price of its article is not
                worth += sum(exact(tax.get("subtotal")) for tax in line.get("taxes", ()))
            price = worth / int(line.get("quantity", 1))
            self.add_product(sku, line.get("name", sku), self.rounding.money(price))

    def _with_email(self, given: Given) -> Given:
        """An order of an account takes its e-mail, and nothing else, where it names none."""
        account = self.customers.get(int(given.get("customer_id", 0)), {})
        billing = {"email": account.get("email", ""), **given.get("billing", {})}
        return {**given, "billing": billing}

    def _born(self) -> Doc:
        dates, now = self.till.dates, self.now()
        return dates("date_created", now) | dates("date_modified", now)

    def _clock(self) -> datetime:
        return self.now()

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _haystack(doc: Doc) -> str:
    people = (part for name in ("billing", "shipping") for part in doc[name].values())
    return " ".join([str(doc["id"]), doc["transaction_id"], *people]).lower()
