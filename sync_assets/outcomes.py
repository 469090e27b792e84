"""What a step is told by its run, and how its end is told: counts, failures, what to do next."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from resources.errors import Remedy, RemoteError
from resources.store.postgres import DatabaseUnavailable
from sync_assets.reading import Tally

#: A run with this tag does what is due and new, and is handed to a warm worker where one is alive.
URGENT = "sync/urgent"
NEXT = {
    Remedy.RETRY: "It passes by itself; the next run tries again.",
    Remedy.SIGN_IN: "Check the key, user and password of this system, then run again.",
    Remedy.GIVE_TO_PERSON: "Sending it again will not help; see `sync-assets exceptions`.",
    Remedy.FIND_OUT: "The next run looks up what happened before it does anything else.",
}


def is_lasting(error: RemoteError) -> bool:
    """Whether trying again cannot help before a person did something."""
    return error.remedy in (Remedy.SIGN_IN, Remedy.GIVE_TO_PERSON)


@contextmanager
def told() -> Iterator[None]:
    """Let remote and database errors end the step with one sentence and the right retry."""
    try:
        yield
    except RemoteError as error:
        raise dg.Failure(
            description=f"{error} {NEXT[error.remedy]}",
            metadata={"remedy": error.remedy.value, "system": error.system},
            allow_retries=not is_lasting(error),
        ) from error
    except DatabaseUnavailable as error:
        raise dg.Failure(description=str(error)) from error


def is_urgent(context: dg.AssetExecutionContext) -> bool:
    """Whether this run is one of many a minute, which leave out what was done a moment ago."""
    return URGENT in context.run.tags


def counted(**counts: Any) -> dict[str, Any]:
    """Counts as asset metadata; `rows` becomes Dagster's own row count."""
    rows = counts.pop("rows", None)
    shown = {name: value for name, value in counts.items() if value not in (None, {}, [])}
    return shown if rows is None else {"dagster/row_count": rows, **shown}


def read_result(tally: Tally, sources: Collection[str]) -> dg.MaterializeResult[None]:
    """A reading step's counts; it fails only when nobody answered."""
    if tally.failed and len(tally.failed) == len(sources):
        following = " ".join(dict.fromkeys(NEXT[fault.remedy] for fault in tally.faults))
        raise dg.Failure(
            description=f"{'; '.join(tally.failed.values())} {following}",
            metadata={"systems": ", ".join(tally.failed)},
            allow_retries=not all(is_lasting(fault) for fault in tally.faults),
        )
    return was_read(tally)


def was_read(tally: Tally) -> dg.MaterializeResult[None]:
    """A reading step's counts, and who did not answer: told as an exception each.

    The step ends well all the same, for one system that is away must not keep back what the others
    wait for.
    """
    return dg.MaterializeResult(
        metadata=counted(
            rows=tally.seen,
            new_versions=tally.new,
            set_aside=tally.broken,
            failed=tally.failed,
            paused=tally.paused,
        )
    )
