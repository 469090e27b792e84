"""Credit memos in Tryton: once per key, to the cent; recordings and a real server."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

import sync_assets.mappers.tryton_memos as mapper
from resources.errors import Missing
from sync_assets.domain.returns import CreditMemo, MemoLine, SeenMemo
from sync_assets.ops import tryton_seed
from tests.contracts.tryton_house import TAX, House, Killed, running_house

D = Decimal
live = pytest.mark.tryton
DAY = date(2026, 11, 24)


def line(house: House, sku: str, units: int, net: str, **how: Any) -> MemoLine:
    said = {"kind": "product", "description": f"Thing {sku}", "tax_amount": D(), "taxes": (TAX,)}
    said |= {"key": sku, "item": sku, "item_id": house.items[sku]}
    return MemoLine(units=D(units), net_amount=D(net), **{**said, **how})


def credit(key: str, order: int, *lines: MemoLine, **how: Any) -> CreditMemo:
    said: dict[str, Any] = {
        "key": f"{key}:m1",
        "order_ref": key,
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
    assert (draft.number, draft.journal, draft.booked_on, draft.lines) == (None, None, None, 3)
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
