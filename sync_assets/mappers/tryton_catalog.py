"""Tryton's products in our words: what is sold, for how much, what a kit is made of. Pure.

Its stock is in `tryton_stock.py`, its price formulas in `tryton_prices.py`. What cannot be said
in our words is a problem of its own; the rest of the product goes on.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sync_assets.domain.catalog import CatalogRows, ProductKind
from sync_assets.domain.money import rounded
from sync_assets.domain.orders import Problem, Row
from sync_assets.mappers.payload import Faults, Part, storable
from sync_assets.mappers.tryton_prices import (
    Unclear,
    in_force,
    is_dated,
    minimum_of,
    period,
    problem_of,
    worked_out,
)
from sync_assets.mappers.tryton_stock import stock_level, stock_movement

__all__ = ["products", "stock_level", "stock_movement"]

Payload = Mapping[str, Any]

TYPES = ("goods", "assets", "service", "kit")
#: Identifiers that a shop can show as the bar code, best first.
BARCODES = ("ean", "isbn", "ismn")
#: Grams of one unit, by the symbols of Tryton's units of weight.
GRAMS = {
    "mg": Decimal("0.001"),
    "g": Decimal(1),
    "kg": Decimal(1000),
    "t": Decimal(1_000_000),
    "ct": Decimal("0.2"),
    "oz": Decimal("28.349523125"),
    "lb": Decimal("453.59237"),
}
#: More of one thing in one kit is a mistake, and would not fit its column.
MOST_UNITS = Decimal(10) ** 9


def products(payload: Payload, system: str) -> CatalogRows:
    """Return the rows of one product; raises Rejected where it cannot be read."""
    faults = Faults("product.malformed")
    item = Part(payload, "", faults)
    template = _template(item)
    product = _product(item, template, system)
    problems = _doubts(item, template, product)
    prices = _prices(item, template, product, problems)
    components = _components(item, product, problems)
    faults.settle()
    return CatalogRows(product, prices, components, list(dict.fromkeys(problems)))


def _template(item: Part) -> Part:
    """What is told of the template, under a key that ends in a point there."""
    found = item.part("template.")
    return Part(found.body, "template", found.faults)


def _product(item: Part, template: Part, system: str) -> Row:
    item_id = int(item.id("id") or 0)
    kind = _kind(item, template)
    is_one_of_many = _is_one_of_many(item)
    categories = _texts(item, "categories")
    return {
        "system": system,
        "item_id": item_id,
        "sku": item.word("code"),
        "family_ref": f"{system}:{template.id('id')}" if is_one_of_many else None,
        "family_name": template.text("name") if is_one_of_many else None,
        "kind": kind.value,
        "name": template.text("name"),
        "description": item.optional("web_shop_description") or item.blank("description"),
        "is_active": bool(item.body.get("active") and template.body.get("active")),
        "is_for_sale": bool(template.body.get("salable")),
        "is_stocked": template.body.get("type") in ("goods", "assets")
        and not template.body.get("consumable"),
        "is_virtual": kind is ProductKind.SERVICE,
        "tax_class": "+".join(sorted(_texts(item, "taxes"))),
        "weight_g": _weight_g(template),
        "barcode": _barcode(item),
        "item_group": categories[0] if categories else item.optional("account_category"),
        "categories": categories,
        "attributes": dict(_attributes(item)),
        "images": _images(item),
        "changed_at": _changed_at(item, template),
    }


def _kind(item: Part, template: Part) -> ProductKind:
    word = template.text("type")
    if word not in TYPES:
        template.fault("type", "is a word we do not know")
    if word == "kit":
        return ProductKind.KIT
    if word == "service":
        return ProductKind.SERVICE
    return ProductKind.VARIATION if _is_one_of_many(item) else ProductKind.SIMPLE


def _is_one_of_many(item: Part) -> bool:
    """Whether its template has other variants, archived ones too: a family does not flicker."""
    variants = item.body.get("variants", 1)
    return isinstance(variants, int) and variants > 1


def _texts(item: Part, key: str) -> list[str]:
    """The texts of a list that may be left out."""
    values = item.body.get(key) or []
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        item.fault(key, "is not a list of texts")
        return []
    return [storable(one) for one in values]


def _changed_at(item: Part, template: Part) -> datetime:
    """A price is a change of the template only."""
    return max(item.instant("last_modified_at"), template.instant("last_modified_at"))


def _weight_g(template: Part) -> Decimal | None:
    if template.body.get("weight") is None:
        return None
    grams = GRAMS.get(_weight_unit(template))
    return None if grams is None else rounded(template.measure("weight") * grams, 6)


def _weight_unit(template: Part) -> str:
    unit = template.body.get("weight_uom.")
    return str(unit.get("symbol")) if isinstance(unit, Mapping) else ""


def _barcode(item: Part) -> str | None:
    codes = {one.optional("type"): one.text("code") for one in reversed(item.parts("identifiers"))}
    return next((codes[kind] for kind in BARCODES if codes.get(kind)), None)


def _attributes(item: Part) -> Iterator[tuple[str, str]]:
    """Attributes by the words that people read; those without a value are left out."""
    words = _objects(item, "attribute_words")
    for name, value in _objects(item, "attributes").items():
        known = words.get(name) or {}
        text = _said(value, known.get("options") or {})
        if text:
            yield storable(str(known.get("label") or name)), storable(text)


def _objects(item: Part, key: str) -> Payload:
    found = item.body.get(key) or {}
    if not isinstance(found, Mapping):
        item.fault(key, "is not an object")
        return {}
    return found


def _said(value: object, options: Mapping[str, str]) -> str:
    if isinstance(value, list):
        return ", ".join(filter(None, (_said(one, options) for one in value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value.normalize():f}"
    return "" if value is None else options.get(str(value), str(value))


def _images(item: Part) -> list[str]:
    """The address of the picture, without the size of the thumbnail and the time of the product."""
    url = item.optional("image_url")
    return [urlunsplit(urlsplit(url)._replace(query=""))] if url else []


def _doubts(item: Part, template: Part, product: Row) -> list[Problem]:
    found = []
    if product["family_ref"] and not product["attributes"]:
        text = "it is one of several variants, and no attribute says which"
        found.append(Problem("product.variants_alike", "attributes", text))
    if product["weight_g"] is None and template.body.get("weight") is not None:
        text = "its weight is in a unit that we do not know"
        found.append(Problem("product.weight_unclear", "template.weight_uom", text))
    for part in _texts(item, "unreadable"):
        found.append(Problem("product.unclear", part, "our user may not read it in Tryton"))
    return found


# Prices


def _prices(item: Part, template: Part, product: Row, problems: list[Problem]) -> list[Row]:
    own = _own_price(item, template)
    if own is not None and own < 0:
        problems.append(Problem("product.price_unclear", "list_price", "the price is negative"))
        own = None
    company = _objects(item, "company")
    found = {}
    if own is not None:
        row = _price(product, company, "", "regular", Decimal(), own)
        found[row["price_ref"]] = row
    for row in _listed(item, product, company, own, problems):
        found.setdefault(row["price_ref"], row)  # the first line that matches wins
    return list(found.values())


def _own_price(item: Part, template: Part) -> Decimal | None:
    """The variant's price where the server says so, else that of its template."""
    for part, key in ((item, "list_price_used"), (template, "list_price")):
        if part.body.get(key) is not None:
            return part.amount(key)
    return None


def _listed(
    item: Part, product: Row, company: Payload, own: Decimal | None, problems: list[Problem]
) -> Iterator[Row]:
    by_list: dict[str, list[Part]] = {}
    for line in item.parts("prices") if "prices" in item.body else []:
        by_list.setdefault(line.text("list"), []).append(line)
    for name, lines in by_list.items():
        for line in in_force(lines):
            try:
                amount = worked_out(line.text("formula"), own)
            except Unclear as why:
                problems.append(problem_of(line, str(why)))
                continue
            if amount < 0:
                problems.append(problem_of(line, "is negative"))
                continue
            kind = "sale" if is_dated(line) else "regular"
            times = period(line, company.get("timezone"))
            yield _price(product, company, name, kind, minimum_of(line), amount, *times)


def _price(
    product: Row,
    company: Payload,
    price_list: str,
    kind: str,
    minimum: Decimal,
    amount: Decimal,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
) -> Row:
    start = valid_from.isoformat() if valid_from else ""
    parts = (
        product["system"],
        product["item_id"],
        price_list,
        kind,
        f"{minimum.normalize():f}",
        start,
    )
    return {
        "price_ref": ":".join(map(str, parts)),
        "system": product["system"],
        "item_id": product["item_id"],
        "sku": product["sku"],
        "price_list": price_list,
        "currency": company.get("currency"),
        "kind": kind,
        "minimum_units": minimum,
        "amount": amount,
        "valid_from": valid_from,
        "valid_until": valid_until,
    }


# Kits


def _components(item: Part, product: Row, problems: list[Problem]) -> list[Row]:
    """What a kit is made of; one that cannot be counted has a stock that nobody knows."""
    parts = item.parts("components") if "components" in item.body else []
    if product["kind"] != ProductKind.KIT:
        if parts:
            text = "it is no kit, but components are sold along with it"
            problems.append(Problem("product.components_unclear", "components", text))
        return []
    if not parts:
        item.fault("components", "is empty, but it is a kit")
    units: dict[int, Decimal] = {}
    skus: dict[int, str | None] = {}
    for part in parts:
        number, count = int(part.id("item") or 0), _component_units(part)
        if part.body.get("fixed") or not 0 < count < MOST_UNITS:
            part.fault("units", "is not a number of units for each kit")
        units[number] = units.get(number, Decimal()) + count
        skus[number] = part.word("sku")
    return [
        {
            "system": product["system"],
            "item_id": product["item_id"],
            "sku": product["sku"],
            "component_id": number,
            "component_sku": skus[number],
            "component_units": count,
        }
        for number, count in units.items()
    ]


def _component_units(part: Part) -> Decimal:
    """Units in the component's own unit of measure."""
    count = part.measure("units")
    if part.body.get("factor") is None:
        return count
    own = part.measure("own_factor")
    exact = count * part.measure("factor") / own if own else Decimal()
    return rounded(exact, 6) if abs(exact) < MOST_UNITS else exact
