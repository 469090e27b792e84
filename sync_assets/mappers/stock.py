"""Which mapper reads a source's stock, by the kind of source. Pure."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sync_assets.mappers import odoo_stock, tryton_stock

#: All have the functions stock_level and stock_movement.
STOCK_MAPPERS: dict[str, ModuleType] = {"odoo": odoo_stock, "tryton": tryton_stock}
#: Where a move names the item it is of, whatever state it is in.
_MOVED = {"odoo": "item", "tryton": "product"}


def moved_item(kind: str, move: Mapping[str, Any]) -> int | None:
    """Return the item a move is of, if it says one."""
    item = move.get(_MOVED[kind])
    return item if isinstance(item, int) and item > 0 else None
