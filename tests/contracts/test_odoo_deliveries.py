"""Deliveries of Odoo: what left is posted once, wherever the call breaks off, and what Odoo's own
warehouse ships is told. Against the stand-in.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from odoo_kills import killed_everywhere
from odoo_shelf import Shelf
from test_odoo_catalog_client import odoo

from resources.errors import Missing, Refused, UnknownOutcome
from resources.pages import Raw
from resources.sandbox import odoo_server
from resources.sandbox.faults import Fault, Trouble
from resources.systems.odoo import Odoo
from sync_assets.domain.fulfilment import Delivery, DeliveryLine
from sync_assets.mappers import odoo_logistics as mapper

SINCE = datetime(2026, 11, 20, 11, tzinfo=UTC)


@pytest.fixture(params=[18, 19])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.param)


def sell(shelf: Shelf, ref: str, **units: int) -> int:
    """Confirm an order from the first warehouse, by SKU."""
    lines = [
        {"product_id": shelf.erp.item(sku), "product_uom_qty": count}
        for sku, count in units.items()
    ]
    order = shelf.order(ref, *lines, warehouse_id=1)
    assert shelf.call("sale.order", "action_confirm", [order]) is True
    return order


def delivery(order: int, key: str = "north:1/us:1", **more: Any) -> dict[str, Any]:
    """What a delivery of ours becomes for the client; upper case names are SKUs."""
    units = {sku: more.pop(sku) for sku in list(more) if sku.isupper()}
    document = Delivery(
        key=key,
        order_ref="us:1",
        order_id=order,
        shipped_at=SINCE,
        lines=tuple(DeliveryLine(key=f"l:{s}", sku=s, units=n) for s, n in units.items()),
        **more,
    )
    return mapper.delivery(document)


def seen(shelf: Shelf, ref: str = "us:1") -> list[tuple[str, dict[str, int], str | None]]:
    """State, units by SKU that left or are asked for, and tracking of an order's parcels."""
    return [
        (p["state"], p["done"] or p["asked"], p["tracking"]) for p in shelf.erp.pickings_of(ref)
    ]


def on_hand(shelf: Shelf, sku: str, warehouse: str = "US1") -> int:
    [page] = odoo(shelf).stock_levels([warehouse], [shelf.erp.item(sku)])
    return int(page[0]["on_hand"])


def state(erp: Odoo, wanted: dict[str, Any]) -> tuple[str, dict[str, int]]:
    told = mapper.seen_delivery(erp.deliveries([wanted])[wanted["key"]])
    return told.state, dict(told.units)


def split(shelf: Shelf, order: int) -> None:
    """Put one piece of an order's only move into a parcel of its own, as a person may."""
    tables = shelf.erp.tables
    [parcel] = tables.find("stock.picking", "sale_id", order)
    [move] = tables.find("stock.move", "picking_id", parcel)
    row, one = dict(tables.rows["stock.move"][move]), {"product_uom_qty": 1, "quantity": 1}
    with shelf.erp.writing():
        more = {**tables.rows["stock.picking"][parcel], "name": "US1/OUT/00099"}
        tables.change("stock.move", move, one)
        other = tables.insert("stock.picking", more)
        tables.insert("stock.move", {**row, **one, "picking_id": other})


# Posting


def test_a_whole_order_leaves_with_its_tracking_numbers(shelf: Shelf) -> None:
    erp, wanted = (
        odoo(shelf),
        delivery(sell(shelf, "us:1", MUG=2), MUG=2, tracking_numbers=("A1", "B2")),
    )
    assert erp.deliveries([wanted]) == {}
    assert erp.put_deliveries([wanted]) == {}
    assert seen(shelf) == [("done", {"MUG": 2}, "A1,B2")]
    assert state(erp, wanted) == ("done", {"MUG": 2})
    assert on_hand(shelf, "MUG") == 3


def test_a_part_leaves_and_the_rest_stays_open(shelf: Shelf) -> None:
    erp, wanted = odoo(shelf), delivery(sell(shelf, "us:1", MUG=3, PEN=4), PEN=1)
    assert erp.put_deliveries([wanted]) == {}
    assert seen(shelf) == [("done", {"PEN": 1}, None), ("assigned", {"MUG": 3, "PEN": 3}, None)]
    assert state(erp, wanted) == ("done", {"PEN": 1})


def test_the_rest_leaves_with_another_delivery(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=3)
    first, rest = delivery(order, MUG=1), delivery(order, "north:2/us:1", MUG=2)
    assert erp.put_deliveries([first, rest]) == {}
    assert seen(shelf) == [("done", {"MUG": 1}, None), ("done", {"MUG": 2}, None)]
    assert state(erp, first) == ("done", {"MUG": 1})
    assert state(erp, rest) == ("done", {"MUG": 2})


def test_a_delivery_that_is_posted_is_not_posted_again(shelf: Shelf) -> None:
    erp, wanted = odoo(shelf), delivery(sell(shelf, "us:1", MUG=3), MUG=1)
    for _ in range(3):
        assert erp.put_deliveries([wanted]) == {}
    assert on_hand(shelf, "MUG") == 4
    assert shelf.erp.count("stock.picking.button_validate") == 1


def test_the_backorder_of_our_posting_is_not_taken_for_our_posting(shelf: Shelf) -> None:
    """Odoo copies the origin, and with it our mark, into the parcel of the rest."""
    erp, wanted = odoo(shelf), delivery(sell(shelf, "us:1", MUG=3), MUG=1)
    erp.put_deliveries([wanted])
    shelf.erp.ship("us:1")
    first, rest = shelf.erp.pickings_of("us:1")
    assert first["origin"] == rest["origin"]
    assert state(erp, wanted) == ("done", {"MUG": 1})
    assert [s.body["ours"] for s in shipments(erp)] == ["north:1/us:1", None]


def test_more_than_is_open_is_refused_and_nothing_moves(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2, PEN=1)
    [refusal] = erp.put_deliveries([delivery(order, PEN=1, MUG=3)]).values()
    assert isinstance(refusal, Refused)
    assert refusal.code == "over_delivered"
    assert refusal.message.endswith("1 of MUG")
    assert seen(shelf) == [("assigned", {"MUG": 2, "PEN": 1}, None)]
    [refusal] = erp.put_deliveries([delivery(order, CUP=1)]).values()
    assert refusal.code == "over_delivered"


def test_one_refused_delivery_does_not_stop_its_neighbour(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=1)
    bad, good = delivery(order, "north:0/us:1", MUG=2), delivery(order, MUG=1)
    assert list(erp.put_deliveries([bad, good])) == ["north:0/us:1"]
    assert seen(shelf) == [("done", {"MUG": 1}, None)]


def test_an_order_that_is_not_there_or_not_confirmed_is_refused(shelf: Shelf) -> None:
    draft = shelf.order("us:1", {"product_id": shelf.mug, "product_uom_qty": 1}, warehouse_id=1)
    refused = odoo(shelf).put_deliveries([delivery(draft, MUG=1), delivery(999, "gone", MUG=1)])
    assert refused["north:1/us:1"].code == "not_confirmed"
    assert isinstance(refused["gone"], Missing)


def test_units_beyond_the_stock_leave_all_the_same(shelf: Shelf) -> None:
    """They have left; that Odoo counted fewer is for the next count."""
    erp, wanted = odoo(shelf), delivery(sell(shelf, "us:1", MUG=8), MUG=7)
    assert erp.put_deliveries([wanted]) == {}
    assert on_hand(shelf, "MUG") == -2


def test_the_last_delivery_calls_the_rest_off(shelf: Shelf) -> None:
    erp, wanted = odoo(shelf), delivery(sell(shelf, "us:1", MUG=3), MUG=1, is_last=True)
    assert erp.put_deliveries([wanted, wanted]) == {}
    assert seen(shelf) == [("done", {"MUG": 1}, None), ("cancel", {"MUG": 2}, None)]
    assert shelf.one("us:1")["state"] == "sale"
    assert state(erp, wanted) == ("done", {"MUG": 1})
    [page] = erp.stock_levels(["US1"], [shelf.mug])
    assert (page[0]["on_hand"], page[0]["allocated"]) == (4, 0)


def test_the_rest_is_called_off_without_anything_leaving(shelf: Shelf) -> None:
    erp, closing = odoo(shelf), delivery(sell(shelf, "us:1", MUG=3), is_last=True)
    assert state(erp, closing) == ("begun", {})
    assert erp.put_deliveries([closing, closing]) == {}
    assert seen(shelf) == [("cancel", {"MUG": 3}, None)]
    assert state(erp, closing) == ("done", {})
    assert shelf.erp.count("stock.picking.action_cancel") == 1


def test_kits_leave_as_their_components(shelf: Shelf) -> None:
    shelf.erp.add_kit("SET", "Set", "12", {"MUG": 1, "PEN": 3})
    erp, order = odoo(shelf), sell(shelf, "us:1", SET=2)
    wanted = delivery(order, SET=1)
    assert erp.put_deliveries([wanted]) == {}
    assert seen(shelf)[0] == ("done", {"MUG": 1, "PEN": 3}, None)
    assert state(erp, wanted) == ("done", {"SET": 1})
    assert erp.put_deliveries([delivery(order, "north:2/us:1", SET=2)])["north:2/us:1"].code == (
        "over_delivered"
    )
    assert [line.units for line in mapper.shipment(shipments(erp)[0].body).lines] == [1]
    assert mapper.shipment(shipments(erp)[0].body).lines[0].sku == "SET"


def test_two_lines_of_one_item_are_filled_in_their_order(shelf: Shelf) -> None:
    lines = [{"product_id": shelf.mug, "product_uom_qty": count} for count in (2, 1)]
    order = shelf.order("us:1", *lines, warehouse_id=1)
    shelf.call("sale.order", "action_confirm", [order])
    assert odoo(shelf).put_deliveries([delivery(order, MUG=3)]) == {}
    assert seen(shelf) == [("done", {"MUG": 3}, None)]


def test_units_spread_over_several_parcels_are_posted_in_each(shelf: Shelf) -> None:
    order = sell(shelf, "us:1", MUG=2)
    split(shelf, order)
    erp, wanted = odoo(shelf), delivery(order, MUG=2)
    assert erp.put_deliveries([wanted, wanted]) == {}
    assert seen(shelf) == [("done", {"MUG": 1}, None), ("done", {"MUG": 1}, None)]
    assert state(erp, wanted) == ("done", {"MUG": 2})


def test_goods_that_left_another_warehouse_are_taken_from_its_shelf(shelf: Shelf) -> None:
    shelf.erp.add_warehouse("Acme US Inc", "US2")
    shelf.erp.set_stock("MUG", "US2", 4)
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=3)
    assert erp.put_deliveries([delivery(order, MUG=2, warehouse="Acme US Inc/US2")]) == {}
    assert (on_hand(shelf, "MUG", "US1"), on_hand(shelf, "MUG", "US2")) == (5, 2)
    levels = {row["warehouse"]: row for row in next(erp.stock_levels(["US1", "US2"], [shelf.mug]))}
    assert [int(levels[code]["allocated"]) for code in ("US1", "US2")] == [1, 0]
    assert erp.unconfirmed_stock([order]) == set()
    [refusal] = erp.put_deliveries([delivery(order, "x", MUG=1, warehouse="US9")]).values()
    assert isinstance(refusal, Missing)


def test_a_question_nobody_foresaw_goes_to_a_person(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"type": "ir.actions.act_window", "res_model": "confirm.stock.sms"}
    validate = ("stock.picking", "button_validate")
    monkeypatch.setitem(odoo_server.GOODS, validate, lambda db, ids, context: asked)  # type: ignore[arg-type]
    order = sell(shelf, "us:1", MUG=1)
    [refusal] = odoo(shelf).put_deliveries([delivery(order, MUG=1)]).values()
    assert (refusal.code, "'confirm.stock.sms'" in refusal.message) == ("asked", True)
    assert seen(shelf)[0][0] == "assigned"


# Broken off anywhere


@pytest.mark.parametrize("step", ["picking.write", "move.write", "button_validate", "process"])
def test_a_lost_answer_is_unknown_and_the_next_call_finishes(shelf: Shelf, step: str) -> None:
    erp, wanted = odoo(shelf), delivery(sell(shelf, "us:1", MUG=3), MUG=1)
    shelf.erp.faults.plan(Fault(Trouble.CUT_AFTER, step))
    with pytest.raises(UnknownOutcome):
        erp.put_deliveries([wanted])
    assert erp.put_deliveries([wanted]) == {}
    assert on_hand(shelf, "MUG") == 4


def test_calls_that_arrive_twice_move_the_goods_once(shelf: Shelf) -> None:
    erp, wanted = odoo(shelf), delivery(sell(shelf, "us:1", MUG=3), MUG=1)
    shelf.erp.faults.plan(Fault(Trouble.TWICE, "stock.", times=99))
    assert erp.put_deliveries([wanted]) == {}
    assert on_hand(shelf, "MUG") == 4
    assert [one[:2] for one in seen(shelf)] == [("done", {"MUG": 1}), ("assigned", {"MUG": 2})]


@pytest.mark.parametrize("version", [18, 19])
def test_a_delivery_broken_off_anywhere_moves_its_goods_once(version: int) -> None:
    def make() -> Shelf:
        shelf = Shelf(version)
        shelf.erp.add_warehouse("Acme US Inc", "US2")
        shelf.erp.set_stock("MUG", "US2", 4)
        shelf.erp.add_kit("SET", "Set", "12", {"MUG": 1, "PEN": 3})
        sell(shelf, "us:1", MUG=3, SET=2)
        return shelf

    def put(shelf: Shelf) -> object:
        [order] = shelf.found("sale.order", ["client_order_ref", "=", "us:1"])
        wanted = delivery(order, MUG=1, SET=1, warehouse="US2", tracking_numbers=("T1",))
        return odoo(shelf).put_deliveries([wanted])

    def check(shelf: Shelf) -> None:
        assert seen(shelf) == [
            ("done", {"MUG": 2, "PEN": 3}, "T1"),
            ("assigned", {"MUG": 3, "PEN": 3}, None),
        ]
        assert (on_hand(shelf, "MUG", "US1"), on_hand(shelf, "MUG", "US2")) == (5, 2)
        [page] = odoo(shelf).stock_levels(["US1"], [shelf.mug])
        assert page[0]["allocated"] == 3

    assert killed_everywhere(make, put, check) >= 10


def test_a_last_delivery_broken_off_anywhere_calls_the_rest_off_once() -> None:
    def make() -> Shelf:
        shelf = Shelf()
        sell(shelf, "us:1", MUG=3, PEN=2)
        return shelf

    def put(shelf: Shelf) -> object:
        [order] = shelf.found("sale.order", ["client_order_ref", "=", "us:1"])
        return odoo(shelf).put_deliveries([delivery(order, MUG=2, is_last=True)])

    def check(shelf: Shelf) -> None:
        assert [one[:2] for one in seen(shelf)] == [
            ("done", {"MUG": 2}),
            ("cancel", {"MUG": 1, "PEN": 2}),
        ]
        assert (on_hand(shelf, "MUG"), on_hand(shelf, "PEN")) == (3, 100)

    assert killed_everywhere(make, put, check) == 6


# Reading


def shipments(erp: Odoo) -> list[Raw]:
    found = [s for page in erp.shipments_changed_since(SINCE, timedelta(0)) for s in page]
    assert all(isinstance(one, Raw) for one in found)
    return found  # type: ignore[return-value]


def test_parcels_are_told_with_order_warehouse_lines_and_tracking(shelf: Shelf) -> None:
    sell(shelf, "us:1", MUG=2)
    shelf.moment += timedelta(minutes=5)
    shelf.erp.ship("us:1", {"MUG": 1}, tracking="T1;T2")
    first, rest = (mapper.shipment(one.body) for one in shipments(odoo(shelf)))
    assert (first.state, first.reference, first.warehouse) == ("shipped", "us:1", "US1")
    assert first.shipped_at == datetime(2026, 11, 20, 12, 5, tzinfo=UTC)
    assert [(line.sku, line.units) for line in first.lines] == [("MUG", 1)]
    assert [parcel.tracking_number for parcel in first.parcels] == ["T1", "T2"]
    assert (rest.state, rest.shipped_at, rest.lines[0].units) == ("packed", None, 1)


def test_only_what_changed_in_the_window_is_told_oldest_change_first(shelf: Shelf) -> None:
    for number in (1, 2, 3):
        sell(shelf, f"us:{number}", PEN=1)
        shelf.moment += timedelta(minutes=1)
    shelf.erp.ship("us:1")
    erp = odoo(shelf)
    since = datetime(2026, 11, 20, 12, 2, tzinfo=UTC)
    pages = list(erp.shipments_changed_since(since, timedelta(0)))
    told = [one.body["order"]["reference"] for page in pages for one in page]  # type: ignore[union-attr]
    assert told == ["us:3", "us:1"]
    [changed] = {one.changed_at for page in pages for one in page if one.resource_id == "12"}  # type: ignore[union-attr]
    assert changed == datetime(2026, 11, 20, 12, 3, tzinfo=UTC)
    wider = erp.shipments_changed_since(since, timedelta(minutes=1))
    assert sum(len(page) for page in wider) == 3


def test_an_orders_parcels_are_told_in_any_state_but_not_what_came_back(shelf: Shelf) -> None:
    order = sell(shelf, "us:1", MUG=3)
    sell(shelf, "us:2", MUG=1)
    erp = odoo(shelf)

    def fulfilment() -> tuple[str, Any]:
        told = mapper.seen([one.body for one in erp.shipments_of([order])])  # type: ignore[union-attr]
        assert told.key == "us:1"
        return told.state, told.units

    assert fulfilment() == ("acknowledged", {"MUG": 3})
    shelf.erp.ship("us:1", {"MUG": 1})
    assert fulfilment() == ("part_shipped", {"MUG": 3})
    shelf.erp.take_back("us:1", {"MUG": 1})
    shelf.call("sale.order", "action_cancel", [order], context={"disable_cancel_warning": True})
    assert fulfilment() == ("shipped", {"MUG": 1})
    assert len(erp.shipments_of([order])) == 2


def test_what_we_posted_is_told_as_ours(shelf: Shelf) -> None:
    erp, wanted = odoo(shelf), delivery(sell(shelf, "us:1", MUG=1), MUG=1)
    erp.put_deliveries([wanted])
    [one] = shipments(erp)
    assert (one.body["ours"], mapper.is_ours(one.body)) == ("north:1/us:1", True)
