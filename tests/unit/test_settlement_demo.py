"""The demo's money: every payment is settled once, faults are planted where there is room for them,
and the same orders give the same bytes.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from resources.sandbox import settlement_demo
from resources.sandbox.settlement_demo import GivenBack, Paid
from resources.systems import stripe_reports
from sync_assets.domain.payments import Found
from sync_assets.mappers import stripe_settlements

NEW_YEAR = datetime(2017, 1, 1, 12, tzinfo=UTC)
CURRENCY = {"us": "USD", "uk": "GBP", "eu": "EUR"}
DAY = timedelta(days=1)


def paid(number: int, total: str, store: str = "us", currency: str | None = None) -> Paid:
    """One order of every hour."""
    return Paid(
        f"{store}:{number}",
        store,
        str(number),
        f"pay-{store}-{number}",
        Decimal(total),
        currency or CURRENCY[store],
        NEW_YEAR + timedelta(hours=number),
        is_plain=True,
    )


def read(files: settlement_demo.Files) -> Found:
    """Stripe's files as we understand them."""
    found = Found()
    for name, content in files["stripe_us"]:
        report = stripe_reports.read(name, content)
        assert not report.broken
        for line in report.lines:
            said = {"file": name, "line": line.number, "kind": report.kind, "row": line.row}
            found.add(stripe_settlements.report_line("stripe_us", {**said, "facts": {}}))
    return found


def test_of_enough_orders_each_fault_is_planted_once_and_every_provider_has_a_dispute() -> None:
    orders = [paid(number, "20.00", store) for store in CURRENCY for number in range(30)]
    done = settlement_demo.settle(orders, [])
    assert sorted(one.kind for one in done.planted) == [
        *("fee_high", "order_unknown", "payout_not_in_bank", "sale_cent_off", "sale_short"),
        "sale_twice",
    ]
    banks = {"main_usd", "main_gbp", "main_eur"}
    assert set(done.files) == {"stripe_us", "paypal_uk", "adyen_eu"} | banks
    kinds = [line["kind"] for line in read(done.files).lines]
    # Thirty sales and one of an order that nobody knows.
    assert (kinds.count("sale"), kinds.count("chargeback"), kinds.count("fee")) == (31, 1, 1)


def test_orders_that_are_too_cheap_or_partly_refunded_are_left_as_they_are() -> None:
    partly = replace(paid(2, "20.00"), is_plain=False)
    done = settlement_demo.settle([paid(1, "8.99"), partly], [])
    # Less the fees there is nothing to pay out either.
    assert done.planted == []


def test_a_refund_comes_after_its_sale_whatever_the_shop_says() -> None:
    order = paid(1, "8.99")
    back = GivenBack("us:77", order.order_ref, Decimal("1.50"), order.at - DAY)
    refund = next(
        line
        for line in read(settlement_demo.settle([order], [back]).files).lines
        if line["kind"] == "refund"
    )
    assert (refund["gross_amount"], refund["payment_id"]) == (Decimal("-1.50"), "pay-us-1")
    assert refund["occurred_at"] == order.at + DAY


def test_what_is_paid_in_another_currency_is_changed_and_told_in_both() -> None:
    [line] = [
        line
        for line in read(settlement_demo.settle([paid(1, "8.00", currency="CHF")], []).files).lines
        if line["kind"] == "sale"
    ]
    assert (line["paid_amount"], line["paid_currency"]) == (Decimal("8.00"), "CHF")
    assert line["currency"] == "USD"


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(CURRENCY)), st.decimals("0.01", "500", places=2)),
        min_size=1,
        max_size=25,
    )
)
def test_any_orders_are_settled_to_the_cent_and_always_alike(
    said: list[tuple[str, Decimal]],
) -> None:
    orders = [paid(number, f"{total}", store) for number, (store, total) in enumerate(said)]
    done = settlement_demo.settle(orders, [])
    assert done == settlement_demo.settle(orders, [])
    if "stripe_us" not in done.files:
        return
    found = read(done.files)
    for payout in found.payouts:
        own = [line for line in found.lines if line["payout_ref"] == payout["payout_ref"]]
        assert sum(line["net_amount"] for line in own) == 0
