"""Random stories after the sale, told to the pure rules: whatever happens, in whatever order.

No rule of either saga is broken, and every story ends with what is closed or what somebody has.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sync_assets.domain import telling
from sync_assets.domain.after_sale import (
    LIVE,
    Case,
    Parcel,
    Refund,
    Return,
    ReturnLine,
    Trouble,
    Verdict,
)
from sync_assets.domain.refund_limits import Sold, share
from sync_assets.domain.restitution import wants_exchange
from sync_assets.domain.returns import RefundState as M
from sync_assets.domain.returns import ReturnState as R
from sync_assets.domain.returns import Source
from sync_assets.domain.returns_policy import ReturnRule
from sync_assets.domain.sagas import CLOSED, Saga, may
from sync_assets.domain.tracking import ParcelState as P
from tests.effort import at_most

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ORDER = "us:1"
TEA, MUG, POST = (f"{ORDER}:product:1", f"{ORDER}:product:2", f"{ORDER}:shipping:3")
LINES = (
    Sold(TEA, "product", "TEA", Decimal(3), Decimal("10.00"), {"1": Decimal("0.73")}),
    Sold(MUG, "product", "MUG", Decimal(1), Decimal("12.00"), {"1": Decimal("0.87")}),
    Sold(POST, "shipping", None, Decimal(1), Decimal("4.00"), {}),
)
PAID = Decimal("27.60")
RULES = st.builds(
    ReturnRule,
    auto_approve=st.sampled_from([True, True, False]),
    approval_above=st.sampled_from([None, {"USD": Decimal(8)}]),
    refund_on=st.sampled_from(["approved", "received", "inspected"]),
    refund_shipping=st.sampled_from(["never", "full_return", "always"]),
    restocking_fee_percent=st.sampled_from([Decimal(0), Decimal(10)]),
    disposition=st.sampled_from(["ask", "restock"]),
    keep_below=st.sampled_from([{}, {"USD": Decimal(5)}]),
    exchanges=st.booleans(),
    expects_goods=st.booleans(),
)
#: States that wait for a time that will come.
TIMED = {R.APPROVED, R.IN_TRANSIT, M.PENDING}


class Story(RuleBasedStateMachine):
    """One order after the sale; the world around it is these methods."""

    def __init__(self) -> None:
        super().__init__()
        self.case = Case(
            ORDER, "us", "USD", 2, "paid", PAID, LINES, ReturnRule(), START, in_erp="accepted"
        )
        self.troubles: list[Trouble] = []
        self.count = 0

    def look(self) -> None:
        """Let everything follow that follows, and check every step it took."""
        before = {
            **{ref: one.state for ref, one in self.case.returns.items()},
            **{ref: one.state for ref, one in self.case.refunds.items()},
        }
        self.troubles = telling.settle(self.case)
        for move in self.case.moves:
            assert before.get(move.ref, "") == move.from_state
            assert may(move.saga, move.from_state, move.to_state), move
            assert move.actor
            assert move.reason
            assert move.cause
            before[move.ref] = move.to_state
        for new in (self.case.moves, self.case.new_returns, self.case.new_refunds):
            new.clear()
        self.case.changed_lines.clear()
        self.case.linked.clear()
        again = telling.settle(self.case)
        assert (again, self.case.moves) == (self.troubles, [])

    @initialize(said=RULES, teas=st.integers(0, 3), mugs=st.integers(0, 1))
    def a_deployment(self, said: ReturnRule, teas: int, mugs: int) -> None:
        self.case.rule = said
        tea, mug, post = LINES
        self.case.lines = (replace(tea, shipped_units=teas), replace(mug, shipped_units=mugs), post)
        self.look()

    # What the deployment says

    @rule(said=RULES)
    def another_policy(self, said: ReturnRule) -> None:
        self.case.rule = said
        self.look()

    @rule(provider=st.booleans(), publishes=st.booleans())
    def another_configuration(self, provider: bool, publishes: bool) -> None:
        self.case.needs_provider, self.case.publishes = provider, publishes
        self.look()

    @rule(days=st.sampled_from([1, 1, 2, 10, 40]))
    def time_passes(self, days: int) -> None:
        self.case.now += timedelta(days=days)
        self.look()

    # What happens to goods

    @rule(line=st.sampled_from([0, 1]), units=st.integers(1, 3))
    def units_leave(self, line: int, units: int) -> None:
        lines = list(self.case.lines)
        held = lines[line]
        most = min(held.shipped_units + units, int(held.quantity))
        lines[line] = replace(held, shipped_units=most)
        self.case.lines = tuple(lines)
        self.case.shipped_at = self.case.delivered_at = self.case.now
        self.look()

    @rule(
        source=st.sampled_from([Source.REQUEST, Source.STORE_DROPOFF, Source.WAREHOUSE]),
        sku=st.sampled_from(["TEA", "TEA", "MUG", "POT"]),
        units=st.sampled_from([1, 2, 3, 4]),
        is_exchange=st.booleans(),
    )
    def somebody_tells_of_a_return(
        self, source: Source, sku: str, units: int, is_exchange: bool
    ) -> None:
        here = 0 if source == Source.REQUEST else units
        one = Return(
            ref=self.case.next_ref("r"),
            source=source,
            lines=(ReturnLine(0, None, sku, units, here),),
            requested_at=self.case.now,
            is_exchange=is_exchange and source == Source.REQUEST,
            told_by="warehouse:north",
        )
        self.case.begin_return(one, "sender:portal", "asked", "request")
        self.case.moves.clear()
        self.look()

    @precondition(lambda self: self.case.returns)
    @rule(data=st.data(), state=st.sampled_from([P.IN_TRANSIT, P.LOST, P.DELIVERED]))
    def its_parcel_moves(self, data: st.DataObject, state: P) -> None:
        one = data.draw(st.sampled_from(sorted(self.case.returns)))
        self.case.returns[one] = replace(self.case.returns[one], parcel=state)
        self.look()

    @rule(state=st.sampled_from([P.RETURNING, P.RETURNED]))
    def the_parcel_turns_round(self, state: P) -> None:
        units = {one.line_ref: one.shipped_units for one in LINES[:2]}
        units = {ref: self.case.line(ref).shipped_units for ref in units}  # type: ignore[union-attr]
        self.case.parcels = (Parcel("parcel:1", state, "ups", "1", units),)
        self.look()

    @precondition(lambda self: self.case.returns)
    @rule(data=st.data(), more=st.integers(0, 1))
    def goods_arrive(self, data: st.DataObject, more: int) -> None:
        ref = data.draw(st.sampled_from(sorted(self.case.returns)))
        one = self.case.returns[ref]
        if one.state in (R.INSPECTED, R.REFUNDING, R.CLOSED):
            return
        lines = tuple(
            replace(line, received_units=max(line.requested_units + more, line.received_units))
            for line in one.lines
        )
        self.case.returns[ref] = replace(one, lines=lines, received_at=self.case.now)
        self.look()

    @precondition(lambda self: any(r.state == R.RECEIVED for r in self.case.returns.values()))
    @rule(fate=st.sampled_from(["restock_units", "refurbish_units", "write_off_units"]))
    def a_person_inspects(self, fate: str) -> None:
        for ref, one in list(self.case.returns.items()):
            if one.state == R.RECEIVED:
                lines = tuple(
                    replace(line, **{fate: getattr(line, fate) + line.open_units})
                    for line in one.lines
                )
                self.case.returns[ref] = replace(one, lines=lines)
        self.look()

    @rule()
    def the_erp_books_the_goods(self) -> None:
        for ref, one in list(self.case.returns.items()):
            if one.state in (R.INSPECTED, R.REFUNDING):
                self.case.returns[ref] = replace(one, is_booked=True)
        self.look()

    @rule(state=st.sampled_from(["paid", "cancelled", "refunded"]))
    def the_shop_changes_the_order(self, state: str) -> None:
        self.case.order_state = state
        self.look()

    # What happens to money

    def in_shop(self) -> Decimal:
        """What the shop would still give back: it counts its own refunds only."""
        made = (one.amount for one in self.case.refunds.values() if one.shop_id and not one.is_gone)
        return PAID - sum(made, Decimal())

    @rule(cents=st.integers(1, 3000), of_tea=st.booleans())
    def a_person_refunds_in_the_shop(self, cents: int, of_tea: bool) -> None:
        parts = (share(LINES[0], 0, 1, 2),) if of_tea else ()
        amount = sum((one.amount for one in parts), Decimal()) or Decimal(cents) / 100
        if amount > self.in_shop():
            return
        self.count += 1
        one = Refund(
            ref=f"us:{self.count}",
            source=Source.SHOP_REFUND,
            method="manual",
            amount=amount,
            parts=parts,
            made_at=self.case.now,
            is_ours=False,
            shop_id=str(self.count),
        )
        self.case.begin_refund(one, "shop:us", "the shop shows it", "raw")
        self.case.moves.clear()
        self.look()

    @rule(is_told=st.booleans())
    def the_shop_makes_what_it_is_asked_for(self, is_told: bool) -> None:
        for ref, one in list(self.case.refunds.items()):
            if one.state == M.SUBMITTED and not one.shop_id and one.amount <= self.in_shop():
                self.count += 1
                made = replace(one, shop_id=str(self.count), is_made=is_told)
                self.case.refunds[ref] = made
        self.look()

    @precondition(lambda self: any(one.shop_id for one in self.case.refunds.values()))
    @rule(data=st.data())
    def a_refund_is_deleted_in_the_shop(self, data: st.DataObject) -> None:
        made = sorted(ref for ref, one in self.case.refunds.items() if one.shop_id)
        ref = data.draw(st.sampled_from(made))
        self.case.refunds[ref] = replace(self.case.refunds[ref], is_gone=True)
        self.look()

    @precondition(lambda self: any(one.shop_id for one in self.case.refunds.values()))
    @rule(data=st.data(), word=st.sampled_from(["pending", "confirmed", "failed"]))
    def the_provider_speaks(self, data: st.DataObject, word: str) -> None:
        made = sorted(ref for ref, one in self.case.refunds.items() if one.shop_id)
        ref = data.draw(st.sampled_from(made))
        said = Verdict(word, "stripe", self.case.now)
        self.case.refunds[ref] = replace(self.case.refunds[ref], verdict=said)
        self.look()

    @rule()
    def the_erp_credits(self) -> None:
        for ref, one in list(self.case.refunds.items()):
            if one.state == M.CONFIRMED and not one.memo:
                self.case.refunds[ref] = replace(one, memo="held")
        self.look()

    @rule()
    def the_erp_takes_credits_back(self) -> None:
        for ref, one in list(self.case.refunds.items()):
            if one.state in (M.FAILED, M.WITHDRAWN) and one.memo == "held":
                self.case.refunds[ref] = replace(one, memo="reversed")
        self.look()

    @rule(cents=st.integers(0, 3000))
    def the_new_order_is_made(self, cents: int) -> None:
        for ref, one in list(self.case.returns.items()):
            if wants_exchange(self.case, one):
                made = Decimal(cents) / 100
                self.case.returns[ref] = replace(one, exchange_amount=made, exchange_ref="us:99")
        self.look()

    # What a person decides

    @rule(says_yes=st.booleans())
    def a_person_decides_on_returns(self, says_yes: bool) -> None:
        for one in list(self.case.returns.values()):
            if one.state == R.REQUESTED:
                to = R.APPROVED if says_yes else R.REJECTED
                self.case.move_return(one, to, "ada", "decided", "command")
        self.case.moves.clear()
        self.look()

    @rule(says_yes=st.booleans())
    def a_person_decides_on_refunds(self, says_yes: bool) -> None:
        for one in list(self.case.refunds.values()):
            if one.state == M.AWAITING_APPROVAL:
                fits = one.method == "offset" or one.amount <= self.case.left(but=one.ref)
                to = M.APPROVED if says_yes and fits else M.REFUSED
                self.case.move_refund(one, to, "ada", "decided", "command")
        self.case.moves.clear()
        self.look()

    # What must hold after each of them

    @invariant()
    def never_more_goes_back_than_was_paid(self) -> None:
        given = [
            one.amount
            for one in self.case.refunds.values()
            if one.state in LIVE and one.method != "offset"
        ]
        assert sum(given, Decimal()) <= PAID

    @invariant()
    def no_more_units_come_back_of_a_line_than_left(self) -> None:
        for line in self.case.lines:
            if line.kind == "product":
                assert self.case.units_in_returns(line.line_ref) <= line.shipped_units

    @invariant()
    def every_unit_has_one_fate_at_the_most(self) -> None:
        for one in self.case.returns.values():
            assert all(line.open_units >= 0 for line in one.lines)
            if one.state in (R.INSPECTED, R.REFUNDING):
                assert not any(line.open_units for line in one.lines)

    @invariant()
    def what_is_credited_was_confirmed_and_what_failed_is_not_credited(self) -> None:
        for one in self.case.refunds.values():
            if one.state in (M.CREDITED, M.CLOSED):
                assert one.memo == "held"
            if one.state == M.REVERSED:
                assert one.memo == "reversed"

    @invariant()
    def amounts_tie(self) -> None:
        for one in self.case.refunds.values():
            assert one.amount == sum((p.amount for p in one.parts), Decimal()) + one.unassigned
            assert one.amount >= 0

    @invariant()
    def nobody_is_paid_twice_for_a_unit(self) -> None:
        ours = [one for one in self.case.refunds.values() if one.state in LIVE]
        if any(not one.is_ours for one in ours):
            return  # what people refund in the shop by hand is their own
        for line in LINES[:2]:
            parts = [part for one in ours for part in one.parts if part.line_ref == line.line_ref]
            assert sum(part.units for part in parts) <= line.quantity

    @invariant()
    def what_stands_still_or_vanished_is_told(self) -> None:
        owned = {one.ref for one in self.troubles}
        for one in self.case.refunds.values():
            age = self.case.now - (one.state_at or one.made_at)
            if one.state == M.PENDING and age > timedelta(days=self.case.rule.verdict_days):
                assert one.ref in owned
            if one.is_gone or one.state in (M.FAILED, M.AWAITING_APPROVAL):
                assert one.ref in owned

    @invariant()
    def an_exchange_ends_with_goods_or_money_or_a_word(self) -> None:
        for one in self.case.returns.values():
            if one.is_exchange and one.state == R.CLOSED and one.received_units:
                is_settled = one.exchange_ref or self.case.refunds_of(one.ref)
                is_worthless = not any(line.line_ref for line in one.lines)
                assert is_settled or is_worthless or self.case.left() <= 0

    def teardown(self) -> None:
        """When every system has done what it was asked for, nothing is left that nobody has."""
        for _ in range(4):
            self.the_shop_makes_what_it_is_asked_for(True)
            self.the_new_order_is_made(1000)
            self.the_erp_credits()
            self.the_erp_takes_credits_back()
            self.the_erp_books_the_goods()
        owned = {one.ref for one in self.troubles}
        for refund in self.case.refunds.values():
            is_owned = refund.ref in owned or refund.state in TIMED
            # The shop refuses what is above its rest: the parked write is that of a person.
            is_owned |= refund.state == M.SUBMITTED and refund.amount > self.in_shop()
            assert refund.state in CLOSED[Saga.REFUND] or is_owned, refund
        for one in self.case.returns.values():
            paying = self.case.refunds_of(one.ref)
            is_owned = one.ref in owned or one.state in TIMED
            is_owned |= any(not refund.is_at_rest for refund in paying)
            assert one.state in CLOSED[Saga.RETURN] or is_owned, one


TestStory = Story.TestCase
TestStory.settings = settings(
    max_examples=at_most(100, 250), stateful_step_count=40, deadline=None, derandomize=True
)
