"""The wire of our own warehouse contract: pages, faults, webhooks, and the document of it."""

import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pydantic
import pytest

import sync_assets.mappers.warehouse_http as mapper
from resources.errors import (
    ContractBroken,
    Refused,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)
from resources.pages import Raw
from resources.sandbox.faults import Fault, Trouble
from resources.settings import Endpoint
from sensors.webhooks.signatures import Genuine, Said, sender_of
from tests.contracts.warehouse_north import (
    KEY,
    NOON,
    OVERLAP,
    asked_for,
    connected,
    held,
    ids,
    says,
    standin,
)

# Pages


def test_pages_come_oldest_change_first_and_begin_where_they_are_asked_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resources.systems.warehouse_http.PAGE_SIZE", 2)
    there = standin()
    north = connected(there)
    for _ in range(5):
        there.receive_return("us:1042", [{"sku": "SKU-1", "units": 1}])
    there.inspect_return("R-1002", {"SKU-1": {"restock": 1}})

    everything = ids(north.returns_changed_since(NOON, OVERLAP))
    newest = ids(north.returns_changed_since(NOON + timedelta(minutes=15), OVERLAP))

    assert everything == [["R-1001", "R-1003"], ["R-1004", "R-1005"], ["R-1002"]]
    assert newest == [["R-1005", "R-1002"]]


def test_a_thing_that_changes_while_it_is_read_is_seen_again_and_nothing_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resources.systems.warehouse_http.PAGE_SIZE", 2)
    there = standin()
    for _ in range(3):
        there.receive_return("us:1042", [{"sku": "SKU-1", "units": 1}])
    pages = connected(there).returns_changed_since(NOON, OVERLAP)
    first = next(pages)
    there.inspect_return("R-1001", {"SKU-1": {"write_off": 1}})

    assert ids([first, *pages]) == [["R-1001", "R-1002"], ["R-1003", "R-1001"]]


def test_the_text_of_an_item_is_kept_as_it_was_sent() -> None:
    item = '{ "id":"S-1",  "changed_at":"2026-11-21T13:00:00+01:00", "weight": 1.250 }'
    north = says(f'{{"next": null, "items": [ {item} ]}}')

    (one,) = north.shipments_by_id(["S-1"])

    assert isinstance(one, Raw)
    assert (one.resource_id, one.text, one.changed_at) == ("S-1", item, NOON)
    assert one.body["weight"] == Decimal("1.250")


def test_an_item_that_is_no_thing_costs_its_neighbours_nothing() -> None:
    good = {"id": "S-1", "changed_at": "2026-11-21T12:00:00Z"}
    local = {"id": "S-2", "changed_at": "2026-11-21T12:00:00"}
    north = says({"items": [7, {"id": 7}, local, good], "next": None})

    (page,) = north.shipments_changed_since(NOON, OVERLAP)

    assert [(one.resource_id, getattr(one, "reason", "")) for one in page] == [
        (None, "the item is not an object"),
        (None, "the item has no id"),
        ("S-2", "the item has no changed_at with an offset"),
        ("S-1", ""),
    ]


def test_a_page_that_breaks_off_gives_what_is_whole_and_is_then_told() -> None:
    pages = says(
        '{"items":[{"id":"S-1","changed_at":"2026-11-21T12:00:00Z"},{"id":'
    ).shipments_changed_since(NOON, OVERLAP)

    assert ids([next(pages)]) == [["S-1"]]
    with pytest.raises(ContractBroken, match="the page of shipments is broken"):
        next(pages)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "it is not a JSON object"),
        ("{}", "it has no items"),
        ('{"items": 7}', "its items are no list"),
        ('{"items": []} x', "something follows the object"),
        ('{"items": [], "next": 7}', "names a next page that is no text"),
        (b'\xff{"items": []}', "is broken"),
    ],
)
def test_an_answer_that_is_no_page_is_not_an_empty_one(content: str | bytes, message: str) -> None:
    with pytest.raises(ContractBroken, match=message):
        list(says(content).returns_changed_since(NOON, OVERLAP))


def test_pages_in_another_order_or_in_a_circle_are_told() -> None:
    late, early = ({"id": "S", "changed_at": f"2026-11-21T12:0{n}:00Z"} for n in (2, 1))
    with pytest.raises(ContractBroken, match="do not come oldest change first"):
        list(says({"items": [late, early], "next": None}).shipments_changed_since(NOON, OVERLAP))
    with pytest.raises(ContractBroken, match="go round in a circle"):
        list(says({"items": [early], "next": "a"}).shipments_changed_since(NOON, OVERLAP))


# Faults on the way


def test_a_lost_answer_to_a_request_is_looked_up_and_found() -> None:
    there = standin()
    there.faults.plan(Fault(Trouble.CUT_AFTER, "PUT"))
    north = connected(there, attempts=4)

    with pytest.raises(UnknownOutcome):
        north.put_fulfilments([asked_for()])

    assert held(north)[0] == "acknowledged"
    assert there.calls["PUT fulfilment-orders/{key}"] == 1


def test_a_lost_answer_to_taking_back_is_looked_up_and_found() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for()])
    there.faults.plan(Fault(Trouble.CUT_AFTER, "cancel"))

    with pytest.raises(UnknownOutcome):
        north.cancel_fulfilments([KEY])

    assert held(north)[0] == "cancelled"
    assert there.calls["POST fulfilment-orders/{key}/cancel"] == 1


def test_another_process_may_do_all_that_the_control_door_offers() -> None:
    there = standin()
    offered = {name: callable(getattr(there, name, None)) for name in there.controls}
    assert offered == dict.fromkeys(there.controls, True)


@pytest.mark.parametrize("answer", ["<html>welcome</html>", {"key": "us:9:f1"}, []])
def test_a_yes_that_does_not_name_our_key_is_looked_up(answer: Any) -> None:
    with pytest.raises(UnknownOutcome):
        says(answer).put_fulfilments([asked_for()])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(Trouble.CUT_BEFORE), TryAgain),
        (Fault(Trouble.ERROR, status=503), TryAgain),
        (Fault(Trouble.THROTTLE, seconds=60), Throttled),
        (Fault(Trouble.ERROR, status=500), UnknownOutcome),
    ],
)
def test_faults_on_the_way_are_named_for_what_to_do_next(
    fault: Fault, error: type[Exception]
) -> None:
    there = standin()
    there.faults.plan(fault)
    with pytest.raises(error):
        connected(there).put_fulfilments([asked_for()])
    assert there.count("create") == 0


def test_a_read_that_failed_is_tried_again_and_a_write_is_not_sent_twice() -> None:
    there = standin()
    there.faults.plan(Fault(Trouble.CUT_AFTER, "GET"), Fault(Trouble.ERROR, "GET", status=500))
    assert connected(there, attempts=3).ping() == "Example Fulfilment"
    assert there.calls["GET ping"] == 3


def test_a_replica_that_lags_shows_the_state_before() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for()])
    there.pick(KEY)
    there.faults.plan(Fault(Trouble.STALE, "GET", times=2))

    assert held(north)[0] == "acknowledged"
    there.receive_return(None, [{"sku": "SKU-1", "units": 1}])
    assert north.returns_by_id(["R-1001"]) == []
    assert (held(north)[0], len(north.returns_by_id(["R-1001"]))) == ("picking", 1)


def test_a_wrong_token_asks_to_sign_in_again() -> None:
    there = standin()
    with pytest.raises(SignInAgain, match="the token is not known here"):
        connected(there, token="old").put_fulfilments([asked_for()])
    with pytest.raises(SignInAgain):
        connected(there, token="old").ping()
    assert there.count("create") == 0


def test_names_are_asked_for_in_batches() -> None:
    there = standin()
    keys = [f"us:{n}:f1" for n in range(120)]
    north = connected(there)
    north.put_fulfilments([asked_for(key) for key in keys])

    assert list(north.fulfilments(keys)) == keys
    assert there.calls["GET fulfilment-orders"] == 3


def test_the_standin_wants_questions_it_can_read() -> None:
    north = connected(standin())
    for asked in ({}, {"changed_since": "2026-11-21T12:00:00"}, {"changed_since": "now"},
                  {"changed_since": NOON.isoformat(), "cursor": "?"}):  # fmt: skip
        with pytest.raises(Refused, match=r"\[bad_query\]"):
            north._get("shipments", asked)


# The document


def examples() -> list[dict[str, Any]]:
    """The JSON examples that a warehouse's programmer reads: a request, what is held of it, a
    shipment and a return."""
    text = (Path(__file__).parents[2] / "docs" / "warehouse-http.md").read_text()
    found = re.findall(r"^```json\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [json.loads(one, parse_float=Decimal) for one in found]


def test_the_examples_in_the_document_are_what_we_send_and_understand() -> None:
    request, request_held, shipped, back = examples()
    there = standin()
    north = connected(there)

    assert north.put_fulfilments([request]) == {}
    assert set(north.fulfilments([KEY])[KEY]) == set(request_held)
    assert set(asked_for()) == set(request)
    assert set(asked_for()["lines"][0]) == set(request["lines"][0])
    assert mapper.seen(request_held).units == {"SKU-1": 2}
    there.ship(KEY, {"SKU-1": 1})
    (said,) = (one for page in north.shipments_changed_since(NOON, OVERLAP) for one in page)
    assert isinstance(said, Raw)
    assert set(said.body) == set(shipped)
    assert set(said.body["lines"][0]) == set(shipped["lines"][0])
    assert set(said.body["parcels"][0]) == set(shipped["parcels"][0])
    assert mapper.shipment(shipped).cancelled == {"SKU-1": 1}
    there.receive_return(KEY, [{"sku": "SKU-1", "units": 1}])
    (came,) = north.returns_by_id(["R-1001"])
    assert isinstance(came, Raw)
    assert (set(came.body), set(came.body["lines"][0])) == (set(back), set(back["lines"][0]))
    assert mapper.goods_back(back).lines[0].restock_units == 1


# Webhooks


@pytest.mark.parametrize(
    "topic", ["shipment.created", "return.updated", "fulfilment_order.updated"]
)
def test_a_webhook_is_proven_by_the_generic_scheme_and_names_its_thing(topic: str) -> None:
    there = standin()
    connected(there).put_fulfilments([asked_for()])
    shipment = there.ship(KEY)
    back = there.receive_return(KEY, [{"sku": "SKU-1", "units": 1}])
    things = {"shipment": shipment, "return": back, "fulfilment_order": KEY}
    thing = things[topic.partition(".")[0]]

    headers, body = there.webhook(topic, thing, "hush")

    endpoint = Endpoint(scheme="hmac", secrets=(pydantic.SecretStr("hush"),))
    given = {name.lower().encode(): value.encode() for name, value in headers.items()}
    verdict = sender_of("north", endpoint).judge(given, body, NOON)
    assert isinstance(verdict, Genuine)
    (said,) = verdict.said
    assert said == Said(topic, json.loads(body)["id"], body)
    assert mapper.hinted(said.topic, said.body.decode()) == thing
    assert not isinstance(sender_of("north", endpoint).judge(given, body + b" ", NOON), Genuine)
