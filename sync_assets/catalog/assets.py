"""The subject catalog as assets: raw → core → plan → receipt. Shells only; the steps are beside."""

from collections.abc import Sequence

import dagster as dg

from resources.settings import Settings
from resources.wiring import Systems
from sync_assets import lineage
from sync_assets.catalog import mapping, reading
from sync_assets.domain.items import ProductRefs
from sync_assets.mapping import Mapped
from sync_assets.outcomes import counted, read_result, told
from sync_assets.reading import each_source

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "catalog"
ENGINEERS, OPERATIONS = "team:integration", "team:operations"


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of the subject for the systems a deployment has."""
    kinds = settings.erp_kinds()
    return [*[raw_items(kind) for kind in kinds], core_product_refs(kinds)]


def raw_items(kind: str) -> dg.AssetsDefinition:
    """Build the asset of one kind of ERP's items."""

    @dg.asset(
        key=["raw", kind, "items"],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[ENGINEERS],
        description=f"Every sellable item of {kind}, archived ones too; a new version where one "
        "differs from what we hold.",
    )
    def items(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        erps = [name for name, erp in systems.settings.erps.items() if erp.kind == kind]
        with told():
            return read_result(
                each_source(
                    systems,
                    erps,
                    "items",
                    lambda erp: reading.items(systems, erp, context.run.run_id),
                ),
                erps,
            )

    return items


def core_product_refs(kinds: Sequence[str]) -> dg.AssetsDefinition:
    """Build the asset that knows every ERP's items by SKU."""

    @dg.asset(
        key=dg.AssetKey(["core", "product_refs"]),
        deps=[dg.AssetKey(["raw", kind, "items"]) for kind in kinds],
        group_name=GROUP,
        kinds={"pandas", "pandera", "postgres"},
        owners=[OPERATIONS, ENGINEERS],
        description=ProductRefs.__doc__,
        metadata={
            "dagster/column_schema": lineage.column_schema(ProductRefs),
            "dagster/table_name": "core.product_refs",
        },
    )
    def product_refs(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        total = Mapped()
        with told():
            for kind in kinds:
                done = mapping.items(systems, kind, context.run.run_id)
                total.mapped += done.mapped
                total.set_aside += done.set_aside
        return dg.MaterializeResult(
            metadata=counted(mapped=total.mapped, set_aside=total.set_aside)
        )

    return product_refs
