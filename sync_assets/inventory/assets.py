"""Stock as assets, up to what a channel may sell: raw → core. Shells only; the steps are beside.

What is published of it, and what shops answer, is `publishing_assets.py`.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.settings import Settings
from resources.store.engine import connected
from resources.wiring import Systems
from sync_assets import lineage
from sync_assets.domain.frames import Table
from sync_assets.domain.stock import Availability, Reservations, StockLevels, StockMovements
from sync_assets.inventory import computing, levels, movements, reading, reserving, stock_files
from sync_assets.inventory.demand import measure_demand
from sync_assets.mapping import Mapped
from sync_assets.outcomes import counted, is_urgent, read_result, told
from sync_assets.reading import each_source

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "inventory"
ENGINEERS, OPERATIONS = "team:integration", "team:operations"
RAW_FILES = dg.AssetKey(["raw", "files", "stock_levels"])
#: Core tables of this part and what stands in them.
TABLES: dict[str, type[Table]] = {
    "stock_levels": StockLevels,
    "stock_movements": StockMovements,
    "reservations": Reservations,
    "availability": Availability,
}


def core_key(table: str) -> dg.AssetKey:
    """Asset key of a core table."""
    return dg.AssetKey(["core", table])


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of this part for the systems a deployment has."""
    kinds = settings.erp_kinds()
    sources = [dg.AssetKey(["raw", kind, "stock_levels"]) for kind in kinds]
    files = [raw_files] if settings.stock_files() else []
    if settings.stock_files():
        sources.append(RAW_FILES)
    return [
        *[raw_stock_moves(kind) for kind in kinds],
        *[raw_stock_levels(kind) for kind in kinds],
        *files,
        core_stock_levels(kinds, sources),
        core_stock_movements(kinds),
        core_reservations,
        core_availability,
    ]


def _metadata(name: str) -> dict[str, Any]:
    return {
        "dagster/column_schema": lineage.column_schema(TABLES[name]),
        "dagster/table_name": f"core.{name}",
    }


def raw_stock_moves(kind: str) -> dg.AssetsDefinition:
    """Build the asset of one kind of ERP's moves of stock."""

    @dg.asset(
        key=["raw", kind, "stock_moves"],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[ENGINEERS],
        description=f"Moves of stock in {kind}, in every state, since we began to listen. They "
        "tell which items to read again.",
    )
    def moves(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        erps = levels.sources_of(systems, kind)
        with told():
            return read_result(
                each_source(
                    systems,
                    erps,
                    reading.MOVES,
                    lambda erp: reading.stock_moves(systems, erp, context.run.run_id),
                ),
                erps,
            )

    return moves


def raw_stock_levels(kind: str) -> dg.AssetsDefinition:
    """Build the asset of one kind of ERP's levels."""

    @dg.asset(
        key=["raw", kind, "stock_levels"],
        deps=[dg.AssetKey(["raw", kind, "stock_moves"])],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[ENGINEERS],
        description=f"What {kind} holds by item and warehouse, at the locations of the policy. An "
        "urgent run reads what moved, and what an accepted order waits for; others read all.",
    )
    def stock(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        erps = levels.sources_of(systems, kind)
        with told():
            return read_result(
                each_source(
                    systems,
                    erps,
                    reading.LEVELS,
                    lambda erp: reading.stock_levels(
                        systems, erp, context.run.run_id, only_moved=is_urgent(context)
                    ),
                ),
                erps,
            )

    return stock


@dg.asset(
    key=RAW_FILES,
    group_name=GROUP,
    kinds={"csv", "postgres"},
    owners=[ENGINEERS],
    description="Lines of the stock files that warehouses drop into their inboxes. A broken line "
    "is set aside with its number and reason; a file is moved away once it is kept.",
)
def raw_files(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Read every file that waits."""
    warehouses = list(systems.settings.stock_files())
    with told():
        return read_result(
            each_source(
                systems,
                warehouses,
                reading.LEVELS,
                lambda name: stock_files.stock_levels(systems, name, context.run.run_id),
            ),
            warehouses,
        )


def core_stock_levels(kinds: Sequence[str], sources: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """Build the asset of the levels of all sources."""

    @dg.asset(
        key=core_key("stock_levels"),
        deps=sources,
        group_name=GROUP,
        kinds={"pandas", "postgres"},
        owners=[OPERATIONS, ENGINEERS],
        description=TABLES["stock_levels"].__doc__,
        metadata=_metadata("stock_levels"),
    )
    def stock_levels(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        total = levels.Levels()
        with told():
            for kind in (*kinds, levels.FILES):
                total.add(
                    levels.map_levels(
                        systems, kind, context.run.run_id, again=not is_urgent(context)
                    )
                )
        return dg.MaterializeResult(metadata=counted(**vars(total)))

    return stock_levels


def core_stock_movements(kinds: Sequence[str]) -> dg.AssetsDefinition:
    """Build the asset of all movements."""

    @dg.asset(
        key=core_key("stock_movements"),
        deps=[dg.AssetKey(["raw", kind, "stock_moves"]) for kind in kinds],
        group_name=GROUP,
        kinds={"pandas", "postgres"},
        owners=[OPERATIONS, ENGINEERS],
        description=TABLES["stock_movements"].__doc__,
        metadata=_metadata("stock_movements"),
    )
    def stock_movements(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        total = Mapped()
        with told():
            for kind in kinds:
                done = movements.map_moves(systems, kind, context.run.run_id)
                total.mapped += done.mapped
                total.set_aside += done.set_aside
        return dg.MaterializeResult(
            metadata=counted(mapped=total.mapped, set_aside=total.set_aside)
        )

    return stock_movements


@dg.asset(
    key=core_key("reservations"),
    deps=[core_key("orders"), core_key("stock_levels"), core_key("product_components")],
    group_name=GROUP,
    kinds={"pandas", "postgres"},
    owners=[OPERATIONS, ENGINEERS],
    description=TABLES["reservations"].__doc__,
    metadata=_metadata("reservations"),
)
def core_reservations(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Work out the reservations of orders that changed, expired, or whose stock was read."""
    with told():
        done = reserving.reserve(systems, context.run.run_id, whole=not is_urgent(context))
    return dg.MaterializeResult(
        metadata=counted(
            orders=done.orders,
            new=done.new,
            changed=done.changed,
            states=done.by_state,
            unplaced=done.unplaced,
        )
    )


@dg.asset(
    key=core_key("availability"),
    deps=[core_key("stock_levels"), core_key("reservations"), core_key("product_components")],
    group_name=GROUP,
    kinds={"pandas", "postgres"},
    owners=[OPERATIONS, ENGINEERS],
    description=TABLES["availability"].__doc__,
    metadata=_metadata("availability"),
)
def core_availability(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Work out what each channel may sell: of what was marked, or of everything."""
    with told():
        if not is_urgent(context):
            with connected(systems.engine) as connection:
                measure_demand(systems, connection)
        done = computing.compute(systems, context.run.run_id, whole=not is_urgent(context))
    return dg.MaterializeResult(
        metadata=counted(
            computed=done.computed,
            new=done.new,
            changed=done.changed,
            ended=done.ended,
            everything=done.is_whole,
            limited_by=done.by_limit,
        )
    )
