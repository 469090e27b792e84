"""The reconciliation statement: from what was sold to what reached the bank, line by line.

Sums are read from the database elsewhere; here they become lines in their order, with totals, and
with whatever does not add up shown as a line of its own. No I/O.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Money, Table
from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Row
from sync_assets.domain.payments import CURRENCY

ZERO = Decimal(0)
#: What belongs to no store: payouts, monthly fees, lines that are not matched.
NO_STORE = ""


class Line(StrEnum):
    """A line of the statement, in its order."""

    GROSS_SALES = "gross_sales"
    DISCOUNTS = "discounts"
    SHIPPING = "shipping"
    SURCHARGES = "surcharges"
    TAX = "tax"
    GIFT_CARDS = "gift_cards"
    ROUNDING = "rounding"
    SALES_WITHOUT_ORDER = "sales_without_order"
    UNEXPLAINED_SALES = "unexplained_sales"
    CAPTURED = "captured"
    REFUNDS = "refunds"
    FEES = "fees"
    FEE_TAX = "fee_tax"
    DISPUTES = "disputes"
    RESERVES = "reserves"
    TAX_WITHHELD = "tax_withheld"
    ADJUSTMENTS = "adjustments"
    CONVERSION = "conversion"
    UNEXPLAINED = "unexplained"
    NET = "net"
    PAID_OUT = "paid_out"
    BALANCE_CHANGE = "balance_change"
    BANK_RECEIVED = "bank_received"
    BANK_IN_TRANSIT = "bank_in_transit"
    BANK_OTHERWISE = "bank_otherwise"
    BANK_DIFFERENCE = "bank_difference"


class Words(NamedTuple):
    """How a line is shown."""

    label: str
    says: str
    #: A total of the lines above it.
    is_total: bool = False
    #: Left out where it is nothing.
    is_rare: bool = False


WORDS: Mapping[Line, Words] = {
    Line.GROSS_SALES: Words("Gross sales", "goods of settled orders before discount, without tax"),
    Line.DISCOUNTS: Words("Discounts", "given on goods"),
    Line.SHIPPING: Words("Shipping", "charged for shipping, without tax"),
    Line.SURCHARGES: Words("Surcharges", "other fees charged to customers", is_rare=True),
    Line.TAX: Words("Tax", "charged to customers"),
    Line.GIFT_CARDS: Words("Gift cards", "paid with gift cards, not by the provider", is_rare=True),
    Line.ROUNDING: Words(
        "Rounding and differences", "rounding, and what was settled above or below", is_rare=True
    ),
    Line.SALES_WITHOUT_ORDER: Words(
        "Sales without order", "settled, and no order is known for it", is_rare=True
    ),
    Line.UNEXPLAINED_SALES: Words("Unexplained", "must be nothing", is_rare=True),
    Line.CAPTURED: Words("Captured", "settled sales, as the customers paid them", is_total=True),
    Line.REFUNDS: Words("Refunds", "given back, less refunds that failed"),
    Line.FEES: Words("Fees", "taken by the provider"),
    Line.FEE_TAX: Words("Tax on fees", "charged to us by the provider"),
    Line.DISPUTES: Words("Disputes", "chargebacks, less those that were won"),
    Line.RESERVES: Words("Reserves", "held back, less what was released"),
    Line.TAX_WITHHELD: Words("Tax withheld", "kept and paid by the marketplace", is_rare=True),
    Line.ADJUSTMENTS: Words(
        "Adjustments", "whatever else the provider booked, and top-ups", is_rare=True
    ),
    Line.CONVERSION: Words(
        "Conversion", "changed into or out of another currency at the provider", is_rare=True
    ),
    Line.UNEXPLAINED: Words("Unexplained", "must be nothing", is_rare=True),
    Line.NET: Words("Net", "what the balance grew by before payouts", is_total=True),
    Line.PAID_OUT: Words("Paid out", "sent to the bank, less what came back"),
    Line.BALANCE_CHANGE: Words("Change of balance", "left with the provider", is_total=True),
    Line.BANK_RECEIVED: Words("In the bank", "payouts that were found in the bank's statement"),
    Line.BANK_IN_TRANSIT: Words("In transit", "paid out, and not found in the bank yet"),
    Line.BANK_OTHERWISE: Words(
        "Ended otherwise", "payouts that were returned or written off", is_rare=True
    ),
    Line.BANK_DIFFERENCE: Words(
        "Difference", "paid out less what the bank received, settled otherwise", is_rare=True
    ),
}
PLACE: Mapping[str, int] = {line: place for place, line in enumerate(Line)}

PARTS_OF_SALES = (
    *(Line.GROSS_SALES, Line.DISCOUNTS, Line.SHIPPING, Line.SURCHARGES, Line.TAX),
    *(Line.GIFT_CARDS, Line.ROUNDING, Line.SALES_WITHOUT_ORDER),
)
AFTER_SALES = (
    *(Line.REFUNDS, Line.FEES, Line.FEE_TAX, Line.DISPUTES, Line.RESERVES, Line.TAX_WITHHELD),
    *(Line.ADJUSTMENTS, Line.CONVERSION),
)
BANK = (Line.BANK_RECEIVED, Line.BANK_IN_TRANSIT, Line.BANK_OTHERWISE)
#: Must be nothing.
RESIDUALS = (Line.UNEXPLAINED_SALES, Line.UNEXPLAINED)
#: Summed from settlement lines as they stand, past everything that orders and matches say.
CONTROLS = (Line.CAPTURED, Line.PAID_OUT, Line.BALANCE_CHANGE)


class Statements(Table):
    """One row per provider, store, period, currency and line of the statement.

    Gross sales to rounding = captured; captured to conversion = net; net + paid out = change of
    balance; paid out = - (in the bank + in transit + ended otherwise + difference).
    """

    provider: str = pa.Field(description="Our name of the provider's account")
    store: str = pa.Field(
        description="Our name of the store; empty: of none, as payouts and monthly fees"
    )
    period: str = pa.Field(description="Month in the company's time zone, `2017-03`")
    currency: str = pa.Field(str_matches=CURRENCY, description="ISO 4217 code of the amounts")
    line: str = pa.Field(isin=list(Line), description="Which line")
    line_no: int = pa.Field(ge=0, description="Its place in the statement")
    item_count: int = pa.Field(description="How many settlement lines it sums")
    amount: Money = pa.Field(description="Signed: what comes to us is positive")
    open_count: int = pa.Field(ge=0, description="How many of them are matched with nothing")
    open_amount: Money = pa.Field(description="Their part of the amount")
    worked_out_at: Instant = pa.Field(description="When it was summed")

    class Config(Table.Config):
        unique = ["provider", "store", "period", "currency", "line"]


@dataclass(frozen=True)
class Sum:
    """What a line comes to, and what of it is open."""

    count: int = 0
    amount: Decimal = ZERO
    open_count: int = 0
    open_amount: Decimal = ZERO

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(
            self.count + other.count,
            self.amount + other.amount,
            self.open_count + other.open_count,
            self.open_amount + other.open_amount,
        )

    def __sub__(self, other: "Sum") -> "Sum":
        return Sum(
            self.count - other.count,
            self.amount - other.amount,
            self.open_count - other.open_count,
            self.open_amount - other.open_amount,
        )

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to show."""
        return self == Sum()


def statement(sums: Mapping[Line, Sum]) -> dict[Line, Sum]:
    """All lines in their order, from the sums of parts and controls; what is missing is nothing.

    Totals come from the controls and never from the parts above them, so a part that was lost or
    counted twice shows as unexplained.
    """
    lines = {line: sums.get(line, Sum()) for line in Line}
    lines[Line.NET] = lines[Line.BALANCE_CHANGE] - lines[Line.PAID_OUT]
    parts = total(lines[line].amount for line in PARTS_OF_SALES)
    after = total(lines[line].amount for line in AFTER_SALES)
    bank = total(lines[line].amount for line in BANK)
    captured = lines[Line.CAPTURED].amount
    lines[Line.UNEXPLAINED_SALES] = _residual(captured - parts)
    lines[Line.UNEXPLAINED] = _residual(lines[Line.NET].amount - captured - after)
    lines[Line.BANK_DIFFERENCE] = _residual(-lines[Line.PAID_OUT].amount - bank)
    return lines


def _residual(amount: Decimal) -> Sum:
    return Sum(1, amount) if amount else Sum()


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The sum of amounts, exact."""
    return sum(amounts, ZERO)


def together(statements: Iterable[Mapping[Line, Sum]]) -> dict[Line, Sum]:
    """Several stores or months as one statement."""
    whole = {line: Sum() for line in Line}
    for one in statements:
        whole = {line: whole[line] + one.get(line, Sum()) for line in Line}
    # Residuals are worked out anew: those of two stores may be one thing counted in the wrong one.
    return statement(whole)


def rows(key: Row, lines: Mapping[Line, Sum]) -> list[Row]:
    """The rows of `Statements` for one statement; `key` has the columns that are the same."""
    return [
        {
            **key,
            "line": str(line),
            "line_no": PLACE[line],
            "item_count": one.count,
            "amount": one.amount,
            "open_count": one.open_count,
            "open_amount": one.open_amount,
        }
        for line, one in lines.items()
    ]


def is_open(lines: Mapping[Line, Sum]) -> bool:
    """Whether anything in it waits for a match, or does not add up."""
    return any(one.open_count for one in lines.values()) or any(lines[x].amount for x in RESIDUALS)


# ---------------------------------------------------------------- periods

_FORMS = (
    (re.compile(r"(\d{4})"), 1, 12),
    (re.compile(r"(\d{4})-Q([1-4])", re.IGNORECASE), 3, 3),
    (re.compile(r"(\d{4})-(0[1-9]|1[0-2])"), 1, 1),
)
_DAYS = re.compile(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)")
KNOWN_FORMS = "2017-03, 2017-Q1, 2017 or 2017-03-01..2017-03-15 (both days are in)"


class NoPeriod(ValueError):
    """The words are no period; the message names what is."""


@dataclass(frozen=True)
class Period:
    """Whole days of a company's calendar, the last one included."""

    name: str
    first_on: date
    last_on: date

    def bounds(self, zone: str) -> tuple[datetime, datetime]:
        """From its first instant to the first one after it, in UTC."""
        start = datetime.combine(self.first_on, time(), ZoneInfo(zone))
        end = datetime.combine(self.last_on + timedelta(days=1), time(), ZoneInfo(zone))
        return start.astimezone(UTC), end.astimezone(UTC)

    @property
    def months(self) -> list[str] | None:
        """The months it consists of; None where one of them is not whole."""
        if self.first_on.day != 1 or (self.last_on + timedelta(days=1)).day != 1:
            return None
        first, last = _month_no(self.first_on), _month_no(self.last_on)
        return [f"{no // 12:04}-{no % 12 + 1:02}" for no in range(first, last + 1)]


def _month_no(day: date) -> int:
    return day.year * 12 + day.month - 1


def period(words: str) -> Period:
    """Read a month, quarter, year, or days from..until; raises NoPeriod."""
    said = words.strip()
    for form, step, months in _FORMS:
        if found := form.fullmatch(said):
            return _months(said.upper(), found.groups(), step, months)
    if found := _DAYS.fullmatch(said):
        return _days(said, *found.groups())
    raise NoPeriod(f"{words!r} is no period; write {KNOWN_FORMS}.")


def _months(name: str, said: tuple[str, ...], step: int, months: int) -> Period:
    year, part = int(said[0]), int(said[1]) if len(said) > 1 else 1
    if not 1 <= year < 9999:
        raise NoPeriod(f"{name!r} is no period; write {KNOWN_FORMS}.")
    first = date(year, (part - 1) * step + 1, 1)
    after = _month_no(first) + months
    return Period(name, first, date(after // 12, after % 12 + 1, 1) - timedelta(days=1))


def _days(name: str, first: str, last: str) -> Period:
    try:
        found = Period(name, date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as fault:
        raise NoPeriod(f"{name!r} has a day that no calendar has.") from fault
    if found.last_on < found.first_on or found.last_on.year >= 9999:
        raise NoPeriod(f"{name!r} ends before it begins; write {KNOWN_FORMS}.")
    return found


# ---------------------------------------------------------------- one account of a provider


@dataclass(frozen=True)
class Reconciliation:
    """Everything of one provider, period and currency: by store, and what is open around it."""

    provider: str
    period: Period
    currency: str
    timezone: str
    #: The statement of each store; of no store under "".
    stores: Mapping[str, Mapping[Line, Sum]]
    #: Payments that nothing settled: store, kind, is_overdue, item_count, amount.
    expected: Sequence[Row] = ()
    #: What waits, by finding: store, finding, is_waiting, item_count, amount.
    open_items: Sequence[Row] = ()
    #: Only this store is in it.
    only_store: str | None = None

    @cached_property
    def whole(self) -> dict[Line, Sum]:
        """All stores together."""
        return together(self.stores.values())

    @property
    def shown(self) -> dict[Line, Sum]:
        """The whole without lines that are rare and nothing."""
        return {
            line: one
            for line, one in self.whole.items()
            if not (WORDS[line].is_rare and one.is_nothing)
        }

    @property
    def is_open(self) -> bool:
        """Whether anything waits or does not add up."""
        return is_open(self.whole) or bool(self.expected or self.open_items)

    @property
    def residual(self) -> Decimal:
        """What nothing explains."""
        return total(abs(self.whole[line].amount) for line in RESIDUALS)


def store_words(store: str) -> str:
    """A store as people read it."""
    return store or "not by store"


def written(amount: Decimal, currency: str, thousands: str = "") -> str:
    """An amount with the digits of its currency, more where it has more; never with an exponent."""
    least = digits_of(currency)
    exponent = (amount.normalize() + 0).as_tuple().exponent
    digits = max(least, -exponent) if isinstance(exponent, int) else least
    said = f"{amount + 0:,.{digits}f}".replace(",", thousands)
    return said.lstrip("-") if not amount else said
