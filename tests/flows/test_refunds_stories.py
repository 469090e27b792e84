"""Random stories after the sale on the real database, with stand-ins that fail and processes that
die: after every act nothing is paid, credited or booked twice, and in the end everything is closed
or somebody has it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from checks import returns as checks
from resources.errors import RemoteError
from resources.sandbox.faults import Fault, Trouble
from resources.store import postgres
from resources.store.engine import connected
from tests.effort import at_most
from tests.faults import killed_at_request
from tests.faults.test_random_faults import fresh_world
from tests.returning import WILLING, AfterSale, after_sale

D = Decimal
#: Amounts of their own, so that every word of the provider fits one refund.
AMOUNTS = [D("1.01"), D("2.02"), D("3.03"), D("15.15")]
CALLS = ["refunds", "account.move", "stock.picking", "stock.return", ""]


class Story(RuleBasedStateMachine):
    """One shipped order and the world around it."""

    server: postgres.Databases

    def __init__(self) -> None:
        super().__init__()
        self.worlds = self._worlds()
        self.after = next(self.worlds)

    def _worlds(self) -> Iterator[AfterSale]:
        with self._folder() as folder, fresh_world(self.server, 18) as world:
            yield after_sale(world, folder, refunds_confirmed_by_provider=["stripe"])

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
            patch.setenv("SYNC_CONFIG", str(Path(name) / "sync.toml"))
            yield Path(name)

    @initialize(
        method=st.sampled_from(["stripe", "paypal"]),
        more=st.sampled_from(
            [
                "",
                "  disposition: restock\n",
                "  approval_above: {USD: 5}\n",
                "  refund_on: approved\n",
            ]
        ),
    )
    def an_order_that_was_shipped(self, method: str, more: str) -> None:
        self.after.rule(WILLING + more)
        world = self.after.world
        self.number = world.place("us", payment_method=method, transaction_id="ch_1")
        world.run()
        self.order = f"us:{self.number}"
        self.after.ship(self.order)
        self.shelf = self.after.on_hand("TEA")
        self.asked, self.amounts = 0, list(AMOUNTS)

    # What happens

    @precondition(lambda self: self.asked < 3)
    @rule(units=st.integers(1, 2), dropoff=st.booleans())
    def somebody_wants_to_send_back(self, units: int, dropoff: bool) -> None:
        self.asked += 1
        self.after.ask(
            reference=f"R{self.asked}",
            order=self.order,
            source="store_dropoff" if dropoff else "request",
            lines=[{"sku": "TEA", "units": units}],
        )
        self.after.core()

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(1, 3), state=st.sampled_from(["received", "inspected"]))
    def the_warehouse_has_goods(self, which: int, state: str) -> None:
        fate = {"restock_units": 1} if state == "inspected" else {}
        ref = f"{self.order}:r{min(which, self.asked)}"
        line = {"sku": "TEA", "received_units": 1, **fate}
        self.after.world.clock.forward(seconds=5)
        self.after.warehouse(f"RT{which}", state, [line], reference=ref)
        self.after.core()

    @precondition(lambda self: self.amounts)
    @rule()
    def a_person_refunds_in_the_shop(self) -> None:
        amount = self.amounts.pop(0)
        if amount <= self.after.world.shops["us"].refundable(self.number):
            self.after.world.shops["us"].refund(self.number, amount)
            self.after.world.run()
            self.after.core()

    @rule(which=st.integers(0, 5), word=st.sampled_from(["succeeded", "failed", "pending"]))
    def the_provider_speaks(self, which: int, word: str) -> None:
        made = self.after.world.shops["us"].refunds_of(self.number)
        if which < len(made):
            cents = int(D(made[which]["amount"]) * 100)
            self.after.stripe(word, refund=f"re_{made[which]['id']}", amount=cents)
            self.after.core()

    @rule(which=st.integers(0, 5))
    def a_refund_is_deleted_in_the_shop(self, which: int) -> None:
        shop = self.after.world.shops["us"]
        made = shop.refunds_of(self.number)
        if which < len(made):
            shop.delete_refund(self.number, made[which]["id"])
            shop.set_status(self.number, "completed")
            self.after.world.run()
            self.after.core()

    @rule()
    def a_run_is_whole(self) -> None:
        self.after.run()

    @rule(at=st.integers(1, 25), is_before=st.booleans())
    def a_run_dies(self, at: int, is_before: bool) -> None:
        with killed_at_request(self.after.world, at, before=is_before):
            self.after.run()
        self.after.world.clock.forward(minutes=20)

    @rule(
        trouble=st.sampled_from([Trouble.CUT_AFTER, Trouble.CUT_BEFORE, Trouble.ERROR]),
        call=st.sampled_from(CALLS),
    )
    def something_breaks(self, trouble: Trouble, call: str) -> None:
        for one in (self.after.world.erp, self.after.world.shops["us"]):
            one.faults.plan(Fault(trouble, call))
        with suppress(RemoteError):  # a run may fail: what it leaves is looked at
            self.after.run()
        self.after.world.clock.forward(minutes=5)

    # What must hold

    @invariant()
    def nothing_is_paid_credited_or_booked_twice(self) -> None:
        world = self.after.world
        with connected(world.systems.engine) as connection:
            assert checks.above_paid(connection) == []
            never = world.clock() - timedelta(days=999)
            assert checks.miscredited(connection, never) == []
        if hasattr(self, "number"):
            made = world.shops["us"].refunds_of(self.number)
            marks = [one["reason"] for one in made if "[ref " in one["reason"]]
            assert len(set(marks)) == len(marks)
            told = "select coalesce(sum(restock_units), 0) as n from core.return_lines"
            (back,) = world.rows(told)
            assert self.after.on_hand("TEA") - self.shelf <= back["n"]

    def teardown(self) -> None:
        """With nothing broken any more everything ends, or waits for somebody."""
        try:
            if hasattr(self, "number"):
                self._ends()
        finally:
            self.worlds.close()  # type: ignore[attr-defined]

    def _ends(self) -> None:
        world = self.after.world
        for one in (world.erp, *world.shops.values()):
            one.faults.clear()
        for _ in range(4):
            world.clock.forward(minutes=30)
            self.after.run()
        with connected(world.systems.engine) as connection:
            later = world.clock() + timedelta(days=1)
            assert checks.unowned(connection, later) == []
            assert checks.miscredited(connection, later) == []
            assert checks.misbooked(connection, later) == []
        held = self.after.memos()
        for ref, state in self.after.refunds().items():
            if state == "closed":
                assert held[ref][1] == self.after.refund(ref)["amount"]


def test_no_story_pays_credits_or_books_twice_and_every_story_ends(
    server: postgres.Databases,
) -> None:
    told = type("Told", (Story,), {"server": server})
    run_state_machine_as_test(
        told,
        settings=settings(
            max_examples=at_most(6, 15),
            stateful_step_count=20,
            phases=[Phase.generate],  # a shorter story would take an hour to be found
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
