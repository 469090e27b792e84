"""What the clock starts: the nightly comparison of all sides, and the scan before it."""

import dagster as dg


def build(compare_job: str, scan_job: str, *, is_on: bool) -> list[dg.ScheduleDefinition]:
    """The scan and, when what it found has gone its way, the comparison; in UTC."""
    status = dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED
    return [
        dg.ScheduleDefinition(
            name="scan_every_night",
            job_name=scan_job,
            cron_schedule="45 2 * * *",
            execution_timezone="UTC",
            default_status=status,
            description="Looks for orders that were deleted for good, and for ids we never saw.",
        ),
        dg.ScheduleDefinition(
            name="compare_every_night",
            job_name=compare_job,
            cron_schedule="15 3 * * *",
            execution_timezone="UTC",
            default_status=status,
            description="Asks shops and ERPs what they hold and compares all sides.",
        ),
    ]
