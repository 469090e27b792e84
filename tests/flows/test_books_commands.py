"""`sync-assets books`: months, entries, what they are made of, rates and the trial balance."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from typer.testing import CliRunner

from resources.store import postgres
from resources.store.exceptions import NotPossible
from sync_assets.ops.books_commands import app
from sync_assets.settlements import books, rates
from tests.deciding_facts import MARCH, NOON, UK, US, Desk, at_command_line, desk_at
from tests.worlds import spoil

D = Decimal
WHY = ("--note", "month end")


@pytest.fixture
def desk(
    engine: Engine,
    database: postgres.Databases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    found = desk_at(engine, tmp_path, monkeypatch)
    at_command_line(found, database, monkeypatch)
    return found


def said(*words: str) -> tuple[int, str]:
    """Exit code of a command and what it said."""
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout if result.exit_code == 0 else result.stderr


def told(*words: str) -> dict[str, Any]:
    """The JSON a command answers."""
    code, out = said(*words, "--json")
    assert code == 0, out
    found: dict[str, Any] = json.loads(out)
    return found


def refused(desk: Desk, sentence: str, *words: str) -> None:
    """A command is refused with a sentence, and nothing of it is left."""
    before = desk.counts()
    code, page = said(*words)
    assert code == 2
    assert sentence in page
    assert desk.counts() == before


def reverse(desk: Desk, ref: str, at: datetime = NOON) -> books.Found:
    with desk.sitting() as (connection, _):
        return books.reverse(connection, ref, books.Act("ada", "wrong account", at))


def settled(desk: Desk, ref: str = "settlement:1", **more: Any) -> str:
    """An entry of two settled lines: 48.25 to the balance, 1.75 fees, 50.00 off what clears."""
    return desk.journal(
        ref,
        [
            {"account": "1210", "amount": D("48.25"), "item_count": 2},
            {"account": "6100", "account_kind": "fees", "amount": D("1.75")},
            {"account": "1200", "account_kind": "clearing", "amount": D("-50.00")},
        ],
        [
            {"line_no": 1, "source_ref": "txn_1", "amount": D("28.25")},
            {"line_no": 1, "source_ref": "txn_2", "amount": D("20.00")},
            {"line_no": 2, "source_ref": "txn_1", "amount": D("1.75")},
            {"line_no": 3, "source_ref": "txn_1", "amount": D("-30.00")},
            {"line_no": 3, "source_ref": "txn_2", "amount": D("-20.00")},
        ],
        **more,
    )


# ---------------------------------------------------------------- months


def test_a_month_is_closed_and_takes_no_entry_until_it_is_opened(desk: Desk) -> None:
    assert told("close", US, "2026-02", *WHY) == {
        "company": US,
        "period": "2026-02",
        "is_closed": True,
        "open": [],
        "unposted": [],
    }
    with pytest.raises(Exception, match="period 2026-02 of Acme US Inc is closed"):
        settled(desk, on=date(2026, 2, 3))
    refused(desk, "2026-02 of Acme US Inc is closed already", "close", US, "2026-02", *WHY)
    (row,) = told("periods")["periods"]
    assert (row["is_closed"], row["changed_by"], row["note"]) == (True, "ada", "month end")
    code, page = said("reopen", US, "2026-02", "--note", "late invoice", "--by", "bob")
    assert code == 0
    assert "2026-02 of Acme US Inc is open." in page
    settled(desk, on=date(2026, 2, 3))
    refused(desk, "2026-02 of Acme US Inc is not closed", "reopen", US, "2026-02", *WHY)
    assert desk.audit() == [
        ("ada", "books.closed", "Acme US Inc 2026-02"),
        ("bob", "books.reopened", "Acme US Inc 2026-02"),
    ]


def test_open_findings_of_the_month_keep_it_open_unless_somebody_says_why(desk: Desk) -> None:
    desk.open_item("txn_1", "unsettled", "10.00")
    desk.open_item("txn_2", "unsettled", "5.00")
    desk.entry_of_bank("main:7", "3.00")
    desk.open_item("main:7", "bank_unexpected", "3.00", side="bank", provider=None)
    desk.open_item("uk:1", "invoice_missing", side="order", provider=None, order_ref="uk:1")
    sentence = (
        "2026-03 of Acme US Inc has open findings: 1 settlement.bank_unexpected (USD), "
        "2 settlement.unsettled (USD)."
    )
    refused(desk, sentence, "close", US, "2026-03", *WHY)
    assert told("close", US, "2026-02", *WHY)["open"] == []
    assert told("close", US, "2026-03", "--in-spite", *WHY)["open"] == [
        {
            "finding": "settlement.bank_unexpected",
            "currency": "USD",
            "items": 1,
            "amount": "3.00",
        },
        {"finding": "settlement.unsettled", "currency": "USD", "items": 2, "amount": "15.00"},
    ]
    (row,) = desk.rows("select detail from ops.audit where subject_ref like '%03'")
    assert [one["items"] for one in row["detail"]["after"]["open"]] == [1, 2]
    refused(desk, "2026-03 of Acme UK Ltd has open findings: 1 ", "close", UK, "2026-03", *WHY)


def test_closing_shows_what_is_in_no_entry(desk: Desk) -> None:
    desk.payment("us:1:capture", "50.00")
    desk.payment("us:2:capture", "7.00", is_void=True)
    desk.line("txn_1", "50.00")
    desk.line("txn_3", "9.00", occurred_at=datetime(2026, 4, 1, tzinfo=UTC))
    desk.payout("po_1", "48.25")
    found = told("close", US, "2026-03", *WHY)
    assert [(one["what"], one["items"], one["amount"]) for one in found["unposted"]] == [
        ("payments", 1, "50.00"),
        ("payouts", 1, "-48.25"),
        ("settled lines without a match", 1, "50.00"),
    ]
    assert said("close", US, "2026-02", *WHY)[0] == 0


def test_days_of_a_month_are_those_of_the_company(desk: Desk) -> None:
    path = desk.home / "policies" / "settlements.yaml"
    zone = "    currency: USD\n    timezone: America/New_York\n"
    path.write_text(path.read_text().replace("    currency: USD\n", zone))
    evening = datetime(2026, 4, 1, 3, tzinfo=UTC)  # still 31 March in New York
    desk.line("txn_1", "50.00", occurred_at=evening)
    assert len(told("close", US, "2026-03", *WHY)["unposted"]) == 1


@pytest.mark.parametrize(
    ("company", "period", "sentence"),
    [
        ("Acme", "2026-03", "'Acme' is no company of the configuration; known: Acme UK Ltd"),
        (US, "2026-3", "'2026-3' is no month; write it as 2026-03."),
        (US, "2026-13", "'2026-13' is no month"),
        (US, "2126-03", "2126-03 has not begun"),
    ],
)
def test_a_month_that_is_none_is_not_closed(
    desk: Desk, company: str, period: str, sentence: str
) -> None:
    refused(desk, sentence, "close", company, period, *WHY)


# ---------------------------------------------------------------- entries


def test_entries_are_listed_by_month_batch_and_kind_with_the_erps_number(desk: Desk) -> None:
    settled(desk)
    settled(desk, "settlement:2", on=date(2026, 4, 2), batch_ref="stripe_us:po_2")
    settled(desk, "bank:1", kind="bank", company=UK)
    desk.execute(
        "insert into receipt.odoo__journal_entries (system, key, outcome, remote_id, "
        "remote_number, remote_state, wanted_hash, core_version, attempts, answered_at) values "
        "('odoo', 'settlement:1', 'accepted', 7, 'MISC/7', 'posted', 'x', 0, 1, now())"
    )
    first = next(r for r in told("entries")["entries"] if r["entry_ref"] == "settlement:1")
    assert (first["debit_amount"], first["lines"], first["erp_number"]) == ("50.00", 3, "MISC/7")
    for words, refs in (
        (("--period", "2026-04"), ["settlement:2"]),
        (("--batch", "stripe_us:po_2"), ["settlement:2"]),
        (("--company", UK), ["bank:1"]),
        (("--kind", "settlement"), ["settlement:2", "settlement:1"]),
    ):
        assert [row["entry_ref"] for row in told("entries", *words)["entries"]] == refs
    code, page = said("entry", "settlement:1")
    assert code == 0
    for words in ("Made of 5", "txn_2", "MISC/7", "1210"):
        assert words in page


def test_an_entry_leads_to_what_it_is_made_of_with_match_and_rule(desk: Desk) -> None:
    desk.put(
        "core.matches",
        {
            "match_id": 7,
            "rule": "exact",
            "reason": "same id",
            "difference_amount": D(0),
            "currency": "USD",
            "matched_at": MARCH,
            "matched_by": "pipeline",
        },
    )
    desk.journal(
        "settlement:1",
        [{"account": "1210", "amount": D(5)}, {"account": "1200", "amount": D(-5)}],
        [{"line_no": 1, "source_ref": "txn_1", "amount": D(5), "match_id": 7}],
    )
    found = told("entry", "settlement:1")
    (source,) = found["sources"]
    assert (source["source_ref"], source["match_id"], source["rule"]) == ("txn_1", 7, "exact")
    assert [(one["debit_amount"], one["credit_amount"]) for one in found["lines"]] == [
        ("5.00", "0.00"),
        ("0.00", "5.00"),
    ]
    assert found["receipts"] == []
    assert "odoo does not hold it yet." in said("entry", "settlement:1")[1]
    code, page = said("entry", "settlement:9")
    assert code == 2
    assert "There is no entry 'settlement:9'" in page


# ---------------------------------------------------------------- taking back


def lines_of(desk: Desk, ref: str) -> list[tuple[Any, ...]]:
    query = (
        "select account, amount, company_amount, currency from core.journal_lines "
        "where entry_ref = :ref order by line_no"
    )
    return [tuple(row.values()) for row in desk.rows(query, ref=ref)]


def test_an_entry_is_taken_back_whole_and_its_things_are_free_to_be_booked(desk: Desk) -> None:
    settled(desk)
    found = reverse(desk, "settlement:1")
    assert found == {
        "entry_ref": "correction:settlement:1:1",
        "posted_on": date(2026, 3, 20),
        "period": "2026-03",
        "sources": 5,
    }
    assert lines_of(desk, "correction:settlement:1:1") == [
        ("1210", D("-48.25"), D("-48.25"), "USD"),
        ("6100", D("-1.75"), D("-1.75"), "USD"),
        ("1200", D("50.00"), D("50.00"), "USD"),
    ]
    assert desk.rows("select * from core.journal_sources where is_live") == []
    assert desk.rows("select count(*) as n from core.journal_sources") == [{"n": 10}]
    (row,) = desk.rows(
        "select kind, reverses, journal from core.journal_entries where kind = 'correction'"
    )
    assert row == {"kind": "correction", "reverses": "settlement:1", "journal": "MISC"}
    assert desk.audit() == [("ada", "books.reversed", "settlement:1")]
    assert told("trial", "--company", US)["total"]["balance"] == "0.00"
    assert told("entries", "--kind", "settlement")["entries"][0]["reversed_by"] == (
        "correction:settlement:1:1"
    )


def test_an_entry_is_taken_back_once(desk: Desk) -> None:
    settled(desk)
    code, page = said("reverse", "settlement:1", *WHY)
    assert code == 0
    assert "Its 5 sources are booked anew by the next run of the job `settlements`" in page
    again = "settlement:1 was taken back already, by correction:settlement:1:1"
    refused(desk, again, "reverse", "settlement:1", *WHY)
    itself = "takes another entry back itself"
    refused(desk, itself, "reverse", "correction:settlement:1:1", *WHY)
    refused(desk, "There is no entry 'settlement:9'", "reverse", "settlement:9", *WHY)


def test_an_entry_of_a_closed_month_is_not_taken_back(desk: Desk) -> None:
    settled(desk)
    told("close", US, "2026-03", *WHY)
    refused(
        desk, "2026-03 of Acme US Inc is closed. Open it first", "reverse", "settlement:1", *WHY
    )


def test_where_today_is_closed_it_is_the_first_open_day(desk: Desk) -> None:
    settled(desk, on=date(2026, 2, 10))
    for period in ("2026-03", "2026-04"):
        told("close", US, period, *WHY)
    assert reverse(desk, "settlement:1")["posted_on"] == date(2026, 5, 1)


def test_a_part_that_was_taken_back_before_is_not_taken_back_twice(desk: Desk) -> None:
    settled(desk)
    desk.journal(
        "correction:settlement:1:1",
        [
            {"account": "1210", "amount": D("-20.00")},
            {"account": "1200", "account_kind": "clearing", "amount": D("20.00")},
        ],
        kind="correction",
    )
    desk.execute("update core.journal_sources set is_live = false where source_ref = 'txn_2'")
    found = reverse(desk, "settlement:1")
    assert (found["entry_ref"], found["sources"]) == ("correction:settlement:1:2", 3)
    assert lines_of(desk, "correction:settlement:1:2") == [
        ("1210", D("-28.25"), D("-28.25"), "USD"),
        ("6100", D("-1.75"), D("-1.75"), "USD"),
        ("1200", D("30.00"), D("30.00"), "USD"),
    ]
    assert [one["balance"] for one in told("trial", "--company", US)["accounts"]] == ["0.00"] * 3


def test_what_does_not_stand_any_more_is_not_taken_back(desk: Desk) -> None:
    settled(desk)
    desk.execute("update core.journal_sources set is_live = false")
    refused(desk, "Nothing of settlement:1 stands any more", "reverse", "settlement:1", *WHY)


def foreign(desk: Desk) -> str:
    """Two things in EUR that cleared at another rate than they were booked at."""
    eur = {"currency": "EUR"}
    return desk.journal(
        "settlement:1",
        [
            {"account": "1210", "amount": D(30), "company_amount": D("33.00"), **eur},
            {
                "account": "1200",
                "account_kind": "clearing",
                "amount": D(-30),
                "company_amount": D("-32.40"),
                **eur,
            },
            {
                "account": "6950",
                "account_kind": "fx",
                "amount": D(0),
                "company_amount": D("-0.60"),
                "item_count": 0,
                **eur,
            },
        ],
        [
            {"line_no": 1, "source_ref": "txn_1", "amount": D(10), "company_amount": D("11.00")},
            {"line_no": 1, "source_ref": "txn_2", "amount": D(20), "company_amount": D("22.00")},
            {"line_no": 2, "source_ref": "txn_1", "amount": D(-10), "company_amount": D("-10.80")},
            {"line_no": 2, "source_ref": "txn_2", "amount": D(-20), "company_amount": D("-21.60")},
        ],
    )


def test_a_difference_of_exchange_is_taken_back_with_its_entry(desk: Desk) -> None:
    foreign(desk)
    reverse(desk, "settlement:1")
    assert lines_of(desk, "correction:settlement:1:1") == [
        ("1210", D(-30), D("-33.00"), "EUR"),
        ("1200", D(30), D("32.40"), "EUR"),
        ("6950", D(0), D("0.60"), "EUR"),
    ]


def test_exchange_that_a_correction_took_back_is_not_taken_back_twice(desk: Desk) -> None:
    foreign(desk)
    desk.journal(
        "correction:settlement:1:1",
        [
            {"account": "1210", "amount": D(-20), "company_amount": D(-22), "currency": "EUR"},
            {"account": "1200", "amount": D(20), "company_amount": D("21.60"), "currency": "EUR"},
            {
                "account": "6950",
                "account_kind": "fx",
                "amount": D(0),
                "company_amount": D("0.40"),
                "currency": "EUR",
            },
        ],
        kind="correction",
    )
    desk.execute("update core.journal_sources set is_live = false where source_ref = 'txn_2'")
    reverse(desk, "settlement:1")
    found = lines_of(desk, "correction:settlement:1:2")
    assert sum(row[2] for row in found if row[0] == "6950") == D("0.20")
    assert [one["balance"] for one in told("trial", "--company", US)["accounts"]] == ["0.00"] * 3


# ---------------------------------------------------------------- rates


def write(desk: Desk, body: str) -> str:
    path = desk.home / "ecb.csv"
    path.write_text(body)
    return str(path)


def load(desk: Desk, body: str) -> dict[str, Any]:
    return told("rates", "--file", write(desk, body), "--company-currency", "EUR", *WHY)


def test_rates_are_loaded_exactly_and_said_again_change_nothing(desk: Desk) -> None:
    body = "\ufeffrate;day;currency\r\n0.9230123456;2026-03-02;USD\r\n\r\n1.17;2026-03-02;GBP"
    assert load(desk, body) == {"file": "ecb.csv", "new": 2, "changed": 0, "same": 0}
    assert load(desk, body) == {"file": "ecb.csv", "new": 0, "changed": 0, "same": 2}
    later = "day,currency,rate\n2026-03-02,USD,0.93\n2026-03-03,USD,0.94\n"
    assert load(desk, later) == {"file": "ecb.csv", "new": 1, "changed": 1, "same": 0}
    rows = desk.rows("select * from core.exchange_rates order by currency, on_day")
    assert [(r["currency"], f"{r['on_day']}", r["rate"]) for r in rows] == [
        ("GBP", "2026-03-02", D("1.17")),
        ("USD", "2026-03-02", D("0.93")),
        ("USD", "2026-03-03", D("0.94")),
    ]
    newest = told("rates")["rates"]
    assert [(one["currency"], one["on_day"], one["days"]) for one in newest] == [
        ("GBP", "2026-03-02", 1),
        ("USD", "2026-03-03", 2),
    ]
    (row,) = desk.rows("select detail from ops.audit order by id desc limit 1")
    assert row["detail"]["before"] == {"USD 2026-03-02": "0.9230123456"}
    assert "0.94" in said("rates")[1]


def test_of_a_file_with_bad_lines_nothing_is_loaded_and_each_line_is_told(desk: Desk) -> None:
    body = (
        "day,currency,rate\n2026-03-02,USD,0.92\n2026-02-30,USD,0.92\n2026-03-03,usd,0.92\n"
        '2026-03-04,USD,"0,92"\n2026-03-05,USD,0\n2026-03-06,USD,1.12345678901\n'
        "2026-03-07,EUR,1\n2026-03-02,USD,0.93\n2026-03-08,USD\n2026-03-09,USD,1e2\n"
    )
    code, page = said("rates", "--file", write(desk, body), "--company-currency", "EUR", *WHY)
    assert code == 2
    for words in (
        "ecb.csv was not loaded, not even its good lines.",
        "line 3: '2026-02-30' is no day",
        "line 4: 'usd' is no currency",
        "line 5: '0,92' is no rate",
        "line 6: 0 is no rate: it must be above 0",
        "line 7: 1.12345678901 has more than 10 digits",
        "line 8: EUR is the company's own currency",
        "line 9: says another rate of USD on 2026-03-02 than before",
        "line 10: has 2 fields, the header has 3",
        "line 11: '1e2' is no rate",
    ):
        assert words in page
    assert desk.rows("select * from core.exchange_rates") == []
    assert desk.audit() == []


@pytest.mark.parametrize(
    ("body", "words", "sentence"),
    [
        ("day,currency\n", ("--company-currency", "EUR"), "it lacks the column rate"),
        ("", ("--company-currency", "EUR"), "it has no header row"),
        ("day,currency,rate\n", ("--company-currency", "EUR"), "has no rates in it"),
        ("day,currency,rate\n2026-03-02,USD,1\n", (), "with --company-currency EUR"),
        ("day,currency,rate\n2026-03-02,USD,1\n", ("--company-currency", "eur"), "no currency"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    desk: Desk, body: str, words: tuple[str, ...], sentence: str
) -> None:
    refused(desk, sentence, "rates", "--file", write(desk, body), *words, *WHY)


def test_rates_are_loaded_by_somebody_for_a_reason(desk: Desk) -> None:
    path = write(desk, "day,currency,rate\n2026-03-02,USD,1\n")
    refused(desk, "Say why, with --note", "rates", "--file", path, "--company-currency", "EUR")
    refused(
        desk, "cannot be read", "rates", "--file", path + "x", *WHY, "--company-currency", "EUR"
    )
    assert said("rates")[0] == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_rates_or_refused(content: bytes) -> None:
    for body in (content, b"day,currency,rate\n" + content):
        try:
            found = rates.read("x.csv", body, "EUR")
        except NotPossible:
            continue
        assert all(one.rate > 0 for one in found)


# ---------------------------------------------------------------- trial balance


def test_the_trial_balance_sums_by_account_and_comes_to_nothing(desk: Desk) -> None:
    settled(desk)
    settled(desk, "settlement:2", on=date(2026, 4, 2))
    settled(desk, "settlement:3", company=UK)
    found = told("trial", "--company", US, "--period", "2026-03")
    assert found["accounts"] == [
        {
            "account": "1200",
            "kinds": "clearing",
            "debit": "0.00",
            "credit": "50.00",
            "balance": "-50.00",
            "currency": "USD",
        },
        {
            "account": "1210",
            "kinds": "balance",
            "debit": "48.25",
            "credit": "0.00",
            "balance": "48.25",
            "currency": "USD",
        },
        {
            "account": "6100",
            "kinds": "fees",
            "debit": "1.75",
            "credit": "0.00",
            "balance": "1.75",
            "currency": "USD",
        },
    ]
    assert found["total"] == {
        "debit": "50.00",
        "credit": "50.00",
        "balance": "0.00",
        "currency": "USD",
    }
    assert told("trial", "--company", US)["total"]["debit"] == "100.00"
    code, page = said("trial", "--company", US)
    assert code == 0
    assert "Acme US Inc, until now" in page


def test_entries_that_do_not_balance_end_with_1(desk: Desk) -> None:
    settled(desk)
    change = "update core.journal_lines set company_amount = 49 where line_no = 1"
    assert spoil(desk.engine, change) > 0
    code, _ = said("trial", "--company", US)
    assert code == 1
    refused(desk, "is no month", "trial", "--company", US, "--period", "march")
