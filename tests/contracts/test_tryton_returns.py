"""Goods that come back to Tryton: booked once, whoever books them; recordings and a real server."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import sync_assets.mappers.tryton_logistics as mapper
from resources.errors import Missing, TryAgain, UnknownOutcome
from resources.systems.tryton_receipts import Receipt
from sync_assets.domain.returns import Restock, RestockLine, SeenReturn
from tests.contracts.test_tryton_client import Call, erp
from tests.contracts.test_tryton_stock import entries
from tests.contracts.tryton_house import House, Killed, running_house
from tests.contracts.tryton_tables import Tables

D = Decimal
BACK, INTERNAL = "stock.shipment.out.return", "stock.shipment.internal"
live = pytest.mark.tryton


def came_back(key: str, order: int, number: str = "r1", **how: Any) -> dict[str, Any]:
    """A return of ours in Tryton's words; units by SKU as (restock, refurbish, write off)."""
    units = how.pop("units", {"SKU-1": (1, 0, 0)})
    document = Restock(
        key=f"{key}:{number}",
        order_ref=key,
        order_id=order,
        received_on=date(2026, 11, 24),
        lines=tuple(
            RestockLine(
                key=f"{key}:{sku}",
                sku=sku,
                restock_units=shelf,
                refurbish_units=apart,
                write_off_units=lost,
            )
            for sku, (shelf, apart, lost) in units.items()
        ),
        **how,
    )
    return mapper.restock(document)


def code_of(found: dict[str, Any], key: str) -> str | None:
    assert list(found) == [key]
    code: str | None = found[key].code
    return code


# A real server


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as found:
        yield found


def receipts(house: House, order_ref: str) -> list[tuple[str, str]]:
    domain = [["reference", "like", f"%{order_ref}:%"]]
    rows = house.erp.rpc.search(BACK, domain, ("reference", "state"))
    return [(row["reference"], row["state"]) for row in rows]


def lost(house: House, order_ref: str) -> list[tuple[str, str]]:
    domain = [["reference", "like", f"{order_ref}:%"]]
    rows = house.erp.rpc.search(INTERNAL, domain, ("reference", "state"))
    return [(row["reference"], row["state"]) for row in rows]


def booked_by_hand(house: House, order: int, units: int) -> None:
    """What a person does there: the wizard for returns, then receiving what it made."""
    rpc = house.erp.rpc
    at = {"active_model": "sale.sale", "active_id": order, "active_ids": [order]}
    number = rpc.write("wizard.sale.return_sale.create", **at)[0]
    rpc.write("wizard.sale.return_sale.execute", number, {"start": {}}, "return_", **at)
    rpc.write("wizard.sale.return_sale.delete", number)
    fields = ("lines", "shipment_returns")
    domain = [["origin", "=", f"sale.sale,{order}"]]
    back = rpc.search("sale.sale", domain, fields)[-1]
    (line, *others) = back["lines"]
    rpc.write("model.sale.line.write", [line], {"quantity": -units})
    for other in others:
        rpc.write("model.sale.line.delete", [other])
    assert house.erp.confirm([back["id"]]) == {}
    made = rpc.search("sale.sale", [["id", "=", back["id"]]], fields)[0]["shipment_returns"]
    rpc.write(f"model.{BACK}.receive", made)
    rpc.write(f"model.{BACK}.do", made)


@live
def test_goods_that_came_back_are_on_the_shelf_once_and_nothing_is_credited(house: House) -> None:
    key, order = house.order()
    house.shipped(key, order)
    before, behind = house.on_hand("SKU-1"), house.sale(order)
    told = came_back(key, order)
    assert house.erp.restocks([told]) == {}
    assert house.erp.put_restocks([told]) == {}
    calls = len(house.wire.methods)
    assert house.erp.put_restocks([told]) == {}
    assert house.wire.methods[calls:] == []
    assert house.on_hand("SKU-1") == before + 1
    assert receipts(house, key) == [(f"{key}:r1", "done")]
    assert house.sale(order) == behind
    assert house.erp.rpc.search("sale.sale", [["origin", "=", f"sale.sale,{order}"]], ()) == []
    found = mapper.seen_restock(house.erp.restocks([told])[told["key"]])
    assert (found.state, found.units) == ("done", {"SKU-1": 1})


@live
def test_each_unit_goes_where_it_belongs(house: House) -> None:
    key, order = house.order(SKU_1=(4, "40.00"))
    house.shipped(key, order, SKU_1=4)
    before, apart = house.on_hand("SKU-1"), house.apart("SKU-1")
    told = came_back(key, order, units={"SKU-1": (1, 1, 2)})
    assert house.erp.put_restocks([told]) == {}
    assert house.on_hand("SKU-1") == before + 2
    assert house.apart("SKU-1") == apart + 1
    assert receipts(house, key) == [
        (f"{key}:r1", "done"),
        (f"{key}:r1/refurbish", "done"),
        (f"{key}:r1/write_off", "done"),
    ]
    assert lost(house, key) == [(f"{key}:r1/write_off", "done")]
    found = mapper.seen_restock(house.erp.restocks([told])[told["key"]])
    assert (found.state, found.units) == ("done", {"SKU-1": 4})


@live
def test_killed_after_any_call_a_return_is_finished_and_booked_once(house: House) -> None:
    deaths: list[str] = []
    for writes in range(1, 40):
        key, order = house.order(SKU_2=(3, "30.00"))
        house.shipped(key, order, SKU_2=3)
        before, apart = house.on_hand("SKU-2"), house.apart("SKU-2")
        told = came_back(key, order, units={"SKU-2": (1, 1, 1)})
        house.killed_after(writes)
        try:
            house.erp.put_restocks([told])
        except Killed as death:
            deaths.append(str(death))
        else:
            house.wire.left = None
            break
        unfinished = house.erp.restocks([told])
        assert house.erp.put_restocks([told]) == {}
        assert house.on_hand("SKU-2") == before + 2, deaths[-1]
        assert house.apart("SKU-2") == apart + 1
        assert len(receipts(house, key)) == 3
        assert lost(house, key) == [(f"{key}:r1/write_off", "done")]
        if not deaths[-1].endswith("internal.do"):
            assert mapper.seen_restock(unfinished[told["key"]]).state == "begun"
        found = mapper.seen_restock(house.erp.restocks([told])[told["key"]])
        assert (found.state, found.units) == ("done", {"SKU-2": 3})
    assert [name.partition("stock.shipment.")[2] for name in deaths] == [
        "out.return.create",
        *["out.return.receive"] * 3,
        *("internal.create", "internal.wait", "internal.assign_try", "internal.do"),
    ]


@live
def test_what_somebody_booked_by_hand_is_adopted_and_not_booked_again(house: House) -> None:
    key, order = house.order()
    house.shipped(key, order)
    booked_by_hand(house, order, 1)
    before = house.on_hand("SKU-1")
    told = came_back(key, order)
    waiting = mapper.seen_restock(house.erp.restocks([told])[told["key"]])
    assert (waiting.state, waiting.units) == ("begun", {"SKU-1": 1})
    assert house.erp.put_restocks([told]) == {}
    assert house.on_hand("SKU-1") == before
    (claimed,) = receipts(house, key)
    assert claimed == (f"{key}:r1[{house.items['SKU-1']}x1]", "done")
    found = mapper.seen_restock(house.erp.restocks([told])[told["key"]])
    assert (found.state, found.units) == ("done", {"SKU-1": 1})


@live
def test_one_receipt_by_hand_serves_two_returns_and_a_third_is_booked(house: House) -> None:
    key, order = house.order()
    house.shipped(key, order)
    booked_by_hand(house, order, 2)
    before, item = house.on_hand("SKU-1"), house.items["SKU-1"]
    all_three = [came_back(key, order, number) for number in ("r1", "r2", "r3")]
    assert house.erp.put_restocks(all_three) == {}
    assert house.erp.put_restocks(all_three) == {}
    assert house.on_hand("SKU-1") == before + 1
    assert receipts(house, key) == [
        (f"{key}:r1[{item}x1] {key}:r2[{item}x1]", "done"),
        (f"{key}:r3", "done"),
    ]
    found = house.erp.restocks(all_three)
    assert {mapper.seen_restock(one).state for one in found.values()} == {"done"}


@live
def test_a_receipt_by_hand_for_a_part_is_completed(house: House) -> None:
    key, order = house.order(SKU_1=(2, "20.00"), SKU_2=(1, "5.00"))
    house.shipped(key, order, SKU_1=2, SKU_2=1)
    booked_by_hand(house, order, 1)
    one, two = house.on_hand("SKU-1"), house.on_hand("SKU-2")
    told = came_back(key, order, units={"SKU-1": (2, 0, 0), "SKU-2": (1, 0, 0)})
    assert house.erp.put_restocks([told]) == {}
    assert (house.on_hand("SKU-1"), house.on_hand("SKU-2")) == (one + 1, two + 1)
    found = mapper.seen_restock(house.erp.restocks([told])[told["key"]])
    assert (found.state, found.units) == ("done", {"SKU-1": 2, "SKU-2": 1})


@live
def test_what_never_left_cannot_come_back(house: House) -> None:
    key, order = house.order()
    house.shipped(key, order)
    before = house.on_hand("SKU-1")
    too_many = came_back(key, order, units={"SKU-1": (3, 0, 1)})
    assert code_of(house.erp.put_restocks([too_many]), f"{key}:r1") == "over_returned"
    other = came_back(key, order, units={"SKU-2": (1, 0, 0)})
    assert code_of(house.erp.put_restocks([other]), f"{key}:r1") == "not_shipped"
    assert isinstance(house.erp.put_restocks([came_back(key, 999_999)])[f"{key}:r1"], Missing)
    assert house.on_hand("SKU-1") == before
    assert receipts(house, key) == []


@live
def test_without_a_place_to_keep_things_apart_nothing_is_booked(house: House) -> None:
    key, order = house.order("us")
    house.shipped(key, order)
    before = house.on_hand("SKU-1", "US1")
    told = came_back(key, order, units={"SKU-1": (1, 1, 0)})
    assert code_of(house.erp.put_restocks([told]), f"{key}:r1") == "no_quarantine_place"
    assert receipts(house, key) == []
    assert house.on_hand("SKU-1", "US1") == before
    elsewhere = {**told, "warehouse": "EU1"}
    assert house.erp.put_restocks([elsewhere]) == {}
    assert house.on_hand("SKU-1", "US1") == before


@live
def test_returns_are_read_with_what_became_of_each_unit(house: House) -> None:
    key, order = house.order(SKU_3=(3, "30.00"))
    house.shipped(key, order, SKU_3=3)
    since = datetime.now(UTC)
    house.erp.put_restocks([came_back(key, order, units={"SKU-3": (1, 1, 1)})])
    found = back_since(house, since)
    assert [one.reference for one in found] == [f"{key}:r1"] * 3
    assert {one.state for one in found} == {"inspected"}
    became = [
        (line.restock_units, line.refurbish_units, line.write_off_units)
        for one in found
        for line in one.lines
    ]
    assert became == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    since = datetime.now(UTC)
    second, other = house.order()
    house.shipped(second, other)
    booked_by_hand(house, other, 2)
    (by_hand,) = back_since(house, since)
    assert (by_hand.reference, by_hand.state, by_hand.warehouse) == (second, "inspected", "EU1")
    assert [(line.sku, line.received_units, line.restock_units) for line in by_hand.lines] == [
        ("SKU-1", 2, 2)
    ]


def back_since(house: House, since: datetime) -> list[SeenReturn]:
    pages = house.erp.returns_changed_since(since, timedelta())
    return [mapper.goods_back(raw.body) for page in pages for raw in page]  # type: ignore[union-attr]


# Recordings and prepared answers


@dataclass
class Shelf(Tables):
    """Order 2 of two units that left, and the return that the wizard made of it in the recording.

    `returned` units of it are back; none: nobody pressed the wizard.
    """

    returned: int = 0

    def __post_init__(self) -> None:
        common = {
            "product": 2,
            "product.": {"id": 2, "code": "A-SKU-001"},
            "unit": 1,
            "company": 1,
            "unit_price": {"__class__": "Decimal", "decimal": "11.00"},
            "currency": 46,
            "state": "done",
        }
        left = {
            **common,
            "id": 26,
            "quantity": 2.0,
            "sale": 2,
            "shipment": "stock.shipment.out,1",
            "origin": "sale.line,3",
            "to_location": 7,
            "from_location.": {"type": "storage"},
        }
        back = {
            **common,
            "id": 40,
            "quantity": float(self.returned),
            "sale": 8,
            "shipment": "stock.shipment.out.return,1",
            "origin": "sale.line,9",
            "to_location": 1,
            "from_location.": {"type": "customer"},
        }
        by_wizard = {"id": 1, "number": "1", "state": "done", "reference": "RMA-7"}
        self.rows |= {
            "sale.sale": [{"id": 2, "state": "done", "origin": None}],
            "stock.move": [left],
            BACK: [],
            INTERNAL: [],
            "stock.shipment.out": [{"id": 1, "warehouse": 5, "customer": 4}],
            "stock.location": [
                {"id": 5, "code": "WH", "type": "warehouse", "input_location": 1}
                | {"storage_location": 3, "lost_found_location": 4, "waste_locations": []}
            ],
        }
        if self.returned:
            self.rows["sale.sale"].append({"id": 8, "state": "done", "origin": "sale.sale,2"})
            self.rows["stock.move"].append(back)
            self.rows[BACK].append({**by_wizard, "_timestamp": "3.5"})
        self.buttons[f"model.{BACK}.receive"] = self.received

    def received(self, call: Call) -> None:
        self.row(BACK, call.params[0][0])["state"] = "done"

    def _created(self, model: str, call: Call) -> list[int]:
        made = super()._created(model, call)
        for number in made:
            row = self.row(model, number)
            row |= {"state": "draft", "number": str(number)}
            for values in row["incoming_moves"][0][1]:
                moves = self.rows["stock.move"]
                moves.append(
                    {
                        "id": 100 + len(moves),
                        "state": "done",
                        "sale": None,
                        "product.": {"id": 2, "code": "A-SKU-001"},
                        **values,
                        "shipment": f"{model},{number}",
                        "from_location.": {"type": "customer"},
                    }
                )
        return made


def of_two(number: str = "r1", units: int = 1) -> dict[str, Any]:
    return came_back("eu:1001", 2, number, units={"A-SKU-001": (units, 0, 0)})


def test_the_return_a_person_made_with_the_wizard_is_found_and_adopted(recordings: Path) -> None:
    """return: the wizard makes a sale whose origin is the order, and a receipt of one unit."""
    recorded = entries(recordings, "return")
    body = recorded[4]["request"]["body"]
    assert body["params"][0] == [["origin", "=", "sale.sale,2"]]
    assert recorded[4]["response"]["body"]["result"][0]["id"] == 8
    assert recorded[10]["response"]["body"]["result"][0]["shipment_returns"] == [1]
    shelf = Shelf(returned=1)
    assert erp(shelf).put_restocks([of_two()]) == {}
    (write,) = shelf.sent("write", "create", "receive", "do")
    assert write.params == [[1], {"reference": "RMA-7 eu:1001:r1[2x1]"}]
    assert write.context["_timestamp"] == {"stock.shipment.out.return,1": "3.5"}
    assert erp(shelf).put_restocks([of_two()]) == {}
    assert len(shelf.sent("write", "create", "receive", "do")) == 1
    found = mapper.seen_restock(erp(shelf).restocks([of_two()])["eu:1001:r1"])
    assert (found.state, found.units, found.number) == ("done", {"A-SKU-001": 1}, "1")


def test_a_receipt_names_the_move_by_which_the_goods_left_and_makes_no_sale() -> None:
    shelf = Shelf()
    assert erp(shelf).put_restocks([of_two(units=2)]) == {}
    (create,) = shelf.sent("create")
    assert create.method == f"model.{BACK}.create"
    day = {"__class__": "date", "year": 2026, "month": 11, "day": 24}
    assert create.params[0] == [
        {
            "company": 1,
            "customer": 4,
            "warehouse": 5,
            "reference": "eu:1001:r1",
            "warehouse_input": 3,
            "warehouse_storage": 3,
            "effective_date": day,
            "incoming_moves": [
                [
                    "create",
                    [
                        {
                            "product": 2,
                            "unit": 1,
                            "quantity": 2,
                            "company": 1,
                            "unit_price": {"__class__": "Decimal", "decimal": "11.00"},
                            "currency": 46,
                            "from_location": 7,
                            "to_location": 3,
                            "origin": "stock.move,26",
                        }
                    ],
                ]
            ],
        }
    ]


def test_what_is_beyond_a_receipt_by_hand_is_booked_by_us() -> None:
    shelf = Shelf(returned=1)
    assert erp(shelf).put_restocks([of_two(units=2)]) == {}
    assert shelf.row(BACK, 1)["reference"] == "RMA-7 eu:1001:r1[2x1]"
    (moves,) = shelf.row(BACK, 2)["incoming_moves"]
    assert [move["quantity"] for move in moves[1]] == [1]
    assert code_of(erp(shelf).put_restocks([of_two("r2")]), "eu:1001:r2") == "over_returned"


def test_a_receipt_whose_answer_was_lost_is_not_made_again() -> None:
    shelf = Shelf()
    create = f"model.{BACK}.create"

    def lost_answer(call: Call) -> httpx.ReadTimeout:
        shelf._created(BACK, call)
        return httpx.ReadTimeout("lost")

    shelf.play(create, lost_answer)
    with pytest.raises(UnknownOutcome):
        erp(shelf).put_restocks([of_two()])
    begun = mapper.seen_restock(erp(shelf).restocks([of_two()])["eu:1001:r1"])
    assert begun.state == "begun"
    assert erp(shelf).put_restocks([of_two()]) == {}
    assert shelf.count(create) == 1
    done = mapper.seen_restock(erp(shelf).restocks([of_two()])["eu:1001:r1"])
    assert (done.state, done.units) == ("done", {"A-SKU-001": 1})


def test_a_receipt_of_ours_that_a_person_cancelled_is_not_made_again() -> None:
    shelf = Shelf()
    erp(shelf).put_restocks([of_two()])
    shelf.row(BACK, 1)["state"] = "cancelled"
    assert code_of(erp(shelf).put_restocks([of_two()]), "eu:1001:r1") == "cancelled"
    assert mapper.seen_restock(erp(shelf).restocks([of_two()])["eu:1001:r1"]).state == "cancelled"


def test_a_receipt_somebody_changed_meanwhile_is_not_claimed() -> None:
    shelf = Shelf(returned=1)
    stale = {"id": 1, "error": ["ConcurrencyException", "Records were modified in the meanwhile"]}
    shelf.play(f"model.{BACK}.write", stale)
    with pytest.raises(TryAgain):
        erp(shelf).put_restocks([of_two()])
    assert shelf.row(BACK, 1)["reference"] == "RMA-7"
    assert shelf.sent("create", "receive") == []


def test_notes_of_several_returns_on_one_receipt_are_kept_apart() -> None:
    row = {"id": 1, "reference": "RMA-7 eu:1001:r1[2x1]", "state": "done"}
    moves = ({"product": 2, "quantity": D(3), "state": "done"},)
    noted = Receipt(row, moves).claiming("eu:1001:r2", Counter({3: 1, 2: 1}))
    assert noted == "RMA-7 eu:1001:r1[2x1] eu:1001:r2[2x1,3x1]"
    again = Receipt({**row, "reference": noted}, moves)
    assert again.claims == {"eu:1001:r1": Counter({2: 1}), "eu:1001:r2": Counter({2: 1, 3: 1})}
    assert again.claiming("eu:1001:r1", Counter({2: 1})).endswith("eu:1001:r1[2x2]")
