"""Goods that come back to Tryton: booked once, whoever books them; recordings and a real server."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import sync_assets.mappers.tryton_logistics as mapper
from resources.errors import Missing
from sync_assets.domain.returns import Restock, RestockLine, SeenReturn
from tests.contracts.tryton_house import House, Killed, running_house

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
