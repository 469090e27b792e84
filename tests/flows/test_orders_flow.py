"""Orders from the shop to the ERP, in process, with the stand-ins behind real clients."""

from decimal import Decimal

from tests.worlds import World


def test_a_paid_order_becomes_one_confirmed_order_in_the_erp(world: World) -> None:
    order_id = world.place()
    world.run()
    (order,) = world.in_erp()[f"us:{order_id}"]
    assert order["state"] == "sale"
    assert Decimal(str(order["amount_total"])) == Decimal("34.11")
    assert world.outbox() == {f"us:{order_id}": "done"}


def test_running_again_sends_nothing(world: World) -> None:
    world.place()
    world.run()
    before = world.erp.calls["sale.order.load"]
    world.run()
    assert world.erp.calls["sale.order.load"] == before
    assert world.erp.order_count() == 1
