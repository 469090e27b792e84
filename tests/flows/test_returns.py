"""Returns from the first word to the last booking: who asks, what comes, what becomes of it."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.returning import WILLING, AfterSale, after_sale
from tests.worlds import World

D = Decimal


@pytest.fixture
def after(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AfterSale:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return after_sale(world, tmp_path)


def shipped(after: AfterSale, **more: object) -> int:
    """A paid order that the ERP accepted, all of it shipped."""
    number = after.world.place("us", **{"payment_method": "paypal", **more})
    after.world.run()
    after.ship(f"us:{number}")
    return number


def restocked(after: AfterSale) -> dict[str, tuple[int, str]]:
    rows = after.world.rows("select sku, units, booked_by from core.restocked order by sku")
    return {row["sku"]: (row["units"], row["booked_by"]) for row in rows}


def test_a_return_goes_from_the_request_to_stock_money_and_credit(after: AfterSale) -> None:
    after.rule(WILLING)
    number = shipped(after)
    ref = f"us:{number}:r1"
    after.ask(
        reference="RMA-1",
        order=str(number),
        reason="too small",
        lines=[{"sku": "TEA", "units": 1}],
        tracking_number="1Z 999",
    )
    after.run()
    assert after.returns() == {ref: "approved"}
    after.parcel(f"us:{number}", "in_transit", number="1Z999", is_return=True)
    after.run()
    assert after.returns() == {ref: "in_transit"}
    line = {"sku": "TEA", "received_units": 1}
    after.warehouse("RT-1", "received", [line], tracking_number="1Z999")
    after.run()
    assert after.returns() == {ref: "received"}
    assert after.codes() == {ref: {"return.inspection"}}
    after.world.clock.forward(minutes=5)
    after.warehouse("RT-1", "inspected", [line | {"restock_units": 1}], tracking_number="1Z999")
    after.run(2)
    assert after.returns() == {ref: "closed"}
    assert after.refunds() == {f"us:{number}:m1": "closed"}
    assert restocked(after) == {"TEA": (1, "pipeline")}
    assert [to for to, _ in after.steps(ref)] == [
        *("requested", "approved", "in_transit", "received", "inspected", "refunding", "closed"),
    ]
    assert [actor for _, actor in after.steps(ref)] == [
        *("sender:portal", "pipeline", "carrier:ups", "warehouse:north", "warehouse:north"),
        *("pipeline", "pipeline"),
    ]
    assert after.codes() == {}


def test_a_request_told_twice_is_one_return(after: AfterSale) -> None:
    after.rule(WILLING)
    number = shipped(after)
    for _ in range(3):
        after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    assert after.returns() == {f"us:{number}:r1": "approved"}


@pytest.mark.parametrize(
    ("body", "reference", "reason"),
    [
        (b"{not json", None, "body: not JSON"),
        (b"[]", None, "body: the payload is no object"),
        (b'{"reference": "R1", "order": "1"}', "R1", "lines: is missing"),
        (
            b'{"reference": "R1", "order": "1", "lines": [{"sku": "A", "units": 0}]}',
            "R1",
            "lines[0].units: is not a whole number of pieces",
        ),
    ],
)
def test_a_bad_request_is_set_aside_with_its_reason_and_whose_it_was(
    after: AfterSale, body: bytes, reference: str | None, reason: str
) -> None:
    after.ask(body=body)
    after.core()
    (kept,) = after.world.rows("select state, outcome, body from ops.inbox")
    assert (kept["state"], bytes(kept["body"])) == ("quarantined", body)
    assert kept["outcome"].startswith(reason)
    (found,) = after.world.rows("select * from ops.exception where state = 'open'")
    assert (found["code"], found["sender_ref"]) == ("thing.malformed", reference)
    assert after.returns() == {}


def test_a_return_of_an_unknown_order_is_kept_and_matched_later(after: AfterSale) -> None:
    after.rule(WILLING)
    after.ask(reference="RMA-9", order="us:1003", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    assert after.returns() == {"return:portal:RMA-9": "requested"}
    assert after.codes() == {"return:portal:RMA-9": {"return.order_unknown"}}
    assert shipped(after) == 1003
    after.run()
    assert after.returns() == {"return:portal:RMA-9": "approved"}
    assert after.codes() == {}


def test_without_a_policy_a_person_decides_everything(after: AfterSale) -> None:
    number = shipped(after)
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    ref = f"us:{number}:r1"
    assert after.returns() == {ref: "requested"}
    assert after.codes() == {ref: {"return.approval"}}
    line = {"sku": "TEA", "received_units": 1, "restock_units": 1}
    after.warehouse("RT-1", "inspected", [line], reference=ref)
    after.run(2)
    refund = f"us:{number}:m1"
    assert after.returns() == {ref: "refunding"}
    assert after.refunds() == {refund: "awaiting_approval"}
    assert after.codes() == {refund: {"refund.approval"}}
    assert after.world.shops["us"].refunds_of(number) == []


def test_more_than_had_left_is_set_aside(after: AfterSale) -> None:
    after.rule(WILLING)
    number = shipped(after)  # 2 TEA, 1 MUG
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 2}])
    after.ask(reference="RMA-2", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    rows = after.world.rows(
        "select return_ref, line_ref is null as is_loose, requested_units as units "
        "from core.return_lines order by 1"
    )
    assert [(row["return_ref"][-2:], row["is_loose"], row["units"]) for row in rows] == [
        ("r1", False, 2),
        ("r2", True, 1),
    ]
    assert after.codes() == {f"us:{number}:r2": {"return.too_many", "return.approval"}}


def test_goods_handed_in_at_a_store_are_there_at_once(after: AfterSale) -> None:
    after.rule(WILLING + "  disposition: restock\n")
    number = shipped(after)
    after.ask(
        reference="TILL-1",
        order=f"us:{number}",
        source="store_dropoff",
        lines=[{"sku": "TEA", "units": 2}, {"sku": "MUG", "units": 1}],
    )
    before = after.on_hand("TEA")
    after.run(3)
    assert after.returns() == {f"us:{number}:r1": "closed"}
    assert after.on_hand("TEA") == before + 2
    (made,) = after.world.shops["us"].refunds_of(number)
    assert made["amount"] == after.world.shops["us"].order_json(number)["total"]


def test_a_parcel_that_comes_back_opens_one_return(after: AfterSale) -> None:
    after.rule(WILLING + "  disposition: restock\n")
    number = shipped(after)
    ref = f"us:{number}:r1"
    after.parcel(f"us:{number}", "returning", is_return=False)
    after.run(2)
    assert after.returns() == {ref: "in_transit"}
    after.parcel(f"us:{number}", "returned", is_return=False)
    after.run(3)
    assert after.returns() == {ref: "closed"}
    assert after.refund(f"us:{number}:m1")["source"] == "parcel"
    assert restocked(after) == {"MUG": (1, "pipeline"), "TEA": (2, "pipeline")}


def test_a_return_that_is_lost_waits_for_a_person_and_may_still_come(after: AfterSale) -> None:
    after.rule(WILLING + "  disposition: restock\n")
    number = shipped(after)
    ref = f"us:{number}:r1"
    after.ask(
        reference="RMA-1",
        order=f"us:{number}",
        lines=[{"sku": "TEA", "units": 1}],
        tracking_number="1Z999",
    )
    after.core()
    for state in ("in_transit", "lost"):
        after.parcel(f"us:{number}", state, is_return=True)
        after.core()
    assert after.returns() == {ref: "lost"}
    assert after.codes() == {ref: {"return.lost"}}
    assert after.refunds() == {}
    after.warehouse("RT-1", "received", [{"sku": "TEA", "received_units": 1}], reference=ref)
    after.run(3)
    assert after.returns() == {ref: "closed"}
    assert after.codes() == {}


def test_what_is_never_sent_expires(after: AfterSale) -> None:
    after.rule(WILLING + "  expires_days: 14\n")
    number = shipped(after)
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    after.world.clock.forward(days=15)
    after.run()
    assert after.returns() == {f"us:{number}:r1": "expired"}
    assert after.refunds() == {}


def test_an_exchange_makes_a_new_order_and_sets_the_goods_off(after: AfterSale) -> None:
    manual = WILLING.replace("gateway", "manual")
    after.rule(manual + "  exchanges: true\n  disposition: restock\n")
    number = shipped(after, lines={"POT": 1})
    after.world.shops["us"].add_product("MUG", "Mug", "12.00")
    after.ask(
        reference="RMA-1",
        order=f"us:{number}",
        lines=[{"sku": "POT", "units": 1}],
        is_exchange=True,
        replacement=[{"sku": "MUG", "units": 1}],
    )
    after.core()
    after.warehouse(
        "RT-1", "received", [{"sku": "POT", "received_units": 1}], reference=f"us:{number}:r1"
    )
    after.run(4)
    (row,) = after.world.rows("select * from core.returns")
    assert row["state"] == "closed"
    new = row["exchange_order_ref"]
    order = after.world.shops["us"].order_json(int(new.partition(":")[2]))
    assert [(line["sku"], line["quantity"]) for line in order["line_items"]] == [("MUG", 1)]
    off, money = after.refund(f"us:{number}:m1"), after.refund(f"us:{number}:m2")
    assert (off["method"], off["amount"]) == ("offset", D(order["total"]))
    assert (money["method"], off["amount"] + money["amount"]) == ("manual", D("33.78"))
    assert {off["state"], money["state"]} == {"closed"}
    assert len(after.world.shops["us"].refunds_of(number)) == 1
    assert sum(amount for _, amount in after.memos().values()) == D("33.78")


def test_a_shop_refund_of_goods_that_left_expects_them_back(after: AfterSale) -> None:
    after.rule(WILLING + "  disposition: restock\n")
    number = shipped(after)
    tax = [{"id": after.world.rates["us"], "refund_total": "0.72"}]
    order = after.world.shops["us"].order_json(number)
    tea = next(line["id"] for line in order["line_items"] if line["sku"] == "TEA")
    line = {"id": tea, "quantity": 1, "refund_total": "9.90", "refund_tax": tax}
    made = after.world.shops["us"].refund(number, "10.62", lines=[line])
    after.run(2)
    ref = f"us:{number}:r1"
    assert after.returns() == {ref: "approved"}
    assert after.refund(f"us:{made}")["return_ref"] == ref
    after.warehouse("RT-1", "received", [{"sku": "TEA", "received_units": 1}], reference=ref)
    after.run(3)
    assert after.returns() == {ref: "closed"}
    assert list(after.refunds()) == [f"us:{made}"]  # the money went back before


def test_goods_that_nobody_announced_are_a_return_of_their_own(after: AfterSale) -> None:
    after.rule(WILLING + "  disposition: restock\n")
    number = shipped(after)
    after.warehouse(
        "RT-7", "received", [{"sku": "MUG", "received_units": 1}], reference=f"us:{number}"
    )
    after.run(3)
    (row,) = after.world.rows("select * from core.returns")
    assert (row["source"], row["state"], row["sender_ref"]) == ("warehouse", "closed", "north:RT-7")
    assert after.refund(f"us:{number}:m1")["amount"] == D("12.87")


def test_an_order_cancelled_after_it_left_expects_its_goods(after: AfterSale) -> None:
    after.rule(WILLING)
    number = shipped(after)
    after.world.shops["us"].set_status(number, "cancelled")
    after.run(2)
    (row,) = after.world.rows("select * from core.returns")
    assert (row["source"], row["state"]) == ("cancellation", "approved")
    after.world.clock.forward(days=31)
    after.run(3)
    assert [row["state"] for row in after.world.rows("select state from core.returns")] == [
        "expired"
    ]


def test_what_somebody_booked_in_the_erp_first_is_not_booked_again(after: AfterSale) -> None:
    after.rule(WILLING + "  disposition: restock\n")
    number = shipped(after)
    ref = f"us:{number}:r1"
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    before = after.on_hand("TEA")
    after.world.erp.take_back(f"us:{number}", {"TEA": 1})
    assert after.on_hand("TEA") == before + 1
    after.run(3)
    assert after.returns() == {ref: "closed"}
    assert after.on_hand("TEA") == before + 1
    assert restocked(after) == {"TEA": (1, "somebody")}


def test_goods_of_no_more_use_and_kept_apart_are_booked_so(after: AfterSale) -> None:
    after.rule(WILLING)
    after.world.erp.set_aside("MUG", "US1", 1, "Returns")
    number = shipped(after)
    after.ask(
        reference="RMA-1",
        order=f"us:{number}",
        lines=[{"sku": "TEA", "units": 2}, {"sku": "MUG", "units": 1}],
    )
    after.core()
    before = after.on_hand("TEA"), after.on_hand("MUG")
    after.warehouse(
        "RT-1",
        "inspected",
        [
            {"sku": "TEA", "received_units": 2, "restock_units": 1, "write_off_units": 1},
            {"sku": "MUG", "received_units": 1, "refurbish_units": 1},
        ],
        reference=f"us:{number}:r1",
    )
    after.run(3)
    assert after.returns() == {f"us:{number}:r1": "closed"}
    assert (after.on_hand("TEA"), after.on_hand("MUG")) == (before[0] + 1, before[1])
    assert restocked(after) == {"MUG": (1, "pipeline"), "TEA": (2, "pipeline")}


def test_a_restocking_fee_is_kept_and_told(after: AfterSale) -> None:
    after.rule(WILLING + "  restocking_fee_percent: 10\n  disposition: restock\n")
    number = shipped(after)
    after.ask(
        reference="TILL-1",
        order=f"us:{number}",
        source="store_dropoff",
        reason="no use",
        lines=[{"sku": "MUG", "units": 1}],
    )
    after.run(3)
    made = after.refund(f"us:{number}:m1")
    assert (made["amount"], made["net_amount"], made["tax_amount"]) == (
        D("11.58"),
        D("10.80"),
        D("0.78"),
    )
    assert made["reason"] == f"Return us:{number}:r1, less a restocking fee of 10 %: no use"
    assert made["state"] == "closed"


def test_goods_of_little_value_may_be_kept(after: AfterSale) -> None:
    after.rule(WILLING + "  keep_below: {USD: 15}\n")
    number = shipped(after)
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "MUG", "units": 1}])
    after.run(3)
    assert after.returns() == {f"us:{number}:r1": "closed"}
    assert after.refunds() == {f"us:{number}:m1": "closed"}
    assert restocked(after) == {}


def test_a_policy_with_a_mistake_leaves_the_last_good_one_in_force(after: AfterSale) -> None:
    after.rule(WILLING)
    after.run()
    after.rule("version: 1\ndefault:\n  auto_aprove: true\n")
    number = shipped(after)
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    assert after.returns() == {f"us:{number}:r1": "approved"}
    assert after.codes() == {"policy/returns": {"policy.invalid"}}


def test_a_store_says_only_what_it_does_otherwise(after: AfterSale) -> None:
    after.rule(WILLING + "stores:\n  uk: {auto_approve: false}\n")
    number = shipped(after)
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    other = after.world.place("uk")
    after.world.run()
    after.ship(f"uk:{other}")
    body = {"reference": "RMA-2", "order": f"uk:{other}", "lines": [{"sku": "TEA", "units": 1}]}
    after.ask(body=json.dumps(body).encode())
    after.run()
    assert after.returns() == {f"us:{number}:r1": "approved", f"uk:{other}:r1": "requested"}
