"""What a store shall show of an ERP's products: prices, tax class, families, and why not.

Pure: rows of core tables in, wanted listings out, the clock an argument. What must change in a
shop because of it is in `listing_changes.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.catalog import Listing, ProductKind
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Row
from sync_assets.domain.ownership import GRAMS, StorePolicy

LEVELS = " / "
#: Behind the point of a weight: a milligram is more than any scale of a shop's tells.
WEIGHT_DIGITS = 6


@dataclass(frozen=True)
class Market:
    """One store as its products are made for it."""

    store: str
    erp: str
    policy: StorePolicy
    price_list: str
    currency: str
    #: What the ERP's own prices are in, where it does not say; None if nobody knows.
    own_currency: str | None
    #: SKUs of what only stands on orders: shipping, fees, rounding.
    helpers: frozenset[str] = frozenset()
    #: SKUs in small letters that more than one active item of the ERP has.
    doubled: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """One product as a store shall show it, or why it shall not."""

    key: str
    sku: str | None
    item_group: str
    core_version: int
    listing: Listing | None = None
    reason: str | None = None
    #: It is over: what the shop has of it is put away.
    is_archived: bool = False


def wanted_of(
    products: Sequence[Row], prices: Mapping[int, Sequence[Row]], market: Market, now: datetime
) -> list[Wanted]:
    """What becomes of one item, or of a family and its parent; the parent comes first."""
    singles = [_single(p, prices.get(p["item_id"], ()), market, now) for p in products if p["sku"]]
    family = products[0]["family_ref"]
    if family is None:
        return singles
    parent = _parent(family, products, singles, market)
    return [parent, *singles] if parent else singles


def _single(product: Row, prices: Sequence[Row], market: Market, now: datetime) -> Wanted:
    said = {
        "key": product["sku"],
        "sku": product["sku"],
        "item_group": product["item_group"],
        "core_version": product["raw_version"],
    }
    if reason := _why_left_out(product, market):
        return Wanted(**said, reason=reason)
    if not (product["is_active"] and product["is_for_sale"]):
        why = "archived in the ERP" if not product["is_active"] else "not for sale in the ERP"
        return Wanted(**said, reason=why, is_archived=True)
    tax, regular = _tax(product, market), price(prices, "regular", market, now)
    if isinstance(tax, str):
        return Wanted(**said, reason=tax)
    if isinstance(regular, str):
        return Wanted(**said, reason=regular)
    listing = _listing(product, market, regular["amount"], price(prices, "sale", market, now), *tax)
    return Wanted(**said, listing=listing)


def _why_left_out(product: Row, market: Market) -> str | None:
    sku = product["sku"]
    if sku in market.helpers:
        return "stands on orders only"
    if not market.policy.publishes(product["item_group"], sku):
        return "left out by the policy"
    if product["kind"] == ProductKind.SERVICE and not market.policy.publishes_services:
        return "a service"
    if sku.lower() in market.doubled:
        return "more than one item of the ERP has this SKU"
    if "," in sku or sku != " ".join(sku.split()):
        return "a SKU with a comma or blanks cannot be asked for in a shop"
    return None


def price(prices: Iterable[Row], kind: str, market: Market, now: datetime) -> Row | str:
    """The price of one piece in the store's list and currency; or why there is none.

    Of a sale the one in force, or else the next; of several the one for the larger quantity up to
    one piece, then the one that began last.
    """
    listed = [
        p
        for p in prices
        if p["kind"] == kind
        and p["price_list"] == market.price_list
        and p["minimum_units"] <= 1
        and (p["valid_until"] is None or p["valid_until"] > now)
    ]
    begun = [p for p in listed if p["valid_from"] is None or p["valid_from"] <= now]
    named = f"price list {market.price_list!r}" if market.price_list else "the ERP"
    if not begun and (kind == "regular" or not listed):
        return f"no price in {named}"
    fits = [p for p in begun or listed if _currency(p, market) == market.currency]
    if not fits:
        return f"no price in {market.currency} in {named}"
    if begun:
        return max(fits, key=lambda p: (p["minimum_units"], _began(p), -p["amount"]))
    return min(fits, key=lambda p: (p["valid_from"], p["amount"]))


def _currency(price: Row, market: Market) -> str | None:
    return price["currency"] or market.own_currency


def _began(price: Row) -> float:
    return float("-inf") if price["valid_from"] is None else price["valid_from"].timestamp()


def _tax(product: Row, market: Market) -> tuple[str, str] | str:
    """The shop's tax class and status; or why nobody knows them."""
    classes, named = market.policy.tax_classes, product["tax_class"]
    if not classes:
        return "", "taxable"
    found = classes.get(named, classes.get("*"))
    if found is None:
        return f"tax {named!r} of the ERP is not in tax_classes"
    return ("", "none") if found == "none" else ("" if found == "standard" else found, "taxable")


def _listing(
    product: Row,
    market: Market,
    regular: Decimal,
    sale: Row | str,
    tax_class: str,
    tax_status: str,
) -> Listing:
    digits = digits_of(market.currency)
    amount = rounded(regular, digits)
    reduced = None if isinstance(sale, str) else rounded(sale["amount"], digits)
    # A shop drops a sale price that is no lower; it would look like somebody's change.
    has_sale = not isinstance(sale, str) and reduced is not None and reduced < amount
    family = product["family_ref"]
    values: dict[str, Any] = {
        "key": product["sku"],
        "sku": product["sku"],
        "kind": "variation" if family else "simple",
        "parent_key": family,
        "name": product["name"],
        "description": product["description"],
        "status": "publish" if family else market.policy.new_status,
        "regular_price": amount,
        "sale_price": reduced if has_sale else None,
        "sale_from": sale["valid_from"] if has_sale and not isinstance(sale, str) else None,
        "sale_until": sale["valid_until"] if has_sale and not isinstance(sale, str) else None,
        "tax_class": tax_class,
        "tax_status": tax_status,
        "is_virtual": product["is_virtual"],
        "weight": weight(product["weight_g"], market.policy.weight_unit),
        "barcode": product["barcode"] or "",
        "categories": () if family else _categories(product, market.policy),
        "attributes": {name: (value,) for name, value in product["attributes"].items()},
        "images": tuple(product["images"]),
    }
    return Listing(**values)


def weight(grams: Decimal | None, unit: str) -> str:
    """A weight in a shop's unit, as it writes it; nothing for none."""
    if grams is None:
        return ""
    return plain_number(rounded(grams / GRAMS[unit], WEIGHT_DIGITS))


def plain_number(amount: Decimal) -> str:
    """A number without exponent and idle zeros."""
    return f"{amount.normalize():f}" if amount else "0"


def _categories(product: Row, policy: StorePolicy) -> tuple[tuple[str, ...], ...]:
    found = (shop_category(path, policy) for path in product["categories"])
    return tuple(dict.fromkeys(path for path in found if path))


def shop_category(path: str, policy: StorePolicy) -> tuple[str, ...]:
    """The shop's category of one of the ERP's; empty for the root itself."""
    mapped = policy.category_map.get(path)
    if mapped is None:
        root = policy.category_root
        mapped = path
        if root and (path == root or path.startswith(root + LEVELS)):
            mapped = path[len(root) :].removeprefix(LEVELS)
    return tuple(level.strip() for level in mapped.split(LEVELS.strip()) if level.strip())


def _parent(
    family: str, products: Sequence[Row], singles: Sequence[Wanted], market: Market
) -> Wanted | None:
    """The product that variations hang below; it is over when all of them are."""
    shown = [(one, p) for one in singles for p in products if p["sku"] == one.sku]
    live = [(one.listing, p) for one, p in shown if one.listing is not None]
    first = next((p for _, p in [*live, *shown]), None)
    if first is None:
        return None
    said = {
        "key": family,
        "sku": None,
        "item_group": first["item_group"],
        "core_version": max(p["raw_version"] for p in products),
    }
    if not live:
        is_over = all(one.is_archived for one in singles)
        reason = "none of its variations is shown" if not is_over else "all variations are over"
        return Wanted(**said, reason=reason, is_archived=is_over)
    listing = live[0][0].model_copy(
        update={
            "key": family,
            "sku": None,
            "kind": "variable",
            "parent_key": None,
            "name": first["family_name"] or first["name"],
            "status": market.policy.new_status,
            "regular_price": None,
            "sale_price": None,
            "sale_from": None,
            "sale_until": None,
            "is_virtual": False,
            "weight": "",
            "barcode": "",
            "categories": _categories(first, market.policy),
            "attributes": _options([one for one, _ in live]),
        }
    )
    return Wanted(**said, listing=listing)


def _options(listings: Sequence[Listing]) -> dict[str, tuple[str, ...]]:
    """Every option that any of the variations has, in their order."""
    found: dict[str, dict[str, None]] = {}
    for one in listings:
        for name, values in one.attributes.items():
            found.setdefault(name, {}).update(dict.fromkeys(values))
    return {name: tuple(values) for name, values in found.items()}
