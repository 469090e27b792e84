"""The WooCommerce client against a shop that changes while it is being read."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest

from resources.errors import ContractBroken, Missing, Refused, SignInAgain, TryAgain
from resources.http import Manners, client
from resources.systems.woocommerce import Broken, Raw, WooCommerce

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
Page = list[Raw | Broken]


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def gmt(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


@dataclass
class MovingShop:
    """Answers lists as WooCommerce does, and lets `between` happen after a numbered request."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    between: dict[int, Callable[[], None]] = field(default_factory=dict)
    asked: list[httpx.URL] = field(default_factory=list)

    def put(self, key: int, second: int, status: str = "processing") -> None:
        """Create or change an order."""
        self.rows[key] = {
            "id": key,
            "status": status,
            "date_created_gmt": gmt(at(key)),
            "date_modified_gmt": gmt(at(second)),
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        answer = self._answer(request.url.path.split("/")[-1], request.url.params)
        self.between.pop(len(self.asked), lambda: None)()
        return answer

    def _answer(self, last: str, asked: httpx.QueryParams) -> httpx.Response:
        if last.isdecimal():
            row = self.rows.get(int(last))
            gone = {"code": "woocommerce_rest_shop_order_invalid_id", "message": "Invalid ID."}
            return httpx.Response(200, json=row) if row else httpx.Response(404, json=gone)
        found = sorted(filter(lambda row: wanted(row, asked), self.rows.values()), key=order(asked))
        size, page = int(asked["per_page"]), int(asked.get("page", 1))
        total = len(found) if (page - 1) * size < len(found) else 0
        cut = found[(page - 1) * size : page * size]
        if asked.get("_fields") == "id":
            cut = [{"id": row["id"]} for row in cut]
        return httpx.Response(200, json=cut, headers={"X-WP-Total": str(total)})


def wanted(row: dict[str, Any], asked: httpx.QueryParams) -> bool:
    if (row["status"] == "trash") != (asked.get("status") == "trash"):
        return False
    if row["status"] == "checkout-draft":
        return False
    if "include" in asked and str(row["id"]) not in asked["include"].split(","):
        return False
    bounds = (
        ("after", "before", "date_created_gmt"),
        ("modified_after", "modified_before", "date_modified_gmt"),
    )
    return all(
        asked.get(lower, "") < row[date] < asked.get(upper, "9") for lower, upper, date in bounds
    )


def order(asked: httpx.QueryParams) -> Callable[[dict[str, Any]], Any]:
    if asked.get("orderby") == "modified":
        return lambda row: (row["date_modified_gmt"], row["id"])
    return lambda row: row["id"]


def connected(shop: Callable[[httpx.Request], httpx.Response], per_page: int = 3) -> WooCommerce:
    http = client(
        "us",
        "https://shop.test",
        Manners(attempts=1),
        auth=("ck", "cs"),
        transport=httpx.MockTransport(shop),
        sleep=lambda _: None,
    )
    woo = WooCommerce(http, "us")
    woo.per_page = per_page
    return woo


def says(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> WooCommerce:
    """A shop with one answer to everything."""
    body = content if isinstance(content, bytes | str) else json.dumps(content)
    return connected(lambda _: httpx.Response(status, content=body, headers=headers), 100)


def states(pages: Iterator[Page]) -> list[tuple[int, int]]:
    """Each row read, as its id and the second it was changed in."""
    return [
        (int(item.resource_id), int((item.changed_at - NOON).total_seconds()))
        for page in pages
        for item in page
        if isinstance(item, Raw)
    ]


def row(key: int, second: int = 0, **said: Any) -> dict[str, Any]:
    return {"id": key, "date_modified_gmt": gmt(at(second))} | said


@pytest.fixture
def shop() -> MovingShop:
    """Ten orders, changed one a second."""
    moving = MovingShop()
    for key in range(1, 11):
        moving.put(key, key)
    return moving


def test_a_delta_yields_every_order_once_oldest_change_first(shop: MovingShop) -> None:
    read = states(connected(shop).orders_changed_since(at(3), LATER))

    assert read == [(key, key) for key in range(3, 11)]


def test_stamps_are_sent_without_offset_and_said_to_be_gmt(shop: MovingShop) -> None:
    list(connected(shop).orders_changed_since(at(9), LATER))

    assert dict(shop.asked[0].params) == {
        "per_page": "3",
        "modified_after": "2026-03-01T12:00:08",
        "modified_before": "2026-03-01T13:00:00",
        "dates_are_gmt": "true",
        "orderby": "modified",
        "order": "asc",
    }


def test_the_end_of_the_window_is_left_for_the_next_one(shop: MovingShop) -> None:
    woo = connected(shop)

    assert states(woo.orders_changed_since(at(8), at(10))) == [(8, 8), (9, 9)]
    assert states(woo.orders_changed_since(at(10), LATER)) == [(10, 10)]


def test_the_window_overlaps_what_was_read_and_lags_behind_now() -> None:
    woo = WooCommerce(httpx.Client(), "us", lag_seconds=30, overlap_seconds=300)

    assert woo.window(at(1000), at(2000)) == (at(700), at(1970))


def test_an_order_changed_while_being_read_comes_again_in_its_new_state(shop: MovingShop) -> None:
    shop.between[1] = lambda: shop.put(2, 20)

    read = states(connected(shop).orders_changed_since(NOON, LATER))

    assert read == [(key, key) for key in range(1, 11)] + [(2, 20)]


def test_an_order_changed_before_its_page_is_read_is_not_missed(shop: MovingShop) -> None:
    shop.between[1] = lambda: shop.put(5, 20)

    read = states(connected(shop).orders_changed_since(NOON, LATER))

    assert sorted(read) == sorted([(key, key) for key in range(1, 11) if key != 5] + [(5, 20)])


def test_an_order_trashed_while_being_read_costs_no_neighbour(shop: MovingShop) -> None:
    shop.between[1] = lambda: shop.put(1, 1, "trash")

    read = states(connected(shop).orders_changed_since(NOON, LATER))

    assert read == [(key, key) for key in range(1, 11)]


def test_a_second_with_more_rows_than_a_page_is_read_whole() -> None:
    shop = MovingShop()
    for key in range(1, 9):
        shop.put(key, 5)
    shop.put(9, 4)
    shop.put(10, 6)

    read = states(connected(shop).orders_changed_since(NOON, LATER))

    assert sorted(read) == sorted([(9, 4), *((key, 5) for key in range(1, 9)), (10, 6)])


def test_a_full_second_that_loses_a_row_while_being_read_loses_no_other() -> None:
    shop = MovingShop()
    for key in range(1, 9):
        shop.put(key, 5)
    shop.between[2] = lambda: shop.put(1, 5, "trash")  # inside the walk through the second

    read = states(connected(shop).orders_changed_since(at(5), LATER))

    assert sorted(read) == [(key, 5) for key in range(1, 9)]


def test_a_shop_that_sorts_otherwise_is_read_whole_and_given_out_in_order(
    shop: MovingShop,
) -> None:
    shop.put(2, 9)
    shop.put(3, 1)

    def by_id_always(request: httpx.Request) -> httpx.Response:
        url = request.url.copy_remove_param("orderby")
        return shop(httpx.Request("GET", url))

    pages = list(connected(by_id_always).orders_changed_since(NOON, LATER))
    stamps = [stamp for _, stamp in states(iter(pages))]

    assert sorted(states(iter(pages))) == sorted(
        [(1, 1), (2, 9), (3, 1), *((key, key) for key in range(4, 11))]
    )
    assert stamps == sorted(stamps)


def test_a_shop_that_ignores_the_filter_is_found_out_instead_of_read_for_ever() -> None:
    woo = says([row(key, second=-50) for key in range(1, 101)], headers={"X-WP-Total": "500"})
    pages = woo.orders_changed_since(NOON, LATER)

    assert len(next(pages)) == 100
    with pytest.raises(ContractBroken, match="ignores modified_after"):
        next(pages)


def test_the_trash_is_asked_alone(shop: MovingShop) -> None:
    shop.put(4, 30, "trash")

    assert states(connected(shop).orders_trashed_since(NOON, LATER)) == [(4, 30)]
    assert {url.params["status"] for url in shop.asked} == {"trash"}


def test_orders_of_a_day_are_those_placed_from_its_start_and_before_its_end(
    shop: MovingShop,
) -> None:
    read = states(connected(shop).orders_placed_between(at(3), at(7)))

    assert [key for key, _ in read] == [3, 4, 5, 6]
    assert shop.asked[0].params["after"] == "2026-03-01T12:00:02"
    assert shop.asked[0].params["before"] == "2026-03-01T12:00:07"


@pytest.mark.parametrize("request_number", [1, 2, 3])
def test_an_order_trashed_during_a_backfill_hides_no_other(
    shop: MovingShop, request_number: int
) -> None:
    shop.between[request_number] = lambda: shop.put(1, 1, "trash")

    read = states(connected(shop).orders_placed_between(NOON, LATER))

    assert sorted(read) == [(key, key) for key in range(1, 11)]


def test_an_order_trashed_during_a_backfill_is_found_though_another_came_back(
    shop: MovingShop,
) -> None:
    def swap() -> None:
        shop.put(1, 1, "trash")
        shop.put(11, 11)

    shop.between[1] = swap

    read = states(connected(shop).orders_placed_between(NOON, LATER))

    assert sorted(read) == [(key, key) for key in range(1, 12)]


def test_a_list_that_never_stands_still_is_left_for_later(shop: MovingShop) -> None:
    for number in range(1, 200):
        shop.between[number] = partial(shop.put, 100 + number, 100 + number)

    with pytest.raises(TryAgain, match="changed under 5 readings"):
        list(connected(shop).orders_placed_between(NOON, LATER))


def test_a_shop_that_ignores_the_page_number_is_found_out_instead_of_read_for_ever() -> None:
    pages = says([row(key) for key in range(1, 101)]).orders_placed_between(NOON, LATER)

    assert len(next(pages)) == 100
    with pytest.raises(ContractBroken, match="the same page again"):
        next(pages)


def test_a_list_of_one_page_takes_one_call(shop: MovingShop) -> None:
    list(connected(shop, per_page=100).orders_placed_between(NOON, LATER))

    assert len(shop.asked) == 1


def test_orders_by_id_are_found_live_in_the_trash_and_as_drafts(shop: MovingShop) -> None:
    shop.put(2, 2, "trash")
    shop.put(3, 3, "checkout-draft")

    found = connected(shop).orders_by_id(["1", 2, 3, 99, 5, 5, "no id"])

    assert sorted(item.resource_id or "" for item in found) == ["1", "2", "3", "5"]
    assert [url.params.get("status", url.path[-2:]) for url in shop.asked] == [
        *("any", "trash", "/3"),
        *("any", "trash", "99"),
    ]


def test_orders_by_id_ask_nothing_for_no_ids(shop: MovingShop) -> None:
    assert connected(shop).orders_by_id([]) == []
    assert shop.asked == []


def test_a_missing_route_is_no_proof_that_an_order_is_gone(shop: MovingShop) -> None:
    def half_blocked(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/99"):
            return httpx.Response(404, json={"code": "rest_no_route", "message": "No route"})
        return shop(request)

    with pytest.raises(Missing):
        connected(half_blocked).orders_by_id([1, 99])


def test_the_text_of_a_thing_is_cut_from_the_page_as_it_was_sent() -> None:
    first = '{"id":1,  "date_modified_gmt":"2026-03-01T12:00:00","t":"\\u05e9 \\/ 9.10","p":9.10}'
    second = '{"date_modified_gmt":"2026-03-01T12:00:01","id":2,"emoji":"🎁"}'

    [page] = says(f" [ {first} ,\n{second}]\n").orders_changed_since(NOON, LATER)

    assert [item.text for item in page] == [first, second]
    assert isinstance(page[0], Raw)
    assert page[0].body["p"] == Decimal("9.10")
    assert page[0].changed_at == NOON


@pytest.mark.parametrize(
    ("item", "key", "reason"),
    [
        (17, None, "the item is not an object"),
        (None, None, "the item is not an object"),
        ({"date_modified_gmt": "2026-03-01T12:00:00"}, None, "the item has no id"),
        ({"id": True}, None, "the item has no id"),
        ({"id": 5}, "5", "the item has no readable date_modified_gmt"),
        ({"id": 5, "date_modified_gmt": None}, "5", "the item has no readable date_modified_gmt"),
    ],
)
def test_an_item_that_is_no_thing_loses_none_of_its_neighbours(
    item: Any, key: str | None, reason: str
) -> None:
    [page] = says([row(1), item, row(2)]).orders_changed_since(NOON, LATER)

    assert page[1] == Broken("us", key, json.dumps(item), reason)
    assert [thing.resource_id for thing in (page[0], page[2])] == ["1", "2"]


@pytest.mark.parametrize(
    "tail",
    [
        b',{"id":3,"na',
        b",",
        b"",
        b"]<br />Warning: fopen",
        b',{"id":3,"n":"\xc3',
        b',{"e":1E9999999999999999999}]',
    ],
)
def test_a_page_that_breaks_off_gives_its_whole_items_before_the_error(tail: bytes) -> None:
    whole = json.dumps([row(1), row(2)]).encode()[:-1]
    pages = says(whole + tail).orders_changed_since(NOON, LATER)

    assert [item.resource_id for item in next(pages)] == ["1", "2"]
    with pytest.raises(ContractBroken):
        next(pages)


@pytest.mark.parametrize("content", ["", "{}", '{"code":"x"}', "<html>", "null", "[" * 100_000])
def test_an_answer_that_is_no_list_is_not_an_empty_one(content: str) -> None:
    with pytest.raises(ContractBroken):
        list(says(content).orders_changed_since(NOON, LATER))


def test_a_list_said_to_hold_more_than_it_shows_is_not_taken_for_empty() -> None:
    with pytest.raises(ContractBroken):
        list(says([], headers={"X-WP-Total": "7"}).orders_changed_since(NOON, LATER))


def test_rows_the_shop_counts_and_does_not_show_are_said_to_be_there() -> None:
    [page] = says([row(1)], headers={"X-WP-Total": "3"}).orders_changed_since(NOON, LATER)

    assert page[1] == Broken("us", None, "", "the shop counts 2 more than it shows")


def test_a_byte_order_mark_before_the_list_does_no_harm() -> None:
    content = "\ufeff" + json.dumps([row(1)])

    assert states(says(content).orders_changed_since(NOON, LATER)) == [(1, 0)]


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        list(says([]).orders_changed_since(NOON.replace(tzinfo=None), LATER))


def test_accounts_never_edited_are_dated_by_their_creation() -> None:
    account = {"id": 5, "date_modified_gmt": None, "date_created_gmt": gmt(NOON)}

    assert states(says([account]).customers()) == [(5, 0)]


def test_notes_are_kept_under_their_order() -> None:
    page = says([{"id": 38, "date_created_gmt": gmt(NOON)}, 4]).order_notes(1042)

    assert [item.resource_id for item in page] == ["1042:38", None]


def test_an_order_that_is_gone_has_no_notes() -> None:
    gone = {"code": "woocommerce_rest_shop_order_invalid_id", "message": "Invalid ID."}

    assert says(gone, 404).order_notes(1042) == []


def test_ping_names_the_shop_and_its_zone_and_sends_no_key_to_the_open_index() -> None:
    keys: list[tuple[str, bool]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append((request.url.path, "Authorization" in request.headers))
        index = {"name": "Shop", "timezone_string": "Asia/Kolkata", "gmt_offset": 5.5}
        return httpx.Response(200, json=index if request.url.path == "/wp-json/" else [])

    shop = connected(answer).ping()

    assert (shop.name, shop.timezone, shop.gmt_offset) == ("Shop", "Asia/Kolkata", Decimal("5.5"))
    assert keys == [("/wp-json/", False), ("/wp-json/wc/v3/orders", True)]


def test_a_site_without_woocommerce_is_said_to_be_one() -> None:
    with pytest.raises(Refused, match="is the plugin active"):
        says({"name": "Blog", "namespaces": ["wp/v2"]}).ping()


def test_a_shop_that_moved_is_not_followed_but_named_without_its_query() -> None:
    woo = says("", 301, headers={"Location": "https://new.test/wp-json/?consumer_key=ck_1"})

    with pytest.raises(Refused) as refusal:
        woo.ping()
    assert "https://new.test/wp-json/;" in str(refusal.value)
    assert "ck_1" not in str(refusal.value)


def test_a_security_page_in_place_of_an_answer_is_a_matter_of_signing_in() -> None:
    with pytest.raises(SignInAgain):
        says("<html>Forbidden</html>", 403).customers_page(1)
