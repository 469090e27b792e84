"""Tables that keep every version of a row: what differs is closed and written anew, the rest stays.

A versioned table has `replaced_at`, empty in the current row of each key, and a column that says
since when a version holds; the old version ends in the very moment the new one begins.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from resources.store.frames import as_arrow, literal, scalar, send_frame

#: Up to so many rows are looked up one by one in what is held.
FEW = 20_000


@dataclass(frozen=True)
class Versioned:
    """The shape of one versioned table."""

    table: str
    key: Sequence[str]
    #: Columns in which a difference makes a new version.
    compared: Sequence[str]
    #: Columns that are written with a version and make none by themselves.
    carried: Sequence[str] = ()
    #: Since when a version holds.
    since: str = "known_at"

    @property
    def columns(self) -> list[str]:
        """What a stage of new rows must have."""
        return [*self.key, *self.compared, *self.carried]


@dataclass(frozen=True)
class Kept:
    """What became of staged rows; the rest said what is held."""

    new: int
    changed: int
    #: Older than what is held, and left out.
    late: int


def stage(
    connection: Connection, shape: Versioned, name: str, rows: pd.DataFrame | pyarrow.Table
) -> None:
    """Put rows of the columns of `shape` into a temporary table; it goes with the commit."""
    connection.exec_driver_sql(f"drop table if exists {name}")
    connection.exec_driver_sql(
        f"create temp table {name} on commit drop as {_shaped(shape)} with no data"
    )
    _fill(connection, name, as_arrow(rows))


@contextmanager
def staged(
    connection: Connection, shape: Versioned, name: str, rows: pd.DataFrame | pyarrow.Table
) -> Iterator[str]:
    """Stage rows for what is done inside; answers the name of the table, which is gone after.

    Many rows go into a table that is not temporary, since only such are read by several processes
    at once. The name is this connection's own, and a transaction that fails takes the table along.
    """
    table = as_arrow(rows)
    if table.num_rows <= FEW:
        # In the order of the index: each look-up finds what the one before brought near.
        stage(connection, shape, name, table.sort_by([(key, "ascending") for key in shape.key]))
        yield name
        return
    own = f"ops.{name}_{scalar(connection, 'select pg_backend_pid()')}"
    connection.exec_driver_sql(f"create unlogged table {own} as {_shaped(shape)} with no data")
    _fill(connection, own, table)
    yield own
    connection.exec_driver_sql(f"drop table {own}")


def _shaped(shape: Versioned) -> str:
    return f"select {', '.join(shape.columns)} from {shape.table}"  # noqa: S608


def _fill(connection: Connection, name: str, table: pyarrow.Table) -> None:
    """COPY the rows; what is the same in all is said once, as a million moments take a second."""
    for column in table.column_names:
        if table.num_rows > 1 and _is_one_value(table[column]):
            value = literal(table[column][0].as_py())
            connection.exec_driver_sql(f"alter table {name} alter {column} set default {value}")
            table = table.drop_columns([column])
    send_frame(connection, name, table)


def _is_one_value(column: pyarrow.ChunkedArray) -> bool:
    """Whether all are the same; the first ones nearly always tell that they are not."""
    return all(
        pc.count_distinct(part, mode="all").as_py() == 1 for part in (column[:1_000], column)
    )


def keep_changed(
    connection: Connection,
    shape: Versioned,
    staged: str,
    now: datetime,
    run_id: str | None,
    *,
    late: str = "false",
) -> Kept:
    """Make the rows of `staged` the current ones where they differ.

    `late` is a condition over the held row `c` and the staged one `s`. Two versions of a key
    within one tick of the clock still follow one another.
    """
    with joined_well(connection, staged):
        _set_apart(connection, shape, staged, now, late)
    skipped = connection.exec_driver_sql("delete from stage_differing where is_late").rowcount
    with joined_well(connection, "stage_differing"):
        return _write(connection, shape, run_id, skipped)


@contextmanager
def joined_well(connection: Connection, staged: str) -> Iterator[None]:
    """Have a stage without statistics compared with a big table the way that fits its size.

    Few rows are looked up by the index, many by a hash; sorting their text takes ten times as long.
    The hash is made piece by piece: pieces that fit the processor's cache take half the time, and
    the memory that parallel workers share is small in many containers.
    """
    counted = f"select count(*) from (select from {staged} s limit {FEW + 1}) few"  # noqa: S608
    is_many = scalar(connection, counted) > FEW
    off = ("nestloop", "memoize", "mergejoin") if is_many else ("hashjoin", "mergejoin")
    ways = "; ".join(f"set local enable_{way} = off" for way in off)
    connection.exec_driver_sql(f"set local work_mem = '4MB'; {ways}")
    yield
    ways = "; ".join(f"set local enable_{way} to default" for way in off)
    connection.exec_driver_sql(f"set local work_mem to default; {ways}")


def _write(connection: Connection, shape: Versioned, run_id: str | None, skipped: int) -> Kept:
    """Close what is replaced, then write what replaces it."""
    on = " and ".join(f"c.{column} = s.{column}" for column in shape.key)
    changed = connection.exec_driver_sql(
        f"update {shape.table} c set replaced_at = s.begins_at from stage_differing s "  # noqa: S608
        f"where {on} and c.replaced_at is null and s.replaces is not null"
    ).rowcount
    names = ", ".join(shape.columns)
    written = connection.execute(
        text(
            f"insert into {shape.table} ({names}, {shape.since}, run_id) "  # noqa: S608
            # In the order of the index: a million rows in no order take ten times as long.
            f"select {names}, begins_at, :run from stage_differing order by {', '.join(shape.key)}"
        ),
        {"run": run_id},
    ).rowcount
    connection.exec_driver_sql("drop table stage_differing")
    return Kept(new=written - changed, changed=changed, late=skipped)


def _set_apart(
    connection: Connection, shape: Versioned, staged: str, now: datetime, late: str
) -> None:
    """Put the rows that differ from what is held into `stage_differing`, with what they replace."""
    names = ", ".join(f"s.{column}" for column in shape.columns)
    on = " and ".join(f"c.{column} = s.{column}" for column in shape.key)
    same = " and ".join(f"c.{one} is not distinct from s.{one}" for one in shape.compared)
    connection.exec_driver_sql("drop table if exists stage_differing")
    connection.execute(
        text(
            f"""
            create temp table stage_differing on commit drop as
            select {names}, c.{shape.since} as replaces, coalesce({late}, false) as is_late,
                greatest(cast(:now as timestamptz), c.{shape.since} + interval '1 microsecond')
                    as begins_at
            from {staged} s left join {shape.table} c on {on} and c.replaced_at is null
            where c.{shape.since} is null or not ({same}) or {late}
            """  # noqa: S608
        ),
        {"now": now},
    )
