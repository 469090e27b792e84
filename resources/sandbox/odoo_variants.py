"""Variants, categories, price rules and kits of the Odoo stand-in: how they are named, what is
worked out on reading, and which variants a new product gets. Attributes added later make none.
"""

from collections.abc import Callable
from decimal import Decimal
from itertools import product as combined
from typing import Any

from resources.sandbox.odoo_orm import ZERO, Context, Database, Derived, Rules, along
from resources.sandbox.odoo_rows import Row

LINE, VALUE = "product.template.attribute.line", "product.template.attribute.value"
CATEGORY, RULE = "product.category", "product.pricelist.item"
VALUES = "product_template_attribute_value_ids"


def combinations(db: Database, template: int) -> list[tuple[int, ...]]:
    """The attribute values of each variant a product gets; one variant without attributes."""
    lines = sorted(db.tables.find(LINE, "product_tmpl_id", template))
    return list(combined(*(sorted(db.tables.find(VALUE, "attribute_line_id", i)) for i in lines)))


def has_several(db: Database, template: int) -> bool:
    """Whether a product has several variants, so that it has no article code of its own."""
    return len(db.tables.find("product.product", "product_tmpl_id", template)) > 1


def bom_of(db: Database, product: int) -> int | None:
    """The bill of components of a kit, where kits are known at all."""
    if "mrp.bom" not in db.models:
        return None
    template = db.tables.rows["product.product"][product]["product_tmpl_id"]
    found = sorted(db.tables.find("mrp.bom", "product_tmpl_id", template))
    for bom in found:
        row = db.tables.rows["mrp.bom"][bom]
        if row["type"] == "phantom" and row.get("product_id") in (None, product):
            return bom
    return None


class AttributeLine(Rules):
    """Attributes of a product: a value of its own for each value chosen."""

    def created(self, db: Database, id_: int, context: Context) -> None:
        for value in db.value(LINE, id_, "value_ids"):
            row = {"product_attribute_value_id": value, "attribute_line_id": id_}
            db.create(VALUE, row, context)


class PriceRule(Rules):
    """Price rules: for everything at a fixed price unless said otherwise."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        for name, value in (("applied_on", "3_global"), ("compute_price", "fixed")):
            row.setdefault(name, value)
        row.setdefault("base", "list_price")


class Attribute(Rules):
    """Attributes make their variants at once unless said otherwise."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        row.setdefault("create_variant", "always")


class Bill(Rules):
    """Bills of components and their lines: one piece unless said otherwise."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        row.setdefault("product_qty", Decimal(1))
        row.setdefault("product_uom_id", 1)
        row.setdefault("type", "normal")


RULES: dict[str, Rules] = {
    LINE: AttributeLine(),
    RULE: PriceRule(),
    "product.attribute": Attribute(),
    "mrp.bom": Bill(),
    "mrp.bom.line": Bill(),
}


# Names and values worked out on reading


def values_shown(db: Database, product: int) -> str:
    """The values that tell a variant from its siblings, as its name shows them."""
    values = _telling(db, product, {})
    return f" ({', '.join(_value_name(db, id_, {}) for id_ in values)})" if values else ""


def _telling(db: Database, product: int, context: Context) -> tuple[int, ...]:
    row = db.tables.get("product.product", product) or {}
    return tuple(
        value
        for value in row.get(VALUES, ())
        if len(db.follow(VALUE, value, "attribute_line_id.value_ids")) > 1
    )


def _value_name(db: Database, id_: int, context: Context) -> str:
    return str(db.follow(VALUE, id_, "product_attribute_value_id.name"))


def _price(db: Database, product: int, context: Context) -> Decimal:
    row = db.tables.get("product.product", product) or {}
    price = db.follow("product.product", product, "product_tmpl_id.list_price")
    extras = (db.value(VALUE, value, "price_extra") for value in row.get(VALUES, ()))
    return sum(extras, Decimal(price or ZERO))


def _path(db: Database, id_: int, name: str) -> list[Any]:
    parts: list[Any] = []
    at: int | None = id_
    while at is not None:
        parts.insert(0, db.value(CATEGORY, at, name))
        at = db.value(CATEGORY, at, "parent_id")
    return parts


def _category_name(db: Database, id_: int, context: Context) -> str:
    return " / ".join(_path(db, id_, "name"))


def _category_path(db: Database, id_: int, context: Context) -> str:
    return "".join(f"{part}/" for part in _path(db, id_, "id"))


NAMES: dict[str, Callable[[Database, int, Context], str]] = {
    CATEGORY: _category_name,
    VALUE: lambda db, id_, context: (
        f"{db.follow(VALUE, id_, 'attribute_line_id.attribute_id.name')}: "
        f"{_value_name(db, id_, context)}"
    ),
}

DERIVED: dict[tuple[str, str], Derived] = {
    ("product.product", "lst_price"): _price,
    ("product.product", "product_template_variant_value_ids"): _telling,
    ("product.template", "weight_uom_name"): lambda db, id_, context: "kg",
    (CATEGORY, "complete_name"): _category_name,
    (CATEGORY, "parent_path"): _category_path,
    (VALUE, "name"): _value_name,
    (VALUE, "attribute_id"): along(VALUE, "attribute_line_id.attribute_id"),
    (VALUE, "product_tmpl_id"): along(VALUE, "attribute_line_id.product_tmpl_id"),
    (RULE, "currency_id"): along(RULE, "pricelist_id.currency_id"),
    (RULE, "company_id"): along(RULE, "pricelist_id.company_id"),
}
