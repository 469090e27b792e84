"""The inbox: one row per delivery, kept until it is settled; a hint, never the truth.

Duplicates are kept as deliveries and coalesced when they are leased. A lease that ran out is
seen again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.store.frames import read_rows


@dataclass(frozen=True)
class Delivery:
    """One delivery as received."""

    source: str
    store: str
    topic: str
    resource_id: str | None
    body: bytes
    correlation_id: str
    received_at: datetime
    due_at: datetime | None = None
    signature: str = "not_needed"
    headers: Mapping[str, str] = field(default_factory=dict)


def append(connection: Connection, deliveries: Sequence[Delivery]) -> list[int]:
    """Keep deliveries; answer their ids in the same order."""
    return [
        int(connection.execute(text(_APPEND), _values(delivery)).scalar_one())
        for delivery in deliveries
    ]


_APPEND = """
insert into ops.inbox (source, store, topic, resource_id, body, headers, signature, received_at,
    due_at, correlation_id)
values (:source, :store, :topic, :resource_id, :body, cast(:headers as jsonb), :signature,
    :received_at, :due_at, :correlation_id)
returning id
"""


def _values(delivery: Delivery) -> dict[str, Any]:
    return {
        **vars(delivery),
        "headers": json.dumps(dict(delivery.headers)),
        "due_at": delivery.due_at or delivery.received_at,
    }


def lease(
    connection: Connection,
    *,
    source: str,
    store: str,
    worker: str,
    now: datetime,
    hold: timedelta = timedelta(minutes=5),
    limit: int = 1000,
) -> dict[str, list[int]]:
    """Take due deliveries; answer delivery ids by resource id ("" where they name none)."""
    rows = read_rows(
        connection,
        """
        update ops.inbox i
        set state = 'leased', leased_by = :worker, lease_until = :until, attempts = attempts + 1
        where i.id in (
            select id from ops.inbox
            where source = :source and store = :store and due_at <= :now
              and (state = 'waiting' or (state = 'leased' and lease_until <= :now))
            order by due_at, id limit :limit for update skip locked)
        returning i.id, coalesce(i.resource_id, '') as resource_id
        """,
        source=source,
        store=store,
        worker=worker,
        now=now,
        until=now + hold,
        limit=limit,
    )
    hints: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda row: int(row["id"])):
        hints.setdefault(row["resource_id"], []).append(int(row["id"]))
    return hints


def settle(
    connection: Connection,
    ids: Sequence[int],
    *,
    worker: str,
    now: datetime,
    outcome: str,
) -> int:
    """End deliveries this worker holds; answer how many were still its own."""
    done = connection.execute(
        text(
            """
            update ops.inbox set state = 'settled', settled_at = :now, outcome = :outcome,
                leased_by = null, lease_until = null
            where id = any(:ids) and state = 'leased' and leased_by = :worker
            """
        ),
        {"ids": list(ids), "worker": worker, "now": now, "outcome": outcome},
    )
    return int(done.rowcount)


def quarantine(connection: Connection, ids: Sequence[int], *, now: datetime, outcome: str) -> None:
    """Set deliveries aside that cannot be read; they stay, with the reason."""
    connection.execute(
        text(
            """
            update ops.inbox set state = 'quarantined', settled_at = :now, outcome = :outcome,
                leased_by = null, lease_until = null
            where id = any(:ids)
            """
        ),
        {"ids": list(ids), "now": now, "outcome": outcome},
    )
