"""Exceptions: what waits for a person, with its reason, owner, age and money.

Which problems there are is decided elsewhere; here they are opened once, kept, released, closed.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.store import audit
from resources.store.frames import read_rows


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


class NotReleasable(Exception):
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
    connection: Connection, *, subject: str | None = None, code: str | None = None
) -> list[dict[str, Any]]:
    """Open exceptions, the oldest due first."""
    return read_rows(
        connection,
        """
        select * from ops.exception
        where state = 'open' and (cast(:subject as text) is null or subject_ref = :subject)
          and (cast(:code as text) is null or code = :code)
        order by due_at, id
        """,
        subject=subject,
        code=code,
    )


def release(connection: Connection, exception_id: int, *, by: str, note: str, now: datetime) -> str:
    """Let the subject go on in spite of this exception; answer the subject."""
    found = read_rows(
        connection, "select * from ops.exception where id = :id for update", id=exception_id
    )
    if not found:
        raise NotReleasable(f"There is no exception {exception_id}.")
    row = found[0]
    if row["state"] != "open":
        raise NotReleasable(f"Exception {exception_id} is {row['state']} already.")
    if not row["can_release"]:
        raise NotReleasable(
            f"{row['code']} cannot be released by hand: {row['message']}. "
            "Mend the cause; the next run closes it by itself."
        )
    connection.execute(
        text(
            "update ops.exception set state = 'released', closed_at = :now, closed_by = :by, "
            "note = :note where id = :id"
        ),
        {"now": now, "by": by, "note": note, "id": exception_id},
    )
    audit.record(
        connection, by, "exception.released", row["subject_ref"], now, code=row["code"], note=note
    )
    return str(row["subject_ref"])
