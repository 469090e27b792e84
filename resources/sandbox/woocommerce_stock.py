"""Stock of one product of a WooCommerce stand-in: what a written quantity means, and what follows.

Orders that take from it are in `woocommerce_sales.py`.
"""

import re
from typing import Any

from resources.sandbox.woocommerce_till import Doc

BACKORDERS = ("no", "notify", "yes")
STOCK_STATUSES = ("instock", "outofstock", "onbackorder")
WHOLE = re.compile(r"\s*([+-]?\d+)")


def whole(given: Any) -> int:
    """Return a quantity as PHP reads one: 7.9 is 7, a word is 0, nothing is 0."""
    found = WHOLE.match(str(given))
    return int(found[1]) if found else 0


def is_yes(given: Any) -> bool:
    """Return whether the shop takes a value for yes."""
    return str(given).lower() in ("1", "true", "yes", "on")


def stock_given(doc: Doc, given: Doc, parent: Doc | None = None) -> None:
    """Write the stock fields of a request; a quantity without management is dropped in silence."""
    if "manage_stock" in given:
        doc["manage_stock"] = given["manage_stock"] != "parent" and is_yes(given["manage_stock"])
    if given.get("backorders") in BACKORDERS:
        doc["backorders"] = given["backorders"]
    if given.get("stock_status") in STOCK_STATUSES:
        doc["stock_status"] = given["stock_status"]
    if "low_stock_amount" in given:
        low = given["low_stock_amount"]
        doc["low_stock_amount"] = None if low in (None, "") else whole(low)
    if "stock_quantity" in given:
        doc["stock_quantity"] = whole(given["stock_quantity"])
    elif "inventory_delta" in given:
        doc["stock_quantity"] = (doc["stock_quantity"] or 0) + whole(given["inventory_delta"])
    settle(doc, parent)


def settle(doc: Doc, parent: Doc | None = None) -> None:
    """Bring quantity, backorders and status in line, as every save does.

    A variation under a parent that manages stock keeps a quantity of its own, which counts for
    nothing until the parent stops.
    """
    leader = doc if doc["manage_stock"] else parent
    if leader is None or not leader["manage_stock"]:
        doc |= {"stock_quantity": None, "backorders": "no", "low_stock_amount": None}
    else:
        doc["stock_status"] = status_of(leader["stock_quantity"], leader["backorders"])


def status_of(units: int | None, backorders: str) -> str:
    """Return the status of a managed quantity."""
    if (units or 0) > 0:
        return "instock"
    return "outofstock" if backorders == "no" else "onbackorder"


def stock_shown(doc: Doc, parent: Doc | None = None) -> Doc:
    """Return the stock fields as the shop shows them: a parent that manages speaks for all."""
    shown = {name: doc[name] for name in SHOWN}
    if parent is not None and parent["manage_stock"] and not doc["manage_stock"]:
        shown = {name: parent[name] for name in SHOWN} | {"manage_stock": "parent"}
    may_wait = shown["backorders"] != "no"
    is_short = bool(shown["manage_stock"]) and may_wait and (shown["stock_quantity"] or 0) < 1
    is_late = is_short or (not shown["manage_stock"] and shown["stock_status"] == "onbackorder")
    return shown | {"backorders_allowed": may_wait, "backordered": is_late}


SHOWN = ("manage_stock", "stock_quantity", "stock_status", "backorders", "low_stock_amount")
