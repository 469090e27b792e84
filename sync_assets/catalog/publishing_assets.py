"""Plans and receipts of products as assets: of all that changed, and per store and item group.

Shells only. Both ways work on the same tables; the partitioned one is for batch pushes and
backfills from the UI.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from resources.errors import RemoteError
from resources.settings import Settings
from resources.wiring import Systems
from sync_assets import verdicts
from sync_assets.catalog import planning, policy, sending
from sync_assets.catalog.planning import Planned
from sync_assets.catalog.settling import Sent
from sync_assets.domain.policy import PolicyError
from sync_assets.outcomes import counted, is_urgent, told

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "catalog"
POOL = "catalog"
OWNERS = ["team:operations", "team:integration"]
PLAN = dg.AssetKey(["plan", "woocommerce", "products"])
RECEIPT = dg.AssetKey(["receipt", "woocommerce", "products"])
PLAN_BY_GROUP = dg.AssetKey(["plan", "woocommerce", "products_by_group"])
RECEIPT_BY_GROUP = dg.AssetKey(["receipt", "woocommerce", "products_by_group"])
MISMATCHES = dg.AssetKey(["core", "listing_mismatches"])
#: Tables a plan is made from; it refuses to go on when the last check of one failed.
PLANNED_FROM = ["core.products", "core.prices", "core.listings"]
CORE = [dg.AssetKey(["core", name]) for name in ("products", "prices", "listings", "sku_problems")]
#: What the UI and the sensor call the dynamic partitions.
ITEM_GROUPS = "item_groups"
#: Partitions cannot have an empty name; products without a group are in this one.
NO_GROUP = "(none)"
#: Stands for the bar, which divides the two parts of a partition's key.
BAR = "\u00a6"


def store_groups(settings: Settings) -> dg.MultiPartitionsDefinition:
    """One partition per store and item group of the ERPs."""
    return dg.MultiPartitionsDefinition(
        {
            "store": dg.StaticPartitionsDefinition(sorted(settings.stores) or ["none"]),
            "item_group": dg.DynamicPartitionsDefinition(name=ITEM_GROUPS),
        }
    )


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """Plans and receipts, whole and by partition."""
    with warnings.catch_warnings():
        # Backfill policies are called beta by Dagster 1.13; what we use of them has not changed.
        warnings.simplefilter("ignore", dg.BetaWarning)
        by_group = [plan_products_by_group(settings), receipt_products_by_group(settings)]
    return [plan_products, receipt_products, *by_group]


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            PLAN,
            deps=CORE,
            group_name=GROUP,
            kinds={"woocommerce", "postgres"},
            owners=OWNERS,
            skippable=True,
            description="What each shop must be told about products: create, change of which "
            "fields, archive, nothing, or a conflict for a person. Nothing is sent; stopping here "
            "is a dry run.",
            metadata={"dagster/table_name": "plan.woocommerce__products"},
        ),
        dg.AssetSpec(
            MISMATCHES,
            deps=CORE,
            group_name=GROUP,
            kinds={"postgres"},
            owners=OWNERS,
            skippable=True,
            description="Every field in which a shop does not say what the ERP says: whose it is, "
            "what becomes of it, and since when.",
            metadata={"dagster/table_name": "core.listing_mismatches"},
        ),
    ],
    name="plan_products",
    can_subset=True,
    pool=POOL,
)
def plan_products(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
    """Plan what changed since the last plan, or all of it in a run that is not urgent."""
    done = _plan(systems, context, systems.settings.stores, None)
    for key in sorted(context.selected_asset_keys):
        yield dg.MaterializeResult(asset_key=key, metadata=_planned(done))


def plan_products_by_group(settings: Settings) -> dg.AssetsDefinition:
    """Build the plan over stores and item groups."""

    @dg.asset(
        key=PLAN_BY_GROUP,
        deps=CORE,
        partitions_def=store_groups(settings),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=20),
        group_name=GROUP,
        kinds={"woocommerce", "postgres"},
        owners=OWNERS,
        pool=POOL,
        description="The same table as plan/woocommerce/products, planned anew for the products "
        "of a store in an item group.",
        metadata={"dagster/table_name": "plan.woocommerce__products"},
    )
    def plan(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        done = Planned()
        for store, groups in by_store(context.partition_keys).items():
            done.add(_plan(systems, context, [store], groups))
        return dg.MaterializeResult(metadata=_planned(done))

    return plan


def _plan(
    systems: Systems,
    context: dg.AssetExecutionContext,
    stores: Iterable[str],
    groups: list[str] | None,
) -> Planned:
    total = Planned()
    with told():
        try:
            verdicts.require_passed(systems, PLANNED_FROM)
            said = policy.in_force(systems.settings)
        except (verdicts.ChecksFailed, PolicyError) as fault:
            raise dg.Failure(description=str(fault), allow_retries=False) from fault
        for store in stores:
            total.add(
                planning.plan(
                    systems,
                    store,
                    context.run.run_id,
                    only_new=groups is None and is_urgent(context),
                    item_groups=groups,
                    said=said,
                )
            )
    return total


def _planned(done: Planned) -> dict[str, Any]:
    return counted(
        looked_at=done.looked_at,
        actions=done.actions,
        foreign_changes=done.foreign,
        adopted=done.adopted,
    )


@dg.asset(
    key=RECEIPT,
    deps=[PLAN],
    group_name=GROUP,
    kinds={"woocommerce", "postgres"},
    owners=OWNERS,
    pool=POOL,
    description="What each shop answered: its id of the product, and field by field what we wrote. "
    "Sends what is due in batches that let orders and stock go first; looks up before it creates.",
    metadata={"dagster/table_name": "receipt.woocommerce__products"},
)
def receipt_products(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Send what is due to every store."""
    return dg.MaterializeResult(metadata=_sent(_send(systems, context, systems.settings.stores)))


def receipt_products_by_group(settings: Settings) -> dg.AssetsDefinition:
    """Build the receipts over stores and item groups."""

    @dg.asset(
        key=RECEIPT_BY_GROUP,
        deps=[PLAN_BY_GROUP],
        partitions_def=store_groups(settings),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=20),
        group_name=GROUP,
        kinds={"woocommerce", "postgres"},
        owners=OWNERS,
        pool=POOL,
        description="The same table as receipt/woocommerce/products. Sends whatever of these "
        "stores is due, so that nothing planned waits for its own partition.",
        metadata={"dagster/table_name": "receipt.woocommerce__products"},
    )
    def receipt(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        stores = list(by_store(context.partition_keys))
        return dg.MaterializeResult(metadata=_sent(_send(systems, context, stores)))

    return receipt


def _send(
    systems: Systems,
    context: dg.AssetExecutionContext,
    stores: Iterable[str],
) -> Sent:
    total, fault = Sent(), None
    with told():
        for store in stores:
            try:
                total.add(sending.send(systems, store, context.run.run_id, context.log.info))
            except RemoteError as error:  # the other stores still get theirs
                fault = fault or error
        if fault:
            raise fault
    return total


def _sent(done: Sent) -> dict[str, Any]:
    return counted(**{name: value for name, value in vars(done).items() if value})


def by_store(keys: Sequence[str]) -> dict[str, list[str]]:
    """The item groups of partitions by store."""
    found: dict[str, list[str]] = {}
    for key in keys:
        assert isinstance(key, dg.MultiPartitionKey)
        parts = key.keys_by_dimension
        found.setdefault(parts["store"], []).append(group_of(parts["item_group"]))
    return found


def partition_of(group: str) -> str:
    """The partition of an item group; its name cannot be empty, nor hold what divides keys."""
    return group.replace("|", BAR) or NO_GROUP


def group_of(partition: str) -> str:
    """The item group of a partition."""
    return "" if partition == NO_GROUP else partition.replace(BAR, "|")
