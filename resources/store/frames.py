"""Frames to tables and back: COPY in, exact types out; what is right is decided elsewhere."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pandas as pd
import psycopg
import pyarrow
from psycopg import sql
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

DECIMAL = pd.ArrowDtype(pyarrow.decimal128(20, 6))
#: Bad data, a broken rule, a limit: faults of the rows, not of the connection or the statement.
FAULTS_OF_ROWS = ("22", "23", "54")


class Unstorable(Exception):
    """The database cannot hold these rows; the message names its rule, never a value."""


@contextmanager
def all_or_nothing(connection: Connection) -> Iterator[None]:
    """Undo what is done inside, and only that, where the database cannot hold the rows."""
    try:
        with connection.begin_nested():
            yield
    except (psycopg.Error, DBAPIError) as fault:
        cause = fault.orig if isinstance(fault, DBAPIError) else fault
        if not isinstance(cause, psycopg.Error) or not is_of_rows(cause):
            raise
        raise Unstorable(cause.diag.message_primary or type(cause).__name__) from fault


def is_of_rows(fault: psycopg.Error) -> bool:
    """Whether other rows would do; a value the driver itself refuses has no code."""
    if fault.sqlstate is None:
        return isinstance(fault, psycopg.DataError)
    return fault.sqlstate.startswith(FAULTS_OF_ROWS)


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection below; for COPY only."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> int:
    """COPY rows into `schema.table` and answer how many."""
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    count = 0
    with driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def replace(
    connection: Connection, table: str, frame: pd.DataFrame, *, by: str, keys: Sequence[str]
) -> int:
    """Make `frame` all that `table` holds for `keys` of column `by`; deletes what is gone."""
    connection.execute(text(f"delete from {table} where {by} = any(:keys)"), {"keys": list(keys)})  # noqa: S608
    return copy_frame(connection, table, frame)


def upsert(connection: Connection, table: str, frame: pd.DataFrame, key: Sequence[str]) -> int:
    """Insert the rows of `frame`, or overwrite those with the same key."""
    if frame.empty:
        return 0
    stage = f"stage_{table.replace('.', '_')}"
    columns = [str(column) for column in frame.columns]
    changed = ", ".join(f"{c} = excluded.{c}" for c in columns if c not in key) or "nothing"
    connection.exec_driver_sql(f"create temp table {stage} (like {table}) on commit drop")
    copy_frame(connection, stage, frame)
    names = ", ".join(columns)
    connection.exec_driver_sql(
        f"insert into {table} ({names}) select {names} from {stage} "  # noqa: S608
        f"on conflict ({', '.join(key)}) do update set {changed}"
    )
    connection.exec_driver_sql(f"drop table {stage}")
    return len(frame)


def copy_frame(connection: Connection, table: str, frame: pd.DataFrame) -> int:
    """COPY a frame into a table of the same column names."""
    columns = [plain_values(frame[column]) for column in frame.columns]
    names = [str(column) for column in frame.columns]
    return copy_rows(connection, table, names, zip(*columns, strict=True))


def plain_values(series: pd.Series) -> list[Any]:
    """Python values of a column, with None for what is missing."""
    values = series.astype(object).tolist()
    missing = series.isna().to_numpy()
    return [None if gone else value for value, gone in zip(values, missing, strict=True)]


def read_rows(
    connection: Connection, query: str | TextClause, **values: Any
) -> list[dict[str, Any]]:
    """Rows as dicts, money as `Decimal`, times aware."""
    statement = text(query) if isinstance(query, str) else query
    return [dict(row) for row in connection.execute(statement, values).mappings()]


def scalar(connection: Connection, query: str, **values: Any) -> Any:
    """The one value of a query."""
    return connection.execute(text(query), values).scalar()
