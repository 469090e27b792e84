"""One bad order: it is set aside with its reason, is not sent again, and stops nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from resources.store import outbox
from resources.store.engine import connected
from tests.faults import assert_all_is_well, killed_after, place_some, recover, run, write
from tests.worlds import World


@pytest.fixture
def bad(world: World) -> str:
    """Several orders, one of which the ERP does not like."""
    place_some(world)
    ref = f"us:{world.place()}"
    place_some(world)
    return ref


def retry(world: World, ref: str) -> int:
    """What a person does after mending the cause."""
    with connected(world.systems.engine) as connection:
        return outbox.retry_parked(connection, "odoo", ref, world.clock())


@pytest.mark.parametrize("step", ["create", "confirm"])
def test_a_refused_order_is_parked_and_its_neighbours_go_on(
    world: World, bad: str, step: Any
) -> None:
    world.erp.refuse("credit limit", lambda order: order["client_order_ref"] == bad, step)
    run(world)
    assert world.outbox()[bad] == "parked"
    assert world.open_codes(bad) == {"erp.refused"}
    (found,) = world.rows("select * from ops.exception where subject_ref = :ref", ref=bad)
    assert (found["owner_role"], str(found["amount"]), found["currency"]) == (
        "operations",
        "34.110000",
        "USD",
    )
    assert "credit limit" in found["message"]
    assert_all_is_well(world, parked=frozenset({bad}))


@pytest.mark.parametrize("step", ["create", "confirm"])
def test_a_parked_order_is_not_sent_again_until_a_person_says_so(
    world: World, bad: str, step: Any
) -> None:
    world.erp.refuse("credit limit", lambda order: order["client_order_ref"] == bad, step)
    run(world)
    tried = world.erp.calls.copy()
    for _ in range(3):
        run(world)
        world.clock.forward(hours=6)
    made = world.erp.calls - tried
    written = {name for name in made if "search" not in name and "fields_get" not in name}
    assert written <= {"common.authenticate"}
    world.erp.accept()
    assert retry(world, bad) == 1
    recover(world, most=1)
    assert world.outbox()[bad] == "done"
    assert world.open_codes(bad) == set()
    assert_all_is_well(world)


def test_a_parked_order_that_is_edited_in_the_shop_goes_by_itself(world: World) -> None:
    order_id = world.place()
    ref = f"us:{order_id}"
    world.erp.refuse("no such street", lambda order: True)
    run(world)
    assert world.outbox() == {ref: "parked"}
    world.erp.accept()
    world.shops["us"].edit(order_id, billing={"address_1": "2 Test Street"})
    recover(world, most=1)
    assert world.outbox() == {ref: "done"}
    assert world.open_codes(ref) == set()
    assert_all_is_well(world)


def test_a_name_the_erp_does_not_know_is_parked_and_closed_once_it_does(world: World) -> None:
    ref = f"us:{world.place()}"
    taxes = world.erp.tables.rows["account.tax"]
    (tax,) = [id_ for id_, row in taxes.items() if row["name"] == "US Sales Tax 7.25%"]
    with world.erp.writing():
        world.erp.tables.change("account.tax", tax, {"name": "Another"})
    run(world)
    assert world.open_codes(ref) == {"erp.tax_unknown"}
    assert world.in_erp() == {}
    with world.erp.writing():
        world.erp.tables.change("account.tax", tax, {"name": "US Sales Tax 7.25%"})
    assert retry(world, ref) == 1
    recover(world, most=1)
    assert world.open_codes(ref) == set()
    assert_all_is_well(world)


@contextmanager
def poisoned(world: World, word: str, *, operation: str = "", status: int = 500) -> Iterator[None]:
    """Let the ERP fail whole calls that hold a word."""
    plain = world.erp.answer

    def answer(request: httpx.Request) -> httpx.Response:
        if word.encode() in request.content and operation in world.erp.operation(request):
            return httpx.Response(status, text="<h1>Internal Server Error</h1>")
        return plain(request)

    with patch.object(world.erp, "answer", answer):
        yield


@pytest.mark.parametrize(
    ("operation", "tries"), [("sale.order.load", 18), ("search_read", 16), ("", 16)]
)
def test_an_order_that_breaks_every_call_it_is_in_stops_nobody_else(
    world: World, bad: str, operation: str, tries: int
) -> None:
    with poisoned(world, bad, operation=operation):
        recover(world, most=3)
        assert {ref for ref, state in world.outbox().items() if state != "done"} == {bad}
        for _ in range(14):
            run(world)
            world.clock.forward(hours=2)
    assert world.outbox()[bad] == "parked"
    assert world.open_codes(bad) == {"erp.given_up"}
    assert write(world, bad)["attempts"] == tries
    assert_all_is_well(world, parked=frozenset({bad}))
    assert retry(world, bad) == 1
    recover(world, most=1)
    assert_all_is_well(world)


def test_an_order_in_a_state_we_do_not_know_is_set_aside_alone(world: World, bad: str) -> None:
    world.erp.refuse("wait", lambda order: order["client_order_ref"] == bad, "confirm")
    run(world)
    (draft,) = world.in_erp()[bad]
    world.erp.accept()
    with world.erp.writing():
        world.erp.tables.change("sale.order", draft["id"], {"state": "on_the_moon"})
    retry(world, bad)
    more = place_some(world)
    recover(world, most=1)
    assert world.open_codes(bad) == {"erp.unknown_state"}
    assert {world.outbox()[ref] for ref in more} == {"done"}
    with world.erp.writing():
        world.erp.tables.change("sale.order", draft["id"], {"state": "draft"})
    retry(world, bad)
    recover(world, most=1)
    assert world.open_codes(bad) == set()
    assert_all_is_well(world)


def test_an_order_the_erp_holds_twice_is_not_made_a_third_time(world: World) -> None:
    ref = f"us:{world.place()}"
    with killed_after(world.erp, "sale.order.line.load"):
        run(world)
    with world.erp.writing():
        (draft,) = world.erp.tables.find("sale.order", "client_order_ref", ref)
        row = dict(world.erp.tables.rows["sale.order"][draft])
        twin = world.erp.tables.insert("sale.order", {**row, "name": "S99999"})
    recover(world)
    assert world.outbox() == {ref: "parked"}
    assert len(world.in_erp()[ref]) == 2
    with world.erp.writing():
        world.erp.tables.change("sale.order", twin, {"state": "cancel"})
    retry(world, ref)
    recover(world)
    assert_all_is_well(world)
