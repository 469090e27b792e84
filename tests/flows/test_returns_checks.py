"""Checks of returns and refunds: what each of them finds, and that it finds nothing where all is
well.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from checks import returns as checks
from resources.store.engine import connected
from tests.returning import WILLING, AfterSale, after_sale
from tests.worlds import World


@pytest.fixture
def after(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AfterSale:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return after_sale(world, tmp_path)


def found(after: AfterSale) -> dict[str, list[str]]:
    """What each check lists, as of now."""
    later = after.world.clock() + timedelta(hours=1)
    with connected(after.world.systems.engine) as connection:
        lists = {
            "uncredited": checks.uncredited(connection),
            "miscredited": checks.miscredited(connection, later),
            "misbooked": checks.misbooked(connection, later),
            "above_paid": checks.above_paid(connection),
            "unowned": checks.unowned(connection, later),
        }
    return {name: [str(next(iter(row.values()))) for row in rows] for name, rows in lists.items()}


def test_all_is_well_after_a_return_was_settled_and_each_fault_is_found(
    after: AfterSale,
) -> None:
    after.rule(WILLING + "  disposition: restock\n")
    number = after.world.place("us", payment_method="paypal")
    after.world.run()
    after.ship(f"us:{number}")
    after.ask(
        reference="T-1",
        order=f"us:{number}",
        source="store_dropoff",
        lines=[{"sku": "TEA", "units": 1}],
    )
    after.run(3)
    names = ("uncredited", "miscredited", "misbooked", "above_paid", "unowned")
    nothing: dict[str, list[str]] = {name: [] for name in names}
    assert after.returns() == {f"us:{number}:r1": "closed"}
    assert found(after) == nothing

    refund, back = f"us:{number}:m1", f"us:{number}:r1"
    after.world.execute("update receipt.odoo__credit_memos set amount = amount - 0.01")
    assert found(after) == {**nothing, "miscredited": [refund]}
    after.world.execute("update core.restocked set units = 2")
    assert found(after)["misbooked"] == [back]
    after.world.execute("delete from core.restocked")
    assert found(after)["misbooked"] == [back]
    after.world.execute(
        "update core.orders set rounding_amount = rounding_amount + 1 - total_amount, "
        "total_amount = 1"
    )
    assert found(after)["above_paid"] == [f"us:{number}"]


def test_a_saga_that_nobody_has_is_found(after: AfterSale) -> None:
    number = after.world.place("us")
    after.world.run()
    after.ship(f"us:{number}")
    after.ask(reference="RMA-1", order=f"us:{number}", lines=[{"sku": "TEA", "units": 1}])
    after.run()
    assert found(after)["unowned"] == []
    after.world.execute("delete from ops.exception")
    assert found(after)["unowned"] == [f"us:{number}:r1"]


def test_a_confirmed_refund_without_a_memo_is_found(after: AfterSale) -> None:
    number = after.world.place("us")
    after.world.run()
    made = after.world.shops["us"].refund(number, "5.00")
    after.world.run()
    after.core()
    assert found(after)["uncredited"] == [f"us:{made}"]
