"""A million settled lines, matched and booked: seconds, memory, and what is left unexplained.

    python bench/settlement.py [--lines 1000000] [--rounds 1] [--by-line] [--json]

What was captured, refunded and disputed (the expected ledger) and what three providers settled of
it (the actual one) is put into an empty Postgres; the measured part is what a run of the product
does with it: match by every rule, say why the rest is open, and post the journals, with fee
contracts checked and payouts added up. Of the lines 90 % carry the
provider's id of the payment, 5 % the order's number only (with the suffix some providers put
behind it), 0.2 % name it in their text only, 0.5 % settle two parts of one payment, 0.2 % are a
cent off within the tolerance, 3 % are refunds, 0.3 % chargebacks, 0.6 % fees by themselves; 0.1 %
settle orders nobody knows, and 0.1 % settle a payment a second time. Those two stay open, with
their reason: `open` counts them.

`unexplained` counts lines with neither a match nor a reason, payouts that are not the sum of
their lines and not told, journal entries that do not balance, and matched lines that are not
booked; the run fails if it is not zero. `growth_100k_to_1m` is the time of the whole over the
time of a tenth, each in a fresh database, one after the other. Memory is the peak of our process,
not the server's.
"""

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from resources import settings
from resources.store import postgres
from resources.store.engine import connected, engine_for, migrate
from resources.store.frames import read_rows, scalar
from resources.wiring import Systems
from sync_assets.settlements import posting, steps

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PROVIDERS = {"card": ("us", "USD"), "wallet": ("uk", "GBP"), "local": ("eu", "EUR")}
PER_PAYOUT = 1_000


def main() -> None:
    """Measure and tell."""
    wanted = _arguments()
    small = [_one(wanted.lines // 10, wanted.by_line) for _ in range(wanted.rounds)]
    large = [_one(wanted.lines, wanted.by_line) for _ in range(wanted.rounds)]
    result = _summary(wanted.lines, small, large)
    sys.stdout.write(json.dumps(result, indent=None if wanted.json else 2) + "\n")
    if result["unexplained"]:
        raise SystemExit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--by-line", action="store_true", help="one journal entry a line")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


@dataclass
class Measured:
    """One run in a database of its own."""

    lines: int
    seconds: float
    parts: dict[str, float]
    open: int
    unexplained: int
    facts: dict[str, Any] = field(default_factory=dict)


def _summary(lines: int, small: list[Measured], large: list[Measured]) -> dict[str, Any]:
    seconds = statistics.median(one.seconds for one in large)
    tenth = statistics.median(one.seconds for one in small)
    last = large[-1]
    return {
        "lines": lines,
        "seconds": round(seconds, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "growth_100k_to_1m": round(seconds / tenth, 2),
        "unexplained": max(one.unexplained for one in (*small, *large)),
        "open": last.open,
        "seconds_of_a_tenth": round(tenth, 1),
        "parts": {name: round(value, 1) for name, value in last.parts.items()},
        "lines_per_second": round(lines / seconds),
        **last.facts,
    }


def _one(lines: int, by_line: bool) -> Measured:
    folder = Path(tempfile.mkdtemp(prefix="sync-pg-"))
    try:
        found = postgres.disposable(folder / "pg")
        postgres.create_missing(found)
        engine = engine_for(found)
        migrate(engine)
        systems = Systems(_settings(folder, by_line), engine, now=lambda: NOW)
        _fill(systems, lines)
        return _measured(systems, lines)
    finally:
        postgres.stop_embedded(folder / "pg")
        shutil.rmtree(folder, ignore_errors=True)


def _measured(systems: Systems, lines: int) -> Measured:
    parts: dict[str, float] = {}
    start = time.perf_counter()
    done = steps.match(systems, None)
    parts["match_and_judge"] = time.perf_counter() - start
    posted = posting.post(systems, None)
    total = time.perf_counter() - start
    parts["post"] = total - parts["match_and_judge"]
    with connected(systems.engine) as connection:
        unexplained = {name: int(scalar(connection, query)) for name, query in _WRONG.items()}
        opened = int(scalar(connection, "select count(*) from core.open_items"))
        rows = read_rows(
            connection, "select finding, count(*) as n from core.open_items group by 1"
        )
    return Measured(
        lines,
        total,
        parts,
        opened,
        sum(unexplained.values()),
        {
            "rules": done.by_rule,
            "findings": {row["finding"]: row["n"] for row in rows},
            "journal_entries": posted.entries,
            "journal_lines": posted.lines,
            "held": posted.held,
            "wrong": unexplained,
        },
    )


_WRONG = {
    "lines": """
select count(*) from core.settlement_lines l
where l.kind <> 'payout'
  and not exists (select from core.match_items i where i.side = 'settled' and i.ref = l.line_ref
    and i.is_live)
  and not exists (select from core.open_items o where o.side = 'settled' and o.ref = l.line_ref)
""",
    "payouts": """
select count(*) from (
    select p.payout_ref from core.payouts p join core.settlement_lines l using (payout_ref)
    group by p.payout_ref having sum(l.net_amount) <> 0) p
where not exists (select from core.open_items o where o.ref = p.payout_ref)
""",
    "entries": """
select count(*) from (
    select entry_ref from core.journal_lines group by entry_ref, currency having sum(amount) <> 0
    union select entry_ref from core.journal_lines group by entry_ref
    having sum(company_amount) <> 0) e
""",
    "unbooked": """
select count(*) from core.settlement_lines l
join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where l.kind <> 'payout' and not exists (select from core.journal_sources s
    where s.source_kind = 'line' and s.source_ref = l.line_ref and s.is_live)
""",
}


# ---------------------------------------------------------------- the world

POLICY = """
version: 1
default:
  tolerance: {{USD: 0.02, GBP: 0.02, EUR: 0.02}}
  settles_within_days: 400
providers:
  card: {{fees: [{{currency: USD, percent: 2.9, fixed: 0.30}},
    {{currency: USD, kinds: [chargeback], fixed: 15}}]}}
  wallet: {{fees: [{{currency: GBP, percent: 3.4, fixed: 0.20}},
    {{currency: GBP, kinds: [chargeback], fixed: 14}}]}}
  local: {{fees: [{{currency: EUR, percent: 1.2, fixed: 0.10}},
    {{currency: EUR, kinds: [chargeback], fixed: 20}}]}}
companies:
{companies}
"""
COMPANY = """
  {name}:
    currency: {currency}
    detail: {detail}
    accounts: {{receivable: "1200", clearing: "1310", balance: "1320", transit: "1330",
      bank: "1000", chargebacks: "6500", fees: "6400", fee_tax: "1410", reserve: "1340",
      adjustments: "6900", rounding: "6990", conversion: "1390", fx: "6980", write_off: "6950",
      tax_withheld: "2300"}}
"""


def _settings(folder: Path, by_line: bool) -> settings.Settings:
    path = folder / "settlements.yaml"
    detail = "line" if by_line else "payout"
    companies = "".join(
        COMPANY.format(name=f"Company {store}", currency=currency, detail=detail)
        for store, currency in PROVIDERS.values()
    )
    path.write_text(POLICY.format(companies=companies))
    store = {
        "url": "http://127.0.0.1:1",
        "key": "k",
        "secret": "s",
        "erp": "odoo",
        "warehouse": "W",
    }
    odoo = {
        "kind": "odoo",
        "url": "http://127.0.0.1:1",
        "database": "erp",
        "login": "l",
        "api_key": "k",
    }
    return settings.parse(
        {
            "stores": {
                name: {**store, "company": f"Company {name}", "currencies": [currency]}
                for name, currency in PROVIDERS.values()
            },
            "erps": {"odoo": odoo},
            "providers": {
                name: {"kind": "files", "payment_methods": ["*"], "stores": [store_name]}
                for name, (store_name, _) in PROVIDERS.items()
            },
            "policies": {"settlements": str(path)},
        }
    )


#: n is the number of a line; what it is follows from it, so that both ledgers agree.
_SHAPE = """
create temp table shape on commit drop as
select n, p.provider, p.store, p.currency, p.percent, p.fixed, p.dispute,
    case when n % 1000 < 30 then 'refund' when n % 1000 < 33 then 'chargeback'
        when n % 1000 < 39 then 'fee' when n % 1000 < 40 then 'unknown'
        when n % 1000 < 41 then 'doubled' when n % 1000 < 46 then 'part'
        when n % 1000 < 96 then 'number' when n % 1000 < 98 then 'text'
        when n % 1000 < 100 then 'cent' else 'id' end as way,
    (500 + (n::bigint * 7919) % 20000)::numeric / 100 as amount,
    timestamptz '2025-03-01 00\\:00Z'
        + make_interval(secs => (n::bigint * 300 * 86400 / :lines)) as at,
    n / :per_payout as batch
from generate_series(0, :lines - 1) n
join (values (0, 'card', 'us', 'USD', 2.9, 0.30, 15), (1, 'wallet', 'uk', 'GBP', 3.4, 0.20, 14),
    (2, 'local', 'eu', 'EUR', 1.2, 0.10, 20)) p (place, provider, store, currency, percent, fixed,
    dispute) on p.place = (n / :per_payout) % 3
"""
_EXPECTED = """
insert into core.payments (payment_ref, kind, order_ref, store, provider, amount, currency,
    payment_id, group_id, movement_id, order_number, expected_at, source, is_void)
select store || ':' || n || '\\:capture', 'capture', store || ':' || n, store, provider,
    case way when 'part' then 2 * amount when 'cent' then amount + 0.01 else amount end, currency,
    case when way in ('number', 'text') then null else 'pay_' || n end, null, null,
    'N' || n, at - interval '2 days', 'order', false
from shape where way not in ('fee', 'unknown', 'doubled')
union all
select store || '\\:r' || n, 'refund', store || ':' || n, store, provider, -amount, currency,
    'pay_' || n, null, 're_' || n, 'N' || n, at - interval '1 day', 'refund', false
from shape where way = 'refund'
"""
#: A refund and a chargeback of a payment come beside the sale; two parts of one payment as well.
_ACTUAL = """
insert into core.settlement_lines (line_ref, provider, kind, payout_ref, payment_id, group_id,
    movement_id, order_reference, method, currency, gross_amount, fee_amount, fee_tax_amount,
    net_amount, occurred_at, description, told_by, file_name, file_line)
select l.line_ref, s.provider, l.kind, s.provider || '\\:b' || s.batch, l.payment_id, null,
    l.movement_id, l.reference, 'visa', s.currency, l.gross, f.fee, 0, l.gross - f.fee, s.at,
    l.words, 'file', 'report.csv', s.n + 1
from shape s
cross join lateral (values
    ('sale', s.provider || '\\:t' || s.n, case when s.way in ('number', 'text') then null
        when s.way = 'unknown' then 'pay_x' || s.n
        when s.way = 'doubled' then 'pay_' || (s.n + 60) else 'pay_' || s.n end,
        null, case s.way when 'number' then 'N' || s.n || '.1' when 'unknown' then 'X' || s.n end,
        s.amount, case s.way when 'text' then 'Payment for order N' || s.n else 'Charge' end),
    ('sale', s.provider || '\\:u' || s.n, 'pay_' || s.n, null, null,
        case s.way when 'part' then s.amount end, 'Charge'),
    ('refund', s.provider || '\\:r' || s.n, 'pay_' || s.n, 're_' || s.n, null,
        case s.way when 'refund' then -s.amount end, 'Refund'),
    ('chargeback', s.provider || '\\:c' || s.n, 'pay_' || s.n, 'dp_' || s.n, null,
        case s.way when 'chargeback' then -s.amount end, 'Chargeback'),
    ('fee', s.provider || '\\:f' || s.n, null, null, null,
        case s.way when 'fee' then -s.amount / 100 end, 'Monthly fee ' || s.n)
) l (kind, line_ref, payment_id, movement_id, reference, gross, words)
cross join lateral (select case l.kind
    when 'sale' then round(l.gross * s.percent / 100 + s.fixed, 2)
    when 'chargeback' then s.dispute else 0 end as fee) f
where l.gross is not null and not (l.kind = 'sale' and s.way = 'fee')
"""
#: A chargeback's line is told of beside its sale, so some lines more come out than were asked for.
_PAID_OUT = """
with summed as (
    select payout_ref, provider, currency, sum(net_amount) as net, max(occurred_at) as at
    from core.settlement_lines group by 1, 2, 3
), lines as (
    insert into core.settlement_lines (line_ref, provider, kind, payout_ref, movement_id, currency,
        gross_amount, fee_amount, fee_tax_amount, net_amount, occurred_at, description, told_by,
        file_line)
    select payout_ref || '\\:out', provider, 'payout', payout_ref, payout_ref, currency, -net, 0, 0,
        -net, at, 'Payout', 'file', 0 from summed
)
insert into core.payouts (payout_ref, provider, payout_id, kind, currency, paid_amount, paid_on,
    state)
select payout_ref, provider, payout_ref, 'payout', currency, net, at::date, 'paid' from summed
"""


def _fill(systems: Systems, lines: int) -> None:
    """Both ledgers, made in the database: what is measured begins after it."""
    values = {"lines": lines, "per_payout": PER_PAYOUT}
    with connected(systems.engine) as connection:
        for statement in (_SHAPE, _EXPECTED, _ACTUAL, _PAID_OUT):
            connection.execute(text(statement), values)
        connection.exec_driver_sql("delete from ops.stale")
    with systems.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum analyze")


if __name__ == "__main__":
    main()
