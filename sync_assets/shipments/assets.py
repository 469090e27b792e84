"""The subject shipments as assets: raw → core → plan → receipt. Shells; the steps are beside."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from resources.settings import Settings
from resources.wiring import Systems
from sync_assets import lineage, verdicts
from sync_assets.domain.frames import Table
from sync_assets.domain.progress import OrderLineProgress
from sync_assets.domain.shipments import (
    FulfilmentLines,
    FulfilmentOrders,
    Parcels,
    ShipmentLines,
    Shipments,
    TrackingEvents,
)
from sync_assets.outcomes import counted, is_urgent, told, was_read
from sync_assets.reading import Tally, each_source
from sync_assets.shipments import (
    acknowledging,
    files,
    fulfilling,
    mapping,
    planning,
    reading,
    sending,
    tracking,
)
from sync_assets.shipments.things import ERP_KINDS, kinds_that_ship, systems_of
from sync_assets.writing import Sent

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "shipments"
ENGINEERS, OPERATIONS, SUPPORT = "team:integration", "team:operations", "team:support"

TABLES: dict[str, type[Table]] = {
    "shipments": Shipments,
    "shipment_lines": ShipmentLines,
    "parcels": Parcels,
    "tracking_events": TrackingEvents,
    "fulfilment_orders": FulfilmentOrders,
    "fulfilment_lines": FulfilmentLines,
    "order_line_progress": OrderLineProgress,
}
#: What warehouses tell of by file.
FILES = {
    "acknowledgements": "what they were asked to ship",
    "shipments": "what left",
    "returns": "goods that came back",
}
MAPPED = ("shipments", "shipment_lines", "parcels")
WORKED_OUT = ("fulfilment_orders", "fulfilment_lines", "order_line_progress")
RAW_TRACKERS = dg.AssetKey(["raw", "easypost", "trackers"])
RAW_TRACKINGS = dg.AssetKey(["raw", "carriers", "trackings"])
NOTICES = dg.AssetKey(["receipt", "woocommerce", "notices"])
COMPLETIONS = dg.AssetKey(["receipt", "woocommerce", "completions"])
#: Tables a plan is made from; it refuses to go on when the last check of one failed.
PLANNED_FROM = [f"core.{name}" for name in TABLES]


def core_key(table: str) -> dg.AssetKey:
    """Asset key of a core table."""
    return dg.AssetKey(["core", table])


def raw_key(kind: str) -> dg.AssetKey:
    """Asset key of what systems of a kind say of shipments."""
    return dg.AssetKey(["raw", kind, "shipments"])


def plan_key(kind: str, thing: str) -> dg.AssetKey:
    """Asset key of a plan."""
    return dg.AssetKey(["plan", kind, thing])


def receipt_key(kind: str, thing: str) -> dg.AssetKey:
    """Asset key of what was answered."""
    return dg.AssetKey(["receipt", kind, thing])


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of the subject for the systems a deployment has."""
    kinds, erps = kinds_that_ship(settings), settings.erp_kinds()
    if not settings.stores:
        return []
    return [
        *[raw_files if kind == "files" else raw_shipments(kind) for kind in kinds],
        raw_trackings,
        *([raw_trackers] if settings.carriers else []),
        core_shipments(kinds),
        core_tracking(bool(settings.carriers)),
        core_fulfilment(kinds),
        plans(kinds, erps),
        *[receipt_fulfilment_orders(kind) for kind in kinds],
        *[receipt_deliveries(kind) for kind in erps],
        receipt_notices,
        receipt_completions,
    ]


def raw_shipments(kind: str) -> dg.AssetsDefinition:
    """Build what systems of a kind say of what they ship."""
    what = {
        "odoo": "Deliveries of the ERP's own warehouses, with their lines.",
        "tryton": "Deliveries of the ERP's own warehouses, with their lines.",
    }

    @dg.asset(
        key=raw_key(kind),
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[ENGINEERS],
        description=what.get(
            kind, "Shipments as the warehouse says them: those its webhooks name, and what changed."
        ),
        metadata={"dagster/table_name": f"raw.{kind}__shipments"},
    )
    def raw(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        names = systems_of(systems.settings, kind)

        def read(name: str) -> Tally:
            return reading.shipments(systems, name, context.run.run_id, only_due=is_urgent(context))

        with told():
            return was_read(each_source(systems, names, "shipments", read))

    return raw


@dg.multi_asset(
    name="raw_files",
    specs=[
        dg.AssetSpec(
            dg.AssetKey(["raw", "files", thing]),
            group_name=GROUP,
            kinds={"files", "postgres"},
            owners=[ENGINEERS],
            description=f"Lines of the files that warehouses dropped about {about}.",
            metadata={"dagster/table_name": f"raw.files__{thing}"},
        )
        for thing, about in FILES.items()
    ],
)
def raw_files(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
    """Read every file that waits, whatever it tells of, and move it away."""
    names = systems_of(systems.settings, "files")
    with told():
        found = each_source(
            systems, names, "files", lambda name: files.read(systems, name, context.run.run_id)
        )
    for thing in FILES:
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey(["raw", "files", thing]), metadata=was_read(found).metadata
        )


@dg.asset(
    key=RAW_TRACKERS,
    deps=[core_key("shipments")],
    group_name=GROUP,
    kinds={"easypost", "postgres"},
    owners=[ENGINEERS],
    description="What a tracking account says of parcels: it is told of each that left, and tells "
    "on by webhook.",
    metadata={"dagster/table_name": "raw.easypost__trackers"},
)
def raw_trackers(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Track parcels that left and read what changed."""
    names = list(systems.settings.carriers)
    with told():
        return was_read(
            each_source(
                systems,
                names,
                "trackers",
                lambda name: reading.trackers(
                    systems, name, context.run.run_id, only_due=is_urgent(context)
                ),
            )
        )


@dg.asset(
    key=RAW_TRACKINGS,
    group_name=GROUP,
    kinds={"postgres"},
    owners=[ENGINEERS],
    description="Carriers' own tracking answers that were pushed to us or imported, as they are.",
    metadata={"dagster/table_name": "raw.carriers__trackings"},
)
def raw_trackings(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Keep what was pushed."""
    with told():
        done = reading.carriers_answers(systems, context.run.run_id)
    return dg.MaterializeResult(metadata=counted(rows=done.seen, new_versions=done.new))


def _specs(names: tuple[str, ...], deps: list[dg.AssetKey]) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            core_key(name),
            deps=deps,
            group_name=GROUP,
            kinds={"pandas", "pandera", "postgres"},
            owners=[SUPPORT if name in ("parcels", "tracking_events") else OPERATIONS, ENGINEERS],
            description=TABLES[name].__doc__,
            metadata={
                "dagster/column_schema": lineage.column_schema(TABLES[name]),
                "dagster/table_name": f"core.{name}",
            },
        )
        for name in names
    ]


def core_shipments(kinds: list[str]) -> dg.AssetsDefinition:
    """Build the tables of what left, over the kinds that tell of it."""

    @dg.multi_asset(
        name="core_shipments",
        specs=_specs(MAPPED, [*[raw_key(kind) for kind in kinds], core_key("order_lines")]),
    )
    def core(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        mapped = set_aside = 0
        with told():
            for kind in kinds:
                done = mapping.shipments(systems, kind, context.run.run_id)
                mapped, set_aside = mapped + done.mapped, set_aside + done.set_aside
        for name in MAPPED:
            yield dg.MaterializeResult(
                asset_key=core_key(name),
                metadata=counted(shipments_mapped=mapped, set_aside=set_aside),
            )

    return core


def core_tracking(has_accounts: bool) -> dg.AssetsDefinition:
    """Build the events of parcels."""
    deps = [RAW_TRACKINGS, core_key("parcels"), *([RAW_TRACKERS] if has_accounts else [])]

    @dg.multi_asset(name="core_tracking_events", specs=_specs(("tracking_events",), deps))
    def core(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        with told():
            done = [
                tracking.from_easypost(systems, context.run.run_id),
                tracking.from_carriers(systems, context.run.run_id),
            ]
        yield dg.MaterializeResult(
            asset_key=core_key("tracking_events"),
            metadata=counted(
                events=sum(one.events for one in done),
                parcels=sum(one.parcels for one in done),
                unknown_words=sum(one.unknown_words for one in done),
                set_aside=sum(one.mapped.set_aside for one in done),
            ),
        )

    return core


def core_fulfilment(kinds: list[str]) -> dg.AssetsDefinition:
    """Build who ships what, and what each order line has come to."""
    deps = [
        *[core_key(name) for name in ("orders", "order_lines", "stock_levels")],
        *[core_key(name) for name in (*MAPPED, "tracking_events")],
        *([dg.AssetKey(["raw", "files", "acknowledgements"])] if "files" in kinds else []),
        *[dg.AssetKey(["receipt", kind, "sales_orders"]) for kind in kinds if kind in ERP_KINDS],
    ]

    @dg.multi_asset(name="core_fulfilment", specs=_specs(WORKED_OUT, deps))
    def core(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        with told():
            acknowledging.from_files(systems, context.run.run_id)
            done = fulfilling.fulfil(systems, context.run.run_id, whole=not is_urgent(context))
        for name in WORKED_OUT:
            yield dg.MaterializeResult(
                asset_key=core_key(name),
                metadata=counted(
                    orders=done.orders,
                    new_requests=done.requests,
                    waiting=done.waiting,
                    steps=done.steps,
                ),
            )

    return core


def plans(kinds: list[str], erps: list[str]) -> dg.AssetsDefinition:
    """Build what everybody must be told: one step, because one reading of an order serves all."""
    things = [
        *[(kind, "fulfilment_orders") for kind in kinds],
        *[(kind, "deliveries") for kind in erps],
        ("woocommerce", "notices"),
        ("woocommerce", "completions"),
    ]
    about = {
        "fulfilment_orders": "What each warehouse must be asked to ship, otherwise or not at all.",
        "deliveries": "What left a warehouse that is not the ERP's own, to be posted there.",
        "notices": "What customers must be shown of each shipment.",
        "completions": "Orders of which everything has left.",
    }

    @dg.multi_asset(
        name="plan_shipments",
        specs=[
            dg.AssetSpec(
                plan_key(kind, thing),
                deps=[core_key(name) for name in WORKED_OUT],
                group_name=GROUP,
                kinds={kind, "postgres"},
                owners=[OPERATIONS, ENGINEERS],
                description=f"{about[thing]} Nothing is sent; stopping here is a dry run.",
                metadata={"dagster/table_name": f"plan.{kind}__{thing}"},
            )
            for kind, thing in things
        ],
    )
    def plan(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        with told():
            try:
                verdicts.require_passed(systems, PLANNED_FROM)
            except verdicts.ChecksFailed as failed:
                raise dg.Failure(description=str(failed), allow_retries=False) from failed
            done = planning.plan(systems, context.run.run_id)
        for kind, thing in things:
            actions = done.actions.get(f"{kind}__{thing}", {})
            yield dg.MaterializeResult(
                asset_key=plan_key(kind, thing), metadata=counted(actions=actions)
            )

    return plan


Act = Callable[[Systems, str, Callable[[str], None]], Sent]


def _receipt(
    key: dg.AssetKey, deps: list[dg.AssetKey], about: str, act: Act
) -> dg.AssetsDefinition:
    """A step that sends what is planned and due of one thing."""
    _, kind, thing = key.path

    @dg.asset(
        key=key,
        deps=deps,
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[OPERATIONS, ENGINEERS],
        description=f"{about} Looks before it sends, so a repeated run does nothing twice.",
        metadata={"dagster/table_name": f"receipt.{kind}__{thing}"},
    )
    def receipt(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        with told():
            done = act(systems, context.run.run_id, context.log.info)
        return dg.MaterializeResult(metadata=sent_metadata(done))

    return receipt


def sent_metadata(done: Sent) -> dict[str, Any]:
    """What a sending step achieved, as metadata."""
    return counted(
        accepted=done.accepted,
        cancelled=done.cancelled,
        parked=done.parked,
        later=done.later,
        faults=done.faults,
    )


def receipt_fulfilment_orders(kind: str) -> dg.AssetsDefinition:
    """Build what warehouses of a kind answered."""

    def act(systems: Systems, run_id: str, say: Callable[[str], None]) -> Sent:
        done = sending.fulfilment_orders_of(systems, kind, run_id, say)
        for name in systems_of(systems.settings, kind):
            acknowledging.look_again(systems, kind, name)
        return done

    return _receipt(
        receipt_key(kind, "fulfilment_orders"),
        [plan_key(kind, "fulfilment_orders")],
        "What each warehouse answered for each request: its id, number and state.",
        act,
    )


def receipt_deliveries(kind: str) -> dg.AssetsDefinition:
    """Build what ERPs of a kind answered."""

    def act(systems: Systems, run_id: str, say: Callable[[str], None]) -> Sent:
        return sending.deliveries_of(systems, kind, run_id, say)

    return _receipt(
        receipt_key(kind, "deliveries"),
        [plan_key(kind, "deliveries")],
        "The ERP's own documents of what left: number and state of each delivery.",
        act,
    )


receipt_notices = _receipt(
    NOTICES,
    [plan_key("woocommerce", "notices")],
    "What customers were shown of each shipment, and how: the shop's fulfilment or a note.",
    sending.notices,
)
receipt_completions = _receipt(
    COMPLETIONS,
    # Not after the notices of this run: one is planned only when every customer was told.
    [plan_key("woocommerce", "completions")],
    "Orders that were set to completed in their shop.",
    sending.completions,
)
