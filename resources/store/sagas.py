"""Steps of sagas, written down: each with who, why and what it follows from.

Which steps are allowed stands in `core.saga_rules`; the database moves the state of the subject in
the same statement and refuses a step from where the subject does not stand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.store.frames import read_rows

#: Where the rows of a saga are, and by which column they are named.
TABLES: Mapping[str, tuple[str, str]] = {
    "fulfilment": ("core.fulfilment_orders", "fulfilment_ref"),
    "return": ("core.returns", "return_ref"),
    "refund": ("core.refunds", "refund_ref"),
}


@dataclass(frozen=True)
class Step:
    """One step of one saga."""

    saga: str
    subject_ref: str
    from_state: str
    to_state: str
    actor: str
    reason: str
    cause: str


def take(
    connection: Connection, steps: Sequence[Step], now: datetime, run_id: str | None = None
) -> int:
    """Take steps in their order; raises IntegrityError for one that is not allowed from there."""
    if steps:
        connection.execute(text(_TAKE), [{**vars(one), "at": now, "run": run_id} for one in steps])
    return len(steps)


_TAKE = """
insert into core.saga_steps (saga, subject_ref, from_state, to_state, actor, reason, cause, at,
    run_id)
values (:saga, :subject_ref, :from_state, :to_state, :actor, :reason, :cause, :at, :run)
"""


def steps_of(connection: Connection, subjects: Sequence[str]) -> list[dict[str, Any]]:
    """All steps of these subjects, the first one first."""
    return read_rows(
        connection,
        "select * from core.saga_steps where subject_ref = any(:subjects) order by id",
        subjects=list(subjects),
    )


def states(connection: Connection, saga: str, subjects: Sequence[str]) -> dict[str, str]:
    """Where these subjects stand, held so until the transaction ends; unknown ones are absent."""
    table, key = TABLES[saga]
    rows = read_rows(
        connection,
        f"select {key} as ref, state from {table} where {key} = any(:keys) order by 1 for update",  # noqa: S608
        keys=list(subjects),
    )
    return {row["ref"]: row["state"] for row in rows}
