"""Credit memos in Odoo: one per refund, exact to the cent, posted and taken back once, wherever
the call breaks off. Against the stand-in.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from odoo_kills import killed_everywhere
from odoo_shelf import Shelf
from test_odoo_catalog_client import odoo
from test_odoo_deliveries import sell

from resources.errors import Missing, Refused, UnknownOutcome
from resources.sandbox.faults import Fault, Trouble
from resources.systems.odoo import Odoo
from resources.systems.roles import Erp
from sync_assets.domain.returns import CreditMemo, MemoLine, SeenMemo
from sync_assets.mappers import odoo_memos as mapper

D = Decimal
KEY = "us:881"


@pytest.fixture(params=[18, 19])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    shelf = Shelf(request.param)
    shelf.erp.add_tax("Acme US Inc", "VAT 20%", 20)
    return shelf


def line(shelf: Shelf, net: str, tax: str = "0", units: str = "1", **more: Any) -> MemoLine:
    values = {"key": "us:1:product:1", "kind": "product", "item": "MUG", "description": "Mug"}
    amounts = {"units": D(units), "net_amount": D(net), "tax_amount": D(tax)}
    return MemoLine(**{**values, "item_id": shelf.mug, **amounts, **more})


def document(order: int, *lines: MemoLine, **more: Any) -> CreditMemo:
    values = {
        "key": KEY,
        "order_ref": "us:1",
        "order_id": order,
        "party": "us:customer:5",
        "store": "us",
        "company": "Acme US Inc",
        "currency": "USD",
        "issued_on": date(2026, 11, 18),
        "reason": "does <not> fit",
        "lines": lines,
        "total_amount": sum((one.net_amount + one.tax_amount for one in lines), D(0)),
    }
    return CreditMemo(**values | more)


def taxed(shelf: Shelf, order: int, **more: Any) -> CreditMemo:
    return document(order, line(shelf, "19.98", "4.00", "2", taxes=("VAT 20%",)), **more)


def put(erp: Odoo, *documents: CreditMemo) -> dict[str, Any]:
    references = erp.references()
    return erp.put_credit_memos([mapper.credit_memo(one, references) for one in documents])


def memo(erp: Odoo, key: str = KEY) -> SeenMemo:
    return mapper.seen_memo(erp.credit_memos([key])[key])


def kept(shelf: Shelf, key: str = KEY) -> list[dict[str, Any]]:
    return shelf.erp.invoices_by_ref().get(key, [])


def test_the_client_fills_the_role_of_an_erp(shelf: Shelf) -> None:
    erp: Erp = odoo(shelf)
    assert erp.credit_memos([KEY]) == {}


# Creating


def test_a_credit_memo_is_a_draft_with_the_orders_customer_and_exact_lines(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    [id_] = put(erp, taxed(shelf, order)).values()
    [draft] = kept(shelf)
    assert draft | {"lines": []} == {
        "id": id_,
        "name": None,
        "type": "out_refund",
        "state": "draft",
        "ref": KEY,
        "company": "Acme US Inc",
        "currency": "USD",
        "partner": "Ada",
        "origin": shelf.one("us:1")["name"],
        "reverses": None,
        "date": date(2026, 11, 18),
        "amount_untaxed": D("19.98"),
        "amount_tax": D("4.00"),
        "amount_total": D("23.98"),
        "lines": [],
    }
    assert draft["lines"] == [
        {
            "sku": "MUG",
            "name": "Mug",
            "quantity": D(2),
            "price_unit": D("9.99"),
            "taxes": ["VAT 20%"],
            "total": D("23.98"),
        }
    ]
    seen = memo(erp)
    assert (seen.state, seen.remote_id, seen.number, seen.booked_on) == ("draft", id_, None, None)
    assert (seen.total_amount, seen.tax_amount, seen.lines) == (D("23.98"), D("4.00"), 1)


def test_a_line_that_no_single_price_ties_is_split(shelf: Shelf) -> None:
    order = sell(shelf, "us:1", MUG=3)
    put(odoo(shelf), document(order, line(shelf, "10.00", units="3")))
    [draft] = kept(shelf)
    assert draft["amount_total"] == D("10.00")
    assert [(one["quantity"], one["price_unit"]) for one in draft["lines"]] == [
        (D(2), D("3.33")),
        (D(1), D("3.34")),
    ]


def test_a_tax_contained_in_the_price_gets_the_gross(shelf: Shelf) -> None:
    shelf.erp.add_tax("Acme US Inc", "VAT incl", 20, price_include=True)
    order = sell(shelf, "us:1", MUG=1)
    put(odoo(shelf), document(order, line(shelf, "8.32", "1.67", taxes=("VAT incl",))))
    [draft] = kept(shelf)
    assert (draft["amount_total"], draft["lines"][0]["price_unit"]) == (D("9.99"), D("9.99"))


def test_money_without_goods_is_one_unit_of_its_item(shelf: Shelf) -> None:
    order = sell(shelf, "us:1", MUG=1)
    amount = line(shelf, "2.50", units="0", key="amount", kind="amount", description="Goodwill")
    put(odoo(shelf), document(order, amount))
    [draft] = kept(shelf)
    assert [(one["name"], one["quantity"], one["total"]) for one in draft["lines"]] == [
        ("Goodwill", D(1), D("2.50"))
    ]


def test_a_repeated_call_makes_no_second_memo_and_no_second_line(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    ids = [put(erp, taxed(shelf, order))[KEY] for _ in range(3)]
    assert len(set(ids)) == 1
    assert [len(one["lines"]) for one in kept(shelf)] == [1]


def test_the_one_posted_invoice_is_what_the_memo_takes_back(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    invoice = shelf.erp.invoice("us:1")
    put(erp, document(order, line(shelf, "19.98", units="2", order_line="us:1:product:1")))
    assert kept(shelf)[0]["reverses"] == invoice
    [sold] = shelf.call("sale.order.line", "search_read", [["order_id", "=", order]])
    assert sold["qty_invoiced"] == 0
    assert erp.post_credit_memos([memo(erp).remote_id]) == {}
    read = shelf.call("account.move", "read", [invoice], ["payment_state", "amount_residual"])
    assert read == [{"id": invoice, "payment_state": "reversed", "amount_residual": 0.0}]


def test_an_order_that_was_never_invoiced_is_not_counted_as_invoiced(shelf: Shelf) -> None:
    order = sell(shelf, "us:1", MUG=2)
    put(odoo(shelf), document(order, line(shelf, "9.99", order_line="us:1:product:1")))
    [sold] = shelf.call("sale.order.line", "search_read", [["order_id", "=", order]])
    assert sold["qty_invoiced"] == 0


def test_money_given_back_for_goods_that_stay_is_no_unit_to_invoice_again(shelf: Shelf) -> None:
    order = sell(shelf, "us:1", MUG=2)
    shelf.erp.invoice("us:1")
    put(odoo(shelf), document(order, line(shelf, "1.00", units="0", order_line="us:1:product:1")))
    [sold] = shelf.call("sale.order.line", "search_read", [["order_id", "=", order]])
    assert (sold["qty_invoiced"], sold["qty_to_invoice"]) == (2, 0)


def test_of_several_invoices_none_is_taken_for_the_one(shelf: Shelf) -> None:
    order = sell(shelf, "us:1", MUG=2)
    shelf.erp.invoice("us:1")
    shelf.call("sale.order.line", "create", {"order_id": order, "product_id": shelf.pen})
    shelf.erp.invoice("us:1")
    put(odoo(shelf), document(order, line(shelf, "9.99")))
    assert kept(shelf)[0]["reverses"] is None


def test_a_bad_memo_is_refused_and_its_neighbour_is_created(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    other = document(order, line(shelf, "1.00"), key="us:2", company="Acme UK Ltd", currency="GBP")
    gone = document(999, line(shelf, "1.00"), key="us:3")
    answers = put(erp, other, gone, taxed(shelf, order))
    assert isinstance(answers["us:2"], Refused)
    assert answers["us:2"].code == "company_differs"
    assert isinstance(answers["us:3"], Missing)
    assert answers[KEY] == memo(erp).remote_id
    assert (kept(shelf, "us:2"), kept(shelf, "us:3")) == ([], [])


def test_refused_lines_leave_an_empty_draft_that_the_next_call_fills(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    foreign = shelf.erp.add_tax("Acme UK Ltd", "UK VAT", 20)
    references = erp.references()
    bad = mapper.credit_memo(document(order, line(shelf, "1.00")), references)
    bad["lines"][0]["tax_ids"] = [foreign]
    [refusal] = erp.put_credit_memos([bad]).values()
    assert isinstance(refusal, Refused)
    assert [len(one["lines"]) for one in kept(shelf)] == [0]
    assert put(erp, taxed(shelf, order)) == {KEY: memo(erp).remote_id}
    assert [one["amount_total"] for one in kept(shelf)] == [D("23.98")]


def test_two_memos_of_one_key_are_for_a_person(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    put(erp, taxed(shelf, order))
    values = {"move_type": "out_refund", "ref": KEY, "partner_id": shelf.ada}
    by_hand = shelf.call("account.move", "create", values)
    assert [twin["id"] for twin in erp.credit_memos([KEY])[KEY]["twins"]] == [by_hand]
    assert put(erp, taxed(shelf, order))[KEY].code == "doubled"
    assert "error" not in shelf.answer("account.move", "button_cancel", [by_hand])
    assert put(erp, taxed(shelf, order))[KEY] == memo(erp).remote_id


def test_a_company_without_a_journal_for_sales_is_refused(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    shelf.call("account.journal", "write", [1], {"active": False})
    assert put(erp, taxed(shelf, order))[KEY].code == "no_journal"


def test_a_call_that_arrives_twice_writes_the_lines_once(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    shelf.erp.faults.plan(Fault(Trouble.TWICE, "account.move", times=9))
    put(erp, taxed(shelf, order))
    assert [(one["amount_total"], len(one["lines"])) for one in kept(shelf)] == [(D("23.98"), 1)]


def test_a_lost_race_is_run_again(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    shelf.erp.serialize_races(1)
    assert put(erp, taxed(shelf, order)) == {KEY: memo(erp).remote_id}
    assert len(kept(shelf)) == 1


@pytest.mark.parametrize("step", ["account.move.load", "account.move.write"])
def test_a_lost_answer_is_unknown_and_the_next_call_finishes(shelf: Shelf, step: str) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    shelf.erp.faults.plan(Fault(Trouble.CUT_AFTER, step))
    with pytest.raises(UnknownOutcome):
        put(erp, taxed(shelf, order))
    put(erp, taxed(shelf, order))
    assert [(one["amount_total"], len(one["lines"])) for one in kept(shelf)] == [(D("23.98"), 1)]


def test_a_rounding_line_is_added_once(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    wanted = taxed(shelf, order)
    [id_] = put(erp, wanted).values()
    extra = mapper.rounding_line(wanted, D("-0.01"), shelf.pen)
    for _ in range(2):
        erp.add_credit_memo_line(id_, extra)
    put(erp, wanted)
    [draft] = kept(shelf)
    assert (draft["amount_total"], len(draft["lines"])) == (D("23.97"), 2)
    assert draft["lines"][1]["taxes"] == []


# Posting


def test_posting_gives_a_number_and_a_day_in_the_books(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    [id_] = put(erp, taxed(shelf, order)).values()
    assert erp.post_credit_memos([id_]) == {}
    assert erp.post_credit_memos([id_]) == {}
    seen = memo(erp)
    assert (seen.state, seen.number, seen.journal) == (
        "posted",
        "RINV/2026/00001",
        "RINV/2026/00001",
    )
    assert seen.booked_on == date(2026, 11, 18)
    assert shelf.erp.count("account.move.action_post") == 1
    # What is posted is not touched by a repeated call.
    assert put(erp, taxed(shelf, order)) == {KEY: id_}
    assert memo(erp).lines == 1


def test_each_company_and_year_counts_for_itself(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    old = taxed(shelf, order, key="us:7", issued_on=date(2025, 12, 31))
    ids = put(erp, old, taxed(shelf, order), taxed(shelf, order, key="us:8"))
    assert erp.post_credit_memos(list(ids.values())) == {}
    numbers = {key: memo(erp, key).number for key in ids}
    assert numbers == {
        "us:7": "RINV/2025/00001",
        KEY: "RINV/2026/00001",
        "us:8": "RINV/2026/00002",
    }


def test_a_closed_period_moves_the_day_and_it_is_read_back(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    shelf.erp.close_books("Acme US Inc", date(2026, 11, 19))
    [id_] = put(erp, taxed(shelf, order)).values()
    assert erp.post_credit_memos([id_]) == {}
    assert memo(erp).booked_on == date(2026, 11, 20)


def test_one_that_cannot_be_posted_does_not_stop_the_others(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    empty = {"move_type": "out_refund", "ref": "us:9", "partner_id": shelf.ada}
    bad = shelf.call("account.move", "create", empty)
    [good] = put(erp, taxed(shelf, order)).values()
    refused = erp.post_credit_memos([bad, good, 999])
    assert {id_: type(no) for id_, no in refused.items()} == {bad: Refused, 999: Missing}
    assert memo(erp).state == "posted"


# Taking back


def posted(shelf: Shelf, erp: Odoo) -> int:
    order = sell(shelf, "us:1", MUG=2)
    [id_] = put(erp, taxed(shelf, order)).values()
    assert erp.post_credit_memos([id_]) == {}
    return int(id_)


def test_a_posted_memo_is_taken_back_by_one_entry_under_its_own_key(shelf: Shelf) -> None:
    erp = odoo(shelf)
    id_ = posted(shelf, erp)
    for _ in range(2):
        answers = erp.reverse_credit_memos({id_: "us:881:reversal"}, date(2026, 11, 19))
    [counter] = kept(shelf, "us:881:reversal")
    assert answers == {id_: counter["id"]}
    assert (counter["type"], counter["state"], counter["reverses"]) == ("entry", "posted", id_)
    assert (counter["amount_total"], counter["date"]) == (D("23.98"), date(2026, 11, 19))
    assert memo(erp).state == "reversed"
    assert erp.credit_memos(["us:881:reversal"]) == {}


def test_a_draft_or_nothing_cannot_be_taken_back(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    [id_] = put(erp, taxed(shelf, order)).values()
    answers: dict[int, Any] = erp.reverse_credit_memos({id_: "a", 999: "b"}, date(2026, 11, 19))
    assert answers[id_].code == "not_posted"
    assert isinstance(answers[999], Missing)
    assert (kept(shelf, "a"), memo(erp).state) == ([], "draft")


# Broken off anywhere


@pytest.mark.parametrize("version", [18, 19])
def test_a_memo_broken_off_anywhere_is_there_once(version: int) -> None:
    def make() -> Shelf:
        shelf = Shelf(version)
        shelf.erp.add_tax("Acme US Inc", "VAT 20%", 20)
        sell(shelf, "us:1", MUG=3)
        return shelf

    def everything(shelf: Shelf) -> None:
        [order] = shelf.found("sale.order", ["client_order_ref", "=", "us:1"])
        erp = odoo(shelf)
        wanted = [taxed(shelf, order), taxed(shelf, order, key="us:882")]
        ids = put(erp, *wanted)
        if memo(erp).state == "draft":
            erp.add_credit_memo_line(
                ids[KEY], mapper.rounding_line(wanted[0], D("0.02"), shelf.pen)
            )
        assert erp.post_credit_memos(list(ids.values())) == {}
        back = erp.reverse_credit_memos({ids["us:882"]: "us:882:reversal"}, date(2026, 11, 20))
        assert all(isinstance(answer, int) for answer in back.values())

    def check(shelf: Shelf) -> None:
        shown = {
            key: [(one["state"], one["amount_total"], len(one["lines"])) for one in documents]
            for key, documents in shelf.erp.invoices_by_ref().items()
        }
        assert shown == {
            KEY: [("posted", D("24.00"), 2)],
            "us:882": [("posted", D("23.98"), 1)],
            "us:882:reversal": [("posted", D("23.98"), 0)],
        }
        assert memo(odoo(shelf), "us:882").state == "reversed"

    assert killed_everywhere(make, everything, check) == 9
