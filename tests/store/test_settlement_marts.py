"""The stable views of settlements and journals: what a report finds in them."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows
from tests.settled_facts import MARCH, Facts

Row = dict[str, Any]


def seen(connection: Connection, view: str, *names: str) -> list[tuple[Any, ...]]:
    """Some columns of a view, in the order of the first."""
    rows = read_rows(connection, f"select {', '.join(names)} from mart.{view} order by 1")
    return [tuple(row[name] for name in names) for row in rows]


def test_a_settled_line_shows_its_store_its_order_and_its_match(connection: Connection) -> None:
    facts = Facts()
    settled = facts.sold(1, "10.00")
    facts.line("stripe_us:x", "5.00")
    facts.line("stripe_us:y", "5.00", is_split=True)
    for row in facts.tables["core.settlement_lines"]:
        row.setdefault("is_split", False)
    facts.store(connection)
    names = ("line_ref", "store", "order_ref", "is_open", "match_rule")
    assert seen(connection, "settlement_lines", *names) == [
        (settled, "us", "us:1", False, "exact"),
        ("stripe_us:x", None, None, True, None),
    ]


def test_a_payout_shows_what_its_lines_come_to_and_what_the_bank_received(
    connection: Connection,
) -> None:
    facts = Facts()
    facts.sold(1, "10.00", fee="1.00", payout_ref="stripe_us:po_1")
    paid = facts.line("stripe_us:po", "-8.50", kind="payout", payout_ref="stripe_us:po_1")
    facts.match([paid], bank=[facts.bank("main:1", "8.50")])
    facts.put(
        "core.payouts",
        payout_ref="stripe_us:po_1",
        provider="stripe_us",
        payout_id="po_1",
        kind="payout",
        currency="USD",
        paid_amount=Decimal("8.50"),
        paid_on=date(2017, 3, 16),
        state="paid",
    )
    facts.store(connection)
    names = ("line_count", "net_amount", "open_count", "unbalanced_amount", "received_amount")
    assert seen(connection, "payouts", *names) == [
        (2, Decimal("0.50"), 0, Decimal("0.50"), Decimal("8.50"))
    ]


def test_a_match_shows_both_sides_and_whether_it_lives(connection: Connection) -> None:
    facts = Facts()
    facts.sold(1, "10.00", fee="1.00")
    facts.match(["stripe_us:txn_1"], ["us:1:capture"], is_live=False)
    facts.store(connection)
    names = ("match_id", "is_live", "settled_count", "expected_amount", "bank_count")
    assert seen(connection, "matches", *names) == [
        (1, True, 1, Decimal("10.00"), 0),
        (2, False, 1, Decimal("10.00"), 0),
    ]


def test_what_is_open_shows_who_owns_it(connection: Connection) -> None:
    facts = Facts()
    facts.open_item("stripe_us:x", "settlement.order_unknown", "5.00")
    facts.open_item("stripe_us:x", "settlement.adjustment", "5.00")
    facts.put(
        "ops.exception",
        code="settlement.order_unknown",
        subject_kind="settlement",
        subject_ref="stripe_us:x",
        message="m",
        owner_role="finance",
        blocks=False,
        can_release=False,
        state="open",
        opened_at=MARCH,
        due_at=MARCH + timedelta(days=3),
        part="",
    )
    facts.store(connection)
    names = ("finding", "owner_role", "due_at")
    assert seen(connection, "open_items", *names) == [
        ("settlement.adjustment", None, None),
        ("settlement.order_unknown", "finance", MARCH + timedelta(days=3)),
    ]


ENTRY = {
    "kind": "settlement",
    "company": "Acme US Inc",
    "erp": "odoo",
    "journal": "MISC",
    "posted_on": date(2017, 3, 16),
    "period": "2017-03",
    "company_currency": "USD",
    "batch_ref": "stripe_us:po_1",
    "description": "",
    "created_at": MARCH,
}


def test_a_journal_line_leads_back_to_its_order(connection: Connection) -> None:
    facts = Facts()
    settled = facts.sold(1, "10.00")
    facts.put("core.journal_entries", entry_ref="e1", reverses=None, **ENTRY)
    facts.put("core.journal_entries", entry_ref="e2", reverses="e1", **ENTRY)
    for number, amount in ((1, "10.00"), (2, "-10.00")):
        _journal_line(facts, number, Decimal(amount))
    source = {"source_kind": "match", "source_ref": "1", "purpose": "settlement"}
    amounts = {"amount": Decimal("10.00"), "company_amount": Decimal("10.00")}
    facts.put("core.journal_sources", entry_ref="e1", line_no=1, **source, **amounts)
    facts.store(connection)
    assert seen(
        connection, "journal", "line_no", "debit_amount", "credit_amount", "reversed_by"
    ) == [
        (1, Decimal("10.00"), Decimal(0), "e2"),
        (2, Decimal(0), Decimal("10.00"), "e2"),
    ]
    assert seen(connection, "journal_drill_back", "item_side", "item_ref", "order_ref") == [
        ("expected", "us:1:capture", "us:1"),
        ("settled", settled, None),
    ]


def _journal_line(facts: Facts, number: int, amount: Decimal) -> None:
    facts.put(
        "core.journal_lines",
        entry_ref="e1",
        line_no=number,
        account="1200",
        account_kind="clearing",
        amount=amount,
        currency="USD",
        company_amount=amount,
        description="",
        item_count=1,
    )
