"""WooCommerce products become our listings, and wanted listings become fields a shop keeps."""

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.domain.catalog import Listing
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.mappers import woocommerce_products as products
from tests.effort import at_most

PATHS = {15: ("Uncategorized",), 16: ("Home",), 17: ("Home", "Lamps"), 18: ("Tea & Co",)}
IDS = {path: key for key, path in PATHS.items()}
EVERY_FIELD = frozenset(Listing.model_fields) - {"key", "parent_key", "fields_to_write"}


def shop_product(**said: Any) -> dict[str, Any]:
    """A simple product with a sale, managed stock and two notes."""
    product = {
        "id": 31,
        "name": "Lamp",
        "type": "simple",
        "status": "publish",
        "description": "Bright",
        "sku": "LAMP",
        "regular_price": "24.90",
        "sale_price": "19.999",
        "date_on_sale_from": "2026-12-01T00:00:00",
        "date_on_sale_from_gmt": "2026-12-01T05:00:00",
        "date_on_sale_to_gmt": None,
        "virtual": False,
        "tax_status": "taxable",
        "tax_class": "",
        "manage_stock": True,
        "stock_quantity": 40,
        "backorders": "notify",
        "stock_status": "instock",
        "weight": "0.8",
        "parent_id": 0,
        "global_unique_id": "4006381333931",
        "categories": [{"id": 17, "name": "Lamps", "slug": "lamps"}],
        "images": [{"id": 5, "src": "https://shop.test/lamp.jpg", "name": "lamp", "alt": ""}],
        "attributes": [{"id": 0, "name": "Color", "variation": False, "options": ["Red", "Blue"]}],
        "meta_data": [
            {"id": 1, "key": "erp_item", "value": {"a": [1]}},
            {"id": 2, "key": "sync_lead_days", "value": "12"},
        ],
        "date_modified_gmt": "2026-11-20T18:07:44",
    }
    return product | said


def shop_variation(**said: Any) -> dict[str, Any]:
    variation = shop_product(
        id=32,
        type="variation",
        parent_id=31,
        name="Red",
        sku="LAMP-R",
        tax_class="parent",
        manage_stock="parent",
        image=None,
        attributes=[{"id": 0, "name": "Color", "slug": "color", "option": "Red"}],
    )
    for absent in ("categories", "images"):
        del variation[absent]
    return variation | said


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def problems(payload: Any, paths: Any = PATHS) -> list[Problem]:
    with pytest.raises(Rejected) as refusal:
        products.listing(payload, "us", paths)
    return refusal.value.problems


def test_a_product_becomes_one_listing_with_exact_prices_and_whole_paths() -> None:
    assert products.listing(shop_product(), "us", PATHS) == {
        "store": "us",
        "product_id": 31,
        "parent_id": None,
        "sku": "LAMP",
        "kind": "simple",
        "name": "Lamp",
        "status": "publish",
        "description": "Bright",
        "regular_amount": Decimal("24.90"),
        "sale_amount": Decimal("19.999"),
        "sale_from": utc("2026-12-01T05:00:00"),
        "sale_until": None,
        "tax_status": "taxable",
        "tax_class": "",
        "is_virtual": False,
        "weight": "0.8",
        "barcode": "4006381333931",
        "categories": ["Home / Lamps"],
        "attributes": {"Color": ["Red", "Blue"]},
        "images": ["https://shop.test/lamp.jpg"],
        "stock_management": "yes",
        "stock_units": 40,
        "backorders": "notify",
        "stock_status": "instock",
        "lead_days": 12,
        "changed_at": utc("2026-11-20T18:07:44"),
    }


def test_a_variation_names_its_parent_and_one_option_each() -> None:
    row = products.listing(shop_variation(), "us", PATHS)

    assert (row["kind"], row["parent_id"], row["attributes"]) == ("variation", 31, {"Color": "Red"})
    assert (row["stock_management"], row["categories"], row["images"]) == ("parent", [], [])


def test_a_variation_of_an_older_shop_names_its_parent_in_its_links_only() -> None:
    old = shop_variation(_links={"up": [{"href": "https://shop.test/wp-json/wc/v3/products/31"}]})
    for key in ("type", "parent_id", "name"):
        del old[key]

    row = products.listing(old, "us", PATHS)

    assert (row["kind"], row["parent_id"], row["name"]) == ("variation", 31, "")


def test_a_price_that_is_not_set_is_none_and_not_zero() -> None:
    row = products.listing(shop_product(regular_price="", sale_price="0"), "us", PATHS)

    assert (row["regular_amount"], row["sale_amount"]) == (None, Decimal(0))


def test_stock_that_is_not_managed_has_no_quantity() -> None:
    row = products.listing(shop_product(manage_stock=False, stock_quantity=None), "us", PATHS)

    assert (row["stock_management"], row["stock_units"]) == ("no", None)


def test_the_category_of_what_has_none_is_no_category() -> None:
    default = {"id": 15, "name": "Uncategorized", "slug": "uncategorized"}

    row = products.listing(shop_product(categories=[default]), "us", PATHS)

    assert row["categories"] == []


def test_without_paths_a_category_is_known_by_its_name_in_plain_text() -> None:
    shown = shop_product(categories=[{"id": 18, "name": "Tea &amp; Co", "slug": "tea"}])

    assert products.listing(shown, "us")["categories"] == ["Tea & Co"]


@pytest.mark.parametrize(
    ("said", "part", "message", "code"),
    [
        (
            {"type": "subscription"},
            "type",
            "is a word we do not know (subscription)",
            "unknown_word",
        ),
        ({"status": "sold"}, "status", "is a word we do not know (sold)", "unknown_word"),
        ({"backorders": "maybe"}, "backorders", "is a word we do not know (maybe)", "unknown_word"),
        ({"stock_status": "Ada Byron"}, "stock_status", "is a word we do not know", "unknown_word"),
        ({"tax_status": None}, "tax_status", "is not text", "malformed"),
        ({"manage_stock": 1}, "manage_stock", "is not true, false or parent", "malformed"),
        (
            {"stock_quantity": Decimal("7.5")},
            "stock_quantity",
            "is not a whole number",
            "malformed",
        ),
        ({"regular_price": "27,50"}, "regular_price", "is not a plain amount", "malformed"),
        ({"date_modified_gmt": None}, "date_modified_gmt", "is not a date and time", "malformed"),
        ({"images": "x"}, "images", "is not a list", "malformed"),
        (
            {"meta_data": [{"key": "sync_lead_days", "value": "soon"}]},
            "meta_data.sync_lead_days",
            "is not a number of days",
            "malformed",
        ),
        (
            {"categories": [{"id": 99, "name": "New"}]},
            "categories[0]",
            "is a category we do not know",
            "unknown_category",
        ),
    ],
)
def test_what_is_not_understood_is_named_and_becomes_no_row(
    said: dict[str, Any], part: str, message: str, code: str
) -> None:
    assert problems(shop_product(**said)) == [Problem(f"listing.{code}", part, message)]


def test_every_fault_of_a_payload_is_named_at_once() -> None:
    found = problems({"id": 0, "type": "simple"})

    assert {"id", "status", "sku", "regular_price", "manage_stock"} <= {one.part for one in found}


def test_a_payload_that_is_no_object_is_rejected() -> None:
    assert problems([]) == [Problem("listing.malformed", "payload", "is not an object")]


def test_an_image_of_ours_is_known_by_its_reference_and_a_replaced_one_by_the_shops_address() -> (
    None
):
    refs = ("https://dam.test/a-800x600.jpg", "https://dam.test/b.jpg")
    fields = products.product_fields(wanted(images=refs, write={"images"}), IDS)
    shown = shop_view(fields)
    replaced = copy.deepcopy(shown)
    replaced["images"][1] = {"id": 99, "src": "https://shop.test/other.jpg", "name": "other"}

    assert products.listing(shown, "us", PATHS)["images"] == list(refs)
    assert products.listing(replaced, "us", PATHS)["images"] == [
        refs[0],
        "https://shop.test/other.jpg",
    ]


def test_a_variation_that_has_several_images_shows_the_first_and_is_not_written_again() -> None:
    several = wanted(
        kind="variation",
        images=("https://dam.test/a.jpg", "https://dam.test/b.jpg"),
        write={"images"},
    )
    fields = products.product_fields(several, IDS)

    row = products.listing(shop_view(fields, "variation"), "us", PATHS)

    assert fields["image"]["src"] == "https://dam.test/a.jpg"
    assert row["images"] == ["https://dam.test/a.jpg", "https://dam.test/b.jpg"]


def test_only_the_fields_named_are_written() -> None:
    listing = wanted(name="Lamp", regular_price=Decimal("9.90"), write={"regular_price"})

    assert products.product_fields(listing, IDS) == {"regular_price": "9.90"}
    assert products.as_listed(listing) == {"regular_amount": Decimal("9.90")}


def test_a_field_nobody_knows_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no fields of a listing: colour"):
        products.product_fields(wanted(write={"colour"}), IDS)


def test_a_parent_offers_all_options_and_gets_no_price_the_shop_would_drop() -> None:
    parent = wanted(
        key="odoo:7",
        sku=None,
        kind="variable",
        regular_price=Decimal(9),
        attributes={"Size": ("S", "M")},
        write={"sku", "kind", "regular_price", "sale_price", "attributes"},
    )

    assert products.product_fields(parent, IDS) == {
        "sku": "odoo:7",
        "type": "variable",
        "attributes": [
            {
                "name": "Size",
                "position": 0,
                "visible": True,
                "variation": True,
                "options": ["S", "M"],
            }
        ],
    }


def test_a_variation_names_one_option_and_leaves_to_its_parent_what_is_the_parents() -> None:
    variation = wanted(
        kind="variation", attributes={"Size": ("S",)}, categories=(("Home",),), write=EVERY_FIELD
    )

    fields = products.product_fields(variation, IDS)

    assert fields["attributes"] == [{"name": "Size", "option": "S"}]
    assert not fields.keys() & {"type", "name", "categories", "tax_status", "images"}


def test_a_weight_or_image_a_variation_takes_from_its_parent_is_no_difference() -> None:
    bare = wanted(kind="variation", write={"weight", "images", "barcode"})
    own = wanted(kind="variation", weight="1", write={"weight"})

    assert products.as_listed(bare) == {"barcode": ""}
    assert products.as_listed(own) == {"weight": "1"}


def test_a_category_the_shop_lacks_is_named_and_nothing_is_written() -> None:
    listing = wanted(categories=(("Home",), ("Home", "Rugs")), write={"categories"})

    with pytest.raises(Rejected) as refusal:
        products.product_fields(listing, IDS)

    assert refusal.value.problems == [
        Problem("listing.unwritable", "categories", "Home / Rugs is not in the shop")
    ]


def test_a_variation_with_two_values_of_one_attribute_cannot_be_written() -> None:
    listing = wanted(kind="variation", attributes={"Size": ("S", "M")}, write={"attributes"})

    with pytest.raises(Rejected) as refusal:
        products.product_fields(listing, IDS)

    assert [one.part for one in refusal.value.problems] == ["attributes.Size"]


def test_what_is_no_longer_wanted_is_cleared_in_the_words_that_clear_it() -> None:
    bare = wanted(write={"sale_price", "sale_from", "sale_until", "images", "categories"})

    assert products.product_fields(bare, IDS) == {
        "sale_price": "",
        "date_on_sale_from_gmt": "",
        "date_on_sale_to_gmt": "",
        "categories": [],
        "images": [],
        "meta_data": [{"key": "sync_images", "value": None}],
    }


def test_a_quantity_is_written_together_with_who_keeps_it() -> None:
    assert products.stock_fields(7, "notify", 12) == {
        "manage_stock": True,
        "stock_quantity": 7,
        "backorders": "notify",
        "meta_data": [{"key": "sync_lead_days", "value": "12"}],
    }


def test_stock_nobody_counts_is_a_yes_or_a_no() -> None:
    no_note = {"meta_data": [{"key": "sync_lead_days", "value": None}]}

    assert products.stock_fields(0, "no", None, manages=False) == {
        "manage_stock": False,
        "stock_status": "outofstock",
        **no_note,
    }
    assert products.stock_fields(0, "yes", None, manages=False)["stock_status"] == "instock"


def test_a_quantity_that_is_no_whole_number_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no stock to write"):
        products.stock_fields(Decimal("1.5"), "no", None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no stock to write"):
        products.stock_fields(1, "later", None)


def test_the_light_reading_is_enough_to_see_stock() -> None:
    light = {
        "id": 32,
        "parent_id": 31,
        "sku": "LAMP-R",
        "type": "variation",
        "manage_stock": True,
        "stock_quantity": -3,
        "backorders": "no",
        "stock_status": "outofstock",
        "date_modified_gmt": "2026-11-20T18:07:44",
    }

    assert products.stock_seen(light) == {
        "product_id": 32,
        "parent_id": 31,
        "sku": "LAMP-R",
        "stock_management": "yes",
        "stock_units": -3,
        "backorders": "no",
        "stock_status": "outofstock",
        "lead_days": None,
        "changed_at": utc("2026-11-20T18:07:44"),
    }


def test_stock_in_unknown_words_is_rejected() -> None:
    with pytest.raises(Rejected) as refusal:
        products.stock_seen(shop_product(backorders="maybe"))

    [problem] = refusal.value.problems
    assert (problem.code, problem.part) == ("stock.unknown_word", "backorders")


def test_notes_of_two_writes_add_up() -> None:
    images = products.product_fields(wanted(images=("https://dam.test/a",), write={"images"}), IDS)

    both = products.together(images, products.stock_fields(1, "no", 3))

    assert [note["key"] for note in both["meta_data"]] == ["sync_images", "sync_lead_days"]
    assert both["images"] == images["images"]


# What is written reads back equal.


def wanted(write: Any = EVERY_FIELD, **said: Any) -> Listing:
    base: dict[str, Any] = {"key": "LAMP", "sku": "LAMP", "kind": "simple", "name": "Lamp"}
    return Listing(**{**base, **said}, fields_to_write=frozenset(write))


def shop_view(fields: dict[str, Any], kind: str = "simple") -> dict[str, Any]:
    """What a shop shows after it took the fields: its own image addresses, slugs and markup."""
    before = shop_variation(meta_data=[]) if kind == "variation" else shop_product(meta_data=[])
    shown = before | {"type": kind} | copy.deepcopy(fields)
    for name in ("date_on_sale_from_gmt", "date_on_sale_to_gmt"):
        shown[name] = shown[name] or None
    if "categories" in shown:
        ids = [one["id"] for one in shown["categories"]] or [15]
        shown["categories"] = [
            {"id": key, "name": PATHS[key][-1], "slug": PATHS[key][-1].lower()} for key in ids
        ]
    for one in [*shown.get("images", []), shown.get("image")]:
        if one:
            one |= {"id": 77, "src": "https://shop.test/wp-content/uploads/1.jpg", "alt": ""}
    parents = {"id": 1, "src": "https://shop.test/parent.jpg", "name": "parent"}
    shown["image"] = shown.get("image") or parents
    shown["weight"] = shown["weight"] or ("9" if kind == "variation" else "")
    shown["meta_data"] = [one for one in shown["meta_data"] if one["value"] is not None]
    if kind == "variation" and shown["description"]:
        shown["description"] = wrapped(shown["description"])
    return shown


def wrapped(text: str) -> str:
    """Markup as the shop puts it around the text of a variation."""
    if text.startswith("<p>"):
        return text + "\n"
    paragraphs = text.split("\n\n")
    return "".join("<p>" + one.replace("\n", "<br />\n") + "</p>\n" for one in paragraphs)


words = st.text("abcXYZ äß€ &'\"-1x", min_size=1, max_size=12).map(str.strip).filter(bool)
lines = st.lists(words, max_size=3)
descriptions = st.one_of(
    lines.map("\n".join),
    st.lists(lines.filter(bool).map("\n".join), max_size=3).map("\n\n".join),
    words.map(lambda word: f"<p>{word} <b>{word}</b></p>"),
)
amounts = st.decimals(min_value=0, max_value=10**6, places=2, allow_nan=False)
moments = st.floats(1.6e9, 1.9e9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    kind = draw(st.sampled_from(["simple", "variable", "variation"]))
    options = st.lists(words, min_size=1, max_size=1 if kind == "variation" else 3, unique=True)
    references = words.map(lambda word: f"https://dam.test/{word}")
    return Listing(
        key="LAMP",
        sku=draw(st.sampled_from(["LAMP", None])),
        kind=kind,
        name=draw(words),
        description=draw(descriptions),
        status=draw(st.sampled_from(["publish", "draft", "private"])),
        regular_price=draw(st.none() | amounts),
        sale_price=draw(st.none() | amounts),
        sale_from=draw(st.none() | moments),
        sale_until=draw(st.none() | moments),
        tax_class=draw(st.sampled_from(["", "reduced-rate"])),
        tax_status=draw(st.sampled_from(["taxable", "shipping", "none"])),
        is_virtual=draw(st.booleans()),
        weight=draw(st.sampled_from(["", "0.8", "12"])),
        barcode=draw(st.sampled_from(["", "4006381333931"])),
        categories=tuple(draw(st.lists(st.sampled_from(list(IDS)[1:]), unique=True))),
        attributes={
            name: tuple(draw(options)) for name in draw(st.lists(words, max_size=3, unique=True))
        },
        images=tuple(draw(st.lists(references, max_size=3, unique=True))),
        fields_to_write=draw(st.frozensets(st.sampled_from(sorted(EVERY_FIELD)))),
    )


@settings(max_examples=at_most(100, 300), deadline=None)
@given(listings())
def test_what_is_written_reads_back_equal(listing: Listing) -> None:
    fields = products.product_fields(listing, IDS)

    row = products.listing(shop_view(fields, listing.kind), "us", PATHS)

    expected = products.as_listed(listing)
    assert {name: row[name] for name in expected} == expected


@settings(max_examples=100, deadline=None)
@given(
    st.integers(-(10**6), 10**6),
    st.sampled_from(["no", "notify", "yes"]),
    st.none() | st.integers(0, 999),
)
def test_a_quantity_that_is_written_reads_back_equal(
    units: int, backorders: str, days: int | None
) -> None:
    seen = products.stock_seen(shop_view(products.stock_fields(units, backorders, days)))

    assert (seen["stock_management"], seen["stock_units"]) == ("yes", units)
    assert (seen["backorders"], seen["lead_days"]) == (backorders, days)


@settings(max_examples=at_most(60, 150), deadline=None)
@given(
    st.sampled_from(sorted(shop_product())),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.decimals(places=1),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["id", "name", "key", "value", "src"]), inner, max_size=3
            )
        ),
        max_leaves=4,
    ),
)
def test_whatever_a_field_holds_the_answer_is_a_row_or_reasons(key: str, value: Any) -> None:
    for payload in (shop_product(**{key: value}), shop_variation(**{key: value})):
        try:
            found: Any = products.listing(payload, "us", PATHS)["product_id"]
        except Rejected as refusal:
            found = refusal.problems
        assert found
