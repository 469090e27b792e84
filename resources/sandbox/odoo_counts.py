"""Counting in the Odoo stand-in: counted quantities are noted on stock records, applying them moves
the difference to or from the place of inventory adjustments.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from resources.sandbox import odoo_stock as stock
from resources.sandbox.odoo_orm import ZERO, Context, Database
from resources.sandbox.odoo_rows import Row
from resources.sandbox.odoo_stock import MOVE, QUANT

REASON = "Product Quantity Updated"


def note(db: Database, counted: Sequence[Row], context: Context) -> list[int]:
    """Note counted quantities; a product that the place has already keeps its record."""
    return [_note(db, values, context) for values in counted]


def _note(db: Database, values: Row, context: Context) -> int:
    product, place = values["product_id"], values["location_id"]
    db.check_exists("product.product", [product])
    db.check_exists("stock.location", [place])
    found = stock.quants(db, product, [place])
    quant = found[0] if found else stock.put_quant(db, product, place, ZERO)
    db.write(QUANT, [quant], {"inventory_quantity": values.get("inventory_quantity")}, context)
    return quant


def apply(db: Database, quants: Sequence[int], context: Context) -> Any:
    """Make the counted quantities true; answers nothing, as the real one does."""
    db.check_exists(QUANT, quants)
    for quant in quants:
        row = db.tables.rows[QUANT][quant]
        difference = row.get("inventory_quantity", ZERO) - row["quantity"]
        adjust(db, row["product_id"], row["location_id"], difference)
        db.tables.change(QUANT, quant, {"inventory_quantity": None})
    return None


def adjust(
    db: Database, product: int, place: int, units: Decimal, far: int | None = None, **more: object
) -> int | None:
    """Move units between a place and the one of adjustments, which may fall below zero."""
    if not units:
        return None
    lost = stock.place_of(db, "inventory") if far is None else far
    ways = (lost, place) if units > 0 else (place, lost)
    now = db.tables.transaction.start
    move = {
        "product_id": product,
        "product_uom_qty": abs(units),
        "quantity": abs(units),
        "picked": True,
        "state": "done",
        "location_id": ways[0],
        "location_dest_id": ways[1],
        "reference": REASON,
        "is_inventory": True,
        "date": now.replace(microsecond=0),
        "create_date": now,
        "write_date": now,
    }
    made = db.tables.insert(MOVE, {**move, **more})
    stock.shift(db, product, place, units)
    stock.shift(db, product, lost, -units)
    return made
