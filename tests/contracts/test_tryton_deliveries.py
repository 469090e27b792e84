"""Deliveries in Tryton: what left is posted once, in part or whole; recordings, a real server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import sync_assets.mappers.tryton_logistics as mapper
from resources import http
from resources.errors import Missing, TryAgain, UnknownOutcome
from resources.systems.tryton import Tryton
from resources.systems.tryton_shipments import ours
from sync_assets.domain.fulfilment import Delivery, DeliveryLine
from sync_assets.domain.shipments import SeenLine, SeenParcel
from sync_assets.ops import tryton_seed
from tests.contracts.test_tryton_client import Call, erp, response, user_error, warning
from tests.contracts.test_tryton_stock import entries
from tests.contracts.tryton_house import House, Killed, running_house
from tests.contracts.tryton_tables import Tables, moment

D = Decimal
OUT = "model.stock.shipment.out"
Row = dict[str, Any]


def refusal(found: dict[str, Any], key: str) -> tuple[str | None, str]:
    assert list(found) == [key]
    return found[key].code, found[key].message


# A real server


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as found:
        yield found


live = pytest.mark.tryton


@live
def test_a_part_leaves_and_the_rest_stays_open_until_it_leaves_too(house: House) -> None:
    before = house.on_hand("SKU-1")
    key, order = house.order()
    first = house.left(key, order, "north:1", units={"SKU-1": 2})
    assert house.erp.deliveries([first]) == {}
    assert house.erp.put_deliveries([first]) == {}
    assert house.shipments(order) == [
        (f"north:1/{key}", "done", {"SKU-1": 2}),
        (None, "waiting", {"SKU-1": 1}),
    ]
    assert house.sale(order)["shipment_state"] == "partially shipped"
    rest = house.left(key, order, "north:2", units={"SKU-1": 1})
    assert house.erp.put_deliveries([rest]) == {}
    assert house.shipments(order)[1:] == [(f"north:2/{key}", "done", {"SKU-1": 1})]
    assert house.sale(order)["shipment_state"] == "sent"
    assert house.on_hand("SKU-1") == before - 3


@live
def test_a_repeated_delivery_moves_nothing_and_presses_nothing(house: House) -> None:
    key, order = house.order()
    told = house.left(key, order, "north:1", units={"SKU-1": 2})
    house.erp.put_deliveries([told])
    before, calls = house.on_hand("SKU-1"), len(house.wire.methods)
    assert house.erp.put_deliveries([told]) == {}
    assert house.wire.methods[calls:] == []
    assert house.on_hand("SKU-1") == before
    found = mapper.seen_delivery(house.erp.deliveries([told])[told["key"]])
    assert (found.state, found.units) == ("done", {"SKU-1": 2})


@live
def test_after_the_last_part_the_order_waits_for_nothing(house: House) -> None:
    before = house.on_hand("SKU-1")
    key, order = house.order(SKU_1=(3, "30.00"), SKU_2=(1, "5.00"))
    first = house.left(key, order, "north:1", units={"SKU-1": 1})
    last = house.left(key, order, "north:2", units={"SKU-1": 1}, is_last=True)
    assert house.erp.put_deliveries([first, last]) == {}
    assert house.shipments(order) == [
        (f"north:1/{key}", "done", {"SKU-1": 1}),
        (f"north:2/{key}", "done", {"SKU-1": 1}),
        (f"rest/{key}", "cancelled", {"SKU-1": 1, "SKU-2": 1}),
    ]
    assert house.sale(order)["shipment_state"] == "sent"
    assert house.on_hand("SKU-1") == before - 2
    calls = len(house.wire.methods)
    assert house.erp.put_deliveries([last]) == {}
    assert house.wire.methods[calls:] == []


@live
def test_an_order_is_closed_by_a_delivery_of_nothing(house: House) -> None:
    before = house.on_hand("SKU-1")
    key, order = house.order()
    told = house.left(key, order, "closing", units={}, is_last=True)
    assert house.erp.put_deliveries([told]) == {}
    assert house.erp.put_deliveries([told]) == {}
    assert house.shipments(order) == [(f"rest/{key}", "cancelled", {"SKU-1": 3})]
    assert house.sale(order)["shipment_state"] == "none"
    assert house.on_hand("SKU-1") == before


@live
def test_killed_after_any_call_a_delivery_is_finished_and_moves_once(house: House) -> None:
    """Two of three leave another warehouse than planned, as the last: the longest way there is."""
    deaths: list[str] = []
    for writes in range(1, 60):
        before = house.on_hand("SKU-1", "US1")
        key, order = house.order()
        told = house.left(key, order, "north:1", units={"SKU-1": 2}, is_last=True, warehouse="US1")
        house.killed_after(writes)
        try:
            house.erp.put_deliveries([told])
        except Killed as death:
            deaths.append(str(death))
        else:
            house.wire.left = None
            break
        unfinished = house.erp.deliveries([told])
        assert house.erp.put_deliveries([told]) == {}
        assert house.shipments(order) == [
            (f"north:1/{key}", "done", {"SKU-1": 2}),
            (f"rest/{key}", "cancelled", {"SKU-1": 1}),
        ], death_of(deaths)
        assert house.sale(order)["shipment_state"] == "sent"
        assert house.on_hand("SKU-1", "US1") == before - 2
        whole = mapper.seen_delivery(house.erp.deliveries([told])[told["key"]])
        assert (whole.state, whole.units) == ("done", {"SKU-1": 2})
        # The last two calls settle the rest, and tidy up after that.
        if writes < 15:
            states = {mapper.seen_delivery(payload).state for payload in unfinished.values()}
            assert states <= {"begun"}, death_of(deaths)
    assert [name.rpartition(".")[2] for name in deaths] == [
        *("draft", "write", "wait", "write", "assign_try", "pick", "pack", "skip", "pack", "do"),
        *("write", "cancel", "create", "execute", "execute", "delete"),
    ]


def death_of(deaths: list[str]) -> str:
    return f"killed after {deaths[-1]}"


@live
def test_more_than_is_open_is_refused_and_nothing_is_touched(house: House) -> None:
    before = house.on_hand("SKU-1")
    key, order = house.order()
    told = house.left(key, order, "north:1", units={"SKU-1": 4, "SKU-3": 1})
    code, words = refusal(house.erp.put_deliveries([told]), told["key"])
    assert code == "over_delivered"
    assert words.endswith("is more than the order has open: 1 of SKU-1, 1 of SKU-3")
    assert house.shipments(order) == [(None, "waiting", {"SKU-1": 3})]
    assert house.on_hand("SKU-1") == before


@live
def test_goods_leave_the_warehouse_they_left_and_not_the_one_that_was_planned(
    house: House,
) -> None:
    here, there = house.on_hand("SKU-1"), house.on_hand("SKU-1", "UK1")
    key, order = house.order()
    told = house.left(key, order, "south:1", units={"SKU-1": 2}, warehouse="UK1")
    assert house.erp.put_deliveries([told]) == {}
    assert house.on_hand("SKU-1") == here
    assert house.on_hand("SKU-1", "UK1") == there - 2
    places = [raw.body["warehouse"] for raw in house.erp.shipments_of([order])]  # type: ignore[union-attr]
    assert places == ["UK1", "EU1"]


@live
def test_a_shipment_picked_elsewhere_stays_where_it_is(house: House) -> None:
    key, order = house.order()
    (raw,) = house.erp.shipments_of([order])
    for button in ("assign_try", "pick"):
        house.erp.rpc.write(f"{OUT}.{button}", [int(raw.resource_id or 0)])
    told = house.left(key, order, "south:1", warehouse="UK1")
    code, words = refusal(house.erp.put_deliveries([told]), told["key"])
    assert code == "other_warehouse"
    assert "'EU1'" in words
    assert "'UK1'" in words
    less = house.left(key, order, "north:1", units={"SKU-1": 2})
    assert refusal(house.erp.put_deliveries([less]), less["key"])[0] == "picked_otherwise"
    assert house.shipments(order) == [(None, "picked", {"SKU-1": 3})]
    same = house.left(key, order, "north:2")
    assert house.erp.put_deliveries([same]) == {}
    assert house.shipments(order) == [(f"north:2/{key}", "done", {"SKU-1": 3})]


@live
def test_what_is_short_in_the_books_only_leaves_where_we_may_force_it(house: House) -> None:
    key, order = house.order(SKU_3=(1500, "15.00"))
    before = house.on_hand("SKU-3")
    told = house.left(key, order, "north:1", units={"SKU-3": 1500})
    with house.server._admin() as admin:
        values = {
            "name": "Careful",
            "login": "careful",
            "password": house.server.password,
            "companies": [["add", [1]]],
            "company": 1,
            "groups": [
                ["add", [admin.read("model.ir.model.data.get_id", *group) for group in careful()]]
            ],
        }
        admin.write("model.res.user.create", [values])
    with http.client("tryton", house.server.url, transport=house.wire) as client:
        other = Tryton(client, house.server.database, "careful", house.server.password)
        code, words = refusal(other.put_deliveries([told]), told["key"])
    assert code == "not_in_stock"
    assert "is not in stock there" in words
    assert house.on_hand("SKU-3") == before
    assert mapper.seen_delivery(house.erp.deliveries([told])[told["key"]]).state == "begun"
    assert house.erp.put_deliveries([told]) == {}
    assert house.shipments(order) == [(f"north:1/{key}", "done", {"SKU-3": 1500})]
    assert house.on_hand("SKU-3") == before - 1500


def careful() -> list[tuple[str, str]]:
    forcing = ("stock", "group_stock_force_assignment")
    return [group for group in tryton_seed.GROUPS if group != forcing]


@live
def test_a_delivery_that_a_person_cancelled_is_not_made_again(house: House) -> None:
    key, order = house.order()
    told = house.left(key, order, "north:1", units={"SKU-1": 2})
    house.erp.put_deliveries([told])
    (done, _) = house.erp.shipments_of([order])
    house.erp.rpc.write(f"{OUT}.cancel", [int(done.resource_id or 0)])
    assert refusal(house.erp.put_deliveries([told]), told["key"])[0] == "cancelled"
    assert mapper.seen_delivery(house.erp.deliveries([told])[told["key"]]).state == "cancelled"


@live
def test_one_delivery_can_take_from_two_open_shipments(house: House) -> None:
    """A person put one unit of the order on hold in a shipment of its own."""
    key, order = house.order()
    house.erp.put_deliveries([house.left(key, order, "north:1", units={"SKU-1": 1})])
    (_, rest) = house.erp.shipments_of([order])
    number = int(rest.resource_id or 0)
    moves = house.erp.rpc.search(
        "stock.move",
        [["shipment", "=", f"stock.shipment.out,{number}"], ["to_location.type", "=", "customer"]],
        ("quantity",),
    )
    house.erp.rpc.write(f"{OUT}.draft", [number])
    half = {"outgoing_moves": [["write", [moves[0]["id"]], {"quantity": 1}]]}
    house.erp.rpc.write(f"{OUT}.write", [number], half)
    house.erp.rpc.write("model.sale.sale.process", [order])
    assert [row[1:] for row in house.shipments(order)][1:] == [
        ("draft", {"SKU-1": 1}),
        ("waiting", {"SKU-1": 1}),
    ]
    told = house.left(key, order, "north:2", units={"SKU-1": 2})
    assert house.erp.put_deliveries([told]) == {}
    assert house.shipments(order)[1:] == [
        (f"north:2/{key}", "done", {"SKU-1": 1}),
        (f"north:2/{key}", "done", {"SKU-1": 1}),
    ]
    found = mapper.seen_delivery(house.erp.deliveries([told])[told["key"]])
    assert (found.state, found.units) == ("done", {"SKU-1": 2})


@live
def test_the_day_it_left_and_its_tracking_numbers_stand_on_it(house: House) -> None:
    key, order = house.order()
    left = datetime(2026, 11, 21, 15, tzinfo=UTC)
    told = house.left(key, order, "north:1", shipped_at=left, tracking_numbers=("1Z 9", "JJD7"))
    house.erp.put_deliveries([told])
    (raw,) = house.erp.shipments_of([order])
    found = mapper.shipment(raw.body)  # type: ignore[union-attr]
    assert [parcel.tracking_number for parcel in found.parcels] == ["1Z 9", "JJD7"]
    assert (found.state, found.reference, found.warehouse) == ("shipped", key, "EU1")
    assert found.shipped_at == left.replace(hour=12)
    assert mapper.is_ours(raw.body)  # type: ignore[union-attr]


@live
def test_a_day_that_has_not_come_there_is_today(house: House) -> None:
    key, order = house.order()
    late = datetime.now(UTC) + timedelta(days=3)
    house.erp.put_deliveries([house.left(key, order, "north:1", shipped_at=late)])
    (raw,) = house.erp.shipments_of([order])
    assert raw.body["effective_date"] == house.erp.rpc.read("model.ir.date.today")  # type: ignore[union-attr]


@live
def test_a_change_of_a_shipment_its_move_or_its_line_is_seen_oldest_first(house: House) -> None:
    key, order = house.order()
    other, second = house.order(SKU_2=(2, "20.00"))
    start = house.erp.rpc.search("sale.sale", [["id", "=", second]], ("last_modified_at",))[0]
    since = datetime.fromisoformat(start["last_modified_at"])
    (raw,) = house.erp.shipments_of([order])
    number = int(raw.resource_id or 0)
    assert seen_since(house, since + timedelta(microseconds=1)) == []
    house.erp.rpc.write(f"{OUT}.cancel", [number])
    (cancelled,) = seen_since(house, since + timedelta(microseconds=1))
    assert cancelled.body["moves"][0]["exception"] == ""
    assert mapper.shipment(cancelled.body).cancelled == {}
    after = cancelled.changed_at + timedelta(microseconds=1)
    house.erp.fulfilment._ignore(order, "shipment", "moves")
    (ignored,) = seen_since(house, after)
    assert mapper.shipment(ignored.body).cancelled == {"SKU-1": 3}
    assert ignored.changed_at > cancelled.changed_at
    (theirs,) = house.erp.shipments_of([second])
    house.erp.rpc.write(f"{OUT}.assign_try", [int(theirs.resource_id or 0)])
    changed = seen_since(house, since)
    assert [raw.body["orders"][0]["key"] for raw in changed][-2:] == [key, other]
    moments = [raw.changed_at for raw in changed]
    assert moments == sorted(moments)


def seen_since(house: House, since: datetime) -> list[Any]:
    pages = house.erp.shipments_changed_since(since, timedelta())
    return [raw for page in pages for raw in page]


@live
def test_two_deliveries_of_which_one_is_refused_do_not_hinder_each_other(house: House) -> None:
    key, order = house.order()
    bad = house.left(key, order, "north:1", units={"SKU-1": 9})
    gone = house.left(key, 999_999, "north:3")
    good = house.left(key, order, "north:2")
    found = house.erp.put_deliveries([bad, gone, good])
    assert {name: type(fault).__name__ for name, fault in found.items()} == {
        bad["key"]: "Refused",
        gone["key"]: "Missing",
    }
    assert house.shipments(order) == [(f"north:2/{key}", "done", {"SKU-1": 3})]


@live
def test_an_unknown_warehouse_is_missing_and_nothing_is_marked(house: House) -> None:
    key, order = house.order()
    told = house.left(key, order, "north:1", warehouse="NOPE")
    fault = house.erp.put_deliveries([told])[told["key"]]
    assert isinstance(fault, Missing)
    assert house.shipments(order) == [(None, "waiting", {"SKU-1": 3})]


# Recordings and prepared answers


@dataclass
class Dock(Tables):
    """One order of ours with one shipment of three units, and what its buttons do to it."""

    has_stock: bool = True

    def __post_init__(self) -> None:
        inner = {"type": "storage", "code": "OUT", "waste_warehouses": []}
        outer = {"type": "customer", "code": None, "waste_warehouses": []}
        shipment = {
            "id": 933,
            "number": "933",
            "state": "waiting",
            "reference": None,
            "warehouse": 5,
            "warehouse.": {"code": "WH"},
            "warehouse_storage": 3,
            "warehouse_output": 2,
            "_timestamp": "7.5",
            "effective_date": None,
            "last_modified_at": moment("2026-11-20T18:00:00"),
        }
        common = {
            "product": 32,
            "product.": {"id": 32, "code": "BENCH-007"},
            "quantity": 3.0,
            "state": "draft",
            "shipment": "stock.shipment.out,933",
            "last_modified_at": moment("2026-11-20T18:00:00"),
        }
        self.rows |= {
            "stock.shipment.out": [shipment],
            "stock.move": [
                {**common, "id": 3835, "from_location": 2, "to_location": 7, "sale": 960}
                | {"to_location.": outer, "from_location.": inner, "origin": "sale.line,1400"}
                | {"sale_exception_state": ""},
                {**common, "id": 3837, "from_location": 3, "to_location": 2, "sale": None}
                | {"to_location.": inner, "from_location.": inner, "origin": "stock.move,3835"}
                | {"sale_exception_state": ""},
            ],
            "sale.sale": [
                {"id": 960, "shipments": [933], "shipment_state": "waiting", "number": "9"}
                | {"reference": "V1460", "web_id": "1460", "web_shop.": {"name": "Acme Europe"}}
                | {"origin": None}
            ],
            "sale.line": [
                {"id": 1400, "sequence": 100, "last_modified_at": moment("2026-11-20T18:00:00")}
            ],
        }
        states = {"wait": "waiting", "pick": "picked", "pack": "packed", "do": "done"}
        for button, state in states.items():
            self.buttons[f"{OUT}.{button}"] = lambda call, state=state: self.become(state)
        self.buttons[f"{OUT}.assign_try"] = lambda call: self.become(
            "assigned" if self.has_stock else "waiting"
        )

    def become(self, state: str) -> None:
        self.row("stock.shipment.out", 933)["state"] = state
        if state == "picked":
            units = self.row("stock.move", 3837)["quantity"]
            self.row("stock.move", 3835)["quantity"] = units

    def _written(self, model: str, call: Call) -> None:
        values = call.params[1]
        for _, numbers, change in values.pop("moves", []):
            for number in numbers:
                self.row("stock.move", number).update(change)
        super()._written(model, call)


def told(**how: Any) -> Row:
    document = Delivery(
        key="north:1/eu:1460",
        order_ref="eu:1460",
        order_id=960,
        shipped_at=datetime(2026, 11, 20, 18, tzinfo=UTC),
        **{
            "lines": (DeliveryLine(key="eu:1460:1", sku="BENCH-007", units=2),),
            "tracking_numbers": ("PF0001234567",),
            **how,
        },
    )
    return mapper.delivery(document)


def test_a_part_is_posted_with_the_recorded_calls(recordings: Path) -> None:
    """partial_delivery: wait, lower the move, assign, pick, pack (asked once), do."""
    recorded = entries(recordings, "partial_delivery")
    dock = Dock().play(f"{OUT}.pack", response(recorded[16]))
    dock.play("model.res.user.warning.skip", response(recorded[17]))
    assert erp(dock).put_deliveries([told()]) == {}
    buttons = ("wait", "write", "assign_try", "pick", "pack", "skip", "do")
    sent = [(call.method, call.params) for call in dock.sent(*buttons)]
    theirs = [entry["request"]["body"] for entry in recorded[10:20]]
    wanted = [
        (body["method"], body["params"][:-1])
        for body in theirs
        if body["method"].rpartition(".")[2] in buttons
    ]
    assert [method for method, _ in sent] == [method for method, _ in wanted]
    assert [params for method, params in sent if not method.endswith("write")] == [
        params for method, params in wanted if not method.endswith("write")
    ]
    (lowered,) = wanted[1][1][1]["inventory_moves"]
    assert dock.asked(f"{OUT}.write")[0].context["_timestamp"] == {"stock.shipment.out,933": "7.5"}
    assert (lowered[1], lowered[2]) == ([3837], {"quantity": 2.0})
    assert dock.row("stock.move", 3837)["quantity"] == 2
    assert dock.row("stock.shipment.out", 933)["reference"] == "north:1/eu:1460"


def test_tracking_numbers_are_written_only_where_there_is_a_field_for_them() -> None:
    without, within = Dock(), Dock(fields=("shipping_reference", "packages", "carrier"))
    for dock in (without, within):
        assert erp(dock).put_deliveries([told(tracking_numbers=("A 1", "B2"))]) == {}
    assert "shipping_reference" not in without.row("stock.shipment.out", 933)
    assert within.row("stock.shipment.out", 933)["shipping_reference"] == "A 1, B2"


def test_the_recorded_parcel_is_read_with_its_number_once(recordings: Path) -> None:
    """delivery: the number stands on the package and on the shipment."""
    recorded = entries(recordings, "delivery")
    (package,) = recorded[16]["response"]["body"]["result"]
    (row,) = recorded[22]["response"]["body"]["result"]
    dock = Dock(fields=("shipping_reference", "packages", "carrier"))
    dock.rows["stock.package"] = [package]
    shipment = {**row, "id": 933, "packages": [package["id"]], "carrier.": {"rec_name": "Parcel"}}
    dock.row("stock.shipment.out", 933).update(shipment)
    dock.row("stock.move", 3835)["state"] = "done"
    (raw,) = erp(dock).shipments_of([960])
    found = mapper.shipment(raw.body)  # type: ignore[union-attr]
    assert found.parcels == (SeenParcel("PF0001234567", "Parcel"),)
    assert found.lines == (SeenLine("BENCH-007", 3, reference="eu:1460", parcel=0),)
    assert (found.state, found.warehouse) == ("shipped", "WH")
    assert (raw.body["reference"], raw.body["ours"]) == ("WMS-778", None)  # type: ignore[union-attr]
    assert raw.text == json.dumps(raw.body, ensure_ascii=False)  # type: ignore[union-attr]


def test_what_is_short_and_may_not_be_forced_is_refused_and_can_be_finished_later() -> None:
    dock = Dock(has_stock=False)
    forbidden = user_error('Calling button "assign_force" is not allowed.')
    dock.buttons[f"{OUT}.assign_force"] = lambda call: forbidden
    key = told()["key"]
    assert refusal(erp(dock).put_deliveries([told()]), key)[0] == "not_in_stock"
    assert dock.count(f"{OUT}.pick") == 0
    dock.has_stock = True
    assert erp(dock).put_deliveries([told()]) == {}
    assert dock.row("stock.shipment.out", 933)["state"] == "done"
    assert dock.row("stock.move", 3835)["quantity"] == 2


def test_a_question_nobody_agreed_to_is_a_refusal_that_names_it() -> None:
    dock = Dock().play(f"{OUT}.do", warning("0f.future_date"))
    assert refusal(erp(dock).put_deliveries([told()]), told()["key"])[0] == "0f.future_date"
    assert dock.count("model.res.user.warning.skip") == 0


def test_a_shipment_somebody_changed_meanwhile_is_left_alone_and_tried_again() -> None:
    stale = {"id": 1, "error": ["ConcurrencyException", "Records were modified in the meanwhile"]}
    dock = Dock().play(f"{OUT}.write", stale)
    with pytest.raises(TryAgain):
        erp(dock).put_deliveries([told()])
    assert dock.count(f"{OUT}.pick") == 0


def test_a_lost_answer_is_an_unknown_outcome_and_the_next_call_ends_it() -> None:
    dock = Dock().play(f"{OUT}.pick", httpx.ReadTimeout("lost"))
    with pytest.raises(UnknownOutcome):
        erp(dock).put_deliveries([told()])
    assert mapper.seen_delivery(erp(dock).deliveries([told()])[told()["key"]]).state == "begun"
    assert erp(dock).put_deliveries([told()]) == {}
    done = mapper.seen_delivery(erp(dock).deliveries([told()])[told()["key"]])
    assert (done.state, done.units) == ("done", {"BENCH-007": 2})


def test_our_key_in_a_reference_is_told_from_what_people_write_there() -> None:
    orders = ["eu:1460"]
    assert ours("north:1/eu:1460", orders) == "north:1/eu:1460"
    assert ours("rest/eu:1460", orders) == "rest/eu:1460"
    assert ours("eu:1460:r1/write_off", orders) == "eu:1460:r1"
    assert ours("RMA-7 eu:1460:r1[17x1]", orders) == "eu:1460:r1"
    for other in (
        None,
        "",
        "WMS-778",
        "eu:1460",
        "north:1/eu:146",
        "eu:14601:r1",
        "RMA eu:1460:r1",
    ):
        assert ours(other, orders) is None
