"""Random histories of orders that are shipped, over the real store: nothing leaves or is told
twice, and whatever went wrong, every story ends with what is done or with whom it waits for.

Customers, people at the shelves, carriers and faults are these methods; the shop, the warehouse,
the ERP and the tracking account are stand-ins, and their own books say what is true.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

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

from resources.errors import RemoteError
from resources.sandbox.faults import Fault, Trouble
from resources.store import postgres
from resources.store.engine import engine_for
from sync_assets.domain.sagas import CLOSED, NOTHING, Saga, may
from tests.effort import at_most
from tests.faults import killed_at_request, killed_at_statement, open_writes
from tests.shipping import POLICY, SECRET, ShippingWorld, shipping_world

SKUS = ("MUG", "POT", "TEA")
BASKETS = st.dictionaries(st.sampled_from(SKUS), st.integers(1, 3), min_size=1, max_size=3)
#: At which request or statement a run dies; most end by themselves.
DEATHS = st.sampled_from(["", "", "", "request", "answer", "statement"])
#: What is asked of each system when its answer is lost.
LOST = {
    "north": ("PUT", "cancel", "GET fulfilment-orders"),
    "us": ("POST", "PUT", "GET"),
    "odoo": ("load", "button_validate", "write"),
    "track": ("POST", "GET"),
}
OPEN_THERE = ("waiting", "acknowledged", "on_hold", "picking", "part_shipped")
SCANS = {
    "in_transit": ("in_transit", "arrived_at_facility", "Arrived"),
    "out_for_delivery": ("out_for_delivery", "out_for_delivery", "Out for delivery"),
    "failure": ("failure", "lost", "Package is lost"),
    "return_to_sender": ("return_to_sender", "return", "Returned to sender"),
    "delivered": ("delivered", "arrived_at_destination", "Delivered"),
}
#: Whole runs after everything was mended; what is not done then waits for a person.
LAST_RUNS = 6


@contextmanager
def fresh(server: postgres.Databases, home: Path) -> Iterator[ShippingWorld]:
    """A shipping world on a database of its own; hypothesis makes many within one test."""
    name = f"test_{uuid4().hex[:8]}"
    postgres.create_database(server, name, template=str(server.store.database))
    engine = engine_for(postgres.Databases(server.store.set(database=name)))
    try:
        yield shipping_world(engine, home)
    finally:
        engine.dispose()
        postgres.drop_database(server, name)


class ShipmentStory(RuleBasedStateMachine):
    """One history; the books of the stand-ins are the truth."""

    def __init__(self, server: postgres.Databases, home: Path) -> None:
        super().__init__()
        self._fresh = fresh(server, home)
        self.ship = self._fresh.__enter__()
        self.refs: list[str] = []
        self.refunded: dict[str, Counter[str]] = {}
        self.last_step = 0
        self.stands: dict[str, str] = {}

    @initialize(
        knows_stock=st.booleans(),
        backorder=st.sampled_from(["release", "wait"]),
        baskets=st.lists(BASKETS, min_size=1, max_size=2),
    )
    def begins(self, knows_stock: bool, backorder: str, baskets: list[dict[str, int]]) -> None:
        """Both places take anything, or are asked for their stock; somebody has ordered."""
        places = {
            name: {**POLICY["places"][name], "assumes_stock": not knows_stock}
            for name in ("east", "west")
        }
        us = {**POLICY["stores"]["us"], "backorder": backorder}
        self.ship.rules(
            {
                "places": {**POLICY["places"], **places},
                "stores": {**POLICY["stores"], "us": us},
            }
        )
        if knows_stock:
            self.ship.stock("east", {"TEA": 4, "MUG": 2, "POT": 9})
            self.ship.stock("west", {"TEA": 3, "MUG": 9})
        for basket in baskets:
            self.a_customer_orders(basket)
        self.runs(self.ship.all_run)

    # ---------------------------------------------------------------- customers and clerks

    @rule(basket=BASKETS)
    def a_customer_orders(self, basket: dict[str, int]) -> None:
        ref = f"us:{self.ship.world.place('us', lines=basket)}"
        self.refs.append(ref)
        self.refunded[ref] = Counter()
        self.passes()

    @precondition(lambda self: self.processing())
    @rule(data=st.data())
    def a_clerk_refunds_units(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(self.processing()), label="order")
        left = {sku: n - self.refunded[ref][sku] for sku, n in self.ordered(ref).items()}
        sku = data.draw(st.sampled_from(sorted(left)), label="sku")
        if left[sku]:
            units = data.draw(st.integers(1, left[sku]), label="units")
            self.ship.refund(ref, {sku: units})
            self.refunded[ref][sku] += units
        self.passes()

    @precondition(lambda self: self.processing())
    @rule(data=st.data())
    def a_clerk_cancels(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(self.processing()), label="order")
        store, order_id = self.ship.place_of(ref)
        self.ship.world.shops[store].set_status(order_id, "cancelled")
        self.passes()

    # ---------------------------------------------------------------- people at the shelves

    @precondition(lambda self: self.open_there("waiting", "acknowledged", "on_hold"))
    @rule(data=st.data())
    def the_warehouse_picks(self, data: st.DataObject) -> None:
        self.ship.north.pick(self.drawn(data, "waiting", "acknowledged", "on_hold"))
        self.passes()

    @precondition(lambda self: self.open_there())
    @rule(data=st.data())
    def the_warehouse_ships_part(self, data: st.DataObject) -> None:
        key, sku, units = self.open_units(data)
        self.ship.north.ship(key, {sku: units})
        self.passes()

    @precondition(lambda self: self.open_there())
    @rule(data=st.data(), parcels=st.integers(1, 3))
    def the_warehouse_ships_all(self, data: st.DataObject, parcels: int) -> None:
        self.ship.north.ship(self.drawn(data), parcels=({},) * parcels)
        self.passes()

    @precondition(lambda self: self.pairs_there())
    @rule(data=st.data())
    def the_warehouse_ships_two_orders_in_one_parcel(self, data: st.DataObject) -> None:
        self.ship.north.ship(data.draw(st.sampled_from(self.pairs_there()), label="keys"))
        self.passes()

    @precondition(lambda self: self.open_there())
    @rule(data=st.data())
    def the_warehouse_will_not_ship_some(self, data: st.DataObject) -> None:
        self.ship.north.short(*self.open_units(data))
        self.passes()

    @rule(mood=st.sampled_from(["silent", "speaks", "refuses", "takes"]))
    def the_warehouse_changes_its_mood(self, mood: str) -> None:
        """It acknowledges nothing for a while, or refuses an article."""
        north = self.ship.north
        match mood:
            case "silent":
                north.go_silent()
            case "speaks":
                north.speak()
            case "refuses":
                north.refuse_sku("POT", "pots break")
            case _:
                north.orders.refusals.clear()
        self.passes()

    # ---------------------------------------------------------------- carriers and webhooks

    @precondition(lambda self: self.ship.track.trackers)
    @rule(data=st.data(), scan=st.sampled_from(sorted(SCANS)), late=st.integers(0, 600))
    def a_carrier_speaks(self, data: st.DataObject, scan: str, late: int) -> None:
        """It tells of something now, or of something that happened before."""
        codes = sorted(one.code for one in self.ship.track.trackers.values())
        code = data.draw(st.sampled_from(codes), label="parcel")
        at = self.ship.world.clock() - timedelta(minutes=late)
        self.ship.track.move(code, *SCANS[scan], at)
        self.passes()

    @precondition(lambda self: self.shipments())
    @rule(data=st.data(), times=st.integers(1, 2))
    def a_webhook_tells_of_a_shipment(self, data: st.DataObject, times: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.shipments())), label="shipment")
        for _ in range(times):
            told = self.ship.north.webhook("shipment.updated", name, SECRET)
            self.ship.deliver("north", *told)
        self.passes()

    # ---------------------------------------------------------------- our runs, and what ends them

    @rule(death=DEATHS, at=st.integers(1, 60))
    def we_follow_the_shops(self, death: str, at: int) -> None:
        with self.dying(death, at):
            self.runs(self.ship.shop_run)

    @rule(death=DEATHS, at=st.integers(1, 60), times=st.integers(1, 2))
    def we_follow_the_goods(self, death: str, at: int, times: int) -> None:
        with self.dying(death, at):
            self.runs(lambda: self.ship.run(times))

    @rule(death=DEATHS, at=st.integers(1, 90))
    def we_do_everything(self, death: str, at: int) -> None:
        with self.dying(death, at):
            self.runs(self.ship.all_run)
            self.runs(self.ship.run)

    @rule(steps=st.lists(st.integers(0, 3), min_size=1, max_size=3))
    def steps_run_in_any_order(self, steps: list[int]) -> None:
        for step in steps:
            self.runs(self.ship.steps[step])
        self.passes()

    @rule(data=st.data(), system=st.sampled_from(sorted(LOST)), after=st.integers(0, 2))
    def an_answer_will_be_lost(self, data: st.DataObject, system: str, after: int) -> None:
        operation = data.draw(st.sampled_from(LOST[system]), label="operation")
        self.stand_ins()[system].faults.plan(Fault(Trouble.CUT_AFTER, operation, skip=after))

    @rule(minutes=st.integers(5, 120))
    def time_goes_by(self, minutes: int) -> None:
        self.passes(minutes=minutes)

    @contextmanager
    def dying(self, death: str, at: int) -> Iterator[None]:
        """The process dies at the n-th request, before or after its effect, or at a statement."""
        world = self.ship.world
        if death == "statement":
            with killed_at_statement(world.systems.engine, at * 3):
                yield
        elif death:
            with killed_at_request(world, at, before=death == "request"):
                yield
        else:
            yield

    def runs(self, act: Any) -> None:
        """A system that does not answer ends what is being done."""
        try:
            act()
        except RemoteError as fault:
            self.ship.faults.append(fault)
        self.passes()

    def passes(self, **time: float) -> None:
        """Time passes."""
        self.ship.world.clock.forward(**(time or {"seconds": 2}))

    # ---------------------------------------------------------------- what is true

    def stand_ins(self) -> dict[str, Any]:
        """Every system by its name."""
        world = self.ship.world
        return {
            **world.shops,
            "north": self.ship.north,
            "odoo": world.erp,
            "track": self.ship.track,
        }

    def processing(self) -> list[str]:
        """Orders that wait for their goods, as the shop sees it."""
        return [ref for ref in self.refs if self.ship.status(ref) == "processing"]

    def ordered(self, ref: str) -> Counter[str]:
        """Units by SKU."""
        lines = self.ship.order(ref)["line_items"]
        return Counter({line["sku"]: int(line["quantity"]) for line in lines})

    def requests(self, ref: str | None = None) -> list[dict[str, Any]]:
        """What the warehouse holds, of one order or of all."""
        rows = [self.ship.north.orders.row(key) for key in self.ship.north.orders.ids]
        return [row for row in rows if ref is None or row["key"].rpartition(":")[0] == ref]

    def open_there(self, *states: str) -> list[str]:
        """Requests of which the warehouse may ship something."""
        return [
            row["key"]
            for row in self.requests()
            if row["state"] in (states or OPEN_THERE) and any(map(_open, row["lines"]))
        ]

    def pairs_there(self) -> list[tuple[str, str]]:
        """Requests of two orders that lie in one place."""
        keys = self.open_there()
        place = {
            row["key"]: (row["warehouse"], row["key"].rpartition(":")[0]) for row in self.requests()
        }
        return [
            (one, other)
            for one in keys
            for other in keys
            if one < other and place[one][0] == place[other][0] and place[one][1] != place[other][1]
        ]

    def drawn(self, data: st.DataObject, *states: str) -> str:
        """One of the requests that are open there."""
        return data.draw(st.sampled_from(self.open_there(*states)), label="request")

    def open_units(self, data: st.DataObject) -> tuple[str, str, int]:
        """A request, and some of the units of one of its lines."""
        key = self.drawn(data)
        lines = [line for line in self.ship.north.orders.row(key)["lines"] if _open(line)]
        line = data.draw(st.sampled_from(lines), label="line")
        return key, line["sku"], data.draw(st.integers(1, _open(line)), label="units")

    def shipments(self) -> dict[str, dict[str, Any]]:
        """What the warehouse sent, by its id."""
        return self.ship.north.book.rows["shipment"]

    def shipments_of(self, ref: str) -> list[str]:
        """Shipments with goods of an order."""
        return [
            name
            for name, one in self.shipments().items()
            if any(line["line_key"].startswith(f"{ref}:") for line in one["lines"])
        ]

    def left(self, ref: str) -> Counter[str]:
        """Units of an order that left, by SKU."""
        found: Counter[str] = Counter()
        for row in self.requests(ref):
            for line in row["lines"]:
                found[line["sku"]] += line["shipped_units"]
        return +found

    def posted(self, ref: str) -> Counter[str]:
        """Units of an order that left as the ERP has it, by SKU."""
        found: Counter[str] = Counter()
        for state, units in self.ship.pickings(ref):
            found.update(units if state == "done" else {})
        return +found

    # ---------------------------------------------------------------- what must always hold

    @invariant()
    def nothing_is_asked_for_or_leaves_twice(self) -> None:
        """What left and what may still leave is not more than was ordered."""
        for ref in self.refs:
            asked: Counter[str] = Counter()
            for row in self.requests(ref):
                is_open = row["state"] in OPEN_THERE
                for line in row["lines"]:
                    asked[line["sku"]] += line["shipped_units"] + is_open * _open(line)
            assert asked <= self.ordered(ref), ref

    @invariant()
    def no_line_is_requested_beyond_what_was_ordered(self) -> None:
        """Our own account of each line."""
        beyond = "select * from core.order_line_progress where shipped_units + requested_units > "
        assert self.ship.world.rows(f"{beyond} ordered_units") == []

    @invariant()
    def a_key_is_one_request(self) -> None:
        """The warehouse made one request of each key, and we know each."""
        made = {key: self.ship.north.count("create", key) for key in self.ship.north.orders.ids}
        assert set(made.values()) <= {1}
        rows = self.ship.world.rows("select fulfilment_ref from core.fulfilment_orders")
        assert made.keys() <= {row["fulfilment_ref"] for row in rows}

    @invariant()
    def states_are_reached_by_allowed_steps(self) -> None:
        """Each step begins where the one before ended, and is in the rules."""
        rows = self.ship.world.rows(
            "select * from core.saga_steps where saga = 'fulfilment' and id > :last order by id",
            last=self.last_step,
        )
        for row in rows:
            before = self.stands.get(row["subject_ref"], NOTHING)
            assert row["from_state"] == before
            assert may(Saga.FULFILMENT, before, row["to_state"])
            self.stands[row["subject_ref"]] = row["to_state"]
            self.last_step = row["id"]
        held = self.ship.world.rows("select fulfilment_ref, state from core.fulfilment_orders")
        assert {row["fulfilment_ref"]: row["state"] for row in held} == self.stands

    @invariant()
    def the_erp_posts_only_what_left(self) -> None:
        """Never more than the warehouse shipped."""
        for ref in self.refs:
            assert self.posted(ref) <= self.left(ref), ref

    @invariant()
    def a_customer_is_told_of_a_shipment_once(self) -> None:
        """One note a shipment at the most, each with other words."""
        for ref in self.refs:
            notes = self.ship.notes(ref)
            assert len(notes) == len(set(notes)) <= len(self.shipments_of(ref)), ref

    @invariant()
    def only_what_left_is_completed(self) -> None:
        """Nobody but us completes an order here: all that is wanted of it has left."""
        for ref in self.refs:
            if self.ship.status(ref) == "completed":
                assert self.ordered(ref) - self.refunded[ref] <= self.left(ref), ref

    # ---------------------------------------------------------------- how every story ends

    def teardown(self) -> None:
        """Mend everything, let the warehouse ship what it holds, and look who waits for what."""
        try:
            self.ends()
        finally:
            self._fresh.__exit__(None, None, None)

    def ends(self) -> None:
        """Everything is done, or is somebody's."""
        for one in self.stand_ins().values():
            one.faults.clear()
        self.ship.north.orders.refusals.clear()
        self.ship.north.speak()
        self.settle()
        while self.open_there():  # what one place will not ship is asked of the next
            for key in self.open_there():
                self.ship.north.ship(key)
            self.settle()
        self.ship.faults.clear()
        self.ship.all_run()
        assert self.ship.faults == []
        for check in (
            self.nothing_is_asked_for_or_leaves_twice,
            self.states_are_reached_by_allowed_steps,
            self.only_what_left_is_completed,
        ):
            check()
        self.every_request_is_closed_or_somebodys()
        for ref in self.refs:
            self.what_left_is_known_posted_and_shown(ref)
        assert open_writes(self.ship.world) == {}

    def settle(self) -> None:
        """Let leases run out and every due write be tried."""
        for _ in range(LAST_RUNS):
            self.passes(minutes=15)
            self.runs(self.ship.all_run)
            if not open_writes(self.ship.world):
                self.runs(self.ship.all_run)
                return

    def every_request_is_closed_or_somebodys(self) -> None:
        """A request that is not over has an open exception with an owner, or its order has."""
        waits = {
            row["subject_ref"]
            for row in self.ship.world.rows(
                "select subject_ref from ops.exception where state = 'open' and owner_role <> ''"
            )
        }
        left_over = {
            ref: state
            for ref, state in self.stands.items()
            if state not in CLOSED[Saga.FULFILMENT] and not {ref, ref.rpartition(":")[0]} & waits
        }
        assert left_over == {}
        parked = self.ship.world.rows("select thing_ref from ops.outbox where state = 'parked'")
        assert {row["thing_ref"] for row in parked} <= waits

    def what_left_is_known_posted_and_shown(self, ref: str) -> None:
        """Shop, ERP and we agree with the warehouse's own book."""
        left, wanted = self.left(ref), self.ordered(ref) - self.refunded[ref]
        known = {sku: one.get("shipped", 0) for sku, one in self.ship.progress(ref).items()}
        assert +Counter(known) == left, ref
        assert self.posted(ref) == left, ref
        assert len(self.ship.notes(ref)) == len(self.shipments_of(ref)), ref
        if self.ship.status(ref) == "processing" and left:
            open_units = wanted - left
            assert +open_units, f"{ref}: everything left, and it is not completed"


def _open(line: dict[str, Any]) -> int:
    return int(line["units"] - line["shipped_units"] - line["short_units"])


def test_nothing_is_shipped_told_or_lost_twice(
    server: postgres.Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    run_state_machine_as_test(
        lambda: ShipmentStory(server, tmp_path),
        settings=settings(
            max_examples=at_most(4, 8),
            stateful_step_count=25,
            derandomize=True,
            database=None,
            deadline=None,
            print_blob=False,
            phases=[Phase.generate],  # a story takes seconds, and a shorter one many of them
            suppress_health_check=list(HealthCheck),
        ),
    )
