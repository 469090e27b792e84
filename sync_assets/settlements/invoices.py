"""Invoices and credit memos that ERPs made themselves, read as they change, for the day's trial."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from resources.store import raw
from resources.store.engine import connected
from resources.wiring import Systems
from sync_assets.domain.journals import Invoices
from sync_assets.domain.orders import Row
from sync_assets.mapping import Mapped, map_simple
from sync_assets.reading import Tally, keep_stream
from sync_assets.settlements.entries import MAPPERS

STREAM = "invoices"
#: Longer than any transaction of an ERP: its times of change are those of the beginning.
OVERLAP = timedelta(minutes=15)


def read(systems: Systems, kind: str, erp: str, run_id: str | None) -> Tally:
    """Keep the invoices of one ERP that changed since it was asked last."""
    with connected(systems.engine) as connection:
        since = raw.complete_until(connection, erp, STREAM)
    now = systems.now()
    reading = raw.Reading(erp, "delta", now, run_id)
    with systems.erp(erp) as client:
        pages = client.invoices_changed_since(since or systems.settings.backfill_from, OVERLAP)
        table = f"{kind}__{STREAM}"
        return keep_stream(systems, STREAM, pages, reading, now, table=table)


def map_invoices(systems: Systems, kind: str, run_id: str | None) -> Mapped:
    """Map what is not mapped yet of one kind of ERP."""
    mapper = MAPPERS[kind]

    def make(source: str, resource_id: str, body: Mapping[str, Any]) -> Row:
        row: Row = mapper.invoice(source, resource_id, body)
        return row

    return map_simple(systems, f"{kind}__{STREAM}", Invoices, "core.invoices", make, run_id)
