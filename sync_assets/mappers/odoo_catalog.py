"""Odoo's items in our words: product, prices and components of kits. Pure; 18 and 19.

Odoo says `false` for every missing value. A price rule that is no plain price, and a part that the
user may not read, is reported; a kit whose components cannot be counted is refused, since without
them its stock would be made up.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from sync_assets.domain.catalog import CatalogRows, ProductKind
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.mappers.odoo import MOMENT
from sync_assets.mappers.odoo_stock import number as _number
from sync_assets.mappers.payload import storable

Payload = Mapping[str, Any]

#: Odoo's types of product; a combo is a choice the customer makes, which no shop can be told.
IS_SERVICE = {"consu": False, "product": False, "service": True}
GRAMS = {"kg": Decimal(1000), "g": Decimal(1), "lb": Decimal("453.59237")}
#: What the tables keep behind the point; more is noise of the server's binary numbers.
DIGITS = 6
ALL = Decimal(100)


def products(payload: Payload, system: str) -> CatalogRows:
    """Return an item as rows; raises Rejected where it cannot be told what is sold."""
    try:
        return _Item(payload, system).rows()
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as fault:
        # The fault may quote a value; its kind and our key of it are enough to find it.
        text = f"the item cannot be read ({type(fault).__name__})"
        raise Rejected([Problem("thing.malformed", "item", text)]) from fault


class _Item:
    """One item, and what of it cannot be said in ours."""

    def __init__(self, payload: Payload, system: str) -> None:
        self.payload, self.system = payload, system
        self.template: Payload = payload["template"]
        self.item_id, self.sku = int(payload["id"]), _text(payload["default_code"]) or None
        self.problems: list[Problem] = []

    def rows(self) -> CatalogRows:
        """The item's rows, the product last, since it depends on what was found."""
        components = self.components()
        prices = list(self.prices())
        product = self.product(bool(components))
        for part in self.payload["unreadable"]:
            text = f"the user may not read {part} in Odoo"
            self.problem("product.unclear", part, text)
        return CatalogRows(product, prices, components, self.problems)

    def problem(self, code: str, part: str, text: str) -> None:
        """Note something that cannot be said, once."""
        found = Problem(code, part, text)
        if found not in self.problems:
            self.problems.append(found)

    def product(self, is_kit: bool) -> Row:
        """The row of core.products."""
        payload, template = self.payload, self.template
        several = bool(payload["product_template_variant_value_ids"])
        family, group = _text(template["name"]), _name(template.get("categ_id"))
        changed = max(payload["write_date"], template["write_date"])
        return {
            "system": self.system,
            "item_id": self.item_id,
            "sku": self.sku,
            "family_ref": f"{self.system}:{template['id']}" if several else None,
            "family_name": family if several else None,
            "kind": self.kind(is_kit, several),
            "name": self.name(family, several),
            "description": _text(template.get("description_sale")),
            "is_active": bool(payload["active"] and template["active"]),
            "is_for_sale": bool(template.get("sale_ok")),
            "is_stocked": bool(template.get("is_storable")) or template["type"] == "product",
            "is_virtual": self.is_service,
            "tax_class": self.tax_class(),
            "weight_g": self.weight(),
            "barcode": _text(payload["barcode"]) or None,
            "item_group": group,
            "categories": [group] if group else [],
            "attributes": self.attributes,
            "images": [_text(image) for image in payload["images"]],
            "changed_at": _moment(changed),
        }

    @property
    def attributes(self) -> dict[str, str]:
        """Attribute names to values."""
        return {_text(k): _text(v) for k, v in self.payload["attributes"].items()}

    @property
    def is_service(self) -> bool:
        """Whether there is nothing to ship; raises Rejected for a type we do not know."""
        word = self.template["type"]
        if word not in IS_SERVICE:
            text = f"Odoo calls the item {word!r}, which cannot be sold through a shop"
            raise Rejected([Problem("thing.malformed", "type", text)])
        return IS_SERVICE[word]

    def kind(self, is_kit: bool, several: bool) -> str:
        """What stands behind the SKU; a kit with variants is a kit of a family."""
        if is_kit:
            return ProductKind.KIT.value
        if self.is_service:
            return ProductKind.SERVICE.value
        return ProductKind.VARIATION.value if several else ProductKind.SIMPLE.value

    def name(self, family: str, several: bool) -> str:
        """The name, with its values where it is one of several, as people see it in Odoo."""
        values = ", ".join(self.attributes.values())
        return f"{family} ({values})" if several and values else family

    def tax_class(self) -> str:
        """Names of the sales taxes, in Odoo's order; companies may share a name."""
        names = (_text(tax["name"]) for tax in self.template["taxes"])
        return "+".join(dict.fromkeys(names))

    def weight(self) -> Decimal | None:
        """Weight in grams; Odoo says 0 for none."""
        weight, unit = _number(self.payload["weight"]), self.template.get("weight_uom_name", "kg")
        if not weight:
            return None
        if unit not in GRAMS or weight < 0:
            self.problem("product.weight_unclear", "weight", f"a weight in {unit!r} cannot be read")
            return None
        return rounded(weight * GRAMS[unit], 3)

    # Kits

    def components(self) -> list[Row]:
        """The rows of core.product_components; the same component twice is added up."""
        found: dict[int, Row] = {}
        for place, part in enumerate(self.payload["components"]):
            if not self.is_meant(part["only_for"]):
                continue
            units = self.units(part, f"components[{place}]")
            row = found.setdefault(
                int(part["item"]),
                {
                    "system": self.system,
                    "item_id": self.item_id,
                    "sku": self.sku,
                    "component_id": int(part["item"]),
                    "component_sku": _text(part["sku"]) or None,
                    "component_units": Decimal(),
                },
            )
            row["component_units"] += units
        return list(found.values())

    def is_meant(self, only_for: Mapping[str, Sequence[str]]) -> bool:
        """Whether a component is for this variant: one of the values, of every attribute named."""
        held = self.payload["attributes"]
        return all(held.get(name) in values for name, values in only_for.items())

    def units(self, part: Payload, place: str) -> Decimal:
        """Units per kit, rounded up, so that a kit never seems to need less than it does."""
        makes, units = _number(part["makes"]), _number(part["units"])
        same_unit = part["uom"] == part["item_uom"] and part["makes_uom"] == self.template["uom_id"]
        if not same_unit or makes <= 0 or units <= 0:
            counted = makes > 0 and units > 0
            fault = "counts in another unit than the product" if counted else "has no quantity"
            text = f"the bill {fault}"
            raise Rejected([Problem("product.components_unclear", place, text)])
        return (units / makes).quantize(Decimal(1).scaleb(-DIGITS), ROUND_CEILING).normalize() + 0

    # Prices

    def prices(self) -> Iterator[Row]:
        """The rows of core.prices: the item's own, and those of the rules that are plain prices."""
        own = _name(self.template.get("currency_id")) or None
        shared = not self.template.get("company_id")
        amount = rounded(_number(self.payload["lst_price"]), DIGITS)
        if amount < 0:
            self.problem("product.price_unclear", "lst_price", "the item's own price is below zero")
        else:
            # A product of no company has one number, read in the currency of whoever sells it.
            yield self.price("", None if shared else own, None, amount)
        held: list[Payload] = []
        for rule in self.payload["prices"]:
            if any(_covers(earlier, rule) for earlier in held):
                continue
            if any(_key(earlier) == _key(rule) for earlier in held):
                text = f"rule {rule['id']} begins with another one and ends later"
                self.problem("product.price_unclear", f"prices.{_text(rule['list'])}", text)
                continue
            held.append(rule)
            told = self.amount(rule, own)
            if told is not None:
                yield self.price(rule["list"], _name(rule["currency_id"]), rule, told)

    def amount(self, rule: Payload, own: str | None) -> Decimal | None:
        """What a rule comes to; one that needs more than the item to be worked out is reported."""
        kind, currency = rule["compute_price"], _name(rule["currency_id"])
        amount: Decimal | None = None
        if kind == "fixed":
            amount = rounded(_number(rule["fixed_price"]), DIGITS)
        elif kind == "percentage" and rule["base"] == "list_price" and currency == own:
            part = (ALL - _number(rule["percent_price"])) / ALL
            amount = rounded(_number(self.payload["lst_price"]) * part, digits_of(currency))
        if amount is None or amount < 0:
            place, words = f"prices.{_text(rule['list'])}", f"{kind} of {rule['base']}"
            text = f"rule {rule['id']} ({words}, {currency}) is no price we can work out"
            self.problem("product.price_unclear", place, text)
            return None
        return amount

    def price(
        self, price_list: str, currency: str | None, rule: Payload | None, amount: Decimal
    ) -> Row:
        """One row; a rule with a day on it is a sale."""
        minimum = _number(rule["min_quantity"]).normalize() + 0 if rule else Decimal()
        since = _moment(rule["date_start"]) if rule and rule["date_start"] else None
        until = _moment(rule["date_end"]) if rule and rule["date_end"] else None
        kind = "sale" if since or until else "regular"
        start = since.isoformat() if since else ""
        parts = (self.system, self.item_id, price_list, kind, f"{minimum:f}", start)
        return {
            "price_ref": ":".join(map(str, parts)),
            "system": self.system,
            "item_id": self.item_id,
            "sku": self.sku,
            "price_list": _text(price_list),
            "currency": currency,
            "kind": kind,
            "minimum_units": minimum,
            "amount": amount,
            "valid_from": since,
            "valid_until": until,
        }


def _covers(earlier: Payload, later: Payload) -> bool:
    """Whether Odoo, which takes the first rule that fits, never comes to the later one.

    A later sale inside an earlier rule without days would otherwise be shown, but not charged.
    """
    if earlier["list"] != later["list"]:
        return False
    fewer = _number(earlier["min_quantity"]) <= _number(later["min_quantity"])
    starts = not earlier["date_start"] or earlier["date_start"] <= (later["date_start"] or "")
    end = later["date_end"]
    ends = not earlier["date_end"] or (bool(end) and end <= earlier["date_end"])
    return fewer and starts and ends


def _key(rule: Payload) -> tuple[Any, ...]:
    """What tells one price of an item from another in our tables."""
    dated = bool(rule["date_start"] or rule["date_end"])
    return (rule["list"], _number(rule["min_quantity"]), rule["date_start"], dated)


def _text(value: object) -> str:
    """A text; `false` is none."""
    if value is False or value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    return storable(value)


def _name(many2one: Any) -> str:
    """The name in `[7, "name"]`; empty for a missing one."""
    return _text(many2one[1]) if many2one else ""


def _moment(text: str) -> datetime:
    return datetime.strptime(text, MOMENT).replace(tzinfo=UTC)
