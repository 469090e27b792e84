"""Money as we hold it: what providers said of payments, what we expect to be paid, what was
settled, and what reached the bank.

Expected and actual are two ledgers; neither is ever overwritten by the other, they are matched. No
provider's words are here (mappers translate), and no I/O.

Signs: an amount is positive where money comes to us and negative where it leaves us. A fee is a
cost: positive where it was taken, negative where it was given back, so that always
net = gross - fee - tax on the fee.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import pandera.pandas as pa

from sync_assets.domain.frames import Day, Instant, Money, Table
from sync_assets.domain.orders import Row

CURRENCY = r"^[A-Z]{3}$"


class EventKind(StrEnum):
    """What a provider said happened to a payment."""

    AUTHORISED = "authorised"
    CAPTURED = "captured"  # money was taken from the customer, in part or whole
    CAPTURE_FAILED = "capture_failed"
    VOIDED = "voided"  # an authorisation was given up
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"  # the money came back to us
    DISPUTE_OPENED = "dispute_opened"  # told, no money moved
    CHARGEBACK = "chargeback"  # the money was taken from us
    CHARGEBACK_REVERSED = "chargeback_reversed"  # and given back
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_FAILED = "payout_failed"
    REPORT_READY = "report_ready"  # a settlement report can be fetched


class PaymentKind(StrEnum):
    """A movement of money that we expect a provider to settle."""

    CAPTURE = "capture"
    REFUND = "refund"
    REFUND_FAILED = "refund_failed"
    CHARGEBACK = "chargeback"
    CHARGEBACK_REVERSED = "chargeback_reversed"


class SettledKind(StrEnum):
    """What a line of a settlement is."""

    SALE = "sale"
    REFUND = "refund"
    REFUND_FAILED = "refund_failed"
    CHARGEBACK = "chargeback"
    CHARGEBACK_REVERSED = "chargeback_reversed"
    FEE = "fee"  # a fee by itself: monthly, per dispute, network costs; negative gross, no fee
    RESERVE_HELD = "reserve_held"
    RESERVE_RELEASED = "reserve_released"
    CONVERSION = "conversion"  # one side of a change of currency at the provider
    TAX_WITHHELD = "tax_withheld"  # a marketplace keeps tax and pays it itself
    ADJUSTMENT = "adjustment"  # whatever the provider says is one
    TOPUP = "topup"  # we paid the provider
    PAYOUT = "payout"  # the provider paid us (negative), or took from our bank (positive)
    PAYOUT_RETURNED = "payout_returned"  # the bank sent it back


#: What an expected movement is called in a settlement.
SETTLED_AS: dict[PaymentKind, SettledKind] = {
    PaymentKind.CAPTURE: SettledKind.SALE,
    PaymentKind.REFUND: SettledKind.REFUND,
    PaymentKind.REFUND_FAILED: SettledKind.REFUND_FAILED,
    PaymentKind.CHARGEBACK: SettledKind.CHARGEBACK,
    PaymentKind.CHARGEBACK_REVERSED: SettledKind.CHARGEBACK_REVERSED,
}
#: Lines that need a counterpart among what we expect.
NEED_PAYMENT = frozenset(SETTLED_AS.values())
#: Lines that need a counterpart in the bank's statement.
NEED_BANK = frozenset({SettledKind.PAYOUT, SettledKind.PAYOUT_RETURNED, SettledKind.TOPUP})


class ToldBy(StrEnum):
    """How a line came to us."""

    API = "api"
    FILE = "file"
    EVENT = "event"
    PERSON = "person"


class PaymentEvents(Table):
    """One row per thing a provider said of a payment; amounts are positive."""

    event_ref: str = pa.Field(
        description="Our key: provider and its id of the event, `stripe_eu:evt_1`"
    )
    provider: str = pa.Field(description="Our name of the provider's account")
    kind: str = pa.Field(isin=list(EventKind), description="What happened")
    payment_id: str = pa.Field(nullable=True, description="The provider's id of the payment")
    group_id: str = pa.Field(
        nullable=True,
        description="The id that several captures share: payment intent, PayPal order, first PSP "
        "reference",
    )
    movement_id: str = pa.Field(
        nullable=True, description="The provider's id of the capture, refund, dispute or payout"
    )
    order_reference: str = pa.Field(nullable=True, description="The order, as the provider says it")
    amount: Money = pa.Field(ge=0, nullable=True, description="How much, in `currency`")
    currency: str = pa.Field(nullable=True, str_matches=CURRENCY, description="ISO 4217 code")
    happened_at: Instant = pa.Field(description="When, as the provider says")
    reason: str = pa.Field(description="The provider's words, cut; empty if it gave none")

    class Config(Table.Config):
        unique = ["event_ref"]


class Payments(Table):
    """One row per movement of money that we expect to be settled: the expected ledger."""

    payment_ref: str = pa.Field(
        description="Our key: `us:1042:capture`, with the provider's id behind it where there are "
        "several; the refund's key; `stripe_eu:dp_1:chargeback`"
    )
    kind: str = pa.Field(isin=list(PaymentKind), description="What moves")
    order_ref: str = pa.Field(nullable=True, description="The order; none: it is not known yet")
    store: str = pa.Field(nullable=True, description="Our name of the store")
    provider: str = pa.Field(description="Our name of the provider's account")
    amount: Money = pa.Field(description="Signed: what comes to us is positive")
    currency: str = pa.Field(str_matches=CURRENCY, description="What the customer pays in")
    payment_id: str = pa.Field(nullable=True, description="The provider's id of the payment")
    group_id: str = pa.Field(nullable=True, description="The id that several captures share")
    movement_id: str = pa.Field(
        nullable=True, description="The provider's id of this capture, refund or dispute"
    )
    order_number: str = pa.Field(nullable=True, description="The number the customer sees")
    expected_at: Instant = pa.Field(description="When the money moved, as far as we know")
    source: str = pa.Field(
        isin=["order", "event", "refund"], description="Who says so: the shop or the provider"
    )
    is_void: bool = pa.Field(description="It was taken back before it moved; nothing is expected")

    class Config(Table.Config):
        unique = ["payment_ref"]


class SettlementLines(Table):
    """One row per line of what a provider settled: the actual ledger.

    Net = gross - fee - fee tax.
    """

    line_ref: str = pa.Field(
        description="Our key: provider and its id of the line, `stripe_eu:txn_1`"
    )
    provider: str = pa.Field(description="Our name of the provider's account")
    kind: str = pa.Field(isin=list(SettledKind), description="What it is")
    payout_ref: str = pa.Field(
        nullable=True, description="The payout (or day's statement) it is in; none: not yet"
    )
    payment_id: str = pa.Field(nullable=True, description="The provider's id of the payment")
    group_id: str = pa.Field(nullable=True, description="The id that several captures share")
    movement_id: str = pa.Field(
        nullable=True, description="The provider's id of this capture, refund, dispute or payout"
    )
    order_reference: str = pa.Field(
        nullable=True, description="Merchant reference or invoice id, as the provider says it"
    )
    method: str = pa.Field(nullable=True, description="visa, ideal, paypal …, for fee rules")
    currency: str = pa.Field(str_matches=CURRENCY, description="What is settled in")
    gross_amount: Money = pa.Field(description="Signed, before fees, in `currency`")
    fee_amount: Money = pa.Field(description="Taken by the provider, in `currency`; a cost is > 0")
    fee_tax_amount: Money = pa.Field(description="Tax on the fee, in `currency`")
    net_amount: Money = pa.Field(description="Signed, what the balance moves by, in `currency`")
    paid_amount: Money = pa.Field(
        nullable=True, description="Signed, what the customer paid, where that is another currency"
    )
    paid_currency: str = pa.Field(
        nullable=True, str_matches=CURRENCY, description="The customer's currency, if another"
    )
    exchange_rate: Money = pa.Field(
        nullable=True, description="Units of `currency` for one of `paid_currency`, as told"
    )
    occurred_at: Instant = pa.Field(description="When the provider booked it")
    description: str = pa.Field(description="The provider's words, cut; they may name an order")
    fee_detail: str = pa.Field(nullable=True, description="Parts of the fee as a JSON object")
    told_by: str = pa.Field(isin=list(ToldBy), description="How it came to us")
    file_name: str = pa.Field(nullable=True, description="The file it stands in")
    file_line: int = pa.Field(ge=0, description="Its line there, from 1; 0 without a file")

    class Config(Table.Config):
        unique = ["line_ref"]


class Payouts(Table):
    """One row per payout, or per day's statement of a balance that is not paid out at once.

    opening + net of all its lines = closing; the lines of kind `payout` are among them.
    """

    payout_ref: str = pa.Field(description="Our key: provider and its id, `stripe_eu:po_1`")
    provider: str = pa.Field(description="Our name of the provider's account")
    payout_id: str = pa.Field(description="The provider's id, batch number or day")
    kind: str = pa.Field(
        isin=["payout", "statement"],
        description="Everything is paid out, or what is not stays in the balance",
    )
    currency: str = pa.Field(str_matches=CURRENCY, description="ISO 4217 code")
    paid_amount: Money = pa.Field(
        description="What went to the bank; negative where it was taken from there"
    )
    opening_amount: Money = pa.Field(nullable=True, description="Balance before, if told")
    closing_amount: Money = pa.Field(nullable=True, description="Balance after, if told")
    paid_on: Day = pa.Field(description="Day of the payout, or of the statement")
    state: str = pa.Field(
        isin=["in_transit", "paid", "failed"], description="Where it stands, as the provider says"
    )
    bank_reference: str = pa.Field(
        nullable=True, description="What the bank's statement is to show of it"
    )

    class Config(Table.Config):
        unique = ["payout_ref"]


class BankLines(Table):
    """One row per booked entry of a bank statement."""

    bank_line_ref: str = pa.Field(description="Our key: account and the bank's reference or digest")
    account: str = pa.Field(description="Our name of the bank account")
    statement_ref: str = pa.Field(description="The statement it stands in")
    booked_on: Day = pa.Field(description="Booking day")
    valued_on: Day = pa.Field(nullable=True, description="Value day")
    amount: Money = pa.Field(description="Signed: credit is positive")
    currency: str = pa.Field(str_matches=CURRENCY, description="ISO 4217 code")
    bank_reference: str = pa.Field(nullable=True, description="The bank's reference")
    end_to_end_id: str = pa.Field(nullable=True, description="End-to-end reference of the payer")
    counterparty: str = pa.Field(nullable=True, description="Who paid or was paid, as told")
    description: str = pa.Field(description="Remittance information, cut")
    is_reversal: bool = pa.Field(description="It takes back an earlier entry")
    file_name: str = pa.Field(description="The file it stands in")
    file_line: int = pa.Field(ge=0, description="Its line or entry there, from 1")

    class Config(Table.Config):
        unique = ["bank_line_ref"]


class BankStatements(Table):
    """One row per bank statement; opening + its lines = closing."""

    statement_ref: str = pa.Field(description="Our key: account and the bank's id of the statement")
    account: str = pa.Field(description="Our name of the bank account")
    number: int = pa.Field(nullable=False, ge=0, description="Sequence number; 0: none is told")
    currency: str = pa.Field(str_matches=CURRENCY, description="ISO 4217 code")
    opening_amount: Money = pa.Field(nullable=True, description="Balance before, if told")
    closing_amount: Money = pa.Field(nullable=True, description="Balance after, if told")
    from_on: Day = pa.Field(description="First day")
    until_on: Day = pa.Field(description="Last day")

    class Config(Table.Config):
        unique = ["statement_ref"]


@dataclass
class Found:
    """What a mapper found in one payload: rows of the tables above, without what a step adds."""

    events: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    payouts: list[Row] = field(default_factory=list)
    bank_lines: list[Row] = field(default_factory=list)
    statements: list[Row] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        """Take another payload's rows in."""
        self.events += other.events
        self.lines += other.lines
        self.payouts += other.payouts
        self.bank_lines += other.bank_lines
        self.statements += other.statements


#: The tables of what was told, by the name of their list in `Found` and their table in `core`.
TOLD_TABLES: dict[str, tuple[str, type[Table]]] = {
    "events": ("payment_events", PaymentEvents),
    "lines": ("settlement_lines", SettlementLines),
    "payouts": ("payouts", Payouts),
    "bank_lines": ("bank_lines", BankLines),
    "statements": ("bank_statements", BankStatements),
}
#: As much of a provider's words as is kept.
LONGEST_TEXT = 500
