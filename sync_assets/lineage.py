"""Columns and where they come from, as the Dagster UI shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow

from sync_assets.domain.frames import Table

#: Core column → fields of a raw payload.
Fields = Mapping[str, Sequence[str]]

RAW_COLUMNS = {
    "version": ("bigint", "Our running number of the version"),
    "source": ("text", "Store or system that said it"),
    "resource_id": ("text", "Its id there"),
    "changed_at": ("timestamptz", "When it changed there"),
    "content_hash": ("bytea", "SHA-256 of the text"),
    "payload": ("json", "The JSON object, byte for byte"),
    "via": ("text", "delta, backfill, webhook, read_back, trash, scan or gone"),
    "received_at": ("timestamptz", "When we read it"),
    "run_id": ("text", "The run that read it"),
    "mapped_at": ("timestamptz", "When core took it over"),
}


#: How a column of ours is stored, by the kind of its type.
DAY = pd.ArrowDtype(pyarrow.date32())
STORED = {"M": "timestamptz", "b": "boolean", "i": "bigint", "O": "text", "T": "text"}


def stored_type(column: Any) -> str:
    """The Postgres type of a declared column."""
    if isinstance(column.dtype.type, pd.ArrowDtype):
        return "date" if column.dtype.type == DAY else "numeric(20,6)"
    if str(column.dtype) == "object":
        return "jsonb"
    return STORED.get(getattr(column.dtype.type, "kind", "O"), "text")


def column_schema(table: type[Table]) -> dg.TableSchema:
    """A core table's columns with their types, texts and constraints."""
    columns = []
    for name, column in table.to_schema().columns.items():
        constraints = dg.TableColumnConstraints(
            nullable=bool(column.nullable), unique=table.key() == [name]
        )
        columns.append(
            dg.TableColumn(
                name, stored_type(column), description=column.description, constraints=constraints
            )
        )
    return dg.TableSchema(columns=columns)


def raw_schema(fields: set[str]) -> dg.TableSchema:
    """A raw table's columns, and the payload's fields that core is made from."""
    own = [dg.TableColumn(n, t, description=d) for n, (t, d) in RAW_COLUMNS.items()]
    inner = [dg.TableColumn(f"payload.{field}", "json") for field in sorted(fields)]
    return dg.TableSchema(columns=own + inner)


def fields_of(columns: Fields) -> set[str]:
    """The payload fields behind these columns."""
    return {field for fields in columns.values() for field in fields}


def column_lineage(sources: Mapping[dg.AssetKey, Fields]) -> dg.TableColumnLineage:
    """Lineage of one table to the payload fields of raw assets."""
    found: dict[str, list[dg.TableColumnDep]] = {}
    for key, columns in sources.items():
        for column, fields in columns.items():
            deps = [dg.TableColumnDep(key, f"payload.{field}") for field in fields]
            found.setdefault(column, []).extend(deps)
    return dg.TableColumnLineage(found)
