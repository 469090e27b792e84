"""From a number to a shop: only differences are sent, compared before and read back after."""

import dagster as dg
import pytest

from checks import stock_agreement
from resources.store import inbox
from resources.store.engine import connected
from sensors import pending, stock
from sync_assets.inventory import hints, planning, promoting, sending
from sync_assets.orders import hints as order_hints
from tests import published
from tests.published import (
    count_orders,
    marks,
    number,
    open_shops,
    plan,
    planned,
    publish,
    receipts,
    release,
)
from tests.worlds import World

BATCH = "POST products/batch"


@pytest.fixture
def shops(world: World) -> World:
    """Both shops show ten pieces of each of three SKUs, and every order is counted."""
    open_shops(world)
    return world


def writes(world: World, store: str = "us") -> int:
    """How often a shop was written to."""
    return world.shops[store].calls[BATCH]


def test_a_number_that_differs_is_written_once_and_read_back(shops: World) -> None:
    number(shops, "TEA", 7)
    sent = publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 7
    assert shops.shops["uk"].stock_of("TEA") == 10
    assert sent.outcomes == {"set": 1}
    assert receipts(shops) == [("TEA", "set", 10, 0, 7, 7)]
    assert planned(shops) == {}
    assert publish(shops).outcomes == {}
    assert writes(shops) == 1


def test_what_agrees_has_no_row_and_costs_no_call(shops: World) -> None:
    number(shops, "TEA", 10)
    calls = sum(shops.shops["us"].calls.values())
    assert plan(shops)["us"].actions == {}
    assert sending.send_stock(shops.systems, "us", "run").outcomes == {}
    assert sum(shops.shops["us"].calls.values()) == calls


def test_our_own_write_shown_back_is_no_news(shops: World) -> None:
    number(shops, "TEA", 7)
    publish(shops)
    assert marks(shops) == set()
    published.read_listings(shops, "us")
    assert marks(shops) == set()


def test_the_newest_number_is_sent_not_the_one_that_was_leased(shops: World) -> None:
    number(shops, "TEA", 7)
    plan(shops)
    promoting.promote(shops.systems, "us")
    number(shops, "TEA", 5)
    plan(shops)
    sending.send_stock(shops.systems, "us", "run")
    assert receipts(shops) == [("TEA", "set", 10, 0, 5, 5)]


def test_a_number_nobody_wants_any_more_is_withdrawn(shops: World) -> None:
    number(shops, "TEA", 7)
    plan(shops)
    promoting.promote(shops.systems, "us")
    number(shops, "TEA", 10)
    plan(shops)
    assert sending.send_stock(shops.systems, "us", "run").outcomes == {}
    assert writes(shops) == 0
    assert set(shops.outbox().values()) == {"refused"}
    number(shops, "TEA", 6)
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 6


def test_what_the_shop_shows_already_is_not_written(shops: World) -> None:
    number(shops, "TEA", 8)
    plan(shops)
    shops.place("us", lines={"TEA": 2})
    assert sending.send_stock(shops.systems, "us", "run").outcomes == {"already": 1}
    assert writes(shops) == 0
    assert receipts(shops) == [("TEA", "already", 8, 0, None, 8)]


def test_what_the_shop_sold_since_we_looked_is_taken_off(shops: World) -> None:
    number(shops, "TEA", 15)
    plan(shops)
    shops.place("us", lines={"TEA": 2})
    assert sending.send_stock(shops.systems, "us", "run").outcomes == {"adjusted": 1}
    assert shops.shops["us"].stock_of("TEA") == 13
    assert receipts(shops) == [("TEA", "adjusted", 8, 2, 13, 13)]


def test_after_an_unseen_sale_nothing_rises_before_the_order_is_counted(shops: World) -> None:
    number(shops, "TEA", 15)
    plan(shops)
    shops.place("us", lines={"TEA": 2})
    sending.send_stock(shops.systems, "us", "run")
    publish(shops)
    assert planned(shops) == {"TEA": ("held", "orders_unread", 15, 13)}
    assert shops.shops["us"].stock_of("TEA") == 13
    number(shops, "TEA", 13)
    count_orders(shops)
    publish(shops)
    assert planned(shops) == {}
    assert shops.shops["us"].stock_of("TEA") == 13


def test_a_lower_number_read_from_the_shop_is_not_lifted_before_its_order_is_counted(
    shops: World,
) -> None:
    number(shops, "TEA", 10)
    shops.clock.forward(seconds=1)
    shops.place("us", lines={"TEA": 1})
    published.read_listings(shops, "us")
    publish(shops)
    assert planned(shops) == {"TEA": ("held", "orders_unread", 10, 9)}
    assert shops.shops["us"].stock_of("TEA") == 9
    count_orders(shops)  # it was no order but a hand in the shop: ours counts
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 10


def test_our_own_write_a_moment_ago_does_not_make_the_next_increase_wait(shops: World) -> None:
    number(shops, "TEA", 7)
    publish(shops)
    number(shops, "TEA", 12)
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 12
    assert [row[1] for row in receipts(shops)] == ["set", "set"]


def test_numbers_at_and_below_zero_are_one_number(shops: World) -> None:
    shops.shops["us"].set_stock("TEA", -2)
    published.read_listings(shops, "us")
    number(shops, "TEA", 0)
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == -2
    assert writes(shops) == 0


def test_backorders_are_on_while_something_may_be_promised_beyond_the_stock(shops: World) -> None:
    number(shops, "TEA", 4, backorder=6, lead_days=9)
    publish(shops)
    (tea,) = shops.shops["us"].products_with("TEA")
    shown = shops.shops["us"].product_json(tea)
    assert (shown["stock_quantity"], shown["backorders"]) == (4, "notify")
    assert {"sync_lead_days": "9"}.items() <= {
        note["key"]: note["value"] for note in shown["meta_data"]
    }.items()
    assert publish(shops).outcomes == {}
    number(shops, "TEA", 4)
    publish(shops)
    shown = shops.shops["us"].product_json(tea)
    assert (shown["backorders"], shown["meta_data"]) == ("no", [])


def test_a_listing_that_keeps_no_stock_starts_to(shops: World) -> None:
    shops.shops["us"].add_product("CUP", "Cup", "3.00")
    published.read_listings(shops, "us")
    number(shops, "CUP", 3)
    plan(shops)
    assert planned(shops) == {"CUP": ("set", "starts_managing", 3, None)}
    sending.send_stock(shops.systems, "us", "run")
    assert shops.shops["us"].stock_of("CUP") == 3


def test_variations_are_written_through_their_parent(shops: World) -> None:
    sizes = [
        {"sku": f"TEE-{size}", "price": "9", "units": 5, "attributes": {"Size": size}}
        for size in ("S", "M")
    ]
    shops.shops["us"].add_variable("TEE", "Tee", sizes)
    published.read_listings(shops, "us")
    number(shops, "TEE-S", 2)
    publish(shops)
    assert shops.shops["us"].stock_of("TEE-S") == 2
    assert shops.shops["us"].stock_of("TEE-M") == 5


def test_a_variation_whose_parent_keeps_the_stock_is_told_and_left_alone(shops: World) -> None:
    sizes = [{"sku": "TEE-S", "price": "9", "attributes": {"Size": "S"}}]
    given = {"manage_stock": True, "stock_quantity": 6}
    _, small = shops.shops["us"].add_variable("TEE", "Tee", sizes, **given)
    published.read_listings(shops, "us")
    number(shops, "TEE-S", 2)
    publish(shops)
    assert planned(shops) == {"TEE-S": ("conflict", "managed_by_parent", 2, None)}
    assert shops.open_codes(f"us:listing:{small}") == {"stock.managed_by_parent"}
    assert writes(shops) == 0
    number(shops, "TEE", 4)
    plan(shops, only_stale=False)
    assert planned(shops) == {"TEE": ("set", None, 4, 6)}
    assert shops.open_codes(f"us:listing:{small}") == set()


def test_twins_of_a_sku_get_no_number(shops: World) -> None:
    shops.shops["us"].admit_twins()
    shops.shops["us"].add_product("TEA", "Other tea", "9.90", units=10)
    published.read_listings(shops, "us")
    number(shops, "TEA", 4)
    publish(shops)
    assert planned(shops) == {"TEA": ("conflict", "sku_doubled", 4, 10)}
    assert writes(shops) == 0


def test_a_sku_is_found_whatever_its_letter_case(shops: World) -> None:
    shops.shops["us"].add_product("Cup-1", "Cup", "3.00", units=9)
    published.read_listings(shops, "us")
    number(shops, "CUP-1", 3)
    publish(shops)
    assert shops.shops["us"].stock_of("Cup-1") == 3


def test_listings_without_a_number_are_left_alone_and_counted(shops: World) -> None:
    number(shops, "TEA", 10)
    found = plan(shops, only_stale=False)["us"]
    assert found.without_number == 2
    assert (found.actions, writes(shops)) == ({}, 0)


def test_a_product_that_is_gone_is_told_and_ends_nobody_elses_write(shops: World) -> None:
    number(shops, "TEA", 4)
    number(shops, "MUG", 5)
    plan(shops)
    (tea,) = shops.shops["us"].products_with("TEA")
    shops.shops["us"].delete_product(tea)
    assert sending.send_stock(shops.systems, "us", "run").outcomes == {"set": 1}
    assert shops.shops["us"].stock_of("MUG") == 5
    assert shops.open_codes(f"us:stock:{tea}") == {"stock.listing_gone"}
    assert receipts(shops)[0][:2] == ("TEA", "refused")
    assert publish(shops).parked == 0
    shops.execute("delete from core.listings where product_id = :id", id=tea)
    plan(shops, only_stale=False)
    sending.send_stock(shops.systems, "us", "run")
    assert shops.open_codes(f"us:stock:{tea}") == set()


def test_a_mass_drop_waits_for_a_person_and_other_numbers_go_on(shops: World) -> None:
    for one in range(60):
        shops.shops["us"].add_product(f"S{one}", "Thing", "1.00", units=5)
    published.read_listings(shops, "us")
    count_orders(shops)
    for one in range(55):
        number(shops, f"S{one}", 0)
    number(shops, "TEA", 4)
    found = plan(shops)["us"]
    assert found.reasons == {"mass_drop": 55}
    sending.send_stock(shops.systems, "us", "run")
    assert shops.shops["us"].stock_of("S0") == 5
    assert shops.shops["us"].stock_of("TEA") == 4
    assert shops.open_codes("us/stock") == {"stock.mass_drop"}
    shops.clock.forward(minutes=5)
    publish(shops)
    assert shops.shops["us"].stock_of("S0") == 5
    release(shops, "stock.mass_drop")
    publish(shops)
    assert shops.shops["us"].stock_of("S0") == 0
    assert shops.shops["us"].stock_of("S54") == 0


def test_drops_that_come_page_by_page_are_one_drop(shops: World) -> None:
    for one in range(60):
        shops.shops["us"].add_product(f"S{one}", "Thing", "1.00", units=5)
    published.read_listings(shops, "us")
    count_orders(shops)
    for one in range(60):
        number(shops, f"S{one}", 0)
        if one % 10 == 9:
            publish(shops)
    emptied = sum(shops.shops["us"].stock_of(f"S{one}") == 0 for one in range(60))
    assert emptied == 40
    assert shops.open_codes("us/stock") == {"stock.mass_drop"}


def test_a_source_that_speaks_again_ends_a_held_drop_by_itself(shops: World) -> None:
    for one in range(60):
        shops.shops["us"].add_product(f"S{one}", "Thing", "1.00", units=5)
    published.read_listings(shops, "us")
    count_orders(shops)
    for one in range(60):
        number(shops, f"S{one}", 0)
    plan(shops)
    for one in range(60):
        number(shops, f"S{one}", 5)
    publish(shops)
    assert planned(shops) == {}
    assert shops.open_codes("us/stock") == set()
    assert writes(shops) == 0


def test_every_store_sees_a_marked_sku(shops: World) -> None:
    number(shops, "TEA", 7, "us")
    number(shops, "TEA", 6, "uk")
    plan(shops)
    assert planned(shops, "us") == {"TEA": ("set", None, 7, 10)}
    assert planned(shops, "uk") == {"TEA": ("set", None, 6, 10)}
    assert marks(shops) == set()


def test_one_store_alone_is_planned_without_taking_the_marks_of_the_others(shops: World) -> None:
    number(shops, "TEA", 7, "us")
    number(shops, "TEA", 6, "uk")
    planning.plan_stock(shops.systems, "us", "run", only_stale=True)
    assert planned(shops, "us") == {"TEA": ("set", None, 7, 10)}
    assert marks(shops) == {"TEA"}


def test_a_whole_plan_and_one_of_what_is_marked_say_the_same(shops: World) -> None:
    number(shops, "TEA", 7)
    number(shops, "MUG", 0)
    plan(shops)
    some = planned(shops)
    plan(shops, only_stale=False)
    assert (
        planned(shops)
        == some
        == {
            "MUG": ("set", None, 0, 10),
            "TEA": ("set", None, 7, 10),
        }
    )


# ---------------------------------------------------------------- deliveries about products


def deliver(world: World, product_id: int, topic: str = "product.updated") -> None:
    """Let a delivery that names a product be in the inbox."""
    delivery = inbox.Delivery(
        source="woocommerce",
        store="us",
        topic=topic,
        resource_id=str(product_id),
        body=b"{}",
        correlation_id="c",
        received_at=world.clock(),
    )
    with connected(world.systems.engine) as connection:
        inbox.append(connection, [delivery])


def test_products_that_deliveries_name_are_read_again_and_variations_kept_apart(
    shops: World,
) -> None:
    sizes = [{"sku": "TEE-S", "price": "9", "units": 5, "attributes": {"Size": "S"}}]
    tee, small = shops.shops["us"].add_variable("TEE", "Tee", sizes)
    for product_id in (tee, small, small, 999_999):
        deliver(shops, product_id)
    deliver(shops, 7, "order.updated")
    found = hints.follow(shops.systems, "us", "run")
    assert (found.tally.seen, found.tally.new, found.echoes) == (2, 2, 0)
    kept = {
        table: [row["resource_id"] for row in shops.rows(f"select resource_id from raw.{table}")]
        for table in ("woocommerce__products", "woocommerce__variations")
    }
    assert kept == {
        "woocommerce__products": [str(tee)],
        "woocommerce__variations": [str(small)],
    }
    rows = shops.rows("select topic, state, outcome from ops.inbox order by id")
    assert [(row["state"], row["outcome"]) for row in rows] == [
        ("settled", "read"),
        ("settled", "read"),
        ("settled", "read"),
        ("settled", "gone"),
        ("waiting", None),
    ]


def test_orders_leave_deliveries_about_products_to_their_reader(shops: World) -> None:
    (tea,) = shops.shops["us"].products_with("TEA")
    deliver(shops, tea)
    order_hints.follow(shops.systems, "us", "run")
    assert [row["state"] for row in shops.rows("select state from ops.inbox")] == ["waiting"]
    seen = pending.look(shops.systems, "stock_now")
    assert (dict(seen.hints), dict(seen.product_hints)) == ({}, {"us": 1})


def test_a_delivery_that_shows_our_own_write_is_an_echo(shops: World) -> None:
    number(shops, "TEA", 7)
    publish(shops)
    (tea,) = shops.shops["us"].products_with("TEA")
    deliver(shops, tea)
    assert hints.follow(shops.systems, "us", "run").echoes == 1
    shops.clock.forward(seconds=3)
    shops.place("us", lines={"TEA": 1})
    deliver(shops, tea)
    assert hints.follow(shops.systems, "us", "run").echoes == 0


def test_what_is_stale_or_due_starts_a_run_and_orders_are_not_started_for_it(
    shops: World,
) -> None:
    number(shops, "TEA", 7)
    seen = pending.look(shops.systems, "stock_sold")
    assert stock.sold(seen) == ["1 keys of stock_plan are stale"]
    plan(shops)
    promoting.promote(shops.systems, "us")
    seen = pending.look(shops.systems, "stock_sold")
    assert stock.sold(seen) == ["1 numbers to us"]
    assert pending.due(seen) == []
    sending.send_stock(shops.systems, "us", "run")
    assert stock.sold(pending.look(shops.systems, "stock_sold")) == []


def test_a_receipt_is_shown_at_once_but_for_what_the_shop_may_have_sold(shops: World) -> None:
    number(shops, "TEA", 12)
    publish(shops)  # the shop shows twelve, and every order is counted
    shops.clock.forward(seconds=1)
    shops.place("us", lines={"TEA": 2})  # nobody told us yet
    published.read_listings(shops, "us")
    number(shops, "TEA", 112)  # a hundred came in; our number knows nothing of the two
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 110
    number(shops, "TEA", 110)  # the order came in
    count_orders(shops)
    publish(shops)
    assert planned(shops) == {}
    assert shops.shops["us"].stock_of("TEA") == 110


def test_a_sale_elsewhere_lowers_a_number_by_an_unseen_sale_as_well(shops: World) -> None:
    number(shops, "TEA", 12)
    publish(shops)
    shops.clock.forward(seconds=1)
    shops.place("us", lines={"TEA": 2})
    published.read_listings(shops, "us")
    number(shops, "TEA", 5)  # seven were sold in other channels; five less two are left for us
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 3
    number(shops, "TEA", 3)
    count_orders(shops)
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 3


def test_what_may_be_unseen_is_not_forgotten_by_a_further_write(shops: World) -> None:
    number(shops, "TEA", 12)
    publish(shops)
    shops.clock.forward(seconds=1)
    shops.place("us", lines={"TEA": 2})
    published.read_listings(shops, "us")
    number(shops, "TEA", 112)
    publish(shops)
    number(shops, "TEA", 212)  # another hundred, and still no order
    publish(shops)
    assert shops.shops["us"].stock_of("TEA") == 210


def test_a_store_that_publishes_no_stock_is_planned_and_nothing_is_written_there(
    shops: World,
) -> None:
    stores = shops.systems.settings.stores
    quiet = stores["us"].model_copy(update={"publishes": ("products",)})
    shops.systems.settings = shops.systems.settings.model_copy(
        update={"stores": {**stores, "us": quiet}}
    )
    number(shops, "TEA", 7)
    calls = shops.shops["us"].calls.total()
    publish(shops)
    assert set(planned(shops)) == {"TEA"}
    assert shops.outbox() == {}
    assert shops.shops["us"].calls.total() == calls
    assert shops.shops["us"].stock_of("TEA") == 10
    shops.clock.forward(hours=1)
    answer = stock_agreement.shops_show_it(systems=shops.systems)
    assert isinstance(answer, dg.AssetCheckResult)
    assert answer.passed
