"""Partitions: a store's orders by the UTC day they were placed on."""

import dagster as dg

from resources.settings import Settings


def store_days(settings: Settings) -> dg.MultiPartitionsDefinition:
    """One partition per store and day, from the configured start up to yesterday and today."""
    return dg.MultiPartitionsDefinition(
        {
            "store": dg.StaticPartitionsDefinition(sorted(settings.stores) or ["none"]),
            "day": dg.DailyPartitionsDefinition(settings.backfill_from, end_offset=1),
        }
    )
