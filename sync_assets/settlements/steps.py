"""The steps of the subject in their order, each in transactions of its own: what was told, what is
expected, what belongs together, what is wrong, what is booked.
"""

from dataclasses import dataclass, field

from resources.settings import Settings
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.settlement_policy import NO_FILE, SettlementPolicy
from sync_assets.settlements import (
    diagnosing,
    expecting,
    matching,
    policy,
    posting,
    sources,
    statement,
)
from sync_assets.settlements.mapping import map_told

#: One run at a time matches: what it leaves open is judged before another begins.
LOCK = "match settlements"


@dataclass
class Matched:
    """What matching and judging came to."""

    by_rule: dict[str, int] = field(default_factory=dict)
    findings: dict[str, int] = field(default_factory=dict)
    #: No policy is in force: nothing was done.
    is_held: bool = False


def map_all(systems: Systems, run_id: str | None) -> dict[str, int]:
    """Map whatever providers and banks said; answers how much of each."""
    total = {"mapped": 0, "set_aside": 0, "lines": 0}
    kinds = sources.kinds_of(systems.settings)
    for kind in [*kinds, *([sources.BANK] if systems.settings.banks else [])]:
        for thing in sources.things_of(kind):
            done = map_told(systems, kind, thing, run_id)
            total["mapped"] += done.mapped
            total["set_aside"] += done.set_aside
            total["lines"] += done.changes
    return total


def match(systems: Systems, run_id: str | None) -> Matched:
    """Bring the expected ledger up to date, match, and say why the rest is open."""
    expecting.expect(systems, run_id)
    expecting.expect_what_lines_tell(systems, run_id)
    done = _match(systems, run_id)
    if expecting.failed_refunds_come_back(systems, run_id):
        again = _match(systems, run_id)
        for rule, count in again.by_rule.items():
            done.by_rule[rule] = done.by_rule.get(rule, 0) + count
        done.findings = again.findings
    return done


def _match(systems: Systems, run_id: str | None) -> Matched:
    with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
        rules = policy.in_force(systems, connection)
        if rules is None:
            return Matched(is_held=True)
        connection.exec_driver_sql(posting.ROOM)
        now, settings = systems.now(), systems.settings
        by_rule = matching.match(connection, settings, rules, now, run_id)
        findings = diagnosing.diagnose(connection, settings, rules, now, run_id)
    return Matched(by_rule, findings)


def reconcile(systems: Systems) -> int:
    """Work out the statements of months in which something was told, matched or ended since."""
    with connected(systems.engine) as connection, one_at_a_time(connection, "reconcile"):
        rules = policy.in_force(systems, connection) or NO_FILE
        months = [row["month"] for row in read_rows(connection, _MONTHS)]
        return statement.refresh(
            connection,
            lambda provider: zone_of(systems.settings, rules, provider),
            months,
            gift_card_words=rules.gift_cards.fee_words,
        )


def zone_of(settings: Settings, rules: SettlementPolicy, provider: str) -> str:
    """The time zone in which the company of a provider's account counts its days."""
    for store in settings.paid_by(provider).values() if provider in settings.providers else ():
        if store.company in rules.companies:
            return rules.companies[store.company].timezone
    return "UTC"


#: Months with a line that was told or matched after they were last worked out; a day more on both
#: sides, because companies count in their own zones.
_MONTHS = """
with marked as (
    select min(worked_out_at) as at, period from core.reconciliations group by period
), moved as (
    select l.occurred_at from core.settlement_lines l
    join core.match_items i on i.side = 'settled' and i.ref = l.line_ref
    join core.matches m on m.match_id = i.match_id
    where greatest(m.matched_at, m.ended_at) >= (select coalesce(max(at), '-infinity') from marked)
    union all
    select occurred_at from core.settlement_lines l
    where not exists (select from core.match_items i where i.side = 'settled'
        and i.ref = l.line_ref)
)
select distinct to_char(occurred_at + d.off, 'YYYY-MM') as month
from moved cross join (values (interval '-1 day'), (interval '1 day')) d (off) order by 1
"""
