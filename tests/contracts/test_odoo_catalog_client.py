"""The Odoo client's items against the stand-in: everything a catalog needs, in few calls, and what
counts as a change of an item.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any

import pytest
from odoo_shelf import NOON, Shelf
from test_odoo_standin_recordings import BOTH, LETTER, RECORDINGS, Recorded, _args, _pairs

import sync_assets.mappers.odoo as identity
from resources.errors import Refused
from resources.http import Manners, client
from resources.sandbox.odoo_errors import not_allowed
from resources.systems.odoo import Odoo
from sync_assets.mappers.odoo_catalog import products

D = Decimal


def odoo(shelf: Shelf, **more: Any) -> Odoo:
    transport = shelf.erp.transport()
    http = client(
        "books", "http://odoo", Manners(), transport=transport, sleep=lambda seconds: None
    )
    return Odoo(http, "erp", "sync", "key", system="books", **more)


@pytest.fixture(params=[18, 19])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.param)


def items(erp: Odoo) -> dict[str, dict[str, Any]]:
    """All items by SKU."""
    return {row["default_code"]: row for page in erp.items() for row in page}


def changed(erp: Odoo, moment: datetime) -> list[str]:
    """SKUs of the items that changed since a moment, exactly."""
    pages = erp.items_changed_since(moment, timedelta(0))
    return [row["default_code"] for page in pages for row in page]


def test_an_item_brings_its_template_and_keeps_the_keys_it_had(shelf: Shelf) -> None:
    tax = shelf.erp.add_tax("Acme US Inc", "CA 7.25%", "7.25")
    shelf.erp.add_product("POT", "Pot", "31.50", {"US1": 1}, taxes=[tax])
    shelf.erp.set_category("POT", "All", "Saleable", "Kitchen")
    pot = items(odoo(shelf))["POT"]

    assert identity.item(pot)["sku"] == "POT"
    assert (pot["lst_price"], pot["active"], pot["barcode"]) == (D("31.5"), True, False)
    template = pot["template"]
    assert template["categ_id"][1] == "All / Saleable / Kitchen"
    assert [one["name"] for one in template["taxes"]] == ["CA 7.25%"]
    assert (template["type"], template["is_storable"], template["sale_ok"]) == ("consu", True, True)
    assert (pot["attributes"], pot["components"], pot["prices"], pot["images"]) == ({}, [], [], [])
    assert pot["unreadable"] == []


def test_variants_have_their_values_and_their_own_price(shelf: Shelf) -> None:
    variants = {
        "TEE-S": {"Size": "S", "Cloth": "Cotton"},
        "TEE-M": {"Size": "M", "Cloth": "Cotton"},
    }
    ids = shelf.erp.add_variants("Tee", "25", variants, extra={"M": "2.50"})
    found = items(odoo(shelf))

    assert found["TEE-M"]["attributes"] == {"Size": "M", "Cloth": "Cotton"}
    assert (found["TEE-S"]["lst_price"], found["TEE-M"]["lst_price"]) == (25, D("27.5"))
    assert found["TEE-S"]["template"]["id"] == found["TEE-M"]["template"]["id"]
    tee = products(found["TEE-M"], "books").product
    assert (tee["kind"], tee["name"], tee["family_name"]) == ("variation", "Tee (M, Cotton)", "Tee")
    assert tee["item_id"] == ids["TEE-M"]
    assert products(found["MUG"], "books").product["kind"] == "simple"


def test_a_kit_names_its_components_and_a_database_without_kits_has_none(shelf: Shelf) -> None:
    erp = odoo(shelf)
    assert items(erp)["MUG"]["components"] == []
    assert shelf.erp.count("mrp.bom.fields_get") == 1
    list(erp.items())
    assert shelf.erp.count("mrp.bom.fields_get") == 1
    assert shelf.erp.count("mrp.bom.search_read") == 0

    shelf.erp.add_kit("SET", "Set", "19.90", {"MUG": 2, "PEN": 1})
    rows = products(items(odoo(shelf))["SET"], "books")
    assert rows.product["kind"] == "kit"
    told = [(row["component_sku"], row["component_units"]) for row in rows.components]
    assert told == [("MUG", 2), ("PEN", 1)]


def test_price_rules_that_hold_for_an_item_come_in_odoo_s_order(shelf: Shelf) -> None:
    shelf.erp.add_price_list("Web", "USD")
    shelf.erp.set_category("MUG", "All", "Kitchen")
    kitchen = shelf.found("product.category", ["name", "=", "Kitchen"])[0]
    every = shelf.erp.add_price_rule("Web", compute_price="percentage", percent_price=5)
    of_category = shelf.erp.add_price_rule(
        "Web", applied_on="2_product_category", categ_id=1, fixed_price=8
    )
    of_other = {"applied_on": "2_product_category", "categ_id": kitchen}
    deeper = shelf.erp.add_price_rule("Web", **of_other, fixed_price=7)
    own = shelf.erp.set_price("MUG", "6.50", "Web")
    many = shelf.erp.set_price("MUG", "6", "Web", minimum=10)
    found = items(odoo(shelf))

    assert [rule["id"] for rule in found["MUG"]["prices"]] == [
        many,
        own,
        deeper,
        of_category,
        every,
    ]
    assert [rule["id"] for rule in found["PEN"]["prices"]] == [of_category, every]
    assert {rule["list"] for rule in found["MUG"]["prices"]} == {"Web"}


def test_rules_of_an_archived_list_do_not_hold_and_two_lists_of_a_name_are_told_apart(
    shelf: Shelf,
) -> None:
    for company in ("Acme US Inc", "Acme UK Ltd"):
        shelf.erp.add_price_list("Web", "USD", company)
    gone = shelf.erp.add_price_list("Old", "USD")
    shelf.erp.set_price("MUG", "5", "Old")
    shelf.erp.set_price("MUG", "6", "Web")
    shelf.call("product.pricelist", "write", [gone], {"active": False})

    [rule] = items(odoo(shelf))["MUG"]["prices"]
    assert (rule["list"], rule["fixed_price"]) == ("Acme US Inc/Web", 6)


def test_an_image_is_a_reference_that_changes_with_its_content_only(shelf: Shelf) -> None:
    shelf.erp.set_image("MUG", b"blue")
    erp = odoo(shelf)
    [before] = items(erp)["MUG"]["images"]
    shelf.moment += timedelta(minutes=1)
    shelf.erp.set_price("MUG", "11")
    [after] = items(erp)["MUG"]["images"]

    assert before == after
    template = items(erp)["MUG"]["template"]["id"]
    assert before.startswith(f"/web/image/product.template/{template}/image_1920?unique=")
    shelf.erp.set_image("MUG", b"red", of_variant=True)
    [own] = items(erp)["MUG"]["images"]
    assert own.startswith(f"/web/image/product.product/{shelf.mug}/image_variant_1920?unique=")


def test_a_part_the_user_may_not_read_is_named_and_the_rest_is_read(shelf: Shelf) -> None:
    shelf.erp.add_kit("SET", "Set", "19.90", {"MUG": 2})
    hide(shelf, "mrp.bom", "ir.attachment", "product.pricelist.item")
    kit = items(odoo(shelf))["SET"]

    assert kit["unreadable"] == ["components", "prices", "images"]
    rows = products(kit, "books")
    told = [(problem.code, problem.part) for problem in rows.problems]
    assert told == [("product.unclear", part) for part in ("components", "prices", "images")]
    assert [row["amount"] for row in rows.prices] == [D("19.9")]


def test_items_themselves_must_be_readable(shelf: Shelf) -> None:
    hide(shelf, "product.template")
    with pytest.raises(Refused, match="not allowed to access"):
        items(odoo(shelf))


def hide(shelf: Shelf, *models: str) -> None:
    """Take the right to read some models away."""
    served = shelf.erp._read

    def read(model: str, method: str, *more: Any) -> Any:
        if model in models and method != "fields_get":
            raise not_allowed(model, model, "access", "Nobody")
        return served(model, method, *more)

    shelf.erp._read = read  # type: ignore[method-assign]


# Changes


def test_a_change_of_anything_a_catalog_shows_is_a_change_of_the_item(shelf: Shelf) -> None:
    shelf.erp.add_price_list("Web", "USD")
    shelf.erp.add_kit("SET", "Set", "19.90", {"MUG": 2})
    shelf.erp.add_variants("Tee", "25", {"TEE-S": {"Size": "S"}, "TEE-M": {"Size": "M"}})
    rule = shelf.erp.set_price("PEN", "1", "Web")
    erp = odoo(shelf)

    def after(*change: Any) -> list[str]:
        shelf.moment += timedelta(minutes=5)
        assert shelf.call(*change) is True
        return changed(erp, shelf.moment)

    template = shelf.call("product.product", "read", [shelf.mug], ["product_tmpl_id"])
    template_id = template[0]["product_tmpl_id"][0]
    size = shelf.found("product.attribute.value", ["name", "=", "S"])
    line = shelf.found("mrp.bom.line")

    assert after("product.template", "write", [template_id], {"list_price": 8}) == ["MUG"]
    assert after("product.pricelist.item", "write", [rule], {"fixed_price": 2}) == ["PEN"]
    assert after("product.pricelist", "write", [1], {"name": "Net"}) == ["PEN"]
    assert after("mrp.bom.line", "write", line, {"product_qty": 3}) == ["SET"]
    assert after("product.attribute.value", "write", size, {"name": "Small"}) == ["TEE-S"]


def test_a_rule_for_a_category_changes_what_is_in_it_and_one_for_all_changes_all(
    shelf: Shelf,
) -> None:
    shelf.erp.add_price_list("Web", "USD")
    shelf.erp.set_category("MUG", "All", "Kitchen", "Cups")
    kitchen = shelf.found("product.category", ["name", "=", "Kitchen"])
    erp = odoo(shelf)

    shelf.moment += timedelta(minutes=5)
    of_category = {"applied_on": "2_product_category", "categ_id": kitchen[0], "fixed_price": 7}
    shelf.erp.add_price_rule("Web", **of_category)
    assert changed(erp, shelf.moment) == ["MUG"]

    shelf.moment += timedelta(minutes=5)
    shelf.call("product.category", "write", kitchen, {"name": "Cooking"})
    assert changed(erp, shelf.moment) == ["MUG"]

    shelf.moment += timedelta(minutes=5)
    shelf.erp.add_price_rule("Web", percent_price=5, compute_price="percentage")
    assert changed(erp, shelf.moment) == ["MUG", "PEN"]


def test_a_changed_item_has_the_payload_of_a_full_reading(shelf: Shelf) -> None:
    shelf.erp.add_price_list("Web", "USD")
    shelf.moment += timedelta(minutes=5)
    shelf.erp.set_price("MUG", "6.50", "Web", since=NOON, until=NOON + timedelta(days=1))
    erp = odoo(shelf)

    ((told,),) = erp.items_changed_since(shelf.moment, timedelta(0))
    assert told == items(erp)["MUG"]
    assert told["prices"][0]["date_start"] == "2026-11-20 12:00:00"


def test_stock_is_no_change_of_an_item(shelf: Shelf) -> None:
    shelf.moment += timedelta(minutes=5)
    shelf.erp.adjust("MUG", "US1", 3)
    assert changed(odoo(shelf), shelf.moment) == []


# Archived, many


def test_archived_items_are_listed_and_not_active(shelf: Shelf) -> None:
    shelf.erp.add_variants("Tee", "25", {"TEE-S": {"Size": "S"}, "TEE-M": {"Size": "M"}})
    shelf.erp.archive("MUG")
    shelf.erp.archive("TEE-S")
    found = {sku: products(row, "books").product for sku, row in items(odoo(shelf)).items()}

    active = {sku: row["is_active"] for sku, row in found.items()}
    assert active == {"MUG": False, "PEN": True, "TEE-S": False, "TEE-M": True}
    assert found["TEE-M"]["kind"] == "variation"


def test_twenty_thousand_items_are_listed_in_pages_of_few_calls() -> None:
    shelf = Shelf()
    shelf.erp.add_products((f"SKU-{n}", f"Item {n}", "1", {}) for n in range(20_000))
    erp = odoo(shelf)
    before, started = shelf.erp.calls.total(), perf_counter()
    pages = [len(page) for page in erp.items()]
    seconds = perf_counter() - started

    assert (sum(pages), len(pages)) == (20_002, 41)
    assert shelf.erp.calls.total() - before < 41 * 6 + 12
    assert seconds < 41 * 0.5


# Recordings


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not beside the project")
@BOTH
def test_variants_are_made_as_recorded(version: int) -> None:
    at = {18: "2026-11-20 18:36:29", 19: "2026-11-20 18:49:25"}[version]
    recorded, letter = Recorded(version, at), LETTER[version]
    attribute, values = {18: ("Legs", ["Steel", "Aluminium"]), 19: ("Brand", ["Adidas", "Apple"])}[
        version
    ]
    recorded.make("product.attribute", 1, name=attribute)
    for number, name in enumerate(values, start=1):
        recorded.make("product.attribute.value", number, name=name, attribute_id=1)
    more: Sequence[int] = {18: [17], 19: range(3, 41)}[version]
    for number in more:
        recorded.make("product.attribute.value", number, name=f"Value {number}", attribute_id=1)
    recorded.erp.next_id("product.template", {18: 124, 19: 64}[version])
    recorded.erp.next_id("product.product", {18: 127, 19: 80}[version])

    asked = [
        pair
        for pair in _pairs(version, "catalog")
        if any(
            w in str(_args(pair)) for w in ("attribute", f"{letter}-SHIRT", "product_variant_ids")
        )
        or "'product_tmpl_id', 'in'" in str(_args(pair))
    ]
    assert recorded.replay(asked) == 6
