"""Whether every core table is what it says: one blocking Pandera check per table.

The step that writes a table validates before it writes; these checks read what is stored, so that
a row changed by hand, by a migration or by another writer is found. In a run they look at the
rows of that run; run alone, or after a failure, at the whole table, in chunks.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

import dagster as dg
import pandas as pd
import pandera.errors
from sqlalchemy import Connection, text

from resources.store.engine import connected
from resources.store.frames import scalar
from resources.wiring import Systems
from sync_assets.domain.catalog import Listings, Prices, ProductComponents, Products
from sync_assets.domain.frames import Table
from sync_assets.domain.items import ProductRefs
from sync_assets.domain.orders import Customers, OrderNotes
from sync_assets.inventory import assets as inventory
from sync_assets.orders.assets import CORE_ORDER_TABLES, core_key
from sync_assets.returns import assets as returns
from sync_assets.shipments import assets as shipments

TABLES: Mapping[str, type[Table]] = {
    **CORE_ORDER_TABLES,
    "customers": Customers,
    "order_notes": OrderNotes,
    "product_refs": ProductRefs,
    "products": Products,
    "prices": Prices,
    "product_components": ProductComponents,
    "listings": Listings,
    **inventory.TABLES,
    **shipments.TABLES,
    **returns.CORE,
}
CHUNK = 20_000
MOST_KEYS = 20


def build() -> list[dg.AssetChecksDefinition]:
    """One check per core table; those of an order's tables run in one step."""
    together = {name: TABLES[name] for name in CORE_ORDER_TABLES}
    alone = [{name: table} for name, table in TABLES.items() if name not in together]
    return [_checks("core_orders", together), *[_checks(next(iter(one)), one) for one in alone]]


def check_key(table: str) -> dg.AssetCheckKey:
    """Key of the check of a core table."""
    return dg.AssetCheckKey(core_key(table), f"{table}_keep_their_schema")


def _checks(step: str, tables: Mapping[str, type[Table]]) -> dg.AssetChecksDefinition:
    specs = {
        check_key(name): dg.AssetCheckSpec(
            f"{name}_keep_their_schema",
            asset=core_key(name),
            blocking=True,
            description=f"Every row of core.{name} has the columns, types and values it declares.",
        )
        for name in tables
    }

    @dg.multi_asset_check(specs=list(specs.values()), name=f"{step}_schemas", can_subset=True)
    def checks(
        context: dg.AssetCheckExecutionContext, systems: dg.ResourceParam[Systems]
    ) -> Iterator[dg.AssetCheckResult]:
        for name, table in tables.items():
            if check_key(name) not in context.selected_asset_check_keys:
                continue
            rows, faults = validate(systems, name, table, context.run.run_id)
            yield dg.AssetCheckResult(
                asset_key=core_key(name),
                check_name=f"{name}_keep_their_schema",
                passed=not faults,
                metadata={
                    "rows": rows,
                    "faults": sum(faults.values()),
                    "columns": ", ".join(sorted({column for _, column in faults})),
                    "keys": ", ".join(sorted({key for key, _ in faults})[:MOST_KEYS]),
                },
            )

    return checks


def validate(
    systems: Systems, name: str, table: type[Table], run_id: str | None
) -> tuple[int, dict[tuple[str, str], int]]:
    """Validate a table; answer the rows read and the faults by key and column."""
    rows, faults = 0, {}
    with connected(systems.engine) as connection:
        for frame in _frames(connection, name, table, run_id):
            rows += len(frame)
            faults.update(_faults(table, frame))
        keep_verdict(connection, f"core.{name}", len(faults), systems.now(), run_id)
    return rows, faults


def _frames(
    connection: Connection, name: str, table: type[Table], run_id: str | None
) -> Iterator[pd.DataFrame]:
    """The rows of this run; all rows when it wrote none or the table failed its last check.

    A run's own good rows say nothing about the bad ones an earlier check found.
    """
    columns, key = table.columns(), table.key()
    of_run = "run_id = :run"
    only_run = scalar(
        connection,
        f"select exists (select from core.{name} where {of_run}) and not exists "  # noqa: S608
        "(select from ops.verdict where table_name = :table and not passed)",
        run=run_id,
        table=f"core.{name}",
    )
    where = of_run if only_run else "true"
    query = f"select {', '.join(columns)} from core.{name} where {where} order by {', '.join(key)}"  # noqa: S608
    statement = text(query).execution_options(yield_per=CHUNK)
    result = connection.execute(statement, {"run": run_id})
    for part in result.mappings().partitions(CHUNK):
        yield table.frame([dict(row) for row in part])


def _faults(table: type[Table], frame: pd.DataFrame) -> dict[tuple[str, str], int]:
    try:
        table.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        key = table.key()
        found: dict[tuple[str, str], int] = {}
        for case in errors.failure_cases.to_dict("records"):
            place = case["index"]
            row = frame.iloc[int(place)] if not pd.isna(place) else None
            named = "/".join(str(row[column]) for column in key) if row is not None else "table"
            found[named, str(case["column"])] = found.get((named, str(case["column"])), 0) + 1
        return found
    return {}


def keep_verdict(
    connection: Connection, table: str, failures: int, now: datetime, run_id: str | None
) -> None:
    """Remember how the check ended, so that a later plan asks."""
    connection.execute(
        text(
            """
            insert into ops.verdict (table_name, passed, failures, checked_at, run_id)
            values (:table, :passed, :failures, :now, :run)
            on conflict (table_name) do update
            set passed = excluded.passed, failures = excluded.failures,
                checked_at = excluded.checked_at, run_id = excluded.run_id
            """
        ),
        {
            "table": table,
            "passed": failures == 0,
            "failures": failures,
            "now": now,
            "run": run_id,
        },
    )
