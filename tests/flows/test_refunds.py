"""Refunds made in the shop, and ours: what is credited in the ERP, and what is never sent."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.returning import WILLING, AfterSale, after_sale
from tests.worlds import World

D = Decimal


@pytest.fixture
def after(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AfterSale:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return after_sale(world, tmp_path, refunds_confirmed_by_provider=["stripe"])


def placed(after: AfterSale, **more: object) -> int:
    """A paid order that the ERP has accepted."""
    number = after.world.place("us", **more)
    after.world.run()
    return number


def lines(after: AfterSale, number: int) -> dict[str, int]:
    """The shop's ids of an order's lines by SKU."""
    order = after.world.shops["us"].order_json(number)
    return {line["sku"]: line["id"] for line in order["line_items"]}


def memo_lines(after: AfterSale) -> list[tuple[str, str, Decimal, Decimal, tuple[str, ...]]]:
    """What the planned credit memos say: kind, item, net, tax and the ERP's taxes."""
    rows = after.world.rows("select wanted from plan.credit_memos where action = 'create'")
    return [
        (
            line["kind"],
            line["item"],
            D(line["net_amount"]),
            D(line["tax_amount"]),
            tuple(line["taxes"]),
        )
        for row in rows
        for line in row["wanted"]["lines"]
    ]


# ---------------------------------------------------------------- made in the shop


def test_a_refund_of_an_amount_is_credited_to_the_cent(after: AfterSale) -> None:
    number = placed(after)
    made = after.world.shops["us"].refund(number, "5.00", "arrived late")
    after.run()
    assert after.refunds() == {f"us:{made}": "closed"}
    assert after.memos() == {f"us:{made}": ("posted", D("5.00"))}
    assert memo_lines(after) == [("amount", "FEE", D("5.00"), D(0), ())]
    assert after.steps(f"us:{made}") == [
        ("requested", "shop:us"),
        ("approved", "shop:us"),
        ("confirmed", "shop:us"),
        ("credited", "pipeline"),
        ("closed", "pipeline"),
    ]
    assert after.codes() == {}


def test_a_refund_of_a_line_is_credited_with_the_item_and_its_tax(after: AfterSale) -> None:
    number = placed(after)
    tax = [{"id": after.world.rates["us"], "refund_total": "0.72"}]
    line = {"id": lines(after, number)["TEA"], "quantity": 1, "refund_total": "9.90"}
    made = after.world.shops["us"].refund(number, "10.62", lines=[line | {"refund_tax": tax}])
    after.run()
    assert memo_lines(after) == [
        ("product", "TEA", D("9.90"), D("0.72"), ("US Sales Tax 7.25%",)),
    ]
    assert after.memos() == {f"us:{made}": ("posted", D("10.62"))}
    assert after.returns() == {}  # the goods had not left


def test_a_refund_of_shipping_and_of_tax_alone_are_credited_as_what_they_are(
    after: AfterSale,
) -> None:
    shipping = [{"method_title": "Post", "method_id": "flat_rate", "total": D("8.00")}]
    number = placed(after, shipping_lines=shipping)
    order = after.world.shops["us"].order_json(number)
    post = {"id": order["shipping_lines"][0]["id"], "quantity": 0, "refund_total": "8.00"}
    after.world.shops["us"].refund(number, "8.00", lines=[post])
    tax = [{"id": after.world.rates["us"], "refund_total": "0.72"}]
    tea = {"id": lines(after, number)["TEA"], "quantity": 0, "refund_total": "0.00"}
    after.world.shops["us"].refund(number, "0.72", "exempt", [tea | {"refund_tax": tax}])
    after.run()
    assert sorted(memo_lines(after)) == [
        ("amount", "FEE", D("0.72"), D(0), ()),
        ("shipping", "SHIPPING", D("8.00"), D(0), ()),
    ]
    assert set(after.refunds().values()) == {"closed"}
    assert sorted(amount for _, amount in after.memos().values()) == [D("0.72"), D("8.00")]


def test_running_again_changes_nothing(after: AfterSale) -> None:
    number = placed(after)
    after.world.shops["us"].refund(number, "5.00")
    after.run()
    steps = after.world.rows("select count(*) as n from core.saga_steps")
    memos = after.world.erp.count("account.move.action_post")
    after.run(2)
    assert after.world.rows("select count(*) as n from core.saga_steps") == steps
    assert after.world.erp.count("account.move.action_post") == memos


def test_a_refund_before_the_erp_has_the_order_waits_for_it(after: AfterSale) -> None:
    number = after.world.place("us", lines={"TEA": 2, "NOPE": 1})
    after.run()
    made = after.world.shops["us"].refund(number, "5.00")
    after.run()
    assert after.refunds() == {f"us:{made}": "confirmed"}
    assert after.memos() == {}


def test_a_credit_memo_of_another_total_is_not_posted(after: AfterSale) -> None:
    number = placed(after)
    tax = [{"id": after.world.rates["us"], "refund_total": "2.00"}]
    line = {"id": lines(after, number)["TEA"], "quantity": 1, "refund_total": "9.90"}
    made = after.world.shops["us"].refund(number, "11.90", lines=[line | {"refund_tax": tax}])
    after.run()
    assert after.codes() == {f"us:{made}": {"book.amount_differs"}}
    assert after.refunds() == {f"us:{made}": "confirmed"}
    assert after.memos() == {}
    after.run()
    assert after.world.erp.count("account.move.action_post") == 0


def test_cents_of_rounding_are_a_line_of_their_own(after: AfterSale) -> None:
    number = placed(after)
    tax = [{"id": after.world.rates["us"], "refund_total": "0.74"}]
    line = {"id": lines(after, number)["TEA"], "quantity": 1, "refund_total": "9.90"}
    made = after.world.shops["us"].refund(number, "10.64", lines=[line | {"refund_tax": tax}])
    after.run()
    assert after.memos() == {f"us:{made}": ("posted", D("10.64"))}


def test_a_refund_that_is_deleted_in_the_shop_is_taken_back_in_the_erp(after: AfterSale) -> None:
    number = placed(after)
    made = after.world.shops["us"].refund(number, "5.00")
    after.run()
    after.world.shops["us"].delete_refund(number, made)
    after.world.shops["us"].set_status(number, "completed")  # a deletion alone is told by nobody
    after.run(2)
    ref = f"us:{made}"
    assert after.refunds() == {ref: "reversed"}
    assert after.codes() == {ref: {"refund.vanished"}}
    (reversal,) = after.world.rows("select * from receipt.credit_reversals")
    assert (reversal["key"], reversal["outcome"], reversal["amount"]) == (ref, "accepted", D(5))
    after.run()
    assert (
        len(after.world.rows("select id from ops.outbox where operation like 'credit_rev%'")) == 1
    )


# ---------------------------------------------------------------- the provider's word


def test_a_provider_confirms_before_anything_is_credited(after: AfterSale) -> None:
    number = placed(after, payment_method="stripe", transaction_id="ch_1")
    made = after.world.shops["us"].refund(number, "5.00")
    after.run()
    assert after.refunds() == {f"us:{made}": "pending"}
    assert after.memos() == {}
    after.stripe("succeeded", amount=500)
    after.stripe("succeeded", amount=500)
    after.run()
    assert after.refunds() == {f"us:{made}": "closed"}
    assert after.memos() == {f"us:{made}": ("posted", D("5.00"))}
    assert len(after.world.rows("select * from core.refund_verdicts")) == 1


def test_a_refund_that_fails_is_never_credited(after: AfterSale) -> None:
    number = placed(after, payment_method="stripe", transaction_id="ch_1")
    made = after.world.shops["us"].refund(number, "5.00")
    after.run()
    after.stripe("failed", amount=500, failure_reason="expired_or_canceled_card")
    after.run(2)
    assert after.refunds() == {f"us:{made}": "failed"}
    (found,) = after.world.rows("select * from ops.exception where state = 'open'")
    assert (found["code"], found["owner_role"], found["amount"], found["currency"]) == (
        "refund.failed",
        "finance",
        D(5),
        "USD",
    )
    assert after.world.erp.count("account.move.action_post") == 0


def test_a_refund_that_fails_after_it_was_credited_is_taken_back(after: AfterSale) -> None:
    number = placed(after, payment_method="stripe", transaction_id="ch_1")
    made = after.world.shops["us"].refund(number, "5.00")
    after.stripe("succeeded", amount=500)
    after.run()
    assert after.refunds() == {f"us:{made}": "closed"}
    after.world.clock.forward(days=3)
    after.stripe("failed", amount=500)
    after.run()
    ref = f"us:{made}"
    assert after.refunds() == {ref: "reversed"}
    assert after.codes() == {ref: {"refund.failed"}}
    states = {
        row["key"]: row["remote_state"]
        for row in after.world.rows("select key, remote_state from receipt.credit_reversals")
    }
    assert states == {ref: "posted"}


@pytest.mark.parametrize("first", ["succeeded", "failed"])
def test_of_words_of_the_same_second_the_failed_one_counts(after: AfterSale, first: str) -> None:
    number = placed(after, payment_method="stripe", transaction_id="ch_1")
    made = after.world.shops["us"].refund(number, "5.00")
    after.run()
    at = int(after.world.clock().timestamp())
    other = "failed" if first == "succeeded" else "succeeded"
    after.stripe(first, amount=500, at=at)
    after.stripe(other, amount=500, at=at)
    after.run()
    assert after.refunds() == {f"us:{made}": "failed"}


def test_an_older_word_that_comes_late_changes_nothing(after: AfterSale) -> None:
    number = placed(after, payment_method="stripe", transaction_id="ch_1")
    made = after.world.shops["us"].refund(number, "5.00")
    after.run()
    at = int(after.world.clock().timestamp())
    after.stripe("succeeded", amount=500, at=at)
    after.run()
    after.stripe("failed", amount=500, at=at - 60)
    after.run()
    assert after.refunds() == {f"us:{made}": "closed"}


def test_a_word_that_fits_two_refunds_waits_for_a_person(after: AfterSale) -> None:
    number = placed(after, payment_method="stripe", transaction_id="ch_1")
    for _ in range(2):
        after.world.shops["us"].refund(number, "5.00")
    after.run()
    after.stripe("succeeded", amount=500)
    after.world.clock.forward(hours=2)
    after.run()
    assert set(after.refunds().values()) == {"pending"}
    assert after.codes() == {"stripe:re_1": {"refund.verdict_unmatched"}}


def test_a_provider_that_says_nothing_is_told_to_finance(after: AfterSale) -> None:
    number = placed(after, payment_method="stripe", transaction_id="ch_1")
    made = after.world.shops["us"].refund(number, "5.00")
    after.run()
    after.world.clock.forward(days=15)
    after.run()
    assert after.codes() == {f"us:{made}": {"refund.unconfirmed"}}
    assert after.refunds() == {f"us:{made}": "pending"}


# ---------------------------------------------------------------- ours


def back(after: AfterSale, number: int, units: int = 1, **more: object) -> str:
    """A return of some TEA that was asked for, arrived and is inspected; answers its key."""
    ref = f"us:{number}"
    after.ship(ref)
    after.ask(
        reference=f"RMA-{number}",
        order=ref,
        reason="no use",
        lines=[{"sku": "TEA", "units": units}],
        **more,
    )
    after.core()
    after.warehouse(
        f"RT-{number}",
        "inspected",
        [
            {"sku": "TEA", "received_units": units, "restock_units": units},
        ],
        reference=f"{ref}:r1",
    )
    after.core()
    return f"{ref}:r1"


def test_a_refund_of_ours_is_made_in_the_shop_once_and_recognised(after: AfterSale) -> None:
    after.rule(WILLING)
    number = placed(after, payment_method="paypal")
    back(after, number)
    after.run(2)
    ref = f"us:{number}:m1"
    assert after.refunds() == {ref: "closed"}
    (made,) = after.world.shops["us"].refunds_of(number)
    assert (made["amount"], after.refund(ref)["shop_refund_id"]) == ("10.62", str(made["id"]))
    assert after.memos() == {ref: ("posted", D("10.62"))}
    after.run(2)
    assert len(after.world.shops["us"].refunds_of(number)) == 1
    assert list(after.refunds()) == [ref]


def test_a_refund_above_what_is_left_is_refused_and_not_sent(after: AfterSale) -> None:
    after.rule(WILLING)
    number = placed(after, payment_method="paypal")
    after.world.shops["us"].refund(number, "30.00", "so sorry")
    after.run()
    back(after, number)
    after.run()
    ref = f"us:{number}:m1"
    assert after.refund(ref)["state"] == "refused"
    assert after.codes() == {ref: {"refund.over"}}
    assert len(after.world.shops["us"].refunds_of(number)) == 1
    assert after.world.rows("select * from plan.refunds") == []


def test_a_refund_above_the_limit_waits_for_a_person(after: AfterSale) -> None:
    after.rule(WILLING + "  approval_above: {USD: 10}\n")
    number = placed(after, payment_method="paypal")
    back(after, number)
    after.run()
    ref = f"us:{number}:m1"
    assert after.refund(ref)["state"] == "awaiting_approval"
    (found,) = after.world.rows("select * from ops.exception where state = 'open'")
    assert (found["code"], found["subject_ref"], found["owner_role"], found["amount"]) == (
        "refund.approval",
        ref,
        "finance",
        D("10.62"),
    )
    assert after.world.shops["us"].refunds_of(number) == []


def test_what_a_person_gives_back_in_the_shop_meanwhile_is_not_given_twice(
    after: AfterSale,
) -> None:
    number = placed(after)
    ref = back(after, number)
    after.run()
    assert after.refund(f"us:{number}:m1")["state"] == "awaiting_approval"
    made = after.world.shops["us"].refund(number, "10.62", "by hand")
    after.run(2)
    assert after.refunds() == {f"us:{number}:m1": "withdrawn", f"us:{made}": "closed"}
    assert after.refund(f"us:{made}")["return_ref"] == ref
    assert after.returns() == {ref: "closed"}
    assert after.codes() == {}


def test_a_gateway_that_refuses_leaves_the_refund_to_a_person(after: AfterSale) -> None:
    after.rule(WILLING)
    number = placed(after, payment_method="cash")
    back(after, number)
    after.run()
    ref = f"us:{number}:m1"
    assert after.refund(ref)["state"] == "submitted"
    assert after.codes() == {ref: {"shop.refused"}}
    assert after.world.shops["us"].refunds_of(number) == []
    assert after.memos() == {}
