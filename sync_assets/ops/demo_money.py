"""The demo's money: providers settle what its stores sold, banks tell what reached them, and the
books are held against the ERP's.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from resources.sandbox import deployment, settlement_demo
from resources.sandbox.settlement_demo import BY_TOLERANCE, GivenBack, Paid, Settled
from resources.sandbox.settlement_facts import Planted
from resources.sandbox.shop_order import cents
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets import jobs
from sync_assets.domain.findings import PREFIX
from sync_assets.ops import runs
from sync_assets.settlements import entries, rates, reading
from sync_assets.settlements.things import Act

Row = dict[str, Any]
ZERO = Decimal(0)
#: Of what is counted, as much as a terminal is wide.
SHOWN = (
    *("provider", "currency", "captured", "given_back", "fees", "net", "paid_out", "in_bank"),
    *("open", "debits", "debits_in_erp"),
)


def described(folder: Path, erp: str) -> dict[str, Any]:
    """Providers and banks of the demo's configuration, with empty inboxes; writes their policy.

    Only the stand-in ERP has the accounts that entries go to.
    """
    if erp != "odoo":
        return {}
    shutil.rmtree(folder / "money", ignore_errors=True)
    said = deployment.money(folder / "money")
    for one in (*said["providers"].values(), *said["banks"].values()):
        Path(one["inbox"]).mkdir(parents=True)
    path = folder / "policies" / "settlements.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(deployment.settlements_policy())
    return said


def carry(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    systems: Systems,
    say: Callable[[str], None],
) -> tuple[list[Row], Row]:
    """Settle what was sold, follow it to the bank and into the books; answers runs and summary.

    The same is run twice: the second run has nothing left to do.
    """
    if not systems.settings.providers:
        say("Payments are left out: only the stand-in ERP has accounts for them")
        return [], {}
    began = time.monotonic()
    with connected(systems.engine) as connection:
        paid = [_paid(row) for row in read_rows(connection, _PAID)]
        given = [_given(row) for row in read_rows(connection, _GIVEN)]
    if not paid:
        return [], {}
    settled = settlement_demo.settle(paid, given)
    files = _drop(systems, settled)
    say(f"Providers settle {len(paid):,} payments: {files} report files and bank statements")
    _know_rates(systems, paid, settled)
    ran = [runs.execute(defs, jobs.SETTLEMENTS, instance)]
    say("Settling again: nothing new may come of it")
    before = _moved(systems)
    ran.append(runs.execute(defs, jobs.SETTLEMENTS, instance))
    provider, month, _ = next(iter(settlement_demo.months(paid)))
    return ran, {
        "payments": counted(systems),
        "faults": faults(systems, settled.planted),
        "beside": _beside(systems, settled.planted),
        "unexplained": _unexplained(systems),
        "second_run_changed": _moved(systems) != before,
        "seconds": round(time.monotonic() - began, 1),
        "example": f"--period {month} --provider {provider}",
    }


def in_step(money: Row) -> bool:
    """Whether every line is matched or has its reason, only planted faults were found, and the ERP
    holds our entries; also where there is no money at all.
    """
    if not money:
        return True
    booked = all(
        one["entries"] == one["entries_in_erp"] and one["debits"] == one["debits_in_erp"]
        for one in money["payments"]
    )
    found = all(one["found"] == 1 for one in money["faults"])
    return booked and found and not any(money[key] for key in MUST_BE_NOTHING)


MUST_BE_NOTHING = ("beside", "unexplained", "second_run_changed")


# ---------------------------------------------------------------- files

#: As shops tell it: who paid, and what was given back by the same way.
_PAID = """
select o.order_ref, o.store, o.order_number as number, o.payment_ref as payment,
    o.total_amount as total, o.currency, coalesce(o.paid_at, o.placed_at) as at,
    o.state in ('paid', 'completed') and not exists (
        select from core.refunds m where m.order_ref = o.order_ref) as is_plain
from core.orders o
where o.total_amount > 0
  and (o.state in ('paid', 'completed', 'refunded') or o.paid_at is not null)
order by 7, 1
"""
_GIVEN = """
select refund_ref, order_ref, amount, refunded_at as at from core.refunds
where method = 'gateway' and amount > 0 and state in ('confirmed', 'credited', 'closed')
order by 4, 1
"""


def _paid(row: Row) -> Paid:
    return Paid(**{**row, "total": cents(row["total"])})


def _given(row: Row) -> GivenBack:
    return GivenBack(**{**row, "amount": cents(row["amount"])})


def _drop(systems: Systems, settled: Settled) -> int:
    """Put the files where providers and banks would; answers how many."""
    for name, files in settled.files.items():
        inbox = reading.settings_of(systems, name).inbox
        assert inbox is not None
        for file, content in files:
            (inbox / file).write_bytes(content)
    return sum(map(len, settled.files.values()))


def _know_rates(systems: Systems, paid: Sequence[Paid], settled: Settled) -> None:
    """Load the rates of the day, if a customer paid in a currency that is not the store's."""
    accepted = {name: one.currencies for name, one in systems.settings.stores.items()}
    if all(one.currency in accepted[one.store] for one in paid):
        return
    act = Act("demo", "rates of the invented providers", systems.now())
    with connected(systems.engine) as connection:
        for currency, content in settlement_demo.rates_csv(settled.rates).items():
            found = rates.read("rates.csv", content, currency)
            rates.load(connection, found, currency, "demo", act)


# ---------------------------------------------------------------- counting


def counted(systems: Systems) -> list[Row]:
    """By provider and currency: from what customers paid to what reached the bank; entries and
    their debits, in the company's currency, stand with the currency of the account.
    """
    books = _books(systems)
    with connected(systems.engine) as connection:
        rows = read_rows(connection, _COUNTS)
    return [{**row, **books.get((row["provider"], row["currency"]), NO_BOOKS)} for row in rows]


NO_BOOKS: Row = {"entries": 0, "entries_in_erp": 0, "debits": ZERO, "debits_in_erp": ZERO}
_COUNTS = """
with banked as (
    select m.provider, b.currency, sum(b.amount) as amount
    from core.bank_lines b
    join core.match_items i on i.side = 'bank' and i.ref = b.bank_line_ref and i.is_live
    join core.matches m using (match_id) group by 1, 2
), opened as (
    select provider, currency, count(*) as items from core.open_items group by 1, 2
)
select l.provider, l.currency, count(*) as lines,
    coalesce(sum(gross_amount) filter (where kind = 'sale'), 0) as captured,
    coalesce(sum(gross_amount) filter (where kind in ('refund', 'chargeback')), 0) as given_back,
    -sum(fee_amount + fee_tax_amount) + coalesce(sum(gross_amount) filter (where kind = 'fee'), 0)
        as fees,
    coalesce(sum(gross_amount) filter (where kind = 'conversion'), 0) as converted,
    coalesce(sum(net_amount) filter (where kind <> 'payout'), 0) as net,
    -coalesce(sum(net_amount) filter (where kind = 'payout'), 0) as paid_out,
    sum(net_amount) as held_there,
    coalesce(min(b.amount), 0) as in_bank, coalesce(min(o.items), 0) as open
from core.settlement_lines l
left join banked b on b.provider = l.provider and b.currency = l.currency
left join opened o on o.provider = l.provider and o.currency = l.currency
group by 1, 2 order by 1, 2
"""


def _books(systems: Systems) -> Mapping[tuple[str, str], Row]:
    """What we posted, and what the ERPs say they hold of it, by provider and company currency."""
    with connected(systems.engine) as connection:
        ours = read_rows(connection, _POSTED)
    found: dict[tuple[str, str], Row] = {}
    for name, erp in systems.settings.erps.items():
        own = [row for row in ours if row["erp"] == name]
        with systems.erp(name) as client:
            held = client.journals([row["entry_ref"] for row in own]) if own else {}
        seen = {key: entries.MAPPERS[erp.kind].seen_journal(one) for key, one in held.items()}
        for row in own:
            key = row["provider"], row["company_currency"]
            sums = found.setdefault(key, dict(NO_BOOKS))
            sums["entries"] += 1
            sums["debits"] += row["debits"]
            there = seen.get(row["entry_ref"])
            if there is not None and there.state == "posted" and not there.twins:
                sums["entries_in_erp"] += 1
                sums["debits_in_erp"] += there.total_amount
    return found


_POSTED = """
select e.erp, e.entry_ref, e.provider, e.company_currency,
    sum(greatest(l.company_amount, 0)) as debits
from core.journal_entries e join core.journal_lines l using (entry_ref)
group by 1, 2, 3, 4 order by 2
"""


def faults(systems: Systems, planted: Sequence[Planted]) -> list[Row]:
    """Every planted fault, and how often it was found."""
    with connected(systems.engine) as connection:
        known = read_rows(connection, _FOUND, prefix=PREFIX, tolerance=BY_TOLERANCE)
    return [
        {
            "planted": one.kind.replace("_", " "),
            "found_as": one.finding,
            "of": next((row["ref"] for row in known if _is(one, row)), None),
            "found": sum(_is(one, row) for row in known),
        }
        for one in planted
    ]


def _is(one: Planted, row: Row) -> bool:
    return bool(row["finding"] == one.finding) and one.ref in row["ref"]


_FOUND = """
select substr(finding, length(:prefix) + 1) as finding, ref from core.open_items
union all
select m.rule, i.ref from core.matches m join core.match_items i using (match_id)
where m.rule = :tolerance and m.ended_at is null and i.side = 'settled'
order by 1, 2
"""


def _beside(systems: Systems, planted: Sequence[Planted]) -> list[str]:
    """Whatever was found that nobody planted."""
    with connected(systems.engine) as connection:
        known = read_rows(connection, _FOUND, prefix=PREFIX, tolerance=BY_TOLERANCE)
        held = read_rows(connection, _HELD)
    other = [row for row in known if not any(_is(one, row) for one in planted)]
    return [f"{row['finding']} {row['ref']}" for row in (*other, *held)][:20]


#: What is wrong with journals is no open item.
_HELD = """
select e.code as finding, e.subject_ref as ref from ops.exception e
where e.state = 'open' and starts_with(e.code, 'settlement.')
  and not exists (select from core.open_items o where o.finding = e.code and o.ref = e.subject_ref)
order by 1, 2
"""


def _unexplained(systems: Systems) -> int:
    """Lines that are matched with nothing, and nobody says why."""
    with connected(systems.engine) as connection:
        return int(read_rows(connection, _UNEXPLAINED)[0]["lines"])


_UNEXPLAINED = """
select count(*) as lines from core.settlement_lines l
where not l.is_split
  and not exists (select from core.match_items i where i.side = 'settled' and i.ref = l.line_ref
    and i.is_live)
  and not exists (select from core.open_items o where o.side = 'settled' and o.ref = l.line_ref)
"""


def _moved(systems: Systems) -> Row:
    """What a run could change, as counts and sums."""
    with connected(systems.engine) as connection:
        return read_rows(connection, _MOVED)[0]


_MOVED = """
select (select count(*) from core.settlement_lines) as lines,
    (select count(*) from core.payments) as payments,
    (select coalesce(sum(amount), 0) from core.payments) as expected,
    (select count(*) from core.matches) as matches,
    (select count(*) from core.matches where ended_at is null) as live_matches,
    (select count(*) from core.journal_entries) as entries,
    (select count(*) from core.open_items) as open_items,
    (select max(found_at) from core.open_items) as found_at,
    (select count(*) from receipt.journal_entries) as receipts
"""
