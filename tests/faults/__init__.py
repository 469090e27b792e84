"""What the fault tests share: an axe that ends a run anywhere, and what must hold afterwards."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import httpx
from sqlalchemy import Engine, event, text

from resources.errors import RemoteError
from resources.sandbox.faults import Fault, StandIn, Trouble
from resources.store import audit
from resources.store.engine import connected
from sync_assets.catalog import reading as item_reading
from sync_assets.orders import reading, sending
from sync_assets.reading import each_source
from tests.worlds import World

#: The shop's own words for orders that belong into the ERP.
SENT = frozenset({"processing", "completed", "refunded"})


class Killed(BaseException):
    """The process is gone: no handler of the product may catch this."""


class Axe:
    """Counts what happens and ends the process at the n-th time."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0

    def fall(self) -> None:
        """Count, and end the process when it is time."""
        self.count += 1
        if self.count == self.at:
            raise Killed(self.at)


class _Cut(httpx.BaseTransport):
    """A wire on which the process dies, right before or right after the other side acted."""

    def __init__(self, inner: httpx.BaseTransport, axe: Axe, before: bool) -> None:
        self.inner, self.axe, self.before = inner, axe, before

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.before:
            self.axe.fall()
            return self.inner.handle_request(request)
        response = self.inner.handle_request(request)
        self.axe.fall()
        return response


@contextmanager
def killed_at_request(world: World, at: int, *, before: bool = False) -> Iterator[Axe]:
    """End the process around its n-th outgoing request; the axe tells whether it fell."""
    axe, intact = Axe(at), world.systems.transports
    world.systems.transports = {
        name: _Cut(transport, axe, before) for name, transport in intact.items()
    }
    try:
        yield axe
    except Killed:
        pass
    finally:
        world.systems.transports = intact


@contextmanager
def killed_after(stand_in: StandIn, operation: str) -> Iterator[None]:
    """End the process when the stand-in has done `operation`, the answer unread."""

    def kill(done: str) -> None:
        if done == operation:
            raise Killed(operation)

    stand_in.after_effect = kill
    try:
        yield
    except Killed:
        pass
    finally:
        stand_in.after_effect = lambda done: None


@contextmanager
def killed_at_statement(engine: Engine, at: int) -> Iterator[Axe]:
    """End the process after its n-th SQL statement, before anything further is done."""
    axe = Axe(at)

    def after(*_: Any) -> None:
        axe.fall()

    event.listen(engine, "after_cursor_execute", after)
    try:
        yield axe
    except Killed:
        pass
    finally:
        event.remove(engine, "after_cursor_execute", after)


@contextmanager
def order_calls(stand_in: StandIn) -> Iterator[list[str]]:
    """The calls a stand-in gets, in their order, also those whose answer is lost."""
    calls: list[str] = []
    plain = stand_in.faults.next

    def noted(operation: str) -> Fault | None:
        calls.append(operation)
        return plain(operation)

    with patch.object(stand_in.faults, "next", noted):
        yield calls


@contextmanager
def gone_after(stand_in: StandIn, operation: str) -> Iterator[None]:
    """Let a stand-in do `operation`, lose its answer, and then answer nobody."""
    gone = False

    def lost(called: str) -> Fault | None:
        nonlocal gone
        if gone:
            return Fault(Trouble.CUT_BEFORE)
        gone = called == operation
        return Fault(Trouble.CUT_AFTER) if gone else None

    with patch.object(stand_in.faults, "next", lost):
        yield


@contextmanager
def waits(world: World) -> Iterator[list[float]]:
    """The pauses our clients make between two tries."""
    slept: list[float] = []
    world.systems.sleep = slept.append
    yield slept
    world.systems.sleep = lambda seconds: None


def steps(world: World) -> list[Callable[[], Any]]:
    """The steps of one run as deployed: a system that does not answer ends its own step only."""
    systems = world.systems

    def read_items() -> None:
        each_source(systems, ["odoo"], "items", lambda e: item_reading.items(systems, e, "run"))

    def read_orders() -> None:
        each_source(
            systems, world.shops, "orders", lambda s: reading.changed_orders(systems, s, "run")
        )

    return [read_items, read_orders, world.core, world.plan, world.send]


def run(world: World) -> None:
    """One run that takes what comes; a minute later the next one is due."""
    world.clock.forward(seconds=2)
    for step in steps(world):
        try:
            step()
        except RemoteError:
            break
    world.clock.forward(minutes=1)


def recover(world: World, most: int = 12) -> None:
    """Let leases run out, then run until nothing waits to be sent."""
    world.clock.forward(minutes=6)
    for _ in range(most):
        run(world)
        if not open_writes(world):
            return
        world.clock.forward(minutes=10)


def open_writes(world: World) -> dict[str, str]:
    """Writes whose end is not known yet, by thing."""
    query = (
        "select thing_ref, state from ops.outbox where state in ('waiting', 'leased', 'unknown')"
    )
    return {row["thing_ref"]: row["state"] for row in world.rows(query)}


def write(world: World, ref: str, operation: str = "create") -> dict[str, Any]:
    """The one write of a thing."""
    query = "select * from ops.outbox where thing_ref = :ref and operation = :operation"
    (row,) = world.rows(query, ref=ref, operation=f"sales_order.{operation}")
    return row


def place_some(world: World) -> list[str]:
    """Place one order in each store that needs all the ERP can do: two customers, rounding."""
    rounds_per_order(world, "us")
    lines = [
        {"sku": "TEA", "name": "Tea", "quantity": 2, "subtotal": "19.80", "total": "19.80"},
        {"sku": "TEA", "name": "Tea", "quantity": 2, "subtotal": "19.80", "total": "19.80"},
    ]
    elsewhere = {
        "first_name": "Charles",
        "last_name": "Babbage",
        "address_1": "5 Other Road",
        "city": "Testville",
        "state": "CA",
        "postcode": "90002",
        "country": "US",
    }
    return [
        f"us:{world.place('us', line_items=lines, shipping=elsewhere)}",
        f"us:{world.place('us')}",
        f"uk:{world.place('uk', lines={'POT': 1, 'MUG': 3})}",
    ]


def planned_apart(world: World, groups: int) -> list[list[str]]:
    """Several groups of orders, read and planned at once, each due an hour after the one before.

    Reading and mapping cost most of a run, and say nothing about how orders are sent.
    """
    placed = [place_some(world) for _ in range(groups)]
    world.clock.forward(seconds=2)
    for step in steps(world)[:4]:
        step()
    sending.promote(world.systems, "odoo", "odoo")
    with connected(world.systems.engine) as connection:
        for hours, refs in enumerate(placed):
            due = {"at": world.clock() + timedelta(hours=hours), "refs": refs}
            query = "update ops.outbox set due_at = :at where thing_ref = any(:refs)"
            connection.execute(text(query), due)
    return placed


def each_hour(world: World, groups: int) -> Iterator[int]:
    """Yield the number of each planned group when it is due; sends what is left of it after."""
    planned_apart(world, groups)
    start = world.clock()
    for number in range(groups):
        world.clock.at = start + timedelta(hours=number)
        yield number
        world.clock.forward(minutes=6)
        for _ in range(3):
            world.send()
            world.clock.forward(minutes=10)


def small_batches(world: World) -> None:
    """Let the ERP be sent one order at a time."""
    settings = world.systems.settings
    erp = settings.erps["odoo"].model_copy(update={"batch": 1})
    world.systems.settings = settings.model_copy(update={"erps": {"odoo": erp}})


def rounds_per_order(world: World, store: str) -> None:
    """Let a shop round tax once per order, as the ERP does not: a cent needs a line of its own."""
    shop = world.shops[store]
    shop.rounding = shop.till.rounding = replace(shop.rounding, at_subtotal=True)


def assert_all_is_well(world: World, *, parked: frozenset[str] = frozenset()) -> None:
    """Every order that should be there is there once, whole, confirmed and paid to the cent."""
    expected = _expected(world)
    held = {
        ref: [order for order in orders if order["state"] != "cancel"]
        for ref, orders in world.in_erp().items()
    }
    alive = {ref: orders for ref, orders in held.items() if orders and ref not in parked}
    assert sorted(alive) == sorted(expected.keys() - parked)
    for ref, (order,) in alive.items():
        assert order["state"] == "sale", ref
        assert _summary(order) == expected[ref], ref
    _assert_sums(world, {ref: expected[ref] for ref in alive})
    _assert_books(world, set(alive), parked)


def _expected(world: World) -> dict[str, tuple[str, Decimal, Counter[Any]]]:
    """What the ERP must hold by our key: currency, total, and units by SKU and line."""
    return {
        f"{store}:{order_id}": (
            doc["currency"],
            Decimal(doc["total"]),
            Counter((line["sku"], Decimal(line["quantity"])) for line in doc["line_items"]),
        )
        for store, shop in world.shops.items()
        for order_id, entry in shop.shelf.entries.items()
        if entry.status in SENT and (doc := shop.order_json(order_id))
    }


def _summary(order: dict[str, Any]) -> tuple[str, Decimal, Counter[Any]]:
    lines = [line for line in order["lines"] if line["sku"] != "ROUNDING"]
    assert len(order["lines"]) - len(lines) <= 1
    units = Counter((line["sku"], line["quantity"]) for line in lines)
    return order["currency"], order["amount_total"], units


def _assert_sums(world: World, sent: dict[str, tuple[str, Decimal, Counter[Any]]]) -> None:
    sums: dict[str, Decimal] = {}
    for currency, total, _ in sent.values():
        sums[currency] = sums.get(currency, Decimal()) + total
    assert world.erp.totals_by_currency() == sums


def _assert_books(world: World, sent: set[str], parked: frozenset[str]) -> None:
    assert open_writes(world) == {}
    writes = world.rows("select thing_ref, operation, state from ops.outbox")
    keys = Counter((row["thing_ref"], row["operation"]) for row in writes)
    assert max(keys.values(), default=1) == 1
    assert {row["thing_ref"] for row in writes if row["state"] == "parked"} == parked
    receipts = world.rows(
        "select order_ref, total_amount from receipt.sales_orders where outcome = 'accepted'"
    )
    assert {row["order_ref"] for row in receipts} == sent
    with connected(world.systems.engine) as connection:
        assert audit.broken(connection) == []
