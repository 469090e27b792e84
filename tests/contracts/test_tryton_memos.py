"""Credit memos in Tryton: once per key, to the cent; recordings and a real server."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import sync_assets.mappers.tryton_memos as mapper
from resources.errors import Missing, UnknownOutcome
from sync_assets.domain.returns import CreditMemo, MemoLine, SeenMemo
from sync_assets.ops import tryton_seed
from tests.contracts.test_tryton_client import Call, erp, said, warning
from tests.contracts.test_tryton_stock import entries
from tests.contracts.tryton_house import TAX, House, Killed, running_house
from tests.contracts.tryton_tables import Tables

D = Decimal
live = pytest.mark.tryton
DAY = date(2026, 11, 24)


def line(house: House, sku: str, units: int, net: str, **how: Any) -> MemoLine:
    said = {"kind": "product", "description": f"Thing {sku}", "tax_amount": D(), "taxes": (TAX,)}
    said |= {"key": sku, "item": sku, "item_id": house.items[sku]}
    return MemoLine(units=D(units), net_amount=D(net), **{**said, **how})


def credit(order_ref: str, order: int, *lines: MemoLine, **how: Any) -> CreditMemo:
    said: dict[str, Any] = {
        "key": f"{order_ref}:m1",
        "order_ref": order_ref,
        "order_id": order,
        "party": "eu:customer:5",
        "store": "eu",
        "company": tryton_seed.COMPANY,
        "currency": "EUR",
        "issued_on": DAY,
        "reason": "arrived broken",
        "lines": lines,
        "total_amount": D(),
    }
    return CreditMemo(**{**said, **how})


# A real server


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as found:
        yield found


def made(house: House, document: CreditMemo) -> int:
    payload = mapper.credit_memo(document, house.erp.references())
    found = house.erp.put_credit_memos([payload])[document.key]
    assert isinstance(found, int)
    return found


def seen(house: House, key: str) -> SeenMemo:
    return mapper.seen_memo(house.erp.credit_memos([key])[key])


def drafts(house: House, key: str) -> list[int]:
    rows = house.erp.rpc.search("account.invoice", [["reference", "=", key]], ("state",))
    return [row["id"] for row in rows]


@live
def test_part_of_an_order_is_credited_to_the_cent_with_its_tax(house: House) -> None:
    key, order = house.order(SKU_1=(3, "29.99"), SKU_2=(1, "4.90"))
    behind = house.sale(order)
    document = credit(key, order, line(house, "SKU-1", 2, "19.99"), line(house, "SKU-2", 0, "1.50"))
    assert house.erp.credit_memos([document.key]) == {}
    number = made(house, document)
    assert made(house, document) == number
    assert drafts(house, document.key) == [number]
    draft = seen(house, document.key)
    # 19.99 and 1.50 are 21.49; 19 % of it is 4.0831.
    assert (draft.state, draft.total_amount, draft.tax_amount) == ("draft", D("25.57"), D("4.08"))
    assert (draft.number, draft.journal, draft.booked_on, draft.lines) == (None, None, None, 2)
    assert house.erp.post_credit_memos([number]) == {}
    assert house.erp.post_credit_memos([number]) == {}
    posted = seen(house, document.key)
    assert (posted.state, posted.total_amount, posted.tax_amount) == (
        "posted",
        D("25.57"),
        D("4.08"),
    )
    assert (posted.booked_on, posted.remote_id) == (DAY, number)
    assert posted.number
    assert posted.journal
    assert house.sale(order) == behind


@live
def test_the_entry_in_the_books_is_the_refund_and_nothing_more_is_invoiced(house: House) -> None:
    key, order = house.order(SKU_1=(3, "30.00"))
    number = made(house, credit(key, order, line(house, "SKU-1", 1, "10.00")))
    house.erp.post_credit_memos([number])
    (invoice,) = house.erp.rpc.search("account.invoice", [["id", "=", number]], ("move", "party"))
    with house.server._admin() as admin:
        rows = admin.search(
            "account.move.line",
            [["move", "=", invoice["move"]]],
            ("debit", "credit", "account.type.receivable"),
        )
    assert sorted((row["debit"], row["credit"]) for row in rows) == [
        (D("0"), D("11.90")),
        (D("1.90"), D("0")),
        (D("10.00"), D("0")),
    ]
    house.erp.rpc.write("model.sale.sale.process", [order])
    assert len(house.sale(order)["invoices"]) == 1


@live
def test_a_cent_of_rounding_is_added_once(house: House) -> None:
    key, order = house.order()
    document = credit(key, order, line(house, "SKU-1", 1, "10.01"))
    number = made(house, document)
    assert seen(house, document.key).total_amount == D("11.91")
    rounding = mapper.rounding_line(document, D("-0.01"), house.items["ROUNDING"])
    house.erp.add_credit_memo_line(number, rounding)
    house.erp.add_credit_memo_line(number, rounding)
    found = seen(house, document.key)
    assert (found.total_amount, found.tax_amount, found.lines) == (D("11.90"), D("1.90"), 2)


@live
def test_killed_after_any_call_there_is_one_memo_and_one_number(house: House) -> None:
    deaths: list[str] = []
    for writes in range(1, 20):
        key, order = house.order()
        document = credit(key, order, line(house, "SKU-1", 1, "10.00"))
        payload = mapper.credit_memo(document, house.erp.references())
        house.killed_after(writes)
        try:
            found = house.erp.put_credit_memos([payload])
            house.erp.post_credit_memos([int(str(found[document.key]))])
        except Killed as death:
            deaths.append(death.args[0])
        else:
            house.wire.left = None
            break
        number = made(house, document)
        assert house.erp.post_credit_memos([number]) == {}
        assert drafts(house, document.key) == [number], deaths[-1]
        whole = seen(house, document.key)
        assert (whole.state, whole.total_amount) == ("posted", D("11.90"))
    assert [name.rpartition(".")[2] for name in deaths] == ["create", "post", "skip", "post"]


@live
def test_a_refund_before_the_newest_invoice_is_booked_on_its_own_day(house: House) -> None:
    """Numbers go by the day of the invoice, and a refund is often told late."""
    key, order = house.order()
    late = credit(key, order, line(house, "SKU-1", 1, "10.00"), issued_on=DAY)
    assert house.erp.post_credit_memos([made(house, late)]) == {}
    other, second = house.order()
    early = DAY - timedelta(days=10)
    document = credit(other, second, line(house, "SKU-1", 1, "10.00"), issued_on=early)
    assert house.erp.post_credit_memos([made(house, document)]) == {}
    found = seen(house, document.key)
    assert (found.state, found.booked_on) == ("posted", early)
    assert found.payload["invoice_date"] >= DAY.isoformat()  # type: ignore[operator]


@live
def test_a_day_without_a_period_is_refused_and_the_memo_stays_a_draft(house: House) -> None:
    key, order = house.order()
    document = credit(key, order, line(house, "SKU-1", 1, "10.00"), issued_on=date(2019, 5, 1))
    number = made(house, document)
    fault = house.erp.post_credit_memos([number])[number]
    assert "create a period" in fault.message
    assert seen(house, document.key).state == "draft"


@live
def test_a_posted_memo_is_taken_back_once_by_a_counter_entry(house: House) -> None:
    key, order = house.order()
    document = credit(key, order, line(house, "SKU-1", 2, "20.00"))
    number, back = made(house, document), f"{key}:m1:reversed"
    today = date.fromisoformat(house.erp.rpc.read("model.ir.date.today"))
    draft = house.erp.reverse_credit_memos({number: back}, today)[number]
    assert getattr(draft, "code", None) == "draft"
    house.erp.post_credit_memos([number])
    first = house.erp.reverse_credit_memos({number: back}, today)
    assert house.erp.reverse_credit_memos({number: back}, today) == first
    assert drafts(house, back) == [first[number]]
    entry = seen(house, back)
    assert (entry.state, entry.total_amount, entry.booked_on) == ("posted", D("-23.80"), today)
    assert seen(house, document.key).state == "reversed"
    assert seen(house, document.key).total_amount == D("23.80")
    house.erp.rpc.write("model.sale.sale.process", [order])
    assert len(house.sale(order)["invoices"]) == 1


@live
def test_of_two_drafts_of_one_key_only_the_first_can_be_posted(house: House) -> None:
    key, order = house.order()
    document = credit(key, order, line(house, "SKU-1", 1, "10.00"))
    number = made(house, document)
    twin = house.erp.memos._create(mapper.credit_memo(document, house.erp.references()))
    assert twin == number
    assert drafts(house, document.key) == [number]


@live
def test_a_memo_of_an_order_or_item_that_is_not_there_is_refused(house: House) -> None:
    key, order = house.order()
    gone = credit(key, 999_999, line(house, "SKU-1", 1, "10.00"))
    payload = mapper.credit_memo(gone, house.erp.references())
    assert isinstance(house.erp.put_credit_memos([payload])[gone.key], Missing)
    odd = credit(key, order, line(house, "SKU-1", 1, "10.00", item_id=999_999))
    payload = mapper.credit_memo(odd, house.erp.references())
    assert isinstance(house.erp.put_credit_memos([payload])[odd.key], Missing)
    assert isinstance(house.erp.post_credit_memos([999_999])[999_999], Missing)
    assert drafts(house, odd.key) == []


# Recordings and prepared answers


INVOICE, LINE = "account.invoice", "account.invoice.line"
REFS = {"company": {"Acme": 1}, "currency": {"EUR": 46}, "tax": {"VAT 20%": 1}}


@dataclass
class Ledger(Tables):
    """The order behind the recorded credit note, and its invoice."""

    def __post_init__(self) -> None:
        self.rows |= {
            "sale.sale": [
                {"id": 960, "party": 14, "invoice_party": None, "invoice_address": 8}
                | {"payment_term": 10, "invoices": [936], "lines": [1400]}
            ],
            LINE: [
                {"id": 2000, "origin": "sale.line,1400", "product": 32, "account": 99, "unit": 1}
                | {"invoice.": {"id": 936, "state": "draft", "account": 39, "journal": 1}}
                | {"invoice": 936}
            ],
            INVOICE: [],
            "product.product": [{"id": 7, "default_uom": 1, "account_category.": None}],
        }
        self.buttons[f"model.{INVOICE}.post"] = self.posted
        self.buttons["model.account.configuration.read"] = lambda call: said(
            [{"id": 1, "default_category_account_revenue": 98, "default_account_receivable": 39}]
        )

    def posted(self, call: Call) -> None:
        row = self.row(INVOICE, call.params[0][0])
        row |= {"state": "posted", "number": "21"}

    def _created(self, model: str, call: Call) -> list[int]:
        made = super()._created(model, call)
        for number in made:
            self.row(model, number)["state"] = "draft"
        return made


def recorded_memo(*lines: MemoLine) -> CreditMemo:
    goods = MemoLine(
        key="eu:1460:1",
        kind="product",
        item="BENCH-007",
        item_id=32,
        description="Bench 7",
        units=D(1),
        net_amount=D("10.00"),
        tax_amount=D("2.00"),
        taxes=("VAT 20%",),
    )
    how = {"company": "Acme", "issued_on": date(2026, 11, 20), "reason": "partial refund"}
    return credit("eu:1460", 960, *(lines or (goods,)), key="V1460-RF", **how)


def test_a_memo_is_made_with_the_recorded_values(recordings: Path) -> None:
    """credit_note_direct: one unit of three, at 10.00 and 20 % tax."""
    recorded = entries(recordings, "credit_note_direct")
    theirs = recorded[2]["request"]["body"]["params"][0][0]
    ledger = Ledger()
    payload = mapper.credit_memo(recorded_memo(), REFS)
    assert erp(ledger).put_credit_memos([payload]) == {"V1460-RF": 1}
    (ours,) = ledger.asked(f"model.{INVOICE}.create")[0].params[0]
    same = ("type", "party", "invoice_address", "account", "journal", "currency", "reference")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert (ours["invoice_date"], ours["accounting_date"]) == ("2026-11-20", "2026-11-20")
    assert ours["description"] == theirs["description"]
    ((_, (line,)),) = ours["lines"]
    ((_, (their_line,)),) = theirs["lines"]
    assert line["origin"] == "account.invoice.line,2000"
    assert D(line["unit_price"].pop("decimal")) == D(their_line["unit_price"].pop("decimal"))
    assert {name: line[name] for name in their_line} == their_line


def test_the_recorded_memo_is_seen_with_positive_amounts(recordings: Path) -> None:
    recorded = entries(recordings, "credit_note_direct")[5]
    (row,) = recorded["response"]["body"]["result"]
    ledger = Ledger()
    ledger.rows[INVOICE] = [
        {**row, "type": "out", "reference": "V1460-RF", "lines": [5]}
        | {"currency.": {"code": "EUR"}, "move.": {"number": "12", "date": day(2026, 11, 20)}}
    ]
    found = mapper.seen_memo(erp(ledger).credit_memos(["V1460-RF", "other"])["V1460-RF"])
    assert (found.state, found.number, found.journal) == ("posted", "21", "12")
    assert (found.total_amount, found.tax_amount) == (D("12.00"), D("2.00"))
    assert found.booked_on == date(2026, 11, 20)


def day(year: int, month: int, date: int) -> dict[str, Any]:
    return {"__class__": "date", "year": year, "month": month, "day": date}


def test_a_repeated_call_makes_no_second_draft_and_posts_once() -> None:
    ledger = Ledger()
    payload = mapper.credit_memo(recorded_memo(), REFS)
    assert erp(ledger).put_credit_memos([payload]) == erp(ledger).put_credit_memos([payload])
    assert erp(ledger).post_credit_memos([1]) == {}
    assert erp(ledger).post_credit_memos([1]) == {}
    assert ledger.count(f"model.{INVOICE}.create") == 1
    assert ledger.count(f"model.{INVOICE}.post") == 1


def test_of_twins_made_at_the_same_moment_the_later_is_deleted() -> None:
    ledger = Ledger()
    payload = mapper.credit_memo(recorded_memo(), REFS)

    def another_was_first(call: Call) -> dict[str, Any]:
        twin = {"id": 1, "type": "out", "reference": "V1460-RF", "state": "draft"}
        ledger.rows[INVOICE].append(twin)
        return said(ledger._created(INVOICE, call))

    ledger.play(f"model.{INVOICE}.create", another_was_first)
    ledger.play(f"model.{INVOICE}.delete", said(None))
    assert erp(ledger).put_credit_memos([payload]) == {"V1460-RF": 1}
    assert [call.params for call in ledger.sent("delete")] == [[[2]]]
    assert erp(ledger).post_credit_memos([2])[2].code == "twin"
    assert ledger.count(f"model.{INVOICE}.post") == 0


def test_a_second_posted_memo_of_a_key_is_told_and_a_draft_or_a_cancelled_one_is_not() -> None:
    ledger = Ledger()
    states = ("cancelled", "draft", "posted", "paid")
    ledger.rows[INVOICE] = [
        {"id": number, "type": "out", "reference": "V1460-RF", "state": state, "lines": []}
        for number, state in enumerate(states, start=1)
    ]
    (found,) = erp(ledger).credit_memos(["V1460-RF"]).values()
    assert (found["id"], found["twins"]) == (3, [4])


def test_our_taxes_are_agreed_to_and_other_questions_are_not() -> None:
    ledger = Ledger()
    erp(ledger).put_credit_memos([mapper.credit_memo(recorded_memo(), REFS)])
    post, skip = f"model.{INVOICE}.post", "model.res.user.warning.skip"
    ledger.play(post, warning("6b.invoice_taxes")).play(skip, said(None))
    assert erp(ledger).post_credit_memos([1]) == {}
    assert [call.params for call in ledger.asked(skip)] == [["6b.invoice_taxes", False]]
    ledger.row(INVOICE, 1).update({"state": "draft", "invoice_date": day(2026, 11, 20)})
    ledger.play(post, warning("6b.invoice_date_future"))
    assert erp(ledger).post_credit_memos([1])[1].code == "6b.invoice_date_future"
    assert ledger.count(skip) == 1


def test_an_item_the_invoice_does_not_name_is_booked_where_its_category_or_the_books_say() -> None:
    ledger = Ledger()
    money = MemoLine(
        key="amount",
        kind="amount",
        item="GOODWILL",
        item_id=7,
        description="Goodwill",
        units=D(0),
        net_amount=D("5.00"),
        tax_amount=D(0),
    )
    erp(ledger).put_credit_memos([mapper.credit_memo(recorded_memo(money), REFS)])
    ledger.rows["product.product"][0]["account_category."] = {"account_revenue": 97}
    rounding = mapper.rounding_line(recorded_memo(), D("0.01"), 7)
    ledger.row(INVOICE, 1).update({"company": 1, "currency": 46})
    erp(ledger).add_credit_memo_line(1, rounding)
    ((_, (first,)),) = ledger.asked(f"model.{INVOICE}.create")[0].params[0][0]["lines"]
    ((_, (added,)),) = ledger.asked(f"model.{INVOICE}.write")[0].params[1]["lines"]
    assert (first["account"], first["quantity"], first["origin"]) == (98, -1, None)
    assert (added["account"], added["quantity"], added["taxes"]) == (97, -1, [["add", []]])
    assert added["unit_price"] == {"__class__": "Decimal", "decimal": "0.01"}


def test_a_lost_answer_to_a_create_is_an_unknown_outcome() -> None:
    ledger = Ledger().play(f"model.{INVOICE}.create", httpx.ReadTimeout("lost"))
    with pytest.raises(UnknownOutcome):
        erp(ledger).put_credit_memos([mapper.credit_memo(recorded_memo(), REFS)])
