"""Why things are open, and what is doubtful about what is matched: every finding of one run, kept
in core.open_items and told as exceptions with owner, age and the money at stake.

What is found is worked out anew each time; what is found no more is closed by that.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.settings import ServiceLevels, Settings
from resources.store import exceptions
from resources.store.frames import read_rows, scalar
from sync_assets.domain.findings import FINDINGS, PREFIX
from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Problem
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements import finding_books, finding_lines, finding_payouts
from sync_assets.settlements.leftovers import bank_names
from sync_assets.settlements.like import like
from sync_assets.settlements.staging import stage
from sync_assets.trouble import exceptional

#: What moved before is not looked at again for its fees and dates; open things always are.
LOOK_BACK = timedelta(days=800)

PREPARED = (*finding_lines.PREPARED, *finding_payouts.PREPARED)
QUERIES = (
    finding_lines.OPEN_LINES,
    finding_lines.OPEN_OTHERS,
    finding_lines.RESERVES,
    finding_lines.BEFORE_ORDER,
    finding_lines.CHARGED_BACK_AND_REFUNDED,
    finding_lines.FEES,
    finding_lines.RATES,
    finding_lines.CONFLICTS,
    finding_payouts.UNBALANCED,
    finding_payouts.ENTRIES,
    finding_payouts.UNEXPECTED,
    finding_payouts.MISSING,
    finding_payouts.FAILED,
    finding_payouts.BANK_UNBALANCED,
    finding_payouts.BANK_GAP,
    finding_payouts.BALANCE_GAP,
    finding_books.UNSETTLED,
    finding_books.CAPTURES,
    finding_books.INVOICES,
    finding_books.FILES,
)


def diagnose(
    connection: Connection,
    settings: Settings,
    policy: SettlementPolicy,
    now: datetime,
    run_id: str | None,
) -> dict[str, int]:
    """Find everything that is wrong, after matching in the same transaction; answers the counts."""
    _stage(connection, settings, policy)
    values = {"now": now, "since": _looked_back(connection, now)}
    for statement in PREPARED:
        connection.execute(text(statement), values)
    connection.exec_driver_sql("drop table if exists found")
    connection.exec_driver_sql(
        "create temp table found (side text, ref text, finding text, detail text, provider text, "
        "order_ref text, amount numeric(20, 6), currency text, since timestamptz) on commit drop"
    )
    for query in QUERIES:
        connection.execute(text(f"insert into found {query}"), values)
    return _keep(connection, settings.service_levels, now, run_id)


def _looked_back(connection: Connection, now: datetime) -> datetime:
    """From when on fees and dates are looked at: what is loaded of old years is no less wrong."""
    told = connection.execute(text(_NEWEST)).scalars()
    newest: list[datetime] = [one for one in told if one is not None]
    return min([now, *([max(newest)] if newest else [])]) - LOOK_BACK


_FIRST = "select min(occurred_at) from core.settlement_lines where provider = :provider"
_NEWEST = """
select (select max(l.occurred_at) from core.settlement_lines l where l.provider = r.provider)
from stage_rules r
"""


# ---------------------------------------------------------------- what the queries ask


def _stage(connection: Connection, settings: Settings, policy: SettlementPolicy) -> None:
    stage(
        connection,
        "stage_providers (provider text primary key, days integer, first_at timestamptz)",
        [
            {
                "provider": name,
                "days": policy.rule(name).settles_within_days,
                "first_at": scalar(connection, _FIRST, provider=name),
            }
            for name in settings.providers
        ],
    )
    stage(
        connection,
        "stage_stores (store text primary key)",
        [{"store": name} for name in settings.stores],
    )
    stage(
        connection,
        "stage_banks (provider text primary key, bank text, patterns text[])",
        [
            {
                "provider": name,
                "bank": one.bank,
                "patterns": [like(each) for each in bank_names(settings, policy, [name])],
            }
            for name, one in settings.providers.items()
            if one.bank is not None
        ],
    )
    stage(
        connection, "stage_erps (store text primary key)", _invoicing_stores(connection, settings)
    )
    stage(
        connection,
        "stage_fees (provider text, kind text, currency text, method text, percent numeric, "
        "fixed numeric, tax_percent numeric, is_returned boolean, since date, until date, "
        "place integer, digits integer)",
        list(_fees(settings, policy)),
    )


def _invoicing_stores(connection: Connection, settings: Settings) -> list[dict[str, str]]:
    """Stores whose ERP has told of invoices: where it never did, none is missing."""
    known = {row["system"] for row in read_rows(connection, _INVOICED)}
    return [{"store": name} for name, one in settings.stores.items() if one.erp in known]


_INVOICED = "select distinct system from core.invoices where kind = 'invoice'"


def _fees(settings: Settings, policy: SettlementPolicy) -> Sequence[dict[str, Any]]:
    return [
        {
            "provider": name,
            "kind": str(kind),
            "currency": rule.currency,
            "method": like(method),
            "percent": rule.percent,
            "fixed": rule.fixed,
            "tax_percent": rule.tax_percent,
            "is_returned": rule.is_returned,
            "since": rule.since,
            "until": rule.until or date.max,
            "place": place,
            "digits": digits_of(rule.currency),
        }
        for name in settings.providers
        for place, rule in enumerate(policy.rule(name).fees)
        for kind in rule.kinds
        for method in rule.methods
    ]


# ---------------------------------------------------------------- keeping and telling

_GONE = """
delete from core.open_items o where not exists (
    select from found f where f.side = o.side and f.ref = o.ref and f.finding = o.finding)
returning ref
"""
_KEPT = """
insert into core.open_items as held (side, ref, finding, detail, provider, order_ref, amount,
    currency, since, is_waiting, found_at, run_id)
select distinct on (side, ref, finding) side, ref, finding, coalesce(detail, ''), provider,
    order_ref, coalesce(amount, 0), coalesce(currency, ''), since, false, :now,
    cast(:run_id as text) from found
order by side, ref, finding, since
on conflict (side, ref, finding) do update set detail = excluded.detail,
    amount = excluded.amount, order_ref = excluded.order_ref, run_id = excluded.run_id
where (held.detail, held.amount, held.order_ref)
    is distinct from (excluded.detail, excluded.amount, excluded.order_ref)
"""


def _keep(
    connection: Connection, levels: ServiceLevels, now: datetime, run_id: str | None
) -> dict[str, int]:
    gone = set(connection.execute(text(_GONE)).scalars())
    connection.execute(text(_KEPT), {"now": now, "run_id": run_id})
    rows = read_rows(connection, "select * from core.open_items order by ref, finding")
    subjects = sorted(gone | {row["ref"] for row in rows})
    exceptions.reconcile(
        connection,
        [_exception(row, levels) for row in rows],
        subjects=subjects,
        codes=sorted(code for code in FINDINGS if code not in BOOKED),
        now=now,
        run_id=run_id,
    )
    counts: dict[str, int] = {}
    for row in rows:
        name = row["finding"].removeprefix(PREFIX)
        counts[name] = counts.get(name, 0) + 1
    return counts


#: Found and closed where journals are made.
BOOKED = frozenset(
    f"{PREFIX}{name}" for name in ("entry_differs", "no_account", "no_rate", "period_closed")
)


def _exception(row: Mapping[str, Any], levels: ServiceLevels) -> exceptions.Exceptional:
    finding = FINDINGS[row["finding"]]
    said = f"{row['ref']} {finding.says}"
    if row["detail"]:
        said += f" ({row['detail']})"
    return exceptional(
        Problem(row["finding"], "", said),
        row["ref"],
        levels,
        amount=abs(row["amount"]),
        currency=row["currency"] or None,
        sender_ref=row["order_ref"],
    )
