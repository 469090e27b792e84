"""Journal entries in Tryton: once per key, in the period of their day; and its invoices with the
orders they are for. Recordings and a real server.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import sync_assets.mappers.tryton_journals as mapper
import sync_assets.mappers.tryton_memos as memos
from resources.errors import Missing, RemoteError, UnknownOutcome
from resources.pages import Raw
from resources.systems.roles import Erp
from resources.systems.tryton import Tryton
from resources.systems.tryton_journals import _Parties
from sync_assets.domain.journals import JournalDocument, JournalLine, SeenJournal, Total
from sync_assets.ops import tryton_seed
from tests.contracts.test_tryton_client import Call, erp, said, user_error
from tests.contracts.test_tryton_memos import credit
from tests.contracts.test_tryton_memos import line as memo_line
from tests.contracts.test_tryton_stock import entries
from tests.contracts.tryton_house import House, Killed, running_house
from tests.contracts.tryton_tables import Tables

D = Decimal
live = pytest.mark.tryton
DAY = date(2026, 11, 20)
BANK, CLEARING, FEES = "1.1.1", "1.1.9", "5.9.9"


def line(account: str, amount: str, books: str | None = None, **more: Any) -> JournalLine:
    values = {"account": account, "amount": D(amount), "company_amount": D(books or amount)}
    return JournalLine(**{"currency": "EUR", "description": "", **values, **more})


PAYOUT = (line(BANK, "95.50"), line(FEES, "4.50"), line(CLEARING, "-100.00"))


def document(key: str, *lines: JournalLine, **more: Any) -> JournalDocument:
    values = {
        "key": key,
        "company": tryton_seed.COMPANY,
        "journal": "PSP",
        "on": DAY,
        "company_currency": "EUR",
        "reference": "po_1",
        "description": "Payout",
        "lines": lines or PAYOUT,
    }
    return JournalDocument(**values | more)


def codes(refused: dict[Any, Any]) -> dict[Any, str | None]:
    return {key: no.code for key, no in refused.items() if isinstance(no, RemoteError)}


def put(client: Tryton, *documents: JournalDocument) -> dict[str, Any]:
    references = client.references()
    return client.put_journals([mapper.journal(one, references) for one in documents])


def seen(client: Tryton, key: str) -> SeenJournal:
    return mapper.seen_journal(client.journals([key])[key])


# A real server


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as found:
        with found.server._admin() as admin:
            _open_clearing(admin)
        yield found


def _open_clearing(admin: Any) -> None:
    """A journal and accounts for a payment provider."""
    [kind] = admin.search("account.account", [["code", "=", BANK]], ("type", "company"))
    values = {"type": kind["type"], "company": kind["company"], "reconcile": False}
    names = ((CLEARING, "PSP clearing"), (FEES, "PSP fees"))
    admin.write(
        "model.account.account.create",
        [{**values, "code": code, "name": name} for code, name in names],
    )
    journal = {"name": "PSP settlements", "code": "PSP", "type": "general"}
    admin.write("model.account.journal.create", [journal])


def held(house: House, key: str) -> list[int]:
    rows = house.erp.rpc.search("account.move", [["description", "=", key]], ("state",))
    return [row["id"] for row in rows]


@live
def test_an_entry_is_a_draft_and_then_posted_once_with_a_number(house: House) -> None:
    key = "settlement:stripe_eu:po_1:2026-11:1"
    assert house.erp.journals([key]) == {}
    [number] = put(house.erp, document(key)).values()
    assert put(house.erp, document(key)) == {key: number}
    assert held(house, key) == [number]
    draft = seen(house.erp, key)
    assert (draft.state, draft.number, draft.booked_on, draft.lines) == ("draft", None, None, 3)
    assert house.erp.post_journals([number]) == {}
    assert house.erp.post_journals([number]) == {}
    posted = seen(house.erp, key)
    assert (posted.state, posted.booked_on, posted.total_amount) == ("posted", DAY, D("100.00"))
    assert posted.number
    assert (posted.key, posted.remote_id, posted.twins) == (key, number, 0)
    assert posted.totals == {
        (BANK, "EUR"): Total(D("95.50"), D("95.50")),
        (FEES, "EUR"): Total(D("4.50"), D("4.50")),
        (CLEARING, "EUR"): Total(D("-100.00"), D("-100.00")),
    }
    told = {line["description"] for line in posted.payload["lines"]}  # type: ignore[attr-defined]
    assert told == {"po_1: Payout"}
    assert put(house.erp, document(key)) == {key: number}


@live
def test_a_line_in_another_currency_keeps_both_amounts(house: House) -> None:
    dollars = {"currency": "USD"}
    lines = (
        line(BANK, "92.30"),
        line(FEES, "2.00", "1.85", **dollars),
        line(CLEARING, "-102.00", "-94.44", **dollars),
        line(FEES, "0", "0.29", **dollars),
    )
    [number] = put(house.erp, document("fx", *lines)).values()
    assert house.erp.post_journals([number]) == {}
    found = seen(house.erp, "fx")
    assert found.totals == {
        (BANK, "EUR"): Total(D("92.30"), D("92.30")),
        (FEES, "USD"): Total(D("2.00"), D("2.14")),
        (CLEARING, "USD"): Total(D("-102.00"), D("-94.44")),
    }
    assert (found.state, found.total_amount) == ("posted", D("94.44"))


@live
def test_an_entry_stands_in_the_period_of_its_day_and_a_day_without_one_is_refused(
    house: House,
) -> None:
    early, gone = date(2026, 2, 3), date(2019, 1, 5)
    answers = put(house.erp, document("early", on=early), document("gone", on=gone))
    assert codes(answers) == {"gone": "no_period"}
    assert house.erp.post_journals([answers["early"]]) == {}
    assert seen(house.erp, "early").booked_on == early
    assert seen(house.erp, "early").payload["period."]["name"].endswith("02")  # type: ignore[index]
    assert held(house, "gone") == []


@live
def test_a_closed_period_takes_no_entry(house: House) -> None:
    domain = [["start_date", "=", date(2026, 3, 1)], ["type", "=", "standard"]]
    with house.server._admin() as admin:
        [period] = admin.search("account.period", domain, ("name",))
        admin.write("model.account.period.close", [period["id"]])
        answers = put(house.erp, document("late", on=date(2026, 3, 15)))
        admin.write("model.account.period.reopen", [period["id"]])
    assert codes(answers) == {"late": "period_closed"}
    assert "for 2026-03-15; nothing was sent" in answers["late"].message
    assert held(house, "late") == []


@live
def test_a_party_is_named_only_where_the_account_asks_for_one(house: House) -> None:
    with house.server._admin() as admin:
        domain = [["type.receivable", "=", True], ["closed", "!=", True]]
        [account, *_] = admin.search("account.account", domain, ("code",))
    house.order()
    customer = "eu:customer:5"
    owed = line(account["code"], "5.00", party=customer)
    paid = line(BANK, "-5.00", party=customer)
    nobody = line(account["code"], "5.00", party="eu:customer:404")
    answers = put(house.erp, document("owed", owed, paid), document("nobody", nobody, paid))
    assert codes(answers) == {"nobody": "party_unknown"}
    assert house.erp.post_journals([answers["owed"]]) == {}
    payload = seen(house.erp, "owed").payload
    named = [(row["account."]["code"], row["party."]) for row in payload["lines"]]  # type: ignore[attr-defined]
    assert [code for code, party in named if party] == [account["code"]]
    assert held(house, "nobody") == []


@live
def test_killed_after_any_call_there_is_one_entry_with_one_number(house: House) -> None:
    deaths: list[str] = []
    for writes in range(1, 9):
        key = f"killed:{writes}"
        payload = mapper.journal(document(key), house.erp.references())
        house.killed_after(writes)
        try:
            found = house.erp.put_journals([payload])
            house.erp.post_journals([int(str(found[key]))])
        except Killed as death:
            deaths.append(death.args[0])
        else:
            house.wire.left = None
            break
        [number] = put(house.erp, document(key)).values()
        assert house.erp.post_journals([number]) == {}
        assert held(house, key) == [number], deaths[-1]
        whole = seen(house.erp, key)
        assert (whole.state, whole.total_amount, whole.lines) == ("posted", D("100.00"), 3)
    assert [name.rpartition(".")[2] for name in deaths] == ["create", "post"]


@live
def test_of_two_drafts_of_one_key_the_first_stays(house: House) -> None:
    [number] = put(house.erp, document("twice")).values()
    payload = mapper.journal(document("twice"), house.erp.references())
    nobody = _Parties(house.erp.rpc, [])
    assert house.erp.entries._create(payload, nobody) == number
    assert held(house, "twice") == [number]


@live
def test_an_entry_that_somebody_took_back_is_seen_as_reversed(house: House) -> None:
    [number] = put(house.erp, document("undone")).values()
    assert house.erp.post_journals([number]) == {}
    with house.server._admin() as admin:
        at = {"active_model": "account.move", "active_id": number, "active_ids": [number]}
        wizard = "wizard.account.move.cancel"
        [session, *_] = admin.write(f"{wizard}.create", **at)
        data = {"default": {"description": "undone", "reversal": True}}
        admin.write(f"{wizard}.execute", session, data, "cancel", **at)
    # The entry that takes it back is posted at once, and carries our key as well.
    assert len(held(house, "undone")) == 2
    found = seen(house.erp, "undone")
    assert (found.remote_id, found.state, found.twins) == (number, "reversed", 0)
    assert put(house.erp, document("undone")) == {"undone": number}


@live
def test_an_entry_that_is_not_there_is_missing(house: House) -> None:
    assert isinstance(house.erp.post_journals([999_999])[999_999], Missing)


def invoices(client: Tryton, since: datetime) -> dict[str, dict[str, Any]]:
    pages = client.invoices_changed_since(since, timedelta(seconds=5))
    raws = [raw for page in pages for raw in page if isinstance(raw, Raw)]
    return {raw.resource_id: mapper.invoice("tryton", raw.resource_id, raw.body) for raw in raws}


@live
def test_an_invoice_and_its_credit_memo_are_told_with_the_order_they_are_for(house: House) -> None:
    since, today = datetime.now(UTC), date.fromisoformat(house.erp.rpc.read("model.ir.date.today"))
    key, order = house.order(SKU_1=(3, "30.00"))
    [invoice] = house.sale(order)["invoices"]
    told = credit(key, order, memo_line(house, "SKU-1", 1, "10.00"), issued_on=today)
    payload = memos.credit_memo(told, house.erp.references())
    number = house.erp.put_credit_memos([payload])[told.key]
    assert house.erp.post_credit_memos([int(str(number))]) == {}
    back = house.erp.reverse_credit_memos({int(str(number)): f"{told.key}:back"}, today)
    found = invoices(house.erp, since)
    assert found[str(invoice)] == {
        "invoice_ref": f"tryton:{invoice}",
        "system": "tryton",
        "order_ref": key,
        "number": None,
        "state": "draft",
        "kind": "invoice",
        "currency": "EUR",
        "total_amount": D("35.70"),
        "tax_amount": D("5.70"),
        "invoiced_on": None,
    }
    memo = found[str(number)]
    assert (memo["kind"], memo["order_ref"], memo["state"]) == ("credit_memo", key, "posted")
    assert (memo["total_amount"], memo["tax_amount"]) == (D("11.90"), D("1.90"))
    assert memo["invoiced_on"] == today
    counter = found[str(next(iter(back.values())))]
    assert (counter["kind"], counter["order_ref"]) == ("invoice", key)


# Recordings and prepared answers


MOVE, LINE = "account.move", "account.move.line"
REFS = {
    "company": {tryton_seed.COMPANY: 1},
    "company_currency": {tryton_seed.COMPANY: 46},
    "currency": {"EUR": 46, "USD": 47},
    "journal": {f"{tryton_seed.COMPANY}/PSP": 8},
    "account": {
        f"{tryton_seed.COMPANY}/{code}": id_
        for code, id_ in ((BANK, 35), (CLEARING, 136), (FEES, 137))
    },
}


def day(year: int, month: int, date: int) -> dict[str, Any]:
    return {"__class__": "date", "year": year, "month": month, "day": date}


@dataclass
class Ledger(Tables):
    """The books with the recorded period."""

    def __post_init__(self) -> None:
        span = {"start_date": day(2026, 11, 1), "end_date": day(2026, 11, 30)}
        period = {"id": 19, "name": "2026-11", "state": "open", "company": 1, "type": "standard"}
        self.rows |= {
            MOVE: [],
            LINE: [],
            "account.period": [{**period, **span}],
            "account.account": [{"id": 35, "party_required": False}],
            "party.party": [],
        }
        self.buttons[f"model.{MOVE}.post"] = self.posted

    def posted(self, call: Call) -> None:
        self.row(MOVE, call.params[0][0]).update({"state": "posted", "number": "5"})

    def _created(self, model: str, call: Call) -> list[int]:
        made = super()._created(model, call)
        for number in made:
            row = self.row(model, number)
            currency = {"code": "EUR"}
            row |= {"state": "draft", "company.": {"id": 1, "currency.": currency}}
            row |= {"number": None}
        return made


def wanted(key: str = "A-PAYOUT-po_001", *lines: JournalLine) -> dict[str, Any]:
    return mapper.journal(document(key, *lines), REFS)


def test_the_client_fills_the_role_of_an_erp() -> None:
    client: Erp = erp(Ledger())
    assert client.journals(["a"]) == {}


def test_an_entry_is_made_with_the_recorded_values(recordings: Path) -> None:
    theirs = entries(recordings, "settlement")[1]["request"]["body"]["params"][0][0]
    ledger = Ledger()
    assert erp(ledger).put_journals([wanted()]) == {"A-PAYOUT-po_001": 1}
    (ours,) = ledger.asked(f"model.{MOVE}.create")[0].params[0]
    same = ("journal", "date", "description")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert (ours["period"], ours["company"]) == (19, 1)
    ((_, our_lines),), ((_, their_lines),) = ours["lines"], theirs["lines"]
    for name in ("account", "debit", "credit"):
        assert [_plain(one[name]) for one in our_lines] == [_plain(t[name]) for t in their_lines]


def _plain(value: Any) -> Any:
    return D(value["decimal"]) if isinstance(value, dict) else value


def test_the_recorded_refusals_are_told_and_stop_nothing_else(recordings: Path) -> None:
    recorded = entries(recordings, "settlement")
    unbalanced = recorded[5]["response"]["body"]
    ledger = Ledger()
    erp(ledger).put_journals([wanted(), wanted("other")])
    ledger.play(f"model.{MOVE}.post", unbalanced)
    refused = erp(ledger).post_journals([1, 2])
    assert list(refused) == [1]
    assert "you must balance all its lines" in refused[1].message
    assert ledger.row(MOVE, 2)["state"] == "posted"
    party = recorded[-1]["response"]["body"]
    ledger.play(f"model.{MOVE}.create", party)
    [no] = erp(ledger).put_journals([wanted("third")]).values()
    assert 'required for field "Party"' in str(no)


def test_a_foreign_line_has_its_amount_beside_with_the_sign_of_the_line() -> None:
    lines = (
        line(BANK, "92.59"),
        line(CLEARING, "-100.00", "-92.70", currency="USD"),
        line(FEES, "0", "0.11", currency="USD"),
    )
    names = ("debit", "credit", "second_currency", "amount_second_currency")
    assert [tuple(one[name] for name in names) for one in wanted("fx", *lines)["lines"]] == [
        (D("92.59"), D(0), None, None),
        (D(0), D("92.70"), 47, D("-100.00")),
        (D("0.11"), D(0), 47, D(0)),
    ]


def test_a_repeated_call_makes_no_second_draft_and_posts_once() -> None:
    ledger = Ledger()
    assert erp(ledger).put_journals([wanted()]) == erp(ledger).put_journals([wanted()])
    assert erp(ledger).post_journals([1, 1]) == {}
    assert erp(ledger).post_journals([1]) == {}
    assert ledger.count(f"model.{MOVE}.create") == 1
    assert ledger.count(f"model.{MOVE}.post") == 1


def test_of_twins_made_at_the_same_moment_the_later_is_deleted_and_never_posted() -> None:
    ledger = Ledger()

    def another_was_first(call: Call) -> dict[str, Any]:
        twin = {"id": 1, "description": "A-PAYOUT-po_001", "state": "draft"}
        ledger.rows[MOVE].append(twin)
        return said(ledger._created(MOVE, call))

    ledger.play(f"model.{MOVE}.create", another_was_first)
    ledger.play(f"model.{MOVE}.delete", said(None))
    assert erp(ledger).put_journals([wanted()]) == {"A-PAYOUT-po_001": 1}
    assert [call.params for call in ledger.sent("delete")] == [[[2]]]
    assert codes(erp(ledger).post_journals([2])) == {2: "twin"}
    assert ledger.count(f"model.{MOVE}.post") == 0


def test_what_somebody_else_posted_meanwhile_is_no_refusal() -> None:
    ledger = Ledger()
    erp(ledger).put_journals([wanted()])

    def too_late(call: Call) -> dict[str, Any]:
        ledger.posted(call)
        return user_error('You can not call "post" on "1" of "Account Move".')

    ledger.play(f"model.{MOVE}.post", too_late)
    assert erp(ledger).post_journals([1]) == {}


def test_a_second_posted_entry_of_a_key_is_told_and_a_draft_is_not() -> None:
    ledger = Ledger()
    ledger.rows[MOVE] = [
        {"id": number, "description": "k", "state": state, "date": day(2026, 11, 20)}
        for number, state in enumerate(("draft", "posted", "posted"), start=1)
    ]
    (found,) = erp(ledger).journals(["k", "k"]).values()
    assert (found["id"], found["twins"]) == (2, [3])


@pytest.mark.parametrize("step", ["create", "post"])
def test_a_lost_answer_is_an_unknown_outcome_and_the_next_call_finishes(step: str) -> None:
    ledger = Ledger()

    def lost(call: Call) -> httpx.ReadTimeout:
        ledger._created(MOVE, call) if step == "create" else ledger.posted(call)
        return httpx.ReadTimeout("lost")

    ledger.play(f"model.{MOVE}.{step}", lost)
    client = erp(ledger)
    if step == "post":
        client.put_journals([wanted()])
    with pytest.raises(UnknownOutcome):
        client.post_journals([1]) if step == "post" else client.put_journals([wanted()])
    assert client.put_journals([wanted()]) == {"A-PAYOUT-po_001": 1}
    assert client.post_journals([1]) == {}
    assert [row["state"] for row in ledger.rows[MOVE]] == ["posted"]
    assert ledger.count(f"model.{MOVE}.post") == 1
