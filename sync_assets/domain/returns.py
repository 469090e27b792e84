"""Goods that come back and money that goes back, as we hold them: two sagas, linked.

A return is about goods, a refund about money; each may be there without the other. Which steps are
allowed is in `sagas.py` and, as rules nobody can break, in the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import pandas as pd
import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Money, Table
from sync_assets.domain.sales import Document

UNITS = {"unit": "each"}


class ReturnState(StrEnum):
    """Where goods stand that come back."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    IN_TRANSIT = "in_transit"
    RECEIVED = "received"
    INSPECTED = "inspected"  # every unit has a disposition
    REFUNDING = "refunding"  # its money is under way
    CLOSED = "closed"  # goods booked, money given back and credited
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # approved, and never sent
    LOST = "lost"  # sent, and never arrived


class RefundState(StrEnum):
    """Where money stands that goes back."""

    REQUESTED = "requested"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REFUSED = "refused"  # more than what is left, or a person said no
    SUBMITTED = "submitted"  # the shop or the provider is asked
    PENDING = "pending"  # the provider has it, and has not said how it ended
    CONFIRMED = "confirmed"  # the customer has, or will have, the money
    FAILED = "failed"  # the provider could not; nothing is credited
    CREDITED = "credited"  # the ERP holds the credit memo
    CLOSED = "closed"  # everything that belongs to it is done
    REVERSED = "reversed"  # it failed after it was credited, and the credit was taken back
    WITHDRAWN = "withdrawn"  # taken back before it was made, or deleted in the shop


class Disposition(StrEnum):
    """What becomes of a unit that came back."""

    RESTOCK = "restock"
    REFURBISH = "refurbish"  # kept, not for sale
    WRITE_OFF = "write_off"


class Source(StrEnum):
    """What a return or refund began with."""

    SHOP_REFUND = "shop_refund"
    REQUEST = "request"
    PARCEL = "parcel"  # one that came back undelivered
    STORE_DROPOFF = "store_dropoff"
    WAREHOUSE = "warehouse"
    CANCELLATION = "cancellation"  # the order was cancelled after it had left


class Returns(Table):
    """One row per return of goods."""

    return_ref: str = pa.Field(description="Our key: order and a running number, `us:1042:r1`")
    order_ref: str = pa.Field(nullable=True, description="The order; nothing while unknown")
    store: str = pa.Field(nullable=True, description="Our name of the store")
    source: str = pa.Field(isin=list(Source), description="What it began with")
    state: str = pa.Field(isin=list(ReturnState), description="Where it stands")
    state_at: Instant = pa.Field(description="Since when")
    reason: str = pa.Field(description="Why, as the sender said it")
    is_exchange: bool = pa.Field(description="The customer wants other goods, not money")
    exchange_order_ref: str = pa.Field(nullable=True, description="The order that replaces it")
    location: str = pa.Field(nullable=True, description="Our name of the place it comes to")
    tracking_number: str = pa.Field(nullable=True, description="Of the parcel it comes in")
    sender_ref: str = pa.Field(nullable=True, description="The sender's own reference")
    requested_at: Instant = pa.Field(description="When it was asked for")
    received_at: Instant = pa.Field(nullable=True, description="When the goods were there")

    class Config(Table.Config):
        unique = ["return_ref"]


class ReturnLines(Table):
    """One row per return and order line."""

    return_ref: str = pa.Field(description="The return")
    line_no: int = pa.Field(ge=0, description="Place within the return, from 0")
    line_ref: str = pa.Field(nullable=True, description="The order line; nothing while unknown")
    sku: str = pa.Field(description="Seller's article code")
    requested_units: int = pa.Field(ge=0, metadata=UNITS, description="Units announced")
    received_units: int = pa.Field(ge=0, metadata=UNITS, description="Units that arrived")
    restock_units: int = pa.Field(ge=0, metadata=UNITS, description="Back on the shelf")
    refurbish_units: int = pa.Field(ge=0, metadata=UNITS, description="Kept, not for sale")
    write_off_units: int = pa.Field(ge=0, metadata=UNITS, description="Of no more use")

    class Config(Table.Config):
        unique = ["return_ref", "line_no"]


class Refunds(Table):
    """One row per refund, made in the shop or by us; amounts positive, in the order's currency."""

    refund_ref: str = pa.Field(description="Our key: `us:881` of the shop's, `us:1042:m1` of ours")
    order_ref: str = pa.Field(description="The order")
    store: str = pa.Field(description="Our name of the store")
    return_ref: str = pa.Field(nullable=True, description="The return it pays for")
    source: str = pa.Field(isin=list(Source), description="What it began with")
    method: str = pa.Field(
        isin=["gateway", "manual", "offset"],
        description="gateway: by the provider; manual: by hand; offset: against another order",
    )
    state: str = pa.Field(isin=list(RefundState), description="Where it stands")
    state_at: Instant = pa.Field(description="Since when")
    currency: str = pa.Field(str_matches=r"^[A-Z]{3}$", description="ISO 4217 code")
    amount: Money = pa.Field(ge=0, description="What the customer gets, tax included")
    net_amount: Money = pa.Field(description="Of it goods, without tax")
    shipping_amount: Money = pa.Field(description="Of it shipping, without tax")
    fee_amount: Money = pa.Field(description="Of it fees, without tax")
    tax_amount: Money = pa.Field(description="Of it tax")
    unassigned_amount: Money = pa.Field(description="Of it what no line explains, tax included")
    reason: str = pa.Field(nullable=True, description="Why, as the sender said it")
    provider_ref: str = pa.Field(nullable=True, description="The provider's id of the refund")
    shop_refund_id: str = pa.Field(nullable=True, description="The shop's id of it")
    refunded_at: Instant = pa.Field(description="When it was made, or asked for")
    is_history: bool = pa.Field(
        description="Made before refunds came to this deployment: credited by other means"
    )
    raw_version: pd.Int64Dtype = pa.Field(nullable=True, description="Version it came from")

    class Config(Table.Config):
        unique = ["refund_ref"]


class RefundLines(Table):
    """One row per refund and order line; amounts positive."""

    refund_ref: str = pa.Field(description="The refund")
    line_no: int = pa.Field(ge=0, description="Place within the refund, from 0")
    line_ref: str = pa.Field(nullable=True, description="The order line")
    kind: str = pa.Field(isin=["product", "shipping", "fee"], description="What it was for")
    sku: str = pa.Field(nullable=True, description="Seller's article code, products only")
    units: int = pa.Field(ge=0, metadata=UNITS, description="Units it is for; 0 for money only")
    net_amount: Money = pa.Field(description="Without tax")
    tax_amount: Money = pa.Field(description="Tax")
    #: {rate_id: amount} as the shop's refund says it.
    taxes: object = pa.Field(description="Tax by the shop's id of the rate")

    class Config(Table.Config):
        unique = ["refund_ref", "line_no"]


# ---------------------------------------------------------------- what mappers hand over


@dataclass(frozen=True)
class SeenReturnLine:
    """Units that come back, as a system told it."""

    sku: str
    requested_units: int
    received_units: int = 0
    restock_units: int = 0
    refurbish_units: int = 0
    write_off_units: int = 0
    line_key: str | None = None


@dataclass(frozen=True)
class SeenReturn:
    """A return as a warehouse or ERP told of it, in our words."""

    remote_id: str
    number: str | None
    state: str  # requested, in_transit, received, inspected, cancelled
    changed_at: datetime
    received_at: datetime | None
    #: Our return_ref, fulfilment_ref or order_ref, an order number, or the shipment it came from.
    reference: str | None
    warehouse: str
    lines: tuple[SeenReturnLine, ...]
    tracking_number: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class SeenVerdict:
    """What a payment provider said became of a refund."""

    provider: str  # stripe, adyen, paypal
    refund_id: str  # the provider's id of the refund
    #: The provider's id of the payment it belongs to, and whatever reference of ours it carries.
    payment_id: str | None
    reference: str | None
    state: str  # pending, confirmed, failed
    amount: Decimal | None
    currency: str | None
    happened_at: datetime
    reason: str = ""


# ---------------------------------------------------------------- told to the shop


class RefundRequestLine(Document):
    """What of one order line is to be given back."""

    line_id: int  # the shop's id of the line
    units: int
    net_amount: Decimal
    #: Tax by the shop's id of the rate.
    taxes: Mapping[int, Decimal] = {}


class RefundRequest(Document):
    """A refund the shop shall make."""

    key: str  # our refund_ref
    order_id: int  # the shop's id of the order
    amount: Decimal
    currency: str
    reason: str
    #: Whether the shop's payment gateway sends the money; else it was sent by other means.
    by_gateway: bool = True
    lines: tuple[RefundRequestLine, ...] = ()


@dataclass(frozen=True)
class SeenRefund:
    """What the shop holds of a refund of ours."""

    key: str
    remote_id: int
    amount: Decimal
    #: Whether the gateway took it.
    is_paid: bool


class ExchangeLine(Document):
    """Goods that replace others."""

    sku: str
    units: int
    #: The whole line without tax; none: the shop's own price.
    net_amount: Decimal | None = None


class ExchangeOrder(Document):
    """A shop order that replaces returned goods, paid with their value."""

    key: str  # our return_ref
    order_id: int  # the shop's id of the order it replaces
    lines: tuple[ExchangeLine, ...]
    reason: str = ""


# ---------------------------------------------------------------- told to the ERP


class MemoLine(Document):
    """One line of a credit memo; amounts positive, the whole line."""

    key: str  # unique within the memo: our line_ref, "amount", "rounding"
    kind: str  # product, shipping, fee, amount, rounding
    item: str  # SKU, or the ERP's code of the item for shipping, fees …
    item_id: int
    description: str
    units: Decimal
    net_amount: Decimal
    tax_amount: Decimal
    taxes: tuple[str, ...] = ()  # names of the ERP's taxes
    #: Our line_ref of the sales order's line, where there is one.
    order_line: str | None = None


class CreditMemo(Document):
    """What the ERP shall hold for one refund."""

    key: str  # our refund_ref
    order_ref: str
    order_id: int  # the ERP's id of its sales order
    #: The key of the customer as the sales order has it, for `put_parties`.
    party: str
    store: str
    company: str
    currency: str
    issued_on: date
    reason: str = ""
    web_shop: str | None = None
    lines: tuple[MemoLine, ...]
    total_amount: Decimal  # tax included


@dataclass(frozen=True)
class SeenMemo:
    """What the ERP holds of a credit memo of ours; amounts positive."""

    key: str
    remote_id: int
    number: str | None
    state: str  # draft, posted, cancelled, reversed
    total_amount: Decimal
    tax_amount: Decimal
    #: The day it stands under in the books: an ERP may move it out of a closed period.
    booked_on: date | None
    #: The journal entry behind it.
    journal: str | None
    lines: int
    #: How many further memos of the same key there are.
    twins: int = 0
    payload: Mapping[str, object] = field(default_factory=dict)


class RestockLine(Document):
    """Units of one order line that came back, by what becomes of them."""

    key: str  # our line_ref
    sku: str
    restock_units: int = 0
    refurbish_units: int = 0
    write_off_units: int = 0


class Restock(Document):
    """Goods that came back, to be booked in the ERP's stock."""

    key: str  # our return_ref
    order_ref: str
    order_id: int  # the ERP's id of its sales order
    warehouse: str = ""  # the ERP's code; empty: where they were shipped from
    received_on: date
    lines: tuple[RestockLine, ...]


@dataclass(frozen=True)
class SeenRestock:
    """What the ERP holds of goods that came back."""

    key: str
    remote_id: int
    number: str | None
    state: str  # begun, done, cancelled
    #: Units by SKU it has taken back in all of this order's returns that are done.
    units: Mapping[str, int]
    payload: Mapping[str, object] = field(default_factory=dict)
