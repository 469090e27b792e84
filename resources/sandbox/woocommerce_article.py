"""One version of one product or variation of a WooCommerce stand-in, as it is kept: text with a
few keys beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from resources.sandbox.woocommerce_call import rendered
from resources.sandbox.woocommerce_listing import VEILED
from resources.sandbox.woocommerce_prices import amount, is_on_sale
from resources.sandbox.woocommerce_shelf import Key, packed, unpacked
from resources.sandbox.woocommerce_till import Doc

#: What variations take over from their parent, or say through it.
PASSED_ON = (
    *("slug", "tax_class", "weight", "dimensions", "manage_stock", "stock_quantity"),
    *("stock_status", "backorders", "low_stock_amount", "images"),
)


@dataclass(slots=True, frozen=True)
class Article:
    """One version; `veiled` are the fields that readers see otherwise than they were given."""

    id: int
    parent: int
    kind: str
    status: str
    sku: str
    barcode: str
    name: str
    slug: str
    created: str
    modified: str
    price: Decimal | None
    regular: str
    sale: str
    window: tuple[str | None, str | None]
    is_on_sale: bool
    is_managed: bool
    units: int | None
    backorders: str
    stock_status: str
    categories: tuple[int, ...]
    veiled: Mapping[str, Any]
    packed: bytes
    former: "Article | None" = None

    def text(self, now: str) -> str:
        """The article's JSON at a UTC stamp: a sale flips by the clock, and nothing else does."""
        text = unpacked(self.packed)
        if self.window == (None, None) or self.kind == "variable":
            return text
        is_now = is_on_sale(self._sale(), now)
        if is_now == self.is_on_sale:
            return text
        words = f'"on_sale":{str(self.is_on_sale).lower()}', f'"on_sale":{str(is_now).lower()}'
        return text.replace(*words, 1)

    def doc(self) -> Doc:
        """The article as it was given, to be changed."""
        found: Doc = json.loads(unpacked(self.packed))
        return {**found, **self.veiled}

    def key(self, sort: str) -> Key:
        """Where the article stands in a list sorted by `sort`."""
        match sort:
            case "date":
                return (self.created, self.id)
            case "modified":
                return (self.modified, self.id)
            case "title":
                return (self.name.lower(), self.id)
            case "slug":
                return (self.slug, self.id)
            case "price":
                return (f"{self.price or Decimal():020.6f}", self.id)
        return ("", self.id)

    def after(self, old: "Article") -> "Article":
        """This version, with the one before it kept for stale reads."""
        return replace(self, former=replace(old, former=None))

    def due(self, now: str) -> str:
        """The price it should have at a UTC stamp."""
        return self.sale if is_on_sale(self._sale(), now) else self.regular

    def _sale(self) -> Doc:
        start, end = self.window
        dates = {"date_on_sale_from_gmt": start, "date_on_sale_to_gmt": end}
        return {"sale_price": self.sale, "regular_price": self.regular, **dates}


def article(doc: Doc, shown: Doc) -> Article:
    """Keep a written product beside what readers see of it."""
    return Article(
        id=doc["id"],
        parent=doc["parent_id"],
        kind=doc["type"],
        status=doc["status"],
        sku=doc["sku"],
        barcode=doc["global_unique_id"],
        name=shown["name"],
        slug=doc.get("slug", ""),
        created=doc["date_created_gmt"],
        modified=doc["date_modified_gmt"],
        price=amount(doc["price"]),
        regular=doc["regular_price"],
        sale=doc["sale_price"],
        window=(doc["date_on_sale_from_gmt"], doc["date_on_sale_to_gmt"]),
        is_on_sale=shown["on_sale"],
        is_managed=doc["manage_stock"],
        units=shown["stock_quantity"],
        backorders=shown["backorders"],
        stock_status=shown["stock_status"],
        categories=tuple(term["id"] for term in doc.get("categories", ())),
        veiled={n: doc[n] for n in VEILED if n in doc and doc[n] != shown[n]},
        packed=packed(rendered(shown)),
    )
