"""Whether every core table is what it says: one blocking Pandera check per table.

The step that writes a table validates before it writes; these checks read what is stored, so that
a row changed by hand, by a migration or by another writer is found. In a run they look at the
rows of that run, and once a day at the whole table; run alone, or after a failure, always at the
whole. Runs that hurry leave the daily look to others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
import pandas as pd
import pandera.errors
from sqlalchemy import Connection, text

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.catalog import Listings, Prices, ProductComponents, Products
from sync_assets.domain.frames import Table
from sync_assets.domain.items import ProductRefs
from sync_assets.domain.orders import Customers, OrderNotes
from sync_assets.inventory import assets as inventory
from sync_assets.orders.assets import CORE_ORDER_TABLES, core_key
from sync_assets.outcomes import URGENT
from sync_assets.returns import assets as returns
from sync_assets.settlements import assets as settlements
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
#: How often a run looks at rows that it did not write.
WHOLE_EVERY = timedelta(days=1)
#: Rows of a run where they do not say so themselves.
OF_RUN = {
    "journal_lines": "entry_ref in (select entry_ref from core.journal_entries where run_id = :run)"
}


def tables(settings: Settings) -> dict[str, type[Table]]:
    """The core tables that a deployment has."""
    money = settlements.STEPS.values() if settings.providers else ()
    return {**TABLES, **{name: table for step in money for name, table in step.items()}}


def build(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """One check per core table; those of tables that one step writes run in one step."""
    together = {"core_orders": {name: TABLES[name] for name in CORE_ORDER_TABLES}}
    if settings.providers:
        together |= settlements.STEPS
    taken = {name for step in together.values() for name in step}
    alone = {name: {name: one} for name, one in tables(settings).items() if name not in taken}
    return [_checks(step, found) for step, found in (together | alone).items()]


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
        layer = context.op_execution_context.job_def.asset_layer
        for name, table in tables.items():
            if check_key(name) not in context.selected_asset_check_keys:
                continue
            how = Look(
                is_alone=core_key(name) not in layer.selected_asset_keys,
                hurries=URGENT in context.run.tags,
            )
            rows, faults = validate(systems, name, table, context.run.run_id, how)
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


@dataclass(frozen=True)
class Look:
    """In what run a check looks."""

    #: No step of the run writes the table.
    is_alone: bool
    #: Somebody waits for the run.
    hurries: bool = False


def validate(
    systems: Systems, name: str, table: type[Table], run_id: str, how: Look
) -> tuple[int, dict[tuple[str, str], int]]:
    """Validate the rows of a run, or all; answer the rows read and the faults by key and column."""
    rows, faults, now = 0, {}, systems.now()
    with connected(systems.engine) as connection:
        is_whole = _is_whole(connection, f"core.{name}", now, how)
        for frame in _frames(connection, name, table, None if is_whole else run_id):
            rows += len(frame)
            faults.update(_faults(table, frame))
        keep_verdict(
            connection, f"core.{name}", len(faults), now, run_id, whole_at=now if is_whole else None
        )
    return rows, faults


def _is_whole(connection: Connection, table: str, now: datetime, how: Look) -> bool:
    """Whether all rows are to be looked at.

    A run's own good rows say nothing about the bad ones an earlier check found.
    """
    found = read_rows(
        connection,
        "select passed, whole_at from ops.verdict where table_name = :table",
        table=table,
    )
    if how.is_alone or (found and not found[0]["passed"]):
        return True
    last = found[0]["whole_at"] if found else None
    return not how.hurries and (last is None or last <= now - WHOLE_EVERY)


def _frames(
    connection: Connection, name: str, table: type[Table], run_id: str | None
) -> Iterator[pd.DataFrame]:
    """The rows of a run; without one, all rows."""
    columns, key = table.columns(), table.key()
    where = "true" if run_id is None else OF_RUN.get(name, "run_id = :run")
    query = f"select {', '.join(columns)} from core.{name} where {where} order by {', '.join(key)}"  # noqa: S608
    statement = text(query).execution_options(yield_per=CHUNK)
    result = connection.execute(statement, {} if run_id is None else {"run": run_id})
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
    connection: Connection,
    table: str,
    failures: int,
    now: datetime,
    run_id: str | None,
    whole_at: datetime | None,
) -> None:
    """Remember how the check ended, so that a later plan asks; and when all rows were looked at."""
    connection.execute(
        text(
            """
            insert into ops.verdict as held (table_name, passed, failures, checked_at, run_id,
                whole_at)
            values (:table, :passed, :failures, :now, :run, :whole_at)
            on conflict (table_name) do update
            set passed = excluded.passed, failures = excluded.failures,
                checked_at = excluded.checked_at, run_id = excluded.run_id,
                whole_at = coalesce(excluded.whole_at, held.whole_at)
            """
        ),
        {
            "table": table,
            "passed": failures == 0,
            "failures": failures,
            "now": now,
            "run": run_id,
            "whole_at": whole_at,
        },
    )
