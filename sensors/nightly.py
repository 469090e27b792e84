"""What the clock starts: the nightly comparison of all sides."""

import dagster as dg


def build(job_name: str) -> dg.ScheduleDefinition:
    """The nightly comparison, in UTC; off until somebody turns it on."""
    return dg.ScheduleDefinition(
        name="compare_every_night",
        job_name=job_name,
        cron_schedule="15 3 * * *",
        execution_timezone="UTC",
        description="Asks shops and ERPs what they hold and compares all sides.",
    )
