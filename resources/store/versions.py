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

from resources.store.frames import as_arrow, literal, send_frame

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
    table = rows if isinstance(rows, pyarrow.Table) else as_arrow(rows)
    columns = ", ".join(shape.columns)
    connection.exec_driver_sql(f"drop table if exists {name}")
    connection.exec_driver_sql(
        f"create temp table {name} on commit drop as "  # noqa: S608
        f"select {columns} from {shape.table} with no data"
    )
    for column in table.column_names:
        # What is the same in every row is said once: a million moments take a second to write.
        if table.num_rows > 1 and pc.count_distinct(table[column], mode="all").as_py() == 1:
            value = literal(table[column][0].as_py())
            connection.exec_driver_sql(f"alter table {name} alter {column} set default {value}")
            table = table.drop_columns([column])
    send_frame(connection, name, table)


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
    """
    count = connection.exec_driver_sql(f"select count(*) from {staged} s").scalar_one()  # noqa: S608
    by_hash = "off" if count <= FEW else "on"
    connection.exec_driver_sql(
        f"set local work_mem = '96MB'; set local enable_mergejoin = off; "
        f"set local enable_hashjoin = {by_hash}"
    )
    yield
    connection.exec_driver_sql(
        "set local enable_mergejoin = on; set local enable_hashjoin = on; "
        "set local work_mem to default"
    )


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
