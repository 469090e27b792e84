"""Journal entries in Odoo: one per key, exact in every currency, posted once, wherever the call
breaks off; and its invoices with the orders they are for. Against the stand-in and recordings.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from odoo_kills import killed_everywhere
from odoo_shelf import NOON, Shelf
from odoo_tape import Tape, said
from odoo_tape import odoo as taped
from test_odoo_catalog_client import odoo
from test_odoo_deliveries import sell
from test_odoo_memos import document as memo_document
from test_odoo_memos import line as memo_line
from test_odoo_memos import put as put_memos
from test_odoo_standin_recordings import BOTH, RECORDINGS, Pair, Recorded, _args, _called, _pairs

from resources.errors import Missing, Refused, RemoteError, UnknownOutcome
from resources.pages import Raw
from resources.sandbox.faults import Fault, Trouble
from resources.systems.odoo import Odoo
from resources.systems.roles import Erp
from sync_assets.domain.journals import JournalDocument, JournalLine, SeenJournal, Total
from sync_assets.domain.orders import Rejected
from sync_assets.mappers import odoo_journals as mapper

D = Decimal
KEY = "settlement:stripe_us:po_1:2026-11:1"
ON = date(2026, 11, 18)
US = "Acme US Inc"
CHART = {"1014": "Bank", "1210": "Stripe clearing", "6200": "Bank fees", "6410": "Exchange"}


def stocked(version: int) -> Shelf:
    shelf = Shelf(version)
    for code, name in CHART.items():
        shelf.erp.add_account(US, code, name)
    shelf.erp.add_account("Acme UK Ltd", "1210", "Stripe clearing")
    return shelf


@pytest.fixture(params=[18, 19])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return stocked(request.param)


def line(account: str, amount: str, books: str | None = None, **more: Any) -> JournalLine:
    values = {"account": account, "amount": D(amount), "company_amount": D(books or amount)}
    return JournalLine(**{"currency": "USD", "description": CHART[account], **values, **more})


PAYOUT = (line("1014", "95.50"), line("6200", "4.50"), line("1210", "-100.00"))


def document(*lines: JournalLine, **more: Any) -> JournalDocument:
    values = {
        "key": KEY,
        "company": US,
        "journal": "MISC",
        "on": ON,
        "company_currency": "USD",
        "reference": "po_1",
        "description": "Payout <po_1>",
        "lines": lines or PAYOUT,
    }
    return JournalDocument(**values | more)


def put(erp: Odoo, *documents: JournalDocument) -> dict[str, Any]:
    references = erp.references()
    wanted = documents or (document(),)
    return erp.put_journals([mapper.journal(one, references) for one in wanted])


def seen(erp: Odoo, key: str = KEY) -> SeenJournal:
    return mapper.seen_journal(erp.journals([key])[key])


def kept(shelf: Shelf, key: str = KEY) -> list[dict[str, Any]]:
    return shelf.erp.entries_by_ref().get(key, [])


def codes(refused: dict[int, RemoteError]) -> dict[int, str | None]:
    return {id_: no.code for id_, no in refused.items()}


def balances(entry: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("account", "balance", "amount", "currency")
    return [tuple(one[name] for name in names) for one in entry["lines"]]


def test_the_client_fills_the_role_of_an_erp(shelf: Shelf) -> None:
    erp: Erp = odoo(shelf)
    assert erp.journals([KEY]) == {}


# Creating


def test_an_entry_is_a_draft_with_our_lines_and_seen_as_they_are(shelf: Shelf) -> None:
    erp = odoo(shelf)
    [id_] = put(erp).values()
    [draft] = kept(shelf)
    head = ("id", "name", "type", "state", "company", "date", "amount_total")
    assert tuple(draft[name] for name in head) == (id_, None, "entry", "draft", US, ON, D("100.00"))
    assert balances(draft) == [
        ("1014", D("95.50"), D("95.50"), "USD"),
        ("6200", D("4.50"), D("4.50"), "USD"),
        ("1210", D("-100.00"), D("-100.00"), "USD"),
    ]
    [note] = shelf.call("account.move", "read", [id_], ["narration"])
    assert note["narration"] == "po_1: Payout &lt;po_1&gt;"
    found = seen(erp)
    assert (found.key, found.remote_id, found.state, found.number) == (KEY, id_, "draft", None)
    assert (found.booked_on, found.total_amount, found.lines) == (None, D("100.00"), 3)
    assert found.totals == {
        ("1014", "USD"): Total(D("95.50"), D("95.50")),
        ("6200", "USD"): Total(D("4.50"), D("4.50")),
        ("1210", "USD"): Total(D("-100.00"), D("-100.00")),
    }


def test_a_line_in_another_currency_keeps_both_amounts(shelf: Shelf) -> None:
    shelf.erp.currency("EUR")
    euros = {"currency": "EUR"}
    lines = (
        line("1014", "104.30"),
        line("6200", "2.00", "2.18", **euros),
        line("1210", "-100.00", "-109.00", **euros),
        line("6410", "0", "2.52", **euros),
    )
    erp = odoo(shelf)
    put(erp, document(*lines))
    [draft] = kept(shelf)
    assert balances(draft)[1:] == [
        ("6200", D("2.18"), D("2.00"), "EUR"),
        ("1210", D("-109.00"), D("-100.00"), "EUR"),
        ("6410", D("2.52"), D(0), "EUR"),
    ]
    found = seen(erp)
    assert found.totals["6410", "EUR"] == Total(D("0.00"), D("2.52"))
    assert found.totals["1210", "EUR"] == Total(D("-100.00"), D("-109.00"))
    assert found.total_amount == D("109.00")


def test_an_entry_of_another_company_uses_its_own_journal_and_account(shelf: Shelf) -> None:
    lines = (
        line("1210", "8", currency="GBP"),
        line("1210", "-8", currency="GBP"),
    )
    erp = odoo(shelf)
    put(erp, document(*lines, company="Acme UK Ltd", company_currency="GBP"))
    [draft] = kept(shelf)
    assert (draft["company"], [one[0] for one in balances(draft)]) == (
        "Acme UK Ltd",
        ["1210", "1210"],
    )
    assert seen(erp).totals == {("1210", "GBP"): Total(D("0.00"), D("0.00"))}


def test_a_party_is_found_by_its_reference_and_an_unknown_one_stops_its_entry(shelf: Shelf) -> None:
    erp = odoo(shelf)
    named = document(line("1210", "5", party="ada"), line("1014", "-5"), key="a")
    unknown = document(line("1210", "5", party="eve"), line("1014", "-5"), key="b")
    answers = put(erp, named, unknown)
    assert answers["b"].code == "party_unknown"
    assert kept(shelf, "b") == []
    assert [one["partner"] for one in kept(shelf, "a")[0]["lines"]] == ["Ada", None]


def test_an_unknown_code_is_told_with_its_company_and_nothing_is_sent(shelf: Shelf) -> None:
    references = odoo(shelf).references()
    bad = document(*PAYOUT, journal="PSP", company="Acme UK Ltd", company_currency="GBP")
    with pytest.raises(Rejected) as caught:
        mapper.journal(bad, references)
    assert [(one.code, one.message.partition(";")[0]) for one in caught.value.problems] == [
        ("erp.journal_unknown", "Odoo has no single journal 'PSP' in company 'Acme UK Ltd'"),
        ("erp.account_unknown", "Odoo has no single account '1014' in company 'Acme UK Ltd'"),
        ("erp.account_unknown", "Odoo has no single account '6200' in company 'Acme UK Ltd'"),
    ]
    assert all(one.message.endswith("nothing was sent") for one in caught.value.problems)
    assert shelf.erp.entries_by_ref() == {}


def test_a_repeated_call_makes_no_second_entry_and_no_second_line(shelf: Shelf) -> None:
    erp = odoo(shelf)
    ids = [put(erp)[KEY] for _ in range(3)]
    assert len(set(ids)) == 1
    assert [len(one["lines"]) for one in kept(shelf)] == [3]


def test_a_refused_entry_stays_an_empty_draft_that_cannot_be_posted_but_filled(
    shelf: Shelf,
) -> None:
    erp = odoo(shelf)
    bad = mapper.journal(document(), erp.references())
    bad["lines"][0]["debit"] = "95.49"
    bad["lines"][0]["amount_currency"] = "95.49"
    answers = erp.put_journals([bad, mapper.journal(document(key="good"), erp.references())])
    refusal = answers[KEY]
    assert isinstance(refusal, Refused)
    assert refusal.message == "The entry is not balanced."
    assert answers["good"] == seen(erp, "good").remote_id
    empty = seen(erp)
    assert (empty.lines, empty.total_amount) == (0, D(0))
    assert codes(erp.post_journals([empty.remote_id])) == {empty.remote_id: "empty"}
    assert put(erp) == {KEY: empty.remote_id}
    assert seen(erp).lines == 3


def test_twins_of_one_key_are_for_a_person(shelf: Shelf) -> None:
    erp = odoo(shelf)
    put(erp)
    by_hand = shelf.call("account.move", "create", {"move_type": "entry", "ref": KEY})
    assert [twin["id"] for twin in erp.journals([KEY])[KEY]["twins"]] == [by_hand]
    assert seen(erp).twins == 1
    assert put(erp)[KEY].code == "doubled"
    assert "error" not in shelf.answer("account.move", "button_cancel", [by_hand])
    assert put(erp)[KEY] == seen(erp).remote_id


def test_a_call_that_arrives_twice_writes_the_lines_once(shelf: Shelf) -> None:
    shelf.erp.faults.plan(Fault(Trouble.TWICE, "account.move", times=9))
    put(odoo(shelf))
    assert [(one["amount_total"], len(one["lines"])) for one in kept(shelf)] == [(D("100.00"), 3)]


def test_a_lost_race_is_run_again(shelf: Shelf) -> None:
    erp = odoo(shelf)
    shelf.erp.serialize_races(1)
    assert put(erp) == {KEY: seen(erp).remote_id}
    assert len(kept(shelf)) == 1


@pytest.mark.parametrize("step", ["account.move.load", "account.move.write"])
def test_a_lost_answer_is_unknown_and_the_next_call_finishes(shelf: Shelf, step: str) -> None:
    erp = odoo(shelf)
    shelf.erp.faults.plan(Fault(Trouble.CUT_AFTER, step))
    with pytest.raises(UnknownOutcome):
        put(erp)
    put(erp)
    assert [(one["amount_total"], len(one["lines"])) for one in kept(shelf)] == [(D("100.00"), 3)]


# Posting


def test_posting_gives_a_number_once_and_leaves_the_entry_alone_after(shelf: Shelf) -> None:
    erp = odoo(shelf)
    [id_] = put(erp).values()
    assert erp.post_journals([id_]) == {}
    assert erp.post_journals([id_]) == {}
    found = seen(erp)
    assert (found.state, found.number, found.booked_on) == ("posted", "MISC/2026/11/0001", ON)
    assert shelf.erp.count("account.move.action_post") == 1
    assert put(erp) == {KEY: id_}
    assert seen(erp).lines == 3


def test_another_day_than_asked_is_a_problem_of_the_call_and_seen_ever_after(shelf: Shelf) -> None:
    erp = odoo(shelf)
    shelf.erp.close_books(US, date(2026, 11, 19))
    ids = put(erp, document(), document(key="open", on=date(2026, 11, 20)))
    refused = erp.post_journals(list(ids.values()))
    assert codes(refused) == {ids[KEY]: "other_day"}
    assert "on 2026-11-20 instead of 2026-11-18" in str(refused[ids[KEY]])
    assert erp.post_journals(list(ids.values())) == {}
    assert (seen(erp).state, seen(erp).booked_on) == ("posted", date(2026, 11, 20))


def test_one_that_cannot_be_posted_does_not_stop_the_others(shelf: Shelf) -> None:
    erp = odoo(shelf)
    ids = put(erp, document(), document(key="bad"))
    assert "error" not in shelf.answer("account.move", "button_cancel", [ids["bad"]])
    refused = erp.post_journals([ids["bad"], ids[KEY], 999])
    assert {id_: type(no) for id_, no in refused.items()} == {ids["bad"]: Refused, 999: Missing}
    assert (seen(erp).state, seen(erp, "bad").state) == ("posted", "cancelled")


def test_a_lost_answer_to_posting_is_unknown_and_the_entry_has_one_number(shelf: Shelf) -> None:
    erp = odoo(shelf)
    [id_] = put(erp).values()
    shelf.erp.faults.plan(Fault(Trouble.CUT_AFTER, "account.move.action_post"))
    with pytest.raises(UnknownOutcome):
        erp.post_journals([id_])
    assert erp.post_journals([id_]) == {}
    assert seen(erp).number == "MISC/2026/11/0001"


def test_an_entry_that_somebody_took_back_is_seen_as_reversed(shelf: Shelf) -> None:
    erp = odoo(shelf)
    [id_] = put(erp).values()
    erp.post_journals([id_])
    at = {"active_model": "account.move", "active_id": id_, "active_ids": [id_]}
    values = {"reason": "wrong", "journal_id": 3, "date": "2026-11-20"}
    wizard = shelf.call("account.move.reversal", "create", values, context=at)
    made = shelf.call("account.move.reversal", "refund_moves", [wizard], context=at)["res_id"]
    assert seen(erp).state == "posted"
    assert shelf.call("account.move", "action_post", [made]) is False
    assert (seen(erp).state, seen(erp).twins) == ("reversed", 0)


@pytest.mark.parametrize("version", [18, 19])
def test_entries_broken_off_anywhere_are_there_and_posted_once(version: int) -> None:
    def everything(shelf: Shelf) -> None:
        erp = odoo(shelf)
        ids = put(erp, document(), document(key="second"))
        assert erp.post_journals(list(ids.values())) == {}

    def check(shelf: Shelf) -> None:
        found = shelf.erp.entries_by_ref()
        shown = {
            key: [(one["state"], one["amount_total"], len(one["lines"])) for one in entries]
            for key, entries in found.items()
        }
        whole = [("posted", D("100.00"), 3)]
        assert shown == {KEY: whole, "second": whole}
        numbers = sorted(entries[0]["name"] for entries in found.values())
        assert numbers == ["MISC/2026/11/0001", "MISC/2026/11/0002"]

    assert killed_everywhere(lambda: stocked(version), everything, check) == 4


# Invoices


def invoices(erp: Odoo, since: datetime = NOON - timedelta(hours=1)) -> dict[str, dict[str, Any]]:
    """Rows of the invoices that changed, by their number or reference."""
    pages = erp.invoices_changed_since(since, timedelta(minutes=5))
    raws = [raw for page in pages for raw in page if isinstance(raw, Raw)]
    rows = [mapper.invoice("odoo", raw.resource_id, raw.body) for raw in raws]
    return {row["number"] or row["invoice_ref"]: row for row in rows}


def test_an_invoice_and_its_credit_memo_are_told_with_the_order_they_are_for(shelf: Shelf) -> None:
    shelf.erp.add_tax(US, "VAT 20%", 20)
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    id_ = shelf.erp.invoice("us:1")
    [memo] = put_memos(erp, memo_document(order, memo_line(shelf, "9.99"))).values()
    erp.post_credit_memos([memo])
    found = invoices(erp)
    assert found["INV/2026/00001"] == {
        "invoice_ref": f"odoo:{id_}",
        "system": "odoo",
        "order_ref": "us:1",
        "number": "INV/2026/00001",
        "state": "posted",
        "kind": "invoice",
        "currency": "USD",
        "total_amount": D("19.98"),
        "tax_amount": D("0.00"),
        "invoiced_on": date(2026, 11, 20),
    }
    credit = found["RINV/2026/00001"]
    assert (credit["kind"], credit["order_ref"], credit["total_amount"]) == (
        "credit_memo",
        "us:1",
        D("9.99"),
    )
    # Entries are no invoices.
    put(erp)
    assert len(invoices(erp)) == 2


def test_a_memo_whose_lines_name_no_order_is_known_by_its_origin(shelf: Shelf) -> None:
    erp, order = odoo(shelf), sell(shelf, "us:1", MUG=2)
    [memo] = put_memos(erp, memo_document(order, memo_line(shelf, "9.99"))).values()
    draft = invoices(erp)[f"odoo:{memo}"]
    assert (draft["order_ref"], draft["state"], draft["number"]) == ("us:1", "draft", None)


def test_an_invoice_by_hand_is_of_no_order_and_one_for_two_orders_of_neither(shelf: Shelf) -> None:
    sell(shelf, "us:1", MUG=1)
    sell(shelf, "us:2", PEN=1)
    rows = shelf.call("sale.order.line", "search_read", [], ["product_id"], order="id")
    lines = [
        [0, 0, {"product_id": row["product_id"][0], "sale_line_ids": [[6, 0, [row["id"]]]]}]
        for row in rows
    ]
    values = {"move_type": "out_invoice", "partner_id": shelf.ada, "invoice_date": "2026-11-20"}
    both = shelf.call("account.move", "create", {**values, "invoice_line_ids": lines})
    plain = shelf.call("account.move", "create", values)
    found = invoices(odoo(shelf))
    assert [found[f"odoo:{n}"]["order_ref"] for n in (both, plain)] == [None, None]


def test_only_what_changed_since_is_told_and_the_overlap_is_kept(shelf: Shelf) -> None:
    sell(shelf, "us:1", MUG=1)
    shelf.erp.invoice("us:1")
    erp = odoo(shelf)
    assert len(invoices(erp, NOON + timedelta(minutes=4))) == 1
    assert invoices(erp, NOON + timedelta(minutes=6)) == {}


# The stand-in


def refused(shelf: Shelf, *lines: dict[str, Any], **head: Any) -> tuple[str, str]:
    commands = [[0, 0, line] for line in lines]
    values = {"journal_id": 3, "date": "2026-11-18", **head, "line_ids": commands}
    return shelf.refusal("account.move", "create", values)


def test_a_code_is_seen_by_its_own_company_only(shelf: Shelf) -> None:
    companies = {1: [*CHART], 2: ["1210"], 3: []}
    for company, codes in companies.items():
        context = {"allowed_company_ids": [company]}
        rows = shelf.call("account.account", "search_read", [], ["code"], context=context)
        assert [row["code"] for row in rows] == codes
    [shared] = shelf.call("account.account", "read", [1], ["display_name", "code"])
    assert (shared["display_name"], shared["code"]) == ("1014 Bank", "1014")
    [other] = shelf.call("account.account", "read", [5], ["display_name", "code"])
    assert (other["display_name"], other["code"]) == ("Stripe clearing", False)


def test_lines_that_odoo_would_not_keep_are_refused(shelf: Shelf) -> None:
    euro = shelf.erp.currency("EUR")
    counter = {"account_id": 2, "credit": 5}
    wrong = {"account_id": 1, "debit": 5, "amount_currency": -4, "currency_id": euro}
    assert "must be positive when account is debited" in refused(shelf, wrong, counter)[1]
    assert "Missing required account" in refused(shelf, {"debit": 5}, counter)[1]
    assert "no company crossover" in refused(shelf, {"account_id": 5, "debit": 5}, counter)[1]
    # In the company's own currency the amount wins over debit and credit.
    own = {"account_id": 1, "debit": 5, "amount_currency": 4}
    assert refused(shelf, own, counter) == ("UserError", "The entry is not balanced.")
    assert shelf.erp.entries_by_ref() == {}


# Recordings


recorded = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings of real Odoo servers are not beside the project"
)


def charted(version: int) -> Recorded:
    """A stand-in with the recorded chart of accounts."""
    kept = Recorded(version, "2026-11-20 18:55:00")
    chart = next(iter(_pairs(version, "settlement")))["response"]["body"]["result"]
    for account in sorted(chart, key=lambda account: int(account["id"])):
        kept.make("account.account", account["id"], **account)
    return kept


def made(pair: Pair) -> int | None:
    """The id a recorded call made."""
    result = pair["response"]["body"].get("result")
    return int(result[0]) if _called(pair)[1] == "create" and result else None


@recorded
@BOTH
def test_the_stand_in_keeps_entries_as_recorded(version: int) -> None:
    kept, pairs = charted(version), list(_pairs(version, "settlement"))
    for place, pair in enumerate(pairs):
        if place == len(pairs) - 3:  # what the administrator did in between
            kept.erp.close_books("YourCompany", date(2025, 12, 31))
        if (id_ := made(pair)) is not None:
            kept.erp.next_id("account.move", id_)
        assert kept.replay([pair]) == 1
    assert len(pairs) == 16


@recorded
@BOTH
def test_the_stand_in_finds_journals_accounts_and_lines_as_recorded(version: int) -> None:
    kept, pairs = charted(version), list(_pairs(version, "reconcile"))
    asked = pairs[: next(n for n, p in enumerate(pairs) if _called(p)[1] == "reconcile")]
    lines = asked[-1]["response"]["body"]["result"]
    kept.erp.next_id("account.move.line", min(line["id"] for line in lines))
    for pair in asked:
        if (id_ := made(pair)) is not None:
            kept.erp.next_id(_called(pair)[0], id_)
        assert kept.replay([pair]) == 1
    assert len(asked) == 9


@recorded
@BOTH
def test_our_lines_have_the_recorded_form(version: int) -> None:
    [first, *_] = [p for p in _pairs(version, "settlement") if _called(p)[1] == "create"]
    [[theirs]] = _args(first)[5]
    references = {
        "company": {"Acme": 1},
        "company_currency": {"Acme": 1},
        "currency": {"USD": 1},
        "journal": {"Acme/MISC": 3},
        "account": {"Acme/1014": 45, "Acme/6200": theirs["line_ids"][1][2]["account_id"]}
        | {"Acme/1210": 1},
    }
    payload = mapper.journal(document(company="Acme", key=theirs["ref"]), references)
    move = {"id": 35, "state": "draft", "date": theirs["date"], "line_ids": []}
    tape = Tape().play("account.move", "search_read", said([]), said([move]))
    tape.play("account.move", "load", said({"ids": [35], "messages": []}))
    tape.play("account.move", "write", said(True))
    assert taped(tape).put_journals([payload]) == {theirs["ref"]: 35}
    [[columns, [row]]] = [call.args for call in tape.of("account.move", "load")]
    head = dict(zip(columns, row, strict=True))
    assert (head["ref"], head["move_type"], head["journal_id/.id"]) == (theirs["ref"], "entry", "3")
    [write] = tape.of("account.move", "write")
    [clear, *ours] = write.args[1]["line_ids"]
    assert clear == [5, 0, 0]
    same = ("account_id", "debit", "credit")
    assert [{name: one[2][name] for name in same} for one in ours] == [
        {name: one[2][name] for name in same} for one in theirs["line_ids"]
    ]
    assert [one[2]["tax_ids"] for one in ours] == [[[6, 0, []]]] * 3
