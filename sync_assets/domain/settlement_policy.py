"""What providers may cost, how settlements are matched and how they are booked: the typed form of
`policies/settlements.yaml`.

The file is data; this module says what may stand in it and answers what it says of one case.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import pydantic

from sync_assets.domain.payments import SettledKind
from sync_assets.domain.policy import NAME, Part, sku_pattern

CURRENCY = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z]{3}$")]
AMOUNT = Annotated[Decimal, pydantic.Field(ge=0, max_digits=18, decimal_places=4)]
PERCENT = Annotated[Decimal, pydantic.Field(ge=0, le=100, decimal_places=4)]
DAYS = Annotated[int, pydantic.Field(ge=0, le=3650)]
#: Amounts by currency: 100 is not the same in dollars and in yen.
Amounts = Mapping[CURRENCY, AMOUNT]

#: Kinds of accounts a journal line may go to. `balance` is what a provider holds for us, `clearing`
#: what customers paid by it and it has not settled, `prepayments` what is captured and not earned.
ACCOUNT_KINDS = (
    *("receivable", "prepayments", "clearing", "balance", "transit", "bank", "sales", "tax"),
    *("shipping", "surcharges", "discounts", "gift_cards", "refunds", "chargebacks", "fees"),
    *("fee_tax", "reserve", "tax_withheld", "adjustments", "rounding", "conversion", "fx"),
    "write_off",
)


class FeeRule(Part):
    """What a provider takes for some lines: percent of the gross amount plus a fixed part."""

    kinds: tuple[SettledKind, ...] = (SettledKind.SALE,)
    #: Payment methods as the provider calls them; * is any characters.
    methods: tuple[str, ...] = ("*",)
    currency: CURRENCY
    percent: PERCENT = Decimal(0)
    fixed: AMOUNT = Decimal(0)
    #: The fee is given back with the money, in proportion: for refunds.
    is_returned: bool = False
    #: Tax on the fee.
    tax_percent: PERCENT = Decimal(0)
    since: date = date(1970, 1, 1)
    #: The last day it holds; none: it still does.
    until: date | None = None


class ProviderRule(Part):
    """What was agreed with one provider, and how its lines are matched."""

    #: Captured or refunded, it is settled within so many days.
    settles_within_days: DAYS = 10
    #: Paid out, it is in the bank within so many days.
    bank_within_days: DAYS = 5
    #: Held back, it is released within so many days; none: nobody said when.
    reserve_days: DAYS | None = None
    #: Amounts may differ by so much; the difference goes to `rounding`.
    tolerance: Amounts = {}
    #: How far apart in days the same amount may be where nothing names the order.
    window_days: DAYS = 4
    #: The contract. No rule for a currency: nothing is compared there.
    fees: tuple[FeeRule, ...] = ()
    fee_tolerance: AMOUNT = Decimal("0.01")
    #: Words of fees that stand by themselves and are agreed; * is any characters.
    agreed_fees: tuple[str, ...] = ("*",)
    #: Words of adjustments that are agreed.
    agreed_adjustments: tuple[str, ...] = ()
    #: How banks write the provider's name; none: its kind, as `*stripe*`.
    bank_names: tuple[str, ...] = ()
    #: A marketplace keeps tax and pays it itself.
    withholds_tax: bool = False
    #: How far a conversion's rate may be from the rate of the day.
    rate_tolerance_percent: PERCENT = Decimal(5)


class CompanyBooks(Part):
    """How one company's journals are made."""

    currency: CURRENCY
    timezone: str = "UTC"
    #: erp: the ERP invoices orders and credits refunds, only payments and settlements are posted;
    #: journal: sales, tax and refunds are posted as journals too.
    sales: Literal["erp", "journal"] = "erp"
    #: An order is revenue when its goods leave, or when its money is captured.
    revenue_on: Literal["shipment", "capture"] = "shipment"
    #: Sales net of discounts, or gross with discounts on an account of their own.
    discounts: Literal["net", "gross"] = "net"
    #: payout: one entry per payout and month; line: one entry per settled line.
    detail: Literal["payout", "line"] = "payout"
    #: What comes after its period was closed: on the first day of the next open one, or held.
    late: Literal["next_period", "hold"] = "next_period"
    #: The ERP's journal code, by kind of entry; `default` for all others.
    journals: Mapping[str, str] = {"default": "MISC"}
    #: The ERP's account codes by kind, finer ones behind a point: `clearing.stripe_eu`,
    #: `tax.vat-20`, `sales.us`, `bank.main`.
    accounts: Mapping[str, str] = {}

    @pydantic.field_validator("accounts")
    @classmethod
    def _kinds_are_known(cls, said: Mapping[str, str]) -> Mapping[str, str]:
        for key in said:
            if key.split(".", 1)[0] not in ACCOUNT_KINDS:
                known = ", ".join(ACCOUNT_KINDS)
                raise ValueError(f"{key!r} is no kind of account; known: {known}")
        return said

    @pydantic.field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, said: str) -> str:
        try:
            ZoneInfo(said)
        except (KeyError, ValueError, OSError) as fault:
            raise ValueError(f"{said!r} is no time zone") from fault
        return said

    def account(self, kind: str, *finer: str | None) -> str | None:
        """The account of a kind: the first finer one that is named, else the kind's own."""
        for key in (*(f"{kind}.{one}" for one in finer if one), kind):
            if key in self.accounts:
                return self.accounts[key]
        return None

    def journal(self, kind: str) -> str:
        """The ERP's journal for a kind of entry."""
        return self.journals.get(kind) or self.journals.get("default", "MISC")


class WriteOff(Part):
    """How much one person may write off, and how much two."""

    limit: Amounts = {}
    #: Above it nobody may from here; the ERP's own ways are for that. Not named: no limit with two.
    most: Amounts = {}


class GiftCards(Part):
    """How gift cards show in orders."""

    #: SKUs that sell one: a liability, no revenue. * is any characters.
    skus: tuple[str, ...] = ()
    #: Words of negative fees by which one pays.
    fee_words: tuple[str, ...] = ("*gift card*", "*gift voucher*")


class SettlementPolicy(Part):
    """What holds for payments, settlements and journals, by provider and company."""

    version: Literal[1] = 1
    default: ProviderRule = ProviderRule()
    #: A provider says only what is otherwise there.
    providers: Mapping[NAME, ProviderRule] = {}
    companies: Mapping[str, CompanyBooks] = {}
    write_off: WriteOff = WriteOff()
    gift_cards: GiftCards = GiftCards()

    def rule(self, provider: str) -> ProviderRule:
        """The rule of a provider."""
        own = self.providers.get(provider)
        if own is None:
            return self.default
        said = {name: getattr(own, name) for name in own.model_fields_set}
        return self.default.model_copy(update=said)


def is_like(patterns: tuple[str, ...], words: str) -> bool:
    """Whether words fit one of the patterns, letter case aside."""
    plain = words.casefold()
    return any(re.fullmatch(sku_pattern(one.casefold()), plain, re.DOTALL) for one in patterns)


#: Without a file everything is matched and compared, and nothing is booked.
NO_FILE = SettlementPolicy()
