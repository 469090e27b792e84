"""What is wanted of a system: rows of a plan, and how they come into the outbox and out again.

For every thing of one shape. A row that wants nothing stays as the record that it was looked at;
`writing.py` sends what waits in the outbox.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store import exceptions, outbox
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import copy_rows, read_rows
from resources.wiring import Systems

#: Documents held in memory at once.
CHUNK = 500


@dataclass(frozen=True)
class Thing:
    """One kind of thing, written to one kind of system."""

    #: Kind of system: the first half of its tables' names.
    kind: str
    #: The second half: `fulfilment_orders`.
    name: str
    #: What its writes are called: `fulfilment.create`.
    operation: str
    lane: str
    #: What an exception about it is about.
    subject_kind: str = "order"
    #: Kind of its references in the identity map; none are kept without.
    ref_kind: str | None = None
    #: What problems of its writes are called where the system's own words are not a code of ours.
    code: str = "erp"

    @property
    def table(self) -> str:
        """Its tables' name within plan and receipt."""
        return f"{self.kind}__{self.name}"

    @property
    def prefix(self) -> str:
        """What its operations begin with."""
        return f"{self.operation}."


@dataclass(frozen=True)
class Planned:
    """One row of a plan."""

    key: str
    order_ref: str | None
    action: str  # create, change, cancel, none, held, conflict
    reason: str
    wanted: str | None  # the document as JSON
    wanted_hash: str
    core_version: int
    amount: Decimal | None = None
    currency: str | None = None


_COLUMNS = (
    *("system", "key", "order_ref", "action", "reason", "wanted", "wanted_hash", "core_version"),
    *("amount", "currency", "planned_at", "run_id"),
)


def keep_plan(
    connection: Connection,
    thing: Thing,
    system: str,
    rows: Iterable[Planned],
    now: datetime,
    run_id: str | None,
) -> dict[str, int]:
    """Put rows of a plan down, and answer how many there are of each action."""
    table, counts = f"plan.{thing.table}", dict[str, int]()
    stage = f"stage_{thing.name}"
    connection.exec_driver_sql(f"drop table if exists {stage}")
    connection.exec_driver_sql(f"create temp table {stage} (like {table}) on commit drop")
    unique = {row.key: row for row in rows}
    for row in unique.values():
        counts[row.action] = counts.get(row.action, 0) + 1
    values = [
        {**vars(row), "system": system, "planned_at": now, "run_id": run_id}
        for row in unique.values()
    ]
    copy_rows(connection, stage, _COLUMNS, ([one[name] for name in _COLUMNS] for one in values))
    names = ", ".join(_COLUMNS)
    changed = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[2:])
    connection.exec_driver_sql(
        f"insert into {table} as held ({names}) select {names} from {stage} "  # noqa: S608
        f"on conflict (system, key) do update set {changed} "
        "where (held.action, held.reason, held.wanted_hash, held.core_version, held.order_ref) "
        "is distinct from (excluded.action, excluded.reason, excluded.wanted_hash, "
        "excluded.core_version, excluded.order_ref)"
    )
    return counts


def promote(systems: Systems, thing: Thing, system: str) -> int:
    """Put what is planned into the outbox, take back what no longer is; answers how many wait."""
    now = systems.now()
    with (
        connected(systems.engine) as connection,
        one_at_a_time(connection, f"promote {thing.table} {system}"),
    ):
        _take_back(connection, thing, system, now)
        count, after = 0, ""
        while True:
            rows = read_rows(
                connection,
                _PLANNED.format(table=thing.table),
                system=system,
                operation=thing.operation,
                after=after,
                limit=CHUNK,
            )
            if not rows:
                return count
            count += outbox.intend(connection, system, [_intended(thing, row) for row in rows], now)
            after = rows[-1]["key"]


#: What had no effect and is wanted no more, or otherwise: a change of it is planned anew.
_UNWANTED = """
select x.id, x.thing_ref from ops.outbox x
left join plan.{table} p on p.system = x.system and p.key = x.thing_ref
where x.system = :system and starts_with(x.operation, :prefix)
  and x.operation is distinct from :operation || '.' || p.action
  and (x.state = 'waiting' and x.attempts = 0
       or x.state in ('waiting', 'parked') and p.action = 'cancel'
       or x.state = 'parked' and (p.key is null or p.action in ('none', 'conflict')))
order by x.id for update of x
"""

#: Planned, and neither under way nor answered in these very words.
_PLANNED = """
select p.* from plan.{table} p
left join receipt.{table} r using (system, key)
left join ops.outbox x on x.system = p.system and x.thing_ref = p.key
    and x.business_key = :operation || '.' || p.action || ':' || p.key
    and x.state in ('waiting', 'leased', 'unknown', 'parked') and x.wanted_hash = p.wanted_hash
where p.system = :system and p.action in ('create', 'change', 'cancel')
  and x.id is null and p.key > :after
  and not (r.key is not null and (
      p.action = 'cancel' and (r.outcome = 'cancelled'
         or r.remote_state in ('cancel_asked', 'cancel_refused')
            and r.wanted_hash = p.wanted_hash)
      or p.action in ('create', 'change') and r.outcome = 'accepted'
         and r.wanted_hash = p.wanted_hash))
order by p.key limit :limit
"""


def _take_back(connection: Connection, thing: Thing, system: str, now: datetime) -> None:
    query = _UNWANTED.format(table=thing.table)
    values = {"system": system, "prefix": thing.prefix, "operation": thing.operation}
    rows = read_rows(connection, query, **values)
    if not rows:
        return
    outbox.take_back(connection, [row["id"] for row in rows], now)
    things = [row["thing_ref"] for row in rows]
    codes = exceptions.open_codes(connection, things, f"{thing.code}.")
    exceptions.reconcile(connection, [], subjects=things, codes=codes, now=now)


def _intended(thing: Thing, row: Mapping[str, Any]) -> outbox.Intended:
    lane = "cancel" if row["action"] == "cancel" and thing.lane == "shipment" else thing.lane
    return outbox.Intended(
        operation=f"{thing.operation}.{row['action']}",
        thing_ref=row["key"],
        payload=row["wanted"],
        wanted_hash=row["wanted_hash"],
        core_version=row["core_version"],
        lane=outbox.LANES[lane],
        correlation_id=uuid.uuid4().hex,
        # The same change may be wanted again after another one; the plan says when.
        recurs=True,
    )
