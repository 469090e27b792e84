"""Partitions of the catalog in step with what the ERPs have: a rule, and the sensor round it."""

from collections.abc import Collection
from dataclasses import dataclass

import dagster as dg

from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.catalog.publishing_assets import ITEM_GROUPS, partition_of


@dataclass(frozen=True)
class Step:
    """Partitions to add and to remove."""

    added: list[str]
    removed: list[str]


def in_step(groups: Collection[str], partitions: Collection[str]) -> Step:
    """What partitions lack and have too many; no groups at all mean that nobody has read any."""
    if not groups:
        return Step([], [])
    wanted = {partition_of(group) for group in groups}
    return Step(sorted(wanted - set(partitions)), sorted(set(partitions) - wanted))


def groups_of(systems: Systems) -> list[str]:
    """The item groups of all products that a shop may show."""
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            "select distinct item_group from core.products where sku is not null order by 1",
        )
    return [row["item_group"] for row in rows]


def build(*, is_on: bool) -> dg.SensorDefinition:
    """The sensor that keeps the dynamic partitions in step with core.products."""

    @dg.sensor(
        name=ITEM_GROUPS,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        description="Adds a partition for every item group of the ERPs, and removes those that no "
        "product is in any more. Starts no run.",
    )
    def item_groups(
        context: dg.SensorEvaluationContext, systems: dg.ResourceParam[Systems]
    ) -> dg.SensorResult | dg.SkipReason:
        known = context.instance.get_dynamic_partitions(ITEM_GROUPS)
        step = in_step(groups_of(systems), known)
        partitions = dg.DynamicPartitionsDefinition(name=ITEM_GROUPS)
        requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
        if step.added:
            requests.append(partitions.build_add_request(step.added))
        if step.removed:
            requests.append(partitions.build_delete_request(step.removed))
        if not requests:
            return dg.SkipReason(f"{len(known)} item groups, all in step")
        return dg.SensorResult(dynamic_partitions_requests=requests)

    return item_groups
