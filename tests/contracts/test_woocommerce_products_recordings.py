"""What a real WooCommerce was recorded to say of products is read by the client and mapped."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.errors import Missing, Refused, RemoteError
from resources.pages import Raw
from sync_assets.domain.catalog import Listings
from sync_assets.domain.orders import Problem, Rejected, frame_of
from sync_assets.mappers import woocommerce_products as products
from tests.contracts.woocommerce_goods import connected

Entry = dict[str, Any]
#: What every whole product says; the transcripts show many answers cut to the fields of a point.
WHOLE = {"id", "status", "sku", "tax_status", "regular_price", "manage_stock", "attributes"}


@pytest.fixture
def transcript(recordings: Path) -> Callable[[int], list[Entry]]:
    """The calls of one transcript, in their order."""

    def read(number: int) -> list[Entry]:
        [path] = (recordings / "woocommerce" / "transcripts").glob(f"{number:02}_*.json")
        entries: list[Entry] = json.loads(path.read_text(), parse_float=Decimal)
        return [entry for entry in entries if entry.get("request")]

    return read


Transcript = Callable[[int], list[Entry]]


def products_in(value: Any) -> Iterator[Entry]:
    """Every whole product or variation at any depth."""
    if isinstance(value, dict):
        if value.keys() >= WHOLE:
            yield value
        for inner in value.values():
            yield from products_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from products_in(inner)


def outcomes(bodies: Iterator[Entry]) -> Counter[str]:
    """How many of each kind were mapped, or why not."""
    found: Counter[str] = Counter()
    for body in bodies:
        try:
            found[products.listing(body, "us")["kind"]] += 1
        except Rejected as refusal:
            found.update(f"{one.part} {one.message}" for one in refusal.problems)
    return found


def answering(entries: list[Entry]) -> tuple[Callable[[httpx.Request], httpx.Response], list[Any]]:
    """A shop that gives recorded answers one after the other, and what it was sent."""
    left, sent = iter(entries), list[Any]()

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content) if request.content else dict(request.url.params))
        said = next(left)["response"]
        headers = {k: v for k, v in said["headers"].items() if k.startswith("X-WP")}
        text = json.dumps(said["body"], default=float)
        return httpx.Response(said["status"], content=text, headers=headers)

    return answer, sent


def noted(entries: list[Entry], words: str) -> Entry:
    """The recorded call whose note begins so."""
    [entry] = [one for one in entries if str(one.get("note", "")).startswith(words)]
    return entry


def by_id(item: Entry) -> Entry:
    """A recorded item of a batch as a write of ours."""
    fields = {name: value for name, value in item.items() if name != "id"}
    return {"key": str(item["id"]), "id": item["id"], "parent": None, "fields": fields}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (3, {"variable": 5}),
        (4, {"simple": 4}),
        (5, {"variable": 1, "variation": 4}),
        (27, {"simple": 100, "variation": 30}),
    ],
)
def test_every_recorded_product_is_mapped(
    transcript: Transcript, number: int, expected: dict[str, int]
) -> None:
    bodies = (body for entry in transcript(number) for body in products_in(entry["response"]))

    assert outcomes(bodies) == expected


def test_every_documented_example_is_mapped_or_rejected_with_its_reason(recordings: Path) -> None:
    path = recordings.parent / "data" / "woocommerce" / "rest-api-v3-response-examples.jsonl.gz"
    if not path.exists():
        pytest.skip("the documented examples are not beside the project")
    with gzip.open(path, "rt") as lines:
        examples = [json.loads(line, parse_float=Decimal) for line in lines]

    ours = [one for one in examples if one["resource"] in ("products", "product-variations")]
    found = outcomes(body for one in ours for body in products_in(one["body"]))

    assert found == {"simple": 8, "variable": 3, "variation": 9, "status is not text": 1}


def test_the_rows_of_recorded_products_fit_their_table(transcript: Transcript) -> None:
    bodies = [body for entry in transcript(27) for body in products_in(entry["response"])]

    rows = [products.listing(body, "us") | {"raw_version": 1} for body in bodies]

    assert len(Listings.validate(frame_of(Listings, rows))) == 130


def test_a_product_that_was_cut_to_some_fields_is_rejected_for_each_one_missing(
    transcript: Transcript,
) -> None:
    body = noted(transcript(8), "two stock updates")["response"]["body"]["update"][0]

    with pytest.raises(Rejected) as refusal:
        products.listing(body, "us")

    assert Problem("listing.malformed", "status", "is missing") in refusal.value.problems
    assert {one.part for one in refusal.value.problems}.isdisjoint({"id", "stock_status"})


def test_a_price_with_three_decimals_is_kept_and_a_variable_parent_has_none(
    transcript: Transcript,
) -> None:
    calls = transcript(4)
    created = calls[0]["response"]["body"]
    cut = noted(calls, "price with three decimals")["response"]["body"]

    row = products.listing(created | cut, "us")

    assert row["regular_amount"] == Decimal("19.999")
    assert row["sale_amount"] is None


def test_sale_dates_are_read_in_utc(transcript: Transcript) -> None:
    calls = transcript(4)
    sale = noted(calls, "scheduled sale")["response"]["body"]

    row = products.listing(calls[0]["response"]["body"] | sale, "us")

    assert row["sale_from"] == datetime(2026, 12, 1, 5, tzinfo=UTC)
    assert row["sale_until"] == datetime(2026, 12, 11, 4, 59, 59, tzinfo=UTC)


def test_stock_kept_by_the_parent_is_told_apart(transcript: Transcript) -> None:
    calls = transcript(5)
    whole = calls[1]["response"]["body"]
    below = noted(calls, "a variation without its own stock management")["response"]["body"]

    row = products.stock_seen(whole | below)

    assert (row["stock_management"], row["stock_units"]) == ("parent", 30)


def test_the_markup_the_shop_puts_around_a_description_is_taken_off(transcript: Transcript) -> None:
    created, read_back = (entry["response"]["body"] for entry in transcript(4)[:2])

    assert created["description"] == "<p>Plain <b>text</b></p>"
    assert products.listing(read_back, "us")["description"] == "Plain <b>text</b>"


def test_a_recorded_partial_failure_is_told_by_key(transcript: Transcript) -> None:
    call = noted(transcript(8), "partial failure")
    sent = call["request"]["body"]["update"]
    sent[2] |= {"stock_quantity": 0}  # what the shop made of "abc", which we would not send
    shop, _ = answering([call])

    answers = connected(shop, 100).put_products([by_id(item) for item in sent])

    refused = {key: one for key, one in answers.items() if isinstance(one, RemoteError)}
    assert {key: one.code for key, one in refused.items()} == {
        "99999999": "woocommerce_rest_product_invalid_id",
        "12": "product_invalid_sku",
    }
    assert isinstance(refused["99999999"], Missing)
    assert answers["10"]["stock_quantity"] == 80
    assert answers["13"]["stock_quantity"] == 81


def test_what_the_shop_takes_without_checking_is_refused_before_it_is_sent(
    transcript: Transcript,
) -> None:
    sent = noted(transcript(8), "more values")["request"]["body"]["update"]
    shop, asked = answering([])

    answers = connected(shop).put_products([by_id(item) for item in sent])

    assert [type(one) for one in answers.values()] == [Refused] * 4
    assert asked == []


def test_a_duplicate_sku_found_after_a_recorded_refusal_is_changed_instead(
    transcript: Transcript,
) -> None:
    nobody = noted(transcript(3), "unknown SKU")
    refusal = noted(transcript(8), "create, update and delete")
    error = refusal["response"]["body"]["create"][1]
    owner = noted(transcript(8), "what a batch answers in full")["response"]["body"]["update"][0]
    refused = {"response": {"status": 200, "headers": {}, "body": {"create": [error]}}}
    there = {"response": {"status": 200, "headers": {"X-WP-Total": "1"}, "body": [owner]}}
    changed = {"response": {"status": 200, "headers": {}, "body": {"update": [owner]}}}
    shop, sent = answering([nobody, nobody, refused, there, changed])

    answers = connected(shop).put_products(
        [{"key": "SIM-0001", "id": None, "parent": None, "fields": {"name": "Tray"}}]
    )

    assert answers["SIM-0001"]["existed"] is True
    assert sent[-1] == {"update": [{"id": 10, "sku": "SIM-0001", "name": "Tray"}]}


def test_a_recorded_second_trashing_is_no_error(transcript: Transcript) -> None:
    shop, _ = answering([noted(transcript(17), "second DELETE without force: 410")])

    assert connected(shop).trash_products([1817]) == {}


def test_recorded_products_in_the_trash_are_found_by_the_trash_only(transcript: Transcript) -> None:
    live, trash = (
        noted(transcript(4), words) for words in ("not in the default list", "status=trash")
    )
    shop, sent = answering([live, trash])

    [item] = connected(shop).products_by_sku(["NEW-1001"])

    assert isinstance(item, Raw)
    assert item.resource_id == "1634"
    assert [asked["status"] for asked in sent] == ["any", "trash"]


def test_recorded_categories_and_tax_classes_are_read(transcript: Transcript) -> None:
    [categories] = [
        entry for entry in transcript(3) if entry["request"]["path"].endswith("/categories")
    ]
    [classes] = [
        entry for entry in transcript(2) if entry["request"]["path"].endswith("/taxes/classes")
    ]
    shop, _ = answering([categories, classes])
    woo = connected(shop, 100)

    paths = woo.categories()

    assert len(paths) == 7
    assert paths[18] == ("Garden",)
    assert set(woo.tax_classes()) == {"standard", "reduced-rate", "zero-rate"}
