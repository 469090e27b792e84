"""Exceptions: what waits for a person, with its reason, owner, age and money.

Which problems there are, and which of them a person may close, is decided elsewhere; here they are
opened once, kept, assigned, released, closed, and every act of a person is audited.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.store import audit
from resources.store.frames import read_rows, scalar


@dataclass(frozen=True)
class Exceptional:
    """One reason why a thing waits."""

    code: str
    subject_ref: str
    message: str
    owner_role: str
    part: str = ""
    subject_kind: str = "order"
    blocks: bool = True
    can_release: bool = False
    amount: Decimal | None = None
    currency: str | None = None
    sender_ref: str | None = None
    version: int | None = None
    due_after: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Wanted:
    """Which open exceptions to look at; None is any, and assigned to "" is to nobody."""

    subject: str | None = None
    code: str | None = None
    owner: str | None = None
    assigned: str | None = None
    overdue_at: datetime | None = None


ANY = Wanted()


class NotPossible(Exception):
    """What a person asked of an exception cannot be done; the message says what to do instead."""


class NotReleasable(NotPossible):
    """The exception cannot be waved through; the message says what would end it."""


def reconcile(
    connection: Connection,
    found: Iterable[Exceptional],
    *,
    subjects: Sequence[str],
    codes: Sequence[str],
    now: datetime,
    run_id: str | None = None,
) -> tuple[int, int]:
    """Make `found` all that is open for `subjects` under `codes`; answer (opened, closed).

    What was found before stays as it was opened; what is gone is closed with its reason. A
    release holds for the version it was given for.
    """
    problems = list(found)
    closed = connection.execute(
        text(
            """
            update ops.exception e
            set state = 'closed', closed_at = :now, closed_by = 'pipeline',
                note = 'the cause is gone'
            where e.state = 'open' and e.subject_ref = any(:subjects) and e.code = any(:codes)
              and not exists (
                select from jsonb_to_recordset(cast(:found as jsonb))
                    as f (subject_ref text, code text, part text)
                where f.subject_ref = e.subject_ref and f.code = e.code and f.part = e.part)
            """
        ),
        {
            "now": now,
            "subjects": list(subjects),
            "codes": list(codes),
            "found": json.dumps([_key(p) for p in problems]),
        },
    ).rowcount
    return open_all(connection, problems, now=now, run_id=run_id), int(closed)


def open_all(
    connection: Connection,
    problems: Iterable[Exceptional],
    *,
    now: datetime,
    run_id: str | None = None,
) -> int:
    """Open what is not open yet nor released for this version; answer how many were opened."""
    rows = {
        tuple(_key(p).values()): {**_key(p), **_detail(p), "due_at": now + p.due_after}
        for p in problems
    }
    if not rows:
        return 0
    found = json.dumps(list(rows.values()), default=str)
    opened = connection.execute(text(_OPEN), {"found": found, "now": now, "run_id": run_id})
    return sum(opened.scalars())


#: What was inserted, not updated, has no older version of its row: xmax is 0.
_OPEN = """
insert into ops.exception (code, subject_kind, subject_ref, part, message, owner_role, blocks,
    can_release, amount, currency, sender_ref, version, opened_at, due_at, run_id)
select f.code, f.subject_kind, f.subject_ref, f.part, f.message, f.owner_role, f.blocks,
    f.can_release, f.amount, f.currency, f.sender_ref, f.version, :now, f.due_at, :run_id
from jsonb_to_recordset(cast(:found as jsonb)) as f (code text, subject_kind text,
    subject_ref text, part text, message text, owner_role text, blocks boolean,
    can_release boolean, amount numeric, currency text, sender_ref text, version bigint,
    due_at timestamptz)
where not exists (
    select from ops.exception r
    where r.state = 'released' and r.subject_ref = f.subject_ref and r.code = f.code
      and r.part = f.part and r.version is not distinct from f.version)
on conflict (subject_ref, code, part) where state = 'open'
do update set message = excluded.message, version = excluded.version, amount = excluded.amount,
    currency = excluded.currency, blocks = excluded.blocks
returning (xmax = 0)::int
"""


def open_codes(connection: Connection, subjects: Sequence[str], prefix: str) -> list[str]:
    """Codes that begin with `prefix` and are open for any of these subjects."""
    rows = read_rows(
        connection,
        "select distinct code from ops.exception where state = 'open' "
        "and subject_ref = any(:subjects) and starts_with(code, :prefix) order by 1",
        subjects=list(subjects),
        prefix=prefix,
    )
    return [str(row["code"]) for row in rows]


def _key(problem: Exceptional) -> dict[str, str]:
    return {
        "subject_ref": problem.subject_ref,
        "code": problem.code,
        "part": problem.part,
    }


def _detail(problem: Exceptional) -> dict[str, Any]:
    return {
        "subject_kind": problem.subject_kind,
        "message": problem.message,
        "owner_role": problem.owner_role,
        "blocks": problem.blocks,
        "can_release": problem.can_release,
        "amount": problem.amount,
        "currency": problem.currency,
        "sender_ref": problem.sender_ref,
        "version": problem.version,
    }


def open_ones(
    connection: Connection, wanted: Wanted = ANY, *, limit: int | None = None
) -> list[dict[str, Any]]:
    """Open exceptions, the oldest due first."""
    query = f"select * from ops.exception where {_OPEN_AND_WANTED} order by due_at, id limit :limit"  # noqa: S608
    return read_rows(connection, query, **vars(wanted), limit=limit)


def count_open(connection: Connection, wanted: Wanted = ANY) -> int:
    """How many open exceptions there are."""
    query = f"select count(*) from ops.exception where {_OPEN_AND_WANTED}"  # noqa: S608
    return int(scalar(connection, query, **vars(wanted)))


_OPEN_AND_WANTED = """state = 'open'
  and (cast(:subject as text) is null or subject_ref = :subject)
  and (cast(:code as text) is null or code = :code)
  and (cast(:owner as text) is null or owner_role = :owner)
  and (cast(:assigned as text) is null or coalesce(assigned_to, '') = :assigned)
  and (cast(:overdue_at as timestamptz) is null or due_at < :overdue_at)
"""


def one(connection: Connection, exception_id: int) -> dict[str, Any]:
    """One exception, open or ended."""
    return _found(connection, exception_id, "")


def writes_behind(connection: Connection, subject_ref: str) -> list[dict[str, Any]]:
    """The writes of a subject that are not done, the oldest first."""
    return read_rows(
        connection,
        "select id, system, operation, state, attempts, due_at, error_class, error_text "
        "from ops.outbox where thing_ref = :subject and state <> 'done' order by id",
        subject=subject_ref,
    )


def parked_behind(connection: Connection, code: str) -> list[str]:
    """Subjects with an open exception of this code and a parked write."""
    rows = read_rows(
        connection,
        "select distinct e.subject_ref from ops.exception e join ops.outbox x "
        "on x.thing_ref = e.subject_ref and x.state = 'parked' "
        "where e.state = 'open' and e.code = :code order by 1",
        code=code,
    )
    return [str(row["subject_ref"]) for row in rows]


def held_open(connection: Connection, exception_id: int) -> dict[str, Any]:
    """An open exception that nobody else can change until this transaction ends."""
    row = _found(connection, exception_id, "for update")
    if row["state"] != "open":
        raise NotPossible(
            f"Exception {exception_id} is {row['state']} already, by {row['closed_by']} at "
            f"{_moment(row['closed_at'])}."
        )
    return row


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _found(connection: Connection, exception_id: int, lock: str) -> dict[str, Any]:
    query = f"select * from ops.exception where id = :id {lock}"  # noqa: S608
    found = read_rows(connection, query, id=exception_id)
    if not found:
        raise NotPossible(
            f"There is no exception {exception_id}; `sync-assets exceptions list` shows the open "
            "ones."
        )
    return found[0]


def assign(
    connection: Connection,
    exception_id: int,
    to: str | None,
    *,
    by: str,
    now: datetime,
    note: str = "",
    take_over: bool = False,
) -> str:
    """Say who works on an exception, None for nobody; answer the subject.

    What somebody else works on is only taken on purpose.
    """
    row = held_open(connection, exception_id)
    holder = row["assigned_to"]
    if holder == to:
        raise NotPossible(f"Exception {exception_id} is assigned to {to or 'nobody'} already.")
    if holder not in (None, by) and to is not None and not take_over:
        raise NotPossible(
            f"Exception {exception_id} was assigned to {holder} at {_moment(row['assigned_at'])}. "
            "Ask them, or take it over with --take-over."
        )
    connection.execute(
        text("update ops.exception set assigned_to = :to, assigned_at = :at where id = :id"),
        {"to": to, "at": now if to else None, "id": exception_id},
    )
    told = {"before": {"assigned_to": holder}, "after": {"assigned_to": to}}
    _record(connection, row, by, "exception.assigned", now, note=note, **told)
    return str(row["subject_ref"])


def release(connection: Connection, exception_id: int, *, by: str, note: str, now: datetime) -> str:
    """Let the subject go on in spite of this exception; answer the subject."""
    row = held_open(connection, exception_id)
    if not row["can_release"]:
        raise NotReleasable(
            f"{row['code']} cannot be released by hand: {row['message']}. "
            "Mend the cause; the next run closes it by itself."
        )
    return _end(connection, row, "released", by=by, note=note, now=now)


def resolve(connection: Connection, exception_id: int, *, by: str, note: str, now: datetime) -> str:
    """Close what a person mended outside; answer the subject. Who may is decided by the caller."""
    row = held_open(connection, exception_id)
    return _end(connection, row, "closed", by=by, note=note, now=now)


def _end(
    connection: Connection, row: dict[str, Any], state: str, *, by: str, note: str, now: datetime
) -> str:
    connection.execute(
        text(
            "update ops.exception set state = :state, closed_at = :now, closed_by = :by, "
            "note = :note where id = :id"
        ),
        {"state": state, "now": now, "by": by, "note": note, "id": row["id"]},
    )
    action = "exception.released" if state == "released" else "exception.resolved"
    told = {"before": {"state": "open"}, "after": {"state": state}}
    _record(connection, row, by, action, now, note=note, **told)
    return str(row["subject_ref"])


def _record(
    connection: Connection, row: dict[str, Any], by: str, action: str, now: datetime, **told: Any
) -> None:
    """Write down who did what to which exception, and why."""
    what = {"exception": row["id"], "code": row["code"], "part": row["part"]}
    audit.record(connection, by, action, row["subject_ref"], now, **what, **told)
