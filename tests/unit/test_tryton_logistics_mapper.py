"""Tryton's deliveries and returns in our words, and ours in Tryton's: literals in, literals out."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain.fulfilment import Delivery, DeliveryLine
from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import Restock, RestockLine, SeenReturnLine
from sync_assets.domain.shipments import SeenLine, SeenParcel
from sync_assets.mappers import tryton_logistics as mapper

Row = dict[str, Any]
CHANGED = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def move(sku: str = "A-1", units: Any = 2, **changes: Any) -> Row:
    common = {"id": 26, "state": "done", "order": 2, "line": 3, "line_no": 100, "exception": ""}
    return {**common, "sku": sku, "units": units, "places": [], **changes}


def shipment(*moves: Row, **changes: Any) -> Row:
    return {
        "id": 7,
        "number": "12",
        "state": "done",
        "reference": None,
        "warehouse": "WH",
        "effective_date": "2026-11-20",
        "changed_at": CHANGED.isoformat(),
        "carrier": None,
        "ours": None,
        "orders": [{"id": 2, "key": "eu:1001", "number": "2", "reference": "1001"}],
        "moves": list(moves or (move(),)),
        "tracking_numbers": [],
        **changes,
    }


def place(units: int = 1, **changes: Any) -> Row:
    common = {"units": units, "state": "done", "type": "storage", "code": "STO"}
    return {**common, "is_apart": False, "is_waste": False, **changes}


def fault(payload: Row, read: Any = mapper.shipment) -> list[tuple[str, str, str]]:
    with pytest.raises(Rejected) as caught:
        read(payload)
    return [(one.code, one.part, one.message) for one in caught.value.problems]


# Ours in Tryton's words


def test_a_delivery_says_what_left_on_which_day_in_utc() -> None:
    document = Delivery(
        key="north:5512/eu:1001",
        order_ref="eu:1001",
        order_id=2,
        warehouse="WH",
        shipped_at=datetime.fromisoformat("2026-11-21T00:30:00+01:00"),
        carrier="ups",
        tracking_numbers=("1Z1", "1Z2", "1Z1"),
        lines=(DeliveryLine(key="eu:1001:1", sku="A-1", units=2),),
        is_last=True,
    )
    assert mapper.delivery(document) == {
        "key": "north:5512/eu:1001",
        "order_ref": "eu:1001",
        "order": 2,
        "warehouse": "WH",
        "shipped_on": "2026-11-20",
        "tracking_numbers": ["1Z1", "1Z2"],
        "lines": [{"sku": "A-1", "units": 2}],
        "is_last": True,
    }


def test_a_restock_says_what_becomes_of_each_unit() -> None:
    line = RestockLine(key="eu:1001:1", sku="A-1", restock_units=2, write_off_units=1)
    document = Restock(
        key="eu:1001:r1",
        order_ref="eu:1001",
        order_id=2,
        received_on=date(2026, 11, 24),
        lines=(line,),
    )
    assert mapper.restock(document) == {
        "key": "eu:1001:r1",
        "order_ref": "eu:1001",
        "order": 2,
        "warehouse": "",
        "received_on": "2026-11-24",
        "lines": [{"sku": "A-1", "restock": 2, "refurbish": 0, "write_off": 1}],
    }


# What Tryton holds of ours


def held(*shipments: tuple[str, int], wanted: int = 2, is_settled: bool = True) -> Row:
    return {
        "key": "north:1/eu:1001",
        "lines": [{"sku": "A-1", "units": wanted}],
        "is_settled": is_settled,
        "shipments": [
            {"id": 7 + place, "number": str(12 + place), "state": state, "units": {"A-1": units}}
            for place, (state, units) in enumerate(shipments)
        ],
    }


@pytest.mark.parametrize(
    ("payload", "state", "units"),
    [
        (held(("done", 2)), "done", {"A-1": 2}),
        (held(("done", 2), is_settled=False), "begun", {"A-1": 2}),
        (held(("waiting", 3)), "begun", {}),
        (held(("done", 1), ("packed", 1)), "begun", {"A-1": 1}),
        (held(("done", 1), ("done", 1)), "done", {"A-1": 2}),
        (held(("cancelled", 2)), "cancelled", {}),
        (held(("done", 2), ("cancelled", 1)), "done", {"A-1": 2}),
        (held(("done", 1)), "begun", {"A-1": 1}),
    ],
)
def test_a_delivery_is_done_when_all_of_it_has_left_and_the_rest_is_settled(
    payload: Row, state: str, units: dict[str, int]
) -> None:
    found = mapper.seen_delivery(payload)
    assert (found.state, found.units) == (state, units)
    assert (found.key, found.remote_id, found.number) == ("north:1/eu:1001", 7, "12")


@pytest.mark.parametrize(
    ("is_complete", "is_cancelled", "state"),
    [(True, False, "done"), (False, False, "begun"), (False, True, "cancelled")],
)
def test_a_restock_is_seen_with_all_the_order_has_given_back(
    is_complete: bool, is_cancelled: bool, state: str
) -> None:
    payload = {
        "key": "eu:1001:r1",
        "receipts": [{"id": 4, "number": "9", "state": "done", "reference": None}],
        "is_complete": is_complete,
        "is_cancelled": is_cancelled,
        "taken_back": {"A-1": 3},
    }
    found = mapper.seen_restock(payload)
    assert (found.state, found.units, found.remote_id) == (state, {"A-1": 3}, 4)


# What left


def test_a_delivery_that_left_is_read_with_its_lines_and_parcel() -> None:
    found = mapper.shipment(
        shipment(tracking_numbers=["PF1"], carrier="Parcel Force", reference="WMS-778")
    )
    assert (found.remote_id, found.number, found.state) == ("7", "12", "shipped")
    assert (found.reference, found.warehouse) == ("eu:1001", "WH")
    assert found.lines == (SeenLine("A-1", 2, reference="eu:1001", parcel=0),)
    assert found.parcels == (SeenParcel("PF1", "Parcel Force"),)
    assert found.changed_at == CHANGED
    assert found.shipped_at == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_it_left_at_noon_of_its_day_but_not_after_it_was_changed() -> None:
    same_day = shipment(effective_date="2026-11-21")
    assert mapper.shipment(same_day).shipped_at == CHANGED
    assert mapper.shipment(shipment(effective_date=None)).shipped_at == CHANGED


@pytest.mark.parametrize("word", ["draft", "waiting", "assigned", "picked", "packed"])
def test_what_has_not_left_is_packed_at_most_and_has_no_moment(word: str) -> None:
    found = mapper.shipment(shipment(state=word))
    assert (found.state, found.shipped_at) == ("packed", None)


def test_with_two_parcels_nobody_knows_which_line_lies_in_which() -> None:
    found = mapper.shipment(shipment(tracking_numbers=["A", "B"]))
    assert [line.parcel for line in found.lines] == [None]


def test_units_given_up_for_good_are_told_apart_from_those_still_to_be_decided_on() -> None:
    moves = (
        move(units=1, state="cancelled", exception="ignored"),
        move("A-2", 1, state="cancelled", exception="recreated"),
        move("A-3", 1, state="cancelled"),
    )
    found = mapper.shipment(shipment(*moves, state="cancelled", effective_date=None))
    assert found.cancelled == {"A-1": 1}
    assert [line.sku for line in found.lines] == ["A-2", "A-3"]
    alive = mapper.shipment(shipment(move(), moves[2]))
    assert [line.sku for line in alive.lines] == ["A-1"]


def test_lines_of_two_orders_name_their_own_and_the_shipment_names_none() -> None:
    orders = [
        {"id": 2, "key": "eu:1001", "number": "2", "reference": "1001"},
        {"id": 3, "key": None, "number": "3", "reference": None},
    ]
    found = mapper.shipment(shipment(move(), move("A-2", order=3), orders=orders))
    assert found.reference is None
    assert [line.reference for line in found.lines] == ["eu:1001", "3"]


def test_what_we_posted_is_known_as_ours() -> None:
    assert mapper.is_ours(shipment(ours="north:1/eu:1001"))
    assert not mapper.is_ours(shipment())


def test_an_unknown_word_a_part_of_a_piece_or_no_code_is_loud() -> None:
    assert fault(shipment(state="lost")) == [
        ("thing.malformed", "state", "is 'lost', a word we do not know")
    ]
    assert fault(shipment(move(units=Decimal("1.5")))) == [
        ("thing.malformed", "moves[0].units", "is no whole number of units")
    ]
    assert fault(shipment(move(sku=None))) == [  # type: ignore[arg-type]
        ("thing.malformed", "moves[0].sku", "is missing: the product has no code")
    ]
    assert fault(shipment(effective_date="yesterday")) == [
        ("thing.malformed", "effective_date", "is not a day")
    ]


# What came back


def test_the_place_goods_lie_in_says_what_became_of_them() -> None:
    places = [
        place(3),
        place(2, is_apart=True),
        place(1, is_waste=True),
        place(1, type="lost_found"),
        place(2, state="draft"),
    ]
    found = mapper.goods_back(shipment(move(units=9, places=places)))
    assert found.lines == (SeenReturnLine("A-1", 9, 9, 3, 2, 2),)
    assert (found.state, found.reference) == ("inspected", "eu:1001")
    assert found.received_at == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_our_own_receipt_for_losses_says_so_though_they_lay_in_the_input_first() -> None:
    payload = shipment(
        move(units=1, places=[place()]), reference="eu:1001:r1/write_off", ours="eu:1001:r1"
    )
    found = mapper.goods_back(payload)
    assert found.reference == "eu:1001:r1"
    assert found.lines == (SeenReturnLine("A-1", 1, 1, 0, 0, 1),)


@pytest.mark.parametrize(
    ("word", "state", "moved", "received"),
    [
        ("draft", "requested", "draft", 0),
        ("received", "received", "done", 2),
        ("cancelled", "cancelled", "cancelled", 0),
    ],
)
def test_a_return_under_way_counts_what_is_there(
    word: str, state: str, moved: str, received: int
) -> None:
    payload = shipment(move(state=moved, places=[place(2, state="draft")]), state=word)
    found = mapper.goods_back(payload)
    assert found.state == state
    assert found.lines == (SeenReturnLine("A-1", 2, received),)
    assert (found.received_at is None) is (received == 0)


def test_a_return_of_no_order_of_ours_is_named_by_what_stands_on_it() -> None:
    found = mapper.goods_back(shipment(orders=[], reference="RMA-7"))
    assert found.reference == "RMA-7"


# One order's deliveries together


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (["draft"], "waiting"),
        (["waiting"], "acknowledged"),
        (["picked", "waiting"], "picking"),
        (["done", "waiting"], "part_shipped"),
        (["done", "cancelled"], "shipped"),
        (["shipped"], "shipped"),
        (["cancelled"], "cancelled"),
    ],
)
def test_where_all_deliveries_of_an_order_stand_together(words: list[str], state: str) -> None:
    found = mapper.seen([shipment(state=word) for word in words])
    alive = sum(word != "cancelled" for word in words)
    assert (found.key, found.state) == ("eu:1001", state)
    assert found.units == ({"A-1": 2 * alive} if alive else {})


def test_an_order_without_deliveries_is_no_fulfilment() -> None:
    assert fault([], mapper.seen) == [  # type: ignore[arg-type]
        ("thing.malformed", "shipments", "the order has no delivery")
    ]
