"""The sales order we want an ERP to hold: one document, in our words, before any ERP's words.

Plans store it as JSON, mappers turn it into an ERP's payloads, and what the ERP shows comes back
as `SeenOrder` to be compared.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pydantic


class Document(pydantic.BaseModel):
    """A part of a plan: frozen, exact, and strict about unknown fields."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Address(Document):
    """Where a bill or a parcel goes."""

    name: str
    company: str = ""
    street: str = ""
    street2: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""  # ISO 3166 alpha-2
    email: str = ""
    phone: str = ""


class Party(Document):
    """The customer of a sales order; `key` is stable over all orders of that customer."""

    key: str  # "us:customer:5"
    address: Address


class SalesLine(Document):
    """One line: `net_amount` is the whole line after discount, without tax."""

    key: str  # our line_ref; "…:rounding" for the rounding line
    kind: str  # product, shipping, fee, rounding
    item: str  # SKU, or the ERP's item code for shipping, fees and rounding
    item_id: int  # the ERP's id of it
    description: str
    quantity: Decimal
    net_amount: Decimal
    tax_amount: Decimal
    taxes: tuple[str, ...] = ()  # names of the ERP's taxes


class SalesOrder(Document):
    """What the ERP shall hold for one shop order."""

    key: str  # our order_ref, "us:1042"
    store: str
    order_id: str
    number: str
    placed_at: datetime
    currency: str
    company: str  # the ERP's name of the legal entity
    warehouse: str  # the ERP's code of the warehouse
    price_list: str | None = None  # Odoo takes the currency from it
    web_shop: str | None = None  # Tryton's name of the store
    party: Party
    ship_to: Party  # equal to `party` when the parcel goes to the same place
    lines: tuple[SalesLine, ...]
    total_amount: Decimal


@dataclass(frozen=True)
class SeenOrder:
    """What the ERP holds, in our words."""

    key: str
    remote_id: int
    number: str | None
    state: str  # draft, confirmed, cancelled, stuck
    total_amount: Decimal
    lines: int
    payload: dict[str, object]
