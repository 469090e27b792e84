"""Deliveries, parcels and goods that came back, between our words and Odoo's."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from sync_assets.domain.fulfilment import Delivery, DeliveryLine
from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import Restock, RestockLine
from sync_assets.domain.shipments import SeenLine, SeenParcel
from sync_assets.mappers import odoo_logistics as mapper

AT = datetime(2026, 11, 20, 12, 5, tzinfo=UTC)
MUG = {"id": 31, "item": 57, "sku": "MUG", "contents": [{"product": 57, "per_unit": "1"}]}


def move(product: int, sku: str | None, units: str, **more: Any) -> dict[str, Any]:
    values = {"id": product, "product": product, "sku": sku, "state": "done", "line": 31}
    return {**values, "demand": units, "quantity": units, "picked": True, **more}


def parcel(*moves: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = {
        "id": 12,
        "name": "WH/OUT/00001",
        "state": "done",
        "origin": "S00001",
        "date_done": "2026-11-20 12:05:00",
        "write_date": "2026-11-20 12:05:00",
        "carrier": "UPS",
        "tracking": "1Z1",
        "warehouse": "WH",
        "return_of_name": None,
        "mark": None,
        "ours": None,
        "order": {"id": 3, "name": "S00001", "reference": "us:1042"},
        "lines": [MUG],
        "moves": list(moves or [move(57, "MUG", "2.0")]),
    }
    return values | more


# Ours in Odoo's words


def test_a_delivery_counts_its_units_by_sku_and_joins_its_numbers() -> None:
    lines = [("a", "MUG", 2), ("b", "PEN", 1), ("c", "MUG", 1), ("d", "CUP", 0)]
    document = Delivery(
        key="north:5512/us:1042",
        order_ref="us:1042",
        order_id=3,
        warehouse="WH",
        shipped_at=AT,
        tracking_numbers=("1Z1", "1Z2", "1Z1"),
        lines=tuple(DeliveryLine(key=key, sku=sku, units=units) for key, sku, units in lines),
        is_last=True,
    )
    assert mapper.delivery(document) == {
        "key": "north:5512/us:1042",
        "order": 3,
        "warehouse": "WH",
        "tracking": "1Z1,1Z2",
        "units": {"MUG": 3, "PEN": 1},
        "last": True,
    }


def test_goods_that_came_back_are_counted_by_what_becomes_of_them() -> None:
    lines = (
        RestockLine(key="a", sku="MUG", restock_units=1, write_off_units=2),
        RestockLine(key="b", sku="MUG", restock_units=1, refurbish_units=1),
    )
    document = Restock(
        key="us:1042:r1",
        order_ref="us:1042",
        order_id=3,
        received_on=date(2026, 11, 25),
        lines=lines,
    )
    assert mapper.restock(document) == {
        "key": "us:1042:r1",
        "order": 3,
        "warehouse": "",
        "restock": {"MUG": 2},
        "refurbish": {"MUG": 1},
        "write_off": {"MUG": 2},
    }


# Parcels in our words


def test_a_parcel_that_left_is_a_shipment() -> None:
    told = mapper.shipment(parcel())
    assert (told.remote_id, told.number, told.state) == ("12", "WH/OUT/00001", "shipped")
    assert (told.changed_at, told.shipped_at) == (AT, AT)
    assert (told.reference, told.warehouse) == ("us:1042", "WH")
    assert told.lines == (SeenLine(sku="MUG", units=2, parcel=0),)
    assert told.parcels == (SeenParcel("1Z1", "UPS"),)
    assert told.cancelled == {}


@pytest.mark.parametrize(
    ("word", "state"),
    [("draft", "packed"), ("waiting", "packed"), ("assigned", "packed"), ("cancel", "cancelled")],
)
def test_a_parcel_that_has_not_left_shows_what_is_asked_for(word: str, state: str) -> None:
    asked = move(57, "MUG", "3.0", state=word, quantity="1.0")
    told = mapper.shipment(parcel(asked, state=word, date_done=None, tracking=None))
    assert (told.state, told.shipped_at, told.parcels) == (state, None, ())
    assert told.lines == (SeenLine(sku="MUG", units=3),)
    assert told.cancelled == ({"MUG": 3} if state == "cancelled" else {})


def test_which_of_several_parcels_a_line_lies_in_is_not_guessed() -> None:
    told = mapper.shipment(parcel(tracking="1Z1; 1Z2,,1Z1"))
    assert [one.tracking_number for one in told.parcels] == ["1Z1", "1Z2"]
    assert told.lines[0].parcel is None


def test_an_order_without_our_key_is_named_by_its_number() -> None:
    order = {"id": 3, "name": "S00001", "reference": None}
    assert mapper.shipment(parcel(order=order)).reference == "S00001"
    assert mapper.shipment(parcel(order=None)).reference is None


def test_components_are_whole_kits_as_far_as_the_scarcest_allows() -> None:
    contents = [{"product": 57, "per_unit": "1"}, {"product": 58, "per_unit": "3"}]
    kit = {"id": 31, "item": 60, "sku": "SET", "contents": contents}
    moves = [move(57, "MUG", "2.0"), move(58, "PEN", "5.0")]
    assert mapper.shipment(parcel(*moves, lines=[kit])).lines == (
        SeenLine(sku="SET", units=1, parcel=0),
    )


def test_goods_nobody_ordered_are_told_as_well() -> None:
    told = mapper.shipment(parcel(move(57, "MUG", "1.0"), move(58, "GIFT", "1.0", line=None)))
    assert [(line.sku, line.units) for line in told.lines] == [("MUG", 1), ("GIFT", 1)]


def test_a_cancelled_move_of_a_done_parcel_did_not_leave() -> None:
    moves = [move(57, "MUG", "1.0"), move(57, "MUG", "1.0", state="cancel", quantity="0.0")]
    assert [line.units for line in mapper.shipment(parcel(*moves)).lines] == [1]


@pytest.mark.parametrize(
    ("broken", "part"),
    [
        ({"state": "flying"}, "state"),
        ({"date_done": "20.11.2026"}, "parcel"),
        ({"moves": None}, "parcel"),
        ({"moves": [move(57, "MUG", "many")]}, "parcel"),
        ({"lines": [{**MUG, "sku": None}]}, "sku"),
    ],
)
def test_a_parcel_that_cannot_be_read_is_rejected(broken: dict[str, Any], part: str) -> None:
    with pytest.raises(Rejected) as caught:
        mapper.shipment(parcel() | broken)
    assert [(one.code, one.part) for one in caught.value.problems] == [("thing.malformed", part)]


def test_a_posting_of_ours_is_told_apart() -> None:
    assert not mapper.is_ours(parcel())
    assert mapper.is_ours(parcel(ours="north:5512/us:1042"))


# What one order has come to


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (["confirmed"], "acknowledged"),
        (["done", "assigned"], "part_shipped"),
        (["done", "done"], "shipped"),
        (["done", "cancel"], "shipped"),
        (["cancel", "assigned"], "acknowledged"),
        (["cancel"], "cancelled"),
    ],
)
def test_an_orders_parcels_together_say_where_it_stands(words: list[str], state: str) -> None:
    parcels = [parcel(move(57, "MUG", "2.0", state=word), state=word) for word in words]
    told = mapper.seen(parcels)
    assert (told.key, told.remote_id, told.state) == ("us:1042", "12", state)
    alive = sum(word != "cancel" for word in words)
    assert told.units == ({"MUG": 2 * alive} if alive else {})


def test_an_order_without_parcels_is_rejected() -> None:
    with pytest.raises(Rejected, match="no parcel"):
        mapper.seen([])


# Goods that come back


def test_a_parcel_that_came_back_was_received() -> None:
    told = mapper.goods_back(parcel(name="WH/IN/00001", return_of_name="WH/OUT/00001"))
    assert (told.state, told.received_at, told.reference) == ("received", AT, "us:1042")
    [line] = told.lines
    assert (line.sku, line.requested_units, line.received_units) == ("MUG", 2, 2)
    assert (told.tracking_number, told.warehouse) == ("1Z1", "WH")


def test_a_parcel_on_its_way_back_is_requested_only() -> None:
    told = mapper.goods_back(parcel(move(57, "MUG", "2.0", state="assigned"), state="assigned"))
    assert (told.state, told.received_at) == ("requested", None)
    assert (told.lines[0].requested_units, told.lines[0].received_units) == (2, 0)


@pytest.mark.parametrize(
    ("more", "reference"),
    [
        ({"ours": "us:1042:r1"}, "us:1042:r1"),
        ({"order": None, "return_of_name": "WH/OUT/00001"}, "WH/OUT/00001"),
        ({"order": None}, None),
    ],
)
def test_a_return_names_the_nearest_thing_it_knows(
    more: dict[str, Any], reference: str | None
) -> None:
    assert mapper.goods_back(parcel(**more)).reference == reference


# What Odoo holds of ours


def test_what_is_there_of_ours_keeps_its_units_by_sku() -> None:
    held = {"key": "k", "id": 12, "name": "WH/OUT/00001", "state": "begun", "units": {"MUG": 1}}
    delivery, restock = mapper.seen_delivery(held), mapper.seen_restock(held)
    for seen in (delivery, restock):
        assert (seen.key, seen.remote_id, seen.number) == ("k", 12, "WH/OUT/00001")
        assert (seen.state, seen.units) == ("begun", {"MUG": 1})
