"""Warehouses of the Odoo stand-in: places, stock on hand, reservations, and the parcels an order
asks for. What happens to a parcel then is in `odoo_transfers`, counting in `odoo_counts`.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from resources.sandbox import odoo_errors as errors
from resources.sandbox.odoo_orm import ZERO, Context, Database, Derived, Rules, along
from resources.sandbox.odoo_rows import Row
from resources.sandbox.odoo_variants import bom_of

PICKING, MOVE, QUANT, PLACE = "stock.picking", "stock.move", "stock.quant", "stock.location"
OPEN = ("waiting", "confirmed", "partially_available", "assigned")
CUSTOMERS, INTERNAL = "customer", "internal"
#: Kinds of parcel: the warehouse's field, and the middle of the parcel's number.
OUT, IN, INTERNAL_KIND = ("out_type_id", "OUT"), ("in_type_id", "IN"), ("int_type_id", "INT")
PICK, PACK = ("pick_type_id", "PICK"), ("pack_type_id", "PACK")
#: Steps on the way out before the last: kind, the place it ends at (field and name), its title.
STEPS: dict[str, tuple[tuple[tuple[str, str], str, str, str], ...]] = {
    "ship_only": (),
    "pick_ship": ((PICK, "wh_output_stock_loc_id", "Output", "Pick"),),
    "pick_pack_ship": (
        (PICK, "wh_pack_stock_loc_id", "Packing Zone", "Pick"),
        (PACK, "wh_output_stock_loc_id", "Output", "Pack"),
    ),
}


def deliver(db: Database, order: int, lines: Sequence[int]) -> None:
    """Order the parcel of some lines and reserve for it what is free; more is accepted too."""
    goods = [line for line in lines if _is_goods(db, line)]
    if not goods:
        return
    picking = _open_picking(db, order) or _order_picking(db, order)
    for line in goods:
        row = db.tables.rows["sale.order.line"][line]
        for product, units in contents(db, row["product_id"]):
            demand = row["product_uom_qty"] * units
            reserve(db, add_move(db, picking, product, demand, sale_line_id=line))
    restate(db, picking)


def cancel(db: Database, order: int) -> None:
    """Cancel what is open of the order's parcels and free what they held."""
    for picking in db.value("sale.order", order, "picking_ids"):
        if db.value(PICKING, picking, "state") in OPEN:
            cancel_picking(db, picking)


def cancel_picking(db: Database, picking: int) -> None:
    """Cancel one parcel and free what it held."""
    now = db.tables.transaction.start
    for move in open_moves(db, picking):
        hold(db, move, -db.tables.rows[MOVE][move].get("quantity", ZERO))
        gone = {"state": "cancel", "quantity": None, "write_date": now}
        db.tables.change(MOVE, move, gone)
    db.tables.change(PICKING, picking, {"state": "cancel", "write_date": now})


def contents(db: Database, product: int) -> Iterator[tuple[int, Decimal]]:
    """What leaves the shelf for one unit of a product: itself, or the components of a kit."""
    bom = bom_of(db, product)
    if bom is None:
        yield product, Decimal(1)
        return
    made = db.value("mrp.bom", bom, "product_qty")
    for line in db.value("mrp.bom", bom, "bom_line_ids"):
        row = db.tables.rows["mrp.bom.line"][line]
        for component, units in contents(db, row["product_id"]):
            yield component, units * row["product_qty"] / made


def _is_goods(db: Database, line: int) -> bool:
    row = db.tables.rows["sale.order.line"][line]
    product = row.get("product_id")
    is_goods = product is not None and db.value("product.product", product, "type") == "consu"
    return is_goods and row["product_uom_qty"] > 0


def _open_picking(db: Database, order: int) -> int | None:
    """The order's open parcel that takes from the shelf; what comes back does not."""
    warehouse = db.value("sale.order", order, "warehouse_id")
    shelf = None if warehouse is None else db.value("stock.warehouse", warehouse, "lot_stock_id")
    rows = db.tables.rows[PICKING]
    pickings = (p for p in db.value("sale.order", order, "picking_ids") if rows[p]["state"] in OPEN)
    return next((p for p in pickings if rows[p]["location_id"] == shelf), None)


def _order_picking(db: Database, order: int) -> int:
    row = db.tables.rows["sale.order"][order]
    if row.get("warehouse_id") is None:
        raise errors.user_error(errors.NO_WAREHOUSE)
    warehouse = db.tables.rows["stock.warehouse"][row["warehouse_id"]]
    reference = row.get("client_order_ref") if db.version == 18 else None
    more = {
        "origin": f"{row['name']} - {reference}" if reference else row["name"],
        "partner_id": row["partner_shipping_id"],
        "sale_id": order,
        "carrier_id": row.get("carrier_id"),
    }
    steps, way = STEPS[warehouse["delivery_steps"]], (warehouse["lot_stock_id"], customers(db))
    if not steps:
        return add_picking(db, row["warehouse_id"], OUT, way, more)
    kind, place, _, _ = steps[0]
    return add_picking(db, row["warehouse_id"], kind, (way[0], warehouse[place]), more)


def add_picking(
    db: Database, warehouse: int, kind: tuple[str, str], way: tuple[int, int], more: Row
) -> int:
    """Make a parcel of a warehouse from one place to another."""
    row, now = db.tables.rows["stock.warehouse"][warehouse], db.tables.transaction.start
    sequence = f"{row['code']}/{kind[1]}"
    number = db.tables.next_id[sequence]
    db.tables.next_id[sequence] = number + 1
    picking = {
        "name": f"{sequence}/{number:05d}",
        "state": "confirmed",
        "location_id": way[0],
        "location_dest_id": way[1],
        "picking_type_id": row[kind[0]],
        "scheduled_date": now.replace(microsecond=0),
        "create_date": now,
        "write_date": now,
    }
    return db.tables.insert(PICKING, {**picking, **more})


def customers(db: Database) -> int:
    """The place goods go to when they are delivered."""
    return place_of(db, CUSTOMERS)


def place_of(db: Database, usage: str) -> int:
    """The first place of a usage outside the warehouses, made when it is new."""
    found = db.tables.find(PLACE, "usage", usage)
    names = {"supplier": "Vendors", "inventory": "Inventory adjustment", CUSTOMERS: "Customers"}
    above = "Virtual Locations/" if usage == "inventory" else "Partners/"
    full = f"{above}{names[usage]}" if db.version == 18 else names[usage]
    return min(found) if found else add_place(db, None, names[usage], full, usage)


# Moves and what they hold


def add_move(db: Database, picking: int, product: int, demand: Decimal, **more: object) -> int:
    """Add a move to a parcel; nothing is reserved for it yet."""
    parcel, now = db.tables.rows[PICKING][picking], db.tables.transaction.start
    move = {
        "product_id": product,
        "product_uom_qty": demand,
        "state": "confirmed",
        "picking_id": picking,
        "location_id": parcel["location_id"],
        "location_dest_id": parcel["location_dest_id"],
        "origin": parcel.get("origin"),
        "reference": parcel["name"],
        "date": now.replace(microsecond=0),
        "create_date": now,
        "write_date": now,
    }
    return db.tables.insert(MOVE, {**move, **more})


def open_moves(db: Database, picking: int) -> list[int]:
    """Moves of a parcel that are neither done nor cancelled."""
    moves = db.value(PICKING, picking, "move_ids")
    return [move for move in moves if db.value(MOVE, move, "state") in OPEN]


def reserve(db: Database, move: int) -> None:
    """Reserve what is free of what a move still lacks."""
    row = db.tables.rows[MOVE][move]
    held = row.get("quantity", ZERO)
    got = lacking = row["product_uom_qty"] - held
    if is_kept(db, move):
        got = max(ZERO, min(lacking, _free(db, row["product_id"], row["location_id"])))
        hold(db, move, got)
    state = "assigned" if got == lacking else "partially_available" if held + got else "confirmed"
    change = {"quantity": held + got or None, "state": state}
    db.tables.change(MOVE, move, {**change, "write_date": db.tables.transaction.start})


def is_kept(db: Database, move: int) -> bool:
    """Whether a move takes from a shelf whose stock is counted."""
    row = db.tables.rows[MOVE][move]
    storable = db.value("product.product", row["product_id"], "is_storable")
    return bool(storable and db.value(PLACE, row["location_id"], "usage") == INTERNAL)


def restate(db: Database, picking: int) -> None:
    """A parcel is ready as soon as a part of it is reserved."""
    states = [db.value(MOVE, move, "state") for move in db.value(PICKING, picking, "move_ids")]
    ready = any(state in ("assigned", "partially_available") for state in states)
    change = {"state": "assigned" if ready else "confirmed"}
    db.tables.change(PICKING, picking, {**change, "write_date": db.tables.transaction.start})


def hold(db: Database, move: int, quantity: Decimal) -> None:
    """Reserve more of a move's place, or less; the stock record's time moves with it."""
    if not quantity or not is_kept(db, move):
        return
    row = db.tables.rows[MOVE][move]
    for id_ in quants(db, row["product_id"], [row["location_id"]])[:1]:
        reserved = db.tables.rows[QUANT][id_]["reserved_quantity"] + quantity
        change = {"reserved_quantity": reserved, "write_date": db.tables.transaction.start}
        db.tables.change(QUANT, id_, change)


def shift(db: Database, product: int, place: int, quantity: Decimal) -> None:
    """Put goods into a place, or take them out; less than nothing is possible, as there."""
    now = db.tables.transaction.start
    for id_ in quants(db, product, [place])[:1]:
        left = db.tables.rows[QUANT][id_]["quantity"] + quantity
        db.tables.change(QUANT, id_, {"quantity": left, "write_date": now})
        return
    put_quant(db, product, place, quantity)


def put_quant(db: Database, product: int, place: int, quantity: Decimal) -> int:
    """Add a stock record."""
    now = db.tables.transaction.start
    values = {"product_id": product, "location_id": place, "quantity": quantity}
    stamps = {"reserved_quantity": ZERO, "create_date": now, "write_date": now}
    return db.tables.insert(QUANT, {**values, **stamps})


class Moves(Rules):
    """Moves: the quantity of an open one is what is reserved for it."""

    def prepare(self, db: Database, id_: int | None, values: Row) -> Row:
        if id_ is not None and "quantity" in values:
            row = db.tables.rows[MOVE][id_]
            if row["state"] in OPEN:
                hold(db, id_, Decimal(str(values["quantity"])) - row.get("quantity", ZERO))
        return values


RULES: dict[str, Rules] = {MOVE: Moves()}


def quants(db: Database, product: int, places: Sequence[int] | None = None) -> list[int]:
    """The product's stock records, in some places or all."""
    found = sorted(db.tables.find(QUANT, "product_id", product))
    held = ((id_, db.tables.get(QUANT, id_) or {}) for id_ in found)
    return [id_ for id_, row in held if places is None or row.get("location_id") in places]


def _free(db: Database, product: int, place: int) -> Decimal:
    rows = [db.tables.rows[QUANT][id_] for id_ in quants(db, product, [place])]
    return sum((row["quantity"] - row["reserved_quantity"] for row in rows), ZERO)


# Names and values worked out on reading


def _places(db: Database, context: Context) -> set[int]:
    """The places a context asks for; none named means all that are ours.

    The key `warehouse` of older versions is not read, as in the real one.
    """
    if context.get("location"):
        return _below(db, context["location"])
    ours = db.tables.find(PLACE, "usage", INTERNAL)
    if not context.get("warehouse_id"):
        return ours
    asked = context["warehouse_id"]
    warehouses = asked if isinstance(asked, list) else [asked]
    return {p for w in warehouses for p in db.tables.find(PLACE, "warehouse_id", w)} & ours


def _below(db: Database, place: int) -> set[int]:
    """A place and all that are inside."""
    found, more = set[int](), {place}
    while more:
        found |= more
        rows = db.tables.rows[PLACE].items()
        more = {id_ for id_, row in rows if row.get("location_id") in more} - found
    return found


def _held(db: Database, product: int, context: Context) -> Iterator[Row]:
    places = _places(db, context)
    rows = (db.tables.get(QUANT, id_) or {} for id_ in db.tables.find(QUANT, "product_id", product))
    return (row for row in rows if row.get("location_id") in places)


def _on_hand(db: Database, product: int, context: Context) -> Decimal:
    return sum((row.get("quantity", ZERO) for row in _held(db, product, context)), ZERO)


def _free_to_use(db: Database, product: int, context: Context) -> Decimal:
    rows = _held(db, product, context)
    return sum((row["quantity"] - row["reserved_quantity"] for row in rows), ZERO)


def _moving(db: Database, product: int, context: Context, near: str, far: str) -> Decimal:
    """Open demand between the places asked for and all others, reserved or not."""
    places = _places(db, context)
    rows = (db.tables.get(MOVE, m) or {} for m in db.tables.find(MOVE, "product_id", product))
    return sum(
        (
            row["product_uom_qty"]
            for row in rows
            if row.get("state") in OPEN and row[near] in places and row[far] not in places
        ),
        ZERO,
    )


def _outgoing(db: Database, product: int, context: Context) -> Decimal:
    return _moving(db, product, context, "location_id", "location_dest_id")


def _incoming(db: Database, product: int, context: Context) -> Decimal:
    return _moving(db, product, context, "location_dest_id", "location_id")


def _forecast(db: Database, product: int, context: Context) -> Decimal:
    moving = _incoming(db, product, context) - _outgoing(db, product, context)
    return _on_hand(db, product, context) + moving


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
    states = {db.value(PICKING, picking, "state") for picking in pickings}
    if "done" in states:
        return "partial" if states & set(OPEN) else "full"
    return "pending" if states & set(OPEN) else None


def _picking_type_name(db: Database, id_: int, context: Context) -> str:
    row = db.tables.get("stock.picking.type", id_) or {}
    warehouse = db.follow("stock.picking.type", id_, "warehouse_id.name")
    return f"{warehouse}: {row.get('name')}"


def _move_name(db: Database, id_: int, context: Context) -> str:
    row = db.tables.get(MOVE, id_) or {}
    origin = f"{row['origin']}/" if row.get("origin") else ""
    code = db.follow(MOVE, id_, "product_id.default_code")
    places = (db.follow(MOVE, id_, f"{way}.name") for way in ("location_id", "location_dest_id"))
    return f"{origin}{code}: {'>'.join(map(str, places))}"


NAMES: dict[str, Callable[[Database, int, Context], str]] = {
    "stock.picking.type": _picking_type_name,
    MOVE: _move_name,
}

DERIVED: dict[tuple[str, str], Derived] = {
    ("product.product", "qty_available"): _on_hand,
    ("product.product", "free_qty"): _free_to_use,
    ("product.product", "virtual_available"): _forecast,
    ("product.product", "incoming_qty"): _incoming,
    ("product.product", "outgoing_qty"): _outgoing,
    (QUANT, "available_quantity"): _available,
    (QUANT, "warehouse_id"): along(QUANT, "location_id.warehouse_id"),
    (QUANT, "company_id"): along(QUANT, "location_id.company_id"),
    ("sale.order", "delivery_status"): _delivery_status,
    (PICKING, "company_id"): along(PICKING, "picking_type_id.warehouse_id.company_id"),
    (PICKING, "picking_type_code"): along(PICKING, "picking_type_id.code"),
    (PICKING, "products_availability_state"): _availability,
    (MOVE, "company_id"): lambda db, id_, context: (
        db.follow(MOVE, id_, "location_id.company_id")
        or db.follow(MOVE, id_, "location_dest_id.company_id")
    ),
    (MOVE, "product_qty"): along(MOVE, "product_uom_qty"),
    (MOVE, "product_uom"): along(MOVE, "product_id.uom_id"),
    (MOVE, "location_usage"): along(MOVE, "location_id.usage"),
    (MOVE, "location_dest_usage"): along(MOVE, "location_dest_id.usage"),
    (MOVE, "picking_code"): along(MOVE, "picking_id.picking_type_id.code"),
    (MOVE, "scrapped"): along(MOVE, "location_dest_id.scrap_location"),
}


def add_place(
    db: Database, company: int | None, name: str, full: str, usage: str, above: int | None = None
) -> int:
    """Make a place."""
    values = {"name": name, "complete_name": full, "usage": usage, "location_id": above}
    return db.tables.insert(PLACE, {**values, "company_id": company})


def put_on_hand(db: Database, product: int, warehouse: int, quantity: Decimal) -> None:
    """Set what a warehouse has of a product from the start, without a move."""
    place = db.tables.rows["stock.warehouse"][warehouse]["lot_stock_id"]
    held = sum((db.value(QUANT, q, "quantity") for q in quants(db, product, [place])), ZERO)
    shift(db, product, place, quantity - held)
