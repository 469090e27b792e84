"""The trace of money: from any reference of the ledgers to the orders, and what an order tells."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event

from resources.store import postgres
from resources.store.engine import connected, engine_for
from sync_assets.ops import trace_money, tracing
from tests.desk import said
from tests.settling import (
    US,
    Money,
    days,
    settled_world,
)
from tests.settling_files import (
    START,
    bank_camt,
    stripe_charge,
    stripe_file,
    stripe_payout,
    stripe_row,
)

PAYOUT = "stripe_us:po_10001"
BANK_ENTRY = f"bank:{US}:stripe_us:main_usd:S1:1:2026-03:1"
ENTRY = f"settlement:{US}:stripe_us:stripe_us:po_10001:2026-03:1"


@pytest.fixture(scope="module")
def known(server: postgres.Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Money]:
    name = f"money_{uuid4().hex[:8]}"
    postgres.create_database(server, name, template=str(server.store.database))
    engine = engine_for(postgres.Databases(server.store.set(database=name)))
    one = settled_world(engine, tmp_path_factory.mktemp("money"))
    one.order(1, "100.00", payment="pi_1")
    one.order(2, "60.00", payment="pi_2", at=START + days(0.1))
    one.order(3, "10.00", payment="pi_3", at=START + days(0.1))
    one.refund("us:r1", "us:1", "30.00", provider_ref="re_1")
    refund = {"source_id": "re_1", "charge_id": "ch_1", "payment_intent_id": "pi_1"}
    one.drop(
        "stripe_us",
        "po_10001.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001"),
            stripe_charge(2, "60.00", "2.04", payout="po_10001"),
            stripe_row("txn_r1", "refund", "-30.00", payout="po_10001", **refund),
            stripe_row("txn_9", "charge", "7.00", charge_id="ch_9", source_id="ch_9"),
            stripe_payout("po_10001", "124.76"),
        ),
    )
    one.drop(
        "main_usd",
        "s1.xml",
        bank_camt(1, "500.00", ("124.76", "STRIPE po_10001"), at=START + days(1)),
    )
    one.settle(days=2)
    # A dispute is opened, and lost a day after everything else was booked.
    dispute = {"provider": "stripe_us", "payment_id": "pi_1", "movement_id": "du_7"}
    one.put(
        "core.payment_events",
        {
            **dispute,
            "event_ref": "stripe_us:evt_1",
            "kind": "dispute_opened",
            "amount": Decimal(100),
            "currency": "USD",
            "happened_at": START + days(1 / 24),
            "reason": "fraudulent",
        },
    )
    one.put(
        "core.payments",
        {
            **dispute,
            "payment_ref": "stripe_us:du_7:chargeback",
            "kind": "chargeback",
            "order_ref": "us:1",
            "store": "us",
            "amount": Decimal(-100),
            "currency": "USD",
            "expected_at": START + days(1),
            "source": "event",
            "is_void": False,
        },
    )
    yield one
    engine.dispose()
    postgres.drop_database(server, name)


def traced(one: Money, ref: str) -> dict[str, Any]:
    with connected(one.systems.engine) as connection:
        return tracing.trace(connection, ref, one.world.clock())


def life(one: Money, ref: str) -> dict[str, Any]:
    (found,) = traced(one, ref)["found"]
    return dict(found)


def story(one: Money, ref: str) -> list[tuple[str, str, str]]:
    """What happened to the money, without what saga steps and the shop say."""
    return [
        (f"{told['at']:%m-%d %H:%M}", told["layer"], told["what"])
        for told in life(one, ref)["events"]
        if told["about"] == "money" and told["layer"] not in ("saga", "exception")
    ]


# ---------------------------------------------------------------- from any reference


@pytest.mark.parametrize(
    ("reference", "form"),
    [
        ("pi_1", "payment reference"),
        ("ch_1", "stripe_us line"),
        ("re_1", "refund of the provider"),
        ("du_7", "stripe_us chargeback"),
        ("us:1:capture", "our key"),
        ("txn_1", "stripe_us line"),
        ("stripe_us:txn_1", "stripe_us line"),
        ("stripe_us:txn_r1", "stripe_us line"),
    ],
)
def test_what_is_of_one_payment_leads_to_its_order(known: Money, reference: str, form: str) -> None:
    found = traced(known, reference)
    assert [(one["order_ref"], one["found_by"]) for one in found["found"]] == [("us:1", [form])]
    assert (found["orders"], found["batches"], found["of_no_order"]) == (1, [], [])


@pytest.mark.parametrize(
    ("reference", "kind", "ref"),
    [
        ("po_10001", "payout", PAYOUT),
        (PAYOUT, "payout", PAYOUT),
        ("txn_po_10001", "payout", PAYOUT),
        ("B1-1", "bank", "main_usd:B1-1"),
        ("main_usd:B1-1", "bank", "main_usd:B1-1"),
        (ENTRY, "entry", ENTRY),
        ("MISC/2026/03/0001", "entry", BANK_ENTRY),
        ("MISC/2026/03/0004", "entry", ENTRY),
    ],
)
def test_what_pays_several_orders_lists_them_with_their_sums(
    known: Money, reference: str, kind: str, ref: str
) -> None:
    found = traced(known, reference)
    assert [one["order_ref"] for one in found["found"]] == ["us:2", "us:1"]
    (batch,) = found["batches"]
    assert (batch["kind"], batch["ref"], batch["orders"], batch["more"]) == (kind, ref, 2, 0)
    assert batch["sums"] == [{"currency": "USD", "payments": 3, "amount": Decimal(130)}]
    assert [(one["order_ref"], one["payments"], one["amount"]) for one in batch["listed"]] == [
        ("us:2", 1, Decimal(60)),
        ("us:1", 2, Decimal(70)),
    ]


def test_a_payout_is_told_with_its_lines_and_the_bank(known: Money) -> None:
    (batch,) = traced(known, "po_10001")["batches"]
    assert {
        name: batch["payout"][name] for name in ("paid_amount", "line_count", "open_count")
    } == {
        "paid_amount": Decimal("124.76"),
        "line_count": 4,
        "open_count": 0,
    }
    assert trace_money.batch_title(batch) == (
        "Payout stripe_us:po_10001: 124.76 USD paid 2026-03-02; 4 lines, 0 open; "
        "in the bank on 2026-03-03; 2 orders, 130.00 USD in 3 payments"
    )


def test_a_number_of_the_erp_leads_to_entries_that_are_made_of_payments(known: Money) -> None:
    found = traced(known, "MISC/2026/03/0002")
    assert [one["order_ref"] for one in found["found"]] == ["us:2", "us:3", "us:1"]
    assert found["batches"][0]["sums"][0]["amount"] == Decimal(170)


def test_a_line_nobody_could_match_is_known_and_of_no_order(known: Money) -> None:
    for reference in ("txn_9", "ch_9", "stripe_us:txn_9"):
        found = traced(known, reference)
        assert (found["found"], found["of_no_order"]) == ([], ["line stripe_us:txn_9"])


@pytest.mark.parametrize("reference", ["po_1000", "PO_10001", "paypal_uk:po_10001", "B1", "%", "_"])
def test_a_part_of_a_reference_leads_nowhere(known: Money, reference: str) -> None:
    found = traced(known, reference)
    assert (found["orders"], found["batches"], found["of_no_order"]) == (0, [], [])


def test_of_many_orders_twenty_are_listed_and_the_rest_is_counted(
    engine: Engine, tmp_path: Path
) -> None:
    one = settled_world(engine, tmp_path)
    for number in range(1, 24):
        one.order(number, "10.00", payment=f"pi_{number}", at=START + days(number / 100))
    charges = [stripe_charge(n, "10.00", "0.59", payout="po_10001") for n in range(1, 24)]
    one.drop("stripe_us", "po.csv", stripe_file(*charges, stripe_payout("po_10001", "216.43")))
    one.settle(days=1)
    found = traced(one, "po_10001")
    newest = [f"us:{number}" for number in range(23, 3, -1)]
    assert (found["orders"], [life["order_ref"] for life in found["found"]]) == (23, newest)
    (batch,) = found["batches"]
    assert (batch["orders"], batch["more"], batch["sums"][0]["amount"]) == (23, 3, Decimal(230))
    assert [row["order_ref"] for row in batch["listed"]] == newest
    assert trace_money.batch_title(batch).endswith(
        "not matched with the bank; 23 orders, 230.00 USD in 23 payments; the newest 20, 3 more"
    )


# ---------------------------------------------------------------- what an order tells


def test_an_order_shows_each_payment_with_its_line_match_payout_and_bank(known: Money) -> None:
    rows = {row["payment_ref"]: row for row in life(known, "us:1")["money"]["payments"]}
    assert set(rows) == {"us:1:capture", "us:r1", "stripe_us:du_7:chargeback"}
    names = ("kind", "amount", "match_rule", "line_ref", "fee_amount", "net_amount")
    assert [rows["us:1:capture"][name] for name in names] == [
        *("capture", Decimal(100), "exact", "stripe_us:txn_1", Decimal("3.20"), Decimal("96.80")),
    ]
    assert [rows["us:r1"][name] for name in names] == [
        *("refund", Decimal(-30), "exact", "stripe_us:txn_r1", Decimal(0), Decimal(-30)),
    ]
    names = ("payout_ref", "paid_on", "bank_line_ref", "bank_amount", "booked_on")
    assert [rows["us:r1"][name] for name in names] == [
        *(PAYOUT, date(2026, 3, 2), "main_usd:B1-1", Decimal("124.76"), date(2026, 3, 3)),
    ]
    assert rows["stripe_us:du_7:chargeback"]["match_id"] is None


def test_an_order_shows_the_entries_it_is_booked_in_with_the_erps_number(known: Money) -> None:
    entries = life(known, "us:1")["money"]["entries"]
    assert [(one["kind"], one["remote_number"], one["debit_amount"]) for one in entries] == [
        ("receipts", "MISC/2026/03/0002", Decimal(100)),
        ("refunds", "MISC/2026/03/0003", Decimal(30)),
        ("settlement", "MISC/2026/03/0004", Decimal(130)),
    ]


def test_money_is_part_of_the_story_in_the_order_of_time(known: Money) -> None:
    told = story(known, "us:1")
    assert [one for one in told if one[1] in ("raw", "match", "bank")] == [
        ("03-02 13:00", "raw", "dispute opened du_7 100.00 USD: fraudulent"),
        (
            *("03-03 00:00", "bank"),
            "payout stripe_us:po_10001 reached the bank on 2026-03-03 as 124.76 USD, "
            "main_usd:B1-1, by bank_sum",
        ),
        *[one for one in told if one[1] == "match"],
    ]
    assert (
        "03-02 12:00",
        "core",
        "sale stripe_us:txn_1 settles 100.00 USD less 3.20 of fees, in payout stripe_us:po_10001",
    ) in told
    assert told[-1][1:] == (
        "books",
        f"settlement entry {ENTRY} of 2026-03-02: settlement 130.00 USD; in odoo: "
        "MISC/2026/03/0004",
    )
    moments = [one["at"] for one in life(known, "us:1")["events"]]
    assert moments == sorted(moments)


def test_an_order_waits_until_the_provider_must_have_settled(known: Money) -> None:
    assert [wait["says"] for wait in life(known, "us:3")["waits_for"]][1:] == [
        "waits for provider stripe_us to settle us:3:capture until 2026-03-12 14:24"
    ]
    assert [wait["on"] for wait in life(known, "us:2")["waits_for"]] == ["us"]


def test_what_is_open_is_told_with_its_finding_and_its_owner(
    engine: Engine, tmp_path: Path
) -> None:
    """A payment that is late waits for a person; one whose line is short waits for nobody else."""
    one = settled_world(engine, tmp_path)
    one.order(1, "100.00", payment="pi_1")
    one.order(2, "50.00", payment="pi_2")
    one.drop("stripe_us", "a.csv", stripe_file(stripe_charge(2, "40.00", "1.46")))
    one.settle(days=11)
    (late,) = life(one, "us:1")["money"]["open"]
    assert (late["finding"], late["ref"], late["owner_role"]) == (
        *("unsettled", "us:1:capture", "finance"),
    )
    waits = [wait["says"] for wait in life(one, "us:1")["waits_for"]]
    assert [said for said in waits if "provider" in said] == []
    assert any("(finance), settlement.unsettled" in said for said in waits)
    short = life(one, "us:2")
    found = [(row["finding"], row["ref"]) for row in short["money"]["open"]]
    assert ("amount_short", "stripe_us:txn_2") in found
    assert not any("to settle" in wait["says"] for wait in short["waits_for"])
    assert ("exception", "settlement.amount_short of stripe_us:txn_2") in [
        (event["layer"], event["what"].partition(" (")[0]) for event in short["events"]
    ]


def test_a_line_waits_for_its_payout(engine: Engine, tmp_path: Path) -> None:
    one = settled_world(engine, tmp_path)
    one.order(1, "100.00", payment="pi_1")
    one.drop("stripe_us", "a.csv", stripe_file(stripe_charge(1, "100.00", "3.20")))
    one.settle(days=1)
    assert [wait["says"] for wait in life(one, "us:1")["waits_for"]][1:] == [
        "waits for provider stripe_us to pay out stripe_us:txn_1 since 2026-03-02 12:00 (24 h)"
    ]


def test_a_thing_of_money_has_the_story_of_its_orders(known: Money) -> None:
    """What an exception about a line or a payout is explained with."""
    with connected(known.systems.engine) as connection:
        for ref, orders in ((PAYOUT, 2), ("stripe_us:txn_1", 1), ("us:1:capture", 1)):
            events = tracing.events_behind(connection, ref, known.world.clock())
            assert sum("is expected from" in one["what"] for one in events) == (
                4 if orders == 2 else 3
            )


def test_every_table_of_money_is_read_by_an_index(known: Money) -> None:
    asked: list[tuple[str, Any]] = []

    def listen(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    engine = known.systems.engine
    event.listen(engine, "before_cursor_execute", listen)
    for reference in ("us:1", "us:3", "po_10001", "B1-1", ENTRY):
        traced(known, reference)
    event.remove(engine, "before_cursor_execute", listen)
    without = set()
    with connected(engine) as connection:
        connection.exec_driver_sql("set local enable_seqscan = off")
        for statement, values in asked:
            explained = f"explain (format json) {statement}"
            plan = connection.exec_driver_sql(explained, values).scalar_one()
            without |= {scan["Relation Name"] for scan in whole(plan[0]["Plan"])}
    # Of an order without refunds, verdicts of none are asked for.
    assert without == {"system", "refund_verdicts"}


def whole(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Scans that read a table, or an index, from end to end."""
    below = [one for part in node.get("Plans", []) for one in whole(part)]
    kind = node["Node Type"]
    is_whole = kind == "Seq Scan" or (kind.startswith("Index") and "Index Cond" not in node)
    return [*below, node] if is_whole else below


# ---------------------------------------------------------------- the command line


def test_a_person_sees_the_orders_of_a_payout_and_the_money_of_an_order(
    known: Money, server: postgres.Databases, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = known.systems.engine.url.database
    named = server.store.set(database=name)
    monkeypatch.setenv("SYNC_DATABASE_URL", server.text(named))
    monkeypatch.setenv("SYNC_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    told = said("trace", "po_10001")
    assert told.code == 0
    assert told.out.startswith("Payout stripe_us:po_10001: 124.76 USD paid 2026-03-02;")
    assert re.search(r"│ us:2 +│ +1 │ 60.00 +│ USD ", told.out)
    assert told.out.endswith("One of them: `sync-assets trace ORDER`.\n")
    told = said("trace", "us:1")
    titles = ["Refunds", "Payments", "Booked in", "What happened (UTC)"]
    places = [told.out.index(title) for title in titles]
    assert places == sorted(places)
    assert "Open of its money" not in told.out
    found = said("trace", "us:1", "--only", "money", "--json").json["found"][0]
    assert {one["about"] for one in found["events"]} == {"money"}
    assert found["money"]["payments"][0]["fee_amount"] == "3.20"
