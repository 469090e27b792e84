"""The identity map: our key and each system's ids, so that a trace starts from any of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.store.frames import read_rows


@dataclass(frozen=True)
class Ref:
    """One id of one of our things in another system."""

    our_ref: str
    kind: str
    system: str
    remote_kind: str
    remote_id: str
    remote_number: str | None = None


def remember(connection: Connection, refs: Sequence[Ref], now: datetime) -> None:
    """Keep references; a known one only learns its number."""
    if refs:
        connection.execute(
            text(
                """
                insert into core.ref (our_ref, kind, system, remote_kind, remote_id,
                    remote_number, first_seen_at)
                values (:our_ref, :kind, :system, :remote_kind, :remote_id, :remote_number, :now)
                on conflict (system, remote_kind, remote_id) do update
                set remote_number = coalesce(excluded.remote_number, ref.remote_number)
                """
            ),
            [{**vars(ref), "now": now} for ref in refs],
        )


def find(connection: Connection, reference: str) -> list[dict[str, Any]]:
    """Everything known under a reference: our key, a remote id or a remote number."""
    return read_rows(
        connection,
        "select * from core.ref where our_ref = :r or remote_id = :r or remote_number = :r "
        "order by first_seen_at, system",
        r=reference,
    )
