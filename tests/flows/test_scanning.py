"""What neither webhooks nor deltas tell is found by comparing ids, and believed if proven."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from resources.errors import TryAgain
from resources.sandbox.faults import Fault, Trouble
from resources.store import exceptions
from resources.store.engine import connected
from sync_assets.orders import mapping, scanning
from sync_assets.orders.scanning import is_mass, scan_all, scan_customers, scan_orders
from tests.worlds import World

REFUSAL = {
    "code": "woocommerce_rest_shop_order_invalid_id",
    "message": "Invalid ID.",
    "data": {"status": 404},
}


def order(world: World, order_id: int, store: str = "us") -> dict[str, Any]:
    (found,) = world.rows(
        "select * from core.orders where order_ref = :ref", ref=f"{store}:{order_id}"
    )
    return found


def versions(world: World, order_id: int) -> list[dict[str, Any]]:
    return world.rows(
        "select via, payload, changed_at, payload::text as text from raw.woocommerce__orders "
        "where resource_id = :id order by version",
        id=str(order_id),
    )


def scanned(world: World, **more: Any) -> scanning.Scan:
    """Scan the first store and map what came of it."""
    found = scan_orders(world.systems, "us", "scan", **more)
    world.core()
    return found


# Gone for good


def test_an_order_deleted_for_good_is_cancelled_in_the_erp_and_a_person_is_told(
    world: World,
) -> None:
    kept, deleted = world.place(), world.place()
    world.run_until_quiet()
    assert world.in_erp()[f"us:{deleted}"][0]["state"] == "sale"
    total = order(world, deleted)["total_amount"]
    world.shops["us"].delete(deleted)
    world.run_until_quiet()
    assert order(world, deleted)["state"] == "paid"  # no delta tells

    found = scanned(world)
    assert (found.gone, found.withheld) == (1, 0)
    assert (order(world, deleted)["state"], order(world, deleted)["shop_status"]) == (
        "trashed",
        "deleted",
    )
    (told,) = world.rows("select * from ops.exception where state = 'open'")
    assert (told["code"], told["subject_ref"], told["owner_role"], told["amount"]) == (
        "order.vanished",
        f"us:{deleted}",
        "operations",
        total,
    )
    world.run_until_quiet()
    assert world.in_erp()[f"us:{deleted}"][0]["state"] == "cancel"
    assert world.in_erp()[f"us:{kept}"][0]["state"] == "sale"
    assert order(world, kept)["state"] == "paid"
    assert world.open_codes(f"us:{deleted}") == {"order.vanished"}


def test_the_shops_own_words_are_kept_as_the_newest_version(world: World) -> None:
    deleted = world.place()
    world.run()
    world.shops["us"].delete(deleted)
    scanned(world)

    first, last = versions(world, deleted)
    assert (first["via"], last["via"]) == ("delta", "gone")
    assert last["payload"] == REFUSAL
    assert last["text"].startswith('{"code":"woocommerce_rest_shop_order_invalid_id"')
    assert last["changed_at"] == first["changed_at"]
    (change,) = world.rows(
        "select field, before, after from core.order_changes where field = 'state'"
    )
    assert (change["before"], change["after"]) == ("paid", "trashed")


def test_a_second_scan_finds_nothing_more(world: World) -> None:
    deleted = world.place()
    world.run()
    world.shops["us"].delete(deleted)
    assert scanned(world).gone == 1
    assert scanned(world).gone == 0
    assert len(versions(world, deleted)) == 2


def test_an_order_that_was_never_accepted_goes_without_a_word_to_a_person(world: World) -> None:
    deleted = world.place(status="on-hold")
    world.run()
    world.shops["us"].delete(deleted)
    scanned(world)
    world.run()

    assert order(world, deleted)["state"] == "trashed"
    assert world.outbox() == {}
    assert world.open_codes(f"us:{deleted}") == set()


def test_an_order_that_waits_to_be_sent_is_withdrawn(world: World) -> None:
    deleted = world.place()
    for step in world.steps[:3]:
        world.clock.forward(seconds=2)
        step()
    world.shops["us"].delete(deleted)
    scanned(world)
    world.run_until_quiet()

    assert world.in_erp() == {}
    assert order(world, deleted)["state"] == "trashed"


def test_a_deleted_order_that_is_shown_again_unchanged_is_alive_again(world: World) -> None:
    deleted = world.place()
    world.run()
    entry = world.shops["us"].shelf.entries[deleted]
    world.shops["us"].delete(deleted)
    scanned(world)
    assert order(world, deleted)["state"] == "trashed"

    world.shops["us"].shelf.put(entry)  # from a backup: its time of change is the old one
    assert scanned(world).new == 1
    assert (order(world, deleted)["state"], order(world, deleted)["shop_status"]) == (
        "paid",
        "processing",
    )


def test_an_order_set_aside_and_then_deleted_stops_waiting_for_a_person(world: World) -> None:
    bad = world.place()
    world.show("us", bad, world.shown("us", bad).replace('"status":"processing"', '"status":"odd"'))
    world.run()
    assert world.open_codes(f"us:{bad}") == {"order.unknown_state"}
    world.shops["us"].delete(bad)

    assert scanned(world).gone == 1
    assert world.open_codes(f"us:{bad}") == set()
    assert world.rows("select * from core.orders") == []


def test_an_order_whose_last_version_nobody_could_read_ends_as_core_has_it(world: World) -> None:
    bad = world.place()
    world.run_until_quiet()
    world.shops["us"].edit(bad)
    world.show("us", bad, world.shown("us", bad).replace('"status":"processing"', '"status":"odd"'))
    world.run()
    assert world.open_codes(f"us:{bad}") == {"order.unknown_state"}
    world.shops["us"].delete(bad)
    scanned(world)

    assert order(world, bad)["state"] == "trashed"
    assert world.open_codes(f"us:{bad}") == {"order.vanished"}
    world.run_until_quiet()
    assert world.in_erp()[f"us:{bad}"][0]["state"] == "cancel"


def test_mapping_again_leaves_a_deleted_order_deleted(world: World) -> None:
    deleted = world.place()
    world.run()
    world.shops["us"].delete(deleted)
    scanned(world)
    world.execute("update raw.woocommerce__orders set mapped_at = null")
    mapping.orders(world.systems, "again")
    assert order(world, deleted)["state"] == "trashed"


# Believed only when proven


def test_an_order_in_the_trash_is_not_gone(world: World) -> None:
    trashed = world.place()
    world.run()
    world.shops["us"].trash(trashed)
    found = scanned(world)

    assert found.gone == 0
    assert [one["via"] for one in versions(world, trashed)] == ["delta"]


def hidden_from_lists(world: World, *ids: int) -> Callable[[httpx.Request], httpx.Response]:
    """A shop whose lists leave some orders out, as a list does that moves while it is read."""
    shop = world.shops["us"]

    def answer(request: httpx.Request) -> httpx.Response:
        said = shop.handle(request)
        if not request.url.path.endswith("/orders") or "include" in request.url.params:
            return said
        rows = [row for row in json.loads(said.content) if row["id"] not in ids]
        headers = {"X-WP-Total": said.headers["X-WP-Total"]}
        total = str(int(headers["X-WP-Total"]) - len(ids))
        return httpx.Response(200, json=rows, headers={"X-WP-Total": total})

    return answer


def instead(world: World, answer: Callable[[httpx.Request], httpx.Response]) -> None:
    transports = {**world.systems.transports, "us": httpx.MockTransport(answer)}
    world.systems = replace(world.systems, transports=transports)


def test_an_order_a_list_leaves_out_is_not_gone_while_its_id_is_there(world: World) -> None:
    missed = world.place()
    world.place()
    world.run()
    instead(world, hidden_from_lists(world, missed))
    found = scanned(world)

    assert (found.gone, found.seen) == (0, 1)
    assert order(world, missed)["state"] == "paid"


def test_a_list_that_cannot_be_read_makes_nothing_gone(world: World) -> None:
    placed = world.place()
    world.run()
    world.shops["us"].faults.plan(Fault(Trouble.ERROR, "GET orders", times=9))
    with pytest.raises(TryAgain):
        scan_orders(world.systems, "us", "scan")
    world.shops["us"].faults.clear()
    assert order(world, placed)["state"] == "paid"


def test_a_404_that_is_not_about_the_id_makes_nothing_gone(world: World) -> None:
    placed = world.place()
    world.run()

    def no_route(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(f"/{placed}"):
            return httpx.Response(404, json={"code": "rest_no_route", "message": "no route"})
        return httpx.Response(200, json=[], headers={"X-WP-Total": "0"})

    instead(world, no_route)
    found = scan_all(world.systems, "scan")
    world.core()

    assert list(found.failed) == ["us"]
    assert order(world, placed)["state"] == "paid"


def test_an_order_that_was_read_again_meanwhile_is_left_to_the_next_scan(world: World) -> None:
    deleted = world.place()
    world.run()
    shop = world.shops["us"]
    shop.delete(deleted)

    def read_meanwhile(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(f"/{deleted}"):
            world.execute(
                "insert into raw.woocommerce__orders (source, resource_id, changed_at, "
                "content_hash, payload, via, received_at) select source, resource_id, changed_at, "
                "'\\x01', payload, 'delta', received_at from raw.woocommerce__orders "
                "where resource_id = :id limit 1",
                id=str(deleted),
            )
        return shop.handle(request)

    instead(world, read_meanwhile)
    assert scanned(world).gone == 0
    instead(world, shop.handle)
    assert scanned(world).gone == 1


@pytest.mark.parametrize(
    ("vanished", "alive", "expected"),
    [(20, 30, False), (21, 30, True), (50, 1000, False), (51, 1000, True), (0, 0, False)],
)
def test_many_at_once_are_more_than_twenty_and_a_twentieth(
    vanished: int, alive: int, expected: bool
) -> None:
    assert is_mass(vanished, alive) is expected


def test_many_at_once_wait_for_a_person_and_what_had_ended_does_not(world: World) -> None:
    ended = world.place(status="cancelled")
    placed = [world.place() for _ in range(25)]
    world.run_until_quiet()
    for one in [ended, *placed[:21]]:
        world.shops["us"].delete(one)
    found = scanned(world)

    assert (found.gone, found.withheld) == (1, 21)
    assert {order(world, one)["state"] for one in placed} == {"paid"}
    (told,) = world.rows("select * from ops.exception where state = 'open'")
    assert (told["code"], told["subject_ref"], told["owner_role"]) == (
        "store.orders_vanished",
        "us/orders",
        "engineer",
    )
    assert told["message"].startswith("21 of 25 live orders are gone from the shop at once, from")
    assert scanned(world).withheld == 21

    with connected(world.systems.engine) as connection:
        exceptions.release(connection, told["id"], by="kim", note="meant", now=world.clock())
    assert scanned(world).gone == 21
    assert {order(world, one)["state"] for one in placed[:21]} == {"trashed"}
    assert (
        world.rows("select * from ops.exception where code = :c and state = 'open'", c=told["code"])
        == []
    )


def test_many_at_once_that_come_back_close_the_exception(world: World) -> None:
    placed = [world.place() for _ in range(25)]
    world.run()
    shop = world.shops["us"]
    entries = [shop.shelf.entries[one] for one in placed]
    for one in placed:
        shop.delete(one)
    assert scanned(world).withheld == 25
    for entry in entries:
        shop.shelf.put(entry)

    assert scanned(world).withheld == 0
    assert world.rows("select * from ops.exception where state = 'open'") == []
    assert {order(world, one)["state"] for one in placed} == {"paid"}


def test_orders_before_the_window_are_left_alone_unless_all_are_asked_for(world: World) -> None:
    old = world.place(placed_at=world.clock() - timedelta(days=61))
    world.shops["us"].edit(old)
    world.place()
    world.run()
    world.shops["us"].delete(old)

    assert scanned(world).gone == 0
    assert scanned(world, days=None).gone == 1
    assert order(world, old)["state"] == "trashed"


def test_hints_that_find_nothing_may_end_an_order_at_once(world: World) -> None:
    kept, deleted = world.place(), world.place()
    world.run()
    world.shops["us"].delete(deleted)
    with world.systems.shop("us") as shop:
        ended = scanning.keep_gone(
            world.systems, shop, "us", [str(kept), str(deleted), "999999"], "run"
        )
    world.core()

    assert ended == 1
    assert order(world, deleted)["state"] == "trashed"
    assert order(world, kept)["state"] == "paid"
    assert [one["via"] for one in versions(world, 999999)] == []


# Never seen


def slipped_in(world: World) -> int:
    """An order that an importer wrote with stamps of long ago: no delta ever shows it."""
    placed = world.place(placed_at=world.clock() - timedelta(days=400))
    shop = world.shops["us"]
    assert shop.entry(placed).modified < "2026-01"
    return placed


def test_an_order_no_delta_shows_is_found_by_its_id(world: World) -> None:
    world.place()
    world.run()
    world.clock.forward(hours=1)
    missed = slipped_in(world)
    world.run()
    assert versions(world, missed) == []

    found = scanned(world)
    assert (found.new, found.seen) == (1, 1)
    assert [one["via"] for one in versions(world, missed)] == ["scan"]
    assert order(world, missed)["state"] == "paid"
    assert scanned(world).seen == 0


def test_a_hole_among_the_ids_we_know_is_filled(world: World) -> None:
    world.place()
    world.run()
    world.clock.forward(hours=1)
    missed = slipped_in(world)
    world.place()
    world.run()

    assert scanned(world).new == 1
    assert order(world, missed)["order_id"] == str(missed)


def test_an_order_being_built_is_left_to_the_delta(world: World) -> None:
    world.place()
    world.run()
    store = world.systems.settings.stores["us"].model_copy(update={"lag_seconds": 30})
    stores = {**world.systems.settings.stores, "us": store}
    settings = world.systems.settings.model_copy(update={"stores": stores})
    world.systems = replace(world.systems, settings=settings)
    fresh = world.place()

    assert scanned(world).new == 0
    assert versions(world, fresh) == []


def test_before_the_first_reading_there_is_nothing_to_compare(world: World) -> None:
    world.place()
    assert scanned(world).listed == 0
    assert world.shops["us"].calls.total() == 0


def test_new_accounts_and_holes_are_read_by_id(world: World) -> None:
    shop = world.shops["us"]
    first, hole, last = (shop.add_customer(f"{n}@example.com") for n in "abc")
    world.read()
    assert scan_customers(world.systems, "us", "scan").new == 3
    world.execute("delete from raw.woocommerce__customers where resource_id = :id", id=str(hole))
    new = shop.add_customer("d@example.com")

    assert scan_customers(world.systems, "us", "scan", holes=False).new == 1
    assert scan_customers(world.systems, "us", "scan").new == 1
    assert scan_customers(world.systems, "us", "scan").seen == 0
    rows = world.rows("select resource_id, via from raw.woocommerce__customers")
    assert {int(row["resource_id"]) for row in rows} == {first, hole, last, new}
    assert {row["via"] for row in rows} == {"scan"}


def test_one_store_that_does_not_answer_stops_no_other_and_is_told(world: World) -> None:
    for store in world.shops:
        world.place(store)
    world.run()
    world.clock.forward(hours=1)
    deleted = world.place("uk")
    world.run()
    world.shops["uk"].delete(deleted)
    world.shops["us"].faults.plan(Fault(Trouble.CUT_BEFORE, "", times=999))
    found = scan_all(world.systems, "scan")
    world.shops["us"].faults.clear()

    assert (found.gone, list(found.failed)) == (1, ["us"])
    told = world.rows("select subject_ref, code from ops.exception where state = 'open' order by 1")
    assert [(one["code"], one["subject_ref"]) for one in told] == [
        ("system.unreadable", "us/customers_scan"),
        ("system.unreadable", "us/orders_scan"),
    ]
