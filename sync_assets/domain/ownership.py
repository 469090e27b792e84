"""Whose word counts for a product's fields, and what a store publishes at all: the typed form of
`policies/catalog.yaml`.

The file is data; this module says what may stand in it and finds its mistakes. Reading the file is
`catalog/policy.py`, what follows from it for a product is in `listing_rules.py`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import pydantic

from sync_assets.domain.policy import NAME, Part, PolicyError

FieldName = Literal[
    "name",
    "description",
    "status",
    "regular_price",
    "sale_price",
    "tax_class",
    "categories",
    "attributes",
    "images",
    "weight",
    "barcode",
    "is_virtual",
]
FIELDS: tuple[FieldName, ...] = FieldName.__args__  # type: ignore[attr-defined]
#: What the ERP owns where no file says otherwise: what is charged and whether it is sold.
ERP_OWNS = ("status", "regular_price", "sale_price", "tax_class")
GRAMS: Mapping[str, Decimal] = {
    "g": Decimal(1),
    "kg": Decimal(1000),
    "lbs": Decimal("453.59237"),
    "oz": Decimal("28.349523125"),
}
CURRENCY = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z]{3}$")]


class Ownership(Part):
    """Who may change a field after the product was made, and what happens if the other one does."""

    owner: Literal["erp", "shop"]
    #: Of a field of the ERP's: written again, given to a person, or left until the ERP changes it.
    on_foreign_change: Literal["put_back", "raise", "accept"] = "put_back"


class Choice(Part):
    """Which products: by item group and SKU, with * and ? as in file names; letter case counts."""

    item_groups: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()

    def names(self, item_group: str, sku: str) -> bool:
        """Whether a product is among them."""
        return _fits(item_group, self.item_groups) or _fits(sku, self.skus)


def _fits(word: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(word, pattern) for pattern in patterns)


class StorePolicy(Part):
    """What one store publishes, and whose word counts there."""

    fields: dict[FieldName, Ownership] = {}
    #: Whether products the shop lacks are made there.
    creates_missing: bool = True
    #: Nothing included means everything; what is excluded stays out in any case.
    include: Choice = Choice()
    exclude: Choice = Choice()
    publishes_services: bool = False
    new_status: Literal["publish", "draft", "private"] = "publish"
    archived_becomes: Literal["draft", "private", "trash"] = "draft"
    #: The ERP's price list; none: the store's of the configuration, else the item's own price.
    price_list: str | None = None
    #: None: the store's first currency of the configuration.
    currency: CURRENCY | None = None
    #: What the ERP's prices are in where it does not say.
    own_price_currency: CURRENCY | None = None
    #: The ERP's taxes (joined by +) to the shop's tax class; "none" is not taxed, "*" is any other.
    #: Empty: everything has the shop's standard class.
    tax_classes: dict[str, str] = {}
    #: Beginning of the ERP's category paths that the shop does not show.
    category_root: str = ""
    #: The ERP's category paths to the shop's, levels divided by " / ".
    category_map: dict[str, str] = {}
    weight_unit: Literal["kg", "g", "lbs", "oz"] = "kg"

    @pydantic.field_validator("fields", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        """Take `name: shop` for `name: {owner: shop}`."""
        if not isinstance(value, dict):
            return value
        return {k: {"owner": v} if isinstance(v, str) else v for k, v in value.items()}

    def of(self, field: str) -> Ownership:
        """Whose a field is."""
        said: Mapping[str, Ownership] = self.fields  # type: ignore[assignment]
        return said.get(field) or Ownership(owner="erp" if field in ERP_OWNS else "shop")

    def publishes(self, item_group: str, sku: str) -> bool:
        """Whether the store shows such a product at all."""
        chosen = self.include == Choice() or self.include.names(item_group, sku)
        return chosen and not self.exclude.names(item_group, sku)


class CatalogPolicy(Part):
    """Whose word counts, in every store."""

    stores: dict[NAME, StorePolicy] = {}
    defaults: StorePolicy = StorePolicy()

    def store(self, name: str) -> StorePolicy:
        """What is said of one store."""
        return self.stores.get(name, self.defaults)


def parse(data: Any, known_stores: Iterable[str] = ()) -> CatalogPolicy:
    """Check the data of a policy file; a store says only what it does differently."""
    whole = {} if data is None else data
    if not isinstance(whole, dict):
        raise PolicyError("the policy is not a list of names and values")
    unknown = sorted(map(str, set(whole) - {"version", "defaults", "stores"}))
    if unknown:
        raise PolicyError(f"{unknown[0]}: not a part of the policy; known: defaults, stores")
    if whole.get("version", 1) != 1:
        raise PolicyError(f"version: {whole['version']!r} is not known; this program reads 1")
    defaults, stores = _named(whole, "defaults"), _named(whole, "stores")
    if strange := sorted(set(map(str, stores)) - set(known_stores)) if known_stores else []:
        raise PolicyError(f"stores.{strange[0]}: no store of the configuration has this name")
    return CatalogPolicy(
        defaults=_checked(defaults, "defaults"),
        stores={
            name: _checked(_merged(defaults, _named(stores, name)), f"stores.{name}")
            for name in stores
        },
    )


def _named(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name) or {}
    if not isinstance(found, dict):
        raise PolicyError(f"{name}: not a list of names and values")
    return found


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    fields = {**_named(defaults, "fields"), **_named(own, "fields")}
    return {**defaults, **own, "fields": fields}


def _checked(data: Mapping[str, Any], where: str) -> StorePolicy:
    try:
        return StorePolicy.model_validate(data)
    except pydantic.ValidationError as fault:
        lines = [f"{'.'.join(map(str, (where, *e['loc'])))}: {e['msg']}" for e in fault.errors()]
        raise PolicyError("; ".join(lines)) from fault
