"""Invoices of a wholesaler become orders of the `uk` store, and no row is lost."""

import csv
import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from resources.sandbox.online_retail import Decision, Report, RowsLost, orders
from resources.sandbox.online_retail_rows import COLUMNS, UnknownCountry
from resources.sandbox.shop_order import Charge, RefundPart

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "online-retail"
PARQUET = DATA / "online_retail_2010-12_2011-08.parquet"

needs_data = pytest.mark.skipif(not PARQUET.exists(), reason=f"{PARQUET.name} is not beside us")


def sold(invoice="900001", code="20001", quantity=2, price="1.50", **values):
    return {
        "InvoiceNo": invoice,
        "StockCode": code,
        "Description": "TEA TOWEL",
        "Quantity": quantity,
        "InvoiceDate": "2010-12-06 09:00:00",
        "UnitPrice": price,
        "CustomerID": "501.0",
        "Country": "United Kingdom",
        **values,
    }


def cancelled(invoice="C900009", quantity=-1, **values):
    later = {"InvoiceDate": "2010-12-08 15:30:00"}
    return sold(invoice=invoice, quantity=quantity, **{**later, **values})


@pytest.fixture
def load(tmp_path):
    def load(*rows):
        file = tmp_path / "day.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            sheet = csv.DictWriter(out, COLUMNS, lineterminator="\n")
            sheet.writeheader()
            sheet.writerows(rows)
        found, report = orders(file)
        return list(found), report

    return load


def reasons(report):
    return [(aside.row.invoice, aside.reason) for aside in report.set_aside]


def test_an_invoice_is_one_order_with_its_lines_in_order(load):
    (order,), report = load(sold(), sold(code="20002", quantity=3, price="0.85"))
    assert (order.source, order.store, order.currency) == ("invoice:900001", "uk", "GBP")
    assert [(line.sku, line.quantity, line.total) for line in order.lines] == [
        ("20001", 2, Decimal("3.00")),
        ("20002", 3, Decimal("2.55")),
    ]
    assert (order.customer, order.status, report.counts) == (501, "completed", {"product line": 2})


def test_gzipped_days_read_like_plain_ones(tmp_path):
    file = tmp_path / "day.csv.gz"
    row = ["900001", "20001", "TEA TOWEL", "2", "2010-12-06 09:00:00", "1.5", "", "France"]
    with gzip.open(file, "wt", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([COLUMNS, row])
    found, _ = orders(file)
    (order,) = found
    assert (order.customer, order.person.country, order.charged) == (None, "FR", Decimal("3.00"))


def test_london_times_become_utc_in_winter_and_summer(load):
    summer = sold("900002", InvoiceDate="2011-07-04 09:00:00")
    found, _ = load(sold(), summer)
    assert [order.placed_at for order in found] == [
        datetime(2010, 12, 6, 9, 0, tzinfo=UTC),
        datetime(2011, 7, 4, 8, 0, tzinfo=UTC),
    ]


def test_of_two_timestamps_the_earliest_counts(load):
    (order,), report = load(sold(InvoiceDate="2010-12-06 09:01:00"), sold(code="20002"))
    assert order.placed_at == datetime(2010, 12, 6, 9, 0, tzinfo=UTC)
    assert report.quirks["invoices with two timestamps"] == 1


def test_postage_is_shipping_and_manual_entries_are_fees(load):
    (order,), report = load(
        sold(),
        sold(code="POST", price="18.00", quantity=1, Description="POSTAGE"),
        sold(code="C2", price="50.00", quantity=1, Description="CARRIAGE"),
        sold(code="m", price="4.25", quantity=2, Description="Manual"),
        sold(code="D", price="9.00", quantity=-1, Description="Discount"),
    )
    assert order.shipping == (
        Charge("POSTAGE", Decimal("18.00")),
        Charge("CARRIAGE", Decimal("50.00")),
    )
    assert order.fees == (Charge("Manual", Decimal("8.50")), Charge("Discount", Decimal("-9.00")))
    assert report.counts == {
        Decision.PRODUCT: 1,
        Decision.SHIPPING: 2,
        Decision.FEE: 1,
        Decision.DISCOUNT: 1,
    }


def test_duplicates_and_spellings_of_a_code_stay_as_they_are(load):
    (order,), report = load(sold(code="20001A"), sold(code="20001A"), sold(code="20001a"))
    assert [line.sku for line in order.lines] == ["20001A", "20001A", "20001a"]
    assert report.quirks["exact duplicates"] == 1
    assert report.quirks["codes differing only in case"] == 1


def test_a_missing_description_is_taken_from_the_code_elsewhere(load):
    found, _ = load(
        sold(Description=""), sold("900002", Description=" TEA TOWEL "), sold("900003", "9", 1)
    )
    assert found[0].lines[0].name == "TEA TOWEL"
    (alone,), _ = load(sold(Description=""))
    assert alone.lines[0].name == "20001"


def test_a_cancellation_refunds_the_earlier_sale(load):
    (order,), report = load(sold(), cancelled())
    (refund,) = order.refunds
    assert refund.parts == (RefundPart(0, 1, Decimal("1.50")),)
    assert refund.reason == "Cancellation C900009"
    assert refund.refunded_at == datetime(2010, 12, 8, 15, 30, tzinfo=UTC)
    assert (report.refunds, reasons(report)) == (1, [])


def test_a_cancellation_prefers_the_sale_at_its_price_then_of_its_quantity(load):
    found, _ = load(
        sold("900001", quantity=1, price="1.50"),
        sold("900002", quantity=4, price="1.50"),
        sold("900003", quantity=1, price="1.80"),
        cancelled(),
    )
    assert [len(order.refunds) for order in found] == [1, 0, 0]


def test_units_are_given_back_once_only(load):
    found, report = load(sold(), cancelled("C900008"), cancelled("C900009"), cancelled("C900010"))
    assert [len(order.refunds) for order in found] == [2]
    assert reasons(report) == [("C900010", Decision.TOO_MANY)]


def test_a_cancellation_before_its_sale_is_set_aside(load):
    found, report = load(cancelled(), sold("900002"))
    assert [order.refunds for order in found] == [()]
    assert reasons(report) == [("C900009", Decision.NO_SALE)]


def test_a_cancellation_without_a_customer_is_set_aside(load):
    (order,), report = load(sold(CustomerID=""), cancelled(CustomerID=""))
    assert (order.customer, order.refunds) == (None, ())
    assert reasons(report) == [("C900009", Decision.NO_CUSTOMER)]


def test_a_cancellation_above_the_price_paid_is_set_aside(load):
    (order,), report = load(sold(), cancelled(price="1.51"))
    assert order.refunds == ()
    assert reasons(report) == [("C900009", Decision.TOO_DEAR)]


def test_a_late_discount_names_no_order_and_is_set_aside(load):
    (order,), report = load(sold(), cancelled(code="D"))
    assert order.refunds == ()
    assert reasons(report) == [("C900009", Decision.LATE_DISCOUNT)]


def test_cancelled_postage_refunds_the_charge_and_no_line(load):
    postage = {"code": "POST", "price": "18.00"}
    (order,), _ = load(sold(), sold(quantity=1, **postage), cancelled(**postage))
    assert order.refunds[0].parts == (RefundPart(None, 1, Decimal("18.00")),)


def test_stock_corrections_and_ledger_entries_make_no_order(load):
    found, report = load(
        sold("900001", quantity=-5, price="0", CustomerID="", Description="damaged"),
        sold("900002", quantity=5, price="0", CustomerID="", Description="found"),
        sold("A900003", code="B", quantity=1, price="-11.06", CustomerID=""),
    )
    assert found == []
    assert reasons(report) == [
        ("900001", Decision.STOCK_LOST),
        ("900002", Decision.STOCK_FOUND),
        ("A900003", Decision.LEDGER),
    ]


def test_a_free_line_on_a_paid_invoice_stays_a_line(load):
    (order,), _ = load(sold(), sold(code="20002", price="0.0"))
    assert [line.total for line in order.lines] == [Decimal("3.00"), Decimal("0.00")]


def test_a_country_nobody_translated_is_loud(load):
    with pytest.raises(UnknownCountry, match="Atlantis"):
        load(sold(Country="Atlantis"))


def test_a_report_that_loses_a_row_cannot_be_made():
    with pytest.raises(RowsLost, match="2 rows"):
        Report(2, Decimal(3), {Decision.PRODUCT: 1}, {Decision.PRODUCT: Decimal(3)}, {}, (), 1, 0)


@needs_data
def test_the_whole_file_is_accounted_for_to_the_penny():
    found, report = orders(PARQUET)
    assert report.rows_read == 320_705
    assert dict(report.counts) == {
        Decision.PRODUCT: 311_920,
        Decision.SHIPPING: 1_308,
        Decision.FEE: 212,
        Decision.REFUND: 4_355,
        Decision.NO_CUSTOMER: 282,
        Decision.NO_SALE: 998,
        Decision.TOO_MANY: 56,
        Decision.TOO_DEAR: 102,
        Decision.LATE_DISCOUNT: 54,
        Decision.STOCK_LOST: 925,
        Decision.STOCK_FOUND: 490,
        Decision.LEDGER: 3,
    }
    count, charged, refunded = 0, Decimal(), Decimal()
    for order in found:
        given_back = sum((p.amount for r in order.refunds for p in r.parts), Decimal())
        assert given_back <= order.charged
        count, charged, refunded = count + 1, charged + order.charged, refunded + given_back
    assert (count, report.orders, report.refunds) == (12_496, 12_496, 2_312)
    assert (charged, refunded) == (Decimal("6293764.00"), Decimal("205728.65"))


@needs_data
def test_a_raw_day_gives_the_same_orders_as_the_parquet_file():
    day, _ = orders(DATA / "raw-days" / "2010-12-01.csv.gz")
    whole, _ = orders(PARQUET)
    firsts = list(day)
    assert len(firsts) == 127
    for order, same in zip(firsts, whole, strict=False):
        assert (order.source, order.placed_at, order.charged) == (
            same.source,
            same.placed_at,
            same.charged,
        )
