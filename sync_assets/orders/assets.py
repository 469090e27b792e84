"""The subject orders as assets: raw → core → plan → receipt. Shells only; the steps are beside."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from resources.errors import RemoteError
from resources.settings import Settings
from resources.wiring import Systems
from sync_assets import lineage, verdicts
from sync_assets.domain.changes import OrderChanges
from sync_assets.domain.frames import Table
from sync_assets.domain.orders import CORE_TABLES, Customers, OrderNotes
from sync_assets.orders import hints, mapping, planning, reading, sending, settling
from sync_assets.orders import lineage as fields
from sync_assets.orders.scan import KEY as ORDERS_SCANNED
from sync_assets.orders.scan import orders_scanned
from sync_assets.outcomes import counted, is_urgent, read_result, told
from sync_assets.partitions import store_days
from sync_assets.reading import Tally, each_source

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "orders"
ENGINEERS, OPERATIONS, FINANCE = "team:integration", "team:operations", "team:finance"

RAW_ORDERS = dg.AssetKey(["raw", "woocommerce", "orders"])
RAW_CUSTOMERS = dg.AssetKey(["raw", "woocommerce", "customers"])
RAW_NOTES = dg.AssetKey(["raw", "woocommerce", "order_notes"])
RAW_ORDERS_BY_DAY = dg.AssetKey(["raw", "woocommerce", "orders_by_day"])
HOLDS = dg.AssetKey(["core", "order_holds"])

CORE_ORDER_TABLES: dict[str, type[Table]] = {**CORE_TABLES, "order_changes": OrderChanges}
#: Tables a plan is made from; it refuses to go on when the last check of one failed.
PLANNED_FROM = [f"core.{name}" for name in (*CORE_TABLES, "product_refs")]


#: Core table → raw asset → column → fields of its payload.
SOURCES: dict[str, dict[dg.AssetKey, lineage.Fields]] = {
    **{name: {RAW_ORDERS: fields} for name, fields in fields.ORDER_FIELDS.items()},
    "customers": {
        RAW_CUSTOMERS: fields.CUSTOMER_FIELDS,
        RAW_ORDERS: fields.ORDER_FIELDS["customers"],
    },
    "order_notes": {RAW_NOTES: fields.NOTE_FIELDS},
}


def core_key(table: str) -> dg.AssetKey:
    """Asset key of a core table."""
    return dg.AssetKey(["core", table])


def _columns(name: str, table: type[Table]) -> dict[str, Any]:
    """Schema and lineage; the UI takes the lineage from the newest materialization."""
    found: dict[str, Any] = {"dagster/column_schema": lineage.column_schema(table)}
    if name in SOURCES:
        found["dagster/column_lineage"] = lineage.column_lineage(SOURCES[name])
    return found


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of the subject for the systems a deployment has."""
    kinds = settings.erp_kinds()
    return [
        raw_orders,
        raw_orders_by_day(settings),
        orders_scanned,
        raw_customers,
        raw_order_notes,
        core_orders,
        core_customers,
        core_order_notes,
        order_holds,
        *[plan_sales_orders(kind) for kind in kinds],
        *[receipt_sales_orders(kind) for kind in kinds],
    ]


@dg.asset(
    key=RAW_ORDERS,
    group_name=GROUP,
    kinds={"woocommerce", "postgres"},
    owners=[ENGINEERS],
    description="Every version of every shop order, as the shop sent it. Reads what deliveries "
    "name, then what changed since the last complete reading, with an overlap; trashed orders are "
    "asked for separately.",
    metadata={"dagster/column_schema": lineage.raw_schema(fields.order_fields())},
)
def raw_orders(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Read what arrived and what changed in every store."""
    with told():
        return read_result(
            each_source(
                systems,
                systems.settings.stores,
                "orders",
                lambda store: hints.arrived(
                    systems, store, context.run.run_id, only_due=is_urgent(context)
                ),
            ),
            systems.settings.stores,
        )


def raw_orders_by_day(settings: Settings) -> dg.AssetsDefinition:
    """Build the backfill asset over the deployment's stores and days."""

    @dg.asset(
        key=RAW_ORDERS_BY_DAY,
        partitions_def=store_days(settings),
        group_name=GROUP,
        kinds={"woocommerce", "postgres"},
        owners=[ENGINEERS],
        description="The same table as raw/woocommerce/orders, filled per store and day of "
        "placement: for history, and to read a day again. Leaves the delta's watermark alone.",
        metadata={"dagster/column_schema": lineage.raw_schema(fields.order_fields())},
    )
    def raw_orders_of_day(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        with told():
            total = Tally()
            for store, start in _store_days(context.partition_keys):
                end = start + timedelta(days=1)
                total.add(reading.orders_of_day(systems, store, start, end, context.run.run_id))
            return read_result(total, settings.stores)

    return raw_orders_of_day


def _store_days(keys: Sequence[str]) -> Iterator[tuple[str, datetime]]:
    for key in keys:
        assert isinstance(key, dg.MultiPartitionKey)
        parts = key.keys_by_dimension
        yield parts["store"], datetime.fromisoformat(parts["day"]).replace(tzinfo=UTC)


@dg.asset(
    key=RAW_CUSTOMERS,
    group_name=GROUP,
    kinds={"woocommerce", "postgres"},
    owners=[ENGINEERS],
    description="Every version of every customer account. The shop offers no filter by change, "
    "so all pages are read; only what differs is kept.",
    metadata={
        "dagster/column_schema": lineage.raw_schema(lineage.fields_of(fields.CUSTOMER_FIELDS))
    },
)
def raw_customers(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Read the customer accounts of every store."""
    with told():
        return read_result(
            each_source(
                systems,
                systems.settings.stores,
                "customers",
                lambda store: reading.customers(systems, store, context.run.run_id),
            ),
            systems.settings.stores,
        )


@dg.asset(
    key=RAW_NOTES,
    deps=[RAW_ORDERS],
    group_name=GROUP,
    kinds={"woocommerce", "postgres"},
    owners=[ENGINEERS],
    description="Notes of the orders that changed, for stores with `read_notes = true`: one call "
    "an order, because notes have no list of their own and do not count as a change.",
    metadata={"dagster/column_schema": lineage.raw_schema(lineage.fields_of(fields.NOTE_FIELDS))},
)
def raw_order_notes(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Read the notes of changed orders where the store wants it."""
    stores = [name for name, store in systems.settings.stores.items() if store.read_notes]
    with told():
        return read_result(
            each_source(
                systems,
                stores,
                "order_notes",
                lambda store: reading.notes_of_changed(systems, store, context.run.run_id),
            ),
            stores,
        )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            core_key(name),
            deps=[RAW_ORDERS, RAW_ORDERS_BY_DAY, ORDERS_SCANNED],
            group_name=GROUP,
            kinds={"pandas", "pandera", "postgres"},
            owners=[FINANCE if "tax" in name or "refund" in name else OPERATIONS, ENGINEERS],
            description=table.__doc__,
            metadata={
                **_columns(name, table),
                "dagster/table_name": f"core.{name}",
            },
        )
        for name, table in CORE_ORDER_TABLES.items()
    ],
    name="core_orders",
)
def core_orders(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
    """Map what is not mapped yet; all tables of an order change in one transaction."""
    with told():
        done = mapping.orders(systems, context.run.run_id)
    for name, table in CORE_ORDER_TABLES.items():
        yield dg.MaterializeResult(
            asset_key=core_key(name),
            metadata={
                **counted(orders_mapped=done.mapped, orders_set_aside=done.set_aside),
                **_columns(name, table),
            },
        )


@dg.asset(
    key=core_key("customers"),
    deps=[RAW_CUSTOMERS, core_key("orders")],
    group_name=GROUP,
    kinds={"pandas", "pandera", "postgres"},
    owners=[OPERATIONS, ENGINEERS],
    description=Customers.__doc__,
    metadata={
        **_columns("customers", Customers),
        "dagster/table_name": "core.customers",
    },
)
def core_customers(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Map the accounts that changed; guests came with their orders."""
    with told():
        done = mapping.customers(systems, context.run.run_id)
    return dg.MaterializeResult(
        metadata={
            **counted(mapped=done.mapped, set_aside=done.set_aside),
            **_columns("customers", Customers),
        }
    )


@dg.asset(
    key=core_key("order_notes"),
    deps=[RAW_NOTES],
    group_name=GROUP,
    kinds={"pandas", "pandera", "postgres"},
    owners=[OPERATIONS, ENGINEERS],
    description=OrderNotes.__doc__,
    metadata={
        **_columns("order_notes", OrderNotes),
        "dagster/table_name": "core.order_notes",
    },
)
def core_order_notes(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Map the notes that are new."""
    with told():
        done = mapping.notes(systems, context.run.run_id)
    return dg.MaterializeResult(
        metadata={
            **counted(mapped=done.mapped, set_aside=done.set_aside),
            **_columns("order_notes", OrderNotes),
        }
    )


@dg.asset(
    key=HOLDS,
    deps=[*[core_key(name) for name in CORE_TABLES], core_key("product_refs")],
    group_name=GROUP,
    kinds={"postgres"},
    owners=[OPERATIONS, FINANCE],
    description="Why an order waits before the ERP sees it: reason, owner role, money, due time. "
    "A hold ends by itself when its cause is gone; some can be released by hand.",
    metadata={"dagster/table_name": "core.order_holds"},
)
def order_holds(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Validate every open order."""
    with told():
        done = planning.hold(systems, context.run.run_id, only_new=is_urgent(context))
    return dg.MaterializeResult(metadata=counted(validated=done.looked_at, held=done.held))


def plan_sales_orders(kind: str) -> dg.AssetsDefinition:
    """Build the plan of one kind of ERP."""

    @dg.asset(
        key=["plan", kind, "sales_orders"],
        deps=[HOLDS, core_key("customers")],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[OPERATIONS, ENGINEERS],
        description=f"What {kind} must be told about orders: create, cancel, nothing, or a "
        "conflict for a person. Nothing is sent; stopping here is a dry run.",
        metadata={"dagster/table_name": f"plan.{kind}__sales_orders"},
    )
    def plan(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        with told():
            try:
                verdicts.require_passed(systems, PLANNED_FROM)
            except verdicts.ChecksFailed as failed:
                raise dg.Failure(description=str(failed), allow_retries=False) from failed
            done = planning.plan(systems, kind, context.run.run_id, only_new=is_urgent(context))
        return dg.MaterializeResult(
            metadata=counted(looked_at=done.looked_at, held=done.held, actions=done.actions)
        )

    return plan


def receipt_sales_orders(kind: str) -> dg.AssetsDefinition:
    """Build the receipts of one kind of ERP."""

    @dg.asset(
        key=["receipt", kind, "sales_orders"],
        deps=[dg.AssetKey(["plan", kind, "sales_orders"])],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[OPERATIONS, ENGINEERS],
        description=f"What {kind} answered for each order: its id, number, state and total. "
        "Sends what is due; looks up first, so a repeated run makes nothing twice.",
        metadata={"dagster/table_name": f"receipt.{kind}__sales_orders"},
    )
    def receipt(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        erps = systems.settings.erps_of(kind)
        total, fault = settling.Sent(), None
        with told():
            for erp in erps:
                try:
                    done = sending.send(systems, kind, erp, context.run.run_id, context.log.info)
                except RemoteError as error:  # the other ERPs still get theirs
                    fault = fault or error
                    continue
                total.accepted += done.accepted
                total.cancelled += done.cancelled
                total.parked += done.parked
                total.later += done.later
                total.faults.update(done.faults)
            if fault:
                raise fault
        return dg.MaterializeResult(
            metadata=counted(
                accepted=total.accepted,
                cancelled=total.cancelled,
                parked=total.parked,
                later=total.later,
                faults=total.faults,
            )
        )

    return receipt
