"""What failed in Dagster: the newest run of each job, the newest answer of each comparison.

Read from the instance's own records rather than through a cursor: a tick that dies loses
nothing, a run started on the command line counts as much as any, and a trouble is over when the
newest run says so.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from resources.errors import Remedy
from resources.store.alerts import MOST_THINGS, Alert, Severity
from sync_assets.outcomes import NEXT

SCOPE = "runs"
#: Days of a backfill that are looked at.
MOST_PARTITIONS = 200
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
PARTITION = "dagster/partition"
#: Faults that pass by themselves.
PASSING = (Remedy.RETRY.value, Remedy.FIND_OUT.value)


@dataclass(frozen=True)
class FailedStep:
    """One step that failed in the newest run of its job; "" where the run itself did."""

    job: str
    step: str
    run_id: str
    failed_at: datetime
    partition: str = ""
    system: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class FailedCheck:
    """A comparison whose newest answer is no."""

    name: str
    asset: str
    failed_at: datetime
    run_id: str
    counts: tuple[tuple[str, int], ...] = ()
    keys: tuple[str, ...] = ()


# ---------------------------------------------------------------- rules


def alerts(steps: Sequence[FailedStep], checks: Sequence[FailedCheck]) -> list[Alert]:
    """One alert for each job and failing step, and one for each difference."""
    groups = defaultdict(list)
    for one in steps:
        groups[one.job, one.step].append(one)
    return [
        *[_failed(found) for _, found in sorted(groups.items())],
        *[_differs(one) for one in checks],
    ]


def _failed(found: Sequence[FailedStep]) -> Alert:
    newest = max(found, key=lambda one: one.failed_at)
    where = f"Step {newest.step}" if newest.step else "The run itself"
    why = f" at {newest.system}" if newest.system else ""
    days = [one.partition for one in found if one.partition]
    passes = newest.remedy in PASSING
    then = NEXT[Remedy(newest.remedy)] if newest.remedy in set(Remedy) else "See what it says."
    return Alert(
        f"run:{newest.job}:{newest.step}",
        SCOPE,
        f"Job {newest.job} failed",
        Severity.WARNING if passes else Severity.CRITICAL,
        f"{where} failed{why} in run {newest.run_id}.",
        f"{then} UI: Runs > {newest.run_id[:8]}",
        min(one.failed_at for one in found),
        tuple(sorted(days)[:MOST_THINGS]),
        len(days),
    )


def _differs(one: FailedCheck) -> Alert:
    counts = ", ".join(f"{count:,} {name}" for name, count in one.counts) or "see its metadata"
    return Alert(
        f"check:{one.asset}:{one.name}",
        SCOPE,
        f"{one.name.replace('_', ' ')}: no",
        Severity.WARNING,
        f"The newest comparison found a difference: {counts}.",
        f"UI: Assets > {one.asset} > Checks > {one.name}",
        one.failed_at,
        one.keys[:MOST_THINGS],
        sum(count for _, count in one.counts),
    )


# ---------------------------------------------------------------- facts


def failed_runs(instance: dg.DagsterInstance, jobs: Collection[str]) -> list[FailedStep]:
    """Steps that failed in the newest ended run of each job, or of each of its partitions."""
    found = []
    for job in jobs:
        for record in _newest(instance, job):
            if record.dagster_run.status == dg.DagsterRunStatus.FAILURE:
                found += _steps(instance, record)
    return found


def _newest(instance: dg.DagsterInstance, job: str) -> list[dg.RunRecord]:
    """The newest ended run of a job; of a job with partitions, that of each."""
    ended = dg.RunsFilter(job_name=job, statuses=ENDED)
    records = list(instance.get_run_records(ended, limit=1))
    if not records or PARTITION not in records[0].dagster_run.tags:
        return records
    newest: dict[str, dg.RunRecord] = {}
    for record in instance.get_run_records(ended, limit=MOST_PARTITIONS):
        newest.setdefault(record.dagster_run.tags.get(PARTITION, ""), record)
    return list(newest.values())


def _steps(instance: dg.DagsterInstance, record: dg.RunRecord) -> list[FailedStep]:
    run = record.dagster_run
    day = run.tags.get(PARTITION, "")
    failures = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=MOST_THINGS
    ).records
    at = record.update_timestamp.astimezone(UTC)
    if not failures:
        return [FailedStep(run.job_name, "", run.run_id, at, day)]
    found = []
    for one in failures:
        event = one.event_log_entry.dagster_event
        if event is not None:
            said = event.step_failure_data.user_failure_data
            told = {name: str(value.value) for name, value in said.metadata.items()} if said else {}
            found.append(
                FailedStep(
                    run.job_name,
                    str(event.step_key),
                    run.run_id,
                    at,
                    day,
                    # Only what a step says in these words: its sentence may hold anything.
                    system=told.get("system", told.get("systems", "")),
                    remedy=told.get("remedy", ""),
                )
            )
    return found


def failed_checks(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetCheckKey]
) -> list[FailedCheck]:
    """Comparisons whose newest answer is no, with their counts and keys."""
    if not keys:
        return []
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    found = []
    for key, record in sorted(newest.items(), key=lambda one: str(one[0])):
        event = record.event.dagster_event if record.event else None
        if event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            continue
        answer = event.asset_check_evaluation_data
        if not answer.passed:
            at = datetime.fromtimestamp(record.create_timestamp, UTC)
            found.append(_answered_no(key, answer, at, record.run_id))
    return found


def _answered_no(
    key: dg.AssetCheckKey, answer: dg.AssetCheckEvaluation, at: datetime, run_id: str
) -> FailedCheck:
    told = {name: value.value for name, value in answer.metadata.items()}
    kinds = [
        name
        for name, value in told.items()
        if type(value) is int and value and name not in ("compared", "under_way")
    ]
    keys = [
        part for name in kinds for part in str(told.get(f"{name}_keys", "")).split(", ") if part
    ]
    return FailedCheck(
        key.name,
        key.asset_key.to_user_string(),
        at,
        run_id,
        tuple((name.replace("_", " "), int(str(told[name]))) for name in kinds),
        tuple(keys),
    )
