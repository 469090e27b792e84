"""Returns where a real warehouse ships and takes back, and the ERP has goods of its own: both
subjects, shipments and returns, take turns.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.returning import WILLING, AfterSale, after_sale
from tests.shipping import ShippingWorld, shipping_world
from tests.worlds import World


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def shipped(ship: ShippingWorld, after: AfterSale) -> str:
    """An order the warehouse shipped, posted in the ERP."""
    ref = ship.place(payment_method="paypal")
    ship.run(2)
    ship.north.ship(f"{ref}:f1")
    ship.run(2)
    assert ship.progress(ref)["TEA"]["shipped"] == 2
    after.core()
    return ref


def turns(ship: ShippingWorld, after: AfterSale, times: int = 1) -> None:
    """Let shipments and returns take turns; the warehouse is asked for both."""
    for _ in range(times):
        ship.run()
        after.run()


def test_goods_the_warehouse_takes_back_are_read_inspected_and_booked(
    ship: ShippingWorld, tmp_path: Path
) -> None:
    after = after_sale(ship.world, tmp_path)
    after.rule(WILLING)
    ref = shipped(ship, after)
    after.ask(reference="RMA-1", order=ref, lines=[{"sku": "TEA", "units": 2}])
    turns(ship, after)
    assert after.returns() == {f"{ref}:r1": "approved"}
    before = after.on_hand("TEA")
    made = ship.north.receive_return(f"{ref}:r1", [{"sku": "TEA", "units": 2}])
    turns(ship, after)
    assert after.returns() == {f"{ref}:r1": "received"}
    ship.north.inspect_return(made, {"TEA": {"restock": 2}})
    turns(ship, after, 3)
    assert after.returns() == {f"{ref}:r1": "closed"}
    assert after.on_hand("TEA") == before + 2
    assert after.refund(f"{ref}:m1")["amount"] == Decimal("21.24")
    assert ship.progress(ref)["TEA"]["returned"] == 2
    assert after.codes() == {}


def test_more_units_after_the_inspection_are_told_and_not_paid(
    ship: ShippingWorld, tmp_path: Path
) -> None:
    after = after_sale(ship.world, tmp_path)
    after.rule(WILLING)
    ref = shipped(ship, after)
    after.ask(reference="RMA-1", order=ref, lines=[{"sku": "TEA", "units": 2}])
    line = {"sku": "TEA", "received_units": 1, "restock_units": 1}
    after.core()
    after.warehouse("RT-1", "inspected", [line], reference=f"{ref}:r1")
    turns(ship, after, 3)
    assert after.returns() == {f"{ref}:r1": "closed"}
    both = {"sku": "TEA", "received_units": 2, "restock_units": 2}
    after.warehouse("RT-1", "inspected", [both], reference=f"{ref}:r1")
    turns(ship, after, 2)
    assert after.codes() == {f"{ref}:r1": {"return.late_units"}}
    assert [one["amount"] for one in ship.world.shops["us"].refunds_of(int(ref[3:]))] == ["10.62"]


def test_what_the_erp_took_back_by_itself_is_a_return_and_our_own_posting_is_none(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    after = after_sale(world, tmp_path)
    after.rule(WILLING + "  disposition: restock\n")
    ref = f"us:{world.place('us', payment_method='paypal')}"
    world.run()
    after.ship(ref)
    before = after.on_hand("MUG")
    world.erp.take_back(ref, {"MUG": 1})
    after.run(4)
    (row,) = world.rows("select * from core.returns")
    assert (row["source"], row["state"]) == ("warehouse", "closed")
    assert after.on_hand("MUG") == before + 1
    (booked,) = world.rows("select sku, units, booked_by from core.restocked")
    assert (booked["sku"], booked["units"], booked["booked_by"]) == ("MUG", 1, "somebody")
    assert after.refund(f"{ref}:m1")["state"] == "closed"
