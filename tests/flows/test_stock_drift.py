"""Whole stores compared with our numbers, and what is promised compared with what is there."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from checks import stock_agreement
from resources.store import postgres
from sync_assets.domain.drift import Kind, Verdict
from sync_assets.inventory import drift, shortfalls
from tests import published
from tests.desk import desk, said
from tests.published import number, open_shops, plan, publish, read_listings, receipts, release
from tests.worlds import SKUS, World


@pytest.fixture
def shops(world: World) -> World:
    """Both shops show ten pieces of each of three SKUs, as they should."""
    open_shops(world)
    for store in world.shops:
        for sku in SKUS:
            number(world, sku, 10, store)
    plan(world)
    published.count_orders(world)
    return world


def compare(world: World, store: str = "us") -> Verdict:
    """Compare one store, a moment later."""
    world.clock.forward(seconds=1)
    return drift.compare(world.systems, store, "run")


def drifted(world: World) -> list[tuple[object, ...]]:
    """SKU, kind, wanted, seen, money and treatment of all that was ever found."""
    rows = world.rows("select * from core.stock_drift order by compared_at, kind, sku")
    names = ("sku", "kind", "wanted_units", "seen_units", "exposed_amount", "treatment")
    return [tuple(row[name] for name in names) for row in rows]


def test_a_store_that_agrees_has_no_drift(shops: World) -> None:
    found = compare(shops)
    assert (found.compared, found.differences) == (3, ())
    (row,) = shops.rows("select * from core.stock_comparisons")
    assert (row["compared"], row["different"], row["healed"], row["raised"]) == (3, 0, 0, 0)


def test_a_number_written_past_the_shop_is_found_and_put_right(shops: World) -> None:
    shops.shops["us"].overwrite_stock("TEA", 14)
    assert publish(shops).outcomes == {}
    found = compare(shops)
    assert (found.wrong, found.off_units, found.exposed_amount) == (1, 4, Decimal("39.60"))
    assert drifted(shops) == [("TEA", "different", 10, 14, Decimal("39.60"), "healed")]
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 10
    assert compare(shops).differences == ()


def test_what_is_on_its_way_is_no_drift(shops: World) -> None:
    number(shops, "TEA", 4)
    assert compare(shops).differences == ()
    plan(shops)
    assert compare(shops).differences == ()


def test_a_sale_whose_order_is_not_counted_yet_is_no_drift(shops: World) -> None:
    shops.clock.forward(seconds=30)
    shops.place("us", lines={"TEA": 2})
    assert compare(shops).differences == ()
    published.count_orders(shops)
    assert [one.sku for one in compare(shops).differences] == ["TEA"]


def test_a_listing_that_is_gone_is_missing_and_not_planned_any_more(shops: World) -> None:
    (tea,) = shops.shops["us"].products_with("TEA")
    shops.shops["us"].delete_product(tea)
    assert [one.kind for one in compare(shops).differences] == ["missing"]
    number(shops, "TEA", 4)
    assert plan(shops)["us"].actions == {}
    assert compare(shops).differences == ()


def test_stock_we_have_no_number_for_is_told_and_not_touched(shops: World) -> None:
    shops.shops["us"].add_product("CUP", "Cup", "3.00", units=9)
    found = compare(shops)
    assert (found.count(Kind.EXTRA), found.wrong) == (1, 0)
    assert drifted(shops) == [("CUP", "extra", None, 9, Decimal(0), "ignored")]
    assert shops.shops["us"].stock_of("CUP") == 9


def test_more_drift_than_the_cap_is_a_persons_and_heals_once_released(shops: World) -> None:
    for one in range(12):
        shops.shops["us"].add_product(f"S{one}", "Thing", "1.00", units=5)
        number(shops, f"S{one}", 5)
    read_listings(shops, "us")
    plan(shops)
    published.count_orders(shops)
    for one in range(12):
        shops.shops["us"].overwrite_stock(f"S{one}", 8)
    assert not compare(shops).heals
    (row,) = shops.rows("select * from ops.exception where state = 'open'")
    assert (row["code"], row["amount"], row["currency"]) == ("stock.drift", Decimal(36), "USD")
    assert publish(shops).outcomes == {}
    assert shops.shops["us"].stock_of("S0") == 8
    release(shops, "stock.drift")
    assert compare(shops).heals
    publish(shops)
    assert {shops.shops["us"].stock_of(f"S{one}") for one in range(12)} == {5}


def test_drift_of_one_store_is_not_another_stores(shops: World) -> None:
    shops.shops["us"].overwrite_stock("TEA", 14)
    assert compare(shops, "uk").differences == ()


def test_the_last_comparison_is_shown_and_a_new_one_can_be_asked_for(
    world: World, database: postgres.Databases, tmp_path: Path
) -> None:
    with desk(world, database, tmp_path):
        open_shops(world)
        number(world, "TEA", 10)
        plan(world)
        assert said("drift", "--json").json["never_compared"] == ["uk", "us"]
        published.count_orders(world)
        world.shops["us"].overwrite_stock("TEA", 14)
        told = said("drift", "--store", "us", "--now", "--json")
        (row,) = told.json["stores"]
        assert (told.code, row["different"], row["off_units"], row["healed"]) == (0, 1, 4, 1)
        assert row["differences"][0]["sku"] == "TEA"
        assert "us: the dearest differences" in said("drift").out
        assert said("drift", "--store", "de").sentence() == (
            "There is no store 'de'; stores: uk, us."
        )


# ---------------------------------------------------------------- shortfalls


def level(world: World, sku: str, on_hand: int, allocated: int = 0, quarantined: int = 0) -> None:
    """Let a location hold so much of a SKU from now on."""
    world.clock.forward(seconds=1)
    at = {"sku": sku, "at": world.clock()}
    world.execute(
        "update core.stock_level_versions set replaced_at = :at "
        "where sku = :sku and replaced_at is null",
        **at,
    )
    world.execute(
        "insert into core.stock_level_versions (sku, location, source, on_hand_units, "
        "allocated_units, quarantined_units, incoming_units, true_at, known_at) "
        "values (:sku, 'us1', 'odoo', :on_hand, :allocated, :quarantined, 0, :at, :at)",
        **at,
        on_hand=on_hand,
        allocated=allocated,
        quarantined=quarantined,
    )


def reserve(world: World, order: int, sku: str, units: int) -> None:
    """Let an order hold pieces that no reading shows yet."""
    world.execute(
        "insert into core.reservation_versions (order_ref, sku, location, promised_units, "
        "allocated_units, open_units, state, reserved_at, core_version, known_at) "
        "values (:ref, :sku, 'us1', :units, 0, :units, 'open', :at, 1, :at)",
        ref=f"us:{order}",
        sku=sku,
        units=units,
        at=world.clock(),
    )


def test_a_shortfall_names_the_newest_orders_and_their_money_and_ends_by_itself(
    world: World,
) -> None:
    orders = []
    for _ in range(2):
        orders.append(world.place("us", lines={"TEA": 4}))
        world.clock.forward(seconds=5)
    world.read()
    world.core()
    level(world, "TEA", 10, allocated=2, quarantined=1)
    for order in orders:
        reserve(world, order, "TEA", 4)
        world.clock.forward(seconds=1)
    assert shortfalls.find(world.systems, "run") == shortfalls.Short(1, 1, 0, 1)
    (row,) = world.rows("select * from core.stock_shortfalls")
    assert (row["promised_units"], row["available_units"], row["short_units"]) == (10, 9, 1)
    assert row["order_refs"] == [f"us:{orders[1]}", f"us:{orders[0]}"]
    (told,) = world.rows("select * from ops.exception where code = 'stock.shortfall'")
    assert (told["subject_ref"], told["amount"], told["currency"]) == (
        "stock:us1:TEA",
        Decimal("79.20"),
        "USD",
    )
    assert shortfalls.find(world.systems, "run") == shortfalls.Short(1, 0, 0, 1)
    level(world, "TEA", 11, allocated=2, quarantined=1)
    assert shortfalls.find(world.systems, "run") == shortfalls.Short(0, 0, 1, 0)
    assert world.open_codes("stock:us1:TEA") == set()
    (row,) = world.rows("select * from core.stock_shortfalls")
    assert row["ended_at"] == world.clock()


def test_as_much_promised_as_there_is_is_no_shortfall(world: World) -> None:
    level(world, "TEA", 5, allocated=5)
    assert shortfalls.find(world.systems, "run").open == 0


def test_what_is_promised_of_nothing_we_know_of_is_short(world: World) -> None:
    reserve(world, 7, "GHOST", 3)
    assert shortfalls.find(world.systems, "run").units == 3


def test_what_is_sold_beyond_its_stock_on_purpose_is_short_only_beyond_the_limit(
    world: World,
) -> None:
    level(world, "TEA", 0, allocated=3)
    number(world, "TEA", 0, backorder=2)
    assert shortfalls.find(world.systems, "run").open == 0
    number(world, "TEA", 0, backorder=0)
    assert shortfalls.find(world.systems, "run").open == 1


# ---------------------------------------------------------------- checks


def promised(world: World) -> dg.AssetCheckResult:
    """Whether all that is promised is there."""
    answer = stock_agreement.promised_is_there(systems=world.systems)
    assert isinstance(answer, dg.AssetCheckResult)
    return answer


def shown(world: World) -> dg.AssetCheckResult:
    """Whether shops show our numbers."""
    answer = stock_agreement.shops_show_it(systems=world.systems)
    assert isinstance(answer, dg.AssetCheckResult)
    return answer


def test_the_checks_count_what_is_short_and_what_shops_show_wrongly(shops: World) -> None:
    assert promised(shops).passed
    assert shown(shops).passed
    level(shops, "TEA", 1, allocated=3)
    shortfalls.find(shops.systems, "run")
    found = promised(shops)
    assert not found.passed
    assert found.metadata["short_keys"].value == "TEA in us1"
    number(shops, "TEA", 3)
    plan(shops)
    assert shown(shops).passed
    shops.clock.at += timedelta(minutes=6)
    found = shown(shops)
    assert (found.passed, found.metadata["late_keys"].value) == (False, "us:TEA")
    publish(shops)
    assert shown(shops).passed
    assert receipts(shops) == [("TEA", "set", 10, 0, 3, 3)]
