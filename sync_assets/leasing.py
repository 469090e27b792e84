"""Taking due writes of a system, batch by batch: what senders of every subject do alike."""

import uuid

from resources.errors import NotAsked
from resources.store import outbox
from resources.store.engine import connected
from resources.store.outbox import Write
from resources.store.systems import end_drain, standing, why_not
from resources.wiring import Systems


def worker_name(run_id: str | None) -> str:
    """A name for one sender of one run; two of a run would take one another's leases for theirs."""
    return f"{run_id or 'local'}/{uuid.uuid4().hex[:8]}"


def why_not_now(systems: Systems, system: str) -> NotAsked | None:
    """Why a system must not be asked now: it is paused, or its circuit is open."""
    with connected(systems.engine) as connection:
        return why_not(standing(connection, system), systems.now())


def take(
    systems: Systems, system: str, worker: str, limit: int, operations: str | None = None
) -> list[Write]:
    """Lease the next batch; where nothing is due any more, a drain that was asked for has ended."""
    with connected(systems.engine) as connection:
        now = systems.now()
        batch = outbox.lease(
            connection, system, worker=worker, now=now, limit=limit, operations=operations
        )
        if not batch:
            end_drain(connection, system, now)
        return batch
