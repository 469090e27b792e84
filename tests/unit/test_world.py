"""The demo's world: what the shops and the ERP hold after orders were placed in them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sandbox.baskets import Basket, BasketLine, shop_order
from resources.sandbox.checkout import Checkout
from resources.sandbox.people import person
from resources.sandbox.shop_order import (
    STORES,
    Charge,
    Coupon,
    Defect,
    Line,
    Refund,
    RefundPart,
    ShopOrder,
)
from resources.sandbox.world import World, build

PLACED = datetime(2017, 3, 1, 18, 30, tzinfo=UTC)
NOW = datetime(2017, 4, 1, 12, 0, tzinfo=UTC)


def line(total="10.00", sku="71", *, subtotal=None, quantity=1, planted=None):
    return Line(
        sku, "Tea towel", quantity, Decimal(subtotal or total), Decimal(total), planted=planted
    )


def order(store="us", *lines, **changes) -> ShopOrder:
    home = STORES[store]
    plain = ShopOrder(
        source="basket:1",
        store=store,
        placed_at=PLACED,
        customer=7,
        person=person(home.country, 7),
        currency=home.currency,
        tax=home.tax,
        status="processing",
        lines=lines or (line(),),
        shipping=(Charge("Parcel", Decimal("4.90")),),
    )
    return replace(plain, **changes)


def made(*orders, **options) -> World:
    return build(orders, lambda: NOW, **options)


def only_order(world, store="us"):
    (ref,) = (ref for ref in world.sources if ref.startswith(f"{store}:"))
    return world.shops[store].order_json(int(ref.partition(":")[2]))


def erp_call(world, model, method, *args):
    with httpx.Client(transport=world.erp.transport(), base_url="https://erp.example") as http:

        def call(service, name, given):
            params = {"service": service, "method": name, "args": given}
            body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
            return http.post("/jsonrpc", json=body).json()["result"]

        uid = call("common", "authenticate", ["erp", "sync", "key", {}])
        return call("object", "execute_kw", ["erp", uid, "key", model, method, list(args)])


def baskets(count):
    for number in range(count):
        lines = tuple(
            BasketLine(
                product_id=100 + (number * 7 + place) % 40,
                name="Thing",
                quantity=1 + place % 3,
                sales=Decimal(number % 97 + 3 * place).scaleb(-1) + Decimal("0.49"),
                coupon=Decimal("0.35") if place == 1 else Decimal(),
                match=Decimal("0.15") if place == 1 else Decimal(),
            )
            for place in range(1 + number % 5)
        )
        at = PLACED + timedelta(minutes=number)
        yield shop_order(Basket(number, number % 30, number % 3, at, lines, Decimal(), seed=3))


def test_a_net_store_adds_tax_to_each_line():
    world = made(order("us", line("10.00"), line("0.10", "72")))
    placed = only_order(world)
    assert [(entry["total"], entry["total_tax"]) for entry in placed["line_items"]] == [
        ("10.00", "0.73"),
        ("0.10", "0.01"),
    ]
    assert (placed["shipping_total"], placed["shipping_tax"]) == ("4.90", "0.36")
    assert (placed["total"], placed["total_tax"], placed["currency"]) == ("16.10", "1.10", "USD")
    assert world.expect()["totals"] == {"USD": Decimal("16.10")}


def test_a_gross_store_charges_what_its_prices_say():
    ten = [line("1.00", str(number)) for number in range(10)]
    placed = only_order(made(order("uk", *ten)), "uk")
    assert {(entry["total"], entry["total_tax"]) for entry in placed["line_items"]} == {
        ("0.83", "0.17")
    }
    assert (placed["shipping_total"], placed["shipping_tax"]) == ("4.08", "0.82")
    assert (placed["total"], placed["prices_include_tax"]) == ("14.90", True)


@given(
    shown=st.decimals(min_value=Decimal("-99999"), max_value=Decimal("99999"), places=2),
    store=st.sampled_from(["uk", "eu"]),
)
def test_net_and_tax_of_a_gross_price_are_its_cents_again(shown, store):
    home = STORES[store]
    amount = Checkout(home, {}).amount(shown, home.tax)
    assert amount.gross == shown
    assert amount.tax == amount.tax.quantize(Decimal("0.01"))
    assert abs(amount.net * home.tax.factor - amount.tax) <= Decimal("0.01")


def test_instants_and_addresses_arrive_as_given():
    placed = only_order(made(order("eu")), "eu")
    assert placed["date_created_gmt"] == "2017-03-01T18:30:00"
    assert placed["date_created"] == "2017-03-01T19:30:00"
    assert placed["billing"]["email"] == person("DE", 7).email
    assert placed["shipping"]["city"] == person("DE", 7).city


def test_a_customer_opens_one_account_and_a_guest_none():
    world = made(order(), order(source="basket:2"), order(source="basket:3", customer=None))
    shop = world.shops["us"]
    ids = [shop.order_json(int(ref.partition(":")[2]))["customer_id"] for ref in world.sources]
    assert len(shop.customers) == 1
    assert ids == [*shop.customers, *shop.customers, 0]


def test_coupons_come_to_the_discount_of_the_lines():
    coupons = (Coupon("maker", Decimal("0.37")), Coupon("store-match", Decimal("0.18")))
    lines = (line("2.45", subtotal="2.73"), line("1.06", "72", subtotal="1.33"))
    placed = only_order(made(order("uk", *lines, coupons=coupons)), "uk")
    assert [(c["code"], c["discount"]) for c in placed["coupon_lines"]] == [
        ("maker", "0.31"),
        ("store-match", "0.16"),
    ]
    assert (placed["discount_total"], placed["discount_tax"]) == ("0.47", "0.08")
    assert placed["total"] == "8.41"


def test_a_negative_fee_takes_its_tax_along():
    placed = only_order(made(order(fees=(Charge("Loyalty credit", Decimal("-2.00")),))))
    (fee,) = placed["fee_lines"]
    assert (fee["name"], fee["total"], fee["total_tax"]) == ("Loyalty credit", "-2.00", "-0.15")
    assert placed["total"] == "13.84"


def test_a_part_refund_leaves_the_order_and_names_its_line():
    part = RefundPart(0, 1, Decimal("5.00"))
    later = PLACED + timedelta(days=2)
    paid = order("us", line(quantity=2), refunds=(Refund(later, "Damaged", (part,)),))
    world = made(paid)
    placed = only_order(world)
    assert [refund["total"] for refund in placed["refunds"]] == ["-5.36"]
    assert (placed["status"], placed["date_modified_gmt"]) == ("processing", "2017-03-03T18:30:00")
    assert world.expect()["refunded"] == {"USD": Decimal("5.36")}
    ((refund,),) = world.shops["us"].refunds.values()
    assert [(entry["quantity"], entry["total"]) for entry in refund["line_items"]] == [
        (-1, "-5.00")
    ]


def test_refunding_the_last_cent_is_expected_as_refunded():
    parts = (RefundPart(0, 1, Decimal("10.00")), RefundPart(None, 1, Decimal("4.90")))
    world = made(order("uk", refunds=(Refund(PLACED, "Returned", parts),)))
    assert only_order(world, "uk")["status"] == "refunded"
    assert world.expect()["clean"]["uk"] == {
        "refunded": {"orders": 1, "totals": {"GBP": Decimal("14.90")}}
    }


def test_planted_defects_show_in_the_shop_and_are_counted():
    spoiled = order(
        "us",
        line(),
        line("2.00", "72-NEW", planted=Defect.UNKNOWN_SKU),
        line("3.00", "73-NEW", planted=Defect.UNKNOWN_SKU),
        line("4.00", None, planted=Defect.NO_SKU),
        tax=STORES["us"].stray_tax,
        currency="CHF",
        defects=(
            Defect.UNKNOWN_SKU,
            Defect.UNKNOWN_SKU,
            Defect.NO_SKU,
            Defect.UNMAPPED_TAX,
            Defect.UNSUPPORTED_CURRENCY,
        ),
    )
    world = made(spoiled)
    placed = only_order(world)
    assert [entry["sku"] for entry in placed["line_items"]] == ["71", "72-NEW", "73-NEW", None]
    assert [tax["rate_code"] for tax in placed["tax_lines"]] == ["US-CA-DISTRICT-1"]
    assert placed["currency"] == "CHF"
    expected = world.expect()
    assert expected["defects"] == {
        "unknown_sku": {"places": 2, "orders": 1},
        "no_sku": {"places": 1, "orders": 1},
        "unmapped_tax": {"places": 1, "orders": 1},
        "unsupported_currency": {"places": 1, "orders": 1},
    }
    assert (expected["spoiled_orders"], expected["clean"]["us"]) == (1, {})


def test_the_erp_knows_what_is_sold_and_nothing_planted():
    world = made(
        order("us", line(), line("2.00", "72-NEW", planted=Defect.UNKNOWN_SKU)),
        order("uk", line("8.00")),
    )
    known = erp_call(world, "product.product", "search_read", [], ["default_code", "type"])
    assert [(item["default_code"], item["type"]) for item in known] == [
        ("71", "consu"),
        ("FEE", "service"),
        ("ROUNDING", "service"),
        ("SHIPPING", "service"),
    ]
    taxes = erp_call(world, "account.tax", "search_read", [], ["name", "amount", "company_id"])
    assert [(tax["name"], tax["amount"], tax["company_id"][1]) for tax in taxes] == [
        ("US Sales Tax 7.25%", 7.25, "Acme US Inc"),
        ("UK VAT 20%", 20.0, "Acme UK Ltd"),
        ("DE VAT 19%", 19.0, "Acme Europe GmbH"),
    ]
    warehouses = erp_call(world, "stock.warehouse", "search_read", [], ["code"])
    assert [warehouse["code"] for warehouse in warehouses] == ["US1", "UK1", "EU1"]
    assert world.items["71"].warehouses == ["US1", "UK1"]
    assert world.erp.order_count() == 0


def test_spellings_of_one_sku_are_one_article_of_the_shop_and_the_erp():
    world = made(order("uk", line(sku="85a"), line(sku="85A")))
    placed = only_order(world, "uk")
    assert [entry["sku"] for entry in placed["line_items"]] == ["85a", "85a"]
    assert list(world.items) == ["85a"]


def test_what_is_expected_is_what_the_shops_show():
    world = made(*baskets(400))
    expected = world.expect()
    for store, shop in world.shops.items():
        told = expected["stores"][store]
        assert (told["orders"], told["totals"]) == (shop.count(), shop.totals_by_currency())
    for status, told in expected["statuses"].items():
        assert told["orders"] == sum(shop.count(status) for shop in world.shops.values())
    refunds = [r for s in world.shops.values() for made in s.refunds.values() for r in made]
    assert sum(expected["refunded"].values()) == sum(Decimal(r["amount"]) for r in refunds) > 0
    clean = sum(told["orders"] for by in expected["clean"].values() for told in by.values())
    assert clean + expected["spoiled_orders"] == expected["orders"] == 400


def test_the_same_orders_build_the_same_world():
    one, other = made(*baskets(60)), made(*baskets(60))
    assert one.expect() == other.expect()
    for store, shop in one.shops.items():
        texts = [entry.text for entry in shop.shelf.entries.values()]
        assert texts == [entry.text for entry in other.shops[store].shelf.entries.values()]


def test_a_real_erp_leaves_the_stand_in_out():
    world = made(order(), erp=None)
    assert (world.erp, list(world.standins())) == (None, ["us", "uk", "eu"])
    assert world.items["71"].price == Decimal("10.00")


def test_an_erp_without_stand_in_is_refused():
    with pytest.raises(ValueError, match="no stand-in for the ERP 'sap'"):
        made(erp="sap")


def test_an_empty_world_expects_nothing():
    expected = made().expect()
    assert (expected["orders"], expected["totals"], expected["spoiled_orders"]) == (0, {}, 0)
