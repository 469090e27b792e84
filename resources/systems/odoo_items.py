"""Pages of Odoo items composed with what belongs to them: templates, attribute values, taxes, price
rules that hold, components of kits, references to images. Which items is said in `odoo_catalog`.

A part the user may not read is named in the payload instead of being left out unsaid.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from resources.systems.odoo_kits import ARCHIVED_TOO, Kits, bom_of, many2one, readable
from resources.systems.odoo_rpc import Session
from resources.systems.roles import Payload

ITEM, TEMPLATE, RULE = "product.product", "product.template", "product.pricelist.item"
VALUE, CATEGORY = "product.template.attribute.value", "product.category"
LINE, IMAGE = "mrp.bom.line", "ir.attachment"
ITEM_FIELDS = [
    "default_code",
    "name",
    "active",
    "write_date",
    "barcode",
    "lst_price",
    "weight",
    "product_tmpl_id",
    "product_template_attribute_value_ids",
    "product_template_variant_value_ids",
]
TEMPLATE_FIELDS = [
    "name",
    "description_sale",
    "type",
    "is_storable",
    "sale_ok",
    "active",
    "categ_id",
    "taxes_id",
    "list_price",
    "currency_id",
    "company_id",
    "weight_uom_name",
    "uom_id",
    "write_date",
]
RULE_FIELDS = [
    "pricelist_id",
    "applied_on",
    "product_id",
    "product_tmpl_id",
    "categ_id",
    "currency_id",
    "min_quantity",
    "compute_price",
    "fixed_price",
    "percent_price",
    "base",
    "date_start",
    "date_end",
]
LINE_FIELDS = [
    "bom_id",
    "product_id",
    "product_qty",
    "product_uom_id",
    "bom_product_template_attribute_value_ids",
]
#: Rules that hold for more than one template.
WIDE = ("3_global", "2_product_category")


class Shared:
    """What all pages of one listing need; each part is read when the first page asks for it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._taxes: dict[int, Payload] | None = None
        self._lists: dict[int, str] | None = None
        self._categories: dict[int, set[int]] | None = None
        self._wide: list[Payload] | None = None

    def taxes(self, ids: Iterable[int]) -> list[Payload] | None:
        """Names of sales taxes, in their order, with their company."""
        if self._taxes is None:
            domain = [["type_tax_use", "=", "sale"]]
            fields = ["name", "company_id"]
            options = {"order": "id", "context": ARCHIVED_TOO}
            rows = readable(self.session, "account.tax", domain, fields, **options)
            if rows is None:
                return None
            self._taxes = {row["id"]: row for row in rows}
        return [self._taxes[id_] for id_ in ids if id_ in self._taxes]

    def price_lists(self) -> dict[int, str] | None:
        """Names of the lists in use; a name that two carry gets its company in front."""
        if self._lists is None:
            fields, order = ["name", "company_id"], "sequence, id"
            rows = readable(self.session, "product.pricelist", [], fields, order=order)
            if rows is None:
                return None
            names = [row["name"] for row in rows]
            self._lists = {
                row["id"]: row["name"] if names.count(row["name"]) == 1 else _owned(row)
                for row in rows
            }
        return self._lists

    def wide_rules(self) -> list[Payload]:
        """Price rules for categories and for everything."""
        if self._wide is None:
            domain = [["applied_on", "in", list(WIDE)]]
            self._wide = self.session.rows(RULE, domain, RULE_FIELDS, order="id")
        return self._wide

    def above(self, category: int) -> set[int]:
        """A category and those it lies in."""
        return self._paths().get(category, set())

    def below(self, categories: Collection[int]) -> set[int]:
        """Some categories and those that lie in them."""
        if not categories:
            return set()
        wanted = set(categories)
        return {id_ for id_, path in self._paths().items() if path & wanted}

    def _paths(self) -> dict[int, set[int]]:
        if self._categories is None:
            rows = self.session.rows(CATEGORY, [], ["parent_path"], order="id")
            self._categories = {
                row["id"]: {int(part) for part in str(row["parent_path"]).split("/") if part}
                for row in rows
            }
        return self._categories


class Page:
    """One page of items and what belongs to them."""

    def __init__(self, shared: Shared, kits: Kits, rows: list[Payload]) -> None:
        self.session, self.shared, self.kits, self.rows = shared.session, shared, kits, rows
        self.unreadable: list[str] = []
        self.ids = [row["id"] for row in rows]
        self.templates = {t["id"]: t for t in self._templates()}

    def composed(self) -> list[Payload]:
        """The items with all that belongs to them."""
        kits = self._components()
        values = self._values(kits)
        rules, images = self._rules(), self._images()
        skus = self._skus(kits)
        for template in self.templates.values():
            self._name_taxes(template)
        composed = []
        for row in self.rows:
            template = self._template(row)
            parts = kits.get(row["id"], [])
            composed.append(
                {
                    **row,
                    "template": template,
                    "attributes": _attributes(row, values),
                    "components": [_component(part, values, skus) for part in parts],
                    "prices": self._prices(row, template, rules),
                    "images": _references(row, template, images),
                    "unreadable": [*self.unreadable],
                }
            )
        return composed

    def _template(self, row: Payload) -> Payload:
        return self.templates.get(many2one(row["product_tmpl_id"]), {})

    def _templates(self) -> list[Payload]:
        ids = sorted({many2one(row["product_tmpl_id"]) for row in self.rows})
        known = self.session.field_names(TEMPLATE)
        fields = [name for name in TEMPLATE_FIELDS if name in known]
        domain = [["id", "in", ids]]
        return self.session.rows(TEMPLATE, domain, fields, order="id", context=ARCHIVED_TOO)

    def _name_taxes(self, template: Payload) -> None:
        taxes = self.shared.taxes(template["taxes_id"])
        if taxes is None:
            self._cannot_read("taxes")
        template["taxes"] = taxes or []

    def _values(self, kits: Mapping[int, list[Payload]]) -> dict[int, Payload]:
        """Attribute values of the items, and those that limit a component to some variants."""
        ids = {v for row in self.rows for v in row["product_template_attribute_value_ids"]}
        ids |= {v for parts in kits.values() for part in parts for v in _limits(part)}
        if not ids:
            return {}
        domain = [["id", "in", sorted(ids)]]
        rows = self.session.rows(VALUE, domain, ["name", "attribute_id"], order="id")
        return {row["id"]: row for row in rows}

    def _rules(self) -> list[Payload]:
        """Price rules of the page's items, and of all; those of archived lists do not hold."""
        of_these = ["|", ["product_tmpl_id", "in", sorted(self.templates)]]
        domain = [*of_these, ["product_id", "in", self.ids]]
        rows = readable(self.session, RULE, domain, RULE_FIELDS, order="id")
        lists = None if rows is None else self.shared.price_lists()
        if rows is None or lists is None:
            self._cannot_read("prices")
            return []
        narrow = (row for row in rows if row["applied_on"] not in WIDE)
        found = [*narrow, *self.shared.wide_rules()]
        in_use = (row for row in found if many2one(row["pricelist_id"]) in lists)
        return [{**row, "list": lists[many2one(row["pricelist_id"])]} for row in in_use]

    def _prices(self, row: Payload, template: Payload, rules: list[Payload]) -> list[Payload]:
        """Rules that hold for an item, in the order in which Odoo looks at them."""
        category = many2one(template.get("categ_id"))
        holding = [
            rule
            for rule in rules
            if _is_for(rule, row["id"], template.get("id", 0), self._above(category, rule))
        ]
        return sorted(holding, key=_by_precedence)

    def _above(self, category: int, rule: Payload) -> Collection[int]:
        of_category = rule["applied_on"] == "2_product_category" and category
        return self.shared.above(category) if of_category else ()

    def _components(self) -> dict[int, list[Payload]]:
        """Lines of the bill of each item that is a kit, with how many kits the bill makes."""
        if not self.kits.known():
            return {}
        boms = self.kits.boms(self.templates)
        if boms is None:
            self._cannot_read("components")
            return {}
        chosen = {
            row["id"]: bom
            for row in self.rows
            if (bom := bom_of(boms, row["id"], many2one(row["product_tmpl_id"])))
        }
        lines: dict[int, list[Payload]] = defaultdict(list)
        if chosen:
            domain = [["bom_id", "in", sorted({bom["id"] for bom in chosen.values()})]]
            for line in self.session.rows(LINE, domain, LINE_FIELDS, order="id"):
                lines[many2one(line["bom_id"])].append(line)
        return {
            item: [{**line, "bom": bom} for line in lines[bom["id"]]]
            for item, bom in chosen.items()
        }

    def _skus(self, kits: Mapping[int, list[Payload]]) -> dict[int, Payload]:
        """Components by id; they may stand on other pages."""
        ids = {many2one(part["product_id"]) for parts in kits.values() for part in parts}
        if not ids:
            return {}
        domain, fields = [["id", "in", sorted(ids)]], ["default_code", "uom_id"]
        rows = self.session.rows(ITEM, domain, fields, order="id", context=ARCHIVED_TOO)
        return {row["id"]: row for row in rows}

    def _images(self) -> dict[tuple[str, int], Payload]:
        """The newest image of each template and variant; bytes are never read."""
        fields = ["res_model", "res_field", "res_id", "checksum"]
        wanted: tuple[tuple[str, str, list[int]], ...] = (
            (TEMPLATE, "image_1920", sorted(self.templates)),
            (ITEM, "image_variant_1920", list(self.ids)),
        )
        found: dict[tuple[str, int], Payload] = {}
        for model, field, ids in wanted:
            domain = [["res_model", "=", model], ["res_field", "=", field], ["res_id", "in", ids]]
            rows = readable(self.session, IMAGE, domain, fields, order="id")
            if rows is None:
                self._cannot_read("images")
                return {}
            found |= {(model, row["res_id"]): row for row in rows}
        return found

    def _cannot_read(self, part: str) -> None:
        if part not in self.unreadable:
            self.unreadable.append(part)


def _owned(row: Payload) -> str:
    return f"{row['company_id'][1]}/{row['name']}" if row["company_id"] else str(row["name"])


def _attributes(row: Payload, values: Mapping[int, Payload]) -> dict[str, str]:
    held = (values[v] for v in row["product_template_attribute_value_ids"] if v in values)
    return {value["attribute_id"][1]: value["name"] for value in held}


def _limits(part: Payload) -> list[int]:
    limits: list[int] = part["bom_product_template_attribute_value_ids"]
    return limits


def _component(
    part: Payload, values: Mapping[int, Payload], skus: Mapping[int, Payload]
) -> Payload:
    """A component as the bill has it: its units, how many kits they make, for which variants."""
    item = many2one(part["product_id"])
    known = skus.get(item, {})
    only_for: dict[str, list[str]] = defaultdict(list)
    for value in (values[v] for v in _limits(part) if v in values):
        only_for[value["attribute_id"][1]].append(value["name"])
    return {
        "item": item,
        "sku": known.get("default_code") or False,
        "units": part["product_qty"],
        "uom": part["product_uom_id"],
        "item_uom": known.get("uom_id") or False,
        "makes": part["bom"]["product_qty"],
        "makes_uom": part["bom"]["product_uom_id"],
        "only_for": dict(only_for),
    }


def _is_for(rule: Payload, item: int, template: int, categories: Collection[int]) -> bool:
    match rule["applied_on"]:
        case "0_product_variant":
            return many2one(rule["product_id"]) == item
        case "1_product":
            return many2one(rule["product_tmpl_id"]) == template
        case "2_product_category":
            return many2one(rule["categ_id"]) in categories
        case _:
            return True


def _by_precedence(rule: Payload) -> tuple[Any, ...]:
    """Odoo takes the first of: applied_on, min_quantity desc, categ_id desc, id desc."""
    category = many2one(rule["categ_id"])
    return (rule["list"], rule["applied_on"], -rule["min_quantity"], -category, -rule["id"])


def _references(
    row: Payload, template: Payload, images: Mapping[tuple[str, int], Payload]
) -> list[str]:
    """The path of the item's own image, else of its template's, with the content's mark.

    The time of the record would change with every price, and shops would load the image again.
    """
    for model, id_, field in (
        (ITEM, row["id"], "image_variant_1920"),
        (TEMPLATE, template.get("id", 0), "image_1920"),
    ):
        found = images.get((model, id_))
        if found:
            return [f"/web/image/{model}/{id_}/{field}?unique={found['checksum']}"]
    return []
