"""Asking ShipBob to ship: once each by our key, changed as far as it goes, called off in time.

Every call and answer is held against the published contract.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from shipbob_contract import Clock, account, checked, over, warehouse

import sync_assets.mappers.shipbob as mapper
from resources.errors import (
    ContractBroken,
    Refused,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)
from resources.sandbox.faults import Fault, Trouble
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder
from sync_assets.domain.sales import Address

ADA = Address(
    name="Ada Field",
    company="Field & Sons",
    street="12 Mill Lane",
    street2="Flat 3",
    city="Albany",
    region="NY",
    postcode="12207",
    country="US",
    email="ada@example.com",
    phone="+1 518 555 0100",
)


def line(sku: str = "TEE", units: int = 2, amount: str = "19.99", n: int = 1) -> FulfilmentLine:
    return FulfilmentLine(
        key=f"us:1042:product:{n}",
        sku=sku,
        description=f"The {sku}",
        units=units,
        unit_amount=Decimal(amount),
    )


def document(*lines: FulfilmentLine, key: str = "us:1042:f1", **changes: Any) -> FulfilmentOrder:
    said = {
        "key": key,
        "order_ref": "us:1042",
        "store": "us",
        "order_number": "1042",
        "warehouse": "8",
        "placed_at": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        "currency": "USD",
        "ship_to": ADA,
        "lines": lines or (line(), line("MUG", 1, "7.50", 2)),
    }
    return FulfilmentOrder.model_validate(said | changes)


def plain() -> dict[str, Any]:
    """A request as JSON without exact numbers, for calls past the client."""
    found: dict[str, Any] = json.loads(json.dumps(wanted(), default=float))
    return found


def wanted(*lines: FulfilmentLine, **changes: Any) -> dict[str, Any]:
    return mapper.fulfilment_order(document(*lines, **changes), shipping_method="Standard")


def test_the_contract_catches_wrong_calls_and_wrong_answers() -> None:
    standin = account()
    http = httpx.Client(base_url="https://api.shipbob.com", transport=checked(standin))
    signed = {"Authorization": "Bearer pat_test", "shipbob_channel_id": "7001"}

    with pytest.raises(AssertionError, match="no parameter Sort "):
        http.get("/2026-01/order", params={"Sort": "id"}, headers=signed)
    with pytest.raises(AssertionError, match="is not of type"):
        http.get("/2026-01/order", params={"Limit": "many"}, headers=signed)
    with pytest.raises(AssertionError, match="shipbob_channel_id is missing"):
        http.post("/2026-01/order", json=plain(), headers={"Authorization": "Bearer pat_test"})
    with pytest.raises(AssertionError, match="currency"):
        http.post("/2026-01/order", json={**plain(), "currency": "USD"}, headers=signed)
    with pytest.raises(AssertionError, match="no operation PATCH"):
        http.patch("/2026-01/order/100001", headers=signed)
    standin.orders.of("us:1042:f1").shipments[0].status = "Packing"
    with pytest.raises(AssertionError, match='"Packing" is not one of'):
        http.get("/2026-01/order", headers=signed)


def test_the_channel_answers_who_it_is() -> None:
    assert warehouse(account()).ping() == "ShipBob, channel Custom"


def test_a_wrong_token_has_to_be_mended_by_a_person() -> None:
    with pytest.raises(SignInAgain):
        warehouse(account(), token="pat_old").ping()


def test_a_channel_that_is_not_ours_or_may_not_be_written_is_refused() -> None:
    with pytest.raises(Refused) as unknown:
        warehouse(account(), channel_id=4).ping()
    with pytest.raises(Refused) as read_only:
        warehouse(account(read_only=True)).ping()

    assert [unknown.value.code, read_only.value.code] == ["unknown_channel", "read_only"]


def test_a_request_becomes_an_order_with_our_key_as_its_reference() -> None:
    standin = account()

    assert warehouse(standin).put_fulfilments([wanted(note="Ring twice")]) == {}

    order = standin.order_json("us:1042:f1")
    assert order["order_number"] == "1042"
    assert [(p["reference_id"], p["quantity"], p["unit_price"]) for p in order["products"]] == [
        ("TEE", 2, Decimal("19.99")),
        ("MUG", 1, Decimal("7.5")),
    ]
    assert order["recipient"]["address"] == {
        "address1": "12 Mill Lane",
        "address2": "Flat 3",
        "company_name": "Field & Sons",
        "city": "Albany",
        "state": "NY",
        "zip_code": "12207",
        "country": "US",
    }
    assert order["tags"] == [{"name": "note", "value": "Ring twice"}]


def test_the_same_request_twice_makes_one_order() -> None:
    standin = account()
    shipbob = warehouse(standin)

    assert shipbob.put_fulfilments([wanted()]) == {}
    assert shipbob.put_fulfilments([wanted()]) == {}

    assert standin.count() == 1
    assert standin.calls["POST /order"] == 1


def test_an_order_the_look_up_did_not_show_yet_is_not_made_twice() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])
    standin.faults.plan(Fault(Trouble.STALE, "GET /order"))

    assert shipbob.put_fulfilments([wanted()]) == {}

    assert standin.count() == 1
    assert standin.calls["POST /order"] == 2  # the second was answered 422


def test_a_lost_answer_is_unknown_and_the_look_up_tells() -> None:
    standin = account()
    shipbob = warehouse(standin)
    standin.faults.plan(Fault(Trouble.CUT_AFTER, "POST /order"))

    with pytest.raises(UnknownOutcome):
        shipbob.put_fulfilments([wanted()])

    assert list(shipbob.fulfilments(["us:1042:f1", "us:1043:f1"])) == ["us:1042:f1"]
    assert shipbob.put_fulfilments([wanted()]) == {}
    assert standin.count() == 1


def test_an_answer_to_a_write_that_is_no_json_is_an_unknown_outcome() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        lost = request.method == "POST"
        return httpx.Response(201, text="<html>") if lost else httpx.Response(200, json=[])

    with pytest.raises(UnknownOutcome):
        over(httpx.MockTransport(handle)).put_fulfilments([wanted()])


def test_one_refused_request_does_not_stop_its_neighbours() -> None:
    standin = account()
    bad = wanted(key="us:7:f1") | {"type": ""}

    refused = over(standin.transport()).put_fulfilments([bad, wanted()])

    assert str(refused["us:7:f1"]) == "threepl: type: The type field is required. [400]"
    assert standin.count() == 1


def test_a_new_address_is_sent_on_to_what_is_not_picked() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])
    moved = ADA.model_copy(update={"street": "1 New Road", "postcode": "12208"})

    assert shipbob.put_fulfilments([wanted(ship_to=moved)]) == {}
    assert shipbob.put_fulfilments([wanted(ship_to=moved)]) == {}

    place = standin.order_json("us:1042:f1")["shipments"][0]["recipient"]["address"]
    assert (place["address1"], place["zip_code"], place["country"]) == (
        *("1 New Road", "12208"),
        "US",
    )
    assert standin.calls["PUT /shipment/{id}:updateAddress"] == 1
    assert standin.count() == 1


def test_letter_case_and_signs_of_an_address_are_no_change() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])
    standin.orders.of("us:1042:f1").shipments[0].recipient = {
        **wanted()["recipient"],
        "address": {**wanted()["recipient"]["address"], "address1": "12 MILL LANE."},
    }

    assert shipbob.put_fulfilments([wanted()]) == {}
    assert standin.calls["PUT /shipment/{id}:updateAddress"] == 0


def test_other_units_of_what_an_order_holds_replace_its_whole_list() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])

    assert shipbob.put_fulfilments([wanted(line("TEE", 1), line("MUG", 3))]) == {}

    held = shipbob.fulfilments(["us:1042:f1"])["us:1042:f1"]
    assert mapper.seen(held).units == {"TEE": 1, "MUG": 3}
    assert standin.calls["POST /shipment/{id}:updateLineItems"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        wanted(line("TEE", 2)),  # an article less
        wanted(line(), line("MUG", 1, "7.50", 2), line("CAP", 1, "5", 3)),  # and one more
        wanted(service="2-Day"),
    ],
)
def test_a_change_shipbob_has_no_call_for_is_refused_and_nothing_is_done(
    changed: dict[str, Any],
) -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])
    before = standin.order_json("us:1042:f1")

    refused = shipbob.put_fulfilments([changed])

    assert {key: fault.code for key, fault in refused.items()} == {"us:1042:f1": "cannot_change"}
    assert standin.order_json("us:1042:f1") == before
    assert standin.count() == 1


def test_units_of_bundles_cannot_be_changed() -> None:
    standin = account(bundles={"KIT": {"TEE": 1, "MUG": 2}})
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted(line("KIT", 2))])

    assert shipbob.put_fulfilments([wanted(line("KIT", 2))]) == {}
    refused = shipbob.put_fulfilments([wanted(line("KIT", 3))])

    assert refused["us:1042:f1"].code == "cannot_change"


def test_what_is_picked_cannot_be_changed_but_may_be_asked_for_again() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])
    standin.pick("us:1042:f1")

    assert shipbob.put_fulfilments([wanted()]) == {}
    refused = shipbob.put_fulfilments([wanted(line("TEE", 1), line("MUG", 1))])

    assert refused["us:1042:f1"].code == "picked"


def test_a_change_shipbob_fails_with_200_is_refused_in_its_words() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])
    before = shipbob.fulfilments(["us:1042:f1"])["us:1042:f1"]
    standin.pick("us:1042:f1")  # between our look and our change

    with pytest.raises(Refused) as refusal:
        shipbob.changes.apply(before, wanted(line("TEE", 1), line("MUG", 1)))

    assert refusal.value.code == "cannot_change"
    assert refusal.value.message == "The shipment can no longer be changed."


def test_an_order_is_cancelled_and_cancelling_again_is_no_refusal() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])

    assert shipbob.cancel_fulfilments(["us:1042:f1", "us:9:f1"]) == {}
    assert shipbob.cancel_fulfilments(["us:1042:f1"]) == {}

    assert standin.order_json("us:1042:f1")["status"] == "Cancelled"
    assert standin.calls["POST /order/{id}:cancel"] == 1


def test_what_is_picked_or_gone_is_not_cancelled_any_more() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted(), wanted(key="us:1043:f1"), wanted(key="us:1044:f1")])
    standin.pick("us:1042:f1")
    standin.ship("us:1043:f1")
    standin.ship("us:1044:f1", {"MUG": 1})

    refused = shipbob.cancel_fulfilments(["us:1042:f1", "us:1043:f1", "us:1044:f1"])

    assert {key: fault.code for key, fault in refused.items()} == {
        "us:1042:f1": "picked",
        "us:1043:f1": "picked",
        "us:1044:f1": "picked",
    }
    assert refused["us:1042:f1"].message == "The shipment is picked already."
    assert standin.order_json("us:1042:f1")["status"] == "Processing"


def test_an_order_cancelled_by_somebody_else_meanwhile_is_no_refusal() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])
    standin.cancel("us:1042:f1")
    standin.faults.plan(Fault(Trouble.STALE, "GET /order"))

    assert shipbob.cancel_fulfilments(["us:1042:f1"]) == {}


def test_a_cancelled_reference_is_used_up_and_no_second_order_is_made() -> None:
    standin = account()
    shipbob = warehouse(standin)
    shipbob.put_fulfilments([wanted()])
    shipbob.cancel_fulfilments(["us:1042:f1"])

    refused = shipbob.put_fulfilments([wanted()])

    assert refused["us:1042:f1"].code == "cancelled"
    assert standin.count() == 1


def test_an_order_of_another_channel_is_none_of_ours_though_its_reference_is_taken() -> None:
    standin = account()
    shipbob = warehouse(standin)
    standin.orders.add(plain(), channel_id=1)

    refused = shipbob.put_fulfilments([wanted()])

    assert shipbob.fulfilments(["us:1042:f1"]) == {}
    assert refused["us:1042:f1"].code == "422"
    assert standin.count() == 1


def test_many_keys_are_looked_up_in_batches() -> None:
    standin = account()
    shipbob = warehouse(standin)
    keys = [f"us:{n}:f1" for n in range(1, 61)]
    shipbob.put_fulfilments([wanted(key=key) for key in keys])
    standin.calls.clear()

    assert list(shipbob.fulfilments([*keys, "a,b"])) == keys
    assert standin.calls["GET /order"] == 2


def test_one_call_too_many_ends_as_throttled_with_the_seconds_to_wait() -> None:
    clock = Clock()
    standin = account(now=clock)
    shipbob = warehouse(standin)
    for _ in range(150):
        shipbob.ping()
        clock.tick(0.1)

    with pytest.raises(Throttled) as fault:
        shipbob.ping()
    clock.tick(fault.value.after_seconds or 0)

    assert fault.value.after_seconds == 45
    assert shipbob.ping() == "ShipBob, channel Custom"


def test_answers_tell_how_many_calls_are_left() -> None:
    http = warehouse(account(calls_per_minute=3)).http

    left = [http.get("/2026-01/channel").headers["x-remaining-calls"] for _ in range(3)]

    assert left == ["2", "1", "0"]


def test_a_throttled_read_waits_and_goes_on() -> None:
    standin, naps = account(), list[float]()
    standin.faults.plan(Fault(Trouble.THROTTLE, "GET /channel", seconds=7))

    assert warehouse(standin, attempts=2, sleep=naps.append).ping() == "ShipBob, channel Custom"
    assert naps == [7.0]


def test_a_server_that_fails_a_read_is_asked_again_later() -> None:
    standin = account()
    standin.faults.plan(Fault(Trouble.ERROR, "GET /order", status=500))

    with pytest.raises(TryAgain):
        over(standin.transport()).fulfilments(["us:1042:f1"])


def test_an_order_that_cannot_be_read_is_not_taken_for_an_absent_one() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[{"reference_id": "x"}]))

    with pytest.raises(ContractBroken):
        over(transport).put_fulfilments([wanted()])


def test_the_token_shows_in_no_text_of_the_client() -> None:
    shipbob = warehouse(account())

    assert "pat_test" not in repr(shipbob.http.auth) + repr(vars(shipbob.http.auth))
