"""The WooCommerce stand-in answers as the recorded store did: fields, money, refusals, lists."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from woocommerce_shop import (
    API,
    RECORDED_HOME,
    Clock,
    Entry,
    basket,
    calls,
    client,
    get,
    listed,
    recorded,
    replay,
    store,
)
from woocommerce_walks import assert_same_shape

from resources.sandbox.woocommerce import WooCommerceStandIn

# Fields and types


def test_orders_have_the_fields_and_types_of_recorded_ones() -> None:
    theirs = calls("27_full_pages")[0]["response"]["body"]
    theirs += [e["response"]["body"] for e in calls("10_order_create")[:3:2]]
    shop = store()
    customer = shop.add_customer("mira@example.com", "Mira", "Lake")
    meta = [{"key": "size", "value": "M"}]
    product = shop.products[next(iter(shop.products))]["id"]
    coupon = {"code": "WELCOME10", "nominal_amount": 10}
    fee = {"name": "Gift wrap", "total": "3.00"}
    carriage = {"method_id": "flat_rate", "total": "7.50"}
    variation = {"product_id": 77, "variation_id": product, "meta_data": meta, "total": "20.55"}
    plain = shop.place(basket(shipping_lines=[carriage], status="pending"))
    rich = basket(coupon_lines=[coupon], fee_lines=[fee], customer_id=customer, meta_data=meta)
    rich["line_items"] += [variation | {"quantity": 3, "subtotal": "22.00", "parent_name": "Tee"}]
    full = shop.place(rich | {"status": "completed"})
    gone = shop.place(basket(status="completed", shipping={"country": "US", "state": "CA"}))
    shop.refund(gone, "1.00", "broken")
    ours = [json.loads(shop.entry(i).text, parse_float=Decimal) for i in (plain, full, gone)]

    assert_same_shape(ours, theirs, {".line_items[].global_unique_id"})
    assert list(ours[0]) == list(theirs[0])
    assert list(ours[0]["line_items"][0]) == list(theirs[0]["line_items"][0])


def test_refunds_notes_customers_and_products_have_the_recorded_fields() -> None:
    full = calls("27_full_pages")
    shop = store()
    order = shop.place(basket())
    line = shop.order_json(order)["line_items"][0]["id"]
    tax = [{"id": 1, "refund_total": "1.77"}]
    back = {"id": line, "quantity": 1, "refund_total": "19.99", "refund_tax": tax}
    refund = shop.refund(order, None, "One broken", [back])
    shop.add_note(order, "ERP export ok")
    shop.add_customer("cust@example.com", "A", "B", billing={"city": "Albany"})
    page = {"per_page": 100, "orderby": "id"}

    theirs = [e for e in calls("12_refunds") if e["response"]["status"] == 201][1]
    assert_same_shape(
        [get(shop, f"orders/{order}/refunds/{refund}").json(parse_float=Decimal)],
        [theirs["response"]["body"]],
    )
    theirs = next(e for e in calls("13_order_status_and_stock") if "notes" in str(e["note"]))
    assert_same_shape(get(shop, f"orders/{order}/notes").json(), theirs["response"]["body"])
    customers = get(shop, "customers", **page).json()
    assert_same_shape(customers, full[3]["response"]["body"], {"[].meta_data[]"})
    simple = [one for one in full[1]["response"]["body"] if one["type"] == "simple"]
    products = get(shop, "products", per_page=100).json()
    lists = {f"{name}" for name in (".categories", ".meta_data", ".related_ids", ".weight")}
    assert_same_shape(products, simple, lists | {".stock_quantity", ".tags", ".images"})


# Money


MONEY = (
    *("discount_total", "discount_tax", "shipping_total", "shipping_tax", "cart_tax", "total"),
    "total_tax",
)


def cart_of(body: Entry) -> Entry:
    """The cart of a recorded answer: what was known before the shop reckoned."""
    lines = [
        {"sku": line["sku"], "quantity": line["quantity"], **amounts(line)}
        for line in body["line_items"]
    ]
    coupons = [
        {name: line[name] for name in ("code", "discount", "discount_tax", "discount_type")}
        | {"nominal_amount": line["nominal_amount"]}
        for line in body["coupon_lines"]
    ]
    extras = {
        kind: [{"total": line["total"]} for line in body.get(kind, ())]
        for kind in ("shipping_lines", "fee_lines")
    }
    state = {1: "NY", 2: "CA"}[body["tax_lines"][0]["rate_id"]] if body["tax_lines"] else "TX"
    there = {"country": "US", "state": state}
    return {"line_items": lines, "coupon_lines": coupons, "shipping": there, **extras}


def amounts(line: Entry) -> Entry:
    """A line's money; shops without decimals keep what they do not show in `price`."""
    if "." in line["total"]:
        return {"subtotal": line["subtotal"], "total": line["total"]}
    exact = round(line["price"] * line["quantity"], 2)
    return {"subtotal": exact, "total": exact}


@pytest.mark.parametrize("index", [0, 1, 3, 4, 5, 6, 7, 8, 15])
def test_recorded_carts_come_to_the_recorded_totals(index: int) -> None:
    theirs = recorded("11_order_totals_and_rounding")[index]["response"]["body"]
    decimals = 2 if "." in theirs["total"] else 0
    shop = store(round_at_subtotal=index == 3, decimals=decimals)
    ours = shop.order_json(shop.place(cart_of(theirs) | {"currency": theirs["currency"]}))

    assert {name: ours[name] for name in MONEY} == {name: theirs[name] for name in MONEY}
    for mine, line in zip(ours["line_items"], theirs["line_items"], strict=True):
        for name in ("subtotal", "subtotal_tax", "total", "total_tax", "taxes"):
            assert mine[name] == line[name]
        assert Decimal(str(mine["price"])) == line["price"]
    for mine, line in zip(ours["tax_lines"], theirs["tax_lines"], strict=True):
        for name in ("rate_code", "label", "tax_total", "shipping_tax_total"):
            assert mine[name] == line[name]
    for mine, line in zip(ours["coupon_lines"], theirs["coupon_lines"], strict=True):
        assert (mine["discount"], mine["discount_tax"]) == (line["discount"], line["discount_tax"])


def test_the_recorded_cart_of_everything_comes_to_67_27() -> None:
    theirs = calls("10_order_create")[0]["response"]["body"]
    ours = (shop := store()).order_json(shop.place(cart_of(theirs)))

    assert {name: ours[name] for name in MONEY} == {name: theirs[name] for name in MONEY}
    assert (ours["total"], ours["total_tax"]) == ("67.27", "5.49")
    assert ours["fee_lines"][0]["total_tax"] == "0.27"


def test_gross_prices_lose_the_shops_own_tax_and_keep_six_decimals() -> None:
    theirs = recorded("11_order_totals_and_rounding")[13]["response"]["body"]
    shop = store(prices_include_tax=True)
    line = {"sku": "ORD-A", "quantity": 3}
    california = {"country": "US", "state": "CA"}
    body = {"line_items": [line], "shipping": california}
    ours = client(shop).post(f"{API}/orders", json=body).json(parse_float=Decimal)

    assert {name: ours[name] for name in MONEY} == {name: theirs[name] for name in MONEY}
    assert ours["line_items"][0]["price"] == Decimal("18.360505")


def test_taxes_given_with_a_line_are_taken_as_they_are() -> None:
    shop = store()
    line = {"sku": "X", "quantity": 1, "subtotal": "10.00", "total": "8.00"}
    order = shop.place({"line_items": [line | {"taxes": [{"id": 2, "total": "0.99"}]}]})
    ours = shop.order_json(order)

    assert ours["line_items"][0]["taxes"] == [{"id": 2, "total": "0.99", "subtotal": "0.73"}]
    assert (ours["total"], ours["discount_total"]) == ("8.99", "2.00")


def test_compound_rates_tax_the_other_rates_too() -> None:
    shop = WooCommerceStandIn("ca", currency="CAD", now=Clock())
    shop.tax_rate("CA-GST-1", 5, "GST")
    shop.tax_rate("CA-QST-2", 10, "QST", compound=True)
    ours = shop.order_json(shop.place(basket(shipping={"country": "CA", "state": "QC"})))

    assert [tax["tax_total"] for tax in ours["tax_lines"]] == ["2.00", "4.20"]
    assert [tax["rate_percent"] for tax in ours["tax_lines"]] == [5, 10]
    assert ours["total"] == "46.18"


# Refusals


def told(body: Any) -> Any:
    """An error without what PHP adds to a crash."""
    return {"code": body["code"], "message": body["message"]} if body else None


REFUSALS = {
    "10_order_create": [5, 9, 10, 12, 14, 15, 23, 31, 32, 33],
    "13_order_status_and_stock": [28, 30, 31, 40],
    "14_delta_time_zones": [23, 24, 25, 55],
    "19_errors": [0, 4, 5, 6, 8, 9, 10, 13, 19],
    "12_refunds": [14, 16, 20, 25],
    "03_products_list": [4, 5, 6, 7, 11],
    "09_customers": [5, 13],
}


@pytest.mark.parametrize(("name", "index"), [(n, i) for n, rows in REFUSALS.items() for i in rows])
def test_refusals_have_the_recorded_status_and_words(name: str, index: int) -> None:
    entry = recorded(name)[index]
    shop = store()
    order = shop.place(basket())
    product = next(iter(shop.products))
    swap = {1701: order, 1833: order, 1740: order, 1764: order, 1672: product}
    answer = replay(shop, entry, swap)

    assert answer.status_code == entry["response"]["status"]
    theirs, ours = entry["response"]["body"], answer.json()
    if ours["code"] == "internal_server_error":
        theirs, ours = told(theirs), told(ours)
    elif "new_draft_order_id" in str(theirs):
        left = ours["data"].pop("new_draft_order_id")
        theirs["data"].pop("new_draft_order_id")
        assert shop.order_json(left)["status"] == "checkout-draft"
    assert ours == theirs
    assert shop.order_json(order)["date_modified_gmt"] == "2026-11-20T18:20:42"
    assert shop.count() == 1


@pytest.mark.parametrize("index", [0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16])
def test_keys_are_taken_and_refused_as_recorded(index: int) -> None:
    entry = recorded("01_auth")[index]
    asked, note = entry["request"], str(entry["note"])
    shop = store(needs_tls=True, read_only="read-only" in note)
    shop.place(basket())
    pair = {2: ("ck_other", "cs_test"), 3: ("ck_test", "cs_other")}.get(index)
    auth = (pair or ("ck_test", "cs_test")) if "Authorization" in asked["headers"] else None
    params = {k: str(v) for k, v in asked["query"].items()}
    if "consumer_key" in params:
        params |= {"consumer_key": "ck_test", "consumer_secret": "cs_test"}
    base = shop.home.replace("https", "http") if "plain HTTP" in note else shop.home
    caller = client(shop, auth=auth, base_url=base)
    answer = caller.request(asked["method"], asked["path"], params=params, json=asked["body"])

    assert answer.status_code == entry["response"]["status"]
    if answer.status_code >= 400:
        assert answer.json() == entry["response"]["body"]
    else:
        assert answer.json() == [{"id": 1003, "status": "processing", "number": "1003"}]


# Lists


@pytest.mark.parametrize("name", ["14_delta_time_zones", "15_delta_time_zone_east_of_gmt"])
def test_date_filters_find_and_miss_what_the_recorded_store_did(name: str) -> None:
    clock = Clock()
    shop, zone, tried = store(clock), "America/New_York", 0
    for entry in calls(name):
        asked, answer = entry["request"], entry["response"]
        if asked["path"] == "/wp-json/":
            zone = answer["body"]["timezone_string"]
            continue
        if asked["method"] == "POST" and asked["path"].endswith("/orders"):
            clock.at(answer["body"]["date_modified_gmt"])
            shop = store(clock, timezone=zone, first_id=answer["body"]["id"] - 2)
            shop.place(basket())
            assert answer["body"].items() <= shop.order_json(answer["body"]["id"]).items()
        elif asked["query"].get("include") in shop.shelf.entries:
            ours = replay(shop, entry, {})
            assert (ours.status_code, ours.json()) == (answer["status"], answer["body"])
            tried += 1
    assert tried == {"14_delta_time_zones": 24, "15_delta_time_zone_east_of_gmt": 10}[name]


def test_bounds_in_site_time_follow_daylight_saving() -> None:
    clock = Clock()
    shop = store(clock)
    for hour in (4, 5, 6, 7):  # 01:30 comes twice in New York: 05:30 and 06:30 UTC
        shop.place(basket(placed_at=f"2026-11-01T0{hour}:30:00+00:00"))
    sites = [shop.order_json(i)["date_created"][11:16] for i in listed(shop, order="asc")]

    assert sites == ["00:30", "01:30", "01:30", "02:30"]
    assert len(listed(shop, after="2026-11-01T01:00:00")) == 3
    assert len(listed(shop, after="2026-11-01T01:45:00")) == 2
    assert len(listed(shop, before="2026-11-01T06:30:00", dates_are_gmt="true")) == 2


#: What happened in the recorded store before the call of that number.
BETWEEN: dict[int, tuple[str, Callable[[WooCommerceStandIn], Any]]] = {
    6: ("2026-11-20T18:26:58", lambda shop: shop.edit(1819)),
    11: ("2026-11-20T18:27:01", lambda shop: shop.edit(1820)),
    16: ("2026-11-20T18:27:03", lambda shop: shop.place(basket())),
    21: ("2026-11-20T18:27:06", lambda shop: shop.place(basket())),
    26: ("2026-11-20T18:27:08", lambda shop: shop.edit(1819)),
    31: ("2026-11-20T18:27:10", lambda shop: shop.trash(1819)),
    36: ("2026-11-20T18:27:13", lambda shop: shop.edit(1821)),
}


def test_pages_drift_under_changes_exactly_as_recorded() -> None:
    entries, clock = recorded("18_pagination_drift"), Clock()
    rows = [row for entry in entries[:3] for row in entry["response"]["body"]]
    shop = store(clock, first_id=1817)
    for row in reversed(rows):
        clock.at(row["date_modified_gmt"])
        assert shop.place(basket()) == row["id"]
    for number, entry in enumerate(entries):
        if number in BETWEEN:
            stamp, change = BETWEEN[number]
            clock.at(stamp)
            change(shop)
        if not entry.get("request"):
            continue
        ours, theirs = replay(shop, entry, {}), entry["response"]
        assert ours.json() == theirs["body"], number
        for name in ("X-WP-Total", "X-WP-TotalPages", "Link"):
            told_there = theirs["headers"][name].replace(RECORDED_HOME, shop.home)
            assert ours.headers[name] == told_there, number


@pytest.mark.parametrize("index", [0, 1, 2, 3, 8, 10])
def test_lists_of_products_count_and_link_as_recorded(index: int) -> None:
    entry = recorded("03_products_list")[index]
    shop = WooCommerceStandIn("us", now=Clock(), first_id=1)
    for number in range(int(entry["response"]["headers"]["X-WP-Total"])):
        shop.add_product(f"SIM-{number:04}", "Thing", 1)
    ours, theirs = replay(shop, entry, {}).headers, entry["response"]["headers"]

    assert ours["X-WP-Total"] == theirs["X-WP-Total"]
    assert ours["Link"] == theirs["Link"].replace(RECORDED_HOME, shop.home)
