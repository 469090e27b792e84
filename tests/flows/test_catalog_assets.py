"""The catalog as Dagster assets: one run from ERP to shops, groups as partitions, a sensor."""

from collections.abc import Iterator

import dagster as dg
import pytest

from sensors import catalog_groups
from sync_assets.catalog import assets, publishing_assets
from sync_assets.catalog.publishing_assets import ITEM_GROUPS, PLAN_BY_GROUP, RECEIPT_BY_GROUP
from tests.worlds import World

JOB, BY_GROUP = "all_of_it", "of_a_group"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as one:
        yield one


@pytest.fixture
def defs(world: World) -> dg.Definitions:
    """The catalog alone, with the products of one store."""
    only_us = {"us": world.systems.settings.stores["us"]}
    world.systems.settings = world.systems.settings.model_copy(update={"stores": only_us})
    parts = dg.AssetSelection.assets(PLAN_BY_GROUP, RECEIPT_BY_GROUP)
    return dg.Definitions(
        assets=assets.build(world.systems.settings),
        jobs=[
            dg.define_asset_job(JOB, dg.AssetSelection.all() - parts),
            dg.define_asset_job(BY_GROUP, parts),
        ],
        sensors=[catalog_groups.build(is_on=False)],
        resources={"systems": world.systems},
    )


def test_one_run_carries_the_catalog_into_the_shop(
    world: World, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    world.clock.forward(seconds=2)
    result = defs.resolve_job_def(JOB).execute_in_process(instance=instance)
    assert result.success
    told = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert set(told) == {
        *("raw/odoo/items", "raw/woocommerce/products", "raw/woocommerce/variations"),
        *("core/products", "core/prices", "core/product_components", "core/product_refs"),
        *("core/listings", "core/sku_problems", "core/listing_mismatches"),
        *("plan/woocommerce/products", "receipt/woocommerce/products"),
    }
    assert told["plan/woocommerce/products"]["actions"].value == {"create": 3, "none": 3}
    assert world.shops["us"].count_products() == 3


def test_a_run_may_want_one_table_of_an_item_alone(
    world: World, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    refs = dg.AssetKey(["core", "product_refs"])
    result = defs.resolve_job_def(JOB).execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(["raw", "odoo", "items"]), refs]
    )
    assert result.success
    assert len(world.rows("select * from core.products")) == 6


def test_a_partition_is_planned_and_sent_alone(
    world: World, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    world.erp.set_category("TEA", "All", "Drinks")
    world.clock.forward(seconds=2)
    job = defs.resolve_job_def(JOB)
    before = [key for key in job.asset_layer.selected_asset_keys if key.path[0] in ("raw", "core")]
    wanted = [key for key in before if key != publishing_assets.MISMATCHES]
    assert job.execute_in_process(instance=instance, asset_selection=wanted).success
    instance.add_dynamic_partitions(ITEM_GROUPS, ["All / Drinks", "All"])
    key = dg.MultiPartitionKey({"store": "us", "item_group": "All / Drinks"})
    result = defs.resolve_job_def(BY_GROUP).execute_in_process(instance=instance, partition_key=key)
    assert result.success
    assert world.shops["us"].products_with("TEA") != []
    assert world.shops["us"].count_products() == 1


def test_the_sensor_keeps_the_partitions_in_step(
    world: World, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    world.erp.set_category("TEA", "All", "Drinks")
    job = defs.resolve_job_def(JOB)
    core = [dg.AssetKey(["raw", "odoo", "items"]), dg.AssetKey(["core", "products"])]
    assert job.execute_in_process(instance=instance, asset_selection=core).success
    instance.add_dynamic_partitions(ITEM_GROUPS, ["Gone"])
    sensor = defs.resolve_sensor_def("item_groups")
    context = dg.build_sensor_context(instance=instance, resources={"systems": world.systems})
    requests = sensor.evaluate_tick(context).dynamic_partitions_requests or []
    told = {type(one).__name__: list(one.partition_keys) for one in requests}
    assert told == {
        "AddDynamicPartitionsRequest": ["All", "All / Drinks"],
        "DeleteDynamicPartitionsRequest": ["Gone"],
    }


def test_a_policy_that_cannot_be_used_plans_nothing(
    world: World,
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    tmp_path: object,
) -> None:
    path = f"{tmp_path}/catalog.yaml"
    with open(path, "w") as file:
        file.write("defaults: {archived_becomes: deleted}")
    policies = world.systems.settings.policies.model_copy(update={"catalog": path})
    world.systems.settings = world.systems.settings.model_copy(update={"policies": policies})
    result = defs.resolve_job_def(JOB).execute_in_process(instance=instance, raise_on_error=False)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert "defaults.archived_becomes" in (data.description or "")
    assert world.rows("select * from plan.woocommerce__products") == []
    assert world.shops["us"].count_products() == 0


def test_what_plans_and_sends_is_in_the_pool_and_what_others_need_too_is_not(
    defs: dg.Definitions,
) -> None:
    for definition in defs.assets or []:
        assert isinstance(definition, dg.AssetsDefinition)
        publishes = any(key.path[0] in ("plan", "receipt") for key in definition.keys)
        assert definition.op.pool == ("catalog" if publishes else None), definition.keys
