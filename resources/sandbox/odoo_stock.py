"""Warehouses of the Odoo stand-in: stock on hand, reservations, and the parcels of an order."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from resources.sandbox import odoo_errors as errors
from resources.sandbox.odoo_catalog import along
from resources.sandbox.odoo_orm import ZERO, Context, Database, Derived
from resources.sandbox.odoo_rows import Row

PICKING, MOVE, QUANT = "stock.picking", "stock.move", "stock.quant"
OPEN = ("confirmed", "partially_available", "assigned")
CUSTOMERS = "customer"


def deliver(db: Database, order: int, lines: Sequence[int]) -> None:
    """Order the parcel of some lines and reserve for it what is free; more is accepted too."""
    goods = [line for line in lines if _is_goods(db, line)]
    if not goods:
        return
    picking = _open_picking(db, order) or _new_picking(db, order)
    source = db.tables.rows[PICKING][picking]["location_id"]
    for line in goods:
        _reserve(db, picking, source, line)
    _restate(db, picking)


def cancel(db: Database, order: int) -> None:
    """Cancel the order's parcels and free what they held."""
    for picking in db.value("sale.order", order, "picking_ids"):
        for move in db.value(PICKING, picking, "move_ids"):
            row = db.tables.rows[MOVE][move]
            _hold(db, row["product_id"], row["location_id"], -row.get("quantity", ZERO))
            db.tables.change(MOVE, move, {"state": "cancel", "quantity": None})
        change = {"state": "cancel", "write_date": db.tables.transaction.start}
        db.tables.change(PICKING, picking, change)


def _is_goods(db: Database, line: int) -> bool:
    row = db.tables.rows["sale.order.line"][line]
    product = row.get("product_id")
    is_goods = product is not None and db.value("product.product", product, "type") == "consu"
    return is_goods and row["product_uom_qty"] > 0


def _open_picking(db: Database, order: int) -> int | None:
    pickings = db.value("sale.order", order, "picking_ids")
    states = ((picking, db.value(PICKING, picking, "state")) for picking in pickings)
    return next((p for p, state in states if state in OPEN), None)


def _new_picking(db: Database, order: int) -> int:
    row = db.tables.rows["sale.order"][order]
    if row.get("warehouse_id") is None:
        raise errors.user_error(errors.NO_WAREHOUSE)
    warehouse = db.tables.rows["stock.warehouse"][row["warehouse_id"]]
    reference = row.get("client_order_ref") if db.version == 18 else None
    now = db.tables.transaction.start
    picking = {
        "state": "confirmed",
        "origin": f"{row['name']} - {reference}" if reference else row["name"],
        "partner_id": row["partner_shipping_id"],
        "sale_id": order,
        "location_id": warehouse["lot_stock_id"],
        "location_dest_id": customers(db),
        "picking_type_id": warehouse["out_type_id"],
        "scheduled_date": now.replace(microsecond=0),
        "carrier_id": row.get("carrier_id"),
        "create_date": now,
        "write_date": now,
    }
    return db.tables.insert(PICKING, {"name": _number(db, warehouse), **picking})


def _number(db: Database, warehouse: Row) -> str:
    """The next number of the warehouse's deliveries."""
    sequence = f"{warehouse['code']}/OUT"
    number = db.tables.next_id[sequence]
    db.tables.next_id[sequence] = number + 1
    return f"{sequence}/{number:05d}"


def customers(db: Database) -> int:
    """The place goods go to when they are delivered."""
    return db.search("stock.location", [["usage", "=", CUSTOMERS]], limit=1, order="id")[0]


def _reserve(db: Database, picking: int, source: int, line: int) -> None:
    row = db.tables.rows["sale.order.line"][line]
    product, demand = row["product_id"], row["product_uom_qty"]
    got = demand
    if db.value("product.product", product, "is_storable"):
        got = max(ZERO, min(demand, _free(db, product, source)))
        _hold(db, product, source, got)
    now = db.tables.transaction.start
    move = {
        "product_id": product,
        "product_uom_qty": demand,
        "quantity": got or None,
        "state": "assigned" if got == demand else "partially_available" if got else "confirmed",
        "picking_id": picking,
        "sale_line_id": line,
        "location_id": source,
        "location_dest_id": db.tables.rows[PICKING][picking]["location_dest_id"],
        "date": now.replace(microsecond=0),
        "create_date": now,
        "write_date": now,
    }
    db.tables.insert(MOVE, move)


def _restate(db: Database, picking: int) -> None:
    """A parcel is ready as soon as a part of it is reserved."""
    moves = db.value(PICKING, picking, "move_ids")
    ready = any(
        db.value(MOVE, move, "state") in ("assigned", "partially_available") for move in moves
    )
    db.tables.change(PICKING, picking, {"state": "assigned" if ready else "confirmed"})


def quants(db: Database, product: int, places: Sequence[int] | None = None) -> list[int]:
    """The product's stock records, in some places or all."""
    found = sorted(db.tables.find(QUANT, "product_id", product))
    held = ((id_, db.tables.get(QUANT, id_) or {}) for id_ in found)
    return [id_ for id_, row in held if places is None or row.get("location_id") in places]


def _free(db: Database, product: int, place: int) -> Decimal:
    rows = [db.tables.rows[QUANT][id_] for id_ in quants(db, product, [place])]
    return sum((row["quantity"] - row["reserved_quantity"] for row in rows), ZERO)


def _hold(db: Database, product: int, place: int, quantity: Decimal) -> None:
    """Reserve more of a place's stock, or less; the stock record's time moves with it."""
    if not quantity:
        return
    for id_ in quants(db, product, [place])[:1]:
        reserved = db.tables.rows[QUANT][id_]["reserved_quantity"] + quantity
        change = {"reserved_quantity": reserved, "write_date": db.tables.transaction.start}
        db.tables.change(QUANT, id_, change)


# Names and values worked out on reading


def _places(db: Database, context: Context) -> list[int] | None:
    """The stock places a context asks for; none named means all.

    The key `warehouse` of older versions is not read, as in the real one.
    """
    if context.get("location"):
        return [context["location"]]
    if not context.get("warehouse_id"):
        return None
    asked = context["warehouse_id"]
    warehouses = asked if isinstance(asked, list) else [asked]
    return [db.value("stock.warehouse", id_, "lot_stock_id") for id_ in warehouses]


def _on_hand(db: Database, product: int, context: Context) -> Decimal:
    rows = [db.tables.get(QUANT, q) or {} for q in quants(db, product, _places(db, context))]
    return sum((row.get("quantity", ZERO) for row in rows), ZERO)


def _free_to_use(db: Database, product: int, context: Context) -> Decimal:
    ids = quants(db, product, _places(db, context))
    return sum((_available(db, id_, context) for id_ in ids), ZERO)


def _outgoing(db: Database, product: int, context: Context) -> Decimal:
    places = _places(db, context)
    rows = (db.tables.get(MOVE, m) or {} for m in db.tables.find(MOVE, "product_id", product))
    return sum(
        (
            row["product_uom_qty"]
            for row in rows
            if row.get("state") in OPEN and (places is None or row["location_id"] in places)
        ),
        ZERO,
    )


def _forecast(db: Database, product: int, context: Context) -> Decimal:
    return _on_hand(db, product, context) - _outgoing(db, product, context)


def _available(db: Database, quant: int, context: Context) -> Decimal:
    row = db.tables.get(QUANT, quant) or {}
    return Decimal(row.get("quantity", ZERO) - row.get("reserved_quantity", ZERO))


def _availability(db: Database, picking: int, context: Context) -> str | None:
    if db.value(PICKING, picking, "state") not in ("confirmed", "assigned"):
        return None
    moves = db.value(PICKING, picking, "move_ids")
    ready = all(db.value(MOVE, move, "state") == "assigned" for move in moves)
    return "available" if ready else "late"


def _delivery_status(db: Database, order: int, context: Context) -> str | None:
    pickings = db.value("sale.order", order, "picking_ids", context)
    states = [db.value(PICKING, picking, "state") for picking in pickings]
    return "pending" if any(state in OPEN for state in states) else None


def _picking_type_name(db: Database, id_: int, context: Context) -> str:
    row = db.tables.get("stock.picking.type", id_) or {}
    warehouse = db.follow("stock.picking.type", id_, "warehouse_id.name")
    return f"{warehouse}: {row.get('name')}"


NAMES: dict[str, Callable[[Database, int, Context], str]] = {
    "stock.picking.type": _picking_type_name
}

DERIVED: dict[tuple[str, str], Derived] = {
    ("product.product", "qty_available"): _on_hand,
    ("product.product", "free_qty"): _free_to_use,
    ("product.product", "virtual_available"): _forecast,
    ("product.product", "incoming_qty"): lambda db, product, context: ZERO,
    ("product.product", "outgoing_qty"): _outgoing,
    (QUANT, "available_quantity"): _available,
    (QUANT, "warehouse_id"): along(QUANT, "location_id.warehouse_id"),
    (QUANT, "company_id"): along(QUANT, "location_id.company_id"),
    ("sale.order", "delivery_status"): _delivery_status,
    (PICKING, "company_id"): along(PICKING, "location_id.company_id"),
    (PICKING, "picking_type_code"): along(PICKING, "picking_type_id.code"),
    (PICKING, "products_availability_state"): _availability,
    (MOVE, "company_id"): along(MOVE, "location_id.company_id"),
}


def add_warehouse(db: Database, company: int, code: str, name: str) -> int:
    """Make a warehouse with its places and its kind of delivery."""
    view = _add_place(db, company, code, code, "view")
    shelf = _add_place(db, company, "Stock", f"{code}/Stock", "internal")
    kind = db.tables.insert("stock.picking.type", {"name": "Delivery Orders", "code": "outgoing"})
    values = {"name": name, "code": code, "company_id": company, "delivery_steps": "ship_only"}
    places = {"lot_stock_id": shelf, "view_location_id": view, "out_type_id": kind}
    warehouse = db.create("stock.warehouse", {**values, **places}, {})
    for place in (view, shelf):
        db.tables.change("stock.location", place, {"warehouse_id": warehouse})
    db.tables.change("stock.picking.type", kind, {"warehouse_id": warehouse})
    return warehouse


def _add_place(db: Database, company: int | None, name: str, full: str, usage: str) -> int:
    values = {"name": name, "complete_name": full, "usage": usage, "company_id": company}
    return db.tables.insert("stock.location", values)


def add_customers_place(db: Database) -> int:
    """Make the place goods go to when they are delivered."""
    full = "Partners/Customers" if db.version == 18 else "Customers"
    return _add_place(db, None, "Customers", full, CUSTOMERS)


def put_on_hand(db: Database, product: int, warehouse: int, quantity: Decimal) -> None:
    """Set what a warehouse has of a product."""
    place = db.tables.rows["stock.warehouse"][warehouse]["lot_stock_id"]
    now = db.tables.transaction.start
    for id_ in quants(db, product, [place])[:1]:
        db.tables.change(QUANT, id_, {"quantity": quantity, "write_date": now})
        return
    values = {"product_id": product, "location_id": place, "quantity": quantity}
    stamps = {"reserved_quantity": ZERO, "create_date": now, "write_date": now}
    db.tables.insert(QUANT, {**values, **stamps})
