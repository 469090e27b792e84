"""Reading shops: nothing lost and nothing doubled, whatever moves meanwhile, dies half way, lies
about the time or stands in another time zone.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from checks.agreement import shop_agreement
from resources.errors import RemoteError
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.store import raw
from resources.store.engine import connected
from sync_assets.orders import mapping, reading
from sync_assets.reading import Tally, each_source
from tests.worlds import BILLING, World

D = Decimal
ORDERS = "GET orders"


def read(world: World, store: str = "us") -> Tally:
    return reading.changed_orders(world.systems, store, "run")


def kept(world: World) -> list[str]:
    """Ids of all versions kept, in order."""
    rows = world.rows(
        "select resource_id from raw.woocommerce__orders order by resource_id, version"
    )
    return [row["resource_id"] for row in rows]


def watermark(world: World, stream: str = "orders", store: str = "us") -> datetime | None:
    with connected(world.systems.engine) as connection:
        return raw.complete_until(connection, store, stream)


def place_many(world: World, count: int, apart: float = 1) -> list[int]:
    """Small orders, each some seconds after the one before."""
    orders = []
    for _ in range(count):
        orders.append(world.place(lines={"TEA": 1}))
        world.clock.forward(seconds=apart)
    return orders


def moved_to(world: World, zone: str) -> WooCommerceStandIn:
    """Let the store `us` stand in another time zone."""
    shop = WooCommerceStandIn("us", timezone=zone, now=world.clock)
    shop.tax_rate("US-CA-SALES-1", D("7.25"), "Tax")
    world.shops["us"] = shop
    world.systems = replace(
        world.systems, transports={**world.systems.transports, "us": shop.transport()}
    )
    return shop


# Nothing lost, nothing doubled


def test_an_order_read_again_unchanged_is_one_version(world: World) -> None:
    order_id = world.place()
    world.clock.forward(seconds=2)
    assert read(world) == Tally(seen=1, new=1)
    world.clock.forward(minutes=1)
    assert read(world) == Tally(seen=1, new=0)
    assert kept(world) == [str(order_id)]


def test_every_version_that_was_seen_is_kept_byte_for_byte(world: World) -> None:
    order_id = world.place()
    texts = []
    for note in ("one", "two", "one"):
        world.shops["us"].edit(order_id, customer_note=note)
        world.clock.forward(seconds=2)
        texts.append(world.shown("us", order_id))
        read(world)
    rows = world.rows("select payload::text as text from raw.woocommerce__orders order by version")
    assert [row["text"] for row in rows] == texts


def test_an_order_changed_in_the_very_second_of_the_reading_is_read_the_next_time(
    world: World,
) -> None:
    order_id = world.place()
    read(world)
    world.shops["us"].edit(order_id, customer_note="the same second")
    world.clock.forward(minutes=1)
    read(world)
    world.core()
    assert world.rows("select customer_note from core.orders") == [
        {"customer_note": "the same second"}
    ]


def test_more_orders_than_a_page_are_all_read_once(world: World) -> None:
    orders = place_many(world, 230)
    world.clock.forward(seconds=2)
    assert read(world) == Tally(seen=230, new=230)
    assert sorted(map(int, kept(world))) == orders


def test_more_orders_in_one_second_than_a_page_are_all_read_once(world: World) -> None:
    orders = place_many(world, 130, apart=0)
    world.clock.forward(seconds=2)
    assert read(world).new == 130
    assert sorted(map(int, kept(world))) == orders


def test_orders_changed_while_pages_are_read_are_neither_lost_nor_doubled(world: World) -> None:
    orders = place_many(world, 210)
    shop, pages = world.shops["us"], 0

    def disturb(operation: str) -> None:
        """After the first page: a row of it and one behind it change, one goes, one comes."""
        nonlocal pages
        pages += operation == ORDERS
        if pages == 1:
            pages += 1
            shop.edit(orders[3], customer_note="moved to the end")
            shop.edit(orders[150], customer_note="moved to the end")
            shop.trash(orders[0])
            world.place(lines={"TEA": 1})

    shop.after_effect = disturb
    world.clock.forward(seconds=2)
    read(world)
    world.clock.forward(minutes=1)
    read(world)
    world.core()
    shown = {f"us:{i}" for i in [*orders, orders[-1] + 1]}
    held = world.rows("select order_ref, state, customer_note from core.orders")
    assert {row["order_ref"] for row in held} == shown
    assert len(held) == 211
    notes = [row["order_ref"] for row in held if row["customer_note"] == "moved to the end"]
    assert sorted(notes) == [f"us:{orders[3]}", f"us:{orders[150]}"]
    assert [row["order_ref"] for row in held if row["state"] == "trashed"] == [f"us:{orders[0]}"]
    versions = world.rows(
        "select resource_id, changed_at, content_hash from raw.woocommerce__orders "
        "group by 1, 2, 3 having count(*) > 1"
    )
    assert versions == []


def test_a_day_that_loses_an_order_while_it_is_read_loses_no_other(world: World) -> None:
    orders = place_many(world, 110)
    shop = world.shops["us"]
    start = world.clock.at.replace(hour=0, minute=0)

    def disturb(operation: str) -> None:
        if operation == ORDERS and shop.calls[ORDERS] == 1:
            shop.trash(orders[5])  # every row behind it moves up by one place

    shop.after_effect = disturb
    reading.orders_of_day(world.systems, "us", start, start + timedelta(days=1), "run")
    assert sorted(set(map(int, kept(world)))) == orders
    assert watermark(world) is None


def test_an_order_half_built_when_first_seen_is_right_in_the_end(world: World) -> None:
    shop = world.shops["us"]
    order_id = shop.place(
        {
            "line_items": [{"sku": "TEA", "name": "Tea", "quantity": 2, "subtotal": "19.80"}],
            "billing": BILLING,
            "status": "processing",
        },
        half_built=True,
    )
    stamp = shop.order_json(order_id)["date_modified_gmt"]
    world.run()
    assert world.rows("select state from core.orders") == []
    assert world.in_erp() == {}

    shop.finish(order_id)
    assert shop.order_json(order_id)["date_modified_gmt"] == stamp
    world.run()
    (order,) = world.in_erp()[f"us:{order_id}"]
    assert D(str(order["amount_total"])) == D("21.24")
    assert world.open_codes(f"us:{order_id}") == set()


def test_a_run_killed_between_pages_goes_on_where_it_was(world: World) -> None:
    orders = place_many(world, 150)
    world.clock.forward(seconds=2)
    shop = world.shops["us"]
    shop.faults.plan(Fault(Trouble.CUT_BEFORE, ORDERS, times=9, skip=1))
    with pytest.raises(RemoteError):
        read(world)
    assert len(kept(world)) == 100
    begun = watermark(world)
    shop.faults.clear()
    world.clock.forward(minutes=10)
    read(world)
    assert sorted(map(int, kept(world))) == orders
    reached = watermark(world)
    assert begun is not None
    assert reached is not None
    assert begun < reached


def test_a_store_that_fails_is_told_and_the_others_are_read(world: World) -> None:
    there = world.place("uk")
    world.shops["us"].faults.plan(Fault(Trouble.ERROR, ORDERS, times=99, status=500))
    world.clock.forward(seconds=2)

    def each() -> Tally:
        return each_source(world.systems, ["us", "uk"], "orders", lambda store: read(world, store))

    tally = each()
    assert (tally.new, list(tally.failed)) == (1, ["us"])
    assert kept(world) == [str(there)]
    assert watermark(world) is None
    (row,) = world.rows("select * from ops.exception")
    assert (row["code"], row["subject_ref"]) == ("system.unreadable", "us/orders")
    assert (row["owner_role"], row["blocks"]) == ("engineer", False)

    world.shops["us"].faults.clear()
    assert each().failed == {}
    assert world.rows("select state from ops.exception") == [{"state": "closed"}]


def test_a_wrong_key_is_told_without_the_key(world: World) -> None:
    world.shops["us"].secret = "another"
    tally = each_source(world.systems, ["us"], "orders", lambda store: read(world, store))
    assert "cs_test" not in str(tally)
    (row,) = world.rows("select message from ops.exception")
    assert "does not accept the key" in row["message"]
    assert "cs_test" not in row["message"]


# Trash and deletion


def test_a_trashed_order_is_seen_though_no_list_of_orders_shows_it(world: World) -> None:
    order_id = world.place()
    world.run()
    world.shops["us"].trash(order_id)
    world.run()
    assert world.rows("select state from core.orders") == [{"state": "trashed"}]
    rows = world.rows("select via from raw.woocommerce__orders order by version")
    assert [row["via"] for row in rows] == ["delta", "trash"]


def test_an_order_deleted_for_good_stays_with_us_and_is_told_by_the_comparison(
    world: World,
) -> None:
    gone, stays = world.place(), world.place()
    world.run()
    world.shops["us"].delete(gone)
    world.run()
    assert {row["order_ref"] for row in world.rows("select order_ref from core.orders")} == {
        f"us:{gone}",
        f"us:{stays}",
    }
    assert sorted(world.in_erp()) == [f"us:{gone}", f"us:{stays}"]
    found = shop_agreement(world.systems, "us")
    assert (found.extra, found.missing, found.passed) == ([f"us:{gone}"], [], False)


def test_notes_of_an_order_deleted_meanwhile_are_no_fault(world: World) -> None:
    gone, stays = world.place(), world.place()
    world.shops["us"].add_note(stays, "packed")
    world.clock.forward(seconds=2)
    read(world)
    world.shops["us"].delete(gone)
    reading.notes_of_changed(world.systems, "us", "run")
    mapping.notes(world.systems, "run")
    rows = world.rows("select order_ref, note from core.order_notes")
    assert rows == [{"order_ref": f"us:{stays}", "note": "packed"}]


def test_notes_are_read_of_orders_that_came_since_whatever_run_brought_them(world: World) -> None:
    def asked(run: str) -> int:
        before = world.shops["us"].calls["GET orders/{id}/notes"]
        reading.notes_of_changed(world.systems, "us", run)
        return world.shops["us"].calls["GET orders/{id}/notes"] - before

    world.place()
    world.clock.forward(seconds=2)
    read(world)
    assert asked("another run") == 1
    world.clock.forward(minutes=11)
    assert asked("again") == 1  # it may have been committed late
    assert asked("once more") == 0
    order = world.place()
    world.shops["us"].add_note(order, "packed")
    world.clock.forward(seconds=2)
    read(world)
    assert asked("the next") == 1
    mapping.notes(world.systems, "run")
    rows = world.rows("select order_ref from core.order_notes where note = 'packed'")
    assert rows == [{"order_ref": f"us:{order}"}]


# Clocks and zones


ZONES = ["America/New_York", "Pacific/Honolulu", "Asia/Tokyo", "Europe/Berlin", "Asia/Kathmandu"]


@pytest.mark.parametrize("zone", ZONES)
def test_times_are_utc_wherever_the_shop_stands(world: World, zone: str) -> None:
    moved_to(world, zone)
    placed = world.clock.at
    world.place()
    world.clock.forward(seconds=2)
    assert read(world).new == 1
    world.clock.forward(hours=6)
    second = world.place()
    world.clock.forward(seconds=2)
    assert read(world).new == 1
    world.core()
    rows = world.rows("select order_id, placed_at, changed_at from core.orders order by order_id")
    assert [row["placed_at"] for row in rows] == [placed, placed + timedelta(hours=6, seconds=2)]
    assert [row["changed_at"] for row in rows] == [row["placed_at"] for row in rows]
    assert rows[1]["order_id"] == str(second)


@pytest.mark.parametrize(
    ("zone", "before"),
    [
        ("America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),  # 01:30 comes twice
        ("America/New_York", datetime(2026, 3, 8, 6, 30, tzinfo=UTC)),  # 02:30 never comes
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),
    ],
)
def test_the_hour_the_clocks_change_loses_and_doubles_nothing(
    world: World, zone: str, before: datetime
) -> None:
    shop = moved_to(world, zone)
    world.clock.at = before - timedelta(hours=1)
    read(world)
    orders = []
    for hours in (0, 1, 2):
        world.clock.at = before + timedelta(hours=hours)
        orders.append(world.place())
        world.clock.forward(seconds=2)
        assert read(world).new == 1
    assert len({shop.order_json(one)["date_created_gmt"] for one in orders}) == 3
    world.core()
    rows = world.rows("select placed_at from core.orders order by placed_at")
    assert [row["placed_at"] for row in rows] == [before + timedelta(hours=h) for h in (0, 1, 2)]


def test_a_day_of_history_is_a_day_of_utc(world: World) -> None:
    moved_to(world, "Asia/Tokyo")
    midnight = datetime(2026, 2, 10, tzinfo=UTC)
    day = timedelta(days=1)
    second = timedelta(seconds=1)
    for moment in (midnight - second, midnight, midnight + day - second, midnight + day):
        world.place(placed_at=moment)
    tally = reading.orders_of_day(world.systems, "us", midnight, midnight + day, "run")
    assert tally.new == 2
    rows = world.rows("select payload ->> 'date_created_gmt' as at from raw.woocommerce__orders")
    assert sorted(row["at"] for row in rows) == ["2026-02-10T00:00:00", "2026-02-10T23:59:59"]


def test_a_stamp_from_the_future_does_not_hide_what_comes_until_then(world: World) -> None:
    order_id, shop = world.place(), world.shops["us"]

    def later(request: httpx.Request) -> httpx.Response:
        """A shop that lets an order through whose stamp is years ahead."""
        answer = shop.handle(request)
        body: list[dict[str, Any]] = json.loads(answer.text)
        for row in body:
            if row["id"] == order_id:
                row["date_modified_gmt"] = "2031-01-01T00:00:00"
        return httpx.Response(200, json=body, headers={"X-WP-Total": str(len(body))})

    world.systems = replace(
        world.systems,
        transports={**world.systems.transports, "us": httpx.MockTransport(later)},
    )
    world.clock.forward(seconds=2)
    read(world)
    assert watermark(world) == world.clock.at
    world.clock.forward(minutes=1)
    second = world.place()
    world.clock.forward(minutes=1)
    read(world)
    assert str(second) in kept(world)


def test_the_lag_leaves_out_what_is_still_being_written_and_reads_it_later(world: World) -> None:
    store = world.systems.settings.stores["us"].model_copy(update={"lag_seconds": 30})
    stores = {**world.systems.settings.stores, "us": store}
    settings = world.systems.settings.model_copy(update={"stores": stores})
    world.systems = replace(world.systems, settings=settings)
    world.place()
    world.clock.forward(seconds=20)
    assert read(world).seen == 0
    world.clock.forward(seconds=20)
    assert read(world).new == 1
    assert watermark(world) == world.clock.at - timedelta(seconds=30)


def test_both_streams_keep_their_own_watermark_and_neither_moves_back(world: World) -> None:
    world.clock.forward(minutes=5)
    read(world)
    reached = world.clock.at
    assert watermark(world) == watermark(world, "orders_trashed") == reached
    world.clock.forward(minutes=-3)  # another machine's clock, or a mended one
    read(world)
    assert watermark(world) == watermark(world, "orders_trashed") == reached
