"""What systems said, every version once, and how far each stream was read."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.store.frames import Unstorable, all_or_nothing, copy_rows, read_rows, scalar

COLUMNS = (
    "source",
    "resource_id",
    "changed_at",
    "content_hash",
    "payload",
    "via",
    "received_at",
    "run_id",
    "correlation_id",
)


@dataclass(frozen=True)
class Said:
    """One thing as a system said it: the exact text of its JSON object."""

    resource_id: str
    changed_at: datetime
    text: str

    @property
    def content_hash(self) -> bytes:
        """Digest of the text as received."""
        return hashlib.sha256(self.text.encode()).digest()


@dataclass(frozen=True)
class Reading:
    """How and when things were read."""

    source: str
    via: str
    received_at: datetime
    run_id: str | None = None
    correlation_id: str | None = None


def append(connection: Connection, table: str, things: Iterable[Said], reading: Reading) -> int:
    """Keep what is new of `things` in `raw.<table>`; answer how many versions were new.

    A version equal to the newest one we hold is not kept again; neither is an older one we hold.
    """
    connection.exec_driver_sql(
        "create temp table if not exists stage_raw (source text, resource_id text, "
        "changed_at timestamptz, content_hash bytea, payload json, via text, "
        "received_at timestamptz, run_id text, correlation_id text) on commit delete rows"
    )
    connection.exec_driver_sql("truncate stage_raw")
    copy_rows(connection, "stage_raw", COLUMNS, (_row(thing, reading) for thing in things))
    names = ", ".join(COLUMNS)
    added = connection.execute(
        text(
            f"""
            insert into raw.{table} ({names})
            select distinct on (source, resource_id, changed_at, content_hash) {names}
            from stage_raw s
            where not exists (
                select from (
                    select r.content_hash, r.changed_at from raw.{table} r
                    where r.source = s.source and r.resource_id = s.resource_id
                    order by r.changed_at desc, r.version desc limit 1
                ) newest
                where newest.content_hash = s.content_hash or (
                    newest.changed_at > s.changed_at and exists (
                        select from raw.{table} o
                        where o.source = s.source and o.resource_id = s.resource_id
                          and o.changed_at = s.changed_at and o.content_hash = s.content_hash
                    )
                )
            )
            """  # noqa: S608
        )
    )
    return int(added.rowcount)


def append_storable(
    connection: Connection, table: str, things: Sequence[Said], reading: Reading
) -> tuple[int, list[tuple[Said, str]]]:
    """Keep what the database can hold; answer how many were new, and what was refused and why.

    Its JSON is stricter than most parsers: a `NaN` in one thing must not cost the others.
    """
    try:
        with all_or_nothing(connection):
            return append(connection, table, things, reading), []
    except Unstorable as refusal:
        if len(things) == 1:
            return 0, [(things[0], f"the database cannot hold it: {refusal}")]
    middle = len(things) // 2
    new, refused = append_storable(connection, table, things[:middle], reading)
    more, others = append_storable(connection, table, things[middle:], reading)
    return new + more, refused + others


def _row(thing: Said, reading: Reading) -> tuple[Any, ...]:
    return (
        reading.source,
        thing.resource_id,
        thing.changed_at,
        thing.content_hash,
        # JSON may escape NUL, which Postgres' json type keeps as text; a bare NUL cannot be JSON.
        thing.text,
        reading.via,
        reading.received_at,
        reading.run_id,
        reading.correlation_id,
    )


def unmapped(connection: Connection, table: str, limit: int) -> list[dict[str, Any]]:
    """The newest version of up to `limit` things that have a version not mapped yet."""
    return read_rows(
        connection,
        f"""
        with pending as (
            select source, resource_id from raw.{table} where mapped_at is null
            group by 1, 2 order by 1, 2 limit :limit
        )
        select n.version, n.source, n.resource_id, n.changed_at, n.via,
            n.payload::text as payload
        from pending p cross join lateral (
            select * from raw.{table} r
            where r.source = p.source and r.resource_id = p.resource_id
            order by r.changed_at desc, r.version desc limit 1
        ) n
        """,  # noqa: S608
        limit=limit,
    )


def mark_mapped(
    connection: Connection, table: str, mapped: list[dict[str, Any]], at: datetime
) -> None:
    """Record that these things were mapped; a version newer than the mapped one stays pending."""
    connection.execute(
        text(
            f"""
            update raw.{table} r set mapped_at = :at
            from unnest(cast(:sources as text[]), cast(:ids as text[]),
                        cast(:moments as timestamptz[]), cast(:versions as bigint[]))
                 as done (source, resource_id, changed_at, version)
            where r.source = done.source and r.resource_id = done.resource_id
              and r.mapped_at is null
              and (r.changed_at, r.version) <= (done.changed_at, done.version)
            """  # noqa: S608
        ),
        {
            "at": at,
            "sources": [row["source"] for row in mapped],
            "ids": [row["resource_id"] for row in mapped],
            "moments": [row["changed_at"] for row in mapped],
            "versions": [row["version"] for row in mapped],
        },
    )


def forget_mapping(connection: Connection, table: str, source: str | None = None) -> int:
    """Let everything be mapped again, after a mapper was mended; answer how many versions."""
    done = connection.execute(
        text(
            f"update raw.{table} set mapped_at = null "  # noqa: S608
            "where mapped_at is not null "
            "and (cast(:source as text) is null or source = :source)"
        ),
        {"source": source},
    )
    return int(done.rowcount)


def complete_until(connection: Connection, source: str, stream: str) -> datetime | None:
    """Up to when the stream was read to its end."""
    moment = scalar(
        connection,
        "select complete_until from ops.watermark where source = :source and stream = :stream",
        source=source,
        stream=stream,
    )
    return moment if isinstance(moment, datetime) else None


def move_watermark(
    connection: Connection, source: str, stream: str, moment: datetime, now: datetime
) -> None:
    """Record that the stream was read up to `moment`; never moves back."""
    connection.execute(
        text(
            """
            insert into ops.watermark (source, stream, complete_until, updated_at)
            values (:source, :stream, :moment, :now)
            on conflict (source, stream) do update
            set complete_until = greatest(watermark.complete_until, excluded.complete_until),
                updated_at = excluded.updated_at
            """
        ),
        {"source": source, "stream": stream, "moment": moment, "now": now},
    )
