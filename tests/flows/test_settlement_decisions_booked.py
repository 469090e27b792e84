"""What the next run makes of what a person decided: what it books, takes back, and leaves alone."""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sync_assets.settlements import books, deciding, dividing, giving_up, posting, steps
from sync_assets.settlements.deciding import Wanted
from sync_assets.settlements.dividing import Part
from tests.deciding_facts import Desk, desk_at

D = Decimal


@pytest.fixture
def desk(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return desk_at(engine, tmp_path, monkeypatch)


def run(desk: Desk) -> dict[str, Decimal]:
    """Match and post; answers what is on each kind of account that is not even."""
    steps.match(desk.systems, "run")
    posting.post(desk.systems, "run")
    rows = desk.rows(
        "select account_kind, sum(company_amount) as amount from core.journal_lines group by 1"
    )
    return {row["account_kind"]: row["amount"] for row in rows if row["amount"]}


@pytest.fixture
def sold(desk: Desk) -> int:
    """A sale that the pipeline matched and booked; answers its match."""
    desk.line("txn_1", "50.00", fee="1.75", payment_id="pi_1")
    desk.payment("us:1:capture", "50.00", payment_id="pi_1")
    assert run(desk) == {"receivable": D("-50.00"), "balance": D("48.25"), "fees": D("1.75")}
    (row,) = desk.rows("select match_id from core.matches")
    return int(row["match_id"])


def test_an_ended_match_is_taken_back_and_not_made_again(desk: Desk, sold: int) -> None:
    with desk.sitting() as (connection, _):
        deciding.unmatch(connection, sold, desk.act())
    assert run(desk) == {"receivable": D("-50.00"), "clearing": D("50.00")}
    assert run(desk) == {"receivable": D("-50.00"), "clearing": D("50.00")}
    assert desk.rows("select match_id from core.matches where ended_at is null") == []


def test_a_reversed_entry_is_booked_anew_by_the_next_run(desk: Desk, sold: int) -> None:
    (row,) = desk.rows("select entry_ref from core.journal_entries where kind = 'settlement'")
    before = run(desk)
    with desk.sitting() as (connection, _):
        books.reverse(connection, row["entry_ref"], desk.act())
    assert run(desk) == before
    kinds = desk.rows("select kind, count(*) as n from core.journal_entries group by 1 order by 1")
    assert [(one["kind"], one["n"]) for one in kinds] == [
        ("correction", 1),
        ("receipts", 1),
        ("settlement", 2),
    ]
    assert run(desk) == before


def test_an_expected_payment_that_is_given_up_leaves_what_clears(desk: Desk) -> None:
    desk.payment("us:1:capture", "20.00")
    with desk.sitting() as (connection, rules):
        giving_up.write_off(connection, rules, "us:1:capture", desk.act())
    assert run(desk) == {"receivable": D("-20.00"), "write_off": D("20.00")}


def test_a_line_goes_to_the_account_it_is_given_to(desk: Desk) -> None:
    desk.line("txn_1", "-12.00", kind="adjustment", description="nobody knows")
    with desk.sitting() as (connection, _):
        deciding.assign(connection, "txn_1", "fees", desk.act())
    assert run(desk) == {"balance": D("-12.00"), "fees": D("12.00")}


def test_an_entry_of_the_bank_goes_to_the_account_it_is_given_to(desk: Desk) -> None:
    desk.entry_of_bank("main:7", "12.00")
    with desk.sitting() as (connection, _):
        deciding.assign(connection, "main:7", "adjustments", desk.act())
    assert run(desk) == {"bank": D("12.00"), "adjustments": D("-12.00")}


def test_a_payout_that_never_arrives_leaves_nothing_on_its_way(desk: Desk) -> None:
    line = desk.payout("po_1", "20.00")
    with desk.sitting() as (connection, _):
        deciding.assign(connection, line, "adjustments", desk.act())
    assert run(desk) == {"balance": D("-20.00"), "adjustments": D("20.00")}


def test_parts_find_their_orders_by_the_words_they_were_given(desk: Desk) -> None:
    desk.line("txn_1", "80.00", fee="2.40")
    desk.payment("us:1042:capture", "50.00")
    desk.payment("us:1043:capture", "30.00")
    with desk.sitting() as (connection, _):
        parts = [Part(D("50.00"), "1042"), Part(D("30.00"), "1043")]
        dividing.split(connection, "txn_1", parts, desk.act())
    assert run(desk) == {"receivable": D("-80.00"), "balance": D("77.60"), "fees": D("2.40")}


def test_what_was_matched_by_hand_is_left_alone(desk: Desk) -> None:
    desk.line("txn_1", "50.00", order_reference="1")
    desk.payment("us:1:capture", "50.00")
    desk.payment("us:2:capture", "50.00")
    with desk.sitting() as (connection, rules):
        wanted = Wanted(["txn_1"], ["us:2:capture"])
        number = deciding.match(connection, rules, wanted, desk.act())
    run(desk)
    (row,) = desk.rows("select match_id from core.matches where ended_at is null")
    assert row["match_id"] == number
