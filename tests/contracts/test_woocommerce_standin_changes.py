"""What happens to orders of the WooCommerce stand-in after they were placed, and who sees it."""

import json
from collections.abc import Callable
from decimal import Decimal

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from woocommerce_shop import API, Clock, basket, client, get, listed, recorded, replay, store

from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_shelf import HIDDEN, Entry, Shelf, Wanted, packed


def test_trashed_and_deleted_orders_are_seen_where_the_recorded_ones_were() -> None:
    entries, clock = recorded("17_trash_and_delete")[:15], Clock()
    shop = store(clock, first_id=1811)
    for second in ("36", "37", "37"):
        clock.at(f"2026-11-20T18:26:{second}")
        shop.place(basket() | {"line_items": [{"sku": "ORD-A", "quantity": 1}]})
    for number, entry in enumerate(entries):
        clock.at(entry["at"])
        if number == 14:  # the recorded order went to the trash a second time between the calls
            shop.trash(1813)
        answer, theirs = replay(shop, entry, {}), entry["response"]
        assert answer.status_code == theirs["status"], number
        ours, body = answer.json(), theirs["body"]
        if isinstance(body, list) or "code" in body:
            assert ours == body, number
        else:
            names = ("id", "status", "total")
            assert {name: ours[name] for name in names} == {name: body[name] for name in names}


def test_a_deleted_order_takes_its_refunds_along() -> None:
    shop = store()
    order = shop.place(basket())
    shop.refund(order, "1.00", "broken")
    client(shop).delete(f"{API}/orders/{order}", params={"force": "true"})

    assert get(shop, f"orders/{order}/refunds").json() == []
    assert get(shop, f"orders/{order}/notes").json()["code"] == "woocommerce_rest_order_invalid_id"
    assert shop.count() == 0


def test_half_built_orders_are_finished_under_the_same_stamp() -> None:
    clock = Clock()
    shop = store(clock)
    coupon = {"code": "WELCOME10", "nominal_amount": 10}
    line = {"sku": "ORD-A", "quantity": 2, "subtotal": "39.98", "total": "35.98"}
    cart = basket(coupon_lines=[coupon], shipping_lines=[{"total": "7.50"}], line_items=[line])
    order = shop.place(cart, half_built=True)
    seen = shop.order_json(order)
    clock.tick(20)
    shop.finish(order)
    whole = shop.order_json(order)

    assert (seen["status"], seen["total"], seen["coupon_lines"]) == ("pending", "0.00", [])
    assert (seen["shipping_lines"], seen["date_paid"]) == ([], None)
    assert (whole["status"], whole["total"]) == ("processing", "47.34")
    assert whole["date_modified_gmt"] == seen["date_modified_gmt"] == "2026-11-20T18:20:42"
    assert [line["id"] for line in whole["line_items"]] == [seen["line_items"][0]["id"]]


def test_the_same_post_twice_makes_two_orders() -> None:
    entries, shop = recorded("20_no_idempotency"), store()
    swap = {1672: next(iter(shop.products))}
    made = [replay(shop, entry, swap) for entry in entries[:2]]
    found = [row["id"] for row in get(shop, "orders", search="pi_same_1").json()]

    assert [answer.status_code for answer in made] == [201, 201]
    assert [answer.json()["total"] for answer in made] == ["21.76", "21.76"]
    assert found == [made[1].json()["id"], made[0].json()["id"]]
    assert made[0].headers["Location"] == f"{shop.home}{API}/orders/{found[1]}"


@pytest.mark.parametrize("index", [1, 2, 3, 7, 14, 15, 16, 18, 22, 23])
def test_odd_requests_have_the_recorded_effect(index: int) -> None:
    entry, shop = recorded("19_errors")[index], store()
    order = shop.place(basket(shipping={}))
    answer, theirs = replay(shop, entry, {1833: order}), entry["response"]

    assert answer.status_code == theirs["status"]
    if index == 18:
        assert (answer.content, answer.headers["X-WP-Total"]) == (b"", "1")
    else:
        ours = answer.json()
        names = [name for name in theirs["body"] if name != "id"]
        assert {name: ours[name] for name in names} == {n: theirs["body"][n] for n in names}


@pytest.mark.parametrize(
    ("index", "status"), [(0, "pending"), (2, "processing"), (3, "completed"), (9, "processing")]
)
def test_a_status_on_creation_sets_the_recorded_dates_and_flags(index: int, status: str) -> None:
    clock, entry = Clock(), recorded("13_order_status_and_stock")[index]
    theirs = entry["response"]["body"]
    clock.at(theirs["date_modified_gmt"])
    shop = store(clock)
    ours = replay(shop, entry, {1672: next(iter(shop.products))}).json()

    assert theirs["status"] == status
    names = [name for name in theirs if name != "id"]
    assert {name: ours[name] for name in names} == {name: theirs[name] for name in names}


def test_a_walk_through_the_statuses_leaves_the_recorded_dates_and_notes() -> None:
    entries, clock = recorded("13_order_status_and_stock"), Clock()
    shop, order = store(clock), 0
    for entry in entries[11:23]:
        theirs = entry["response"]["body"]
        clock.at(theirs["date_modified_gmt"])
        swap = {1672: next(iter(shop.products)), 1764: order}
        ours = replay(shop, entry, swap).json()
        order = ours["id"]
        names = [name for name in theirs if name != "id"]
        assert {name: ours[name] for name in names} == {name: theirs[name] for name in names}
    ours, theirs = get(shop, f"orders/{order}/notes"), entries[23]["response"]["body"]

    def moves(notes: list[dict[str, str]]) -> list[str]:
        return [note["note"] for note in notes if note["note"].startswith("Order status changed")]

    recorded_moves = moves(theirs)
    assert moves(ours.json())[: len(recorded_moves)] == recorded_moves
    assert not [name for name in ours.headers if name.startswith("x-wp")]


def test_notes_do_not_bump_and_everything_else_does() -> None:
    clock = Clock()
    shop = store(clock)
    order = shop.place(basket())
    line = shop.order_json(order)["line_items"][0]["id"]

    def bumped(act: Callable[[], object]) -> bool:
        before = shop.entry(order).modified
        clock.tick()
        act()
        return shop.entry(order).modified != before

    assert not bumped(lambda: shop.add_note(order, "hello", customer=True))
    assert bumped(lambda: shop.refund(order, "1.00", "broken"))
    refund = shop.refunds[order][0]["id"]
    assert not bumped(lambda: shop.delete_refund(order, refund))
    assert bumped(lambda: shop.edit(order))
    assert bumped(lambda: shop.set_status(order, "processing"))
    assert bumped(lambda: shop.edit(order, line_items=[{"id": line, "quantity": 3}]))
    assert bumped(lambda: shop.trash(order))
    assert bumped(lambda: shop.restore(order))


def test_meta_data_merges_by_key_and_null_deletes() -> None:
    shop = store()
    order = shop.place(basket(meta_data=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]))
    first, second = (meta["id"] for meta in shop.order_json(order)["meta_data"])
    changes = [{"key": "a", "value": "9"}, {"id": second, "value": None}, {"key": "c", "value": {}}]
    shop.edit(order, meta_data=changes)
    kept = shop.order_json(order)["meta_data"]
    shop.edit(order, meta_data=[{"key": "b", "value": None}])

    assert [(meta["key"], meta["value"]) for meta in kept] == [("a", "9"), ("b", "2"), ("c", {})]
    assert kept[0]["id"] == first
    assert [meta["key"] for meta in shop.order_json(order)["meta_data"]] == ["a", "c"]


def test_lines_are_edited_as_recorded() -> None:
    entries, shop = recorded("10_order_create"), store()
    order = shop.place(basket(status="pending"))
    line = shop.order_json(order)["line_items"][0]["id"]
    swap = {1701: order, 4498: line, 1673: list(shop.products)[1]}
    for index in (20, 21, 22, 24, 25):
        ours, theirs = replay(shop, entries[index], swap).json(), entries[index]["response"]["body"]
        assert ours.get("total") == theirs.get("total", ours["total"])
        for mine, line_there in zip(ours["line_items"], theirs.get("line_items", ()), strict=False):
            for name in ("quantity", "subtotal", "total", "total_tax", "taxes", "sku"):
                assert mine[name] == line_there[name]
            assert Decimal(str(mine["price"])) == line_there["price"]
    assert shop.order_json(order)["billing"]["city"] == "Troy"
    assert len(shop.order_json(order)["line_items"]) == 1


def test_refunds_of_the_last_cent_make_the_order_refunded() -> None:
    clock = Clock()
    shop = store(clock)
    order = shop.place(basket(status="completed"))
    clock.tick(60)
    shop.refund(order, "3.53", "part")
    partly = shop.order_json(order)
    clock.tick(60)
    shop.refund(order, "40.00", "rest", at="2026-11-20T19:00:00+00:00")
    wholly = shop.order_json(order)
    with pytest.raises(Declined, match="Invalid refund amount"):
        shop.refund(order, "0.01", "too much")

    assert (partly["status"], partly["total"]) == ("completed", "43.53")
    assert (wholly["status"], wholly["total"]) == ("refunded", "43.53")
    assert wholly["date_modified_gmt"] == "2026-11-20T19:00:00"
    assert [refund["total"] for refund in wholly["refunds"]] == ["-40.00", "-3.53"]
    assert len(shop.refunds[order]) == 2


def test_status_refunded_by_hand_makes_a_refund_of_the_rest_without_tax() -> None:
    shop = store()
    order = shop.place(basket(status="completed"))
    shop.refund(order, "3.53", "part")
    shop.set_status(order, "refunded")
    made = get(shop, f"orders/{order}/refunds").json()

    assert [refund["amount"] for refund in made] == ["40.00", "3.53"]
    assert (made[0]["reason"], made[0]["line_items"]) == ("Order fully refunded.", [])
    assert shop.order_json(order)["refunds"][1]["total_tax"] == "0.00"


def test_customers_have_no_delta_and_copy_only_their_email() -> None:
    shop = store()
    ids = [shop.add_customer(f"cust{n}@example.com", "C", str(n)) for n in (1, 10, 2)]
    order = shop.place(basket(customer_id=ids[0]))
    late = {"modified_after": "2030-01-01T00:00:00", "role": "all"}

    assert [row["id"] for row in get(shop, "customers").json()] == ids
    assert len(get(shop, "customers", orderby="id", **late).json()) == 3
    assert get(shop, f"customers/{ids[2]}").json()["email"] == "cust2@example.com"
    assert shop.order_json(order)["billing"]["email"] == "cust1@example.com"
    assert shop.order_json(order)["billing"]["first_name"] == ""
    assert "customer" in shop.order_json(order)["_links"]


def test_products_are_found_by_several_skus_whatever_their_letter_case() -> None:
    shop = store()
    found = get(shop, "products", sku="ord-a,ORD-B,none", _fields="sku").json()

    assert found == [{"sku": "ORD-B"}, {"sku": "ORD-A"}]
    with pytest.raises(Declined, match="product_invalid_sku"):
        shop.add_product("Ord-A", "again")


def test_a_checkout_line_without_sku_names_no_product() -> None:
    shop = store()
    order = shop.place({"line_items": [{"sku": None, "name": "Gone", "total": "5.00"}]})
    line = shop.order_json(order)["line_items"][0]

    assert (line["sku"], line["product_id"], line["name"]) == (None, 0, "Gone")
    assert (line["subtotal"], line["total"]) == ("5.00", "5.00")


def test_status_lists_leave_out_what_the_recorded_store_leaves_out() -> None:
    shop = store()
    words = ("processing", "on-hold", "checkout-draft", "auto-draft")
    paid, held, draft, auto = (shop.place(basket(status=word)) for word in words)
    trashed = shop.place(basket())
    shop.trash(trashed)

    assert listed(shop) == listed(shop, status="any,trash") == [held, paid]
    assert listed(shop, status="processing,trash") == [trashed, paid]
    assert listed(shop, status="checkout-draft") == [draft]
    assert get(shop, f"orders/{auto}").json()["status"] == "auto-draft"
    assert shop.count() == 2
    assert shop.totals_by_currency() == {"USD": Decimal("87.06")}


def test_a_stale_read_shows_the_state_before_the_newest_change() -> None:
    clock = Clock()
    shop = store(clock)
    old, changed = shop.place(basket()), shop.place(basket())
    clock.tick()
    shop.set_status(changed, "completed")
    new = shop.place(basket())
    shop.faults.plan(Fault(Trouble.STALE, times=2))

    assert listed(shop, orderby="id", order="asc") == [old, changed]
    assert get(shop, f"orders/{changed}").json()["status"] == "processing"
    assert listed(shop, orderby="id", order="asc") == [old, changed, new]
    assert get(shop, f"orders/{changed}").json()["status"] == "completed"


def test_a_write_cut_after_its_effect_has_happened() -> None:
    shop = store()
    order = shop.place(basket())
    shop.faults.plan(Fault(Trouble.CUT_AFTER, operation="PUT orders/{id}"))
    with pytest.raises(httpx.ReadError):
        client(shop).put(f"{API}/orders/{order}", json={"status": "completed"})

    assert shop.order_json(order)["status"] == "completed"
    assert shop.calls["PUT orders/{id}"] == 1


def test_a_host_with_a_limit_says_how_long_to_wait() -> None:
    clock = Clock()
    shop = store(clock, calls_per_second=2)
    answers = [get(shop, "orders") for _ in range(3)]
    clock.tick()

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "1"
    assert get(shop, "orders").status_code == 200


def test_two_shops_with_the_same_history_are_equal_to_the_byte() -> None:
    def history() -> str:
        shop = store()
        shop.add_customer("a@example.com")
        order = shop.place(basket(customer_id=2, fee_lines=[{"total": "1.00"}]))
        shop.refund(order, "1.00", "broken")
        return shop.entry(order).text

    assert history() == history()
    assert "\\/" in history()


def test_site_times_follow_the_shops_zone() -> None:
    shop = store(timezone="Asia/Tokyo")
    order = shop.order_json(shop.place(basket()))
    site = client(shop, auth=None).get("/wp-json/", params={"_fields": "gmt_offset"})

    assert order["date_created"] == "2026-11-21T03:20:42"
    assert order["date_created_gmt"] == "2026-11-20T18:20:42"
    assert site.json() == {"gmt_offset": 9}


STAMPS = st.integers(10, 20).map(lambda second: f"2026-11-20T18:20:{second}")
ROWS = st.lists(
    st.tuples(STAMPS, STAMPS, st.sampled_from(["pending", "completed", "trash"])), max_size=25
)
BOUND = st.none() | STAMPS
ASKED = st.builds(
    Wanted,
    statuses=st.none() | st.sampled_from([frozenset({"trash"}), frozenset({"trash", "pending"})]),
    sort=st.sampled_from(["id", "date", "modified"]),
    descending=st.booleans(),
    bounds=st.dictionaries(st.sampled_from(["date", "modified"]), st.tuples(BOUND, BOUND)),
    include=st.none() | st.lists(st.integers(1, 30), unique=True).map(tuple),
    per_page=st.integers(1, 7),
    skip=st.integers(0, 30),
)


@settings(max_examples=200, deadline=None)
@given(ROWS, ROWS, ASKED)
def test_lists_by_bisection_equal_lists_by_sorting(
    first: list[tuple[str, str, str]], then: list[tuple[str, str, str]], asked: Wanted
) -> None:
    shelf, kept = Shelf(), {}
    for rows in (first, then):
        for number, (created, modified, status) in enumerate(rows, 1):
            entry = Entry(
                *(number, status, created, modified, 0, "USD", Decimal(), ""), packed=packed("{}")
            )
            shelf.put(entry)
            kept[number] = entry
    for number in list(kept)[:3]:
        shelf.drop(number)
        del kept[number]
    found = [
        entry
        for entry in kept.values()
        if (entry.status in asked.statuses if asked.statuses else entry.status not in HIDDEN)
        and (asked.include is None or entry.id in asked.include)
        and all(
            (low is None or entry.key(sort)[0] > low)
            and (high is None or entry.key(sort)[0] < high)
            for sort, (low, high) in asked.bounds.items()
        )
    ]
    found.sort(key=lambda entry: entry.key(asked.sort), reverse=asked.descending)
    total, page = shelf.select(asked)

    assert total == len(found)
    page_ids = [entry.id for entry in found[asked.skip : asked.skip + asked.per_page]]
    assert [entry.id for entry in page] == page_ids


def test_an_order_is_written_once_per_version() -> None:
    shop = store()
    order = shop.place(basket())
    first = shop.entry(order)
    shop.edit(order, customer_note="é/x")

    assert shop.entry(order).former == first
    assert json.loads(shop.entry(order).text)["customer_note"] == "é/x"
    assert get(shop, f"orders/{order}").text == shop.entry(order).text
