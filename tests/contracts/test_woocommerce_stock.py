"""The stock of the WooCommerce stand-in: what quantities mean, and what orders do to them, beside
the recorded store.
"""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from woocommerce_shop import API, Clock, client, get, recorded, replay, store
from woocommerce_walks import known, shop_at, stamp_of, walk

from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.sandbox.woocommerce_refusals import Declined

needs_recordings = pytest.mark.usefixtures("recordings")


def probe_shop(clock: Clock | None = None) -> tuple[WooCommerceStandIn, int]:
    """The shop of the recorded order walks: a hundred of ORD-A; and the id of it."""
    shop = store(clock)
    shop.set_stock("ORD-A", 100)
    return shop, shop.products_with("ORD-A")[0]


def held(shop: WooCommerceStandIn, order: int) -> list[str | None]:
    """What each line of an order says it holds."""
    return [
        next((m["value"] for m in line["meta_data"] if m["key"] == "_reduced_stock"), None)
        for line in shop.order_json(order)["line_items"]
    ]


def quiet(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200)


# Beside the recordings


@needs_recordings
def test_quantities_status_and_backorders_follow_one_another_as_recorded() -> None:
    clock = Clock()
    walk(shop_at(clock), clock, recorded("06_stock_rules"))


@needs_recordings
def test_a_sale_between_read_and_absolute_write_is_lost_as_recorded() -> None:
    clock = Clock()
    shop = shop_at(clock)
    given = {"low_stock_amount": 3, "units": 12}
    probe = shop.add_product("STK-1", "Stock Probe", "10", **given)
    shop.tax_rate("US-NY-NY TAX-1", "8.875", "NY Tax")
    entries = [entry for entry in recorded("07_stock_race") if "request" in entry]
    for entry in entries:
        clock.at(stamp_of(entry))
        answer, theirs = replay(shop, entry, {1653: probe}), entry["response"]["body"]
        assert answer.status_code == entry["response"]["status"]
        if entry["request"]["path"].endswith("/orders"):
            line = answer.json()["line_items"][0]
            for their_line in theirs.get("line_items", ()):
                wanted = known(their_line, shop, {1653: probe})
                assert [m["value"] for m in line["meta_data"]] == ["5"]
                for name in wanted.keys() - {"id", "meta_data"}:
                    assert line[name] == wanted[name]
            continue
        names = theirs.keys() - {"id", "date_modified_gmt"}
        assert {name: answer.json()[name] for name in names} == {n: theirs[n] for n in names}
    assert shop.stock_of("STK-1") == -4


@needs_recordings
@pytest.mark.parametrize("place", range(11))
def test_a_status_at_creation_takes_the_recorded_stock(place: int) -> None:
    shop, probe = probe_shop()
    entry = recorded("13_order_status_and_stock")[place]
    answer = replay(shop, entry, {1672: probe})

    assert answer.json()["status"] == entry["response"]["body"]["status"]
    assert shop.stock_of("ORD-A") == entry["observed"]["stock_after"]


@needs_recordings
def test_a_walk_through_the_statuses_takes_and_gives_back_the_recorded_stock() -> None:
    clock = Clock()
    shop, probe = probe_shop(clock)
    entries, swap = recorded("13_order_status_and_stock"), {1672: probe}
    for entry in entries[11:23]:
        clock.at(stamp_of(entry))
        swap[1764] = replay(shop, entry, swap).json()["id"]
        assert shop.stock_of("ORD-A") == entry["observed"]["stock"], entry["note"]

    def moves(notes: list[dict[str, Any]]) -> list[str]:
        return [one["note"] for one in notes if one["note"].startswith("Stock levels")]

    notes = get(shop, f"orders/{swap[1764]}/notes").json()
    assert moves(notes) == moves(entries[23]["response"]["body"])


@needs_recordings
def test_edits_trash_and_deletion_move_the_recorded_stock() -> None:
    shop, probe = probe_shop()
    entries, swap = recorded("13_order_status_and_stock"), {1672: probe}
    made = replay(shop, entries[32], swap).json()
    swap |= {1766: made["id"], 4625: made["line_items"][0]["id"]}
    assert shop.stock_of("ORD-A") == entries[32]["observed"]["stock"]
    edited = replay(shop, entries[33], swap).json()
    theirs = entries[33]["response"]["body"]["line_items"][0]
    assert held(shop, made["id"]) == ["6"]
    assert edited["line_items"][0]["total"] == theirs["total"]
    assert shop.stock_of("ORD-A") == entries[33]["observed"]["stock"]
    replay(shop, entries[34], swap)
    assert held(shop, made["id"]) == [None]
    assert shop.stock_of("ORD-A") == entries[34]["observed"]["stock"]
    swap[1767] = shop.place({"line_items": [{"sku": "ORD-A", "quantity": 4}]})
    for place in (35, 36):
        assert replay(shop, entries[place], swap).status_code == 200
        assert shop.stock_of("ORD-A") == entries[place]["observed"]["stock"]


@needs_recordings
def test_refunds_restock_as_recorded_and_a_refund_by_hand_does_not() -> None:
    shop, probe = probe_shop()
    entries = recorded("12_refunds")
    made = replay(shop, entries[0], {1672: probe, 1673: probe + 1}).json()
    swap = {1740: made["id"], 4589: made["line_items"][0]["id"], 1672: probe}

    def stock(place: int) -> None:
        theirs = entries[place]["response"]["body"]["stock_quantity"]
        assert shop.stock_of("ORD-A") == theirs, entries[place]["note"]

    stock(1)
    for place in (2, 3):
        assert replay(shop, entries[place], swap).status_code == 201
    stock(5)
    # Sums do not count here, only units; more than were sold are not put back.
    for place in (13, 17, 18, 19):
        assert replay(shop, entries[place], swap).status_code == 201
    assert shop.stock_of("ORD-A") == 100
    swap[1750] = shop.place({"line_items": [{"sku": "ORD-A", "quantity": 2}]})
    stock(27)
    assert replay(shop, entries[28], swap).json()["status"] == "refunded"
    stock(30)


@needs_recordings
def test_the_storefront_refuses_as_recorded_and_two_full_carts_buy_the_last_unit_twice() -> None:
    entries = recorded("23_storefront_checkout")
    shop, _ = probe_shop()
    shop.set_stock("ORD-A", 1)
    with pytest.raises(Declined) as refusal:
        shop.checkout({"line_items": [{"sku": "ORD-A", "quantity": 2}]})
    last = {"line_items": [{"sku": "ORD-A", "quantity": 1}]}
    for _ in range(2):
        shop.fill_cart(last)
    for _ in range(2):
        shop.place(last)
    with pytest.raises(Declined, match="out_of_stock"):
        shop.checkout(last)

    assert refusal.value.status == entries[12]["response"]["status"]
    assert refusal.value.body == entries[12]["response"]["body"]
    assert shop.stock_of("ORD-A") == entries[13]["final_stock_quantity"] == -1
    assert shop.count() == 2


@needs_recordings
@pytest.mark.parametrize(("place", "made"), [(4, "pending"), (5, ""), (7, "processing")])
def test_what_an_order_sells_is_told_after_the_order_as_recorded(place: int, made: str) -> None:
    entries = recorded("22_webhook_deliveries")
    names = {number: topic for topic, number in entries[0]["webhooks"].items()}
    shop, probe = probe_shop()
    swap = {"1672": str(probe)}
    if made:
        order = shop.place({"status": made, "line_items": [{"sku": "ORD-A", "quantity": 1}]})
        line = str(shop.order_json(order)["line_items"][0]["id"])
        swap |= {"2024": str(order), "2025": str(order), "4824": line}
    for topic in ("order.created", "order.updated", "product.updated"):
        shop.webhooks.add(topic, "https://hook.example/x", "s", topic, "active")
    shop.deliver(quiet)
    action = entries[place]["action"]
    path, body = action["path"], json.dumps(action["body"], default=float)
    for old, new in swap.items():
        path, body = path.replace(old, new), body.replace(old, new)
    kind = {"Content-Type": "application/json"}
    answer = client(shop).request(action["method"], path, content=body, headers=kind)
    if not made:
        swap["2025"] = str(answer.json()["id"])
    queue = [json.loads(one) for one in entries[place]["queue"]]

    assert answer.status_code == action["status"]
    theirs = [(names[one["webhook_id"]], int(swap[str(one["arg"])])) for one in queue]
    assert shop.queued() == theirs


# Beyond the recordings


def test_a_product_whose_stock_is_not_managed_is_left_alone_by_orders() -> None:
    clock = Clock()
    shop = store(clock)
    before = shop.product_json(shop.products_with("ORD-A")[0])
    clock.tick(60)
    order = shop.place({"line_items": [{"sku": "ORD-A", "quantity": 3}]})
    shop.set_status(order, "cancelled")

    assert shop.product_json(before["id"]) == before
    assert held(shop, order) == [None]
    assert shop.stock_of("ORD-A") is None


def test_a_half_built_order_takes_its_stock_when_it_is_finished() -> None:
    shop, _ = probe_shop()
    order = shop.place({"line_items": [{"sku": "ORD-A", "quantity": 3}]}, half_built=True)
    between = shop.stock_of("ORD-A")
    shop.finish(order)

    assert (between, shop.stock_of("ORD-A")) == (100, 97)
    assert held(shop, order) == ["3"]


def test_lines_added_and_taken_away_move_stock_while_the_order_holds_it() -> None:
    shop, _ = probe_shop()
    shop.set_stock("ORD-B", 10)
    order = shop.place({"line_items": [{"sku": "ORD-A", "quantity": 3}]})
    shop.edit(order, line_items=[{"sku": "ORD-B", "quantity": 4}])
    added = shop.stock_of("ORD-B")
    line = shop.order_json(order)["line_items"][0]["id"]
    shop.edit(order, line_items=[{"id": line, "quantity": 0}])
    shop.set_status(order, "cancelled")
    shop.edit(order, line_items=[{"sku": "ORD-B", "quantity": 4}])

    assert added == 6
    assert (shop.stock_of("ORD-A"), shop.stock_of("ORD-B")) == (100, 10)


def test_a_line_taken_away_in_the_very_edit_that_cancels_gives_its_stock_back_too() -> None:
    shop, _ = probe_shop()
    order = shop.place({"line_items": [{"sku": "ORD-A", "quantity": 3}]})
    line = shop.order_json(order)["line_items"][0]["id"]
    shop.edit(order, status="cancelled", line_items=[{"id": line, "quantity": 0}])

    assert shop.stock_of("ORD-A") == 100


def test_a_refund_without_restock_leaves_the_shelf_as_it_is_and_a_cancel_brings_the_rest() -> None:
    shop, _ = probe_shop()
    order = shop.place({"line_items": [{"sku": "ORD-A", "quantity": 5}]})
    line = shop.order_json(order)["line_items"][0]["id"]
    one = [{"id": line, "quantity": 1, "refund_total": "1.00"}]
    body = {"api_refund": False, "api_restock": False, "line_items": one}
    client(shop).post(f"{API}/orders/{order}/refunds", json=body)
    kept = shop.stock_of("ORD-A")
    shop.refund(order, None, "broken", one)
    back = shop.stock_of("ORD-A")
    shop.set_status(order, "cancelled")

    assert (kept, back) == (95, 96)
    assert shop.stock_of("ORD-A") == 100


def test_a_variation_sells_its_own_stock_or_its_parents() -> None:
    shop = store()
    sizes = [
        {"sku": "T-S", "price": "9.00", "units": 5, "attributes": {"Size": "S"}},
        {"sku": "T-M", "price": "9.00", "attributes": {"Size": "M"}},
    ]
    parent, small, medium = shop.add_variable("T", "Tee", sizes)
    shop.set_stock("T", 20)
    shop.webhooks.add("product.updated", "https://hook.example/x", "s", "x", "active")
    shop.deliver(quiet)
    skus = [{"sku": "T-S", "quantity": 1}, {"sku": "T-M", "quantity": 2}]
    order = shop.place({"line_items": skus})
    first, second = shop.order_json(order)["line_items"]

    assert (shop.stock_of("T-S"), shop.stock_of("T-M"), shop.stock_of("T")) == (4, 18, 18)
    assert shop.queued() == [("product.updated", small), ("product.updated", parent)]
    assert (first["product_id"], first["variation_id"]) == (parent, small)
    assert (first["name"], first["parent_name"]) == ("Tee - S", "Tee")
    assert [(m["key"], m["value"], m["display_key"]) for m in second["meta_data"]] == [
        ("size", "M", "Size"),
        ("_reduced_stock", "2", "_reduced_stock"),
    ]
    assert shop.product_json(medium)["manage_stock"] == "parent"
    assert shop.product_json(medium)["stock_quantity"] == 18


def test_a_cart_is_refused_by_all_its_lines_together_unless_backorders_are_taken() -> None:
    shop, _ = probe_shop()
    shop.set_stock("ORD-A", 3)
    cart = {"line_items": [{"sku": "ORD-A", "quantity": 2}, {"sku": "ORD-A", "quantity": 2}]}
    with pytest.raises(Declined, match="partially_out_of_stock"):
        shop.checkout(cart)
    refused = shop.count()
    shop.set_stock("ORD-A", 3, backorders="notify")
    shop.checkout(cart)

    assert refused == 0
    assert shop.stock_of("ORD-A") == -1
    assert shop.product_json(shop.products_with("ORD-A")[0])["stock_status"] == "onbackorder"


def test_what_is_not_published_or_has_no_price_cannot_be_put_into_a_cart() -> None:
    shop = store()
    shop.add_product("DRAFT", "Draft", 1, status="draft")
    shop.add_product("FREE", "No price")
    for sku in ("DRAFT", "FREE"):
        with pytest.raises(Declined, match="not_purchasable"):
            shop.checkout({"line_items": [{"sku": sku, "quantity": 1}]})

    assert shop.count() == 0


def test_stock_written_past_the_store_is_seen_and_neither_bumped_nor_told() -> None:
    clock = Clock()
    shop, probe = probe_shop(clock)
    shop.webhooks.add("product.updated", "https://hook.example/x", "s", "x", "active")
    shop.deliver(quiet)
    before = shop.product_json(probe)["date_modified_gmt"]
    clock.tick(60)
    shop.overwrite_stock("ORD-A", 0)
    after = shop.product_json(probe)

    assert (after["stock_quantity"], after["stock_status"]) == (0, "outofstock")
    assert after["date_modified_gmt"] == before
    assert shop.queued() == []


ACTS = st.tuples(
    st.sampled_from(["place", "status", "edit", "refund", "trash"]),
    st.integers(0, 3),
    st.integers(1, 5),
    st.sampled_from(["pending", "on-hold", "processing", "completed", "cancelled", "failed"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=25))
def test_every_unit_is_on_the_shelf_or_held_by_one_line(acts: list[tuple[Any, ...]]) -> None:
    shop, _ = probe_shop()
    orders: list[int] = []
    for act, place, units, status in acts:
        if act == "place" or not orders:
            line = {"sku": "ORD-A", "quantity": units}
            orders.append(shop.place({"status": status, "line_items": [line]}))
            continue
        order = orders[place % len(orders)]
        line = shop.order_json(order)["line_items"][0]["id"]
        if act == "status":
            shop.set_status(order, status)
        elif act == "edit":
            shop.edit(order, line_items=[{"id": line, "quantity": units}])
        elif act == "refund":
            back = [{"id": line, "quantity": 1, "refund_total": "0.00"}]
            shop.refund(order, "0.00", "back", back)
        else:
            shop.trash(order)
    on_shelf = shop.stock_of("ORD-A")

    assert on_shelf is not None
    sums = [int(units or 0) for order in orders for units in held(shop, order)]
    assert on_shelf + sum(sums) == 100
    for order in orders:
        shop.set_status(order, "cancelled")
    assert shop.stock_of("ORD-A") == 100
