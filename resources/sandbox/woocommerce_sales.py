"""What the orders of a WooCommerce stand-in do to its stock, and what its storefront refuses.

An order takes its stock once and gives it back once, whatever statuses it goes through; its lines
remember how much they hold. How a quantity is kept is in `woocommerce_stock.py`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from resources.sandbox.woocommerce_article import Article
from resources.sandbox.woocommerce_products import Products
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_till import Doc, Given, Till

HOLDING = frozenset({"on-hold", "processing", "completed"})
RELEASING = frozenset({"cancelled", "pending", "failed"})
HELD, RESTOCKED = "_reduced_stock", "_restock_refunded_items"


@dataclass
class Moved:
    """What happened to stock: notes to write on the order, and products to tell of."""

    notes: list[str] = field(default_factory=list)
    products: list[int] = field(default_factory=list)


class Sales:
    """The stock that the orders of one store hold."""

    def __init__(self, products: Products, till: Till) -> None:
        self.products, self.till = products, till
        self._holding: set[int] = set()

    def entered(self, order: Doc) -> Moved:
        """Take or give back stock for the status an order is in now."""
        if order["status"] in HOLDING and order["id"] not in self._holding:
            self._holding.add(order["id"])
            return self._taken(order)
        if order["status"] in RELEASING and order["id"] in self._holding:
            self._holding.discard(order["id"])
            return self._given_back(order)
        return Moved()

    def edited(self, order: Doc, before: Iterable[Doc], changes: Given) -> Moved:
        """Follow lines that were changed, added or taken away while their order holds stock."""
        moved, given = Moved(), changes.get("line_items", ())
        is_open = order["id"] in self._holding and order["status"] in HOLDING | RELEASING
        if not given or not is_open:
            return moved
        changed = {int(line["id"]) for line in given if "id" in line}
        old = {line["id"]: line for line in before}
        for line in order["line_items"]:
            if line["id"] in changed or line["id"] not in old:
                self._adjust(moved, line, line["quantity"])
        kept = {line["id"] for line in order["line_items"]}
        for line_id in old.keys() - kept:
            self._adjust(moved, old[line_id], 0)
        return moved

    def refunded(self, order: Doc, given: Iterable[Given]) -> Moved:
        """Put refunded units back on the shelf, as far as their lines hold any."""
        moved, lines = Moved(), {line["id"]: line for line in order["line_items"]}
        for one in given:
            line, units = lines.get(int(one["id"])), int(one.get("quantity", 0))
            held = _held(line) if line else 0
            if not line or not units or not held:
                continue
            done = self.products.move_stock(_sold(line), units)
            if done is None:
                continue
            keeper, old, new = done
            moved.products.append(keeper)
            moved.notes.append(f"Item #{keeper} stock increased from {old} to {new}.")
            self._remember(line, HELD, held - units)
            self._remember(line, RESTOCKED, units + _number(line, RESTOCKED))
        return moved

    def forget(self, order_id: int) -> None:
        """Forget an order that is gone; what it held is not given back."""
        self._holding.discard(order_id)

    def refuse_short(self, order: Given) -> None:
        """Refuse a basket as the storefront does when something is put into it."""
        wanted: Counter[int] = Counter()
        for line in order.get("line_items", ()):
            one = self.products.bought(line)
            if one is None:
                continue
            if one.status != "publish" or one.price is None:
                message = f"&quot;{one.name}&quot; is not available for purchase."
                raise Declined(400, "woocommerce_rest_product_not_purchasable", message)
            keeper = self.products.keeper(one.id)
            wanted[keeper.id if keeper else one.id] += int(line.get("quantity", 1))
            self._refuse(one, keeper, wanted)

    def _refuse(self, one: Article, keeper: Article | None, wanted: Counter[int]) -> None:
        leader = keeper or one
        if leader.stock_status == "outofstock":
            message = (
                f"You cannot add &quot;{one.name}&quot; to the cart because the product is out of "
                "stock."
            )
            raise Declined(400, "woocommerce_rest_product_out_of_stock", message)
        left = leader.units or 0
        if keeper is not None and keeper.backorders == "no" and wanted[keeper.id] > left:
            message = (
                f"You cannot add that amount of &quot;{one.name}&quot; to the cart because there "
                f"is not enough stock ({left} remaining)."
            )
            raise Declined(400, "woocommerce_rest_product_partially_out_of_stock", message)

    def _taken(self, order: Doc) -> Moved:
        moved, changes = Moved(), []
        for line in order["line_items"]:
            done = self.products.move_stock(_sold(line), -line["quantity"])
            if done is not None:
                keeper, old, new = done
                moved.products.append(keeper)
                changes.append(f"{line['name']} ({old}&rarr;{new})")
                self._remember(line, HELD, line["quantity"])
        if changes:
            moved.notes.append(f"Stock levels reduced: {', '.join(changes)}")
        return moved

    def _given_back(self, order: Doc) -> Moved:
        moved, changes = Moved(), []
        for line in order["line_items"]:
            held = _held(line)
            line["meta_data"] = [meta for meta in line["meta_data"] if meta["key"] != HELD]
            done = self.products.move_stock(_sold(line), held) if held else None
            if done is not None:
                keeper, old, new = done
                moved.products.append(keeper)
                changes.append(f"{line['name']} ({old}&rarr;{new})")
        if changes:
            moved.notes.append(f"Stock levels increased: {', '.join(changes)}")
        return moved

    def _adjust(self, moved: Moved, line: Doc, units: int) -> None:
        refunded = _number(line, RESTOCKED)
        difference = units - refunded - _held(line)
        if not difference:
            return
        done = self.products.move_stock(_sold(line), -difference)
        if done is not None:
            keeper, old, new = done
            moved.products.append(keeper)
            moved.notes.append(f"Adjusted stock: {line['name']} ({old}&rarr;{new})")
            self._remember(line, HELD, units - refunded)

    def _remember(self, line: Doc, key: str, units: int) -> None:
        """Write a count on the line, in place of the former one."""
        kept = next((meta for meta in line["meta_data"] if meta["key"] == key), None)
        if kept is None:
            line["meta_data"].append(self.till.meta(key, str(units), shown=True))
        else:
            kept |= {"value": str(units), "display_value": str(units)}


def _sold(line: Doc) -> int:
    return int(line["variation_id"] or line["product_id"])


def _held(line: Doc) -> int:
    return _number(line, HELD)


def _number(line: Doc, key: str) -> int:
    found = (meta["value"] for meta in line["meta_data"] if meta["key"] == key)
    return int(next(found, 0))
