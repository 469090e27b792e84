"""What is open of money, as lists: findings with owner and age, report files, requests that wait
for a second person, and lines that were told twice and otherwise. Reading and telling only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from sync_assets.domain.findings import FINDINGS, PREFIX
from sync_assets.ops import report
from sync_assets.ops.console import out, table

Found = dict[str, Any]

# ---------------------------------------------------------------- findings


@dataclass(frozen=True)
class Wanted:
    """Which open items to list; None is any."""

    provider: str | None = None
    finding: str | None = None
    store: str | None = None
    #: Only what came up before that many days.
    older_than: int | None = None


def open_items(connection: Connection, wanted: Wanted, now: datetime, limit: int) -> Found:
    """What is open, the oldest first, and the sums of all of it by currency."""
    days = wanted.older_than
    values = {
        "provider": wanted.provider,
        "finding": _code(wanted.finding),
        "store": wanted.store,
        "until": None if days is None else now - timedelta(days=days),
    }
    rows = read_rows(connection, _OPEN, **values, limit=limit)
    sums = read_rows(connection, _SUMS, **values)
    aged = [{**row, "age_days": (now - row["since"]).days} for row in rows]
    return {"open": sum(row["items"] for row in sums), "sums": sums, "items": aged}


def _code(said: str | None) -> str | None:
    """A finding by its name, with or without what all have in front."""
    if said is None:
        return None
    code = said if said.startswith(PREFIX) else PREFIX + said
    if code not in FINDINGS:
        known = ", ".join(name.removeprefix(PREFIX) for name in FINDINGS)
        raise NotPossible(f"{said!r} is no finding; known: {known}.")
    return code


_WANTED = """
(cast(:provider as text) is null or t.provider = :provider)
  and (cast(:finding as text) is null or t.finding = :finding)
  and (cast(:until as timestamptz) is null or t.since < :until)
  and (cast(:store as text) is null or split_part(t.order_ref, '\\:', 1) = :store
    or t.side = 'expected' and exists (select from core.payments p
        where p.payment_ref = t.ref and p.store = :store))
"""
_OPEN = f"""
select t.side, t.ref, t.finding, t.detail, t.amount, t.currency, t.since, t.provider, t.order_ref,
    t.owner_role, t.assigned_to, t.due_at, t.exception_id
from mart.open_items t where {_WANTED} order by t.since, t.ref, t.finding limit :limit
"""  # noqa: S608
#: What is about no money (files) has no currency.
_SUMS = f"""
select t.currency, count(*) as items, sum(t.amount) as amount, sum(abs(t.amount)) as at_stake
from core.open_items t where {_WANTED} group by 1 order by 1
"""  # noqa: S608


def tell_list(found: Found) -> None:
    """Print what is open."""
    if not found["items"]:
        out.print("Nothing is open.")
        return
    rows = [
        {
            "exception": row["exception_id"],
            "ref": row["ref"],
            "finding": row["finding"].removeprefix(PREFIX),
            "detail": row["detail"],
            "amount": report.plain(row["amount"]),
            "currency": row["currency"],
            "age": f"{row['age_days']} d",
            "owner": row["owner_role"],
            "assigned_to": row["assigned_to"],
        }
        for row in found["items"]
    ]
    table(f"{found['open']} open", rows)
    table("Sums", [readable(row) for row in found["sums"]])
    if found["open"] > len(rows):
        out.print(f"… and {found['open'] - len(rows)} more; see --limit and the filters.")


def readable(row: Mapping[str, Any]) -> Found:
    """A row for a table: money with its cents, days in ISO form; moments as the table has them."""
    return {name: _readable(value) for name, value in row.items()}


def _readable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    return value.isoformat() if isinstance(value, date) else report.plain(value)


# ---------------------------------------------------------------- files


def report_files(connection: Connection, provider: str | None, limit: int) -> list[Found]:
    """Report files, the newest first, with what could not be read of each."""
    return read_rows(connection, _FILES, provider=provider, limit=limit)


_FILES = """
select f.read_at, f.provider, f.file_name, f.kind, f.state, f.line_count, b.faults, f.reason,
    b.first_faults, f.file_ref
from core.report_files f
left join lateral (
    select count(*) as faults, string_agg('line ' || x.line_no || ': ' || x.reason, '; '
        order by x.line_no) filter (where x.place <= 3) as first_faults
    from (select r.*, row_number() over (order by r.line_no) as place
        from core.report_faults r where r.file_ref = f.file_ref) x
) b on true
where cast(:provider as text) is null or f.provider = :provider
order by f.read_at desc, f.file_ref limit :limit
"""


def tell_files(found: Found) -> None:
    """Print report files."""
    if not found["files"]:
        out.print("No report file came yet.")
        return
    shown = [{k: v for k, v in row.items() if k != "file_ref"} for row in found["files"]]
    table(f"{len(shown)} files", [readable(row) for row in shown])


# ---------------------------------------------------------------- what waits for a word


def tell_requests(found: Found) -> None:
    """Print what waits for a second person."""
    if not found["requests"]:
        out.print("No request waits.")
        return
    names = ["request_id", "ref", "amount", "currency", "note", "asked_at", "asked_by"]
    table("Requests", [readable(row) for row in found["requests"]], [*names, "decided_by"])


def tell_conflicts(found: Found) -> None:
    """Print both tellings side by side."""
    if not found["conflicts"]:
        out.print("Nothing was told otherwise.")
        return
    rows = [
        {
            "line": row["line_ref"],
            "first": _telling(row, "first"),
            "second": _telling(row, "second"),
            "digest": row["digest"][:8],
        }
        for row in found["conflicts"]
    ]
    table("Told twice and otherwise", rows)
    out.print("Say which is right: `sync-assets settlements conflict LINE --keep first|second`.")


def _telling(row: Found, which: str) -> str:
    parts = [f"{row[f'{which}_kind']} {report.plain(row[f'{which}_net_amount'])} net"]
    parts += [f"{row[f'{which}_currency']} in {row[f'{which}_payout_ref'] or 'no payout'}"]
    if row[f"{which}_file"]:
        parts.append(f"({row[f'{which}_file']} line {row[f'{which}_line']})")
    return " ".join(parts)
