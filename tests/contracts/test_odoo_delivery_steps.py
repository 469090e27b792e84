"""Deliveries from Odoo warehouses where goods are picked, and perhaps packed, before they leave."""

import pytest
from odoo_kills import killed_everywhere
from odoo_shelf import Shelf
from test_odoo_catalog_client import odoo
from test_odoo_deliveries import delivery, on_hand, shipments, state

from sync_assets.mappers import odoo_logistics as mapper


def picked_first(version: int, steps: str) -> Shelf:
    """A confirmed order of a warehouse with steps before the last."""
    shelf = Shelf(version)
    shelf.erp.add_warehouse("Acme US Inc", "US3", steps=steps)
    shelf.erp.set_stock("MUG", "US3", 9)
    [warehouse] = shelf.found("stock.warehouse", ["code", "=", "US3"])
    line = {"product_id": shelf.mug, "product_uom_qty": 5}
    order = shelf.order("us:1", line, warehouse_id=warehouse)
    shelf.call("sale.order", "action_confirm", [order])
    return shelf


def steps(shelf: Shelf) -> list[tuple[str, str, dict[str, int]]]:
    return [
        (p["name"].split("/")[1], p["state"], p["done"] or p["asked"])
        for p in shelf.erp.pickings_of("us:1")
    ]


@pytest.mark.parametrize("version", [18, 19])
@pytest.mark.parametrize("word", ["pick_ship", "pick_pack_ship"])
def test_steps_inside_the_warehouse_are_done_first(version: int, word: str) -> None:
    shelf = picked_first(version, word)
    erp, wanted = odoo(shelf), delivery(1, MUG=2)
    assert erp.put_deliveries([wanted, wanted]) == {}
    inside = ["PICK", "PACK"] if word == "pick_pack_ship" else ["PICK"]
    assert sorted(one for one in steps(shelf) if one[1] == "done") == sorted(
        (kind, "done", {"MUG": 2}) for kind in [*inside, "OUT"]
    )
    assert [one for one in steps(shelf) if one[1] != "done"] == [("PICK", "assigned", {"MUG": 3})]
    assert state(erp, wanted) == ("done", {"MUG": 2})
    assert on_hand(shelf, "MUG", "US3") == 7
    [told] = shipments(erp)
    assert mapper.shipment(told.body).lines[0].units == 2


def test_what_is_picked_already_is_not_picked_again() -> None:
    shelf = picked_first(18, "pick_ship")
    [pick] = shelf.found("stock.picking", ["sale_id", "=", 1])
    [move] = shelf.found("stock.move", ["picking_id", "=", pick])
    shelf.call("stock.move", "write", [move], {"quantity": 2, "picked": True})
    shelf.call("stock.picking", "button_validate", [pick], context={"skip_backorder": True})
    assert steps(shelf) == [
        ("PICK", "done", {"MUG": 2}),
        ("OUT", "assigned", {"MUG": 2}),
        ("PICK", "assigned", {"MUG": 3}),
    ]
    erp = odoo(shelf)
    assert erp.put_deliveries([delivery(1, MUG=2)]) == {}
    assert steps(shelf)[1:] == [("OUT", "done", {"MUG": 2}), ("PICK", "assigned", {"MUG": 3})]
    assert erp.put_deliveries([delivery(1, "north:2/us:1", MUG=3, is_last=True)]) == {}
    assert on_hand(shelf, "MUG", "US3") == 4
    assert erp.put_deliveries([delivery(1, "x", MUG=1)])["x"].code == "over_delivered"


def test_a_part_that_is_picked_and_the_rest_leave_as_one_posting() -> None:
    shelf = picked_first(18, "pick_ship")
    [pick] = shelf.found("stock.picking", ["sale_id", "=", 1])
    [move] = shelf.found("stock.move", ["picking_id", "=", pick])
    shelf.call("stock.move", "write", [move], {"quantity": 2, "picked": True})
    shelf.call("stock.picking", "button_validate", [pick], context={"skip_backorder": True})
    erp, wanted = odoo(shelf), delivery(1, MUG=4, is_last=True)
    assert erp.put_deliveries([wanted, wanted]) == {}
    assert state(erp, wanted) == ("done", {"MUG": 4})
    assert on_hand(shelf, "MUG", "US3") == 5
    assert [one for one in steps(shelf) if one[1] == "cancel"] == [("PICK", "cancel", {"MUG": 1})]


def test_goods_that_left_are_posted_though_nothing_was_reserved() -> None:
    """Somebody freed what was to be packed, and another item is still to be picked."""
    shelf = picked_first(18, "pick_pack_ship")
    [pick] = shelf.found("stock.picking", ["sale_id", "=", 1])
    shelf.call("stock.picking", "button_validate", [pick])
    [move] = shelf.found("stock.move", ["state", "=", "assigned"])
    shelf.call("stock.move", "write", [move], {"quantity": 0})
    pen = {"order_id": 1, "product_id": shelf.pen, "product_uom_qty": 1}
    shelf.call("sale.order.line", "create", pen)
    erp = odoo(shelf)
    assert erp.put_deliveries([delivery(1, MUG=5)]) == {}
    assert on_hand(shelf, "MUG", "US3") == 4
    assert state(erp, delivery(1, MUG=5)) == ("done", {"MUG": 5})


@pytest.mark.parametrize("word", ["pick_ship", "pick_pack_ship"])
def test_steps_broken_off_anywhere_move_the_goods_once(word: str) -> None:
    def put(shelf: Shelf) -> object:
        return odoo(shelf).put_deliveries([delivery(1, MUG=2)])

    def check(shelf: Shelf) -> None:
        assert on_hand(shelf, "MUG", "US3") == 7
        done = sum(p["done"].get("MUG", 0) for p in shelf.erp.pickings_of("us:1"))
        assert done == {"pick_ship": 4, "pick_pack_ship": 6}[word]

    deaths = killed_everywhere(lambda: picked_first(18, word), put, check)
    assert deaths == {"pick_ship": 7, "pick_pack_ship": 9}[word]
