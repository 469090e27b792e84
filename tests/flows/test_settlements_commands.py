"""`sync-assets settlements`: what finance sees, and what it says to each act."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from resources.store import postgres
from sync_assets.ops.settlements_commands import app
from tests.deciding_facts import MARCH, Desk, at_command_line, desk_at

D = Decimal


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


WHY = ("--note", "seen in Stripe")


def test_what_is_open_is_listed_with_owner_age_and_sums_per_currency(desk: Desk) -> None:
    desk.open_item("txn_1", "unsettled", "10.00", order_ref="us:1042")
    desk.open_item("txn_2", "fee_over", "-0.30")
    desk.open_item("txn_3", "unsettled", "5.00", provider="stripe_uk", currency="GBP")
    desk.execute(
        "update ops.exception set assigned_to = 'eve', assigned_at = now() "
        "where subject_ref = 'txn_1'"
    )
    found = told("list")
    assert found["open"] == 3
    assert found["sums"] == [
        {"currency": "GBP", "items": 1, "amount": "5.00", "at_stake": "5.00"},
        {"currency": "USD", "items": 2, "amount": "9.70", "at_stake": "10.30"},
    ]
    first = found["items"][0]
    assert (first["ref"], first["finding"]) == ("txn_1", "settlement.unsettled")
    assert (first["owner_role"], first["assigned_to"]) == ("finance", "eve")
    assert first["age_days"] == (datetime.now(UTC) - MARCH).days
    code, page = said("list")
    assert code == 0
    for words in ("3 open", "txn_1", "unsettled", "eve", "settled 10 USD", "9.70"):
        assert words in page


@pytest.mark.parametrize(
    ("words", "refs"),
    [
        (("--provider", "stripe_uk"), ["txn_3"]),
        (("--finding", "unsettled"), ["txn_1", "txn_3"]),
        (("--finding", "settlement.fee_over"), ["txn_2"]),
        (("--store", "us"), ["txn_1"]),
        (("--older-than", "3"), ["txn_1", "txn_3"]),
        (("--limit", "1"), ["txn_1"]),
    ],
)
def test_the_list_is_narrowed(desk: Desk, words: tuple[str, ...], refs: list[str]) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    desk.open_item("txn_1", "unsettled", order_ref="us:1042")
    desk.open_item("txn_2", "fee_over", since=yesterday)
    desk.open_item("txn_3", "unsettled", provider="stripe_uk", order_ref="uk:7")
    assert [row["ref"] for row in told("list", *words)["items"]] == refs


def test_an_unknown_finding_is_told_and_nothing_open_is_said(desk: Desk) -> None:
    code, page = said("list", "--finding", "lost")
    assert code == 2
    assert "'lost' is no finding; known: order_unknown" in page
    assert said("list") == (0, "Nothing is open.\n")


# ---------------------------------------------------------------- all about one thing


@pytest.fixture
def matched(desk: Desk) -> int:
    """A line that was matched with one payment wrongly, then with another, and is booked."""
    desk.line("txn_1", "50.00", fee="1.75")
    desk.payment("us:1:capture", "50.00")
    desk.payment("us:2:capture", "50.00")
    wrong = told("match", "--line", "txn_1", "--payment", "us:1:capture", *WHY)["match"]
    told("unmatch", str(wrong), "--note", "order 2 it is")
    right: int = told("match", "--line", "txn_1", "--payment", "us:2:capture", *WHY)["match"]
    desk.journal(
        "settlement:1",
        [{"account": "1210", "amount": D("48.25")}, {"account": "1200", "amount": D("-48.25")}],
        [{"line_no": 1, "source_ref": "txn_1", "amount": D("48.25"), "match_id": right}],
    )
    desk.open_item("txn_1", "fee_over", "-0.30")
    return right


def test_a_line_is_shown_with_both_sides_history_findings_and_books(
    desk: Desk, matched: int
) -> None:
    found = told("show", "txn_1")
    assert (found["kind"], found["it"]["net_amount"]) == ("line", "48.25")
    assert found["match"]["match_id"] == matched
    assert found["match"]["rule"] == "person"
    assert found["match"]["reason"] == "matched by ada: seen in Stripe"
    assert [(i["side"], i["ref"], i["amount"]) for i in found["match"]["items"]] == [
        ("settled", "txn_1", "50.00"),
        ("expected", "us:2:capture", "50.00"),
    ]
    assert [(one["ended_by"], one["end_reason"]) for one in found["ended"]] == [
        ("ada", "order 2 it is")
    ]
    assert [one["finding"] for one in found["findings"]] == ["settlement.fee_over"]
    assert [(e["entry_ref"], e["account"], e["amount"]) for e in found["entries"]] == [
        ("settlement:1", "1210", "48.25")
    ]
    assert [p["payment_ref"] for p in found["payments"]] == ["us:1:capture", "us:2:capture"]
    code, page = said("show", "txn_1")
    assert code == 0
    for words in ("line txn_1", "Matched in match", "Was matched in match", "order 2 it is"):
        assert words in page
    assert "settlement:1" in page


def test_a_match_and_a_payment_lead_to_the_same_entry(desk: Desk, matched: int) -> None:
    for ref in (str(matched), "us:2:capture"):
        found = told("show", ref)
        assert found["match"]["match_id"] == matched
    assert told("show", str(matched))["entries"][0]["entry_ref"] == "settlement:1"


def test_an_order_is_shown_with_its_payments_and_their_matches(desk: Desk, matched: int) -> None:
    desk.put(
        "core.orders",
        {
            "order_ref": "us:2",
            "store": "us",
            "order_id": "2",
            "order_number": "2002",
            "state": "paid",
            "shop_status": "processing",
            "currency": "USD",
            "prices_include_tax": False,
            "placed_at": MARCH,
            "changed_at": MARCH,
            "raw_version": 1,
            **dict.fromkeys(
                (
                    *("net_amount", "shipping_amount", "fee_amount", "tax_amount"),
                    *("discount_amount", "rounding_amount", "total_amount", "refunded_amount"),
                ),
                D(0),
            ),
        },
    )
    for ref in ("us:2", "2002"):
        found = told("show", ref)
        assert (found["kind"], found["ref"]) == ("order", "us:2")
        assert found["match"]["match_id"] == matched
        assert [p["payment_ref"] for p in found["payments"]] == ["us:2:capture"]


def test_a_payout_is_shown_with_the_sums_of_its_lines(desk: Desk, matched: int) -> None:
    desk.payout("po_1", "48.25")
    found = told("show", "stripe_us:po_1")
    assert found["kind"] == "payout"
    assert [(one["kind"], one["net_amount"], one["open_lines"]) for one in found["lines"]] == [
        ("payout", "-48.25", 1),
        ("sale", "48.25", 0),
    ]
    assert [one["entry_ref"] for one in found["entries"]] == ["settlement:1"]
    assert said("show", "stripe_us:po_1")[0] == 0


def test_a_bank_entry_is_shown_and_what_nobody_knows_is_said(desk: Desk) -> None:
    desk.entry_of_bank("main:7", "12.00")
    assert told("show", "main:7")["it"]["amount"] == "12.00"
    assert "Not matched." in said("show", "main:7")[1]
    code, page = said("show", "main:8")
    assert code == 2
    assert "There is no line, payment, payout, entry of the bank, order or match 'main:8'" in page


# ---------------------------------------------------------------- acts


def test_an_act_says_that_the_next_run_goes_on(desk: Desk) -> None:
    desk.line("txn_1", "-12.00", kind="adjustment")
    code, page = said("assign", "txn_1", "--account", "adjustments", *WHY)
    assert code == 0
    assert "txn_1 goes to adjustments, in match" in page
    assert "The next run of the job `settlements` goes on with it." in page
    (row,) = desk.rows("select match_id, matched_by from core.matches")
    assert row["matched_by"] == "ada"
    code, page = said("unmatch", str(row["match_id"]), "--note", "no")
    assert "open again: txn_1. What was booked of it is taken back by the next run" in page


def test_a_line_is_split_and_joined(desk: Desk) -> None:
    desk.line("txn_1", "-100.00", kind="refund")
    parts = ("--part", "-60.00=1042", "--part", "-40.00")
    assert told("split", "txn_1", *parts, *WHY)["parts"] == ["txn_1#1", "txn_1#2"]
    assert [one["line_ref"] for one in told("show", "txn_1")["parts"]] == ["txn_1#1", "txn_1#2"]
    assert told("split", "txn_1", "--join", *WHY)["joined"] == ["txn_1#1", "txn_1#2"]


def test_a_write_off_above_the_limit_waits_for_another_person(desk: Desk) -> None:
    desk.payment("us:1:capture", "30.00")
    code, page = said("write-off", "us:1:capture", *WHY)
    assert code == 0
    (row,) = told("requests")["requests"]
    number = str(row["request_id"])
    assert f"another person says `sync-assets settlements approve {number}" in page
    assert (row["ref"], row["amount"], row["asked_by"]) == ("us:1:capture", "30.00", "ada")
    code, page = said("approve", number, *WHY)
    assert code == 2
    assert "another person must decide it" in page
    assert told("approve", number, *WHY, "--by", "bob")["match"] is not None
    assert told("requests")["requests"] == []
    assert len(told("requests", "--all")["requests"]) == 1
    assert said("requests") == (0, "No request waits.\n")


def test_a_rejected_request_leaves_its_thing_open(desk: Desk) -> None:
    desk.payment("us:1:capture", "30.00")
    number = told("write-off", "us:1:capture", *WHY)["request"]
    code, page = said("reject", str(number), "--note", "ask the provider", "--by", "bob")
    assert code == 0
    assert "us:1:capture stays open" in page


def test_somebody_is_made_the_owner_of_what_is_open(desk: Desk) -> None:
    desk.open_item("txn_1", "unsettled")
    assert said("owner", "txn_1", "--to", "eve", *WHY)[1] == "✓ txn_1 is assigned to eve.\n"
    assert told("list")["items"][0]["assigned_to"] == "eve"
    told("owner", "txn_1", "--to", "nobody", "--take-over", *WHY)
    assert told("list")["items"][0]["assigned_to"] is None


def test_conflicts_are_shown_side_by_side_and_settled(desk: Desk) -> None:
    desk.line("txn_1", "10.10")
    other = {
        "kind": "sale",
        "currency": "USD",
        "gross_amount": 10.2,
        "fee_amount": 0,
        "fee_tax_amount": 0,
        "net_amount": 10.2,
        "payout_ref": "stripe_us:po_2",
    }
    desk.put(
        "core.settlement_conflicts",
        {
            "line_ref": "txn_1",
            "digest": "abc",
            "said": json.dumps(other),
            "told_by": "file",
            "file_name": "second.csv",
            "file_line": 9,
            "found_at": MARCH,
        },
    )
    code, page = said("conflicts")
    assert code == 0
    assert "sale 10.10 net USD in stripe_us:po_1 (march.csv line 2)" in page
    assert "sale 10.20 net USD in stripe_us:po_2 (second.csv line 9)" in page
    assert told("conflict", "txn_1", "--keep", "second", *WHY) == {
        "line": "txn_1",
        "kept": "second",
    }
    assert told("conflicts")["conflicts"] == []
    assert told("show", "txn_1")["it"]["net_amount"] == "10.20"


def test_report_files_are_listed_with_what_could_not_be_read(desk: Desk) -> None:
    file = {
        "provider": "stripe_us",
        "digest": "d",
        "kind": "balance",
        "line_count": 10,
        "control": "{}",
        "counted": "{}",
        "facts": "{}",
        "read_at": MARCH,
    }
    desk.put(
        "core.report_files",
        {
            **file,
            "file_ref": "stripe_us:d",
            "file_name": "march.csv",
            "state": "read",
            "reason": "",
            "broken_count": 1,
        },
        {
            **file,
            "file_ref": "cod_us:e",
            "provider": "cod_us",
            "file_name": "cod.csv",
            "state": "refused",
            "reason": "it lacks the column amount",
            "broken_count": 0,
        },
    )
    fault = {"found_by": "reader", "line_no": 4, "reason": "has 3 fields"}
    desk.put("core.report_faults", {"file_ref": "stripe_us:d", **fault})
    (row,) = told("files", "--provider", "stripe_us")["files"]
    assert (row["line_count"], row["faults"]) == (10, 1)
    assert row["first_faults"] == "line 4: has 3 fields"
    code, page = said("files")
    assert code == 0
    assert "it lacks the column amount" in page


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("match", "--line", "txn_1", "--note", "x"), "A match needs two things"),
        (("match", "--line", "txn_1", "--note", " "), "Say why, with --note."),
        (("unmatch", "9", "--note", "x"), "There is no match 9"),
        (("split", "txn_1", "--note", "x"), "Name the parts with --part"),
        (("split", "txn_1", "--part", "ten", "--note", "x"), "'ten' is no amount"),
        (("split", "txn_1", "--part", "1e2", "--note", "x"), "'1e2' is no amount"),
        (("split", "txn_1", "--join", "--note", "x"), "txn_1 is not split"),
        (("write-off", "txn_9", "--note", "x"), "There is no"),
        (("approve", "9", "--note", "x"), "There is no request 9"),
        (("reject", "9", "--note", "x"), "There is no request 9"),
        (("assign", "txn_1", "--account", "bank", "--note", "x"), "ledgers alone"),
        (("owner", "txn_1", "--to", " ", "--note", "x"), "--to needs a name"),
        (("conflict", "txn_1", "--keep", "first", "--note", "x"), "Nothing waits to be decided"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    desk: Desk, words: tuple[str, ...], sentence: str
) -> None:
    desk.line("txn_1", "10.00")
    before = desk.counts()
    code, page = said(*words)
    assert code == 2
    assert sentence in page
    assert desk.counts() == before


def test_an_act_without_a_note_is_not_begun(desk: Desk) -> None:
    desk.line("txn_1", "10.00")
    code, page = said("assign", "txn_1", "--account", "fees")
    assert code == 2
    assert "--note" in page
    assert desk.audit() == []
