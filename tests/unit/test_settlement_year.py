"""The generated year of payments: clean to the cent, and each planted fault is what it says. Its
files are read as a deployment reads them, by the readers and mappers of each provider."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from resources.sandbox.people import person
from resources.sandbox.settlement_bank import OTHERS
from resources.sandbox.settlement_facts import OrderFact, Planted, RefundFact
from resources.sandbox.settlement_terms import BANKS, PROVIDERS, contract
from resources.sandbox.settlement_year import ALL_KINDS, NotEnough, Year, year
from resources.sandbox.shop_order import (
    STORES,
    Charge,
    Line,
    Refund,
    RefundPart,
    ShopOrder,
)
from resources.systems import (
    adyen_reports,
    bank_reports,
    paypal_reports,
    remittance_reports,
    stripe_reports,
)
from resources.systems.report_files import RefusedFile, Report
from sync_assets.mappers import (
    adyen_settlements,
    bank_statements,
    files_settlements,
    paypal_settlements,
    stripe_settlements,
)

Row = dict[str, Any]
ZERO = Decimal(0)
SEED = 11
#: Of each kind, so that each provider has its turn.
EACH = 4
#: Who settles without a balance of its own: each payout is the sum of its lines.
BATCHED = ("stripe_us", "adyen_eu", "cod_eu")


# ---------------------------------------------------------------- orders, and what is read


def shop_orders(count: int = 1500, seed: int = 3) -> list[ShopOrder]:
    """Orders over the year 2017, by turns of the three stores."""
    dice = Random(seed)
    start = datetime(2017, 1, 1, 8, tzinfo=UTC)
    step = timedelta(days=364) / count
    return [_order(place, start + step * place, dice) for place in range(count)]


def _order(place: int, at: datetime, dice: Random) -> ShopOrder:
    store = STORES[("us", "uk", "eu")[place % 3]]
    price = Decimal(dice.randint(1200, 9000)).scaleb(-2)
    line = Line("85123A", "Lantern", 2, price + 1, price)
    share = (price / 2).quantize(Decimal("0.01"))
    back = Refund(at + timedelta(days=4), "Broken", (RefundPart(0, 1, share),))
    statuses = {"processing": 88, "completed": 5, "cancelled": 4, "pending": 3}
    return ShopOrder(
        source=f"test:{place}",
        store=store.name,
        placed_at=at.replace(microsecond=0),
        customer=place,
        person=person(store.country, place % 7),
        currency="CHF" if place % 97 == 5 else store.currency,
        tax=store.tax,
        status=dice.choices(list(statuses), list(statuses.values()))[0],
        lines=(line,),
        shipping=(Charge("Parcel", Decimal("4.90")),),
        refunds=(back,) if place % 20 == 7 else (),
    )


@dataclass
class Told:
    """What all files of a year say, in our words."""

    lines: dict[str, Row] = field(default_factory=dict)
    #: Lines that were told before, as they are told again.
    again: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    payouts: dict[str, Row] = field(default_factory=dict)
    bank_lines: dict[str, Row] = field(default_factory=dict)
    statements: dict[str, Row] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    miscounted: set[str] = field(default_factory=set)

    def of(self, ref: str) -> Row:
        """The line whose key contains this."""
        return next(row for key, row in self.lines.items() if ref in key)

    def of_order(self, order: OrderFact, kind: str) -> list[Row]:
        """Lines of a kind that name an order."""
        store = order.store
        return [
            row
            for row in self.lines.values()
            if row["kind"] == kind
            and PROVIDERS[row["provider"]].store == store
            and number_of(row) == order.number
        ]

    def sums(self) -> dict[str, Decimal]:
        """Net of the lines by payout."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for row in self.lines.values():
            found[row["payout_ref"]] += row["net_amount"]
        return found

    def unbalanced(self) -> set[str]:
        """Payouts that are not the sum of their lines, days that do not come to their closing."""
        sums = self.sums()
        return {
            ref
            for ref, row in self.payouts.items()
            if sums[ref]
            != (0 if row["kind"] == "payout" else row["closing_amount"] - row["opening_amount"])
        }

    def bank_faults(self) -> tuple[set[str], set[str]]:
        """Statements that do not come out, and those that open otherwise than one before closed."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for row in self.bank_lines.values():
            sums[row["statement_ref"]] += row["amount"]
        wrong, gaps, closed = set(), set(), dict[str, Decimal]()
        for ref, row in sorted(self.statements.items(), key=lambda pair: pair[1]["from_on"]):
            if row["opening_amount"] + sums[ref] != row["closing_amount"]:
                wrong.add(ref)
            if closed.get(row["account"], row["opening_amount"]) != row["opening_amount"]:
                gaps.add(ref)
            closed[row["account"]] = row["closing_amount"]
        return wrong, gaps


def number_of(row: Row) -> str:
    return (row["order_reference"] or "").removesuffix(".1")


def paid(row: Row) -> Decimal:
    """What the customer paid or got back."""
    amount: Decimal = row["gross_amount"] if row["paid_amount"] is None else row["paid_amount"]
    return amount


MAPPERS = {
    "stripe_us": stripe_settlements.report_line,
    "paypal_uk": paypal_settlements.report_line,
    "adyen_eu": adyen_settlements.report_line,
    "cod_eu": files_settlements.report_line,
}
READERS: dict[str, Callable[[str, bytes], Report]] = {
    "stripe_us": stripe_reports.read,
    "paypal_uk": paypal_reports.read,
    "adyen_eu": adyen_reports.read,
    "cod_eu": partial(remittance_reports.read, columns={}, ignored=(), encoding="utf-8"),
}


def _reader(name: str) -> Callable[[str, bytes], Report]:
    if name in READERS:
        return READERS[name]
    bank = BANKS[name]
    if bank.kind == "camt053":
        return partial(bank_reports.read_camt, iban=bank.iban, currency=bank.currency)
    account: Any = SimpleNamespace(
        currency=bank.currency,
        columns={},
        ignored_columns=(),
        encoding="utf-8",
        day_format="%Y-%m-%d",
        decimal_comma=False,
    )
    return partial(bank_reports.read_csv, account=account)


def read(made: Year) -> Told:
    """Read every file, in its order; the same file under another name once."""
    told = Told()
    for owner, files in made.files.items():
        seen: set[bytes] = set()
        for name, content in files:
            if content in seen:
                continue
            seen.add(content)
            try:
                report = _reader(owner)(name, content)
            except RefusedFile:
                told.refused.add(name)
                continue
            _take(told, owner, name, report)
    return told


def _take(told: Told, owner: str, name: str, report: Report) -> None:
    mapper = MAPPERS.get(owner, bank_statements.report_line)
    if report.broken:
        told.broken.add(name)
    if int(report.control.get("count", len(report.lines))) != len(report.lines):
        told.miscounted.add(name)
    for line in report.lines:
        facts = {**report.facts, **line.facts}
        payload = {"file": name, "line": line.number, "kind": report.kind, "facts": facts}
        found = mapper(owner, {**payload, "row": line.row})
        for row in found.lines:
            if row["line_ref"] in told.lines:
                told.again[row["line_ref"]].append(row)
            else:
                told.lines[row["line_ref"]] = row
        told.payouts |= {row["payout_ref"]: row for row in found.payouts}
        told.bank_lines |= {row["bank_line_ref"]: row for row in found.bank_lines}
        told.statements |= {row["statement_ref"]: row for row in found.statements}


@pytest.fixture(scope="module")
def clean() -> Year:
    return year(shop_orders(), SEED)


@pytest.fixture(scope="module")
def told(clean: Year) -> Told:
    return read(clean)


@pytest.fixture(scope="module")
def spoilt() -> Year:
    return year(shop_orders(4000), SEED, planted_each=EACH)


@pytest.fixture(scope="module")
def seen(spoilt: Year) -> Told:
    return read(spoilt)


# ---------------------------------------------------------------- the clean year


def test_every_file_of_a_clean_year_is_read_whole(told: Told) -> None:
    assert (told.refused, told.broken, told.miscounted, dict(told.again)) == (set(),) * 3 + ({},)


def test_every_payout_of_a_clean_year_is_the_sum_of_its_lines(told: Told) -> None:
    assert told.unbalanced() == set()
    assert {row["payout_ref"] for row in told.lines.values()} == set(told.payouts)


def test_a_day_of_paypal_opens_as_the_one_before_closed(told: Told) -> None:
    days = [row for row in told.payouts.values() if row["kind"] == "statement"]
    closed: dict[str, Decimal] = {}
    for row in sorted(days, key=lambda one: one["paid_on"]):
        assert row["opening_amount"] == closed.get(row["currency"], ZERO)
        closed[row["currency"]] = row["closing_amount"]
    assert closed["EUR"] == closed["CHF"] == 0


def test_statements_of_the_banks_come_to_their_closing_balances(told: Told) -> None:
    assert told.bank_faults() == (set(), set())


def test_every_payout_reaches_its_bank_once_and_names_itself(told: Told) -> None:
    booked = Counter(
        (row["account"], row["amount"])
        for row in told.bank_lines.values()
        if row["counterparty"] not in OTHERS
    )
    moved = Counter(
        (PROVIDERS[row["provider"]].bank, -row["net_amount"])
        for row in told.lines.values()
        if row["kind"] in ("payout", "topup") and row["net_amount"]
    )
    assert booked == moved
    texts = " ".join(row["description"] for row in told.bank_lines.values())
    for row in told.payouts.values():
        if row["kind"] == "payout" and row["paid_amount"]:
            assert (row["bank_reference"] or row["payout_id"]) in texts


def test_what_has_nothing_to_do_with_providers_is_named_otherwise(told: Told) -> None:
    names = {one.counterparty for one in PROVIDERS.values()}
    assert not names & set(OTHERS)
    assert {row["counterparty"] for row in told.bank_lines.values()} == names | set(OTHERS)


def test_totals_are_what_the_files_come_to(clean: Year, told: Told) -> None:
    nets: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in told.lines.values():
        if row["kind"] != "payout":
            nets[row["provider"], row["currency"]] += row["net_amount"]
    assert {key: total.net for key, total in clean.totals.items()} == dict(nets)
    for (provider, _), total in clean.totals.items():
        sums = total.gross + total.refunds + total.disputes + total.other
        assert sums - total.fees - total.fee_tax == total.net
        assert provider not in BATCHED or total.payouts == total.net


def test_orders_come_to_their_totals(clean: Year) -> None:
    for one in clean.orders:
        sums = one.net + one.shipping + one.fees + one.tax - one.gift_card
        assert one.total == sums
    assert any(one.gift_card for one in clean.orders)


def test_what_was_paid_is_settled_once_and_whole(clean: Year, told: Told) -> None:
    settled: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in told.lines.values():
        if row["kind"] == "sale":
            settled[PROVIDERS[row["provider"]].store, number_of(row)] += paid(row)
    wanted = {
        (one.store, one.number): one.total for one in clean.orders if one.state != "cancelled"
    }
    assert settled == wanted


def test_refunds_of_the_shop_are_settled_and_failed_ones_come_back(clean: Year, told: Told) -> None:
    moved: dict[str, Decimal] = defaultdict(Decimal)
    for row in told.lines.values():
        if row["kind"] in ("refund", "refund_failed"):
            moved[row["movement_id"]] += paid(row)
    wanted = {
        str(one.provider_ref): ZERO if one.state == "failed" else -one.amount
        for one in clean.refunds
    }
    assert moved == wanted
    assert {one.state for one in clean.refunds} == {"confirmed", "failed"}


def test_fees_are_those_of_the_contract(told: Told) -> None:
    for row in told.lines.values():
        if row["kind"] in ("sale", "refund", "chargeback"):
            agreed = contract(row["provider"], row["currency"], row["occurred_at"].date())
            fee = agreed.fee(row["kind"], row["gross_amount"])
            assert (row["fee_amount"], row["fee_tax_amount"]) == (fee, agreed.tax(fee))


def test_every_reserve_is_released_in_the_end(told: Told) -> None:
    held: dict[str, Decimal] = defaultdict(Decimal)
    for row in told.lines.values():
        if row["kind"] in ("reserve_held", "reserve_released"):
            held[row["payment_id"] or row["description"].split()[-1]] += row["net_amount"]
    assert {key.isdigit() for key in held} == {True, False}  # batches of Adyen, sales of PayPal
    assert set(held.values()) == {ZERO}


def test_conversions_have_two_sides_near_the_rate_of_the_day(clean: Year, told: Told) -> None:
    rates = {(one.day, one.currency, one.company_currency): one.rate for one in clean.rates}
    pairs: dict[str, list[Row]] = defaultdict(list)
    for row in told.lines.values():
        if row["kind"] == "conversion":
            pairs[row["group_id"]].append(row)
    assert pairs
    for own in pairs.values():
        one, other = sorted(own, key=lambda row: row["currency"] == "GBP")
        rate = rates[one["occurred_at"].date(), one["currency"], other["currency"]]
        assert abs(-other["net_amount"] / one["net_amount"] / rate - 1) < Decimal("0.05")


def test_invoices_are_those_of_what_was_sold(clean: Year) -> None:
    invoiced = {one.order_ref: one.total_amount for one in clean.invoices if one.kind == "invoice"}
    assert invoiced == {
        one.order_ref: one.total for one in clean.orders if one.state != "cancelled"
    }


def test_a_clean_year_has_the_habits_of_a_real_one(clean: Year, told: Told) -> None:
    kinds = Counter(one.kind for one in clean.events)
    assert kinds["captured"] >= 4
    assert min(kinds["dispute_won"], kinds["dispute_lost"], kinds["refund_failed"]) >= 1
    payouts = [row for row in told.payouts.values() if row["kind"] == "payout"]
    assert any(row["paid_amount"] < 0 for row in payouts)
    by_month = {(row["provider"], row["occurred_at"].month) for row in told.lines.values()}
    assert len(by_month) >= 36
    assert any(
        row["occurred_at"].month != told.payouts[row["payout_ref"]]["paid_on"].month
        for row in told.lines.values()
        if row["provider"] in BATCHED
    )
    assert any((row["order_reference"] or "").endswith(".1") for row in told.lines.values())
    assert {one.state for one in clean.orders} == {"completed", "cancelled", "refunded"}
    assert {one.payment_method for one in clean.orders} == {"stripe", "paypal", "adyen", "cod"}


def test_a_refund_goes_out_with_a_later_payout_than_its_sale(clean: Year, told: Told) -> None:
    later = 0
    for refund in clean.refunds:
        order = next(one for one in clean.orders if one.order_ref == refund.order_ref)
        days = {
            kind: told.payouts[row["payout_ref"]]["paid_on"]
            for kind in ("sale", "refund")
            for row in told.of_order(order, kind)
        }
        later += days["sale"] < days["refund"]
    assert later > len(clean.refunds) / 2


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    some = shop_orders(400)
    first, second = (year(some, 5, 1, ["sale_short", "payout_bank_short"]) for _ in range(2))
    assert first == second
    assert year(some, 6).files != year(some, 5).files


# ---------------------------------------------------------------- faults


def test_every_kind_is_planted_just_so_many_times(spoilt: Year) -> None:
    assert Counter(one.kind for one in spoilt.planted) == dict.fromkeys(ALL_KINDS, EACH)
    assert len(ALL_KINDS) >= 50


def test_only_the_kinds_that_are_asked_for_are_planted() -> None:
    made = year(shop_orders(400), SEED, 2, ["invoice_missing"])
    assert [(one.kind, one.finding) for one in made.planted] == [("invoice_missing",) * 2] * 2


def test_an_unknown_kind_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ValueError, match="'sale_eaten' is no kind of fault; known: sale_missing"):
        year(shop_orders(3), SEED, 1, ["sale_eaten"])


def test_too_few_orders_for_so_many_faults_are_told() -> None:
    with pytest.raises(NotEnough, match="too few orders of cod_eu to plant sale_missing"):
        year(shop_orders(30), SEED, 50, ["sale_missing"])


def test_no_two_faults_have_the_same_subject(spoilt: Year) -> None:
    assert max(Counter((one.finding, one.ref) for one in spoilt.planted).values()) == 1
    orders = [one.ref for one in spoilt.planted if one.ref.count(":") == 1]
    assert len(orders) == len(set(orders))


def test_faults_leave_all_payouts_and_statements_balanced_but_their_own(
    spoilt: Year, seen: Told
) -> None:
    kinds = ("payout_line_missing", "payout_without_lines")
    payouts = {_payout(seen, ref) for kind in kinds for ref in _refs(spoilt, kind)}
    assert seen.unbalanced() == payouts
    wrong, gaps = seen.bank_faults()
    assert {ref.split(":")[1] for ref in wrong} == _refs(spoilt, "bank_statement_unbalanced")
    assert {ref.split(":")[1] for ref in gaps} == _refs(spoilt, "bank_statement_missing")


def test_only_the_spoilt_files_cannot_be_read(spoilt: Year, seen: Told) -> None:
    assert seen.refused == _refs(spoilt, "file_unreadable")
    assert seen.broken == _refs(spoilt, "file_broken_line")
    assert seen.miscounted == _refs(spoilt, "file_control_differs")


def _refs(made: Year, kind: str) -> set[str]:
    return {one.ref for one in made.planted if one.kind == kind}


def _payout(seen: Told, ref: str) -> str:
    return next(key for key in seen.payouts if ref in key)


@dataclass
class Case:
    """One planted fault, and what is around it."""

    made: Year
    seen: Told
    fault: Planted

    @property
    def line(self) -> Row:
        """The line that is its subject."""
        return self.seen.of(self.fault.ref)

    @property
    def order(self) -> OrderFact:
        """The order it is of."""
        return next(one for one in self._orders() if one is not None)

    def _orders(self) -> Iterator[OrderFact | None]:
        ref = ":".join(self.fault.ref.split(":")[:2])
        yield next((one for one in self.made.orders if one.order_ref == ref), None)
        yield self.of(self.line)

    def of(self, row: Row) -> OrderFact | None:
        """The order that a line names."""
        ref = f"{PROVIDERS[row['provider']].store}:{number_of(row)}"
        return next((one for one in self.made.orders if one.order_ref == ref), None)

    def sums(self, kind: str) -> list[Decimal]:
        """What lines of a kind come to for the order, each."""
        return [paid(row) for row in self.seen.of_order(self.order, kind)]

    @property
    def refund(self) -> RefundFact | None:
        """The shop's refund that the line is of, or the subject itself."""
        if self.fault.ref in {one.refund_ref for one in self.made.refunds}:
            return next(one for one in self.made.refunds if one.refund_ref == self.fault.ref)
        movement = self.line["movement_id"]
        return next((one for one in self.made.refunds if one.provider_ref == movement), None)

    @property
    def fee_over(self) -> Decimal:
        """How much more than agreed the line costs."""
        row = self.line
        agreed = contract(row["provider"], row["currency"], row["occurred_at"].date())
        fee: Decimal = row["fee_amount"]
        return fee - agreed.fee(row["kind"], row["gross_amount"])

    @property
    def entry(self) -> Row:
        """The bank's entry that is its subject."""
        rows = self.seen.bank_lines
        return next(row for key, row in rows.items() if self.fault.ref in key)

    @property
    def entries(self) -> list[Decimal]:
        """What the banks show of the payout that is its subject or that its entry names."""
        words = {self.fault.ref}
        if any(self.fault.ref in key for key in self.seen.bank_lines):
            words = set(self.entry["description"].split()[-1:])
        else:
            words |= {
                str(row["bank_reference"])
                for key, row in self.seen.payouts.items()
                if self.fault.ref in key
            }
        return [
            row["amount"]
            for row in self.seen.bank_lines.values()
            if words & set(row["description"].split())
        ]

    @property
    def payout(self) -> Row:
        """The payout that is its subject."""
        return self.seen.payouts[_payout(self.seen, self.fault.ref)]

    @property
    def invoices(self) -> list[Decimal]:
        """Totals of the order's invoices."""
        ref = self.order.order_ref
        return [
            one.total_amount
            for one in self.made.invoices
            if one.order_ref == ref and one.kind == "invoice"
        ]


def _captured(case: Case) -> list[Decimal]:
    number = case.order.number
    return [
        one.amount or ZERO
        for one in case.made.events
        if one.kind == "captured"
        and PROVIDERS[one.provider].store == case.order.store
        and str(one.order_reference).removesuffix(".1") == number
    ]


def _names_nothing(case: Case) -> bool:
    names = ("payment_id", "group_id", "movement_id", "order_reference")
    return not any(case.line[name] for name in names)


def _same_fees(case: Case) -> int:
    one = case.line
    keys = ("provider", "description", "gross_amount", "occurred_at")
    return sum(
        all(row[key] == one[key] for key in keys) and row["kind"] == "fee"
        for row in case.seen.lines.values()
    )


def _released(case: Case) -> Decimal:
    """What is released above what was held, of the line's sale or batch."""
    one = case.line
    name = one["payment_id"] or one["description"]
    return sum(
        (
            row["net_amount"]
            for row in case.seen.lines.values()
            if (row["payment_id"] or row["description"]) == name and "reserve" in row["kind"]
        ),
        ZERO,
    )


def _sides(case: Case) -> list[Row]:
    group = case.line["group_id"]
    rows = case.seen.lines.values()
    return [row for row in rows if row["kind"] == "conversion" and row["group_id"] == group]


def _kept_rate(case: Case) -> Decimal:
    one, other = sorted(_sides(case), key=lambda row: row["currency"] == "GBP")
    rates = {(r.day, r.currency, r.company_currency): r.rate for r in case.made.rates}
    day_rate = rates[one["occurred_at"].date(), one["currency"], other["currency"]]
    kept: Decimal = -other["net_amount"] / one["net_amount"] / day_rate
    return kept


def _copies(case: Case) -> int:
    contents = [content for files in case.made.files.values() for _, content in files]
    files = {name: content for files in case.made.files.values() for name, content in files}
    return contents.count(files[case.fault.ref])


def _unspoken(case: Case) -> bool:
    """The topup that no bank shows."""
    texts = " ".join(row["description"] for row in case.seen.bank_lines.values())
    return case.line["kind"] == "topup" and case.line["movement_id"] not in texts


#: By kind: what holds of the fault that was planted.
SAYS: dict[str, Callable[[Case], bool]] = {
    "sale_missing": lambda c: c.sums("sale") == [] and c.order.state == "completed",
    "sale_settled_twice": lambda c: c.sums("sale") == [c.order.total] * 2,
    "sale_short": lambda c: ZERO < c.sums("sale")[0] < c.order.total,
    "sale_over": lambda c: c.sums("sale")[0] > c.order.total,
    "sale_unknown_order": lambda c: c.of(c.line) is None and c.line["kind"] == "sale",
    "sale_other_currency": lambda c: (
        (c.line["paid_currency"] or c.line["currency"]) != c.order.currency
        and c.sums("sale") == [c.order.total]
    ),
    "sale_other_provider": lambda c: PROVIDERS[c.line["provider"]].method != c.order.payment_method,
    "sale_negative": lambda c: c.sums("sale") == [-c.order.total],
    "sale_before_order": lambda c: c.order.placed_at - c.line["occurred_at"] == timedelta(days=3),
    "line_told_otherwise": lambda c: (
        [row["net_amount"] - 1 for row in c.seen.again[c.line["line_ref"]]]
        == [c.line["net_amount"]]
    ),
    "line_in_two_payouts": lambda c: (
        [
            (row["net_amount"], row["payout_ref"] != c.line["payout_ref"])
            for row in c.seen.again[c.line["line_ref"]]
        ]
        == [(c.line["net_amount"], True)]
    ),
    "refund_missing": lambda c: (
        c.refund is not None
        and not any(row["movement_id"] == c.refund.provider_ref for row in c.seen.lines.values())
    ),
    "refund_unknown": lambda c: c.refund is None and -c.order.total < paid(c.line) < 0,
    "refund_differs": lambda c: c.refund is not None and paid(c.line) == -c.refund.amount - 1,
    "refund_twice": lambda c: len(c.sums("refund")) == 2 and len(set(c.sums("refund"))) == 1,
    "refund_over": lambda c: c.refund is None and paid(c.line) == -c.order.total - 5,
    "refund_positive": lambda c: c.refund is not None and paid(c.line) == c.refund.amount,
    "chargeback_unknown": lambda c: c.of(c.line) is None and c.line["kind"] == "chargeback",
    "chargeback_twice": lambda c: c.sums("chargeback") == [-c.order.total] * 2,
    "chargeback_over": lambda c: c.sums("chargeback") == [-c.order.total - 5],
    "chargeback_after_refund": lambda c: (
        c.sums("refund") == c.sums("chargeback") == [-c.order.total]
    ),
    "reversal_unknown": lambda c: (
        c.sums("chargeback") == [] and c.sums("chargeback_reversed") == [c.order.total]
    ),
    "reversal_differs": lambda c: ZERO < c.sums("chargeback_reversed")[0] < c.order.total,
    "fee_percent_over": lambda c: c.fee_over >= Decimal("0.10"),
    "fee_fixed_under": lambda c: c.fee_over == Decimal("-0.10"),
    "fee_on_refund": lambda c: c.line["kind"] == "refund" and c.fee_over == Decimal("0.35"),
    "dispute_fee_differs": lambda c: c.line["kind"] == "chargeback" and c.fee_over == 5,
    "fee_tax_differs": lambda c: c.fee_over == 0 and c.line["fee_tax_amount"] > Decimal("0.35"),
    "conversion_unpaired": lambda c: len(_sides(c)) == 1,
    "conversion_rate_off": lambda c: abs(_kept_rate(c) - Decimal("0.80")) < Decimal("0.01"),
    "cancelled_captured": lambda c: (
        c.order.state == "cancelled" and c.sums("sale") == [c.order.total] and not c.invoices
    ),
    "captured_over_order": lambda c: (
        sorted(_captured(c)) == sorted(c.sums("sale")) == sorted([Decimal(5), c.order.total])
    ),
    "captured_in_part": lambda c: (
        _captured(c) == c.sums("sale")
        and c.order.state == "completed"
        and sum(c.sums("sale")) < c.order.total
    ),
    "invoice_missing": lambda c: c.order.state == "completed" and c.invoices == [],
    "invoice_differs": lambda c: c.invoices == [c.order.total + 1],
    "invoice_twice": lambda c: c.invoices == [c.order.total] * 2,
    "type_unknown": lambda c: c.line["description"].startswith("unknown type "),
    "adjustment_unexplained": lambda c: c.line["kind"] == "adjustment",
    "no_reference": _names_nothing,
    "fee_unknown": lambda c: c.line["kind"] == "fee" and c.line["net_amount"] == Decimal("-9.90"),
    "tax_withheld": lambda c: c.line["net_amount"] == Decimal("-12.60"),
    "topup_not_in_bank": _unspoken,
    "monthly_fee_twice": lambda c: _same_fees(c) == 2,
    "reserve_never_released": lambda c: _released(c) < 0,
    "reserve_released_above": lambda c: _released(c) > 0,
    "payout_line_missing": lambda c: c.payout["payout_ref"] in c.seen.unbalanced(),
    "payout_without_lines": lambda c: (
        c.seen.sums()[c.payout["payout_ref"]] == -c.payout["paid_amount"] == -sum(c.entries)
    ),
    "payout_not_in_bank": lambda c: c.entries == [],
    "payout_bank_short": lambda c: (
        len(c.entries) == 1
        and (
            c.entry["amount"] + Decimal("12.34")
            in {-row["net_amount"] for row in c.seen.lines.values() if row["kind"] == "payout"}
        )
    ),
    "payout_returned": lambda c: c.entry["amount"] < 0 and sum(c.entries) == 0,
    "bank_credit_twice": lambda c: c.entries == [c.entry["amount"]] * 2,
    "bank_wrong_account": lambda c: (c.entry["account"], len(c.entries)) == ("spare_usd", 1),
    "bank_credit_unknown": lambda c: (
        c.entry["counterparty"] in {one.counterparty for one in PROVIDERS.values()}
        and c.entry["amount"] >= Decimal("777.11")
    ),
    "bank_statement_unbalanced": lambda c: any(
        c.fault.ref in ref for ref in c.seen.bank_faults()[0]
    ),
    "bank_statement_missing": lambda c: any(c.fault.ref in ref for ref in c.seen.bank_faults()[1]),
    "file_unreadable": lambda c: c.fault.ref in c.seen.refused,
    "file_broken_line": lambda c: c.fault.ref in c.seen.broken,
    "file_control_differs": lambda c: c.fault.ref in c.seen.miscounted,
    "file_twice": lambda c: _copies(c) == 2,
}


def test_something_is_said_of_every_kind() -> None:
    assert set(SAYS) == set(ALL_KINDS)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_planted_fault_is_what_it_says(kind: str, spoilt: Year, seen: Told) -> None:
    for fault in spoilt.planted:
        if fault.kind == kind:
            assert SAYS[kind](Case(spoilt, seen, fault)), fault
