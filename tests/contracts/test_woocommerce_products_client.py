"""The WooCommerce client reads products, variations and stock, and writes them once each."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from resources.errors import ContractBroken, Missing, Refused, RemoteError, UnknownOutcome
from resources.pages import Broken, Raw
from resources.systems.woocommerce import WooCommerce
from tests.contracts.woocommerce_goods import Goods, at, connected

LATER = at(3600)
Answer = dict[str, Any] | RemoteError


def ids(pages: Iterator[list[Raw | Broken]]) -> list[int]:
    return [int(item.resource_id or 0) for page in pages for item in page]


def found(rows: list[Raw | Broken]) -> list[int]:
    return sorted(int(item.resource_id or 0) for item in rows)


def write(key: str, of: int | None = None, parent: int | None = None, **fields: Any) -> Any:
    return {"key": key, "id": of, "parent": parent, "fields": fields}


def refusals(answers: dict[str, Answer]) -> dict[str, str | None]:
    return {key: one.code for key, one in answers.items() if isinstance(one, RemoteError)}


@pytest.fixture
def shop() -> Goods:
    """Five products; the last is variable, and has variations 11 to 14."""
    goods = Goods()
    for key in range(1, 5):
        goods.put(key, key, sku=f"SIM-{key}")
    goods.put(5, 5, sku="VAR", type="variable")
    for key in range(11, 15):
        goods.put(key, key, sku=f"VAR-{key}", parent_id=5)
    return goods


@pytest.fixture(params=[True, False], ids=["lists variations", "older shop"])
def either(request: pytest.FixtureRequest, shop: Goods) -> Goods:
    """The same shop with and without the list of all variations."""
    shop.lists_variations = request.param
    return shop


# Reading.


def test_a_delta_yields_every_live_product_once_oldest_change_first(shop: Goods) -> None:
    shop.put(2, 2, status="draft")
    shop.put(3, 3, status="trash")

    assert ids(connected(shop).products_changed_since(at(2), LATER)) == [2, 4, 5]


def test_products_in_the_trash_are_asked_for_apart(shop: Goods) -> None:
    shop.put(3, 30, status="trash")

    assert ids(connected(shop).products_trashed_since(at(0), LATER)) == [3]


def test_descriptions_are_read_as_they_were_written(shop: Goods) -> None:
    list(connected(shop).products_changed_since(at(0), LATER))

    assert {params["context"] for _, _, params, _ in shop.asked} == {"edit"}


def test_a_product_changed_while_pages_are_read_is_neither_lost_nor_hides_another(
    shop: Goods,
) -> None:
    shop.between[1] = lambda: shop.put(1, 20) and None

    read = ids(connected(shop).products_changed_since(at(1), LATER))

    assert sorted(set(read)) == [1, 2, 3, 4, 5]


def test_changed_variations_are_read_of_every_shop(either: Goods) -> None:
    read = ids(connected(either).variations_changed_since(at(12), LATER))

    assert read == [12, 13, 14]


def test_an_older_shop_is_asked_once_for_the_list_it_does_not_have(shop: Goods) -> None:
    shop.lists_variations = False
    woo = connected(shop)

    for _ in range(2):
        list(woo.variations_changed_since(at(0), LATER))

    assert shop.paths("GET").count("variations") == 1


def test_a_variation_is_read_though_its_parent_changed_again_after_the_window(
    either: Goods,
) -> None:
    either.rows[5]["date_modified_gmt"] = "2026-03-01T14:00:00"

    assert ids(connected(either).variations_changed_since(at(13), at(14))) == [13]


def test_variations_in_the_trash_are_read_of_every_shop(either: Goods) -> None:
    either.put(12, 40, status="trash")

    assert ids(connected(either).variations_trashed_since(at(0), LATER)) == [12]
    assert ids(connected(either).variations_changed_since(at(12), LATER)) == [13, 14]


def test_a_missing_route_of_another_kind_is_not_taken_for_an_older_shop(shop: Goods) -> None:
    woo = connected(lambda _: httpx.Response(404, text="<html>proxy</html>"))

    with pytest.raises(Missing):
        list(woo.variations_changed_since(at(0), LATER))
    assert woo.lists_variations


def test_everything_is_read_for_a_comparison(either: Goods) -> None:
    woo = connected(either)

    assert ids(woo.products()) == [1, 2, 3, 4, 5]
    assert ids(woo.variations()) == [11, 12, 13, 14]


def test_ids_find_products_variations_and_what_is_in_the_trash(either: Goods) -> None:
    either.put(2, status="trash")
    either.put(13, status="trash")

    assert found(connected(either).products_by_id([1, 2, 12, 13, 99, "x"])) == [1, 2, 12, 13]


def test_skus_find_products_and_variations_whatever_their_letter_case(shop: Goods) -> None:
    rows = connected(shop).products_by_sku(["sim-1", "VAR-12", "NO-SUCH"])

    assert found(rows) == [1, 12]


def test_the_trash_is_asked_only_for_skus_no_live_product_has(shop: Goods) -> None:
    shop.put(2, status="trash")

    rows = connected(shop).products_by_sku(["SIM-1", "SIM-2"])

    assert found(rows) == [1, 2]
    assert [params["sku"] for _, _, params, _ in shop.asked] == ["SIM-1,SIM-2", "SIM-2"]


def test_a_sku_with_a_comma_is_not_taken_for_two(shop: Goods) -> None:
    assert connected(shop).products_by_sku(["SIM-1,SIM-2"]) == []
    assert shop.asked == []


@pytest.mark.parametrize(("length", "calls"), [(8, 2), (60, 3)])
def test_many_skus_are_asked_for_in_addresses_of_bearable_length(
    shop: Goods, length: int, calls: int
) -> None:
    skus = {key: f"{key}".rjust(length, "M") for key in range(200, 320)}
    for key, sku in skus.items():
        shop.put(key, sku=sku)

    rows = connected(shop, 100).products_by_sku(iter(skus.values()))

    assert found(rows) == list(skus)
    assert len(shop.asked) == calls


def test_stock_is_read_lightly_of_products_and_variations_together(either: Goods) -> None:
    either.put(1, manage_stock=True, stock_quantity=7)
    either.put(4, status="trash")
    woo = connected(either, 100)

    stock = woo.stock_of([(1, None), (4, None), (12, 5), (13, 5), (99, None)])

    assert sorted(stock) == [1, 12, 13]
    assert stock[1]["stock_quantity"] == 7
    assert all("_fields" in params for _, _, params, _ in either.asked)


# Writing.


def test_what_has_no_id_is_looked_up_and_changed_if_it_is_there(shop: Goods) -> None:
    answers = connected(shop).put_products(
        [write("sim-1", name="New name"), write("NEW", name="New", sku="NEW")]
    )

    assert refusals(answers) == {}
    assert answers["sim-1"]["id"] == 1
    assert answers["sim-1"]["existed"] is True
    assert "existed" not in answers["NEW"]
    assert shop.rows[1]["name"] == "New name"
    assert [row["id"] for row in shop.rows.values() if row["sku"] == "NEW"] == [
        answers["NEW"]["id"]
    ]


def test_what_is_created_always_gets_the_sku_it_is_found_again_by(shop: Goods) -> None:
    woo = connected(shop)

    first = woo.put_products([write("odoo:7", type="variable", name="Family")])
    second = woo.put_products([write("odoo:7", type="variable", name="Family")])

    assert first["odoo:7"]["sku"] == "odoo:7"
    assert second["odoo:7"]["id"] == first["odoo:7"]["id"]
    assert sum(row["sku"] == "odoo:7" for row in shop.rows.values()) == 1


def test_a_product_made_by_somebody_else_meanwhile_is_changed_not_doubled(shop: Goods) -> None:
    shop.between[1] = lambda: shop.put(50, sku="NEW") and None

    answers = connected(shop).put_products([write("NEW", name="Ours")])

    assert (answers["NEW"]["id"], answers["NEW"]["existed"]) == (50, True)
    assert shop.rows[50]["name"] == "Ours"


def test_a_trashed_owner_of_the_sku_is_found_and_taken_out_by_its_status(shop: Goods) -> None:
    shop.put(2, status="trash")

    answers = connected(shop).put_products([write("SIM-2", name="Back", status="publish")])

    assert (answers["SIM-2"]["id"], answers["SIM-2"]["existed"]) == (2, True)
    assert shop.rows[2]["status"] == "publish"


def test_a_sku_taken_by_another_kind_of_thing_is_refused_and_nothing_is_written(
    shop: Goods,
) -> None:
    answers = connected(shop).put_products(
        [write("VAR-12", name="Simple"), write("SIM-1", parent=5)]
    )

    assert refusals(answers) == {"VAR-12": "sku_elsewhere", "SIM-1": "sku_elsewhere"}
    assert shop.paths("POST") == []


def test_a_sku_the_shop_has_twice_is_left_to_a_person(shop: Goods) -> None:
    shop.put(60, sku="SIM-1")

    answers = connected(shop).put_products([write("SIM-1", name="Which?")])

    assert refusals(answers) == {"SIM-1": "sku_elsewhere"}
    assert "products 1, 60" in str(answers["SIM-1"])
    assert shop.paths("POST") == []


def test_variations_go_to_their_parents_a_hundred_at_a_time(shop: Goods) -> None:
    shop.put(6, 6, sku="VAR2", type="variable")
    writes = [write(f"P-{n}") for n in range(150)]
    writes += [write("V-1", parent=5), write("V-2", parent=6), write("VAR-11", 11, 5, weight="1")]

    answers = connected(shop, 100).put_products(writes)

    assert refusals(answers) == {}
    assert len(answers) == 153
    assert shop.paths("POST") == [
        "products/batch",
        "products/batch",
        "products/5/variations/batch",
        "products/6/variations/batch",
    ]
    sizes = [len(body.get("create", [])) for method, _, _, body in shop.asked if method == "POST"]
    assert sizes == [100, 50, 1, 1]


def test_one_refusal_does_not_stop_its_neighbours(shop: Goods) -> None:
    answers = connected(shop).put_products(
        [write("A", 1, name="a"), write("B", 99, name="b"), write("C", 11, name="c")]
    )

    assert isinstance(answers["B"], Missing)
    assert refusals(answers) == {
        "B": "woocommerce_rest_product_invalid_id",
        "C": "woocommerce_rest_invalid_product_id",
    }
    assert shop.rows[1]["name"] == "a"


@pytest.mark.parametrize(
    "fields",
    [
        {"regular_price": 27.5},
        {"regular_price": "27,50"},
        {"sale_price": "abc"},
        {"regular_price": "-1"},
        {"regular_price": "20.00", "sale_price": "20.00"},
        {"stock_quantity": "7"},
        {"stock_quantity": Decimal("7.9")},
        {"stock_quantity": None},
        {"stock_quantity": True},
        {"manage_stock": "no"},
        {"status": "nonsense"},
        {"status": "trash"},
        {"backorders": "maybe"},
        {"type": "subscription"},
        {"date_on_sale_from_gmt": None},
        {"date_on_sale_from": "2026-01-01T00:00:00"},
        {"inventory_delta": 1},
        {"categories": [{"name": "Lamps"}]},
        {"attributes": [{"name": "Size", "options": ["S|M"]}]},
        {"name": "half \ud83d"},
        {"meta_data": [{"key": "erp_price", "value": Decimal("1.5")}]},
        {"sku": "A,B"},
        {"sku": ""},
    ],
    ids=ascii,
)
def test_a_value_the_shop_would_get_wrong_is_refused_here_and_never_sent(
    shop: Goods, fields: dict[str, Any]
) -> None:
    answers = connected(shop).put_products([write("BAD", 1, **fields), write("GOOD", 2, name="ok")])

    assert refusals(answers) == {"BAD": "unfit_value"}
    assert next(iter(fields)) in str(answers["BAD"]) or "sale_price" in str(answers["BAD"])
    assert [body for _, _, _, body in shop.asked] == [{"update": [{"id": 2, "name": "ok"}]}]


def test_a_sku_created_twice_in_one_call_is_created_once(shop: Goods) -> None:
    answers = connected(shop).put_products([write("New"), write("NEW")])

    assert refusals(answers) == {"NEW": "unfit_value"}
    assert sum(row["sku"].lower() == "new" for row in shop.rows.values()) == 1


def test_a_key_written_twice_in_one_call_is_a_mistake_of_the_caller(shop: Goods) -> None:
    with pytest.raises(ValueError, match="SIM-1 is written twice"):
        connected(shop).put_products([write("SIM-1", 1), write("SIM-1", 1)])
    assert shop.asked == []


def test_nothing_to_write_asks_nothing(shop: Goods) -> None:
    assert connected(shop).put_products([]) == {}
    assert shop.asked == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda said: said["update"].pop(), "not what was asked to update"),
        (lambda said: said["update"].reverse(), "another thing for A"),
        (lambda said: said["update"].__setitem__(0, None), "no product"),
        (lambda said: said["create"][0].__setitem__("sku", "OTHER"), "another thing for N"),
        (lambda said: said["create"][0].__setitem__("id", 0), "another thing for N"),
    ],
)
def test_a_batch_that_answers_something_else_breaks_the_contract(
    shop: Goods, change: Any, complaint: str
) -> None:
    def instead(said: Any) -> httpx.Response:
        said = {verb: [dict(one) for one in part] for verb, part in said.items()}
        change(said)
        return httpx.Response(200, json=said)

    shop.instead = instead

    with pytest.raises(ContractBroken, match=complaint):
        connected(shop).put_products([write("A", 1), write("B", 2), write("N")])


def test_a_bare_list_for_a_batch_breaks_the_contract(shop: Goods) -> None:
    shop.instead = lambda _: httpx.Response(200, json=[])

    with pytest.raises(ContractBroken):
        connected(shop).put_products([write("A", 1)])


def test_a_lost_answer_is_unknown_and_repeating_the_call_doubles_nothing(shop: Goods) -> None:
    def lost(_: Any) -> httpx.Response:
        raise httpx.ReadTimeout("no answer")

    shop.instead = lost
    woo = connected(shop)
    with pytest.raises(UnknownOutcome):
        woo.put_products([write("NEW", name="New")])
    shop.instead = None

    answers = woo.put_products([write("NEW", name="New")])

    assert answers["NEW"]["existed"] is True
    assert sum(row["sku"] == "NEW" for row in shop.rows.values()) == 1


@pytest.mark.parametrize("status", [500, 502])
def test_a_shop_that_died_over_a_batch_leaves_its_outcome_unknown(shop: Goods, status: int) -> None:
    shop.instead = lambda _: httpx.Response(status, text="fatal error")

    with pytest.raises(UnknownOutcome):
        connected(shop).put_products([write("A", 1)])


def test_an_item_that_died_half_way_is_unknown_and_its_neighbours_are_not(shop: Goods) -> None:
    died = {"id": 1, "error": {"code": "internal", "message": "died", "data": 500}}
    shop.instead = lambda said: httpx.Response(200, json={"update": [died, said["update"][1]]})

    answers = connected(shop).put_products([write("A", 1), write("B", 2, name="b")])

    assert isinstance(answers["A"], UnknownOutcome)
    assert answers["B"]["name"] == "b"


# The trash.


def test_products_and_variations_go_to_the_trash_and_are_never_deleted(shop: Goods) -> None:
    assert connected(shop).trash_products([1, 12]) == {}

    assert (shop.rows[1]["status"], shop.rows[12]["status"]) == ("trash", "trash")
    deletes = [params for method, _, params, _ in shop.asked if method == "DELETE"]
    assert {params["force"] for params in deletes} == {"false"}
    assert shop.paths("DELETE")[-1] == "products/5/variations/12"


def test_what_is_in_the_trash_or_gone_already_is_no_error(shop: Goods) -> None:
    woo = connected(shop)
    woo.trash_products([1, 12])

    assert woo.trash_products([1, 12, 99]) == {}


def test_a_shop_without_a_trash_keeps_the_product_and_says_so() -> None:
    said = {"code": "rest_trash_not_supported", "message": "No trash."}

    answers = connected(lambda _: httpx.Response(501, json=said)).trash_products([1])

    assert isinstance(answers[1], Refused)
    assert answers[1].message == "the shop keeps no trash"


# Categories and tax classes.


class Shelf:
    """Categories as a shop keeps them: names as HTML text, one of a name under a parent."""

    def __init__(self) -> None:
        self.rows = {15: ("Uncategorized", 0), 16: ("Home", 0), 17: ("Lamps &amp; Bulbs", 16)}
        self.made: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("taxes/classes"):
            return httpx.Response(200, json=[{"slug": "zero-rate", "name": "Zero &amp; none"}])
        if request.method == "GET":
            page, size = int(request.url.params["page"]), int(request.url.params["per_page"])
            rows = [{"id": k, "name": n, "parent": p} for k, (n, p) in sorted(self.rows.items())]
            total = {"X-WP-Total": str(len(rows))}
            return httpx.Response(200, json=rows[(page - 1) * size : page * size], headers=total)
        body = httpx.Response(200, content=request.content).json()
        self.made.append(body)
        if body["name"] == "Forbidden":
            return httpx.Response(400, json={"code": "rest_invalid", "message": "No."})
        if body["name"] == "Raced":
            there = {"code": "term_exists", "message": "Is.", "data": {"resource_id": 70}}
            return httpx.Response(400, json=there)
        key = max(self.rows) + 1
        self.rows[key] = (body["name"], body["parent"])
        return httpx.Response(201, json={"id": key, **body})


def shelf() -> tuple[WooCommerce, Shelf]:
    rows = Shelf()
    return connected(rows, 2), rows


def test_categories_are_known_by_their_whole_path_in_plain_text() -> None:
    woo, _ = shelf()

    assert woo.categories() == {
        15: ("Uncategorized",),
        16: ("Home",),
        17: ("Home", "Lamps & Bulbs"),
    }


def test_missing_categories_are_made_parents_first_and_once() -> None:
    woo, rows = shelf()
    wanted = [("Home", "Lamps & Bulbs"), ("Garden", "Pots", "Clay"), ("Garden", "Pots")]

    put = woo.put_categories(wanted)

    assert put == {wanted[0]: 17, wanted[1]: 20, wanted[2]: 19}
    assert rows.made == [
        {"name": "Garden", "parent": 0},
        {"name": "Pots", "parent": 18},
        {"name": "Clay", "parent": 19},
    ]
    assert woo.put_categories(wanted) == put
    assert len(rows.made) == 3


def test_a_category_made_by_somebody_else_meanwhile_is_as_good() -> None:
    woo, rows = shelf()

    assert woo.put_categories([("Raced",), ("Raced", "Below")]) == {
        ("Raced",): 70,
        ("Raced", "Below"): 18,
    }
    assert rows.made[-1] == {"name": "Below", "parent": 70}


def test_a_category_below_a_refused_one_is_refused_with_it_and_never_made() -> None:
    woo, rows = shelf()

    put = woo.put_categories([("Forbidden", "Below"), ("Fine",)])

    assert isinstance(put["Forbidden", "Below"], Refused)
    assert put["Fine",] == 18
    assert [made["name"] for made in rows.made] == ["Forbidden", "Fine"]


def test_tax_classes_are_named_by_their_slug() -> None:
    woo, _ = shelf()

    assert woo.tax_classes() == {"zero-rate": "Zero & none"}
