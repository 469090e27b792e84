"""Our journal entries in the words of both ERPs, and their entries and invoices in ours."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.journals import Invoices, JournalDocument, JournalLine, SeenJournal, Total
from sync_assets.domain.orders import Rejected
from sync_assets.mappers import odoo_journals, tryton_journals

D = Decimal
CODES = ("1014", "1210", "6200")
CURRENCIES = {"EUR": 1, "USD": 2, "JPY": 3, "KWD": 4}
REFS = {
    "company": {"Acme": 1},
    "company_currency": {"Acme": 1},
    "currency": CURRENCIES,
    "journal": {"Acme/PSP": 8},
    "account": {f"Acme/{code}": int(code) for code in CODES} | {"Other/9999": 9},
}
BOTH = pytest.mark.parametrize("mapper", [odoo_journals, tryton_journals], ids=["odoo", "tryton"])


def line(account: str, amount: str, books: str | None = None, **more: Any) -> JournalLine:
    values = {"account": account, "amount": D(amount), "company_amount": D(books or amount)}
    return JournalLine(**{"currency": "EUR", "description": "Payout", **values, **more})


def document(*lines: JournalLine, **more: Any) -> JournalDocument:
    values = {
        "key": "settlement:stripe_eu:po_1:2026-01:1",
        "company": "Acme",
        "journal": "PSP",
        "on": date(2026, 1, 31),
        "company_currency": "EUR",
        "reference": "po_1",
        "description": "Payout po_1",
        "lines": lines or (line("1014", "9.50"), line("6200", "0.50"), line("1210", "-10.00")),
    }
    return JournalDocument(**values | more)


def reasons(mapper: ModuleType, entry: JournalDocument) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as caught:
        mapper.journal(entry, REFS)
    return [(problem.code, problem.message) for problem in caught.value.problems]


# Entries


def test_an_entry_in_odoos_words() -> None:
    entry = document(line("1014", "9.50"), line("1210", "-10.00", "-9.50", currency="USD"))
    assert odoo_journals.journal(entry, REFS) == {
        "key": entry.key,
        "head": {
            "id": "je_settlement_3astripe_5feu_3apo_5f1_3a2026_2d01_3a1",
            "move_type": "entry",
            "ref": entry.key,
            "date": "2026-01-31",
            "journal_id/.id": "8",
            "narration": "po_1: Payout po_1",
        },
        "lines": [
            {
                "account_id": 1014,
                "name": "Payout",
                "currency_id": 1,
                "amount_currency": "9.50",
                "debit": "9.50",
                "credit": "0",
                "party": None,
            },
            {
                "account_id": 1210,
                "name": "Payout",
                "currency_id": 2,
                "amount_currency": "-10.00",
                "debit": "0",
                "credit": "9.50",
                "party": None,
            },
        ],
    }


def test_an_entry_in_trytons_words() -> None:
    entry = document(line("1014", "9.50", party="eu:1"), line("1210", "-9.50", description=""))
    lines = [
        {
            "account": 1014,
            "debit": D("9.50"),
            "credit": D(0),
            "second_currency": None,
            "amount_second_currency": None,
            "description": "Payout",
            "party": "eu:1",
        },
        {
            "account": 1210,
            "debit": D(0),
            "credit": D("9.50"),
            "second_currency": None,
            "amount_second_currency": None,
            "description": "po_1: Payout po_1",
            "party": None,
        },
    ]
    assert tryton_journals.journal(entry, REFS) == {
        "key": entry.key,
        "company": 1,
        "journal": 8,
        "date": "2026-01-31",
        "lines": lines,
    }


@BOTH
def test_an_unknown_code_is_named_with_its_company_even_if_another_company_has_it(
    mapper: ModuleType,
) -> None:
    entry = document(line("9999", "1"), line("1210", "-1"), journal="MISC")
    found = sorted(reasons(mapper, entry))
    assert [code for code, _ in found] == ["erp.account_unknown", "erp.journal_unknown"]
    assert "account '9999' in company 'Acme'" in found[0][1]
    assert "journal 'MISC' in company 'Acme'; nothing was sent" in found[1][1]


@BOTH
def test_a_company_that_is_unknown_or_keeps_its_books_in_another_currency_is_told(
    mapper: ModuleType,
) -> None:
    codes = [code for code, _ in reasons(mapper, document(company="Nobody"))]
    assert "erp.company_unknown" in codes
    dollars = (line("1014", "1", currency="USD"), line("1210", "-1", currency="USD"))
    [(code, message)] = reasons(mapper, document(*dollars, company_currency="USD"))
    assert code == "erp.company_unknown"
    assert message.startswith("company 'Acme' does not keep its books in USD")


@BOTH
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((line("1014", "1.00"), line("1210", "-0.99")), "is off by 0.01 EUR"),
        ((line("1014", "1.005"), line("1210", "-1.005")), "1.005 has more digits than EUR"),
        (
            (line("1014", "0.5", "1", currency="JPY"), line("1210", "-1")),
            "0.5 has more digits than JPY",
        ),
        (
            (line("1014", "-2", "1", currency="USD"), line("1210", "-1")),
            "account 1014: -2 USD is no 1 EUR",
        ),
        ((line("1014", "2", "1"), line("1210", "-1")), "2 and 1 EUR are one amount"),
    ],
)
def test_what_no_erp_would_book_is_not_sent(
    mapper: ModuleType, lines: tuple[JournalLine, ...], words: str
) -> None:
    assert any(words in message for _, message in reasons(mapper, document(*lines)))


@BOTH
def test_an_entry_without_lines_is_not_sent(mapper: ModuleType) -> None:
    empty = document().model_copy(update={"lines": ()})
    assert [code for code, _ in reasons(mapper, empty)] == ["journal.empty"]


DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}


@st.composite
def balanced(draw: st.DrawFn) -> JournalDocument:
    """An entry of any currencies that balances in euros."""
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        currency = draw(st.sampled_from(sorted(DIGITS)))
        books = D(draw(st.integers(-(10**11), 10**11))).scaleb(-2)
        size = D(draw(st.integers(0, 10**11))).scaleb(-DIGITS[currency])
        amount = books if currency == "EUR" else size.copy_sign(books)
        account = draw(st.sampled_from(CODES))
        lines.append(line(account, str(amount), str(books), currency=currency))
    rest = -sum((one.company_amount for one in lines), D(0))
    return document(*lines, line("1210", str(rest)))


def wanted(entry: JournalDocument) -> dict[tuple[str, str], Total]:
    found: dict[tuple[str, str], Total] = {}
    for one in entry.lines:
        key = one.account, one.currency
        held = found.get(key, Total(D(0), D(0)))
        amount, books = held.amount + one.amount, held.company_amount + one.company_amount
        found[key] = Total(amount, books)
    return found


def shown_by_odoo(payload: dict[str, Any]) -> SeenJournal:
    names = {id_: name for name, id_ in CURRENCIES.items()}
    lines = [
        {
            **{name: D(one[name]) for name in ("debit", "credit", "amount_currency")},
            "account_code": str(one["account_id"]),
            "account_id": [one["account_id"], "x"],
            "currency_id": [one["currency_id"], names[one["currency_id"]]],
        }
        for one in payload["lines"]
    ]
    head = {"id": 1, "ref": payload["key"], "name": "M/1", "state": "posted", "date": "2026-01-31"}
    return odoo_journals.seen_journal({**head, "company_currency_id": [1, "EUR"], "lines": lines})


def shown_by_tryton(payload: dict[str, Any]) -> SeenJournal:
    names = {id_: name for name, id_ in CURRENCIES.items()}
    lines = [
        {
            **one,
            "account.": {"id": one["account"], "code": str(one["account"])},
            "second_currency.": {"code": names[one["second_currency"]]}
            if one["second_currency"]
            else None,
        }
        for one in payload["lines"]
    ]
    head = {"id": 1, "key": payload["key"], "state": "posted", "date": "2026-01-31", "number": "7"}
    company = {"currency.": {"code": "EUR"}}
    return tryton_journals.seen_journal({**head, "company.": company, "lines": lines})


@pytest.mark.parametrize(
    ("mapper", "shown"),
    [(odoo_journals, shown_by_odoo), (tryton_journals, shown_by_tryton)],
    ids=["odoo", "tryton"],
)
@given(entry=balanced())
def test_what_is_booked_is_seen_again_exactly(
    mapper: ModuleType,
    shown: Callable[[dict[str, Any]], SeenJournal],
    entry: JournalDocument,
) -> None:
    payload = mapper.journal(entry, REFS)
    sides = [(D(one["debit"]), D(one["credit"])) for one in payload["lines"]]
    assert all(debit >= 0 and credit >= 0 and not debit * credit for debit, credit in sides)
    assert sum(debit - credit for debit, credit in sides) == 0
    found = shown(payload)
    assert found.totals == wanted(entry)
    assert found.total_amount == sum(debit for debit, _ in sides)
    assert (found.key, found.booked_on, found.state) == (entry.key, date(2026, 1, 31), "posted")


def test_an_unknown_word_for_a_state_is_loud() -> None:
    with pytest.raises(Rejected, match="Odoo calls the entry 'frozen'"):
        odoo_journals.seen_journal({"id": 1, "state": "frozen"})
    with pytest.raises(Rejected, match="Tryton calls the entry None"):
        tryton_journals.seen_journal({"id": 1})
    with pytest.raises(Rejected, match="Tryton calls the invoice 'frozen'"):
        tryton_journals.invoice("tryton", "1", {"state": "frozen"})
    with pytest.raises(Rejected, match="Odoo calls the document 'in_invoice'"):
        odoo_journals.invoice("odoo", "1", {"move_type": "in_invoice", "state": "posted"})


# Invoices


ODOO = {
    "move_type": "out_refund",
    "state": "posted",
    "name": "RINV/2026/00001",
    "currency_id": [1, "USD"],
    "amount_total": "23.98",
    "amount_tax": "4.0",
    "invoice_date": "2026-11-18",
    "orders": [{"id": 30, "name": "S00030", "reference": "us:1", "company": 1}],
}
TRYTON = {
    "state": "paid",
    "number": "21",
    "currency": "EUR",
    "total_amount": "-12.00",
    "tax_amount": "-2.00",
    "invoice_date": "2026-11-18",
    "orders": [{"id": 960, "key": "us:1", "number": "1", "reference": None}],
}
CREDIT = {
    "order_ref": "us:1",
    "state": "posted",
    "kind": "credit_memo",
    "invoiced_on": date(2026, 11, 18),
}


def test_a_credit_memo_has_positive_amounts_and_its_kind_says_which_way_it_goes() -> None:
    odoo = odoo_journals.invoice("odoo", "31", ODOO)
    assert odoo == CREDIT | {
        "invoice_ref": "odoo:31",
        "system": "odoo",
        "number": "RINV/2026/00001",
        "currency": "USD",
        "total_amount": D("23.98"),
        "tax_amount": D("4.00"),
    }
    tryton = tryton_journals.invoice("tryton", "21", TRYTON)
    assert tryton == CREDIT | {
        "invoice_ref": "tryton:21",
        "system": "tryton",
        "number": "21",
        "currency": "EUR",
        "total_amount": D("12.00"),
        "tax_amount": D("2.00"),
    }
    Invoices.validate(Invoices.frame([odoo, tryton]))


def test_a_draft_has_neither_number_nor_day() -> None:
    odoo = ODOO | {"state": "draft", "name": "/", "invoice_date": False, "orders": []}
    tryton = TRYTON | {"state": "validated", "number": None, "invoice_date": None, "orders": []}
    rows = [
        odoo_journals.invoice("odoo", "1", odoo),
        tryton_journals.invoice("tryton", "1", tryton),
    ]
    names = ("number", "invoiced_on", "order_ref", "state")
    assert [tuple(row[name] for name in names) for row in rows] == [(None, None, None, "draft")] * 2
    Invoices.validate(Invoices.frame(rows))


def test_an_invoice_for_several_orders_is_of_none() -> None:
    both = [*ODOO["orders"], {"id": 31, "name": "S00031", "reference": "us:2", "company": 1}]  # type: ignore[misc]
    assert odoo_journals.invoice("odoo", "1", ODOO | {"orders": both})["order_ref"] is None
    twice = [*TRYTON["orders"], {"id": 961, "key": "us:2"}]  # type: ignore[misc]
    assert tryton_journals.invoice("tryton", "1", TRYTON | {"orders": twice})["order_ref"] is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts),
    max_leaves=5,
)


@given(
    which=st.sampled_from(["odoo", "tryton"]),
    part=st.sampled_from(sorted({*ODOO, *TRYTON})),
    it=ANYTHING,
)
def test_an_invoice_with_anything_in_a_part_is_a_row_or_rejected(
    which: str, part: str, it: object
) -> None:
    mapper = odoo_journals if which == "odoo" else tryton_journals
    payload = (ODOO if which == "odoo" else TRYTON) | {part: it}
    try:
        row = mapper.invoice(which, "1", payload)
    except Rejected:
        return
    Invoices.validate(Invoices.frame([row]))
