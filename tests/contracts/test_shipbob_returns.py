"""What comes back to ShipBob, and what its webhooks tell: read by change and by id, mapped.

Every call and answer is held against the published contract.
"""

import json
from datetime import timedelta

import httpx
import pydantic
import pytest
from shipbob_contract import (
    HOUR,
    NOON,
    NOTHING,
    Clock,
    account,
    asked,
    contract,
    over,
    raws,
    warehouse,
)

import sync_assets.mappers.shipbob as mapper
from resources.errors import ContractBroken
from resources.settings import Endpoint
from resources.systems import shipbob_api
from sensors.webhooks.signatures import Genuine, Refused, sender_of
from sync_assets.domain.orders import Rejected

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


def test_a_new_return_in_a_status_nobody_knows_is_not_overlooked() -> None:
    standin = account()
    number = standin.announce_return({"TEE": 1})
    standin.returns.by_id[number].history = [("ActionRequired", NOON)]

    (raw,) = raws(warehouse(standin).returns_changed_since(NOON, HOUR))

    with pytest.raises(Rejected):
        mapper.goods_back(raw.body)


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
