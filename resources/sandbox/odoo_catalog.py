"""How contacts, products, prices and taxes of the Odoo stand-in behave and are named: what is
worked out on reading, and what follows a change. Orders and stock have their own files.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from resources.sandbox import odoo_errors as errors
from resources.sandbox import odoo_variants as variants
from resources.sandbox.odoo_orm import Context, Database, Derived, Rules, along
from resources.sandbox.odoo_rows import Row

#: Values a variant and its only template hold together.
SHARED = ("default_code", "barcode", "active")
UNITS = 1  # the unit of measure every product has
CATEGORY = 1  # the category of what has no other: All


class Partner(Rules):
    """Contacts: a person needs a name, an address below a contact does not."""

    def prepare(self, db: Database, id_: int | None, values: Row) -> Row:
        if "company_type" not in values:
            return values
        is_company = values["company_type"] == "company"
        rest = {name: value for name, value in values.items() if name != "company_type"}
        return {**rest, "is_company": is_company}

    def complete(self, db: Database, row: Row, context: Context) -> None:
        row.setdefault("type", "contact")
        self._check(row)

    def written(self, db: Database, id_: int, values: Row) -> None:
        self._check(db.tables.rows["res.partner"][id_])

    def leaving(self, db: Database, id_: int) -> None:
        if db.tables.find("sale.order", "partner_id", id_):
            raise errors.validation_error(
                "The operation cannot be completed: another model requires the record being "
                "deleted. If possible, archive it instead.\n\n"
                "Model: Sales Order (sale.order)\nConstraint: sale_order_partner_id_fkey\n"
            )

    def _check(self, row: Row) -> None:
        if row.get("type") == "contact" and not row.get("name"):
            raise errors.needs_a_name()


class Template(Rules):
    """Products: their variants are made with them, one for each choice of attribute values."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        for name, value in TEMPLATE_DEFAULTS.items():
            if row.get(name) is None:
                row[name] = value

    def created(self, db: Database, id_: int, context: Context) -> None:
        if not context.get("create_product_product", True):
            return
        row = db.tables.rows["product.template"][id_]
        choices = variants.combinations(db, id_)
        shared = {name: row[name] for name in SHARED if name in row and len(choices) == 1}
        for values in choices:
            own = {"product_tmpl_id": id_, **shared, variants.VALUES: list(values)}
            db.create("product.product", own, context)

    def written(self, db: Database, id_: int, values: Row) -> None:
        row = db.tables.rows["product.template"][id_]
        shared = ("active",) if variants.has_several(db, id_) else SHARED
        change = {name: row.get(name) for name in shared if name in values}
        change["write_date"] = row["write_date"]
        for variant in db.tables.find("product.product", "product_tmpl_id", id_):
            db.tables.change("product.product", variant, change)
            _check_barcode(db, variant)

    def leaving(self, db: Database, id_: int) -> None:
        for variant in db.tables.find("product.product", "product_tmpl_id", id_):
            db.tables.delete("product.product", variant)


class Variant(Rules):
    """Variants: what is not their own is written to the template."""

    def prepare(self, db: Database, id_: int | None, values: Row) -> Row:
        fields = db.models["product.product"].fields
        passed = {n: v for n, v in values.items() if fields[n].derived and not fields[n].readonly}
        if "lst_price" in passed:
            passed["list_price"] = passed.pop("lst_price")
        own = {n: v for n, v in values.items() if not fields[n].derived}
        shared = {n: v for n, v in own.items() if n in SHARED}
        if id_ is not None:
            template = db.tables.rows["product.product"][id_]["product_tmpl_id"]
            if variants.has_several(db, template):
                shared = {}
            if passed or shared:
                db.write("product.template", [template], {**passed, **shared}, {})
        elif "product_tmpl_id" not in values:
            context = {"create_product_product": False}
            template = db.create("product.template", {**passed, **shared}, context)
            own["product_tmpl_id"] = template
        return own

    def created(self, db: Database, id_: int, context: Context) -> None:
        _check_barcode(db, id_)


def _check_barcode(db: Database, id_: int) -> None:
    barcode = db.tables.rows["product.product"][id_].get("barcode")
    holders = db.tables.find("product.product", "barcode", barcode) if barcode else set()
    if len(holders) > 1:
        names = [db.display_name("product.product", holder) for holder in sorted(holders)]
        raise errors.barcode_taken(str(barcode), names)


TEMPLATE_DEFAULTS: Row = {
    "type": "consu",
    "uom_id": UNITS,
    "categ_id": CATEGORY,
    "invoice_policy": "order",
    "list_price": Decimal(1),
    "sale_ok": True,
    "purchase_ok": True,
}


class Tax(Rules):
    """Taxes: of the first company unless said otherwise, in percent."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        defaults = {
            "company_id": current_company(db, context),
            "amount_type": "percent",
            "type_tax_use": "sale",
            "sequence": 1,
            "is_base_affected": True,
        }
        for name, value in defaults.items():
            row.setdefault(name, value)


class ExternalId(Rules):
    """External ids: one per module and name, which is all the uniqueness there is."""

    def prepare(self, db: Database, id_: int | None, values: Row) -> Row:
        module, name = values.get("module"), values.get("name")
        if id_ is not None or not module or not name:
            return values
        if external_id(db, f"{module}.{name}"):
            raise errors.external_id_taken(module, name)
        return {**values, "complete_name": f"{module}.{name}"}


def external_id(db: Database, name: str) -> Row | None:
    """What the full external id `module.name` stands for."""
    for id_ in db.tables.find("ir.model.data", "complete_name", name):
        return db.tables.get("ir.model.data", id_)
    return None


def current_company(db: Database, context: Context) -> int:
    """The company new records belong to: the first one allowed."""
    allowed = context.get("allowed_company_ids")
    return int(allowed[0]) if allowed else db.tables.ids["res.company"][0]


# Names


def _partner_name(db: Database, id_: int, context: Context) -> str:
    row = db.tables.get("res.partner", id_) or {}
    name = row.get("name") or ""
    if not row.get("parent_id"):
        return name
    parent = _partner_name(db, row["parent_id"], context)
    return f"{parent}, {name}" if name else parent


def _product_name(model: str) -> Callable[[Database, int, Context], str]:
    def name(db: Database, id_: int, context: Context) -> str:
        row = db.tables.get(model, id_) or {}
        title = row.get("name") or db.follow(model, id_, "product_tmpl_id.name")
        title = f"{title}{variants.values_shown(db, id_)}" if model == "product.product" else title
        code = row.get("default_code")
        return f"[{code}] {title}" if code else str(title)

    return name


def _state_name(db: Database, id_: int, context: Context) -> str:
    row = db.tables.get("res.country.state", id_) or {}
    return f"{row.get('name')} ({db.follow('res.country', row.get('country_id'), 'code')})"


def _price_list_name(db: Database, id_: int, context: Context) -> str:
    row = db.tables.get("product.pricelist", id_) or {}
    return f"{row.get('name')} ({db.follow('res.currency', row.get('currency_id'), 'name')})"


def _location_name(db: Database, id_: int, context: Context) -> str:
    return str((db.tables.get("stock.location", id_) or {}).get("complete_name"))


def _external_name(db: Database, id_: int, context: Context) -> str:
    return str((db.tables.get("ir.model.data", id_) or {}).get("complete_name"))


NAMES: dict[str, Callable[[Database, int, Context], str]] = {
    "res.partner": _partner_name,
    "product.template": _product_name("product.template"),
    "product.product": _product_name("product.product"),
    "product.pricelist": _price_list_name,
    "res.country.state": _state_name,
    "stock.location": _location_name,
    "ir.model.data": _external_name,
    **variants.NAMES,
}


# Values worked out on reading


def _commercial(db: Database, id_: int, context: Context) -> int:
    row = db.tables.get("res.partner", id_) or {}
    parent = row.get("parent_id")
    return id_ if not parent or row.get("is_company") else _commercial(db, parent, context)


def _company_type(db: Database, id_: int, context: Context) -> str:
    return "company" if db.value("res.partner", id_, "is_company") else "person"


def _own_currency(model: str) -> Derived:
    def currency(db: Database, id_: int, context: Context) -> Any:
        company = db.value(model, id_, "company_id") or current_company(db, context)
        return db.value("res.company", company, "currency_id")

    return currency


def _only_variant(db: Database, id_: int, context: Context) -> int | None:
    variants = db.value("product.template", id_, "product_variant_ids", context)
    return variants[0] if len(variants) == 1 else None


def _price_include(db: Database, id_: int, context: Context) -> bool:
    return bool(db.value("account.tax", id_, "price_include_override") == "tax_included")


def _places(db: Database, id_: int, context: Context) -> int:
    exponent = db.value("res.currency", id_, "rounding").normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _part(part: int) -> Derived:
    def name(db: Database, id_: int, context: Context) -> str:
        return _external_name(db, id_, context).split(".", 1)[part]

    return name


OF_THE_TEMPLATE = (
    *("name", "list_price", "standard_price", "type", "is_storable", "taxes_id", "uom_id"),
    *("invoice_policy", "sale_ok", "purchase_ok", "description_sale", "weight", "company_id"),
    *("currency_id", "categ_id"),
)

DERIVED: dict[tuple[str, str], Derived] = {
    ("res.currency", "decimal_places"): _places,
    ("res.partner", "complete_name"): _partner_name,
    ("res.partner", "commercial_partner_id"): _commercial,
    ("res.partner", "company_type"): _company_type,
    ("product.template", "currency_id"): _own_currency("product.template"),
    ("product.template", "product_variant_id"): _only_variant,
    ("product.template", "product_variant_count"): lambda db, id_, context: len(
        db.value("product.template", id_, "product_variant_ids", context)
    ),
    ("account.tax", "price_include"): _price_include,
    ("ir.model.data", "module"): _part(0),
    ("ir.model.data", "name"): _part(1),
} | {
    ("product.product", name): along("product.product", f"product_tmpl_id.{name}")
    for name in OF_THE_TEMPLATE
}
DERIVED |= variants.DERIVED

RULES: dict[str, Rules] = {
    "res.partner": Partner(),
    "product.template": Template(),
    "product.product": Variant(),
    "account.tax": Tax(),
    "ir.model.data": ExternalId(),
    **variants.RULES,
}
