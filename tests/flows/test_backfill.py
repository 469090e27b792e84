"""History by store and day: exactly that UTC day, into the same tables, beside the delta."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from sync_assets import jobs
from sync_assets.orders.assets import RAW_ORDERS_BY_DAY
from sync_assets.partitions import store_days
from tests.runs import Runs, failures, shown
from tests.worlds import STORES, World, deployment

MIDNIGHT = datetime(2026, 2, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def runs(world: World) -> Iterator[Runs]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(world, instance)


def day(store: str, on: str = "2026-02-10") -> str:
    return str(dg.MultiPartitionKey({"store": store, "day": on}))


def raw_refs(world: World) -> dict[str, str]:
    """How each stored order reached us, by key."""
    rows = world.rows("select source, resource_id, via from raw.woocommerce__orders")
    return {f"{row['source']}:{row['resource_id']}": row["via"] for row in rows}


def core_refs(world: World) -> list[str]:
    return [row["order_ref"] for row in world.rows("select order_ref from core.orders order by 1")]


def read_day(runs: Runs, store: str, on: str = "2026-02-10") -> dg.ExecuteInProcessResult:
    result = runs(jobs.BACKFILL, RAW_ORDERS_BY_DAY, partition=day(store, on))
    assert result.success
    return result


@pytest.mark.parametrize("store", sorted(STORES))
def test_a_day_is_from_midnight_to_midnight_utc_wherever_the_store_stands(
    world: World, runs: Runs, store: str
) -> None:
    # New York is behind UTC and London is level with it in winter; the shop shows both times.
    before, first, last, after = (
        world.place(store, placed_at=moment)
        for moment in (MIDNIGHT - SECOND, MIDNIGHT, MIDNIGHT + DAY - SECOND, MIDNIGHT + DAY)
    )
    result = read_day(runs, store)
    (told,) = result.asset_materializations_for_node("raw__woocommerce__orders_by_day")
    assert (shown(told)["dagster/row_count"], shown(told)["new_versions"]) == (2, 2)
    assert raw_refs(world) == {f"{store}:{first}": "backfill", f"{store}:{last}": "backfill"}
    read_day(runs, store, "2026-02-09")
    read_day(runs, store, "2026-02-11")
    assert set(raw_refs(world)) == {f"{store}:{n}" for n in (before, first, last, after)}


def test_days_of_a_store_east_of_greenwich_in_summer_are_utc_days_too(
    world: World, runs: Runs
) -> None:
    # Midnight UTC is one o'clock in London's summer: the local day began an hour before.
    midnight = datetime(2026, 6, 10, tzinfo=UTC)
    world.clock.at = midnight + timedelta(days=30)
    local_day_only = world.place("uk", placed_at=midnight - timedelta(minutes=30))
    both = world.place("uk", placed_at=midnight + timedelta(minutes=30))
    assert world.shops["uk"].order_json(local_day_only)["date_created"] == "2026-06-10T00:30:00"
    read_day(runs, "uk", "2026-06-10")
    assert raw_refs(world) == {f"uk:{both}": "backfill"}


def test_only_the_asked_store_is_read(world: World, runs: Runs) -> None:
    us = world.place("us", placed_at=MIDNIGHT)
    world.place("uk", placed_at=MIDNIGHT)
    read_day(runs, "us")
    assert raw_refs(world) == {f"us:{us}": "backfill"}
    assert not [name for name in world.shops["uk"].calls if "orders" in name]


def test_a_day_read_again_adds_nothing(world: World, runs: Runs) -> None:
    world.place(placed_at=MIDNIGHT)
    read_day(runs, "us")
    (told,) = read_day(runs, "us").asset_materializations_for_node(
        "raw__woocommerce__orders_by_day"
    )
    assert (shown(told)["dagster/row_count"], shown(told).get("new_versions")) == (1, 0)
    assert len(world.rows("select version from raw.woocommerce__orders")) == 1


def test_delta_and_backfill_keep_one_version_of_one_order(world: World, runs: Runs) -> None:
    ref = f"us:{world.place(placed_at=MIDNIGHT)}"
    world.run()
    read_day(runs, "us")
    assert raw_refs(world) == {ref: "delta"}
    assert len(world.rows("select version from raw.woocommerce__orders")) == 1
    assert core_refs(world) == [ref]


def test_the_backfill_leaves_the_watermark_alone_and_hides_nothing_from_the_delta(
    world: World, runs: Runs
) -> None:
    old = f"us:{world.place(placed_at=MIDNIGHT)}"
    read_day(runs, "us")
    assert world.rows("select * from ops.watermark") == []
    world.run()
    marks = world.rows("select * from ops.watermark order by source, stream")
    world.clock.forward(hours=1)
    new = f"us:{world.place()}"
    read_day(runs, "us")
    assert world.rows("select * from ops.watermark order by source, stream") == marks
    world.run()
    assert set(core_refs(world)) == {old, new}
    assert world.erp.order_count() == 2


def test_a_backfilled_day_is_mapped_and_checked_and_not_sent(world: World, runs: Runs) -> None:
    ref = f"us:{world.place(placed_at=MIDNIGHT)}"
    result = runs(jobs.BACKFILL, partition=day("us"))
    assert result.success
    assert core_refs(world) == [ref]
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks["orders_keep_their_schema"]
    assert all(checks.values())
    assert world.rows("select * from plan.sales_orders") == []
    assert world.rows("select * from ops.exception") == []  # the ERP's items are not read yet
    assert world.erp.order_count() == 0
    world.run()
    assert world.outbox() == {ref: "done"}


def test_orders_placed_before_a_store_goes_live_are_kept_and_not_sent(
    world: World, runs: Runs
) -> None:
    _goes_live(world, MIDNIGHT)
    old = f"us:{world.place(placed_at=MIDNIGHT - SECOND)}"
    new = f"us:{world.place(placed_at=MIDNIGHT)}"
    read_day(runs, "us", "2026-02-09")
    read_day(runs, "us", "2026-02-10")
    world.run()
    assert core_refs(world) == sorted([old, new])
    assert world.outbox() == {new: "done"}
    assert set(world.in_erp()) == {new}
    states = world.rows("select order_ref, pipeline_state from mart.orders order by 1")
    assert states == [
        {"order_ref": old, "pipeline_state": "received"},
        {"order_ref": new, "pipeline_state": "accepted"},
    ]


def test_an_order_from_before_is_not_sent_when_it_changes_later(world: World) -> None:
    _goes_live(world, MIDNIGHT)
    order_id = world.place(placed_at=MIDNIGHT - SECOND, status="on-hold")
    world.run()
    world.shops["us"].set_status(order_id, "processing")
    world.run()
    assert world.rows("select state from core.orders") == [{"state": "paid"}]
    assert world.erp.order_count() == 0
    assert world.open_codes(f"us:{order_id}") == set()


def _goes_live(world: World, at: datetime) -> None:
    settings = world.systems.settings
    us = settings.stores["us"].model_copy(update={"send_orders_from": at})
    stores = {**settings.stores, "us": us}
    world.systems.settings = settings.model_copy(update={"stores": stores})


def test_a_store_that_does_not_answer_fails_its_day_alone(world: World, runs: Runs) -> None:
    world.shops["us"].secret = "another"
    world.place("uk", placed_at=MIDNIGHT)
    result = runs(jobs.BACKFILL, RAW_ORDERS_BY_DAY, partition=day("us"))
    (failure,) = failures(result).values()
    assert str(failure.description).endswith(
        "Check the key, user and password of this system, then run again."
    )
    read_day(runs, "uk")
    assert len(raw_refs(world)) == 1


def test_partitions_run_from_the_configured_day_to_today() -> None:
    found = store_days(deployment())
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    keys: list[Any] = list(found.get_partition_keys(current_time=at))
    days = {key.keys_by_dimension["day"] for key in keys}
    assert {key.keys_by_dimension["store"] for key in keys} == {"us", "uk"}
    assert (min(days), max(days), len(days)) == ("2026-01-01", "2026-03-02", 61)
