"""Money and goods go back once, whatever breaks on the way: counted at the shop and at the ERP."""

from decimal import Decimal
from pathlib import Path

import pytest

from resources.sandbox.faults import Fault, Trouble
from tests.effort import at_most
from tests.faults import killed_at_request
from tests.returning import WILLING, AfterSale, after_sale
from tests.worlds import World

D = Decimal


@pytest.fixture
def after(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AfterSale:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return after_sale(world, tmp_path)


@pytest.fixture
def number(after: AfterSale) -> int:
    """An order of which two TEA came back and are inspected; all that follows is still to come."""
    after.rule(WILLING)
    number = after.world.place("us", payment_method="paypal")
    after.world.run()
    after.ship(f"us:{number}")
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 2}])
    after.core()
    after.warehouse(
        "RT-1",
        "inspected",
        [{"sku": "TEA", "received_units": 2, "restock_units": 2}],
        reference=f"us:{number}:r1",
    )
    after.on_shelf = after.on_hand("TEA")
    return number


def recover(after: AfterSale) -> None:
    """Let leases run out and tries come round, with nothing broken any more."""
    for one in (after.world.erp, *after.world.shops.values()):
        one.faults.clear()
    for _ in range(5):
        after.world.clock.forward(minutes=20)
        after.run()


def assert_once(after: AfterSale, number: int) -> None:
    """One refund, one credit memo of its amount, the goods on the shelf, and nobody waits."""
    (made,) = after.world.shops["us"].refunds_of(number)
    assert made["amount"] == "21.24"
    with after.world.systems.erp("odoo") as erp:
        memo = erp.credit_memos([f"us:{number}:m1"])[f"us:{number}:m1"]
    assert (memo["state"], D(str(memo["amount_total"]))) == ("posted", D("21.24"))
    assert "twins" not in memo
    assert after.on_hand("TEA") == after.on_shelf + 2
    assert after.returns() == {f"us:{number}:r1": "closed"}
    assert after.refunds() == {f"us:{number}:m1": "closed"}
    assert after.codes() == {}


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("at", at_most([3, 16, 29], [3, 9, 16, 22, 29, 36]))
def test_a_process_that_dies_anywhere_repeats_nothing(
    after: AfterSale, number: int, at: int, is_before: bool
) -> None:
    after.core()
    with killed_at_request(after.world, at, before=is_before):
        after.run(2)
    recover(after)
    assert_once(after, number)


@pytest.mark.parametrize("trouble", [Trouble.CUT_AFTER, Trouble.CUT_BEFORE, Trouble.TWICE])
@pytest.mark.parametrize(
    "call",
    [
        "POST orders/{id}/refunds",
        "account.move.load",
        "account.move.action_post",
        "stock.return.picking.action_create_returns",
        "stock.picking.button_validate",
    ],
)
def test_a_lost_or_doubled_answer_makes_nothing_twice(
    after: AfterSale, number: int, call: str, trouble: Trouble
) -> None:
    for one in (after.world.erp, *after.world.shops.values()):
        one.faults.plan(Fault(trouble, call))
    after.run(2)
    recover(after)
    assert_once(after, number)


def test_an_erp_that_is_away_for_hours_gets_it_all_afterwards(
    after: AfterSale, number: int
) -> None:
    after.core()
    after.world.erp.faults.plan(Fault(Trouble.ERROR, times=10_000, status=503))
    for _ in range(3):
        after.plan()
        after.send()
        after.world.clock.forward(hours=1)
    assert len(after.world.shops["us"].refunds_of(number)) == 1
    recover(after)
    assert_once(after, number)


def test_a_failure_told_between_draft_and_posting_is_taken_back(after: AfterSale) -> None:
    """The memo was begun before the provider said no: it is finished, and then taken back."""
    said = after.world.systems.settings
    store = said.stores["us"].model_copy(update={"refunds_confirmed_by_provider": ("stripe",)})
    stores = {**said.stores, "us": store}
    after.world.systems.settings = said.model_copy(update={"stores": stores})
    number = after.world.place("us", payment_method="stripe", transaction_id="ch_1")
    after.world.run()
    made = after.world.shops["us"].refund(number, "5.00")
    after.stripe("succeeded", amount=500)
    after.world.erp.faults.plan(Fault(Trouble.CUT_BEFORE, "account.move.action_post"))
    after.run()
    after.stripe("failed", amount=500)
    recover(after)
    ref = f"us:{made}"
    assert after.refunds() == {ref: "reversed"}
    assert after.codes() == {ref: {"refund.failed"}}
    with after.world.systems.erp("odoo") as erp:
        memo = erp.credit_memos([ref])[ref]
    assert [one["state"] for one in memo["reversals"]] == ["posted"]
