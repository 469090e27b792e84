"""What waits for one system, lane by lane, and how long it takes to go; nothing is sent here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows, scalar
from resources.store.outbox import LANES

#: Without any history: calls a write takes in a small batch, and how long a call takes.
GUESSED_CALLS, GUESSED_SECONDS = 1.0, 0.2
#: A shop is asked for a page of what its deliveries name.
DELIVERIES_PER_CALL = 100
HISTORY = timedelta(days=7)


@dataclass(frozen=True)
class Backlog:
    """Writes due now by lane, writes due later, and deliveries of a shop not followed yet."""

    writes_by_lane: dict[str, int]
    later: int = 0
    deliveries: int = 0

    @property
    def due(self) -> int:
        """All that is due now."""
        return sum(self.writes_by_lane.values()) + self.deliveries


@dataclass(frozen=True)
class History:
    """How a system was called lately, and how many writes came of it."""

    calls: int = 0
    seconds: float = 0.0
    writes: int = 0


def drain_seconds(backlog: Backlog, history: History, per_second: Decimal | None) -> float:
    """Estimate how long what is due takes, at the limit of calls and as fast as calls were."""
    per_write = history.calls / history.writes if history.writes else GUESSED_CALLS
    per_call = history.seconds / history.calls if history.calls else GUESSED_SECONDS
    writes = sum(backlog.writes_by_lane.values())
    calls = writes * per_write + -(-backlog.deliveries // DELIVERIES_PER_CALL)
    limited = calls / float(per_second) if per_second else 0.0
    return max(limited, calls * per_call)


def of(connection: Connection, system: str, now: datetime) -> Backlog:
    """Count what waits for a system; what is under way counts as well."""
    rows = read_rows(
        connection,
        "select lane, count(*) filter (where due_at <= :now) as due, "
        "count(*) filter (where due_at > :now) as later from ops.outbox "
        "where system = :system and state in ('waiting', 'unknown', 'leased') "
        "group by lane order by lane",
        system=system,
        now=now,
    )
    names = {number: name for name, number in LANES.items()}
    deliveries = scalar(
        connection,
        "select count(*) from ops.inbox where store = :system and due_at <= :now "
        "and state in ('waiting', 'leased')",
        system=system,
        now=now,
    )
    return Backlog(
        {names[row["lane"]]: int(row["due"]) for row in rows if row["due"]},
        sum(int(row["later"]) for row in rows),
        int(deliveries),
    )


def history(connection: Connection, system: str, now: datetime) -> History:
    """How a system was called during the last week."""
    row: dict[str, Any] = read_rows(
        connection,
        "select coalesce(sum(calls), 0) as calls, coalesce(sum(seconds), 0) as seconds, "
        "(select count(*) from ops.outbox o where o.system = :system and o.state = 'done' "
        "and o.updated_at > :since) as writes "
        "from ops.calls where system = :system and minute > :since",
        system=system,
        since=now - HISTORY,
    )[0]
    return History(int(row["calls"]), float(row["seconds"]), int(row["writes"]))
