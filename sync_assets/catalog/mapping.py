"""From what ERPs and shops say of products to core rows: the steps behind the core assets."""

from collections.abc import Mapping
from typing import Any

from resources.wiring import Systems
from sync_assets.domain.items import ProductRefs
from sync_assets.domain.orders import Row
from sync_assets.mappers import ERP_MAPPERS
from sync_assets.mapping import Mapped, map_simple


def items(systems: Systems, kind: str, run_id: str | None) -> Mapped:
    """Bring core.product_refs up to the newest items of one kind of ERP."""
    mapper = ERP_MAPPERS[kind]

    def row(system: str, _: str, body: Mapping[str, Any]) -> Row:
        return {"system": system, **mapper.item(dict(body))}

    return map_simple(systems, f"{kind}__items", ProductRefs, "core.product_refs", row, run_id)
