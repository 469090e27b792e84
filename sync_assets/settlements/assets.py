"""Payments, settlements and the books as assets: raw → core → plan → receipt. Shells only."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets import lineage
from sync_assets.domain.frames import Table
from sync_assets.domain.journals import Invoices, JournalEntries, JournalLines
from sync_assets.domain.matches import Matches, OpenItems
from sync_assets.domain.payments import (
    BankLines,
    BankStatements,
    PaymentEvents,
    Payments,
    Payouts,
    SettlementLines,
)
from sync_assets.domain.statements import Statements
from sync_assets.outcomes import counted, told, was_read
from sync_assets.reading import Tally, each_source
from sync_assets.settlements import (
    entries,
    invoices,
    posting,
    reading,
    sources,
    steps,
)
from sync_assets.writing import Sent, each

SystemsParam = dg.ResourceParam[Systems]
Result = dg.MaterializeResult[None]
GROUP = "settlements"
ENGINEERS, FINANCE = "team:integration", "team:finance"
ORDERS = [dg.AssetKey(["core", name]) for name in ("orders", "order_lines", "order_taxes")]
REFUNDS = dg.AssetKey(["core", "refunds"])
SHIPPED = dg.AssetKey(["core", "order_line_progress"])

TOLD: dict[str, type[Table]] = {
    "payment_events": PaymentEvents,
    "settlement_lines": SettlementLines,
    "payouts": Payouts,
    "bank_lines": BankLines,
    "bank_statements": BankStatements,
}
MATCHED: dict[str, type[Table]] = {
    "payments": Payments,
    "matches": Matches,
    "open_items": OpenItems,
}
BOOKED: dict[str, type[Table]] = {
    "journal_entries": JournalEntries,
    "journal_lines": JournalLines,
}
RECONCILIATION = dg.AssetKey(["core", "reconciliations"])
BY_DAY = dg.AssetKey(["core", "payouts_by_day"])
#: Tables by the step that writes them.
STEPS: dict[str, dict[str, type[Table]]] = {
    "core_settlements": TOLD,
    "core_matches": MATCHED,
    "core_journals": BOOKED,
    "core_invoices": {"invoices": Invoices},
    "core_reconciliations": {"reconciliations": Statements},
}


def core_key(table: str) -> dg.AssetKey:
    """Asset key of a core table."""
    return dg.AssetKey(["core", table])


def raw_key(kind: str, thing: str) -> dg.AssetKey:
    """Asset key of what a kind of provider said."""
    return dg.AssetKey(["raw", kind, thing])


def raw_keys(settings: Settings) -> list[dg.AssetKey]:
    """Everything that is told of money."""
    kinds = [*sources.kinds_of(settings), *([sources.BANK] if settings.banks else [])]
    return [raw_key(kind, thing) for kind in kinds for thing in sources.things_of(kind)]


def build(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of the subject for the providers, banks and ERPs a deployment has."""
    kinds, erps = sources.kinds_of(settings), settings.erp_kinds()
    return [
        *[raw_reports(kind) for kind in kinds],
        *([raw_bank()] if settings.banks else []),
        *[raw_lists(kind) for kind in kinds if sources.KINDS[kind].objects],
        *[raw_notices(kind) for kind in kinds if sources.KINDS[kind].notice],
        *[raw_invoices(kind) for kind in erps],
        core_invoices(erps),
        core_told(settings),
        core_matched(),
        core_booked(),
        core_reconciliations,
        payouts_by_day(settings),
        *[plan_entries(kind) for kind in erps],
        *[receipt_entries(kind) for kind in erps],
    ]


# ---------------------------------------------------------------- raw


def _named(settings: Settings, kind: str) -> list[str]:
    return [name for name, one in settings.providers.items() if one.kind == kind]


def raw_reports(kind: str) -> dg.AssetsDefinition:
    """Build the reading of report files of one kind of provider."""

    @dg.asset(
        key=raw_key(kind, "report_lines"),
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[FINANCE, ENGINEERS],
        description=f"Lines of {kind} report files, each as it stands there, with its file and "
        "number. A file of known content is noted and not read again; one that cannot be read is "
        "moved to `refused/` with its reason.",
        metadata={"dagster/column_schema": lineage.raw_schema(set())},
    )
    def read(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        return _read_files(context, systems, _named(systems.settings, kind))

    return read


def raw_bank() -> dg.AssetsDefinition:
    """Build the reading of bank statements."""

    @dg.asset(
        key=raw_key(sources.BANK, "report_lines"),
        group_name=GROUP,
        kinds={"postgres"},
        owners=[FINANCE, ENGINEERS],
        description="Entries of bank statements (CAMT.053 or CSV), each as it stands there.",
        metadata={"dagster/column_schema": lineage.raw_schema(set())},
    )
    def read(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        return _read_files(context, systems, list(systems.settings.banks))

    return read


def _read_files(context: dg.AssetExecutionContext, systems: Systems, names: list[str]) -> Result:
    def one(name: str) -> Tally:
        total = reading.files(systems, name, context.run.run_id)
        if name in systems.settings.providers:
            total.add(reading.fetched(systems, name, context.run.run_id))
        return total

    with told():
        return was_read(each_source(systems, names, "report_lines", one))


def raw_lists(kind: str) -> dg.AssetsDefinition:
    """Build the reading of everything the API of one kind of provider lists."""
    things = list(sources.KINDS[kind].objects)

    @dg.multi_asset(
        name=f"raw_{kind}_lists",
        specs=[
            dg.AssetSpec(
                raw_key(kind, thing),
                group_name=GROUP,
                kinds={kind, "postgres"},
                owners=[ENGINEERS],
                description=f"{thing.replace('_', ' ').capitalize()} of {kind}, as its API lists "
                "them: what changed since the last reading, with an overlap.",
                metadata={"dagster/column_schema": lineage.raw_schema(set())},
            )
            for thing in things
        ],
    )
    def read(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        names = reading.asked(systems.settings, kind)
        with told():
            total = each_source(
                systems,
                names,
                "payments",
                lambda name: reading.changes(systems, name, context.run.run_id),
            )
            done = was_read(total)
        for thing in things:
            yield dg.MaterializeResult(asset_key=raw_key(kind, thing), metadata=done.metadata)

    return read


def raw_notices(kind: str) -> dg.AssetsDefinition:
    """Build the reading of signed notices of one kind of provider."""

    @dg.asset(
        key=raw_key(kind, "notices"),
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[ENGINEERS],
        description=f"What {kind} told by its webhook, signed, each delivery once.",
        metadata={"dagster/column_schema": lineage.raw_schema(set())},
    )
    def read(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        total, names = Tally(), _named(systems.settings, kind)
        with told():
            for name in names:
                total.add(reading.notices(systems, name, context.run.run_id))
            return was_read(total)

    return read


def raw_invoices(kind: str) -> dg.AssetsDefinition:
    """Build the reading of the invoices of one kind of ERP."""

    @dg.asset(
        key=raw_key(kind, "invoices"),
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[FINANCE, ENGINEERS],
        description=f"Invoices and credit memos that {kind} made, as they change there.",
        metadata={"dagster/column_schema": lineage.raw_schema(set())},
    )
    def read(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        names = systems.settings.erps_of(kind)
        with told():
            total = each_source(
                systems,
                names,
                invoices.STREAM,
                lambda name: invoices.read(systems, kind, name, context.run.run_id),
            )
            return was_read(total)

    return read


# ---------------------------------------------------------------- core


def core_invoices(kinds: list[str]) -> dg.AssetsDefinition:
    """Build the table of the ERPs' invoices."""

    @dg.asset(
        key=core_key("invoices"),
        deps=[raw_key(kind, "invoices") for kind in kinds],
        group_name=GROUP,
        kinds={"postgres"},
        owners=[FINANCE, ENGINEERS],
        description=Invoices.__doc__,
        metadata={
            "dagster/column_schema": lineage.column_schema(Invoices),
            "dagster/table_name": "core.invoices",
        },
    )
    def mapped(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        with told():
            done = [invoices.map_invoices(systems, kind, context.run.run_id) for kind in kinds]
        return dg.MaterializeResult(
            metadata=counted(
                mapped=sum(one.mapped for one in done),
                set_aside=sum(one.set_aside for one in done),
            )
        )

    return mapped


def core_told(settings: Settings) -> dg.AssetsDefinition:
    """Build the actual ledger: everything that providers and banks told."""
    told_of = raw_keys(settings)

    @dg.multi_asset(
        name="core_settlements",
        specs=[
            dg.AssetSpec(
                core_key(name),
                deps=told_of,
                group_name=GROUP,
                kinds={"postgres"},
                owners=[FINANCE, ENGINEERS],
                description=table.__doc__,
                metadata={
                    "dagster/column_schema": lineage.column_schema(table),
                    "dagster/table_name": f"core.{name}",
                },
            )
            for name, table in TOLD.items()
        ],
    )
    def mapped(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        with told():
            done = steps.map_all(systems, context.run.run_id)
        for name in TOLD:
            yield dg.MaterializeResult(asset_key=core_key(name), metadata=counted(**done))

    return mapped


def core_matched() -> dg.AssetsDefinition:
    """Build the expected ledger, the matches and what is open: they change together."""
    deps = [core_key(name) for name in TOLD]

    @dg.multi_asset(
        name="core_matches",
        specs=[
            dg.AssetSpec(
                core_key(name),
                deps=[*deps, *ORDERS, REFUNDS, core_key("invoices")],
                group_name=GROUP,
                kinds={"postgres"},
                owners=[FINANCE, ENGINEERS],
                description=table.__doc__,
                metadata={
                    "dagster/column_schema": lineage.column_schema(table),
                    "dagster/table_name": f"core.{name}",
                },
            )
            for name, table in MATCHED.items()
        ],
    )
    def matched(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        with told():
            done = steps.match(systems, context.run.run_id)
        metadata = counted(
            by_rule=done.by_rule,
            findings=done.findings,
            **({"held": "the policy cannot be used"} if done.is_held else {}),
        )
        for name in MATCHED:
            yield dg.MaterializeResult(asset_key=core_key(name), metadata=metadata)

    return matched


def core_booked() -> dg.AssetsDefinition:
    """Build the journals."""

    @dg.multi_asset(
        name="core_journals",
        specs=[
            dg.AssetSpec(
                core_key(name),
                deps=[*[core_key(one) for one in MATCHED], SHIPPED],
                group_name=GROUP,
                kinds={"postgres"},
                owners=[FINANCE, ENGINEERS],
                description=table.__doc__,
                metadata={
                    "dagster/column_schema": lineage.column_schema(table),
                    "dagster/table_name": f"core.{name}",
                },
            )
            for name, table in BOOKED.items()
        ],
    )
    def booked(context: dg.AssetExecutionContext, systems: SystemsParam) -> Iterator[Result]:
        with told():
            done = posting.post(systems, context.run.run_id)
        metadata = counted(
            entries=done.entries,
            lines=done.lines,
            items=done.items,
            corrections=done.corrections,
            held=done.held,
        )
        for name in BOOKED:
            yield dg.MaterializeResult(asset_key=core_key(name), metadata=metadata)

    return booked


@dg.asset(
    key=RECONCILIATION,
    deps=[core_key(name) for name in MATCHED],
    group_name=GROUP,
    kinds={"postgres"},
    owners=[FINANCE],
    description=Statements.__doc__,
    metadata={
        "dagster/column_schema": lineage.column_schema(Statements),
        "dagster/table_name": "core.reconciliations",
    },
)
def core_reconciliations(systems: SystemsParam) -> Result:
    """Work out the statement of every provider, store and month in which something changed."""
    with told():
        rows = steps.reconcile(systems)
    return dg.MaterializeResult(metadata=counted(rows=rows))


# ---------------------------------------------------------------- payouts by provider and day


def payout_partitions(settings: Settings) -> dg.PartitionsDefinition[str]:
    """A provider and the day of its payouts, in UTC."""
    return dg.MultiPartitionsDefinition(
        {
            "day": dg.DailyPartitionsDefinition(
                start_date=f"{settings.backfill_from:%Y-%m-%d}", end_offset=1
            ),
            "provider": dg.StaticPartitionsDefinition(sorted(settings.providers) or ["none"]),
        }
    )


def payouts_by_day(settings: Settings) -> dg.AssetsDefinition:
    """Build the payouts of one provider and day: read again whole, mapped, added up."""

    @dg.asset(
        key=BY_DAY,
        partitions_def=payout_partitions(settings),
        group_name=GROUP,
        kinds={"postgres"},
        owners=[FINANCE, ENGINEERS],
        description="A provider's payouts of one day, read from it again with all their lines "
        "where it can be asked, and added up: for backfills and for a day that is in question. "
        "The job `settlements` matches and books what is new of it.",
        metadata={"dagster/table_name": "core.payouts"},
    )
    def read(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        assert isinstance(context.partition_key, dg.MultiPartitionKey)
        keys: Mapping[str, str] = context.partition_key.keys_by_dimension
        provider, day = keys["provider"], date.fromisoformat(keys["day"])
        kind = systems.settings.providers[provider].kind
        new = 0
        with told():
            if provider in reading.asked(systems.settings, kind):
                new = reading.payout_day(systems, provider, day, context.run.run_id).new
            steps.map_all(systems, context.run.run_id)
            with connected(systems.engine) as connection:
                rows = read_rows(connection, _PAYOUTS_OF_DAY, provider=provider, day=day)
        return dg.MaterializeResult(metadata=_added_up(rows, new))

    return read


_PAYOUTS_OF_DAY = """
select p.payout_ref, p.kind, p.currency, p.paid_amount, count(l.line_ref) as lines,
    coalesce(sum(l.net_amount), 0) as net,
    coalesce(p.opening_amount, 0) + coalesce(sum(l.net_amount), 0)
        - coalesce(p.closing_amount, 0) as difference
from core.payouts p
left join core.settlement_lines l on l.payout_ref = p.payout_ref and not l.is_split
where p.provider = :provider and p.paid_on = :day group by p.payout_ref order by 1
"""


def _added_up(rows: list[dict[str, Any]], new: int) -> dict[str, Any]:
    off = [
        f"{row['payout_ref']}: {row['difference']} {row['currency']}"
        for row in rows
        if row["difference"] and row["kind"] == "payout"
    ]
    paid: dict[str, Any] = {}
    for row in rows:
        paid[row["currency"]] = paid.get(row["currency"], 0) + row["paid_amount"]
    return counted(
        payouts=len(rows),
        lines=sum(row["lines"] for row in rows),
        new=new,
        paid=", ".join(f"{amount.normalize():f} {one}" for one, amount in sorted(paid.items())),
        not_the_sum_of_their_lines="; ".join(off),
    )


# ---------------------------------------------------------------- plan and receipt


def plan_entries(kind: str) -> dg.AssetsDefinition:
    """Build the plan of journal entries for one kind of ERP."""

    @dg.asset(
        key=["plan", kind, "journal_entries"],
        deps=[core_key(name) for name in BOOKED],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[FINANCE, ENGINEERS],
        description=f"Journal entries that {kind} does not hold yet. Nothing is sent; stopping "
        "here is a dry run.",
        metadata={"dagster/table_name": f"plan.{kind}__journal_entries"},
    )
    def planned(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        with told():
            done = entries.plan(systems, kind, context.run.run_id)
        return dg.MaterializeResult(metadata=counted(actions=done))

    return planned


def receipt_entries(kind: str) -> dg.AssetsDefinition:
    """Build the receipts of journal entries of one kind of ERP."""

    @dg.asset(
        key=["receipt", kind, "journal_entries"],
        deps=[dg.AssetKey(["plan", kind, "journal_entries"])],
        group_name=GROUP,
        kinds={kind, "postgres"},
        owners=[FINANCE, ENGINEERS],
        description=f"What {kind} answered about journal entries. Sends what is due; looks up by "
        "our key first, so a repeated run posts nothing twice.",
        metadata={"dagster/table_name": f"receipt.{kind}__journal_entries"},
    )
    def answered(context: dg.AssetExecutionContext, systems: SystemsParam) -> Result:
        run_id, say = context.run.run_id, context.log.info
        with told():
            total = each(
                systems.settings.erps_of(kind),
                lambda erp: entries.post(systems, kind, erp, run_id, say),
            )
        return dg.MaterializeResult(metadata=_sent(total))

    return answered


def _sent(total: Sent) -> dict[str, Any]:
    return counted(
        accepted=total.accepted, parked=total.parked, later=total.later, faults=total.faults
    )
