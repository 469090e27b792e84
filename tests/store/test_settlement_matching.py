"""What belongs to what, rule by rule, in a real database."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, exc

from resources.store.frames import read_rows
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements.matching import PASSES
from sync_assets.settlements.writing_matches import MatchItem, NewMatch, write_matches
from tests.ledgers import NOON, Ledgers


@pytest.fixture
def ledgers(connection: Connection) -> Ledgers:
    """Both ledgers, empty."""
    return Ledgers(connection)


def policy(**card: Any) -> SettlementPolicy:
    """A policy that says something of the card provider."""
    return SettlementPolicy.model_validate({"providers": {"card": card}})


def later(days: float) -> dict[str, Any]:
    """When a payment is expected."""
    return {"expected_at": NOON + timedelta(days=days)}


# ---------------------------------------------------------------- keys

#: What a payment has, and what a line says, for every rule over keys, in the order of the rules.
BY_KEY: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("exact", {"movement_id": "ch_1"}, {"movement_id": "ch_1"}),
    ("exact", {"payment_id": "pay_1"}, {"payment_id": "pay_1"}),
    ("exact", {"group_id": "pi_1"}, {"group_id": "pi_1"}),
    ("exact", {"payment_id": "pi_1"}, {"group_id": "pi_1"}),
    ("exact", {"group_id": "pi_1"}, {"payment_id": "pi_1"}),
    ("exact", {"payment_id": "ch_1"}, {"movement_id": "ch_1"}),
    ("reference", {"order_number": "N1001"}, {"order_reference": "N1001"}),
    ("reference", {}, {"order_reference": "us:1"}),
    ("reference", {"order_number": "N1001"}, {"order_reference": "1"}),
    ("reference", {}, {"order_reference": "us:1:capture"}),
]


@pytest.mark.parametrize(
    ("place", "rule", "held", "said"),
    [(place, *one) for place, one in enumerate(BY_KEY)],
    ids=[f"{one.line_key} to {one.payment_key}" for one in PASSES],
)
def test_a_key_ties_a_line_to_its_payment(
    ledgers: Ledgers, place: int, rule: str, held: dict[str, Any], said: dict[str, Any]
) -> None:
    ledgers.payment("us:1:capture", "10.00", **held)
    ledgers.line("card:t1", "10.00", **said)
    assert ledgers.match() == {rule: 1}
    assert ledgers.tied() == [(rule, "card:t1", "us:1:capture")]
    (match,) = read_rows(ledgers.connection, "select * from core.matches")
    assert (match["reason"], match["rule"]) == (PASSES[place].says, rule)
    assert (match["difference_amount"], match["matched_by"]) == (0, "pipeline")


def test_every_rule_over_keys_is_tried_above() -> None:
    assert [one.rule for one in PASSES] == [rule for rule, *_ in BY_KEY]


@pytest.mark.parametrize("said", ["N1001.1", "#N1001", " N1001.12 ", "#N1001.2"])
def test_the_number_of_an_attempt_is_no_part_of_the_orders_number(
    ledgers: Ledgers, said: str
) -> None:
    ledgers.payment("us:1:capture", "10.00", order_number="N1001")
    ledgers.line("card:t1", "10.00", order_reference=said)
    assert ledgers.match() == {"reference": 1}


@pytest.mark.parametrize(
    "other",
    [
        {"gross": "10.01"},
        {"gross": "10.00", "provider": "wallet"},
        {"gross": "10.00", "currency": "EUR"},
        {"gross": "10.00", "kind": "refund_failed"},
    ],
    ids=["amount", "provider", "currency", "kind"],
)
def test_what_is_of_another_sort_is_not_tied_by_a_key(
    ledgers: Ledgers, other: dict[str, Any]
) -> None:
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1", order_number="N1001")
    ledgers.line("card:t1", payment_id="pay_1", order_reference="N1001", **other)
    assert ledgers.match() == {}


def test_the_customers_amount_is_compared_where_it_was_in_another_currency(
    ledgers: Ledgers,
) -> None:
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1")
    ledgers.line("card:t1", "9.20", currency="EUR", payment_id="pay_1",
                 paid_amount=Decimal("10.00"), paid_currency="USD")  # fmt: skip
    assert ledgers.match() == {"exact": 1}
    (item,) = read_rows(ledgers.connection, "select * from core.match_items where side = 'settled'")
    assert (item["amount"], item["currency"]) == (Decimal("10.00"), "USD")


def test_a_number_that_two_orders_have_decides_nothing(ledgers: Ledgers) -> None:
    for order in ("us:1", "uk:7"):
        ledgers.payment(f"{order}:capture", "10.00", order_number="1001", order=order)
    ledgers.line("card:t1", "10.00", order_reference="1001")
    assert ledgers.match() == {}


def test_two_orders_of_one_number_are_not_summed_either(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", order_number="1001")
    ledgers.payment("uk:7:capture", "12.00", order_number="1001")
    ledgers.line("card:t1", "22.00", order_reference="1001")
    ledgers.line("card:t2", "22.00", description="Order 1001")
    assert ledgers.match() == {}


def test_one_payment_for_two_orders_that_both_are_named_is_summed(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", order_number="N1001")
    ledgers.payment("us:2:capture", "12.00", order_number="N1002")
    ledgers.line("card:t1", "22.00", description="Orders N1001, N1002")
    assert ledgers.match() == {"text": 1}


def test_the_amount_decides_between_two_orders_of_one_number(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", order_number="1001")
    ledgers.payment("uk:7:capture", "12.00", order_number="1001")
    ledgers.line("card:t1", "12.00", order_reference="1001")
    ledgers.match()
    assert ledgers.tied() == [("reference", "card:t1", "uk:7:capture")]


def test_an_id_counts_before_a_number(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", order_number="1001")
    ledgers.payment("us:2:capture", "10.00", payment_id="pay_2", order_number="1002")
    ledgers.line("card:t1", "10.00", payment_id="pay_2", order_reference="1001")
    assert ledgers.match() == {"exact": 1}
    assert ledgers.tied() == [("exact", "card:t1", "us:2:capture")]


def test_halves_of_equal_amounts_are_tied_in_the_order_of_time(ledgers: Ledgers) -> None:
    for ref, day in (("us:1:capture:b", 0), ("us:1:capture:a", 1)):
        ledgers.payment(ref, "5.00", payment_id="pay_1", **later(day))
    for ref, day in (("card:t9", 2), ("card:t1", 3), ("card:t2", 4)):
        ledgers.line(ref, "5.00", payment_id="pay_1", occurred_at=NOON + timedelta(days=day))
    assert ledgers.match() == {"exact": 2}
    assert ledgers.tied() == [
        ("exact", "card:t1", "us:1:capture:a"),
        ("exact", "card:t9", "us:1:capture:b"),
    ]


def test_what_is_not_wanted_any_more_is_tied_last(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture:a", "5.00", payment_id="pay_1", is_void=True, **later(-1))
    ledgers.payment("us:1:capture:b", "5.00", payment_id="pay_1")
    ledgers.line("card:t1", "5.00", payment_id="pay_1")
    ledgers.match()
    assert ledgers.tied() == [("exact", "card:t1", "us:1:capture:b")]


def test_a_line_whose_parts_stand_for_it_is_not_tied_itself(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1")
    ledgers.line("card:t1", "10.00", payment_id="pay_1", is_split=True)
    ledgers.line("card:t1:1", "10.00", payment_id="pay_1", split_of="card:t1")
    ledgers.match()
    assert ledgers.tied() == [("exact", "card:t1:1", "us:1:capture")]


# ---------------------------------------------------------------- text, sums, differences


@pytest.mark.parametrize(
    "said",
    ["Payment for order N1001", "order #N1001, thanks", "(N1001)", "us:1", "ref pay_1 - web"],
)
def test_an_order_that_is_named_in_the_text_is_tied(ledgers: Ledgers, said: str) -> None:
    ledgers.payment("us:1:capture", "10.00", order_number="N1001", payment_id="pay_1")
    ledgers.line("card:t1", "10.00", description=said)
    assert ledgers.match() == {"text": 1}


def test_a_text_that_names_the_order_of_another_amount_ties_nothing(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", order_number="N1001")
    ledgers.payment("us:2:capture", "12.00", order_number="N1002")
    ledgers.line("card:t1", "12.00", description="Payment for order N1001")
    assert ledgers.match() == {}


def test_several_lines_come_to_one_payment(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1")
    ledgers.line("card:t1", "6.00", payment_id="pay_1")
    ledgers.line("card:t2", "4.00", payment_id="pay_1")
    assert ledgers.match() == {"sum": 1}
    assert ledgers.tied() == [("sum", "card:t1 card:t2", "us:1:capture")]


def test_one_line_comes_to_several_payments(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture:a", "6.00", group_id="pi_1")
    ledgers.payment("us:1:capture:b", "4.00", group_id="pi_1")
    ledgers.line("card:t1", "10.00", group_id="pi_1")
    assert ledgers.match() == {"sum": 1}
    assert ledgers.tied() == [("sum", "card:t1", "us:1:capture:a us:1:capture:b")]


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"payment_id": "pay_1"}, {"payment_id": "pay_1"}),
        ({"group_id": "pi_1"}, {"payment_id": "pi_1"}),
        ({"payment_id": "pi_1"}, {"group_id": "pi_1"}),
        ({"movement_id": "ch_1"}, {"movement_id": "ch_1"}),
        ({"order_number": "N1001"}, {"order_reference": "N1001.1"}),
        ({"order_number": "N1001"}, {"order_reference": "1"}),
        ({}, {"order_reference": "us:1"}),
    ],
)
def test_a_cent_within_the_tolerance_goes_to_rounding(
    ledgers: Ledgers, held: dict[str, Any], said: dict[str, Any]
) -> None:
    ledgers.policy = policy(tolerance={"USD": "0.02"})
    ledgers.payment("us:1:capture", "10.00", **held)
    ledgers.line("card:t1", "9.99", **said)
    assert ledgers.match() == {"tolerance": 1}
    (match,) = read_rows(ledgers.connection, "select * from core.matches")
    assert match["difference_amount"] == Decimal("-0.01")
    assert match["reason"].endswith("(9.99 and 10 USD), difference -0.01")


def test_three_cents_are_not_within_two(ledgers: Ledgers) -> None:
    ledgers.policy = policy(tolerance={"USD": "0.02"})
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1")
    ledgers.line("card:t1", "9.97", payment_id="pay_1")
    assert ledgers.match() == {}


# ---------------------------------------------------------------- amounts alone


def nameless(ledgers: Ledgers, ref: str = "card:t1", **more: Any) -> None:
    """A line that says an amount and nothing else."""
    ledgers.line(ref, "10.00", **{"description": "Card payment", "occurred_at": NOON, **more})


def test_an_amount_alone_ties_where_nothing_else_has_it(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", **later(4))
    ledgers.payment("us:2:capture", "10.00", **later(4.1))
    ledgers.payment("us:3:capture", "10.00", is_void=True)
    nameless(ledgers)
    assert ledgers.match() == {"amount": 1}
    assert ledgers.tied() == [("amount", "card:t1", "us:1:capture")]


@pytest.mark.parametrize("said", [{"order_reference": "X9"}, {"description": "Order X9-77"}])
def test_a_line_that_names_an_order_is_not_tied_to_another_by_its_amount(
    ledgers: Ledgers, said: dict[str, Any]
) -> None:
    ledgers.payment("us:1:capture", "10.00")
    nameless(ledgers, **said)
    assert ledgers.match() == {}


def test_an_amount_that_two_payments_have_ties_nothing(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00")
    ledgers.payment("us:2:capture", "10.00", **later(1))
    nameless(ledgers)
    assert ledgers.match() == {}


def test_two_lines_of_an_amount_that_one_payment_has_stay_open(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00")
    nameless(ledgers)
    nameless(ledgers, "card:t2")
    assert ledgers.match() == {}


def test_a_payment_that_a_key_takes_leaves_the_other_to_the_amount(ledgers: Ledgers) -> None:
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1")
    ledgers.payment("us:2:capture", "10.00")
    ledgers.line("card:t2", "10.00", payment_id="pay_1")
    nameless(ledgers)
    assert ledgers.match() == {"exact": 1, "amount": 1}


# ---------------------------------------------------------------- runs after one another


def test_a_later_line_closes_an_earlier_payment_and_nothing_is_matched_again(
    ledgers: Ledgers,
) -> None:
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1")
    assert ledgers.match() == {}
    ledgers.line("card:t1", "10.00", payment_id="pay_1")
    assert ledgers.match() == {"exact": 1}
    assert ledgers.match() == {}


def test_a_later_order_closes_an_earlier_line(ledgers: Ledgers) -> None:
    ledgers.line("card:t1", "10.00", order_reference="1001")
    assert ledgers.match() == {}
    ledgers.payment("us:1:capture", "10.00", order_number="1001")
    assert ledgers.match() == {"reference": 1}


def test_an_ended_match_frees_both_sides_for_others_and_not_for_one_another(
    ledgers: Ledgers,
) -> None:
    ledgers.sold(1)
    ledgers.match()
    ledgers.end("card:t1")
    assert ledgers.tied() == []
    assert ledgers.match() == {}
    ledgers.line("card:t0", "10.00", payment_id="pay_1", occurred_at=NOON)
    ledgers.payment("us:2:capture", "10.00", payment_id="pay_1", order="us:1", **later(2))
    assert ledgers.match() == {"exact": 2}
    assert ledgers.tied() == [
        ("exact", "card:t0", "us:1:capture"),
        ("exact", "card:t1", "us:2:capture"),
    ]


def test_what_a_person_took_out_of_a_rule_stays_out(ledgers: Ledgers) -> None:
    ledgers.line("card:f1", "-9.00", kind="fee", description="Monthly fee")
    assert ledgers.match() == {"fee": 1}
    ledgers.end("card:f1")
    assert ledgers.match() == {}


def test_nothing_is_matched_twice_at_a_time(ledgers: Ledgers) -> None:
    ledgers.sold(1)
    ledgers.match()
    again = NewMatch(
        "person",
        "by hand",
        [MatchItem("settled", "card:t1", Decimal(10), "USD")],
        Decimal(0),
        "USD",
    )
    with pytest.raises((psycopg.errors.UniqueViolation, exc.IntegrityError)) as fault:
        write_matches(ledgers.connection, [again], ledgers.now, None)
    assert "one_live_match_per_item" in str(fault.value)


# ---------------------------------------------------------------- what needs no counterpart


def test_an_agreed_fee_stands_by_itself_and_another_does_not(ledgers: Ledgers) -> None:
    ledgers.policy = policy(agreed_fees=["Monthly fee *"])
    ledgers.line("card:f1", "-9.00", kind="fee", description="monthly FEE March")
    ledgers.line("card:f2", "-9.00", kind="fee", description="Terminal rent")
    ledgers.line("card:f3", "-0.30", kind="fee", description="Radar", payment_id="pay_1")
    assert ledgers.match() == {"fee": 2}
    assert ledgers.tied() == [("fee", "card:f1", ""), ("fee", "card:f3", "")]


def test_a_percent_sign_in_an_agreed_word_is_a_percent_sign(ledgers: Ledgers) -> None:
    ledgers.policy = policy(agreed_fees=["1% network fee"])
    ledgers.line("card:f1", "-9.00", kind="fee", description="1% network fee")
    ledgers.line("card:f2", "-9.00", kind="fee", description="12 network fee")
    assert ledgers.match() == {"fee": 1}


def test_the_same_fee_twice_in_a_day_counts_once(ledgers: Ledgers) -> None:
    for ref, days in (("card:f1", 0), ("card:f2", 0), ("card:f3", 1)):
        at = NOON + timedelta(days=days)
        ledgers.line(ref, "-9.00", kind="fee", description="Monthly fee", occurred_at=at)
    assert ledgers.match() == {"fee": 2}
    assert ledgers.tied() == [("fee", "card:f1", ""), ("fee", "card:f3", "")]


def test_an_adjustment_stands_by_itself_where_its_words_are_agreed(ledgers: Ledgers) -> None:
    ledgers.policy = policy(agreed_adjustments=["*goodwill*"])
    ledgers.line("card:a1", "5.00", kind="adjustment", description="Goodwill credit")
    ledgers.line("card:a2", "5.00", kind="adjustment", description="Correction")
    assert ledgers.match() == {"adjustment": 1}
    assert ledgers.tied() == [("adjustment", "card:a1", "")]


def test_tax_is_withheld_by_who_may(ledgers: Ledgers) -> None:
    ledgers.policy = SettlementPolicy.model_validate(
        {"providers": {"wallet": {"withholds_tax": True}}}
    )
    ledgers.line("card:x1", "-2.00", kind="tax_withheld")
    ledgers.line("wallet:x1", "-2.00", kind="tax_withheld", provider="wallet")
    assert ledgers.match() == {"tax_withheld": 1}
    assert ledgers.tied() == [("tax_withheld", "wallet:x1", "")]


def hold(ledgers: Ledgers, ref: str, amount: str, day: int, name: str | None = None) -> None:
    """A reserve held (negative) or released."""
    kind = "reserve_held" if amount.startswith("-") else "reserve_released"
    ledgers.line(ref, amount, kind=kind, payment_id=name, occurred_at=NOON + timedelta(days=day))


def test_a_reserve_is_released_up_to_what_is_held_under_its_name(ledgers: Ledgers) -> None:
    hold(ledgers, "card:r1", "-10.00", 0, "pay_1")
    hold(ledgers, "card:r2", "6.00", 5, "pay_1")
    hold(ledgers, "card:r3", "4.00", 6, "pay_1")
    hold(ledgers, "card:r4", "0.01", 7, "pay_1")
    hold(ledgers, "card:r5", "1.00", 7, "pay_2")
    assert ledgers.match() == {"reserve": 1, "release": 2}
    assert [left for _, left, _ in ledgers.tied()] == ["card:r1", "card:r2", "card:r3"]


def test_a_release_without_a_name_needs_an_earlier_hold_of_its_amount(ledgers: Ledgers) -> None:
    hold(ledgers, "card:r0", "7.00", -1)
    hold(ledgers, "card:r1", "-7.00", 0)
    hold(ledgers, "card:r2", "-10.00", 0)
    hold(ledgers, "card:r3", "10.00", 5)
    assert ledgers.match() == {"reserve": 2, "release": 1}
    assert "card:r0" not in {left for _, left, _ in ledgers.tied()}


@pytest.mark.parametrize("name", ["pay_1", None])
def test_what_was_released_too_much_takes_nothing_from_a_later_hold(
    ledgers: Ledgers, name: str | None
) -> None:
    for place, amount in enumerate(("7.00", "-7.00", "7.00", "7.00", "-7.00", "7.00")):
        hold(ledgers, f"card:r{place}", amount, place, name)
    assert ledgers.match() == {"reserve": 2, "release": 2}
    open_ones = {"card:r0", "card:r3"}
    assert not open_ones & {left for _, left, _ in ledgers.tied()}


def test_two_sides_of_a_conversion_are_tied(ledgers: Ledgers) -> None:
    ledgers.line("card:x1", "-10.00", kind="conversion", group_id="fx_1")
    ledgers.line("card:x2", "9.20", kind="conversion", group_id="fx_1", currency="EUR")
    ledgers.line("card:x3", "-10.00", kind="conversion", group_id="fx_2")
    ledgers.line("card:x4", "10.00", kind="conversion", group_id="fx_2")
    assert ledgers.match() == {"conversion": 1}
    assert ledgers.tied() == [("conversion", "card:x1 card:x2", "")]
    (match,) = read_rows(ledgers.connection, "select reason from core.matches")
    assert match["reason"] == "two sides of one conversion: 10 USD became 9.2 EUR"


def test_two_conversions_of_one_group_are_two_matches(ledgers: Ledgers) -> None:
    for number, (out, come) in enumerate((("-10.00", "9.20"), ("-5.00", "4.60"))):
        ledgers.line(f"card:x{number}a", out, kind="conversion", group_id="fx")
        ledgers.line(f"card:x{number}b", come, kind="conversion", group_id="fx", currency="EUR")
    assert ledgers.match() == {"conversion": 2}
    assert ledgers.match() == {}


# ---------------------------------------------------------------- the bank


@pytest.mark.parametrize(
    "said", ["TRANSFER, REF:PO_10001.", "EREF+po_10001SVWZ po_10001+x", "(Po_10001)", "po_10001"]
)
def test_an_entry_that_names_a_payout_is_tied_to_it(ledgers: Ledgers, said: str) -> None:
    ledgers.payout("card:po_10001", "8.50")
    ledgers.bank("main:1", "8.50", said)
    ledgers.bank("main:2", "8.50", "somebody else, po_100012")
    assert ledgers.match() == {"bank_sum": 1}
    assert ledgers.tied() == [("bank_sum", "main:1", "card:po_10001:out")]


def test_a_name_of_several_words_names_a_payout_as_a_whole(ledgers: Ledgers) -> None:
    for number in ("8801", "8802"):
        ledgers.payout(f"card:p{number}", "8.50", bank_reference=f"Batch {number} Visa/MC")
    ledgers.bank("main:1", "8.50", "payment batch 8802 visa/mc")
    assert ledgers.match() == {"bank_sum": 1}
    assert ledgers.tied() == [("bank_sum", "main:1", "card:p8802:out")]


def test_one_credit_for_two_payouts(ledgers: Ledgers) -> None:
    ledgers.payout("card:po_10001", "8.50")
    ledgers.payout("card:po_10002", "1.50")
    ledgers.bank("main:1", "10.00", "po_10001/po_10002")
    assert ledgers.match() == {"bank_sum": 1}
    assert ledgers.tied() == [("bank_sum", "main:1", "card:po_10001:out card:po_10002:out")]


def test_one_payout_in_two_credits(ledgers: Ledgers) -> None:
    ledgers.payout("card:po_10001", "10.00")
    ledgers.bank("main:1", "8.50", "po_10001 1/2")
    ledgers.bank("main:2", "1.50", "po_10001 2/2")
    assert ledgers.match() == {"bank_sum": 1}
    assert ledgers.tied() == [("bank_sum", "main:1 main:2", "card:po_10001:out")]


def test_an_entry_that_names_a_provider_is_tied_by_its_amount(ledgers: Ledgers) -> None:
    ledgers.payout("card:po_10001", "8.50")
    ledgers.bank("main:1", "8.50", "payout", counterparty="Stripe Payments Europe")
    ledgers.bank("main:2", "8.50", "rent", counterparty="Somebody")
    assert ledgers.match() == {"bank_amount": 1}
    assert ledgers.tied() == [("bank_amount", "main:1", "card:po_10001:out")]


@pytest.mark.parametrize(
    "other",
    [
        {"amount": "8.51"},
        {"amount": "8.50", "account": "second"},
        {"amount": "8.50", "currency": "EUR"},
    ],
    ids=["amount", "account", "currency"],
)
def test_an_entry_of_another_sort_is_not_tied(ledgers: Ledgers, other: dict[str, Any]) -> None:
    ledgers.payout("card:po_10001", "8.50")
    ledgers.bank("main:1", said="stripe po_10001", **other)
    assert ledgers.match() == {}


def test_two_entries_of_a_provider_of_one_amount_decide_nothing(ledgers: Ledgers) -> None:
    ledgers.payout("card:po_10001", "8.50")
    ledgers.bank("main:1", "8.50", "stripe")
    ledgers.bank("main:2", "8.50", "stripe")
    assert ledgers.match() == {}


def test_what_we_paid_a_provider_leaves_the_bank(ledgers: Ledgers) -> None:
    ledgers.line("card:u1", "50.00", kind="topup", movement_id="tu_10001")
    ledgers.bank("main:1", "-50.00", "stripe tu_10001")
    assert ledgers.match() == {"bank_sum": 1}
    assert ledgers.tied() == [("bank_sum", "main:1", "card:u1")]


def test_a_bank_without_providers_and_providers_without_banks_tie_nothing(
    ledgers: Ledgers,
) -> None:
    ledgers.payout("cod:po_10001", "8.50", provider="cod")
    ledgers.bank("third:1", "8.50", "po_10001", account="third")
    assert ledgers.match() == {}
