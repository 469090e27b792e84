"""Small temporary tables that queries ask: what settings and policy say, row by row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text


def stage(connection: Connection, shape: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make a table of a name and columns, `stage_x (provider text, …)`; it goes with the commit."""
    name, _, columns = shape.partition(" ")
    connection.exec_driver_sql(f"drop table if exists {name}")
    connection.exec_driver_sql(f"create temp table {name} {columns} on commit drop")
    if rows:
        names = list(rows[0])
        marks = ", ".join(f":{one}" for one in names)
        connection.execute(
            text(f"insert into {name} ({', '.join(names)}) values ({marks})"),  # noqa: S608
            [dict(row) for row in rows],
        )
    connection.exec_driver_sql(f"analyze {name}")


def again(connection: Connection, name: str, statement: str) -> None:
    """Make a temporary table anew; the planner is told what is in it."""
    connection.exec_driver_sql(f"drop table if exists {name}")
    connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"analyze {name}")
