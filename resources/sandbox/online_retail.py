"""The public data set "Online Retail" as orders of the `uk` store: no row is lost.

Each row becomes a line, a charge or a refund of an order, or is set aside with its reason; the
`Report` counts both and refuses not to add up. The reasons are in docs/demo-data.md.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from resources.sandbox.online_retail_rows import Row, rows
from resources.sandbox.people import person
from resources.sandbox.shop_order import (
    STORES,
    Charge,
    Line,
    Refund,
    RefundPart,
    ShopOrder,
    cents,
)

STORE = STORES["uk"]
SHIPPING = frozenset({"POST", "DOT", "C2"})
FEES = frozenset({"M", "S", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS"})
DISCOUNT, BAD_DEBT = "D", "B"


class Decision(StrEnum):
    """What became of a row."""

    PRODUCT = "product line"
    SHIPPING = "shipping"
    FEE = "fee"
    DISCOUNT = "discount as a negative fee"
    REFUND = "refund of an earlier sale"
    NO_CUSTOMER = "cancellation without a customer"
    NO_SALE = "cancellation without a sale"
    TOO_MANY = "cancellation of more than was sold"
    TOO_DEAR = "cancellation above the price paid"
    LATE_DISCOUNT = "discount after the sale, naming no order"
    STOCK_LOST = "stock written off"
    STOCK_FOUND = "stock found"
    LEDGER = "ledger entry"


ON_ORDERS = frozenset(
    {Decision.PRODUCT, Decision.SHIPPING, Decision.FEE, Decision.DISCOUNT, Decision.REFUND}
)


class RowsLost(Exception):
    """The decisions do not add up to the rows read."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that is no part of an order, and why."""

    row: Row
    reason: Decision


@dataclass(frozen=True)
class Report:
    """Rows and their value by decision, the quirks met, and every row set aside."""

    rows_read: int
    value_read: Decimal
    counts: Mapping[Decision, int]
    values: Mapping[Decision, Decimal]
    quirks: Mapping[str, int]
    set_aside: tuple[SetAside, ...]
    orders: int
    refunds: int

    def __post_init__(self) -> None:
        decided, value = sum(self.counts.values()), sum(self.values.values())
        aside = sum(n for decision, n in self.counts.items() if decision not in ON_ORDERS)
        if decided != self.rows_read or value != self.value_read or aside != len(self.set_aside):
            raise RowsLost(
                f"{self.rows_read} rows of {self.value_read} read, {decided} of {value} decided, "
                f"{len(self.set_aside)} of {aside} set aside"
            )


def orders(file: Path) -> tuple[Iterator[ShopOrder], Report]:
    """Read a file to its end; answer its orders in time order and what became of each row."""
    book = _Book(list(rows(file)))
    return book.orders(), book.report()


class _Book:
    """All rows with their decisions: a cancellation is looked up among the sales before it."""

    def __init__(self, told: list[Row]) -> None:
        self.rows = told
        self.invoices: dict[str, list[Row]] = defaultdict(list)
        for row in told:
            self.invoices[row.invoice].append(row)
        self.found_stock = {
            invoice for invoice, group in self.invoices.items() if _is_worthless(group)
        }
        self.decisions: list[Decision] = []
        #: Sold rows by customer and code, letter case ignored as shops do, and units not refunded.
        self.sold: dict[tuple[int, str], list[Row]] = defaultdict(list)
        self.left: dict[int, int] = {}
        #: Sale invoice -> cancellation invoice -> cancelling row and the sale it takes back.
        self.taken_back: dict[str, dict[str, list[tuple[Row, Row]]]] = defaultdict(dict)
        for row in told:
            self.decisions.append(self._cancel(row) if _is_cancellation(row) else self._sell(row))

    def _sell(self, row: Row) -> Decision:
        decision = _decision(row, row.invoice in self.found_stock)
        if decision in ON_ORDERS and row.customer is not None and row.value > 0:
            self.sold[row.customer, row.code.casefold()].append(row)
            self.left[row.number] = row.quantity
        return decision

    def _cancel(self, row: Row) -> Decision:
        if row.customer is None:
            return Decision.NO_CUSTOMER
        if row.code.upper() == DISCOUNT:
            return Decision.LATE_DISCOUNT
        sales = self.sold.get((row.customer, row.code.casefold()), [])
        if not sales:
            return Decision.NO_SALE
        enough = [sale for sale in sales if self.left[sale.number] >= -row.quantity]
        if not enough:
            return Decision.TOO_MANY
        fair = [sale for sale in enough if sale.price >= row.price]
        if not fair:
            return Decision.TOO_DEAR
        sale = max(fair, key=lambda sale: self._likeness(row, sale))
        self.left[sale.number] += row.quantity
        self.taken_back[sale.invoice].setdefault(row.invoice, []).append((row, sale))
        return Decision.REFUND

    def _likeness(self, row: Row, sale: Row) -> tuple[bool, bool, int]:
        """The same price first, then the same quantity, then the latest."""
        return sale.price == row.price, sale.quantity == -row.quantity, sale.number

    def orders(self) -> Iterator[ShopOrder]:
        """Yield the orders in time order."""
        kept: dict[str, list[tuple[Row, Decision]]] = defaultdict(list)
        for row, decision in zip(self.rows, self.decisions, strict=True):
            if decision in ON_ORDERS and decision is not Decision.REFUND:
                kept[row.invoice].append((row, decision))
        names = _names(self.rows)
        for group in sorted(kept.values(), key=lambda group: min(row.at for row, _ in group)):
            taken_back = self.taken_back.get(group[0][0].invoice, {})
            yield _order(group, taken_back, names)

    def report(self) -> Report:
        """Say what became of the rows."""
        decided = list(zip(self.rows, self.decisions, strict=True))
        values: dict[Decision, Decimal] = defaultdict(Decimal)
        for row, decision in decided:
            values[decision] += row.value
        return Report(
            rows_read=len(self.rows),
            value_read=sum((row.value for row in self.rows), Decimal()),
            counts=Counter(self.decisions),
            values=values,
            quirks=_quirks(self.rows, self.invoices),
            set_aside=tuple(SetAside(*pair) for pair in decided if pair[1] not in ON_ORDERS),
            orders=len({row.invoice for row, decision in decided if _is_sold(decision)}),
            refunds=sum(map(len, self.taken_back.values())),
        )


def _is_cancellation(row: Row) -> bool:
    return row.invoice.startswith("C")


def _is_sold(decision: Decision) -> bool:
    return decision in ON_ORDERS and decision is not Decision.REFUND


def _is_worthless(group: list[Row]) -> bool:
    """Nobody bought it and nothing was paid: a correction of stock, not a gift."""
    return all(row.customer is None and row.price == 0 for row in group)


def _decision(row: Row, is_found_stock: bool) -> Decision:
    """What a row becomes that is no cancellation."""
    code = row.code.upper()
    if row.invoice.startswith("A") or code == BAD_DEBT:
        return Decision.LEDGER
    if code == DISCOUNT:
        return Decision.DISCOUNT
    if row.quantity < 0:
        return Decision.STOCK_LOST
    if is_found_stock:
        return Decision.STOCK_FOUND
    if code in SHIPPING:
        return Decision.SHIPPING
    return Decision.FEE if code in FEES else Decision.PRODUCT


def _names(told: Iterable[Row]) -> dict[str, str]:
    """The first description of each code, for the lines that have none."""
    names: dict[str, str] = {}
    for row in told:
        if row.description:
            names.setdefault(row.code, row.description)
    return names


def _order(
    group: list[tuple[Row, Decision]],
    taken_back: Mapping[str, list[tuple[Row, Row]]],
    names: Mapping[str, str],
) -> ShopOrder:
    by = defaultdict(list)
    for row, decision in group:
        by[decision].append(row)
    first = group[0][0]
    products = by[Decision.PRODUCT]
    positions = {row.number: place for place, row in enumerate(products)}
    fees = sorted(by[Decision.FEE] + by[Decision.DISCOUNT], key=lambda row: row.number)
    return ShopOrder(
        source=f"invoice:{first.invoice}",
        store=STORE.name,
        placed_at=min(row.at for row, _ in group),
        customer=first.customer,
        person=person(first.country, first.customer or first.invoice),
        currency=STORE.currency,
        tax=STORE.tax,
        status="completed",
        lines=tuple(_line(row, names) for row in products),
        shipping=tuple(_charge(row, names) for row in by[Decision.SHIPPING]),
        fees=tuple(_charge(row, names) for row in fees),
        refunds=tuple(_refund(pairs, positions) for pairs in taken_back.values()),
    )


def _line(row: Row, names: Mapping[str, str]) -> Line:
    amount = cents(row.value)
    name = row.description or names.get(row.code, row.code)
    return Line(row.code, name, row.quantity, amount, amount)


def _charge(row: Row, names: Mapping[str, str]) -> Charge:
    name = row.description or names.get(row.code, row.code)
    amount = -abs(row.value) if row.code.upper() == DISCOUNT else row.value
    return Charge(name, cents(amount))


def _refund(pairs: list[tuple[Row, Row]], positions: Mapping[int, int]) -> Refund:
    parts = tuple(
        RefundPart(positions.get(sale.number), -row.quantity, -cents(row.value))
        for row, sale in pairs
    )
    row = pairs[0][0]
    return Refund(min(row.at for row, _ in pairs), f"Cancellation {row.invoice}", parts)


def _quirks(told: list[Row], invoices: Mapping[str, list[Row]]) -> dict[str, int]:
    """How often the file does what a shop would not."""
    seen = Counter((r.invoice, r.code, r.description, r.quantity, r.at, r.price) for r in told)
    codes = {row.code for row in told}
    return {
        "exact duplicates": sum(n - 1 for n in seen.values()),
        "same code again on the invoice": sum(
            len(group) - len({row.code for row in group}) for group in invoices.values()
        ),
        "invoices with two timestamps": sum(
            len({row.at for row in group}) > 1 for group in invoices.values()
        ),
        "invoices without customer": sum(group[0].customer is None for group in invoices.values()),
        "lines without description": sum(not row.description for row in told),
        "descriptions trimmed": sum(row.blanks for row in told),
        "codes differing only in case": len(codes) - len({code.casefold() for code in codes}),
        "lines at price 0": sum(row.price == 0 for row in told),
        "lines without a real country": sum(not row.country for row in told),
        "amounts below a cent": sum(row.value != cents(row.value) for row in told),
    }
