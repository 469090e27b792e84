"""Everything that may be wrong with money: the smallest facts in which exactly one thing is found,
the facts beside them in which nothing is, and what ends it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from sync_assets.domain.findings import FINDINGS
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements.diagnosing import BOOKED
from sync_assets.settlements.writing_matches import MatchItem, NewMatch, write_matches
from tests.ledgers import NOON, Ledgers

DAY = timedelta(days=1)
Facts = Callable[[Ledgers, bool], None]
Mend = Callable[[Ledgers], None]


@dataclass(frozen=True)
class Case:
    """One finding: the facts with or without what is wrong, and what ends it."""

    code: str
    ref: str
    amount: str
    facts: Facts
    mend: Mend
    side: str
    currency: str


CASES: list[Case] = []


def finds(
    code: str, ref: str, amount: str, mend: Mend, *, side: str = "settled", currency: str = "USD"
) -> Callable[[Facts], Facts]:
    """Note that these facts, when they are wrong, are this finding."""

    def noted(facts: Facts) -> Facts:
        CASES.append(Case(code, ref, amount, facts, mend, side, currency))
        return facts

    return noted


@pytest.fixture
def ledgers(connection: Connection) -> Ledgers:
    """Both ledgers, empty."""
    return Ledgers(connection)


# ---------------------------------------------------------------- how things are mended


def by_hand(*refs: str, side: str = "settled") -> Mend:
    """A person ties things, or one thing to an account."""

    def mended(it: Ledgers) -> None:
        items = [
            MatchItem(kind, ref, Decimal(1), "USD")
            for kind, ref in zip((side, "expected"), refs, strict=False)
        ]
        match = NewMatch("person", "by hand", items, Decimal(0), "USD", by="olga")
        write_matches(it.connection, [match], it.now, None)

    return mended


def says(**card: Any) -> Mend:
    """The policy says something of the card provider."""

    def mended(it: Ledgers) -> None:
        it.policy = SettlementPolicy.model_validate({"providers": {"card": card}})

    return mended


def changes(statement: str) -> Mend:
    """Something is corrected at its source."""
    return lambda it: it.execute(statement)


def paid(ref: str, amount: str, **more: Any) -> Mend:
    """A payment is expected."""
    return lambda it: (it.payment(ref, amount, **more), None)[1]


def settled(ref: str, amount: str, **more: Any) -> Mend:
    """A line is settled."""
    return lambda it: (it.line(ref, amount, **more), None)[1]


def banked(ref: str, amount: str, said: str, **more: Any) -> Mend:
    """An entry of the bank comes."""
    return lambda it: (it.bank(ref, amount, said, **more), None)[1]


# ---------------------------------------------------------------- sales


@finds("order_unknown", "card:t1", "10", paid("us:1:capture", "10.00", order_number="1001"))
def order_unknown(it: Ledgers, wrong: bool) -> None:
    it.line("card:t1", "10.00", order_reference="1001.1")
    if not wrong:
        it.payment("us:1:capture", "10.00", order_number="1001")


@finds("no_reference", "card:t1", "10", paid("us:1:capture", "10.00"))
def no_reference(it: Ledgers, wrong: bool) -> None:
    it.line("card:t1", "10.00")
    if not wrong:
        it.payment("us:1:capture", "10.00")


@finds("amount_short", "card:t1", "8", settled("card:t2", "2.00", payment_id="pay_1"))
def amount_short(it: Ledgers, wrong: bool) -> None:
    it.payment("us:1:capture", "10.00", payment_id="pay_1")
    it.line("card:t1", "8.00" if wrong else "10.00", payment_id="pay_1")


@finds("amount_over", "card:t1", "12", paid("us:1:capture:b", "2.00", payment_id="pay_1"))
def amount_over(it: Ledgers, wrong: bool) -> None:
    it.payment("us:1:capture", "10.00", payment_id="pay_1")
    it.line("card:t1", "12.00" if wrong else "10.00", payment_id="pay_1")


@finds("currency_differs", "card:t1", "10", by_hand("card:t1", "us:1:capture"), currency="EUR")
def currency_differs(it: Ledgers, wrong: bool) -> None:
    it.payment("us:1:capture", "10.00", payment_id="pay_1")
    it.line("card:t1", "10.00", payment_id="pay_1", currency="EUR" if wrong else "USD")


@finds("wrong_provider", "card:t1", "10", by_hand("card:t1", "us:1:capture"))
def wrong_provider(it: Ledgers, wrong: bool) -> None:
    provider = "wallet" if wrong else "card"
    it.payment("us:1:capture", "10.00", payment_id="pay_1", provider=provider)
    it.line("card:t1", "10.00", payment_id="pay_1")


@finds("doubled", "card:t2", "10", by_hand("card:t2"))
def doubled(it: Ledgers, wrong: bool) -> None:
    it.sold(1)
    if wrong:
        it.line("card:t2", "10.00", payment_id="pay_1", occurred_at=NOON + 2 * DAY)


@finds("wrong_sign", "card:t1", "-10", by_hand("card:t1"))
def wrong_sign(it: Ledgers, wrong: bool) -> None:
    it.payment("us:1:capture", "10.00", payment_id="pay_1")
    it.line("card:t1", "-10.00" if wrong else "10.00", payment_id="pay_1")


@finds(
    *("before_order", "card:t1", "10"),
    changes("update core.orders set placed_at = placed_at - interval '3 days'"),
)
def before_order(it: Ledgers, wrong: bool) -> None:
    it.order("us:1", "10.00", at=NOON + (3 * DAY if wrong else DAY))
    it.sold(1)


# ---------------------------------------------------------------- what is told otherwise


@finds("type_unknown", "card:a1", "-5", by_hand("card:a1"))
def type_unknown(it: Ledgers, wrong: bool) -> None:
    says(agreed_adjustments=[] if wrong else ["*xyz*"])(it)
    it.line("card:a1", "-5.00", kind="adjustment", description="unknown type xyz: something")


@finds("adjustment", "card:a1", "-5", says(agreed_adjustments=["Correction"]))
def adjustment(it: Ledgers, wrong: bool) -> None:
    says(agreed_adjustments=[] if wrong else ["correction"])(it)
    it.line("card:a1", "-5.00", kind="adjustment", description="Correction")


def told_again(it: Ledgers, is_settled: bool, **said: Any) -> None:
    """A line of another file says otherwise."""
    facts: dict[str, Any] = {"line_ref": "card:t1", "digest": "d", "told_by": "file"}
    if is_settled:
        facts |= {"settled_at": NOON, "settled_by": "olga", "note": "seen"}
    said = {"net_amount": "10.00", "payout_ref": "card:p1", **said}
    it.put("core.settlement_conflicts", **facts, said=Jsonb(said), found_at=NOON, file_line=7)


SETTLED = changes("update core.settlement_conflicts set settled_at = now()")


@finds("conflict", "card:t1", "9", SETTLED)
def conflict(it: Ledgers, wrong: bool) -> None:
    it.sold(1, payout_ref="card:p1")
    told_again(it, not wrong, net_amount="9.00")


@finds("in_two_payouts", "card:t1", "10", SETTLED)
def in_two_payouts(it: Ledgers, wrong: bool) -> None:
    it.sold(1, payout_ref="card:p1")
    told_again(it, not wrong, payout_ref="card:p2")


# ---------------------------------------------------------------- refunds and disputes

GIVEN = {"payment_id": "pay_1", "movement_id": "re_1"}
DISPUTED = {"payment_id": "pay_1", "movement_id": "dp_1"}


@finds("refund_unknown", "card:r1", "-5", paid("us:r1", "-5.00", kind="refund", **GIVEN))
def refund_unknown(it: Ledgers, wrong: bool) -> None:
    it.sold(1)
    it.line("card:r1", "-5.00", kind="refund", **GIVEN)
    if not wrong:
        it.payment("us:r1", "-5.00", kind="refund", order="us:1", **GIVEN)


@finds("refund_differs", "card:r1", "-4", settled("card:r2", "-1.00", kind="refund", **GIVEN))
def refund_differs(it: Ledgers, wrong: bool) -> None:
    it.sold(1)
    it.payment("us:r1", "-5.00", kind="refund", order="us:1", **GIVEN)
    it.line("card:r1", "-4.00" if wrong else "-5.00", kind="refund", **GIVEN)


def refunded(it: Ledgers, amount: str) -> None:
    """A sale that was refunded in part or whole, as both sides say."""
    it.sold(1)
    it.payment("us:r1", amount, kind="refund", order="us:1", **GIVEN)
    it.line("card:r1", amount, kind="refund", **GIVEN)


@finds("refund_doubled", "card:r2", "-5", by_hand("card:r2"))
def refund_doubled(it: Ledgers, wrong: bool) -> None:
    refunded(it, "-5.00")
    if wrong:
        it.line("card:r2", "-5.00", kind="refund", **GIVEN)


@finds("refund_over", "card:r2", "-5", by_hand("card:r2"))
def refund_over(it: Ledgers, wrong: bool) -> None:
    refunded(it, "-8.00")
    if wrong:
        it.line("card:r2", "-5.00", kind="refund", payment_id="pay_1", movement_id="re_2")


CAME_BACK = {"kind": "refund_failed", "order": "us:1", **GIVEN}


@finds("refund_returned", "card:b1", "5", paid("us:r1:back", "5.00", **CAME_BACK))
def refund_returned(it: Ledgers, wrong: bool) -> None:
    refunded(it, "-5.00")
    it.line("card:b1", "5.00", kind="refund_failed", **GIVEN)
    if not wrong:
        it.payment("us:r1:back", "5.00", **CAME_BACK)


TAKEN = {"kind": "chargeback", "order": "us:1", **DISPUTED}


@finds("chargeback_unknown", "card:c1", "-10", paid("card:dp_1:chargeback", "-10.00", **TAKEN))
def chargeback_unknown(it: Ledgers, wrong: bool) -> None:
    it.line("card:c1", "-10.00", kind="chargeback", **DISPUTED)
    if not wrong:
        it.payment("card:dp_1:chargeback", "-10.00", **TAKEN)


def disputed(it: Ledgers, **line: Any) -> None:
    """A sale that was taken back by the customer's bank, as both sides say."""
    it.sold(1)
    it.payment("card:dp_1:chargeback", "-10.00", **TAKEN)
    it.line("card:c1", "-10.00", kind="chargeback", **DISPUTED, **line)


@finds("chargeback_doubled", "card:c2", "-10", by_hand("card:c2"))
def chargeback_doubled(it: Ledgers, wrong: bool) -> None:
    disputed(it)
    if wrong:
        it.line("card:c2", "-10.00", kind="chargeback", **DISPUTED)


@finds("chargeback_over", "card:c1", "-15", by_hand("card:c1"))
def chargeback_over(it: Ledgers, wrong: bool) -> None:
    if wrong:
        it.sold(1)
        it.line("card:c1", "-15.00", kind="chargeback", **DISPUTED)
    else:
        disputed(it)


def given_back(it: Ledgers) -> None:
    """The chargeback is reversed."""
    back = {"kind": "chargeback_reversed", **DISPUTED}
    it.payment("card:dp_1:chargeback_reversed", "10.00", order="us:1", **back)
    it.line("card:v1", "10.00", **back)


@finds("chargeback_refunded", "card:c1", "-10", given_back)
def chargeback_refunded(it: Ledgers, wrong: bool) -> None:
    disputed(it)
    if wrong:
        it.payment("us:r1", "-10.00", kind="refund", order="us:1", **GIVEN)
        it.line("card:r1", "-10.00", kind="refund", **GIVEN)


BACK = {"kind": "chargeback_reversed", **DISPUTED}


@finds(
    *("reversal_unknown", "card:v1", "10"),
    paid("card:dp_1:chargeback_reversed", "10.00", order="us:1", **BACK),
)
def reversal_unknown(it: Ledgers, wrong: bool) -> None:
    it.sold(1)
    it.line("card:v1", "10.00", **BACK)
    if not wrong:
        it.payment("card:dp_1:chargeback_reversed", "10.00", order="us:1", **BACK)


@finds("reversal_differs", "card:v1", "7", settled("card:v2", "3.00", **BACK))
def reversal_differs(it: Ledgers, wrong: bool) -> None:
    disputed(it)
    it.payment("card:dp_1:chargeback_reversed", "10.00", order="us:1", **BACK)
    it.line("card:v1", "7.00" if wrong else "10.00", **BACK)


# ---------------------------------------------------------------- fees, reserves, conversions

#: 10.00 cost 0.59, and a dispute 15.
CONTRACT: list[dict[str, Any]] = [
    {"currency": "USD", "percent": "2.9", "fixed": "0.30"},
    {"currency": "USD", "kinds": ["chargeback"], "fixed": "15"},
]
DEARER = says(fees=[{"currency": "USD", "percent": "4", "fixed": "0.30"}])
CHEAPER = says(fees=[{"currency": "USD", "percent": "1"}])


@finds("fee_over", "card:t1", "-0.11", DEARER)
def fee_over(it: Ledgers, wrong: bool) -> None:
    says(fees=CONTRACT)(it)
    it.sold(1, fee="0.70" if wrong else "0.60")


@finds("fee_under", "card:t1", "0.49", CHEAPER)
def fee_under(it: Ledgers, wrong: bool) -> None:
    says(fees=CONTRACT)(it)
    it.sold(1, fee="0.10" if wrong else "0.59")


@finds(
    *("fee_on_refund", "card:r1", "-0.3"),
    says(fees=[*CONTRACT, {"currency": "USD", "kinds": ["refund"], "fixed": "0.30"}]),
)
def fee_on_refund(it: Ledgers, wrong: bool) -> None:
    says(fees=CONTRACT)(it)
    it.sold(1, fee="0.59")
    it.payment("us:r1", "-5.00", kind="refund", order="us:1", **GIVEN)
    it.line("card:r1", "-5.00", kind="refund", fee="0.30" if wrong else "0", **GIVEN)


@finds(
    *("dispute_fee_differs", "card:c1", "-5"),
    says(fees=[{"currency": "USD", "kinds": ["chargeback"], "fixed": "20"}, {"currency": "USD"}]),
)
def dispute_fee_differs(it: Ledgers, wrong: bool) -> None:
    says(fees=[{"currency": "USD"}, CONTRACT[1]])(it)
    disputed(it, fee="20.00" if wrong else "15.00")


@finds("fee_tax_differs", "card:t1", "-0.08", says(fees=[{**CONTRACT[0], "tax_percent": "34"}]))
def fee_tax_differs(it: Ledgers, wrong: bool) -> None:
    says(fees=[{**CONTRACT[0], "tax_percent": "20"}])(it)
    it.sold(1, fee="0.59", fee_tax="0.20" if wrong else "0.12")


@finds("fee_unknown", "card:f1", "-9", says(agreed_fees=["Terminal rent"]))
def fee_unknown(it: Ledgers, wrong: bool) -> None:
    says(agreed_fees=["Monthly *"] if wrong else ["*rent"])(it)
    it.line("card:f1", "-9.00", kind="fee", description="Terminal rent")


@finds("fee_doubled", "card:f2", "-9", by_hand("card:f2"))
def fee_doubled(it: Ledgers, wrong: bool) -> None:
    for ref, days in (("card:f1", 0), ("card:f2", 0 if wrong else 1)):
        it.line(ref, "-9.00", kind="fee", description="Monthly", occurred_at=NOON + days * DAY)


@finds("tax_withheld", "card:x1", "-2", says(withholds_tax=True))
def tax_withheld(it: Ledgers, wrong: bool) -> None:
    says(withholds_tax=not wrong)(it)
    it.line("card:x1", "-2.00", kind="tax_withheld")


@finds("reserve_overdue", "card:h1", "-10", settled("card:h2", "10.00", kind="reserve_released"))
def reserve_overdue(it: Ledgers, wrong: bool) -> None:
    says(reserve_days=1 if wrong else 30)(it)
    it.line("card:h1", "-10.00", kind="reserve_held", occurred_at=NOON)


@finds("reserve_over_released", "card:h2", "5", by_hand("card:h2"))
def reserve_over_released(it: Ledgers, wrong: bool) -> None:
    it.line("card:h2", "5.00", kind="reserve_released")
    if not wrong:
        it.line("card:h1", "-5.00", kind="reserve_held", occurred_at=NOON)


CHANGED = {"kind": "conversion", "group_id": "fx_1"}


@finds(
    *("conversion_unpaired", "card:x1", "-10"),
    settled("card:x2", "9.20", currency="EUR", **CHANGED),
)
def conversion_unpaired(it: Ledgers, wrong: bool) -> None:
    it.line("card:x1", "-10.00", **CHANGED)
    if not wrong:
        it.line("card:x2", "9.20", currency="EUR", **CHANGED)


def rate(it: Ledgers, said: str) -> None:
    """Euro for a dollar, from the day before."""
    facts = {"currency": "USD", "company_currency": "EUR", "on_day": NOON.date() - DAY}
    it.put("core.exchange_rates", **facts, rate=Decimal(said), source="bank")


@finds("conversion_rate", "card:x1", "-10", says(rate_tolerance_percent=10))
def conversion_rate(it: Ledgers, wrong: bool) -> None:
    rate(it, "0.92")
    it.line("card:x1", "-10.00", **CHANGED)
    it.line("card:x2", "8.70" if wrong else "8.80", currency="EUR", **CHANGED)


# ---------------------------------------------------------------- payouts and the bank

PAYOUT = "card:po_10001"
OUT = f"{PAYOUT}:out"


def paid_out(it: Ledgers, amount: str = "9.00", lines: Sequence[str] = ("9.00",)) -> None:
    """A payout of sales."""
    for number, one in enumerate(lines, start=1):
        it.sold(number, one, payout_ref=PAYOUT)
    it.payout(PAYOUT, amount)


@finds(
    *("payout_unbalanced", PAYOUT, "0.5"),
    settled("card:f1", "-0.50", kind="fee", payout_ref=PAYOUT),
    side="payout",
)
def payout_unbalanced(it: Ledgers, wrong: bool) -> None:
    paid_out(it, "8.50" if wrong else "9.00")


@finds(
    *("payout_without_lines", PAYOUT, "-9"),
    lambda it: (it.sold(1, "9.00", payout_ref=PAYOUT), None)[1],
    side="payout",
)
def payout_without_lines(it: Ledgers, wrong: bool) -> None:
    paid_out(it, lines=[] if wrong else ["9.00"])


@finds("payout_not_in_bank", OUT, "-9", banked("main:1", "9.00", "po_10001"))
def payout_not_in_bank(it: Ledgers, wrong: bool) -> None:
    paid_out(it)
    it.now = NOON + (7 if wrong else 5) * DAY


@finds(*("payout_bank_differs", "main:1", "8"), banked("main:2", "1.00", "po_10001"), side="bank")
def payout_bank_differs(it: Ledgers, wrong: bool) -> None:
    paid_out(it)
    it.bank("main:1", "8.00" if wrong else "9.00", "po_10001")
    it.now = NOON + 20 * DAY


@finds(
    *("payout_failed", PAYOUT, "9"),
    changes("update core.payouts set state = 'paid'"),
    side="payout",
)
def payout_failed(it: Ledgers, wrong: bool) -> None:
    paid_out(it)
    if wrong:
        it.execute("update core.payouts set state = 'failed'")


def day_of_balance(it: Ledgers, number: int, opening: str, closing: str) -> None:
    """A day's statement of a balance that is not paid out."""
    moved = Decimal(closing) - Decimal(opening)
    facts: dict[str, Any] = {"opening_amount": Decimal(opening), "closing_amount": Decimal(closing)}
    it.payout(f"card:day{number}", "0", kind="statement", paid_on=date(2026, 3, number), **facts)
    if moved:
        it.sold(number, str(moved), payout_ref=f"card:day{number}")


@finds(
    *("balance_gap", "card:day3", "2"),
    lambda it: day_of_balance(it, 2, "5.00", "7.00"),
    side="payout",
)
def balance_gap(it: Ledgers, wrong: bool) -> None:
    day_of_balance(it, 1, "0.00", "5.00")
    day_of_balance(it, 3, "7.00" if wrong else "5.00", "8.00")


@finds("topup_not_in_bank", "card:u1", "50", banked("main:1", "-50.00", "stripe tu_10001"))
def topup_not_in_bank(it: Ledgers, wrong: bool) -> None:
    it.line("card:u1", "50.00", kind="topup", movement_id="tu_10001")
    it.now = NOON + (7 if wrong else 5) * DAY


@finds("bank_unexpected", "main:1", "9", lambda it: paid_out(it), side="bank")
def bank_unexpected(it: Ledgers, wrong: bool) -> None:
    it.bank("main:1", "9.00", "transfer", counterparty="STRIPE" if wrong else "Somebody")


@finds("bank_doubled", "main:2", "9", by_hand("main:2", side="bank"), side="bank")
def bank_doubled(it: Ledgers, wrong: bool) -> None:
    paid_out(it)
    it.bank("main:1", "9.00", "po_10001")
    it.bank("main:2", "9.00", "po_10001" if wrong else "po_20001")


def received_there(it: Ledgers) -> None:
    """A person ties the payout to the entry of the other account."""
    items = [MatchItem(side, ref, Decimal(9), "USD") for side, ref in
             (("bank", "second:1"), ("settled", OUT))]  # fmt: skip
    match = NewMatch("person", "by hand", items, Decimal(0), "USD", by="olga")
    write_matches(it.connection, [match], it.now, None)


@finds("bank_wrong_account", "second:1", "9", received_there, side="bank")
def bank_wrong_account(it: Ledgers, wrong: bool) -> None:
    paid_out(it)
    account = "second" if wrong else "main"
    it.bank(f"{account}:1", "9.00", "po_10001", account=account)
    it.now = NOON + 20 * DAY


@finds("bank_unbalanced", "main:1", "2", banked("main:1:b", "2.00", "rent"), side="statement")
def bank_unbalanced(it: Ledgers, wrong: bool) -> None:
    it.statement("main:1", 1, "5.00", "15.00", NOON.date())
    it.bank("main:1:a", "8.00" if wrong else "10.00", "rent")


@finds(
    *("bank_gap", "main:9", "0"),
    lambda it: (it.statement("main:8", 8, "5.00", "5.00", date(2026, 3, 2)), None)[1],
    side="statement",
)
def bank_gap(it: Ledgers, wrong: bool) -> None:
    it.statement("main:7", 7, "5.00", "5.00", date(2026, 3, 1))
    it.statement("main:9", 9 if wrong else 8, "5.00", "5.00", date(2026, 3, 3))


# ---------------------------------------------------------------- files


def report(it: Ledgers, ref: str = "card:f1", *, hours: int = 0, **more: Any) -> None:
    """A report file that came."""
    facts: dict[str, Any] = {"file_ref": ref, "provider": "card", "file_name": "march.csv"}
    facts |= {"digest": ref, "state": "read", "reason": "", "line_count": 3, "broken_count": 0}
    facts |= {"control": Jsonb({}), "counted": Jsonb({}), "facts": Jsonb({}), **more}
    it.put("core.report_files", **facts, read_at=NOON + timedelta(hours=hours))


def sent_again(it: Ledgers) -> None:
    """A later file of the same name is whole."""
    report(it, "card:f2", hours=1)


@finds("file_refused", "card:f1", "0", sent_again, side="file", currency="")
def file_refused(it: Ledgers, wrong: bool) -> None:
    report(it, state="refused" if wrong else "duplicate", reason="no column `Amount`")


@finds("line_broken", "card:f1", "0", sent_again, side="file", currency="")
def line_broken(it: Ledgers, wrong: bool) -> None:
    report(it, broken_count=int(wrong))
    if wrong:
        fault = {"found_by": "reader", "line_no": 7, "reason": "an amount that is none"}
        it.put("core.report_faults", file_ref="card:f1", **fault)


@finds("control_differs", "card:f1", "0", sent_again, side="file", currency="")
def control_differs(it: Ledgers, wrong: bool) -> None:
    report(it, control=Jsonb({"count": "4"}), counted=Jsonb({"count": "3" if wrong else "4"}))


# ---------------------------------------------------------------- what we expected


@finds(
    *("unsettled", "us:1:capture", "10"),
    settled("card:t1", "10.00", payment_id="pay_1"),
    side="expected",
)
def unsettled(it: Ledgers, wrong: bool) -> None:
    it.payment("us:1:capture", "10.00", payment_id="pay_1")
    it.payment("us:2:capture", "10.00", payment_id="pay_2", is_void=True)
    it.now = NOON + (11 if wrong else 9) * DAY


@finds(
    *("refund_unsettled", "us:r1", "-5"),
    settled("card:r1", "-5.00", kind="refund", **GIVEN),
    side="expected",
)
def refund_unsettled(it: Ledgers, wrong: bool) -> None:
    it.sold(1)
    it.payment("us:r1", "-5.00", kind="refund", order="us:1", **GIVEN)
    it.now = NOON + (11 if wrong else 9) * DAY


@finds(
    *("cancelled_captured", "us:1", "10"),
    paid("us:r1", "-10.00", kind="refund", order="us:1"),
    side="order",
)
def cancelled_captured(it: Ledgers, wrong: bool) -> None:
    it.order("us:1", "10.00", state="cancelled" if wrong else "paid")
    it.sold(1)


@finds(
    *("over_captured", "us:1", "2"),
    paid("us:r1", "-2.00", kind="refund", order="us:1"),
    side="order",
)
def over_captured(it: Ledgers, wrong: bool) -> None:
    it.order("us:1", "8.00" if wrong else "10.00")
    it.sold(1)


@finds(*("part_captured", "us:1", "-2"), paid("us:1:capture:b", "2.00"), side="order")
def part_captured(it: Ledgers, wrong: bool) -> None:
    it.order("us:1", "12.00", state="completed" if wrong else "paid")
    it.sold(1)


# ---------------------------------------------------------------- invoices


def invoice(it: Ledgers, ref: str, order: str, total: str, **more: Any) -> None:
    """A posted invoice of the ERP."""
    facts: dict[str, Any] = {"invoice_ref": ref, "system": "odoo", "order_ref": order}
    facts |= {"state": "posted", "kind": "invoice", "currency": "USD", "tax_amount": Decimal(0)}
    it.put("core.invoices", **{**facts, "total_amount": Decimal(total), **more})


def shipped(it: Ledgers) -> None:
    """An order that is done for days."""
    it.order("us:1", "10.00", state="completed", at=NOON - 5 * DAY)


@finds("invoice_missing", "us:1", "-10", lambda it: invoice(it, "o:1", "us:1", "10.00"),
       side="order")  # fmt: skip
def invoice_missing(it: Ledgers, wrong: bool) -> None:
    shipped(it)
    if wrong:
        invoice(it, "o:9", "us:9", "1.00")  # the ERP tells of invoices, and not of this one


@finds(
    *("invoice_differs", "us:1", "-1"),
    changes("update core.invoices set total_amount = 10"),
    side="order",
)
def invoice_differs(it: Ledgers, wrong: bool) -> None:
    shipped(it)
    invoice(it, "o:1", "us:1", "9.00" if wrong else "10.00")


@finds(
    *("invoice_doubled", "us:1", "10"),
    changes("update core.invoices set state = 'cancelled' where invoice_ref = 'o:2'"),
    side="order",
)
def invoice_doubled(it: Ledgers, wrong: bool) -> None:
    shipped(it)
    invoice(it, "o:1", "us:1", "10.00")
    invoice(it, "o:2", "us:1", "10.00", state="posted" if wrong else "draft")


# ---------------------------------------------------------------- what holds for all of them

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)


def test_every_finding_has_its_facts_here() -> None:
    assert [case.code for case in CASES] == sorted({case.code for case in CASES}, key=[
        case.code for case in CASES].index)  # fmt: skip
    assert {f"settlement.{case.code}" for case in CASES} == set(FINDINGS) - BOOKED


@each_case
def test_it_is_found_alone_with_its_money_and_told_to_its_owner(
    ledgers: Ledgers, case: Case
) -> None:
    case.facts(ledgers, True)
    assert ledgers.judge() == [(case.code, case.ref)]
    (item,) = ledgers.items()
    assert (item["side"], item["amount"], item["currency"]) == (
        *(case.side, Decimal(case.amount), case.currency),
    )
    (told,) = ledgers.exceptions()
    meant = FINDINGS[f"settlement.{case.code}"]
    assert (told["code"], told["subject_ref"]) == (item["finding"], case.ref)
    assert told["message"].startswith(f"{case.ref} {meant.says}")
    assert (told["owner_role"], told["can_release"]) == (meant.owner_role, meant.can_release)
    assert (told["amount"], told["currency"]) == (
        *(abs(Decimal(case.amount)), case.currency or None),
    )
    assert told["due_at"] - told["opened_at"] == meant.due_after
    assert not told["blocks"]


@each_case
def test_it_is_not_found_where_things_are_right(ledgers: Ledgers, case: Case) -> None:
    case.facts(ledgers, False)
    assert ledgers.judge() == []
    assert ledgers.exceptions() == []


@each_case
def test_it_closes_by_itself_when_it_is_mended(ledgers: Ledgers, case: Case) -> None:
    case.facts(ledgers, True)
    ledgers.judge()
    case.mend(ledgers)
    assert ledgers.judge() == []
    assert ledgers.exceptions() == []
    (told,) = ledgers.exceptions("closed")
    assert (told["closed_by"], told["note"]) == ("pipeline", "the cause is gone")


@each_case
def test_found_again_it_stays_as_it_was_found_first(ledgers: Ledgers, case: Case) -> None:
    case.facts(ledgers, True)
    ledgers.judge()
    first, told = ledgers.items(), ledgers.exceptions()
    ledgers.now += timedelta(hours=1)
    ledgers.judge()
    assert ledgers.items() == first
    assert ledgers.exceptions() == told


# ---------------------------------------------------------------- beside the smallest facts


@pytest.mark.parametrize(
    ("amount", "is_reversal"), [("-9.00", False), ("-9.00", True), ("9.00", True)]
)
def test_a_payout_that_the_bank_sends_back_failed(
    ledgers: Ledgers, amount: str, is_reversal: bool
) -> None:
    paid_out(ledgers)
    ledgers.bank("main:1", "9.00", "po_10001")
    ledgers.match()
    ledgers.bank("main:2", amount, "return po_10001", is_reversal=is_reversal)
    assert ledgers.judge() == [("payout_failed", "main:2")]


def test_a_payout_that_came_back_and_is_told_by_the_provider_is_no_finding(
    ledgers: Ledgers,
) -> None:
    paid_out(ledgers)
    ledgers.line("card:back", "9.00", kind="payout_returned", movement_id="po_10001")
    ledgers.bank("main:1", "9.00", "po_10001")
    ledgers.bank("main:2", "-9.00", "return po_10001", is_reversal=True)
    assert ledgers.judge() == []


def test_a_name_of_several_words_names_the_payout_it_belongs_to(ledgers: Ledgers) -> None:
    for number in ("8801", "8802"):
        ledgers.sold(int(number), "9.00", payout_ref=f"card:p{number}")
        ledgers.payout(f"card:p{number}", "9.00", bank_reference=f"Batch {number} Visa/MC")
    ledgers.bank("main:1", "8.00", "stripe, batch 8802 VISA/MC")
    assert ledgers.judge() == [("payout_bank_differs", "main:1")]
    assert ledgers.items()[0]["detail"] == "names payout card:p8802 of 9"


def test_a_payouts_name_within_a_longer_word_names_nothing(ledgers: Ledgers) -> None:
    paid_out(ledgers)
    ledgers.bank("main:1", "8.00", "stripe po_100017")
    assert ledgers.judge() == [("bank_unexpected", "main:1")]


def test_a_line_that_is_paid_in_another_currency_is_measured_in_that_one(
    ledgers: Ledgers,
) -> None:
    rate(ledgers, "0.92")
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1")
    paid_in: dict[str, Any] = {"paid_amount": Decimal("10.00"), "paid_currency": "USD"}
    ledgers.line("card:t1", "8.00", currency="EUR", payment_id="pay_1", **paid_in)
    assert ledgers.judge() == [("conversion_rate", "card:t1")]
    (item,) = ledgers.items()
    assert (item["amount"], item["currency"]) == (Decimal("10.00"), "USD")


@pytest.mark.parametrize(
    ("number", "opening", "is_gap"),
    [(1, "5.00", False), (1, "6.00", True), (2027001, "5.00", False), (51, "6.00", True)],
    ids=["begins anew", "begins anew and misses one", "counts by year", "goes on and misses one"],
)
def test_statements_are_numbered_anew_in_a_new_year(
    ledgers: Ledgers, number: int, opening: str, is_gap: bool
) -> None:
    ledgers.statement("main:a", 50, "5.00", "5.00", date(2025, 12, 31))
    ledgers.statement("main:b", number, opening, opening, date(2026, 1, 2))
    assert ledgers.judge() == ([("bank_gap", "main:b")] if is_gap else [])


def test_a_line_that_tells_of_a_payment_speaks_for_it(ledgers: Ledgers) -> None:
    """One cause is one finding: not that the payment is late as well."""
    amount_short(ledgers, True)
    ledgers.now = NOON + 30 * DAY
    assert ledgers.judge() == [("amount_short", "card:t1")]


@pytest.mark.parametrize("said", ["N1001", "us:1", "1"])
def test_an_order_is_known_by_its_number_our_key_and_the_shops_id(
    ledgers: Ledgers, said: str
) -> None:
    ledgers.payment("us:1:capture", "10.00", order_number="N1001")
    ledgers.line("card:t1", "8.00", order_reference=said)
    assert ledgers.judge() == [("amount_short", "card:t1")]
    (item,) = ledgers.items()
    assert item["detail"] == f"settled 8 USD; expected 10 USD; captured 10; names {said}"
    assert item["order_ref"] == "us:1"


def test_what_a_provider_said_that_is_configured_no_more_is_still_judged(
    ledgers: Ledgers,
) -> None:
    ledgers.line("gone:t1", "10.00", provider="gone", order_reference="1001")
    ledgers.line("gone:a1", "10.00", provider="gone", kind="adjustment")
    assert ledgers.judge() == [("adjustment", "gone:a1"), ("order_unknown", "gone:t1")]


def test_two_findings_of_one_thing_are_two_exceptions(ledgers: Ledgers) -> None:
    says(fees=CONTRACT)(ledgers)
    ledgers.order("us:1", "10.00", at=NOON + 3 * DAY)
    ledgers.sold(1, fee="0.70")
    assert ledgers.judge() == [("before_order", "card:t1"), ("fee_over", "card:t1")]
    DEARER(ledgers)
    assert ledgers.judge() == [("before_order", "card:t1")]
    assert [one["code"] for one in ledgers.exceptions()] == ["settlement.before_order"]


def test_an_amount_that_changes_is_told_in_the_same_exception(ledgers: Ledgers) -> None:
    payout_unbalanced(ledgers, True)
    ledgers.judge()
    (first,) = ledgers.exceptions()
    ledgers.line("card:f1", "-0.20", kind="fee", payout_ref=PAYOUT)
    ledgers.judge()
    (second,) = ledgers.exceptions()
    assert (first["id"], first["amount"]) == (second["id"], Decimal("0.50"))
    assert second["amount"] == Decimal("0.30")


def test_of_a_contract_the_first_rule_that_fits_the_day_counts(ledgers: Ledgers) -> None:
    until = (NOON - DAY).date().isoformat()
    says(fees=[
        {"currency": "USD", "percent": "1", "until": until},
        {"currency": "USD", "methods": ["amex*"], "percent": "5"},
        {"currency": "USD", "percent": "2"},
        {"currency": "USD", "percent": "9"},
    ])(ledgers)  # fmt: skip
    ledgers.sold(1, fee="0.10", occurred_at=NOON - 2 * DAY)
    ledgers.sold(2, fee="0.50", method="AMEX_gold")
    ledgers.sold(3, fee="0.20", method="visa")
    ledgers.sold(4, fee="0.20")
    assert ledgers.judge() == []


def test_a_currency_without_a_contract_is_not_compared(ledgers: Ledgers) -> None:
    says(fees=CONTRACT)(ledgers)
    ledgers.payment("us:1:capture", "10.00", payment_id="pay_1", currency="EUR")
    ledgers.line("card:t1", "10.00", fee="3.00", payment_id="pay_1", currency="EUR")
    assert ledgers.judge() == []


def test_a_fee_is_given_back_with_the_money_where_the_contract_says_so(ledgers: Ledgers) -> None:
    given = {"currency": "USD", "kinds": ["refund"], "percent": "2.9", "is_returned": True}
    says(fees=[*CONTRACT, given])(ledgers)
    ledgers.sold(1, fee="0.59")
    ledgers.payment("us:r1", "-10.00", kind="refund", order="us:1", **GIVEN)
    ledgers.line("card:r1", "-10.00", kind="refund", fee="-0.29", **GIVEN)
    assert ledgers.judge() == []


def test_an_order_captured_in_another_currency_is_not_measured_by_its_total(
    ledgers: Ledgers,
) -> None:
    ledgers.order("us:1", "10.00", state="completed")
    ledgers.payment("us:1:capture", "9.20", payment_id="pay_1", currency="EUR")
    ledgers.line("card:t1", "9.20", payment_id="pay_1", currency="EUR")
    assert ledgers.judge() == []
