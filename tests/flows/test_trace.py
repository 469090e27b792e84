"""The trace of orders that went through the pipeline: from any reference, the whole story."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from resources.store import audit
from resources.store.engine import connected
from sync_assets.ops import tracing
from tests.worlds import World


def traced(world: World, reference: str) -> dict[str, Any]:
    with connected(world.systems.engine) as connection:
        return tracing.trace(connection, reference, world.clock())


def resolved(world: World, reference: str) -> list[str]:
    return [one["order_ref"] for one in traced(world, reference)["found"]]


def life(world: World, ref: str) -> dict[str, Any]:
    (found,) = traced(world, ref)["found"]
    return dict(found)


def story(world: World, ref: str) -> list[tuple[str, str]]:
    return [(event["layer"], event["what"]) for event in life(world, ref)["events"]]


def test_every_reference_leads_to_the_order(world: World) -> None:
    order_id = world.place(transaction_id="pi_777")
    world.run()
    ref = f"us:{order_id}"
    (order,) = world.in_erp()[ref]
    for reference in (ref, str(order_id), "pi_777", order["name"]):
        assert resolved(world, reference) == [ref]
    assert resolved(world, "S99999") == []
    assert resolved(world, "") == []


def test_a_number_two_stores_use_leads_to_both_orders_the_newer_first(world: World) -> None:
    older = world.place("us")
    newer = world.place("uk", placed_at=world.clock() + timedelta(seconds=1))
    world.clock.forward(seconds=2)
    world.run()
    assert older == newer
    assert resolved(world, str(older)) == [f"uk:{newer}", f"us:{older}"]


def test_an_order_that_was_set_aside_is_found_by_its_key(world: World) -> None:
    ref = f"us:{world.place(status='pre-ordered')}"
    world.run()
    assert resolved(world, ref) == [ref]
    found = life(world, ref)
    assert (found["order"], found["lines"]) == (None, [])
    assert [layer for layer, _ in story(world, ref)] == ["raw", "exception"]


def test_a_trace_tells_everything_in_the_order_it_happened(world: World) -> None:
    order_id = world.place()
    ref = f"us:{order_id}"
    world.run()
    world.shops["us"].set_status(order_id, "cancelled")
    world.run_until_quiet()
    (order,) = world.in_erp()[ref]
    told = story(world, ref)
    assert told[0] == (
        "raw",
        "version 1 via delta, changed in the shop 2026-03-02 09:00:00 UTC",
    )
    assert ("core", "state: paid → cancelled") in told
    assert ("receipt", f"cancelled by odoo as {order['name']}") in told
    assert [what for layer, what in told if layer == "plan"] == [
        "cancel in odoo: the shop says cancelled"
    ]
    moments = [event["at"] for event in life(world, ref)["events"]]
    assert moments == sorted(moments)


def test_a_trace_shows_lines_and_references_and_no_address(world: World) -> None:
    ref = f"us:{world.place()}"
    world.run()
    found = life(world, ref)
    assert [(one["sku"], one["quantity"], one["net_amount"]) for one in found["lines"]] == [
        ("TEA", Decimal(2), Decimal("19.80")),
        ("MUG", Decimal(1), Decimal("12.00")),
    ]
    assert ("odoo", "sales_order") in {
        (one["system"], one["remote_kind"]) for one in found["references"]
    }
    assert not any(word in str(found) for word in ("ada@example.com", "Byron", "1 Test Street"))


def test_what_a_person_did_is_part_of_the_story(world: World) -> None:
    ref = f"us:{world.place()}"
    world.run()
    with connected(world.systems.engine) as connection:
        audit.record(connection, "ann", "outbox.retried", ref, world.clock())
        audit.record(connection, "bob", "exception.released", ref, world.clock(), note="a gift")
    assert story(world, ref)[-2:] == [
        ("audit", "outbox.retried by ann"),
        ("audit", "exception.released by bob: a gift"),
    ]
