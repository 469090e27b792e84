"""Who settles what in the generated year, under which contract, and at which exchange rates. The
same numbers can be written into a policy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import NamedTuple

from resources.sandbox.settlement_facts import ZERO, RateFact
from resources.sandbox.shop_order import cents

DAY = timedelta(days=1)
STRIPE, PAYPAL, ADYEN, COD = "stripe_us", "paypal_uk", "adyen_eu", "cod_eu"


@dataclass(frozen=True)
class Provider:
    """An account of ours, and the bank account it pays to."""

    name: str
    store: str
    method: str  # as the shop calls it
    currency: str
    bank: str
    #: How the bank names it; no other counterparty has this name.
    counterparty: str


PROVIDERS = {
    one.name: one
    for one in (
        Provider(STRIPE, "us", "stripe", "USD", "main_usd", "STRIPE PAYMENTS"),
        Provider(PAYPAL, "uk", "paypal", "GBP", "main_gbp", "PAYPAL EUROPE"),
        Provider(ADYEN, "eu", "adyen", "EUR", "main_eur", "ADYEN N.V."),
        Provider(COD, "eu", "cod", "EUR", "main_eur", "NACHNAHME KONTOR"),
    )
}


@dataclass(frozen=True)
class Bank:
    """A bank account of ours, and how its statements come."""

    name: str
    kind: str  # camt053, csv
    currency: str
    iban: str
    company: str


#: `spare_usd` is an account to which nothing should be paid out. The CSV has `;`, ISO days and a
#: decimal point.
BANKS = {
    one.name: one
    for one in (
        Bank("main_usd", "camt053", "USD", "GB33BUKB20201555555555", "Acme US Inc"),
        Bank("spare_usd", "camt053", "USD", "GB94BARC10201530093459", "Acme US Inc"),
        Bank("main_gbp", "csv", "GBP", "GB29NWBK60161331926819", "Acme UK Ltd"),
        Bank("main_eur", "camt053", "EUR", "DE89370400440532013000", "Acme Europe GmbH"),
    )
}


@dataclass(frozen=True)
class Contract:
    """What a provider takes from `since` until the last day `until`, in `currency`."""

    provider: str
    currency: str
    #: Of the gross amount of a sale, and a fixed part.
    percent: Decimal
    fixed: Decimal
    refund_fixed: Decimal = ZERO
    #: With the chargeback, and not given back; PayPal books it as a fee by itself (T0106).
    dispute_fee: Decimal = ZERO
    #: Tax on the fee.
    tax_percent: Decimal = ZERO
    since: date = date(1970, 1, 1)
    until: date | None = None

    def fee(self, kind: str, gross: Decimal) -> Decimal:
        """The fee of one line."""
        if kind == "sale":
            return cents(abs(gross) * self.percent / 100 + self.fixed)
        if kind == "chargeback" and self.provider != PAYPAL:
            return self.dispute_fee
        return self.refund_fixed if kind == "refund" else ZERO

    def tax(self, fee: Decimal) -> Decimal:
        """The tax on a fee."""
        return cents(fee * self.tax_percent / 100) if self.tax_percent else ZERO


def _money(text: str) -> Decimal:
    return Decimal(text)


#: The day of the line in UTC decides which contract holds; Stripe's changes in the middle of 2017.
CONTRACTS = (
    Contract(
        STRIPE,
        "USD",
        _money("2.9"),
        _money("0.30"),
        dispute_fee=_money("15.00"),
        until=date(2017, 6, 30),
    ),
    Contract(
        STRIPE,
        "USD",
        _money("2.6"),
        _money("0.25"),
        dispute_fee=_money("15.00"),
        since=date(2017, 7, 1),
    ),
    Contract(PAYPAL, "GBP", _money("2.9"), _money("0.30"), dispute_fee=_money("14.00")),
    Contract(PAYPAL, "EUR", _money("4.2"), _money("0.35"), dispute_fee=_money("16.00")),
    Contract(PAYPAL, "CHF", _money("4.9"), _money("0.55"), dispute_fee=_money("20.00")),
    Contract(
        ADYEN,
        "EUR",
        _money("1.4"),
        _money("0.12"),
        refund_fixed=_money("0.10"),
        dispute_fee=_money("7.50"),
    ),
    Contract(COD, "EUR", _money("1.5"), _money("2.50"), tax_percent=_money("19")),
)
#: Words of fees that stand by themselves and are agreed; * is any characters.
AGREED_FEES = {
    STRIPE: ("Radar*",),
    PAYPAL: ("T0106*",),
    ADYEN: ("*Transaction Fees*",),
    COD: (),
}
#: Adyen keeps five percent of a batch's sales for eight weeks, PayPal some sales for two.
RESERVE_PERCENT, RESERVE_WEEKS, HOLD_DAYS = Decimal(5), 8, 14
RESERVE_DAYS = {ADYEN: 7 * RESERVE_WEEKS + 7, PAYPAL: HOLD_DAYS + 1}


@lru_cache(maxsize=4096)
def contract(provider: str, currency: str, day: date) -> Contract:
    """The contract of a day."""
    return next(
        one
        for one in CONTRACTS
        if (one.provider, one.currency) == (provider, currency)
        and one.since <= day
        and (one.until is None or day <= one.until)
    )


# Exchange rates

#: Dollars for one unit, in January 2017.
IN_DOLLARS = {"USD": 1.0, "EUR": 1.06, "GBP": 1.24, "CHF": 0.99}
COMPANY_CURRENCIES = ("USD", "GBP", "EUR")
#: What a provider keeps of the day's rate when it converts.
MARGIN = Decimal("0.97")


class Rates:
    """Rates of each day, a walk from the first one; a day that is not there is an error."""

    def __init__(self, seed: int, first: date, last: date) -> None:
        self._of: dict[tuple[date, str, str], Decimal] = {}
        dice, now = Random(f"{seed}:rates"), dict(IN_DOLLARS)  # noqa: S311
        for day in days(first, last):
            for currency in ("EUR", "GBP", "CHF"):
                now[currency] *= 1 + dice.uniform(-0.004, 0.004)
            for company in COMPANY_CURRENCIES:
                for currency in IN_DOLLARS:
                    if currency != company:
                        rate = Decimal(str(round(now[currency] / now[company], 6)))
                        self._of[day, currency, company] = rate

    def rate(self, day: date, currency: str, company: str) -> Decimal:
        """Company currency for one unit."""
        return self._of[day, currency, company]

    def facts(self) -> list[RateFact]:
        """All of them, day by day."""
        return [RateFact(*key, rate) for key, rate in self._of.items()]


# Days


def days(first: date, last: date) -> Iterator[date]:
    """Each day, the last one too."""
    return (first + DAY * place for place in range((last - first).days + 1))


def business_day(day: date) -> date:
    """The day, or the Monday after it."""
    return day + DAY * max(0, 7 - day.weekday()) if day.weekday() > 4 else day


class Span(NamedTuple):
    """From the first order to the last one."""

    first: datetime
    last: datetime

    def moment(self, dice: Random) -> datetime:
        """A moment within it, to the second."""
        return self.first + timedelta(
            seconds=dice.randrange(max(1, int((self.last - self.first).total_seconds())))
        )
