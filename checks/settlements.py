"""Whether the money adds up: payouts and their lines, matches and what is open, journals, the trial
of the day, chargebacks, fees. A check never stops the rest; its findings are exceptions.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg
from sqlalchemy import Connection

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.settlements.assets import core_key

MOST_KEYS = 20
SystemsParam = dg.ResourceParam[Systems]
Rows = list[dict[str, Any]]


def build(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of payments, settlements and journals."""
    return [
        _check(
            "payouts",
            "payout_is_the_sum_of_its_lines",
            "Every payout comes to what its lines come to, balances before and after included.",
            lambda c: findings(c, "payout_unbalanced", "payout_without_lines", "balance_gap"),
        ),
        _check(
            "settlement_lines",
            "matched_and_open_are_all",
            "Every line is matched or open with a reason: nothing is in neither and nothing in "
            "both ledgers twice.",
            unexplained,
            dg.AssetCheckSeverity.ERROR,
        ),
        _check(
            "settlement_lines",
            "net_is_gross_less_fees",
            "Every line's net is its gross less fee and tax on the fee; a split loses nothing.",
            untied,
            dg.AssetCheckSeverity.ERROR,
        ),
        _check(
            "journal_lines",
            "journals_balance",
            "Every entry balances in each currency and in the company's.",
            unbalanced,
            dg.AssetCheckSeverity.ERROR,
        ),
        _check(
            "journal_lines",
            "journals_are_made_of_their_sources",
            "Every journal line is the sum of what it is made of; nothing is booked twice.",
            undermined,
            dg.AssetCheckSeverity.ERROR,
        ),
        trial_of_the_day,
        _check(
            "payments",
            "every_chargeback_has_an_order",
            "Every chargeback belongs to an order we know.",
            lambda c: findings(c, "chargeback_unknown", "chargeback_doubled", "chargeback_over"),
        ),
        _check(
            "settlement_lines",
            "fees_are_as_agreed",
            "Every fee is within what the contract in the policy says.",
            lambda c: findings(
                c,
                *("fee_over", "fee_under", "fee_on_refund", "dispute_fee_differs"),
                *("fee_tax_differs", "fee_unknown", "fee_doubled"),
            ),
        ),
        _check(
            "bank_statements",
            "bank_statements_add_up",
            "Every statement comes from its opening to its closing balance, and none is missing.",
            lambda c: findings(c, "bank_unbalanced", "bank_gap"),
        ),
        _check(
            "open_items",
            "nothing_is_open_without_an_owner",
            "Whatever is open has an exception that says whose it is.",
            unowned,
            dg.AssetCheckSeverity.ERROR,
        ),
    ]


@dg.asset_check(
    asset=core_key("invoices"),
    name="trial_of_the_day",
    additional_deps=[core_key("open_items")],
    description="What was sold in a day is what the ERP invoiced for it and what is open, with its "
    "reason; nothing is invoiced above its order.",
)
def trial_of_the_day(systems: SystemsParam) -> dg.AssetCheckResult:
    """List orders that are invoiced otherwise than they were sold, and add the days up."""
    with connected(systems.engine) as connection:
        rows = findings(connection, "invoice_missing", "invoice_differs", "invoice_doubled")
        sums = read_rows(connection, _TRIAL)
    off = [row for row in sums if row["difference"]]
    told = {
        f"{row['currency']}": f"sold {_plain(row['sold'])} = invoiced {_plain(row['invoiced'])} + "
        f"not in the ERP {_plain(row['not_in_erp'])} + not invoiced {_plain(row['not_invoiced'])} "
        f"- invoiced above {_plain(row['above'])}"
        for row in sums
    }
    return dg.AssetCheckResult(
        passed=not rows and not off,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "count": len(rows),
            "sum": _sums(rows),
            "keys": ", ".join(str(row["ref"]) for row in rows[:MOST_KEYS]),
            **told,
        },
    )


_TRIAL = """
select currency, sum(sold_amount) as sold, sum(invoiced_amount) as invoiced,
    sum(open_not_in_erp_amount) as not_in_erp, sum(open_not_invoiced_amount) as not_invoiced,
    sum(invoiced_above_amount) as above,
    sum(sold_amount - invoiced_amount - open_not_in_erp_amount - open_not_invoiced_amount
        + invoiced_above_amount) as difference
from mart.trial_of_day group by 1 order by 1
"""


def _plain(amount: Any) -> str:
    return f"{amount.normalize():f}"


def _check(
    table: str,
    name: str,
    says: str,
    find: Callable[[Connection], Rows],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.AssetChecksDefinition:
    #: Not before the run has matched and judged: until then what it has read has no reason yet.
    after = [core_key("open_items")] if table != "open_items" else []

    @dg.asset_check(asset=core_key(table), name=name, description=says, additional_deps=after)
    def check(systems: SystemsParam) -> dg.AssetCheckResult:
        with connected(systems.engine) as connection:
            rows = find(connection)
        return dg.AssetCheckResult(
            passed=not rows,
            severity=severity,
            metadata={
                "count": len(rows),
                "sum": _sums(rows),
                "keys": ", ".join(str(row["ref"]) for row in rows[:MOST_KEYS]),
            },
        )

    return check


def findings(connection: Connection, *names: str) -> Rows:
    """What the last run found of these."""
    return read_rows(
        connection,
        "select ref, finding, amount, currency from core.open_items "
        "where finding = any(:codes) order by finding, ref",
        codes=[f"settlement.{name}" for name in names],
    )


def unexplained(connection: Connection) -> Rows:
    """Lines without a match and without a reason, and matches whose sides do not come to each
    other and their difference."""
    return read_rows(
        connection,
        """
        select l.line_ref as ref, l.net_amount as amount, l.currency
        from core.settlement_lines l
        left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
        where i.ref is null and not l.is_split
          and not exists (select from core.open_items o where o.side = 'settled'
            and o.ref = l.line_ref)
          and not (l.kind in ('payout', 'topup', 'payout_returned'))
        union all
        select 'match ' || m.match_id, s.actual - s.expected - m.difference_amount, m.currency
        from core.matches m join lateral (
            select sum(i.amount) filter (where i.side = 'settled') as actual,
                sum(i.amount) filter (where i.side = 'expected') as expected,
                count(distinct i.currency) as currencies
            from core.match_items i where i.match_id = m.match_id
        ) s on s.actual is not null and s.expected is not null and s.currencies = 1
        where m.ended_at is null and s.actual - s.expected <> m.difference_amount
        order by 1
        """,
    )


def untied(connection: Connection) -> Rows:
    """Lines whose net is not what it must be, and splits that lost or made a cent."""
    return read_rows(
        connection,
        """
        select line_ref as ref, net_amount - gross_amount + fee_amount + fee_tax_amount as amount,
            currency
        from core.settlement_lines where net_amount <> gross_amount - fee_amount - fee_tax_amount
        union all
        select w.line_ref, sum(p.net_amount) - w.net_amount, w.currency
        from core.settlement_lines w join core.settlement_lines p on p.split_of = w.line_ref
        where w.is_split group by w.line_ref having sum(p.net_amount) <> w.net_amount
        order by 1
        """,
    )


def unbalanced(connection: Connection) -> Rows:
    """Entries that do not balance."""
    return read_rows(
        connection,
        """
        select entry_ref as ref, currency, sum(amount) as amount from core.journal_lines
        group by 1, 2 having sum(amount) <> 0
        union all
        select l.entry_ref, e.company_currency, sum(l.company_amount)
        from core.journal_lines l join core.journal_entries e using (entry_ref)
        group by 1, 2 having sum(l.company_amount) <> 0
        order by 1
        """,
    )


def undermined(connection: Connection) -> Rows:
    """Lines that are not the sum of their sources, and things that are booked twice."""
    return read_rows(
        connection,
        """
        select l.entry_ref || '/' || l.line_no as ref, l.currency,
            l.amount - coalesce(s.amount, 0) as amount
        from core.journal_lines l
        left join (
            select entry_ref, line_no, sum(amount) as amount from core.journal_sources group by 1, 2
        ) s using (entry_ref, line_no)
        where l.account_kind <> 'fx' and l.amount <> coalesce(s.amount, 0)
          and not exists (select from core.journal_entries e where e.entry_ref = l.entry_ref
            and e.reverses is not null)
        union all
        select s.source_kind || ' ' || s.source_ref, min(j.currency), sum(s.amount)
        from core.journal_sources s join core.journal_lines j using (entry_ref, line_no)
        where s.is_live and j.account_kind = 'clearing' and s.purpose = 'receipt'
        group by s.source_kind, s.source_ref, s.purpose having count(distinct s.entry_ref) > 1
        order by 1
        """,
    )


def unowned(connection: Connection) -> Rows:
    """Open items that no exception tells of; what a person accepted is owned."""
    return read_rows(
        connection,
        """
        select o.ref, o.amount, o.currency from core.open_items o
        where not o.is_waiting and not exists (select from ops.exception e
            where e.subject_ref = o.ref and e.code = o.finding and e.state in ('open', 'released'))
        order by 1
        """,
    )


def _sums(rows: Rows) -> str:
    found: dict[str, Any] = {}
    for row in rows:
        if row["currency"]:
            found[row["currency"]] = found.get(row["currency"], 0) + abs(row["amount"])
    said = (f"{amount.normalize():f} {currency}" for currency, amount in sorted(found.items()))
    return ", ".join(said)
