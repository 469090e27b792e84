"""Grocery baskets become shop orders; the rules are in docs/demo-data.md."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.sandbox import baskets as loader
from resources.sandbox.baskets import Basket, BasketLine, PackageMissing, baskets, shop_order
from resources.sandbox.people import person
from resources.sandbox.shop_order import STORES, Coupon, Defect, ShopOrder

NOON = datetime(2017, 3, 12, 12, 0, tzinfo=UTC)

needs_package = pytest.mark.skipif(
    find_spec(loader.PACKAGE) is None, reason="the optional package with the baskets is missing"
)


def bought(
    product: int = 1,
    sales: str = "2.00",
    *,
    quantity: int = 1,
    coupon: str = "0.00",
    match: str = "0.00",
) -> BasketLine:
    money = (Decimal(sales), Decimal(coupon), Decimal(match))
    return BasketLine(product, f"Thing {product}", quantity, *money)


def basket(*lines: BasketLine, number: int = 7, loose: str = "0.00", seed: int = 0) -> Basket:
    return Basket(number, 42, 1, NOON, lines or (bought(),), Decimal(loose), seed)


def many(count: int, *lines: BasketLine) -> list[ShopOrder]:
    return [shop_order(basket(*lines, number=number)) for number in range(count)]


def sold_row(basket_id: int, at: datetime, product: int, **values: Any) -> dict[str, Any]:
    row = {
        "basket_id": basket_id,
        "household_id": 42,
        "store_id": 1,
        "transaction_timestamp": at.replace(tzinfo=None),
        "product_id": product,
        "quantity": 1,
        "sales_value": 1.5,
        "retail_disc": 0.0,
        "coupon_disc": 0.0,
        "coupon_match_disc": 0.0,
    }
    return {**row, **values}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    products = [
        (1, "BREAD", "BREAD:ITALIAN", "20 OZ"),
        (2, "FUEL", "GASOLINE-REG UNLEADED", None),
        (3, None, None, None),
    ]
    names = ("product_id", "product_category", "product_type", "package_size")
    write(tmp_path / "products.parquet", [dict(zip(names, p, strict=True)) for p in products])
    return tmp_path


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), file)


def test_the_missing_package_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(loader, "PACKAGE", "no_such_package_here")
    with pytest.raises(PackageMissing, match=re.escape("pip install 'sync-assets[demo]'")):
        next(baskets(1))


def test_lines_of_one_basket_come_together_and_times_are_utc(folder):
    rows = [sold_row(10, NOON, 1), sold_row(10, NOON, 3), sold_row(11, NOON, 1)]
    write(folder / "transactions.parquet", rows)
    first, second = baskets(5, folder=folder)
    assert [line.name for line in first.lines] == ["BREAD:ITALIAN 20 OZ", "Product 3"]
    assert (first.basket_id, first.bought_at, second.basket_id) == (10, NOON, 11)


def test_no_more_baskets_come_than_asked_for(folder):
    write(folder / "transactions.parquet", [sold_row(n, NOON, 1) for n in (10, 11, 12)])
    assert [b.basket_id for b in baskets(2, folder=folder)] == [10, 11]
    assert list(baskets(0, folder=folder)) == []


def test_a_file_out_of_time_order_is_refused(folder):
    rows = [sold_row(10, NOON, 1), sold_row(9, NOON - timedelta(seconds=1), 1)]
    write(folder / "transactions.parquet", rows)
    with pytest.raises(ValueError, match="not in time order at 9"):
        list(baskets(5, folder=folder))


def test_petrol_in_thousandths_of_a_gallon_is_one_sale(folder):
    write(folder / "transactions.parquet", [sold_row(10, NOON, 2, quantity=10296)])
    (line,) = next(baskets(1, folder=folder)).lines
    assert (line.quantity, line.name) == (1, "GASOLINE-REG UNLEADED, 10.296 gal")


def test_goods_sold_by_weight_are_one_unit_and_keep_their_money(folder):
    write(folder / "transactions.parquet", [sold_row(10, NOON, 1, quantity=0, sales_value=0.1)])
    (line,) = next(baskets(1, folder=folder)).lines
    assert (line.quantity, line.sales) == (1, Decimal("0.10"))


def test_a_basket_that_sold_nothing_is_no_order(folder):
    empty = sold_row(10, NOON, 1, quantity=0, sales_value=0.0)
    write(folder / "transactions.parquet", [empty, sold_row(11, NOON, 1)])
    assert [b.basket_id for b in baskets(1, folder=folder)] == [11]


def test_a_coupon_booked_without_a_product_is_kept_with_the_basket(folder):
    coupon = sold_row(10, NOON, 3, quantity=0, sales_value=0.0, coupon_disc=1.3)
    write(folder / "transactions.parquet", [coupon, sold_row(10, NOON, 1)])
    (found,) = baskets(1, folder=folder)
    assert (len(found.lines), found.loose_coupon) == (1, Decimal("1.30"))


def test_the_subtotal_is_before_the_match_and_the_total_after_both_coupons():
    order = shop_order(basket(bought(sales="3.55", coupon="0.50", match="0.25")))
    assert (order.lines[0].subtotal, order.lines[0].total) == (Decimal("3.80"), Decimal("3.05"))
    assert order.coupons == (
        Coupon("maker", Decimal("0.50")),
        Coupon("store-match", Decimal("0.25")),
    )


def test_a_coupon_above_its_product_goes_on_to_the_dearest_line():
    lines = (bought(1, "1.00", coupon="1.50"), bought(2, "2.00"), bought(3, "9.00"))
    order = shop_order(basket(*lines, loose="2.00"))
    assert [line.total for line in order.lines] == [
        Decimal("0.00"),
        Decimal("2.00"),
        Decimal("6.50"),
    ]
    assert order.coupons == (Coupon("maker", Decimal("3.50")),)


def test_coupons_above_the_whole_basket_stop_at_nothing_to_pay():
    order = shop_order(basket(bought(1, "1.00"), bought(2, "0.50"), loose="5.00"))
    assert [line.total for line in order.lines] == [Decimal("0.00"), Decimal("0.00")]
    assert order.coupons == (Coupon("maker", Decimal("1.50")),)


def test_shipping_is_free_above_fifty_and_not_at_fifty():
    at_fifty, above = shop_order(basket(bought(1, "50.00"))), shop_order(basket(bought(1, "50.01")))
    assert at_fifty.shipping[0].amount == Decimal("4.90")
    assert above.shipping[0].amount == Decimal("0.00")


def test_the_store_follows_from_the_place_of_sale():
    found = [
        shop_order(Basket(7, 42, place, NOON, (bought(),), Decimal(), 0)) for place in range(3)
    ]
    assert [(order.store, order.person.country) for order in found] == [
        ("uk", "GB"),
        ("us", "US"),
        ("eu", "DE"),
    ]


def test_the_same_seed_gives_the_same_order_and_another_seed_another():
    assert shop_order(basket()) == shop_order(basket())
    one, other = ([shop_order(basket(number=n, seed=s)) for n in range(50)] for s in (0, 1))
    assert one != other


def test_states_guests_fees_and_refunds_come_in_their_shares():
    found = many(4000, bought(1, "12.00", quantity=3))
    states = Counter(order.status for order in found)
    assert set(states) == set(loader.STATUSES)
    assert states["processing"] == pytest.approx(3200, rel=0.05)
    assert sum(order.customer is None for order in found) == pytest.approx(600, rel=0.15)
    assert sum(bool(order.refunds) for order in found) == pytest.approx(74, rel=0.35)
    fees = Counter(fee.amount for order in found for fee in order.fees)
    assert set(fees) == {Decimal("-2.00"), Decimal("2.50")}
    assert fees[Decimal("-2.00")] == pytest.approx(80, rel=0.35)


def test_only_paid_orders_are_refunded_and_never_above_the_line():
    for order in many(3000, bought(1, "0.02", quantity=3), bought(2, "0.00")):
        for refund in order.refunds:
            (part,) = refund.parts
            assert order.status in loader.PAID
            assert Decimal() < part.amount <= order.lines[part.line].total
            assert refund.refunded_at > order.placed_at


def test_every_planted_defect_is_recorded_and_nothing_else_is_spoiled():
    found = many(6000, bought(1), bought(2))
    planted = Counter(defect for order in found for defect in order.defects)
    skus = [line.sku for order in found for line in order.lines]
    assert skus.count(None) == planted[Defect.NO_SKU] > 0
    assert (
        sum(sku is not None and sku.endswith("-NEW") for sku in skus)
        == (planted[Defect.UNKNOWN_SKU])
    )
    us = STORES["us"]
    assert sum(order.tax == us.stray_tax for order in found) == planted[Defect.UNMAPPED_TAX] > 0
    assert sum(order.currency == "CHF" for order in found) == (planted[Defect.UNSUPPORTED_CURRENCY])
    assert {order.currency for order in found} == {"USD", "CHF"}


def test_a_negative_fee_never_makes_an_order_negative():
    found = many(2000, bought(1, "9.99"))
    assert not any(fee.amount < 0 for order in found for fee in order.fees)


def test_people_are_the_same_each_time_and_write_from_example_com():
    assert person("DE", 5) == person("DE", 5)
    people = [person("US", number) for number in range(600)]
    assert all(re.fullmatch(r"[a-z0-9.]+@example\.com", one.email) for one in people)
    names = " ".join(f"{one.first_name} {one.last_name}" for one in people)
    assert re.search(r"[\u0590-\u06ff]", names)
    assert re.search(r"[\U0001f300-\U0001faff]", names)


@needs_package
def test_real_baskets_tie_their_coupons_and_start_on_new_years_day():
    found = list(islice(loader.orders(400), 400))
    assert (found[0].source, found[0].placed_at) == (
        "basket:31198570044",
        datetime(2017, 1, 1, 11, 53, 26, tzinfo=UTC),
    )
    for order in found:
        given = sum((line.subtotal - line.total for line in order.lines), Decimal())
        assert sum((coupon.discount for coupon in order.coupons), Decimal()) == given
        assert order.charged >= 0
        assert all(line.quantity >= 1 for line in order.lines)


@needs_package
def test_real_baskets_keep_every_cent_the_retailer_received():
    """Sales less what the maker paid back is what the customers paid."""
    found = list(baskets(400))
    sales = sum((line.sales for one in found for line in one.lines), Decimal())
    coupons = sum((line.coupon for one in found for line in one.lines), Decimal())
    loose = sum((one.loose_coupon for one in found), Decimal())
    assert sum((shop_order(one).goods for one in found), Decimal()) == sales - coupons - loose
