"""Odoo's items, levels and moves as rows: exact values, and every part that cannot be said told."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.orders import Rejected
from sync_assets.mappers.odoo_catalog import products
from sync_assets.mappers.odoo_stock import stock_level, stock_movement

D = Decimal
UNIT, DOZEN = [1, "Units"], [2, "Dozens"]


def item(template: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    shared = {
        "id": 102,
        "name": "Mug",
        "description_sale": "Holds tea.",
        "type": "consu",
        "is_storable": True,
        "sale_ok": True,
        "active": True,
        "categ_id": [5, "All / Saleable / Kitchen"],
        "taxes": [{"id": 3, "name": "VAT 20%", "company_id": [2, "Acme UK"]}],
        "list_price": D("9.99"),
        "currency_id": [1, "USD"],
        "company_id": False,
        "weight_uom_name": "kg",
        "uom_id": UNIT,
        "write_date": "2026-11-20 18:36:46",
    }
    return {
        "id": 105,
        "default_code": "MUG",
        "name": "Mug",
        "active": True,
        "write_date": "2026-11-20 18:36:20",
        "barcode": "4006381333931",
        "lst_price": D("9.99"),
        "weight": D("0.35"),
        "product_template_variant_value_ids": [],
        "template": {**shared, **(template or {})},
        "attributes": {},
        "components": [],
        "prices": [],
        "images": ["/web/image/product.template/102/image_1920?unique=0f"],
        "unreadable": [],
        **changes,
    }


def rule(id_: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "list": "Web",
        "currency_id": [1, "USD"],
        "min_quantity": D(0),
        "compute_price": "fixed",
        "fixed_price": D("8.5"),
        "percent_price": D(0),
        "base": "list_price",
        "date_start": False,
        "date_end": False,
        **changes,
    }


def part(**changes: Any) -> dict[str, Any]:
    same = {"uom": UNIT, "item_uom": UNIT, "makes_uom": UNIT}
    values = {"item": 7, "sku": "CUP", "units": D(2), "makes": D(1), "only_for": {}}
    return {**values, **same, **changes}


def reasons(payload: dict[str, Any]) -> list[str]:
    with pytest.raises(Rejected) as caught:
        products(payload, "books")
    return [problem.code for problem in caught.value.problems]


def test_an_item_becomes_a_product() -> None:
    rows = products(item(), "books")
    assert rows.product == {
        "system": "books",
        "item_id": 105,
        "sku": "MUG",
        "family_ref": None,
        "family_name": None,
        "kind": "simple",
        "name": "Mug",
        "description": "Holds tea.",
        "is_active": True,
        "is_for_sale": True,
        "is_stocked": True,
        "is_virtual": False,
        "tax_class": "VAT 20%",
        "weight_g": D("350.000"),
        "barcode": "4006381333931",
        "item_group": "All / Saleable / Kitchen",
        "categories": ["All / Saleable / Kitchen"],
        "attributes": {},
        "images": ["/web/image/product.template/102/image_1920?unique=0f"],
        "changed_at": datetime(2026, 11, 20, 18, 36, 46, tzinfo=UTC),
    }
    assert (rows.components, rows.problems) == ([], [])


def test_the_own_price_is_in_the_currency_of_whoever_sells_it() -> None:
    [own] = products(item(), "books").prices
    assert own == {
        "price_ref": "books:105::regular:0:",
        "system": "books",
        "item_id": 105,
        "sku": "MUG",
        "price_list": "",
        "currency": None,
        "kind": "regular",
        "minimum_units": D(0),
        "amount": D("9.990000"),
        "valid_from": None,
        "valid_until": None,
    }
    [own] = products(item({"company_id": [2, "Acme UK"]}), "books").prices
    assert own["currency"] == "USD"


def test_a_missing_value_is_missing_and_not_false() -> None:
    bare = {"description_sale": False, "categ_id": False, "taxes": []}
    product = products(item(bare, default_code=False, barcode=False, weight=D(0)), "b").product
    assert (product["sku"], product["barcode"], product["weight_g"]) == (None, None, None)
    assert (product["description"], product["item_group"], product["categories"]) == ("", "", [])
    assert product["tax_class"] == ""


@pytest.mark.parametrize(
    ("template", "item_active"), [({"active": False}, True), ({}, False)], ids=["template", "item"]
)
def test_an_archived_item_or_template_is_not_active(
    template: dict[str, Any], item_active: bool
) -> None:
    assert products(item(template, active=item_active), "b").product["is_active"] is False


def test_one_of_several_variants_names_its_family_and_its_values() -> None:
    values = {"Size": "M", "Cloth": "Cotton"}
    variant = item(product_template_variant_value_ids=[8], attributes=values)
    product = products(variant, "books").product
    assert (product["kind"], product["family_ref"]) == ("variation", "books:102")
    assert (product["name"], product["family_name"]) == ("Mug (M, Cotton)", "Mug")
    assert product["attributes"] == values


def test_a_service_is_virtual_and_not_stocked() -> None:
    product = products(item({"type": "service", "is_storable": False}), "b").product
    assert (product["kind"], product["is_virtual"], product["is_stocked"]) == (
        "service",
        True,
        False,
    )


def test_a_type_no_shop_can_be_told_is_refused() -> None:
    assert reasons(item({"type": "combo"})) == ["thing.malformed"]


def test_an_item_that_cannot_be_read_is_set_aside_without_its_values() -> None:
    broken = item(lst_price="a lot")
    assert reasons(broken) == ["thing.malformed"]
    with pytest.raises(Rejected) as caught:
        products(broken, "books")
    assert "a lot" not in str(caught.value)
    assert reasons({"id": 5, "default_code": "OLD"}) == ["thing.malformed"]


def test_taxes_of_several_companies_are_named_once_each() -> None:
    taxes = [{"name": "VAT"}, {"name": "US 7.25%"}, {"name": "VAT"}]
    assert products(item({"taxes": taxes}), "b").product["tax_class"] == "VAT+US 7.25%"


@pytest.mark.parametrize(("unit", "grams"), [("kg", "350.000"), ("lb", "158.757")])
def test_a_weight_is_in_grams(unit: str, grams: str) -> None:
    assert products(item({"weight_uom_name": unit}), "b").product["weight_g"] == D(grams)


def test_a_weight_in_an_unknown_unit_is_reported_and_left_out() -> None:
    rows = products(item({"weight_uom_name": "stone"}), "b")
    assert rows.product["weight_g"] is None
    assert [problem.code for problem in rows.problems] == ["product.weight_unclear"]


# Kits


def test_a_kit_has_units_of_each_component() -> None:
    parts = [part(), part(item=8, sku=False, units=D(1), makes=D(3)), part(units=D("0.5"))]
    rows = products(item(components=parts), "books")
    assert rows.product["kind"] == "kit"
    told = [(r["component_id"], r["component_sku"], r["component_units"]) for r in rows.components]
    assert told == [(7, "CUP", D("2.5")), (8, None, D("0.333334"))]


def test_a_component_for_other_variants_is_no_component_of_this_one() -> None:
    parts = [part(only_for={"Size": ["S", "M"]}), part(item=8, only_for={"Size": ["L"]})]
    rows = products(item(components=parts, attributes={"Size": "M"}), "books")
    assert [row["component_id"] for row in rows.components] == [7]


@pytest.mark.parametrize(
    "changes",
    [{"uom": DOZEN}, {"makes_uom": DOZEN}, {"units": D(0)}, {"makes": D(0)}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_kit_whose_components_cannot_be_counted_is_refused(changes: dict[str, Any]) -> None:
    assert reasons(item(components=[part(**changes)])) == ["product.components_unclear"]


# Prices


def test_a_rule_without_days_is_a_regular_price_and_one_with_days_a_sale() -> None:
    sale = rule(2, date_start="2026-11-27 00:00:00", date_end="2026-11-30 23:59:59")
    rows = products(item(prices=[sale, rule()]), "books").prices
    assert [(r["price_ref"], r["amount"]) for r in rows[1:]] == [
        ("books:105:Web:sale:0:2026-11-27T00:00:00+00:00", D("8.500000")),
        ("books:105:Web:regular:0:", D("8.500000")),
    ]
    assert rows[1]["valid_until"] == datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    assert {row["currency"] for row in rows[1:]} == {"USD"}


def test_a_rule_odoo_never_comes_to_is_no_price() -> None:
    """The first rule that fits is taken: a sale for all is not given where an item has its own."""
    for_all = rule(2, date_start="2026-11-27 00:00:00", fixed_price=D(1))
    rows = products(item(prices=[rule(), for_all]), "books")
    assert [(row["kind"], row["amount"]) for row in rows.prices[1:]] == [("regular", D("8.5"))]
    assert rows.problems == []


def test_a_price_for_more_units_stands_beside_the_one_for_few() -> None:
    many = rule(2, min_quantity=D(10), fixed_price=D(7))
    rows = products(item(prices=[many, rule()]), "books").prices
    assert [(row["minimum_units"], row["amount"]) for row in rows[1:]] == [(10, 7), (0, D("8.5"))]


def test_rules_that_begin_together_and_end_apart_are_reported() -> None:
    first = rule(1, date_start="2026-11-27 00:00:00", date_end="2026-11-28 00:00:00")
    longer = rule(2, date_start="2026-11-27 00:00:00", date_end="2026-11-30 00:00:00")
    rows = products(item(prices=[first, longer]), "books")
    assert len(rows.prices) == 2
    assert [problem.code for problem in rows.problems] == ["product.price_unclear"]


def test_a_part_of_the_own_price_is_worked_out_in_one_currency_only() -> None:
    tenth = {"compute_price": "percentage", "percent_price": D(10)}
    rows = products(item(prices=[rule(**tenth)]), "books")
    assert (rows.prices[1]["amount"], rows.problems) == (D("8.99"), [])
    rows = products(item(prices=[rule(**tenth, currency_id=[2, "EUR"])]), "books")
    assert len(rows.prices) == 1
    assert [problem.code for problem in rows.problems] == ["product.price_unclear"]


@pytest.mark.parametrize(
    "changes",
    [
        {"compute_price": "formula"},
        {"compute_price": "percentage", "base": "pricelist"},
        {"fixed_price": D(-1)},
    ],
)
def test_a_rule_that_is_no_plain_price_is_reported_and_hides_what_it_would_override(
    changes: dict[str, Any],
) -> None:
    rows = products(item(prices=[rule(1, **changes), rule(2)]), "books")
    assert [row["price_list"] for row in rows.prices] == [""]
    [problem] = rows.problems
    assert (problem.code, problem.part) == ("product.price_unclear", "prices.Web")


def test_parts_nobody_may_read_are_reported() -> None:
    rows = products(item(unreadable=["prices", "images"], images=[]), "books")
    told = [(problem.code, problem.part) for problem in rows.problems]
    assert told == [("product.unclear", "prices"), ("product.unclear", "images")]
    assert rows.product["images"] == []


# Stock


def level(**changes: Any) -> dict[str, Any]:
    numbers = {"on_hand": D(5), "allocated": D(0), "quarantined": D(0), "incoming": D(0)}
    return {"id": 105, "sku": "MUG", "warehouse": "US1", **numbers, **changes}


def test_part_of_a_piece_on_hand_does_not_count_and_part_of_one_asked_for_does() -> None:
    parts = level(on_hand=D("5.9"), allocated=D("1.1"), quarantined=D("0.2"), incoming=D("3.9"))
    assert stock_level(parts) == {
        "item_id": 105,
        "sku": "MUG",
        "warehouse": "US1",
        "on_hand_units": 5,
        "allocated_units": 2,
        "quarantined_units": 1,
        "incoming_units": 3,
    }


def test_a_kept_payload_says_the_same_as_the_one_sent() -> None:
    def kept(payload: dict[str, Any]) -> Any:
        return json.loads(json.dumps(payload, default=str), parse_float=Decimal)

    sale = rule(2, date_start="2026-11-27 00:00:00", min_quantity=D("1.50"))
    sent = item(components=[part(units=D("0.5"))], prices=[sale, rule()])
    assert products(kept(sent), "books") == products(sent, "books")
    assert stock_level(kept(level(on_hand=D("5.9")))) == stock_level(level(on_hand=D("5.9")))
    shipped = move(SHELF, OUTSIDE["customer"])
    assert stock_movement(kept(shipped), "books") == stock_movement(shipped, "books")


def test_noise_of_binary_sums_is_no_part_of_a_piece() -> None:
    row = stock_level(level(on_hand=D("4.9999999999999"), allocated=D("2.0000000000001")))
    assert (row["on_hand_units"], row["allocated_units"]) == (5, 2)


def test_stock_below_zero_stays_below_zero_and_demand_does_not() -> None:
    row = stock_level(level(on_hand=D("-1.5"), allocated=D(-2), quarantined=D(-1)))
    assert (row["on_hand_units"], row["allocated_units"], row["quarantined_units"]) == (-2, 0, 0)


@given(st.decimals(-(10**6), 10**6, places=3), st.decimals(0, 10**6, places=3))
def test_rounding_never_makes_more_free_than_there_is(on_hand: Decimal, asked: Decimal) -> None:
    row = stock_level(level(on_hand=on_hand, allocated=asked))
    assert row["on_hand_units"] - row["allocated_units"] <= on_hand - asked
    assert on_hand - asked - (row["on_hand_units"] - row["allocated_units"]) < 2


@pytest.mark.parametrize(
    "broken", [{"on_hand": "many"}, {"on_hand": None}, {"on_hand": 1.5}, {"on_hand": "NaN"}]
)
def test_a_level_that_cannot_be_read_is_set_aside(broken: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="the stock level cannot be read"):
        stock_level(level(**broken))


def place(usage: str, warehouse: str | bool = False) -> dict[str, Any]:
    return {"id": 1, "usage": usage, "warehouse": warehouse}


def move(source: dict[str, Any], target: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": 94,
        "item": 105,
        "sku": "MUG",
        "state": "done",
        "quantity": D(2),
        "product_uom_qty": D(2),
        "product_qty": D(2),
        "from": source,
        "to": target,
        "date": "2026-11-20 18:36:38",
        "origin": "S00030",
        "reference": "WH/OUT/00017",
        **changes,
    }


SHELF, OTHER = place("internal", "WH"), place("internal", "WH2")
OUTSIDE = {usage: place(usage) for usage in ("customer", "supplier", "inventory", "production")}


def test_a_delivery_is_a_shipment() -> None:
    assert stock_movement(move(SHELF, OUTSIDE["customer"]), "books") == {
        "movement_ref": "books:94",
        "system": "books",
        "item_id": 105,
        "sku": "MUG",
        "kind": "shipment",
        "from_warehouse": "WH",
        "to_warehouse": None,
        "units": 2,
        "moved_at": datetime(2026, 11, 20, 18, 36, 38, tzinfo=UTC),
        "origin": "S00030",
    }


@pytest.mark.parametrize(
    ("source", "target", "more", "kind"),
    [
        (OUTSIDE["supplier"], SHELF, {}, "receipt"),
        (OUTSIDE["customer"], SHELF, {}, "return"),
        (OUTSIDE["customer"], SHELF, {"over_the_counter": True}, "return"),
        (SHELF, OUTSIDE["customer"], {"over_the_counter": True}, "store_sale"),
        (SHELF, OUTSIDE["supplier"], {}, "adjustment"),
        (SHELF, OUTSIDE["inventory"], {}, "adjustment"),
        (OUTSIDE["inventory"], SHELF, {}, "adjustment"),
        (SHELF, OUTSIDE["production"], {}, "adjustment"),
        (SHELF, OUTSIDE["inventory"], {"scrapped": True}, "scrap"),
        (SHELF, OUTSIDE["inventory"], {"scrap_id": [1, "SP/1"]}, "scrap"),
        (SHELF, OTHER, {}, "transfer"),
        (SHELF, place("transit"), {}, "transfer"),
    ],
)
def test_places_say_why_it_moved(
    source: dict[str, Any], target: dict[str, Any], more: dict[str, Any], kind: str
) -> None:
    row = stock_movement(move(source, target, **more), "books")
    assert row is not None
    assert row["kind"] == kind


@pytest.mark.parametrize(
    "nothing",
    [
        move(SHELF, SHELF),
        move(OUTSIDE["supplier"], OUTSIDE["customer"]),
        *(move(SHELF, OUTSIDE["customer"], state=word) for word in ("assigned", "cancel", "draft")),
    ],
)
def test_what_is_not_done_or_crosses_no_door_is_no_movement(nothing: dict[str, Any]) -> None:
    assert stock_movement(nothing, "books") is None


def test_a_move_in_dozens_is_told_in_pieces() -> None:
    dozens = move(SHELF, OUTSIDE["customer"], quantity=D(2), product_uom_qty=D(3), product_qty=36)
    row = stock_movement(dozens, "books")
    assert row is not None
    assert row["units"] == 24


def test_a_place_of_an_unknown_use_is_loud() -> None:
    with pytest.raises(Rejected, match="'moon', a word we do not know"):
        stock_movement(move(SHELF, place("moon")), "books")
