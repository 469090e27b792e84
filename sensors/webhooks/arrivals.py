"""Arrivals and due writes: the shells that start a run the moment there is something to do.

The receiver beside knows nothing of this module, nor of Dagster.
"""

from collections.abc import Callable, Collection, Mapping

import dagster as dg

from resources.wiring import Systems
from sensors import pending
from sensors.pending import Fact, Pending


def build(job_name: str, *, is_on: bool) -> list[dg.SensorDefinition]:
    """The sensors that look at the inbox and at the outbox."""
    return [
        watching(
            "arrivals",
            job_name,
            pending.arrived,
            seconds=1,
            is_on=is_on,
            facts=[Fact.HINTS],
            description="Starts a run when deliveries wait to be followed or versions to be "
            "mapped; one at a time, with whatever is pending.",
        ),
        watching(
            "due_writes",
            job_name,
            pending.due,
            seconds=1,
            is_on=is_on,
            facts=[Fact.WRITES],
            description="Starts a run when writes to a system are due that is neither paused nor "
            "away.",
        ),
    ]


def watching(
    name: str,
    job_name: str,
    reasons: Callable[[Pending], list[str]],
    *,
    seconds: int,
    is_on: bool,
    description: str,
    tags: Mapping[str, str] | None = None,
    facts: Collection[Fact] = pending.ALL_FACTS,
) -> dg.SensorDefinition:
    """A sensor that starts `job_name` for the reasons a rule finds in what is pending."""

    @dg.sensor(
        name=name,
        job_name=job_name,
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        description=description,
    )
    def watch(
        context: dg.SensorEvaluationContext, systems: dg.ResourceParam[Systems]
    ) -> dg.SkipReason | dg.RunRequest:
        seen = pending.look(systems, job_name, facts)
        found = reasons(seen)
        if not found:
            return dg.SkipReason("a run is at work" if seen.is_running else "nothing to do")
        pending.ask(systems, job_name, seen.now)
        return dg.RunRequest(
            run_key=seen.now.isoformat(), tags={"sync/reason": found[0][:200], **(tags or {})}
        )

    return watch
