"""The refunds of a WooCommerce stand-in: how they are written, and what keeps one from being made.

The routes are in `woocommerce_refund_answers.py`. That a refund of a shipping or fee line stands
under lines of that kind follows the program; the recordings hold refunds of products and of money.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from resources.sandbox.woocommerce_catalog import links
from resources.sandbox.woocommerce_orders import Clerk, moment, refund_sum
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_sales import Moved, Sales
from resources.sandbox.woocommerce_shelf import Entry
from resources.sandbox.woocommerce_tax import Rounding, exact
from resources.sandbox.woocommerce_till import Doc, Given, Till
from resources.sandbox.woocommerce_webhooks import Webhooks

ALLOW = ["GET", "DELETE"]
NOT_MADE = "woocommerce_rest_cannot_create_order_refund"
#: Payment methods whose gateway can send money back.
REFUNDING = frozenset({"stripe", "paypal", "adyen", "woocommerce_payments"})


class Refunds(ABC):
    """The refunds of one store, as its owner makes and unmakes them."""

    home: str
    rounding: Rounding
    till: Till
    clerk: Clerk
    sales: Sales
    webhooks: Webhooks
    refunds: dict[int, list[Doc]]
    #: What the gateway says to every refund, if it fails.
    _failure: str | None = None

    @abstractmethod
    def entry(self, order_id: int) -> Entry:
        """The order's newest version."""

    @abstractmethod
    def order_json(self, order_id: int) -> Doc:
        """The order as the store shows it."""

    @abstractmethod
    def _next_id(self) -> int:
        """An id nothing has yet."""

    @abstractmethod
    def _keep(self, doc: Doc) -> None:
        """Put an order where lists find it."""

    @abstractmethod
    def _moved(self, order_id: int, before: str, after: str, when: datetime) -> None:
        """Do what a status change brings along."""

    @abstractmethod
    def _write_moves(self, order_id: int, moved: Moved, when: datetime) -> None:
        """Note what an order did to stock."""

    @abstractmethod
    def _clock(self) -> datetime:
        """What time it is."""

    def refund(
        self,
        order_id: int,
        amount: Any = None,
        reason: str = "",
        lines: Iterable[Given] | None = None,
        at: datetime | str | None = None,
        restock: bool = True,
        by_gateway: bool = False,
    ) -> int:
        """Refund money, for lines or without; the last cent makes the order refunded.

        Units named in the lines go back on the shelf unless `restock` says no.
        """
        given, rest = list(lines or ()), self.refundable(order_id)
        when = moment(at) or self._clock()
        wanted = self.rounding.money(refund_sum(given) if amount is None else exact(amount))
        if not 0 <= wanted <= rest:
            raise Declined(500, NOT_MADE, "Invalid refund amount.", 500)
        if by_gateway:
            self._send_back(order_id)
        refund_id = self._add_refund(order_id, wanted, reason, given, when)
        self.refunds[order_id][-1]["refunded_payment"] = by_gateway
        doc = self.order_json(order_id)
        before = doc["status"]
        moved = self.sales.refunded(doc, given) if restock else Moved()
        if wanted == rest > 0:
            self.clerk.enter(doc, "refunded", when)
        self.clerk.bump(doc, when)
        self._keep(doc)
        self._moved(order_id, before, doc["status"], when)
        self._write_moves(order_id, moved, when)
        self.webhooks.tell("order.updated", order_id)
        return refund_id

    def fail_refunds(self, reason: str | None) -> None:
        """Let the gateway refuse every refund for this reason, until it is none."""
        self._failure = reason

    def refunds_of(self, order_id: int) -> list[Doc]:
        """The refunds of an order, oldest first."""
        return list(self.refunds.get(order_id, ()))

    def delete_refund(self, order_id: int, refund_id: int) -> None:
        """Take a refund away; the order is not bumped, keeps its status, and nobody is told."""
        refunds = self.refunds.get(order_id, [])
        self.refunds[order_id] = [refund for refund in refunds if refund["id"] != refund_id]
        self._keep(self.order_json(order_id))

    def refundable(self, order_id: int) -> Decimal:
        """What is left of the order's total."""
        given_back = (exact(refund["amount"]) for refund in self.refunds.get(order_id, ()))
        return self.entry(order_id).total - sum(given_back, Decimal())

    def _send_back(self, order_id: int) -> None:
        """Ask the gateway; the store deletes the refund it had written, and its id is lost."""
        reason = self._failure
        if self.order_json(order_id)["payment_method"] not in REFUNDING:
            reason = "The payment gateway for this order does not support automatic refunds."
        if reason is not None:
            self._next_id()
            raise Declined(500, NOT_MADE, reason, 500)

    def _refund_rest(self, order_id: int, when: datetime) -> None:
        """Setting the status by hand refunds the rest without lines or tax."""
        rest = self.refundable(order_id)
        if rest > 0:
            self._add_refund(order_id, rest, "Order fully refunded.", [], when)
            self._keep(self.order_json(order_id))

    def _add_refund(
        self, order_id: int, amount: Decimal, reason: str, lines: list[Given], when: datetime
    ) -> int:
        order, refund_id = self.order_json(order_id), self._next_id()
        dates = self.till.dates("date_created", when)
        refund = written(self.home, self.till, order, refund_id, amount, lines)
        refund |= dates | {"reason": reason}
        self.refunds.setdefault(order_id, []).append(refund)
        return refund_id


def written(
    home: str, till: Till, order: Doc, refund_id: int, amount: Decimal, given: Sequence[Given]
) -> Doc:
    """Write a refund of an order; lines it does not know are dropped without a word."""
    goods = [till.refund_line(line, one) for line, one in _known(order, "line_items", given)]
    extras = {
        kind: [till.refund_charge(line, one) for line, one in _known(order, kind, given)]
        for kind in ("shipping_lines", "fee_lines")
    }
    base = f"orders/{order['id']}"
    is_whole = amount == exact(order["total"])
    return {
        "id": refund_id,
        **till.dates("date_created", None),
        "amount": till.rounding.text(amount),
        "reason": "",
        "refunded_by": 1,
        "refunded_payment": False,
        "meta_data": [till.meta("_refund_type", "full" if is_whole else "partial")],
        "line_items": goods,
        "shipping_lines": extras["shipping_lines"],
        "tax_lines": _taxes(till, [*goods, *extras["fee_lines"]], extras["shipping_lines"]),
        "fee_lines": extras["fee_lines"],
        "_links": {
            **links(home, f"{base}/refunds/{refund_id}", f"{base}/refunds", ALLOW),
            "up": [{"href": f"{home}/wp-json/wc/v3/{base}"}],
        },
    }


def _known(order: Doc, kind: str, given: Sequence[Given]) -> list[tuple[Doc, Given]]:
    ordered = {line["id"]: line for line in order[kind]}
    return [(ordered[int(one["id"])], one) for one in given if int(one["id"]) in ordered]


def _taxes(till: Till, cart: Iterable[Doc], carriage: Iterable[Doc]) -> list[Doc]:
    """One tax line per rate; goods and fees apart from shipping."""
    by_rate = _by_rate(cart), _by_rate(carriage)
    order: Mapping[str, Any] = {"tax_lines": []}
    rates = dict.fromkeys([*by_rate[0], *by_rate[1]])
    return [till.tax_line(order, rate_id, *by_rate) for rate_id in rates]


def _by_rate(lines: Iterable[Doc]) -> dict[int, Decimal]:
    taxes: dict[int, Decimal] = {}
    for tax in (tax for line in lines for tax in line["taxes"]):
        taxes[tax["id"]] = taxes.get(tax["id"], Decimal()) + exact(tax["total"])
    return taxes
