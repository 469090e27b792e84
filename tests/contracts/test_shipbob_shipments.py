"""What leaves ShipBob: read by change and by id, whole and in parts, mapped.

Every call and answer is held against the published contract.
"""

import json
from datetime import datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from shipbob_contract import HOUR, NOON, NOTHING, Clock, account, ask, asked, over, raws, warehouse

import sync_assets.mappers.shipbob as mapper
from resources.errors import ContractBroken
from resources.pages import Broken, Raw
from resources.systems import shipbob_api
from resources.systems.shipbob import ShipBob
from sync_assets.domain.orders import Rejected
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment


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
