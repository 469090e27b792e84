"""Goods that come back to Odoo: booked once, whoever booked them and wherever the call breaks off;
what Odoo's own warehouse takes back is told. Against the stand-in.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from odoo_kills import killed_everywhere
from odoo_shelf import Shelf
from test_odoo_catalog_client import odoo
from test_odoo_deliveries import sell

from resources.errors import Missing, RemoteError, UnknownOutcome
from resources.sandbox.faults import Fault, Trouble
from resources.systems.odoo import Odoo
from sync_assets.domain.returns import Restock, RestockLine
from sync_assets.mappers import odoo_logistics as mapper

SINCE = datetime(2026, 11, 20, 11, tzinfo=UTC)
Three = tuple[int, int, int]


@pytest.fixture(params=[18, 19])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    shelf = Shelf(request.param)
    stock(shelf)
    return shelf


def stock(shelf: Shelf) -> None:
    """A place for goods that are not for sale."""
    shelf.erp.set_aside("PEN", "US1", 1, "Returns")


def shipped(shelf: Shelf, ref: str = "us:1", **units: int) -> int:
    """An order that has left."""
    order = sell(shelf, ref, **units)
    assert shelf.erp.ship(ref) > 0
    return order


def restock(
    order: int, key: str = "us:1:r1", warehouse: str = "", **lines: Three
) -> dict[str, Any]:
    """What goods that came back become for the client: restock, refurbish, write off by SKU."""
    document = Restock(
        key=key,
        order_ref="us:1",
        order_id=order,
        warehouse=warehouse,
        received_on=date(2026, 11, 25),
        lines=tuple(
            RestockLine(
                key=f"l:{sku}", sku=sku, restock_units=a, refurbish_units=b, write_off_units=c
            )
            for sku, (a, b, c) in lines.items()
        ),
    )
    return mapper.restock(document)


def client(shelf: Shelf) -> Odoo:
    return odoo(shelf, quarantine_places=["Returns"])


def level(shelf: Shelf, sku: str, warehouse: str = "US1") -> tuple[int, int, int]:
    """On hand, set apart and still to come."""
    [page] = client(shelf).stock_levels([warehouse], [shelf.erp.item(sku)])
    row = page[0]
    return int(row["on_hand"]), int(row["quarantined"]), int(row["incoming"])


def back(shelf: Shelf) -> list[tuple[str, dict[str, int], str]]:
    """State, units and place of the order's parcels that came back."""
    parcels = [p for p in shelf.erp.pickings_of("us:1") if p["kind"] == "incoming"]
    return [(p["state"], p["done"], p["to"]) for p in parcels]


def state(erp: Odoo, wanted: dict[str, Any]) -> tuple[str, dict[str, int]]:
    told = mapper.seen_restock(erp.restocks([wanted])[wanted["key"]])
    return told.state, dict(told.units)


def scraps(shelf: Shelf) -> list[tuple[str, str, int]]:
    rows = shelf.erp.tables.rows["stock.scrap"].values()
    value = shelf.erp.db.value
    return [
        (value("product.product", r["product_id"], "default_code"), r["state"], int(r["scrap_qty"]))
        for r in rows
    ]


def code(refused: dict[str, RemoteError]) -> str | None:
    [refusal] = refused.values()
    return refusal.code


# Booking


def test_goods_come_back_to_the_shelf(shelf: Shelf) -> None:
    erp, wanted = client(shelf), restock(shipped(shelf, MUG=3), MUG=(2, 0, 0))
    assert erp.restocks([wanted]) == {}
    assert erp.put_restocks([wanted]) == {}
    assert back(shelf) == [("done", {"MUG": 2}, "US1/Stock")]
    assert level(shelf, "MUG") == (4, 0, 0)
    assert state(erp, wanted) == ("done", {"MUG": 2})


def test_goods_are_kept_apart_and_written_off(shelf: Shelf) -> None:
    erp, wanted = client(shelf), restock(shipped(shelf, MUG=4, PEN=2), MUG=(1, 1, 2), PEN=(0, 2, 0))
    assert erp.put_restocks([wanted]) == {}
    assert back(shelf) == [
        ("done", {"MUG": 3}, "US1/Stock"),
        ("done", {"MUG": 1, "PEN": 2}, "US1/Returns"),
    ]
    assert scraps(shelf) == [("MUG", "done", 2)]
    assert level(shelf, "MUG") == (3, 1, 0)
    assert level(shelf, "PEN") == (100, 3, 0)
    assert state(erp, wanted) == ("done", {"MUG": 4, "PEN": 2})


def test_what_is_booked_is_not_booked_again(shelf: Shelf) -> None:
    erp, wanted = client(shelf), restock(shipped(shelf, MUG=3), MUG=(1, 1, 1))
    for _ in range(3):
        assert erp.put_restocks([wanted]) == {}
    assert level(shelf, "MUG") == (4, 1, 0)
    assert len(back(shelf)) == 2


def test_two_returns_of_an_order_are_booked_apart(shelf: Shelf) -> None:
    erp, order = client(shelf), shipped(shelf, MUG=3)
    first, second = restock(order, MUG=(1, 0, 0)), restock(order, "us:1:r2", MUG=(1, 0, 0))
    assert erp.put_restocks([first, second]) == {}
    assert [one[:2] for one in back(shelf)] == [("done", {"MUG": 1}), ("done", {"MUG": 1})]
    assert state(erp, second) == ("done", {"MUG": 2})


def test_a_receipt_that_somebody_booked_counts_and_counts_once(shelf: Shelf) -> None:
    erp, order = client(shelf), shipped(shelf, MUG=4)
    shelf.erp.take_back("us:1", {"MUG": 1})
    wanted, later = restock(order, MUG=(2, 0, 0)), restock(order, "us:1:r2", MUG=(1, 0, 0))
    told = erp.restocks([wanted])["us:1:r1"]
    assert (told["is_ours"], mapper.seen_restock(told).units) == (False, {"MUG": 1})
    assert erp.put_restocks([wanted]) == {}
    assert level(shelf, "MUG") == (3, 0, 0)
    assert erp.put_restocks([wanted, later]) == {}
    assert level(shelf, "MUG") == (4, 0, 0)


def test_a_receipt_of_more_than_the_return_is_for_a_person(shelf: Shelf) -> None:
    erp, order = client(shelf), shipped(shelf, MUG=4)
    shelf.erp.take_back("us:1", {"MUG": 3})
    assert code(erp.put_restocks([restock(order, MUG=(1, 0, 0))])) == "returned_otherwise"
    assert level(shelf, "MUG") == (4, 0, 0)


def test_a_receipt_of_other_goods_does_not_count(shelf: Shelf) -> None:
    erp, order = client(shelf), shipped(shelf, MUG=2, PEN=2)
    shelf.erp.take_back("us:1", {"PEN": 2})
    assert erp.put_restocks([restock(order, MUG=(1, 0, 0))]) == {}
    assert level(shelf, "MUG")[0] == 4


def test_more_than_left_is_refused_and_nothing_moves(shelf: Shelf) -> None:
    erp, order = client(shelf), shipped(shelf, MUG=2, PEN=1)
    wanted = restock(order, PEN=(1, 0, 0), MUG=(1, 1, 1))
    assert code(erp.put_restocks([wanted])) == "over_returned"
    assert back(shelf) == []
    [refusal] = erp.put_restocks([restock(999, MUG=(1, 0, 0))]).values()
    assert isinstance(refusal, Missing)


def test_without_a_place_to_keep_goods_apart_nothing_is_booked(shelf: Shelf) -> None:
    wanted = restock(shipped(shelf, MUG=2), MUG=(1, 1, 0))
    assert code(odoo(shelf).put_restocks([wanted])) == "no_quarantine_place"
    assert back(shelf) == []


def test_goods_may_come_back_to_another_warehouse(shelf: Shelf) -> None:
    shelf.erp.add_warehouse("Acme US Inc", "US2")
    shelf.erp.set_aside("PEN", "US2", 1, "Returns")
    wanted = restock(shipped(shelf, MUG=3), warehouse="US2", MUG=(1, 1, 0))
    assert client(shelf).put_restocks([wanted]) == {}
    assert (level(shelf, "MUG", "US1"), level(shelf, "MUG", "US2")) == ((2, 0, 0), (2, 1, 0))


def test_goods_of_several_parcels_come_back_from_each(shelf: Shelf) -> None:
    order = sell(shelf, "us:1", MUG=3)
    shelf.erp.ship("us:1", {"MUG": 1})
    shelf.erp.ship("us:1")
    assert client(shelf).put_restocks([restock(order, MUG=(2, 0, 0))]) == {}
    assert [units for _, units, _ in back(shelf)] == [{"MUG": 1}, {"MUG": 1}]
    assert level(shelf, "MUG") == (4, 0, 0)


def test_a_kit_comes_back_as_its_components(shelf: Shelf) -> None:
    shelf.erp.add_kit("SET", "Set", "12", {"MUG": 1, "PEN": 3})
    erp, wanted = client(shelf), restock(shipped(shelf, SET=2), SET=(0, 0, 1))
    assert erp.put_restocks([wanted]) == {}
    assert state(erp, wanted) == ("done", {"SET": 1})
    assert scraps(shelf) == [("MUG", "done", 1), ("PEN", "done", 3)]
    assert (level(shelf, "MUG"), level(shelf, "PEN")) == ((3, 0, 0), (94, 1, 0))


def test_scrapping_more_than_the_shelf_holds_is_for_a_person(shelf: Shelf) -> None:
    order = shipped(shelf, MUG=5)
    wanted = restock(order, MUG=(0, 0, 1))

    def steal(operation: str) -> None:
        if operation == "stock.scrap.create":
            shelf.erp.after_effect = lambda operation: None
            shelf.erp.adjust("MUG", "US1", -1)

    shelf.erp.after_effect = steal
    erp = client(shelf)
    assert code(erp.put_restocks([wanted])) == "not_scrapped"
    assert state(erp, wanted)[0] == "begun"


# Broken off anywhere


def test_calls_that_arrive_twice_book_the_goods_once_and_leave_nothing_open(shelf: Shelf) -> None:
    erp, wanted = client(shelf), restock(shipped(shelf, MUG=3), MUG=(1, 0, 1))
    for model in ("return.picking", "picking", "move"):
        shelf.erp.faults.plan(Fault(Trouble.TWICE, f"stock.{model}.", times=99))
    assert erp.put_restocks([wanted]) == {}
    assert sorted(one[0] for one in back(shelf)) == ["cancel", "done"]
    assert level(shelf, "MUG") == (3, 0, 0)
    assert scraps(shelf) == [("MUG", "done", 1)]


def test_a_return_that_a_person_prepared_is_carried_out_and_no_other_is_made(shelf: Shelf) -> None:
    order = shipped(shelf, MUG=3)
    [sent] = shelf.found("stock.picking", ["sale_id", "=", order])
    at = {"active_model": "stock.picking", "active_id": sent, "active_ids": [sent]}
    wizard = shelf.call("stock.return.picking", "create", {"picking_id": sent}, context=at)
    [row] = shelf.found("stock.return.picking.line", ["wizard_id", "=", wizard])
    shelf.call("stock.return.picking.line", "write", [row], {"quantity": 2})
    shelf.call("stock.return.picking", "action_create_returns", [wizard], context=at)
    assert client(shelf).put_restocks([restock(order, MUG=(2, 0, 0))]) == {}
    assert back(shelf) == [("done", {"MUG": 2}, "US1/Stock")]


@pytest.mark.parametrize("step", ["action_create_returns", "button_validate", "scrap.create"])
def test_a_lost_answer_is_unknown_and_the_next_call_finishes(shelf: Shelf, step: str) -> None:
    erp, wanted = client(shelf), restock(shipped(shelf, MUG=3), MUG=(1, 1, 1))
    shelf.erp.faults.plan(Fault(Trouble.CUT_AFTER, step))
    with pytest.raises(UnknownOutcome):
        erp.put_restocks([wanted])
    assert erp.put_restocks([wanted]) == {}
    assert level(shelf, "MUG") == (4, 1, 0)
    assert scraps(shelf) == [("MUG", "done", 1)]


@pytest.mark.parametrize("version", [18, 19])
def test_a_restock_broken_off_anywhere_is_booked_once(version: int) -> None:
    def make() -> Shelf:
        shelf = Shelf(version)
        stock(shelf)
        shelf.erp.add_kit("SET", "Set", "12", {"MUG": 1, "PEN": 3})
        shelf.moment += timedelta(seconds=1)
        shipped(shelf, MUG=3, SET=1)
        return shelf

    def put(shelf: Shelf) -> object:
        [order] = shelf.found("sale.order", ["client_order_ref", "=", "us:1"])
        return client(shelf).put_restocks([restock(order, MUG=(1, 1, 1), SET=(0, 1, 0))])

    def check(shelf: Shelf) -> None:
        assert back(shelf) == [
            ("done", {"MUG": 2}, "US1/Stock"),
            ("done", {"MUG": 2, "PEN": 3}, "US1/Returns"),
        ]
        assert scraps(shelf) == [("MUG", "done", 1)]
        assert (level(shelf, "MUG"), level(shelf, "PEN")) == ((4, 2, 0), (100, 4, 0))

    assert killed_everywhere(make, put, check) >= 14


# Reading


def test_goods_that_came_back_are_told_with_their_order(shelf: Shelf) -> None:
    shipped(shelf, MUG=3)
    shelf.moment += timedelta(minutes=5)
    shelf.erp.take_back("us:1", {"MUG": 2})
    [page] = client(shelf).returns_changed_since(SINCE, timedelta(0))
    [told] = [mapper.goods_back(one.body) for one in page]  # type: ignore[union-attr]
    assert (told.state, told.reference, told.warehouse) == ("received", "us:1", "US1")
    assert told.received_at == datetime(2026, 11, 20, 12, 5, tzinfo=UTC)
    assert [(one.sku, one.requested_units, one.received_units) for one in told.lines] == [
        ("MUG", 2, 2)
    ]
    assert list(client(shelf).returns_changed_since(shelf.moment, timedelta(minutes=-1))) == []


def test_a_receipt_of_ours_is_told_under_our_key(shelf: Shelf) -> None:
    erp = client(shelf)
    erp.put_restocks([restock(shipped(shelf, MUG=3), MUG=(1, 1, 0))])
    [page] = erp.returns_changed_since(SINCE, timedelta(0))
    assert [one.body["ours"] for one in page] == ["us:1:r1", "us:1:r1"]  # type: ignore[union-attr]
    assert {mapper.goods_back(one.body).reference for one in page} == {"us:1:r1"}  # type: ignore[union-attr]
