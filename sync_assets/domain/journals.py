"""Entries in the books: what an ERP shall hold, what it holds, and the invoices it made itself.

Signs: a debit is positive and a credit negative, in the line's own currency and in that of the
company alike.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pandera.pandas as pa

from sync_assets.domain.frames import Day, Instant, Money, Table
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem
from sync_assets.domain.payments import CURRENCY
from sync_assets.domain.sales import Document


class JournalLine(Document):
    """One line of an entry.

    A line that is 0 in another currency, but not in that of the company, is a difference of
    exchange.
    """

    account: str  # the ERP's account code
    amount: Decimal  # debit > 0, in `currency`
    currency: str
    company_amount: Decimal  # debit > 0, in the company's currency
    description: str
    party: str | None = None  # our key of the customer, where the account asks for one


class JournalDocument(Document):
    """What the ERP shall hold as one entry; it balances in the company's currency."""

    key: str  # our entry_ref, "settlement:stripe_us:po_1:2026-01:1"
    company: str  # the ERP's name of the legal entity
    journal: str  # the ERP's code of the journal
    on: date
    company_currency: str
    reference: str  # the batch, "po_1"
    description: str
    lines: tuple[JournalLine, ...]


def unfit(document: JournalDocument) -> Iterator[Problem]:
    """What no ERP would book as it stands; each of them finds out at another moment."""
    if not document.lines:
        yield Problem("journal.empty", "lines", f"entry {document.key} has no lines")
    rest = sum((line.company_amount for line in document.lines), Decimal())
    if rest:
        text = f"entry {document.key} is off by {rest} {document.company_currency}"
        yield Problem("journal.unbalanced", "lines", text)
    for place, line in enumerate(document.lines, start=1):
        for text in _unfit_line(document.company_currency, line):
            yield Problem(
                "journal.line_unfit", f"lines[{place}]", f"account {line.account}: {text}"
            )


def _unfit_line(company_currency: str, line: JournalLine) -> Iterator[str]:
    amounts = ((line.amount, line.currency), (line.company_amount, company_currency))
    for amount, currency in amounts:
        if amount != rounded(amount, digits_of(currency)):
            yield f"{amount} has more digits than {currency}"
    if line.currency == company_currency and line.amount != line.company_amount:
        yield f"{line.amount} and {line.company_amount} {company_currency} are one amount"
    if line.amount * line.company_amount < 0:
        yield f"{line.amount} {line.currency} is no {line.company_amount} {company_currency}"


@dataclass(frozen=True)
class Total:
    """What the lines of one account and currency come to; a debit is positive."""

    amount: Decimal
    company_amount: Decimal


@dataclass(frozen=True)
class SeenJournal:
    """What the ERP holds of an entry of ours."""

    key: str
    remote_id: int
    number: str | None
    state: str  # draft, posted, cancelled, or reversed: somebody took it back in the ERP
    #: The day it stands under in the books: Odoo moves it out of a locked period without a word.
    booked_on: date | None
    #: By account code and currency.
    totals: Mapping[tuple[str, str], Total]
    total_amount: Decimal  # the debits, in the company's currency
    lines: int
    #: How many further entries of the same key there are.
    twins: int
    payload: Mapping[str, object] = field(default_factory=dict)


#: More than any invoice, and less than what a column of money holds.
TOO_MUCH = Decimal(10) ** 14


def invoiced(amount: Decimal, currency: str) -> Decimal:
    """Return an amount with the digits of its currency; a ValueError for what is no money."""
    if not re.fullmatch(CURRENCY, currency):
        raise ValueError("the currency is no ISO 4217 code")
    if not abs(amount) < TOO_MUCH:
        raise ValueError("the amount is out of bounds")
    return rounded(amount, digits_of(currency))


class JournalEntries(Table):
    """One row per entry that the ERP shall hold; it balances in each currency and in the company's.

    Never changed: a counter entry takes it back, and nothing else.
    """

    entry_ref: str = pa.Field(description="Our key, also the ERP's reference of the entry")
    kind: str = pa.Field(
        isin=["receipts", "revenue", "refunds", "settlement", "bank", "correction"],
        description="What is booked",
    )
    company: str = pa.Field(description="The ERP's name of the legal entity")
    erp: str = pa.Field(description="Our name of the ERP")
    journal: str = pa.Field(description="The ERP's code of the journal")
    posted_on: Day = pa.Field(description="The day it stands under in the books")
    period: str = pa.Field(str_matches=r"^\d{4}-\d{2}$", description="The month of that day")
    company_currency: str = pa.Field(str_matches=CURRENCY, description="ISO 4217 code")
    provider: str = pa.Field(nullable=True, description="Our name of the provider's account")
    store: str = pa.Field(nullable=True, description="Our name of the store")
    batch_ref: str = pa.Field(description="The payout or statement, or the day of what is no batch")
    description: str = pa.Field(description="What it is, for people")
    reverses: str = pa.Field(nullable=True, description="The entry that this one takes back")
    created_at: Instant = pa.Field(description="When it was made")

    class Config(Table.Config):
        unique = ["entry_ref"]


class JournalLines(Table):
    """One row per line of an entry; `core.journal_sources` leads to what each is made of."""

    entry_ref: str = pa.Field(description="The entry")
    line_no: int = pa.Field(ge=1, description="Its place there")
    account: str = pa.Field(str_length={"min_value": 1}, description="The ERP's account code")
    account_kind: str = pa.Field(
        str_length={"min_value": 1}, description="The kind of account the policy names it for"
    )
    amount: Money = pa.Field(description="Debit is positive, in `currency`")
    currency: str = pa.Field(str_matches=CURRENCY, description="ISO 4217 code")
    company_amount: Money = pa.Field(description="Debit is positive, in the company's currency")
    tax_code: str = pa.Field(nullable=True, description="The shop's tax code, on lines of tax")
    store: str = pa.Field(nullable=True, description="Our name of the store")
    description: str = pa.Field(description="What it is, for people")
    item_count: int = pa.Field(ge=0, description="How many things it sums")

    class Config(Table.Config):
        unique = ["entry_ref", "line_no"]


class Invoices(Table):
    """One row per invoice or credit memo to a customer that an ERP holds; amounts are positive."""

    invoice_ref: str = pa.Field(description="Our key: ERP and its id of the document, `odoo:31`")
    system: str = pa.Field(description="Our name of the ERP")
    order_ref: str = pa.Field(
        nullable=True, description="The only order it is for; none: unknown, or several"
    )
    number: str = pa.Field(nullable=True, description="Its number; drafts have none")
    state: str = pa.Field(isin=["draft", "posted", "cancelled"], description="Where it stands")
    kind: str = pa.Field(isin=["invoice", "credit_memo"], description="Which way the money goes")
    currency: str = pa.Field(str_matches=CURRENCY, description="ISO 4217 code")
    total_amount: Money = pa.Field(description="Tax included, in `currency`")
    tax_amount: Money = pa.Field(description="The tax in it, in `currency`")
    invoiced_on: Day = pa.Field(nullable=True, description="Day of the document, if it has one")

    class Config(Table.Config):
        unique = ["invoice_ref"]
