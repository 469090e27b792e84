"""Returns and refunds as assets: raw → core → plan → receipt. Shells only; the steps are beside."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from resources.settings import Settings
from resources.wiring import Systems
from sync_assets import lineage
from sync_assets.domain.frames import Table
from sync_assets.domain.returns import RefundLines, Refunds, ReturnLines, Returns
from sync_assets.outcomes import counted, read_result, told
from sync_assets.reading import Tally, each_source
from sync_assets.returns import (
    goods,
    planning,
    refunds,
    requests,
    sending,
    settling,
    verdicts,
)
from sync_assets.writing import Sent, each

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "returns"
ENGINEERS, OPERATIONS, FINANCE = "team:integration", "team:operations", "team:finance"

RAW_REFUNDS = dg.AssetKey(["raw", "woocommerce", "refunds"])
RAW_REQUESTS = dg.AssetKey(["raw", "requests", "returns"])
VERDICTS = dg.AssetKey(["core", "refund_verdicts"])
ORDERS = [dg.AssetKey(["core", name]) for name in ("orders", "order_lines", "order_refunds")]
#: What the shipments' side works out; it is read by the rules and owned elsewhere.
SHIPPED = [dg.AssetKey(["core", name]) for name in ("order_line_progress", "parcels")]
CORE: dict[str, type[Table]] = {
    "returns": Returns,
    "return_lines": ReturnLines,
    "refunds": Refunds,
    "refund_lines": RefundLines,
}
#: Kinds of systems whose returns are read by asking them, and those that come as files.
FILES = "files"


def raw_returns_key(kind: str) -> dg.AssetKey:
    """Asset key of what systems of a kind said of goods that came back."""
    return dg.AssetKey(["raw", kind, "returns"])


def core_key(table: str) -> dg.AssetKey:
    """Asset key of a core table."""
    return dg.AssetKey(["core", table])


def kinds_of(settings: Settings) -> list[str]:
    """Kinds of systems that are asked for goods that came back."""
    return sorted(set(goods.sources(settings).values()))


def mapped_kinds(settings: Settings) -> list[str]:
    """Kinds whose returns are mapped: those that are asked, and files that come by themselves."""
    has_files = any(one.kind == FILES for one in settings.warehouses.values())
    return [*kinds_of(settings), *([FILES] if has_files else [])]


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of the subject for the systems a deployment has."""
    kinds = settings.erp_kinds()
    return [
        raw_refunds,
        raw_requests,
        *[raw_returns(kind) for kind in kinds_of(settings)],
        refund_verdicts,
        core_returns(settings),
        plan_in_shop("refunds", planning.plan_refunds),
        receipt_in_shop("refunds", sending.refunds),
        plan_in_shop("exchanges", planning.plan_exchanges),
        receipt_in_shop("exchanges", sending.exchanges),
        *[plan_in_erp(kind, *one) for kind in kinds for one in PLANNED],
        *[receipt_in_erp(kind, *one) for kind in kinds for one in SENT],
    ]


@dg.asset(
    key=RAW_REFUNDS,
    deps=ORDERS,
    group_name=GROUP,
    kinds={"woocommerce", "postgres"},
    owners=[ENGINEERS],
    description="Refunds of every shop with their lines, asked for where an order tells of one we "
    "do not have. One that the shop stops showing gets a version that says so.",
    metadata={"dagster/column_schema": lineage.raw_schema(set())},
)
def raw_refunds(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Read the refunds that orders tell of."""
    stores = systems.settings.stores
    with told():
        return read_result(
            each_source(
                systems,
                stores,
                "refunds",
                lambda store: refunds.read(systems, store, context.run.run_id),
            ),
            stores,
        )


@dg.asset(
    key=RAW_REQUESTS,
    group_name=GROUP,
    kinds={"postgres"},
    owners=[OPERATIONS, ENGINEERS],
    description="Requests to send something back, as signed senders said them (docs/returns.md). "
    "One that cannot be read is set aside with its reason and its sender's reference.",
    metadata={"dagster/column_schema": lineage.raw_schema(set())},
)
def raw_requests(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Keep what arrived of requests."""
    found = systems.settings.endpoints()
    names = [name for name, one in found.items() if one.scheme == requests.SCHEME]
    return _arrived(context, systems, names, requests.read)


def _arrived(
    context: dg.AssetExecutionContext,
    systems: Systems,
    names: list[str],
    read: Callable[[Systems, str, str | None], Tally],
) -> Result:
    total = Tally()
    with told():
        for name in names:
            total.add(read(systems, name, context.run.run_id))
    return read_result(total, names)


def raw_returns(kind: str) -> dg.AssetsDefinition:
    """Build the reading of one kind of system."""

    @dg.asset(
        key=raw_returns_key(kind),
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[ENGINEERS],
        description=f"Goods that came back, as {kind} told of them: what changed since the last "
        "reading, with an overlap.",
        metadata={"dagster/column_schema": lineage.raw_schema(set())},
    )
    def read(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        names = [name for name, one in goods.sources(systems.settings).items() if one == kind]
        with told():
            return read_result(
                each_source(
                    systems,
                    names,
                    goods.STREAM,
                    lambda name: goods.read(systems, name, context.run.run_id),
                ),
                names,
            )

    return read


@dg.asset(
    key=VERDICTS,
    group_name=GROUP,
    kinds={"postgres"},
    owners=[FINANCE, ENGINEERS],
    description="What payment providers said became of refunds: signed notices, each kept once. "
    "The latest counts; of the same moment the failed one.",
    metadata={"dagster/table_name": "core.refund_verdicts"},
)
def refund_verdicts(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
    """Keep what providers told."""
    return _arrived(context, systems, list(verdicts.endpoints(systems)), verdicts.read)


def core_returns(settings: Settings) -> dg.AssetsDefinition:
    """Build the core tables: they change together, because the sagas are linked."""
    told_of = [raw_returns_key(kind) for kind in mapped_kinds(settings)]

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                core_key(name),
                deps=[RAW_REFUNDS, RAW_REQUESTS, VERDICTS, *told_of, *ORDERS, *SHIPPED],
                group_name=GROUP,
                kinds={"postgres"},
                owners=[FINANCE if "refund" in name else OPERATIONS, ENGINEERS],
                description=table.__doc__,
                metadata={
                    "dagster/column_schema": lineage.column_schema(table),
                    "dagster/table_name": f"core.{name}",
                },
            )
            for name, table in CORE.items()
        ],
        name="core_returns",
    )
    def core(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        with told():
            done = bring_up(systems, context.run.run_id)
        for name in CORE:
            yield dg.MaterializeResult(asset_key=core_key(name), metadata=counted(**done))

    return core


def bring_up(systems: Systems, run_id: str | None) -> Mapping[str, Any]:
    """Map what was told, match verdicts, and take every step that follows."""
    mapped = refunds.map_refunds(systems, run_id)
    asked = requests.map_requests(systems, run_id)
    came = {
        kind: goods.map_goods(systems, kind, run_id).mapped
        for kind in mapped_kinds(systems.settings)
    }
    said = verdicts.match(systems, run_id)
    done = settling.settle(systems, run_id)
    return {
        "refunds_mapped": mapped.mapped,
        "own_refunds_matched": mapped.matched,
        "refunds_gone": mapped.gone,
        "set_aside": mapped.set_aside,
        "requests_mapped": asked.mapped,
        "goods_told_of": came,
        "verdicts_unmatched": said["unmatched"],
        "orders_looked_at": done.looked_at,
        "returns_opened": done.returns,
        "refunds_made": done.refunds,
        "steps": done.steps,
        "waiting_for_a_person": done.troubles,
    }


# ---------------------------------------------------------------- plans and receipts

Planner = Callable[[Systems, str, str | None], dict[str, int]]
ToShop = Callable[[Systems, str, str | None, Callable[[str], None]], Sent]
ToErp = Callable[[Systems, str, str, str | None, Callable[[str], None]], Sent]
PLANNED: list[tuple[str, Planner]] = [
    ("credit_memos", planning.plan_memos),
    ("credit_reversals", planning.plan_reversals),
    ("restocks", planning.plan_restocks),
]
SENT: list[tuple[str, ToErp]] = [
    ("credit_memos", sending.credit_memos),
    ("credit_reversals", sending.credit_reversals),
    ("restocks", sending.restocks),
]
TEXTS = {
    "refunds": "refunds of ours that are approved",
    "exchanges": "orders that replace goods which came back",
    "credit_memos": "credit memos of refunds that are confirmed",
    "credit_reversals": "credit memos to be taken back, because their refund failed or is gone",
    "restocks": "goods that came back, by what becomes of them",
}
CORE_KEYS = [core_key(name) for name in CORE]


def _owners(name: str) -> list[str]:
    return [OPERATIONS if name in ("restocks", "exchanges") else FINANCE, ENGINEERS]


def plan_in_shop(name: str, plan: Planner) -> dg.AssetsDefinition:
    """Build the plan of one thing for every store."""

    @dg.asset(
        key=["plan", "woocommerce", name],
        deps=CORE_KEYS,
        group_name=GROUP,
        kinds={"woocommerce", "postgres"},
        owners=_owners(name),
        description=f"What stores must be asked for: {TEXTS[name]}. Nothing is sent; stopping here "
        "is a dry run.",
        metadata={"dagster/table_name": f"plan.woocommerce__{name}"},
    )
    def planned(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        total: dict[str, int] = {}
        with told():
            for store in systems.settings.stores:
                for action, count in plan(systems, store, context.run.run_id).items():
                    total[action] = total.get(action, 0) + count
        return dg.MaterializeResult(metadata=counted(actions=total))

    return planned


def receipt_in_shop(name: str, send: ToShop) -> dg.AssetsDefinition:
    """Build the receipts of one thing of every store that is written to."""

    @dg.asset(
        key=["receipt", "woocommerce", name],
        deps=[dg.AssetKey(["plan", "woocommerce", name])],
        group_name=GROUP,
        kinds={"woocommerce", "postgres"},
        owners=_owners(name),
        description=f"What stores answered about {TEXTS[name]}. Sends what is due; looks up first, "
        "so a repeated run makes nothing twice.",
        metadata={"dagster/table_name": f"receipt.woocommerce__{name}"},
    )
    def answered(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        stores = systems.settings.publishing("refunds")
        run_id, say = context.run.run_id, context.log.info
        with told():
            total = each(stores, lambda store: send(systems, store, run_id, say))
        return dg.MaterializeResult(metadata=_sent(total))

    return answered


def plan_in_erp(kind: str, name: str, plan: Planner) -> dg.AssetsDefinition:
    """Build the plan of one thing for one kind of ERP."""

    @dg.asset(
        key=["plan", kind, name],
        deps=[*CORE_KEYS, dg.AssetKey(["receipt", kind, "sales_orders"])],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=_owners(name),
        description=f"What {kind} must be told: {TEXTS[name]}. Nothing is sent; stopping here is a "
        "dry run.",
        metadata={"dagster/table_name": f"plan.{kind}__{name}"},
    )
    def planned(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        with told():
            done = plan(systems, kind, context.run.run_id)
        return dg.MaterializeResult(metadata=counted(actions=done))

    return planned


def receipt_in_erp(kind: str, name: str, send: ToErp) -> dg.AssetsDefinition:
    """Build the receipts of one thing of one kind of ERP."""

    @dg.asset(
        key=["receipt", kind, name],
        deps=[dg.AssetKey(["plan", kind, name])],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=_owners(name),
        description=f"What {kind} answered about {TEXTS[name]}. Sends what is due; looks up first, "
        "so a repeated run makes nothing twice.",
        metadata={"dagster/table_name": f"receipt.{kind}__{name}"},
    )
    def answered(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        run_id, say = context.run.run_id, context.log.info
        erps = systems.settings.erps_of(kind)
        with told():
            total = each(erps, lambda erp: send(systems, kind, erp, run_id, say))
        return dg.MaterializeResult(metadata=_sent(total))

    return answered


def _sent(total: Sent) -> dict[str, Any]:
    return counted(
        accepted=total.accepted,
        cancelled=total.cancelled,
        parked=total.parked,
        later=total.later,
        faults=total.faults,
    )
