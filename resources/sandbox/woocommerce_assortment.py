"""What the owner of a WooCommerce stand-in does to its products: the Python door for tests, the
demo and simulations.

The products themselves are kept in `woocommerce_products.py`; orders are the store's.
"""

import json
from collections.abc import Sequence
from typing import Any

from resources.sandbox.woocommerce_article import Article
from resources.sandbox.woocommerce_products import Products
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_terms import Terms
from resources.sandbox.woocommerce_till import Doc, Given

#: The recorded shop's first category; what is given none lies there.
FIRST_CATEGORY = 15


class Assortment:
    """The products of one store, as its owner sees them."""

    products: Products
    terms: dict[str, Terms]

    def add_product(self, sku: str, name: str, price: Any = "", **given: Any) -> int:
        """Offer a simple article; more fields may be given as the API has them."""
        return self.products.create(_article(sku, price, name=name, **given)).id

    def add_variable(
        self, sku: str, name: str, variations: Sequence[Given], **given: Any
    ) -> list[int]:
        """Offer an article in variations, each {sku, price, units, attributes: {name: option}}.

        Return the ids: the parent's, then those of the variations in their order.
        """
        options: dict[str, list[str]] = {}
        for one in variations:
            for attribute, option in one.get("attributes", {}).items():
                options.setdefault(attribute, [])
                options[attribute] += [] if option in options[attribute] else [option]
        varied = [
            {"name": attribute, "variation": True, "visible": True, "options": found}
            for attribute, found in options.items()
        ]
        body = {"type": "variable", "name": name, "sku": sku, "attributes": varied, **given}
        parent = self.products.create(body).id
        return [parent, *(self._add_variation(parent, one) for one in variations)]

    def edit_product(self, product_id: int, **changes: Any) -> None:
        """Change a product or variation as a PUT does: it is bumped even by nothing at all."""
        self.products.change(product_id, changes)

    def trash_product(self, product_id: int) -> None:
        """Put a product into the trash, its variations with it."""
        self.products.trash(product_id)

    def restore_product(self, product_id: int) -> None:
        """Take a product out of the trash as the admin pages do."""
        self.products.restore(product_id)

    def delete_product(self, product_id: int) -> None:
        """Delete a product for good; no list or webhook tells."""
        self.products.delete(product_id)

    def set_stock(self, sku: str, units: int, backorders: str = "no") -> None:
        """Set the quantity of a SKU, which is managed from then on."""
        given = {"manage_stock": True, "stock_quantity": units, "backorders": backorders}
        self.products.change(self._sold(sku).id, given)

    def overwrite_stock(self, sku: str, units: int) -> None:
        """Write a quantity past the store, as importers do: no bump, no webhook."""
        self.products.overwrite_stock(self._sold(sku).id, units)

    def stock_of(self, sku: str) -> int | None:
        """Tell the quantity that counts for a SKU; none where stock is not managed."""
        keeper = self.products.keeper(self._sold(sku).id)
        return keeper.units if keeper is not None else None

    def product_json(self, product_id: int) -> Doc:
        """Show a product or variation as the store does."""
        found: Doc = json.loads(self.products.text(self.products.known(product_id)))
        return found

    def products_with(self, sku: str) -> list[int]:
        """Return the ids of all that have a SKU, trashed ones and twins among them."""
        return [one.id for one in self.products.with_sku(sku)]

    def count_products(self, status: str | None = None) -> int:
        """Count products, variations left out: all but trashed ones, or those in one status."""
        found = self.products.goods.entries.values()
        if status is None:
            return sum(one.status != "trash" for one in found)
        return sum(one.status == status for one in found)

    def add_category(self, name: str, parent: int = 0) -> int:
        """Add a category, or the one of that name and parent that is there; return its id."""
        try:
            return self.terms["categories"].add(name, parent)
        except Declined as known:
            return int(known.body["data"]["resource_id"])

    def rename_category(self, category_id: int, name: str) -> None:
        """Rename a category; its products show it and are not bumped."""
        self.terms["categories"].change(category_id, {"name": name})
        self.products.reprint(category_id=category_id)

    def admit_twins(self, times: int = 1) -> None:
        """Let the next creations overlook that their SKU is taken, as two at once do."""
        self.products.blind_creations += times

    def run_scheduler(self) -> list[int]:
        """Run the shop's own jobs: sales that began or ended reach the prices."""
        return self.products.run_scheduler()

    def _add_variation(self, parent_id: int, one: Given) -> int:
        plain = {n: v for n, v in one.items() if n not in ("sku", "price", "attributes")}
        chosen = [{"name": n, "option": v} for n, v in one.get("attributes", {}).items()]
        body = _article(one.get("sku", ""), one.get("price", ""), attributes=chosen, **plain)
        return self.products.create_variation(parent_id, body).id

    def _sold(self, sku: str) -> Article:
        one = self.products.sold_as(sku)
        if one is None:
            raise Declined(404, "woocommerce_rest_product_invalid_id", f"No product with {sku!r}.")
        return one


def _article(sku: str, price: Any, *, units: int | None = None, **given: Any) -> Doc:
    """A request for an article; `units` says that its stock is managed."""
    stock = {} if units is None else {"manage_stock": True, "stock_quantity": units}
    return {"sku": sku, "regular_price": str(price), **stock, **given}


def terms_of(home: str) -> dict[str, Terms]:
    """The categories and tags of a new shop."""
    categories = Terms(home, "categories", FIRST_CATEGORY)
    categories.default = categories.add("Uncategorized")
    return {"categories": categories, "tags": Terms(home, "tags", FIRST_CATEGORY + 10_000)}
