"""What is settled and old leaves the tables, a batch a transaction; nothing here decides by itself.

Open work, exceptions, the audit, core and receipts are never purged. Rows somebody else works on
are passed over, so a purge waits for nobody and nobody waits for it; one that is killed has done
some batches and not the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from resources.settings import Retention
from resources.store.engine import connected
from resources.store.frames import read_rows

BATCH = 5_000
#: A worker says every few seconds that it is alive.
WORKER_IS_DEAD_AFTER = timedelta(days=1)
#: Tables that keep every version of a number.
VERSIONED = (
    "core.stock_level_versions",
    "core.reservation_versions",
    "core.availability_versions",
)
#: The newest answer of a listing says what it was last told.
_REPLACED_RECEIPT = (
    "t.answered_at < :before and exists (select from receipt.woocommerce__stock n "
    "where n.system = t.system and n.product_id = t.product_id and n.id > t.id)"
)


@dataclass(frozen=True)
class Policy:
    """Which rows of a table go: those older than `days` that `condition` describes."""

    table: str
    key: str
    days: int
    #: Of the row `t`; `:before` is the moment that separates old from new.
    condition: str


@dataclass(frozen=True)
class Purged:
    """What one batch took from a table: rows, and about how many bytes they held."""

    table: str
    rows: int
    bytes: int


def policies(connection: Connection, retention: Retention) -> list[Policy]:
    """What a deployment keeps how long, for every table that would grow for ever."""
    return [
        Policy("ops.inbox", "id", retention.inbox_days, _INBOX),
        Policy("ops.outbox", "id", retention.outbox_days, _OUTBOX),
        *[
            Policy(table, "version", retention.raw_days, _raw(table))
            for table in raw_tables(connection)
        ],
        *[
            Policy(table, "ctid", retention.history_days, "t.replaced_at < :before")
            for table in VERSIONED
        ],
        Policy("core.stock_drift", "ctid", retention.history_days, "t.compared_at < :before"),
        Policy("receipt.woocommerce__stock", "id", retention.history_days, _REPLACED_RECEIPT),
        Policy("ops.calls", "ctid", retention.calls_days, "t.minute < :before"),
        Policy("ops.alert", "ctid", retention.runs_days, "t.ended_at < :before"),
        Policy("ops.handover", "ctid", retention.runs_days, _HANDOVER),
        Policy("ops.worker", "ctid", WORKER_IS_DEAD_AFTER.days, "t.beat_at < :before"),
    ]


def raw_tables(connection: Connection) -> list[str]:
    """The tables of what systems said, by their shape."""
    rows = read_rows(
        connection,
        "select c.table_name from information_schema.columns c join information_schema.tables t "
        "using (table_schema, table_name) where c.table_schema = 'raw' "
        "and t.table_type = 'BASE TABLE' and c.column_name in ('version', 'mapped_at') "
        "group by 1 having count(*) = 2 order by 1",
    )
    return [f"raw.{row['table_name']}" for row in rows]


def older_than(retention: Retention, days: int | None) -> Retention:
    """The same retention, or one that keeps everything for so many days."""
    return Retention(**dict.fromkeys(Retention.model_fields, days)) if days else retention


def countable(engine: Engine, retention: Retention, now: datetime) -> Iterator[Purged]:
    """Count what a purge would take, table by table, and touch nothing."""
    for policy in _policies(engine, retention):
        with connected(engine) as connection:
            query = f"select count(*) from {policy.table} t where {policy.condition}"  # noqa: S608
            count = connection.execute(text(query), _values(policy, now)).scalar_one()
        yield Purged(policy.table, int(count), 0)


def purge(
    engine: Engine, retention: Retention, now: datetime, batch: int = BATCH
) -> Iterator[Purged]:
    """Take what is settled and old, and tell of each batch once it is committed."""
    for policy in _policies(engine, retention):
        after = None
        while True:
            with connected(engine) as connection:
                taken, after = _take(connection, policy, now, after, batch)
            yield taken
            if after is None:
                break


def _policies(engine: Engine, retention: Retention) -> Sequence[Policy]:
    with connected(engine) as connection:
        return policies(connection, retention)


def _values(policy: Policy, now: datetime) -> dict[str, datetime]:
    return {"before": now - timedelta(days=policy.days)}


def _take(
    connection: Connection, policy: Policy, now: datetime, after: str | None, batch: int
) -> tuple[Purged, str | None]:
    """Delete one batch; answers what it was and the key it came to, None at the end.

    Going on from a key keeps a batch from walking over what the batches before it deleted or
    had to leave.
    """
    kind = "tid" if policy.key == "ctid" else "bigint"
    row = (
        connection.execute(
            text(
                f"""
                with old as (
                    select t.{policy.key} as key from {policy.table} t
                    where (cast(:after as text) is null
                           or t.{policy.key} > cast(cast(:after as text) as {kind}))
                      and {policy.condition}
                    order by t.{policy.key} limit :batch for update of t skip locked),
                gone as (
                    delete from {policy.table} t using old where t.{policy.key} = old.key
                    returning pg_column_size(t) as size)
                select (select count(*) from gone) as rows,
                       (select coalesce(sum(size), 0) from gone) as bytes,
                       (select count(*) from old) as seen,
                       cast((select max(key) from old) as text) as last
                """  # noqa: S608
            ),
            {**_values(policy, now), "after": after, "batch": batch},
        )
        .mappings()
        .one()
    )
    taken = Purged(policy.table, int(row["rows"]), int(row["bytes"]))
    return taken, row["last"] if row["seen"] == batch else None


def _raw(table: str) -> str:
    condition = _SUPERSEDED.format(table=table, name=table.removeprefix("raw."))
    return condition + _UNUSED_BY_ORDERS if table.endswith("__orders") else condition


#: What was set aside stays until its exception has ended; which one that is is told by the thing
#: it names and by what it said. A delivery whose replay is under way stays beside it.
_INBOX = """
t.received_at < :before and t.settled_at < :before
and (t.state = 'settled' or t.state = 'quarantined' and (
    select coalesce(bool_and(e.state <> 'open'), false) from ops.exception e
    where e.subject_ref in (
            t.source || ':' || coalesce(t.resource_id, 'unknown'),
            t.source || ':' || t.topic || ':' || coalesce(t.resource_id, 'unknown'))
      and e.code like '%.malformed'
      and e.part = left(encode(sha256(
            case t.body when '' then convert_to(t.outcome, 'UTF8') else t.body end), 'hex'), 12)))
and not exists (
    select from ops.inbox r where r.replay_of = t.id and r.state in ('waiting', 'leased'))
"""

#: What the write did is kept in its receipt; one whose thing still waits for a person tells more.
_OUTBOX = """
t.state in ('done', 'refused') and t.updated_at < :before
and not exists (
    select from ops.exception e where e.subject_ref = t.thing_ref and e.state = 'open')
"""

#: A version goes so many days after a newer one came, if nothing points to it. The newest stays,
#: and what was never mapped.
_SUPERSEDED = """
t.received_at < :before and t.mapped_at is not null
and exists (
    select from {table} n
    where n.source = t.source and n.resource_id = t.resource_id and n.received_at < :before
      and (n.changed_at, n.version) > (t.changed_at, t.version))
and not exists (
    select from ops.exception e where e.version = t.version and e.subject_ref in (
        t.source || ':' || t.resource_id,
        t.source || ':{name}:' || t.resource_id))
"""

#: Versions of orders are pointed to, by our key of the order and the version.
_UNUSED_BY_ORDERS = """
and not exists (select from core.orders o
    where o.order_ref = t.source || ':' || t.resource_id and o.raw_version = t.version)
and not exists (select from core.order_changes c
    where c.order_ref = t.source || ':' || t.resource_id and c.raw_version = t.version)
and not exists (select from plan.sales_orders p
    where p.order_ref = t.source || ':' || t.resource_id and p.core_version = t.version)
and not exists (select from receipt.sales_orders r
    where r.order_ref = t.source || ':' || t.resource_id and r.core_version = t.version)
and not exists (select from ops.outbox x
    where x.thing_ref = t.source || ':' || t.resource_id and x.core_version = t.version)
"""

#: One that was taken and whose worker died with it has no end of its own.
_HANDOVER = """
coalesce(t.ended_at, case when not exists (
    select from ops.worker w where w.worker = t.taken_by and w.run_id = t.run_id)
    then t.taken_at end) < :before
"""
