"""Frames to tables and back: COPY in, exact types out; what is right is decided elsewhere."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pandas as pd
import psycopg
import pyarrow
import pyarrow.csv
from psycopg import sql
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

DECIMAL = pd.ArrowDtype(pyarrow.decimal128(20, 6))
#: Bytes of CSV handed to the driver at once.
BLOCK = 1 << 20
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
    if frame.empty:
        return 0
    columns = [plain_values(frame[column]) for column in frame.columns]
    names = [str(column) for column in frame.columns]
    return copy_rows(connection, table, names, zip(*columns, strict=True))


def send_frame(connection: Connection, table: str, frame: pd.DataFrame | pyarrow.Table) -> int:
    """COPY a big frame into a table of the same column names; ten times as fast as row by row.

    For whole numbers, decimals, moments, flags and text. Text may be empty, which is not missing.
    """
    rows = as_arrow(frame)
    statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, rows.column_names)),
    )
    out = pyarrow.BufferOutputStream()
    # Every text is quoted and nothing missing is: only so are "" and null two things.
    pyarrow.csv.write_csv(rows, out, pyarrow.csv.WriteOptions(include_header=False))
    body = memoryview(out.getvalue())
    with driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
        for start in range(0, len(body), BLOCK):
            copy.write(body[start : start + BLOCK])
    return int(rows.num_rows)


def as_arrow(frame: pd.DataFrame | pyarrow.Table) -> pyarrow.Table:
    """The frame as Arrow has it."""
    if isinstance(frame, pyarrow.Table):
        return frame
    return pyarrow.Table.from_pandas(frame, preserve_index=False)


def literal(value: Any) -> str:
    """A value as it stands in a statement that takes no parameters."""
    return sql.Literal(value).as_string()


def fetch_frame(
    connection: Connection, query: str, types: Mapping[str, pyarrow.DataType]
) -> pd.DataFrame:
    """Rows of a query without parameters as a frame; `types` names its columns in their order."""
    statement = f"copy ({query}) to stdout (format csv)".encode()
    with driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
        parts = list(copy)
    if not parts:
        return cast("pd.DataFrame", pyarrow.schema(types.items()).empty_table().to_pandas())
    table = pyarrow.csv.read_csv(
        pyarrow.BufferReader(b"".join(parts)),
        pyarrow.csv.ReadOptions(column_names=list(types)),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict(types),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return cast("pd.DataFrame", table.to_pandas())


def stage_keys(connection: Connection, table: str, keys: Sequence[str]) -> None:
    """Put keys into a temporary table of one column `key`, for joins; it goes with the commit."""
    connection.exec_driver_sql(f"drop table if exists {table}")
    connection.exec_driver_sql(f"create temp table {table} (key text primary key) on commit drop")
    send_frame(connection, table, pyarrow.table({"key": pyarrow.array(keys, pyarrow.string())}))
    connection.exec_driver_sql(f"analyze {table}")


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
