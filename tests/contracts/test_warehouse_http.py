"""The client of our own warehouse contract against the stand-in that keeps to it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import sync_assets.mappers.warehouse_http as mapper
from resources.errors import (
    Refused,
)
from resources.pages import Raw
from resources.sandbox.faults import Fault, Trouble
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment
from tests.contracts.warehouse_north import (
    KEY,
    NOON,
    OTHER,
    asked_for,
    changes,
    connected,
    held,
    says,
    standin,
)

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
