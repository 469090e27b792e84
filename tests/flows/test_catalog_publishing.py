"""Products from the ERP to the shops: made once, changed field by field, put back, put away."""

from decimal import Decimal

import pytest

from resources.sandbox.faults import Fault, Trouble
from resources.store import exceptions, outbox
from resources.store.engine import connected
from sync_assets.catalog.promotion import promote
from tests.catalogs import Catalog, catalog_of
from tests.worlds import World


@pytest.fixture
def catalog(world: World) -> Catalog:
    return catalog_of(world)


def test_a_product_is_made_once_and_a_second_run_writes_nothing(catalog: Catalog) -> None:
    planned, sent = catalog.run()
    assert (planned.actions, sent.created) == ({"create": 3, "none": 3}, 3)
    tea = catalog.shown("TEA")
    assert (tea["name"], tea["regular_price"], tea["status"]) == ("Tea", "9.90", "publish")
    before = catalog.writes()
    planned, sent = catalog.run()
    assert (planned.actions, sent.created, sent.changed) == ({"none": 6}, 0, 0)
    assert catalog.writes() == before


def test_what_only_stands_on_orders_is_never_made(catalog: Catalog) -> None:
    catalog.run()
    assert catalog.world.shops["us"].products_with("SHIPPING") == []
    assert catalog.reason("SHIPPING") == "stands on orders only"


def test_a_new_price_of_the_erp_changes_that_field_alone(catalog: Catalog) -> None:
    catalog.run()
    catalog.world.shops["us"].edit_product(catalog.shown("TEA")["id"], description="Fine tea")
    catalog.world.erp.set_price("TEA", Decimal("11.00"))
    planned, sent = catalog.run()
    assert (planned.actions["change"], planned.foreign, sent.changed) == (1, {}, 1)
    tea = catalog.shown("TEA")
    assert (tea["regular_price"], tea["description"]) == ("11.00", "<p>Fine tea</p>\n")
    (row,) = catalog.world.rows(
        "select outcome, written from receipt.woocommerce__products where key = 'TEA'"
    )
    assert (row["outcome"], row["written"]["regular_price"]) == ("changed", "11")


def test_a_price_changed_in_the_shop_is_put_back_and_counted(catalog: Catalog) -> None:
    catalog.run()
    catalog.world.shops["us"].edit_product(catalog.shown("TEA")["id"], regular_price="1.00")
    planned, sent = catalog.run()
    assert (planned.foreign, sent.changed) == ({"put_back": 1}, 1)
    assert catalog.shown("TEA")["regular_price"] == "9.90"
    planned, sent = catalog.run()
    assert (planned.actions, sent.changed) == ({"none": 6}, 0)


def test_a_price_changed_in_the_shop_again_and_again_is_put_back_each_time(
    catalog: Catalog,
) -> None:
    catalog.run()
    for price in ("1.00", "2.00", "1.00"):
        catalog.world.shops["us"].edit_product(catalog.shown("TEA")["id"], regular_price=price)
        _, sent = catalog.run()
        assert sent.changed == 1
        assert catalog.shown("TEA")["regular_price"] == "9.90"


def test_a_change_that_is_to_be_raised_is_an_exception_and_is_not_written(world: World) -> None:
    raising = {"regular_price": {"owner": "erp", "on_foreign_change": "raise"}}
    catalog = catalog_of(world, fields=raising)
    catalog.run()
    product_id = catalog.shown("TEA")["id"]
    world.shops["us"].edit_product(product_id, regular_price="1.00")
    before = catalog.writes()
    planned, _ = catalog.run()
    assert (planned.actions["conflict"], planned.foreign) == (1, {"raised": 1})
    assert (catalog.shown("TEA")["regular_price"], catalog.writes()) == ("1.00", before)
    assert world.open_codes("us:product:TEA") == {"catalog.field_conflict"}
    world.shops["us"].edit_product(product_id, regular_price="9.90")
    catalog.run()
    assert world.open_codes("us:product:TEA") == set()


def test_an_accepted_change_stays_until_the_erp_says_something_new(world: World) -> None:
    accepting = {"regular_price": {"owner": "erp", "on_foreign_change": "accept"}}
    catalog = catalog_of(world, fields=accepting)
    catalog.run()
    world.shops["us"].edit_product(catalog.shown("TEA")["id"], regular_price="1.00")
    planned, _ = catalog.run()
    assert planned.foreign == {"accepted": 1}
    assert catalog.shown("TEA")["regular_price"] == "1.00"
    world.erp.set_price("TEA", Decimal("12.00"))
    catalog.run()
    assert catalog.shown("TEA")["regular_price"] == "12.00"


def test_what_the_shop_owns_is_left_alone_and_stands_in_the_report(catalog: Catalog) -> None:
    catalog.run()
    catalog.world.shops["us"].edit_product(catalog.shown("TEA")["id"], name="Golden Tea")
    before = catalog.writes()
    planned, _ = catalog.run()
    assert (planned.actions, catalog.writes()) == ({"none": 6}, before)
    rows = catalog.world.rows(
        "select key, field, wanted, seen, owner, treatment from core.listing_mismatches"
    )
    assert rows == [
        {
            "key": "TEA",
            "field": "name",
            "wanted": "Tea",
            "seen": "Golden Tea",
            "owner": "shop",
            "treatment": "accepted",
        }
    ]


def test_a_listing_that_was_there_before_is_taken_over_not_doubled(catalog: Catalog) -> None:
    shop = catalog.world.shops["us"]
    product_id = shop.add_product("tea", "Old Tea", "7.00")
    _, sent = catalog.run()
    assert shop.products_with("TEA") == [product_id]
    tea = catalog.shown("TEA")
    assert (tea["name"], tea["regular_price"], sent.created) == ("Old Tea", "9.90", 2)
    (row,) = catalog.world.rows(
        "select product_id, outcome from receipt.woocommerce__products where key = 'TEA'"
    )
    assert row["product_id"] == product_id


def test_a_listing_made_after_the_plan_is_found_by_its_sku_and_not_doubled(
    catalog: Catalog,
) -> None:
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    product_id = catalog.world.shops["us"].add_product("TEA", "Somebody's Tea", "7.00")
    sent = catalog.send()
    assert catalog.world.shops["us"].products_with("TEA") == [product_id]
    assert (sent.created, sent.adopted) == (2, 1)


def test_twins_of_a_sku_are_a_conflict_and_nothing_of_them_is_written(catalog: Catalog) -> None:
    shop = catalog.world.shops["us"]
    shop.admit_twins()
    shop.add_product("TEA", "One", "7.00")
    shop.add_product("TEA", "Two", "8.00")
    catalog.run()
    assert catalog.plans()["TEA"] == "conflict"
    assert [shop.product_json(i)["regular_price"] for i in shop.products_with("TEA")] == [
        "7.00",
        "8.00",
    ]
    assert catalog.judge()["listing.sku_doubled"] == 1


# Families, kits, services


def test_a_family_becomes_a_parent_with_its_variations(catalog: Catalog) -> None:
    erp = catalog.world.erp
    erp.add_variants(
        "Shirt",
        Decimal("20.00"),
        {"SH-S": {"Size": "S"}, "SH-M": {"Size": "M"}},
        extra={"M": Decimal("2.00")},
    )
    _, sent = catalog.run()
    assert (sent.created, sent.parked) == (6, 0)
    small, middle = catalog.shown("SH-S"), catalog.shown("SH-M")
    assert small["type"] == "variation"
    assert (small["regular_price"], middle["regular_price"]) == ("20.00", "22.00")
    assert small["parent_id"] == middle["parent_id"]
    parent = catalog.world.shops["us"].product_json(small["parent_id"])
    assert (parent["name"], parent["type"]) == ("Shirt", "variable")
    assert parent["attributes"][0]["options"] == ["S", "M"]
    before = catalog.writes()
    planned, _ = catalog.run()
    assert (planned.actions, catalog.writes()) == ({"none": 9}, before)


def test_a_kit_is_sold_as_one_product_and_its_components_are_known(catalog: Catalog) -> None:
    catalog.world.erp.add_kit("SET", "Tea set", Decimal("40.00"), {"TEA": 2, "POT": 1})
    catalog.run()
    assert catalog.shown("SET")["type"] == "simple"
    rows = catalog.world.rows(
        "select component_sku, component_units from core.product_components where sku = 'SET' "
        "order by 1"
    )
    assert rows == [
        {"component_sku": "POT", "component_units": Decimal(1)},
        {"component_sku": "TEA", "component_units": Decimal(2)},
    ]


def test_a_service_is_left_out_unless_the_policy_wants_it(world: World) -> None:
    world.erp.add_product("WRAP", "Gift wrap", Decimal("3.00"), kind="service")
    catalog = catalog_of(world)
    catalog.run()
    assert (world.shops["us"].products_with("WRAP"), catalog.reason("WRAP")) == ([], "a service")
    wider = catalog_of(world, publishes_services=True)
    wider.run()
    assert wider.shown("WRAP")["virtual"] is True


def test_without_a_price_in_its_list_a_product_is_not_published(world: World) -> None:
    world.erp.add_price_list("Retail", "USD")
    world.erp.set_price("TEA", Decimal("8.80"), price_list="Retail")
    catalog = catalog_of(world, price_list="Retail")
    catalog.run()
    assert catalog.shown("TEA")["regular_price"] == "8.80"
    assert world.shops["us"].products_with("MUG") == []
    assert catalog.reason("MUG") == "no price in price list 'Retail'"


def test_one_number_is_no_price_in_two_currencies(world: World) -> None:
    catalog = catalog_of(world, own_price_currency="GBP")
    catalog.run("us")
    assert world.shops["us"].count_products() == 0
    assert catalog.reason("TEA") in ("no price in USD in the ERP",)


# Archived


def test_an_archived_product_becomes_a_draft_and_comes_back(catalog: Catalog) -> None:
    catalog.run()
    catalog.world.erp.archive("TEA")
    _, sent = catalog.run()
    assert (sent.archived, catalog.shown("TEA")["status"]) == (1, "draft")
    _, sent = catalog.run()
    assert sent.archived == 0
    catalog.world.erp.archive("TEA", active=True)
    _, sent = catalog.run()
    assert (sent.changed, catalog.shown("TEA")["status"]) == (1, "publish")


def test_an_archived_product_goes_to_the_trash_where_the_policy_says_so(world: World) -> None:
    catalog = catalog_of(world, archived_becomes="trash")
    catalog.run()
    product_id = catalog.shown("TEA")["id"]
    world.erp.archive("TEA")
    _, sent = catalog.run()
    assert sent.archived == 1
    assert world.shops["us"].product_json(product_id)["status"] == "trash"
    _, sent = catalog.run()
    assert (sent.archived, sent.changed, sent.created) == (0, 0, 0)
    world.erp.archive("TEA", active=True)
    catalog.run()
    assert world.shops["us"].product_json(product_id)["status"] == "publish"


def test_a_product_that_never_was_published_is_not_made_when_it_is_archived(
    catalog: Catalog,
) -> None:
    catalog.world.erp.archive("TEA")
    catalog.run()
    assert catalog.world.shops["us"].products_with("TEA") == []


# Gone, changed SKU


def test_a_product_deleted_in_the_shop_is_made_again(catalog: Catalog) -> None:
    catalog.run()
    catalog.world.shops["us"].delete_product(catalog.shown("TEA")["id"])
    catalog.world.clock.forward(minutes=1)
    catalog.read(whole=True)
    assert catalog.world.rows("select * from core.listings where sku = 'TEA'") == []
    catalog.plan()
    assert catalog.plans()["TEA"] == "create"
    catalog.world.clock.forward(seconds=2)
    assert catalog.send().created == 1
    assert catalog.shown("TEA")["regular_price"] == "9.90"


def test_a_sku_changed_in_the_shop_is_a_conflict_not_a_second_product(catalog: Catalog) -> None:
    catalog.run()
    shop = catalog.world.shops["us"]
    shop.edit_product(catalog.shown("TEA")["id"], sku="TEE")
    catalog.run()
    assert (catalog.plans()["TEA"], shop.products_with("TEA")) == ("conflict", [])
    assert catalog.world.open_codes("us:product:TEA") == {"catalog.field_conflict"}


# Trouble on the way


def test_one_refused_product_is_parked_and_its_neighbours_go_on(catalog: Catalog) -> None:
    shop = catalog.world.shops["us"]
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    catalog.world.execute(
        "update plan.woocommerce__products set wanted = jsonb_set(wanted, '{tax_class}', "
        "to_jsonb('no-such-class'::text)) where key = 'TEA'"
    )
    sent = catalog.send()
    assert (sent.created, sent.parked) == (2, 1)
    assert catalog.world.outbox()["us:product:MUG"] == "done"
    assert catalog.world.open_codes("us:product:TEA") == {"product.refused"}
    assert len(shop.products_with("MUG")) == 1


def test_a_lost_answer_is_looked_up_and_makes_no_twin(catalog: Catalog) -> None:
    shop = catalog.world.shops["us"]
    shop.faults.plan(Fault(Trouble.CUT_AFTER, "POST products/batch"))
    _, sent = catalog.run()
    assert {sku: len(shop.products_with(sku)) for sku in ("TEA", "MUG", "POT")} == {
        "TEA": 1,
        "MUG": 1,
        "POT": 1,
    }
    assert sent.parked == 0
    catalog.world.clock.forward(minutes=30)
    catalog.run()
    assert {state for thing, state in catalog.world.outbox().items()} == {"done"}


def test_a_shop_that_is_away_keeps_its_writes_waiting(catalog: Catalog) -> None:
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    shop = catalog.world.shops["us"]
    shop.faults.plan(Fault(Trouble.ERROR, "GET products", times=50))
    sent = catalog.send()
    assert (sent.created, sent.parked, sent.later) == (0, 0, 3)
    assert shop.count_products() == 0
    shop.faults.clear()
    catalog.world.clock.forward(minutes=30)
    assert catalog.send().created == 3


def test_a_price_that_a_newer_plan_replaced_is_not_sent(catalog: Catalog) -> None:
    catalog.run()
    catalog.world.erp.set_price("TEA", Decimal("11.00"))
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    promote(catalog.world.systems, "us")
    catalog.world.erp.set_price("TEA", Decimal("9.90"))
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    before = catalog.writes()
    catalog.send()
    assert (catalog.writes(), catalog.shown("TEA")["regular_price"]) == (before, "9.90")
    assert catalog.world.outbox()["us:product:TEA"] in ("done", "refused")


# Deltas and groups


def test_an_urgent_plan_looks_only_at_what_changed(catalog: Catalog) -> None:
    for _ in range(2):  # the first delta after a push shows the push
        catalog.run()
        catalog.world.clock.forward(hours=1)
    catalog.plan()
    catalog.world.clock.forward(hours=1)
    catalog.world.erp.set_price("TEA", Decimal("11.00"))
    catalog.world.clock.forward(seconds=2)
    catalog.read(only_changed=True)
    planned = catalog.plan(only_new=True)
    assert planned.looked_at == 1
    assert catalog.plans()["TEA"] == "change"
    catalog.world.clock.forward(seconds=2)
    assert catalog.send().changed == 1


def test_a_group_is_planned_without_the_others(catalog: Catalog) -> None:
    catalog.world.erp.set_category("TEA", "All", "Drinks")
    catalog.world.clock.forward(seconds=2)
    catalog.read()
    planned = catalog.plan(groups=["All / Drinks"])
    assert (planned.looked_at, set(catalog.plans())) == (1, {"TEA"})
    catalog.world.clock.forward(seconds=2)
    assert catalog.send().created == 1
    assert [c["name"] for c in catalog.shown("TEA")["categories"]] == ["Drinks"]


def test_stores_are_planned_and_sent_apart(catalog: Catalog) -> None:
    catalog.run("us")
    assert catalog.world.shops["uk"].count_products() == 0
    catalog.run("uk")
    assert catalog.shown("TEA", "uk")["regular_price"] == "9.90"


def test_a_parked_product_is_sent_again_when_a_person_says_so(catalog: Catalog) -> None:
    world = catalog.world
    world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    spoilt = (
        "update plan.woocommerce__products set wanted = jsonb_set(wanted, '{tax_class}', "
        "to_jsonb(cast(:name as text))) where key = 'TEA'"
    )
    world.execute(spoilt, name="no-such-class")
    catalog.send()
    (row,) = world.rows("select subject_ref from ops.exception where code = 'product.refused'")
    with connected(world.systems.engine) as connection:
        assert exceptions.parked_behind(connection, "product.refused") == ["us:product:TEA"]
        assert outbox.retry_parked(connection, None, row["subject_ref"], world.clock()) == 1
    assert catalog.send().parked == 1
    assert world.open_codes("us:product:TEA") == {"product.refused"}


def test_a_parked_write_that_no_plan_wants_any_more_ends_with_its_exception(
    catalog: Catalog,
) -> None:
    world = catalog.world
    world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    world.execute(
        "update plan.woocommerce__products set wanted = jsonb_set(wanted, '{tax_class}', "
        "to_jsonb('no-such-class'::text)) where key = 'TEA'"
    )
    assert catalog.send().parked == 1
    world.clock.forward(minutes=5)
    catalog.run()
    assert catalog.plans()["TEA"] == "none"
    assert world.outbox()["us:product:TEA"] == "refused"
    assert world.open_codes("us:product:TEA") == set()


def test_a_store_that_publishes_no_products_is_planned_and_nothing_is_written_there(
    catalog: Catalog,
) -> None:
    systems = catalog.world.systems
    stores = {
        name: store.model_copy(update={"publishes": ("stock",)})
        for name, store in systems.settings.stores.items()
    }
    systems.settings = systems.settings.model_copy(update={"stores": stores})
    planned, sent = catalog.run()
    assert (planned.actions, sent.created) == ({"create": 3, "none": 3}, 0)
    assert catalog.writes() == 0
    assert catalog.world.shops["us"].products_with("TEA") == []
