"""What the Odoo stand-in does with orders beyond the recordings: `load`, taxes, stock, and that
what it refuses has not happened. Recordings are replayed in `test_odoo_standin_recordings.py`.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odoo_shelf import Shelf

HEAD = ["id", "partner_id/.id", "client_order_ref"]
LINE = ["order_line/product_id/.id", "order_line/product_uom_qty", "order_line/price_unit"]


@pytest.fixture(params=[18, 19])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.param)


def test_rows_without_a_head_continue_the_order_above(shelf: Shelf) -> None:
    loaded = shelf.load(
        HEAD + LINE,
        ["sync.so_1", str(shelf.ada), "us:1", str(shelf.mug), "2", "9.99"],
        ["", "", "", str(shelf.pen), "3", "1.5"],
        ["sync.so_2", str(shelf.ada), "us:2", str(shelf.pen), "1", "1.5"],
    )

    assert loaded == {"ids": [1, 2], "messages": [], "nextrow": 0}
    assert [line["sku"] for line in shelf.one("us:1")["lines"]] == ["MUG", "PEN"]
    assert shelf.one("us:1")["amount_total"] == Decimal("24.48")
    assert shelf.one("us:2")["amount_total"] == Decimal("1.50")


def test_lines_loaded_again_are_appended_unless_they_have_an_external_id(shelf: Shelf) -> None:
    bare = ["sync.so_1", str(shelf.ada), "us:1", str(shelf.mug), "1", "9.99"]
    named = ["sync.so_2", str(shelf.ada), "us:2", str(shelf.mug), "1", "9.99", "sync.sol_2"]
    for _ in range(2):
        shelf.load(HEAD + LINE, bare)
        shelf.load([*HEAD, *LINE, "order_line/id"], named)

    assert shelf.erp.order_count() == 2
    assert len(shelf.one("us:1")["lines"]) == 2
    assert len(shelf.one("us:2")["lines"]) == 1


def test_lines_loaded_on_their_own_are_written_once(shelf: Shelf) -> None:
    order = shelf.order("us:1")
    columns = ["id", "order_id/.id", "product_id/.id", "product_uom_qty", "price_unit"]
    row = ["sync.sol_1", str(order), str(shelf.mug), "2", "4.25"]
    first = shelf.call("sale.order.line", "load", columns, [row])
    again = shelf.call("sale.order.line", "load", columns, [row])

    assert first == again
    assert shelf.one("us:1")["amount_total"] == Decimal("8.50")


def test_one_bad_cell_leaves_nothing_of_the_batch(shelf: Shelf) -> None:
    loaded = shelf.load(
        HEAD + LINE,
        ["sync.so_1", str(shelf.ada), "us:1", str(shelf.mug), "1", "9.99"],
        ["sync.so_2", str(shelf.ada), "us:2", str(shelf.mug), "1", "abc"],
    )

    assert loaded["ids"] is False
    assert loaded["messages"] == [
        {
            "rows": {"from": 1, "to": 1},
            "record": 1,
            "type": "error",
            "field": "order_line",
            "message": "'abc' does not seem to be a number for field 'Order Lines/Unit Price'",
            "field_name": "Order Lines",
        }
    ]
    assert shelf.erp.order_count() == 0
    again = shelf.load(HEAD, ["sync.so_1", str(shelf.ada), "us:1"])
    assert again["ids"] == [3]  # numbers are used up, and the external id was not taken


def test_an_unknown_reference_is_told_with_its_field(shelf: Shelf) -> None:
    loaded = shelf.load(HEAD + LINE, ["sync.so_1", "999", "us:1", str(shelf.mug), "1", "1"])

    first, second = loaded["messages"]
    assert first["field"] == "partner_id"
    assert first["message"] == (
        "No matching record found for database id '999' in field 'Customer'"
    )
    assert second["message"] == "Missing required value for the field 'Customer' (partner_id)"
    assert shelf.erp.order_count() == 0


def test_a_refused_record_takes_the_batch_with_it_and_the_first_one_is_blamed_too(
    shelf: Shelf,
) -> None:
    shelf.erp.refuse("Credit limit", when=lambda order: order["client_order_ref"] == "us:2")
    rows = [[f"sync.so_{n}", str(shelf.ada), f"us:{n}"] for n in (1, 2, 3)]
    loaded = shelf.load(HEAD, *rows)

    assert loaded["ids"] is False
    blamed = [(message["record"], message["message"]) for message in loaded["messages"]]
    assert blamed == [(0, "Credit limit"), (1, "Credit limit")]
    assert shelf.erp.order_count() == 0
    shelf.erp.accept()
    assert len(shelf.load(HEAD, *rows)["ids"]) == 3


def test_after_ten_errors_the_rest_is_not_looked_at(shelf: Shelf) -> None:
    shelf.erp.refuse("no")
    rows = [[f"sync.so_{n}", str(shelf.ada), f"us:{n}"] for n in range(15)]
    messages = shelf.load(HEAD, *rows)["messages"]

    assert [message["type"] for message in messages] == ["error"] * 10 + ["warning"]


def test_a_lost_race_writes_nothing(shelf: Shelf) -> None:
    row = ["sync.so_1", str(shelf.ada), "us:1"]
    shelf.erp.serialize_races(1)

    assert shelf.load(HEAD, row)["ids"] is False
    assert shelf.erp.order_count() == 0
    assert shelf.load(HEAD, row)["ids"] == [1]


def test_an_empty_tax_cell_means_no_tax_and_an_absent_one_the_products(shelf: Shelf) -> None:
    tax = shelf.erp.add_tax("Acme US Inc", "Sales 8%", 8)
    cap = shelf.erp.add_product("CAP", "Cap", 10, taxes=[tax])
    columns = [*HEAD, "order_line/product_id/.id"]
    shelf.load(columns, ["sync.so_1", str(shelf.ada), "us:1", str(cap)])
    empty = ["sync.so_2", str(shelf.ada), "us:2", str(cap), ""]
    shelf.load([*columns, f"order_line/{shelf.taxes}/.id"], empty)

    assert shelf.one("us:1")["amount_tax"] == Decimal("0.80")
    assert shelf.one("us:2")["amount_tax"] == Decimal(0)


def test_a_loaded_time_is_read_in_the_callers_time_zone(shelf: Shelf) -> None:
    row = ["sync.so_1", str(shelf.ada), "us:1", "2026-11-20 12:00:00"]
    shelf.load([*HEAD, "date_order"], row, tz="America/New_York")

    assert shelf.one("us:1")["date_order"] == datetime(2026, 11, 20, 17, tzinfo=UTC)


TAXED = [
    # net price, quantity, (percent, included, compound), untaxed, tax
    ("10.00", 3, [(7, False, False)], "30.00", "2.10"),
    ("0.05", 1, [(10, False, False)], "0.05", "0.01"),
    ("-0.05", 1, [(10, False, False)], "-0.05", "-0.01"),
    ("119.00", 1, [(19, True, False)], "100.00", "19.00"),
    ("10.00", 1, [("6.25", False, False), ("2.5", False, False)], "10.00", "0.88"),
    ("100.00", 1, [(5, False, True), (10, False, False)], "100.00", "15.50"),
    ("115.50", 1, [(5, True, True), (10, True, False)], "100.00", "15.50"),
    ("115.00", 1, [(5, True, False), (10, True, False)], "100.00", "15.00"),
]


@pytest.mark.parametrize(("price", "quantity", "taxes", "untaxed", "tax"), TAXED)
def test_taxes_are_rounded_per_line_and_tax(
    price: str, quantity: int, taxes: list[tuple[Any, bool, bool]], untaxed: str, tax: str
) -> None:
    shelf = Shelf()
    ids = [shelf.erp.add_tax("Acme US Inc", f"T{i}", *how) for i, how in enumerate(taxes)]
    line = {"product_id": shelf.mug, "product_uom_qty": quantity, "price_unit": float(price)}
    shelf.order("us:1", {**line, "tax_id": [[6, 0, ids]]})

    order = shelf.one("us:1")
    assert (order["amount_untaxed"], order["amount_tax"]) == (Decimal(untaxed), Decimal(tax))


@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(
        st.tuples(st.integers(-5_000, 500_000), st.integers(0, 40), st.integers(0, 30)),
        min_size=1,
        max_size=6,
    ),
    included=st.booleans(),
)
def test_an_order_is_the_sum_of_its_lines_to_the_cent(
    lines: list[tuple[int, int, int]], included: bool
) -> None:
    shelf = Shelf(19)
    given_lines = []
    for number, (cents, quantity, percent) in enumerate(lines):
        tax = shelf.erp.add_tax("Acme US Inc", f"T{number}", percent, price_include=included)
        price = str(Decimal(cents) / 100)
        line = {"product_id": shelf.mug, "product_uom_qty": quantity, "price_unit": price}
        given_lines.append({**line, "tax_ids": [[6, 0, [tax]]]})
    shelf.order("us:1", *given_lines)

    order = shelf.one("us:1")
    assert order["amount_untaxed"] == sum(line["subtotal"] for line in order["lines"])
    assert order["amount_total"] == sum(line["total"] for line in order["lines"])
    assert order["amount_total"] == order["amount_total"].quantize(Decimal("0.01"))
    if included:
        paid = sum(Decimal(cents) / 100 * quantity for cents, quantity, _ in lines)
        assert order["amount_total"] == paid


def test_the_currency_is_the_price_lists_or_else_the_companys(shelf: Shelf) -> None:
    euros = shelf.erp.add_price_list("Euro", "EUR")
    shelf.order("us:1", {"product_id": shelf.mug})
    shelf.order("us:2", {"product_id": shelf.mug}, pricelist_id=euros)
    shelf.call("sale.order", "action_confirm", [1, 2])

    assert shelf.erp.totals_by_currency() == {"USD": Decimal("9.99"), "EUR": Decimal("9.99")}


def test_things_of_another_company_are_refused(shelf: Shelf) -> None:
    tax = shelf.erp.add_tax("Acme UK Ltd", "VAT 20%", 20)
    line = {"product_id": shelf.mug, shelf.taxes: [[6, 0, [tax]]]}
    values = {"partner_id": shelf.ada, "order_line": [[0, 0, line]]}
    name, message = shelf.refusal("sale.order", "create", values)

    assert name == "UserError"
    assert "“Taxes” (" + shelf.taxes + ": VAT 20%) belongs to another company" in message
    assert shelf.erp.order_count() == 0


def test_confirming_takes_all_orders_or_none(shelf: Shelf) -> None:
    shelf.order("us:1", {"product_id": shelf.mug})
    shelf.order("us:2", {"product_id": shelf.mug})
    shelf.erp.refuse("On hold", when=lambda o: o["client_order_ref"] == "us:2", step="confirm")

    refusal = shelf.refusal("sale.order", "action_confirm", [1, 2])
    assert refusal == ("UserError", "On hold")
    assert shelf.one("us:1")["state"] == shelf.one("us:2")["state"] == "draft"
    assert shelf.found("stock.picking") == []
    [mug] = shelf.call("product.product", "read", [shelf.mug], ["free_qty"])
    assert mug["free_qty"] == 8.0


def test_an_oversold_order_is_confirmed_and_only_its_moves_show_it(shelf: Shelf) -> None:
    for ref in ("us:1", "us:2"):
        shelf.order(ref, {"product_id": shelf.mug, "product_uom_qty": 4})
    assert shelf.call("sale.order", "action_confirm", [1, 2]) is True

    fields = ["quantity", "product_uom_qty", "state", "sale_line_id"]
    [short] = shelf.call(
        "stock.move", "search_read", [["sale_line_id.order_id", "in", [2]]], fields
    )
    assert (short["quantity"], short["state"]) == (1.0, "partially_available")
    [mug] = shelf.call(
        "product.product",
        "read",
        [shelf.mug],
        ["qty_available", "free_qty", "virtual_available"],
        context={"warehouse_id": 1},
    )
    assert (mug["qty_available"], mug["free_qty"], mug["virtual_available"]) == (5.0, 0.0, -3.0)


def test_cancelling_frees_the_stock(shelf: Shelf) -> None:
    order = shelf.order("us:1", {"product_id": shelf.mug, "product_uom_qty": 4})
    shelf.call("sale.order", "action_confirm", [order])
    assert shelf.call("product.product", "read", [shelf.mug], ["free_qty"])[0]["free_qty"] == 4.0
    shelf.call("sale.order", "action_cancel", [order], context={"disable_cancel_warning": True})

    assert shelf.one("us:1")["state"] == "cancel"
    assert shelf.call("product.product", "read", [shelf.mug], ["free_qty"])[0]["free_qty"] == 8.0
    assert shelf.found("stock.move", ["state", "!=", "cancel"]) == []


def test_eighteen_asks_before_it_cancels_and_nineteen_does_not() -> None:
    for version, state in ((18, "sale"), (19, "cancel")):
        shelf = Shelf(version)
        order = shelf.order("us:1", {"product_id": shelf.mug})
        shelf.call("sale.order", "action_confirm", [order])
        shelf.answer("sale.order", "action_cancel", [order])
        assert shelf.one("us:1")["state"] == state


def test_a_confirmed_order_and_its_lines_stay(shelf: Shelf) -> None:
    order = shelf.order("us:1", {"product_id": shelf.mug})
    shelf.call("sale.order", "action_confirm", [order])
    [line] = shelf.found("sale.order.line")

    assert shelf.refusal("sale.order", "unlink", [order])[0] == "UserError"
    assert shelf.refusal("sale.order.line", "unlink", [line])[0] == "UserError"
    assert len(shelf.one("us:1")["lines"]) == 1
