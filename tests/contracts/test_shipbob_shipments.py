"""What leaves ShipBob and comes back to it: read by change and by id, told by webhook, mapped.

Every call and answer is held against the published contract.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pydantic
import pytest
from shipbob_contract import NOON, Clock, account, contract, over, warehouse

import sync_assets.mappers.shipbob as mapper
from resources.errors import ContractBroken
from resources.pages import Broken, Raw
from resources.sandbox.shipbob import ShipBobStandIn
from resources.settings import Endpoint
from resources.systems import shipbob_api
from resources.systems.shipbob import ShipBob
from sensors.webhooks.signatures import Genuine, Refused, sender_of
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder
from sync_assets.domain.orders import Rejected
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment

HOUR = timedelta(hours=1)
NOTHING = timedelta()


def ask(shipbob: ShipBob, key: str = "us:1042:f1", **units: int) -> None:
    """Ask for units of articles, two shirts and a mug if nothing is said."""
    lines = tuple(
        FulfilmentLine(
            key=f"{key}:{n}", sku=sku, description=sku, units=count, unit_amount=Decimal("9.90")
        )
        for n, (sku, count) in enumerate((units or {"TEE": 2, "MUG": 1}).items())
    )
    document = FulfilmentOrder(
        key=key,
        order_ref="us:1042",
        store="us",
        order_number="1042",
        warehouse="8",
        placed_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        currency="USD",
        ship_to=Address(name="Ada Field", street="12 Mill Lane", city="Albany", country="US"),
        lines=lines,
    )
    body = mapper.fulfilment_order(document, shipping_method="Standard")
    assert shipbob.put_fulfilments([body]) == {}


def asked(**options: Any) -> tuple[ShipBobStandIn, ShipBob, Clock]:
    """An account that was asked for two shirts and a mug."""
    clock = Clock()
    standin = account(now=clock, **options)
    shipbob = warehouse(standin)
    ask(shipbob)
    clock.tick(60)
    return standin, shipbob, clock


def raws(pages: Iterable[list[Raw | Broken]]) -> list[Raw]:
    found = [one for page in pages for one in page]
    assert all(isinstance(one, Raw) for one in found)
    return [one for one in found if isinstance(one, Raw)]


def shipments(shipbob: ShipBob, since: datetime = NOON) -> list[SeenShipment]:
    return [mapper.shipment(one.body) for one in raws(shipbob.shipments_changed_since(since, HOUR))]


# Shipments


def test_a_shipment_tells_its_order_its_lines_and_its_parcel() -> None:
    standin, shipbob, clock = asked()
    parcel = {"tracking_number": "1Z999AA10123456784", "carrier": "UPS", "weight_oz": 20}
    standin.ship("us:1042:f1", parcels=[parcel])

    assert shipments(shipbob) == [
        SeenShipment(
            remote_id="200001",
            number="200001",
            state="shipped",
            changed_at=clock(),
            shipped_at=clock(),
            reference="us:1042:f1",
            warehouse="8",
            lines=(SeenLine("TEE", 2, parcel=0), SeenLine("MUG", 1, parcel=0)),
            parcels=(
                SeenParcel(
                    "1Z999AA10123456784",
                    "UPS",
                    "https://track.example/1Z999AA10123456784",
                    Decimal("566.99"),
                ),
            ),
        )
    ]


def test_what_is_kept_is_the_shipment_as_sent_beside_what_its_order_says() -> None:
    standin, shipbob, _ = asked()
    standin.ship("us:1042:f1")
    sent = json.dumps(standin.order_json("us:1042:f1")["shipments"][0])

    (raw,) = raws(shipbob.shipments_changed_since(NOON, HOUR))

    assert raw.text.endswith(f', "shipment": {sent}}}')
    assert raw.text.startswith('{"order": {"id": 100001, "reference_id": "us:1042:f1", ')
    assert json.loads(raw.text, parse_float=Decimal) == raw.body
    assert sorted(raw.body) == ["order", "shipment", "shipments"]


def test_half_an_order_leaves_first_and_the_rest_later() -> None:
    standin, shipbob, clock = asked()
    standin.ship("us:1042:f1", {"TEE": 1})
    half = shipments(shipbob)
    held = shipbob.fulfilments(["us:1042:f1"])["us:1042:f1"]
    clock.tick(3600)
    standin.ship("us:1042:f1")

    whole = shipments(shipbob)

    assert [(s.state, [(one.sku, one.units) for one in s.lines]) for s in half] == [
        ("packed", [("TEE", 1), ("MUG", 1)]),
        ("shipped", [("TEE", 1)]),
    ]
    assert mapper.seen(held).state == "part_shipped"
    assert [(s.remote_id, s.state, s.shipped_at) for s in whole] == [
        ("200002", "shipped", clock() - HOUR),
        ("200001", "shipped", clock()),
    ]
    assert mapper.seen(shipbob.fulfilments(["us:1042:f1"])["us:1042:f1"]).state == "shipped"


def test_two_boxes_are_two_shipments_with_a_tracking_number_each() -> None:
    standin, shipbob, _ = asked()
    boxes = [{"lines": {"TEE": 2}}, {"lines": {"MUG": 1}, "carrier": "FedEx"}]

    assert standin.ship("us:1042:f1", parcels=boxes) == [200002, 200001]

    seen = shipments(shipbob)
    assert [s.parcels[0].carrier_words for s in seen] == ["FedEx", "USPS"]
    assert seen[0].parcels[0].tracking_number != seen[1].parcels[0].tracking_number


def test_a_shipment_that_was_cancelled_says_what_will_not_come() -> None:
    standin, shipbob, clock = asked()
    standin.ship("us:1042:f1", {"MUG": 1})
    clock.tick()
    shipbob.cancel_fulfilments(["us:1042:f1"])

    seen = {s.state: s for s in shipments(shipbob)}

    assert seen["cancelled"].cancelled == {"TEE": 2}
    assert seen["cancelled"].lines == ()
    assert [(one.sku, one.units) for one in seen["shipped"].lines] == [("MUG", 1)]


def test_a_delivery_keeps_the_time_it_left() -> None:
    standin, shipbob, clock = asked()
    (sent,) = standin.ship("us:1042:f1")
    clock.tick(86400)
    standin.deliver(sent)

    (seen,) = shipments(shipbob)

    assert (seen.state, seen.shipped_at) == ("shipped", NOON + timedelta(seconds=60))
    assert seen.changed_at == clock()


def test_units_of_a_bundle_are_those_ordered_unless_the_order_is_split() -> None:
    clock = Clock()
    standin = account(now=clock, bundles={"KIT": {"TEE": 1, "MUG": 2}})
    shipbob = warehouse(standin)
    ask(shipbob, "us:1:f1", KIT=2)
    ask(shipbob, "us:2:f1", KIT=2)
    standin.ship("us:1:f1")
    standin.ship("us:2:f1", {"KIT": 1})

    told = {one.body["order"]["reference_id"]: one for one in raws_of(shipbob)}

    assert [(one.sku, one.units) for one in mapper.shipment(told["us:1:f1"].body).lines] == [
        ("KIT", 2)
    ]
    with pytest.raises(Rejected) as refusal:
        mapper.shipment(told["us:2:f1"].body)
    assert "bundle in a split order" in refusal.value.problems[0].message


def raws_of(shipbob: ShipBob) -> list[Raw]:
    return raws(shipbob.shipments_changed_since(NOON, HOUR))


def test_changes_come_oldest_first_though_shipbob_sorts_by_creation() -> None:
    standin, shipbob, clock = asked()
    ask(shipbob, "us:1043:f1")
    ask(shipbob, "us:1044:f1")
    for key in ("us:1044:f1", "us:1042:f1", "us:1043:f1"):
        clock.tick(60)
        standin.ship(key)

    pages = raws(shipbob.shipments_changed_since(NOON + timedelta(seconds=61), NOTHING))

    assert [one.body["order"]["reference_id"] for one in pages] == [
        *("us:1044:f1", "us:1042:f1"),
        "us:1043:f1",
    ]
    assert [one.changed_at for one in pages] == sorted(one.changed_at for one in pages)


def test_only_what_changed_in_the_window_is_asked_for_and_the_overlap_widens_it() -> None:
    standin, shipbob, clock = asked()
    standin.ship("us:1042:f1")
    moment = clock() + timedelta(minutes=10)

    assert raws(shipbob.shipments_changed_since(moment, NOTHING)) == []
    assert len(raws(shipbob.shipments_changed_since(moment, timedelta(minutes=10)))) == 1


def test_long_lists_are_walked_to_their_end_and_nothing_comes_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shipbob_api, "ORDERS_PAGE", 3)
    standin = account()
    shipbob = warehouse(standin)
    for number in range(7):
        ask(shipbob, f"us:{number}:f1")
    standin.calls.clear()

    found = raws_of(shipbob)

    assert len({one.resource_id for one in found}) == len(found) == 7
    assert standin.calls["GET /order"] == 3


def test_a_list_that_moves_while_it_is_read_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shipbob_api, "ORDERS_PAGE", 2)
    clock = Clock(NOON - timedelta(days=1))
    standin = account(now=clock)
    shipbob = warehouse(standin)
    for number in range(3):  # older than the window
        ask(shipbob, f"us:{number}:f1")
    clock.now = NOON
    for number in range(10, 14):
        ask(shipbob, f"us:{number}:f1")
    standin.after_effect = lambda operation: standin.pick("us:1:f1")

    found = raws(shipbob.shipments_changed_since(NOON, NOTHING))

    assert {one.body["order"]["reference_id"] for one in found} >= {
        f"us:{number}:f1" for number in range(10, 14)
    }


def test_shipments_are_read_by_id_as_they_stand_in_the_list() -> None:
    standin, shipbob, _ = asked()
    ask(shipbob, "us:1043:f1")
    standin.ship("us:1042:f1", {"TEE": 1})
    listed = {one.resource_id: one for one in raws_of(shipbob)}

    found = shipbob.shipments_by_id(["200003", "999", "us:1042:f1", "200003"])

    assert found == [listed["200003"]]


def test_an_order_that_is_named_stands_for_all_its_shipments() -> None:
    standin, shipbob, _ = asked()
    standin.ship("us:1042:f1", {"TEE": 1})

    found = shipbob.shipments_by_id(["order:100001", "order:999999", "order:x"])

    assert [one.resource_id for one in found] == ["200001", "200002"]


def test_an_order_that_is_held_says_why() -> None:
    standin, shipbob, _ = asked()
    standin.hold("us:1042:f1", "InvalidAddress", "Invalid Address")
    held = mapper.seen(shipbob.fulfilments(["us:1042:f1"])["us:1042:f1"])
    standin.hold("us:1042:f1", "OutOfStock", "No Stock On Hand For Sku", status="Exception")
    short = mapper.seen(shipbob.fulfilments(["us:1042:f1"])["us:1042:f1"])
    standin.release("us:1042:f1")
    released = mapper.seen(shipbob.fulfilments(["us:1042:f1"])["us:1042:f1"])
    standin.pick("us:1042:f1")
    picked = mapper.seen(shipbob.fulfilments(["us:1042:f1"])["us:1042:f1"])

    assert [(one.state, one.reason) for one in (held, short, released, picked)] == [
        ("on_hold", "Invalid Address"),
        ("on_hold", "No Stock On Hand For Sku"),
        ("acknowledged", ""),
        ("picking", ""),
    ]
    assert held.units == {"TEE": 2, "MUG": 1}


def test_a_shipment_without_a_time_is_kept_apart_and_its_neighbours_come() -> None:
    order = {"id": 1, "reference_id": "us:1:f1", "shipments": [{"id": 5}, {"id": 6}, 7]}
    order["shipments"][1]["created_date"] = "2026-11-20T12:00:00Z"  # type: ignore[index]
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[order]))

    (page,) = over(transport).shipments_changed_since(NOON, HOUR)

    assert [(type(one), one.resource_id) for one in page] == [
        (Broken, "5"),
        (Broken, None),
        (Raw, "6"),
    ]


@pytest.mark.parametrize("text", ["", "{}", '[{"id": 1}', '[{"id": 1}] x', "<html>"])
def test_a_page_that_is_no_list_breaks_the_contract(text: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=text))

    with pytest.raises(ContractBroken):
        list(over(transport).shipments_changed_since(NOON, HOUR))


def test_the_same_page_again_and_again_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipbob_api, "ORDERS_PAGE", 1)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[{"id": 1}]))

    with pytest.raises(ContractBroken):
        list(over(transport).shipments_changed_since(NOON, HOUR))


# Returns


def test_a_return_is_followed_from_its_announcement_to_what_became_of_it() -> None:
    standin, shipbob, clock = asked()
    (sent,) = standin.ship("us:1042:f1")
    number = standin.announce_return(
        {"TEE": 2, "MUG": 1}, reference="us:1042:r1", shipment=sent, tracking_number="RMA1"
    )
    announced = mapper.goods_back(raws(shipbob.returns_changed_since(NOON, HOUR))[0].body)
    clock.tick(3600)
    standin.receive_return(number)
    arrived_at = clock()
    arrived = mapper.goods_back(raws(shipbob.returns_changed_since(NOON, HOUR))[0].body)
    clock.tick(3600)
    standin.process_return(number, {"TEE": {"Restock": 1, "Dispose": 1}}, is_last=False)
    standin.process_return(number, {"MUG": {"Quarantine": 1}})

    (raw,) = raws(shipbob.returns_changed_since(NOON, HOUR))
    done = mapper.goods_back(raw.body)

    assert [announced.state, arrived.state, done.state] == ["requested", "received", "inspected"]
    assert [announced.received_at, arrived.received_at, done.received_at] == [
        None,
        arrived_at,
        arrived_at,
    ]
    assert [
        (one.sku, one.received_units, one.restock_units, one.refurbish_units, one.write_off_units)
        for one in done.lines
    ] == [("TEE", 2, 1, 0, 1), ("MUG", 1, 0, 1, 0)]
    assert (done.reference, done.tracking_number, done.warehouse) == ("us:1042:r1", "RMA1", "8")
    assert (raw.resource_id, raw.changed_at) == ("5001", clock())


def test_returns_come_when_they_are_open_new_completed_or_cancelled() -> None:
    clock = Clock(NOON - timedelta(days=30))
    standin = account(now=clock)
    shipbob = warehouse(standin)
    first, second, third, fourth = (
        standin.announce_return({"TEE": 1}, reference=f"us:{n}:r1") for n in range(4)
    )
    standin.process_return(fourth, {"TEE": {"Restock": 1}})  # long ago: not told again
    clock.now = NOON
    standin.process_return(first, {"TEE": {"Restock": 1}})
    clock.tick()
    standin.cancel_return(second)

    found = raws(shipbob.returns_changed_since(NOON, NOTHING))

    assert [(one.resource_id, one.body["status"]) for one in found] == [
        (str(third), "AwaitingArrival"),
        (str(first), "Completed"),
        (str(second), "Cancelled"),
    ]
    assert mapper.goods_back(found[2].body).state == "cancelled"


def test_long_lists_of_returns_are_walked_by_their_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipbob_api, "LIST_PAGE", 2)
    standin = account()
    numbers = [standin.announce_return({"TEE": 1}) for _ in range(5)]

    found = raws(warehouse(standin).returns_changed_since(NOON, HOUR))

    assert sorted(int(one.resource_id) for one in found) == numbers


def test_returns_are_read_by_id_and_what_is_gone_is_absent() -> None:
    standin = account()
    number = standin.announce_return({"TEE": 1}, reference="us:1:r1")

    found = warehouse(standin).returns_by_id([str(number), "9999", "us:1:r1"])

    assert [one.resource_id for one in found] == [str(number)]
    assert found[0].text == json.dumps(standin.tell.goods_back(standin.returns.by_id[number]))


def test_a_cursor_that_goes_round_ends_the_reading() -> None:
    page = {"items": [], "next": "https://api.shipbob.com/2026-01/return?cursor=4"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page))

    with pytest.raises(ContractBroken):
        list(over(transport).returns_changed_since(NOON, HOUR))


# Webhooks


def test_deliveries_are_signed_as_our_receiver_expects() -> None:
    standin, _, clock = asked()
    (sent,) = standin.ship("us:1042:f1")
    number = standin.announce_return({"TEE": 1}, shipment=sent)
    secret = pydantic.SecretStr(standin.webhook_secret)
    sender = sender_of("threepl", Endpoint(scheme="shipbob", secrets=(secret,)))

    told = []
    for topic, thing in (
        ("order.shipped", "us:1042:f1"),
        ("order.shipment.delivered", sent),
        ("return.created", number),
    ):
        headers, body = standin.webhook(topic, thing)
        raw = {name.encode(): value.encode() for name, value in headers.items()}
        verdict = sender.judge(raw, body, clock())
        assert isinstance(verdict, Genuine)
        assert isinstance(sender.judge(raw, body + b" ", clock()), Refused)
        told.append((topic, mapper.hinted_kind(topic), mapper.hinted(topic, json.loads(body))))

    assert told == [
        ("order.shipped", "order", "order:100001"),
        ("order.shipment.delivered", "shipment", "200001"),
        ("return.created", "return", "5001"),
    ]


def test_topics_of_the_contract_are_followed_or_none_of_ours() -> None:
    topics = contract().components["schemas"]["Webhooks.Topics"]["enum"]

    assert {topic: mapper.hinted_kind(topic) for topic in topics} == {
        "order.shipped": "order",
        "order.shipment.delivered": "shipment",
        "order.shipment.exception": "shipment",
        "order.shipment.on_hold": "shipment",
        "order.shipment.cancelled": "shipment",
        "return.created": "return",
        "return.updated": "return",
        "return.completed": "return",
        "billing.charge.created": None,
        "billing.refund.created": None,
        "billing.credit.created": None,
    }


def test_every_status_of_the_contract_is_in_our_tables() -> None:
    schemas = contract().components["schemas"]

    assert set(schemas["Orders.OrderStatus"]["enum"]) == set(mapper.ORDER_STATES)
    assert set(schemas["Orders.OrderStatusEnum"]["enum"]) == set(mapper.SHIPMENT_STATES)
