"""From a plan of products to the outbox: what is to be sent is on disk before anything is sent.

A plan may change: what it no longer wants is taken back here. Prices are never replayed, a newer
plan's replace those that wait.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from resources.store import exceptions, outbox
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.catalog.planning import subject

#: What all our writes of products begin with.
OPERATIONS = "product."
PUT, ARCHIVE = "product.put", "product.archive"
CHUNK = 500


def key_of(thing_ref: str) -> str:
    """Our key behind a name in the outbox, which is that of the product's exceptions too."""
    return thing_ref.split(":", 2)[2]


def promote(systems: Systems, store: str) -> int:
    """Put what was planned into the outbox; answers how many writes wait because of it."""
    now = systems.now()
    with (
        connected(systems.engine) as connection,
        one_at_a_time(connection, f"catalog {store}"),
    ):
        _take_back(connection, store, now)
        planned = read_rows(connection, _PLANNED, store=store)
        count = 0
        for start in range(0, len(planned), CHUNK):
            part = planned[start : start + CHUNK]
            count += outbox.intend(connection, store, [_intended(store, row) for row in part], now)
        return count


def _take_back(connection: Connection, store: str, now: datetime) -> None:
    """End writes that the plan no longer wants; one under way ends by itself."""
    rows = read_rows(connection, _UNWANTED, store=store, prefix=OPERATIONS)
    outbox.take_back(connection, [row["id"] for row in rows], now)
    exceptions.reconcile(
        connection,
        [],
        subjects=[row["thing_ref"] for row in rows],
        codes=["product.refused"],
        now=now,
    )


_UNWANTED = """
select x.id, x.thing_ref from ops.outbox x
left join plan.woocommerce__products p on p.system = x.system
    and p.system || ':product:' || p.key = x.thing_ref
    and p.action in ('create', 'change', 'archive')
    and x.operation = case p.action when 'archive' then 'product.archive' else 'product.put' end
where x.system = :store and starts_with(x.operation, :prefix) and p.key is null
  and x.state in ('waiting', 'unknown', 'parked')
order by x.id for update of x
"""

#: Parents first, because their variations need their ids; what was sent as planned is done.
_PLANNED = """
select p.key, p.sku, p.action, p.product_id, p.parent_key, p.wanted, p.wanted_hash, p.core_version
from plan.woocommerce__products p
left join receipt.woocommerce__products r on r.system = p.system and r.key = p.key
    and r.wanted_hash = p.wanted_hash and r.answered_at >= p.planned_at
left join ops.outbox x on x.system = p.system and x.thing_ref = p.system || ':product:' || p.key
    and starts_with(x.operation, 'product.')
    and x.state in ('waiting', 'leased', 'unknown', 'parked') and x.wanted_hash = p.wanted_hash
where p.system = :store and p.action in ('create', 'change', 'archive')
  and r.key is null and x.id is null
order by p.parent_key is not null, coalesce(p.parent_key, p.key), p.key
"""


def _intended(store: str, row: Mapping[str, Any]) -> outbox.Intended:
    return outbox.Intended(
        operation=ARCHIVE if row["action"] == "archive" else PUT,
        thing_ref=subject(store, row["key"]),
        payload={"product_id": row["product_id"], "sku": row["sku"], "wanted": row["wanted"]},
        wanted_hash=row["wanted_hash"],
        core_version=row["core_version"],
        lane=outbox.LANES["catalog"],
        correlation_id=uuid.uuid4().hex,
        recurs=True,
    )
