"""From a refund to the credit memo we want, and from a return to the stock we want booked. Pure.

A memo repeats the refund: the same lines, the same taxes by the store's mapping, and whatever no
line explains as one untaxed line on the store's fee item, because nobody said what tax is in it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sync_assets.domain.after_sale import Refund, Return
from sync_assets.domain.orders import Problem, Row
from sync_assets.domain.planning import Items, Route, tolerance
from sync_assets.domain.refund_limits import Share
from sync_assets.domain.returns import CreditMemo, MemoLine, Restock, RestockLine
from sync_assets.domain.sales import Document

CODE = "refund.not_creditable"
UNEXPLAINED = "Refund without lines; what tax is in it was not said"


class CreditReversal(Document):
    """A posted credit memo that shall be taken back."""

    key: str  # our refund_ref
    order_ref: str
    memo_id: int
    total_amount: Decimal
    currency: str
    on: date


@dataclass(frozen=True)
class Creditable:
    """A refund with what its credit memo is made of."""

    refund: Refund
    order: Row
    #: The ERP's id of its sales order.
    order_id: int
    descriptions: Mapping[str, str]  # by line_ref
    #: Codes of the order's tax rates by the shop's id of the rate.
    rate_codes: Mapping[str, str]
    refunded_on: date


def credit_memo(
    one: Creditable, route: Route, items: Items
) -> tuple[CreditMemo | None, list[Problem]]:
    """The memo of a refund, or every reason why there is none yet."""
    problems: list[Problem] = []
    lines = tuple(_lines(one, route, items, problems))
    if problems:
        return None, problems
    refund, order = one.refund, one.order
    memo = CreditMemo(
        key=refund.ref,
        order_ref=order["order_ref"],
        order_id=one.order_id,
        party=str(order["customer_ref"] or order["order_ref"]),
        store=route.store,
        company=route.company,
        currency=order["currency"],
        issued_on=one.refunded_on,
        reason=refund.reason,
        web_shop=route.web_shop,
        lines=lines,
        total_amount=plain(refund.amount),
    )
    return memo, []


def _lines(
    one: Creditable, route: Route, items: Items, problems: list[Problem]
) -> Iterable[MemoLine]:
    maker = _Maker(one, route, items, problems)
    for number, part in enumerate(one.refund.parts):
        if part.net_amount or part.tax_amount:
            yield maker.line(number, part)
    rest = one.refund.unassigned
    if not rest:
        return
    if abs(rest) <= tolerance(route, len(one.refund.parts)):
        yield maker.money("rounding", "rounding", "Rounding", rest, route.rounding_item)
    else:
        yield maker.money("amount", "amount", UNEXPLAINED, rest, route.fee_item)


@dataclass
class _Maker:
    """Makes lines of one memo, and notes what the ERP or the configuration lacks for them."""

    one: Creditable
    route: Route
    items: Items
    problems: list[Problem]

    def line(self, number: int, part: Share) -> MemoLine:
        """A line for one part of the refund; tax alone has no price it could be worked out from."""
        key = part.line_ref or f"{self.one.refund.ref}:{number}"
        name = self.one.descriptions.get(part.line_ref or "", part.sku or part.kind)
        if not part.net_amount:
            said = f"Tax of {name}"
            return self.money(f"{key}:tax", "amount", said, part.tax_amount, self.route.fee_item)
        is_goods = part.kind == "product" and part.units > 0
        item = self._code(part, is_goods)
        return MemoLine(
            key=key,
            kind=part.kind if is_goods or part.kind != "product" else "amount",
            item=item,
            item_id=self._item(item, key),
            description=name,
            units=Decimal(part.units if is_goods else 1),
            net_amount=plain(part.net_amount),
            tax_amount=plain(part.tax_amount),
            taxes=self._taxes(part),
            order_line=part.line_ref,
        )

    def money(self, key: str, kind: str, name: str, amount: Decimal, item: str) -> MemoLine:
        """An untaxed line of money alone."""
        return MemoLine(
            key=key,
            kind=kind,
            item=item,
            item_id=self._item(item, key),
            description=name,
            units=Decimal(1),
            net_amount=plain(amount),
            tax_amount=Decimal(0),
        )

    def _code(self, part: Share, is_goods: bool) -> str:
        if part.kind == "shipping":
            return self.route.shipping_item
        return part.sku or self.route.fee_item if is_goods else self.route.fee_item

    def _item(self, code: str, part: str) -> int:
        item, trouble = self.items.find(code)
        # What was sold may be archived since; an ERP credits it all the same only if it is not.
        if item is None:
            why = (trouble or "order.sku_unknown").partition("_")[2]
            self._note(part, f"{self.route.erp} has no single active item {code!r} ({why})")
            return 0
        return item.item_id

    def _taxes(self, part: Share) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for rate in (rate for rate, amount in part.taxes.items() if amount):
            code = self.one.rate_codes.get(rate)
            if code is None or code not in self.route.taxes:
                said = f"tax rate {code or rate!r} has no tax in {self.route.erp}"
                self._note(code or rate, said)
            elif self.route.taxes[code]:
                names[self.route.taxes[code]] = None
        return tuple(names)

    def _note(self, part: str, message: str) -> None:
        problem = Problem("refund.not_creditable", part, message)
        if problem not in self.problems:
            self.problems.append(problem)


def plain(amount: Decimal) -> Decimal:
    """The same number without the table's trailing zeros."""
    whole = amount.normalize()
    return whole.quantize(Decimal(1)) if whole == whole.to_integral_value() else whole


def codes(refunds: Sequence[Refund], route: Route) -> set[str]:
    """Items that credit memos of these refunds could need."""
    skus = {part.sku for one in refunds for part in one.parts if part.sku}
    return {*skus, route.shipping_item, route.fee_item, route.rounding_item}


def restock(one: Return, order_ref: str, order_id: int, received_on: date) -> Restock | None:
    """The goods of a return that belong to its order, by what becomes of them; None: there are
    none."""
    lines = tuple(
        RestockLine(
            key=line.line_ref,
            sku=line.sku,
            restock_units=line.restock_units,
            refurbish_units=line.refurbish_units,
            write_off_units=line.write_off_units,
        )
        for line in one.lines
        if line.line_ref is not None and line.received_units
    )
    if not lines:
        return None
    return Restock(
        key=one.ref,
        order_ref=order_ref,
        order_id=order_id,
        received_on=received_on,
        lines=lines,
    )


def wanted_hash(document: str) -> str:
    """Digest of what we want there; equal documents need no second write."""
    return hashlib.sha256(document.encode()).hexdigest()[:32]
