"""The Odoo client against lost, broken and partial answers, and what it sends."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from odoo_tape import (
    ADA,
    DEPOT,
    REFS,
    Answer,
    Call,
    Tape,
    document,
    failed,
    item,
    odoo,
    order,
    said,
    states,
)

import sync_assets.mappers.odoo as mapper
from resources.errors import (
    ContractBroken,
    Refused,
    SignInAgain,
    TryAgain,
    UnknownOutcome,
)
from resources.systems.odoo_rpc import Row
from resources.systems.roles import Erp

RACE = "could not serialize access due to concurrent update\n"
LOST = {"ids": False, "messages": [{"record": 0, "type": "error", "message": RACE}]}
NOT_CONFIRMABLE = failed("odoo.exceptions.UserError", "Some orders are not in a state …")


def test_the_client_fills_the_role_of_an_erp() -> None:
    erp: Erp = odoo(Tape())
    assert erp.system == "books"


def test_every_call_fixes_language_clock_and_companies() -> None:
    tape = Tape().play("product.product", "search_read", said([]))
    list(odoo(tape).items())
    assert tape.calls[-1].options["context"] == {
        "lang": "en_US",
        "tz": "UTC",
        "allowed_company_ids": [1, 2],
        "active_test": False,
    }


# What happened to a call


@pytest.mark.parametrize("lost", [502, 504, 500])
def test_a_write_whose_answer_was_lost_is_unknown_and_not_repeated(lost: int) -> None:
    tape = Tape().play("sale.order", "action_confirm", httpx.Response(lost, text="<html>"))
    with pytest.raises(UnknownOutcome):
        odoo(tape).confirm([30])
    assert len(tape.of("sale.order", "action_confirm")) == 1


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("late"), httpx.Response(200, text="<html>")])
def test_a_write_with_an_unreadable_answer_is_unknown(answer: Answer) -> None:
    tape = Tape().play("sale.order", "action_confirm", answer)
    with pytest.raises(UnknownOutcome):
        odoo(tape).confirm([30])


@pytest.mark.parametrize("fault", [500, 502, 503])
def test_a_read_is_repeated_after_a_fault(fault: int) -> None:
    tape = Tape().play("sale.order", "search_read", httpx.Response(fault), said([]))
    assert odoo(tape).orders(["us:1"]) == {}
    assert [call.safe for call in tape.of("sale.order", "search_read")] == [True, True]


def test_a_read_that_is_no_list_breaks_the_contract() -> None:
    tape = Tape().play("sale.order", "search_read", said({"records": []}))
    with pytest.raises(ContractBroken, match="no list of records"):
        odoo(tape).orders(["us:1"])


@pytest.mark.parametrize(
    "name",
    [
        "psycopg2.errors.SerializationFailure",
        "psycopg2.errors.DeadlockDetected",
        "odoo.sql_db.PoolError",
    ],
)
def test_a_conflict_inside_the_server_had_no_effect(name: str) -> None:
    tape = Tape().play("sale.order", "action_confirm", failed(name, "conflict"))
    with pytest.raises(TryAgain):
        odoo(tape).confirm([30])


def test_a_server_that_lost_its_database_during_a_write_leaves_the_outcome_unknown() -> None:
    gone = failed("psycopg2.OperationalError", "server closed the connection unexpectedly")
    with pytest.raises(UnknownOutcome):
        odoo(Tape().play("sale.order", "action_confirm", gone)).confirm([30])
    with pytest.raises(TryAgain):
        odoo(Tape().play("common", "authenticate", gone)).ping()


def test_a_revoked_key_signs_in_again_with_the_next_call() -> None:
    denied = failed("odoo.exceptions.AccessDenied", "Access Denied")
    tape = Tape().play("sale.order", "search_read", denied, said([]))
    erp = odoo(tape)
    with pytest.raises(SignInAgain):
        erp.orders(["us:1"])
    assert erp.orders(["us:1"]) == {}
    assert len(tape.of("common", "authenticate")) == 2


# load()


def test_a_race_lost_three_times_had_no_effect_and_is_for_later() -> None:
    tape = Tape().play("res.partner", "load", *[said(LOST)] * 3)
    answers = odoo(tape).session.load("res.partner", [Row("a", {"id": "sync.a", "name": "A"})])
    assert isinstance(answers["a"], TryAgain)
    assert len(tape.rows("res.partner")) == 3


def bad_rows(*accused: tuple[int, str]) -> dict[str, Any]:
    errors = [{"type": "error", "record": row, "message": text} for row, text in accused]
    return said({"ids": False, "messages": errors})


def people(*keys: str) -> list[Row]:
    return [Row(key, {"id": f"sync.{key}", "name": key}) for key in keys]


def test_a_bad_row_is_refused_and_its_neighbours_are_loaded_without_it() -> None:
    tape = Tape().play(
        "res.partner", "load", bad_rows((1, "Contacts require a name")), said({"ids": [7, 9]})
    )
    answers = odoo(tape).session.load("res.partner", people("a", "b", "c"))
    assert (answers["a"], answers["c"]) == ([7], [9])
    assert str(answers["b"]) == "books: Contacts require a name"
    assert tape.rows("res.partner")[1] == [["sync.a", "a"], ["sync.c", "c"]]


def test_the_first_row_is_not_blamed_for_what_the_whole_batch_was_told() -> None:
    tape = Tape().play(
        "res.partner", "load", bad_rows((0, "batch failed"), (2, "no name")), said({"ids": [7, 8]})
    )
    answers = odoo(tape).session.load("res.partner", people("a", "b", "c"))
    assert (answers["a"], answers["b"]) == ([7], [8])
    assert isinstance(answers["c"], Refused)


def test_rows_that_are_all_bad_end_refused_one_round_after_the_other() -> None:
    tape = Tape().play("res.partner", "load", bad_rows((0, "x"), (1, "y")), bad_rows((0, "x")))
    answers = odoo(tape).session.load("res.partner", people("a", "b"))
    assert {key: str(error) for key, error in answers.items()} == {"a": "books: x", "b": "books: y"}


def test_a_refusal_that_names_no_row_is_everybodys() -> None:
    said_all = said({"ids": False, "messages": [{"type": "error", "message": "no such column"}]})
    answers = odoo(Tape().play("res.partner", "load", said_all)).session.load(
        "res.partner", people("a", "b")
    )
    assert [str(one) for one in answers.values()] == ["books: no such column"] * 2


# Reading


def test_references_are_ids_by_name_and_ambiguous_names_need_their_company() -> None:
    acme, other = [1, "Acme"], [2, "Other"]
    usd, eur = [1, "USD"], [2, "EUR"]
    tape = Tape()
    tape.play(
        "res.company",
        "search_read",
        said([{"id": 1}, {"id": 2}]),
        said(
            [
                {"id": 1, "name": "Acme", "currency_id": usd},
                {"id": 2, "name": "Other", "currency_id": eur},
            ]
        ),
    )
    tape.play("stock.warehouse", "search_read", said([{"id": 7, "code": "WH", "company_id": acme}]))
    tape.play(
        "account.tax",
        "search_read",
        said(
            [
                {"id": 31, "name": "15%", "company_id": acme, "price_include": False},
                {"id": 32, "name": "15%", "company_id": other, "price_include": True},
                {"id": 33, "name": "Eco", "company_id": other, "price_include": False},
            ]
        ),
    )
    tape.play(
        "product.pricelist",
        "search_read",
        said([{"id": 5, "name": "Web", "company_id": False, "currency_id": eur}]),
    )
    tape.play("res.currency", "search_read", said([{"id": 1, "name": "USD"}]))
    tape.play("res.country", "search_read", said([{"id": 233, "code": "US"}]))
    tape.play(
        "res.country.state",
        "search_read",
        said([{"id": 24, "code": "IL", "country_id": [233, "United States"]}]),
    )
    journals = [{"id": 3, "code": "MISC", "company_id": acme}]
    journals.append({"id": 9, "code": "MISC", "company_id": other})
    tape.play("account.journal", "search_read", said(journals))
    # The same account has a code of its own in each company, and in some none.
    shared = [{"id": 45, "code": "101401"}, {"id": 46, "code": False}]
    tape.play("account.account", "search_read", said(shared), said([{"id": 45, "code": "1200"}]))
    assert odoo(tape).references() == {
        "company": {"Acme": 1, "Other": 2},
        "company_currency": {"Acme": 1, "Other": 2},
        "warehouse": {"WH": 7, "Acme/WH": 7},
        "tax": {"Acme/15%": 31, "Other/15%": 32, "Eco": 33, "Other/Eco": 33},
        "gross_tax": {"15%": 32, "Other/15%": 32},
        "price_list": {"Web": 5},
        "price_list_currency": {"Web": 2},
        "currency": {"USD": 1},
        "country": {"US": 233},
        "state": {"US/IL": 24},
        "journal": {"Acme/MISC": 3, "Other/MISC": 9},
        "account": {"Acme/101401": 45, "Other/1200": 45},
    }
    asked = tape.of("account.account", "search_read")
    assert [call.options["context"]["allowed_company_ids"] for call in asked] == [[1], [2]]


def test_items_are_paged_by_id_with_archived_ones() -> None:
    page = [item(id_) for id_ in range(11, 511)]
    tape = Tape().play("product.product", "search_read", said(page), said([item(600)]))
    pages = list(odoo(tape).items(after_id=10))
    assert [len(one) for one in pages] == [500, 1]
    asked = tape.of("product.product", "search_read")
    assert [call.args[0] for call in asked] == [[["id", ">", 10]], [["id", ">", 510]]]
    assert {call.options["order"] for call in asked} == {"id"}
    assert {call.options["context"]["active_test"] for call in asked} == {False}


def test_changed_items_come_once_each_oldest_change_first_from_one_snapshot_of_ids() -> None:
    ids = [{"id": 9, "write_date": "a"}, {"id": 3, "write_date": "b"}, {"id": 5, "write_date": "b"}]
    tape = Tape().play("product.product", "search_read", said(ids), said([item(3), item(9)]))
    since = datetime(2026, 11, 20, 18, 36, 20, tzinfo=UTC)
    pages = list(odoo(tape).items_changed_since(since, timedelta(minutes=3)))
    assert [[row["id"] for row in page] for page in pages] == [[9, 3]]  # 5 was deleted meanwhile
    snapshot, content = tape.of("product.product", "search_read")
    assert snapshot.args[0] == [["write_date", ">=", "2026-11-20 18:33:20"]]
    assert snapshot.options["order"] == "write_date, id"
    assert "limit" not in snapshot.options
    assert content.args[0] == [["id", "in", [9, 3, 5]]]


def test_two_live_orders_under_one_key_are_both_shown_and_a_cancelled_one_is_not() -> None:
    rows = [
        {"id": 4, "client_order_ref": "us:1", "state": "cancel"},
        {"id": 5, "client_order_ref": "us:1", "state": "draft"},
        {"id": 6, "client_order_ref": "us:1", "state": "sale"},
        {"id": 7, "client_order_ref": "us:2", "state": "cancel"},
        {"id": 8, "client_order_ref": "us:2", "state": "sale"},
        {"id": 9, "client_order_ref": "us:3", "state": "cancel"},
    ]
    tape = Tape().play("sale.order", "search_read", said(rows))
    assert odoo(tape).orders(["us:1", "us:2", "us:3"]) == {
        "us:1": {**rows[1], "twins": [rows[2]]},
        "us:2": rows[4],
        "us:3": rows[5],
    }


def test_keys_are_looked_up_in_batches_of_two_hundred() -> None:
    tape = Tape().play("sale.order", "search_read", *[said([])] * 3)
    assert odoo(tape).orders([f"us:{n}" for n in range(401)]) == {}
    asked = [call.args[0][0][2] for call in tape.of("sale.order", "search_read")]
    assert [len(keys) for keys in asked] == [200, 200, 1]


# Writing orders


def test_addresses_are_put_after_their_customer_and_name_it() -> None:
    tape = Tape().play("res.partner", "load", said({"ids": [52]}), said({"ids": [54]}))
    answers = odoo(tape).put_parties(list(reversed(mapper.parties(document(1), REFS))))
    assert answers == {ADA.key: 52, DEPOT.key: 54}
    customer, address = tape.of("res.partner", "load")
    assert customer.args[1][0][0] == "sync.party_us_3acustomer_3a5"
    parent = address.args[0].index("parent_id/.id")
    assert (customer.args[1][0][parent], address.args[1][0][parent]) == ("", "52")


def test_an_address_whose_customer_was_refused_is_refused_unsent() -> None:
    tape = Tape().play("res.partner", "load", bad_rows((0, "no name")))
    answers = odoo(tape).put_parties(mapper.parties(document(1), REFS))
    assert {key: str(error) for key, error in answers.items()} == {
        ADA.key: "books: no name",
        DEPOT.key: "books: no name",
    }
    assert len(tape.calls) == 3  # sign in, companies, one load


@pytest.mark.parametrize(
    ("fields", "column"),
    [(["tax_id", "product_uom"], "tax_id/.id"), (["tax_ids", "product_uom_id"], "tax_ids/.id")],
)
def test_orders_are_loaded_heads_first_then_lines_with_their_own_ids(
    fields: list[str], column: str
) -> None:
    tape = Tape(line_fields=fields)
    tape.play("sale.order", "search_read", said([]), states(_30="draft", _31="draft"))
    tape.play("sale.order", "load", said({"ids": [30, 31]}))
    tape.play("sale.order.line", "load", said({"ids": [60, 61, 62, 63]}))
    assert odoo(tape).put_orders([order(1), order(2)]) == {"us:1": 30, "us:2": 31}
    (heads,), (lines,) = tape.of("sale.order", "load"), tape.of("sale.order.line", "load")
    assert [row[0] for row in heads.args[1]] == ["sync.so_us_3a1", "sync.so_us_3a2"]
    assert not [name for name in heads.args[0] if name.startswith("order_line")]
    rows = [dict(zip(lines.args[0], row, strict=True)) for row in lines.args[1]]
    assert rows[1] == {
        "id": "sync.sol_us_3a1_3aproduct_3a1_2",
        "order_id/.id": "30",
        "product_id/.id": "105",
        "name": "Widget",
        "product_uom_qty": "1",
        "price_unit": "3.34",
        column: "31",
        "sequence": "10",
    }
    assert [row["order_id/.id"] for row in rows] == ["30", "30", "31", "31"]
    assert len(tape.of("sale.order.line", "fields_get")) == 1


def test_an_order_with_a_refused_line_gets_no_line_at_all_and_its_neighbours_do() -> None:
    tape = Tape()
    tape.play("sale.order", "search_read", said([]), states(_30="draft", _31="draft"))
    tape.play("sale.order", "load", said({"ids": [30, 31]}))
    tape.play("sale.order.line", "load", bad_rows((1, "No product")), said({"ids": [62, 63]}))
    answers = odoo(tape).put_orders([order(1), order(2)])
    assert (str(answers["us:1"]), answers["us:2"]) == ("books: No product", 31)
    orders = [tape.of("sale.order.line", "load")[1].args[0].index("order_id/.id")]
    assert [row[orders[0]] for row in tape.rows("sale.order.line")[1]] == ["31", "31"]


def test_an_order_that_left_the_draft_is_answered_and_not_touched() -> None:
    there = {"id": 30, "client_order_ref": "us:1", "state": "sale"}
    tape = Tape().play("sale.order", "search_read", said([there]), states(_30="sale"))
    assert odoo(tape).put_orders([order(1)]) == {"us:1": 30}
    assert not [call for call in tape.calls if not call.safe]


def test_a_draft_found_by_its_key_is_loaded_again_under_the_same_id() -> None:
    there = {"id": 30, "client_order_ref": "us:1", "state": "draft"}
    tape = Tape().play("sale.order", "search_read", said([there]), states(_30="draft"))
    tape.play("sale.order", "load", said({"ids": [30]}))
    tape.play("sale.order.line", "load", said({"ids": [60, 61]}))
    assert odoo(tape).put_orders([order(1)]) == {"us:1": 30}


@pytest.mark.parametrize(
    ("there", "loads"),
    [([(30, "draft"), (31, "sale")], 0), ([(30, "draft")], 1)],
    ids=["two alive", "one that is not ours"],
)
def test_a_key_that_two_orders_carry_is_refused_and_neither_is_filled(
    there: list[tuple[int, str]], loads: int
) -> None:
    rows = [{"id": id_, "client_order_ref": "us:1", "state": word} for id_, word in there]
    tape = Tape().play("sale.order", "search_read", said(rows))
    tape.play("sale.order", "load", said({"ids": [99]}))
    answers = odoo(tape).put_orders([order(1)])
    assert isinstance(answers["us:1"], Refused)
    assert answers["us:1"].code == "doubled"
    assert len(tape.of("sale.order", "load")) == loads
    assert not tape.of("sale.order.line", "load")


def test_many_orders_go_in_loads_of_a_hundred_heads_and_whole_orders_of_lines() -> None:
    tape = Tape()
    for first, count in ((1, 100), (101, 30)):
        drafts = {f"_{id_}": "draft" for id_ in range(first, first + count)}
        tape.play("sale.order", "search_read", said([]), states(**drafts))
        tape.play("sale.order", "load", said({"ids": list(range(first, first + count))}))
        tape.play("sale.order.line", "load", said({"ids": list(range(2 * count))}))
    answers = odoo(tape).put_orders([order(n) for n in range(130)])
    assert answers == {f"us:{n}": n + 1 for n in range(130)}


def test_a_rounding_line_is_loaded_under_its_own_id() -> None:
    tape = Tape().play("sale.order.line", "load", said({"ids": [70]}), bad_rows((0, "locked")))
    erp, line = odoo(tape), mapper.rounding_line(document(1), Decimal("0.01"), 900)
    erp.add_line(30, line)
    with pytest.raises(Refused, match="locked"):
        erp.add_line(30, line)
    first, second = tape.rows("sale.order.line")
    assert first == second
    assert first[0][0] == "sync.sol_us_3a1_3arounding"


class Books(Tape):
    """A few orders of which some cannot be confirmed."""

    def __init__(self, words: dict[int, str], broken: set[int]) -> None:
        super().__init__()
        self.words, self.broken = words, broken

    def _answer(self, call: Call) -> Answer:
        if call.method == "search_read" and call.model == "sale.order":
            ids = call.args[0][0][2]
            return said([{"id": i, "state": self.words[i]} for i in ids if i in self.words])
        if call.method == "action_confirm":
            if any(self.words.get(i) != "draft" or i in self.broken for i in call.args[0]):
                return NOT_CONFIRMABLE
            self.words |= dict.fromkeys(call.args[0], "sale")
            return said(True)
        return super()._answer(call)


def test_one_order_that_cannot_be_confirmed_does_not_stop_its_neighbours() -> None:
    words = dict.fromkeys(range(1, 41), "draft") | {7: "sale", 8: "cancel"}
    books = Books(words, broken={20})
    answers = odoo(books).confirm([*range(1, 41), 99])
    assert sorted(answers) == [8, 20, 99]
    assert all(isinstance(error, Refused) for error in answers.values())
    assert [id_ for id_, word in books.words.items() if word != "sale"] == [8, 20]


def test_orders_beyond_the_stock_are_found_by_their_moves() -> None:
    moves = [
        {"sale_line_id": [1, "x"], "product_uom_qty": 2.0, "quantity": 2.0, "state": "assigned"},
        {"sale_line_id": [2, "x"], "product_uom_qty": 5.0, "quantity": 1.0, "state": "assigned"},
        {"sale_line_id": [3, "x"], "product_uom_qty": 5.0, "quantity": 0.0, "state": "confirmed"},
        {"sale_line_id": [4, "x"], "product_uom_qty": 5.0, "quantity": 0.0, "state": "cancel"},
        {"sale_line_id": [5, "x"], "product_uom_qty": 5.0, "quantity": 4.0, "state": "done"},
    ]
    tape = Tape().play("stock.move", "search_read", said(moves))
    lines = [{"id": 2, "order_id": [30, "S"]}, {"id": 3, "order_id": [31, "S"]}]
    tape.play("sale.order.line", "search_read", said(lines))
    assert odoo(tape).unconfirmed_stock([29, 30, 31]) == {30, 31}
    assert tape.calls[-1].args[0] == [["id", "in", [2, 3]]]
