"""What a generated year of payments consists of: facts of the shop and the books, what moved at a
provider, and what was planted.

Signs as everywhere with money: what comes to us is positive; a fee is a cost where positive, so
that net = gross - fee - tax on the fee.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

ZERO = Decimal("0.00")


@dataclass(slots=True)
class OrderFact:
    """An order as the shop has it; amounts in `currency`, without tax where nothing else is said.

    `total` is what the provider takes: net + shipping + fees + tax - gift_card. `fees` are those
    without the gift card, which shops show as a negative fee.
    """

    order_ref: str
    store: str
    order_id: str
    number: str
    currency: str
    total: Decimal
    net: Decimal
    shipping: Decimal
    tax: Decimal
    fees: Decimal
    discount: Decimal
    gift_card: Decimal
    placed_at: datetime
    paid_at: datetime | None
    changed_at: datetime
    state: str  # paid, completed, cancelled, refunded
    payment_method: str | None
    payment_ref: str | None


@dataclass(slots=True)
class RefundFact:
    """A refund of the shop; positive, tax included. One that failed did so at `failed_at`."""

    refund_ref: str
    order_ref: str
    amount: Decimal
    currency: str
    provider_ref: str | None
    refunded_at: datetime
    state: str  # confirmed, failed
    failed_at: datetime | None = None


@dataclass(slots=True)
class EventFact:
    """What a provider said of a payment, by the columns of `core.payment_events`."""

    event_ref: str
    provider: str
    kind: str
    payment_id: str | None
    group_id: str | None
    movement_id: str | None
    order_reference: str | None
    amount: Decimal | None
    currency: str | None
    happened_at: datetime
    reason: str = ""


@dataclass(slots=True)
class InvoiceFact:
    """An invoice or credit memo of the ERP, by the columns of `core.invoices`."""

    invoice_ref: str
    system: str
    order_ref: str
    number: str
    state: str
    kind: str  # invoice, credit_memo
    currency: str
    total_amount: Decimal
    tax_amount: Decimal
    invoiced_on: date


@dataclass(frozen=True, slots=True)
class RateFact:
    """How much of the company's currency one unit of `currency` was worth on a day."""

    day: date
    currency: str
    company_currency: str
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted fault.

    `ref` is the subject of its finding: `us:1042:capture`, `us:1042`, `stripe_us:txn_1`, a file's
    name. Where a mapper makes the key it is what the key must contain: `po_1`, the bank's
    reference, the psp reference.
    """

    kind: str
    #: Without the prefix `settlement.`; `duplicate` is no finding but a file's state.
    finding: str
    ref: str


@dataclass(slots=True)
class Move:
    """One line of what a provider settles, before it is written in the provider's own words."""

    provider: str
    kind: str
    id: str
    at: datetime
    currency: str
    gross: Decimal
    fee: Decimal = ZERO
    fee_tax: Decimal = ZERO
    payment: str = ""
    group: str = ""
    movement: str = ""
    reference: str = ""
    #: What the provider writes beside it.
    words: str = ""
    #: The provider's type, where it is not the one of the kind.
    type: str = ""
    #: What the customer paid, in which currency, and the rate, where that is another one.
    paid: tuple[Decimal, str, Decimal] | None = None
    #: Counts as of then for the payout it goes into; else `at`.
    due: datetime | None = None
    #: Repeats a line of an earlier payout and is no part of the sum.
    is_repeat: bool = False
    is_planted: bool = False

    @property
    def net(self) -> Decimal:
        """What the balance moves by."""
        return self.gross - self.fee - self.fee_tax

    @property
    def line_ref(self) -> str:
        """Our key of the line, where the provider's id makes it."""
        return f"{self.provider}:{self.id}"


@dataclass(slots=True)
class Transfer:
    """Money between a provider and our bank; positive where the bank gets it."""

    provider: str
    id: str
    #: What the bank's text says.
    reference: str
    amount: Decimal
    day: date
    #: A planted kind of the bank's side.
    fault: str = ""


@dataclass(slots=True)
class Payout:
    """One payout of a provider that pays out everything, with its lines."""

    provider: str
    id: str
    day: date
    currency: str
    bank_reference: str
    moves: list[Move] = field(default_factory=list)
    #: Of a line that is in the sum and is not told.
    untold: Decimal = ZERO
    fault: str = ""

    @property
    def amount(self) -> Decimal:
        """What goes to the bank; negative where it is taken from there."""
        return sum((one.net for one in self.moves if not one.is_repeat), self.untold)

    @property
    def is_planted(self) -> bool:
        """Whether anything in it is planted."""
        return bool(self.fault) or any(one.is_planted for one in self.moves)


@dataclass(slots=True)
class Total:
    """What one provider settled in one currency.

    gross + refunds + disputes + other - fees - fee_tax = net. `other` are reserves, conversions,
    adjustments, top-ups and withheld tax; fees that stand by themselves are in `fees`.
    """

    gross: Decimal = ZERO
    fees: Decimal = ZERO
    fee_tax: Decimal = ZERO
    refunds: Decimal = ZERO
    disputes: Decimal = ZERO
    other: Decimal = ZERO
    net: Decimal = ZERO
    #: What went to the bank, positive.
    payouts: Decimal = ZERO

    def add(self, move: Move) -> None:
        """Count a line in."""
        part = _PARTS.get(move.kind, "other")
        if part == "fees":
            self.fees -= move.gross
        else:
            setattr(self, part, getattr(self, part) + move.gross)
        self.fees += move.fee
        self.fee_tax += move.fee_tax
        self.net += move.net


_PARTS = {
    "sale": "gross",
    "refund": "refunds",
    "refund_failed": "refunds",
    "chargeback": "disputes",
    "chargeback_reversed": "disputes",
    "fee": "fees",
}

#: Files by provider or bank account, in the order in which they come.
Files = dict[str, list[tuple[str, bytes]]]


@dataclass
class Year:
    """Everything a year comes to."""

    orders: list[OrderFact]
    refunds: list[RefundFact]
    events: list[EventFact]
    invoices: list[InvoiceFact]
    rates: list[RateFact]
    files: Files
    planted: list[Planted]
    totals: Mapping[tuple[str, str], Total]
