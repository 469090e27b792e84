"""The habits of the WooCommerce stand-in's products that tests and simulations rely on, beyond what
was recorded.
"""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from woocommerce_shop import API, Clock, client, get
from woocommerce_walks import shop_at

from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.serve import serve
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.sandbox.woocommerce_refusals import Declined


def batch(shop: WooCommerceStandIn, path: str = "products", **lists: Any) -> dict[str, Any]:
    """Send a batch and answer its body."""
    answer = client(shop).post(f"{API}/{path}/batch", json=lists)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_two_creations_at_once_make_one_sku_twice_and_a_lookup_shows_both() -> None:
    shop = shop_at(Clock())
    body = {"name": "Mug", "sku": "MUG"}
    shop.admit_twins()
    made = [client(shop).post(f"{API}/products", json=body) for _ in range(2)]
    third = client(shop).post(f"{API}/products", json=body)
    ids = [answer.json()["id"] for answer in made]

    assert [answer.status_code for answer in made] == [201, 201]
    assert (third.status_code, third.json()["data"]["resource_id"]) == (400, ids[0])
    assert third.json()["data"]["unique_sku"] == "MUG-1"
    assert [one["id"] for one in get(shop, "products", sku="mug").json()] == ids[::-1]
    assert shop.products_with("MUG") == ids


def test_a_twin_is_let_through_only_where_the_sku_is_taken() -> None:
    shop = shop_at(Clock())
    shop.admit_twins()
    shop.add_product("A", "A")
    shop.add_product("A", "A")
    with pytest.raises(Declined, match="product_invalid_sku"):
        shop.add_product("A", "A")

    assert len(shop.products_with("A")) == 2


def test_a_trashed_sku_bars_a_creation_and_comes_back_with_its_product() -> None:
    shop = shop_at(Clock())
    mug = shop.add_product("MUG", "Mug", 1)
    shop.trash_product(mug)
    refused = client(shop).post(f"{API}/products", json={"sku": "mug"})
    other = shop.add_product("OTHER", "Other")
    renamed = client(shop).put(f"{API}/products/{other}", json={"sku": "MUG"})
    shop.restore_product(mug)

    assert refused.json()["code"] == "woocommerce_rest_product_not_created"
    assert renamed.status_code == 200
    assert shop.products_with("MUG") == [mug, other]
    assert shop.product_json(mug)["status"] == "publish"


def test_a_family_goes_to_the_trash_together_and_the_owner_brings_it_back() -> None:
    shop = shop_at(Clock())
    sizes = [{"sku": f"T-{size}", "price": 5, "attributes": {"Size": size}} for size in "SM"]
    parent, *children = shop.add_variable("T", "Tee", sizes)
    shop.webhooks.add("product.restored", "https://hook.example/x", "s", "x", "active")
    shop.deliver(lambda request: httpx.Response(200))
    shop.trash_product(parent)
    gone = get(shop, "products", sku="T-S,T-M,T").json()
    hidden = get(shop, f"products/{parent}/variations").json()
    shop.restore_product(parent)
    back = get(shop, f"products/{parent}/variations").json()

    assert (gone, hidden) == ([], [])
    assert [one["id"] for one in back] == children[::-1]
    assert shop.product_json(parent)["variations"] == children
    assert shop.queued() == [("product.restored", parent)]


def test_a_parent_taken_out_of_the_trash_by_a_status_leaves_its_variations_there() -> None:
    shop = shop_at(Clock())
    parent, child = shop.add_variable("T", "Tee", [{"sku": "T-S", "price": 5}])
    shop.trash_product(parent)
    client(shop).put(f"{API}/products/{parent}", json={"status": "publish"})

    assert shop.product_json(parent)["status"] == "publish"
    assert shop.product_json(child)["status"] == "trash"


def test_variations_are_made_changed_and_deleted_in_a_batch_under_their_parent() -> None:
    shop = shop_at(Clock())
    parent, small = shop.add_variable(
        "T", "Tee", [{"sku": "T-S", "price": 5, "attributes": {"Size": "S"}}]
    )
    stranger = shop.add_variable("U", "Other", [{"sku": "U-S", "price": 5}])[1]
    new = {"sku": "T-M", "regular_price": "4", "attributes": [{"name": "size", "option": "M"}]}
    changes = [{"id": stranger, "regular_price": "1"}, {"id": small, "regular_price": "6"}]
    done = batch(shop, f"products/{parent}/variations", create=[new], update=changes)
    made = done["create"][0]
    gone = batch(shop, f"products/{parent}/variations", delete=[small, 999_999])

    assert (made["name"], made["price"], made["parent_id"]) == ("M", "4", parent)
    assert done["update"][0]["error"]["code"] == "woocommerce_rest_product_variation_invalid_id"
    assert done["update"][1]["price"] == "6"
    assert gone["delete"][0]["sku"] == "T-S"
    assert gone["delete"][1] == {
        "id": 999_999,
        "error": {
            "code": "woocommerce_rest_product_variation_invalid_id",
            "message": "Invalid ID.",
            "data": {"status": 404},
        },
    }
    after = shop.product_json(parent)
    assert (after["variations"], after["price"]) == ([made["id"]], "4")
    assert shop.products_with("T-S") == []
    assert shop.product_json(stranger)["regular_price"] == "5"


def test_a_single_write_is_checked_where_a_batch_is_not() -> None:
    shop = shop_at(Clock())
    mug = shop.add_product("MUG", "Mug", "5", units=9)
    wrong = {
        "status": "nonsense",
        "manage_stock": "perhaps",
        "categories": "15",
        "stock_quantity": Decimal("1.5"),
        "weight": 2,
    }
    text = json.dumps(wrong, default=float)
    kind = {"Content-Type": "application/json"}
    refused = client(shop).put(f"{API}/products/{mug}", content=text, headers=kind)

    assert refused.status_code == 400
    assert refused.json()["data"]["params"].keys() == wrong.keys()
    assert shop.product_json(mug)["status"] == "publish"
    assert shop.stock_of("MUG") == 9


def test_texts_are_read_in_paragraphs_and_answered_to_a_writer_as_given() -> None:
    shop = shop_at(Clock())
    body = {"name": "Mug", "description": "Plain\ntext\n\nmore", "short_description": "<p>a</p>"}
    made = client(shop).post(f"{API}/products", json=body).json()
    read = get(shop, f"products/{made['id']}").json()
    edited = get(shop, f"products/{made['id']}", context="edit").json()
    client(shop).put(f"{API}/products/{made['id']}", json={"name": "Cup"})

    assert made["description"] == edited["description"] == body["description"]
    assert read["description"] == "<p>Plain<br />\ntext</p>\n<p>more</p>\n"
    assert read["short_description"] == "<p>a</p>\n"
    assert get(shop, f"products/{made['id']}").json()["description"] == read["description"]


def test_a_picture_is_copied_each_time_its_address_is_sent_and_kept_by_its_id() -> None:
    shop = shop_at(Clock())
    mug = shop.add_product("MUG", "Mug", images=[{"src": "https://img.example/a/mug.png"}])
    [first] = shop.product_json(mug)["images"]
    shop.edit_product(mug, images=[{"id": first["id"], "alt": "A mug"}])
    [kept] = shop.product_json(mug)["images"]
    shop.edit_product(mug, images=[{"src": "https://img.example/a/mug.png"}])
    [again] = shop.product_json(mug)["images"]

    assert first["src"] == f"{shop.home}/wp-content/uploads/2026/11/mug.png"
    assert (kept["id"], kept["alt"]) == (first["id"], "A mug")
    assert again["src"] == f"{shop.home}/wp-content/uploads/2026/11/mug-1.png"


def test_categories_are_made_once_nested_listed_and_taken_away() -> None:
    shop = shop_at(Clock())
    http = client(shop)
    path = f"{API}/products/categories"
    desk = http.post(path, json={"name": "Desk", "parent": 19})
    twice = http.post(path, json={"name": "desk", "parent": 19})
    elsewhere = http.post(path, json={"name": "Desk", "parent": 20})
    made = desk.json()["id"]
    mug = shop.add_product("MUG", "Mug", categories=[{"id": made}])
    filtered = get(shop, "products", category=made).json()
    unforced = http.delete(f"{path}/{made}")
    http.delete(f"{path}/{made}", params={"force": "true"})

    assert (desk.status_code, desk.json()["parent"], desk.json()["slug"]) == (201, 19, "desk")
    assert (twice.status_code, twice.json()["code"]) == (400, "term_exists")
    assert twice.json()["data"]["resource_id"] == made
    assert (elsewhere.status_code, elsewhere.json()["slug"]) == (201, "desk-outdoor")
    assert [one["id"] for one in filtered] == [mug]
    assert unforced.status_code == 501
    assert [one["id"] for one in shop.product_json(mug)["categories"]] == [15]


def test_a_stale_read_shows_a_product_before_its_newest_change() -> None:
    shop = shop_at(Clock())
    mug = shop.add_product("MUG", "Mug", units=9)
    shop.set_stock("MUG", 4)
    shop.faults.plan(Fault(Trouble.STALE, "GET products/{id}"))
    stale, fresh = (get(shop, f"products/{mug}").json()["stock_quantity"] for _ in range(2))

    assert (stale, fresh) == (9, 4)


def test_products_are_read_by_id_and_by_change_while_orders_share_their_numbers() -> None:
    clock = Clock()
    shop = shop_at(clock)
    ids = []
    for number in range(6):
        clock.tick()
        ids.append(shop.add_product(f"S-{number}", f"Thing {number}", units=3))
        shop.place({"line_items": [{"sku": f"S-{number}", "quantity": 1}]})
    clock.tick()
    seen = clock().strftime("%Y-%m-%dT%H:%M:%S")
    clock.tick()
    shop.set_stock("S-1", 8)
    delta = {"modified_after": seen, "dates_are_gmt": "true", "orderby": "modified"}
    by_id = {"orderby": "id", "order": "asc", "per_page": 4}

    assert [one["id"] for one in get(shop, "products", **delta).json()] == [ids[1]]
    pages = [get(shop, "products", page=page, **by_id).json() for page in (1, 2)]
    assert [one["id"] for page in pages for one in page] == ids
    assert get(shop, "products", orderby="title", order="asc").json()[0]["id"] == ids[0]
    assert get(shop, "products", exclude=f"{ids[5]}").json()[0]["id"] == ids[4]
    assert get(shop, "products", include=f"{ids[2]}").json()[0]["id"] == ids[2]


def test_a_page_of_many_products_reads_no_more_than_the_page() -> None:
    shop = shop_at(Clock())
    for start in range(0, 2_000, 100):
        items = [{"name": f"T {n}", "sku": f"S-{n}"} for n in range(start, start + 100)]
        batch(shop, create=items)
    looked_at = 0
    article = type(shop.products.known(shop.products_with("S-0")[0]))
    read = article.text

    def counting(one: Any, now: str) -> str:
        nonlocal looked_at
        looked_at += 1
        return read(one, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(article, "text", counting)
        page = get(shop, "products", per_page=100, page=7, orderby="id", order="asc")

    assert len(page.json()) == looked_at == 100
    assert page.headers["X-WP-Total"] == "2000"


def test_a_variation_without_picture_weight_or_tax_class_shows_its_parents() -> None:
    shop = shop_at(Clock())
    more = {
        "weight": "2",
        "tax_class": "reduced-rate",
        "images": [{"src": "https://x.example/a.png"}],
    }
    parent, plain, own = shop.add_variable(
        "T",
        "Tee",
        [
            {"sku": "T-S", "price": 5, "attributes": {"Size": "S"}},
            {"sku": "T-M", "price": 5, "weight": "3", "tax_class": "zero-rate"},
        ],
        **more,
    )
    shop.edit_product(own, image={"src": "https://x.example/b.png"})
    before = shop.product_json(plain)
    shop.edit_product(parent, weight="4", images=[])
    after, kept = shop.product_json(plain), shop.product_json(own)

    assert (before["weight"], before["tax_class"]) == ("2", "reduced-rate")
    assert before["image"]["name"] == "a"
    assert (after["weight"], after["image"]) == ("4", None)
    assert after["date_modified_gmt"] == before["date_modified_gmt"]
    assert (kept["weight"], kept["tax_class"], kept["image"]["name"]) == ("3", "zero-rate", "b")


def test_variations_of_all_products_are_listed_and_found_by_sku() -> None:
    clock = Clock()
    shop = shop_at(clock)
    families = [
        shop.add_variable(f"F-{n}", f"F {n}", [{"sku": f"F-{n}-S", "price": n + 1}])
        for n in range(12)
    ]
    clock.tick(60)
    shop.set_stock("F-3-S", 7)
    since = {"modified_after": "2026-11-20T18:21:00", "dates_are_gmt": "true"}
    page = get(shop, "variations", per_page=5, page=3, orderby="id", order="asc")

    assert page.headers["X-WP-Total"] == "12"
    assert [one["id"] for one in page.json()] == [children[1] for children in families[10:]]
    assert [one["sku"] for one in get(shop, "variations", **since).json()] == ["F-3-S"]
    assert [one["sku"] for one in get(shop, "products", **since).json()] == ["F-3"]
    assert get(shop, "variations", parent=families[4][0]).json()[0]["sku"] == "F-4-S"
    assert get(shop, "variations", sku="f-9-s,F-9").json()[0]["parent_id"] == families[9][0]
    assert len(get(shop, "variations", sku="f-9-s,F-9").json()) == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("27,50", "2750"),
        ("1.234,5", "1.2345"),
        ("abc", ""),
        ("", ""),
        ("$ 12.90", "12.90"),
        ("-3", "-3"),
    ],
)
def test_odd_prices_are_kept_in_silence(given: str, kept: str) -> None:
    shop = shop_at(Clock())
    mug = shop.add_product("MUG", "Mug", "5")
    answer = client(shop).put(f"{API}/products/{mug}", json={"regular_price": given})

    assert answer.status_code == 200
    assert (answer.json()["regular_price"], answer.json()["price"]) == (kept, kept)


def test_the_controls_reach_products_and_stock_from_another_process() -> None:
    shop = shop_at(Clock())
    with serve({"us": shop}) as bases:
        door = bases["us"].rsplit("/", 1)[0] + "/_control/us"

        def call(method: str, **arguments: Any) -> Any:
            answer = httpx.post(door, json={"call": method, "args": arguments}, trust_env=False)
            return answer.json()

        call("add_product", sku="MUG", name="Mug", price="5.00", units=1)
        call("set_stock", sku="MUG", units=2)
        cart = {"line_items": [{"sku": "MUG", "quantity": 2}]}
        sold = call("checkout", order=cart)
        refused = call("checkout", order=cart)
        left = call("stock_of", sku="MUG")

    assert shop.count() == 1
    assert sold["result"] == shop.shelf.newest
    assert "woocommerce_rest_product_out_of_stock" in refused["error"]
    assert left == {"result": 0}
