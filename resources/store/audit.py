"""Who did what when: append-only, each entry sealing the one before (the database sees to it)."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


def record(
    connection: Connection, actor: str, action: str, subject_ref: str, at: datetime, **detail: Any
) -> None:
    """Append one entry."""
    connection.execute(
        text(
            "insert into ops.audit (at, actor, action, subject_ref, detail) "
            "values (:at, :actor, :action, :subject_ref, cast(:detail as jsonb))"
        ),
        {
            "at": at,
            "actor": actor,
            "action": action,
            "subject_ref": subject_ref,
            "detail": json.dumps(detail, default=str),
        },
    )


def broken(connection: Connection) -> list[int]:
    """Entries whose seal does not fit; empty means nobody touched the trail."""
    return [int(row.id) for row in connection.execute(text("select id from ops.audit_broken"))]
