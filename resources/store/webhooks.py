"""The webhooks we have in shops, as last seen: one row a topic, and no secret.

What to do about them is decided elsewhere.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from resources.store.frames import read_rows

#: No password of a person is behind it; this only keeps digests from being looked up.
ROUNDS = 20_000


@dataclass(frozen=True)
class Row:
    """How the webhook of a topic stands; None leaves what was written before."""

    store: str
    topic: str
    webhook_id: str | None
    status: str
    delivery_url: str
    reason: str
    secret_digest: str | None = None
    healthy_at: datetime | None = None
    mended_at: datetime | None = None
    mended_count: int = 0


def of_store(connection: Connection, store: str) -> dict[str, dict[str, Any]]:
    """What we know of a store's webhooks, by topic."""
    query = "select * from ops.webhook where store = :store"
    return {row["topic"]: row for row in read_rows(connection, query, store=store)}


def remember(connection: Connection, row: Row, now: datetime) -> None:
    """Write down how a webhook stands; the digest goes with the webhook it was given to."""
    connection.execute(text(_REMEMBER), {**vars(row), "now": now})


_REMEMBER = """
insert into ops.webhook as w (store, topic, webhook_id, status, delivery_url, secret_digest, reason,
    checked_at, healthy_at, mended_at, mended_count)
values (:store, :topic, :webhook_id, :status, :delivery_url, :secret_digest, :reason, :now,
    :healthy_at, :mended_at, :mended_count)
on conflict (store, topic) do update set
    webhook_id = excluded.webhook_id, status = excluded.status,
    delivery_url = excluded.delivery_url,
    secret_digest = case when excluded.secret_digest is not null then excluded.secret_digest
        when w.webhook_id = excluded.webhook_id then w.secret_digest end,
    reason = excluded.reason, checked_at = excluded.checked_at,
    healthy_at = coalesce(excluded.healthy_at, w.healthy_at),
    mended_at = coalesce(excluded.mended_at, w.mended_at),
    mended_count = case when excluded.mended_at is null then w.mended_count
        else excluded.mended_count end
"""


def digest(secret: str, salt: str | None = None) -> str:
    """A short salted digest: enough to tell two secrets apart, too short to find one."""
    salt = salt or secrets.token_hex(4)
    told = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt.encode(), ROUNDS)
    return f"{salt}:{told[:4].hex()}"


def fits(secret: str, kept: str | None) -> bool:
    """Whether a kept digest is that of the secret."""
    return kept is not None and hmac.compare_digest(digest(secret, kept.partition(":")[0]), kept)
