"""Odoo's stock: the client's levels and moves against the stand-in, and the stand-in against the
recordings of real servers.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from odoo_shelf import Shelf
from test_odoo_catalog_client import odoo
from test_odoo_recordings import models
from test_odoo_standin_recordings import (
    BOTH,
    IDS,
    LETTER,
    RECORDINGS,
    Pair,
    Recorded,
    _args,
    _called,
    _pairs,
)

from resources.errors import Missing, Refused
from resources.systems.odoo import Odoo
from sync_assets.mappers.odoo_stock import stock_level, stock_movement

D = Decimal
with_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings of real Odoo servers are not beside the project"
)
Numbers = tuple[Decimal, Decimal, Decimal, Decimal]


@pytest.fixture(params=[18, 19])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.param)


def levels(
    erp: Odoo, warehouses: Sequence[str], items: Sequence[int] | None = None
) -> dict[tuple[str, str], Numbers]:
    """On hand, allocated, quarantined and incoming by SKU and warehouse."""
    kinds = ("on_hand", "allocated", "quarantined", "incoming")
    rows = [row for page in erp.stock_levels(warehouses, items) for row in page]
    found = {(row["sku"], row["warehouse"]): tuple(row[kind] for kind in kinds) for row in rows}
    assert len(found) == len(rows)
    return found  # type: ignore[return-value]


def sell(shelf: Shelf, ref: str, item: int, units: int) -> int:
    """Confirm an order from the first warehouse."""
    order = shelf.order(ref, {"product_id": item, "product_uom_qty": units}, warehouse_id=1)
    assert shelf.call("sale.order", "action_confirm", [order]) is True
    return order


def waiting(shelf: Shelf) -> list[int]:
    """Parcels that have not left."""
    return shelf.found("stock.picking", ["state", "in", ["confirmed", "assigned"]])


# Levels


def test_a_level_is_told_per_item_and_warehouse(shelf: Shelf) -> None:
    assert levels(odoo(shelf), ["US1", "UK1"]) == {
        ("MUG", "US1"): (5, 0, 0, 0),
        ("MUG", "UK1"): (3, 0, 0, 0),
        ("PEN", "US1"): (100, 0, 0, 0),
        ("PEN", "UK1"): (0, 0, 0, 0),
    }


def test_demand_beyond_the_stock_is_allocated_whole(shelf: Shelf) -> None:
    sell(shelf, "us:1", shelf.mug, 4)
    sell(shelf, "us:2", shelf.mug, 8)
    assert levels(odoo(shelf), ["US1"], [shelf.mug]) == {("MUG", "US1"): (5, 12, 0, 0)}


def test_shipping_takes_from_both_and_a_return_gives_back(shelf: Shelf) -> None:
    sell(shelf, "us:1", shelf.mug, 4)
    erp = odoo(shelf)
    assert shelf.erp.ship("us:1", {"MUG": 3}) == 3
    assert levels(erp, ["US1"], [shelf.mug]) == {("MUG", "US1"): (2, 1, 0, 0)}
    assert shelf.erp.ship("us:1") == 1
    assert levels(erp, ["US1"], [shelf.mug]) == {("MUG", "US1"): (1, 0, 0, 0)}
    shelf.erp.return_goods("us:1", "MUG", 2)
    assert levels(erp, ["US1"], [shelf.mug]) == {("MUG", "US1"): (3, 0, 0, 0)}


def test_a_parcel_for_which_nothing_is_there_does_not_leave(shelf: Shelf) -> None:
    tea = shelf.erp.add_product("TEA", "Tea", "4", {})
    sell(shelf, "us:1", tea, 2)
    assert shelf.erp.ship("us:1") == 0
    assert levels(odoo(shelf), ["US1"], [tea]) == {("TEA", "US1"): (0, 2, 0, 0)}
    shelf.erp.receive("TEA", "US1", 1)
    assert shelf.erp.ship("us:1") == 1
    assert levels(odoo(shelf), ["US1"], [tea]) == {("TEA", "US1"): (0, 1, 0, 0)}
    name, text = shelf.refusal("stock.picking", "button_validate", waiting(shelf))
    assert (name, text[:31]) == ("UserError", "You cannot validate a transfer ")


def test_two_lines_of_one_item_ship_what_was_asked_once(shelf: Shelf) -> None:
    lines = [{"product_id": shelf.mug, "product_uom_qty": 2}] * 2
    order = shelf.order("us:1", *lines, warehouse_id=1)
    shelf.call("sale.order", "action_confirm", [order])
    assert shelf.erp.ship("us:1", {"MUG": 3}) == 3
    assert levels(odoo(shelf), ["US1"], [shelf.mug]) == {("MUG", "US1"): (2, 1, 0, 0)}
    assert odoo(shelf).unconfirmed_stock([order]) == set()


def test_goods_set_apart_are_on_hand_and_quarantined(shelf: Shelf) -> None:
    shelf.erp.set_aside("MUG", "US1", 2, "Returns")
    mug = [shelf.mug]
    assert levels(odoo(shelf), ["US1"], mug) == {("MUG", "US1"): (5, 0, 0, 0)}
    for name in ("Returns", "US1/Returns"):
        apart = odoo(shelf, quarantine_places=[name])
        assert levels(apart, ["US1", "UK1"], mug) == {
            ("MUG", "US1"): (5, 0, 2, 0),
            ("MUG", "UK1"): (3, 0, 0, 0),
        }


def test_goods_that_wait_for_inspection_are_quarantined_without_being_named(shelf: Shelf) -> None:
    shelf.erp.set_aside("MUG", "US1", 2, "Quality Control")
    place = shelf.found("stock.location", ["name", "=", "Quality Control"])[0]
    shelf.call("stock.warehouse", "write", [1], {"wh_qc_stock_loc_id": place})
    assert levels(odoo(shelf), ["US1"], [shelf.mug]) == {("MUG", "US1"): (5, 0, 2, 0)}


def test_announced_goods_are_incoming_until_they_are_received(shelf: Shelf) -> None:
    erp, number = odoo(shelf), shelf.erp.receive("MUG", "US1", 7, done=False)
    assert levels(erp, ["US1"], [shelf.mug]) == {("MUG", "US1"): (5, 0, 0, 7)}
    shelf.erp.validate(number)
    assert levels(erp, ["US1"], [shelf.mug]) == {("MUG", "US1"): (12, 0, 0, 0)}


def test_received_goods_go_to_those_who_wait(shelf: Shelf) -> None:
    sell(shelf, "us:1", shelf.mug, 8)
    assert odoo(shelf).unconfirmed_stock([1]) == {1}
    shelf.erp.receive("MUG", "US1", 3)
    assert odoo(shelf).unconfirmed_stock([1]) == set()


def test_a_transfer_leaves_one_warehouse_for_the_other(shelf: Shelf) -> None:
    shelf.erp.transfer("MUG", "US1", "UK1", 2)
    found = levels(odoo(shelf), ["US1", "UK1"], [shelf.mug])
    assert found == {("MUG", "US1"): (3, 0, 0, 0), ("MUG", "UK1"): (5, 0, 0, 0)}


def test_several_stock_records_of_one_place_are_added_up(shelf: Shelf) -> None:
    place = shelf.call("stock.warehouse", "read", [1], ["lot_stock_id"])[0]["lot_stock_id"][0]
    twin = {"product_id": shelf.mug, "location_id": place, "quantity": -1, "reserved_quantity": -1}
    shelf.call("stock.quant", "create", twin)
    assert levels(odoo(shelf), ["US1"], [shelf.mug]) == {("MUG", "US1"): (4, 0, 0, 0)}


def test_asked_items_without_stock_are_zero_and_those_that_are_gone_are_left_out(
    shelf: Shelf,
) -> None:
    tea = shelf.erp.add_product("TEA", "Tea", "4", {})
    found = levels(odoo(shelf), ["UK1"], [tea, 999_999, tea])
    assert found == {("TEA", "UK1"): (0, 0, 0, 0)}


def test_what_is_not_kept_in_stock_is_listed_only_when_asked_for(shelf: Shelf) -> None:
    fee = shelf.erp.add_product("FEE", "Fee", "4", None, kind="service")
    assert ("FEE", "US1") not in levels(odoo(shelf), ["US1"])
    assert levels(odoo(shelf), ["US1"], [fee]) == {("FEE", "US1"): (0, 0, 0, 0)}


def test_a_kit_has_no_stock_of_its_own_and_its_order_takes_the_components(shelf: Shelf) -> None:
    kit = shelf.erp.add_kit("SET", "Set", "19.90", {"MUG": 2, "PEN": 1})
    sell(shelf, "us:1", kit, 2)
    found = levels(odoo(shelf), ["US1"], [kit, shelf.mug, shelf.pen])
    assert found == {
        ("SET", "US1"): (0, 0, 0, 0),
        ("MUG", "US1"): (5, 4, 0, 0),
        ("PEN", "US1"): (100, 2, 0, 0),
    }
    shelf.erp.ship("us:1")
    [line] = shelf.call("sale.order.line", "search_read", [], ["qty_delivered"])
    assert line["qty_delivered"] == 2.0


def test_a_warehouse_that_is_not_there_or_not_the_only_one_is_refused(shelf: Shelf) -> None:
    shelf.erp.add_warehouse("Acme UK Ltd", "US1")
    erp = odoo(shelf)
    with pytest.raises(Missing, match="no warehouse 'XX'"):
        levels(erp, ["XX"])
    with pytest.raises(Refused, match="name it Company/US1"):
        levels(erp, ["US1"])
    found = levels(erp, ["Acme US Inc/US1"], [shelf.mug])
    assert found == {("MUG", "Acme US Inc/US1"): (5, 0, 0, 0)}


def test_demand_is_read_before_what_is_on_hand(shelf: Shelf) -> None:
    """Goods that leave in between are missing from both, so that nothing seems free twice."""
    sell(shelf, "us:1", shelf.mug, 4)

    def leave(operation: str) -> None:
        if operation == "stock.quant.search_read":
            return
        asked = shelf.erp.calls["product.product.search_read"]
        if asked == 2:  # the items, then their demand
            shelf.erp.after_effect = lambda operation: None
            shelf.erp.ship("us:1")

    shelf.erp.after_effect = leave
    assert levels(odoo(shelf), ["US1"], [shelf.mug]) == {("MUG", "US1"): (1, 4, 0, 0)}


def test_levels_of_many_items_come_in_pages_of_few_calls() -> None:
    shelf = Shelf()
    shelf.erp.add_products((f"SKU-{n}", f"Item {n}", "1", {"US1": n}) for n in range(1_200))
    before = shelf.erp.calls.total()
    pages = [len(page) for page in odoo(shelf).stock_levels(["US1", "UK1"])]
    assert pages == [1000, 1000, 404]
    assert shelf.erp.calls.total() - before <= 3 * 4 + 10


# Moves


def moved(shelf: Shelf, erp: Odoo | None = None) -> list[dict[str, Any]]:
    """Moves changed since the shelf's moment, exactly."""
    pages = (erp or odoo(shelf)).moved_since(shelf.moment, timedelta(0))
    return [move for page in pages for move in page]


def told(shelf: Shelf) -> list[tuple[Any, ...]]:
    """What the mapper makes of the newest moves."""
    shown = ("kind", "sku", "units", "from_warehouse", "to_warehouse", "origin")
    rows = [stock_movement(move, "books") for move in moved(shelf)]
    return [tuple(row[name] for name in shown) for row in rows if row]


def test_every_kind_of_movement_is_told_apart(shelf: Shelf) -> None:
    sell(shelf, "us:1", shelf.mug, 2)
    happened = []
    for act in (
        lambda: shelf.erp.receive("MUG", "US1", 7),
        lambda: shelf.erp.ship("us:1"),
        lambda: shelf.erp.return_goods("us:1", "MUG", 1),
        lambda: shelf.erp.transfer("MUG", "US1", "UK1", 2),
        lambda: shelf.erp.adjust("MUG", "US1", -1),
        lambda: shelf.erp.scrap("MUG", "US1", 1),
        lambda: shelf.erp.sell_over_the_counter("MUG", "UK1", 1),
        lambda: shelf.erp.set_stock("MUG", "UK1", 10),
    ):
        shelf.moment += timedelta(minutes=1)
        act()
        happened += told(shelf)

    order = "S00001 - us:1" if shelf.erp.version == 18 else "S00001"
    assert happened == [
        ("receipt", "MUG", 7, None, "US1", "P00001"),
        ("shipment", "MUG", 2, "US1", None, order),
        ("return", "MUG", 1, None, "US1", "Return of US1/OUT/00001"),
        ("transfer", "MUG", 2, "US1", "UK1", "US1/INT/00001"),
        ("adjustment", "MUG", 1, "US1", None, "Product Quantity Updated"),
        ("scrap", "MUG", 1, "US1", None, "SP/00001"),
        ("store_sale", "MUG", 1, "UK1", None, "POS/00001"),
        ("adjustment", "MUG", 6, None, "UK1", "Product Quantity Updated"),
    ]


def test_a_step_inside_a_warehouse_is_seen_and_is_no_movement(shelf: Shelf) -> None:
    shelf.moment += timedelta(minutes=1)
    shelf.erp.set_aside("MUG", "US1", 2)
    assert [move["item"] for move in moved(shelf)] == [shelf.mug]
    assert told(shelf) == []


def test_reserving_shipping_and_cancelling_show_the_item_to_read_again(shelf: Shelf) -> None:
    for step, state in (("action_confirm", "assigned"), ("action_cancel", "cancel")):
        shelf.moment += timedelta(minutes=1)
        if step == "action_confirm":
            sell(shelf, "us:1", shelf.mug, 2)
        else:
            context = {"disable_cancel_warning": True}
            shelf.call("sale.order", step, [1], context=context)
        assert [(move["item"], move["state"]) for move in moved(shelf)] == [(shelf.mug, state)]
        assert told(shelf) == []


def test_a_move_is_told_once_oldest_change_first_and_older_ones_are_not(shelf: Shelf) -> None:
    shelf.erp.adjust("PEN", "US1", 1)
    shelf.moment += timedelta(minutes=10)
    start = shelf.moment
    for sku in ("MUG", "PEN", "MUG"):
        shelf.erp.adjust(sku, "US1", 1)
        shelf.moment += timedelta(minutes=1)
    erp = odoo(shelf)
    seen = [move["sku"] for page in erp.moved_since(start, timedelta(0)) for move in page]
    assert seen == ["MUG", "PEN", "MUG"]
    wide = [move["sku"] for page in erp.moved_since(start, timedelta(minutes=11)) for move in page]
    assert wide == ["PEN", "MUG", "PEN", "MUG"]


# The stand-in as recorded


def kept(version: int) -> Recorded:
    """A stand-in with two warehouses and the recorded items, none of them in stock."""
    at = {18: "2026-11-20 18:36:32", 19: "2026-11-20 18:49:27"}[version]
    recorded, first = Recorded(version, at), IDS[version]["product"]
    warehouse, place, kind = {18: (4, 40, 26), 19: (3, 33, 18)}[version]
    for model, id_ in (("location", place), ("picking.type", kind), ("warehouse", warehouse)):
        recorded.erp.next_id(f"stock.{model}", id_)
    recorded.erp.add_warehouse("YourCompany", "WH2", "Second")
    recorded.erp.next_id("stock.quant", {18: 84, 19: 39}[version])
    recorded.erp.next_id("stock.move", {18: 69, 19: 41}[version])
    delivery = IDS[version]["delivery"]
    recorded.product(delivery, "Delivery_007", "Standard delivery", kind="service")
    for number in range(20):
        letter = LETTER[version]
        sku, name = f"{letter}-SKU-{number + 1:03}", f"Widget {letter} {number + 1}"
        recorded.product(first + number, sku, name, stock={})
    return recorded


@with_recordings
@BOTH
def test_counts_are_taken_and_read_as_recorded(version: int) -> None:
    recorded = kept(version)
    asked = [pair for pair in _pairs(version, "inventory") if _called(pair)[1] != "read_group"]
    # A group's answer repeats the domain; nobody here reads groups.
    assert recorded.replay(asked) == len(asked) == 9


@with_recordings
@BOTH
def test_parcels_leave_in_parts_and_come_back_as_recorded(version: int) -> None:
    recorded, ids = kept(version), IDS[version]
    counts = [p for p in _pairs(version, "inventory") if _called(p)[0] == "stock.quant"]
    recorded.replay(counts[:2])
    at = {18: "2026-11-20 18:36:34", 19: "2026-11-20 18:49:29"}[version]
    recorded.moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    recorded.customer()
    carrier = {"name": "Standard delivery", "delivery_type": "fixed"}
    recorded.make("delivery.carrier", 1, **carrier, product_id=ids["delivery"])
    order, line, picking, number = {18: (30, 60, 22, 17), 19: (25, 51, 20, 15)}[version]
    for model, id_ in (("order", order), ("order.line", line)):
        recorded.erp.next_id(f"sale.{model}", id_)
    recorded.erp.next_id("stock.picking", picking)
    recorded.erp.next_id("WH/OUT", number)
    recorded.erp.next_id("WH/IN", 6)
    recorded.replay(_pairs(version, "order"))
    recorded.erp.next_id("stock.backorder.confirmation", {18: 2, 19: 1}[version])
    recorded.moment += timedelta(seconds={18: 4, 19: 2}[version])

    # Single lines of a move (lots, packages) have no stand-in.
    parcels = [p for p in _pairs(version, "delivery") if "move_line_ids" not in str(_args(p))]
    assert recorded.replay(parcels) == 17
    recorded.moment += timedelta(seconds={18: 3, 19: 4}[version])
    assert recorded.replay(_pairs(version, "return")) == 10


@with_recordings
@BOTH
def test_recorded_stock_records_never_change_without_a_move(version: int) -> None:
    """Why moves are enough to find the items to read again."""
    asked = [p for p in _pairs(version, "delta") if _called(p)[0].startswith("stock.")]
    moves, quants = (rows_of(asked, model) for model in ("stock.move", "stock.quant"))
    assert {quant["write_date"] for quant in quants} <= {move["write_date"] for move in moves}
    assert len(quants) == 4
    places: dict[int, Decimal] = {}
    for move in moves:
        units = D(str(move["quantity"]))
        for place, sign in ((move["location_id"][0], -1), (move["location_dest_id"][0], 1)):
            places[place] = places.get(place, D()) + sign * units
    assert places == {quant["location_id"][0]: D(str(quant["quantity"])) for quant in quants}


def rows_of(pairs: Sequence[Pair], model: str) -> list[dict[str, Any]]:
    """The rows a recorded search answered."""
    [pair] = [pair for pair in pairs if _called(pair) == (model, "search_read")]
    rows: list[dict[str, Any]] = pair["response"]["body"]["result"]
    return rows


@with_recordings
@BOTH
def test_a_recorded_oversold_order_shows_only_in_the_outgoing_quantity(version: int) -> None:
    reads = [
        pair["response"]["body"]["result"]
        for pair in _pairs(version, "order")
        if _called(pair) == ("product.product", "search_read") and "SKU-007" in str(_args(pair))
    ]
    over = reads[0][0]
    assert (over["qty_available"], over["free_qty"], over["outgoing_qty"]) == (1000, 0, 5000)


def test_levels_become_whole_pieces() -> None:
    shelf = Shelf()
    shelf.erp.adjust("MUG", "US1", D("-0.5"))
    [row] = [
        stock_level(level)
        for page in odoo(shelf).stock_levels(["US1"], [shelf.mug])
        for level in page
    ]
    assert (row["sku"], row["on_hand_units"], row["allocated_units"]) == ("MUG", 4, 0)


@with_recordings
@BOTH
def test_only_fields_of_this_version_are_read(version: int) -> None:
    shelf, asked = Shelf(version), set[tuple[str, str]]()
    shelf.erp.add_kit("SET", "Set", "19.90", {"MUG": 2})
    shelf.erp.add_price_list("Web", "USD")
    shelf.erp.set_price("MUG", "6", "Web")
    shelf.erp.sell_over_the_counter("MUG", "US1", 1)
    served = shelf.erp._read

    def read(model: str, method: str, context: Any, bound: dict[str, Any]) -> Any:
        asked.update((model, name) for name in bound.get("fields") or ())
        terms = [term for term in bound.get("domain") or () if not isinstance(term, str)]
        asked.update((model, term[0].split(".")[0]) for term in terms)
        return served(model, method, context, bound)

    shelf.erp._read = read  # type: ignore[method-assign]
    erp = odoo(shelf)
    list(erp.items())
    list(erp.items_changed_since(shelf.moment, timedelta(minutes=3)))
    list(erp.stock_levels(["US1"]))
    assert len(moved(shelf, erp)) == 1

    known = models(f"v{version}")
    #: Modules that were not installed where the lists come from, and a cash desk's fields.
    foreign = {"mrp.bom", "mrp.bom.line", "ir.attachment", "res.company"}
    checked = {pair for pair in asked if pair[0] not in foreign and not pair[1].startswith("pos_")}
    assert {model for model, _ in checked} >= {"product.pricelist.item", "stock.quant"}
    assert not [pair for pair in checked if pair[1] not in known[pair[0]]]
