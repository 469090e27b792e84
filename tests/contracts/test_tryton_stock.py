"""Tryton's stock by warehouse: each number from its own question, and moves with their places."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import sync_assets.mappers.tryton_catalog as mapper
from resources.errors import Missing
from tests.contracts.test_tryton_client import Call, Tape, erp, response, said

D = Decimal
PRODUCTS, MOVES = "model.product.product.search_read", "model.stock.move.search_read"
PLACES = "model.stock.location.search_read"
TODAY = {"__class__": "date", "year": 2026, "month": 11, "day": 20}
Row = dict[str, Any]


@dataclass
class Depot(Tape):
    """Two warehouses with places in them, products, quantities by place, and open moves."""

    products: dict[int, str | None] = field(default_factory=lambda: {2: "SKU-2", 3: "SKU-3"})
    #: Quantities by (places asked for, product).
    quantities: dict[tuple[tuple[int, ...], int], float] = field(default_factory=dict)
    moves: list[Row] = field(default_factory=list)
    places: list[Row] = field(
        default_factory=lambda: [
            place(5, "WH", "warehouse"),
            place(3, "STO", "storage", 5),
            place(2, "OUT", "storage", 5),
            place(9, "QUA", "storage", 3),
            place(12, "WH2", "warehouse"),
            place(11, "STO2", "storage", 12),
            place(7, None, "customer"),
            place(4, None, "lost_found"),
            place(8, None, "supplier"),
        ]
    )

    def _answer(self, call: Call) -> Any:
        doors = {PRODUCTS: self._products, PLACES: self._places, MOVES: self._moves}
        door = doors.get(call.method)
        if call.method == "model.ir.date.today":
            return said(TODAY)
        return said(door(call)) if door else super()._answer(call)

    def _products(self, call: Call) -> list[Row]:
        domain = {name: value for name, _, value in call.params[0]}
        after = domain["id"] if isinstance(domain["id"], int) else 0
        asked = domain["id"] if isinstance(domain["id"], list) else list(self.products)
        found = [number for number in asked if number in self.products and number > after]
        if "locations" in call.context:
            where = tuple(call.context["locations"])
            return [{"id": n, "quantity": self.quantities.get((where, n), 0.0)} for n in found]
        return [{"id": n, "code": self.products[n]} for n in found]

    def _places(self, call: Call) -> list[Row]:
        found = self.places
        for clause in call.params[0]:
            name, how, value = clause[:3]
            if name == "code":
                found = [row for row in found if row["code"] in value]
            elif name == "type":
                found = [row for row in found if row["type"] == value]
            elif how == "child_of":
                found = [row for row in found if self.is_within(row["id"], value)]
        return found

    def _moves(self, call: Call) -> list[Row]:
        found = self.moves
        for clause in call.params[0]:
            name, how, value = clause[:3]
            if how in ("child_of", "not child_of"):
                inside = how == "child_of"
                found = [row for row in found if self.is_within(row[name], value) is inside]
            elif how == "in":
                found = [row for row in found if row[name] in value]
            elif name == "id":
                found = [row for row in found if row["id"] > value]
        return found

    def is_within(self, number: int | None, above: list[int]) -> bool:
        by_id = {row["id"]: row for row in self.places}
        while number is not None:
            if number in above:
                return True
            number = by_id[number]["parent"]
        return False


def place(number: int, code: str | None, kind: str, parent: int | None = None) -> Row:
    row = {"id": number, "code": code, "name": code or kind, "type": kind, "parent": parent}
    return {**row, "waste_warehouses": []}


def move(number: int, start: int, end: int, units: float = 2.0, **changes: Any) -> Row:
    return {
        "id": number,
        "product": 2,
        "product.": {"id": 2, "code": "SKU-2"},
        "state": "draft",
        "quantity": units,
        "internal_quantity": units,
        "from_location": start,
        "to_location": end,
        "planned_date": None,
        "effective_date": None,
        "shipment": None,
        "origin": None,
        "last_modified_at": {
            **TODAY,
            "__class__": "datetime",
            "hour": 18,
            "minute": 6,
            "second": 9,
        },
        **changes,
    }


def levels(tape: Depot, *warehouses: str, items: list[int] | None = None, **how: Any) -> list[Row]:
    tryton = erp(tape, **how)
    return [row for page in tryton.stock_levels(warehouses or ("WH",), items) for row in page]


def of(rows: list[Row], warehouse: str, number: int = 2) -> tuple[Decimal, ...]:
    (row,) = [row for row in rows if (row["warehouse"], row["id"]) == (warehouse, number)]
    return tuple(row[name] for name in ("on_hand", "allocated", "quarantined", "incoming"))


def test_each_warehouse_is_asked_for_itself_because_two_give_the_sum() -> None:
    tape = Depot(quantities={((5,), 2): 1000.0, ((12,), 2): 7.0})
    rows = levels(tape, "WH", "WH2")
    assert (of(rows, "WH")[0], of(rows, "WH2")[0]) == (D(1000), D(7))
    asked = [call.context for call in tape.asked(PRODUCTS) if "locations" in call.context]
    assert [context["locations"] for context in asked] == [[5], [12]]
    assert all(context["with_childs"] for context in asked)


def test_a_level_is_told_with_its_keys_and_exact_numbers() -> None:
    tape = Depot(products={2: "SKU-2"}, quantities={((5,), 2): 4.0})
    assert levels(tape) == [
        {
            "id": 2,
            "sku": "SKU-2",
            "warehouse": "WH",
            "on_hand": D("4.0"),
            "allocated": D(0),
            "quarantined": D(0),
            "incoming": D(0),
        }
    ]


def test_the_day_is_that_of_the_server_unless_a_clock_is_given() -> None:
    theirs, ours = Depot(), Depot()
    levels(theirs)
    levels(ours, today=lambda: date(2026, 12, 1))
    days = [
        [c.context["stock_date_end"] for c in tape.asked(PRODUCTS) if "locations" in c.context]
        for tape in (theirs, ours)
    ]
    assert days == [[TODAY], [{**TODAY, "month": 12, "day": 1}]]


def test_a_delivery_counts_once_though_its_goods_move_twice() -> None:
    tape = Depot(moves=[move(28, 3, 2), move(26, 2, 7)])
    assert of(levels(tape), "WH")[1] == D(2)


@pytest.mark.parametrize("state", ["draft", "assigned"])
def test_open_demand_counts_whether_it_could_be_assigned_or_not(state: str) -> None:
    assert of(levels(Depot(moves=[move(1, 2, 7, 5000.0, state=state)])), "WH")[1] == D(5000)


@pytest.mark.parametrize("state", ["staging", "done", "cancelled"])
def test_moves_that_are_not_open_count_nowhere(state: str) -> None:
    tape = Depot(moves=[move(1, 2, 7, state=state), move(2, 8, 3, state=state)])
    assert of(levels(tape), "WH") == (0, 0, 0, 0)


def test_demand_planned_for_a_day_gone_by_or_no_day_still_counts() -> None:
    late = move(1, 2, 7, 1.0, planned_date={**TODAY, "month": 10})
    assert of(levels(Depot(moves=[late, move(2, 2, 7, 1.0)])), "WH")[1] == D(2)


def test_what_comes_in_is_told_apart_from_what_goes_out() -> None:
    tape = Depot(moves=[move(1, 8, 3, 10.0), move(2, 2, 7, 4.0)])
    assert of(levels(tape), "WH") == (0, D(4), 0, D(10))


def test_a_transfer_goes_out_of_one_warehouse_and_into_the_other() -> None:
    rows = levels(Depot(moves=[move(1, 3, 11, 6.0)]), "WH", "WH2")
    assert (of(rows, "WH"), of(rows, "WH2")) == ((0, D(6), 0, 0), (0, 0, 0, D(6)))


def test_what_lies_in_quarantine_is_told_and_its_own_moves_are_no_demand() -> None:
    tape = Depot(
        quantities={((5,), 2): 10.0, ((9,), 2): 3.0}, moves=[move(1, 9, 4, 3.0), move(2, 2, 7)]
    )
    rows = levels(tape, "WH", "WH2", quarantine_places=("QUA",))
    assert of(rows, "WH") == (D(10), D(2), D(3), 0)
    assert of(rows, "WH2") == (0, 0, 0, 0)


def test_promises_are_read_before_what_is_there() -> None:
    """What ships in between is missing twice for a moment, and never sold twice."""
    tape = Depot()
    levels(tape)
    methods = [
        call.method for call in tape.calls if call.method == MOVES or "locations" in call.context
    ]
    assert methods == [MOVES, MOVES, PRODUCTS]


def test_products_asked_for_by_id_are_answered_even_without_stock() -> None:
    rows = levels(Depot(), items=[3, 3])
    assert [(row["id"], row["on_hand"]) for row in rows] == [(3, D(0))]


def test_goods_are_read_page_by_page_in_the_order_of_their_ids() -> None:
    tape = Depot(products={n: f"SKU-{n}" for n in range(1, 502)})
    answer = tape._products

    def limited(call: Call) -> list[Row]:
        return answer(call)[: call.params[2]]

    tape._products = limited  # type: ignore[method-assign]
    pages = list(erp(tape).stock_levels(["WH"]))
    assert [len(page) for page in pages] == [500, 1]
    listed = next(call for call in tape.asked(PRODUCTS) if call.params[2] == 500)
    assert ["template.type", "in", ["goods", "assets"]] in listed.params[0]


def test_a_warehouse_or_place_that_is_not_there_is_an_error_and_not_an_empty_one() -> None:
    with pytest.raises(Missing, match="no warehouse 'WH9'"):
        levels(Depot(), "WH", "WH9")
    with pytest.raises(Missing, match="no place 'NOPE'"):
        levels(Depot(), quarantine_places=["NOPE"])


# Moves


def moved(tape: Depot) -> list[Row]:
    since = datetime(2026, 11, 20, 18, 10, tzinfo=UTC)
    return [row for page in erp(tape).moved_since(since, timedelta(minutes=10)) for row in page]


def test_moves_in_any_state_are_read_with_overlap_and_with_their_places() -> None:
    tape = Depot(moves=[move(1, 3, 7, state="done"), move(2, 8, 11)])
    rows = moved(tape)
    assert tape.asked(MOVES)[0].params[0] == [
        ["id", ">", 0],
        [
            "last_modified_at",
            ">=",
            {**TODAY, "__class__": "datetime", "hour": 18, "minute": 0}
            | {"second": 0, "microsecond": 0},
        ],
    ]
    assert [row["state"] for row in rows] == ["done", "draft"]
    assert rows[0]["from_place"] == {
        "code": "STO",
        "type": "storage",
        "warehouse": "WH",
        "is_waste": False,
    }
    assert rows[0]["to_place"]["type"] == "customer"
    assert rows[0]["to_place"]["warehouse"] is None
    assert rows[1]["to_place"]["warehouse"] == "WH2"


def test_nothing_moved_is_one_call_and_no_page() -> None:
    tape = Depot()
    assert moved(tape) == []
    assert tape.count(PLACES) == 0


def test_a_move_that_is_done_becomes_a_movement_and_an_open_one_does_not() -> None:
    rows = moved(Depot(moves=[move(1, 2, 7, state="done"), move(2, 2, 7)]))
    found = [mapper.stock_movement(row, "tryton") for row in rows]
    assert found[0] is not None
    assert (found[0]["kind"], found[0]["units"], found[0]["from_warehouse"]) == (
        "shipment",
        2,
        "WH",
    )
    assert found[1] is None


# Recordings


def entries(recordings: Path, name: str) -> list[Row]:
    found: list[Row] = json.loads((recordings / "tryton/transcripts" / f"{name}.json").read_text())
    return found


def asked_of(entry: Row) -> tuple[Row, list[Row]]:
    return entry["request"]["body"]["params"][-1], entry["response"]["body"]["result"]


def test_the_recorded_context_of_a_warehouse_is_the_one_we_send(recordings: Path) -> None:
    context, rows = asked_of(entries(recordings, "inventory")[2])
    tape = Depot(quantities={((5,), row["id"]): row["quantity"] for row in rows})
    tape.products = {row["id"]: row["code"] for row in rows}
    found = levels(tape)
    sent = next(call.context for call in tape.asked(PRODUCTS) if "locations" in call.context)
    names = ("locations", "with_childs", "stock_date_end")
    assert {name: sent[name] for name in names} == {name: context[name] for name in names}
    assert [row["on_hand"] for row in found] == [D(1000)] * 6


def test_a_recorded_question_without_a_warehouse_is_answered_with_nothing(
    recordings: Path,
) -> None:
    context, rows = asked_of(entries(recordings, "inventory")[6])
    assert "locations" not in context
    assert [row["quantity"] for row in rows] == [0.0, 0.0]


def test_our_sums_of_the_recorded_moves_agree_with_the_recorded_forecast(recordings: Path) -> None:
    """order: 1000 there, 2 sold, two moves of 2 for one delivery; the forecast says 998."""
    order = entries(recordings, "order")
    _, stock = asked_of(order[18])
    _, open_moves = asked_of(order[19])
    tape = Depot(products={2: "A-SKU-001"})
    tape.quantities = {((5,), 2): stock[0]["quantity"]}
    tape.moves = [{**row, "product": 2, "internal_quantity": row["quantity"]} for row in open_moves]
    on_hand, allocated, _, incoming = of(levels(tape), "WH")
    assert (on_hand, allocated, incoming) == (D(1000), D(2), D(0))
    assert on_hand - allocated + incoming == D(stock[0]["forecast_quantity"])


def test_the_recorded_delta_of_moves_can_be_asked_for_the_same_way(recordings: Path) -> None:
    entry = entries(recordings, "delta")[3]
    session = erp(Tape().play(MOVES, response(entry))).rpc
    rows = session.search("stock.move", [], ())
    assert {row["state"] for row in rows} == {"done"}
    assert rows[0]["product."]["code"] == "A-SKU-001"
    assert rows[0]["effective_date"] == "2026-11-20"
    assert rows[0]["quantity"] == D(1000)
