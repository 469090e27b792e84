"""Column lineage and schemas: every name they speak of exists."""

import dagster as dg
import pytest

from sync_assets import lineage
from sync_assets.domain.frames import Table
from sync_assets.domain.orders import Customers, OrderNotes
from sync_assets.orders import assets
from sync_assets.orders import lineage as fields

RAW = {
    assets.RAW_ORDERS: fields.order_fields(),
    assets.RAW_CUSTOMERS: lineage.fields_of(fields.CUSTOMER_FIELDS),
    assets.RAW_NOTES: lineage.fields_of(fields.NOTE_FIELDS),
}
TABLES: dict[str, type[Table]] = {
    **assets.CORE_ORDER_TABLES,
    "customers": Customers,
    "order_notes": OrderNotes,
}
#: Columns that no field of a payload is behind: our own names, numbers and reckonings.
OURS = {
    "orders": {"store", "raw_version"},
    "order_lines": {"kind", "position"},
    "order_addresses": {"role"},
    "order_notes": {"order_ref"},
    "customers": {"store", "is_guest"},
}


@pytest.mark.parametrize("name", sorted(assets.SOURCES))
def test_every_column_with_lineage_is_in_its_table_and_the_others_are_ours(name: str) -> None:
    told = {column for columns in assets.SOURCES[name].values() for column in columns}
    assert set(TABLES[name].columns()) - told == OURS.get(name, set())
    assert told <= set(TABLES[name].columns())


@pytest.mark.parametrize("name", sorted(assets.SOURCES))
def test_every_field_behind_a_column_is_in_the_schema_of_its_raw_table(name: str) -> None:
    found = lineage.column_lineage(assets.SOURCES[name])
    for deps in found.deps_by_column.values():
        for dep in deps:
            schema = lineage.raw_schema(RAW[dep.asset_key])
            assert dep.column_name in {column.name for column in schema.columns}


def test_a_column_with_two_sources_names_both() -> None:
    found = lineage.column_lineage(assets.SOURCES["customers"]).deps_by_column["email"]
    assert list(found) == [
        dg.TableColumnDep(assets.RAW_CUSTOMERS, "payload.email"),
        dg.TableColumnDep(assets.RAW_ORDERS, "payload.billing.email"),
    ]


def test_only_tables_that_come_from_payloads_have_lineage() -> None:
    assert set(TABLES) - set(assets.SOURCES) == {"order_changes"}


@pytest.mark.parametrize(("name", "table"), sorted(TABLES.items()))
def test_a_table_shows_its_columns_with_types_texts_and_keys(name: str, table: type[Table]) -> None:
    columns = lineage.column_schema(table).columns
    assert [column.name for column in columns] == table.columns()
    assert all(column.description for column in columns)
    types = {"text", "bigint", "boolean", "numeric(20,6)", "timestamptz"}
    assert {column.type for column in columns} <= types
    key = table.to_schema().unique or []
    alone = {column.name for column in columns if column.constraints.unique}
    assert alone == (set(key) if len(key) == 1 else set())


def test_types_are_those_of_the_database() -> None:
    schema = lineage.column_schema(assets.CORE_ORDER_TABLES["orders"])
    types = {column.name: column.type for column in schema.columns}
    assert types["total_amount"] == "numeric(20,6)"
    assert types["placed_at"] == "timestamptz"
    assert types["prices_include_tax"] == "boolean"
    assert types["raw_version"] == "bigint"
    assert types["state"] == "text"


def test_the_raw_schema_lists_our_own_columns_first_and_then_the_payload() -> None:
    names = [column.name for column in lineage.raw_schema({"b", "a.c"}).columns]
    assert names == [*lineage.RAW_COLUMNS, "payload.a.c", "payload.b"]
