"""The books: revenue by shipment, what is taken back and booked anew, what is held and why, closed
months, and the ERP that is told once; then the whole job as a Dagster run.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine

from resources.store.engine import connected
from sync_assets.settlements import deciding, steps
from sync_assets.settlements.things import Act
from tests.runs import Runs
from tests.settling import (
    EU,
    US,
    Money,
    days,
    settled_world,
)
from tests.settling_files import (
    START,
    adyen_captures,
    adyen_file,
    adyen_row,
    bank_camt,
    bank_csv,
    cod_file,
    stripe_charge,
    stripe_file,
    stripe_payout,
    stripe_row,
)

APRIL = datetime(2026, 4, 2, 12, tzinfo=UTC)


@pytest.fixture
def one(engine: Engine, tmp_path: Path) -> Money:
    """The world of money."""
    return settled_world(engine, tmp_path)


def sell(one: Money, number: int = 1, payout: str = "po_10001") -> None:
    """Sell for 100.00 dollars and have it paid out less 3.20."""
    one.order(number, "100.00", payment=f"pi_{number}")
    one.drop(
        "stripe_us",
        f"{payout}.csv",
        stripe_file(
            stripe_charge(number, "100.00", "3.20", payout=payout, at=one.world.clock()),
            stripe_payout(payout, "96.80", at=one.world.clock()),
        ),
    )


SETTLED = f"settlement:{US}:stripe_us:stripe_us:po_10001:2026-03:1"
PAID_OUT = [
    "03-02",
    "1200 -100.00 USD",
    "1210 -96.80 USD",
    "1210 96.80 USD",
    "1220 96.80 USD",
    "6200 3.20 USD",
]

# ---------------------------------------------------------------- sales


def test_split_shipments_earn_their_part_of_the_order(one: Money) -> None:
    """Money comes at once; goods, and with the first of them the freight, are earned as they go."""
    order = one.order(
        1,
        "130.90",
        store="eu",
        method="adyen",
        payment="PSP1",
        lines=(("product", "TEA", "2", "100.00", "19.00"), ("shipping", "DHL", "1", "10", "1.90")),
    )
    one.settle(hours=1)
    assert one.balances(EU) == {"1200": "130.90 EUR", "2300": "-130.90 EUR"}
    one.ship(order, 0, 1)
    one.settle(days=1)
    revenue = f"revenue:{EU}:adyen_eu:eu"
    assert one.books("revenue:%") == {
        f"{revenue}:day:2026-03-02:2026-03:1": [
            "03-02",
            "2200 -11.40 EUR",
            "2300 71.40 EUR",
            "4000 -50.00 EUR",
            "4010 -10.00 EUR",
        ]
    }
    one.ship(order, 0, 1)
    one.settle(days=1)
    assert one.books("revenue:%day:2026-03-03%") == {
        f"{revenue}:day:2026-03-03:2026-03:1": [
            "03-03",
            "2200 -9.50 EUR",
            "2300 59.50 EUR",
            "4000 -50.00 EUR",
        ]
    }
    assert one.balances(EU) == {
        "1200": "130.90 EUR",
        "2200": "-20.90 EUR",
        "4000": "-100.00 EUR",
        "4010": "-10.00 EUR",
    }


def test_parts_that_do_not_divide_to_the_cent_come_to_the_whole(one: Money) -> None:
    line = ("product", "TEA", "3", "10.00", "1.90")
    order = one.order(1, "11.90", store="eu", method="adyen", payment="PSP1", lines=(line,))
    for _ in range(3):
        one.ship(order, 0, 1)
        one.settle(days=1)
    sales = [line for lines in one.books("revenue:%").values() for line in lines if "4000" in line]
    assert sales == ["4000 -3.33 EUR", "4000 -3.34 EUR", "4000 -3.33 EUR"]
    assert one.balances(EU) == {"1200": "11.90 EUR", "2200": "-1.90 EUR", "4000": "-10.00 EUR"}


def test_an_order_is_no_revenue_before_it_leaves_but_by_capture_where_so_agreed(
    one: Money,
) -> None:
    one.order(1, "100.00", store="eu", method="adyen", payment="PSP1")
    one.settle(hours=1)
    assert one.books("revenue:%") == {}
    one.rule(companies={EU: {"revenue_on": "capture"}})
    one.settle(hours=1)
    assert one.entry("revenue:%") == ["03-02", "2300 100.00 EUR", "4000 -100.00 EUR"]


def test_a_gift_card_that_pays_a_part_lowers_what_we_owe_its_holder(one: Money) -> None:
    """Sold for 119.00 with tax; 30.00 are paid by a gift card, 89.00 by Adyen."""
    order = one.order(
        1,
        "89.00",
        store="eu",
        method="adyen",
        payment="PSP1",
        lines=(
            ("product", "TEA", "1", "100.00", "19.00"),
            ("fee", "Gift card GC-1", "1", "-30.00"),
        ),
    )
    one.ship(order, 0, 1)
    one.drop("adyen_eu", "events.csv", adyen_captures("PSP1", ("CAP1", "89.00")))
    one.drop(
        "adyen_eu",
        "batch_1.csv",
        adyen_file(adyen_row("Settled", "88.01", fee="0.99", psp="PSP1", movement="CAP1")),
    )
    one.settle(hours=1)
    assert one.matches() == [("exact", "adyen_eu:CAP1:Settled", "eu:1:capture")]
    assert one.open() == {}
    assert one.entry("receipts:%") == ["03-02", "1200 89.00 EUR", "2300 -89.00 EUR"]
    assert one.entry("revenue:%") == [
        "03-02",
        "2200 -19.00 EUR",
        "2300 89.00 EUR",
        "2400 30.00 EUR",
        "4000 -100.00 EUR",
    ]
    assert one.entry("settlement:%") == [
        "03-02",
        "1200 -89.00 EUR",
        "1210 88.01 EUR",
        "6200 0.99 EUR",
    ]


def test_a_sold_gift_card_is_a_debt_and_no_sale(one: Money) -> None:
    one.rule(gift_cards={"skus": ["GIFT-*"]})
    line = ("product", "GIFT-50", "1", "50.00")
    order = one.order(1, "50.00", store="eu", method="adyen", payment="PSP1", lines=(line,))
    one.ship(order, 0, 1)
    one.settle(hours=1)
    assert one.entry("revenue:%") == ["03-02", "2300 50.00 EUR", "2400 -50.00 EUR"]


def test_a_refund_takes_back_sales_and_tax_where_we_book_them(one: Money) -> None:
    line = ("product", "TEA", "2", "100.00", "19.00")
    order = one.order(1, "119.00", store="eu", method="adyen", payment="PSP1", lines=(line,))
    one.ship(order, 0, 2)
    one.refund("r1", order, "59.50", tax="9.50", provider_ref="REF1")
    one.drop(
        "adyen_eu",
        "batch_1.csv",
        adyen_file(adyen_row("Refunded", "-59.50", psp="PSP1", movement="REF1")),
    )
    one.settle(hours=1)
    assert one.matches() == [("exact", "adyen_eu:REF1:Refunded", "r1")]
    assert one.entry("refunds:%") == [
        "03-02",
        "1200 -59.50 EUR",
        "2200 9.50 EUR",
        "4090 50.00 EUR",
    ]
    assert one.balances(EU) == {
        "1200": "119.00 EUR",
        "1210": "-59.50 EUR",
        "2200": "-9.50 EUR",
        "4000": "-100.00 EUR",
        "4090": "50.00 EUR",
    }


# ---------------------------------------------------------------- taken back, booked anew


def test_what_a_person_unmatches_is_taken_back_by_a_counter_entry(one: Money) -> None:
    sell(one)
    one.settle(hours=1)
    assert one.books(SETTLED) == {SETTLED: PAID_OUT}
    _unmatch(one, "stripe_us:txn_1")
    assert one.post().corrections == 1
    assert one.books("correction:%") == {
        f"correction:{SETTLED}:1": [
            "03-02",
            "1200 100.00 USD",
            "1210 -96.80 USD",
            "6200 -3.20 USD",
        ]
    }
    assert one.books(SETTLED) == {SETTLED: PAID_OUT}
    assert one.balances() == {
        "1100": "-100.00 USD",
        "1200": "100.00 USD",
        "1210": "-96.80 USD",
        "1220": "96.80 USD",
    }
    _match(one, "stripe_us:txn_1", "us:1:capture")
    one.settle(hours=1)
    again = SETTLED.removesuffix("1") + "2"
    assert one.books(again) == {
        again: ["03-02", "1200 -100.00 USD", "1210 96.80 USD", "6200 3.20 USD"]
    }
    assert one.balances() == {"1100": "-100.00 USD", "1220": "96.80 USD", "6200": "3.20 USD"}
    assert sorted(one.in_erp()) == sorted(one.books())


def test_what_a_person_set_apart_is_not_put_together_again_by_a_rule(one: Money) -> None:
    sell(one)
    one.settle(hours=1)
    _unmatch(one, "stripe_us:txn_1")
    one.settle(hours=1)
    assert one.matches() == []
    assert one.open() == {("stripe_us:txn_1", "order_unknown"): "100.00 USD"}
    assert one.balances() == {
        "1100": "-100.00 USD",
        "1200": "100.00 USD",
        "1210": "-96.80 USD",
        "1220": "96.80 USD",
    }
    before = one.counts()
    one.settle(hours=1)
    assert one.counts() == before


def test_a_fee_and_a_payout_that_a_person_took_out_stay_open(one: Money) -> None:
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_row("txn_fee", "fee", "-5.00", payout="po_10001", description="Radar"),
            stripe_payout("po_10001", "-5.00"),
        ),
    )
    one.drop("main_usd", "s1.xml", bank_camt(1, "500.00", ("-5.00", "STRIPE po_10001")))
    one.settle(hours=1)
    assert [match[0] for match in one.matches()] == ["bank_sum", "fee"]
    _unmatch(one, "stripe_us:txn_fee")
    _unmatch(one, "stripe_us:txn_po_10001")
    one.settle(hours=1)
    assert one.matches() == []
    assert {ref for ref, _ in one.open()} == {"stripe_us:txn_fee", "main_usd:B1-1"}
    assert one.balances() == {"1210": "5.00 USD", "1220": "-5.00 USD"}


def _act(one: Money) -> Act:
    return Act("olga", "by hand", one.world.clock())


def _unmatch(one: Money, ref: str) -> None:
    """End the match of a thing, as a person does."""
    (row,) = one.world.rows(
        "select match_id from core.match_items where ref = :ref and is_live", ref=ref
    )
    with connected(one.systems.engine) as connection:
        deciding.unmatch(connection, row["match_id"], _act(one))


def _match(one: Money, line: str, payment: str) -> None:
    """Match a line and a payment, as a person does."""
    with connected(one.systems.engine) as connection:
        rules = steps.policy.in_force(one.systems, connection)
        assert rules is not None
        wanted = deciding.Wanted(lines=(line,), payments=(payment,))
        deciding.match(connection, rules, wanted, _act(one))


# ---------------------------------------------------------------- held


def test_a_missing_account_holds_the_entry_until_it_is_named(one: Money) -> None:
    one.rule(without=("fees",))
    sell(one)
    one.settle(hours=1)
    assert list(one.books()) == [f"receipts:{US}:stripe_us:us:day:2026-03-02:2026-03:1"]
    assert one.held() == {(f"{US} fees.stripe_us", "no_account")}
    assert one.matches() == [("exact", "stripe_us:txn_1", "us:1:capture")]
    one.rule()
    one.settle(hours=1)
    assert one.books(SETTLED) == {SETTLED: PAID_OUT}
    assert one.held() == set()


def test_a_missing_rate_holds_the_entry_until_it_is_known(one: Money) -> None:
    one.order(1, "100.00", payment="pi_1", currency="EUR")
    one.settle(hours=1)
    assert one.books() == {}
    assert one.held() == {(f"{US} EUR 2026-03-02", "no_rate")}
    one.rate("EUR", "USD", "2026-03-01", "1.08")
    one.settle(hours=1)
    assert one.entry("receipts:%") == [
        "03-02",
        "1100 -100.00 EUR = -108.00 USD",
        "1200 100.00 EUR = 108.00 USD",
    ]
    assert one.held() == set()


def test_what_comes_after_its_month_was_closed_is_booked_in_the_next_open_one(one: Money) -> None:
    sell(one)
    one.close(US, "2026-03")
    one.world.clock.at = APRIL
    one.settle()
    assert one.books() == {
        f"receipts:{US}:stripe_us:us:day:2026-03-02:2026-04:1": [
            "04-01",
            "1100 -100.00 USD",
            "1200 100.00 USD",
        ],
        SETTLED.replace("2026-03:1", "2026-04:1"): ["04-01", *PAID_OUT[1:]],
    }
    one.close(US, "2026-04")
    sell(one, 2, "po_10002")
    one.settle()
    assert {lines[0] for key, lines in one.books().items() if ":2026-05:" in key} == {"05-01"}
    assert one.held() == set()


def test_what_comes_after_its_month_was_closed_is_held_where_so_agreed(one: Money) -> None:
    one.rule(companies={US: {"late": "hold"}})
    sell(one)
    one.close(US, "2026-03")
    one.world.clock.at = APRIL
    one.settle()
    assert one.books() == {}
    assert one.held() == {(f"{US} 2026-03", "period_closed")}
    one.close(US, "2026-03", is_closed=False)
    one.settle(hours=1)
    assert one.books(SETTLED) == {SETTLED: PAID_OUT}
    assert one.held() == set()


def test_a_missing_account_holds_an_entry_of_a_closed_month_too(one: Money) -> None:
    one.rule(without=("fees",))
    sell(one)
    one.close(US, "2026-03")
    one.world.clock.at = APRIL
    one.settle()
    assert one.books("settlement:%") == {}
    assert one.held() == {(f"{US} fees.stripe_us", "no_account")}


def test_what_is_taken_back_after_its_month_was_closed_is_booked_today(one: Money) -> None:
    sell(one)
    one.settle(hours=1)
    one.close(US, "2026-03")
    one.world.clock.at = APRIL
    _unmatch(one, "stripe_us:txn_1")
    assert one.post().corrections == 1
    assert one.entry("correction:%")[0] == "04-02"
    one.close(US, "2026-04")
    _match(one, "stripe_us:txn_1", "us:1:capture")
    one.settle(hours=1)
    _unmatch(one, "stripe_us:txn_1")
    assert one.post().corrections == 1, "today's month is closed: the next open one takes it"
    assert [lines[0] for lines in one.books("correction:%").values()] == ["04-02", "05-01"]


# ---------------------------------------------------------------- the ERP


def test_entries_are_posted_to_the_erp_once_with_the_reference_of_their_batch(one: Money) -> None:
    sell(one)
    one.drop("main_usd", "s1.xml", bank_camt(1, "500.00", ("96.80", "STRIPE po_10001")))
    one.settle(hours=1)
    assert one.in_erp() == {key: sorted(lines) for key, (_, *lines) in one.books().items()}
    (entry,) = one.world.erp.entries_by_ref()[SETTLED]
    assert (entry["company"], str(entry["date"])) == (US, "2026-03-02")
    row = one.world.erp.tables.rows["account.move"][entry["id"]]
    assert row["narration"].startswith("stripe_us:po_10001: ")
    calls, counts = one.world.erp.count("account.move.load"), one.counts()
    one.settle(hours=1)
    one.settle(days=1)
    assert one.world.erp.count("account.move.load") == calls
    assert one.counts() == counts
    receipts = one.world.rows(
        "select key, outcome, amount from receipt.odoo__journal_entries order by key"
    )
    assert [(row["key"], row["outcome"]) for row in receipts] == [
        (key, "accepted") for key in sorted(one.books())
    ]


def test_an_entry_leads_back_to_the_lines_it_is_made_of(one: Money) -> None:
    sell(one)
    sell_more = one.order(2, "50.00", payment="pi_2")
    assert sell_more == "us:2"
    one.drop(
        "stripe_us",
        "more.csv",
        stripe_file(stripe_charge(2, "50.00", "1.75", payout="po_10001")),
    )
    one.settle(hours=1)
    rows = one.world.rows(
        "select s.source_ref, s.amount, i.ref from core.journal_sources s "
        "join core.journal_lines l using (entry_ref, line_no) "
        "join core.match_items i on i.match_id = s.match_id and i.side = 'expected' "
        "where s.entry_ref = :entry and l.account = '1200' order by 1",
        entry=SETTLED,
    )
    assert [(row["source_ref"], row["amount"], row["ref"]) for row in rows] == [
        ("stripe_us:txn_1", Decimal(-100), "us:1:capture"),
        ("stripe_us:txn_2", Decimal(-50), "us:2:capture"),
    ]


# ---------------------------------------------------------------- the job


@pytest.fixture
def runs(one: Money, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Runs over the world of money."""
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(one.world, instance)


def test_the_job_settles_the_whole_world_and_a_second_run_changes_nothing(
    one: Money, runs: Runs
) -> None:
    fill(one)
    one.world.clock.forward(days=2)
    first = runs("settlements")
    assert first.success
    checks = {check.check_name: check.passed for check in first.get_asset_check_evaluations()}
    assert {name for name, passed in checks.items() if not passed} == set()
    assert len(checks) >= 10
    assert one.open() == {}
    counts, books = one.counts(), one.books()
    assert sorted(one.in_erp()) == sorted(books)
    one.world.clock.forward(hours=1)
    second = runs("settlements")
    assert second.success
    assert (one.counts(), one.books()) == (counts, books)


def fill(one: Money) -> None:
    """Something of every provider and bank."""
    sell(one)
    one.drop(
        "main_usd",
        "s1.xml",
        bank_camt(1, "500.00", ("96.80", "STRIPE po_10001"), at=START + days(1)),
    )
    one.order(1, "119.00", store="eu", method="adyen", payment="PSP1")
    one.drop(
        "adyen_eu",
        "batch_1.csv",
        adyen_file(
            adyen_row("Settled", "117.71", fee="1.29", psp="PSP1", movement="PSP1"),
            adyen_row("MerchantPayout", "-117.71", movement="TX77 batch 1"),
        ),
    )
    one.order(2, "80.00", store="eu", method="cod")
    one.drop(
        "cod_eu",
        "remittance.csv",
        cod_file(
            "p1,2,sale,80.00,2.00,0,78.00,R1001,2026-03-02,COD1001",
            ",,payout,-78.00,0,0,-78.00,R1001,2026-03-02,COD1001",
        ),
    )
    one.drop(
        "main_eu",
        "week.csv",
        bank_csv(
            ("2026-03-03", "117.71", "Adyen TX77 batch 1"), ("2026-03-03", "78.00", "COD1001")
        ),
    )
