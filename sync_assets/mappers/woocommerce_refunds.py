"""WooCommerce's refunds into ours, and ours into its words: amounts positive, exact, and tied.

Reads stored payloads only. The shop checks no amount against its lines, so it is done here: lines
may explain less than the amount, never more.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sync_assets.domain.orders import LineKind, Rejected, Row
from sync_assets.domain.returns import (
    RefundRequest,
    RefundRequestLine,
    RefundState,
    SeenRefund,
    Source,
)
from sync_assets.mappers.payload import ZERO, Faults, Part, smallest_unit

#: Meta data of the shop's refund that holds our refund_ref; the reason ends with it too.
KEY = "_sync_refund"
_MARKED = re.compile(r"\s*\[ref ([^\[\]]+)\]\s*$")
_LISTS = {
    "line_items": LineKind.PRODUCT,
    "shipping_lines": LineKind.SHIPPING,
    "fee_lines": LineKind.FEE,
}
_NET = {
    LineKind.PRODUCT: "net_amount",
    LineKind.SHIPPING: "shipping_amount",
    LineKind.FEE: "fee_amount",
}


def refund(
    body: Mapping[str, Any],
    store: str,
    order_ref: str,
    resource_id: str,
    currency: str | None = None,
) -> tuple[Row, list[Row]]:
    """Map one refund of an order and its lines; raises `Rejected` with all problems.

    A refund names neither its order nor its currency; the caller knows both. Beside the columns the
    row has `own_key`, our refund_ref if we made it.
    """
    faults = Faults("refund.malformed")
    said = _whole(body, faults)
    refund_id = said.id("id")
    ref = f"{store}:{refund_id}"
    if refund_id and resource_id.rpartition(":")[2] != refund_id:
        said.fault("id", "is not the id it was read under")
    lines = _lines(said, ref, order_ref)
    head = _head(said, lines) | {
        "refund_ref": ref,
        "order_ref": order_ref,
        "store": store,
        "currency": currency,
    }
    if not faults.malformed:
        _tie(said, head, lines)
    faults.settle()
    return head, lines


def seen_refund(body: Mapping[str, Any]) -> SeenRefund:
    """Read what the shop holds of a refund of ours; raises `Rejected`."""
    faults = Faults("refund.malformed")
    said = _whole(body, faults)
    key = _own_key(said)
    if key is None:
        said.fault("meta_data", "does not hold our key")
    seen = SeenRefund(
        key=key or "",
        remote_id=int(said.id("id") or 0),
        amount=said.amount("amount"),
        is_paid=said.flag("refunded_payment"),
    )
    faults.settle()
    return seen


def refund_request(document: RefundRequest) -> dict[str, Any]:
    """Write a refund to be made; the client adds our key and keeps the stock as it is."""
    return {
        "amount": _plain(document.amount),
        "reason": document.reason,
        "api_refund": document.by_gateway,
        "line_items": [_request_line(line) for line in document.lines],
    }


def _request_line(line: RefundRequestLine) -> dict[str, Any]:
    taxes = [
        {"id": rate_id, "refund_total": _plain(amount)} for rate_id, amount in line.taxes.items()
    ]
    return {
        "id": line.line_id,
        "quantity": line.units,
        "refund_total": _plain(line.net_amount),
        "refund_tax": taxes,
    }


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


def _whole(body: object, faults: Faults) -> Part:
    if not isinstance(body, Mapping):
        faults.note("payload", "is not an object")
        raise Rejected(faults.problems)
    return Part(body, "", faults)


def _head(said: Part, lines: list[Row]) -> Row:
    amount = said.amount("amount")
    if amount < 0:
        said.fault("amount", "is negative, where the shop shows a positive one")
    parts = {field: _net(lines, kind) for kind, field in _NET.items()}
    tax = sum((line["tax_amount"] for line in lines), ZERO)
    reason = _MARKED.sub("", said.blank("reason"))
    return {
        "return_ref": None,
        "source": Source.SHOP_REFUND,
        "method": "gateway" if said.flag("refunded_payment") else "manual",
        "state": RefundState.REQUESTED,
        "amount": amount,
        **parts,
        "tax_amount": tax,
        "unassigned_amount": amount - sum(parts.values(), ZERO) - tax,
        "reason": reason or None,
        "provider_ref": None,
        "shop_refund_id": said.id("id"),
        "refunded_at": said.instant("date_created_gmt"),
        "raw_version": None,
        "own_key": _own_key(said),
    }


def _net(lines: list[Row], kind: LineKind) -> Decimal:
    return sum((line["net_amount"] for line in lines if line["kind"] == kind), ZERO)


def _own_key(said: Part) -> str | None:
    """Our key: the shop may have died between the refund, which has a reason, and its meta data."""
    key = _meta(said, KEY)
    if isinstance(key, str) and key:
        return key
    found = _MARKED.search(said.blank("reason"))
    return found[1] if found else None


def _lines(said: Part, ref: str, order_ref: str) -> list[Row]:
    """All lines, products first, each with the order line it belongs to."""
    rows: list[Row] = []
    for key, kind in _LISTS.items():
        for line in said.parts(key):
            row = _line(line, kind, order_ref)
            rows.append({"refund_ref": ref, "line_no": len(rows), **row})
    return rows


def _line(line: Part, kind: LineKind, order_ref: str) -> Row:
    is_product = kind == LineKind.PRODUCT
    total = line.amount("total")
    if is_product and total > 0:
        line.fault("total", "is positive, where the shop shows what goes back as negative")
    # A fee that was a discount comes back with the other sign.
    return {
        "line_ref": _line_ref(line, kind, order_ref),
        "kind": kind,
        "sku": line.word("sku") if is_product else None,
        "units": _units(line) if is_product else 0,
        "net_amount": _positive(total),
        "tax_amount": _positive(line.amount("total_tax")),
        "taxes": _taxes(line),
    }


def _line_ref(line: Part, kind: LineKind, order_ref: str) -> str | None:
    """Our key of the order line, in the form the order's own mapper gives it."""
    item = _meta(line, "_refunded_item_id")
    if isinstance(item, int) and not isinstance(item, bool):
        item = str(item)
    if isinstance(item, str) and item.isascii() and item.isdecimal() and int(item):
        return f"{order_ref}:{kind}:{int(item)}"
    return None


def _units(line: Part) -> int:
    quantity = line.amount("quantity")
    if quantity > 0 or quantity != int(quantity):
        line.fault("quantity", "is not a whole number of units that go back")
    return abs(int(quantity))


def _taxes(line: Part) -> dict[str, Decimal]:
    """Tax by rate; a rate without an amount says nothing."""
    found: dict[str, Decimal] = {}
    for tax in line.parts("taxes"):
        if tax.body.get("total") in (None, ""):
            continue
        rate_id, amount = tax.id("id"), _positive(tax.amount("total"))
        if rate_id in found:
            line.fault("taxes", "name the same rate twice")
        if amount:
            found[rate_id] = amount
    return found


def _positive(amount: Decimal) -> Decimal:
    """The other sign; nothing stays a plain nothing."""
    return -amount if amount else abs(amount)


def _meta(part: Part, key: str) -> object:
    """A value of the meta data; the first of equal keys counts, as it does in the shop."""
    rows = (row.body for row in part.parts("meta_data"))
    return next((row.get("value") for row in rows if row.get("key") == key), None)


def _tie(said: Part, head: Row, lines: list[Row]) -> None:
    """Lines are shown rounded where prices are gross, so each figure may be half a unit off."""
    unit, faults = smallest_unit(head["amount"]), said.faults
    figures = sum(1 + len(line["taxes"]) for line in lines)
    if head["unassigned_amount"] < -unit * figures / 2:
        message = f"lines come to {head['amount'] - head['unassigned_amount']}, the refund says "
        faults.note("line_items", f"{message}{head['amount']}", "refund.lines_above_amount")
    for line in lines:
        rates = sum(line["taxes"].values(), ZERO)
        if abs(rates - line["tax_amount"]) > unit * (1 + len(line["taxes"])) / 2:
            message = f"taxes by rate come to {rates}, line {line['line_no']} says "
            faults.note("taxes", f"{message}{line['tax_amount']}", "refund.tax_untied")
