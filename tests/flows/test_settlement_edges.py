"""The edges of settlements, each from report files to the ERP's books: what is matched by which
rule, what is open with which finding, and what is booked, to the cent.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.settling import (
    EU,
    UK,
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
    paypal_file,
    paypal_row,
    stripe_charge,
    stripe_file,
    stripe_payout,
    stripe_row,
)


@pytest.fixture
def one(engine: Engine, tmp_path: Path) -> Money:
    """The world of money."""
    return settled_world(engine, tmp_path)


# ---------------------------------------------------------------- captures


def test_two_captures_of_an_order_are_matched_with_their_two_lines(one: Money) -> None:
    one.order(1, "100.00", store="eu", method="adyen", payment="PSP1")
    one.drop("adyen_eu", "events.csv", adyen_captures("PSP1", ("CAP1", "60.00"), ("CAP2", "40.00")))
    one.drop(
        "adyen_eu",
        "batch_1.csv",
        adyen_file(
            adyen_row("Settled", "59.30", fee="0.70", psp="PSP1", movement="CAP1"),
            adyen_row("Settled", "39.50", fee="0.50", psp="PSP1", movement="CAP2"),
            adyen_row("MerchantPayout", "-98.80", movement="TX77 batch 1"),
        ),
    )
    one.settle(hours=1)
    assert one.matches() == [
        ("exact", "adyen_eu:CAP1:Settled", "eu:1:capture:CAP1"),
        ("exact", "adyen_eu:CAP2:Settled", "eu:1:capture:CAP2"),
    ]
    assert one.open() == {}
    assert one.books() == {
        f"receipts:{EU}:adyen_eu:eu:day:2026-03-02:2026-03:1": [
            "03-02",
            "1200 100.00 EUR",
            "2300 -100.00 EUR",
        ],
        f"settlement:{EU}:adyen_eu:adyen_eu:AcmeEurope:1:EUR:2026-03:1": [
            "03-02",
            "1200 -100.00 EUR",
            "1210 -98.80 EUR",
            "1210 98.80 EUR",
            "1220 98.80 EUR",
            "6200 1.20 EUR",
        ],
    }


def test_one_line_settles_two_captures_by_their_sum(one: Money) -> None:
    one.order(1, "100.00", store="eu", method="adyen", payment="PSP1")
    one.drop("adyen_eu", "events.csv", adyen_captures("PSP1", ("CAP1", "60.00"), ("CAP2", "40.00")))
    one.drop(
        "adyen_eu",
        "batch_1.csv",
        adyen_file(adyen_row("Settled", "98.90", fee="1.10", psp="PSP1", movement="PSP1")),
    )
    one.settle(hours=1)
    assert one.matches() == [
        ("sum", "adyen_eu:PSP1:Settled", "eu:1:capture:CAP1", "eu:1:capture:CAP2")
    ]
    assert one.open() == {}
    assert one.entry("settlement:%") == [
        "03-02",
        "1200 -100.00 EUR",
        "1210 98.90 EUR",
        "6200 1.10 EUR",
    ]
    assert one.balances(EU) == {"1210": "98.90 EUR", "2300": "-100.00 EUR", "6200": "1.10 EUR"}


def test_an_order_made_cheaper_after_its_capture_is_told_and_not_booked_anew(one: Money) -> None:
    """The shop works its tax out anew; what was captured and settled stays what it was."""
    number = one.world.place(lines={"TEA": 2}, payment_method="stripe", transaction_id="pi_9")
    ref = f"us:{number}"
    _look(one)
    one.drop("stripe_us", "a.csv", stripe_file(_charge(9, "21.78", "0.93", payout="po_90001")))
    one.settle(hours=1)
    before = one.books()
    assert one.matches() == [("exact", "stripe_us:txn_9", f"{ref}:capture")]
    line = one.world.shops["us"].order_json(number)["line_items"][0]["id"]
    one.world.shops["us"].edit(number, line_items=[{"id": line, "quantity": 1, "total": "9.90"}])
    _look(one)
    one.settle(hours=1)
    assert one.open() == {(ref, "over_captured"): "10.89 USD"}
    assert one.told() == {(ref, "over_captured")}
    assert one.matches() == [("exact", "stripe_us:txn_9", f"{ref}:capture")]
    assert one.books() == before


def test_an_order_made_dearer_after_its_capture_lacks_a_part_once_it_is_completed(
    one: Money,
) -> None:
    number = one.world.place(lines={"TEA": 2}, payment_method="stripe", transaction_id="pi_9")
    ref = f"us:{number}"
    _look(one)
    one.drop("stripe_us", "a.csv", stripe_file(_charge(9, "21.78", "0.93", payout="po_90001")))
    one.settle(hours=1)
    before = one.books()
    line = one.world.shops["us"].order_json(number)["line_items"][0]["id"]
    one.world.shops["us"].edit(number, line_items=[{"id": line, "quantity": 3, "total": "29.70"}])
    one.world.shops["us"].set_status(number, "completed")
    _look(one)
    one.settle(hours=1)
    assert one.open() == {(ref, "part_captured"): "-10.89 USD"}
    assert one.books() == before


def test_an_order_edited_before_it_is_settled_is_booked_anew_by_a_counter_entry(
    one: Money,
) -> None:
    number = one.world.place(lines={"TEA": 2}, payment_method="stripe", transaction_id="pi_9")
    ref = f"us:{number}"
    _look(one)
    one.settle(hours=1)
    line = one.world.shops["us"].order_json(number)["line_items"][0]["id"]
    one.world.shops["us"].edit(number, line_items=[{"id": line, "quantity": 1, "total": "9.90"}])
    _look(one)
    one.drop("stripe_us", "a.csv", stripe_file(_charge(9, "21.78", "0.93", payout="po_90001")))
    one.settle(hours=1)
    assert one.open() == {("stripe_us:txn_9", "amount_over"): "21.78 USD"}
    first = f"receipts:{US}:stripe_us:us:day:2026-03-02:2026-03"
    assert one.books() == {
        f"{first}:1": ["03-02", "1100 -21.78 USD", "1200 21.78 USD"],
        f"correction:{first}:1:1": ["03-02", "1100 21.78 USD", "1200 -21.78 USD"],
        f"{first}:2": ["03-02", "1100 -10.89 USD", "1200 10.89 USD"],
    }
    assert ref in {row["order_ref"] for row in one.world.rows("select * from core.payments")}


def _look(one: Money) -> None:
    """Read orders and map them."""
    one.world.clock.forward(seconds=2)
    one.world.read()
    one.world.core()


def _charge(number: int, gross: str, fee: str, **more: str) -> str:
    return stripe_charge(number, gross, fee, **more)


# ---------------------------------------------------------------- refunds


def test_a_refund_that_failed_before_it_was_settled_is_not_expected(one: Money) -> None:
    order = one.order(1, "100.00", payment="pi_1")
    one.move(one.refund("r1", order, "30.00", state="submitted"), "submitted", "failed")
    one.settle(hours=1)
    pending = one.refund("r2", order, "20.00", state="submitted", provider_ref="re_2")
    one.settle(hours=1)
    assert one.balances() == {"1100": "-80.00 USD", "1200": "80.00 USD"}
    one.move(pending, "submitted", "failed")
    one.settle(days=30)
    assert one.world.rows("select payment_ref, is_void from core.payments order by 1") == [
        {"payment_ref": "r2", "is_void": True},
        {"payment_ref": "us:1:capture", "is_void": False},
    ]
    assert one.open() == {("us:1:capture", "unsettled"): "100.00 USD"}
    assert one.balances() == {"1100": "-100.00 USD", "1200": "100.00 USD"}


def test_a_refund_that_failed_after_it_was_settled_comes_back(one: Money) -> None:
    order = one.order(1, "100.00", payment="pi_1")
    one.refund("r1", order, "30.00", provider_ref="re_1")
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001"),
            _movement("txn_2", "refund", "-30.00", "re_1", payout="po_10001"),
        ),
    )
    one.settle(hours=1)
    one.move("r1", "confirmed", "failed")
    one.drop(
        "stripe_us",
        "b.csv",
        stripe_file(_movement("txn_3", "refund_failure", "30.00", "re_1", payout="po_10002")),
    )
    one.settle(hours=1)
    assert one.matches() == [
        ("exact", "stripe_us:txn_1", "us:1:capture"),
        ("exact", "stripe_us:txn_2", "r1"),
        ("exact", "stripe_us:txn_3", "r1:back"),
    ]
    assert one.open() == {}
    assert one.balances() == {"1100": "-100.00 USD", "1210": "96.80 USD", "6200": "3.20 USD"}


def test_a_refund_that_went_through_after_all_brings_nothing_back(one: Money) -> None:
    order = one.order(1, "100.00", payment="pi_1")
    one.refund("r1", order, "30.00", provider_ref="re_1")
    lines = (
        stripe_charge(1, "100.00", "3.20", payout="po_10001"),
        _movement("txn_2", "refund", "-30.00", "re_1", payout="po_10001"),
    )
    one.drop("stripe_us", "a.csv", stripe_file(*lines))
    one.settle(hours=1)
    before = one.balances()
    one.move("r1", "confirmed", "failed")
    one.settle(hours=1)
    back = "select is_void from core.payments where payment_ref = 'r1:back'"
    assert one.world.rows(back) == [{"is_void": False}]
    one.move("r1", "failed", "confirmed")
    one.settle(days=60)
    assert one.world.rows(back) == [{"is_void": True}]
    assert one.open() == {}
    assert one.balances() == before


def _movement(
    key: str, category: str, gross: str, movement: str, fee: str = "0.00", **more: str
) -> str:
    """A line of a refund or dispute of the first charge."""
    ids = {"source_id": movement, "charge_id": "ch_1", "payment_intent_id": "pi_1"}
    return stripe_row(key, category, gross, fee, **ids, **more)


def test_a_refund_is_settled_in_another_payout_than_its_sale(one: Money) -> None:
    order = one.order(1, "100.00", payment="pi_1")
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001"),
            stripe_payout("po_10001", "96.80"),
        ),
    )
    one.settle(hours=1)
    one.refund("r1", order, "30.00", provider_ref="re_1")
    one.order(2, "50.00", payment="pi_2")
    later = START + days(2)
    one.drop(
        "stripe_us",
        "b.csv",
        stripe_file(
            _movement("txn_20", "refund", "-30.00", "re_1", payout="po_10002", at=later),
            stripe_charge(2, "50.00", "1.75", payout="po_10002", at=later),
            stripe_payout("po_10002", "18.25", at=later),
        ),
    )
    one.settle(days=2)
    assert one.matches() == [
        ("exact", "stripe_us:txn_1", "us:1:capture"),
        ("exact", "stripe_us:txn_2", "us:2:capture"),
        ("exact", "stripe_us:txn_20", "r1"),
    ]
    assert one.open() == {}
    assert one.entry("settlement:%po_10002%") == [
        "03-04",
        "1200 -50.00 USD",
        "1200 30.00 USD",
        "1210 -18.25 USD",
        "1210 18.25 USD",
        "1220 18.25 USD",
        "6200 1.75 USD",
    ]
    assert one.balances() == {"1100": "-120.00 USD", "1220": "115.05 USD", "6200": "4.95 USD"}


def _refunded_at_the_provider(one: Money, *keys: str) -> str:
    """A settled order of which a person gave 30.00 back, once for each key, without the shop."""
    order = one.order(1, "100.00", payment="pi_1")
    of = {"payout": "po_10001"}
    lines = [_movement(f"txn_{key}", "refund", "-30.00", f"re_{key}", **of) for key in keys]
    one.drop("stripe_us", "a.csv", stripe_file(stripe_charge(1, "100.00", "3.20", **of), *lines))
    one.settle(hours=1)
    return order


def test_a_refund_by_hand_is_known_once_the_shop_has_it_written_down(one: Money) -> None:
    order = _refunded_at_the_provider(one, "2")
    assert one.open() == {("stripe_us:txn_2", "refund_unknown"): "-30.00 USD"}
    one.refund("r1", order, "30.00", method="manual")
    one.settle(hours=1)
    assert one.matches() == [
        ("exact", "stripe_us:txn_1", "us:1:capture"),
        ("exact", "stripe_us:txn_2", "r1"),
    ]
    assert one.open() == {}
    assert one.told() == set()
    assert one.balances() == {"1100": "-70.00 USD", "1210": "66.80 USD", "6200": "3.20 USD"}


def test_a_refund_by_hand_that_no_line_pays_is_not_expected_of_the_provider(one: Money) -> None:
    """It may have been cash: one line is no reason to expect two."""
    order = _refunded_at_the_provider(one, "2")
    one.refund("r1", order, "30.00", method="manual")
    one.refund("r2", order, "30.00", method="manual")
    one.refund("r3", order, "10.00", method="manual")
    one.settle(days=60)
    assert one.matches()[1] == ("exact", "stripe_us:txn_2", "r1")
    paid = one.world.rows("select payment_ref from core.payments order by 1")
    assert [row["payment_ref"] for row in paid] == ["r1", "us:1:capture"]
    assert one.open() == {}


def test_a_line_pays_the_refund_that_the_gateway_was_told_before_one_by_hand(one: Money) -> None:
    order = one.order(1, "100.00", payment="pi_1")
    one.refund("r1", order, "30.00")
    one.refund("r2", order, "30.00", method="manual")
    lines = [_movement(f"txn_{key}", "refund", "-30.00", f"re_{key}") for key in "23"]
    one.drop("stripe_us", "a.csv", stripe_file(stripe_charge(1, "100.00", "3.20"), lines[0]))
    one.settle(hours=1)
    assert [found[1:] for found in one.matches()] == [
        ("stripe_us:txn_1", "us:1:capture"),
        ("stripe_us:txn_2", "r1"),
    ]
    one.drop("stripe_us", "b.csv", stripe_file(lines[1]))
    one.settle(hours=1)
    assert ("exact", "stripe_us:txn_3", "r2") in one.matches()
    assert one.open() == {}


# ---------------------------------------------------------------- disputes


def _disputed(one: Money) -> None:
    """An order is settled, and then taken back with a fee."""
    one.rule({"stripe_us": {"fees": [*_SALES, *_DISPUTES]}})
    one.order(1, "100.00", payment="pi_1")
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001"),
            stripe_payout("po_10001", "96.80"),
        ),
    )
    one.settle(hours=1)
    one.drop(
        "stripe_us",
        "b.csv",
        stripe_file(
            _movement("txn_2", "dispute", "-100.00", "dp_1", "15.00", payout="po_10002"),
            stripe_payout("po_10002", "-115.00"),
        ),
    )
    one.settle(days=1)


_SALES = [{"currency": "USD", "percent": "2.9", "fixed": "0.30"}]
_DISPUTES = [
    {"kinds": ["chargeback"], "currency": "USD", "fixed": "15.00"},
    {"kinds": ["chargeback_reversed"], "currency": "USD", "fixed": "15.00", "is_returned": True},
]


def test_a_lost_dispute_costs_the_payment_and_its_fee(one: Money) -> None:
    _disputed(one)
    assert one.matches() == [
        ("exact", "stripe_us:txn_1", "us:1:capture"),
        ("exact", "stripe_us:txn_2", "stripe_us:dp_1:chargeback"),
    ]
    assert one.open() == {}
    assert one.entry("settlement:%po_10002%") == [
        "03-02",
        "1210 -115.00 USD",
        "1210 115.00 USD",
        "1220 -115.00 USD",
        "6200 15.00 USD",
        "6300 100.00 USD",
    ]


def test_a_won_dispute_gives_back_the_payment_and_its_fee(one: Money) -> None:
    _disputed(one)
    one.drop(
        "stripe_us",
        "c.csv",
        stripe_file(
            _movement("txn_3", "dispute_reversal", "100.00", "dp_1", "-15.00", payout="po_10003"),
            stripe_payout("po_10003", "115.00"),
        ),
    )
    one.settle(days=1)
    assert one.matches()[2] == ("exact", "stripe_us:txn_3", "stripe_us:dp_1:chargeback_reversed")
    assert one.open() == {}
    assert one.entry("settlement:%po_10003%") == [
        "03-02",
        "1210 -115.00 USD",
        "1210 115.00 USD",
        "1220 115.00 USD",
        "6200 -15.00 USD",
        "6300 -100.00 USD",
    ]
    assert one.balances() == {"1100": "-100.00 USD", "1220": "96.80 USD", "6200": "3.20 USD"}


def test_a_chargeback_of_nothing_we_know_stays_open(one: Money) -> None:
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(_movement("txn_2", "dispute", "-100.00", "dp_1", payout="po_10002")),
    )
    one.settle(hours=1)
    assert one.matches() == []
    assert one.open() == {("stripe_us:txn_2", "chargeback_unknown"): "-100.00 USD"}
    assert one.books() == {}


# ---------------------------------------------------------------- currencies


def test_stripe_settles_a_sale_in_euros_in_dollars(one: Money) -> None:
    """Received at 1.08, settled at 1.10: two dollars are gained, and nothing stays in between."""
    one.rate("EUR", "USD", "2026-03-01", "1.08")
    one.order(1, "100.00", payment="pi_1", currency="EUR")
    told = {"customer_facing_amount": "100.00", "customer_facing_currency": "eur"}
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "110.00", "3.49", payout="po_10001", **told),
            stripe_payout("po_10001", "106.51"),
        ),
    )
    one.settle(hours=1)
    assert one.matches() == [("exact", "stripe_us:txn_1", "us:1:capture")]
    assert one.open() == {}
    assert one.books() == {
        f"receipts:{US}:stripe_us:us:day:2026-03-02:2026-03:1": [
            "03-02",
            "1100 -100.00 EUR = -108.00 USD",
            "1200 100.00 EUR = 108.00 USD",
        ],
        f"settlement:{US}:stripe_us:stripe_us:po_10001:2026-03:1": [
            "03-02",
            "1200 -100.00 EUR = -108.00 USD",
            "1210 -106.51 USD",
            "1210 106.51 USD",
            "1220 106.51 USD",
            "1290 100.00 EUR = 110.00 USD",
            "1290 -110.00 USD",
            "6200 3.49 USD",
            "6950 0.00 EUR = -2.00 USD",
        ],
    }
    assert one.balances() == {
        "1100": "-108.00 USD",
        "1220": "106.51 USD",
        "6200": "3.49 USD",
        "6950": "-2.00 USD",
    }
    assert one.in_erp() == {key: sorted(lines) for key, (_, *lines) in one.books().items()}


def test_paypal_converts_euros_into_pounds_by_a_pair_of_lines(one: Money) -> None:
    """A pound for 0.86 was worth 83.25 pounds and became 83.00: the rest is a loss."""
    one.rate("EUR", "GBP", "2026-03-01", "0.86")
    one.order(1, "100.00", store="uk", method="paypal", payment="8PAYPAL0000000001", currency="EUR")
    sale, given, got = "8PAYPAL0000000001", "8PAYPAL0000000002", "8PAYPAL0000000003"
    one.drop(
        "paypal_uk",
        "STL-20260302.01.009.CSV",
        paypal_file(
            paypal_row(sale, "T0006", "100.00", "3.20", currency="EUR", invoice="1"),
            paypal_row(given, "T0200", "-96.80", currency="EUR", reference=sale),
            paypal_row(got, "T0200", "83.00", reference=sale),
            paypal_row("8PAYPAL0000000004", "T0400", "-83.00", bank="PPW20260302"),
        ),
    )
    one.settle(hours=1)
    assert one.matches() == [
        ("conversion", f"paypal_uk:{given}", f"paypal_uk:{got}"),
        ("exact", f"paypal_uk:{sale}", "uk:1:capture"),
    ]
    assert one.open() == {}
    assert one.entry("settlement:%20260302:EUR%") == [
        "03-02",
        "1200 -100.00 EUR = -86.00 GBP",
        "1210 0.00 EUR = 0.00 GBP",
        "1290 96.80 EUR = 83.00 GBP",
        "6200 3.20 EUR = 2.75 GBP",
        "6950 0.00 EUR = 0.25 GBP",
    ]
    assert one.entry("settlement:%20260302:GBP%") == [
        "03-02",
        "1210 -83.00 GBP",
        "1210 83.00 GBP",
        "1220 83.00 GBP",
        "1290 -83.00 GBP",
    ]
    assert one.balances(UK) == {
        "1100": "-86.00 GBP",
        "1220": "83.00 GBP",
        "6200": "2.75 GBP",
        "6950": "0.25 GBP",
    }


# ---------------------------------------------------------------- payouts and time


def test_a_payout_across_the_end_of_a_month_is_booked_in_both(one: Money) -> None:
    march, april = datetime(2026, 3, 30, 12, tzinfo=UTC), datetime(2026, 4, 1, 12, tzinfo=UTC)
    one.world.clock.at = datetime(2026, 4, 2, 12, tzinfo=UTC)
    one.order(1, "100.00", payment="pi_1", at=march)
    one.order(2, "50.00", payment="pi_2", at=april)
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001", at=march),
            stripe_charge(2, "50.00", "1.75", payout="po_10001", at=april),
            stripe_payout("po_10001", "145.05", at=april + days(1)),
        ),
    )
    one.settle()
    stem = f"settlement:{US}:stripe_us:stripe_us:po_10001"
    assert one.books("settlement:%") == {
        f"{stem}:2026-03:1": ["03-30", "1200 -100.00 USD", "1210 96.80 USD", "6200 3.20 USD"],
        f"{stem}:2026-04:1": [
            "04-02",
            "1200 -50.00 USD",
            "1210 -145.05 USD",
            "1210 48.25 USD",
            "1220 145.05 USD",
            "6200 1.75 USD",
        ],
    }
    carried = one.world.rows(
        "select sum(l.company_amount) as amount from core.journal_lines l "
        "join core.journal_entries e using (entry_ref) where l.account = '1210' "
        "and e.period <= '2026-03'"
    )
    assert f"{carried[0]['amount']:.2f}" == "96.80"
    assert "1210" not in one.balances()


def test_a_negative_payout_takes_money_from_the_bank(one: Money) -> None:
    order = one.order(1, "100.00", payment="pi_1")
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001"),
            stripe_payout("po_10001", "96.80"),
        ),
    )
    one.settle(hours=1)
    one.refund("r1", order, "100.00", provider_ref="re_1")
    one.drop(
        "stripe_us",
        "b.csv",
        stripe_file(
            _movement("txn_2", "refund", "-100.00", "re_1", payout="po_10002"),
            stripe_payout("po_10002", "-100.00"),
        ),
    )
    one.drop(
        "main_usd",
        "s1.xml",
        bank_camt(
            1,
            "500.00",
            ("96.80", "STRIPE po_10001"),
            ("-100.00", "STRIPE po_10002"),
            at=START + days(1),
        ),
    )
    one.settle(days=2)
    assert [match for match in one.matches() if match[0].startswith("bank")] == [
        ("bank_sum", "stripe_us:txn_po_10001", "main_usd:B1-1"),
        ("bank_sum", "stripe_us:txn_po_10002", "main_usd:B1-2"),
    ]
    assert one.open() == {}
    assert one.entry("settlement:%po_10002%") == [
        "03-02",
        "1200 100.00 USD",
        "1210 -100.00 USD",
        "1210 100.00 USD",
        "1220 -100.00 USD",
    ]
    assert one.entry("bank:%") == [
        "03-03",
        "1000 -3.20 USD",
        "1220 3.20 USD",
    ]
    assert one.balances() == {"1000": "-3.20 USD", "6200": "3.20 USD"}


# ---------------------------------------------------------------- files


def test_the_same_file_under_another_name_is_noted_and_tells_nothing_new(one: Money) -> None:
    one.order(1, "100.00", payment="pi_1")
    content = stripe_file(stripe_charge(1, "100.00", "3.20", payout="po_10001"))
    one.drop("stripe_us", "a.csv", content)
    one.settle(hours=1)
    before = one.counts()
    one.drop("stripe_us", "copy of a.csv", content)
    one.settle(hours=1)
    files = one.world.rows(
        "select file_name, state, reason from core.report_files order by read_at"
    )
    assert files == [
        {"file_name": "a.csv", "state": "read", "reason": ""},
        {"file_name": "copy of a.csv", "state": "duplicate", "reason": "same as a.csv"},
    ]
    assert one.counts() == before | {"core.report_files": 2}
    assert [path.name for path in (one.folder / "stripe_us").glob("*.csv")] == []


def test_a_broken_line_costs_no_neighbour_and_is_told_with_its_reason(one: Money) -> None:
    for number in (1, 2, 3):
        one.order(number, "100.00", payment=f"pi_{number}")
    rows = [stripe_charge(n, "100.00", "3.20", payout="po_10001") for n in (1, 2, 3)]
    payout = stripe_payout("po_10001", "290.40")
    spoilt = rows[1].replace("96.80", "97.80")
    one.drop("stripe_us", "a.csv", stripe_file(rows[0], spoilt, "cut off,here", rows[2], payout))
    one.settle(hours=1)
    assert one.matches() == [
        ("exact", "stripe_us:txn_1", "us:1:capture"),
        ("exact", "stripe_us:txn_3", "us:3:capture"),
    ]
    (file,) = one.world.rows("select file_ref, line_count, broken_count from core.report_files")
    assert (file["line_count"], file["broken_count"]) == (4, 1)
    assert one.told() == {
        (file["file_ref"], "line_broken"),
        ("stripe_us:po_10001", "payout_unbalanced"),
    }
    assert one.open()["stripe_us:po_10001", "payout_unbalanced"] == "-96.80 USD"
    (said,) = one.world.rows("select detail from core.open_items where side = 'file'")
    assert said["detail"] == (
        "a.csv: line 3: net: is 97.80, but gross 100.00 - fee 3.20 is 96.80; "
        "line 4: has 2 fields, the header has 16"
    )
    one.drop("stripe_us", "a.csv", stripe_file(*rows, payout))
    one.settle(hours=1)
    assert one.told() == set()
    assert one.balances() == {"1100": "-300.00 USD", "1220": "290.40 USD", "6200": "9.60 USD"}


def test_files_in_the_wrong_order_come_to_the_same_in_the_end(one: Money) -> None:
    """The bank first, then the payout with the refund, then the one with the sale."""
    order = one.order(1, "100.00", payment="pi_1")
    one.refund("r1", order, "30.00", provider_ref="re_1")
    later = START + days(1)
    one.drop(
        "main_usd",
        "s1.xml",
        bank_camt(
            1,
            "500.00",
            ("96.80", "STRIPE po_10001"),
            ("-30.00", "STRIPE po_10002"),
            at=START + days(2),
        ),
    )
    one.settle(days=3)
    assert one.open() == {
        ("main_usd:B1-1", "bank_unexpected"): "96.80 USD",
        ("main_usd:B1-2", "bank_unexpected"): "-30.00 USD",
    }
    one.drop(
        "stripe_us",
        "b.csv",
        stripe_file(
            _movement("txn_2", "refund", "-30.00", "re_1", payout="po_10002", at=later),
            stripe_payout("po_10002", "-30.00", at=later),
        ),
    )
    one.settle(hours=1)
    assert one.open() == {("main_usd:B1-1", "bank_unexpected"): "96.80 USD"}
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001"),
            stripe_payout("po_10001", "96.80"),
        ),
    )
    one.settle(hours=1)
    assert one.matches() == [
        ("bank_sum", "stripe_us:txn_po_10001", "main_usd:B1-1"),
        ("bank_sum", "stripe_us:txn_po_10002", "main_usd:B1-2"),
        ("exact", "stripe_us:txn_1", "us:1:capture"),
        ("exact", "stripe_us:txn_2", "r1"),
    ]
    assert (one.open(), one.told()) == ({}, set())
    assert {key: lines[0] for key, lines in one.books("settlement:%").items()} == {
        f"settlement:{US}:stripe_us:stripe_us:po_10001:2026-03:1": "03-02",
        f"settlement:{US}:stripe_us:stripe_us:po_10002:2026-03:1": "03-03",
    }
    assert one.balances() == {"1000": "66.80 USD", "1100": "-70.00 USD", "6200": "3.20 USD"}


# ---------------------------------------------------------------- fees


def test_a_fee_that_changes_as_agreed_is_no_finding_and_another_one_is(one: Money) -> None:
    march, april = datetime(2026, 3, 30, 12, tzinfo=UTC), datetime(2026, 4, 1, 12, tzinfo=UTC)
    one.world.clock.at = april
    rules = [
        {"currency": "USD", "percent": "2.9", "fixed": "0.30", "until": "2026-03-31"},
        {"currency": "USD", "percent": "3.1", "fixed": "0.30", "since": "2026-04-01"},
    ]
    one.rule({"stripe_us": {"fees": rules}})
    for number, at in ((1, march), (2, april), (3, april)):
        one.order(number, "100.00", payment=f"pi_{number}", at=at)
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001", at=march),
            stripe_charge(2, "100.00", "3.40", payout="po_10001", at=april),
            stripe_charge(3, "100.00", "3.90", payout="po_10001", at=april),
        ),
    )
    one.settle(hours=1)
    assert len(one.matches()) == 3
    assert one.open() == {("stripe_us:txn_3", "fee_over"): "-0.50 USD"}
    assert one.balances()["6200"] == "10.50 USD"
    rules[1]["percent"] = "3.6"
    rules[1]["since"] = "2026-04-02"
    rules.append({"currency": "USD", "percent": "3.6", "fixed": "0.30"})
    one.rule({"stripe_us": {"fees": rules}})
    one.settle(hours=1)
    assert one.open() == {("stripe_us:txn_2", "fee_under"): "0.50 USD"}


# ---------------------------------------------------------------- other ways to pay


def test_cash_on_delivery_is_remitted_by_a_file(one: Money) -> None:
    one.order(1, "80.00", store="eu", method="cod")
    one.order(2, "20.00", store="eu", method="cod")
    one.drop(
        "cod_eu",
        "remittance.csv",
        cod_file(
            "p1,1,sale,80.00,2.00,0.38,77.62,R1001,2026-03-02,COD1001",
            "p2,2,sale,20.00,2.00,0.38,17.62,R1001,2026-03-02,COD1001",
            ",,payout,-95.24,0,0,-95.24,R1001,2026-03-02,COD1001",
        ),
    )
    one.drop("main_eu", "week.csv", bank_csv(("2026-03-03", "95.24", "Courier COD1001")))
    one.rule({"cod_eu": {"fees": [{"currency": "EUR", "fixed": "2.00", "tax_percent": "19"}]}})
    one.settle(days=2)
    rules = [match[0] for match in one.matches()]
    assert rules == ["bank_sum", "reference", "reference"]
    assert one.matches()[1:] == [
        ("reference", "cod_eu:p1", "eu:1:capture"),
        ("reference", "cod_eu:p2", "eu:2:capture"),
    ]
    assert one.open() == {}
    assert one.entry("settlement:%") == [
        "03-02",
        "1200 -100.00 EUR",
        "1210 -95.24 EUR",
        "1210 95.24 EUR",
        "1220 95.24 EUR",
        "1400 0.76 EUR",
        "6200 4.00 EUR",
    ]
    assert one.entry("bank:%") == ["03-03", "1000 95.24 EUR", "1220 -95.24 EUR"]
    assert one.balances(EU) == {
        "1000": "95.24 EUR",
        "1400": "0.76 EUR",
        "2300": "-100.00 EUR",
        "6200": "4.00 EUR",
    }


def test_a_payout_for_an_order_that_is_not_seen_yet_waits_for_it(one: Money) -> None:
    one.drop(
        "stripe_us",
        "a.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001"),
            stripe_payout("po_10001", "96.80"),
        ),
    )
    one.settle(hours=1)
    assert one.matches() == []
    assert one.open() == {("stripe_us:txn_1", "order_unknown"): "100.00 USD"}
    assert one.told() == {("stripe_us:txn_1", "order_unknown")}
    stem = f"settlement:{US}:stripe_us:stripe_us:po_10001:2026-03"
    assert one.books() == {f"{stem}:1": ["03-02", "1210 -96.80 USD", "1220 96.80 USD"]}
    one.order(1, "100.00", payment="pi_1", at=START - days(0.1))
    one.settle(hours=1)
    assert one.matches() == [("exact", "stripe_us:txn_1", "us:1:capture")]
    assert (one.open(), one.told()) == ({}, set())
    assert one.books("settlement:%") == {
        f"{stem}:1": ["03-02", "1210 -96.80 USD", "1220 96.80 USD"],
        f"{stem}:2": ["03-02", "1200 -100.00 USD", "1210 96.80 USD", "6200 3.20 USD"],
    }
