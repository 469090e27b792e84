"""What the clock starts: the catalog and the whole stock, the nightly comparisons, and the scan
before them; in UTC.
"""

from datetime import datetime

import dagster as dg

from resources.settings import Settings
from sync_assets import jobs
from sync_assets.catalog.assets import WHOLE


def build(settings: Settings, *, is_on: bool) -> list[dg.ScheduleDefinition]:
    """All schedules of a deployment but the purge."""
    status = dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED

    def schedule(
        name: str, job: str, cron: str, description: str, tags: dict[str, str] | None = None
    ) -> dg.ScheduleDefinition:
        return dg.ScheduleDefinition(
            name=name,
            job_name=job,
            cron_schedule=cron,
            execution_timezone="UTC",
            default_status=status,
            description=description,
            tags=tags,
        )

    found = [
        schedule(
            "scan_every_night",
            jobs.SCAN,
            "45 2 * * *",
            "Looks for orders that were deleted for good, and for ids we never saw.",
        ),
        schedule(
            "compare_every_night",
            jobs.COMPARE,
            "15 3 * * *",
            "Asks shops and ERPs what they hold and compares all sides.",
        ),
        schedule(
            "catalog_every_hour",
            jobs.CATALOG,
            "20 * * * *",
            "Carries what changed in the ERPs' items to the shops.",
        ),
        schedule(
            "catalog_every_night",
            jobs.CATALOG,
            "10 1 * * *",
            "Reads every shop's products from end to end, so that what was deleted is noticed.",
            {WHOLE: "true"},
        ),
        schedule(
            "stock_every_night",
            jobs.STOCK,
            "40 1 * * *",
            "Reads every stock level anew, whatever the movements told.",
        ),
    ]
    return [*found, *([_drift(settings, status)] if settings.stores else [])]


def _drift(settings: Settings, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """One run a store, because each may be run again by itself."""

    @dg.schedule(
        name="stock_compare_every_night",
        job_name=jobs.STOCK_COMPARE,
        cron_schedule="30 3 * * *",
        execution_timezone="UTC",
        default_status=status,
        description="Compares what every store shows with what we worked out.",
    )
    def drift(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        night: datetime = context.scheduled_execution_time
        return [
            dg.RunRequest(run_key=f"{store}/{night:%Y-%m-%d}", partition_key=store)
            for store in sorted(settings.publishing("stock"))
        ]

    return drift
