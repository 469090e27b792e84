"""Warehouses of the Odoo stand-in: how one is made, and what follows a step on the way out.

That a step is made only when the one before it is done is known of 18 and 19, not recorded.
"""

from resources.sandbox import odoo_stock as stock
from resources.sandbox.odoo_orm import Database


def add_warehouse(
    db: Database, company: int, code: str, name: str, steps: str = "ship_only"
) -> int:
    """Make a warehouse with its places and its kinds of parcels."""
    view = stock.add_place(db, company, code, code, "view")
    shelf = stock.add_place(db, company, "Stock", f"{code}/Stock", stock.INTERNAL, view)
    kinds = {"out_type_id": ("Delivery Orders", "outgoing"), "in_type_id": ("Receipts", "incoming")}
    kinds["int_type_id"] = ("Internal Transfers", "internal")
    kinds |= {kind[0]: (title, "internal") for kind, _, _, title in stock.STEPS[steps]}
    types = {
        field: db.tables.insert("stock.picking.type", {"name": title, "code": kind})
        for field, (title, kind) in kinds.items()
    }
    values = {"name": name, "code": code, "company_id": company, "delivery_steps": steps}
    places = {"lot_stock_id": shelf, "view_location_id": view}
    for _, field, title, _ in stock.STEPS[steps]:
        places[field] = stock.add_place(db, company, title, f"{code}/{title}", stock.INTERNAL, view)
    warehouse = db.create("stock.warehouse", {**values, **places, **types}, {})
    for place in places.values():
        db.tables.change(stock.PLACE, place, {"warehouse_id": warehouse})
    for kind in types.values():
        db.tables.change("stock.picking.type", kind, {"warehouse_id": warehouse})
    return warehouse


def next_step(db: Database, picking: int) -> tuple[tuple[str, str], int] | None:
    """Kind and end of the step that follows a parcel; it is made when its goods are there."""
    row = db.tables.rows[stock.PICKING][picking]
    warehouse = db.follow(stock.PICKING, picking, "picking_type_id.warehouse_id")
    held = db.tables.rows["stock.warehouse"][warehouse]
    steps = stock.STEPS[held["delivery_steps"]]
    for number, (kind, _, _, _) in enumerate(steps):
        if row["picking_type_id"] == held.get(kind[0]):
            if number + 1 == len(steps):
                return stock.OUT, stock.customers(db)
            return steps[number + 1][0], held[steps[number + 1][1]]
    return None
