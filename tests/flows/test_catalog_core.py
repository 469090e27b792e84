"""What ERPs and shops say of products, in our tables: complete, exact, and no mistake hidden."""

import json
from decimal import Decimal

import pytest

from resources.errors import RemoteError
from resources.sandbox.faults import Fault, Trouble
from resources.store import raw
from resources.store.engine import connected
from sync_assets.catalog import mapping, reading, sku_problems
from tests.catalogs import Catalog, catalog_of
from tests.worlds import World


@pytest.fixture
def catalog(world: World) -> Catalog:
    return catalog_of(world)


def said(world: World, table: str, key: str, body: dict[str, object]) -> None:
    """Let something be read."""
    now = world.clock()
    source = "odoo" if table.startswith("odoo") else "us"
    with connected(world.systems.engine) as connection:
        thing = raw.Said(key, now, json.dumps(body))
        raw.append(connection, table, [thing], raw.Reading(source, "delta", now))


def test_an_item_is_a_product_with_its_price_and_still_known_to_orders(catalog: Catalog) -> None:
    catalog.read()
    (product,) = catalog.world.rows(
        "select kind, name, is_active, is_for_sale, is_stocked from core.products where sku = 'TEA'"
    )
    assert product == {
        "kind": "simple",
        "name": "Tea",
        "is_active": True,
        "is_for_sale": True,
        "is_stocked": True,
    }
    prices = catalog.world.rows(
        "select price_list, kind, amount from core.prices where sku = 'TEA'"
    )
    assert prices == [{"price_list": "", "kind": "regular", "amount": Decimal("9.900000")}]
    (ref,) = catalog.world.rows("select name from core.product_refs where sku = 'TEA'")
    assert ref["name"] == "Tea"


def test_reading_again_what_did_not_change_keeps_no_version(catalog: Catalog) -> None:
    catalog.read()
    tally = reading.items(catalog.world.systems, "odoo", "run")
    assert (tally.seen, tally.new) == (6, 0)


def test_a_delta_of_items_brings_what_changed_and_is_no_whole_reading(catalog: Catalog) -> None:
    catalog.world.clock.forward(hours=2)
    catalog.read()
    catalog.world.clock.forward(hours=2)
    catalog.world.erp.set_price("TEA", Decimal("11.00"))
    tally = reading.items(catalog.world.systems, "odoo", "run", only_changed=True)
    assert (tally.seen, tally.new) == (1, 1)
    mapping.items(catalog.world.systems, "odoo", "run")
    (price,) = catalog.world.rows("select amount from core.prices where sku = 'TEA'")
    assert price["amount"] == Decimal("11")
    (mark,) = catalog.world.rows(
        "select complete_until from ops.watermark where source = 'odoo' and stream = 'items'"
    )
    assert mark["complete_until"] < catalog.world.clock()


def test_exact_numbers_are_kept_as_numbers_of_the_same_digits() -> None:
    text = reading.exact_text({"a": Decimal("19.90"), "b": Decimal("-1E+2"), "c": '"\\u0000'})
    assert text.startswith('{"a": 19.90, "b": -100, ')
    assert json.loads(text, parse_float=Decimal)["a"] == Decimal("19.90")


def test_an_item_that_cannot_be_read_is_set_aside_and_the_others_go_on(catalog: Catalog) -> None:
    known = {"id": 999, "default_code": "BAD", "active": True, "write_date": "2026-03-02 08:00:00"}
    said(catalog.world, "odoo__items", "999", known)
    catalog.read()
    assert catalog.world.open_codes("odoo:odoo__items:999") == {"thing.malformed"}
    (ref,) = catalog.world.rows("select item_id from core.product_refs where sku = 'BAD'")
    assert ref["item_id"] == 999
    skus = {row["sku"] for row in catalog.world.rows("select sku from core.products")}
    assert skus == {"TEA", "MUG", "POT", "SHIPPING", "FEE", "ROUNDING"}


def test_a_listing_the_table_cannot_hold_is_set_aside_and_its_neighbours_go_on(
    catalog: Catalog,
) -> None:
    shop = catalog.world.shops["us"]
    good, bad = shop.add_product("A", "Good", "1.00"), shop.add_product("B", "Bad", "2.00")
    catalog.world.clock.forward(seconds=2)
    reading.shop_things(catalog.world.systems, "us", "products", "run")
    catalog.world.execute(
        "update raw.woocommerce__products set payload = (jsonb_set(payload::jsonb, "
        "'{regular_price}', '\"123456789012345678.00\"'))::json where resource_id = :id",
        id=str(bad),
    )
    done = mapping.listings(catalog.world.systems, "run")
    assert (done.mapped, done.set_aside) == (1, 1)
    rows = catalog.world.rows("select product_id from core.listings")
    assert [row["product_id"] for row in rows] == [good]
    subject = f"us:woocommerce__products:{bad}"
    assert catalog.world.open_codes(subject) == {"thing.malformed"}
    catalog.world.clock.forward(seconds=2)
    shop.edit_product(bad, regular_price="3.00")
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    assert catalog.world.open_codes(subject) == set()


def test_a_listing_shows_its_categories_by_their_paths(catalog: Catalog) -> None:
    shop = catalog.world.shops["us"]
    home = shop.add_category("Home")
    office = shop.add_category("Office", home)
    shop.add_product("A", "Desk", "1.00", categories=[{"id": office}])
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    (row,) = catalog.world.rows("select categories from core.listings")
    assert row["categories"] == ["Home / Office"]


def test_a_category_that_is_new_since_is_read_with_the_product_that_names_it(
    catalog: Catalog,
) -> None:
    catalog.read()
    shop = catalog.world.shops["us"]
    catalog.world.clock.forward(minutes=1)
    garden = shop.add_category("Garden", shop.add_category("Home"))
    shop.add_product("A", "Spade", "1.00", categories=[{"id": garden}])
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    (row,) = catalog.world.rows("select categories from core.listings")
    assert row["categories"] == ["Home / Garden"]


def test_a_trashed_product_is_still_known_and_a_deleted_one_leaves_after_a_whole_reading(
    catalog: Catalog,
) -> None:
    shop = catalog.world.shops["us"]
    trashed, deleted = shop.add_product("A", "One", "1"), shop.add_product("B", "Two", "2")
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.world.clock.forward(minutes=1)
    shop.trash_product(trashed)
    shop.delete_product(deleted)
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    rows = catalog.world.rows("select sku, status from core.listings order by sku")
    assert [(row["sku"], row["status"]) for row in rows] == [("A", "trash"), ("B", "publish")]
    catalog.read(whole=True)
    rows = catalog.world.rows("select sku, status from core.listings order by sku")
    assert [(row["sku"], row["status"]) for row in rows] == [("A", "trash")]


def test_a_reading_that_breaks_off_takes_nothing_away(catalog: Catalog) -> None:

    shop = catalog.world.shops["us"]
    shop.add_product("A", "One", "1")
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    shop.faults.plan(Fault(Trouble.ERROR, "GET products", times=50))
    with pytest.raises(RemoteError):
        reading.shop_things(catalog.world.systems, "us", "products", "run", whole=True)
    mapping.listings(catalog.world.systems, "run")
    assert len(catalog.world.rows("select * from core.listings")) == 1


# SKUs that do not meet


def test_an_unknown_sku_is_told_with_its_nearest_and_closes_by_itself(catalog: Catalog) -> None:
    shop = catalog.world.shops["us"]
    product_id = shop.add_product("T-EA", "Tea", "1.00")
    shop.add_product("ZZZZ9", "Else", "1.00")
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    assert catalog.judge()["listing.sku_unknown"] == 2
    rows = catalog.world.rows(
        "select message, owner_role, sender_ref from ops.exception where state = 'open' "
        "and code = 'listing.sku_unknown' order by sender_ref"
    )
    assert rows == [
        {
            "message": "odoo has no such SKU; nearest: TEA",
            "owner_role": "operations",
            "sender_ref": "T-EA",
        },
        {
            "message": "odoo has no such SKU; nothing like it is there",
            "owner_role": "operations",
            "sender_ref": "ZZZZ9",
        },
    ]
    catalog.world.clock.forward(minutes=1)
    shop.edit_product(product_id, sku="TEA")
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    assert catalog.judge()["listing.sku_unknown"] == 1
    assert catalog.world.open_codes(f"us:listing:{product_id}") == set()


def test_a_missing_sku_and_a_doubled_one_are_told_on_both_sides(catalog: Catalog) -> None:
    world = catalog.world
    world.erp.add_product("", "Nameless", Decimal("1.00"))
    world.erp.add_product("tea", "Other tea", Decimal("1.00"))
    world.shops["us"].add_product("", "No SKU", "1.00")
    world.clock.forward(seconds=2)
    catalog.read()
    assert catalog.judge() == {
        "product.sku_missing": 1,
        "product.sku_doubled": 1,
        "listing.sku_missing": 1,
    }
    catalog.run()
    assert world.shops["us"].products_with("TEA") == []
    assert catalog.reason("TEA") == "more than one item of the ERP has this SKU"


def test_nothing_is_unknown_to_an_erp_that_nobody_has_read(catalog: Catalog) -> None:
    catalog.world.shops["us"].add_product("A", "One", "1.00")
    catalog.world.clock.forward(seconds=2)
    reading.shop_things(catalog.world.systems, "us", "products", "run")
    mapping.listings(catalog.world.systems, "run")
    assert catalog.judge() == {}


def test_where_too_many_are_unknown_only_the_first_are_searched_for(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sku_problems, "MOST_SEARCHED", 1)
    for sku in ("T-EA", "M-UG"):
        catalog.world.shops["us"].add_product(sku, sku, "1.00")
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.judge()
    rows = catalog.world.rows("select message from ops.exception order by id")
    assert [row["message"] for row in rows] == [
        "odoo has no such SKU; nearest: TEA",
        "odoo has no such SKU, one of 2",
    ]
