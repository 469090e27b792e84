"""Products as we hold them: what an ERP sells, for how much, what a kit is made of, and what a
shop shows of it. Tables and documents only; whose word counts is in `ownership.py`.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple

import pandas as pd
import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Money, Table
from sync_assets.domain.orders import Problem, Row
from sync_assets.domain.sales import Document


class ProductKind(StrEnum):
    """What stands behind a SKU."""

    SIMPLE = "simple"
    VARIATION = "variation"  # one of several of a family
    KIT = "kit"  # sold as one, picked as several
    SERVICE = "service"


class Products(Table):
    """One row per ERP and sellable item, newest version."""

    system: str = pa.Field(description="Our name of the ERP")
    item_id: int = pa.Field(description="The ERP's id")
    sku: str = pa.Field(nullable=True, description="Seller's article code, as the ERP writes it")
    family_ref: str = pa.Field(nullable=True, description="Key of the family it is a variation of")
    family_name: str = pa.Field(nullable=True, description="Name of that family")
    kind: str = pa.Field(isin=list(ProductKind), description="simple, variation, kit or service")
    name: str = pa.Field(description="Name in the ERP")
    description: str = pa.Field(description="Sales text, may be empty")
    is_active: bool = pa.Field(description="Not archived there")
    is_for_sale: bool = pa.Field(description="The ERP offers it to customers")
    is_stocked: bool = pa.Field(description="The ERP keeps stock of it")
    is_virtual: bool = pa.Field(description="There is nothing to ship")
    tax_class: str = pa.Field(description="The ERP's sale taxes, joined by +")
    weight_g: Money = pa.Field(nullable=True, ge=0, metadata={"unit": "g"}, description="Weight")
    barcode: str = pa.Field(nullable=True, description="GTIN, EAN or UPC")
    item_group: str = pa.Field(description="Path of the ERP's category; partitions follow it")
    categories: object = pa.Field(description="Paths for the shop, levels divided by ' / '")
    attributes: object = pa.Field(description="Attribute names to values")
    images: object = pa.Field(description="References to images, in their order")
    changed_at: Instant = pa.Field(description="When the ERP last changed it")
    raw_version: int = pa.Field(description="Version of the raw row this was made from")

    class Config(Table.Config):
        unique = ["system", "item_id"]


class Prices(Table):
    """One row per ERP, item, price list, kind, minimum quantity and start."""

    price_ref: str = pa.Field(unique=True, description="Our key of the price")
    system: str = pa.Field(description="Our name of the ERP")
    item_id: int = pa.Field(description="The ERP's id of the item")
    sku: str = pa.Field(nullable=True, description="Seller's article code")
    price_list: str = pa.Field(description="The ERP's price list; empty for the item's own price")
    currency: str = pa.Field(nullable=True, description="ISO 4217 code; none: the company's")
    kind: str = pa.Field(isin=["regular", "sale"], description="Regular or for a time")
    minimum_units: Money = pa.Field(ge=0, metadata={"unit": "each"}, description="From how many on")
    amount: Money = pa.Field(ge=0, description="Price of one unit, as the ERP keeps it")
    valid_from: Instant = pa.Field(nullable=True, description="First moment it holds")
    valid_until: Instant = pa.Field(nullable=True, description="Moment it ends")

    class Config(Table.Config):
        unique = ["price_ref"]


class ProductComponents(Table):
    """One row per kit and component: the bill of components of what is sold as one."""

    system: str = pa.Field(description="Our name of the ERP")
    item_id: int = pa.Field(description="The ERP's id of the kit")
    sku: str = pa.Field(nullable=True, description="SKU of the kit")
    component_id: int = pa.Field(description="The ERP's id of the component")
    component_sku: str = pa.Field(nullable=True, description="SKU of the component")
    component_units: Money = pa.Field(gt=0, metadata={"unit": "each"}, description="Units per kit")

    class Config(Table.Config):
        unique = ["system", "item_id", "component_id"]


class Listings(Table):
    """One row per store and product or variation that the shop shows, newest version."""

    store: str = pa.Field(description="Our name of the store")
    product_id: int = pa.Field(description="The shop's id")
    parent_id: pd.Int64Dtype = pa.Field(nullable=True, description="The shop's id of the parent")
    sku: str = pa.Field(nullable=True, description="SKU as the shop writes it")
    kind: str = pa.Field(
        isin=["simple", "variable", "variation", "grouped", "external"],
        description="The shop's type of product",
    )
    name: str = pa.Field(description="Name in the shop")
    status: str = pa.Field(description="The shop's word: publish, draft, private, trash …")
    description: str = pa.Field(description="Long text, as HTML")
    regular_amount: Money = pa.Field(nullable=True, description="Regular price")
    sale_amount: Money = pa.Field(nullable=True, description="Sale price")
    sale_from: Instant = pa.Field(nullable=True, description="First moment of the sale")
    sale_until: Instant = pa.Field(nullable=True, description="Last moment of the sale")
    tax_status: str = pa.Field(description="taxable, shipping or none")
    tax_class: str = pa.Field(description="The shop's tax class; empty for standard")
    is_virtual: bool = pa.Field(description="Nothing to ship")
    weight: str = pa.Field(description="Weight in the shop's unit, as text")
    barcode: str = pa.Field(description="Global unique id")
    categories: object = pa.Field(description="Paths, levels divided by ' / '")
    attributes: object = pa.Field(description="Names to options; of a variation to one option")
    images: object = pa.Field(description="Addresses of images, in their order")
    stock_management: str = pa.Field(isin=["yes", "no", "parent"], description="Who keeps stock")
    stock_units: pd.Int64Dtype = pa.Field(
        nullable=True, metadata={"unit": "each"}, description="Quantity the shop would sell"
    )
    backorders: str = pa.Field(isin=["no", "notify", "yes"], description="Sold beyond the stock")
    stock_status: str = pa.Field(description="instock, outofstock or onbackorder")
    lead_days: pd.Int64Dtype = pa.Field(nullable=True, description="Days we promised, where we did")
    changed_at: Instant = pa.Field(description="When the shop last changed it")
    raw_version: int = pa.Field(description="Version of the raw row this was made from")

    class Config(Table.Config):
        unique = ["store", "product_id"]


class CatalogRows(NamedTuple):
    """What one item of an ERP says, as rows; what of it cannot be said in ours is a problem."""

    product: Row
    prices: list[Row]
    components: list[Row]
    problems: list[Problem]


class Listing(Document):
    """The product we want a shop to show; `fields_to_write` are those that are ours to set."""

    key: str  # the SKU, or the family's key where the product is a variable parent
    sku: str | None
    kind: Literal["simple", "variable", "variation"]
    parent_key: str | None = None
    name: str
    description: str = ""
    status: Literal["publish", "draft", "private"] = "publish"
    regular_price: Decimal | None = None
    sale_price: Decimal | None = None
    sale_from: datetime | None = None
    sale_until: datetime | None = None
    tax_class: str = ""
    tax_status: Literal["taxable", "shipping", "none"] = "taxable"
    is_virtual: bool = False
    weight: str = ""
    barcode: str = ""
    categories: tuple[tuple[str, ...], ...] = ()
    attributes: dict[str, tuple[str, ...]] = {}
    images: tuple[str, ...] = ()
    fields_to_write: frozenset[str] = frozenset()
