"""The life of one order, told event by event, and nobody's name or address in it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from resources.store import audit, refs
from resources.store.engine import connected
from sync_assets.ops import tracing
from sync_assets.ops.report import plain
from tests.traces import ADDRESS, DAY, Traces, at

KEY = "north:5512/us:1042"


@pytest.fixture
def store(engine: Engine) -> Traces:
    return Traces(engine)


def requested(store: Traces) -> None:
    """An order that the ERP took and a warehouse was asked to ship."""
    store.order()
    store.version("woocommerce__orders", "us", "1042", 1)
    store.accepted(payload='{"journal": "INV/2026/00001", "name": "Ada Byron"}')
    store.progress(requested=2)
    store.request()
    store.planned("http__fulfilment_orders", "north", "us:1042:f1", 20, order_ref="us:1042")
    store.steps("fulfilment", "us:1042:f1", 20, "released")
    store.write("north", "fulfilment.create", "us:1042:f1", 21, state="done", attempts=1)


def shipped(store: Traces) -> None:
    """It left in a parcel, and the ERP and the shop were told."""
    store.answered(
        "http__fulfilment_orders",
        "north",
        "us:1042:f1",
        22,
        order_ref="us:1042",
        remote_id="w9",
        remote_number="WO-9",
    )
    store.steps("fulfilment", "us:1042:f1", 22, "acknowledged", actor="warehouse:north")
    store.version("http__shipments", "north", "5512", 61)
    store.shipment()
    store.steps("fulfilment", "us:1042:f1", 62, "shipped", actor="warehouse:north")
    store.planned("odoo__deliveries", "odoo", KEY, 63, order_ref="us:1042")
    store.write("odoo", "delivery.create", KEY, 63, state="done", attempts=2)
    store.answered(
        "odoo__deliveries",
        "odoo",
        KEY,
        64,
        order_ref="us:1042",
        remote_number="WH/OUT/00031",
        payload='{"journal": "STJ/2026/00009"}',
    )
    store.answered("woocommerce__notices", "us", KEY, 65, remote_id="9")


def test_an_order_is_told_from_the_shops_word_to_the_carriers(store: Traces) -> None:
    requested(store)
    shipped(store)
    store.tracked("parcel:1Z999", 120, "picked_up", "Origin scan", code="P")
    store.tracked("parcel:1Z999", 180, "unknown", "Quarantäne", is_known=False, has_zone=False)
    assert store.story() == [
        (1, "orders", "raw", "version 1 via delta, changed in the shop 2026-03-02 09:01:00 UTC"),
        (2, "orders", "plan", "create in odoo: it is due"),
        (3, "orders", "receipt", "accepted by odoo as S00007, journal entry INV/2026/00001"),
        (
            *(5, "shipments", "saga"),
            "fulfilment us:1042:f1: nothing → planned by pipeline: it begins (a fact)",
        ),
        (
            *(20, "shipments", "saga"),
            "fulfilment us:1042:f1: planned → released by pipeline: now released (a fact)",
        ),
        (20, "shipments", "plan", "request us:1042:f1: create in north: it is due"),
        (
            *(21, "shipments", "outbox"),
            "fulfilment.create of us:1042:f1 to north: done, 1 attempt",
        ),
        (
            *(22, "shipments", "saga"),
            "fulfilment us:1042:f1: released → acknowledged by warehouse:north: "
            "now acknowledged (a fact)",
        ),
        (22, "shipments", "receipt", "request us:1042:f1 accepted by north as WO-9"),
        (
            *(60, "shipments", "core"),
            "shipment north:5512 (OUT/5512) shipped by ups: 2 × TEA; parcels 1Z 999",
        ),
        (
            *(61, "shipments", "raw"),
            "shipment 5512: version 1 via delta, changed there 2026-03-02 10:01:00 UTC",
        ),
        (
            *(62, "shipments", "saga"),
            "fulfilment us:1042:f1: acknowledged → shipped by warehouse:north: "
            "now shipped (a fact)",
        ),
        (63, "shipments", "plan", f"delivery {KEY}: create in odoo: it is due"),
        (63, "shipments", "outbox", f"delivery.create of {KEY} to odoo: done, 2 attempts"),
        (
            *(64, "shipments", "receipt"),
            f"delivery {KEY} accepted by odoo as WH/OUT/00031, journal entry STJ/2026/00009",
        ),
        (65, "shipments", "receipt", f"shipping notice {KEY} accepted by us as 9"),
        (
            *(120, "shipments", "tracking"),
            "parcel 1Z 999: P “Origin scan” = picked up in Springfield",
        ),
        (
            *(180, "shipments", "tracking"),
            "parcel 1Z 999: “Quarantäne” = a word nobody knows in Springfield, its zone unsaid",
        ),
    ]


def test_what_comes_back_is_told_with_its_goods_its_money_and_its_books(store: Traces) -> None:
    store.order()
    store.returned(
        minutes=10,
        received_at=at(30),
        tracking_number="1ZR 4",
        exchange_order_ref="us:3000",
        sender_ref="desk:RMA-5",
    )
    store.version("requests__returns", "desk", "RMA-5", 9)
    store.version("http__returns", "north", "R8", 29)
    store.version("easypost__trackers", "parcels", "trk_1", 21)
    store.version("easypost__trackers", "parcels", "trk_2", 22)
    with connected(store.engine) as connection:
        known = [
            refs.Ref("us:1042:r1", "return", "north", "return", "R8"),
            refs.Ref("parcel:1ZR4", "parcel", "parcels", "tracker", "trk_1"),
        ]
        refs.remember(connection, known, at(0))
    store.parcel("parcel:1ZR4", "1ZR 4", is_return=True)
    store.tracked("parcel:1ZR4", 20, "delivered", "Left at dock", tracking_number="1ZR 4")
    store.steps("return", "us:1042:r1", 11, "approved", actor="ann")
    store.put(
        "core.restocked",
        return_ref="us:1042:r1",
        sku="TEA",
        system="odoo",
        units=1,
        booked_by="somebody",
        booked_at=at(32),
    )
    store.answered("odoo__restocks", "odoo", "us:1042:r1", 33, remote_number="WH/IN/00004")
    store.answered("woocommerce__exchanges", "us", "us:1042:r1", 34, remote_id="3000")
    store.refund(minutes=40, return_ref="us:1042:r1", shop_refund_id="881")
    store.version("woocommerce__refunds", "us", "881", 41)
    store.put(
        "core.refund_lines",
        refund_ref="us:881",
        line_no=0,
        kind="product",
        sku="TEA",
        units=1,
        net_amount=9,
        tax_amount=1,
        taxes="{}",
    )
    store.steps("refund", "us:881", 42, "approved", "submitted")
    store.write("us", "refund.create", "us:881", 43, attempts=1, error_text="TimeoutError")
    store.put(
        "core.refund_verdicts",
        provider="stripe",
        refund_id="re_5",
        state="failed",
        happened_at=at(50),
        reason="expired card",
        refund_ref="us:881",
    )
    store.planned("odoo__credit_memos", "odoo", "us:881", 60, order_ref="us:1042", action="held")
    store.answered(
        "odoo__credit_memos",
        "odoo",
        "us:881",
        61,
        remote_number="RINV/1",
        payload='{"journal": "MISC/7"}',
    )
    store.answered("odoo__credit_reversals", "odoo", "us:881", 70, remote_number="RINV/2")
    assert store.story() == [
        (
            *(9, "returns", "raw"),
            "return RMA-5: version 1 via delta, changed there 2026-03-02 09:09:00 UTC",
        ),
        (10, "returns", "core", "return us:1042:r1 by request: 2 × TEA"),
        (
            *(10, "returns", "saga"),
            "return us:1042:r1: nothing → requested by pipeline: it begins (a fact)",
        ),
        (
            *(11, "returns", "saga"),
            "return us:1042:r1: requested → approved by ann: now approved (a fact)",
        ),
        (
            *(20, "returns", "tracking"),
            "parcel 1ZR 4: “Left at dock” = delivered in Springfield",
        ),
        (
            *(21, "shipments", "raw"),
            "parcel trk_1: version 1 via delta, changed there 2026-03-02 09:21:00 UTC",
        ),
        (
            *(29, "returns", "raw"),
            "return R8: version 1 via delta, changed there 2026-03-02 09:29:00 UTC",
        ),
        (
            *(30, "returns", "core"),
            "return us:1042:r1 arrived: 2 of 2 × TEA (1 back on the shelf, 1 written off)",
        ),
        (32, "returns", "core", "1 × TEA of us:1042:r1 booked back by somebody in odoo"),
        (33, "returns", "receipt", "restock us:1042:r1 accepted by odoo as WH/IN/00004"),
        (34, "returns", "receipt", "exchange order us:1042:r1 accepted by us as 3000"),
        (
            *(40, "money", "core"),
            "refund us:881 by shop refund: 10.00 USD for 1 × TEA, gateway, of return us:1042:r1",
        ),
        (
            *(40, "money", "saga"),
            "refund us:881: nothing → requested by pipeline: it begins (a fact)",
        ),
        (
            *(41, "money", "raw"),
            "refund 881: version 1 via delta, changed there 2026-03-02 09:41:00 UTC",
        ),
        (
            *(42, "money", "saga"),
            "refund us:881: requested → approved by pipeline: now approved (a fact)",
        ),
        (
            *(43, "money", "saga"),
            "refund us:881: approved → submitted by pipeline: now submitted (a fact)",
        ),
        (
            *(43, "money", "outbox"),
            "refund.create of us:881 to us: waiting, 1 attempt, TimeoutError",
        ),
        (50, "money", "raw", "refund us:881 (re_5) is failed: expired card"),
        (60, "money", "plan", "credit memo us:881: held in odoo: it is due"),
        (
            *(61, "money", "receipt"),
            "credit memo us:881 accepted by odoo as RINV/1, journal entry MISC/7",
        ),
        (70, "money", "receipt", "credit reversal us:881 accepted by odoo as RINV/2"),
    ]


def test_people_and_exceptions_of_every_thing_are_part_of_the_story(store: Traces) -> None:
    requested(store)
    number = store.exception("fulfilment.refused", "us:1042:f1", 30, subject_kind="fulfilment")
    with connected(store.engine) as connection:
        audit.record(connection, "ann", "exception.assigned", "us:1042:f1", at(31), note="mine")
    assert store.story()[-2:] == [
        (
            *(30, "shipments", "exception"),
            "fulfilment.refused of us:1042:f1 (open): somebody must look",
        ),
        (31, "shipments", "audit", "exception.assigned of us:1042:f1 by ann: mine"),
    ]
    assert store.life()["says"] == (
        f"waits for a person: exception {number} (finance), fulfilment.refused "
        "since 2026-03-02 09:30 (47 h)"
    )


def test_an_exchange_order_tells_whose_goods_it_replaces(store: Traces) -> None:
    store.order()
    store.order("us:3000", placed_at=at(60))
    store.returned(minutes=10, is_exchange=True, exchange_order_ref="us:3000")
    found = store.trace("us:3000")["found"]
    assert [one["order_ref"] for one in found] == ["us:3000", "us:1042"]
    assert [event["what"] for event in found[0]["events"]] == [
        "us:3000 replaces the goods of return us:1042:r1 of us:1042"
    ]
    assert found[0]["returns"] == []


def test_what_a_parcel_has_come_to_is_told_where_no_carrier_says_it(store: Traces) -> None:
    store.order()
    store.shipment()
    with connected(store.engine) as connection:
        connection.exec_driver_sql(
            "update core.parcels set state = 'delivered', state_at = '2026-03-02 12:00+00'"
        )
    assert store.story()[-1] == (180, "shipments", "core", "parcel 1Z 999: delivered")


def test_units_a_warehouse_will_not_ship_are_told_apart(store: Traces) -> None:
    store.order()
    store.shipment()
    with connected(store.engine) as connection:
        connection.exec_driver_sql(
            "insert into core.shipment_lines (shipment_ref, line_no, order_ref, sku, units, "
            "is_cancelled) values ('north:5512', 1, 'us:1042', 'MUG', 1, true)"
        )
    assert store.story()[-1][-1] == (
        "shipment north:5512 (OUT/5512) shipped by ups: 2 × TEA; will not ship 1 × MUG; "
        "parcels 1Z 999"
    )


def test_a_shipment_of_two_orders_is_told_in_each_with_its_own_goods(store: Traces) -> None:
    store.order()
    store.order("us:2000")
    store.accepted()
    store.accepted("us:2000")
    store.shipment(orders=("us:1042", "us:2000"))
    store.tracked("parcel:1Z999", 120, "in_transit", "On its way")
    found = {one["order_ref"]: one for one in store.trace("1Z999")["found"]}
    assert sorted(found) == ["us:1042", "us:2000"]
    for one in found.values():
        assert [event["layer"] for event in one["events"]][2:] == ["core", "tracking"]
        assert one["says"] == "waits for carrier ups (1Z 999): last word in transit 46 h ago"


@pytest.mark.parametrize(
    ("only", "layers"),
    [
        ("orders", ["raw", "plan", "receipt"]),
        ("shipments", ["saga", "saga", "plan", "outbox"]),
        ("returns", []),
        ("money", ["core", "saga"]),
    ],
)
def test_events_may_be_asked_for_by_noun(store: Traces, only: str, layers: list[str]) -> None:
    requested(store)
    store.refund()
    (found,) = store.trace("us:1042", only=only)["found"]
    assert [event["layer"] for event in found["events"]] == layers
    assert found["refunds"][0]["refund_ref"] == "us:881"


def test_events_carry_run_system_and_correlation(store: Traces) -> None:
    requested(store)
    events = store.life()["events"]
    written = next(event for event in events if event["layer"] == "outbox")
    assert written == {
        "at": at(21),
        "about": "shipments",
        "layer": "outbox",
        "system": "north",
        "what": "fulfilment.create of us:1042:f1 to north: done, 1 attempt",
        "run_id": None,
        "correlation_id": "c-1",
    }
    assert {event["run_id"] for event in events if event["layer"] != "outbox"} == {"run-1"}


# ---------------------------------------------------------------- the head


def test_the_head_says_what_is_waited_for_step_by_step(store: Traces) -> None:
    requested(store)
    asked = store.life(minutes=58)
    assert (asked["state"], asked["says"]) == (
        "released",
        "waits for warehouse north to acknowledge us:1042:f1 since 09:20 (38 min)",
    )
    shipped(store)
    store.progress("us:9", shipped=2)  # of another order, and of no concern
    with connected(store.engine) as connection:
        connection.exec_driver_sql(
            "update core.order_line_progress set shipped_units = 2 where order_ref = 'us:1042'"
        )
    left = store.life(minutes=90)
    assert (left["state"], left["says"]) == (
        "shipped",
        "waits for carrier ups to say a first word of 1Z 999 since 10:00 (30 min)",
    )
    store.tracked("parcel:1Z999", 120, "delivered", "Delivered")
    with connected(store.engine) as connection:
        connection.exec_driver_sql("update core.order_line_progress set delivered_units = 2")
    arrived = store.life()
    assert (arrived["state"], arrived["says"]) == ("delivered", "nothing: complete")
    assert arrived["waits_for"] == []


def test_a_write_that_is_tried_again_and_a_system_at_rest_are_told(store: Traces) -> None:
    store.order()
    store.write(
        "odoo", "sales_order.create", "us:1042", 1, attempts=2, due_at=at(310), error_text="busy"
    )
    assert store.life(minutes=300)["says"] == "waits for odoo: 3rd attempt at 14:10"
    store.put(
        "ops.system",
        system="odoo",
        state="paused",
        reason="moving house",
        changed_by="ann",
        changed_at=at(240),
    )
    assert store.life(minutes=300)["waits_for"] == [
        {
            "on": "system",
            "name": "odoo",
            "since": at(240),
            "due": None,
            "says": "waits for odoo, which is paused (moving house) since 13:00 (60 min)",
        }
    ]


def test_lines_show_what_they_have_come_to(store: Traces) -> None:
    store.order()
    store.progress(ordered=2, shipped=2, delivered=2, returned=1, refunded=1)
    tea, mug = store.life()["lines"]
    assert {name: tea[name] for name in tea if name.endswith("_units")} == {
        "ordered_units": 2,
        "cancelled_units": 0,
        "requested_units": 0,
        "shipped_units": 2,
        "delivered_units": 2,
        "returned_units": 1,
        "refunded_units": 1,
    }
    assert (tea["sku"], tea["quantity"], mug["ordered_units"]) == ("TEA", Decimal(2), None)


def test_references_of_every_thing_are_listed(store: Traces) -> None:
    requested(store)
    with connected(store.engine) as connection:
        known = [
            refs.Ref("us:1042", "order", "odoo", "sales_order", "7", "S00007"),
            refs.Ref("us:1042:f1", "fulfilment", "north", "order", "w9", "WO-9"),
            refs.Ref("us:2000", "order", "odoo", "sales_order", "8", "S00008"),
        ]
        refs.remember(connection, known, at(0))
    shown = [(one["our_ref"], one["remote_number"]) for one in store.life()["references"]]
    assert shown == [("us:1042:f1", "WO-9"), ("us:1042", "S00007")]


def test_the_story_behind_a_thing_is_that_of_its_order(store: Traces) -> None:
    requested(store)
    store.exception("catalog.sku_unknown", "TEA", 9, subject_kind="product")

    def behind(key: str) -> list[str]:
        with connected(store.engine) as connection:
            events = tracing.events_behind(connection, key, at(DAY))
        return [event["what"] for event in events]

    assert behind("us:1042:f1") == [what for *_, what in store.story()]
    assert behind("TEA") == ["catalog.sku_unknown (open): somebody must look"]
    assert behind("NOBODY") == []


# ---------------------------------------------------------------- privacy


def test_nobodys_name_address_or_words_are_told(store: Traces) -> None:
    requested(store)
    shipped(store)
    store.returned(received_at=at(DAY))
    store.refund()
    told = json.dumps(plain(store.trace("us:1042")), default=str)
    assert "us:1042:r1" in told
    secrets: list[Any] = [value for value in ADDRESS.values() if len(str(value)) > 2]
    assert len(secrets) == 6
    for word in (*secrets, "carrier.test", "too small", "kindly"):
        assert str(word) not in told
