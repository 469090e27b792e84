"""Shipments as Dagster runs: both jobs green, a second one idle, and checks that can fail."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine

from checks import shipments as rules
from resources.sandbox.faults import Fault, Trouble
from sync_assets import jobs
from tests.runs import Runs, failures, shown
from tests.shipping import ShippingWorld, shipping_world

UPS = "1Z999AA10123456784"


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


@pytest.fixture
def runs(ship: ShippingWorld) -> Iterator[Runs]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(ship.world, instance)


def run(ship: ShippingWorld, runs: Runs, job: str) -> dg.ExecuteInProcessResult:
    ship.world.clock.forward(seconds=2)
    result = runs(job)
    assert result.success, failures(result)
    ship.world.clock.forward(minutes=1)
    return result


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def told(result: dg.ExecuteInProcessResult, *path: str) -> dict[str, Any]:
    """What a step said of an asset."""
    (one,) = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(list(path))
    ]
    return shown(one)


@pytest.mark.parametrize("job", [jobs.SHIPMENTS, jobs.SHIPMENTS_NOW])
def test_an_order_is_shipped_and_told_by_runs_and_a_second_one_does_nothing(
    ship: ShippingWorld, runs: Runs, job: str
) -> None:
    ref = ship.place(lines={"TEA": 2})
    first = run(ship, runs, job)
    assert told(first, "core", "fulfilment_orders")["new_requests"] == 1
    assert told(first, "receipt", "http", "fulfilment_orders")["accepted"] == 1
    ship.north.ship(f"{ref}:f1", parcels=[{"tracking_number": UPS, "carrier": "UPS"}])
    second = run(ship, runs, job)
    assert told(second, "core", "shipments")["shipments_mapped"] == 1
    assert told(second, "receipt", "odoo", "deliveries")["accepted"] == 1
    assert told(second, "receipt", "woocommerce", "notices")["accepted"] == 1
    third = run(ship, runs, job)
    assert told(third, "receipt", "woocommerce", "completions")["accepted"] == 1
    assert ship.status(ref) == "completed"
    assert all(checks(third).values())
    assert bool(checks(third)) is (job == jobs.SHIPMENTS)

    writes, notes, calls = ship.writes(), ship.notes(ref), ship.north.count("create")
    idle = run(ship, runs, job)
    for kind, thing in (("http", "fulfilment_orders"), ("woocommerce", "notices")):
        assert told(idle, "receipt", kind, thing)["accepted"] == 0
    assert (ship.writes(), ship.notes(ref), ship.north.count("create")) == (writes, notes, calls)


def test_a_warehouse_that_is_away_keeps_no_other_goods_back(
    ship: ShippingWorld, runs: Runs
) -> None:
    ours, uk = ship.place("us", lines={"TEA": 1}), ship.place("uk", lines={"TEA": 1})
    for _ in range(2):
        run(ship, runs, jobs.SHIPMENTS_NOW)
    ship.world.erp.ship(uk)
    ship.north.faults.plan(Fault(Trouble.ERROR, times=10_000, status=503))
    ship.track.faults.plan(Fault(Trouble.ERROR, times=10_000, status=503))
    for _ in range(3):
        ship.world.clock.forward(minutes=1)
        runs(jobs.SHIPMENTS_NOW)
    assert ship.status(uk) == "completed"
    assert ship.status(ours) == "processing"
    assert {"north/shipments", "track/trackers"} <= set(ship.open_codes())


def test_checks_tell_of_units_beyond_the_order_and_of_none_it_has(
    ship: ShippingWorld, runs: Runs
) -> None:
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    ship.north.ship(f"{ref}:f1")
    ship.run(2)
    found = checks(run(ship, runs, jobs.SHIPMENTS))
    assert found["nothing_beyond_the_order"] is True
    assert found["every_shipment_has_its_order"] is True

    ship.world.execute("update core.order_line_progress set shipped_units = 3")
    ship.world.execute("update core.shipment_lines set line_ref = null, order_ref = null")
    beyond = rules.nothing_beyond_the_order(ship.systems)
    assert (beyond.passed, beyond.metadata["count"].value) == (False, 1)
    assert beyond.metadata["units_beyond"].value == 2
    strange = rules.every_shipment_has_its_order(ship.systems)
    assert (strange.passed, strange.metadata["units"].value) == (False, 1)


def test_checks_tell_what_was_not_posted_or_shown_within_the_hour(
    ship: ShippingWorld, runs: Runs
) -> None:
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    ship.north.ship(f"{ref}:f1")
    ship.read()
    ship.core()
    ship.plan()
    (posted,) = [
        one
        for one in rules.build(ship.systems.settings)
        if "odoo_knows_what_left" in {spec.name for spec in one.check_specs}
    ]
    assert (posted(ship.systems).passed, rules.customers_were_told(ship.systems).passed) == (
        *(True, True),
    )
    ship.world.clock.forward(hours=2)
    for late in (posted(ship.systems), rules.customers_were_told(ship.systems)):
        assert late.passed is False
        assert ref in late.metadata["keys"].value
    ship.send()
    ship.run()
    assert posted(ship.systems).passed
    assert rules.customers_were_told(ship.systems).passed


def test_a_check_tells_of_parcels_nobody_speaks_of(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    ship.north.ship(f"{ref}:f1", parcels=[{"tracking_number": UPS, "carrier": "UPS"}])
    ship.run(2)
    ship.track.move(UPS, "in_transit", "departed_facility", "Departed")
    ship.run()
    assert rules.parcels_move(ship.systems).passed
    ship.world.clock.at += timedelta(days=8)
    silent = rules.parcels_move(ship.systems)
    assert (silent.passed, silent.metadata["keys"].value) == (False, UPS)
    ship.track.deliver(UPS)
    ship.run()
    assert rules.parcels_move(ship.systems).passed
