"""What a WooCommerce list request asks of products, and which requests about products are refused.

What is done with accepted ones is in `woocommerce_product_answers.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from resources.sandbox.woocommerce_article import Article
from resources.sandbox.woocommerce_listing import KINDS, STATUSES
from resources.sandbox.woocommerce_query import Query, bounds, ids, paging
from resources.sandbox.woocommerce_refusals import (
    PRODUCT_SORTS,
    Complaints,
    checked_list,
    is_integer,
    split_list,
)
from resources.sandbox.woocommerce_shelf import HIDDEN, Asked, Shelf
from resources.sandbox.woocommerce_stock import BACKORDERS, STOCK_STATUSES

LIST_STATUSES = ("any", "future", "trash", "draft", "pending", "private", "publish")


@dataclass(frozen=True)
class WantedProducts(Asked[Article]):
    """What a list of products asks for."""

    skus: frozenset[str] | None = None
    part_of_sku: str = ""
    kind: str = ""
    category: int | None = None
    stock_status: str = ""
    exclude: frozenset[int] = frozenset()
    parents: frozenset[int] | None = None
    words: str = ""

    def narrowed(self) -> bool:
        """Whether anything but the bounds must be looked at product by product."""
        parts = (self.skus, self.category, self.parents)
        named = (self.part_of_sku, self.kind, self.stock_status, self.exclude, self.words)
        is_sorted_oddly = self.sort not in Shelf.SORTS
        some = any(part is not None for part in parts) or any(named) or is_sorted_oddly
        return some or super().narrowed()

    def takes(self, entry: Article) -> bool:
        """Whether the product belongs in the list."""
        sku = entry.sku.lower()
        return (
            (self.skus is None or sku in self.skus)
            and (self.part_of_sku in sku)
            and (self.kind in ("", entry.kind))
            and (self.category is None or self.category in entry.categories)
            and (self.stock_status in ("", entry.stock_status))
            and (entry.id not in self.exclude)
            and (self.parents is None or entry.parent in self.parents)
            and (self.words in entry.name.lower() or self.words in sku)
            and super().takes(entry)
        )


def wanted_products(query: Query, zone: ZoneInfo) -> WantedProducts:
    """The products a checked request asks for."""
    per_page, page = paging(query)
    skus = split_list(query["sku"].lower()) if query.get("sku") else None
    return WantedProducts(
        statuses=_statuses(query),
        sort=query.get("orderby", "date"),
        descending=query.get("order", "desc") == "desc",
        bounds=bounds(query, zone),
        include=ids(query["include"]) if query.get("include") else None,
        per_page=per_page,
        skip=int(query.get("offset", (page - 1) * per_page)),
        skus=None if skus is None else frozenset(skus),
        part_of_sku=query.get("search_sku", "").lower(),
        kind=query.get("type", ""),
        category=int(query["category"]) if query.get("category", "").isdecimal() else None,
        stock_status=query.get("stock_status", ""),
        exclude=frozenset(ids(query.get("exclude", ""))),
        parents=frozenset(ids(query["parent"])) if query.get("parent") else None,
        words=query.get("search", "").lower(),
    )


def selected(wanted: WantedProducts, candidates: list[Article]) -> tuple[int, list[Article]]:
    """How many of some products are asked for, and those of the page."""
    found = [one for one in candidates if wanted.takes(one)]
    if wanted.include is not None:
        found = [one for one in found if one.id in wanted.include]
    found.sort(key=lambda one: one.key(wanted.sort), reverse=wanted.descending)
    return len(found), found[wanted.skip : wanted.skip + wanted.per_page]


def checked_product_list(query: Query) -> None:
    """Refuse a list of products whose parameters are wrong."""
    complaints = Complaints()
    for name, words in (("status", LIST_STATUSES), ("type", KINDS)):
        if query.get(name) and query[name] not in words:
            complaints.not_one_of(name, words)
    if query.get("stock_status") and query["stock_status"] not in STOCK_STATUSES:
        complaints.not_one_of("stock_status", STOCK_STATUSES)
    for place, word in enumerate(split_list(query.get("include_status", ""))):
        if word not in LIST_STATUSES:
            complaints.not_one_of("include_status", LIST_STATUSES, f"include_status[{place}]")
    complaints.raise_any()
    checked_list(query, PRODUCT_SORTS)


def checked_product_body(body: Mapping[str, Any], *, is_variation: bool = False) -> None:
    """Refuse a product to create or change whose fields have wrong types or words."""
    complaints = Complaints()
    for name, check in BODY_CHECKS.items():
        # A variation may say that its parent manages the stock.
        if name in body and not (is_variation and name == "manage_stock"):
            check(name, body[name], complaints)
    complaints.raise_any()


def _statuses(query: Query) -> frozenset[str] | None:
    """Statuses asked for; here, unlike for orders, "any" can have the trash beside it."""
    words = split_list(query.get("include_status", "")) or split_list(query.get("status", "any"))
    if "any" not in words:
        return frozenset(words) or None
    more = frozenset(words) - {"any"}
    return frozenset(set(STATUSES) - HIDDEN) | more if more else None


def _text(name: str, value: Any, complaints: Complaints) -> None:
    if not isinstance(value, str):
        complaints.wrong_type(name, "string")


def _flag(name: str, value: Any, complaints: Complaints) -> None:
    if str(value).lower() not in ("true", "false", "1", "0"):
        complaints.wrong_type(name, "boolean")


def _whole(name: str, value: Any, complaints: Complaints) -> None:
    if value is not None and not is_integer(value):
        complaints.wrong_type(name, "integer")


def _list(name: str, value: Any, complaints: Complaints) -> None:
    if not isinstance(value, list):
        complaints.wrong_type(name, "array")
    else:
        for place, one in enumerate(value):
            if not isinstance(one, dict):
                complaints.wrong_type(name, "object", f"{name}[{place}]")


def _size(name: str, value: Any, complaints: Complaints) -> None:
    if not isinstance(value, dict):
        complaints.wrong_type(name, "object")


def _one_of(*words: str) -> Callable[[str, Any, Complaints], None]:
    def check(name: str, value: Any, complaints: Complaints) -> None:
        if not isinstance(value, str):
            complaints.wrong_type(name, "string")
        elif value not in words:
            complaints.not_one_of(name, words)

    return check


BODY_CHECKS: Mapping[str, Callable[[str, Any, Complaints], None]] = {
    **dict.fromkeys(("name", "slug", "description", "short_description", "sku"), _text),
    **dict.fromkeys(("regular_price", "sale_price", "tax_class", "weight"), _text),
    **dict.fromkeys(("global_unique_id", "purchase_note"), _text),
    **dict.fromkeys(("manage_stock", "virtual", "downloadable", "featured"), _flag),
    **dict.fromkeys(("sold_individually", "reviews_allowed"), _flag),
    **dict.fromkeys(("stock_quantity", "low_stock_amount", "menu_order"), _whole),
    **dict.fromkeys(("categories", "tags", "images", "attributes", "meta_data"), _list),
    "dimensions": _size,
    "type": _one_of(*KINDS),
    "status": _one_of(*STATUSES),
    "tax_status": _one_of("taxable", "shipping", "none"),
    "backorders": _one_of(*BACKORDERS),
    "stock_status": _one_of(*STOCK_STATUSES),
}
