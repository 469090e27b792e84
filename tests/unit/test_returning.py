"""The rules of returns and refunds on literal cases: what is owed, what is refused, who decides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain import restitution, returning, telling
from sync_assets.domain.after_sale import (
    Case,
    Parcel,
    Refund,
    Return,
    ReturnLine,
    Verdict,
    last_word,
)
from sync_assets.domain.refund_limits import Sold, share
from sync_assets.domain.returns import RefundState as M
from sync_assets.domain.returns import ReturnState as R
from sync_assets.domain.returns import Source
from sync_assets.domain.returns_policy import ReturnRule
from sync_assets.domain.tracking import ParcelState

D = Decimal
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEA = Sold("us:1:product:1", "product", "TEA", D(3), D("10.00"), {"1": D("0.73")}, 3)
POST = Sold("us:1:shipping:2", "shipping", None, D(1), D("4.00"))
WILLING: dict[str, Any] = {"auto_approve": True, "disposition": "restock"}


def case(**said: Any) -> Case:
    rule = ReturnRule.model_validate({**WILLING, **said.pop("rule", {})})
    values = {"order_state": "paid", "paid": D("14.73"), "lines": (TEA, POST), **said}
    return Case("us:1", "us", "USD", 2, rule=rule, now=NOW, **values)


def back(story: Case, units: int, *, here: int | None = None, **more: Any) -> Return:
    """A return somebody asked for, its goods there; looked at."""
    received = units if here is None else here
    one = Return(
        ref=story.next_ref("r"),
        source=more.pop("source", Source.REQUEST),
        lines=(ReturnLine(0, None, "TEA", units, received),),
        requested_at=more.pop("requested_at", NOW),
        **more,
    )
    story.begin_return(one, "sender:portal", "asked", "request")
    telling.settle(story)
    return story.returns[one.ref]


def shop_refund(amount: str, *parts: Any, **more: Any) -> Refund:
    return Refund(
        ref="us:9",
        source=Source.SHOP_REFUND,
        method="manual",
        amount=D(amount),
        parts=tuple(parts),
        made_at=NOW,
        is_ours=False,
        shop_id="9",
        **more,
    )


def test_units_that_come_back_one_by_one_come_to_the_line_and_its_shipping() -> None:
    story = case()
    for _ in range(3):
        back(story, 1)
        for ref, one in list(story.refunds.items()):
            story.refunds[ref] = replace(one, shop_id=ref)
        telling.settle(story)
    amounts = [one.amount for one in story.refunds.values()]
    assert amounts == [D("3.57"), D("3.59"), D("7.57")]
    assert sum(amounts) == D("14.73")


def test_a_unit_the_shop_paid_for_is_not_paid_for_again() -> None:
    story = case(rule={"expects_goods": False})
    story.begin_refund(shop_refund("3.57", share(TEA, 0, 1, 2)), "shop:us", "shown", "raw")
    telling.settle(story)
    back(story, 3)
    (ours,) = [one for one in story.refunds.values() if one.is_ours]
    assert [part.units for part in ours.parts if part.kind == "product"] == [2]
    assert ours.amount == D("11.16")
    assert ours.state == M.SUBMITTED


def test_a_full_return_of_an_order_with_rounding_gives_back_no_cent_too_much() -> None:
    story = case(paid=D("14.72"))
    back(story, 3)
    assert [one.amount for one in story.refunds.values()] == [D("14.72")]


@pytest.mark.parametrize(("policy", "amount"), [("never", "10.73"), ("always", "14.73")])
def test_shipping_goes_back_as_the_policy_says(policy: str, amount: str) -> None:
    story = case(rule={"refund_shipping": policy})
    back(story, 3)
    assert [one.amount for one in story.refunds.values()] == [D(amount)]


def test_what_is_asked_for_too_late_waits_for_a_person() -> None:
    story = case(delivered_at=NOW - timedelta(days=31))
    one = back(story, 1, here=0)
    assert one.state == R.REQUESTED
    assert returning.why_not_agreed(story, one) == "asked for 31 days after it was delivered"


def test_goods_that_come_unagreed_are_received_and_their_money_waits() -> None:
    story = case(rule={"auto_approve": False})
    one = back(story, 1)
    assert one.state == R.REFUNDING
    assert not one.is_agreed
    (ours,) = story.refunds.values()
    assert ours.state == M.AWAITING_APPROVAL


def test_goods_after_a_rejection_are_received_and_their_money_needs_a_word() -> None:
    story = case(rule={"auto_approve": False})
    one = back(story, 1, here=0)
    story.move_return(one, R.REJECTED, "ada", "worn", "command")
    story.rule = case().rule
    here = replace(story.returns[one.ref].lines[0], received_units=1)
    story.returns[one.ref] = replace(story.returns[one.ref], lines=(here,))
    telling.settle(story)
    assert story.returns[one.ref].state == R.REFUNDING
    assert [refund.state for refund in story.refunds.values()] == [M.AWAITING_APPROVAL]


def test_money_goes_back_at_the_time_the_policy_says() -> None:
    early, late = case(rule={"refund_on": "approved"}), case()
    for story in (early, late):
        assert back(story, 1, here=0).state == R.APPROVED
    assert (len(early.refunds), len(late.refunds)) == (1, 0)


def test_a_parcel_that_turned_round_is_one_return_however_often_it_is_seen() -> None:
    story = case()
    for state in (ParcelState.RETURNING, ParcelState.RETURNING, ParcelState.RETURNED):
        story.parcels = (Parcel("parcel:1", state, "ups", "1", {TEA.line_ref: 3}),)
        telling.settle(story)
    (one,) = story.returns.values()
    assert (one.source, one.state, one.received_units) == (Source.PARCEL, R.REFUNDING, 3)


def test_a_cheaper_exchange_gives_the_rest_in_money_and_a_dearer_one_is_told() -> None:
    cheap, dear = case(rule={"exchanges": True}), case(rule={"exchanges": True})
    for story, costs in ((cheap, "9.00"), (dear, "20.00")):
        one = back(story, 3, is_exchange=True)
        assert restitution.wants_exchange(story, one)
        made = replace(one, exchange_amount=D(costs), exchange_ref="us:2")
        story.returns[one.ref] = made
        found = telling.settle(story)
    assert [(r.method, r.amount) for r in cheap.refunds.values()] == [
        ("offset", D("9.00")),
        ("gateway", D("5.73")),
    ]
    assert [(r.method, r.amount) for r in dear.refunds.values()] == [("offset", D("14.73"))]
    assert [(one.code, one.amount) for one in found] == [("return.exchange_dearer", D("5.27"))]


def test_an_exchange_nobody_agreed_to_does_not_end_without_a_word() -> None:
    story = case()
    one = back(story, 1, is_exchange=True)
    assert one.state == R.REFUNDING
    assert {found.code for found in telling.settle(story)} == {"return.approval"}


def test_an_unsent_refund_of_ours_makes_room_for_what_the_shop_gave_back() -> None:
    story = case(publishes=False)
    back(story, 3)
    story.begin_refund(shop_refund("14.00"), "shop:us", "shown", "raw")
    found = telling.settle(story)
    ours = story.refunds["us:1:m1"]
    assert (ours.state, story.refunds["us:9"].state) == (M.WITHDRAWN, M.CONFIRMED)
    assert [(one.code, one.ref) for one in found] == [("refund.over", "us:1:m1")]


def test_a_refund_of_history_expects_no_goods() -> None:
    story = case()
    old = shop_refund("3.57", share(TEA, 0, 1, 2), is_history=True)
    story.begin_refund(old, "shop:us", "shown", "raw")
    telling.settle(story)
    assert story.returns == {}


def test_the_latest_word_counts_and_of_one_moment_the_failed_one() -> None:
    later = NOW + timedelta(seconds=1)
    words = [Verdict("failed", "stripe", NOW), Verdict("confirmed", "stripe", later)]
    assert last_word(words) == words[1]
    same = [Verdict("confirmed", "stripe", NOW), Verdict("failed", "stripe", NOW)]
    assert last_word(same) == last_word(reversed(same)) == same[1]
    assert last_word([]) is None
