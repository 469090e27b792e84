"""Finding what belongs to what, rule by rule, the surest first; what stays open is looked at again
by every run, so that a later line or order closes an earlier one.

Exact keys are joined in the database, set by set; sums, small differences, text and amounts are for
`domain/pairing.py`, which sees only what is left.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from resources.settings import Settings
from resources.store.money_facts import settled_providers
from sync_assets.domain.payments import NEED_PAYMENT, SETTLED_AS
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements import leftovers
from sync_assets.settlements.like import like
from sync_assets.settlements.writing_matches import PAIRS, write_pairs


@dataclass(frozen=True)
class Pass:
    """One rule over keys: which key of a line must be which key of a payment."""

    rule: str
    line_key: str
    payment_key: str
    says: str


_ID = "line and payment carry the same id "
PASSES = (
    Pass("exact", "movement_id", "movement_id", _ID + "of the capture, refund or dispute"),
    Pass("exact", "payment_id", "payment_id", _ID + "of the payment"),
    Pass("exact", "group_id", "group_id", _ID + "of the payment's group"),
    Pass("exact", "group_id", "payment_id", _ID + "of the payment's group"),
    Pass("exact", "payment_id", "group_id", _ID + "of the payment's group"),
    Pass("exact", "movement_id", "payment_id", _ID + "of the payment"),
    Pass("reference", "reference", "order_number", "the line names the order's number"),
    Pass("reference", "reference", "order_ref", "the line names our key of the order"),
    Pass("reference", "reference", "order_id", "the line names the shop's id of the order"),
    Pass("reference", "reference", "payment_ref", "the line names our key of the payment"),
)


def match(
    connection: Connection,
    settings: Settings,
    policy: SettlementPolicy,
    now: datetime,
    run_id: str | None,
) -> dict[str, int]:
    """Match whatever is open; answers how many matches each rule found.

    Leaves `open_lines`, `open_payments`, `stage_rules` and `reserves` for those who ask why the
    rest is open.
    """
    found: dict[str, int] = {}
    _stage(connection)
    for one in PASSES:
        _count(found, one.rule, _by_key(connection, one, now, run_id))
    stage_rules(connection, policy)
    _stage_reserves(connection)
    for rule, query in _ALONE.items():
        _count(found, rule, _by_kind(connection, rule, query, now, run_id))
    _count(found, "conversion", _conversions(connection, now, run_id))
    for rule, count in leftovers.pair_lines(connection, policy, now, run_id).items():
        _count(found, rule, count)
    for rule, count in leftovers.pair_bank(connection, settings, policy, now, run_id).items():
        _count(found, f"bank_{rule}", count)
    return found


def _count(found: dict[str, int], rule: str, count: int) -> None:
    found[rule] = found.get(rule, 0) + count


# ---------------------------------------------------------------- what is open


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(f"'{kind}'" for kind in sorted(kinds))


_KIND = " ".join(f"when '{settled}' then '{kind}'" for kind, settled in SETTLED_AS.items())
_OPEN_LINES = f"""
create temp table open_lines on commit drop as
select l.line_ref as ref, l.provider, case l.kind {_KIND} end as kind,
    coalesce(l.paid_amount, l.gross_amount) as amount,
    coalesce(l.paid_currency, l.currency) as currency, l.payment_id, l.group_id, l.movement_id,
    core.reference_of(l.order_reference) as reference, l.occurred_at as at, l.description
from core.settlement_lines l
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where i.ref is null and not l.is_split and l.kind in ({_listed(NEED_PAYMENT)})
"""  # noqa: S608
_OPEN_PAYMENTS = """
create temp table open_payments on commit drop as
select p.payment_ref as ref, p.provider, p.kind, p.amount, p.currency, p.payment_id, p.group_id,
    p.movement_id, p.order_number, p.order_ref, split_part(p.order_ref, ':', 2) as order_id,
    p.payment_ref, p.expected_at as at, p.is_void
from core.payments p
left join core.match_items i on i.side = 'expected' and i.ref = p.payment_ref and i.is_live
where i.ref is null
"""
#: What a person set apart no rule puts together again, nor matches alone what a person took out;
#: unless a person said since that the line was told wrongly.
_SET_APART = """
create temp table set_apart on commit drop as
select distinct a.ref, b.ref as other_ref
from core.matches m
join core.match_items a on a.match_id = m.match_id and a.side in ('settled', 'bank')
left join core.match_items b on b.match_id = m.match_id and (b.side, b.ref) <> (a.side, a.ref)
where m.ended_at is not null
  and not exists (select from core.settlement_conflicts c where c.line_ref = a.ref
    and c.settled_at >= m.ended_at)
"""
_ALLOWED = "not exists (select from set_apart x where x.ref = {ref} and x.other_ref {other})"
_NOT_APART = _ALLOWED.format(ref="l.ref", other="= p.ref")
_NOT_TAKEN_OUT = _ALLOWED.format(ref="l.line_ref", other="is null")


def _stage(connection: Connection) -> None:
    for table, query in (("open_lines", _OPEN_LINES), ("open_payments", _OPEN_PAYMENTS)):
        connection.exec_driver_sql(f"drop table if exists {table}")
        connection.exec_driver_sql(query)
        connection.exec_driver_sql(f"create unique index on {table} (ref)")
        connection.exec_driver_sql(f"analyze {table}")
    connection.exec_driver_sql("drop table if exists set_apart")
    connection.exec_driver_sql(_SET_APART)
    connection.exec_driver_sql("create index on set_apart (ref)")


# ---------------------------------------------------------------- keys

#: Equal amounts under one key are paired in the order of time: two halves of an order are two
#: captures of the same amount. A number that two orders have decides nothing.
_PAIRED = f"""
insert into {{pairs}} (left_ref, right_ref, provider, amount, currency, reason)
select l.ref, p.ref, l.provider, l.amount, l.currency, :says
from (
    select *, row_number() over (partition by provider, kind, currency, amount, {{line_key}}
        order by at, ref) as place
    from open_lines where {{line_key}} is not null
) l
join (
    select *, row_number() over w as place,
        min(order_ref) over k is distinct from max(order_ref) over k as is_doubtful
    from open_payments where {{payment_key}} is not null
    window k as (partition by provider, kind, currency, amount, {{payment_key}}),
        w as (partition by provider, kind, currency, amount, {{payment_key}}
            order by is_void, at, ref)
) p on p.provider = l.provider and p.kind = l.kind and p.currency = l.currency
    and p.amount = l.amount and p.{{payment_key}} = l.{{line_key}} and p.place = l.place
where not p.is_doubtful and {_NOT_APART}
"""  # noqa: S608


def _by_key(connection: Connection, one: Pass, now: datetime, run_id: str | None) -> int:
    connection.exec_driver_sql(PAIRS)
    query = _PAIRED.format(pairs="pairs", line_key=one.line_key, payment_key=one.payment_key)
    if not connection.execute(text(query), {"says": one.says}).rowcount:
        return 0
    count = write_pairs(connection, one.rule, "settled", "expected", now, run_id)
    connection.exec_driver_sql("delete from open_lines l using pairs p where p.left_ref = l.ref")
    connection.exec_driver_sql(
        "delete from open_payments l using pairs p where p.right_ref = l.ref"
    )
    return count


# ---------------------------------------------------------------- what needs no counterpart

_UNMATCHED = f"""
from core.settlement_lines l
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
left join stage_rules r on r.provider = l.provider
where i.ref is null and not l.is_split and {_NOT_TAKEN_OUT}
"""
_SAME_FEE = """
select from core.settlement_lines o where o.provider = l.provider and o.kind = 'fee'
  and o.description = l.description and o.gross_amount = l.gross_amount
  and o.currency = l.currency and o.payment_id is null and o.occurred_at::date = l.occurred_at::date
  and o.line_ref < l.line_ref
"""
#: By rule: lines that stand for themselves. Fees and adjustments only in agreed words; a fee that
#: came twice in a day once; a release only up to what is held.
_ALONE = {
    "fee": f"""
select l.line_ref, l.provider, l.gross_amount, l.currency,
    'a fee needs no counterpart; its words are agreed'
{_UNMATCHED} and l.kind = 'fee'
  and (l.payment_id is not null or l.order_reference is not null
    or (l.description ilike any(r.agreed_fees) and not exists ({_SAME_FEE})))
""",
    "tax_withheld": f"""
select l.line_ref, l.provider, l.gross_amount, l.currency,
    'the marketplace keeps the tax and pays it itself'
{_UNMATCHED} and l.kind = 'tax_withheld' and r.withholds_tax
""",
    "adjustment": f"""
select l.line_ref, l.provider, l.gross_amount, l.currency, 'its words are agreed in the policy'
{_UNMATCHED} and l.kind = 'adjustment' and l.description ilike any(r.agreed_adjustments)
""",
    "reserve": f"""
select l.line_ref, l.provider, l.gross_amount, l.currency, 'held back'
{_UNMATCHED} and l.kind = 'reserve_held'
""",
    "release": f"""
select line_ref, provider, gross_amount, currency, 'releases what was held'
from reserves l where kind = 'reserve_released' and is_covered and not is_matched
  and {_NOT_TAKEN_OUT}
""",  # noqa: S608
}
#: A release is covered by holds of the same reference up to their sum; without a reference, by an
#: earlier hold of the same amount. What was released too much takes nothing from a later hold: only
#: a sum below its lowest before is not covered.
_RESERVES = """
create temp table reserves on commit drop as
with named as (
    select l.*, coalesce(l.payment_id, l.group_id, l.order_reference) as name,
        exists (select from core.match_items i where i.side = 'settled' and i.ref = l.line_ref
            and i.is_live) as is_matched
    from core.settlement_lines l
    where l.kind in ('reserve_held', 'reserve_released') and not l.is_split
), summed as (
    select n.*,
        sum(-gross_amount) over (partition by provider, currency, name
            order by occurred_at, kind, line_ref) as left_of_name,
        sum(case kind when 'reserve_held' then 1 else -1 end) over (
            partition by provider, currency, abs(gross_amount), name is null
            order by occurred_at, kind, line_ref) as left_of_amount,
        sum(-gross_amount) over (partition by provider, currency, name) as rest_of_name,
        row_number() over (partition by provider, currency, kind, abs(gross_amount), name is null
            order by occurred_at, line_ref) as place,
        count(*) filter (where kind = 'reserve_released') over (
            partition by provider, currency, abs(gross_amount), name is null) as releases
    from named n
), counted as (
    select s.*,
        least(0, min(left_of_name) over (partition by provider, currency, name
            order by occurred_at, kind, line_ref
            rows between unbounded preceding and 1 preceding)) as low_of_name,
        least(0, min(left_of_amount) over (partition by provider, currency, abs(gross_amount),
            name is null order by occurred_at, kind, line_ref
            rows between unbounded preceding and 1 preceding)) as low_of_amount
    from summed s
)
select line_ref, provider, kind, gross_amount, currency, occurred_at, is_matched,
    case when name is not null then left_of_name >= low_of_name
        else left_of_amount >= low_of_amount end as is_covered,
    case when name is not null then rest_of_name <= 0 else place <= releases end as is_released
from counted
"""
#: Two sides of one change of currency.
_CONVERSIONS = """
insert into pairs (left_ref, right_ref, provider, amount, currency, right_amount, right_currency,
    reason)
select a.line_ref, b.line_ref, a.provider, a.net_amount, a.currency, b.net_amount, b.currency,
    'two sides of one conversion: ' || trim_scale(-a.net_amount) || ' ' || a.currency || ' became '
        || trim_scale(b.net_amount) || ' ' || b.currency
from (select *, row_number() over (partition by provider, group_id, currency order by line_ref) as n
    from core.settlement_lines where kind = 'conversion' and net_amount < 0 and not is_split) a
join (select *, row_number() over (partition by provider, group_id, currency order by line_ref) as n
    from core.settlement_lines where kind = 'conversion' and net_amount > 0 and not is_split) b
  on b.provider = a.provider and b.group_id = a.group_id and b.n = a.n and b.currency <> a.currency
where not exists (select from core.match_items i where i.side = 'settled' and i.is_live
    and i.ref in (a.line_ref, b.line_ref))
  and not exists (select from set_apart x where x.ref = a.line_ref and x.other_ref = b.line_ref)
"""


def _by_kind(
    connection: Connection,
    rule: str,
    query: str,
    now: datetime,
    run_id: str | None,
) -> int:
    connection.exec_driver_sql(PAIRS)
    names = "left_ref, provider, amount, currency, reason"
    done = connection.execute(text(f"insert into pairs ({names}) {query}"))
    return write_pairs(connection, rule, "settled", None, now, run_id) if done.rowcount else 0


def _conversions(connection: Connection, now: datetime, run_id: str | None) -> int:
    connection.exec_driver_sql(PAIRS)
    if not connection.execute(text(_CONVERSIONS)).rowcount:
        return 0
    return write_pairs(connection, "conversion", "settled", "settled", now, run_id)


def _stage_reserves(connection: Connection) -> None:
    """Work out which reserves were released, and which releases are covered."""
    connection.exec_driver_sql("drop table if exists reserves")
    connection.exec_driver_sql(_RESERVES)


def stage_rules(connection: Connection, policy: SettlementPolicy) -> None:
    """Put what the policy says of every provider that has lines into a temporary table."""
    connection.exec_driver_sql("drop table if exists stage_rules")
    connection.exec_driver_sql(
        "create temp table stage_rules (provider text primary key, agreed_fees text[], "
        "agreed_adjustments text[], withholds_tax boolean, settles_within_days integer, "
        "bank_within_days integer, reserve_days integer, fee_tolerance numeric, "
        "rate_tolerance numeric) on commit drop"
    )
    paying = connection.execute(text(_PAYING)).scalars()
    for provider in sorted({*settled_providers(connection), *paying}):
        connection.execute(text(_RULE), _rule_values(policy, provider))


_PAYING = "select distinct provider from core.payouts"
_RULE = """
insert into stage_rules values (:provider, :agreed_fees, :agreed_adjustments, :withholds_tax,
    :settles, :bank, :reserve, :fee_tolerance, :rate_tolerance)
"""


def _rule_values(policy: SettlementPolicy, provider: str) -> Mapping[str, object]:
    rule = policy.rule(provider)
    return {
        "provider": provider,
        "agreed_fees": [like(one) for one in rule.agreed_fees],
        "agreed_adjustments": [like(one) for one in rule.agreed_adjustments],
        "withholds_tax": rule.withholds_tax,
        "settles": rule.settles_within_days,
        "bank": rule.bank_within_days,
        "reserve": rule.reserve_days,
        "fee_tolerance": rule.fee_tolerance,
        "rate_tolerance": rule.rate_tolerance_percent,
    }
