"""From a shop order to the sales order we want: may it go, what would it be, what must change.

Pure: rows, routes and items in, problems, documents and actions out.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sync_assets.domain.orders import LineKind, OrderState, Problem, Row
from sync_assets.domain.sales import Address, Document, Party, SalesLine, SalesOrder

#: Above this an ERP's own screens and transactions suffer; it is accepted, and told.
MANY_LINES = 1000


@dataclass(frozen=True)
class Route:
    """Where a store's orders go: the store decides company, currency, taxes and warehouse."""

    store: str
    erp: str
    company: str
    warehouse: str
    currencies: tuple[str, ...]
    taxes: Mapping[str, str]
    price_list: str | None = None
    web_shop: str | None = None
    send_states: tuple[str, ...] = ("paid", "completed", "refunded")
    send_from: datetime | None = None
    shipping_item: str = "SHIPPING"
    fee_item: str = "FEE"
    rounding_item: str = "ROUNDING"
    rounding_tolerance: Decimal = Decimal("0.05")
    rounding_per_line: Decimal = Decimal("0.005")


def tolerance(route: Route, lines: int) -> Decimal:
    """How far an ERP's own total may be off and still be booked as rounding.

    Shop and ERP round the tax of each line by themselves, so a long order may differ by up to
    half a cent a line; a wrong rate differs by more.
    """
    return max(route.rounding_tolerance, route.rounding_per_line * lines)


@dataclass(frozen=True)
class Item:
    """An ERP's item behind one of our SKUs."""

    item_id: int
    is_active: bool


class Items:
    """The ERP's items by SKU: the exact code first, else the only one that differs in case."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._exact: dict[str, list[Item]] = {}
        self._folded: dict[str, list[Item]] = {}
        for row in rows:
            item = Item(int(row["item_id"]), bool(row["is_active"]))
            self._exact.setdefault(row["sku"], []).append(item)
            self._folded.setdefault(row["sku"].lower(), []).append(item)

    def find(self, sku: str) -> tuple[Item | None, str | None]:
        """The item of a SKU, or the code of the problem."""
        found = self._exact.get(sku) or self._folded.get(sku.lower()) or []
        active = [item for item in found if item.is_active]
        if len(active) == 1:
            return active[0], None
        if active:
            return None, "order.sku_ambiguous"
        return None, "order.sku_inactive" if found else "order.sku_unknown"


@dataclass(frozen=True)
class ShopOrder:
    """One core order with its parts."""

    order: Row
    lines: Sequence[Row]
    taxes: Sequence[Row]
    addresses: Mapping[str, Row]

    @property
    def ref(self) -> str:
        """Our key."""
        return str(self.order["order_ref"])


def problems(shop: ShopOrder, route: Route | None, items: Items) -> list[Problem]:
    """Every reason why the ERP must not see this order yet."""
    if route is None:
        return [Problem("order.store_unknown", "store", "the store has no route to a company")]
    return [
        *_header_problems(shop, route),
        *_line_problems(shop, route, items),
        *_tax_problems(shop, route),
    ]


def _header_problems(shop: ShopOrder, route: Route) -> Iterable[Problem]:
    order, total = shop.order, shop.order["total_amount"]
    if order["currency"] not in route.currencies:
        allowed = ", ".join(route.currencies)
        yield Problem(
            "order.currency_not_allowed",
            "currency",
            f"{order['currency']} is not sold in this store (allowed: {allowed})",
        )
    if total < 0:
        yield Problem("order.total_negative", "total", f"the total is {total}")
    if total == 0:
        yield Problem("order.total_zero", "total", "the order is for nothing; release if meant so")
    if not any(line["kind"] == LineKind.PRODUCT for line in shop.lines):
        yield Problem("order.no_lines", "line_items", "there is no product line")
    if len(shop.lines) > MANY_LINES:
        yield Problem("order.many_lines", "line_items", f"{len(shop.lines)} lines")
    billing = shop.addresses.get("billing")
    if billing is None or not (billing["country"] and (billing["last_name"] or billing["company"])):
        yield Problem("order.address_missing", "billing", "name or country is missing")


def _line_problems(shop: ShopOrder, route: Route, items: Items) -> Iterable[Problem]:
    for line in shop.lines:
        part = f"line {line['position']}"
        code = item_code(line, route)
        if code is None:
            yield Problem("order.sku_missing", part, "the line names no SKU")
            continue
        _, trouble = items.find(code)
        if trouble:
            yield Problem(trouble, part, f"SKU {code!r} in {route.erp}: {WHY[trouble]}")
        if line["kind"] == LineKind.PRODUCT and line["quantity"] <= 0:
            yield Problem("order.quantity_zero", part, f"the quantity is {line['quantity']}")


WHY = {
    "order.sku_unknown": "not known there",
    "order.sku_inactive": "archived there",
    "order.sku_ambiguous": "several items carry it",
}


def _tax_problems(shop: ShopOrder, route: Route) -> Iterable[Problem]:
    for code in sorted({tax["rate_code"] for tax in shop.taxes} - set(route.taxes)):
        yield Problem("order.tax_unmapped", code, f"tax rate {code!r} has no tax in {route.erp}")
    if route.taxes and not shop.taxes and shop.order["total_amount"] > 0:
        yield Problem("order.tax_missing", "taxes", "a taxed store sold without any tax")


def item_code(line: Row, route: Route) -> str | None:
    """The ERP's item code behind a line."""
    if line["kind"] == LineKind.SHIPPING:
        return route.shipping_item
    if line["kind"] == LineKind.FEE:
        return route.fee_item
    sku = line["sku"]
    return None if sku is None else str(sku)


def sales_order(shop: ShopOrder, route: Route, items: Items) -> SalesOrder:
    """The document of an order that has no problems."""
    order = shop.order
    billing = shop.addresses.get("billing") or {}
    party = Party(key=str(order["customer_ref"] or shop.ref), address=_address(billing))
    shipping = shop.addresses.get("shipping")
    same = shipping is None or not shipping["street"] or _place(shipping) == _place(billing)
    return SalesOrder(
        key=shop.ref,
        store=route.store,
        order_id=str(order["order_id"]),
        number=str(order["order_number"]),
        placed_at=order["placed_at"],
        currency=order["currency"],
        company=route.company,
        warehouse=route.warehouse,
        price_list=route.price_list,
        web_shop=route.web_shop,
        party=party,
        ship_to=party if same or shipping is None else _ship_to(party, shipping),
        lines=tuple(_line(line, shop, route, items) for line in shop.lines),
        total_amount=order["total_amount"].normalize() + Decimal("0.00"),
    )


def _line(line: Row, shop: ShopOrder, route: Route, items: Items) -> SalesLine:
    code = item_code(line, route) or ""
    item, _ = items.find(code)
    if item is None:
        raise ValueError(f"{shop.ref}: a line without an item was let through")
    codes = [tax["rate_code"] for tax in shop.taxes if tax["line_ref"] == line["line_ref"]]
    names = dict.fromkeys(route.taxes.get(code, "") for code in codes)
    return SalesLine(
        key=line["line_ref"],
        kind=line["kind"],
        item=code,
        item_id=item.item_id,
        description=line["description"],
        quantity=_plain(line["quantity"]),
        net_amount=_plain(line["net_amount"]),
        tax_amount=_plain(line["tax_amount"]),
        taxes=tuple(name for name in names if name),
    )


def _plain(amount: Decimal) -> Decimal:
    """The same number without the table's trailing zeros."""
    whole = amount.normalize()
    return whole.quantize(Decimal(1)) if whole == whole.to_integral_value() else whole


def _address(row: Mapping[str, str]) -> Address:
    name = f"{row.get('first_name', '')} {row.get('last_name', '')}".strip()
    return Address(
        name=name or row.get("company", "") or "Guest",
        **{field: row.get(field, "") for field in Address.model_fields if field != "name"},
    )


def _place(row: Mapping[str, str]) -> tuple[str, ...]:
    fields = ("first_name", "last_name", "company", "street", "street2", "city", "postcode")
    return tuple(row.get(field, "") for field in (*fields, "region", "country"))


def _ship_to(party: Party, shipping: Row) -> Party:
    """The delivery address of this customer; its key changes with the place, never the person's.

    Posted invoices keep the address they name, so another place is another address.
    """
    digest = hashlib.sha256("\x1f".join(_place(shipping)).encode()).hexdigest()[:12]
    return Party(key=f"{party.key}:to:{digest}", address=_address(shipping))


def wanted_hash(document: Document) -> str:
    """Digest of what we want there; equal documents need no second write."""
    return hashlib.sha256(document.model_dump_json().encode()).hexdigest()[:32]


class Action(StrEnum):
    """What must happen in the ERP."""

    CREATE = "create"
    CANCEL = "cancel"
    #: A warehouse is asked first whether it can still be called back.
    WAIT = "wait"
    NONE = "none"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Seen:
    """What we know the ERP to hold for an order."""

    outcome: str | None = None  # accepted, cancelled, refused; None: nothing yet
    wanted_hash: str | None = None
    #: Something of it has left a warehouse.
    has_left: bool = False
    #: A warehouse that is not the ERP's own may still ship it.
    may_leave: bool = False


#: Our states in which a confirmed order must not go out.
ENDED = frozenset({OrderState.CANCELLED, OrderState.FAILED, OrderState.TRASHED})


def next_action(order: Row, route: Route, seen: Seen, wanted: str | None) -> tuple[Action, str]:
    """What to do about one order, and why in a few words."""
    state = OrderState(order["state"])
    if seen.outcome == "accepted":
        if state in ENDED and seen.has_left:
            return Action.NONE, f"the shop says {state}, and part of it has left: it is returned"
        if state in ENDED and seen.may_leave:
            return Action.WAIT, f"the shop says {state}; its warehouse is asked first"
        if state in ENDED:
            return Action.CANCEL, f"the shop says {state}"
        if wanted is not None and wanted != seen.wanted_hash:
            return Action.CONFLICT, "edited in the shop after the ERP accepted it"
        return Action.NONE, "the ERP holds it"
    if seen.outcome == "cancelled" and state in ENDED:
        return Action.NONE, "cancelled on both sides"
    if seen.outcome == "cancelled":
        return Action.CONFLICT, "cancelled in the ERP, alive in the shop"
    if state not in route.send_states:
        return Action.NONE, f"{state} is not sent"
    if route.send_from is not None and order["placed_at"] < route.send_from:
        return Action.NONE, "placed before orders of this store are sent"
    return Action.CREATE, "not there yet"
