"""Partitions follow the ERP's item groups."""

import dagster as dg

from sensors.catalog_groups import Step, in_step
from sync_assets.catalog.publishing_assets import NO_GROUP, by_store, group_of, partition_of


def test_new_groups_are_added_and_empty_ones_removed() -> None:
    step = in_step(["All", "All / Tea"], ["All", "All / Mugs"])
    assert step == Step(["All / Tea"], ["All / Mugs"])
    assert in_step(["All"], ["All"]) == Step([], [])


def test_no_groups_at_all_remove_nothing() -> None:
    assert in_step([], ["All"]) == Step([], [])


def test_a_group_without_a_name_or_with_a_bar_has_a_partition_too() -> None:
    for group in ("", "A|B", "All / Tea"):
        assert group_of(partition_of(group)) == group
    assert partition_of("") == NO_GROUP
    assert "|" not in partition_of("A|B")


def test_partitions_are_told_by_store() -> None:
    keys = [
        dg.MultiPartitionKey({"store": store, "item_group": group})
        for store, group in (("us", "All"), ("us", NO_GROUP), ("uk", "All"))
    ]
    assert by_store(keys) == {"us": ["All", ""], "uk": ["All"]}
