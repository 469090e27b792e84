"""What follows an order in Odoo against recordings of real servers: the stand-in answers recorded
requests as recorded, and the client calls as was recorded to work.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from odoo_shelf import Shelf
from odoo_tape import Tape, said
from odoo_tape import odoo as taped
from test_odoo_catalog_client import odoo
from test_odoo_deliveries import delivery, sell
from test_odoo_memos import document, line, posted, put
from test_odoo_recordings import VERSIONS, body, call_of, find, models, result
from test_odoo_returns import client, restock, shipped, stock
from test_odoo_standin_recordings import (
    BOTH,
    IDS,
    RECORDINGS,
    Pair,
    Recorded,
    _args,
    _called,
    _pairs,
)

from resources.errors import Refused, UnknownOutcome
from resources.systems.odoo_transfers import validate

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings of real Odoo servers are not beside the project"
)
NUMBERS = {18: {"INV": 6, "RINV": 7}, 19: {"INV": 10, "RINV": 5}}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# The stand-in as recorded


def sold(version: int) -> Recorded:
    """A stand-in with the recorded order, confirmed."""
    at = {18: "2026-11-20 18:36:34", 19: "2026-11-20 18:49:29"}[version]
    kept, ids = Recorded(version, at), IDS[version]
    kept.customer()
    kept.product(ids["delivery"], "Delivery_007", "Standard delivery", kind="service")
    kept.widgets()
    carrier = {"name": "Standard delivery", "delivery_type": "fixed"}
    kept.make("delivery.carrier", 1, **carrier, product_id=ids["delivery"])
    order, row, picking, number = {18: (30, 60, 22, 17), 19: (25, 51, 20, 15)}[version]
    kept.erp.next_id("sale.order", order)
    kept.erp.next_id("sale.order.line", row)
    kept.erp.next_id("stock.picking", picking)
    kept.erp.next_id("WH/OUT", number)
    kept.erp.next_id("stock.move", {18: 94, 19: 66}[version])
    kept.replay(_pairs(version, "order"))
    kept.moment += timedelta(seconds={18: 5, 19: 3}[version])
    for prefix, first in NUMBERS[version].items():
        kept.erp.next_id(f"1:{prefix}/2026", first)
    return kept


def made(pairs: list[Pair], model: str, method: str) -> int:
    """The id the first recorded call of a method made."""
    answer = next(p["response"]["body"]["result"] for p in pairs if _called(p) == (model, method))
    return int(answer["res_id"] if isinstance(answer, dict) else answer[0])


@BOTH
def test_an_invoice_lives_as_recorded_and_is_taken_back_as_recorded(version: int) -> None:
    kept = sold(version)
    pairs = list(_pairs(version, "invoice"))
    invoice = made(pairs, "sale.advance.payment.inv", "create_invoices")
    wizard = made(pairs, "sale.advance.payment.inv", "create")
    kept.erp.next_id("sale.advance.payment.inv", wizard)
    kept.erp.next_id("account.move", invoice)
    window = next(p for p in pairs if _called(p)[1] == "create_invoices")
    first = pairs.index(window)
    assert kept.replay(pairs[:first]) == 1
    shown = kept.http.post("/jsonrpc", json=window["request"]["body"]).json()["result"]
    told = window["response"]["body"]["result"]
    # The window a person would see is not stood in for, what it shows is.
    assert {name: shown[name] for name in shown if name != "context"} == {
        name: told[name] for name in shown if name != "context"
    }
    # Debit and credit lines, and the refused line that would be read first, have no stand-in.
    rest = [p for p in pairs[first + 1 :] if "line_ids" not in _args(p)[5][-1]]
    assert kept.replay(rest) == len(rest) == 11

    # Payments have no stand-in.
    with kept.erp.writing():
        paid = {"payment_state": "paid", "amount_residual": None}
        kept.erp.tables.change("account.move", invoice, paid)
    credits = list(_pairs(version, "credit_note"))
    note = made(credits, "account.move.reversal", "refund_moves")
    kept.erp.next_id("account.move.reversal", made(credits, "account.move.reversal", "create"))
    kept.erp.next_id("account.move", note)
    assert kept.replay(credits) == 7


@BOTH
def test_a_credit_note_settles_an_unpaid_invoice_as_recorded(version: int) -> None:
    kept = Recorded(version, "2026-11-20 18:55:00")
    pairs = list(_pairs(version, "refund_reconcile"))
    partner = made(pairs, "res.partner", "create")
    kept.erp.next_id("res.partner", partner)
    kept.erp.next_id("account.move", made(pairs, "account.move", "create"))
    kept.erp.next_id("account.move.reversal", made(pairs, "account.move.reversal", "create"))
    asked = [p for p in pairs if _called(p)[0] != "account.move.line"]
    assert kept.replay(asked) == 10


@BOTH
def test_a_closed_period_moves_an_entry_to_the_recorded_day(version: int) -> None:
    reads = [
        pair["response"]["body"]["result"][0]["date"]
        for pair in _pairs(version, "settlement")
        if _called(pair) == ("account.move", "read") and _args(pair)[5][1] == ["date", "state"]
    ]
    kept, days = Recorded(version, "2026-11-20 18:55:00"), []
    for closed in (None, date(2025, 12, 31)):
        kept.erp.close_books("YourCompany", closed)
        [entry] = kept.call("account.move", "create", [{"date": "2025-06-01", "journal_id": 3}])
        assert kept.call("account.move", "action_post", [entry]) is False
        days += kept.call("account.move", "read", [entry], ["date"])
    assert [row["date"] for row in days] == reads == ["2025-06-01", "2026-01-31"]


# The client as recorded


def asked_for(tape: Tape) -> Iterator[tuple[str, str, Any, Any]]:
    """The writes a client sent, with what it added to the usual context."""
    for call in tape.calls:
        if not call.safe:
            usual = ("lang", "tz", "allowed_company_ids")
            context = {k: v for k, v in call.options["context"].items() if k not in usual}
            yield call.model, call.method, call.args, context


def recorded_call(pair: Pair) -> tuple[str, str, Any, Any]:
    _, _, _, model, method, args, options = call_of(pair)["args"]
    return model, method, args, options.get("context", {})


def test_a_part_is_validated_by_the_recorded_calls(version: str) -> None:
    wizard = "stock.backorder.confirmation"
    steps = [
        find(version, "delivery", "stock.picking", "button_validate")[0],
        *find(version, "delivery", wizard, "create"),
        *find(version, "delivery", wizard, "process"),
    ]
    [picking] = call_of(steps[0])["args"][5][0]
    tape = Tape().play("stock.picking", "search_read", said([{"id": picking, "state": "done"}]))
    for pair in steps:
        tape.play(*call_of(pair)["args"][3:5], body(pair))
    validate(taped(tape).session, picking)
    assert list(asked_for(tape)) == [recorded_call(pair) for pair in steps]


def test_a_whole_parcel_is_validated_without_a_question(version: str) -> None:
    whole, again = find(version, "delivery", "stock.picking", "button_validate")[1:]
    assert (result(whole), result(again)) == (True, True)
    [picking] = call_of(whole)["args"][5][0]
    for answers, fault in (([{"id": picking, "state": "done"}], None), ([], UnknownOutcome)):
        tape = Tape().play("stock.picking", "button_validate", body(whole))
        tape.play("stock.picking", "search_read", said(answers))
        if fault is None:
            validate(taped(tape).session, picking)
        else:
            with pytest.raises(fault):
                validate(taped(tape).session, picking)
        assert list(asked_for(tape)) == [recorded_call(whole)]


def test_goods_are_taken_back_by_the_recorded_calls(version: str) -> None:
    model = "stock.return.picking"
    steps = [
        *find(version, "return", model, "create"),
        *find(version, "return", f"{model}.line", "write"),
        *find(version, "return", model, "action_create_returns"),
    ]
    [lines] = find(version, "return", f"{model}.line", "search_read")
    [shown] = result(lines)
    tape = Tape().play(f"{model}.line", "search_read", body(lines))
    for pair in steps:
        tape.play(*call_of(pair)["args"][3:5], body(pair))
    sent = call_of(steps[0])["args"][5][0][0]["picking_id"]
    taped(tape).parcels_back._create({"id": sent}, {shown["move_id"][0]: Decimal(1)})
    assert list(asked_for(tape)) == [recorded_call(pair) for pair in steps]


def test_the_recorded_answer_to_posting_is_no_refusal_and_its_error_is_one(version: str) -> None:
    fine, again = find(version, "invoice", "account.move", "action_post")
    assert result(fine) is False
    [id_] = call_of(fine)["args"][5][0]
    draft, done = ([{"id": id_, "state": word}] for word in ("draft", "posted"))
    tape = Tape().play("account.move", "action_post", body(fine))
    tape.play("account.move", "search_read", said(draft), said(done))
    assert taped(tape).post_credit_memos([id_]) == {}
    assert list(asked_for(tape)) == [recorded_call(fine)]
    tape = Tape().play("account.move", "action_post", body(again))
    tape.play("account.move", "search_read", said(draft), said(draft))
    [refusal] = taped(tape).post_credit_memos([id_]).values()
    assert isinstance(refusal, Refused)
    assert refusal.message.endswith("must be in draft.")


def test_an_entry_is_taken_back_by_the_recorded_calls(version: str) -> None:
    model = "account.move.reversal"
    [ask] = find(version, "credit_note", model, "create")
    [make] = find(version, "credit_note", model, "refund_moves")
    [memo] = call_of(ask)["args"][6]["context"]["active_ids"]
    held = {"id": memo, "state": "posted", "journal_id": [1, "Customer Invoices"]}
    counter = {"id": result(make)["res_id"], "ref": "C", "state": "draft"}
    tape = Tape().play(model, "create", body(ask)).play(model, "refund_moves", body(make))
    row = {**counter, "reversed_entry_id": [memo, "INV"]}
    done = {**counter, "state": "posted"}
    tape.play("account.move", "search_read", said([]), said([held]), said([row]), said([done]))
    tape.play("account.move", "write", said(True)).play("account.move", "action_post", said(False))
    on = date.fromisoformat(call_of(ask)["args"][5][0][0]["date"])
    assert taped(tape).reverse_credit_memos({memo: "key"}, on) == {memo: counter["id"]}
    first, second, *_ = asked_for(tape)
    for (_, _, args, context), pair in ((first, ask), (second, make)):
        told = recorded_call(pair)
        assert context == told[3] | {"active_id": memo}
        if pair is make:
            assert args == told[2]
        else:
            assert args[0][0] == told[2][0][0] | {"reason": "key"}


def test_recorded_credit_notes_are_created_with_the_fields_we_send(version: str) -> None:
    [made] = find(version, "credit_note", "account.move", "create")
    values = call_of(made)["args"][5][0][0]
    [[_, _, row]] = values["invoice_line_ids"]
    shelf = Shelf(18)
    order = shelf.order("us:1", {"product_id": shelf.mug}, warehouse_id=1)
    sent: list[Any] = []
    write = shelf.erp.db.write

    def keep(model: str, ids: Any, given: dict[str, Any], context: Any) -> None:
        if model == "account.move":
            sent.append(given)
        write(model, ids, given, context)

    shelf.erp.db.write = keep  # type: ignore[method-assign]
    put(odoo(shelf), document(order, line(shelf, "9.99")))
    [[_, *lines]] = [one["invoice_line_ids"] for one in sent]
    assert set(row) <= set(lines[0][2])
    # Numbers, not text: the stand-in reads every JSON number with a point as a Decimal.
    assert (lines[0][2]["price_unit"], lines[0][2]["quantity"]) == (Decimal("9.99"), 1)


# Names


@BOTH
def test_only_fields_of_this_version_are_used(version: int) -> None:
    shelf, asked = Shelf(version), set[tuple[str, str]]()
    stock(shelf)
    shelf.erp.add_tax("Acme US Inc", "VAT 20%", 20)
    read, write = shelf.erp._read, shelf.erp._write

    def reading(model: str, method: str, context: Any, bound: dict[str, Any]) -> Any:
        asked.update((model, name) for name in bound.get("fields") or ())
        terms = [term for term in bound.get("domain") or () if not isinstance(term, str)]
        asked.update((model, term[0].split(".")[0]) for term in terms)
        return read(model, method, context, bound)

    def writing(model: str, method: str, context: Any, bound: dict[str, Any]) -> Any:
        given = bound.get("vals") or bound.get("vals_list") or {}
        for values in given if isinstance(given, list) else [given]:
            asked.update((model, name) for name in values)
            for _, _, row in values.get("invoice_line_ids", ()):
                asked.update(("account.move.line", name) for name in row or ())
        if method == "load":
            asked.update((model, column.split("/")[0]) for column in bound["fields"])
        return write(model, method, context, bound)

    order = shipped(shelf, MUG=3)
    erp = client(shelf)
    shelf.erp._read, shelf.erp._write = reading, writing  # type: ignore[method-assign]
    assert erp.put_restocks([restock(order, MUG=(1, 1, 1))]) == {}
    assert erp.put_deliveries([delivery(order, MUG=1)])["north:1/us:1"].code == "over_delivered"
    more = {"warehouse": "UK1", "tracking_numbers": ("T",), "is_last": True}
    assert erp.put_deliveries([delivery(sell(shelf, "us:2", MUG=2), MUG=1, **more)]) == {}
    next(erp.shipments_changed_since(datetime(2026, 1, 1, tzinfo=UTC), timedelta()))
    next(erp.returns_changed_since(datetime(2026, 1, 1, tzinfo=UTC), timedelta()))
    erp.reverse_credit_memos({posted(shelf, erp): "back"}, date(2026, 11, 20))

    known = models(f"v{version}")
    unlisted = {model for model, _ in asked} - known.keys()
    assert unlisted <= {"stock.scrap", "stock.return.picking.line"}
    missing = [pair for pair in asked if pair[0] in known and pair[1] not in known[pair[0]]]
    # Every record has these; the lists leave them out.
    assert [pair for pair in missing if pair[1] not in ("id", "write_date", "create_uid")] == []
    assert {model for model, _ in asked} >= {"stock.picking", "account.move", "account.move.line"}


def test_recorded_pickings_are_read_as_they_stand(version: str) -> None:
    """The fields the client reads of a parcel have the recorded forms."""
    rows = [r for p in find(version, "delivery", "stock.picking", "search_read") for r in result(p)]
    rest = next(row for row in rows if row.get("backorder_id"))
    assert rest["carrier_tracking_ref"] is False
    assert rest["date_done"] is False
    assert isinstance(rest["backorder_id"][0], int)
    [(move, *_)] = [result(p) for p in find(version, "delivery", "stock.move", "search_read")][:1]
    assert (move["quantity"], move["picked"], move["state"]) == (Decimal(2), False, "assigned")
