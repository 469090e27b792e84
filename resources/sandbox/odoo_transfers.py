"""What happens to parcels of the Odoo stand-in: done in full or in part, the rest as a backorder,
goods sent back, received, moved between warehouses, scrapped. Counting is in `odoo_counts`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from resources.sandbox import odoo_counts
from resources.sandbox import odoo_errors as errors
from resources.sandbox import odoo_stock as stock
from resources.sandbox.odoo_catalog import current_company
from resources.sandbox.odoo_orm import ZERO, Context, Database, Rules
from resources.sandbox.odoo_rows import Row
from resources.sandbox.odoo_stock import IN, INTERNAL, MOVE, OPEN, PICKING, PLACE
from resources.sandbox.odoo_warehouses import next_step

WIZARD, RETURN, RETURN_LINE = (
    "stock.backorder.confirmation",
    "stock.return.picking",
    "stock.return.picking.line",
)
SCRAP, INSUFFICIENT = "stock.scrap", "stock.warn.insufficient.qty.scrap"
WIZARD_VIEW = {18: 893, 19: 939}
NOTHING_RESERVED = (
    "You cannot validate a transfer if no quantities are reserved. "
    "To force the transfer, encode quantities."
)
NOTHING_RETURNED = "Please specify at least one non-zero quantity."


def validate(db: Database, pickings: Sequence[int], context: Context) -> bool | Row:
    """Carry parcels out; one that is done stays so, of a part it is asked what to do."""
    db.check_exists(PICKING, pickings)
    waiting = [id_ for id_ in pickings if db.value(PICKING, id_, "state") in OPEN]
    if any(not any(_taken(db, id_).values()) for id_ in waiting):
        raise errors.user_error(NOTHING_RESERVED)
    if any(_is_partial(db, id_) for id_ in waiting) and not context.get("skip_backorder"):
        return _backorder_wizard(db, waiting)
    for picking in waiting:
        finish(db, picking)
    return True


def process(db: Database, wizards: Sequence[int], context: Context) -> bool:
    """Carry out what the backorder question was asked of; the rest gets a parcel of its own."""
    for wizard in wizards:
        for picking in db.value(WIZARD, wizard, "pick_ids"):
            if db.value(PICKING, picking, "state") in OPEN:
                finish(db, picking)
    return True


def _taken(db: Database, picking: int) -> dict[int, Decimal]:
    """Units per move that would go now: the picked ones, or all when nobody picked."""
    moves = stock.open_moves(db, picking)
    rows = {move: db.tables.rows[MOVE][move] for move in moves}
    by_hand = any(row.get("picked") for row in rows.values())
    return {
        move: row.get("quantity", ZERO) if row.get("picked") or not by_hand else ZERO
        for move, row in rows.items()
    }


def _is_partial(db: Database, picking: int) -> bool:
    demand = ((db.value(MOVE, m, "product_uom_qty"), got) for m, got in _taken(db, picking).items())
    return any(got < wanted for wanted, got in demand)


def _backorder_wizard(db: Database, pickings: list[int]) -> Row:
    view = WIZARD_VIEW[db.version]
    return {
        "name": "Create Backorder?",
        "type": "ir.actions.act_window",
        "view_mode": "form",
        "res_model": WIZARD,
        "views": [[view, "form"]],
        "view_id": view,
        "target": "new",
        "context": {
            "button_validate_picking_ids": pickings,
            "default_show_transfers": False,
            "default_pick_ids": [[4, picking] for picking in pickings],
        },
    }


def finish(db: Database, picking: int) -> None:
    """Move what is taken; what is not goes on in a backorder."""
    now, rest = db.tables.transaction.start, dict[int, Decimal]()
    for move, got in _taken(db, picking).items():
        left = db.value(MOVE, move, "product_uom_qty") - got
        if left > 0:
            rest[move] = left
        if got:
            _carry(db, move, got)
    _hand_on(db, picking)
    if rest:
        _backorder(db, picking, rest)
    done = {"state": "done", "date_done": now.replace(microsecond=0), "write_date": now}
    db.tables.change(PICKING, picking, done)


def _hand_on(db: Database, picking: int) -> None:
    """Ask for the next step of what was carried out, as 18 and 19 do: no step is made before."""
    step = next_step(db, picking)
    moves = [m for m in db.value(PICKING, picking, "move_ids") if _is_done(db, m)]
    if step is None or not moves:
        return
    kind, end = step
    row = db.tables.rows[PICKING][picking]
    kept = ("origin", "partner_id", "sale_id", "carrier_id", "scheduled_date")
    more = {name: row[name] for name in kept if name in row}
    way = (row["location_dest_id"], end)
    other = stock.add_picking(db, warehouse_of(db, picking), kind, way, more)
    for move in moves:
        held = db.tables.rows[MOVE][move]
        whose = {"sale_line_id": held["sale_line_id"]} if "sale_line_id" in held else {}
        made = stock.add_move(db, other, held["product_id"], held["quantity"], **whose)
        stock.reserve(db, made)
    stock.restate(db, other)


def _is_done(db: Database, move: int) -> bool:
    return bool(db.value(MOVE, move, "state") == "done")


def _carry(db: Database, move: int, got: Decimal) -> None:
    """Take the goods from one place to the other."""
    row, now = db.tables.rows[MOVE][move], db.tables.transaction.start
    stock.hold(db, move, -row.get("quantity", ZERO))
    product = row["product_id"]
    if db.value("product.product", product, "is_storable"):
        stock.shift(db, product, row["location_id"], -got)
        stock.shift(db, product, row["location_dest_id"], got)
    done = {"state": "done", "quantity": got, "picked": True, "date": now.replace(microsecond=0)}
    demand = min(got, row["product_uom_qty"])
    db.tables.change(MOVE, move, {**done, "product_uom_qty": demand, "write_date": now})
    if row.get("sale_line_id"):
        _tell_order(db, row["sale_line_id"])
    if db.value(PLACE, row["location_dest_id"], "usage") == INTERNAL:
        _serve_waiting(db, product, row["location_dest_id"])


def _serve_waiting(db: Database, product: int, place: int) -> None:
    """Reserve what arrived for those who wait, first come first served."""
    for move in sorted(db.tables.find(MOVE, "product_id", product)):
        row = db.tables.rows[MOVE][move]
        lacks = row["state"] in ("confirmed", "partially_available")
        if lacks and row["location_id"] == place:
            stock.reserve(db, move)
            if row.get("picking_id"):
                stock.restate(db, row["picking_id"])


def _backorder(db: Database, picking: int, rest: Mapping[int, Decimal]) -> None:
    row = db.tables.rows[PICKING][picking]
    kept = ("origin", "partner_id", "sale_id", "carrier_id", "scheduled_date", "return_id")
    more = {name: row[name] for name in kept if name in row}
    way, whose = (row["location_id"], row["location_dest_id"]), warehouse_of(db, picking)
    more["backorder_id"] = picking
    other = stock.add_picking(db, whose, _kind(db, whose, row["picking_type_id"]), way, more)
    number, now = db.value(PICKING, other, "name"), db.tables.transaction.start
    for move, units in rest.items():
        held = db.tables.rows[MOVE][move]
        if held["state"] != "done":
            change = {"picking_id": other, "picked": None, "reference": number, "write_date": now}
            db.tables.change(MOVE, move, change)
            stock.reserve(db, move)
            continue
        # Where the goods are taken from is the move's own, not the parcel's.
        own = ("sale_line_id", "location_id", "origin_returned_move_id")
        same = {name: held[name] for name in own if name in held}
        stock.reserve(db, stock.add_move(db, other, held["product_id"], units, **same))
    stock.restate(db, other)


def _kind(db: Database, warehouse: int, type_: int) -> tuple[str, str]:
    """The kind of parcel of a warehouse that has a type."""
    row = db.tables.rows["stock.warehouse"][warehouse]
    kinds = (stock.OUT, IN, stock.INTERNAL_KIND, stock.PICK, stock.PACK)
    return next(kind for kind in kinds if row.get(kind[0]) == type_)


def warehouse_of(db: Database, picking: int) -> int:
    """The warehouse a parcel belongs to."""
    return int(db.follow(PICKING, picking, "picking_type_id.warehouse_id"))


def _tell_order(db: Database, line: int) -> None:
    """Bring the delivered quantity of an order line up to date; the order's time moves."""
    row, now = db.tables.rows["sale.order.line"][line], db.tables.transaction.start
    gone: dict[int, Decimal] = {}
    for move in db.tables.find(MOVE, "sale_line_id", line):
        held = db.tables.rows[MOVE][move]
        ways = [db.value(PLACE, held[way], "usage") for way in ("location_id", "location_dest_id")]
        if held["state"] == "done" and stock.CUSTOMERS in ways:
            back = ways[0] == stock.CUSTOMERS
            units = -held["quantity"] if back else held["quantity"]
            gone[held["product_id"]] = gone.get(held["product_id"], ZERO) + units
    parts = stock.contents(db, row["product_id"])
    delivered = min(gone.get(product, ZERO) / units for product, units in parts)
    change = {"qty_delivered": delivered or None, "write_date": now}
    db.tables.change("sale.order.line", line, change)
    db.tables.change("sale.order", row["order_id"], {"write_date": now})


# Goods that come back


class Return(Rules):
    """The question what to send back: each move that was done, nothing of it yet."""

    def created(self, db: Database, id_: int, context: Context) -> None:
        picking = db.value(RETURN, id_, "picking_id")
        for move in db.value(PICKING, picking, "move_ids"):
            row = db.tables.rows[MOVE][move]
            if row["state"] == "done":
                line = {"wizard_id": id_, "product_id": row["product_id"], "move_id": move}
                db.tables.insert(RETURN_LINE, {**line, "quantity": ZERO})


class Parcels(Rules):
    """Parcels: where one goes is where its open moves go."""

    def written(self, db: Database, id_: int, values: Row) -> None:
        for name in ("location_id", "location_dest_id"):
            for move in stock.open_moves(db, id_) if name in values else ():
                db.write(MOVE, [move], {name: values[name]}, {})


def cancel(db: Database, pickings: Sequence[int], context: Context) -> bool:
    """Call parcels off and free what they held; one that is done stays so."""
    db.check_exists(PICKING, pickings)
    for picking in pickings:
        if db.value(PICKING, picking, "state") != "done":
            stock.cancel_picking(db, picking)
    return True


def assign(db: Database, pickings: Sequence[int], context: Context) -> bool:
    """Reserve what is free for parcels."""
    db.check_exists(PICKING, pickings)
    for picking in pickings:
        for move in stock.open_moves(db, picking):
            stock.reserve(db, move)
        stock.restate(db, picking)
    return True


# Goods of no more use


class Scrap(Rules):
    """Goods to be thrown away: noted first, done when validated."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        row |= {"name": f"SP/{db.tables.next_id[SCRAP]:05d}", "state": "draft"}
        row.setdefault("company_id", current_company(db, context))
        row.setdefault("scrap_location_id", scrap_place(db))


def scrap_place(db: Database) -> int:
    """Where goods of no more use go, made when it is new."""
    # Another place of lost goods must be there first: the oldest one is for counting.
    stock.place_of(db, "inventory")
    rows = db.tables.rows[PLACE].items()
    found = next((id_ for id_, row in rows if row["name"] == "Scrap"), None)
    if found is None:
        found = stock.add_place(db, None, "Scrap", "Virtual Locations/Scrap", "inventory")
        if db.version == 18:
            db.tables.change(PLACE, found, {"scrap_location": True})
    return found


def scrap(db: Database, scraps: Sequence[int], context: Context) -> bool | Row:
    """Throw goods away; of more than there is it is asked first."""
    db.check_exists(SCRAP, scraps)
    for id_ in scraps:
        row = db.tables.rows[SCRAP][id_]
        if row["state"] == "done":
            continue
        product, place, units = row["product_id"], row["location_id"], row["scrap_qty"]
        held = (db.value("stock.quant", q, "quantity") for q in stock.quants(db, product, [place]))
        if sum(held, ZERO) < units:
            return {"type": "ir.actions.act_window", "res_model": INSUFFICIENT, "res_id": False}
        more = {"is_inventory": None, "reference": row["name"], "scrap_id": id_}
        odoo_counts.adjust(db, product, place, -units, row["scrap_location_id"], **more)
        now = db.tables.transaction.start
        done = {"state": "done", "date_done": now.replace(microsecond=0), "write_date": now}
        db.tables.change(SCRAP, id_, done)
    return True


RULES: dict[str, Rules] = {RETURN: Return(), PICKING: Parcels(), SCRAP: Scrap()}


def create_returns(db: Database, wizards: Sequence[int], context: Context) -> Row:
    """Make the parcel that brings goods back."""
    [wizard] = wizards
    lines = [
        db.tables.rows[RETURN_LINE][line]
        for line in db.value(RETURN, wizard, "product_return_moves")
        if db.value(RETURN_LINE, line, "quantity")
    ]
    if not lines:
        raise errors.user_error(NOTHING_RETURNED)
    back = db.value(RETURN, wizard, "picking_id")
    row = db.tables.rows[PICKING][back]
    kept: Row = {name: row[name] for name in ("partner_id", "sale_id") if name in row}
    more = {"origin": f"Return of {row['name']}", "return_id": back, **kept}
    way = (row["location_dest_id"], row["location_id"])
    picking = stock.add_picking(db, warehouse_of(db, back), IN, way, more)
    for line in lines:
        whose = {"origin_returned_move_id": line["move_id"]}
        whose["sale_line_id"] = db.tables.rows[MOVE][line["move_id"]].get("sale_line_id")
        stock.reserve(
            db, stock.add_move(db, picking, line["product_id"], line["quantity"], **whose)
        )
    stock.restate(db, picking)
    return {
        "name": "Returned Picking",
        "view_mode": "form",
        "res_model": PICKING,
        "res_id": picking,
        "type": "ir.actions.act_window",
        "context": dict(context),
    }


def document(db: Database, picking: int) -> Row:
    """A parcel as tests read it: which way it goes, and units by SKU."""
    row = db.tables.rows[PICKING][picking]
    asked: dict[str, Decimal] = {}
    done: dict[str, Decimal] = {}
    for move in db.value(PICKING, picking, "move_ids"):
        held = db.tables.rows[MOVE][move]
        sku = db.value("product.product", held["product_id"], "default_code")
        asked[sku] = asked.get(sku, ZERO) + held["product_uom_qty"]
        if held["state"] == "done":
            done[sku] = done.get(sku, ZERO) + held["quantity"]
    return {
        "name": row["name"],
        "state": row["state"],
        "kind": db.value(PICKING, picking, "picking_type_code"),
        "origin": row.get("origin"),
        "tracking": row.get("carrier_tracking_ref"),
        "to": db.display_name(PLACE, row["location_dest_id"]),
        "asked": asked,
        "done": done,
    }
