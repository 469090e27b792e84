"""From what was said to the actual ledger: lines, payouts, events and the bank's entries.

A line that is told again changes nothing; told otherwise by another file it is set aside as a
conflict and the first stays. A line of a file that cannot be mapped is told with its file, number
and reason.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions, raw
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import copy_frame
from resources.wiring import Systems
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.payments import (
    TOLD_TABLES,
    BankLines,
    BankStatements,
    Found,
    PaymentEvents,
    Payouts,
    SettlementLines,
)
from sync_assets.mapping import Mapped, parsed
from sync_assets.settlements import sources
from sync_assets.settlements.faults import Fault, add_faults, forget_faults
from sync_assets.trouble import exceptional

CHUNK = 5_000
MALFORMED = "thing.malformed"
Version = dict[str, Any]


def map_told(systems: Systems, kind: str, thing: str, run_id: str | None) -> Mapped:
    """Map what is not mapped yet of one thing of one kind of provider."""
    table, total = sources.table_of(kind, thing), Mapped()
    while True:
        with (
            connected(systems.engine) as connection,
            one_at_a_time(connection, "map settlements"),
        ):
            versions = raw.unmapped(connection, table, CHUNK)
            if not versions:
                return total
            make = sources.mapper(systems.settings, kind, thing)
            found, refused = _mapped(make, versions)
            _tell(connection, systems, table, thing, versions, refused)
            total.changes += write(connection, found, systems, run_id)
            raw.mark_mapped(connection, table, versions, systems.now())
        total.mapped += len(versions) - len(refused)
        total.set_aside += len(refused)


def _mapped(make: sources.Mapper, versions: Sequence[Version]) -> tuple[Found, dict[int, Rejected]]:
    """Everything the versions say, and which cannot be read by their number."""
    found, refused = Found(), dict[int, Rejected]()
    for version in versions:
        try:
            found.add(make(version["source"], parsed(version["payload"])))
        except Rejected as refusal:
            refused[version["version"]] = refusal
    return found, refused


def _tell(
    connection: Connection,
    systems: Systems,
    table: str,
    thing: str,
    versions: Sequence[Version],
    refused: Mapping[int, Rejected],
) -> None:
    """Say what cannot be read: of files line by line, of anything else as a thing of its own."""
    if thing == "report_lines":
        _tell_lines(connection, versions, refused)
        return
    levels = systems.settings.service_levels
    found = [
        exceptional(
            Problem(MALFORMED, problem.part, problem.message),
            _subject(table, version),
            levels,
            sender_ref=version["resource_id"],
            version=version["version"],
        )
        for version in versions
        for problem in (
            refused[version["version"]].problems if version["version"] in refused else []
        )
    ]
    exceptions.reconcile(
        connection,
        found,
        subjects=[_subject(table, version) for version in versions],
        codes=[MALFORMED],
        now=systems.now(),
    )


def _subject(table: str, version: Version) -> str:
    return f"{version['source']}:{table}:{version['resource_id']}"


def _tell_lines(
    connection: Connection, versions: Sequence[Version], refused: Mapping[int, Rejected]
) -> None:
    sound: dict[str, list[int]] = defaultdict(list)
    broken: dict[str, list[Fault]] = defaultdict(list)
    for version in versions:
        digest, _, number = version["resource_id"].partition(":")
        ref = f"{version['source']}:{digest}"
        refusal = refused.get(version["version"])
        if refusal is None:
            sound[ref].append(int(number))
        else:
            broken[ref].append(Fault(int(number), str(refusal)))
    for ref, lines in sound.items():
        forget_faults(connection, ref, lines)
    for ref, faults in broken.items():
        add_faults(connection, ref, "mapper", faults)


# ---------------------------------------------------------------- writing


def write(connection: Connection, found: Found, systems: Systems, run_id: str | None) -> int:
    """Put rows into the core tables; answers how many lines are new."""
    new = 0
    if found.lines:
        _staged(connection, "lines", found.lines, run_id)
        connection.execute(text(_CONFLICTS), {"now": systems.now(), "run_id": run_id})
        new = connection.execute(text(_LINES)).rowcount
    for name, statement in (
        ("payouts", _PAYOUTS),
        ("events", _EVENTS),
        ("statements", _STATEMENTS),
        ("bank_lines", _BANK_LINES),
    ):
        rows = getattr(found, name)
        if rows:
            _staged(connection, name, rows, run_id)
            connection.execute(text(statement))
    if found.lines or found.payouts:
        connection.execute(text(PAID_OUT), {"refs": sorted(_payouts_of(found))})
    return int(new)


def _payouts_of(found: Found) -> set[str]:
    return {
        row["payout_ref"] for row in (*found.lines, *found.payouts) if row["payout_ref"] is not None
    }


def _staged(
    connection: Connection, name: str, rows: Sequence[Mapping[str, Any]], run_id: str | None
) -> None:
    """Validate rows and put them into a temporary table, in their order."""
    table, form = TOLD_TABLES[name]
    key = form.key()[0]
    firsts: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        firsts.setdefault(row[key], row)
    form.validate(form.frame([dict(row) for row in firsts.values()]))
    connection.exec_driver_sql("drop table if exists stage_told_rows")
    connection.exec_driver_sql(
        f"create temp table stage_told_rows (like core.{table}) on commit drop"
    )
    connection.exec_driver_sql("alter table stage_told_rows add column place serial")
    if name == "lines":
        connection.exec_driver_sql(
            "alter table stage_told_rows alter column is_split set default false"
        )
    frame = form.frame([dict(row) for row in rows]).assign(run_id=run_id)
    copy_frame(connection, "stage_told_rows", frame)
    connection.exec_driver_sql("analyze stage_told_rows")


#: What a telling says of the money of a line.
MONEY = (
    *("kind", "currency", "gross_amount", "fee_amount", "fee_tax_amount", "net_amount"),
    *("paid_amount", "paid_currency"),
)
#: What two tellings of a line must agree in: how a fee is divided, APIs and files say differently.
_TELLING = ("kind", "currency", "gross_amount", "net_amount")
_COLUMNS = SettlementLines.columns()


def digest(row: str) -> str:
    """What tells one telling of a line from another, as SQL over a row's alias."""
    said = ", ".join(f"{row}.{name}::text" for name in MONEY)
    return f"md5(concat_ws('|', {said}, {row}.payout_ref))"


def _differs(old: str, new: str) -> str:
    money = ", ".join(f"{old}.{name}" for name in _TELLING)
    told = ", ".join(f"{new}.{name}" for name in _TELLING)
    return f"(({money}) is distinct from ({told}) or {old}.payout_ref <> {new}.payout_ref)"


#: Whether two tellings are of one source: a file's line, or the provider's API.
def _same_source(old: str, new: str) -> str:
    return (
        f"({old}.told_by = {new}.told_by and {old}.file_name is not distinct from {new}.file_name "
        f"and {old}.file_line = {new}.file_line)"
    )


#: The first telling of a line within the batch stands for it; what differs from it, or from what is
#: held, is a conflict.
_CONFLICTS = f"""
insert into core.settlement_conflicts (line_ref, digest, said, told_by, file_name, file_line,
    found_at, run_id)
select s.line_ref, {digest("s")},
    to_jsonb(s) - 'place' - 'run_id', s.told_by, s.file_name, s.file_line, :now,
    cast(:run_id as text)
from stage_told_rows s
left join core.settlement_lines h on h.line_ref = s.line_ref
left join (
    select distinct on (line_ref) * from stage_told_rows order by line_ref, place
) f on f.line_ref = s.line_ref and f.place < s.place
where h.line_ref is not null and {_differs("h", "s")} and not {_same_source("h", "s")}
   or h.line_ref is null and f.line_ref is not null and {_differs("f", "s")}
on conflict (line_ref, digest) do nothing
"""  # noqa: S608
_LEARNED = ("payout_ref", "payment_id", "group_id", "movement_id", "order_reference", "method")
#: What is held stays; it learns what it lacked. The same source may say it anew, while it is open.
_LINES = f"""
insert into core.settlement_lines as held ({", ".join(_COLUMNS)}, run_id)
select distinct on (line_ref) {", ".join(_COLUMNS)}, run_id from stage_told_rows
order by line_ref, place
on conflict (line_ref) do update set
    {", ".join(f"{name} = coalesce(held.{name}, excluded.{name})" for name in _LEARNED)},
    {
    ", ".join(
        f"{name} = case when {_same_source('held', 'excluded')} and not held.is_split "
        "and not exists (select from core.match_items i where i.side = 'settled' "
        "and i.ref = held.line_ref and i.is_live) "
        f"then excluded.{name} else held.{name} end"
        for name in (*MONEY, "occurred_at", "description")
    )
}
where ({", ".join(f"held.{name}" for name in _LEARNED)}) is distinct from
    ({", ".join(f"coalesce(held.{name}, excluded.{name})" for name in _LEARNED)})
   or {_same_source("held", "excluded")} and {_differs("held", "excluded")}
"""  # noqa: S608


def _upsert(table: str, columns: Sequence[str], key: str, learned: Sequence[str] = ()) -> str:
    """Overwrite what was said before; what is only sometimes said is not forgotten."""
    names = ", ".join(columns)
    changed = ", ".join(
        f"{name} = coalesce(excluded.{name}, held.{name})"
        if name in learned
        else f"{name} = excluded.{name}"
        for name in (*columns, "run_id")
        if name != key
    )
    return (
        f"insert into core.{table} as held ({names}, run_id) "  # noqa: S608
        f"select distinct on ({key}) {names}, run_id from stage_told_rows "
        f"order by {key}, place desc on conflict ({key}) do update set {changed}"
    )


_PAYOUTS = _upsert(
    "payouts",
    Payouts.columns(),
    "payout_ref",
    ("opening_amount", "closing_amount", "bank_reference"),
)
_EVENTS = _upsert(
    "payment_events",
    PaymentEvents.columns(),
    "event_ref",
    ("payment_id", "group_id", "movement_id", "order_reference", "amount", "currency"),
)
_STATEMENTS = _upsert("bank_statements", BankStatements.columns(), "statement_ref")
_BANK_COLUMNS = ", ".join(BankLines.columns())
#: A statement that is sent again tells the same entries.
_BANK_LINES = f"""
insert into core.bank_lines ({_BANK_COLUMNS}, run_id)
select distinct on (bank_line_ref) {_BANK_COLUMNS}, run_id from stage_told_rows
order by bank_line_ref, place
on conflict (bank_line_ref) do nothing
"""  # noqa: S608
#: What a day's statement paid out is the sum of its lines that went to the bank.
PAID_OUT = """
update core.payouts p set paid_amount = s.paid
from (
    select l.payout_ref, coalesce(-sum(l.net_amount) filter (where l.kind = 'payout'), 0) as paid
    from core.settlement_lines l where l.payout_ref = any(:refs) and not l.is_split group by 1
) s
where p.payout_ref = s.payout_ref and p.kind = 'statement' and p.paid_amount <> s.paid
"""
