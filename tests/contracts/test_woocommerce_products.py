"""The products of the WooCommerce stand-in: what was asked of the recorded store is asked of it,
and answered alike.
"""

import json
from typing import Any

import httpx
import pytest
from woocommerce_shop import API, RECORDED_HOME, Clock, client, get, recorded, replay
from woocommerce_walks import assert_same_shape, shop_at, walk

needs_recordings = pytest.mark.usefixtures("recordings")

# The recorded walks


@needs_recordings
def test_a_simple_product_is_written_read_and_removed_as_recorded() -> None:
    clock = Clock()
    shop = shop_at(clock)
    ids = shop.add_variable("VAR-001", "Shirt", [{"sku": "VAR-001-S-R", "price": 1}])
    walk(shop, clock, recorded("04_product_simple_crud"), {311: ids[1]})


@needs_recordings
def test_a_variable_product_and_its_variations_live_as_recorded() -> None:
    clock = Clock()
    shop = shop_at(clock, first_id=31)
    clock.at("2026-11-20T18:00:00")
    shop.add_product("OTHER", "Other", 1)
    entries = recorded("05_product_variable")
    # The list over all products held the recorded shop's other 240 variations as well.
    skipped = {entries[18]["note"]}
    walk(shop, clock, [e for e in entries if e["note"] not in skipped])


@needs_recordings
def test_batches_answer_each_item_at_its_place_as_recorded() -> None:
    clock = Clock()
    clock.at("2026-11-20T17:54:59")
    shop = shop_at(clock, first_id=10)
    prices = ["94.12", "1", "1", "1", "1", "87.35", "62.77", "53.55", "1", "1"]
    units = [5, 5, 303, 5, 303, 5, 66, 5, 5, None]
    for number, (price, stock) in enumerate(zip(prices, units, strict=True), 1):
        shop.add_product(f"SIM-{number:04}", f"Birch Tray {number}", price, units=stock)
    meta = [{"key": "_erp_id", "value": "ERP-10001"}]
    shop.edit_product(10, categories=[{"id": 17}], weight="2.7", meta_data=meta)
    shirt = shop.add_variable("VAR-001", "Shirt", [{"sku": "VAR-001-S-R", "price": 1}])
    shop.add_product("LAST", "Last", 1)
    entries = [e for e in recorded("08_products_batch") if "request" in e]
    # A hundred and one items were sent and two or three were kept of the recording.
    cut = ("101", "100 stock updates", "the same 100 again")
    entries = [e for e in entries if not any(word in e["note"] for word in cut)]
    assert len(entries) == 18
    loose = frozenset({"total_sales"})
    walk(shop, clock, entries, {311: shirt[1]}, loose)


@needs_recordings
def test_a_hundred_and_one_items_are_refused_and_none_is_done() -> None:
    entry = next(e for e in recorded("08_products_batch") if e["note"].startswith("60 creates"))
    shop = shop_at(Clock())
    one = shop.add_product("ONE", "One", 1, units=5)
    body = {
        "create": [{"name": f"x{number}"} for number in range(60)],
        "update": [{"id": one, "stock_quantity": 50}] * 40,
    }
    full = client(shop).post(f"{API}/products/batch", json=body)
    body["update"] = [{"id": one, "stock_quantity": 60}] * 41
    refused = client(shop).post(f"{API}/products/batch", json=body)

    assert (full.status_code, len(full.json()["create"])) == (200, 60)
    assert refused.status_code == entry["response"]["status"] == 413
    assert refused.json() == entry["response"]["body"]
    assert (shop.stock_of("ONE"), shop.count_products()) == (50, 61)


@needs_recordings
def test_trashed_and_deleted_products_are_seen_where_the_recorded_ones_were() -> None:
    clock = Clock()
    shop = shop_at(clock, first_id=1817)
    clock.at("2026-11-20T18:26:45")
    shop.add_product("GONE-0-1795199205", "Gone", 1)
    clock.tick()
    shop.add_product("GONE-1-1795199205", "Gone", 1)
    walk(shop, clock, recorded("17_trash_and_delete")[19:25])


@needs_recordings
def test_lists_are_checked_and_filtered_as_recorded() -> None:
    clock = Clock()
    clock.at("2026-11-20T17:00:00")
    shop = shop_at(clock, first_id=10)
    for number in range(1, 25):
        shop.add_product(f"SIM-{number:04}", f"Thing {number}", 1, units=0 if number > 20 else 5)
    shop.add_variable("VAR-001", "Shirt", [{"sku": "VAR-001-S-R", "price": 1, "units": 14}])
    shop.edit_product(20, status="draft")
    entries = recorded("03_products_list")
    refused = [e for e in entries if e["response"]["status"] == 400]
    assert len(refused) == 7
    walk(shop, clock, refused)

    def skus(place: int) -> list[str]:
        answer = replay(shop, entries[place], {})
        assert answer.status_code == 200
        return [row["sku"] for row in answer.json()]

    for place in (18, 19, 20, 21, 22, 23, 24, 26):
        theirs = entries[place]["response"]["body"]
        assert skus(place) == [row["sku"] for row in theirs], entries[place]["note"]
    assert skus(12) == ["SIM-0011"]
    assert skus(25) == ["SIM-0024", "SIM-0023", "SIM-0022"]
    assert skus(16) == ["VAR-001"]
    assert skus(9) == ["SIM-0001", "SIM-0002", "SIM-0003", "SIM-0004", "SIM-0005"]


@needs_recordings
def test_pages_are_counted_and_linked_as_recorded() -> None:
    shop = shop_at(Clock())
    for number in range(340):
        shop.add_product(f"S-{number}", f"Thing {number}", 1)
    entries = recorded("03_products_list")
    for place in (0, 1, 2, 3, 8, 9, 15, 28):
        entry = entries[place]
        answer = replay(shop, entry, {})
        theirs = entry["response"]["headers"]
        assert answer.headers["Link"] == theirs["Link"].replace(RECORDED_HOME, shop.home), place
        assert answer.headers["X-WP-Total"] == theirs["X-WP-Total"] == "340"
        assert answer.headers["X-WP-TotalPages"] == theirs["X-WP-TotalPages"]


@needs_recordings
def test_products_variations_and_categories_have_the_recorded_fields_and_types() -> None:
    shop = shop_at(Clock())
    sale = {"sale_price": "1.50", "meta_data": [{"key": "erp_id", "value": "E-1"}]}
    lamp = [{"id": 16}]
    shop.add_product("A", "A", "2", units=3, weight="2.7", categories=lamp, **sale)
    shop.add_product("B", "B", "2", status="draft", virtual=True, tax_class="reduced-rate")
    shop.add_product("C", "C", "2", units=-1, backorders="notify")
    options = {"Size": "S", "Color": "Red"}
    shop.add_variable("V", "V", [{"sku": "V-S", "price": 21, "units": 4, "attributes": options}])
    full = recorded("27_full_pages")
    simple = [one for one in full[1]["response"]["body"] if one["type"] == "simple"]
    newest = recorded("03_products_list")[0]["response"]["body"]

    loose = {".related_ids", ".images"}
    assert_same_shape(get(shop, "products", type="simple").json(), simple, loose)
    assert_same_shape(get(shop, "products", type="variable").json(), newest, loose)
    assert_same_shape(get(shop, "variations").json(), full[2]["response"]["body"])
    assert list(get(shop, "variations").json()[0]) == list(full[2]["response"]["body"][0])
    fields = recorded("03_products_list")[30]
    ours = replay(shop, fields, {}).json()
    theirs = fields["response"]["body"]
    assert [one["name"] for one in ours] == [one["name"] for one in theirs]
    assert {one["name"]: one["id"] for one in ours} == {one["name"]: one["id"] for one in theirs}
    assert next(one["count"] for one in ours if one["name"] == "Lighting") == 1
    classes = next(
        e
        for e in recorded("02_system_and_settings")
        if e.get("request", {}).get("path", "").endswith("taxes/classes")
    )
    assert replay(shop, classes, {}).json() == classes["response"]["body"]


# What brings a date or a message along


@needs_recordings
def test_every_recorded_action_bumps_what_it_bumped_there() -> None:
    [table] = [entry["table"] for entry in recorded("16_what_bumps_date_modified")]
    clock = Clock()
    shop = shop_at(clock)
    item = shop.add_product("A", "A", 5, units=10, categories=[{"id": 16}])
    options = {"Size": "S"}
    parent, child = shop.add_variable(
        "V", "V", [{"sku": "V-S", "price": 5, "units": 10, "attributes": options}]
    )
    line = {"sku": "A", "quantity": 2}
    order = 0

    def ordered(**more: Any) -> None:
        nonlocal order
        order = shop.place({"line_items": [line | more]})

    acts = {
        "PUT {}": lambda: shop.edit_product(item),
        "PUT stock_quantity to the same value": lambda: shop.set_stock("A", 10),
        "PUT stock_quantity to another value": lambda: shop.set_stock("A", 9),
        "stock reduced by a paid REST order": ordered,
        "stock restored by cancelling that order": lambda: shop.set_status(order, "cancelled"),
        "postmeta _stock written straight (an old importer)": lambda: shop.overwrite_stock("A", 3),
        "order with it that does not touch stock (pending)": lambda: shop.place(
            {"status": "pending", "line_items": [line]}
        ),
        "category renamed": lambda: shop.rename_category(16, "Lamps"),
        "DELETE to trash": lambda: shop.trash_product(item),
        "restored (PUT status=publish)": lambda: shop.edit_product(item, status="publish"),
        "PUT stock on the variation: variation itself": lambda: shop.set_stock("V-S", 9),
        "PUT stock on a variation: the parent": lambda: shop.set_stock("V-S", 8),
        "stock reduced by an order: variation itself": lambda: ordered(sku="V-S"),
        "stock of a variation reduced by an order: the parent": lambda: ordered(sku="V-S"),
        "parent renamed: the variation": lambda: shop.edit_product(parent, name="W"),
    }
    ids = {"product": item, "variation": child, "parent": parent}
    seen = 0
    for row in table:
        if row["action"] not in acts or row["object"] not in ids:
            continue
        seen += 1
        before = shop.product_json(ids[row["object"]])["date_modified_gmt"]
        clock.tick(60)
        acts[row["action"]]()
        after = shop.product_json(ids[row["object"]])["date_modified_gmt"]
        assert (after != before) is row["bumped"], row["action"]
    assert seen == len(acts)
    assert shop.product_json(item)["categories"] == [
        {"id": 16, "name": "Lamps", "slug": "lighting"}
    ]


@needs_recordings
def test_each_recorded_action_on_products_fires_the_recorded_topics() -> None:
    entries = recorded("22_webhook_deliveries")
    names = {number: topic for topic, number in entries[0]["webhooks"].items()}
    clock = Clock()
    shop = shop_at(clock, first_id=10)
    for number in range(3):
        shop.add_product(f"SIM-{number}", f"Thing {number}", 1, units=5)
    shirt = shop.add_variable("V", "V", [{"sku": "V-S", "price": 1, "units": 5}])
    swap = {331: shirt[0], 332: shirt[1]}
    for topic in names.values():
        shop.webhooks.add(topic, "https://hook.example/x", "s", topic, "active")
    shop.deliver(lambda request: httpx.Response(200))
    seen = 0
    for entry in entries[16:25]:
        action = entry["action"]
        if entry["note"].startswith("draft product"):
            swap[2030] = shop.add_product("DRAFT", "Draft", 1, status="draft")
            shop.deliver(lambda request: httpx.Response(200))
        path, body = action["path"], json.dumps(action["body"])
        for old, new in swap.items():
            path, body = path.replace(str(old), str(new)), body.replace(str(old), str(new))
        kind = {"Content-Type": "application/json"}
        answer = client(shop).request(action["method"], path, content=body, headers=kind)
        assert answer.status_code == action["status"], entry["note"]
        if entry["note"] == "POST product":
            swap[2029] = answer.json()["id"]
        queue = [json.loads(one) for one in entry["queue"]]
        theirs = [(names[one["webhook_id"]], swap.get(one["arg"], one["arg"])) for one in queue]
        assert shop.queued() == theirs, entry["note"]
        shop.deliver(lambda request: httpx.Response(200))
        seen += 1
    assert seen == 9


@needs_recordings
def test_a_sale_flips_by_the_clock_and_its_price_by_the_scheduler_as_recorded() -> None:
    entries, clock = recorded("28_server_side_changes")[:8], Clock()
    shop = shop_at(clock)
    shop.webhooks.add("product.updated", "https://hook.example/x", "s", "x", "active")
    shop.deliver(lambda request: httpx.Response(200))
    ran = {3: "2026-11-20T19:22:51", 6: "2026-11-20T19:23:34"}
    swap: dict[int, int] = {}
    for place, entry in enumerate(entries[:7]):
        if place in ran:
            clock.at(ran[place])
            assert shop.run_scheduler() == [swap[2021]]
            assert shop.queued() == [("product.updated", swap[2021])]
            shop.deliver(lambda request: httpx.Response(200))
        if "request" in entry:
            walk(shop, clock, [entry], swap)
    assert shop.run_scheduler() == []
    assert shop.queued() == []
