"""What providers and banks said, kept as said: report files line by line, lists of their APIs,
signed notices.

A file is dealt with in one transaction and moved out of its folder after that; the same content
under another name is noted and not read again.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from resources.settings import (
    AdyenProvider,
    AmazonProvider,
    BankAccount,
    CalledProvider,
    ProviderSettings,
    Settings,
)
from resources.store import raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.systems.file_inbox import Dropped, FileInbox, Outcome
from resources.systems.folders import LocalFolder
from resources.systems.report_files import RefusedFile, Report
from resources.wiring import Systems
from sync_assets.reading import Tally, keep_stream, kept, was_read
from sync_assets.settlements import sources
from sync_assets.settlements.faults import Fault, keep_faults

FILES = "report_lines"
OVERLAP = timedelta(hours=6)
TAKEN = 500
#: Notices older than this are in the raw table, or never will be.
NOTICES_SINCE = timedelta(days=30)

# ---------------------------------------------------------------- files


def files(systems: Systems, name: str, run_id: str | None) -> Tally:
    """Keep every report file that waits for a provider or bank, the oldest first."""
    one = settings_of(systems, name)
    total = Tally()
    if one.inbox is None:
        was_read(systems, name, FILES, systems.now())
        return total
    folder = FileInbox(LocalFolder(Path(one.inbox)), name, endings=sources.ENDINGS)
    for file in folder.dropped():
        outcome, reason = keep_file(systems, name, file, run_id, total)
        folder.acknowledge(file.name, outcome, reason)
    was_read(systems, name, FILES, systems.now())
    return total


def settings_of(systems: Systems, name: str) -> ProviderSettings | BankAccount:
    """The provider or bank account of a name."""
    found = systems.settings.providers.get(name)
    return found if found is not None else systems.settings.banks[name]


def keep_file(
    systems: Systems, name: str, file: Dropped, run_id: str | None, total: Tally
) -> tuple[Outcome, str]:
    """Keep one file in a transaction of its own; answers what becomes of it, and why."""
    one = settings_of(systems, name)
    ref = file_ref(name, file.digest)
    with connected(systems.engine) as connection:
        earlier = _earlier(connection, ref, file)
        if earlier == file.name:  # a run died before it moved the file, or another one has it too
            return Outcome.DONE, ""
        if earlier is not None:
            _note(connection, systems, name, file, run_id, "duplicate", f"same as {earlier}")
            return Outcome.DONE, f"same content as {earlier}"
        try:
            if file.content is None:
                raise RefusedFile("it is larger than may be read")
            report = sources.reader(one)(file.name, file.content)
        except RefusedFile as why:
            _note(connection, systems, name, file, run_id, "refused", str(why))
            total.broken += 1
            return Outcome.REFUSED, str(why)
        kind = sources.BANK if isinstance(one, BankAccount) else one.kind
        new = _keep_lines(connection, systems, name, kind, file, report, run_id)
        _note(connection, systems, name, file, run_id, "read", "", report)
        broken = [Fault(line.number, line.reason) for line in report.broken]
        keep_faults(connection, ref, "reader", broken)
    total.add(Tally(seen=len(report.lines) + len(broken), new=new, broken=len(broken)))
    return Outcome.DONE, "; ".join(f"line {one.line}: {one.reason}" for one in broken[:20])


def file_ref(name: str, digest: str) -> str:
    """Our key of a file: whose it is and what it holds."""
    return f"{name}:{digest[:16]}"


def _earlier(connection: Connection, ref: str, file: Dropped) -> str | None:
    """The name under which the same content was read before."""
    rows = read_rows(
        connection,
        "select file_name from core.report_files where file_ref = :ref and state = 'read'",
        ref=ref,
    )
    return str(rows[0]["file_name"]) if rows else None


def _keep_lines(
    connection: Connection,
    systems: Systems,
    name: str,
    kind: str,
    file: Dropped,
    report: Report,
    run_id: str | None,
) -> int:
    now = systems.now()
    said = (
        raw.Said(
            f"{file.digest[:16]}:{line.number:08d}",
            now,
            json.dumps(
                {
                    "file": file.name,
                    "line": line.number,
                    "kind": report.kind,
                    "facts": {**report.facts, **line.facts},
                    "row": dict(line.row),
                },
                ensure_ascii=False,
            ),
        )
        for line in report.lines
    )
    reading = raw.Reading(name, "delta", now, run_id, file.digest[:32])
    return raw.append(connection, sources.table_of(kind, "report_lines"), said, reading)


_NOTED = """
insert into core.report_files (file_ref, provider, file_name, digest, kind, state, reason,
    line_count, broken_count, control, counted, facts, read_at, run_id)
values (:ref, :provider, :name, :digest, :kind, :state, :reason, :lines, :broken,
    cast(:control as jsonb), cast(:counted as jsonb), cast(:facts as jsonb), :now, :run_id)
on conflict (file_ref) do update set file_name = excluded.file_name, kind = excluded.kind,
    state = excluded.state, reason = excluded.reason, line_count = excluded.line_count,
    broken_count = excluded.broken_count, control = excluded.control, counted = excluded.counted,
    facts = excluded.facts, read_at = excluded.read_at, run_id = excluded.run_id
"""


def _note(
    connection: Connection,
    systems: Systems,
    name: str,
    file: Dropped,
    run_id: str | None,
    state: str,
    reason: str,
    report: Report | None = None,
) -> None:
    ref = file_ref(name, file.digest)
    now = systems.now()
    if state == "duplicate":  # the row of what was read stays as it is
        ref = f"{ref}:{now:%Y%m%dT%H%M%S%f}:{file.name}"
    broken = len(report.broken) if report else 0
    lines = len(report.lines) if report else 0
    values: dict[str, Any] = {
        "ref": ref,
        "provider": name,
        "name": file.name,
        "digest": file.digest,
        "kind": report.kind if report else None,
        "state": state,
        "reason": reason[:2000],
        "lines": lines,
        "broken": broken,
        "control": json.dumps(dict(report.control) if report else {}),
        "counted": json.dumps({"count": str(lines + broken)} if report else {}),
        "facts": json.dumps(dict(report.facts) if report else {}),
        "now": now,
        "run_id": run_id,
    }
    connection.execute(text(_NOTED), values)


# ---------------------------------------------------------------- APIs


def asked(settings: Settings, kind: str) -> list[str]:
    """Providers of a kind that are asked over their API."""
    return [n for n, one in settings.providers.items() if one.kind == kind and is_asked(one)]


def is_asked(one: ProviderSettings) -> bool:
    """Whether a provider has an API to read, and is to be asked."""
    return isinstance(one, CalledProvider) and one.asks and not isinstance(one, AdyenProvider)


def changes(systems: Systems, name: str, run_id: str | None) -> Tally:
    """Keep what changed at one provider since it was asked last."""
    total = Tally()
    kind = systems.settings.providers[name].kind
    with systems.provider(name) as client:
        for thing in client.things:
            with connected(systems.engine) as connection:
                since = raw.complete_until(connection, name, thing)
            now = systems.now()
            reading = raw.Reading(name, "delta", now, run_id)
            pages = client.changed_since(thing, since or systems.settings.backfill_from, OVERLAP)
            table = sources.table_of(kind, thing)
            total.add(keep_stream(systems, thing, pages, reading, now, table=table))
    return total


def payout_day(systems: Systems, name: str, day: date, run_id: str | None) -> Tally:
    """Keep one day's payouts of a provider with all their lines, whatever was read before."""
    total = Tally()
    kind = systems.settings.providers[name].kind
    reading = raw.Reading(name, "backfill", systems.now(), run_id)
    with systems.provider(name) as client:
        for thing, page in client.of_payout_day(day):
            total.add(kept(systems, sources.table_of(kind, thing), page, reading))
    return total


# ---------------------------------------------------------------- reports that are fetched

REPORTS = "reports"


def fetched(systems: Systems, name: str, run_id: str | None) -> Tally:
    """Fetch the reports that a provider made since, and keep them as files are kept."""
    one, total = systems.settings.providers[name], Tally()
    if isinstance(one, AdyenProvider) and one.report_user is not None:
        for url in _announced(systems, name):
            with systems.adyen(name) as client:
                _keep_fetched(systems, name, *client.report(url), run_id, total)
    elif isinstance(one, AmazonProvider) and one.asks:
        now = systems.now()
        with connected(systems.engine) as connection:
            since = raw.complete_until(connection, name, REPORTS)
            known = {row["file_name"] for row in read_rows(connection, _KNOWN, name=name)}
        start = since - OVERLAP if since else systems.settings.backfill_from
        with systems.amazon(name) as seller:
            for file_name, content in seller.reports_since(start, known):
                _keep_fetched(systems, name, file_name, content, run_id, total)
        was_read(systems, name, REPORTS, now)
    return total


_KNOWN = "select file_name from core.report_files where provider = :name"


def _announced(systems: Systems, name: str) -> list[str]:
    """Addresses of reports that notices named and that we do not have."""
    with connected(systems.engine) as connection:
        rows = read_rows(connection, _UNFETCHED, name=name, since=systems.now() - NOTICES_SINCE)
    return [row["reason"] for row in rows]


_UNFETCHED = """
select e.reason, e.movement_id from core.payment_events e
where e.provider = :name and e.kind = 'report_ready' and e.happened_at > :since
  and not exists (select from core.report_files f where f.provider = e.provider
    and f.file_name = e.movement_id)
order by e.happened_at, e.event_ref
"""


def _keep_fetched(
    systems: Systems, name: str, file_name: str, content: bytes, run_id: str | None, total: Tally
) -> None:
    digest = hashlib.sha256(content).hexdigest()
    keep_file(systems, name, Dropped(file_name, digest, 0, content), run_id, total)


# ---------------------------------------------------------------- notices


def notices(systems: Systems, name: str, run_id: str | None) -> Tally:
    """Keep what a provider's webhook told: every notice whose signature is valid, once.

    Refunds are followed by the returns as well, which end the deliveries: what is not copied yet
    is copied, ended or not.
    """
    one = systems.settings.providers[name]
    total = Tally()
    if one.webhook is None or sources.KINDS[one.kind].notice is None:
        return total
    table = sources.table_of(one.kind, "notices")
    for rows in _fresh(systems, one.webhook, name, table):
        said = [_said(row) for row in rows]
        with connected(systems.engine) as connection:
            reading = raw.Reading(name, "webhook", systems.now(), run_id)
            new, _ = raw.append_storable(connection, table, said, reading)
            total.add(Tally(seen=len(rows), new=new))
    return total


_FRESH = """
select i.id, i.body, i.received_at from ops.inbox i
where i.store = :endpoint and i.signature = 'valid' and i.received_at > :since and i.id > :after
  and not exists (select from raw.{table} r where r.source = :name
    and r.resource_id = lpad(i.id::text, 12, '0'))
order by i.id limit :limit
"""


def _fresh(
    systems: Systems, endpoint: str, name: str, table: str
) -> Iterator[list[dict[str, Any]]]:
    after = 0
    while True:
        with connected(systems.engine) as connection:
            rows = read_rows(
                connection,
                _FRESH.format(table=table),
                endpoint=endpoint,
                name=name,
                since=systems.now() - NOTICES_SINCE,
                after=after,
                limit=TAKEN,
            )
        if not rows:
            return
        yield rows
        after = rows[-1]["id"]


def _said(row: dict[str, Any]) -> raw.Said:
    moment: datetime = row["received_at"]
    return raw.Said(f"{row['id']:012d}", moment, bytes(row["body"]).decode(errors="replace"))
