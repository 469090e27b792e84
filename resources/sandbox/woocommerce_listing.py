"""Writes and changes the JSON of the products and variations of a WooCommerce stand-in.

A written product is what was given; what readers see of it (`shown`) also follows from its
parent, its prices and the clock. Keeping and finding products is in `woocommerce_products.py`.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from resources.sandbox import woocommerce_catalog as catalog
from resources.sandbox.woocommerce_images import Images
from resources.sandbox.woocommerce_prices import (
    PRICING,
    cleaned,
    due_price,
    is_on_sale,
    price_given,
)
from resources.sandbox.woocommerce_stock import is_yes, settle, stock_given, stock_shown
from resources.sandbox.woocommerce_terms import Terms
from resources.sandbox.woocommerce_till import Doc, Given, Till, written

STATUSES = ("draft", "pending", "private", "publish", "future", "auto-draft", "trash")
KINDS = ("simple", "grouped", "external", "variable")
TEXTS = (
    *("name", "description", "short_description", "catalog_visibility", "tax_status"),
    *("purchase_note", "external_url", "button_text", "shipping_class"),
)
FLAGS = ("featured", "virtual", "downloadable", "sold_individually", "reviews_allowed")
#: The recorded shop's tax classes by their short name.
TAX_CLASSES = {
    "standard": "Standard rate",
    "reduced-rate": "Reduced rate",
    "zero-rate": "Zero rate",
}
LISTS = ("upsell_ids", "cross_sell_ids", "grouped_products")
#: Fields that may be shown otherwise than they were given.
VEILED = (
    *("description", "short_description", "manage_stock", "stock_quantity", "stock_status"),
    *("backorders", "low_stock_amount", "tax_class", "weight", "dimensions"),
    "image",
)
PARAGRAPH = re.compile(r"^\s*<(p|div|ul|ol|table|h[1-6]|blockquote|section)\b")


class ProductClerk:
    """Writes the products of one store."""

    def __init__(
        self, home: str, zone: ZoneInfo, till: Till, images: Images, terms: dict[str, Terms]
    ) -> None:
        self.home, self.zone, self.till = home, zone, till
        self.images, self.terms = images, terms
        self.tax_classes = dict(TAX_CLASSES)

    def new(self, product_id: int, name: str, slug: str, when: datetime) -> Doc:
        """Write a blank product; nameless ones are called Product."""
        return catalog.product(self.home, product_id, self._born(when), name or "Product", slug)

    def new_variation(self, variation_id: int, parent_id: int, when: datetime) -> Doc:
        """Write a blank variation of a product."""
        return catalog.variation(self.home, variation_id, self._born(when), parent_id)

    def bump(self, doc: Doc, when: datetime) -> None:
        """Stamp the product as changed."""
        doc |= self.till.dates("date_modified", when)

    def change(self, doc: Doc, given: Given, when: datetime, parent: Doc | None = None) -> None:
        """Write what a request says; keys the store does not know are passed over."""
        self._plain(doc, given)
        if "categories" in given and parent is None:
            doc["categories"] = self.terms["categories"].picked(given["categories"] or ())
        if "tags" in given and parent is None:
            doc["tags"] = self.terms["tags"].picked(given["tags"] or ())
        self._pictures(doc, given, when)
        if "attributes" in given:
            read = attributes_of(given["attributes"] or (), doc["attributes"])
            doc["attributes"] = read if parent is None else options_of(given["attributes"], parent)
        self.till.merge_meta(doc, given.get("meta_data") or ())
        if doc["type"] in ("variable", "grouped"):
            given = {name: value for name, value in given.items() if name not in PRICING}
        if PRICING & given.keys():
            price_given(doc, dict(given), self.zone)
            doc["price"] = due_price(doc, written(when, UTC))
        stock_given(doc, dict(given), parent)

    def gather(self, doc: Doc, children: Sequence[Any]) -> None:
        """Bring a variable product in line with its variations that are not in the trash."""
        doc["variations"] = [child.id for child in children]
        settle(doc)
        live = [child for child in children if child.status == "publish"]
        prices = [child.price for child in live if child.price is not None]
        doc["price"] = format(min(prices), "f") if prices else ""
        doc["on_sale"] = any(child.is_on_sale for child in live)
        if not doc["manage_stock"]:
            words = {child.stock_status for child in live}
            order = ("instock", "onbackorder", "outofstock")
            doc["stock_status"] = next((word for word in order if word in words), "outofstock")

    def shown(self, doc: Doc, now: str, parent: Doc | None = None) -> Doc:
        """Return the product as lists and deliveries show it."""
        view = stock_shown(doc, parent) | {
            "permalink": self._permalink(doc, parent),
            "on_sale": doc["on_sale"] if doc["type"] == "variable" else is_on_sale(doc, now),
            "purchasable": doc["price"] != "",
            "description": paragraphs(doc["description"]),
        }
        if parent is None:
            taxable = not doc["virtual"] and doc["tax_status"] in ("taxable", "shipping")
            view["short_description"] = paragraphs(doc["short_description"])
            view |= {"shipping_required": not doc["virtual"], "shipping_taxable": taxable}
            view["has_options"] = doc["type"] == "variable"
        else:
            inherits = doc["tax_class"] == "parent"
            view["tax_class"] = parent["tax_class"] if inherits else doc["tax_class"]
            view["weight"] = doc["weight"] or parent["weight"]
            sizes = doc["dimensions"].items()
            view["dimensions"] = {n: size or parent["dimensions"][n] for n, size in sizes}
            view["image"] = doc["image"] or next(iter(parent["images"]), None)
            view["name"] = ", ".join(one["option"] for one in doc["attributes"])
        return {**doc, **view}

    def answered(self, doc: Doc, shown: Doc) -> Doc:
        """Return the product as the answer to a write has it: texts as given, and two more."""
        if doc["type"] == "variation":
            return shown | {"tax_class": doc["tax_class"]}
        texts = {name: doc[name] for name in ("description", "short_description")}
        links = shown["_links"]
        kept = {name: value for name, value in shown.items() if name != "_links"}
        template = f"{self.home}/product/%pagename%/"
        more = {"permalink_template": template, "generated_slug": slugged(doc["name"])}
        return {**kept, **texts, "average_rating": "0", **more, "_links": links}

    def _plain(self, doc: Doc, given: Given) -> None:
        """Fields that stand as they are given, or nearly so."""
        for name in TEXTS:
            if name in given and name in doc:
                doc[name] = str(given[name])
        for name in FLAGS:
            if name in given and name in doc:
                doc[name] = is_yes(given[name])
        for name in LISTS:
            if name in given and name in doc:
                doc[name] = [int(one) for one in given[name]]
        for name in ("sku", "global_unique_id"):
            if name in given:
                doc[name] = str(given[name]).strip()
        if "weight" in given:
            doc["weight"] = cleaned(given["weight"])
        if "dimensions" in given:
            sizes = {n: cleaned(size) for n, size in given["dimensions"].items()}
            doc["dimensions"] = {n: sizes.get(n, size) for n, size in doc["dimensions"].items()}
        if "menu_order" in given:
            doc["menu_order"] = int(given["menu_order"])
        self._words(doc, given)

    def _words(self, doc: Doc, given: Given) -> None:
        """Fields with a set of words; one that is none of them is put right in silence."""
        if "status" in given:
            doc["status"] = given["status"] if given["status"] in STATUSES else "draft"
        if given.get("type") in KINDS and doc["type"] != "variation":
            doc["type"] = given["type"]
        if "tax_class" in given:
            # The standard class has no name on a product.
            known = self.tax_classes.keys() - {"standard"}
            known |= {"parent"} if doc["type"] == "variation" else set()
            doc["tax_class"] = given["tax_class"] if given["tax_class"] in known else ""
        for name in ("date_created", "date_created_gmt"):
            if given.get(name):
                with suppress(ValueError):
                    doc |= self.till.dates("date_created", as_utc(str(given[name])))

    def _pictures(self, doc: Doc, given: Given, when: datetime) -> None:
        if "images" in given and "images" in doc:
            doc["images"] = [self.images.of(one, when) for one in given["images"] or ()]
        # As the program reads it, a null picture is none said of, and "" is none wanted.
        if given.get("image") is not None and "image" in doc:
            doc["image"] = self.images.of(given["image"], when) if given["image"] else None

    def _permalink(self, doc: Doc, parent: Doc | None) -> str:
        if parent is not None:
            chosen = [f"attribute_{one['slug']}={one['option']}" for one in doc["attributes"]]
            return f"{self.home}/product/{parent['slug']}/?{'&'.join(chosen)}"
        if doc["status"] in ("publish", "private"):
            return f"{self.home}/product/{doc['slug']}/"
        return f"{self.home}/?post_type=product&p={doc['id']}"

    def _born(self, when: datetime) -> Doc:
        return self.till.dates("date_created", when) | self.till.dates("date_modified", when)


def as_utc(stamp: str) -> datetime:
    """Read a date of creation; without offset it was taken for UTC, under both its names."""
    moment = datetime.fromisoformat(stamp)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def slugged(name: str) -> str:
    """Return a name as addresses have it."""
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-") or "product"


def paragraphs(text: str) -> str:
    """Return a text as readers get it: in paragraphs, and with a line end behind each."""
    if not text.strip():
        return ""
    if PARAGRAPH.match(text):
        return text.rstrip() + "\n"
    parts = [part.strip().replace("\n", "<br />\n") for part in re.split(r"\n\s*\n", text)]
    return "".join(f"<p>{part}</p>\n" for part in parts if part)


def attributes_of(given: Iterable[Given], before: Sequence[Doc]) -> list[Doc]:
    """Write the attributes of a product; the shop has none of its own that many share."""
    known = {one["name"]: one for one in before}
    found = []
    for one in given:
        name, options = str(one.get("name", "")), one.get("options", ())
        if not name:
            continue
        words = options.split("|") if isinstance(options, str) else options
        old = known.get(name, {})
        found.append(
            {
                "id": 0,
                "name": name,
                "slug": name,
                "position": int(one.get("position", old.get("position", 0))),
                "visible": is_yes(one.get("visible", False)),
                "variation": is_yes(one.get("variation", False)),
                "options": [str(word).strip() for word in words],
            }
        )
    return found


def options_of(given: Iterable[Given] | None, parent: Doc) -> list[Doc]:
    """Write what a variation is among its kind; what the parent does not vary by is dropped."""
    varied = {one["name"].lower(): one["name"] for one in parent["attributes"] if one["variation"]}
    asked = [(str(one.get("name", "")).lower(), str(one.get("option", ""))) for one in given or ()]
    return [
        {"id": 0, "name": varied[name], "slug": slugged(name), "option": option}
        for name, option in asked
        if name in varied and option
    ]
