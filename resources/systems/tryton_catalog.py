"""Products of a Tryton database with all that a catalog shows of them: template, identifiers,
categories, taxes, kit components, price list lines.

Modules that are not there are found out once and left out. What a price formula comes to is for
the mapper of the same name; which products are in stock is in `tryton_stock.py`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from resources.errors import ContractBroken, Refused
from resources.systems.tryton_rpc import Payload, Session

T = TypeVar("T")
ITEM_PAGE, SHARED_PAGE = 1000, 5000
ARCHIVED_TOO = ["active", "in", [True, False]]

VARIANT_FIELDS = ("code", "suffix_code", "active", "description", "template", "last_modified_at")
TEMPLATE_FIELDS = (
    *("template.name", "template.code", "template.type", "template.consumable"),
    *("template.salable", "template.active", "template.list_price", "template.default_uom.symbol"),
    *("template.account_category", "template.categories", "template.last_modified_at"),
)
#: Fields of optional modules and later versions, by the field whose presence shows them.
OPTIONAL_VARIANT: Mapping[str, tuple[str, ...]] = {
    "list_price_used": ("list_price_used",),
    "web_shop_description": ("web_shop_description",),
    "attributes": ("attributes",),
    "image_url": ("image_url",),
}
OPTIONAL_TEMPLATE: Mapping[str, tuple[str, ...]] = {
    "weight": ("template.weight", "template.weight_uom.symbol"),
}
#: Children of a product or its template; writing one leaves both untouched.
CHILDREN = ("identifiers", "list_prices", "components", "images")
LINE = "product.price_list.line"
LINE_FIELDS = (
    *("price_list", "price_list.name", "price_list.tax_included"),
    *("sequence", "category", "product", "quantity", "formula"),
)
LINE_DATES = ("start_date", "end_date")
COMPONENT_FIELDS = (
    *("parent_template", "parent_product", "product", "product.code", "quantity", "fixed"),
    *("unit", "unit.factor", "product.default_uom", "product.default_uom.factor"),
)


@dataclass(frozen=True)
class Features:
    """Which optional fields this server knows, by model."""

    variant: frozenset[str]
    template: frozenset[str]
    category: frozenset[str]
    line: frozenset[str]

    @property
    def has_kits(self) -> bool:
        """Whether products can be made of components."""
        return "components" in self.template

    @property
    def has_price_lists(self) -> bool:
        """Whether there are price lists."""
        return bool(self.line)

    def item_fields(self) -> list[str]:
        """Every field we read of a product."""
        extra = [
            name
            for known, optional in (
                (self.variant, OPTIONAL_VARIANT),
                (self.template, OPTIONAL_TEMPLATE),
            )
            for sign, names in optional.items()
            if sign in known
            for name in names
        ]
        return [*VARIANT_FIELDS, *TEMPLATE_FIELDS, *extra]


@dataclass(frozen=True)
class Surroundings:
    """What many products share, read once per reading."""

    company: Payload
    #: Id of a category to its row: path, parent, names of its customer taxes.
    categories: Mapping[int, Payload]
    #: Lines of price lists by the product they are about; None: by category, or all.
    lines: Mapping[int | None, Sequence[Payload]] = field(default_factory=dict)
    #: Name of an attribute to its label and the labels of its options.
    attributes: Mapping[str, Payload] = field(default_factory=dict)
    #: Parts of a product that our user may not read there.
    unreadable: Collection[str] = ()

    def lines_for(self, product: int, family: Collection[int]) -> list[Payload]:
        """Lines that are about a product, in the order in which the first match wins."""
        found = [*self.lines.get(product, ()), *self.lines.get(None, ())]
        return [
            line
            for line in sorted(found, key=_place_in_list)
            if line["category"] is None or line["category"] in family
        ]

    def family(self, ids: Sequence[int]) -> set[int]:
        """Categories with those above them."""
        found: set[int] = set()
        for number in ids:
            above: int | None = number
            while above is not None and above not in found:
                found.add(above)
                above = self.categories.get(above, {}).get("parent")
        return found


class Catalog:
    """Products with what belongs to them, through one session."""

    def __init__(self, rpc: Session) -> None:
        self.rpc = rpc
        self._features: Features | None = None

    def items(self, after_id: int = 0) -> Iterator[list[Payload]]:
        """Yield pages of salable products, archived ones too, in the order of their ids."""
        yield from self._pages([["template.salable", "=", True]], after_id)

    def changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of products changed since, those no longer salable too.

        The time of a change there is the start of its transaction: a slow one shows up with
        times older than rows read before, hence the overlap.
        """
        since = moment - overlap
        yield from self._pages([["OR", *self._changed(since)]], 0)

    def _changed(self, since: datetime) -> list[Any]:
        """A product is changed when anything of it is: a price moves its template only."""
        known = self.features()
        clauses: list[Any] = [
            ["last_modified_at", ">=", since],
            ["template.last_modified_at", ">=", since],
        ]
        for child in CHILDREN:
            if child in known.variant:
                clauses.append([f"{child}.last_modified_at", ">=", since])
            if child in known.template:
                clauses.append([f"template.{child}.last_modified_at", ">=", since])
        if known.has_price_lists:
            repriced = _allowed("prices", lambda: self._repriced(since), set())
            clauses += repriced or []
        return clauses

    def _repriced(self, since: datetime) -> list[Any]:
        changed = ["OR", ["last_modified_at", ">=", since]]
        changed.append(["price_list.last_modified_at", ">=", since])
        lines = self.rpc.search(LINE, [changed], ("product", "category"))
        if any(line["product"] is None and line["category"] is None for line in lines):
            return [["id", ">", 0]]
        products = sorted({line["product"] for line in lines if line["product"]})
        categories = sorted({line["category"] for line in lines if line["category"]})
        return [
            *([["id", "in", products]] if products else []),
            *(
                [["template.categories_all", "child_of", categories, "parent"]]
                if categories
                else []
            ),
        ]

    def _pages(self, wanted: list[Any], after_id: int) -> Iterator[list[Payload]]:
        fields = self.features().item_fields()
        around: Surroundings | None = None
        while True:
            domain = [["id", ">", after_id], ARCHIVED_TOO, *wanted]
            page = self.rpc.search("product.product", domain, fields, limit=ITEM_PAGE)
            if page:
                around = around or self._surroundings()
                yield self._complete(page, around)
                after_id = page[-1]["id"]
            if len(page) < ITEM_PAGE:
                return

    # What a product is completed with

    def _complete(self, page: list[Payload], around: Surroundings) -> list[Payload]:
        ids = [row["id"] for row in page]
        templates = sorted({row["template"] for row in page})
        identifiers = self._of("product.identifier", "product", ids, ("type", "code"))
        siblings = self._of("product.product", "template", templates, ("code",), ARCHIVED_TOO)
        components = self._components(ids, templates) if self.features().has_kits else {}
        return [
            {
                **row,
                "company": around.company,
                "variants": len(siblings.get(row["template"], ())),
                "identifiers": [
                    {"type": one["type"], "code": one["code"]}
                    for one in identifiers.get(row["id"], ())
                ],
                "components": components.get(row["id"]) or components.get(-row["template"], []),
                "unreadable": list(around.unreadable),
                **_categorised(row, around),
                **_attributed(row, around),
            }
            for row in page
        ]

    def _of(
        self, model: str, parent: str, ids: Sequence[int], fields: Sequence[str], *wanted: Any
    ) -> dict[int, list[Payload]]:
        found: dict[int, list[Payload]] = {}
        for row in self.rpc.search(model, [[parent, "in", list(ids)], *wanted], (parent, *fields)):
            found.setdefault(row[parent], []).append(row)
        return found

    def _components(self, ids: Sequence[int], templates: Sequence[int]) -> dict[int, list[Payload]]:
        """Components by product, and by negative template for products without their own."""
        domain = [["parent_template", "in", list(templates)]]
        wanted = set(ids)
        found: dict[int, list[Payload]] = {}
        for row in self.rpc.search("product.component", domain, COMPONENT_FIELDS):
            owner = row["parent_product"] or -row["parent_template"]
            if owner < 0 or owner in wanted:
                found.setdefault(owner, []).append(_component(row))
        return found

    # What many products share

    def _surroundings(self) -> Surroundings:
        known = self.features()
        unreadable: set[str] = set()
        taxed = "customer_taxes_used" in known.category
        taxes = _allowed("taxes", self._taxes, unreadable) if taxed else {}
        lines = _allowed("prices", self._lines, unreadable) if known.has_price_lists else {}
        named = "attributes" in known.variant
        return Surroundings(
            company=self._company(),
            categories=self._categories(taxes or {}),
            lines=lines or {},
            attributes=_allowed("attributes", self._attributes, unreadable) or {} if named else {},
            unreadable=sorted(unreadable),
        )

    def _company(self) -> Payload:
        domain = [["id", "=", self.rpc.company()]]
        rows = self.rpc.search("company.company", domain, ("currency.code", "timezone"))
        if not rows:
            return {"currency": None, "timezone": None}
        return {"currency": rows[0]["currency."]["code"], "timezone": rows[0]["timezone"]}

    def _categories(self, taxes: Mapping[int, list[str]]) -> dict[int, Payload]:
        return {
            row["id"]: {
                "path": row["rec_name"],
                "parent": row["parent"],
                "taxes": taxes.get(row["id"], []),
            }
            for row in self._every("product.category", [], ("rec_name", "parent"))
        }

    def _taxes(self) -> dict[int, list[str]]:
        """Names of the taxes that each category has, its parent's where it says so."""
        used = "customer_taxes_used"
        rows = [row for row in self._every("product.category", [], (used,)) if row[used]]
        ids = sorted({tax for row in rows for tax in row[used]})
        taxes = self.rpc.search("account.tax", [["id", "in", ids]], ("name",)) if ids else []
        names = {tax["id"]: tax["name"] for tax in taxes}
        return {row["id"]: [names[tax] for tax in row[used]] for row in rows}

    def _lines(self) -> dict[int | None, list[Payload]]:
        """Lines of the price lists in use; there may be one for every product."""
        fields = (*LINE_FIELDS, *(name for name in LINE_DATES if name in self.features().line))
        found: dict[int | None, list[Payload]] = {}
        for row in self._every(LINE, [["price_list.active", "=", True]], fields):
            found.setdefault(row["product"], []).append(row)
        return found

    def _every(self, model: str, domain: list[Any], fields: Sequence[str]) -> Iterator[Payload]:
        after = 0
        while True:
            page = self.rpc.search(model, [["id", ">", after], *domain], fields, limit=SHARED_PAGE)
            yield from page
            if len(page) < SHARED_PAGE:
                return
            after = page[-1]["id"]

    def _attributes(self) -> dict[str, Payload]:
        rows = self._every("product.attribute", [], ("name", "string", "selection"))
        return {
            row["name"]: {"label": row["string"], "options": _options(row["selection"])}
            for row in rows
        }

    def features(self) -> Features:
        """What this server knows, asked once."""
        if self._features is None:
            self._features = Features(
                variant=self._known("product.product", (*OPTIONAL_VARIANT, *CHILDREN)),
                template=self._known("product.template", (*OPTIONAL_TEMPLATE, *CHILDREN)),
                category=self._known("product.category", ("customer_taxes_used",)),
                line=self._known(LINE, (*LINE_DATES, "formula")),
            )
        return self._features

    def _known(self, model: str, fields: Sequence[str]) -> frozenset[str]:
        """Those of the fields that the model has; none where there is no such model."""
        try:
            return frozenset(self.rpc.read(f"model.{model}.fields_get", list(fields)))
        except ContractBroken as fault:
            if fault.message != f"failed with '{model}'":  # how it says "no such model"
                raise
            return frozenset()


def _allowed(part: str, read: Callable[[], T], unreadable: set[str]) -> T | None:
    """Read what a catalog could do without; without the right to, say that it is missing."""
    try:
        return read()
    except Refused:
        unreadable.add(part)
        return None


def _categorised(row: Payload, around: Surroundings) -> Payload:
    """Paths of its categories, names of its taxes, and the price list lines that may apply."""
    template = row["template."]
    accounting = around.categories.get(template["account_category"] or 0, {})
    own = [number for number in template["categories"] or () if number in around.categories]
    family = around.family([*own, *filter(None, [template["account_category"]])])
    return {
        "account_category": accounting.get("path"),
        "taxes": accounting.get("taxes", []),
        "categories": [around.categories[number]["path"] for number in own],
        "prices": [_line(line) for line in around.lines_for(row["id"], family)],
    }


def _place_in_list(line: Payload) -> tuple[int, int, int]:
    return line["price_list"], line["sequence"] or 0, line["id"]


def _line(line: Payload) -> Payload:
    return {
        "list": line["price_list."]["name"],
        "tax_included": line["price_list."]["tax_included"],
        "minimum": line["quantity"],
        "formula": line["formula"],
        "start": line.get("start_date"),
        "end": line.get("end_date"),
    }


def _component(row: Payload) -> Payload:
    product = row["product."]
    return {
        "item": row["product"],
        "sku": product["code"],
        "units": row["quantity"],
        # How many of the component's own unit of measure one of the line's unit is.
        "factor": row["unit."]["factor"] if row["unit"] != product["default_uom"] else None,
        "own_factor": product["default_uom."]["factor"],
        "fixed": row["fixed"],
    }


def _attributed(row: Payload, around: Surroundings) -> Payload:
    values = row.get("attributes") or {}
    words = {name: around.attributes[name] for name in values if name in around.attributes}
    return {"attributes": values, "attribute_words": words}


def _options(selection: str | None) -> dict[str, str]:
    """The options of an attribute, written there as one `key: label` a line."""
    pairs = (line.partition(":") for line in (selection or "").splitlines())
    return {key.strip(): label.strip() for key, _, label in pairs if key.strip()}
