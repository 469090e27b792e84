"""The client of our own warehouse contract against the stand-in that keeps to it."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
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
from resources.http import Manners, client
from resources.pages import Broken, Raw
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.warehouse import WarehouseStandIn
from resources.settings import Endpoint
from resources.systems.warehouse_http import WarehouseHttp
from sensors.webhooks.signatures import Genuine, Said, sender_of
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY, OTHER = "us:1042:f1", "us:1043:f1"
OVERLAP = timedelta(minutes=5)


class Clock:
    """A clock that moves one minute for each look at it."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


def standin(**how: Any) -> WarehouseStandIn:
    return WarehouseStandIn(now=Clock(), **how)


def connected(
    there: WarehouseStandIn | httpx.MockTransport, token: str = "token", attempts: int = 1
) -> WarehouseHttp:
    http = client(
        "north",
        "https://3pl.test/api",
        Manners(attempts=attempts),
        headers={"Authorization": f"Bearer {token}"},
        transport=under_api(there) if isinstance(there, WarehouseStandIn) else there,
        sleep=lambda _: None,
    )
    return WarehouseHttp(http, "north")


def under_api(there: WarehouseStandIn) -> httpx.MockTransport:
    """The stand-in as it stands below a path of its server."""

    def handle(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.removeprefix(b"/api")
        url = request.url.copy_with(raw_path=path)
        return there.handle(
            httpx.Request(request.method, url, headers=request.headers, content=request.content)
        )

    return httpx.MockTransport(handle)


def says(content: Any, status: int = 200) -> WarehouseHttp:
    """A warehouse with one answer to everything."""
    body = content if isinstance(content, str | bytes) else json.dumps(content)
    return connected(httpx.MockTransport(lambda _: httpx.Response(status, content=body)))


def asked_for(key: str = KEY, version: int = 1, **changes: Any) -> dict[str, Any]:
    """The payload of a request for two of SKU-1 and one of SKU-2."""
    order = key.rpartition(":")[0]
    lines = [(f"{order}:product:1", "SKU-1", 2), (f"{order}:product:2", "SKU-2", 1)]
    document = FulfilmentOrder(
        **{
            "key": key,
            "order_ref": order,
            "store": "us",
            "order_number": order.rpartition(":")[2],
            "warehouse": "EAST",
            "placed_at": NOON,
            "currency": "USD",
            "ship_to": Address(name="Ada", street="1 Demo Way", city="Chicago", country="US"),
            "lines": tuple(
                FulfilmentLine(key=k, sku=s, description=s, units=n, unit_amount=Decimal("11.00"))
                for k, s, n in lines
            ),
        }
        | changes
    )
    return mapper.fulfilment_order(document, version)


def held(north: WarehouseHttp, key: str = KEY) -> tuple[str, dict[str, int] | None]:
    """State and units of what the warehouse holds."""
    seen = mapper.seen(north.fulfilments([key])[key])
    return seen.state, None if seen.units is None else dict(seen.units)


def changes(north: WarehouseHttp, since: datetime = NOON) -> list[SeenShipment]:
    pages = north.shipments_changed_since(since, OVERLAP)
    return [mapper.shipment(one.body) for page in pages for one in page if isinstance(one, Raw)]


def ids(pages: Iterable[list[Raw | Broken]]) -> list[list[str | None]]:
    return [[one.resource_id for one in page] for page in pages]


# Asking to ship


def test_a_request_is_held_under_our_key_with_its_units() -> None:
    there = standin()
    north = connected(there)

    assert north.put_fulfilments([asked_for()]) == {}

    seen = mapper.seen(north.fulfilments([KEY, "us:9:f1"])[KEY])
    assert (seen.key, seen.remote_id, seen.number) == (KEY, "F-1001", "FO-00001")
    assert held(north) == ("acknowledged", {"SKU-1": 2, "SKU-2": 1})
    assert north.fulfilments(["us:9:f1"]) == {}


def test_asking_twice_makes_one_request() -> None:
    there = standin()
    north = connected(there)

    north.put_fulfilments([asked_for()])
    there.pick(KEY)

    assert north.put_fulfilments([asked_for()]) == {}
    assert (there.count("create"), there.count("change")) == (1, 0)


def test_a_request_delivered_twice_by_the_network_is_one() -> None:
    there = standin()
    there.faults.plan(Fault(Trouble.TWICE, "PUT"))

    assert connected(there).put_fulfilments([asked_for()]) == {}

    assert there.count("create") == 1


def test_a_request_can_be_changed_until_it_is_picked() -> None:
    there = standin()
    north = connected(there)
    fewer = asked_for(version=2)
    fewer["lines"] = fewer["lines"][:1]
    north.put_fulfilments([asked_for()])

    assert north.put_fulfilments([fewer]) == {}
    assert held(north) == ("acknowledged", {"SKU-1": 2})

    there.pick(KEY)
    refused = north.put_fulfilments([asked_for(version=3)])

    assert (type(refused[KEY]), refused[KEY].code) == (Refused, "already_picked")
    assert held(north) == ("picking", {"SKU-1": 2})


def test_an_older_version_that_comes_late_changes_nothing() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for(version=2, note="ring twice")])

    refused = north.put_fulfilments([asked_for(version=1)])

    assert refused[KEY].code == "outdated"
    assert there.count("change") == 0


def test_one_refusal_costs_its_neighbours_nothing() -> None:
    there = standin()
    north = connected(there)
    odd = asked_for(OTHER, warehouse="MOON")
    third = asked_for("us:1044:f1")

    refused = north.put_fulfilments([asked_for(), odd, third])

    assert list(refused) == [OTHER]
    assert str(refused[OTHER]) == ("north: we have no such place (warehouse) [unknown_warehouse]")
    assert there.count("create") == 2
    assert north.fulfilments([OTHER]) == {}


@pytest.mark.parametrize(
    ("change", "code", "fields"),
    [
        ({"ship_to": Address(name="Ada", street="1", city="")}, "invalid",
         ["ship_to.city", "ship_to.country"]),
        ({"lines": ()}, "invalid", ["lines"]),
    ],
)  # fmt: skip
def test_a_request_without_what_a_parcel_needs_is_refused_with_its_fields(
    change: dict[str, Any], code: str, fields: list[str]
) -> None:
    no = connected(standin()).put_fulfilments([asked_for(**change)])[KEY]
    assert (no.code, no.message.partition("(")[2]) == (code, ", ".join(fields) + ")")


def test_an_article_nobody_stocks_is_refused_and_one_the_warehouse_dislikes_too() -> None:
    there = standin(places={"EAST": {"SKU-1": 5}})
    north = connected(there)
    assert north.put_fulfilments([asked_for()])[KEY].code == "unknown_sku"

    there.stock["EAST"]["SKU-2"] = 0
    there.refuse("SKU-2", "batteries are not shipped from here")
    no = north.put_fulfilments([asked_for()])[KEY]

    assert (no.code, no.message) == ("refused", "batteries are not shipped from here")
    assert there.count("create") == 0


def test_a_silent_warehouse_takes_everything_and_acknowledges_nothing() -> None:
    there = standin()
    there.go_silent()
    north = connected(there)

    assert north.put_fulfilments([asked_for()]) == {}
    assert held(north)[0] == "waiting"

    there.speak()
    assert held(north)[0] == "acknowledged"


# Taking it back


def test_a_request_can_be_taken_back_twice_until_it_is_picked() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for(), asked_for(OTHER)])
    there.pick(OTHER)

    refused = north.cancel_fulfilments([KEY, OTHER, "us:9:f1"])

    assert {key: no.code for key, no in refused.items()} == {OTHER: "already_picked"}
    assert north.cancel_fulfilments([KEY]) == {}
    assert (held(north)[0], held(north, OTHER)[0]) == ("cancelled", "picking")
    assert there.count("cancel") == 1


def test_what_was_cancelled_does_not_come_back_to_life() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for()])
    north.cancel_fulfilments([KEY])

    assert north.put_fulfilments([asked_for(version=2)])[KEY].code == "cancelled"
    assert held(north)[0] == "cancelled"


def test_a_404_of_some_other_server_is_not_taken_for_a_request_that_is_gone() -> None:
    assert list(says("<html>not here</html>", 404).cancel_fulfilments([KEY])) == [KEY]


# What left


def test_a_shipment_tells_lines_parcels_and_times_in_utc() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for()])

    parcel = {"tracking_number": "1Z 1", "weight_g": 1250}
    there.ship(KEY, {"SKU-1": 2}, [parcel], at=NOON - timedelta(hours=1))

    assert changes(north) == [
        SeenShipment(
            remote_id="S-1001",
            number="LS000001",
            state="shipped",
            changed_at=NOON + timedelta(minutes=4),
            shipped_at=NOON - timedelta(hours=1),
            reference=KEY,
            warehouse="EAST",
            lines=(SeenLine("SKU-1", 2, "us:1042:product:1", None, 0),),
            parcels=(SeenParcel("1Z 1", "UPS Ground", None, Decimal(1250)),),
        )
    ]
    assert held(north) == ("part_shipped", {"SKU-1": 2, "SKU-2": 1})
    assert there.on_hand("EAST", "SKU-1") == 98


def test_the_rest_follows_in_a_shipment_of_its_own() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for()])

    there.ship(KEY, {"SKU-1": 1})
    there.ship(KEY)

    told = [[(line.sku, line.units) for line in one.lines] for one in changes(north)]
    assert told == [[("SKU-1", 1)], [("SKU-1", 1), ("SKU-2", 1)]]
    assert (held(north)[0], there.count("ship", KEY)) == ("shipped", 2)
    with pytest.raises(ValueError, match="has not so much open"):
        there.ship(KEY)


def test_one_parcel_may_hold_the_goods_of_several_orders() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for(), asked_for(OTHER)])

    there.ship([KEY, OTHER])

    (told,) = changes(north)
    assert (told.reference, len(told.parcels)) == (None, 1)
    assert [(line.reference, line.sku, line.units, line.parcel) for line in told.lines] == [
        (KEY, "SKU-1", 2, 0),
        (KEY, "SKU-2", 1, 0),
        (OTHER, "SKU-1", 2, 0),
        (OTHER, "SKU-2", 1, 0),
    ]


def test_lines_lie_in_the_parcels_whose_contents_are_known_and_in_none_otherwise() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for(), asked_for(OTHER)])

    there.ship(KEY, parcels=[{"lines": {"SKU-1": 1}}, {"lines": {"SKU-1": 1, "SKU-2": 1}}])
    there.ship(OTHER, parcels=[{}, {}])

    known, unknown = changes(north)
    assert [(n.sku, n.units, n.parcel) for n in known.lines] == [
        ("SKU-1", 1, 0),
        ("SKU-1", 1, 1),
        ("SKU-2", 1, 1),
    ]
    assert [(n.sku, n.units, n.parcel) for n in unknown.lines] == [
        ("SKU-1", 2, None),
        ("SKU-2", 1, None),
    ]


def test_what_will_not_be_shipped_is_told_with_the_shipment_and_in_the_request() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for(), asked_for(OTHER)])

    there.short(KEY, "SKU-2", 1)
    there.ship(KEY)
    there.ship(OTHER, {"SKU-1": 1})
    there.short(OTHER, "SKU-1", 1)
    there.short(OTHER, "SKU-2", 1)

    assert [dict(one.cancelled) for one in changes(north)] == [
        {"SKU-2": 1},
        {"SKU-1": 1, "SKU-2": 1},
    ]
    assert held(north) == ("shipped", {"SKU-1": 2, "SKU-2": 0})
    assert held(north, OTHER) == ("shipped", {"SKU-1": 1, "SKU-2": 0})


def test_a_request_of_which_nothing_is_there_is_refused_with_its_reason() -> None:
    there = standin()
    north = connected(there)
    north.put_fulfilments([asked_for()])

    there.short(KEY, "SKU-1", 2)
    there.short(KEY, "SKU-2", 1)

    seen = mapper.seen(north.fulfilments([KEY])[KEY])
    assert (seen.state, seen.reason) == ("refused", "nothing of it is there")
    assert changes(north) == []


def test_each_place_has_a_shelf_of_its_own() -> None:
    there = standin(places={"EAST": {"SKU-1": 1, "SKU-2": 1}, "WEST": {"SKU-1": 9}})
    connected(there).put_fulfilments([asked_for()])

    with pytest.raises(ValueError, match="EAST has 1 of SKU-1, not 2"):
        there.ship(KEY)

    assert (there.on_hand("EAST", "SKU-1"), there.on_hand("WEST", "SKU-1")) == (1, 9)
    assert there.count("ship") == 0


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


# Goods that come back


def test_goods_that_come_back_are_received_and_then_inspected_unit_by_unit() -> None:
    there = standin()
    north = connected(there)
    name = there.receive_return("us:1042", [{"sku": "SKU-1", "units": 2, "restock": 1}], "1Z9")

    there.inspect_return(name, {"SKU-1": {"write_off": 1}})

    (one,) = north.returns_by_id([name])
    assert isinstance(one, Raw)
    seen = mapper.goods_back(one.body)
    (line,) = seen.lines
    assert (seen.state, seen.reference, seen.tracking_number) == ("inspected", "us:1042", "1Z9")
    assert (line.received_units, line.restock_units, line.write_off_units) == (2, 1, 1)
    assert there.on_hand("EAST", "SKU-1") == 101


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
