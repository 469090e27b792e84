"""Tryton's products and stock in our words: exact prices, whole units, doubts told."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.tryton_catalog as mapper
from sync_assets.domain.catalog import CatalogRows, Prices, ProductComponents, Products
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.mappers.tryton_prices import Unclear, worked_out

D = Decimal
Row = dict[str, Any]
EARLIER, LATER = "2026-11-20T18:06:09.455740+00:00", "2026-11-20T19:00:00+00:00"


def widget(template: Row | None = None, **changes: Any) -> Row:
    return {
        "id": 2,
        "code": "SKU-2",
        "suffix_code": "SKU-2",
        "active": True,
        "description": "Writes blue.",
        "template": 3,
        "last_modified_at": EARLIER,
        "list_price_used": D("11.00"),
        "variants": 1,
        "company": {"currency": "EUR", "timezone": "Europe/Berlin"},
        "identifiers": [{"type": "ean", "code": "4006381333931"}],
        "account_category": "Retail",
        "taxes": ["DE VAT 19%"],
        "categories": ["Office / Pens", "Gifts"],
        "components": [],
        "prices": [],
        "attributes": {},
        "attribute_words": {},
        "template.": {
            "id": 3,
            "name": "Pen",
            "code": None,
            "type": "goods",
            "consumable": False,
            "salable": True,
            "active": True,
            "list_price": D("10.00"),
            "last_modified_at": LATER,
            "default_uom.": {"id": 1, "symbol": "u"},
            **(template or {}),
        },
        **changes,
    }


def part(number: int, units: object = D("2.0"), **changes: Any) -> Row:
    base = {"item": number, "sku": f"P-{number}", "units": units, "factor": None}
    return {**base, "own_factor": D("1.0"), "fixed": False, **changes}


def rows(template: Row | None = None, **changes: Any) -> CatalogRows:
    return mapper.products(widget(template, **changes), "tryton")


def test_a_product_is_told_in_every_column_of_the_table() -> None:
    found = rows()
    assert found.product == {
        "system": "tryton",
        "item_id": 2,
        "sku": "SKU-2",
        "family_ref": None,
        "family_name": None,
        "kind": "simple",
        "name": "Pen",
        "description": "Writes blue.",
        "is_active": True,
        "is_for_sale": True,
        "is_stocked": True,
        "is_virtual": False,
        "tax_class": "DE VAT 19%",
        "weight_g": None,
        "barcode": "4006381333931",
        "item_group": "Office / Pens",
        "categories": ["Office / Pens", "Gifts"],
        "attributes": {},
        "images": [],
        "changed_at": datetime(2026, 11, 20, 19, tzinfo=UTC),
    }
    assert {*found.product, "raw_version"} == set(Products.columns())
    assert found.problems == []


def test_the_own_price_is_a_row_with_the_currency_of_the_company() -> None:
    (price,) = rows().prices
    assert price == {
        "price_ref": "tryton:2::regular:0:",
        "system": "tryton",
        "item_id": 2,
        "sku": "SKU-2",
        "price_list": "",
        "currency": "EUR",
        "kind": "regular",
        "minimum_units": D(0),
        "amount": D("11.00"),
        "valid_from": None,
        "valid_until": None,
    }
    assert set(price) == set(Prices.columns())


def test_where_the_variant_has_no_price_that_of_the_template_holds() -> None:
    assert rows(list_price_used=None).prices[0]["amount"] == D("10.00")
    assert rows({"list_price": None}, list_price_used=None).prices == []


def test_numbers_that_were_kept_as_text_are_read_the_same() -> None:
    assert rows(list_price_used="11.00").prices == rows().prices


@pytest.mark.parametrize(
    ("template", "changes", "told"),
    [
        ({"type": "service"}, {}, ("service", False, True)),
        ({"type": "assets"}, {}, ("simple", True, False)),
        ({"consumable": True}, {}, ("simple", False, False)),
        ({"type": "kit"}, {"components": [part(7)]}, ("kit", False, False)),
        ({}, {"variants": 2}, ("variation", True, False)),
    ],
)
def test_kind_and_stock_follow_the_type_there(
    template: Row, changes: Row, told: tuple[str, bool, bool]
) -> None:
    product = rows(template, **changes).product
    assert (product["kind"], product["is_stocked"], product["is_virtual"]) == told


def test_one_of_several_variants_names_its_family_and_what_tells_it_apart() -> None:
    words = {"colour": {"label": "Colour", "options": {"b": "Blue"}}}
    found = rows(variants=2, attributes={"colour": "b", "size": D("5.0")}, attribute_words=words)
    product = found.product
    assert (product["family_ref"], product["family_name"]) == ("tryton:3", "Pen")
    assert product["attributes"] == {"Colour": "Blue", "size": "5"}
    assert found.problems == []


def test_variants_that_nothing_tells_apart_are_told() -> None:
    assert [one.code for one in rows(variants=2).problems] == ["product.variants_alike"]


def test_archiving_the_template_or_the_variant_ends_the_product() -> None:
    assert rows({"active": False}).product["is_active"] is False
    assert rows(active=False).product["is_active"] is False
    assert rows({"salable": False}).product["is_for_sale"] is False


@pytest.mark.parametrize(
    ("weight", "symbol", "grams"),
    [(D("1.5"), "kg", D("1500.000000")), ("2", "lb", D("907.184740")), (D(250), "g", D(250))],
)
def test_weights_are_told_in_grams(weight: object, symbol: str, grams: Decimal) -> None:
    found = rows({"weight": weight, "weight_uom.": {"symbol": symbol}})
    assert (found.product["weight_g"], found.problems) == (grams, [])


def test_a_weight_in_an_unknown_unit_is_told_and_not_guessed() -> None:
    found = rows({"weight": D(3), "weight_uom.": {"symbol": "stone"}})
    assert found.product["weight_g"] is None
    assert [one.code for one in found.problems] == ["product.weight_unclear"]


def test_several_taxes_are_joined_in_one_order_and_none_is_empty() -> None:
    assert rows(taxes=["B", "A"]).product["tax_class"] == "A+B"
    assert rows(taxes=[]).product["tax_class"] == ""


def test_without_a_category_of_its_own_the_accounts_category_is_the_group() -> None:
    product = rows(categories=[]).product
    assert (product["item_group"], product["categories"]) == ("Retail", [])
    assert rows(categories=[], account_category=None).product["item_group"] == ""


def test_the_picture_is_named_without_the_size_of_its_thumbnail() -> None:
    found = rows(image_url="https://erp.example/product/variant/image/SKU-2/db/pen?s=64&t=AAA")
    assert found.product["images"] == ["https://erp.example/product/variant/image/SKU-2/db/pen"]


def test_a_word_for_a_type_that_we_do_not_know_rejects_the_product() -> None:
    with pytest.raises(Rejected) as caught:
        rows({"type": "bundle"})
    assert caught.value.problems == [
        Problem("product.malformed", "template.type", "is a word we do not know")
    ]


# Price lists


def line(formula: str, minimum: object = None, **changes: Any) -> Row:
    return {
        "list": "Web",
        "tax_included": False,
        "minimum": minimum,
        "formula": formula,
        "start": None,
        "end": None,
        **changes,
    }


def listed(*lines: Row) -> list[tuple[str, Decimal, Decimal]]:
    found = rows(prices=list(lines)).prices
    return [(p["kind"], p["minimum_units"], p["amount"]) for p in found if p["price_list"]]


def test_a_formula_over_the_own_price_is_worked_out_exactly() -> None:
    assert listed(line("list_price * 0.9")) == [("regular", D(0), D("9.9000"))]
    assert listed(line("unit_price * (1 - 0.15) - 0.05")) == [("regular", D(0), D("9.3000"))]
    assert listed(line("Decimal('7.49')")) == [("regular", D(0), D("7.4900"))]


def test_amounts_have_the_digits_of_a_price_there_half_to_even() -> None:
    assert worked_out("list_price / 3", D(10)) == D("3.3333")
    assert worked_out("0.00005", None) == D("0.0000")
    assert worked_out("0.1", None) == D("0.1000")


@pytest.mark.parametrize(
    "formula",
    [
        "cost_price * 2",
        "list_price ** 9",
        "__import__('os')",
        "list_price / 0",
        "list_price *",
        "list_price.real",
        "max(1, 2)",
        "Decimal('NaN')",
        "Decimal('x')",
        "True",
        "9" * 190,
        "1" * 300,
        "list_price if 1 else 2",
        "",
    ],
)
def test_any_other_formula_is_told_and_the_product_goes_on(formula: str) -> None:
    found = rows(prices=[line(formula)])
    assert [price["price_list"] for price in found.prices] == [""]
    assert [one.code for one in found.problems] == ["product.price_unclear"]
    assert formula not in found.problems[0].message or not formula


@given(st.text(max_size=210))
def test_no_text_as_a_formula_does_more_than_be_unclear(text: str) -> None:
    try:
        found = worked_out(text, D("10.00"))
    except Unclear:
        return
    assert found.is_finite()


def test_a_list_of_steps_is_told_step_by_step_as_far_as_it_is_reached() -> None:
    lines = (line("8", 10), line("9", 5), line("9.5"), line("7", 100), line("1"))
    assert listed(*lines) == [
        ("regular", D(10), D("8.0000")),
        ("regular", D(5), D("9.0000")),
        ("regular", D(0), D("9.5000")),
    ]


def test_a_line_with_dates_is_a_sale_of_whole_days_of_the_company() -> None:
    days = {"start": "2026-11-27", "end": "2026-11-30"}
    found = rows(prices=[line("8", **days), line("10")]).prices[1:]
    assert [(price["kind"], price["amount"]) for price in found] == [
        ("sale", D("8.0000")),
        ("regular", D("10.0000")),
    ]
    assert found[0]["valid_from"] == datetime(2026, 11, 26, 23, tzinfo=UTC)
    assert found[0]["valid_until"] == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert found[0]["price_ref"] == "tryton:2:Web:sale:0:2026-11-26T23:00:00+00:00"


def test_of_two_lines_for_the_same_time_the_first_wins() -> None:
    assert listed(line("8", start="2026-11-27"), line("7", start="2026-11-27")) == [
        ("sale", D(0), D("8.0000"))
    ]


def test_a_company_without_a_time_zone_lives_by_utc_and_an_unknown_one_is_told() -> None:
    start = {"prices": [line("8", start="2026-11-27")]}
    at_utc = rows(company={"currency": None, "timezone": None}, **start).prices[1]
    assert (at_utc["valid_from"], at_utc["currency"]) == (datetime(2026, 11, 27, tzinfo=UTC), None)
    with pytest.raises(Rejected, match=r"company\.timezone"):
        rows(company={"currency": None, "timezone": "Mars/Base"}, **start)


def test_a_negative_price_is_told_and_left_out() -> None:
    found = rows(list_price_used=D(-1), prices=[line("0 - 2")])
    assert found.prices == []
    assert [one.code for one in found.problems] == ["product.price_unclear"] * 2


# Kits


def test_a_kit_is_made_of_its_components_in_their_own_unit() -> None:
    found = rows(
        {"type": "kit"}, components=[part(7), part(8, D("0.5"), factor=D("12.0")), part(7, D(1))]
    )
    assert [
        (c["component_id"], c["component_sku"], c["component_units"]) for c in found.components
    ] == [
        (7, "P-7", D("3.0")),
        (8, "P-8", D("6.000000")),
    ]
    assert set(found.components[0]) == set(ProductComponents.columns())
    assert found.problems == []


@pytest.mark.parametrize("one", [part(8, fixed=True), part(8, D(0)), part(8, D(-1))])
def test_a_kit_with_a_component_that_cannot_be_counted_is_rejected(one: Row) -> None:
    """Without that component its stock would be made up."""
    with pytest.raises(Rejected, match="units: is not a number of units for each kit"):
        rows({"type": "kit"}, components=[part(7), one])


def test_a_kit_of_nothing_is_rejected() -> None:
    with pytest.raises(Rejected, match="components: is empty"):
        rows({"type": "kit"})


def test_components_of_what_is_no_kit_are_told_and_not_taken_for_one() -> None:
    found = rows(components=[part(7)])
    assert (found.components, found.product["kind"]) == ([], "simple")
    assert [one.code for one in found.problems] == ["product.components_unclear"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


def read_or_rejected(payload: Row) -> None:
    with suppress(Rejected):
        assert set(mapper.products(payload, "tryton").product) == set(rows().product)


@given(st.sampled_from(sorted(widget())), JSON)
def test_a_strange_value_is_read_or_rejected_and_nothing_else(key: str, value: object) -> None:
    read_or_rejected({**widget(), key: value})


@given(st.sampled_from(sorted(widget()["template."])), JSON)
def test_a_strange_value_of_a_template_is_read_or_rejected(key: str, value: object) -> None:
    read_or_rejected(widget({key: value}))


@given(st.sampled_from(sorted(part(7))), JSON, st.sampled_from(sorted(line("1"))), JSON)
def test_a_strange_value_of_a_component_or_price_is_read_or_rejected(
    of_part: str, one: object, of_line: str, other: object
) -> None:
    components = [{**part(7, factor=D("12.0")), of_part: one}]
    prices = [{**line("1"), of_line: other}]
    read_or_rejected(widget({"type": "kit"}, components=components, prices=prices))


def test_units_of_a_component_beyond_all_measure_are_rejected() -> None:
    huge = part(7, D(10) ** 11, factor=D(10) ** 11, own_factor=D("0.000001"))
    with pytest.raises(Rejected, match="units: is not a number"):
        rows({"type": "kit"}, components=[huge])


def test_what_our_user_may_not_read_there_is_told() -> None:
    found = rows(unreadable=["prices"])
    assert [(one.code, one.part) for one in found.problems] == [("product.unclear", "prices")]


# Stock


def level(**changes: Any) -> Row:
    zero = dict.fromkeys(("on_hand", "allocated", "quarantined", "incoming"), D(0))
    return {"id": 2, "sku": "SKU-2", "warehouse": "US1", **zero, **changes}


def test_part_of_a_piece_is_never_there_and_always_promised() -> None:
    half = dict.fromkeys(("on_hand", "allocated", "quarantined", "incoming"), D("2.5"))
    assert mapper.stock_level(level(**half)) == {
        "item_id": 2,
        "sku": "SKU-2",
        "warehouse": "US1",
        "on_hand_units": 2,
        "allocated_units": 3,
        "quarantined_units": 3,
        "incoming_units": 2,
    }


def test_stock_below_zero_stays_so_and_a_place_below_zero_holds_nothing_back() -> None:
    found = mapper.stock_level(level(on_hand=D("-0.5"), quarantined=D(-3)))
    assert (found["on_hand_units"], found["quarantined_units"]) == (-1, 0)


def test_a_level_that_is_no_number_is_rejected() -> None:
    with pytest.raises(Rejected, match="on_hand: is not a number"):
        mapper.stock_level(level(on_hand="many"))


def place(kind: str, warehouse: str | None = None, **changes: Any) -> Row:
    return {"code": None, "type": kind, "warehouse": warehouse, "is_waste": False, **changes}


STORE, SHOP, LOST = place("storage", "US1"), place("customer"), place("lost_found")


def moved(start: Row, end: Row, **changes: Any) -> Row:
    return {
        "id": 28,
        "product": 2,
        "product.": {"id": 2, "code": "SKU-2"},
        "state": "done",
        "internal_quantity": D("2.0"),
        "effective_date": "2026-11-20",
        "last_modified_at": LATER,
        "shipment": None,
        "origin": "sale.line,7",
        "from_place": start,
        "to_place": end,
        **changes,
    }


def test_a_movement_is_told_in_every_column() -> None:
    assert mapper.stock_movement(moved(STORE, SHOP), "tryton") == {
        "movement_ref": "tryton:28",
        "system": "tryton",
        "item_id": 2,
        "sku": "SKU-2",
        "kind": "shipment",
        "from_warehouse": "US1",
        "to_warehouse": None,
        "units": 2,
        "moved_at": datetime(2026, 11, 20, 19, tzinfo=UTC),
        "origin": "sale.line,7",
    }


@pytest.mark.parametrize(
    ("start", "end", "kind"),
    [
        (place("supplier"), STORE, "receipt"),
        (STORE, place("supplier"), "return"),
        (SHOP, STORE, "return"),
        (STORE, place("storage", "EU1"), "transfer"),
        (STORE, place("storage"), "transfer"),  # on its way to another warehouse
        (LOST, STORE, "adjustment"),
        (STORE, LOST, "adjustment"),
        (STORE, place("lost_found", is_waste=True), "scrap"),
        (place("production"), STORE, "transfer"),
    ],
)
def test_the_kind_follows_from_where_to_where(start: Row, end: Row, kind: str) -> None:
    found = mapper.stock_movement(moved(start, end), "tryton")
    assert found is not None
    assert found["kind"] == kind


def test_a_sale_over_the_counter_is_told_apart_by_its_origin() -> None:
    found = mapper.stock_movement(moved(STORE, SHOP, origin="sale.point.sale.line,3"), "tryton")
    assert found is not None
    assert found["kind"] == "store_sale"


@pytest.mark.parametrize("state", ["draft", "assigned", "staging", "cancelled"])
def test_what_is_not_done_is_no_movement(state: str) -> None:
    assert mapper.stock_movement(moved(STORE, SHOP, state=state), "tryton") is None


@pytest.mark.parametrize(
    ("start", "end"), [(place("supplier"), place("drop")), (STORE, place("storage", "US1"))]
)
def test_goods_that_cross_no_door_of_ours_are_no_movement(start: Row, end: Row) -> None:
    assert mapper.stock_movement(moved(start, end), "tryton") is None


def test_an_unknown_state_or_type_of_place_is_loud() -> None:
    with pytest.raises(Rejected, match="state: is a word"):
        mapper.stock_movement(moved(STORE, SHOP, state="sent"), "tryton")
    with pytest.raises(Rejected, match="to_place: is of a type"):
        mapper.stock_movement(moved(STORE, place("moon")), "tryton")


def test_book_work_on_an_old_move_does_not_make_it_new() -> None:
    found = mapper.stock_movement(moved(STORE, SHOP, effective_date="2026-10-01"), "tryton")
    assert found is not None
    assert found["moved_at"] == datetime(2026, 10, 2, tzinfo=UTC)


def test_part_of_a_piece_counts_whole_when_it_leaves_and_not_when_it_comes() -> None:
    out = mapper.stock_movement(moved(STORE, SHOP, internal_quantity=D("1.5")), "tryton")
    back = mapper.stock_movement(moved(SHOP, STORE, internal_quantity=D("1.5")), "tryton")
    assert out is not None
    assert back is not None
    assert (out["units"], back["units"]) == (2, 1)
